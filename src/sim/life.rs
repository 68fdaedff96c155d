//! What is done to a machine: processes begin, end and stand still, disks fill up and go back, clocks jump.
//! Owns these words for stories and fleets; each asks for a machine that exists.

use std::sync::Arc;
use std::time::Duration;

use super::World;
use super::disk::Unsynced;
use super::drive::Because;
use super::machine::{Death, Machine, Process};
use crate::base::Now;
use crate::check::{Ended, LineNumber, What};
use crate::host::FaultError;
use crate::node::Record;
use crate::node::api::{Command, Refusal, Reply};

impl World {
    /// Starts a node on `name`, which joins through the first machine, unless it knows the others already. It must
    /// not run.
    pub fn start(&mut self, name: &str) {
        let index = self.index(name);
        let first = self.machines[0].address;
        let now = self.now(index);
        let labels_frames = self.recorder.is_on();
        self.machines[index].born = self.time;
        self.machines[index].start(now, labels_frames);
        let (epoch, run) = (self.machines[index].home.epoch, self.machines[index].running().run());
        let line = self.done(Some(index), None, What::Started { epoch, run: Some(run) });
        self.changes += 1;
        self.drain(index, &Because::line(line));
        if index != 0 && !self.machines[index].home.is_acquainted {
            let process = self.machines[index].process.as_mut().expect("it was started");
            let joined = process.host.handle_command(now, Command::Join { addresses: vec![first] });
            joined.expect("a join is never refused at the start");
            self.drain(index, &Because::line(line));
        }
    }

    /// Ends the process on `name` as `kill -9` or a power cut would. It must run.
    pub fn crash(&mut self, name: &str, unsynced: Unsynced) {
        let index = self.index(name);
        self.machines[index].running();
        let how = match unsynced {
            Unsynced::Keep => Ended::Crashed,
            Unsynced::Lose => Ended::CrashedUnsyncedLost,
            Unsynced::Torn => Ended::CrashedUnsyncedTorn,
        };
        self.end_process(index, unsynced, how);
    }

    /// Ends the process on `name` at its next commit: just before it, or between it and what follows from it.
    pub fn crash_at_commit(&mut self, name: &str, death: Death) {
        let index = self.index(name);
        self.machines[index].running();
        self.machines[index].death = Some(death);
        self.mark(Some(index), &format!("ends at a commit: {death:?}"));
    }

    /// Crashes the process on `name` and starts another at once.
    pub fn restart(&mut self, name: &str, unsynced: Unsynced) {
        self.crash(name, unsynced);
        self.start(name);
    }

    /// Has the node on `name` say goodbye; its process ends when that is said.
    pub fn leave(&mut self, name: &str) {
        let index = self.index(name);
        if let Some(process) = self.machines[index].process.as_mut() {
            process.is_leaving = true;
        }
        // Refused only where it says goodbye already, or fell silent.
        let _ = self.command(name, Command::Leave);
    }

    /// Stops the process on `name` where it stands, as SIGSTOP would. What the disk was given gets there.
    pub fn pause(&mut self, name: &str) {
        let index = self.index(name);
        let time = self.time;
        let process = self.machines[index].process.as_mut().unwrap_or_else(|| panic!("{name} does not run"));
        if process.paused.is_none() {
            process.paused = Some(time);
            self.done(Some(index), None, What::Paused);
        }
    }

    /// Lets it go on: what arrived meanwhile is read first, and the clock shows the stall.
    pub fn resume(&mut self, name: &str) {
        let index = self.index(name);
        let time = self.time;
        let machine = &mut self.machines[index];
        let process = machine.process.as_mut().unwrap_or_else(|| panic!("{name} does not run"));
        let Some(since) = process.paused.take() else { return };
        process.alarm = None;
        process.wakes = None;
        let due = process.host.poll_timeout().map(|due| machine.clock.when(due));
        let lag = due.map_or(Duration::ZERO, |due| time.since(due));
        let after_us = u64::try_from(time.since(since).as_micros()).unwrap_or(u64::MAX);
        self.done(Some(index), None, What::Resumed { after_us });
        self.catch_up(index, lag);
    }

    /// Lets the loop of `name` wake up late by this much from now on.
    pub fn stall(&mut self, name: &str, lag: Duration) {
        let index = self.index(name);
        self.machines[index].stall = lag;
        self.mark(Some(index), &format!("stall {lag:?}"));
    }

    /// Lets the wall clock of `name` jump by this much, forward or back.
    pub fn clock_jump(&mut self, name: &str, ms: i64) {
        let index = self.index(name);
        self.machines[index].clock.jump(ms);
        self.done(Some(index), None, What::clock_jumps(ms));
    }

    /// Lets the clocks of `name` run this much faster than they should from now on.
    pub fn clock_drift(&mut self, name: &str, ppm: i32) {
        let (index, time) = (self.index(name), self.time);
        self.machines[index].clock.drift(time, ppm);
        self.mark(Some(index), &format!("clock drift {ppm}"));
        if let Some(process) = self.machines[index].process.as_mut() {
            process.alarm = None;
        }
        self.set_alarm(index);
    }

    /// Lets the disk of `name` take nothing more, or take again.
    pub fn disk_full(&mut self, name: &str, is_full: bool) {
        let index = self.index(name);
        self.machines[index].home.disk.set_full(is_full);
        self.mark(Some(index), &format!("disk full {is_full}"));
    }

    /// Sets how long each commit on `name` takes.
    pub fn disk_latency(&mut self, name: &str, latency: Duration) {
        let index = self.index(name);
        self.machines[index].home.disk.set_latency(latency);
        self.mark(Some(index), &format!("disk latency {latency:?}"));
    }

    /// Remembers what is on the disk of `name` now.
    pub fn snapshot(&mut self, name: &str, as_name: &str) {
        let index = self.index(name);
        self.machines[index].home.disk.snapshot(as_name);
        self.mark(Some(index), &format!("snapshot {as_name}"));
    }

    /// Puts the disk of `name` back to a snapshot; says whether there is one of that name. It must not run.
    pub fn roll_back(&mut self, name: &str, to_name: &str) -> bool {
        let index = self.index(name);
        let machine = &mut self.machines[index];
        assert!(machine.process.is_none(), "{name} runs");
        let is_there = machine.home.disk.roll_back(to_name);
        if is_there {
            self.next_epoch(index);
        }
        is_there
    }

    /// Makes the home of `name` a copy of that of `from`, keys and all. `name` must not run.
    pub fn copy_home(&mut self, name: &str, from: &str) {
        let (index, source) = (self.index(name), self.index(from));
        assert!(self.machines[index].process.is_none(), "{name} runs");
        if index == source {
            return;
        }
        let [to, from] =
            self.machines.get_disjoint_mut([index, source]).expect("two machines that are not the same one");
        to.home.disk.copy_from(&from.home.disk);
        to.home.identity = from.home.identity.clone();
        to.home.id = from.home.id;
        to.home.nick = from.home.nick.clone();
        to.home.is_acquainted = from.home.is_acquainted;
        let (member, address) = (to.home.id, to.address);
        self.done(Some(index), None, What::Home { member, address });
        self.next_epoch(index);
    }

    /// Puts records on the disk of `name` as if an earlier process had stored them. It must not run.
    pub fn install(&mut self, name: &str, records: Vec<Record>) {
        let index = self.index(name);
        assert!(self.machines[index].process.is_none(), "{name} runs");
        self.mark(Some(index), &format!("installed {records:?}"));
        self.machines[index].home.disk.install(Arc::new(records));
    }

    /// Changes the faults of the node on `name` itself, as its person does with `/fault`.
    ///
    /// # Errors
    /// [`FaultError`]; nothing changed then.
    pub fn fault(&mut self, name: &str, spec: &str) -> Result<(), FaultError> {
        let index = self.index(name);
        let now = self.now(index);
        let process = self.machines[index].process.as_mut().unwrap_or_else(|| panic!("{name} does not run"));
        process.host.handle_fault(now, spec)?;
        let line = self.done(Some(index), None, What::Fault { text: spec.to_owned(), is_on: spec.trim() != "off" });
        self.drain(index, &Because::line(line));
        Ok(())
    }

    /// Has the node on `name` carry out `command`.
    ///
    /// # Errors
    /// The node's refusal.
    pub fn command(&mut self, name: &str, command: Command) -> Result<Reply, Refusal> {
        let index = self.index(name);
        let now = self.now(index);
        let (text, to, nick) = match &command {
            Command::Say { text } => (text.clone(), None, None),
            Command::Tell { to, text } => (text.clone(), Some(*to), None),
            Command::Nick { nick } => (String::new(), None, Some(nick.clone())),
            Command::Join { .. } | Command::Leave => (String::new(), None, None),
        };
        let process = self.machines[index].process.as_mut().unwrap_or_else(|| panic!("{name} does not run"));
        let reply = process.host.handle_command(now, command);
        if let (Ok(_), Some(nick)) = (&reply, nick) {
            self.machines[index].home.nick = nick;
        }
        let line = match &reply {
            Ok(Reply::Accepted(sent)) => self.done(Some(index), None, What::Accepted { id: sent.id, to, text }),
            Ok(Reply::Done) => None,
            Err(refusal) => self.done(Some(index), None, What::Refused { why: refusal.to_string() }),
        };
        self.changes += 1;
        self.drain(index, &Because::line(line));
        reply
    }

    /// Adds a line to the trace, if lines are made: about the machine `name`, or about none.
    pub fn note(&mut self, name: Option<&str>, cause: Option<LineNumber>, what: What) -> Option<LineNumber> {
        let index = name.map(|name| self.index(name));
        self.done(index, cause, what)
    }

    /// Whether a process runs on `name`, paused or not.
    #[must_use]
    pub fn is_running(&self, name: &str) -> bool {
        self.machines[self.index(name)].process.is_some()
    }

    /// Whether the process on `name` stands still.
    #[must_use]
    pub fn is_paused(&self, name: &str) -> bool {
        self.machines[self.index(name)].process.as_ref().is_some_and(|process| process.paused.is_some())
    }

    /// Whether the process on `name` says goodbye.
    #[must_use]
    pub fn is_leaving(&self, name: &str) -> bool {
        self.machines[self.index(name)].process.as_ref().is_some_and(|process| process.is_leaving)
    }

    /// What the clocks of a machine show.
    pub(super) fn now(&self, index: usize) -> Now {
        self.machines[index].clock.now(self.time, Duration::ZERO)
    }

    /// Machines on which a process runs.
    pub(super) fn running(&self) -> impl Iterator<Item = (&Machine, &Process)> {
        self.machines.iter().filter_map(|machine| Some((machine, machine.process.as_ref()?)))
    }

    fn next_epoch(&mut self, index: usize) {
        self.machines[index].home.epoch += 1;
        let epoch = self.machines[index].home.epoch;
        self.done(Some(index), None, What::RolledBack { epoch });
    }
}
