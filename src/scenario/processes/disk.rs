//! Homes on the real disk: made before their first process, copied, put back, and read while no process runs there. Owns the
//! room that they share.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::failed;
use crate::base::{MemberId, Rng};
use crate::node::api::Message;
use crate::scenario::FleetError;
use crate::store::{self, History, Home, Room, StoreError};

pub(super) struct Disk {
    rng: Rng,
    room: Room,
}

impl Disk {
    pub fn new(rng: Rng) -> Self {
        let room = Room::found("the scenario's moot", &mut rng.split("room"));
        Self { rng, room }
    }

    /// Makes a home under `dir` for a new member called `nick`, whose room has a member at `first`.
    pub fn found(&self, dir: &Path, nick: &str, first: Option<SocketAddr>) -> Result<(MemberId, PathBuf), FleetError> {
        make_dir(dir).map_err(failed)?;
        let path = dir.join("home");
        let room = Room { addresses: first.into_iter().collect(), ..self.room.clone() };
        let home = Home::open(&path, nick, room, &mut self.rng.split(nick)).map_err(misuse)?;
        Ok((home.identity().id(), path))
    }

    /// The log in the home at `home`, on which no process runs. It is read from a copy: opening a database mends what a crash
    /// left, and that is for the next process to do.
    pub fn log(&self, dir: &Path, home: &Path) -> Result<Vec<Message>, FleetError> {
        let aside = dir.join("read");
        replace(&aside, home)?;
        let read = || {
            let home = Home::open(&aside, "reader", self.room.clone(), &mut self.rng.split("reader"))?;
            store::load(&home)?;
            History::open(&home)?.log(usize::MAX)
        };
        read().map_err(failed)
    }
}

/// Copies the files of the home at `from` to `to`, which is new.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), FleetError> {
    let copied = || -> io::Result<()> {
        make_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            // The control socket belongs to the process.
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(())
    };
    copied().map_err(|error| FleetError::Failed(format!("cannot copy {}: {error}", from.display())))
}

/// Puts a copy of `from` in the place of `to`.
pub(super) fn replace(to: &Path, from: &Path) -> Result<(), FleetError> {
    if to.exists() {
        fs::remove_dir_all(to).map_err(failed)?;
    }
    copy(from, to)
}

/// Homes are refused where others may look into them.
fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// A name that no nick may have is the scenario's mistake.
fn misuse(error: StoreError) -> FleetError {
    match error {
        StoreError::Text(error) => FleetError::Misuse(error.to_string()),
        other => failed(other),
    }
}
