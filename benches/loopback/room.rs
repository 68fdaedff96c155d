//! A room of eight real processes: 10,000 messages to the room as fast as the sender's control socket takes them, and
//! texts of the largest size, private and to the room. What arrived is counted on the receivers' disks, which costs the
//! cores that they run on less than hearing each message would.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::driver::process::peak_resident_kib;
use super::driver::{Connection, Room};
use super::{Latencies, is_delivery};

const NICKS: [&str; 8] = ["ana", "bo", "cy", "di", "ed", "flo", "gus", "hal"];
const MESSAGES: u64 = 10_000;
const LONG_TEXTS: usize = 200;
const LONG_TEXT_BYTES: usize = 16 * 1024;
/// How long after the last word messages may still come in: far past the deadline of a delivery.
const WAIT_MAX: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const REQUESTS_AHEAD: u64 = 64;
/// The node said that all members are as busy as they may be: nothing was queued.
const BUSY_WAIT: Duration = Duration::from_millis(1);

pub fn measure(dir: &Path, floods: bool, sends_long_texts: bool) {
    if !floods && !sends_long_texts {
        return;
    }
    let room = Room::open(&dir.join("room"), &NICKS);
    if floods {
        flood(&room);
    }
    if sends_long_texts {
        long_texts(&room);
    }
}

fn flood(room: &Room) {
    let begun = Instant::now();
    let refused = say_all(&room.homes[0]);
    let said = begun.elapsed();
    let receivers: Vec<Log> = room.homes[1..].iter().map(|home| Log::open(home)).collect();
    let sent = Log::open(&room.homes[0]);
    let held = |log: &Log| log.count("SELECT count(*) FROM messages WHERE kind = 'group'");
    let shown = wait(begun, || receivers.iter().all(|log| held(log) >= MESSAGES));
    let delivered = "SELECT count(*) FROM deliveries WHERE outcome = 'delivered'";
    let wanted = MESSAGES * (NICKS.len() as u64 - 1);
    let receipted = wait(begun, || sent.count(delivered) >= wanted);
    let lost: u64 = receivers.iter().map(|log| MESSAGES.saturating_sub(held(log))).sum();
    let unknown = sent.count("SELECT count(*) FROM deliveries WHERE outcome = 'unknown'");
    let open = wanted - sent.count(delivered);
    let gaps: usize = room.homes.iter().map(|home| gaps(home)).sum();
    let rss =
        |nodes: &[std::process::Child]| nodes.iter().map(|node| peak_resident_kib(node.id())).max().unwrap_or(0) / 1024;

    println!("\n{MESSAGES} messages to a room of {}, as fast as the sender's control socket takes them", NICKS.len());
    println!("  said in                                    {:>9.2} s   ({:.0} /s)", said.as_secs_f64(), rate(said));
    println!("  refused for the time being                 {refused:>9}");
    println!("  on the disks of all receivers after        {}", after(shown));
    println!("  receipted by all after                     {}", after(receipted));
    println!("  lost                                       {lost:>9}     (aim 0)");
    println!("  gaps told                                  {gaps:>9}     (aim 0)");
    println!("  deliveries unknown / not delivered         {unknown:>9} / {open}");
    println!(
        "  most memory, sender / receivers            {:>9} / {} MB",
        rss(&room.nodes[..1]),
        rss(&room.nodes[1..])
    );
    let counters = Connection::open(&room.homes[0]).ask(&json!("status"))["status"]["counters"].clone();
    let count = |name: &str| counters[name].as_u64().unwrap_or_else(|| panic!("no counter {name}: {counters}"));
    println!(
        "  sent by the sender                         {:>9} datagrams, {} attempts, {} of them again",
        count("datagrams_out"),
        count("delivery_attempts"),
        count("delivery_retries")
    );
    if lost > 0 {
        let told: Vec<_> = room.homes.iter().map(|home| Connection::open(home).ask(&json!("gaps"))).collect();
        panic!("messages were lost: {told:#?}");
    }
}

fn rate(span: Duration) -> f64 {
    f64::from(u32::try_from(MESSAGES).expect("a small number")) / span.as_secs_f64()
}

fn after(span: Option<Duration>) -> String {
    match span {
        Some(span) => format!("{:>9.2} s   ({:.0} /s)", span.as_secs_f64(), rate(span)),
        None => format!("    never within {} s", WAIT_MAX.as_secs()),
    }
}

/// Says all, with so many requests under way that the node never waits for this process. What it refuses for the time
/// being is said again; returns how often that was.
fn say_all(home: &Path) -> u64 {
    let mut connection = Connection::open(home);
    let (mut asked, mut answered, mut refused) = (0, 0, 0);
    while answered < MESSAGES {
        while asked - answered < REQUESTS_AHEAD.min(MESSAGES - answered) {
            let text = format!("message {asked:06} of the benchmark");
            connection.request(&json!({ "send": { "to": null, "text": text, "follow": false } }));
            asked += 1;
        }
        let line = connection.next_line();
        if line.contains(r#""response":{"sent""#) {
            answered += 1;
        } else {
            assert!(line.contains(r#""kind":"refused""#), "{line}");
            asked -= 1;
            refused += 1;
            std::thread::sleep(BUSY_WAIT);
        }
    }
    refused
}

fn wait(begun: Instant, mut is_done: impl FnMut() -> bool) -> Option<Duration> {
    let until = Instant::now() + WAIT_MAX;
    while !is_done() {
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Some(begun.elapsed())
}

fn gaps(home: &Path) -> usize {
    let answer = Connection::open(home).ask(&json!("gaps"));
    answer["gaps"].as_array().expect("a list").len()
}

/// One at a time: from the request to the last receipt.
fn long_texts(room: &Room) {
    let text = "sixteen letters ".repeat(LONG_TEXT_BYTES / 16);
    let mut sender = Connection::open(&room.homes[0]);
    sender.request(&json!({ "tail": { "since": null } }));
    let mut measure = |to: Option<&str>, receipts: usize| {
        let samples = (0..LONG_TEXTS).map(|_| {
            let begun = Instant::now();
            sender.request(&json!({ "send": { "to": to, "text": text, "follow": false } }));
            for _ in 0..receipts {
                while !is_delivery(sender.next_line()) {}
            }
            begun.elapsed()
        });
        Latencies::of(samples.collect())
    };
    let private = measure(Some("bo"), 1);
    let group = measure(None, NICKS.len() - 1);
    let logs: Vec<Log> = room.homes.iter().map(|home| Log::open(home)).collect();
    let long = |log: &Log| log.count(&format!("SELECT count(*) FROM messages WHERE length(text) = {LONG_TEXT_BYTES}"));
    let wanted = LONG_TEXTS as u64 * NICKS.len() as u64;
    // The newest are on the disk, and where they can be counted once there is nothing else to write.
    let counted = || logs[1..].iter().map(long).sum::<u64>();
    wait(Instant::now(), || counted() == wanted);
    let arrived = counted();
    println!("\n{LONG_TEXTS} texts of 16 KiB each, in that room, one at a time; p50 / p99 in microseconds");
    println!("  private, to its durable receipt            {private}");
    println!("  to the room, to the last of its receipts   {group}");
    println!("  arrived                                    {arrived:>9} of {wanted}");
    assert_eq!(arrived, wanted, "texts were lost");
}

/// What a node has on its disk.
struct Log(rusqlite::Connection);

impl Log {
    fn open(home: &Path) -> Self {
        let path: PathBuf = home.join("moot.db");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        Self(rusqlite::Connection::open_with_flags(path, flags).expect("a database"))
    }

    fn count(&self, query: &str) -> u64 {
        let count = self.0.query_row(query, (), |row| row.get::<_, i64>(0)).expect("a count");
        u64::try_from(count).expect("no less than none")
    }
}
