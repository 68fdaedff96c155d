//! Scenarios: straight-line Lua over a fleet of nodes, with expectations and a checker beside it. Owns the
//! words of a scenario, sweeps over seeds, and the shrinking of what failed; a fleet does what it is asked.

mod fleet;
mod processes;
mod simulated;

pub use fleet::{Change, Fleet, FleetError, Unsynced};
pub use processes::ProcessFleet;
pub use simulated::{SimFleet, SimOptions};
