//! A member whose radio is bad: it loses most of what it sends and of what is sent to it, and knows it.

use super::world::{World, secs};
use crate::base::{PerMille, Presence};

const SIX: [&str; 6] = ["ana", "bo", "cy", "dee", "eve", "fay"];

/// A room in which bo has lost four datagrams of five each way for so long that all know it.
fn with_a_bad_radio(seed: u8, names: &[&'static str]) -> World {
    let mut world = World::with(seed, names);
    world.run(secs(10));
    world.lose("bo", PerMille(800));
    world.run(secs(30));
    world.forget_events();
    world
}

#[test]
fn a_member_with_a_bad_radio_calls_nobody_gone_and_is_not_called_gone() {
    for seed in 0..12 {
        let mut world = with_a_bad_radio(seed, &SIX);
        let says_why = world.wait(secs(100), |world| {
            let is_why = |detail: &str| detail.contains("may be what is lost on the way here");
            world.members("bo").iter().any(|member| member.evidence.iter().any(|item| is_why(&item.words())))
        });
        assert!(says_why.is_some(), "seed {seed}");
        world.run(secs(100));
        assert_eq!(world.called_gone(), [], "seed {seed}");
    }
}

#[test]
fn in_a_room_of_two_a_bad_radio_makes_neither_call_the_other_gone() {
    for seed in 0..12 {
        let mut world = with_a_bad_radio(seed, &["ana", "bo"]);
        world.run(secs(100));
        assert_eq!(world.called_gone(), [], "seed {seed}");
    }
}

#[test]
fn who_dies_is_known_at_a_bad_radio_too_since_the_others_say_so() {
    for seed in 0..12 {
        let mut world = with_a_bad_radio(seed, &SIX);
        world.kill("cy");
        let well = ["ana", "dee", "eve", "fay"];
        let took = world.wait(secs(4), |world| world.all_see(&well, "cy", Presence::Unreachable));
        assert!(took.is_some(), "seed {seed}");
        let took = world.wait(secs(4), |world| world.presence("bo", "cy") == Some(Presence::Unreachable));
        assert!(took.is_some(), "seed {seed}: not known at bo within 4 s more");
    }
}

#[test]
fn a_bad_radio_that_falls_silent_is_gone_in_the_end() {
    // Of two there is one voice only, which has to be sure by itself.
    for (names, limit) in [(&SIX[..], secs(30)), (&SIX[..2], secs(66))] {
        for seed in 0..12 {
            let mut world = with_a_bad_radio(seed, names);
            world.kill("bo");
            let others: Vec<_> = names.iter().copied().filter(|name| *name != "bo").collect();
            let took = world.wait(limit, |world| world.all_see(&others, "bo", Presence::Unreachable));
            assert!(took.is_some(), "seed {seed}, of {}", names.len());
        }
    }
}
