//! The ground floor: names, time, randomness, text and limits. Owns the vocabulary that every other
//! module speaks; knows nothing of networks, disks or people.

mod by_member;
mod ids;
pub mod limits;
mod path;
mod queue;
mod rng;
mod seldom;
mod shared;
mod step;
pub mod text;
mod time;
mod wall_clock;

pub use by_member::{ByMember, OfMember};
pub use ids::{EventNumber, Incarnation, MemberId, MessageId, MessageKey, RoomId, Run, Seq, Stream};
pub use path::{DEGRADED_LOSS, Path, PerMille, Presence, Rtt};
pub use queue::Queue;
pub use rng::Rng;
pub use seldom::{AtRest, Seldom};
pub use shared::SharedId;
pub use step::{Cause, Step, StoreFailed};
pub use time::{Lived, Now, Time, Wall};
pub use wall_clock::WallClock;
