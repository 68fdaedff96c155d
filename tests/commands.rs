//! What the commands say to a person and to a script, and how they end: the real `moot` against a real node.
#![expect(clippy::disallowed_methods, reason = "real processes are waited for by the clock")]

mod harness;

use std::io::{BufRead as _, BufReader};

use harness::{Home, Node, complaint, read_all};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;

#[test]
fn the_members_are_watched_until_the_node_ends() {
    let (ana, bo) = (Home::new("ana"), Home::new("bo"));
    let node = ana.node(&[]);
    let mut watch = ana.spawn(&["who", "--watch", "--json"]);
    let mut pictures = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let mut members = || -> usize {
        let line = pictures.next().expect("another picture").expect("read");
        serde_json::from_str::<Value>(&line).expect("JSON").as_array().map_or(0, Vec::len)
    };
    assert_eq!(members(), 1);
    let _other = bo.node(&["--join", node.ticket()]);
    while members() < 2 {}

    let mut table = ana.spawn(&["who", "--watch"]);
    let mut lines = BufReader::new(table.stdout.take().expect("piped")).lines();
    let mut twice = lines.by_ref().map(|line| line.expect("read")).filter(|line| line.starts_with("ana (you)"));
    assert!(twice.next().is_some() && twice.next().is_some());

    node.kill();
    for mut child in [watch, table] {
        assert_eq!(child.wait().expect("ended").code(), Some(1));
        assert_eq!(read_all(child.stderr.take().expect("piped")), "moot: the node has ended\n");
    }
}

#[test]
fn what_was_handed_to_the_node_is_never_an_error_that_one_tries_again_on() {
    let (ana, bo) = (Home::new("ana"), Home::new("bo"));
    let mut node = ana.node(&[]);
    let other = bo.node(&["--join", node.ticket()]);
    ana.meet(2);

    let hasty = ana.moot(&["send", "--timeout", "0s", "--to", "bo", "zero"]);
    assert_eq!(hasty.status.code(), Some(4), "{hasty:?}");
    assert!(complaint(&hasty).contains("whether it was sent is unknown; moot why "), "{hasty:?}");
    node.shows("zero");

    stop(&other);
    let send = ana.spawn(&["send", "--timeout", "30s", "one"]);
    let handle = node.shows("one")["handle"].as_str().expect("a handle").to_owned();
    node.kill();
    let cut_off = send.wait_with_output().expect("ended");
    assert_eq!(cut_off.status.code(), Some(4), "{cut_off:?}");
    // The node tells its own output and `send` on two ways: which of them it still got to is not for this test to say.
    let durable = format!(
        "moot: the node has ended; {handle} is on its disk, and who lacks it fetches it once the node runs again"
    );
    let unknown = format!(
        "moot: the node has ended; whether {handle} was sent is unknown, and moot why {handle} tells once the node runs again"
    );
    let says = complaint(&cut_off);
    assert!(says == durable || says == unknown, "{says}");
    // Both hold: it tells then.
    let _again = ana.node(&[]);
    let why = ana.moot(&["why", &handle]);
    assert_eq!(why.status.code(), Some(0), "{why:?}");
    let pasted = ana.moot(&["why", &format!("[{handle}]")]);
    assert_eq!(pasted.status.code(), Some(0), "{pasted:?}");
}

#[test]
fn who_stops_waiting_for_a_message_learns_how_it_stands() {
    let (ana, bo) = (Home::new("ana"), Home::new("bo"));
    let mut node = ana.node(&[]);
    let other = bo.node(&["--join", node.ticket()]);
    ana.meet(2);

    stop(&other);
    let send = ana.spawn(&["send", "--timeout", "60s", "--json", "one"]);
    let handle = node.shows("one")["handle"].as_str().expect("a handle").to_owned();
    while !catches_interrupts(send.id()) {}
    let child = i32::try_from(send.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(child, Signal::INT).expect("signalled");
    let ended = send.wait_with_output().expect("ended");
    assert_eq!(ended.status.code(), Some(4), "{ended:?}");
    assert_eq!(
        complaint(&ended),
        format!("moot: not waited for any longer; the node goes on, and moot why {handle} tells")
    );
    let sent: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    assert_eq!((&sent["stored_here"], &sent["deliveries"][0]["outcome"]), (&true.into(), &"sending".into()));
    signal(&other, Signal::CONT);
}

#[test]
fn a_node_that_stands_still_is_not_waited_for_without_a_word() {
    let ana = Home::new("ana");
    let node = ana.node(&[]);
    stop(&node);
    let send = ana.spawn(&["send", "--timeout", "1s", "hello"]);
    let mut who = ana.spawn(&["who", "--json"]);
    let mut stderr = BufReader::new(who.stderr.take().expect("piped"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("read");
    assert!(line.starts_with("moot: the node has not answered for 5 s: it is stopped, or "), "{line}");
    let send = send.wait_with_output().expect("ended");
    assert_eq!(send.status.code(), Some(1), "{send:?}");
    assert_eq!(complaint(&send), "moot: nothing was sent: the node did not answer within 5 s");
    signal(&node, Signal::CONT);
    let told = read_all(who.stdout.take().expect("piped"));
    assert!(told.contains("\"ana\""), "{told}");
    assert_eq!(who.wait().expect("ended").code(), Some(0));
}

#[test]
fn a_home_is_free_for_the_next_node_once_leave_has_ended() {
    let ana = Home::new("ana");
    for _ in 0..5 {
        let _node = ana.node(&[]);
        let left = ana.moot(&["leave"]);
        assert_eq!(left.status.code(), Some(0), "{left:?}");
        assert_eq!(String::from_utf8_lossy(&left.stdout), "said goodbye; the node has ended\n");
    }
}

/// Stops a node, and waits until it stands: one of its threads takes the signal, and on a busy machine the others run on until
/// that one's turn.
fn stop(node: &Node) {
    signal(node, Signal::STOP);
    let stands = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(pid(node)), stands).expect("a child").expect("it stands");
}

/// Whether a process would not just end by an interrupt.
fn catches_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("see proc(5)");
    let caught = u64::from_str_radix(caught.trim(), 16).expect("a mask");
    caught & (1 << (Signal::INT.as_raw() - 1)) != 0
}

fn signal(node: &Node, signal: Signal) {
    kill_process(pid(node), signal).expect("signalled");
}

fn pid(node: &Node) -> Pid {
    i32::try_from(node.pid()).ok().and_then(Pid::from_raw).expect("a process")
}

#[test]
fn a_name_that_means_several_things_is_told_from_each_of_them() {
    let (ana, bo, other) = (Home::new("ana"), Home::new("bo"), Home::new("Bo"));
    let node = ana.node(&[]);
    let _others = [&bo, &other].map(|home| home.node(&["--join", node.ticket()]));
    ana.meet(3);
    for args in [&["send", "for all of you"][..], &["send", "--to", "bo", "for you alone, and no other one"]] {
        let sent = ana.moot(args);
        assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    }
    let refused = |args: &[&str]| {
        let output = ana.moot(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        complaint(&output)
    };
    let any = "moot: BO may be any of Bo and bo; write it as the one that you mean";
    assert_eq!(refused(&["why", "BO"]), any);
    assert_eq!(refused(&["send", "--to", "BO", "hi"]), any);
    let number = refused(&["why", "ana#1"]);
    assert!(number.contains(" (ana to the room, ") && number.contains(": \"for all of you\")"), "{number}");
    assert!(number.contains(" (ana to bo, ") && number.contains(": \"for you alone, and no other one\")"), "{number}");
    let member = refused(&["evidence", "export", "bo", "--out", "unused"]);
    assert!(member.starts_with("moot: bo is a member, and evidence is of a message: "), "{member}");

    let none = ana.moot(&["log", "0"]);
    assert_eq!((none.status.code(), none.stdout.len(), none.stderr.len()), (Some(0), 0, 0), "{none:?}");
    let newest = String::from_utf8(ana.moot(&["log", "1"]).stdout).expect("UTF-8");
    // Two nicks that look alike are told apart.
    assert!(newest.contains("you → bo~"), "{newest}");
    assert!(newest.trim_end().ends_with(": for you alone, and no other one"), "{newest}");
}

#[test]
fn json_shows_a_terminal_nothing_that_it_obeys_and_a_program_the_whole_text() {
    let ana = Home::new("ana");
    let text = "a\u{9b}31mb\u{202e}c\u{2028}d\u{7f}";
    let mut node = ana.spawn(&["node", "--until-eof", "--nick", "ana", "--listen", "127.0.0.1:0"]);
    let mut events = BufReader::new(node.stdout.take().expect("piped")).lines().map(|line| line.expect("UTF-8"));
    assert!(events.next().expect("ready").contains("\"ready\""));
    let mut tail = ana.spawn(&["tail", "--json"]);
    let mut told = BufReader::new(tail.stdout.take().expect("piped")).lines().map(|line| line.expect("UTF-8"));
    assert!(told.next().expect("ready").contains("\"ready\""));
    let sent = ana.moot(&["send", "--wait", "none", text]);
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    let is_message = |line: &String| line.contains("\"message\"");
    let printed = [
        events.find(is_message).expect("told"),
        told.find(is_message).expect("told"),
        String::from_utf8(ana.moot(&["log", "--json"]).stdout).expect("UTF-8"),
    ];
    for json in &printed {
        assert!(!json.trim_end().contains(|c: char| c.is_control() || c > '~'), "{json:?}");
        let value: Value = serde_json::from_str(json).expect("JSON");
        let message = value.get(0).unwrap_or(&value);
        assert_eq!(message["text"], text, "{json}");
    }
    // Its input ends, so it leaves, and the tail ends with it.
    drop(node.stdin.take());
    assert_eq!(node.wait().expect("ended").code(), Some(0));
    tail.wait().expect("ended");
}

#[test]
fn what_is_told_has_its_time_in_front() {
    let ana = Home::new("ana");
    let node = ana.node(&[]);
    let mut tail = ana.spawn(&["tail"]);
    let mut lines = BufReader::new(tail.stdout.take().expect("piped")).lines().map(|line| line.expect("read"));
    assert!(lines.next().expect("a line").contains(" is ready in "));
    assert_eq!(ana.moot(&["send", "--wait", "none", "hello"]).status.code(), Some(0));
    let told = lines.find(|line| line.contains("you: hello")).expect("told");
    let is_time = |text: &str| {
        let parts: Vec<&str> = text.split(':').collect();
        parts.len() == 3 && parts.iter().all(|part| part.len() == 2 && part.parse::<u8>().is_ok())
    };
    // It was said today, unless it is midnight.
    let time = told.split("  ").next().and_then(|time| time.split(' ').next_back()).expect("a time");
    assert!(is_time(time), "{told}");
    node.kill();
    assert_eq!(tail.wait().expect("ended").code(), Some(0));
}
