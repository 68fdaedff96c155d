//! A trace with its loose ends tied: machines in the order they appear, members by name, messages by handle,
//! and each datagram with what became of it. Owns who is who; draws nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::faults::Faults;
use crate::base::{Incarnation, MemberId, MessageId, Seq, Time, Wall, text};
use crate::check::{DropReason, Line, LineNumber, Name, What};
use crate::node::api::{Event, EventKind, Evidence, EvidenceKind, MessageKind};
use crate::view::{Ink, Names, View};

pub(super) struct Story<'a> {
    pub lines: &'a [Line],
    /// Machines, in the order in which they appear.
    pub nodes: Vec<Node>,
    /// By message, with the order in which they were said.
    pub sayings: Vec<Saying>,
    /// In the order in which they left.
    pub flights: Vec<Flight>,
    pub faults: Faults,
    node_of: BTreeMap<Name, usize>,
    node_of_member: BTreeMap<MemberId, usize>,
    saying_of: BTreeMap<MessageId, usize>,
    /// By the number of the line at which a datagram left.
    flight_of: BTreeMap<LineNumber, usize>,
    view: View,
}

/// A machine.
pub(super) struct Node {
    pub name: Name,
    /// What is its home's; `None` where the trace does not say.
    pub member: Option<MemberId>,
}

/// A message that somebody said.
pub(super) struct Saying {
    pub id: MessageId,
    /// At least four characters of its id, and as many as tell it from the other messages of the trace.
    pub handle: String,
    pub author: Option<MemberId>,
    pub kind: MessageKind,
    /// The receiver of a private message.
    pub to: Option<MemberId>,
    /// Made fit to be shown; empty where the trace does not have it.
    pub text: String,
    /// Its place among those of its author, once it is known.
    pub place: Option<(Incarnation, Seq)>,
}

/// A datagram on its way.
pub(super) struct Flight {
    /// The index of its line, as of all others here.
    pub sent: usize,
    pub from: usize,
    pub to: Option<usize>,
    pub fates: Vec<Fate>,
}

/// What became of a datagram, or of one of its copies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Arrived { line: usize, copy: u8, is_damaged: bool },
    Dropped { line: usize, why: DropReason },
}

impl<'a> Story<'a> {
    pub(super) fn of(lines: &'a [Line]) -> Self {
        let view = View { ink: Ink::Plain, zone: TimeZone::UTC, now: Wall(0), names: Names::default(), columns: None };
        let mut story = Self {
            lines,
            nodes: Vec::new(),
            sayings: Vec::new(),
            flights: Vec::new(),
            faults: Faults::of(lines),
            node_of: BTreeMap::new(),
            node_of_member: BTreeMap::new(),
            saying_of: BTreeMap::new(),
            flight_of: BTreeMap::new(),
            view,
        };
        for (index, line) in lines.iter().enumerate() {
            story.learn(index, line);
        }
        story.lengthen_handles();
        story
    }

    /// The index of the line with this number.
    pub(super) fn index(&self, number: LineNumber) -> Option<usize> {
        self.lines.binary_search_by_key(&number, |line| line.n).ok()
    }

    pub(super) fn node(&self, line: &Line) -> Option<usize> {
        self.node_of.get(line.node.as_ref()?).copied()
    }

    /// The machine of a member: the first of them where a home was copied.
    pub(super) fn machine(&self, member: MemberId) -> Option<usize> {
        self.node_of_member.get(&member).copied()
    }

    /// What a member is called.
    pub(super) fn name(&self, member: MemberId) -> String {
        self.machine(member).map_or_else(|| member.short(), |node| self.nodes[node].name.to_string())
    }

    pub(super) fn saying(&self, id: MessageId) -> Option<&Saying> {
        self.saying_of.get(&id).map(|&index| &self.sayings[index])
    }

    /// The handle of a message; a few characters of its id where it was never said.
    pub(super) fn handle(&self, id: MessageId) -> String {
        self.saying(id).map_or_else(|| id.handle(HANDLE_CHARS), |saying| saying.handle.clone())
    }

    pub(super) fn flight(&self, datagram: LineNumber) -> Option<&Flight> {
        self.flight_of.get(&datagram).map(|&index| &self.flights[index])
    }

    /// What the line at `index` names as its cause, an earlier line; a datagram that arrived was sent.
    pub(super) fn cause(&self, index: usize) -> Option<usize> {
        let line = &self.lines[index];
        let number = line.cause.or(match line.what {
            What::Arrived { datagram, .. } | What::Dropped { datagram, .. } => Some(datagram),
            _ => None,
        });
        self.index(number?).filter(|&cause| cause < index)
    }

    /// Whether the node on `machine` heard a member itself, by the evidence that it shows.
    pub(super) fn hears(&self, machine: usize, evidence: &[Evidence]) -> bool {
        let heard = |item: &Evidence| item.kind == EvidenceKind::Heard && self.machine(item.by) == Some(machine);
        evidence.iter().any(heard)
    }

    /// An event in the words of the chat, in the third person.
    pub(super) fn told(&self, event: &Event) -> String {
        self.view.event(event)
    }

    /// When the last line was written.
    pub(super) fn end(&self) -> Time {
        self.lines.last().map_or(Time::ZERO, |line| line.at)
    }

    fn learn(&mut self, index: usize, line: &Line) {
        if let Some(name) = &line.node {
            self.learn_node(name);
        }
        match &line.what {
            What::Home { member, .. } => self.learn_home(line, *member),
            What::Accepted { id, to, text } => {
                let author = self.node(line).and_then(|node| self.nodes[node].member);
                let kind = if to.is_some() { MessageKind::Private } else { MessageKind::Group };
                let saying = self.learn_saying(*id, kind);
                saying.author = author.or(saying.author);
                saying.to = *to;
                saying.text = text::sanitize(text);
            }
            What::Stored { kept, .. } => {
                for kept in kept {
                    let saying = self.learn_saying(kept.id, kept.kind);
                    saying.author = Some(kept.author);
                    saying.place = Some((kept.incarnation, kept.seq));
                }
            }
            What::Told { event } => self.learn_told(event),
            What::Sent { to, .. } => {
                let from = self.node(line);
                let to = to.as_ref().map(|name| self.learn_node(name));
                if let Some(from) = from {
                    self.flight_of.insert(line.n, self.flights.len());
                    self.flights.push(Flight { sent: index, from, to, fates: Vec::new() });
                }
            }
            What::Arrived { datagram, copy, is_damaged } => {
                self.learn_fate(*datagram, Fate::Arrived { line: index, copy: *copy, is_damaged: *is_damaged });
            }
            What::Dropped { datagram, why } => self.learn_fate(*datagram, Fate::Dropped { line: index, why: *why }),
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
            | What::Refused { .. }
            | What::NotStored { .. }
            | What::Logged { .. }
            | What::Violated { .. } => {}
        }
    }

    fn learn_node(&mut self, name: &Name) -> usize {
        if let Some(&node) = self.node_of.get(name) {
            return node;
        }
        let node = self.nodes.len();
        self.node_of.insert(Name::clone(name), node);
        self.nodes.push(Node { name: Name::clone(name), member: None });
        node
    }

    fn learn_home(&mut self, line: &Line, member: MemberId) {
        let Some(node) = self.node(line) else { return };
        self.nodes[node].member = Some(member);
        self.node_of_member.entry(member).or_insert(node);
        self.view.names.learn(member, &self.nodes[node].name);
    }

    fn learn_told(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Message(message) => {
                let saying = self.learn_saying(message.id, message.kind);
                saying.author = Some(message.from);
                saying.to = message.to;
                saying.text = text::sanitize(&message.text);
                saying.place = Some((message.incarnation, message.seq));
            }
            EventKind::Ready { id, nick, .. } | EventKind::Member { id, nick, .. } => {
                if !nick.is_empty() {
                    self.view.names.learn(*id, nick);
                }
            }
            EventKind::Undone { .. }
            | EventKind::Delivery { .. }
            | EventKind::Gap(_)
            | EventKind::Recovered { .. }
            | EventKind::Fault { .. }
            | EventKind::Alarm { .. }
            | EventKind::Stalled { .. }
            | EventKind::Lagged { .. }
            | EventKind::Script { .. } => {}
        }
    }

    fn learn_saying(&mut self, id: MessageId, kind: MessageKind) -> &mut Saying {
        let at = *self.saying_of.entry(id).or_insert_with(|| {
            let handle = id.handle(HANDLE_CHARS);
            let saying = Saying { id, handle, author: None, kind, to: None, text: String::new(), place: None };
            self.sayings.push(saying);
            self.sayings.len() - 1
        });
        &mut self.sayings[at]
    }

    fn learn_fate(&mut self, datagram: LineNumber, fate: Fate) {
        if let Some(&flight) = self.flight_of.get(&datagram) {
            self.flights[flight].fates.push(fate);
        }
    }

    fn lengthen_handles(&mut self) {
        for chars in HANDLE_CHARS..HANDLE_CHARS_MAX {
            let mut seen = BTreeSet::new();
            let twice: BTreeSet<String> = self
                .sayings
                .iter()
                .filter(|saying| !seen.insert(saying.handle.as_str()))
                .map(|saying| saying.handle.clone())
                .collect();
            if twice.is_empty() {
                return;
            }
            for saying in self.sayings.iter_mut().filter(|saying| twice.contains(&saying.handle)) {
                saying.handle = saying.id.handle(chars + 1);
            }
        }
    }
}

/// As on the screen of a node.
const HANDLE_CHARS: usize = 4;
const HANDLE_CHARS_MAX: usize = 52;
