//! The states that members and deliveries went through in many runs, with how often each step was taken. Owns the
//! counting; a document of the states is held to it, so that it shows no step that never is, and misses none.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escaped;
use super::states::{Step, declared, steps};
use crate::base::{MemberId, MessageId, Presence};
use crate::check::{Name, Trace, What};
use crate::messaging::Outcome;
use crate::node::api::EventKind;
use crate::report::story::Story;

/// As one reads along an arrow.
const LABEL_CHARS: usize = 34;

/// How often each step was taken.
#[derive(Default)]
pub struct Tally {
    members: BTreeMap<Step, usize>,
    deliveries: BTreeMap<(Option<Outcome>, Outcome, &'static str), usize>,
}

impl Tally {
    /// Counts the steps of one run: of members, each pair of one who sees and one who is seen once for a step, however
    /// often it took it; of deliveries, each change that its author was told.
    pub fn add(&mut self, run: &Trace) {
        let story = Story::of(run);
        for subject in 0..story.nodes.len() {
            for (step, observers) in steps(&story, subject) {
                *self.members.entry(step).or_default() += observers.len();
            }
        }
        let mut held: BTreeMap<(Option<&Name>, MessageId, MemberId), Outcome> = BTreeMap::new();
        for line in run {
            // What the home says then counts anew.
            if let What::RolledBack { .. } = line.what {
                held.retain(|(node, ..), _| *node != line.node.as_ref());
            }
            let What::Told { event } = &line.what else { continue };
            let EventKind::Delivery { id, delivery, .. } = &event.kind else { continue };
            let before = held.insert((line.node.as_ref(), *id, delivery.member), delivery.outcome);
            if before != Some(delivery.outcome) {
                let because = because(before, delivery.outcome, delivery.latency_us.is_some());
                *self.deliveries.entry((before, delivery.outcome, because)).or_default() += 1;
            }
        }
    }

    /// The states that members had in the eyes of others.
    #[must_use]
    pub fn membership(&self) -> String {
        let steps = self.members.iter().map(|((from, to, because), count)| {
            (from.map_or("[*]", Presence::word), to.word(), format!("{because} ({count})"))
        });
        drawn(&declared(self.members.keys()), steps)
    }

    /// The outcomes of deliveries. What a delivery begins with is told with its message, so its first change comes from
    /// `[*]`: it waits, or is being sent.
    #[must_use]
    pub fn outcomes(&self) -> String {
        let steps = self.deliveries.iter().map(|((from, to, because), count)| {
            (from.map_or("[*]", Outcome::word), to.word(), format!("{because} ({count})"))
        });
        drawn("", steps)
    }
}

fn drawn(declared: &str, steps: impl Iterator<Item = (&'static str, &'static str, String)>) -> String {
    let mut out = format!("```mermaid\nstateDiagram-v2\n    direction LR\n{declared}");
    for (from, to, label) in steps {
        writeln!(out, "    {from} --> {to}: {}", escaped(&label, LABEL_CHARS)).expect("a string takes all");
    }
    out.push_str("```\n");
    out
}

const fn because(before: Option<Outcome>, after: Outcome, is_timed: bool) -> &'static str {
    match (before, after) {
        (_, Outcome::Waiting) => "its receiver is away",
        (_, Outcome::Sending) => "its receiver is there",
        (_, Outcome::Unknown) => "10 s of trying, no receipt",
        (_, Outcome::Refused) => "the receiver says no",
        (_, Outcome::Expired) => "never sent, its life is over",
        (Some(Outcome::Unknown), Outcome::Delivered) => "a late receipt",
        (_, Outcome::Delivered) if is_timed => "a receipt",
        (_, Outcome::Delivered) => "a receipt for what an earlier run sent",
    }
}
