//! What is sealed in a data datagram: an echo, then items until the end. Owns their bytes; knows no key, no
//! counter but the echoed one, and no frame's meaning.
//!
//! | part | bytes |
//! |---|---|
//! | echo | highest counter received + 1 (alone, when zero), microseconds since, arrived of the last 64 (1 byte) |
//! | item | length × 4 + kind, then as many bytes as the length says |
//! | kind 0, 1 | a frame of membership, of messaging |
//! | kind 2 | a fragment: key 16, channel 1, index 1, bytes of the whole frame 2 (big-endian), piece |
//! | kind 3 | control: 1 and a card: "your run is over"; 2, 3 reserved for a path challenge and its answer, 4 for a rekey; others are skipped |
//!
//! Numbers are LEB128 of at most 35 bits.

use super::datagram::DATA_HEADER_BYTES;
use crate::base::limits::{DATAGRAM_BYTES_MAX, FRAME_BYTES_MAX};
use crate::crypto::TAG_BYTES;

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

const ITEM_HEADER_BYTES_MAX: usize = 2;
const FRAGMENT_HEADER_BYTES: usize = 16 + 1 + 1 + 2;
/// Numbers of the echo stay below this, so that each takes 5 bytes at most.
const ECHO_NUMBER_MAX: u64 = (1 << 35) - 1;
const ITEM_MEMBERSHIP: u64 = 0;
const ITEM_MESSAGING: u64 = 1;
const ITEM_FRAGMENT: u64 = 2;
const ITEM_CONTROL: u64 = 3;
/// The first byte of a control item. 2 and 3 are reserved for a path challenge and its answer, 4 for a rekey.
const CONTROL_SUPERSEDED: u8 = 1;

const _: () = assert!(FRAGMENT_BYTES + FRAGMENT_HEADER_BYTES + ITEM_HEADER_BYTES_MAX <= ITEMS_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX.div_ceil(FRAGMENT_BYTES) <= 256, "an index takes one byte");
const _: () = assert!(ITEMS_BYTES_MAX << 2 < 1 << 14, "an item header takes two bytes");

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
    ///
    /// # Panics
    /// With a body over 2³³ bytes, which no datagram holds.
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

    #[test]
    fn an_echo_of_an_idle_second_takes_six_bytes() {
        let mut bytes = Vec::new();
        Echo { newest: Some(EchoOf { counter: 9_000, held_us: 999_999, arrived: 64 }) }.write(&mut bytes);
        assert_eq!(bytes.len(), 6);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..1300)) {
            let _ = Echo::read(&bytes);
            let _ = read_items(&bytes);
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
