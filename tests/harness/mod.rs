//! Drives the real `moot` binary: homes in temporary directories, nodes on loopback, events read as they
//! are printed. Everything is waited for by what it prints, with a deadline.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of the harness")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// What no step of a story takes longer than, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a change may go unnoticed that is no event.
const UNTOLD: Duration = Duration::from_millis(250);

/// Where a member lives, across its processes.
pub struct Home {
    pub nick: String,
    dir: TempDir,
}

impl Home {
    pub fn new(nick: &str) -> Self {
        Self { nick: nick.to_owned(), dir: tempfile::Builder::new().prefix("moot").tempdir().expect("a directory") }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Starts `moot node` here, on a free port of loopback, and waits until it is ready.
    pub fn node(&self, args: &[&str]) -> Node {
        Node::start(self, args)
    }

    /// Runs `moot ARGS` against this home and waits for its end.
    pub fn moot(&self, args: &[&str]) -> Output {
        self.moot_with_input(args, b"")
    }

    pub fn moot_with_input(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = self.spawn(args);
        child.stdin.take().expect("piped").write_all(input).expect("written");
        child.wait_with_output().expect("moot ends")
    }

    /// Starts `moot ARGS` against this home.
    pub fn spawn(&self, args: &[&str]) -> Child {
        moot(&self.path(), args).stdin(Stdio::piped()).spawn().expect("moot starts")
    }

    /// Runs a query and reads its JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.moot(&[args, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("moot {args:?}: {error}: {output:?}"))
    }

    /// Asks until `done` holds of the answer: again whenever the node tells something.
    pub fn until(&self, args: &[&str], done: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut tail = self.spawn(&["tail", "--json"]);
        let events = lines(tail.stdout.take().expect("piped"));
        let answer = loop {
            let answer = self.json(args);
            if done(&answer) || Instant::now() >= deadline {
                break answer;
            }
            // What was told meanwhile is in the next answer. Counters rise without a word.
            let _ = events.recv_timeout(UNTOLD);
            events.try_iter().for_each(drop);
        };
        let _ = tail.kill();
        let _ = tail.wait();
        assert!(done(&answer), "moot {args:?} still answers {answer:#}");
        answer
    }

    /// Waits until `count` members are alive here.
    pub fn meet(&self, count: usize) {
        self.until(&["who"], |members| alive(members) == count);
    }
}

/// The JSON objects that a process prints, one a line.
fn lines(from: impl Read + Send + 'static) -> Receiver<Value> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if sender.send(event).is_err() {
                break;
            }
        }
    });
    lines
}

fn alive(members: &Value) -> usize {
    members.as_array().map_or(0, |all| all.iter().filter(|member| member["state"] == "alive").count())
}

fn moot(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moot"));
    command.args(args).arg("--home").arg(home).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("MOOT_HOME").env_remove("RUST_LOG");
    command
}

/// A running `moot node`. It is killed when it is dropped.
pub struct Node {
    child: Child,
    lines: Receiver<Value>,
    /// All events so far.
    pub events: Vec<Value>,
    pub ready: Value,
}

impl Node {
    fn start(home: &Home, args: &[&str]) -> Self {
        let all = [&["node", "--nick", &home.nick, "--listen", "127.0.0.1:0"], args].concat();
        let mut child = moot(&home.path(), &all).stdin(Stdio::null()).spawn().expect("moot starts");
        let lines = lines(child.stdout.take().expect("piped"));
        let mut stderr = child.stderr.take().expect("piped");
        let log = home.dir.path().join("log");
        std::thread::spawn(move || {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
            std::io::copy(&mut stderr, &mut file).expect("logged");
        });
        let mut node = Self { child, lines, events: Vec::new(), ready: Value::Null };
        node.ready = node.wait(|event| event["event"] == "ready");
        node
    }

    pub fn id(&self) -> &str {
        self.ready["id"].as_str().expect("an id")
    }

    pub fn ticket(&self) -> &str {
        self.ready["ticket"].as_str().expect("a ticket")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The first event, seen already or still to come, that `wanted` holds of.
    pub fn wait(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(event) = self.events.iter().find(|event| wanted(event)) {
            return event.clone();
        }
        let deadline = Instant::now() + PATIENCE;
        while let Ok(event) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.events.push(event.clone());
            if wanted(&event) {
                return event;
            }
        }
        panic!("never told: it told {:#?}", self.events);
    }

    /// Waits for a message with this text.
    pub fn shows(&mut self, text: &str) -> Value {
        self.wait(|event| event["event"] == "message" && event["text"] == text)
    }

    /// Waits for `nick` to be called `state`.
    pub fn sees(&mut self, nick: &str, state: &str) -> Value {
        self.wait(|event| event["event"] == "member" && event["nick"] == nick && event["state"] == state)
    }

    /// The texts that were told so far.
    pub fn texts(&mut self) -> Vec<String> {
        self.events.extend(self.lines.try_iter());
        let messages = self.events.iter().filter(|event| event["event"] == "message");
        messages.map(|event| event["text"].as_str().expect("a text").to_owned()).collect()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    /// SIGTERM; returns the exit code and how long it took.
    pub fn terminate(mut self) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
        let status = self.child.wait().expect("reaped");
        (status.code(), begun.elapsed())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The one line that a command wrote to stderr, without its end.
pub fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    let text = text.trim_end();
    assert!(!text.is_empty() && !text.contains('\n'), "one line is expected: {text:?}");
    text.to_owned()
}

/// Reads all that `child` wrote.
pub fn read_all(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).expect("UTF-8");
    text
}
