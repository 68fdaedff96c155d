//! The promises of membership, as stories in virtual time.

pub(super) mod bench;
mod doubts;
mod hostile;
mod lists;
mod look;
mod radio;
mod rings;
mod trouble;
mod words;
mod world;

use std::time::Duration;

use self::world::{World, ms, secs};
use super::{EventKind, EvidenceKind, Membership};
use crate::base::{PerMille, Presence};

const FIVE: [&str; 5] = ["ana", "bo", "cy", "dee", "eve"];

#[test]
fn joining_through_any_one_member_gives_all_the_others() {
    for through in ["ana", "bo", "cy", "dee"] {
        let mut world = World::with(1, &["ana", "bo", "cy", "dee"]);
        world.start("eve");
        world.run(ms(300));
        world.join("eve", through);
        let took = world.wait(secs(5), |world| world.converged(&FIVE));
        assert!(took.is_some_and(|took| took < secs(1)), "through {through}: {took:?}");
    }
}

#[test]
fn joining_waits_for_somebody_to_answer() {
    let mut world = World::new(2);
    world.start("bo");
    world.run(ms(100));
    world.kill("bo");
    world.start("ana");
    world.join("ana", "bo");
    world.run(secs(30));
    assert_eq!(world.present("ana"), ["ana"].into());
    world.restart("bo");
    let took = world.wait(secs(20), |world| world.converged(&["ana", "bo"]));
    assert!(took.is_some(), "not joined within 20 s");
}

#[test]
fn everybody_at_once_joins_under_loss() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        world.loss = PerMille(200);
        for name in FIVE {
            world.start(name);
        }
        for name in &FIVE[1..] {
            world.join(name, "ana");
        }
        let took = world.wait(secs(15), |world| world.converged(&FIVE));
        assert!(took.is_some(), "seed {seed}");
    }
}

#[test]
fn a_crash_is_suspected_and_then_certain_within_6_s_everywhere() {
    let mut slowest = Duration::ZERO;
    for seed in 0..20 {
        let mut world = World::with(seed, &FIVE);
        world.run(ms(1000 + u64::from(seed) * 137));
        world.forget_events();
        world.kill("bo");
        let others = ["ana", "cy", "dee", "eve"];
        let took = world.wait(secs(6), |world| world.all_see(&others, "bo", Presence::Unreachable));
        let took = took.unwrap_or_else(|| panic!("seed {seed}: not known everywhere within 6 s"));
        slowest = slowest.max(took);
        for at in others {
            let told: Vec<_> = world.told(at, "bo").into_iter().map(|(presence, _, _)| presence).collect();
            assert_eq!(told, [Presence::Suspect, Presence::Unreachable], "seed {seed}, {at}");
            let bo = world.member(at, "bo").unwrap();
            assert!(bo.evidence.iter().any(|item| item.kind == EvidenceKind::Report), "{:?}", bo.evidence);
        }
    }
    assert!(slowest < secs(4), "{slowest:?}");
}

#[test]
fn in_a_room_of_two_one_report_is_enough_within_6_s() {
    for seed in 0..20 {
        let mut world = World::with(seed, &["ana", "bo"]);
        world.run(ms(u64::from(seed) * 91));
        world.kill("bo");
        let took = world.wait(secs(6), |world| world.presence("ana", "bo") == Some(Presence::Unreachable));
        assert!(took.is_some(), "seed {seed}");
    }
}

#[test]
fn three_crashes_at_once_are_known_within_6_s() {
    for seed in 0..10 {
        let mut world = World::with(seed, &FIVE);
        for name in ["cy", "dee", "eve"] {
            world.kill(name);
        }
        let took = world.wait(secs(6), |world| {
            ["cy", "dee", "eve"].iter().all(|gone| world.all_see(&["ana", "bo"], gone, Presence::Unreachable))
        });
        assert!(took.is_some(), "seed {seed}");
    }
}

#[test]
fn a_single_broken_link_shows_as_degraded_and_nobody_is_called_gone() {
    for seed in 0..10 {
        let mut world = World::with(seed, &FIVE);
        world.forget_events();
        world.cut_both("ana", "bo");
        world.run(secs(60));
        for at in FIVE {
            for of in FIVE {
                let told = world.told(at, of);
                assert!(
                    told.iter().all(|(presence, _, _)| presence.is_reachable()),
                    "seed {seed}: {at} called {of} gone: {told:?}"
                );
            }
        }
        let bo = world.member("ana", "bo").unwrap();
        assert_eq!(bo.presence, Presence::Alive);
        assert!(bo.degraded);
        assert!(bo.evidence.iter().any(|item| item.kind == EvidenceKind::Contradiction), "{:?}", bo.evidence);
        assert!(world.told("cy", "bo").is_empty(), "cy hears bo all the time");
        world.heal();
        // The loss of the newest 64 datagrams shows for about as many seconds.
        world.run(secs(80));
        let bo = world.member("ana", "bo").unwrap();
        assert!(!bo.degraded);
        assert!(bo.evidence.iter().any(|item| item.kind == EvidenceKind::Heard), "{:?}", bo.evidence);
        let is_word = |item: &&super::Evidence| item.kind == EvidenceKind::Contradiction && !item.brought_back;
        let word = bo.evidence.iter().find(is_word);
        assert!(word.is_none(), "seed {seed}: it is heard here now, and needs nobody's word: {word:?}");
    }
}

#[test]
fn a_link_broken_one_way_calls_nobody_gone() {
    for seed in 0..10 {
        let mut world = World::with(seed, &["ana", "bo", "cy"]);
        world.forget_events();
        world.cut("bo", "ana");
        world.run(secs(60));
        for at in ["ana", "bo", "cy"] {
            for of in ["ana", "bo", "cy"] {
                assert!(world.told(at, of).iter().all(|(presence, _, _)| presence.is_reachable()), "seed {seed}");
            }
        }
        assert!(world.member("ana", "bo").unwrap().degraded);
    }
}

#[test]
fn whoever_is_heard_by_one_other_only_is_gone_once_that_one_loses_it() {
    for seed in 0..10 {
        let mut world = World::with(seed, &FIVE);
        world.partition(&["bo"], &["ana", "cy", "dee"]);
        world.run(secs(20));
        assert_eq!(world.presence("ana", "bo"), Some(Presence::Alive), "eve still hears it");
        world.kill("bo");
        let others = ["ana", "cy", "dee", "eve"];
        let took = world.wait(secs(6), |world| world.all_see(&others, "bo", Presence::Unreachable));
        assert!(took.is_some(), "seed {seed}");
    }
}

#[test]
fn when_the_only_voice_for_a_member_dies_too_both_are_gone() {
    for seed in 0..10 {
        let mut world = World::with(seed, &FIVE);
        world.partition(&["bo"], &["ana", "cy", "dee"]);
        world.run(secs(10));
        world.kill("eve");
        world.kill("bo");
        let took = world.wait(secs(15), |world| {
            world.all_see(&["ana", "cy", "dee"], "bo", Presence::Unreachable)
                && world.all_see(&["ana", "cy", "dee"], "eve", Presence::Unreachable)
        });
        assert!(took.is_some(), "seed {seed}");
    }
}

#[test]
fn a_restart_is_the_same_member_with_a_higher_incarnation() {
    for seed in 0..10 {
        let mut world = World::with(seed, &FIVE);
        let before = world.machine("bo").run();
        world.forget_events();
        world.kill("bo");
        world.run(secs(8));
        world.restart("bo");
        let took = world.wait(secs(5), |world| world.converged(&FIVE));
        assert!(took.is_some_and(|took| took < secs(3)), "seed {seed}: {took:?}");
        let after = world.machine("bo").run();
        assert!(after.incarnation > before.incarnation);
        for at in ["ana", "cy", "dee", "eve"] {
            assert_eq!(world.member(at, "bo").unwrap().run, after);
            let told = world.told(at, "bo");
            assert_eq!(told.last().unwrap().0, Presence::Alive);
            assert!(told.iter().all(|(presence, run, _)| *presence != Presence::Unreachable || *run == before));
        }
    }
}

#[test]
fn a_quick_restart_is_told_without_anyone_calling_it_gone() {
    for seed in 0..10 {
        let mut world = World::with(seed, &FIVE);
        world.forget_events();
        world.run(secs(2));
        world.restart("bo");
        let took = world.wait(secs(5), |world| world.converged(&FIVE));
        assert!(took.is_some(), "seed {seed}");
        let run = world.machine("bo").run();
        for at in ["ana", "cy", "dee", "eve"] {
            let told = world.told(at, "bo");
            let restarted = told.iter().find(|(_, known, _)| *known == run).unwrap();
            assert_eq!(restarted.0, Presence::Alive);
            assert!(restarted.2.iter().any(|item| item.kind == EvidenceKind::Card));
            assert!(told.iter().all(|(presence, _, _)| *presence != Presence::Unreachable));
        }
    }
}

#[test]
fn a_leave_is_known_at_once_and_is_final_for_its_run() {
    let mut world = World::with(3, &FIVE);
    world.forget_events();
    world.call("bo", Membership::leave);
    let others = ["ana", "cy", "dee", "eve"];
    let took = world.wait(secs(1), |world| world.all_see(&others, "bo", Presence::Left));
    assert!(took.is_some_and(|took| took < ms(200)), "{took:?}");
    world.run(secs(1));
    assert!(world.events("bo").any(|event| event.kind == EventKind::Left));
    world.kill("bo");
    world.run(secs(30));
    for at in others {
        let told: Vec<_> = world.told(at, "bo").into_iter().map(|(presence, _, _)| presence).collect();
        assert_eq!(told, [Presence::Left], "{at}");
    }
    world.restart("bo");
    let took = world.wait(secs(5), |world| world.converged(&FIVE));
    assert!(took.is_some());
}

#[test]
fn a_leave_reaches_those_who_lost_it() {
    for seed in 0..10 {
        let mut world = World::with(seed, &FIVE);
        world.cut("bo", "cy");
        world.cut("bo", "dee");
        world.call("bo", Membership::leave);
        let took = world.wait(secs(1), |world| world.all_see(&["ana", "cy", "dee", "eve"], "bo", Presence::Left));
        assert!(took.is_some(), "seed {seed}");
    }
}

#[test]
fn a_room_that_everyone_left_comes_together_again() {
    let mut world = World::with(4, &FIVE);
    for name in FIVE {
        world.call(name, Membership::leave);
        world.run(ms(400));
        world.kill(name);
    }
    for name in FIVE {
        world.restart(name);
        world.run(secs(5));
    }
    let took = world.wait(secs(10), |world| world.converged(&FIVE));
    assert!(took.is_some());
}

#[test]
fn a_new_nick_is_known_to_all_and_survives_loss() {
    let mut world = World::with(7, &FIVE);
    world.loss = PerMille(300);
    world.call("bo", |machine, step| machine.set_nick(step, "bob".to_owned()));
    let took = world.wait(secs(15), |world| FIVE.iter().all(|at| world.member(at, "bo").unwrap().nick == "bob"));
    assert!(took.is_some());
}

#[test]
fn a_member_that_is_gone_for_a_week_is_forgotten_and_its_old_run_stays_refused() {
    let mut world = World::with(8, &["ana", "bo", "cy"]);
    world.kill("bo");
    world.run(secs(10));
    for name in ["ana", "cy"] {
        world.skew_wall(name, 8 * 24 * 60 * 60 * 1000);
    }
    world.run(secs(2 * 60 * 60));
    assert_eq!(world.presence("ana", "bo"), Some(Presence::Unreachable), "a clock that is set is no week");
    for name in ["ana", "cy"] {
        world.restart(name);
    }
    world.run(secs(2 * 60 * 60));
    assert_eq!(world.presence("ana", "bo"), None, "what was before this run is as old as the clock says");
    assert!(world.disk("ana").forgotten.contains_key(&world.id("bo")));
    world.restart("bo");
    let took = world.wait(secs(30), |world| world.converged(&["ana", "bo", "cy"]));
    assert!(took.is_some(), "it remembers them, and its new run is welcome");
    world.run(secs(5));
    assert!(world.disk("ana").forgotten.is_empty());
}

#[test]
fn a_restarted_room_remembers_its_members_and_says_that_it_has_not_heard_them() {
    let mut world = World::with(9, &["ana", "bo", "cy"]);
    world.kill("bo");
    world.kill("cy");
    world.restart("ana");
    let bo = world.member("ana", "bo").unwrap();
    assert_eq!(bo.presence, Presence::Suspect);
    assert_eq!(bo.evidence[0].kind, EvidenceKind::Restored);
    let took = world.wait(secs(10), |world| world.presence("ana", "bo") == Some(Presence::Unreachable));
    assert!(took.is_some());
    world.restart("cy");
    let took = world.wait(secs(10), |world| world.converged(&["ana", "cy"]));
    assert!(took.is_some());
}

#[test]
fn an_idle_room_of_five_is_quiet() {
    let mut world = World::with(10, &FIVE);
    world.run(secs(5));
    let before = world.sent;
    world.frames_sent.clear();
    world.run(secs(60));
    // Four heartbeats a second from each of five, and nothing else.
    assert!(world.sent - before <= 4 * 5 * 61, "{} datagrams: {:?}", world.sent - before, world.frames_sent);
    assert_eq!(world.frames_sent.keys().copied().collect::<Vec<_>>(), ["heartbeat"]);
}

#[test]
fn seven_of_seven_find_each_other_and_a_crash() {
    let seven = ["ana", "bo", "cy", "dee", "eve", "fay", "gus"];
    for seed in 0..4 {
        let mut world = World::with(seed, &seven);
        world.kill("gus");
        let took = world.wait(secs(6), |world| world.all_see(&seven[..6], "gus", Presence::Unreachable));
        assert!(took.is_some(), "seed {seed}");
    }
}
