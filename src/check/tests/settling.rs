//! Checks 8 and 9: limits, and what a settled room looks like.

use super::super::{Ended, Noted};
use super::{NOTHING, Story, found};
use crate::base::Presence;
use crate::node::api::{EventKind, Outcome};

#[test]
fn a_table_beyond_its_limit_is_found_once() {
    let story = Story::of(["ana"]);
    let mut status = story.status("ana", &[]);
    status.limits.insert("gaps".to_owned(), 3);
    status.counters.insert("gaps_used".to_owned(), 3);
    status.counters.insert("peers_used".to_owned(), 99);
    let mut checker = story.checker();
    checker.handle_status("ana", &status);
    assert_eq!(found(&mut checker), NOTHING);
    status.counters.insert("gaps_used".to_owned(), 4);
    checker.handle_status("ana", &status);
    checker.handle_status("ana", &status);
    assert_eq!(found(&mut checker), ["8 ana holds 4 of gaps, of which 3 are allowed"]);
}

/// Why a core of those named, each holding all others of it alive, is not settled.
fn unsettled<const N: usize>(story: &Story, core: [&str; N]) -> Vec<String> {
    let statuses = core.map(|name| story.status(name, &core));
    let named: Vec<_> = core.into_iter().zip(&statuses).collect();
    story.checker().unsettled(&named, 10)
}

#[test]
fn a_room_where_all_hold_all_is_settled() {
    let mut story = Story::of(["ana", "bo", "cy"]);
    story.pass(10);
    let said = story.say("ana", 1);
    story.take("bo", said);
    let private = story.tell("bo", "ana", 1);
    story.take("ana", private);
    story.outcome("bo", private, "ana", Outcome::Delivered);
    let reasons = unsettled(&story, ["ana", "bo", "cy"]);
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].starts_with("cy neither shows nor misses ana#1"), "{reasons:?}");
    assert_eq!(unsettled(&story, ["ana", "bo"]), NOTHING, "nothing is asked of who is not in the core");
    story.take("cy", said);
    assert_eq!(unsettled(&story, ["ana", "bo", "cy"]), NOTHING);
}

#[test]
fn a_gap_that_was_told_or_noted_and_history_account_for_a_message() {
    let mut story = Story::of(["ana", "bo", "cy", "dee"]);
    story.pass(10);
    story.say("ana", 1);
    let (author, incarnation) = (story.id("ana"), story.incarnation("ana"));
    story.gap("bo", "ana", 1, 1);
    story.note("cy", Noted::Gap { author, incarnation, first: 1, last: 1 });
    story.note("dee", Noted::History { author, incarnation, last: 1 });
    assert_eq!(unsettled(&story, ["ana", "bo", "cy", "dee"]), NOTHING);
}

#[test]
fn nobody_answers_for_what_was_said_before_it_came_or_what_nobody_has() {
    let mut story = Story::of(["ana", "bo", "cy"]);
    story.pass(10);
    let said = story.say("ana", 1);
    story.take("bo", said);
    assert!(!unsettled(&story, ["bo", "cy"]).is_empty());
    story.end("ana", Ended::Crashed);
    let unheard = story.write("bo", None, 1, "lost with the power");
    story.accept("bo", unheard);
    story.take("cy", said);
    assert_eq!(unsettled(&story, ["bo", "cy"]), NOTHING);

    let mut story = Story::of(["ana"]);
    story.pass(10);
    story.say("ana", 1);
    story.pass(10);
    story.names.push("bo".to_owned());
    story.home("bo", story.id("bo"));
    story.start("bo", 0);
    assert_eq!(unsettled(&story, ["ana", "bo"]), NOTHING);
}

#[test]
fn views_must_hold_who_runs_as_it_runs_and_nobody_else() {
    let mut story = Story::of(["ana", "bo", "cy"]);
    let reasons = |story: &Story, ana: crate::node::api::Status| {
        let bo = story.status("bo", &["ana", "bo"]);
        story.checker().unsettled(&[("ana", &ana), ("bo", &bo)], 10)
    };
    let ana = story.status("ana", &["ana"]);
    assert_eq!(reasons(&story, ana), ["ana does not know bo"]);
    let mut ana = story.status("ana", &["ana", "bo"]);
    ana.members[1].incarnation -= 1;
    assert_eq!(reasons(&story, ana), ["ana holds bo alive as incarnation 100, and it runs as 101"]);
    let mut ana = story.status("ana", &["ana", "bo"]);
    ana.members[1].state = Presence::Suspect;
    assert_eq!(reasons(&story, ana), ["ana holds bo Suspect, and it runs"]);
    // cy runs, and is not of the core: ana may think of it as it likes.
    let ana = story.status("ana", &["ana", "bo", "cy"]);
    assert_eq!(reasons(&story, ana), NOTHING);
    story.end("cy", Ended::Crashed);
    let mut ana = story.status("ana", &["ana", "bo", "cy"]);
    assert_eq!(reasons(&story, ana.clone()), ["ana holds cy Alive, and it does not run"]);
    ana.members[2].state = Presence::Unreachable;
    assert_eq!(reasons(&story, ana), NOTHING);
}

#[test]
fn what_is_still_under_way_is_not_settled() {
    let mut story = Story::of(["ana", "bo"]);
    story.pass(10);
    let mut ana = story.status("ana", &["ana", "bo"]);
    ana.deliveries.sending = 2;
    let bo = story.status("bo", &["ana", "bo"]);
    assert_eq!(story.checker().unsettled(&[("ana", &ana), ("bo", &bo)], 10), ["ana is still sending (2)"]);

    let private = story.tell("ana", "bo", 1);
    assert_eq!(unsettled(&story, ["ana", "bo"]).len(), 1);
    assert_eq!(unsettled(&story, ["ana"]), NOTHING, "bo is not of the core");
    story.outcome("ana", private, "bo", Outcome::Unknown);
    assert_eq!(unsettled(&story, ["ana", "bo"]).len(), 1, "unknown is no end while both run");
    story.outcome("ana", private, "bo", Outcome::Refused);
    assert_eq!(unsettled(&story, ["ana", "bo"]), NOTHING);
}

#[test]
fn a_private_message_that_was_undone_or_lost_with_the_power_is_no_debt() {
    let mut story = Story::of(["ana", "bo"]);
    let lost = story.write("ana", Some("bo"), 1, "lost");
    story.accept("ana", lost);
    let undone = story.write("ana", Some("bo"), 2, "undone");
    story.accept("ana", undone);
    story.event("ana", EventKind::Undone { id: undone, handle: String::new(), reason: String::new() });
    assert_eq!(unsettled(&story, ["ana", "bo"]), NOTHING);
}

#[test]
fn an_unknown_room_delivery_to_who_holds_the_message_is_not_settled() {
    let mut story = Story::of(["ana", "bo"]);
    story.pass(10);
    let said = story.say("ana", 1);
    story.outcome("ana", said, "bo", Outcome::Unknown);
    story.take("bo", said);
    assert_eq!(unsettled(&story, ["ana", "bo"]).len(), 1);
    story.outcome("ana", said, "bo", Outcome::Delivered);
    assert_eq!(unsettled(&story, ["ana", "bo"]), NOTHING);
}

#[test]
fn an_end_that_was_stored_and_not_told_before_a_crash_is_one() {
    let mut story = Story::of(["ana", "bo"]);
    story.pass(10);
    let said = story.say("ana", 1);
    let private = story.tell("ana", "bo", 1);
    story.outcome("ana", said, "bo", Outcome::Sending);
    for message in [said, private] {
        story.take("bo", message);
    }
    assert_eq!(unsettled(&story, ["ana", "bo"]).len(), 2);
    for id in [said, private] {
        story.note("ana", Noted::Settled { id, member: story.id("bo") });
    }
    story.restart("ana");
    assert_eq!(unsettled(&story, ["ana", "bo"]), NOTHING);
}

#[test]
fn only_as_many_reasons_are_given_as_are_asked_for() {
    let story = Story::of(["ana", "bo", "cy"]);
    let ana = story.status("ana", &[]);
    let (bo, cy) = (story.status("bo", &[]), story.status("cy", &[]));
    let named = [("ana", &ana), ("bo", &bo), ("cy", &cy)];
    assert_eq!(story.checker().unsettled(&named, 10).len(), 6);
    assert_eq!(story.checker().unsettled(&named, 2).len(), 2);
}
