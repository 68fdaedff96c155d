//! One session: the keys of one handshake, bound to one run of one peer. Owns its counters, its replay
//! window and the measure of its path; knows nothing of the peer's other sessions.

use std::net::SocketAddr;
use std::time::Duration;

use super::echo::PathMeter;
use super::replay::ReplayWindow;
use crate::base::limits::SESSION_DATAGRAMS_MAX;
use crate::base::{MemberId, Path, Run, Time};
use crate::crypto::{SessionKeys, TAG_BYTES};
use crate::wire::datagram::{DATA_HEADER_BYTES, Gate, data_header};
use crate::wire::sealed::{ECHO_BYTES_MAX, Echo};

/// Datagrams before the last at which a successor is dialled: minutes at any rate that was measured.
const SUCCESSOR_DATAGRAMS: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Session {
    pub peer: MemberId,
    pub run: Run,
    /// Our own run, as our hello showed it.
    pub own_run: Run,
    /// Our index, which the peer writes into each datagram, and the peer's, which we write.
    pub local: u32,
    pub remote: u32,
    /// Where replies go: where the handshake came from, until the next handshake.
    pub address: SocketAddr,
    /// Whether message 1 was ours.
    pub begun_here: bool,
    /// When the first message was sent or came, and when the last one did.
    pub began: Time,
    pub opened: Time,
    /// Whether the peer is known to have its keys, so that data on it is not lost for certain.
    pub confirmed: bool,
    /// Whether data came on it.
    pub data_heard: bool,
    /// Message 3, while it may have to go out again, and how often it has.
    pub last_message: Option<LastMessage>,
    /// The gate of the peer's last handshake message, by which a repeat is known.
    pub peer_gate: Gate,
    /// Repeats of the peer's last message that were answered.
    pub answered: u8,
    keys: SessionKeys,
    next: u64,
    replay: ReplayWindow,
    meter: PathMeter,
}

#[derive(Debug)]
pub(super) struct LastMessage {
    pub bytes: Vec<u8>,
    pub tries: u32,
}

/// What a handshake has settled, whichever side finishes it.
#[derive(Debug)]
pub(super) struct Settled {
    pub keys: SessionKeys,
    pub local: u32,
    pub remote: u32,
    pub address: SocketAddr,
    pub begun_here: bool,
    pub began: Time,
    pub peer_gate: Gate,
    pub last_message: Option<LastMessage>,
    pub meter: PathMeter,
}

impl Session {
    pub(super) fn new(now: Time, peer: MemberId, run: Run, own_run: Run, settled: Settled) -> Self {
        Self {
            peer,
            run,
            own_run,
            local: settled.local,
            remote: settled.remote,
            address: settled.address,
            begun_here: settled.begun_here,
            began: settled.began,
            opened: now,
            confirmed: !settled.begun_here,
            data_heard: false,
            last_message: settled.last_message,
            peer_gate: settled.peer_gate,
            answered: 0,
            keys: settled.keys,
            next: 0,
            replay: ReplayWindow::new(),
            meter: settled.meter,
        }
    }

    /// The next datagram to the peer: echo and `items`, sealed. `None` once the counters are used up.
    pub(super) fn seal(&mut self, now: Time, items: &[u8]) -> Option<Vec<u8>> {
        if self.is_spent() {
            return None;
        }
        let counter = self.next;
        self.next += 1;
        let mut datagram = Vec::with_capacity(DATA_HEADER_BYTES + ECHO_BYTES_MAX + items.len() + TAG_BYTES);
        datagram.extend_from_slice(&data_header(self.remote, counter));
        self.meter.echo(now, &self.replay).write(&mut datagram);
        datagram.extend_from_slice(items);
        self.keys.send.seal(counter, &mut datagram, DATA_HEADER_BYTES);
        self.meter.record_sent(now);
        Some(datagram)
    }

    /// Whether a datagram with `counter` may be opened at all.
    pub(super) fn expects(&self, counter: u64) -> bool {
        counter < SESSION_DATAGRAMS_MAX && self.replay.is_fresh(counter)
    }

    /// Opens `sealed` in place and marks its counter. `None`, and nothing marked, unless the tag holds.
    pub(super) fn open<'a>(
        &mut self,
        now: Time,
        counter: u64,
        header: &[u8],
        sealed: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        let text = self.keys.receive.open(counter, header, sealed)?;
        let newest = self.replay.mark(counter);
        self.meter.record_heard(now, newest, &self.replay);
        Some(text)
    }

    /// Takes the peer's echo. False if it is of a datagram that was never sent.
    #[must_use]
    pub(super) fn handle_echo(&mut self, now: Time, echo: Echo) -> bool {
        self.meter.handle_echo(now, echo)
    }

    pub(super) fn path(&self) -> Path {
        self.meter.path()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.next >= SESSION_DATAGRAMS_MAX
    }

    pub(super) fn needs_successor(&self) -> bool {
        self.next >= SESSION_DATAGRAMS_MAX - SUCCESSOR_DATAGRAMS
    }

    /// Whether it was heard within `span` before `now`.
    pub(super) fn is_heard_within(&self, span: Duration, now: Time) -> bool {
        self.path().heard.is_some_and(|heard| now.since(heard) < span)
    }

    /// Whether the two handshakes ran at the same time from both sides.
    pub(super) fn crosses(&self, other: &Self) -> bool {
        self.begun_here != other.begun_here
            && self.run == other.run
            && self.began <= other.opened
            && other.began <= self.opened
    }

    #[cfg(test)]
    pub(super) fn spend(&mut self, left: u64) {
        self.next = SESSION_DATAGRAMS_MAX - left;
    }
}
