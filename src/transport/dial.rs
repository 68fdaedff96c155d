//! Dialling: handshakes that this node begins. Owns which addresses are tried when, how often message 1
//! repeats, and when nobody answers. Whom to dial is for others to say.

use std::net::SocketAddr;
use std::time::Duration;

use tracing::{debug, trace};

use super::half_open::HALF_OPEN_LIFE;
use super::timers::Timer;
use super::{Event, Transport};
use crate::base::limits::{DIALS_MAX, PEER_ADDRESSES_MAX};
use crate::base::{MemberId, Step, Time};
use crate::crypto::Handshake;
use crate::wire::datagram::{FIRST_PADDING_BYTES, first_datagram};

/// The first wait for an answer. It doubles with each try: a guess that serves from a LAN to a satellite.
const REPEAT_AFTER: Duration = Duration::from_millis(250);
/// Tries of message 1 to an address, and of message 3: sent at 0, 250, 750, 1,750 and 3,750 ms, given up 2 s
/// later.
pub(super) const TRIES_MAX: u32 = 5;
/// Tries of message 1 to a known peer: it is dialled again as long as it is remembered, and each try costs.
const PEER_TRIES_MAX: u32 = 3;
const LAST_WAIT: Duration = Duration::from_secs(2);
/// Between the first tries of a peer's addresses: RFC 8305, section 5, recommends it for the same end.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// A session heard within this is no reason to dial again: the longest that a heartbeat may be missed.
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// One handshake begun here, to one address.
#[derive(Debug)]
pub(super) struct Attempt {
    pub address: SocketAddr,
    /// Whom it is meant for, if that is known. Who answers shows in message 2.
    pub peer: Option<MemberId>,
    /// `None` until its turn comes.
    pub begun: Option<Begun>,
}

#[derive(Debug)]
pub(super) struct Begun {
    pub handshake: Handshake,
    pub message: Vec<u8>,
    pub at: Time,
    pub tries: u32,
}

/// When message 1 or 3 goes out again after `tries` of them, or is given up after the last.
pub(super) fn wait_after(tries: u32, tries_max: u32) -> Duration {
    if tries >= tries_max { LAST_WAIT } else { REPEAT_AFTER * (1 << tries.saturating_sub(1)) }
}

impl Transport {
    /// Dials a member at `addresses`, best first, one after the other without waiting for the first to fail; more than
    /// `PEER_ADDRESSES_MAX` are cut off. Nothing happens while a dial is on, or when a session with it was heard
    /// lately. A session that has been silent for 5 s is kept, and another is tried for.
    pub fn connect(&mut self, step: &mut Step, peer: MemberId, addresses: &[SocketAddr]) {
        let is_dialled = self.peers.get(&peer).is_some_and(|known| !known.attempts.is_empty());
        if peer == self.identity.id() || is_dialled || self.is_fresh(step.now.time, peer) || !self.has_room_for(peer) {
            return;
        }
        let mut wait = Duration::ZERO;
        for &address in addresses.iter().take(PEER_ADDRESSES_MAX) {
            self.attempt(step, address, Some(peer), wait);
            wait += NEXT_ADDRESS_AFTER;
        }
    }

    /// Dials whoever is at `address`, unless a dial to it is on.
    pub fn dial(&mut self, step: &mut Step, address: SocketAddr) {
        if !self.attempts.values().any(|attempt| attempt.address == address) {
            self.attempt(step, address, None, Duration::ZERO);
        }
    }

    pub(super) fn attempt(&mut self, step: &mut Step, address: SocketAddr, peer: Option<MemberId>, wait: Duration) {
        if self.attempts.len() >= DIALS_MAX {
            self.counters.dials_refused += 1;
            return;
        }
        self.counters.dials += 1;
        let index = self.draw_index();
        self.attempts.insert(index, Attempt { address, peer, begun: None });
        if let Some(peer) = peer {
            self.peers.entry(peer).or_default().attempts.push(index);
        }
        debug!(%address, ?peer, index, "dial");
        if wait.is_zero() {
            self.handle_dial_due(step, index);
        } else {
            self.timers.set(Timer::Dial(index), Some(step.now.time + wait));
        }
    }

    /// Sends message 1, or sends it again, or gives up.
    pub(super) fn handle_dial_due(&mut self, step: &mut Step, index: u32) {
        let now = step.now.time;
        let Some(attempt) = self.attempts.get_mut(&index) else {
            return;
        };
        // Whoever got the message before this node stood still has given up by now, and would take it for a replay.
        if step.now.lag >= HALF_OPEN_LIFE {
            attempt.begun = None;
        }
        let begun = attempt.begun.get_or_insert_with(|| {
            let mut handshake = Handshake::initiator(&self.identity, &self.keys, &mut self.rng);
            let message = first_datagram(&self.keys.gate, index, &handshake.write(&[0; FIRST_PADDING_BYTES]));
            Begun { handshake, message, at: now, tries: 0 }
        });
        let tries_max = if attempt.peer.is_some() { PEER_TRIES_MAX } else { TRIES_MAX };
        if begun.tries >= tries_max {
            self.counters.dials_failed += 1;
            debug!(address = %attempt.address, index, "nobody answers");
            self.drop_attempt(index);
            return;
        }
        begun.tries += 1;
        trace!(to = %attempt.address, index, tries = begun.tries, "message 1");
        let (to, bytes, wait) = (attempt.address, begun.message.clone(), wait_after(begun.tries, tries_max));
        self.timers.set(Timer::Dial(index), Some(now + wait));
        self.transmit(to, bytes);
    }

    /// The peer just spoke: what it was sent while it could not answer goes out once more, at once. Says whether it is
    /// being dialled.
    pub(super) fn hurry_attempts(&mut self, step: &mut Step, peer: MemberId) -> bool {
        let attempts = self.peers.get(&peer).map(|known| known.attempts.clone()).unwrap_or_default();
        for &index in &attempts {
            if let Some(begun) = self.attempts.get_mut(&index).and_then(|attempt| attempt.begun.as_mut()) {
                // Its repeats come anew, too; that it went out before stays known, so that no round trip is taken from it.
                begun.tries = begun.tries.min(1);
            }
            self.handle_dial_due(step, index);
        }
        !attempts.is_empty()
    }

    /// Notices a first message that is one's own: a dial has reached this very node.
    pub(super) fn is_own_first(&self, sender: u32, bytes: &[u8]) -> bool {
        let begun = self.attempts.get(&sender).and_then(|attempt| attempt.begun.as_ref());
        begun.is_some_and(|begun| begun.message == bytes)
    }

    pub(super) fn handle_self_dial(&mut self, index: u32) {
        self.counters.dials_self += 1;
        if let Some(attempt) = self.drop_attempt(index) {
            debug!(address = %attempt.address, "the dial reached this very node");
            self.tell(Event::Myself { address: attempt.address, card: self.card.clone() });
        }
    }

    /// Ends an attempt, and what its peer knows of it.
    pub(super) fn drop_attempt(&mut self, index: u32) -> Option<Attempt> {
        let attempt = self.attempts.remove(&index)?;
        self.timers.set(Timer::Dial(index), None);
        if let Some(peer) = attempt.peer {
            if let Some(known) = self.peers.get_mut(&peer) {
                known.attempts.retain(|&other| other != index);
            }
            self.drop_if_idle(peer);
        }
        Some(attempt)
    }

    pub(super) fn drop_attempts_to(&mut self, peer: MemberId) {
        let attempts = self.peers.get(&peer).map(|known| known.attempts.clone()).unwrap_or_default();
        for index in attempts {
            self.drop_attempt(index);
        }
    }

    /// Whether a session with the peer was heard lately that knows us by our present run.
    pub(super) fn is_fresh(&self, now: Time, peer: MemberId) -> bool {
        let own_run = self.card.value().run;
        let sessions = self.peers.get(&peer).map_or(&[][..], |known| &known.sessions);
        sessions
            .iter()
            .filter_map(|index| self.sessions.get(index))
            .any(|session| session.own_run == own_run && session.is_heard_within(FRESH, now))
    }
}
