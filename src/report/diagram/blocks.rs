//! Items folded into blocks: what happens within a moment, with repeats as one row. Owns what may be folded; the
//! order of what is left is that of the run.

use std::time::Duration;

use super::items::{Body, End, Item};
use crate::base::Time;
use crate::report::words::Weight;

/// Rows that belong together, after a time on the side.
#[derive(Debug)]
pub(super) struct Block {
    pub at: Time,
    pub rows: Vec<Row>,
    /// Heartbeats since the block before.
    pub routine: usize,
    last: Time,
}

#[derive(Debug)]
pub(super) enum Row {
    Arrow { from: usize, to: usize, text: String, end: End, times: u64, last: Time },
    Note { nodes: Vec<usize>, head: String, tails: Vec<String> },
    Shared { nodes: Vec<usize>, one: String, many: String },
}

/// After so long without anything new, the next row has a time of its own.
const PAUSE: Duration = Duration::from_millis(150);

/// The items that weigh at least `least`, in blocks.
pub(super) fn blocks(items: &[Item], least: Weight) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut routine = 0;
    for item in items {
        if item.body == Body::Routine {
            routine += 1;
            continue;
        }
        if item.weight < least {
            continue;
        }
        if let Some(block) = blocks.last_mut() {
            if block.folds(item) {
                continue;
            }
            if item.at.since(block.last) < PAUSE {
                block.last = item.at;
                block.rows.push(Row::of(item));
                continue;
            }
        }
        blocks.push(Block::new(item.at, vec![Row::of(item)], routine));
        routine = 0;
    }
    blocks
}

impl Block {
    pub(super) fn new(at: Time, rows: Vec<Row>, routine: usize) -> Self {
        Self { at, rows, routine, last: at }
    }

    /// Adds `item` to a row that is there already, if one says the same. A note waits for no later one; an arrow that
    /// repeats does so at the pace of its retries, however slow.
    fn folds(&mut self, item: &Item) -> bool {
        let is_now = item.at.since(self.last) < PAUSE;
        let Some(row) = self.rows.iter_mut().rev().find(|row| row.takes(&item.body, is_now)) else { return false };
        match (row, &item.body) {
            (Row::Arrow { times, last, .. }, Body::Arrow { .. }) => {
                *times += 1;
                *last = item.at;
            }
            (Row::Note { tails, .. }, Body::Note { tail, .. }) => {
                tails.extend(tail.iter().filter(|tail| !tails.contains(tail)).cloned().collect::<Vec<_>>());
            }
            (Row::Shared { nodes, .. }, Body::Shared { node, .. }) => {
                if !nodes.contains(node) {
                    nodes.push(*node);
                }
            }
            _ => return false,
        }
        if is_now {
            self.last = item.at;
        }
        true
    }
}

impl Row {
    fn of(item: &Item) -> Self {
        match &item.body {
            Body::Arrow { from, to, text, end } => {
                Self::Arrow { from: *from, to: *to, text: text.clone(), end: *end, times: 1, last: item.at }
            }
            Body::Note { nodes, head, tail } => {
                Self::Note { nodes: nodes.clone(), head: head.clone(), tails: tail.iter().cloned().collect() }
            }
            Body::Shared { node, one, many } => {
                Self::Shared { nodes: vec![*node], one: one.clone(), many: many.clone() }
            }
            Body::Routine => unreachable!("heartbeats are counted, not drawn"),
        }
    }

    fn takes(&self, body: &Body, is_now: bool) -> bool {
        match (self, body) {
            (
                Self::Arrow { from, to, text, end, .. },
                Body::Arrow { from: from_now, to: to_now, text: text_now, end: end_now },
            ) => (from, to, text, end) == (from_now, to_now, text_now, end_now),
            (Self::Note { nodes, head, .. }, Body::Note { nodes: nodes_now, head: head_now, tail: Some(_) }) => {
                is_now && nodes == nodes_now && head == head_now
            }
            (Self::Shared { one, .. }, Body::Shared { one: one_now, .. }) => is_now && one == one_now,
            _ => false,
        }
    }

    /// The machines that it is about.
    pub(super) fn nodes(&self) -> Vec<usize> {
        match self {
            Self::Arrow { from, to, .. } => vec![*from, *to],
            Self::Note { nodes, .. } | Self::Shared { nodes, .. } => nodes.clone(),
        }
    }
}
