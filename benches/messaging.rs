//! What messaging achieves in simulated rooms, with real handshakes, ciphers and datagrams, as tables. Times are virtual, so
//! they depend neither on the machine nor on the build.
//!
//! `cargo bench --bench messaging` prints all tables; `-- recovery --seeds 50` chooses one, and over how many seeds.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::time::{Duration, Instant};

use folkmoot::base::Presence;
use folkmoot::node::api::{EventKind, MessageKind};
use folkmoot::sim::{Unsynced, World};

/// One table: its rows are printed as they are measured.
struct Table {
    name: &'static str,
    about: &'static str,
    columns: &'static [&'static str],
    measure: fn(seeds: u64, print: Print<'_>),
}

/// Takes a row.
type Print<'a> = &'a mut dyn FnMut(&[String]);

const TABLES: [Table; 1] = [Table {
    name: "recovery",
    about: "from the start of a node that was away until it shows all that it missed; 50 ms round trip",
    columns: &[
        "messages",
        "bytes each",
        "loss each way",
        "p50",
        "p95",
        "longest",
        "seeds",
        "pulls",
        "given more than once",
    ],
    measure: recovery,
}];

fn main() {
    let mut seeds = 20;
    let mut only = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => seeds = args.next().and_then(|n| n.parse().ok()).unwrap_or(seeds),
            // `cargo bench` hands this on.
            "--bench" => {}
            _ => only.push(arg),
        }
    }
    for table in TABLES.iter().filter(|table| only.is_empty() || only.iter().any(|name| name == table.name)) {
        println!("\n{}: {}\n", table.name, table.about);
        println!("| {} | real time |\n|{}", table.columns.join(" | "), "---:|".repeat(table.columns.len() + 1));
        let mut began = Instant::now();
        (table.measure)(seeds, &mut |row| {
            println!("| {} | {} s |", row.join(" | "), began.elapsed().as_secs());
            began = Instant::now();
        });
    }
}

const MISSED: usize = 500;
/// Each way.
const DELAY: Duration = Duration::from_millis(25);
const LIMIT: Duration = Duration::from_secs(120);
/// How finely times are measured.
const GRAIN: Duration = Duration::from_millis(10);

fn recovery(seeds: u64, print: Print<'_>) {
    for (bytes, loss) in [(100, 0), (100, 10), (100, 50), (100, 200), (1_000, 10)] {
        let (mut times, mut pulls, mut again) = (Vec::new(), 0, 0);
        for seed in 0..seeds {
            let (time, counters) = recover(seed, bytes, loss);
            times.push(time);
            pulls += counters.pulls;
            again += counters.again;
        }
        times.sort_by_key(|time| time.unwrap_or(Duration::MAX));
        print(&[
            MISSED.to_string(),
            bytes.to_string(),
            per_cent(loss),
            at(&times, 50),
            at(&times, 95),
            at(&times, 100),
            seeds.to_string(),
            (pulls / seeds).to_string(),
            (again / seeds).to_string(),
        ]);
    }
}

struct Recovered {
    pulls: u64,
    /// Messages that came again though they were held.
    again: u64,
}

/// Cy is away while the others say `MISSED` messages in turn, and comes back.
fn recover(seed: u64, bytes: usize, loss: u32) -> (Option<Duration>, Recovered) {
    let mut world = World::new(seed).members(["ana", "bo", "cy"]);
    world.delay(DELAY, Duration::ZERO);
    world.run_for(Duration::from_secs(5));
    world.crash("cy", Unsynced::Keep);
    let is_missed =
        |world: &World| ["ana", "bo"].iter().all(|name| world.presence(name, "cy") == Some(Presence::Unreachable));
    assert!(world.run_until(LIMIT, is_missed), "seed {seed}: nobody missed cy");
    for number in 0..MISSED {
        let text = format!("{number:0>bytes$}");
        world.say(["ana", "bo"][number % 2], &text);
        world.run_for(Duration::from_millis(20));
    }
    world.run_for(Duration::from_secs(2));
    world.loss(loss);
    world.start("cy");
    let mut waited = Duration::ZERO;
    while shown(&world, "cy") < MISSED && waited < LIMIT {
        world.run_for(GRAIN);
        waited += GRAIN;
    }
    let counters = world.status("cy").counters;
    let counters = Recovered { pulls: counters["recovery_pulls"], again: counters["messages_duplicate"] };
    ((waited < LIMIT).then_some(waited), counters)
}

/// Group messages that were shown on `name`.
fn shown(world: &World, name: &str) -> usize {
    let is_of_room =
        |kind: &EventKind| matches!(kind, EventKind::Message(message) if message.kind == MessageKind::Group);
    world.told(name).iter().filter(|event| is_of_room(&event.kind)).count()
}

fn per_cent(per_mille: u32) -> String {
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

/// The time within which so many per cent of `times`, sorted, lie.
fn at(times: &[Option<Duration>], per_cent: usize) -> String {
    let index = (times.len() * per_cent).div_ceil(100).saturating_sub(1);
    times[index].map_or("never".to_owned(), |time| format!("{} ms", time.as_millis()))
}
