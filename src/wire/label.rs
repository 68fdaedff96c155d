//! What a frame is, in a word, for whoever draws or counts what went over the wire. Owns the names of frames;
//! reads no more of one than which message it is about.

use serde::{Deserialize, Serialize};

use super::layout::layout_id;
use super::{GroupMessage, Held, MembershipFrame, MessagingFrame, PrivateMessage, Receipt, Signed};
use crate::base::MessageId;
use crate::crypto::SIGNATURE_BYTES;

/// A frame's kind, and the message it carries or is about, where there is one; of the several that a receipt names, the
/// last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Label {
    pub frame: FrameKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
}

/// Each kind of frame, in the words of `docs/PROTOCOL.md`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    Heartbeat,
    Probe,
    Report,
    Contradiction,
    Withdrawal,
    Unreachable,
    Leaves,
    Cards,
    Buckets,
    Bucket,
    Question,
    Group,
    Private,
    Receipt,
    Refused,
    Digest,
    Frontier,
    Pull,
    Recovered,
    PullEnd,
    Flood,
    Receipts,
    HopAck,
}

impl MembershipFrame {
    #[must_use]
    pub fn label(&self) -> Label {
        let frame = match self {
            Self::Heartbeat(_) => FrameKind::Heartbeat,
            Self::Probe => FrameKind::Probe,
            Self::Report(_) => FrameKind::Report,
            Self::Contradiction { .. } => FrameKind::Contradiction,
            Self::Withdrawal { .. } => FrameKind::Withdrawal,
            Self::Unreachable { .. } => FrameKind::Unreachable,
            Self::Leaves(_) => FrameKind::Leaves,
            Self::Cards(_) => FrameKind::Cards,
            Self::Buckets(_) => FrameKind::Buckets,
            Self::Bucket { .. } => FrameKind::Bucket,
            Self::Question { .. } => FrameKind::Question,
        };
        Label { frame, message: None }
    }
}

impl MessagingFrame {
    #[must_use]
    pub fn label(&self) -> Label {
        let (frame, message) = match self {
            Self::Group(bytes) => (FrameKind::Group, signed_id(bytes)),
            Self::Private(bytes) => (FrameKind::Private, Some(layout_id::<PrivateMessage>(bytes))),
            Self::Receipt(bytes) => (FrameKind::Receipt, receipted(bytes)),
            Self::Refused { id, .. } => (FrameKind::Refused, Some(*id)),
            Self::Digest(_) => (FrameKind::Digest, None),
            Self::Frontier { .. } => (FrameKind::Frontier, None),
            Self::Pull { .. } => (FrameKind::Pull, None),
            Self::Recovered(bytes) => (FrameKind::Recovered, signed_id(bytes)),
            Self::PullEnd { .. } => (FrameKind::PullEnd, None),
            Self::Flood { bytes, .. } => (FrameKind::Flood, signed_id(bytes)),
            Self::Receipts { receipts, .. } => {
                (FrameKind::Receipts, receipts.last().and_then(|bytes| receipted(bytes)))
            }
            Self::HopAck { .. } => (FrameKind::HopAck, None),
        };
        Label { frame, message }
    }
}

/// The last message that a receipt names, without a look at its signature.
fn receipted(bytes: &[u8]) -> Option<MessageId> {
    let receipt = Signed::<Receipt>::open_trusted(bytes).ok()?;
    match &receipt.value().held {
        Held::Group { ranges, .. } => ranges.last().map(|range| range.last_id),
        Held::Private { ids } => ids.last().copied(),
    }
}

/// The id of a signed group message, without a look at its signature; `None` for bytes that cannot be one.
fn signed_id(bytes: &[u8]) -> Option<MessageId> {
    let payload = bytes.len().checked_sub(SIGNATURE_BYTES)?;
    Some(layout_id::<GroupMessage>(&bytes[..payload]))
}
