//! The world: one heap of what happens next, ordered by time and then by the order of scheduling. Owns
//! virtual time and the machines by name; what a datagram meets on its way is the network's matter.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::disk::Unsynced;
use super::machine::Machine;
use super::network::Network;
use crate::base::{MemberId, MessageId, Now, Presence, Rng, RoomId, Time, Wall};
use crate::crypto::RoomSecret;
use crate::node::api::{
    Command, DeliveryEvidence, Event, EventKind, MemberStatus, Outcome, Refusal, Reply, Status, WhyMessage,
};
use crate::node::{Mark, Node, Output, Record};

/// A room of simulated machines. See [`World::new`].
pub struct World {
    time: Time,
    /// Wall time of virtual zero.
    epoch: Wall,
    scheduled: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    machines: Vec<Machine>,
    by_name: BTreeMap<String, usize>,
    by_address: BTreeMap<SocketAddr, usize>,
    pub(super) network: Network,
    room: RoomId,
    secret: RoomSecret,
    rng: Rng,
    trace: blake3::Hasher,
    /// Datagrams sent to where nobody is, by address.
    astray: BTreeMap<SocketAddr, u64>,
    captured: Option<Vec<Captured>>,
}

/// A datagram as it left.
struct Captured {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// One thing that will happen.
struct Entry {
    at: Time,
    order: u64,
    what: What,
}

enum What {
    Arrive { machine: usize, from: SocketAddr, bytes: Vec<u8> },
    Alarm { machine: usize, life: u32 },
    Commit { machine: usize, life: u32 },
}

/// 2026-01-01, so that incarnations look like those of real nodes.
const EPOCH: Wall = Wall(1_767_225_600_000);

impl World {
    /// An empty world. The same seed gives the same run.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let rng = Rng::from_seed(*blake3::hash(&seed.to_be_bytes()).as_bytes());
        Self {
            time: Time::from_micros(1_000_000),
            epoch: EPOCH,
            scheduled: 0,
            queue: BinaryHeap::new(),
            machines: Vec::new(),
            by_name: BTreeMap::new(),
            by_address: BTreeMap::new(),
            network: Network::new(rng.split("network").bytes()),
            room: RoomId(rng.split("room").bytes()),
            secret: RoomSecret::generate(&mut rng.split("secret")),
            rng,
            trace: blake3::Hasher::new(),
            astray: BTreeMap::new(),
            captured: None,
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
    pub fn add(&mut self, name: &str) {
        let index = self.machines.len();
        let host = u32::from(Ipv4Addr::new(10, 0, 0, 1)) + u32::try_from(index).expect("fewer than 2^32 machines");
        let address = SocketAddr::new(Ipv4Addr::from(host).into(), 4460);
        let rng = self.rng.split(&format!("machine {name}"));
        self.machines.push(Machine::new(name, address, self.room, self.secret.clone(), rng));
        assert!(self.by_name.insert(name.to_owned(), index).is_none(), "two machines named {name}");
        self.by_address.insert(address, index);
    }

    /// Starts a node on `name`, which joins through the first machine.
    pub fn start(&mut self, name: &str) {
        let first = self.machines[0].address;
        let index = self.index(name);
        let now = self.now();
        self.machines[index].start(now);
        self.drain(index);
        if index != 0 {
            self.command(name, Command::Join { addresses: vec![first] }).expect("a join is never refused");
        }
    }

    /// Ends the process on `name` as `kill -9` or a power cut would.
    pub fn crash(&mut self, name: &str, unsynced: Unsynced) {
        let index = self.index(name);
        let machine = &mut self.machines[index];
        assert!(machine.node.take().is_some(), "{name} does not run");
        machine.disk.crash(unsynced);
        machine.alarm = None;
        machine.commit_at = None;
        machine.paused = false;
        machine.inbox.clear();
    }

    /// Crashes the process on `name` and starts another at once.
    pub fn restart(&mut self, name: &str, unsynced: Unsynced) {
        self.crash(name, unsynced);
        self.start(name);
    }

    /// Has the node on `name` say goodbye; half a second later its process ends.
    pub fn leave(&mut self, name: &str) {
        self.command(name, Command::Leave).expect("a leave is never refused");
        self.run_for(Duration::from_millis(500));
        self.crash(name, Unsynced::Keep);
    }

    /// Stops the process on `name` where it stands, as SIGSTOP would.
    pub fn pause(&mut self, name: &str) {
        let index = self.index(name);
        self.machines[index].paused = true;
    }

    /// Lets it go on: what arrived meanwhile is read first, and the clock shows the stall.
    pub fn resume(&mut self, name: &str) {
        let index = self.index(name);
        self.machines[index].paused = false;
        let lag = self.machines[index].alarm.map_or(Duration::ZERO, |due| self.time.since(due));
        let now = Now { lag, ..self.now() };
        for (from, bytes) in std::mem::take(&mut self.machines[index].inbox) {
            if let Some(node) = self.machines[index].node.as_mut() {
                node.handle_datagram(now, from, &bytes);
            }
            self.drain(index);
        }
        // The disk went on meanwhile.
        if let Some(due) = self.machines[index].commit_at {
            self.schedule_commit(index, due.max(self.time));
        }
        if let Some(node) = self.machines[index].node.as_mut() {
            node.handle_timeout(now);
        }
        self.drain(index);
    }

    /// Lets the disk of `name` take nothing more, or take again.
    pub fn disk_full(&mut self, name: &str, full: bool) {
        let index = self.index(name);
        self.machines[index].disk.set_full(full);
    }

    /// Sets how long each commit on `name` takes.
    pub fn disk_latency(&mut self, name: &str, latency: Duration) {
        let index = self.index(name);
        self.machines[index].disk.set_latency(latency);
    }

    /// Says `text` to the room.
    pub fn say(&mut self, name: &str, text: &str) -> MessageId {
        accepted(self.command(name, Command::Say { text: text.to_owned() }))
    }

    /// Tells `text` to `to` alone.
    pub fn tell(&mut self, name: &str, to: &str, text: &str) -> MessageId {
        let to = self.id(to);
        accepted(self.command(name, Command::Tell { to, text: text.to_owned() }))
    }

    /// Has the node on `name` carry out `command`.
    ///
    /// # Errors
    /// The node's refusal.
    pub fn command(&mut self, name: &str, command: Command) -> Result<Reply, Refusal> {
        let index = self.index(name);
        let now = self.now();
        let node = self.machines[index].node.as_mut().unwrap_or_else(|| panic!("{name} does not run"));
        let reply = node.handle_command(now, command);
        self.drain(index);
        reply
    }

    /// Delivers `bytes` to `name` as if somebody outside of the room had sent them from `from`.
    pub fn inject(&mut self, from: SocketAddr, name: &str, bytes: &[u8]) {
        let machine = self.index(name);
        self.schedule(self.time, What::Arrive { machine, from, bytes: bytes.to_vec() });
    }

    /// How many datagrams were sent to an address where no machine is.
    #[must_use]
    pub fn answers_to(&self, outsider: SocketAddr) -> u64 {
        self.astray.get(&outsider).copied().unwrap_or(0)
    }

    /// Keeps every datagram that is sent from now on.
    pub fn capture(&mut self) {
        self.captured = Some(Vec::new());
    }

    /// The datagrams that went to `name` since [`World::capture`], with where each came from.
    #[must_use]
    pub fn captured_to(&self, name: &str) -> Vec<(SocketAddr, Vec<u8>)> {
        let to = self.machines[self.index(name)].address;
        let captured = self.captured.iter().flatten();
        captured.filter(|datagram| datagram.to == to).map(|d| (d.from, d.bytes.clone())).collect()
    }

    /// Lets `span` pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.time + span;
        while self.next_before(end) {}
        self.time = end;
    }

    /// Lets time pass until `done`, at most `limit`. Returns whether it came true.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.time + limit;
        loop {
            if done(self) {
                return true;
            }
            if !self.next_before(end) {
                self.time = end;
                return done(self);
            }
        }
    }

    /// Whether every running node holds every running node alive in its present run, and nobody else.
    #[must_use]
    pub fn converged(&self) -> bool {
        let running: BTreeMap<MemberId, u64> = self
            .machines
            .iter()
            .filter_map(|machine| machine.node.as_ref())
            .map(|n| (n.id(), n.run().incarnation))
            .collect();
        self.machines.iter().filter(|machine| machine.node.is_some()).all(|machine| {
            let alive: BTreeMap<MemberId, u64> = machine
                .status(self.now())
                .members
                .into_iter()
                .filter(|member| member.state == Presence::Alive)
                .map(|member| (member.id, member.incarnation))
                .collect();
            alive == running
        })
    }

    /// What the node on `name` says of itself now.
    #[must_use]
    pub fn status(&self, name: &str) -> Status {
        self.machines[self.index(name)].status(self.now())
    }

    /// What `observer` holds of `subject`.
    #[must_use]
    pub fn view(&self, observer: &str, subject: &str) -> Option<MemberStatus> {
        let subject = self.id(subject);
        self.status(observer).members.into_iter().find(|member| member.id == subject)
    }

    /// The state that `observer` gives `subject`.
    #[must_use]
    pub fn presence(&self, observer: &str, subject: &str) -> Option<Presence> {
        self.view(observer, subject).map(|member| member.state)
    }

    /// All that was shown on `name`, across restarts, one's own messages left out: `ana: hello`.
    #[must_use]
    pub fn screen(&self, name: &str) -> Vec<String> {
        let own = self.id(name);
        self.told(name)
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Message(message) if message.from != own => {
                    Some(format!("{}: {}", message.nick, message.text))
                }
                _ => None,
            })
            .collect()
    }

    /// All events that the nodes on `name` told, across restarts.
    #[must_use]
    pub fn told(&self, name: &str) -> &[Event] {
        &self.machines[self.index(name)].told
    }

    /// How the delivery of `message` from `name` to `member` stands; `None` when it does not go there.
    #[must_use]
    pub fn outcome(&self, name: &str, message: MessageId, member: &str) -> Option<Outcome> {
        self.delivery(name, message, member).map(|evidence| evidence.delivery.outcome)
    }

    /// The same, with its evidence.
    #[must_use]
    pub fn delivery(&self, name: &str, message: MessageId, member: &str) -> Option<DeliveryEvidence> {
        let member = self.id(member);
        self.why(name, message)?.deliveries.into_iter().find(|evidence| evidence.delivery.member == member)
    }

    /// What `name` answers to `why` about a message.
    #[must_use]
    pub fn why(&self, name: &str, message: MessageId) -> Option<WhyMessage> {
        self.machines[self.index(name)].running().why_message(self.now(), message)
    }

    /// The id of the member whose home is on `name`.
    #[must_use]
    pub fn id(&self, name: &str) -> MemberId {
        self.machines[self.index(name)].id()
    }

    /// Time since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.time.since(Time::ZERO)
    }

    /// A hash of every datagram and every event so far, with its time. Two runs of a seed have the same.
    #[must_use]
    pub fn trace_hash(&self) -> [u8; 32] {
        *self.trace.finalize().as_bytes()
    }

    pub(super) fn index(&self, name: &str) -> usize {
        *self.by_name.get(name).unwrap_or_else(|| panic!("no machine named {name}"))
    }

    fn now(&self) -> Now {
        let wall = Wall(self.epoch.0 + self.time.as_micros() / 1_000);
        Now { time: self.time, wall, lag: Duration::ZERO }
    }

    fn schedule(&mut self, at: Time, what: What) {
        self.scheduled += 1;
        self.queue.push(Reverse(Entry { at, order: self.scheduled, what }));
    }

    /// Does the next thing, if it is due by `end`.
    fn next_before(&mut self, end: Time) -> bool {
        if self.queue.peek().is_none_or(|Reverse(entry)| entry.at > end) {
            return false;
        }
        let Some(Reverse(entry)) = self.queue.pop() else { return false };
        self.time = entry.at;
        match entry.what {
            What::Arrive { machine, from, bytes } => self.arrive(machine, from, bytes),
            What::Alarm { machine, life } => self.ring(machine, life, entry.at),
            What::Commit { machine, life } => self.commit(machine, life, entry.at),
        }
        true
    }

    fn arrive(&mut self, index: usize, from: SocketAddr, bytes: Vec<u8>) {
        let now = self.now();
        let machine = &mut self.machines[index];
        if machine.paused {
            machine.inbox.push((from, bytes));
            return;
        }
        let Some(node) = machine.node.as_mut() else { return };
        node.handle_datagram(now, from, &bytes);
        self.drain(index);
    }

    fn ring(&mut self, index: usize, life: u32, due: Time) {
        let now = self.now();
        let machine = &mut self.machines[index];
        if machine.life != life || machine.alarm != Some(due) || machine.paused {
            return;
        }
        machine.alarm = None;
        let Some(node) = machine.node.as_mut() else { return };
        node.handle_timeout(now);
        self.drain(index);
    }

    fn commit(&mut self, index: usize, life: u32, due: Time) {
        let now = self.now();
        let machine = &mut self.machines[index];
        if machine.life != life || machine.node.is_none() || machine.paused || machine.commit_at != Some(due) {
            return;
        }
        machine.commit_at = None;
        let (results, next) = machine.disk.commit(now.time);
        if let Some(node) = machine.node.as_mut() {
            for (mark, result) in results {
                node.handle_stored(now, mark, result);
            }
        }
        if let Some(at) = next {
            self.schedule_commit(index, at);
        }
        self.drain(index);
    }

    /// Carries out all that a node wants done, and sets its alarm.
    fn drain(&mut self, index: usize) {
        while let Some(output) = self.machines[index].node.as_mut().and_then(Node::poll_output) {
            match output {
                Output::Store { records, mark } => self.submit(index, mark, records),
                Output::Transmit { to, bytes, labels: _ } => self.transmit(index, to, &bytes),
                Output::Event(event) => {
                    self.trace(index, serde_json::to_string(&event).expect("events have a JSON form").as_bytes());
                    self.machines[index].told.push(event);
                }
            }
        }
        let machine = &mut self.machines[index];
        let due = machine.node.as_ref().and_then(Node::poll_timeout).map(|due| due.max(self.time));
        if due != machine.alarm {
            machine.alarm = due;
            let life = machine.life;
            if let Some(due) = due {
                self.schedule(due, What::Alarm { machine: index, life });
            }
        }
    }

    fn submit(&mut self, index: usize, mark: Mark, records: Vec<Record>) {
        let time = self.time;
        if let Some(done) = self.machines[index].disk.submit(time, mark, records) {
            self.schedule_commit(index, done);
        }
    }

    fn schedule_commit(&mut self, index: usize, at: Time) {
        let machine = &mut self.machines[index];
        machine.commit_at = Some(at);
        let life = machine.life;
        self.schedule(at, What::Commit { machine: index, life });
    }

    fn transmit(&mut self, from: usize, to: SocketAddr, bytes: &[u8]) {
        self.trace(from, bytes);
        let source = self.machines[from].address;
        if let Some(captured) = self.captured.as_mut() {
            captured.push(Captured { from: source, to, bytes: bytes.to_vec() });
        }
        let Some(&machine) = self.by_address.get(&to) else {
            *self.astray.entry(to).or_default() += 1;
            return;
        };
        let ends = (self.machines[from].id(), self.machines[machine].id());
        for delay in self.network.arrivals(ends.0, ends.1) {
            self.schedule(self.time + delay, What::Arrive { machine, from: source, bytes: bytes.to_vec() });
        }
    }

    fn trace(&mut self, machine: usize, bytes: &[u8]) {
        self.trace.update(&self.time.as_micros().to_be_bytes());
        self.trace.update(&machine.to_be_bytes());
        self.trace.update(&bytes.len().to_be_bytes());
        self.trace.update(bytes);
    }
}

fn accepted(reply: Result<Reply, Refusal>) -> MessageId {
    match reply {
        Ok(Reply::Accepted(sent)) => sent.id,
        Ok(Reply::Done) => unreachable!("saying something is answered with its id"),
        Err(refusal) => panic!("refused: {refusal}"),
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
