//! How fast the simulator runs an idle room with a message a minute: node-seconds simulated for each second of
//! one core, and the memory a node takes. `cargo bench --bench sim` runs it; `-- 10 100` chooses the sizes.
//! Rooms of more than 200 run on the plain suite; their homes know each other's cards, and their nodes start within a second.
//! It counts the time of its own thread, so that other work on the machine disturbs it less.
#![expect(clippy::float_arithmetic, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints ratios")]

use std::time::Duration;

use folkmoot::crypto::{AeadKey, Suite};
use folkmoot::sim::{Options, World};
use rustix::time::{ClockId, clock_gettime};

/// How many nodes, where nothing else is asked for.
const SIZES: [usize; 2] = [10, 100];
/// Larger rooms use the plain suite, and begin with homes that know each other's cards.
const SMALL_MEMBERS_MAX: usize = 200;
/// Virtual time within which the nodes of a larger room start: all in the wall clock's second for which their cards were made.
/// If it were one instant, all that they tell each other of their starts would be under way at once, which takes more memory than
/// the room does afterwards.
const STARTS: Duration = Duration::from_secs(1);
/// Virtual time until a room is at rest.
const SETTLE: Duration = Duration::from_secs(60);
/// Virtual time between two looks at the clock.
const STRETCH: Duration = Duration::from_secs(60);
/// What is measured for each size.
const MEASURE_SECONDS: f64 = 5.0;
/// A room that takes longer than this to come together says how far it is, each time.
const PROGRESS_SECONDS: f64 = 10.0;
/// The sealed part of an idle datagram: echo, heartbeat, digest.
const IDLE_BYTES: usize = 130;

fn main() {
    // `cargo bench` hands on a `--bench` of its own.
    let asked: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let sizes = if asked.is_empty() { SIZES.to_vec() } else { asked };
    let pairs = pairs_per_second();
    println!("seed 3 gives trace {:016x}", trace());
    println!("this core seals and opens {pairs:.0} datagrams of {IDLE_BYTES} bytes a second\n");
    println!(" nodes   suite   node-seconds/s   datagrams/s   bytes a node   pairs a node-second   joined in");
    for size in sizes {
        let row = measure(size);
        println!(
            "{size:>6} {:>7} {:>16.0} {:>13.0} {:>14} {:>21.1} {:>8.1} s",
            if suite(size) == Suite::Real { "real" } else { "plain" },
            row.speed,
            row.datagrams,
            row.bytes.map_or("unknown".to_owned(), |bytes| format!("{bytes:.0}")),
            pairs / row.speed,
            row.joined
        );
    }
}

fn suite(size: usize) -> Suite {
    if is_large(size) { Suite::Plain } else { Suite::Real }
}

fn is_large(size: usize) -> bool {
    size > SMALL_MEMBERS_MAX
}

/// The trace of one run, to be compared between builds.
fn trace() -> u64 {
    let mut world = World::new(3).members(["ana", "bo", "cy"]);
    world.loss(100);
    world.say("ana", "hello");
    world.tell("bo", "cy", "psst");
    world.run_for(Duration::from_secs(60));
    world.trace_hash().first_chunk().copied().map_or(0, u64::from_be_bytes)
}

struct Row {
    /// Node-seconds a second.
    speed: f64,
    /// Sent, for each second of the core.
    datagrams: f64,
    /// What a node takes; unknown where there is no `/proc`.
    bytes: Option<f64>,
    /// The core's seconds for the room to come together and to rest.
    joined: f64,
}

fn measure(size: usize) -> Row {
    let before = resident_bytes();
    let begun = core_seconds();
    let mut world = World::with(Options { keeps_told: false, suite: suite(size), ..Options::new(1) });
    let names: Vec<String> = (0..size).map(|number| format!("n{number}")).collect();
    for name in &names {
        world.add(name);
    }
    if is_large(size) {
        world.acquaint();
    }
    let pause = if is_large(size) { STARTS / u32::try_from(size).expect("few") } else { Duration::ZERO };
    for name in &names {
        world.start(name);
        world.run_for(pause);
    }
    // Looked at now and then: looking costs as much as the members of all together.
    let (mut seconds, mut told) = (0, 0.0);
    while !world.converged() {
        world.run_for(Duration::from_secs(1));
        seconds += 1;
        let spent = core_seconds() - begun;
        if spent - told > PROGRESS_SECONDS {
            told = spent;
            eprintln!("{size} nodes: {seconds} s old after {spent:.0} s, {} datagrams", world.datagrams());
        }
        assert!(seconds < 600, "the room did not come together");
    }
    world.run_for(SETTLE);
    let joined = core_seconds() - begun;
    let resident = before.zip(resident_bytes()).map(|(before, after)| after.saturating_sub(before));
    let (begun, sent) = (core_seconds(), world.datagrams());
    let mut spoken = 0;
    while core_seconds() - begun < MEASURE_SECONDS {
        world.say(&names[spoken % size], "a message a minute");
        spoken += 1;
        world.run_for(STRETCH);
    }
    let span = core_seconds() - begun;
    let seconds = precise(spoken) * STRETCH.as_secs_f64();
    Row {
        speed: precise(size) * seconds / span,
        datagrams: precise(usize::try_from(world.datagrams() - sent).unwrap_or(usize::MAX)) / span,
        bytes: resident.map(|bytes| precise(bytes) / precise(size)),
        joined,
    }
}

fn pairs_per_second() -> f64 {
    let key = AeadKey::new(&[7; 32]);
    let mut datagram = vec![0; 13 + IDLE_BYTES];
    let (begun, mut count) = (core_seconds(), 0);
    while count % 1_000 != 0 || count == 0 || core_seconds() - begun < 0.5 {
        let counter = u64::try_from(count).expect("few");
        key.seal(counter, &mut datagram, 13);
        let (header, sealed) = datagram.split_at_mut(13);
        assert!(key.open(counter, header, sealed).is_some());
        datagram.truncate(13 + IDLE_BYTES);
        count += 1;
    }
    precise(count) / (core_seconds() - begun)
}

/// Seconds that this thread has had the core.
fn core_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let time = Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0));
    time.as_secs_f64()
}

fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: usize = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

fn precise(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
