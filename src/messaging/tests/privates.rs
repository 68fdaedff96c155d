//! The order of private messages: on the screen, and in the log.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::world::{MS, World, kind_of};
use crate::base::Seq;
use crate::base::limits::REFUSED_MESSAGES_MAX;
use crate::messaging::{Outcome, Record};
use crate::wire::{MessagingFrame, PrivateMessage, RefusedReason, decode_layout};

const SEC: Duration = Duration::from_secs(1);

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
fn the_log_keeps_an_authors_order_where_its_later_words_were_still_on_their_way_to_the_disk() {
    let mut world = World::new(52, &["ana", "bo"]);
    world.disk("bo").latency = MS * 20;
    let sent = Rc::new(RefCell::new(Vec::new()));
    let seen = sent.clone();
    world.drop_frames(move |_, _, frame| {
        let MessagingFrame::Private(bytes) = frame else { return false };
        seen.borrow_mut().push(bytes.clone());
        true
    });
    let texts = ["one", "two", "three"];
    for text in texts {
        world.tell("ana", "bo", text);
    }
    world.run_for(MS * 50);
    world.drop_frames(|_, _, frame| kind_of(frame) == "private");
    // The network turned them round: each comes while those after it are not on disk yet.
    let mut sent = sent.take();
    sent.truncate(texts.len());
    for bytes in sent.into_iter().rev() {
        world.inject("ana", "bo", MessagingFrame::Private(bytes));
        world.run_for(MS);
    }
    world.run_for(SEC);
    assert_eq!(world.screen("bo"), ["ana: one", "ana: two", "ana: three"]);
    let mut log: Vec<(u64, Seq, String)> = world.records("bo").iter().filter_map(private_in_log).collect();
    log.sort();
    assert_eq!(log.into_iter().map(|(_, _, text)| text).collect::<Vec<_>>(), texts);
}

/// The place in the log of a private message that came, and its text.
fn private_in_log(record: &Record) -> Option<(u64, Seq, String)> {
    let Record::PrivateReceived { bytes, order, .. } = record else { return None };
    let message: PrivateMessage = decode_layout(bytes).expect("it was decoded when it came");
    Some((*order, message.seq, message.text))
}

#[test]
fn what_was_refused_and_came_all_the_same_is_delivered_by_a_receipt_after_a_restart() {
    let mut world = World::new(81, &["ana", "bo"]);
    world.disk("bo").full = true;
    let id = world.tell("ana", "bo", "can you take this?");
    world.run_for(SEC);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Refused);
    world.crash("ana");
    world.start("ana");
    world.run_for(SEC);
    let known = world.machine("ana").message(id).expect("it is known after the restart");
    let delivery = &known.deliveries[&world.id("bo")];
    assert_eq!((delivery.outcome, delivery.reason), (Outcome::Refused, Some(RefusedReason::DiskFull)));
    world.check_folds();
    // A copy that was long on its way.
    world.disk("bo").full = false;
    let sent = world.records("ana").iter().find_map(|record| match record {
        Record::PrivateSent { bytes, .. } => Some(bytes.to_vec()),
        _ => None,
    });
    world.inject("ana", "bo", MessagingFrame::Private(sent.expect("it was sent")));
    world.run_for(SEC);
    assert_eq!(world.screen("bo"), ["ana: can you take this?"]);
    assert_eq!(world.outcome("ana", id, "bo"), Outcome::Delivered);
    world.check_folds();
}

#[test]
fn of_many_that_were_refused_the_newest_are_known_after_a_restart() {
    let mut world = World::new(82, &["ana", "bo"]);
    world.disk("bo").full = true;
    let told: Vec<_> = (0..REFUSED_MESSAGES_MAX + 3)
        .map(|count| {
            let id = world.tell("ana", "bo", &format!("{count}"));
            world.run_for(MS * 100);
            id
        })
        .collect();
    world.run_for(SEC * 2);
    assert!(told.iter().all(|&id| world.outcome("ana", id, "bo") == Outcome::Refused));
    world.crash("ana");
    world.start("ana");
    let known = told.iter().filter(|&&id| world.machine("ana").message(id).is_some());
    assert_eq!(known.count(), REFUSED_MESSAGES_MAX);
    world.check_folds();
}
