//! Carries out what was typed: asks the node over its control socket, and gives back what to print. Knows no
//! terminal; both line modes use it.

use std::sync::Arc;

use super::answer;
use super::board::Shared;
use super::parse::{Line, help, parse};
use crate::runtime::protocol::{Request, Response};
use crate::runtime::{Client, ClientError, clock};
use crate::view::Counters;

/// The side that types.
pub(super) struct Session {
    pub(super) node: Client,
    pub(super) board: Arc<Shared>,
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
            Line::Nick(nick) => return self.nick(&nick),
            Line::Status(counters) => (Request::Status, counters),
            Line::Who => (Request::Members, Counters::Hidden),
            Line::Why(what) => (Request::Why { what }, Counters::Hidden),
            Line::Gaps => (Request::Gaps, Counters::Hidden),
            Line::Log(last) => (Request::Log { last }, Counters::Hidden),
            Line::Invite => (Request::Invite, Counters::Hidden),
        };
        let response = self.node.ask(request)?;
        if let Response::Error(error) = response {
            return Ok(Next::Complain(error.message));
        }
        let text = answer(&self.board.lock().view, &response, counters, clock::wall());
        Ok(text.map_or(Next::Nothing, Next::Print))
    }

    fn nick(&mut self, nick: &str) -> Result<Next, ClientError> {
        match self.node.ask(Request::Nick { nick: nick.to_owned() })? {
            Response::Done => {
                self.board.lock().handle_nick(nick);
                Ok(Next::Nothing)
            }
            Response::Error(error) => Ok(Next::Complain(error.message)),
            other => Err(ClientError::unexpected(&other)),
        }
    }

    fn send(&mut self, to: Option<String>, text: String) -> Result<Next, ClientError> {
        self.board.lock().begin_send();
        let answered = self.node.ask(Request::Send { to, text, follow: false });
        let mut board = self.board.lock();
        let sent = match answered {
            Ok(Response::Sent(sent)) => sent,
            Ok(Response::Error(error)) => {
                board.finish_send(None);
                return Ok(Next::Complain(error.message));
            }
            Ok(other) => return Err(ClientError::unexpected(&other)),
            // A text that no request takes: the connection is as it was.
            Err(error @ ClientError::TooLong) => {
                board.finish_send(None);
                return Ok(Next::Complain(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        let lines = board.finish_send(Some(&sent));
        Ok(if lines.is_empty() { Next::Nothing } else { Next::Print(lines.join("\n")) })
    }

    fn fault(&mut self, spec: Option<String>) -> Result<Next, ClientError> {
        let only_asks = spec.is_none();
        let response = self.node.ask(Request::Fault { spec })?;
        let faults = match &response {
            Response::Faults(faults) => faults.clone(),
            Response::Error(error) => return Ok(Next::Complain(error.message.clone())),
            other => return Err(ClientError::unexpected(other)),
        };
        let mut board = self.board.lock();
        board.handle_faults(faults);
        // A change is told as an event, and printed then.
        let text = answer(&board.view, &response, Counters::Hidden, clock::wall()).filter(|_| only_asks);
        Ok(text.map_or(Next::Nothing, Next::Print))
    }
}
