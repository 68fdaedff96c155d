//! Where everything stands on the space-time diagram: a lane for each machine, time from top to bottom. A silence
//! takes less room the longer it lasts, and no label stands on another. Owns numbers; draws nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::label::{Mark, label};
use crate::base::Time;
use crate::check::What;
use crate::report::past::Past;
use crate::report::story::Story;

/// More lanes than this nobody follows across a page.
const LANES_MAX: usize = 24;
/// Room for the times, left of the lanes.
const TIMES: i64 = 84;
/// Room for the names, above the lanes; they stay in sight while one scrolls.
const TOP: i64 = 18;
/// From one label to the next on a lane, and from one row over all lanes to the next.
const LABEL: i64 = 14;
const ROW: i64 = 20;
/// How far words stand above their mark where an arrow begins.
pub(super) const ABOVE: i64 = 7;
/// A datagram falls at least this far, so that one sees which way it went.
const FALL: i64 = 9;
/// Between two events on a lane that have no label.
const DOT: i64 = 3;

pub(super) struct Layout {
    /// The machines that are drawn, from left to right.
    pub lanes: Vec<usize>,
    pub lane_width: i64,
    pub width: i64,
    pub height: i64,
    /// By line: how far down.
    pub y: BTreeMap<usize, i64>,
    /// By line: what stands beside its mark, in full.
    pub labels: BTreeMap<usize, String>,
    /// Times on the side, and how far down each.
    pub times: Vec<(Time, i64)>,
    /// Machines without a lane.
    pub left_out: usize,
    lane_of: BTreeMap<usize, usize>,
}

impl Layout {
    pub(super) fn of(story: &Story<'_>, past: &Past) -> Self {
        let (lanes, left_out) = lanes(story, past);
        let lane_of = lanes.iter().enumerate().map(|(lane, &node)| (node, lane)).collect();
        let lane_width = match lanes.len() {
            0..=3 => 330,
            4 => 260,
            5..=6 => 190,
            7..=8 => 145,
            9..=12 => 118,
            _ => 94,
        };
        let mut layout = Self {
            lane_width,
            width: TIMES + lane_width * i64::try_from(lanes.len()).unwrap_or(0) + 8,
            height: 0,
            lanes,
            y: BTreeMap::new(),
            labels: BTreeMap::new(),
            times: Vec::new(),
            left_out,
            lane_of,
        };
        layout.place(story, past);
        layout
    }

    /// How far from the left a machine's lane is; `None` where it has none.
    pub(super) fn x(&self, node: usize) -> Option<i64> {
        let lane = i64::try_from(*self.lane_of.get(&node)?).ok()?;
        Some(TIMES + 12 + lane * self.lane_width)
    }

    /// As many characters of a label as fit between two lanes.
    pub(super) fn chars(&self) -> usize {
        usize::try_from((self.lane_width - 15) * 10 / 63).unwrap_or(0)
    }

    pub(super) const fn left() -> i64 {
        TIMES
    }

    fn place(&mut self, story: &Story<'_>, past: &Past) {
        let mut pen = Pen { y: TOP, at: None, last_label: BTreeMap::new(), last_dot: BTreeMap::new(), row_end: 0 };
        let mut group: Option<Group> = None;
        for &index in &past.drawn {
            let line = &story.lines[index];
            let node = story.node(line).filter(|node| self.lane_of.contains_key(node));
            let mark = label(story, index);
            if line.node.is_some() && node.is_none() {
                continue;
            }
            pen.advance(line.at);
            // What one machine sends to several at once stands at one mark.
            if let (Some(sent), Some(open)) = (Group::of(story, index, &mark), group.as_mut())
                && sent.from == open.from
                && sent.at == open.at
                && sent.text == open.text
            {
                open.to.extend(sent.to);
                let text = open.label();
                self.labels.insert(open.first, text);
                self.y.insert(index, open.y);
                continue;
            }
            let y = match (&mark, node) {
                (Mark::Row(_), _) | (_, None) => pen.row(),
                // Words of a datagram stand above its arrow.
                (Mark::Label(_), Some(node)) if matches!(line.what, What::Sent { .. }) => pen.label(node, ABOVE),
                (Mark::Label(_), Some(node)) => pen.label(node, 0),
                (Mark::Dot, Some(node)) => pen.dot(node, self.fall(story, index)),
            };
            self.y.insert(index, y);
            if let Mark::Label(text) | Mark::Row(text) = &mark {
                self.labels.insert(index, text.clone());
            }
            if let Some(mut sent) = Group::of(story, index, &mark) {
                sent.y = y;
                self.labels.insert(index, sent.label());
                group = Some(sent);
            }
            let is_far = self.times.last().is_none_or(|(_, last)| y >= last + LABEL);
            if is_far && self.times.last().is_none_or(|(at, _)| *at != line.at) {
                self.times.push((line.at, y));
            }
        }
        self.height = pen.y.max(pen.row_end) + 2 * ROW;
    }

    /// The least depth of a datagram's end.
    fn fall(&self, story: &Story<'_>, index: usize) -> i64 {
        let (What::Arrived { datagram, .. } | What::Dropped { datagram, .. }) = story.lines[index].what else {
            return 0;
        };
        let sent = story.flight(datagram).and_then(|flight| self.y.get(&flight.sent));
        sent.map_or(0, |y| y + FALL)
    }
}

/// Where the next line goes.
struct Pen {
    y: i64,
    at: Option<Time>,
    last_label: BTreeMap<usize, i64>,
    last_dot: BTreeMap<usize, i64>,
    row_end: i64,
}

impl Pen {
    /// Goes down for the time that passed: by the number of binary digits of the milliseconds, so that 20 ms and 20 s can
    /// stand on one page.
    fn advance(&mut self, at: Time) {
        let passed = self.at.map_or(0, |before| at.since(before).as_micros());
        self.at = Some(at);
        let ms = passed.div_ceil(1000);
        self.y += 3 * i64::from(u128::BITS - ms.leading_zeros());
    }

    /// The depth of a mark whose words stand `above` it.
    fn label(&mut self, node: usize, above: i64) -> i64 {
        let free = self.last_label.get(&node).map_or(0, |y| y + LABEL + above).max(self.dot_above(node));
        self.y = self.y.max(free).max(self.row_end + above);
        self.last_label.insert(node, self.y);
        self.last_dot.insert(node, self.y);
        self.y
    }

    fn dot(&mut self, node: usize, least: i64) -> i64 {
        self.y = self.y.max(self.dot_above(node)).max(self.row_end).max(least);
        self.last_dot.insert(node, self.y);
        self.y
    }

    fn row(&mut self) -> i64 {
        let labels = self.last_label.values().max().map_or(0, |y| y + LABEL);
        self.y = self.y.max(labels).max(self.row_end);
        self.row_end = self.y + ROW;
        self.y
    }

    fn dot_above(&self, node: usize) -> i64 {
        self.last_dot.get(&node).map_or(0, |y| y + DOT)
    }
}

/// Datagrams with the same content that one machine sends at one time.
struct Group {
    first: usize,
    from: usize,
    at: Time,
    text: String,
    to: Vec<String>,
    y: i64,
}

impl Group {
    fn of(story: &Story<'_>, index: usize, mark: &Mark) -> Option<Self> {
        let line = &story.lines[index];
        let (What::Sent { to, .. }, Mark::Label(text)) = (&line.what, mark) else { return None };
        let to = vec![to.as_deref().unwrap_or("nobody").to_owned()];
        Some(Self { first: index, from: story.node(line)?, at: line.at, text: text.clone(), to, y: 0 })
    }

    fn label(&self) -> String {
        let to: BTreeSet<&str> = self.to.iter().map(String::as_str).collect();
        let to: Vec<&str> = to.into_iter().collect();
        let to = if to.len() <= 3 { to.join(", ") } else { to.len().to_string() };
        format!("{} → {to}", self.text)
    }
}

/// The machines that are drawn, and how many are not: those that most of the past is about.
fn lanes(story: &Story<'_>, past: &Past) -> (Vec<usize>, usize) {
    let mut busy: BTreeMap<usize, usize> = BTreeMap::new();
    for &index in &past.drawn {
        if let Some(node) = story.node(&story.lines[index]) {
            *busy.entry(node).or_default() += 1;
        }
    }
    // Whoever is in the chain has a lane.
    for node in past.chain.iter().filter_map(|&index| story.node(&story.lines[index])) {
        *busy.entry(node).or_default() += past.drawn.len();
    }
    let mut lanes: Vec<usize> = busy.keys().copied().collect();
    lanes.sort_by_key(|node| (std::cmp::Reverse(busy[node]), *node));
    let left_out = lanes.len().saturating_sub(LANES_MAX);
    lanes.truncate(LANES_MAX);
    lanes.sort_unstable();
    (lanes, left_out)
}
