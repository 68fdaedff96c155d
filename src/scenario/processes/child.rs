//! One `moot node` child: started, listened to, asked, signalled, and always ended by its own pid. Owns the process and the
//! thread that reads its output; knows nothing of what its events mean.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::machine::Machine;
use crate::base::Time;
use crate::faults::Rule;
use crate::node::api::Event;
use crate::runtime::protocol::{Request, Response};
use crate::runtime::{Client, ClientError, clock, socket_in};

/// A running child. Dropping it kills it.
pub(super) struct Child {
    inner: process::Child,
    number: u64,
    socket: PathBuf,
    client: Option<Client>,
    /// When this closes, the node leaves: also where this process is killed and nothing of it runs any more.
    _input: Option<ChildStdin>,
}

/// Something that a child said, or that it says nothing any more.
pub(super) struct Heard {
    pub child: u64,
    pub at: Time,
    pub said: Said,
}

pub(super) enum Said {
    Event(Box<Event>),
    /// A line that is no event.
    Nonsense(String),
    /// Its output is over.
    Nothing,
}

impl Child {
    /// Starts a node on the home of `machine`, with `faults` on from its first datagram. What it says goes to `ears` under
    /// `number`.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(
        program: &Path,
        machine: &Machine,
        faults: &[Rule],
        number: u64,
        ears: SyncSender<Heard>,
    ) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(&machine.log)?;
        let mut command = Command::new(program);
        command.args(["node", "--until-eof", "--listen"]).arg(machine.address.to_string());
        command.arg("--home").arg(&machine.home);
        command.args(faults.iter().flat_map(|rule| ["--fault".to_owned(), rule.to_string()]));
        command.env_remove("MOOT_HOME").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        // Ctrl-C is for whoever drives the fleet.
        command.process_group(0);
        let mut inner = command.spawn()?;
        let (output, input) = (inner.stdout.take(), inner.stdin.take());
        let child = Self { inner, number, socket: socket_in(&machine.home), client: None, _input: input };
        let listen = move || listen(output, number, &ears);
        thread::Builder::new().name(format!("moot-ear-{}", machine.name)).spawn(listen)?;
        Ok(child)
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn pid(&self) -> u32 {
        self.inner.id()
    }

    /// Asks the node over its control socket.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ask(&mut self, request: Request) -> Result<Response, ClientError> {
        if self.client.is_none() {
            self.client = Some(Client::connect(&self.socket)?);
        }
        let answer = self.client.as_mut().expect("connected above").ask_within(request, ANSWER_TIME_MAX);
        if answer.is_err() {
            self.client = None;
        }
        answer
    }

    /// SIGSTOP; returns once the process stands. One of its threads takes the signal, and on a busy machine the others run on
    /// until that one's turn.
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        let stands = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        retry_on_intr(|| waitid(WaitId::Pid(Pid::from_child(&self.inner)), stands))?;
        Ok(())
    }

    /// SIGCONT.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        // It fails only where the process is over.
        let _ = self.inner.kill();
    }

    /// Takes leave of a child whose output is over, and says how it ended.
    pub fn end(&mut self) -> String {
        self.kill();
        self.inner.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        // The child was not waited for, so the pid is still its own.
        Ok(kill_process(Pid::from_child(&self.inner), signal)?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.inner.kill();
        let _ = self.inner.wait();
    }
}

fn listen(output: Option<ChildStdout>, child: u64, ears: &SyncSender<Heard>) {
    let said = |said| ears.send(Heard { child, at: clock::time(), said }).is_ok();
    for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()).map_while(Result::ok) {
        let event = serde_json::from_str(&line);
        let goes_on = match event {
            Ok(event) => said(Said::Event(Box::new(event))),
            Err(_) => said(Said::Nonsense(line)),
        };
        if !goes_on {
            return;
        }
    }
    said(Said::Nothing);
}

/// The end of what was written to a log, as the end of a sentence about it; nothing where there is nothing.
pub(super) fn last_words(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LAST_WORDS_LINES)..];
    if last.is_empty() { String::new() } else { format!("; it wrote last:\n  {}", last.join("\n  ")) }
}

/// A node answers within a turn of its loop; this is for a machine that is busy with many.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
const LAST_WORDS_BYTES: u64 = 4096;
const LAST_WORDS_LINES: usize = 8;
