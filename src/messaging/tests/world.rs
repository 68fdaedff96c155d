//! The world of these tests: machines by name, links, disks, and the truth. It plays transport, membership and
//! store as simply as can be; whatever a machine claims is checked when it is claimed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::rings::rings;
use crate::base::{
    Cause, EventNumber, MemberId, MessageId, Now, Path, PerMille, Presence, Rng, RoomId, Rtt, Run, Seq, Step,
    StoreFailed, Stream, Time, Wall,
};
use crate::crypto::Identity;
use crate::messaging::{EventKind, Messaging, Outcome, Output, Record, Refused, Restored, Settings};
use crate::wire::{MessagingFrame, codec};

pub const MS: Duration = Duration::from_millis(1);
const DETECTED_AFTER: Duration = Duration::from_secs(4);
const WALL_AT_START: u64 = 1_700_000_000_000;

pub struct Link {
    pub delay: Duration,
    pub jitter: Duration,
    pub loss: PerMille,
    pub duplicate: PerMille,
}

pub struct Disk {
    pub latency: Duration,
    pub full: bool,
    pub durable: Vec<Record>,
    pub queue: VecDeque<Record>,
    numbered: u64,
    pub committing: Option<Vec<Record>>,
}

pub struct Node {
    pub name: &'static str,
    pub id: MemberId,
    pub identity: Identity,
    pub machine: Option<Messaging>,
    due: Option<Time>,
    pub disk: Disk,
    incarnation: u64,
    told: u64,
    pub life: u64,
    pub clock_off_ms: i64,
    pub run: Option<Run>,
    pub events: Vec<EventKind>,
    /// Of each event, in the same order.
    pub causes: Vec<(EventNumber, Option<Cause>)>,
    /// Ids on its disk, and ids shown, over all its lives.
    pub committed: BTreeSet<MessageId>,
    pub shown: BTreeSet<MessageId>,
    pub last_shown: BTreeMap<(MemberId, Run, Stream), Seq>,
    pub gaps: BTreeMap<(MemberId, Run), Vec<(Seq, Seq)>>,
    pub outcomes: BTreeMap<(MessageId, MemberId), Outcome>,
    /// Deliveries of its own that its disk calls waiting.
    pub waiting: BTreeSet<(MessageId, MemberId)>,
}

pub enum Due {
    Frame { from: usize, to: usize, from_run: Run, to_run: Run, bytes: Vec<u8> },
    Committed { node: usize, life: u64 },
    Heartbeat { node: usize, life: u64 },
    Presence { at: usize, of: usize, presence: Presence, of_life: u64 },
    Open { a: usize, b: usize, lives: (u64, u64) },
}

type Filter = Box<dyn FnMut(&str, &str, &MessagingFrame) -> bool>;

pub struct World {
    pub seed: u64,
    pub now: Time,
    pub nodes: Vec<Node>,
    pub link: Link,
    cuts: BTreeSet<(usize, usize)>,
    heap: BTreeMap<(Time, u64), Due>,
    wakes: BTreeSet<(Time, usize)>,
    count: u64,
    rng: Rng,
    filter: Option<Filter>,
    pub texts: BTreeMap<MessageId, String>,
    pub frames: BTreeMap<&'static str, u64>,
    /// Set by tests in which a member lies: alarms may be raised, and receipts prove only who signed them.
    pub has_liars: bool,
    /// How late each input is handled, as a loop that was stopped would.
    pub lag: Duration,
    /// In a large room: on each of three rings, who follows whom. Messages are flooded over the first two.
    pub rings: Option<[Vec<usize>; 3]>,
}

impl World {
    pub fn new(seed: u64, names: &[&'static str]) -> Self {
        Self::with_rings(seed, names, false)
    }

    pub fn with_rings(seed: u64, names: &[&'static str], has_rings: bool) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let rng = Rng::from_seed(bytes);
        let nodes = names.iter().map(|&name| Node::new(name, &rng)).collect();
        let link = Link { delay: MS * 10, jitter: Duration::ZERO, loss: PerMille(0), duplicate: PerMille(0) };
        let mut world = Self {
            seed,
            now: Time::from_micros(1_000_000),
            nodes,
            link,
            cuts: BTreeSet::new(),
            heap: BTreeMap::new(),
            wakes: BTreeSet::new(),
            count: 0,
            rng: rng.split("world"),
            filter: None,
            texts: BTreeMap::new(),
            frames: BTreeMap::new(),
            has_liars: false,
            lag: Duration::ZERO,
            rings: None,
        };
        world.rings = has_rings.then(|| rings(names.len(), &rng));
        for name in names {
            world.start(name);
        }
        world.run_for(MS * 200);
        world
    }

    pub fn index(&self, name: &str) -> usize {
        self.nodes.iter().position(|node| node.name == name).expect("a node of that name")
    }

    pub fn id(&self, name: &str) -> MemberId {
        self.nodes[self.index(name)].id
    }

    pub fn node(&self, name: &str) -> &Node {
        &self.nodes[self.index(name)]
    }

    pub fn machine(&self, name: &str) -> &Messaging {
        self.node(name).machine.as_ref().expect("it runs")
    }

    pub fn disk(&mut self, name: &str) -> &mut Disk {
        let index = self.index(name);
        &mut self.nodes[index].disk
    }

    pub fn records(&self, name: &str) -> &[Record] {
        &self.node(name).disk.durable
    }

    /// Starts a node, or starts it again on what its disk holds.
    pub fn start(&mut self, name: &str) {
        let index = self.index(name);
        let mut restored = Restored::default();
        for record in &self.nodes[index].disk.durable {
            restored.apply(record);
        }
        let wall = self.wall(index);
        let now = self.now;
        let node = &mut self.nodes[index];
        node.life += 1;
        node.incarnation += 1;
        node.told = 0;
        let run = Run { incarnation: node.incarnation, boot: node.life * 1000 + u64::try_from(index).unwrap() };
        node.run = Some(run);
        node.disk.queue.clear();
        node.disk.committing = None;
        node.disk.numbered = 0;
        let mut step = Step::new(Now { time: now, wall, lag: Duration::ZERO }, None, 0);
        let rng = self.rng.split(&format!("{name} {}", node.life));
        let ended = crate::messaging::OutcomeCounts::default();
        let settings = Settings { identity: node.identity.clone(), room: room(), rng, has_met: false, ended };
        let mut machine = Messaging::new(settings, restored, &mut step);
        machine.handle_run(&mut step, run);
        if self.rings.is_some() {
            let links = self.near(index, 2).into_iter().map(|other| self.nodes[other].id).collect();
            machine.handle_links(links, true);
        }
        let node = &mut self.nodes[index];
        node.told = step.told();
        node.machine = Some(machine);
        let life = node.life;
        self.drain(index);
        let phase = Duration::from_millis(self.rng.below(1000));
        self.push(self.now + phase, Due::Heartbeat { node: index, life });
        let near = self.near(index, 3);
        for other in 0..self.nodes.len() {
            if other != index && self.nodes[other].machine.is_some() && !near.contains(&other) {
                for (at, of) in [(index, other), (other, index)] {
                    let (id, run) = (self.nodes[of].id, self.nodes[of].run.expect("it runs"));
                    self.with(at, |machine, step| machine.handle_presence(step, id, run, Presence::Alive));
                }
            } else if other != index && self.nodes[other].machine.is_some() {
                let lives = (self.nodes[index].life, self.nodes[other].life);
                self.push(self.now + MS * 30, Due::Open { a: index, b: other, lives });
            } else if other != index && self.nodes[other].life > 0 {
                let of_life = self.nodes[other].life;
                let presence = Presence::Suspect;
                self.push(self.now, Due::Presence { at: index, of: other, presence, of_life });
                let presence = Presence::Unreachable;
                self.push(self.now + MS * 1500, Due::Presence { at: index, of: other, presence, of_life });
            }
        }
    }

    /// Sets a dead node's disk back to its first `records`: what it held and showed after them counts anew.
    pub fn roll_back(&mut self, name: &str, records: usize) {
        let index = self.index(name);
        let node = &mut self.nodes[index];
        assert!(node.machine.is_none(), "a home is rolled back while nothing runs on it");
        node.disk.durable.truncate(records);
        node.committed.clear();
        node.waiting.clear();
        for record in node.disk.durable.clone() {
            node.note_committed(&record);
        }
        node.shown = node.shown.intersection(&node.committed).copied().collect();
        node.last_shown.clear();
        node.outcomes.clear();
    }

    /// Kills a node; a commit that was on its way may have reached the disk or not.
    pub fn crash(&mut self, name: &str) {
        let reached = self.rng.below(2) == 0;
        self.crash_with(name, reached);
    }

    pub fn crash_with(&mut self, name: &str, commit_reached_disk: bool) {
        let index = self.index(name);
        let node = &mut self.nodes[index];
        node.machine = None;
        self.note_wake(index);
        let node = &mut self.nodes[index];
        node.life += 1;
        node.run = None;
        let committing = node.disk.committing.take();
        node.disk.queue.clear();
        if commit_reached_disk && !node.disk.full {
            for record in committing.into_iter().flatten() {
                node.disk.durable.push(record);
                let record = node.disk.durable.last().expect("just pushed").clone();
                node.note_committed(&record);
            }
        }
        self.detect(index);
    }

    fn detect(&mut self, gone: usize) {
        for at in 0..self.nodes.len() {
            if at != gone {
                let of_life = self.nodes[gone].life;
                let presence = Presence::Unreachable;
                self.push(self.now + DETECTED_AFTER, Due::Presence { at, of: gone, presence, of_life });
            }
        }
    }

    /// A node says goodbye and stops.
    pub fn leave(&mut self, name: &str) {
        let index = self.index(name);
        self.crash_with(name, true);
        for at in 0..self.nodes.len() {
            if at != index {
                let of_life = self.nodes[index].life;
                self.push(self.now + MS * 5, Due::Presence { at, of: index, presence: Presence::Left, of_life });
            }
        }
    }

    /// Cuts the link one way.
    pub fn cut_one_way(&mut self, from: &str, to: &str) {
        self.cuts.insert((self.index(from), self.index(to)));
    }

    /// Cuts both ways, and lets both sides find out.
    pub fn cut(&mut self, a: &str, b: &str) {
        let (a, b) = (self.index(a), self.index(b));
        self.cuts.insert((a, b));
        self.cuts.insert((b, a));
        for (at, of) in [(a, b), (b, a)] {
            let of_life = self.nodes[of].life;
            self.push(self.now + DETECTED_AFTER, Due::Presence { at, of, presence: Presence::Unreachable, of_life });
        }
    }

    pub fn heal(&mut self) {
        for (a, b) in std::mem::take(&mut self.cuts) {
            let of_life = self.nodes[b].life;
            self.push(self.now + MS * 500, Due::Presence { at: a, of: b, presence: Presence::Alive, of_life });
        }
    }

    /// Frames for which `drop` says true are lost, until the next call.
    pub fn drop_frames(&mut self, drop: impl FnMut(&str, &str, &MessagingFrame) -> bool + 'static) {
        self.filter = Some(Box::new(drop));
    }

    pub fn drop_nothing(&mut self) {
        self.filter = None;
    }

    pub fn say(&mut self, name: &str, text: &str) -> MessageId {
        self.try_say(name, text).expect("it is taken")
    }

    pub fn try_say(&mut self, name: &str, text: &str) -> Result<MessageId, Refused> {
        let index = self.index(name);
        let said = self.with(index, |machine, step| machine.say(step, text.to_owned()));
        if let Ok(id) = said {
            self.texts.insert(id, text.to_owned());
        }
        said
    }

    pub fn tell(&mut self, name: &str, to: &str, text: &str) -> MessageId {
        self.try_tell(name, to, text).expect("it is taken")
    }

    pub fn try_tell(&mut self, name: &str, to: &str, text: &str) -> Result<MessageId, Refused> {
        let to = self.id(to);
        let index = self.index(name);
        let told = self.with(index, |machine, step| machine.tell(step, to, text.to_owned()));
        if let Ok(id) = told {
            self.texts.insert(id, text.to_owned());
        }
        told
    }

    /// Hands a frame to a node as if `from` had sent it.
    pub fn inject(&mut self, from: &str, to: &str, frame: MessagingFrame) {
        let (from, to) = (self.index(from), self.index(to));
        let (id, run) = (self.nodes[from].id, self.nodes[from].run.unwrap_or(Run { incarnation: 1, boot: 1 }));
        self.with(to, |machine, step| machine.handle_frame(step, id, run, frame));
    }

    pub fn identity(&self, name: &str) -> Identity {
        self.node(name).identity.clone()
    }

    pub fn run_of(&self, name: &str) -> Run {
        self.node(name).run.expect("it runs")
    }

    pub fn outcome(&self, from: &str, id: MessageId, to: &str) -> Outcome {
        let known = self.machine(from).message(id).expect("it is known");
        known.deliveries.get(&self.id(to)).expect("it is in the roster").outcome
    }

    pub fn attempts(&self, from: &str, id: MessageId, to: &str) -> u32 {
        self.machine(from).message(id).expect("it is known").deliveries[&self.id(to)].attempts
    }

    pub fn run_for(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            let timer = self.wakes.first().copied();
            let due = self.heap.keys().next().copied();
            let next = [timer.map(|(at, _)| at), due.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|&at| at <= until) else { break };
            self.now = self.now.max(next);
            if due.is_some_and(|(at, _)| at <= self.now) {
                let (_, due) = self.heap.pop_first().expect("it was there");
                self.happen(due);
            } else if let Some((_, index)) = timer {
                self.with(index, Messaging::handle_timeout);
                let still = self.nodes[index].machine.as_ref().and_then(Messaging::poll_timeout);
                assert!(still.is_none_or(|at| at > self.now), "seed {}: a timer did not move", self.seed);
            }
        }
        self.now = until;
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Frame { from, to, from_run, to_run, bytes } => {
                if self.nodes[to].run != Some(to_run) {
                    return;
                }
                let frame: MessagingFrame = codec::decode(&bytes).expect("own frames decode");
                let id = self.nodes[from].id;
                let path = self.path();
                self.count += 1;
                let cause = Cause::Datagram { peer: id, session: 1, counter: self.count };
                self.with(to, |machine, step| {
                    step.cause = Some(cause);
                    machine.handle_heard(step, id, from_run, path);
                    machine.handle_frame(step, id, from_run, frame);
                });
            }
            Due::Committed { node, life } => {
                if self.nodes[node].life == life {
                    self.committed(node);
                }
            }
            Due::Heartbeat { node, life } => {
                if self.nodes[node].life != life {
                    return;
                }
                let digest = self.nodes[node].machine.as_ref().expect("it lives").digest();
                for to in self.near(node, 3) {
                    self.transmit(node, to, &digest);
                }
                self.push(self.now + MS * 1000, Due::Heartbeat { node, life });
            }
            Due::Presence { at, of, presence, of_life } => {
                let is_now = self.nodes[of].life == of_life;
                let is_cut = self.cuts.contains(&(of, at)) || self.cuts.contains(&(at, of));
                let is_alive = self.nodes[of].machine.is_some();
                let holds = match presence {
                    Presence::Unreachable => !is_alive || is_cut,
                    Presence::Alive => is_alive && !is_cut,
                    Presence::Suspect | Presence::Left => true,
                };
                if is_now && holds && self.nodes[at].machine.is_some() {
                    let (id, run) = (self.nodes[of].id, self.nodes[of].run);
                    let run = run.unwrap_or(Run { incarnation: self.nodes[of].incarnation, boot: 0 });
                    self.with(at, |machine, step| machine.handle_presence(step, id, run, presence));
                    self.link_up(at);
                }
            }
            Due::Open { a, b, lives } => {
                if (self.nodes[a].life, self.nodes[b].life) != lives {
                    return;
                }
                if self.cuts.contains(&(a, b)) || self.cuts.contains(&(b, a)) {
                    self.push(self.now + MS * 1000, Due::Open { a, b, lives });
                    return;
                }
                for (at, of) in [(a, b), (b, a)] {
                    let (id, run) = (self.nodes[of].id, self.nodes[of].run.expect("it runs"));
                    self.with(at, |machine, step| {
                        machine.handle_opened(step, id, run);
                        machine.handle_presence(step, id, run, Presence::Alive);
                    });
                }
            }
        }
    }

    fn path(&self) -> Path {
        let rtt = Rtt { smoothed: self.link.delay * 2 + self.link.jitter, variation: self.link.jitter / 2 };
        let (heard, loss) = (Some(self.now), Some(self.link.loss));
        Path { heard, hears_me: heard, rtt: Some(rtt), loss_out: loss, loss_in: loss, ..Path::new() }
    }

    fn wall(&self, index: usize) -> Wall {
        Wall((WALL_AT_START + self.now.as_micros() / 1000).saturating_add_signed(self.nodes[index].clock_off_ms))
    }

    pub fn push(&mut self, at: Time, due: Due) {
        self.count += 1;
        self.heap.insert((at, self.count), due);
    }

    pub fn with<T>(&mut self, index: usize, act: impl FnOnce(&mut Messaging, &mut Step) -> T) -> T {
        let wall = self.wall(index);
        let now = Now { time: self.now, wall, lag: self.lag };
        let node = &mut self.nodes[index];
        let mut step = Step::new(now, None, node.told);
        let result = act(node.machine.as_mut().expect("it runs"), &mut step);
        node.told = step.told();
        self.drain(index);
        result
    }

    fn drain(&mut self, index: usize) {
        while let Some(output) = self.nodes[index].machine.as_mut().and_then(Messaging::poll_output) {
            match output {
                Output::Store(record) => self.nodes[index].disk.queue.push_back(record),
                Output::Send { to, frame } => {
                    let to = self.nodes.iter().position(|node| node.id == to);
                    if let Some(to) = to {
                        self.transmit(index, to, &frame);
                    }
                }
                Output::Connect(_) => {}
                Output::Event(event) => self.check(index, event),
            }
        }
        self.begin_commit(index);
        self.note_wake(index);
    }

    /// When a node is due next.
    fn note_wake(&mut self, index: usize) {
        let due = self.nodes[index].machine.as_ref().and_then(Messaging::poll_timeout);
        let before = std::mem::replace(&mut self.nodes[index].due, due);
        if before != due {
            if let Some(at) = before {
                self.wakes.remove(&(at, index));
            }
            self.wakes.extend(due.map(|at| (at, index)));
        }
    }

    fn begin_commit(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.disk.committing.is_some() || node.disk.queue.is_empty() {
            return;
        }
        node.disk.committing = Some(node.disk.queue.drain(..).collect());
        let (at, life) = (self.now + node.disk.latency, node.life);
        self.push(at, Due::Committed { node: index, life });
    }

    fn committed(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(records) = node.disk.committing.take() else { return };
        node.disk.numbered += u64::try_from(records.len()).unwrap();
        let upto = node.disk.numbered;
        let result = if node.disk.full { Err(StoreFailed) } else { Ok(()) };
        if result.is_ok() {
            for record in records {
                node.note_committed(&record);
                node.disk.durable.push(record);
            }
        }
        self.with(index, |machine, step| machine.handle_stored(step, upto, result));
    }

    fn transmit(&mut self, from: usize, to: usize, frame: &MessagingFrame) {
        *self.frames.entry(kind_of(frame)).or_default() += 1;
        self.check_sent(from, to, frame);
        let names = (self.nodes[from].name, self.nodes[to].name);
        let is_dropped = self.filter.as_mut().is_some_and(|filter| filter(names.0, names.1, frame));
        let (Some(from_run), Some(to_run)) = (self.nodes[from].run, self.nodes[to].run) else { return };
        if is_dropped || self.cuts.contains(&(from, to)) || self.rng.below(1000) < u64::from(self.link.loss.0) {
            return;
        }
        let copies = if self.rng.below(1000) < u64::from(self.link.duplicate.0) { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = u64::try_from(self.link.jitter.as_micros()).unwrap();
            let delay = self.link.delay + Duration::from_micros(self.rng.below(jitter + 1));
            let bytes = codec::encode(frame);
            self.push(self.now + delay, Due::Frame { from, to, from_run, to_run, bytes });
        }
    }
}

impl Node {
    fn new(name: &'static str, rng: &Rng) -> Self {
        let identity = Identity::generate(&mut rng.split(name));
        let disk = Disk {
            latency: MS,
            full: false,
            durable: Vec::new(),
            queue: VecDeque::new(),
            numbered: 0,
            committing: None,
        };
        Self {
            name,
            id: identity.id(),
            identity,
            machine: None,
            due: None,
            disk,
            incarnation: 0,
            told: 0,
            life: 0,
            clock_off_ms: 0,
            run: None,
            events: Vec::new(),
            causes: Vec::new(),
            committed: BTreeSet::new(),
            shown: BTreeSet::new(),
            last_shown: BTreeMap::new(),
            gaps: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            waiting: BTreeSet::new(),
        }
    }
}

pub fn room() -> RoomId {
    RoomId([9; 16])
}

pub fn kind_of(frame: &MessagingFrame) -> &'static str {
    match frame {
        MessagingFrame::Group(_) => "group",
        MessagingFrame::Private(_) => "private",
        MessagingFrame::Receipt(_) => "receipt",
        MessagingFrame::Refused { .. } => "refused",
        MessagingFrame::Digest(_) => "digest",
        MessagingFrame::Frontier { .. } => "frontier",
        MessagingFrame::Pull { .. } => "pull",
        MessagingFrame::Recovered(_) => "recovered",
        MessagingFrame::PullEnd { .. } => "pull end",
        MessagingFrame::Flood { .. } => "flood",
        MessagingFrame::Receipts { .. } => "receipts",
        MessagingFrame::HopAck { .. } => "hop ack",
    }
}
