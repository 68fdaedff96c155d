//! What is promised of a room too large to send to each member directly: that what is flooded comes to everybody once and in
//! order, whoever on the way loses it, hides it or dies, and that what comes back is evidence or missing, never wrong.

use std::time::Duration;

use super::world::{MS, World, kind_of};
use crate::base::PerMille;
use crate::messaging::timers::Timer;
use crate::messaging::{Outcome, Way};
use crate::wire::MessagingFrame;

const SEC: Duration = Duration::from_secs(1);

fn lossy(seed: u64, members: usize, loss: u16) -> World {
    let mut world = World::large(seed, members);
    world.link.delay = MS * 20;
    world.link.jitter = MS * 10;
    world.link.loss = PerMille(loss);
    world.run_for(SEC * 2);
    world
}

fn names(world: &World) -> Vec<&'static str> {
    world.nodes.iter().map(|node| node.name).collect()
}

/// Those who have not shown all of `lines`, each author's in its order.
fn lacking(world: &World, lines: &[String]) -> Vec<&'static str> {
    let has_all = |name: &&'static str| {
        let mut screen = world.screen(name);
        let mut wanted = lines.to_vec();
        screen.sort();
        wanted.sort();
        screen == wanted
    };
    names(world).into_iter().filter(|name| !has_all(name)).collect()
}

fn count(world: &World, from: &str, id: crate::base::MessageId, outcome: Outcome) -> usize {
    let known = world.machine(from).message(id).expect("it is known");
    known.deliveries.values().filter(|delivery| delivery.outcome == outcome).count()
}

#[test]
fn a_lossy_room_of_80_shows_everything_everywhere_once_and_in_order_and_each_receipt_comes_back() {
    for seed in 1..=2 {
        let mut world = lossy(seed, 80, 50);
        let mut said = Vec::new();
        let mut lines = Vec::new();
        for round in 0..4 {
            for author in ["m0", "m17", "m33"] {
                said.push((author, world.say(author, &format!("{round}"))));
                lines.push(format!("{author}: {round}"));
            }
            world.run_for(MS * 100);
        }
        world.run_for(SEC);
        assert_eq!(lacking(&world, &lines), [""; 0], "seed {seed}: a second after the last was said");
        world.run_for(SEC * 2);
        for &(author, id) in &said {
            assert_eq!(count(&world, author, id, Outcome::Delivered), 79, "seed {seed}");
        }
        let copies = world.frames["flood"] * 10 / (79 * 12);
        assert!(copies <= 35, "seed {seed}: {copies} tenths of a copy received a member");
        assert!(!world.frames.contains_key("group"), "seed {seed}");
        world.run_for(SEC * 10);
        for name in names(&world) {
            let recovered = world.machine(name).counters().recovered;
            assert_eq!(recovered, 0, "seed {seed}: {name} had to ask");
        }
        world.check_folds();
    }
}

#[test]
fn what_the_disk_calls_waiting_for_all_does_not_leave() {
    let mut world = lossy(18, 80, 0);
    let m0 = world.index("m0");
    world.disk("m0").latency = MS * 200;
    let near: Vec<_> = world.near_ids("m0").into_iter().collect();
    let run_of =
        |world: &World, id| world.nodes.iter().find(|node| node.id == id).and_then(|node| node.run).expect("it runs");
    for &id in &near {
        let run = run_of(&world, id);
        world.with(m0, |machine, step| machine.handle_closed(step, id, run));
    }
    let id = world.say("m0", "nobody can be reached");
    world.run_for(MS * 20);
    for &id in &near {
        let run = run_of(&world, id);
        world.with(m0, |machine, step| machine.handle_opened(step, id, run));
    }
    world.run_for(MS * 400);
    assert_eq!(count(&world, "m0", id, Outcome::Waiting), 79);
    assert!(!world.frames.contains_key("flood"), "it calls it not sent");
    world.run_for(SEC * 120);
    let lines = ["m0: nobody can be reached".to_owned()];
    assert_eq!(lacking(&world, &lines), [""; 0], "they fetch it, one from the other");
}

#[test]
fn an_author_that_restarts_asks_all_who_may_hold_a_message_for_their_receipts() {
    let mut world = lossy(19, 80, 0);
    world.drop_frames(|_, _, frame| matches!(kind_of(frame), "receipt" | "receipts"));
    let id = world.say("m0", "who has this?");
    world.run_for(SEC);
    world.crash_with("m0", true);
    world.start("m0");
    let near = world.near_ids("m0");
    let machine = world.machine("m0");
    let far: Vec<_> = machine.message(id).expect("it is known").deliveries.keys().copied().collect();
    for member in far.iter().filter(|member| !near.contains(member)) {
        assert!(machine.timers.due(Timer::Resend(*member)).is_some(), "nobody else opens a session with it");
    }
}

#[test]
fn a_receipt_that_was_passed_on_says_by_whom() {
    let mut world = lossy(4, 80, 0);
    let id = world.say("m0", "hello");
    world.run_for(SEC * 2);
    let known = world.machine("m0").message(id).expect("it is known");
    let links: Vec<_> = world.links("m0").iter().map(|name| world.id(name)).collect();
    for (member, delivery) in &known.deliveries {
        let receipt = delivery.receipt.as_ref().expect("it is delivered");
        match receipt.via {
            None => assert!(world.near_ids("m0").contains(member), "only who has a session sends it straight"),
            Some(via) => assert!(world.near_ids("m0").contains(&via) && via != *member),
        }
        let ways: Vec<Way> = delivery.tries.iter().map(|tried| tried.way).collect();
        assert_eq!(ways, [Way::Flooded]);
        assert!(delivery.latency_us.is_some_and(|us| us < 1_000_000));
    }
    assert!(links.len() >= 3);
    let screen = world.messages("m40");
    assert!(screen[0].via.is_some() && !screen[0].recovered, "it was passed on, and not asked for");
}

#[test]
fn a_receipt_goes_around_a_hop_whose_session_closes_while_it_is_on_its_way() {
    let mut world = lossy(16, 80, 0);
    // Whose receipt goes over a hop, and that hop: who brought it the message.
    let id = world.say("m0", "first");
    world.run_for(SEC * 2);
    let far = names(&world).into_iter().find(|&name| name != "m0" && !world.near_ids("m0").contains(&world.id(name)));
    let far = far.expect("somebody has no session with m0");
    let mut hop = None;
    for (text, closes) in [("second", false), ("third", true)] {
        let id = world.say("m0", text);
        if let Some(hop) = hop.filter(|_| closes) {
            world.drop_frames(move |from, to, frame| (from, to) == (far, hop) && kind_of(frame) == "receipts");
        }
        world.run_for(MS * 500);
        let via = world.messages(far).last().and_then(|message| message.via).expect("it was passed on");
        let brought = names(&world).into_iter().find(|&name| world.id(name) == via).expect("a member");
        if closes {
            assert_eq!(hop, Some(brought), "the message came the way that the one before came");
            assert_eq!(world.outcome("m0", id, far), Outcome::Sending);
            let run = world.run_of(brought);
            let index = world.index(far);
            world.with(index, |machine, step| machine.handle_closed(step, via, run));
            world.run_for(MS * 500);
        }
        assert_eq!(count(&world, "m0", id, Outcome::Delivered), 79);
        hop = Some(brought);
    }
    assert_eq!(count(&world, "m0", id, Outcome::Delivered), 79);
}

#[test]
fn a_receipt_goes_around_a_hop_that_never_takes_it() {
    let mut world = lossy(17, 80, 0);
    let far = names(&world).into_iter().find(|&name| name != "m0" && !world.near_ids("m0").contains(&world.id(name)));
    let far = far.expect("somebody has no session with m0");
    // The first hop that it tries, whichever that is.
    let mut first = None;
    world.drop_frames(move |from, to, frame| {
        let is_receipt = from == far && kind_of(frame) == "receipts";
        is_receipt && *first.get_or_insert_with(|| to.to_owned()) == to
    });
    let id = world.say("m0", "hello");
    world.run_for(SEC * 9);
    assert_eq!(world.outcome("m0", id, far), Outcome::Sending);
    world.run_for(SEC * 3);
    assert_eq!(world.outcome("m0", id, far), Outcome::Delivered, "it was unknown for a moment, and is not for good");
}

#[test]
fn a_relay_that_hides_what_it_was_sent_keeps_it_from_nobody_and_is_never_taken_for_evidence() {
    for seed in 5..=6 {
        let mut world = lossy(seed, 80, 20);
        let hider = world.links("m0")[0];
        world.drop_frames(move |from, _, frame| from == hider && matches!(kind_of(frame), "flood" | "receipts"));
        let id = world.say("m0", "hello");
        world.run_for(SEC * 3);
        assert_eq!(lacking(&world, &["m0: hello".to_owned()]), [""; 0], "seed {seed}");
        let early = count(&world, "m0", id, Outcome::Delivered);
        assert!(count(&world, "m0", id, Outcome::Sending) > 0, "seed {seed}: it hides some receipts");
        world.run_for(SEC * 9);
        let unknown = count(&world, "m0", id, Outcome::Unknown);
        assert!(unknown > 0 && early + unknown == 79, "seed {seed}: {early} and {unknown}");
        // Once it hides no more, what it comes to say next brings the receipts of all before.
        world.drop_nothing();
        let next = world.say("m0", "again");
        world.run_for(SEC * 2);
        assert_eq!(count(&world, "m0", next, Outcome::Delivered), 79, "seed {seed}");
        assert_eq!(count(&world, "m0", id, Outcome::Delivered), 79, "seed {seed}");
    }
}

#[test]
fn a_member_from_whom_all_relays_hide_a_message_fetches_it_when_digests_differ() {
    let mut world = lossy(8, 80, 20);
    world.drop_frames(|_, to, frame| to == "m9" && kind_of(frame) == "flood");
    let id = world.say("m0", "hello");
    world.run_for(MS * 500);
    assert_eq!(world.screen("m9"), [""; 0]);
    world.run_for(SEC * 6);
    assert_eq!(world.screen("m9"), ["m0: hello"]);
    assert!(world.messages("m9")[0].recovered);
    assert_eq!(world.outcome("m0", id, "m9"), Outcome::Delivered, "its receipt goes the way that it came");
}

#[test]
fn a_relay_that_dies_in_the_middle_costs_others_nothing_and_comes_back_to_all_of_it() {
    for seed in 9..=10 {
        let mut world = lossy(seed, 80, 50);
        let dying = world.links("m0")[1];
        let id = world.say("m0", "hello");
        world.run_for(MS * 25);
        world.crash(dying);
        world.run_for(SEC * 3);
        let lacking_now = lacking(&world, &["m0: hello".to_owned()]);
        assert!(lacking_now.iter().all(|&name| name == dying), "seed {seed}: {lacking_now:?}");
        world.run_for(SEC * 9);
        for name in names(&world).into_iter().filter(|&name| name != "m0" && name != dying) {
            let outcome = world.outcome("m0", id, name);
            assert!(matches!(outcome, Outcome::Delivered | Outcome::Unknown), "seed {seed}: {name} {outcome:?}");
        }
        assert!(count(&world, "m0", id, Outcome::Delivered) >= 60, "seed {seed}");
        world.start(dying);
        let after = world.say("m0", "and on");
        world.run_for(SEC * 12);
        let lines = ["m0: hello".to_owned(), "m0: and on".to_owned()];
        assert_eq!(lacking(&world, &lines), [""; 0], "seed {seed}");
        assert_eq!(count(&world, "m0", after, Outcome::Delivered), 79, "seed {seed}");
        assert_eq!(count(&world, "m0", id, Outcome::Delivered), 79, "seed {seed}");
        world.check_folds();
    }
}

#[test]
fn both_sides_of_a_partition_go_on_and_fetch_what_the_other_said() {
    let mut world = lossy(12, 80, 20);
    let all = names(&world);
    let (left, right) = all.split_at(40);
    for a in left {
        for b in right {
            world.cut(a, b);
        }
    }
    world.run_for(SEC * 6);
    let first = world.say(left[0], "left");
    let second = world.say(right[0], "right");
    world.run_for(SEC * 12);
    for (author, id, away) in [(left[0], first, right), (right[0], second, left)] {
        assert_eq!(world.outcome(author, id, away[7]), Outcome::Waiting, "it was not there");
        assert_eq!(count(&world, author, id, Outcome::Waiting), 40);
    }
    world.heal();
    world.run_for(SEC * 40);
    let lines = [format!("{}: left", left[0]), format!("{}: right", right[0])];
    assert_eq!(lacking(&world, &lines), [""; 0]);
    for (author, id) in [(left[0], first), (right[0], second)] {
        assert_eq!(count(&world, author, id, Outcome::Delivered), 79);
    }
    world.check_folds();
}

#[test]
fn what_a_member_makes_up_is_not_passed_on() {
    let mut world = lossy(13, 80, 0);
    let id = world.say("m0", "hello");
    world.run_for(SEC * 2);
    let (liar, victim) = ("m5", world.links("m5")[0]);
    let before = world.frames["flood"];
    let forged = {
        let seen = &world.machine("m5").log;
        let place = seen.place_of(id).expect("it holds it");
        let mut bytes = seen.kept(place, id).expect("it keeps it").bytes.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        // Another text with the same signature.
        let text = bytes.len() - 65;
        bytes[text] ^= 1;
        bytes
    };
    world.inject(liar, victim, MessagingFrame::Flood { number: 1, asked: u64::MAX, bytes: forged.clone() });
    world.inject(liar, victim, MessagingFrame::Flood { number: 2, asked: u64::MAX, bytes: vec![7; 40] });
    world.inject(
        liar,
        victim,
        MessagingFrame::Receipts { number: 1_000_003, hops: 1, receipts: vec![forged, vec![1; 300]] },
    );
    world.inject(liar, victim, MessagingFrame::Receipts { number: 1_000_004, hops: 16, receipts: vec![] });
    world.inject(liar, victim, MessagingFrame::HopAck { numbers: (0..64).collect() });
    world.inject(liar, victim, MessagingFrame::HopAck { numbers: vec![u64::MAX, 1 << 63, 0] });
    world.run_for(SEC * 2);
    assert_eq!(world.frames["flood"], before);
    assert_eq!(world.screen(victim), ["m0: hello"]);
    let counters = world.machine(victim).counters();
    assert_eq!((counters.forged, counters.strange), (1, 4));
}

#[test]
fn a_receipt_for_which_there_is_no_way_is_passed_on_for_16_hops_and_no_more() {
    let mut world = lossy(14, 80, 0);
    world.say("m0", "hello");
    world.run_for(SEC * 2);
    let before = world.frames["receipts"];
    // Nobody is near an author who is not there any more, and nobody holds anything of a run of it.
    let receipt = {
        use crate::wire::{Held, HeldRange, Receipt, Signed};
        let (author, receiver) = (crate::base::MemberId([77; 32]), world.id("m5"));
        let run = crate::base::Run { incarnation: 1, boot: 1 };
        let ranges = vec![HeldRange { first: 1, last: 2, last_id: crate::base::MessageId([1; 32]) }];
        let receipt = Receipt { room: super::world::room(), receiver, run, author, held: Held::Group { run, ranges } };
        Signed::sign(receipt, &world.identity("m5")).bytes().to_vec()
    };
    let next = world.links("m5")[0];
    world.inject("m5", next, MessagingFrame::Receipts { number: 9, hops: 0, receipts: vec![receipt] });
    world.run_for(SEC * 5);
    assert_eq!(world.frames["receipts"] - before, 15);
    let stranded: u64 = names(&world).iter().map(|name| world.machine(name).counters().receipts_stranded).sum();
    assert_eq!(stranded, 1);
}

/// 300 members unless `MEMBERS` says how many; the figures of docs/DELIVERY.md are those of 1,000.
#[test]
fn of_all_members_256_are_asked_and_all_show_it_for_three_copies_a_member() {
    let members: usize = std::env::var("MEMBERS").map_or(300, |members| members.parse().expect("a number"));
    let mut world = lossy(15, members, 20);
    let id = world.say("m0", "hello");
    world.run_for(SEC);
    assert_eq!(lacking(&world, &["m0: hello".to_owned()]), [""; 0]);
    world.run_for(SEC * 2);
    let others = members - 1;
    let sample_of = u32::try_from(others).ok();
    let known = world.machine("m0").message(id).expect("it is known");
    assert_eq!((known.deliveries.len(), known.sample_of), (256, sample_of));
    assert_eq!(count(&world, "m0", id, Outcome::Delivered), 256);
    let counters = names(&world).into_iter().map(|name| *world.machine(name).counters());
    let came: u64 = counters.map(|counters| counters.group + counters.duplicates).sum();
    let copies = (came - 1) * 100 / u64::try_from(others).unwrap();
    assert!(copies <= 300, "{copies} hundredths of a copy came to each");
    assert_eq!(world.machine("m0").sampled(), 1);
    world.crash_with("m0", true);
    world.start("m0");
    let known = world.machine("m0").message(id).expect("its deliveries are on disk");
    assert_eq!((known.deliveries.len(), known.sample_of), (256, sample_of));
}
