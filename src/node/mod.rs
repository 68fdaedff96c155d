//! One node: transport, membership and messaging wired together; the only place where the three meet. A
//! pure state machine: time, datagrams, commands and "that is on disk now" go in as values, datagrams,
//! records and events come out.
//!
//! The drain contract: after every `handle_*`, call [`Node::poll_output`] until it gives `None`, then ask
//! [`Node::poll_timeout`], whose answer may have changed.

pub mod api;
mod record;
mod report;
mod settle;
mod tell;
mod why;

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::base::{
    Cause, EventNumber, MemberId, Now, Queue, Rng, RoomId, Run, Step, StoreFailed, Time, Wall, WallClock, text,
};
use crate::crypto::{Identity, RoomSecret};
use crate::membership::{self, Membership};
use crate::messaging::{self, Messaging};
use crate::transport::{self, Channel, Transport};
use crate::wire::Label;
use api::{Command, Event, EventKind, Refusal, Reply};

pub use record::{Record, Restored};
pub use tell::{expired_because, refused_because};

/// Counts batches of records, from 1. Cumulative: batches are reported in this order.
pub type Mark = u64;

/// What a node is built from, beside what it restored.
#[derive(Clone)]
pub struct Config {
    pub identity: Identity,
    pub room: RoomId,
    pub room_name: String,
    pub secret: RoomSecret,
    /// Keeps to [`text::check_nick`].
    pub nick: String,
    /// Where this node believes that others reach it; for its card.
    pub addresses: Vec<SocketAddr>,
    /// Whether each datagram says which frames it carries; it costs a hash a message.
    pub labels_frames: bool,
    /// How deliveries stand of messages that are on its disk, and that earlier runs let go; `None` where they were not counted.
    pub ended: Option<messaging::OutcomeCounts>,
}

/// What the driver is to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "an event is handled at once and never kept in a long queue")]
pub enum Output {
    /// Make these durable, then call [`Node::handle_stored`] with `mark`.
    Store { records: Vec<Record>, mark: Mark },
    /// Send one datagram.
    Transmit {
        to: SocketAddr,
        bytes: Vec<u8>,
        /// Of the frames that it carries; empty unless [`Config::labels_frames`].
        labels: Vec<Label>,
    },
    /// Tell whoever listens.
    Event(Event),
}

/// A node of a room. See the module's words for how it is driven.
pub struct Node {
    room_name: String,
    labels_frames: bool,
    started: Time,
    wall_clock: WallClock,
    transport: Transport,
    membership: Membership,
    messaging: Messaging,
    /// How far this run has got.
    phase: Phase,
    told: EventNumber,
    outputs: Queue<Output>,
    ledger: Ledger,
    /// Since when the disk has refused all that it was given.
    disk_full_since: Option<Wall>,
    /// Whether the deliveries that it counts are those of all runs.
    counts_all_runs: bool,
    /// Since when it hears and says nothing, because another process runs with a copy of its home.
    silent_since: Option<Wall>,
    /// Whether its driver injects faults, and when it last ended that.
    has_faults: bool,
    faults_ended: Option<Wall>,
    /// Frames of members that say nothing: another version's, or an enemy's.
    frames_undecodable: u64,
}

/// How far a node's run has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Its run is not durable yet: it must not be heard.
    Dumb,
    Awake,
    /// It is saying goodbye.
    Leaving,
    /// It has said goodbye.
    Left,
    /// Another process runs with a copy of its home: it must not be heard any more.
    Silent,
}

impl Node {
    /// A node that begins a new run. `restored` is the fold of all records that earlier runs stored.
    #[must_use]
    pub fn new(config: Config, restored: Restored, seed: [u8; 32], now: Now) -> Self {
        let rng = Rng::from_seed(seed);
        let mut step = Step::new(now, None, 0);
        let has_met = !restored.membership.members.is_empty();
        let membership = Membership::new(
            membership::Settings {
                identity: config.identity.clone(),
                room: config.room,
                nick: config.nick,
                addresses: config.addresses,
                boot: rng.split("boot").next_u64(),
                rng: rng.split("membership"),
            },
            restored.membership,
            &mut step,
        );
        let messaging = Messaging::new(
            messaging::Settings {
                identity: config.identity.clone(),
                room: config.room,
                rng: rng.split("messaging"),
                has_met,
                ended: config.ended.unwrap_or_default(),
            },
            restored.messaging,
            &mut step,
        );
        let transport = Transport::new(transport::Settings {
            identity: config.identity,
            room: config.room,
            keys: config.secret.keys(config.room),
            card: membership.card().clone(),
            rng: rng.split("transport"),
        });
        let mut node = Self {
            room_name: config.room_name,
            labels_frames: config.labels_frames,
            started: now.time,
            wall_clock: WallClock::new(now),
            transport,
            membership,
            messaging,
            phase: Phase::Dumb,
            told: 0,
            outputs: Queue::default(),
            ledger: Ledger::default(),
            disk_full_since: None,
            counts_all_runs: config.ended.is_some(),
            silent_since: None,
            has_faults: false,
            faults_ended: None,
            frames_undecodable: 0,
        };
        node.settle(step);
        node
    }

    /// Takes in one datagram.
    pub fn handle_datagram(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) {
        match self.phase {
            Phase::Awake | Phase::Leaving => {}
            Phase::Dumb | Phase::Left | Phase::Silent => return,
        }
        let mut step = self.step(now, None);
        self.transport.handle_datagram(&mut step, from, bytes);
        self.settle(step);
    }

    /// Carries out `command`.
    ///
    /// # Errors
    /// [`Refusal`]; nothing changed then.
    pub fn handle_command(&mut self, now: Now, command: Command) -> Result<Reply, Refusal> {
        match self.phase {
            Phase::Dumb | Phase::Awake => {}
            Phase::Leaving | Phase::Left => return Err(Refusal::Leaving),
            Phase::Silent => return Err(Refusal::CopiedHome),
        }
        let mut step = self.step(now, None);
        let reply = self.carry_out(&mut step, command);
        self.settle(step);
        reply
    }

    /// Learns that all batches up to `mark` that were not reported yet are durable, or that the disk took nothing
    /// of them. Those that one commit made durable are best reported at once: what they release shares
    /// datagrams then.
    pub fn handle_stored(&mut self, now: Now, mark: Mark, result: Result<(), StoreFailed>) {
        let Some(batch) = self.ledger.settle(mark) else { return };
        let mut step = self.step(now, None);
        self.judge_disk(&mut step, result);
        self.membership.handle_stored(&mut step, batch.membership, result);
        self.messaging.handle_stored(&mut step, batch.messaging, result);
        self.settle(step);
    }

    /// Sends a frame to `to` as it is, whatever it says: true, false, or nothing at all. False, and nothing sent, without a
    /// session with `to`. It exists for the members that lie in a simulated room, and nobody else asks for it:
    /// `tests/layers.rs` holds the sources to that.
    pub fn utter(&mut self, now: Now, to: MemberId, channel: Channel, frame: &[u8], label: Option<Label>) -> bool {
        match self.phase {
            Phase::Awake | Phase::Leaving => {}
            Phase::Dumb | Phase::Left | Phase::Silent => return false,
        }
        let step = self.step(now, None);
        let is_sent = self.transport.send(to, channel, frame, label);
        self.settle(step);
        is_sent
    }

    /// Holds everybody alive whom it remembers, at the first tick of the run that their cards are of, as if each had been heard of already. It exists for
    /// simulated rooms that begin whole, and nobody else asks for it: `tests/layers.rs` holds the sources to that.
    pub fn presume(&mut self, now: Now) {
        let mut step = self.step(now, None);
        self.membership.presume(&mut step);
        self.settle(step);
    }

    /// Learns something that its driver did and that belongs among its events, such as a change of faults.
    pub fn handle_told(&mut self, now: Now, kind: EventKind) {
        let mut step = self.step(now, None);
        let n = step.number();
        if let EventKind::Fault { spec } = &kind {
            let had_faults = std::mem::replace(&mut self.has_faults, spec.is_some());
            if had_faults && !self.has_faults {
                self.faults_ended = Some(now.wall);
            }
        }
        self.tell(now, n, None, kind);
        self.settle(step);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        let mut step = self.step(now, None);
        self.transport.handle_timeout(&mut step);
        self.membership.handle_timeout(&mut step);
        self.messaging.handle_timeout(&mut step);
        self.settle(step);
    }

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// When [`Node::handle_timeout`] is due next, if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.phase {
            Phase::Dumb | Phase::Awake | Phase::Leaving => {}
            Phase::Left | Phase::Silent => return None,
        }
        [self.transport.poll_timeout(), self.membership.poll_timeout(), self.messaging.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    #[must_use]
    pub fn id(&self) -> MemberId {
        self.membership.card().value().member
    }

    #[must_use]
    pub fn run(&self) -> Run {
        self.membership.run()
    }

    /// Whether its run is durable, so that it can be heard.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        self.phase != Phase::Dumb
    }

    /// Whether it has said goodbye to all, so that its process may end.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.phase == Phase::Left
    }

    /// Tells the person when the disk begins to refuse what it is given, and when that is over.
    fn judge_disk(&mut self, step: &mut Step, result: Result<(), StoreFailed>) {
        let text = match (result, self.disk_full_since) {
            (Ok(()), None) | (Err(StoreFailed), Some(_)) => return,
            (Err(StoreFailed), None) => {
                self.disk_full_since = Some(step.now.wall);
                "the disk is full: nothing that is said here or comes here is kept until there is room on it".to_owned()
            }
            (Ok(()), Some(since)) => {
                self.disk_full_since = None;
                let refused_s = self.wall_clock.ms_since(step.now, since) / 1_000;
                format!("there is room on the disk again, which took nothing for {refused_s} s")
            }
        };
        let n = step.number();
        self.tell(step.now, n, step.cause, EventKind::Alarm { text });
    }

    fn step(&mut self, now: Now, cause: Option<Cause>) -> Step {
        self.wall_clock.read(now);
        Step::new(now, cause, self.told)
    }

    fn carry_out(&mut self, step: &mut Step, command: Command) -> Result<Reply, Refusal> {
        match command {
            Command::Say { text } => {
                let text = checked(text)?;
                let id = self.messaging.say(step, text).map_err(|refused| self.refusal(step.now, refused, None))?;
                Ok(Reply::Accepted(self.sent(id)))
            }
            Command::Tell { to, text } => {
                let text = checked(text)?;
                if to == self.id() {
                    return Err(Refusal::Yourself);
                }
                if !self.membership.knows(to) {
                    return Err(Refusal::UnknownMember { nick: to.short() });
                }
                let id =
                    self.messaging.tell(step, to, text).map_err(|refused| self.refusal(step.now, refused, Some(to)))?;
                Ok(Reply::Accepted(self.sent(id)))
            }
            Command::Join { addresses } => {
                self.membership.join(step, addresses);
                Ok(Reply::Done)
            }
            Command::Nick { nick } => {
                text::check_nick(&nick).map_err(|error| Refusal::Text(error.to_string()))?;
                self.membership.set_nick(step, nick);
                Ok(Reply::Done)
            }
            Command::Leave => {
                self.phase = Phase::Leaving;
                self.membership.leave(step);
                Ok(Reply::Done)
            }
        }
    }
}

fn checked(text: String) -> Result<String, Refusal> {
    text::check_message(&text).map_err(|error| Refusal::Text(error.to_string()))?;
    Ok(text)
}

/// Which records of each subsystem a batch carries. A subsystem counts its own records; the driver counts
/// batches.
#[derive(Default)]
struct Ledger {
    marks: Mark,
    total: Batch,
    open: VecDeque<(Mark, Batch)>,
    records: Vec<Record>,
}

/// How many records each subsystem has emitted, up to and with a batch.
#[derive(Clone, Copy, Default)]
struct Batch {
    membership: u64,
    messaging: u64,
}

impl Ledger {
    fn membership(&mut self, record: membership::Record) {
        self.total.membership += 1;
        self.records.push(Record::Membership(record));
    }

    fn messaging(&mut self, record: messaging::Record) {
        self.total.messaging += 1;
        self.records.push(Record::Messaging(record));
    }

    /// Closes the batch of this settle pass, if anything is in it.
    fn close(&mut self) -> Option<Output> {
        if self.records.is_empty() {
            return None;
        }
        self.marks += 1;
        self.open.push_back((self.marks, self.total));
        Some(Output::Store { records: std::mem::take(&mut self.records), mark: self.marks })
    }

    /// What the batches up to `mark` carried; `None` where all of them were reported before.
    fn settle(&mut self, mark: Mark) -> Option<Batch> {
        debug_assert!(mark <= self.marks, "a batch is reported after it was given out");
        let mut settled = None;
        while let Some(&(open, batch)) = self.open.front()
            && open <= mark
        {
            self.open.pop_front();
            settled = Some(batch);
        }
        settled
    }
}
