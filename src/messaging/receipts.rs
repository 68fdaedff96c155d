//! Receipts, both ways: the word of this node that messages are on its disk, and what others' words prove
//! about one's own. Owns when a receipt is due, what it says and what it settles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::book::{OutId, ReceiptSeen};
use super::carry::Carry;
use super::flight::Flight;
use super::machine::{Messaging, Pending};
use super::outbox::{Alarm, EventKind};
use super::record::{Outcome, ReceiptRecord, Record, Settled};
use crate::base::limits::{RECEIPT_RANGES_MAX, RECEIPTED_AGAIN_MAX, RECEIPTS_KEPT_PER_RUN_MAX};
use crate::base::{Cause, MemberId, MessageId, Run, Seq, Step, Time};
use crate::wire::{Held, HeldRange, MessagingFrame, Receipt, Signed};

use super::timers::Timer;

/// Ids in one receipt, so that it fits one datagram: 30 · 32 bytes and 162 of the rest.
const IDS_PER_DATAGRAM: usize = 30;
/// Receipts to one author that are not full are at least this far apart while more messages are on their way to the disk. Commits
/// are grouped, so receipts are too; this bounds what signing them costs under load to three percent of a core, at 25 µs each.
const RECEIPT_GAP: Duration = Duration::from_millis(1);
/// A receipt is given again no sooner than this: after the last copy of what it receipts, which leaves 10 ms after the first.
const REPEAT_GAP: Duration = Duration::from_millis(12);
/// In a large room each receipt costs as many hops as its author is away.
const CARRIED_GAP: Duration = Duration::from_millis(20);

/// What is to be receipted, and what was receipted to this node.
#[derive(Debug, Default)]
pub(super) struct ReceiptsDue {
    due: BTreeMap<MemberId, Due>,
    /// Authors to look at when this input ends.
    fresh: BTreeSet<MemberId>,
    /// What the kept group receipts of a member say of a run of ours. As many as there are members in the rosters of messages
    /// that are kept.
    covers: BTreeMap<(Run, MemberId), Vec<(Seq, Seq)>>,
    /// Members whose false receipts were told already.
    alarmed: BTreeSet<MemberId>,
}

#[derive(Debug, Default)]
struct Due {
    runs: BTreeSet<Run>,
    ids: BTreeSet<MessageId>,
    sent: Option<Time>,
}

impl ReceiptsDue {
    pub fn remember(&mut self, run: Run, receiver: MemberId, covers: Vec<(Seq, Seq)>) {
        self.covers.insert((run, receiver), covers);
    }

    /// Nothing is receipted to the member any more, and what it receipted falsely is told anew.
    pub fn forget(&mut self, member: MemberId) {
        self.due.remove(&member);
        self.fresh.remove(&member);
        self.alarmed.remove(&member);
    }

    /// The first message of a run that a member receipted: what is before it may be from before its time.
    pub fn first_held(&self, run: Run, receiver: MemberId) -> Seq {
        let covers = self.covers.get(&(run, receiver)).into_iter().flatten();
        covers.map(|&(first, _)| first).min().unwrap_or(Seq::MAX)
    }

    /// Members whose receipts for a run of ours cover the number.
    pub fn covering(&self, run: Run, seq: Seq) -> impl Iterator<Item = MemberId> + '_ {
        let of_run = self.covers.range((run, MemberId([0; 32]))..=(run, MemberId([u8::MAX; 32])));
        let covers_it = move |ranges: &[(Seq, Seq)]| ranges.iter().any(|&(first, last)| (first..=last).contains(&seq));
        of_run.filter(move |(_, ranges)| covers_it(ranges)).map(|(&(_, receiver), _)| receiver)
    }

    /// Receipts of `run` are kept of those members alone who are in the roster of a message of it that is kept.
    pub fn keep(&mut self, run: Run, is_in_a_roster: impl Fn(MemberId) -> bool) {
        self.covers.retain(|&(of, receiver), _| of != run || is_in_a_roster(receiver));
    }

    /// How many members' receipts are kept, each counted in each run.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.covers.len()
    }

    pub fn forget_runs(&mut self, below: Run) {
        self.covers.retain(|&(run, _), _| run >= below);
    }

    /// Notes what a new receipt says; true if it says all that those before it said.
    fn cover(&mut self, run: Run, receiver: MemberId, ranges: &[(Seq, Seq)]) -> bool {
        let covers = self.covers.entry((run, receiver)).or_default();
        let within = |&(first, last): &(Seq, Seq)| ranges.iter().any(|&(f, l)| f <= first && last <= l);
        let replaces = covers.iter().all(within);
        if replaces {
            covers.clear();
        }
        covers.extend_from_slice(ranges);
        let surplus = covers.len().saturating_sub(RECEIPTS_KEPT_PER_RUN_MAX * RECEIPT_RANGES_MAX);
        covers.drain(..surplus);
        replaces
    }
}

impl Messaging {
    /// Messages of the author's run are to be receipted: new ones, or again.
    pub(super) fn group_receipt_due(&mut self, author: MemberId, run: Run) {
        if self.has_way(author) {
            self.receipts.due.entry(author).or_default().runs.insert(run);
            self.receipts.fresh.insert(author);
        }
    }

    pub(super) fn private_receipt_due(&mut self, author: MemberId, id: MessageId) {
        if self.has_session(author) {
            self.receipts.due.entry(author).or_default().ids.insert(id);
            self.receipts.fresh.insert(author);
        }
    }

    /// The author sent again what is held.
    pub(super) fn group_receipt_repeated(&mut self, step: &mut Step, author: MemberId, run: Run) {
        if self.has_way(author) {
            self.receipts.due.entry(author).or_default().runs.insert(run);
            self.repeat_receipts(step.now.time, author);
        }
    }

    pub(super) fn private_receipt_repeated(&mut self, step: &mut Step, author: MemberId, id: MessageId) {
        if self.has_session(author) {
            self.receipts.due.entry(author).or_default().ids.insert(id);
            self.repeat_receipts(step.now.time, author);
        }
    }

    /// Either the receipt was lost, and then there was none for a while, or a copy of the message came: one receipt answers
    /// all copies.
    fn repeat_receipts(&mut self, now: Time, author: MemberId) {
        let sent = self.receipts.due.get(&author).and_then(|due| due.sent);
        let next = sent.map_or(now, |sent| sent + REPEAT_GAP);
        if next <= now {
            self.receipts.fresh.insert(author);
        } else {
            self.timers.set_earlier(Timer::Receipts(author), next);
        }
    }

    /// Receipts may have been lost, or could not be sent: the author gets all recent ones.
    pub(super) fn all_receipts_due(&mut self, _step: &mut Step, author: MemberId) {
        let runs = self.log.author(author).map(|known| {
            known.runs.iter().filter(|(_, run)| run.chain.head().is_some()).map(|(&run, _)| run).collect::<Vec<_>>()
        });
        for run in runs.into_iter().flatten() {
            self.group_receipt_due(author, run);
        }
        for (_, id) in self.privates.newest(author, RECEIPTED_AGAIN_MAX) {
            self.private_receipt_due(author, id);
        }
    }

    /// Whether a receipt can go to the member: straight, or in a large room from hop to hop.
    fn has_way(&self, author: MemberId) -> bool {
        self.has_session(author) || (self.flood.is_large() && author != self.me)
    }

    fn has_session(&self, member: MemberId) -> bool {
        member != self.me && self.peers.get(&member).is_some_and(|peer| peer.session.is_some())
    }

    /// Sends the receipts that became due in this input: at once, unless one to the same author has just gone and more is on its
    /// way to the disk.
    pub(super) fn send_receipts_ready(&mut self, step: &mut Step) {
        while let Some(author) = self.receipts.fresh.pop_first() {
            let Some(due) = self.receipts.due.get(&author) else { continue };
            let gap = if self.flood.is_large() {
                CARRIED_GAP
            } else if self.provisional_messages == 0 {
                Duration::ZERO
            } else {
                RECEIPT_GAP
            };
            let next = due.sent.map_or(Time::ZERO, |sent| sent + gap);
            if step.now.time >= next || due.ids.len() >= IDS_PER_DATAGRAM {
                self.send_receipts(step, author);
            } else {
                self.timers.set_earlier(Timer::Receipts(author), next);
            }
        }
    }

    /// Sends all receipts that are due to the author.
    pub(super) fn send_receipts(&mut self, step: &mut Step, author: MemberId) {
        self.timers.cancel(Timer::Receipts(author));
        let is_open = self.has_session(author);
        let Some(run) = self.run else { return };
        let Some(due) = self.receipts.due.get_mut(&author) else { return };
        let runs = std::mem::take(&mut due.runs);
        let ids: Vec<MessageId> = std::mem::take(&mut due.ids).into_iter().collect();
        let is_carried = self.flood.is_large();
        if !is_open && !is_carried {
            return;
        }
        due.sent = Some(step.now.time);
        let group = runs.into_iter().filter_map(|of| {
            let ranges = self.held_ranges(author, of);
            (!ranges.is_empty()).then_some(Held::Group { run: of, ranges })
        });
        let ids: &[MessageId] = if is_open { &ids } else { &[] };
        let private = ids.chunks(IDS_PER_DATAGRAM).map(|ids| Held::Private { ids: ids.to_vec() });
        for held in group.chain(private).collect::<Vec<_>>() {
            let of = match &held {
                Held::Group { run, ranges } => ranges.last().map(|range| (*run, range.last)),
                Held::Private { .. } => None,
            };
            let receipt = Receipt { room: self.room, receiver: self.me, run, author, held };
            let signed = Signed::sign(receipt, &self.identity);
            let bytes = signed.bytes().to_vec();
            self.counters.receipts_sent += 1;
            match of.filter(|_| is_carried) {
                Some((of, last)) => self.carry(step, (author, of, self.me), Carry { hops: 0, last, bytes }, None),
                None => self.out.send(author, MessagingFrame::Receipt(bytes)),
            }
        }
    }

    /// The newest ranges held of a run. Of two that touch, because the chain is broken between them, the lower
    /// is left out: a receipt cannot say it.
    fn held_ranges(&self, author: MemberId, run: Run) -> Vec<HeldRange> {
        let Some(known) = self.log.run(author, run) else { return Vec::new() };
        let mut ranges: Vec<HeldRange> = Vec::new();
        for span in known.chain.spans().iter().rev() {
            if ranges.last().is_some_and(|above| above.first == span.last + 1) {
                continue;
            }
            ranges.push(HeldRange { first: span.first, last: span.last, last_id: span.last_id });
            if ranges.len() == RECEIPT_RANGES_MAX {
                break;
            }
        }
        ranges.reverse();
        ranges
    }

    /// A receipt came in, from its receiver or passed on by `via`. It is verified only if it would settle something.
    pub(super) fn handle_receipt(&mut self, step: &mut Step, via: MemberId, bytes: &[u8]) {
        let Ok(claimed) = Signed::<Receipt>::open_trusted(bytes) else {
            self.counters.strange += 1;
            return;
        };
        let receipt = claimed.value();
        if receipt.room != self.room || receipt.author != self.me || receipt.receiver == self.me {
            self.counters.strange += 1;
            return;
        }
        let is_false = self.is_false(receipt);
        let settles = if is_false { Vec::new() } else { self.settled_by(receipt) };
        if settles.is_empty() && (!is_false || self.receipts.alarmed.contains(&receipt.receiver)) {
            self.counters.receipts_old += 1;
            return;
        }
        let Ok(signed) = Signed::<Receipt>::open_by(self.identity.suite(), bytes) else {
            self.counters.forged += 1;
            return;
        };
        let receiver = signed.value().receiver;
        if is_false {
            if self.peers.contains_key(&receiver) && self.receipts.alarmed.insert(receiver) {
                self.out.tell(step, None, EventKind::Alarm(Alarm::FalseReceipt { receiver }));
            }
            return;
        }
        self.counters.receipts_taken += 1;
        self.settle(step, via, signed.value(), signed.bytes().clone(), &settles);
    }

    /// Whether the receipt names a message that this node never said. In an earlier run it may have said more than
    /// it knows, if its home was rolled back.
    fn is_false(&self, receipt: &Receipt) -> bool {
        let Held::Group { run, ranges } = &receipt.held else { return false };
        let Some(known) = self.log.run(self.me, *run) else { return false };
        ranges.iter().any(|range| match known.kept.get(&range.last) {
            Some(kept) => kept.id != range.last_id,
            None => self.run == Some(*run) && known.chain.head().is_none_or(|(head, _)| range.last > head),
        })
    }

    /// Deliveries that the receipt would settle and that are not settled.
    fn settled_by(&self, receipt: &Receipt) -> Vec<(OutId, Seq)> {
        let Some(peer) = self.peers.get(&receipt.receiver) else { return Vec::new() };
        let lapsed = |run: Run, range: &HeldRange| {
            self.book.lapsed_within(receipt.receiver, run, (range.first, range.last)).map(|(seq, out)| (out, seq))
        };
        let is_open = |out: OutId| {
            let is_durable = self.book.message(out).is_some_and(|message| message.is_durable);
            let delivery = self.book.delivery(out, receipt.receiver);
            is_durable
                && delivery.is_some_and(|delivery| {
                    delivery.outcome != Outcome::Delivered && delivery.changing != Some(Outcome::Delivered)
                })
        };
        match &receipt.held {
            Held::Group { run, ranges } => {
                // What is no longer kept cannot be compared with what the receipt names.
                let known = |range: &&HeldRange| {
                    self.log.run(self.me, *run).is_some_and(|known| known.kept.contains_key(&range.last))
                };
                let open = |range: &HeldRange| {
                    let pushed = peer.group.range((*run, range.first)..=(*run, range.last));
                    let pushed = pushed.map(|(&(_, seq), &out)| (out, seq));
                    // What was asked for after its life is in both.
                    let mut open: Vec<_> = pushed.chain(lapsed(*run, range)).filter(|&(out, _)| is_open(out)).collect();
                    open.sort_unstable();
                    open.dedup();
                    open
                };
                ranges.iter().filter(known).flat_map(open).collect()
            }
            Held::Private { ids } => {
                let known: BTreeSet<OutId> = ids.iter().filter_map(|&id| self.book.find(id)).collect();
                let place = |out: OutId| self.book.message(out).filter(|message| message.place().is_none());
                known
                    .into_iter()
                    .filter(|&out| is_open(out))
                    .filter_map(|out| Some((out, place(out)?.key.seq)))
                    .collect()
            }
        }
    }

    fn settle(
        &mut self,
        step: &mut Step,
        via: MemberId,
        receipt: &Receipt,
        bytes: Arc<[u8]>,
        settles: &[(OutId, Seq)],
    ) {
        let now = step.now.time;
        let receiver = receipt.receiver;
        let mut settled = Vec::with_capacity(settles.len());
        let mut waiting = Vec::with_capacity(settles.len());
        let landed: Vec<Flight> = settles.iter().filter_map(|&(out, _)| self.land(receiver, out)).collect();
        if let Some(peer) = self.peers.get_mut(&receiver) {
            peer.receipted(now, &landed);
        }
        for &(out, seq) in settles {
            let Some(message) = self.book.message_mut(out) else { continue };
            let latency = message.committed.map(|at| now.since(at));
            let latency_us = latency.map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
            let id = message.id;
            let Some(delivery) = message.deliveries.get_mut(&receiver) else { continue };
            delivery.changing = Some(Outcome::Delivered);
            settled.push(Settled { message: id, seq, attempts: delivery.attempts, latency_us });
            waiting.push((out, latency_us));
        }
        let (group, replaces) = match &receipt.held {
            Held::Private { .. } => (None, false),
            Held::Group { run, ranges } => {
                let ranges: Vec<(Seq, Seq)> = ranges.iter().map(|range| (range.first, range.last)).collect();
                (Some(*run), self.receipts.cover(*run, receiver, &ranges))
            }
        };
        let at = step.now.wall;
        tracing::debug!(from = %receiver, settles = settled.len(), "receipt");
        let (run, via) = (receipt.run, (via != receiver).then_some(via));
        let seen = Arc::new(ReceiptSeen { at, run, is_restored: false, via, bytes: bytes.clone() });
        let record =
            ReceiptRecord { receiver, receiver_run: receipt.run, author: self.me, group, bytes, replaces, settled, at };
        let pending = Pending::Receipt { receiver, settled: waiting, seen, cause: step.cause };
        self.store(Record::Receipt(record), pending);
    }

    /// The proof is on disk: the deliveries are delivered.
    pub(super) fn receipt_stored(
        &mut self,
        step: &mut Step,
        receiver: MemberId,
        settled: &[(OutId, Option<u64>)],
        seen: &Arc<ReceiptSeen>,
        cause: Option<Cause>,
    ) {
        for &(out, latency_us) in settled {
            let Some(delivery) = self.book.delivery_mut(out, receiver) else { continue };
            delivery.changing = None;
            delivery.latency_us = latency_us;
            delivery.reason = None;
            delivery.receipt = Some(seen.clone());
            let place = self.book.message(out).and_then(super::book::Outgoing::place);
            if let Some(peer) = self.peers.get_mut(&receiver) {
                match place {
                    Some(place) => drop(peer.group.remove(&place)),
                    None => peer.remove_private(out),
                }
            }
            if self.book.advance(out, receiver, Outcome::Delivered) {
                self.tell_delivery(step, out, receiver, cause);
            }
        }
    }

    /// The disk refused the proof: the deliveries are tried on, and will be receipted again.
    pub(super) fn receipt_not_stored(&mut self, step: &mut Step, receiver: MemberId, settled: &[(OutId, Option<u64>)]) {
        for &(out, _) in settled {
            let Some(delivery) = self.book.delivery_mut(out, receiver) else { continue };
            delivery.changing = None;
            let is_sending = delivery.outcome == Outcome::Sending;
            let Some(message) = self.book.message(out) else { continue };
            // It is asked for again once there is room, unless it was let go meanwhile: see `begin_refused`.
            if let (Some((run, seq)), Some(peer)) = (message.place(), self.peers.get_mut(&receiver))
                && self.book.at_place(run, seq) == Some(out)
            {
                peer.group.insert((run, seq), out);
            }
            let bytes = message.bytes.as_ref().map(|bytes| bytes.len());
            if let Some(bytes) = bytes.filter(|_| is_sending) {
                self.begin_sending(step, receiver, out, bytes);
            }
        }
    }
}
