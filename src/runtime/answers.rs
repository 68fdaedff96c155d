//! What the node answers to its clients. Owns the way from a request to a command or a view of the node, and
//! the sentences where a request makes no sense. How requests arrive is `control`'s.

use super::clerk::{Answer, Log, Question};
use super::connection::About;
use super::control::Asker;
use super::event_loop::EventLoop;
use super::protocol::{Request, RequestError, Response};
use crate::base::{MessageId, Now, text};
use crate::host::{FaultError, NameError};
use crate::node::api::{Command, Gap, Refusal, Remembered, Reply, Status, WhyMessage, WhyMissing};
use crate::store::{By, Called, Matches, Search};

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
        self.pump();
    }

    /// Passes on what the clerk found out.
    pub(super) fn handle_answer(&mut self, now: Now, answer: Answer) {
        let (asker, answer) = match answer {
            Answer::Log { asker, log } => {
                (asker, log.map(|Log { messages, left_out }| Response::Log { messages, left_out }))
            }
            Answer::Evidence { asker, file } => (asker, file.map(Response::Evidence)),
            Answer::Searched { asker, matches } => {
                (asker, matches.map(|Matches { found, more }| Response::Found { found, more }))
            }
            Answer::Found { asker, name, found, choices } => match self.why_called(asker, &name, found, choices) {
                Ok(Some(response)) => (asker, Ok(response)),
                // The clerk is asked once more, and answers.
                Ok(None) => return,
                Err(error) => (asker, Err(error)),
            },
            Answer::Why { asker, mut why } => {
                if let Some(why) = why.as_mut().ok().filter(|why| why.known_from == Remembered::ByTheDiskAlone) {
                    self.host.node().say_who_came_later(why);
                }
                (asker, why.map(Response::WhyMessage))
            }
            Answer::NickKept { asker, nick, kept } => (asker, kept.and_then(|()| self.change_nick(now, nick))),
        };
        self.control.answer(asker, answer.unwrap_or_else(Response::Error));
        self.pump();
    }

    fn answer(&mut self, now: Now, asker: Asker, request: Request) -> Result<Option<Response>, RequestError> {
        match request {
            Request::Status => Ok(Some(Response::Status(Box::new(self.status(now))))),
            Request::Members => Ok(Some(Response::Members(self.host.node().status(now).members))),
            Request::Why { what } => self.why(now, asker, what),
            Request::Log { last } => self.clerk.ask(Question::Log { asker, last }).map(|()| None),
            Request::Search { words, from, limit } => self.search(asker, words, from, limit).map(|()| None),
            Request::Evidence { what } => {
                let own_card = self.host.node().card().bytes().to_vec();
                let is_member = !matches!(self.host.member(&what), Err(NameError::Unknown { .. }));
                let name = self.called(&what)?;
                if let Some(missing) = self.why_missing(&name) {
                    return Err(missing_here(&what, &missing));
                }
                self.clerk.ask(Question::Evidence { asker, what, name, is_member, own_card }).map(|()| None)
            }
            Request::Gaps => Ok(Some(Response::Gaps(self.host.node().gaps()))),
            Request::Send { to, text, follow } => self.send(now, asker, to.as_deref(), text, follow).map(|()| None),
            Request::Join { addresses } => self.command(now, Command::Join { addresses }).map(|_| Some(Response::Done)),
            Request::Nick { nick } => {
                text::check_nick(&nick).map_err(|error| RequestError::usage(error.to_string()))?;
                self.clerk.ask(Question::KeepNick { asker, nick }).map(|()| None)
            }
            Request::Invite => {
                let ticket = self.facts.invite(now, self.host.node()).to_string();
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
        let mut status = self.host.status(now);
        status.node.addr = self.facts.addr();
        status.counters.extend(self.socket.counters().entries().map(|(name, count)| (name.to_owned(), count)));
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
        if what.trim().is_empty() {
            let which = "name a member by its nick, or a message by its handle or as author#number";
            return Err(RequestError::usage(which));
        }
        match self.host.member(&what) {
            Ok(id) => {
                let why = self.host.node().why_member(now, id).ok_or_else(|| unknown(&what))?;
                Ok(Some(Response::WhyMember(Box::new(why))))
            }
            Err(NameError::Unknown { .. }) => {
                // A whole id needs no looking for, and its message may not be on the disk yet.
                if let Some(known) = what.parse().ok().and_then(|id| self.host.node().why_message_verified(id)) {
                    return self.with_its_text(asker, known);
                }
                let name = self.called(&what)?;
                self.clerk.ask(Question::Find { asker, what, name }).map(|()| None)
            }
            Err(error @ NameError::Ambiguous { .. }) => Err(RequestError::usage(error.to_string())),
        }
    }

    fn search(&self, asker: Asker, words: String, from: Option<String>, limit: u64) -> Result<(), RequestError> {
        let by = from.map(|name| self.author(name)).transpose()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.clerk.ask(Question::Search { asker, search: Search { words, by, limit } })
    }

    /// Whose messages a nick, `nick~id` or id means.
    fn author(&self, name: String) -> Result<By, RequestError> {
        match self.host.member(&name) {
            Ok(id) => Ok(By::Member(id)),
            // The disk remembers the nicks of members that the node has forgotten.
            Err(NameError::Unknown { .. }) => Ok(By::Nick(name)),
            Err(error @ NameError::Ambiguous { .. }) => Err(RequestError::usage(error.to_string())),
        }
    }

    fn called(&self, what: &str) -> Result<Called, RequestError> {
        Ok(match what.parse() {
            Ok(Called::Numbered(By::Nick(name), seq)) => Called::Numbered(self.author(name)?, seq),
            Ok(called) => called,
        })
    }

    /// A name that a gap has is the missing message's, whatever else here goes by it.
    fn why_called(
        &self,
        asker: Asker,
        name: &Called,
        found: Result<MessageId, RequestError>,
        choices: Vec<String>,
    ) -> Result<Option<Response>, RequestError> {
        match self.why_missing(name) {
            Some(missing) => {
                let missing = WhyMissing { also_called_so: choices, ..missing };
                Ok(Some(Response::WhyMissing(Box::new(missing))))
            }
            None => found.and_then(|id| self.why_found(asker, id)),
        }
    }

    /// `bo#7`, where a gap names it.
    fn why_missing(&self, name: &Called) -> Option<WhyMissing> {
        let Called::Numbered(by, seq) = name else { return None };
        let node = self.host.node();
        let author = match by {
            By::Member(id) => *id,
            By::Nick(nick) => node.gaps().into_iter().find(|gap| gap.nick == *nick)?.author,
        };
        node.why_missing(author, *seq)
    }

    /// What the node holds of a message that is on the disk; else the disk is asked for what it has.
    fn why_found(&self, asker: Asker, id: MessageId) -> Result<Option<Response>, RequestError> {
        match self.host.node().why_message_verified(id) {
            Some(known) => self.with_its_text(asker, known),
            None => self.clerk.ask(Question::Why { asker, id, known: None }).map(|()| None),
        }
    }

    /// The node holds no text that it neither sends nor gives to others any more: the disk does.
    fn with_its_text(&self, asker: Asker, known: WhyMessage) -> Result<Option<Response>, RequestError> {
        let (id, known) = (known.id, Box::new(known));
        if known.text.is_some() && known.said_at.is_some() {
            return Ok(Some(Response::WhyMessage(known)));
        }
        self.clerk.ask(Question::Why { asker, id, known: Some(known) }).map(|()| None)
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
                let to = self.host.member(name).map_err(|error| RequestError::usage(error.to_string()))?;
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
        self.control.renew_ready(&self.facts.ready(self.host.node()));
        Ok(Response::Done)
    }

    fn fault(&mut self, now: Now, spec: Option<&str>) -> Result<Response, RequestError> {
        if let Some(spec) = spec {
            self.host.handle_fault(now, spec).map_err(|error| match error {
                FaultError::Spec(_) | FaultError::Name(_) | FaultError::Elsewhere { .. } => {
                    RequestError::usage(error.to_string())
                }
                FaultError::Full(_) => RequestError::refused(error.to_string()),
            })?;
        }
        Ok(Response::Faults(self.host.faults()))
    }

    fn command(&mut self, now: Now, command: Command) -> Result<Reply, RequestError> {
        self.host.handle_command(now, command).map_err(|refusal| match refusal {
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
}

fn missing_here(what: &str, missing: &WhyMissing) -> RequestError {
    let Gap { nick, .. } = &missing.gap;
    RequestError::refused(format!(
        "{what} is a message of {nick} that is missing here, so there is nothing to show for it; moot why {what} tells who was \
         asked for it, and a message that is here goes by its handle too"
    ))
}

fn unknown(name: &str) -> RequestError {
    RequestError::usage(NameError::Unknown { name: name.to_owned() }.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::{Rng, Run, Seq, Wall};
    use crate::crypto::Identity;
    use crate::messaging::{GapRecord, Record};
    use crate::node;
    use crate::runtime::start::tests::options;
    use crate::runtime::{Client, socket_in, start};
    use crate::store::{Home, Room, Writer};
    use crate::wire::{Card, GroupMessage, Prev, Signed};

    /// A home in which bo said #1 to #4 in its first run, and of its second run #6 is here, and #4 and #5 are missing.
    fn home_with_a_gap(path: &Path) -> MessageId {
        let mut rng = Rng::from_seed([1; 32]);
        let home = Home::open(path, "ana", Room::found("the moot", &mut rng), &mut rng).unwrap();
        let (room, bo) = (home.room().id, Identity::generate(&mut Rng::from_seed([2; 32])));
        let runs = [5, 7].map(|incarnation| Run { incarnation, boot: 1 });
        let said = |run, seq: Seq| {
            let (author, text) = (bo.id(), format!("the {seq} of {}", runs[0] == run));
            let prev = if seq == 1 { Prev::None } else { Prev::Same(MessageId([9; 32])) };
            let said = GroupMessage { room, author, run, seq, prev, lamport: seq, said_at: Wall(1_000), text };
            Signed::sign(said, &bo)
        };
        let received = |run, seq| {
            let bytes = said(run, seq).bytes().clone();
            Record::GroupReceived { bytes, via: bo.id(), recovered: false, order: seq, at: Wall(2_000) }
        };
        let card = Card {
            room,
            member: bo.id(),
            noise_key: bo.noise_key(),
            run: runs[1],
            version: 1,
            nick: "bo".into(),
            addresses: vec!["127.0.0.1:9".parse().unwrap()],
        };
        let bytes = Signed::sign(card, &bo).bytes().clone();
        let card = crate::membership::Record::Card { member: bo.id(), run: runs[1], version: 1, bytes };
        let mut records = vec![node::Record::Membership(card)];
        records.extend((1..=4).map(|seq| node::Record::Messaging(received(runs[0], seq))));
        records.push(node::Record::Messaging(received(runs[1], 6)));
        let history = Record::History { author: bo.id(), run: runs[1], upto: 3 };
        let gap = GapRecord { author: bo.id(), run: runs[1], first: 4, last: 5, asked: Vec::new(), at: Wall(2_000) };
        records.extend([history, Record::Gap(gap)].map(node::Record::Messaging));
        let writer = Writer::start(&home, Box::new(|| ())).unwrap();
        writer.submit(1, records);
        let written = writer.close();
        assert!(matches!(written[..], [crate::store::Written::Stored { mark: 1, result: Ok(()) }]), "{written:?}");
        said(runs[0], 4).id()
    }

    #[test]
    fn what_a_gap_names_is_told_as_missing_and_never_as_another_message() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let of_before = home_with_a_gap(&home).handle(12);
        let running = start(&options(&home)).unwrap();
        let mut client = Client::connect(&socket_in(&home)).unwrap();
        let Response::Gaps(gaps) = client.ask(Request::Gaps).unwrap() else { panic!() };
        assert_eq!((gaps.len(), gaps[0].first, gaps[0].last, gaps[0].of_earlier_run), (1, 4, 5, false));
        let why = |client: &mut Client, what: &str| client.ask(Request::Why { what: what.into() }).unwrap();

        let Response::WhyMissing(missing) = why(&mut client, "bo#4") else { panic!() };
        assert_eq!((missing.seq, &missing.gap), (4, &gaps[0]));
        assert!(missing.also_called_so[0].starts_with(&of_before), "{:?}", missing.also_called_so);
        let named = format!("bo~{}#5", gaps[0].author.short());
        assert!(matches!(why(&mut client, &named), Response::WhyMissing(missing) if missing.also_called_so.is_empty()));
        let Response::Error(refused) = client.ask(Request::Evidence { what: "bo#4".into() }).unwrap() else { panic!() };
        assert!(refused.message.starts_with("bo#4 is a message of bo that is missing here"), "{}", refused.message);

        // Of its newest run nothing is known of #2, and of the run before it is here.
        let Response::Error(refused) = why(&mut client, "bo#2") else { panic!() };
        assert!(refused.message.contains("of an earlier run there is this"), "{}", refused.message);
        assert!(matches!(why(&mut client, "bo#6"), Response::WhyMessage(why) if why.incarnation == 7));
        assert!(matches!(why(&mut client, &of_before), Response::WhyMessage(why) if why.incarnation == 5));
        running.stop();
        running.wait().unwrap();
    }
}
