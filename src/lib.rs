//! Folkmoot: a secure group chat room that no server runs.

pub mod base;
pub mod crypto;
pub mod membership;
pub mod node;
pub mod wire;
