//! How soon a receiver says that it has what it has: from its commit until a datagram with its receipt leaves.

use std::collections::BTreeMap;
use std::time::Duration;

use folkmoot::base::{MessageId, Time};
use folkmoot::check::{Line, Name, What};
use folkmoot::sim::{Options, World};
use folkmoot::wire::FrameKind;

use super::delivery::{ONE_WAY, TEXT, micros, ms};
use super::{Amount, lines, names, quantile, room};

/// Commits that no receipt has followed: of which receiver, to which author.
#[derive(Default)]
struct Owed {
    since: BTreeMap<(Name, Name), Vec<u64>>,
    took: Vec<u64>,
}

impl Owed {
    /// A receipt says all that is held, so one that leaves settles all commits before it.
    fn note(&mut self, line: &Line, authors: &BTreeMap<MessageId, Name>) {
        let Some(node) = &line.node else { return };
        match &line.what {
            What::Stored { kept, .. } => {
                for author in kept.iter().filter(|kept| !kept.is_own).filter_map(|kept| authors.get(&kept.id)) {
                    self.since.entry((node.clone(), author.clone())).or_default().push(micros(line.at.since(START)));
                }
            }
            What::Sent { to: Some(to), labels, .. } if labels.iter().any(|label| label.frame == FrameKind::Receipt) => {
                let now = micros(line.at.since(START));
                let settled = self.since.remove(&(node.clone(), to.clone())).unwrap_or_default();
                self.took.extend(settled.into_iter().map(|since| now - since));
            }
            _ => {}
        }
    }
}

const START: Time = Time::ZERO;

/// Members, whether all that is said is private, and messages a second of each.
const ROWS: [(usize, bool, u64); 5] = [(2, true, 4), (2, true, 1000), (2, true, 5000), (8, false, 4), (8, false, 100)];

pub(super) fn receipts(amount: Amount) {
    println!(
        "| members | kind | messages a second of each | messages | receipts due | p50, ms | p99, ms | max, ms | never left |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|---:|---:|");
    for (members, is_private, rate) in ROWS {
        let (mut owed, mut said) = (Owed::default(), 0);
        for seed in 0..amount.seeds {
            let names = names(members);
            let mut world = room(Options { is_traced: true, ..Options::new(seed) }, &names, ONE_WAY, Duration::ZERO);
            lines(&mut world).for_each(drop);
            let mut authors = BTreeMap::new();
            for _ in 0..amount.messages {
                for author in &names[..if is_private { 1 } else { members }] {
                    let id = if is_private { world.tell(author, "m1", TEXT) } else { world.say(author, TEXT) };
                    authors.insert(id, Name::from(author.as_str()));
                    said += 1;
                }
                world.run_for(Duration::from_micros(1_000_000 / rate));
                take(&mut world, &mut owed, &authors);
            }
            world.run_for(Duration::from_secs(2));
            take(&mut world, &mut owed, &authors);
        }
        owed.took.sort_unstable();
        println!(
            "| {members} | {} | {rate} | {said} | {} | {} | {} | {} | {} |",
            if is_private { "private" } else { "group" },
            owed.took.len(),
            ms(quantile(&owed.took, 500)),
            ms(quantile(&owed.took, 990)),
            ms(quantile(&owed.took, 1000)),
            owed.since.values().map(Vec::len).sum::<usize>(),
        );
    }
}

fn take(world: &mut World, owed: &mut Owed, authors: &BTreeMap<MessageId, Name>) {
    lines(world).for_each(|line| owed.note(&line, authors));
}
