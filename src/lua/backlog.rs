//! What a script that wants to run too much is not called for at once. Owns the calls of its hooks that wait, how many there may
//! be, and how often its person is told; calls nothing itself.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::Time;
use crate::base::limits::{SCRIPT_BUSY_TOLD_EVERY, SCRIPT_INSTRUCTIONS_PER_SECOND_MAX, SCRIPT_WAITING_CALLS_MAX};
use crate::node::api::Event;

#[derive(Debug, Default)]
pub(super) struct Backlog {
    calls: VecDeque<Call>,
    put_off: Told,
    left_out: Told,
    passed: Told,
}

/// A call of a hook that waits.
#[derive(Debug)]
pub(super) struct Call {
    pub since: Time,
    pub hook: usize,
    pub event: Arc<Event>,
}

/// How often something happened, and when that was last told.
#[derive(Debug, Default)]
struct Told {
    count: u64,
    at: Option<Time>,
}

impl Backlog {
    /// Since when the next call waits, if any does.
    pub(super) fn since(&self) -> Option<Time> {
        self.calls.front().map(|call| call.since)
    }

    pub(super) fn pop(&mut self) -> Option<Call> {
        self.calls.pop_front()
    }

    /// Keeps a call for later. At the bound it is left out; then, now and again, this is the line that says so of the hook at
    /// `place`.
    pub(super) fn push(&mut self, now: Time, place: &str, call: Call) -> Option<String> {
        if self.calls.len() < SCRIPT_WAITING_CALLS_MAX {
            self.calls.push_back(call);
            return None;
        }
        let count = self.left_out.note(now)?;
        Some(format!(
            "{place}not called, because {SCRIPT_WAITING_CALLS_MAX} calls wait already; so far {count} were left out"
        ))
    }

    /// What is at `place` waits: the line that says so, now and again.
    pub(super) fn note_put_off(&mut self, now: Time, place: &str) -> Option<String> {
        self.put_off.note(now)?;
        Some(format!("{place}put off, because {}", used_up()))
    }

    /// The `datagram` hook at `place` is not asked: the line that says so, now and again.
    pub(super) fn note_passed(&mut self, now: Time, place: &str) -> Option<String> {
        let count = self.passed.note(now)?;
        Some(format!("{place}not asked about a datagram, which passed ({count} so far), because {}", used_up()))
    }
}

impl Told {
    /// Counts one; how many there were, when it is time to tell.
    fn note(&mut self, now: Time) -> Option<u64> {
        self.count += 1;
        let is_time = self.at.is_none_or(|at| now.since(at) >= SCRIPT_BUSY_TOLD_EVERY);
        is_time.then(|| {
            self.at = Some(now);
            self.count
        })
    }
}

fn used_up() -> String {
    format!(
        "the script has used its {SCRIPT_INSTRUCTIONS_PER_SECOND_MAX} instructions a second; what does it do so often?"
    )
}
