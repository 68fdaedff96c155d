//! One machine of the world: a home that outlives its processes, a disk, clocks, and the process that runs now,
//! if one does. Owns what belongs to one machine; knows nothing of others.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::clock::Clock;
use super::disk::Disk;
use super::drive::Because;
use super::ended::ended;
use super::liar::Lies;
use super::recorder::Lines;
use crate::base::{MemberId, Now, Rng, RoomId, StoreFailed, Time};
use crate::check::{LineNumber, Name};
use crate::crypto::{Identity, RoomSecret, Suite};
use crate::host::Host;
use crate::node::api::Event;
use crate::node::{Config, Mark, Node, Restored};
use crate::wire::{Card, Signed};

pub(super) struct Machine {
    pub name: Name,
    pub address: SocketAddr,
    pub home: Home,
    pub clock: Clock,
    pub process: Option<Process>,
    /// When its last process began.
    pub born: Time,
    /// Counts processes; what was scheduled for an earlier one is void.
    pub life: u32,
    /// All that the nodes of this home told, across restarts.
    pub told: Vec<Event>,
    /// How late its loop wakes up.
    pub stall: Duration,
    /// The process dies at its next commit.
    pub death: Option<Death>,
    pub rng: Rng,
    pub lies: Lies,
}

/// What a process finds when it starts.
pub(super) struct Home {
    pub id: MemberId,
    pub identity: Identity,
    pub room: RoomId,
    pub secret: RoomSecret,
    pub nick: String,
    pub disk: Disk,
    /// It has the cards of all others, so that its node need not join through anybody.
    pub is_acquainted: bool,
    /// Grows when the disk goes back, or becomes a copy of another.
    pub epoch: u32,
}

/// Where around a commit a process dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Death {
    /// Just before it: nothing of it is on disk.
    BeforeCommit,
    /// All of it is on disk, and the node was not told.
    BeforeReport,
    /// The node was told, and nothing that it wanted to do then was done.
    AfterReport,
}

/// A node that runs with its faults around it, and what is on its way to it inside its machine.
pub(super) struct Process {
    pub host: Host,
    /// Since when it stands still. A paused process takes nothing in.
    pub paused: Option<Time>,
    /// What waits for the loop, while that is paused or late.
    pub inbox: VecDeque<Input>,
    /// Of the datagrams in it, which wait in the socket.
    pub inbox_bytes: usize,
    /// When the loop that is late looks at its inbox, and how late that is.
    pub wakes: Option<(Time, Duration)>,
    /// The earliest alarm that is scheduled.
    pub alarm: Option<Time>,
    /// When the commit under way is done.
    pub commit_at: Option<Time>,
    pub is_leaving: bool,
    pub lines: Lines,
    /// When an alarm rang last, and how often since time last moved on.
    pub rang: (Time, u32),
}

/// What a loop takes in.
pub(super) enum Input {
    Datagram(Flight),
    Stored { mark: Mark, result: Result<(), StoreFailed>, because: Because },
}

/// A datagram under way.
pub(super) struct Flight {
    pub from: SocketAddr,
    pub bytes: Vec<u8>,
    /// The line of its sending.
    pub line: Option<LineNumber>,
    pub copy: u8,
    pub is_damaged: bool,
}

/// What a socket holds for a loop that does not read: what a node asks its system for.
pub(super) const SOCKET_BYTES: usize = 4 * 1024 * 1024;

/// More often than this an alarm does not ring at one instant, unless the node never does what is due.
const RINGS_MAX: u32 = 1_000;

impl Process {
    /// Whether its loop takes things in as they come. One that was late a moment ago first takes in what waits.
    pub(super) fn is_prompt(&self, stall: Duration) -> bool {
        self.paused.is_none() && stall.is_zero() && self.wakes.is_none()
    }

    /// Notes that an alarm rings.
    ///
    /// # Panics
    /// When a node does not do what is due, so that time would stand still: a fault of the node.
    pub(super) fn count_ring(&mut self, time: Time, name: &Name) {
        self.rang = if self.rang.0 == time { (time, self.rang.1 + 1) } else { (time, 1) };
        let due = self.host.poll_timeout();
        assert!(self.rang.1 < RINGS_MAX, "the node on {name} is due at {due:?} again and again, and it is {time:?}");
    }
}

impl Machine {
    pub(super) fn new(
        name: &str,
        address: SocketAddr,
        suite: Suite,
        room: RoomId,
        secret: RoomSecret,
        rng: Rng,
    ) -> Self {
        let mut draws = rng.split("identity");
        let identity = match suite {
            Suite::Real => Identity::generate(&mut draws),
            Suite::Plain => Identity::plain(&mut draws),
        };
        let home = Home {
            id: identity.id(),
            identity,
            room,
            secret,
            nick: name.to_owned(),
            disk: Disk::new(),
            is_acquainted: false,
            epoch: 0,
        };
        Self {
            name: name.into(),
            address,
            home,
            clock: Clock::new(),
            process: None,
            born: Time::ZERO,
            life: 0,
            told: Vec::new(),
            stall: Duration::ZERO,
            death: None,
            rng,
            lies: Lies::default(),
        }
    }

    /// Starts a process on this home.
    pub(super) fn start(&mut self, now: Now, labels_frames: bool) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        self.life += 1;
        let rng = self.rng.split(&format!("life {}", self.life));
        let node = self.node(now, labels_frames, &rng);
        self.process = Some(Process {
            host: Host::new(node, rng.split("faults").bytes(), now),
            paused: None,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            wakes: None,
            alarm: None,
            commit_at: None,
            is_leaving: false,
            lines: Lines::default(),
            rang: (Time::ZERO, 0),
        });
    }

    /// The card of the run that its first process begins, if that is started now.
    pub(super) fn first_card(&self, now: Now) -> Signed<Card> {
        assert!(self.life == 0, "{} has run", self.name);
        self.node(now, false, &self.rng.split("life 1")).card().clone()
    }

    fn node(&self, now: Now, labels_frames: bool, rng: &Rng) -> Node {
        let config = Config {
            identity: self.home.identity.clone(),
            room: self.home.room,
            room_name: "the moot".to_owned(),
            secret: self.home.secret.clone(),
            nick: self.home.nick.clone(),
            addresses: vec![self.address],
            labels_frames,
            ended: Some(ended(self.home.disk.durable(), self.home.id)),
        };
        Node::new(config, Restored::fold(self.home.disk.durable()), rng.split("node").bytes(), now)
    }

    pub(super) fn running(&self) -> &Node {
        self.host().node()
    }

    pub(super) fn host(&self) -> &Host {
        &self.process.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name)).host
    }
}
