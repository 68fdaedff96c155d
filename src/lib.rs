//! Folkmoot: a secure group chat room that no server runs.

pub mod base;
pub mod crypto;
pub mod node;
pub mod view;
pub mod wire;
