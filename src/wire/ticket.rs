//! The ticket: what lets a stranger in, as one word that survives a chat window, a QR code and a phone call.
//! Owns its text form; knows nothing of who makes one or what joining does.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;

use super::layout::{Layout, LayoutError, Reader, Writer, decode_layout, encode_layout};
use crate::base::limits::CARD_ADDRESSES_MAX;
use crate::base::{RoomId, text};
use crate::crypto::RoomSecret;

/// Everything that joining a room takes. Whoever has one is a member, so it is shown to nobody by accident:
/// `Debug` leaves the secret out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Keeps to [`text::check_room_name`].
    pub room_name: String,
    pub room: RoomId,
    pub secret: RoomSecret,
    /// Where members may be found, best first; at most `CARD_ADDRESSES_MAX`, and there may be none.
    pub addresses: Vec<SocketAddr>,
}

impl Ticket {
    /// Whether somebody on another machine may get in by it: by an address, or, where it has none, by asking around.
    #[must_use]
    pub fn leads_here_from_elsewhere(&self) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|address| !address.ip().is_loopback())
    }
}

/// Why a text is no ticket; the sentence is for the person who pasted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    #[error("that is no ticket; one begins with moot: and is printed by moot invite")]
    NotATicket,
    #[error("malformed ticket: a character is wrong or missing; copy it again, whole")]
    Malformed,
    #[error("this ticket is of version {0}, and this program knows version {VERSION}; use a newer moot")]
    Version(u8),
}

/// What every ticket begins with, in any case.
const PREFIX: &str = "moot:";
/// The first byte. A change that an older program cannot read raises it.
const VERSION: u8 = 1;
/// A hash of all before it, cut to this length: a typo passes once in four billion.
const CHECKSUM_BYTES: usize = 4;
/// Separates the checksum from other hashes.
const CHECKSUM_DOMAIN: &str = "folkmoot 2026 ticket checksum v1";
/// The longest one: a name of 64 bytes and four IPv6 addresses.
const TICKET_BYTES_MAX: usize = 1 + 16 + 16 + 2 + 64 + 1 + CARD_ADDRESSES_MAX * 19 + CHECKSUM_BYTES;

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend(encode_layout(self));
        bytes.extend(checksum(&bytes));
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    /// Reads a ticket in any case, with blanks around or (where a line was broken) inside it.
    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (prefix, body) = text.split_at_checked(PREFIX.len()).ok_or(TicketError::NotATicket)?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return Err(TicketError::NotATicket);
        }
        if body.len() > TICKET_BYTES_MAX.div_ceil(5) * 8 {
            return Err(TicketError::Malformed);
        }
        let bytes = BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).map_err(|_| TicketError::Malformed)?;
        let (covered, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(TicketError::Malformed)?;
        if *sum != checksum(covered) {
            return Err(TicketError::Malformed);
        }
        match covered.split_first() {
            Some((&VERSION, layout)) => decode_layout(layout).map_err(|_| TicketError::Malformed),
            Some((&newer, _)) => Err(TicketError::Version(newer)),
            None => Err(TicketError::Malformed),
        }
    }
}

impl Layout for Ticket {
    const DOMAIN: &'static str = "folkmoot ticket v1\0";

    fn write(&self, to: &mut Writer) {
        to.raw(&self.room.0);
        to.raw(&self.secret.to_bytes());
        to.short(self.room_name.as_bytes());
        to.u8(u8::try_from(self.addresses.len()).expect("at most CARD_ADDRESSES_MAX"));
        for &address in &self.addresses {
            to.address(address);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, LayoutError> {
        let room = from.room()?;
        let secret = RoomSecret::from_bytes(from.raw()?);
        let room_name = from.text(TICKET_BYTES_MAX)?.to_owned();
        text::check_room_name(&room_name).map_err(|_| LayoutError::Range)?;
        let count = usize::from(from.u8()?);
        if count > CARD_ADDRESSES_MAX {
            return Err(LayoutError::Range);
        }
        let addresses = (0..count).map(|_| from.address()).collect::<Result<_, _>>()?;
        Ok(Self { room_name, room, secret, addresses })
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sum = [0; CHECKSUM_BYTES];
    blake3::Hasher::new_derive_key(CHECKSUM_DOMAIN).update(bytes).finalize_xof().fill(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            room_name: "ana's moot".into(),
            room: RoomId(std::array::from_fn(|at| u8::try_from(at).unwrap())),
            secret: RoomSecret::from_bytes([0xa5; 16]),
            addresses: vec!["192.168.1.5:4460".parse().unwrap(), "[2001:db8::1]:4460".parse().unwrap()],
        }
    }

    const GOLDEN: &str = "moot:aeaacaqdaqcqmbyibefawdanbyh2ljnfuws2ljnfuws2ljnfuws2kaakmfxgcj3tebww633uaicmbkab\
         auiwybraaeg3qaaaaaaaaaaaaaaaaaabcfwnuh7que";

    #[test]
    fn a_ticket_has_the_same_text_in_every_version_of_the_program() {
        assert_eq!(ticket().to_string(), GOLDEN);
        assert_eq!(GOLDEN.parse(), Ok(ticket()));
    }

    #[test]
    fn case_and_line_breaks_do_not_matter() {
        let text = ticket().to_string();
        assert_eq!(text.to_uppercase().parse(), Ok(ticket()));
        let (head, tail) = text.split_at(40);
        assert_eq!(format!(" {head}\n  {tail}\n").parse(), Ok(ticket()));
    }

    #[test]
    fn loopback_alone_leads_here_from_nowhere_else() {
        let with = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
            Ticket { addresses, ..ticket() }.leads_here_from_elsewhere()
        };
        assert!(with(&[]) && with(&["127.0.0.1:4460", "192.168.1.5:4460"]) && with(&["[fd00::1]:4460"]));
        assert!(!with(&["127.0.0.1:4460"]) && !with(&["[::1]:4460", "127.0.0.2:4460"]));
    }

    #[test]
    fn a_ticket_never_prints_its_secret_by_accident() {
        assert!(!format!("{:?}", ticket()).contains("165"), "0xa5 is 165");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let parse = |text: &str| text.parse::<Ticket>();
        assert_eq!(parse(""), Err(TicketError::NotATicket));
        assert_eq!(parse("moot"), Err(TicketError::NotATicket));
        assert_eq!(parse("https://example.org"), Err(TicketError::NotATicket));
        assert_eq!(parse("moöt:abc"), Err(TicketError::NotATicket));
        assert_eq!(parse("moot:"), Err(TicketError::Malformed));
        let text = ticket().to_string();
        assert_eq!(parse(&text[..text.len() - 1]), Err(TicketError::Malformed));
        assert_eq!(parse(&format!("{text}a")), Err(TicketError::Malformed));
        assert_eq!(parse(&format!("moot:{}", "a".repeat(100_000))), Err(TicketError::Malformed));

        let mut newer = vec![2, 1, 2, 3];
        newer.extend(checksum(&newer));
        assert_eq!(parse(&format!("moot:{}", BASE32_NOPAD.encode(&newer))), Err(TicketError::Version(2)));
    }

    fn any_ticket() -> impl Strategy<Value = Ticket> {
        let addresses = prop::collection::vec(any::<SocketAddr>().prop_map(plain), 0..=CARD_ADDRESSES_MAX);
        ("[a-z' ]{0,63}x", any::<[u8; 16]>(), any::<[u8; 16]>(), addresses).prop_map(
            |(room_name, room, secret, addresses)| Ticket {
                room_name,
                room: RoomId(room),
                secret: RoomSecret::from_bytes(secret),
                addresses,
            },
        )
    }

    /// Without the scope and flow of an IPv6 address, which mean nothing on another machine.
    fn plain(address: SocketAddr) -> SocketAddr {
        SocketAddr::new(address.ip(), address.port())
    }

    proptest! {
        #[test]
        fn every_ticket_reads_back(ticket in any_ticket()) {
            prop_assert_eq!(ticket.to_string().parse(), Ok(ticket));
        }

        #[test]
        fn a_wrong_character_is_noticed(at in 5usize..1_000, to in "[a-z2-7]") {
            let right = ticket().to_string();
            let at = 5 + (at - 5) % (right.len() - 5);
            let mut wrong = right.clone();
            wrong.replace_range(at..=at, &to);
            prop_assume!(wrong != right);
            prop_assert_eq!(wrong.parse::<Ticket>(), Err(TicketError::Malformed));
        }

        #[test]
        fn two_characters_changed_places_are_noticed(at in 5usize..1_000) {
            let right = ticket().to_string();
            let at = 5 + (at - 5) % (right.len() - 6);
            let mut wrong = right.clone().into_bytes();
            wrong.swap(at, at + 1);
            let wrong = String::from_utf8(wrong).unwrap();
            prop_assume!(wrong != right);
            prop_assert_eq!(wrong.parse::<Ticket>(), Err(TicketError::Malformed));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(moot:)?([a-z2-7]{0,200}|\\PC{0,60})") {
            let _ = text.parse::<Ticket>();
        }

        #[test]
        fn any_bytes_under_a_right_checksum_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            bytes.insert(0, VERSION);
            bytes.extend(checksum(&bytes));
            let text = format!("moot:{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase());
            if let Ok(ticket) = text.parse::<Ticket>() {
                prop_assert_eq!(ticket.to_string(), text, "one ticket has one text");
            }
        }
    }
}
