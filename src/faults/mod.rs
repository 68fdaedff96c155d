//! What happens to a datagram on its way. Owns plans of faults, their text form, and fates that depend on
//! nothing but the seed, the link and the datagram's number on it, so that a simulator and a real node share
//! them. Knows no socket, no clock, and nothing of what a datagram says.

mod conditions;
mod fate;
mod link;
mod plan;
mod print;
mod rule;
mod spec;
#[cfg(test)]
mod tests;

pub use fate::{Arrival, Damage, DropReason, Fate};
pub use link::Link;
pub use plan::{Datagram, Place, Plan, PlanFull};
pub use rule::{Burst, Ends, Fault, Kind, Rate, Rule, Share};
pub use spec::{Spec, SpecError};
