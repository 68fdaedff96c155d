//! Carries out what was typed: asks the node over its control socket, and gives back what to print. Knows no
//! terminal; both line modes use it.

use std::sync::Arc;

use super::answer;
use super::board::Shared;
use super::parse::{COMMANDS, Line, help, parse};
use crate::node::api::MessageKind;
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
    /// A message to the room was taken, which is not yet to say that it is on the disk; `lines` are to print below it, and
    /// end each with a line break.
    Accepted {
        handle: String,
        lines: String,
    },
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
        let line = match self.ignoring_case(line) {
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
            Line::Search { from, words } => {
                (Request::Search { words, from, limit: SEARCHED_MESSAGES }, Counters::Hidden)
            }
            Line::Invite => (Request::Invite, Counters::Hidden),
        };
        let response = self.node.ask(request)?;
        if let Response::Error(error) = response {
            return Ok(Next::Complain(slashed(&error.message)));
        }
        let is_who = matches!(response, Response::Members(_));
        let is_why = matches!(response, Response::WhyMember(_) | Response::WhyMessage(_) | Response::WhyMissing(_));
        let is_told_with_status = is_who || is_why || matches!(response, Response::Gaps(_));
        let node = match is_told_with_status.then(|| self.node.ask(Request::Status)).transpose()? {
            Some(Response::Status(status)) => Some(status.node),
            _ => None,
        };
        let silent_since = node.as_ref().filter(|_| is_who || is_why).and_then(|node| node.silent_since);
        let cut_off = is_who && node.as_ref().is_some_and(|node| node.probably_cut_off);
        let mut board = self.board.lock();
        board.view.now = clock::wall();
        let text = match &response {
            Response::Gaps(gaps) => Some(board.view.gaps(gaps, node.as_ref())),
            _ => answer(&board.view, &response, counters),
        };
        let silent = silent_since.map(|since| board.view.silent(since));
        let warning = silent.or_else(|| cut_off.then(|| board.view.cut_off()));
        let lines: Vec<String> = warning.into_iter().chain(text).collect();
        Ok(if lines.is_empty() { Next::Nothing } else { Next::Print(lines.join("\n")) })
    }

    /// The line with the nick that was meant, where only its case is not right.
    fn ignoring_case(&self, line: Line) -> Result<Line, String> {
        let names = &self.board.lock().view.names;
        Ok(match line {
            Line::Tell { to, text } => Line::Tell { to: names.ignoring_case(&to)?, text },
            Line::Why(what) => Line::Why(names.ignoring_case(&what)?),
            Line::Search { from: Some(from), words } => Line::Search { from: Some(names.ignoring_case(&from)?), words },
            other => other,
        })
    }

    fn nick(&mut self, nick: &str) -> Result<Next, ClientError> {
        match self.node.ask(Request::Nick { nick: nick.to_owned() })? {
            Response::Done => {
                let mut board = self.board.lock();
                board.handle_nick(nick);
                Ok(Next::Print(renamed(nick, board.view.names.own_marked())))
            }
            Response::Error(error) => Ok(Next::Complain(slashed(&error.message))),
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
                return Ok(Next::Complain(slashed(&error.message)));
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
        let lines: String = lines.into_iter().map(|line| line + "\n").collect();
        Ok(match sent.kind {
            MessageKind::Group => Next::Accepted { handle: sent.handle, lines },
            // It is shown with its handle once it is on disk.
            MessageKind::Private if lines.is_empty() => Next::Nothing,
            MessageKind::Private => Next::Print(lines.trim_end().to_owned()),
        })
    }

    fn fault(&mut self, spec: Option<String>) -> Result<Next, ClientError> {
        let only_asks = spec.is_none();
        let response = self.node.ask(Request::Fault { spec })?;
        let faults = match &response {
            Response::Faults(faults) => faults.clone(),
            Response::Error(error) => return Ok(Next::Complain(slashed(&error.message))),
            other => return Err(ClientError::unexpected(other)),
        };
        let mut board = self.board.lock();
        board.handle_faults(faults);
        // A change is told as an event, and printed then.
        let text = answer(&board.view, &response, Counters::Hidden).filter(|_| only_asks);
        Ok(text.map_or(Next::Nothing, Next::Print))
    }
}

/// Messages that `/search` shows: a screenful.
const SEARCHED_MESSAGES: u64 = 20;

/// What the node says of commands, as they are typed here: `/who` for `moot who`.
fn slashed(sentence: &str) -> String {
    COMMANDS.iter().fold(sentence.to_owned(), |sentence, command| {
        let word = command.name.trim_start_matches('/');
        sentence.replace(&format!("moot {word}"), command.name)
    })
}

/// What follows from a new nick; `marked` is what others see where somebody else has it too.
fn renamed(nick: &str, marked: Option<String>) -> String {
    match marked {
        Some(marked) => format!("you are now {nick}; {nick} is taken: others see {marked}"),
        None => format!("you are now {nick}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_suggests_is_said_as_it_is_typed_here() {
        assert_eq!(
            slashed("zoe is not known here; moot who lists the members"),
            "zoe is not known here; /who lists the members"
        );
        assert_eq!(
            slashed("no member and no message is called zed; moot who lists members, moot log messages"),
            "no member and no message is called zed; /who lists members, /log messages"
        );
    }

    #[test]
    fn a_new_nick_is_confirmed_and_one_that_is_taken_warned_of() {
        assert_eq!(renamed("anna", None), "you are now anna");
        assert_eq!(renamed("bo", Some("bo~x52o".into())), "you are now bo; bo is taken: others see bo~x52o");
    }
}
