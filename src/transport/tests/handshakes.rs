//! How sessions come about, whatever is lost or doubled on the way.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;

use super::{DELAY, Event, Net, run};
use crate::base::Rng;
use crate::wire::datagram::FIRST_BYTES;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_handshake_shows_each_side_the_other_and_falls_silent() {
    let mut net = Net::new(2);
    net.dial(0, 1);
    net.run_for(Duration::from_secs(30));
    for (here, there) in [(0, 1), (1, 0)] {
        let Some(Event::Opened { peer, run: shown, card, address, seen_at, .. }) = net.nodes[here].events.first()
        else {
            panic!("nothing opened at {here}");
        };
        assert_eq!((*peer, *shown), (net.id(there), run(1)));
        assert_eq!(card.value().member, net.id(there));
        assert_eq!((*address, *seen_at), (net.nodes[there].address, net.nodes[here].address));
        assert_eq!(net.nodes[here].transport.poll_timeout(), None);
    }
    let sizes: Vec<usize> = net.sent.iter().map(|datagram| datagram.bytes.len()).collect();
    assert_eq!(sizes.len(), 4, "three messages and the datagram that ends the repeats");
    assert!(sizes.iter().all(|&bytes| bytes <= FIRST_BYTES));
    assert_eq!(net.nodes[0].transport.path(net.id(1)).unwrap().rtt.unwrap().smoothed, 2 * DELAY);
}

#[test]
fn any_one_message_may_be_lost() {
    for lost in 0..4 {
        let mut net = Net::new(2);
        let count = Rc::new(Cell::new(0));
        net.judge = Box::new(move |_, _, _| {
            count.set(count.get() + 1);
            count.get() - 1 != lost
        });
        net.dial(0, 1);
        net.run_for(5 * SECOND);
        assert_eq!((net.opened(0), net.opened(1)), (1, 1), "datagram {lost} lost");
        assert!(net.send(0, 1, b"there") && net.send(1, 0, b"here"));
        net.run_for(SECOND);
        assert_eq!((net.frames(0), net.frames(1)), (vec![b"here".to_vec()], vec![b"there".to_vec()]));
        assert_eq!(net.nodes[0].transport.poll_timeout(), None, "datagram {lost} lost");
    }
}

#[test]
fn every_datagram_may_be_doubled() {
    let mut net = Net::new(2);
    net.dial(0, 1);
    for _ in 0..20 {
        net.run_for(DELAY / 2);
        for datagram in net.underway.values().cloned().collect::<Vec<_>>() {
            net.transmit(datagram);
        }
        if net.sent.len() > 200 {
            break;
        }
    }
    net.underway.clear();
    net.send(0, 1, b"once");
    net.run_for(SECOND);
    assert_eq!((net.opened(0), net.opened(1)), (1, 1));
    assert_eq!(net.frames(1), [b"once".to_vec()]);
}

#[test]
fn data_may_follow_the_third_message_at_once() {
    let mut net = Net::new(2);
    net.dial(0, 1);
    net.run_for(2 * DELAY);
    assert_eq!(net.opened(0), 1);
    assert!(net.send(0, 1, b"early bird"));
    net.run_for(DELAY);
    assert_eq!(net.frames(1), [b"early bird".to_vec()]);
}

#[test]
fn crossed_handshakes_end_on_the_session_that_the_lower_id_began() {
    let mut net = Net::new(2);
    net.dial(0, 1);
    net.dial(1, 0);
    net.run_for(SECOND);
    assert_eq!((net.opened(0), net.opened(1)), (1, 1), "told once");
    let lower = usize::from(net.id(1) < net.id(0));
    for who in [0, 1] {
        let node = &net.nodes[who].transport;
        assert_eq!(node.sessions.len(), 2);
        let current = node.peers.values().next().unwrap().current.unwrap();
        assert_eq!(node.sessions[&current].begun_here, who == lower);
    }
    assert!(net.send(0, 1, b"there") && net.send(1, 0, b"here"));
    net.run_for(SECOND);
    assert_eq!((net.frames(0), net.frames(1)), (vec![b"here".to_vec()], vec![b"there".to_vec()]));
}

#[test]
fn a_dial_that_nobody_answers_ends() {
    let mut net = Net::new(1);
    net.with(0, |transport, step| transport.dial(step, "10.9.9.9:1".parse().unwrap()));
    net.run_for(10 * SECOND);
    assert_eq!(net.sent.len(), 5);
    assert_eq!(net.nodes[0].transport.counters().dials_failed, 1);
    assert_eq!(net.nodes[0].transport.poll_timeout(), None);
    assert!(net.nodes[0].events.is_empty());
}

#[test]
fn a_session_that_is_never_confirmed_is_given_up() {
    let mut net = Net::new(2);
    let second = Rc::new(Cell::new(false));
    net.judge = Box::new(move |_, _, bytes| bytes[0] == 1 || (bytes[0] == 2 && !second.replace(true)));
    net.dial(0, 1);
    net.run_for(10 * SECOND);
    assert_eq!((net.opened(0), net.closed(0), net.opened(1)), (1, 1, 0));
    assert!(net.nodes.iter().all(|node| node.transport.sessions.is_empty() && node.transport.half_opens.len() == 0));
    assert!(net.nodes.iter().all(|node| node.transport.poll_timeout().is_none()));
}

#[test]
fn the_next_address_is_tried_before_the_first_has_failed() {
    let mut net = Net::new(2);
    let (peer, address) = (net.id(1), net.nodes[1].address);
    let addresses = ["10.9.9.9:1".parse().unwrap(), address];
    net.with(0, |transport, step| transport.connect(step, peer, &addresses));
    net.with(0, |transport, step| transport.connect(step, peer, &addresses));
    net.run_for(SECOND / 2);
    assert_eq!((net.opened(0), net.nodes[0].transport.counters().dials), (1, 2));
    assert_eq!(net.nodes[0].transport.address(peer), Some(address));
    assert_eq!(net.nodes[0].transport.poll_timeout(), None, "the other attempt is over");
}

#[test]
fn connect_does_nothing_while_a_session_is_heard_and_dials_when_it_is_silent() {
    let mut net = Net::pair();
    net.connect(0, 1);
    assert!(net.sent.is_empty());
    net.run_for(6 * SECOND);
    net.connect(0, 1);
    net.run_for(SECOND);
    assert_eq!((net.opened(0), net.closed(0)), (1, 0), "a new session, and the old one is no loss");
    for _ in 0..3 {
        net.run_for(6 * SECOND);
        net.connect(0, 1);
    }
    net.run_for(SECOND);
    assert_eq!(net.nodes[0].transport.sessions.len(), 3);
    assert_eq!(net.nodes[1].transport.sessions.len(), 3);
    assert!(net.send(0, 1, b"there") && net.send(1, 0, b"here"));
    net.run_for(SECOND);
    assert_eq!((net.frames(0), net.frames(1)), (vec![b"here".to_vec()], vec![b"there".to_vec()]));
}

#[test]
fn the_first_frames_of_a_new_session_do_not_go_to_a_dead_one() {
    let mut net = Net::pair();
    let ana = net.id(0);
    net.with(1, |transport, step| transport.close(step, ana));
    net.run_for(6 * SECOND);
    net.connect(0, 1);
    net.run_for(2 * DELAY);
    assert_eq!(net.opened(0), 1);
    assert!(net.send(0, 1, b"first"));
    net.run_for(SECOND);
    assert_eq!(net.frames(1), [b"first".to_vec()]);
}

#[test]
fn a_session_that_carries_is_used_until_its_successor_is_heard_on() {
    let mut net = Net::pair();
    net.dial(0, 1);
    net.judge = Box::new(|_, _, bytes| bytes[0] != 3);
    net.run_for(2 * DELAY);
    assert_eq!(net.opened(0), 1);
    assert!(net.send(0, 1, b"not lost"));
    net.run_for(SECOND);
    assert_eq!(net.frames(1), [b"not lost".to_vec()]);
}

#[test]
fn a_peer_that_lost_one_of_two_sessions_is_followed_to_the_other() {
    let mut net = Net::new(2);
    net.dial(0, 1);
    net.dial(1, 0);
    net.run_for(SECOND);
    let (ana, bo) = (net.id(0), net.id(1));
    let in_use = net.nodes[1].transport.peers[&ana].current.unwrap();
    net.nodes[1].transport.forget_session(in_use);
    net.nodes[0].events.clear();
    for _ in 0..8 {
        net.send(0, 1, b"there");
        net.send(1, 0, b"here");
        net.run_for(SECOND / 2);
    }
    let overtaken = net.nodes[0].events.iter().filter_map(|event| match event {
        Event::Heard { path, .. } => Some(path.overtaken),
        _ => None,
    });
    let overtaken: Vec<_> = overtaken.collect();
    assert_eq!((overtaken.first(), overtaken.last()), (Some(&true), Some(&false)), "it may be, until it is followed");
    net.nodes[1].events.clear();
    assert!(net.send(0, 1, b"there"));
    net.run_for(SECOND);
    assert_eq!(net.frames(1), [b"there".to_vec()]);
    assert_eq!(net.nodes[0].transport.peers[&bo].sessions.len(), 2);
}

#[test]
fn a_raised_run_of_ones_own_makes_connect_dial() {
    let mut net = Net::pair();
    let raised = super::card(&net.nodes[0].identity, net.nodes[0].address, run(2), super::ROOM);
    net.nodes[0].transport.set_card(raised);
    net.connect(0, 1);
    net.run_for(SECOND);
    assert_eq!((net.opened(0), net.closed(0)), (1, 0));
    assert!(matches!(net.nodes[1].events[..], [Event::Closed { run: old, .. }, Event::Opened { run: new, .. }, ..]
        if old == run(1) && new == run(2)));
    assert!(net.send(0, 1, b"there") && net.send(1, 0, b"here"));
    net.run_for(SECOND);
    assert_eq!((net.frames(0), net.frames(1)), (vec![b"here".to_vec()], vec![b"there".to_vec()]));
}

#[test]
fn dialling_oneself_is_noticed() {
    let mut net = Net::new(1);
    net.dial(0, 0);
    net.run_for(SECOND);
    let own = net.nodes[0].address;
    assert!(matches!(&net.nodes[0].events[..], [Event::Myself { address, card }]
        if *address == own && card.value().run == run(1)));
    assert_eq!(net.sent.len(), 1);
}

#[test]
fn a_session_is_replaced_before_its_counters_are_used_up() {
    let mut net = Net::pair();
    let before: Vec<u32> = net.nodes[0].transport.sessions.keys().copied().collect();
    net.nodes[0].transport.sessions.get_mut(&before[0]).unwrap().spend(2);
    for number in 0..10u8 {
        assert!(net.send(0, 1, &[number]) || number > 0);
        net.run_for(SECOND);
    }
    assert_eq!(net.frames(1).len(), 10);
    let peer = &net.nodes[0].transport.peers[&net.id(1)];
    assert!(peer.current.is_some_and(|index| index != before[0]));
    assert_eq!(net.closed(0), 0, "the successor was there in time");
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Dial(usize),
    Connect(usize),
    Close(usize),
    Restart(usize),
    Say(usize),
    Pass(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0..2usize).prop_map(Happening::Dial),
        (0..2usize).prop_map(Happening::Connect),
        (0..2usize).prop_map(Happening::Close),
        (0..2usize).prop_map(Happening::Restart),
        (0..2usize).prop_map(Happening::Say),
        (0..3_000u64).prop_map(Happening::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn after_any_history_two_that_dial_and_beat_hear_each_other(
        history in prop::collection::vec(happening(), 0..40),
        seed in any::<u8>(),
    ) {
        let mut net = Net::new(2);
        let (mut luck, mut incarnations) = (Rng::from_seed([seed; 32]), [1, 1]);
        net.jitter = Some(Rng::from_seed([seed ^ 1; 32]));
        net.judge = Box::new(move |_, _, _| luck.below(10) > 3);
        net.introduce(0, 1);
        net.introduce(1, 0);
        for what in history {
            match what {
                Happening::Dial(who) => net.dial(who, 1 - who),
                Happening::Connect(who) => net.connect(who, 1 - who),
                Happening::Close(who) => {
                    let peer = net.id(1 - who);
                    net.with(who, |transport, step| transport.close(step, peer));
                }
                Happening::Restart(who) => {
                    incarnations[who] += 1;
                    net.restart(who, incarnations[who]);
                    net.introduce(1 - who, who);
                }
                Happening::Say(who) => {
                    net.send(who, 1 - who, b"hm");
                }
                Happening::Pass(ms) => net.run_for(Duration::from_millis(ms)),
            }
            for node in &net.nodes {
                prop_assert!(node.transport.sessions.len() <= 3);
            }
        }
        net.judge = Box::new(|_, _, _| true);
        for _ in 0..15 {
            for who in [0, 1] {
                net.connect(who, 1 - who);
                net.send(who, 1 - who, b"beat");
            }
            net.run_for(SECOND);
        }
        net.nodes.iter_mut().for_each(|node| node.events.clear());
        prop_assert!(net.send(0, 1, b"there") && net.send(1, 0, b"here"));
        net.run_for(SECOND);
        prop_assert_eq!((net.frames(0), net.frames(1)), (vec![b"here".to_vec()], vec![b"there".to_vec()]));
        net.run_for(20 * SECOND);
        for node in &net.nodes {
            prop_assert_eq!(node.transport.poll_timeout(), None);
            prop_assert_eq!(node.transport.half_opens.len() + node.transport.attempts.len(), 0);
        }
    }
}

#[test]
fn what_was_given_up_while_a_node_slept_does_not_keep_out_who_dials_it_then() {
    let mut net = Net::new(2);
    // Six dials of a minute, each given up before the next, lie in the socket of who sleeps.
    net.judge = Box::new(|_, _, _| false);
    for _ in 0..6 {
        net.dial(0, 1);
        net.run_for(10 * SECOND);
    }
    let (from, slept_through) = (net.nodes[0].address, net.sent_by(0));
    assert_eq!(slept_through.len(), 30);
    net.judge = Box::new(|_, _, _| true);
    net.lag = 60 * SECOND;
    for datagram in slept_through {
        net.inject(1, from, &datagram.bytes);
    }
    assert!(net.sent_by(1).is_empty());
    net.lag = Duration::ZERO;
    net.dial(0, 1);
    net.run_for(SECOND);
    assert_eq!((net.opened(0), net.opened(1)), (1, 1));
    assert_eq!(net.nodes[1].transport.counters().handshakes_late, 30);
}

#[test]
fn who_slept_while_it_dialled_begins_anew_and_repeats_nothing_that_the_other_gave_up() {
    let mut net = Net::new(2);
    net.judge = Box::new(|_, to, _| to == 1);
    net.connect(0, 1);
    net.run_for(DELAY);
    let first = net.sent_by(0);
    assert_eq!((first.len(), net.sent_by(1).len()), (1, 1), "the answer is lost");
    net.now += 60 * SECOND;
    net.with(1, super::super::Transport::handle_timeout);
    net.judge = Box::new(|_, _, _| true);
    net.lag = 60 * SECOND;
    net.with(0, super::super::Transport::handle_timeout);
    net.lag = Duration::ZERO;
    net.run_for(SECOND);
    assert_eq!((net.opened(0), net.opened(1)), (1, 1));
    assert_eq!(net.nodes[1].transport.counters().handshakes_replayed, 0);
}

#[test]
fn an_answer_that_waited_while_a_node_slept_opens_no_session_that_the_other_gave_up() {
    let mut net = Net::new(2);
    net.judge = Box::new(|_, to, _| to == 1);
    net.connect(0, 1);
    net.run_for(DELAY);
    let (from, answers) = (net.nodes[1].address, net.sent_by(1));
    assert_eq!(answers.len(), 1);
    // All of it passes while the first node sleeps: the second has forgotten that it answered.
    net.now += 60 * SECOND;
    net.with(1, super::super::Transport::handle_timeout);
    net.judge = Box::new(|_, _, _| true);
    net.lag = 60 * SECOND;
    net.inject(0, from, &answers[0].bytes);
    net.lag = Duration::ZERO;
    assert_eq!(net.opened(0), 0);
    net.run_for(SECOND);
    assert_eq!((net.opened(0), net.opened(1)), (1, 1));
    assert_eq!(net.nodes[0].transport.counters().handshakes_late, 1);
}
