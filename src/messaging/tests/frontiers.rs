//! What nodes that know of thousands of runs tell each other of them.

use std::cell::RefCell;
use std::rc::Rc;

use super::world::{MS, World};
use crate::base::limits::{FRONTIER_RUNS_MAX, GIVEN_BYTES_PER_SECOND_MAX, SEND_QUEUE_BYTES_MAX};
use crate::base::{Lived, MemberId, MessageId, Run, Wall};
use crate::messaging::log::Kept;
use crate::wire::{MessagingFrame, codec};

const RUNS: usize = FRONTIER_RUNS_MAX + 2_000;

/// Has `name` hold one message of each of [`RUNS`] authors, the first the oldest.
fn fill(world: &mut World, name: &str) {
    let index = world.index(name);
    world.with(index, |machine, step| {
        for number in 0..u64::try_from(RUNS).unwrap() {
            let mut bytes = [7; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            let (author, id, run) = (MemberId(bytes), MessageId(bytes), Run { incarnation: 1, boot: number });
            let at = Wall(step.now.wall.0 - 100_000 + number);
            let (bytes, lived) = (vec![0; 100].into(), Lived(0));
            let kept = Kept { id, bytes, via: author, recovered: false, at, lived, duplicates: 0 };
            machine.log.commit((author, run, 1), kept, None);
        }
    });
}

#[test]
fn a_large_frontier_leaves_in_parts_to_its_last() {
    let mut world = World::new(71, &["ana", "bo"]);
    world.crash("ana");
    world.run_for(MS * 6_000);
    fill(&mut world, "bo");
    let said: Rc<RefCell<Vec<(usize, usize, bool)>>> = Rc::default();
    let heard = said.clone();
    world.drop_frames(move |from, _, frame| {
        if let ("bo", MessagingFrame::Frontier { entries, more, .. }) = (from, frame) {
            assert!(entries.iter().all(|entry| entry.run.boot >= 2_000), "the newest are said");
            heard.borrow_mut().push((codec::encode(frame).len(), entries.len(), *more));
        }
        // Only what is said is looked at.
        matches!(frame, MessagingFrame::Pull { .. })
    });
    world.start("ana");
    let mut passes = Vec::new();
    for _ in 0..5_000 {
        let before = said.borrow().len();
        world.run_for(MS);
        passes.push(said.borrow()[before..].iter().map(|part| part.0).sum::<usize>());
        if said.borrow().last().is_some_and(|part| !part.2) {
            break;
        }
    }
    let said = said.borrow();
    assert!(said.last().is_some_and(|part| !part.2), "the last part was said");
    assert_eq!(said.iter().map(|part| part.1).sum::<usize>(), FRONTIER_RUNS_MAX);
    let most = passes.iter().copied().max().unwrap();
    assert!(most < SEND_QUEUE_BYTES_MAX, "{most} bytes at once");
    let given = usize::try_from(GIVEN_BYTES_PER_SECOND_MAX).unwrap();
    assert!(most < given + 32 * 1024, "{most} bytes at once");
    world.run_for(MS * 100);
    assert!(world.machine("ana").peers.get(&world.id("bo")).unwrap().frontier_first.is_whole());
}

#[test]
fn a_frontier_of_which_parts_are_lost_each_time_comes_whole_all_the_same() {
    let mut world = World::new(72, &["ana", "bo"]);
    world.crash("ana");
    world.run_for(MS * 6_000);
    fill(&mut world, "bo");
    let parts: Rc<RefCell<usize>> = Rc::default();
    world.drop_frames(move |from, _, frame| {
        let is_part = from == "bo" && matches!(frame, MessagingFrame::Frontier { .. });
        *parts.borrow_mut() += usize::from(is_part);
        // Each third part is lost, which is 10 of each frontier.
        matches!(frame, MessagingFrame::Pull { .. }) || (is_part && parts.borrow().is_multiple_of(3))
    });
    world.start("ana");
    let bo = world.id("bo");
    let is_whole = |world: &World| world.machine("ana").peers.get(&bo).is_some_and(|bo| bo.frontier_first.is_whole());
    for _ in 0..60 {
        world.run_for(MS * 1_000);
        if is_whole(&world) {
            break;
        }
    }
    assert!(is_whole(&world), "a minute was not enough");
}
