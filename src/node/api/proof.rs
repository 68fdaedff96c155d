//! The JSON of `evidence verify`. Owns its shapes; what a file proves is judged in `evidence`.

use serde::{Deserialize, Serialize};

use super::MessageKind;
use crate::base::{MemberId, MessageId, RoomId, Run, Wall};

/// What a file of evidence holds and proves: the JSON of `evidence verify`. All of it is in the file; whoever trusts it
/// trusts the keys that are named here, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub room: RoomId,
    pub id: MessageId,
    pub kind: MessageKind,
    pub from: Signer,
    /// The receiver of a private message; `null` for the room.
    pub to: Option<Signer>,
    pub run: Run,
    pub seq: u64,
    pub text: String,
    /// When the author claims to have said it.
    pub said_at: Wall,
    /// What else the author signed under the same number.
    pub rival: Option<Rival>,
    pub receipts: Vec<Receipted>,
    pub cards: Vec<CardHeld>,
    /// What follows, in sentences; nothing where the file has nothing that anybody signed about this message.
    pub proves: Vec<String>,
    pub does_not_prove: Vec<String>,
}

/// A key, and what its owner calls itself where the file holds its card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    pub member: MemberId,
    pub nick: Option<String>,
}

/// Another message of the same author, run and number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rival {
    pub id: MessageId,
    pub text: String,
    pub said_at: Wall,
}

/// A receipt whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipted {
    pub by: Signer,
    /// The run in which it was signed.
    pub run: Run,
    pub covers: Covers,
    /// The range of numbers in it that holds the message's; `null` for a private message.
    pub first: Option<u64>,
    pub last: Option<u64>,
}

/// What a receipt says of the message in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Covers {
    /// It names the message's hash, or that of a later one from which the messages in the file lead back to it.
    ThisMessage,
    /// It names the message's number by a range, and nothing in the file ties the range to the message.
    NumberOnly,
    /// It names another hash under the message's number.
    AnotherMessage,
    Nothing,
}

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardHeld {
    pub member: MemberId,
    pub nick: String,
    pub run: Run,
    pub version: u32,
}
