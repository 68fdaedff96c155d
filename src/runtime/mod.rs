//! The driver of one real node: the loop, its socket, clock and signals, and the control socket with both of
//! its sides. The only floor that performs effects; it decides nothing about members or messages.
//!
//! The order in which to read: `start` makes everything, `event_loop` runs it, `answers` serves clients.

mod addresses;
mod answers;
mod chronicle;
mod clerk;
mod client;
pub mod clock;
mod connection;
mod control;
mod disk;
mod event_loop;
mod facts;
mod lines;
mod logs;
pub mod protocol;
mod recent;
mod scripts;
mod socket;
mod start;

pub use client::{Client, ClientError};
pub use control::ControlError;
pub use event_loop::RunError;
pub use logs::{LogError, LogFormat, LogGuard, LogOutput, init as init_logs};
pub use scripts::read as read_scripts;
pub use socket::{BindError, free_address};
pub use start::{Options, Running, StartError, seeded, socket_in, start};
