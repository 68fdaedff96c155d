//! Comparing views part by part: that a list says all that it is to say, however short the part is.

use std::time::Duration;

use super::super::Output;
use super::super::view::bucket;
use super::bench::{Bench, identity, run};
use crate::base::{MemberId, Run};
use crate::wire::{HeldMember, MembershipFrame};

const NO_RUN: Run = Run { incarnation: 0, boot: 0 };

fn line(member: MemberId, run: Run, tick: u64) -> HeldMember {
    HeldMember { member, run, version: 1, left: false, unreachable: false, tick }
}

/// The members of a crowd who stand in the same bucket as others, bucket by bucket, in the order of their ids.
fn neighbours() -> Vec<Vec<MemberId>> {
    let mut buckets = vec![Vec::new(); 64];
    for n in 0..80 {
        let id = identity(&format!("m{n}")).id();
        buckets[bucket(id)].push(id);
    }
    buckets.retain(|ids| ids.len() > 1);
    for ids in &mut buckets {
        ids.sort();
    }
    buckets
}

#[test]
fn who_knows_nobody_of_a_part_says_how_far_that_goes() {
    let mut bench = Bench::new();
    let ids = neighbours().remove(0);
    let (index, last) = (u8::try_from(bucket(ids[0])).unwrap(), ids[ids.len() - 1]);
    let held: Vec<_> = ids.iter().map(|&id| line(id, run(100), 3)).collect();
    bench.outputs.clear();
    bench.frame("mal", MembershipFrame::Bucket { index, after: None, done: false, answer: false, held });
    let answer = |output: &Output| match output {
        Output::Send { frame: MembershipFrame::Bucket { answer: true, held, .. }, .. } => {
            held.last().is_some_and(|line| line.member == last && line.run == NO_RUN && line.tick == 0)
        }
        _ => false,
    };
    assert!(bench.outputs.iter().any(answer), "{:?}", bench.outputs);
}

#[test]
fn who_lists_a_member_in_no_run_is_shown_all_up_to_it() {
    let mut bench = Bench::crowded();
    for ids in neighbours() {
        let (index, last) = (u8::try_from(bucket(ids[0])).unwrap(), ids[ids.len() - 1]);
        let held = vec![HeldMember { version: 0, ..line(last, NO_RUN, 0) }];
        bench.outputs.clear();
        bench.frame("mal", MembershipFrame::Bucket { index, after: None, done: false, answer: true, held });
        let shown = bench.outputs.iter().filter(|output| match output {
            Output::Send { to, frame: MembershipFrame::Cards(_) } => *to == identity("mal").id(),
            _ => false,
        });
        assert!(shown.count() >= ids.len(), "{:?}", bench.outputs);
    }
}

#[test]
fn who_calls_everybody_unreachable_has_a_few_looked_for_with_each_heartbeat() {
    let mut bench = Bench::crowded();
    let mut looked_for = |spans: u64| {
        bench.pass(Duration::from_secs(spans));
        bench.outputs.clear();
        for n in 0..80 {
            let id = identity(&format!("m{n}")).id();
            let held = vec![HeldMember { unreachable: true, ..line(id, run(100), 3) }];
            let index = u8::try_from(bucket(id)).unwrap();
            bench.frame("mal", MembershipFrame::Bucket { index, after: None, done: true, answer: true, held });
        }
        bench.outputs.iter().filter(|output| matches!(output, Output::Connect { .. })).count()
    };
    assert_eq!(looked_for(0), 4);
    assert_eq!(looked_for(0), 0, "others wait for the next heartbeat");
    assert_eq!(looked_for(1), 4);
}
