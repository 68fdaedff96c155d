//! The fleet of real processes: each machine is a home in a temporary directory, an address of loopback, and a `moot node`
//! child. Owns the children and the trace of what they say; asks them by their control sockets only, as any client would.
//!
//! What a real machine cannot be made to do honestly (lose what was not synced, fill up, jump in time) is refused with
//! [`FleetError::Cannot`].

mod child;
mod disk;
mod hearing;
mod interrupt;
mod lines;
mod machine;
mod network;
mod rewind;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tempfile::TempDir;

use self::child::{Child, Heard};
use self::disk::Disk;
use self::interrupt::Interrupts;
use self::lines::Lines;
use self::machine::{Machine, Process};
use self::network::Network;
use super::fleet::{Change, Fleet, FleetError, Lie, Lied, Unsynced};
use crate::base::limits::CHILD_EVENTS_MAX;
use crate::base::{MemberId, MessageId, Time, text};
use crate::check::{Driver, Ended, Line, LineNumber, What};
use crate::faults::Rule;
use crate::node::api::{Command, Gap, Message, Refusal, Reply, Status, WhyMember, WhyMessage};
use crate::runtime::protocol::{ErrorKind, Request, RequestError, Response};
use crate::runtime::{ClientError, clock};

/// Machines that are real processes. All of them end with it, however it ends, and their homes are gone then.
pub struct ProcessFleet {
    program: PathBuf,
    machines: Vec<Machine>,
    network: Network,
    lines: Lines,
    heard: Receiver<Heard>,
    ears: SyncSender<Heard>,
    began: Time,
    disk: Disk,
    interrupts: Interrupts,
    /// A child ended that nobody ended: every step says so from then on.
    failed: Option<String>,
    children: u64,
    /// Among the fleets of this process.
    number: u64,
    /// Dropped last: the children are gone when their homes go.
    dir: TempDir,
}

impl ProcessFleet {
    /// A fleet without machines, whose children run `program`: a `moot`, such as the running executable.
    ///
    /// # Errors
    /// [`FleetError::Failed`] when this machine gives no directory, no randomness or no signals.
    pub fn new(program: &Path) -> Result<Self, FleetError> {
        // Short, because a socket's path must be.
        let dir = tempfile::Builder::new().prefix("moot-").tempdir();
        let dir = dir.map_err(|error| FleetError::Failed(format!("no temporary directory: {error}")))?;
        let (ears, heard) = sync_channel(CHILD_EVENTS_MAX);
        Ok(Self {
            program: program.to_owned(),
            machines: Vec::new(),
            network: Network::default(),
            lines: Lines::default(),
            heard,
            ears,
            began: clock::time(),
            disk: Disk::new(crate::runtime::seeded().map_err(failed)?),
            interrupts: Interrupts::watch().map_err(failed)?,
            failed: None,
            children: 0,
            number: FLEETS.fetch_add(1, Ordering::Relaxed),
            dir,
        })
    }

    /// The home of `name`, for who wants to look at it as its person would.
    #[must_use]
    pub fn home(&self, name: &str) -> Option<PathBuf> {
        self.machines.iter().find(|machine| &*machine.name == name).map(|machine| machine.home.clone())
    }

    /// The process that runs on the home of `name`.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<u32> {
        let machine = self.machines.iter().find(|machine| &*machine.name == name)?;
        Some(machine.process.as_ref()?.child.pid())
    }

    fn now(&self) -> Time {
        Time::from_micros(0) + clock::time().since(self.began)
    }

    fn index(&self, name: &str) -> Result<usize, FleetError> {
        let found = self.machines.iter().position(|machine| &*machine.name == name);
        found.ok_or_else(|| FleetError::Misuse(format!("there is no node {name}")))
    }

    fn stopped(&mut self, name: &str) -> Result<&mut Machine, FleetError> {
        let index = self.index(name)?;
        if self.machines[index].process.is_some() {
            return Err(FleetError::Misuse(format!("{name} runs; crash it or let it leave first")));
        }
        Ok(&mut self.machines[index])
    }

    fn process(&mut self, index: usize) -> Result<&mut Process, FleetError> {
        let machine = &mut self.machines[index];
        let name = &machine.name;
        machine.process.as_mut().ok_or_else(|| FleetError::Misuse(format!("{name} does not run")))
    }

    fn write(&mut self, index: usize, what: What) -> LineNumber {
        let (at, name) = (self.now(), self.machines[index].name.clone());
        self.lines.write(at, Some(name), None, what)
    }

    /// Whether each node can do what the rules come to at its end.
    fn try_rules(&self) -> Result<(), FleetError> {
        (0..self.machines.len()).try_for_each(|index| self.network.rules_at(&self.machines, index).map(drop))
    }

    /// Puts on at each running node what the rules of the network come to at its end.
    fn spread(&mut self) -> Result<(), FleetError> {
        for index in 0..self.machines.len() {
            let wanted = self.network.rules_at(&self.machines, index)?;
            let machine = &mut self.machines[index];
            let Some(process) = &mut machine.process else { continue };
            if process.paused.is_some() || process.faults == wanted {
                continue;
            }
            for spec in network::changes(&process.faults, &wanted) {
                match process.child.ask(Request::Fault { spec: Some(spec) }) {
                    Ok(Response::Error(error)) => {
                        let text = format!("{} takes no such fault: {error}", machine.name);
                        return Err(if error.kind == ErrorKind::Usage {
                            FleetError::Misuse(text)
                        } else {
                            FleetError::Failed(text)
                        });
                    }
                    Ok(_) => {}
                    Err(error) => return Err(self.mute(index, &error)),
                }
            }
            process.faults = wanted;
        }
        Ok(())
    }
}

impl Fleet for ProcessFleet {
    fn driver(&self) -> Driver {
        Driver::Processes
    }

    fn add(&mut self, name: &str) -> Result<MemberId, FleetError> {
        // It becomes a directory.
        if let Err(error) = text::check_nick(name) {
            return Err(FleetError::Misuse(format!("{name:?} is no name for a node: {error}")));
        }
        if self.index(name).is_ok() {
            return Err(FleetError::Misuse(format!("there is a node {name} already")));
        }
        let number = self.machines.len();
        let address = crate::runtime::free_address(own_ip(self.number, number)).map_err(failed)?;
        let dir = self.dir.path().join(name);
        let first = self.machines.first().map(|first| first.address);
        let (member, home) = self.disk.found(&dir, name, first)?;
        self.machines.push(Machine::new(name, member, address, &dir, home));
        self.write(number, What::Home { member, address });
        Ok(member)
    }

    fn start(&mut self, name: &str) -> Result<(), FleetError> {
        self.check()?;
        self.hear();
        self.stopped(name)?;
        let index = self.index(name)?;
        self.restore(index)?;
        let faults = self.network.rules_at(&self.machines, index)?;
        let machine = &mut self.machines[index];
        // Whose address is whose a node learns from cards, and this one has none yet.
        if !machine.has_run && self.network.cuts(machine.member) {
            return Err(FleetError::Cannot(format!(
                "{name} was never in the room, and a real process cannot be cut off before its first handshake, so this needs the \
                 simulator"
            )));
        }
        machine.has_run = true;
        self.children += 1;
        let child = Child::start(&self.program, machine, &faults, self.children, self.ears.clone());
        let child =
            child.map_err(|error| FleetError::Failed(format!("cannot start {}: {error}", self.program.display())))?;
        let epoch = machine.epoch;
        self.machines[index].process = Some(Process::new(child, faults));
        self.write(index, What::Started { epoch, run: None });
        let deadline = clock::time() + STARTING_TIME_MAX;
        while self.machines[index].process.as_ref().is_some_and(|process| process.told.is_empty()) {
            self.check()?;
            match self.heard.recv_timeout(LOOK_EVERY) {
                Ok(heard) => self.take(heard),
                Err(_) if clock::time() < deadline => {}
                Err(_) => {
                    let log = child::last_words(&self.machines[index].log);
                    return Err(FleetError::Failed(format!("{name} does not get ready{log}")));
                }
            }
        }
        self.check()
    }

    fn crash(&mut self, name: &str, unsynced: Unsynced) -> Result<(), FleetError> {
        if unsynced != Unsynced::Keep {
            return Err(FleetError::Cannot(
                "a real process that is killed loses nothing that it wrote; only a power cut does, so this needs the simulator"
                    .to_owned(),
            ));
        }
        self.hear();
        let index = self.index(name)?;
        self.end(index, Ended::Crashed)
    }

    fn leave(&mut self, name: &str) -> Result<(), FleetError> {
        self.hear();
        let index = self.index(name)?;
        self.process(index)?.is_ending = true;
        self.ask(name, Request::Leave)?;
        self.end(index, Ended::Left)
    }

    fn pause(&mut self, name: &str) -> Result<(), FleetError> {
        let (index, now) = (self.index(name)?, self.now());
        let process = self.process(index)?;
        if process.paused.is_some() {
            return Err(FleetError::Misuse(format!("{name} is paused already")));
        }
        process.child.pause().map_err(failed)?;
        process.paused = Some(now);
        self.write(index, What::Paused);
        Ok(())
    }

    fn resume(&mut self, name: &str) -> Result<(), FleetError> {
        let (index, now) = (self.index(name)?, self.now());
        let process = self.process(index)?;
        let Some(since) = process.paused.take() else {
            return Err(FleetError::Misuse(format!("{name} is not paused")));
        };
        process.child.resume().map_err(failed)?;
        let after_us = u64::try_from(now.since(since).as_micros()).unwrap_or(u64::MAX);
        self.write(index, What::Resumed { after_us });
        self.spread()
    }

    fn is_running(&self, name: &str) -> bool {
        self.index(name).is_ok_and(|index| self.machines[index].process.is_some())
    }

    fn command(&mut self, name: &str, command: Command) -> Result<Result<Reply, Refusal>, FleetError> {
        self.hear();
        let (to, text) = match &command {
            Command::Say { text } => (None, text.clone()),
            Command::Tell { to, text } => (Some(*to), text.clone()),
            Command::Join { .. } | Command::Nick { .. } | Command::Leave => (None, String::new()),
        };
        let request = match command {
            Command::Say { text } => Request::Send { to: None, text, follow: false },
            Command::Tell { to, text } => Request::Send { to: Some(to.to_string()), text, follow: false },
            Command::Join { addresses } => Request::Join { addresses },
            Command::Nick { nick } => Request::Nick { nick },
            Command::Leave => return self.leave(name).map(|()| Ok(Reply::Done)),
        };
        let index = self.index(name)?;
        match self.ask(name, request)? {
            Response::Sent(sent) => {
                let line = self.write(index, What::Accepted { id: sent.id, to, text });
                self.process(index)?.accepted.insert(sent.id, line);
                Ok(Ok(Reply::Accepted(sent)))
            }
            Response::Done => Ok(Ok(Reply::Done)),
            Response::Error(RequestError { kind: ErrorKind::Usage | ErrorKind::Refused, message }) => {
                self.write(index, What::Refused { why: message.clone() });
                Ok(Err(Refusal::Text(message)))
            }
            other => Err(unexpected(name, other)),
        }
    }

    fn status(&mut self, name: &str) -> Result<Status, FleetError> {
        match self.ask(name, Request::Status)? {
            Response::Status(status) => Ok(*status),
            other => Err(unexpected(name, other)),
        }
    }

    fn why_member(&mut self, name: &str, member: MemberId) -> Result<Option<WhyMember>, FleetError> {
        match self.ask(name, Request::Why { what: member.to_string() })? {
            Response::WhyMember(why) => Ok(Some(*why)),
            Response::Error(RequestError { kind: ErrorKind::Usage | ErrorKind::Refused, .. }) => Ok(None),
            other => Err(unexpected(name, other)),
        }
    }

    fn why_message(&mut self, name: &str, message: MessageId) -> Result<Option<WhyMessage>, FleetError> {
        match self.ask(name, Request::Why { what: message.to_string() })? {
            Response::WhyMessage(why) => Ok(Some(*why)),
            Response::Error(RequestError { kind: ErrorKind::Usage | ErrorKind::Refused, .. }) => Ok(None),
            other => Err(unexpected(name, other)),
        }
    }

    fn gaps(&mut self, name: &str) -> Result<Vec<Gap>, FleetError> {
        match self.ask(name, Request::Gaps)? {
            Response::Gaps(gaps) => Ok(gaps),
            other => Err(unexpected(name, other)),
        }
    }

    fn log(&mut self, name: &str) -> Result<Vec<Message>, FleetError> {
        let index = self.index(name)?;
        let machine = &self.machines[index];
        if machine.process.is_none() {
            return self.disk.log(&machine.dir, &machine.home);
        }
        match self.ask(name, Request::Log { last: u64::MAX })? {
            Response::Log { messages, left_out: 0 } => Ok(messages),
            Response::Log { left_out, .. } => Err(FleetError::Cannot(format!(
                "the log of {name} is too long to be asked for: {left_out} messages were left out"
            ))),
            other => Err(unexpected(name, other)),
        }
    }

    fn net(&mut self, rule: &Rule, is_on: bool) -> Result<(), FleetError> {
        self.hear();
        let named = network::named(&self.machines, rule);
        let before = self.network.clone();
        if !self.network.change(rule, is_on) {
            return Err(FleetError::Misuse(format!("{named} is not on")));
        }
        // What no node can do is not on.
        if let Err(error) = self.try_rules() {
            self.network = before;
            return Err(error);
        }
        let at = self.now();
        self.lines.write(at, None, None, What::Fault { text: named.to_string(), is_on });
        self.spread()
    }

    fn change(&mut self, name: &str, change: Change) -> Result<(), FleetError> {
        self.hear();
        let index = self.index(name)?;
        let only_simulated = |what: &str| FleetError::Cannot(format!("{what}, so this needs the simulator"));
        match change {
            Change::Fault { spec } => {
                let before = self.machines[index].own.clone();
                self.machines[index].own.change(&spec)?;
                if let Err(error) = self.try_rules() {
                    self.machines[index].own = before;
                    return Err(error);
                }
                let is_on = spec.trim() != "off";
                self.write(index, What::Fault { text: spec, is_on });
                self.spread()
            }
            Change::Snapshot { as_name } => self.snapshot(index, as_name),
            Change::Rollback { to_name } => self.roll_back(index, &to_name),
            Change::CopyOf { from } => self.copy(index, &from),
            Change::ClockJump { .. } | Change::ClockDrift { .. } => {
                Err(only_simulated("the clock of this machine belongs to everybody on it"))
            }
            Change::DiskFull { .. } | Change::DiskLatency { .. } => {
                Err(only_simulated("the disk of this machine belongs to everybody on it"))
            }
            Change::CrashAtCommit { .. } => {
                Err(only_simulated("a real process cannot be made to die at one place around a commit"))
            }
            Change::Stall { .. } => {
                Err(only_simulated("a real process cannot be made to wake up late by a given time"))
            }
        }
    }

    fn lie(&mut self, name: &str, _: &Lie) -> Result<Lied, FleetError> {
        Err(FleetError::Cannot(format!("{name} is a real node, which does not lie, so this needs the simulator")))
    }

    fn elapsed(&self) -> Duration {
        clock::time().since(self.began)
    }

    fn step(&mut self, until: Duration) -> Result<bool, FleetError> {
        self.check()?;
        if self.hear() {
            return self.check().map(|()| true);
        }
        let left = until.saturating_sub(self.elapsed());
        match self.heard.recv_timeout(left.min(LOOK_EVERY)) {
            Ok(heard) => self.take(heard),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) if left <= LOOK_EVERY => {
                return self.check().map(|()| false);
            }
            // Not everything that a node can be asked about is told as an event.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        self.hear();
        self.check().map(|()| true)
    }

    fn poll_line(&mut self) -> Option<Line> {
        self.lines.poll()
    }

    fn note(&mut self, node: Option<&str>, cause: Option<LineNumber>, what: What) -> LineNumber {
        self.hear();
        let at = self.now();
        self.lines.write(at, node.map(Into::into), cause, what)
    }

    fn trace_hash(&self) -> Option<[u8; 32]> {
        None
    }
}

/// An address of its own for each machine of each fleet, where the system has all of 127.0.0.0/8: so nothing else on it takes
/// a port while the process that had it is down.
fn own_ip(fleet: u64, machine: usize) -> IpAddr {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return Ipv4Addr::LOCALHOST.into();
    }
    let [.., pid] = std::process::id().to_be_bytes();
    let [.., fleet] = fleet.to_be_bytes();
    Ipv4Addr::new(127, 64 + pid % 128, fleet, u8::try_from(1 + machine % 250).expect("at most 250")).into()
}

#[expect(clippy::needless_pass_by_value, reason = "so that it maps an error as it comes")]
fn failed(error: impl ToString) -> FleetError {
    FleetError::Failed(error.to_string())
}

fn unexpected(name: &str, response: Response) -> FleetError {
    match response {
        Response::Error(error) => FleetError::Failed(format!("{name}: {error}")),
        other => FleetError::Failed(format!("{name}: {}", ClientError::unexpected(&other))),
    }
}

static FLEETS: AtomicU64 = AtomicU64::new(0);

/// How long a node may take to be ready: a guess for a machine that is busy with many.
const STARTING_TIME_MAX: Duration = Duration::from_secs(30);
/// How often a condition is looked at where nothing was heard, and an interrupt is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(100);
