//! What messaging promises under load and loss, and that its tables keep to their limits.

use std::time::Duration;

use super::world::{MS, World, kind_of};
use crate::base::PerMille;
use crate::base::limits::RUNS_PER_AUTHOR_MAX;
use crate::messaging::Refused;

const SEC: Duration = Duration::from_secs(1);

#[test]
fn more_than_256_waiting_messages_are_refused() {
    let mut world = World::new(21, &["ana", "bo"]);
    world.crash("bo");
    world.run_for(SEC * 6);
    for number in 0..256 {
        world.tell("ana", "bo", &format!("{number}"));
    }
    assert_eq!(world.try_tell("ana", "bo", "one more"), Err(Refused::Full { waiting: 256 }));
    world.run_for(SEC);
    world.start("bo");
    world.run_for(SEC * 5);
    assert_eq!(world.screen("bo").len(), 256);
    assert_eq!(world.machine("ana").outcomes().delivered, 256);
    world.check_folds();
}

#[test]
fn a_lossy_room_delivers_every_private_message_once() {
    let mut world = World::new(29, &["ana", "bo"]);
    world.link.loss = PerMille(200);
    world.link.jitter = MS * 5;
    world.run_for(SEC * 2);
    for number in 0..1000 {
        world.tell("ana", "bo", &format!("{number}"));
    }
    world.run_for(SEC * 60);
    let expected: Vec<String> = (0..1000).map(|number| format!("ana: {number}")).collect();
    assert_eq!(world.screen("bo"), expected);
    assert_eq!(world.machine("ana").outcomes().delivered, 1000);
    world.check_folds();
}

#[test]
fn a_lossy_room_of_five_shows_every_group_message_in_order() {
    let names = ["ana", "bo", "cy", "dee", "eve"];
    let mut world = World::new(30, &names);
    world.link.loss = PerMille(200);
    world.link.jitter = MS * 5;
    world.run_for(SEC * 2);
    for number in 0..200 {
        for name in names {
            world.say(name, &format!("{number}"));
        }
        world.run_for(MS * 5);
    }
    world.run_for(SEC * 30);
    for name in names {
        let screen = world.screen(name);
        for author in names {
            let of: Vec<&String> = screen.iter().filter(|line| line.starts_with(author)).collect();
            let expected: Vec<String> = (0..200).map(|number| format!("{author}: {number}")).collect();
            assert_eq!(of, expected.iter().collect::<Vec<_>>(), "{name} of {author}");
        }
    }
    let outcomes: u64 = names.iter().map(|name| world.machine(name).outcomes().delivered).sum();
    assert_eq!(outcomes, 4000);
    world.check_folds();
}

#[test]
fn without_loss_jitter_makes_hardly_any_retry() {
    let mut world = World::new(31, &["ana", "bo"]);
    world.link.delay = MS * 50;
    world.link.jitter = MS * 15;
    // Heartbeats show what the path is like now.
    world.run_for(SEC * 3);
    for number in 0..1000 {
        world.tell("ana", "bo", &format!("{number}"));
        world.run_for(MS * 20);
    }
    world.run_for(SEC * 5);
    let retries = world.machine("ana").counters().retries;
    assert!(retries <= 5, "{retries} of 1000");
    assert_eq!(world.screen("bo").len(), 1000);
}

#[test]
fn who_waits_for_each_receipt_waits_for_nothing_else() {
    let mut world = World::new(50, &["ana", "bo"]);
    world.link.delay = Duration::from_micros(20);
    for name in ["ana", "bo"] {
        world.disk(name).latency = Duration::from_micros(100);
    }
    world.run_for(SEC * 2);
    let begun = world.now;
    for number in 1..=100 {
        world.tell("ana", "bo", &format!("{number}"));
        while world.machine("ana").outcomes().delivered < number {
            world.run_for(Duration::from_micros(10));
        }
    }
    // Three commits and two ways each.
    let took = world.now.since(begun) / 100;
    assert!(took < Duration::from_micros(400), "{took:?}");
}

#[test]
fn a_burst_is_receipted_by_few_signatures() {
    let mut world = World::new(32, &["ana", "bo"]);
    for number in 0..1000 {
        world.tell("ana", "bo", &format!("{number}"));
    }
    world.run_for(SEC * 10);
    assert_eq!(world.machine("ana").outcomes().delivered, 1000);
    assert!(world.frames["receipt"] <= 120, "{}", world.frames["receipt"]);
}

#[test]
fn a_quiet_room_has_nothing_to_do() {
    let mut world = World::new(33, &["ana", "bo"]);
    world.say("ana", "hello");
    world.tell("bo", "ana", "hello");
    world.run_for(SEC * 30);
    let frames = world.frames.clone();
    world.run_for(SEC * 300);
    for kind in ["group", "private", "receipt", "frontier", "pull", "recovered"] {
        assert_eq!(world.frames.get(kind), frames.get(kind), "{kind}");
    }
    let next = world.machine("ana").poll_timeout().expect("the sweep");
    assert!(next.since(world.now) > SEC * 60);
}

#[test]
fn only_the_newest_runs_of_an_author_are_tracked() {
    let mut world = World::new(41, &["ana", "bo"]);
    for run in 1..=RUNS_PER_AUTHOR_MAX + 4 {
        world.say("ana", &format!("run {run}"));
        world.run_for(SEC);
        world.crash_with("ana", true);
        world.start("ana");
        world.run_for(SEC);
    }
    let expected: Vec<String> = (1..=RUNS_PER_AUTHOR_MAX + 4).map(|run| format!("ana: run {run}")).collect();
    assert_eq!(world.screen("bo"), expected);
    let bo = world.machine("bo");
    assert_eq!(bo.log.author(world.id("ana")).unwrap().runs.len(), RUNS_PER_AUTHOR_MAX);
    assert_eq!(bo.gaps().count(), 0);
    world.check_folds();
    world.crash_with("bo", true);
    world.start("bo");
    world.run_for(SEC * 10);
    assert_eq!(world.screen("bo"), expected);
    world.check_folds();
}

#[test]
fn texts_that_are_no_longer_kept_are_still_known_to_be_seen() {
    let mut world = World::new(42, &["ana", "bo"]);
    world.link.delay = MS;
    let text = "x".repeat(12 * 1024);
    for number in 0..800 {
        world.say("ana", &format!("{number} {text}"));
        world.run_for(MS * 20);
    }
    world.run_for(SEC * 5);
    assert_eq!(world.messages("bo").len(), 800);
    let (messages, bytes) = world.machine("bo").log.size();
    assert!(messages < 800 && bytes <= 8 * 1024 * 1024, "{messages} of {bytes} bytes");
    assert!(world.machine("bo").counters().pruned > 0);
    world.check_folds();
    for name in ["ana", "bo"] {
        world.crash_with(name, true);
        world.start(name);
    }
    world.run_for(SEC * 10);
    assert_eq!(world.messages("bo").len(), 800);
    assert_eq!(world.machine("bo").gaps().count(), 0);
    world.check_folds();
}

#[test]
fn who_says_more_than_anybody_can_take_is_told_so_and_nothing_is_lost() {
    let names = ["ana", "bo", "cy"];
    let mut world = World::new(44, &names);
    let mut said = 0;
    while said < 6000 {
        match world.try_say("ana", &format!("{said}")) {
            Ok(_) => said += 1,
            Err(Refused::Full { .. }) => world.run_for(MS * 20),
            Err(refused) => panic!("{refused}"),
        }
    }
    world.run_for(SEC * 30);
    for name in names {
        let expected: Vec<String> = (0..6000).map(|number| format!("ana: {number}")).collect();
        assert_eq!(world.screen(name), expected, "{name}");
    }
    assert_eq!(world.machine("ana").outcomes().delivered, 12_000);
    world.check_folds();
}

#[test]
fn one_member_that_is_slow_is_waited_for_and_misses_nothing() {
    let names = ["ana", "bo", "cy"];
    let mut world = World::new(49, &names);
    world.disk("cy").latency = MS * 100;
    let (mut said, mut refused) = (0, 0);
    while said < 9_500 {
        match world.try_say("ana", &format!("{said}")) {
            Ok(_) => said += 1,
            Err(Refused::Full { .. }) => {
                refused += 1;
                world.run_for(MS);
            }
            Err(other) => panic!("{other}"),
        }
        if said % 20 == 0 {
            world.run_for(MS);
        }
    }
    assert!(refused > 0, "somebody is slower than what is said");
    world.run_for(SEC * 60);
    for name in names {
        assert_eq!(world.messages(name).len(), 9_500, "{name}");
        assert_eq!(world.machine(name).gaps().count(), 0, "{name}");
    }
    assert_eq!(world.machine("ana").outcomes().delivered, 19_000);
}

#[test]
fn one_member_that_takes_nothing_slows_nobody() {
    let mut world = World::new(45, &["ana", "bo", "cy"]);
    world.drop_frames(|_, to, frame| to == "cy" && matches!(kind_of(frame), "group" | "recovered"));
    let mut said = 0;
    while said < 5000 {
        match world.try_say("ana", &format!("{said}")) {
            Ok(_) => said += 1,
            Err(_) => world.run_for(MS * 20),
        }
    }
    world.run_for(SEC * 2);
    assert_eq!(world.messages("bo").len(), 5000);
    let took = world.now.since(crate::base::Time::from_micros(1_200_000));
    assert!(took < SEC * 20, "{took:?}");
}

#[test]
fn a_slow_disk_at_the_receiver_makes_few_retries() {
    let mut world = World::new(46, &["ana", "bo"]);
    world.link.delay = Duration::from_micros(50);
    world.disk("bo").latency = MS * 80;
    world.run_for(SEC * 2);
    for number in 0..500 {
        world.tell("ana", "bo", &format!("{number}"));
        world.run_for(MS * 20);
    }
    world.run_for(SEC);
    let retries = world.machine("ana").counters().retries;
    assert!(retries < 40, "{retries}");
}

#[test]
fn while_one_commit_of_the_receiver_takes_long_hardly_anything_goes_twice() {
    let mut world = World::new(47, &["ana", "bo"]);
    world.link.delay = MS * 50;
    world.disk("bo").latency = MS / 2;
    world.run_for(SEC * 3);
    for number in 0..1000 {
        // One commit in a second begins while the disk is this slow.
        world.disk("bo").latency = if number % 100 == 0 { MS * 150 } else { MS / 2 };
        world.tell("ana", "bo", &format!("{number}"));
        world.run_for(MS * 10);
    }
    world.run_for(SEC * 5);
    let retries = world.machine("ana").counters().retries;
    assert!(retries <= 10, "{retries} of 1000, with ten slow commits");
    assert_eq!(world.screen("bo").len(), 1000);
}

#[test]
fn what_was_lost_in_a_burst_goes_again_with_the_first_receipt() {
    let mut world = World::new(48, &["ana", "bo"]);
    world.link.delay = MS * 50;
    world.run_for(SEC * 3);
    world.cut_one_way("ana", "bo");
    for number in 0..10 {
        world.tell("ana", "bo", &format!("{number}"));
        world.run_for(MS * 5);
    }
    world.heal();
    world.run_for(MS * 400);
    assert_eq!(world.screen("bo").len(), 10, "a probe, its receipt, and what that shows to be lost");
    assert_eq!(world.machine("ana").counters().retries, 10);
}

#[test]
fn receipts_of_who_is_forgotten_go_with_the_last_message_that_went_to_them() {
    let mut world = World::new(51, &["ana", "bo", "cy"]);
    world.say("ana", "hello");
    world.run_for(SEC);
    assert_eq!(world.machine("ana").receipts.kept(), 2);
    world.leave("bo");
    world.run_for(SEC * 5);
    let (ana, bo) = (world.index("ana"), world.id("bo"));
    world.with(ana, |machine, step| machine.handle_forgotten(step, bo));
    assert_eq!(world.machine("ana").receipts.kept(), 2, "what it receipted is kept, and so is the evidence");
    for _ in 0..600 {
        world.say("ana", &"x".repeat(16_000));
        world.run_for(MS * 50);
    }
    world.run_for(SEC * 10);
    assert!(world.machine("ana").counters().pruned > 0);
    assert_eq!(world.machine("ana").receipts.kept(), 1, "cy's");
    world.check_folds();
    world.crash("ana");
    world.start("ana");
    assert_eq!(world.machine("ana").receipts.kept(), 1, "also on disk");
}
