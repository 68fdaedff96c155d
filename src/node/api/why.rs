//! What `why` tells: of a message each receiver's evidence, of a missing one who was asked, of a member its link and the
//! room's verdict.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Delivery, Evidence, Gap, MessageKind, is_false};
use crate::base::{Incarnation, MemberId, MessageId, PerMille, Presence, Run, Wall};

/// The JSON of `why MSG`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyMessage {
    pub id: MessageId,
    pub handle: String,
    pub kind: MessageKind,
    pub from: MemberId,
    pub nick: String,
    pub seq: u64,
    pub incarnation: Incarnation,
    /// The receiver of a private message; `null` for the room.
    #[serde(default)]
    pub to: Option<MemberId>,
    /// `null` where neither the node that answers nor its disk holds it, or the disk cannot be read now.
    #[serde(default)]
    pub text: Option<String>,
    /// When the author claims to have said it; `null` where `text` is, but for one's own.
    pub said_at: Option<Wall>,
    pub known_from: Remembered,
    /// The roster: all who were members when it was said, or the one whom it was told.
    pub deliveries: Vec<DeliveryEvidence>,
    /// Set where the room was too large to ask all of it: the number of the other members, of whom the roster is a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_of: Option<u32>,
    /// Set where this node's own faults may have dropped what it sent, or what came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_faults: Option<OwnFaults>,
    /// Who is not in the roster of one's own message to the room and stored it since, as receipts say that are kept for
    /// later ones.
    #[serde(default)]
    pub stored_since: Vec<StoredSince>,
    /// How a message of somebody else came here, or one's own that the home had lost.
    pub sources: Vec<Source>,
    /// What else its author signed under the same number: it told different people different things.
    pub rivals: Vec<MessageId>,
    /// What this evidence cannot tell, in sentences.
    pub not_known: Vec<String>,
}

/// A member that was not known to be here when a message was said, and signed since that it has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSince {
    pub member: MemberId,
    pub nick: String,
    pub receipt: ReceiptEvidence,
}

/// The JSON of `why` about a message that is missing here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyMissing {
    pub seq: u64,
    /// What is missing with it, and who was asked for it.
    pub gap: Gap,
    /// What happens about it, in a sentence.
    pub next: String,
    /// Messages that are here and go by the same name: private ones, and those of another run. Each by what tells it apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_called_so: Vec<String>,
    /// What this evidence cannot tell, in sentences.
    pub not_known: Vec<String>,
}

/// Who still knows what became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remembered {
    ByTheNode,
    /// Settled long ago, or in an earlier run: tries and copies are not kept there.
    ByTheDiskAlone,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryEvidence {
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Why it was refused or is expired; `null` where it is neither.
    pub reason: Option<String>,
    /// The newest attempts of this run of the node, at most 16.
    pub tries: Vec<Try>,
    /// Where this node has its session with the member now; `null` where it has none.
    pub address: Option<SocketAddr>,
    /// Why it is not sent to the member now, where no receipt has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_up: Option<HeldUp>,
    pub receipt: Option<ReceiptEvidence>,
}

/// Why nothing is sent to a member now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldUp {
    /// It is not heard, by this node and those who watch it.
    NotHeard,
    /// It is heard of, and this node has no session with it.
    NoDirectLink,
    /// It said goodbye.
    Left,
    /// It can be reached, and the disk here is full: a message is on its way only once the disk says so.
    DiskFullHere,
    /// It can be reached, and was not sent this message to the room, because it was away or slower than the room when it was said.
    ToBeFetched,
}

/// What this node's own fault injection may have to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnFaults {
    On,
    /// They are off, and were on since it was said.
    WereOn,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    pub at: Wall,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The member asked for it; else this node sent it of itself. Either way it went straight to it, unless:
    pub asked_for: bool,
    /// It went to this node's neighbours on the rings, which pass on to all what is said in a room of more than 64.
    #[serde(default, skip_serializing_if = "is_false")]
    pub flooded: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptEvidence {
    pub at: Wall,
    /// The receiver's run in which it signed.
    pub run: Run,
    /// The range of numbers in it that holds this message's; `null` for a private one, which it names by its hash.
    pub first: Option<u64>,
    pub last: Option<u64>,
    pub signature: SignatureState,
    /// An earlier run of this node took it, and may have taken another one before, which `latency_us` is of.
    #[serde(default, skip_serializing_if = "is_false")]
    pub may_be_later: bool,
    /// Who passed it on to this node, where that was not its signer; not known any more after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Hop>,
}

/// A member that passes on what is others'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    pub member: MemberId,
    pub nick: String,
}

/// What is known of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureState {
    /// It was checked for this answer.
    Holds,
    /// It was checked when it came, and nothing is kept that did not hold then.
    HeldWhenItCame,
    /// It was checked for this answer: what is kept is not what came.
    Broken,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Who sent it to this node.
    pub via: MemberId,
    pub nick: String,
    pub at: Wall,
    pub recovered: bool,
    /// How often it arrived again after it was held, in this run of the node; `null` where only the disk knows it.
    pub duplicates: Option<u64>,
}

/// The JSON of `why NICK`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyMember {
    pub member: MemberId,
    pub nick: String,
    pub state: Presence,
    pub since: Wall,
    /// For how long; where the clock was set meanwhile, by how long the node has run.
    pub since_ms_ago: u64,
    /// It is there, and something speaks against it: a report, silence here, or a link that loses more than a fifth. Of oneself:
    /// that this node hears fewer than half of its links.
    #[serde(default)]
    pub degraded: bool,
    pub link: Link,
    pub verdict: Verdict,
}

/// What this node's own link to a member shows. While the member is missed, round trip and loss are not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub heard_ms_ago: Option<u64>,
    pub hears_me: Option<bool>,
    pub rtt_us: Option<u64>,
    pub loss_in: Option<PerMille>,
    pub loss_out: Option<PerMille>,
    pub address: Option<SocketAddr>,
}

/// What the room's verdict on a member rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The reports, by whomever, and this node's own silence, by kind: who counts reporters leaves out `silence`, and the
    /// reports that are marked as a `verdict`.
    pub reports: Vec<Evidence>,
    pub contradictions: Vec<Evidence>,
    /// What is neither: a card, a leave, what was restored; and the word of others that brought it back.
    pub evidence: Vec<Evidence>,
}
