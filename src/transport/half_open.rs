//! Handshakes that others began and have not finished. Owns how many there may be, of one source and in
//! all, and the memory of first messages that makes a replayed one useless. Knows no peer: who it is
//! shows only at the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::recent::Recent;
use crate::base::Time;
use crate::base::limits::{
    HALF_OPEN_MAX, HALF_OPEN_PER_SOURCE_MAX, HANDSHAKE_SOURCES_MAX, HANDSHAKES_PER_SOURCE_PER_MINUTE,
    REMEMBERED_EPHEMERALS_MAX,
};
use crate::crypto::Handshake;

/// How long the third message may take. A dial gives up at about the same time.
pub(super) const HALF_OPEN_LIFE: Duration = Duration::from_secs(6);
const MINUTE: Duration = Duration::from_mins(1);
/// Answers to repeats of one first message: a dial repeats it less often, and both may be doubled on the way.
const REPEATS_MAX: u8 = 16;

/// The ephemeral key in a first message, or rather enough of it to know it again.
pub(super) type Ephemeral = [u8; 16];

#[derive(Debug)]
pub(super) struct HalfOpen {
    pub address: SocketAddr,
    pub remote: u32,
    pub began: Time,
    pub handshake: Handshake,
    /// Message 2, as it went out.
    pub reply: Vec<u8>,
    pub repeats: u8,
}

/// What is to be done with a first message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    Admitted,
    /// The same one again, in time and from the same address: the half-open handshake with its answer.
    Repeated(u32),
    Replayed,
    Limited,
    Full,
}

#[derive(Debug)]
pub(super) struct HalfOpens {
    by_index: BTreeMap<u32, HalfOpen>,
    sources: BTreeMap<SocketAddr, Source>,
    remembered: Recent<Ephemeral, u32>,
}

#[derive(Debug)]
struct Source {
    minute_began: Time,
    begun: u32,
    half_open: usize,
}

impl HalfOpens {
    pub(super) fn new() -> Self {
        Self { by_index: BTreeMap::new(), sources: BTreeMap::new(), remembered: Recent::new(REMEMBERED_EPHEMERALS_MAX) }
    }

    /// Judges a first message and, if it is admitted, counts it for its source.
    pub(super) fn admit(&mut self, now: Time, from: SocketAddr, ephemeral: &Ephemeral) -> Admission {
        if let Some(&index) = self.remembered.find(ephemeral) {
            return match self.by_index.get_mut(&index) {
                Some(half_open) if half_open.address == from && half_open.repeats < REPEATS_MAX => {
                    half_open.repeats += 1;
                    Admission::Repeated(index)
                }
                Some(_) | None => Admission::Replayed,
            };
        }
        if self.by_index.len() >= HALF_OPEN_MAX {
            return Admission::Full;
        }
        self.make_room(now);
        if !self.sources.contains_key(&source_of(from)) && self.sources.len() >= HANDSHAKE_SOURCES_MAX {
            return Admission::Limited;
        }
        let source =
            self.sources.entry(source_of(from)).or_insert(Source { minute_began: now, begun: 0, half_open: 0 });
        if now.since(source.minute_began) >= MINUTE {
            source.minute_began = now;
            source.begun = 0;
        }
        if source.half_open >= HALF_OPEN_PER_SOURCE_MAX {
            return Admission::Full;
        }
        if source.begun >= HANDSHAKES_PER_SOURCE_PER_MINUTE {
            return Admission::Limited;
        }
        source.begun += 1;
        Admission::Admitted
    }

    /// Keeps an admitted handshake; its first message is remembered from now on.
    pub(super) fn insert(&mut self, index: u32, ephemeral: Ephemeral, half_open: HalfOpen) {
        if let Some(source) = self.sources.get_mut(&source_of(half_open.address)) {
            source.half_open += 1;
        }
        self.remembered.insert(ephemeral, index);
        self.by_index.insert(index, half_open);
    }

    pub(super) fn find(&self, index: u32) -> Option<&HalfOpen> {
        self.by_index.get(&index)
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<HalfOpen> {
        let half_open = self.by_index.remove(&index)?;
        if let Some(source) = self.sources.get_mut(&source_of(half_open.address)) {
            source.half_open -= 1;
        }
        Some(half_open)
    }

    pub(super) fn len(&self) -> usize {
        self.by_index.len()
    }

    fn make_room(&mut self, now: Time) {
        if self.sources.len() >= HANDSHAKE_SOURCES_MAX {
            self.sources.retain(|_, source| source.half_open > 0 || now.since(source.minute_began) < MINUTE);
        }
    }
}

/// What counts as one source: an IP address, but on loopback each port, as all nodes of a machine share it.
fn source_of(address: SocketAddr) -> SocketAddr {
    let port = if address.ip().is_loopback() { address.port() } else { 0 };
    SocketAddr::new(address.ip(), port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Rng, RoomId};
    use crate::crypto::{Identity, RoomSecret};

    fn half_open(address: SocketAddr) -> HalfOpen {
        let mut rng = Rng::from_seed([1; 32]);
        let identity = Identity::generate(&mut rng);
        let keys = RoomSecret::from_bytes([1; 16]).keys(RoomId([1; 16]));
        let handshake = Handshake::responder(&identity, &keys, &mut rng);
        HalfOpen { address, remote: 1, began: Time::ZERO, handshake, reply: Vec::new(), repeats: 0 }
    }

    fn ephemeral(number: u32) -> Ephemeral {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        bytes
    }

    #[test]
    fn a_source_holds_four_open_and_others_are_not_hurt() {
        let (busy, quiet): (SocketAddr, SocketAddr) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
        let mut half_opens = HalfOpens::new();
        for number in 0..4 {
            assert_eq!(half_opens.admit(Time::ZERO, busy, &ephemeral(number)), Admission::Admitted);
            half_opens.insert(number, ephemeral(number), half_open(busy));
        }
        assert_eq!(half_opens.admit(Time::ZERO, busy, &ephemeral(9)), Admission::Full);
        assert_eq!(half_opens.admit(Time::ZERO, quiet, &ephemeral(9)), Admission::Admitted);
        let neighbour = SocketAddr::new(busy.ip(), 2);
        assert_eq!(half_opens.admit(Time::ZERO, neighbour, &ephemeral(9)), Admission::Full);
        half_opens.remove(0);
        assert_eq!(half_opens.admit(Time::ZERO, busy, &ephemeral(9)), Admission::Admitted);
    }

    #[test]
    fn a_source_begins_fifty_a_minute() {
        let address: SocketAddr = "10.0.0.1:1".parse().unwrap();
        let mut half_opens = HalfOpens::new();
        let mut begin = |now: Time, number: u32| {
            let admission = half_opens.admit(now, address, &ephemeral(number));
            if admission == Admission::Admitted {
                half_opens.insert(number, ephemeral(number), half_open(address));
                half_opens.remove(number);
            }
            admission
        };
        assert_eq!((0..60).filter(|&number| begin(Time::ZERO, number) == Admission::Admitted).count(), 50);
        assert_eq!(begin(Time::ZERO, 70), Admission::Limited);
        assert_eq!(begin(Time::ZERO + MINUTE, 70), Admission::Admitted);
    }

    #[test]
    fn a_first_message_is_repeated_in_time_from_its_place_and_else_replayed() {
        let (here, there): (SocketAddr, SocketAddr) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
        let mut half_opens = HalfOpens::new();
        assert_eq!(half_opens.admit(Time::ZERO, here, &ephemeral(1)), Admission::Admitted);
        half_opens.insert(5, ephemeral(1), half_open(here));
        assert_eq!(half_opens.admit(Time::ZERO, here, &ephemeral(1)), Admission::Repeated(5));
        assert_eq!(half_opens.admit(Time::ZERO, there, &ephemeral(1)), Admission::Replayed);
        half_opens.remove(5);
        assert_eq!(half_opens.admit(Time::ZERO, here, &ephemeral(1)), Admission::Replayed);
        assert_eq!(half_opens.len(), 0);
    }
}
