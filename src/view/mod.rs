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
mod why_delivery;
mod why_message;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::base::Wall;

pub use age::{age, latency, percent};
pub use because::{is_rename, is_restored};
pub use ink::{Ink, Tone};
pub use names::Names;
pub use opening::{Answered, Opening, leads_here_from_elsewhere};
pub use status::Counters;

/// How text is made for one person: in colour or not, how wide, by which clock, and who is who.
#[derive(Clone, Debug)]
pub struct View {
    pub ink: Ink,
    pub zone: TimeZone,
    /// When it is read: ages count back from then, and the times of that day stand without a date.
    pub now: Wall,
    pub names: Names,
    /// How wide the person's terminal is; `None` where there is none.
    pub columns: Option<usize>,
}

impl View {
    /// A time on the person's clock, to the second: `14:03:22`, and `2026-11-22 14:03:22` of another day than today.
    #[must_use]
    pub fn time(&self, at: Wall) -> String {
        self.clock(at, "%H:%M:%S")
    }

    /// The same to the millisecond, for what is compared with other such times: `14:03:22.480`.
    fn exact_time(&self, at: Wall) -> String {
        self.clock(at, "%H:%M:%S%.3f")
    }

    /// With its date in any case, for what is kept or passed on: `2026-11-22 14:03:22`.
    fn dated_time(&self, at: Wall) -> String {
        self.zoned(at).map_or_else(unknown, |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
    }

    fn clock(&self, at: Wall, hour: &str) -> String {
        let Some(zoned) = self.zoned(at) else { return unknown() };
        let is_today = self.zoned(self.now).is_some_and(|now| now.date() == zoned.date());
        let date = if is_today { "" } else { "%Y-%m-%d " };
        zoned.strftime(&format!("{date}{hour}")).to_string()
    }

    fn zoned(&self, at: Wall) -> Option<Zoned> {
        let stamp = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        stamp.map(|stamp| stamp.to_zoned(self.zone.clone()))
    }
}

/// A time that no calendar has.
fn unknown() -> String {
    "?".into()
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

    fn view(zone: TimeZone, now: Wall) -> View {
        View { ink: Ink::Plain, zone, now, names: Names::default(), columns: None }
    }

    #[test]
    fn a_time_that_no_calendar_has_does_not_panic() {
        let today = view(TimeZone::UTC, Wall(2_000));
        assert_eq!(today.exact_time(Wall(1_000)), "00:00:01.000");
        assert_eq!((today.time(Wall(u64::MAX)), today.dated_time(Wall(u64::MAX))), ("?".into(), "?".into()));
    }

    #[test]
    fn a_time_of_another_day_on_the_persons_clock_has_its_date() {
        let at = Wall(1_700_000_000_250);
        let hour = 3_600_000;
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        let in_utc = |now| view(TimeZone::UTC, Wall(now)).time(at);
        assert_eq!([in_utc(at.0 + hour), in_utc(at.0 + 2 * hour)], ["22:13:20", "2023-11-14 22:13:20"]);
        let in_berlin = |now| view(berlin.clone(), Wall(now)).exact_time(at);
        assert_eq!([in_berlin(at.0), in_berlin(at.0 + hour)], ["23:13:20.250", "2023-11-14 23:13:20.250"]);
        assert_eq!(view(berlin, at).dated_time(at), "2023-11-14 23:13:20");
    }
}
