//! One machine of the fleet: where its home and its address are, and the process that runs there, if one does. Owns what is
//! remembered of them; does nothing to them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::child::Child;
use super::network::OwnFaults;
use crate::base::{Cause, EventNumber, MemberId, MessageId, Time};
use crate::check::{LineNumber, Name};
use crate::faults::Rule;
use crate::node::api::{Event, EventKind};

pub(super) struct Machine {
    pub name: Name,
    pub member: MemberId,
    pub address: SocketAddr,
    /// Holds the home, and what is kept beside it.
    pub dir: PathBuf,
    pub home: PathBuf,
    /// What its processes wrote to standard error, one after the other.
    pub log: PathBuf,
    /// Grows when the home goes back in time.
    pub epoch: u32,
    pub own: OwnFaults,
    pub has_run: bool,
    /// The messages that its processes told of, since its home last went back in time.
    pub shown: BTreeSet<MessageId>,
    pub snapshots: BTreeMap<String, PathBuf>,
    /// Those that were ever taken: each has a directory of its own.
    pub snapshots_taken: u64,
    pub process: Option<Process>,
}

/// A process that was started and is not over.
pub(super) struct Process {
    pub child: Child,
    pub paused: Option<Time>,
    /// The rules that are on at the node.
    pub faults: Vec<Rule>,
    /// The lines of the events of this run, and of the messages that it accepted.
    pub told: BTreeMap<EventNumber, LineNumber>,
    pub accepted: BTreeMap<MessageId, LineNumber>,
    /// It was told to end, or killed.
    pub is_ending: bool,
    /// Its output is over.
    pub is_silent: bool,
}

impl Machine {
    pub fn new(name: &str, member: MemberId, address: SocketAddr, dir: &Path, home: PathBuf) -> Self {
        Self {
            name: name.into(),
            member,
            address,
            dir: dir.to_owned(),
            home,
            log: dir.join("log"),
            epoch: 0,
            own: OwnFaults::default(),
            has_run: false,
            shown: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            snapshots_taken: 0,
            process: None,
        }
    }
}

impl Process {
    pub fn new(child: Child, faults: Vec<Rule>) -> Self {
        Self {
            child,
            paused: None,
            faults,
            told: BTreeMap::new(),
            accepted: BTreeMap::new(),
            is_ending: false,
            is_silent: false,
        }
    }

    /// The line that `event` rests on, where it is one of this run. What a datagram caused has none: nobody sees the datagrams
    /// between real processes.
    pub fn cause_of(&self, event: &Event) -> Option<LineNumber> {
        match (&event.cause, &event.kind) {
            (Some(Cause::Event(n)), _) => self.told.get(n).copied(),
            (None, EventKind::Message(message)) => self.accepted.get(&message.id).copied(),
            (Some(Cause::Datagram { .. }) | None, _) => None,
        }
    }
}
