//! What Tab offers: commands, nicks, handles of messages. A pure function of the line and of what is known;
//! the line editor is kept at its door.

use std::borrow::Cow;
use std::sync::Arc;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::{Context, Helper, Hinter, Validator};

use super::board::Shared;
use super::parse::COMMANDS;
use crate::faults::Kind;

/// The words that can be completed now.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    pub(super) nicks: Vec<String>,
    /// Handles of messages, newest first.
    pub(super) handles: Vec<String>,
}

/// Hands the line editor what [`complete`] finds.
#[derive(Helper, Hinter, Validator)]
pub(super) struct TabHelper {
    pub(super) board: Arc<Shared>,
}

impl Completer for TabHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let words = self.board.lock().words();
        let (start, found) = complete(line.get(..at).unwrap_or(line), &words);
        let pair = |text: String| Pair { display: text.trim_end().to_owned(), replacement: text };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Highlighter for TabHelper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> Cow<'b, str> {
        if default { self.board.lock().prompt_now(prompt) } else { Cow::Borrowed(prompt) }
    }
}

/// The words of a fault; a comma separates faults without a blank.
fn fault_words() -> impl Iterator<Item = String> {
    ["drop"].into_iter().chain(Kind::ALL.map(Kind::name)).chain(["off"]).map(str::to_owned)
}

/// What stands before a member in a fault.
const FAULT_ENDS: [&str; 2] = ["to", "from"];

/// What the last word of `typed` may become, and where in `typed` that word begins.
fn complete(typed: &str, words: &Words) -> (usize, Vec<String>) {
    let start = typed.rfind(char::is_whitespace).map_or(0, |blank| blank + blank_len(typed, blank));
    let (before, word) = typed.split_at(start);
    let before: Vec<&str> = before.split_whitespace().collect();
    let found = match before.as_slice() {
        [] if word.starts_with('/') => spaced(starting(word, COMMANDS.iter().map(|command| command.name.to_owned()))),
        [] => {
            let nicks = starting(word, words.nicks.iter().cloned());
            nicks.into_iter().map(|nick| format!("{nick}: ")).collect()
        }
        ["/msg"] | ["/fault", .., "to" | "from"] => spaced(starting(word, words.nicks.iter().cloned())),
        ["/why"] => starting(word, words.nicks.iter().chain(&words.handles).cloned()),
        ["/fault"] => starting(word, fault_words()),
        ["/fault", "off"] => starting(word, Kind::ALL.into_iter().map(|kind| kind.name().to_owned())),
        ["/fault", ..] => spaced(starting(word, FAULT_ENDS.map(str::to_owned).into_iter())),
        ["/status"] => starting(word, std::iter::once("counters".to_owned())),
        [command, ..] if command.starts_with('/') && *command != "/msg" && *command != "/me" => Vec::new(),
        [_, ..] if word.is_empty() => Vec::new(),
        [_, ..] => spaced(starting(word, words.nicks.iter().cloned())),
    };
    (start, found)
}

fn blank_len(typed: &str, blank: usize) -> usize {
    typed.get(blank..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
}

fn starting(word: &str, all: impl Iterator<Item = String>) -> Vec<String> {
    let word = word.to_lowercase();
    all.filter(|candidate| candidate.to_lowercase().starts_with(&word)).collect()
}

fn spaced(found: Vec<String>) -> Vec<String> {
    found.into_iter().map(|text| text + " ").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(typed: &str) -> (usize, Vec<String>) {
        let words = Words { nicks: vec!["bo".into(), "bea".into(), "Çem".into()], handles: vec!["k7f3".into()] };
        complete(typed, &words)
    }

    fn texts(typed: &str) -> Vec<String> {
        found(typed).1
    }

    #[test]
    fn a_slash_offers_commands() {
        assert_eq!(texts("/wh"), ["/who ", "/why "]);
        assert_eq!(texts("/").len(), COMMANDS.len());
    }

    #[test]
    fn nicks_come_where_a_member_is_meant() {
        assert_eq!(found("/msg b"), (5, vec!["bo ".into(), "bea ".into()]));
        assert_eq!(texts("ç"), ["Çem: "]);
        assert_eq!(texts("hello B"), ["bo ", "bea "]);
        assert!(texts("hello ").is_empty());
        assert!(texts("/nick b").is_empty());
    }

    #[test]
    fn why_offers_members_and_messages() {
        assert_eq!(texts("/why "), ["bo", "bea", "Çem", "k7f3"]);
        assert_eq!(texts("/why k"), ["k7f3"]);
        assert_eq!(texts("/fault o"), ["off"]);
        assert_eq!(texts("/fault off c"), ["cut", "corrupt"]);
        assert_eq!(texts("/fault d"), ["drop", "delay", "duplicate"]);
        assert_eq!(texts("/fault drop 20% "), ["to ", "from "]);
        assert_eq!(texts("/fault drop 20% to b"), ["bo ", "bea "]);
    }

    #[test]
    fn a_wide_blank_before_the_word_is_no_trap() {
        assert_eq!(found("/msg\u{3000}b").0, "/msg\u{3000}".len());
    }
}
