//! What happens to a datagram on its way. Owns plans of faults, their text form, and fates that depend on
//! nothing but the seed, the link and the datagram's number on it, so that a simulator and a real node share
//! them. Knows no socket, no clock, and nothing of what a datagram says.

mod fate;
mod plan;
mod rule;
mod spec;

pub use fate::{DropReason, Fate};
pub use plan::{Plan, PlanFull};
pub use rule::{Ends, Fault, Rule, Share};
pub use spec::{Spec, SpecError};
