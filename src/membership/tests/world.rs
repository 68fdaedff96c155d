//! A net of memberships in virtual time. Models sessions, loss, cuts, disks, pauses; stands in for transport,
//! and checks that each verdict follows from the evidence that it shows.

mod links;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::super::{Event, Membership, Output, Record, Restored, Settings};
use super::look::{check, kind_of};
use crate::base::{Cause, MemberId, Now, PerMille, Rng, RoomId, Run, Step, Time, Wall};
use crate::crypto::Identity;
use crate::wire::{Card, Signed, codec};

pub const ROOM: RoomId = RoomId([5; 16]);
const EPOCH_MS: u64 = 1_700_000_000_000;
const COMMIT: Duration = Duration::from_millis(2);
const HANDSHAKE_AGAIN: Duration = Duration::from_millis(500);
const HANDSHAKE_TRIES: u32 = 5;

/// Headers of IP and UDP, of a session's datagram, its tag, an echo, and the digest that messaging adds.
const DATAGRAM_COST: u64 = 28 + 13 + 16 + 6 + 12;

/// A frame as an item; a long one in fragments, each with headers of its own.
fn cost(frame: &[u8]) -> u64 {
    let bytes = u64::try_from(frame.len()).unwrap();
    2 + bytes + (bytes / 1_128) * (DATAGRAM_COST + 20)
}

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) struct Node {
    identity: Identity,
    address: SocketAddr,
    pub(super) machine: Option<Membership>,
    /// Counts the lives of the process, so that what was meant for an older one is told apart.
    life: u64,
    told: u64,
    disk: Restored,
    pending: VecDeque<Record>,
    disk_full: bool,
    stored: u64,
    /// My side of the sessions: the peer's run, and ids that both sides share: the newest is sent on, and of those
    /// that crossed all are received on.
    sessions: BTreeMap<MemberId, (Run, Vec<u64>)>,
    dialling: BTreeSet<MemberId>,
    proven: BTreeMap<MemberId, Signed<Card>>,
    unknown_at: BTreeMap<MemberId, Time>,
    paused_since: Option<Time>,
    backlog: VecDeque<What>,
    pub(super) silent: bool,
    /// Over whom it told messaging to pass on what is for all, and whether it called the room large.
    pub(super) links: (BTreeSet<MemberId>, bool),
    pub(super) events: Vec<(Time, Event)>,
    wall_skew_ms: i64,
    /// Of what it sends and receives, beside what is lost anyway.
    loss: PerMille,
    timer: Option<Time>,
}

#[derive(Clone)]
enum What {
    Stored { life: u64, upto: u64 },
    Datagram { from: MemberId, session: u64, frames: Vec<Vec<u8>> },
    Handshake { to: MemberId, life: u64, tries: u32 },
    Opened { peer: MemberId, run: Run, session: u64, card: Signed<Card>, life: u64 },
}

pub struct World {
    pub now: Time,
    pub loss: PerMille,
    pub delay: Duration,
    rng: Rng,
    names: BTreeMap<&'static str, MemberId>,
    known: BTreeMap<MemberId, &'static str>,
    addresses: BTreeMap<SocketAddr, MemberId>,
    timers: BTreeSet<(Time, MemberId)>,
    pub(super) nodes: BTreeMap<MemberId, Node>,
    queue: BTreeMap<(Time, u64), (MemberId, What)>,
    sequence: u64,
    sessions: u64,
    /// Directed links that carry nothing.
    cuts: BTreeSet<(MemberId, MemberId)>,
    /// The newest fates on each directed link.
    fates: BTreeMap<(MemberId, MemberId), VecDeque<bool>>,
    pub sent: u64,
    /// With headers of IP, UDP and a session, as far as they can be told here.
    pub sent_bytes: u64,
    pub frames_sent: BTreeMap<&'static str, u64>,
}

impl World {
    pub fn new(seed: u8) -> Self {
        Self {
            now: Time::from_micros(1_000_000),
            loss: PerMille(0),
            delay: ms(10),
            rng: Rng::from_seed([seed; 32]),
            names: BTreeMap::new(),
            known: BTreeMap::new(),
            addresses: BTreeMap::new(),
            timers: BTreeSet::new(),
            nodes: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            sessions: 0,
            cuts: BTreeSet::new(),
            fates: BTreeMap::new(),
            sent: 0,
            sent_bytes: 0,
            frames_sent: BTreeMap::new(),
        }
    }

    /// A world whose members have all met through the first one.
    pub fn with(seed: u8, names: &[&'static str]) -> Self {
        let mut world = Self::new(seed);
        for name in names {
            world.start(name);
        }
        for name in &names[1..] {
            world.join(name, names[0]);
        }
        world.run(secs(4));
        for name in names {
            assert_eq!(world.present(name), names.iter().copied().collect(), "{name}, seed {seed}");
        }
        world
    }

    /// A larger one: all start and join through the first at once.
    pub fn room(seed: u8, size: usize) -> (Self, Vec<&'static str>) {
        let mut world = Self::new(seed);
        let names: Vec<_> = (0..size).map(|n| &*Box::leak(format!("m{n}").into_boxed_str())).collect();
        for name in &names {
            world.start(name);
        }
        world.run(ms(50));
        for name in &names[1..] {
            world.join(name, names[0]);
        }
        let took = world.wait_for(secs(20), |world| world.agree(&names));
        assert!(took.is_some(), "seed {seed}: {size} members did not come together");
        world.run(secs(3));
        world.forget_events();
        (world, names)
    }

    pub fn id(&self, name: &str) -> MemberId {
        self.names[name]
    }

    /// Over whom a node told messaging to pass on what is for all, and whether it called the room large.
    pub fn links(&self, name: &str) -> &(BTreeSet<MemberId>, bool) {
        &self.nodes[&self.id(name)].links
    }

    pub fn name(&self, id: MemberId) -> &'static str {
        self.known.get(&id).copied().unwrap_or("?")
    }

    /// Starts a node, on the home that it had if it ran before.
    pub fn start(&mut self, name: &'static str) {
        if !self.names.contains_key(name) {
            let identity = Identity::generate(&mut self.rng.split(name));
            self.add(name, identity, Restored::default());
        }
        let id = self.id(name);
        self.boot(id);
    }

    fn add(&mut self, name: &'static str, identity: Identity, disk: Restored) {
        let port = 4000 + u16::try_from(self.nodes.len()).unwrap();
        let node = Node {
            address: SocketAddr::from(([10, 0, 0, 1], port)),
            machine: None,
            life: 0,
            told: 0,
            disk,
            pending: VecDeque::new(),
            disk_full: false,
            stored: 0,
            sessions: BTreeMap::new(),
            dialling: BTreeSet::new(),
            proven: BTreeMap::new(),
            unknown_at: BTreeMap::new(),
            paused_since: None,
            backlog: VecDeque::new(),
            silent: false,
            links: (BTreeSet::new(), false),
            events: Vec::new(),
            wall_skew_ms: 0,
            loss: PerMille(0),
            timer: None,
            identity,
        };
        let id = node.identity.id();
        self.names.insert(name, id);
        self.known.insert(id, name);
        self.addresses.insert(node.address, id);
        self.nodes.insert(id, node);
    }

    fn boot(&mut self, id: MemberId) {
        let boot = self.rng.next_u64();
        let rng = Rng::from_seed(self.rng.bytes());
        let now = self.now_of(id);
        let name = self.name(id);
        let node = self.nodes.get_mut(&id).unwrap();
        assert!(node.machine.is_none(), "it runs already");
        let settings = Settings {
            identity: node.identity.clone(),
            room: ROOM,
            nick: name.to_owned(),
            addresses: vec![node.address],
            boot,
            rng,
        };
        node.life += 1;
        node.told = 0;
        node.stored = 0;
        node.pending.clear();
        node.sessions.clear();
        node.dialling.clear();
        node.proven.clear();
        node.backlog.clear();
        node.silent = false;
        node.paused_since = None;
        let mut step = Step::new(now, None, 0);
        node.machine = Some(Membership::new(settings, node.disk.clone(), &mut step));
        node.told = step.told();
        self.drain(id);
    }

    pub fn join(&mut self, name: &str, through: &str) {
        let address = self.nodes[&self.id(through)].address;
        self.call(name, |machine, step| machine.join(step, vec![address]));
    }

    pub fn call(&mut self, name: &str, call: impl FnOnce(&mut Membership, &mut Step)) {
        let id = self.id(name);
        self.step(id, None, call);
    }

    /// `kill -9`: what was not committed is lost.
    pub fn kill(&mut self, name: &str) {
        let id = self.id(name);
        let node = self.nodes.get_mut(&id).unwrap();
        node.machine = None;
        node.pending.clear();
        self.set_timer(id);
    }

    pub fn restart(&mut self, name: &'static str) {
        if self.nodes[&self.id(name)].machine.is_some() {
            self.kill(name);
        }
        self.start(name);
    }

    pub fn disk(&self, name: &str) -> Restored {
        self.nodes[&self.id(name)].disk.clone()
    }

    pub fn set_disk(&mut self, name: &str, disk: Restored) {
        let id = self.id(name);
        self.nodes.get_mut(&id).unwrap().disk = disk;
    }

    pub fn set_disk_full(&mut self, name: &str, full: bool) {
        let id = self.id(name);
        self.nodes.get_mut(&id).unwrap().disk_full = full;
    }

    pub fn skew_wall(&mut self, name: &str, skew_ms: i64) {
        let id = self.id(name);
        self.nodes.get_mut(&id).unwrap().wall_skew_ms = skew_ms;
    }

    pub fn pause(&mut self, name: &str) {
        let (id, now) = (self.id(name), self.now);
        self.nodes.get_mut(&id).unwrap().paused_since = Some(now);
        self.set_timer(id);
    }

    pub fn resume(&mut self, name: &str) {
        let id = self.id(name);
        let node = self.nodes.get_mut(&id).unwrap();
        let lag = self.now.since(node.paused_since.take().unwrap());
        let backlog = std::mem::take(&mut node.backlog);
        for what in backlog {
            self.deliver(id, what, lag);
        }
        if self.nodes[&id].machine.as_ref().and_then(Membership::poll_timeout).is_some_and(|at| at <= self.now) {
            self.step_lagging(id, None, lag, Membership::handle_timeout);
        }
        self.set_timer(id);
    }

    fn set_timer(&mut self, id: MemberId) {
        let node = self.nodes.get_mut(&id).unwrap();
        if let Some(at) = node.timer.take() {
            self.timers.remove(&(at, id));
        }
        let runs = node.paused_since.is_none();
        node.timer = node.machine.as_ref().filter(|_| runs).and_then(Membership::poll_timeout);
        if let Some(at) = node.timer {
            self.timers.insert((at, id));
        }
    }

    /// Has a member lose so much of what it sends and receives, beside what is lost anyway.
    pub fn lose(&mut self, name: &str, loss: PerMille) {
        let id = self.id(name);
        self.nodes.get_mut(&id).unwrap().loss = loss;
    }

    /// Cuts the link from one node to the other, in that direction.
    pub fn cut(&mut self, from: &str, to: &str) {
        self.cuts.insert((self.id(from), self.id(to)));
    }

    pub fn cut_both(&mut self, left: &str, right: &str) {
        self.cut(left, right);
        self.cut(right, left);
    }

    pub fn partition(&mut self, left: &[&str], right: &[&str]) {
        for a in left {
            for b in right {
                self.cut_both(a, b);
            }
        }
    }

    pub fn heal(&mut self) {
        self.cuts.clear();
    }

    pub fn run(&mut self, span: Duration) {
        let until = self.now + span;
        self.run_until(until, |_| false);
    }

    /// Runs until `done`, looked at after each input, and says how long it took; at most `limit`.
    pub fn wait(&mut self, limit: Duration, done: impl FnMut(&Self) -> bool) -> Option<Duration> {
        let start = self.now;
        let ended = self.run_until(start + limit, done);
        ended.then(|| self.now.since(start))
    }

    /// As [`World::wait`], for what is dear to look at: every 20 ms.
    pub fn wait_for(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let start = self.now;
        while self.now < start + limit {
            self.run(ms(20));
            if done(self) {
                return Some(self.now.since(start));
            }
        }
        None
    }

    fn run_until(&mut self, until: Time, mut done: impl FnMut(&Self) -> bool) -> bool {
        let mut idle = 0;
        loop {
            if done(self) {
                return true;
            }
            let event = self.queue.keys().next().copied();
            let timer = self.timers.first().copied();
            let next = event.map(|(at, _)| at).into_iter().chain(timer.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|&at| at <= until) else {
                self.now = until;
                return false;
            };
            idle = if next <= self.now { idle + 1 } else { 0 };
            let crowd = self.nodes.len().pow(2) * 20;
            assert!(idle < 10_000 + crowd, "a timer that is always due: {timer:?}");
            self.now = self.now.max(next);
            if let Some(key) = event.filter(|&(at, _)| at <= next) {
                let (id, what) = self.queue.remove(&key).unwrap();
                if self.nodes[&id].paused_since.is_some() {
                    self.nodes.get_mut(&id).unwrap().backlog.push_back(what);
                } else {
                    self.deliver(id, what, Duration::ZERO);
                }
            } else {
                let (_, id) = timer.unwrap();
                self.step(id, None, Membership::handle_timeout);
            }
        }
    }

    pub(super) fn now_of(&self, id: MemberId) -> Now {
        let wall_ms = EPOCH_MS + self.now.as_micros() / 1000;
        let wall = Wall(wall_ms.saturating_add_signed(self.nodes[&id].wall_skew_ms));
        Now { time: self.now, wall, lag: Duration::ZERO }
    }

    fn step(&mut self, id: MemberId, cause: Option<Cause>, call: impl FnOnce(&mut Membership, &mut Step)) {
        self.step_lagging(id, cause, Duration::ZERO, call);
    }

    fn step_lagging(
        &mut self,
        id: MemberId,
        cause: Option<Cause>,
        lag: Duration,
        call: impl FnOnce(&mut Membership, &mut Step),
    ) {
        let now = Now { lag, ..self.now_of(id) };
        let node = self.nodes.get_mut(&id).unwrap();
        let Some(machine) = node.machine.as_mut() else {
            return;
        };
        let mut step = Step::new(now, cause, node.told);
        call(machine, &mut step);
        node.told = step.told();
        self.drain(id);
    }

    fn schedule(&mut self, after: Duration, id: MemberId, what: What) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), (id, what));
    }

    fn drain(&mut self, id: MemberId) {
        let mut datagrams: BTreeMap<MemberId, Vec<Vec<u8>>> = BTreeMap::new();
        let mut stored = false;
        while let Some(output) = self.nodes.get_mut(&id).unwrap().machine.as_mut().and_then(Membership::poll_output) {
            let node = self.nodes.get_mut(&id).unwrap();
            assert!(!node.silent, "{output:?} after falling silent");
            match output {
                Output::Store(record) => {
                    node.pending.push_back(record);
                    node.stored += 1;
                    stored = true;
                }
                Output::Run(run) => assert_eq!(node.disk.run, Some(run), "claimed before it is durable"),
                Output::Card(card) => assert!(node.disk.run >= Some(card.value().run), "shown before it is durable"),
                Output::Send { to, frame } => {
                    assert!(node.disk.run >= Some(node.machine.as_ref().unwrap().run()), "spoke before it is durable");
                    *self.frames_sent.entry(kind_of(&frame)).or_default() += 1;
                    if node.sessions.contains_key(&to) {
                        datagrams.entry(to).or_default().push(codec::encode(&frame));
                    }
                }
                Output::Dial(address) => {
                    let to = self.addresses.get(&address).copied();
                    if let Some(to) = to.filter(|&to| to != id) {
                        self.dial(id, to);
                    }
                }
                Output::Connect { peer: to, .. } => self.dial(id, to),
                Output::Proven(card) => {
                    let peer = card.value().member;
                    if node.sessions.get(&peer).is_some_and(|(run, _)| *run < card.value().run) {
                        node.sessions.remove(&peer);
                    }
                    node.proven.insert(peer, card);
                }
                Output::Close(peer) | Output::Release(peer) => {
                    node.sessions.remove(&peer);
                }
                Output::Forget(peer) => {
                    node.sessions.remove(&peer);
                    node.proven.remove(&peer);
                }
                Output::Silent => node.silent = true,
                Output::Links { neighbours, is_large } => node.links = (neighbours, is_large),
                Output::Presence { .. } => {}
                Output::Event(event) => {
                    check(&event, self.now_of(id).wall);
                    let now = self.now;
                    self.nodes.get_mut(&id).unwrap().events.push((now, event));
                }
            }
        }
        if stored {
            let node = &self.nodes[&id];
            let what = What::Stored { life: node.life, upto: node.stored };
            self.schedule(COMMIT, id, what);
        }
        self.set_timer(id);
        for (to, frames) in datagrams {
            // Closed, or found too old, by what came out after the frames.
            let Some((_, sessions)) = self.nodes[&id].sessions.get(&to) else { continue };
            let session = *sessions.last().unwrap();
            self.sent += 1;
            self.sent_bytes += frames.iter().map(|frame| cost(frame)).sum::<u64>() + DATAGRAM_COST;
            if self.passes(id, to) {
                self.schedule(self.delay, to, What::Datagram { from: id, session, frames });
            }
        }
    }

    fn deliver(&mut self, id: MemberId, what: What, lag: Duration) {
        match what {
            What::Stored { life, upto } => self.commit(id, life, upto),
            What::Datagram { from, session, frames } => self.receive(id, from, session, frames, lag),
            What::Handshake { to, life, tries } => self.shake(id, to, life, tries),
            What::Opened { peer, run, session, card, life } => {
                let node = self.nodes.get_mut(&id).unwrap();
                if node.machine.is_none() || node.life != life {
                    return;
                }
                node.dialling.remove(&peer);
                let (known, ids) = node.sessions.entry(peer).or_insert((run, Vec::new()));
                if *known != run {
                    (*known, *ids) = (run, Vec::new());
                }
                ids.push(session);
                let seen_at = node.address;
                let address = self.nodes[&peer].address;
                let cause = Some(Cause::Datagram { peer, session: 1, counter: 0 });
                self.step_lagging(id, cause, lag, |machine, step| {
                    machine.handle_opened(step, peer, run, card, address, seen_at);
                });
            }
        }
    }

    fn commit(&mut self, id: MemberId, life: u64, upto: u64) {
        let node = self.nodes.get_mut(&id).unwrap();
        if node.life != life || node.machine.is_none() {
            return;
        }
        let count = usize::try_from(upto).unwrap() + node.pending.len() - usize::try_from(node.stored).unwrap();
        let records: Vec<_> = node.pending.drain(..count).collect();
        let result = if node.disk_full {
            Err(crate::base::StoreFailed)
        } else {
            for record in &records {
                node.disk.apply(record);
            }
            Ok(())
        };
        self.step(id, None, |machine, step| machine.handle_stored(step, upto, result));
    }

    /// Adds a node that runs on a copy of another's home, keys and all: as a different machine in the world,
    /// reachable at an address of its own.
    pub fn copy_machine(&mut self, of: &str) -> Membership {
        let id = self.id(of);
        let boot = self.rng.next_u64();
        let rng = Rng::from_seed(self.rng.bytes());
        let node = &self.nodes[&id];
        let settings = Settings {
            identity: node.identity.clone(),
            room: ROOM,
            nick: "copy".to_owned(),
            addresses: vec![node.address],
            boot,
            rng,
        };
        let mut step = Step::new(self.now_of(id), None, 0);
        Membership::new(settings, node.disk.clone(), &mut step)
    }
}
