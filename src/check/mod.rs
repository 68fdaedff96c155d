//! What must be true of every run, whatever happens in it. Owns the trace, which is what a run looks like from
//! outside, and the checks, which are a fold over it. Knows neither the simulator nor processes: both write
//! traces, and a trace that was kept in a file can be checked again.

mod trace;

pub use trace::{Driver, DropReason, Ended, Kept, Line, LineNumber, Name, Noted, Trace, What};
