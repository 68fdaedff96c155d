//! What nodes tell each other of what they hold: a digest with each heartbeat, and frontiers where digests differ or a
//! session opened. Owns when a frontier goes out and what one that came in makes wanted.

use std::collections::VecDeque;
use std::collections::btree_map::Entry;
use std::time::Duration;

use super::log::{Kept, Place, RunLog};
use super::machine::{Messaging, Pending};
use super::peer::{Followed, Peer};
use super::receive::SEQ_MAX;
use super::record::Record;
use super::recovery::{HINTS_MAX, Offer, Recovery, Wanted, window_first};
use super::stretches::{End, Key, Stretches};
use super::timers::Timer;
use crate::base::limits::{
    FRONTIER_ENTRIES_MAX, FRONTIER_RUNS_MAX, OFFERS_PER_PEER_MAX, RECEIPT_RANGES_MAX, RECOVERY_AGE_MAX,
    RECOVERY_MESSAGES_MAX, RUNS_PER_AUTHOR_MAX,
};
use crate::base::{MemberId, Run, Seq, Step, Time};
use crate::wire::{FrontierEntry, MessagingFrame};

/// Frontiers to one peer are at least this far apart, asked or answered.
const FRONTIER_GAP: Duration = Duration::from_secs(1);
/// The same difference between two nodes that stand still is followed up again after so long, because a frontier, or what was
/// pulled, may have been lost; after twice that the next time, and so on, up to the rest of a difference that stays.
const DIGEST_REST_FIRST: Duration = Duration::from_secs(2);
const DIGEST_REST_MAX: Duration = Duration::from_secs(60);
/// How long a node that is new in the room goes on asking what was said before it came: as long as its first sessions take.
const COMING: Duration = Duration::from_secs(10);
/// Who has met others for so long, and was told by nobody what they hold, was cut off or stood still: what was said meanwhile and
/// what was said before cannot be told apart any more, and is all missing. A frontier is asked for five times until then.
const UNTOLD_MAX: Duration = Duration::from_secs(30);
/// While the disk is full it is tried this often, by one message, which tells whether there is room again. A guess: its person
/// has just made room and looks at the screen.
pub(super) const DISK_FULL_REST: Duration = Duration::from_secs(5);
/// One frame of a frontier: it and its envelope stay within `FRAME_BYTES_MAX`.
const FRONTIER_BYTES_MAX: usize = 14 * 1024;
/// Most that an entry takes beside its ranges, and a range.
const ENTRY_BYTES: usize = 110;
const RANGE_BYTES: usize = 18;

/// One frame of a frontier: what its sender holds of a stretch of all runs.
pub(super) struct FrontierPart<'a> {
    pub after: Option<Key>,
    pub entries: &'a [FrontierEntry],
    pub more: bool,
}

impl FrontierPart<'_> {
    /// How far it reaches; `None` where it is not well formed.
    fn end(&self) -> Option<End> {
        let is_ordered = self.after.into_iter().chain(self.entries.iter().map(key)).is_sorted_by(|a, b| a < b);
        let is_sound = |entry: &FrontierEntry| entry.kept.len() <= RECEIPT_RANGES_MAX && is_ascending(&entry.kept);
        if !is_ordered || self.entries.len() > FRONTIER_ENTRIES_MAX || !self.entries.iter().all(is_sound) {
            return None;
        }
        if self.more { self.entries.last().map(|last| End::At(key(last))) } else { Some(End::Last) }
    }
}

impl Messaging {
    /// A heartbeat said what its sender holds: what differs while both stand still is followed up.
    pub(super) fn handle_digest(&mut self, step: &mut Step, from: MemberId, theirs: u64) {
        let now = step.now.time;
        let ours = self.log.digest();
        let rest_max = if self.is_disk_full { DISK_FULL_REST } else { DIGEST_REST_MAX };
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let stands_still = peer.digest.theirs == Some(theirs) && peer.digest.ours == ours;
        peer.digest.theirs = Some(theirs);
        peer.digest.ours = ours;
        let is_wanted = peer.digest.wants_frontier;
        let followed = peer.digest.followed.filter(|of| is_wanted || of.difference == (theirs, ours));
        let rest = followed.map_or(Duration::ZERO, |followed| followed.rest);
        let is_resting = followed.is_some_and(|followed| now.since(followed.at) < rest);
        if (is_wanted || (theirs != ours && stands_still)) && !is_resting {
            let rest = (rest * 2).clamp(DIGEST_REST_FIRST, rest_max);
            peer.digest.followed = Some(Followed { difference: (theirs, ours), at: now, rest });
            tracing::debug!(peer = %from, is_wanted, "digests differ");
            self.send_frontier(step, from, false);
        }
    }

    /// A session opened, or a silence ended: both sides say what they hold.
    pub(super) fn recovery_opened(&mut self, step: &mut Step, peer: MemberId) {
        self.recovery.met.get_or_insert(step.now.time);
        self.want_frontier(peer);
        self.send_frontier(step, peer, false);
        self.give_proofs(peer);
    }

    /// The next heartbeats of the peer bring a frontier until its own is here as it is from now on, were the digests equal.
    pub(super) fn want_frontier(&mut self, peer: MemberId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.digest.wants_frontier = true;
            peer.frontier_came = Stretches::default();
        }
    }

    /// The disk takes again what comes: what it refused meanwhile is asked for at once.
    pub(super) fn ask_for_refused(&mut self, step: &mut Step) {
        let ours = self.log.digest();
        let differs = |peer: &Peer| peer.digest.theirs.is_some_and(|theirs| theirs != ours);
        let differing: Vec<MemberId> = self.peers.iter().filter(|(_, peer)| differs(peer)).map(|(&id, _)| id).collect();
        for peer in differing {
            self.send_frontier(step, peer, false);
        }
    }

    fn send_frontier(&mut self, step: &mut Step, to: MemberId, answer: bool) {
        let now = step.now.time;
        let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.session.is_some()) else { return };
        // The rest of the last one is on its way, and says the same.
        if !peer.frontier_parts.is_empty() {
            return;
        }
        let before = if answer { &mut peer.frontier_answered } else { &mut peer.frontier_sent };
        if before.is_some_and(|at: Time| now.since(at) < FRONTIER_GAP) {
            return;
        }
        *before = Some(now);
        let mut parts: Vec<Vec<FrontierEntry>> = vec![Vec::new()];
        let mut bytes = 0;
        for entry in self.frontier(step) {
            bytes += ENTRY_BYTES + RANGE_BYTES * entry.kept.len();
            let part = parts.last_mut().expect("there is always one");
            if bytes > FRONTIER_BYTES_MAX || part.len() >= FRONTIER_ENTRIES_MAX {
                bytes = ENTRY_BYTES + RANGE_BYTES * entry.kept.len();
                parts.push(vec![entry]);
            } else {
                part.push(entry);
            }
        }
        let last = parts.len() - 1;
        let mut end = None;
        let mut frames = parts.into_iter().enumerate().map(|(index, entries)| {
            let after = std::mem::replace(&mut end, entries.last().map(key));
            MessagingFrame::Frontier { answer, after, entries, more: index < last }
        });
        if let Some(first) = frames.next() {
            self.out.send(to, first);
        }
        let rest: VecDeque<MessagingFrame> = frames.collect();
        if let Some(peer) = self.peers.get_mut(&to).filter(|_| !rest.is_empty()) {
            peer.frontier_parts = rest;
            self.dirty.insert(to);
        }
    }

    /// What a frontier has beyond its first part leaves like what was pulled: after chat and within the peer's allowance.
    pub(super) fn send_frontier_parts(&mut self, step: &Step, to: MemberId) {
        while let Some(peer) = self.peers.get_mut(&to).filter(|peer| !peer.frontier_parts.is_empty())
            && peer.session.is_some()
            && peer.is_queue_empty()
        {
            if let Err(wait) = peer.allowance.take(FRONTIER_BYTES_MAX, step.now.time) {
                self.timers.set_earlier(Timer::Give(to), step.now.time + wait);
                return;
            }
            let Some(frame) = peer.frontier_parts.pop_front() else { return };
            self.out.send(to, frame);
        }
    }

    /// Of each run its newest message and what can be given, by author and run; of those in which something came last, where there
    /// are more than one frontier says.
    fn frontier(&self, step: &Step) -> Vec<FrontierEntry> {
        let is_recent = |kept: &Kept| self.age(step, kept.at) <= RECOVERY_AGE_MAX;
        let runs = self.log.authors().flat_map(|(id, author)| author.runs.iter().map(move |(&run, of)| (id, run, of)));
        let mut runs: Vec<(MemberId, Run, &RunLog)> = runs.filter(|(_, _, of)| of.chain.head().is_some()).collect();
        if runs.len() > FRONTIER_RUNS_MAX {
            let newest = |of: &RunLog| of.kept.last_key_value().map(|(_, kept)| kept.at);
            runs.sort_by_key(|&(author, run, of)| (std::cmp::Reverse(newest(of)), author, run));
            runs.truncate(FRONTIER_RUNS_MAX);
            runs.sort_unstable_by_key(|&(author, run, _)| (author, run));
        }
        let entries = runs.into_iter().filter_map(|(author, run, of)| {
            let (head, head_id) = of.chain.head()?;
            let recent = of.kept.iter().find(|(_, kept)| is_recent(kept)).map_or(head + 1, |(&seq, _)| seq);
            let mut kept: Vec<(Seq, Seq)> = of.given_ranges().rev().take(RECEIPT_RANGES_MAX).collect();
            kept.reverse();
            Some(FrontierEntry { author, run, head, head_id, recent, kept })
        });
        entries.collect()
    }

    /// What a peer holds; it wants to know the same of this node, unless it answers.
    pub(super) fn handle_frontier(&mut self, step: &mut Step, from: MemberId, answer: bool, part: &FrontierPart<'_>) {
        let Some(end) = part.end() else {
            self.counters.strange += 1;
            return;
        };
        if !answer && end == End::Last {
            self.send_frontier(step, from, true);
        }
        self.contradict(from, part.entries);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        // Of one that is not here as a whole it is not known what it leaves out.
        peer.frontier_came.add(part.after, end);
        if peer.frontier_came.is_whole() {
            peer.digest.wants_frontier = false;
        }
        self.take_frontier(step, from, part.entries);
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.frontier_first.add(part.after, end);
            peer.has_runs |= !part.entries.is_empty();
            if peer.frontier_first.is_whole() {
                self.recovery.came.get_or_insert(step.now.time);
                // One that holds nothing is as new as this node: it is no word on what was said before.
                self.recovery.is_arrived |= peer.has_runs;
            }
        }
    }

    /// What was said up to there is no gap, unless something of the run is here already.
    fn begin_history(&mut self, author: MemberId, run: Run, upto: Seq) {
        let Some(of) = self.log.run_mut(author, run) else { return };
        if of.history > 0 || of.last_known() > 0 || !of.incoming.is_empty() {
            return;
        }
        of.history = upto;
        of.told = of.told.max(upto);
        self.store_history(author, run, upto);
    }

    /// What a peer holds: what of it is missing here is pulled from it.
    pub(super) fn take_frontier(&mut self, step: &mut Step, peer: MemberId, entries: &[FrontierEntry]) {
        let mut budget = if self.is_disk_full { 1 } else { u64::try_from(RECOVERY_MESSAGES_MAX).unwrap_or(u64::MAX) };
        for entry in entries {
            let (author, run) = (entry.author, entry.run);
            if entry.head == 0 || entry.head > SEQ_MAX || (author == self.me && self.run.is_none_or(|mine| run >= mine))
            {
                continue;
            }
            let Some(known) = self.log.author(author) else {
                self.hint_history(step, peer, entry);
                self.offer(step, peer, entry, &mut budget);
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
            self.hint_history(step, peer, entry);
            self.offer(step, peer, entry, &mut budget);
        }
        if budget == 0 {
            self.want_frontier(peer);
        }
        self.timers.set_earlier(Timer::Seek, step.now.time);
    }

    /// What a peer's frontier says of where the run begins for a node that is new in the room: as far back as recovery
    /// goes, and as the peer can give. Nothing signed says so, hence it counts only once a message of the run came. Only
    /// what a peer says of a run first is a word on what was said before this node came: what it does not have later
    /// may just be missing there. The first peer that holds anything says which runs began before; the others may
    /// know more of them, and never less, so that none alone decides what is no gap.
    fn hint_history(&mut self, step: &mut Step, from: MemberId, entry: &FrontierEntry) {
        let is_said = |peer: &Peer| peer.frontier_first.holds((entry.author, entry.run));
        if !self.is_newcomer || self.peers.get(&from).is_none_or(is_said) {
            return;
        }
        let first = window_first(entry.head).max(entry.recent.min(entry.head + 1));
        let given = entry.kept.iter().map(|range| range.0).min().unwrap_or(first);
        let upto = first.max(given) - 1;
        let has_room = !self.recovery.is_arrived && self.is_coming(step) && self.recovery.hints.len() < HINTS_MAX;
        match self.recovery.hints.entry((entry.author, entry.run)) {
            Entry::Occupied(mut hint) => *hint.get_mut() = upto.min(*hint.get()),
            Entry::Vacant(free) if has_room => drop(free.insert(upto)),
            Entry::Vacant(_) => {}
        }
        self.move_history_back(step, (entry.author, entry.run), upto);
    }

    /// Another peer knows more of a run than the first did: what of it shows as history already is missing again.
    fn move_history_back(&mut self, step: &mut Step, (author, run): (MemberId, Run), upto: Seq) {
        let Some(of) = self.log.run_mut(author, run).filter(|of| of.history > upto) else { return };
        of.history = upto;
        self.store_history(author, run, upto);
        self.seek_for(step, author, run);
    }

    /// Whether a node that is new in the room is still finding out what was said before.
    fn is_coming(&self, step: &Step) -> bool {
        let lasts = |from: Option<Time>, span| from.is_none_or(|from| step.now.time.since(from) < span);
        let Recovery { met, came, .. } = self.recovery;
        self.is_newcomer && if came.is_some() { lasts(came, COMING) } else { lasts(met, UNTOLD_MAX) }
    }

    /// The first message of a run reached a node that is new in the room: what was said before it, and further back
    /// than is asked for, is history and no gap. That goes to the disk ahead of the message, because the message shows
    /// without those before it.
    pub(super) fn note_history(&mut self, step: &Step, (author, run, seq): Place) {
        if !self.is_newcomer {
            return;
        }
        let hint = self.recovery.hints.get(&(author, run)).copied();
        // Of a run that nobody spoke of while this node came, all was said since.
        let upto = hint.or_else(|| self.is_coming(step).then(|| window_first(seq) - 1)).unwrap_or(0).min(seq - 1);
        if upto > 0 {
            self.begin_history(author, run, upto);
        }
    }

    fn store_history(&mut self, author: MemberId, run: Run, upto: Seq) {
        let after = self.store(Record::History { author, run, upto }, Pending::History(author, run));
        if let Some(of) = self.log.run_mut(author, run) {
            of.history_after = after;
        }
    }

    /// Where runs begin that the disk refused to note, while it took what was said in them.
    pub(super) fn store_history_again(&mut self) {
        for (author, run) in std::mem::take(&mut self.recovery.refused_history) {
            let began = self.log.run(author, run).map_or(0, |of| of.history);
            if began > 0 {
                self.store_history(author, run, began);
            }
        }
    }

    fn offer(&mut self, step: &Step, peer: MemberId, entry: &FrontierEntry, budget: &mut u64) {
        let (author, run) = (entry.author, entry.run);
        let of = self.log.run(author, run);
        let mut low = window_first(entry.head);
        if self.recovery.hints.contains_key(&(author, run)) || self.is_coming(step) {
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
                if !offers.iter().any(|offer| offer.wanted == wanted) {
                    offers.push_back(Offer { wanted, tries: 0 });
                }
            }
        }
        // Older ones first: they show in order then.
        offers.make_contiguous().sort_by_key(|Offer { wanted, .. }| (wanted.run, wanted.author, wanted.first));
    }
}

/// The key of an entry.
fn key(entry: &FrontierEntry) -> Key {
    (entry.author, entry.run)
}

fn is_ascending(ranges: &[(Seq, Seq)]) -> bool {
    ranges.iter().all(|&(first, last)| 0 < first && first <= last) && ranges.windows(2).all(|two| two[0].1 < two[1].0)
}
