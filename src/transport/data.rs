//! Data datagrams, both ways: opened, told in order of their items, and packed from what a settle pass has
//! queued. Owns what is counted when one does not hold; knows no frame's meaning.

use std::net::SocketAddr;
use std::time::Duration;

use tracing::{debug, trace};

use super::pack::Packed;
use super::peer::Lower;
use super::reassembly::{Assembled, Reassembly};
use super::session::Session;
use super::timers::Timer;
use super::{Event, Transport};
use crate::base::limits::ALL_PEERS_BYTES_MAX;
use crate::base::{Cause, MemberId, Run, Step, Time};
use crate::wire::sealed::{Channel, Echo, Fragment, Item, read_items};
use crate::wire::{Card, Label, Signed};

/// When the session in use has been silent for this while another is heard, the other is used.
const SWITCH_AFTER: Duration = Duration::from_secs(3);

/// The session that a datagram came on, as its items need it.
#[derive(Clone, Copy)]
struct Arrival {
    peer: MemberId,
    run: Run,
    cause: Cause,
    now: Time,
}

impl Transport {
    pub(super) fn handle_data(
        &mut self,
        step: &mut Step,
        from: SocketAddr,
        (receiver, counter): (u32, u64),
        header: &[u8],
        sealed: &[u8],
    ) {
        let now = step.now.time;
        let Some(session) = self.sessions.get_mut(&receiver) else {
            self.handle_unknown(step, from, receiver);
            return;
        };
        if !session.expects(counter) {
            self.counters.replayed += 1;
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(sealed);
        if let Some(text) = session.open(now, counter, header, &mut scratch) {
            if from != session.address {
                self.counters.moved += 1;
            }
            let cause = Cause::Datagram { peer: session.peer, session: receiver, counter };
            let arrival = Arrival { peer: session.peer, run: session.run, cause, now };
            self.handle_opened_text(receiver, arrival, text);
        } else {
            self.counters.tag_failed += 1;
        }
        self.scratch = scratch;
    }

    /// Queues a frame for the datagrams of this settle pass. False, and nothing queued, when there is no session
    /// with `peer` or its queue is full. `label` comes out again with the datagram that carries the frame, for
    /// whoever draws what was sent; nothing here depends on it.
    pub fn send(&mut self, peer: MemberId, channel: Channel, frame: &[u8], label: Option<Label>) -> bool {
        let Some(known) = self.peers.get_mut(&peer).filter(|known| known.current.is_some()) else {
            self.counters.unsent += 1;
            return false;
        };
        if known.packer.is_empty() {
            self.dirty.push(peer);
        }
        let queued = known.packer.push(channel, frame, label);
        if queued {
            self.counters.frames_out += 1;
        } else {
            self.counters.unsent += 1;
        }
        queued
    }

    /// Ends a settle pass: what was queued goes out, packed.
    pub fn flush(&mut self, step: &mut Step) {
        let now = step.now.time;
        let mut owed = std::mem::take(&mut self.owed);
        for peer in std::mem::take(&mut self.dirty) {
            let Some(known) = self.peers.get_mut(&peer) else {
                continue;
            };
            let datagrams = known.packer.take();
            let Some(index) = known.current else {
                continue;
            };
            owed.retain(|&other| other != index);
            for packed in datagrams {
                self.seal_and_transmit(now, index, packed);
            }
            self.replace_if_spent(step, peer, index);
        }
        for index in owed {
            self.seal_and_transmit(now, index, Packed::default());
        }
    }

    pub(super) fn seal_and_transmit(&mut self, now: Time, index: u32, packed: Packed) {
        let Some(session) = self.sessions.get_mut(&index) else {
            return;
        };
        let to = session.address;
        if let Some(datagram) = session.seal(now, &packed.items) {
            self.transmit_labelled(to, datagram, packed.labels);
        }
    }

    /// Dials a successor while the session still carries, and ends it when it does not.
    fn replace_if_spent(&mut self, step: &mut Step, peer: MemberId, index: u32) {
        let Some(session) = self.sessions.get(&index).filter(|session| session.needs_successor()) else {
            return;
        };
        let (is_spent, address) = (session.is_spent(), session.address);
        if self.peers.get(&peer).is_some_and(|known| known.attempts.is_empty()) {
            self.attempt(step, address, Some(peer), Duration::ZERO);
        }
        if is_spent {
            self.drop_session(index);
        }
    }

    fn handle_opened_text(&mut self, index: u32, arrival: Arrival, text: &[u8]) {
        let Some(session) = self.sessions.get_mut(&index) else {
            return;
        };
        let Some((echo, items)) = Echo::read(text) else {
            self.counters.undecodable += 1;
            return;
        };
        if !session.handle_echo(arrival.now, echo) {
            self.counters.echoes_false += 1;
        }
        session.data_heard = true;
        if !session.confirmed {
            session.confirmed = true;
            session.last_message = None;
            self.timers.set(Timer::Confirm(index), None);
            self.choose(arrival.peer);
        }
        self.follow(index, arrival);
        if let Some(mut path) = self.path(arrival.peer) {
            // Nothing shows in which order two sessions were used. On the one in use here a datagram may have been overtaken by one
            // of the other, for as long as both are used: that is left as it is.
            path.overtaken |= self.peers.get(&arrival.peer).is_some_and(|known| known.current != Some(index));
            self.tell(Event::Heard { peer: arrival.peer, run: arrival.run, path });
        }
        let Some(items) = read_items(items) else {
            self.counters.undecodable += 1;
            return;
        };
        trace!(peer = ?arrival.peer, index, items = items.len(), "data");
        for item in items {
            match item {
                Item::Frame { channel, bytes } => self.tell_frame(arrival, channel, bytes.to_vec()),
                Item::Fragment(fragment) => self.handle_fragment(arrival, &fragment),
                Item::Superseded { card } => self.handle_superseded(index, arrival, card),
                Item::Unknown => self.counters.reserved += 1,
            }
        }
    }

    /// The peer may use another session than we do, because it lost ours: then we follow it.
    fn follow(&mut self, index: u32, arrival: Arrival) {
        let Some(current) = self.peers.get(&arrival.peer).and_then(|known| known.current) else {
            return;
        };
        if current == index {
            return;
        }
        let is_heard = |session: &Session| session.is_heard_within(SWITCH_AFTER, arrival.now);
        if !self.sessions.get(&current).is_some_and(|session| is_heard(session))
            && let Some(known) = self.peers.get_mut(&arrival.peer)
        {
            debug!(peer = ?arrival.peer, from = current, to = index, "the peer uses another session");
            known.current = Some(index);
        }
    }

    fn tell_frame(&mut self, arrival: Arrival, channel: Channel, bytes: Vec<u8>) {
        self.counters.frames_in += 1;
        let Arrival { peer, run, cause, .. } = arrival;
        self.tell(Event::Frame { peer, run, channel, bytes, cause });
    }

    fn handle_fragment(&mut self, arrival: Arrival, fragment: &Fragment<'_>) {
        let Some(known) = self.peers.get_mut(&arrival.peer) else {
            return;
        };
        let before = known.reassembly.bytes();
        // All peers together fill at most half of what they may make a node hold; the rest is messages'.
        if self.reassembly_bytes - before > ALL_PEERS_BYTES_MAX / 2 {
            self.counters.reassembly_dropped += 1;
            return;
        }
        let assembled = known.reassembly.handle_fragment(arrival.now, fragment, &mut self.counters.reassembly_dropped);
        self.reassembly_bytes = self.reassembly_bytes - before + known.reassembly.bytes();
        self.timers.set(Timer::Reassembly(arrival.peer), known.reassembly.next_expiry());
        match assembled {
            Assembled::Waiting => {}
            Assembled::Whole { channel, bytes } => self.tell_frame(arrival, channel, bytes),
            Assembled::Contradiction => self.counters.fragments_false += 1,
        }
    }

    pub(super) fn handle_reassembly_due(&mut self, now: Time, peer: MemberId) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        let before = known.reassembly.bytes();
        self.counters.reassembly_dropped += known.reassembly.expire(now);
        self.reassembly_bytes = self.reassembly_bytes - before + known.reassembly.bytes();
        self.timers.set(Timer::Reassembly(peer), known.reassembly.next_expiry());
    }

    pub(super) fn reset_reassembly(&mut self, peer: MemberId) {
        if let Some(known) = self.peers.get_mut(&peer) {
            self.reassembly_bytes -= known.reassembly.bytes();
            known.reassembly = Reassembly::default();
            self.timers.set(Timer::Reassembly(peer), None);
        }
    }

    /// The peer knows a higher run of ours, and shows the card. Only we could have signed it.
    fn handle_superseded(&mut self, index: u32, arrival: Arrival, card: &[u8]) {
        let own = self.card.value();
        // The signature costs more than all else here: it is looked at last.
        let concerns = Signed::<Card>::open_trusted(card)
            .is_ok_and(|card| card.value().member == own.member && card.value().run.incarnation > own.run.incarnation);
        let Some(card) = concerns.then(|| Signed::<Card>::open_by(self.identity.suite(), card).ok()).flatten() else {
            self.counters.undecodable += 1;
            return;
        };
        debug!(peer = ?arrival.peer, run = ?card.value().run, "a higher run of our own is known");
        self.drop_session(index);
        self.tell(Event::Superseded { peer: arrival.peer, card });
    }

    /// Data for an index that is no session's: of a dead one, of one not yet finished, or of a life before
    /// this process. The last is mended by a handshake if the sender is somebody we know.
    fn handle_unknown(&mut self, step: &mut Step, from: SocketAddr, receiver: u32) {
        if self.retired.find(&receiver).is_some() {
            self.counters.stale += 1;
            return;
        }
        if self.half_opens.find(receiver).is_some() {
            self.counters.early += 1;
            return;
        }
        self.counters.unknown_index += 1;
        let now = step.now.time;
        if !self.unknown.look(now) {
            return;
        }
        let is_due = |peer: MemberId| !self.unknown.is_quiet(peer, now) && !self.is_fresh(now, peer);
        let at = |card: &&Signed<Card>| card.value().addresses.contains(&from);
        let Some(peer) = self.cards.values().filter(at).map(|card| card.value().member).find(|&peer| is_due(peer))
        else {
            return;
        };
        self.unknown.silence(peer, now);
        debug!(?peer, %from, "unknown index");
        if !self.hurry_attempts(step, peer) {
            self.attempt(step, from, Some(peer), Duration::ZERO);
        }
    }

    fn choose(&mut self, peer: MemberId) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.choose(&self.sessions, Lower::of(self.identity.id(), peer));
        }
    }
}
