//! Damaged and made-up bytes, for every decoder of what a datagram may carry: none panics, what is signed
//! notices each flipped bit, and a layout that reads writes the very same bytes again.

use std::fmt::Debug;

use proptest::prelude::*;

use super::codec::{decode, encode};
use super::datagram::Hello;
use super::{
    Card, GroupMessage, Held, Layout, Leave, MembershipFrame, MessagingFrame, Prev, PrivateMessage, Receipt, Signed,
    SignedLayout, decode_layout, encode_layout,
};
use crate::base::{MessageId, Rng, RoomId, Run, Wall};
use crate::crypto::Identity;

const ROOM: RoomId = RoomId([1; 16]);
const RUN: Run = Run { incarnation: 7, boot: 9 };

fn ana() -> Identity {
    Identity::generate(&mut Rng::from_seed([1; 32]))
}

fn card() -> Card {
    let (member, noise_key) = (ana().id(), ana().noise_key());
    let addresses = vec!["192.0.2.1:4460".parse().unwrap()];
    Card { room: ROOM, member, noise_key, run: RUN, version: 1, nick: "ana".into(), addresses }
}

fn group_message() -> GroupMessage {
    let prev = Prev::Same(MessageId([2; 32]));
    let (author, said_at) = (ana().id(), Wall(5));
    GroupMessage { room: ROOM, author, run: RUN, seq: 2, prev, lamport: 3, said_at, text: "hello".into() }
}

fn receipt() -> Receipt {
    let held = Held::Private { ids: vec![MessageId([4; 32])] };
    Receipt { room: ROOM, receiver: ana().id(), run: RUN, author: ana().id(), held }
}

fn is_noticed<T: SignedLayout + Debug + PartialEq>(value: T, place: prop::sample::Index, bit: u8, cut: bool) -> bool {
    let signed = Signed::sign(value, &ana());
    let mut bytes = signed.bytes().to_vec();
    let place = place.index(bytes.len());
    if cut {
        bytes.truncate(place);
    } else {
        bytes[place] ^= 1 << bit;
    }
    Signed::<T>::open(&bytes).is_err()
}

fn writes_back<T: Layout>(bytes: &[u8]) -> bool {
    decode_layout::<T>(bytes).map_or(true, |value| encode_layout(&value) == bytes)
}

fn damaged(mut bytes: Vec<u8>, place: prop::sample::Index, byte: u8) -> Vec<u8> {
    let place = place.index(bytes.len());
    bytes[place] = byte;
    bytes
}

proptest! {
    #[test]
    fn what_is_signed_notices_every_damage(place in any::<prop::sample::Index>(), bit in 0..8u8, cut in any::<bool>()) {
        prop_assert!(is_noticed(card(), place, bit, cut));
        let leave = Leave { room: ROOM, member: ana().id(), run: RUN };
        prop_assert!(is_noticed(leave, place, bit, cut));
        prop_assert!(is_noticed(group_message(), place, bit, cut));
        prop_assert!(is_noticed(receipt(), place, bit, cut));
    }

    #[test]
    fn a_layout_has_one_byte_form(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let private = PrivateMessage {
            room: ROOM, author: ana().id(), run: RUN, to: ana().id(), seq: 1, salt: [3; 16], said_at: Wall(5), text: "hi".into(),
        };
        let hello = Hello { card: vec![1, 2, 3], seen_at: "[2001:db8::1]:9".parse().unwrap() };
        prop_assert!(writes_back::<Card>(&damaged(encode_layout(&card()), place, byte)));
        prop_assert!(writes_back::<GroupMessage>(&damaged(encode_layout(&group_message()), place, byte)));
        prop_assert!(writes_back::<PrivateMessage>(&damaged(encode_layout(&private), place, byte)));
        prop_assert!(writes_back::<Receipt>(&damaged(encode_layout(&receipt()), place, byte)));
        prop_assert!(writes_back::<Hello>(&damaged(encode_layout(&hello), place, byte)));
    }

    #[test]
    fn made_up_bytes_make_no_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Signed::<Card>::open(&bytes);
        let _ = Signed::<Leave>::open(&bytes);
        let _ = Signed::<GroupMessage>::open(&bytes);
        let _ = Signed::<Receipt>::open(&bytes);
        let _ = Signed::<Card>::open_trusted(&bytes);
        let _ = decode::<MembershipFrame>(&bytes);
        let _ = decode::<MessagingFrame>(&bytes);
        prop_assert!(writes_back::<PrivateMessage>(&bytes));
    }

    #[test]
    fn a_frame_with_bytes_left_over_or_missing_is_none(text in prop::collection::vec(any::<u8>(), 0..300), more in any::<u8>()) {
        let frame = MessagingFrame::Group(text);
        let mut bytes = encode(&frame);
        prop_assert_eq!(decode::<MessagingFrame>(&bytes), Ok(frame));
        prop_assert!(decode::<MessagingFrame>(&bytes[..bytes.len() - 1]).is_err());
        bytes.push(more);
        prop_assert!(decode::<MessagingFrame>(&bytes).is_err());
    }

    #[test]
    fn a_claimed_length_allocates_nothing(variant in 0..9u8, claimed in any::<u64>()) {
        let mut bytes = vec![variant, 253];
        bytes.extend_from_slice(&claimed.max(1 << 20).to_le_bytes());
        prop_assert!(decode::<MessagingFrame>(&bytes).is_err() || variant == 4);
        let _ = decode::<MembershipFrame>(&bytes);
    }
}
