//! The scripts of a host: when they are called, and how the node answers what they ask. Owns the way between the two;
//! what a script may do is `lua`'s.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Host, NameError, Passage};
use crate::base::{MessageId, Time};
use crate::faults::{Arrival, DropReason, Fate};
use crate::lua::{Ask, LineKind, Scripts, Told, Verdict};
use crate::node;
use crate::node::api::{Command, Event, EventKind, Reply};

/// The scripts, and the events that they were not told yet.
#[derive(Default)]
pub(super) struct Scripted {
    scripts: Scripts,
    are_there: bool,
    /// Whether the node was awake, so that it does what they ask.
    have_begun: bool,
    /// Whether they run just now, and are not in their place.
    are_away: bool,
    events: VecDeque<Event>,
    /// What the node said while they ran.
    said: VecDeque<node::Output>,
}

impl Scripted {
    pub(super) fn new(scripts: Scripts) -> Self {
        Self { are_there: !scripts.is_empty(), scripts, ..Self::default() }
    }

    /// Keeps an event for the scripts.
    pub(super) fn note(&mut self, event: &Event) {
        if self.are_there {
            self.events.push_back(event.clone());
        }
    }

    /// The next thing that the node said while scripts ran.
    pub(super) fn poll_said(&mut self) -> Option<node::Output> {
        self.said.pop_front()
    }

    pub(super) fn sees_datagrams(&self) -> bool {
        self.scripts.sees_datagrams()
    }
}

impl Host {
    /// When a timer of a script is due. None is before the node runs, or once it has left.
    pub(super) fn scripts_due(&self) -> Option<Time> {
        if !self.scripts.have_begun || self.node.has_left() {
            return None;
        }
        self.scripts.scripts.poll_timeout()
    }

    /// Tells the scripts of the next event. Whether something may have come of it.
    pub(super) fn run_hooks(&mut self) -> bool {
        if self.scripts.are_away {
            return false;
        }
        if !self.scripts.have_begun && self.node.is_awake() {
            self.scripts.have_begun = true;
            self.scripts.scripts.begin(self.now.time);
        }
        let Some(event) = self.scripts.events.pop_front() else { return self.tell_lines() };
        let me = self.node.id();
        self.with_scripts_away(|scripts, host| {
            scripts.handle_event(host.now.time, me, &event, &mut |ask| host.answer(ask));
        });
        self.tell_lines();
        true
    }

    /// Calls what is due in the scripts.
    pub(super) fn run_timers(&mut self) {
        if self.scripts_due().is_some_and(|due| due <= self.now.time) {
            self.with_scripts_away(|scripts, host| {
                scripts.handle_timeout(host.now.time, &mut |ask| host.answer(ask));
            });
        }
    }

    /// Decides about one datagram: the scripts first, then the plan about each copy that they leave.
    pub(super) fn meet(&mut self, passage: Passage) {
        if !self.scripts.sees_datagrams() {
            return self.decide(passage);
        }
        let datagram = self.edge.describe(&passage);
        let verdict = self.scripts.scripts.handle_datagram(self.now.time, &datagram);
        if verdict == Verdict::PASS {
            return self.decide_if_on(Duration::ZERO, passage);
        }
        if verdict.is_dropped {
            self.edge.note(Fate::Drop(DropReason::Hook));
            return self.drop(passage, DropReason::Hook);
        }
        for _ in 1..verdict.copies {
            self.decide_if_on(verdict.delay, passage.clone());
        }
        self.decide_if_on(verdict.delay, passage);
    }

    /// Decides about a copy of a datagram that the scripts delay.
    fn decide_if_on(&mut self, delay: Duration, passage: Passage) {
        let late = |arrival: Arrival| Arrival { after: arrival.after + delay, ..arrival };
        let fate = if self.edge.is_on() { self.edge.decide(self.now.time, &passage) } else { Fate::SPARED };
        self.meet_fate(
            passage,
            match fate {
                Fate::Drop(why) => Fate::Drop(why),
                Fate::Deliver { first, again } => Fate::Deliver { first: late(first), again: again.map(late) },
            },
        );
    }

    /// Runs scripts with the rest of the host beside them.
    fn with_scripts_away(&mut self, run: impl FnOnce(&mut Scripts, &mut Self)) {
        self.scripts.are_away = true;
        let mut scripts = std::mem::take(&mut self.scripts.scripts);
        run(&mut scripts, self);
        self.scripts.scripts = scripts;
        self.scripts.are_away = false;
    }

    /// Passes on what scripts wrote; whether they wrote something.
    fn tell_lines(&mut self) -> bool {
        let mut told = false;
        while let Some(line) = self.scripts.scripts.poll_line() {
            told = true;
            let (name, text) = (line.name, line.text);
            self.node.handle_told(
                self.now,
                match line.kind {
                    LineKind::Log => EventKind::Script { name, text, failed: false },
                    LineKind::Failure => EventKind::Script { name, text, failed: true },
                    LineKind::Alarm => EventKind::Alarm { text },
                },
            );
        }
        told
    }

    /// Answers a script.
    fn answer(&mut self, ask: Ask) -> Result<Told, String> {
        match ask {
            Ask::Say { text } => self.obey(Command::Say { text }),
            Ask::Tell { to, text } => {
                let to = self.member(&to).map_err(|error| error.to_string())?;
                self.obey(Command::Tell { to, text })
            }
            Ask::Members => Ok(Told::Members(self.node.status(self.now).members)),
            Ask::Status => Ok(Told::Status(Box::new(self.status(self.now)))),
            Ask::Why { what } => self.explain(&what),
            Ask::Fault { spec } => {
                self.hear_out();
                self.handle_fault(self.now, &spec).map_err(|error| error.to_string())?;
                Ok(Told::Faults(self.faults()))
            }
        }
    }

    fn obey(&mut self, command: Command) -> Result<Told, String> {
        self.hear_out();
        match self.node.handle_command(self.now, command) {
            Ok(Reply::Accepted(sent)) => Ok(Told::Sent(sent)),
            Ok(Reply::Done) => Ok(Told::Nothing),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    /// Keeps the node's drain contract, for several commands in one input of the host.
    fn hear_out(&mut self) {
        self.scripts.said.extend(std::iter::from_fn(|| self.node.poll_output()));
    }

    fn explain(&self, what: &str) -> Result<Told, String> {
        if let Ok(id) = what.parse::<MessageId>()
            && let Some(why) = self.node.why_message(self.now, id)
        {
            return Ok(Told::Message(Box::new(why)));
        }
        let id = match self.member(what) {
            Ok(id) => id,
            Err(error @ NameError::Ambiguous { .. }) => return Err(error.to_string()),
            Err(NameError::Unknown { name }) => {
                return Err(format!("{name} is neither a member nor the id of a message that is known here"));
            }
        };
        match self.node.why_member(self.now, id) {
            Some(why) => Ok(Told::Member(Box::new(why))),
            None => Err(format!("nothing is known about {what}")),
        }
    }
}
