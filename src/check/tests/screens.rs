//! Checks 2, 3 and 4, and of 6 the places: what is shown, in which order, and what is called missing.

use super::super::{Driver, Ended, Noted, What};
use super::{NOTHING, Story};
use crate::base::Presence;
use crate::node::api::{EventKind, Message};

#[test]
fn showing_a_message_again_after_a_restart_is_found() {
    let mut story = Story::of(["ana", "bo"]);
    let said = story.say("ana", 1);
    story.take("bo", said);
    story.restart("bo");
    story.show("bo", said);
    let found = story.found();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("2 bo shows ana#1") && found[0].ends_with("again"), "{found:?}");
    assert!(found[1].starts_with("3 "), "it is out of order too: {found:?}");
}

#[test]
fn storing_a_message_again_after_a_restart_is_found_though_no_screen_has_shown_it() {
    let mut story = Story::of(["ana", "bo"]);
    let said = story.say("ana", 1);
    story.store("bo", said);
    story.restart("bo");
    story.store("bo", said);
    let found = story.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("2 bo stores ana#1") && found[0].ends_with("again"), "{found:?}");
}

#[test]
fn a_home_that_was_rolled_back_shows_anew() {
    let mut story = Story::of(["ana", "bo"]);
    let said = story.say("ana", 1);
    story.take("bo", said);
    story.roll_back("bo");
    story.take("bo", said);
    assert_eq!(story.found(), NOTHING);
}

#[test]
fn two_real_processes_of_one_incarnation_share_its_places() {
    let story = |incarnation| {
        let mut story = Story::by(Driver::Processes, ["ana", "bo"]);
        let forgotten = story.say("ana", 1);
        story.take("bo", forgotten);
        story.end("ana", Ended::Crashed);
        story.line(Some("ana"), What::RolledBack { epoch: 1 });
        story.line(Some("ana"), What::Started { epoch: 1, run: None });
        let [nick, room, addr, ticket] = ["ana", "room", "", ""].map(ToOwned::to_owned);
        story.event("ana", EventKind::Ready { id: story.id("ana"), nick, room, addr, incarnation, ticket });
        let anew = story.write("ana", None, 1, "said anew");
        story.accept("ana", anew);
        story.store("ana", anew);
        story.show("ana", anew);
        story.take("bo", anew);
        story.found()
    };
    assert_eq!(story(101), NOTHING);
    assert!(story(102).iter().any(|found| found.starts_with("3 bo shows ana#1 after ana#1")), "{:?}", story(102));
}

#[test]
fn another_text_another_author_and_another_receiver_are_found() {
    let mut story = Story::of(["ana", "bo", "cy"]);
    let said = story.tell("ana", "bo", 1);
    let message = story.message(said).clone();
    story.store("bo", said);
    story.event("bo", EventKind::Message(Message { text: "something else".to_owned(), ..message.clone() }));
    let found = story.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("another text"), "{found:?}");

    let mut story = Story::of(["ana", "bo", "cy"]);
    let said = story.say("ana", 1);
    let message = Message { from: story.id("cy"), ..story.message(said).clone() };
    story.store("bo", said);
    story.event("bo", EventKind::Message(message));
    let found = story.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("as said by cy"), "{found:?}");
}

#[test]
fn what_was_never_said_or_was_undone_is_found() {
    let mut story = Story::of(["ana", "bo"]);
    let forged = story.write("ana", None, 1, "forged");
    story.take("bo", forged);
    let found = story.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("never said"), "{found:?}");

    let mut story = Story::of(["ana", "bo"]);
    let undone = story.write("ana", None, 1, "undone");
    story.accept("ana", undone);
    story.event("ana", EventKind::Undone { id: undone, handle: String::new(), reason: String::new() });
    assert_eq!(story.found(), NOTHING);
    story.take("bo", undone);
    assert!(story.found()[0].contains("never sent"));
}

#[test]
fn what_a_process_was_not_seen_to_say_is_looked_up_in_its_log() {
    let mut story = Story::by(Driver::Processes, ["ana", "bo"]);
    let said = story.write("ana", None, 1, "killed before it could tell");
    story.show("bo", said);
    let mut checker = story.checker();
    checker.handle_log("ana", &[story.message(said).clone()]);
    checker.finish();
    assert_eq!(super::found(&mut checker), NOTHING);
    let mut checker = story.checker();
    checker.handle_log("ana", &[]);
    checker.finish();
    assert_eq!(super::found(&mut checker).len(), 1);
}

#[test]
fn a_message_passed_over_without_a_word_is_found() {
    let mut story = Story::of(["ana", "bo"]);
    let said = [1, 2, 3].map(|seq| story.say("ana", seq));
    story.take("bo", said[0]);
    story.take("bo", said[2]);
    let found = story.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("3 bo shows ana#3, and neither ana#2"), "{found:?}");
}

#[test]
fn a_gap_first_and_a_late_arrival_are_in_order() {
    let mut story = Story::of(["ana", "bo"]);
    let said = [1, 2, 3].map(|seq| story.say("ana", seq));
    story.take("bo", said[0]);
    story.store("bo", said[2]);
    story.pass(3_000);
    story.gap("bo", "ana", 2, 2);
    story.show("bo", said[2]);
    story.pass(5_000);
    story.store("bo", said[1]);
    story.show_late("bo", said[1]);
    assert_eq!(story.found(), NOTHING);
}

#[test]
fn out_of_order_and_not_marked_as_late_is_found() {
    let mut story = Story::of(["ana", "bo"]);
    let said = [1, 2].map(|seq| story.tell("ana", "bo", seq));
    story.take("bo", said[1]);
    assert_eq!(story.found(), NOTHING, "nothing proves a hole in a private stream");
    story.take("bo", said[0]);
    let found = story.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("3 bo shows ana#1 after ana#2"), "{found:?}");
}

#[test]
fn what_an_earlier_process_had_on_disk_or_noted_may_be_passed_over() {
    let mut story = Story::of(["ana", "bo"]);
    let said = [1, 2, 3, 4, 5].map(|seq| story.say("ana", seq));
    story.take("bo", said[0]);
    story.store("bo", said[2]);
    let (author, incarnation) = (story.id("ana"), story.incarnation("ana"));
    story.note("bo", Noted::Gap { author, incarnation, first: 2, last: 2 });
    story.restart("bo");
    story.take("bo", said[3]);
    assert_eq!(story.found(), NOTHING);
    // In one process a note on the disk is no word to its person.
    let mut story = Story::of(["ana", "bo"]);
    let said = [1, 2, 3].map(|seq| story.say("ana", seq));
    story.take("bo", said[0]);
    story.note("bo", Noted::Gap { author, incarnation, first: 2, last: 2 });
    story.take("bo", said[2]);
    assert_eq!(story.found().len(), 1);
}

#[test]
fn a_newcomer_passes_over_history() {
    let mut story = Story::of(["ana", "bo"]);
    let said = [1, 2, 3].map(|seq| story.say("ana", seq));
    let (author, incarnation) = (story.id("ana"), story.incarnation("ana"));
    story.note("bo", Noted::History { author, incarnation, last: 2 });
    story.take("bo", said[2]);
    assert_eq!(story.found(), NOTHING);
}

#[test]
fn what_was_said_since_a_home_met_others_is_no_history_for_it() {
    let mut story = Story::of(["ana", "bo"]);
    let (author, incarnation) = (story.id("ana"), story.incarnation("ana"));
    story.say("ana", 1);
    story.member("bo", "ana", Presence::Alive, Vec::new());
    story.pass(5_000);
    story.note("bo", Noted::History { author, incarnation, last: 0 });
    story.restart("bo");
    story.pass(120_000);
    let said = [2, 3].map(|seq| story.say("ana", seq));
    story.note("bo", Noted::History { author, incarnation, last: 2 });
    story.take("bo", said[1]);
    assert_eq!(of_order(&story).len(), 1, "{:?}", story.found());
    // What was said before is.
    let mut story = Story::of(["ana", "bo"]);
    let said = [1, 2].map(|seq| story.say("ana", seq));
    story.member("bo", "ana", Presence::Alive, Vec::new());
    story.pass(120_000);
    story.note("bo", Noted::History { author, incarnation, last: 1 });
    story.take("bo", said[1]);
    assert_eq!(of_order(&story), NOTHING);
}

/// What is found of the order; that somebody is there is told without its evidence.
fn of_order(story: &Story) -> Vec<String> {
    story.found().into_iter().filter(|found| found.starts_with("3 ")).collect()
}

#[test]
fn each_run_of_an_author_is_an_order_of_its_own() {
    let mut story = Story::of(["ana", "bo"]);
    let before = [1, 2].map(|seq| story.say("ana", seq));
    story.take("bo", before[0]);
    story.restart("ana");
    let after = story.say("ana", 1);
    story.take("bo", after);
    story.store("bo", before[1]);
    story.show_late("bo", before[1]);
    assert_eq!(story.found(), NOTHING);
}

#[test]
fn of_processes_that_were_killed_the_log_has_the_last_word() {
    let mut story = Story::by(Driver::Processes, ["ana", "bo"]);
    let said = [1, 2, 3].map(|seq| story.write("ana", None, seq, "text"));
    for message in said {
        story.show("ana", message);
    }
    story.show("bo", said[0]);
    story.restart("bo");
    story.show("bo", said[2]);
    let judged = |log: &[Message]| {
        let mut checker = story.checker();
        checker.handle_log("bo", log);
        checker.finish();
        super::found(&mut checker)
    };
    let all = said.map(|message| story.message(message).clone());
    assert_eq!(judged(&all), NOTHING);
    assert_eq!(judged(&[all[0].clone(), all[2].clone()]).len(), 1);
}

#[test]
fn a_gap_with_a_message_that_is_held_or_that_never_was_is_found() {
    let mut story = Story::of(["ana", "bo"]);
    let said = [1, 2].map(|seq| story.say("ana", seq));
    story.take("bo", said[0]);
    story.pass(10);
    story.gap("bo", "ana", 1, 2);
    story.gap("bo", "ana", 2, 3);
    let found = story.found();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("4 bo tells a gap with ana#1, and holds it"), "{found:?}");
    assert!(found[1].starts_with("4 bo tells a gap with ana#3, and it was never said"), "{found:?}");
}

#[test]
fn what_has_just_reached_the_disk_is_not_held_yet() {
    let mut story = Story::of(["ana", "bo"]);
    let said = [1, 2, 3].map(|seq| story.say("ana", seq));
    story.take("bo", said[0]);
    story.pass(10);
    story.store("bo", said[1]);
    story.gap("bo", "ana", 2, 2);
    story.store("bo", said[2]);
    assert_eq!(story.found(), NOTHING);
    story.pass(10_001);
    story.gap("bo", "ana", 3, 3);
    assert_eq!(story.found().len(), 1, "by now it knows");
}

#[test]
fn two_messages_in_one_place_are_found_unless_the_author_lies() {
    let mut story = Story::of(["ana", "bo", "cy"]);
    let one = story.say("ana", 1);
    story.take("bo", one);
    let other = story.write("ana", None, 1, "another first one");
    story.accept("ana", other);
    story.take("cy", other);
    let found = story.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("6 ana said two messages as #1"), "{found:?}");
    story.lines.insert(1, story.lines[0].clone());
    story.lines[1].what = What::Dishonest { member: story.id("ana") };
    assert_eq!(story.found(), NOTHING);
}

#[test]
fn the_place_of_a_message_that_was_undone_is_free_again() {
    let mut story = Story::of(["ana", "bo"]);
    let undone = story.write("ana", None, 1, "the disk was full");
    story.accept("ana", undone);
    story.store("ana", undone);
    story.event("ana", EventKind::Undone { id: undone, handle: String::new(), reason: String::new() });
    let said = story.say("ana", 1);
    story.take("bo", said);
    assert_eq!(story.found(), NOTHING);
}

#[test]
fn streams_to_different_members_count_each_for_itself() {
    let mut story = Story::of(["ana", "bo", "cy"]);
    for to in ["bo", "cy"] {
        let told = story.tell("ana", to, 1);
        story.take(to, told);
    }
    let said = story.say("ana", 1);
    story.take("bo", said);
    assert_eq!(story.found(), NOTHING);
}
