//! One client of the control socket: bytes in, request lines out; responses and events in, bytes out. Owns
//! the backlog and its bound: a client that does not read loses events, is told how many, and never makes
//! the node wait. Knows no node.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use super::lines::Lines;
use super::protocol::{RequestError, RequestId, RequestLine, Response, ResponseLine};
use crate::base::limits::{CONTROL_BACKLOG_BYTES_MAX, CONTROL_REQUEST_BYTES_MAX, CONTROL_STREAMS_MAX};
use crate::base::{EventNumber, MessageId, Wall};
use crate::node::api::{Event, EventKind};

/// A client, and what it is owed.
pub(super) struct Connection {
    stream: UnixStream,
    lines: Lines,
    backlog: VecDeque<u8>,
    /// What each stream of events is about.
    streams: BTreeMap<RequestId, Stream>,
    /// The kernel may have more input: said by the poll, until a read finds none.
    is_readable: bool,
    /// `lines` may hold a whole one.
    may_hold_line: bool,
    /// A request was given out and not answered. Requests are taken one at a time, so that a client that
    /// asks without reading makes the node hold one answer for it.
    awaits_answer: bool,
    /// The client is gone altogether, or will read no more.
    is_hung_up: bool,
    /// Registered for writability too: only while something waits, because each line that the client takes
    /// would wake the loop otherwise.
    awaits_writable: bool,
    state: State,
}

/// A stream of events under one request id.
struct Stream {
    about: About,
    /// Events that found no room, and the newest of them.
    missed: u64,
    newest_missed: EventNumber,
}

/// Which events a stream gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum About {
    Everything,
    Message(MessageId),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    /// Nothing is read any more; what is owed is still written.
    Closing,
    Closed,
}

/// An event with its JSON, which is written once however many listen.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub n: EventNumber,
    pub at: Wall,
    /// The message it is about, if it is about one.
    pub message: Option<MessageId>,
    pub json: Arc<str>,
}

impl Connection {
    #[must_use]
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            lines: Lines::new(CONTROL_REQUEST_BYTES_MAX),
            backlog: VecDeque::new(),
            streams: BTreeMap::new(),
            is_readable: false,
            may_hold_line: false,
            awaits_answer: false,
            is_hung_up: false,
            awaits_writable: false,
            state: State::Open,
        }
    }

    pub fn stream_mut(&mut self) -> &mut UnixStream {
        &mut self.stream
    }

    /// The poll says that there is input, or the end of it.
    pub fn handle_readable(&mut self) {
        self.is_readable = true;
    }

    /// The poll says that the client takes nothing any more.
    pub fn handle_hangup(&mut self) {
        self.is_readable = true;
        self.is_hung_up = true;
    }

    /// The next request, or `None` when there is none now: no input, the one before is not answered yet, or
    /// too much is owed already.
    pub fn poll_request(&mut self) -> Option<RequestLine> {
        while self.wants_requests() {
            match self.lines.next_line() {
                Ok(Some(line)) => match serde_json::from_slice(line) {
                    Ok(request) => {
                        self.awaits_answer = true;
                        return Some(request);
                    }
                    Err(error) => {
                        let text = format!("not understood: {error}");
                        self.answer(0, Response::Error(RequestError::usage(text)));
                    }
                },
                Ok(None) => {
                    self.may_hold_line = false;
                    if !self.is_readable {
                        return None;
                    }
                    self.read();
                }
                Err(error) => {
                    self.answer(0, Response::Error(RequestError::usage(format!("{error}; closing"))));
                    self.state = State::Closing;
                }
            }
        }
        None
    }

    /// Whether [`Connection::poll_request`] may give more without a word from the poll.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.wants_requests() && (self.is_readable || self.may_hold_line)
    }

    /// Answers the request `id`. An answer is never dropped: its client is read from again only when it has
    /// taken most of what it is owed.
    pub fn answer(&mut self, id: RequestId, response: Response) {
        self.awaits_answer = false;
        self.write_line(&ResponseLine { id, response });
    }

    /// Answers the request `id` by a stream of events.
    pub fn listen(&mut self, id: RequestId, about: About) {
        self.awaits_answer = false;
        if self.streams.len() >= CONTROL_STREAMS_MAX {
            let followed = self.streams.iter().find(|(_, stream)| stream.about != About::Everything);
            let oldest = followed.or_else(|| self.streams.iter().next()).map(|(&id, _)| id);
            oldest.map(|oldest| self.streams.remove(&oldest));
        }
        self.streams.insert(id, Stream { about, missed: 0, newest_missed: 0 });
    }

    /// Passes an event to the streams that it concerns.
    pub fn tell(&mut self, told: &Told) {
        let concerned = |about| match about {
            About::Everything => true,
            About::Message(id) => told.message == Some(id),
        };
        let ids: Vec<RequestId> =
            self.streams.iter().filter(|(_, stream)| concerned(stream.about)).map(|(&id, _)| id).collect();
        for id in ids {
            self.tell_stream(id, told);
        }
    }

    /// Passes an event to one stream.
    pub fn tell_stream(&mut self, id: RequestId, told: &Told) {
        self.catch_up(told.at);
        let is_full = self.backlog.len() + told.json.len() > CONTROL_BACKLOG_BYTES_MAX;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        // A stream that missed something must hear of that first.
        if is_full || stream.missed > 0 {
            stream.missed += 1;
            stream.newest_missed = told.n;
            return;
        }
        // The shape of `ResponseLine` with `Response::Event`; a test holds the two together.
        for part in [r#"{"id":"#, &id.to_string(), r#","response":{"event":"#, &told.json, "}}\n"] {
            self.backlog.extend(part.as_bytes());
        }
    }

    /// Writes what the client takes now.
    pub fn flush(&mut self, at: Wall) {
        let owed = self.backlog.len();
        while !self.backlog.is_empty() && self.state != State::Closed {
            match self.stream.write(self.backlog.as_slices().0) {
                Ok(0) => self.state = State::Closed,
                Ok(count) => drop(self.backlog.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.state = State::Closed,
            }
            self.catch_up(at);
        }
        // A backlog that was once long must not hold its memory for ever; one that is long again and again keeps it.
        let is_short = (1..self.backlog.capacity() / 4).contains(&owed);
        if is_short && self.backlog.is_empty() && self.backlog.capacity() > IDLE_BYTES_MAX {
            self.backlog.shrink_to(self.backlog.capacity() / 2);
        }
    }

    /// Has the poll tell of writability exactly while something waits to be written.
    pub fn watch(&mut self, registry: &Registry, token: Token) {
        let wanted = !self.is_flushed();
        if wanted == self.awaits_writable {
            return;
        }
        let interest = if wanted { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        match registry.reregister(&mut self.stream, token, interest) {
            Ok(()) => self.awaits_writable = wanted,
            // Nothing would ever wake the loop for it: it is as good as gone.
            Err(_) => self.state = State::Closed,
        }
    }

    /// Whether nothing is owed and nothing more can come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self.state {
            State::Open => false,
            State::Closing => {
                let is_heard = !self.streams.is_empty() && !self.is_hung_up;
                self.backlog.is_empty() && !self.awaits_answer && !is_heard
            }
            State::Closed => true,
        }
    }

    /// Whether everything owed was taken by the kernel.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.backlog.is_empty() || self.state == State::Closed
    }

    fn wants_requests(&self) -> bool {
        self.state == State::Open && !self.awaits_answer && self.backlog.len() < CAUGHT_UP_BYTES
    }

    /// Tells the streams that missed something how much, once there is room again.
    fn catch_up(&mut self, at: Wall) {
        if self.backlog.len() >= CAUGHT_UP_BYTES {
            return;
        }
        let mut lagged = Vec::new();
        for (&id, stream) in self.streams.iter_mut().filter(|(_, stream)| stream.missed > 0) {
            let count = std::mem::take(&mut stream.missed);
            lagged.push((id, Event { n: stream.newest_missed, at, cause: None, kind: EventKind::Lagged { count } }));
        }
        for (id, event) in lagged {
            self.write_line(&ResponseLine { id, response: Response::Event(Box::new(event)) });
        }
    }

    fn write_line(&mut self, line: &ResponseLine) {
        // JSON is written in small pieces, which a ring takes slowly.
        let mut json = Vec::with_capacity(EVENT_BYTES);
        serde_json::to_writer(&mut json, line).expect("responses are plain data, and memory takes all");
        json.push(b'\n');
        self.backlog.extend(&json);
    }

    fn read(&mut self) {
        let mut bytes = [0; READ_BYTES];
        match self.stream.read(&mut bytes) {
            // A client that shut its side down still gets its answers.
            Ok(0) => self.state = State::Closing,
            Ok(count) => {
                self.lines.push(&bytes[..count]);
                self.may_hold_line = true;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_readable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.state = State::Closed,
        }
    }
}

impl Told {
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let mut json = Vec::with_capacity(EVENT_BYTES);
        serde_json::to_writer(&mut json, event).expect("events are plain data");
        let json = String::from_utf8(json).expect("JSON is UTF-8");
        Self { n: event.n, at: event.at, message: message_of(&event.kind), json: json.into() }
    }
}

fn message_of(kind: &EventKind) -> Option<MessageId> {
    match kind {
        EventKind::Message(message) => Some(message.id),
        EventKind::Undone { id, .. } | EventKind::Delivery { id, .. } => Some(*id),
        EventKind::Ready { .. }
        | EventKind::Member { .. }
        | EventKind::Gap(_)
        | EventKind::Recovered { .. }
        | EventKind::Fault { .. }
        | EventKind::Alarm { .. }
        | EventKind::Stalled { .. }
        | EventKind::Lagged { .. }
        | EventKind::Script { .. } => None,
    }
}

/// Room for the JSON of most events and answers.
const EVENT_BYTES: usize = 1024;
/// How much is read at once: dozens of requests, and little to have made ready for one.
const READ_BYTES: usize = 4 * 1024;
/// Below this a client counts as one that reads.
const CAUGHT_UP_BYTES: usize = CONTROL_BACKLOG_BYTES_MAX / 2;
/// What a connection may keep allocated that has little to say.
const IDLE_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::api::{Delivery, Outcome};
    use std::io::BufRead as _;
    use std::os::fd::OwnedFd;

    /// A connection, and the client's end of it.
    fn pair() -> (Connection, std::os::unix::net::UnixStream) {
        let (server, client) = UnixStream::pair().unwrap();
        let client = std::os::unix::net::UnixStream::from(OwnedFd::from(client));
        client.set_nonblocking(false).unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        (Connection::new(server), client)
    }

    fn ask(connection: &mut Connection, client: &mut std::os::unix::net::UnixStream, text: &[u8]) {
        client.write_all(text).unwrap();
        connection.handle_readable();
    }

    fn responses(client: std::os::unix::net::UnixStream) -> impl Iterator<Item = ResponseLine> {
        io::BufReader::new(client).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }

    fn alarm(n: EventNumber, text: &str) -> Told {
        Told::of(&Event { n, at: Wall(1), cause: None, kind: EventKind::Alarm { text: text.into() } })
    }

    #[test]
    fn requests_come_out_one_by_one_with_their_ids() {
        let (mut connection, mut client) = pair();
        ask(
            &mut connection,
            &mut client,
            b"{\"id\":7,\"request\":\"status\"}\n{\"id\":8,\"request\":\"gaps\"}\n{\"id\"",
        );
        assert_eq!(connection.poll_request().unwrap().id, 7);
        assert!(!connection.is_ready(), "one at a time");
        assert_eq!(connection.poll_request(), None);
        connection.answer(7, Response::Done);
        assert!(connection.is_ready());
        assert_eq!(connection.poll_request().unwrap().id, 8);
        connection.answer(8, Response::Done);
        assert_eq!(connection.poll_request(), None);
        assert!(!connection.is_ready());
    }

    #[test]
    fn nonsense_is_answered_and_the_connection_goes_on() {
        let (mut connection, mut client) = pair();
        ask(&mut connection, &mut client, b"hello\n{\"id\":8,\"request\":\"gaps\"}\n");
        assert_eq!(connection.poll_request().unwrap().id, 8);
        connection.flush(Wall(1));
        let line = responses(client).next().unwrap();
        assert!(matches!(line, ResponseLine { id: 0, response: Response::Error(_) }), "{line:?}");
    }

    #[test]
    fn a_request_without_an_end_closes_the_connection() {
        let (mut connection, client) = pair();
        let mut writer = client.try_clone().unwrap();
        let writing = std::thread::spawn(move || {
            let _ = writer.write_all(&vec![b'x'; CONTROL_REQUEST_BYTES_MAX + 1]);
        });
        while connection.state == State::Open {
            connection.handle_readable();
            assert_eq!(connection.poll_request(), None);
        }
        connection.flush(Wall(1));
        assert!(connection.is_done());
        writing.join().unwrap();
        let line = responses(client).next().unwrap();
        assert!(matches!(line.response, Response::Error(_)), "{line:?}");
    }

    #[test]
    fn a_client_that_ends_its_requests_still_gets_its_answers() {
        let (mut connection, mut client) = pair();
        ask(&mut connection, &mut client, b"{\"id\":8,\"request\":\"gaps\"}\n");
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(connection.poll_request().is_some());
        connection.read();
        assert_eq!(connection.state, State::Closing);
        connection.flush(Wall(1));
        assert!(!connection.is_done(), "an answer is owed");
        connection.answer(8, Response::Gaps(vec![]));
        assert!(!connection.is_done());
        connection.flush(Wall(1));
        assert!(connection.is_done());
        assert_eq!(responses(client).next().unwrap().id, 8);
    }

    #[test]
    fn an_event_has_the_shape_of_a_response() {
        let (mut connection, client) = pair();
        connection.listen(3, About::Everything);
        connection.tell(&alarm(5, "fire"));
        connection.flush(Wall(1));
        let line = responses(client).next().unwrap();
        let event = Event { n: 5, at: Wall(1), cause: None, kind: EventKind::Alarm { text: "fire".into() } };
        assert_eq!(line, ResponseLine { id: 3, response: Response::Event(Box::new(event)) });
    }

    #[test]
    fn who_follows_a_message_hears_of_that_message_only() {
        let (mut connection, client) = pair();
        let delivery = |n, id| {
            let delivery = Delivery {
                member: crate::base::MemberId([2; 32]),
                nick: "bo".into(),
                outcome: Outcome::Delivered,
                attempts: 1,
                tries_may_be_missing: false,
                latency_us: Some(1),
            };
            let kind = EventKind::Delivery { id: MessageId([id; 32]), handle: "k7f3".into(), delivery, reason: None };
            Told::of(&Event { n, at: Wall(1), cause: None, kind })
        };
        connection.listen(3, About::Message(MessageId([1; 32])));
        connection.tell(&alarm(5, "fire"));
        connection.tell(&delivery(6, 9));
        connection.tell(&delivery(7, 1));
        connection.flush(Wall(1));
        drop(connection);
        let numbers: Vec<u64> = responses(client)
            .map(|line| match line.response {
                Response::Event(event) => event.n,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(numbers, [7]);
    }

    #[test]
    fn a_slow_client_is_told_how_many_it_missed_and_owes_nobody_memory() {
        let (mut connection, client) = pair();
        connection.listen(3, About::Everything);
        let text = "x".repeat(10_000);
        let total = 400;
        for n in 1..=total {
            connection.tell(&alarm(n, &text));
            connection.flush(Wall(1));
            assert!(connection.backlog.len() <= CONTROL_BACKLOG_BYTES_MAX + 200);
        }
        let reading = std::thread::spawn(move || {
            let mut heard = Vec::new();
            for line in responses(client) {
                let Response::Event(event) = line.response else { panic!("{line:?}") };
                heard.push((event.n, event.kind));
            }
            heard
        });
        while !connection.is_flushed() {
            connection.flush(Wall(1));
        }
        connection.tell(&alarm(total + 1, "after"));
        connection.flush(Wall(1));
        drop(connection);
        let heard = reading.join().unwrap();
        let missed: u64 =
            heard.iter().map(|(_, kind)| if let EventKind::Lagged { count } = kind { *count } else { 0 }).sum();
        let told = heard.iter().filter(|(_, kind)| matches!(kind, EventKind::Alarm { .. })).count();
        assert!(missed > 0);
        assert_eq!(missed + told as u64, total + 1);
        assert!(heard.is_sorted_by_key(|(n, _)| *n), "{:?}", heard.iter().map(|(n, _)| n).collect::<Vec<_>>());
    }

    #[test]
    fn the_memory_of_a_long_backlog_goes_with_the_next_short_ones() {
        let (mut connection, client) = pair();
        connection.listen(1, About::Everything);
        let reading = std::thread::spawn(move || responses(client).count());
        let tell = |connection: &mut Connection, count: u64| {
            (0..count).for_each(|n| connection.tell(&alarm(n, &"long ".repeat(200))));
            while !connection.is_flushed() {
                connection.flush(Wall(1));
            }
        };
        tell(&mut connection, 200);
        let long = connection.backlog.capacity();
        assert!(long > 8 * IDLE_BYTES_MAX);
        tell(&mut connection, 150);
        assert_eq!(connection.backlog.capacity(), long, "it is long again");
        (0..10).for_each(|_| tell(&mut connection, 1));
        assert!(connection.backlog.capacity() <= IDLE_BYTES_MAX, "{}", connection.backlog.capacity());
        drop(connection);
        assert_eq!(reading.join().unwrap(), 360);
    }
}
