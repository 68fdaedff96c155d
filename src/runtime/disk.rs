//! The loop's side of the thread that writes: batches go in without ever waiting for the disk, results come
//! out in their order. Owns the overflow, and when old history is pruned.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Time;
use crate::base::limits::{STORE_BATCHES_MAX, STORE_OVERFLOW_BATCHES_MAX};
use crate::node::{Mark, Record};
use crate::store::{Writer, Written};

pub(super) struct Disk {
    writer: Writer,
    /// Batches that the writer has and has not reported.
    in_flight: usize,
    /// Batches that the writer has no room for.
    overflow: VecDeque<(Mark, Vec<Record>)>,
    /// A result that came after the one that was given out last, and differs from it.
    held: Option<Written>,
    prune_due: Time,
}

impl Disk {
    #[must_use]
    pub fn new(writer: Writer, time: Time) -> Self {
        Self { writer, in_flight: 0, overflow: VecDeque::new(), held: None, prune_due: time + PRUNE_EVERY }
    }

    /// Queues a batch. Waits for the disk only where `STORE_OVERFLOW_BATCHES_MAX` batches overflowed.
    pub fn submit(&mut self, mark: Mark, records: Vec<Record>) {
        self.overflow.push_back((mark, records));
        self.pass_on();
        if self.overflow.len() > STORE_OVERFLOW_BATCHES_MAX {
            self.pass_one_on();
        }
    }

    /// The next result, in the order of the batches: of the batches in a row that fared the same, the last
    /// one's.
    pub fn poll_written(&mut self) -> Option<Written> {
        let mut written = self.held.take().or_else(|| self.take_written())?;
        while let Some(next) = self.take_written() {
            if !fared_alike(&written, &next) {
                self.held = Some(next);
                break;
            }
            written = next;
        }
        Some(written)
    }

    fn take_written(&mut self) -> Option<Written> {
        let written = self.writer.poll_written()?;
        self.in_flight = self.in_flight.saturating_sub(1);
        self.pass_on();
        Some(written)
    }

    /// Whether every batch was reported.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.held.is_none()
    }

    /// When [`Disk::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Time {
        self.prune_due
    }

    /// Has history pruned if that is due.
    pub fn handle_timeout(&mut self, time: Time) {
        if time >= self.prune_due {
            self.prune_due = time + PRUNE_EVERY;
            self.writer.prune();
        }
    }

    /// Writes all that was submitted. Waits for the disk.
    pub fn close(mut self) -> Vec<Written> {
        while !self.overflow.is_empty() {
            self.pass_one_on();
        }
        self.writer.close()
    }

    /// Gives the writer what it has room for.
    fn pass_on(&mut self) {
        while self.in_flight < STORE_BATCHES_MAX && !self.overflow.is_empty() {
            self.pass_one_on();
        }
    }

    fn pass_one_on(&mut self) {
        let Some((mark, records)) = self.overflow.pop_front() else { return };
        self.writer.submit(mark, records);
        self.in_flight += 1;
    }
}

fn fared_alike(one: &Written, other: &Written) -> bool {
    match (one, other) {
        (Written::Stored { result: one, .. }, Written::Stored { result: other, .. }) => one == other,
        (Written::Stored { .. } | Written::Fatal(_), Written::Stored { .. } | Written::Fatal(_)) => false,
    }
}

/// History is kept by days.
const PRUNE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
