//! What a scenario needs of the nodes that it drives. Two fleets exist: the simulated one, and one of real
//! processes. Owns the questions and commands; says nothing of how they are done.

use std::time::Duration;

use crate::base::{MemberId, MessageId};
use crate::check::{Driver, Line, LineNumber, What};
use crate::faults::Rule;
use crate::node::api::{Command, Gap, Message, Refusal, Reply, Status, WhyMember, WhyMessage};
pub use crate::sim::{DISK_LATENCY, Death, Flood, Forgery, Lie, Lied, MadeUp, Slander, Unsynced};

/// Nodes by name, and the network between them.
///
/// Time passes in [`Fleet::step`] only, as far as the scenario can tell. Lines of the trace are fetched after each call by
/// [`Fleet::poll_line`], to the end; what is not fetched is kept. A call that fails changed nothing, unless its
/// [`FleetError`] says otherwise.
#[expect(clippy::missing_errors_doc, reason = "they are the same for all: see FleetError")]
pub trait Fleet: Send {
    fn driver(&self) -> Driver;

    /// Makes a machine with a new home, which does not run yet. `name` keeps to the rules of a nick and is new.
    fn add(&mut self, name: &str) -> Result<MemberId, FleetError>;

    /// Starts a process on the home of `name`; it knows the address of the first machine that was added, unless that is itself.
    fn start(&mut self, name: &str) -> Result<(), FleetError>;

    /// Ends the process at once.
    fn crash(&mut self, name: &str, unsynced: Unsynced) -> Result<(), FleetError>;

    /// Has the node say goodbye; its process ends when that is said.
    fn leave(&mut self, name: &str) -> Result<(), FleetError>;

    /// Stops the process where it stands, or lets it go on.
    fn pause(&mut self, name: &str) -> Result<(), FleetError>;
    fn resume(&mut self, name: &str) -> Result<(), FleetError>;

    /// Whether a process runs on the home of `name`, paused or not.
    fn is_running(&self, name: &str) -> bool;

    /// Has the node carry out `command`; the inner result is the node's own answer.
    fn command(&mut self, name: &str, command: Command) -> Result<Result<Reply, Refusal>, FleetError>;

    fn status(&mut self, name: &str) -> Result<Status, FleetError>;
    fn why_member(&mut self, name: &str, member: MemberId) -> Result<Option<WhyMember>, FleetError>;
    fn why_message(&mut self, name: &str, message: MessageId) -> Result<Option<WhyMessage>, FleetError>;
    fn gaps(&mut self, name: &str) -> Result<Vec<Gap>, FleetError>;
    /// All messages in the durable log of `name`, oldest first, one's own included; the process may be down.
    fn log(&mut self, name: &str) -> Result<Vec<Message>, FleetError>;

    /// Puts a rule on the network between the nodes, or takes it off. Both ends of a rule are [`crate::faults::Ends::Any`] or
    /// a member's id.
    fn net(&mut self, rule: &Rule, is_on: bool) -> Result<(), FleetError>;

    /// Changes something about one machine.
    fn change(&mut self, name: &str, change: Change) -> Result<(), FleetError>;

    /// Has the member on `name` lie: what its own node would never send goes out beside it. From then on no check holds that
    /// member to its word.
    fn lie(&mut self, name: &str, lie: &Lie) -> Result<Lied, FleetError>;

    /// Time since the run began.
    fn elapsed(&self) -> Duration;

    /// Lets time pass until something happened that an answer of the fleet may depend on, or until `until` at the
    /// latest. Returns whether something happened. It fails when a process ended that nobody ended.
    fn step(&mut self, until: Duration) -> Result<bool, FleetError>;

    /// The next line of the trace.
    fn poll_line(&mut self) -> Option<Line>;

    /// Adds a line of the scenario's own to the trace, now, and returns its number: how the run began (before anything else
    /// is asked), a step, a check that does not hold. It comes out of [`Fleet::poll_line`] like any other.
    fn note(&mut self, node: Option<&str>, cause: Option<LineNumber>, what: What) -> LineNumber;

    /// A hash of all that happened so far, with its times, where the run repeats from its seed.
    fn trace_hash(&self) -> Option<[u8; 32]>;
}

/// Something that can be done to one machine.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// The node's own faults, as `/fault` does: a spec, or `off`.
    Fault {
        spec: String,
    },
    /// Wall time jumps by this many milliseconds, forward or back; monotonic time does not.
    ClockJump {
        ms: i64,
    },
    /// Both clocks run faster (or slower) by this many parts per million.
    ClockDrift {
        ppm: i32,
    },
    DiskFull {
        is_full: bool,
    },
    DiskLatency {
        latency: Duration,
    },
    /// Remembers what is on the disk now, under a name.
    Snapshot {
        as_name: String,
    },
    /// Puts the disk back to a snapshot. The process must not run.
    Rollback {
        to_name: String,
    },
    /// Makes the home a copy of that of `from`, keys and all. The process must not run.
    CopyOf {
        from: String,
    },
    /// The process ends at its next commit, at just this place around it.
    CrashAtCommit {
        when: Death,
    },
    /// The loop wakes up late by this much from now on.
    Stall {
        lag: Duration,
    },
}

/// What a fleet did not do.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// This kind of fleet cannot do it: what the scenario would have shown stays unknown.
    #[error("{0}")]
    Cannot(String),
    /// It makes no sense now: no such node, not running, running already.
    #[error("{0}")]
    Misuse(String),
    /// The fleet itself failed.
    #[error("{0}")]
    Failed(String),
}
