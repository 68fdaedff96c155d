//! What a room costs while nobody speaks: bytes sent a second, share of a core, resident memory, for each node. And how
//! soon a room notices: the last start, and a process that is killed. `cargo bench --bench idle` takes a room of five,
//! `cargo bench --bench idle -- 20` one of twenty. `MOOT_PROGRAM=/a/copy/of/moot` measures that program, such as one of
//! `cargo build --release`. It reads `/proc`, so it needs Linux.
#![expect(
    clippy::disallowed_methods,
    clippy::float_arithmetic,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints ratios"
)]

mod driver;

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use driver::process::{cpu_ticks, private_kib, resident_kib};
use driver::{Connection, Room};
use serde_json::json;

const NODES: usize = 5;
const SETTLE: Duration = Duration::from_secs(10);
const MEASURE: Duration = Duration::from_secs(60);
const KILLS: usize = 5;
/// IPv4 and UDP headers of one datagram.
const HEADER_BYTES: u64 = 28;
/// Kernel clock ticks a second, as `/proc/PID/stat` counts (`USER_HZ`, 100 on all Linux platforms).
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    if !Path::new("/proc/self/stat").exists() {
        println!("the idle benchmark reads /proc, which this system does not have");
        return;
    }
    let nodes = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(NODES);
    let nicks: Vec<String> = (1..=nodes).map(|number| format!("n{number}")).collect();
    let nicks: Vec<&str> = nicks.iter().map(String::as_str).collect();
    let dir = tempfile::tempdir().expect("a directory");
    let mut room = Room::open(dir.path(), &nicks);
    println!("{nodes} nodes on loopback");
    println!("all alive to all after the last start       {:>9.2} s   (aim 1)", room.came_together.as_secs_f64());
    idle(&room, &nicks);
    kill_some(&mut room);
}

fn idle(room: &Room, nicks: &[&str]) {
    std::thread::sleep(SETTLE);
    let before = usage(room);
    let begun = Instant::now();
    std::thread::sleep(MEASURE);
    let span = begun.elapsed().as_secs_f64();
    let after = usage(room);
    println!("\nidle for {span:.0} s");
    println!("node   bytes sent/s   % of a core   MB resident   of it its own   (aims: 800, 0.3, 12)");
    let mut most = [0.0_f64; 4];
    for ((nick, before), after) in nicks.iter().zip(before).zip(after) {
        let bytes = precise(after.bytes - before.bytes) / span;
        let core = 100.0 * precise(after.cpu_ticks - before.cpu_ticks) / TICKS_PER_SECOND / span;
        let resident = precise(after.resident_kib) / 1024.0;
        let private = precise(after.private_kib) / 1024.0;
        println!("{nick:<6} {bytes:>12.0} {core:>13.2} {resident:>13.1} {private:>15.1}");
        for (most, value) in most.iter_mut().zip([bytes, core, resident, private]) {
            *most = most.max(value);
        }
    }
    let [bytes, core, resident, private] = most;
    println!("most   {bytes:>12.0} {core:>13.2} {resident:>13.1} {private:>15.1}");
}

/// Kills nodes as `kill -9` does, one after the other, and waits each time until all that are left call it unreachable. How long that
/// takes depends on when its last heartbeats left, so one kill alone says little.
fn kill_some(room: &mut Room) {
    let count = KILLS.min(room.nodes.len().saturating_sub(2)).max(1);
    println!("\nkill -9      known to the first   to all (aim 3.5)");
    for number in 1..=count {
        let (home, mut child) = room.homes.pop().zip(room.nodes.pop()).expect("a node");
        let status = Connection::open(&home).ask(&json!("status"));
        let gone = status["status"]["node"]["id"].as_str().expect("an id").to_owned();
        let listening: Vec<_> = room.homes.iter().map(|home| listen(home)).collect();
        let begun = Instant::now();
        child.kill().expect("killed");
        child.wait().expect("ended");
        let told: Vec<_> = listening.into_iter().map(|tail| hears_end_of(tail, gone.clone())).collect();
        let took: Vec<Duration> = told.into_iter().map(|told| told.join().expect("it is told") - begun).collect();
        let [first, last] = [took.iter().min(), took.iter().max()].map(|took| took.expect("others").as_secs_f64());
        println!("{number:<12} {first:>18.2} {last:>8.2}");
    }
}

fn listen(home: &Path) -> Connection {
    let mut tail = Connection::open(home);
    tail.request(&json!({ "tail": { "since": null } }));
    // The node's `ready`: from here on it listens.
    tail.next_line();
    tail
}

fn hears_end_of(mut tail: Connection, gone: String) -> JoinHandle<Instant> {
    std::thread::spawn(move || {
        loop {
            let event = tail.next()["response"]["event"].clone();
            if event["event"] == "member" && event["id"] == *gone && event["state"] == "unreachable" {
                return Instant::now();
            }
        }
    })
}

struct Usage {
    /// Sent so far, headers counted.
    bytes: u64,
    cpu_ticks: u64,
    resident_kib: u64,
    private_kib: u64,
}

fn usage(room: &Room) -> Vec<Usage> {
    let nodes = room.homes.iter().zip(&room.nodes);
    nodes
        .map(|(home, child)| {
            let status = Connection::open(home).ask(&json!("status"));
            let counters = &status["status"]["counters"];
            let count = |name: &str| counters[name].as_u64().unwrap_or_else(|| panic!("no counter {name}: {counters}"));
            Usage {
                bytes: count("bytes_out") + HEADER_BYTES * count("datagrams_out"),
                cpu_ticks: cpu_ticks(child.id()),
                resident_kib: resident_kib(child.id()),
                private_kib: private_kib(child.id()),
            }
        })
        .collect()
}

fn precise(count: u64) -> f64 {
    f64::from(u32::try_from(count).expect("a small count"))
}
