//! Giving to others: what this node holds, said as digest and frontier, and given to those who pull it. Owns
//! the bounds of what a peer may take; knows nothing of what this node asks for.

use std::time::Duration;

use super::book::OutId;
use super::machine::Messaging;
use super::own::wall_before;
use super::peer::{Flight, Giving, Peer};
use super::receive::SEQ_MAX;
use super::record::Outcome;
use super::timers::Timer;
use crate::base::limits::{DELIVERY_DEADLINE, FRONTIER_ENTRIES_MAX, RECEIPT_RANGES_MAX, RECOVERY_AGE_MAX};
use crate::base::{MemberId, MessageId, Run, Seq, Step, Time};
use crate::wire::{FrontierEntry, Lacking, MessagingFrame};

/// Frontiers to one peer are at least this far apart, asked or answered.
const FRONTIER_GAP: Duration = Duration::from_secs(1);
/// The same difference between two nodes that stand still is followed up this often.
const DIGEST_REST: Duration = Duration::from_secs(60);
/// One frame of a frontier: it and its envelope stay within `FRAME_BYTES_MAX`.
const FRONTIER_BYTES_MAX: usize = 14 * 1024;
/// Most that an entry takes beside its ranges, and a range.
const ENTRY_BYTES: usize = 110;
const RANGE_BYTES: usize = 18;
/// Ranges that one pull can be told to lack: the next pull hears of the rest.
pub(super) const LACKING_MAX: usize = 32;

impl Messaging {
    /// A heartbeat said what its sender holds: what differs while both stand still is followed up.
    pub(super) fn handle_digest(&mut self, step: &mut Step, from: MemberId, theirs: u64) {
        let now = step.now.time;
        let ours = self.log.digest();
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let stands_still = peer.digest.theirs == Some(theirs) && peer.digest.ours == ours;
        peer.digest.theirs = Some(theirs);
        peer.digest.ours = ours;
        let was_followed = peer.digest.followed.is_some_and(|(before_theirs, before_ours, at)| {
            (before_theirs, before_ours) == (theirs, ours) && now.since(at) < DIGEST_REST
        });
        if theirs != ours && stands_still && !was_followed {
            peer.digest.followed = Some((theirs, ours, now));
            tracing::debug!(peer = %from, "digests differ");
            self.send_frontier(step, from, false);
        }
    }

    /// A session opened, or a silence ended: both sides say what they hold.
    pub(super) fn recovery_opened(&mut self, step: &mut Step, peer: MemberId) {
        self.send_frontier(step, peer, false);
    }

    fn send_frontier(&mut self, step: &mut Step, to: MemberId, answer: bool) {
        let now = step.now.time;
        let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.session.is_some()) else { return };
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
        for (index, entries) in parts.into_iter().enumerate() {
            self.out.send(to, MessagingFrame::Frontier { answer, entries, more: index < last });
        }
    }

    fn frontier(&self, step: &Step) -> Vec<FrontierEntry> {
        let oldest = wall_before(step.now.wall, RECOVERY_AGE_MAX);
        let runs = self.log.authors().flat_map(|(id, author)| author.runs.iter().map(move |(&run, of)| (id, run, of)));
        runs.filter_map(|(author, run, of)| {
            let (head, head_id) = of.chain.head()?;
            let recent = of.kept.iter().find(|(_, kept)| kept.at >= oldest).map_or(head + 1, |(&seq, _)| seq);
            let mut kept: Vec<(Seq, Seq)> = of.given_ranges().rev().take(RECEIPT_RANGES_MAX).collect();
            kept.reverse();
            Some(FrontierEntry { author, run, head, head_id, recent, kept })
        })
        .collect()
    }

    /// What a peer holds; it wants to know the same of this node, unless it answers.
    pub(super) fn handle_frontier(
        &mut self,
        step: &mut Step,
        from: MemberId,
        answer: bool,
        entries: &[FrontierEntry],
        more: bool,
    ) {
        let is_well_formed = entries.len() <= FRONTIER_ENTRIES_MAX
            && entries.iter().all(|entry| entry.kept.len() <= RECEIPT_RANGES_MAX && is_ascending(&entry.kept));
        if !is_well_formed {
            self.counters.strange += 1;
            return;
        }
        if !answer && !more {
            self.send_frontier(step, from, true);
        }
        self.take_frontier(step, from, entries);
    }

    /// A peer asks for messages of a run: it gets a window of them, and hears what is lacking.
    pub(super) fn handle_pull(
        &mut self,
        step: &mut Step,
        from: MemberId,
        author: MemberId,
        run: Run,
        first: Seq,
        last: Seq,
    ) {
        if first == 0 || last < first || last > SEQ_MAX {
            self.counters.strange += 1;
            return;
        }
        let (places, end, lacking) = self.window(author, run, first, last);
        let mut frames = Vec::with_capacity(places.len() + 1);
        for (seq, id) in places {
            let own = (author == self.me).then(|| self.book.at_place(run, seq)).flatten();
            let after = own.map_or(0, |out| self.note_given(step, from, out));
            let Some(kept) = self.log.kept((author, run, seq), id) else { continue };
            frames.push(Giving { after, own, frame: MessagingFrame::Recovered(kept.bytes.to_vec()) });
        }
        self.counters.given += u64::try_from(frames.len()).unwrap_or(0);
        let after = frames.iter().map(|giving| giving.after).max().unwrap_or(0);
        let end = MessagingFrame::PullEnd { author, run, first, last: end, lacking };
        frames.push(Giving { after, own: None, frame: end });
        let Some(peer) = self.peers.get_mut(&from).filter(|peer| peer.session.is_some()) else { return };
        // A peer pulls one thing at a time: what it asked before it no longer waits for.
        peer.giving = frames.into();
        self.dirty.insert(from);
    }

    /// What one pull gets: messages, up to where, and what is lacking on the way.
    fn window(&self, author: MemberId, run: Run, first: Seq, last: Seq) -> (Vec<(Seq, MessageId)>, Seq, Vec<Lacking>) {
        let Some(of) = self.log.run(author, run) else {
            let had = self.log.author(author).is_some_and(|known| known.floor.is_some_and(|floor| run < floor));
            return (Vec::new(), last, vec![Lacking { first, last, had }]);
        };
        let mut given = Vec::new();
        let mut lacking = Vec::new();
        let mut bytes = 0;
        let mut next = first;
        while next <= last {
            if !of.kept.contains_key(&next) {
                let until = of.kept.range(next..=last).next().map_or(last, |(&seq, _)| seq - 1);
                lacking.extend(lacking_of(of, next, until));
                next = until + 1;
                if lacking.len() > LACKING_MAX {
                    lacking.truncate(LACKING_MAX);
                    let end = lacking.last().map_or(first, |lack| lack.last);
                    given.retain(|&(seq, _)| seq <= end);
                    return (given, end, lacking);
                }
                continue;
            }
            for kept in of.versions(next) {
                given.push((next, kept.id));
                bytes += kept.bytes.len();
            }
            next += 1;
            if bytes >= Peer::window_bytes() {
                break;
            }
        }
        (given, next - 1, lacking)
    }

    /// One's own message goes to a member that fetched it: where that is its first time out, it is stored before.
    /// Gives the number of that record.
    fn note_given(&mut self, step: &mut Step, to: MemberId, out: OutId) -> u64 {
        let Some(message) = self.book.message(out) else { return 0 };
        let bytes = message.bytes.as_ref().map_or(0, |bytes| bytes.len());
        let Some(delivery) = self.book.delivery_mut(out, to) else { return 0 };
        if delivery.outcome.is_final() || delivery.changing.is_some() {
            return if delivery.changing.is_some() { self.out.records() } else { 0 };
        }
        if delivery.outcome != Outcome::Waiting {
            return 0;
        }
        let after = self.change(step, out, to, Outcome::Sending, None);
        let now = step.now.time;
        let deadline = now + DELIVERY_DEADLINE;
        let flight = Flight {
            began: now,
            sent: now,
            pto: DELIVERY_DEADLINE,
            retry_at: deadline,
            deadline,
            copies_left: 0,
            copy_at: deadline,
            attempts: 1,
            is_pushed: false,
        };
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.watch(out, bytes, flight);
            self.timers.set(Timer::Flight(to, out), deadline);
        }
        after
    }

    /// Gives what was pulled, after chat and within the peer's allowance.
    pub(super) fn give(&mut self, step: &mut Step, to: MemberId) {
        let settled = self.settled_upto;
        while let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.session.is_some() && peer.is_queue_empty())
            && let Some(Giving { after, frame, .. }) = peer.giving.front()
        {
            if *after > settled {
                self.gated_peers.insert(to);
                return;
            }
            let bytes = if let MessagingFrame::Recovered(bytes) = frame { bytes.len() } else { ENTRY_BYTES };
            if let Err(wait) = peer.allowance.take(bytes, step.now.time) {
                self.timers.set(Timer::Give(to), step.now.time + wait);
                return;
            }
            let Some(Giving { own, frame, .. }) = peer.giving.pop_front() else { return };
            let delivery = own.and_then(|out| self.book.delivery_mut(out, to));
            if let Some(delivery) = delivery.filter(|delivery| !delivery.outcome.is_final()) {
                delivery.attempt(step.now.wall);
            }
            self.out.send(to, frame);
        }
    }
}

fn is_ascending(ranges: &[(Seq, Seq)]) -> bool {
    ranges.iter().all(|&(first, last)| 0 < first && first <= last) && ranges.windows(2).all(|two| two[0].1 < two[1].0)
}

/// `first..=last`, of which no text is kept, as what was had once and what never was.
fn lacking_of(of: &super::log::RunLog, first: Seq, last: Seq) -> Vec<Lacking> {
    let had_below = first.max(of.chain.floor() + 1);
    let mut parts = Vec::new();
    let mut next = had_below;
    if first < had_below {
        parts.push(Lacking { first, last: last.min(had_below - 1), had: true });
    }
    for (from, to) in of.chain.missing(had_below, last) {
        if from > next {
            parts.push(Lacking { first: next, last: from - 1, had: true });
        }
        parts.push(Lacking { first: from, last: to, had: false });
        next = to + 1;
    }
    if next <= last {
        parts.push(Lacking { first: next, last, had: true });
    }
    parts
}
