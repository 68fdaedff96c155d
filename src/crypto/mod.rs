//! Keys and what they prove. Owns every primitive: signatures, the room secret and what is derived from
//! it, the handshake, the AEAD. Knows no message, no member's name, no address.

mod aead;
mod identity;
mod noise;
mod plain;
mod room;

pub use aead::{AeadKey, TAG_BYTES};
pub use identity::{BadSignature, Identity, NoiseKey, SIGNATURE_BYTES, Signature, Suite, verify};
pub use noise::{Handshake, HandshakeError, SessionKeys};
pub use room::{RoomKeys, RoomSecret};
