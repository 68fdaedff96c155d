//! What was missed is fetched from whoever holds it; what nobody can give is a gap, and is said.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::world::{MS, World, kind_of, room};
use crate::base::{Cause, MemberId, MessageId, Run, Wall};
use crate::messaging::{Answer, EventKind, Outcome};
use crate::wire::{FrontierEntry, GroupMessage, Lacking, MessagingFrame, Prev, Signed};

const SEC: Duration = Duration::from_secs(1);

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

/// The number of the group message that a frame carries.
fn seq_of(frame: &MessagingFrame) -> Option<u64> {
    let (MessagingFrame::Group(bytes) | MessagingFrame::Recovered(bytes)) = frame else { return None };
    Some(Signed::<GroupMessage>::open_trusted(bytes).ok()?.value().seq)
}

fn shown_id(world: &World, name: &str) -> MessageId {
    world.messages(name)[0].id
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
fn what_a_peer_lacks_is_no_history_for_who_was_in_the_room() {
    let mut world = World::new(18, &["ana", "bo", "cy"]);
    world.run_for(SEC);
    world.drop_frames(|from, to, frame| from == "ana" && (to == "cy" || seq_of(frame) == Some(1)));
    world.say("ana", "lost to all");
    world.say("ana", "bo has this one");
    world.run_for(MS * 500);
    world.crash("ana");
    // On its new session bo says what it holds: the second message and not the first.
    world.crash("bo");
    world.start("bo");
    world.run_for(SEC * 12);
    assert_eq!(world.screen("cy")[..2], ["gap ana#1-1", "ana: bo has this one"]);
    world.check_folds();
}

#[test]
fn a_peer_that_holds_nothing_does_not_say_what_a_newcomer_missed() {
    let mut world = World::new(65, &["ana", "bo", "cy"]);
    world.crash("bo");
    world.crash("cy");
    world.run_for(SEC * 6);
    for number in 1..=600 {
        world.say("ana", &format!("{number}"));
        world.run_for(MS);
    }
    world.run_for(SEC * 5);
    world.start("bo");
    world.start("cy");
    world.run_for(MS * 35);
    // It is as new as cy, and is heard before ana.
    world.inject("bo", "cy", MessagingFrame::Frontier { answer: true, entries: Vec::new(), more: false });
    world.run_for(SEC * 10);
    assert_eq!(world.screen("cy").first().map(String::as_str), Some("ana: 101"));
    assert_eq!(world.screen("cy").len(), 500);
    world.check_folds();
}

#[test]
fn a_peer_that_says_little_hides_no_gap_from_a_newcomer() {
    let mut world = World::new(66, &["ana", "bo", "cy", "dee"]);
    world.crash("dee");
    world.run_for(SEC * 6);
    world.drop_frames(|from, _, frame| from == "ana" && seq_of(frame) == Some(2));
    for text in ["one", "lost to all", "three"] {
        world.say("ana", text);
    }
    world.run_for(SEC * 5);
    world.start("dee");
    world.run_for(MS * 35);
    let (author, run, head_id) = (world.id("ana"), world.run_of("ana"), MessageId([1; 32]));
    let entry = FrontierEntry { author, run, head: 3, head_id, recent: 1, kept: vec![(3, 3)] };
    world.inject("cy", "dee", MessagingFrame::Frontier { answer: true, entries: vec![entry], more: false });
    world.run_for(MS * 6);
    // It comes before anything that was asked for.
    world.say("ana", "four");
    world.run_for(SEC * 10);
    assert!(world.screen("dee").contains(&"gap ana#2-2".to_owned()), "{:?}", world.screen("dee"));
    world.check_folds();
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
fn hearsay_of_a_run_neither_fills_tables_nor_hides_a_gap() {
    let mut world = World::new(47, &["ana", "bo", "cy"]);
    let ana = world.id("ana");
    let entry = |incarnation: u64| FrontierEntry {
        author: ana,
        run: Run { incarnation, boot: 1 },
        head: 1 << 40,
        head_id: MessageId([1; 32]),
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

#[test]
fn a_loop_that_was_stopped_ends_what_was_fetched_when_it_runs_again() {
    let mut world = World::new(50, &["ana", "bo"]);
    world.crash("bo");
    world.run_for(SEC * 6);
    let id = world.say("ana", "fetch me");
    world.run_for(SEC);
    world.drop_frames(|from, _, frame| from == "bo" && kind_of(frame) == "receipt");
    world.start("bo");
    world.run_for(SEC * 5);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Sending);
    world.lag = SEC;
    world.run_for(SEC * 10);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Sending, "its receipt may lie in the socket");
    world.lag = Duration::ZERO;
    world.run_for(SEC * 5);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Unknown);
}

#[test]
fn a_hole_that_a_crash_left_is_told_though_its_author_stays_silent() {
    let mut world = World::new(51, &["ana", "bo"]);
    for text in ["one", "two"] {
        world.say("ana", text);
    }
    world.run_for(SEC);
    world.drop_frames(|from, _, frame| from == "ana" && matches!(kind_of(frame), "group" | "recovered" | "pull end"));
    for text in ["three", "four"] {
        world.say("ana", text);
    }
    world.run_for(SEC);
    world.drop_frames(|from, _, frame| from == "ana" && matches!(kind_of(frame), "recovered" | "pull end"));
    world.disk("bo").latency = Duration::ZERO;
    world.say("ana", "five");
    world.run_for(MS * 15);
    world.crash("ana");
    world.crash("bo");
    world.start("bo");
    world.run_for(SEC * 10);
    let gaps: Vec<_> = world.machine("bo").gaps().map(|gap| (gap.first, gap.last)).collect();
    assert_eq!(gaps, [(3, 4)]);
    assert_eq!(world.screen("bo").last().map(String::as_str), Some("gap ana#3-4"));
    world.check_folds();
}

const LATER: Run = Run { incarnation: 99, boot: 1 };

/// A member's word that it can give messages of a run of ana's.
fn offer(world: &World, kept: Vec<(u64, u64)>) -> MessagingFrame {
    let (author, head_id) = (world.id("ana"), MessageId([1; 32]));
    let head = kept.last().expect("an offer").1;
    let entry = FrontierEntry { author, run: LATER, head, head_id, recent: 1, kept };
    MessagingFrame::Frontier { answer: true, entries: vec![entry], more: false }
}

fn message_of_later(world: &World, seq: u64) -> Vec<u8> {
    let identity = world.identity("ana");
    let message = GroupMessage {
        room: room(),
        author: identity.id(),
        run: LATER,
        seq,
        prev: if seq == 1 { Prev::None } else { Prev::Same(MessageId([2; 32])) },
        lamport: seq,
        said_at: Wall(1),
        text: format!("{seq}"),
    };
    Signed::sign(message, &identity).bytes().to_vec()
}

/// Whom dee asks, in this order.
fn asked_by_dee(world: &mut World, lost: &'static [&str]) -> Rc<RefCell<Vec<String>>> {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = asked.clone();
    world.drop_frames(move |from, to, frame| {
        if from == "dee" && kind_of(frame) == "pull" {
            log.borrow_mut().push(to.to_owned());
        }
        from != "dee" && lost.contains(&kind_of(frame))
    });
    asked
}

#[test]
fn each_peer_that_offers_something_is_asked_in_its_turn() {
    let mut world = World::new(52, &["ana", "bo", "cy", "dee"]);
    let asked = asked_by_dee(&mut world, &["recovered", "frontier"]);
    let every_other: Vec<(u64, u64)> = (1..30).map(|number| (number * 2, number * 2)).collect();
    let frame = offer(&world, every_other);
    for from in ["bo", "cy"] {
        world.inject(from, "dee", frame.clone());
    }
    world.run_for(SEC);
    for pair in asked.borrow()[..20].chunks(2) {
        assert_ne!(pair[0], pair[1], "{:?}", asked.borrow());
    }
}

#[test]
fn a_peer_that_gives_slowly_holds_up_nobody() {
    let mut world = World::new(53, &["ana", "bo", "cy", "dee"]);
    world.has_liars = true;
    let asked = asked_by_dee(&mut world, &["pull end", "recovered", "frontier"]);
    let frame = offer(&world, vec![(1, 400)]);
    world.inject("bo", "dee", frame);
    let frame = offer(&world, vec![(401, 402)]);
    world.inject("cy", "dee", frame);
    for seq in 1..60 {
        let bytes = message_of_later(&world, seq);
        world.inject("bo", "dee", MessagingFrame::Recovered(bytes));
        world.run_for(MS * 200);
    }
    assert!(asked.borrow().iter().any(|to| to == "cy"), "{:?}", asked.borrow());
}

#[test]
fn an_offer_that_nobody_makes_good_holds_up_no_quest() {
    let mut world = World::new(63, &["ana", "bo", "cy", "dee"]);
    world.link.delay = MS * 150;
    let is_of_offer = |frame: &MessagingFrame| matches!(frame, MessagingFrame::PullEnd { run, .. } if *run == LATER);
    world.drop_frames(move |from, to, frame| match from {
        "bo" => is_of_offer(frame),
        "ana" => to == "dee" && seq_of(frame) == Some(2),
        _ => false,
    });
    let frame = offer(&world, vec![(1, 5)]);
    world.say("ana", "one");
    world.run_for(SEC);
    world.say("ana", "two");
    world.say("ana", "three");
    world.run_for(MS * 200);
    world.inject("bo", "dee", frame);
    world.run_for(SEC * 10);
    assert_eq!(world.screen("dee"), ["ana: one", "ana: two", "ana: three"]);
}

#[test]
fn a_gap_names_only_those_who_were_asked_for_it() {
    let mut world = World::new(64, &["ana", "bo", "cy"]);
    let asked: Rc<RefCell<Vec<(String, u64, u64)>>> = Rc::default();
    let log = asked.clone();
    world.drop_frames(move |from, to, frame| {
        if let ("bo", MessagingFrame::Pull { first, last, .. }) = (from, frame) {
            log.borrow_mut().push((to.to_owned(), *first, *last));
        }
        from == "ana" && matches!(seq_of(frame), Some(2 | 4))
    });
    for text in ["one", "two", "three"] {
        world.say("ana", text);
    }
    let quest_is_done = |world: &World| {
        let quests = &world.machine("bo").recovery.quests;
        quests.values().any(|quest| quest.finished.is_some())
    };
    while !quest_is_done(&world) {
        world.run_for(MS * 10);
    }
    for text in ["four", "five"] {
        world.say("ana", text);
    }
    let mut gap_of_four = None;
    for _ in 0..600 {
        world.run_for(MS * 10);
        // At no time, and not only in the end.
        for gap in world.machine("bo").gaps().filter(|gap| gap.first == 4) {
            for (peer, _) in &gap.asked {
                let is_of_gap = |(to, first, last): &(String, u64, u64)| {
                    to == world.name_of(*peer) && (*first..=*last).contains(&4)
                };
                assert!(asked.borrow().iter().any(is_of_gap), "{} was not asked for it", world.name_of(*peer));
            }
            gap_of_four = Some(gap);
        }
    }
    let mut named = gap_of_four.expect("it is a gap").asked;
    named.sort_unstable();
    let mut expected = [(world.id("ana"), Answer::NoAnswer), (world.id("cy"), Answer::NeverHadIt)];
    expected.sort_unstable();
    assert_eq!(named, expected, "both were asked for it in the end");
    world.run_for(SEC * 20);
    world.check_folds();
}

#[test]
fn an_answer_with_more_lacking_than_can_be_is_refused() {
    let mut world = World::new(54, &["ana", "bo"]);
    let frame = |count: u64| {
        let lacking = (1..=count).map(|seq| Lacking { first: seq * 2, last: seq * 2, had: true }).collect();
        MessagingFrame::PullEnd { author: MemberId([3; 32]), run: LATER, first: 1, last: 100, lacking }
    };
    world.inject("bo", "ana", frame(32));
    assert_eq!(world.machine("ana").counters().strange, 0);
    world.inject("bo", "ana", frame(33));
    assert_eq!(world.machine("ana").counters().strange, 1);
}

#[test]
fn a_run_that_is_forgotten_for_one_that_is_named_only_stays_forgotten() {
    let mut world = World::new(55, &["ana", "bo"]);
    world.has_liars = true;
    let identity = world.identity("ana");
    let run = |number: u64| Run { incarnation: 100 + number, boot: 1 };
    let mut last = None;
    for number in (1..=16).chain([18]) {
        let prev = last.map_or(Prev::None, |id| Prev::Earlier { run: run(number - 1), seq: 1, id });
        let (room, author, text) = (room(), identity.id(), format!("{number}"));
        let said_at = Wall(number);
        let message = GroupMessage { room, author, run: run(number), seq: 1, prev, lamport: number, said_at, text };
        let signed = Signed::sign(message, &identity);
        last = Some(signed.id());
        world.inject("ana", "bo", MessagingFrame::Group(signed.bytes().to_vec()));
        world.run_for(MS * 100);
    }
    world.run_for(SEC * 20);
    world.check_folds();
}

#[test]
fn what_is_fetched_counts_as_tried_when_it_leaves() {
    let mut world = World::new(57, &["ana", "bo"]);
    world.crash("bo");
    world.run_for(SEC * 6);
    let text = "x".repeat(16 * 1024);
    let ids: Vec<_> = (0..40).map(|_| world.say("ana", &text)).collect();
    world.run_for(SEC);
    world.drop_frames(|from, _, frame| from == "bo" && kind_of(frame) == "receipt");
    world.start("bo");
    world.run_for(SEC);
    world.disk("ana").latency = SEC * 5;
    world.run_for(SEC * 2);
    for &id in &ids {
        let is_shown = world.messages("bo").iter().any(|shown| shown.id == id);
        assert_eq!(world.attempts("ana", id, "bo") > 0, is_shown);
    }
    assert!(world.messages("bo").len() < 40);
}

#[test]
fn a_gap_that_the_disk_refused_is_told_once_the_disk_takes_it() {
    let mut world = World::new(58, &["ana", "bo"]);
    world.say("ana", "one");
    world.run_for(SEC);
    world.drop_frames(|from, _, frame| from == "ana" && matches!(kind_of(frame), "group" | "recovered" | "pull end"));
    world.say("ana", "two");
    world.run_for(SEC * 11);
    world.drop_frames(|from, _, frame| from == "ana" && matches!(kind_of(frame), "recovered" | "pull end"));
    world.say("ana", "three");
    world.run_for(SEC);
    world.disk("bo").full = true;
    world.run_for(SEC * 6);
    assert_eq!(world.screen("bo"), ["ana: one"]);
    world.disk("bo").full = false;
    world.say("ana", "four");
    world.run_for(SEC);
    assert_eq!(world.screen("bo"), ["ana: one", "gap ana#2-2", "ana: three", "ana: four"]);
    world.run_for(SEC * 20);
    world.check_folds();
}

#[test]
fn an_answer_that_comes_late_is_marked_as_recovered() {
    let mut world = World::new(59, &["ana", "bo"]);
    world.has_liars = true;
    let bytes = message_of_later(&world, 1);
    world.inject("ana", "bo", MessagingFrame::Recovered(bytes));
    world.run_for(SEC);
    assert!(world.messages("bo")[0].recovered);
}

#[test]
fn what_a_timer_tells_names_what_it_comes_from() {
    let mut world = World::new(60, &["ana", "bo"]);
    world.drop_frames(|from, _, frame| from == "ana" && kind_of(frame) != "digest");
    let id = world.say("ana", "lost");
    world.run_for(SEC * 12);
    let ana = world.node("ana");
    let said = ana.events.iter().position(|event| matches!(event, EventKind::Message(shown) if shown.id == id));
    let unknown = ana.events.iter().position(|event| matches!(event, EventKind::Delivery(_)));
    let (said, unknown) = (said.expect("it was said"), unknown.expect("it is unknown"));
    assert_eq!(ana.causes[unknown].1, Some(Cause::Event(ana.causes[said].0)));
    world.drop_frames(|from, _, frame| from == "ana" && matches!(kind_of(frame), "recovered" | "pull end"));
    world.say("ana", "heard");
    world.run_for(SEC * 6);
    world.drop_nothing();
    world.crash("ana");
    world.start("ana");
    world.run_for(SEC * 5);
    let bo = world.node("bo");
    let cause_of = |is: fn(&EventKind) -> bool| bo.causes[bo.events.iter().position(is).expect("an event")].1;
    assert!(cause_of(|event| matches!(event, EventKind::Gap(_))).is_some());
    assert!(cause_of(|event| matches!(event, EventKind::Recovered { .. })).is_some());
}

#[test]
fn a_recovery_is_over_once_its_last_message_is_shown() {
    let mut world = World::new(61, &["ana", "bo", "cy"]);
    world.drop_frames(|_, to, frame| to == "bo" && kind_of(frame) == "group");
    for number in 1..=20 {
        world.say("ana", &format!("{number}"));
    }
    world.run_for(SEC * 5);
    let events = &world.node("bo").events;
    let last = events.iter().rposition(|event| matches!(event, EventKind::Message(_))).expect("shown");
    let over = events.iter().position(|event| matches!(event, EventKind::Recovered { .. })).expect("over");
    assert_eq!(world.messages("bo").len(), 20);
    assert!(over > last, "{over} is before {last}");
}

#[test]
fn a_gap_that_was_told_is_not_told_again_by_a_restart() {
    let mut world = World::new(62, &["ana", "bo", "cy"]);
    world.drop_frames(|from, _, frame| from == "ana" && matches!(kind_of(frame), "group" | "recovered" | "pull end"));
    world.say("ana", "lost to all");
    world.run_for(SEC * 12);
    world.drop_frames(|from, _, frame| from == "ana" && matches!(kind_of(frame), "recovered" | "pull end"));
    world.say("ana", "two");
    world.run_for(SEC * 20);
    let told = |world: &World| world.screen("bo").iter().filter(|line| line.starts_with("gap")).count();
    let (before, asked) = (told(&world), world.machine("bo").gaps().next().expect("a gap").asked);
    world.crash("ana");
    world.crash("cy");
    for _ in 0..3 {
        world.crash_with("bo", true);
        world.start("bo");
        world.run_for(SEC * 20);
    }
    world.run_for(SEC * 700);
    assert_eq!(told(&world), before);
    assert_eq!(world.machine("bo").gaps().next().expect("a gap").asked, asked);
    world.check_folds();
}

#[test]
fn what_fills_a_gap_before_it_is_told_shows_before_what_waited_for_it() {
    let mut world = World::new(61, &["ana", "bo"]);
    world.say("ana", "one");
    world.run_for(SEC);
    let lost: Rc<RefCell<Option<MessagingFrame>>> = Rc::default();
    let keep = lost.clone();
    world.drop_frames(move |_, _, frame| {
        let (MessagingFrame::Group(bytes) | MessagingFrame::Recovered(bytes)) = frame else { return false };
        let is_it = bytes.windows(3).any(|part| part == b"two");
        if is_it {
            *keep.borrow_mut() = Some(MessagingFrame::Group(bytes.clone()));
        }
        is_it
    });
    world.say("ana", "two");
    world.say("ana", "three");
    // Three waits for two; its patience ends while bo's disk is slow, so that gap and message share a commit.
    world.run_for(MS * 2_800);
    world.disk("bo").latency = MS * 400;
    world.tell("ana", "bo", "keeps the disk busy");
    world.run_for(MS * 300);
    assert_eq!(world.screen("bo"), ["ana: one"]);
    let frame = lost.borrow_mut().take().expect("it was sent");
    world.inject("ana", "bo", frame);
    world.run_for(SEC * 2);
    let room: Vec<String> = world.screen("bo").into_iter().filter(|line| !line.contains("busy")).collect();
    assert_eq!(room, ["ana: one", "ana: two", "ana: three"]);
    world.check_folds();
}
