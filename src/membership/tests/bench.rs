//! One honest node on a bench: a test says all that it hears, and sees all that it wants done.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::{Member, Membership, Output, Restored, Settings};
use super::world::ROOM;
use crate::base::{Now, Path, Presence, Rng, Run, Step, StoreFailed, Time, Wall};
use crate::crypto::Identity;
use crate::wire::{Card, Heartbeat, HeldMember, MembershipFrame, OpenReport, ShownCard, Signed, codec};

/// More than a room in which each pair keeps a session.
const CROWD: usize = 80;

/// One honest node, and two members that say whatever they like.
pub struct Bench {
    pub machine: Membership,
    pub now: Time,
    told: u64,
    pub outputs: Vec<Output>,
    /// By how much the wall clock was set back.
    pub back_ms: u64,
}

pub fn identity(name: &str) -> Identity {
    Identity::generate(&mut Rng::from_seed([42; 32]).split(name))
}

pub fn run(incarnation: u64) -> Run {
    Run { incarnation, boot: 1 }
}

pub fn card(name: &str, run: Run, version: u32) -> Signed<Card> {
    let identity = identity(name);
    let card = Card {
        room: ROOM,
        member: identity.id(),
        noise_key: identity.noise_key(),
        run,
        version,
        nick: name.to_owned(),
        addresses: vec![address()],
    };
    Signed::sign(card, &identity)
}

pub fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 9], 4460))
}

impl Bench {
    pub fn new() -> Self {
        let settings = Settings {
            identity: identity("ana"),
            room: ROOM,
            nick: "ana".to_owned(),
            addresses: vec![address()],
            boot: 9,
            rng: Rng::from_seed([1; 32]),
        };
        let now = Time::from_micros(5_000_000);
        let mut step = Step::new(at(now), None, 0);
        let machine = Membership::new(settings, Restored::default(), &mut step);
        let mut bench = Self { machine, now, told: step.told(), outputs: Vec::new(), back_ms: 0 };
        bench.call(|machine, step| machine.handle_stored(step, 1, Ok::<(), StoreFailed>(())));
        for name in ["bo", "mal"] {
            bench.open(name);
            bench.beat(name, 10);
        }
        bench
    }

    /// As [`Bench::new`], in a room so large that most are known by their cards and by the word of bo only.
    pub fn crowded() -> Self {
        let mut bench = Self::new();
        for n in 0..CROWD {
            bench.show("bo", &format!("m{n}"), run(100), 3);
        }
        bench
    }

    /// One of the crowd whom this node does not watch.
    pub fn far(&self) -> String {
        let watched = self.machine.watch.watched();
        let names = (0..CROWD).map(|n| format!("m{n}"));
        names.into_iter().find(|name| !watched.contains(&identity(name).id())).unwrap()
    }

    pub fn open(&mut self, name: &str) {
        let card = card(name, run(100), 1);
        self.call(|machine, step| {
            machine.handle_opened(step, card.value().member, run(100), card.clone(), address(), address());
        });
    }

    pub fn beat(&mut self, name: &str, tick: u64) {
        self.beat_with(name, tick, Vec::new());
    }

    pub fn beat_with(&mut self, name: &str, tick: u64, reports: Vec<OpenReport>) {
        let heartbeat = self.heartbeat(tick, reports);
        self.frame(name, heartbeat);
    }

    pub fn heartbeat(&self, tick: u64, reports: Vec<OpenReport>) -> MembershipFrame {
        let view = self.machine.view();
        MembershipFrame::Heartbeat(Heartbeat { tick, view, lag_ms: 0, wants_answer: false, answer: false, reports })
    }

    /// Has `via` pass the card of `name` on, with a tick that it knows.
    pub fn show(&mut self, via: &str, name: &str, run: Run, tick: u64) {
        let shown = ShownCard { card: card(name, run, 1).bytes().clone(), present: Some(tick) };
        self.frame(via, MembershipFrame::Cards(vec![shown]));
    }

    /// Has `via` list one member, at a tick that it holds it present at.
    pub fn list(&mut self, via: &str, name: &str, tick: u64) {
        let member = identity(name).id();
        let line = HeldMember { member, run: run(100), version: 1, left: false, unreachable: false, tick };
        let index = member.0[0] >> 2;
        let frame = MembershipFrame::Bucket { index, after: None, done: true, answer: true, held: vec![line] };
        self.frame(via, frame);
    }

    pub fn frame(&mut self, name: &str, frame: MembershipFrame) {
        self.frame_on(name, Path::default(), frame);
    }

    /// As [`Bench::frame`], by a datagram that others overtook.
    pub fn late_frame(&mut self, name: &str, frame: MembershipFrame) {
        self.frame_on(name, Path { overtaken: true, ..Path::default() }, frame);
    }

    fn frame_on(&mut self, name: &str, path: Path, frame: MembershipFrame) {
        let id = identity(name).id();
        let path = Path { heard: Some(self.now), ..path };
        self.call(|machine, step| machine.handle_heard(step, id, run(100), path));
        self.call(|machine, step| machine.handle_frame(step, id, run(100), frame));
    }

    pub fn call(&mut self, call: impl FnOnce(&mut Membership, &mut Step)) {
        let mut now = at(self.now);
        now.wall.0 -= self.back_ms;
        let mut step = Step::new(now, None, self.told);
        call(&mut self.machine, &mut step);
        self.told = step.told();
        while let Some(output) = self.machine.poll_output() {
            if let Output::Send { frame, .. } = &output {
                // Panics past the limit.
                let _ = codec::encode(frame);
            }
            self.outputs.push(output);
        }
    }

    pub fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(due) = self.machine.poll_timeout().filter(|&due| due <= until) {
            self.now = self.now.max(due);
            self.call(Membership::handle_timeout);
        }
        self.now = until;
    }

    pub fn presence(&self, name: &str) -> Option<Presence> {
        self.machine.member(at(self.now), identity(name).id()).map(|member| member.presence)
    }

    pub fn member(&self, name: &str) -> Member {
        self.machine.member(at(self.now), identity(name).id()).unwrap()
    }
}

pub fn at(time: Time) -> Now {
    Now { time, wall: Wall(1_700_000_000_000 + time.as_micros() / 1000), lag: Duration::ZERO }
}

pub fn report_on(subject: &str, tick: u64) -> OpenReport {
    let subject = identity(subject).id();
    OpenReport { subject, run: run(100), tick, probes_lost: 3, lag_ms: 0, mostly_deaf: false }
}
