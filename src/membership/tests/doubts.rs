//! Doubts: what raises one and what must not, and that each of them ends.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::{EvidenceKind, Output};
use super::bench::{Bench, at, card, identity, report_on, run};
use super::world::{World, ms, secs};
use crate::base::{Path, Presence};
use crate::wire::{MembershipFrame, OpenReport, Report, ShownCard};

/// Has `liar` say once, to each of `to`, that it does not hear `of` after the newest tick there is, or one `ahead` of it.
fn slander(world: &mut World, to: &[&'static str], liar: &str, of: &str, ahead: u64) {
    let (by, subject, run) = (world.id(liar), world.id(of), world.machine(liar).run());
    let tick = world.machine(of).own.tick(world.now) + ahead;
    let open =
        OpenReport { subject, run: world.machine(of).run(), tick, probes_lost: 3, lag_ms: 0, mostly_deaf: false };
    for at in to.iter().filter(|at| ![liar, of].contains(at)) {
        let frame = MembershipFrame::Report(Report { by, open });
        world.call(at, |machine, step| machine.handle_frame(step, by, run, frame));
    }
}

#[test]
fn a_liar_with_one_frame_for_each_makes_nobody_gone_whom_somebody_hears() {
    for seed in 0..6 {
        let (mut world, names) = World::room(seed, 20);
        world.run(ms(u64::from(seed) * 170));
        for _ in 0..3 {
            slander(&mut world, &names, "m7", "m12", 0);
            world.run(secs(5));
        }
        assert_eq!(world.called_gone(), [], "seed {seed}");
        assert!(world.all_hold(&names, "m12", Presence::Alive), "seed {seed}");
    }
}

#[test]
fn who_hears_the_next_tick_tells_who_reported_the_one_before() {
    let mut bench = Bench::new();
    let (subject, mal) = (identity("bo").id(), identity("mal").id());
    let words = |bench: &Bench, tick| {
        let by = identity("ana").id();
        let frame = MembershipFrame::Contradiction { subject, run: run(100), tick, by };
        bench.outputs.iter().filter(|output| **output == Output::Send { to: mal, frame: frame.clone() }).count()
    };
    bench.outputs.clear();
    bench.frame("mal", MembershipFrame::Report(Report { by: mal, open: report_on("bo", 10) }));
    assert_eq!(words(&bench, 10), 0, "this node knows no newer one");
    bench.beat("bo", 11);
    assert_eq!(words(&bench, 11), 1);
    bench.beat("bo", 12);
    assert_eq!(words(&bench, 12), 0, "that was answered");
}

#[test]
fn whom_nobody_heard_since_the_start_is_not_alive_by_a_withdrawal() {
    let (mut world, names) = World::room(3, 20);
    world.run(secs(5));
    for name in &names {
        world.kill(name);
    }
    world.run(secs(5));
    world.start("m0");
    world.run(ms(3_400));
    world.start("m1");
    for _ in 0..150 {
        world.run(ms(100));
        let present = world.present("m0");
        assert!(present.is_subset(&["m0", "m1"].into()), "{present:?}");
    }
    assert!(world.present("m0").contains("m1"));
}

#[test]
fn a_report_that_may_not_count_yet_does_not_lapse_before_it_may() {
    for seed in 0..4 {
        let mut world = World::with(seed, &["ana", "bo", "cy"]);
        world.run(secs(25));
        world.cut_both("ana", "bo");
        world.run(secs(12));
        world.heal();
        world.run(secs(3) + ms(u64::from(seed) * 230));
        world.kill("bo");
        world.kill("cy");
        let gone =
            |world: &World| ["bo", "cy"].iter().all(|name| world.presence("ana", name) == Some(Presence::Unreachable));
        let took = world.wait_for(secs(60), gone);
        assert!(took.is_some(), "seed {seed}: {}", world.dump(&["ana"]));
    }
}

#[test]
fn a_doubt_outlives_the_run_of_who_raised_it_by_moments_only() {
    let (mut world, names) = World::room(2, 68);
    slander(&mut world, &["m5"], "m60", "m40", 0);
    world.run(ms(30));
    let is_doubted = names.iter().any(|at| world.presence(at, "m40") == Some(Presence::Suspect));
    assert!(is_doubted, "the lie went round");
    world.restart("m60");
    let took = world.wait_for(secs(20), |world| world.all_hold(&names, "m40", Presence::Alive));
    assert!(took.is_some(), "nobody settled it");
}

/// A room of which `m1` can talk with `m2` alone, once these two have found each other.
fn with_a_bridge(seed: u8, size: usize) -> (World, Vec<&'static str>) {
    let (mut world, names) = World::room(seed, size);
    for name in names.iter().filter(|name| !["m1", "m2"].contains(name)) {
        world.cut_both("m1", name);
    }
    world.run(secs(60));
    world.forget_events();
    (world, names)
}

fn called_gone_by_others(world: &World) -> Vec<(&'static str, &'static str)> {
    world.called_gone().into_iter().filter(|(at, _)| *at != "m1").collect()
}

#[test]
fn a_member_that_one_other_alone_can_talk_with_stays() {
    for (seed, size) in [(0, 8), (1, 11), (2, 20), (3, 64), (4, 80)] {
        let (mut world, _) = with_a_bridge(seed, size);
        world.run(secs(180));
        assert_eq!(called_gone_by_others(&world), [], "of {size}");
    }
}

#[test]
fn who_can_talk_with_one_other_alone_takes_its_word_for_the_rest() {
    for (seed, size) in [(0, 11), (1, 20), (2, 68)] {
        let (mut world, names) = with_a_bridge(seed, size);
        world.run(secs(60));
        world.forget_events();
        world.run(secs(120));
        assert_eq!(world.called_gone(), [], "of {size}");
        let there = world.present("m1");
        assert!(names.iter().all(|name| there.contains(name)), "of {size}: {there:?}");
    }
}

#[test]
fn one_lie_about_a_member_that_one_other_alone_can_talk_with_is_refuted() {
    for seed in 0..6 {
        let (mut world, names) = with_a_bridge(seed, 20);
        world.run(ms(u64::from(seed) * 170));
        slander(&mut world, &names, "m7", "m1", 0);
        world.run(secs(15));
        assert_eq!(called_gone_by_others(&world), [], "seed {seed}");
    }
}

#[test]
fn a_report_at_the_last_tick_that_is_believed_is_refuted_too() {
    for (seed, ahead) in [(0, 6), (1, 7), (2, 8), (3, 9)] {
        let (mut world, names) = World::room(seed, 68);
        slander(&mut world, &names, "m7", "m12", ahead);
        world.run(secs(6));
        assert_eq!(world.called_gone(), [], "{ahead} ahead");
    }
}

#[test]
fn two_names_of_one_liar_are_refuted_before_they_make_a_verdict() {
    for seed in 0..6 {
        let (mut world, names) = World::room(seed, 68);
        world.run(ms(u64::from(seed) * 170));
        for liar in ["m7", "m8"] {
            slander(&mut world, &names[20..22], liar, "m12", 0);
        }
        world.run(secs(5));
        assert_eq!(world.called_gone(), [], "seed {seed}");
    }
}

#[test]
fn a_doubt_about_one_whom_this_node_cannot_talk_with_ends_with_an_answer() {
    let mut bench = Bench::crowded();
    let far = bench.far();
    let subject = identity(&far).id();
    let now = bench.now;
    bench.machine.doubt_on_hearsay(now, subject);
    let is_looked_for = |bench: &Bench| bench.machine.watch.observed().any(|id| id == subject);
    assert!(is_looked_for(&bench));
    let mut ends = false;
    for tick in 40..46_u64 {
        bench.pass(secs(1));
        for name in ["bo", "mal"] {
            bench.beat(name, tick);
        }
        let by = identity("bo").id();
        bench.frame("bo", MembershipFrame::Contradiction { subject, run: run(100), tick: tick - 37, by });
        ends |= !is_looked_for(&bench);
    }
    assert!(ends, "bo hears it");
    assert_eq!(bench.presence(&far), Some(Presence::Alive));
}

#[test]
fn whoever_is_asked_about_one_that_it_heard_long_ago_looks_before_it_answers() {
    let mut bench = Bench::new();
    let subject = identity("bo").id();
    let mal = identity("mal").id();
    bench.pass(ms(1_900));
    bench.outputs.clear();
    let words = |bench: &Bench, tick| {
        let by = identity("ana").id();
        let frame = MembershipFrame::Contradiction { subject, run: run(100), tick, by };
        bench.outputs.iter().filter(|output| **output == Output::Send { to: mal, frame: frame.clone() }).count()
    };
    bench.frame("mal", MembershipFrame::Question { subject, run: run(100) });
    let asks = |output: &Output| match output {
        Output::Send { to, frame: MembershipFrame::Heartbeat(heartbeat) } => *to == subject && heartbeat.wants_answer,
        _ => false,
    };
    assert!(bench.outputs.iter().any(asks) && words(&bench, 10) == 0);
    bench.beat("bo", 16);
    assert_eq!(words(&bench, 16), 1);
}

/// What `bo` and `mal` reported of the member and called it unreachable for, as `bo` passes it on.
fn verdict_on(name: &str, tick: u64) -> MembershipFrame {
    let reports = ["bo", "mal"].map(|by| Report { by: identity(by).id(), open: report_on(name, tick) }).to_vec();
    MembershipFrame::Unreachable { subject: identity(name).id(), run: run(100), tick, reports }
}

/// A bench that knows dee by its card, and that it is unreachable.
fn told_of_a_dead_one() -> Bench {
    let mut bench = Bench::new();
    let shown = ShownCard { card: card("dee", run(100), 1).bytes().clone(), present: None };
    bench.frame("bo", MembershipFrame::Cards(vec![shown]));
    bench.frame("bo", verdict_on("dee", 30));
    assert_eq!(bench.presence("dee"), Some(Presence::Unreachable));
    bench
}

#[test]
fn whose_new_card_nobody_vouches_for_is_looked_for_as_one_that_was_restored() {
    let mut bench = told_of_a_dead_one();
    let shown = ShownCard { card: card("dee", run(200), 1).bytes().clone(), present: None };
    bench.frame("bo", MembershipFrame::Cards(vec![shown]));
    assert_eq!(bench.presence("dee"), Some(Presence::Suspect));
    assert!(bench.machine.restored.contains(&identity("dee").id()));
}

#[test]
fn a_verdict_on_one_that_is_gone_is_no_news() {
    let mut bench = told_of_a_dead_one();
    let since = bench.member("dee").since;
    bench.pass(Duration::from_secs(1));
    bench.outputs.clear();
    for tick in 31..60 {
        bench.frame("mal", verdict_on("dee", tick));
    }
    let told = bench.outputs.iter().filter(|output| !matches!(output, Output::Store(_))).count();
    assert_eq!(told, 0, "{:?}", bench.outputs);
    assert_eq!(bench.member("dee").since, since);
    bench.list("mal", "dee", 59);
    assert_eq!(bench.presence("dee"), Some(Presence::Unreachable), "it is unreachable at that tick too");
}

#[test]
fn a_silence_is_noticed_no_earlier_than_somebody_looked() {
    let mut bench = Bench::crowded();
    let is_far = |bench: &Bench, name: &str| !bench.machine.watch.watched().contains(&identity(name).id());
    let far = loop {
        let name = format!("dee{}", bench.machine.members.len());
        let shown = ShownCard { card: card(&name, run(100), 1).bytes().clone(), present: None };
        bench.frame("bo", MembershipFrame::Cards(vec![shown]));
        if is_far(&bench, &name) {
            break name;
        }
    };
    bench.frame("bo", verdict_on(&far, 30));
    assert_eq!(bench.presence(&far), Some(Presence::Unreachable));
    let evidence = bench.member(&far).evidence;
    let silence = evidence.iter().find(|item| item.kind == EvidenceKind::Silence).unwrap();
    assert_eq!(silence.at, at(bench.now).wall);
}

#[test]
fn a_member_is_heard_again_after_its_last_silence_and_no_longer_one() {
    let mut bench = Bench::new();
    let both = |bench: &mut Bench, ticks: std::ops::Range<u64>| {
        for tick in ticks {
            bench.beat("mal", tick);
            bench.beat("bo", tick);
            bench.pass(Duration::from_secs(1));
        }
    };
    bench.pass(Duration::from_secs(2));
    both(&mut bench, 12..60);
    for tick in 60..75 {
        bench.beat("mal", tick);
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.presence("bo"), Some(Presence::Unreachable));
    // This node stood still itself, and counts nobody's silence for that.
    bench.now += Duration::from_secs(5);
    bench.beat("bo", 81);
    assert_eq!(bench.presence("bo"), Some(Presence::Alive));
    let told: Vec<_> = bench.member("bo").evidence.iter().map(|item| item.words().into_owned()).collect();
    assert!(told.iter().any(|words| words.ends_with("silent for 21.0 s")), "{told:?}");
}

#[test]
fn a_question_is_no_report() {
    let mut bench = Bench::new();
    let shown = ShownCard { card: card("dee", run(100), 1).bytes().clone(), present: Some(3) };
    bench.frame("bo", MembershipFrame::Cards(vec![shown]));
    let (bo, dee, mal) = (identity("bo").id(), identity("dee").id(), identity("mal").id());
    bench.outputs.clear();
    for subject in [bo, dee] {
        bench.frame("mal", MembershipFrame::Question { subject, run: run(100) });
    }
    let answers = |bench: &Bench, subject| {
        let by = identity("ana").id();
        let frame = MembershipFrame::Contradiction { subject, run: run(100), tick: 10, by };
        bench.outputs.contains(&Output::Send { to: mal, frame })
    };
    assert!(answers(&bench, bo) && !answers(&bench, dee), "who heard it answers: {:?}", bench.outputs);
    bench.pass(Duration::from_millis(900));
    for name in ["bo", "dee"] {
        let reported = bench.member(name).evidence.iter().any(|item| item.kind == EvidenceKind::Report);
        assert!(!reported && bench.presence(name) == Some(Presence::Alive), "{name}");
    }
}

#[test]
fn a_word_that_sounds_like_a_lie_about_one_who_is_gone_has_this_node_look() {
    let mut bench = Bench::new();
    for tick in 11..100 {
        bench.beat("mal", tick);
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.presence("bo"), Some(Presence::Unreachable));
    let (subject, by) = (identity("bo").id(), identity("mal").id());
    bench.outputs.clear();
    // From tick 10 on nobody reaches this one in 90 s, by this node's clock.
    bench.frame("mal", MembershipFrame::Contradiction { subject, run: run(100), tick: 500, by });
    assert_eq!(bench.presence("bo"), Some(Presence::Unreachable));
    let dials = bench.outputs.iter().any(|output| matches!(output, Output::Connect { peer, .. } if *peer == subject));
    assert!(dials, "{:?}", bench.outputs);
}

#[test]
fn who_is_heard_and_gone_is_asked_for_its_tick_whatever_is_said_meanwhile() {
    let mut bench = Bench::new();
    for tick in 11..19 {
        bench.beat("mal", tick);
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.presence("bo"), Some(Presence::Unreachable));
    let bo = identity("bo").id();
    bench.open("bo");
    bench.outputs.clear();
    let path = Path { heard: Some(bench.now), ..Path::default() };
    bench.call(|machine, step| machine.handle_heard(step, bo, run(100), path));
    bench.call(|machine, step| machine.review(step, bo));
    bench.pass(Duration::from_millis(100));
    assert!(bench.outputs.contains(&Output::Send { to: bo, frame: MembershipFrame::Probe }), "{:?}", bench.outputs);
}

#[test]
fn a_report_that_was_taken_back_is_shown_so_while_others_stand() {
    let mut bench = Bench::crowded();
    let far = bench.far();
    for name in ["bo", "mal"] {
        let by = identity(name).id();
        bench.frame(name, MembershipFrame::Report(Report { by, open: report_on(&far, 3) }));
    }
    assert_eq!(bench.presence(&far), Some(Presence::Suspect));
    bench.beat("bo", 11);
    assert_eq!(bench.presence(&far), Some(Presence::Suspect));
    let said = |kind| -> Vec<_> {
        bench.member(&far).evidence.iter().filter(|item| item.kind == kind).map(|item| item.by).collect()
    };
    assert_eq!(said(EvidenceKind::Report), [identity("mal").id()]);
    assert_eq!(said(EvidenceKind::Withdrawal), [identity("bo").id()]);
}

#[test]
fn a_heartbeat_names_all_open_reports_where_it_has_room_for_them() {
    let mut bench = Bench::crowded();
    let ids: Vec<_> = (0..20).map(|n| identity(&format!("m{n}")).id()).collect();
    let (me, mal) = (identity("ana").id(), identity("mal").id());
    bench.call(|machine, step| {
        for &id in &ids {
            machine.report(step, id, 3);
            machine.reporting.insert(id);
            // The verdict has come, and the report rides on for those who have not come to it.
            let near = machine.members.get_mut(&id).unwrap().near_mut();
            near.link.reporting = false;
            near.report_until = Some(step.now.time + secs(5));
        }
        // These were taken back, or lapsed, since the last heartbeat.
        for id in &ids[3..9] {
            machine.members.get_mut(id).unwrap().near_mut().case.withdraw(me);
        }
    });
    bench.outputs.clear();
    bench.call(|machine, step| machine.send_heartbeat(step, mal, true));
    let [Output::Send { frame: MembershipFrame::Heartbeat(heartbeat), .. }] = &bench.outputs[..] else {
        panic!("{:?}", bench.outputs);
    };
    let named: BTreeSet<_> = heartbeat.reports.iter().map(|report| report.subject).collect();
    let open: BTreeSet<_> = ids[..3].iter().chain(&ids[9..]).copied().collect();
    assert_eq!(named, open, "else who reads it takes the others for taken back");
}

#[test]
fn a_member_that_is_reported_at_a_tick_to_come_is_told_and_gets_ahead_of_it() {
    for seed in 0..4 {
        let (mut world, names) = World::room(seed, 20);
        world.run(ms(u64::from(seed) * 170));
        slander(&mut world, &names, "m7", "m12", 5);
        world.run(secs(5));
        assert_eq!(world.called_gone(), [], "seed {seed}");
        assert!(world.all_hold(&names, "m12", Presence::Alive), "seed {seed}");
    }
}
