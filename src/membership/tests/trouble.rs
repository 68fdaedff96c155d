//! Partitions, loss, stalls, homes that went wrong: that views come together again and nobody is accused
//! without cause.

use std::time::Duration;

use super::super::{EventKind, Membership, Record, Restored};
use super::FIVE;
use super::world::{World, ms, secs};
use crate::base::{MemberId, PerMille, Presence, Rng, Run, Wall};
use crate::crypto::Identity;
use crate::wire::{Card, Signed};

#[test]
fn a_partition_is_seen_on_both_sides_and_healing_makes_views_equal() {
    let mut slowest = Duration::ZERO;
    for seed in 0..20 {
        let mut world = World::with(seed, &FIVE);
        let (left, right) = (["ana", "bo", "cy"], ["dee", "eve"]);
        world.partition(&left, &right);
        let took =
            world.wait(secs(7), |world| world.converged(&["ana", "bo", "cy"]) && world.converged(&["dee", "eve"]));
        assert!(took.is_some(), "seed {seed}");
        assert!(world.machine("dee").deaf(), "the smaller side is probably the one cut off");
        assert!(!world.machine("ana").deaf());
        world.run(secs(if seed % 2 == 0 { 5 } else { 90 }));
        world.heal();
        let took = world.wait(secs(12), |world| world.converged(&FIVE));
        let took = took.unwrap_or_else(|| panic!("seed {seed}: not healed within 12 s"));
        slowest = slowest.max(took);
        world.run(secs(10));
        assert!(world.converged(&FIVE), "seed {seed}");
        assert!(FIVE.iter().all(|name| !world.machine(name).deaf()));
    }
    assert!(slowest < secs(5), "{slowest:?}");
}

#[test]
fn what_happened_on_one_side_of_a_partition_is_known_on_the_other_after_it() {
    for seed in 0..10 {
        let mut world = World::with(seed, &FIVE);
        world.partition(&["ana", "bo", "cy"], &["dee", "eve"]);
        world.run(secs(8));
        world.restart("bo");
        world.kill("cy");
        world.call("eve", Membership::leave);
        world.start("fay");
        world.run(ms(100));
        world.partition(&["fay"], &["dee", "eve"]);
        world.join("fay", "ana");
        world.run(secs(8));
        world.kill("eve");
        world.heal();
        let took = world.wait(secs(12), |world| world.converged(&["ana", "bo", "dee", "fay"]));
        assert!(took.is_some(), "seed {seed}");
        assert!(world.all_see(&["ana", "bo", "dee", "fay"], "cy", Presence::Unreachable), "seed {seed}");
        // Those who are gone are in no fingerprint: they are told with the next difference, or were before.
        assert_eq!(world.presence("dee", "eve"), Some(Presence::Left));
        assert_eq!(world.member("dee", "bo").unwrap().run, world.machine("bo").run());
    }
}

#[test]
fn with_a_fifth_lost_in_each_direction_nobody_is_called_gone() {
    for seed in 0..6 {
        let mut world = World::with(seed, &FIVE);
        world.loss = PerMille(200);
        world.forget_events();
        world.run(secs(600));
        for at in FIVE {
            for of in FIVE {
                let gone = world.told(at, of).into_iter().find(|(presence, _, _)| !presence.is_reachable());
                assert!(gone.is_none(), "seed {seed}: {at} called {of} gone: {gone:?}");
            }
        }
        assert!(world.converged(&FIVE) || world.wait(secs(5), |world| world.converged(&FIVE)).is_some());
    }
}

#[test]
fn two_under_heavy_loss_keep_each_other() {
    for seed in 0..4 {
        let mut world = World::with(seed, &["ana", "bo"]);
        world.loss = PerMille(200);
        world.forget_events();
        world.run(secs(600));
        for (at, of) in [("ana", "bo"), ("bo", "ana")] {
            assert!(world.told(at, of).iter().all(|(presence, _, _)| presence.is_reachable()), "seed {seed}");
        }
    }
}

#[test]
fn a_stall_of_our_own_accuses_nobody() {
    for seed in 0..20 {
        let mut world = World::with(seed, &FIVE);
        world.run(ms(u64::from(seed) * 53));
        world.forget_events();
        world.pause("bo");
        world.run(secs(5));
        world.resume("bo");
        world.run(secs(20));
        for of in FIVE {
            assert!(world.told("bo", of).is_empty(), "seed {seed}: {:?}", world.told("bo", of));
        }
        // It says so of itself, once; nobody else does.
        let stalls = |of| {
            world.events(of).filter_map(|event| match event.kind {
                EventKind::Stalled { stall } => Some(stall),
                _ => None,
            })
        };
        let own: Vec<_> = stalls("bo").collect();
        assert!(own.len() == 1 && own[0] > ms(3_900) && own[0] <= secs(5), "seed {seed}: {own:?}");
        assert_eq!(stalls("ana").count(), 0, "seed {seed}");
        assert!(world.converged(&FIVE), "seed {seed}");
        // The others saw it go, and come back.
        for at in ["ana", "cy", "dee", "eve"] {
            let told: Vec<_> = world.told(at, "bo").into_iter().map(|(presence, _, _)| presence).collect();
            assert_eq!(told.last(), Some(&Presence::Alive), "{at}");
        }
    }
}

#[test]
fn a_long_sleep_ends_in_the_same_view() {
    for seed in 0..5 {
        let mut world = World::with(seed, &FIVE);
        world.pause("bo");
        world.run(secs(30));
        world.kill("cy");
        world.run(secs(600));
        world.forget_events();
        world.resume("bo");
        let took = world.wait(secs(15), |world| world.converged(&["ana", "bo", "dee", "eve"]));
        assert!(took.is_some(), "seed {seed}");
        assert!(["ana", "dee", "eve"].iter().all(|of| world.told("bo", of).is_empty()), "seed {seed}");
    }
}

#[test]
fn a_rolled_back_home_takes_a_higher_incarnation_once() {
    for seed in 0..10 {
        let mut world = World::with(seed, &["ana", "bo", "cy"]);
        let snapshot = world.disk("bo");
        world.restart("bo");
        world.run(secs(3));
        let newest = world.machine("bo").run();
        world.kill("bo");
        world.run(secs(2));
        // The clock was wrong too, else it would have covered the loss.
        world.set_disk("bo", snapshot);
        world.skew_wall("bo", -86_400_000);
        world.start("bo");
        assert!(world.machine("bo").run() < newest);
        let took = world.wait(secs(10), |world| world.converged(&["ana", "bo", "cy"]));
        assert!(took.is_some(), "seed {seed}");
        assert_eq!(world.machine("bo").run().incarnation, newest.incarnation + 1);
        assert_eq!(world.disk("bo").run, Some(world.machine("bo").run()));
        assert!(!world.is_silent("bo"));
        assert!(!world.events("bo").any(|event| matches!(event.kind, EventKind::Alarm { .. })));
    }
}

#[test]
fn a_copied_home_is_noticed_and_falls_silent() {
    let mut world = World::with(5, &["ana", "bo", "cy"]);
    world.run(secs(3));
    // A process with the same keys began later and was met by somebody: its card comes around.
    let copy = world.copy_machine("bo");
    assert!(copy.run() > world.machine("bo").run());
    let card = copy.card().clone();
    world.call("bo", |machine, step| machine.handle_own_card(step, &card));
    assert!(world.is_silent("bo"));
    let alarm = world.events("bo").find_map(|event| match &event.kind {
        EventKind::Alarm { text } => Some(text.clone()),
        EventKind::Member { .. } | EventKind::Stalled { .. } | EventKind::Left => None,
    });
    assert!(alarm.is_some_and(|text| text.contains("stop one of the two")));
    world.run(secs(10));
}

#[test]
fn a_full_disk_delays_the_first_word_until_there_is_room() {
    let mut world = World::new(6);
    world.start("ana");
    world.start("bo");
    world.run(ms(200));
    world.start("cy");
    world.set_disk_full("cy", true);
    world.join("cy", "ana");
    world.run(secs(12));
    assert_eq!(world.present("cy"), ["cy"].into());
    world.set_disk_full("cy", false);
    let took = world.wait(secs(10), |world| world.converged(&["ana", "cy"]));
    assert!(took.is_some());
}

#[test]
fn whatever_happens_views_are_equal_soon_after_it_ends() {
    for seed in 0..12 {
        let mut world = World::with(seed, &FIVE);
        let mut rng = Rng::from_seed([seed; 32]).split("what happens");
        let mut pick = |bound: u64| usize::try_from(rng.below(bound)).unwrap();
        let mut paused = Vec::new();
        for _ in 0..60 {
            let (one, other) = (FIVE[pick(5)], FIVE[pick(5)]);
            let runs = world.is_running(one) && !paused.contains(&one);
            match pick(9) {
                0 if runs => world.kill(one),
                1 | 2 if !world.is_running(one) => world.start(one),
                3 if runs => {
                    world.call(one, Membership::leave);
                    world.run(ms(200));
                    world.kill(one);
                }
                4 if runs => {
                    world.pause(one);
                    paused.push(one);
                }
                5 => {
                    for name in paused.drain(..) {
                        world.resume(name);
                    }
                }
                6 if one != other => world.cut(one, other),
                7 => world.heal(),
                8 => world.loss = PerMille([0, 50, 200, 400][pick(4)]),
                _ => {}
            }
            world.run(ms(100 + u64::try_from(pick(4_000)).unwrap()));
        }
        world.heal();
        world.loss = PerMille(0);
        for name in paused {
            world.resume(name);
        }
        for name in FIVE {
            if !world.is_running(name) {
                world.start(name);
            }
        }
        let took = world.wait(secs(15), |world| world.converged(&FIVE));
        assert!(took.is_some(), "seed {seed}: {}", world.dump(&FIVE));
        world.run(secs(20));
        assert!(world.converged(&FIVE), "seed {seed}: {}", world.dump(&FIVE));
        assert!(!FIVE.iter().any(|name| world.is_silent(name)), "seed {seed}");
    }
}

#[test]
fn six_hundred_members_that_are_gone_are_told_to_a_new_one() {
    const GONE: usize = 600;
    let mut rng = Rng::from_seed([77; 32]);
    let mut home = Restored::default();
    let mut ids: Vec<MemberId> = Vec::new();
    for n in 0..GONE {
        let identity = Identity::generate(&mut rng);
        let run = Run { incarnation: 5, boot: 5 };
        let card = Card {
            room: super::world::ROOM,
            member: identity.id(),
            noise_key: identity.noise_key(),
            run,
            version: 1,
            nick: format!("m{n}"),
            addresses: Vec::new(),
        };
        let bytes = Signed::sign(card, &identity).bytes().to_vec();
        home.apply(&Record::Card { member: identity.id(), run, version: 1, bytes: bytes.into() });
        ids.push(identity.id());
    }
    let mut world = World::new(11);
    world.start("ana");
    world.run(ms(10));
    world.kill("ana");
    home.run = world.disk("ana").run;
    world.set_disk("ana", home);
    world.start("ana");
    world.start("bo");
    world.run(ms(100));
    world.join("bo", "ana");
    let took = world.wait(secs(40), |world| {
        let views = [world.machine("ana").view(), world.machine("bo").view()];
        views[0] == views[1] && world.disk("bo").members.len() == GONE + 1
    });
    assert!(took.is_some());
    world.run(secs(15));
    let gone = world.members("bo").into_iter().filter(|member| member.presence == Presence::Unreachable).count();
    assert_eq!(gone, GONE);
    assert_eq!(world.present("bo"), ["ana", "bo"].into());
    let since = Wall(1_700_000_000_000);
    assert!(world.members("bo").iter().all(|member| member.since > since && !member.evidence.is_empty()));
    assert!(ids.iter().all(|id| world.disk("bo").members.contains_key(id)));
}

#[test]
fn who_has_nobody_to_ask_for_does_not_look_for_somebody_at_each_heartbeat() {
    let mut world = World::with(12, &["ana", "bo", "cy"]);
    world.kill("cy");
    world.restart("ana");
    world.run(ms(1_500));
    let ana = world.machine("ana");
    assert!(ana.restored.contains(&world.id("cy")), "it is watched, so it need not be asked for");
    assert!(ana.asking.is_waiting(world.now));
}

#[test]
fn what_was_disputed_is_put_away_once_nothing_is_said_of_it() {
    let mut world = World::with(13, &["ana", "bo", "cy"]);
    world.cut_both("ana", "bo");
    let took = world.wait(secs(10), |world| ["ana", "cy"].iter().all(|name| !world.machine(name).disputed.is_empty()));
    assert!(took.is_some(), "ana and bo report each other, and cy contradicts both");
    world.heal();
    world.run(secs(30));
    for name in ["ana", "bo", "cy"] {
        assert!(world.machine(name).disputed.is_empty(), "{name}");
    }
}

#[test]
fn each_of_two_that_are_cut_off_together_knows_it() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        for name in FIVE {
            world.start(name);
        }
        // eve knows bo and cy by the word of others only.
        world.partition(&["eve"], &["bo", "cy"]);
        for name in &FIVE[1..] {
            world.join(name, "ana");
        }
        world.run(ms(6_000 + u64::from(seed) * 37));
        assert!(world.converged(&FIVE), "seed {seed}");
        assert!(!world.machine("eve").deaf(), "seed {seed}: half of its links are there");
        world.partition(&["dee", "eve"], &["ana", "bo", "cy"]);
        world.run(secs(20));
        for name in FIVE {
            let is_cut_off = ["dee", "eve"].contains(&name);
            assert_eq!(world.machine(name).deaf(), is_cut_off, "seed {seed}, {name}: {}", world.dump(&FIVE));
        }
    }
}

#[test]
fn a_goodbye_that_was_said_beyond_a_partition_is_known_after_it() {
    for seed in 0..6 {
        let mut world = World::with(seed, &FIVE);
        world.partition(&["cy"], &["ana", "bo", "dee", "eve"]);
        world.run(secs(10));
        world.call("bo", Membership::leave);
        world.run(secs(1));
        world.kill("bo");
        world.run(secs(20));
        assert_eq!(world.presence("cy", "bo"), Some(Presence::Unreachable), "seed {seed}");
        world.heal();
        let rest = ["ana", "cy", "dee", "eve"];
        let took = world.wait(secs(10), |world| world.all_see(&rest, "bo", Presence::Left) && world.converged(&rest));
        assert!(took.is_some(), "seed {seed}: {:?}", world.presence("cy", "bo"));
    }
}
