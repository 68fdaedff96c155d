//! Holds docs/PROTOCOL.md and docs/vectors.txt to the code: every constant, domain tag and frame number in the
//! tables, and the bytes of one value of each kind. A change of the protocol changes both in one commit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use folkmoot::base::limits::{
    CARD_ADDRESSES_MAX, DATAGRAM_BYTES_MAX, EVERYONE_WATCHES_MAX, FLOODED_RINGS, FRAME_BYTES_MAX, HALF_OPEN_MAX,
    HALF_OPEN_PER_SOURCE_MAX, HANDSHAKES_PER_SOURCE_PER_MINUTE, HOP_ACKS_PER_FRAME_MAX, NICK_BYTES_MAX,
    REASSEMBLY_BYTES_MAX, RECEIPT_COMMITMENTS_MAX, RECEIPT_HOPS_MAX, RECEIPT_RANGES_MAX, RECEIPTS_PER_BUNDLE_MAX,
    REPLAY_WINDOW, SAMPLED_MEMBERS_MAX, SESSION_DATAGRAMS_MAX, TEXT_BYTES_MAX, TOUCHED_MEMBERS_MAX, WITNESS_RINGS,
};
use folkmoot::base::{MemberId, MessageId, Rng, RoomId, Run, Wall};
use folkmoot::crypto::{AeadKey, Handshake, Identity, RoomSecret, SIGNATURE_BYTES, TAG_BYTES};
use folkmoot::wire::codec;
use folkmoot::wire::datagram::{
    DATA_HEADER_BYTES, Datagram, FIRST_BYTES, FIRST_PADDING_BYTES, GATE_BYTES, HELLO_BYTES_MAX, Hello,
    SECOND_BYTES_MAX, data_header, first_datagram, second_datagram, third_datagram,
};
use folkmoot::wire::sealed::{
    Channel, ECHO_BYTES_MAX, ECHO_WINDOW, Echo, EchoOf, FRAGMENT_BYTES, Fragment, ITEMS_BYTES_MAX, Item,
    WHOLE_FRAME_BYTES_MAX,
};
use folkmoot::wire::{
    Card, FrontierEntry, GroupMessage, Heartbeat, Held, HeldMember, HeldRange, Lacking, Layout, Leave, MembershipFrame,
    MessagingFrame, OpenReport, Prev, PrivateMessage, Receipt, RefusedReason, Report, ShownCard, Signed, SignedLayout,
    Ticket, encode_layout, layout_id,
};
use serde::Serialize;

/// The constants of the document, by the names that they have in the code.
macro_rules! constants {
    ($($name:ident),* $(,)?) => {
        BTreeMap::from([$((stringify!($name).to_owned(), u64::try_from($name).expect("a constant is positive"))),*])
    };
}

#[test]
fn the_constants_of_the_document_are_those_of_the_code() {
    let coded = constants![
        DATAGRAM_BYTES_MAX,
        FRAME_BYTES_MAX,
        TEXT_BYTES_MAX,
        NICK_BYTES_MAX,
        CARD_ADDRESSES_MAX,
        SIGNATURE_BYTES,
        TAG_BYTES,
        RECEIPT_COMMITMENTS_MAX,
        RECEIPT_RANGES_MAX,
        EVERYONE_WATCHES_MAX,
        WITNESS_RINGS,
        TOUCHED_MEMBERS_MAX,
        FLOODED_RINGS,
        SAMPLED_MEMBERS_MAX,
        RECEIPT_HOPS_MAX,
        RECEIPTS_PER_BUNDLE_MAX,
        HOP_ACKS_PER_FRAME_MAX,
        GATE_BYTES,
        FIRST_BYTES,
        FIRST_PADDING_BYTES,
        HELLO_BYTES_MAX,
        SECOND_BYTES_MAX,
        DATA_HEADER_BYTES,
        ECHO_BYTES_MAX,
        ECHO_WINDOW,
        ITEMS_BYTES_MAX,
        WHOLE_FRAME_BYTES_MAX,
        FRAGMENT_BYTES,
        REPLAY_WINDOW,
        SESSION_DATAGRAMS_MAX,
        HANDSHAKES_PER_SOURCE_PER_MINUTE,
        HALF_OPEN_PER_SOURCE_MAX,
        HALF_OPEN_MAX,
        REASSEMBLY_BYTES_MAX,
    ];
    let written: BTreeMap<String, u64> =
        rows(3).filter_map(|cells| Some((constant_name(&cells[0])?, cells[1].parse().ok()?))).collect();
    assert_eq!(written, coded);
}

#[test]
fn the_domain_tags_of_the_document_are_those_of_the_code() {
    let coded = BTreeMap::from(
        [
            ("Card", Card::DOMAIN),
            ("Leave", Leave::DOMAIN),
            ("GroupMessage", GroupMessage::DOMAIN),
            ("PrivateMessage", PrivateMessage::DOMAIN),
            ("Receipt", Receipt::DOMAIN),
        ]
        .map(|(name, tag)| (name.to_owned(), tag.replace('\0', "\\0"))),
    );
    let written: BTreeMap<String, String> = rows(3)
        .filter(|cells| cells[1].ends_with("v1\\0`"))
        .map(|cells| (cells[0].clone(), cells[1].trim_matches('`').to_owned()))
        .collect();
    assert_eq!(written, coded);
}

#[test]
fn the_frames_of_the_document_have_the_numbers_of_the_code() {
    let mut coded: Vec<(u8, String)> = Vec::new();
    coded.extend(membership_frames().iter().map(numbered));
    coded.extend(messaging_frames().iter().map(numbered));
    let is_frame = |cells: &Vec<String>| cells[1].starts_with(|c: char| c.is_ascii_uppercase());
    let written: Vec<(u8, String)> =
        rows(3).filter(is_frame).filter_map(|cells| Some((cells[0].parse().ok()?, cells[1].clone()))).collect();
    assert_eq!(written, coded);
}

#[test]
fn the_vectors_are_what_the_code_writes() {
    let written = fs::read_to_string(docs().join("vectors.txt")).expect("docs/vectors.txt");
    let coded = vectors();
    if written == coded {
        return;
    }
    let differs = |(written, coded): &(&str, &str)| written != coded;
    let first = written.lines().zip(coded.lines()).find(differs);
    panic!("docs/vectors.txt differs, first at\n{first:?}\nif that is meant, it should be:\n{coded}");
}

#[test]
fn the_reasons_of_a_refusal_have_the_numbers_of_the_document() {
    let coded = [RefusedReason::DiskFull, RefusedReason::BelowFloor, RefusedReason::Blocked];
    assert_eq!(coded.map(|reason| codec::encode(&reason)), [[0], [1], [2]]);
}

#[test]
fn the_vectors_read_back() {
    let keys = secret().keys(ROOM);
    let kinds = handshake().map(|(_, bytes)| match Datagram::decode(&bytes, &keys.gate).expect("it holds") {
        Datagram::First { .. } => 1,
        Datagram::Second { .. } => 2,
        Datagram::Third { .. } => 3,
        Datagram::Data { .. } => 4,
    });
    assert_eq!(kinds, [1, 2, 3]);
    assert_eq!(ticket().to_string().parse(), Ok(ticket()));
    for frame in membership_frames() {
        assert_eq!(codec::decode(&codec::encode(&frame)), Ok(frame));
    }
    for frame in messaging_frames() {
        assert_eq!(codec::decode(&codec::encode(&frame)), Ok(frame));
    }
    assert_eq!(Signed::<Card>::open(signed(card()).bytes()).expect("it holds").value(), &card());
    assert_eq!(
        Signed::<Receipt>::open(signed(receipt(private_held())).bytes()).expect("it holds").value().author,
        bo().id()
    );
}

/// The rows of the document's tables that have at least `columns` cells.
fn rows(columns: usize) -> impl Iterator<Item = Vec<String>> {
    let text = fs::read_to_string(docs().join("PROTOCOL.md")).expect("docs/PROTOCOL.md");
    let rows: Vec<Vec<String>> = text
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|').map(str::to_owned))
        .map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    rows.into_iter().filter(move |cells: &Vec<String>| cells.len() >= columns)
}

fn constant_name(cell: &str) -> Option<String> {
    let name = cell.strip_prefix('`')?.strip_suffix('`')?;
    name.chars().all(|c| c.is_ascii_uppercase() || c == '_').then(|| name.to_owned())
}

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// A frame's first byte and the name of its variant.
fn numbered<T: Serialize + std::fmt::Debug>(frame: &T) -> (u8, String) {
    let name: String = format!("{frame:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
    (codec::encode(frame)[0], name)
}

/// The whole of docs/vectors.txt.
fn vectors() -> String {
    let mut text = String::from(PREAMBLE);
    let mut add = |name: &str, bytes: &[u8]| writeln!(text, "{name}: {}", hex(bytes)).expect("a string takes it");
    add("ana's id", &ana().id().0);
    add("ana's handshake key", &ana().noise_key());
    add("bo's id", &bo().id().0);
    let keys = secret().keys(ROOM);
    add("psk", &keys.psk);
    add("gate key", &keys.gate);
    add("cookie key", &keys.cookie);

    add("card", signed(card()).bytes());
    add("leave", signed(leave()).bytes());
    add("group message, first ever", signed(group(1, Prev::None)).bytes());
    add("group message, second", signed(group(2, Prev::Same(MessageId([7; 32])))).bytes());
    let earlier = Prev::Earlier { run: Run { incarnation: 5, boot: 6 }, seq: 9, id: MessageId([7; 32]) };
    add("group message, first of a later run", signed(group(1, earlier)).bytes());
    add("group message, id of the second", &signed(group(2, Prev::Same(MessageId([7; 32])))).id().0);
    add("private message", &encode_layout(&private()));
    add("private message, id", &layout_id::<PrivateMessage>(&encode_layout(&private())).0);
    let ranges = vec![
        HeldRange { first: 1, last: 3, last_id: MessageId([8; 32]) },
        HeldRange { first: 5, last: 5, last_id: MessageId([9; 32]) },
    ];
    add("receipt, group", signed(receipt(Held::Group { run: RUN, ranges })).bytes());
    add("receipt, private", signed(receipt(private_held())).bytes());
    let hello = Hello { card: signed(card()).bytes().to_vec(), seen_at: address("192.0.2.7:4460") };
    add("hello", &encode_layout(&hello));

    add("ephemeral secret of message 1", &ephemeral(5));
    add("ephemeral secret of message 2", &ephemeral(6));
    for (name, bytes) in handshake() {
        add(name, &bytes);
    }
    for (name, bytes) in data() {
        add(name, &bytes);
    }
    for frame in membership_frames() {
        add(&format!("membership, {}", numbered(&frame).1), &codec::encode(&frame));
    }
    for frame in messaging_frames() {
        add(&format!("messaging, {}", numbered(&frame).1), &codec::encode(&frame));
    }
    writeln!(text, "ticket: {}", ticket()).expect("a string takes it");
    text
}

const PREAMBLE: &str = "\
# Vectors of the protocol, version 1: one value of each kind, as bytes in hexadecimal.
#
# ana signs with the seed 01…01 (32 bytes) and shakes hands with the secret 02…02; bo with 03…03 and 04…04.
# A key of data datagrams is 99…99. The room's id is 00 01 … 0f, its secret a0 a1 … af. ana's run is incarnation 1,800,000,000, boot 0102030405060708 (hex).
# Ids that are only referred to are one byte repeated: 07…07 and so on. The values are spelt out in
# tests/protocol_doc.rs, whose test fails when these bytes are not what the code writes.

";

const ROOM: RoomId = RoomId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
const RUN: Run = Run { incarnation: 1_800_000_000, boot: 0x0102_0304_0506_0708 };
const SAID_AT: Wall = Wall(1_800_000_000_123);

fn ana() -> Identity {
    Identity::from_secrets([1; 32], [2; 32])
}

fn bo() -> Identity {
    Identity::from_secrets([3; 32], [4; 32])
}

fn secret() -> RoomSecret {
    RoomSecret::from_bytes(std::array::from_fn(|at| 0xa0 + u8::try_from(at).expect("below 16")))
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn signed<T: SignedLayout>(value: T) -> Signed<T> {
    Signed::sign(value, &ana())
}

fn card() -> Card {
    Card {
        room: ROOM,
        member: ana().id(),
        noise_key: ana().noise_key(),
        run: RUN,
        version: 1,
        nick: "ana".into(),
        addresses: vec![address("192.0.2.1:4460"), address("[2001:db8::1]:4460")],
    }
}

fn leave() -> Leave {
    Leave { room: ROOM, member: ana().id(), run: RUN }
}

fn group(seq: u64, prev: Prev) -> GroupMessage {
    GroupMessage {
        room: ROOM,
        author: ana().id(),
        run: RUN,
        seq,
        prev,
        lamport: 40,
        said_at: SAID_AT,
        text: "hello, room".into(),
    }
}

fn private() -> PrivateMessage {
    PrivateMessage {
        room: ROOM,
        author: ana().id(),
        run: RUN,
        to: bo().id(),
        seq: 1,
        salt: [0x55; 16],
        said_at: SAID_AT,
        text: "hello, bo".into(),
    }
}

fn receipt(held: Held) -> Receipt {
    Receipt { room: ROOM, receiver: ana().id(), run: RUN, author: bo().id(), held }
}

fn private_held() -> Held {
    Held::Private { ids: vec![MessageId([7; 32]), MessageId([8; 32])] }
}

fn ticket() -> Ticket {
    Ticket { room_name: "ana's moot".into(), room: ROOM, secret: secret(), addresses: vec![address("192.0.2.1:4460")] }
}

/// What a handshake draws as its ephemeral secret from a generator with this seed.
fn ephemeral(seed: u8) -> [u8; 32] {
    Rng::from_seed(Rng::from_seed([seed; 32]).bytes()).bytes()
}

/// The three messages between ana, who begins, and bo.
fn handshake() -> [(&'static str, Vec<u8>); 3] {
    let keys = secret().keys(ROOM);
    let hello = encode_layout(&Hello { card: signed(card()).bytes().to_vec(), seen_at: address("192.0.2.7:4460") });
    let mut here = Handshake::initiator(&ana(), &keys, &mut Rng::from_seed([5; 32]));
    let mut there = Handshake::responder(&bo(), &keys, &mut Rng::from_seed([6; 32]));
    let first = here.write(&[0; FIRST_PADDING_BYTES]);
    there.read(&first).expect("it holds");
    // Both show ana's hello here: who is who is no matter of bytes.
    let second = there.write(&hello);
    here.read(&second).expect("it holds");
    let third = here.write(&hello);
    there.read(&third).expect("it holds");
    [
        ("message 1", first_datagram(&keys.gate, 0x0a0b_0c0d, &first)),
        ("message 2", second_datagram(&keys.gate, 0x1a1b_1c1d, 0x0a0b_0c0d, &second)),
        ("message 3", third_datagram(&keys.gate, 0x1a1b_1c1d, &third)),
    ]
}

/// A data datagram under the key 99…99, and what is inside.
fn data() -> [(&'static str, Vec<u8>); 3] {
    let mut text = Vec::new();
    Echo { newest: Some(EchoOf { counter: 300, held_us: 1_500, arrived: 63 }) }.write(&mut text);
    Item::Frame { channel: Channel::Membership, bytes: &[1] }.write(&mut text);
    Item::Frame { channel: Channel::Messaging, bytes: &[4; 40] }.write(&mut text);
    let frame_bytes = u16::try_from(WHOLE_FRAME_BYTES_MAX + 1).expect("it fits");
    let part = Fragment { key: [0x66; 16], channel: Channel::Messaging, index: 1, frame_bytes, bytes: &[0x77; 31] };
    let mut fragment = Vec::new();
    Item::Fragment(part).write(&mut fragment);
    text.extend_from_slice(&fragment);
    Item::Superseded { card: &[0x88; 3] }.write(&mut text);

    let header = data_header(0x0a0b_0c0d, 301);
    let mut datagram = [&header[..], &text].concat();
    AeadKey::new(&[0x99; 32]).seal(301, &mut datagram, DATA_HEADER_BYTES);
    [("fragment item", fragment), ("data, inside", text), ("data", datagram)]
}

fn open_report() -> OpenReport {
    OpenReport { subject: bo().id(), run: RUN, tick: 812, probes_lost: 3, lag_ms: 2, mostly_deaf: false }
}

fn membership_frames() -> Vec<MembershipFrame> {
    let report = Report { by: ana().id(), open: open_report() };
    let (subject, run, tick) = (bo().id(), RUN, 70_000);
    vec![
        MembershipFrame::Heartbeat(Heartbeat {
            tick: 250,
            view: 0x1122_3344_5566_7788,
            lag_ms: 251,
            wants_answer: true,
            answer: false,
            reports: vec![open_report()],
        }),
        MembershipFrame::Probe,
        MembershipFrame::Report(report),
        MembershipFrame::Contradiction { subject, run, tick, by: ana().id() },
        MembershipFrame::Withdrawal { subject, run, tick },
        MembershipFrame::Unreachable { subject, run, tick, reports: vec![report] },
        MembershipFrame::Leaves(vec![signed(leave()).bytes().to_vec()]),
        MembershipFrame::Cards(vec![
            ShownCard { card: [1, 2, 3].into(), present: Some(812) },
            ShownCard { card: [4].into(), present: None },
        ]),
        MembershipFrame::Buckets(vec![0, 5_000_000_000]),
        MembershipFrame::Bucket {
            index: 63,
            after: Some(MemberId([7; 32])),
            done: true,
            answer: false,
            held: vec![HeldMember { member: bo().id(), run: RUN, version: 3, left: false, unreachable: true, tick: 9 }],
        },
        MembershipFrame::Question { subject, run },
    ]
}

fn messaging_frames() -> Vec<MessagingFrame> {
    let (author, run) = (bo().id(), RUN);
    vec![
        MessagingFrame::Group(vec![1, 2, 3]),
        MessagingFrame::Private(vec![1, 2, 3]),
        MessagingFrame::Receipt(vec![1, 2, 3]),
        MessagingFrame::Refused { id: MessageId([7; 32]), reason: RefusedReason::BelowFloor },
        MessagingFrame::Digest(0x1122_3344_5566_7788),
        MessagingFrame::Frontier {
            answer: true,
            after: Some((MemberId([3; 32]), run)),
            entries: vec![FrontierEntry {
                author,
                run,
                head: 12,
                head_id: MessageId([7; 32]),
                recent: 4,
                kept: vec![(1, 9), (11, 12)],
            }],
            more: false,
        },
        MessagingFrame::Pull { author, run, first: 10, last: 10 },
        MessagingFrame::Recovered(vec![1, 2, 3]),
        MessagingFrame::PullEnd {
            author,
            run,
            first: 10,
            last: 10,
            lacking: vec![Lacking { first: 10, last: 10, had: true }],
        },
        MessagingFrame::Flood { number: 300, asked: u64::MAX, bytes: vec![1, 2, 3] },
        MessagingFrame::Receipts { number: 301, hops: 2, receipts: vec![vec![1, 2, 3], vec![4]] },
        MessagingFrame::HopAck { numbers: vec![300, 301] },
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes it");
        text
    })
}
