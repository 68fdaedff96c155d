//! What the subsystems tell, as events in the words of `api`; and why they refuse, as sentences for people.
//! Owns the translation; decides nothing.

use super::api::{Delivery, Event, EventKind, Message, Refusal};
use super::report::message_kind;
use super::{Node, Output, Phase};
use crate::base::{Cause, EventNumber, MemberId, Now, Stream};
use crate::wire::RefusedReason;
use crate::{membership, messaging};

impl Node {
    pub(super) fn on_membership_event(&mut self, now: Now, event: membership::Event) {
        let kind = match event.kind {
            membership::EventKind::Member { id, nick, presence, run, evidence } => {
                let evidence = evidence.iter().map(|item| self.evidence(item)).collect();
                EventKind::Member { id, nick, state: presence, incarnation: run.incarnation, evidence }
            }
            membership::EventKind::Alarm { text } => EventKind::Alarm { text },
            membership::EventKind::Stalled { stall } => {
                EventKind::Stalled { ms: u64::try_from(stall.as_millis()).unwrap_or(u64::MAX) }
            }
            membership::EventKind::Left => {
                self.phase = Phase::Left;
                return;
            }
        };
        self.tell(now, event.n, event.cause, kind);
    }

    pub(super) fn on_messaging_event(&mut self, now: Now, event: messaging::Event) {
        let kind = match event.kind {
            messaging::EventKind::Message(shown) => EventKind::Message(self.message(shown)),
            messaging::EventKind::Undone { id } => {
                let reason = "the disk is full; make room on it and say it again".to_owned();
                EventKind::Undone { id, handle: self.handle(id), reason }
            }
            messaging::EventKind::Delivery(change) => EventKind::Delivery {
                id: change.id,
                handle: self.handle(change.id),
                delivery: Delivery {
                    member: change.to,
                    nick: self.nick(change.to),
                    outcome: change.outcome,
                    attempts: change.attempts,
                    tries_may_be_missing: change.tries_may_be_missing,
                    latency_us: change.latency_us,
                },
                reason: change.reason.map(|reason| refused_because(reason).to_owned()),
            },
            messaging::EventKind::Gap(gap) => EventKind::Gap(self.gap(&gap)),
            messaging::EventKind::Recovered { count, via } => EventKind::Recovered { count, via, nick: self.nick(via) },
            messaging::EventKind::Alarm(alarm) => EventKind::Alarm { text: self.alarm(alarm) },
        };
        self.tell(now, event.n, event.cause, kind);
    }

    pub(super) fn tell(&mut self, now: Now, n: EventNumber, cause: Option<Cause>, kind: EventKind) {
        self.outputs.push(Output::Event(Event { n, at: now.wall, cause, kind }));
    }

    /// Why messaging refused what was to go to `to`, or to the room.
    pub(super) fn refusal(&self, now: Now, refused: messaging::Refused, to: Option<MemberId>) -> Refusal {
        match refused {
            messaging::Refused::Text(error) => Refusal::Text(error.to_string()),
            messaging::Refused::NotRunning => Refusal::Starting,
            messaging::Refused::Yourself => Refusal::Yourself,
            messaging::Refused::UnknownMember => {
                Refusal::UnknownMember { nick: to.map_or_else(String::new, |to| self.nick(to)) }
            }
            messaging::Refused::Full { waiting } => self.full(now, waiting, to),
            messaging::Refused::DiskFull => Refusal::DiskFull,
        }
    }

    fn full(&self, now: Now, waiting: usize, to: Option<MemberId>) -> Refusal {
        let Some(to) = to else { return Refusal::Busy { waiting } };
        let member = self.membership.member(now, to);
        if member.as_ref().is_some_and(|member| member.presence.is_reachable()) {
            return Refusal::Busy { waiting };
        }
        let heard = member.and_then(|member| member.heard);
        let silent_s = heard.map(|heard| now.time.since(heard).as_secs());
        Refusal::Full { nick: self.nick(to), silent_s, waiting }
    }

    fn message(&self, shown: messaging::Shown) -> Message {
        let to = match shown.key.stream {
            Stream::Room => None,
            Stream::To(member) => Some(member),
        };
        Message {
            id: shown.id,
            handle: self.handle(shown.id),
            kind: message_kind(shown.key.stream),
            from: shown.key.author,
            nick: self.nick(shown.key.author),
            to,
            seq: shown.key.seq,
            incarnation: shown.key.run.incarnation,
            text: shown.text,
            said_at: shown.said_at,
            received_at: None,
            recovered: shown.recovered,
            via: shown.via,
            late_ms: shown.late_ms,
        }
    }

    fn alarm(&self, alarm: messaging::Alarm) -> String {
        match alarm {
            messaging::Alarm::Equivocation { author, run: _, seq, first, second } => format!(
                "{} signed two messages as its number {seq}, {} and {}: it told different people different things; both are shown",
                self.nick(author),
                self.handle(first),
                self.handle(second)
            ),
            messaging::Alarm::BrokenChain { author, run: _, seq } => format!(
                "{}#{seq} follows another message than the one that came here before it: {} may have told others something else",
                self.nick(author),
                self.nick(author)
            ),
            messaging::Alarm::FalseReceipt { receiver } => format!(
                "{} signed a receipt for a message that this node never said; the receipt counts for nothing",
                self.nick(receiver)
            ),
            messaging::Alarm::CopiedHome { run } => format!(
                "a message of this very run ({run}) came from elsewhere: another process uses a copy of this home; stop one of \
                 the two, and give the other a home of its own with --home DIR"
            ),
        }
    }
}

/// A refusal that does not say that the receiver lacks the message.
pub(super) const TOO_OLD: &str = "too old: it no longer remembers whether it has it";

/// Why a message that was never sent never will be, as a person reads it; of one to the room, whether its text was let go. What
/// else is true of it then, such as its age, does not matter any more.
#[must_use]
pub fn expired_because(is_let_go: bool) -> &'static str {
    if is_let_go { "its text is no longer kept to be given" } else { "its life of 7 days is over" }
}

/// Why a receiver did not take a message, as a person reads it.
#[must_use]
pub fn refused_because(reason: RefusedReason) -> &'static str {
    match reason {
        RefusedReason::DiskFull => "its disk is full",
        RefusedReason::BelowFloor => TOO_OLD,
        RefusedReason::Blocked => "its person blocks you",
    }
}
