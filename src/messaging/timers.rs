//! What is due when. Owns one ordered queue for all of messaging, so that the next deadline is known
//! without looking at any message; knows nothing of what a timer makes happen.

use std::collections::{BTreeMap, BTreeSet};

use super::book::OutId;
use crate::base::{MemberId, Time};

/// One thing that is due; each can be due at one time only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    /// A copy or the deadline of a delivery in flight.
    Flight(MemberId, OutId),
    /// Something in flight to the member may have to be sent again, or more may leave.
    Again(MemberId),
    /// A message of one's own was flooded, and who has not receipted it will be unknown.
    Flooded(OutId),
    /// Receipts have waited for others that go over the same hop.
    Bundle(MemberId),
    /// The member has been out of reach for as long as an attempt at delivery lasts.
    Stalled(MemberId),
    /// Unknown messages for the member are sent again.
    Resend(MemberId),
    /// Something waits for a full disk, which may have room again.
    DiskFull,
    /// Receipts for the author are due.
    Receipts(MemberId),
    /// A message of the author has waited long enough for those before it.
    Hold(MemberId),
    /// A private message of the author has waited long enough for those before it.
    HoldPrivate(MemberId),
    /// Messages are missing and may be asked for.
    Seek,
    /// A pull was not answered.
    Pull,
    /// The peer may be given more of what it pulled.
    Give(MemberId),
    /// What is too old is forgotten.
    Sweep,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Time, Timer)>,
    due: BTreeMap<Timer, Time>,
}

impl Timers {
    /// Makes `timer` due at `at`, and at no other time.
    pub fn set(&mut self, timer: Timer, at: Time) {
        if let Some(before) = self.due.insert(timer, at) {
            if before == at {
                return;
            }
            self.order.remove(&(before, timer));
        }
        self.order.insert((at, timer));
    }

    /// Makes `timer` due at `at`, unless it is due before.
    pub fn set_earlier(&mut self, timer: Timer, at: Time) {
        if self.due.get(&timer).is_none_or(|&before| at < before) {
            self.set(timer, at);
        }
    }

    pub fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.due.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    pub fn due(&self, timer: Timer) -> Option<Time> {
        self.due.get(&timer).copied()
    }

    pub fn next(&self) -> Option<Time> {
        self.order.first().map(|&(at, _)| at)
    }

    /// Takes one that is due by `now`.
    pub fn pop_due(&mut self, now: Time) -> Option<Timer> {
        let &(at, timer) = self.order.first()?;
        if at > now {
            return None;
        }
        self.order.pop_first();
        self.due.remove(&timer);
        Some(timer)
    }
}
