//! The checker: a fold over the lines of a trace that asks every check at every line. Owns the order in which they are
//! asked, and what they found; what each demands stands in its own file.

use std::collections::VecDeque;

use super::delivered::Delivered;
use super::facts::Facts;
use super::gaps::Gaps;
use super::limits::Limits;
use super::order::Order;
use super::places::Places;
use super::secrecy::Secrecy;
use super::sessions::Sessions;
use super::settled::Settled;
use super::shown::Shown;
use super::verdicts::Verdicts;
use super::{Check, Line, LineNumber, Violation};
use crate::node::api::{Gap, Message, Status};

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
        self.delivered.handle(facts, line, node, found);
        self.shown.handle(facts, line, node, found);
        self.order.handle(facts, line, node, found);
        self.gaps.handle(facts, line, node, found);
        self.secrecy.handle(facts, line, node, found);
        self.places.handle(facts, line, node, found);
        self.verdicts.handle(facts, line, node, found);
        self.sessions.handle(facts, &self.verdicts, line, node, found);
        self.settled.handle(facts, line, node);
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
