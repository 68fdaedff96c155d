//! What comes after it was given up: receipts past a message's life, messages that a later run names, and what a disk that was
//! full refused meanwhile. Each is told as it is, and none is forgotten.

use std::time::Duration;

use super::world::{MS, World, kind_of};
use crate::base::{MessageId, Run, Seq};
use crate::messaging::outbox::EventKind;
use crate::messaging::{Outcome, Record};
use crate::wire::{GroupMessage, MessagingFrame, Signed};

const SEC: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// Ana says something for bo, who is dead by then, and lives on until that is past its life.
fn with_one_expired(seed: u64) -> (World, MessageId) {
    let mut world = World::new(seed, &["ana", "bo"]);
    world.say("ana", "first");
    world.run_for(SEC);
    world.crash_with("bo", true);
    world.run_for(SEC * 16);
    let id = world.say("ana", "is anybody there?");
    world.run_for(DAY * 7 + SEC * 1_300);
    assert_eq!((world.outcome("ana", id, "bo"), world.attempts("ana", id, "bo")), (Outcome::Expired, 0));
    (world, id)
}

/// The place of a message in its author's stream, of a frame that carries it to be shown.
fn carries(frame: &MessagingFrame) -> Option<(Run, Seq)> {
    let (MessagingFrame::Group(bytes) | MessagingFrame::Recovered(bytes)) = frame else { return None };
    let signed = Signed::<GroupMessage>::open_trusted(bytes).ok()?;
    Some((signed.value().run, signed.value().seq))
}

fn gaps_told(world: &World, name: &str) -> Vec<(Run, Seq, Seq)> {
    let gap = |event: &EventKind| match event {
        EventKind::Gap(gap) => Some((gap.run, gap.first, gap.last)),
        _ => None,
    };
    world.node(name).events.iter().filter_map(gap).collect()
}

fn restart(world: &mut World, name: &str) {
    world.crash_with(name, true);
    world.start(name);
}

#[test]
fn what_expired_and_is_fetched_after_all_counts_as_sent() {
    let (mut world, id) = with_one_expired(301);
    world.drop_frames(|from, _, frame| from == "bo" && kind_of(frame) == "receipt");
    world.start("bo");
    world.run_for(SEC * 30);
    assert!(world.node("bo").shown.contains(&id));
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Expired);
    assert!(world.attempts("ana", id, "bo") > 0, "it left, though no receipt came");
    restart(&mut world, "ana");
    assert!(world.attempts("ana", id, "bo") > 0, "and that is known across restarts");
    world.drop_nothing();
    world.run_for(SEC * 60);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    world.check_folds();
}

#[test]
fn a_receipt_settles_what_is_past_its_life() {
    let mut world = World::new(302, &["ana", "bo", "cy"]);
    world.say("ana", "first");
    world.run_for(SEC);
    // Bo dies before it has the one, and is away when the other is said.
    world.drop_frames(|_, to, frame| to == "bo" && carries(frame).is_some());
    let unknown = world.say("ana", "who has this?");
    world.run_for(SEC);
    world.crash_with("bo", true);
    world.run_for(SEC * 16);
    let expired = world.say("ana", "and this?");
    world.run_for(DAY * 7 + SEC * 1_300);
    assert_eq!(world.outcome("ana", unknown, "bo"), Outcome::Unknown);
    assert_eq!(world.outcome("ana", expired, "bo"), Outcome::Expired);
    // It has them from cy alone.
    world.drop_frames(|from, to, frame| (from, to) == ("ana", "bo") && carries(frame).is_some());
    world.start("bo");
    world.run_for(SEC * 60);
    for id in [unknown, expired] {
        assert!(world.node("bo").shown.contains(&id));
        assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    }
    world.check_folds();
}

#[test]
fn a_receipt_that_the_full_disk_refused_is_asked_for_once_there_is_room() {
    let mut world = World::new(303, &["ana", "bo", "cy"]);
    world.say("ana", "first");
    world.run_for(SEC);
    world.crash_with("bo", true);
    world.run_for(SEC * 16);
    let id = world.say("ana", "is anybody there?");
    world.run_for(SEC);
    world.disk("ana").full = true;
    world.start("bo");
    world.run_for(SEC * 1_200);
    assert!(world.node("bo").shown.contains(&id), "cy gave it");
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Waiting);
    world.disk("ana").full = false;
    world.run_for(SEC * 900);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    world.check_folds();
}

#[test]
fn who_refused_for_a_full_disk_and_fetched_it_later_is_asked_for_its_receipt() {
    let mut world = World::new(304, &["ana", "bo", "cy"]);
    world.disk("cy").full = true;
    let id = world.say("ana", "who has this?");
    world.run_for(SEC * 2);
    assert_eq!(world.outcome("ana", id, "cy"), Outcome::Refused);
    world.drop_frames(|from, to, frame| (from, to) == ("cy", "ana") && kind_of(frame) == "receipt");
    world.disk("cy").full = false;
    while !world.node("cy").shown.contains(&id) {
        world.run_for(SEC);
    }
    world.run_for(SEC);
    world.drop_nothing();
    world.run_for(SEC * 120);
    assert_eq!(world.outcome("ana", id, "cy"), Outcome::Delivered);
    world.check_folds();
}

/// Bo says `two` that nobody ever gets, and names it in its next run.
fn with_a_lost_tail(seed: u64) -> (World, Run) {
    let mut world = World::new(seed, &["ana", "bo", "cy"]);
    world.say("bo", "one");
    world.run_for(SEC);
    let lost = world.run_of("bo");
    world.drop_frames(move |_, _, frame| carries(frame) == Some((lost, 2)));
    world.say("bo", "two, which nobody hears");
    world.run_for(SEC);
    restart(&mut world, "bo");
    world.run_for(SEC * 2);
    (world, lost)
}

#[test]
fn the_lost_tail_of_an_earlier_run_is_a_gap_though_the_process_ends_before_it_is_told() {
    let (mut world, lost) = with_a_lost_tail(305);
    world.say("bo", "first of the next run");
    world.run_for(MS * 500);
    assert_eq!(gaps_told(&world, "ana"), [], "it waits");
    restart(&mut world, "ana");
    world.run_for(SEC * 60);
    for name in ["ana", "cy"] {
        assert_eq!(gaps_told(&world, name), [(lost, 2, 2)], "{name}");
    }
    let asked = world.frames["pull"];
    world.run_for(SEC * 1_300);
    assert!(world.frames["pull"] > asked, "and it is asked for again");
    world.check_folds();
}

#[test]
fn the_lost_tail_of_an_earlier_run_is_a_gap_though_what_names_it_comes_late() {
    let (mut world, lost) = with_a_lost_tail(306);
    let run = world.run_of("bo");
    world.drop_frames(move |_, _, frame| carries(frame).is_some_and(|place| place == (lost, 2) || place == (run, 1)));
    world.say("bo", "first of the next run");
    world.say("bo", "and second");
    world.run_for(SEC * 30);
    assert_eq!(gaps_told(&world, "ana"), [(run, 1, 1)]);
    world.drop_frames(move |_, _, frame| carries(frame) == Some((lost, 2)));
    world.run_for(SEC * 1_300);
    assert_eq!(world.messages("ana").len(), 3);
    assert_eq!(gaps_told(&world, "ana"), [(run, 1, 1), (lost, 2, 2)]);
    world.check_folds();
}

#[test]
fn a_gap_that_was_filled_is_closed_though_the_disk_did_not_hear_so() {
    let mut world = World::new(307, &["ana", "bo"]);
    let run = world.run_of("bo");
    world.drop_frames(move |_, _, frame| carries(frame) == Some((run, 1)));
    world.say("bo", "one");
    world.say("bo", "two");
    world.run_for(SEC * 30);
    assert_eq!(gaps_told(&world, "ana"), [(run, 1, 1)]);
    world.drop_nothing();
    world.run_for(SEC * 1_300);
    assert_eq!(world.messages("ana").len(), 2);
    world.crash_with("ana", true);
    world.disk("ana").durable.retain(|record| !matches!(record, Record::GapClosed { .. }));
    world.start("ana");
    world.run_for(SEC);
    assert!(world.machine("ana").gaps.is_empty());
    world.check_folds();
}

#[test]
fn where_a_run_begins_for_a_newcomer_is_on_the_disk_before_anything_of_it_shows() {
    let mut world = World::new(308, &["ana", "bo", "eve"]);
    world.crash_with("eve", true);
    for number in 0..40 {
        world.say("ana", &format!("old {number}"));
        world.run_for(MS * 20);
    }
    world.run_for(DAY + SEC * 60);
    for number in 0..6 {
        world.say("ana", &format!("new {number}"));
        world.run_for(MS * 20);
    }
    let empty = world.node("eve").disk.durable.clone();
    for full_for in 1..40 {
        world.disk("eve").durable.clone_from(&empty);
        world.disk("eve").latency = MS * 20;
        world.start("eve");
        world.run_for(MS * 50);
        world.disk("eve").full = true;
        world.run_for(MS * 5 * full_for);
        world.disk("eve").full = false;
        // It ends as soon as anything shows.
        let shown = world.messages("eve").len();
        while world.messages("eve").len() == shown {
            world.run_for(MS);
        }
        restart(&mut world, "eve");
        world.run_for(SEC * 20);
        assert_eq!(gaps_told(&world, "eve"), [], "full for {full_for} times 5 ms");
        world.crash_with("eve", true);
        let eve = world.index("eve");
        world.nodes[eve].shown.clear();
        world.nodes[eve].committed.clear();
        world.nodes[eve].last_shown.clear();
        world.run_for(SEC * 10);
    }
}

#[test]
fn a_clock_that_was_set_right_makes_nothing_too_old_for_a_newcomer() {
    let mut world = World::new(309, &["ana", "bo"]);
    world.crash_with("bo", true);
    let ana = world.index("ana");
    world.nodes[ana].clock_off_ms = -10 * 365 * 24 * 3_600 * 1_000;
    for number in 0..40 {
        world.say("ana", &number.to_string());
        world.run_for(MS * 20);
    }
    world.nodes[ana].clock_off_ms = 0;
    world.run_for(SEC * 60);
    world.start("bo");
    world.run_for(SEC * 20);
    assert_eq!(world.messages("bo").len(), 40);
    world.check_folds();
}

#[test]
fn what_an_earlier_run_called_expired_is_not_open_after_a_restart() {
    let (mut world, _) = with_one_expired(310);
    let run = world.run_of("ana");
    restart(&mut world, "ana");
    let bo = world.id("bo");
    let machine = world.machine("ana");
    assert!(machine.peers.get(&bo).is_none_or(|peer| peer.group.is_empty()), "nobody is asked about it");
    assert_eq!(machine.book.lapsed_within(bo, run, (1, 9)).count(), 1, "a receipt settles it all the same");
}

#[test]
fn a_hole_for_which_nothing_waits_is_a_gap_though_something_waits_for_another() {
    let mut world = World::new(311, &["ana", "bo", "cy"]);
    world.say("bo", "one");
    world.run_for(SEC);
    let lost = world.run_of("bo");
    world.drop_frames(move |_, to, frame| match carries(frame) {
        Some(place) if place == (lost, 2) || place == (lost, 4) => true,
        Some(place) => to == "ana" && (place == (lost, 3) || place.1 == 1),
        None => false,
    });
    for text in ["two, which nobody hears", "three", "four, which nobody hears"] {
        world.say("bo", text);
    }
    world.run_for(SEC * 5);
    restart(&mut world, "bo");
    world.run_for(SEC * 2);
    world.say("bo", "first of the next run");
    world.say("bo", "and second");
    world.run_for(SEC * 30);
    let run = world.run_of("bo");
    world.crash_with("bo", true);
    world.run_for(SEC * 16);
    assert!(!gaps_told(&world, "ana").contains(&(lost, 4, 4)), "nothing names it yet");
    world.drop_frames(move |_, _, frame| carries(frame).is_some_and(|place| place == (lost, 2) || place == (lost, 4)));
    restart(&mut world, "cy");
    world.run_for(SEC * 60);
    assert_eq!(world.messages("ana").len(), 4, "{:?}", world.screen("ana"));
    let told = gaps_told(&world, "ana");
    assert!([(lost, 2, 2), (lost, 4, 4)].iter().all(|gap| told.contains(gap)), "of {run}: {told:?}");
    world.check_folds();
}
