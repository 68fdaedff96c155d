//! The one file that knows bincode. Frames go through here: little-endian, variable-length integers, a size
//! limit, no bytes left over.

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

/// The bytes of `value`; `None` where they are more than `FRAME_BYTES_MAX`.
#[must_use]
pub fn encode_within<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let bytes = bincode::serde::encode_to_vec(value, settings()).ok()?;
    (bytes.len() <= FRAME_BYTES_MAX).then_some(bytes)
}

/// The value whose bytes are exactly `bytes`.
///
/// # Errors
/// [`CodecError`] for anything else; nothing larger than the limit is allocated on the way.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match bincode::serde::decode_from_slice(bytes, settings()) {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        Ok(_) | Err(_) => Err(CodecError),
    }
}
