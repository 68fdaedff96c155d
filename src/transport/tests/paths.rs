//! What the echo tells of a path, from any traffic.

use std::time::Duration;

use super::{DELAY, Net};
use crate::base::PerMille;

const SECOND: Duration = Duration::from_secs(1);

/// Both send a frame each second, half a second apart.
fn beat(net: &mut Net, seconds: u32) {
    for _ in 0..seconds {
        net.send(0, 1, b"tick");
        net.run_for(SECOND / 2);
        net.send(1, 0, b"tock");
        net.run_for(SECOND / 2);
    }
}

#[test]
fn the_round_trip_is_the_paths_own() {
    let mut net = Net::pair();
    beat(&mut net, 20);
    for (here, there) in [(0, 1), (1, 0)] {
        let path = net.nodes[here].transport.path(net.id(there)).unwrap();
        let rtt = path.rtt.unwrap();
        assert_eq!(rtt.smoothed, 2 * DELAY);
        assert!(rtt.variation < DELAY / 4, "{:?}", rtt.variation);
        assert_eq!((path.loss_in, path.loss_out), (Some(PerMille(0)), Some(PerMille(0))));
        assert!(net.now.since(path.heard.unwrap()) <= SECOND);
    }
}

#[test]
fn loss_is_told_apart_by_direction() {
    let mut net = Net::pair();
    let mut number = 0;
    net.judge = Box::new(move |from, _, _| {
        number += usize::from(from == 0);
        from == 1 || number % 4 != 0
    });
    beat(&mut net, 100);
    let ana = net.nodes[0].transport.path(net.id(1)).unwrap();
    let bo = net.nodes[1].transport.path(net.id(0)).unwrap();
    assert_eq!((ana.loss_out, ana.loss_in), (Some(PerMille(250)), Some(PerMille(0))));
    assert_eq!((bo.loss_out, bo.loss_in), (Some(PerMille(0)), Some(PerMille(250))));
}

#[test]
fn whether_the_peer_hears_us_shows_when_one_way_is_cut() {
    let mut net = Net::pair();
    beat(&mut net, 5);
    let cut_at = net.now;
    net.judge = Box::new(|from, _, _| from == 1);
    beat(&mut net, 5);
    let path = net.nodes[0].transport.path(net.id(1)).unwrap();
    assert!(path.heard.unwrap() > cut_at, "bo is heard");
    assert!(path.hears_me.unwrap() < cut_at, "but bo hears nothing");
}

#[test]
fn a_datagram_from_elsewhere_is_taken_but_answered_at_the_known_address() {
    let mut net = Net::pair();
    let known = net.nodes[0].address;
    net.send(0, 1, b"from the train");
    let (_, datagram) = net.underway.pop_first().unwrap();
    net.inject(1, "10.7.7.7:7".parse().unwrap(), &datagram.bytes);
    assert_eq!(net.frames(1), [b"from the train".to_vec()]);
    assert_eq!(net.nodes[1].transport.counters().moved, 1);
    assert_eq!(net.nodes[1].transport.address(net.id(0)), Some(known));
}
