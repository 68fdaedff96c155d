//! The room secret and what is derived from it. Owns the derivation labels; the secret itself leaves only
//! into a ticket or onto the disk.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::base::{Rng, RoomId};

/// The 16 bytes that make a stranger a member. Whoever has them can join.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct RoomSecret([u8; 16]);

/// Keys derived from the secret and the room's id with BLAKE3's key derivation mode, one a purpose.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RoomKeys {
    /// The pre-shared key of the Noise handshake.
    pub psk: [u8; 32],
    /// Keys the hash in front of each handshake datagram.
    pub gate: [u8; 32],
    /// Keys the cookie that a responder under load asks for.
    pub cookie: [u8; 32],
}

impl RoomSecret {
    #[must_use]
    pub fn generate(rng: &mut Rng) -> Self {
        Self(rng.bytes())
    }

    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The secret, for a ticket or the disk.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 16] {
        self.0
    }

    #[must_use]
    pub fn keys(&self, room: RoomId) -> RoomKeys {
        let derive = |context: &str| {
            let mut hasher = blake3::Hasher::new_derive_key(context);
            hasher.update(&self.0);
            hasher.update(&room.0);
            *hasher.finalize().as_bytes()
        };
        RoomKeys {
            psk: derive("folkmoot 2026 room noise psk v1"),
            gate: derive("folkmoot 2026 room handshake gate v1"),
            cookie: derive("folkmoot 2026 room cookie v1"),
        }
    }
}

impl std::fmt::Debug for RoomSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RoomSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_and_each_room_has_a_key_of_its_own() {
        let secret = RoomSecret::from_bytes([5; 16]);
        let here = secret.keys(RoomId([1; 16]));
        let there = secret.keys(RoomId([2; 16]));
        assert_ne!(here.psk, here.gate);
        assert_ne!(here.gate, here.cookie);
        assert_ne!(here.psk, there.psk);
    }
}
