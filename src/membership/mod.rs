//! Subsystem 2: who takes part, and how this node knows. Owns cards, witnesses, reports, verdicts and the
//! mending of views. Refuses to know what a session or a message is.

mod record;

pub use record::{Record, Restored, RestoredMember};
