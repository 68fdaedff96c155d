//! What the screen knows: who is who, how one's own messages stand, what Tab may offer. Turns events into
//! the lines that a person should see, and keeps quiet about the rest. No input, no output.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::complete::Words;
use super::tally::{Standing, Tally};
use crate::base::MessageId;
use crate::base::limits::{COMPLETED_HANDLES_MAX, SCREEN_EVENTS_MAX};
use crate::node::api::{Event, EventKind, Message, MessageKind, Sent};
use crate::view::{Names, View};

/// Whether what was typed is still to be read on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line editor leaves it there: a message to the room need not be repeated.
    Visible,
    /// It came through a pipe.
    Hidden,
}

/// A board that the thread that reads what is typed shares with the one that shows what happens.
#[derive(Debug)]
pub(super) struct Shared {
    board: Mutex<Board>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct Board {
    pub(super) view: View,
    typed: Typed,
    nick: String,
    faults: Vec<String>,
    tally: Tally,
    handles: VecDeque<String>,
    /// Messages that were typed here and are not shown yet.
    mine: BTreeSet<MessageId>,
    /// Requests to send that the node has not answered: until then it is not known whose own message is whose.
    sends_open: usize,
    held_back: Vec<Message>,
}

impl Shared {
    pub(super) fn new(board: Board) -> Self {
        Self { board: Mutex::new(board), changed: Condvar::new() }
    }

    /// A thread that panicked leaves lines unsaid, nothing inconsistent.
    pub(super) fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a batch of events and returns the lines for the screen.
    pub(super) fn handle_events(&self, events: &[Event]) -> Vec<String> {
        let lines = self.lock().handle_events(events);
        self.changed.notify_all();
        lines
    }

    /// Waits until nothing that was typed is in flight, for at most `time`.
    pub(super) fn wait_settled(&self, time: Duration) {
        // Who waits does not ask how it ended: either way it is time to go.
        let _ = self.changed.wait_timeout_while(self.lock(), time, |board| !board.is_settled());
    }
}

impl Board {
    pub(super) fn new(view: View, typed: Typed) -> Self {
        Self {
            view,
            typed,
            nick: String::new(),
            faults: Vec::new(),
            tally: Tally::default(),
            handles: VecDeque::new(),
            mine: BTreeSet::new(),
            sends_open: 0,
            held_back: Vec::new(),
        }
    }

    /// Takes a batch of events and returns the lines for the screen.
    pub(super) fn handle_events(&mut self, events: &[Event]) -> Vec<String> {
        let mut lines: Vec<String> = events.iter().filter_map(|event| self.event(event)).collect();
        lines.extend(self.standings());
        lines
    }

    /// A message was typed and goes to the node now. [`Self::finish_send`] must follow.
    pub(super) fn begin_send(&mut self) {
        self.sends_open += 1;
    }

    /// The node took the message, or refused it.
    pub(super) fn finish_send(&mut self, sent: Option<&Sent>) -> Vec<String> {
        self.sends_open = self.sends_open.saturating_sub(1);
        if let Some(sent) = sent {
            self.tally.handle_sent(sent);
            self.mine.insert(sent.id);
        }
        if self.sends_open > 0 {
            return Vec::new();
        }
        let held_back = std::mem::take(&mut self.held_back);
        let mut lines: Vec<String> = held_back.iter().filter_map(|message| self.own(message)).collect();
        lines.extend(self.standings());
        lines
    }

    /// Whether nothing that was typed is in flight.
    pub(super) fn is_settled(&self) -> bool {
        self.sends_open == 0 && self.tally.is_settled()
    }

    pub(super) fn prompt(&self) -> String {
        let banner = if self.faults.is_empty() { "" } else { " [faults are on]" };
        format!("{}{banner}> ", self.nick)
    }

    /// One is called that from now on.
    pub(super) fn handle_nick(&mut self, nick: &str) {
        self.view.names.learn_own(nick);
        nick.clone_into(&mut self.nick);
    }

    pub(super) fn handle_faults(&mut self, faults: Vec<String>) {
        self.faults = faults;
    }

    pub(super) fn words(&self) -> Words {
        Words { nicks: self.view.names.others().collect(), handles: self.handles.iter().cloned().collect() }
    }

    fn event(&mut self, event: &Event) -> Option<String> {
        match &event.kind {
            EventKind::Ready { id, nick, .. } => {
                if !self.view.names.is_me(*id) {
                    self.view.names = Names::new(*id);
                }
                self.handle_nick(nick);
                // The opening screen has said it.
                return None;
            }
            EventKind::Member { id, nick, .. } => {
                self.view.names.learn(*id, nick);
                if self.view.names.is_me(*id) {
                    self.handle_nick(nick);
                    return None;
                }
            }
            EventKind::Message(message) => {
                self.view.names.learn(message.from, &message.nick);
                self.note_handle(&message.handle);
                if self.view.names.is_me(message.from) {
                    self.tally.handle_durable(message.id);
                    return self.own(message);
                }
            }
            EventKind::Undone { id, .. } => {
                self.tally.handle_undone(*id);
                self.mine.remove(id);
            }
            EventKind::Delivery { id, handle, delivery, reason } => {
                self.view.names.learn(delivery.member, &delivery.nick);
                let told = self.tally.handle_delivery(*id, handle, delivery, reason.as_deref());
                return told.map(|standing| self.standing(&standing));
            }
            EventKind::Fault { spec } => self.faults = spec.iter().cloned().collect(),
            EventKind::Gap(_) | EventKind::Recovered { .. } | EventKind::Alarm { .. } | EventKind::Lagged { .. } => {}
        }
        Some(self.view.event(event))
    }

    /// A message of one's own that is durable now: shown unless it was typed here and can still be read.
    fn own(&mut self, message: &Message) -> Option<String> {
        let typed_here = self.mine.remove(&message.id);
        if !typed_here && self.sends_open > 0 && self.held_back.len() < SCREEN_EVENTS_MAX {
            self.held_back.push(message.clone());
            return None;
        }
        self.tally.handle_durable(message.id);
        let to_room = match message.kind {
            MessageKind::Group => true,
            MessageKind::Private => false,
        };
        if typed_here && to_room && self.typed == Typed::Visible {
            return None;
        }
        Some(self.view.message(message, self.tally.deliveries(message.id)))
    }

    fn standings(&mut self) -> Vec<String> {
        let standings = self.tally.settle();
        standings.iter().map(|standing| self.standing(standing)).collect()
    }

    fn standing(&self, standing: &Standing) -> String {
        self.view.delivery(&standing.handle, &standing.deliveries, standing.reason.as_deref())
    }

    fn note_handle(&mut self, handle: &str) {
        self.handles.push_front(handle.to_owned());
        self.handles.truncate(COMPLETED_HANDLES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::base::{MemberId, Presence, Wall};
    use crate::node::api::Outcome;
    use crate::repl::tally::tests::{delivery, sent};
    use crate::view::Ink;

    fn event(kind: EventKind) -> Event {
        Event { n: 1, at: Wall(0), cause: None, kind }
    }

    fn ready() -> Event {
        event(EventKind::Ready {
            id: MemberId([1; 32]),
            nick: "ana".into(),
            room: "moot".into(),
            addr: "127.0.0.1:4460".into(),
            incarnation: 1,
            ticket: "moot:x".into(),
        })
    }

    fn said(id: u8, from: u8, to: Option<u8>, text: &str) -> Event {
        event(EventKind::Message(Message {
            id: MessageId([id; 32]),
            handle: format!("h{id}"),
            kind: if to.is_some() { MessageKind::Private } else { MessageKind::Group },
            from: MemberId([from; 32]),
            nick: ["", "ana", "bo"][usize::from(from)].into(),
            to: to.map(|to| MemberId([to; 32])),
            seq: 1,
            incarnation: 1,
            text: text.into(),
            said_at: Wall(0),
            recovered: false,
            via: None,
            late_ms: None,
        }))
    }

    fn changed(id: u8, member: u8, outcome: Outcome) -> Event {
        event(EventKind::Delivery {
            id: MessageId([id; 32]),
            handle: format!("h{id}"),
            delivery: delivery(member, outcome),
            reason: None,
        })
    }

    fn board(typed: Typed) -> Board {
        let view = View { ink: Ink::Plain, zone: TimeZone::UTC, names: Names::default() };
        let mut board = Board::new(view, typed);
        assert!(board.handle_events(&[ready()]).is_empty());
        board
    }

    use Outcome::{Delivered, Sending};

    #[test]
    fn what_was_typed_at_a_prompt_is_not_repeated_and_ends_in_one_line() {
        let mut board = board(Typed::Visible);
        board.begin_send();
        assert!(board.finish_send(Some(&sent(7, &[(2, Sending), (3, Sending)]))).is_empty());
        assert!(board.handle_events(&[said(7, 1, None, "hello")]).is_empty());
        assert!(board.handle_events(&[changed(7, 2, Delivered)]).is_empty());
        assert!(!board.is_settled());
        assert_eq!(board.handle_events(&[changed(7, 3, Delivered)]), ["h7 stored by 2 of 2"]);
        assert!(board.is_settled());
    }

    #[test]
    fn an_event_that_overtakes_the_answer_is_held_back() {
        let mut board = board(Typed::Visible);
        board.begin_send();
        assert!(board.handle_events(&[said(7, 1, None, "hello")]).is_empty());
        assert!(board.finish_send(Some(&sent(7, &[]))).iter().eq(["h7 stored here only, nobody else is in the room"]));
        // Said by another process of the same home.
        assert_eq!(board.handle_events(&[said(8, 1, None, "from elsewhere")]), ["you: from elsewhere  [h8]"]);
    }

    #[test]
    fn a_private_message_shows_how_it_stands() {
        let mut board = board(Typed::Visible);
        board.handle_events(&[said(6, 2, None, "hello")]);
        board.begin_send();
        board.finish_send(Some(&sent(7, &[(2, Sending)])));
        assert_eq!(board.handle_events(&[said(7, 1, Some(2), "hi")]), ["you → bo: hi  [h7 sending]"]);
        assert_eq!(board.handle_events(&[changed(7, 2, Delivered)]), ["h7 stored by bo"]);
    }

    #[test]
    fn what_came_through_a_pipe_is_shown() {
        let mut board = board(Typed::Hidden);
        board.begin_send();
        board.finish_send(Some(&sent(7, &[(2, Sending)])));
        assert_eq!(board.handle_events(&[said(7, 1, None, "hello")]), ["you: hello  [h7 sending]"]);
    }

    #[test]
    fn a_batch_tells_each_message_once() {
        let mut board = board(Typed::Visible);
        board.begin_send();
        board.finish_send(Some(&sent(7, &[(2, Sending)])));
        let batch =
            [said(6, 2, None, "one"), said(7, 1, None, "hello"), changed(7, 2, Delivered), said(8, 2, None, "two")];
        assert_eq!(board.handle_events(&batch), ["bo: one", "bo: two", "h7 stored by bo"]);
        assert_eq!(board.words().handles, ["h8", "h7", "h6"]);
    }

    #[test]
    fn the_prompt_says_that_faults_are_on_and_follows_the_nick() {
        let mut board = board(Typed::Visible);
        assert_eq!(board.prompt(), "ana> ");
        let lines = board.handle_events(&[event(EventKind::Fault { spec: Some("loss=5%".into()) })]);
        assert_eq!(lines, ["faults are on: loss=5%"]);
        assert_eq!(board.prompt(), "ana [faults are on]> ");
        board.handle_events(&[
            event(EventKind::Fault { spec: None }),
            event(EventKind::Member {
                id: MemberId([1; 32]),
                nick: "anna".into(),
                state: Presence::Alive,
                incarnation: 1,
                evidence: vec![],
            }),
        ]);
        assert_eq!(board.prompt(), "anna> ");
    }
}
