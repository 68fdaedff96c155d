//! Lua: the sandbox that scripts run in, its limits, and the hooks of a node. Owns what a script may touch;
//! does nothing to the node itself: what a script asks for comes out as values.

mod allowance;
mod args;
mod backlog;
mod budget;
mod library;
mod pace;
mod pattern;
mod place;
mod registry;
mod sandbox;
mod script;
mod scripts;
pub mod surface;

pub use args::{Args, Fields, Misuse};
pub use budget::Limit;
pub use sandbox::{Progress, Question, Sandbox, ScriptError, Task};
pub use script::{LineKind, ScriptLine};
pub use scripts::{Ask, Asking, Datagram, Direction, Scripts, Source, Told, Verdict};

#[cfg(test)]
use registry::Topic;
#[cfg(test)]
use script::Script;

#[cfg(test)]
mod sandbox_test;
