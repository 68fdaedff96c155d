//! What the simulator promises to stories and checks: truthful lines with truthful causes, the same twice, and
//! machines that fail as real ones do.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{Death, Options, Suite, Unsynced, World};
use crate::base::{MessageId, Presence};
use crate::check::{DropReason, Ended, Line, LineNumber, What};
use crate::node::Record;
use crate::node::api::{EventKind, MessageKind, Outcome};
use crate::store::{self, History, Home, Room, Writer};
use crate::wire::FrameKind;
use crate::{membership, messaging};

mod standstill;

fn traced(seed: u64) -> World {
    World::with(Options { is_traced: true, ..Options::new(seed) })
}

fn lines(world: &mut World) -> Vec<Line> {
    std::iter::from_fn(|| world.poll_line()).collect()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// So many machines whose homes know each other, in the plain suite; nothing runs yet.
fn acquainted(seed: u64, size: usize) -> (World, Vec<String>) {
    let mut world = World::with(Options { suite: Suite::Plain, ..Options::new(seed) });
    let names: Vec<String> = (0..size).map(|number| format!("n{number}")).collect();
    for name in &names {
        world.add(name);
    }
    world.acquaint();
    (world, names)
}

/// A room through much of what can happen to one.
fn eventful(seed: u64) -> World {
    let mut world = traced(seed).members(["ana", "bo", "cy"]);
    world.loss(100);
    world.duplicate(200);
    world.say("ana", "hello");
    world.tell("bo", "cy", "psst");
    world.pause("cy");
    world.run_for(seconds(5));
    world.crash("bo", Unsynced::Torn);
    world.resume("cy");
    world.fault("ana", "loss=50%").expect("a spec");
    world.disk_full("cy", true);
    world.tell("ana", "cy", "no room for this");
    world.run_for(seconds(5));
    world.disk_full("cy", false);
    world.start("bo");
    world.run_for(seconds(20));
    world.leave("cy");
    world.run_for(seconds(5));
    world
}

#[test]
fn the_same_seed_gives_the_same_lines_and_the_same_hash() {
    let (mut one, mut other) = (eventful(5), eventful(5));
    assert_eq!(one.trace_hash(), other.trace_hash());
    assert_eq!(lines(&mut one), lines(&mut other));
    assert_ne!(one.trace_hash(), eventful(6).trace_hash());
}

#[test]
fn whatever_is_done_to_the_world_is_in_its_hash() {
    type Act = fn(&mut World);
    let acts: [(&str, Act); 15] = [
        ("nothing", |_| {}),
        ("a rule", |world| world.loss(50)),
        ("another rule", |world| world.loss(60)),
        ("a cut", |world| world.cut("ana", "bo")),
        ("a stall", |world| world.stall("ana", Duration::from_millis(5))),
        ("a jump", |world| world.clock_jump("ana", 5)),
        ("a drift", |world| world.clock_drift("ana", 5)),
        ("a full disk", |world| world.disk_full("ana", true)),
        ("a slow disk", |world| world.disk_latency("ana", Duration::from_millis(5))),
        ("a snapshot", |world| world.snapshot("ana", "then")),
        ("an end to come", |world| world.crash_at_commit("ana", Death::BeforeCommit)),
        ("a pause", |world| world.pause("ana")),
        ("an end", |world| world.crash("ana", Unsynced::Keep)),
        ("a fault of its own", |world| world.fault("ana", "loss=50%").expect("a spec")),
        ("a step", |world| {
            world.note(None, None, What::Step { text: "as expected".into(), line: None });
        }),
    ];
    let mut seen: BTreeMap<[u8; 32], &str> = BTreeMap::new();
    for (name, act) in acts {
        let after = |is_traced| {
            let mut world = World::with(Options { is_traced, ..Options::new(3) });
            for node in ["ana", "bo"] {
                world.add(node);
                world.start(node);
            }
            world.run_for(seconds(1));
            act(&mut world);
            world.trace_hash()
        };
        let hash = after(false);
        assert_eq!(hash, after(true), "{name}: lines change nothing");
        let other = seen.insert(hash, name);
        assert_eq!(other, None, "{name} leaves the same hash");
    }
}

#[test]
fn lines_are_numbered_and_causes_are_earlier_lines_of_the_right_kind() {
    let mut world = eventful(7);
    let lines = lines(&mut world);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line.n, LineNumber::try_from(index).unwrap() + 1);
        let cause = line.cause.map(|cause| {
            assert!(cause < line.n);
            &lines[usize::try_from(cause).unwrap() - 1]
        });
        assert!(cause.is_none_or(|cause| cause.at <= line.at));
        match &line.what {
            What::Arrived { datagram, .. } => {
                let sent = cause.expect("what arrives was sent");
                assert_eq!(sent.n, *datagram);
                assert!(matches!(&sent.what, What::Sent { to, .. } if *to == line.node));
                *kinds.entry("arrived").or_default() += 1;
            }
            What::Dropped { datagram, why } => {
                let sent = &lines[usize::try_from(*datagram).unwrap() - 1];
                assert!(matches!(sent.what, What::Sent { .. }));
                let kind = if *why == DropReason::Node { "dropped by node" } else { "dropped" };
                *kinds.entry(kind).or_default() += 1;
            }
            What::Sent { .. } | What::Stored { .. } | What::Told { .. } => {
                let same = cause.is_none_or(|cause| cause.node == line.node);
                assert!(same, "what a node does is caused on its own machine: {line:?}");
                *kinds.entry("done").or_default() += 1;
            }
            What::NotStored { .. } => *kinds.entry("not stored").or_default() += 1,
            What::Ended { how } => {
                assert!(matches!(how, Ended::Left | Ended::CrashedUnsyncedTorn));
                *kinds.entry("ended").or_default() += 1;
            }
            What::Paused | What::Resumed { .. } => *kinds.entry("paused").or_default() += 1,
            _ => {}
        }
    }
    let expected = ["arrived", "done", "dropped", "dropped by node", "ended", "not stored", "paused"];
    assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), expected);
    assert_eq!((kinds["ended"], kinds["paused"]), (2, 2));
}

#[test]
fn a_delivery_is_traced_back_through_both_disks_to_the_command() {
    let mut world = traced(3).members(["ana", "bo"]);
    let message = world.tell("ana", "bo", "did you get this?");
    world.run_for(seconds(2));
    let lines = lines(&mut world);
    let delivered = lines.iter().find(|line| match &line.what {
        What::Told { event } => matches!(&event.kind, EventKind::Delivery { id, delivery, .. }
            if *id == message && delivery.outcome == Outcome::Delivered),
        _ => false,
    });
    let mut past = Vec::new();
    let mut next = delivered;
    while let Some(line) = next {
        past.push(describe(line, message));
        next = line.cause.map(|cause| &lines[usize::try_from(cause).unwrap() - 1]);
    }
    let expected = [
        "ana told",
        "ana arrived",
        "bo sent Receipt",
        "bo stored it",
        "bo arrived",
        "ana sent Private",
        "ana stored it",
        "ana accepted it",
    ];
    assert_eq!(past, expected);
}

fn describe(line: &Line, message: MessageId) -> String {
    let what = match &line.what {
        What::Told { .. } => "told".to_owned(),
        What::Arrived { .. } => "arrived".to_owned(),
        What::Sent { labels, .. } => {
            let frame = labels.iter().find(|label| matches!(label.frame, FrameKind::Receipt | FrameKind::Private));
            format!("sent {:?}", frame.expect("a receipt, or the message").frame)
        }
        What::Stored { kept, .. } if kept.iter().any(|kept| kept.id == message) => "stored it".to_owned(),
        What::Stored { .. } => "stored".to_owned(),
        What::Accepted { id, .. } if *id == message => "accepted it".to_owned(),
        other => format!("{other:?}"),
    };
    format!("{} {what}", line.node.as_deref().unwrap_or("nobody"))
}

#[test]
fn what_reached_the_disk_of_a_crash_is_a_line_before_its_end() {
    for (death, is_kept) in [(Death::BeforeCommit, false), (Death::BeforeReport, true), (Death::AfterReport, true)] {
        let mut world = traced(4).members(["ana", "bo"]);
        let message = world.tell("ana", "bo", "did you get this?");
        world.crash_at_commit("bo", death);
        world.run_for(seconds(2));
        assert!(!world.is_running("bo"), "{death:?}");
        assert_ne!(world.outcome("ana", message, "bo"), Some(Outcome::Delivered), "nothing that it claimed left");
        assert_eq!(world.log("bo").len(), usize::from(is_kept), "{death:?}");
        let lines = lines(&mut world);
        let stored = lines.iter().position(|line| {
            line.node.as_deref() == Some("bo")
                && matches!(&line.what, What::Stored { kept, .. } if kept.iter().any(|kept| kept.id == message))
        });
        let ended = lines.iter().position(|line| matches!(line.what, What::Ended { .. })).expect("it ended");
        assert_eq!(stored.is_some_and(|stored| stored < ended), is_kept, "{death:?}");
        world.start("bo");
        assert!(
            world.run_until(seconds(30), |world| { world.outcome("ana", message, "bo") == Some(Outcome::Delivered) })
        );
    }
}

#[test]
fn a_home_that_goes_back_or_is_copied_begins_an_epoch() {
    let mut world = traced(8).members(["ana", "bo", "cy"]);
    world.snapshot("bo", "early");
    world.say("bo", "forgotten later");
    world.run_for(seconds(2));
    assert_eq!(world.log("bo").len(), 1);
    world.crash("bo", Unsynced::Keep);
    assert!(!world.roll_back("bo", "late"));
    assert!(world.roll_back("bo", "early"));
    assert!(world.log("bo").is_empty());
    world.crash("cy", Unsynced::Keep);
    world.copy_home("cy", "ana");
    assert_eq!(world.id("cy"), world.id("ana"));
    assert_eq!(world.log("cy"), world.log("ana"));
    lines(&mut world);
    world.start("bo");
    world.start("cy");
    let epochs: Vec<u32> = lines(&mut world)
        .iter()
        .filter_map(|line| if let What::Started { epoch, .. } = line.what { Some(epoch) } else { None })
        .collect();
    assert_eq!(epochs, [1, 1]);
    world.run_for(seconds(10));
    let warned = |name: &str| world.told(name).iter().any(|event| matches!(event.kind, EventKind::Alarm { .. }));
    assert!(warned("ana") || warned("cy"), "two processes with one home are told");
    let is_silent = |name: &str| world.status(name).node.silent_since.is_some();
    assert!(is_silent("ana") != is_silent("cy"), "one falls silent, and says so");
}

#[test]
fn a_room_in_the_plain_suite_keeps_its_promises_and_shows_no_wire_to_the_checks() {
    let mut world = World::with(Options { suite: Suite::Plain, is_traced: true, ..Options::new(11) });
    for name in ["ana", "bo", "cy"] {
        world.add(name);
        world.start(name);
    }
    assert!(world.run_until(seconds(10), World::converged));
    world.loss(200);
    let hello = world.say("ana", "hello");
    world.restart("bo", Unsynced::Lose);
    assert!(world.run_until(seconds(30), |world| {
        ["bo", "cy"].iter().all(|name| world.outcome("ana", hello, name) == Some(Outcome::Delivered))
    }));
    assert!(lines(&mut world).iter().all(|line| !matches!(&line.what, What::Sent { wire: Some(_), .. })));
}

#[test]
fn clocks_that_drift_and_jump_and_loops_that_are_late_accuse_nobody() {
    let mut world = World::new(9).members(["ana", "bo", "cy"]);
    world.clock_drift("bo", 200);
    world.clock_jump("cy", -3_600_000);
    world.stall("ana", Duration::from_millis(300));
    world.run_for(seconds(120));
    for name in ["ana", "bo", "cy"] {
        let accused = world.told(name).iter().any(|event| {
            matches!(event.kind, EventKind::Member { state: Presence::Suspect | Presence::Unreachable, .. })
        });
        assert!(!accused, "{name} accused somebody");
    }
    assert!(world.converged());
    world.stall("ana", Duration::ZERO);
    world.say("cy", "an hour late");
    world.run_for(seconds(2));
    assert_eq!(world.screen("ana"), ["cy: an hour late"]);
}

#[test]
fn a_loop_that_is_late_no_more_takes_in_first_what_waited_for_it() {
    let mut world = World::with(Options { is_traced: true, ..Options::new(9) }).members(["ana", "bo"]);
    world.delay(Duration::from_millis(10), Duration::ZERO);
    lines(&mut world);
    world.stall("bo", Duration::from_millis(300));
    for text in ["one", "two", "three"] {
        world.say("ana", text);
        world.run_for(Duration::from_millis(50));
    }
    world.stall("bo", Duration::ZERO);
    world.say("ana", "four");
    world.run_for(seconds(1));
    let arrived: Vec<_> = lines(&mut world)
        .into_iter()
        .filter(|line| line.node.as_deref() == Some("bo") && matches!(line.what, What::Arrived { .. }))
        .map(|line| line.cause)
        .collect();
    assert!(arrived.len() >= 4 && arrived.is_sorted(), "the links neither lose nor reorder: {arrived:?}");
}

#[test]
fn the_log_of_a_simulated_disk_is_what_a_real_one_says() {
    let mut world = World::new(10).members(["ana", "bo", "cy"]);
    world.crash("bo", Unsynced::Keep);
    for text in ["one", "two", "three"] {
        world.say("ana", text);
        world.tell("cy", "ana", text);
    }
    world.run_for(seconds(3));
    world.start("bo");
    world.run_for(seconds(20));
    for name in ["ana", "bo"] {
        let simulated = world.log(name);
        assert!(simulated.len() >= 3);
        let (_dir, history, _) = on_a_real_disk(&world, name);
        let mut real = history.log(100).unwrap();
        for message in real.iter_mut().filter(|message| message.from == world.id(name)) {
            name.clone_into(&mut message.nick);
        }
        assert_eq!(simulated, real, "{name}");
    }
}

#[test]
fn what_a_simulated_disk_tells_of_a_message_is_what_a_real_one_does() {
    let mut world = World::new(11).members(["ana", "bo", "cy"]);
    let mut said = vec![world.tell("ana", "bo", "one"), world.say("ana", "two"), world.tell("cy", "ana", "three")];
    world.run_for(seconds(1));
    world.crash("bo", Unsynced::Keep);
    said.push(world.tell("ana", "bo", "four"));
    said.push(world.say("ana", "five"));
    world.run_for(seconds(20));
    said.push(world.tell("ana", "bo", "six"));
    world.disk_full("cy", true);
    said.push(world.tell("ana", "cy", "seven"));
    said.push(world.say("ana", "eight"));
    world.run_for(seconds(2));
    let outcomes: Vec<Outcome> =
        said.iter().filter_map(|&id| world.delivery("ana", id, "bo")).map(|it| it.delivery.outcome).collect();
    assert_eq!(
        outcomes,
        [
            Outcome::Delivered,
            Outcome::Delivered,
            Outcome::Unknown,
            Outcome::Unknown,
            Outcome::Waiting,
            Outcome::Waiting
        ],
        "each is told in another way"
    );
    assert_eq!(world.outcome("ana", said[6], "cy"), Some(Outcome::Refused));
    world.leave("cy");
    world.run_for(seconds(2));
    said.push(world.say("ana", "nine"));
    world.disk_full("cy", false);
    world.start("cy");
    world.run_for(seconds(20));
    let came_later = "whether cy has it, who was not known to be in the room when it was said";
    let why = world.why("ana", said[8]).expect("it is held");
    assert!(why.stored_since.is_empty() && why.not_known.iter().any(|said| said == came_later), "{:?}", why.not_known);
    said.push(world.say("ana", "ten"));
    world.run_for(seconds(2));
    let why = world.why("ana", said[8]).expect("it is held");
    assert_eq!(why.stored_since.iter().map(|stored| stored.member).collect::<Vec<_>>(), [world.id("cy")]);
    assert!(!why.not_known.iter().any(|said| said == came_later), "{:?}", why.not_known);
    let home = &world.machines[world.index("ana")].home;
    let mut records: Vec<_> = home.disk.durable().map(Cow::into_owned).collect();
    for is_pruned in [false, true] {
        let (_dir, history, ended) = with_records("ana", &records);
        assert_eq!(super::ended::ended(records.iter(), home.id), ended);
        assert!(ended.delivered > 0 && (ended.expired > 0) == is_pruned, "{ended:?}");
        for &id in &said {
            let simulated = super::why::why(records.iter(), home.id, &home.nick, id).unwrap();
            let mut real = history.why(id).unwrap().unwrap();
            // The real home has an identity of its own.
            if real.from == home.id {
                "ana".clone_into(&mut real.nick);
            }
            real.say_what_is_not_known(home.id);
            assert_eq!(simulated, real);
            let waits = simulated.deliveries.iter().any(|of| of.delivery.outcome == Outcome::Waiting);
            assert!(!waits || !is_pruned || simulated.kind == MessageKind::Private, "what is pruned waits for nobody");
        }
        let run = records.iter().rev().find_map(|record| match record {
            Record::Membership(membership::Record::Run(run)) => Some(*run),
            Record::Membership(_) | Record::Messaging(_) => None,
        });
        let (author, run, chain) = (home.id, run.unwrap(), messaging::Chain::default());
        records.push(Record::Messaging(messaging::Record::GroupPruned { author, run, upto: 99, chain, lamport: 99 }));
    }
}

#[test]
fn in_a_room_of_more_than_64_what_waits_goes_out_once_its_receiver_is_back() {
    let (mut world, names) = acquainted(13, 68);
    for name in &names {
        world.start(name);
        world.run_for(Duration::from_millis(15));
    }
    // Those who are not watched have no session after a silent minute.
    world.run_for(seconds(75));
    world.crash("n10", Unsynced::Keep);
    world.run_for(seconds(8));
    let said: Vec<_> =
        names[20..50].iter().map(|name| (name, world.tell(name, "n10", "while you were away"))).collect();
    world.run_for(seconds(2));
    let waits = |(name, id): &&(&String, MessageId)| world.outcome(name, *id, "n10") == Some(Outcome::Waiting);
    assert_eq!(said.iter().filter(waits).count(), said.len());
    world.start("n10");
    world.run_for(seconds(5));
    for (name, id) in said {
        assert_eq!(world.outcome(name, id, "n10"), Some(Outcome::Delivered), "{name}");
    }
    // Of a message to the room that its receiver holds, the receipt is asked for.
    let others = || names.iter().filter(|name| *name != "n0").cloned();
    for name in others().take(20) {
        world.crash_at_commit(&name, Death::AfterReport);
    }
    let id = world.say("n0", "who got this?");
    world.run_for(seconds(15));
    let died: Vec<_> = others().filter(|name| !world.is_running(name)).collect();
    for name in &died {
        world.start(name);
    }
    world.run_for(seconds(5));
    let is_unknown = |name: &&String| world.outcome("n0", id, name) == Some(Outcome::Unknown);
    assert!(died.iter().filter(is_unknown).count() > 5);
    world.run_for(seconds(150));
    for name in others() {
        assert_eq!(world.outcome("n0", id, &name), Some(Outcome::Delivered), "{name}");
    }
}

#[test]
fn who_comes_while_many_are_lost_sees_all_at_once() {
    for seed in 0..24 {
        let mut world = World::with(Options { suite: Suite::Plain, ..Options::new(seed) });
        let names: Vec<_> = (0..26).map(|n| format!("n{n}")).collect();
        for name in &names {
            world.add(name);
            world.start(name);
        }
        world.delay(Duration::from_millis(40), Duration::from_millis(4));
        assert!(world.run_until(seconds(20), World::converged), "seed {seed}");
        world.run_for(seconds(5) + Duration::from_millis(41 * seed));
        for name in &names[16..] {
            world.crash(name, Unsynced::Keep);
        }
        world.run_for(Duration::from_millis(3_200));
        world.add("newcomer");
        world.start("newcomer");
        let sees_all =
            |world: &World| names[..16].iter().all(|of| world.presence("newcomer", of) == Some(Presence::Alive));
        assert!(world.run_until(seconds(1), sees_all), "seed {seed}");
    }
}

#[test]
fn a_loop_that_is_late_all_the_time_still_notices_who_dies() {
    let mut world = World::new(14).members(["ana", "bo", "cy"]);
    world.stall("ana", Duration::from_millis(300));
    world.run_for(seconds(10));
    world.crash("bo", Unsynced::Keep);
    for _ in 0..200 {
        world.say("cy", "are you there?");
        world.run_for(Duration::from_millis(40));
    }
    assert_eq!(world.presence("ana", "bo"), Some(Presence::Unreachable));
}

#[test]
fn a_sender_that_restarts_still_knows_what_was_delivered() {
    let mut world = World::new(12).members(["ana", "bo"]);
    let id = world.tell("ana", "bo", "hello");
    world.run_for(seconds(1));
    let before = world.delivery("ana", id, "bo").unwrap();
    world.restart("ana", Unsynced::Keep);
    let after = world.delivery("ana", id, "bo").unwrap();
    assert_eq!((before.delivery.outcome, after.delivery.outcome), (Outcome::Delivered, Outcome::Delivered));
    assert_eq!(after.receipt.unwrap().at, before.receipt.unwrap().at);
}

/// The durable records of `name` in a home of the store's, and what it counts of those that were let go.
fn on_a_real_disk(world: &World, name: &str) -> (tempfile::TempDir, History, messaging::OutcomeCounts) {
    let records: Vec<_> = world.machines[world.index(name)].home.disk.durable().map(Cow::into_owned).collect();
    with_records(name, &records)
}

fn with_records(name: &str, records: &[Record]) -> (tempfile::TempDir, History, messaging::OutcomeCounts) {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = crate::base::Rng::from_seed([1; 32]);
    let room = Room::found("the moot", &mut rng);
    let home = Home::open(&dir.path().join("home"), name, room, &mut rng).unwrap();
    store::load(&home).unwrap();
    let writer = Writer::start(&home, Box::new(|| ())).unwrap();
    writer.submit(1, records.to_vec());
    assert_eq!(writer.close().len(), 1);
    let (_, ended) = store::load_with_ended(&home).unwrap();
    let history = History::open(&home).unwrap();
    (dir, history, ended.unwrap())
}

#[test]
fn a_room_whose_homes_know_each_other_comes_together_without_joining() {
    let (mut world, names) = acquainted(9, 40);
    for name in &names {
        world.start(name);
    }
    assert!(world.run_until(seconds(5), World::converged));
    let restarted =
        world.view("n1", "n2").expect("it is known").evidence.iter().any(|item| item.detail.contains("restarted"));
    assert!(!restarted, "the cards are those of the runs that began");
}

#[test]
fn a_node_tells_of_a_missing_message_who_was_asked_and_what_happens_next() {
    let mut world = World::new(13).members(["ana", "bo", "cy"]);
    world.delay(Duration::from_millis(25), Duration::ZERO);
    world.disk_full("bo", true);
    world.say("ana", "one");
    world.run_for(seconds(1));
    world.disk_full("bo", false);
    world.say("ana", "two");
    world.run_for(Duration::from_millis(70));
    world.disk_full("bo", true);
    world.run_for(seconds(10));
    let (bo, ana) = (world.machines[world.index("bo")].running(), world.id("ana"));
    let gaps = bo.gaps();
    assert_eq!(gaps.iter().map(|gap| (gap.first, gap.last)).collect::<Vec<_>>(), [(1, 1)]);
    let missing = bo.why_missing(ana, 1).expect("a gap names it");
    assert_eq!((missing.seq, &missing.gap), (1, &gaps[0]));
    assert!(!missing.gap.asked.is_empty() && missing.next.contains("asked for again"), "{missing:?}");
    assert_eq!((bo.why_missing(ana, 2), bo.why_missing(world.id("cy"), 1)), (None, None));
}

#[test]
fn a_node_says_what_holds_a_message_up_and_that_its_own_faults_may_have_dropped_it() {
    use crate::node::api::{HeldUp, OwnFaults};
    let mut world = World::new(14).members(["ana", "bo"]);
    world.fault("ana", "loss=100%").expect("a spec");
    let id = world.tell("ana", "bo", "psst");
    world.run_for(seconds(1));
    assert_eq!(world.why("ana", id).expect("it is held").own_faults, Some(OwnFaults::On));
    world.run_for(seconds(8));
    let evidence = world.delivery("ana", id, "bo").expect("it is held");
    assert_eq!(evidence.delivery.outcome, Outcome::Sending);
    world.fault("ana", "off").expect("a spec");
    world.run_for(seconds(70));
    let why = world.why("ana", id).expect("it is held");
    assert_eq!((why.own_faults, why.deliveries[0].held_up), (Some(OwnFaults::WereOn), None));
    let later = world.say("ana", "all is well");
    world.run_for(seconds(1));
    assert_eq!(world.why("ana", later).expect("it is held").own_faults, None);
    world.crash("bo", Unsynced::Keep);
    world.run_for(seconds(20));
    let waits = world.tell("ana", "bo", "are you there?");
    world.run_for(seconds(1));
    let evidence = world.delivery("ana", waits, "bo").expect("it is held");
    assert_eq!((evidence.delivery.outcome, evidence.held_up), (Outcome::Waiting, Some(HeldUp::NotHeard)));
}

#[test]
fn how_long_a_member_has_been_here_goes_by_no_clock_that_was_set() {
    const YEARS_MS: i64 = 10 * 365 * 86_400_000;
    let mut world = World::new(15).members(["ana", "bo"]);
    for jump in [YEARS_MS, -2 * YEARS_MS] {
        let since = |world: &World| world.view("ana", "bo").expect("it is here").since_ms_ago;
        let before = since(&world);
        world.clock_jump("ana", jump);
        world.run_for(seconds(7));
        assert_eq!(since(&world), before + 7_000);
        let why = world.why_member("ana", world.id("bo")).expect("it is here");
        assert_eq!(why.since_ms_ago, before + 7_000);
    }
}
