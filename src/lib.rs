//! Folkmoot: a secure group chat room that no server runs.
//!
//! The modules in reading order, from the ground up; each uses only those below it (`docs/ARCHITECTURE.md`).

pub mod base;

pub mod crypto;
pub mod faults;

pub mod wire;

pub mod membership;
pub mod messaging;
pub mod transport;

pub mod node;

pub mod check;
pub mod evidence;
pub mod lua;
pub mod store;
pub mod view;

pub mod host;

pub mod report;
pub mod runtime;
pub mod sim;

pub mod repl;
pub mod scenario;

pub mod cli;
