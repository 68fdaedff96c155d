//! Bytes from strangers and from members who lie: counted, and without effect.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::super::pack::{Packed, Packer};
use super::{Event, Net, SECRET};
use crate::base::RoomId;
use crate::base::limits::REASSEMBLY_BYTES_MAX;
use crate::crypto::RoomSecret;

const SECOND: Duration = Duration::from_secs(1);

fn elsewhere() -> SocketAddr {
    "10.66.66.66:666".parse().unwrap()
}

/// The datagrams of a whole conversation: three handshake messages and data both ways.
fn conversation() -> Net {
    let mut net = Net::new(2);
    net.dial(0, 1);
    net.run_for(SECOND);
    net.send(0, 1, b"there");
    net.send(1, 0, b"here");
    net.run_for(SECOND);
    net
}

#[test]
fn a_stranger_gets_no_byte_back() {
    let mut net = Net::new(2);
    let stranger = net.add(66, &RoomSecret::from_bytes([4; 16]), super::ROOM);
    net.dial(stranger, 0);
    net.run_for(10 * SECOND);
    assert!(net.sent_by(0).is_empty());
    let counters = net.nodes[0].transport.counters();
    assert_eq!((counters.gate_failed, counters.datagrams_in), (5, 5));
    assert_eq!(net.nodes[stranger].transport.counters().dials_failed, 1);
}

#[test]
fn a_member_of_another_room_is_refused_by_its_card() {
    let mut net = Net::new(1);
    let other = net.add(5, &RoomSecret::from_bytes(SECRET), RoomId([1; 16]));
    for (from, to) in [(0, other), (other, 0)] {
        net.dial(from, to);
        net.run_for(10 * SECOND);
    }
    assert!(net.nodes.iter().all(|node| node.events.is_empty() && node.transport.sessions.is_empty()));
    assert!(net.nodes[0].transport.counters().handshakes_failed > 0);
}

#[test]
fn what_is_replayed_has_no_effect_and_no_answer() {
    let mut net = conversation();
    let recorded = std::mem::take(&mut net.sent);
    net.nodes.iter_mut().for_each(|node| node.events.clear());
    for datagram in &recorded {
        let to = net.at(datagram.to).unwrap();
        net.inject(to, datagram.from, &datagram.bytes);
        net.inject(to, elsewhere(), &datagram.bytes);
    }
    net.run_for(10 * SECOND);
    assert!(net.sent.is_empty(), "{} datagrams", net.sent.len());
    assert!(net.nodes.iter().all(|node| node.events.is_empty()));
    let counters = net.nodes[1].transport.counters();
    assert_eq!(counters.handshakes_replayed, 2);
    assert_eq!(counters.replayed, 2);
}

#[test]
fn a_replayed_first_message_gets_no_answer_elsewhere_even_in_time() {
    let mut net = Net::new(2);
    net.dial(0, 1);
    let first = net.sent[0].clone();
    net.inject(1, first.from, &first.bytes);
    net.sent.clear();
    net.inject(1, elsewhere(), &first.bytes);
    assert!(net.sent.is_empty());
    net.inject(1, first.from, &first.bytes);
    assert_eq!(net.sent.len(), 1, "but a repeat from its own place is answered");
    assert!(net.sent[0].bytes.len() <= first.bytes.len());
}

#[test]
fn false_fragments_of_a_member_keep_to_its_bounds() {
    let mut net = Net::pair();
    let peer = net.id(1);
    for seed in 0..60u8 {
        let mut frame = vec![seed; 20_000];
        frame[0] = 1;
        let mut packer = Packer::default();
        assert!(packer.push(super::Channel::Messaging, &frame, None));
        let first = packer.take().swap_remove(0);
        net.with(0, |transport, step| {
            let index = transport.peers[&peer].current.unwrap();
            transport.seal_and_transmit(step.now.time, index, first);
        });
    }
    net.run_for(SECOND);
    let transport = &net.nodes[1].transport;
    assert!(transport.reassembly_bytes <= REASSEMBLY_BYTES_MAX);
    assert_eq!(transport.counters().reassembly_dropped, 57);
}

#[test]
fn a_card_that_is_not_ours_supersedes_nothing() {
    let mut net = Net::pair();
    let (ana, peer) = (net.nodes[0].identity.clone(), net.id(1));
    let mut forged = super::card(&ana, net.nodes[0].address, super::run(9), super::ROOM).bytes().to_vec();
    for card in [forged.clone(), {
        *forged.last_mut().unwrap() ^= 1;
        forged
    }] {
        let mut items = Vec::new();
        crate::wire::sealed::Item::Superseded { card: &card }.write(&mut items);
        net.with(0, |transport, step| {
            let index = transport.peers[&peer].current.unwrap();
            transport.seal_and_transmit(step.now.time, index, Packed { items, labels: Vec::new() });
        });
    }
    net.run_for(SECOND);
    assert_eq!(net.nodes[1].transport.counters().undecodable, 2);
    assert!(net.nodes[1].events.iter().all(|event| matches!(event, Event::Heard { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damaged_datagrams_are_counted_and_change_nothing(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        bit in 0..8u8,
        cut in any::<bool>(),
    ) {
        // Each datagram of the conversation is damaged just before it arrives as it is.
        let total = conversation().sent.len();
        let victim = which.index(total);
        let mut net = Net::new(2);
        net.dial(0, 1);
        let mut seen = 0;
        let end = net.now + 2 * SECOND;
        let mut said = false;
        while net.now < end {
            if net.sent.len() > victim && seen <= victim {
                seen = victim + 1;
                let datagram = net.sent[victim].clone();
                let mut bytes = datagram.bytes.clone();
                let place = place.index(bytes.len());
                if cut { bytes.truncate(place) } else { bytes[place] ^= 1 << bit }
                let to = net.at(datagram.to).unwrap();
                let before = (net.sent.len(), net.nodes[to].events.len(), net.nodes[to].transport.poll_timeout());
                net.inject(to, datagram.from, &bytes);
                let after = (net.sent.len(), net.nodes[to].events.len(), net.nodes[to].transport.poll_timeout());
                prop_assert_eq!(before, after);
                let counters = *net.nodes[to].transport.counters();
                prop_assert!(counters.gate_failed + counters.tag_failed + counters.undecodable + counters.reserved
                    + counters.unknown_index + counters.replayed + counters.early > 0);
            }
            net.run_for(Duration::from_millis(5));
            if !said && net.opened(1) == 1 {
                said = true;
                net.send(0, 1, b"there");
                net.send(1, 0, b"here");
            }
        }
        prop_assert_eq!((net.frames(0), net.frames(1)), (vec![b"here".to_vec()], vec![b"there".to_vec()]));
        prop_assert_eq!((net.opened(0), net.opened(1)), (1, 1));
    }

    #[test]
    fn random_bytes_are_counted_and_change_nothing(mut bytes in prop::collection::vec(any::<u8>(), 0..1300), kind in 0..8u8) {
        let mut net = Net::pair();
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        let before = *net.nodes[0].transport.counters();
        net.inject(0, elsewhere(), &bytes);
        let after = *net.nodes[0].transport.counters();
        prop_assert_eq!(after.datagrams_in, before.datagrams_in + 1);
        let noticed = |c: super::super::Counters| c.gate_failed + c.undecodable + c.reserved + c.unknown_index;
        prop_assert_eq!(noticed(after), noticed(before) + 1);
        prop_assert!(net.sent.is_empty() && net.nodes[0].events.is_empty());
        prop_assert!(net.send(0, 1, b"still here"));
    }

    #[test]
    fn whatever_a_member_seals_does_no_harm(text in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut net = Net::pair();
        let peer = net.id(1);
        net.with(0, |transport, step| {
            let index = transport.peers[&peer].current.unwrap();
            transport.seal_and_transmit(step.now.time, index, Packed { items: text, labels: Vec::new() });
        });
        net.run_for(20 * SECOND);
        prop_assert_eq!(net.nodes[1].transport.reassembly_bytes, 0);
        net.nodes[1].events.clear();
        prop_assert!(net.send(0, 1, b"still here"));
        net.run_for(SECOND);
        prop_assert_eq!(net.frames(1), vec![b"still here".to_vec()]);
    }
}
