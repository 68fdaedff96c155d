//! What the node answered, as text. The line editor and the commands print the same words.

use crate::node::api::{Gap, Message};
use crate::runtime::protocol::Response;
use crate::view::{Counters, View};

/// A response as a person reads it, without a line break at its end. Nothing for an answer that only says that it was
/// done.
#[must_use]
pub fn answer(view: &View, response: &Response, counters: Counters) -> Option<String> {
    match response {
        Response::Status(status) => Some(view.status(status, counters)),
        Response::Members(members) => Some(view.who(members)),
        Response::WhyMessage(why) => Some(view.why_message(why)),
        Response::WhyMissing(why) => Some(view.why_missing(why)),
        Response::WhyMember(why) => Some(view.why_member(why)),
        Response::Log { messages, left_out } => Some(log(view, messages, *left_out, &[])),
        Response::Found { found, more } => {
            let mut lines: Vec<String> = found.iter().map(|found| view.found(found)).collect();
            if *more {
                lines.insert(0, "(older messages match too; ask for more)".into());
            }
            Some(if lines.is_empty() {
                "no message that is kept here has these words".into()
            } else {
                lines.join("\n")
            })
        }
        Response::Gaps(gaps) => Some(view.gaps(gaps, None)),
        Response::Sent(sent) => Some(view.sampled_delivery(&sent.handle, &sent.deliveries, sent.sample_of, None)),
        Response::Invite { ticket, .. } => Some(format!("moot join {ticket}")),
        Response::Faults(faults) if faults.is_empty() => Some("faults are off".into()),
        Response::Faults(faults) => Some(view.fault_banner(faults)),
        Response::Event(event) => Some(view.event(event)),
        // Bytes for a file.
        Response::Evidence(_) | Response::Done => None,
        Response::Error(error) => Some(error.message.clone()),
    }
}

/// Messages of the past, and what is missing among them.
#[must_use]
pub fn log(view: &View, messages: &[Message], left_out: u64, gaps: &[Gap]) -> String {
    let older = (left_out > 0)
        .then(|| format!("({left_out} older messages did not fit; moot search finds them by their words)"));
    let lines = (!messages.is_empty()).then(|| view.log(messages, gaps));
    let all: Vec<String> = older.into_iter().chain(lines).collect();
    if all.is_empty() { "no message was said here yet".into() } else { all.join("\n") }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::base::Wall;
    use crate::view::{Ink, Names};

    fn shown(response: &Response) -> Option<String> {
        let view = View { ink: Ink::Plain, zone: TimeZone::UTC, now: Wall(0), names: Names::default(), columns: None };
        answer(&view, response, Counters::Hidden)
    }

    #[test]
    fn nothing_to_show_is_said_too() {
        let said = |response| shown(&response).unwrap();
        assert_eq!(said(Response::Gaps(vec![])), "no gaps: nothing was asked for in vain");
        assert_eq!(said(Response::Log { messages: vec![], left_out: 0 }), "no message was said here yet");
        assert_eq!(said(Response::Faults(vec![])), "faults are off");
        assert_eq!(said(Response::Faults(vec!["loss=5%".into()])), "faults are on: loss=5%");
        assert_eq!(said(Response::Invite { room: "moot".into(), ticket: "moot:abc".into() }), "moot join moot:abc");
        assert_eq!(shown(&Response::Done), None);
    }
}
