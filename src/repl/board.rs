//! What the screen knows: who is who, how one's own messages stand, what Tab may offer. Turns events into
//! the lines that a person should see, and keeps quiet about the rest. No input, no output.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::complete::Words;
use super::tally::{Expiry, Standing, Tally, merge};
use crate::base::limits::{COMPLETED_HANDLES_MAX, SCREEN_EVENTS_MAX};
use crate::base::{MemberId, MessageId, Presence, Wall};
use crate::node::api::{
    Delivery, Event, EventKind, Evidence, MemberStatus, Message, MessageKind, Outcome, Sent, WhyMessage,
};
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
    /// The terminal leaves it there: a message to the room need not be repeated.
    Visible,
    /// A line editor leaves it there too, and puts its handle beside it.
    Edited,
    /// It came through a pipe.
    Hidden,
}

/// Whether the handle of the message that was typed last is to be put beside it. A handle says that a message is said, and
/// that it is once it is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Note {
    Nothing,
    /// The node took the message, which is not on the disk yet.
    Awaited(MessageId),
    /// What happens is printed below it, and so after it.
    Due,
}

/// How long the handle that is due may keep back what happens: it is printed at once unless its terminal stands still.
const NOTE_TIME_MAX: Duration = Duration::from_secs(1);

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
    /// Messages that the disk refused meanwhile.
    undone_early: BTreeSet<MessageId>,
    note: Note,
    /// A handle was awaited in vain, and nothing became of a message since.
    is_disk_slow: bool,
    /// The state of each other member as it was said last.
    presences: BTreeMap<MemberId, Presence>,
    /// Members known from before that this node has not heard yet.
    sought: BTreeSet<MemberId>,
    /// When the opening screen asked who is here: what happened to a member before is in its answer.
    opened_at: Option<Wall>,
    /// When one came into the room, where that was just now.
    came_at: Option<Wall>,
    /// From whom messages come that were said before one came, while nothing else was shown.
    earlier_from: Option<MemberId>,
    cut_off: bool,
    /// Messages of one's own that were not typed here, and what was told of them: the node knows the rest.
    unknown: BTreeMap<MessageId, Standing>,
    /// By receiver: handles of messages that waited and never will be sent, from one batch of events.
    expired: BTreeMap<MemberId, Vec<String>>,
}

impl Shared {
    pub(super) fn new(board: Board) -> Self {
        Self { board: Mutex::new(board), changed: Condvar::new() }
    }

    /// A thread that panicked leaves lines unsaid, nothing inconsistent.
    pub(super) fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a batch of events and returns the lines for the screen, once the handle that goes above them is there.
    pub(super) fn handle_events(&self, events: &[Event]) -> Vec<String> {
        let mut board = self.lock();
        let lines = board.handle_events(events);
        self.changed.notify_all();
        // A handle that is later than this is printed below.
        let _ = self.changed.wait_timeout_while(board, NOTE_TIME_MAX, |board| board.note == Note::Due);
        lines
    }

    /// Waits for at most `time` until the message that was typed last is on the disk, and says whether its handle is to be
    /// printed. Then [`Self::finish_note`] must follow. Where it comes later it is shown as any other message.
    pub(super) fn await_note(&self, time: Duration) -> bool {
        let waits = |board: &mut Board| matches!(board.note, Note::Awaited(_));
        let mut board = match self.changed.wait_timeout_while(self.lock(), time, waits) {
            Ok((board, _)) => board,
            Err(poisoned) => poisoned.into_inner().0,
        };
        if let Note::Awaited(_) = board.note {
            board.note = Note::Nothing;
            board.is_disk_slow = true;
        }
        board.note == Note::Due
    }

    /// The handle was printed.
    pub(super) fn finish_note(&self) {
        self.lock().note = Note::Nothing;
        self.changed.notify_all();
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
            undone_early: BTreeSet::new(),
            note: Note::Nothing,
            is_disk_slow: false,
            presences: BTreeMap::new(),
            sought: BTreeSet::new(),
            opened_at: None,
            came_at: None,
            earlier_from: None,
            cut_off: false,
            unknown: BTreeMap::new(),
            expired: BTreeMap::new(),
        }
    }

    /// The opening screen has said who is here; it asked at `at`.
    pub(super) fn handle_opening(&mut self, at: Wall, members: &[MemberStatus]) {
        self.opened_at = Some(at);
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
        let expired = std::mem::take(&mut self.expired);
        lines.extend(expired.iter().map(|(&to, handles)| self.view.expired(to, handles)));
        lines.extend(self.standings());
        lines
    }

    /// What is typed is typed at a line editor.
    pub(super) fn handle_editor(&mut self) {
        self.typed = Typed::Edited;
    }

    /// Whether a typed line waits for an event such as this.
    pub(super) fn is_awaited(&self, event: &Event) -> bool {
        let waits = self.typed == Typed::Edited && (self.sends_open > 0 || self.note != Note::Nothing);
        waits && matches!(&event.kind, EventKind::Message(message) if self.view.names.is_me(message.from))
    }

    /// A message was typed and goes to the node now. [`Self::finish_send`] must follow.
    pub(super) fn begin_send(&mut self) {
        self.sends_open += 1;
    }

    /// The node took the message, or refused it.
    pub(super) fn finish_send(&mut self, sent: Option<&Sent>) -> Vec<String> {
        self.sends_open = self.sends_open.saturating_sub(1);
        if let Some(sent) = sent.filter(|sent| !self.undone_early.contains(&sent.id)) {
            self.tally.handle_sent(sent);
            self.mine.insert(sent.id);
            if self.typed == Typed::Edited && sent.kind == MessageKind::Group && !self.is_disk_slow {
                self.note = Note::Awaited(sent.id);
            }
        }
        if self.sends_open > 0 {
            return Vec::new();
        }
        self.undone_early.clear();
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
            standing.sample_of = why.sample_of;
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
            EventKind::Member { .. } if self.opened_at.is_some_and(|at| event.at < at) => return None,
            EventKind::Member { id, nick, state, evidence, .. } => {
                let changed = self.member(*id, *state, evidence);
                // A card that only changes the nick says itself what it was.
                let old =
                    self.view.names.nick(*id).filter(|old| old != nick && !is_rename(evidence)).map(str::to_owned);
                self.view.names.learn(*id, nick);
                let name = self.view.names.name(*id);
                let line = match changed {
                    Changed::Nothing => None,
                    Changed::Arrived => Some(self.view.arrived(&name, evidence)),
                    Changed::State => Some(self.view.event(event)),
                };
                let renamed = old.map(|old| self.view.renamed(*id, &old, &name));
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
                self.is_disk_slow = false;
                if !self.mine.remove(id) && self.sends_open > 0 && self.undone_early.len() < SCREEN_EVENTS_MAX {
                    self.undone_early.insert(*id);
                }
                if self.note == Note::Awaited(*id) {
                    self.note = Note::Nothing;
                }
            }
            EventKind::Delivery { id, handle, delivery, reason } => {
                self.view.names.learn(delivery.member, &delivery.nick);
                if delivery.outcome == Outcome::Expired {
                    match self.tally.handle_expired(*id, delivery) {
                        Expiry::Known => return None,
                        Expiry::ToldWithIt => {}
                        // Many go at once where more was said than is kept.
                        Expiry::News => {
                            self.expired.entry(delivery.member).or_default().push(handle.clone());
                            return None;
                        }
                    }
                }
                if !self.tally.handle_delivery(*id, handle, delivery, reason.as_deref()) {
                    self.note_unknown(*id, handle, Some(delivery), reason.as_deref());
                }
                return None;
            }
            EventKind::Fault { spec } => self.faults = spec.iter().cloned().collect(),
            EventKind::Gap(_)
            | EventKind::Recovered { .. }
            | EventKind::Alarm { .. }
            | EventKind::Stalled { .. }
            | EventKind::Lagged { .. }
            | EventKind::Script { .. } => {}
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
        let empty = || Standing { handle: handle.into(), deliveries: Vec::new(), sample_of: None, reason: None };
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
        self.is_disk_slow = false;
        if !typed_here && self.tally.deliveries(message.id).is_none() {
            self.note_unknown(message.id, &message.handle, None, None);
        }
        let to_room = match message.kind {
            MessageKind::Group => true,
            MessageKind::Private => false,
        };
        let is_noted = self.note == Note::Awaited(message.id);
        if is_noted {
            self.note = Note::Due;
        }
        if typed_here && to_room && (self.typed == Typed::Visible || is_noted) {
            return None;
        }
        Some(self.view.message(message, self.tally.deliveries(message.id)))
    }

    pub(super) fn standings(&mut self) -> Vec<String> {
        let standings = self.tally.settle();
        standings.iter().map(|standing| self.standing(standing)).collect()
    }

    fn standing(&self, standing: &Standing) -> String {
        let Standing { handle, deliveries, sample_of, reason } = standing;
        self.view.sampled_delivery(handle, deliveries, *sample_of, reason.as_deref())
    }

    fn note_handle(&mut self, handle: &str) {
        self.handles.push_front(handle.to_owned());
        self.handles.truncate(COMPLETED_HANDLES_MAX);
    }
}

#[cfg(test)]
mod tests;
