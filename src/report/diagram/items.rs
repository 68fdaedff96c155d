//! What of a trace is drawn in a sequence diagram, line by line: arrows for datagrams, notes for the rest. Owns
//! the words; knows nothing of rows, bounds or Mermaid.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::{MemberId, MessageId, Presence, Time};
use crate::check::{Line, What};
use crate::node::api::{Event, EventKind, Evidence, Outcome};
use crate::report::story::{Fate, Flight, Story};
use crate::report::words::{self, Weight};
use crate::view::is_restored;
use crate::wire::Label;

/// Something to draw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    pub at: Time,
    pub weight: Weight,
    pub body: Body,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Body {
    Arrow {
        from: usize,
        to: usize,
        text: String,
        end: End,
    },
    /// Over `nodes`, or over everybody where there are none. Notes of one block with the same `head` and nodes are one, with
    /// their tails as a list.
    Note {
        nodes: Vec<usize>,
        head: String,
        tail: Option<String>,
    },
    /// What happens to several machines alike is one note over all of them: `one` where it is only one machine, after
    /// their names `many`.
    Shared {
        node: usize,
        one: String,
        many: String,
    },
    /// Heartbeats, which go on all the time.
    Routine,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Arrives,
    Lost,
    /// The run ended first.
    UnderWay,
}

/// A datagram that was under way for longer is drawn where it arrives: until then, others overtook it.
const LATE_AFTER: Duration = Duration::from_millis(500);
const TEXT_CHARS_MAX: usize = 48;

pub(super) fn items(story: &Story<'_>) -> Vec<Item> {
    let mut writer = Writer { story, items: Vec::new(), shown: shown(story), started: BTreeSet::new() };
    for (index, line) in story.lines.iter().enumerate() {
        if !story.faults.is_silent(index) {
            writer.line(index, line);
        }
    }
    writer.items
}

/// Who showed which message, so that a disk is mentioned only where nothing was shown.
fn shown(story: &Story<'_>) -> BTreeSet<(usize, MessageId)> {
    let told = story.lines.iter().filter_map(|line| {
        let What::Told { event } = &line.what else { return None };
        let EventKind::Message(message) = &event.kind else { return None };
        Some((story.node(line)?, message.id))
    });
    told.collect()
}

struct Writer<'a, 'b> {
    story: &'b Story<'a>,
    items: Vec<Item>,
    shown: BTreeSet<(usize, MessageId)>,
    started: BTreeSet<usize>,
}

impl Writer<'_, '_> {
    fn line(&mut self, index: usize, line: &Line) {
        let node = self.story.node(line);
        match &line.what {
            // A drop is drawn where its datagram left.
            What::Began { .. } | What::Home { .. } | What::Dropped { .. } => {}
            What::Dishonest { .. } => self.note(line, Weight::Story, "is dishonest from here on"),
            What::Lied { text } => self.note(line, Weight::Story, &format!("lies: {text}")),
            What::Started { run, .. } => {
                let Some(node) = node else { return };
                let verb = if self.started.insert(node) { "starts" } else { "starts again" };
                let run = run.map(|run| format!(", incarnation {}", run.incarnation)).unwrap_or_default();
                self.note(line, Weight::Story, &format!("{verb}{run}"));
            }
            What::Ended { how } => self.note(line, Weight::Story, words::ended(*how)),
            What::Paused => self.note(line, Weight::Story, "is paused"),
            What::Resumed { after_us } => {
                let span = words::span(Duration::from_micros(*after_us));
                self.note(line, Weight::Story, &format!("goes on after {span}"));
            }
            What::Fault { text, is_on } => {
                let text = self.story.faults.words(index).unwrap_or(text);
                let end = if *is_on { "" } else { " is over" };
                self.note(line, Weight::Story, &format!("fault: {text}{end}"));
            }
            What::RolledBack { .. } => self.note(line, Weight::Story, "its home is put back"),
            What::Step { text, .. } => self.note(line, Weight::Evidence, text),
            What::Accepted { id, to, text } => {
                let text = words::shortened(text, TEXT_CHARS_MAX);
                let verb = to.map_or_else(|| "says".into(), |to| format!("tells {}", self.story.name(to)));
                self.note(line, Weight::Story, &format!("{verb} “{text}” ({})", self.story.handle(*id)));
            }
            What::Refused { why } => self.note(line, Weight::Story, &format!("is refused: {why}")),
            What::Sent { .. } => {
                if let Some(flight) = self.story.flight(line.n) {
                    self.departure(line, flight);
                }
            }
            What::Arrived { datagram, copy, is_damaged } => self.arrival(line, *datagram, *copy, *is_damaged),
            What::Stored { kept, .. } => {
                for kept in kept {
                    if node.is_some_and(|node| !self.shown.contains(&(node, kept.id))) {
                        self.list(line, Weight::Evidence, "stores", self.story.handle(kept.id));
                    }
                }
            }
            What::NotStored { .. } => self.note(line, Weight::Story, "its disk is full: nothing is stored"),
            What::Told { event } => self.told(line, event),
            What::Logged { text } => self.note(line, Weight::Evidence, &format!("script: {text}")),
            What::Violated { check, text } => {
                let head = words::violated(*check, text);
                self.push(line, Weight::Story, Body::Note { nodes: Vec::new(), head, tail: None });
            }
        }
    }

    fn told(&mut self, line: &Line, event: &Event) {
        match &event.kind {
            EventKind::Message(message) => {
                let Some(node) = self.story.node(line) else { return };
                if self.story.nodes[node].member == Some(message.from) {
                    return;
                }
                let late = match message.via.filter(|_| message.recovered) {
                    Some(via) => format!(", recovered via {}", self.story.name(via)),
                    None => String::new(),
                };
                let what = format!("{}{late}", self.story.handle(message.id));
                let (one, many) = (format!("stores and shows {what}"), format!("store and show {what}"));
                self.push(line, Weight::Story, Body::Shared { node, one, many });
            }
            EventKind::Member { id, state, evidence, .. } => self.believed(line, event, *id, *state, evidence),
            EventKind::Delivery { id, delivery, .. } => {
                let weight = match delivery.outcome {
                    Outcome::Sending => return,
                    Outcome::Waiting | Outcome::Delivered => Weight::Evidence,
                    Outcome::Unknown | Outcome::Refused | Outcome::Expired => Weight::Story,
                };
                let handle = self.story.handle(*id);
                let head = match delivery.outcome {
                    Outcome::Delivered => format!("learns that {handle} is stored by"),
                    Outcome::Waiting => format!("keeps {handle} for"),
                    Outcome::Sending | Outcome::Unknown => format!("cannot tell what became of {handle} at"),
                    Outcome::Refused => format!("is refused {handle} by"),
                    Outcome::Expired => format!("gives up {handle} for"),
                };
                self.list(line, weight, &head, self.story.name(delivery.member));
            }
            EventKind::Undone { .. } | EventKind::Gap(_) | EventKind::Alarm { .. } | EventKind::Stalled { .. } => {
                self.note(line, Weight::Story, &self.story.told(event));
            }
            EventKind::Recovered { .. } => self.note(line, Weight::Evidence, &self.story.told(event)),
            // The fault itself has a line; the others say that the node runs, or that a screen was slow.
            EventKind::Ready { .. } | EventKind::Fault { .. } | EventKind::Lagged { .. } | EventKind::Script { .. } => {
            }
        }
    }

    fn believed(&mut self, line: &Line, event: &Event, id: MemberId, state: Presence, evidence: &[Evidence]) {
        let Some(node) = self.story.node(line) else { return };
        let (told, name) = (self.story.told(event), self.story.name(id));
        if is_restored(state, evidence) {
            self.list(line, Weight::Evidence, "looks for", name);
        } else if state == Presence::Alive && told == format!("{name} is here") {
            let is_heard = self.story.hears(node, evidence);
            self.list(line, Weight::Evidence, if is_heard { "sees" } else { "hears of" }, name);
        } else {
            // Whoever suspects says so itself first: that is no news.
            let own = format!("; reported by {}", self.story.nodes[node].name);
            let told = told.strip_suffix(&own.replace("; ", ": ")).unwrap_or(&told);
            let one = told.strip_suffix(&own).unwrap_or(told).to_owned();
            let many = format!("hold that {one}");
            self.push(line, Weight::Story, Body::Shared { node, one, many });
        }
    }

    fn departure(&mut self, line: &Line, flight: &Flight) {
        let What::Sent { labels, .. } = &line.what else { return };
        let weight = words::weight(labels);
        if weight == Weight::Routine {
            self.push(line, weight, Body::Routine);
            return;
        }
        let Some(to) = flight.to else { return };
        let text = self.text(labels);
        let arrow = |text: String, end| Body::Arrow { from: flight.from, to, text, end };
        if flight.fates.is_empty() {
            self.push(line, weight, arrow(text.clone(), End::UnderWay));
        }
        for fate in &flight.fates {
            match *fate {
                Fate::Dropped { why, .. } => {
                    self.push(line, weight, arrow(format!("{text} ({})", words::dropped(why)), End::Lost));
                }
                Fate::Arrived { line: at, copy, is_damaged } => {
                    if self.story.lines[at].at.since(line.at) < LATE_AFTER {
                        let text = format!("{text}{}", remark(copy, is_damaged));
                        self.push(line, weight, arrow(text, End::Arrives));
                    }
                }
            }
        }
    }

    fn arrival(&mut self, line: &Line, datagram: u64, copy: u8, is_damaged: bool) {
        let Some(flight) = self.story.flight(datagram) else { return };
        let left = &self.story.lines[flight.sent];
        let (What::Sent { labels, .. }, Some(to)) = (&left.what, flight.to) else { return };
        let weight = words::weight(labels);
        let under_way = line.at.since(left.at);
        if under_way < LATE_AFTER || weight == Weight::Routine {
            return;
        }
        let text =
            format!("{}{}, under way for {}", self.text(labels), remark(copy, is_damaged), words::span(under_way));
        self.push(line, weight, Body::Arrow { from: flight.from, to, text, end: End::Arrives });
    }

    /// What a datagram says, but for what goes on all the time: `group k7f3, receipt`.
    fn text(&self, labels: &[Label]) -> String {
        if labels.is_empty() {
            return "handshake".into();
        }
        let mut words: Vec<String> = Vec::new();
        let least = if words::weight(labels) > Weight::Upkeep { Weight::Evidence } else { Weight::Upkeep };
        for label in labels.iter().filter(|label| words::frame_weight(label.frame) >= least) {
            let frame = words::frame(label.frame);
            let word = label.message.map_or_else(|| frame.into(), |id| format!("{frame} {}", self.story.handle(id)));
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.join(", ")
    }

    fn note(&mut self, line: &Line, weight: Weight, text: &str) {
        let nodes = self.story.node(line).into_iter().collect();
        self.push(line, weight, Body::Note { nodes, head: text.to_owned(), tail: None });
    }

    fn list(&mut self, line: &Line, weight: Weight, head: &str, tail: String) {
        let nodes = self.story.node(line).into_iter().collect();
        self.push(line, weight, Body::Note { nodes, head: head.to_owned(), tail: Some(tail) });
    }

    fn push(&mut self, line: &Line, weight: Weight, body: Body) {
        self.items.push(Item { at: line.at, weight, body });
    }
}

fn remark(copy: u8, is_damaged: bool) -> &'static str {
    match (copy, is_damaged) {
        (0, false) => "",
        (_, false) => ", again",
        (_, true) => ", damaged",
    }
}
