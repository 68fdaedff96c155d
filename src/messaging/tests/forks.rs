//! An author that tells two people two things: both find out, and so does everybody else.

use std::time::Duration;

use super::world::{MS, World, room};
use crate::base::{MessageId, Seq, Wall};
use crate::messaging::{Alarm, Record};
use crate::wire::{FrontierEntry, GroupMessage, MessagingFrame, Prev, Signed};

const SEC: Duration = Duration::from_secs(1);

/// A message that ana signs, whatever else she says.
fn forged(world: &World, seq: Seq, prev: Option<MessageId>, text: &str) -> Signed<GroupMessage> {
    let identity = world.identity("ana");
    let prev = prev.map_or(Prev::None, Prev::Same);
    let (author, run, said_at) = (identity.id(), world.run_of("ana"), Wall(1));
    let text = text.to_owned();
    Signed::sign(GroupMessage { room: room(), author, run, seq, prev, lamport: seq, said_at, text }, &identity)
}

fn tell(world: &mut World, to: &str, message: &Signed<GroupMessage>) {
    world.inject("ana", to, MessagingFrame::Group(message.bytes().to_vec()));
}

/// The proofs on a member's disk.
fn proofs(world: &World, name: &str) -> usize {
    world.records(name).iter().filter(|record| matches!(record, Record::Equivocation { .. })).count()
}

fn sorted(mut screen: Vec<String>) -> Vec<String> {
    screen.sort();
    screen
}

fn assert_all_know(world: &World, names: &[&str], screen: &[&str]) {
    for name in names {
        assert_eq!(sorted(world.screen(name)), screen, "{name}");
        assert!(matches!(world.alarms(name)[..], [Alarm::Equivocation { .. }]), "{name}: {:?}", world.alarms(name));
        assert_eq!(proofs(world, name), 1, "{name}");
    }
}

#[test]
fn who_was_told_different_things_finds_it_out_and_so_does_who_was_told_one_of_them() {
    let mut world = World::new(70, &["ana", "bo", "cy", "dee"]);
    world.has_liars = true;
    let [yes, no] = ["yes", "no"].map(|text| forged(&world, 1, None, text));
    tell(&mut world, "bo", &yes);
    tell(&mut world, "cy", &no);
    tell(&mut world, "dee", &yes);
    world.run_for(SEC * 10);
    assert_all_know(&world, &["bo", "cy", "dee"], &["ana: no", "ana: yes"]);
    world.check_folds();
}

#[test]
fn a_lie_is_found_where_its_author_went_on_with_one_side() {
    let mut world = World::new(71, &["ana", "bo", "cy"]);
    world.has_liars = true;
    let [yes, no] = ["yes", "no"].map(|text| forged(&world, 1, None, text));
    let more = forged(&world, 2, Some(no.id()), "as I said");
    tell(&mut world, "bo", &yes);
    tell(&mut world, "cy", &no);
    tell(&mut world, "cy", &more);
    world.run_for(SEC * 10);
    for name in ["bo", "cy"] {
        assert_eq!(sorted(world.screen(name)), ["ana: as I said", "ana: no", "ana: yes"], "{name}");
        assert!(world.alarms(name).iter().any(|alarm| matches!(alarm, Alarm::Equivocation { seq: 1, .. })), "{name}");
        assert_eq!(proofs(&world, name), 1, "{name}");
    }
}

#[test]
fn a_lie_is_found_where_its_author_went_on_with_both_sides() {
    let mut world = World::new(74, &["ana", "bo", "cy", "dee"]);
    world.has_liars = true;
    let [yes, no] = ["yes", "no"].map(|text| forged(&world, 1, None, text));
    let more = forged(&world, 2, Some(yes.id()), "as I said");
    tell(&mut world, "bo", &yes);
    tell(&mut world, "cy", &no);
    tell(&mut world, "dee", &yes);
    // The heads are the same from here on, so that no frontier differs.
    for name in ["bo", "cy", "dee"] {
        tell(&mut world, name, &more);
    }
    world.run_for(SEC * 10);
    for name in ["bo", "cy", "dee"] {
        assert_eq!(sorted(world.screen(name)), ["ana: as I said", "ana: no", "ana: yes"], "{name}");
        assert!(world.alarms(name).iter().any(|alarm| matches!(alarm, Alarm::Equivocation { seq: 1, .. })), "{name}");
        assert_eq!(proofs(&world, name), 1, "{name}");
    }
}

#[test]
fn who_was_away_is_given_the_proof_though_it_lacks_no_message() {
    let mut world = World::new(72, &["ana", "bo", "dee"]);
    world.has_liars = true;
    let [yes, no] = ["yes", "no"].map(|text| forged(&world, 1, None, text));
    tell(&mut world, "bo", &yes);
    tell(&mut world, "dee", &yes);
    world.run_for(SEC);
    world.crash("dee");
    tell(&mut world, "bo", &no);
    world.run_for(SEC);
    assert_eq!((proofs(&world, "bo"), proofs(&world, "dee")), (1, 0));
    world.start("dee");
    world.run_for(SEC * 10);
    assert_all_know(&world, &["bo", "dee"], &["ana: no", "ana: yes"]);
    world.check_folds();
}

#[test]
fn a_difference_that_is_made_up_gets_one_message_and_proves_nothing() {
    let mut world = World::new(73, &["ana", "bo", "cy"]);
    world.has_liars = true;
    let said = ["one", "two", "three"].map(|text| world.say("bo", text));
    world.run_for(SEC);
    let (author, run) = (world.id("bo"), world.run_of("bo"));
    let lie = |head| FrontierEntry { author, run, head, head_id: MessageId([9; 32]), recent: 1, kept: vec![(1, head)] };
    let before = world.frames["group"];
    let entries = vec![lie(2)];
    world.inject("ana", "cy", MessagingFrame::Frontier { answer: true, after: None, entries, more: false });
    world.run_for(MS * 500);
    assert_eq!(world.frames["group"], before + 1);
    for name in ["ana", "bo", "cy"] {
        assert_eq!((world.alarms(name), proofs(&world, name)), (vec![], 0), "{name}");
    }
    assert!(said.iter().all(|id| world.machine("cy").message(*id).is_some()));
}
