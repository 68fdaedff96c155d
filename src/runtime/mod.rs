//! The driver of one real node: the loop, its socket, clock and signals, and the control socket. The only
//! floor that performs effects.

mod addresses;
pub mod clock;
mod connection;
mod control;
mod lines;
pub mod protocol;
mod recent;
mod socket;
