//! What membership achieves in simulated rooms, with real handshakes, ciphers and datagrams: how soon a crash, a
//! join, a healed partition and a restart of everybody are known to all, who is called gone without cause, and what
//! an idle node sends, headers of IP and UDP counted. Times are virtual, so they do not depend on the machine.
//!
//! `cargo bench --bench membership -- 2 10 100` prints the table for rooms of these sizes; `--seeds 3` for so many
//! seeds of each, and `--only crash` one line of it.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::time::{Duration, Instant};

use folkmoot::base::Presence;
use folkmoot::node::api::EventKind;
use folkmoot::sim::{Unsynced, World};

const DELAY: Duration = Duration::from_millis(40);
const JITTER: Duration = Duration::from_millis(4);
/// How finely times are measured.
const GRAIN: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(60);
/// IPv4 and UDP headers of one datagram.
const HEADER_BYTES: u64 = 28;

fn main() {
    let mut sizes = Vec::new();
    let mut seeds = 3;
    let mut only = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => seeds = args.next().and_then(|n| n.parse().ok()).unwrap_or(seeds),
            "--only" => only = args.next(),
            _ => sizes.extend(arg.parse::<usize>()),
        }
    }
    if sizes.is_empty() {
        sizes = vec![2, 10, 100];
    }
    println!("| members | figure | loss | measured | real time |\n|---:|---|---:|---|---:|");
    for size in sizes {
        let wanted = |figure: &str| only.as_deref().is_none_or(|only| figure == only);
        for loss in [10, 50] {
            if wanted("crash") {
                row(size, "crash known to all", loss, || crash(size, loss, seeds));
            }
        }
        if wanted("quiet") {
            row(size, "called gone without cause", 50, || quiet(size, seeds));
        }
        if wanted("idle") {
            row(size, "idle bytes/s sent a node", 0, || idle(size));
        }
        if wanted("join") && size > 2 {
            row(size, "join seen by all, all seen", 0, || join(size, seeds));
        }
        if wanted("heal") && size > 2 {
            row(size, "views equal after a partition of halves heals", 0, || heal(size, seeds));
        }
        if wanted("loner") && size > 2 {
            row(size, "a loner shows all as not heard; all equal after it is back", 0, || loner(size, seeds));
        }
        if wanted("restart") {
            row(size, "all equal after all restarted within 10 s", 0, || restart(size));
        }
        if wanted("pause") && size > 2 {
            row(size, "a paused member alive in all views again", 0, || pause(size, seeds));
        }
    }
}

fn row(size: usize, figure: &str, loss: u32, measure: impl FnOnce() -> String) {
    let began = Instant::now();
    let measured = measure();
    println!("| {size} | {figure} | {}.{} % | {measured} | {} s |", loss / 10, loss % 10, began.elapsed().as_secs());
}

struct Room {
    world: World,
    names: Vec<String>,
}

impl Room {
    /// A room that has come together and is quiet.
    fn new(seed: u64, size: usize) -> Self {
        let mut world = World::new(seed);
        world.delay(DELAY, JITTER);
        let names: Vec<_> = (0..size).map(|n| format!("m{n}")).collect();
        for name in &names {
            world.add(name);
            world.start(name);
        }
        let mut room = Self { world, names };
        let took = room.wait(World::converged);
        assert!(took.is_some(), "seed {seed}: {size} members did not come together");
        room.world.run_for(Duration::from_secs(5));
        room
    }

    fn wait(&mut self, done: impl Fn(&World) -> bool) -> Option<Duration> {
        let mut waited = Duration::ZERO;
        while waited < LIMIT {
            self.world.run_for(GRAIN);
            waited += GRAIN;
            if done(&self.world) {
                return Some(waited);
            }
        }
        None
    }

    fn wait_for_all_to_hold(&mut self, subject: &str, presence: Presence) -> Option<Duration> {
        let others: Vec<_> = self.names.iter().filter(|name| *name != subject).cloned().collect();
        self.wait(|world| others.iter().all(|name| world.presence(name, subject) == Some(presence)))
    }

    fn sent(&self) -> u64 {
        let sent = |name: &String| {
            let counters = self.world.status(name).counters;
            counters["bytes_out"] + HEADER_BYTES * counters["datagrams_out"]
        };
        self.names.iter().map(sent).sum()
    }

    /// How often somebody was called gone since `from` events were told.
    fn called_gone(&self, from: &[usize]) -> usize {
        let gone = |(name, &from): (&String, &usize)| {
            let told = &self.world.told(name)[from..];
            let is_gone = |kind: &EventKind| matches!(kind, EventKind::Member { state: Presence::Unreachable, .. });
            told.iter().filter(|event| is_gone(&event.kind)).count()
        };
        self.names.iter().zip(from).map(gone).sum()
    }

    fn told(&self) -> Vec<usize> {
        self.names.iter().map(|name| self.world.told(name).len()).collect()
    }
}

fn spread(mut times: Vec<Option<Duration>>) -> String {
    times.sort_by_key(|time| time.unwrap_or(Duration::MAX));
    let show = |time: Option<Duration>| time.map_or("never".to_owned(), |time| format!("{} ms", time.as_millis()));
    let at = |share: usize| show(times[(times.len() * share).div_ceil(100).saturating_sub(1)]);
    format!("p50 {}, p99 {}, of {}", at(50), at(99), times.len())
}

/// One member after the other dies and comes back.
fn crash(size: usize, loss: u32, seeds: u64) -> String {
    let mut times = Vec::new();
    for seed in 0..seeds {
        let mut room = Room::new(seed, size);
        room.world.loss(loss);
        for turn in 0..10 {
            let subject = room.names[(turn * 7 + 1) % size].clone();
            room.world.run_for(Duration::from_millis(2_000 + 137 * u64::try_from(turn).unwrap_or(0)));
            room.world.crash(&subject, Unsynced::Keep);
            times.push(room.wait_for_all_to_hold(&subject, Presence::Unreachable));
            room.world.start(&subject);
            room.wait(World::converged);
        }
    }
    spread(times)
}

fn quiet(size: usize, seeds: u64) -> String {
    let span = Duration::from_secs(600);
    let mut wrong = 0;
    for seed in 0..seeds {
        let mut room = Room::new(seed, size);
        room.world.loss(50);
        let told = room.told();
        room.world.run_for(span);
        wrong += room.called_gone(&told);
    }
    format!("{wrong} in {} member-seconds", span.as_secs() * u64::try_from(size).unwrap_or(0) * seeds)
}

fn idle(size: usize) -> String {
    let mut room = Room::new(1, size);
    room.world.run_for(Duration::from_secs(90));
    let before = room.sent();
    let span = Duration::from_secs(60);
    room.world.run_for(span);
    let bytes = (room.sent() - before) / span.as_secs() / u64::try_from(size).unwrap_or(1);
    format!("{bytes}")
}

fn join(size: usize, seeds: u64) -> String {
    let mut times = Vec::new();
    for seed in 0..seeds {
        let mut room = Room::new(seed, size);
        for turn in 0..5 {
            let name = format!("new{turn}");
            room.world.add(&name);
            room.world.start(&name);
            times.push(room.wait(World::converged));
            room.names.push(name);
        }
    }
    spread(times)
}

fn heal(size: usize, seeds: u64) -> String {
    let mut times = Vec::new();
    for seed in 0..seeds {
        let mut room = Room::new(seed, size);
        for _ in 0..3 {
            let names: Vec<_> = room.names.iter().map(String::as_str).collect();
            let (left, right) = names.split_at(size / 2);
            room.world.partition(left, right);
            room.world.run_for(Duration::from_secs(60));
            room.world.heal();
            times.push(room.wait(World::converged));
        }
    }
    spread(times)
}

fn loner(size: usize, seeds: u64) -> String {
    let (mut alone, mut back) = (Vec::new(), Vec::new());
    for seed in 0..seeds {
        let mut room = Room::new(seed, size);
        let loner = room.names[1].clone();
        let rest: Vec<_> = room.names.iter().filter(|name| **name != loner).cloned().collect();
        room.world.partition(&[&loner], &rest.iter().map(String::as_str).collect::<Vec<_>>());
        alone.push(
            room.wait(|world| rest.iter().all(|name| world.presence(&loner, name) == Some(Presence::Unreachable))),
        );
        room.world.heal();
        back.push(room.wait(World::converged));
    }
    format!("{}; {}", spread(alone), spread(back))
}

fn restart(size: usize) -> String {
    let mut room = Room::new(1, size);
    let pause = Duration::from_secs(10) / u32::try_from(size).unwrap_or(1);
    for name in room.names.clone() {
        room.world.restart(&name, Unsynced::Keep);
        room.world.run_for(pause);
    }
    spread(vec![room.wait(World::converged)])
}

fn pause(size: usize, seeds: u64) -> String {
    let mut times = Vec::new();
    for seed in 0..seeds {
        let mut room = Room::new(seed, size);
        for turn in 0..5 {
            let subject = room.names[(turn * 7 + 1) % size].clone();
            room.world.pause(&subject);
            room.world.run_for(Duration::from_secs(10));
            room.world.resume(&subject);
            times.push(room.wait_for_all_to_hold(&subject, Presence::Alive));
        }
    }
    spread(times)
}
