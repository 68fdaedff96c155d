//! A run in which a node panics: it ends with its lines and its steps, and shrinks like any other failure.

use std::time::Duration;

use super::fleet::{Change, Fleet, FleetError, Lie, Lied, Unsynced};
use super::{Keeps, Options, Run, Script, SimFleet, SimOptions, Why, run, shrink};
use crate::base::{MemberId, MessageId};
use crate::check::{Driver, Line, LineNumber, What};
use crate::faults::Rule;
use crate::node::api::{Command, Gap, Message, Refusal, Reply, Status, WhyMember, WhyMessage};

/// A simulated fleet whose nodes panic when they say `boom`, and two seconds after they said `fuse`.
struct Bomb {
    fleet: SimFleet,
    goes_off: Option<Duration>,
}

type Answer<T> = Result<T, FleetError>;

impl Fleet for Bomb {
    fn command(&mut self, name: &str, command: Command) -> Answer<Result<Reply, Refusal>> {
        let said = match &command {
            Command::Say { text } => text.as_str(),
            _ => "",
        };
        let reply = self.fleet.command(name, command.clone());
        assert!(said != "boom", "a bomb");
        if said == "fuse" {
            self.goes_off = Some(self.fleet.elapsed() + Duration::from_secs(2));
        }
        reply
    }

    fn step(&mut self, until: Duration) -> Answer<bool> {
        let stepped = self.fleet.step(until);
        assert!(self.goes_off.is_none_or(|at| self.fleet.elapsed() < at), "a fuse");
        stepped
    }

    fn driver(&self) -> Driver {
        self.fleet.driver()
    }
    fn add(&mut self, name: &str) -> Answer<MemberId> {
        self.fleet.add(name)
    }
    fn start(&mut self, name: &str) -> Answer<()> {
        self.fleet.start(name)
    }
    fn crash(&mut self, name: &str, unsynced: Unsynced) -> Answer<()> {
        self.fleet.crash(name, unsynced)
    }
    fn leave(&mut self, name: &str) -> Answer<()> {
        self.fleet.leave(name)
    }
    fn pause(&mut self, name: &str) -> Answer<()> {
        self.fleet.pause(name)
    }
    fn resume(&mut self, name: &str) -> Answer<()> {
        self.fleet.resume(name)
    }
    fn is_running(&self, name: &str) -> bool {
        self.fleet.is_running(name)
    }
    fn status(&mut self, name: &str) -> Answer<Status> {
        self.fleet.status(name)
    }
    fn why_member(&mut self, name: &str, member: MemberId) -> Answer<Option<WhyMember>> {
        self.fleet.why_member(name, member)
    }
    fn why_message(&mut self, name: &str, message: MessageId) -> Answer<Option<WhyMessage>> {
        self.fleet.why_message(name, message)
    }
    fn gaps(&mut self, name: &str) -> Answer<Vec<Gap>> {
        self.fleet.gaps(name)
    }
    fn log(&mut self, name: &str) -> Answer<Vec<Message>> {
        self.fleet.log(name)
    }
    fn net(&mut self, rule: &Rule, is_on: bool) -> Answer<()> {
        self.fleet.net(rule, is_on)
    }
    fn change(&mut self, name: &str, change: Change) -> Answer<()> {
        self.fleet.change(name, change)
    }
    fn lie(&mut self, name: &str, lie: &Lie) -> Answer<Lied> {
        self.fleet.lie(name, lie)
    }
    fn elapsed(&self) -> Duration {
        self.fleet.elapsed()
    }
    fn poll_line(&mut self) -> Option<Line> {
        self.fleet.poll_line()
    }
    fn note(&mut self, node: Option<&str>, cause: Option<LineNumber>, what: What) -> LineNumber {
        self.fleet.note(node, cause, what)
    }
    fn trace_hash(&self) -> Option<[u8; 32]> {
        self.fleet.trace_hash()
    }
}

fn run_with_bombs(script: &Script) -> Run {
    let options = Options { keeps: Keeps::All, ..Options::default() };
    run(script, options, |_| {
        let fleet = SimFleet::new(SimOptions { is_traced: true, keeps_told: false, ..SimOptions::new(0) });
        Ok(Box::new(Bomb { fleet, goes_off: None }))
    })
}

fn shrunk(last: &str) -> (Run, String) {
    let source = format!(
        "scenario{{ name = \"bombs\" }}
        local ana, bo, cy = room.nodes{{ \"ana\", \"bo\", \"cy\" }}
        wait_until(\"all see all\", \"30s\", room.converged)
        ana:say(\"chatter\") bo:tell(cy, \"more\")
        wait(\"1s\")
        {last}"
    );
    let script = Script { file: "bombs.lua".into(), source: source.into() };
    let failed = run_with_bombs(&script);
    let shrunk = shrink(&script, &failed, &mut run_with_bombs).expect("its steps alone panic too");
    (failed, shrunk.source)
}

#[test]
fn a_panic_in_a_step_is_shrunk_to_that_step() {
    let (failed, source) = shrunk("cy:say(\"boom\") wait(\"1s\")");
    let stop = failed.stop.as_ref().unwrap();
    assert_eq!((&stop.why, stop.text.as_str()), (&Why::Fleet, "a node panicked: a bomb"));
    let said = |line: &Line| matches!(&line.what, What::Accepted { text, .. } if text == "boom");
    assert!(failed.trace.iter().any(said), "what the node did before it panicked is in the trace");
    assert!(source.contains("cy:say(\"boom\")"), "{source}");
    for gone in ["ana", "bo:", "chatter", "more"] {
        assert!(!source.contains(gone), "{gone} does not matter:\n{source}");
    }
}

#[test]
fn a_panic_while_time_passes_is_shrunk_to_what_led_to_it() {
    let (failed, source) = shrunk("cy:say(\"fuse\") wait(\"30s\")");
    assert_eq!(failed.stop.unwrap().text, "a node panicked: a fuse");
    assert!(source.contains("cy:say(\"fuse\")") && !source.contains("chatter"), "{source}");
}
