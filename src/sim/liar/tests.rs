//! What each lie makes of the others: what is counted, what is shown, and what the trace says of it.

use std::time::Duration;

use super::{Flood, Forgery, Lie, Lied, Slander};
use crate::base::{MemberId, MessageId, Presence};
use crate::check::{Line, Name, What, check_trace};
use crate::node::api::{EventKind, EvidenceKind, Outcome};
use crate::sim::{Options, Unsynced, World};
use crate::wire::FrameKind;

const HONEST: [&str; 3] = ["ana", "bo", "cy"];

fn room(seed: u64) -> World {
    let options = Options { is_traced: true, ..Options::new(seed) };
    let mut world = World::with(options).members(["ana", "bo", "cy", "mallory"]);
    world.run_for(Duration::from_secs(2));
    world
}

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|&name| name.into()).collect()
}

fn lie(world: &mut World, lie: &Lie) -> Lied {
    world.lie("mallory", lie).expect("it can lie so")
}

fn forge(world: &mut World, to: &[&str], forgery: Forgery) -> Lied {
    lie(world, &Lie::Forge { to: names(to), forgery })
}

fn counter(world: &World, name: &str, counter: &str) -> u64 {
    world.status(name).counters[counter]
}

fn lines(world: &mut World) -> Vec<Line> {
    std::iter::from_fn(|| world.poll_line()).collect()
}

/// No check complains of anything.
fn assert_holds(world: &mut World) {
    assert_eq!(check_trace(&lines(world)), []);
}

#[test]
fn what_is_signed_by_another_is_nobodys_word() {
    let mut world = room(1);
    let said = world.say("ana", "the gate opens at nine");
    world.run_for(Duration::from_secs(1));
    let (author, text) = (Name::from("ana"), "the gate opens at ten".to_owned());
    forge(&mut world, &["bo", "cy"], Forgery::Message { author: author.clone(), text: text.clone() });
    forge(&mut world, &["bo", "cy"], Forgery::Changed { of: said, text: text.clone() });
    world.run_for(Duration::from_secs(5));
    for name in ["bo", "cy"] {
        assert_eq!(world.screen(name), ["ana: the gate opens at nine"]);
        assert_eq!(counter(&world, name, "messages_forged"), 2);
    }
    let strange = counter(&world, "bo", "messaging_frames_strange");
    forge(&mut world, &["bo"], Forgery::Private { author, text });
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.screen("bo").len(), 1);
    assert_eq!(counter(&world, "bo", "messaging_frames_strange"), strange + 1);
    assert_holds(&mut world);
}

#[test]
fn a_receipt_that_another_signed_delivers_nothing() {
    let mut world = room(2);
    world.cut("ana", "bo");
    let (to_room, to_bo) = (world.say("ana", "hear ye"), world.tell("ana", "bo", "psst"));
    world.run_for(Duration::from_millis(100));
    for of in [to_room, to_bo] {
        forge(&mut world, &["ana"], Forgery::Receipt { by: "bo".into(), of });
    }
    world.run_for(Duration::from_secs(1));
    assert_eq!(counter(&world, "ana", "messages_forged"), 2);
    assert_ne!(world.outcome("ana", to_bo, "bo"), Some(Outcome::Delivered));
    assert_holds(&mut world);
}

#[test]
fn two_messages_under_one_number_are_shown_to_all_with_a_warning() {
    let mut world = room(3);
    world.say("mallory", "good morning");
    world.run_for(Duration::from_secs(1));
    let (to, texts) = (["ana".into(), "bo".into()], ["yes".to_owned(), "no".to_owned()]);
    let lied = lie(&mut world, &Lie::Equivocate { to, texts });
    let [yes, no] = [0, 1].map(|at| lied.messages[at].id);
    assert!(world.run_until(Duration::from_secs(60), |world| {
        HONEST.iter().all(|name| [yes, no].iter().all(|&id| world.why(name, id).is_some()))
    }));
    world.run_for(Duration::from_secs(5));
    for name in HONEST {
        let mut screen = world.screen(name);
        screen.sort();
        assert_eq!(screen, ["mallory: good morning", "mallory: no", "mallory: yes"], "{name}");
        assert_eq!(world.why(name, yes).expect("held").rivals, [no], "{name}");
        let alarms = world.told(name).iter().filter(|event| matches!(event.kind, EventKind::Alarm { .. }));
        assert_eq!(alarms.count(), 1, "{name}");
    }
    assert_holds(&mut world);
}

#[test]
fn what_nobody_signed_is_asked_for_and_then_no_more() {
    let mut world = room(4);
    world.say("bo", "one");
    world.run_for(Duration::from_secs(1));
    for of in ["bo", "cy", "mallory"] {
        lie(&mut world, &Lie::Boast { to: names(&["ana"]), of: of.into(), more: 1_000 });
    }
    world.run_for(Duration::from_secs(30));
    let pulls = counter(&world, "ana", "recovery_pulls");
    assert!((3..20).contains(&pulls), "{pulls}");
    world.run_for(Duration::from_secs(600));
    assert_eq!(counter(&world, "ana", "recovery_pulls"), pulls);
    assert_eq!((counter(&world, "ana", "offers_used"), world.gaps("ana")), (0, vec![]));
    assert_holds(&mut world);
}

#[test]
fn what_is_said_of_a_member_that_others_hear_makes_it_neither_gone_nor_new() {
    let mut world = room(20);
    let run = world.view("bo", "cy").expect("known").incarnation;
    for _ in 0..10 {
        for forgery in [Forgery::Leave { of: "cy".into() }, Forgery::Card { of: "cy".into() }] {
            forge(&mut world, &["ana", "bo"], forgery);
        }
        let by = Name::from("ana");
        for slander in [Slander::Report, Slander::Relayed { by: by.clone() }, Slander::Verdict { with: by }] {
            lie(&mut world, &Lie::Slander { to: names(&["ana", "bo"]), of: "cy".into(), slander });
        }
        world.run_for(Duration::from_millis(700));
        for name in ["ana", "bo"] {
            assert!(matches!(world.presence(name, "cy"), Some(Presence::Alive | Presence::Suspect)), "{name}");
        }
    }
    world.run_for(Duration::from_secs(5));
    for name in ["ana", "bo"] {
        assert_eq!(world.presence(name, "cy"), Some(Presence::Alive));
        assert_eq!(world.view(name, "cy").expect("known").incarnation, run);
    }
    assert_holds(&mut world);
}

#[test]
fn whom_a_liar_alone_vouches_for_is_alive_on_its_word_and_no_longer() {
    let mut world = room(21);
    world.crash("bo", Unsynced::Keep);
    for _ in 0..20 {
        lie(&mut world, &Lie::Vouch { to: names(&["ana", "cy"]), of: "bo".into(), ahead: 0 });
        world.run_for(Duration::from_millis(500));
    }
    let view = world.view("ana", "bo").expect("known");
    assert_eq!((view.state, view.degraded), (Presence::Alive, true));
    assert_eq!((view.evidence[0].kind, &*view.evidence[0].nick), (EvidenceKind::Contradiction, "mallory"));
    lie(&mut world, &Lie::Vouch { to: names(&["ana", "cy"]), of: "bo".into(), ahead: 1 << 30 });
    world.run_for(Duration::from_secs(30));
    for name in ["ana", "cy"] {
        assert_eq!(world.presence(name, "bo"), Some(Presence::Unreachable), "{name}");
    }
    assert_holds(&mut world);
}

#[test]
fn what_is_replayed_is_counted_and_does_nothing() {
    let mut world = room(5);
    lie(&mut world, &Lie::Listen { from: Some("ana".into()), to: None });
    world.say("ana", "once");
    world.tell("ana", "bo", "to you alone");
    world.run_for(Duration::from_secs(3));
    let before: Vec<u64> = HONEST.iter().map(|name| counter(&world, name, "replayed")).collect();
    let told: Vec<usize> = HONEST.iter().map(|name| world.told(name).len()).collect();
    let again = lie(&mut world, &Lie::Replay { from: Some("ana".into()), to: None, last: None }).replayed;
    assert!(again > 10, "{again}");
    world.run_for(Duration::from_millis(100));
    let replayed = |world: &World, at: usize| counter(world, HONEST[at], "replayed") - before[at];
    let to_mallory = counter(&world, "mallory", "replayed");
    let total = replayed(&world, 0) + replayed(&world, 1) + replayed(&world, 2) + to_mallory;
    assert_eq!(usize::try_from(total).unwrap(), again);
    for (name, told) in HONEST.iter().zip(told) {
        assert_eq!(world.told(name).len(), told, "{name} tells nothing more");
    }
    // The newest of them alone.
    assert_eq!(lie(&mut world, &Lie::Replay { from: None, to: Some("bo".into()), last: Some(3) }).replayed, 3);
    assert_holds(&mut world);
}

#[test]
fn whatever_the_flood_the_others_hear_each_other() {
    for (with, seed) in Flood::ALL.into_iter().zip(10..) {
        let mut world = room(seed);
        for _ in 0..50 {
            lie(&mut world, &Lie::Flood { to: names(&HONEST), with, count: 40 });
            world.run_for(Duration::from_millis(50));
        }
        let said = world.say("ana", "still here");
        let told = world.tell("bo", "cy", "and here");
        world.run_for(Duration::from_secs(10));
        for name in ["bo", "cy"] {
            assert!(world.screen(name).contains(&"ana: still here".to_owned()), "{with:?}: {name}");
            assert_eq!(world.outcome("ana", said, name), Some(Outcome::Delivered), "{with:?}");
        }
        assert_eq!(world.outcome("bo", told, "cy"), Some(Outcome::Delivered), "{with:?}");
        for name in HONEST {
            for other in HONEST {
                assert_eq!(world.presence(name, other), Some(Presence::Alive), "{with:?}: {name} holds {other}");
            }
            let status = world.status(name);
            for (limit, most) in &status.limits {
                if let Some(used) = status.counters.get(&format!("{limit}_used")) {
                    assert!(used <= most, "{with:?}: {name} holds {used} of {limit}");
                }
            }
        }
        assert_holds(&mut world);
    }
}

#[test]
fn a_lie_stands_in_the_trace_before_what_it_sends_and_the_liar_before_its_first() {
    let mut world = room(6);
    for text in ["one", "two"] {
        forge(&mut world, &["bo"], Forgery::Message { author: "ana".into(), text: text.into() });
    }
    let mallory: MemberId = world.id("mallory");
    let lines = lines(&mut world);
    let dishonest: Vec<&Line> = lines.iter().filter(|line| matches!(line.what, What::Dishonest { .. })).collect();
    assert!(matches!(dishonest[..], [Line { what: What::Dishonest { member }, .. }] if *member == mallory));
    let lies: Vec<&Line> = lines.iter().filter(|line| matches!(line.what, What::Lied { .. })).collect();
    assert_eq!(lies.len(), 2);
    assert!(dishonest[0].n < lies[0].n);
    for lied in lies {
        let sent = lines.iter().filter(|line| line.cause == Some(lied.n));
        let carries_it = |line: &&Line| match &line.what {
            What::Sent { labels, .. } => labels.iter().any(|label| label.frame == FrameKind::Group),
            _ => false,
        };
        assert_eq!(sent.filter(carries_it).count(), 1);
    }
}

#[test]
fn the_same_lies_are_the_same_run_whether_lines_are_made_or_not() {
    let hash = |is_traced| {
        let options = Options { is_traced, ..Options::new(7) };
        let mut world = World::with(options).members(["ana", "bo", "mallory"]);
        world.run_for(Duration::from_secs(2));
        for with in Flood::ALL {
            lie(&mut world, &Lie::Flood { to: names(&["ana", "bo"]), with, count: 3 });
        }
        world.run_for(Duration::from_secs(1));
        world.trace_hash()
    };
    assert_eq!(hash(true), hash(false));
    assert_eq!(hash(true), hash(true));
}

#[test]
fn who_cannot_lie_so_says_why_and_sends_nothing() {
    let mut world = room(8);
    let of = MessageId([9; 32]);
    let changed = Lie::Forge { to: names(&["bo"]), forgery: Forgery::Changed { of, text: "x".into() } };
    let sent = world.datagrams();
    assert_eq!(world.lie("mallory", &changed), Err("it does not hold that message of the room".to_owned()));
    let receipt = Lie::Forge { to: names(&["ana"]), forgery: Forgery::Receipt { by: "bo".into(), of } };
    assert_eq!(world.lie("mallory", &receipt), Err("ana does not hold that message".to_owned()));
    let nobody = Lie::Boast { to: names(&["dee"]), of: "ana".into(), more: 1 };
    assert_eq!(world.lie("mallory", &nobody), Err("there is no node named dee".to_owned()));
    assert_eq!(world.datagrams(), sent);
    world.add("eve");
    world.start("eve");
    let early = Lie::Flood { to: names(&["ana"]), with: Flood::Frames, count: 1 };
    assert_eq!(world.lie("eve", &early), Err("eve has no session with ana to lie to it over".to_owned()));
}
