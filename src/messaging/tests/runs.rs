//! Authors that restart more often than runs of theirs are tracked: nothing of them is lost in silence, and what waits for
//! its receiver is taken.

use std::time::Duration;

use super::world::{MS, World, kind_of};
use crate::base::limits::RUNS_PER_AUTHOR_MAX;
use crate::base::{MessageId, Run};
use crate::messaging::Outcome;
use crate::wire::MessagingFrame;

const SEC: Duration = Duration::from_secs(1);

/// Ana restarts so often that her runs from before are forgotten, and says something in each.
fn restart_often(world: &mut World, times: usize) -> Vec<(Run, MessageId)> {
    let mut said = Vec::new();
    for number in 0..times {
        world.crash_with("ana", true);
        world.start("ana");
        world.run_for(MS * 300);
        said.push((world.run_of("ana"), world.say("ana", &format!("run {number}"))));
        world.run_for(MS * 300);
    }
    said
}

#[test]
fn what_was_said_in_runs_that_are_forgotten_is_a_gap_to_who_was_away() {
    let mut world = World::new(94, &["ana", "bo", "cy", "dee"]);
    world.say("ana", "before");
    world.run_for(SEC);
    world.crash("dee");
    let said = restart_often(&mut world, RUNS_PER_AUTHOR_MAX + 4);
    world.start("dee");
    world.run_for(SEC * 60);
    let (forgotten, tracked) = said.split_at(4);
    let dee = world.node("dee");
    assert!(tracked.iter().all(|(_, id)| dee.shown.contains(id)), "what others still give is shown");
    assert!(!forgotten.iter().any(|(_, id)| dee.shown.contains(id)));
    // The newest of those that are missing is proven by the message that follows it.
    let gaps =
        |world: &World| -> Vec<_> { world.machine("dee").gaps().map(|gap| (gap.run, gap.first, gap.last)).collect() };
    assert_eq!(gaps(&world), [(forgotten[3].0, 1, 1)]);
    world.check_folds();
    world.crash_with("dee", true);
    world.start("dee");
    world.run_for(SEC * 20);
    assert_eq!(gaps(&world), [(forgotten[3].0, 1, 1)]);
}

#[test]
fn a_gap_stays_when_its_run_is_forgotten() {
    let mut world = World::new(95, &["ana", "bo", "cy"]);
    world.say("ana", "zero");
    world.run_for(SEC);
    let before = world.records("ana").len();
    let is_given = |frame: &MessagingFrame| matches!(kind_of(frame), "recovered" | "pull end");
    world.drop_frames(move |from, _, frame| from == "ana" && (is_given(frame) || kind_of(frame) == "group"));
    world.say("ana", "lost for good");
    world.run_for(SEC * 12);
    world.drop_frames(move |from, _, frame| from == "ana" && is_given(frame));
    world.say("ana", "and this came");
    world.run_for(SEC * 20);
    world.drop_nothing();
    let run = world.run_of("ana");
    world.crash_with("ana", true);
    world.roll_back("ana", before);
    world.run_for(SEC * 6);
    let gaps =
        |world: &World| -> Vec<_> { world.machine("bo").gaps().map(|gap| (gap.run, gap.first, gap.last)).collect() };
    assert_eq!(gaps(&world), [(run, 2, 2)]);
    world.start("ana");
    world.run_for(SEC * 20);
    restart_often(&mut world, RUNS_PER_AUTHOR_MAX + 2);
    assert!(world.machine("bo").log.run(world.id("ana"), run).is_none(), "it is tracked no more");
    assert_eq!(gaps(&world), [(run, 2, 2)]);
    world.crash_with("bo", true);
    world.start("bo");
    world.run_for(SEC * 5);
    assert_eq!(gaps(&world), [(run, 2, 2)]);
    world.check_folds();
}

#[test]
fn a_private_message_of_a_run_that_is_forgotten_in_the_room_is_taken() {
    let mut world = World::new(96, &["ana", "bo", "cy"]);
    world.crash("bo");
    world.run_for(SEC * 16);
    let waited = world.tell("ana", "bo", "for you when you are back");
    restart_often(&mut world, RUNS_PER_AUTHOR_MAX + 1);
    world.crash_with("ana", true);
    world.run_for(SEC * 6);
    world.start("bo");
    world.run_for(SEC * 20);
    assert_eq!(world.machine("bo").log.author(world.id("ana")).unwrap().runs.len(), RUNS_PER_AUTHOR_MAX);
    world.start("ana");
    world.run_for(SEC * 30);
    assert_eq!(world.outcome("ana", waited, "bo"), Outcome::Delivered);
    assert!(world.node("bo").shown.contains(&waited));
    world.check_folds();
}

#[test]
fn what_was_received_in_a_run_that_is_forgotten_in_the_room_is_known_again() {
    let mut world = World::new(97, &["ana", "bo", "cy"]);
    world.drop_frames(|_, _, frame| kind_of(frame) == "receipt");
    let told = world.tell("ana", "bo", "do you have this?");
    world.run_for(SEC);
    assert!(world.node("bo").shown.contains(&told));
    restart_often(&mut world, RUNS_PER_AUTHOR_MAX + 1);
    world.crash_with("bo", true);
    world.start("bo");
    world.drop_nothing();
    world.crash_with("ana", true);
    world.start("ana");
    world.run_for(SEC * 30);
    assert_eq!(world.outcome("ana", told, "bo"), Outcome::Delivered);
    world.check_folds();
}
