//! The promises of transport, kept by two or three of them in virtual time. Owns the small net that they
//! talk over: constant delay, and a judge who says what is lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Channel, Event, Output, Settings, Transport};
use crate::base::{MemberId, Now, Rng, RoomId, Run, Step, Time, Wall};
use crate::crypto::{Identity, RoomSecret};
use crate::wire::{Card, Signed};

mod fragments;
mod handshakes;
mod hostile;
mod paths;
mod runs;

const DELAY: Duration = Duration::from_millis(20);
const ROOM: RoomId = RoomId([9; 16]);
const SECRET: [u8; 16] = [3; 16];

/// Says of each datagram (from, to, bytes) whether it arrives.
type Judge = Box<dyn FnMut(usize, usize, &[u8]) -> bool>;

struct Net {
    now: Time,
    /// How late each node's loop is.
    lag: Duration,
    nodes: Vec<Member>,
    underway: BTreeMap<(Time, u64), Datagram>,
    sent: Vec<Datagram>,
    judge: Judge,
    /// Makes each datagram up to 60 ms later, so that they overtake each other.
    jitter: Option<Rng>,
}

#[derive(Clone)]
struct Datagram {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

struct Member {
    identity: Identity,
    address: SocketAddr,
    transport: Transport,
    events: Vec<Event>,
}

impl Net {
    /// Members 0, 1, …, each of incarnation 1, who know nothing of each other.
    fn new(members: u8) -> Self {
        let mut net = Self {
            now: Time::from_micros(1_000_000),
            lag: Duration::ZERO,
            nodes: Vec::new(),
            underway: BTreeMap::new(),
            sent: Vec::new(),
            judge: Box::new(|_, _, _| true),
            jitter: None,
        };
        for number in 0..members {
            net.add(number, &RoomSecret::from_bytes(SECRET), ROOM);
        }
        net
    }

    fn add(&mut self, number: u8, secret: &RoomSecret, room: RoomId) -> usize {
        let identity = Identity::generate(&mut Rng::from_seed([number; 32]));
        let address = SocketAddr::from(([10, 0, 0, number], 4460));
        let transport = new_transport(&identity, address, run(1), secret, room);
        self.nodes.push(Member { identity, address, transport, events: Vec::new() });
        self.nodes.len() - 1
    }

    /// A net of two with an open session, all that was told so far taken.
    fn pair() -> Self {
        let mut net = Self::new(2);
        net.dial(0, 1);
        net.run_for(Duration::from_secs(1));
        assert_eq!((net.opened(0), net.opened(1)), (1, 1));
        net.nodes.iter_mut().for_each(|node| node.events.clear());
        net.sent.clear();
        net
    }

    /// Kills a member and starts it anew with a higher incarnation; it knows nobody.
    fn restart(&mut self, who: usize, incarnation: u64) {
        let node = &mut self.nodes[who];
        let secret = RoomSecret::from_bytes(SECRET);
        node.transport = new_transport(&node.identity, node.address, run(incarnation), &secret, ROOM);
        node.events.clear();
    }

    fn id(&self, who: usize) -> MemberId {
        self.nodes[who].identity.id()
    }

    fn dial(&mut self, from: usize, to: usize) {
        let address = self.nodes[to].address;
        self.with(from, |transport, step| transport.dial(step, address));
    }

    fn connect(&mut self, from: usize, to: usize) {
        let (peer, address) = (self.id(to), self.nodes[to].address);
        self.with(from, |transport, step| transport.connect(step, peer, &[address]));
    }

    fn introduce(&mut self, who: usize, to: usize) {
        let card = card(&self.nodes[who].identity, self.nodes[who].address, run(1), ROOM);
        self.with(to, |transport, step| transport.prove(step, &card));
    }

    fn send(&mut self, from: usize, to: usize, frame: &[u8]) -> bool {
        let peer = self.id(to);
        self.with(from, |transport, _| transport.send(peer, Channel::Messaging, frame, None))
    }

    /// Hands a datagram in as if it came from `from` just now.
    fn inject(&mut self, to: usize, from: SocketAddr, bytes: &[u8]) {
        self.with(to, |transport, step| transport.handle_datagram(step, from, bytes));
    }

    /// One input, the settle pass after it, and all that comes of it.
    fn with<R>(&mut self, who: usize, input: impl FnOnce(&mut Transport, &mut Step) -> R) -> R {
        let now = Now { time: self.now, wall: Wall(0), lag: self.lag };
        let mut step = Step::new(now, None, 0);
        let node = &mut self.nodes[who];
        let result = input(&mut node.transport, &mut step);
        node.transport.flush(&mut step);
        let from = node.address;
        while let Some(output) = self.nodes[who].transport.poll_output() {
            match output {
                Output::Event(event) => self.nodes[who].events.push(event),
                Output::Transmit { to, bytes, labels: _ } => self.transmit(Datagram { from, to, bytes }),
            }
        }
        result
    }

    fn transmit(&mut self, datagram: Datagram) {
        assert!(datagram.bytes.len() <= crate::base::limits::DATAGRAM_BYTES_MAX);
        let number = u64::try_from(self.sent.len()).unwrap();
        self.sent.push(datagram.clone());
        let (Some(from), Some(to)) = (self.at(datagram.from), self.at(datagram.to)) else {
            return;
        };
        if (self.judge)(from, to, &datagram.bytes) {
            let jitter = self.jitter.as_mut().map_or(0, |rng| rng.below(60_000));
            self.underway.insert((self.now + DELAY + Duration::from_micros(jitter), number), datagram);
        }
    }

    fn at(&self, address: SocketAddr) -> Option<usize> {
        self.nodes.iter().position(|node| node.address == address)
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let arrival = self.underway.first_key_value().map(|(&(at, _), _)| at);
            let timeout = self.nodes.iter().filter_map(|node| node.transport.poll_timeout()).min();
            let Some(next) = arrival.into_iter().chain(timeout).min().filter(|&next| next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, datagram) = self.underway.pop_first().unwrap();
                let to = self.at(datagram.to).unwrap();
                self.inject(to, datagram.from, &datagram.bytes);
            } else {
                let due = |node: &Member| node.transport.poll_timeout().is_some_and(|at| at <= next);
                let who = self.nodes.iter().position(due).unwrap();
                self.with(who, Transport::handle_timeout);
            }
        }
        self.now = end;
    }

    fn opened(&self, who: usize) -> usize {
        self.nodes[who].events.iter().filter(|event| matches!(event, Event::Opened { .. })).count()
    }

    fn closed(&self, who: usize) -> usize {
        self.nodes[who].events.iter().filter(|event| matches!(event, Event::Closed { .. })).count()
    }

    fn frames(&self, who: usize) -> Vec<Vec<u8>> {
        let frame = |event: &Event| match event {
            Event::Frame { bytes, .. } => Some(bytes.clone()),
            Event::Opened { .. }
            | Event::Closed { .. }
            | Event::Heard { .. }
            | Event::Myself { .. }
            | Event::Superseded { .. } => None,
        };
        self.nodes[who].events.iter().filter_map(frame).collect()
    }

    fn sent_by(&self, who: usize) -> Vec<Datagram> {
        self.sent.iter().filter(|datagram| datagram.from == self.nodes[who].address).cloned().collect()
    }
}

fn run(incarnation: u64) -> Run {
    Run { incarnation, boot: 7 }
}

fn new_transport(identity: &Identity, address: SocketAddr, run: Run, secret: &RoomSecret, room: RoomId) -> Transport {
    let [first, .., last] = identity.id().0;
    let rng = Rng::from_seed([first ^ last ^ u8::try_from(run.incarnation).unwrap(); 32]);
    Transport::new(Settings {
        identity: identity.clone(),
        room,
        // One key whatever the room, so that only the card can tell another one.
        keys: secret.keys(ROOM),
        card: card(identity, address, run, room),
        rng,
    })
}

fn card(identity: &Identity, address: SocketAddr, run: Run, room: RoomId) -> Signed<Card> {
    let card = Card {
        room,
        member: identity.id(),
        noise_key: identity.noise_key(),
        run,
        version: 1,
        nick: "ana".into(),
        addresses: vec![address],
    };
    Signed::sign(card, identity)
}
