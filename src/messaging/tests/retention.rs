//! What becomes of deliveries when the text of their message is no longer kept for others: each ends, and says so.

use std::time::Duration;

use super::world::{MS, World};
use crate::base::limits::HELD_BACK_BYTES_MAX;
use crate::messaging::outbox::EventKind;
use crate::messaging::{Outcome, Record};
use crate::wire::{GroupMessage, MessagingFrame, Signed};

const SEC: Duration = Duration::from_secs(1);
/// More than is kept of texts of 16 kB: 8 MiB.
const SAID: u64 = 620;

fn say_much(world: &mut World) {
    for _ in 0..SAID {
        world.say("ana", &"x".repeat(16_000));
        world.run_for(MS * 50);
    }
    world.run_for(SEC * 10);
}

fn told(world: &World, outcome: Outcome) -> u64 {
    let events = world.node("ana").events.iter();
    let is_it = |event: &&EventKind| matches!(event, EventKind::Delivery(change) if change.outcome == outcome);
    u64::try_from(events.filter(is_it).count()).unwrap()
}

fn kept(world: &World) -> u64 {
    u64::try_from(world.machine("ana").log.size().0).unwrap()
}

#[test]
fn what_was_never_sent_expires_with_its_text_and_is_told_and_counted() {
    let mut world = World::new(61, &["ana", "bo", "cy"]);
    world.crash("bo");
    world.run_for(SEC * 10);
    say_much(&mut world);
    let gone = SAID - kept(&world);
    assert!(gone > 50, "{gone}");
    let outcomes = world.machine("ana").outcomes();
    assert_eq!((outcomes.expired, outcomes.waiting, outcomes.delivered), (gone, SAID - gone, SAID));
    assert_eq!(told(&world, Outcome::Expired), gone);
    world.check_folds();

    world.start("bo");
    world.run_for(SEC * 30);
    let outcomes = world.machine("ana").outcomes();
    // It knows nobody from before, and takes no more of what was said before it came.
    let taken = u64::try_from(world.messages("bo").len()).unwrap();
    assert_eq!((outcomes.expired, outcomes.waiting, outcomes.delivered), (gone, SAID - gone - taken, SAID + taken));
    world.check_folds();
}

#[test]
fn what_was_sent_stays_unknown_when_its_text_goes_and_what_stood_in_the_queue_expires() {
    let mut world = World::new(62, &["ana", "bo", "cy"]);
    world.drop_frames(|from, _, frame| from == "bo" && super::world::kind_of(frame) == "receipt");
    let mut said = 0;
    while said < SAID {
        match world.try_say("ana", &"x".repeat(16_000)) {
            Ok(_) => said += 1,
            Err(_) => world.run_for(MS * 500),
        }
    }
    // What is not receipted is tried one at a time.
    world.run_for(SEC * 3_600);
    assert!(kept(&world) < SAID);
    let outcomes = world.machine("ana").outcomes();
    assert!(outcomes.unknown > 0 && outcomes.expired > 0, "{outcomes:?}");
    let for_bo = outcomes.unknown + outcomes.expired + outcomes.waiting + outcomes.sending;
    assert_eq!((for_bo, outcomes.delivered), (SAID, SAID), "cy has all");
    for event in &world.node("ana").events {
        let EventKind::Delivery(change) = event else { continue };
        match change.outcome {
            Outcome::Unknown => assert!(change.attempts > 0, "{change:?}"),
            Outcome::Expired => assert_eq!(change.attempts, 0, "{change:?}"),
            Outcome::Waiting | Outcome::Sending | Outcome::Refused | Outcome::Delivered => {}
        }
    }
    world.check_folds();
}

/// A world in which the disk has refused to let the first go of what was said, and how much was said.
fn refused() -> (World, u64) {
    let mut world = World::new(63, &["ana", "bo"]);
    world.crash("bo");
    world.run_for(SEC * 10);
    let is_pruning = |world: &World| {
        let committing = world.node("ana").disk.committing.iter().flatten();
        committing.into_iter().any(|record| matches!(record, Record::GroupPruned { .. }))
    };
    let mut said = 0;
    while !is_pruning(&world) {
        said += u64::from(world.try_say("ana", &"x".repeat(16_000)).is_ok());
        for _ in 0..50 {
            if is_pruning(&world) {
                break;
            }
            world.run_for(Duration::from_micros(100));
        }
    }
    world.disk("ana").full = true;
    world.run_for(SEC);
    assert!(kept(&world) < said);
    let outcomes = world.machine("ana").outcomes();
    assert_eq!((outcomes.waiting, outcomes.expired, told(&world, Outcome::Expired)), (said, 0, 0));

    world.disk("ana").full = false;
    (world, said)
}

#[test]
fn what_the_full_disk_did_not_let_go_ends_with_what_goes_next() {
    let (mut world, mut said) = refused();
    for _ in 0..50 {
        said += u64::from(world.try_say("ana", &"x".repeat(16_000)).is_ok());
        world.run_for(MS * 50);
    }
    let gone = said - kept(&world);
    let outcomes = world.machine("ana").outcomes();
    assert_eq!((outcomes.expired, outcomes.waiting), (gone, said - gone));
    assert_eq!(told(&world, Outcome::Expired), gone);
    world.check_folds();
}

#[test]
fn what_the_full_disk_did_not_let_go_ends_though_nothing_more_is_said() {
    let (mut world, said) = refused();
    world.run_for(SEC * 700);
    let gone = said - kept(&world);
    let outcomes = world.machine("ana").outcomes();
    assert_eq!((outcomes.expired, outcomes.waiting), (gone, said - gone));
    assert_eq!(told(&world, Outcome::Expired), gone);
    world.check_folds();
}

#[test]
fn what_the_full_disk_did_not_let_go_waits_in_the_next_run() {
    let (mut world, said) = refused();
    world.crash("ana");
    world.start("ana");
    world.run_for(SEC);
    let gone = told(&world, Outcome::Expired);
    assert_eq!(world.machine("ana").outcomes().waiting, kept(&world));
    assert_eq!(gone + kept(&world), said, "its first prune lets them go again");
    world.check_folds();
}

#[test]
fn what_waits_to_be_told_is_told_though_its_text_was_let_go() {
    let mut world = World::new(64, &["ana", "bo"]);
    world.say("bo", "first");
    world.run_for(SEC);
    world.drop_frames(|_, _, frame| match frame {
        MessagingFrame::Group(bytes) => Signed::<GroupMessage>::open_trusted(bytes).unwrap().value().seq == 2,
        other => matches!(super::world::kind_of(other), "recovered" | "pull end"),
    });
    world.say("bo", "missed");
    let waits = world.say("bo", "it waits for the one before");
    world.run_for(MS * 100);
    assert!(!world.node("ana").shown.contains(&waits) && world.node("ana").committed.contains(&waits));
    let ana = world.index("ana");
    let gone = world.with(ana, |machine, _| machine.log.prune(crate::base::Lived(u64::MAX)));
    assert!(!gone.is_empty());
    world.run_for(SEC * 10);
    assert!(world.node("ana").shown.contains(&waits));
}

#[test]
fn what_waits_to_be_told_is_bounded_and_all_of_it_is_told() {
    let mut world = World::new(65, &["ana", "bo"]);
    world.link.delay = MS;
    world.say("bo", "first");
    world.run_for(SEC);
    world.drop_frames(|_, _, frame| match frame {
        MessagingFrame::Group(bytes) => Signed::<GroupMessage>::open_trusted(bytes).unwrap().value().seq == 2,
        other => matches!(super::world::kind_of(other), "recovered" | "pull end"),
    });
    world.say("bo", "missed");
    let (mut said, mut most, begun) = (2, 0, world.now);
    while said < SAID {
        match world.try_say("bo", &"x".repeat(16_000)) {
            Ok(_) => said += 1,
            Err(_) => world.run_for(MS),
        }
        most = most.max(world.machine("ana").log.held_back_bytes());
    }
    assert!(world.now.since(begun) < SEC * 3, "the first of them still waits for what is missing");
    assert!(most > HELD_BACK_BYTES_MAX / 2 && most <= HELD_BACK_BYTES_MAX, "{most}");
    world.run_for(SEC * 20);
    assert_eq!(world.machine("ana").log.held_back_bytes(), 0);
    assert_eq!(u64::try_from(world.messages("ana").len()).unwrap(), SAID - 1);
    assert_eq!(world.machine("ana").gaps().map(|gap| (gap.first, gap.last)).collect::<Vec<_>>(), [(2, 2)]);
}
