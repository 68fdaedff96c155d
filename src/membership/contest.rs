//! Words about a member that cannot all be true. Owns how far apart two of them are then, and that this node looks
//! for itself; what it finds is for `hearing` and `detector`.
//!
//! Ticks are not signed, and most members of a large room are known by hearsay only. So a liar can name a tick that
//! its owner never reached: who takes it for the newest believes neither report nor sign of life any more. Time does
//! not tell such a tick from a true one, since what was heard of a member may be as old as its run. But when somebody
//! speaks of a tick far below it one of the two is wrong, and the member itself settles which: its heartbeat is
//! believed before all words, and its silence is this node's own report.

use super::Membership;
use super::detector::TICK_SLACK;
use super::entry::Entry;
use super::own::TICK_MAX;
use crate::base::{MemberId, Presence, Run, Step, Time};

impl Membership {
    /// `by` knows a newer tick than somebody reported, says `via`.
    pub(super) fn handle_contradiction(
        &mut self,
        step: &mut Step,
        via: MemberId,
        subject: MemberId,
        run: Run,
        tick: u64,
        by: MemberId,
    ) {
        let now = step.now.time;
        let accused = self.members.get(&subject).filter(|entry| {
            let is_accused = entry.near().case.has_reports() || entry.presence == Some(Presence::Unreachable);
            is_accused && entry.run() == run
        });
        let is_contested = accused.is_some_and(|entry| entry.is_contested(now, tick));
        // A true word can sound like a lie to who heard the member long ago, by a clock that is wrong.
        let is_doubtful = accused.is_some_and(|entry| {
            tick <= TICK_MAX && !entry.near().link.is_live(now) && !entry.near().link.is_plausible(now, tick)
        });
        let is_answer = by == via && self.members.get(&subject).is_some_and(|entry| entry.near().link.awaits_word());
        let is_taken = self.handle_told(step, subject, run, tick, by, via);
        if is_taken && is_answer {
            self.take_answer(now, subject, by);
        }
        if is_doubtful {
            self.look_for_oneself(now, subject);
        } else if is_taken && is_contested {
            self.look_for_oneself(now, subject);
            self.tell_on(step, &[via, by, subject], subject, tick, by);
        }
    }

    /// Somebody accuses a member at a tick that it cannot have reached: who hears the member says where it is.
    pub(super) fn answer_impossible(&mut self, step: &Step, subject: MemberId, by: MemberId, via: MemberId) {
        let heard = self.members.get(&subject).filter(|entry| entry.near().link.is_live(step.now.time));
        if let Some(tick) = heard.map(|entry| entry.near().link.tick) {
            self.contradict(step, subject, tick, by, via);
        }
    }

    /// What is said of a member cannot be true: whether it is there is to be seen.
    pub(super) fn look_for_oneself(&mut self, now: Time, id: MemberId) {
        if !self.members.get(&id).is_some_and(Entry::is_gone) {
            self.doubt_on_hearsay(now, id);
        } else if self.watch.takes_turn_for_another() {
            self.seek(now, id);
        }
    }
}

impl Entry {
    /// Whether a word for `tick`, spoken now, cannot be true beside the newest tick, which is hearsay too.
    pub(super) fn is_contested(&self, now: Time, tick: u64) -> bool {
        let is_hearsay = !self.near().link.is_live(now) && self.near().link.tick < self.standing().tick;
        is_hearsay && tick.saturating_add(TICK_SLACK) <= self.standing().tick
    }
}
