//! The loop of one node: waits for what is due, for datagrams, the disk, clients and signals; hands each to
//! the node's host and does what it then asks for. Owns the order within a turn. Decides nothing about
//! members or messages.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::{Events, Poll, Token};
use signal_hook_mio::v1_0::Signals;

use super::clerk::Clerk;
use super::control::Control;
use super::disk::Disk;
use super::facts::Facts;
use super::socket::Socket;
use super::{chronicle, clock};
use crate::base::limits::RECEIVE_BATCH_DATAGRAMS;
use crate::base::{Now, Time};
use crate::host::{Host, Output};
use crate::node::api::{Command, Event};
use crate::store::Written;

/// One running node with everything that it touches.
pub(super) struct EventLoop {
    pub(super) host: Host,
    pub(super) facts: Facts,
    pub(super) socket: Socket,
    pub(super) disk: Disk,
    pub(super) clerk: Clerk,
    pub(super) control: Control,
    pub(super) signals: Signals,
    pub(super) asked_to_stop: Arc<AtomicBool>,
    pub(super) poll: Poll,
    pub(super) phase: Phase,
    /// The socket may hold more than the last turn took.
    pub(super) has_input: bool,
    /// Turns in a row in which deadlines had to wait for input that was there before them.
    pub(super) postponed: u32,
    /// How late the loop was when it began to drain what it still drains.
    pub(super) drains_since_lag: Duration,
}

/// How far the life of the node has got.
#[derive(Debug)]
pub(super) enum Phase {
    /// Its run is not durable yet. What it tells meanwhile is told after `ready`.
    Starting {
        held: Vec<Event>,
    },
    Running,
    /// It ends once everything is flushed, at `until` in any case.
    Ending {
        until: Time,
        says_goodbye: bool,
    },
}

/// Why a node ended that should not have.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// What is on the disk is unknown, so the process has to end.
    #[error("{0}")]
    Store(String),
    #[error("the disk is full; make room on it and start again")]
    DiskFull,
    #[error("cannot wait for events: {0}")]
    Poll(#[from] io::Error),
    #[error("the node's thread ended by a fault of the program; its message stands above")]
    Panic,
}

impl EventLoop {
    /// Runs the node until it is asked to end.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run(mut self) -> Result<(), RunError> {
        let mut events = Events::with_capacity(EVENTS_A_TURN);
        self.pump();
        while !self.is_over() {
            let due = self.due();
            self.wait(&mut events, due)?;
            let lag = clock::lag(due, clock::time());
            self.drains_since_lag = if self.postponed > 0 { self.drains_since_lag.max(lag) } else { lag };
            self.turn(&events, self.drains_since_lag)?;
        }
        // The node no longer answers; what it accepted still gets to the disk, and then another process may
        // have the home. Its clients see it end last, so that whoever waited for that finds the home free.
        self.control.close_door();
        let home = self.clerk.close();
        let failed = self.disk.close().into_iter().find_map(fatal);
        drop(home);
        drop(self.control);
        failed.map_or(Ok(()), |why| Err(RunError::Store(why)))
    }

    /// Begins the end: a signed leave first, if `says_goodbye`.
    pub(super) fn end(&mut self, now: Now, says_goodbye: bool) {
        if let Phase::Ending { .. } = self.phase {
            return;
        }
        tracing::info!(says_goodbye, "ending");
        self.phase = Phase::Ending { until: now.time + ENDING_TIME_MAX, says_goodbye };
        if says_goodbye {
            // Refused only by a node that is silent already.
            let _ = self.host.handle_command(now, Command::Leave);
            self.pump();
        }
    }

    /// Does what the host asks for, to the end. Peers and the disk first: they work while people are told.
    pub(super) fn pump(&mut self) {
        let mut events = Vec::new();
        while let Some(output) = self.host.poll_output() {
            match output {
                Output::Store { records, mark } => self.disk.submit(mark, records),
                Output::Transmit { to, bytes, labels: _, is_damaged: _ } => self.socket.send(to, bytes),
                Output::Event(event) => events.push(event),
                // The host counts it.
                Output::Dropped { way, address, why, .. } => tracing::trace!(?way, %address, ?why, "fault"),
            }
        }
        for event in events {
            self.tell(event);
        }
    }

    /// Tells everybody who listens.
    fn tell(&mut self, event: Event) {
        if let Phase::Starting { held } = &mut self.phase {
            held.push(event);
        } else {
            chronicle::note(&event);
            self.control.publish(&event);
        }
    }

    fn is_over(&self) -> bool {
        let Phase::Ending { until, says_goodbye } = self.phase else { return false };
        let is_said = !says_goodbye || self.host.poll_timeout().is_none();
        let is_flushed = self.socket.is_flushed() && self.control.is_flushed() && self.disk.is_idle();
        (is_said && is_flushed) || clock::time() >= until
    }

    /// When the next turn is due, if nothing happens before.
    fn due(&self) -> Option<Time> {
        let ending = match self.phase {
            Phase::Ending { until, .. } => Some(until),
            Phase::Starting { .. } | Phase::Running => None,
        };
        [self.host.poll_timeout(), Some(self.disk.poll_timeout()), ending].into_iter().flatten().min()
    }

    fn wait(&mut self, events: &mut Events, due: Option<Time>) -> io::Result<()> {
        let is_busy = self.has_input || self.control.is_ready();
        let timeout = if is_busy { Some(Duration::ZERO) } else { due.map(|due| due.since(clock::time())) };
        let is_interrupted =
            |polled: &io::Result<()>| polled.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted);
        let mut polled = self.poll.poll(events, timeout);
        if is_interrupted(&polled) {
            // A process that was stopped is interrupted when it goes on: it looks at what came meanwhile before it does
            // what has become due.
            polled = self.poll.poll(events, Some(Duration::ZERO));
        }
        if is_interrupted(&polled) {
            events.clear();
            return Ok(());
        }
        polled
    }

    /// One turn: what arrived comes before what is due, because what arrived late may be what a deadline
    /// waits for.
    fn turn(&mut self, events: &Events, lag: Duration) -> Result<(), RunError> {
        self.sort(events, lag);
        self.receive(lag);
        self.take_written(lag)?;
        self.judge(lag);
        self.serve(lag);
        self.control.flush(clock::wall());
        self.socket.flush(self.poll.registry(), UDP)?;
        Ok(())
    }

    fn sort(&mut self, events: &Events, lag: Duration) {
        for event in events {
            match event.token() {
                UDP => self.has_input |= event.is_readable() || event.is_error(),
                SIGNALS => {
                    if let Some(signal) = self.signals.pending().next() {
                        tracing::info!(signal, "signal");
                        self.end(clock::now(lag), true);
                    }
                }
                WAKE => {
                    if self.asked_to_stop.load(Ordering::Acquire) {
                        self.end(clock::now(lag), true);
                    }
                }
                CONTROL => self.control.handle_connecting(),
                // The control socket numbers its clients.
                _ => self.control.handle_ready(event),
            }
        }
    }

    fn receive(&mut self, lag: Duration) {
        if !self.has_input {
            return;
        }
        for _ in 0..RECEIVE_BATCH_DATAGRAMS {
            let Some((from, bytes)) = self.socket.receive() else {
                self.has_input = false;
                return;
            };
            let now = clock::now(lag);
            self.host.handle_datagram(now, from, bytes);
            self.pump();
        }
    }

    fn take_written(&mut self, lag: Duration) -> Result<(), RunError> {
        while let Some(written) = self.disk.poll_written() {
            let now = clock::now(lag);
            match written {
                Written::Stored { mark, result } => self.host.handle_stored(now, mark, result),
                Written::Fatal(why) => return Err(RunError::Store(why)),
            }
            self.pump();
            self.begin(now)?;
        }
        Ok(())
    }

    /// The node is ready once its run is durable.
    fn begin(&mut self, now: Now) -> Result<(), RunError> {
        let Phase::Starting { held } = &mut self.phase else { return Ok(()) };
        if !self.host.node().is_awake() {
            // The run is in the first batch, and nothing can be said without it.
            return Err(RunError::DiskFull);
        }
        let held = std::mem::take(held);
        self.phase = Phase::Running;
        self.facts.ready_at = now.wall;
        let ready = self.facts.ready(self.host.node());
        chronicle::note(&ready);
        self.control.announce(&ready);
        for event in held {
            self.tell(event);
        }
        Ok(())
    }

    /// Does what is due, once the socket is drained. A flood cannot keep deadlines from being judged for
    /// longer than it takes to drain a full socket.
    fn judge(&mut self, lag: Duration) {
        if self.has_input && self.postponed < POSTPONED_TURNS_MAX {
            self.postponed += 1;
            return;
        }
        self.postponed = 0;
        let now = clock::now(lag);
        if self.host.poll_timeout().is_some_and(|due| due <= now.time) {
            self.host.handle_timeout(now);
            self.pump();
        }
        self.disk.handle_timeout(now.time);
    }

    fn serve(&mut self, lag: Duration) {
        while let Some(answer) = self.clerk.poll_answer() {
            self.handle_answer(clock::now(lag), answer);
        }
        self.control.begin_turn();
        while let Some((asker, request)) = self.control.poll_request() {
            self.handle_request(clock::now(lag), asker, request);
        }
    }
}

fn fatal(written: Written) -> Option<String> {
    match written {
        Written::Fatal(why) => Some(why),
        Written::Stored { .. } => None,
    }
}

pub(super) const UDP: Token = Token(0);
pub(super) const SIGNALS: Token = Token(1);
pub(super) const WAKE: Token = Token(2);
/// Clients have the tokens after it.
pub(super) const CONTROL: Token = Token(3);

const EVENTS_A_TURN: usize = 64;
/// A full socket of 4 MiB holds at most 11,000 datagrams (the kernel counts 768 bytes for the smallest): 43
/// batches.
const POSTPONED_TURNS_MAX: u32 = 64;
/// A node that was asked to end is gone within a second, the disk's last commit included.
const ENDING_TIME_MAX: Duration = Duration::from_millis(700);
