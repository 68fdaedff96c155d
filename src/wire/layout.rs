//! Fixed layouts, for what is signed or hashed: big-endian integers, raw arrays, lengths in front. Owns the
//! writer, the reader and [`Signed`]; knows no object's meaning.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};

use crate::base::{MemberId, MessageId, RoomId, Run};
use crate::crypto::{BadSignature, Identity, SIGNATURE_BYTES, Suite, verify};

/// What can be signed, or hashed into an id: a value with exactly one byte form.
pub trait Layout: Sized {
    /// The domain tag; it ends with a zero byte.
    const DOMAIN: &'static str;

    fn write(&self, to: &mut Writer);

    /// Reads what [`Layout::write`] wrote.
    ///
    /// # Errors
    /// [`LayoutError`] for bytes that no value writes.
    fn read(from: &mut Reader<'_>) -> Result<Self, LayoutError>;
}

/// A layout that its author signs.
pub trait SignedLayout: Layout {
    fn signer(&self) -> MemberId;

    /// What was read from these very bytes before, where such values are kept; verified or not.
    #[must_use]
    fn find(_bytes: &[u8]) -> Option<Signed<Self>> {
        None
    }

    /// Keeps a value for whoever reads the same bytes.
    fn keep(_read: &Signed<Self>) {}
}

/// The bytes are no value of the layout, or its signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("the bytes end too early")]
    Short,
    #[error("bytes are left over")]
    Trailing,
    #[error("a field is out of its range")]
    Range,
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

/// The bytes of `value`.
#[must_use]
pub fn encode_layout<T: Layout>(value: &T) -> Vec<u8> {
    let mut writer = Writer::default();
    value.write(&mut writer);
    writer.bytes
}

/// The value whose bytes are exactly `bytes`.
///
/// # Errors
/// [`LayoutError`].
pub fn decode_layout<T: Layout>(bytes: &[u8]) -> Result<T, LayoutError> {
    let mut reader = Reader { rest: bytes };
    let value = T::read(&mut reader)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(LayoutError::Trailing) }
}

/// The id of a laid-out value: BLAKE3 over its domain tag and its bytes.
#[must_use]
pub fn layout_id<T: Layout>(bytes: &[u8]) -> MessageId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(T::DOMAIN.as_bytes());
    hasher.update(bytes);
    MessageId(*hasher.finalize().as_bytes())
}

/// A value with the very bytes that its author signed: layout, then 64 bytes of signature. A clone is the same value.
pub struct Signed<T>(Arc<Read<T>>);

/// One that others may hold.
pub(super) struct WeakSigned<T>(Weak<Read<T>>);

struct Read<T> {
    value: T,
    bytes: Arc<[u8]>,
}

impl<T: SignedLayout> Signed<T> {
    /// Signs `value` with the keys of its author.
    ///
    /// # Panics
    /// When `identity` is not the value's signer: a broken invariant of ours.
    #[must_use]
    pub fn sign(value: T, identity: &Identity) -> Self {
        assert_eq!(value.signer(), identity.id(), "a node signs for itself only");
        let mut bytes = encode_layout(&value);
        let signature = identity.sign(T::DOMAIN, &bytes);
        bytes.extend_from_slice(&signature);
        let signed = Self(Arc::new(Read { value, bytes: bytes.into() }));
        T::keep(&signed);
        signed
    }

    /// Reads and verifies what came from outside.
    ///
    /// # Errors
    /// [`LayoutError`]; nothing of the value may be used then.
    pub fn open(bytes: &[u8]) -> Result<Self, LayoutError> {
        Self::open_by(Suite::Real, bytes)
    }

    /// The same, for a node that uses `suite`.
    ///
    /// # Errors
    /// As [`Signed::open`].
    pub fn open_by(suite: Suite, bytes: &[u8]) -> Result<Self, LayoutError> {
        let signed = Self::open_trusted(bytes)?;
        let (payload, signature) = bytes.split_last_chunk::<SIGNATURE_BYTES>().ok_or(LayoutError::Short)?;
        verify(suite, signed.value().signer(), T::DOMAIN, payload, signature)?;
        Ok(signed)
    }

    /// Reads without verifying, for bytes that this node verified before and kept on its own disk.
    ///
    /// # Errors
    /// [`LayoutError`], but never for its signature.
    pub fn open_trusted(bytes: &[u8]) -> Result<Self, LayoutError> {
        if let Some(found) = T::find(bytes) {
            return Ok(found);
        }
        let (payload, _) = bytes.split_last_chunk::<SIGNATURE_BYTES>().ok_or(LayoutError::Short)?;
        let signed = Self(Arc::new(Read { value: decode_layout(payload)?, bytes: bytes.into() }));
        T::keep(&signed);
        Ok(signed)
    }

    #[must_use]
    pub fn value(&self) -> &T {
        &self.0.value
    }

    /// The bytes as signed, with the signature behind them.
    #[must_use]
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.0.bytes
    }

    /// The hash of the bytes as signed, without the signature.
    #[must_use]
    pub fn id(&self) -> MessageId {
        layout_id::<T>(&self.bytes()[..self.bytes().len() - SIGNATURE_BYTES])
    }

    pub(super) fn downgrade(&self) -> WeakSigned<T> {
        WeakSigned(Arc::downgrade(&self.0))
    }
}

impl<T> WeakSigned<T> {
    pub(super) fn upgrade(&self) -> Option<Signed<T>> {
        self.0.upgrade().map(Signed)
    }

    pub(super) fn is_held(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The bytes decide: a value has exactly one form.
impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.bytes == other.0.bytes
    }
}

impl<T> Eq for Signed<T> {}

impl<T: fmt::Debug> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signed").field(&self.0.value).finish()
    }
}

/// Writes a layout.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A length in two bytes, then the bytes.
    ///
    /// # Panics
    /// Past 65,535 bytes: what is written was checked against its limit before.
    pub fn short(&mut self, bytes: &[u8]) {
        self.u16(u16::try_from(bytes.len()).expect("within its limit"));
        self.raw(bytes);
    }

    pub fn run(&mut self, run: Run) {
        self.u64(run.incarnation);
        self.u64(run.boot);
    }

    /// Family (4 or 6), address, port.
    pub fn address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => {
                self.u8(4);
                self.raw(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.u8(6);
                self.raw(&ip.octets());
            }
        }
        self.u16(address.port());
    }
}

/// Reads a layout. Each method takes one field off the front, or says [`LayoutError::Short`] where the bytes
/// end, [`LayoutError::Range`] where they are no such field.
pub struct Reader<'a> {
    rest: &'a [u8],
}

#[expect(clippy::missing_errors_doc, reason = "said once, for all, on the type")]
impl<'a> Reader<'a> {
    pub fn raw<const N: usize>(&mut self) -> Result<[u8; N], LayoutError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(LayoutError::Short)?;
        self.rest = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, LayoutError> {
        self.raw::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, LayoutError> {
        self.raw().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, LayoutError> {
        self.raw().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, LayoutError> {
        self.raw().map(u64::from_be_bytes)
    }

    /// A length in two bytes, then that many bytes, at most `max`.
    pub fn short(&mut self, max: usize) -> Result<&'a [u8], LayoutError> {
        let len = usize::from(self.u16()?);
        if len > max {
            return Err(LayoutError::Range);
        }
        let (head, rest) = self.rest.split_at_checked(len).ok_or(LayoutError::Short)?;
        self.rest = rest;
        Ok(head)
    }

    /// [`Reader::short`] as UTF-8.
    pub fn text(&mut self, max: usize) -> Result<&'a str, LayoutError> {
        std::str::from_utf8(self.short(max)?).map_err(|_| LayoutError::Range)
    }

    pub fn member(&mut self) -> Result<MemberId, LayoutError> {
        self.raw().map(MemberId)
    }

    pub fn room(&mut self) -> Result<RoomId, LayoutError> {
        self.raw().map(RoomId)
    }

    pub fn message(&mut self) -> Result<MessageId, LayoutError> {
        self.raw().map(MessageId)
    }

    pub fn run(&mut self) -> Result<Run, LayoutError> {
        Ok(Run { incarnation: self.u64()?, boot: self.u64()? })
    }

    pub fn address(&mut self) -> Result<SocketAddr, LayoutError> {
        let ip = match self.u8()? {
            4 => IpAddr::V4(Ipv4Addr::from(self.raw::<4>()?)),
            6 => IpAddr::V6(Ipv6Addr::from(self.raw::<16>()?)),
            _ => return Err(LayoutError::Range),
        };
        Ok(SocketAddr::new(ip, self.u16()?))
    }
}
