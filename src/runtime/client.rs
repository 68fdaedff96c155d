//! The client side of `HOME/control.sock`: asks the node that runs in a home, and waits for how a message
//! ends. Owns the connection and the sentences for when there is none. Knows no terminal.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::clock;
use super::control::{self, ControlError};
use super::lines::Lines;
use super::protocol::{Request, RequestError, RequestId, RequestLine, Response, ResponseLine};
use crate::base::limits::{CONTROL_REQUEST_BYTES_MAX, CONTROL_RESPONSE_BYTES_MAX};
use crate::base::{MessageId, Time};
use crate::node::api::{Delivery, EventKind, Outcome, Sent};
use crate::store::Home;

/// A connection to the node of a home.
#[derive(Debug)]
pub struct Client {
    asks: Asks,
    hears: Hears,
    /// Lines that came while another was waited for.
    waiting: VecDeque<ResponseLine>,
}

/// The half of a connection that asks; a thread of its own may have the other half.
#[derive(Debug)]
pub struct Asks {
    stream: UnixStream,
    last_id: RequestId,
}

/// The half of a connection that hears answers and events.
#[derive(Debug)]
pub struct Hears {
    stream: UnixStream,
    lines: Lines,
}

/// Until when [`Client::send_and_wait`] waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Until nothing is `sending` any more.
    #[default]
    All,
    /// Until the first receipt, or until none can come now.
    Any,
    /// Until the message is durable here.
    None,
}

/// Why the node could not be asked, or did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no node runs in {}; start one with moot chat or moot node", home.display())]
    NotRunning { home: PathBuf },
    #[error(transparent)]
    Path(#[from] ControlError),
    #[error("cannot ask the node in {}: {source}", home.display())]
    Connect { home: PathBuf, source: io::Error },
    #[error("the node ended before it answered")]
    Gone,
    #[error("the connection to the node failed: {0}")]
    Io(io::Error),
    #[error("the request is too long; {CONTROL_REQUEST_BYTES_MAX} bytes is the limit")]
    TooLong,
    #[error("the node answered what this program does not understand ({0}); both must be of one version")]
    NotUnderstood(String),
    /// The node's own words.
    #[error(transparent)]
    Refused(#[from] RequestError),
    /// The disk refused the message: it was not sent and is forgotten.
    #[error("{reason}")]
    Undone { reason: String },
    #[error("the disk has not taken the message yet; moot log shows whether it was said after all")]
    NotDurable,
}

impl Client {
    /// Connects to the node that runs in `home`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`], or what keeps from asking.
    pub fn connect(home: &Path) -> Result<Self, ClientError> {
        let path = Home::socket_in(home);
        control::check_path(&path)?;
        let stream = UnixStream::connect(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                ClientError::NotRunning { home: home.to_owned() }
            }
            _ => ClientError::Connect { home: home.to_owned(), source },
        })?;
        Self::over(stream)
    }

    fn over(stream: UnixStream) -> Result<Self, ClientError> {
        let asks = Asks { stream: stream.try_clone().map_err(ClientError::Io)?, last_id: 0 };
        let hears = Hears { stream, lines: Lines::new(CONTROL_RESPONSE_BYTES_MAX) };
        Ok(Self { asks, hears, waiting: VecDeque::new() })
    }

    /// Two halves, for who hears on one thread and asks on another. Lines that were not taken yet are lost, so
    /// split before a tail begins.
    #[must_use]
    pub fn split(self) -> (Asks, Hears) {
        (self.asks, self.hears)
    }

    /// Asks, and waits for the answer; events that come meanwhile are kept for [`Client::next_line`].
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the node's words, or what broke the connection.
    pub fn request(&mut self, request: &Request) -> Result<Response, ClientError> {
        let id = self.asks.ask(request)?;
        loop {
            let line = self.hears.next_line(None)?.ok_or(ClientError::Gone)?;
            match line.response {
                Response::Error(error) if line.id == id || line.id == 0 => return Err(error.into()),
                response if line.id == id => return Ok(response),
                response => self.waiting.push_back(ResponseLine { id: line.id, response }),
            }
        }
    }

    /// Begins a stream of events (`Request::Tail`), whose lines come from [`Client::next_line`].
    ///
    /// # Errors
    /// What broke the connection.
    pub fn ask(&mut self, request: &Request) -> Result<RequestId, ClientError> {
        self.asks.ask(request)
    }

    /// The next line, or `None` at `until`.
    ///
    /// # Errors
    /// What broke the connection.
    pub fn next_line(&mut self, until: Option<Time>) -> Result<Option<ResponseLine>, ClientError> {
        match self.waiting.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.hears.next_line(until),
        }
    }

    /// Sends `text` and waits, at most for `timeout`, until `wait` is fulfilled. Gives the message with its
    /// deliveries as they stand then.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: nothing was sent. [`ClientError::Undone`]: the disk was full, nothing was
    /// sent. [`ClientError::NotDurable`]: it is not known yet whether it is sent.
    pub fn send_and_wait(
        &mut self,
        to: Option<&str>,
        text: &str,
        wait: Wait,
        timeout: Duration,
    ) -> Result<Sent, ClientError> {
        let until = clock::time() + timeout;
        let request = Request::Send { to: to.map(str::to_owned), text: text.to_owned(), follow: true };
        let id = self.asks.ask(&request)?;
        let mut watch = Watch { wait, sent: None, is_durable: false };
        while !watch.is_over() {
            let Some(line) = self.next_line(Some(until))? else { break };
            if line.id != id && line.id != 0 {
                continue;
            }
            if let Next::AskAgain(message) = watch.take(line.response)? {
                self.refresh(&mut watch, message)?;
            }
        }
        watch.end()
    }

    /// What a stream left out is asked for instead.
    fn refresh(&mut self, watch: &mut Watch, message: MessageId) -> Result<(), ClientError> {
        if let Response::WhyMessage(why) = self.request(&Request::Why { what: message.to_string() })? {
            watch.is_durable = true;
            why.deliveries.into_iter().for_each(|evidence| watch.note(evidence.delivery));
        }
        Ok(())
    }
}

impl Asks {
    /// Asks; the answer is heard by the other half, under the id that this gives.
    ///
    /// # Errors
    /// What broke the connection, or [`ClientError::TooLong`].
    pub fn ask(&mut self, request: &Request) -> Result<RequestId, ClientError> {
        self.last_id += 1;
        let line = RequestLine { id: self.last_id, request: request.clone() };
        let mut bytes = serde_json::to_vec(&line).expect("requests are plain data");
        bytes.push(b'\n');
        if bytes.len() > CONTROL_REQUEST_BYTES_MAX {
            return Err(ClientError::TooLong);
        }
        self.stream.write_all(&bytes).map_err(broken)?;
        Ok(self.last_id)
    }

    /// Ends the connection; the half that hears is told so.
    pub fn hang_up(&self) {
        // It fails only where the connection is gone already.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

impl Hears {
    /// The next line, or `None` at `until`.
    ///
    /// # Errors
    /// [`ClientError::Gone`] when the node has ended, or what broke the connection.
    pub fn next_line(&mut self, until: Option<Time>) -> Result<Option<ResponseLine>, ClientError> {
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
        self.stream.set_read_timeout(left).map_err(ClientError::Io)?;
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

/// What is known of a message that is waited for.
struct Watch {
    wait: Wait,
    sent: Option<Sent>,
    is_durable: bool,
}

enum Next {
    GoOn,
    AskAgain(MessageId),
}

impl Watch {
    fn take(&mut self, response: Response) -> Result<Next, ClientError> {
        match response {
            Response::Sent(sent) => self.sent = Some(sent),
            Response::Error(error) => return Err(error.into()),
            Response::Event(event) => return self.take_event(event.kind),
            Response::Status(_)
            | Response::Members(_)
            | Response::WhyMessage(_)
            | Response::WhyMember(_)
            | Response::Log { .. }
            | Response::Gaps(_)
            | Response::Invite { .. }
            | Response::Faults(_)
            | Response::Done => {}
        }
        Ok(Next::GoOn)
    }

    fn take_event(&mut self, kind: EventKind) -> Result<Next, ClientError> {
        match kind {
            EventKind::Message(_) => self.is_durable = true,
            EventKind::Undone { reason, .. } => return Err(ClientError::Undone { reason }),
            EventKind::Delivery { delivery, .. } => self.note(delivery),
            EventKind::Lagged { .. } => {
                if let Some(sent) = &self.sent {
                    return Ok(Next::AskAgain(sent.id));
                }
            }
            EventKind::Ready { .. }
            | EventKind::Member { .. }
            | EventKind::Gap(_)
            | EventKind::Recovered { .. }
            | EventKind::Fault { .. }
            | EventKind::Alarm { .. } => {}
        }
        Ok(Next::GoOn)
    }

    fn note(&mut self, delivery: Delivery) {
        let Some(sent) = &mut self.sent else { return };
        match sent.deliveries.iter_mut().find(|known| known.member == delivery.member) {
            Some(known) => *known = delivery,
            None => sent.deliveries.push(delivery),
        }
    }

    fn is_over(&self) -> bool {
        let Some(sent) = &self.sent else { return false };
        let any = |outcome| sent.deliveries.iter().any(|delivery| delivery.outcome == outcome);
        let is_settled = !any(Outcome::Sending);
        self.is_durable
            && match self.wait {
                Wait::All => is_settled,
                Wait::Any => is_settled || any(Outcome::Delivered),
                Wait::None => true,
            }
    }

    fn end(self) -> Result<Sent, ClientError> {
        match self.sent {
            Some(sent) if self.is_durable => Ok(sent),
            Some(_) | None => Err(ClientError::NotDurable),
        }
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
    use crate::base::{MemberId, Wall};
    use crate::node::api::{Event, Message, MessageKind};
    use std::io::{BufRead as _, BufReader};

    const SOON: Duration = Duration::from_secs(10);

    /// A client, and a node that answers the one request with `responses`.
    fn against(responses: Vec<Response>) -> (Client, std::thread::JoinHandle<RequestLine>) {
        let (client, server) = UnixStream::pair().unwrap();
        let serving = std::thread::spawn(move || {
            let mut request = String::new();
            BufReader::new(&server).read_line(&mut request).unwrap();
            let request: RequestLine = serde_json::from_str(&request).unwrap();
            for response in responses {
                let line = serde_json::to_string(&ResponseLine { id: request.id, response }).unwrap();
                writeln!(&server, "{line}").unwrap();
            }
            request
        });
        (Client::over(client).unwrap(), serving)
    }

    fn delivery(member: u8, outcome: Outcome) -> Delivery {
        Delivery { member: MemberId([member; 32]), nick: "bo".into(), outcome, attempts: 1, latency_us: None }
    }

    fn sent(outcomes: &[(u8, Outcome)]) -> Response {
        Response::Sent(Sent {
            id: MessageId([9; 32]),
            handle: "k7f3".into(),
            kind: MessageKind::Group,
            deliveries: outcomes.iter().map(|&(member, outcome)| delivery(member, outcome)).collect(),
        })
    }

    fn told(kind: EventKind) -> Response {
        Response::Event(Box::new(Event { n: 1, at: Wall(1), cause: None, kind }))
    }

    fn durable() -> Response {
        told(EventKind::Message(Message {
            id: MessageId([9; 32]),
            handle: "k7f3".into(),
            kind: MessageKind::Group,
            from: MemberId([1; 32]),
            nick: "ana".into(),
            to: None,
            seq: 1,
            incarnation: 1,
            text: "hi".into(),
            said_at: Wall(1),
            recovered: false,
            via: None,
            late_ms: None,
        }))
    }

    fn ended(member: u8, outcome: Outcome) -> Response {
        let (id, handle) = (MessageId([9; 32]), "k7f3".into());
        told(EventKind::Delivery { id, handle, delivery: delivery(member, outcome), reason: None })
    }

    fn outcomes(sent: &Sent) -> Vec<Outcome> {
        sent.deliveries.iter().map(|delivery| delivery.outcome).collect()
    }

    #[test]
    fn all_is_waited_for_until_nothing_is_sending() {
        use Outcome::{Delivered, Sending, Unknown, Waiting};
        let (mut client, _serving) = against(vec![
            sent(&[(1, Sending), (2, Sending), (3, Waiting)]),
            ended(1, Delivered),
            durable(),
            ended(2, Unknown),
        ]);
        let sent = client.send_and_wait(None, "hi", Wait::All, SOON).unwrap();
        assert_eq!(outcomes(&sent), [Delivered, Unknown, Waiting]);
    }

    #[test]
    fn any_is_over_at_the_first_receipt() {
        use Outcome::{Delivered, Sending};
        let (mut client, _serving) = against(vec![sent(&[(1, Sending), (2, Sending)]), durable(), ended(2, Delivered)]);
        let sent = client.send_and_wait(None, "hi", Wait::Any, SOON).unwrap();
        assert_eq!(outcomes(&sent), [Sending, Delivered]);
    }

    #[test]
    fn none_is_over_when_the_message_is_durable_and_not_before() {
        let (mut client, serving) = against(vec![sent(&[(1, Outcome::Sending)]), durable()]);
        let sent = client.send_and_wait(Some("bo"), "hi", Wait::None, SOON).unwrap();
        assert_eq!(outcomes(&sent), [Outcome::Sending]);
        let request = serving.join().unwrap().request;
        assert_eq!(request, Request::Send { to: Some("bo".into()), text: "hi".into(), follow: true });
    }

    #[test]
    fn a_full_disk_is_an_error_and_nothing_was_sent() {
        let undone = EventKind::Undone { id: MessageId([9; 32]), handle: "k7f3".into(), reason: "full".into() };
        let (mut client, _serving) = against(vec![sent(&[]), told(undone)]);
        let error = client.send_and_wait(None, "hi", Wait::All, SOON).unwrap_err();
        assert!(matches!(error, ClientError::Undone { .. }), "{error}");
    }

    #[test]
    fn a_refusal_is_told_in_the_node_s_words() {
        let refusal = Response::Error(RequestError::usage("zoe is not known here; moot who lists the members"));
        let (mut client, _serving) = against(vec![refusal]);
        let error = client.send_and_wait(Some("zoe"), "hi", Wait::All, SOON).unwrap_err();
        assert_eq!(error.to_string(), "zoe is not known here; moot who lists the members");
    }

    #[test]
    fn the_deadline_gives_what_is_known() {
        let (client, server) = UnixStream::pair().unwrap();
        let mut client = Client::over(client).unwrap();
        for response in [sent(&[(1, Outcome::Sending)]), durable()] {
            writeln!(&server, "{}", serde_json::to_string(&ResponseLine { id: 1, response }).unwrap()).unwrap();
        }
        let sent = client.send_and_wait(None, "hi", Wait::All, Duration::from_millis(30)).unwrap();
        assert_eq!(outcomes(&sent), [Outcome::Sending]);
    }

    #[test]
    fn events_that_come_before_an_answer_are_kept() {
        let (client, server) = UnixStream::pair().unwrap();
        let mut client = Client::over(client).unwrap();
        for (id, response) in [(1, durable()), (2, Response::Done)] {
            writeln!(&server, "{}", serde_json::to_string(&ResponseLine { id, response }).unwrap()).unwrap();
        }
        client.ask(&Request::Tail { since: None }).unwrap();
        assert_eq!(client.request(&Request::Leave).unwrap(), Response::Done);
        assert_eq!(client.next_line(None).unwrap().unwrap().id, 1);
        drop(server);
        assert!(matches!(client.next_line(None), Err(ClientError::Gone)));
    }

    #[test]
    fn where_no_node_runs_it_says_how_to_start_one() {
        let dir = tempfile::tempdir().unwrap();
        let error = Client::connect(dir.path()).unwrap_err().to_string();
        assert_eq!(error, format!("no node runs in {}; start one with moot chat or moot node", dir.path().display()));
    }
}
