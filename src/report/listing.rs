//! The causal past of a line as text, for a terminal: one line each, with its number, time, machine and cause.

use super::page::describe;
use super::past::{Past, befalls};
use super::story::Story;
use super::words;
use crate::check::{Line, LineNumber, What};

/// What led to the line numbered `failed_at`, at most `max` lines of it, oldest first; the chain of causes is always among them, as
/// far as it fits. Where something is left out, the first line says how much.
#[must_use]
pub fn listing(lines: &[Line], failed_at: LineNumber, max: usize) -> Vec<String> {
    let story = Story::of(lines);
    let past = Past::of(&story, Some(failed_at));
    let mut chosen: Vec<usize> = past.chain.iter().rev().take(max).copied().collect();
    // What befell machines and what was told to people, and only then what nodes said among themselves.
    let newest = || past.drawn.iter().rev().copied();
    let what = |at: usize| &story.lines[at].what;
    let befell = newest().filter(|&at| befalls(what(at)) && !matches!(what(at), What::Started { .. })).take(max / 3);
    let claims = newest().filter(|&at| is_claim(what(at))).take(max / 3);
    let said = newest().filter(|&at| is_story(&story, at));
    for index in befell.chain(claims).chain(said).chain(newest()) {
        if chosen.len() < max && !chosen.contains(&index) {
            chosen.push(index);
        }
    }
    chosen.sort_unstable();
    let left_out = past.left_out + past.drawn.iter().filter(|index| !chosen.contains(index)).count();
    let number_width = failed_at.to_string().len() + 1;
    let name_width = story.nodes.iter().map(|node| node.name.chars().count()).max().unwrap_or(0);
    let mut out = Vec::new();
    if left_out > 0 {
        out.push(format!("({} before and between left out)", words::count(left_out, "line is", "lines are")));
    }
    for index in chosen {
        let line = &story.lines[index];
        let node = line.node.as_deref().unwrap_or("");
        let number = format!("#{}", line.n);
        let cause = line.cause.map_or_else(String::new, |cause| format!("  because of #{cause}"));
        let what = describe(&story, index);
        out.push(format!("{number:<number_width$}  {:>9}  {node:<name_width$}  {what}{cause}", words::clock(line.at)));
    }
    out
}

fn is_story(story: &Story<'_>, index: usize) -> bool {
    match &story.lines[index].what {
        What::Sent { labels, .. } => labels.iter().any(|label| label.message.is_some()),
        What::Arrived { datagram, .. } | What::Dropped { datagram, .. } => {
            story.flight(*datagram).is_some_and(|flight| is_story(story, flight.sent))
        }
        What::Stored { kept, .. } => !kept.is_empty(),
        What::Home { .. } => false,
        What::Began { .. }
        | What::Dishonest { .. }
        | What::Lied { .. }
        | What::Started { .. }
        | What::Ended { .. }
        | What::Paused
        | What::Resumed { .. }
        | What::Fault { .. }
        | What::RolledBack { .. }
        | What::Step { .. }
        | What::Accepted { .. }
        | What::Refused { .. }
        | What::NotStored { .. }
        | What::Told { .. }
        | What::Logged { .. }
        | What::Violated { .. } => true,
    }
}

/// What a person did, what a node told, and what the scenario noted.
const fn is_claim(what: &What) -> bool {
    matches!(
        what,
        What::Accepted { .. } | What::Refused { .. } | What::Told { .. } | What::Step { .. } | What::Logged { .. }
    )
}
