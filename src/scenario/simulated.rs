//! The simulated fleet: a [`World`] behind the words of [`Fleet`]. Owns what makes no sense to ask for, so that a
//! scenario's mistake is told and never a panic; all else is the simulator's.

use std::time::Duration;

use super::fleet::{Change, DISK_LATENCY, Fleet, FleetError, Lie, Lied, Unsynced};
use super::options::Suite;
use crate::base::{MemberId, MessageId, Time, text};
use crate::check::{Driver, Line, LineNumber, What};
use crate::faults::{Ends, Rule};
use crate::node::api::{Command, Gap, Message, Refusal, Reply, Status, WhyMember, WhyMessage};
pub use crate::sim::Options as SimOptions;
use crate::sim::{self, World};

/// Nodes in virtual time, from one seed.
pub struct SimFleet {
    world: World,
    /// When a step ends at the latest though nothing was told: what only time changes is looked at then.
    look_at: Time,
}

/// Answers change without an event too: what was heard when, the round trip, how often something was tried.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl SimFleet {
    #[must_use]
    pub fn new(options: SimOptions) -> Self {
        Self { world: World::with(options), look_at: Time::ZERO + LOOK_EVERY }
    }

    /// The same, with the suite that a scenario asks for.
    #[must_use]
    pub fn in_suite(suite: Suite, options: SimOptions) -> Self {
        let suite = match suite {
            Suite::Real => sim::Suite::Real,
            Suite::Plain => sim::Suite::Plain,
        };
        Self::new(SimOptions { suite, ..options })
    }

    fn known(&self, name: &str) -> Result<(), FleetError> {
        if self.world.has(name) { Ok(()) } else { misuse(format!("there is no node named {name}")) }
    }

    fn running(&self, name: &str) -> Result<(), FleetError> {
        self.known(name)?;
        if self.world.is_running(name) { Ok(()) } else { misuse(format!("{name} does not run; start it first")) }
    }

    fn down(&self, name: &str) -> Result<(), FleetError> {
        self.known(name)?;
        if self.world.is_running(name) { misuse(format!("{name} runs; crash it first")) } else { Ok(()) }
    }

    /// A paused process answers nothing.
    fn awake(&self, name: &str) -> Result<(), FleetError> {
        self.running(name)?;
        if self.world.is_paused(name) { misuse(format!("{name} is paused; resume it first")) } else { Ok(()) }
    }

    fn fault(&mut self, name: &str, text: String, is_on: bool) {
        self.world.note(Some(name), None, What::Fault { text, is_on });
    }
}

fn misuse<T>(what: String) -> Result<T, FleetError> {
    Err(FleetError::Misuse(what))
}

impl Fleet for SimFleet {
    fn driver(&self) -> Driver {
        Driver::Sim
    }

    fn add(&mut self, name: &str) -> Result<MemberId, FleetError> {
        if let Err(error) = text::check_nick(name) {
            return misuse(format!("{name:?} is no name for a node: {error}"));
        }
        if self.world.has(name) {
            return misuse(format!("there is a node named {name} already"));
        }
        Ok(self.world.add(name))
    }

    fn start(&mut self, name: &str) -> Result<(), FleetError> {
        self.known(name)?;
        if self.world.is_running(name) {
            return misuse(format!("{name} runs already"));
        }
        self.world.start(name);
        Ok(())
    }

    fn crash(&mut self, name: &str, unsynced: Unsynced) -> Result<(), FleetError> {
        self.running(name)?;
        self.world.crash(name, unsynced);
        Ok(())
    }

    fn leave(&mut self, name: &str) -> Result<(), FleetError> {
        self.awake(name)?;
        if self.world.is_leaving(name) {
            return misuse(format!("{name} says goodbye already"));
        }
        self.world.leave(name);
        Ok(())
    }

    fn pause(&mut self, name: &str) -> Result<(), FleetError> {
        self.awake(name)?;
        self.world.pause(name);
        Ok(())
    }

    fn resume(&mut self, name: &str) -> Result<(), FleetError> {
        self.running(name)?;
        if !self.world.is_paused(name) {
            return misuse(format!("{name} is not paused"));
        }
        self.world.resume(name);
        Ok(())
    }

    fn is_running(&self, name: &str) -> bool {
        self.world.has(name) && self.world.is_running(name)
    }

    fn command(&mut self, name: &str, command: Command) -> Result<Result<Reply, Refusal>, FleetError> {
        self.awake(name)?;
        if command == Command::Leave {
            return self.leave(name).map(|()| Ok(Reply::Done));
        }
        Ok(self.world.command(name, command))
    }

    fn status(&mut self, name: &str) -> Result<Status, FleetError> {
        self.awake(name)?;
        Ok(self.world.status(name))
    }

    fn why_member(&mut self, name: &str, member: MemberId) -> Result<Option<WhyMember>, FleetError> {
        self.awake(name)?;
        Ok(self.world.why_member(name, member))
    }

    fn why_message(&mut self, name: &str, message: MessageId) -> Result<Option<WhyMessage>, FleetError> {
        self.awake(name)?;
        Ok(self.world.why(name, message))
    }

    fn gaps(&mut self, name: &str) -> Result<Vec<Gap>, FleetError> {
        self.awake(name)?;
        Ok(self.world.gaps(name))
    }

    fn log(&mut self, name: &str) -> Result<Vec<Message>, FleetError> {
        self.known(name)?;
        Ok(self.world.log(name))
    }

    fn net(&mut self, rule: &Rule, is_on: bool) -> Result<(), FleetError> {
        for ends in [&rule.from, &rule.to] {
            if let Ends::Nick(nick) = ends {
                return misuse(format!("a rule of the network names nodes, and {nick} is a nick"));
            }
        }
        if is_on {
            return self.world.put_on(rule).or_else(|full| misuse(full.to_string()));
        }
        if self.world.take_off(rule) { Ok(()) } else { misuse(format!("{rule} is not on")) }
    }

    fn change(&mut self, name: &str, change: Change) -> Result<(), FleetError> {
        self.known(name)?;
        match change {
            Change::Fault { spec } => {
                self.awake(name)?;
                return self.world.fault(name, &spec).or_else(|error| misuse(error.to_string()));
            }
            Change::ClockJump { ms } => self.world.clock_jump(name, ms),
            Change::ClockDrift { ppm } => {
                self.world.clock_drift(name, ppm);
                self.fault(name, format!("clock drifts by {ppm} ppm"), ppm != 0);
            }
            Change::DiskFull { is_full } => {
                self.world.disk_full(name, is_full);
                self.fault(name, "disk is full".to_owned(), is_full);
            }
            Change::DiskLatency { latency } => {
                self.world.disk_latency(name, latency);
                self.fault(name, format!("disk takes {latency:?} for a commit"), latency != DISK_LATENCY);
            }
            Change::Snapshot { as_name } => self.world.snapshot(name, &as_name),
            Change::Rollback { to_name } => {
                self.down(name)?;
                if !self.world.roll_back(name, &to_name) {
                    return misuse(format!("{name} has no snapshot {to_name:?}"));
                }
            }
            Change::CopyOf { from } => {
                self.down(name)?;
                self.known(&from)?;
                self.world.copy_home(name, &from);
            }
            Change::CrashAtCommit { when } => {
                self.running(name)?;
                self.world.crash_at_commit(name, when);
            }
            Change::Stall { lag } => {
                self.world.stall(name, lag);
                self.fault(name, format!("loop wakes up {lag:?} late"), !lag.is_zero());
            }
        }
        Ok(())
    }

    fn lie(&mut self, name: &str, lie: &Lie) -> Result<Lied, FleetError> {
        self.awake(name)?;
        self.world.lie(name, lie).or_else(misuse)
    }

    fn elapsed(&self) -> Duration {
        self.world.elapsed()
    }

    fn step(&mut self, until: Duration) -> Result<bool, FleetError> {
        let end = Time::ZERO + until;
        let seen = self.world.changes();
        loop {
            let is_done = !self.world.next_before(end);
            let now = Time::ZERO + self.world.elapsed();
            if self.world.changes() != seen || now >= self.look_at {
                self.look_at = now + LOOK_EVERY;
                return Ok(true);
            }
            if is_done {
                return Ok(false);
            }
        }
    }

    fn poll_line(&mut self) -> Option<Line> {
        self.world.poll_line()
    }

    /// The number is zero, and no line's, where lines are not made.
    fn note(&mut self, node: Option<&str>, cause: Option<LineNumber>, what: What) -> LineNumber {
        let node = node.filter(|name| self.world.has(name));
        self.world.note(node, cause, what).unwrap_or_default()
    }

    fn trace_hash(&self) -> Option<[u8; 32]> {
        Some(self.world.trace_hash())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Fault;
    use crate::node::api::Outcome;

    fn fleet() -> SimFleet {
        SimFleet::new(SimOptions { is_traced: true, ..SimOptions::new(7) })
    }

    /// Two members that know each other.
    fn pair() -> (SimFleet, MemberId) {
        let mut fleet = fleet();
        fleet.add("ana").unwrap();
        let bo = fleet.add("bo").unwrap();
        fleet.start("ana").unwrap();
        fleet.start("bo").unwrap();
        assert!(wait(&mut fleet, |fleet| fleet.status("ana").unwrap().members.len() == 2));
        (fleet, bo)
    }

    fn wait(fleet: &mut SimFleet, mut done: impl FnMut(&mut SimFleet) -> bool) -> bool {
        let until = fleet.elapsed() + Duration::from_secs(30);
        while !done(fleet) {
            if !fleet.step(until).unwrap() {
                return done(fleet);
            }
        }
        true
    }

    #[test]
    fn what_makes_no_sense_is_misuse_and_changes_nothing() {
        let (mut fleet, _) = pair();
        let before = fleet.trace_hash();
        let cut = Rule { from: Ends::Any, to: Ends::Any, fault: Fault::Cut };
        let named = Rule { from: Ends::Nick("bo".into()), to: Ends::Any, fault: Fault::Cut };
        let refused = [
            fleet.add("ana").map(drop),
            fleet.add("").map(drop),
            fleet.start("cy"),
            fleet.start("ana"),
            fleet.crash("cy", Unsynced::Keep),
            fleet.resume("ana"),
            fleet.status("cy").map(drop),
            fleet.log("cy").map(drop),
            fleet.net(&cut, false),
            fleet.net(&named, true),
            fleet.change("ana", Change::Rollback { to_name: "x".into() }),
            fleet.change("cy", Change::DiskFull { is_full: true }),
        ];
        for result in refused {
            assert!(matches!(result, Err(FleetError::Misuse(_))), "{result:?}");
        }
        assert_eq!(fleet.trace_hash(), before);
        fleet.pause("bo").unwrap();
        assert!(matches!(fleet.status("bo"), Err(FleetError::Misuse(_))), "a paused node answers nothing");
        assert!(matches!(fleet.pause("bo"), Err(FleetError::Misuse(_))));
        fleet.crash("bo", Unsynced::Torn).unwrap();
        assert!(matches!(fleet.crash("bo", Unsynced::Torn), Err(FleetError::Misuse(_))));
    }

    #[test]
    fn a_message_can_be_followed_through_the_fleet() {
        let (mut fleet, bo) = pair();
        let Ok(Reply::Accepted(sent)) = fleet.command("ana", Command::Tell { to: bo, text: "psst".into() }).unwrap()
        else {
            panic!("refused");
        };
        assert!(wait(&mut fleet, |fleet| {
            let why = fleet.why_message("ana", sent.id).unwrap();
            why.is_some_and(|why| why.deliveries[0].delivery.outcome == Outcome::Delivered)
        }));
        fleet.crash("bo", Unsynced::Lose).unwrap();
        let log = fleet.log("bo").unwrap();
        assert_eq!(log.len(), 1, "it is read of a node that is down");
        assert_eq!((log[0].id, log[0].nick.as_str(), log[0].text.as_str()), (sent.id, "ana", "psst"));
        assert_eq!(fleet.log("ana").unwrap()[0].nick, "ana");
    }

    #[test]
    fn a_leave_ends_its_process_once_it_is_said() {
        let (mut fleet, _) = pair();
        fleet.leave("bo").unwrap();
        assert!(fleet.is_running("bo"), "time passes in steps only");
        assert!(matches!(fleet.leave("bo"), Err(FleetError::Misuse(_))), "once is enough, as for a process");
        assert!(wait(&mut fleet, |fleet| !fleet.is_running("bo")));
        assert!(fleet.elapsed() < Duration::from_secs(12));
    }
}
