//! The ground floor: names, time, randomness, text and limits. Owns the vocabulary that every other
//! module speaks; knows nothing of networks, disks or people.

mod ids;
pub mod limits;
mod path;
mod rng;
mod step;
pub mod text;
mod time;

pub use ids::{EventNumber, Incarnation, MemberId, MessageId, MessageKey, RoomId, Run, Seq, Stream};
pub use path::{Path, PerMille, Presence, Rtt};
pub use rng::Rng;
pub use step::{Cause, Step, StoreFailed};
pub use time::{Now, Time, Wall};
