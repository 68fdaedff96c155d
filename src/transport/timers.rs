//! Deadlines by what they are for, at most one each. Owns their order, so that the next one is found at
//! once; knows nothing of what happens when one passes.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{MemberId, Time};

/// What a deadline is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    /// Message 1 of an attempt goes out, again, or was in vain.
    Dial(u32),
    /// Message 3 of a session goes out again, or was in vain.
    Confirm(u32),
    /// A half-open handshake has had its time.
    HalfOpen(u32),
    /// The oldest unfinished frame of a peer has had its time.
    Reassembly(MemberId),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    deadlines: BTreeMap<Timer, Time>,
    order: BTreeSet<(Time, Timer)>,
}

impl Timers {
    /// Sets, moves or (with `None`) takes back a deadline.
    pub(super) fn set(&mut self, timer: Timer, at: Option<Time>) {
        let before = match at {
            Some(at) => self.deadlines.insert(timer, at),
            None => self.deadlines.remove(&timer),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, timer));
        }
        if let Some(at) = at {
            self.order.insert((at, timer));
        }
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.order.first().map(|&(at, _)| at)
    }

    /// Takes a deadline that is not after `now`, the earliest first.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        let &(at, timer) = self.order.first()?;
        if at > now {
            return None;
        }
        self.set(timer, None);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_their_order_and_moved_ones_once() {
        let at = Time::from_micros;
        let mut timers = Timers::default();
        timers.set(Timer::Dial(1), Some(at(30)));
        timers.set(Timer::HalfOpen(2), Some(at(20)));
        timers.set(Timer::Dial(1), Some(at(10)));
        timers.set(Timer::Confirm(3), Some(at(5)));
        timers.set(Timer::Confirm(3), None);
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.pop_due(at(25)), Some(Timer::Dial(1)));
        assert_eq!(timers.pop_due(at(25)), Some(Timer::HalfOpen(2)));
        assert_eq!(timers.pop_due(at(25)), None);
        assert_eq!(timers.next(), None);
    }
}
