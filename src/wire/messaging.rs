//! The frames that messaging speaks. Owns their byte form; `messaging` owns their meaning.

use serde::{Deserialize, Serialize};

use crate::base::{MemberId, MessageId, Run, Seq};

/// A frame of subsystem 3.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MessagingFrame {
    /// A signed group message, as its bytes: new, or retried.
    Group(Vec<u8>),
    /// A private message, as its bytes.
    Private(Vec<u8>),
    /// A signed receipt, as its bytes.
    Receipt(Vec<u8>),
    /// "I do not take this message."
    Refused { id: MessageId, reason: RefusedReason },
    /// Fingerprint of each author's newest (run, head id); rides with each heartbeat.
    Digest(u64),
    /// What the sender holds and keeps, by author and run in that order; `answer` is set when it answers another frontier. A part of
    /// it says all that the sender holds after `after`, or from the beginning: to its last entry where `more` is set, else to the end.
    Frontier { answer: bool, after: Option<(MemberId, Run)>, entries: Vec<FrontierEntry>, more: bool },
    /// "Give me these": first to last of an author's run.
    Pull { author: MemberId, run: Run, first: Seq, last: Seq },
    /// A signed group message, given because it was pulled.
    Recovered(Vec<u8>),
    /// The end of what one pull gets: all of `first..=last` was given but what is lacking here. `last` is below
    /// what was asked for where the window was full.
    PullEnd { author: MemberId, run: Run, first: Seq, last: Seq, lacking: Vec<Lacking> },
    /// A signed group message on its way through a large room, to be passed on. `number` counts what its sender passes on;
    /// `asked` says of whom the author wants receipts: see [`asked_place`].
    Flood { number: u64, asked: u64, bytes: Vec<u8> },
    /// Signed receipts on their way to their authors, to be passed on, `hops` so far.
    Receipts { number: u64, hops: u8, receipts: Vec<Vec<u8>> },
    /// "I have these of yours": numbers of `Flood` frames whose message is committed, and of `Receipts`. Unsigned: it is no
    /// evidence of anything but to the one who passed them on.
    HopAck { numbers: Vec<u64> },
}

/// Where a member stands among those whose receipts an author may want for a message: those from 0 to what it asks for
/// are asked.
#[must_use]
pub fn asked_place(message: MessageId, member: MemberId) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"folkmoot sample v1\0");
    hasher.update(&message.0);
    hasher.update(&member.0);
    let hash = hasher.finalize();
    let (chunks, _) = hash.as_bytes().as_chunks::<8>();
    u64::from_be_bytes(chunks[0])
}

/// Why a receiver does not take a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedReason {
    /// Its disk takes nothing more.
    DiskFull,
    /// Too old: below what it still remembers having seen.
    BelowFloor,
    /// Its person blocks the author.
    Blocked,
}

/// What a node holds of one run of an author.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FrontierEntry {
    pub author: MemberId,
    pub run: Run,
    /// The newest message held, and its id.
    pub head: Seq,
    pub head_id: MessageId,
    /// The first message that came to the sender within `RECOVERY_AGE_MAX`; `head + 1` where none did.
    pub recent: Seq,
    /// Ranges that it can give.
    pub kept: Vec<(Seq, Seq)>,
}

/// Messages that a peer was asked for and does not give.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lacking {
    pub first: Seq,
    pub last: Seq,
    /// It held them once and no longer keeps them; otherwise it never had them.
    pub had: bool,
}
