//! What one node knows of another without asking anyone: how the way to it performs, and whether the room
//! holds it present. Owns the two values that the subsystems tell each other through the node.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Time;

/// Parts of a thousand: 50 is 5 %. Integers, because decisions that must repeat use no floats.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PerMille(pub u16);

/// A link that loses more than this, either way, shows as degraded.
pub const DEGRADED_LOSS: PerMille = PerMille(200);

/// What the traffic of one session has shown of the path to its peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Path {
    /// When the last authentic datagram arrived.
    pub heard: Option<Time>,
    /// Whether that datagram was sent before one that arrived earlier, or may have been.
    pub overtaken: bool,
    /// When the newest datagram of ours that the peer is known to have received was sent: "hears me".
    pub hears_me: Option<Time>,
    /// For how long, when its newest datagram came, it showed no sign of what it was sent; zero where that was less than three
    /// datagrams that had their time to be shown.
    pub unheard_for: Duration,
    /// Smoothed round trip and its variation (RFC 6298 section 2); `None` before the first sample.
    pub rtt: Option<Rtt>,
    /// Share lost of what we sent and of what the peer sent, among the last 64 datagrams each way; `None` before there
    /// were enough to tell.
    pub loss_out: Option<PerMille>,
    pub loss_in: Option<PerMille>,
}

impl Path {
    /// Nothing was shown yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            heard: None,
            overtaken: false,
            hears_me: None,
            unheard_for: Duration::ZERO,
            rtt: None,
            loss_out: None,
            loss_in: None,
        }
    }
}

/// A round-trip estimate in the form of RFC 6298.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rtt {
    pub smoothed: Duration,
    pub variation: Duration,
}

/// What a member's room holds of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    Alive,
    Suspect,
    Unreachable,
    Left,
}

impl Presence {
    pub const ALL: [Self; 4] = [Self::Alive, Self::Suspect, Self::Unreachable, Self::Left];

    /// The word for it, the same in JSON, on screens and in scenarios.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Unreachable => "unreachable",
            Self::Left => "left",
        }
    }

    /// Whether it is worth sending to the member now.
    #[must_use]
    pub const fn is_reachable(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}
