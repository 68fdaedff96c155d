//! Finding each other: whom to dial to join a room, and how those who are gone are found again. Owns the pace
//! of both, and after how long a member is forgotten; knows nothing of handshakes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Bound;
use std::time::Duration;

use super::Membership;
use super::outbox::Output;
use super::own::is_dialable;
use crate::base::limits::JOIN_ADDRESSES_MAX;
use crate::base::{MemberId, Now, Presence, Step, Time, Wall, WallClock};
use crate::wire::MembershipFrame;

const JOIN_AGAIN: Duration = Duration::from_secs(2);
const JOIN_AGAIN_MAX: Duration = Duration::from_secs(16);
/// One of those who are unreachable in each second, whoever's turn it is.
const REDIAL_PERIOD: Duration = Duration::from_secs(1);
/// When one came back the others are probably back too: for a while it is ten a second.
const HURRIED_PERIOD: Duration = Duration::from_millis(100);
const HURRIED_FOR: Duration = Duration::from_secs(5);
/// Members that are looked at to find whose turn it is.
const LOOKED_AT_MAX: usize = 512;
/// A node that is cut off dials all that it remembers, but each once a second at most: alone 66 a second, and ten in a group,
/// whose others do so too.
const ALONE_PERIOD: Duration = Duration::from_millis(15);
/// One who left is dialled in every tenth turn: it comes back by itself, unless it does not know where to.
const LEFT_EVERY: u64 = 10;
/// A session on which nothing came for this long is replaced by a new handshake, at all addresses known: its
/// peer may have restarted without any memory of us, and then only we can find it. Longer than a verdict takes.
pub(super) const DEAD_SESSION: Duration = Duration::from_secs(6);
/// A member that is gone is forgotten after this.
const FORGET_AFTER_MS: u64 = 7 * 24 * 60 * 60 * 1000;
const FORGET_CHECK: Duration = Duration::from_secs(60 * 60);

/// Addresses where a member of the room may be.
#[derive(Default, Debug)]
pub struct Join {
    addresses: BTreeSet<SocketAddr>,
    at: Option<Time>,
    wait: Duration,
}

/// Whose turn it is.
#[derive(Debug)]
pub struct Redial {
    pub at: Option<Time>,
    unreachable: BTreeSet<MemberId>,
    left: BTreeSet<MemberId>,
    hurried_until: Time,
    turn: u64,
    after: Option<MemberId>,
    left_after: Option<MemberId>,
    pub forget_at: Time,
    /// For how long somebody is gone goes by it.
    clock: WallClock,
}

impl Join {
    /// Adds `addresses`, to be dialled from `now` on. Beyond `JOIN_ADDRESSES_MAX` they are not taken.
    pub fn add(&mut self, now: Time, addresses: Vec<SocketAddr>) {
        for address in addresses.into_iter().filter(|&address| is_dialable(address)) {
            if self.addresses.len() < JOIN_ADDRESSES_MAX {
                self.addresses.insert(address);
            }
        }
        self.at = (!self.addresses.is_empty()).then_some(now);
        self.wait = JOIN_AGAIN;
    }

    /// Somebody answered.
    pub fn done(&mut self) {
        self.addresses.clear();
        self.at = None;
    }

    #[must_use]
    pub fn at(&self) -> Option<Time> {
        self.at
    }
}

impl Redial {
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self {
            at: None,
            unreachable: BTreeSet::new(),
            left: BTreeSet::new(),
            hurried_until: now.time,
            turn: 0,
            after: None,
            left_after: None,
            forget_at: now.time,
            clock: WallClock::new(now),
        }
    }

    /// Whether somebody came back within the last 5 s.
    #[must_use]
    pub fn is_hurried(&self, now: Time) -> bool {
        now < self.hurried_until
    }
}

impl Membership {
    /// Dials the addresses of a room to join, when they are due: after 2 s first, then more and more slowly.
    pub(super) fn dial_join(&mut self, step: &Step) {
        let now = step.now.time;
        if !self.own.is_durable() || self.join.at.is_none_or(|at| at > now) {
            return;
        }
        for &address in &self.join.addresses {
            self.out.push(Output::Dial(address));
        }
        self.join.at = Some(now + self.join.wait);
        self.join.wait = (self.join.wait * 2).min(JOIN_AGAIN_MAX);
    }

    /// Makes sure that there is a next turn.
    pub(super) fn schedule_redial(&mut self, now: Time) {
        let soon = now + REDIAL_PERIOD;
        self.redial.at = Some(self.redial.at.map_or(soon, |at| at.min(soon)));
    }

    /// Keeps those who are gone apart from the others.
    pub(super) fn note_gone(&mut self, id: MemberId, presence: Presence) {
        self.forget_gone(id);
        match presence {
            Presence::Unreachable => drop(self.redial.unreachable.insert(id)),
            Presence::Left => drop(self.redial.left.insert(id)),
            Presence::Alive | Presence::Suspect => {}
        }
    }

    pub(super) fn forget_gone(&mut self, id: MemberId) {
        self.redial.unreachable.remove(&id);
        self.redial.left.remove(&id);
    }

    /// Somebody is back: a partition may have healed.
    pub(super) fn hurry_redial(&mut self, now: Time) {
        if !self.redial.is_hurried(now) {
            self.redial.at = Some(self.redial.at.map_or(now, |at| at.min(now)) + HURRIED_PERIOD);
        }
        self.redial.hurried_until = now + HURRIED_FOR;
    }

    /// One turn of finding those who are gone: on the session that is still there, or by dialling.
    pub(super) fn redial(&mut self, step: &Step) {
        let now = step.now.time;
        if self.redial.at.is_none_or(|at| at > now) {
            return;
        }
        self.redial.turn += 1;
        if let Some((id, is_mine)) = self.next_gone(&self.redial.unreachable, self.redial.after) {
            self.redial.after = Some(id);
            if is_mine {
                self.seek(now, id);
            }
        }
        if self.redial.turn.is_multiple_of(LEFT_EVERY)
            && let Some((id, is_mine)) = self.next_gone(&self.redial.left, self.redial.left_after)
        {
            self.redial.left_after = Some(id);
            if is_mine {
                self.connect(id);
            }
        }
        let any = !self.redial.unreachable.is_empty() || !self.redial.left.is_empty();
        self.redial.at = any.then(|| now + self.redial_period(now));
    }

    fn redial_period(&self, now: Time) -> Duration {
        if !self.deaf.is_deaf() {
            return if self.redial.is_hurried(now) { HURRIED_PERIOD } else { REDIAL_PERIOD };
        }
        let each_once = REDIAL_PERIOD / u32::try_from(self.redial.unreachable.len().max(1)).unwrap_or(u32::MAX);
        each_once.max(if self.deaf.is_alone() { ALONE_PERIOD } else { HURRIED_PERIOD })
    }

    /// Those who would watch a member if it were there look for it; whoever is cut off itself looks for all.
    fn is_mine_to_seek(&self, id: MemberId) -> bool {
        self.deaf.is_deaf() || self.watch.would_watch(id)
    }

    /// The next of `gone` after `after` that is this node's to look for, round and round, and that it is. Where none
    /// is among those that were looked at, the last of them, so that the next turn goes on there.
    fn next_gone(&self, gone: &BTreeSet<MemberId>, after: Option<MemberId>) -> Option<(MemberId, bool)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let around = gone.range((from, Bound::Unbounded)).chain(gone).take(LOOKED_AT_MAX.min(gone.len()));
        let mut last = None;
        for &id in around {
            if self.is_mine_to_seek(id) {
                return Some((id, true));
            }
            last = Some((id, false));
        }
        last
    }

    /// Looks whether one that is gone is back.
    pub(super) fn seek(&mut self, now: Time, id: MemberId) {
        let Some(entry) = self.members.get_mut(&id) else {
            return;
        };
        if !entry.near().link.is_open() {
            self.connect(id);
            return;
        }
        let is_silent = now.since(entry.near().link.quiet_since) > DEAD_SESSION;
        // Over a path that loses most a handshake hardly ever comes through: what the session still carries is dear.
        let is_dead = is_silent && entry.near().link.is_tested(now, self.poor_ear);
        if is_dead {
            self.close_link(now, id);
            self.out.push(Output::Release(id));
        } else {
            self.send(id, MembershipFrame::Probe);
        }
        if is_silent {
            self.connect(id);
        }
    }

    /// Forgets those who are gone for a week, once an hour. A clock that is set makes nobody gone for longer who went in this run.
    pub(super) fn forget_old(&mut self, step: &mut Step) {
        self.redial.clock.read(step.now);
        if self.redial.forget_at > step.now.time {
            return;
        }
        self.redial.forget_at = step.now.time + FORGET_CHECK;
        let Redial { clock, .. } = &self.redial;
        let old = |gone: Wall| clock.ms_since(step.now, gone) > FORGET_AFTER_MS;
        let old: Vec<_> = self
            .members
            .iter()
            .filter(|(_, entry)| entry.is_gone() && entry.near().gone.is_some_and(old))
            .map(|(&id, _)| id)
            .collect();
        for id in old {
            self.forget(step, id);
        }
    }
}
