//! Subsystem 3: what messages mean, and what became of each. Owns the room, private messages, delivery,
//! receipts and recovery. Decides nothing about who is a member and moves no datagram itself.

mod ranges;
mod record;

pub use ranges::{Chain, Linked, Ranges, Span};
pub use record::{
    Answer, DeliveryKept, DeliveryRecord, GapRecord, GroupKept, Outcome, PrivateSeen, ReceiptKept, ReceiptRecord,
    Record, Restored, Settled, Unsettled,
};
