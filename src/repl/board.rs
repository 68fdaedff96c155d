//! What the screen knows: who is who, how one's own messages stand, what Tab may offer. Turns events into
//! the lines that a person should see, and keeps quiet about the rest. No input, no output.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::complete::Words;
use super::tally::{Standing, Tally, merge};
use crate::base::limits::{COMPLETED_HANDLES_MAX, SCREEN_EVENTS_MAX};
use crate::base::{MemberId, MessageId, Presence, Wall};
use crate::node::api::{Delivery, Event, EventKind, Evidence, MemberStatus, Message, MessageKind, Sent, WhyMessage};
use crate::view::{Names, View, is_rename, is_restored};

/// What a prompt ends with: as it is, with faults on, and where either changed since it was drawn. A drawn
/// prompt keeps its width, because the line editor has placed the cursor by it.
const PROMPT: &str = "> ";
const PROMPT_FAULTS: &str = " [faults are on]> ";
const PROMPT_NOW_ON: &str = "! ";
const PROMPT_NOW_OFF: &str = " [faults are off]>";

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
    /// The state of each other member as it was said last.
    presences: BTreeMap<MemberId, Presence>,
    /// Members known from before that this node has not heard yet.
    sought: BTreeSet<MemberId>,
    /// When one came into the room, where that was just now.
    came_at: Option<Wall>,
    /// From whom messages come that were said before one came, while nothing else was shown.
    earlier_from: Option<MemberId>,
    cut_off: bool,
    /// Messages of one's own that were not typed here, and what was told of them: the node knows the rest.
    unknown: BTreeMap<MessageId, Standing>,
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

/// How much of a change of a member is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changed {
    Nothing,
    /// It was looked for, and is here.
    Arrived,
    State,
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
            presences: BTreeMap::new(),
            sought: BTreeSet::new(),
            came_at: None,
            earlier_from: None,
            cut_off: false,
            unknown: BTreeMap::new(),
        }
    }

    /// The opening screen has said who is here.
    pub(super) fn handle_opening(&mut self, members: &[MemberStatus]) {
        for member in members {
            self.view.names.learn(member.id, &member.nick);
            if self.view.names.is_me(member.id) {
                continue;
            }
            self.presences.insert(member.id, member.state);
            if is_restored(member.state, &member.evidence) {
                self.sought.insert(member.id);
            }
        }
    }

    /// One came into the room at `at`, and knows nothing of what was said before.
    pub(super) fn handle_newcomer(&mut self, at: Wall) {
        self.came_at = Some(at);
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

    /// The messages of which the node must be asked how they stand. [`Self::handle_found`] must follow for each.
    pub(super) fn unknown(&self) -> Vec<MessageId> {
        self.unknown.keys().copied().collect()
    }

    /// How a message stands, or that the node does not know more than it told.
    pub(super) fn handle_found(&mut self, id: MessageId, why: Option<&WhyMessage>) {
        let Some(mut standing) = self.unknown.remove(&id) else { return };
        if let Some(why) = why {
            standing.handle.clone_from(&why.handle);
            standing.deliveries = why.deliveries.iter().map(|evidence| evidence.delivery.clone()).collect();
        }
        self.tally.handle_found(id, standing);
    }

    /// Whether a member is missed, so that it may be oneself who is cut off.
    pub(super) fn is_worried(&self) -> bool {
        let missed = |state: &Presence| matches!(state, Presence::Suspect | Presence::Unreachable);
        self.cut_off || self.presences.values().any(missed)
    }

    /// Whether it is probably oneself who is cut off; a line where that changed.
    pub(super) fn handle_cut_off(&mut self, cut_off: bool) -> Option<String> {
        if std::mem::replace(&mut self.cut_off, cut_off) == cut_off {
            return None;
        }
        Some(if cut_off { self.view.cut_off() } else { self.view.not_cut_off() })
    }

    /// Whether nothing that was typed is in flight.
    pub(super) fn is_settled(&self) -> bool {
        self.sends_open == 0 && self.tally.is_settled()
    }

    pub(super) fn prompt(&self) -> String {
        format!("{}{}", self.nick, if self.faults.is_empty() { PROMPT } else { PROMPT_FAULTS })
    }

    /// `drawn` as it should look now, in its width.
    pub(super) fn prompt_now<'a>(&self, drawn: &'a str) -> Cow<'a, str> {
        let (said, now) = match drawn.strip_suffix(PROMPT_FAULTS) {
            Some(nick) if self.faults.is_empty() => (nick, PROMPT_NOW_OFF),
            None if !self.faults.is_empty() => (drawn.strip_suffix(PROMPT).unwrap_or(drawn), PROMPT_NOW_ON),
            Some(_) | None => return Cow::Borrowed(drawn),
        };
        Cow::Owned(format!("{said}{now}"))
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
            EventKind::Message(message) if self.is_earlier(message) => return Some(self.earlier(message)),
            // The line above the messages has said it.
            EventKind::Recovered { via, .. } if self.earlier_from == Some(*via) => return None,
            _ => (),
        }
        let line = self.line(event)?;
        self.earlier_from = None;
        Some(line)
    }

    /// Whether a message was said before one came.
    fn is_earlier(&self, message: &Message) -> bool {
        message.recovered && self.came_at.is_some_and(|at| message.said_at < at)
    }

    /// A message that was said before one came: its lateness is no news, and who gave it is said once.
    fn earlier(&mut self, message: &Message) -> String {
        self.view.names.learn(message.from, &message.nick);
        self.note_handle(&message.handle);
        let from = message.via.unwrap_or(message.from);
        let line = self.view.message(&Message { recovered: false, ..message.clone() }, None);
        if self.earlier_from.replace(from) == Some(from) {
            return line;
        }
        format!("{}\n{line}", self.view.earlier(&self.view.names.name(from)))
    }

    fn line(&mut self, event: &Event) -> Option<String> {
        match &event.kind {
            EventKind::Ready { id, nick, .. } => {
                if !self.view.names.is_me(*id) {
                    self.view.names = Names::new(*id);
                }
                self.handle_nick(nick);
                // The opening screen has said it.
                return None;
            }
            EventKind::Member { id, nick, .. } if self.view.names.is_me(*id) => {
                self.handle_nick(nick);
                return None;
            }
            EventKind::Member { id, nick, state, evidence, .. } => {
                let changed = self.member(*id, *state, evidence);
                // A card that only changes the nick says itself what it was.
                let old =
                    self.view.names.nick(*id).filter(|old| old != nick && !is_rename(evidence)).map(str::to_owned);
                self.view.names.learn(*id, nick);
                let name = self.view.names.name(*id);
                let line = match changed {
                    Changed::Nothing => None,
                    Changed::Arrived => Some(self.view.arrived(&name)),
                    Changed::State => Some(self.view.event(event)),
                };
                let renamed = old.map(|old| self.view.renamed(&old, &name));
                let lines: Vec<String> = renamed.into_iter().chain(line).collect();
                return Some(lines.join("\n")).filter(|lines| !lines.is_empty());
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
                if !self.tally.handle_delivery(*id, handle, delivery, reason.as_deref()) {
                    self.note_unknown(*id, handle, Some(delivery), reason.as_deref());
                }
                return None;
            }
            EventKind::Fault { spec } => self.faults = spec.iter().cloned().collect(),
            EventKind::Gap(_) | EventKind::Recovered { .. } | EventKind::Alarm { .. } | EventKind::Lagged { .. } => {}
        }
        Some(self.view.event(event))
    }

    /// Notes the state of a member, and says how much of that is news.
    fn member(&mut self, id: MemberId, state: Presence, evidence: &[Evidence]) -> Changed {
        if is_restored(state, evidence) {
            let is_known = self.presences.contains_key(&id);
            self.presences.entry(id).or_insert(state);
            if is_known {
                return Changed::Nothing;
            }
            self.sought.insert(id);
            return Changed::State;
        }
        let before = self.presences.insert(id, state);
        if state == Presence::Alive && self.sought.remove(&id) {
            return Changed::Arrived;
        }
        let is_same = before == Some(state) && self.view.is_arrival(state, evidence);
        if is_same { Changed::Nothing } else { Changed::State }
    }

    fn note_unknown(&mut self, id: MessageId, handle: &str, delivery: Option<&Delivery>, reason: Option<&str>) {
        let empty = || Standing { handle: handle.into(), deliveries: Vec::new(), reason: None };
        let standing = self.unknown.entry(id).or_insert_with(empty);
        if let Some(delivery) = delivery {
            merge(&mut standing.deliveries, delivery);
        }
        standing.reason = reason.map(str::to_owned).or(standing.reason.take());
    }

    /// A message of one's own that is durable now: shown unless it was typed here and can still be read.
    fn own(&mut self, message: &Message) -> Option<String> {
        let typed_here = self.mine.remove(&message.id);
        if !typed_here && self.sends_open > 0 && self.held_back.len() < SCREEN_EVENTS_MAX {
            self.held_back.push(message.clone());
            return None;
        }
        self.tally.handle_durable(message.id);
        if !typed_here && self.tally.deliveries(message.id).is_none() {
            self.note_unknown(message.id, &message.handle, None, None);
        }
        let to_room = match message.kind {
            MessageKind::Group => true,
            MessageKind::Private => false,
        };
        if typed_here && to_room && self.typed == Typed::Visible {
            return None;
        }
        Some(self.view.message(message, self.tally.deliveries(message.id)))
    }

    pub(super) fn standings(&mut self) -> Vec<String> {
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
    use crate::node::api::{DeliveryEvidence, EvidenceKind, Outcome};
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

    fn member(nick: &str, state: Presence, kind: EvidenceKind, detail: &str) -> Event {
        let evidence = vec![Evidence {
            kind,
            by: MemberId([2; 32]),
            nick: nick.into(),
            run: None,
            tick: None,
            at: Wall(0),
            detail: detail.into(),
        }];
        event(EventKind::Member { id: MemberId([2; 32]), nick: nick.into(), state, incarnation: 1, evidence })
    }

    fn bo(state: Presence, evidence: Vec<Evidence>) -> MemberStatus {
        MemberStatus {
            id: MemberId([2; 32]),
            nick: "bo".into(),
            incarnation: 1,
            state,
            heard_ms_ago: None,
            hears_me: None,
            rtt_us: None,
            loss: None,
            degraded: false,
            evidence,
        }
    }

    #[test]
    fn a_member_that_the_opening_looked_for_is_here_once() {
        let restored = member("bo", Presence::Suspect, EvidenceKind::Restored, "not heard since this node started");
        let EventKind::Member { evidence, .. } = &restored.kind else { panic!() };
        let heard = "heard again on this node's own link, silent for 9.1 s";
        let here = member("bo", Presence::Alive, EvidenceKind::Heard, heard);

        let mut at_prompt = board(Typed::Visible);
        at_prompt.handle_opening(&[bo(Presence::Suspect, evidence.clone())]);
        assert!(at_prompt.is_worried());
        assert_eq!(at_prompt.handle_events(&[restored.clone(), here.clone()]), ["bo is here"]);
        assert!(!at_prompt.is_worried());
        assert_eq!(at_prompt.handle_events(&[here]), ["bo is back: heard again after 9.1 s"]);

        // Who is here already when the opening is printed is not announced again.
        let mut late = board(Typed::Visible);
        late.handle_opening(&[bo(Presence::Alive, vec![])]);
        let here = member("bo", Presence::Alive, EvidenceKind::Heard, "heard on this node's own link");
        assert!(late.handle_events(&[restored, here]).is_empty());
    }

    #[test]
    fn a_new_nick_is_no_stranger() {
        let mut board = board(Typed::Visible);
        board.handle_opening(&[bo(Presence::Alive, vec![])]);
        let renamed = member("bobby", Presence::Alive, EvidenceKind::Card, "was bo before");
        assert_eq!(board.handle_events(&[renamed]), ["bo is now bobby"]);
        let restarted = member("rob", Presence::Alive, EvidenceKind::Card, "restarted: a card of a higher run");
        assert_eq!(board.handle_events(&[restarted]), ["bobby is now rob\nrob is back: restarted"]);
    }

    #[test]
    fn a_message_said_elsewhere_ends_in_one_line_too() {
        let mut board = board(Typed::Visible);
        assert_eq!(board.handle_events(&[said(8, 1, None, "from a script")]), ["you: from a script  [h8]"]);
        assert_eq!(board.unknown(), [MessageId([8; 32])]);
        let receiver =
            |member, outcome| DeliveryEvidence { delivery: delivery(member, outcome), tries: vec![], receipt: None };
        let why = WhyMessage {
            id: MessageId([8; 32]),
            handle: "h8".into(),
            kind: MessageKind::Group,
            from: MemberId([1; 32]),
            nick: "ana".into(),
            deliveries: vec![receiver(2, Sending), receiver(3, Sending)],
            sources: vec![],
        };
        board.handle_found(MessageId([8; 32]), Some(&why));
        assert!(board.handle_events(&[changed(8, 2, Delivered)]).is_empty());
        assert_eq!(board.handle_events(&[changed(8, 3, Delivered)]), ["h8 stored by 2 of 2"]);
        // Where the node knows no more, what it told is told.
        assert!(board.handle_events(&[changed(9, 2, Delivered)]).is_empty());
        board.handle_found(MessageId([9; 32]), None);
        assert_eq!(board.handle_events(&[]), ["h9 stored by bo"]);
    }

    #[test]
    fn what_was_said_before_one_came_stands_under_one_line() {
        let mut board = board(Typed::Visible);
        board.handle_opening(&[bo(Presence::Alive, vec![])]);
        board.handle_newcomer(Wall(1_000));
        let old = |id, said_at| {
            let mut event = said(id, 2, None, "hello");
            let EventKind::Message(message) = &mut event.kind else { panic!() };
            (message.recovered, message.late_ms, message.said_at) = (true, Some(200_000), Wall(said_at));
            event
        };
        let recovered = event(EventKind::Recovered { count: 2, via: MemberId([2; 32]), nick: "bo".into() });
        let lines = board.handle_events(&[old(5, 1), old(6, 2), recovered, old(7, 2_000)]);
        assert_eq!(
            lines,
            ["earlier in this room, from bo:\nbo: hello", "bo: hello", "bo: hello  [recovered, 3 min late]"]
        );
    }

    #[test]
    fn a_prompt_that_is_drawn_follows_the_faults_in_its_own_width() {
        let mut board = board(Typed::Visible);
        let drawn = board.prompt();
        assert_eq!(board.prompt_now(&drawn), "ana> ");
        board.handle_faults(vec!["loss=5%".into()]);
        assert_eq!(board.prompt_now(&drawn), "ana! ");
        let drawn = board.prompt();
        assert_eq!(board.prompt_now(&drawn), drawn);
        board.handle_faults(vec![]);
        assert_eq!(board.prompt_now(&drawn), "ana [faults are off]>");
        assert_eq!(board.prompt_now(&drawn).len(), drawn.len());
    }

    #[test]
    fn being_cut_off_is_said_when_it_starts_and_when_it_ends() {
        let mut board = board(Typed::Visible);
        assert_eq!(board.handle_cut_off(false), None);
        assert!(board.handle_cut_off(true).unwrap().contains("it is probably you who is cut off"));
        assert_eq!(board.handle_cut_off(true), None);
        assert!(board.is_worried());
        assert_eq!(board.handle_cut_off(false).unwrap(), "you hear most of your links again");
    }
}
