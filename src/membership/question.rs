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
/// However many ask about a member, it is looked for once in this time (a guess).
const LOOK_GAP: Duration = Duration::from_millis(500);
/// Of one member: all that watch it, and some who look for it without.
const ASKERS_MAX: usize = 8;
/// Members about whom others wait to hear from this node (a guess).
const ASKED_ABOUT_MAX: usize = 256;

/// Who waits to hear from this node whether it hears a member.
#[derive(Debug, Default)]
pub struct Askers {
    by_subject: BTreeMap<MemberId, Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    /// Each until then.
    by: BTreeMap<MemberId, Time>,
    looked: Option<Time>,
}

impl Askers {
    /// Notes that `asker` waits; says whether the member is to be looked for on that.
    fn add(&mut self, now: Time, subject: MemberId, asker: MemberId) -> bool {
        if self.by_subject.len() >= ASKED_ABOUT_MAX {
            self.by_subject.retain(|_, asked| asked.by.values().any(|&until| until > now));
        }
        if self.by_subject.len() >= ASKED_ABOUT_MAX && !self.by_subject.contains_key(&subject) {
            return false;
        }
        let asked = self.by_subject.entry(subject).or_default();
        asked.by.retain(|_, until| *until > now);
        if asked.by.len() >= ASKERS_MAX && !asked.by.contains_key(&asker) {
            return false;
        }
        asked.by.insert(asker, now + ASKED_FOR);
        let looks = asked.looked.is_none_or(|at| now.since(at) >= LOOK_GAP);
        asked.looked = if looks { Some(now) } else { asked.looked };
        looks
    }

    fn take(&mut self, now: Time, subject: MemberId) -> impl Iterator<Item = MemberId> {
        let asked = self.by_subject.remove(&subject).unwrap_or_default();
        asked.by.into_iter().filter(move |&(_, until)| until > now).map(|(asker, _)| asker)
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

    /// `peer` does not hear somebody, and asks. Whoever is asked says what it hears itself, or one liar's word would come from all
    /// sides. Where that is old it looks first: it may be the only one with whom the member can talk, or hear it no more.
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
        if is_fresh {
            self.contradict(step, subject, tick, peer, peer);
        }
        let may_wait = self.members.get_mut(&peer).is_some_and(|entry| entry.near_mut().budget.spend_answer(now));
        // To one that knows the tick already the next one is news.
        if may_wait && self.askers.add(now, subject, peer) && !is_fresh {
            if self.watch.open().contains(&subject) {
                self.send_heartbeat(step, subject, false);
            } else {
                self.want_link(now, subject);
            }
        }
    }

    /// Whoever was asked about a member hears it: with that this node is quiet about it, and where nothing else stands against it looks
    /// for it no more.
    pub(super) fn take_answer(&mut self, now: Time, subject: MemberId, by: MemberId) {
        let Some(entry) = self.members.get_mut(&subject) else {
            return;
        };
        entry.near_mut().link.trust(now, by);
        if entry.presence == Some(Presence::Alive) && !entry.near().case.has_reports() {
            self.undoubt(subject);
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
