//! Members that send anything well-formed: nothing panics, and no table outgrows its limit.

use proptest::prelude::*;

use super::world::{MS, World, room};
use crate::base::{MemberId, MessageId, Run, Wall};
use crate::messaging::Fill;
use crate::wire::{
    FrontierEntry, GroupMessage, Held, HeldRange, Lacking, MessagingFrame, Prev, PrivateMessage, Receipt,
    RefusedReason, Signed, encode_layout,
};

fn seq() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..6, 1u64..2000, Just(u64::MAX), Just(u64::MAX - 1), Just(1 << 48), any::<u64>()]
}

fn run() -> impl Strategy<Value = Run> {
    let incarnation = prop_oneof![0u64..4, Just(u64::MAX), any::<u64>()];
    (incarnation, 0u64..3).prop_map(|(incarnation, boot)| Run { incarnation, boot })
}

#[derive(Clone, Debug)]
enum Hostile {
    Group { run: Run, seq: u64, prev: u8, prev_run: Run, lamport: u64, breaks: bool },
    Private { run: Run, seq: u64 },
    Receipt { run: Run, group: bool, first: u64, last: u64 },
    Refused,
    Digest(u64),
    Frontier { mine: bool, run: Run, head: u64, recent: u64, first: u64, last: u64, answer: bool, more: bool },
    Pull { mine: bool, run: Run, first: u64, last: u64 },
    PullEnd { mine: bool, run: Run, first: u64, last: u64, from: u64, to: u64 },
    Bytes(Vec<u8>, u8),
}

fn hostile() -> impl Strategy<Value = Hostile> {
    prop_oneof![
        (run(), seq(), 0u8..3, run(), any::<u64>(), any::<bool>()).prop_map(
            |(run, seq, prev, prev_run, lamport, breaks)| {
                Hostile::Group { run, seq, prev, prev_run, lamport, breaks }
            }
        ),
        (run(), seq()).prop_map(|(run, seq)| Hostile::Private { run, seq }),
        (run(), any::<bool>(), seq(), seq()).prop_map(|(run, group, first, last)| Hostile::Receipt {
            run,
            group,
            first,
            last
        }),
        Just(Hostile::Refused),
        any::<u64>().prop_map(Hostile::Digest),
        (any::<bool>(), run(), seq(), seq(), seq(), seq(), any::<bool>(), any::<bool>()).prop_map(
            |(mine, run, head, recent, first, last, answer, more)| {
                Hostile::Frontier { mine, run, head, recent, first, last, answer, more }
            }
        ),
        (any::<bool>(), run(), seq(), seq()).prop_map(|(mine, run, first, last)| Hostile::Pull {
            mine,
            run,
            first,
            last
        }),
        (any::<bool>(), run(), seq(), seq(), seq(), seq())
            .prop_map(|(mine, run, first, last, from, to)| { Hostile::PullEnd { mine, run, first, last, from, to } }),
        (proptest::collection::vec(any::<u8>(), 0..200), 0u8..4).prop_map(|(bytes, kind)| Hostile::Bytes(bytes, kind)),
    ]
}

fn frame(world: &World, hostile: &Hostile, known: MessageId) -> MessagingFrame {
    let bo = world.identity("bo");
    let ana: MemberId = world.id("ana");
    let whose = |mine: bool| if mine { ana } else { bo.id() };
    match hostile.clone() {
        Hostile::Group { run, seq, prev, prev_run, lamport, breaks } => {
            let prev = match prev {
                0 => Prev::None,
                1 => Prev::Same(known),
                _ => Prev::Earlier { run: prev_run, seq, id: known },
            };
            let message = GroupMessage {
                room: room(),
                author: bo.id(),
                run,
                seq,
                prev,
                lamport,
                said_at: Wall(lamport),
                text: "x".to_owned(),
            };
            let mut bytes = Signed::sign(message, &bo).bytes().to_vec();
            bytes[0] ^= u8::from(breaks);
            MessagingFrame::Group(bytes)
        }
        Hostile::Private { run, seq } => {
            let message = PrivateMessage {
                room: room(),
                author: bo.id(),
                run,
                to: ana,
                seq,
                salt: [1; 16],
                said_at: Wall(u64::MAX),
                text: "y".to_owned(),
            };
            MessagingFrame::Private(encode_layout(&message))
        }
        Hostile::Receipt { run, group, first, last } => {
            let held = if group {
                Held::Group { run, ranges: vec![HeldRange { first, last, last_id: known }] }
            } else {
                Held::Private { ids: vec![known] }
            };
            let receipt = Receipt { room: room(), receiver: bo.id(), run, author: ana, held };
            MessagingFrame::Receipt(Signed::sign(receipt, &bo).bytes().to_vec())
        }
        Hostile::Refused => MessagingFrame::Refused { id: known, reason: RefusedReason::Blocked },
        Hostile::Digest(digest) => MessagingFrame::Digest(digest),
        Hostile::Frontier { mine, run, head, recent, first, last, answer, more } => {
            let entry =
                FrontierEntry { author: whose(mine), run, head, head_id: known, recent, kept: vec![(first, last)] };
            let later = |n| FrontierEntry { run: Run { boot: run.boot.saturating_add(n), ..run }, ..entry.clone() };
            // Some are not in order.
            let entries = if mine { vec![entry.clone(); 3] } else { (0..3).map(later).collect() };
            MessagingFrame::Frontier { answer, after: None, entries, more }
        }
        Hostile::Pull { mine, run, first, last } => MessagingFrame::Pull { author: whose(mine), run, first, last },
        Hostile::PullEnd { mine, run, first, last, from, to } => {
            let lacking = vec![Lacking { first: from, last: to, had: mine }];
            MessagingFrame::PullEnd { author: whose(mine), run, first, last, lacking }
        }
        Hostile::Bytes(bytes, kind) => match kind {
            0 => MessagingFrame::Group(bytes),
            1 => MessagingFrame::Private(bytes),
            2 => MessagingFrame::Receipt(bytes),
            _ => MessagingFrame::Recovered(bytes),
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_member_that_sends_anything_harms_nobody(frames in proptest::collection::vec(hostile(), 1..120)) {
        let mut world = World::new(77, &["ana", "bo"]);
        world.has_liars = true;
        // Bo speaks through the test only.
        world.drop_frames(|from, _, _| from == "bo");
        let known = world.tell("ana", "bo", "hello");
        world.say("ana", "hello");
        for hostile in &frames {
            let frame = frame(&world, hostile, known);
            world.inject("bo", "ana", frame);
            world.run_for(MS);
        }
        world.run_for(MS * 20_000);
        for Fill { name, used, max } in world.machine("ana").fills() {
            prop_assert!(used <= max, "{} holds {} of {}", name, used, max);
        }
        let counters = world.machine("ana").counters();
        prop_assert!(counters.given < 10_000);
    }
}
