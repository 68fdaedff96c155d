//! What a node is asked and what it tells. The serde form of these types IS the JSON of `moot`, and it is
//! defined nowhere else. Owns shapes; decides nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

mod proof;
mod why;

pub use self::proof::{CardHeld, Covers, Proof, Receipted, Rival, Signer};
pub use self::why::{
    DeliveryEvidence, HeldUp, Hop, Link, OwnFaults, ReceiptEvidence, Remembered, SignatureState, Source, StoredSince,
    Try, Verdict, WhyMember, WhyMessage, WhyMissing,
};
pub use crate::membership::EvidenceKind;
pub use crate::messaging::{Answer, Outcome};

use crate::base::{Cause, EventNumber, Incarnation, MemberId, MessageId, PerMille, Presence, Run, Wall};

/// What a person, a script or another process asks of the running node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Says `text` to the room.
    Say { text: String },
    /// Tells `text` to one member.
    Tell { to: MemberId, text: String },
    /// Dials addresses where a member of this room may be.
    Join { addresses: Vec<SocketAddr> },
    /// Changes the nick on this node's card.
    Nick { nick: String },
    /// Says goodbye to all. The node answers nothing afterwards.
    Leave,
}

/// What a command gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The message is on its way to this node's own disk; [`EventKind::Message`] says that it is there.
    Accepted(Sent),
    Done,
}

/// A message that was accepted: the JSON of `send`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub id: MessageId,
    pub handle: String,
    pub kind: MessageKind,
    pub deliveries: Vec<Delivery>,
    /// Set where the room is too large to ask all of it for receipts: the number of the other members, of whom
    /// `deliveries` are a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_of: Option<u32>,
}

/// Why a command was not carried out. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    #[error("{0}")]
    Text(String),
    #[error("{nick} is not known here; moot who lists the members")]
    UnknownMember { nick: String },
    #[error("{nick} {}, and {waiting} messages wait for it already; send again when it is back", silence(*.silent_s))]
    Full {
        nick: String,
        /// `null` where it was not heard since this node started.
        silent_s: Option<u64>,
        waiting: usize,
    },
    #[error("{waiting} messages are under way already; send again in a moment")]
    Busy { waiting: usize },
    #[error("this node is still starting; send again in a moment")]
    Starting,
    #[error("that is yourself; a private message needs another member")]
    Yourself,
    #[error("this node is leaving the room")]
    Leaving,
    #[error("the disk is full: nothing was sent; make room on it and send again")]
    DiskFull,
    #[error(
        "another process runs with a copy of this home, so this node fell silent; stop one of them, and give the other a home of its own"
    )]
    CopiedHome,
}

fn silence(silent_s: Option<u64>) -> String {
    silent_s.map_or_else(
        || "has not been heard since this node started".to_owned(),
        |seconds| format!("has not been heard for {seconds} s"),
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    Group,
    Private,
}

/// A message's way to one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub member: MemberId,
    pub nick: String,
    pub outcome: Outcome,
    /// As far as they are counted.
    pub attempts: u32,
    /// An earlier run of the node may have sent it more often than `attempts` says: its disk has the count of the last
    /// change of the outcome only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tries_may_be_missing: bool,
    /// From the commit here to the receipt, in microseconds; `null` until there is one, and for a message
    /// that an earlier run sent.
    pub latency_us: Option<u64>,
}

/// Something that happened, as `moot node` and `moot tail --json` print it, one a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub n: EventNumber,
    /// Milliseconds since the epoch, by this node's clock.
    pub at: Wall,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    #[serde(flatten)]
    pub kind: EventKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The node runs; always the first event.
    Ready { id: MemberId, nick: String, room: String, addr: String, incarnation: Incarnation, ticket: String },
    /// A member's state changed.
    Member { id: MemberId, nick: String, state: Presence, incarnation: Incarnation, evidence: Vec<Evidence> },
    /// A message is in the durable log, for the first and only time.
    Message(Message),
    /// A message of one's own was refused by the disk: it was not sent and is forgotten.
    Undone { id: MessageId, handle: String, reason: String },
    /// A delivery changed its outcome.
    Delivery {
        id: MessageId,
        handle: String,
        #[serde(flatten)]
        delivery: Delivery,
        /// Why, where the receiver or the disk gave a reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Messages that exist, and that nobody asked could give.
    Gap(Gap),
    /// A recovery that got something is over.
    Recovered { count: u64, via: MemberId, nick: String },
    /// Fault injection changed; `null` means off.
    Fault { spec: Option<String> },
    /// Something that a person must act upon.
    Alarm { text: String },
    /// This node itself stood still for so long: it was stopped, or its machine slept or was overloaded. It judges nobody
    /// by that time; others may have missed it.
    Stalled { ms: u64 },
    /// A slow reader missed this many events.
    Lagged { count: u64 },
    /// The script of this name wrote a line, or failed: then the text begins with the file and the line.
    Script {
        name: String,
        text: String,
        #[serde(default, skip_serializing_if = "is_false")]
        failed: bool,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A message as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub id: MessageId,
    pub handle: String,
    pub kind: MessageKind,
    pub from: MemberId,
    pub nick: String,
    /// The receiver of a private message; `null` for the room.
    pub to: Option<MemberId>,
    pub seq: u64,
    pub incarnation: Incarnation,
    pub text: String,
    /// When the author claims to have said it.
    pub said_at: Wall,
    /// When it came to this node, or was said here, by its own clock: in a log. An event has its own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Wall>,
    /// Whether it came late, by asking.
    pub recovered: bool,
    /// Who passed it on, where that was not its author.
    pub via: Option<MemberId>,
    /// How long after `said_at` it was shown, by two clocks: where it was recovered, and in an event also where it is shown after
    /// later ones of its author. Else `null`, also where its author's retries took long: then `received_at`, or the time of the
    /// event, less `said_at` is what is known.
    pub late_ms: Option<u64>,
}

/// A message that a search found: the JSON of `search` is a list of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    #[serde(flatten)]
    pub message: Message,
    /// The part of the text that holds a hit; `…` stands where the text goes on.
    pub snippet: Vec<Piece>,
}

/// A part of a snippet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub text: String,
    /// Whether this is what was looked for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hit: bool,
}

/// Messages of one author's run that are missing here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub author: MemberId,
    pub nick: String,
    pub incarnation: Incarnation,
    pub first: u64,
    pub last: u64,
    pub asked: Vec<Asked>,
    /// A newer run of the author is known here, which counts its messages anew.
    #[serde(default, skip_serializing_if = "is_false")]
    pub of_earlier_run: bool,
}

/// What one peer said when asked for a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub member: MemberId,
    pub nick: String,
    pub answer: Answer,
}

/// One item of what a claim about a member rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub kind: EvidenceKind,
    pub by: MemberId,
    pub nick: String,
    pub run: Option<Run>,
    pub tick: Option<u64>,
    /// When it came to be known here; of a report that made a verdict, since when it stood uncontradicted.
    pub at: Wall,
    pub detail: String,
    /// Who passed it on, where that was not `by` itself: then it is as good as that member's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<MemberId>,
    /// A report whose author is mostly deaf: it counts under the longer rule only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mostly_deaf: bool,
    /// Others' word that made the member alive again, at the time since which it is: it denies nothing that is said now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brought_back: bool,
    /// A report that is a whole verdict: `by` had called the member unreachable, and this node took that over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verdict: bool,
}

/// The JSON of `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub node: NodeStatus,
    pub members: Vec<MemberStatus>,
    pub messages: MessageCounts,
    pub deliveries: OutcomeCounts,
    /// One's own messages that wait, are under way or unknown, the newest first: at most 8 of them.
    #[serde(default)]
    pub undelivered: Vec<Undelivered>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub undelivered_more: u64,
    pub faults: Vec<String>,
    pub counters: BTreeMap<String, u64>,
    pub limits: BTreeMap<String, u64>,
    /// What the numbers above are counted over.
    #[serde(default)]
    pub counted: Counted,
}

/// A message of one's own of which not all is settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelivered {
    pub id: MessageId,
    pub handle: String,
    pub kind: MessageKind,
    /// Those that are `waiting`, `sending` or `unknown`: at most 8 of them.
    pub deliveries: Vec<Delivery>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

/// Which numbers of a status begin anew with the process, and which outlast it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Since this run of the process began; of `counters` all but those that end in `_used`.
    pub since_start: Vec<String>,
    /// What stands now, of all runs on this disk: of gaps those that are open, of `undelivered` what can still change. The
    /// disk keeps messages for a year and up to 1 GiB; what it drops is among the deliveries until the next start.
    pub of_all_runs: Vec<String>,
    /// Of this run, and of what was kept of earlier ones when it began. The deliveries are so where the disk is too large to
    /// be counted at a start.
    #[serde(default)]
    pub of_what_is_kept: Vec<String>,
}

impl Default for Counted {
    fn default() -> Self {
        Self::of(false)
    }
}

impl Counted {
    /// `counts_all_runs`: whether what earlier runs let go is among the deliveries.
    #[must_use]
    pub fn of(counts_all_runs: bool) -> Self {
        let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            since_start: named(&[
                "messages.group",
                "messages.private",
                "messages.recovered",
                "messages.duplicates",
                "messages.stale",
                "counters",
            ]),
            of_what_is_kept: named(if counts_all_runs {
                &["messages.sampled"]
            } else {
                &["messages.sampled", "deliveries"]
            }),
            of_all_runs: named(if counts_all_runs {
                &["messages.gaps", "deliveries", "undelivered", "counters.*_used"]
            } else {
                &["messages.gaps", "undelivered", "counters.*_used"]
            }),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    pub id: MemberId,
    pub nick: String,
    pub incarnation: Incarnation,
    pub addr: String,
    pub room: String,
    pub uptime_ms: u64,
    /// Set while more than half of this node's links are silent, for 10 minutes at most: it is probably the one cut off. With
    /// fewer than three links one cannot tell, and it is never set.
    pub probably_cut_off: bool,
    /// Since when the disk took no write, for want of room; `null` while it takes them.
    #[serde(default)]
    pub disk_full_since: Option<Wall>,
    /// Since when this node hears and says nothing, because another process runs with a copy of its home: whatever it answers is of
    /// then. `null` while it takes part.
    #[serde(default)]
    pub silent_since: Option<Wall>,
}

/// A member as this node sees it: the link and the verdict, apart. What is not known is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    pub id: MemberId,
    pub nick: String,
    pub incarnation: Incarnation,
    /// Whether it is the node that answers; not there where it is not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub you: bool,
    pub state: Presence,
    /// For how long it has been in this state here.
    pub since_ms_ago: u64,
    pub heard_ms_ago: Option<u64>,
    /// Not known of one that this node does not hear itself.
    pub hears_me: Option<bool>,
    pub rtt_us: Option<u64>,
    /// The larger of the two directions.
    pub loss: Option<PerMille>,
    /// Kept alive by one voice only, contradicted, or losing more than a fifth; of oneself: hearing fewer than half of one's links.
    pub degraded: bool,
    pub evidence: Vec<Evidence>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCounts {
    pub group: u64,
    pub private: u64,
    pub gaps: u64,
    pub recovered: u64,
    pub duplicates: u64,
    pub stale: u64,
    /// Of one's own: those whose deliveries are a sample of the room, because it was too large to ask all of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sampled: u64,
}

/// Deliveries of all that was said since this start, and of what was on the disk then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeCounts {
    pub waiting: u64,
    pub sending: u64,
    pub delivered: u64,
    pub unknown: u64,
    pub refused: u64,
    pub expired: u64,
}
