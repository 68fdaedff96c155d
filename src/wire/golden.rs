//! The bytes themselves, from fixed seeds: whatever changes one of these changes the protocol. A vector
//! that is long stands as its length and hash.

use data_encoding::HEXLOWER;

use super::codec::{decode, encode};
use super::datagram::{
    Datagram, FIRST_PADDING_BYTES, Hello, data_header, first_datagram, second_datagram, third_datagram,
};
use super::sealed::{Channel, Echo, EchoOf, Fragment, Item};
use super::{
    Card, FrontierEntry, GroupMessage, Heartbeat, Held, HeldMember, HeldRange, Layout, Leave, MembershipFrame,
    MessagingFrame, Prev, PrivateMessage, Receipt, RefusedReason, Report, Signed, SignedLayout, encode_layout,
};
use crate::base::{MemberId, MessageId, Rng, RoomId, Run, Wall};
use crate::crypto::{Handshake, Identity, RoomKeys, RoomSecret};

const ROOM: RoomId = RoomId([0x11; 16]);
const RUN: Run = Run { incarnation: 1_700_000_000, boot: 0x0123_4567_89ab_cdef };

fn ana() -> Identity {
    Identity::from_secrets([0x01; 32], [0x02; 32])
}

fn bo() -> Identity {
    Identity::from_secrets([0x03; 32], [0x04; 32])
}

fn keys() -> RoomKeys {
    RoomSecret::from_bytes([0x22; 16]).keys(ROOM)
}

fn card_of(identity: &Identity) -> Signed<Card> {
    let card = Card {
        room: ROOM,
        member: identity.id(),
        noise_key: identity.noise_key(),
        run: RUN,
        version: 3,
        nick: "ana".into(),
        addresses: vec!["192.0.2.1:4460".parse().unwrap(), "[2001:db8::1]:4461".parse().unwrap()],
    };
    Signed::sign(card, identity)
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Length and the first 16 bytes of the BLAKE3 hash.
fn digest(bytes: &[u8]) -> String {
    format!("{} {}", bytes.len(), hex(&blake3::hash(bytes).as_bytes()[..16]))
}

fn signed<T: SignedLayout + Layout + PartialEq + std::fmt::Debug>(value: T, identity: &Identity) -> String {
    let signed = Signed::sign(value, identity);
    assert_eq!(Signed::open(signed.bytes()).as_ref(), Ok(&signed));
    digest(signed.bytes())
}

#[test]
fn keys_of_the_room() {
    let keys = keys();
    assert_eq!(digest(&[keys.psk, keys.gate, keys.cookie].concat()), "96 7190470b810cd8478701a14101e7a944");
}

#[test]
fn signed_objects() {
    let (ana, bo) = (ana(), bo());
    let id = MessageId([0x55; 32]);
    let group = |seq, prev| GroupMessage {
        room: ROOM,
        author: ana.id(),
        run: RUN,
        seq,
        prev,
        lamport: 77,
        said_at: Wall(1_700_000_000_123),
        text: "grüß dich".into(),
    };
    let receipt = |held| Receipt { room: ROOM, receiver: bo.id(), run: RUN, author: ana.id(), held };
    let earlier = Prev::Earlier { run: Run { incarnation: 5, boot: 6 }, seq: 7, id };
    let ranges = vec![
        HeldRange { first: 1, last: 4, last_id: id },
        HeldRange { first: 6, last: 6, last_id: MessageId([0x66; 32]) },
    ];
    let vectors = [
        ("card", digest(card_of(&ana).bytes())),
        ("leave", signed(Leave { room: ROOM, member: ana.id(), run: RUN }, &ana)),
        ("group message, first ever", signed(group(1, Prev::None), &ana)),
        ("group message, next", signed(group(2, Prev::Same(id)), &ana)),
        ("group message, first of a run", signed(group(1, earlier), &ana)),
        ("receipt for the group", signed(receipt(Held::Group { run: RUN, ranges }), &bo)),
        ("receipt for private messages", signed(receipt(Held::Private { ids: vec![id] }), &bo)),
    ];
    let expected = [
        ("card", "196 14a72dc6e70764089f40c4be114f163e"),
        ("leave", "128 d0e679d7d042557cfcfc04cc8822c5b2"),
        ("group message, first ever", "166 8d593080eeb961a94a35f8730fb25746"),
        ("group message, next", "198 78d2e43a60f96c5efd0831e1c1c65b61"),
        ("group message, first of a run", "222 bfa31150afdaac6d9a0481c02491b2ea"),
        ("receipt for the group", "274 b9c7aec3df1ebea14cfb7bda858c5a46"),
        ("receipt for private messages", "194 65b6584fea341445e6be326b5d7fe86a"),
    ];
    assert_eq!(vectors.each_ref().map(|(name, vector)| (*name, vector.as_str())), expected);
}

#[test]
fn a_leave_byte_by_byte() {
    let leave = Signed::sign(Leave { room: ROOM, member: ana().id(), run: RUN }, &ana());
    assert_eq!(
        hex(leave.bytes()),
        "111111111111111111111111111111118a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c000000006553f1000123456789abcdef3b67cfa7b0967ac1c8e120dbf64162681cc1af0c8af79387d492449ced0027fb63f51ef0de86f842ae234fd994dab0e63a63d29d8acc622e953a58d287df740a"
    );
    assert_eq!(hex(&leave.id().0), "e44db3e34098f0b8dc8cc12291c980aad90e70df6f1809a7165d2d2099aca719");
}

#[test]
fn a_private_message() {
    let message = PrivateMessage {
        room: ROOM,
        author: ana().id(),
        run: RUN,
        to: bo().id(),
        seq: 9,
        salt: [0x77; 16],
        said_at: Wall(1_700_000_000_123),
        text: "just us".into(),
    };
    assert_eq!(
        hex(&encode_layout(&message)),
        "77777777777777777777777777777777111111111111111111111111111111118a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c000000006553f1000123456789abcdefed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d100000000000000090000018bcfe5687b00076a757374207573"
    );
}

#[test]
fn handshake_datagrams() {
    let (ana, bo, keys) = (ana(), bo(), keys());
    let hello = |identity: &Identity| {
        encode_layout(&Hello {
            card: card_of(identity).bytes().to_vec(),
            seen_at: "198.51.100.7:4460".parse().unwrap(),
        })
    };
    let mut begins = Handshake::initiator(&ana, &keys, &mut Rng::from_seed([5; 32]));
    let mut answers = Handshake::responder(&bo, &keys, &mut Rng::from_seed([6; 32]));
    let first = begins.write(&[0; FIRST_PADDING_BYTES]);
    answers.read(&first).unwrap();
    let second = answers.write(&hello(&bo));
    begins.read(&second).unwrap();
    let third = begins.write(&hello(&ana));
    assert_eq!(answers.read(&third).unwrap(), hello(&ana));
    let datagrams = [
        first_datagram(&keys.gate, 0x0a0b_0c0d, &first),
        second_datagram(&keys.gate, 0x0102_0304, 0x0a0b_0c0d, &second),
        third_datagram(&keys.gate, 0x0102_0304, &third),
    ];
    assert!(datagrams.iter().all(|bytes| Datagram::decode(bytes, &keys.gate).is_ok()));
    assert_eq!(
        datagrams.each_ref().map(|bytes| digest(bytes)),
        [
            "448 f2476c10a7e4660c689b703525c7b49f",
            "326 68d6f0309685f857e8cea75c0f0d0e18",
            "290 ef221ab6637a89fff4b3ba7b23d87bf5"
        ]
    );
    assert_eq!(
        datagrams.each_ref().map(|bytes| hex(&bytes[..25])),
        [
            "01e431430550ae038887598e1e69a7d7430a0b0c0d00000000",
            "028d47752387f7258da5c409c3ba8b5c3f010203040a0b0c0d",
            "039f05844e848d76f1305b14129c5b884e010203041cde47cd"
        ]
    );
}

#[test]
fn a_data_datagram() {
    let (ana, bo, keys) = (ana(), bo(), keys());
    let mut begins = Handshake::initiator(&ana, &keys, &mut Rng::from_seed([5; 32]));
    let mut answers = Handshake::responder(&bo, &keys, &mut Rng::from_seed([6; 32]));
    answers.read(&begins.write(b"")).unwrap();
    begins.read(&answers.write(b"")).unwrap();
    answers.read(&begins.write(b"")).unwrap();
    let keys_of_ana = begins.finish().unwrap();

    let mut datagram = data_header(0x0102_0304, 5).to_vec();
    let text = datagram.len();
    Echo { newest: Some(EchoOf { counter: 300, held_us: 20_000, arrived: 63 }) }.write(&mut datagram);
    Item::Frame { channel: Channel::Membership, bytes: &[0xaa; 3] }.write(&mut datagram);
    Item::Frame { channel: Channel::Messaging, bytes: &[0xbb; 40] }.write(&mut datagram);
    let fragment =
        Fragment { key: [0xcc; 16], channel: Channel::Messaging, index: 1, frame_bytes: 1_160, bytes: &[0xdd; 32] };
    Item::Fragment(fragment).write(&mut datagram);
    Item::Superseded { card: &[0xee; 2] }.write(&mut datagram);
    assert_eq!(
        hex(&datagram),
        "04010203040000000000000005ad02a09c013f0caaaaaaa101bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbd201cccccccccccccccccccccccccccccccc01010488dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd0f01eeee"
    );
    keys_of_ana.send.seal(5, &mut datagram, text);
    assert_eq!(digest(&datagram), "139 bc2084d87260193bc2a4b3695ed22e1e");
    assert_eq!(hex(&data_header(1, 2)), "04000000010000000000000002");
}

fn frame<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) -> String {
    let bytes = encode(value);
    assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value));
    if bytes.len() > 40 { digest(&bytes) } else { hex(&bytes) }
}

#[test]
fn membership_frames() {
    let (subject, by) = (MemberId([1; 32]), MemberId([2; 32]));
    let report = Report { by, subject, run: RUN, tick: 300, probes_lost: 4, lag_ms: 2, mostly_deaf: false };
    let heartbeat =
        Heartbeat { tick: 70_000, view: u64::MAX, lag_ms: 1, wants_answer: true, answer: false, reports: vec![] };
    let held = HeldMember { member: subject, run: RUN, version: 2, left: false, unreachable: true, tick: 9 };
    let frames = [
        MembershipFrame::Heartbeat(heartbeat.clone()),
        MembershipFrame::Heartbeat(Heartbeat { reports: vec![report.clone()], ..heartbeat }),
        MembershipFrame::Probe,
        MembershipFrame::Report(report.clone()),
        MembershipFrame::Contradiction { subject, run: RUN, tick: 301, by },
        MembershipFrame::Withdrawal { subject, run: RUN, tick: 301, by },
        MembershipFrame::Unreachable { subject, run: RUN, tick: 300, reports: vec![report] },
        MembershipFrame::Leaves(vec![vec![1, 2, 3]]),
        MembershipFrame::Cards(vec![vec![4, 5], vec![]]),
        MembershipFrame::Buckets(vec![0, 250, 251, 65_536]),
        MembershipFrame::Bucket { index: 15, held: vec![held], answer: true },
    ];
    assert_eq!(
        frames.each_ref().map(frame),
        [
            "00fc70110100fdffffffffffffffff01010000",
            "103 7ef4953c787f0cfa22e200c3ba45447e",
            "01",
            "85 60e4ec0889daa9a2e37fa3f0dd8acc9e",
            "82 4fce8ec10bc22402b61bb32df5519a52",
            "82 9c6138d964b73b74d3bfad4ab45ee98b",
            "135 b53e294eb61b40a3e1a1198d39919506",
            "060103010203",
            "070202040500",
            "080400fafbfb00fc00000100",
            "54 fe46f9e88b1c89581b9bf50e8e29bf45"
        ]
    );
}

#[test]
fn messaging_frames() {
    let (author, id) = (MemberId([1; 32]), MessageId([3; 32]));
    let entry = FrontierEntry { author, run: RUN, head: 12, head_id: id, kept: vec![(1, 4), (6, 12)] };
    let frames = [
        MessagingFrame::Group(vec![1, 2]),
        MessagingFrame::Private(vec![3]),
        MessagingFrame::Receipt(vec![4]),
        MessagingFrame::Refused { id, reason: RefusedReason::DiskFull },
        MessagingFrame::Refused { id, reason: RefusedReason::BelowFloor },
        MessagingFrame::Refused { id, reason: RefusedReason::Blocked },
        MessagingFrame::Digest(0x0102_0304_0506_0708),
        MessagingFrame::Frontier { answer: false, entries: vec![entry], more: true },
        MessagingFrame::Pull { author, run: RUN, first: 5, last: 5 },
        MessagingFrame::Recovered(vec![6]),
        MessagingFrame::PullEnd { author, run: RUN, first: 5, last: 5, kept: false },
    ];
    assert_eq!(
        frames.each_ref().map(frame),
        [
            "00020102",
            "010103",
            "020104",
            "03030303030303030303030303030303030303030303030303030303030303030300",
            "03030303030303030303030303030303030303030303030303030303030303030301",
            "03030303030303030303030303030303030303030303030303030303030303030302",
            "04fd0807060504030201",
            "88 d45022a2261f810b9ad759caceed1b2e",
            "49 bb5aea480b7fc455d47e73a9430f9291",
            "070106",
            "50 28d12c18c4d9c9431ffddba896e7d694"
        ]
    );
}
