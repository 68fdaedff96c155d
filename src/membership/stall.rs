//! Stalls of our own: a loop that was late, a process that was stopped, a machine that slept. Owns the
//! measure of them, so that nobody else is blamed; judges nobody.

use std::time::Duration;

use crate::base::{Now, Time};

/// Lateness below this is the timer's grain.
const GRAIN: Duration = Duration::from_millis(50);
/// A loop that is as late again within this time is late all the time: it did not stand still again (a guess; something is due
/// each second).
const STEADY: Duration = Duration::from_secs(1);
/// A stall above this makes everything that was pending stale.
pub const LONG: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Stalls {
    /// Until when time was accounted for.
    seen: Time,
    /// The most that the loop was late lately, and when.
    late: (Duration, Time),
}

impl Stalls {
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self { seen: now, late: (Duration::ZERO, now) }
    }

    /// The stall that ends at `now`, without what an earlier call returned of it: `due` is when this machine
    /// wanted to be called. A loop that is late by as much all the time hears everybody as much later, once: that is no stall
    /// each time, or no silence would ever be long enough.
    pub fn observe(&mut self, now: Now, due: Option<Time>) -> Duration {
        let late = due.map_or(Duration::ZERO, |due| now.time.since(due)).max(now.lag);
        if late < GRAIN {
            return Duration::ZERO;
        }
        let (before, at) = self.late;
        let before = if now.time.since(at) <= STEADY { before } else { Duration::ZERO };
        if late >= before {
            self.late = (late, now.time);
        }
        let fresh = late.saturating_sub(before).min(now.time.since(self.seen));
        self.seen = now.time;
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;

    #[test]
    fn a_stall_is_counted_once_however_often_it_is_seen() {
        let at = |ms: u64, lag: u64| Now {
            time: Time::from_micros(ms * 1000),
            wall: Wall(ms),
            lag: Duration::from_millis(lag),
        };
        let mut stalls = Stalls::new(Time::ZERO);
        assert_eq!(stalls.observe(at(1000, 5), None), Duration::ZERO);
        assert_eq!(stalls.observe(at(6000, 5000), None), Duration::from_secs(5));
        assert_eq!(stalls.observe(at(6000, 5000), Some(Time::from_micros(1_000_000))), Duration::ZERO);
        assert_eq!(stalls.observe(at(6030, 5030), None), Duration::from_millis(30), "the loop still catches up");
        assert_eq!(stalls.observe(at(9000, 0), Some(Time::from_micros(8_900_000))), Duration::from_millis(100));
    }

    #[test]
    fn a_loop_that_is_late_all_the_time_has_one_stall() {
        let mut stalls = Stalls::new(Time::ZERO);
        let observed = (1_u64..500).map(|n| {
            let lag = Duration::from_millis(300);
            stalls.observe(Now { time: Time::from_micros(n * 40_000), wall: Wall(n * 40), lag }, None)
        });
        assert_eq!(
            observed.sum::<Duration>(),
            Duration::from_millis(40),
            "no more than the time that passed before the first"
        );
        let mut stalls = Stalls::new(Time::ZERO);
        let at = |ms: u64| Now { time: Time::from_micros(ms * 1000), wall: Wall(ms), lag: Duration::from_secs(5) };
        let stopped = [5_000, 10_500].map(|ms| stalls.observe(at(ms), None));
        assert_eq!(
            stopped,
            [Duration::from_secs(5); 2],
            "who is stopped again soon after it went on stood still twice"
        );
    }
}
