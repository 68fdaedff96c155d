//! What a private message costs on this machine, beside what the machine itself costs: UDP on loopback and
//! SQLite's commits, measured in the same run. Prints a table; the ratios are what counts.
//!
//! `cargo bench` runs it. Two real `moot node` processes are driven over their control sockets, so each
//! figure holds all that a user waits for: control socket, both commits, both datagrams, the signature.
#![expect(
    clippy::disallowed_methods,
    clippy::float_arithmetic,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints ratios"
)]

#[path = "../driver/mod.rs"]
mod driver;
mod room;

use std::net::UdpSocket;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use driver::{Connection, Room};
use serde_json::{Value, json};

/// Payload of the raw datagrams in bytes: a short message with its envelope.
const PAYLOAD_BYTES: usize = 200;
/// What is compared is measured in turns, so that whatever else the machine does befalls all of it.
const ROUNDS: usize = 10;
/// Of each in a round.
const PING_PONGS: usize = 500;
const COMMITS: usize = 100;
const MESSAGES_ALONE: usize = 100;
const MESSAGES_TOGETHER: usize = 50_000;
/// Messages that are in flight at once in the throughput run.
const TOGETHER_WINDOW: usize = 2_000;
const FLOOD: Duration = Duration::from_millis(300);

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let home = tempfile::tempdir().expect("a directory");
    println!("one machine, one run; p50 / p99 in microseconds\n");
    if is_wanted("pair") {
        measure_pair(home.path());
    }
    room::measure(home.path(), is_wanted("room"), is_wanted("long"));
}

fn measure_pair(dir: &Path) {
    let room = Room::open(dir, &["ana", "bo"]);
    let mut sender = Connection::open(&room.homes[0]);
    sender.request(&json!({ "tail": { "since": null } }));
    let database = baseline(dir);
    let (mut ping_pongs, mut commits, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    let mut raw = Vec::new();
    for _ in 0..ROUNDS {
        ping_pongs.extend(ping_pong());
        commits.extend(commit(&database));
        alone.extend(one_at_a_time(&mut sender, "bo", MESSAGES_ALONE));
        raw.push(raw_datagrams_per_second());
    }
    let [ping_pong, commit, alone] = [ping_pongs, commits, alone].map(Latencies::of);
    println!("UDP ping-pong of {PAYLOAD_BYTES} bytes on loopback      {ping_pong}");
    println!("SQLite single-row commit (WAL, FULL)         {commit}");
    println!("private message to durable receipt           {alone}");
    let floor = Latencies { p50: ping_pong.p50 + 2 * commit.p50, p99: ping_pong.p99 + 2 * commit.p99 };
    println!(
        "  as a ratio to ping-pong + two commits      {:.2} / {:.2}   (aim 1.3)",
        alone.p50.as_secs_f64() / floor.p50.as_secs_f64(),
        alone.p99.as_secs_f64() / floor.p99.as_secs_f64()
    );
    raw.sort_by(f64::total_cmp);
    let raw = raw[raw.len() / 2];
    println!("raw one-way datagrams of {PAYLOAD_BYTES} bytes           {raw:>9.0} /s");
    let together = as_many_as_possible(sender, "bo", MESSAGES_TOGETHER);
    println!("private messages with receipts               {together:>9.0} /s");
    println!("  as a share of raw datagrams                {:.1} %   (aim 15 %)", 100.0 * together / raw);
}

struct Latencies {
    p50: Duration,
    p99: Duration,
}

impl Latencies {
    fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort();
        Self { p50: samples[samples.len() / 2], p99: samples[samples.len() * 99 / 100] }
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>9} / {}", self.p50.as_micros(), self.p99.as_micros())
    }
}

fn ping_pong() -> Vec<Duration> {
    let (here, there) = pair();
    let echo = std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        for _ in 0..PING_PONGS {
            let len = there.recv(&mut bytes).expect("received");
            there.send(&bytes[..len]).expect("sent");
        }
    });
    let mut bytes = [7; PAYLOAD_BYTES];
    let samples = (0..PING_PONGS).map(|_| {
        let begun = Instant::now();
        here.send(&bytes).expect("sent");
        here.recv(&mut bytes).expect("received");
        begun.elapsed()
    });
    let samples = samples.collect();
    echo.join().expect("the echo ends");
    samples
}

fn baseline(dir: &Path) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(dir.join("baseline.db")).expect("a database");
    database
        .execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE rows (bytes BLOB);")
        .expect("a table");
    database
}

fn commit(database: &rusqlite::Connection) -> Vec<Duration> {
    let mut insert = database.prepare("INSERT INTO rows VALUES (?1)").expect("a statement");
    let samples = (0..COMMITS).map(|_| {
        let begun = Instant::now();
        insert.execute([[7_u8; PAYLOAD_BYTES]]).expect("inserted");
        begun.elapsed()
    });
    samples.collect()
}

/// What one thread can send and another receive, whatever the kernel drops between them.
fn raw_datagrams_per_second() -> f64 {
    let (here, there) = pair();
    there.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let receiver = std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        let mut count = 0_u32;
        while there.recv(&mut bytes).is_ok() {
            count += 1;
        }
        count
    });
    let bytes = [7; PAYLOAD_BYTES];
    let begun = Instant::now();
    while begun.elapsed() < FLOOD {
        for _ in 0..64 {
            let _ = here.send(&bytes);
        }
    }
    f64::from(receiver.join().expect("the receiver ends")) / FLOOD.as_secs_f64()
}

fn pair() -> (UdpSocket, UdpSocket) {
    let bind = || UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (here, there) = (bind(), bind());
    here.connect(there.local_addr().expect("bound")).expect("connected");
    there.connect(here.local_addr().expect("bound")).expect("connected");
    (here, there)
}

/// Whether the line says that a message of ours was delivered. It is looked through and not parsed, because what this
/// process does is done on the same cores.
fn is_delivery(line: &str) -> bool {
    assert!(!line.contains(r#""response":{"error""#), "{line}");
    assert!(!line.contains(r#""event":"lagged""#), "the reader was too slow: {line}");
    line.contains(r#""event":"delivery""#) && line.contains(r#""outcome":"delivered""#)
}

fn one_at_a_time(connection: &mut Connection, to: &str, count: usize) -> Vec<Duration> {
    let samples = (0..count).map(|number| {
        let begun = Instant::now();
        connection.request(&send(to, number));
        while !is_delivery(connection.next_line()) {}
        begun.elapsed()
    });
    samples.collect()
}

/// Messages with receipts a second. The connection has a tail already. A thread of its own writes, because
/// a node stops reading from whoever does not read what it answers.
fn as_many_as_possible(mut connection: Connection, to: &'static str, count: usize) -> f64 {
    let (permits, may_send) = sync_channel(TOGETHER_WINDOW);
    let mut writer = connection.writer();
    let begun = Instant::now();
    let writing = std::thread::spawn(move || {
        for number in 0..count {
            may_send.recv().expect("the reader lives");
            writer.request(&send(to, number));
        }
    });
    let mut permitted = 0;
    let mut permit = || {
        if permitted < count {
            permits.send(()).expect("the writer lives");
            permitted += 1;
        }
    };
    (0..TOGETHER_WINDOW).for_each(|_| permit());
    for _ in 0..count {
        while !is_delivery(connection.next_line()) {}
        permit();
    }
    let took = begun.elapsed();
    writing.join().expect("the writer ends");
    f64::from(u32::try_from(count).expect("a small number")) / took.as_secs_f64()
}

fn send(to: &str, number: usize) -> Value {
    json!({ "send": { "to": to, "text": format!("message {number:06} of the benchmark"), "follow": false } })
}
