//! What a room of five costs while nobody speaks: bytes sent a second, share of a core, resident memory, for
//! each node. `cargo bench --bench idle` runs it; it reads `/proc`, so it needs Linux.
#![expect(
    clippy::disallowed_methods,
    clippy::float_arithmetic,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints ratios"
)]

mod driver;

use std::path::Path;
use std::time::{Duration, Instant};

use driver::{Connection, Room};
use serde_json::json;

const NICKS: [&str; 5] = ["ana", "bo", "cy", "di", "ed"];
const SETTLE: Duration = Duration::from_secs(10);
const MEASURE: Duration = Duration::from_secs(60);
/// IPv4 and UDP headers of one datagram.
const HEADER_BYTES: u64 = 28;
/// Kernel clock ticks a second, as `/proc/PID/stat` counts (`USER_HZ`, 100 on all Linux platforms).
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    if !Path::new("/proc/self/stat").exists() {
        println!("the idle benchmark reads /proc, which this system does not have");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let room = Room::open(dir.path(), &NICKS);
    std::thread::sleep(SETTLE);
    let before: Vec<_> = usage(&room);
    let begun = Instant::now();
    std::thread::sleep(MEASURE);
    let span = begun.elapsed().as_secs_f64();
    let after = usage(&room);
    println!("{} nodes on loopback, idle for {span:.0} s\n", NICKS.len());
    println!("node   bytes sent/s   % of a core   MB resident   (aims: 800, 0.5, 20)");
    for ((nick, before), after) in NICKS.iter().zip(before).zip(after) {
        let bytes = precise(after.bytes - before.bytes) / span;
        let core = 100.0 * precise(after.cpu_ticks - before.cpu_ticks) / TICKS_PER_SECOND / span;
        let resident = precise(after.resident_kib) / 1024.0;
        println!("{nick:<6} {bytes:>12.0} {core:>13.2} {resident:>13.1}");
    }
}

struct Usage {
    /// Sent so far, headers counted.
    bytes: u64,
    cpu_ticks: u64,
    resident_kib: u64,
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
            }
        })
        .collect()
}

/// User and system time of a process: fields 14 and 15 of `/proc/PID/stat` (proc(5)).
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let number =
        |index: usize| -> u64 { fields.split_whitespace().nth(index).expect("a field").parse().expect("a number") };
    number(11) + number(12)
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).expect("a field").parse().expect("a number")
}

fn precise(count: u64) -> f64 {
    f64::from(u32::try_from(count).expect("a small count"))
}
