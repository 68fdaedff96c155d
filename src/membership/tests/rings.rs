//! The promises of membership in rooms too large for everyone to watch everyone.

use std::time::Duration;

use super::super::{EvidenceKind, Membership};
use super::world::{World, ms, secs};
use crate::base::{MemberId, PerMille, Presence, Rng};
use crate::wire::{MembershipFrame, OpenReport, Report};

fn without<'a>(names: &[&'a str], left_out: &[&str]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| !left_out.contains(name)).collect()
}

/// Members that `name` watches.
fn watched(world: &World, name: &str) -> Vec<&'static str> {
    world.machine(name).watch.watched().iter().map(|&id| world.name(id)).collect()
}

#[test]
fn a_join_is_seen_by_all_and_sees_all_within_a_second() {
    for (seed, size) in [(1, 8), (2, 20), (3, 100)] {
        let (mut world, mut names) = World::room(seed, size);
        world.delay = ms(40);
        world.start("new");
        world.run(ms(100));
        world.join("new", names[size / 2]);
        names.push("new");
        let took = world.wait_for(secs(5), |world| world.agree(&names));
        assert!(took.is_some_and(|took| took <= secs(1)), "{size} members: {took:?}");
    }
}

#[test]
fn a_crash_is_known_to_all_by_the_reports_of_two() {
    for (size, seeds) in [(8, 0..6), (20, 10..14), (100, 20..21)] {
        for seed in seeds {
            let (mut world, names) = World::room(seed, size);
            world.delay = ms(40);
            world.run(ms(u64::from(seed) * 137));
            let rest = without(&names, &["m3"]);
            world.kill("m3");
            let took = world.wait_for(secs(6), |world| world.all_hold(&rest, "m3", Presence::Unreachable));
            assert!(took.is_some_and(|took| took < ms(3_500)), "{size} members, seed {seed}: {took:?}");
            for at in &rest {
                let told = world.told(at, "m3");
                let (presence, _, evidence) = told.last().unwrap();
                assert_eq!(*presence, Presence::Unreachable);
                let mut reporters: Vec<_> =
                    evidence.iter().filter(|item| item.kind == EvidenceKind::Report).map(|item| item.by).collect();
                reporters.dedup();
                assert!(reporters.len() >= 2, "{size} members, seed {seed}, {at}: {evidence:?}");
            }
            let agreed = world.wait_for(secs(3), |world| world.agree(&rest));
            assert!(agreed.is_some(), "{size} members, seed {seed}");
            assert!(world.called_gone().iter().all(|&(_, of)| of == "m3"), "{:?}", world.called_gone());
            for at in &rest {
                let (links, is_large) = world.links(at);
                assert_eq!(*is_large, size > 64, "{size} members, seed {seed}, {at}");
                assert!((2..=4).contains(&links.len()) && !links.contains(&world.id("m3")));
                assert!(links.iter().all(|&id| world.links(world.name(id)).0.contains(&world.id(at))));
            }
        }
    }
}

#[test]
fn with_a_twentieth_lost_nobody_is_called_gone_for_minutes() {
    for (seed, size, minutes) in [(1, 8, 10), (2, 20, 5), (3, 100, 1)] {
        let (mut world, names) = World::room(seed, size);
        world.loss = PerMille(50);
        world.run(secs(60 * minutes));
        assert_eq!(world.called_gone(), []);
        let took = world.wait_for(secs(5), |world| world.agree(&names));
        assert!(took.is_some(), "{size} members");
    }
}

#[test]
fn a_restart_is_known_to_all_at_once_and_nobody_is_called_gone() {
    for (seed, size) in [(1, 8), (2, 20), (3, 100)] {
        let (mut world, names) = World::room(seed, size);
        world.delay = ms(40);
        world.restart("m5");
        let took = world.wait_for(secs(6), |world| world.agree(&names));
        assert!(took.is_some_and(|took| took <= ms(1_500)), "{size} members: {took:?}");
        assert_eq!(world.called_gone(), []);
        let run = world.machine("m5").run();
        assert!(names.iter().all(|at| *at == "m5" || world.member(at, "m5").unwrap().run == run));
    }
}

#[test]
fn who_restarts_hears_of_those_it_does_not_watch() {
    let (mut world, names) = World::room(4, 100);
    world.kill("m9");
    world.run(secs(30));
    world.start("m9");
    let took = world.wait_for(secs(6), |world| world.agree(&names));
    assert!(took.is_some_and(|took| took <= secs(2)), "{took:?}");
}

#[test]
fn a_leave_is_known_to_all_at_once() {
    for (seed, size) in [(1, 8), (2, 20), (3, 100)] {
        let (mut world, names) = World::room(seed, size);
        world.delay = ms(40);
        world.loss = PerMille(50);
        let rest = without(&names, &["m2"]);
        world.call("m2", Membership::leave);
        let took = world.wait_for(secs(2), |world| world.all_hold(&rest, "m2", Presence::Left));
        assert!(took.is_some_and(|took| took <= ms(600)), "{size} members: {took:?}");
    }
}

#[test]
fn a_partition_is_seen_and_healing_makes_views_equal() {
    for (seed, size) in [(1, 8), (2, 20), (3, 100)] {
        let (mut world, names) = World::room(seed, size);
        let (left, right) = names.split_at(size / 2);
        world.partition(left, right);
        let took = world.wait_for(secs(40), |world| world.agree(left) && world.agree(right));
        assert!(took.is_some(), "{size} members");
        world.run(secs(30));
        assert!(world.agree(left) && world.agree(right), "{size} members");
        world.heal();
        let took = world.wait_for(secs(20), |world| world.agree(&names));
        assert!(took.is_some_and(|took| took <= secs(5)), "{size} members: {took:?}");
        world.forget_events();
        world.run(secs(20));
        assert_eq!(world.called_gone(), [], "{size} members");
    }
}

#[test]
fn who_is_cut_off_alone_shows_all_as_not_heard_and_is_back_soon_after() {
    for (seed, size) in [(4, 10), (5, 100)] {
        let (mut world, names) = World::room(seed, size);
        let rest = without(&names, &["m7"]);
        world.partition(&["m7"], &rest);
        let took = world.wait_for(secs(60), |world| {
            world.machine("m7").members.values().all(|entry| entry.presence == Some(Presence::Unreachable))
        });
        assert!(took.is_some_and(|took| took <= secs(30)), "{size} members: {took:?}, {}", world.dump(&names));
        assert!(world.machine("m7").deaf(), "{size} members");
        assert!(world.agree(&rest), "{size} members");
        world.run(secs(20));
        world.forget_events();
        world.heal();
        let took = world.wait_for(secs(20), |world| world.agree(&names));
        assert!(took.is_some_and(|took| took <= secs(4)), "{size} members: {took:?}");
        assert_eq!(world.called_gone(), [], "{size} members");
    }
}

#[test]
fn a_link_broken_one_way_calls_nobody_gone_and_says_whose_word_it_takes() {
    for (seed, size) in [(1, 8), (2, 20), (3, 100)] {
        let (mut world, names) = World::room(seed, size);
        let other = watched(&world, "m0")[0];
        world.cut(other, "m0");
        world.run(secs(60));
        assert_eq!(world.called_gone(), [], "{size} members");
        let held = world.member("m0", other).unwrap();
        assert!(held.degraded, "{size} members");
        assert!(held.evidence.iter().any(|item| item.kind == EvidenceKind::Contradiction), "{:?}", held.evidence);
        world.kill(other);
        let rest = without(&names, &[other]);
        let took = world.wait_for(secs(6), |world| world.all_hold(&rest, other, Presence::Unreachable));
        assert!(took.is_some_and(|took| took < secs(5)), "{size} members: {took:?}");
    }
}

#[test]
fn a_member_that_loses_four_of_five_datagrams_drags_nobody_down() {
    for (seed, size) in [(1, 8), (2, 8), (3, 20), (4, 20)] {
        let (mut world, names) = World::room(seed, size);
        world.lose("m4", PerMille(800));
        world.run(secs(120));
        let wrongly: Vec<_> = world.called_gone().into_iter().filter(|&(at, of)| at != "m4" && of != "m4").collect();
        assert_eq!(wrongly, [], "{size} members");
        world.lose("m4", PerMille(0));
        let took = world.wait_for(secs(15), |world| world.agree(&names));
        assert!(took.is_some_and(|took| took <= secs(8)), "{size} members: {took:?}");
    }
}

/// Cuts a twentieth of the pairs, both ways.
fn mute_pairs(world: &mut World, names: &[&'static str], seed: u8) {
    let mut rng = Rng::from_seed([seed; 32]).split("mute pairs");
    let mut pairs: Vec<_> = (0..names.len()).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
    for _ in 0..pairs.len() / 20 {
        let drawn = rng.below(u64::try_from(pairs.len()).unwrap());
        let (a, b) = pairs.swap_remove(usize::try_from(drawn).unwrap());
        world.cut_both(names[a], names[b]);
    }
}

#[test]
fn pairs_that_can_never_talk_make_nobody_call_anybody_gone() {
    for (seed, size, span) in [(1, 10, 300), (2, 30, 300), (6, 100, 60)] {
        let (mut world, names) = World::room(seed, size);
        mute_pairs(&mut world, &names, seed);
        let before = world.sent_bytes;
        world.run(secs(span));
        assert_eq!(world.called_gone(), [], "{size} members, seed {seed}");
        let rate = (world.sent_bytes - before) / span / u64::try_from(size).unwrap();
        assert!(rate < 1_500, "{size} members, seed {seed}: {rate} bytes/s a node");
    }
}

#[test]
fn half_of_the_room_stands_still_and_goes_on() {
    for (seed, size) in [(1, 8), (2, 20), (3, 100)] {
        let (mut world, names) = World::room(seed, size);
        let (still, awake) = names.split_at(size / 2);
        for name in still {
            world.pause(name);
        }
        let took = world.wait_for(secs(40), |world| world.agree(awake));
        assert!(took.is_some(), "{size} members");
        world.run(secs(20));
        world.forget_events();
        for name in still {
            world.resume(name);
        }
        let took = world.wait_for(secs(20), |world| world.agree(&names));
        assert!(took.is_some_and(|took| took <= secs(5)), "{size} members: {took:?}");
        let accused: Vec<_> = world.called_gone().into_iter().filter(|(at, _)| still.contains(at)).collect();
        assert_eq!(accused, [], "{size} members");
    }
}

#[test]
fn everybody_restarts_within_seconds() {
    let (mut world, names) = World::room(6, 100);
    for name in &names {
        world.restart(name);
        world.run(ms(50));
    }
    let took = world.wait_for(secs(30), |world| world.agree(&names));
    assert!(took.is_some_and(|took| took <= secs(5)), "{took:?}");
}

#[test]
fn those_who_were_remembered_and_are_dead_are_found_out() {
    let (mut world, names) = World::room(7, 40);
    for name in &names {
        world.kill(name);
    }
    let back = &names[..10];
    for name in back {
        world.start(name);
    }
    let took = world.wait_for(secs(60), |world| world.agree(back));
    assert!(took.is_some_and(|took| took <= secs(30)), "{took:?}");
}

#[test]
fn an_idle_room_costs_the_same_at_any_size() {
    for (seed, size) in [(1, 7), (2, 20), (3, 64), (4, 65)] {
        let (mut world, _) = World::room(seed, size);
        world.run(secs(90));
        let (bytes, sent) = (world.sent_bytes, world.sent);
        world.frames_sent.clear();
        world.run(secs(60));
        let nodes = u64::try_from(size).unwrap() * 60;
        let (bytes, sent) = ((world.sent_bytes - bytes) / nodes, world.sent - sent);
        assert!(bytes < 800, "{size} members: {bytes} bytes/s a node, {sent} datagrams, {:?}", world.frames_sent);
        assert_eq!(world.frames_sent.keys().copied().collect::<Vec<_>>(), ["heartbeat"], "{size} members");
    }
}

#[test]
fn each_of_a_small_room_is_heard_within_a_minute_and_of_a_large_one_those_who_are_watched() {
    let heard = |world: &World, at: &str| -> Vec<(MemberId, Duration)> {
        let members = world.members(at).into_iter();
        members.filter_map(|member| Some((member.id, world.now.since(member.heard?)))).collect()
    };
    let (mut world, names) = World::room(1, 40);
    world.run(secs(120));
    for at in &names {
        let heard = heard(&world, at);
        assert_eq!(heard.len(), 39, "{at}");
        assert!(heard.iter().all(|(_, ago)| *ago <= secs(42)), "{at}: {heard:?}");
    }
    let (mut world, names) = World::room(2, 100);
    world.run(secs(120));
    for at in &names {
        let open = world.machine(at).watch.open();
        assert_eq!(open, world.machine(at).watch.watched(), "{at} keeps no other session");
    }
}

/// Has `liar` say the same to everybody else.
fn lie(world: &mut World, names: &[&'static str], liar: &str, frame: &MembershipFrame) {
    let (id, run) = (world.id(liar), world.machine(liar).run());
    for at in without(names, &[liar]) {
        world.call(at, |machine, step| machine.handle_frame(step, id, run, frame.clone()));
    }
}

const FORGED: u64 = 1 << 39;

#[test]
fn a_forged_tick_does_not_keep_a_member_of_a_large_room_up() {
    let (mut world, names) = World::room(8, 66);
    world.delay = ms(40);
    let (subject, by) = (world.id("m3"), world.id("m60"));
    let run = world.machine("m3").run();
    lie(&mut world, &names, "m60", &MembershipFrame::Contradiction { subject, run, tick: FORGED, by });
    world.run(secs(10));
    world.kill("m3");
    let rest = without(&names, &["m3"]);
    let took = world.wait_for(secs(30), |world| world.all_hold(&rest, "m3", Presence::Unreachable));
    assert!(took.is_some_and(|took| took < secs(15)), "{took:?}");
    let took = world.wait_for(secs(10), |world| world.agree(&rest));
    assert!(took.is_some());
}

#[test]
fn a_forged_tick_does_not_keep_a_member_of_a_large_room_down() {
    let (mut world, names) = World::room(9, 66);
    world.delay = ms(40);
    let (subject, by) = (world.id("m3"), world.id("m60"));
    let run = world.machine("m3").run();
    let open = OpenReport { subject, run, tick: FORGED, probes_lost: 3, lag_ms: 0, mostly_deaf: false };
    let rest = without(&names, &["m3"]);
    lie(&mut world, &rest, "m60", &MembershipFrame::Report(Report { by, open }));
    world.run(secs(10));
    let took = world.wait_for(secs(10), |world| world.agree(&names));
    assert!(took.is_some(), "it is there, and others hear it: {}", world.dump(&["m0", "m3", "m60"]));
}
