//! How the program ends: exit codes, and the one line on standard error that says why.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::base::text;
use crate::runtime::protocol::{ErrorKind, RequestError};

/// An exit code of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done; of `send`: all delivered.
    Well,
    Failed,
    Usage,
    /// Of `send`: delivered to some.
    Some,
    /// Of `send`: delivered to none, or nothing is known.
    None,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Well => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Some => 3,
            Exit::None => 4,
        })
    }
}

impl Failure {
    /// What was typed makes no sense; the sentence says what would.
    pub(super) fn misuse(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, error: anyhow::Error::msg(sentence.into()) }
    }

    /// It may have been done or not, so that doing it again may do it twice; the sentence says what is known.
    pub(super) fn unknown(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::None, error: anyhow::Error::msg(sentence.into()) }
    }

    /// The same, with what that means said before it.
    pub(super) fn context(self, sentence: &'static str) -> Self {
        Self { error: self.error.context(sentence), ..self }
    }

    /// Says why, in one line on standard error. A reader of the output that went away is no error: it has
    /// read what it wanted.
    pub(super) fn tell(&self) -> Exit {
        if self.is_broken_pipe() {
            return Exit::Well;
        }
        let _ = writeln!(io::stderr(), "moot: {}", self.sentence());
        self.exit
    }

    pub(super) fn sentence(&self) -> String {
        let sentence = text::sanitize(&format!("{:#}", self.error));
        sentence.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn is_broken_pipe(&self) -> bool {
        let io = self.error.downcast_ref::<io::Error>();
        io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let exit = match error.downcast_ref::<RequestError>().map(|error| error.kind) {
            Some(ErrorKind::Usage) => Exit::Usage,
            Some(ErrorKind::Refused | ErrorKind::Failed) | None => Exit::Failed,
        };
        Self { exit, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_mend_it_decides_the_exit_code() {
        assert_eq!(Failure::from(RequestError::usage("zed is not known here")).exit, Exit::Usage);
        assert_eq!(Failure::from(RequestError::refused("the disk is full")).exit, Exit::Failed);
        assert_eq!(Failure::misuse("no").exit, Exit::Usage);
        assert_eq!(Failure::from(io::Error::other("gone")).exit, Exit::Failed);
    }

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::misuse("a ticket\n  is one word\u{1b}[2J");
        assert_eq!(failure.sentence(), "a ticket is one word[2J");
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).tell(), Exit::Well);
    }
}
