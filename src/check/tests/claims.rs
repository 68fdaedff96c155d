//! Check 1: what is claimed to be delivered.

use super::super::{Driver, Ended, What};
use super::{NOTHING, Story};
use crate::base::MessageId;
use crate::node::api::Outcome;
use crate::wire::{FrameKind, Label};

fn receipt(story: &mut Story, from: &str, to: &str, message: MessageId) {
    let labels = vec![Label { frame: FrameKind::Receipt, message: Some(message) }];
    story.line(Some(from), What::Sent { to: Some(to.into()), bytes: 100, labels, wire: None });
}

#[test]
fn delivered_without_a_commit_is_found() {
    let mut story = Story::of(["ana", "bo"]);
    let said = story.tell("ana", "bo", 1);
    story.outcome("ana", said, "bo", Outcome::Delivered);
    story.take("bo", said);
    let found = story.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("1 ana says that ana#1") && found[0].contains("bo never committed it"), "{found:?}");
}

#[test]
fn what_one_member_committed_is_not_delivered_to_another() {
    let mut story = Story::of(["ana", "bo", "cy"]);
    let said = story.say("ana", 1);
    story.take("bo", said);
    story.outcome("ana", said, "cy", Outcome::Delivered);
    assert_eq!(story.found().len(), 1);
}

#[test]
fn a_receipt_before_the_commit_is_found_even_if_the_commit_follows() {
    let mut story = Story::of(["ana", "bo"]);
    let said = story.tell("ana", "bo", 1);
    receipt(&mut story, "bo", "ana", said);
    story.pass(2);
    story.take("bo", said);
    story.outcome("ana", said, "bo", Outcome::Delivered);
    let found = story.found();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("1 bo sends a receipt"), "{found:?}");
}

#[test]
fn a_receipt_for_what_a_crash_left_on_the_disk_is_true() {
    let mut story = Story::of(["ana", "bo"]);
    let said = story.tell("ana", "bo", 1);
    story.store("bo", said);
    story.end("bo", Ended::Crashed);
    story.start("bo", 0);
    receipt(&mut story, "bo", "ana", said);
    story.outcome("ana", said, "bo", Outcome::Delivered);
    assert_eq!(story.found(), NOTHING);
}

#[test]
fn a_receipt_that_outlives_its_home_is_true() {
    let mut story = Story::of(["ana", "bo"]);
    let said = story.tell("ana", "bo", 1);
    story.take("bo", said);
    receipt(&mut story, "bo", "ana", said);
    story.roll_back("bo");
    story.outcome("ana", said, "bo", Outcome::Delivered);
    assert_eq!(story.found(), NOTHING);
}

#[test]
fn a_liars_receipt_is_nobodys_fault() {
    let mut story = Story::of(["ana", "mallory"]);
    story.line(None, What::Dishonest { member: story.id("mallory") });
    let said = story.tell("ana", "mallory", 1);
    receipt(&mut story, "mallory", "ana", said);
    story.outcome("ana", said, "mallory", Outcome::Delivered);
    assert_eq!(story.found(), NOTHING);
}

#[test]
fn of_processes_it_is_asked_at_the_end_whatever_the_order_of_pipes() {
    let mut story = Story::by(Driver::Processes, ["ana", "bo", "cy"]);
    let (shown, logged, lost) =
        (story.write("ana", None, 1, "one"), story.write("ana", None, 2, "two"), story.write("ana", None, 3, "three"));
    for message in [shown, logged, lost] {
        story.show("ana", message);
        story.outcome("ana", message, "bo", Outcome::Delivered);
    }
    story.show("bo", shown);
    let mut checker = story.checker();
    // bo was killed before it could tell of the second; its log has it. cy's log is not known, so it is not judged.
    checker.handle_log("bo", &[story.message(shown).clone(), story.message(logged).clone()]);
    checker.finish();
    let found = super::found(&mut checker);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("1 ana says that ana#3"), "{found:?}");
    assert_eq!(story.found(), NOTHING, "without a log nothing is claimed");
}
