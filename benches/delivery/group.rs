//! How soon a room too large to send to each shows what one of it says, and what becomes of the receipts.

use std::time::Duration;

use folkmoot::base::{MessageId, Time};
use folkmoot::check::{Line, What};
use folkmoot::crypto::Suite;
use folkmoot::node::api::EventKind;
use folkmoot::sim::{Options, World};

use super::delivery::{ONE_WAY, TEXT, WARM_UP, counter, micros, ms};
use super::{Amount, lines, names, old_room, quantile, room};

const JITTER: Duration = Duration::from_millis(15);
/// Parts of a thousand, each way.
const LOSS: u32 = 50;
/// Receipts are counted this long after the last message, and once more after the messages' deadline.
const RECEIPTS_AFTER: Duration = Duration::from_secs(5);
const RECEIPTS_LATER: Duration = Duration::from_secs(60);

/// What became of the messages of all seeds.
#[derive(Default)]
struct Seen {
    /// From the author's commit, in microseconds.
    took: Vec<u64>,
    never: usize,
    retries: u64,
    copies: u64,
    /// With their authors soon, and later.
    receipts: (u64, u64),
    asked: u64,
    /// Of how many others, where not all were asked.
    sample_of: Option<u32>,
}

fn sum(world: &World, names: &[String], what: &str) -> u64 {
    names.iter().map(|name| counter(world, name, what)).sum()
}

fn receipts(world: &World, names: &[String]) -> u64 {
    names.iter().map(|name| world.status(name).deliveries.delivered).sum()
}

/// Says `messages` of as many authors, one after the other, to a room that is at rest.
fn say(world: &mut World, names: &[String], messages: usize, seen: &mut Seen) {
    world.loss(LOSS);
    let end = world.elapsed() + WARM_UP;
    while world.elapsed() < end {
        world.run_for(Duration::from_secs(5));
        lines(world).for_each(drop);
    }
    let came = |world: &World| sum(world, names, "messages_group") + sum(world, names, "messages_duplicate");
    let (retried, had) = (sum(world, names, "delivery_retries"), came(world));
    for number in 0..messages {
        let author = &names[number * 37 % names.len()];
        let id = world.say(author, TEXT);
        let mut left = None;
        let mut shown = Vec::new();
        for _ in 0..10 {
            world.run_for(Duration::from_secs(1));
            for line in lines(world) {
                note_shown(&line, id, &mut left, &mut shown);
            }
            if shown.len() == names.len() - 1 {
                break;
            }
        }
        seen.never += names.len() - 1 - shown.len();
        let left = left.expect("its author shows it");
        seen.took.extend(shown.into_iter().map(|at: Time| micros(at.since(left))));
        seen.sample_of = world.why(author, id).and_then(|why| why.sample_of);
    }
    world.run_for(RECEIPTS_AFTER);
    seen.retries += sum(world, names, "delivery_retries") - retried;
    seen.copies += came(world) - had - u64::try_from(messages).unwrap_or(0);
    seen.receipts.0 += receipts(world, names);
    world.run_for(RECEIPTS_LATER);
    lines(world).for_each(drop);
    seen.receipts.1 += receipts(world, names);
    for name in names {
        let deliveries = world.status(name).deliveries;
        seen.asked += deliveries.delivered + deliveries.waiting + deliveries.sending + deliveries.unknown;
    }
}

fn note_shown(line: &Line, id: MessageId, left: &mut Option<Time>, shown: &mut Vec<Time>) {
    let What::Told { event } = &line.what else { return };
    let EventKind::Message(message) = &event.kind else { return };
    if message.id == id {
        if left.is_none() {
            *left = Some(line.at);
        } else {
            shown.push(line.at);
        }
    }
}

fn options(seed: u64) -> Options {
    Options { is_traced: true, keeps_told: false, suite: Suite::Plain, ..Options::new(seed) }
}

/// How soon a room shows what one of it says.
pub(super) fn group(amount: Amount) {
    const MEMBERS: usize = 100;
    let messages = amount.messages.min(20);
    let mut seen = Seen::default();
    for seed in 0..amount.seeds {
        let names = names(MEMBERS);
        let mut world = room(options(seed), &names, ONE_WAY, JITTER);
        say(&mut world, &names, messages, &mut seen);
    }
    print(seen, MEMBERS, amount.seeds * u64::try_from(messages).unwrap_or(0));
}

/// The same in a room in which receipts are a sample.
pub(super) fn large(amount: Amount) {
    const MEMBERS: usize = 500;
    const MESSAGES: usize = 3;
    let mut seen = Seen::default();
    for seed in 0..amount.seeds {
        let names = names(MEMBERS);
        let mut world = old_room(options(seed), &names, ONE_WAY, JITTER);
        say(&mut world, &names, amount.messages.min(MESSAGES), &mut seen);
    }
    print(seen, MEMBERS, amount.seeds * u64::try_from(amount.messages.min(MESSAGES)).unwrap_or(0));
}

fn print(mut seen: Seen, members: usize, said: u64) {
    println!(
        "| members | messages | shown by 50 % | by 99 % | by 99.9 % | by all, ms | copies a member | receipts after 5 s | after 65 s | asked for | sent again, each | suite |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|");
    seen.took.sort_unstable();
    let [half, most, nearly, all] = [500, 990, 999, 1000].map(|share| ms(quantile(&seen.took, share)));
    let others = said * u64::try_from(members - 1).unwrap_or(0);
    let asked = seen.sample_of.map_or_else(String::new, |of| format!(" (a sample, of {of} others each)"));
    println!(
        "| {members} | {said} | {half} | {most} | {nearly} | {all} | {}.{:02} | {} | {} | {}{asked} | {} | plain |",
        seen.copies / others.max(1),
        seen.copies * 100 / others.max(1) % 100,
        seen.receipts.0,
        seen.receipts.1,
        seen.asked,
        seen.retries / said.max(1)
    );
    println!("\nnot shown within 10 s: {}", seen.never);
}
