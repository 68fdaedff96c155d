//! The sequence diagram: machines side by side, time from top to bottom. Owns what fits on it, and what is
//! said of what does not.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::blocks::{Block, Row, blocks};
use super::items::{End, Item, items};
use super::{escaped, names_in_short};
use crate::base::Time;
use crate::report::story::Story;
use crate::report::words::{self, Weight, count};

/// As many machines as one still tells apart on the width of a page.
const NODES_MAX: usize = 12;
/// As many rows as one scrolls through before losing the thread.
const ROWS_MAX: usize = 150;
/// A note breaks into lines of about this many characters.
const NOTE_CHARS: usize = 44;
/// A silence is worth a row when it was longer.
const QUIET_MIN: Duration = Duration::from_secs(2);

pub(super) fn sequence(story: &Story<'_>) -> String {
    let items = items(story);
    let drawn = Drawn::choose(story, &items);
    let mut out = String::from("```mermaid\nsequenceDiagram\n");
    for &node in &drawn.nodes {
        writeln!(out, "    participant n{node} as {}", escaped(&story.nodes[node].name, usize::MAX))
            .expect("a string takes all");
    }
    let mut before = Time::ZERO;
    for part in &drawn.parts {
        match part {
            Part::Block(block) => drawn.block(&mut out, story, block, &mut before),
            Part::LeftOut(rows) => {
                let rows = count(*rows, "row is", "rows are");
                drawn.over_all(&mut out, &format!("… {rows} left out here …"));
            }
        }
    }
    out.push_str("```\n");
    let left_out = drawn.left_out(story, &items);
    if !left_out.is_empty() {
        write!(out, "\nLeft out: {}.\n", left_out.join(", ")).expect("a string takes all");
    }
    out
}

struct Drawn {
    /// In their order.
    nodes: Vec<usize>,
    least: Weight,
    parts: Vec<Part>,
    /// Rows about machines that are not drawn.
    rows_elsewhere: usize,
}

enum Part {
    Block(Block),
    LeftOut(usize),
}

impl Drawn {
    /// Everything, if it fits; else less of what matters least; else the beginning and the end.
    fn choose(story: &Story<'_>, items: &[Item]) -> Self {
        let nodes = busiest(story, items);
        let mut rows_elsewhere = 0;
        let mut chosen = (Weight::Story, Vec::new());
        for least in [Weight::Upkeep, Weight::Evidence, Weight::Story] {
            let mut blocks = blocks(items, least);
            rows_elsewhere = 0;
            for block in &mut blocks {
                let before = block.rows.len();
                block.rows.retain(|row| row.nodes().iter().all(|node| nodes.contains(node)));
                rows_elsewhere += before - block.rows.len();
            }
            blocks.retain(|block| !block.rows.is_empty());
            let rows: usize = blocks.iter().map(|block| block.rows.len()).sum();
            chosen = (least, blocks);
            if rows <= ROWS_MAX {
                break;
            }
        }
        let (least, blocks) = chosen;
        Self { nodes, least, parts: cut(blocks), rows_elsewhere }
    }

    fn block(&self, out: &mut String, story: &Story<'_>, block: &Block, before: &mut Time) {
        if block.at.since(*before) >= QUIET_MIN && block.routine > 0 {
            self.over_all(out, &format!("… {} …", count(block.routine, "heartbeat", "heartbeats")));
        }
        *before = block.at;
        let first = self.nodes.first().copied().unwrap_or_default();
        writeln!(out, "    Note left of n{first}: {}", words::clock(block.at)).expect("a string takes all");
        for row in &block.rows {
            self.row(out, story, block, row);
        }
    }

    fn row(&self, out: &mut String, story: &Story<'_>, block: &Block, row: &Row) {
        match row {
            Row::Arrow { from, to, text, end, times, last } => {
                let head = match end {
                    End::Arrives => "->>",
                    End::Lost => "-x",
                    End::UnderWay => "--)",
                };
                let again = match (times, last.since(block.at) < Duration::from_secs(1)) {
                    (1, _) => String::new(),
                    (_, true) => format!(", {times} times"),
                    (_, false) => format!(", {times} times until {}", words::clock(*last)),
                };
                writeln!(out, "    n{from}{head}n{to}: {}", escaped(&format!("{text}{again}"), NOTE_CHARS))
            }
            Row::Note { nodes, head, tails } => {
                let text = if tails.is_empty() { head.clone() } else { format!("{head} {}", tails.join(", ")) };
                let Some(node) = nodes.first() else { return self.over_all(out, &text) };
                writeln!(out, "    Note over n{node}: {}", escaped(&text, NOTE_CHARS))
            }
            Row::Shared { nodes, one, many } => {
                let sorted: BTreeSet<usize> = nodes.iter().copied().collect();
                let names: Vec<_> = sorted.iter().map(|&node| &story.nodes[node].name).collect();
                let text = if nodes.len() == 1 { one.clone() } else { format!("{} {many}", names_in_short(&names)) };
                writeln!(out, "    Note over {}: {}", span(nodes), escaped(&text, NOTE_CHARS))
            }
        }
        .expect("a string takes all");
    }

    fn over_all(&self, out: &mut String, text: &str) {
        writeln!(out, "    Note over {}: {}", span(&self.nodes), escaped(text, 2 * NOTE_CHARS))
            .expect("a string takes all");
    }

    /// What is not on the diagram, in words.
    fn left_out(&self, story: &Story<'_>, items: &[Item]) -> Vec<String> {
        let of = |weight| items.iter().filter(|item| item.weight == weight).count();
        let mut words = Vec::new();
        let mut add = |n: usize, one, many| {
            if n > 0 {
                words.push(count(n, one, many));
            }
        };
        add(of(Weight::Routine), "heartbeat", "heartbeats");
        if self.least > Weight::Upkeep {
            let one = "datagram that keeps sessions and views in order";
            add(of(Weight::Upkeep), one, "datagrams that keep sessions and views in order");
        }
        if self.least > Weight::Evidence {
            add(of(Weight::Evidence), "receipt, report or step", "receipts, reports and steps");
        }
        let cut: usize = self
            .parts
            .iter()
            .map(|part| match part {
                Part::LeftOut(rows) => *rows,
                Part::Block(_) => 0,
            })
            .sum();
        add(cut, "row in the middle", "rows in the middle");
        add(story.nodes.len() - self.nodes.len(), "machine", "machines");
        add(self.rows_elsewhere, "row about machines left out", "rows about machines left out");
        words
    }
}

/// The machines that most of what matters is about, in their order.
fn busiest(story: &Story<'_>, items: &[Item]) -> Vec<usize> {
    let mut busy = vec![0_u64; story.nodes.len()];
    for row in blocks(items, Weight::Story).iter().flat_map(|block| &block.rows) {
        for node in row.nodes() {
            busy[node] += 1;
        }
    }
    let mut order: Vec<usize> = (0..busy.len()).collect();
    order.sort_by_key(|&node| (std::cmp::Reverse(busy[node]), node));
    order.truncate(NODES_MAX);
    order.sort_unstable();
    order
}

/// The beginning and the end of what does not fit.
fn cut(blocks: Vec<Block>) -> Vec<Part> {
    let total: usize = blocks.iter().map(|block| block.rows.len()).sum();
    if total <= ROWS_MAX {
        return blocks.into_iter().map(Part::Block).collect();
    }
    let (head_end, tail_start) = (ROWS_MAX / 2, total - ROWS_MAX / 2);
    let (mut parts, mut row) = (Vec::new(), 0);
    for mut block in blocks {
        let start = row;
        row += block.rows.len();
        let tail = block.rows.split_off(tail_start.saturating_sub(start).min(block.rows.len()));
        block.rows.truncate(head_end.saturating_sub(start));
        let (at, routine) = (block.at, block.routine);
        if !block.rows.is_empty() {
            parts.push(Part::Block(block));
        }
        if (start..row).contains(&tail_start) {
            parts.push(Part::LeftOut(tail_start - head_end));
        }
        if !tail.is_empty() {
            parts.push(Part::Block(Block::new(at, tail, routine)));
        }
    }
    parts
}

/// `n2`, or `n0,n4` from the first of `nodes` to the last.
fn span(nodes: &[usize]) -> String {
    match (nodes.iter().min(), nodes.iter().max()) {
        (Some(first), Some(last)) if first != last => format!("n{first},n{last}"),
        (Some(first), _) => format!("n{first}"),
        _ => "n0".into(),
    }
}
