//! What must be true of every run, whatever happens in it. Owns the trace, which is what a run looks like from
//! outside, and the checks, which are a fold over it. Knows neither the simulator nor processes: both write
//! traces. A trace that was kept in a file can be checked again, but for what needs the bytes of datagrams and samples of
//! status: neither is written, so the checks on them have nothing to ask.
//!
//! Read `trace`, then `checker`; `facts` is what is known for sure, and each other file is one check. What they promise
//! and what they cannot see is in `docs/CHECKS.md`.

mod bits;
mod checker;
mod delivered;
mod facts;
mod gaps;
mod limits;
mod order;
mod places;
mod secrecy;
mod sessions;
mod settled;
mod shown;
#[cfg(test)]
mod tests;
mod trace;
mod verdicts;
mod violation;

pub use checker::{Checker, check_trace};
pub use settled::SETTLES_WITHIN;
pub use trace::{Driver, DropReason, Ended, Kept, Line, LineNumber, Name, Noted, Trace, What};
pub use violation::{Check, Violation};
