//! Subsystem 3: what messages mean, and what became of each. Owns the room, private messages, delivery,
//! receipts and recovery. Decides nothing about who is a member and moves no datagram itself.
//!
//! Read `machine` first; then `own` (saying), `deliver`, `flight` and `resend` (until it is settled), `receive` and `order` (showing),
//! `receipts`, `flood` and `carry` (passing on, in a large room), `frontier`, `recovery`, `pull` and `windows` (asking), `holes` (what is not asked for any more), `give` (answering), and `forks` (authors who say two things). The other files hold what these work on.

mod book;
mod carry;
mod deliver;
mod flight;
mod flood;
mod forks;
mod frontier;
mod give;
mod holes;
mod log;
mod machine;
mod order;
mod outbox;
mod own;
mod peer;
mod privates;
mod pto;
mod pull;
mod ranges;
mod receipts;
mod receive;
mod record;
mod recovery;
mod resend;
mod retention;
mod status;
mod stretches;
#[cfg(test)]
mod tests;
mod timers;
mod windows;

pub use book::{Delivery, OutcomeCounts, ReceiptSeen, Try, Way};
pub use machine::{Messaging, Settings};
pub use outbox::{Alarm, DeliveryChange, Event, EventKind, Output, Shown};
pub use own::Refused;
pub use ranges::{Chain, Linked, Ranges, Span};
pub use record::{
    Answer, DeliveryKept, DeliveryRecord, GapRecord, GroupKept, Outcome, PrivateSeen, Proof, ReceiptKept,
    ReceiptRecord, Record, Restored, Settled, Unsettled,
};
pub use status::{Counters, Fill, HeldUp, KnownMessage, Source};
