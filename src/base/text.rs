//! Text from outside: what may be a nick, a room's name or a message, and what of it a terminal may see.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::limits::{NICK_BYTES_MAX, TEXT_BYTES_MAX};

/// Why a text was refused; the sentence is for the person who typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("a message cannot be empty")]
    Empty,
    #[error("the text is {bytes} bytes long, {max} is the limit; send it in parts")]
    TooLong { bytes: usize, max: usize },
    #[error("the text is not valid UTF-8")]
    NotUtf8,
    #[error(
        "a nick is 1 to 32 bytes of letters, digits, - and _, and begins with a letter; choose another with --nick"
    )]
    Nick,
    #[error("a room's name is 1 to 64 bytes of printable text")]
    RoomName,
}

/// Longest name of a room, in bytes: it must fit on one line of a terminal.
const ROOM_NAME_BYTES_MAX: usize = 64;

/// Checks that `text` may be sent as a message.
///
/// # Errors
/// [`TextError::Empty`] or [`TextError::TooLong`].
pub fn check_message(text: &str) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(TextError::TooLong { bytes: text.len(), max: TEXT_BYTES_MAX });
    }
    Ok(())
}

/// Checks that `nick` may be a nick: 1 to `NICK_BYTES_MAX` bytes of letters, digits, `-` and `_`, a letter first.
///
/// # Errors
/// [`TextError::Nick`].
pub fn check_nick(nick: &str) -> Result<(), TextError> {
    let fits = nick.len() <= NICK_BYTES_MAX;
    let begins = nick.chars().next().is_some_and(char::is_alphabetic);
    let plain = nick.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    if fits && begins && plain { Ok(()) } else { Err(TextError::Nick) }
}

/// Checks that `name` may be a room's name.
///
/// # Errors
/// [`TextError::RoomName`].
pub fn check_room_name(name: &str) -> Result<(), TextError> {
    let fits = !name.trim().is_empty() && name.len() <= ROOM_NAME_BYTES_MAX;
    if fits && name.chars().all(is_printable) { Ok(()) } else { Err(TextError::RoomName) }
}

/// `typed` without one pair of brackets around it: `[k7f3]`, as the screen shows a handle, is `k7f3`. No name has brackets.
#[must_use]
pub fn unbracketed(typed: &str) -> &str {
    let typed = typed.trim();
    typed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(typed)
}

/// `text` without what could move a terminal's cursor, reorder the line or hide in it. Line breaks and tabs
/// stay.
#[must_use]
pub fn sanitize(text: &str) -> String {
    text.chars().filter(|&c| c == '\n' || c == '\t' || is_printable(c)).collect()
}

/// The same JSON with `\u` and four digits for what [`sanitize`] drops: a program reads the same text, and a terminal sees nothing that it
/// obeys.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // What is below stands between values, or is escaped already.
    let is_raw = |c: char| c >= '\u{7f}' && !is_printable(c);
    let Some(first) = json.find(is_raw) else { return Cow::Borrowed(json) };
    let mut escaped = json[..first].to_owned();
    for c in json[first..].chars() {
        if is_raw(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("a string takes all");
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Neither a control character, nor one that reorders text (Unicode UAX #9), nor one of no width.
fn is_printable(c: char) -> bool {
    let reorders =
        matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let invisible = matches!(c, '\u{00ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !reorders && !invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_never_sees_escapes_or_reordering() {
        assert_eq!(sanitize("a\u{1b}[31mb\u{202e}c\u{200b}d\ne"), "a[31mbcd\ne");
    }

    #[test]
    fn in_json_a_terminal_sees_none_of_it_either_and_a_program_all() {
        let texts = ["çay ☕ a\tb\n", "\u{7f}\u{9b}31m", "\u{202e}\u{2066}\u{2028}\u{200f}", "\u{e0041}x\u{1f600}"];
        let json = serde_json::to_string(&texts).expect("plain data") + "\n";
        let escaped = escape_json(&json);
        assert!(escaped.contains(r"\u009b31m") && escaped.contains(r"\udb40\udc41x😀"), "{escaped}");
        assert_eq!(sanitize(&escaped), escaped);
        assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).expect("JSON"), texts);
        assert!(matches!(escape_json("[\"çay\"]\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn nicks_are_plain_words() {
        for good in ["ana", "bo_2", "Çağrı", "x-y"] {
            assert_eq!(check_nick(good), Ok(()), "{good}");
        }
        for bad in ["", "2bo", "a b", "a~b", &"x".repeat(33)] {
            assert_eq!(check_nick(bad), Err(TextError::Nick), "{bad}");
        }
    }

    #[test]
    fn a_text_of_16_kib_is_the_longest() {
        assert_eq!(check_message(&"x".repeat(16 * 1024)), Ok(()));
        assert!(check_message(&"x".repeat(16 * 1024 + 1)).is_err());
        assert_eq!(check_message(""), Err(TextError::Empty));
    }
}
