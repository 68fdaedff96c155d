//! What the delivery of messages achieves in simulated rooms, with real handshakes, ciphers and datagrams; one file for each of its
//! parts. Times are virtual, so they do not depend on the machine.
//!
//! `cargo bench --bench delivery` prints all tables; `-- private group` those with these names, `--seeds 20` runs so many
//! seeds of each (`truth --first 1744 --seeds 1` just that one), and `--messages 500` says so many messages in each.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

mod delivery;
mod group;
mod receipts;
mod truth;

use std::time::{Duration, Instant};

use folkmoot::check::Line;
use folkmoot::sim::{Options, World};

/// How much is done.
#[derive(Clone, Copy)]
struct Amount {
    /// The first seed of `truth`.
    first: u64,
    seeds: u64,
    messages: usize,
}

/// A table: its name, what it shows, and the function that prints its rows.
type Table = (&'static str, &'static str, fn(Amount));

const TABLES: [Table; 8] = [
    ("private", "a private message, 100 ms there and back", delivery::private),
    ("jitter", "attempts that were not needed: no loss, 30 % jitter", delivery::jitter),
    ("slow", "the same, no loss and no jitter: one commit of the receiver takes 150 ms, once a second", delivery::slow),
    ("receipts", "from a receiver's commit until its receipt leaves", receipts::receipts),
    ("group", "a message to a room of 100, 5 % loss", group::group),
    ("large", "the same to a room of 500 whose members knew each other before, three messages", group::large),
    ("dead", "what is left for members that died, after their messages' life", delivery::dead),
    ("truth", "what is ever wrong, whatever happens to a room of four", truth::truth),
];

fn main() {
    let mut amount = Amount { first: 0, seeds: 20, messages: 500 };
    let mut wanted = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => amount.seeds = args.next().and_then(|n| n.parse().ok()).unwrap_or(amount.seeds),
            "--first" => amount.first = args.next().and_then(|n| n.parse().ok()).unwrap_or(amount.first),
            "--messages" => amount.messages = args.next().and_then(|n| n.parse().ok()).unwrap_or(amount.messages),
            // `cargo bench` hands on a `--bench` of its own.
            "--bench" => {}
            _ => wanted.push(arg),
        }
    }
    for (name, about, rows) in TABLES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            println!("\n{name}: {about}\n");
            let began = Instant::now();
            rows(amount);
            println!("\n({} seeds, {} s of this machine)", amount.seeds, began.elapsed().as_secs());
        }
    }
}

/// How long disks take: a single-row commit of SQLite on the machine of `docs/PERFORMANCE.md`.
const DISK: Duration = Duration::from_micros(500);

/// A room that has come together on perfect links.
fn room(options: Options, names: &[String], delay: Duration, jitter: Duration) -> World {
    let mut world = World::with(options);
    world.delay(delay, jitter);
    for name in names {
        world.add(name);
        world.start(name);
        world.disk_latency(name, DISK);
    }
    come_together(world)
}

/// The same of members that knew each other before, and start together.
fn old_room(options: Options, names: &[String], delay: Duration, jitter: Duration) -> World {
    let mut world = World::with(options);
    world.delay(delay, jitter);
    for name in names {
        world.add(name);
    }
    world.acquaint();
    for name in names {
        world.start(name);
        world.disk_latency(name, DISK);
    }
    come_together(world)
}

fn come_together(mut world: World) -> World {
    // Looked at now and then: looking costs as much as the members of all together.
    let mut seconds = 0;
    while !world.converged() {
        assert!(seconds < 120, "the room did not come together");
        seconds += 1;
        world.run_for(Duration::from_secs(1));
    }
    world
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number}")).collect()
}

/// Takes all lines that wait.
fn lines(world: &mut World) -> impl Iterator<Item = Line> + use<'_> {
    std::iter::from_fn(|| world.poll_line())
}

/// The value that `share` parts of a thousand are not above.
fn quantile(sorted: &[u64], share: usize) -> u64 {
    let place = (sorted.len() * share).div_ceil(1000).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(u64::MAX)
}
