//! Datagrams: what stands on the wire, byte by byte. Owns the kinds, the headers, the hash in front of a
//! handshake and the hello. Holds no session, and knows neither what is sealed in a data datagram (see
//! `sealed`) nor when one is sent.
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
//! Integers are big-endian.

use std::net::SocketAddr;

use super::layout::{Layout, LayoutError, Reader, Writer};
use crate::base::limits::{CARD_ADDRESSES_MAX, DATAGRAM_BYTES_MAX, NICK_BYTES_MAX};
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

const COOKIE_BYTES: usize = 16;
const CARD_BYTES_MAX: usize =
    16 + 32 + 32 + 16 + 4 + 2 + NICK_BYTES_MAX + 1 + CARD_ADDRESSES_MAX * ADDRESS_BYTES_MAX + SIGNATURE_BYTES;
const ADDRESS_BYTES_MAX: usize = 1 + 16 + 2;

const FIRST: u8 = 1;
const SECOND: u8 = 2;
const THIRD: u8 = 3;
const DATA: u8 = 4;
const COOKIE: u8 = 5;
const REKEYED_DATA: u8 = 6;

const _: () = assert!(SECOND_BYTES_MAX <= FIRST_BYTES, "no answer is larger than what asked for it");

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

/// The receiver's index and the counter of a data datagram, which stand in the clear; `None` for any other.
#[must_use]
pub fn read_data_header(bytes: &[u8]) -> Option<(u32, u64)> {
    let (header, _) = bytes.split_first_chunk::<DATA_HEADER_BYTES>()?;
    let (&kind, numbers) = header.split_first()?;
    let (receiver, counter) = numbers.split_first_chunk::<4>()?;
    let counter = u64::from_be_bytes(counter.try_into().ok()?);
    (kind == DATA).then_some((u32::from_be_bytes(*receiver), counter))
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
    fn the_header_of_data_reads_in_the_clear() {
        assert_eq!(read_data_header(&data_header(7, 1 << 40)), Some((7, 1 << 40)));
        assert_eq!(read_data_header(&first_datagram(&KEY, 1, &[0; FIRST_BYTES - 37])), None);
        assert_eq!(read_data_header(&[DATA; 12]), None);
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
            let _ = super::super::decode_layout::<Hello>(&bytes);
        }
    }
}
