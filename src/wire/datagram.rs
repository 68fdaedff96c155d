//! Datagrams: what stands on the wire, byte by byte. Owns the kinds, the headers, the hash in front of a
//! handshake, the hello, and how the echo and the items lie inside what is sealed. Holds no session, and
//! knows nothing of when a datagram is sent.
//!
//! | kind | datagram | bytes after the kind |
//! |---|---|---|
//! | 1 | handshake 1 | gate 16, sender index 4, cookie 16, Noise message (padded to [`FIRST_BYTES`]) |
//! | 2 | handshake 2 | gate 16, sender index 4, receiver index 4, Noise message with the hello |
//! | 3 | handshake 3 | gate 16, receiver index 4, Noise message with the hello |
//! | 4 | data | receiver index 4, counter 8, ciphertext, tag 16 |
//! | 5 | reserved: cookie | gate 16, receiver index 4, cookie 16 |
//! | 6 | reserved: data after a rekey | as data |
//!
//! Integers are big-endian, but inside the sealed text they are LEB128.

use std::net::SocketAddr;

use super::layout::{Layout, LayoutError, Reader, Writer};
use crate::base::limits::{CARD_ADDRESSES_MAX, DATAGRAM_BYTES_MAX, FRAME_BYTES_MAX, NICK_BYTES_MAX};
use crate::crypto::{SIGNATURE_BYTES, TAG_BYTES};

/// The hash in front of each handshake datagram: a keyed BLAKE3 over kind and rest, cut to this.
pub const GATE_BYTES: usize = 16;
/// The gate of one handshake datagram, which also recognises its repeats.
pub type Gate = [u8; GATE_BYTES];

/// Message 1, always: no answer to it is longer.
pub const FIRST_BYTES: usize = 448;
/// What message 1 carries under Noise: zeros, to fill it up.
pub const FIRST_PADDING_BYTES: usize = FIRST_BYTES - 1 - GATE_BYTES - 4 - COOKIE_BYTES - 32 - TAG_BYTES;
/// Message 2 at most: both indices, a Noise ephemeral, an encrypted static key, the hello.
pub const SECOND_BYTES_MAX: usize = 1 + GATE_BYTES + 4 + 4 + 32 + (32 + TAG_BYTES) + HELLO_BYTES_MAX + TAG_BYTES;
/// A signed card and an address.
pub const HELLO_BYTES_MAX: usize = 2 + CARD_BYTES_MAX + ADDRESS_BYTES_MAX;
/// The header of a data datagram; it is authenticated with the text.
pub const DATA_HEADER_BYTES: usize = 1 + 4 + 8;
/// The echo at its longest: two numbers of 35 bits and a byte.
pub const ECHO_BYTES_MAX: usize = 5 + 5 + 1;
/// What is left for items in one datagram.
pub const ITEMS_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - DATA_HEADER_BYTES - TAG_BYTES - ECHO_BYTES_MAX;
/// The longest frame that is not cut into fragments.
pub const WHOLE_FRAME_BYTES_MAX: usize = ITEMS_BYTES_MAX - ITEM_HEADER_BYTES_MAX;
/// The frame bytes in each fragment but the last, so that every retry cuts a frame at the same places.
pub const FRAGMENT_BYTES: usize = 1_128;
/// Datagrams that the echo looks back on.
pub const ECHO_WINDOW: u8 = 64;

const COOKIE_BYTES: usize = 16;
const CARD_BYTES_MAX: usize =
    16 + 32 + 32 + 16 + 4 + 2 + NICK_BYTES_MAX + 1 + CARD_ADDRESSES_MAX * ADDRESS_BYTES_MAX + SIGNATURE_BYTES;
const ADDRESS_BYTES_MAX: usize = 1 + 16 + 2;
const ITEM_HEADER_BYTES_MAX: usize = 2;
const FRAGMENT_HEADER_BYTES: usize = 16 + 1 + 1 + 2;
/// Numbers of the echo stay below this, so that each takes 5 bytes at most.
const ECHO_NUMBER_MAX: u64 = (1 << 35) - 1;

const FIRST: u8 = 1;
const SECOND: u8 = 2;
const THIRD: u8 = 3;
const DATA: u8 = 4;
const COOKIE: u8 = 5;
const REKEYED_DATA: u8 = 6;

const ITEM_MEMBERSHIP: u64 = 0;
const ITEM_MESSAGING: u64 = 1;
const ITEM_FRAGMENT: u64 = 2;
const ITEM_CONTROL: u64 = 3;

/// The first byte of a control item. 2 and 3 are reserved for a path challenge and its answer, 4 for a rekey.
const CONTROL_SUPERSEDED: u8 = 1;

const _: () = assert!(SECOND_BYTES_MAX <= FIRST_BYTES, "no answer is larger than what asked for it");
const _: () = assert!(FRAGMENT_BYTES + FRAGMENT_HEADER_BYTES + ITEM_HEADER_BYTES_MAX <= ITEMS_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX.div_ceil(FRAGMENT_BYTES) <= 256, "an index takes one byte");
const _: () = assert!(ITEMS_BYTES_MAX << 2 < 1 << 14, "an item header takes two bytes");

/// The bytes are no datagram of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    #[error("the bytes are no datagram")]
    Malformed,
    #[error("the kind is reserved")]
    Reserved,
    #[error("the hash in front does not hold")]
    Gate,
}

/// A datagram as it arrives, its sealed parts still closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagram<'a> {
    First { gate: Gate, sender: u32, noise: &'a [u8] },
    Second { gate: Gate, sender: u32, receiver: u32, noise: &'a [u8] },
    Third { gate: Gate, receiver: u32, noise: &'a [u8] },
    Data { receiver: u32, counter: u64, header: &'a [u8], sealed: &'a [u8] },
}

impl<'a> Datagram<'a> {
    /// Reads a datagram; of a handshake it looks at nothing before its gate holds under `gate_key`.
    ///
    /// # Errors
    /// [`DatagramError`]. Nothing but the key was needed to find out.
    pub fn decode(bytes: &'a [u8], gate_key: &[u8; 32]) -> Result<Self, DatagramError> {
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return Err(DatagramError::Malformed);
        }
        let (&kind, rest) = bytes.split_first().ok_or(DatagramError::Malformed)?;
        match kind {
            DATA => decode_data(bytes).ok_or(DatagramError::Malformed),
            FIRST | SECOND | THIRD => {
                let (gate, body) = rest.split_first_chunk::<GATE_BYTES>().ok_or(DatagramError::Malformed)?;
                if !equal(gate, &gate_of(gate_key, kind, body)) {
                    return Err(DatagramError::Gate);
                }
                decode_handshake(bytes.len(), kind, *gate, body).ok_or(DatagramError::Malformed)
            }
            COOKIE | REKEYED_DATA => Err(DatagramError::Reserved),
            _ => Err(DatagramError::Malformed),
        }
    }
}

fn decode_data(bytes: &[u8]) -> Option<Datagram<'_>> {
    let (header, sealed) = bytes.split_at_checked(DATA_HEADER_BYTES)?;
    let (receiver, counter) = header[1..].split_first_chunk::<4>()?;
    let counter = u64::from_be_bytes(counter.try_into().ok()?);
    let whole = sealed.len() > TAG_BYTES;
    whole.then_some(Datagram::Data { receiver: u32::from_be_bytes(*receiver), counter, header, sealed })
}

fn decode_handshake(len: usize, kind: u8, gate: Gate, body: &[u8]) -> Option<Datagram<'_>> {
    let (index, rest) = body.split_first_chunk::<4>()?;
    let index = u32::from_be_bytes(*index);
    match kind {
        FIRST if len == FIRST_BYTES => Some(Datagram::First { gate, sender: index, noise: rest.get(COOKIE_BYTES..)? }),
        SECOND => {
            let (receiver, noise) = rest.split_first_chunk::<4>()?;
            Some(Datagram::Second { gate, sender: index, receiver: u32::from_be_bytes(*receiver), noise })
        }
        THIRD => Some(Datagram::Third { gate, receiver: index, noise: rest }),
        _ => None,
    }
}

/// Message 1. The place of the cookie stays zero: no responder asks for one yet.
#[must_use]
pub fn first_datagram(gate_key: &[u8; 32], sender: u32, noise: &[u8]) -> Vec<u8> {
    let bytes = handshake_datagram(gate_key, FIRST, &[&sender.to_be_bytes(), &[0; COOKIE_BYTES], noise]);
    debug_assert_eq!(bytes.len(), FIRST_BYTES);
    bytes
}

/// Message 2.
#[must_use]
pub fn second_datagram(gate_key: &[u8; 32], sender: u32, receiver: u32, noise: &[u8]) -> Vec<u8> {
    handshake_datagram(gate_key, SECOND, &[&sender.to_be_bytes(), &receiver.to_be_bytes(), noise])
}

/// Message 3.
#[must_use]
pub fn third_datagram(gate_key: &[u8; 32], receiver: u32, noise: &[u8]) -> Vec<u8> {
    handshake_datagram(gate_key, THIRD, &[&receiver.to_be_bytes(), noise])
}

fn handshake_datagram(gate_key: &[u8; 32], kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0; 1 + GATE_BYTES];
    bytes[0] = kind;
    for part in parts {
        bytes.extend_from_slice(part);
    }
    let gate = gate_of(gate_key, kind, &bytes[1 + GATE_BYTES..]);
    bytes[1..=GATE_BYTES].copy_from_slice(&gate);
    bytes
}

fn gate_of(key: &[u8; 32], kind: u8, body: &[u8]) -> Gate {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&[kind]);
    hasher.update(body);
    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// Compares without telling by its time where the difference is.
fn equal(left: &Gate, right: &Gate) -> bool {
    left.iter().zip(right).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// The header of a data datagram.
#[must_use]
pub fn data_header(receiver: u32, counter: u64) -> [u8; DATA_HEADER_BYTES] {
    let mut header = [0; DATA_HEADER_BYTES];
    header[0] = DATA;
    header[1..5].copy_from_slice(&receiver.to_be_bytes());
    header[5..].copy_from_slice(&counter.to_be_bytes());
    header
}

/// What messages 2 and 3 carry: who speaks, and where it sees the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The signed card, as its bytes.
    pub card: Vec<u8>,
    pub seen_at: SocketAddr,
}

impl Layout for Hello {
    const DOMAIN: &'static str = "folkmoot hello v1\0";

    fn write(&self, to: &mut Writer) {
        to.short(&self.card);
        to.address(self.seen_at);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, LayoutError> {
        Ok(Self { card: from.short(CARD_BYTES_MAX)?.to_vec(), seen_at: from.address()? })
    }
}

/// What every data datagram begins with: what its sender has received of the other direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Echo {
    /// `None` before the first datagram.
    pub newest: Option<EchoOf>,
}

/// The newest datagram received, and those before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EchoOf {
    /// The highest counter received.
    pub counter: u64,
    /// How long ago it arrived, in microseconds.
    pub held_us: u64,
    /// How many of the last [`ECHO_WINDOW`] counters up to it arrived, itself included.
    pub arrived: u8,
}

impl Echo {
    pub fn write(&self, to: &mut Vec<u8>) {
        let Some(of) = self.newest else {
            return to.push(0);
        };
        write_number(to, of.counter.saturating_add(1).min(ECHO_NUMBER_MAX));
        write_number(to, of.held_us.min(ECHO_NUMBER_MAX));
        to.push(of.arrived);
    }

    /// Reads the echo at the front of `text` and returns the items behind it.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<(Self, &[u8])> {
        let (next, text) = read_number(text)?;
        let Some(counter) = next.checked_sub(1) else {
            return Some((Self::default(), text));
        };
        let (held_us, text) = read_number(text)?;
        let (&arrived, text) = text.split_first()?;
        let possible = 1..=u64::from(ECHO_WINDOW).min(next);
        if !possible.contains(&u64::from(arrived)) {
            return None;
        }
        Some((Self { newest: Some(EchoOf { counter, held_us, arrived }) }, text))
    }
}

/// Which subsystem a frame is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Channel {
    Membership,
    Messaging,
}

/// One of the things that a datagram carries behind its echo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    Frame {
        channel: Channel,
        bytes: &'a [u8],
    },
    Fragment(Fragment<'a>),
    /// "A higher run of yours is known here": the card that proves it, as its bytes.
    Superseded {
        card: &'a [u8],
    },
    /// A control item that this version does not know: skipped.
    Unknown,
}

/// A piece of a frame that is longer than a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment<'a> {
    /// The first 16 bytes of the frame's BLAKE3 hash: a retry of the same frame fills holes.
    pub key: [u8; 16],
    pub channel: Channel,
    /// Its place: piece `index` begins at byte `index * FRAGMENT_BYTES` of the frame.
    pub index: u8,
    /// Bytes of the whole frame, over `WHOLE_FRAME_BYTES_MAX` and at most `FRAME_BYTES_MAX`.
    pub frame_bytes: u16,
    pub bytes: &'a [u8],
}

impl Fragment<'_> {
    /// How many pieces a frame of `frame_bytes` has.
    #[must_use]
    pub fn count(frame_bytes: usize) -> usize {
        frame_bytes.div_ceil(FRAGMENT_BYTES)
    }

    /// Where the piece lies in its frame.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<usize> {
        let start = usize::from(self.index) * FRAGMENT_BYTES;
        start..(start + FRAGMENT_BYTES).min(usize::from(self.frame_bytes))
    }
}

impl<'a> Item<'a> {
    /// How many bytes [`Item::write`] writes.
    #[must_use]
    pub fn written_bytes(&self) -> usize {
        let body = self.body_bytes();
        body + if body << 2 < 1 << 7 { 1 } else { 2 }
    }

    /// Appends the item: a header of `length << 2 | kind`, then the body.
    pub fn write(&self, to: &mut Vec<u8>) {
        let kind = match self {
            Self::Frame { channel: Channel::Membership, .. } => ITEM_MEMBERSHIP,
            Self::Frame { channel: Channel::Messaging, .. } => ITEM_MESSAGING,
            Self::Fragment(_) => ITEM_FRAGMENT,
            Self::Superseded { .. } | Self::Unknown => ITEM_CONTROL,
        };
        let body = u64::try_from(self.body_bytes()).expect("an item fits a datagram");
        write_number(to, body << 2 | kind);
        match self {
            Self::Frame { bytes, .. } => to.extend_from_slice(bytes),
            Self::Fragment(fragment) => {
                to.extend_from_slice(&fragment.key);
                to.push(match fragment.channel {
                    Channel::Membership => 0,
                    Channel::Messaging => 1,
                });
                to.push(fragment.index);
                to.extend_from_slice(&fragment.frame_bytes.to_be_bytes());
                to.extend_from_slice(fragment.bytes);
            }
            Self::Superseded { card } => {
                to.push(CONTROL_SUPERSEDED);
                to.extend_from_slice(card);
            }
            Self::Unknown => {}
        }
    }

    /// Reads the item at the front of `text` and returns what is behind it.
    #[must_use]
    pub fn read(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, text) = read_number(text)?;
        let (body, rest) = text.split_at_checked(usize::try_from(header >> 2).ok()?)?;
        let item = match header & 3 {
            ITEM_MEMBERSHIP => Self::Frame { channel: Channel::Membership, bytes: body },
            ITEM_MESSAGING => Self::Frame { channel: Channel::Messaging, bytes: body },
            ITEM_FRAGMENT => Self::Fragment(read_fragment(body)?),
            _ => match body.split_first() {
                Some((&CONTROL_SUPERSEDED, card)) => Self::Superseded { card },
                Some(_) | None => Self::Unknown,
            },
        };
        Some((item, rest))
    }

    fn body_bytes(&self) -> usize {
        match self {
            Self::Frame { bytes, .. } => bytes.len(),
            Self::Fragment(fragment) => FRAGMENT_HEADER_BYTES + fragment.bytes.len(),
            Self::Superseded { card } => 1 + card.len(),
            Self::Unknown => 0,
        }
    }
}

/// The items of a datagram, if all of it reads.
#[must_use]
pub fn read_items(mut text: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut items = Vec::new();
    while !text.is_empty() {
        let (item, rest) = Item::read(text)?;
        items.push(item);
        text = rest;
    }
    Some(items)
}

fn read_fragment(body: &[u8]) -> Option<Fragment<'_>> {
    let (key, body) = body.split_first_chunk::<16>()?;
    let (&[channel, index], body) = body.split_first_chunk::<2>()?;
    let (frame_bytes, bytes) = body.split_first_chunk::<2>()?;
    let channel = match channel {
        0 => Channel::Membership,
        1 => Channel::Messaging,
        _ => return None,
    };
    let fragment = Fragment { key: *key, channel, index, frame_bytes: u16::from_be_bytes(*frame_bytes), bytes };
    let frame_bytes = usize::from(fragment.frame_bytes);
    let fits = (WHOLE_FRAME_BYTES_MAX + 1..=FRAME_BYTES_MAX).contains(&frame_bytes)
        && usize::from(index) < Fragment::count(frame_bytes)
        && fragment.range().len() == bytes.len();
    fits.then_some(fragment)
}

/// LEB128: seven bits a byte, the lowest first, the top bit set on all but the last.
fn write_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
        number >>= 7;
    }
    to.push(u8::try_from(number).expect("seven bits"));
}

/// Reads a number of at most 35 bits.
fn read_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (place, &byte) in bytes.iter().take(5).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn a_handshake_datagram_reads_back_under_its_key_only() {
        let bytes = second_datagram(&KEY, 1, 2, b"noise");
        let Ok(Datagram::Second { sender: 1, receiver: 2, noise: b"noise", .. }) = Datagram::decode(&bytes, &KEY)
        else {
            panic!("it does not read back");
        };
        assert_eq!(Datagram::decode(&bytes, &[8; 32]), Err(DatagramError::Gate));
    }

    #[test]
    fn reserved_kinds_are_told_from_noise() {
        assert_eq!(Datagram::decode(&[5; 40], &KEY), Err(DatagramError::Reserved));
        assert_eq!(Datagram::decode(&[6; 40], &KEY), Err(DatagramError::Reserved));
        assert_eq!(Datagram::decode(&[7; 40], &KEY), Err(DatagramError::Malformed));
    }

    #[test]
    fn an_echo_of_an_idle_second_takes_six_bytes() {
        let mut bytes = Vec::new();
        Echo { newest: Some(EchoOf { counter: 9_000, held_us: 999_999, arrived: 64 }) }.write(&mut bytes);
        assert_eq!(bytes.len(), 6);
    }

    proptest! {
        #[test]
        fn any_flipped_bit_of_a_handshake_is_noticed(bit in 0..(1 + GATE_BYTES + 8 + 20) * 8) {
            let mut bytes = second_datagram(&KEY, 1, 2, &[3; 20]);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Datagram::decode(&bytes, &KEY).is_err() || bytes[0] == DATA);
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..1300)) {
            let _ = Datagram::decode(&bytes, &KEY);
            let _ = Echo::read(&bytes);
            let _ = read_items(&bytes);
            let _ = super::super::decode_layout::<Hello>(&bytes);
        }

        #[test]
        fn an_echo_reads_back(counter in 0..ECHO_NUMBER_MAX, held_us in 0..=ECHO_NUMBER_MAX, arrived in 1..=64u8) {
            let arrived = u8::try_from(counter.saturating_add(1).min(u64::from(arrived))).unwrap();
            let echo = Echo { newest: Some(EchoOf { counter, held_us, arrived }) };
            let mut bytes = Vec::new();
            echo.write(&mut bytes);
            prop_assert!(bytes.len() <= ECHO_BYTES_MAX);
            bytes.push(9);
            prop_assert_eq!(Echo::read(&bytes), Some((echo, &[9][..])));
        }

        #[test]
        fn items_read_back(frames in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..9)) {
            let items: Vec<_> = frames.iter().map(|(first, bytes)| {
                let channel = if *first { Channel::Membership } else { Channel::Messaging };
                Item::Frame { channel, bytes }
            }).collect();
            let mut text = Vec::new();
            for item in &items {
                let before = text.len();
                item.write(&mut text);
                prop_assert_eq!(text.len() - before, item.written_bytes());
            }
            prop_assert_eq!(read_items(&text), Some(items));
        }
    }
}
