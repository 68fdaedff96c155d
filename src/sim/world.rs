//! The world: one heap of what happens next, ordered by time and then by the order of scheduling. Owns virtual
//! time and the machines by name; what is done to a machine, and what it does, stand in the files beside it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::liar::Ear;
use super::machine::{Flight, Machine};
use super::network::Network;
use super::recorder::Recorder;
use crate::base::{MemberId, Rng, RoomId, Time};
use crate::check::{Line, LineNumber, What};
use crate::crypto::{RoomSecret, Suite};

/// How a world is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// The same seed gives the same run.
    pub seed: u64,
    /// What nodes sign and encrypt with.
    pub suite: Suite,
    /// Whether lines of the trace are made; see [`World::poll_line`].
    pub is_traced: bool,
    /// Whether all that the nodes tell is kept for [`World::told`]; it grows with the run.
    pub keeps_told: bool,
}

/// A room of simulated machines. See [`World::new`].
pub struct World {
    pub(super) time: Time,
    pub(super) machines: Vec<Machine>,
    pub(super) network: Network,
    pub(super) recorder: Recorder,
    pub(super) keeps_told: bool,
    pub(super) suite: Suite,
    /// Counts what an answer of a node may depend on: what was told, what became durable, processes.
    pub(super) changes: u64,
    /// Datagrams that nodes sent.
    pub(super) datagrams: u64,
    /// Datagrams sent to where nobody is, by address.
    pub(super) astray: BTreeMap<SocketAddr, u64>,
    pub(super) captured: Option<Vec<Captured>>,
    /// Where members that lie listen.
    pub(super) ears: Vec<Ear>,
    scheduled: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    by_name: BTreeMap<String, usize>,
    room: RoomId,
    secret: RoomSecret,
    rng: Rng,
}

/// A datagram as it left.
pub(super) struct Captured {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// One thing that will happen.
struct Entry {
    at: Time,
    order: u64,
    due: Due,
}

/// What will happen, to which machine; for an alarm, a commit and a waking loop, in which life.
pub(super) enum Due {
    Arrive { machine: usize, flight: Box<Flight> },
    Alarm { machine: usize, life: u32 },
    Commit { machine: usize, life: u32 },
    Wake { machine: usize, life: u32 },
}

/// The first machine's address; the others' follow.
const FIRST_HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PORT: u16 = 4460;

impl Options {
    /// Crypto is real, lines are not made, and what is told is kept.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, suite: Suite::Real, is_traced: false, keeps_told: true }
    }
}

impl World {
    /// An empty world, by [`Options::new`].
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(Options::new(seed))
    }

    /// An empty world.
    #[must_use]
    pub fn with(options: Options) -> Self {
        let rng = Rng::from_seed(*blake3::hash(&options.seed.to_be_bytes()).as_bytes());
        Self {
            time: Time::ZERO,
            machines: Vec::new(),
            network: Network::new(rng.split("network").bytes()),
            recorder: Recorder::new(options.is_traced),
            keeps_told: options.keeps_told,
            suite: options.suite,
            changes: 0,
            datagrams: 0,
            astray: BTreeMap::new(),
            captured: None,
            ears: Vec::new(),
            scheduled: 0,
            queue: BinaryHeap::new(),
            by_name: BTreeMap::new(),
            room: RoomId(rng.split("room").bytes()),
            secret: RoomSecret::generate(&mut rng.split("secret")),
            rng,
        }
    }

    /// Adds machines, starts a node on each, and lets them all meet through the first.
    #[must_use]
    pub fn members<const N: usize>(mut self, names: [&str; N]) -> Self {
        for name in names {
            self.add(name);
            self.start(name);
        }
        assert!(self.run_until(Duration::from_secs(10), Self::converged), "the room did not come together");
        self
    }

    /// Adds a machine that does not run yet.
    pub fn add(&mut self, name: &str) -> MemberId {
        let index = self.machines.len();
        let host = u32::from(FIRST_HOST) + u32::try_from(index).expect("fewer than 2^32 machines");
        let address = SocketAddr::new(Ipv4Addr::from(host).into(), PORT);
        let rng = self.rng.split(&format!("machine {name}"));
        self.machines.push(Machine::new(name, address, self.suite, self.room, self.secret.clone(), rng));
        assert!(self.by_name.insert(name.to_owned(), index).is_none(), "two machines named {name}");
        let member = self.machines[index].home.id;
        self.done(Some(index), None, What::Home { member, address });
        member
    }

    /// Lets `span` pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.time + span;
        while self.next_before(end) {}
    }

    /// Lets time pass until `done`, at most `limit`. Returns whether it came true.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.time + limit;
        let mut looked_at = None;
        loop {
            // Nothing else changes an answer but the time itself.
            if looked_at != Some(self.changes) || self.time == end {
                looked_at = Some(self.changes);
                if done(self) {
                    return true;
                }
            }
            if !self.next_before(end) {
                return done(self);
            }
        }
    }

    /// Does the next thing, if it is due by `end`; else lets time pass until then.
    pub fn next_before(&mut self, end: Time) -> bool {
        if self.queue.peek().is_none_or(|Reverse(entry)| entry.at > end) {
            self.time = self.time.max(end);
            return false;
        }
        let Some(Reverse(entry)) = self.queue.pop() else { return false };
        self.time = entry.at;
        match entry.due {
            Due::Arrive { machine, flight } => self.arrive(machine, *flight),
            Due::Alarm { machine, life } => self.ring(machine, life),
            Due::Commit { machine, life } => self.commit(machine, life),
            Due::Wake { machine, life } => self.wake(machine, life),
        }
        true
    }

    /// Time since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.time.since(Time::ZERO)
    }

    /// Counts what the answers of nodes may depend on, but for what time alone changes.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Counts the datagrams that nodes sent.
    #[must_use]
    pub const fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// The next line of the trace, if lines are made. They wait here until they are taken.
    pub fn poll_line(&mut self) -> Option<Line> {
        self.recorder.poll_line()
    }

    /// A hash of every datagram, of every event and of all that was done to the world so far, each with its time. Two runs of a
    /// seed have the same, whether lines are made or not.
    #[must_use]
    pub fn trace_hash(&self) -> [u8; 32] {
        self.recorder.finish()
    }

    /// Whether there is a machine of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn index(&self, name: &str) -> usize {
        *self.by_name.get(name).unwrap_or_else(|| panic!("no machine named {name}"))
    }

    /// The machine that has `address`.
    pub(super) fn machine_at(&self, address: SocketAddr) -> Option<usize> {
        let SocketAddr::V4(address) = address else { return None };
        let index = u32::from(*address.ip()).checked_sub(u32::from(FIRST_HOST))?;
        let index = usize::try_from(index).ok()?;
        (address.port() == PORT && index < self.machines.len()).then_some(index)
    }

    pub(super) fn schedule(&mut self, at: Time, due: Due) {
        self.scheduled += 1;
        self.queue.push(Reverse(Entry { at, order: self.scheduled, due }));
    }

    /// Puts a datagram on its way.
    pub(super) fn launch(&mut self, at: Time, machine: usize, flight: Flight) {
        self.schedule(at, Due::Arrive { machine, flight: Box::new(flight) });
    }

    /// Adds a line about what was done to a machine, or to all, if lines are made; it is part of the hash in any case.
    pub(super) fn done(&mut self, machine: Option<usize>, cause: Option<LineNumber>, what: What) -> Option<LineNumber> {
        let text = serde_json::to_string(&what).expect("lines have a JSON form");
        self.mark(machine, &text);
        self.line(machine, cause, || what)
    }

    /// Makes something that was done to a machine, or to all, part of the hash.
    pub(super) fn mark(&mut self, machine: Option<usize>, what: &str) {
        self.recorder.hash(self.time, machine.unwrap_or(self.machines.len()), what.as_bytes());
    }

    /// Adds a line about a machine, or about none, if lines are made.
    pub(super) fn line(
        &mut self,
        machine: Option<usize>,
        cause: Option<LineNumber>,
        what: impl FnOnce() -> What,
    ) -> Option<LineNumber> {
        let node = machine.map(|index| &self.machines[index].name);
        self.recorder.line(self.time, node, cause, what)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
