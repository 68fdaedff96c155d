//! Promises of the host's faults, on two real nodes.

use std::time::Duration;

use super::pair::{ANA, BO, Pair, address};
use super::*;
use crate::base::limits::DELAYED_DATAGRAMS_MAX;

/// Ana and bo, and no script.
fn pair() -> Pair {
    Pair::new(&[])
}

impl Pair {
    fn fault(&mut self, side: usize, spec: &str) {
        self.hosts[side].handle_fault(self.now, spec).unwrap();
        self.pump();
    }
}

#[test]
fn a_host_without_faults_holds_nothing_back() {
    let mut pair = pair();
    pair.run(5_000);
    assert!(!pair.sent[ANA].is_empty() && !pair.sent[BO].is_empty());
    assert_eq!(pair.dropped, [vec![], vec![]]);
    for host in &pair.hosts {
        assert_eq!(host.poll_timeout(), host.node().poll_timeout());
        assert_eq!(host.status(pair.now).faults, Vec::<String>::new());
    }
}

#[test]
fn what_is_delayed_on_its_way_out_leaves_when_it_is_due() {
    let mut pair = pair();
    pair.fault(ANA, "delay=200ms");
    let asked = pair.now.time;
    pair.hosts[ANA].handle_command(pair.now, Command::Say { text: "hello".into() }).unwrap();
    pair.pump();
    assert_eq!(pair.sent[ANA], []);
    pair.run(199);
    let due = asked + Duration::from_millis(200);
    assert_eq!(pair.hosts[ANA].poll_timeout(), Some(due));
    assert_eq!(pair.sent[ANA], []);
    pair.run(1);
    assert_eq!(pair.sent[ANA].first(), Some(&due));
    assert!(pair.counter(ANA, "fault_delayed") > 0);
}

#[test]
fn faults_that_are_off_let_the_delayed_come_and_the_new_pass_at_once() {
    let mut pair = pair();
    pair.fault(ANA, "delay=10s");
    let say = |pair: &mut Pair, text: &str| {
        pair.hosts[ANA].handle_command(pair.now, Command::Say { text: text.into() }).unwrap();
        pair.pump();
    };
    say(&mut pair, "held");
    assert_eq!(pair.sent[ANA], []);
    pair.fault(ANA, "off");
    say(&mut pair, "at once");
    assert!(pair.sent[ANA].contains(&pair.now.time));
    let due = pair.now.time + Duration::from_secs(10);
    pair.run(10_000);
    assert!(pair.sent[ANA].contains(&due));
}

#[test]
fn a_rule_acts_on_the_member_and_the_direction_that_it_names() {
    let mut pair = pair();
    pair.fault(ANA, "drop 100% to bo");
    pair.run(2_000);
    assert_eq!(pair.sent[ANA], []);
    assert!(pair.dropped[ANA].iter().all(|&dropped| dropped == (Way::Out, DropReason::Loss)));
    let dropped = pair.dropped[ANA].len();
    assert!(dropped > 0);
    pair.fault(ANA, "off");
    pair.fault(ANA, "cut from bo");
    pair.forget();
    pair.run(2_000);
    assert!(!pair.sent[ANA].is_empty());
    assert!(pair.dropped[ANA].iter().all(|&dropped| dropped == (Way::In, DropReason::Cut)));
    assert_eq!(pair.counter(ANA, "fault_dropped"), u64::try_from(dropped + pair.dropped[ANA].len()).unwrap());
}

#[test]
fn what_goes_wrong_for_one_is_suspected_by_the_other_and_heals() {
    let mut pair = pair();
    pair.fault(BO, "cut");
    pair.run(15_000);
    assert!(!pair.sees_alive(ANA) && !pair.sees_alive(BO));
    pair.fault(BO, "off");
    pair.run(15_000);
    assert!(pair.sees_alive(ANA) && pair.sees_alive(BO));
}

#[test]
fn no_more_is_held_back_than_there_is_room_for() {
    let mut pair = pair();
    pair.fault(ANA, "delay=60s from bo");
    for _ in 0..=DELAYED_DATAGRAMS_MAX {
        pair.hosts[ANA].handle_datagram(pair.now, address(BO), b"junk");
    }
    pair.pump();
    assert_eq!(pair.dropped[ANA], [(Way::In, DropReason::Queue)]);
    assert_eq!(pair.counter(ANA, "fault_overflowed"), 1);
}

#[test]
fn a_change_of_faults_is_told_and_a_wrong_one_changes_nothing() {
    let mut pair = pair();
    let host = &mut pair.hosts[ANA];
    assert!(matches!(host.handle_fault(pair.now, "lose 5%"), Err(FaultError::Spec(_))));
    assert!(matches!(host.handle_fault(pair.now, "cut to zoe"), Err(FaultError::Name(_))));
    assert!(matches!(host.handle_fault(pair.now, "cut from bo to bo"), Err(FaultError::Elsewhere { .. })));
    assert!(matches!(host.handle_fault(pair.now, "cut from ana to ana"), Err(FaultError::Elsewhere { .. })));
    assert!(host.poll_output().is_none());
    host.handle_fault(pair.now, "loss=5% to bo").unwrap();
    let told = std::iter::from_fn(|| host.poll_output()).find_map(|output| match output {
        Output::Event(Event { kind: EventKind::Fault { spec }, .. }) => Some(spec),
        Output::Event(_) | Output::Store { .. } | Output::Transmit { .. } | Output::Dropped { .. } => None,
    });
    assert_eq!(told, Some(Some("loss=5% to bo".into())));
    assert_eq!(host.faults(), ["loss=5% to bo"]);
}
