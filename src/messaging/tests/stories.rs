//! One story for each promise.

use std::time::Duration;

use super::world::{MS, World, kind_of, room};
use crate::base::{PerMille, Presence, Run};
use crate::messaging::{Alarm, Answer, EventKind, Outcome, Refused};
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
fn a_group_message_said_while_a_member_is_away_is_fetched_by_it() {
    let mut world = World::new(11, &["ana", "bo", "cy"]);
    world.say("ana", "one");
    world.run_for(SEC);
    world.crash("cy");
    world.run_for(SEC * 6);
    let id = world.say("ana", "two");
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    assert_eq!(world.outcome("ana", id, "cy"), Outcome::Waiting);
    world.start("cy");
    world.run_for(SEC * 2);
    assert_eq!(world.screen("cy"), ["ana: one", "ana: two"]);
    assert_eq!(world.outcome("ana", id, "cy"), Outcome::Delivered);
    assert!(world.messages("cy")[1].recovered);
    world.check_folds();
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
fn what_a_dead_author_told_some_is_recovered_from_them() {
    let mut world = World::new(13, &["ana", "bo", "cy"]);
    world.drop_frames(|from, to, frame| kind_of(frame) == "group" && from == "ana" && to == "cy");
    world.say("ana", "to some");
    world.run_for(MS * 100);
    world.crash("ana");
    world.run_for(SEC * 8);
    assert_eq!(world.screen("cy"), ["ana: to some"]);
    let shown = &world.messages("cy")[0];
    assert!(shown.recovered);
    assert_eq!(shown.via, Some(world.id("bo")));
    let told = world.node("cy").events.iter().any(|event| matches!(event, EventKind::Recovered { count: 1, .. }));
    assert!(told);
    // The author died, but what it knew of bo is on its disk: when it is back it learns of cy.
    world.start("ana");
    world.run_for(SEC * 2);
    let id = shown_id(&world, "bo");
    assert_eq!(world.outcome("ana", id, "cy"), Outcome::Delivered);
}

fn shown_id(world: &World, name: &str) -> crate::base::MessageId {
    world.messages(name)[0].id
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
fn private_messages_show_in_order_too() {
    let mut world = World::new(15, &["ana", "bo"]);
    let mut lost = 0;
    world.drop_frames(move |_, _, frame| {
        let drop = kind_of(frame) == "private" && lost < 1;
        lost += u32::from(drop);
        drop
    });
    for text in ["one", "two", "three"] {
        world.tell("ana", "bo", text);
    }
    world.run_for(SEC);
    assert_eq!(world.screen("bo"), ["ana: one", "ana: two", "ana: three"]);
}

#[test]
fn what_nobody_can_give_is_a_gap_with_who_was_asked() {
    let mut world = World::new(16, &["ana", "bo", "cy"]);
    world.say("ana", "one");
    world.run_for(SEC);
    world.drop_frames(|from, _, frame| from == "ana" && matches!(kind_of(frame), "group" | "recovered" | "pull end"));
    world.say("ana", "lost to all");
    world.run_for(SEC * 12);
    world.drop_nothing();
    // Ana's message is on its own disk only; bo and cy hear of it by the next one.
    world.drop_frames(|from, _, frame| from == "ana" && matches!(kind_of(frame), "recovered" | "pull end"));
    world.say("ana", "three");
    world.run_for(SEC * 20);
    let screen = world.screen("bo");
    assert_eq!(screen[..3], ["ana: one", "gap ana#2-2", "ana: three"]);
    let gap = world.machine("bo").gaps().next().expect("a gap");
    assert_eq!((gap.first, gap.last), (2, 2));
    assert_eq!(gap.asked.len(), 2);
    assert!(gap.asked.contains(&(world.id("ana"), Answer::NoAnswer)));
    assert!(gap.asked.contains(&(world.id("cy"), Answer::NeverHadIt)));
    // When it comes at last it is marked, and the gap is closed.
    world.drop_nothing();
    world.crash("ana");
    world.run_for(SEC);
    world.start("ana");
    world.run_for(SEC * 5);
    let late = world.messages("bo").pop().expect("the late one");
    assert_eq!(late.text, "lost to all");
    assert!(late.recovered && late.late_ms.is_some_and(|late| late > 10_000));
    assert_eq!(world.machine("bo").gaps().count(), 0);
    world.check_folds();
}

#[test]
fn who_comes_to_the_room_late_gets_its_recent_history_and_no_gap() {
    let mut world = World::new(17, &["ana", "bo"]);
    world.crash("bo");
    world.run_for(SEC * 6);
    for number in 1..=600 {
        world.say("ana", &format!("{number}"));
        world.run_for(MS);
    }
    world.run_for(SEC * 5);
    world.start("bo");
    world.run_for(MS * 40);
    world.say("ana", "live");
    world.run_for(SEC * 10);
    let screen = world.screen("bo");
    assert_eq!(screen.len(), 501, "{:?}", &screen[495..]);
    assert_eq!(screen[0], "ana: 101");
    assert_eq!(screen[500], "ana: live");
    world.check_folds();
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
fn more_than_256_waiting_messages_are_refused() {
    let mut world = World::new(21, &["ana", "bo"]);
    world.crash("bo");
    world.run_for(SEC * 6);
    for number in 0..256 {
        world.tell("ana", "bo", &format!("{number}"));
    }
    assert_eq!(world.try_tell("ana", "bo", "one more"), Err(Refused::Full { waiting: 256 }));
    world.run_for(SEC);
    world.start("bo");
    world.run_for(SEC * 5);
    assert_eq!(world.screen("bo").len(), 256);
    assert_eq!(world.machine("ana").outcomes().delivered, 256);
    world.check_folds();
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
fn two_sides_of_a_partition_go_on_and_agree_after_it() {
    let names = ["ana", "bo", "cy", "dee", "eve"];
    let mut world = World::new(28, &names);
    world.run_for(SEC);
    for a in ["ana", "bo", "cy"] {
        for b in ["dee", "eve"] {
            world.cut(a, b);
        }
    }
    world.run_for(SEC * 6);
    for round in 0..20 {
        world.say("ana", &format!("left {round}"));
        world.say("dee", &format!("right {round}"));
        world.run_for(MS * 100);
    }
    assert_eq!(world.screen("bo").len(), 20);
    world.heal();
    world.run_for(SEC * 12);
    for name in names {
        assert_eq!(world.screen(name).len(), 40, "{name}");
    }
    assert_eq!(world.machine("ana").outcomes().delivered, 80);
    world.check_folds();
}

#[test]
fn a_lossy_room_delivers_every_private_message_once() {
    let mut world = World::new(29, &["ana", "bo"]);
    world.link.loss = PerMille(200);
    world.link.jitter = MS * 5;
    world.run_for(SEC * 2);
    for number in 0..1000 {
        world.tell("ana", "bo", &format!("{number}"));
    }
    world.run_for(SEC * 60);
    let expected: Vec<String> = (0..1000).map(|number| format!("ana: {number}")).collect();
    assert_eq!(world.screen("bo"), expected);
    assert_eq!(world.machine("ana").outcomes().delivered, 1000);
    world.check_folds();
}

#[test]
fn a_lossy_room_of_five_shows_every_group_message_in_order() {
    let names = ["ana", "bo", "cy", "dee", "eve"];
    let mut world = World::new(30, &names);
    world.link.loss = PerMille(200);
    world.link.jitter = MS * 5;
    world.run_for(SEC * 2);
    for number in 0..200 {
        for name in names {
            world.say(name, &format!("{number}"));
        }
        world.run_for(MS * 5);
    }
    world.run_for(SEC * 30);
    for name in names {
        let screen = world.screen(name);
        for author in names {
            let of: Vec<&String> = screen.iter().filter(|line| line.starts_with(author)).collect();
            let expected: Vec<String> = (0..200).map(|number| format!("{author}: {number}")).collect();
            assert_eq!(of, expected.iter().collect::<Vec<_>>(), "{name} of {author}");
        }
    }
    let outcomes: u64 = names.iter().map(|name| world.machine(name).outcomes().delivered).sum();
    assert_eq!(outcomes, 4000);
    world.check_folds();
}

#[test]
fn without_loss_jitter_makes_hardly_any_retry() {
    let mut world = World::new(31, &["ana", "bo"]);
    world.link.delay = MS * 50;
    world.link.jitter = MS * 15;
    // Heartbeats show what the path is like now.
    world.run_for(SEC * 3);
    for number in 0..1000 {
        world.tell("ana", "bo", &format!("{number}"));
        world.run_for(MS * 20);
    }
    world.run_for(SEC * 5);
    let retries = world.machine("ana").counters().retries;
    assert!(retries <= 5, "{retries} of 1000");
    assert_eq!(world.screen("bo").len(), 1000);
}

#[test]
fn a_burst_is_receipted_by_few_signatures() {
    let mut world = World::new(32, &["ana", "bo"]);
    for number in 0..1000 {
        world.tell("ana", "bo", &format!("{number}"));
    }
    world.run_for(SEC * 10);
    assert_eq!(world.machine("ana").outcomes().delivered, 1000);
    assert!(world.frames["receipt"] <= 120, "{}", world.frames["receipt"]);
}

#[test]
fn a_quiet_room_has_nothing_to_do() {
    let mut world = World::new(33, &["ana", "bo"]);
    world.say("ana", "hello");
    world.tell("bo", "ana", "hello");
    world.run_for(SEC * 30);
    let frames = world.frames.clone();
    world.run_for(SEC * 300);
    for kind in ["group", "private", "receipt", "frontier", "pull", "recovered"] {
        assert_eq!(world.frames.get(kind), frames.get(kind), "{kind}");
    }
    let next = world.machine("ana").poll_timeout().expect("the sweep");
    assert!(next.since(world.now) > SEC * 60);
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
fn a_home_that_was_rolled_back_gets_its_own_words_again() {
    let mut world = World::new(40, &["ana", "bo"]);
    world.say("ana", "one");
    world.run_for(SEC);
    let records = world.records("ana").len();
    world.say("ana", "two");
    world.say("ana", "three");
    world.run_for(SEC);
    world.crash("ana");
    world.roll_back("ana", records);
    world.run_for(SEC * 6);
    world.start("ana");
    world.run_for(SEC * 5);
    let again: Vec<String> = world.screen("ana").split_off(3);
    assert_eq!(again, ["ana: two", "ana: three"]);
    world.say("ana", "four");
    world.run_for(SEC * 5);
    assert_eq!(world.screen("bo"), ["ana: one", "ana: two", "ana: three", "ana: four"]);
    world.check_folds();
}

#[test]
fn only_the_newest_sixteen_runs_of_an_author_are_tracked() {
    let mut world = World::new(41, &["ana", "bo"]);
    for run in 1..=20 {
        world.say("ana", &format!("run {run}"));
        world.run_for(SEC);
        world.crash_with("ana", true);
        world.start("ana");
        world.run_for(SEC);
    }
    let expected: Vec<String> = (1..=20).map(|run| format!("ana: run {run}")).collect();
    assert_eq!(world.screen("bo"), expected);
    let bo = world.machine("bo");
    assert_eq!(bo.log.author(world.id("ana")).unwrap().runs.len(), 16);
    assert_eq!(bo.gaps().count(), 0);
    world.check_folds();
    world.crash_with("bo", true);
    world.start("bo");
    world.run_for(SEC * 10);
    assert_eq!(world.screen("bo"), expected);
    world.check_folds();
}

#[test]
fn texts_that_are_no_longer_kept_are_still_known_to_be_seen() {
    let mut world = World::new(42, &["ana", "bo"]);
    world.link.delay = MS;
    let text = "x".repeat(12 * 1024);
    for number in 0..800 {
        world.say("ana", &format!("{number} {text}"));
        world.run_for(MS * 20);
    }
    world.run_for(SEC * 5);
    assert_eq!(world.messages("bo").len(), 800);
    let (messages, bytes) = world.machine("bo").log.size();
    assert!(messages < 800 && bytes <= 8 * 1024 * 1024, "{messages} of {bytes} bytes");
    assert!(world.machine("bo").counters().pruned > 0);
    world.check_folds();
    for name in ["ana", "bo"] {
        world.crash_with(name, true);
        world.start(name);
    }
    world.run_for(SEC * 10);
    assert_eq!(world.messages("bo").len(), 800);
    assert_eq!(world.machine("bo").gaps().count(), 0);
    world.check_folds();
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
fn who_says_more_than_anybody_can_take_is_told_so_and_nothing_is_lost() {
    let names = ["ana", "bo", "cy"];
    let mut world = World::new(44, &names);
    let mut said = 0;
    while said < 6000 {
        match world.try_say("ana", &format!("{said}")) {
            Ok(_) => said += 1,
            Err(Refused::Full { .. }) => world.run_for(MS * 20),
            Err(refused) => panic!("{refused}"),
        }
    }
    world.run_for(SEC * 30);
    for name in names {
        let expected: Vec<String> = (0..6000).map(|number| format!("ana: {number}")).collect();
        assert_eq!(world.screen(name), expected, "{name}");
    }
    assert_eq!(world.machine("ana").outcomes().delivered, 12_000);
    world.check_folds();
}

#[test]
fn one_member_that_takes_nothing_slows_nobody() {
    let mut world = World::new(45, &["ana", "bo", "cy"]);
    world.drop_frames(|_, to, frame| to == "cy" && matches!(kind_of(frame), "group" | "recovered"));
    let mut said = 0;
    while said < 5000 {
        match world.try_say("ana", &format!("{said}")) {
            Ok(_) => said += 1,
            Err(_) => world.run_for(MS * 20),
        }
    }
    world.run_for(SEC * 2);
    assert_eq!(world.messages("bo").len(), 5000);
    let took = world.now.since(crate::base::Time::from_micros(1_200_000));
    assert!(took < SEC * 20, "{took:?}");
}

#[test]
fn a_slow_disk_at_the_receiver_makes_few_retries() {
    let mut world = World::new(46, &["ana", "bo"]);
    world.link.delay = Duration::from_micros(50);
    world.disk("bo").latency = MS * 80;
    world.run_for(SEC * 2);
    for number in 0..500 {
        world.tell("ana", "bo", &format!("{number}"));
        world.run_for(MS * 20);
    }
    world.run_for(SEC);
    let retries = world.machine("ana").counters().retries;
    assert!(retries < 40, "{retries}");
}

#[test]
fn hearsay_of_a_run_neither_fills_tables_nor_hides_a_gap() {
    let mut world = World::new(47, &["ana", "bo", "cy"]);
    let ana = world.id("ana");
    let entry = |incarnation: u64| crate::wire::FrontierEntry {
        author: ana,
        run: Run { incarnation, boot: 1 },
        head: 1 << 40,
        head_id: crate::base::MessageId([1; 32]),
        recent: 1,
        kept: vec![(1, 1 << 40)],
    };
    for chunk in 0..5 {
        let entries = (0..90).map(|number| entry(1_000_000 + chunk * 90 + number)).collect();
        world.inject("cy", "bo", MessagingFrame::Frontier { answer: true, entries, more: false });
    }
    world.say("ana", "still heard");
    world.run_for(SEC * 5);
    assert_eq!(world.screen("bo"), ["ana: still heard"]);
    assert!(world.machine("bo").log.author(ana).unwrap().runs.len() <= 2);
}
