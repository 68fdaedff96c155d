//! What nobody can give is a gap, and is said; and what is no gap.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::recovery::seq_of;
use super::world::{MS, World, kind_of};
use crate::base::{MessageId, Run};
use crate::messaging::{Answer, GapRecord, Record};
use crate::wire::{FrontierEntry, MessagingFrame};

const SEC: Duration = Duration::from_secs(1);

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
    assert!(late.recovered && late.late_ms.is_some_and(|late| late > 10_000), "{late:?}");
    assert_eq!(world.machine("bo").gaps().count(), 0);
    world.check_folds();
}

/// Bo starts in a room in which ana has said 600 messages.
fn that_bo_comes_to_late(seed: u64) -> World {
    let mut world = World::new(seed, &["ana", "bo"]);
    world.crash("bo");
    world.run_for(SEC * 6);
    for number in 1..=600 {
        world.say("ana", &format!("{number}"));
        world.run_for(MS);
    }
    world.run_for(SEC * 5);
    world.start("bo");
    world
}

#[test]
fn who_comes_to_the_room_late_gets_its_recent_history_and_no_gap() {
    let mut world = that_bo_comes_to_late(17);
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
fn what_was_said_while_a_newcomer_stood_still_is_no_history() {
    let mut world = World::new(19, &["ana", "bo", "cy"]);
    world.crash("cy");
    world.run_for(SEC * 6);
    // Nothing of what they hold, or say, reaches cy for a minute; then bo alone does, who has not got the first.
    world.drop_frames(|from, to, frame| to == "cy" || (from == "ana" && seq_of(frame) == Some(1)));
    world.start("cy");
    world.run_for(SEC * 50);
    world.say("ana", "lost to all");
    world.say("ana", "bo has this one");
    world.run_for(SEC);
    world.crash("ana");
    world.drop_nothing();
    world.run_for(SEC * 90);
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
    world.inject("bo", "cy", MessagingFrame::Frontier { answer: true, after: None, entries: Vec::new(), more: false });
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
    world.inject(
        "cy",
        "dee",
        MessagingFrame::Frontier { answer: true, after: None, entries: vec![entry], more: false },
    );
    world.run_for(MS * 6);
    // It comes before anything that was asked for.
    world.say("ana", "four");
    world.run_for(SEC * 10);
    assert!(world.screen("dee").contains(&"gap ana#2-2".to_owned()), "{:?}", world.screen("dee"));
    world.check_folds();
}

#[test]
fn a_first_peer_with_holes_hides_no_gap_from_a_newcomer() {
    let mut world = World::new(67, &["ana", "bo", "cy", "dee"]);
    world.crash("dee");
    world.run_for(SEC * 6);
    // Bo has the last two, and ana alone all but the first, which nobody gets.
    world.drop_frames(|from, to, frame| {
        from == "ana" && (seq_of(frame) == Some(1) || (to != "dee" && seq_of(frame).is_some_and(|seq| seq < 4)))
    });
    for number in 1..=5 {
        world.say("ana", &format!("{number}"));
    }
    world.run_for(MS * 200);
    world.crash("ana");
    world.crash("cy");
    world.start("dee");
    world.run_for(SEC * 5);
    assert_eq!(world.screen("dee"), ["ana: 4", "ana: 5"]);
    world.start("ana");
    world.run_for(SEC * 20);
    let screen = world.screen("dee");
    assert_eq!(screen[2..], ["ana: 2", "ana: 3", "gap ana#1-1"]);
    world.check_folds();
}

#[test]
fn where_a_run_begins_is_on_disk_before_the_first_message_shows() {
    let mut world = that_bo_comes_to_late(68);
    world.run_for(SEC * 5);
    let records = world.records("bo");
    let noted = records.iter().position(|record| matches!(record, Record::History { upto: 100, .. }));
    let shown = records.iter().position(|record| matches!(record, Record::GroupReceived { .. }));
    assert!(noted.is_some() && noted < shown, "{noted:?}, {shown:?}");
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
        world.inject("cy", "bo", MessagingFrame::Frontier { answer: true, after: None, entries, more: false });
    }
    world.say("ana", "still heard");
    world.run_for(SEC * 5);
    assert_eq!(world.screen("bo"), ["ana: still heard"]);
    assert!(world.machine("bo").log.author(ana).unwrap().runs.len() <= 2);
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

#[test]
fn a_gap_says_of_whom_it_came_that_the_disk_here_was_full() {
    let mut world = World::new(91, &["ana", "bo", "cy"]);
    let ana = world.id("ana");
    world.say("ana", "one");
    world.run_for(SEC);
    world.drop_frames(|_, to, frame| to == "bo" && seq_of(frame) == Some(2));
    world.say("ana", "lost");
    world.say("ana", "here");
    world.run_for(MS * 60);
    assert_eq!(world.machine("bo").counters().group, 2, "the third is on bo's disk");
    world.disk("bo").full = true;
    world.drop_nothing();
    world.run_for(SEC * 20);
    let gaps: Vec<GapRecord> = world.machine("bo").gaps().collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].asked.contains(&(ana, Answer::DiskFullHere)), "{gaps:?}");
    assert!(!gaps[0].asked.iter().any(|&(_, answer)| answer == Answer::NoAnswer), "{gaps:?}");
    world.disk("bo").full = false;
    world.run_for(SEC * 8);
    let left: Vec<GapRecord> = world.machine("bo").gaps().collect();
    assert_eq!(left, [], "{:?}", world.screen("bo"));
    assert!(world.screen("bo").contains(&"ana: lost".to_owned()), "{:?}", world.screen("bo"));
}
