//! What messaging promises, as stories in virtual time: several machines, links that lose and delay, disks that
//! are slow, full or lose what was not synced. The world knows the truth and checks every claim against it.

mod ages;
mod claims;
mod dead;
mod delivery;
mod flood;
mod forks;
mod frontiers;
mod gaps;
mod holes;
mod hostile;
mod late;
mod load;
mod privates;
mod recovery;
mod retention;
mod rings;
mod runs;
mod seeds;
mod stories;
mod world;
