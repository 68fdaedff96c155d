//! The clocks of one machine: monotonic and wall time as functions of virtual time. Owns drift and jumps, and
//! the way back from a reading to when it comes; knows nothing of who reads.

use std::time::Duration;

use crate::base::{Now, Time, Wall};

/// Two clocks that may run fast or slow together; the wall clock jumps besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Clock {
    /// Since when the rate is what it is, in virtual time, and what the monotonic clock read then.
    since: Time,
    read: Time,
    /// Parts per million that it runs faster than virtual time.
    drift_ppm: i32,
    /// What the wall clock shows at a monotonic reading of zero, in milliseconds; a jump moves it.
    wall_ms: i64,
}

/// 2026-01-01, so that incarnations look like those of real nodes.
const EPOCH_MS: i64 = 1_767_225_600_000;
/// A monotonic clock counts from the boot of its machine, which was before the run.
const UPTIME: Duration = Duration::from_secs(1);
const MILLION: i128 = 1_000_000;
/// Half as fast, and half as fast again: past any real oscillator, and time still goes on.
const DRIFT_PPM_MAX: i32 = 500_000;

impl Clock {
    pub(super) fn new() -> Self {
        Self { since: Time::ZERO, read: Time::ZERO + UPTIME, drift_ppm: 0, wall_ms: EPOCH_MS }
    }

    pub(super) fn now(&self, time: Time, lag: Duration) -> Now {
        let read = self.monotonic(time);
        let wall_ms = self.wall_ms.saturating_add_unsigned(read.as_micros() / 1_000);
        Now { time: read, wall: Wall(u64::try_from(wall_ms).unwrap_or(0)), lag }
    }

    /// The earliest virtual time at which the monotonic clock reads `due` or more.
    pub(super) fn when(&self, due: Time) -> Time {
        let ahead = due.since(self.read);
        if self.drift_ppm == 0 {
            return self.since + ahead;
        }
        let rate = MILLION + i128::from(self.drift_ppm);
        let micros = (i128::try_from(ahead.as_micros()).unwrap_or(i128::MAX / MILLION) * MILLION + rate - 1) / rate;
        self.since + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Lets the wall clock jump, forward or back.
    pub(super) fn jump(&mut self, ms: i64) {
        self.wall_ms = self.wall_ms.saturating_add(ms);
    }

    /// Lets both clocks run `ppm` faster than virtual time from now on; half as fast again at most.
    pub(super) fn drift(&mut self, time: Time, ppm: i32) {
        self.read = self.monotonic(time);
        self.since = time;
        self.drift_ppm = ppm.clamp(-DRIFT_PPM_MAX, DRIFT_PPM_MAX);
    }

    fn monotonic(&self, time: Time) -> Time {
        let passed = time.since(self.since);
        if self.drift_ppm == 0 {
            return self.read + passed;
        }
        let rate = MILLION + i128::from(self.drift_ppm);
        let micros = i128::try_from(passed.as_micros()).unwrap_or(i128::MAX / MILLION / 2) * rate / MILLION;
        self.read + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_clock_that_runs_fast_is_ahead_and_its_alarms_come_early() {
        let mut clock = Clock::new();
        clock.drift(at(10), 100_000);
        assert_eq!(clock.now(at(20), Duration::ZERO).time, at(22), "one second of uptime, ten, and eleven");
        assert_eq!(clock.when(at(22)), at(20));
        clock.drift(at(20), 0);
        assert_eq!(clock.now(at(30), Duration::ZERO).time, at(32), "what it gained stays");
    }

    #[test]
    fn an_alarm_is_never_early_for_its_own_clock() {
        for ppm in [-500_000, -7, -1, 0, 1, 3, 99_999] {
            let mut clock = Clock::new();
            clock.drift(Time::from_micros(12_345), ppm);
            for due in (2_000_000..2_000_100).map(Time::from_micros) {
                let when = clock.when(due);
                assert!(clock.now(when, Duration::ZERO).time >= due, "{ppm} ppm, {due:?}");
                let before = when - Duration::from_micros(1);
                assert!(clock.now(before, Duration::ZERO).time < due, "{ppm} ppm, {due:?}");
            }
        }
    }

    #[test]
    fn a_jump_moves_wall_time_alone() {
        let mut clock = Clock::new();
        let before = clock.now(at(5), Duration::ZERO);
        clock.jump(-3_600_000);
        let after = clock.now(at(5), Duration::ZERO);
        assert_eq!(after.time, before.time);
        assert_eq!(after.wall.0, before.wall.0 - 3_600_000);
    }
}
