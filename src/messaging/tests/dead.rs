//! What is left for members that died with messages on their way to them: nothing, once those have lived their life.

use std::time::Duration;

use super::world::{MS, World};
use crate::base::{MemberId, Presence, Run};
use crate::messaging::Outcome;

const MEMBERS: u16 = 1_000;
const DAY: Duration = Duration::from_hours(24);
const RUN: Run = Run { incarnation: 1, boot: 1 };

fn member(number: u16) -> MemberId {
    let mut id = [7; 32];
    id[..2].copy_from_slice(&number.to_be_bytes());
    MemberId(id)
}

#[test]
fn nothing_is_left_for_a_thousand_that_died_after_their_messages_life() {
    let mut world = World::new(41, &["ana"]);
    for number in 0..MEMBERS {
        world.with(0, |ana, step| {
            ana.handle_presence(step, member(number), RUN, Presence::Alive);
            ana.handle_opened(step, member(number), RUN);
        });
    }
    // Half of them die before they are told anything, and half with it on its way.
    let die = |world: &mut World, number| {
        world.with(0, |ana, step| {
            ana.handle_presence(step, member(number), RUN, Presence::Unreachable);
            ana.handle_closed(step, member(number), RUN);
        });
    };
    (0..MEMBERS / 2).for_each(|number| die(&mut world, number));
    world.say("ana", "is anybody there?");
    let told: Vec<_> = (0..MEMBERS)
        .map(|number| world.with(0, |ana, step| ana.tell(step, member(number), "are you there?".to_owned())).unwrap())
        .collect();
    world.run_for(MS * 500);
    (MEMBERS / 2..MEMBERS).for_each(|number| die(&mut world, number));
    world.run_for(Duration::from_secs(60));
    let open = |world: &World| {
        let peers = world.machine("ana").peers.values();
        peers.map(|peer| peer.group.len() + peer.private.len() + peer.under_way().count()).sum::<usize>()
    };
    assert!(open(&world) >= usize::from(MEMBERS), "the private ones live on");

    world.run_for(DAY * 8);
    let ana = world.machine("ana");
    assert_eq!(open(&world), 0);
    for number in 0..MEMBERS {
        let outcome = ana.message(told[usize::from(number)]).unwrap().deliveries[&member(number)].outcome;
        let expected = if number < MEMBERS / 2 { Outcome::Expired } else { Outcome::Unknown };
        assert_eq!(outcome, expected, "{number}");
    }
    assert!(ana.poll_timeout().is_none_or(|at| at.since(world.now) > Duration::from_secs(60)), "only the sweep");
    for number in 0..MEMBERS {
        world.with(0, |ana, step| ana.handle_forgotten(step, member(number)));
    }
    assert_eq!(world.machine("ana").peers.len(), 0);
}
