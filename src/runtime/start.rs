//! From an opened home to a running node, and to its end. Owns the order in which things are made, so that
//! whatever is wrong is said before anything has happened.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::{Interest, Poll, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use super::clerk::Clerk;
use super::control::{Control, ControlError, check_path};
use super::disk::Disk;
use super::event_loop::{CONTROL, EventLoop, Phase, RunError, SIGNALS, UDP, WAKE};
use super::facts::Facts;
use super::socket::{BindError, Socket};
use super::{addresses, clock};
use crate::base::Rng;
use crate::faults::{PlanFull, Spec, SpecError};
use crate::host::Host;
use crate::lua::{ScriptError, Scripts, Source};
use crate::node::api::Command;
use crate::node::{Config, Node, Restored};
use crate::store::{self, Home, Room, StoreError, Writer};
use crate::wire::Ticket;

/// What a node is started with.
#[derive(Debug)]
pub struct Options {
    pub home: PathBuf,
    /// For a home that has none, and to change it in one that has.
    pub nick: Option<String>,
    /// The nick of a new home where none was asked for.
    pub nick_default: String,
    /// The name of the room that a new home founds. A room that was never used may be given another, and is the same room then.
    pub room: Option<String>,
    /// The room to join; kept, so that a later start needs no ticket.
    pub ticket: Option<Ticket>,
    /// Where members of the room may be, beside those that the home remembers.
    pub dial: Vec<SocketAddr>,
    /// Must be free if it is given; else the default port on all interfaces, or any.
    pub listen: Option<SocketAddr>,
    /// Fault specs that are on from the start.
    pub faults: Vec<String>,
    /// Scripts that it calls.
    pub scripts: Vec<Source>,
}

/// Why a node did not start. Nothing was sent; a new home may have been made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no room is stored in {}, so there is nobody to look for at an address; join with a ticket: moot join moot:…", home.display())]
    NoRoom { home: PathBuf },
    #[error(transparent)]
    Fault(#[from] SpecError),
    #[error(transparent)]
    Script(#[from] ScriptError),
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
    is_newcomer: bool,
    asked_to_stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: JoinHandle<Result<(), RunError>>,
}

/// Starts a node. When this returns, it listens, and clients can connect. SIGTERM, SIGINT and SIGHUP make it
/// say goodbye and end, instead of ending the process.
///
/// # Errors
/// [`StartError`].
pub fn start(options: &Options) -> Result<Running, StartError> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let asked_to_stop = Arc::new(AtomicBool::new(false));
    let event_loop = build(options, poll, &waker, Arc::clone(&asked_to_stop))?;
    let is_newcomer = event_loop.facts.is_newcomer;
    let thread = thread::Builder::new().name("moot-node".into()).spawn(move || event_loop.run())?;
    Ok(Running { is_newcomer, asked_to_stop, waker, thread })
}

/// The control socket of the home at `dir`.
#[must_use]
pub fn socket_in(dir: &Path) -> PathBuf {
    Home::socket_in(dir)
}

impl Running {
    /// Whether no message had ever come to its home when it started: what was said before then is no news that is late.
    #[must_use]
    pub const fn is_newcomer(&self) -> bool {
        self.is_newcomer
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
    pub fn wait(self) -> Result<(), RunError> {
        self.thread.join().unwrap_or(Err(RunError::Panic))
    }
}

fn build(
    options: &Options,
    poll: Poll,
    waker: &Arc<Waker>,
    asked_to_stop: Arc<AtomicBool>,
) -> Result<EventLoop, StartError> {
    let now = clock::now(Duration::ZERO);
    let rng = seeded()?;
    check_path(&socket_in(&options.home))?;
    let scripts = Scripts::load(&options.scripts, &rng.split("scripts"), now.time)?;
    let faults = options.faults.iter().map(|spec| spec.parse()).collect::<Result<Vec<Spec>, _>>()?;
    let is_there = Home::exists(&options.home);
    if !is_there && options.ticket.is_none() && !options.dial.is_empty() {
        return Err(StartError::NoRoom { home: options.home.clone() });
    }
    // That the home is in use says more than that its address is.
    let held = if is_there { Some(open_home(options, &rng)?) } else { None };
    let mut socket = Socket::bind(options.listen)?;
    socket.register(poll.registry(), UDP)?;
    let mut home = match held {
        Some(home) => changed(home, options)?,
        None => open_home(options, &rng)?,
    };
    let control = Control::bind(&home.socket(), poll.registry(), CONTROL)?;
    let signals = watch_signals(&poll)?;

    let (records, ended) = store::load_with_ended(&home)?;
    let restored = Restored::fold(&records);
    drop(records);
    let is_newcomer = restored.messaging.lamport == 0;
    home.note_database()?;
    let writer = Writer::start(&home, Box::new(waking(waker)))?;
    let addresses = addresses::reachable_at(socket.bound());
    tracing::info!(bound = %socket.bound(), ?addresses, buffers = ?socket.buffers(), "listening");
    let config = Config {
        identity: home.identity().clone(),
        room: home.room().id,
        room_name: home.room().name.clone(),
        secret: home.room().secret.clone(),
        nick: home.nick().to_owned(),
        addresses: addresses.clone(),
        labels_frames: false,
        ended,
    };
    let node = Node::new(config, restored, rng.split("node").bytes(), now);
    let mut host = Host::new(node, rng.split("faults").bytes(), now).with_scripts(scripts);
    for spec in faults {
        host.change_faults(now, spec)?;
    }
    let known = home.room().addresses.iter().chain(&options.dial).copied().collect();
    // A node that has just begun refuses nothing.
    let _ = host.handle_command(now, Command::Join { addresses: known });

    let (nick, room) = (home.nick().to_owned(), home.room().clone());
    let facts = Facts { nick, room, addresses, ready_at: now.wall, is_newcomer };
    let settler = writer.settler();
    Ok(EventLoop {
        host,
        facts,
        socket,
        disk: Disk::new(writer, now.time),
        clerk: Clerk::start(home, settler, waking(waker))?,
        control,
        signals,
        asked_to_stop,
        poll,
        phase: Phase::Starting { held: Vec::new() },
        has_input: false,
        postponed: 0,
        drains_since_lag: Duration::ZERO,
    })
}

/// A generator that the system seeded: no two are the same, and nobody can guess what it draws.
///
/// # Errors
/// [`StartError::Randomness`].
pub fn seeded() -> Result<Rng, StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| StartError::Randomness(error.to_string()))?;
    Ok(Rng::from_seed(seed))
}

fn watch_signals(poll: &Poll) -> io::Result<Signals> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
    Ok(signals)
}

/// Opens the home as it is. Where there is none, makes it with the nick and the room that were asked for.
fn open_home(options: &Options, rng: &Rng) -> Result<Home, StartError> {
    let nick = options.nick.as_ref().unwrap_or(&options.nick_default);
    let name = options.room.clone().unwrap_or_else(|| format!("{nick}'s moot"));
    let room = options.ticket.clone().map_or_else(|| founded(&name, rng), room_of);
    Ok(Home::open(&options.home, nick, room, &mut rng.split("home"))?)
}

/// Gives a home that was there the nick and the room that were asked for.
fn changed(mut home: Home, options: &Options) -> Result<Home, StartError> {
    if let Some(ticket) = options.ticket.clone() {
        home.replace_room(room_of(ticket))?;
    } else if let Some(name) = &options.room {
        home.rename_room(name)?;
    }
    if let Some(nick) = options.nick.as_deref().filter(|&nick| nick != home.nick()) {
        home.set_nick(nick)?;
    }
    Ok(home)
}

fn founded(name: &str, rng: &Rng) -> Room {
    Room::found(name, &mut rng.split("room"))
}

fn room_of(ticket: Ticket) -> Room {
    Room { id: ticket.room, name: ticket.room_name, secret: ticket.secret, addresses: ticket.addresses }
}

fn waking(waker: &Arc<Waker>) -> impl Fn() + Send + 'static {
    let waker = Arc::clone(waker);
    move || {
        // It fails only where the loop is gone, and then nobody is to be woken.
        let _ = waker.wake();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::node::api::{Event, EventKind};
    use crate::runtime::Client;
    use crate::runtime::protocol::{Request, Response};

    const SOON: Duration = Duration::from_secs(20);

    /// How a person starts a node that nobody else knows.
    pub fn options(home: &Path) -> Options {
        Options {
            home: home.to_owned(),
            nick: None,
            nick_default: "ana".into(),
            room: None,
            ticket: None,
            dial: Vec::new(),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            faults: Vec::new(),
            scripts: Vec::new(),
        }
    }

    fn heard(client: &mut Client, wanted: impl Fn(&EventKind) -> bool) -> Event {
        let until = clock::time() + SOON;
        while let Some(event) = client.next_event_within(until.since(clock::time())).unwrap() {
            if wanted(&event.kind) {
                return event;
            }
        }
        panic!("not told in time");
    }

    fn asked(client: &mut Client, request: Request) -> Response {
        let response = client.ask(request).unwrap();
        assert!(!matches!(response, Response::Error(_)), "{response:?}");
        response
    }

    #[test]
    fn a_node_answers_on_its_socket_until_it_is_asked_to_end() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let running = start(&options(&home)).unwrap();
        assert!(running.is_newcomer());
        let mut client = Client::connect(&socket_in(&home)).unwrap();
        let mut tail = Client::connect(&socket_in(&home)).unwrap();
        tail.begin_tail(Some(0)).unwrap();
        let ready = tail.next_event_within(SOON).unwrap().unwrap();
        let EventKind::Ready { nick, room, ticket, .. } = ready.kind else { panic!("{ready:?}") };
        assert_eq!((ready.n, nick.as_str(), room.as_str()), (0, "ana", "ana's moot"));
        assert!(ticket.parse::<Ticket>().is_ok(), "{ticket}");

        let Response::Status(status) = asked(&mut client, Request::Status) else { panic!() };
        assert!(status.node.addr.starts_with("127.0.0.1:"), "{}", status.node.addr);
        assert!(status.counters.contains_key("udp_received"));

        let Response::Sent(sent) = asked(&mut client, Request::Send { to: None, text: "hello".into(), follow: false })
        else {
            panic!()
        };
        let told = heard(&mut tail, |kind| matches!(kind, EventKind::Message(message) if message.id == sent.id));
        assert!(told.n > 0);

        asked(&mut client, Request::Nick { nick: "anna".into() });
        let mut later = Client::connect(&socket_in(&home)).unwrap();
        later.begin_tail(None).unwrap();
        let renamed = heard(&mut later, |kind| matches!(kind, EventKind::Ready { nick, .. } if nick == "anna"));
        assert_eq!(renamed.at, ready.at, "it did not start anew");

        let begun = clock::time();
        running.stop();
        running.wait().unwrap();
        assert!(clock::time().since(begun) < Duration::from_secs(1));
        assert!(!socket_in(&home).exists());
        while tail.next_event().unwrap().is_some() {}
        let again = start(&options(&home)).unwrap();
        assert!(!again.is_newcomer(), "a message is on its disk");
        again.stop();
        again.wait().unwrap();
    }

    #[test]
    fn faults_are_told_and_shown_while_they_are_on() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let running = start(&Options { faults: vec!["loss=5%".into()], ..options(&home) }).unwrap();
        let mut client = Client::connect(&socket_in(&home)).unwrap();
        client.begin_tail(Some(0)).unwrap();
        heard(&mut client, |kind| matches!(kind, EventKind::Fault { spec: Some(spec) } if spec == "loss=5%"));
        assert_eq!(asked(&mut client, Request::Fault { spec: None }), Response::Faults(vec!["loss=5%".into()]));
        let zoe = client.ask(Request::Fault { spec: Some("cut to zoe".into()) }).unwrap();
        assert!(matches!(zoe, Response::Error(_)), "{zoe:?}");
        assert_eq!(asked(&mut client, Request::Fault { spec: Some("off".into()) }), Response::Faults(Vec::new()));
        heard(&mut client, |kind| matches!(kind, EventKind::Fault { spec: None }));
        asked(&mut client, Request::Stop);
        running.wait().unwrap();
    }

    #[test]
    fn what_is_wrong_is_said_before_a_home_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let wrong = [
            Options { listen: Some(address), ..options(&home) },
            Options { faults: vec!["lose 5%".into()], ..options(&home) },
            Options { dial: vec![address], ..options(&home) },
            Options { nick: Some("2bo".into()), ..options(&home) },
        ];
        for options in wrong {
            let error = start(&options).unwrap_err().to_string();
            assert!(!error.contains('\n'), "{error}");
            assert!(!Home::exists(&home), "{error}");
        }
    }

    #[test]
    fn a_home_keeps_its_room_and_takes_a_new_nick() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let ticket_of = |options| {
            let running = start(&options).unwrap();
            let mut client = Client::connect(&socket_in(&home)).unwrap();
            client.begin_tail(None).unwrap();
            let ready = heard(&mut client, |kind| matches!(kind, EventKind::Ready { .. }));
            asked(&mut client, Request::Leave);
            running.wait().unwrap();
            let EventKind::Ready { nick, ticket, .. } = ready.kind else { panic!() };
            (nick, ticket.parse::<Ticket>().unwrap())
        };
        let (nick, first) = ticket_of(options(&home));
        assert_eq!(nick, "ana");
        let (nick, second) = ticket_of(Options { nick: Some("anna".into()), ..options(&home) });
        assert_eq!((nick.as_str(), second.room), ("anna", first.room));
        let (_, named) = ticket_of(Options { room: Some("the den".into()), ..options(&home) });
        let is_same = (named.room, named.secret) == (first.room, first.secret);
        assert!(is_same, "the ticket that was handed out still leads here");
        assert_eq!(named.room_name, "the den");
        let bo = dir.path().join("bo");
        let running = start(&Options { ticket: Some(second.clone()), ..options(&bo) }).unwrap();
        running.stop();
        running.wait().unwrap();
        let home =
            Home::open(&bo, "bo", Room::found("other", &mut Rng::from_seed([1; 32])), &mut Rng::from_seed([1; 32]));
        assert_eq!(home.unwrap().room().id, first.room);
    }
}
