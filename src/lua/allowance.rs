//! How much one script may run in all its calls together. Owns the account, in instructions earned with time; knows nothing of
//! what is called.

use std::time::Duration;

use crate::base::Time;
use crate::base::limits::SCRIPT_INSTRUCTIONS_PER_SECOND_MAX;

/// What one microsecond earns, and what a full account holds, in millionths of an instruction.
const PER_MICRO: i64 = SCRIPT_INSTRUCTIONS_PER_SECOND_MAX.cast_signed();
const FULL: i64 = PER_MICRO * 1_000_000;

/// Instructions that a script may still use. A call that begins may use all that one call may, also where less is left: then
/// the account is in debt, and the next call waits until that is paid.
#[derive(Debug)]
pub(super) struct Allowance {
    millionths: i64,
    /// Up to when it was earned.
    earned: Time,
}

impl Allowance {
    pub(super) const fn new(now: Time) -> Self {
        Self { millionths: FULL, earned: now }
    }

    /// Whether a call may begin.
    pub(super) fn has_some(&mut self, now: Time) -> bool {
        let micros = i64::try_from(now.since(self.earned).as_micros()).unwrap_or(i64::MAX);
        self.millionths = self.millionths.saturating_add(micros.saturating_mul(PER_MICRO)).min(FULL);
        self.earned = self.earned.max(now);
        self.millionths > 0
    }

    pub(super) fn spend(&mut self, instructions: u64) {
        let millionths = i64::try_from(instructions).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        self.millionths = self.millionths.saturating_sub(millionths);
    }

    /// From when on a call may begin.
    pub(super) fn since(&self) -> Time {
        if self.millionths > 0 {
            return Time::ZERO;
        }
        let micros = self.millionths.unsigned_abs() / PER_MICRO.unsigned_abs() + 1;
        self.earned + Duration::from_micros(micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_micros(ms * 1_000)
    }

    #[test]
    fn what_is_used_up_is_earned_back_with_time() {
        let mut allowance = Allowance::new(at(0));
        allowance.spend(SCRIPT_INSTRUCTIONS_PER_SECOND_MAX - 1);
        assert!(allowance.has_some(at(0)));
        assert_eq!(allowance.since(), Time::ZERO);
        allowance.spend(1_000_001);
        assert!(!allowance.has_some(at(100)));
        assert_eq!(allowance.since(), Time::from_micros(100_001));
        assert!(allowance.has_some(allowance.since()));
    }

    #[test]
    fn no_more_than_a_second_is_kept() {
        let mut allowance = Allowance::new(at(0));
        assert!(allowance.has_some(at(60_000)));
        allowance.spend(SCRIPT_INSTRUCTIONS_PER_SECOND_MAX);
        assert!(!allowance.has_some(at(60_000)));
        allowance.spend(u64::MAX);
        assert!(!allowance.has_some(at(120_000)) && allowance.since() > at(120_000));
    }
}
