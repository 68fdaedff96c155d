//! One story for each promise.

use std::time::Duration;

use super::world::{MS, World, kind_of, room};
use crate::base::{Presence, Run};
use crate::messaging::{Alarm, EventKind, Outcome, Refused};
use crate::wire::{GroupMessage, Held, HeldRange, MessagingFrame, Prev, Receipt, RefusedReason, Signed};

const SEC: Duration = Duration::from_secs(1);

#[test]
fn a_group_message_is_shown_by_all_and_receipted_by_each() {
    let mut world = World::new(1, &["ana", "bo", "cy"]);
    let id = world.say("ana", "hello");
    world.run_for(MS * 200);
    for name in ["ana", "bo", "cy"] {
        assert_eq!(world.screen(name), ["ana: hello"]);
    }
    for to in ["bo", "cy"] {
        assert_eq!(world.outcome("ana", id, to), Outcome::Delivered);
        assert_eq!(world.attempts("ana", id, to), 1);
    }
    let known = world.machine("ana").message(id).unwrap();
    let latency = known.deliveries[&world.id("bo")].latency_us.unwrap();
    assert!((20_000..25_000).contains(&latency), "{latency}");
    world.check_folds();
}

#[test]
fn a_private_message_reaches_its_receiver_only() {
    let mut world = World::new(2, &["ana", "bo", "cy"]);
    let id = world.tell("ana", "bo", "psst");
    world.run_for(MS * 200);
    assert_eq!(world.screen("bo"), ["ana: psst"]);
    assert_eq!(world.screen("cy"), Vec::<String>::new());
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    assert_eq!(world.frames["private"], 1);
    assert_eq!(world.frames["receipt"], 1);
    world.check_folds();
}

#[test]
fn a_lost_receipt_does_not_show_the_message_twice() {
    let mut world = World::new(3, &["ana", "bo"]);
    let mut lost = 0;
    world.drop_frames(move |_, _, frame| {
        let drop = kind_of(frame) == "receipt" && lost < 1;
        lost += u32::from(drop);
        drop
    });
    let id = world.tell("ana", "bo", "hello");
    world.run_for(SEC);
    assert_eq!(world.screen("bo"), ["ana: hello"]);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    assert_eq!(world.attempts("ana", id, "bo"), 2);
    assert!(world.machine("bo").counters().duplicates > 0);
}

#[test]
fn nothing_leaves_before_it_is_on_disk_here() {
    let mut world = World::new(4, &["ana", "bo"]);
    world.disk("ana").latency = MS * 500;
    world.tell("ana", "bo", "hello");
    world.say("ana", "all");
    world.run_for(MS * 400);
    assert!(!world.frames.contains_key("private") && !world.frames.contains_key("group"));
    assert_eq!(world.screen("ana"), Vec::<String>::new());
    world.run_for(SEC * 2);
    assert_eq!(world.screen("bo"), ["ana: hello", "ana: all"]);
}

#[test]
fn what_is_not_on_disk_yet_is_not_receipted_to_a_retry() {
    let mut world = World::new(5, &["ana", "bo"]);
    world.disk("bo").latency = SEC;
    let id = world.tell("ana", "bo", "hello");
    world.run_for(MS * 900);
    assert!(world.frames["private"] > 1, "it was tried again");
    assert!(!world.frames.contains_key("receipt"));
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    assert_eq!(world.screen("bo"), ["ana: hello"]);
}

#[test]
fn a_receiver_that_dies_before_its_commit_is_not_called_delivered() {
    let mut world = World::new(6, &["ana", "bo"]);
    world.disk("bo").latency = MS * 100;
    let id = world.tell("ana", "bo", "hello");
    world.run_for(MS * 50);
    world.crash_with("bo", false);
    world.run_for(SEC * 15);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Unknown);
    world.start("bo");
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    assert_eq!(world.screen("bo"), ["ana: hello"]);
    world.check_folds();
}

#[test]
fn a_receiver_that_dies_between_commit_and_receipt_shows_nothing_twice() {
    let mut world = World::new(7, &["ana", "bo"]);
    world.drop_frames(|_, _, frame| kind_of(frame) == "receipt");
    let id = world.tell("ana", "bo", "hello");
    world.run_for(MS * 50);
    assert_eq!(world.screen("bo"), ["ana: hello"]);
    world.crash("bo");
    world.run_for(SEC * 15);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Unknown);
    world.drop_nothing();
    world.start("bo");
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    assert_eq!(world.screen("bo"), ["ana: hello"]);
}

#[test]
fn a_private_message_waits_for_its_receiver_through_its_senders_death() {
    let mut world = World::new(8, &["ana", "bo"]);
    world.crash("bo");
    world.run_for(SEC * 6);
    let id = world.tell("ana", "bo", "when you are back");
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Waiting);
    world.run_for(SEC);
    world.crash_with("ana", true);
    world.run_for(SEC);
    world.start("ana");
    world.run_for(SEC * 2);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Waiting);
    world.start("bo");
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    assert_eq!(world.screen("bo"), ["ana: when you are back"]);
    world.check_folds();
}

#[test]
fn a_sender_that_restarts_sends_the_same_message_again() {
    let mut world = World::new(9, &["ana", "bo"]);
    world.drop_frames(|_, _, frame| kind_of(frame) == "receipt");
    let id = world.tell("ana", "bo", "hello");
    world.run_for(MS * 100);
    world.crash("ana");
    world.drop_nothing();
    world.start("ana");
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    assert_eq!(world.screen("bo"), ["ana: hello"]);
    world.check_folds();
}

#[test]
fn what_is_tried_until_the_deadline_is_unknown_and_a_late_receipt_mends_it() {
    let mut world = World::new(10, &["ana", "bo"]);
    world.cut_one_way("bo", "ana");
    let id = world.tell("ana", "bo", "did you get this?");
    world.run_for(SEC * 12);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Unknown);
    assert!(world.attempts("ana", id, "bo") >= 8);
    world.heal();
    world.run_for(SEC * 3);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    assert_eq!(world.screen("bo"), ["ana: did you get this?"]);
}

#[test]
fn a_member_that_dies_unnoticed_ends_unknown_and_turns_delivered_when_it_is_back() {
    let mut world = World::new(12, &["ana", "bo", "cy"]);
    world.crash("cy");
    let id = world.say("ana", "are you there?");
    world.run_for(SEC * 16);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    assert_eq!(world.outcome("ana", id, "cy"), Outcome::Unknown);
    world.start("cy");
    world.run_for(SEC * 2);
    assert_eq!(world.outcome("ana", id, "cy"), Outcome::Delivered);
}

#[test]
fn a_message_waits_for_those_before_it() {
    let mut world = World::new(14, &["ana", "bo"]);
    let mut lost = 0;
    world.drop_frames(move |_, _, frame| {
        let drop = kind_of(frame) == "group" && lost < 1;
        lost += u32::from(drop);
        drop
    });
    let ids = ["one", "two", "three"].map(|text| world.say("ana", text));
    world.run_for(MS * 40);
    assert_eq!(world.screen("bo"), Vec::<String>::new());
    assert_eq!(world.outcome("ana", ids[2], "bo"), Outcome::Delivered, "it is receipted though it waits");
    world.run_for(SEC);
    assert_eq!(world.screen("bo"), ["ana: one", "ana: two", "ana: three"]);
}

#[test]
fn a_full_disk_undoes_what_was_said_and_all_that_names_it() {
    let mut world = World::new(18, &["ana", "bo"]);
    world.say("ana", "before");
    world.run_for(SEC);
    world.disk("ana").full = true;
    world.disk("ana").latency = MS * 10;
    world.say("ana", "a");
    world.run_for(MS * 5);
    world.say("ana", "b");
    world.tell("ana", "bo", "private");
    world.run_for(MS * 6);
    // The first failed; what named it is in the next batch, which the disk takes.
    world.disk("ana").full = false;
    assert_eq!(world.try_say("ana", "too early"), Err(Refused::DiskFull));
    world.run_for(MS * 50);
    let undone = world.node("ana").events.iter().filter(|event| matches!(event, EventKind::Undone { .. })).count();
    assert_eq!(undone, 2);
    world.say("ana", "after");
    world.run_for(SEC * 5);
    assert_eq!(world.screen("bo"), ["ana: before", "ana: private", "ana: after"]);
    assert_eq!(world.machine("bo").gaps().count(), 0);
    world.check_folds();
}

#[test]
fn what_was_undone_stays_undone_after_a_crash() {
    let mut world = World::new(19, &["ana", "bo"]);
    world.say("ana", "before");
    world.run_for(SEC);
    world.disk("ana").full = true;
    world.disk("ana").latency = MS * 10;
    world.say("ana", "a");
    world.run_for(MS * 5);
    world.say("ana", "b");
    world.run_for(MS * 6);
    world.disk("ana").full = false;
    world.run_for(MS * 10);
    // "b" is on disk now, and the record that undoes it is on its way there.
    world.crash_with("ana", false);
    world.start("ana");
    world.run_for(SEC);
    world.say("ana", "after");
    world.run_for(SEC * 5);
    assert_eq!(world.screen("bo"), ["ana: before", "ana: after"]);
    world.check_folds();
}

#[test]
fn a_receiver_with_a_full_disk_refuses_and_says_why() {
    let mut world = World::new(20, &["ana", "bo"]);
    world.disk("bo").full = true;
    let id = world.tell("ana", "bo", "hello");
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Refused);
    let known = world.machine("ana").message(id).unwrap();
    assert_eq!(known.deliveries[&world.id("bo")].reason, Some(RefusedReason::DiskFull));
    assert_eq!(world.screen("bo"), Vec::<String>::new());
}

#[test]
fn what_a_full_disk_refused_comes_soon_after_there_is_room() {
    let mut world = World::new(22, &["ana", "bo", "cy"]);
    world.say("ana", "before");
    world.run_for(SEC);
    world.disk("bo").full = true;
    for count in 0..50 {
        world.say("ana", &format!("{count}"));
    }
    world.run_for(SEC * 40);
    assert_eq!(world.screen("bo"), ["ana: before"]);
    let given = ["ana", "cy"].map(|name| world.machine(name).counters().given).iter().sum::<u64>();
    assert!(given <= 50 + 2 * 40 / 5 + 2, "while the disk is full only one at a time is tried: {given}");
    world.disk("bo").full = false;
    world.run_for(SEC * 8);
    assert_eq!(world.screen("bo").len(), 51, "{:?}", world.screen("bo"));
    assert_eq!(world.screen("bo").last().map(String::as_str), Some("ana: 49"));
    assert_eq!(world.machine("bo").gaps().count(), 0);
}

#[test]
fn what_waited_for_its_senders_full_disk_leaves_soon_after_there_is_room() {
    let mut world = World::new(24, &["ana", "bo"]);
    world.crash("bo");
    world.run_for(SEC * 6);
    let told = ["one", "two", "three"].map(|text| world.tell("ana", "bo", text));
    world.run_for(SEC);
    world.disk("ana").full = true;
    world.start("bo");
    let refused_before = world.machine("ana").counters().not_stored;
    world.run_for(SEC * 20);
    assert!(told.iter().all(|&id| world.outcome("ana", id, "bo") == Outcome::Waiting));
    let refused = world.machine("ana").counters().not_stored - refused_before;
    assert!((4..=6).contains(&refused), "the disk is tried every 5 s: {refused}");
    assert_eq!(world.screen("bo"), Vec::<String>::new(), "nothing leaves that is not called sending on disk");
    world.disk("ana").full = false;
    world.run_for(SEC * 6);
    assert_eq!(world.screen("bo"), ["ana: one", "ana: two", "ana: three"]);
    assert!(told.iter().all(|&id| world.outcome("ana", id, "bo") == Outcome::Delivered));
}

#[test]
fn what_a_full_disk_refused_is_asked_for_until_the_lost_receipt_of_it_comes() {
    let mut world = World::new(21, &["ana", "bo", "cy"]);
    let early = world.say("ana", "early");
    world.disk("bo").full = true;
    let late = world.say("ana", "late");
    world.run_for(SEC);
    for id in [early, late] {
        assert_eq!(world.outcome("ana", id, "bo"), Outcome::Refused);
    }
    world.disk("bo").full = false;
    world.drop_frames(|from, to, frame| from == "bo" && to == "ana" && matches!(frame, MessagingFrame::Receipt(_)));
    world.crash("bo");
    world.start("bo");
    world.run_for(SEC * 20);
    assert_eq!(world.screen("bo"), ["ana: early", "ana: late"], "it fetched them");
    assert_eq!(world.outcome("ana", late, "bo"), Outcome::Refused, "no receipt came");
    world.drop_nothing();
    world.run_for(SEC * 120);
    for id in [early, late] {
        let delivery = world.machine("ana").message(id).unwrap().deliveries[&world.id("bo")].clone();
        assert_eq!((delivery.outcome, delivery.reason), (Outcome::Delivered, None), "and no refusal is left of it");
    }
    for event in &world.node("ana").events {
        if let EventKind::Delivery(change) = event {
            assert!(change.outcome != Outcome::Delivered || change.reason.is_none(), "{change:?}");
        }
    }
}

#[test]
fn a_member_that_left_is_out_of_the_roster_and_its_private_messages_wait() {
    let mut world = World::new(22, &["ana", "bo", "cy"]);
    world.leave("bo");
    world.run_for(SEC);
    let id = world.say("ana", "who is here?");
    let private = world.tell("ana", "bo", "come back");
    world.run_for(SEC * 20);
    assert!(!world.machine("ana").message(id).unwrap().deliveries.contains_key(&world.id("bo")));
    assert_eq!(world.outcome("ana", private, "bo"), Outcome::Waiting);
    world.start("bo");
    world.run_for(SEC * 2);
    assert_eq!(world.outcome("ana", private, "bo"), Outcome::Delivered);
}

#[test]
fn leaving_stops_the_retries_of_what_was_on_its_way() {
    let mut world = World::new(23, &["ana", "bo"]);
    world.drop_frames(|_, _, frame| kind_of(frame) == "receipt");
    let id = world.say("ana", "hello");
    world.run_for(MS * 300);
    world.leave("bo");
    world.run_for(MS * 50);
    let sent = world.frames["group"];
    world.run_for(SEC * 20);
    assert_eq!(world.frames["group"], sent);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Unknown);
}

#[test]
fn two_messages_of_one_place_are_both_shown_and_the_proof_is_kept() {
    let mut world = World::new(24, &["ana", "bo", "cy"]);
    world.has_liars = true;
    let identity = world.identity("ana");
    let run = world.run_of("ana");
    let forge = |text: &str| {
        let message = GroupMessage {
            room: room(),
            author: identity.id(),
            run,
            seq: 1,
            prev: Prev::None,
            lamport: 1,
            said_at: crate::base::Wall(1),
            text: text.to_owned(),
        };
        Signed::sign(message, &identity).bytes().to_vec()
    };
    world.inject("ana", "bo", MessagingFrame::Group(forge("yes")));
    world.inject("ana", "bo", MessagingFrame::Group(forge("no")));
    world.inject("ana", "bo", MessagingFrame::Group(forge("no")));
    world.run_for(MS * 500);
    assert_eq!(world.screen("bo"), ["ana: yes", "ana: no"]);
    assert!(matches!(world.alarms("bo")[..], [Alarm::Equivocation { seq: 1, .. }]));
    let proofs = |world: &World| {
        let is_proof =
            |record: &&crate::messaging::Record| matches!(record, crate::messaging::Record::Equivocation { .. });
        world.records("bo").iter().filter(is_proof).count()
    };
    assert_eq!(proofs(&world), 1);
    world.check_folds();
}

#[test]
fn a_second_message_of_one_place_waits_with_the_first() {
    let mut world = World::new(48, &["ana", "bo"]);
    world.has_liars = true;
    let identity = world.identity("ana");
    let run = world.run_of("ana");
    for text in ["yes", "no"] {
        let message = GroupMessage {
            room: room(),
            author: identity.id(),
            run,
            seq: 2,
            prev: Prev::Same(crate::base::MessageId([1; 32])),
            lamport: 2,
            said_at: crate::base::Wall(1),
            text: text.to_owned(),
        };
        world.inject("ana", "bo", MessagingFrame::Group(Signed::sign(message, &identity).bytes().to_vec()));
        world.run_for(MS * 100);
    }
    assert_eq!(world.screen("bo"), Vec::<String>::new());
    world.run_for(SEC * 5);
    assert_eq!(world.screen("bo")[..3], ["gap ana#1-1", "ana: yes", "ana: no"]);
}

#[test]
fn a_rolled_back_home_is_no_liar() {
    let mut world = World::new(25, &["ana", "bo"]);
    world.say("ana", "one");
    world.run_for(SEC);
    let identity = world.identity("ana");
    let one = world.messages("bo")[0].clone();
    // Two runs both follow the same message: the second was begun from an older copy of the home.
    for boot in [7, 8] {
        let message = GroupMessage {
            room: room(),
            author: identity.id(),
            run: Run { incarnation: 10 + boot, boot },
            seq: 1,
            prev: Prev::Earlier { run: one.key.run, seq: 1, id: one.id },
            lamport: 5,
            said_at: one.said_at,
            text: format!("run {boot}"),
        };
        let bytes = Signed::sign(message, &identity).bytes().to_vec();
        world.inject("ana", "bo", MessagingFrame::Group(bytes));
    }
    world.run_for(SEC);
    assert_eq!(world.screen("bo"), ["ana: one", "ana: run 7", "ana: run 8"]);
}

#[test]
fn a_receipt_for_what_was_never_said_proves_nothing_and_is_told() {
    let mut world = World::new(26, &["ana", "bo"]);
    world.has_liars = true;
    let id = world.say("ana", "hello");
    world.drop_frames(|_, _, frame| kind_of(frame) == "receipt");
    world.run_for(MS * 100);
    let bo = world.identity("bo");
    let mut other = id;
    other.0[0] ^= 1;
    let range = HeldRange { first: 1, last: 1, last_id: other };
    let held = Held::Group { run: world.run_of("ana"), ranges: vec![range] };
    let receipt = Receipt { room: room(), receiver: bo.id(), run: world.run_of("bo"), author: world.id("ana"), held };
    let bytes = Signed::sign(receipt, &bo).bytes().to_vec();
    world.inject("bo", "ana", MessagingFrame::Receipt(bytes.clone()));
    world.inject("bo", "ana", MessagingFrame::Receipt(bytes));
    world.run_for(MS * 50);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Sending);
    assert_eq!(world.alarms("ana"), [Alarm::FalseReceipt { receiver: bo.id() }]);
}

#[test]
fn a_forged_text_is_not_shown() {
    let mut world = World::new(27, &["ana", "bo", "cy"]);
    world.drop_frames(|_, to, frame| kind_of(frame) == "group" && to == "cy");
    world.say("ana", "pay bo");
    world.run_for(MS * 100);
    let kept = world.machine("bo").log.places().keys().next().copied().unwrap();
    let place = world.machine("bo").log.place_of(kept).unwrap();
    let mut bytes = world.machine("bo").log.kept(place, kept).unwrap().bytes.to_vec();
    let text = bytes.len() - 64 - 1;
    bytes[text] ^= 1;
    world.inject("bo", "cy", MessagingFrame::Group(bytes));
    world.run_for(MS * 100);
    assert_eq!(world.screen("cy"), Vec::<String>::new());
    assert_eq!(world.machine("cy").counters().forged, 1);
}

#[test]
fn what_was_never_sent_expires_and_what_is_unknown_stays_so() {
    let mut world = World::new(34, &["ana", "bo"]);
    world.crash("bo");
    let unknown = world.tell("ana", "bo", "sent");
    world.run_for(SEC * 16);
    let waiting = world.tell("ana", "bo", "not sent");
    let group = world.say("ana", "all");
    world.run_for(SEC * 3600 * 24 * 8);
    assert_eq!(world.outcome("ana", unknown, "bo"), Outcome::Unknown);
    assert_eq!(world.outcome("ana", waiting, "bo"), Outcome::Expired);
    assert_eq!(world.outcome("ana", group, "bo"), Outcome::Expired);
    assert_eq!(world.machine("ana").waiting_for(world.id("bo")), 0);
    world.check_folds();
}

#[test]
fn a_member_that_suspects_is_still_sent_to() {
    let mut world = World::new(35, &["ana", "bo"]);
    let (bo, run) = (world.id("bo"), world.run_of("bo"));
    let ana = world.index("ana");
    world.with(ana, |machine, step| machine.handle_presence(step, bo, run, Presence::Suspect));
    let id = world.tell("ana", "bo", "still there?");
    world.run_for(MS * 100);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
}

#[test]
fn a_text_of_16_kib_is_like_any_other() {
    let mut world = World::new(43, &["ana", "bo"]);
    let text = "y".repeat(16 * 1024);
    let said = world.say("ana", &text);
    let told = world.tell("ana", "bo", &text);
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", said, "bo"), Outcome::Delivered);
    assert_eq!(world.outcome("ana", told, "bo"), Outcome::Delivered);
    assert!(matches!(world.try_say("ana", &format!("{text}y")), Err(Refused::Text(_))));
}

#[test]
fn a_member_that_was_forgotten_is_in_no_roster_and_what_is_open_to_it_stays() {
    let mut world = World::new(56, &["ana", "bo", "cy"]);
    world.crash("bo");
    world.crash("cy");
    world.run_for(SEC * 6);
    let open = world.tell("ana", "bo", "when you are back");
    world.run_for(SEC);
    let ana = world.index("ana");
    for name in ["bo", "cy"] {
        let member = world.id(name);
        world.with(ana, |machine, step| machine.handle_forgotten(step, member));
    }
    let kept: Vec<_> = world.machine("ana").peers.iter().map(|(&id, _)| id).collect();
    assert_eq!(kept, [world.id("bo")]);
    let said = world.say("ana", "who is here?");
    assert!(world.machine("ana").message(said).unwrap().deliveries.is_empty());
    world.run_for(SEC);
    world.start("bo");
    world.run_for(SEC * 2);
    assert_eq!(world.outcome("ana", open, "bo"), Outcome::Delivered);
    world.check_folds();
}

#[test]
fn what_became_of_a_message_that_is_settled_and_forgotten_is_not_made_up() {
    let mut world = World::new(57, &["ana", "bo"]);
    let said = world.say("ana", "hello");
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", said, "bo"), Outcome::Delivered);
    let ana = world.index("ana");
    world.with(ana, |machine, _| {
        let out = machine.book.find(said).unwrap();
        machine.book.forget(out);
    });
    // Its text is still there to be given to others; that it had no receiver must not be read from that.
    assert!(world.machine("ana").log.place_of(said).is_some());
    assert_eq!(world.machine("ana").message(said), None);
}

#[test]
fn who_came_after_a_message_is_told_to_store_it_by_the_receipt_for_a_later_one() {
    let mut world = World::new(58, &["ana", "bo"]);
    world.leave("bo");
    world.run_for(SEC);
    let early = world.say("ana", "is anybody here?");
    world.run_for(SEC);
    let since = |world: &World| world.machine("ana").message(early).expect("it is kept").stored_since;
    assert_eq!((world.machine("ana").message(early).unwrap().deliveries.len(), since(&world).len()), (0, 0));
    world.start("bo");
    world.run_for(SEC * 2);
    assert!(since(&world).is_empty(), "bo fetched it, and was not asked for a receipt");
    let later = world.say("ana", "there you are");
    world.run_for(SEC);
    let receipt = world.machine("ana").message(later).unwrap().deliveries[&world.id("bo")].receipt.clone();
    let first = [(world.id("bo"), receipt.expect("bo signed it"))];
    assert_eq!(since(&world), first);
    world.say("ana", "and still here");
    world.run_for(SEC);
    assert_eq!(since(&world), first, "a later receipt does not make it come later");
}
