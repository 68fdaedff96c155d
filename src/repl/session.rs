//! Carries out what was typed: asks the node over its control socket, and gives back what to print. Knows no
//! terminal; both line modes use it.

use std::sync::{Arc, Mutex};

use super::board::Board;
use super::parse::{Line, help, parse};
use super::{answer, lock};
use crate::runtime::clock;
use crate::runtime::protocol::{Request, RequestError, Response};
use crate::runtime::{Client, ClientError};
use crate::view::Counters;

/// The side that types.
pub(super) struct Session {
    pub(super) node: Client,
    pub(super) board: Arc<Mutex<Board>>,
}

/// What follows from a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Print(String),
    /// The line was wrong, or the node refused it.
    Complain(String),
    Quit,
}

impl Session {
    /// Carries out one typed line.
    ///
    /// # Errors
    /// When the node is gone.
    pub(super) fn handle_line(&mut self, line: &str) -> Result<Next, ClientError> {
        let line = match parse(line) {
            Ok(line) => line,
            Err(sentence) => return Ok(Next::Complain(sentence)),
        };
        let (request, counters) = match line {
            Line::Nothing => return Ok(Next::Nothing),
            Line::Help => return Ok(Next::Print(help())),
            Line::Quit => return Ok(Next::Quit),
            Line::Say(text) => return self.send(None, text),
            Line::Tell { to, text } => return self.send(Some(to), text),
            Line::Fault(spec) => return self.fault(spec),
            Line::Status(counters) => (Request::Status, counters),
            Line::Who => (Request::Members, Counters::Hidden),
            Line::Why(what) => (Request::Why { what }, Counters::Hidden),
            Line::Gaps => (Request::Gaps, Counters::Hidden),
            Line::Log(last) => (Request::Log { last }, Counters::Hidden),
            Line::Invite => (Request::Invite, Counters::Hidden),
            Line::Nick(nick) => (Request::Nick { nick }, Counters::Hidden),
        };
        let response = self.node.ask(request)?;
        if let Response::Error(error) = response {
            return Ok(complain(error));
        }
        let text = answer(&lock(&self.board).view, &response, counters, clock::wall());
        Ok(text.map_or(Next::Nothing, Next::Print))
    }

    fn send(&mut self, to: Option<String>, text: String) -> Result<Next, ClientError> {
        lock(&self.board).begin_send();
        let answered = self.node.ask(Request::Send { to, text, follow: false });
        let mut board = lock(&self.board);
        match answered {
            Ok(Response::Sent(sent)) => Ok(printed(board.finish_send(Some(&sent)))),
            Ok(Response::Error(error)) => {
                board.finish_send(None);
                Ok(complain(error))
            }
            Ok(other) => Ok(unexpected(&other)),
            Err(error) => Err(error),
        }
    }

    fn fault(&mut self, spec: Option<String>) -> Result<Next, ClientError> {
        match self.node.ask(Request::Fault { spec: spec.clone() })? {
            Response::Faults(faults) => {
                let mut board = lock(&self.board);
                // A change is told as an event, and printed then.
                let text = answer(&board.view, &Response::Faults(faults.clone()), Counters::Hidden, clock::wall());
                board.handle_faults(faults);
                Ok(text.filter(|_| spec.is_none()).map_or(Next::Nothing, Next::Print))
            }
            Response::Error(error) => Ok(complain(error)),
            other => Ok(unexpected(&other)),
        }
    }
}

fn printed(lines: Vec<String>) -> Next {
    if lines.is_empty() { Next::Nothing } else { Next::Print(lines.join("\n")) }
}

fn complain(error: RequestError) -> Next {
    Next::Complain(error.message)
}

fn unexpected(response: &Response) -> Next {
    tracing::debug!(?response, "an answer to another question");
    Next::Complain("the node answered something else; it may be of another version of moot".into())
}
