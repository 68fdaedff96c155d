//! Questions: whether others hear a member that this node does not. Owns whom this node asks and when, who asked it, and that whoever
//! is asked looks for itself where what it heard is old. What an answer amounts to is for `reports` and `detector`.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::debug;

use super::Membership;
use super::entry::Entry;
use super::reports::NO_TICK;
use crate::base::{MemberId, Presence, Run, Step, Time};
use crate::wire::MembershipFrame;

/// Two voices need less to make a verdict, so that who dies gives nobody reason to ask around.
const LONG_DOUBT: Duration = Duration::from_secs(1);
/// Those who are asked about in one heartbeat: to each six questions, of a hundred bytes (a guess).
const DOUBTS_PER_BEAT_MAX: usize = 8;
/// Whoever asked is told of the next tick if that comes within this time: then it asks for the second time, or asks no more.
const ASKED_FOR: Duration = Duration::from_secs(2);
/// Of one member: all that watch it, and some who look for it without.
const ASKERS_MAX: usize = 8;
/// Members about whom others wait to hear from this node (a guess).
const ASKED_ABOUT_MAX: usize = 256;

/// Who waits to hear from this node whether it hears a member.
#[derive(Debug, Default)]
pub struct Askers {
    by_subject: BTreeMap<MemberId, BTreeMap<MemberId, Time>>,
}

impl Askers {
    fn add(&mut self, now: Time, subject: MemberId, asker: MemberId) {
        if self.by_subject.len() >= ASKED_ABOUT_MAX {
            self.by_subject.retain(|_, askers| askers.values().any(|&until| until > now));
        }
        if self.by_subject.len() < ASKED_ABOUT_MAX || self.by_subject.contains_key(&subject) {
            let askers = self.by_subject.entry(subject).or_default();
            askers.retain(|_, until| *until > now);
            if askers.len() < ASKERS_MAX {
                askers.insert(asker, now + ASKED_FOR);
            }
        }
    }

    fn take(&mut self, now: Time, subject: MemberId) -> impl Iterator<Item = MemberId> {
        let askers = self.by_subject.remove(&subject).unwrap_or_default();
        askers.into_iter().filter(move |&(_, until)| until > now).map(|(asker, _)| asker)
    }
}

impl Membership {
    /// The word that keeps this node from reporting a member has grown old, or nobody gave one yet: those who gave it
    /// and those who watch the member are asked, and nobody else is troubled.
    pub(super) fn ask_witnesses(&mut self, step: &Step, subject: MemberId) {
        let Some(entry) = self.members.get(&subject) else {
            return;
        };
        let run = entry.run();
        let gave = entry.near().link.contradictors(step.now.time).map(|(by, _)| by).collect();
        for to in self.witnesses_of(subject).union(&gave).copied() {
            self.send(to, MembershipFrame::Question { subject, run });
            self.want_link(step.now.time, to);
        }
    }

    /// `peer` does not hear somebody, and asks. Whoever is asked says what it heard itself, or one liar's word would come from all
    /// sides; and where that is old it looks, since it may be the only one whom the member can talk with.
    pub(super) fn handle_question(&mut self, step: &mut Step, peer: MemberId, subject: MemberId, run: Run) {
        let now = step.now.time;
        if subject == self.own.id() {
            self.answer_for_self(step, peer, run, NO_TICK);
            return;
        }
        let Some(entry) = self.members.get(&subject) else {
            return;
        };
        if run != entry.run() || entry.has_left() {
            if run <= entry.run() {
                self.show_newest(now, subject, peer);
            }
            return;
        }
        let (tick, is_fresh) = (entry.near().link.tick, entry.near().link.is_ticking(now));
        if entry.presence == Some(Presence::Unreachable) || tick == NO_TICK {
            return;
        }
        self.contradict(step, subject, tick, peer, peer);
        if !is_fresh && self.members.get_mut(&peer).is_some_and(|entry| entry.near_mut().budget.spend_answer(now)) {
            self.askers.add(now, subject, peer);
            if self.watch.open().contains(&subject) {
                self.look_over_session(step, subject);
            } else {
                self.want_link(now, subject);
            }
        }
    }

    /// Somebody does not hear a member with which this node has a session, but which shows it no heartbeats: it asks for one. What
    /// comes is told to whoever asked or reported it.
    pub(super) fn look_over_session(&mut self, step: &Step, subject: MemberId) {
        let now = step.now.time;
        let is_silent = self.members.get(&subject).is_some_and(|entry| !entry.near().link.is_ticking(now));
        if is_silent && self.watch.open().contains(&subject) {
            self.send_heartbeat(step, subject, false);
        }
    }

    /// A member said `tick` itself: whoever asked about it hears so.
    pub(super) fn answer_askers(&mut self, now: Time, subject: MemberId, tick: u64) {
        let Some(run) = self.members.get(&subject).map(Entry::run) else {
            return;
        };
        let by = self.own.id();
        for asker in self.askers.take(now, subject).collect::<Vec<_>>() {
            self.send(asker, MembershipFrame::Contradiction { subject, run, tick, by });
        }
    }

    /// Whoever holds somebody suspect whom it does not watch, and for long, asks those who do, and where nothing stands against it any
    /// more looks for it itself. A report that its author brought here is hearsay as much as one that was passed on: it may be the only
    /// one. After a partition many links are new: what was said before they opened did not go over them.
    pub(super) fn settle_doubts(&mut self, step: &Step) {
        let now = step.now.time;
        let since = now - LONG_DOUBT;
        let is_long_doubted = |id: &&MemberId| {
            self.members.get(id).is_some_and(|entry| {
                let is_doubted = entry.presence == Some(Presence::Suspect) && !entry.near().link.is_observed();
                is_doubted && (entry.near().case.stands_since(since) || entry.is_doubted_without_reason())
            })
        };
        let doubted: Vec<_> = self.disputed.iter().filter(is_long_doubted).copied().collect();
        // Others each time, where there are many.
        let turn = usize::try_from(self.own.tick(now)).unwrap_or(0);
        let first = turn * DOUBTS_PER_BEAT_MAX % doubted.len().max(1);
        for id in doubted.iter().cycle().skip(first).take(DOUBTS_PER_BEAT_MAX.min(doubted.len())).copied() {
            if self.members.get(&id).is_some_and(Entry::is_doubted_without_reason) {
                self.doubt_on_hearsay(now, id);
            } else {
                debug!(?id, "asking those who watch it");
                self.ask_witnesses(step, id);
            }
        }
    }
}
