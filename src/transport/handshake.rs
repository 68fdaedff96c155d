//! The three messages of a handshake as they come in, and the session that comes of them. Owns what a hello
//! must show, which runs are let in, and which sessions have to go for a new one.

use std::net::SocketAddr;
use std::time::Duration;

use tracing::{debug, trace};

use super::dial::{TRIES_MAX, wait_after};
use super::echo::{PathMeter, smoothed};
use super::half_open::{Admission, HALF_OPEN_LIFE, HalfOpen};
use super::peer::Lower;
use super::session::{LastMessage, Session, Settled};
use super::timers::Timer;
use super::{Event, Transport};
use crate::base::limits::{SESSIONS_MAX, SESSIONS_PER_PEER_MAX};
use crate::base::{MemberId, Run, Step};
use crate::crypto::{Handshake, NoiseKey};
use crate::wire::datagram::{Gate, Hello, second_datagram, third_datagram};
use crate::wire::sealed::Item;
use crate::wire::{Card, Signed, decode_layout, encode_layout};

/// Repeats of message 3 that are answered while nothing else came: as many as there can be, doubled.
const THIRD_ANSWERS_MAX: u8 = 10;

/// What the other side's hello has shown.
struct Shown {
    card: Signed<Card>,
    seen_at: SocketAddr,
}

impl Transport {
    /// Message 1: somebody who knows the room begins.
    pub(super) fn handle_first(&mut self, step: &mut Step, from: SocketAddr, bytes: &[u8], sender: u32, noise: &[u8]) {
        if self.is_own_first(sender, bytes) {
            self.handle_self_dial(sender);
            return;
        }
        let Some(&ephemeral) = noise.first_chunk::<16>() else {
            self.counters.undecodable += 1;
            return;
        };
        // After a stall of our own the socket holds what was given up long ago, and answering it would use up what its
        // sources may begin. Who still waits repeats itself.
        if step.now.lag >= HALF_OPEN_LIFE {
            self.counters.handshakes_late += 1;
            return;
        }
        match self.half_opens.admit(step.now.time, from, &ephemeral) {
            Admission::Admitted => {}
            Admission::Repeated(index) => {
                self.counters.handshakes_repeated += 1;
                if let Some(reply) = self.half_opens.find(index).map(|half_open| half_open.reply.clone()) {
                    self.transmit(from, reply);
                }
                return;
            }
            Admission::Replayed => return self.counters.handshakes_replayed += 1,
            Admission::Limited => return self.counters.handshakes_limited += 1,
            Admission::Full => return self.counters.half_opens_refused += 1,
        }
        let mut handshake = Handshake::responder(&self.identity, &self.keys, &mut self.rng);
        if handshake.read(noise).is_err() {
            self.counters.handshakes_failed += 1;
            return;
        }
        let index = self.draw_index();
        let message = handshake.write(&self.hello_to(from));
        let reply = second_datagram(&self.keys.gate, index, sender, &message);
        trace!(%from, index, "message 1");
        let began = step.now.time;
        let half_open = HalfOpen { address: from, remote: sender, began, handshake, reply: reply.clone(), repeats: 0 };
        self.half_opens.insert(index, ephemeral, half_open);
        self.timers.set(Timer::HalfOpen(index), Some(began + HALF_OPEN_LIFE));
        self.transmit(from, reply);
    }

    /// Message 2: whom we dialled answers and shows who it is.
    pub(super) fn handle_second(
        &mut self,
        step: &mut Step,
        from: SocketAddr,
        gate: Gate,
        (sender, receiver): (u32, u32),
        noise: &[u8],
    ) {
        if self.attempts.get(&receiver).is_none_or(|attempt| attempt.begun.is_none()) {
            self.handle_second_again(from, gate, receiver);
            return;
        }
        let Some(attempt) = self.drop_attempt(receiver) else { return };
        // Nor does whoever answered long ago wait any more for what would end this handshake: another is begun.
        if step.now.lag >= HALF_OPEN_LIFE {
            self.counters.handshakes_late += 1;
            self.attempt(step, attempt.address, attempt.peer, Duration::ZERO);
            return;
        }
        let Some(begun) = attempt.begun else { return };
        let mut handshake = begun.handshake;
        let Some(shown) = self.read_hello(&mut handshake, noise) else {
            self.counters.handshakes_failed += 1;
            return;
        };
        trace!(%from, index = receiver, peer = ?shown.card.value().member, "message 2");
        if shown.card.value().member == self.identity.id() {
            self.handle_own_keys(from, shown.card);
            return;
        }
        let last = third_datagram(&self.keys.gate, sender, &handshake.write(&self.hello_to(from)));
        let keys = handshake.finish().expect("message 3 was the last");
        let now = step.now.time;
        // A message that went out twice has two possible times of sending (Karn's algorithm).
        let rtt = (begun.tries == 1).then(|| smoothed(None, now.since(begun.at)));
        let settled = Settled {
            keys,
            local: receiver,
            remote: sender,
            address: from,
            begun_here: true,
            began: begun.at,
            peer_gate: gate,
            last_message: Some(LastMessage { bytes: last, tries: 1 }),
            meter: PathMeter::new(now, begun.at, rtt),
        };
        self.open_session(step, settled, shown);
    }

    /// Message 2 once more: our message 3 was lost, or this one was doubled.
    fn handle_second_again(&mut self, from: SocketAddr, gate: Gate, receiver: u32) {
        let session = self.sessions.get(&receiver).filter(|session| session.peer_gate == gate && session.begun_here);
        let Some(session) = session else {
            self.counters.handshakes_unmatched += 1;
            return;
        };
        self.counters.handshakes_repeated += 1;
        if let Some(last) = session.last_message.as_ref().filter(|_| session.address == from) {
            self.transmit(from, last.bytes.clone());
        }
    }

    /// Message 3: who began shows who it is, and that it has the keys.
    pub(super) fn handle_third(&mut self, step: &mut Step, from: SocketAddr, gate: Gate, receiver: u32, noise: &[u8]) {
        if self.half_opens.find(receiver).is_none_or(|half_open| half_open.address != from) {
            self.handle_third_again(gate, receiver);
            return;
        }
        let Some(HalfOpen { address, remote, began, mut handshake, .. }) = self.half_opens.remove(receiver) else {
            return;
        };
        self.timers.set(Timer::HalfOpen(receiver), None);
        let shown = self.read_hello(&mut handshake, noise);
        let (Some(shown), Some(keys)) = (shown, handshake.finish()) else {
            self.counters.handshakes_failed += 1;
            return;
        };
        trace!(%from, index = receiver, peer = ?shown.card.value().member, "message 3");
        if shown.card.value().member == self.identity.id() {
            self.handle_own_keys(from, shown.card);
            return;
        }
        let settled = Settled {
            keys,
            local: receiver,
            remote,
            address,
            begun_here: false,
            began,
            peer_gate: gate,
            last_message: None,
            meter: PathMeter::new(step.now.time, began, None),
        };
        self.open_session(step, settled, shown);
        // Data stops message 3, so there must be some.
        self.owed.push(receiver);
    }

    /// Message 3 once more: what we sent on the session was lost.
    fn handle_third_again(&mut self, gate: Gate, receiver: u32) {
        let session = self.sessions.get_mut(&receiver).filter(|session| session.peer_gate == gate);
        let Some(session) = session.filter(|session| !session.begun_here) else {
            self.counters.handshakes_unmatched += 1;
            return;
        };
        self.counters.handshakes_repeated += 1;
        if !session.data_heard && session.answered < THIRD_ANSWERS_MAX {
            session.answered += 1;
            self.owed.push(receiver);
        }
    }

    /// Sends message 3 again, or gives the session up that nothing was heard on.
    pub(super) fn handle_confirm_due(&mut self, step: &mut Step, index: u32) {
        let Some(session) = self.sessions.get_mut(&index) else {
            return;
        };
        let (to, peer) = (session.address, session.peer);
        let Some(last) = session.last_message.as_mut() else {
            return;
        };
        if last.tries >= TRIES_MAX {
            debug!(?peer, index, "the session was never confirmed");
            self.counters.dials_failed += 1;
            self.drop_session(index);
            return;
        }
        last.tries += 1;
        let (bytes, wait) = (last.bytes.clone(), wait_after(last.tries, TRIES_MAX));
        self.timers.set(Timer::Confirm(index), Some(step.now.time + wait));
        self.transmit(to, bytes);
    }

    pub(super) fn handle_half_open_due(&mut self, index: u32) {
        if self.half_opens.remove(index).is_some() {
            self.counters.half_opens_expired += 1;
        }
    }

    /// Lets go of what ran under lower incarnations of `peer`; what still comes on it is stale.
    pub(super) fn end_runs_before(&mut self, peer: MemberId, run: Run) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        let sessions = &self.sessions;
        let is_over = |index: &u32| sessions.get(index).is_some_and(|s| s.run.incarnation < run.incarnation);
        let over: Vec<u32> = known.sessions.iter().copied().filter(is_over).collect();
        if over.is_empty() {
            return;
        }
        debug!(?peer, ?run, sessions = over.len(), "older runs are over");
        self.reset_reassembly(peer);
        for index in over {
            self.retired.insert(index, ());
            self.drop_session(index);
        }
    }

    fn open_session(&mut self, step: &mut Step, mut settled: Settled, shown: Shown) {
        let card = shown.card.value();
        let (peer, run) = (card.member, card.run);
        if self.is_over(peer, run) {
            self.refuse_outdated(step, peer, run, settled);
            return;
        }
        if !self.has_room_for(peer) {
            self.counters.handshakes_limited += 1;
            return;
        }
        self.end_runs_before(peer, run);
        self.drop_attempts_to(peer);
        self.make_room_for(peer);

        let now = step.now.time;
        let (local, address, begun_here) = (settled.local, settled.address, settled.begun_here);
        self.transmit_last_message(&settled);
        let same_path = self.peers.get(&peer).and_then(|known| self.sessions.get(&known.current?));
        if let Some(before) = same_path.filter(|session| session.address == address) {
            settled.meter.adopt(before.path());
        }
        let session = Session::new(now, peer, run, self.card.value().run, settled);
        self.keep_card(&shown.card);
        let known = self.peers.entry(peer).or_default();
        let crossed =
            known.sessions.iter().filter_map(|index| self.sessions.get(index)).any(|other| other.crosses(&session));
        if begun_here {
            self.timers.set(Timer::Confirm(local), Some(now + wait_after(1, TRIES_MAX)));
        }
        self.sessions.insert(local, Box::new(session));
        known.sessions.push(local);
        known.choose(&self.sessions, Lower::of(self.identity.id(), peer));
        self.counters.sessions_opened += 1;
        debug!(?peer, ?run, %address, index = local, begun_here, crossed, "session");
        if !crossed {
            self.tell(Event::Opened { peer, run, session: local, card: shown.card, address, seen_at: shown.seen_at });
        }
    }

    fn transmit_last_message(&mut self, settled: &Settled) {
        if let Some(last) = &settled.last_message {
            self.transmit(settled.address, last.bytes.clone());
        }
    }

    /// A living node whose run is over: its home was rolled back, or its clock was. It is shown the card that
    /// says so, on a session that lives for this one datagram; without a card to show it hears nothing.
    fn refuse_outdated(&mut self, step: &mut Step, peer: MemberId, run: Run, settled: Settled) {
        debug!(?peer, ?run, "a hello of a run that is over");
        self.counters.stale += 1;
        self.retired.insert(settled.local, ());
        let Some(proof) = self.cards.get(&peer).cloned() else {
            return;
        };
        self.transmit_last_message(&settled);
        let address = settled.address;
        let mut session = Session::new(step.now.time, peer, run, self.card.value().run, settled);
        let mut items = Vec::new();
        Item::Superseded { card: proof.bytes() }.write(&mut items);
        if let Some(datagram) = session.seal(step.now.time, &items) {
            self.transmit(address, datagram);
        }
    }

    /// Somebody with our own keys: this very node by another way, or a copy of its home.
    fn handle_own_keys(&mut self, address: SocketAddr, card: Signed<Card>) {
        debug!(%address, run = ?card.value().run, "this node's own keys");
        self.counters.dials_self += 1;
        self.tell(Event::Myself { address, card });
    }

    /// Keeps to the bounds: of a peer's sessions the oldest goes that is not in use, of all the one that was
    /// silent for longest.
    fn make_room_for(&mut self, peer: MemberId) {
        if let Some(known) = self.peers.get(&peer).filter(|known| known.sessions.len() >= SESSIONS_PER_PEER_MAX) {
            let spare = known.sessions.iter().copied().find(|&index| Some(index) != known.current);
            if let Some(index) = spare {
                self.forget_session(index);
            }
        }
        if self.sessions.len() >= SESSIONS_MAX {
            let silent = self.sessions.values().min_by_key(|session| session.path().heard).map(|session| session.local);
            if let Some(index) = silent {
                self.drop_session(index);
            }
        }
    }

    fn hello_to(&self, address: SocketAddr) -> Vec<u8> {
        encode_layout(&Hello { card: self.card.bytes().to_vec(), seen_at: address })
    }

    /// Reads a handshake message with a hello in it: the card must be of this room, and its handshake key the
    /// one that the handshake was made with.
    fn read_hello(&self, handshake: &mut Handshake, noise: &[u8]) -> Option<Shown> {
        let hello: Hello = decode_layout(&handshake.read(noise).ok()?).ok()?;
        let peer_key: NoiseKey = handshake.peer_key()?;
        let card = Signed::<Card>::open_by(self.identity.suite(), &hello.card).ok()?;
        let fits = card.value().room == self.room && card.value().noise_key == peer_key;
        fits.then_some(Shown { card, seen_at: hello.seen_at })
    }
}
