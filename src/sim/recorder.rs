//! The trace of a simulated run, as it is made: numbers and queues lines, and knows which line an event's own
//! cause stands for. Owns the hash of a run; costs nothing where nobody asked for lines.

use std::collections::VecDeque;

use crate::base::{Cause, EventNumber, Time};
use crate::check::{Line, LineNumber, Name, What};
use crate::wire::datagram::read_data_header;

/// Where lines go.
pub(super) struct Recorder {
    lines: VecDeque<Line>,
    written: LineNumber,
    is_on: bool,
    hash: blake3::Hasher,
    /// What is still to be hashed: many small pieces at once cost a tenth of one by one.
    pending: Vec<u8>,
}

const PENDING_BYTES: usize = 64 * 1024;

impl Recorder {
    pub(super) fn new(is_on: bool) -> Self {
        Self { lines: VecDeque::new(), written: 0, is_on, hash: blake3::Hasher::new(), pending: Vec::new() }
    }

    pub(super) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Adds a line, if lines are asked for. `what` is not called otherwise.
    pub(super) fn line(
        &mut self,
        at: Time,
        node: Option<&Name>,
        cause: Option<LineNumber>,
        what: impl FnOnce() -> What,
    ) -> Option<LineNumber> {
        if !self.is_on {
            return None;
        }
        self.written += 1;
        debug_assert!(cause.is_none_or(|cause| cause < self.written), "a cause is an earlier line");
        self.lines.push_back(Line { n: self.written, at, node: node.cloned(), cause, what: what() });
        Some(self.written)
    }

    pub(super) fn poll_line(&mut self) -> Option<Line> {
        self.lines.pop_front()
    }

    /// Adds to the hash of the run.
    pub(super) fn hash(&mut self, at: Time, machine: usize, bytes: &[u8]) {
        self.pending.extend_from_slice(&at.as_micros().to_be_bytes());
        for number in [machine, bytes.len()] {
            self.pending.extend_from_slice(&u64::try_from(number).unwrap_or(u64::MAX).to_be_bytes());
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PENDING_BYTES {
            self.hash.update(&self.pending);
            self.pending.clear();
        }
    }

    pub(super) fn finish(&self) -> [u8; 32] {
        *self.hash.clone().update(&self.pending).finalize().as_bytes()
    }
}

/// Which lines the events and datagrams of one process stand on, for causes that name them.
#[derive(Default)]
pub(super) struct Lines {
    told: Vec<(EventNumber, LineNumber)>,
    arrived: VecDeque<Arrived>,
}

/// A datagram that arrived.
struct Arrived {
    /// The receiver's session and the counter; `None` for a handshake.
    header: Option<(u32, u64)>,
    sent: LineNumber,
    line: LineNumber,
}

/// Datagrams that are remembered for what they cause later: what they caused waits at most for a commit.
const ARRIVED_MAX: usize = 4_096;

impl Lines {
    pub(super) fn told(&mut self, n: EventNumber, line: LineNumber) {
        self.told.push((n, line));
    }

    /// Remembers a datagram, by what its header says in the clear.
    pub(super) fn arrived(&mut self, bytes: &[u8], sent: LineNumber, line: LineNumber) {
        if self.arrived.len() == ARRIVED_MAX {
            self.arrived.pop_front();
        }
        self.arrived.push_back(Arrived { header: read_data_header(bytes), sent, line });
    }

    /// The line of the sending of the datagram that arrived at `line`.
    pub(super) fn sending_of(&self, line: LineNumber) -> Option<LineNumber> {
        let at = self.arrived.binary_search_by_key(&line, |arrived| arrived.line).ok()?;
        self.arrived.get(at).map(|arrived| arrived.sent)
    }

    /// The line that `cause` names, if it is remembered. Event numbers only grow.
    pub(super) fn of(&self, cause: Cause) -> Option<LineNumber> {
        match cause {
            Cause::Event(n) => {
                let at = self.told.binary_search_by_key(&n, |&(told, _)| told).ok()?;
                self.told.get(at).map(|&(_, line)| line)
            }
            Cause::Datagram { peer: _, session, counter } => {
                let mut latest = self.arrived.iter().rev();
                latest.find(|arrived| arrived.header == Some((session, counter))).map(|arrived| arrived.line)
            }
        }
    }
}
