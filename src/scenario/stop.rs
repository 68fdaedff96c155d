//! Why a run ended before its script did. Owns the one message that names file, line, time and state; what it
//! means for the exit code is the verdict.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::base::MessageId;
use crate::check::{LineNumber, Name};

/// Where in which file the script stood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub file: String,
    pub line: u32,
}

/// What ended the run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// The check of this number does not hold.
    Check(u8),
    /// An expectation, in the words of the script.
    Expectation(String),
    /// A wait that ran out, and what it waited for.
    Wait(String),
    /// A node refused what the script had its person ask.
    Refused,
    /// The script: its syntax, a wrong name, a limit.
    Script,
    /// The fleet cannot do what the script asks.
    Cannot,
    /// The fleet itself, or a node that ended by itself.
    Fleet,
}

/// What the run comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Passed,
    Failed,
    /// The script is wrong, so it shows nothing.
    Wrong,
    /// The fleet cannot do it: what would have shown is not known, which is never a pass.
    Unknown,
}

/// The end of a run that did not come to its script's end. Boxed, because most calls do not end in one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop(Box<Facts>);

/// What is known about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    pub why: Why,
    pub place: Option<Place>,
    /// Time since the run began; `None` before the first node.
    pub at: Option<Duration>,
    pub text: String,
    /// How the room stands, one line a node; only where it says something.
    pub room: Vec<String>,
    pub about: About,
    /// The statement that failed, as a shrunk scenario may say it again.
    pub(super) statement: Option<String>,
    /// When the wait that ran out had begun.
    pub(super) began: Option<Duration>,
}

/// What the causal past of a failure is asked of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct About {
    pub line: Option<LineNumber>,
    pub messages: Vec<MessageId>,
    pub nodes: Vec<Name>,
}

impl Stop {
    pub(super) fn new(why: Why, text: impl Into<String>) -> Self {
        let text = text.into();
        let about = About::default();
        let facts = Facts { why, place: None, at: None, text, room: Vec::new(), about, statement: None, began: None };
        Self(Box::new(facts))
    }

    pub(super) fn script(text: impl Into<String>) -> Self {
        Self::new(Why::Script, text)
    }

    pub(super) fn about(mut self, about: About) -> Self {
        self.about = about;
        self
    }

    pub(super) fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// Whether the text of an error is that of this stop, whatever Lua wrote around it.
    pub(super) fn is_said_in(&self, error: &str) -> bool {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        words(error).contains(&words(&self.text))
    }

    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.why {
            Why::Check(_) | Why::Expectation(_) | Why::Wait(_) | Why::Refused | Why::Fleet => Verdict::Failed,
            Why::Script => Verdict::Wrong,
            Why::Cannot => Verdict::Unknown,
        }
    }

    /// Whether `other` is the same failure, perhaps at another time of another run.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.why == other.why && (self.why != Why::Refused || self.text == other.text)
    }
}

impl Deref for Stop {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.0
    }
}

impl DerefMut for Stop {
    fn deref_mut(&mut self) -> &mut Facts {
        &mut self.0
    }
}

impl Verdict {
    /// In a word, as the verdict line has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Wrong => "error",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.at) {
            (Some(place), Some(at)) => write!(f, "{place}, at {}: ", seconds(at))?,
            (Some(place), None) => write!(f, "{place}: ")?,
            (None, Some(at)) => write!(f, "at {}: ", seconds(at))?,
            (None, None) => {}
        }
        f.write_str(&self.text)?;
        self.room.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Stop {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A time of a run, to the millisecond: `12.345 s`.
#[must_use]
pub fn seconds(at: Duration) -> String {
    format!("{}.{:03} s", at.as_secs(), at.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_names_file_line_time_and_state() {
        let mut stop = Stop::new(Why::Wait("all see all".into()), "waited 30 s for \"all see all\", in vain");
        assert_eq!(stop.to_string(), stop.text);
        stop.place = Some(Place { file: "a.lua".into(), line: 7 });
        stop.at = Some(Duration::from_millis(31_250));
        stop.room = vec!["ana up, sees nobody".into()];
        let text = "a.lua:7, at 31.250 s: waited 30 s for \"all see all\", in vain\n  ana up, sees nobody";
        assert_eq!(stop.to_string(), text);
        assert_eq!(stop.verdict(), Verdict::Failed);
    }

    #[test]
    fn what_a_fleet_cannot_do_is_never_a_pass() {
        assert_eq!(Stop::new(Why::Cannot, "no").verdict(), Verdict::Unknown);
        assert_eq!(Stop::script("no").verdict(), Verdict::Wrong);
    }
}
