//! A room in virtual time: machines with clocks, disks and a network between them, from one seed. Runs the
//! very node that ships; two runs of a seed are the same, byte for byte.

mod disk;
mod machine;
mod network;
mod world;

pub use disk::Unsynced;
pub use world::World;
