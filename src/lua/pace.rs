//! How often a script may send. Owns the pace; knows nothing of what is sent.

use crate::base::Time;
use crate::base::limits::{SCRIPT_MESSAGE_EVERY, SCRIPT_MESSAGES_MAX};

/// What a script may still send now, earned back with time.
#[derive(Debug)]
pub(super) struct Pace {
    left: u32,
    /// When the last one was earned.
    earned: Time,
}

impl Pace {
    pub(super) const fn new(now: Time) -> Self {
        Self { left: SCRIPT_MESSAGES_MAX, earned: now }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Time) -> bool {
        while self.left < SCRIPT_MESSAGES_MAX && now.since(self.earned) >= SCRIPT_MESSAGE_EVERY {
            self.left += 1;
            self.earned += SCRIPT_MESSAGE_EVERY;
        }
        if self.left == SCRIPT_MESSAGES_MAX {
            self.earned = now;
        }
        let is_there = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_one_a_second() {
        let at = |ms: u64| Time::from_micros(ms * 1_000);
        let mut pace = Pace::new(at(0));
        let sent = (0..5_000).filter(|&ms| pace.take(at(ms))).count();
        assert_eq!(sent, 10 + 4);
        assert_eq!((0..20).filter(|_| pace.take(at(60_000))).count(), 10);
    }
}
