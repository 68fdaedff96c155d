//! Asking for what is missing: from one peer at a time, in windows. Owns what is sought, who was asked and what
//! each said; knows nothing of what this node gives to others.
//!
//! Two things make it ask. A *quest* is for holes that a signed message proves, and goes from peer to peer. An
//! *offer* is what a peer's frontier says it could give, and is taken from that peer.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use super::give::LACKING_MAX;
use super::log::Place;
use super::machine::Messaging;
use super::order::HOLD;
use super::outbox::EventKind;
use super::receive::SEQ_MAX;
use super::record::{Answer, Record};
use super::timers::Timer;
use crate::base::limits::{OFFERS_PER_PEER_MAX, RECOVERY_MESSAGES_MAX, RECOVERY_PEERS_MAX, RUNS_PER_AUTHOR_MAX};
use crate::base::{Cause, MemberId, Run, Seq, Step, Time};
use crate::wire::{FrontierEntry, Lacking, MessagingFrame};

/// An author that can be reached is still sending what is missing: it has this long before others are asked.
const PATIENCE: Duration = Duration::from_secs(1);
/// Otherwise: what came on another way has this long to overtake.
const PATIENCE_AUTHOR_AWAY: Duration = Duration::from_millis(100);
/// What a peer may take to answer a pull, beside the round trip: it gives chat the way.
const ANSWER_TIME: Duration = Duration::from_millis(300);
const PULL_TRIES_MAX: u32 = 3;
/// One pull holds up the others for this long at most, however slowly its peer gives: a guess, of thirty honest windows.
const PULL_TIME_MAX: Duration = Duration::from_secs(10);
/// After a quest the same run is not asked for again for this long.
const QUEST_REST: Duration = Duration::from_secs(10);
/// Runs of which it is remembered where they begin.
const HINTS_MAX: usize = 1_024;
/// Quests remembered; beyond, holes are left to frontiers.
pub(super) const QUESTS_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Recovery {
    quests: BTreeMap<(MemberId, Run), Quest>,
    offers: BTreeMap<MemberId, VecDeque<Wanted>>,
    /// Who was last pulled from for an offer: the others are next.
    last_offerer: Option<MemberId>,
    active: Option<Active>,
    /// Recovered messages of each peer, since the last time this was told; with what
    /// brought the newest; and those that are not on disk or not shown yet.
    got: BTreeMap<MemberId, (u64, Option<Cause>)>,
    incoming: BTreeMap<MemberId, usize>,
    /// Where runs begin for a node that is new in the room, as peers say.
    hints: BTreeMap<(MemberId, Run), Seq>,
    pub copied_home_told: bool,
}

/// Messages of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    author: MemberId,
    run: Run,
    first: Seq,
    last: Seq,
}

#[derive(Debug)]
struct Quest {
    due: Time,
    /// What showed that something is missing.
    cause: Option<Cause>,
    asked: BTreeMap<MemberId, Answer>,
    finished: Option<Time>,
}

/// The pull that waits for its answer.
#[derive(Debug)]
struct Active {
    peer: MemberId,
    wanted: Wanted,
    began: Time,
    tries: u32,
    /// It gave something since the pull began.
    has_given: bool,
    /// Something new came since it was sent.
    progressed: bool,
    /// What the peer said of what it does not give.
    lacks: Option<Answer>,
    is_quest: bool,
}

impl Recovery {
    /// Whose offer is taken next: each peer in its turn, so that one that gives little holds up nobody.
    fn next_offerer(&self) -> Option<MemberId> {
        let after =
            self.last_offerer.and_then(|last| self.offers.range((Bound::Excluded(last), Bound::Unbounded)).next());
        after.or_else(|| self.offers.first_key_value()).map(|(&peer, _)| peer)
    }
}

impl Messaging {
    /// Holes that earlier runs left are sought once peers had time to appear.
    pub(super) fn restore_recovery(&mut self, step: &mut Step) {
        let runs: Vec<(MemberId, Run)> = self
            .log
            .authors()
            .filter(|(id, _)| *id != self.me)
            .flat_map(|(id, author)| author.runs.keys().map(move |&run| (id, run)))
            .collect();
        for (author, run) in runs {
            let is_new = |&(first, last): &(Seq, Seq)| {
                let gap = self.gaps.range((author, run, 0)..=(author, run, first)).next_back();
                gap.is_none_or(|(_, gap)| gap.last < last)
            };
            if self.holes(author, run).iter().any(is_new) {
                self.begin_quest(author, run, step.now.time + HOLD, step.cause);
            }
        }
    }

    /// Messages of the author wait for others before them, in `run`.
    pub(super) fn seek_for(&mut self, step: &mut Step, author: MemberId, run: Run) {
        let now = step.now.time;
        if let Some(quest) = self.recovery.quests.get(&(author, run))
            && quest.finished.is_none_or(|finished| now.since(finished) < QUEST_REST)
        {
            return;
        }
        let is_near = self.peers.get(&author).is_some_and(super::peer::Peer::is_reachable);
        self.begin_quest(author, run, now + if is_near { PATIENCE } else { PATIENCE_AUTHOR_AWAY }, step.cause);
    }

    fn begin_quest(&mut self, author: MemberId, run: Run, due: Time, cause: Option<Cause>) {
        if self.recovery.quests.len() >= QUESTS_MAX && !self.recovery.quests.contains_key(&(author, run)) {
            let rested = self.recovery.quests.iter().filter(|(_, quest)| quest.finished.is_some());
            let Some(oldest) = rested.min_by_key(|(_, quest)| quest.finished).map(|(&key, _)| key) else { return };
            self.recovery.quests.remove(&oldest);
        }
        self.recovery.quests.insert((author, run), Quest { due, cause, asked: BTreeMap::new(), finished: None });
        self.timers.set_earlier(Timer::Seek, due);
    }

    /// What is missing of a run and proven to exist, as far back as recovery goes.
    fn holes(&self, author: MemberId, run: Run) -> Vec<(Seq, Seq)> {
        let Some(of) = self.log.run(author, run) else { return Vec::new() };
        let last = of.last_known();
        of.missing(window_first(last).max(of.history + 1), last)
    }

    /// Who was asked for what is missing of a run, and what each said so far.
    pub(super) fn asked_for(&self, author: MemberId, run: Run) -> Vec<(MemberId, Answer)> {
        let mut asked = self.recovery.quests.get(&(author, run)).map(|quest| quest.asked.clone()).unwrap_or_default();
        if let Some(active) = &self.recovery.active
            && active.is_quest
            && (active.wanted.author, active.wanted.run) == (author, run)
        {
            asked.insert(active.peer, active.lacks.unwrap_or(Answer::NoAnswer));
        }
        asked.into_iter().collect()
    }

    /// Asks the next peer for the next thing, unless an answer is awaited.
    pub(super) fn seek(&mut self, step: &mut Step) {
        let now = step.now.time;
        while self.recovery.active.is_none() {
            let open = self.recovery.quests.iter().filter(|(_, quest)| quest.finished.is_none());
            let next = open.min_by_key(|(_, quest)| quest.due).map(|(&key, quest)| (key, quest.due));
            match next {
                Some((key, due)) if due <= now => self.seek_quest(step, key),
                Some((_, due)) => {
                    if !self.take_offer(step) {
                        self.timers.set_earlier(Timer::Seek, due);
                        return;
                    }
                }
                None => {
                    if !self.take_offer(step) {
                        return;
                    }
                }
            }
        }
    }

    fn seek_quest(&mut self, step: &mut Step, (author, run): (MemberId, Run)) {
        let holes = self.holes(author, run);
        let Some(quest) = self.recovery.quests.get(&(author, run)) else { return };
        let Some(&(first, last)) = holes.first() else {
            self.recovery.quests.remove(&(author, run));
            return;
        };
        let asked = |peer: &MemberId| quest.asked.contains_key(peer);
        let candidates: Vec<MemberId> =
            self.peers.iter().filter(|(id, peer)| peer.is_reachable() && !asked(id)).map(|(&id, _)| id).collect();
        if candidates.is_empty() || quest.asked.len() >= RECOVERY_PEERS_MAX {
            return self.finish_quest(step, author, run, &holes);
        }
        let peer = if candidates.contains(&author) {
            author
        } else {
            let count = u64::try_from(candidates.len()).unwrap_or(u64::MAX);
            let chosen = usize::try_from(self.rng.below(count)).unwrap_or(0);
            candidates[chosen.min(candidates.len() - 1)]
        };
        self.pull(step, peer, Wanted { author, run, first, last }, true);
    }

    /// Nobody is left to be asked: what is still missing is a gap.
    fn finish_quest(&mut self, step: &mut Step, author: MemberId, run: Run, holes: &[(Seq, Seq)]) {
        if let Some(quest) = self.recovery.quests.get_mut(&(author, run)) {
            quest.finished = Some(step.now.time);
        }
        let cause = self.recovery.quests.get(&(author, run)).and_then(|quest| step.cause.or(quest.cause));
        if self.log.author(author).is_some_and(|known| known.untold.is_empty()) {
            // Nothing waits for these that would give them up: they are left of an earlier run of this node.
            for &(first, last) in holes {
                self.give_up(step, author, (run, first, last), cause);
            }
        }
        let told = self.log.run(author, run).map_or(0, |of| of.told);
        for &(first, last) in holes.iter().filter(|(first, _)| *first <= told) {
            self.tell_gap(step, (author, run, first), last.min(told), cause);
        }
        self.gated.insert(author);
    }

    /// Pulls the next of what peers offered; false if there is nothing.
    fn take_offer(&mut self, step: &mut Step) -> bool {
        while let Some(peer) = self.recovery.next_offerer() {
            let Some(offer) = self.recovery.offers.get_mut(&peer).and_then(VecDeque::pop_front) else {
                self.recovery.offers.remove(&peer);
                self.tell_recovered(step, peer);
                continue;
            };
            let Wanted { author, run, first, last } = offer;
            let missing = self.log.run(author, run).map_or_else(|| vec![(first, last)], |of| of.missing(first, last));
            let Some(&(first, upto)) = missing.first() else { continue };
            if upto < last {
                let rest = Wanted { first: upto + 1, ..offer };
                self.recovery.offers.entry(peer).or_default().push_front(rest);
            }
            self.recovery.last_offerer = Some(peer);
            self.pull(step, peer, Wanted { author, run, first, last: upto }, false);
            return true;
        }
        false
    }

    fn pull(&mut self, step: &mut Step, peer: MemberId, wanted: Wanted, is_quest: bool) {
        let began = step.now.time;
        let (progressed, has_given) = (false, false);
        self.recovery.active =
            Some(Active { peer, wanted, began, tries: 0, has_given, progressed, lacks: None, is_quest });
        self.send_pull(step);
    }

    fn send_pull(&mut self, step: &mut Step) {
        let Some(active) = &self.recovery.active else { return };
        let Wanted { author, run, first, last } = active.wanted;
        tracing::debug!(peer = %active.peer, %author, %run, first, last, "pull");
        self.counters.pulls += 1;
        self.out.send(active.peer, MessagingFrame::Pull { author, run, first, last });
        self.await_answer(step);
    }

    fn await_answer(&mut self, step: &mut Step) {
        let Some(active) = &self.recovery.active else { return };
        let Some(peer) = self.peers.get(&active.peer) else { return };
        let wait = (peer.pace.pto(&peer.path) + ANSWER_TIME) * (active.tries + 1);
        self.timers.set(Timer::Pull, (step.now.time + wait).min(active.began + PULL_TIME_MAX));
    }

    /// A message that was given is on its way to the disk. Whatever is asked for now, it was asked for once.
    pub(super) fn recovery_comes(&mut self, step: &mut Step, peer: MemberId, (author, run, seq): Place) {
        *self.recovery.incoming.entry(peer).or_default() += 1;
        let Some(active) = &mut self.recovery.active else { return };
        let wanted = active.wanted;
        let fits = active.peer == peer
            && (wanted.author, wanted.run) == (author, run)
            && (wanted.first..=wanted.last).contains(&seq);
        if fits {
            active.progressed = true;
            active.has_given = true;
            self.await_answer(step);
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

    fn tell_recovered(&mut self, step: &mut Step, via: MemberId) {
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
        let wanted = active.wanted;
        let fits = active.peer == peer
            && (wanted.author, wanted.run, wanted.first) == (author, run, first)
            && (first..=wanted.last).contains(&last);
        if !fits {
            return;
        }
        for lack in lacking {
            let answer = if lack.had { Answer::NoLongerKeepsIt } else { Answer::NeverHadIt };
            active.lacks = Some(active.lacks.map_or(answer, |before| before.min(answer)));
        }
        let given_not = |&(first, last): &(Seq, Seq)| !lacking.iter().any(|l| l.first <= first && last <= l.last);
        let missing = self.log.run(author, run).map_or_else(|| vec![(first, last)], |of| of.missing(first, last));
        let lost = missing.iter().flat_map(|&range| split_at(range, lacking)).find(given_not);
        if let Some((lost, _)) = lost {
            active.tries = if active.progressed { 0 } else { active.tries + 1 };
            active.progressed = false;
            if active.tries < PULL_TRIES_MAX {
                active.wanted.first = lost;
                return self.send_pull(step);
            }
            active.lacks = active.lacks.or(Some(Answer::NoAnswer));
            return self.pull_done(step);
        }
        let rest = (last < wanted.last)
            .then(|| {
                let from = last + 1;
                let of = self.log.run(author, run);
                of.map_or_else(|| Some((from, wanted.last)), |of| of.missing(from, wanted.last).first().copied())
            })
            .flatten();
        let is_urgent = self.recovery.quests.values().any(|q| q.finished.is_none() && q.due <= step.now.time);
        match (rest, &mut self.recovery.active) {
            (Some((next, _)), Some(active)) => {
                active.wanted.first = next;
                if step.now.time >= active.began + PULL_TIME_MAX || (!active.is_quest && is_urgent) {
                    return self.put_off(step);
                }
                active.tries = 0;
                active.progressed = false;
                self.send_pull(step);
            }
            (Some(_) | None, _) => self.pull_done(step),
        }
    }

    pub(super) fn pull_unanswered(&mut self, step: &mut Step) {
        let Some(active) = &mut self.recovery.active else { return };
        if active.has_given && step.now.time >= active.began + PULL_TIME_MAX {
            return self.put_off(step);
        }
        active.tries = if active.progressed { 1 } else { active.tries + 1 };
        active.progressed = false;
        if active.tries < PULL_TRIES_MAX {
            let Wanted { author, run, first, last } = active.wanted;
            let missing = self.log.run(author, run).map_or_else(|| vec![(first, last)], |of| of.missing(first, last));
            let Some(&(first, _)) = missing.first() else { return self.pull_done(step) };
            active.wanted.first = first;
            return self.send_pull(step);
        }
        active.lacks = Some(Answer::NoAnswer);
        let peer = active.peer;
        self.recovery.offers.remove(&peer);
        self.pull_done(step);
    }

    /// The pull took its time: what is left of an offer waits until others had their turn.
    fn put_off(&mut self, step: &mut Step) {
        let Some(active) = &mut self.recovery.active else { return };
        if active.is_quest {
            active.lacks = Some(Answer::NoAnswer);
        } else {
            self.recovery.offers.entry(active.peer).or_default().push_back(active.wanted);
        }
        self.pull_done(step);
    }

    /// The pull is over: on to the next hole with the same peer, or to the next peer, or to the next offer.
    fn pull_done(&mut self, step: &mut Step) {
        self.timers.cancel(Timer::Pull);
        let Some(active) = self.recovery.active.take() else { return };
        let Wanted { author, run, last, .. } = active.wanted;
        if active.is_quest {
            let holes = self.holes(author, run);
            let next = holes.iter().find(|(_, upto)| *upto > last).filter(|_| active.lacks != Some(Answer::NoAnswer));
            if let Some(&(first, upto)) = next {
                let wanted = Wanted { author, run, first: first.max(last + 1), last: upto };
                self.recovery.active = Some(Active { wanted, tries: 0, progressed: false, ..active });
                return self.send_pull(step);
            }
            if let Some(quest) = self.recovery.quests.get_mut(&(author, run)) {
                quest.asked.insert(active.peer, active.lacks.unwrap_or(Answer::NoAnswer));
            }
        }
        self.tell_recovered(step, active.peer);
        self.seek(step);
    }

    /// A session with the peer is gone, and with it what was asked there.
    pub(super) fn recovery_closed(&mut self, step: &mut Step, peer: MemberId) {
        self.recovery.offers.remove(&peer);
        self.recovery.incoming.remove(&peer);
        if let Some(active) = self.recovery.active.as_mut().filter(|active| active.peer == peer) {
            active.lacks = Some(Answer::NoAnswer);
            self.pull_done(step);
        }
        self.tell_recovered(step, peer);
    }

    /// What a peer holds: what of it is missing here is pulled from it.
    pub(super) fn take_frontier(&mut self, step: &mut Step, peer: MemberId, entries: &[FrontierEntry]) {
        let mut budget = u64::try_from(RECOVERY_MESSAGES_MAX).unwrap_or(u64::MAX);
        for entry in entries {
            let (author, run) = (entry.author, entry.run);
            if entry.head == 0 || entry.head > SEQ_MAX || (author == self.me && self.run.is_none_or(|mine| run >= mine))
            {
                continue;
            }
            let Some(known) = self.log.author(author) else {
                self.hint_history(entry);
                self.offer(peer, entry, &mut budget);
                continue;
            };
            let is_tracked = known.runs.contains_key(&run);
            let is_too_old = known.floor.is_some_and(|floor| run < floor)
                || (!is_tracked
                    && known.runs.len() >= RUNS_PER_AUTHOR_MAX
                    && known.runs.keys().next().is_some_and(|&lowest| run < lowest));
            if is_too_old {
                continue;
            }
            self.hint_history(entry);
            self.offer(peer, entry, &mut budget);
        }
        self.timers.set_earlier(Timer::Seek, step.now.time);
    }

    /// What a peer's frontier says of where the run begins for a node that is new in the room: as far back as recovery
    /// goes, and as the peer can give. Nothing signed says so, hence it counts only once a message of the run came.
    fn hint_history(&mut self, entry: &FrontierEntry) {
        let key = (entry.author, entry.run);
        if !self.is_newcomer || self.recovery.hints.len() >= HINTS_MAX || self.recovery.hints.contains_key(&key) {
            return;
        }
        let first = window_first(entry.head).max(entry.recent.min(entry.head + 1));
        let given = entry.kept.iter().map(|range| range.0).min().unwrap_or(first);
        self.recovery.hints.insert(key, first.max(given) - 1);
    }

    /// The first message of a run reached a node that is new in the room: what was said before it, and further back
    /// than is asked for, is history and no gap.
    pub(super) fn note_history(&mut self, (author, run, seq): Place) {
        if !self.is_newcomer {
            return;
        }
        let hint = self.recovery.hints.get(&(author, run)).copied();
        let Some(of) = self.log.run_mut(author, run) else { return };
        let upto = hint.unwrap_or_else(|| window_first(seq) - 1).min(seq - 1);
        if upto == 0 || of.history > 0 || of.last_known() > 0 {
            return;
        }
        of.history = upto;
        of.told = of.told.max(upto);
        self.out.store(Record::History { author, run, upto });
    }

    fn offer(&mut self, peer: MemberId, entry: &FrontierEntry, budget: &mut u64) {
        let (author, run) = (entry.author, entry.run);
        let of = self.log.run(author, run);
        let mut low = window_first(entry.head);
        if self.is_newcomer {
            low = low.max(entry.recent);
        }
        let offers = self.recovery.offers.entry(peer).or_default();
        for &(first, last) in entry.kept.iter().rev() {
            let (first, last) = (first.max(low), last.min(entry.head));
            if first > last {
                continue;
            }
            let missing = of.map_or_else(|| vec![(first, last)], |of| of.missing(first, last));
            for (first, last) in missing.into_iter().rev() {
                let first = first.max((last + 1).saturating_sub(*budget));
                if *budget == 0 || offers.len() >= OFFERS_PER_PEER_MAX || first > last {
                    return;
                }
                *budget -= last + 1 - first;
                let wanted = Wanted { author, run, first, last };
                if !offers.contains(&wanted) {
                    offers.push_back(wanted);
                }
            }
        }
        // Older ones first: they show in order then.
        offers.make_contiguous().sort_by_key(|wanted| (wanted.run, wanted.author, wanted.first));
    }

    /// What is being asked for: quests, ranges offered.
    pub(super) fn recovery_size(&self) -> (usize, usize) {
        let open = self.recovery.quests.values().filter(|quest| quest.finished.is_none()).count();
        (open, self.recovery.offers.values().map(VecDeque::len).sum())
    }
}

/// The first message that recovery asks for, where `last` is the newest.
fn window_first(last: Seq) -> Seq {
    let window = u64::try_from(RECOVERY_MESSAGES_MAX).unwrap_or(u64::MAX);
    (last + 1).saturating_sub(window).max(1)
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

    #[test]
    fn a_window_never_begins_below_one() {
        assert_eq!(window_first(3), 1);
        assert_eq!(window_first(1000), 501);
    }
}
