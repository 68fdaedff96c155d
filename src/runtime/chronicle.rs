//! What the log says of each event: its fields and its cause, at `info`, so that a chain can be followed
//! from log to log. Never a message's text.

use std::fmt;

use tracing::field::display;
use tracing::{info, warn};

use crate::base::Cause;
use crate::node::api::{Event, EventKind, Evidence};

/// Logs one event.
pub(super) fn note(event: &Event) {
    let n = event.n;
    let cause = event.cause.map(|cause| display(Named(cause)));
    match &event.kind {
        EventKind::Ready { id, nick, room, addr, incarnation, ticket: _ } => {
            info!(n, cause, %id, nick, room, addr, incarnation, "ready");
        }
        EventKind::Member { id, nick, state, incarnation, evidence } => {
            let because = reasons(evidence);
            info!(n, cause, %id, nick, ?state, incarnation, because, "member");
        }
        EventKind::Message(message) => {
            let (id, from, kind, seq) = (message.id, message.from, message.kind, message.seq);
            let (to, via) = (message.to.map(display), message.via.map(display));
            let (incarnation, recovered, late_ms) = (message.incarnation, message.recovered, message.late_ms);
            info!(n, cause, %id, ?kind, %from, to, incarnation, seq, recovered, via, late_ms, "message");
        }
        EventKind::Undone { id, handle: _, reason } => warn!(n, cause, %id, reason, "undone"),
        EventKind::Delivery { id, handle: _, delivery, reason } => {
            let (member, outcome) = (delivery.member, delivery.outcome);
            let (attempts, latency_us) = (delivery.attempts, delivery.latency_us);
            info!(n, cause, %id, %member, ?outcome, attempts, latency_us, reason, "delivery");
        }
        EventKind::Gap(gap) => {
            let (author, asked) = (gap.author, gap.asked.len());
            info!(n, cause, %author, incarnation = gap.incarnation, first = gap.first, last = gap.last, asked, "gap");
        }
        EventKind::Recovered { count, via, nick } => info!(n, cause, count, %via, nick, "recovered"),
        EventKind::Fault { spec } => warn!(n, cause, spec = spec.as_deref().unwrap_or("off"), "fault"),
        EventKind::Alarm { text } => warn!(n, cause, text, "alarm"),
        EventKind::Stalled { ms } => warn!(n, cause, ms, "stalled"),
        EventKind::Lagged { count } => warn!(n, cause, count, "lagged"),
        EventKind::Script { name, text, failed: true } => warn!(n, cause, name, text, "script"),
        // What a script writes may be what somebody said.
        EventKind::Script { name, text, failed: false } => info!(n, cause, name, bytes = text.len(), "script"),
    }
}

/// A cause in one word: `event:12`, or the datagram as its receiver names it. Written only where somebody logs it.
struct Named(Cause);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cause::Event(n) => write!(f, "event:{n}"),
            Cause::Datagram { peer, session, counter } => {
                write!(f, "datagram:{}/{session}/{counter}", peer.short())
            }
        }
    }
}

/// The evidence in one line: who, what.
fn reasons(evidence: &[Evidence]) -> String {
    let items = evidence.iter().map(|item| format!("{:?} by {} ({})", item.kind, item.by.short(), item.detail));
    items.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::MemberId;

    #[test]
    fn a_cause_is_one_word() {
        assert_eq!(Named(Cause::Event(12)).to_string(), "event:12");
        let peer = MemberId([1; 32]);
        let cause = Cause::Datagram { peer, session: 3, counter: 17 };
        assert_eq!(Named(cause).to_string(), format!("datagram:{}/3/17", peer.short()));
    }
}
