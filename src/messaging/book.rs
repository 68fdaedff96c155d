//! The book of one's own messages: to whom each goes, how each delivery stands, and what shows it. Owns
//! outcomes and their rule (forward only, but for what was never sent); knows nothing of windows, retries or sessions.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeBounds;
use std::sync::Arc;

use super::flood::Reach;
use super::record::Outcome;
use crate::base::limits::{REFUSED_MESSAGES_MAX, SETTLED_MESSAGES_MAX, TRIES_MAX};
use crate::base::{Cause, EventNumber, Lived, MemberId, MessageId, MessageKey, Run, Seq, Stream, Time, Wall};
use crate::wire::RefusedReason;

/// Counts one's own messages on this node, in the order in which they were said. Local: never sent.
pub(super) type OutId = u64;

/// A message of one's own.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub id: MessageId,
    pub key: MessageKey,
    /// As they are sent; `None` once nothing is left to be sent.
    pub bytes: Option<Arc<[u8]>>,
    pub at: Wall,
    /// For how long this node had run then.
    pub lived: Lived,
    /// When it was committed; `None` before that, and for what an earlier run said.
    pub committed: Option<Time>,
    pub cause: Option<Cause>,
    /// The event that showed it, in this run: what becomes of it later is caused by it.
    pub shown: Option<EventNumber>,
    /// It is on disk, so it may be sent.
    pub is_durable: bool,
    pub deliveries: BTreeMap<MemberId, Delivery>,
    /// It goes from hop to hop, in a room of so many.
    pub reach: Option<Reach>,
    /// Of how many members `deliveries` is a sample; `None` where it is all of them.
    pub sample_of: Option<u32>,
    open: usize,
}

impl Outgoing {
    /// Where a group message stands in one's own stream.
    pub fn place(&self) -> Option<(Run, Seq)> {
        match self.key.stream {
            Stream::Room => Some((self.key.run, self.key.seq)),
            Stream::To(_) => None,
        }
    }
}

/// A message's way to one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub outcome: Outcome,
    /// As far as they are counted.
    pub attempts: u32,
    /// An earlier run may have sent it more often than is counted.
    pub tries_may_be_missing: bool,
    /// From the commit here to the receipt; `None` until there is one, and for what an earlier run sent.
    pub latency_us: Option<u64>,
    pub reason: Option<RefusedReason>,
    /// The newest, at most `TRIES_MAX`.
    pub tries: Vec<Try>,
    pub receipt: Option<Arc<ReceiptSeen>>,
    /// A record of this outcome is on its way to the disk.
    pub(super) changing: Option<Outcome>,
}

/// One attempt at delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Try {
    pub at: Wall,
    /// From 1.
    pub attempt: u32,
    pub way: Way,
}

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Straight to the receiver, by this node's own decision.
    Pushed,
    /// Straight to the receiver, because it asked.
    AskedFor,
    /// To the next hops, to be passed on to all.
    Flooded,
}

/// A receipt as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptSeen {
    pub at: Wall,
    /// The receiver's run in which it signed.
    pub run: Run,
    /// An earlier run of this node took it: of those that it took, the newest that is kept.
    pub is_restored: bool,
    /// Who passed it on to this node, where that was not the receiver itself. Not kept on disk.
    pub via: Option<MemberId>,
    /// A `Signed<Receipt>`.
    pub bytes: Arc<[u8]>,
}

/// How many deliveries stand where: of what this run said, and of what was on the disk when it began. What became of a message is
/// counted on when the message is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    pub waiting: u64,
    pub sending: u64,
    pub unknown: u64,
    pub refused: u64,
    pub expired: u64,
    pub delivered: u64,
}

impl Delivery {
    pub(super) const fn begun(outcome: Outcome) -> Self {
        Self {
            outcome,
            attempts: 0,
            tries_may_be_missing: false,
            latency_us: None,
            reason: None,
            tries: Vec::new(),
            receipt: None,
            changing: None,
        }
    }

    /// As the disk has it.
    pub(super) fn restored(outcome: Outcome, attempts: u32, latency_us: Option<u64>) -> Self {
        let tries_may_be_missing = outcome.lacks_tries_on_disk(latency_us);
        Self { attempts, tries_may_be_missing, latency_us, ..Self::begun(outcome) }
    }

    /// The message goes to its receiver now.
    pub(super) fn attempt(&mut self, at: Wall) {
        self.note_try(at, Way::Pushed);
    }

    /// The same, because the receiver asked for it.
    pub(super) fn attempt_asked_for(&mut self, at: Wall) {
        self.note_try(at, Way::AskedFor);
    }

    /// It goes to the next hops, to be passed on to its receiver with all others.
    pub(super) fn attempt_flooded(&mut self, at: Wall) {
        self.note_try(at, Way::Flooded);
    }

    /// No datagram of it left this node, in no run.
    pub(super) const fn was_never_sent(&self) -> bool {
        self.attempts == 0 && !self.tries_may_be_missing
    }

    /// The disk calls it waiting, or is about to: before a datagram of it leaves, that has to change.
    pub(super) fn is_waiting_on_disk(&self) -> bool {
        match self.changing {
            Some(changing) => changing == Outcome::Waiting,
            None => self.outcome == Outcome::Waiting,
        }
    }

    /// It is tried, and no change of that is on its way to the disk.
    pub(super) fn is_sending(&self) -> bool {
        self.outcome == Outcome::Sending && self.changing.is_none()
    }

    fn note_try(&mut self, at: Wall, way: Way) {
        self.attempts = self.attempts.saturating_add(1);
        if self.tries.len() >= TRIES_MAX {
            self.tries.remove(0);
        }
        self.tries.push(Try { at, attempt: self.attempts, way });
    }
}

impl Outcome {
    /// Whether a delivery that is so on disk may have been tried more often than is counted there: the count is written
    /// with a new outcome only. What a receipt settled in the run that sent it, which then has a latency, is counted.
    #[must_use]
    pub const fn lacks_tries_on_disk(self, latency_us: Option<u64>) -> bool {
        match self {
            Self::Waiting | Self::Expired => false,
            Self::Sending | Self::Unknown | Self::Refused => true,
            Self::Delivered => latency_us.is_none(),
        }
    }

    /// How a delivery ends whose message nobody can be given any more: what was never sent never will be, and of what was sent
    /// no receipt can be compared with it.
    #[must_use]
    pub const fn let_go(self) -> Self {
        match self {
            Self::Waiting => Self::Expired,
            Self::Sending => Self::Unknown,
            Self::Unknown | Self::Refused | Self::Expired | Self::Delivered => self,
        }
    }

    /// Whether a private message is kept no longer once its delivery is so. Of what was refused a receipt may come.
    #[must_use]
    pub const fn lets_private_go(self) -> bool {
        match self {
            Self::Waiting | Self::Sending | Self::Unknown | Self::Refused => false,
            Self::Expired | Self::Delivered => true,
        }
    }

    /// Nothing more is done for it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Waiting | Self::Sending | Self::Unknown => false,
            Self::Refused | Self::Expired | Self::Delivered => true,
        }
    }
}

impl OutcomeCounts {
    /// How many are so.
    pub const fn of(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Waiting => &mut self.waiting,
            Outcome::Sending => &mut self.sending,
            Outcome::Unknown => &mut self.unknown,
            Outcome::Refused => &mut self.refused,
            Outcome::Expired => &mut self.expired,
            Outcome::Delivered => &mut self.delivered,
        }
    }
}

/// All of one's own messages that are kept.
#[derive(Debug, Default)]
pub(super) struct Book {
    next: OutId,
    messages: BTreeMap<OutId, Outgoing>,
    by_id: BTreeMap<MessageId, OutId>,
    by_place: BTreeMap<(Run, Seq), OutId>,
    settled: VecDeque<OutId>,
    /// Group messages that are past their life, by receiver: nothing is done for them, and a receipt settles them all the same.
    lapsed: BTreeMap<MemberId, BTreeMap<(Run, Seq), OutId>>,
    /// Private messages that were refused and are on the disk for a receipt that may come.
    refused: VecDeque<OutId>,
    counts: OutcomeCounts,
    /// Messages of whose receivers only a sample is asked.
    sampled: u64,
}

impl Book {
    /// An empty one; `ended` is how deliveries stand of messages that an earlier run let go.
    pub fn with(ended: OutcomeCounts) -> Self {
        Self { counts: ended, ..Self::default() }
    }

    pub fn add(
        &mut self,
        id: MessageId,
        key: MessageKey,
        bytes: Arc<[u8]>,
        (at, lived): (Wall, Lived),
        cause: Option<Cause>,
        deliveries: BTreeMap<MemberId, Delivery>,
    ) -> OutId {
        self.next += 1;
        let out = self.next;
        let open = deliveries.values().filter(|delivery| !delivery.outcome.is_final()).count();
        for delivery in deliveries.values() {
            *self.counts.of(delivery.outcome) += 1;
        }
        self.by_id.insert(id, out);
        match key.stream {
            Stream::Room => drop(self.by_place.insert((key.run, key.seq), out)),
            Stream::To(_) => {}
        }
        let message = Outgoing {
            id,
            key,
            bytes: Some(bytes),
            at,
            lived,
            committed: None,
            cause,
            shown: None,
            is_durable: false,
            deliveries,
            reach: None,
            sample_of: None,
            open,
        };
        self.messages.insert(out, message);
        out
    }

    /// Stops keeping the bytes of a message that has no delivery left to be settled.
    pub fn retire_if_settled(&mut self, out: OutId) {
        if self.messages.get(&out).is_some_and(|message| message.open == 0) {
            self.retire(out);
        }
    }

    pub fn message(&self, out: OutId) -> Option<&Outgoing> {
        self.messages.get(&out)
    }

    pub fn message_mut(&mut self, out: OutId) -> Option<&mut Outgoing> {
        self.messages.get_mut(&out)
    }

    pub fn find(&self, id: MessageId) -> Option<OutId> {
        self.by_id.get(&id).copied()
    }

    /// One's own group message at `seq` of `run`.
    pub fn at_place(&self, run: Run, seq: Seq) -> Option<OutId> {
        self.by_place.get(&(run, seq)).copied()
    }

    /// One's own group messages at these places, in that order.
    pub fn said_in(&self, places: &impl RangeBounds<(Run, Seq)>) -> impl Iterator<Item = OutId> {
        let bounds = (places.start_bound().cloned(), places.end_bound().cloned());
        self.by_place.range(bounds).map(|(_, &out)| out)
    }

    /// The receipts of a member for what was said after `place` in the same run, in that order.
    pub fn receipts_after(&self, (run, seq): (Run, Seq), member: MemberId) -> impl Iterator<Item = &Arc<ReceiptSeen>> {
        let later = self.by_place.range((run, seq.saturating_add(1))..=(run, Seq::MAX));
        later.filter_map(move |(_, &out)| self.delivery(out, member)?.receipt.as_ref())
    }

    pub fn delivery(&self, out: OutId, to: MemberId) -> Option<&Delivery> {
        self.messages.get(&out)?.deliveries.get(&to)
    }

    pub fn delivery_mut(&mut self, out: OutId, to: MemberId) -> Option<&mut Delivery> {
        self.messages.get_mut(&out)?.deliveries.get_mut(&to)
    }

    /// The deliveries of a message are a sample of so many members.
    pub fn note_sample(&mut self, out: OutId, sample_of: Option<u32>) {
        if let (Some(message), Some(_)) = (self.messages.get_mut(&out), sample_of) {
            message.sample_of = sample_of;
            self.sampled += 1;
        }
    }

    pub const fn sampled(&self) -> u64 {
        self.sampled
    }

    /// In the order in which they were said.
    pub fn messages(&self) -> impl Iterator<Item = (OutId, &Outgoing)> {
        self.messages.iter().map(|(&out, message)| (out, message))
    }

    /// Those of which something is still to become known, the newest first.
    pub fn open(&self) -> impl Iterator<Item = &Outgoing> {
        self.messages.values().rev().filter(|message| message.open > 0)
    }

    pub fn by_id(&self) -> &BTreeMap<MessageId, OutId> {
        &self.by_id
    }

    pub const fn counts(&self) -> OutcomeCounts {
        self.counts
    }

    /// Moves a delivery to `outcome`; false where that would not be forward.
    pub fn advance(&mut self, out: OutId, to: MemberId, outcome: Outcome) -> bool {
        let Some(message) = self.messages.get_mut(&out) else { return false };
        let place = message.place();
        let Some(delivery) = message.deliveries.get_mut(&to) else { return false };
        if outcome <= delivery.outcome {
            return false;
        }
        *self.counts.of(delivery.outcome) -= 1;
        *self.counts.of(outcome) += 1;
        let closes = outcome.is_final() && !delivery.outcome.is_final();
        delivery.outcome = outcome;
        if closes {
            message.open -= 1;
            if message.open == 0 {
                self.retire(out);
            }
        }
        if let Some(place) = place.filter(|_| outcome == Outcome::Delivered) {
            self.unlapse(place, to);
        }
        true
    }

    /// What was about to be sent, and was not, waits again: the one step back. False where something of it left, or where it is
    /// not being sent.
    pub fn take_back(&mut self, out: OutId, to: MemberId) -> bool {
        let Some(delivery) = self.delivery_mut(out, to) else { return false };
        if delivery.outcome != Outcome::Sending || !delivery.was_never_sent() {
            return false;
        }
        delivery.outcome = Outcome::Waiting;
        *self.counts.of(Outcome::Sending) -= 1;
        *self.counts.of(Outcome::Waiting) += 1;
        true
    }

    /// Stops keeping the bytes of a message that is not tried any more.
    pub fn retire(&mut self, out: OutId) {
        let Some(message) = self.messages.get_mut(&out) else { return };
        if message.bytes.take().is_none() {
            return;
        }
        self.settled.push_back(out);
        if self.settled.len() > SETTLED_MESSAGES_MAX
            && let Some(oldest) = self.settled.pop_front()
        {
            self.forget(oldest);
        }
    }

    /// Keeps a refused private message for a receipt; gives the one that has to go for it.
    pub fn keep_refused(&mut self, out: OutId) -> Option<MessageId> {
        self.refused.push_back(out);
        let oldest = if self.refused.len() > REFUSED_MESSAGES_MAX { self.refused.pop_front() } else { None };
        let message = self.messages.get(&oldest?)?;
        let is_refused = message.deliveries.values().all(|delivery| delivery.outcome == Outcome::Refused);
        is_refused.then_some(message.id)
    }

    /// Whether it is refused, and on the disk for a receipt.
    #[cfg(test)]
    pub fn keeps_refused(&self, out: OutId) -> bool {
        let is_refused = |message: &Outgoing| message.deliveries.values().all(|it| it.outcome == Outcome::Refused);
        self.refused.contains(&out) && self.messages.get(&out).is_some_and(is_refused)
    }

    /// Nothing more is done for this delivery of a group message.
    pub fn lapse(&mut self, out: OutId, to: MemberId) {
        if let Some(place) = self.messages.get(&out).and_then(Outgoing::place) {
            self.lapsed.entry(to).or_default().insert(place, out);
        }
    }

    /// Those of `first..=last` of which nothing more is done for `to`.
    pub fn lapsed_within(
        &self,
        to: MemberId,
        run: Run,
        (first, last): (Seq, Seq),
    ) -> impl Iterator<Item = (Seq, OutId)> {
        let lapsed = self.lapsed.get(&to).into_iter();
        lapsed.flat_map(move |of| of.range((run, first)..=(run, last)).map(|(&(_, seq), &out)| (seq, out)))
    }

    fn unlapse(&mut self, place: (Run, Seq), to: MemberId) {
        if let Some(lapsed) = self.lapsed.get_mut(&to) {
            lapsed.remove(&place);
            if lapsed.is_empty() {
                self.lapsed.remove(&to);
            }
        }
    }

    /// Forgets a message that was never sent, as if it had not been said.
    pub fn undo(&mut self, out: OutId) -> Option<Outgoing> {
        let message = self.forget(out)?;
        for delivery in message.deliveries.values() {
            *self.counts.of(delivery.outcome) -= 1;
        }
        self.sampled -= u64::from(message.sample_of.is_some());
        Some(message)
    }

    /// Nothing of it is sent any more, and neither a name nor a receipt finds it: it stays until it is forgotten only for its
    /// deliveries to end.
    pub fn let_go(&mut self, out: OutId) {
        let Some(message) = self.messages.get_mut(&out) else { return };
        message.bytes = None;
        self.by_id.remove(&message.id);
        let Some(place) = message.place() else { return };
        let members: Vec<MemberId> = message.deliveries.keys().copied().collect();
        self.by_place.remove(&place);
        for to in members {
            self.unlapse(place, to);
        }
    }

    /// Forgets a message. How its deliveries ended stays in the counts.
    pub fn forget(&mut self, out: OutId) -> Option<Outgoing> {
        self.let_go(out);
        self.messages.remove(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_receipt_finds_what_was_let_go() {
        let (author, to, run) = (MemberId([1; 32]), MemberId([2; 32]), Run { incarnation: 1, boot: 1 });
        let mut book = Book::default();
        let key = MessageKey { author, run, stream: Stream::Room, seq: 1 };
        let deliveries = BTreeMap::from([(to, Delivery::begun(Outcome::Unknown))]);
        let out = book.add(MessageId([3; 32]), key, vec![0].into(), (Wall(1), Lived(1)), None, deliveries);
        book.lapse(out, to);
        assert_eq!(book.lapsed_within(to, run, (1, 1)).collect::<Vec<_>>(), [(1, out)]);
        book.let_go(out);
        assert_eq!(book.lapsed_within(to, run, (1, 1)).count(), 0);
        assert!(book.message(out).is_some(), "it stays for its deliveries to end");
    }
}
