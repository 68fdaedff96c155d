//! Each check on traces made by hand: one that violates it, and an innocent one that comes close. Owns the builder of such
//! traces.

mod claims;
mod presence;
mod screens;
mod settling;
mod wire;

use std::collections::BTreeMap;

use super::{Checker, Driver, Ended, Kept, Line, LineNumber, Noted, What};
use crate::base::{Cause, Incarnation, MemberId, MessageId, Presence, Run, Time, Wall};
use crate::node::api::{
    Asked, Counted, Delivery, Event, EventKind, Evidence, Gap, MemberStatus, Message, MessageCounts, MessageKind,
    NodeStatus, Outcome, OutcomeCounts, Status,
};

/// A trace that is being written. Every node is told apart by its name; its first run is incarnation 101, its second 102.
struct Story {
    lines: Vec<Line>,
    now_ms: u64,
    names: Vec<String>,
    lives: BTreeMap<String, u64>,
    messages: Vec<Message>,
    told: u64,
}

impl Story {
    /// Machines that run, from the start.
    fn of<const N: usize>(names: [&str; N]) -> Self {
        Self::by(Driver::Sim, names)
    }

    fn by<const N: usize>(driver: Driver, names: [&str; N]) -> Self {
        let mut story = Self {
            lines: Vec::new(),
            now_ms: 0,
            names: names.map(ToOwned::to_owned).to_vec(),
            lives: BTreeMap::new(),
            messages: Vec::new(),
            told: 0,
        };
        story.line(None, What::Began { scenario: "by hand".to_owned(), driver, seed: 1 });
        for name in names {
            story.home(name, id(&story.names, name));
            story.start(name, 0);
        }
        story
    }

    fn home(&mut self, name: &str, member: MemberId) {
        self.line(Some(name), What::Home { member, address: ([10, 0, 0, 1], 4460).into() });
    }

    fn start(&mut self, name: &str, epoch: u32) {
        let life = self.lives.entry(name.to_owned()).or_default();
        *life += 1;
        let run = Run { incarnation: 100 + *life, boot: *life };
        self.line(Some(name), What::Started { epoch, run: Some(run) });
    }

    fn end(&mut self, name: &str, how: Ended) {
        self.line(Some(name), What::Ended { how });
    }

    fn restart(&mut self, name: &str) {
        self.end(name, Ended::Crashed);
        self.start(name, 0);
    }

    /// The home is put back to an earlier day, and started.
    fn roll_back(&mut self, name: &str) {
        self.end(name, Ended::Crashed);
        self.line(Some(name), What::RolledBack { epoch: 1 });
        self.start(name, 1);
    }

    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    fn line(&mut self, node: Option<&str>, what: What) -> LineNumber {
        let n = u64::try_from(self.lines.len()).unwrap() + 1;
        let at = Time::from_micros(self.now_ms * 1_000);
        self.lines.push(Line { n, at, node: node.map(Into::into), cause: None, what });
        n
    }

    fn id(&self, name: &str) -> MemberId {
        id(&self.names, name)
    }

    fn incarnation(&self, name: &str) -> Incarnation {
        100 + self.lives[name]
    }

    /// A message that exists in the head of its author so far.
    fn write(&mut self, from: &str, to: Option<&str>, seq: u64, text: &str) -> MessageId {
        let mut bytes = [0xee; 32];
        bytes[0] = u8::try_from(self.messages.len()).unwrap();
        let id = MessageId(bytes);
        self.messages.push(Message {
            id,
            handle: id.handle(4),
            kind: if to.is_some() { MessageKind::Private } else { MessageKind::Group },
            from: self.id(from),
            nick: from.to_owned(),
            to: to.map(|to| self.id(to)),
            seq,
            incarnation: self.incarnation(from),
            text: text.to_owned(),
            said_at: Wall(0),
            recovered: false,
            via: None,
            received_at: None,
            late_ms: None,
        });
        id
    }

    fn accept(&mut self, from: &str, id: MessageId) {
        let message = self.message(id).clone();
        self.line(Some(from), What::Accepted { id, to: message.to, text: message.text });
    }

    /// `from` says its `seq`th message to the room: accepted, stored, shown.
    fn say(&mut self, from: &str, seq: u64) -> MessageId {
        let id = self.write(from, None, seq, &format!("message {seq} of {from}"));
        self.accept(from, id);
        self.store(from, id);
        self.show(from, id);
        id
    }

    /// `from` tells `to` its `seq`th message.
    fn tell(&mut self, from: &str, to: &str, seq: u64) -> MessageId {
        let id = self.write(from, Some(to), seq, &format!("message {seq} for {to}"));
        self.accept(from, id);
        self.store(from, id);
        self.show(from, id);
        id
    }

    fn message(&self, id: MessageId) -> &Message {
        self.messages.iter().find(|message| message.id == id).unwrap()
    }

    fn store(&mut self, name: &str, id: MessageId) {
        let message = self.message(id);
        let kept = Kept {
            id,
            kind: message.kind,
            author: message.from,
            incarnation: message.incarnation,
            seq: message.seq,
            is_own: message.from == self.id(name),
        };
        self.line(Some(name), What::Stored { records: 1, kept: vec![kept], noted: Vec::new() });
    }

    fn note(&mut self, name: &str, noted: Noted) {
        self.line(Some(name), What::Stored { records: 1, kept: Vec::new(), noted: vec![noted] });
    }

    fn show(&mut self, name: &str, id: MessageId) {
        let message = self.message(id).clone();
        self.event(name, EventKind::Message(message));
    }

    fn show_late(&mut self, name: &str, id: MessageId) {
        let message = Message { late_ms: Some(5_000), ..self.message(id).clone() };
        self.event(name, EventKind::Message(message));
    }

    /// Stores it and shows it.
    fn take(&mut self, name: &str, id: MessageId) {
        self.store(name, id);
        self.show(name, id);
    }

    fn outcome(&mut self, name: &str, message: MessageId, to: &str, outcome: Outcome) {
        let delivery = Delivery {
            member: self.id(to),
            nick: to.to_owned(),
            outcome,
            attempts: 1,
            tries_may_be_missing: false,
            latency_us: None,
        };
        self.event(name, EventKind::Delivery { id: message, handle: message.handle(4), delivery, reason: None });
    }

    fn gap(&mut self, name: &str, author: &str, first: u64, last: u64) {
        let gap = Gap {
            author: self.id(author),
            nick: author.to_owned(),
            incarnation: self.incarnation(author),
            first,
            last,
            asked: Vec::<Asked>::new(),
            of_earlier_run: false,
        };
        self.event(name, EventKind::Gap(gap));
    }

    fn member(&mut self, name: &str, of: &str, state: Presence, evidence: Vec<Evidence>) {
        let incarnation = self.incarnation(of);
        let (id, nick) = (self.id(of), of.to_owned());
        self.event(name, EventKind::Member { id, nick, state, incarnation, evidence });
    }

    fn event(&mut self, name: &str, kind: EventKind) {
        self.caused(name, None, kind);
    }

    fn caused(&mut self, name: &str, cause: Option<Cause>, kind: EventKind) {
        self.told += 1;
        let event = Event { n: self.told, at: Wall(1_000_000 + self.now_ms), cause, kind };
        self.line(Some(name), What::Told { event: Box::new(event) });
    }

    fn checker(&self) -> Checker {
        let mut checker = Checker::new();
        for line in &self.lines {
            checker.handle(line);
        }
        checker
    }

    /// What the checker finds: the numbers of the checks, with what they say.
    fn found(&self) -> Vec<String> {
        let mut checker = self.checker();
        checker.finish();
        found(&mut checker)
    }

    /// A status of `name` in which it holds all of `alive` alive.
    fn status(&self, name: &str, alive: &[&str]) -> Status {
        let members = alive.iter().map(|of| MemberStatus {
            id: self.id(of),
            nick: (*of).to_owned(),
            incarnation: self.incarnation(of),
            you: false,
            state: Presence::Alive,
            since_ms_ago: 0,
            heard_ms_ago: None,
            hears_me: None,
            rtt_us: None,
            loss: None,
            degraded: false,
            evidence: Vec::new(),
        });
        Status {
            node: NodeStatus {
                id: self.id(name),
                nick: name.to_owned(),
                incarnation: self.incarnation(name),
                addr: String::new(),
                room: String::new(),
                uptime_ms: 0,
                probably_cut_off: false,
                disk_full_since: None,
                silent_since: None,
            },
            members: members.collect(),
            messages: MessageCounts::default(),
            deliveries: OutcomeCounts::default(),
            faults: Vec::new(),
            counters: BTreeMap::new(),
            limits: BTreeMap::new(),
            undelivered: Vec::new(),
            undelivered_more: 0,
            counted: Counted::default(),
        }
    }
}

fn id(names: &[String], name: &str) -> MemberId {
    let at = names.iter().position(|known| known == name).unwrap();
    MemberId([u8::try_from(at).unwrap() + 1; 32])
}

fn found(checker: &mut Checker) -> Vec<String> {
    let violations = std::iter::from_fn(|| checker.poll_violation());
    violations.map(|violation| format!("{} {}", violation.check.number(), violation.text)).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn an_ordinary_day_passes() {
    let mut story = Story::of(["ana", "bo", "cy"]);
    for seq in 1..=3 {
        let said = story.say("ana", seq);
        for name in ["bo", "cy"] {
            story.take(name, said);
            story.outcome("ana", said, name, Outcome::Delivered);
        }
    }
    let private = story.tell("bo", "cy", 1);
    story.take("cy", private);
    story.outcome("bo", private, "cy", Outcome::Delivered);
    assert_eq!(story.found(), NOTHING);
}

#[test]
fn a_trace_that_was_kept_is_checked_again_as_it_was() {
    let mut story = Story::of(["ana", "bo"]);
    let said = story.say("ana", 1);
    story.outcome("ana", said, "bo", Outcome::Delivered);
    let file: Vec<String> = story.lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    let read: Vec<Line> = file.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, story.lines);
    let violations = super::check_trace(&read);
    assert_eq!(violations.len(), 1);
    assert_eq!((violations[0].check.number(), violations[0].line), (1, story.lines.last().unwrap().n));
}
