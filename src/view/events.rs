//! Events as the lines of a chat. One event is one line, and more only where a message has more; what
//! follows the first line is indented, so that no message can pass for an event.

use super::because::{is_restored, old_nick};
use super::names::YOU;
use super::{Tone, View, age, count, list};
use crate::base::{MemberId, Presence, Wall, text};
use crate::node::api::{Answer, Asked, Delivery, Event, EventKind, Evidence, Gap, Message, MessageKind, Outcome};

/// What begins a text that its author does rather than says, as in XEP-0245: `/me waves`.
pub(super) const ACTION: &str = "/me ";
/// A recovered message that is not later than this came as one expects it.
const LATE_MS_MIN: u64 = 3_000;
/// A message that was not asked for and is later than this was not sent in one go, or a clock is wrong.
pub(super) const SENT_LATE_MS_MIN: u64 = 10_000;
/// What stands before the second and later lines of a text.
const INDENT: &str = "\n    ";

impl View {
    /// `event` as a line of the chat.
    #[must_use]
    pub fn event(&self, event: &Event) -> String {
        match &event.kind {
            EventKind::Ready { id, nick, room, addr, .. } => {
                let who = format!("{} ({})", self.names.named(*id, nick), id.short());
                self.ink
                    .paint(Tone::Faint, &format!("{who} is ready in \"{}\", listening on {addr}", text::sanitize(room)))
            }
            EventKind::Member { id, nick, state, evidence, .. } => self.member_change(*id, nick, *state, evidence),
            EventKind::Message(message) => {
                self.message(&Message { received_at: Some(event.at), ..message.clone() }, None)
            }
            EventKind::Undone { handle, reason, .. } => {
                self.ink.paint(Tone::Bad, &format!("{handle} was not sent: {}", text::sanitize(reason)))
            }
            EventKind::Delivery { handle, delivery, reason, .. } => {
                self.delivery(handle, std::slice::from_ref(delivery), reason.as_deref())
            }
            EventKind::Gap(gap) => self.gap(gap),
            EventKind::Recovered { count: n, via, nick } => {
                let messages = count(*n, "message", "messages");
                self.ink.paint(Tone::Faint, &format!("recovered {messages} via {}", self.names.named(*via, nick)))
            }
            EventKind::Fault { spec: Some(spec) } => self.fault_banner(std::slice::from_ref(spec)),
            EventKind::Fault { spec: None } => self.ink.paint(Tone::Caution, "faults are off"),
            EventKind::Alarm { text: alarm } => self.ink.paint(Tone::Bad, &format!("alarm: {}", text::sanitize(alarm))),
            EventKind::Stalled { ms } => self.ink.paint(
                Tone::Caution,
                &format!(
                    "this node stood still for {}: it judges nobody by that time, and others may have missed it",
                    age(*ms)
                ),
            ),
            EventKind::Script { name, text, failed } => {
                let tone = if *failed { Tone::Bad } else { Tone::Faint };
                let line = if *failed { text::sanitize(text) } else { format!("{name}: {}", text::sanitize(text)) };
                self.ink.paint(tone, &line)
            }
            EventKind::Lagged { count: n } => {
                let events = count(*n, "event", "events");
                self.ink.paint(
                    Tone::Caution,
                    &format!("this screen was too slow and missed {events}; log has the messages"),
                )
            }
        }
    }

    /// `event` as a line that stands by itself, with the time at which the node told it: `14:03:22  bo: hello  [k7f3]`.
    #[must_use]
    pub fn told(&self, event: &Event) -> String {
        format!("{}  {}", self.ink.paint(Tone::Faint, &self.time(event.at)), self.event(event))
    }

    /// A message: `bo: hello  [k7f3]`, `bo → you: hi  [k7f3]`, and of one's own `you → bo: hi  [k7f3 sending]`, where
    /// `own` says how its deliveries stand.
    #[must_use]
    pub fn message(&self, message: &Message, own: Option<&[Delivery]>) -> String {
        let stands = own.filter(|_| self.names.is_me(message.from)).and_then(open_word);
        let handle = match stands {
            Some(word) => format!("{} {word}", message.handle),
            None => message.handle.clone(),
        };
        self.said(&self.head(message), &message.text, std::iter::once(handle).chain(self.lateness(message)))
    }

    /// The same without its handle, for where that stands already.
    pub(super) fn message_alone(&self, message: &Message) -> String {
        self.said(&self.head(message), &message.text, self.lateness(message))
    }

    /// A text of one's own that was typed and stands further up by now, with the handle that it has: `you: hello  [k7f3]`.
    #[must_use]
    pub fn repeated(&self, text: &str, handle: &str) -> String {
        self.said(YOU, text, std::iter::once(handle.to_owned()))
    }

    fn said(&self, head: &str, text: &str, notes: impl IntoIterator<Item = String>) -> String {
        let line = match text.strip_prefix(ACTION) {
            Some(action) => format!("* {} {}", self.ink.paint(Tone::Strong, head), indented(action)),
            None => format!("{} {}", self.ink.paint(Tone::Strong, &format!("{head}:")), indented(text)),
        };
        let notes: Vec<String> = notes.into_iter().collect();
        if notes.is_empty() {
            return line;
        }
        format!("{line}  {}", self.ink.paint(Tone::Faint, &format!("[{}]", notes.join(", "))))
    }

    /// How late a message came, and how, where that is not as one expects it.
    fn lateness(&self, message: &Message) -> Option<String> {
        if message.recovered {
            return Some(self.recovered_note(message));
        }
        let late = late_by(message).filter(|_| !self.names.is_me(message.from));
        late.map(|late| format!("{} late by its author's clock", age(late)))
    }

    /// Who said a message, and to whom where it was one: `bo`, `bo → you`.
    pub(super) fn head(&self, message: &Message) -> String {
        let from = self.names.named_or_you(message.from, &message.nick);
        match message.to {
            Some(to) => format!("{from} → {}", self.names.named_or_you(to, "")),
            None => from,
        }
    }

    /// `gap: bo#13–15, asked ana (no longer keeps it), cy (no answer yet)`.
    #[must_use]
    pub fn gap(&self, gap: &Gap) -> String {
        let author = self.names.named(gap.author, &gap.nick);
        let range = if gap.first == gap.last { gap.first.to_string() } else { format!("{}–{}", gap.first, gap.last) };
        let asked: Vec<String> = gap.asked.iter().map(|asked| self.asked(asked)).collect();
        let asked = if asked.is_empty() { "nobody was asked".into() } else { format!("asked {}", asked.join(", ")) };
        let run = if gap.of_earlier_run { " of an earlier run" } else { "" };
        self.ink.paint(Tone::Caution, &format!("gap: {author}#{range}{run}, {asked}"))
    }

    /// What stands above messages that were said before one came.
    #[must_use]
    pub fn earlier(&self, from: &str) -> String {
        self.ink.paint(Tone::Faint, &format!("earlier in this room, from {from}:"))
    }

    /// What stands beside a typed line once the node took it: `[k7f3]`.
    #[must_use]
    pub fn accepted(&self, handle: &str) -> String {
        self.ink.paint(Tone::Faint, &format!("[{handle}]"))
    }

    /// Says that it is probably this node that is cut off.
    #[must_use]
    pub fn cut_off(&self) -> String {
        self.ink.paint(Tone::Bad, "you hear fewer than half of your links: it is probably you who is cut off")
    }

    /// Says since when this node takes no part.
    #[must_use]
    pub fn silent(&self, since: Wall) -> String {
        let since = self.time(since);
        self.ink.paint(
            Tone::Bad,
            &format!(
                "this node fell silent at {since}, because another process runs with a copy of its home: what it knows is of then"
            ),
        )
    }

    /// Says that this is over.
    #[must_use]
    pub fn not_cut_off(&self) -> String {
        self.ink.paint(Tone::Good, "you hear most of your links again")
    }

    /// What stays on the screen while faults are on.
    #[must_use]
    pub fn fault_banner(&self, faults: &[String]) -> String {
        let specs: Vec<String> = faults.iter().map(|spec| text::sanitize(spec)).collect();
        self.ink.paint(Tone::Caution, &format!("faults are on: {}", specs.join(", ")))
    }

    /// `bo is unreachable: not heard for 4.1 s; reported by ana and cy`.
    fn member_change(&self, id: MemberId, nick: &str, state: Presence, evidence: &[Evidence]) -> String {
        let name = self.names.named(id, nick);
        if let Some(old) = old_nick(evidence) {
            return self.renamed(id, &old, &name);
        }
        if is_restored(state, evidence) {
            return self.looking_for(&[name]);
        }
        let why = self.because(state, evidence);
        let (state, tone) = match state {
            Presence::Alive if why.is_empty() => return self.arrived(&name, evidence),
            Presence::Alive => ("is back", Tone::Good),
            Presence::Suspect => ("is suspect", Tone::Faint),
            Presence::Unreachable => ("is unreachable", Tone::Bad),
            Presence::Left => ("left", Tone::Faint),
        };
        let colon = if why.is_empty() { "" } else { ": " };
        self.ink.paint(tone, &format!("{name} {state}{colon}{why}"))
    }

    /// Whether a change says no more than that the member is here.
    #[must_use]
    pub fn is_arrival(&self, state: Presence, evidence: &[Evidence]) -> bool {
        state == Presence::Alive && old_nick(evidence).is_none() && self.because(state, evidence).is_empty()
    }

    /// `bo is here`, and by whose word, where this node did not hear it itself.
    #[must_use]
    pub fn arrived(&self, name: &str, evidence: &[Evidence]) -> String {
        let word = self.by_word_of(evidence).map(|names| format!(", by the word of {names}")).unwrap_or_default();
        self.ink.paint(Tone::Good, &format!("{name} is here{word}"))
    }

    /// `bo is now bobby`: with a mark where somebody else is called bo.
    #[must_use]
    pub fn renamed(&self, id: MemberId, old: &str, new: &str) -> String {
        self.ink.paint(Tone::Faint, &format!("{} is now {new}", self.names.named(id, old)))
    }

    /// `looking for bo and ana`: known from before, not heard yet.
    pub(super) fn looking_for(&self, names: &[String]) -> String {
        self.ink.paint(Tone::Faint, &format!("looking for {}", list(names)))
    }

    fn recovered_note(&self, message: &Message) -> String {
        let via = message.via.map(|via| format!(" via {}", self.names.named_or_you(via, ""))).unwrap_or_default();
        let late = message.late_ms.filter(|&ms| ms >= LATE_MS_MIN);
        let late = late.map(|ms| format!(", {} late by its author's clock", age(ms))).unwrap_or_default();
        format!("recovered{via}{late}")
    }

    fn asked(&self, asked: &Asked) -> String {
        let answer = match asked.answer {
            Answer::DiskFullHere => "gave it, but the disk here is full",
            Answer::NoLongerKeepsIt => "no longer keeps it",
            Answer::NeverHadIt => "never had it",
            Answer::NoAnswer => "no answer yet",
        };
        format!("{} ({answer})", self.names.named(asked.member, &asked.nick))
    }
}

/// What stands between sent and stored, as one word; nothing once it is settled.
fn open_word(deliveries: &[Delivery]) -> Option<&'static str> {
    let any = |outcome| deliveries.iter().any(|delivery| delivery.outcome == outcome);
    if any(Outcome::Sending) {
        Some("sending")
    } else if any(Outcome::Waiting) {
        Some("waiting")
    } else {
        None
    }
}

/// How long after it was said, by its author's clock, a message came that was not asked for: the same for one to the room and
/// a private one.
fn late_by(message: &Message) -> Option<u64> {
    let came = message.received_at?;
    came.0.checked_sub(message.said_at.0).filter(|&ms| ms >= SENT_LATE_MS_MIN)
}

fn indented(said: &str) -> String {
    text::sanitize(said).trim_end().replace('\n', INDENT)
}

/// Whether a message of this kind has one receiver.
#[must_use]
pub(super) fn is_private(kind: MessageKind) -> bool {
    match kind {
        MessageKind::Private => true,
        MessageKind::Group => false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::base::{MessageId, Wall};
    use crate::node::api::EvidenceKind;
    use crate::view::Ink;
    use crate::view::names::tests::{four, id};

    /// Ana's view, without colour, in UTC, on the day that the tests speak of.
    pub(in crate::view) fn view() -> View {
        View { ink: Ink::Plain, zone: TimeZone::UTC, now: Wall(1_700_000_000_250), names: four(), columns: None }
    }

    pub(in crate::view) fn message(from: u8, nick: &str, to: Option<u8>, text: &str) -> Message {
        Message {
            id: MessageId([from; 32]),
            handle: "k7f3".into(),
            kind: if to.is_some() { MessageKind::Private } else { MessageKind::Group },
            from: id(from),
            nick: nick.into(),
            to: to.map(id),
            seq: 1,
            incarnation: 1,
            text: text.into(),
            said_at: Wall(1_700_000_000_000),
            recovered: false,
            via: None,
            received_at: None,
            late_ms: None,
        }
    }

    pub(in crate::view) fn delivery(member: u8, nick: &str, outcome: Outcome, attempts: u32) -> Delivery {
        Delivery {
            member: id(member),
            nick: nick.into(),
            outcome,
            attempts,
            tries_may_be_missing: false,
            latency_us: None,
        }
    }

    pub(in crate::view) fn evidence(kind: EvidenceKind, by: u8, nick: &str, detail: &str) -> Evidence {
        Evidence {
            kind,
            by: id(by),
            nick: nick.into(),
            run: None,
            tick: None,
            at: Wall(1_700_000_000_000),
            detail: detail.into(),
            via: None,
            mostly_deaf: false,
            brought_back: false,
            verdict: false,
        }
    }

    fn shown(kind: EventKind) -> String {
        view().event(&Event { n: 1, at: Wall(0), cause: None, kind })
    }

    #[test]
    fn messages_read_as_in_any_chat() {
        let view = view();
        assert_eq!(view.message(&message(2, "bo", None, "hello"), None), "bo: hello  [k7f3]");
        assert_eq!(view.message(&message(2, "bo", Some(1), "hi"), None), "bo → you: hi  [k7f3]");
        assert_eq!(view.message(&message(2, "bo", None, "/me waves"), None), "* bo waves  [k7f3]");
        assert_eq!(view.repeated("hello", "k7f3"), "you: hello  [k7f3]");
        assert_eq!(view.repeated("/me waves", "k7f3"), "* you waves  [k7f3]");
        assert_eq!(view.message(&message(1, "ana", None, "hello"), None), "you: hello  [k7f3]");
        let sending = [delivery(2, "bo", Outcome::Sending, 1)];
        assert_eq!(view.message(&message(1, "ana", Some(2), "hi"), Some(&sending)), "you → bo: hi  [k7f3 sending]");
    }

    #[test]
    fn a_message_cannot_pass_for_an_event_or_move_the_cursor() {
        let said = message(2, "bo", None, "one\ncy is unreachable\u{1b}[2J\r\n");
        assert_eq!(view().message(&said, None), "bo: one\n    cy is unreachable[2J  [k7f3]");
    }

    #[test]
    fn a_message_says_how_late_it_is_be_it_private_or_to_the_room() {
        let to_all = message(2, "bo", None, "hello");
        let late = Message { received_at: Some(Wall(to_all.said_at.0 + 19_000)), ..to_all };
        assert_eq!(view().message(&late, None), "bo: hello  [k7f3, 19 s late by its author's clock]");
        let said = message(2, "bo", Some(1), "hello");
        let came = |ms| Message { received_at: Some(Wall(said.said_at.0 + ms)), ..said.clone() };
        assert_eq!(view().message(&came(19_000), None), "bo → you: hello  [k7f3, 19 s late by its author's clock]");
        assert_eq!(view().message(&came(900), None), "bo → you: hello  [k7f3]");
    }

    #[test]
    fn a_recovered_message_says_from_whom_and_how_late() {
        let late =
            Message { recovered: true, via: Some(id(3)), late_ms: Some(42_300), ..message(2, "bo", None, "hello") };
        assert_eq!(view().message(&late, None), "bo: hello  [k7f3, recovered via cy, 42 s late by its author's clock]");
        assert_eq!(
            shown(EventKind::Recovered { count: 2, via: id(3), nick: "cy".into() }),
            "recovered 2 messages via cy"
        );
    }

    #[test]
    fn a_gap_says_who_was_asked_and_what_they_said() {
        let asked = |member, nick: &str, answer| Asked { member: id(member), nick: nick.into(), answer };
        let gap = Gap {
            author: id(2),
            nick: "bo".into(),
            incarnation: 1,
            first: 13,
            last: 15,
            asked: vec![asked(1, "ana", Answer::NoLongerKeepsIt), asked(3, "cy", Answer::NoAnswer)],
            of_earlier_run: false,
        };
        assert_eq!(
            shown(EventKind::Gap(gap.clone())),
            "gap: bo#13–15, asked ana (no longer keeps it), cy (no answer yet)"
        );
        assert_eq!(view().gap(&Gap { last: 13, asked: vec![], ..gap }), "gap: bo#13, nobody was asked");
    }

    #[test]
    fn a_change_of_a_member_comes_with_its_evidence() {
        let change = |state, evidence| {
            shown(EventKind::Member { id: id(2), nick: "bo".into(), state, incarnation: 1, evidence })
        };
        let silent = vec![
            evidence(EvidenceKind::Report, 1, "ana", "did not hear it after tick 7; 5 probes lost"),
            evidence(EvidenceKind::Silence, 1, "ana", "silent for 4.1 s"),
            evidence(EvidenceKind::Report, 3, "cy", ""),
        ];
        assert_eq!(
            change(Presence::Unreachable, silent),
            "bo is unreachable: not heard for 4.1 s; reported by you and cy"
        );
        assert_eq!(change(Presence::Left, vec![evidence(EvidenceKind::Leave, 2, "bo", "")]), "bo left: said goodbye");
        let doubted =
            vec![evidence(EvidenceKind::Report, 3, "cy", ""), evidence(EvidenceKind::Contradiction, 4, "dee", "")];
        assert_eq!(change(Presence::Suspect, doubted), "bo is suspect: reported by cy; contradicted by dee");
    }

    #[test]
    fn who_comes_is_here_and_who_returns_is_back() {
        let alive = |evidence| {
            shown(EventKind::Member { id: id(2), nick: "bo".into(), state: Presence::Alive, incarnation: 1, evidence })
        };
        let card = |detail: &str| evidence(EvidenceKind::Card, 2, "bo", detail);
        let heard = |detail: &str| evidence(EvidenceKind::Heard, 1, "ana", detail);
        assert_eq!(alive(vec![card("signed card, version 1"), heard("heard on this node's own link")]), "bo is here");
        assert_eq!(
            alive(vec![
                card("signed card, version 1"),
                evidence(EvidenceKind::Heard, 3, "cy", "knows this tick of it")
            ]),
            "bo is here, by the word of cy"
        );
        assert_eq!(
            alive(vec![card("signed card, version 1"), heard("heard again on this node's own link, silent for 8.2 s")]),
            "bo is back: heard again after 8.2 s"
        );
        assert_eq!(
            alive(vec![evidence(EvidenceKind::Contradiction, 3, "cy", "hears it again")]),
            "bo is back: there by the word of cy"
        );
        assert_eq!(
            alive(vec![card("restarted: a card of a higher run, before it was 17.ab12")]),
            "bo is back: restarted"
        );
    }

    #[test]
    fn a_renamed_member_is_no_stranger_and_a_restored_one_is_looked_for() {
        let change = |nick: &str, state, evidence| {
            shown(EventKind::Member { id: id(2), nick: nick.into(), state, incarnation: 1, evidence: vec![evidence] })
        };
        let card = evidence(EvidenceKind::Card, 2, "bobby", "was bo before (passed on by cy)");
        assert_eq!(change("bobby", Presence::Alive, card), "bo is now bobby");
        let restored = evidence(EvidenceKind::Restored, 2, "bo", "not heard since this node started");
        assert_eq!(change("bo", Presence::Suspect, restored), "looking for bo");
    }

    #[test]
    fn the_rest_are_plain_sentences() {
        assert_eq!(
            shown(EventKind::Ready {
                id: id(1),
                nick: "ana".into(),
                room: "ana's moot".into(),
                addr: "127.0.0.1:4460".into(),
                incarnation: 1,
                ticket: "moot:x".into(),
            }),
            format!("ana ({}) is ready in \"ana's moot\", listening on 127.0.0.1:4460", id(1).short())
        );
        assert_eq!(shown(EventKind::Fault { spec: Some("loss=20%".into()) }), "faults are on: loss=20%");
        assert_eq!(shown(EventKind::Fault { spec: None }), "faults are off");
        assert_eq!(shown(EventKind::Alarm { text: "copied home".into() }), "alarm: copied home");
        assert_eq!(
            shown(EventKind::Lagged { count: 1 }),
            "this screen was too slow and missed 1 event; log has the messages"
        );
        assert_eq!(
            shown(EventKind::Undone {
                id: MessageId([1; 32]),
                handle: "k7f3".into(),
                reason: "the disk is full".into()
            }),
            "k7f3 was not sent: the disk is full"
        );
    }
}
