//! A room in virtual time: machines with clocks, disks and a network between them, from one seed. Runs the
//! very node that ships; two runs of a seed are the same, byte for byte.

mod ask;
mod clock;
mod disk;
mod drive;
mod ended;
mod liar;
mod life;
mod log;
mod machine;
mod met;
mod network;
mod recorder;
mod why;
mod world;

#[cfg(test)]
mod tests;

pub use crate::crypto::Suite;
pub use disk::{DISK_LATENCY, Unsynced};
pub use liar::{Flood, Forgery, Lie, Lied, MadeUp, Slander};
pub use machine::Death;
pub use world::{Options, World};
