//! One machine of the world: a home that outlives its processes, a disk, and the node that runs now, if one
//! does. Owns the node's driving; knows nothing of other machines.

use std::net::SocketAddr;

use super::disk::Disk;
use crate::base::{MemberId, Now, Rng, RoomId, Time};
use crate::crypto::{Identity, RoomSecret};
use crate::node::api::{Event, Status};
use crate::node::{Config, Node, Restored};

pub(super) struct Machine {
    pub name: String,
    pub address: SocketAddr,
    pub disk: Disk,
    /// Counts processes; what was scheduled for an earlier one is void.
    pub life: u32,
    pub node: Option<Node>,
    /// A paused process takes nothing in; what arrives waits in its socket.
    pub paused: bool,
    pub inbox: Vec<(SocketAddr, Vec<u8>)>,
    /// All that the nodes of this home told, across restarts.
    pub told: Vec<Event>,
    /// When the timer that is scheduled now fires; later ones are void.
    pub alarm: Option<Time>,
    /// When the commit under way is done.
    pub commit_at: Option<Time>,
    identity: Identity,
    room: RoomId,
    secret: RoomSecret,
    rng: Rng,
}

impl Machine {
    pub(super) fn new(name: &str, address: SocketAddr, room: RoomId, secret: RoomSecret, rng: Rng) -> Self {
        Self {
            name: name.to_owned(),
            address,
            disk: Disk::new(),
            life: 0,
            node: None,
            paused: false,
            inbox: Vec::new(),
            told: Vec::new(),
            alarm: None,
            commit_at: None,
            identity: Identity::generate(&mut rng.split("identity")),
            room,
            secret,
            rng,
        }
    }

    pub(super) fn id(&self) -> MemberId {
        self.identity.id()
    }

    /// Starts a process on this home.
    pub(super) fn start(&mut self, now: Now) {
        assert!(self.node.is_none(), "{} runs already", self.name);
        self.life += 1;
        let config = Config {
            identity: self.identity.clone(),
            room: self.room,
            room_name: "the moot".to_owned(),
            secret: self.secret.clone(),
            nick: self.name.clone(),
            addresses: vec![self.address],
            labels_frames: true,
        };
        let seed = self.rng.split(&format!("life {}", self.life)).bytes();
        self.node = Some(Node::new(config, Restored::fold(self.disk.durable()), seed, now));
    }

    pub(super) fn status(&self, now: Now) -> Status {
        self.running().status(now)
    }

    pub(super) fn running(&self) -> &Node {
        self.node.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name))
    }
}
