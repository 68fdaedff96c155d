//! The nine checks on real runs of the simulated room: whatever happens in them, all checks hold; and each of the bugs that
//! they were made to find is found, where the trace of such a run is changed as the bug would change it.

use std::time::Duration;

use folkmoot::base::{Cause, MessageId, Rng};
use folkmoot::check::{Check, Checker, Driver, Kept, Line, SETTLES_WITHIN, Trace, Violation, What, check_trace};
use folkmoot::faults::{Ends, Fault, Rule};
use folkmoot::node::api::{Command, Event, EventKind, Message, Outcome};
use folkmoot::sim::{Options, Unsynced, World};
use folkmoot::wire::FrameKind;

const NAMES: [&str; 4] = ["ana", "bo", "cy", "dee"];

fn below(rng: &mut Rng, bound: u64) -> usize {
    usize::try_from(rng.below(bound)).expect("a small number")
}

/// A room under way, and its checker, which sees every line as it comes.
struct Room {
    world: World,
    checker: Checker,
    trace: Trace,
    seed: u64,
}

impl Room {
    fn new(seed: u64) -> Self {
        let mut world = World::with(Options { is_traced: true, ..Options::new(seed) });
        world.note(None, None, What::Began { scenario: "checks".to_owned(), driver: Driver::Sim, seed });
        for name in NAMES {
            world.add(name);
            world.start(name);
        }
        Self { world, checker: Checker::new(), trace: Trace::new(), seed }
    }

    fn run_for(&mut self, ms: u64) {
        self.world.run_for(Duration::from_millis(ms));
        self.check();
    }

    /// Has the checker look at what happened.
    fn check(&mut self) {
        while let Some(line) = self.world.poll_line() {
            self.checker.handle(&line);
            self.trace.push(line);
        }
        for name in NAMES.into_iter().filter(|name| self.world.is_running(name)) {
            self.checker.handle_status(name, &self.world.status(name));
        }
        if let Some(violation) = self.checker.poll_violation() {
            panic!("seed {}: {}", self.seed, told(&self.trace, &violation));
        }
    }

    fn unsettled(&mut self) -> Vec<String> {
        let statuses = NAMES.map(|name| self.world.status(name));
        let named: Vec<_> = NAMES.into_iter().zip(&statuses).collect();
        self.checker.unsettled(&named, 5)
    }

    /// Waits until all is settled, and fails where it does not get there.
    fn settle(&mut self) {
        let end = self.world.elapsed() + SETTLES_WITHIN;
        loop {
            self.run_for(1_000);
            let reasons = self.unsettled();
            if reasons.is_empty() {
                return;
            }
            assert!(self.world.elapsed() < end, "seed {}: not settled: {reasons:#?}", self.seed);
        }
    }

    /// Something that people or misfortune do.
    fn disturb(&mut self, rng: &mut Rng) {
        let pick = |rng: &mut Rng| NAMES[below(rng, 4)];
        let (one, other) = (pick(rng), pick(rng));
        let world = &mut self.world;
        let is_up = world.is_running(one) && !world.is_paused(one);
        match rng.below(20) {
            0..=6 if is_up => {
                drop(world.command(one, Command::Say { text: format!("said by {one}, {}", rng.below(1_000)) }));
            }
            7..=9 if is_up => {
                let to = world.id(other);
                drop(
                    world.command(one, Command::Tell { to, text: format!("for {other} alone, {}", rng.below(1_000)) }),
                );
            }
            10 | 11 if world.is_running(one) => {
                let unsynced = [Unsynced::Keep, Unsynced::Lose, Unsynced::Torn];
                world.crash(one, unsynced[below(rng, 3)]);
            }
            12 | 13 if !world.is_running(one) => world.start(one),
            14 if one != other => world.cut(one, other),
            15 => world.heal(),
            16 if is_up => world.pause(one),
            17 if world.is_running(one) && world.is_paused(one) => world.resume(one),
            18 if is_up => world.disk_full(one, true),
            18 | 19 => world.disk_full(one, false),
            _ => {}
        }
    }

    /// The end of all that was done to it.
    fn mend(&mut self) {
        self.world.heal();
        self.world.loss(0);
        self.world.duplicate(0);
        for name in NAMES {
            self.world.disk_full(name, false);
            if !self.world.is_running(name) {
                self.world.start(name);
            } else if self.world.is_paused(name) {
                self.world.resume(name);
            }
        }
    }
}

/// A violation, with the lines that led to it.
fn told(trace: &[Line], violation: &Violation) -> String {
    let mut past = Vec::new();
    let mut next = Some(violation.line);
    while let Some(line) = next.and_then(|n| trace.get(usize::try_from(n - 1).ok()?)) {
        past.push(format!("{line:?}"));
        next = line.cause.filter(|_| past.len() < 8);
    }
    format!("check {}: {}\n{}", violation.check.number(), violation.text, past.join("\n"))
}

/// A run with everything in it, checked all the way.
fn wild(seed: u64) -> Room {
    let mut room = Room::new(seed);
    let mut rng = Rng::from_seed(*blake3::hash(&seed.to_be_bytes()).as_bytes()).split("wild");
    let loss = [0, 80, 160, 240][below(&mut rng, 4)];
    room.world.loss(loss);
    room.world.delay(Duration::from_millis(30), Duration::from_millis(rng.below(30)));
    room.world.duplicate(50);
    room.run_for(4_000);
    for _ in 0..100 {
        room.disturb(&mut rng);
        let ms = rng.below(1_000);
        room.run_for(ms);
    }
    room.mend();
    room.settle();
    room
}

/// Whether `line` tells something on `name` that `is_it`.
fn tells(line: &Line, name: &str, is_it: impl Fn(&EventKind) -> bool) -> bool {
    let What::Told { event } = &line.what else { return false };
    line.node.as_deref() == Some(name) && is_it(&event.kind)
}

fn shows(line: &Line, name: &str, id: MessageId) -> bool {
    tells(line, name, |kind| matches!(kind, EventKind::Message(message) if message.id == id))
}

fn stores(line: &Line, name: &str, id: MessageId) -> bool {
    let What::Stored { kept, .. } = &line.what else { return false };
    line.node.as_deref() == Some(name) && kept.iter().any(|kept| kept.id == id)
}

fn sends_receipt(line: &Line, name: &str, id: MessageId) -> bool {
    let What::Sent { labels, .. } = &line.what else { return false };
    let is_it = labels.iter().any(|label| label.frame == FrameKind::Receipt && label.message == Some(id));
    line.node.as_deref() == Some(name) && is_it
}

/// Where the first such line is.
fn place(trace: &[Line], is_it: impl Fn(&Line) -> bool) -> usize {
    trace.iter().position(is_it).expect("the run has such a line")
}

/// Numbers the lines anew, in their new order. Causes are left out: no check walks them, and some would point ahead.
fn renumbered(mut trace: Trace) -> Trace {
    for (n, line) in (1..).zip(&mut trace) {
        (line.n, line.cause) = (n, None);
        if let What::Arrived { .. } | What::Dropped { .. } = line.what {
            panic!("datagrams are named by their numbers: use a trace without them, or add to its end");
        }
    }
    trace
}

/// Without what goes over the wire, but for receipts.
fn without_datagrams(trace: &[Line]) -> Trace {
    let is_kept = |line: &&Line| !matches!(line.what, What::Arrived { .. } | What::Dropped { .. });
    trace.iter().filter(is_kept).cloned().collect()
}

/// What the checks find in a changed trace; the unchanged one passes.
fn found(before: &[Line], after: &[Line]) -> Vec<Check> {
    let innocent = check_trace(before);
    assert!(innocent.is_empty(), "{innocent:?}");
    let mut checks: Vec<Check> = check_trace(after).into_iter().map(|violation| violation.check).collect();
    checks.dedup();
    checks
}

/// ana tells bo something, says something to all, bo restarts, ana says one thing more.
fn tame() -> (Trace, [MessageId; 3]) {
    let mut room = Room::new(7);
    room.world.loss(100);
    room.run_for(4_000);
    let private = room.world.tell("ana", "bo", "for you alone");
    let said = room.world.say("ana", "hello everybody");
    room.run_for(3_000);
    room.world.restart("bo", Unsynced::Lose);
    room.run_for(3_000);
    let last = room.world.say("ana", "and good night");
    room.run_for(1_000);
    room.settle();
    (room.trace, [private, said, last])
}

#[test]
fn whatever_happens_in_a_room_all_checks_hold() {
    for seed in 1..=40 {
        wild(seed);
    }
}

#[test]
fn a_run_that_was_kept_passes_again() {
    let (trace, _) = tame();
    let read = |line: &Line| serde_json::from_str(&serde_json::to_string(line).unwrap()).unwrap();
    let again: Trace = trace.iter().map(read).collect();
    assert!(check_trace(&again).is_empty());
    let whole = |line: &Line| serde_json::to_string(line).unwrap();
    assert!(again.iter().map(whole).eq(trace.iter().map(whole)), "nothing but the bytes on the wire is left out");
}

#[test]
fn a_receipt_sent_before_the_commit_is_found() {
    let (trace, [private, said, _]) = tame();
    let trace = without_datagrams(&trace);
    for message in [private, said] {
        // The commit comes after the receipt, and before its author hears of it: all but the order is as it was.
        let mut changed = trace.clone();
        let receipt = place(&changed, |line| sends_receipt(line, "bo", message));
        let commit = place(&changed, |line| stores(line, "bo", message));
        assert!(commit < receipt);
        let line = changed.remove(commit);
        changed.insert(receipt, line);
        assert_eq!(found(&trace, &renumbered(changed)), [Check::Delivered]);

        // There is no commit at all: the disk was full, and the receipt went out.
        let mut changed = trace.clone();
        changed.retain(|line| !stores(line, "bo", message) && !sends_receipt(line, "bo", message));
        let is_delivered = |kind: &EventKind| matches!(kind, EventKind::Delivery { id, delivery, .. } if *id == message && delivery.outcome == Outcome::Delivered);
        assert!(changed.iter().any(|line| tells(line, "ana", is_delivered)));
        assert!(found(&trace, &renumbered(changed)).contains(&Check::Delivered));
    }
}

#[test]
fn dedup_forgotten_at_a_restart_is_found() {
    let (trace, [private, said, _]) = tame();
    for message in [private, said] {
        let mut changed = trace.clone();
        let commit = changed[place(&trace, |line| stores(line, "bo", message))].clone();
        let shown = changed[place(&trace, |line| shows(line, "bo", message))].clone();
        changed.extend([commit, shown]);
        assert!(found(&trace, &changed).contains(&Check::ShownOnce));
    }
}

#[test]
fn a_gap_that_is_not_shown_is_found() {
    let mut room = Room::new(3);
    room.run_for(4_000);
    room.world.say("ana", "heard by all");
    room.run_for(2_000);
    for other in ["bo", "cy", "dee"] {
        room.world.cut("ana", other);
    }
    room.world.say("ana", "heard by none");
    room.run_for(2_500);
    room.world.heal();
    let last = room.world.say("ana", "her last words");
    room.run_for(8);
    room.world.crash("ana", Unsynced::Keep);
    room.run_for(20_000);
    let trace = room.trace;
    let is_gap = |kind: &EventKind| matches!(kind, EventKind::Gap(_));
    assert!(trace.iter().any(|line| tells(line, "bo", is_gap) && !shows(line, "bo", last)), "there is a gap");
    let mut changed = without_datagrams(&trace);
    changed.retain(|line| !tells(line, "bo", is_gap));
    assert_eq!(found(&trace, &renumbered(changed)), [Check::InOrder]);
}

/// The datagram of an older run that arrived at bo after it knew the newer one: its line, and what its header says.
fn stale_arrival(trace: &[Line], ana: folkmoot::base::MemberId) -> Option<(u64, Cause)> {
    let restarted = trace.iter().filter(|line| line.node.as_deref() == Some("ana"));
    let restarted = restarted.filter(|line| matches!(line.what, What::Started { .. })).nth(1)?;
    let What::Started { run: Some(run), .. } = restarted.what else { return None };
    let knows = |kind: &EventKind| matches!(kind, EventKind::Member { id, incarnation, .. } if *id == ana && *incarnation == run.incarnation);
    let known = place(trace, |line| tells(line, "bo", knows));
    trace[known..].iter().find_map(|line| {
        let What::Arrived { datagram, .. } = line.what else { return None };
        let sent = &trace[usize::try_from(datagram).ok()? - 1];
        let What::Sent { wire: Some(wire), .. } = &sent.what else { return None };
        let is_old = sent.n < restarted.n && sent.node.as_deref() == Some("ana") && wire[0] == 4;
        (line.node.as_deref() == Some("bo") && is_old).then(|| {
            let session = u32::from_be_bytes(*wire[1..].first_chunk().expect("a header"));
            let counter = u64::from_be_bytes(*wire[5..].first_chunk().expect("a header"));
            (line.n, Cause::Datagram { peer: ana, session, counter })
        })
    })
}

#[test]
fn an_old_incarnation_that_is_accepted_is_found() {
    let mut room = Room::new(5);
    room.run_for(4_000);
    let slow = Fault::Delay { by: Duration::from_secs(2), jitter: Duration::ZERO };
    let slow = Rule { from: Ends::Any, to: Ends::Any, fault: slow };
    room.world.put_on(&slow).unwrap();
    let told = room.world.tell("ana", "bo", "said in another life");
    room.run_for(500);
    room.world.take_off(&slow);
    // What was under way is still under way when ana is back.
    room.world.restart("ana", Unsynced::Keep);
    room.run_for(5_000);
    let ana = room.world.id("ana");
    let trace = room.trace;
    let (arrived, cause) = stale_arrival(&trace, ana).expect("something of the older run came late");
    let sample = trace.iter().find_map(|line| match &line.what {
        What::Told { event } => match &event.kind {
            EventKind::Message(message) if message.id == told => Some(Message::clone(message)),
            _ => None,
        },
        _ => None,
    });
    let message = sample.expect("ana showed what she said");
    // The retry of ana's next process did not come, so bo takes the old one where the node that ships counted it as stale.
    let is_delivered = |kind: &EventKind| matches!(kind, EventKind::Delivery { id, .. } if *id == told);
    let is_retry = |line: &Line| {
        stores(line, "bo", told)
            || shows(line, "bo", told)
            || sends_receipt(line, "bo", told)
            || tells(line, "ana", is_delivered)
    };
    let mut changed = trace.clone();
    changed.retain(|line| line.n <= arrived && !is_retry(line));
    let line = changed.last().unwrap().clone();
    let kept = Kept {
        id: told,
        kind: message.kind,
        author: ana,
        incarnation: message.incarnation,
        seq: message.seq,
        is_own: false,
    };
    let at = line.at;
    let wall = changed.iter().rev().find_map(|line| match &line.what {
        What::Told { event } => Some(event.at),
        _ => None,
    });
    let event = Event { n: 999, at: wall.unwrap(), cause: Some(cause), kind: EventKind::Message(message) };
    let stored = What::Stored { records: 1, kept: vec![kept], noted: Vec::new() };
    for what in [stored, What::Told { event: Box::new(event) }] {
        let n = changed.last().unwrap().n + 1;
        changed.push(Line { n, at, node: Some("bo".into()), cause: Some(arrived), what });
    }
    assert_eq!(found(&trace, &changed), [Check::Evidence]);
}
