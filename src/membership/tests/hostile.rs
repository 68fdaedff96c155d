//! What a malicious member can send, and that it neither breaks nor bloats this node.

use std::time::Duration;

use proptest::prelude::*;

use super::super::detector::TICK_SLACK;
use super::super::verdict::Case;
use super::super::{EventKind, Output};
use super::bench::{Bench, address, at, card, identity, report_on, run};
use super::world::ROOM;
use crate::base::limits::REPORTS_PER_SUBJECT_MAX;
use crate::base::{MemberId, Presence, Run, Time, Wall};
use crate::wire::{Heartbeat, HeldMember, Leave, MembershipFrame, OpenReport, Report, ShownCard, Signed};

#[test]
fn nobody_is_talked_out_of_whom_it_hears() {
    let mut bench = Bench::new();
    for tick in 11..40 {
        bench.beat("bo", tick);
        bench.beat("mal", tick);
        let reports = vec![
            Report { by: identity("mal").id(), open: report_on("bo", tick) },
            Report { by: identity("cy").id(), open: report_on("bo", tick) },
        ];
        let verdict = MembershipFrame::Unreachable {
            subject: identity("bo").id(),
            run: run(100),
            tick,
            reports: reports.clone(),
        };
        bench.frame("mal", verdict);
        bench.frame("mal", MembershipFrame::Report(reports[0]));
        bench.pass(Duration::from_secs(1));
        assert_eq!(bench.presence("bo"), Some(Presence::Alive), "at tick {tick}");
    }
}

#[test]
fn forged_ticks_do_not_keep_a_member_down_or_up() {
    let mut bench = Bench::new();
    let bo = identity("bo").id();
    bench.pass(Duration::from_millis(500));
    let frame = MembershipFrame::Contradiction { subject: bo, run: run(100), tick: 1 << 39, by: identity("mal").id() };
    bench.frame("mal", frame);
    // It is not believed, so silence still counts.
    for _ in 0..8 {
        bench.pass(Duration::from_secs(1));
        bench.beat("mal", 20);
        bench.frame("mal", MembershipFrame::Probe);
    }
    assert_eq!(bench.presence("bo"), Some(Presence::Unreachable));
    bench.beat("bo", 19);
    assert_eq!(bench.presence("bo"), Some(Presence::Alive));
}

#[test]
fn a_forged_tick_about_oneself_is_outrun() {
    let mut bench = Bench::new();
    let me = identity("ana").id();
    bench.outputs.clear();
    // Nobody who heard this node believes one that is much higher.
    let forged = bench.machine.own.tick(bench.now) + TICK_SLACK - 1;
    let claim =
        MembershipFrame::Unreachable { subject: me, run: bench.machine.run(), tick: forged, reports: Vec::new() };
    bench.frame("mal", claim);
    let newer = bench.outputs.iter().any(
        |output| matches!(output, Output::Send { frame: MembershipFrame::Heartbeat(beat), .. } if beat.tick > forged),
    );
    assert!(newer, "{:?}", bench.outputs);
}

#[test]
fn forged_cards_and_leaves_change_nothing() {
    let mut bench = Bench::new();
    let mut forged = card("bo", run(200), 1).bytes().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    bench.frame("mal", MembershipFrame::Cards(vec![ShownCard { card: forged.into(), present: Some(7) }]));
    assert_eq!(bench.machine.member(at(bench.now), identity("bo").id()).unwrap().run, run(100));

    let leave = Leave { room: ROOM, member: identity("bo").id(), run: run(100) };
    let mut bytes = Signed::sign(leave, &identity("bo")).bytes().to_vec();
    bytes[20] ^= 1;
    bench.frame("mal", MembershipFrame::Leaves(vec![bytes]));
    assert_eq!(bench.presence("bo"), Some(Presence::Alive));
}

#[test]
fn an_old_leave_is_without_meaning_for_a_newer_run() {
    let mut bench = Bench::new();
    let leave = Leave { room: ROOM, member: identity("bo").id(), run: run(99) };
    let bytes = Signed::sign(leave, &identity("bo")).bytes().to_vec();
    bench.frame("mal", MembershipFrame::Leaves(vec![bytes]));
    assert_eq!(bench.presence("bo"), Some(Presence::Alive));
}

#[test]
fn after_a_leave_nothing_of_that_run_counts() {
    let mut bench = Bench::new();
    let leave = Leave { room: ROOM, member: identity("bo").id(), run: run(100) };
    let bytes = Signed::sign(leave, &identity("bo")).bytes().to_vec();
    bench.frame("mal", MembershipFrame::Leaves(vec![bytes]));
    assert_eq!(bench.presence("bo"), Some(Presence::Left));
    bench.beat("bo", 50);
    bench.open("bo");
    bench.beat("bo", 51);
    assert_eq!(bench.presence("bo"), Some(Presence::Left));
}

#[test]
fn a_stale_session_is_shown_the_newer_card_and_is_not_believed() {
    let mut bench = Bench::new();
    let newer = card("bo", run(200), 1);
    bench.call(|machine, step| {
        machine.handle_opened(step, newer.value().member, run(200), newer.clone(), address(), address());
    });
    bench.outputs.clear();
    bench.beat("bo", 999);
    assert!(bench.outputs.is_empty(), "{:?}", bench.outputs);
    bench.open("bo");
    let shown = bench.outputs.iter().any(|output| match output {
        Output::Send { to, frame: MembershipFrame::Cards(cards) } => {
            *to == newer.value().member && cards[0].card == *newer.bytes()
        }
        _ => false,
    });
    assert!(shown, "{:?}", bench.outputs);
}

#[test]
fn a_higher_card_of_ones_own_that_comes_around_later_is_a_copied_home() {
    let mut bench = Bench::new();
    let mut higher = bench.machine.run();
    higher.incarnation += 1;
    let copy = ShownCard { card: card("ana", higher, 1).bytes().clone(), present: Some(3) };
    bench.outputs.clear();
    bench.frame("bo", MembershipFrame::Cards(vec![copy]));
    let alarmed = bench
        .outputs
        .iter()
        .any(|output| matches!(output, Output::Event(event) if matches!(event.kind, EventKind::Alarm { .. })));
    assert!(alarmed);
    assert_eq!(bench.outputs.last(), Some(&Output::Silent));
    assert_eq!(bench.machine.poll_timeout(), None);
    bench.outputs.clear();
    bench.beat("bo", 30);
    assert!(bench.outputs.is_empty(), "{:?}", bench.outputs);
}

#[test]
fn a_flood_of_comparisons_is_answered_within_a_budget() {
    let mut bench = Bench::new();
    bench.outputs.clear();
    for _ in 0..10_000 {
        bench.frame("mal", MembershipFrame::Buckets(vec![7; 64]));
    }
    let answers = bench.outputs.iter().filter(|output| matches!(output, Output::Send { .. })).count();
    assert!(answers <= 2_048, "{answers}");
}

#[test]
fn a_liar_alone_takes_the_longer_time_whatever_names_it_uses() {
    let mut case = Case::default();
    for n in 0..100 {
        let by = MemberId([n; 32]);
        case.accuse(by, MemberId([200; 32]), report_on("bo", 5), Time::ZERO, Wall(0));
    }
    assert!(case.report_evidence(false).len() <= REPORTS_PER_SUBJECT_MAX);
}

fn member_id() -> impl Strategy<Value = MemberId> {
    prop_oneof![
        Just(identity("ana").id()),
        Just(identity("bo").id()),
        Just(identity("mal").id()),
        Just(identity("cy").id()),
        any::<[u8; 32]>().prop_map(MemberId),
    ]
}

fn any_run() -> impl Strategy<Value = Run> {
    prop_oneof![
        Just(run(100)),
        Just(run(99)),
        Just(Run { incarnation: 1_700_000_005, boot: 9 }),
        (any::<u64>(), any::<u64>()).prop_map(|(incarnation, boot)| Run { incarnation, boot }),
    ]
}

fn tick() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..40, any::<u64>()]
}

fn open_report() -> impl Strategy<Value = OpenReport> {
    (member_id(), any_run(), tick(), any::<u8>(), any::<u32>(), any::<bool>()).prop_map(
        |(subject, run, tick, probes_lost, lag_ms, mostly_deaf)| OpenReport {
            subject,
            run,
            tick,
            probes_lost,
            lag_ms,
            mostly_deaf,
        },
    )
}

fn report() -> impl Strategy<Value = Report> {
    (member_id(), open_report()).prop_map(|(by, open)| Report { by, open })
}

fn held() -> impl Strategy<Value = HeldMember> {
    (member_id(), any_run(), any::<u32>(), any::<bool>(), any::<bool>(), tick()).prop_map(
        |(member, run, version, left, unreachable, tick)| HeldMember { member, run, version, left, unreachable, tick },
    )
}

fn some_card() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (prop_oneof![Just("bo"), Just("cy"), Just("mal"), Just("dee")], 98_u64..103, 0_u32..3)
            .prop_map(|(name, incarnation, version)| card(name, run(incarnation), version).bytes().to_vec()),
    ]
}

fn some_leave() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        (prop_oneof![Just("bo"), Just("cy"), Just("mal")], 98_u64..103).prop_map(|(name, incarnation)| {
            let leave = Leave { room: ROOM, member: identity(name).id(), run: run(incarnation) };
            Signed::sign(leave, &identity(name)).bytes().to_vec()
        }),
    ]
}

fn frame() -> impl Strategy<Value = MembershipFrame> {
    let subject = || (member_id(), any_run(), tick());
    prop_oneof![
        (tick(), any::<u64>(), any::<bool>(), any::<bool>(), proptest::collection::vec(open_report(), 0..20)).prop_map(
            |(tick, view, wants_answer, answer, reports)| MembershipFrame::Heartbeat(Heartbeat {
                tick,
                view,
                lag_ms: 0,
                wants_answer,
                answer,
                reports
            })
        ),
        Just(MembershipFrame::Probe),
        report().prop_map(MembershipFrame::Report),
        (subject(), member_id()).prop_map(|((subject, run, tick), by)| MembershipFrame::Contradiction {
            subject,
            run,
            tick,
            by
        }),
        subject().prop_map(|(subject, run, tick)| MembershipFrame::Withdrawal { subject, run, tick }),
        (subject(), proptest::collection::vec(report(), 0..6))
            .prop_map(|((subject, run, tick), reports)| MembershipFrame::Unreachable { subject, run, tick, reports }),
        proptest::collection::vec(some_leave(), 0..4).prop_map(MembershipFrame::Leaves),
        proptest::collection::vec((some_card(), proptest::option::of(tick())), 0..4).prop_map(|cards| {
            MembershipFrame::Cards(
                cards.into_iter().map(|(card, present)| ShownCard { card: card.into(), present }).collect(),
            )
        }),
        proptest::collection::vec(any::<u64>(), 0..70).prop_map(MembershipFrame::Buckets),
        (
            any::<u8>(),
            proptest::option::of(member_id()),
            any::<bool>(),
            any::<bool>(),
            proptest::collection::vec(held(), 0..6)
        )
            .prop_map(|(index, after, done, answer, mut held)| {
                held.sort_by_key(|line| line.member);
                let index = held.first().map_or(index, |line| line.member.0[0] >> 2);
                MembershipFrame::Bucket { index, after, done, answer, held }
            }),
        subject().prop_map(|(subject, run, _)| MembershipFrame::Question { subject, run }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_frame_breaks_or_bloats_a_node(
        frames in proptest::collection::vec((any::<bool>(), frame(), 0_u64..1500), 1..40),
    ) {
        let mut bench = Bench::new();
        for (from_bo, frame, wait) in frames {
            bench.frame(if from_bo { "bo" } else { "mal" }, frame);
            bench.pass(Duration::from_millis(wait));
            for member in bench.machine.members(at(bench.now)) {
                prop_assert!(member.evidence.len() <= 32);
            }
            prop_assert!(bench.machine.members.len() <= 8);
        }
        // Nobody but ana speaks for ana.
        let silenced = bench.outputs.iter().any(|output| matches!(output, Output::Silent));
        prop_assert!(!silenced);
        let alarmed = bench.outputs.iter().any(|output| {
            matches!(output, Output::Event(event) if matches!(event.kind, EventKind::Alarm { .. }))
        });
        prop_assert!(!alarmed);
    }
}
