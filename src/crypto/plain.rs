//! Stand-ins for the primitives, for runs of thousands of simulated nodes. They keep sizes and failures: a tag
//! that damage, another key or another counter does not pass, a signature that depends on signer and bytes, a
//! handshake that only the same room completes. They hide nothing, and anybody can make them: a real node cannot
//! choose them, because only [`Identity::plain`](super::Identity::plain) does, which `sim` alone calls.

use super::aead::TAG_BYTES;
use super::identity::{NoiseKey, SIGNATURE_BYTES, Signature};
use crate::base::{MemberId, Rng};

/// A sum that depends on all that an AEAD's tag depends on.
pub(super) fn tag(key: u64, counter: u64, header: &[u8], text: &[u8]) -> [u8; TAG_BYTES] {
    let mut sum = mix(key, counter);
    for part in [header, text] {
        let (words, rest) = part.as_chunks::<8>();
        for word in words {
            sum = mix(sum, u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        sum = mix(mix(sum, u64::from_le_bytes(last)), u64::try_from(part.len()).unwrap_or(u64::MAX));
    }
    let mut tag = [0; TAG_BYTES];
    tag[..8].copy_from_slice(&sum.to_le_bytes());
    tag[8..].copy_from_slice(&mix(sum, key).to_le_bytes());
    tag
}

/// The finaliser of `SplitMix64`, over both: one changed bit changes half of the result.
fn mix(sum: u64, word: u64) -> u64 {
    let mut z = (sum ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What stands for a signature of `signer`.
pub(super) fn signature(signer: MemberId, domain: &str, payload: &[u8]) -> Signature {
    let mut hasher = blake3::Hasher::new_keyed(&signer.0);
    hasher.update(domain.as_bytes()).update(payload);
    let mut signature = [0; SIGNATURE_BYTES];
    hasher.finalize_xof().fill(&mut signature);
    signature
}

/// What stands for the public half of a handshake key.
pub(super) fn public(secret: &[u8; 32]) -> NoiseKey {
    *blake3::hash(secret).as_bytes()
}

/// One side of a handshake, between messages: each shows what Noise shows at its place, in as many bytes.
pub(super) struct PlainHandshake {
    psk: [u8; 32],
    key: NoiseKey,
    nonce: [u8; 32],
    pub is_initiator: bool,
    /// How many messages were written and read.
    turn: u8,
    transcript: [u8; 32],
    pub peer: Option<NoiseKey>,
}

const MESSAGES: u8 = 3;

impl PlainHandshake {
    pub(super) fn new(psk: [u8; 32], key: NoiseKey, rng: &mut Rng, is_initiator: bool) -> Self {
        Self { psk, key, nonce: rng.bytes(), is_initiator, turn: 0, transcript: psk, peer: None }
    }

    pub(super) fn write(&mut self, payload: &[u8]) -> Vec<u8> {
        assert!(self.is_mine() && !self.is_finished(), "in turn");
        let mut message = Vec::with_capacity(self.overhead() + payload.len());
        if self.shows_nonce() {
            message.extend_from_slice(&self.nonce);
        }
        if self.shows_key() {
            message.extend_from_slice(&self.key);
            message.extend_from_slice(&[0; TAG_BYTES]);
        }
        message.extend_from_slice(payload);
        let next = self.next(&message);
        message.extend_from_slice(&next[..TAG_BYTES]);
        self.advance(next);
        message
    }

    /// The payload of the next message; `None` where it does not hold.
    pub(super) fn read(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        if self.is_mine() || self.is_finished() {
            return None;
        }
        let (body, tag) = message.split_last_chunk::<TAG_BYTES>()?;
        let next = self.next(body);
        if next[..TAG_BYTES] != tag[..] {
            return None;
        }
        let mut rest = body;
        if self.shows_nonce() {
            rest = rest.get(32..)?;
        }
        if self.shows_key() {
            let (key, after) = rest.split_first_chunk::<32>()?;
            self.peer = Some(*key);
            rest = after.get(TAG_BYTES..)?;
        }
        self.advance(next);
        Some(rest.to_vec())
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.turn == MESSAGES
    }

    /// The keys from the initiator and from the responder.
    pub(super) fn split(&self) -> (u64, u64) {
        let (one, other) = self.transcript.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().take(8).fold(0, |sum, &byte| (sum << 8) | u64::from(byte));
        (number(one), number(other))
    }

    fn is_mine(&self) -> bool {
        self.turn.is_multiple_of(2) == self.is_initiator
    }

    fn shows_nonce(&self) -> bool {
        self.turn < 2
    }

    fn shows_key(&self) -> bool {
        self.turn > 0
    }

    fn overhead(&self) -> usize {
        TAG_BYTES + if self.shows_nonce() { 32 } else { 0 } + if self.shows_key() { 32 + TAG_BYTES } else { 0 }
    }

    fn next(&self, body: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.psk);
        hasher.update(&self.transcript).update(&[self.turn]).update(body);
        *hasher.finalize().as_bytes()
    }

    fn advance(&mut self, transcript: [u8; 32]) {
        self.transcript = transcript;
        self.turn += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AeadKey, Handshake, Identity, RoomSecret, Suite, verify};
    use super::*;
    use crate::base::RoomId;

    const DOMAIN: &str = "folkmoot test v1\0";

    fn identities(seed: u8) -> [Identity; 2] {
        let mut rng = Rng::from_seed([seed; 32]);
        [Identity::plain(&mut rng), Identity::generate(&mut rng)]
    }

    /// The three messages between two of one suite, and what each side read.
    fn shake(
        left: &Identity,
        right: &Identity,
    ) -> (Vec<Vec<u8>>, super::super::SessionKeys, super::super::SessionKeys) {
        let keys = RoomSecret::from_bytes([5; 16]).keys(RoomId([1; 16]));
        let mut rng = Rng::from_seed([9; 32]);
        let mut one = Handshake::initiator(left, &keys, &mut rng);
        let mut other = Handshake::responder(right, &keys, &mut rng);
        let first = one.write(&[0; 50]);
        assert_eq!(other.read(&first).unwrap(), [0; 50]);
        let second = other.write(b"hello from the right");
        assert_eq!(one.read(&second).unwrap(), b"hello from the right");
        let third = one.write(b"hello from the left");
        assert_eq!(other.read(&third).unwrap(), b"hello from the left");
        (vec![first, second, third], one.finish().unwrap(), other.finish().unwrap())
    }

    #[test]
    fn stand_ins_are_as_long_as_what_they_stand_for() {
        let [[plain, real], [other_plain, other_real]] = [identities(1), identities(2)];
        let lengths = |messages: Vec<Vec<u8>>| messages.iter().map(Vec::len).collect::<Vec<_>>();
        let (plains, one, other) = shake(&plain, &other_plain);
        assert_eq!(lengths(plains), lengths(shake(&real, &other_real).0));
        assert_eq!(one.peer_key, other_plain.noise_key());
        assert_eq!(other.peer_key, plain.noise_key());
        for (send, receive, back) in
            [(&one.send, &other.receive, &one.receive), (&other.send, &one.receive, &other.receive)]
        {
            let mut datagram = b"headtext".to_vec();
            send.seal(3, &mut datagram, 4);
            assert_eq!(datagram.len(), 8 + TAG_BYTES);
            assert_eq!(receive.open(3, b"head", &mut datagram[4..].to_vec()).as_deref(), Some(&b"text"[..]));
            assert!(back.open(3, b"head", &mut datagram[4..].to_vec()).is_none(), "a key a direction");
        }
    }

    #[test]
    fn a_plain_tag_notices_any_flipped_bit_and_the_wrong_counter_or_key() {
        let key = AeadKey::plain(7);
        let mut datagram = b"headsome text of nineteen".to_vec();
        key.seal(5, &mut datagram, 4);
        let open = |key: &AeadKey, counter, datagram: &[u8]| {
            key.open(counter, &datagram[..4], &mut datagram[4..].to_vec()).is_some()
        };
        assert!(open(&key, 5, &datagram));
        assert!(!open(&key, 6, &datagram));
        assert!(!open(&AeadKey::plain(8), 5, &datagram));
        for bit in 0..datagram.len() * 8 {
            let mut flipped = datagram.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!open(&key, 5, &flipped), "bit {bit}");
        }
    }

    #[test]
    fn a_plain_handshake_fails_where_a_real_one_does() {
        let [[ana, _], [bo, real]] = [identities(1), identities(2)];
        let (here, there) = (RoomSecret::from_bytes([5; 16]), RoomSecret::from_bytes([6; 16]));
        let (here, there) = (here.keys(RoomId([1; 16])), there.keys(RoomId([1; 16])));
        let mut rng = Rng::from_seed([9; 32]);
        let first = Handshake::initiator(&ana, &here, &mut rng).write(b"");
        assert!(Handshake::responder(&bo, &there, &mut rng).read(&first).is_err(), "another room");
        assert!(Handshake::responder(&real, &here, &mut rng).read(&first).is_err(), "a real node");
        let mut damaged = first.clone();
        damaged[3] ^= 1;
        assert!(Handshake::responder(&bo, &here, &mut rng).read(&damaged).is_err(), "damaged");
        assert!(Handshake::initiator(&bo, &here, &mut rng).read(&first).is_err(), "out of turn");
    }

    #[test]
    fn no_real_node_believes_a_plain_signature() {
        let [plain, real] = identities(1);
        let signature = plain.sign(DOMAIN, b"hello");
        assert!(verify(Suite::Plain, plain.id(), DOMAIN, b"hello", &signature).is_ok());
        assert!(verify(Suite::Real, plain.id(), DOMAIN, b"hello", &signature).is_err());
        assert!(verify(Suite::Plain, real.id(), DOMAIN, b"hello", &signature).is_err(), "another signer");
        assert!(verify(Suite::Plain, plain.id(), DOMAIN, b"hallo", &signature).is_err(), "other bytes");
    }
}
