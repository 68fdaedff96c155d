//! The client side of `HOME/control.sock`: asks the node that runs in a home and hears its events. Owns the
//! connection and the sentences for when there is none. Knows no terminal.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::clock;
use super::control::{self, ControlError};
use super::lines::Lines;
use super::protocol::{
    EventLine, NO_REQUEST, RawResponse, Request, RequestError, RequestId, RequestLine, Response, ResponseLine,
};
use crate::base::limits::{CONTROL_REQUEST_BYTES_MAX, CONTROL_RESPONSE_BYTES_MAX};
use crate::base::{EventNumber, Time};
use crate::node::api::Event;

/// A connection to a running node.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    lines: Lines,
    last_id: RequestId,
    /// Events that came while an answer was waited for.
    events: VecDeque<Event>,
    /// How long the socket lets a read wait.
    timeout: Option<Duration>,
}

/// Why a node could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no node runs in {}; start one with moot chat or moot node", home.display())]
    NotRunning { home: PathBuf },
    #[error("there is no home at {}; moot chat makes one there, and --home DIR names another", home.display())]
    NoHome { home: PathBuf },
    #[error(transparent)]
    Path(#[from] ControlError),
    #[error("cannot ask the node at {}: {source}", socket.display())]
    Connect { socket: PathBuf, source: io::Error },
    #[error("the node has ended")]
    Gone,
    #[error("the connection to the node broke: {0}")]
    Io(io::Error),
    #[error("the request is longer than {CONTROL_REQUEST_BYTES_MAX} bytes; make it shorter")]
    TooLong,
    #[error("the node answers what this program does not understand ({0}); both must be of one version")]
    NotUnderstood(String),
    #[error("the node did not answer within {} s", .0.as_secs())]
    Late(Duration),
    /// The node's own words, where there is nothing else to hear any more.
    #[error(transparent)]
    Refused(#[from] RequestError),
}

impl ClientError {
    /// The node has ended.
    #[must_use]
    pub fn gone() -> Self {
        Self::Gone
    }

    /// The node answered something that is no answer to the request.
    #[must_use]
    pub fn unexpected(response: &Response) -> Self {
        tracing::debug!(?response, "an answer to another question");
        Self::NotUnderstood("an answer to another question".to_owned())
    }
}

impl Client {
    /// Connects to the node whose control socket is at `socket`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`], or what keeps from asking.
    pub fn connect(socket: &Path) -> Result<Self, ClientError> {
        control::check_path(socket)?;
        let stream = UnixStream::connect(socket).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                let home = socket.parent().unwrap_or(socket).to_owned();
                if home.is_dir() { ClientError::NotRunning { home } } else { ClientError::NoHome { home } }
            }
            _ => ClientError::Connect { socket: socket.to_owned(), source },
        })?;
        Ok(Self::over(stream))
    }

    fn over(stream: UnixStream) -> Self {
        let lines = Lines::new(CONTROL_RESPONSE_BYTES_MAX);
        Self { stream, lines, last_id: 0, events: VecDeque::new(), timeout: None }
    }

    /// Asks, and waits for the answer, [`Response::Error`] among them. Events that come before it are kept
    /// for [`Client::next_event`].
    ///
    /// # Errors
    /// What broke the connection, or [`ClientError::TooLong`].
    pub fn ask(&mut self, request: Request) -> Result<Response, ClientError> {
        self.ask_until(request, None).map(|answer| answer.expect("without a deadline it waits for the answer"))
    }

    /// Asks as [`Client::ask`] does, of a node that may have come to a stand.
    ///
    /// # Errors
    /// [`ClientError::Late`] when there is no answer within `span`: this connection is of no use then. Else what broke the
    /// connection, or [`ClientError::TooLong`].
    pub fn ask_within(&mut self, request: Request, span: Duration) -> Result<Response, ClientError> {
        self.ask_until(request, Some(clock::time() + span))?.ok_or(ClientError::Late(span))
    }

    /// Hands a request over. Where that fails the node has not taken it; after that it may carry it out, whatever becomes
    /// of this connection. [`Client::answer`] tells.
    ///
    /// # Errors
    /// What broke the connection, or [`ClientError::TooLong`].
    pub fn hand(&mut self, request: Request) -> Result<RequestId, ClientError> {
        self.write(request)
    }

    /// The answer to the request that was handed over last; `None` when there is none within `span`, and it may be waited
    /// for again.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where the node did not read the request, or what broke the connection.
    pub fn answer(&mut self, id: RequestId, span: Duration) -> Result<Option<Response>, ClientError> {
        self.answer_until(id, Some(clock::time() + span))
    }

    fn ask_until(&mut self, request: Request, until: Option<Time>) -> Result<Option<Response>, ClientError> {
        let id = self.write(request)?;
        self.answer_until(id, until)
    }

    fn answer_until(&mut self, id: RequestId, until: Option<Time>) -> Result<Option<Response>, ClientError> {
        loop {
            let Some(line) = self.next_line(until)? else { return Ok(None) };
            match line.response {
                Response::Event(event) => self.events.push_back(*event),
                Response::Error(error) if line.id == NO_REQUEST => return Err(error.into()),
                response if line.id == id => return Ok(Some(response)),
                other => return Err(ClientError::unexpected(&other)),
            }
        }
    }

    /// Begins a tail: its events come from [`Client::next_event`], the node's `ready` first.
    ///
    /// # Errors
    /// What broke the connection.
    pub fn begin_tail(&mut self, since: Option<EventNumber>) -> Result<(), ClientError> {
        self.write(Request::Tail { since }).map(|_| ())
    }

    /// The next event of what is tailed or followed; `None` when the node has ended.
    ///
    /// # Errors
    /// What broke the connection.
    pub fn next_event(&mut self) -> Result<Option<Event>, ClientError> {
        match self.event_until(None) {
            Err(ClientError::Gone) => Ok(None),
            heard => heard,
        }
    }

    /// Waits for events of a tail, and appends all that are here to `out`, each as the node wrote it on a line of its own; `false`
    /// when the node has ended.
    ///
    /// # Errors
    /// What broke the connection; what was appended before stands.
    pub fn next_events_json(&mut self, out: &mut Vec<u8>) -> Result<bool, ClientError> {
        for event in self.events.drain(..) {
            serde_json::to_writer(&mut *out, &event).expect("events are plain data");
            out.push(b'\n');
        }
        let before = out.len();
        loop {
            while let Some(line) =
                self.lines.next_line().map_err(|error| ClientError::NotUnderstood(error.to_string()))?
            {
                let Ok(EventLine { response: RawResponse::Event(event) }) = serde_json::from_slice(line) else {
                    return Err(no_event(line));
                };
                out.extend_from_slice(event.get().as_bytes());
                out.push(b'\n');
            }
            if out.len() > before {
                return Ok(true);
            }
            match self.read(None) {
                Ok(_) => {}
                Err(ClientError::Gone) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next event; `None` when there is none within `span`.
    ///
    /// # Errors
    /// [`ClientError::Gone`] when the node has ended, or what broke the connection.
    pub fn next_event_within(&mut self, span: Duration) -> Result<Option<Event>, ClientError> {
        self.event_until(Some(clock::time() + span))
    }

    fn event_until(&mut self, until: Option<Time>) -> Result<Option<Event>, ClientError> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        let Some(line) = self.next_line(until)? else { return Ok(None) };
        match line.response {
            Response::Event(event) => Ok(Some(*event)),
            Response::Error(error) => Err(error.into()),
            other => Err(ClientError::unexpected(&other)),
        }
    }

    fn write(&mut self, request: Request) -> Result<RequestId, ClientError> {
        self.last_id += 1;
        let line = RequestLine { id: self.last_id, request };
        let mut bytes = serde_json::to_vec(&line).expect("requests are plain data");
        bytes.push(b'\n');
        if bytes.len() > CONTROL_REQUEST_BYTES_MAX {
            return Err(ClientError::TooLong);
        }
        match self.stream.write_all(&bytes) {
            Ok(()) => Ok(self.last_id),
            Err(error) => Err(self.parting_words().unwrap_or_else(|| broken(error))),
        }
    }

    /// What the node said when it hung up, if it said anything.
    fn parting_words(&mut self) -> Option<ClientError> {
        loop {
            let line = self.next_line(None).ok()??;
            match line.response {
                Response::Error(error) if line.id == NO_REQUEST => return Some(error.into()),
                _ => {}
            }
        }
    }

    /// The next line, or `None` at `until`.
    fn next_line(&mut self, until: Option<Time>) -> Result<Option<ResponseLine>, ClientError> {
        loop {
            let line = self.lines.next_line().map_err(|error| ClientError::NotUnderstood(error.to_string()))?;
            if let Some(line) = line {
                let read = serde_json::from_slice(line);
                return read.map(Some).map_err(|error| ClientError::NotUnderstood(error.to_string()));
            }
            if !self.read(until)? {
                return Ok(None);
            }
        }
    }

    /// `false` when it is too late.
    fn read(&mut self, until: Option<Time>) -> Result<bool, ClientError> {
        let left = until.map(|until| until.since(clock::time()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(false);
        }
        if self.timeout != left {
            self.stream.set_read_timeout(left).map_err(ClientError::Io)?;
            self.timeout = left;
        }
        let mut bytes = [0; READ_BYTES];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(ClientError::Gone),
            Ok(count) => {
                self.lines.push(&bytes[..count]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(broken(error)),
        }
    }
}

/// What a line means where an event was due.
fn no_event(line: &[u8]) -> ClientError {
    match serde_json::from_slice::<ResponseLine>(line).map(|line| line.response) {
        Ok(Response::Error(error)) => error.into(),
        Ok(other) => ClientError::unexpected(&other),
        Err(error) => ClientError::NotUnderstood(error.to_string()),
    }
}

fn broken(error: io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ClientError::Gone,
        _ => ClientError::Io(error),
    }
}

const READ_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;
    use crate::node::api::EventKind;

    fn event(n: EventNumber) -> Event {
        Event { n, at: Wall(1), cause: None, kind: EventKind::Lagged { count: 1 } }
    }

    /// A client to whom the node has said `lines`, and the node's end.
    fn told(lines: Vec<(RequestId, Response)>) -> (Client, UnixStream) {
        let (client, mut node) = UnixStream::pair().unwrap();
        for (id, response) in lines {
            writeln!(node, "{}", serde_json::to_string(&ResponseLine { id, response }).unwrap()).unwrap();
        }
        (Client::over(client), node)
    }

    fn tells(n: EventNumber) -> Response {
        Response::Event(Box::new(event(n)))
    }

    #[test]
    fn events_that_come_before_an_answer_are_kept() {
        let (mut client, node) = told(vec![(1, tells(7)), (1, tells(8)), (2, Response::Done), (1, tells(9))]);
        client.begin_tail(None).unwrap();
        assert_eq!(client.ask(Request::Leave).unwrap(), Response::Done);
        drop(node);
        let heard: Vec<u64> = std::iter::from_fn(|| client.next_event().unwrap()).map(|event| event.n).collect();
        assert_eq!(heard, [7, 8, 9]);
    }

    #[test]
    fn a_client_that_was_turned_away_hears_why() {
        let full = RequestError::refused("64 clients talk to this node already");
        let (mut client, node) = told(vec![(NO_REQUEST, Response::Error(full.clone()))]);
        drop(node);
        let refused = client.ask(Request::Status).unwrap_err();
        assert!(matches!(&refused, ClientError::Refused(error) if *error == full), "{refused}");
        assert!(matches!(client.ask(Request::Status), Err(ClientError::Gone)));
    }

    #[test]
    fn events_are_passed_on_as_the_node_wrote_them() {
        let refusal = RequestError::refused("no");
        let (mut client, node) = told(vec![(1, tells(7)), (12, tells(8)), (0, Response::Error(refusal.clone()))]);
        let mut out = Vec::new();
        let refused = client.next_events_json(&mut out).unwrap_err();
        assert!(matches!(&refused, ClientError::Refused(error) if *error == refusal), "{refused}");
        let written = [7, 8].map(|n| serde_json::to_string(&event(n)).unwrap() + "\n").concat();
        assert_eq!(String::from_utf8(out.clone()).unwrap(), written);
        drop(node);
        assert!(!client.next_events_json(&mut out).unwrap(), "the node has ended");
    }

    #[test]
    fn who_waits_for_an_event_is_told_when_time_is_over() {
        let (mut client, node) = told(vec![(1, tells(7))]);
        client.begin_tail(None).unwrap();
        assert_eq!(client.next_event_within(Duration::from_secs(5)).unwrap(), Some(event(7)));
        assert_eq!(client.next_event_within(Duration::from_millis(20)).unwrap(), None);
        drop(node);
        assert!(matches!(client.next_event_within(Duration::from_secs(5)), Err(ClientError::Gone)));
    }

    #[test]
    fn a_node_that_came_to_a_stand_is_not_waited_for_longer_than_asked() {
        let (mut client, _node) = told(vec![(1, tells(7))]);
        let late = client.ask_within(Request::Status, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(late, ClientError::Late(_)), "{late}");
    }

    #[test]
    fn an_answer_that_was_late_is_taken_when_it_comes() {
        let (mut client, mut node) = told(vec![]);
        let id = client.hand(Request::Status).unwrap();
        assert_eq!(client.answer(id, Duration::from_millis(20)).unwrap(), None);
        writeln!(node, "{}", serde_json::to_string(&ResponseLine { id, response: Response::Done }).unwrap()).unwrap();
        assert_eq!(client.answer(id, Duration::from_secs(5)).unwrap(), Some(Response::Done));
    }

    #[test]
    fn a_refusal_is_an_answer_and_a_line_that_was_not_read_is_not() {
        let refusal = Response::Error(RequestError::refused("no"));
        let (mut client, _node) = told(vec![(1, refusal.clone()), (0, refusal.clone())]);
        assert_eq!(client.ask(Request::Leave).unwrap(), refusal);
        assert!(matches!(client.ask(Request::Leave), Err(ClientError::Refused(_))));
    }

    #[test]
    fn a_request_that_no_node_takes_is_not_sent() {
        let (mut client, _node) = told(vec![]);
        let text = "\u{1}".repeat(CONTROL_REQUEST_BYTES_MAX / 6);
        let error = client.ask(Request::Send { to: None, text, follow: false }).unwrap_err();
        assert!(matches!(error, ClientError::TooLong), "{error}");
    }

    #[test]
    fn where_no_node_runs_it_says_how_to_start_one() {
        let dir = tempfile::tempdir().unwrap();
        let error = Client::connect(&dir.path().join("control.sock")).unwrap_err().to_string();
        assert_eq!(error, format!("no node runs in {}; start one with moot chat or moot node", dir.path().display()));
    }
}
