//! `moot send`: says one thing, waits for what was asked, and ends with an exit code that a script can use.
//! Claims delivery by receipts only.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::args::{SendArgs, Wait};
use super::ask::{LOOK_EVERY, Node, SILENT_TIME_MAX};
use super::exit::{Exit, Failure};
use super::out::{self, Form, Output};
use crate::base::limits::TEXT_BYTES_MAX;
use crate::base::text::{self, TextError};
use crate::node::api::{Delivery, EventKind, HeldUp, MessageKind, Outcome, Sent};
use crate::runtime::protocol::{Request, Response};
use crate::runtime::{ClientError, clock};
use crate::view::View;

/// How long the node may take to tell the attempts at the end; what its events told stands otherwise. A guess.
const REFRESH_TIME_MAX: Duration = Duration::from_secs(1);

pub(super) fn send(home: &Path, send: SendArgs, output: Output) -> Result<Exit, Failure> {
    let text = send.text();
    let SendArgs { to, wait, timeout, .. } = send;
    let text = if text == "-" { read_text(io::stdin().lock())? } else { text };
    text::check_message(&text).map_err(|error| Failure::misuse(error.to_string()))?;
    let mut node = Node::at(home)?.patient_for(timeout);
    // Asked first: once the text is handed over, nothing may end this as an error that one tries again on.
    let names = node.names().map_err(|failure| failure.context("nothing was sent"))?;
    let to = to.map(|to| names.ignoring_case(&to)).transpose().map_err(Failure::misuse)?;
    let interrupted = interrupts()?;
    let sent = hand_over(&mut node, Request::Send { to, text, follow: true }, timeout, &interrupted)?;
    let mut errand = Errand::new(sent, wait);
    let until = clock::time() + timeout;
    while !errand.is_over() {
        let left = until.since(clock::time());
        errand.is_interrupted = interrupted.load(Ordering::SeqCst);
        if left.is_zero() || errand.is_interrupted {
            break;
        }
        match node.client.next_event_within(left.min(LOOK_EVERY)) {
            Ok(Some(event)) => errand.handle_event(&event.kind),
            Ok(None) => (),
            Err(error) => {
                errand.cut_off = Some(error.to_string());
                break;
            }
        }
    }
    let exit = errand.exit()?;
    errand.refresh(home);
    // Whether the output could be written says nothing of the message.
    if let Err(failure) = errand.print(&output.view(names), output.form) {
        failure.tell();
    }
    if let Some(sentence) = errand.doubt() {
        let _ = writeln!(io::stderr(), "moot: {sentence}");
    }
    Ok(exit)
}

/// Set by Ctrl-C: one learns what is known of the message so far. A second one ends the program at once.
fn interrupts() -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    flag::register_conditional_default(SIGINT, Arc::clone(&interrupted))?;
    flag::register(SIGINT, Arc::clone(&interrupted))?;
    Ok(interrupted)
}

/// Hands the message to the node, and waits at least [`SILENT_TIME_MAX`] for what it says: without that there is not even
/// a handle to ask about.
fn hand_over(node: &mut Node, request: Request, timeout: Duration, interrupted: &AtomicBool) -> Result<Sent, Failure> {
    let id = node.client.hand(request)?;
    let span = timeout.max(SILENT_TIME_MAX);
    let what = match node.answer_unless(id, span, interrupted) {
        Ok(Some(Response::Sent(sent))) => return Ok(sent),
        Ok(Some(Response::Error(error))) => return Err(error.into()),
        // It hung up without reading the request.
        Err(error @ ClientError::Refused(_)) => return Err(error.into()),
        Ok(Some(other)) => ClientError::unexpected(&other),
        Ok(None) if interrupted.load(Ordering::SeqCst) => {
            return Err(Failure::unknown(unanswered("not waited for any longer")));
        }
        Ok(None) => ClientError::Late(span),
        Err(error) => error,
    };
    Err(Failure::unknown(unanswered(&what.to_string())))
}

fn unanswered(what: &str) -> String {
    format!("{what}; whether it was sent is unknown, and moot log tells once the node answers")
}

/// The text of standard input, without the line break that ends it.
fn read_text(input: impl io::Read) -> Result<String, Failure> {
    // One byte and a line break more than may be sent tell a text that is too long.
    let bound = u64::try_from(TEXT_BYTES_MAX).expect("16 KiB is a number of 64 bits") + 3;
    let mut bytes = Vec::new();
    input.take(bound).read_to_end(&mut bytes)?;
    for end in [b"\n", b"\r"] {
        if bytes.ends_with(end) {
            bytes.pop();
        }
    }
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(Failure::misuse(format!(
            "the text is over {TEXT_BYTES_MAX} bytes, which is the limit; send it in parts"
        )));
    }
    String::from_utf8(bytes).map_err(|_| Failure::misuse(TextError::NotUtf8.to_string()))
}

/// A message on its way, and when enough is known of it.
#[derive(Debug)]
struct Errand {
    sent: Sent,
    wait: Wait,
    state: State,
    reason: Option<String>,
    /// Its receiver is there, and there is no link to it from here.
    has_no_link: bool,
    /// Why no more is heard of it.
    cut_off: Option<String>,
    /// Nobody waits for more.
    is_interrupted: bool,
}

/// The JSON of `send`.
#[derive(Debug, Serialize)]
struct SentJson<'a> {
    #[serde(flatten)]
    sent: &'a Sent,
    /// It is on this node's own disk; `false` where that was not known yet when the command ended.
    stored_here: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Not on this node's own disk yet: it may still be undone.
    Accepted,
    Durable,
    Undone(String),
}

impl Errand {
    fn new(sent: Sent, wait: Wait) -> Self {
        Self {
            sent,
            wait,
            state: State::Accepted,
            reason: None,
            has_no_link: false,
            cut_off: None,
            is_interrupted: false,
        }
    }

    /// Takes the attempts as they stand now: events tell changes of outcome, not each try. Where the node cannot be
    /// asked any more, what its events told stands.
    fn refresh(&mut self, home: &Path) {
        let what = self.sent.id.to_string();
        let asked =
            Node::at(home).and_then(|mut node| Ok(node.client.ask_within(Request::Why { what }, REFRESH_TIME_MAX)?));
        let Ok(Response::WhyMessage(why)) = asked else { return };
        self.has_no_link = why.kind == MessageKind::Private
            && why.deliveries.iter().all(|evidence| {
                (evidence.delivery.outcome, evidence.held_up) == (Outcome::Waiting, Some(HeldUp::NoDirectLink))
            });
        for evidence in why.deliveries {
            let same = |known: &&mut Delivery| {
                known.member == evidence.delivery.member && known.outcome == evidence.delivery.outcome
            };
            if let Some(known) = self.sent.deliveries.iter_mut().find(same) {
                *known = evidence.delivery;
            }
        }
    }

    fn handle_event(&mut self, event: &EventKind) {
        match event {
            EventKind::Message(message) if message.id == self.sent.id => {
                self.sent.handle.clone_from(&message.handle);
                self.state = State::Durable;
            }
            EventKind::Undone { id, reason, .. } if *id == self.sent.id => self.state = State::Undone(reason.clone()),
            EventKind::Delivery { id, handle, delivery, reason } if *id == self.sent.id => {
                self.sent.handle.clone_from(handle);
                if reason.is_some() {
                    self.reason.clone_from(reason);
                }
                match self.sent.deliveries.iter_mut().find(|known| known.member == delivery.member) {
                    Some(known) => known.clone_from(delivery),
                    None => self.sent.deliveries.push(delivery.clone()),
                }
            }
            EventKind::Message(_)
            | EventKind::Undone { .. }
            | EventKind::Delivery { .. }
            | EventKind::Ready { .. }
            | EventKind::Member { .. }
            | EventKind::Gap(_)
            | EventKind::Recovered { .. }
            | EventKind::Fault { .. }
            | EventKind::Alarm { .. }
            | EventKind::Stalled { .. }
            | EventKind::Lagged { .. }
            | EventKind::Script { .. } => (),
        }
    }

    /// Whether nothing is left to wait for.
    fn is_over(&self) -> bool {
        match self.state {
            State::Accepted => false,
            State::Undone(_) => true,
            State::Durable => match self.wait {
                Wait::None => true,
                Wait::Any => self.count(Outcome::Delivered) > 0 || self.count(Outcome::Sending) == 0,
                Wait::All => self.count(Outcome::Sending) == 0,
            },
        }
    }

    /// What became of the message so far.
    fn exit(&self) -> Result<Exit, Failure> {
        match &self.state {
            State::Undone(reason) => return Err(anyhow::anyhow!("nothing was sent: {reason}").into()),
            State::Accepted => return Ok(Exit::None),
            State::Durable => (),
        }
        let (delivered, all) = (self.count(Outcome::Delivered), self.sent.deliveries.len());
        Ok(match self.wait {
            Wait::None => Exit::Well,
            Wait::Any if delivered > 0 => Exit::Well,
            // Of a sample all is not all of the room.
            Wait::All if delivered > 0 && delivered == all && self.sent.sample_of.is_none() => Exit::Well,
            Wait::All if delivered > 0 => Exit::Some,
            Wait::Any | Wait::All => Exit::None,
        })
    }

    /// What is not known of it, where that is more than an outcome says.
    fn doubt(&self) -> Option<String> {
        let handle = &self.sent.handle;
        match (&self.state, &self.cut_off) {
            (State::Durable, None) if self.is_interrupted && self.count(Outcome::Sending) > 0 => {
                Some(format!("not waited for any longer; the node goes on, and moot why {handle} tells"))
            }
            (State::Undone(_), _) | (State::Durable, None) => None,
            (State::Accepted, None) => Some(format!(
                "{handle} is not on this node's disk yet, so whether it was sent is unknown; moot why {handle} tells"
            )),
            (State::Accepted, Some(error)) => Some(format!(
                "{error}; whether {handle} was sent is unknown, and moot why {handle} tells once the node runs again"
            )),
            (State::Durable, Some(error)) => Some(match self.sent.kind {
                MessageKind::Private => {
                    format!("{error}; {handle} is on its disk, and is sent on once the node runs again")
                }
                MessageKind::Group => {
                    format!("{error}; {handle} is on its disk, and who lacks it fetches it once the node runs again")
                }
            }),
        }
    }

    fn print(&self, view: &View, form: Form) -> Result<(), Failure> {
        let Sent { handle, deliveries, sample_of, .. } = &self.sent;
        match (form, &self.state) {
            (Form::Json, state) => {
                out::json(&SentJson { sent: &self.sent, stored_here: *state == State::Durable })?;
            }
            // There is nothing to say of its deliveries yet.
            (Form::Text, State::Accepted) => (),
            (Form::Text, State::Durable) if self.has_no_link && deliveries.len() == 1 => {
                out::line(&view.without_a_link(handle, &deliveries[0]))?;
            }
            // Nobody was waited for, so that nothing is known yet is no failure.
            (Form::Text, State::Durable) if self.wait == Wait::None && self.is_all_on_its_way() => {
                out::line(&view.on_its_way(handle, deliveries))?;
            }
            (Form::Text, State::Durable | State::Undone(_)) => {
                out::line(&view.sampled_delivery(handle, deliveries, *sample_of, self.reason.as_deref()))?;
            }
        }
        Ok(())
    }

    fn is_all_on_its_way(&self) -> bool {
        !self.sent.deliveries.is_empty() && self.count(Outcome::Sending) == self.sent.deliveries.len()
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.sent.deliveries.iter().filter(|delivery| delivery.outcome == outcome).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MemberId, MessageId, Wall};
    use crate::node::api::{Delivery, Message};

    const ID: MessageId = MessageId([7; 32]);

    fn delivery(member: u8, outcome: Outcome) -> Delivery {
        Delivery {
            member: MemberId([member; 32]),
            nick: "bo".into(),
            outcome,
            attempts: 1,
            tries_may_be_missing: false,
            latency_us: None,
        }
    }

    fn errand(wait: Wait, outcomes: &[Outcome]) -> Errand {
        let deliveries = (2..).zip(outcomes).map(|(member, &outcome)| delivery(member, outcome)).collect();
        Errand::new(Sent { id: ID, handle: "k7f3".into(), kind: MessageKind::Group, deliveries, sample_of: None }, wait)
    }

    fn durable(errand: &mut Errand) {
        errand.handle_event(&EventKind::Message(Message {
            id: ID,
            handle: "k7f3".into(),
            kind: MessageKind::Group,
            from: MemberId([1; 32]),
            nick: "ana".into(),
            to: None,
            seq: 1,
            incarnation: 1,
            text: "hello".into(),
            said_at: Wall(0),
            recovered: false,
            via: None,
            received_at: None,
            late_ms: None,
        }));
    }

    fn changed(errand: &mut Errand, member: u8, outcome: Outcome) {
        let delivery = delivery(member, outcome);
        errand.handle_event(&EventKind::Delivery { id: ID, handle: "k7f3".into(), delivery, reason: None });
    }

    fn end(wait: Wait, outcomes: &[Outcome]) -> (bool, Exit) {
        let mut errand = errand(wait, outcomes);
        durable(&mut errand);
        (errand.is_over(), errand.exit().unwrap())
    }

    use Outcome::{Delivered, Refused, Sending, Unknown, Waiting};

    #[test]
    fn all_delivered_is_0_some_3_none_4() {
        assert_eq!(end(Wait::All, &[Delivered, Delivered]), (true, Exit::Well));
        assert_eq!(end(Wait::All, &[Delivered, Unknown]), (true, Exit::Some));
        assert_eq!(end(Wait::All, &[Delivered, Waiting]), (true, Exit::Some));
        assert_eq!(end(Wait::All, &[Unknown, Refused]), (true, Exit::None));
        assert_eq!(end(Wait::All, &[Delivered, Sending]), (false, Exit::Some));
    }

    #[test]
    fn all_of_a_sample_is_not_all_of_the_room() {
        let mut errand = errand(Wait::All, &[Delivered, Delivered]);
        errand.sent.sample_of = Some(300);
        durable(&mut errand);
        assert_eq!((errand.is_over(), errand.exit().unwrap()), (true, Exit::Some));
    }

    #[test]
    fn any_ends_at_the_first_receipt() {
        assert_eq!(end(Wait::Any, &[Delivered, Sending]), (true, Exit::Well));
        assert_eq!(end(Wait::Any, &[Sending, Waiting]), (false, Exit::None));
        assert_eq!(end(Wait::Any, &[Unknown, Waiting]), (true, Exit::None));
    }

    #[test]
    fn alone_in_the_room_is_4_unless_nobody_is_waited_for() {
        assert_eq!(end(Wait::All, &[]), (true, Exit::None));
        assert_eq!(end(Wait::Any, &[]), (true, Exit::None));
        assert_eq!(end(Wait::None, &[]), (true, Exit::Well));
        assert_eq!(end(Wait::None, &[Sending]), (true, Exit::Well));
    }

    #[test]
    fn nothing_is_claimed_before_it_is_on_disk() {
        let mut early = errand(Wait::None, &[]);
        assert!(!early.is_over());
        assert_eq!(early.exit().unwrap(), Exit::None, "who tries again on an error would say it twice");
        assert!(early.doubt().unwrap().contains("whether it was sent is unknown"));
        early.handle_event(&EventKind::Undone { id: ID, handle: "k7f3".into(), reason: "the disk is full".into() });
        assert!(early.is_over());
        assert!(early.exit().is_err());
    }

    #[test]
    fn a_node_that_ends_meanwhile_leaves_what_is_known() {
        let mut early = errand(Wait::All, &[Sending]);
        early.cut_off = Some("the node has ended".into());
        let doubt = early.doubt().unwrap();
        assert!(doubt.starts_with("the node has ended; whether k7f3 was sent is unknown"), "{doubt}");
        assert_eq!(early.exit().unwrap(), Exit::None);
        durable(&mut early);
        changed(&mut early, 2, Delivered);
        changed(&mut early, 3, Sending);
        let doubt = early.doubt().unwrap();
        assert!(doubt.starts_with("the node has ended; k7f3 is on its disk"), "{doubt}");
        assert_eq!(early.exit().unwrap(), Exit::Some);
    }

    #[test]
    fn a_node_that_ends_before_it_answers_may_have_sent_it() {
        use std::io::{BufRead as _, BufReader};
        let dir = tempfile::tempdir().unwrap();
        let socket = std::os::unix::net::UnixListener::bind(super::super::chat::socket_in(dir.path())).unwrap();
        let mut node = Node::at(dir.path()).unwrap();
        let dies = std::thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(socket.accept().unwrap().0).read_line(&mut line).unwrap();
            line
        });
        let request = Request::Send { to: None, text: "hi".into(), follow: true };
        let failure =
            hand_over(&mut node, request.clone(), Duration::from_secs(30), &AtomicBool::new(false)).unwrap_err();
        assert!(dies.join().unwrap().contains("\"hi\""));
        assert!(failure.sentence().starts_with("the node has ended; whether it was sent is unknown"), "{failure:?}");
        assert_eq!(failure.tell(), Exit::None);
        // It cannot be handed over any more.
        let failure = hand_over(&mut node, request, Duration::from_secs(30), &AtomicBool::new(false)).unwrap_err();
        assert_eq!(failure.tell(), Exit::Failed);
    }

    #[test]
    fn who_does_not_wait_for_a_node_that_says_nothing_learns_what_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(super::super::chat::socket_in(dir.path())).unwrap();
        let mut node = Node::at(dir.path()).unwrap();
        let request = Request::Send { to: None, text: "hi".into(), follow: true };
        let failure = hand_over(&mut node, request, Duration::from_secs(3_600), &AtomicBool::new(true)).unwrap_err();
        assert!(
            failure.sentence().starts_with("not waited for any longer; whether it was sent is unknown"),
            "{failure:?}"
        );
        assert_eq!(failure.tell(), Exit::None);
    }

    #[test]
    fn events_of_other_messages_change_nothing() {
        let mut errand = errand(Wait::All, &[Sending]);
        durable(&mut errand);
        let delivery = delivery(2, Delivered);
        let other = EventKind::Delivery { id: MessageId([8; 32]), handle: "x".into(), delivery, reason: None };
        errand.handle_event(&other);
        assert!(!errand.is_over());
        changed(&mut errand, 2, Delivered);
        assert!(errand.is_over());
        assert_eq!(errand.exit().unwrap(), Exit::Well);
    }

    #[test]
    fn standard_input_is_a_text_of_at_most_16_kib() {
        assert_eq!(read_text(&b"two\nlines\r\n"[..]).unwrap(), "two\nlines");
        let longest = "x".repeat(TEXT_BYTES_MAX) + "\n";
        assert_eq!(read_text(longest.as_bytes()).unwrap().len(), TEXT_BYTES_MAX);
        assert!(read_text(&vec![b'x'; TEXT_BYTES_MAX + 1][..]).is_err());
        assert!(read_text(&[0xff, 0xfe][..]).is_err());
    }
}
