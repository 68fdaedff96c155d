//! Traces written by hand: what a run would have said, line by line, where a test needs a certain story rather
//! than a true one. Owns numbers, times and causes; a test says what happened.

pub mod simulated;

use std::sync::Arc;

use folkmoot::base::{MemberId, MessageId, Presence, Run, Time, Wall};
use folkmoot::check::{Driver, DropReason, Ended, Kept, Line, LineNumber, Noted, Trace, What};
use folkmoot::node::api::{Delivery, Event, EventKind, Evidence, EvidenceKind, Message, MessageKind, Outcome};
use folkmoot::wire::{FrameKind, Label};

pub struct Tape {
    pub lines: Trace,
    names: Vec<String>,
    at_us: u64,
    said: u8,
}

impl Tape {
    pub fn of(scenario: &str, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut tape = Self { lines: Vec::new(), names, at_us: 0, said: 0 };
        tape.add(None, None, What::Began { scenario: scenario.into(), driver: Driver::Sim, seed: 7 });
        for name in tape.names.clone() {
            let (member, port) = (tape.member(&name), 4460 + u16::from(tape.index(&name)));
            tape.add(Some(&name), None, What::Home { member, address: ([10, 0, 0, 1], port).into() });
            tape.start(&name);
        }
        tape
    }

    /// Lets time pass.
    pub fn after_ms(&mut self, ms: u64) -> &mut Self {
        self.at_us += ms * 1000;
        self
    }

    pub fn member(&self, name: &str) -> MemberId {
        MemberId([self.index(name) + 1; 32])
    }

    pub fn start(&mut self, name: &str) -> LineNumber {
        let run = Run { incarnation: 1_000 + self.at_us / 1000, boot: 7 };
        self.add(Some(name), None, What::Started { epoch: 0, run: Some(run) })
    }

    pub fn crash(&mut self, name: &str) -> LineNumber {
        self.add(Some(name), None, What::Ended { how: Ended::Crashed })
    }

    pub fn fault(&mut self, text: &str, is_on: bool) -> LineNumber {
        self.add(None, None, What::Fault { text: text.into(), is_on })
    }

    /// A person says something, to the room where there is no receiver; it is on the disk at once.
    pub fn say(&mut self, name: &str, to: Option<&str>, text: &str) -> (MessageId, LineNumber) {
        self.said += 1;
        let mut bytes = [0; 32];
        bytes[0] = self.said.wrapping_mul(37);
        bytes[1] = self.said;
        let (id, receiver) = (MessageId(bytes), to.map(|to| self.member(to)));
        let accepted = self.add(Some(name), None, What::Accepted { id, to: receiver, text: text.into() });
        let stored = self.store(name, id, name, to.is_some(), accepted);
        (id, stored)
    }

    pub fn store(
        &mut self,
        name: &str,
        id: MessageId,
        author: &str,
        is_private: bool,
        cause: LineNumber,
    ) -> LineNumber {
        let kind = if is_private { MessageKind::Private } else { MessageKind::Group };
        let seq = u64::from(id.0[1]);
        let kept = Kept { id, kind, author: self.member(author), incarnation: 1_000, seq, is_own: name == author };
        self.add(Some(name), Some(cause), What::Stored { records: 1, kept: vec![kept], noted: Vec::new() })
    }

    /// A datagram leaves.
    pub fn send(
        &mut self,
        from: &str,
        to: &str,
        frames: &[(FrameKind, Option<MessageId>)],
        cause: Option<LineNumber>,
    ) -> LineNumber {
        let labels = frames.iter().map(|&(frame, message)| Label { frame, message }).collect();
        self.add(Some(from), cause, What::Sent { to: Some(Arc::from(to)), bytes: 180, labels, wire: None })
    }

    pub fn arrive(&mut self, at: &str, datagram: LineNumber, copy: u8) -> LineNumber {
        self.add(Some(at), Some(datagram), What::Arrived { datagram, copy, is_damaged: false })
    }

    pub fn lose(&mut self, datagram: LineNumber, why: DropReason) -> LineNumber {
        self.add(None, Some(datagram), What::Dropped { datagram, why })
    }

    pub fn show(
        &mut self,
        at: &str,
        id: MessageId,
        from: &str,
        to: Option<&str>,
        text: &str,
        cause: LineNumber,
    ) -> LineNumber {
        let kind = if to.is_some() { MessageKind::Private } else { MessageKind::Group };
        let message = Message {
            id,
            handle: id.handle(4),
            kind,
            from: self.member(from),
            nick: from.into(),
            to: to.map(|to| self.member(to)),
            seq: u64::from(id.0[1]),
            incarnation: 1_000,
            text: text.into(),
            said_at: Wall(0),
            recovered: false,
            via: None,
            received_at: None,
            late_ms: None,
        };
        self.tell(at, EventKind::Message(message), cause)
    }

    pub fn claim(&mut self, author: &str, id: MessageId, to: &str, outcome: Outcome, cause: LineNumber) -> LineNumber {
        let delivery = Delivery {
            member: self.member(to),
            nick: to.into(),
            outcome,
            attempts: 2,
            tries_may_be_missing: false,
            latency_us: None,
        };
        self.tell(author, EventKind::Delivery { id, handle: id.handle(4), delivery, reason: None }, cause)
    }

    pub fn believe(
        &mut self,
        observer: &str,
        subject: &str,
        state: Presence,
        evidence: &[(EvidenceKind, &str, &str)],
    ) -> LineNumber {
        let evidence = evidence
            .iter()
            .map(|&(kind, by, detail)| Evidence {
                kind,
                by: self.member(by),
                nick: by.into(),
                run: None,
                tick: None,
                at: Wall(0),
                detail: detail.into(),
                via: None,
                mostly_deaf: false,
                brought_back: false,
                verdict: false,
            })
            .collect();
        let (id, nick) = (self.member(subject), subject.to_owned());
        let kind = EventKind::Member { id, nick, state, incarnation: 1_000, evidence };
        let cause = self.lines.last().map_or(1, |line| line.n);
        self.tell(observer, kind, cause)
    }

    pub fn miss(&mut self, at: &str, author: &str, seq: u64) -> LineNumber {
        let gap = Noted::Gap { author: self.member(author), incarnation: 1_000, first: seq, last: seq };
        self.add(Some(at), None, What::Stored { records: 1, kept: Vec::new(), noted: vec![gap] })
    }

    pub fn tell(&mut self, name: &str, kind: EventKind, cause: LineNumber) -> LineNumber {
        let event = Box::new(Event { n: 1, at: Wall(self.at_us / 1000), cause: None, kind });
        self.add(Some(name), Some(cause), What::Told { event })
    }

    pub fn violate(&mut self, check: u8, text: &str, cause: LineNumber) -> LineNumber {
        self.add(None, Some(cause), What::Violated { check, text: text.into() })
    }

    pub fn add(&mut self, name: Option<&str>, cause: Option<LineNumber>, what: What) -> LineNumber {
        let n = self.lines.len() as u64 + 1;
        self.lines.push(Line { n, at: Time::from_micros(self.at_us), node: name.map(Arc::from), cause, what });
        n
    }

    fn index(&self, name: &str) -> u8 {
        let index = self.names.iter().position(|known| known == name).expect("a machine of this tape");
        u8::try_from(index).expect("a small tape")
    }
}

/// Ana tells bo something behind a cut, says something to the room, and claims more than is true.
pub fn a_false_claim() -> Tape {
    let mut tape = Tape::of("a false claim", &["ana", "bo", "cy"]);
    tape.after_ms(20);
    for (from, to) in [("bo", "ana"), ("cy", "ana"), ("cy", "bo")] {
        let hello = tape.send(from, to, &[], None);
        tape.after_ms(21).arrive(to, hello, 0);
        let answer = tape.send(to, from, &[(FrameKind::Cards, None)], Some(hello + 1));
        tape.after_ms(19).arrive(from, answer, 0);
        tape.believe(to, from, Presence::Alive, &[]);
        tape.believe(from, to, Presence::Alive, &[]);
    }
    for _ in 0..4 {
        tape.after_ms(500);
        let beat = tape.send("ana", "bo", &[(FrameKind::Heartbeat, None), (FrameKind::Digest, None)], None);
        tape.after_ms(20).arrive("bo", beat, 0);
    }
    let (room, stored) = tape.say("ana", None, "supper at eight; who comes? <b>#1</b>");
    for to in ["bo", "cy"] {
        let sent = tape.send("ana", to, &[(FrameKind::Group, Some(room))], Some(stored));
        if to == "bo" {
            tape.after_ms(21);
            let arrived = tape.arrive(to, sent, 0);
            let kept = tape.after_ms(3).store(to, room, "ana", false, arrived);
            tape.show(to, room, "ana", None, "supper at eight; who comes? <b>#1</b>", kept);
            let receipt = tape.send(to, "ana", &[(FrameKind::Receipt, None)], Some(kept));
            tape.after_ms(20);
            let back = tape.arrive("ana", receipt, 0);
            tape.arrive("ana", receipt, 1);
            tape.claim("ana", room, "bo", Outcome::Delivered, back);
        } else {
            tape.lose(sent, DropReason::Loss);
        }
    }
    tape.after_ms(700).fault("cut from bo to ana", true);
    let (private, stored) = tape.say("ana", Some("bo"), "did you get this?");
    let mut last = stored;
    for attempt in 0..4 {
        let sent = tape.send("ana", "bo", &[(FrameKind::Private, Some(private))], Some(stored));
        let arrived = tape.after_ms(20).arrive("bo", sent, 0);
        if attempt == 0 {
            let kept = tape.after_ms(2).store("bo", private, "ana", true, arrived);
            tape.show("bo", private, "ana", Some("bo"), "did you get this?", kept);
        }
        let receipt = tape.send("bo", "ana", &[(FrameKind::Receipt, None)], Some(arrived));
        tape.lose(receipt, DropReason::Cut);
        last = arrived;
        tape.after_ms(900 * (attempt + 1));
    }
    tape.claim("ana", private, "bo", Outcome::Unknown, last);
    tape.crash("cy");
    tape.after_ms(2_600);
    tape.believe("ana", "cy", Presence::Suspect, &[(EvidenceKind::Silence, "ana", "silent for 2.6 s")]);
    tape.after_ms(900);
    tape.believe("ana", "cy", Presence::Unreachable, &[(EvidenceKind::Report, "bo", "did not hear it")]);
    tape.believe("bo", "cy", Presence::Unreachable, &[(EvidenceKind::Report, "ana", "did not hear it")]);
    let probe = tape.send("ana", "cy", &[(FrameKind::Probe, None)], None);
    tape.after_ms(20).lose(probe, DropReason::Down);
    tape.fault("cut from bo to ana", false);
    tape.after_ms(4_000).start("cy");
    tape.miss("cy", "ana", u64::from(room.0[1]));
    let wrong = tape.claim("ana", room, "cy", Outcome::Delivered, stored);
    tape.violate(1, "ana claims that her message is delivered to cy, whose disk does not have it", wrong);
    tape
}

/// A room of `size`, in which everybody says something and the network loses every fifth datagram.
pub fn a_big_room(size: usize) -> Tape {
    let names: Vec<String> = (0..size).map(|n| format!("member-{n}")).collect();
    let refs: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut tape = Tape::of("a big room", &refs);
    tape.after_ms(50);
    for observer in &refs {
        for subject in refs.iter().filter(|subject| *subject != observer) {
            tape.believe(observer, subject, Presence::Alive, &[]);
        }
    }
    let mut sent_so_far = 0;
    for (round, from) in refs.iter().enumerate() {
        tape.after_ms(700);
        let text = format!("hello from {from}");
        let (id, stored) = tape.say(from, None, &text);
        let others: Vec<&str> = refs.iter().copied().filter(|to| to != from).collect();
        let sent: Vec<LineNumber> =
            others.iter().map(|to| tape.send(from, to, &[(FrameKind::Group, Some(id))], Some(stored))).collect();
        tape.after_ms(20);
        for (to, datagram) in others.iter().zip(sent) {
            sent_so_far += 1;
            if sent_so_far % 5 == 0 {
                tape.lose(datagram, DropReason::Loss);
                continue;
            }
            let arrived = tape.after_ms(1).arrive(to, datagram, 0);
            let kept = tape.store(to, id, from, false, arrived);
            tape.show(to, id, from, None, &text, kept);
            let receipt = tape.send(to, from, &[(FrameKind::Receipt, None)], Some(kept));
            let back = tape.arrive(from, receipt, 0);
            tape.claim(from, id, to, Outcome::Delivered, back);
        }
        if round == size / 2 {
            let last = refs[size - 1];
            tape.crash(last);
            tape.after_ms(3_000);
            for observer in &refs[..size - 1] {
                tape.believe(observer, last, Presence::Suspect, &[]);
            }
            tape.after_ms(1_000);
            for observer in &refs[..size - 1] {
                tape.believe(observer, last, Presence::Unreachable, &[]);
            }
            break;
        }
    }
    tape
}
