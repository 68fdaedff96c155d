//! One step of the machine: when it happens, what caused it, and the numbers of the events that it tells.
//! Owns the causal bookkeeping; knows nothing of what events say.

use serde::{Deserialize, Serialize};

use super::{EventNumber, MemberId, Now};

/// What made something happen: an earlier event of this node, or a datagram of another one. Chains of
/// causes cross nodes by the latter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Event(EventNumber),
    Datagram {
        peer: MemberId,
        /// The session's index at the receiver.
        session: u32,
        counter: u64,
    },
}

/// The disk took nothing of a batch of records: it is full. What waited for the batch is undone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the disk is full")]
pub struct StoreFailed;

/// Passed by the node to every `handle_*` of its subsystems for the length of one input.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub now: Now,
    /// What the events of this step are caused by, unless they know better.
    pub cause: Option<Cause>,
    told: EventNumber,
}

impl Step {
    /// A step after `told` events were numbered.
    #[must_use]
    pub const fn new(now: Now, cause: Option<Cause>, told: EventNumber) -> Self {
        Self { now, cause, told }
    }

    /// Numbers a new event.
    pub fn number(&mut self) -> EventNumber {
        self.told += 1;
        self.told
    }

    /// How many events were numbered so far, in this step and before it.
    #[must_use]
    pub const fn told(&self) -> EventNumber {
        self.told
    }
}
