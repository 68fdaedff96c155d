//! What one node is made of, with what really passed between the parts in the run. Owns which frame belongs to
//! which subsystem, as `docs/PROTOCOL.md` has it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escaped;
use crate::check::What;
use crate::node::api::EventKind;
use crate::report::story::{Fate, Story};
use crate::report::words::count;
use crate::wire::{FrameKind, Label};

/// What passed inside one node and around it.
#[derive(Default)]
struct Passed {
    commands: usize,
    told: BTreeMap<&'static str, usize>,
    batches: usize,
    records: usize,
    out: Frames,
    into: Frames,
}

/// What datagrams of one direction carried.
#[derive(Default)]
struct Frames {
    datagrams: usize,
    handshakes: usize,
    membership: usize,
    messaging: usize,
}

pub(super) fn system(story: &Story<'_>) -> String {
    let Some(node) = (0..story.nodes.len()).next() else { return "No machine took part.\n".into() };
    let passed = passed(story, node);
    let name = escaped(&story.nodes[node].name, usize::MAX);
    let told: Vec<String> = passed.told.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
    let told = escaped(&told.join(", "), 40);
    let (out, into) = (&passed.out, &passed.into);
    let commands = count(passed.commands, "command", "commands");
    let disk = escaped(
        &format!("{} in {}", count(passed.records, "record", "records"), count(passed.batches, "commit", "commits")),
        40,
    );
    let wire = |frames: &Frames| count(frames.datagrams, "datagram", "datagrams");
    let both = |out: usize, into: usize| format!("{out} frames out, {into} in");
    let mut text = String::new();
    writeln!(
        text,
        "```mermaid\nflowchart TB\n    person[\"the person at {name}\"]\n    subgraph node [\"{name}: one process, one UDP socket\"]\n    \
         runtime[\"runtime: loop, clock, socket, control socket\"]\n    machine[\"node: carries what one subsystem says to the next\"]\n    \
         transport[\"transport: {} handshakes out, {} in\"]\n    membership[\"membership: {}\"]\n    messaging[\"messaging: {}\"]\n    \
         store[(\"store: {disk}\")]\n    end\n    others[\"the other nodes\"]",
        out.handshakes,
        into.handshakes,
        both(out.membership, into.membership),
        both(out.messaging, into.messaging),
    )
    .expect("a string takes all");
    writeln!(
        text,
        "    person -- \"{commands}\" --> runtime\n    runtime -- \"{told}\" --> person\n    runtime <--> machine\n    \
         machine <--> transport\n    machine <--> membership\n    machine <--> messaging\n    machine -- \"{}\" --> store\n    \
         store -- \"stored\" --> machine\n    runtime -- \"{}\" --> others\n    others -- \"{}\" --> runtime\n```",
        count(passed.records, "record", "records"),
        wire(out),
        wire(into),
    )
    .expect("a string takes all");
    text
}

fn passed(story: &Story<'_>, node: usize) -> Passed {
    let mut passed = Passed::default();
    for line in story.lines.iter().filter(|line| story.node(line) == Some(node)) {
        match &line.what {
            What::Accepted { .. } | What::Refused { .. } => passed.commands += 1,
            What::Stored { records, .. } => {
                passed.batches += 1;
                passed.records += *records as usize;
            }
            What::Told { event } => *passed.told.entry(kind(&event.kind)).or_default() += 1,
            What::Sent { labels, .. } => passed.out.add(labels),
            _ => {}
        }
    }
    for flight in story.flights.iter().filter(|flight| flight.to == Some(node)) {
        let What::Sent { labels, .. } = &story.lines[flight.sent].what else { continue };
        let arrived = flight.fates.iter().filter(|fate| matches!(fate, Fate::Arrived { .. }));
        for _ in arrived {
            passed.into.add(labels);
        }
    }
    passed
}

impl Frames {
    fn add(&mut self, labels: &[Label]) {
        self.datagrams += 1;
        self.handshakes += usize::from(labels.is_empty());
        for label in labels {
            if is_membership(label.frame) { self.membership += 1 } else { self.messaging += 1 }
        }
    }
}

const fn is_membership(frame: FrameKind) -> bool {
    match frame {
        FrameKind::Heartbeat
        | FrameKind::Probe
        | FrameKind::Report
        | FrameKind::Contradiction
        | FrameKind::Withdrawal
        | FrameKind::Unreachable
        | FrameKind::Leaves
        | FrameKind::Cards
        | FrameKind::Buckets
        | FrameKind::Bucket
        | FrameKind::Question => true,
        FrameKind::Group
        | FrameKind::Private
        | FrameKind::Receipt
        | FrameKind::Refused
        | FrameKind::Digest
        | FrameKind::Frontier
        | FrameKind::Pull
        | FrameKind::Recovered
        | FrameKind::PullEnd
        | FrameKind::Flood
        | FrameKind::Receipts
        | FrameKind::HopAck => false,
    }
}

/// The word that an event has in the JSON.
const fn kind(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Ready { .. } => "ready",
        EventKind::Member { .. } => "member",
        EventKind::Message(_) => "message",
        EventKind::Undone { .. } => "undone",
        EventKind::Delivery { .. } => "delivery",
        EventKind::Gap(_) => "gap",
        EventKind::Recovered { .. } => "recovered",
        EventKind::Fault { .. } => "fault",
        EventKind::Alarm { .. } => "alarm",
        EventKind::Stalled { .. } => "stalled",
        EventKind::Lagged { .. } => "lagged",
        EventKind::Script { .. } => "script",
    }
}
