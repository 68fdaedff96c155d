//! Stalls of our own: a loop that was late, a process that was stopped, a machine that slept. Owns the
//! measure of them, so that nobody else is blamed; judges nobody.

use std::time::Duration;

use crate::base::{Now, Time};

/// Lateness below this is the timer's grain.
const GRAIN: Duration = Duration::from_millis(50);
/// A stall above this makes everything that was pending stale.
pub const LONG: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Stalls {
    /// Until when time was accounted for.
    seen: Time,
}

impl Stalls {
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self { seen: now }
    }

    /// The stall that ends at `now`, without what an earlier call returned of it: `due` is when this machine
    /// wanted to be called.
    pub fn observe(&mut self, now: Now, due: Option<Time>) -> Duration {
        let late = due.map_or(Duration::ZERO, |due| now.time.since(due)).max(now.lag);
        if late < GRAIN {
            return Duration::ZERO;
        }
        let fresh = late.min(now.time.since(self.seen));
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
}
