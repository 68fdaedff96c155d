//! What the tests of this room stand on: homes in a temporary directory, and records as members would make them,
//! with real keys and signatures.

use std::path::Path;
use std::sync::Arc;

use super::commit::Committer;
use super::{Home, Room, schema};
use crate::base::{MemberId, MessageId, Rng, RoomId, Run, Seq, Wall};
use crate::crypto::Identity;
use crate::membership;
use crate::messaging::{DeliveryRecord, Outcome, ReceiptRecord, Record, Settled};
use crate::node;
use crate::wire::{
    Card, GroupMessage, Held, HeldRange, Prev, PrivateMessage, Receipt, RefusedReason, Signed, encode_layout, layout_id,
};

pub(super) const ROOM: RoomId = RoomId([4; 16]);

pub(super) fn home(dir: &Path) -> Home {
    let mut rng = Rng::from_seed([1; 32]);
    let room = Room { id: ROOM, ..Room::found("ana's moot", &mut rng) };
    Home::open(dir, "ana", room, &mut rng).unwrap()
}

/// What writes to the home's database.
pub(super) fn committer(home: &Home) -> Committer {
    Committer::new(schema::open(home).unwrap(), home.database())
}

/// The identity of member `number`; 0 is the owner of [`home`].
pub(super) fn identity(home: &Home, number: u8) -> Identity {
    if number == 0 { home.identity().clone() } else { Identity::generate(&mut Rng::from_seed([number; 32])) }
}

pub(super) fn run(incarnation: u64) -> Run {
    Run { incarnation, boot: incarnation.reverse_bits() }
}

pub(super) fn card(of: &Identity, nick: &str, run: Run, version: u32) -> node::Record {
    let card = Card {
        room: ROOM,
        member: of.id(),
        noise_key: [7; 32],
        run,
        version,
        nick: nick.to_owned(),
        addresses: vec!["192.168.1.5:4460".parse().unwrap()],
    };
    let bytes = Signed::sign(card, of).bytes().to_vec();
    node::Record::Membership(membership::Record::Card { member: of.id(), run, version, bytes: bytes.into() })
}

pub(super) fn group(by: &Identity, run: Run, seq: Seq, prev: Option<MessageId>, text: &str) -> Signed<GroupMessage> {
    let prev = if seq == 1 { Prev::None } else { Prev::Same(prev.unwrap_or(MessageId([9; 32]))) };
    let (lamport, said_at) = (seq.wrapping_mul(3), Wall(1_000 + seq % 1_000));
    let text = text.to_owned();
    Signed::sign(GroupMessage { room: ROOM, author: by.id(), run, seq, prev, lamport, said_at, text }, by)
}

pub(super) fn private(by: &Identity, run: Run, to: MemberId, seq: Seq, text: &str) -> (Arc<[u8]>, MessageId) {
    let text = text.to_owned();
    let message =
        PrivateMessage { room: ROOM, author: by.id(), run, to, seq, salt: [3; 16], said_at: Wall(1_000), text };
    let bytes: Arc<[u8]> = encode_layout(&message).into();
    let id = layout_id::<PrivateMessage>(&bytes);
    (bytes, id)
}

/// A receipt for what `held` says.
pub(super) fn receipt_for(by: &Identity, author: MemberId, held: Held) -> Arc<[u8]> {
    Signed::sign(Receipt { room: ROOM, receiver: by.id(), run: run(5), author, held }, by).bytes().clone()
}

pub(super) fn receipt(by: &Identity, author: MemberId, group: Option<Run>, last: Seq) -> Arc<[u8]> {
    let held = match group {
        Some(run) => {
            let range = HeldRange { first: 1, last: last.max(1), last_id: MessageId([8; 32]) };
            Held::Group { run, ranges: vec![range] }
        }
        None => Held::Private { ids: vec![MessageId([8; 32])] },
    };
    receipt_for(by, author, held)
}

/// "text" by `by`, as it arrives from its author.
pub(super) fn received(by: &Identity, seq: Seq, text: &str) -> node::Record {
    let bytes = group(by, run(5), seq, None, text).bytes().clone();
    node::Record::Messaging(Record::GroupReceived {
        bytes,
        via: by.id(),
        recovered: false,
        order: seq,
        at: Wall(2_000),
    })
}

/// "text" said here, to one member.
pub(super) fn sent(by: &Identity, to: MemberId, seq: Seq, text: &str) -> node::Record {
    let bytes = group(by, run(5), seq, None, text).bytes().clone();
    let roster = vec![(to, Outcome::Sending)];
    node::Record::Messaging(Record::GroupSent { bytes, roster, sample_of: None, order: seq, at: Wall(2_000) })
}

/// One record of each kind that may wait in the journal, with each outcome and reason: of `by` and `other`.
pub(super) fn of_each_waiting_kind(by: &Identity, other: MemberId) -> Vec<node::Record> {
    let (bytes, message) = private(by, run(5), other, 1, "psst");
    let at = Wall(2_000);
    let settled = vec![Settled { message, seq: 1, attempts: 2, latency_us: Some(300) }];
    let receipt = ReceiptRecord {
        receiver: other,
        receiver_run: run(6),
        author: by.id(),
        group: Some(run(5)),
        bytes: receipt(by, by.id(), Some(run(5)), 3),
        replaces: true,
        settled,
        at,
    };
    let delivery = |outcome, reason| {
        let group = Option::is_some(&reason).then(|| (by.id(), run(5), 4));
        Record::Delivery(DeliveryRecord { message, group, to: other, outcome, attempts: 3, reason, at })
    };
    let mut messaging = vec![
        Record::PrivateReceived { bytes: bytes.clone(), order: 7, at },
        Record::PrivateSent { bytes, order: 8, outcome: Outcome::Waiting, at },
        Record::Receipt(receipt),
    ];
    messaging.extend(Outcome::ALL.map(|outcome| delivery(outcome, None)));
    let reasons = [RefusedReason::DiskFull, RefusedReason::BelowFloor, RefusedReason::Blocked];
    messaging.extend(reasons.map(|reason| delivery(Outcome::Refused, Some(reason))));
    let group = [received(by, 1, "hi"), sent(by, other, 2, "hello")];
    group.into_iter().chain(messaging.into_iter().map(node::Record::Messaging)).collect()
}
