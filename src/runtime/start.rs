//! From an opened home to a running node, and to its end. Owns the order in which things are made, so that
//! whatever is wrong is said before anything has happened.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::{Interest, Poll, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use super::clerk::Clerk;
use super::client::{Client, ClientError};
use super::control::{Control, ControlError};
use super::disk::Disk;
use super::edge::Edge;
use super::event_loop::{CONTROL, EventLoop, Phase, RunError, SIGNALS, UDP, WAKE};
use super::facts::Facts;
use super::protocol::{Request, Response};
use super::socket::{BindError, Socket};
use super::{addresses, clock};
use crate::base::{Rng, Time};
use crate::faults::{PlanFull, Spec, SpecError};
use crate::node::api::Command;
use crate::node::{Config, Node, Restored};
use crate::store::{self, Home, StoreError, Writer};

/// What a node is started with.
#[derive(Debug)]
pub struct Options {
    /// The identity, the nick and the room are its own. It is given back to the next process when the node
    /// has ended.
    pub home: Home,
    /// Must be free if it is given; else the default port on all interfaces, or any.
    pub listen: Option<SocketAddr>,
    /// Where members of the room may be, beside those that the home remembers.
    pub join: Vec<SocketAddr>,
    /// Fault specs that are on from the start.
    pub faults: Vec<String>,
    /// Whether SIGTERM, SIGINT and SIGHUP end the node (with a goodbye) instead of the process.
    pub handles_signals: bool,
}

/// Why a node did not start. Nothing was sent, and nothing was written but an empty database.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("--fault {spec}: {source}")]
    Fault { spec: String, source: SpecError },
    #[error(transparent)]
    FaultsFull(#[from] PlanFull),
    #[error("the system gave no randomness: {0}")]
    Randomness(String),
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// A node that runs on a thread of its own.
#[derive(Debug)]
pub struct Running {
    home: PathBuf,
    asked_to_stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: JoinHandle<Result<(), RunError>>,
}

/// Starts the node of a home. When this returns, it listens, and clients can connect.
///
/// # Errors
/// [`StartError`].
pub fn start(options: Options) -> Result<Running, StartError> {
    let home = options.home.dir().to_owned();
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let asked_to_stop = Arc::new(AtomicBool::new(false));
    let event_loop = build(options, poll, &waker, Arc::clone(&asked_to_stop))?;
    let thread = thread::Builder::new().name("moot-node".into()).spawn(move || event_loop.run())?;
    Ok(Running { home, asked_to_stop, waker, thread })
}

/// Starts the node of a home and writes its events to `out`, one JSON object a line, until it ends. The node
/// goes on when `out` is closed, and never waits for it.
///
/// # Errors
/// [`HeadlessError`].
pub fn run(options: Options, out: impl Write) -> Result<(), HeadlessError> {
    let running = start(options)?;
    // An error of the stream means that the node has ended, and `join` says why.
    let _ = running.client().and_then(|client| copy_events(client, out));
    Ok(running.join()?)
}

/// Why [`run`] failed.
#[derive(Debug, thiserror::Error)]
pub enum HeadlessError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Run(#[from] RunError),
}

impl Running {
    /// A client of this node.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn client(&self) -> Result<Client, ClientError> {
        Client::connect(&self.home)
    }

    /// Asks the node to say goodbye and end.
    pub fn stop(&self) {
        self.asked_to_stop.store(true, Ordering::Release);
        // It fails only where the loop is gone.
        let _ = self.waker.wake();
    }

    /// Waits until the node has ended.
    ///
    /// # Errors
    /// [`RunError`] when it ended by itself.
    pub fn join(self) -> Result<(), RunError> {
        self.thread.join().unwrap_or(Err(RunError::Panic))
    }
}

fn build(
    options: Options,
    poll: Poll,
    waker: &Arc<Waker>,
    asked_to_stop: Arc<AtomicBool>,
) -> Result<EventLoop, StartError> {
    let Options { home, listen, join, faults, handles_signals } = options;
    let now = clock::now(Duration::ZERO);
    let rng = seeded()?;
    let mut socket = Socket::bind(listen)?;
    socket.register(poll.registry(), UDP)?;
    let control = Control::bind(&home.socket(), poll.registry(), CONTROL)?;
    let signals = if handles_signals { Some(watch_signals(&poll)?) } else { None };
    let edge = edge_with(&home, &rng, &faults)?;

    let restored = Restored::fold(&store::load(&home)?);
    let writer = Writer::start(&home, now.wall, Box::new(waking(waker)))?;
    let addresses = addresses::reachable_at(socket.bound());
    tracing::info!(bound = %socket.bound(), ?addresses, buffers = ?socket.buffers(), "listening");
    let config = Config {
        identity: home.identity().clone(),
        room: home.room().id,
        room_name: home.room().name.clone(),
        secret: home.room().secret.clone(),
        nick: home.nick().to_owned(),
        addresses: addresses.clone(),
    };
    let mut node = Node::new(config, restored, rng.split("node").bytes(), now);
    let known = home.room().addresses.iter().chain(&join).copied().collect();
    // A node that has just begun refuses nothing.
    let _ = node.handle_command(now, Command::Join { addresses: known });

    let facts = Facts { nick: home.nick().to_owned(), room: home.room().clone(), addresses };
    Ok(EventLoop {
        node,
        facts,
        socket,
        edge,
        disk: Disk::new(writer, now.time),
        clerk: Clerk::start(home, waking(waker))?,
        control,
        signals,
        asked_to_stop,
        poll,
        phase: Phase::Starting { held: Vec::new() },
        has_input: false,
        postponed: 0,
        learn_due: Time::ZERO,
    })
}

fn seeded() -> Result<Rng, StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| StartError::Randomness(error.to_string()))?;
    Ok(Rng::from_seed(seed))
}

fn watch_signals(poll: &Poll) -> io::Result<Signals> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
    Ok(signals)
}

fn edge_with(home: &Home, rng: &Rng, faults: &[String]) -> Result<Edge, StartError> {
    let mut edge = Edge::new(home.identity().id(), rng.split("faults").bytes());
    for spec in faults {
        match spec.parse() {
            Ok(Spec::Add(rules)) => edge.add(rules)?,
            Ok(Spec::Off) => edge.clear(),
            Err(source) => return Err(StartError::Fault { spec: spec.clone(), source }),
        }
    }
    Ok(edge)
}

fn waking(waker: &Arc<Waker>) -> impl Fn() + Send + 'static {
    let waker = Arc::clone(waker);
    move || {
        // It fails only where the loop is gone, and then nobody is to be woken.
        let _ = waker.wake();
    }
}

/// A tail from the first event on. Where nobody reads any more, the node goes on without.
fn copy_events(mut client: Client, mut out: impl Write) -> Result<(), ClientError> {
    client.ask(&Request::Tail { since: Some(0) })?;
    while let Some(line) = client.next_line(None)? {
        if let Response::Event(event) = line.response {
            let json = serde_json::to_string(&event).expect("events are plain data");
            if writeln!(out, "{json}").and_then(|()| out.flush()).is_err() {
                tracing::warn!("nobody reads the events any more");
                return Ok(());
            }
        }
    }
    Ok(())
}
