//! Typing without a terminal, or without its tricks: one line in, lines out. What comes through a pipe is
//! bytes from outside, so each line is bounded and checked.

use std::io::{self, BufRead, Read as _, Write as _};
use std::time::Duration;

use super::session::{Next, Session};
use crate::base::limits::{CONTROL_REQUEST_BYTES_MAX, TEXT_BYTES_MAX};
use crate::base::text::TextError;

/// How long the end of the input waits for what was typed to be settled.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(2);

/// A line of input.
#[derive(Debug, PartialEq, Eq)]
enum Input {
    Line(String),
    /// Not a line that can be meant; the rest of the input is still read.
    Bad(TextError),
    End,
}

/// Reads and carries out lines until the input, the person or the node ends.
pub(super) fn run(session: &mut Session, mut input: impl BufRead, mut print: impl FnMut(String)) {
    loop {
        let line = match read_line(&mut input) {
            Ok(Input::Line(line)) => line,
            Ok(Input::Bad(error)) => {
                complain(&error.to_string());
                continue;
            }
            Ok(Input::End) => break,
            Err(error) => {
                complain(&format!("cannot read the input: {error}"));
                break;
            }
        };
        match session.handle_line(&line) {
            Ok(Next::Nothing) => (),
            Ok(Next::Print(text)) => print(text + "\n"),
            Ok(Next::Accepted { lines, .. }) => print(lines),
            Ok(Next::Complain(sentence)) => complain(&sentence),
            Ok(Next::Quit) => break,
            Err(_) => return,
        }
    }
    session.board.wait_settled(SETTLE_TIME_MAX);
}

fn read_line(input: &mut impl BufRead) -> io::Result<Input> {
    let bound = u64::try_from(CONTROL_REQUEST_BYTES_MAX).expect("64 KiB is a number of 64 bits");
    let mut bytes = Vec::new();
    if input.by_ref().take(bound).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(Input::End);
    }
    if !bytes.ends_with(b"\n") && bytes.len() >= CONTROL_REQUEST_BYTES_MAX {
        let read = bytes.len() + skip_line(input)?;
        return Ok(Input::Bad(TextError::TooLong { bytes: read, max: TEXT_BYTES_MAX }));
    }
    Ok(String::from_utf8(bytes).map_or(Input::Bad(TextError::NotUtf8), Input::Line))
}

/// Reads to the end of the line without keeping it, and says how many bytes it had.
fn skip_line(input: &mut impl BufRead) -> io::Result<usize> {
    let mut skipped = 0;
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        input.consume(taken);
        skipped += end.unwrap_or(taken);
        if end.is_some() || taken == 0 {
            return Ok(skipped);
        }
    }
}

fn complain(sentence: &str) {
    let _ = writeln!(io::stderr(), "moot: {sentence}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_checked() {
        let long = "x".repeat(CONTROL_REQUEST_BYTES_MAX + 5);
        let mut bytes = format!("hello\r\n{long}\nüber\n").into_bytes();
        bytes.extend(b"\xff\xfe\nlast");
        let mut input = io::Cursor::new(bytes);
        let mut next = || read_line(&mut input).unwrap();
        assert_eq!(next(), Input::Line("hello\r\n".into()));
        let bytes = CONTROL_REQUEST_BYTES_MAX + 5;
        assert_eq!(next(), Input::Bad(TextError::TooLong { bytes, max: TEXT_BYTES_MAX }));
        assert_eq!(next(), Input::Line("über\n".into()));
        assert_eq!(next(), Input::Bad(TextError::NotUtf8));
        assert_eq!(next(), Input::Line("last".into()));
        assert_eq!(next(), Input::End);
    }
}
