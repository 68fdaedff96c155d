//! Two real hosts around a network that takes no time, for the stories of the host and of its scripts. Owns
//! their driving, and what each told, sent and dropped.

use std::net::SocketAddr;
use std::time::Duration;

use super::{DropReason, Host, Output, Way};
use crate::base::{Now, Presence, Rng, RoomId, Time, Wall};
use crate::crypto::{Identity, RoomSecret};
use crate::lua::{Scripts, Source};
use crate::node::api::{Command, Event};
use crate::node::{Config, Node, Restored};

pub(super) const ANA: usize = 0;
pub(super) const BO: usize = 1;

/// Ana, whose host may have scripts, and bo, whose has none.
pub(super) struct Pair {
    pub hosts: [Host; 2],
    pub now: Now,
    pub told: [Vec<Event>; 2],
    /// By side, since [`Pair::forget`]: when each datagram left.
    pub sent: [Vec<Time>; 2],
    pub dropped: [Vec<(Way, DropReason)>; 2],
}

impl Pair {
    /// Both awake, and each sees the other.
    pub fn new(scripts: &[(&str, &str)]) -> Self {
        let mut pair = Self::dumb(scripts);
        pair.pump();
        let addresses = vec![address(ANA)];
        pair.hosts[BO].handle_command(pair.now, Command::Join { addresses }).unwrap();
        pair.run(3_000);
        assert!(pair.sees_alive(ANA) && pair.sees_alive(BO));
        pair.forget();
        pair
    }

    /// Nodes whose runs are not on disk yet.
    pub fn dumb(scripts: &[(&str, &str)]) -> Self {
        let now = Now { time: Time::from_micros(1_000_000), wall: Wall(1_767_225_600_000), lag: Duration::ZERO };
        let rng = Rng::from_seed([7; 32]);
        let secret = RoomSecret::generate(&mut rng.split("secret"));
        let sources: Vec<Source> = scripts
            .iter()
            .map(|(name, text)| Source { name: (*name).into(), text: text.as_bytes().to_vec() })
            .collect();
        let scripts = Scripts::load(&sources, &rng, now.time).unwrap();
        let host = |side: usize, nick: &str| {
            let config = Config {
                identity: Identity::generate(&mut rng.split(nick)),
                room: RoomId([3; 16]),
                room_name: "the moot".into(),
                secret: secret.clone(),
                nick: nick.into(),
                addresses: vec![address(side)],
                labels_frames: false,
                ended: None,
            };
            let node = Node::new(config, Restored::fold(&[]), rng.split(nick).bytes(), now);
            Host::new(node, rng.split("faults").bytes(), now)
        };
        let hosts = [host(ANA, "ana").with_scripts(scripts), host(BO, "bo")];
        Self { hosts, now, told: Default::default(), sent: Default::default(), dropped: Default::default() }
    }

    pub fn sees_alive(&self, side: usize) -> bool {
        let status = self.hosts[side].status(self.now);
        status.members.iter().filter(|member| member.state == Presence::Alive).count() == 2
    }

    pub fn counter(&self, side: usize, name: &str) -> u64 {
        self.hosts[side].status(self.now).counters[name]
    }

    pub fn forget(&mut self) {
        self.sent = Default::default();
        self.dropped = Default::default();
    }

    /// Lets this many milliseconds pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now.time + Duration::from_millis(ms);
        loop {
            self.pump();
            let due = self.hosts.iter().filter_map(Host::poll_timeout).min().filter(|&due| due <= end);
            let Some(due) = due else { break };
            self.now.time = self.now.time.max(due);
            for side in [ANA, BO] {
                self.hosts[side].handle_timeout(self.now);
                self.pump();
            }
        }
        self.now.time = end;
    }

    /// Does what both ask for, to the end.
    pub fn pump(&mut self) {
        while [ANA, BO].into_iter().any(|side| self.pump_one(side)) {}
    }

    fn pump_one(&mut self, side: usize) -> bool {
        let Some(output) = self.hosts[side].poll_output() else { return false };
        match output {
            Output::Store { records: _, mark } => self.hosts[side].handle_stored(self.now, mark, Ok(())),
            Output::Transmit { to, bytes, labels: _, is_damaged: _ } => {
                self.sent[side].push(self.now.time);
                let other = 1 - side;
                if to == address(other) {
                    self.hosts[other].handle_datagram(self.now, address(side), &bytes);
                }
            }
            Output::Event(event) => self.told[side].push(event),
            Output::Dropped { way, why, .. } => self.dropped[side].push((way, why)),
        }
        true
    }
}

pub(super) fn address(side: usize) -> SocketAddr {
    SocketAddr::new([10, 0, 0, u8::try_from(side).unwrap() + 1].into(), 4460)
}
