//! Folkmoot: a secure group chat room that no server runs.

pub mod base;
pub mod crypto;
pub mod faults;
pub mod node;
pub mod transport;
pub mod store;
pub mod runtime;
pub mod wire;
