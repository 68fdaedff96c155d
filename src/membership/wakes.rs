//! When each member is to be looked at again. Owns one deadline a member, and finds the earliest at once;
//! knows nothing of what is due.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{MemberId, Time};

#[derive(Default, Debug)]
pub struct Wakes {
    queue: BTreeSet<(Time, MemberId)>,
    at: BTreeMap<MemberId, Time>,
}

impl Wakes {
    /// Replaces the member's deadline.
    pub fn set(&mut self, member: MemberId, at: Option<Time>) {
        if let Some(old) = self.at.remove(&member) {
            self.queue.remove(&(old, member));
        }
        if let Some(at) = at {
            self.at.insert(member, at);
            self.queue.insert((at, member));
        }
    }

    /// Moves the member's deadline forward to `at`, if it is not due earlier.
    pub fn no_later_than(&mut self, member: MemberId, at: Time) {
        if self.at.get(&member).is_none_or(|&old| old > at) {
            self.set(member, Some(at));
        }
    }

    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Takes those that are due at `now`, earliest first.
    pub fn take_due(&mut self, now: Time) -> Vec<MemberId> {
        let mut due = Vec::new();
        while let Some(&(at, member)) = self.queue.first() {
            if at > now {
                break;
            }
            self.set(member, None);
            due.push(member);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_each_member_once() {
        let (ana, bo) = (MemberId([1; 32]), MemberId([2; 32]));
        let mut wakes = Wakes::default();
        wakes.set(ana, Some(Time::from_micros(9)));
        wakes.set(bo, Some(Time::from_micros(5)));
        wakes.set(ana, Some(Time::from_micros(3)));
        wakes.no_later_than(bo, Time::from_micros(7));
        assert_eq!(wakes.next(), Some(Time::from_micros(3)));
        assert_eq!(wakes.take_due(Time::from_micros(6)), [ana, bo]);
        assert_eq!(wakes.next(), None);
    }
}
