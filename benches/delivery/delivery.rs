//! How soon and how surely messages are delivered, and what that costs in datagrams.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use folkmoot::base::{MessageId, Rng, Time};
use folkmoot::check::{Line, What};
use folkmoot::crypto::Suite;
use folkmoot::node::api::{EventKind, Outcome};
use folkmoot::sim::{Options, Unsynced, World};
use folkmoot::wire::FrameKind;

use super::{Amount, DISK, lines, names, quantile, room};

pub(super) const ONE_WAY: Duration = Duration::from_millis(50);
/// Messages are said until then without being counted, so that the loss of the path is known.
pub(super) const WARM_UP: Duration = Duration::from_secs(60);
/// IPv4 and UDP headers of one datagram.
const HEADER_BYTES: u64 = 28;
pub(super) const TEXT: &str = "a line of chat as people write it, sixty-four bytes of it, about.";

/// What became of private messages between two members.
#[derive(Default)]
struct Seen {
    left: BTreeMap<MessageId, Time>,
    /// From the sender's commit to the receiver's, in microseconds.
    took: Vec<u64>,
    /// Of datagrams with a message or a receipt.
    bytes: u64,
    /// Messages that were called unknown at their deadline.
    unknown: BTreeSet<MessageId>,
    said: u64,
    attempts: u64,
    retries: u64,
    copies: u64,
}

impl Seen {
    fn note(&mut self, line: &Line, is_counted: bool) {
        let is_messaging = |frame| matches!(frame, FrameKind::Private | FrameKind::Receipt | FrameKind::Refused);
        match &line.what {
            What::Sent { bytes, labels, .. } if is_counted && labels.iter().any(|label| is_messaging(label.frame)) => {
                self.bytes += u64::from(*bytes) + HEADER_BYTES;
            }
            What::Stored { kept, .. } => {
                for kept in kept {
                    if kept.is_own {
                        self.left.extend(is_counted.then_some((kept.id, line.at)));
                    } else if let Some(left) = self.left.remove(&kept.id) {
                        self.took.push(micros(line.at.since(left)));
                    }
                }
            }
            What::Told { event } => {
                if let EventKind::Delivery { id, delivery, .. } = &event.kind
                    && delivery.outcome == Outcome::Unknown
                    && is_counted
                {
                    self.unknown.insert(*id);
                }
            }
            _ => {}
        }
    }
}

pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn counter(world: &World, name: &str, counter: &str) -> u64 {
    world.status(name).counters.get(counter).copied().unwrap_or(0)
}

/// How two members talk.
#[derive(Clone, Copy)]
struct Talk {
    /// Parts of a thousand, each way.
    loss: u32,
    jitter: Duration,
    /// Between two messages on average; it is never regular.
    gap: Duration,
    /// How long one commit of the receiver takes, once a second.
    stall: Option<Duration>,
}

const CHAT: Talk = Talk { loss: 0, jitter: Duration::ZERO, gap: Duration::from_millis(250), stall: None };

fn talk(seed: u64, seen: &mut Seen, talk: Talk, messages: usize) {
    let Talk { loss, jitter, gap, stall } = talk;
    let names = names(2);
    let mut world = room(Options { is_traced: true, ..Options::new(seed) }, &names, ONE_WAY, jitter);
    world.loss(loss);
    let mut rng = Rng::from_seed(*blake3::hash(&seed.to_be_bytes()).as_bytes());
    let pause = |rng: &mut Rng| gap / 2 + Duration::from_micros(rng.below(micros(gap)));
    let end = world.elapsed() + WARM_UP;
    while world.elapsed() < end {
        world.tell("m0", "m1", TEXT);
        world.run_for(pause(&mut rng));
    }
    let before = ["delivery_attempts", "delivery_retries", "delivery_copies"].map(|name| counter(&world, "m0", name));
    lines(&mut world).for_each(|line| seen.note(&line, false));
    let mut stalls_at = world.elapsed();
    for _ in 0..messages {
        world.tell("m0", "m1", TEXT);
        let is_stalling = stall.filter(|_| world.elapsed() >= stalls_at);
        world.disk_latency("m1", is_stalling.unwrap_or(DISK));
        if is_stalling.is_some() {
            stalls_at = world.elapsed() + Duration::from_secs(1);
        }
        world.run_for(pause(&mut rng));
        lines(&mut world).for_each(|line| seen.note(&line, true));
    }
    world.run_for(Duration::from_secs(12));
    lines(&mut world).for_each(|line| seen.note(&line, true));
    seen.said += u64::try_from(messages).unwrap_or(0);
    seen.attempts += counter(&world, "m0", "delivery_attempts") - before[0];
    seen.retries += counter(&world, "m0", "delivery_retries") - before[1];
    seen.copies += counter(&world, "m0", "delivery_copies") - before[2];
}

pub(super) fn ms(micros: u64) -> String {
    format!("{}.{}", micros / 1000, micros % 1000 / 100)
}

/// `part` in a hundred, with two places.
fn percent(part: u64, whole: u64) -> String {
    let share = part * 10_000 / whole.max(1);
    format!("{}.{:02}", share / 100, share % 100)
}

/// How soon private messages are committed, at several losses.
pub(super) fn private(amount: Amount) {
    println!(
        "| loss each way | messages | p50, ms | p99, ms | max, ms | bytes a message | unknown at the deadline | retries a hundred | copies a hundred |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for loss in [0, 10, 50, 200] {
        let mut seen = Seen::default();
        for seed in 0..amount.seeds {
            talk(seed, &mut seen, Talk { loss, ..CHAT }, amount.messages);
        }
        seen.took.sort_unstable();
        println!(
            "| {}.{} % | {} | {} | {} | {} | {} | {} | {} | {} |",
            loss / 10,
            loss % 10,
            seen.said,
            ms(quantile(&seen.took, 500)),
            ms(quantile(&seen.took, 990)),
            ms(quantile(&seen.took, 1000)),
            seen.bytes / seen.said.max(1),
            seen.unknown.len(),
            percent(seen.retries, seen.said),
            percent(seen.copies, seen.said),
        );
    }
}

/// How many attempts were not needed, because nothing is ever lost.
pub(super) fn jitter(amount: Amount) {
    needless(amount, Talk { jitter: ONE_WAY * 3 / 10, ..CHAT });
}

/// The same, where one commit of the receiver takes long.
pub(super) fn slow(amount: Amount) {
    needless(amount, Talk { stall: Some(ONE_WAY * 3), ..CHAT });
}

fn needless(amount: Amount, chat: Talk) {
    println!(
        "| messages a second | messages | retries, % | copies, % | p50, ms | p99, ms |\n|---:|---:|---:|---:|---:|---:|"
    );
    for gap in [250, 50, 10] {
        let mut seen = Seen::default();
        let gap = Duration::from_millis(gap);
        for seed in 0..amount.seeds {
            talk(seed, &mut seen, Talk { gap, ..chat }, amount.messages);
        }
        seen.took.sort_unstable();
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            1000 / gap.as_millis(),
            seen.said,
            percent(seen.retries, seen.said),
            percent(seen.copies, seen.said),
            ms(quantile(&seen.took, 500)),
            ms(quantile(&seen.took, 990)),
        );
    }
}

/// What one's node keeps of members that died with messages on their way to them, after those lived their life.
pub(super) fn dead(amount: Amount) {
    println!(
        "| members that died | deliveries open at first | expired | unknown for good | under way | sessions | dials | members kept | datagrams in the last hour |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for members in [10, 50] {
        let names = names(members + 1);
        let options = Options { keeps_told: false, suite: Suite::Plain, ..Options::new(amount.seeds) };
        let mut world = room(options, &names, ONE_WAY, Duration::ZERO);
        for name in &names[1..] {
            world.crash(name, Unsynced::Lose);
        }
        // Half of them are told something while they still seem to be there.
        let (early, late) = names[1..].split_at(members / 2);
        for name in early {
            world.tell("m0", name, TEXT);
        }
        world.say("m0", TEXT);
        world.run_for(Duration::from_secs(60));
        for name in late {
            world.tell("m0", name, TEXT);
        }
        let first = world.status("m0").deliveries;
        let open = first.waiting + first.sending + first.unknown;
        world.run_for(Duration::from_hours(8 * 24 - 1));
        let sent = world.datagrams();
        world.run_for(Duration::from_hours(1));
        let status = world.status("m0");
        let used = |table: &str| status.counters[&format!("{table}_used")];
        println!(
            "| {members} | {open} | {} | {} | {} | {} | {} | {} | {} |",
            status.deliveries.expired,
            status.deliveries.unknown,
            used("under_way_to_a_peer"),
            used("sessions"),
            used("dials"),
            used("members"),
            world.datagrams() - sent
        );
    }
}
