//! `moot demo`, as somebody who has just built the program tries it: it shows what it says, and leaves nothing behind, however
//! it ends.

use std::io::{BufRead, BufReader, Read as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

fn demo(temporary: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moot"));
    command.arg("demo").env("TMPDIR", temporary).env_remove("HOME").env_remove("MOOT_HOME").env_remove("XDG_DATA_HOME");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("moot starts")
}

/// The pids of the nodes, as the demo tells them.
fn pids(text: &str) -> Vec<i32> {
    let told = text.lines().filter_map(|line| line.split_once("process runs (pid ")?.1.split_once(')'));
    told.map(|(pid, _)| pid.parse().expect("a pid")).collect()
}

fn runs(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
}

fn is_empty(dir: &Path) -> bool {
    dir.read_dir().expect("a directory").next().is_none()
}

#[test]
fn the_demo_shows_what_it_says_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().expect("a directory");
    let output = demo(temporary.path()).wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "ok each sees all five",
        "ana | bo is unreachable",
        "bo: waiting: not sent, because it is not heard",
        "bo | ana → you: when you are back",
        "ok nobody was shown anything twice",
        "ana | cy left: said goodbye",
        "Everything held that was shown.",
    ] {
        assert!(text.contains(line), "{line:?} is missing in:\n{text}");
    }
    let asked = text.lines().filter(|line| line.contains("ana | eve: is anybody over there?  ["));
    assert!(asked.clone().any(|line| line.contains(", recovered via ")), "{:?}", asked.collect::<Vec<_>>());
    assert!(!text.contains('\u{1b}'), "no colour where there is no terminal");
    let pids = pids(&text);
    assert_eq!(pids.len(), 7, "five, and two that came back");
    assert!(!pids.into_iter().any(runs) && is_empty(temporary.path()));
}

/// What the demo says until two nodes run.
fn until_two_run(output: &mut impl BufRead) -> String {
    let mut text = String::new();
    while pids(&text).len() < 2 {
        assert!(output.read_line(&mut text).expect("a line") > 0, "{text}");
    }
    text
}

/// Starts the demo, interrupts it once two nodes run, and returns its end and the pids that it told.
fn interrupted(temporary: &Path) -> (Option<i32>, Vec<i32>) {
    let mut child = demo(temporary);
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut text = until_two_run(&mut output);
    kill_process(Pid::from_child(&child), Signal::INT).expect("signalled");
    output.read_to_string(&mut text).expect("UTF-8");
    (child.wait().expect("it ends").code(), pids(&text))
}

#[test]
fn a_demo_that_is_interrupted_takes_its_processes_along() {
    let temporary = tempfile::tempdir().expect("a directory");
    let (code, pids) = interrupted(temporary.path());
    assert_eq!(code, Some(1));
    assert!(!pids.into_iter().any(runs) && is_empty(temporary.path()));
}

#[test]
fn the_processes_of_a_demo_that_is_killed_end_by_themselves() {
    let temporary = tempfile::tempdir().expect("a directory");
    let mut child = demo(temporary.path());
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    until_two_run(&mut output);
    let mut clients: Vec<UnixStream> = control_sockets(temporary.path()).iter().map(connect).collect();
    assert!(clients.len() >= 2, "two nodes run");
    kill_process(Pid::from_child(&child), Signal::KILL).expect("signalled");
    child.wait().expect("it ends");
    for client in &mut clients {
        // A node hangs up on its clients when it is over.
        assert_eq!(client.read_to_end(&mut Vec::new()).expect("within the deadline"), 0);
    }
}

fn connect(socket: &PathBuf) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
    stream
}

/// The control sockets of the homes under `dir`.
fn control_sockets(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in dir.read_dir().expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(control_sockets(&path));
        } else if path.ends_with("control.sock") {
            found.push(path);
        }
    }
    found
}
