//! What members say about each other and about this node, and what is made of it.

use std::time::Duration;

use super::super::Output;
use super::bench::{Bench, identity, run};
use crate::base::MemberId;

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
