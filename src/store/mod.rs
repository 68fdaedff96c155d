//! What a node keeps: its home directory and the database in it. Owns the form of both, the writer's thread
//! and what people read of the past. Decides nothing of what is kept: it is handed records and gives them back.

mod called;
mod columns;
mod commit;
#[cfg(test)]
mod damage_test;
mod error;
mod evidence;
mod files;
mod history;
mod home;
mod index;
mod journal;
#[cfg(test)]
mod kit;
mod load;
mod lock;
mod prune;
#[cfg(test)]
mod restore_test;
mod rows;
mod schema;
mod search;
mod why;
mod writer;

pub use called::{Called, Meant};
pub use error::StoreError;
pub use history::History;
pub use home::{Home, Room};
pub use load::{load, load_with_ended};
pub use search::{By, Matches, Search, SearchError};
pub use writer::{CaughtUp, Settler, Writer, Written};
