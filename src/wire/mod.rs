//! Bytes and values. Owns every byte form: datagrams, frames, signed objects, tickets. Knows nothing of
//! when any of them is sent or what it makes happen.

mod card;
pub mod codec;
#[cfg(test)]
mod damage;
pub mod datagram;
mod evidence;
mod kept;
mod label;
mod layout;
mod membership;
mod message;
mod messaging;
mod receipt;
pub mod sealed;
mod ticket;

pub use card::{Card, Leave};
pub use evidence::{EvidenceError, EvidenceFile, Subject};
pub use label::{FrameKind, Label};
pub use layout::{Layout, LayoutError, Reader, Signed, SignedLayout, Writer, decode_layout, encode_layout, layout_id};
pub use membership::{Heartbeat, Held as HeldMember, MembershipFrame, OpenReport, Report, ShownCard};
pub use message::{GroupMessage, Prev, PrivateMessage};
pub use messaging::{FrontierEntry, Lacking, MessagingFrame, RefusedReason, asked_place};
pub use receipt::{Held, HeldRange, Receipt};
pub use ticket::{Ticket, TicketError};
