//! What a person reads: status, members, evidence and events as text. Pure functions from the shapes of
//! `node::api` to lines; no input, no output, no clock. Lines have no line break at their end. What peers
//! wrote passes `base::text::sanitize` here, and nowhere else.

mod age;
mod because;
mod deliveries;
mod disk;
mod events;
mod ink;
mod log;
mod names;
mod opening;
mod proof;
mod status;
mod table;
mod who;
mod why;
mod why_message;

use jiff::tz::TimeZone;

use crate::base::Wall;

pub use age::{age, latency, percent};
pub use because::{is_rename, is_restored};
pub use ink::{Ink, Tone};
pub use names::Names;
pub use opening::{Answered, Opening};
pub use status::Counters;

/// How text is made for one person: in colour or not, how wide, by which clock, and who is who.
#[derive(Clone, Debug)]
pub struct View {
    pub ink: Ink,
    pub zone: TimeZone,
    pub names: Names,
    /// How wide the person's terminal is; `None` where there is none.
    pub columns: Option<usize>,
}

impl View {
    /// The hour of `at` on the person's clock, to the millisecond: `14:03:22.480`.
    fn clock(&self, at: Wall) -> String {
        self.formatted(at, "%H:%M:%S%.3f")
    }

    /// Day and minute: `2026-11-22 14:03`.
    #[must_use]
    pub fn day(&self, at: Wall) -> String {
        self.formatted(at, "%Y-%m-%d %H:%M")
    }

    fn formatted(&self, at: Wall, format: &str) -> String {
        let stamp = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        stamp.map_or_else(|| "?".into(), |stamp| stamp.to_zoned(self.zone.clone()).strftime(format).to_string())
    }
}

/// `ana`, `ana and bo`, `ana, bo and cy`.
fn list<S: AsRef<str>>(items: &[S]) -> String {
    let texts: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match texts.as_slice() {
        [] => String::new(),
        [one] => (*one).into(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// `1 message`, `2 messages`.
fn count(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_people_say_them() {
        assert_eq!(list::<&str>(&[]), "");
        assert_eq!(list(&["ana"]), "ana");
        assert_eq!(list(&["ana", "bo"]), "ana and bo");
        assert_eq!(list(&["ana", "bo", "cy"]), "ana, bo and cy");
    }

    #[test]
    fn a_time_that_no_calendar_has_does_not_panic() {
        let view = View { ink: Ink::Plain, zone: TimeZone::UTC, names: Names::default(), columns: None };
        assert_eq!(view.clock(Wall(1_000)), "00:00:01.000");
        assert_eq!(view.day(Wall(u64::MAX)), "?");
    }
}
