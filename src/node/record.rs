//! What a node keeps on disk, as values. Owns nothing but the sum of what its subsystems own: each has its
//! records and the fold that restores it.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use crate::{membership, messaging};

/// One thing that became durable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Record {
    Membership(membership::Record),
    Messaging(messaging::Record),
}

/// A node's state as its records give it back.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Restored {
    pub membership: membership::Restored,
    pub messaging: messaging::Restored,
}

impl Restored {
    /// Adds the next record.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Membership(record) => self.membership.apply(record),
            Record::Messaging(record) => self.messaging.apply(record),
        }
    }

    /// The state after all of `records`, in their order.
    pub fn fold(records: impl IntoIterator<Item: Borrow<Record>>) -> Self {
        let mut restored = Self::default();
        for record in records {
            restored.apply(record.borrow());
        }
        restored
    }
}
