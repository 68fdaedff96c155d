//! Whether anything that a room says of its messages is ever wrong, whatever happens to it: every fault kind, crashes at
//! any point, clocks, disks. The checks of `folkmoot::check` judge, and the simulator knows the truth.

use std::collections::BTreeMap;
use std::time::Duration;

use folkmoot::base::Rng;
use folkmoot::check::{Check, Checker, Driver, SETTLES_WITHIN, Violation, What};
use folkmoot::faults::{Rule, Spec};
use folkmoot::node::api::{Command, EventKind, Outcome, Status};
use folkmoot::sim::{Options, Unsynced, World};

use super::{Amount, lines};

const NAMES: [&str; 4] = ["ana", "bo", "cy", "dee"];
/// Faults of the network; each seed draws some.
const FAULTS: [&str; 8] = [
    "loss=20%",
    "burst=5%/8",
    "delay=30ms±30ms",
    "reorder=10%",
    "duplicate=10%",
    "corrupt=2%",
    "truncate=2%",
    "rate=400kbit",
];

/// What a run came to.
#[derive(Default)]
struct Tally {
    said: u64,
    refused: u64,
    shown: u64,
    delivered: u64,
    crashes: u64,
    found: BTreeMap<Check, Vec<String>>,
}

struct Room<'a> {
    world: World,
    checker: Checker,
    tally: &'a mut Tally,
    seed: u64,
    rules: Vec<Rule>,
    said: u64,
}

impl<'a> Room<'a> {
    fn new(seed: u64, tally: &'a mut Tally) -> Self {
        let mut world = World::with(Options { is_traced: true, keeps_told: false, ..Options::new(seed) });
        world.note(None, None, What::Began { scenario: "truth".to_owned(), driver: Driver::Sim, seed });
        for name in NAMES {
            world.add(name);
            world.start(name);
        }
        Self { world, checker: Checker::new(), tally, seed, rules: Vec::new(), said: 0 }
    }

    fn draw_faults(&mut self, rng: &mut Rng) {
        for text in FAULTS {
            if rng.below(3) > 0 {
                continue;
            }
            let Ok(Spec::Add(rules)) = text.parse() else { panic!("{text} adds a rule") };
            for rule in rules {
                self.world.put_on(&rule).expect("a plan holds a few rules");
                self.rules.push(rule);
            }
        }
    }

    fn run_for(&mut self, ms: u64) {
        self.world.run_for(Duration::from_millis(ms));
        for line in lines(&mut self.world) {
            self.checker.handle(&line);
            if let What::Told { event } = &line.what {
                match &event.kind {
                    EventKind::Message(message) => {
                        self.tally.shown += u64::from(line.node.as_deref() != Some(&*message.nick));
                    }
                    EventKind::Delivery { delivery, .. } => {
                        self.tally.delivered += u64::from(delivery.outcome == Outcome::Delivered);
                    }
                    _ => {}
                }
            }
        }
        while let Some(violation) = self.checker.poll_violation() {
            self.found(&violation);
        }
    }

    fn found(&mut self, violation: &Violation) {
        let text = format!("seed {}, line {}: {}", self.seed, violation.line, violation.text);
        self.tally.found.entry(violation.check).or_default().push(text);
    }

    /// Somebody says something, to the room or to one.
    fn speak(&mut self, rng: &mut Rng) {
        let (one, other) = (pick(rng), pick(rng));
        if !self.world.is_running(one) || self.world.is_paused(one) {
            return;
        }
        let text = format!("{} {}", self.said, "words ".repeat(usize::try_from(rng.below(30)).unwrap_or(0)));
        let to = self.world.id(other);
        let command = if one == other || rng.below(3) > 0 { Command::Say { text } } else { Command::Tell { to, text } };
        match self.world.command(one, command) {
            Ok(_) => self.said += 1,
            Err(_) => self.tally.refused += 1,
        }
    }

    /// Something that people or misfortune do.
    fn disturb(&mut self, rng: &mut Rng) {
        let (one, other) = (pick(rng), pick(rng));
        let world = &mut self.world;
        let is_up = world.is_running(one) && !world.is_paused(one);
        match rng.below(18) {
            0..=2 if world.is_running(one) => {
                let unsynced = [Unsynced::Keep, Unsynced::Lose, Unsynced::Torn];
                world.crash(one, unsynced[usize::try_from(rng.below(3)).unwrap_or(0)]);
                self.tally.crashes += 1;
            }
            3..=6 if !world.is_running(one) => world.start(one),
            7 if one != other => world.cut(one, other),
            8 | 9 => world.heal(),
            10 if is_up => world.pause(one),
            11 | 12 if world.is_running(one) && world.is_paused(one) => world.resume(one),
            13 if is_up => world.disk_full(one, true),
            13 | 14 => world.disk_full(one, false),
            16 if is_up => world.clock_jump(one, if rng.below(2) == 0 { 60_000 } else { -60_000 }),
            17 if is_up => world.stall(one, Duration::from_millis(rng.below(100))),
            15 if is_up => world.disk_latency(one, Duration::from_millis(rng.below(60))),
            _ => {}
        }
    }

    fn mend(&mut self) {
        self.world.heal();
        for rule in std::mem::take(&mut self.rules) {
            self.world.take_off(&rule);
        }
        for name in NAMES {
            self.world.disk_full(name, false);
            self.world.disk_latency(name, Duration::from_millis(2));
            self.world.stall(name, Duration::ZERO);
            if !self.world.is_running(name) {
                self.world.start(name);
            } else if self.world.is_paused(name) {
                self.world.resume(name);
            }
        }
    }

    fn settle(&mut self) {
        let end = self.world.elapsed() + SETTLES_WITHIN;
        loop {
            self.run_for(1_000);
            let statuses: Vec<Status> = NAMES.iter().map(|name| self.world.status(name)).collect();
            let named: Vec<_> = NAMES.into_iter().zip(&statuses).collect();
            let reasons = self.checker.unsettled(&named, 3);
            if reasons.is_empty() {
                return;
            }
            if self.world.elapsed() >= end {
                let text = format!("seed {}: {reasons:?}", self.seed);
                self.tally.found.entry(Check::Settles).or_default().push(text);
                return;
            }
        }
    }
}

fn pick(rng: &mut Rng) -> &'static str {
    NAMES[usize::try_from(rng.below(4)).unwrap_or(0)]
}

/// Says messages in rooms to which everything happens, and counts what the checks find.
pub(super) fn truth(amount: Amount) {
    let mut tally = Tally::default();
    for seed in amount.first..amount.first + amount.seeds {
        let mut rng = Rng::from_seed(*blake3::hash(&seed.to_be_bytes()).as_bytes()).split("truth");
        let mut room = Room::new(seed, &mut tally);
        room.draw_faults(&mut rng);
        room.run_for(3_000);
        // Bursts and pauses, so that all of the engine is in use: copies, bulk, windows, recovery.
        for turn in 0..u64::MAX {
            if room.said >= u64::try_from(amount.messages).unwrap_or(0) || turn == 100_000 {
                break;
            }
            for _ in 0..rng.below(4) * rng.below(6) {
                room.speak(&mut rng);
            }
            if rng.below(4) == 0 {
                room.disturb(&mut rng);
            }
            let ms = rng.below(400);
            room.run_for(ms);
        }
        room.mend();
        room.settle();
        room.tally.said += room.said;
    }
    let Tally { said, refused, shown, delivered, crashes, found } = tally;
    println!("| messages said | refused | shown to others | deliveries proven | crashes |\n|---:|---:|---:|---:|---:|");
    println!(
        "| {said} | {refused} | {shown} | {delivered} | {crashes} |\n\n| check | violations | which |\n|---|---:|---|"
    );
    for check in Check::ALL {
        let of = found.get(&check).map_or(&[][..], |of| of);
        println!("| {} | {} | {} |", check.name(), of.len(), of.first().map_or("", |text| text));
        for text in of.iter().skip(1) {
            println!("| | | {text} |");
        }
    }
}
