//! The trace of a run: one line an event, each with its number, its time and what it was caused by. Owns the
//! vocabulary; its serde form is what `moot run --trace` writes, one JSON object a line.
//!
//! Lines come in the order of their numbers, and their times never go back. A cause is always an earlier line, so that
//! the causal past of a line is found by walking back.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::{Incarnation, MemberId, MessageId, Run, Seq, Stream, Time};
use crate::messaging;
use crate::node::Record;
use crate::node::api::{Event, MessageKind};
use crate::wire::{Label, Signed, decode_layout, layout_id};

/// The number of a line, from 1.
pub type LineNumber = u64;

/// The name of a machine, as the scenario gave it; the nick of its node is the same at first.
pub type Name = Arc<str>;

/// A whole run.
pub type Trace = Vec<Line>;

/// One event of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Line {
    pub n: LineNumber,
    /// Microseconds since the run began: virtual ones, or those of the machine that drove the processes.
    pub at: Time,
    /// Whose machine it happened on; `None` for the network and the scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<LineNumber>,
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// Always the first line.
    Began {
        scenario: String,
        driver: Driver,
        seed: u64,
    },
    /// A machine exists, with a home and nothing running on it. Again, when its home was made a copy of another: it is that
    /// member then.
    Home {
        member: MemberId,
        address: SocketAddr,
    },
    /// The scenario declares a member dishonest: no check holds it to its word, and none believes it.
    Dishonest {
        member: MemberId,
    },
    /// The scenario has the member lie, in the scenario's words; what it sends for it has this line for its cause.
    Lied {
        text: String,
    },
    /// A process was started on its home. `epoch` grows when the home is rolled back, or copied from another: what was shown
    /// and signed before counts anew from there.
    Started {
        epoch: u32,
        run: Option<Run>,
    },
    /// The process is over. All that it told stands before this line.
    Ended {
        how: Ended,
    },
    Paused,
    /// It goes on after it stood still for this long.
    Resumed {
        after_us: u64,
    },
    /// A fault was put on, or taken off: a rule of the network (`node` is `None`), one of the node's own, a full or
    /// slow disk, a clock that jumped. In the words of the scenario or the spec.
    Fault {
        text: String,
        is_on: bool,
    },
    /// The home was put back to what it was at an earlier time, or made a copy of another.
    RolledBack {
        epoch: u32,
    },
    /// A step of the scenario, with where it stands in its file: a wait that came true, an expectation.
    Step {
        text: String,
        line: Option<u32>,
    },
    /// The node accepted a message of its own person; `to` is its receiver, or `None` for the room.
    Accepted {
        id: MessageId,
        to: Option<MemberId>,
        text: String,
    },
    /// The node refused what its person asked.
    Refused {
        why: String,
    },
    /// A datagram left its sender. Its number is this line's own. `bytes` is its length; what it said is at hand for the
    /// checks while the run lasts, and is never written. It is left out where nothing is sealed (a simulator's plain
    /// suite): such bytes show nothing.
    Sent {
        /// `None` when nobody is at the address.
        to: Option<Name>,
        bytes: u32,
        /// Of its frames; empty for a handshake.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        labels: Vec<Label>,
        #[serde(skip)]
        wire: Option<Arc<[u8]>>,
    },
    /// The datagram of line `datagram` did not arrive, or one of its copies.
    Dropped {
        datagram: LineNumber,
        why: DropReason,
    },
    /// The datagram of line `datagram` reached `node`; `copy` counts from 0. `is_damaged` when its bytes were changed on
    /// the way.
    Arrived {
        datagram: LineNumber,
        copy: u8,
        is_damaged: bool,
    },
    /// A batch of records is durable on this node's disk; see [`What::stored`]. It stands before what the node does about
    /// it, and at a crash for what had reached the disk although nobody was told.
    Stored {
        records: u32,
        kept: Vec<Kept>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        noted: Vec<Noted>,
    },
    /// The disk took nothing of a batch: it is full.
    NotStored {
        records: u32,
    },
    /// The node told its person something.
    Told {
        event: Box<Event>,
    },
    /// A script on the node wrote a line, or failed.
    Logged {
        text: String,
    },
    /// A check does not hold. Its cause is the line at which that showed.
    Violated {
        check: u8,
        text: String,
    },
}

/// What stands before the amount in the text of a fault that lets a wall clock jump.
const CLOCK_JUMPS: &str = "clock jumps by ";
const MILLISECONDS: &str = " ms";

impl What {
    /// The wall clock of a machine jumps by this many milliseconds, forward or back.
    #[must_use]
    pub fn clock_jumps(ms: i64) -> Self {
        Self::Fault { text: format!("{CLOCK_JUMPS}{ms}{MILLISECONDS}"), is_on: true }
    }

    /// By how much it jumps, where this is such a fault.
    #[must_use]
    pub fn clock_jump_ms(&self) -> Option<i64> {
        let Self::Fault { text, .. } = self else { return None };
        text.strip_prefix(CLOCK_JUMPS)?.strip_suffix(MILLISECONDS)?.parse().ok()
    }
}

/// What ran the nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    Sim,
    Processes,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Like `kill -9`: what was given to the disk gets there.
    Crashed,
    /// Like a power cut: what was not synced is gone.
    CrashedUnsyncedLost,
    /// Like a power cut in the middle of a write: some of what was not synced is there.
    CrashedUnsyncedTorn,
    /// It said goodbye first.
    Left,
    /// By itself; a fault of ours.
    Failed,
}

/// Why a datagram, or a copy of it, did not arrive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    Cut,
    Loss,
    /// Its link's queue was full.
    Queue,
    /// The faults of the node itself, on its way out or in.
    Node,
    /// A script's `datagram` hook.
    Hook,
    /// Nobody runs there.
    Down,
    /// Nobody has that address.
    Nowhere,
}

/// A message that is on a node's disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kept {
    pub id: MessageId,
    pub kind: MessageKind,
    pub author: MemberId,
    /// Of the author's run.
    pub incarnation: Incarnation,
    pub seq: Seq,
    /// Whether the node is its author.
    pub is_own: bool,
}

/// What else a node's disk says of messages: of those that are not on it, and of what became of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "noted", rename_all = "snake_case")]
pub enum Noted {
    /// They exist and are missing.
    Gap { author: MemberId, incarnation: Incarnation, first: Seq, last: Seq },
    /// They were said before the node came to the room, up to `last`.
    History { author: MemberId, incarnation: Incarnation, last: Seq },
    /// One's own message was never sent and never will be; it is taken off the disk.
    Undone { id: MessageId },
    /// The delivery of one's own message to `member` came to its end: a receipt, a refusal, or its life was over.
    Settled { id: MessageId, member: MemberId },
}

impl What {
    /// A batch of records that became durable.
    #[must_use]
    pub fn stored(records: &[Record]) -> Self {
        Self::Stored {
            records: u32::try_from(records.len()).unwrap_or(u32::MAX),
            kept: records.iter().filter_map(Kept::of).collect(),
            noted: records.iter().flat_map(Noted::of).collect(),
        }
    }
}

impl Noted {
    /// What `record` says, beside the message that it may hold.
    #[must_use]
    pub fn of(record: &Record) -> Vec<Self> {
        let Record::Messaging(record) = record else { return Vec::new() };
        match record {
            messaging::Record::Gap(gap) => vec![Self::Gap {
                author: gap.author,
                incarnation: gap.run.incarnation,
                first: gap.first,
                last: gap.last,
            }],
            messaging::Record::History { author, run, upto } => {
                vec![Self::History { author: *author, incarnation: run.incarnation, last: *upto }]
            }
            messaging::Record::Undone { id, .. } => vec![Self::Undone { id: *id }],
            messaging::Record::Receipt(receipt) => {
                let member = receipt.receiver;
                receipt.settled.iter().map(|settled| Self::Settled { id: settled.message, member }).collect()
            }
            messaging::Record::Delivery(delivery) if delivery.outcome.is_final() => {
                vec![Self::Settled { id: delivery.message, member: delivery.to }]
            }
            messaging::Record::GroupReceived { .. }
            | messaging::Record::GroupSent { .. }
            | messaging::Record::PrivateReceived { .. }
            | messaging::Record::PrivateSent { .. }
            | messaging::Record::Delivery(_)
            | messaging::Record::Equivocation { .. }
            | messaging::Record::GapClosed { .. }
            | messaging::Record::GroupPruned { .. }
            | messaging::Record::PrivatePruned { .. }
            | messaging::Record::RunsForgotten { .. }
            | messaging::Record::PrivateRunsForgotten { .. }
            | messaging::Record::GivenUp { .. }
            | messaging::Record::Lived(_) => Vec::new(),
        }
    }
}

impl Kept {
    /// The message that `record` puts on disk, if it does.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        let Record::Messaging(record) = record else { return None };
        match record {
            messaging::Record::GroupReceived { bytes, .. } => Self::group(bytes, false),
            messaging::Record::GroupSent { bytes, .. } => Self::group(bytes, true),
            messaging::Record::PrivateReceived { bytes, .. } => Self::private(bytes, false),
            messaging::Record::PrivateSent { bytes, .. } => Self::private(bytes, true),
            messaging::Record::Delivery(_)
            | messaging::Record::Receipt(_)
            | messaging::Record::Equivocation { .. }
            | messaging::Record::Gap(_)
            | messaging::Record::History { .. }
            | messaging::Record::GapClosed { .. }
            | messaging::Record::GroupPruned { .. }
            | messaging::Record::PrivatePruned { .. }
            | messaging::Record::RunsForgotten { .. }
            | messaging::Record::PrivateRunsForgotten { .. }
            | messaging::Record::GivenUp { .. }
            | messaging::Record::Undone { .. }
            | messaging::Record::Lived(_) => None,
        }
    }

    fn group(bytes: &[u8], is_own: bool) -> Option<Self> {
        let message = Signed::<crate::wire::GroupMessage>::open_trusted(bytes).ok()?;
        Some(Self::new(message.id(), message.value().key(), is_own))
    }

    fn private(bytes: &[u8], is_own: bool) -> Option<Self> {
        let message = decode_layout::<crate::wire::PrivateMessage>(bytes).ok()?;
        Some(Self::new(layout_id::<crate::wire::PrivateMessage>(bytes), message.key(), is_own))
    }

    fn new(id: MessageId, key: crate::base::MessageKey, is_own: bool) -> Self {
        let kind = match key.stream {
            Stream::Room => MessageKind::Group,
            Stream::To(_) => MessageKind::Private,
        };
        Self { id, kind, author: key.author, incarnation: key.run.incarnation, seq: key.seq, is_own }
    }
}
