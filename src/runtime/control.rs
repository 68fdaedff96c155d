//! The server side of `HOME/control.sock`. Owns the listening socket and its clients; gives out requests and
//! takes answers and events. Knows no node: who answers is not its business.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use super::connection::{About, Connection, Told};
use super::protocol::{NO_REQUEST, Request, RequestError, RequestId, Response, ResponseLine};
use super::recent::Recent;
use crate::base::limits::CONTROL_CONNECTIONS_MAX;
use crate::base::{EventNumber, Wall};
use crate::node::api::Event;

/// The control socket and its clients.
pub(super) struct Control {
    listener: UnixListener,
    /// Where the socket is; `None` once it is removed.
    path: Option<PathBuf>,
    registry: Registry,
    connections: BTreeMap<Token, Connection>,
    next_token: Token,
    recent: Recent,
    /// The first event of every tail.
    ready: Option<Told>,
    /// Connections in the order in which they are asked for requests next, and how many each may still have in this turn.
    turns: VecDeque<(Token, usize)>,
}

/// Who asked what: an answer goes there, or nowhere if the client is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asker {
    connection: Token,
    id: RequestId,
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("the path {} is too long for a socket ({bytes} bytes, this system takes {max}); choose a shorter home with --home DIR", path.display())]
    PathTooLong { path: PathBuf, bytes: usize, max: usize },
    #[error("cannot make {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl Control {
    /// Listens at `path`. The caller owns the home, so a socket that is there already is what a process that
    /// ended left behind. The listener gets `token`, clients the ones after it.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn bind(path: &Path, registry: &Registry, token: Token) -> Result<Self, ControlError> {
        check_path(path)?;
        let failed = |source| ControlError::Io { path: path.to_owned(), source };
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let mut listener = UnixListener::bind(path).map_err(failed)?;
        // The home is closed to others already; this says so for the file by itself.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let registry = registry.try_clone().map_err(failed)?;
        registry.register(&mut listener, token, Interest::READABLE).map_err(failed)?;
        Ok(Self {
            listener,
            path: Some(path.to_owned()),
            registry,
            connections: BTreeMap::new(),
            next_token: Token(token.0 + 1),
            recent: Recent::default(),
            ready: None,
            turns: VecDeque::new(),
        })
    }

    /// Removes the socket: who comes later is told at once that nobody is here. Who is connected stays so until the end.
    pub fn close_door(&mut self) {
        if let Some(path) = self.path.take() {
            let _ = fs::remove_file(path);
        }
    }

    /// The poll says that somebody connects.
    pub fn handle_connecting(&mut self) {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // No more; or no file descriptor is left, and the client gives up or is taken with the next.
                Err(_) => return,
            };
            if self.connections.len() >= CONTROL_CONNECTIONS_MAX {
                tracing::warn!(max = CONTROL_CONNECTIONS_MAX, "too many clients at once: one was turned away");
                turn_away(&mut stream);
                continue;
            }
            let token = self.next_token;
            self.next_token = Token(token.0 + 1);
            if self.registry.register(&mut stream, token, Interest::READABLE).is_ok() {
                self.connections.insert(token, Connection::new(stream));
            }
        }
    }

    /// The poll says something about a client.
    pub fn handle_ready(&mut self, event: &mio::event::Event) {
        let Some(connection) = self.connections.get_mut(&event.token()) else { return };
        if event.is_readable() || event.is_read_closed() {
            connection.handle_readable();
        }
        if event.is_write_closed() || event.is_error() {
            connection.handle_hangup();
        }
    }

    /// The next request, at most `REQUESTS_A_TURN` of one client before the others.
    pub fn poll_request(&mut self) -> Option<(Asker, Request)> {
        while let Some((token, left)) = self.turns.pop_front() {
            let Some(line) = self.connections.get_mut(&token).and_then(Connection::poll_request) else { continue };
            if left > 1 {
                self.turns.push_back((token, left - 1));
            }
            return Some((Asker { connection: token, id: line.id }, line.request));
        }
        None
    }

    /// Gives every client that may have something to ask its share of this turn.
    pub fn begin_turn(&mut self) {
        self.turns.clear();
        let ready = self.connections.iter().filter(|(_, connection)| connection.is_ready());
        self.turns.extend(ready.map(|(&token, _)| (token, REQUESTS_A_TURN)));
    }

    /// Whether there are requests to take without a word from the poll.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.connections.values().any(Connection::is_ready)
    }

    pub fn answer(&mut self, asker: Asker, response: Response) {
        if let Some(connection) = self.connections.get_mut(&asker.connection) {
            connection.answer(asker.id, response);
        }
    }

    /// Passes the events about something on to the asker from now on.
    pub fn follow(&mut self, asker: Asker, about: About) {
        if let Some(connection) = self.connections.get_mut(&asker.connection) {
            connection.listen(asker.id, about);
        }
    }

    /// Begins a tail: `ready`, what is still held of the events after `since`, and then each new one.
    pub fn tail(&mut self, asker: Asker, since: Option<EventNumber>) {
        let Some(connection) = self.connections.get_mut(&asker.connection) else { return };
        connection.listen(asker.id, About::Everything);
        if let Some(ready) = &self.ready {
            connection.tell_stream(asker.id, ready);
        }
        let Some(since) = since else { return };
        for told in self.recent.after(since) {
            connection.tell_stream(asker.id, told);
        }
    }

    /// The node is ready: every tail begins with that event, and those that began before it get it now.
    pub fn announce(&mut self, event: &Event) {
        let told = Told::of(event);
        self.tell_all(&told);
        self.ready = Some(told);
    }

    /// What `ready` says has changed: tails that begin from now on get it as it is now.
    pub fn renew_ready(&mut self, event: &Event) {
        self.ready = Some(Told::of(event));
    }

    /// Passes an event to whoever listens.
    pub fn publish(&mut self, event: &Event) {
        let told = Told::of(event);
        self.tell_all(&told);
        self.recent.push(told);
    }

    /// Writes what the clients take, and lets go of those that are done.
    pub fn flush(&mut self, at: Wall) {
        for (&token, connection) in &mut self.connections {
            connection.flush(at);
            connection.watch(&self.registry, token);
        }
        for mut gone in self.connections.extract_if(.., |_, connection| connection.is_done()) {
            let _ = self.registry.deregister(gone.1.stream_mut());
        }
    }

    /// Whether the clients have taken all that they are owed.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.connections.values().all(Connection::is_flushed)
    }

    fn tell_all(&mut self, told: &Told) {
        for connection in self.connections.values_mut() {
            connection.tell(told);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.close_door();
    }
}

/// Says why a client is not served, instead of an answer to whatever it asks. The buffer of a new connection takes the line; a
/// client that is gone already misses nothing.
fn turn_away(stream: &mut UnixStream) {
    let full = format!("{CONTROL_CONNECTIONS_MAX} clients talk to this node already; end one of them and try again");
    let line = ResponseLine { id: NO_REQUEST, response: Response::Error(RequestError::refused(full)) };
    let mut bytes = serde_json::to_vec(&line).expect("responses are plain data");
    bytes.push(b'\n');
    let _ = stream.write(&bytes);
}

/// Checks that the system takes `path` as the address of a socket.
///
/// # Errors
/// [`ControlError::PathTooLong`].
pub(super) fn check_path(path: &Path) -> Result<(), ControlError> {
    let bytes = OsStr::as_bytes(path.as_os_str()).len();
    if bytes > PATH_BYTES_MAX {
        return Err(ControlError::PathTooLong { path: path.to_owned(), bytes, max: PATH_BYTES_MAX });
    }
    Ok(())
}

/// A script that asks without waiting must not make the others wait.
const REQUESTS_A_TURN: usize = 64;
/// `sun_path` without its final zero: `man 7 unix`, and `sys/un.h` of macOS.
const PATH_BYTES_MAX: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::api::EventKind;
    use mio::{Events, Poll};
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::net::UnixStream as ClientStream;
    use std::time::Duration;

    const LISTENER: Token = Token(10);

    /// A server that knows one answer, driven by the test's own thread.
    struct Server {
        poll: Poll,
        control: Control,
        asked: Vec<(Asker, Request)>,
    }

    impl Server {
        fn at(path: &Path) -> Self {
            let poll = Poll::new().unwrap();
            let control = Control::bind(path, poll.registry(), LISTENER).unwrap();
            Self { poll, control, asked: Vec::new() }
        }

        /// Turns until `count` requests were taken.
        fn serve(&mut self, count: usize) {
            let mut events = Events::with_capacity(16);
            while self.asked.len() < count {
                let timeout = if self.control.is_ready() { Duration::ZERO } else { Duration::from_secs(5) };
                self.poll.poll(&mut events, Some(timeout)).unwrap();
                assert!(!events.is_empty() || self.control.is_ready(), "nothing came");
                for event in &events {
                    if event.token() == LISTENER {
                        self.control.handle_connecting();
                    } else {
                        self.control.handle_ready(event);
                    }
                }
                self.control.begin_turn();
                while let Some(asked) = self.control.poll_request() {
                    self.control.answer(asked.0, Response::Done);
                    self.asked.push(asked);
                }
                self.control.flush(Wall(1));
            }
        }
    }

    fn event(n: u64) -> Event {
        Event { n, at: Wall(1), cause: None, kind: EventKind::Fault { spec: None } }
    }

    #[test]
    fn clients_are_answered_on_their_own_connection() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let mut server = Server::at(&path);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut clients: Vec<ClientStream> = (0..3).map(|_| ClientStream::connect(&path).unwrap()).collect();
        for (id, client) in (1..).zip(&mut clients) {
            let lines = format!("{{\"id\":{id},\"request\":\"status\"}}\n").repeat(40);
            client.write_all(lines.as_bytes()).unwrap();
        }
        server.serve(120);
        for (id, client) in (1..).zip(clients) {
            let mut line = String::new();
            BufReader::new(client).read_line(&mut line).unwrap();
            assert_eq!(line, format!("{{\"id\":{id},\"response\":\"done\"}}\n"));
        }
    }

    #[test]
    fn a_client_too_many_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let mut server = Server::at(&path);
        let mut clients: Vec<ClientStream> =
            (0..=CONTROL_CONNECTIONS_MAX).map(|_| ClientStream::connect(&path).unwrap()).collect();
        clients[0].write_all(b"{\"id\":1,\"request\":\"status\"}\n").unwrap();
        server.serve(1);
        let mut line = String::new();
        BufReader::new(clients.pop().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("64 clients talk to this node already"), "{line}");
        assert!(line.starts_with("{\"id\":0,"), "{line}");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_one_s_own_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let server = Server::at(&path);
        ClientStream::connect(&path).unwrap();
        drop(server);
        assert!(!path.exists());
    }

    #[test]
    fn a_tail_begins_with_ready_and_what_was_missed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let mut server = Server::at(&path);
        server.control.announce(&event(0));
        (1..=3).for_each(|n| server.control.publish(&event(n)));
        let mut client = ClientStream::connect(&path).unwrap();
        client.write_all(b"{\"id\":1,\"request\":{\"tail\":{\"since\":1}}}\n").unwrap();
        server.serve(1);
        let (asker, request) = server.asked.remove(0);
        assert_eq!(request, Request::Tail { since: Some(1) });
        server.control.tail(asker, Some(1));
        server.control.publish(&event(4));
        server.control.flush(Wall(1));
        drop(server);
        let numbers: Vec<u64> = BufReader::new(client)
            .lines()
            .skip(1)
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .map(|line: ResponseLine| match line.response {
                Response::Event(event) => event.n,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(numbers, [0, 2, 3, 4]);
    }

    #[test]
    fn a_path_that_is_too_long_is_said_to_be() {
        let poll = Poll::new().unwrap();
        let path = Path::new("/tmp").join("x".repeat(120)).join("control.sock");
        let error = Control::bind(&path, poll.registry(), LISTENER).err().unwrap();
        assert!(matches!(error, ControlError::PathTooLong { .. }), "{error}");
    }
}
