//! The chat at a terminal: a real `moot` on a pseudo-terminal, typed at as fast as a paste types.
#![expect(clippy::disallowed_methods, reason = "real processes are waited for by the clock")]

mod harness;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use harness::{Home, PATIENCE};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A chat with its terminal. It is killed when it is dropped.
struct Chat {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    screen: String,
}

impl Chat {
    fn start(home: &Home, args: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("UTF-8");
        let terminal = OpenOptions::new().read(true).write(true).open(name).expect("the other end");
        let side = || Stdio::from(terminal.try_clone().expect("another handle"));
        let child = Command::new(env!("CARGO_BIN_EXE_moot"))
            .args(["chat", "--nick", &home.nick, "--listen", "127.0.0.1:0"])
            .args(args)
            .arg("--home")
            .arg(home.path())
            .env("TERM", "xterm")
            .env_remove("MOOT_HOME")
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("moot starts");
        let keys = File::from(master);
        let mut screen = keys.try_clone().expect("another handle");
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keys, shown, screen: String::new() }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("typed");
    }

    /// Waits until the screen has shown `text`.
    fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.screen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = self.shown.recv_timeout(left).unwrap_or_else(|_| panic!("{text:?} never: {:?}", self.screen));
            self.screen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn lines_that_come_at_once_are_all_said() {
    let home = Home::new("ana");
    let mut chat = Chat::start(&home, &[]);
    chat.shows("nobody else is here yet, and only this machine reaches 127.0.0.1:");
    chat.shows("ana> ");
    let said: Vec<String> = (1..=40).map(|number| format!("line {number}")).collect();
    chat.types(&(said.join("\r") + "\r"));
    let log = home.until(&["log"], |log| log.as_array().map(Vec::len) >= Some(said.len()));
    let texts: Vec<_> = log.as_array().expect("a list").iter().map(|m| m["text"].as_str().expect("text")).collect();
    assert_eq!(texts, said);
}

#[test]
fn a_key_that_is_no_text_does_not_end_the_chat() {
    let home = Home::new("ana");
    let mut chat = Chat::start(&home, &[]);
    chat.shows("ana> ");
    chat.keys.write_all(b"caf\xff").expect("typed");
    chat.shows("that key is no UTF-8");
    chat.types("hello\r");
    let log = home.until(&["log"], |log| log.as_array().is_some_and(|log| !log.is_empty()));
    assert_eq!(log[0]["text"], "hello");
    // This terminal does not say how wide it is, so the handle cannot stand beside what was typed.
    chat.shows(&format!("[{}]\u{1b}[0m\r\n", log[0]["handle"].as_str().expect("a handle")));
}

#[test]
fn a_line_has_no_handle_before_it_is_on_the_disk() {
    let home = Home::new("ana");
    let mut chat = Chat::start(&home, &[]);
    chat.shows("ana> ");
    let database = rusqlite::Connection::open(home.path().join("moot.db")).expect("the database");
    database.execute_batch("begin immediate").expect("a lock on what the node writes");
    chat.types("hello\r/help\r");
    chat.shows("what you type is said to the room, but for these:");
    let meanwhile = chat.screen.clone();
    database.execute_batch("rollback").expect("no lock");
    let log = home.until(&["log"], |log| log.as_array().is_some_and(|log| !log.is_empty()));
    let handle = log[0]["handle"].as_str().expect("a handle");
    chat.shows(&format!("[{handle}]"));
    assert!(!meanwhile.contains(handle), "{meanwhile:?}");
}

#[test]
fn a_handle_is_understood_with_the_brackets_that_it_is_shown_in() {
    let home = Home::new("ana");
    let mut chat = Chat::start(&home, &[]);
    chat.shows("ana> ");
    chat.types("hello\r");
    let log = home.until(&["log"], |log| log.as_array().is_some_and(|log| !log.is_empty()));
    let handle = log[0]["handle"].as_str().expect("a handle");
    chat.types(&format!("/why [{handle}]\r"));
    chat.shows(" is a message to the room from ");
}
