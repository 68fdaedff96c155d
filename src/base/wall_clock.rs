//! How the wall clock was set while a node ran. Owns for how long it has been what was dated by that clock; never looks
//! at one.

use super::{Now, Time, Wall};

/// A wall clock that parts from the monotonic one by more was set, in milliseconds; by less it is only slewed.
const SET_MS: u64 = 1_000;
/// Settings that are remembered. A clock that is slewed at the kernel's most, 500 parts in a million, takes 35 hours for as many.
const SETTINGS_MAX: usize = 64;

/// The settings of one machine's wall clock since the node began, the oldest first; never empty.
#[derive(Debug)]
pub struct WallClock {
    settings: Vec<Setting>,
}

#[derive(Clone, Copy, Debug)]
struct Setting {
    from: Time,
    /// What the wall clock shows at a monotonic reading of zero, in milliseconds.
    zero_ms: i64,
}

impl WallClock {
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self { settings: vec![Setting::of(now)] }
    }

    /// Takes in what both clocks read. A wall clock that stands at zero, which is what one before 1970 is read as, says nothing.
    pub fn read(&mut self, now: Now) {
        let setting = Setting::of(now);
        if now.wall.0 > 0 && self.settings.last().is_none_or(|last| last.zero_ms.abs_diff(setting.zero_ms) > SET_MS) {
            if self.settings.len() == SETTINGS_MAX {
                self.settings.remove(0);
            }
            self.settings.push(setting);
        }
    }

    /// For how long it has been `then`, in milliseconds, by the monotonic clock where `then` was read in this run. What is
    /// older, or from a setting that is forgotten, is as old as the wall clock says now. Where a clock that was set back
    /// showed `then` twice, it is the earlier: what was dated within as long after that as it was set back is told as so much
    /// older than it is, and never another age from one moment to the next.
    #[must_use]
    pub fn ms_since(&self, now: Now, then: Wall) -> u64 {
        let ends = self.settings.iter().skip(1).map(|setting| setting.from).chain([now.time]);
        for (setting, end) in self.settings.iter().zip(ends) {
            let read_ms = i64::try_from(then.0).unwrap_or(i64::MAX).saturating_sub(setting.zero_ms);
            // What was slewed since the setting was noted, or is rounded.
            let slack = i64::try_from(SET_MS).unwrap_or(0);
            if (millis(setting.from) - slack..=millis(end) + slack).contains(&read_ms) {
                return u64::try_from(millis(now.time) - read_ms).unwrap_or(0);
            }
        }
        now.wall.0.saturating_sub(then.0)
    }
}

impl Setting {
    fn of(now: Now) -> Self {
        let wall_ms = i64::try_from(now.wall.0).unwrap_or(i64::MAX);
        Self { from: now.time, zero_ms: wall_ms.saturating_sub(millis(now.time)) }
    }
}

fn millis(time: Time) -> i64 {
    i64::try_from(time.as_micros() / 1_000).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn now(ms: u64, wall: u64) -> Now {
        Now { time: Time::from_micros(ms * 1_000), wall: Wall(wall), lag: Duration::ZERO }
    }

    const YEARS: u64 = 56 * 365 * 86_400_000;

    #[test]
    fn what_was_dated_before_the_clock_was_set_is_as_old_as_it_is() {
        let mut clock = WallClock::new(now(5_000, 100_000));
        clock.read(now(15_000, 110_000));
        clock.read(now(25_000, YEARS));
        assert_eq!(clock.ms_since(now(27_000, YEARS + 2_000), Wall(110_000)), 12_000);
        assert_eq!(clock.ms_since(now(27_000, YEARS + 2_000), Wall(YEARS + 500)), 1_500);
        clock.read(now(30_000, 50_000));
        assert_eq!(clock.ms_since(now(31_000, 51_000), Wall(YEARS + 500)), 5_500, "it was set back");
    }

    #[test]
    fn an_age_goes_on_where_a_clock_that_was_set_back_comes_past_its_date_again() {
        const HOUR: u64 = 3_600_000;
        let mut clock = WallClock::new(now(0, 10 * HOUR));
        clock.read(now(20_000, 9 * HOUR + 20_000));
        for passed in [30_000, HOUR, HOUR + 9_000, HOUR + 11_000, 5 * HOUR] {
            let now = now(passed, 9 * HOUR + passed);
            assert_eq!(clock.ms_since(now, Wall(10 * HOUR + 10_000)), passed - 10_000);
            assert_eq!(clock.ms_since(now, Wall(9 * HOUR + 25_000)), passed - 25_000);
        }
    }

    #[test]
    fn what_is_older_than_the_run_is_as_old_as_the_clock_says() {
        let mut clock = WallClock::new(now(5_000, 0));
        clock.read(now(6_000, YEARS));
        assert_eq!(clock.ms_since(now(7_000, YEARS + 1_000), Wall(YEARS - 60_000)), 61_000);
        assert_eq!(clock.ms_since(now(7_000, YEARS + 1_000), Wall(2 * YEARS)), 0, "nothing is of the time to come");
    }

    #[test]
    fn a_clock_that_is_slewed_a_little_or_cannot_be_read_was_not_set() {
        let mut clock = WallClock::new(now(0, 1_000_000));
        for second in 1..100 {
            clock.read(now(second * 1_000, 1_000_000 + second * 1_009));
            clock.read(now(second * 1_000, 0));
        }
        assert_eq!(clock.settings.len(), 1);
    }

    #[test]
    fn so_many_settings_are_remembered() {
        let mut clock = WallClock::new(now(0, 1_000_000));
        for hour in 1..=100 {
            clock.read(now(hour * 3_600_000, 1_000_000 + hour * 3_600_000 + hour * 1_800));
        }
        assert_eq!(clock.settings.len(), SETTINGS_MAX);
        let now = now(360_000_000, 361_180_000);
        assert_eq!(clock.ms_since(now, Wall(361_180_000 - 3_600_000)), 3_598_200);
    }
}
