//! What the node answers to its clients. Owns the way from a request to a command or a view of the node, and
//! the sentences where a request makes no sense. How requests arrive is `control`'s.

use super::clerk::{Answer, Log, Question};
use super::connection::About;
use super::control::Asker;
use super::event_loop::EventLoop;
use super::protocol::{Request, RequestError, Response};
use super::{edge, names};
use crate::base::{MemberId, MessageId, Now, text};
use crate::faults::Spec;
use crate::node::api::{Command, EventKind, Refusal, Reply, Status};

impl EventLoop {
    pub(super) fn handle_request(&mut self, now: Now, asker: Asker, request: Request) {
        let answer = self.answer(now, asker, request);
        match answer {
            Ok(Some(response)) => self.control.answer(asker, response),
            // The clerk answers, or a stream of events does.
            Ok(None) => {}
            Err(error) => self.control.answer(asker, Response::Error(error)),
        }
        // After the answer, so that an event about what was asked never overtakes it.
        self.pump(now);
    }

    /// Passes on what the clerk found out.
    pub(super) fn handle_answer(&mut self, now: Now, answer: Answer) {
        let (asker, answer) = match answer {
            Answer::Log { asker, log } => {
                (asker, log.map(|Log { messages, left_out }| Response::Log { messages, left_out }))
            }
            Answer::Found { asker, found } => (asker, found.and_then(|id| self.why_message(now, id))),
            Answer::NickKept { asker, nick, kept } => (asker, kept.and_then(|()| self.change_nick(now, nick))),
        };
        self.control.answer(asker, answer.unwrap_or_else(Response::Error));
        self.pump(now);
    }

    fn answer(&mut self, now: Now, asker: Asker, request: Request) -> Result<Option<Response>, RequestError> {
        match request {
            Request::Status => Ok(Some(Response::Status(Box::new(self.status(now))))),
            Request::Members => Ok(Some(Response::Members(self.node.status(now).members))),
            Request::Why { what } => self.why(now, asker, what),
            Request::Log { last } => self.clerk.ask(Question::Log { asker, last }).map(|()| None),
            Request::Gaps => Ok(Some(Response::Gaps(self.node.gaps()))),
            Request::Send { to, text, follow } => self.send(now, asker, to.as_deref(), text, follow).map(|()| None),
            Request::Join { addresses } => self.command(now, Command::Join { addresses }).map(|_| Some(Response::Done)),
            Request::Nick { nick } => {
                text::check_nick(&nick).map_err(|error| RequestError::usage(error.to_string()))?;
                self.clerk.ask(Question::KeepNick { asker, nick }).map(|()| None)
            }
            Request::Invite => {
                let ticket = self.facts.invite(now, &self.node).to_string();
                Ok(Some(Response::Invite { room: self.facts.room.name.clone(), ticket }))
            }
            Request::Leave => {
                self.end(now, true);
                Ok(Some(Response::Done))
            }
            Request::Tail { since } => {
                self.control.tail(asker, since);
                Ok(None)
            }
            Request::Fault { spec } => self.fault(now, spec.as_deref()).map(Some),
            Request::Stop => {
                self.end(now, false);
                Ok(Some(Response::Done))
            }
        }
    }

    /// The node's status with what only its driver knows.
    fn status(&self, now: Now) -> Status {
        let mut status = self.node.status(now);
        status.node.addr = self.facts.addr();
        status.faults = self.edge.specs();
        let counted = self.socket.counters().entries().chain(self.edge.entries());
        status.counters.extend(counted.map(|(name, count)| (name.to_owned(), count)));
        let buffers = self.socket.buffers();
        for (name, bytes) in
            [("udp_receive_buffer_bytes", buffers.receive_bytes), ("udp_send_buffer_bytes", buffers.send_bytes)]
        {
            status.limits.insert(name.to_owned(), u64::try_from(bytes).unwrap_or(u64::MAX));
        }
        status
    }

    /// A member goes before a message of the same name; a message that is not in memory is looked for on
    /// the disk.
    fn why(&self, now: Now, asker: Asker, what: String) -> Result<Option<Response>, RequestError> {
        match self.member(&what) {
            Ok(id) => {
                let why = self.node.why_member(now, id).ok_or_else(|| unknown(&what))?;
                Ok(Some(Response::WhyMember(Box::new(why))))
            }
            Err(names::NameError::Unknown { .. }) => self.clerk.ask(Question::Find { asker, what }).map(|()| None),
            Err(error @ names::NameError::Ambiguous { .. }) => Err(RequestError::usage(error.to_string())),
        }
    }

    fn why_message(&self, now: Now, id: MessageId) -> Result<Response, RequestError> {
        let why = self
            .node
            .why_message(now, id)
            .ok_or_else(|| RequestError::refused("that message is in the log; how it travelled is no longer known"))?;
        Ok(Response::WhyMessage(Box::new(why)))
    }

    fn send(
        &mut self,
        now: Now,
        asker: Asker,
        to: Option<&str>,
        text: String,
        follow: bool,
    ) -> Result<(), RequestError> {
        let command = match to {
            None => Command::Say { text },
            Some(name) => {
                let to = self.member(name).map_err(|error| RequestError::usage(error.to_string()))?;
                Command::Tell { to, text }
            }
        };
        let Reply::Accepted(sent) = self.command(now, command)? else {
            return Err(RequestError::failed("the message was not accepted"));
        };
        let about = About::Message(sent.id);
        self.control.answer(asker, Response::Sent(sent));
        if follow {
            self.control.follow(asker, about);
        }
        Ok(())
    }

    fn change_nick(&mut self, now: Now, nick: String) -> Result<Response, RequestError> {
        self.command(now, Command::Nick { nick: nick.clone() })?;
        self.facts.nick = nick;
        self.control.renew_ready(&self.facts.ready(now.wall, &self.node));
        Ok(Response::Done)
    }

    fn fault(&mut self, now: Now, spec: Option<&str>) -> Result<Response, RequestError> {
        if let Some(spec) = spec {
            match spec.parse::<Spec>().map_err(|error| RequestError::usage(error.to_string()))? {
                Spec::Off => self.edge.clear(),
                Spec::Add(rules) => {
                    let members = self.node.names();
                    for nick in edge::nicks(&rules) {
                        names::resolve(nick, &members).map_err(|error| RequestError::usage(error.to_string()))?;
                    }
                    self.edge.add(rules).map_err(|error| RequestError::refused(error.to_string()))?;
                    self.learn(now);
                }
            }
            self.tell_faults(now);
        }
        Ok(Response::Faults(self.edge.specs()))
    }

    /// Tells that fault injection changed.
    pub(super) fn tell_faults(&mut self, now: Now) {
        let specs = self.edge.specs();
        let spec = (!specs.is_empty()).then(|| specs.join(", "));
        self.node.handle_told(now, EventKind::Fault { spec });
        self.pump(now);
    }

    fn command(&mut self, now: Now, command: Command) -> Result<Reply, RequestError> {
        self.node.handle_command(now, command).map_err(|refusal| match refusal {
            Refusal::Text(_) | Refusal::UnknownMember { .. } | Refusal::Yourself => {
                RequestError::usage(refusal.to_string())
            }
            Refusal::Full { .. }
            | Refusal::Busy { .. }
            | Refusal::Starting
            | Refusal::Leaving
            | Refusal::DiskFull
            | Refusal::CopiedHome => RequestError::refused(refusal.to_string()),
        })
    }

    fn member(&self, name: &str) -> Result<MemberId, names::NameError> {
        names::resolve(name, &self.node.names())
    }
}

fn unknown(name: &str) -> RequestError {
    RequestError::usage(names::NameError::Unknown { name: name.to_owned() }.to_string())
}
