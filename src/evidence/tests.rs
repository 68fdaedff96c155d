//! Files of every shape, honest and not: what follows from each, and what is refused.

use super::*;
use crate::base::{MemberId, MessageId, Rng, RoomId, Run, Seq, Wall};
use crate::crypto::Identity;
use crate::node::api::{Covers, Proof};
use crate::wire::{
    Card, EvidenceError, EvidenceFile, GroupMessage, Held, HeldRange, Prev, PrivateMessage, Receipt, Signed, Subject,
    encode_layout, layout_id,
};

const ROOM: RoomId = RoomId([4; 16]);
const RUN: Run = Run { incarnation: 17, boot: 0xab12 << 48 };

fn ana() -> Identity {
    Identity::generate(&mut Rng::from_seed([1; 32]))
}

fn bo() -> Identity {
    Identity::generate(&mut Rng::from_seed([2; 32]))
}

fn cy() -> Identity {
    Identity::generate(&mut Rng::from_seed([3; 32]))
}

fn group(room: RoomId, seq: Seq, prev: Option<MessageId>, text: &str) -> Signed<GroupMessage> {
    let prev = prev.map_or(if seq == 1 { Prev::None } else { Prev::Same(MessageId([9; 32])) }, Prev::Same);
    let author = ana().id();
    let message = GroupMessage {
        room,
        author,
        run: RUN,
        seq,
        prev,
        lamport: 3,
        said_at: Wall(1_700_000_000_000),
        text: text.into(),
    };
    Signed::sign(message, &ana())
}

fn private(text: &str) -> PrivateMessage {
    PrivateMessage {
        room: ROOM,
        author: ana().id(),
        run: RUN,
        to: bo().id(),
        seq: 2,
        salt: [5; 16],
        said_at: Wall(1_700_000_000_000),
        text: text.into(),
    }
}

fn receipt_in(room: RoomId, by: &Identity, held: Held) -> Vec<u8> {
    let run = Run { incarnation: 5, boot: 5 };
    Signed::sign(Receipt { room, receiver: by.id(), run, author: ana().id(), held }, by).bytes().to_vec()
}

fn ranges(of: &[(Seq, Seq, MessageId)]) -> Held {
    let ranges = of.iter().map(|&(first, last, last_id)| HeldRange { first, last, last_id }).collect();
    Held::Group { run: RUN, ranges }
}

fn card(of: &Identity, nick: &str) -> Vec<u8> {
    let card = Card {
        room: ROOM,
        member: of.id(),
        noise_key: [7; 32],
        run: RUN,
        version: 3,
        nick: nick.into(),
        addresses: Vec::new(),
    };
    Signed::sign(card, of).bytes().to_vec()
}

/// Objects in the order of their members.
fn in_order(objects: impl IntoIterator<Item = (MemberId, Vec<u8>)>) -> Vec<Vec<u8>> {
    let mut objects: Vec<_> = objects.into_iter().collect();
    objects.sort();
    objects.into_iter().map(|(_, bytes)| bytes).collect()
}

/// ana's message #12 and the two after it; bo's receipt names the last of them, cy's the message itself.
fn of_group() -> EvidenceFile {
    let message = group(ROOM, 12, None, "the build is done");
    let next = group(ROOM, 13, Some(message.id()), "next");
    let last = group(ROOM, 14, Some(next.id()), "last");
    let bos = receipt_in(ROOM, &bo(), ranges(&[(1, 3, MessageId([8; 32])), (5, 14, last.id())]));
    let cys = receipt_in(ROOM, &cy(), ranges(&[(12, 12, message.id())]));
    EvidenceFile {
        room: ROOM,
        message: Subject::Group(message.bytes().to_vec()),
        rival: None,
        later: vec![next.bytes().to_vec(), last.bytes().to_vec()],
        receipts: in_order([(bo().id(), bos), (cy().id(), cys)]),
        cards: in_order([(ana().id(), card(&ana(), "ana")), (bo().id(), card(&bo(), "bo"))]),
    }
}

fn of_private() -> EvidenceFile {
    let bytes = encode_layout(&private("only for you"));
    let ids = vec![MessageId([8; 32]), layout_id::<PrivateMessage>(&bytes)];
    EvidenceFile {
        room: ROOM,
        message: Subject::Private(bytes),
        rival: None,
        later: Vec::new(),
        receipts: vec![receipt_in(ROOM, &bo(), Held::Private { ids })],
        cards: in_order([(ana().id(), card(&ana(), "ana")), (bo().id(), card(&bo(), "bo"))]),
    }
}

fn proof(file: &EvidenceFile) -> Proof {
    examine(&file.encode()).unwrap()
}

fn refused(file: &EvidenceFile) -> String {
    examine(&file.encode()).unwrap_err().to_string()
}

fn covers(proof: &Proof, of: &Identity) -> Covers {
    proof.receipts.iter().find(|receipt| receipt.by.member == of.id()).unwrap().covers
}

#[test]
fn a_message_to_the_room_is_proven_by_its_author_and_stored_by_who_signed() {
    let proof = proof(&of_group());
    assert_eq!((covers(&proof, &bo()), covers(&proof, &cy())), (Covers::ThisMessage, Covers::ThisMessage));
    let [a, b, c] = [ana(), bo(), cy()].map(|of| of.id().short());
    let mut proves = proof.proves.clone();
    proves[1..].sort();
    let mut expected = vec![
        format!(
            "bo~{b} signed that this message is on its disk; it named the hash of #14, and 2 messages lead from that one back to this"
        ),
        format!("{c} signed that this message is on its disk; it named its hash, as #12"),
    ];
    expected.sort();
    expected.insert(0, format!("ana~{a} signed this text, as its message #12 of run 17.ab12 to this room"));
    assert_eq!(proves, expected);
    let not = proof.does_not_prove.join("\n");
    for said in ["anybody read it", "others did not get it", "when it was", "which person", "something else as #12"] {
        assert!(not.contains(said), "{said}: {not}");
    }
}

#[test]
fn a_private_message_is_proven_by_its_receipt_alone_and_by_nothing_without_one() {
    let with = proof(&of_private());
    let [a, b] = [ana(), bo()].map(|of| of.id().short());
    assert_eq!(
        with.proves,
        [format!("bo~{b} signed that a message of ana~{a} with the hash of exactly this one is on its disk")]
    );
    assert!(with.does_not_prove[0].contains("a private message is not signed"), "{:?}", with.does_not_prove);
    assert!(with.does_not_prove[1].contains("the salt is in this file only"), "{:?}", with.does_not_prove);
    let without = proof(&EvidenceFile { receipts: Vec::new(), ..of_private() });
    assert_eq!(without.proves, [""; 0]);
    assert!(without.does_not_prove[0].starts_with("anything about this text"), "{:?}", without.does_not_prove);
    // Another text, salt or time has another hash.
    let other = Subject::Private(encode_layout(&private("only for thee")));
    let forged = proof(&EvidenceFile { message: other, ..of_private() });
    assert_eq!((covers(&forged, &bo()), forged.proves.len()), (Covers::Nothing, 0));
}

#[test]
fn a_flipped_bit_is_refused_or_proves_something_else_and_never_the_same() {
    for file in [of_group(), of_private(), EvidenceFile { receipts: Vec::new(), ..of_private() }] {
        let sound = file.encode();
        let before = examine(&sound).unwrap();
        let mut held = 0;
        for bit in 0..sound.len() * 8 {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(after) = examine(&bytes) else { continue };
            // Only what nobody signed can be changed: a private message, and then nobody signed for what it is now.
            held += 1;
            assert_eq!(after.proves, [""; 0], "bit {bit}");
            assert_ne!(after, before, "bit {bit}");
            assert_ne!(after.id, before.id, "bit {bit}");
        }
        let is_private = matches!(file.message, Subject::Private(_));
        assert_eq!(held > 0, is_private, "{held}");
    }
}

#[test]
fn a_file_that_is_cut_short_or_goes_on_is_refused() {
    let sound = of_group().encode();
    for end in 0..sound.len() {
        assert!(examine(&sound[..end]).is_err(), "{end}");
    }
    assert!(examine(&[&sound[..], &[0]].concat()).is_err());
}

#[test]
fn a_receipt_for_something_else_proves_nothing_of_this() {
    let message = group(ROOM, 12, None, "the build is done");
    let with = |held: Held| {
        let file = EvidenceFile {
            later: Vec::new(),
            receipts: vec![receipt_in(ROOM, &bo(), held)],
            cards: Vec::new(),
            ..of_group()
        };
        let proof = proof(&file);
        let follows = matches!(covers(&proof, &bo()), Covers::ThisMessage | Covers::AnotherMessage);
        assert_eq!(proof.proves.len(), 1 + usize::from(follows), "{:?}", proof.proves);
        covers(&proof, &bo())
    };
    let elsewhere = MessageId([8; 32]);
    assert_eq!(with(ranges(&[(1, 11, elsewhere), (13, 14, elsewhere)])), Covers::Nothing);
    let run = Run { incarnation: 16, boot: 1 };
    let other_run = Held::Group { run, ranges: vec![HeldRange { first: 12, last: 12, last_id: message.id() }] };
    assert_eq!(with(other_run), Covers::Nothing);
    assert_eq!(with(Held::Private { ids: vec![message.id()] }), Covers::Nothing);
    assert_eq!(with(ranges(&[(1, 14, message.id())])), Covers::NumberOnly);
    assert_eq!(with(ranges(&[(1, 12, elsewhere)])), Covers::AnotherMessage);
    assert_eq!(with(ranges(&[(1, 12, message.id())])), Covers::ThisMessage);
}

#[test]
fn a_receipt_whose_tie_is_missing_says_so() {
    let file = EvidenceFile { later: Vec::new(), ..of_group() };
    let proof = proof(&file);
    assert_eq!((covers(&proof, &bo()), covers(&proof, &cy())), (Covers::NumberOnly, Covers::ThisMessage));
    assert!(proof.does_not_prove[0].contains("its receipt names #5 to #14"), "{:?}", proof.does_not_prove);
}

#[test]
fn parts_of_another_room_author_or_chain_are_refused() {
    let other = RoomId([5; 16]);
    let message = group(other, 12, None, "the build is done");
    let of_other = Subject::Group(message.bytes().to_vec());
    assert!(
        refused(&EvidenceFile { message: of_other.clone(), ..of_group() }).contains("the message is of another room")
    );
    assert!(refused(&EvidenceFile { room: other, ..of_group() }).contains("another room"));
    // A whole file of another room is sound: it says of which room it is.
    let elsewhere = EvidenceFile {
        room: other,
        message: of_other,
        rival: None,
        later: Vec::new(),
        receipts: vec![receipt_in(other, &bo(), ranges(&[(12, 12, message.id())]))],
        cards: Vec::new(),
    };
    assert_eq!(proof(&elsewhere).room, other);
    let foreign = vec![receipt_in(other, &bo(), ranges(&[(12, 12, message.id())]))];
    assert!(refused(&EvidenceFile { receipts: foreign, ..of_group() }).contains("receipt 1 of 1 is of another room"));

    let run = Run { incarnation: 5, boot: 5 };
    let of_bo =
        Receipt { room: ROOM, receiver: cy().id(), run, author: bo().id(), held: ranges(&[(1, 1, message.id())]) };
    let of_bo = vec![Signed::sign(of_bo, &cy()).bytes().to_vec()];
    assert!(refused(&EvidenceFile { receipts: of_bo, ..of_group() }).contains("another author's messages"));

    let skipped = vec![of_group().later[1].clone()];
    assert!(refused(&EvidenceFile { later: skipped, ..of_group() }).contains("does not follow the one before it"));
    let other_text = group(ROOM, 13, Some(MessageId([9; 32])), "next").bytes().to_vec();
    assert!(refused(&EvidenceFile { later: vec![other_text], ..of_group() }).contains("does not follow"));
    let stranger = vec![card(&Identity::generate(&mut Rng::from_seed([9; 32])), "zoe")];
    assert!(refused(&EvidenceFile { cards: stranger, ..of_group() }).contains("nothing else in the file names"));
}

#[test]
fn the_same_content_has_one_form() {
    let reversed = |mut objects: Vec<Vec<u8>>| {
        objects.reverse();
        objects
    };
    let file = of_group();
    assert!(refused(&EvidenceFile { receipts: reversed(file.receipts.clone()), ..file.clone() }).contains("order"));
    assert!(refused(&EvidenceFile { cards: reversed(file.cards.clone()), ..file.clone() }).contains("order"));
    let twice = vec![file.cards[0].clone(); 2];
    assert!(refused(&EvidenceFile { cards: twice, ..file.clone() }).contains("one each"));
    let idle = EvidenceFile { receipts: Vec::new(), cards: Vec::new(), ..file };
    assert!(refused(&idle).contains("tie no receipt to the message"));
    let later = of_group().later;
    assert!(refused(&EvidenceFile { later, ..of_private() }).contains("a private message has later ones"));
}

#[test]
fn two_messages_under_one_number_prove_that_their_author_told_two_things() {
    let rival = group(ROOM, 12, None, "the build is broken");
    let file = EvidenceFile { rival: Some(rival.bytes().to_vec()), ..of_group() };
    let proof = proof(&file);
    assert_eq!(proof.rival.as_ref().map(|rival| rival.text.as_str()), Some("the build is broken"));
    assert!(proof.proves[1].contains("told different people different things"), "{:?}", proof.proves);
    let same = EvidenceFile { rival: Some(group(ROOM, 12, None, "the build is done").bytes().to_vec()), ..of_group() };
    assert!(refused(&same).contains("is not of the same author, run and number"));
    let other = EvidenceFile { rival: Some(group(ROOM, 13, None, "x").bytes().to_vec()), ..of_group() };
    assert!(refused(&other).contains("is not of the same author, run and number"));
}

#[test]
fn what_is_no_file_of_evidence_is_said_to_be_none() {
    assert_eq!(examine(b"hello"), Err(Unsound::File(EvidenceError::Foreign)));
    assert_eq!(examine(b""), Err(Unsound::File(EvidenceError::Foreign)));
}
