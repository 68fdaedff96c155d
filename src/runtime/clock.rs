//! The clocks of this machine, read as the values that the node works with. Owns the choice of clock; keeps
//! no time itself. Nothing else in the program looks at a clock that the machine's decisions depend on.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::base::{Now, Time, Wall};

/// The monotonic clock that counts suspend: a laptop that slept an hour has not heard anybody for an hour.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MONOTONIC: ClockId = ClockId::Boottime;
/// On macOS `CLOCK_MONOTONIC` counts suspend (`CLOCK_UPTIME_RAW` is the one that does not).
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MONOTONIC: ClockId = ClockId::Monotonic;

/// Monotonic time.
#[must_use]
pub fn time() -> Time {
    let read = clock_gettime(MONOTONIC);
    Time::from_micros(whole_seconds(&read) * 1_000_000 + nanoseconds(&read) / 1_000)
}

/// Wall time. It jumps where a person or a time server sets it.
#[must_use]
pub fn wall() -> Wall {
    let read = clock_gettime(ClockId::Realtime);
    Wall(whole_seconds(&read) * 1_000 + nanoseconds(&read) / 1_000_000)
}

/// Both, with the driver's own lateness.
#[must_use]
pub fn now(lag: Duration) -> Now {
    Now { time: time(), wall: wall(), lag }
}

/// How late it is for what was due at `due`; zero where nothing was, or where it is on time.
#[must_use]
pub fn lag(due: Option<Time>, time: Time) -> Duration {
    due.map_or(Duration::ZERO, |due| time.since(due))
}

/// Zero for a clock that is set before 1970.
fn whole_seconds(read: &Timespec) -> u64 {
    u64::try_from(read.tv_sec).unwrap_or(0)
}

fn nanoseconds(read: &Timespec) -> u64 {
    u64::try_from(read.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back() {
        let mut last = time();
        for _ in 0..10_000 {
            let next = time();
            assert!(next >= last, "{next:?} after {last:?}");
            last = next;
        }
    }

    #[test]
    fn wall_time_is_of_this_century() {
        assert!(wall() > Wall(1_700_000_000_000));
    }

    #[test]
    fn only_what_was_due_is_late() {
        let time = Time::from_micros(5_000);
        assert_eq!(lag(None, time), Duration::ZERO);
        assert_eq!(lag(Some(Time::from_micros(6_000)), time), Duration::ZERO);
        assert_eq!(lag(Some(Time::from_micros(2_000)), time), Duration::from_millis(3));
    }
}
