//! Holes beyond the bounds stay gaps.

use std::time::Duration;

use super::recovery::seq_of;
use super::world::{MS, World, kind_of, room};
use crate::base::{Run, Seq, Wall};
use crate::wire::{GroupMessage, MessagingFrame, Prev, Signed};

const SEC: Duration = Duration::from_secs(1);

/// `count` messages of one run of ana, each naming the one before it.
fn said_by_ana(world: &World, run: Run, count: Seq) -> Vec<MessagingFrame> {
    let ana = world.identity("ana");
    let mut prev = Prev::None;
    let message = |seq| {
        let (text, said_at) = (format!("{seq}"), Wall(1_700_000_000_000));
        let of_ana = GroupMessage { room: room(), author: ana.id(), run, seq, prev, lamport: seq, said_at, text };
        let signed = Signed::sign(of_ana, &ana);
        prev = Prev::Same(signed.id());
        MessagingFrame::Group(signed.bytes().to_vec())
    };
    (1..=count).map(message).collect()
}

fn gaps(world: &World) -> Vec<(Seq, Seq)> {
    world.machine("bo").gaps().map(|gap| (gap.first, gap.last)).collect()
}

/// Ana is gone, and of its last run bo hears 1, 7, later 4, and then `every` second one up to 599: more spans than a chain has.
fn hears_every_second(world: &mut World, between: Duration) -> Vec<(Seq, Seq)> {
    let run = world.run_of("ana");
    world.crash("ana");
    let said = said_by_ana(world, run, 600);
    let hear = |world: &mut World, seq: usize| world.inject("cy", "bo", said[seq - 1].clone());
    hear(world, 1);
    hear(world, 7);
    world.run_for(SEC * 10);
    assert_eq!(gaps(world), [(2, 6)]);
    hear(world, 4);
    world.run_for(SEC);
    assert_eq!(gaps(world), [(2, 3), (5, 6)]);
    for seq in (9..600).step_by(2) {
        hear(world, seq);
        world.run_for(between);
    }
    let of = world.machine("bo").log.run(world.id("ana"), run).expect("it is tracked");
    assert!(of.chain.floor() > 20 || between.is_zero(), "the chain has its bound");
    [(2, 3), (5, 6)].into_iter().chain((8..599).step_by(2).map(|seq| (seq, seq))).collect()
}

#[test]
fn a_hole_below_the_bound_of_a_chain_stays_a_gap() {
    let mut world = World::new(72, &["ana", "bo", "cy"]);
    world.has_liars = true;
    let holes = hears_every_second(&mut world, MS * 50);
    world.run_for(SEC * 20);
    assert_eq!(gaps(&world), holes);
    // What comes above the floor closes no gap below it.
    world.check_folds();
    world.crash("bo");
    world.start("bo");
    world.run_for(SEC * 20);
    assert_eq!(gaps(&world), holes);
    world.check_folds();
}

#[test]
fn a_hole_that_a_burst_pushed_below_the_bound_is_a_gap_whenever_the_node_dies() {
    // All is on the disk, and the node did not hear of it yet, or just has.
    for lives_on in [MS * 6, MS * 11] {
        let mut world = World::new(73, &["ana", "bo", "cy"]);
        world.has_liars = true;
        let run = world.run_of("ana");
        world.disk("bo").latency = MS * 5;
        let holes = hears_every_second(&mut world, Duration::ZERO);
        world.run_for(lives_on);
        world.crash_with("bo", true);
        world.start("bo");
        let of = world.machine("bo").log.run(world.id("ana"), run).expect("it is tracked");
        assert!(of.chain.floor() > 20, "the chain has its bound");
        world.run_for(SEC * 20);
        assert_eq!(gaps(&world), holes, "{lives_on:?}");
        world.check_folds();
    }
}

#[test]
fn a_hole_further_back_than_anybody_is_asked_is_told_after_a_crash() {
    let mut world = World::new(74, &["ana", "bo"]);
    let is_lost = |frame: &MessagingFrame| matches!(seq_of(frame), Some(3 | 4)) || kind_of(frame) == "pull end";
    world.drop_frames(move |from, _, frame| from == "ana" && is_lost(frame));
    for number in 1..=600 {
        world.say("ana", &format!("{number}"));
        world.run_for(MS);
    }
    world.run_for(MS * 1_500);
    assert!(!world.screen("bo").iter().any(|line| line.starts_with("gap")), "it is not told yet");
    let of = world.machine("bo").log.run(world.id("ana"), world.run_of("ana")).expect("it is tracked");
    assert!(of.chain.head().is_some_and(|(head, _)| head > 510), "{:?}", of.chain.head());
    world.crash("ana");
    world.crash("bo");
    world.start("bo");
    world.run_for(SEC);
    assert_eq!(gaps(&world), [(3, 4)]);
    assert_eq!(world.screen("bo").last().map(String::as_str), Some("gap ana#3-4"));
    world.run_for(SEC * 20);
    world.check_folds();
}
