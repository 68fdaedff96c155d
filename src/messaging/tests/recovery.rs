//! What was missed is fetched from whoever holds it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use super::world::{MS, World, kind_of, room};
use crate::base::limits::RECOVERY_PULLS_MAX;
use crate::base::{Cause, MemberId, MessageId, Run, Wall};
use crate::messaging::{EventKind, Outcome};
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
pub(super) fn seq_of(frame: &MessagingFrame) -> Option<u64> {
    message_of(frame).map(|message| message.seq)
}

/// The group message that a frame carries.
fn message_of(frame: &MessagingFrame) -> Option<GroupMessage> {
    let (MessagingFrame::Group(bytes) | MessagingFrame::Recovered(bytes)) = frame else { return None };
    Some(Signed::<GroupMessage>::open_trusted(bytes).ok()?.value().clone())
}

fn shown_id(world: &World, name: &str) -> MessageId {
    world.messages(name)[0].id
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

/// The newest message hides from then on that an older run's are missing: the next one names no message of a run that
/// the home forgot.
#[test]
fn a_home_that_was_rolled_back_at_once_asks_at_once() {
    let mut world = World::new(41, &["ana", "bo"]);
    world.say("ana", "one");
    world.run_for(MS * 100);
    let records = world.records("ana").len();
    world.say("ana", "two");
    world.run_for(MS * 100);
    world.crash_with("ana", true);
    world.roll_back("ana", records);
    world.start("ana");
    world.run_for(MS * 100);
    world.say("ana", "three");
    world.run_for(SEC * 5);
    assert!(world.screen("ana").iter().skip(2).any(|line| line == "ana: two"), "{:?}", world.screen("ana"));
    world.check_folds();
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

const LATER: Run = Run { incarnation: 99, boot: 1 };

/// A member's word that it can give messages of a run of ana's.
fn offer(world: &World, kept: Vec<(u64, u64)>) -> MessagingFrame {
    let (author, head_id) = (world.id("ana"), MessageId([1; 32]));
    let head = kept.last().expect("an offer").1;
    let entry = FrontierEntry { author, run: LATER, head, head_id, recent: 1, kept };
    MessagingFrame::Frontier { answer: true, after: None, entries: vec![entry], more: false }
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
fn a_pull_that_was_open_while_its_loop_stood_still_is_asked_again_in_its_time() {
    let mut world = World::new(54, &["ana", "bo", "dee"]);
    let asked = asked_by_dee(&mut world, &["recovered", "frontier"]);
    let frame = offer(&world, vec![(2, 2)]);
    world.inject("bo", "dee", frame);
    world.run_for(MS * 5);
    assert_eq!(asked.borrow().len(), 1);
    let dee = world.index("dee");
    let next = world.with(dee, |machine, step| {
        step.now.time += SEC * 11;
        machine.handle_timeout(step);
        machine.poll_timeout().expect("it waits for an answer").since(step.now.time)
    });
    assert!(next > Duration::ZERO, "not at once");
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

/// Bo fetches 100 messages of 1,000 bytes, and one in ten of them is lost the first time. Gives how many were given, and how many
/// pulls were open at most.
fn fetched_with_losses() -> (World, u64, usize) {
    let mut world = World::new(66, &["ana", "bo"]);
    world.link.delay = MS * 25;
    world.crash("bo");
    world.run_for(SEC * 6);
    for _ in 0..100 {
        world.say("ana", &"x".repeat(1000));
        world.run_for(MS * 20);
    }
    let open = Rc::new(RefCell::new((0_usize, 0_usize)));
    let (seen, mut lost) = (Rc::clone(&open), BTreeSet::new());
    world.drop_frames(move |_, _, frame| {
        let (now, most) = &mut *seen.borrow_mut();
        match frame {
            MessagingFrame::Pull { .. } => *now += 1,
            MessagingFrame::PullEnd { .. } => *now = now.saturating_sub(1),
            _ => {}
        }
        *most = (*most).max(*now);
        kind_of(frame) == "recovered" && seq_of(frame).is_some_and(|seq| seq % 10 == 0 && lost.insert(seq))
    });
    world.start("bo");
    world.run_for(SEC * 2);
    let given = world.frames["recovered"];
    let most = open.borrow().1;
    (world, given, most)
}

#[test]
fn more_windows_than_one_are_under_way_and_what_came_after_a_loss_is_not_given_again() {
    let (mut world, given, most) = fetched_with_losses();
    assert_eq!(world.screen("bo").len(), 100);
    assert_eq!(given, 100 + 10, "each that was lost once more, and no other");
    assert!((2..=RECOVERY_PULLS_MAX).contains(&most), "{most} pulls were open at once");
    world.check_folds();
}

#[test]
fn who_asks_for_everything_at_once_has_few_pulls_waiting() {
    let mut world = World::new(67, &["ana", "bo"]);
    for number in 0..60 {
        world.say("ana", &format!("{number}"));
        world.run_for(MS * 20);
    }
    let (author, run) = (world.id("ana"), world.node("ana").run.expect("it runs"));
    // A window that waits for nothing but its turn: chat goes first.
    world.cut_one_way("bo", "ana");
    for _ in 0..100 {
        world.tell("ana", "bo", &"x".repeat(1000));
    }
    world.run_for(MS * 50);
    for first in 1..=60 {
        world.inject("bo", "ana", MessagingFrame::Pull { author, run, first, last: first });
    }
    let bo = world.id("bo");
    let waiting = world.machine("ana").peers.get(&bo).unwrap().giving.len();
    assert_eq!(waiting, 2 * RECOVERY_PULLS_MAX, "a message and an end for each of the last pulls");
    // What is asked for again takes the place of what waits.
    for _ in 0..10 {
        world.inject("bo", "ana", MessagingFrame::Pull { author, run, first: 55, last: 60 });
    }
    assert_eq!(world.machine("ana").peers.get(&bo).unwrap().giving.len(), 2 * 2 + 6 + 1);
}

#[test]
fn a_frontier_that_is_lost_is_said_again_within_seconds() {
    let mut world = World::new(71, &["ana", "bo"]);
    world.run_for(SEC);
    world.drop_frames(|from, _, frame| from == "ana" && matches!(kind_of(frame), "group" | "frontier"));
    world.say("ana", "unheard");
    // Its author gives up, and the frontiers that the difference brings are lost.
    world.run_for(SEC * 15);
    assert!(world.screen("bo").is_empty());
    world.drop_nothing();
    world.run_for(SEC * 20);
    assert_eq!(world.screen("bo"), ["ana: unheard"]);
    world.check_folds();
}

#[test]
fn an_older_run_comes_though_the_frontier_that_offered_it_was_lost() {
    let mut world = World::new(72, &["ana", "bo", "cy"]);
    world.run_for(SEC);
    world.cut("ana", "cy");
    world.cut("bo", "cy");
    world.say("ana", "in her first run");
    let first = world.run_of("ana");
    world.run_for(SEC);
    world.crash("ana");
    world.start("ana");
    world.run_for(SEC * 5);
    // Cy hears of her second run by itself, so that its digest, which is of newest runs, is that of bo.
    world.drop_frames(move |_, to, frame| {
        to == "cy" && (kind_of(frame) == "frontier" || message_of(frame).is_some_and(|message| message.run == first))
    });
    world.heal();
    world.run_for(SEC * 2);
    let last = world.say("ana", "in her second");
    world.run_for(SEC * 2);
    assert_eq!(world.outcome("ana", last, "cy"), Outcome::Delivered);
    assert_eq!(world.machine("cy").log.digest(), world.machine("bo").log.digest());
    // She is gone, and only bo can give what she said before.
    world.crash("ana");
    world.run_for(SEC * 8);
    assert_eq!(world.screen("cy"), ["ana: in her second"]);
    world.drop_nothing();
    world.run_for(SEC * 30);
    assert_eq!(world.screen("cy"), ["ana: in her second", "ana: in her first run"]);
    world.check_folds();
}
