//! The thread that does what may wait for the disk on behalf of people: reading the log, finding messages by
//! handle or by words, keeping a new nick. Owns the home for as long as the node runs, and the queue of questions.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use jiff::tz::TimeZone;

use super::clock;
use super::control::Asker;
use super::protocol::RequestError;
use crate::base::limits::{CONTROL_LOG_BYTES_MAX, DISK_QUESTIONS_MAX};
use crate::base::{MessageId, text};
use crate::node::api::{Found, Message, WhyMessage};
use crate::store::{Called, CaughtUp, History, Home, Matches, Meant, Search, SearchError, Settler, StoreError};
use crate::view::{Ink, Names, View};
use crate::wire::EvidenceFile;

/// The way to the thread.
pub(super) struct Clerk {
    questions: SyncSender<Question>,
    answers: Receiver<Answer>,
    thread: JoinHandle<Home>,
}

/// What the disk is asked, and for whom.
pub(super) enum Question {
    Log {
        asker: Asker,
        last: u64,
    },
    /// Which message a handle, `ana#12` or an id means.
    Find {
        asker: Asker,
        what: String,
        name: Called,
    },
    /// What the disk knows of a message that the node no longer does; or, where the node told all but its text or its time, these.
    Why {
        asker: Asker,
        id: MessageId,
        known: Option<Box<WhyMessage>>,
    },
    Search {
        asker: Asker,
        search: Search,
    },
    Evidence {
        asker: Asker,
        what: String,
        name: Called,
        /// Whether a member goes by that too.
        is_member: bool,
        /// Signed; the disk has others' cards only.
        own_card: Vec<u8>,
    },
    KeepNick {
        asker: Asker,
        nick: String,
    },
}

pub(super) enum Answer {
    Log {
        asker: Asker,
        log: Result<Log, RequestError>,
    },
    /// With what tells each message of that name from the others.
    Found {
        asker: Asker,
        name: Called,
        found: Result<MessageId, RequestError>,
        choices: Vec<String>,
    },
    Why {
        asker: Asker,
        why: Result<Box<WhyMessage>, RequestError>,
    },
    Evidence {
        asker: Asker,
        file: Result<Box<EvidenceFile>, RequestError>,
    },
    Searched {
        asker: Asker,
        matches: Result<Matches, RequestError>,
    },
    NickKept {
        asker: Asker,
        nick: String,
        kept: Result<(), RequestError>,
    },
}

/// The newest messages, oldest first, and how many older ones did not fit.
pub(super) struct Log {
    pub messages: Vec<Message>,
    pub left_out: u64,
}

impl Clerk {
    /// Starts the thread. It calls `wake` when there is an answer to take.
    ///
    /// # Errors
    /// What the system says about one more thread.
    pub fn start(home: Home, settler: Settler, wake: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let (questions, queue) = sync_channel(DISK_QUESTIONS_MAX);
        let (done, answers) = channel();
        let desk = Desk { home, settler, history: None, done };
        let thread = thread::Builder::new()
            .name("moot-clerk".into())
            .stack_size(STACK_BYTES)
            .spawn(move || desk.work(&queue, &wake))?;
        Ok(Self { questions, answers, thread })
    }

    /// Asks.
    ///
    /// # Errors
    /// [`RequestError`] when `DISK_QUESTIONS_MAX` questions wait already.
    pub fn ask(&self, question: Question) -> Result<(), RequestError> {
        self.questions
            .try_send(question)
            .map_err(|_| RequestError::refused("too many questions wait for the disk; ask again in a moment"))
    }

    pub fn poll_answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }

    /// Ends the thread after the question that it is at, and gives the home back: whoever is last to close
    /// the database folds its write-ahead log in, and that is to be who writes.
    pub fn close(self) -> Option<Home> {
        drop((self.questions, self.answers));
        // A panic of the thread was printed by it.
        self.thread.join().ok()
    }
}

/// What the thread owns.
struct Desk {
    home: Home,
    settler: Settler,
    /// Opened by the first question: most lives of a node see none.
    history: Option<History>,
    done: Sender<Answer>,
}

impl Desk {
    fn work(mut self, queue: &Receiver<Question>, wake: &impl Fn()) -> Home {
        while let Ok(question) = queue.recv() {
            let answer = self.answer(question);
            self.history.take_if(|history| history.keeps_others_waiting());
            if self.done.send(answer).is_err() {
                break;
            }
            wake();
        }
        self.home
    }

    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Log { asker, last } => {
                let read = self.history().and_then(|history| history.log(usize::try_from(last).unwrap_or(usize::MAX)));
                Answer::Log { asker, log: read.map(fitting).map_err(|error| failed(&error)) }
            }
            Question::Search { asker, search } => Answer::Searched { asker, matches: self.search(&search) },
            Question::Why { asker, id: _, known: Some(known) } => Answer::Why { asker, why: Ok(self.complete(known)) },
            Question::Why { asker, id, known: None } => Answer::Why { asker, why: self.why(id) },
            Question::Evidence { asker, what, name, is_member, own_card } => {
                Answer::Evidence { asker, file: self.evidence(&what, &name, is_member, &own_card) }
            }
            Question::Find { asker, what, name } => {
                let (found, choices) = match self.find(&what, &name) {
                    Ok((found, choices)) => (found, choices),
                    Err(error) => (Err(failed(&error)), Vec::new()),
                };
                Answer::Found { asker, name, found, choices }
            }
            Question::KeepNick { asker, nick } => {
                let kept = self.keep_nick(&nick).map_err(|error| failed(&error));
                Answer::NickKept { asker, nick, kept }
            }
        }
    }

    /// The message that goes by a name, or why none does, and all that do by what tells them apart.
    fn find(
        &mut self,
        what: &str,
        name: &Called,
    ) -> Result<(Result<MessageId, RequestError>, Vec<String>), StoreError> {
        let history = self.history()?;
        let Meant { ids, earlier } = history.find(name)?;
        let choices = history.choices(if ids.is_empty() { &earlier } else { &ids })?;
        let choices: Vec<String> = choices.iter().map(choice).collect();
        let found = match (&ids[..], &choices[..]) {
            ([id], _) => Ok(*id),
            ([], []) => Err(RequestError::usage(match name {
                Called::Handle(_) => {
                    format!("no member and no message is called {what}; moot who lists members, moot log messages")
                }
                Called::Numbered(..) => format!(
                    "no message that is kept here is {what}, and no gap names it; moot log lists messages, moot gaps what is missing"
                ),
            })),
            ([], [one]) => Err(RequestError::usage(format!(
                "no message of the newest run known here is {what}; of an earlier run there is this, write its handle if you \
                 mean it: {one}"
            ))),
            ([], earlier) => Err(RequestError::usage(format!(
                "no message of the newest run known here is {what}; of earlier runs there are these, write the handle of the \
                 one that you mean: {}",
                earlier.join("; ")
            ))),
            (_, several) => Err(RequestError::usage(format!(
                "{what} may be any of these, write more of the handle of the one that you mean: {}",
                several.join("; ")
            ))),
        };
        Ok((found, choices))
    }

    fn search(&mut self, search: &Search) -> Result<Matches, RequestError> {
        let caught_up = self.settler.catch_up();
        let history = self.reader(caught_up).map_err(|error| failed(&error))?;
        if caught_up != CaughtUp::Yes && !history.is_indexed().map_err(|error| failed(&error))? {
            let why = "the newest messages are not indexed yet, as on a disk that is full or slow; moot log has them";
            return Err(RequestError::failed(why));
        }
        match history.search(search) {
            Ok(matches) => Ok(all_that_fit(matches)),
            Err(SearchError::Store(error)) => Err(failed(&error)),
            Err(error @ (SearchError::NoWords(_) | SearchError::Nobody(_))) => {
                Err(RequestError::usage(error.to_string()))
            }
        }
    }

    fn why(&mut self, id: MessageId) -> Result<Box<WhyMessage>, RequestError> {
        let why = self.history().and_then(|history| history.why(id)).map_err(|error| failed(&error))?;
        why.map(Box::new).ok_or_else(|| RequestError::refused("that message is no longer kept here"))
    }

    /// What is not on the disk yet, or cannot be read, stays unknown.
    fn complete(&mut self, mut why: Box<WhyMessage>) -> Box<WhyMessage> {
        let said = self.history().and_then(|history| history.choices(&[why.id]));
        if let Some((said, _)) = said.ok().and_then(|mut said| said.pop()) {
            why.text.get_or_insert(said.text);
            why.said_at.get_or_insert(said.said_at);
        }
        why
    }

    fn evidence(
        &mut self,
        what: &str,
        name: &Called,
        is_member: bool,
        own_card: &[u8],
    ) -> Result<Box<EvidenceFile>, RequestError> {
        let (found, choices) = self.find(what, name).map_err(|error| failed(&error))?;
        let id = found.map_err(|error| {
            if !is_member || !choices.is_empty() {
                return error;
            }
            RequestError::usage(format!(
                "{what} is a member, and evidence is of a message: {what}#1, or a handle that moot log shows; \
                 moot why {what} tells what is known of the member"
            ))
        })?;
        let room = self.home.room().id;
        let file = self.history().and_then(|history| history.evidence(room, id, own_card));
        let file = file.map_err(|error| failed(&error))?;
        file.map(Box::new).ok_or_else(|| RequestError::refused(format!("{what} is no longer kept here")))
    }

    fn keep_nick(&mut self, nick: &str) -> Result<(), StoreError> {
        self.home.set_nick(nick)?;
        if let Some(history) = &mut self.history {
            history.set_nick(nick);
        }
        Ok(())
    }

    /// A reader that sees all that was committed by now.
    fn history(&mut self) -> Result<&History, StoreError> {
        let is_held = self.history.as_ref().is_some_and(History::keeps_others_waiting);
        let caught_up = if is_held { CaughtUp::Yes } else { self.settler.catch_up() };
        self.reader(caught_up)
    }

    fn reader(&mut self, caught_up: CaughtUp) -> Result<&History, StoreError> {
        let mut history = match self.history.take() {
            Some(history) => history,
            None => History::open(&self.home)?,
        };
        let is_filed = caught_up == CaughtUp::Yes || history.is_filed()?;
        match caught_up {
            CaughtUp::No if !is_filed => history = History::open_unfiled(&self.home)?,
            CaughtUp::Waits if !is_filed => return Err(StoreError::Held { path: self.home.database() }),
            CaughtUp::Yes | CaughtUp::No | CaughtUp::Waits => {}
        }
        Ok(self.history.insert(history))
    }
}

/// Leaves out the oldest that do not fit an answer.
fn fitting(mut messages: Vec<Message>) -> Log {
    let left_out = surplus(messages.iter().map(|message| message.text.len()));
    messages.drain(..left_out);
    Log { messages, left_out: u64::try_from(left_out).unwrap_or(u64::MAX) }
}

/// The same for what was searched for.
fn all_that_fit(mut matches: Matches) -> Matches {
    let snippet = |found: &Found| found.snippet.iter().map(|piece| piece.text.len()).sum::<usize>();
    let left_out = surplus(matches.found.iter().map(|found| found.message.text.len() + snippet(found)));
    matches.found.drain(..left_out);
    matches.more |= left_out > 0;
    matches
}

/// How many of messages with so many bytes of text, the oldest first, are beyond `CONTROL_LOG_BYTES_MAX`.
fn surplus(texts: impl DoubleEndedIterator<Item = usize> + ExactSizeIterator) -> usize {
    let count = texts.len();
    let mut bytes = 0;
    let newest = texts.rev().take_while(|text| {
        bytes += text + ENVELOPE_BYTES;
        bytes <= CONTROL_LOG_BYTES_MAX
    });
    count - newest.count()
}

/// A message by what tells it from others: `k7f3dmxq2abc (ana to bo, 14:03:22: "the first words of…")`.
fn choice((message, to): &(Message, Option<String>)) -> String {
    let Message { id, nick, text, said_at, .. } = message;
    let to = to.as_deref().unwrap_or("the room");
    let mut words: String = text::sanitize(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(CHOICE_CHARS_MAX) {
        words.truncate(end);
        words.push('…');
    }
    let view =
        View { ink: Ink::Plain, zone: TimeZone::system(), now: clock::wall(), names: Names::default(), columns: None };
    format!("{} ({nick} to {to}, {}: \"{words}\")", id.handle(AMBIGUOUS_CHARS), view.time(*said_at))
}

fn failed(error: &StoreError) -> RequestError {
    RequestError::failed(error.to_string())
}

/// SQLite needs more than bytes on the stack; measured by nobody, a guess with room.
const STACK_BYTES: usize = 512 * 1024;
/// Characters of an id where several begin alike: enough to tell them apart.
const AMBIGUOUS_CHARS: usize = 12;
/// Characters of a text that tell it from others.
const CHOICE_CHARS_MAX: usize = 32;
/// What a message takes in JSON beside its text.
const ENVELOPE_BYTES: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MemberId, Rng, Run, Wall};
    use crate::messaging::{Outcome, Record};
    use crate::node;
    use crate::node::api::MessageKind;
    use crate::store::{Room, Writer};
    use crate::wire::{PrivateMessage, encode_layout};

    fn message(seq: u64, bytes: usize) -> Message {
        Message {
            id: MessageId([1; 32]),
            handle: "k7f3".into(),
            kind: MessageKind::Group,
            from: MemberId([2; 32]),
            nick: "bo".into(),
            to: None,
            seq,
            incarnation: 1,
            text: "x".repeat(bytes),
            said_at: Wall(1),
            recovered: false,
            via: None,
            received_at: None,
            late_ms: None,
        }
    }

    #[test]
    fn messages_of_one_name_are_told_apart_by_to_whom_when_and_what() {
        let secret = Message { text: "  psst:\nover \u{1b}[2J there".into(), ..message(3, 0) };
        let told = choice(&(secret, Some("cy".into())));
        let (before, after) = told.split_once(" (").unwrap();
        assert_eq!(before, MessageId([1; 32]).handle(12));
        assert!(after.starts_with("bo to cy, 19"), "{told}");
        assert!(after.ends_with(": \"psst: over [2J there\")"), "{told}");
        let told = choice(&(message(3, 40), None));
        assert!(told.contains("(bo to the room, ") && told.ends_with(&format!(": \"{}…\")", "x".repeat(32))), "{told}");
    }

    #[test]
    fn a_log_that_does_not_fit_loses_its_oldest_and_says_so() {
        let log = fitting((1..=1000).map(|seq| message(seq, 16 * 1024)).collect());
        assert_eq!(log.messages.len() as u64 + log.left_out, 1000);
        assert!(log.left_out > 400);
        assert_eq!(log.messages.last().unwrap().seq, 1000);
        let log = fitting((1..=3).map(|seq| message(seq, 10)).collect());
        assert_eq!((log.messages.len(), log.left_out), (3, 0));
    }

    #[test]
    fn people_see_what_was_committed_just_now() {
        let dir = tempfile::tempdir().unwrap();
        let mut rng = Rng::from_seed([1; 32]);
        let room = Room::found("the moot", &mut rng);
        let id = room.id;
        let home = Home::open(&dir.path().join("home"), "ana", room, &mut rng).unwrap();
        let author = home.identity().id();
        let writer = Writer::start(&home, Box::new(|| ())).unwrap();
        let (done, _answers) = channel();
        let mut desk = Desk { home, settler: writer.settler(), history: None, done };
        let (run, to, at) = (Run { incarnation: 1, boot: 2 }, MemberId([9; 32]), Wall(1_000));
        for seq in 1..=3 {
            let text = format!("number {seq}");
            let message = PrivateMessage { room: id, author, run, to, seq, salt: [3; 16], said_at: at, text };
            let bytes = encode_layout(&message).into();
            let record = Record::PrivateSent { bytes, order: seq, outcome: Outcome::Waiting, at };
            writer.submit(seq, vec![node::Record::Messaging(record)]);
            let log = desk.history().unwrap().log(9).unwrap();
            assert_eq!(log.last().map(|message| message.text.clone()), Some(format!("number {seq}")));
        }
        assert!(!desk.history().unwrap().keeps_others_waiting());
    }
}
