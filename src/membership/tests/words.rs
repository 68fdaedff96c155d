//! What members say about each other and about this node, and what is made of it.

use std::time::Duration;

use super::super::Output;
use super::bench::{Bench, identity, run};
use crate::base::MemberId;
use crate::wire::MembershipFrame;

fn dials(bench: &Bench, id: MemberId) -> bool {
    bench.outputs.contains(&Output::Connect(id))
}

#[test]
fn who_is_wanted_is_dialled_although_it_restarts_meanwhile() {
    let mut bench = Bench::crowded();
    let far = bench.far();
    let id = identity(&far).id();
    bench.call(|machine, step| machine.want(step, id));
    assert!(dials(&bench, id));
    bench.show("bo", &far, run(200), 3);
    bench.outputs.clear();
    bench.pass(Duration::from_millis(1_100));
    assert!(!bench.machine.watch.watched().contains(&id));
    assert!(dials(&bench, id), "the new run is wanted as the older one was");
}

#[test]
fn a_flood_of_lies_about_this_node_is_answered_within_a_budget() {
    let mut bench = Bench::new();
    let (me, own) = (identity("ana").id(), bench.machine.run());
    bench.outputs.clear();
    for _ in 0..10_000 {
        let tick = bench.machine.own.tick(bench.now) + 4_000;
        bench.frame("mal", MembershipFrame::Unreachable { subject: me, run: own, tick, reports: Vec::new() });
    }
    let tick = bench.machine.own.tick(bench.now);
    assert!(tick < 100_000, "{tick}");
    let answers = bench.outputs.iter().filter(|output| matches!(output, Output::Send { .. })).count();
    assert!((1..=20).contains(&answers), "{answers}");
}
