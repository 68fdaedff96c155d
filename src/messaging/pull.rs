//! One pull, from the asking to its end: losses, silence, the turn of others. Owns the pull that is on; what is sought, and from
//! whom, is recovery's, and how much is under way is `windows`'.

use std::time::Duration;

use super::give::LACKING_MAX;
use super::log::Place;
use super::machine::Messaging;
use super::outbox::EventKind;
use super::peer::Peer;
use super::record::Answer;
use super::recovery::{Active, Asked, Offer, Wanted};
use super::timers::Timer;
use super::windows::{LOST_TRIES_MAX, Part, QUEST_TRIES_MAX, SILENT_TRIES_MAX, Waits, Window, Windows};
use crate::base::{ByMember, Cause, MemberId, Seq, Step};
use crate::wire::{Lacking, MessagingFrame};

/// What a peer may take to answer a pull, beside the round trip: it gives chat the way.
const ANSWER_TIME: Duration = Duration::from_millis(300);
/// One pull holds up the others for this long at most, however slowly its peer gives: a guess, of thirty honest windows.
const PULL_TIME_MAX: Duration = Duration::from_secs(10);

impl Messaging {
    pub(super) fn pull(&mut self, step: &mut Step, peer: MemberId, wanted: Wanted, tries: u32, is_quest: bool) {
        let Wanted { first, last, .. } = wanted;
        let tries_max = if is_quest { QUEST_TRIES_MAX } else { LOST_TRIES_MAX };
        let windows = Windows::new(Part { first, last, tries }, tries_max);
        let began = step.now.time;
        self.recovery.active = Some(Active { peer, wanted, windows, began, heard: None, said: Vec::new(), is_quest });
        self.ask_on(step);
    }

    /// Asks for as much as may be under way. With nothing left to ask for, and nothing under way, the pull is over.
    fn ask_on(&mut self, step: &mut Step) {
        let Some(active) = &mut self.recovery.active else { return };
        let Some(waits) = waits_for(&self.peers, active.peer) else { return };
        let Wanted { author, run, .. } = active.wanted;
        let of = self.log.run(author, run);
        let missing = |first, last| of.map_or_else(|| vec![(first, last)], |of| of.missing(first, last));
        while let Some(part) = active.windows.next(missing) {
            let Part { first, last, tries } = part;
            tracing::debug!(peer = %active.peer, %author, %run, first, last, tries, "pull");
            self.counters.pulls += 1;
            self.out.send(active.peer, MessagingFrame::Pull { author, run, first, last });
            active.windows.sent(part, step.now.time, waits);
        }
        if active.windows.is_idle() { self.pull_done(step) } else { self.await_answers(step) }
    }

    /// The peer is in a new run: what it was asked before it has forgotten.
    pub(super) fn pull_begins_again(&mut self, step: &mut Step, peer: MemberId) {
        if let Some(active) = self.recovery.active.as_mut().filter(|active| active.peer == peer) {
            active.windows.begin_again();
            self.ask_on(step);
        }
    }

    fn await_answers(&mut self, step: &mut Step) {
        let Some(active) = &self.recovery.active else { return };
        let Some(due) = active.windows.due() else { return };
        // Past its time it is still asked as often as any: a loop that stood still may have let the time pass.
        let over = active.began + PULL_TIME_MAX;
        self.timers.set(Timer::Pull, if over > step.now.time { due.min(over) } else { due });
    }

    /// A message that was given is on its way to the disk. Whatever is asked for now, it was asked for once.
    pub(super) fn recovery_comes(&mut self, step: &mut Step, peer: MemberId, (author, run, seq): Place, bytes: usize) {
        *self.recovery.incoming.entry(peer).or_default() += 1;
        let Some(active) = &mut self.recovery.active else { return };
        let fits = active.peer == peer && (active.wanted.author, active.wanted.run) == (author, run);
        let Some(waits) = waits_for(&self.peers, peer) else { return };
        if fits && active.windows.comes(seq, bytes, step.now.time, waits) {
            active.heard = Some(step.now.time);
            self.await_answers(step);
        }
    }

    /// A recovered message was shown, or never will be.
    pub(super) fn recovery_got(&mut self, step: &mut Step, via: MemberId, count: u64, cause: Option<Cause>) {
        if let Some(incoming) = self.recovery.incoming.get_mut(&via) {
            *incoming = incoming.saturating_sub(1);
        }
        let got = self.recovery.got.entry(via).or_default();
        *got = (got.0 + count, cause.or(got.1));
        self.tell_recovered(step, via);
    }

    pub(super) fn tell_recovered(&mut self, step: &mut Step, via: MemberId) {
        let is_on = self.recovery.active.as_ref().is_some_and(|active| active.peer == via)
            || self.recovery.offers.get(&via).is_some_and(|offers| !offers.is_empty())
            || self.recovery.incoming.get(&via).is_some_and(|&incoming| incoming > 0);
        if is_on {
            return;
        }
        self.recovery.incoming.remove(&via);
        if let Some((count, cause)) = self.recovery.got.remove(&via).filter(|got| got.0 > 0) {
            self.out.tell(step, cause, EventKind::Recovered { count, via });
        }
    }

    /// The peer has given what it could of a pull.
    pub(super) fn handle_pull_end(
        &mut self,
        step: &mut Step,
        peer: MemberId,
        (author, run, first): Place,
        last: Seq,
        lacking: &[Lacking],
    ) {
        if lacking.len() > LACKING_MAX {
            self.counters.strange += 1;
            return;
        }
        let Some(active) = &mut self.recovery.active else { return };
        let fits = active.peer == peer && (active.wanted.author, active.wanted.run) == (author, run);
        let Some(waits) = waits_for(&self.peers, peer).filter(|_| fits) else { return };
        let now = step.now.time;
        let Some(ended) = active.windows.ends(first, last, now, waits) else { return };
        active.heard = Some(now);
        let missing = self.log.run(author, run).map_or_else(|| vec![(first, last)], |of| of.missing(first, last));
        let (words, lost) = words_of(peer, &missing, lacking);
        active.said.extend(words);
        active.windows.adapt(&Part { last, ..ended.part }, lost.iter().map(|(first, last)| last - first + 1).sum());
        active.windows.again(lost, if ended.progressed() { 0 } else { ended.part.tries + 1 });
        let is_urgent = self.recovery.quests.values().any(|q| q.finished.is_none() && q.due <= now);
        let is_late = now >= active.began + PULL_TIME_MAX || (!active.is_quest && is_urgent);
        if is_late && active.windows.rest().is_some() {
            return self.put_off(step);
        }
        self.ask_on(step);
    }

    pub(super) fn pull_unanswered(&mut self, step: &mut Step) {
        let now = step.now.time;
        let Some(active) = &mut self.recovery.active else { return };
        if active.heard.is_some() && now >= active.began + PULL_TIME_MAX {
            return self.put_off(step);
        }
        let Wanted { author, run, .. } = active.wanted;
        let mut is_silent = false;
        for window in active.windows.overdue(now).into_iter().rev() {
            let Window { part, sent, .. } = window;
            let of = self.log.run(author, run);
            let missing = of.map_or_else(|| vec![(part.first, part.last)], |of| of.missing(part.first, part.last));
            active.windows.adapt(&part, missing.iter().map(|(first, last)| last - first + 1).sum());
            let tries = if window.progressed() { 1 } else { part.tries + 1 };
            is_silent |= tries >= SILENT_TRIES_MAX && active.heard.is_none_or(|heard| heard <= sent);
            active.windows.again_unanswered(missing, tries);
        }
        if is_silent {
            let peer = active.peer;
            self.recovery.offers.remove(&peer);
            self.want_frontier(peer);
            return self.pull_done(step);
        }
        self.ask_on(step);
    }

    /// The pull took its time: what is left of an offer waits until others had their turn.
    fn put_off(&mut self, step: &mut Step) {
        if self.recovery.active.as_ref().is_some_and(|active| active.is_quest) {
            self.pull_done(step);
        } else {
            self.set_aside();
            self.seek(step);
        }
    }

    /// Pulls something else first: what is left of the offer is the last of its peer's.
    pub(super) fn set_aside(&mut self) {
        self.timers.cancel(Timer::Pull);
        let Some(Active { peer, wanted, windows, .. }) = self.recovery.active.take() else { return };
        let Some(Part { first, last, tries }) = windows.rest() else { return };
        let wanted = Wanted { first, last, ..wanted };
        self.recovery.offers.entry(peer).or_default().push_back(Offer { wanted, tries });
    }

    /// The pull is over: on to the next hole with the same peer, or to the next peer, or to the next offer.
    fn pull_done(&mut self, step: &mut Step) {
        self.timers.cancel(Timer::Pull);
        let Some(active) = self.recovery.active.take() else { return };
        let peer = active.peer;
        if active.is_quest
            && let Some(next) = self.hole_done(&active)
        {
            let windows = active.windows.onward(next.first, next.last);
            self.recovery.active = Some(Active { wanted: next, windows, said: Vec::new(), ..active });
            return self.ask_on(step);
        }
        if !active.is_quest && active.windows.has_failed() {
            self.want_frontier(peer);
        }
        self.tell_recovered(step, peer);
        self.seek(step);
    }

    /// Notes what a peer said of a hole; gives the next one that it can be asked for.
    fn hole_done(&mut self, active: &Active) -> Option<Wanted> {
        let Wanted { author, run, last, .. } = active.wanted;
        let peer = active.peer;
        let of = self.log.run(author, run);
        let missing = |(first, last)| of.map_or_else(Vec::new, |of| of.missing(first, last));
        let left: Vec<(Seq, Seq)> = active.windows.unanswered().flat_map(missing).collect();
        let silence = |(first, last)| Asked { peer, first, last, answer: Answer::NoAnswer };
        let quest = self.recovery.quests.get_mut(&(author, run))?;
        quest.round.insert(peer, left.is_empty());
        quest.note(&active.said);
        quest.note(&left.into_iter().map(silence).collect::<Vec<_>>());
        if self.is_disk_full {
            return None;
        }
        let mut later = self.holes(author, run).into_iter().filter(|&(from, _)| from > last);
        let next = later.find(|&hole| self.candidates(author, run, hole).contains(&peer));
        next.map(|(first, last)| Wanted { author, run, first, last })
    }

    /// A session with the peer is gone, and with it what was asked there.
    pub(super) fn recovery_closed(&mut self, step: &mut Step, peer: MemberId) {
        self.recovery.offers.remove(&peer);
        self.recovery.incoming.remove(&peer);
        if self.recovery.active.as_ref().is_some_and(|active| active.peer == peer) {
            self.pull_done(step);
        }
        self.tell_recovered(step, peer);
    }
}

/// How long the peer may be silent; `None` where there is no session with it.
fn waits_for(peers: &ByMember<Peer>, peer: MemberId) -> Option<Waits> {
    let peer = peers.get(&peer)?;
    let overtaken = peer.pace.timeouts(&peer.path).reordering;
    Some(Waits { answer: peer.pace.pto(&peer.path) + ANSWER_TIME, overtaken })
}

/// What a peer says of what is missing of a window, where `lacking` is what it does not give; and what it gave and was lost.
fn words_of(peer: MemberId, missing: &[(Seq, Seq)], lacking: &[Lacking]) -> (Vec<Asked>, Vec<(Seq, Seq)>) {
    let mut words = Vec::new();
    let mut lost = Vec::new();
    for (first, last) in missing.iter().flat_map(|&range| split_at(range, lacking)) {
        match lacking.iter().find(|lack| lack.first <= first && last <= lack.last) {
            Some(lack) => {
                let answer = if lack.had { Answer::NoLongerKeepsIt } else { Answer::NeverHadIt };
                words.push(Asked { peer, first, last, answer });
            }
            None => lost.push((first, last)),
        }
    }
    (words, lost)
}

/// The parts of a range that are wholly in or wholly out of each of `lacking`.
fn split_at((first, last): (Seq, Seq), lacking: &[Lacking]) -> Vec<(Seq, Seq)> {
    let mut cuts: Vec<Seq> = lacking
        .iter()
        .flat_map(|lack| [lack.first, lack.last.saturating_add(1)])
        .filter(|&cut| cut > first && cut <= last)
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut parts = Vec::with_capacity(cuts.len() + 1);
    let mut from = first;
    for cut in cuts {
        parts.push((from, cut - 1));
        from = cut;
    }
    parts.push((from, last));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_split_where_something_lacks() {
        let lack = |first, last| Lacking { first, last, had: true };
        assert_eq!(split_at((1, 10), &[lack(3, 4)]), [(1, 2), (3, 4), (5, 10)]);
        assert_eq!(split_at((1, 10), &[lack(1, 20)]), [(1, 10)]);
        assert_eq!(split_at((1, 10), &[]), [(1, 10)]);
    }
}
