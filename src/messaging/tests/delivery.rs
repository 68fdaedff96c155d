//! What the delivery engine promises of pace: when something is sent again, how much at once, and what goes first.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::world::{MS, World, kind_of};
use crate::base::{MessageId, PerMille};
use crate::messaging::Outcome;
use crate::wire::MessagingFrame;

const SEC: Duration = Duration::from_secs(1);

#[test]
fn an_unknown_message_goes_again_every_minute_while_its_receiver_is_heard() {
    let mut world = World::new(61, &["ana", "bo"]);
    world.drop_frames(|_, _, frame| kind_of(frame) == "receipt");
    let id = world.tell("ana", "bo", "did you get this?");
    world.run_for(SEC * 12);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Unknown);
    let attempts = world.attempts("ana", id, "bo");
    world.drop_nothing();
    world.run_for(SEC * 40);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Unknown, "bo has no cause to receipt it again");
    assert_eq!(world.attempts("ana", id, "bo"), attempts);
    world.run_for(SEC * 21);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    assert_eq!(world.attempts("ana", id, "bo"), attempts + 1);
    assert_eq!(world.screen("bo"), ["ana: did you get this?"]);
}

#[test]
fn tries_of_an_earlier_run_that_are_not_counted_are_said_to_be_missing() {
    let mut world = World::new(67, &["ana", "bo", "cy"]);
    world.drop_frames(|_, _, frame| kind_of(frame) == "receipt");
    let sent = [world.tell("ana", "bo", "for you"), world.say("ana", "for all")];
    world.run_for(SEC * 3);
    world.crash("bo");
    world.crash("cy");
    world.run_for(SEC * 4);
    let waits = world.say("ana", "for who comes back");
    world.run_for(MS * 100);
    let is_missing = |world: &World, id| {
        let known = world.machine("ana").message(id).unwrap();
        known.deliveries[&world.id("bo")].tries_may_be_missing
    };
    assert!(sent.iter().all(|&id| world.attempts("ana", id, "bo") > 1 && !is_missing(&world, id)));
    assert_eq!(world.outcome("ana", waits, "bo"), Outcome::Waiting);
    world.crash("ana");
    world.start("ana");
    world.run_for(MS * 100);
    assert!(sent.iter().all(|&id| world.attempts("ana", id, "bo") == 0 && is_missing(&world, id)));
    assert!(!is_missing(&world, waits), "it was never sent");
    world.drop_nothing();
    world.start("bo");
    world.run_for(SEC * 90);
    for id in sent {
        assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
        assert!(is_missing(&world, id), "the receipt does not count them");
    }
    world.crash("ana");
    world.start("ana");
    assert!(is_missing(&world, sent[1]), "nor does another restart");
}

/// Messages of which no datagram can have left, because the window was full: the last of many.
fn with_a_full_window(seed: u64) -> (World, Vec<MessageId>, MessageId) {
    let mut world = World::new(seed, &["ana", "bo"]);
    world.link.delay = MS * 200;
    world.run_for(SEC * 2);
    let said: Vec<_> = (0..200).map(|_| world.say("ana", &"x".repeat(400))).collect();
    let told = world.tell("ana", "bo", "one more");
    world.run_for(MS * 50);
    (world, said, told)
}

/// What never left waits, what left is unknown; gives how many wait.
fn count_waiting(world: &World, sent: &[MessageId]) -> u64 {
    let mut waiting = 0;
    for &id in sent {
        match (world.attempts("ana", id, "bo"), world.outcome("ana", id, "bo")) {
            (0, Outcome::Waiting) => waiting += 1,
            (1.., Outcome::Unknown) => {}
            (attempts, outcome) => panic!("{outcome:?} after {attempts} tries"),
        }
    }
    assert_eq!(world.machine("ana").outcomes().waiting, waiting);
    waiting
}

#[test]
fn what_never_left_waits_when_its_receiver_leaves_or_goes_silent() {
    for leaves in [true, false] {
        let (mut world, said, told) = with_a_full_window(68);
        if leaves {
            world.leave("bo");
        } else {
            world.crash_with("bo", true);
        }
        world.run_for(SEC * 20);
        let sent: Vec<_> = said.iter().copied().chain([told]).collect();
        let waiting = count_waiting(&world, &sent);
        assert!((50..200).contains(&waiting), "{waiting} wait");
        assert_eq!(world.outcome("ana", told, "bo"), Outcome::Waiting);
        world.check_folds();
        world.crash("ana");
        world.start("ana");
        world.run_for(SEC);
        assert_eq!(world.outcome("ana", told, "bo"), Outcome::Waiting, "also after a restart");
        world.start("bo");
        world.run_for(SEC * 90);
        for id in sent {
            assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
        }
        assert_eq!(world.screen("bo").len(), 201);
    }
}

#[test]
fn what_never_left_is_tried_on_where_the_disk_refuses_that_it_waits() {
    let (mut world, said, told) = with_a_full_window(69);
    world.disk("ana").full = true;
    world.crash_with("bo", true);
    world.run_for(SEC * 20);
    assert_eq!(world.outcome("ana", told, "bo"), Outcome::Sending, "as the disk has it");
    world.disk("ana").full = false;
    world.run_for(SEC * 20);
    assert_eq!(world.outcome("ana", told, "bo"), Outcome::Waiting);
    world.start("bo");
    world.run_for(SEC * 90);
    assert!(said.iter().all(|&id| world.outcome("ana", id, "bo") == Outcome::Delivered));
    assert_eq!(world.outcome("ana", told, "bo"), Outcome::Delivered);
}

#[test]
fn what_waits_again_is_stored_as_sent_before_a_pull_that_waited_gets_it() {
    let mut world = World::new(70, &["ana", "bo"]);
    world.cut("ana", "bo");
    world.run_for(SEC * 6);
    let missed = world.say("ana", "missed");
    world.run_for(SEC);
    // The chat is not receipted, so that what is pulled waits behind some windows of it, which last 10 s each.
    world.drop_frames(|_, _, frame| !matches!(kind_of(frame), "pull" | "recovered"));
    world.heal();
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", missed, "bo"), Outcome::Waiting);
    for _ in 0..200 {
        world.say("ana", &"x".repeat(400));
    }
    let (author, run) = (world.id("ana"), world.run_of("ana"));
    world.inject("bo", "ana", MessagingFrame::Pull { author, run, first: 1, last: 1 });
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", missed, "bo"), Outcome::Sending, "so says the disk before it is given");
    world.run_for(SEC * 10);
    assert_eq!((world.attempts("ana", missed, "bo"), world.outcome("ana", missed, "bo")), (0, Outcome::Waiting));
    while world.attempts("ana", missed, "bo") == 0 {
        world.run_for(SEC);
    }
    assert_eq!(world.outcome("ana", missed, "bo"), Outcome::Sending);
    world.run_for(SEC);
    assert_eq!(world.screen("bo"), ["ana: missed"]);
    world.drop_nothing();
    world.run_for(SEC * 90);
    assert_eq!(world.outcome("ana", missed, "bo"), Outcome::Delivered);
}

#[test]
fn on_a_new_session_both_sides_receipt_again() {
    let mut world = World::new(62, &["ana", "bo"]);
    world.drop_frames(|_, _, frame| kind_of(frame) == "receipt");
    let private = world.tell("ana", "bo", "for you");
    let group = world.say("bo", "for all");
    world.run_for(SEC * 12);
    assert_eq!(world.outcome("ana", private, "bo"), Outcome::Unknown);
    assert_eq!(world.outcome("bo", group, "ana"), Outcome::Unknown);
    // Neither message goes again: what settles it is what its receiver sends by itself.
    world.drop_frames(|_, _, frame| matches!(kind_of(frame), "private" | "group" | "recovered"));
    world.crash_with("bo", true);
    world.start("bo");
    world.run_for(SEC * 2);
    assert_eq!(world.outcome("ana", private, "bo"), Outcome::Delivered);
    assert_eq!(world.outcome("bo", group, "ana"), Outcome::Delivered);
}

#[test]
fn a_burst_is_spread_over_the_round_trip() {
    let mut world = World::new(63, &["ana", "bo"]);
    world.link.delay = MS * 100;
    world.run_for(SEC * 3);
    for _ in 0..100 {
        world.tell("ana", "bo", &"x".repeat(1000));
    }
    world.run_for(MS * 10);
    let at_once = world.frames["private"];
    assert!((10..=16).contains(&at_once), "{at_once} of a thousand bytes each");
    world.run_for(MS * 180);
    let of_a_window = world.frames["private"];
    assert!((24..=32).contains(&of_a_window), "{of_a_window} before the first receipt");
    world.run_for(SEC * 5);
    assert_eq!(world.screen("bo").len(), 100);
    assert_eq!(world.machine("ana").counters().retries, 0);
}

#[test]
fn chat_goes_ahead_of_what_is_fetched() {
    let mut world = World::new(64, &["ana", "bo"]);
    world.link.delay = MS * 20;
    world.cut("ana", "bo");
    world.run_for(SEC * 6);
    for _ in 0..400 {
        world.say("ana", &"x".repeat(4000));
        world.run_for(MS * 5);
    }
    world.heal();
    while world.frames.get("recovered").is_none_or(|&given| given < 20) {
        world.run_for(MS * 10);
    }
    let sent = Rc::new(RefCell::new(Vec::new()));
    let kinds = Rc::clone(&sent);
    world.drop_frames(move |from, _, frame| {
        kinds.borrow_mut().extend((from == "ana").then(|| kind_of(frame)));
        false
    });
    for _ in 0..100 {
        world.tell("ana", "bo", &"x".repeat(1000));
    }
    world.run_for(SEC * 10);
    let sent = sent.borrow();
    let first = sent.iter().position(|&kind| kind == "private").expect("chat");
    let last = sent.iter().rposition(|&kind| kind == "private").expect("chat");
    assert!(last - first >= 99);
    assert!(!sent[first..last].contains(&"recovered"), "given before the last of the chat");
    assert!(sent[last..].contains(&"recovered"), "and after it");
    assert_eq!(world.messages("bo").len(), 500);
}

#[test]
fn copies_of_one_message_are_answered_by_two_receipts() {
    let mut world = World::new(65, &["ana", "bo"]);
    world.run_for(SEC * 2);
    let before = world.frames.get("receipt").copied().unwrap_or(0);
    let sent = Rc::new(RefCell::new(None));
    let kept = Rc::clone(&sent);
    world.drop_frames(move |_, _, frame| {
        if kind_of(frame) == "private" {
            *kept.borrow_mut() = Some(frame.clone());
        }
        false
    });
    world.tell("ana", "bo", "once");
    world.run_for(MS * 14);
    assert_eq!(world.frames["receipt"] - before, 1, "bo has committed it");
    let frame = sent.borrow().clone().expect("it was sent");
    for _ in 0..3 {
        world.inject("ana", "bo", frame.clone());
        world.run_for(MS * 3);
    }
    world.run_for(SEC);
    assert_eq!(world.frames["receipt"] - before, 2, "one for all copies");
    assert_eq!(world.screen("bo"), ["ana: once"]);
}

#[test]
fn what_expired_and_is_fetched_after_all_is_delivered() {
    let mut world = World::new(71, &["ana", "bo"]);
    world.say("ana", "before");
    world.run_for(SEC);
    world.crash_with("bo", true);
    world.run_for(SEC * 6);
    let id = world.say("ana", "is anybody there?");
    world.run_for(SEC * 60 * 60 * 24 * 8);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Expired);
    world.start("bo");
    world.run_for(SEC * 5);
    assert_eq!(world.screen("bo"), ["ana: before", "ana: is anybody there?"]);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
}

#[test]
fn copies_that_come_before_the_commit_are_counted_for_their_message() {
    let mut world = World::new(92, &["ana", "bo"]);
    world.link.duplicate = PerMille(1000);
    world.disk("bo").latency = MS * 300;
    let ids = [world.say("ana", "to all"), world.tell("ana", "bo", "to you")];
    world.run_for(SEC * 2);
    let counted = world.machine("bo").counters().duplicates;
    let copies = ids.map(|id| world.machine("bo").message(id).expect("it is kept").source.expect("it came").duplicates);
    assert!(copies.iter().all(|&copies| copies > 0), "{copies:?}");
    assert_eq!(copies.iter().sum::<u64>(), counted, "each copy is one of some message");
    assert!(world.machine("bo").early_copies.is_empty());
}

#[test]
fn a_receipt_that_an_earlier_run_took_says_so() {
    let mut world = World::new(93, &["ana", "bo"]);
    let id = world.say("ana", "hello");
    world.run_for(SEC);
    let receipt = |world: &World| {
        let known = world.machine("ana").message(id).expect("it is known");
        known.deliveries[&world.id("bo")].receipt.clone().expect("it is kept")
    };
    assert!(!receipt(&world).is_restored);
    world.run_for(SEC * 300);
    world.say("ana", "much later");
    world.run_for(SEC);
    let latency = world.machine("ana").message(id).unwrap().deliveries[&world.id("bo")].latency_us;
    world.crash("ana");
    world.start("ana");
    let delivery = world.machine("ana").message(id).unwrap().deliveries[&world.id("bo")].clone();
    assert_eq!(delivery.latency_us, latency, "that of the first receipt");
    assert!(receipt(&world).is_restored, "it is the one for what was said much later");
}
