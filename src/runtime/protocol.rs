//! What is said on `HOME/control.sock`: one JSON object a line, each way. A connection carries any number of
//! requests, answered in their order, and any number of streams of events beside them; each request has an
//! id of the client's choice, and everything that answers it carries that id. Owns the shapes; the payloads are those of `node::api`, defined there and nowhere else.
//!
//! ```text
//! > {"id":1,"request":"status"}
//! < {"id":1,"response":{"status":{…}}}
//! > {"id":2,"request":{"tail":{"since":null}}}
//! < {"id":2,"response":{"event":{"n":0,"at":…,"event":"ready",…}}}
//! < {"id":2,"response":{"event":{"n":7,"at":…,"event":"message",…}}}
//! > {"id":3,"request":{"send":{"to":"bo","text":"hi","follow":false}}}
//! < {"id":3,"response":{"sent":{…}}}
//! ```

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::base::EventNumber;
use crate::node::api::{Event, Found, Gap, MemberStatus, Message, Sent, Status, WhyMember, WhyMessage, WhyMissing};
use crate::wire::EvidenceFile;

/// Names a request on its connection. The client chooses it, but for [`NO_REQUEST`].
pub type RequestId = u64;

/// The id of what answers no request: a line that was not understood, or a client too many.
pub const NO_REQUEST: RequestId = 0;

/// A line from client to node; at most `CONTROL_REQUEST_BYTES_MAX` with its line feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLine {
    pub id: RequestId,
    pub request: Request,
}

/// A line from node to client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseLine {
    pub id: RequestId,
    pub response: Response,
}

/// The same line where it tells an event, for who passes the event on as the node wrote it.
#[derive(Debug, Deserialize)]
pub struct EventLine<'a> {
    #[serde(borrow)]
    pub response: RawResponse<'a>,
}

/// Of [`Response`] what an [`EventLine`] may have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawResponse<'a> {
    #[serde(borrow)]
    Event(&'a RawValue),
}

/// What a client asks of the running node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Answered by [`Response::Status`].
    Status,
    /// Answered by [`Response::Members`], this node among them.
    Members,
    /// Asks about a member (nick, `nick~id` or id) or a message (handle, `ana#12` or id). Answered by
    /// [`Response::WhyMember`], [`Response::WhyMessage`], or [`Response::WhyMissing`] for `ana#12` that a gap names.
    Why { what: String },
    /// The newest messages that are in the durable log, one's own included, oldest first. Answered by
    /// [`Response::Log`].
    Log { last: u64 },
    /// Looks for messages by their words, in all that the disk still has; `from` is a nick, `nick~id` or id. Answered
    /// by [`Response::Found`].
    Search { words: String, from: Option<String>, limit: u64 },
    /// Gathers what the disk has to show for a message (handle, `ana#12` or id). Answered by [`Response::Evidence`].
    Evidence { what: String },
    /// Answered by [`Response::Gaps`].
    Gaps,
    /// Says `text` to the room, or tells it to one member (nick, `nick~id` or id). Answered by
    /// [`Response::Sent`]; with `follow`, the events about that message follow as [`Response::Event`]
    /// for as long as the connection lasts.
    Send { to: Option<String>, text: String, follow: bool },
    /// Dials addresses where a member of this room may be. Answered by [`Response::Done`].
    Join { addresses: Vec<SocketAddr> },
    /// Changes this node's nick. Answered by [`Response::Done`].
    Nick { nick: String },
    /// Asks for what invites somebody. Answered by [`Response::Invite`].
    Invite,
    /// Says goodbye to the room, then ends the node, as SIGTERM does. Answered by [`Response::Done`].
    Leave,
    /// Streams events as [`Response::Event`], for as long as the connection lasts. The first is the node's
    /// `ready`, whose `n` is 0; then come those after `since` that the node still holds, then each new one.
    /// Without `since` there are only new ones.
    Tail { since: Option<EventNumber> },
    /// Changes fault injection: a spec, or `off`; nothing only asks. Answered by [`Response::Faults`].
    Fault { spec: Option<String> },
    /// Ends the node without a goodbye; what it accepted is on disk. Answered by [`Response::Done`].
    Stop,
}

/// What the node answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    Status(Box<Status>),
    Members(Vec<MemberStatus>),
    WhyMessage(Box<WhyMessage>),
    WhyMember(Box<WhyMember>),
    WhyMissing(Box<WhyMissing>),
    /// `left_out` messages were asked for, are held, and did not fit one answer: they are the oldest.
    Log {
        messages: Vec<Message>,
        left_out: u64,
    },
    /// The newest messages that match, oldest first; with `more`, older ones match too.
    Found {
        found: Vec<Found>,
        more: bool,
    },
    /// The bytes of a file, in base64.
    Evidence(Box<EvidenceFile>),
    Gaps(Vec<Gap>),
    Sent(Sent),
    Invite {
        room: String,
        /// `moot:…`
        ticket: String,
    },
    /// The fault specs that are on now.
    Faults(Vec<String>),
    /// One event of a tail, or of a followed message. A client that reads too slowly is told how many it
    /// missed by [`EventKind::Lagged`](crate::node::api::EventKind::Lagged), with the newest `n` missed.
    Event(Box<Event>),
    Done,
    Error(RequestError),
}

/// Why a request was not carried out. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    pub kind: ErrorKind,
    /// What happened and what to do, lower case, without a full stop.
    pub message: String,
}

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request makes no sense as it stands: an unknown or ambiguous nick, a bad spec, a text too long.
    Usage,
    /// It makes sense, and the node will not do it now.
    Refused,
    /// Something on this machine failed.
    Failed,
}

impl RequestError {
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Usage, message: message.into() }
    }

    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Refused, message: message.into() }
    }

    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Failed, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;
    use crate::node::api::EventKind;

    #[test]
    fn every_request_survives_its_line() {
        let requests = [
            Request::Status,
            Request::Members,
            Request::Why { what: "ana#12".into() },
            Request::Log { last: 20 },
            Request::Search { words: "\"a row\" of".into(), from: Some("bo".into()), limit: 5 },
            Request::Evidence { what: "k7f3".into() },
            Request::Gaps,
            Request::Send { to: Some("bo~7f3a".into()), text: "two\nlines \"quoted\" ü".into(), follow: true },
            Request::Join { addresses: vec!["127.0.0.1:4460".parse().unwrap(), "[::1]:4460".parse().unwrap()] },
            Request::Nick { nick: "bo".into() },
            Request::Invite,
            Request::Leave,
            Request::Tail { since: Some(7) },
            Request::Fault { spec: Some("loss=20%".into()) },
            Request::Stop,
        ];
        for (id, request) in (1..).zip(requests) {
            let line = RequestLine { id, request };
            let text = serde_json::to_string(&line).unwrap();
            assert!(!text.contains('\n'), "{text}");
            assert_eq!(serde_json::from_str::<RequestLine>(&text).unwrap(), line, "{text}");
        }
    }

    #[test]
    fn requests_can_be_typed_by_hand() {
        let line = serde_json::from_str::<RequestLine>(r#"{"id":1,"request":"status"}"#).unwrap();
        assert_eq!(line.request, Request::Status);
        let line = serde_json::from_str::<RequestLine>(r#"{"id":2,"request":{"tail":{"since":null}}}"#).unwrap();
        assert_eq!(line.request, Request::Tail { since: None });
        let line = serde_json::from_str::<RequestLine>(r#"{"id":3,"request":{"fault":{}}}"#).unwrap();
        assert_eq!(line.request, Request::Fault { spec: None });
    }

    #[test]
    fn responses_survive_their_line() {
        let event = Event { n: 9, at: Wall(1), cause: None, kind: EventKind::Lagged { count: 3 } };
        let responses = [
            Response::Event(Box::new(event)),
            Response::Done,
            Response::Faults(vec!["delay=200ms".into()]),
            Response::Invite { room: "ana's moot".into(), ticket: "moot:abc".into() },
            Response::Log { messages: vec![], left_out: 2 },
            Response::Error(RequestError::usage("zoe is not known here")),
        ];
        for response in responses {
            let line = ResponseLine { id: 4, response };
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<ResponseLine>(&text).unwrap(), line, "{text}");
        }
    }
}
