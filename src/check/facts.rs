//! What is known for sure of a run, line by line: which machines there are, which process runs, who said what, what is on
//! whose disk. Owns that record, from outside of all nodes; judges nothing.
//!
//! What a node *tells* is a claim, with one exception: what it tells of a message of its own says that it said it. Where the
//! trace has no lines of the disk (real processes), being shown and being in the log stand for being committed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::bits::{Bits, Spans};
use super::{Driver, Ended, Kept, Line, Name, Noted, What};
use crate::base::limits::RUNS_PER_AUTHOR_MAX;
use crate::base::{Incarnation, MemberId, MessageId, Presence, Run, Seq, Time};
use crate::node::api::{EventKind, Message, MessageKind};

/// A machine, by the order in which it appeared.
pub(super) type NodeIndex = usize;
/// A message, by the order in which it became known.
pub(super) type MessageIndex = usize;

/// Room messages that are remembered in order: as many as one recovery asks for.
const RECENT_MAX: usize = crate::base::limits::RECOVERY_MESSAGES_MAX;

/// How late a loop may be for what its disk did, a paused one not counted.
const LATE_MAX: Duration = Duration::from_secs(10);
/// How long after a home met others its process may still be finding out what was said before: the node says 10 s, from
/// when the first of them has said what it holds, or 30 s from when it met the first, where none says so.
const COMING_MAX: Duration = Duration::from_mins(1);
/// A disk that takes more so long after somebody was told of has that one too.
const MET_KEPT_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Facts {
    pub driver: Driver,
    pub now: Time,
    pub line: u64,
    /// Whether this line shows a message that its machine showed before.
    pub is_shown_again: bool,
    /// Put on a disk by the line at hand that had them already.
    pub kept_again: Vec<MessageIndex>,
    pub nodes: Vec<Node>,
    by_name: BTreeMap<Name, NodeIndex>,
    homes: BTreeMap<MemberId, Vec<NodeIndex>>,
    pub messages: Vec<Said>,
    by_id: BTreeMap<MessageId, MessageIndex>,
    /// Room messages by their place, as far as their author is known to have said them.
    places: BTreeMap<(MemberId, Incarnation, Seq), MessageIndex>,
    /// The newest room messages that were said, oldest first.
    pub recent: VecDeque<MessageIndex>,
    runs: BTreeMap<MemberId, BTreeMap<Incarnation, u64>>,
    /// Runs of which two processes had the same incarnation.
    collided: BTreeSet<(MemberId, Incarnation)>,
    dishonest: BTreeSet<MemberId>,
}

/// One machine, its home and its present process.
#[derive(Debug)]
pub(super) struct Node {
    pub name: Name,
    pub member: Option<MemberId>,
    pub epoch: u32,
    /// Counts processes, from 1.
    pub life: u32,
    /// The incarnation with which each process began, by its number.
    incarnations: Vec<Option<Incarnation>>,
    pub is_running: bool,
    pub is_paused: bool,
    pub has_left: bool,
    pub first_start: Option<Time>,
    /// On its disk, in this epoch.
    pub committed: Bits,
    /// On its disk, ever.
    pub ever_committed: Bits,
    /// On its disk before its present process began.
    pub restored: Bits,
    /// Gaps that it told.
    pub told_gaps: Spans,
    /// Those that its disk noted before its present process began.
    pub restored_gaps: Spans,
    /// Those that its disk noted.
    pub noted_gaps: Spans,
    pub history: Spans,
    /// Since when its home has met others: it told that somebody is there, and its disk took more a while later.
    met: Met,
    /// What it showed, in this epoch.
    pub shown: Bits,
    /// What was committed lately, with when: a loop that is late has not come to it yet.
    fresh: VecDeque<(Time, MessageIndex)>,
    resumed: Time,
    pub log_is_known: bool,
}

/// Whether a home has met others.
#[derive(Clone, Copy, Debug, Default)]
enum Met {
    #[default]
    Nobody,
    /// Its process told so; whether its disk knows is not sure.
    Told(Time),
    Kept(Time),
}

/// What is known of a message.
#[derive(Debug)]
pub(super) struct Said {
    pub id: MessageId,
    pub author: Option<MemberId>,
    pub kind: Option<MessageKind>,
    pub to: Option<MemberId>,
    pub text: Option<String>,
    pub place: Option<(Incarnation, Seq)>,
    pub origin: Option<Origin>,
    /// Its author told that it was never sent.
    pub is_undone: bool,
}

/// By what is on its author's own machine: when it was said, where, and in which epoch of that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub at: Time,
    pub node: NodeIndex,
    pub epoch: u32,
}

impl Facts {
    pub fn new() -> Self {
        Self {
            driver: Driver::Sim,
            now: Time::ZERO,
            line: 0,
            is_shown_again: false,
            kept_again: Vec::new(),
            nodes: Vec::new(),
            by_name: BTreeMap::new(),
            homes: BTreeMap::new(),
            messages: Vec::new(),
            by_id: BTreeMap::new(),
            places: BTreeMap::new(),
            recent: VecDeque::new(),
            runs: BTreeMap::new(),
            collided: BTreeSet::new(),
            dishonest: BTreeSet::new(),
        }
    }

    /// Takes in a line, before it is judged.
    pub fn note(&mut self, line: &Line) {
        (self.now, self.line) = (line.at, line.n);
        let node = line.node.as_ref().map(|name| self.node_of(name));
        match (&line.what, node) {
            (What::Began { driver, .. }, _) => self.driver = *driver,
            (What::Dishonest { member }, _) => drop(self.dishonest.insert(*member)),
            (What::Home { member, .. }, Some(node)) => self.settle_in(node, *member),
            (What::Started { epoch, run }, Some(node)) => self.start(node, *epoch, *run),
            (What::Ended { how }, Some(node)) => {
                let node = &mut self.nodes[node];
                node.is_running = false;
                node.is_paused = false;
                node.has_left = *how == Ended::Left;
            }
            (What::Paused, Some(node)) => self.nodes[node].is_paused = true,
            (What::Resumed { .. }, Some(node)) => {
                self.nodes[node].is_paused = false;
                self.nodes[node].resumed = line.at;
            }
            (What::RolledBack { epoch }, Some(node)) => self.nodes[node].begin_epoch(*epoch),
            (What::Accepted { id, to, text }, Some(node)) => self.accept(node, *id, *to, text),
            (What::Stored { kept, noted, .. }, Some(node)) => {
                self.kept_again.clear();
                if let Met::Told(at) = self.nodes[node].met
                    && self.now.since(at) >= MET_KEPT_AFTER
                {
                    self.nodes[node].met = Met::Kept(at);
                }
                for kept in kept {
                    self.commit(node, kept);
                }
                for noted in noted {
                    self.take_note(node, noted);
                }
            }
            (What::NotStored { .. }, Some(node)) => self.nodes[node].doubt_that_it_met(),
            (What::Told { event }, Some(node)) => self.told(node, &event.kind),
            (
                What::Home { .. }
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
                | What::Sent { .. }
                | What::Dropped { .. }
                | What::Arrived { .. }
                | What::Stored { .. }
                | What::NotStored { .. }
                | What::Told { .. }
                | What::Logged { .. }
                | What::Violated { .. },
                _,
            ) => {}
        }
    }

    /// The log of a node, as it is on its disk.
    pub fn note_log(&mut self, name: &str, log: &[Message]) {
        let Some(node) = self.find(name) else { return };
        for message in log {
            let index = self.learn(message);
            if self.nodes[node].member == Some(message.from) {
                self.note_said(index, node);
            }
            self.nodes[node].keep(index);
        }
        self.nodes[node].log_is_known = true;
    }

    /// A gap that a node lists.
    pub fn note_gap(&mut self, name: &str, run: (MemberId, Incarnation), first: Seq, last: Seq) {
        if let Some(node) = self.find(name) {
            self.nodes[node].noted_gaps.add(run, first, last);
        }
    }

    pub fn find(&self, name: &str) -> Option<NodeIndex> {
        self.by_name.get(name).copied()
    }

    pub fn message(&self, id: MessageId) -> Option<MessageIndex> {
        self.by_id.get(&id).copied()
    }

    /// The machines with the home of a member: more than one where a home was copied.
    pub fn homes(&self, member: MemberId) -> &[NodeIndex] {
        self.homes.get(&member).map_or(&[], Vec::as_slice)
    }

    /// Whether it can be held to its word: it is declared so by nobody that it lies, and its home is the only one.
    pub fn is_honest(&self, member: MemberId) -> bool {
        !self.dishonest.contains(&member) && self.homes(member).len() == 1
    }

    pub fn is_honest_node(&self, node: NodeIndex) -> bool {
        self.nodes[node].member.is_some_and(|member| self.is_honest(member))
    }

    /// Whether anybody was declared dishonest.
    pub fn has_liars(&self) -> bool {
        !self.dishonest.is_empty()
    }

    /// Whether two processes had this run's incarnation, so that its places say nothing.
    pub fn is_ambiguous(&self, author: MemberId, incarnation: Incarnation) -> bool {
        self.collided.contains(&(author, incarnation))
    }

    /// Whether a node no longer tracks the run, because its author had so many since.
    pub fn is_forgotten(&self, author: MemberId, incarnation: Incarnation) -> bool {
        let later = self.runs.get(&author).map_or(0, |runs| runs.range(incarnation + 1..).count());
        later >= RUNS_PER_AUTHOR_MAX
    }

    /// The room message at a place, as far as its author is known to have said it.
    pub fn at_place(&self, author: MemberId, incarnation: Incarnation, seq: Seq) -> Option<MessageIndex> {
        self.places.get(&(author, incarnation, seq)).copied()
    }

    /// For people: the name of the machine of a member.
    pub fn nick(&self, member: MemberId) -> String {
        self.homes(member).first().map_or_else(|| member.short(), |&node| self.nodes[node].name.to_string())
    }

    /// For people: `ana#3 (k7f3)`.
    pub fn title(&self, message: MessageIndex) -> String {
        let said = &self.messages[message];
        let handle = said.id.handle(4);
        match (said.author, said.place) {
            (Some(author), Some((_, seq))) => format!("{}#{seq} ({handle})", self.nick(author)),
            (Some(author), None) => format!("{handle} of {}", self.nick(author)),
            (None, _) => handle,
        }
    }

    fn node_of(&mut self, name: &Name) -> NodeIndex {
        if let Some(&node) = self.by_name.get(name) {
            return node;
        }
        self.nodes.push(Node::new(name.clone()));
        self.by_name.insert(name.clone(), self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn settle_in(&mut self, node: NodeIndex, member: MemberId) {
        if let Some(before) = self.nodes[node].member.replace(member)
            && let Some(homes) = self.homes.get_mut(&before)
        {
            homes.retain(|&other| other != node);
        }
        self.homes.entry(member).or_default().push(node);
    }

    fn start(&mut self, node: NodeIndex, epoch: u32, run: Option<Run>) {
        let now = self.now;
        let of = &mut self.nodes[node];
        if of.epoch != epoch {
            of.begin_epoch(epoch);
        }
        of.doubt_that_it_met();
        of.life += 1;
        of.incarnations.push(run.map(|run| run.incarnation));
        of.is_running = true;
        of.is_paused = false;
        of.has_left = false;
        of.first_start = of.first_start.or(Some(now));
        of.restored = of.ever_committed.clone();
        of.restored_gaps = of.noted_gaps.clone();
        if let (Some(member), Some(run)) = (of.member, run) {
            self.note_run(member, run.incarnation, run.boot);
        }
    }

    /// A process of the member has this incarnation.
    fn note_run(&mut self, member: MemberId, incarnation: Incarnation, boot: u64) {
        let first = *self.runs.entry(member).or_default().entry(incarnation).or_insert(boot);
        if first != boot {
            self.collided.insert((member, incarnation));
        }
    }

    fn accept(&mut self, node: NodeIndex, id: MessageId, to: Option<MemberId>, text: &str) {
        let index = self.index_of(id);
        let author = self.nodes[node].member;
        let said = &mut self.messages[index];
        said.author = said.author.or(author);
        said.kind = Some(if to.is_some() { MessageKind::Private } else { MessageKind::Group });
        said.to = said.to.or(to);
        said.text.get_or_insert_with(|| text.to_owned());
        self.note_said(index, node);
    }

    fn commit(&mut self, node: NodeIndex, kept: &Kept) {
        let index = self.index_of(kept.id);
        let said = &mut self.messages[index];
        said.author = said.author.or(Some(kept.author));
        said.kind = said.kind.or(Some(kept.kind));
        said.place = said.place.or(Some((kept.incarnation, kept.seq)));
        if kept.is_own {
            self.note_said(index, node);
        }
        let now = self.now;
        let of = &mut self.nodes[node];
        if !of.keep(index) {
            self.kept_again.push(index);
        }
        while of.fresh.front().is_some_and(|&(at, _)| now.since(at) > LATE_MAX) {
            of.fresh.pop_front();
        }
        of.fresh.push_back((now, index));
    }

    fn take_note(&mut self, node: NodeIndex, noted: &Noted) {
        match *noted {
            Noted::Gap { author, incarnation, first, last } => {
                self.nodes[node].noted_gaps.add((author, incarnation), first, last);
            }
            Noted::History { author, incarnation, last } => {
                let last = self.last_before_it_came(node, (author, incarnation), last);
                self.nodes[node].history.add((author, incarnation), 1, last);
            }
            Noted::Settled { .. } => {}
            Noted::Undone { id } => {
                let index = self.index_of(id);
                self.undo(node, index);
            }
        }
    }

    fn undo(&mut self, node: NodeIndex, index: MessageIndex) {
        self.messages[index].is_undone = true;
        self.nodes[node].committed.remove(index);
        if let Some(author) = self.messages[index].author
            && let Some((incarnation, seq)) = self.messages[index].place
            && self.places.get(&(author, incarnation, seq)) == Some(&index)
        {
            self.places.remove(&(author, incarnation, seq));
        }
    }

    fn told(&mut self, node: NodeIndex, event: &EventKind) {
        match event {
            EventKind::Message(message) => {
                let index = self.learn(message);
                self.is_shown_again = !self.nodes[node].shown.insert(index);
                if self.nodes[node].member == Some(message.from) {
                    self.note_said(index, node);
                }
                // It says that it is in the durable log; where the disk is not seen, that must do.
                if self.driver == Driver::Processes {
                    let _ = self.nodes[node].keep(index);
                }
            }
            EventKind::Gap(gap) => {
                self.nodes[node].told_gaps.add((gap.author, gap.incarnation), gap.first, gap.last);
            }
            EventKind::Undone { id, .. } => {
                let index = self.index_of(*id);
                self.undo(node, index);
            }
            // Of a real process only its word is known; which of them it was does for its boot.
            EventKind::Ready { incarnation, .. } if self.driver == Driver::Processes => {
                let of = &self.nodes[node];
                let process = u64::try_from(node).unwrap_or(u64::MAX).rotate_left(32) + u64::from(of.life);
                if let Some(member) = of.member.filter(|_| of.incarnations.last() == Some(&None)) {
                    self.note_run(member, *incarnation, process);
                }
            }
            EventKind::Member { id, state: Presence::Alive, .. } if self.nodes[node].member != Some(*id) => {
                let of = &mut self.nodes[node];
                if matches!(of.met, Met::Nobody) {
                    of.met = Met::Told(self.now);
                }
            }
            EventKind::Ready { .. }
            | EventKind::Member { .. }
            | EventKind::Delivery { .. }
            | EventKind::Recovered { .. }
            | EventKind::Fault { .. }
            | EventKind::Alarm { .. }
            | EventKind::Stalled { .. }
            | EventKind::Lagged { .. }
            | EventKind::Script { .. } => {}
        }
    }

    /// What of `1..=last` can be history for the machine: of a home that has met others, what was said since is none.
    fn last_before_it_came(&self, node: NodeIndex, run: (MemberId, Incarnation), last: Seq) -> Seq {
        let Met::Kept(met) = self.nodes[node].met else { return last };
        let is_since = |seq: &Seq| {
            let said = self.at_place(run.0, run.1, *seq).and_then(|index| self.messages[index].origin);
            said.is_some_and(|origin| origin.at.since(met) > COMING_MAX)
        };
        (1..=last).find(is_since).map_or(last, |seq| seq - 1)
    }

    /// What somebody shows of a message: its place, where that was not known.
    fn learn(&mut self, message: &Message) -> MessageIndex {
        let index = self.index_of(message.id);
        let said = &mut self.messages[index];
        said.author = said.author.or(Some(message.from));
        said.kind = said.kind.or(Some(message.kind));
        said.to = said.to.or(message.to);
        said.place = said.place.or(Some((message.incarnation, message.seq)));
        said.text.get_or_insert_with(|| message.text.clone());
        index
    }

    fn note_said(&mut self, index: MessageIndex, node: NodeIndex) {
        let epoch = self.nodes[node].epoch;
        let said = &mut self.messages[index];
        let is_first = said.origin.is_none();
        said.origin = said.origin.or(Some(Origin { at: self.now, node, epoch }));
        if said.kind != Some(MessageKind::Group) || said.is_undone {
            return;
        }
        if let (Some(author), Some((incarnation, seq))) = (said.author, said.place) {
            self.places.insert((author, incarnation, seq), index);
            self.runs.entry(author).or_default().entry(incarnation).or_insert(0);
        }
        if is_first {
            if self.recent.len() >= RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(index);
        }
    }

    fn index_of(&mut self, id: MessageId) -> MessageIndex {
        let next = self.messages.len();
        let index = *self.by_id.entry(id).or_insert(next);
        if index == next {
            self.messages.push(Said {
                id,
                author: None,
                kind: None,
                to: None,
                text: None,
                place: None,
                origin: None,
                is_undone: false,
            });
        }
        index
    }
}

impl Node {
    fn new(name: Name) -> Self {
        Self {
            name,
            member: None,
            epoch: 0,
            life: 0,
            incarnations: Vec::new(),
            is_running: false,
            is_paused: false,
            has_left: false,
            first_start: None,
            committed: Bits::default(),
            ever_committed: Bits::default(),
            restored: Bits::default(),
            told_gaps: Spans::default(),
            restored_gaps: Spans::default(),
            noted_gaps: Spans::default(),
            history: Spans::default(),
            met: Met::default(),
            shown: Bits::default(),
            fresh: VecDeque::new(),
            resumed: Time::ZERO,
            log_is_known: false,
        }
    }

    /// The home is another now. What of the past is still on it is not known, so it is held to none of it.
    fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
        self.met = Met::Nobody;
        self.committed = Bits::default();
        self.shown = Bits::default();
        self.fresh.clear();
    }

    /// What it told may have been in what its disk refused, or lost.
    fn doubt_that_it_met(&mut self) {
        if matches!(self.met, Met::Told(_)) {
            self.met = Met::Nobody;
        }
    }

    /// Whether it is new on its disk.
    fn keep(&mut self, index: MessageIndex) -> bool {
        self.ever_committed.insert(index);
        self.committed.insert(index)
    }

    /// Whether its present process knows at `now` that it has the message: it showed it, began with it, or had it on
    /// disk for so long that no late loop explains it.
    pub fn holds(&self, message: MessageIndex, now: Time) -> bool {
        if self.shown.contains(message) {
            return true;
        }
        let is_fresh = |&(at, index): &(Time, MessageIndex)| index == message && now.since(at) <= LATE_MAX;
        let is_late = self.is_paused || (self.resumed > Time::ZERO && now.since(self.resumed) <= LATE_MAX);
        self.committed.contains(message)
            && (self.restored.contains(message) || !(is_late || self.fresh.iter().any(is_fresh)))
    }

    /// The incarnation of its `life`th process, where that is known.
    pub fn incarnation(&self, life: u32) -> Option<Incarnation> {
        self.incarnations.get(usize::try_from(life).ok()?.checked_sub(1)?).copied().flatten()
    }
}
