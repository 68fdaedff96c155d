//! The causal past of what failed: everything that could have led to it, and of that what a reader can take
//! in. Owns what is left out, and counts it.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{MemberId, MessageId, Presence, Time};
use crate::check::{LineNumber, What};
use crate::node::api::EventKind;
use crate::wire::Label;

use super::story::{Fate, Story};
use super::words::{self, Weight};

/// Lines of a trace, by their index in it.
pub(super) struct Past {
    /// What is explained: where it failed, or the end of a run in which nothing did.
    pub target: Option<usize>,
    /// From cause to cause, the earliest first; ends with the target. Empty where nothing failed.
    pub chain: Vec<usize>,
    /// What is drawn, in the order of the run. A datagram is drawn with all that became of it until then.
    pub drawn: BTreeSet<usize>,
    /// Lines of the past that matter and do not fit.
    pub left_out: usize,
    /// Heartbeats and the like, which are never drawn but in the chain.
    pub routine: usize,
}

/// A datagram and its fates count as one here. More than this nobody follows, and a page should stay light.
const DRAWN_MAX: usize = 300;

/// Why something is drawn; what is later here goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Rank {
    Routine,
    Upkeep,
    Evidence,
    Story,
    /// About a message that the chain is about, or about a machine or a link that is not well.
    Focus,
    Chain,
}

impl Past {
    /// The past of the line numbered `failed_at`; else of the first violation; else the whole run.
    pub(super) fn of(story: &Story<'_>, failed_at: Option<LineNumber>) -> Self {
        let violated = || story.lines.iter().position(|line| matches!(line.what, What::Violated { .. }));
        let failed = failed_at.and_then(|number| story.index(number)).or_else(violated);
        let target = failed.or_else(|| story.lines.len().checked_sub(1));
        let Some(target) = target else {
            return Self { target: None, chain: Vec::new(), drawn: BTreeSet::new(), left_out: 0, routine: 0 };
        };
        let chain = if failed.is_some() { chain(story, target) } else { Vec::new() };
        let before = if failed.is_some() { happened_before(story, target, &chain) } else { vec![true; target + 1] };
        let focus = focus(story, &chain);
        let in_chain: BTreeSet<usize> = chain.iter().copied().collect();

        let mut ranked: Vec<(Rank, usize)> = Vec::new();
        let mut routine = 0;
        let mut repeats = Repeats::default();
        let shown_at_once = shown_at_once(story);
        for index in (0..=target)
            .filter(|&index| before[index] && (in_chain.contains(&index) || !shown_at_once.contains(&index)))
        {
            let rank = if in_chain.contains(&index) {
                Some(Rank::Chain)
            } else {
                rank(story, index, &focus)
                    .map(|rank| if repeats.is_one_more(story, index) { rank.min(Rank::Upkeep) } else { rank })
            };
            match rank {
                Some(Rank::Routine) => routine += 1,
                Some(rank) => ranked.push((rank, index)),
                None => {}
            }
        }
        ranked.sort_by(|a, b| b.cmp(a));
        let left_out = ranked.len().saturating_sub(DRAWN_MAX);
        ranked.truncate(DRAWN_MAX);
        let mut drawn: BTreeSet<usize> = ranked.into_iter().map(|(_, index)| index).collect();
        add_flights(story, &mut drawn, target);
        Self { target: Some(target), chain, drawn, left_out, routine }
    }
}

/// From cause to cause back to a line without one, the earliest first.
fn chain(story: &Story<'_>, target: usize) -> Vec<usize> {
    let mut chain = vec![target];
    let mut at = target;
    while let Some(cause) = story.cause(at) {
        chain.push(cause);
        at = cause;
    }
    chain.reverse();
    chain
}

/// Which lines up to `target` may have led to it (Lamport 1978): those on the same machine before, and those that a
/// datagram carried over, or would have: what did not come led to it as well. What befell machines and links counts too,
/// for a silence has no line of its own.
fn happened_before(story: &Story<'_>, target: usize, chain: &[usize]) -> Vec<bool> {
    let mut before = vec![false; target + 1];
    for &index in chain {
        before[index] = true;
    }
    let mut reached = vec![false; story.nodes.len()];
    for index in (0..=target).rev() {
        let line = &story.lines[index];
        let node = story.node(line);
        before[index] |= node.is_none_or(|node| reached[node]) || befalls(&line.what);
        if let What::Dropped { datagram, .. } = line.what {
            if let Some(flight) = story.flight(datagram).filter(|flight| flight.to.is_some_and(|to| reached[to])) {
                before[flight.sent] = true;
            }
            continue;
        }
        if !before[index] {
            continue;
        }
        if let Some(node) = node.filter(|_| !befalls(&line.what)) {
            reached[node] = true;
        }
        if let What::Arrived { datagram, .. } = line.what
            && let Some(flight) = story.flight(datagram)
        {
            before[flight.sent] = true;
        }
    }
    before
}

/// What is done to a machine or to the network, and not by a node.
pub(super) const fn befalls(what: &What) -> bool {
    matches!(
        what,
        What::Started { .. }
            | What::Ended { .. }
            | What::Paused
            | What::Resumed { .. }
            | What::Fault { .. }
            | What::RolledBack { .. }
            | What::NotStored { .. }
            | What::Dishonest { .. }
            | What::Lied { .. }
    )
}

/// The messages that the chain is about: those that its lines name, and those whose handle stands in its words.
fn focus(story: &Story<'_>, chain: &[usize]) -> BTreeSet<MessageId> {
    let mut focus = BTreeSet::new();
    for line in chain.iter().map(|&index| &story.lines[index]) {
        focus.extend(messages(&line.what));
        if let What::Violated { text, .. } | What::Step { text, .. } = &line.what {
            let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
            let named = story.sayings.iter().filter(|saying| words.contains(saying.handle.as_str()));
            focus.extend(named.map(|saying| saying.id));
        }
    }
    focus
}

/// The messages that a line names.
pub(super) fn messages(what: &What) -> Vec<MessageId> {
    match what {
        What::Accepted { id, .. } => vec![*id],
        What::Sent { labels, .. } => labels.iter().filter_map(|label| label.message).collect(),
        What::Stored { kept, .. } => kept.iter().map(|kept| kept.id).collect(),
        What::Told { event } => match &event.kind {
            EventKind::Message(message) => vec![message.id],
            EventKind::Undone { id, .. } | EventKind::Delivery { id, .. } => vec![*id],
            EventKind::Ready { .. }
            | EventKind::Member { .. }
            | EventKind::Gap(_)
            | EventKind::Recovered { .. }
            | EventKind::Fault { .. }
            | EventKind::Alarm { .. }
            | EventKind::Stalled { .. }
            | EventKind::Lagged { .. }
            | EventKind::Script { .. } => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// `None` for lines that are drawn with another, or not at all.
fn rank(story: &Story<'_>, index: usize, focus: &BTreeSet<MessageId>) -> Option<Rank> {
    let what = &story.lines[index].what;
    if story.faults.is_silent(index) {
        return None;
    }
    let is_focus = messages(what).iter().any(|id| focus.contains(id));
    let rank = match what {
        What::Began { .. } | What::Home { .. } | What::Arrived { .. } | What::Dropped { .. } => return None,
        What::Sent { labels, .. } => sent(labels),
        What::Stored { kept, .. } if kept.is_empty() => return None,
        What::Told { event } => match &event.kind {
            // What one says oneself is drawn where it was accepted.
            EventKind::Message(message) if is_own(story, index, message.from) => return None,
            EventKind::Ready { .. } | EventKind::Lagged { .. } | EventKind::Fault { .. } => return None,
            EventKind::Member { state: Presence::Unreachable | Presence::Left, .. }
            | EventKind::Message(_)
            | EventKind::Undone { .. }
            | EventKind::Gap(_)
            | EventKind::Alarm { .. }
            | EventKind::Stalled { .. } => Rank::Story,
            EventKind::Member { .. }
            | EventKind::Recovered { .. }
            | EventKind::Delivery { .. }
            | EventKind::Script { .. } => Rank::Evidence,
        },
        What::Logged { .. } => Rank::Evidence,
        What::Accepted { .. } | What::Stored { .. } | What::Refused { .. } | What::Step { .. } => Rank::Story,
        What::Started { .. }
        | What::Ended { .. }
        | What::Paused
        | What::Resumed { .. }
        | What::Fault { .. }
        | What::RolledBack { .. }
        | What::NotStored { .. }
        | What::Dishonest { .. }
        | What::Lied { .. }
        | What::Violated { .. } => Rank::Focus,
    };
    Some(if is_focus { rank.max(Rank::Focus) } else { rank })
}

fn is_own(story: &Story<'_>, index: usize, author: MemberId) -> bool {
    story.node(&story.lines[index]).is_some_and(|node| story.nodes[node].member == Some(author))
}

/// How often one machine sent another the same.
#[derive(Default)]
struct Repeats {
    sent: BTreeMap<(usize, usize, MessageId), usize>,
}

/// After this many a reader knows that it is tried again and again.
const REPEATS_MAX: usize = 4;

impl Repeats {
    /// Counts the datagram at `index`; whether a reader has seen enough like it.
    fn is_one_more(&mut self, story: &Story<'_>, index: usize) -> bool {
        let What::Sent { labels, .. } = &story.lines[index].what else { return false };
        let Some(flight) = story.flight(story.lines[index].n) else { return false };
        let (Some(to), Some(id)) = (flight.to, labels.iter().find_map(|label| label.message)) else { return false };
        let times = self.sent.entry((flight.from, to, id)).or_default();
        *times += 1;
        *times > REPEATS_MAX
    }
}

fn sent(labels: &[Label]) -> Rank {
    match words::weight(labels) {
        Weight::Routine => Rank::Routine,
        Weight::Upkeep => Rank::Upkeep,
        Weight::Evidence => Rank::Evidence,
        Weight::Story => Rank::Story,
    }
}

/// Lines at which a disk took messages that its node showed at that very moment: one mark says both.
fn shown_at_once(story: &Story<'_>) -> BTreeSet<usize> {
    let mut stored: BTreeMap<(usize, MessageId), (usize, Time)> = BTreeMap::new();
    let mut silent: BTreeSet<usize> = BTreeSet::new();
    for (index, line) in story.lines.iter().enumerate() {
        let Some(node) = story.node(line) else { continue };
        match &line.what {
            What::Stored { kept, .. } => stored.extend(kept.iter().map(|kept| ((node, kept.id), (index, line.at)))),
            What::Told { event } => {
                let EventKind::Message(message) = &event.kind else { continue };
                silent.extend(stored.remove(&(node, message.id)).filter(|(_, at)| *at == line.at).map(|(at, _)| at));
            }
            _ => {}
        }
    }
    silent
}

/// Completes each datagram: what is drawn of it is drawn with its beginning and its ends.
fn add_flights(story: &Story<'_>, drawn: &mut BTreeSet<usize>, target: usize) {
    for flight in &story.flights {
        let ends = flight.fates.iter().map(|fate| match *fate {
            Fate::Arrived { line, .. } | Fate::Dropped { line, .. } => line,
        });
        let ends: Vec<usize> = ends.filter(|&line| line <= target).collect();
        if drawn.contains(&flight.sent) || ends.iter().any(|line| drawn.contains(line)) {
            drawn.insert(flight.sent);
            drawn.extend(ends);
        }
    }
}
