//! Who and what: members, their runs, the room, messages. Owns how each is written for people and for
//! programs; knows nothing of what they do.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A member of the room, for good: the bytes of its Ed25519 public key, so that whoever knows the id can
/// check what the member signed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberId(pub [u8; 32]);

/// A room: 16 random bytes, drawn when it is founded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub [u8; 16]);

/// A message: the BLAKE3 hash of its bytes, 32 bytes (see `wire`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(pub [u8; 32]);

/// Counts the lives of a member's process. Grows with every start: `max(saved + 1, unix seconds)`.
pub type Incarnation = u64;

/// The position of a message in its stream, from 1.
pub type Seq = u64;

/// The number of an event on the node that tells it, from 1 in each run.
pub type EventNumber = u64;

/// One life of a member's process. Ordered by incarnation; `boot` tells copies of a home apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Run {
    pub incarnation: Incarnation,
    /// 8 random bytes, drawn when the process starts. In JSON 16 hexadecimal digits, of which people are shown the first four: as a
    /// number most programs would round it.
    #[serde(with = "boot_text")]
    pub boot: u64,
}

impl Run {
    /// The lowest run above this one.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.boot.checked_add(1) {
            Some(boot) => Self { incarnation: self.incarnation, boot },
            None => Self { incarnation: self.incarnation.saturating_add(1), boot: 0 },
        }
    }
}

/// What a message counts in: the room, or one receiver. Each is counted from 1 in each run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Stream {
    Room,
    To(MemberId),
}

/// The identity of a message: no two messages of an honest author share it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct MessageKey {
    pub author: MemberId,
    pub run: Run,
    pub stream: Stream,
    pub seq: Seq,
}

impl Ord for MemberId {
    fn cmp(&self, other: &Self) -> Ordering {
        in_order(&self.0, &other.0)
    }
}

impl PartialOrd for MemberId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MessageId {
    fn cmp(&self, other: &Self) -> Ordering {
        in_order(&self.0, &other.0)
    }
}

impl PartialOrd for MessageId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of the bytes. Ids are as good as random, so their first word decides nearly always, and a map finds one
/// without a call for each comparison: those calls were 8 % of the profile of a simulated room of a hundred.
#[inline]
fn in_order(one: &[u8; 32], other: &[u8; 32]) -> Ordering {
    let first = |bytes: &[u8; 32]| bytes.first_chunk().copied().map_or(0, u64::from_be_bytes);
    first(one).cmp(&first(other)).then_with(|| one.cmp(other))
}

/// Characters of base32 that a person is shown of an id where nothing longer is needed.
const SHORT_CHARS: usize = 4;

impl MemberId {
    /// The first four characters of the id, for people: `k7f3`.
    #[must_use]
    pub fn short(&self) -> String {
        short_of(&self.0, SHORT_CHARS)
    }
}

impl MessageId {
    /// The first `chars` characters of the id (at most 52), for people: `k7f3`.
    #[must_use]
    pub fn handle(&self, chars: usize) -> String {
        short_of(&self.0, chars)
    }
}

fn short_of(bytes: &[u8; 32], chars: usize) -> String {
    let mut text = [0; ID_CHARS_MAX];
    let text = base32_lower(bytes, &mut text);
    text.get(..chars).unwrap_or(text).to_owned()
}

/// Writes at most 32 bytes into `text`, because ids are written often: in each event several times.
fn base32_lower<'t>(bytes: &[u8], text: &'t mut [u8; ID_CHARS_MAX]) -> &'t str {
    let text = &mut text[..BASE32_NOPAD.encode_len(bytes.len())];
    BASE32_NOPAD.encode_mut(bytes, text);
    text.make_ascii_lowercase();
    std::str::from_utf8(text).expect("base32 is ASCII")
}

const ID_CHARS_MAX: usize = 52;

/// The text was not an id: wrong length, or a character outside of base32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected {expected} characters of base32")]
pub struct IdError {
    expected: usize,
}

fn parse_base32<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let expected = (N * 8).div_ceil(5);
    BASE32_NOPAD
        .decode(text.to_ascii_uppercase().as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(IdError { expected })
}

/// Text form (base32, lower case, no padding) for `Display`, `FromStr` and JSON; raw bytes for bincode.
macro_rules! id_text {
    ($name:ident, $len:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(base32_lower(&self.0, &mut [0; ID_CHARS_MAX]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base32_lower(&self.0, &mut [0; ID_CHARS_MAX])[..8])
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_base32::<$len>(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; $len]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

id_text!(MemberId, 32);
id_text!(RoomId, 16);
id_text!(MessageId, 32);

mod boot_text {
    use std::fmt;

    use serde::de::{Deserialize as _, Deserializer, Error, Unexpected, Visitor};
    use serde::ser::Serializer;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
    pub(super) fn serialize<S: Serializer>(boot: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{boot:016x}"))
        } else {
            serializer.serialize_u64(*boot)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Text)
        } else {
            u64::deserialize(deserializer)
        }
    }

    struct Text;

    impl Visitor<'_> for Text {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("16 hexadecimal digits")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            let is_whole = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let boot = u64::from_str_radix(text, 16).ok().filter(|_| is_whole);
            boot.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
        }

        /// Traces of earlier versions hold a number.
        fn visit_u64<E: Error>(self, boot: u64) -> Result<u64, E> {
            Ok(boot)
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.incarnation, HEXLOWER.encode(&self.boot.to_be_bytes()[..2]))
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_exact_in_json_whatever_reads_it() {
        let run = Run { incarnation: 17, boot: 0x0b12_0000_0000_0001 };
        let json = serde_json::to_string(&run).unwrap();
        assert_eq!(json, r#"{"incarnation":17,"boot":"0b12000000000001"}"#);
        let of_earlier_versions = format!(r#"{{"incarnation":17,"boot":{}}}"#, run.boot);
        for json in [&json, &of_earlier_versions] {
            assert_eq!(serde_json::from_str::<Run>(json).unwrap(), run);
        }
        for boot in ["b12", "0b1200000000000g", "+b12000000000001", "0b120000000000010"] {
            assert!(
                serde_json::from_str::<Run>(&format!(r#"{{"incarnation":17,"boot":"{boot}"}}"#)).is_err(),
                "{boot}"
            );
        }
    }

    #[test]
    fn an_id_reads_back_from_its_text_in_any_case() {
        let id = MemberId([0xa7; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        assert!("k7f3".parse::<MemberId>().is_err());
    }

    #[test]
    fn runs_are_ordered_by_incarnation_first() {
        let old = Run { incarnation: 1, boot: 9 };
        let new = Run { incarnation: 2, boot: 0 };
        assert!(old < new);
    }
}
