//! This node itself: its run, its card, its tick, where others see it. Owns what only its owner may raise, and
//! tells a home that was rolled back from one that was copied; judges nobody else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::detector::TICK_SLACK;
use crate::base::limits::CARD_ADDRESSES_MAX;
use crate::base::{MemberId, RoomId, Run, Time};
use crate::crypto::Identity;
use crate::wire::{Card, Signed};

pub const BEAT_PERIOD: Duration = Duration::from_secs(1);
/// Ticks beyond this are refused: it is 35,000 years of them, and leaves room to jump ahead of a forged one.
pub const TICK_MAX: u64 = 1 << 40;
/// This node's tick runs ahead of its seconds by no more than whoever heard it grants at any time (`Link::is_plausible`): else a liar
/// that names ever higher ticks would make its true ones unbelievable. What it was ahead is granted anew by a quarter of the time.
const AHEAD_MAX: u64 = TICK_SLACK;
const SECONDS_PER_TICK_GRANTED: u64 = 4;
/// How many peers must see this node at an address before it stands on the card.
const SIGHTINGS_MIN: usize = 2;

pub struct Own {
    identity: Identity,
    room: RoomId,
    id: MemberId,
    run: Run,
    card: Signed<Card>,
    nick: String,
    bound: Vec<SocketAddr>,
    /// Where two peers saw this node, and where each sees it.
    adopted: Vec<SocketAddr>,
    sightings: BTreeMap<MemberId, SocketAddr>,
    /// When this run's first heartbeat was due.
    started: Time,
    /// When the next heartbeat is due.
    pub beat_at: Time,
    tick_at_beat: u64,
    /// By how much ticks were made higher, as far as it is not granted anew, and when last.
    ahead: u64,
    ahead_at: Time,
    /// The number of the record that makes the run durable, until it is.
    pub awaits: Option<u64>,
    /// The run was raised once already.
    raised: bool,
    /// Somebody has accepted this run: from now on a higher one is not a memory, but another process.
    accepted: bool,
}

/// What being shown a run of one's own means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Met {
    /// An older life, or this one.
    Known,
    /// The home forgot a life: take this run.
    RolledBack(Run),
    /// Another process lives with the same keys.
    Copied,
}

impl Own {
    #[must_use]
    pub fn new(
        identity: Identity,
        room: RoomId,
        nick: String,
        bound: Vec<SocketAddr>,
        run: Run,
        first_beat: Time,
    ) -> Self {
        let id = identity.id();
        let mut bound = bound;
        bound.truncate(CARD_ADDRESSES_MAX);
        let card = sign(&identity, room, run, 1, &nick, &bound, &[]);
        Self {
            identity,
            room,
            id,
            run,
            card,
            nick,
            bound,
            adopted: Vec::new(),
            sightings: BTreeMap::new(),
            started: first_beat,
            beat_at: first_beat,
            tick_at_beat: 2,
            ahead: 0,
            ahead_at: first_beat,
            awaits: None,
            raised: false,
            accepted: false,
        }
    }

    #[must_use]
    pub fn id(&self) -> MemberId {
        self.id
    }

    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    #[must_use]
    pub fn room(&self) -> RoomId {
        self.room
    }

    #[must_use]
    pub fn run(&self) -> Run {
        self.run
    }

    #[must_use]
    pub fn started(&self) -> Time {
        self.started
    }

    #[must_use]
    pub fn card(&self) -> &Signed<Card> {
        &self.card
    }

    /// Whether the run is on disk, so that it may be spoken of.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.awaits.is_none()
    }

    /// The tick at `now`: it counts seconds, whether or not each was spoken, so that a node that slept is newer
    /// than what was last heard of it.
    #[must_use]
    pub fn tick(&self, now: Time) -> u64 {
        if now < self.beat_at {
            return self.tick_at_beat - 1;
        }
        self.tick_at_beat.saturating_add(now.since(self.beat_at).as_secs())
    }

    /// Moves to the next heartbeat, in phase, after one was sent at `now`.
    pub fn beat(&mut self, now: Time) {
        let passed = 1 + now.since(self.beat_at).as_secs();
        self.beat_at += BEAT_PERIOD * u32::try_from(passed).unwrap_or(u32::MAX);
        self.tick_at_beat = self.tick_at_beat.saturating_add(passed);
    }

    /// Gets ahead of `tick`, which somebody took for this node's newest: no honest member can have heard it, but
    /// who believes it must see a newer one.
    pub fn outrun(&mut self, now: Time, tick: u64) {
        let own = self.tick(now);
        let Some(jump) = tick.checked_sub(own).and_then(|ahead| ahead.checked_add(1)) else {
            return;
        };
        let granted = now.since(self.ahead_at).as_secs() / SECONDS_PER_TICK_GRANTED;
        let ahead = self.ahead.saturating_sub(granted).saturating_add(jump);
        if ahead <= AHEAD_MAX {
            (self.ahead, self.ahead_at) = (ahead, now);
            self.tick_at_beat = self.tick_at_beat.saturating_add(jump);
        }
    }

    /// Somebody speaks with this run.
    pub fn accept(&mut self) {
        self.accepted = true;
    }

    /// Weighs a card or leave of one's own that came from outside.
    #[must_use]
    pub fn meet(&self, run: Run, version: u32) -> Met {
        let ours = run == self.run && version <= self.card.value().version;
        if ours || run.incarnation < self.run.incarnation {
            return Met::Known;
        }
        if run == self.run || self.accepted || self.raised {
            return Met::Copied;
        }
        Met::RolledBack(Run { incarnation: run.incarnation.saturating_add(1), boot: self.run.boot })
    }

    pub fn raise(&mut self, run: Run) {
        self.raised = true;
        self.run = run;
        self.card = sign(&self.identity, self.room, run, 1, &self.nick, &self.bound, &self.adopted);
    }

    /// Changes the nick; says whether the card changed.
    pub fn set_nick(&mut self, nick: String) -> bool {
        if nick == self.nick {
            return false;
        }
        self.nick = nick;
        self.renew();
        true
    }

    /// Notes where `peer` sees this node; says whether the card changed. An address that is on it stays: at
    /// most `CARD_ADDRESSES_MAX` changes can come of it.
    pub fn see(&mut self, peer: MemberId, at: SocketAddr) -> bool {
        self.sightings.insert(peer, at);
        let known = self.bound.contains(&at) || self.adopted.contains(&at);
        let full = self.bound.len() + self.adopted.len() >= CARD_ADDRESSES_MAX;
        let seen = self.sightings.values().filter(|&&seen| seen == at).count();
        if known || full || seen < SIGHTINGS_MIN || !is_dialable(at) {
            return false;
        }
        self.adopted.push(at);
        self.renew();
        true
    }

    pub fn forget(&mut self, peer: MemberId) {
        self.sightings.remove(&peer);
    }

    fn renew(&mut self) {
        let version = self.card.value().version.saturating_add(1);
        self.card = sign(&self.identity, self.room, self.run, version, &self.nick, &self.bound, &self.adopted);
    }
}

fn sign(
    identity: &Identity,
    room: RoomId,
    run: Run,
    version: u32,
    nick: &str,
    bound: &[SocketAddr],
    adopted: &[SocketAddr],
) -> Signed<Card> {
    let addresses = bound.iter().chain(adopted).copied().take(CARD_ADDRESSES_MAX).collect();
    let card = Card {
        room,
        member: identity.id(),
        noise_key: identity.noise_key(),
        run,
        version,
        nick: nick.to_owned(),
        addresses,
    };
    Signed::sign(card, identity)
}

/// Whether a datagram can be sent there, and to one node only.
#[must_use]
pub fn is_dialable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let broadcast = matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use super::super::detector::Link;
    use super::*;
    use crate::base::Rng;

    fn own(bound: Vec<SocketAddr>) -> Own {
        let identity = Identity::generate(&mut Rng::from_seed([1; 32]));
        let run = Run { incarnation: 100, boot: 7 };
        Own::new(identity, RoomId([1; 16]), "ana".to_owned(), bound, run, at(1_400))
    }

    fn at(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([192, 168, 1, host], 4460))
    }

    #[test]
    fn ticks_count_seconds_in_a_phase_of_their_own_through_every_standstill() {
        let mut own = own(Vec::new());
        assert_eq!(own.tick(at(900)), 1);
        assert_eq!(own.tick(at(1_399)), 1);
        assert_eq!(own.tick(at(1_400)), 2);
        own.beat(at(1_410));
        assert_eq!((own.beat_at, own.tick(at(1_410))), (at(2_400), 2));
        assert_eq!(own.tick(at(62_500)), 63);
        own.beat(at(62_500));
        assert_eq!((own.beat_at, own.tick(at(62_500))), (at(63_400), 63));
        own.outrun(at(62_500), 70);
        assert_eq!(own.tick(at(62_500)), 71);
        own.outrun(at(62_500), u64::MAX);
        assert_eq!(own.tick(at(62_500)), 71);
    }

    #[test]
    fn whoever_heard_this_node_once_believes_its_tick_whatever_liars_name() {
        let mut own = own(Vec::new());
        let mut heard = Vec::new();
        for second in 1..400 {
            let now = at(1_400 + second * 1_000);
            own.beat(now);
            let mut link = Link::new(now);
            link.hear_tick(now, own.tick(now));
            heard.push(link);
            for ahead in [0, 4, 4_096] {
                own.outrun(now, own.tick(now) + ahead);
            }
            let tick = own.tick(now);
            assert!(heard.iter().all(|link| link.is_plausible(now, tick)), "after {second} s: {tick}");
        }
        assert!(own.tick(at(401_400)) > 450, "it gets ahead of some of them all the time");
    }

    #[test]
    fn an_address_that_two_peers_saw_stands_on_the_card() {
        let mut own = own(vec![address(1), address(2)]);
        let (bo, cy, dee) = (MemberId([2; 32]), MemberId([3; 32]), MemberId([4; 32]));
        assert!(!own.see(bo, address(9)));
        assert!(!own.see(bo, address(9)), "it is still one peer");
        assert!(!own.see(cy, address(1)), "it is known");
        assert!(own.see(dee, address(9)));
        assert_eq!(own.card().value().addresses, [address(1), address(2), address(9)]);
        assert_eq!(own.card().value().version, 2);
        own.see(bo, address(8));
        assert!(own.see(cy, address(8)));
        own.see(bo, address(7));
        assert!(!own.see(cy, address(7)), "four are enough");
        assert_eq!(own.card().value().addresses.len(), 4);
    }

    #[test]
    fn a_higher_run_is_a_memory_at_first_and_a_copy_later() {
        let mut own = own(Vec::new());
        let run = |incarnation, boot| Run { incarnation, boot };
        assert_eq!(own.meet(run(100, 7), 1), Met::Known);
        assert_eq!(own.meet(run(99, 8), 9), Met::Known);
        assert_eq!(own.meet(run(100, 7), 2), Met::Copied, "this very run, with a card that it never made");
        assert_eq!(own.meet(run(100, 8), 1), Met::RolledBack(run(101, 7)));
        assert_eq!(own.meet(run(500, 8), 1), Met::RolledBack(run(501, 7)));
        own.raise(run(501, 7));
        assert_eq!(own.card().value().run, run(501, 7));
        assert_eq!(own.meet(run(500, 8), 1), Met::Known);
        assert_eq!(own.meet(run(502, 8), 1), Met::Copied, "once a run");
    }

    #[test]
    fn somebody_who_speaks_with_this_run_makes_a_higher_one_a_copy() {
        let mut own = own(Vec::new());
        own.accept();
        assert_eq!(own.meet(Run { incarnation: 101, boot: 8 }, 1), Met::Copied);
        assert_eq!(own.meet(Run { incarnation: 100, boot: 8 }, 1), Met::Copied);
    }
}
