//! The checker: a fold over the lines of a trace that asks every check at every line. Owns the order in which they are
//! asked, and what they found; what each demands stands in its own file.

use std::collections::VecDeque;

use super::delivered::Delivered;
use super::facts::{Facts, NodeIndex};
use super::gaps::Gaps;
use super::limits::Limits;
use super::order::Order;
use super::places::Places;
use super::secrecy::Secrecy;
use super::sessions::Sessions;
use super::settled::Settled;
use super::shown::Shown;
use super::verdicts::Verdicts;
use super::{Check, Line, LineNumber, Violation, What};
use crate::node::api::{Event, EventKind, Gap, Message, Status};

/// Violations that wait to be fetched: what comes after so many says nothing new.
const FOUND_MAX: usize = 1_000;

/// Checks one run as it goes.
///
/// Hand it every line in order with [`Checker::handle`], samples of status with [`Checker::handle_status`], and fetch
/// what it found with [`Checker::poll_violation`], to the end, after each. At the end of a run of real processes hand
/// it their logs and gaps, and call [`Checker::finish`].
#[derive(Debug)]
pub struct Checker {
    facts: Facts,
    delivered: Delivered,
    shown: Shown,
    order: Order,
    gaps: Gaps,
    secrecy: Secrecy,
    places: Places,
    sessions: Sessions,
    verdicts: Verdicts,
    limits: Limits,
    settled: Settled,
    found: Findings,
}

/// What was found and not fetched yet.
#[derive(Debug, Default)]
pub(super) struct Findings {
    violations: VecDeque<Violation>,
}

impl Findings {
    pub fn push(&mut self, check: Check, line: LineNumber, text: String) {
        if self.violations.len() < FOUND_MAX {
            self.violations.push_back(Violation { check, line, text });
        }
    }
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

impl Checker {
    #[must_use]
    pub fn new() -> Self {
        Self {
            facts: Facts::new(),
            delivered: Delivered::default(),
            shown: Shown::default(),
            order: Order::default(),
            gaps: Gaps::default(),
            secrecy: Secrecy::new(),
            places: Places::default(),
            sessions: Sessions::default(),
            verdicts: Verdicts::default(),
            limits: Limits::default(),
            settled: Settled::default(),
            found: Findings::default(),
        }
    }

    /// Takes the next line of the trace.
    pub fn handle(&mut self, line: &Line) {
        self.facts.note(line);
        let Some(node) = line.node.as_ref().and_then(|name| self.facts.find(name)) else { return };
        let (facts, found) = (&self.facts, &mut self.found);
        match &line.what {
            What::Started { .. } => {
                self.verdicts.handle_started(node);
                self.sessions.handle_started(node);
                self.settled.handle_started(facts, node);
            }
            What::Accepted { id, to, text } => {
                self.secrecy.watch_for(text);
                if let Some(message) = facts.message(*id).filter(|_| to.is_some()) {
                    self.settled.handle_accepted(message);
                }
            }
            What::Sent { to, labels, wire, .. } => {
                Delivered::handle_sent(facts, node, labels, found);
                let Some(wire) = wire else { return };
                self.secrecy.handle_sent(facts, node, wire, found);
                if let Some(to) = to {
                    self.sessions.handle_sent(facts, node, to, wire, found);
                }
            }
            What::Arrived { datagram, is_damaged: false, .. } => {
                self.sessions.handle_arrived(facts, &self.verdicts, *datagram);
            }
            What::Stored { kept, noted, .. } => {
                self.settled.handle_noted(facts, node, noted);
                Shown::handle_stored(facts, node, found);
                for kept in kept {
                    Secrecy::handle_kept(facts, node, kept, found);
                    self.places.handle_kept(facts, node, kept, found);
                }
            }
            What::Told { event } => self.told(node, event),
            What::Fault { .. } => {
                if let Some(ms) = line.what.clock_jump_ms() {
                    self.verdicts.handle_clock_jump(facts, node, ms);
                }
            }
            What::Began { .. }
            | What::Home { .. }
            | What::Dishonest { .. }
            | What::Lied { .. }
            | What::Ended { .. }
            | What::Paused
            | What::Resumed { .. }
            | What::RolledBack { .. }
            | What::Step { .. }
            | What::Refused { .. }
            | What::Dropped { .. }
            | What::Arrived { is_damaged: true, .. }
            | What::NotStored { .. }
            | What::Logged { .. }
            | What::Violated { .. } => {}
        }
    }

    fn told(&mut self, node: NodeIndex, event: &Event) {
        let (facts, found) = (&self.facts, &mut self.found);
        self.verdicts.handle_told(facts, node, event, found);
        self.sessions.handle_told(facts, node, event.cause, found);
        match &event.kind {
            EventKind::Message(message) => {
                self.shown.handle_message(facts, node, message, found);
                self.order.handle_message(facts, node, message, found);
                Secrecy::handle_message(facts, node, message, found);
                self.places.handle_message(facts, message, found);
            }
            EventKind::Delivery { id, delivery, .. } => {
                self.delivered.handle_delivery(facts, node, *id, delivery, found);
                if let Some(message) = facts.message(*id) {
                    self.settled.handle_delivery(facts, node, message, delivery);
                }
            }
            EventKind::Gap(gap) => self.gaps.handle_gap(facts, node, gap, found),
            EventKind::Undone { id, .. } => {
                if let Some(message) = facts.message(*id) {
                    self.settled.handle_undone(message);
                }
            }
            EventKind::Ready { .. }
            | EventKind::Member { .. }
            | EventKind::Recovered { .. }
            | EventKind::Fault { .. }
            | EventKind::Alarm { .. }
            | EventKind::Stalled { .. }
            | EventKind::Lagged { .. }
            | EventKind::Script { .. } => {}
        }
    }

    /// Takes a sample of a node's status.
    pub fn handle_status(&mut self, name: &str, status: &Status) {
        self.limits.handle_status(&self.facts, name, status, &mut self.found);
    }

    /// Takes the log of a node, one's own messages included, as it is on its disk. Where the trace has no lines of disks,
    /// that is what was committed.
    pub fn handle_log(&mut self, name: &str, log: &[Message]) {
        self.facts.note_log(name, log);
    }

    /// Takes the gaps that a node lists.
    pub fn handle_gaps(&mut self, name: &str, gaps: &[Gap]) {
        for gap in gaps {
            self.facts.note_gap(name, (gap.author, gap.incarnation), gap.first, gap.last);
        }
    }

    /// The run is over: looks into what could not be judged before.
    pub fn finish(&mut self) {
        let (facts, found) = (&self.facts, &mut self.found);
        self.delivered.finish(facts, found);
        self.shown.finish(facts, found);
        self.order.finish(facts, found);
        self.gaps.finish(facts, found);
    }

    /// The next violation, if any.
    pub fn poll_violation(&mut self) -> Option<Violation> {
        self.found.violations.pop_front()
    }

    /// The first reasons, at most `max`, why those with a status among `statuses` are not settled; none if they are. Ask
    /// again until [`super::SETTLES_WITHIN`] after the last fault is over; what it says then is a violation of
    /// [`Check::Settles`]. Nothing is expected of, or about, nodes that run and have no status here.
    #[must_use]
    pub fn unsettled(&self, statuses: &[(&str, &Status)], max: usize) -> Vec<String> {
        self.settled.unsettled(&self.facts, statuses, max)
    }
}

/// Checks a whole trace, as far as its lines go: samples of status, and what a run comes to at its end, are not in it.
pub fn check_trace<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<Violation> {
    let mut checker = Checker::new();
    for line in lines {
        checker.handle(line);
    }
    checker.finish();
    std::iter::from_fn(|| checker.poll_violation()).collect()
}
