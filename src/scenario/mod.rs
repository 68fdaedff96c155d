//! Scenarios: straight-line Lua over a fleet of nodes, with expectations and a checker beside it. Owns the
//! words of a scenario, sweeps over seeds, and the shrinking of what failed; a fleet does what it is asked.

mod anchor;
mod asking;
mod fleet;
mod lies;
mod links;
mod options;
mod processes;
mod script;
mod settle;
mod shrink;
mod simulated;
mod stage;
mod statement;
mod steps;
mod stop;
mod swarm;
mod sweep;
mod told;
mod words;

pub use fleet::{Change, Death, Fleet, FleetError, Flood, Forgery, Lie, Lied, MadeUp, Slander, Unsynced};
pub use options::{Keeps, Options, Settings, Settle, Suite, Swarm, Tape};
pub use processes::ProcessFleet;
pub use script::{Run, Script, run};
pub use shrink::{Shrunk, shrink};
pub use simulated::{SimFleet, SimOptions};
pub use steps::{Links, Step, Timed, Way};
pub use stop::{About, Place, Stop, Verdict, Why, seconds};
pub use sweep::{Seeds, SeedsError, Shard, Sweep, sweep};
pub use words::SCENARIOS;

#[cfg(test)]
mod panicked_test;
