//! The one file that knows bincode. Frames go through here: little-endian, variable-length integers, a size
//! limit, no bytes left over. So does what a node keeps for itself, without the limit.

use bincode::config::{self, Config};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::limits::FRAME_BYTES_MAX;

/// The bytes are no value of the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frame does not decode")]
pub struct CodecError;

/// Bytes that are shared, written and read as a whole: in the form of any list of bytes, without a step for each.
pub mod whole {
    use std::fmt;
    use std::sync::Arc;

    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;

    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(bytes: &Arc<[u8]>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<[u8]>, D::Error> {
        from.deserialize_byte_buf(Whole)
    }

    struct Whole;

    impl Visitor<'_> for Whole {
        type Value = Arc<[u8]>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            Ok(bytes.into())
        }
    }
}

fn settings() -> impl Config {
    config::standard().with_limit::<FRAME_BYTES_MAX>()
}

/// The bytes of `value`.
///
/// # Panics
/// When the value is over `FRAME_BYTES_MAX`: senders keep their own limits below it.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let bytes = bincode::serde::encode_to_vec(value, settings()).expect("frames hold nothing that cannot be encoded");
    assert!(bytes.len() <= FRAME_BYTES_MAX, "a frame of {} bytes", bytes.len());
    bytes
}

/// The value whose bytes are exactly `bytes`.
///
/// # Errors
/// [`CodecError`] for anything else; nothing larger than the limit is allocated on the way.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_with(bytes, settings())
}

/// The bytes of what this node keeps for itself: as those of a frame, but as many as it takes.
#[must_use]
pub fn encode_kept<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, config::standard()).expect("what is kept holds nothing that cannot be encoded")
}

/// The value that [`encode_kept`] made `bytes` of. They are this node's own, so there is no limit: that of a frame counts the room
/// that a list takes when it is read, which is more than its bytes.
///
/// # Errors
/// [`CodecError`] for anything else.
pub fn decode_kept<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode_with(bytes, config::standard())
}

fn decode_with<T: DeserializeOwned>(bytes: &[u8], settings: impl Config) -> Result<T, CodecError> {
    match bincode::serde::decode_from_slice(bytes, settings) {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok(_) | Err(_) => Err(CodecError),
    }
}
