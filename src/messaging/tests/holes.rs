//! Holes beyond the bounds stay gaps.

use std::time::Duration;

use super::recovery::seq_of;
use super::world::{MS, World, kind_of};
use crate::base::Seq;
use crate::wire::MessagingFrame;

const SEC: Duration = Duration::from_secs(1);

fn gaps(world: &World) -> Vec<(Seq, Seq)> {
    world.machine("bo").gaps().map(|gap| (gap.first, gap.last)).collect()
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
