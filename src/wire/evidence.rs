//! A file of evidence: a message, what its receivers signed about it, what ties these to it, and the cards of all who
//! signed. Owns its bytes; what they prove is not its business.

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::layout::{Layout, LayoutError, Reader, Writer, decode_layout, encode_layout};
use crate::base::RoomId;
use crate::base::limits::{EVIDENCE_BYTES_MAX, EVIDENCE_CARDS_MAX, EVIDENCE_LATER_MAX, EVIDENCE_RECEIPTS_MAX};

/// What is in the file. Objects are as they were signed, or sent; none was looked into.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EvidenceFile {
    pub room: RoomId,
    pub message: Subject,
    /// Another `Signed<GroupMessage>` that the author gave the same number.
    pub rival: Option<Vec<u8>>,
    /// `Signed<GroupMessage>`s that the author said next in the run: a receipt names the last of a range, and each of
    /// these names the one before it.
    pub later: Vec<Vec<u8>>,
    /// `Signed<Receipt>`s.
    pub receipts: Vec<Vec<u8>>,
    /// `Signed<Card>`s.
    pub cards: Vec<Vec<u8>>,
}

/// The message that the file is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A `Signed<GroupMessage>`.
    Group(Vec<u8>),
    /// A `PrivateMessage` layout, which nobody signed.
    Private(Vec<u8>),
}

/// The bytes are no file of evidence that can be read here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EvidenceError {
    #[error("it is no file of evidence; moot evidence export ID --out FILE makes one")]
    Foreign,
    #[error("it is of another version of the format than this moot reads; update moot")]
    Version,
    #[error("it is longer than {EVIDENCE_BYTES_MAX} bytes, and no file of evidence is")]
    TooLong,
    #[error("it is damaged: {0}")]
    Damaged(LayoutError),
}

impl EvidenceFile {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Self::DOMAIN.as_bytes().to_vec();
        bytes.extend_from_slice(&encode_layout(self));
        bytes
    }

    /// Reads what [`EvidenceFile::encode`] wrote.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > EVIDENCE_BYTES_MAX {
            return Err(EvidenceError::TooLong);
        }
        let Some(layout) = bytes.strip_prefix(Self::DOMAIN.as_bytes()) else {
            let is_known = bytes.starts_with(ANY_VERSION);
            return Err(if is_known { EvidenceError::Version } else { EvidenceError::Foreign });
        };
        decode_layout(layout).map_err(EvidenceError::Damaged)
    }
}

impl Layout for EvidenceFile {
    const DOMAIN: &'static str = "folkmoot evidence v1\0";

    fn write(&self, to: &mut Writer) {
        to.raw(&self.room.0);
        match &self.message {
            Subject::Group(bytes) => {
                to.u8(0);
                to.short(bytes);
            }
            Subject::Private(bytes) => {
                to.u8(1);
                to.short(bytes);
            }
        }
        write_all(to, self.rival.as_slice());
        write_all(to, &self.later);
        write_all(to, &self.receipts);
        write_all(to, &self.cards);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, LayoutError> {
        let room = from.room()?;
        let kind = from.u8()?;
        let bytes = from.short(OBJECT_BYTES_MAX)?.to_vec();
        let message = match kind {
            0 => Subject::Group(bytes),
            1 => Subject::Private(bytes),
            _ => return Err(LayoutError::Range),
        };
        Ok(Self {
            room,
            message,
            rival: read_all(from, 1)?.pop(),
            later: read_all(from, EVIDENCE_LATER_MAX)?,
            receipts: read_all(from, EVIDENCE_RECEIPTS_MAX)?,
            cards: read_all(from, EVIDENCE_CARDS_MAX)?,
        })
    }
}

fn write_all(to: &mut Writer, objects: &[Vec<u8>]) {
    to.u16(u16::try_from(objects.len()).expect("within its limit"));
    for object in objects {
        to.short(object);
    }
}

fn read_all(from: &mut Reader<'_>, max: usize) -> Result<Vec<Vec<u8>>, LayoutError> {
    let count = usize::from(from.u16()?);
    if count > max {
        return Err(LayoutError::Range);
    }
    (0..count).map(|_| from.short(OBJECT_BYTES_MAX).map(<[u8]>::to_vec)).collect()
}

/// As one string of base64, which is how it passes a line of JSON.
impl Serialize for EvidenceFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.encode()))
    }
}

impl<'de> Deserialize<'de> for EvidenceFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(serde::de::Error::custom)?;
        Self::decode(&bytes).map_err(serde::de::Error::custom)
    }
}

/// What every version begins with.
const ANY_VERSION: &[u8] = b"folkmoot evidence v";
/// What a length in two bytes can say.
const OBJECT_BYTES_MAX: usize = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> EvidenceFile {
        EvidenceFile {
            room: RoomId([4; 16]),
            message: Subject::Private(vec![1, 2, 3]),
            rival: None,
            later: vec![vec![4; 300], vec![]],
            receipts: vec![vec![5]],
            cards: vec![vec![6], vec![7, 8]],
        }
    }

    #[test]
    fn a_file_reads_back_from_its_bytes_and_from_json() {
        let rival = EvidenceFile { message: Subject::Group(vec![9]), rival: Some(vec![1]), ..file() };
        for file in [file(), rival] {
            assert_eq!(EvidenceFile::decode(&file.encode()), Ok(file.clone()));
            let json = serde_json::to_string(&file).unwrap();
            assert_eq!(serde_json::from_str::<EvidenceFile>(&json).unwrap(), file);
        }
    }

    #[test]
    fn what_is_no_such_file_is_told_from_one_that_is_damaged_or_newer() {
        let bytes = file().encode();
        for end in 0..bytes.len() {
            assert!(EvidenceFile::decode(&bytes[..end]).is_err(), "{end}");
        }
        let more = [&bytes[..], &[0]].concat();
        assert_eq!(EvidenceFile::decode(&more), Err(EvidenceError::Damaged(LayoutError::Trailing)));
        let newer = String::from_utf8_lossy(&bytes).replace(" v1\0", " v2\0").into_bytes();
        assert_eq!(EvidenceFile::decode(&newer), Err(EvidenceError::Version));
        assert_eq!(EvidenceFile::decode(b"{\"id\":1}"), Err(EvidenceError::Foreign));
        assert_eq!(EvidenceFile::decode(&vec![0; EVIDENCE_BYTES_MAX + 1]), Err(EvidenceError::TooLong));
    }
}
