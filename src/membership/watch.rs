//! Links: with whom this node keeps one, whose silence it looks at, to whom news go first. Owns these sets and
//! keeps them in step with the rings; what silence amounts to is for `detector` and `verdict`.
//!
//! A link is kept with those who watch each other; in a room small enough with everybody, who are touched now and
//! then so that the session stays alive; and for a while with whom others in this node want to talk to. Any other
//! is closed once nothing has come over it for a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use tracing::debug;

use super::Membership;
use super::ear::Beats;
use super::entry::Entry;
use super::evidence::{Evidence, EvidenceKind};
use super::outbox::Output;
use super::witness::Rings;
use crate::base::limits::EVERYONE_WATCHES_MAX;
use crate::base::{MemberId, Presence, Step, Time};
use crate::wire::MembershipFrame;

/// News come in bursts, and each may move the rings: in a larger room links are made once a burst is over.
const LINK_UP_AFTER: Duration = Duration::from_millis(30);
/// Each pair of a small room is touched once in this time, by both in turn, so each is heard every 40 s: of what
/// a node may send when idle, 63 others leave room for this much (six heartbeats take some 500 of 800 bytes a second).
const TOUCH_TICKS: u64 = 20;
/// A link that is not needed is closed after this.
const UNUSED_LINK: Duration = Duration::from_secs(60);
/// How often links are looked at for that, in heartbeats.
const UNUSED_CHECK_TICKS: u64 = 16;
/// How long this node tries to reach a member that it wants to talk to before it is asked again.
const WANTED_FOR: Duration = Duration::from_secs(10);
/// A node that is cut off and hears hardly anybody, or that has met nobody yet, looks for everybody whom it remembers, 66 a second.
const SWEEP_SPACING: Duration = Duration::from_millis(15);
const SWEEP_AGAIN: Duration = Duration::from_secs(1);
/// Whom this node remembers from before its start, and nobody vouches for by then, it looks for too; so do the
/// others, so each does the less the more there are.
const VOUCHED_WITHIN: Duration = Duration::from_secs(5);
/// Members that are looked for at once: each for some 6 s.
const DOUBTED_MAX: usize = 512;
/// Members that this node looks for itself because those who report them are not known to be there.
const DOUBTED_ON_HEARSAY_MAX: usize = 16;
/// Members that this node looks for itself in one heartbeat because another one calls them unreachable and gives no reports: it may
/// be that one that was cut off, or a liar that would have this node dial everybody.
const DOUBTED_AS_OTHERS_MAX: usize = 4;

#[derive(Debug)]
pub struct Watch {
    rings: Rings,
    watched: BTreeSet<MemberId>,
    /// Not watched, but looked for.
    doubted: BTreeSet<MemberId>,
    open: BTreeSet<MemberId>,
    /// Wanted by others in this node, until then.
    wanted: BTreeMap<MemberId, Time>,
    /// Over whom messaging was told to pass on what is for all, and whether the room was large then.
    flooded: (BTreeSet<MemberId>, bool),
    link_up_at: Option<Time>,
    sweep_at: Option<Time>,
    /// It looks for all of them, or did so a moment ago and is still cut off.
    sweeps_all: bool,
    /// Whom it found silent meanwhile and who is there by the word of another, and by whose.
    spoken_for: BTreeMap<MemberId, MemberId>,
    /// And it has looked for each of them once since then.
    went_round: bool,
    /// Of whom another one calls unreachable, looked for since the last heartbeat.
    doubted_as_others: usize,
    sweep_after: Option<MemberId>,
}

impl Watch {
    #[must_use]
    pub fn new(me: MemberId, now: Time) -> Self {
        Self {
            rings: Rings::new(me),
            watched: BTreeSet::new(),
            doubted: BTreeSet::new(),
            open: BTreeSet::new(),
            wanted: BTreeMap::new(),
            flooded: (BTreeSet::new(), false),
            link_up_at: None,
            sweep_at: Some(now),
            sweeps_all: false,
            spoken_for: BTreeMap::new(),
            went_round: false,
            doubted_as_others: 0,
            sweep_after: None,
        }
    }

    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.link_up_at.into_iter().chain(self.sweep_at).min()
    }

    /// How many others are neither unreachable nor left.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rings.count()
    }

    /// Whom this node watches.
    #[must_use]
    pub fn watched(&self) -> &BTreeSet<MemberId> {
        &self.watched
    }

    /// Those whose silence counts.
    pub fn observed(&self) -> impl Iterator<Item = MemberId> {
        self.watched.iter().chain(&self.doubted).copied()
    }

    /// Those with whom a session is open.
    #[must_use]
    pub fn open(&self) -> &BTreeSet<MemberId> {
        &self.open
    }

    /// Whether this node would watch a member that is gone, if it were back.
    #[must_use]
    pub fn would_watch(&self, id: MemberId) -> bool {
        self.rings.would_watch(id)
    }

    /// Whether one more member is looked for in this heartbeat on the word of one other.
    pub fn takes_turn_for_another(&mut self) -> bool {
        let has_turn = self.doubted_as_others < DOUBTED_AS_OTHERS_MAX;
        self.doubted_as_others += usize::from(has_turn);
        has_turn
    }

    fn wants(&self, id: MemberId) -> bool {
        self.watched.contains(&id) || self.rings.touched().contains(&id) || self.wanted.contains_key(&id)
    }

    fn link_up_soon(&mut self, now: Time) {
        let soon = if self.rings.count() < EVERYONE_WATCHES_MAX { now } else { now + LINK_UP_AFTER };
        self.link_up_at = Some(self.link_up_at.map_or(soon, |at| at.min(soon)));
    }
}

impl Membership {
    /// Members that a frame can be sent to now, by id.
    pub(super) fn connected(&self) -> Vec<MemberId> {
        let here = |id: &&MemberId| self.members.get(id).is_some_and(|entry| !entry.has_left());
        self.watch.open.iter().filter(here).copied().collect()
    }

    /// Those to whom news are told first, and who pass them on: whom this node watches. One that has just come, or
    /// hears none of those, tells whomever it can.
    pub(super) fn audience(&self, now: Time) -> Vec<MemberId> {
        let near: Vec<_> = self.watch.watched.intersection(&self.watch.open).copied().collect();
        let is_heard = |id: &MemberId| self.members.get(id).is_some_and(|entry| entry.near().link.is_live(now));
        if near.iter().any(is_heard) { near } else { self.connected() }
    }

    /// Who watches a member, this node left out. It costs a look at all members.
    pub(super) fn witnesses_of(&self, id: MemberId) -> BTreeSet<MemberId> {
        let me = self.own.id();
        let mut rings = Rings::new(id);
        let seated = self.members.iter().filter(|(_, entry)| entry.seated).map(|(&id, _)| id);
        for other in seated.chain([me]).filter(|&other| other != id) {
            rings.add(other);
        }
        let mut witnesses = rings.watched();
        witnesses.remove(&me);
        witnesses
    }

    /// Somebody in this node wants to talk to a member.
    pub fn want(&mut self, step: &mut Step, id: MemberId) {
        if self.begin(step) {
            self.want_link(step.now.time, id);
        }
    }

    pub(super) fn want_link(&mut self, now: Time, id: MemberId) {
        if self.members.contains_key(&id) && !self.watch.open.contains(&id) {
            self.watch.wanted.insert(id, now + WANTED_FOR);
            self.connect(id);
        }
    }

    /// Brings the rings in step with where a member stands.
    pub(super) fn seat(&mut self, now: Time, id: MemberId) {
        let Some(entry) = self.members.get_mut(&id) else {
            return;
        };
        let (was, is) = (entry.seated, !entry.is_gone());
        entry.seated = is;
        if is && !was {
            if self.watch.rings.add(id) {
                self.rewatch(now);
                self.tell_links();
            } else if self.watch.rings.is_large() != self.watch.flooded.1 {
                self.tell_links();
            }
        } else if was && !is {
            self.unseat(now, id);
        }
    }

    /// Takes a member off the rings.
    pub(super) fn unseat(&mut self, now: Time, id: MemberId) {
        let rest = self.members.iter().filter(|&(&other, entry)| entry.seated && other != id).map(|(&id, _)| id);
        let changed = self.watch.rings.remove(id, rest);
        self.undoubt(id);
        self.watch.wanted.remove(&id);
        if changed {
            self.rewatch(now);
        }
        self.tell_links();
    }

    /// Tells messaging over whom to pass on what is for all, if that changed.
    fn tell_links(&mut self) {
        let is_large = self.watch.rings.is_large();
        let neighbours = self.watch.rings.flooded();
        if self.watch.flooded != (neighbours.clone(), is_large) {
            self.watch.flooded = (neighbours.clone(), is_large);
            self.out.push(Output::Links { neighbours, is_large });
        }
    }

    fn rewatch(&mut self, now: Time) {
        let fresh = self.watch.rings.watched();
        let before = std::mem::take(&mut self.watch.watched);
        let me = self.own.id();
        for &id in before.difference(&fresh) {
            if let Some(entry) = self.members.get_mut(&id) {
                entry.near_mut().link.watched = false;
                entry.near_mut().link.beats = Beats::new();
                entry.near_mut().link.trust_nobody();
                // What this node found itself speaks no more, and a doubt that nothing else settles is to be asked about.
                if entry.presence == Some(Presence::Suspect) {
                    self.disputed.insert(id);
                }
                self.wakes.no_later_than(id, now);
            }
            // Watching is mutual: what that member reports open is not taken back here any more.
            for subject in self.accusations.remove(&id).into_iter().flatten() {
                if let Some(entry) = self.members.get_mut(&subject) {
                    entry.near_mut().case.lose_sight(id);
                    self.wakes.no_later_than(subject, now);
                }
            }
        }
        for &id in fresh.difference(&before) {
            self.watch.doubted.remove(&id);
            if let Some(entry) = self.members.get_mut(&id) {
                entry.near_mut().link.watched = true;
                entry.near_mut().link.undoubt();
                entry.near_mut().link.restart(now);
                // What it found so far it said to itself only: now it looks for all.
                if !self.reporting.contains(&id) && std::mem::take(&mut entry.near_mut().link.reporting) {
                    entry.near_mut().case.withdraw(me);
                }
                self.wakes.no_later_than(id, now);
            }
        }
        if fresh != before {
            self.watch.link_up_soon(now);
        }
        self.watch.watched = fresh;
    }

    /// A session is open.
    pub(super) fn open_link(&mut self, id: MemberId) {
        if let Some(entry) = self.members.get_mut(&id) {
            entry.near_mut().link.open();
            self.watch.open.insert(id);
            self.watch.wanted.remove(&id);
        }
    }

    /// The session is gone, or is not used any more.
    pub(super) fn close_link(&mut self, now: Time, id: MemberId) {
        self.watch.open.remove(&id);
        if let Some(entry) = self.members.get_mut(&id) {
            entry.near_mut().link.close(now);
        }
    }

    /// A member's link was begun anew with its run. Whoever was wanted is wanted in the new run too.
    pub(super) fn renew_link(&mut self, id: MemberId) {
        self.watch.open.remove(&id);
        self.watch.doubted.remove(&id);
    }

    /// A member is forgotten.
    pub(super) fn forget_link(&mut self, id: MemberId) {
        self.renew_link(id);
        self.watch.wanted.remove(&id);
        self.watch.spoken_for.remove(&id);
    }

    pub(super) fn connect_if_wanted(&mut self, now: Time, id: MemberId) {
        let is_closed = self.members.get(&id).is_some_and(|entry| !entry.near().link.is_open() && !entry.is_gone());
        if is_closed && self.watch.wants(id) {
            self.watch.link_up_soon(now);
        }
    }

    /// Dials those whom this node needs and has no session with. Of two that only touch each other the lower id
    /// begins.
    pub(super) fn link_up(&mut self, step: &Step) {
        if self.watch.link_up_at.is_none_or(|at| at > step.now.time) {
            return;
        }
        self.watch.link_up_at = None;
        let me = self.own.id();
        let watch = &self.watch;
        let lower = watch.rings.touched().iter().filter(|&&id| me < id);
        let all: BTreeSet<_> = watch.watched.iter().chain(lower).copied().collect();
        for id in all.difference(&watch.open).copied().collect::<Vec<_>>() {
            self.connect(id);
        }
    }

    pub(super) fn link_up_now(&mut self, step: &Step) {
        self.watch.link_up_at = Some(step.now.time);
        self.link_up(step);
    }

    /// What a heartbeat's turn does for links beside those that are watched.
    pub(super) fn tend_links(&mut self, step: &Step) {
        let now = step.now.time;
        let tick = self.own.tick(now);
        self.touch(step, tick);
        self.watch.doubted_as_others = 0;
        self.watch.wanted.retain(|_, until| *until > now);
        let wanted: Vec<_> = self.watch.wanted.keys().copied().collect();
        for id in wanted {
            self.connect(id);
        }
        if tick.is_multiple_of(UNUSED_CHECK_TICKS) {
            self.close_unused(now);
        }
        if self.watch.sweep_at.is_none()
            && self.watch.rings.count() > 0
            && (self.is_lost() || !self.restored.is_empty())
        {
            self.watch.sweep_at = Some(now);
        }
    }

    /// Keeps the sessions of a small room alive, and shows each of its members now and then that this node is there.
    fn touch(&mut self, step: &Step, tick: u64) {
        let me = self.own.id();
        let is_due = |id: &&MemberId| {
            let turn = if me < **id { 0 } else { TOUCH_TICKS };
            let apart = u64::from(me.0[1] ^ id.0[1]);
            (tick + apart + turn).is_multiple_of(2 * TOUCH_TICKS)
        };
        let due: Vec<_> = self.watch.rings.touched().difference(&self.watch.watched).filter(is_due).copied().collect();
        for id in due {
            if self.watch.open.contains(&id) {
                self.send_touch(step, id);
            } else {
                self.connect(id);
            }
        }
    }

    fn close_unused(&mut self, now: Time) {
        let unused: Vec<_> = self
            .watch
            .open
            .iter()
            .copied()
            .filter(|&id| !self.watch.wants(id))
            .filter(|id| {
                self.members.get(id).is_none_or(|entry| now.since(entry.near().link.quiet_since) > UNUSED_LINK)
            })
            .collect();
        for id in unused {
            self.out.push(Output::Release(id));
            self.close_link(now, id);
        }
    }

    /// Whether this node is probably cut off alone, or has met nobody yet.
    fn is_lost(&self) -> bool {
        self.deaf.is_alone() || self.watch.open.is_empty()
    }

    /// One turn of looking for everybody, while this node is lost, or for those who were restored.
    pub(super) fn sweep(&mut self, step: &mut Step) {
        let now = step.now.time;
        if self.watch.sweep_at.is_none_or(|at| at > now) {
            return;
        }
        let is_lost = self.is_lost();
        // Who is found by others in its place is no reason to leave off: what this node finds is known to itself only.
        let all = is_lost || (self.watch.sweeps_all && self.deaf.is_deaf());
        if self.watch.sweeps_all && !all {
            self.watch.spoken_for.clear();
            self.believe_again(step);
        }
        self.watch.went_round &= self.watch.sweeps_all && all;
        self.watch.sweeps_all = all;
        if all && !is_lost && self.watch.went_round {
            self.watch.sweep_at = Some(now + SWEEP_AGAIN);
            return;
        }
        if self.watch.rings.count() == 0 || (!all && self.restored.is_empty()) {
            self.watch.sweep_at = None;
            return;
        }
        let begins_at = self.own.started() + VOUCHED_WITHIN;
        if !all && now < begins_at {
            self.watch.sweep_at = Some(begins_at);
            return;
        }
        let next = self.next_to_doubt(now, all);
        self.watch.sweep_after = next;
        self.watch.went_round |= all && next.is_none();
        let here = self.watch.rings.count().saturating_sub(self.restored.len());
        let spacing = if all { SWEEP_SPACING } else { SWEEP_SPACING * u32::try_from(here / 2).unwrap_or(1).max(1) };
        match next {
            Some(id) if self.watch.doubted.len() < DOUBTED_MAX => {
                self.doubt(now, id);
                self.watch.sweep_at = Some(now + spacing);
            }
            Some(_) | None => self.watch.sweep_at = Some(now + spacing.max(SWEEP_AGAIN)),
        }
    }

    fn next_to_doubt(&self, now: Time, all: bool) -> Option<MemberId> {
        let beyond = (self.watch.sweep_after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let heard_lately = |by: &MemberId| {
            let heard = self.members.get(by).and_then(|entry| entry.near().link.heard);
            heard.is_some_and(|(at, _)| now.since(at) < UNUSED_LINK)
        };
        let is_due =
            |entry: &Entry| entry.seated && !entry.near().link.is_observed() && !entry.near().link.is_live(now);
        if all {
            let spoken_for = |id| self.watch.spoken_for.get(id).is_some_and(heard_lately);
            let next = self.members.range(beyond).find(|&(id, entry)| is_due(entry) && !spoken_for(id));
            return next.map(|(&id, _)| id);
        }
        self.restored.range(beyond).find(|id| self.members.get(id).is_some_and(is_due)).copied()
    }

    /// Others say of a member that it is gone whom this node does not know to be there: it looks itself. Those who
    /// watch it may hear it all the same, so that a silence here means little before they were asked.
    pub(super) fn doubt_on_hearsay(&mut self, now: Time, id: MemberId) {
        if self.watch.doubted.len() < DOUBTED_ON_HEARSAY_MAX {
            self.doubt(now, id);
            if let Some(entry) = self.members.get_mut(&id) {
                entry.near_mut().link.doubt_on_hearsay();
            }
        }
    }

    /// Another one, that may be cut off together with this node, calls a member unreachable: it looks itself. Not while somebody just
    /// came back, and others probably do.
    pub(super) fn doubt_as_another(&mut self, now: Time, id: MemberId) {
        if self.redial.is_hurried(now) {
            return;
        }
        let has_turn = self.deaf.is_deaf() || self.watch.takes_turn_for_another();
        if has_turn && self.watch.doubted.len() < DOUBTED_MAX {
            self.doubt(now, id);
        }
    }

    fn doubt(&mut self, now: Time, id: MemberId) {
        let Some(entry) = self.members.get_mut(&id).filter(|entry| entry.seated && !entry.near().link.is_observed())
        else {
            return;
        };
        entry.near_mut().link.doubted = true;
        entry.near_mut().link.restart(now);
        let is_open = entry.near().link.is_open();
        self.watch.doubted.insert(id);
        self.wakes.no_later_than(id, now);
        if is_open {
            self.send(id, MembershipFrame::Probe);
        } else {
            self.connect(id);
        }
    }

    pub(super) fn undoubt(&mut self, id: MemberId) {
        if self.watch.doubted.remove(&id)
            && let Some(entry) = self.members.get_mut(&id)
        {
            entry.near_mut().link.undoubt();
        }
    }

    /// `by` knows that a member is there which this node had found silent. To a node that hears hardly anybody, and looks for all, the
    /// word of whom it hears is all there is: for as long as it hears that one, it looks for the member no more, or would find it
    /// silent again.
    pub(super) fn rely_on(&mut self, by: MemberId, id: MemberId) {
        if self.watch.sweeps_all {
            self.watch.spoken_for.insert(id, by);
            self.undoubt(id);
        }
    }

    /// A member is there by the word of `words` alone, and is watched: they are asked before it is reported again.
    pub(super) fn rely_on_asking(&mut self, now: Time, words: [MemberId; 2], id: MemberId) {
        let unheard = |entry: &&mut Entry| entry.near().link.is_observed() && !entry.near().link.is_live(now);
        if let Some(entry) = self.members.get_mut(&id).filter(unheard) {
            for by in words {
                entry.near_mut().link.trust_for_now(now, by);
            }
        }
    }

    /// This node is not cut off any more: whom it did not find meanwhile may be there all the same.
    fn believe_again(&mut self, step: &mut Step) {
        let me = self.own.id();
        for id in std::mem::take(&mut self.watch.doubted) {
            let Some(entry) = self.members.get_mut(&id) else { continue };
            entry.near_mut().link.undoubt();
            if !std::mem::take(&mut entry.near_mut().link.reporting) {
                continue;
            }
            debug!(?id, "no longer looked for");
            entry.near_mut().case.withdraw(me);
            let detail = "this node was cut off itself";
            let evidence = Evidence::new(EvidenceKind::Withdrawal, me, entry.run(), step.now.wall, detail);
            let evidence = evidence.tick(entry.standing().tick);
            entry.note_withdrawal(evidence);
            self.review(step, id);
        }
    }
}
