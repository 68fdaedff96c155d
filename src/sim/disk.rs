//! A disk that takes its time. Owns what is durable, what is on its way there, and what a crash makes of
//! that; knows nothing of what the records say.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::{StoreFailed, Time};
use crate::node::{Mark, Record};

/// What a crash does to batches that were submitted and not yet reported durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsynced {
    /// They had reached the disk all the same; only the report is lost.
    Keep,
    /// They are gone.
    Lose,
    /// Some of them had reached the disk: those up to a place that the seed decides.
    Torn,
}

/// Durable records, and the queue before them. Batches that are submitted while one is being written share
/// the next commit, as with the real writer.
pub(super) struct Disk {
    durable: Vec<Record>,
    writing: Vec<(Mark, Vec<Record>)>,
    queued: VecDeque<(Mark, Vec<Record>)>,
    latency: Duration,
    full: bool,
}

/// A batch, and what became of it.
pub(super) type Written = (Mark, Result<(), StoreFailed>);

/// How long one commit takes: an fsync of a consumer SSD.
const LATENCY: Duration = Duration::from_millis(2);

impl Disk {
    pub(super) fn new() -> Self {
        Self { durable: Vec::new(), writing: Vec::new(), queued: VecDeque::new(), latency: LATENCY, full: false }
    }

    pub(super) fn durable(&self) -> &[Record] {
        &self.durable
    }

    pub(super) fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    pub(super) fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// Queues a batch. Returns when the commit that this starts will be done, if it starts one.
    pub(super) fn submit(&mut self, now: Time, mark: Mark, records: Vec<Record>) -> Option<Time> {
        self.queued.push_back((mark, records));
        self.begin(now)
    }

    /// Ends the commit under way. Returns what became of each of its batches, and when the next is done.
    pub(super) fn commit(&mut self, now: Time) -> (Vec<Written>, Option<Time>) {
        let result = if self.full { Err(StoreFailed) } else { Ok(()) };
        let mut results = Vec::with_capacity(self.writing.len());
        for (mark, records) in std::mem::take(&mut self.writing) {
            if result.is_ok() {
                self.durable.extend(records);
            }
            results.push((mark, result));
        }
        (results, self.begin(now))
    }

    /// The power is gone.
    pub(super) fn crash(&mut self, unsynced: Unsynced) {
        let lost = std::mem::take(&mut self.writing).into_iter().chain(std::mem::take(&mut self.queued));
        match unsynced {
            Unsynced::Keep if self.full => drop(lost),
            Unsynced::Keep => self.durable.extend(lost.flat_map(|(_, records)| records)),
            Unsynced::Lose | Unsynced::Torn => drop(lost),
        }
    }

    fn begin(&mut self, now: Time) -> Option<Time> {
        if !self.writing.is_empty() || self.queued.is_empty() {
            return None;
        }
        self.writing = std::mem::take(&mut self.queued).into();
        Some(now + self.latency)
    }
}
