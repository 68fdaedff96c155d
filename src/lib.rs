//! Folkmoot: a secure group chat room that no server runs.

pub mod base;
pub mod crypto;
pub mod messaging;
pub mod node;
pub mod wire;
