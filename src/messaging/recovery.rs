//! Asking for what is missing, from one peer at a time. Owns what is sought, who was asked and what each said; how one
//! peer is asked is `pull`'s.
//!
//! Two things make it ask. A *quest* is for holes that a signed message proves, and goes from peer to peer. An
//! *offer* is what a peer's frontier says it could give, and is taken from that peer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use super::frontier::DISK_FULL_REST;
use super::log::Place;
use super::machine::Messaging;
use super::order::HOLD;
use super::record::{Answer, GapRecord};
use super::timers::Timer;
use super::windows::Windows;
use crate::base::limits::{RECOVERY_AGE_MAX, RECOVERY_MESSAGES_MAX, RECOVERY_PEERS_MAX};
use crate::base::{Cause, MemberId, Run, Seq, Step, Time};

/// An author that can be reached is still sending what is missing: it has this long before others are asked.
const PATIENCE: Duration = Duration::from_secs(1);
/// Otherwise: what came on another way has this long to overtake.
const PATIENCE_AUTHOR_AWAY: Duration = Duration::from_millis(100);
/// After a quest the same messages are not asked for again for this long.
const QUEST_REST: Duration = Duration::from_secs(10);
/// Holes that show while a quest rests open it again, after a patience that doubles each time. After so many times that
/// has taken longer than a rest, and everybody may be asked anew.
const REOPENED_MAX: u32 = 4;
/// Words of peers that one quest remembers: four peers' on as many holes as a run can have at a loss of 20 %.
const ASKED_MAX: usize = 256;
/// Messages refused by the disk here of which it is remembered who sent them: as many as gaps are remembered.
const NOT_STORED_MAX: usize = 1_024;
/// Runs of which it is remembered where they begin.
pub(super) const HINTS_MAX: usize = 1_024;
/// Quests remembered; beyond, holes are left to frontiers.
pub(super) const QUESTS_MAX: usize = 256;

type Ranges = Vec<(Seq, Seq)>;

#[derive(Debug, Default)]
pub(super) struct Recovery {
    pub quests: BTreeMap<(MemberId, Run), Quest>,
    pub offers: BTreeMap<MemberId, VecDeque<Offer>>,
    /// Who was last pulled from for an offer: the others are next.
    pub last_offerer: Option<MemberId>,
    pub active: Option<Active>,
    /// Recovered messages of each peer, since the last time this was told; with what
    /// brought the newest; and those that are not on disk or not shown yet.
    pub got: BTreeMap<MemberId, (u64, Option<Cause>)>,
    pub incoming: BTreeMap<MemberId, usize>,
    /// Where runs begin for a node that is new in the room, as peers say.
    pub hints: BTreeMap<(MemberId, Run), Seq>,
    /// Runs of which the disk refused to note where they begin.
    pub refused_history: BTreeSet<(MemberId, Run)>,
    /// A peer that holds anything has said what: what is new from here on was said in this node's time.
    pub is_arrived: bool,
    /// When the first session was open.
    pub met: Option<Time>,
    /// When the first peer had said all that it holds, were it nothing.
    pub came: Option<Time>,
    pub copied_home_told: bool,
    /// What the disk here refused, and who had sent it: not whom to ask, but what to say of a gap.
    pub not_stored: BTreeSet<(Place, MemberId)>,
}

/// Messages of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub author: MemberId,
    pub run: Run,
    pub first: Seq,
    pub last: Seq,
}

/// What a peer could give.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub wanted: Wanted,
    /// How often it was pulled without an answer, before a quest went first.
    pub tries: u32,
}

/// The search for all that is missing of a run.
#[derive(Debug)]
pub(super) struct Quest {
    pub due: Time,
    /// What showed that something is missing.
    pub cause: Option<Cause>,
    /// Who was asked for which messages, and said what.
    pub asked: Vec<Asked>,
    /// Whom it asks since it was opened, and whether each still answers.
    pub round: BTreeMap<MemberId, bool>,
    pub finished: Option<Time>,
    /// How often it was opened again before it had rested.
    pub reopened: u32,
    /// It is finished, and left holes for which nothing waits to be told in their turn.
    pub leaves_holes: bool,
}

/// What a peer said when it was asked for messages of a run, and did not give them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub peer: MemberId,
    pub first: Seq,
    pub last: Seq,
    pub answer: Answer,
}

/// The pull that waits for its answers.
#[derive(Debug)]
pub(super) struct Active {
    pub peer: MemberId,
    /// All of it.
    pub wanted: Wanted,
    pub windows: Windows,
    pub began: Time,
    /// When the peer last gave something of it, or said that it does not.
    pub heard: Option<Time>,
    /// What the peer said of those that it does not give.
    pub said: Vec<Asked>,
    pub is_quest: bool,
}

impl Recovery {
    /// Whose offer is taken next: each peer in its turn, so that one that gives little holds up nobody.
    fn next_offerer(&self) -> Option<MemberId> {
        let after =
            self.last_offerer.and_then(|last| self.offers.range((Bound::Excluded(last), Bound::Unbounded)).next());
        after.or_else(|| self.offers.first_key_value()).map(|(&peer, _)| peer)
    }
}

impl Quest {
    fn new(due: Time, cause: Option<Cause>) -> Self {
        Self { due, cause, asked: Vec::new(), round: BTreeMap::new(), finished: None, reopened: 0, leaves_holes: false }
    }

    /// What was said of all of `missing`, by those who were asked for all of it.
    pub fn words_on(&self, missing: &[(Seq, Seq)]) -> BTreeMap<MemberId, Answer> {
        words_on(&self.asked, missing)
    }

    /// Notes what a peer said; beyond the limit it is as if it had not been asked.
    pub fn note(&mut self, said: &[Asked]) {
        for word in said {
            let follows =
                |last: &&mut Asked| (last.peer, last.answer, last.last + 1) == (word.peer, word.answer, word.first);
            if let Some(last) = self.asked.last_mut().filter(follows) {
                last.last = word.last;
            } else if self.asked.len() < ASKED_MAX {
                self.asked.push(*word);
            }
        }
    }
}

/// Who of `asked` was asked for all of `missing`, and what each said: of several words the one that says most.
fn words_on(asked: &[Asked], missing: &[(Seq, Seq)]) -> BTreeMap<MemberId, Answer> {
    let mut by_peer: BTreeMap<MemberId, (Ranges, Answer)> = BTreeMap::new();
    let concerns = |word: &&Asked| missing.iter().any(|&(first, last)| word.first <= last && first <= word.last);
    for word in asked.iter().filter(concerns) {
        let (ranges, answer) = by_peer.entry(word.peer).or_insert((Vec::new(), word.answer));
        ranges.push((word.first, word.last));
        *answer = (*answer).min(word.answer);
    }
    by_peer.retain(|_, (ranges, _)| {
        ranges.sort_unstable();
        missing.iter().all(|&hole| is_covered(ranges, hole))
    });
    by_peer.into_iter().map(|(peer, (_, answer))| (peer, answer)).collect()
}

/// Whether `ranges`, sorted, leave out nothing of `first..=last`.
fn is_covered(ranges: &[(Seq, Seq)], (first, last): (Seq, Seq)) -> bool {
    let reach = ranges.iter().fold(first, |next, &(from, to)| if from <= next { next.max(to + 1) } else { next });
    reach > last
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

    /// Gaps that were told lately are asked for again: who was silent then may answer now.
    pub(super) fn seek_gaps(&mut self, step: &mut Step) {
        let is_recent = |gap: &&GapRecord| self.age(step, gap.at) <= RECOVERY_AGE_MAX;
        let lately: Vec<(MemberId, Run)> =
            self.gaps.values().filter(is_recent).map(|gap| (gap.author, gap.run)).collect();
        let lately =
            lately.into_iter().filter(|&(author, run)| self.log.run(author, run).is_some()).collect::<Vec<_>>();
        for (author, run) in lately {
            self.seek_for(step, author, run);
        }
    }

    /// Messages of the author wait for others before them, in `run`.
    pub(super) fn seek_for(&mut self, step: &mut Step, author: MemberId, run: Run) {
        let now = step.now.time;
        let is_near = self.peers.get(&author).is_some_and(super::peer::Peer::is_reachable);
        let patience = if is_near { PATIENCE } else { PATIENCE_AUTHOR_AWAY };
        let holes = self.holes(author, run);
        let Some(quest) = self.recovery.quests.get_mut(&(author, run)) else {
            return self.begin_quest(author, run, now + patience, step.cause);
        };
        let Some(finished) = quest.finished else { return };
        if now.since(finished) >= QUEST_REST {
            return self.begin_quest(author, run, now + patience, step.cause);
        }
        if holes.iter().any(|&hole| quest.words_on(&[hole]).is_empty()) {
            quest.due = now + (patience * 2_u32.pow(quest.reopened.min(REOPENED_MAX))).min(QUEST_REST);
            quest.cause = step.cause.or(quest.cause);
            quest.round.clear();
            quest.finished = None;
            quest.reopened += 1;
            self.timers.set_earlier(Timer::Seek, quest.due);
        }
    }

    fn begin_quest(&mut self, author: MemberId, run: Run, due: Time, cause: Option<Cause>) {
        if self.recovery.quests.len() >= QUESTS_MAX && !self.recovery.quests.contains_key(&(author, run)) {
            let rested = self.recovery.quests.iter().filter(|(_, quest)| quest.finished.is_some());
            let Some(oldest) = rested.min_by_key(|(_, quest)| quest.finished).map(|(&key, _)| key) else { return };
            self.recovery.quests.remove(&oldest);
        }
        self.recovery.quests.insert((author, run), Quest::new(due, cause));
        self.timers.set_earlier(Timer::Seek, due);
    }

    /// The disk refused what may fill a hole: it is sought again once the disk may have room. A quest ends when nothing is
    /// missing, and what was on its way to the disk was not.
    pub(super) fn seek_refused(&mut self, step: &mut Step, author: MemberId, run: Run) {
        let is_open = self.recovery.quests.get(&(author, run)).is_some_and(|quest| quest.finished.is_none());
        if !is_open && !self.holes(author, run).is_empty() {
            self.begin_quest(author, run, step.now.time + DISK_FULL_REST, step.cause);
        }
    }

    /// What is missing of a run and proven to exist, as far back as recovery goes.
    pub(super) fn holes(&self, author: MemberId, run: Run) -> Vec<(Seq, Seq)> {
        let Some(of) = self.log.run(author, run) else { return Vec::new() };
        let last = of.last_known();
        of.missing(window_first(last).max(of.history + 1), last)
    }

    /// Who was asked for all that is missing of `first..=last`, and what each said so far.
    pub(super) fn asked_for(&self, author: MemberId, run: Run, first: Seq, last: Seq) -> Vec<(MemberId, Answer)> {
        let missing = self.log.run(author, run).map_or_else(|| vec![(first, last)], |of| of.missing(first, last));
        let mut asked = self.recovery.quests.get(&(author, run)).map(|quest| quest.asked.clone()).unwrap_or_default();
        if let Some(Active { peer, wanted, said, windows, is_quest: true, .. }) = &self.recovery.active
            && (wanted.author, wanted.run) == (author, run)
        {
            asked.extend(said);
            let silence = |(first, last)| Asked { peer: *peer, first, last, answer: Answer::NoAnswer };
            asked.extend(windows.unanswered().map(silence));
        }
        let mut words = words_on(&asked, &missing);
        words.extend(self.gave((author, run), &missing).map(|peer| (peer, Answer::DiskFullHere)));
        words.into_iter().collect()
    }

    /// Who sent all of `missing`, which the disk here refused.
    pub(super) fn gave<'a>(
        &'a self,
        (author, run): (MemberId, Run),
        missing: &'a [(Seq, Seq)],
    ) -> impl Iterator<Item = MemberId> + 'a {
        let sent = move |seq: Seq| {
            let place = (author, run, seq);
            let of_place = (place, MemberId([0; 32]))..=(place, MemberId([u8::MAX; 32]));
            self.recovery.not_stored.range(of_place).map(|&(_, via)| via)
        };
        let first = missing.first().map(|&(first, _)| first);
        let all = move |via: MemberId| {
            let gave = |seq| self.recovery.not_stored.contains(&((author, run, seq), via));
            missing.iter().all(|&(first, last)| (first..=last).all(gave))
        };
        first.into_iter().flat_map(sent).filter(move |&via| all(via))
    }

    /// The disk here refused what a peer sent.
    pub(super) fn note_not_stored(&mut self, place: Place, via: MemberId) {
        if self.recovery.not_stored.len() < NOT_STORED_MAX {
            self.recovery.not_stored.insert((place, via));
        }
    }

    /// It is here now.
    pub(super) fn forget_not_stored(&mut self, place: Place) {
        while let Some(&first) =
            self.recovery.not_stored.range((place, MemberId([0; 32]))..=(place, MemberId([u8::MAX; 32]))).next()
        {
            self.recovery.not_stored.remove(&first);
        }
    }

    /// Asks the next peer for the next thing, unless an answer is awaited. A quest that is due waits for no offer: what it
    /// seeks holds up messages that are here.
    pub(super) fn seek(&mut self, step: &mut Step) {
        let now = step.now.time;
        loop {
            let open = self.recovery.quests.iter().filter(|(_, quest)| quest.finished.is_none());
            let next = open.min_by_key(|(_, quest)| quest.due).map(|(&key, quest)| (key, quest.due));
            let due_now = next.filter(|&(_, due)| due <= now);
            match (&self.recovery.active, due_now) {
                (Some(active), Some(_)) if !active.is_quest => self.set_aside(),
                (None, Some((key, _))) => self.seek_quest(step, key),
                (active, _) => {
                    // An answer that is awaited makes this look again when it is there.
                    if let Some((_, due)) = next.filter(|_| due_now.is_none()) {
                        self.timers.set_earlier(Timer::Seek, due);
                    }
                    if active.is_none() {
                        self.take_offer(step);
                    }
                    return;
                }
            }
        }
    }

    fn seek_quest(&mut self, step: &mut Step, (author, run): (MemberId, Run)) {
        let holes = self.holes(author, run);
        let Some(quest) = self.recovery.quests.get_mut(&(author, run)) else { return };
        if holes.is_empty() {
            self.recovery.quests.remove(&(author, run));
            return;
        }
        if quest.round.is_empty() && quest.reopened > REOPENED_MAX {
            *quest = Quest::new(quest.due, quest.cause);
        }
        for &(first, last) in &holes {
            let candidates = self.candidates(author, run, (first, last));
            if candidates.is_empty() {
                continue;
            }
            let peer = if candidates.contains(&author) {
                author
            } else {
                let count = u64::try_from(candidates.len()).unwrap_or(u64::MAX);
                let chosen = usize::try_from(self.rng.below(count)).unwrap_or(0);
                candidates[chosen.min(candidates.len() - 1)]
            };
            // One message shows whether a full disk takes any.
            let last = if self.is_disk_full { first } else { last };
            return self.pull(step, peer, Wanted { author, run, first, last }, 0, true);
        }
        self.finish_quest(step, author, run, &holes);
    }

    /// Who can still be asked for a hole.
    pub(super) fn candidates(&self, author: MemberId, run: Run, hole: (Seq, Seq)) -> Vec<MemberId> {
        let Some(quest) = self.recovery.quests.get(&(author, run)) else { return Vec::new() };
        let words = quest.words_on(&[hole]);
        if words.len() >= RECOVERY_PEERS_MAX || quest.asked.len() >= ASKED_MAX {
            return Vec::new();
        }
        let is_candidate = |id: &MemberId| {
            let takes_part = quest.round.get(id).copied().unwrap_or(quest.round.len() < RECOVERY_PEERS_MAX);
            takes_part && !words.contains_key(id)
        };
        self.peers.iter().filter(|(id, peer)| peer.is_reachable() && is_candidate(id)).map(|(&id, _)| id).collect()
    }

    /// Nobody is left to be asked: what is still missing is a gap.
    fn finish_quest(&mut self, step: &mut Step, author: MemberId, run: Run, holes: &[(Seq, Seq)]) {
        let Some(quest) = self.recovery.quests.get_mut(&(author, run)) else { return };
        quest.finished = Some(step.now.time);
        quest.leaves_holes = false;
        let cause = step.cause.or(quest.cause);
        // What is held back gives up what is missing before it. The others are left of an earlier run of this node, or came to be
        // known by what was told late, or by what a later run names.
        for &(first, last) in holes {
            let Some(known) = self.log.author(author).filter(|known| !known.waits_for(run, last)) else { continue };
            if known.untold().range((run, 0)..(run, first)).next().is_some() {
                // Its turn is after those.
                if let Some(quest) = self.recovery.quests.get_mut(&(author, run)) {
                    quest.leaves_holes = true;
                }
                continue;
            }
            self.give_up(step, author, (run, first, last), cause);
        }
        let told = self.log.run(author, run).map_or(0, |of| of.told);
        for &(first, last) in holes.iter().filter(|(first, _)| *first <= told) {
            self.tell_gap(step, (author, run, first), last.min(told), cause);
        }
        self.gated.insert(author);
    }

    /// Nothing of the author is held back any more: the holes that quests left are gaps.
    pub(super) fn tell_holes_left(&mut self, step: &mut Step, author: MemberId) {
        let lowest = Run { incarnation: 0, boot: 0 };
        let quests = self.recovery.quests.range((author, lowest)..).take_while(|(key, _)| key.0 == author);
        let leave = |quest: &Quest| quest.leaves_holes && quest.finished.is_some();
        let runs: Vec<Run> = quests.filter(|(_, quest)| leave(quest)).map(|(key, _)| key.1).collect();
        for run in runs {
            let holes = self.holes(author, run);
            self.finish_quest(step, author, run, &holes);
        }
    }

    /// Pulls the next of what peers offered, if there is any.
    fn take_offer(&mut self, step: &mut Step) {
        while let Some(peer) = self.recovery.next_offerer() {
            let Some(offer) = self.recovery.offers.get_mut(&peer).and_then(VecDeque::pop_front) else {
                self.recovery.offers.remove(&peer);
                self.tell_recovered(step, peer);
                continue;
            };
            let Wanted { author, run, first, last } = offer.wanted;
            let missing = self.log.run(author, run).map_or_else(|| vec![(first, last)], |of| of.missing(first, last));
            let Some(&(first, upto)) = missing.first() else { continue };
            if upto < last {
                let rest = Wanted { first: upto + 1, ..offer.wanted };
                self.recovery.offers.entry(peer).or_default().push_front(Offer { wanted: rest, tries: 0 });
            }
            self.recovery.last_offerer = Some(peer);
            let wanted = Wanted { author, run, first, last: upto };
            return self.pull(step, peer, wanted, offer.tries, false);
        }
    }

    /// What is being asked for: quests, ranges offered.
    pub(super) fn recovery_size(&self) -> (usize, usize) {
        let open = self.recovery.quests.values().filter(|quest| quest.finished.is_none()).count();
        (open, self.recovery.offers.values().map(VecDeque::len).sum())
    }
}

/// The first message that recovery asks for, where `last` is the newest.
pub(super) fn window_first(last: Seq) -> Seq {
    let window = u64::try_from(RECOVERY_MESSAGES_MAX).unwrap_or(u64::MAX);
    (last + 1).saturating_sub(window).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_was_asked_for_all_of_it_has_a_word_on_it() {
        let word = |peer, first, last, answer| Asked { peer: MemberId([peer; 32]), first, last, answer };
        let asked = [
            word(1, 2, 3, Answer::NoAnswer),
            word(2, 5, 9, Answer::NeverHadIt),
            word(1, 4, 9, Answer::NoLongerKeepsIt),
        ];
        let who = |missing: &[(Seq, Seq)]| words_on(&asked, missing).into_iter().collect::<Vec<_>>();
        assert_eq!(who(&[(2, 6)]), [(MemberId([1; 32]), Answer::NoLongerKeepsIt)]);
        assert_eq!(who(&[(2, 2), (6, 7)]).len(), 1);
        assert_eq!(who(&[(6, 7)]).len(), 2);
        assert_eq!(who(&[(9, 10)]), []);
        assert_eq!(who(&[]), []);
    }

    #[test]
    fn a_window_never_begins_below_one() {
        assert_eq!(window_first(3), 1);
        assert_eq!(window_first(1000), 501);
    }
}
