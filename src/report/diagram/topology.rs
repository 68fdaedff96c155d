//! Who heard whom, before, during and after faults of the network: the sides of a partition as boxes, made from
//! the datagrams that arrived and those that were cut. Owns the spans of time; believes no rule, only what came through.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use super::escaped;
use crate::base::Time;
use crate::check::{DropReason, What};
use crate::report::story::{Fate, Story};
use crate::report::words;

/// As many spans as a document can carry, the longest of them.
const SPANS_MAX: usize = 4;
/// A shorter span is a step of a partition being made.
const SPAN_MIN: Duration = Duration::from_millis(500);
const NODES_MAX: usize = 16;

/// Who reached whom, and who was cut from whom.
#[derive(Default, PartialEq, Eq)]
struct Links {
    heard: BTreeSet<(usize, usize)>,
    cut: BTreeSet<(usize, usize)>,
}

/// Whether anything was cut.
pub(super) fn fits(story: &Story<'_>) -> bool {
    story
        .flights
        .iter()
        .flat_map(|flight| &flight.fates)
        .any(|fate| matches!(fate, Fate::Dropped { why: DropReason::Cut, .. }))
}

pub(super) fn topology(story: &Story<'_>) -> String {
    let mut out = String::new();
    let drawn = story.nodes.len().min(NODES_MAX);
    for (from, to) in spans(story) {
        let links = links(story, from, to);
        let running = running(story, to);
        writeln!(out, "From {} until {}:\n\n```mermaid\nflowchart LR", words::clock(from), words::clock(to))
            .expect("a string takes all");
        let sides = sides(&links, &running[..drawn]);
        for (number, side) in sides.iter().enumerate() {
            draw_side(&mut out, story, &links, number, side);
        }
        for node in (0..drawn).filter(|&node| !running[node]) {
            writeln!(out, "    n{node}[\"{} does not run\"]", name(story, node)).expect("a string takes all");
        }
        draw_between(&mut out, &links, &sides);
        out.push_str("```\n\n");
    }
    if story.nodes.len() > drawn {
        let left_out = words::count(story.nodes.len() - drawn, "machine", "machines");
        writeln!(out, "Left out: {left_out}.\n").expect("a string takes all");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn name(story: &Story<'_>, node: usize) -> String {
    escaped(&story.nodes[node].name, usize::MAX)
}

/// The machines of a side; within it, only what is one-way or missing is worth an arrow of its own.
fn draw_side(out: &mut String, story: &Story<'_>, links: &Links, number: usize, side: &[usize]) {
    let whole = side.len() > 1;
    if whole {
        writeln!(out, "    subgraph s{number} [\"hear each other\"]").expect("a string takes all");
    }
    for &node in side {
        writeln!(out, "    n{node}[\"{}\"]", name(story, node)).expect("a string takes all");
    }
    for (index, &one) in side.iter().enumerate() {
        for &other in &side[index + 1..] {
            let arrow = match (links.heard.contains(&(one, other)), links.heard.contains(&(other, one))) {
                (true, true) => format!("n{one} <--> n{other}"),
                (true, false) => format!("n{one} --> n{other}"),
                (false, true) => format!("n{other} --> n{one}"),
                (false, false) => continue,
            };
            writeln!(out, "    {arrow}").expect("a string takes all");
        }
    }
    if whole {
        out.push_str("    end\n");
    }
}

/// What is cut between sides: one line for two sides that are cut both ways, and an arrow for what passes one way only.
fn draw_between(out: &mut String, links: &Links, sides: &[Vec<usize>]) {
    let is_cut = |from: &[usize], to: &[usize]| from.iter().any(|&a| to.iter().any(|&b| links.cut.contains(&(a, b))));
    for (index, one) in sides.iter().enumerate() {
        for (further, other) in sides[index + 1..].iter().enumerate() {
            let (here, there) = (end(index, one), end(index + 1 + further, other));
            let arrows = match (is_cut(one, other), is_cut(other, one)) {
                (true, true) => vec![format!("{here} x-. cut .-x {there}")],
                (true, false) => vec![format!("{here} -. cut .-x {there}")],
                (false, true) => vec![format!("{there} -. cut .-x {here}")],
                (false, false) => Vec::new(),
            };
            for arrow in arrows {
                writeln!(out, "    {arrow}").expect("a string takes all");
            }
            for &a in one {
                for &b in other {
                    for (from, to) in [(a, b), (b, a)].into_iter().filter(|pair| links.heard.contains(pair)) {
                        writeln!(out, "    n{from} --> n{to}").expect("a string takes all");
                    }
                }
            }
        }
    }
}

/// What an arrow to a side ends at: its box, or its only machine.
fn end(number: usize, side: &[usize]) -> String {
    match side {
        [only] => format!("n{only}"),
        _ => format!("s{number}"),
    }
}

/// Machines that run, in groups within which everybody reaches everybody, if by others.
fn sides(links: &Links, running: &[bool]) -> Vec<Vec<usize>> {
    let mut side_of: BTreeMap<usize, usize> =
        (0..running.len()).filter(|&node| running[node]).map(|node| (node, node)).collect();
    for &(from, to) in links.heard.iter().filter(|(from, to)| links.heard.contains(&(*to, *from))) {
        let (Some(&one), Some(&other)) = (side_of.get(&from), side_of.get(&to)) else { continue };
        let (kept, gone) = (one.min(other), one.max(other));
        for side in side_of.values_mut().filter(|side| **side == gone) {
            *side = kept;
        }
    }
    let mut sides: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (node, side) in side_of {
        sides.entry(side).or_default().push(node);
    }
    sides.into_values().collect()
}

fn links(story: &Story<'_>, from: Time, to: Time) -> Links {
    let mut links = Links::default();
    for flight in &story.flights {
        let Some(target) = flight.to else { continue };
        let left = story.lines[flight.sent].at;
        if left < from || left >= to {
            continue;
        }
        for fate in &flight.fates {
            match *fate {
                Fate::Arrived { .. } => links.heard.insert((flight.from, target)),
                Fate::Dropped { why: DropReason::Cut, .. } => links.cut.insert((flight.from, target)),
                Fate::Dropped { .. } => false,
            };
        }
    }
    links
}

/// Which machines run at the end of a span.
fn running(story: &Story<'_>, until: Time) -> Vec<bool> {
    let mut running = vec![false; story.nodes.len()];
    for line in story.lines.iter().take_while(|line| line.at < until) {
        let Some(node) = story.node(line) else { continue };
        match line.what {
            What::Started { .. } => running[node] = true,
            What::Ended { .. } => running[node] = false,
            _ => {}
        }
    }
    running
}

/// The times between changes of the network, in their order; the longest where there are many.
fn spans(story: &Story<'_>) -> Vec<(Time, Time)> {
    let mut marks: Vec<Time> = vec![Time::ZERO];
    for line in story.lines {
        if line.node.is_none() && matches!(line.what, What::Fault { .. }) && marks.last() != Some(&line.at) {
            marks.push(line.at);
        }
    }
    marks.push(story.end());
    let mut spans: Vec<(Time, Time)> = marks.windows(2).map(|pair| (pair[0], pair[1])).collect();
    spans.retain(|(from, to)| to.since(*from) >= SPAN_MIN);
    spans.sort_by_key(|(from, to)| (std::cmp::Reverse(to.since(*from)), *from));
    spans.truncate(SPANS_MAX);
    spans.sort_unstable();
    spans
}
