//! The membership states that one member went through in the eyes of the others, with the evidence that made each
//! change. Owns which member is worth it, and how evidence is said for many observers at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{escaped, names_in_short};
use crate::base::Presence;
use crate::check::{Name, What};
use crate::node::api::{Event, EventKind, Evidence, EvidenceKind};
use crate::report::story::Story;

/// As one reads along an arrow.
const LABEL_CHARS: usize = 34;

/// From a state (`None` before the member was known) to one, because of something.
pub(super) type Step = (Option<Presence>, Presence, String);

/// The member that the others changed their mind about in most ways, if about anybody.
pub(super) fn subject(story: &Story<'_>) -> Option<usize> {
    let ways = |node: usize| steps(story, node).len();
    let most = (0..story.nodes.len()).max_by_key(|&node| (ways(node), std::cmp::Reverse(node)))?;
    (ways(most) > 1).then_some(most)
}

pub(super) fn states(story: &Story<'_>, subject: usize) -> String {
    let steps = steps(story, subject);
    let mut out = String::from("```mermaid\nstateDiagram-v2\n    direction LR\n");
    out.push_str(&declared(steps.keys()));
    for ((from, to, because), observers) in &steps {
        let from = from.map_or("[*]", Presence::word);
        let names: Vec<&Name> = observers.iter().map(|&node| &story.nodes[node].name).collect();
        let label = format!("{because} (seen by {})", names_in_short(&names));
        writeln!(out, "    {from} --> {}: {}", to.word(), escaped(&label, LABEL_CHARS)).expect("a string takes all");
    }
    out.push_str("```\n");
    out
}

/// The states that `steps` lead to and from, in the order in which they are drawn.
pub(super) fn declared<'a>(steps: impl Iterator<Item = &'a Step>) -> String {
    let used: Vec<Presence> = steps.flat_map(|(from, to, _)| from.iter().copied().chain([*to])).collect();
    let mut out = String::new();
    for state in [Presence::Alive, Presence::Suspect, Presence::Unreachable, Presence::Left] {
        if used.contains(&state) {
            writeln!(out, "    state \"{}\" as {}", state.word(), state.word()).expect("a string takes all");
        }
    }
    out
}

/// Each step that somebody told of, with who did.
pub(super) fn steps(story: &Story<'_>, subject: usize) -> BTreeMap<Step, BTreeSet<usize>> {
    let mut held: BTreeMap<usize, Presence> = BTreeMap::new();
    let mut steps: BTreeMap<Step, BTreeSet<usize>> = BTreeMap::new();
    for line in story.lines {
        let Some(observer) = story.node(line) else { continue };
        match &line.what {
            // A process remembers by its disk; what that gives is a step of its own.
            What::Started { .. } => {
                held.remove(&observer);
            }
            What::Told { event } => {
                let Some((state, evidence)) = change(story, event, subject, observer) else { continue };
                let because = because(state, evidence);
                let before = held.insert(observer, state);
                if before != Some(state) || !because.is_empty() {
                    let plain = if story.hears(observer, evidence) {
                        "a card, and a heartbeat"
                    } else {
                        "a card, and another's word"
                    };
                    let because = if because.is_empty() { plain.to_owned() } else { because };
                    steps.entry((before, state, because)).or_default().insert(observer);
                }
            }
            _ => {}
        }
    }
    steps
}

fn change<'a>(
    story: &Story<'_>,
    event: &'a Event,
    subject: usize,
    observer: usize,
) -> Option<(Presence, &'a [Evidence])> {
    let EventKind::Member { id, state, evidence, .. } = &event.kind else { return None };
    (story.machine(*id) == Some(subject) && subject != observer).then_some((*state, evidence))
}

/// Evidence without the names and numbers in which observers differ: what kinds of it there were.
fn because(state: Presence, evidence: &[Evidence]) -> String {
    let of = |kind: EvidenceKind| evidence.iter().filter(move |item| item.kind == kind);
    let voices = |kind: EvidenceKind| of(kind).map(|item| item.by).collect::<BTreeSet<_>>().len();
    let restarted = of(EvidenceKind::Card).any(|item| item.detail.starts_with("restarted"));
    let parts: &[Option<String>] = match state {
        Presence::Left => &[Some("its signed goodbye".into())],
        Presence::Suspect | Presence::Unreachable => &[
            (of(EvidenceKind::Restored).count() > 0).then(|| "known from the disk, not heard yet".into()),
            match voices(EvidenceKind::Report) {
                0 => None,
                1 if of(EvidenceKind::Report).any(|item| item.verdict) => Some("another's verdict".into()),
                1 => Some("one report".into()),
                _ => Some("reports by several".into()),
            },
        ],
        Presence::Alive => &[
            restarted.then(|| "a card of a new run".into()),
            (voices(EvidenceKind::Contradiction) > 0).then(|| "a contradiction".into()),
            (voices(EvidenceKind::Withdrawal) > 0).then(|| "a withdrawal".into()),
            of(EvidenceKind::Heard).any(|item| item.detail.contains("silent")).then(|| "heard again".into()),
        ],
    };
    parts.iter().flatten().cloned().collect::<Vec<_>>().join(", ")
}
