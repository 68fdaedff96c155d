//! What grows old does so by the time that its node has run, over all its runs, and by no wall clock.

use std::time::Duration;

use super::world::World;
use crate::base::limits::RETAINED_AGE_MAX;
use crate::messaging::Outcome;

const SEC: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
const TEN_YEARS_MS: i64 = 10 * 365 * 24 * 3_600 * 1_000;

fn restart(world: &mut World, name: &str) {
    world.crash_with(name, true);
    world.start(name);
}

/// What waits at ana, and what only she has, survives her clock: off by `first_ms` when she starts, and by `then_ms` later.
fn lives_through(first_ms: i64, then_ms: i64) {
    let mut world = World::new(91, &["ana", "bo", "cy"]);
    let ana = world.index("ana");
    world.crash("bo");
    world.run_for(SEC * 16);
    world.cut("ana", "cy");
    world.run_for(SEC * 6);
    let before = [world.tell("ana", "bo", "before"), world.say("ana", "only ana has this")];
    world.run_for(SEC);
    world.nodes[ana].clock_off_ms = first_ms;
    restart(&mut world, "ana");
    world.run_for(SEC * 1_500);
    let meanwhile = [world.tell("ana", "bo", "meanwhile"), world.say("ana", "and this")];
    world.run_for(SEC);
    world.nodes[ana].clock_off_ms = then_ms;
    world.run_for(SEC * 4_000);
    restart(&mut world, "ana");
    world.run_for(SEC * 4_000);
    let bo = world.id("bo");
    for told in [before[0], meanwhile[0]] {
        assert_eq!(world.machine("ana").message(told).unwrap().deliveries[&bo].outcome, Outcome::Waiting);
    }
    world.heal();
    world.start("bo");
    world.run_for(SEC * 30);
    for told in [before[0], meanwhile[0]] {
        assert_eq!(world.outcome("ana", told, "bo"), Outcome::Delivered);
    }
    for said in [before[1], meanwhile[1]] {
        assert!(world.node("bo").shown.contains(&said) && world.node("cy").shown.contains(&said));
    }
    world.check_folds();
}

#[test]
fn a_clock_that_is_ahead_and_set_right_ends_nothing() {
    lives_through(TEN_YEARS_MS, 0);
}

#[test]
fn a_clock_that_is_behind_and_set_right_ends_nothing() {
    lives_through(-TEN_YEARS_MS, 0);
}

#[test]
fn a_clock_that_is_wrong_for_long_ends_nothing() {
    lives_through(TEN_YEARS_MS, TEN_YEARS_MS);
}

#[test]
fn a_life_goes_on_where_the_run_before_ended() {
    let mut world = World::new(92, &["ana", "bo"]);
    world.crash("bo");
    world.run_for(SEC * 16);
    let waiting = world.tell("ana", "bo", "when you are back");
    for _ in 0..6 {
        world.run_for(DAY);
        // What it was switched off for does not count, and neither does what its clock says then.
        world.crash_with("ana", true);
        world.run_for(DAY * 3);
        world.start("ana");
    }
    world.run_for(DAY.saturating_sub(SEC * 3_600));
    let bo = world.id("bo");
    assert_eq!(world.machine("ana").message(waiting).unwrap().deliveries[&bo].outcome, Outcome::Waiting);
    world.run_for(SEC * 3 * 3_600 + SEC * 5);
    assert_eq!(world.outcome("ana", waiting, "bo"), Outcome::Expired);
    world.check_folds();
}

#[test]
fn what_is_older_than_is_kept_for_others_goes_by_time_lived() {
    let mut world = World::new(93, &["ana"]);
    world.say("ana", "to be given to others");
    world.run_for(RETAINED_AGE_MAX / 2);
    restart(&mut world, "ana");
    world.run_for((RETAINED_AGE_MAX / 2).saturating_sub(SEC * 60));
    assert_eq!(world.machine("ana").log.size().0, 1);
    world.run_for(SEC * 3_605);
    assert_eq!(world.machine("ana").log.size().0, 0);
    world.check_folds();
}
