//! The handshake: `Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s` (Noise revision 34) with randomness handed in.
//! Owns the three messages and the keys that come of them; knows nothing of their payloads.

use std::fmt;

use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};

use super::aead::AeadKey;
use super::identity::{Identity, NoiseKey, Suite};
use super::plain::{self, PlainHandshake};
use super::room::RoomKeys;
use crate::base::Rng;

const PATTERN: &str = "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s";
/// Binds the handshake to this protocol, so that keys used elsewhere cannot be mixed in.
const PROLOGUE: &[u8] = b"folkmoot handshake v1\0";
/// No handshake message is longer; Noise itself allows 65,535.
const MESSAGE_BYTES_MAX: usize = 2_048;

/// A handshake message did not hold: wrong room, damaged, replayed out of turn, or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the handshake does not hold")]
pub struct HandshakeError;

/// One side of a handshake, between messages.
pub struct Handshake(State);

enum State {
    Noise(Box<HandshakeState>),
    Plain(PlainHandshake),
}

/// The keys of a session, one a direction, and a hash that only the two sides know.
#[derive(Debug)]
pub struct SessionKeys {
    pub send: AeadKey,
    pub receive: AeadKey,
    /// The peer's static key, to be held against its card.
    pub peer_key: NoiseKey,
}

impl Handshake {
    /// The side that sends message 1.
    #[must_use]
    pub fn initiator(identity: &Identity, room: &RoomKeys, rng: &mut Rng) -> Self {
        Self::new(identity, room, rng, true)
    }

    /// The side that answers it.
    #[must_use]
    pub fn responder(identity: &Identity, room: &RoomKeys, rng: &mut Rng) -> Self {
        Self::new(identity, room, rng, false)
    }

    fn new(identity: &Identity, room: &RoomKeys, rng: &mut Rng, is_initiator: bool) -> Self {
        if identity.suite() == Suite::Plain {
            return Self(State::Plain(PlainHandshake::new(room.psk, identity.noise_key(), rng, is_initiator)));
        }
        let builder = builder(identity, room, rng);
        let state = if is_initiator { builder.build_initiator() } else { builder.build_responder() };
        Self(State::Noise(Box::new(state.expect("all keys are given"))))
    }

    /// The next message, carrying `payload` (encrypted in messages 2 and 3; under the room's psk alone in 1).
    ///
    /// # Panics
    /// Out of turn, or with a payload over 1,900 bytes: broken invariants of ours.
    #[must_use]
    pub fn write(&mut self, payload: &[u8]) -> Vec<u8> {
        let state = match &mut self.0 {
            State::Noise(state) => state,
            State::Plain(state) => return state.write(payload),
        };
        let mut message = vec![0; MESSAGE_BYTES_MAX];
        let len = state.write_message(payload, &mut message).expect("in turn and within size");
        message.truncate(len);
        message
    }

    /// Reads the next message and returns its payload.
    ///
    /// # Errors
    /// [`HandshakeError`]; the state is then spent and must be dropped.
    pub fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let state = match &mut self.0 {
            State::Noise(state) => state,
            State::Plain(state) => return state.read(message).ok_or(HandshakeError),
        };
        let mut payload = vec![0; MESSAGE_BYTES_MAX];
        let len = state.read_message(message, &mut payload).map_err(|_| HandshakeError)?;
        payload.truncate(len);
        Ok(payload)
    }

    /// The peer's static key, once a message has shown it.
    #[must_use]
    pub fn peer_key(&self) -> Option<NoiseKey> {
        match &self.0 {
            State::Noise(state) => state.get_remote_static().and_then(|key| key.try_into().ok()),
            State::Plain(state) => state.peer,
        }
    }

    /// The session's keys, after the third message; `None` before it.
    #[must_use]
    pub fn finish(mut self) -> Option<SessionKeys> {
        let peer_key = self.peer_key()?;
        let (is_initiator, from_initiator, from_responder) = match &mut self.0 {
            State::Noise(state) if state.is_handshake_finished() => {
                let (one, other) = state.dangerously_get_raw_split();
                (state.is_initiator(), AeadKey::new(&one), AeadKey::new(&other))
            }
            State::Plain(state) if state.is_finished() => {
                let (one, other) = state.split();
                (state.is_initiator, AeadKey::plain(one), AeadKey::plain(other))
            }
            State::Noise(_) | State::Plain(_) => return None,
        };
        let (send, receive) =
            if is_initiator { (from_initiator, from_responder) } else { (from_responder, from_initiator) };
        Some(SessionKeys { send, receive, peer_key })
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshake(..)")
    }
}

impl Identity {
    /// The public half of the handshake key, as the card names it.
    #[must_use]
    pub fn noise_key(&self) -> NoiseKey {
        if self.suite() == Suite::Plain {
            return plain::public(self.noise_secret());
        }
        let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("built with Curve25519");
        dh.set(self.noise_secret());
        dh.pubkey().try_into().expect("a Curve25519 key has 32 bytes")
    }
}

fn builder<'a>(identity: &'a Identity, room: &'a RoomKeys, rng: &mut Rng) -> Builder<'a> {
    let resolver = SeededResolver(rng.bytes());
    Builder::with_resolver(PATTERN.parse().expect("a pattern that snow knows"), Box::new(resolver))
        .prologue(PROLOGUE)
        .and_then(|builder| builder.psk(0, &room.psk))
        .and_then(|builder| builder.local_private_key(identity.noise_secret()))
        .expect("each is given once")
}

/// snow's own primitives, but randomness from our seed.
struct SeededResolver([u8; 32]);

impl CryptoResolver for SeededResolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(SeededRandom(Rng::from_seed(self.0))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct SeededRandom(Rng);

impl Random for SeededRandom {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill(dest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::RoomId;
    use crate::crypto::RoomSecret;

    #[test]
    fn two_members_agree_and_a_stranger_to_the_room_does_not() {
        let mut rng = Rng::from_seed([1; 32]);
        let (ana, bo) = (Identity::generate(&mut rng), Identity::generate(&mut rng));
        let room = RoomSecret::generate(&mut rng).keys(RoomId([0; 16]));
        let other = RoomSecret::generate(&mut rng).keys(RoomId([0; 16]));

        let mut left = Handshake::initiator(&ana, &room, &mut rng);
        let first = left.write(b"");
        assert!(Handshake::responder(&bo, &other, &mut rng).read(&first).is_err());

        let mut right = Handshake::responder(&bo, &room, &mut rng);
        right.read(&first).unwrap();
        assert_eq!(left.read(&right.write(b"two")).unwrap(), b"two");
        assert_eq!(right.read(&left.write(b"three")).unwrap(), b"three");
        let (left, right) = (left.finish().unwrap(), right.finish().unwrap());
        assert_eq!(left.peer_key, bo.noise_key());
        assert_eq!(right.peer_key, ana.noise_key());

        let mut datagram = b"hello".to_vec();
        left.send.seal(0, &mut datagram, 0);
        assert_eq!(right.receive.open(0, b"", &mut datagram).as_deref(), Some(&b"hello"[..]));
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let ana = Identity::generate(&mut Rng::from_seed([1; 32]));
        let room = RoomSecret::from_bytes([2; 16]).keys(RoomId([0; 16]));
        let first = || Handshake::initiator(&ana, &room, &mut Rng::from_seed([3; 32])).write(b"");
        assert_eq!(first(), first());
    }
}
