//! Restarts, lives that are over, and what comes too late from them.

use std::time::Duration;

use super::{Event, Net, card, new_transport, run};
use crate::base::Run;
use crate::crypto::RoomSecret;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn what_comes_from_a_life_before_is_stale() {
    let mut net = Net::pair();
    net.send(1, 0, b"too late");
    let late: Vec<_> = net.underway.values().cloned().collect();
    net.underway.clear();
    net.restart(1, 2);
    net.dial(1, 0);
    net.run_for(SECOND);
    let events = &net.nodes[0].events;
    assert!(matches!(events[0], Event::Closed { run: over, .. } if over == run(1)));
    assert!(matches!(events[1], Event::Opened { run: new, .. } if new == run(2)));
    for datagram in late {
        net.inject(0, datagram.from, &datagram.bytes);
    }
    assert_eq!(net.frames(0).len(), 0);
    assert_eq!(net.nodes[0].transport.counters().stale, 1);
}

#[test]
fn a_proven_run_ends_older_sessions_without_a_handshake() {
    let mut net = Net::pair();
    let proof = card(&net.nodes[1].identity, net.nodes[1].address, run(2), super::ROOM);
    net.with(0, |transport, step| transport.prove(step, &proof));
    assert_eq!(net.closed(0), 1);
    assert!(!net.send(0, 1, b"nobody"));
    net.send(1, 0, b"old");
    net.run_for(SECOND);
    assert_eq!(net.frames(0).len(), 0);
    assert_eq!(net.nodes[0].transport.counters().stale, 1);
}

#[test]
fn a_node_that_knows_a_peers_address_finds_it_again_after_its_own_restart() {
    let mut net = Net::pair();
    net.restart(1, 2);
    net.introduce(0, 1);
    for _ in 0..3 {
        net.send(0, 1, b"are you there?");
    }
    net.run_for(SECOND);
    assert_eq!((net.opened(0), net.opened(1)), (1, 1));
    assert_eq!(net.nodes[1].transport.counters().dials, 1);
    assert!(net.send(0, 1, b"again"));
    net.run_for(SECOND);
    assert_eq!(net.frames(1), [b"again".to_vec()]);
}

#[test]
fn an_unknown_index_from_an_unknown_address_gets_no_answer() {
    let mut net = Net::pair();
    net.restart(1, 2);
    net.sent.clear();
    net.send(0, 1, b"are you there?");
    net.run_for(SECOND);
    assert!(net.sent_by(1).is_empty());
    assert_eq!(net.nodes[1].transport.counters().unknown_index, 1);
}

#[test]
fn an_unknown_index_starts_at_most_one_handshake_in_five_seconds() {
    let mut net = Net::pair();
    net.restart(1, 2);
    net.introduce(0, 1);
    net.judge = Box::new(|from, _, _| from == 0);
    for _ in 0..95 {
        net.send(0, 1, b"are you there?");
        net.run_for(SECOND / 10);
    }
    assert_eq!(net.nodes[1].transport.counters().dials, 2);
}

#[test]
fn a_node_whose_run_is_over_is_refused_and_shown_why() {
    let mut net = Net::pair();
    net.restart(1, 5);
    net.dial(1, 0);
    net.run_for(SECOND);
    net.restart(1, 3);
    net.nodes[0].events.clear();
    for (from, to) in [(1, 0), (0, 1)] {
        net.dial(from, to);
        net.run_for(SECOND);
        assert_eq!(net.opened(0), 0, "refused by who knows better");
        let Some(Event::Superseded { card, .. }) = net.nodes[1].events.last() else {
            panic!("not shown: {:?}", net.nodes[1].events);
        };
        assert_eq!(card.value().run, run(5));
        assert_eq!(net.closed(1), net.opened(1));
        net.run_for(10 * SECOND);
    }
    // Two hellos, and the datagram by which the refused one ended message 3.
    assert_eq!(net.nodes[0].transport.counters().stale, 3);
}

#[test]
fn a_proof_that_was_only_heard_of_is_shown_as_well() {
    let mut net = Net::new(2);
    let proof = card(&net.nodes[1].identity, net.nodes[1].address, run(9), super::ROOM);
    net.introduce(1, 0);
    net.with(0, |transport, step| transport.prove(step, &proof));
    net.dial(1, 0);
    net.run_for(SECOND);
    assert!(net.nodes[1].events.iter().any(|event| matches!(event, Event::Superseded { card, .. } if *card == proof)));
}

#[test]
fn a_copied_home_is_told_above() {
    let mut net = Net::pair();
    let node = &mut net.nodes[1];
    let copy = Run { incarnation: 1, boot: 99 };
    let secret = RoomSecret::from_bytes(super::SECRET);
    node.transport = new_transport(&node.identity, node.address, copy, &secret, super::ROOM);
    net.dial(1, 0);
    net.run_for(SECOND);
    let told = |event: &Event| matches!(event, Event::Opened { run, .. } if *run == copy);
    assert!(net.nodes[0].events.iter().any(told));
    assert_eq!(net.closed(0), 0, "neither ends the other: that is for membership to say");
}

#[test]
fn a_copy_of_ones_own_home_is_told_and_gets_no_session() {
    let mut net = Net::new(1);
    net.add(1, &RoomSecret::from_bytes(super::SECRET), super::ROOM);
    let identity = net.nodes[0].identity.clone();
    let copy =
        new_transport(&identity, net.nodes[1].address, run(2), &RoomSecret::from_bytes(super::SECRET), super::ROOM);
    net.nodes[1].transport = copy;
    net.dial(0, 1);
    net.run_for(SECOND);
    assert!(matches!(&net.nodes[0].events[..], [Event::Myself { card, .. }] if card.value().run == run(2)));
    assert!(net.nodes.iter().all(|node| node.transport.sessions.is_empty()));
}

#[test]
fn who_left_is_not_heard_any_more_and_not_dialled_for_what_comes_late() {
    let mut net = Net::pair();
    net.introduce(1, 0);
    let peer = net.id(1);
    net.with(0, |transport, step| transport.close(step, peer));
    assert_eq!(net.closed(0), 1);
    net.send(1, 0, b"one more thing");
    net.run_for(10 * SECOND);
    assert!(net.sent_by(0).is_empty());
    assert_eq!((net.frames(0).len(), net.nodes[0].transport.counters().stale), (0, 1));
}

#[test]
fn who_was_let_go_while_it_slept_is_dialled_when_it_speaks() {
    let mut net = Net::pair();
    net.introduce(1, 0);
    let peer = net.id(1);
    net.with(0, |transport, step| transport.release(step, peer));
    assert_eq!(net.closed(0), 1);
    net.send(1, 0, b"good morning");
    net.run_for(SECOND);
    assert_eq!((net.opened(0), net.opened(1)), (1, 1));
    assert_eq!(net.nodes[0].transport.counters().stale, 0);
    net.send(1, 0, b"are you there?");
    net.run_for(SECOND);
    assert_eq!(net.frames(0), [b"are you there?".to_vec()]);
}

/// Its three first messages are out, and the next dial would be two seconds away.
#[test]
fn who_speaks_while_it_is_dialled_in_vain_is_sent_the_first_message_once_more() {
    let mut net = Net::pair();
    net.introduce(1, 0);
    let peer = net.id(1);
    net.with(0, |transport, step| transport.release(step, peer));
    net.judge = Box::new(|from, _, _| from == 1);
    net.connect(0, 1);
    net.run_for(SECOND);
    let lost = std::cell::Cell::new(false);
    net.judge = Box::new(move |from, _, _| from == 1 || lost.replace(true));
    net.send(1, 0, b"good morning");
    net.run_for(SECOND);
    assert_eq!((net.opened(0), net.opened(1)), (1, 1), "although it is lost once more");
    assert_eq!(net.nodes[0].transport.counters().dials, 2, "the first one, and this");
}

#[test]
fn a_forgotten_peer_leaves_nothing_behind() {
    let mut net = Net::pair();
    net.introduce(1, 0);
    let peer = net.id(1);
    net.nodes[0].transport.forget(peer);
    let transport = &net.nodes[0].transport;
    assert!(transport.peers.is_empty() && transport.sessions.is_empty() && transport.cards.is_empty());
    assert_eq!(transport.poll_timeout(), None);
}
