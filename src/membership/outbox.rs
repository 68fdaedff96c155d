//! What membership wants done, in order. Owns the queue and the numbering of records; decides nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::evidence::Evidence;
use super::record::Record;
use crate::base::{Cause, EventNumber, MemberId, Presence, Queue, Run, Step};
use crate::wire::{Card, MembershipFrame, Signed};

/// What membership wants done or known, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// To be made durable. Records are numbered from 1 in the order of these.
    Store(Record),
    /// The run of this node is durable: it may speak. Told again when a rolled-back home takes a higher one.
    Run(Run),
    /// The card of this node as it is to be shown from now on.
    Card(Signed<Card>),
    Send {
        to: MemberId,
        frame: MembershipFrame,
    },
    /// Dial somebody unknown.
    Dial(SocketAddr),
    /// Dial a member at these addresses, best first, unless a session with it is open.
    Connect {
        peer: MemberId,
        addresses: Vec<SocketAddr>,
    },
    /// This card of another member is the newest: sessions with older runs of it are over.
    Proven(Signed<Card>),
    /// Drop the sessions with a member: it is done with them too.
    Close(MemberId),
    /// Drop the sessions with a member that may still hold them open.
    Release(MemberId),
    /// Drop all that is kept of it.
    Forget(MemberId),
    /// For messaging: where a member stands, at start for each that is remembered, then with each change.
    Presence {
        member: MemberId,
        run: Run,
        presence: Presence,
        n: EventNumber,
    },
    /// For messaging: over whom this node passes on what is for all, and whether the room is too large to send to each
    /// directly. At start there are none, and it is not.
    Links {
        neighbours: BTreeSet<MemberId>,
        is_large: bool,
    },
    /// A process with a copy of this home is alive: send nothing more.
    Silent,
    Event(Event),
}

/// Something to be told to people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    pub n: EventNumber,
    pub cause: Option<Cause>,
    pub kind: EventKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventKind {
    Member {
        id: MemberId,
        nick: String,
        presence: Presence,
        run: Run,
        evidence: Vec<Evidence>,
    },
    /// Something that a person must act upon.
    Alarm {
        text: String,
    },
    /// This node stood still for so long.
    Stalled {
        stall: Duration,
    },
    /// The goodbye is said: nothing more comes.
    Left,
}

#[derive(Default, Debug)]
pub struct Outbox {
    queue: Queue<Output>,
    records: u64,
}

impl Outbox {
    pub fn push(&mut self, output: Output) {
        self.queue.push(output);
    }

    pub fn pop(&mut self) -> Option<Output> {
        self.queue.pop()
    }

    /// Queues a record and returns its number.
    pub fn store(&mut self, record: Record) -> u64 {
        self.records += 1;
        self.queue.push(Output::Store(record));
        self.records
    }

    /// Queues an event and returns its number. It is caused by the input at hand, else by `before`, the event
    /// that it follows from.
    pub fn tell(&mut self, step: &mut Step, before: Option<EventNumber>, kind: EventKind) -> EventNumber {
        let n = step.number();
        let cause = step.cause.or(before.map(Cause::Event));
        self.queue.push(Output::Event(Event { n, cause, kind }));
        n
    }
}
