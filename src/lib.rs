//! Folkmoot: a secure group chat room that no server runs.

pub mod base;
pub mod crypto;
pub mod faults;
pub mod node;
pub mod runtime;
pub mod wire;
