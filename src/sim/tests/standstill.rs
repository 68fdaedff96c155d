//! What a node knows that stood still itself.

use std::time::Duration;

use super::super::{Unsynced, World};
use super::seconds;
use crate::node::api::EvidenceKind;

#[test]
fn what_waited_while_a_node_stood_still_was_heard_before_that_and_tells_nothing_of_who_hears_it() {
    for seed in 0..10 {
        let mut world = World::new(seed).members(["ana", "bo", "cy", "dee"]);
        world.run_for(seconds(5));
        world.pause("bo");
        world.run_for(seconds(3));
        world.crash("cy", Unsynced::Keep);
        world.run_for(seconds(22));
        world.resume("bo");
        world.run_for(Duration::from_millis(200));
        let view = |name| world.view("bo", name).expect("it was here");
        let heard_ms_ago = view("cy").heard_ms_ago.expect("it was heard");
        assert!(heard_ms_ago >= 22_000, "seed {seed}: heard {heard_ms_ago} ms ago, and it is dead for longer");
        for name in ["ana", "dee"] {
            assert_ne!(view(name).hears_me, Some(false), "seed {seed}: {name} was shown nothing, and hears all");
        }
        let at = world.why_member("bo", world.id("cy")).expect("it was here");
        let heard = at.verdict.evidence.iter().find(|item| item.kind == EvidenceKind::Heard).expect("it was heard");
        let now = world.why_member("bo", world.id("bo")).map(|me| me.since.0 + me.since_ms_ago).expect("it runs");
        assert!(now - heard.at.0 >= 22_000, "seed {seed}: dated {} ms ago", now - heard.at.0);
    }
}
