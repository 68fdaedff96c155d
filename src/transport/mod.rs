//! Node to node: handshakes, sessions, paths, packing, fragments. Says what was opened, closed, heard, and
//! hands frames up. Keeps the newest card of each member, and state for those alone with whom something is on; decides
//! nothing about members and
//! reads no frame's meaning.
//!
//! The shape: after each `handle_*`, `connect`, `dial`, … drain [`Transport::poll_output`] to the end; frames
//! queued by [`Transport::send`] leave at [`Transport::flush`], which ends each settle pass.
//! [`Transport::poll_timeout`] may change with every input.

mod counters;
mod data;
mod dial;
mod echo;
mod half_open;
mod handshake;
mod pack;
mod peer;
mod reassembly;
mod recent;
mod replay;
mod session;
mod timers;
mod unknown;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tracing::trace;

pub use self::counters::Counters;
use self::dial::Attempt;
use self::half_open::HalfOpens;
use self::peer::{Lower, Peer, Sessions};
use self::recent::Recent;
use self::timers::{Timer, Timers};
use self::unknown::Unknown;
use crate::base::limits::{MEMBERS_MAX, RETIRED_SESSIONS_MAX};
use crate::base::{ByMember, Cause, MemberId, Path, Queue, Rng, RoomId, Run, Step, Time};
use crate::crypto::{Identity, RoomKeys};
use crate::wire::datagram::{Datagram, DatagramError};
pub use crate::wire::sealed::Channel;
use crate::wire::{Card, Label, Signed};

/// What a transport is made of.
pub struct Settings {
    pub identity: Identity,
    pub room: RoomId,
    pub keys: RoomKeys,
    /// Shown in hellos; its run is ours.
    pub card: Signed<Card>,
    pub rng: Rng,
}

/// What transport wants done or known, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send one datagram. `labels` are those of its frames, where they were given with them.
    Transmit {
        to: SocketAddr,
        bytes: Vec<u8>,
        labels: Vec<Label>,
    },
    Event(Event),
}

/// What transport says to those above it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A session is open. Of two that crossed only the first is told. Told again when a later handshake
    /// replaces the session of the same run; and also for another boot of an incarnation that is known, so that
    /// a copied home can be noticed above.
    Opened {
        peer: MemberId,
        run: Run,
        session: u32,
        card: Signed<Card>,
        address: SocketAddr,
        /// Where the peer sees us.
        seen_at: SocketAddr,
    },
    /// The last session with this run of the peer is gone.
    Closed {
        peer: MemberId,
        run: Run,
        session: u32,
    },
    /// Once for each authentic datagram, before its frames.
    Heard {
        peer: MemberId,
        run: Run,
        path: Path,
    },
    Frame {
        peer: MemberId,
        run: Run,
        channel: Channel,
        bytes: Vec<u8>,
        cause: Cause,
    },
    /// Somebody with this node's own keys is at `address`: if the card's run is ours, this very node; if not, a
    /// copy of its home. No session comes of it.
    Myself {
        address: SocketAddr,
        card: Signed<Card>,
    },
    /// A peer refused our run and showed a card of a higher one of ours, which only we can have signed.
    Superseded {
        peer: MemberId,
        card: Signed<Card>,
    },
}

/// The sessions of one node with all others.
pub struct Transport {
    identity: Identity,
    room: RoomId,
    keys: RoomKeys,
    card: Signed<Card>,
    rng: Rng,
    /// Those with whom this node has a session, or tries for one.
    peers: BTreeMap<MemberId, Box<Peer>>,
    /// The newest card known of each member: what ran under a lower incarnation is over, and it is shown to whoever
    /// comes with one. Its addresses tell whose an unknown datagram may be.
    cards: ByMember<Signed<Card>>,
    unknown: Unknown,
    sessions: Sessions,
    attempts: BTreeMap<u32, Attempt>,
    half_opens: HalfOpens,
    /// Indices of sessions that are over.
    retired: Recent<u32, ()>,
    timers: Timers,
    /// Peers with frames queued in this settle pass, in the order of the first.
    dirty: Vec<MemberId>,
    /// Sessions that must carry a datagram at the end of this settle pass, be it empty.
    owed: Vec<u32>,
    /// What unfinished frames of all peers take.
    reassembly_bytes: usize,
    /// Where datagrams are opened.
    scratch: Vec<u8>,
    outputs: Queue<Output>,
    counters: Counters,
}

impl Transport {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { identity, room, keys, card, rng } = settings;
        Self {
            identity,
            room,
            keys,
            card,
            rng,
            peers: BTreeMap::new(),
            cards: ByMember::default(),
            unknown: Unknown::default(),
            sessions: BTreeMap::new(),
            attempts: BTreeMap::new(),
            half_opens: HalfOpens::new(),
            retired: Recent::new(RETIRED_SESSIONS_MAX),
            timers: Timers::default(),
            dirty: Vec::new(),
            owed: Vec::new(),
            reassembly_bytes: 0,
            scratch: Vec::new(),
            outputs: Queue::default(),
            counters: Counters::default(),
        }
    }

    /// The card to be shown in hellos from now on; its run is ours. Sessions that are open stay so.
    pub fn set_card(&mut self, card: Signed<Card>) {
        self.card = card;
    }

    /// This card is proven: sessions of lower incarnations of its member are over, and what comes on them is stale. A
    /// node of such a one that comes later is shown it. Past twice `MEMBERS_MAX` a new member's is not taken.
    pub fn prove(&mut self, _step: &mut Step, card: &Signed<Card>) {
        let (peer, run) = (card.value().member, card.value().run);
        if peer != self.identity.id() && self.keep_card(card) {
            self.end_runs_before(peer, run);
        }
    }

    /// Drops the sessions with `peer`, and dials to it: it left. What still comes on them is stale.
    pub fn close(&mut self, step: &mut Step, peer: MemberId) {
        for index in self.peers.get(&peer).map(|known| known.sessions.clone()).unwrap_or_default() {
            self.retired.insert(index, ());
        }
        self.release(step, peer);
    }

    /// Drops the sessions with `peer`, and dials to it: nothing came on them for long. Should something come all the
    /// same, the peer slept, and holds them open: it is dialled as for any unknown index.
    pub fn release(&mut self, _step: &mut Step, peer: MemberId) {
        self.drop_attempts_to(peer);
        for index in self.peers.get(&peer).map(|known| known.sessions.clone()).unwrap_or_default() {
            self.drop_session(index);
        }
        self.reset_reassembly(peer);
    }

    /// Drops all that is kept of `peer`. Nothing is told of it.
    pub fn forget(&mut self, peer: MemberId) {
        self.drop_attempts_to(peer);
        self.reset_reassembly(peer);
        self.cards.remove(&peer);
        self.unknown.forget(peer);
        let Some(known) = self.peers.remove(&peer) else {
            return;
        };
        for index in known.sessions {
            self.sessions.remove(&index);
            self.counters.sessions_closed += 1;
            self.timers.set(Timer::Confirm(index), None);
            self.retired.insert(index, ());
        }
    }

    /// A datagram from the socket. It may be anything: what does not hold is counted and changes nothing. Data
    /// is taken from any address, but replies go where the session's handshake came from: a new address is
    /// adopted by a new handshake only.
    pub fn handle_datagram(&mut self, step: &mut Step, from: SocketAddr, bytes: &[u8]) {
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match Datagram::decode(bytes, &self.keys.gate) {
            Ok(Datagram::Data { receiver, counter, header, sealed }) => {
                self.handle_data(step, from, (receiver, counter), header, sealed);
            }
            Ok(Datagram::First { sender, noise, .. }) => self.handle_first(step, from, bytes, sender, noise),
            Ok(Datagram::Second { gate, sender, receiver, noise }) => {
                self.handle_second(step, from, gate, (sender, receiver), noise);
            }
            Ok(Datagram::Third { gate, receiver, noise }) => self.handle_third(step, from, gate, receiver, noise),
            Err(error) => {
                trace!(%from, bytes = bytes.len(), %error, "not taken");
                match error {
                    DatagramError::Malformed => self.counters.undecodable += 1,
                    DatagramError::Reserved => self.counters.reserved += 1,
                    DatagramError::Gate => self.counters.gate_failed += 1,
                }
            }
        }
    }

    pub fn handle_timeout(&mut self, step: &mut Step) {
        while let Some(timer) = self.timers.pop_due(step.now.time) {
            match timer {
                Timer::Dial(index) => self.handle_dial_due(step, index),
                Timer::Confirm(index) => self.handle_confirm_due(step, index),
                Timer::HalfOpen(index) => self.handle_half_open_due(index),
                Timer::Reassembly(peer) => self.handle_reassembly_due(step.now.time, peer),
            }
        }
    }

    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// What the session in use has shown of the way to `peer`; `None` without one.
    #[must_use]
    pub fn path(&self, peer: MemberId) -> Option<Path> {
        self.peers.get(&peer)?.path(&self.sessions)
    }

    /// Where the session in use sends to.
    #[must_use]
    pub fn address(&self, peer: MemberId) -> Option<SocketAddr> {
        Some(self.sessions.get(&self.peers.get(&peer)?.current?)?.address)
    }

    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What is held now, against the limits of `base::limits`: name, used, limit.
    pub fn gauges(&self) -> impl Iterator<Item = (&'static str, usize, usize)> + use<> {
        use crate::base::limits::{ALL_PEERS_BYTES_MAX, DIALS_MAX, HALF_OPEN_MAX, SESSIONS_MAX};
        [
            ("sessions", self.sessions.len(), SESSIONS_MAX),
            ("half_open", self.half_opens.len(), HALF_OPEN_MAX),
            ("dials", self.attempts.len(), DIALS_MAX),
            ("reassembly_bytes", self.reassembly_bytes, ALL_PEERS_BYTES_MAX / 2),
        ]
        .into_iter()
    }

    fn transmit(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.transmit_labelled(to, bytes, Vec::new());
    }

    fn transmit_labelled(&mut self, to: SocketAddr, bytes: Vec<u8>, labels: Vec<Label>) {
        trace!(%to, bytes = bytes.len(), "transmit");
        self.counters.datagrams_out += 1;
        self.counters.bytes_out += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.outputs.push(Output::Transmit { to, bytes, labels });
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push(Output::Event(event));
    }

    /// An index that nothing here has: attempts, half-open handshakes and sessions share one space.
    fn draw_index(&mut self) -> u32 {
        loop {
            let [index] = [u32::from_be_bytes(self.rng.bytes())];
            let is_used = self.sessions.contains_key(&index)
                || self.attempts.contains_key(&index)
                || self.half_opens.find(index).is_some()
                || self.retired.find(&index).is_some();
            if !is_used {
                return index;
            }
        }
    }

    /// Ends a session and tells it, if it was the last one of its run.
    fn drop_session(&mut self, index: u32) {
        let Some((peer, run)) = self.forget_session(index) else {
            return;
        };
        let still_open = self
            .peers
            .get(&peer)
            .is_some_and(|known| known.sessions.iter().any(|i| self.sessions.get(i).is_some_and(|s| s.run == run)));
        if !still_open {
            self.tell(Event::Closed { peer, run, session: index });
        }
        self.drop_if_idle(peer);
    }

    fn forget_session(&mut self, index: u32) -> Option<(MemberId, Run)> {
        let session = self.sessions.remove(&index)?;
        self.counters.sessions_closed += 1;
        self.timers.set(Timer::Confirm(index), None);
        if let Some(known) = self.peers.get_mut(&session.peer) {
            known.sessions.retain(|&other| other != index);
            known.choose(&self.sessions, Lower::of(self.identity.id(), session.peer));
        }
        Some((session.peer, session.run))
    }

    /// Keeps a card unless a newer one is known; says whether it is the newest now.
    fn keep_card(&mut self, card: &Signed<Card>) -> bool {
        let peer = card.value().member;
        match self.cards.get(&peer) {
            Some(known) if card.value().rank() < known.value().rank() => return false,
            None if self.cards.len() >= 2 * MEMBERS_MAX => return false,
            Some(_) | None => {}
        }
        self.cards.insert(card.clone());
        true
    }

    /// Whether a run is over: one of a higher incarnation is proven. Another boot of the same incarnation is not over
    /// but a copied home, and what to do about that is not for transport to say.
    fn is_over(&self, peer: MemberId, run: Run) -> bool {
        self.cards.get(&peer).is_some_and(|card| run.incarnation < card.value().run.incarnation)
    }

    fn has_room_for(&self, peer: MemberId) -> bool {
        self.peers.contains_key(&peer) || self.peers.len() < 2 * MEMBERS_MAX
    }

    /// Keeps no state for a peer with whom nothing is on.
    fn drop_if_idle(&mut self, peer: MemberId) {
        if self.peers.get(&peer).is_some_and(|known| known.is_idle()) {
            self.peers.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests;
