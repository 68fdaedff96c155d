//! What messaging wants done: records stored, frames sent, events told. Owns the queue of outputs and the
//! numbers of records; decides nothing.

use super::record::{GapRecord, Outcome, Record};
use crate::base::{Cause, EventNumber, MemberId, MessageId, MessageKey, Queue, Run, Seq, Step, Wall};
use crate::wire::{MessagingFrame, RefusedReason};

/// What is to be done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    Store(Record),
    Send {
        to: MemberId,
        frame: MessagingFrame,
    },
    /// Open a session with a member that is there and that this node has none with.
    Connect(MemberId),
    Event(Event),
}

/// Something that happened, for people and programs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    pub n: EventNumber,
    pub cause: Option<Cause>,
    pub kind: EventKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// A message is in the durable log, for the first and only time; one's own too.
    Message(Shown),
    /// A message of one's own was not stored: it was not sent and is forgotten.
    Undone {
        id: MessageId,
    },
    /// A delivery of one's own message changed its outcome.
    Delivery(DeliveryChange),
    /// Messages that exist, and that nobody asked could give. Told again when more was asked.
    Gap(GapRecord),
    /// A recovery that got something from `via` is over.
    Recovered {
        count: u64,
        via: MemberId,
    },
    Alarm(Alarm),
}

/// A message as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    pub id: MessageId,
    pub key: MessageKey,
    pub text: String,
    /// When the author claims to have said it.
    pub said_at: Wall,
    /// Whether it came by asking.
    pub recovered: bool,
    /// Who passed it on, where that was not its author.
    pub via: Option<MemberId>,
    /// How long after `said_at` it is shown, where it was recovered or others of its author were shown first.
    pub late_ms: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryChange {
    pub id: MessageId,
    pub to: MemberId,
    pub outcome: Outcome,
    pub attempts: u32,
    pub tries_may_be_missing: bool,
    pub latency_us: Option<u64>,
    pub reason: Option<RefusedReason>,
}

/// Something that should not be: a person must judge it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alarm {
    /// The author signed two messages for one place: both are shown.
    Equivocation { author: MemberId, run: Run, seq: Seq, first: MessageId, second: MessageId },
    /// The author's message `seq` names a predecessor other than the one that it sent here.
    BrokenChain { author: MemberId, run: Run, seq: Seq },
    /// The member signed a receipt for a message that this node never said.
    FalseReceipt { receiver: MemberId },
    /// A message of this very run came in that this node did not say: a second process uses its keys.
    CopiedHome { run: Run },
}

/// Outputs that were not polled yet.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Queue<Output>,
    records: u64,
}

impl Outbox {
    /// Queues `record` and gives its number, from 1.
    pub fn store(&mut self, record: Record) -> u64 {
        self.records += 1;
        self.queue.push(Output::Store(record));
        self.records
    }

    pub fn send(&mut self, to: MemberId, frame: MessagingFrame) {
        self.queue.push(Output::Send { to, frame });
    }

    pub fn connect(&mut self, to: MemberId) {
        self.queue.push(Output::Connect(to));
    }

    /// Numbers and queues an event, and gives its number; `cause` is what the caller knows better than the step.
    pub fn tell(&mut self, step: &mut Step, cause: Option<Cause>, kind: EventKind) -> EventNumber {
        let n = step.number();
        self.queue.push(Output::Event(Event { n, cause: cause.or(step.cause), kind }));
        n
    }

    /// How many records were queued so far.
    pub const fn records(&self) -> u64 {
        self.records
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.queue.pop()
    }
}
