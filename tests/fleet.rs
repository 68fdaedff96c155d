//! The fleet of real processes, asked for by hand as a scenario asks for it: what it says is what the processes did, and none
//! of them outlives it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use folkmoot::base::{MemberId, Presence};
use folkmoot::check::{Ended, Line, What};
use folkmoot::faults::{Ends, Fault, Rule};
use folkmoot::node::api::{Command, EventKind, Outcome, Reply, Sent};
use folkmoot::scenario::{Change, Fleet, FleetError, ProcessFleet, Unsynced};

/// What no step of a story takes longer than, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// A fleet with all that it told.
struct Story {
    fleet: ProcessFleet,
    lines: Vec<Line>,
}

impl Story {
    /// Machines with these names, which all run and see each other.
    fn of<const N: usize>(names: [&str; N]) -> (Self, [MemberId; N]) {
        let fleet = ProcessFleet::new(Path::new(env!("CARGO_BIN_EXE_moot"))).expect("a fleet");
        let mut story = Self { fleet, lines: Vec::new() };
        let members = names.map(|name| story.fleet.add(name).expect("a machine"));
        for name in names {
            story.fleet.start(name).expect("it starts");
        }
        for name in names {
            story.until(name, |story| story.alive(name) == N);
        }
        (story, members)
    }

    /// Lets time pass until `holds`, for `what`.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let deadline = self.fleet.elapsed() + PATIENCE;
        while !holds(self) {
            assert!(self.fleet.elapsed() < deadline, "{what}: never in {:#?}", self.lines);
            self.fleet.step(deadline).expect("it goes on");
            self.hear();
        }
        self.hear();
    }

    fn hear(&mut self) {
        self.lines.extend(std::iter::from_fn(|| self.fleet.poll_line()));
    }

    fn pass(&mut self, span: Duration) {
        let until = self.fleet.elapsed() + span;
        while self.fleet.elapsed() < until {
            self.fleet.step(until).expect("it goes on");
        }
        self.hear();
    }

    fn alive(&mut self, name: &str) -> usize {
        let status = self.fleet.status(name).expect("it answers");
        status.members.iter().filter(|member| member.state == Presence::Alive).count()
    }

    fn say(&mut self, name: &str, text: &str) -> Sent {
        let said = self.fleet.command(name, Command::Say { text: text.to_owned() }).expect("it answers");
        let Ok(Reply::Accepted(sent)) = said else { panic!("{said:?}") };
        sent
    }

    fn state(&mut self, name: &str, member: MemberId) -> Option<Presence> {
        self.fleet.why_member(name, member).expect("it answers").map(|why| why.state)
    }

    fn texts(&mut self, name: &str) -> Vec<String> {
        self.fleet.log(name).expect("a log").into_iter().map(|message| message.text).collect()
    }

    fn cut(&mut self, from: MemberId, to: MemberId, is_on: bool) {
        let rule = Rule { from: Ends::Member(from), to: Ends::Member(to), fault: Fault::Cut };
        self.fleet.net(&rule, is_on).expect("it takes the rule");
    }
}

fn is_gone(pid: u32) -> bool {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid"));
    rustix::process::test_kill_process(pid.expect("a pid")).is_err()
}

#[test]
fn a_killed_process_is_missed_and_catches_up_when_it_is_back() {
    let (mut story, [_, bo, cy]) = Story::of(["ana", "bo", "cy"]);
    let pids = ["ana", "bo", "cy"].map(|name| story.fleet.pid(name).expect("it runs"));
    let hello = story.say("ana", "hello");
    story.until("delivered", |story| {
        let why = story.fleet.why_message("ana", hello.id).expect("it answers");
        why.is_some_and(|why| why.deliveries.iter().all(|to| to.delivery.outcome == Outcome::Delivered))
    });

    story.fleet.crash("cy", Unsynced::Keep).expect("killed");
    assert!(!story.fleet.is_running("cy") && is_gone(pids[2]));
    assert_eq!(story.texts("cy"), ["hello"], "the log of who is down is read from its disk");
    story.until("cy is missed", |story| story.state("ana", cy) == Some(Presence::Unreachable));
    story.say("bo", "where is cy?");
    story.fleet.start("cy").expect("it starts again");
    story.until("cy catches up", |story| story.texts("cy") == ["hello", "where is cy?"]);
    story.until("cy is back", |story| story.state("ana", cy) == Some(Presence::Alive));

    story.fleet.leave("bo").expect("it leaves");
    assert!(is_gone(pids[1]));
    story.until("bo left", |story| story.state("ana", bo) == Some(Presence::Left));

    let told = |line: &&Line| matches!(&line.what, What::Told { event } if matches!(&event.kind, EventKind::Message(message) if message.id == hello.id));
    let own = story.lines.iter().filter(told).find(|line| line.node.as_deref() == Some("ana")).expect("told");
    let cause = own.cause.and_then(|n| story.lines.iter().find(|line| line.n == n)).expect("its cause");
    assert!(matches!(cause.what, What::Accepted { id, .. } if id == hello.id), "{cause:?}");
    let ended = |line: &Line| match line.what {
        What::Ended { how } => Some((line.node.clone().expect("a machine").to_string(), how)),
        _ => None,
    };
    let ends: Vec<_> = story.lines.iter().filter_map(ended).collect();
    let ends: Vec<_> = ends.iter().map(|(name, how)| (name.as_str(), *how)).collect();
    assert_eq!(ends, [("cy", Ended::Crashed), ("bo", Ended::Left)]);
    assert!(story.lines.windows(2).all(|pair| pair[0].n < pair[1].n && pair[0].at <= pair[1].at));
}

#[test]
fn a_cut_holds_whoever_restarts_behind_it_and_ends_when_it_is_healed() {
    let (mut story, [ana, bo]) = Story::of(["ana", "bo"]);
    for (from, to) in [(ana, bo), (bo, ana)] {
        story.cut(from, to, true);
    }
    for name in ["ana", "bo"] {
        story.fleet.crash(name, Unsynced::Keep).expect("killed");
        story.fleet.start(name).expect("it starts again");
    }
    let unheard = story.say("ana", "does nobody hear me?");
    story.pass(Duration::from_secs(4));
    assert_eq!(story.alive("bo"), 1, "bo sees itself alone");
    for name in ["ana", "bo"] {
        let counters = story.fleet.status(name).expect("it answers").counters;
        assert_eq!(
            (counters["handshakes_repeated"], counters["sessions_opened"]),
            (0, 0),
            "{name}: not even a handshake"
        );
    }
    assert!(story.texts("bo").is_empty());
    for (from, to) in [(ana, bo), (bo, ana)] {
        story.cut(from, to, false);
    }
    story.until("the message arrives", |story| story.texts("bo") == ["does nobody hear me?"]);
    assert_eq!(story.fleet.log("bo").expect("a log")[0].id, unheard.id);
    assert!(story.fleet.status("ana").expect("it answers").faults.is_empty());
}

/// ana gives bo up, and dials it while it stands still. It is answered when it dials anew, and not for what it gave up.
#[test]
fn a_process_that_goes_on_knows_that_what_waits_for_it_is_old() {
    let (mut story, _) = Story::of(["ana", "bo"]);
    story.fleet.pause("bo").expect("it stops");
    story.until("ana dials bo", |story| {
        let counters = story.fleet.status("ana").expect("an answer").counters;
        counters["dials"] > 0 && counters["dials_failed"] > 0
    });
    story.pass(Duration::from_secs(1));
    story.fleet.resume("bo").expect("it goes on");
    story.until("they see each other", |story| story.alive("ana") == 2 && story.alive("bo") == 2);
    let late = story.fleet.status("bo").expect("an answer").counters["handshakes_late"];
    assert!(late > 0, "it was not told how late it is");
}

#[test]
fn a_paused_process_answers_nothing_and_goes_on_where_it_stood() {
    let (mut story, [_, bo]) = Story::of(["ana", "bo"]);
    story.fleet.pause("bo").expect("it stops");
    assert!(matches!(story.fleet.status("bo"), Err(FleetError::Misuse(_))));
    story.until("bo is missed", |story| story.state("ana", bo) == Some(Presence::Unreachable));
    story.fleet.resume("bo").expect("it goes on");
    story.until("bo is back", |story| story.state("ana", bo) == Some(Presence::Alive));
    let resumed = story.lines.iter().find_map(|line| match line.what {
        What::Resumed { after_us } => Some(after_us),
        _ => None,
    });
    assert!(resumed > Some(1_000_000), "{resumed:?}");
}

#[test]
fn a_home_goes_back_to_what_it_was() {
    let (mut story, [ana]) = Story::of(["ana"]);
    let before = Change::Snapshot { as_name: "before".to_owned() };
    story.say("ana", "one");
    story.until("one is kept", |story| story.texts("ana") == ["one"]);
    story.fleet.change("ana", before).expect("a snapshot of a running node");
    story.say("ana", "two");
    story.until("two is kept", |story| story.texts("ana") == ["one", "two"]);
    let back = || Change::Rollback { to_name: "before".to_owned() };
    assert!(matches!(story.fleet.change("ana", back()), Err(FleetError::Misuse(_))), "it runs");
    story.fleet.crash("ana", Unsynced::Keep).expect("killed");
    story.fleet.change("ana", back()).expect("rolled back");
    assert_eq!(story.texts("ana"), ["one"]);
    story.fleet.start("ana").expect("it starts again");
    assert_eq!(story.texts("ana"), ["one"]);

    assert_eq!(story.fleet.add("bo").map(|bo| bo == ana).ok(), Some(false));
    story.fleet.change("bo", Change::CopyOf { from: "ana".to_owned() }).expect("a copy, keys and all");
    assert_eq!(story.texts("bo"), ["one"]);
}

#[test]
fn what_a_real_machine_cannot_do_is_said() {
    let (mut story, _) = Story::of(["ana"]);
    let lost = story.fleet.crash("ana", Unsynced::Lose);
    assert!(matches!(lost, Err(FleetError::Cannot(_))), "{lost:?}");
    for change in [Change::DiskFull { is_full: true }, Change::ClockJump { ms: 1000 }, Change::Stall { lag: PATIENCE }]
    {
        let error = story.fleet.change("ana", change).expect_err("it cannot");
        assert!(matches!(&error, FleetError::Cannot(why) if why.ends_with("so this needs the simulator")), "{error}");
    }
    assert!(story.fleet.is_running("ana"));
    assert!(matches!(story.fleet.status("zoe"), Err(FleetError::Misuse(_))));
    assert!(matches!(story.fleet.add("2bo"), Err(FleetError::Misuse(_))));
}

#[test]
fn a_process_that_ends_by_itself_fails_the_run_with_its_last_words() {
    let mut fleet = ProcessFleet::new(Path::new("/bin/sh")).expect("a fleet");
    fleet.add("ana").expect("a machine");
    let why = fleet.start("ana").expect_err("a shell is no node").to_string();
    assert!(why.starts_with("ana ended by itself (exit status: "), "{why}");
    assert!(why.contains("it wrote last:"), "{why}");
    assert!(fleet.step(Duration::from_secs(1)).is_err());
    let mut nothing = ProcessFleet::new(Path::new("/nowhere/moot")).expect("a fleet");
    nothing.add("ana").expect("a machine");
    assert!(matches!(nothing.start("ana"), Err(FleetError::Failed(_))));
}

#[test]
fn no_process_and_no_home_outlives_the_fleet() {
    let (mut story, _) = Story::of(["ana", "bo"]);
    story.fleet.pause("bo").expect("it stops");
    let pids = ["ana", "bo"].map(|name| story.fleet.pid(name).expect("it runs"));
    let home: PathBuf = story.fleet.home("ana").expect("a home");
    assert!(home.exists());
    let ended = std::thread::spawn(move || {
        let _story = story;
        panic!("as a test that fails");
    });
    assert!(ended.join().is_err());
    assert!(pids.into_iter().all(is_gone) && !home.exists());
}
