//! Frames longer than a datagram, and many short ones in one.

use std::time::Duration;

use super::{Channel, Net};
use crate::base::limits::FRAME_BYTES_MAX;

const SECOND: Duration = Duration::from_secs(1);

fn long_frame(seed: u8) -> Vec<u8> {
    (0..FRAME_BYTES_MAX).map(|place| seed ^ u8::try_from(place % 255).unwrap()).collect()
}

#[test]
fn a_long_frame_arrives_whole() {
    let mut net = Net::pair();
    let frame = long_frame(1);
    assert!(net.send(0, 1, &frame));
    net.run_for(SECOND);
    assert_eq!(net.frames(1), [frame]);
    assert_eq!(net.nodes[1].transport.poll_timeout(), None);
}

#[test]
fn retries_fill_the_holes_that_loss_left() {
    let mut net = Net::pair();
    let frame = long_frame(2);
    let mut number = 0;
    net.judge = Box::new(move |from, _, _| {
        number += 1;
        from != 0 || number % 2 == 0
    });
    assert!(net.send(0, 1, &frame));
    net.run_for(SECOND);
    assert_eq!(net.frames(1).len(), 0);
    // The frame has an odd number of pieces, so this time the other half gets lost.
    assert!(net.send(0, 1, &frame));
    net.run_for(SECOND);
    assert_eq!(net.frames(1), [frame]);
}

#[test]
fn what_stays_unfinished_goes_after_ten_seconds() {
    let mut net = Net::pair();
    let mut number = 0;
    net.judge = Box::new(move |_, _, _| {
        number += 1;
        number != 3
    });
    assert!(net.send(0, 1, &long_frame(3)));
    net.run_for(9 * SECOND);
    assert!(net.nodes[1].transport.reassembly_bytes > 0);
    net.run_for(2 * SECOND);
    let transport = &net.nodes[1].transport;
    assert_eq!((transport.reassembly_bytes, transport.counters().reassembly_dropped), (0, 1));
    assert_eq!(transport.poll_timeout(), None);
}

#[test]
fn frames_of_one_pass_share_datagrams_and_keep_their_order() {
    let mut net = Net::pair();
    let peer = net.id(1);
    let frames: Vec<Vec<u8>> = (0..100u8).map(|number| vec![number; 40]).collect();
    net.with(0, |transport, _| {
        for frame in &frames {
            assert!(transport.send(peer, Channel::Messaging, frame, None));
        }
    });
    assert_eq!(net.sent_by(0).len(), 4);
    net.run_for(SECOND);
    assert_eq!(net.frames(1), frames);
}

#[test]
fn an_idle_heartbeat_keeps_to_its_budget() {
    let mut net = Net::pair();
    let (ana, bo) = (net.id(0), net.id(1));
    for _ in 0..200 {
        for (from, peer) in [(0, bo), (1, ana)] {
            net.with(from, |transport, _| {
                assert!(transport.send(peer, Channel::Membership, &[1; 25], None));
                assert!(transport.send(peer, Channel::Messaging, &[2; 10], None));
            });
            net.run_for(SECOND / 2);
        }
    }
    let longest = net.sent.iter().map(|datagram| datagram.bytes.len()).max();
    assert_eq!(longest, Some(29 + 6 + 1 + 25 + 1 + 10));
}
