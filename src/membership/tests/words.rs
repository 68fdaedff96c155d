//! What members say about each other and about this node, and what is made of it.

use std::time::Duration;

use super::super::{EvidenceKind, Output};
use super::bench::{Bench, at, card, identity, report_on, run};
use crate::base::{MemberId, Presence};
use crate::wire::{MembershipFrame, OpenReport, Report, ShownCard};

/// A tick that nobody ever reached.
const FORGED: u64 = 1 << 39;

fn dials(bench: &Bench, id: MemberId) -> bool {
    bench.outputs.iter().any(|output| matches!(output, Output::Connect { peer, .. } if *peer == id))
}

#[test]
fn who_is_wanted_is_dialled_although_it_restarts_meanwhile() {
    let mut bench = Bench::crowded();
    let far = bench.far();
    let id = identity(&far).id();
    bench.call(|machine, step| machine.want(step, id));
    assert!(dials(&bench, id));
    bench.show("bo", &far, run(200), 3);
    bench.outputs.clear();
    bench.pass(Duration::from_millis(1_100));
    assert!(!bench.machine.watch.watched().contains(&id));
    assert!(dials(&bench, id), "the new run is wanted as the older one was");
}

#[test]
fn a_flood_of_lies_about_this_node_is_answered_within_a_budget() {
    let mut bench = Bench::new();
    let (me, own) = (identity("ana").id(), bench.machine.run());
    bench.outputs.clear();
    for _ in 0..10_000 {
        let tick = bench.machine.own.tick(bench.now) + 4_000;
        bench.frame("mal", MembershipFrame::Unreachable { subject: me, run: own, tick, reports: Vec::new() });
    }
    let tick = bench.machine.own.tick(bench.now);
    assert!(tick < 100_000, "{tick}");
    let answers = bench.outputs.iter().filter(|output| matches!(output, Output::Send { .. })).count();
    assert!((1..=20).contains(&answers), "{answers}");
}

/// A bench with two honest neighbours, and a member of the room that only mal told of, at a forged tick.
fn told_by_a_liar() -> (Bench, String) {
    let mut bench = Bench::crowded();
    bench.open("cy");
    bench.beat("cy", 10);
    for n in 0.. {
        let name = format!("dee{n}");
        bench.show("mal", &name, run(100), FORGED);
        if !bench.machine.watch.watched().contains(&identity(&name).id()) {
            assert_eq!(bench.presence(&name), Some(Presence::Alive));
            return (bench, name);
        }
    }
    unreachable!("most of a crowd are not watched")
}

#[test]
fn whom_a_liar_made_immortal_is_found_dead_by_a_look() {
    let (mut bench, dee) = told_by_a_liar();
    for tick in 11..19 {
        bench.beat("mal", tick);
        bench.beat_with("bo", tick, vec![report_on(&dee, 30)]);
        bench.beat_with("cy", tick, vec![report_on(&dee, 30)]);
        bench.pass(Duration::from_secs(1));
    }
    assert!(!bench.machine.watch.watched().contains(&identity(&dee).id()));
    assert_eq!(bench.presence(&dee), Some(Presence::Unreachable));
}

#[test]
fn whom_a_liar_called_dead_is_found_alive_by_a_look() {
    let (mut bench, dee) = told_by_a_liar();
    let id = identity(&dee).id();
    for tick in 11..24 {
        bench.outputs.clear();
        bench.beat("mal", tick);
        bench.frame("mal", MembershipFrame::Report(Report { by: identity("mal").id(), open: report_on(&dee, FORGED) }));
        for honest in ["bo", "cy"] {
            bench.beat(honest, tick);
            let by = identity(honest).id();
            bench.frame(honest, MembershipFrame::Contradiction { subject: id, run: run(100), tick: 20 + tick, by });
        }
        if dials(&bench, id) {
            bench.open(&dee);
            bench.beat(&dee, 20 + tick);
        }
        bench.pass(Duration::from_secs(1));
        assert_ne!(bench.presence(&dee), Some(Presence::Unreachable), "at {tick}");
    }
    assert_eq!(bench.presence(&dee), Some(Presence::Alive));
}

#[test]
fn who_hears_a_member_answers_what_cannot_be() {
    let mut bench = Bench::new();
    let (bo, mal) = (identity("bo").id(), identity("mal").id());
    let report = Report { by: mal, open: report_on("bo", FORGED) };
    let verdict = MembershipFrame::Unreachable { subject: bo, run: run(100), tick: FORGED, reports: vec![report] };
    for claim in [MembershipFrame::Report(report), verdict] {
        bench.outputs.clear();
        bench.frame("mal", claim);
        let frame = MembershipFrame::Contradiction { subject: bo, run: run(100), tick: 10, by: identity("ana").id() };
        assert!(bench.outputs.contains(&Output::Send { to: mal, frame }), "{:?}", bench.outputs);
    }
}

#[test]
fn a_forged_tick_in_a_list_is_answered_with_the_verdict() {
    let mut bench = Bench::new();
    for tick in 11..19 {
        bench.beat("mal", tick);
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.presence("bo"), Some(Presence::Unreachable));
    let bo = identity("bo").id();
    bench.outputs.clear();
    bench.list("mal", "bo", FORGED);
    let is_verdict = |output: &Output| matches!(output, Output::Send { frame: MembershipFrame::Unreachable { subject, .. }, .. } if *subject == bo);
    assert!(bench.outputs.iter().any(is_verdict), "{:?}", bench.outputs);
    assert_eq!(bench.presence("bo"), Some(Presence::Unreachable));
}

/// A bench that was cut off from four, who is called unreachable by it alone, and that hears the last of them again.
fn cut_off(back_ms: u64) -> Bench {
    let mut bench = Bench::new();
    for name in ["cy", "dee"] {
        bench.open(name);
        bench.beat(name, 10);
    }
    bench.pass(Duration::from_secs(10));
    for name in ["bo", "cy", "dee", "mal"] {
        assert_eq!(bench.presence(name), Some(Presence::Unreachable), "{name}");
    }
    bench.back_ms = back_ms;
    bench.beat("mal", 21);
    assert_eq!(bench.presence("mal"), Some(Presence::Alive));
    assert!(bench.machine.deaf());
    bench
}

#[test]
fn who_was_cut_off_takes_the_word_of_who_came_back_if_it_can_be_true_and_is_not_older() {
    let mut bench = cut_off(0);
    for tick in [FORGED, 9] {
        bench.list("mal", "bo", tick);
        assert_eq!(bench.presence("bo"), Some(Presence::Unreachable), "tick {tick}");
    }
    bench.list("mal", "bo", 10);
    assert_eq!(bench.presence("bo"), Some(Presence::Alive), "it was lost at this tick, by this node's word alone");
}

/// A bench that has heard none of four for 2.5 s, and knows eve, at tick 3, by the word of one of them.
fn cut_off_from_four() -> Bench {
    let mut bench = Bench::new();
    for name in ["cy", "dee"] {
        bench.open(name);
        bench.beat(name, 10);
    }
    bench.show("bo", "eve", run(100), 3);
    bench.pass(Duration::from_millis(2_500));
    bench
}

#[test]
fn ticks_that_only_the_deaf_named_do_not_speak_against_who_came_back() {
    let mut bench = cut_off_from_four();
    let deaf = OpenReport { mostly_deaf: true, ..report_on("eve", 12) };
    bench.beat_with("cy", 12, vec![deaf]);
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.presence("eve"), Some(Presence::Unreachable));
    bench.beat("mal", 22);
    bench.list("mal", "eve", 3);
    assert_eq!(bench.presence("eve"), Some(Presence::Alive), "tick 12 was the word of one that was cut off too");
}

#[test]
fn a_wall_clock_that_was_set_back_makes_nobody_a_fellow() {
    let mut bench = cut_off(3_600_000);
    bench.list("mal", "bo", 10);
    assert_eq!(bench.presence("bo"), Some(Presence::Alive));
}

#[test]
fn a_verdict_that_was_taken_over_yields_to_a_newer_tick_only() {
    let mut bench = Bench::new();
    let dee = identity("dee").id();
    let shown = ShownCard { card: card("dee", run(100), 1).bytes().clone(), present: None };
    bench.frame("bo", MembershipFrame::Cards(vec![shown]));
    let report = Report { by: identity("bo").id(), open: report_on("dee", 30) };
    bench.frame("bo", MembershipFrame::Unreachable { subject: dee, run: run(100), tick: 30, reports: vec![report] });
    assert_eq!(bench.presence("dee"), Some(Presence::Unreachable));
    bench.list("mal", "dee", 5);
    assert_eq!(bench.presence("dee"), Some(Presence::Unreachable), "nobody here was cut off");
    bench.list("mal", "dee", 31);
    assert_eq!(bench.presence("dee"), Some(Presence::Alive));
}

#[test]
fn heartbeats_that_carry_a_report_no_longer_take_nothing_back_of_a_verdict() {
    let mut bench = Bench::crowded();
    let far = bench.far();
    let subject = identity(&far).id();
    let reports = ["bo", "mal"].map(|by| Report { by: identity(by).id(), open: report_on(&far, 3) }).to_vec();
    let verdict = MembershipFrame::Unreachable { subject, run: run(100), tick: 3, reports };
    bench.outputs.clear();
    // Both reported it long ago, and show the verdict again as long as the views differ.
    for tick in 11..20 {
        for name in ["bo", "mal"] {
            bench.beat(name, tick);
            bench.frame(name, verdict.clone());
            bench.pass(Duration::from_millis(490));
        }
    }
    assert_eq!(bench.presence(&far), Some(Presence::Unreachable));
    let is_about_it = |output: &&Output| matches!(output, Output::Presence { member, .. } if *member == subject);
    assert_eq!(bench.outputs.iter().filter(is_about_it).count(), 2, "suspect, and then unreachable");
}

#[test]
fn a_heartbeat_that_a_report_overtook_does_not_take_it_back() {
    let mut bench = Bench::crowded();
    let far = bench.far();
    bench.beat("mal", 11);
    bench.frame("mal", MembershipFrame::Report(Report { by: identity("mal").id(), open: report_on(&far, 3) }));
    assert_eq!(bench.presence(&far), Some(Presence::Suspect));
    let heartbeat = bench.heartbeat(12, Vec::new());
    bench.late_frame("mal", heartbeat);
    assert_eq!(bench.presence(&far), Some(Presence::Suspect), "it was sent before the report");
    bench.beat("mal", 13);
    assert_eq!(bench.presence(&far), Some(Presence::Alive));
}

#[test]
fn who_only_suspects_a_member_gives_no_word_for_it() {
    let mut bench = Bench::new();
    bench.beat("bo", 12);
    bench.pass(Duration::from_millis(2_500));
    bench.beat("mal", 12);
    assert_eq!(bench.presence("bo"), Some(Presence::Suspect));
    let (subject, by) = (identity("bo").id(), identity("mal").id());
    let reports = vec![Report { by, open: report_on("bo", 11) }];
    bench.outputs.clear();
    bench.frame("mal", MembershipFrame::Unreachable { subject, run: run(100), tick: 11, reports });
    let contradicts =
        |output: &Output| matches!(output, Output::Send { frame: MembershipFrame::Contradiction { .. }, .. });
    assert!(!bench.outputs.iter().any(contradicts), "{:?}", bench.outputs);
}

/// Has `mal` pass on that somebody of the crowd does not hear `far` after tick 3.
fn pass_on_a_report(bench: &mut Bench, far: &str) -> Report {
    let by = (0..2).map(|n| identity(&format!("m{n}")).id()).find(|&by| by != identity(far).id()).unwrap();
    let report = Report { by, open: report_on(far, 3) };
    bench.frame("mal", MembershipFrame::Report(report));
    report
}

#[test]
fn who_knows_a_member_on_hearsay_gives_no_word_for_it_against_a_report_that_was_passed_on() {
    let mut bench = Bench::crowded();
    let far = bench.far();
    let (subject, by) = (identity(&far).id(), identity("bo").id());
    bench.frame("bo", MembershipFrame::Contradiction { subject, run: run(100), tick: 7, by });
    bench.outputs.clear();
    pass_on_a_report(&mut bench, &far);
    let is_word = |output: &Output| matches!(output, Output::Send { frame: MembershipFrame::Contradiction { .. }, .. });
    assert!(!bench.outputs.iter().any(is_word), "{:?}", bench.outputs);
}

#[test]
fn those_who_watch_a_member_are_asked_about_a_doubt_that_lasts() {
    let mut bench = Bench::crowded();
    let far = bench.far();
    pass_on_a_report(&mut bench, &far);
    assert_eq!(bench.presence(&far), Some(Presence::Suspect));
    let asks = |bench: &Bench| {
        let asks = |output: &&Output| matches!(output, Output::Send { frame: MembershipFrame::Question { .. }, .. });
        bench.outputs.iter().filter(asks).count()
    };
    bench.pass(Duration::from_millis(900));
    assert_eq!(asks(&bench), 0);
    bench.pass(Duration::from_millis(1_200));
    assert_eq!(bench.presence(&far), Some(Presence::Suspect));
    assert!((4..=12).contains(&asks(&bench)), "{}", asks(&bench));
}

#[test]
fn what_is_said_of_a_member_after_it_came_back_is_another_case() {
    let mut bench = cut_off_from_four();
    for name in ["cy", "dee"] {
        bench.beat_with(name, 12, vec![OpenReport { mostly_deaf: true, ..report_on("eve", 12) }]);
    }
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.presence("eve"), Some(Presence::Unreachable));
    bench.beat("mal", 22);
    bench.open("bo");
    bench.beat("bo", 23);
    bench.list("mal", "eve", 3);
    assert_eq!(bench.presence("eve"), Some(Presence::Alive));
    let frame = MembershipFrame::Report(Report { by: identity("mal").id(), open: report_on("eve", 12) });
    bench.outputs.clear();
    bench.frame("mal", frame.clone());
    let passes_on = |output: &Output| matches!(output, Output::Send { frame: sent, .. } if *sent == frame);
    assert!(bench.outputs.iter().any(passes_on), "{:?}", bench.outputs);
}

#[test]
fn whose_word_brought_a_member_back_stays_known_once_it_is_heard() {
    let mut bench = Bench::new();
    for tick in 11..19 {
        bench.beat("mal", tick);
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.presence("bo"), Some(Presence::Unreachable));
    let (subject, by) = (identity("bo").id(), identity("mal").id());
    bench.frame("mal", MembershipFrame::Contradiction { subject, run: run(100), tick: 18, by });
    assert_eq!(bench.presence("bo"), Some(Presence::Alive));
    for tick in 19..25 {
        bench.pass(Duration::from_secs(1));
        bench.beat("mal", tick);
        bench.beat("bo", tick);
    }
    let bo = bench.machine.member(at(bench.now), subject).unwrap();
    assert!(bo.heard.is_some_and(|heard| heard == bench.now) && !bo.degraded, "{bo:?}");
    let word = &bo.evidence[0];
    assert_eq!((word.kind, word.by, word.at, word.brought_back), (EvidenceKind::Contradiction, by, bo.since, true));
    let heard: Vec<_> = bo.evidence[1..].iter().map(|item| (item.kind, item.brought_back)).collect();
    assert_eq!(heard, [(EvidenceKind::Heard, false)]);
}
