//! Real `moot node` processes for the benchmarks: started on loopback, met, and spoken to over their control
//! sockets as `moot` itself does.

#![allow(dead_code, clippy::allow_attributes, reason = "each benchmark uses a part of the driver")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub mod process;

/// Names another program to measure: benches are built without whole-program optimisation, what is installed is with it.
const PROGRAM: &str = "MOOT_PROGRAM";

/// Nodes on loopback that have met.
pub struct Room {
    pub homes: Vec<PathBuf>,
    pub nodes: Vec<Child>,
    /// From the start of the last node's process until all were alive to all.
    pub came_together: Duration,
}

impl Room {
    /// Starts one node for each of `nicks`, each with a home below `dir`, and waits until all are alive to all.
    pub fn open(dir: &Path, nicks: &[&str]) -> Self {
        let mut room = Self { homes: Vec::new(), nodes: Vec::new(), came_together: Duration::ZERO };
        let mut ticket: Option<String> = None;
        let mut begun = Instant::now();
        for nick in nicks {
            begun = Instant::now();
            let home = dir.join(nick);
            let join = ticket.as_deref().map_or(vec![], |ticket| vec!["--join", ticket]);
            let (child, ready) = node(&home, &[&["--nick", nick], &join[..]].concat());
            room.homes.push(home);
            room.nodes.push(child);
            ticket.get_or_insert_with(|| ready["ticket"].as_str().expect("a ticket").to_owned());
        }
        while !room.homes.iter().all(|home| alive(home) == nicks.len()) {
            assert!(begun.elapsed() < Duration::from_secs(20), "the room did not come together");
            std::thread::sleep(Duration::from_millis(10));
        }
        room.came_together = begun.elapsed();
        room
    }
}

fn alive(home: &Path) -> usize {
    let members = Connection::open(home).ask(&json!("members"));
    members["members"].as_array().expect("a list").iter().filter(|member| member["state"] == "alive").count()
}

impl Drop for Room {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

fn node(home: &Path, args: &[&str]) -> (Child, Value) {
    let mut child = Command::new(std::env::var_os(PROGRAM).unwrap_or_else(|| env!("CARGO_BIN_EXE_moot").into()))
        .args(["node", "--listen", "127.0.0.1:0", "--home"])
        .arg(home)
        .args(args)
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("moot starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    let ready = serde_json::from_str(&line).expect("JSON");
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    (child, ready)
}

/// A control connection.
pub struct Connection {
    lines: BufReader<UnixStream>,
    line: String,
    writer: Writer,
}

/// The half of it that asks.
pub struct Writer {
    stream: UnixStream,
    requests: u64,
}

impl Writer {
    pub fn request(&mut self, request: &Value) -> u64 {
        self.requests += 1;
        let line = format!("{}\n", json!({ "id": self.requests, "request": request }));
        self.stream.write_all(line.as_bytes()).expect("sent");
        self.requests
    }
}

impl Connection {
    pub fn open(home: &Path) -> Self {
        let stream = UnixStream::connect(home.join("control.sock")).expect("a node runs");
        let lines = BufReader::new(stream.try_clone().expect("cloned"));
        Self { lines, line: String::new(), writer: Writer { stream, requests: 0 } }
    }

    /// Another way to ask on this connection, with ids of its own.
    pub fn writer(&self) -> Writer {
        Writer { stream: self.writer.stream.try_clone().expect("cloned"), requests: self.writer.requests }
    }

    pub fn request(&mut self, request: &Value) -> u64 {
        self.writer.request(request)
    }

    pub fn next(&mut self) -> Value {
        serde_json::from_str(self.next_line()).expect("JSON")
    }

    pub fn next_line(&mut self) -> &str {
        self.line.clear();
        assert!(self.lines.read_line(&mut self.line).expect("a line") > 0, "the node has ended");
        &self.line
    }

    pub fn ask(&mut self, request: &Value) -> Value {
        let id = self.request(request);
        loop {
            let line = self.next();
            if line["id"] == id {
                return line["response"].clone();
            }
        }
    }
}
