//! What stands beside an event on its lane, as short as it can be said; in full it is told on hover.

use std::time::Duration;

use crate::check::What;
use crate::node::api::EventKind;
use crate::report::story::Story;
use crate::report::words::{self, Weight};

/// How an event is marked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// Words beside its lane.
    Label(String),
    /// Words over all lanes.
    Row(String),
    Dot,
}

pub(super) fn label(story: &Story<'_>, index: usize) -> Mark {
    let line = &story.lines[index];
    let text = match &line.what {
        What::Arrived { .. } | What::Dropped { .. } => return Mark::Dot,
        What::Sent { labels, .. } => {
            let mut words: Vec<String> = Vec::new();
            let heavy = words::weight(labels);
            for label in labels.iter().filter(|label| words::frame_weight(label.frame) == heavy) {
                let frame = words::frame(label.frame);
                let word = label.message.map_or_else(|| frame.into(), |id| format!("{frame} {}", story.handle(id)));
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            match words.as_slice() {
                [] => "handshake".into(),
                [one] => one.clone(),
                [one, rest @ ..] => format!("{one} +{}", rest.len()),
            }
        }
        What::Step { text, line: Some(line) } => return Mark::Row(format!("line {line}: {text}")),
        What::Step { text, line: None } => return Mark::Row(text.clone()),
        What::Violated { check, text } => return Mark::Row(words::violated(*check, text)),
        What::Fault { text, is_on } => {
            let text = story.faults.words(index).unwrap_or(text);
            if *is_on { format!("fault: {text}") } else { format!("over: {text}") }
        }
        What::Began { scenario, .. } => return Mark::Row(format!("{scenario} begins")),
        What::Home { .. } => "home".into(),
        What::Dishonest { .. } => "dishonest now".into(),
        What::Lied { text } => format!("lies: {text}"),
        What::Started { run: Some(run), .. } => format!("starts, run {}", run.incarnation),
        What::Started { run: None, .. } => "starts".into(),
        What::Ended { how } => words::ended(*how).into(),
        What::Paused => "paused".into(),
        What::Resumed { after_us } => format!("resumed after {}", words::span(Duration::from_micros(*after_us))),
        What::RolledBack { .. } => "home put back".into(),
        What::Accepted { id, to, text } => {
            let verb = to.map_or_else(|| "says".into(), |to| format!("tells {}", story.name(to)));
            format!("{verb} {} “{}”", story.handle(*id), words::shortened(text, 24))
        }
        What::Refused { why } => format!("refused: {why}"),
        What::Stored { kept, .. } => {
            let handles: Vec<String> = kept.iter().map(|kept| story.handle(kept.id)).collect();
            format!("stores {}", handles.join(", "))
        }
        What::NotStored { .. } => "disk full".into(),
        What::Told { event } => match &event.kind {
            EventKind::Message(message) if message.recovered => {
                format!("shows {}, recovered", story.handle(message.id))
            }
            EventKind::Message(message) => format!("shows {}", story.handle(message.id)),
            EventKind::Member { id, state, .. } => format!("{}: {}", story.name(*id), state.word()),
            EventKind::Delivery { id, delivery, .. } => {
                let outcome = delivery.outcome.word();
                format!("{} {outcome}: {}", story.handle(*id), story.name(delivery.member))
            }
            EventKind::Ready { .. }
            | EventKind::Undone { .. }
            | EventKind::Gap(_)
            | EventKind::Recovered { .. }
            | EventKind::Fault { .. }
            | EventKind::Alarm { .. }
            | EventKind::Stalled { .. }
            | EventKind::Lagged { .. }
            | EventKind::Script { .. } => story.told(event),
        },
        What::Logged { text } => format!("script: {text}"),
    };
    if line.node.is_none() { Mark::Row(text) } else { Mark::Label(text) }
}

/// What a datagram is for, by which its arrow is coloured.
pub(super) fn class(labels: &[crate::wire::Label]) -> &'static str {
    use crate::wire::FrameKind as Kind;
    let heaviest = labels.iter().map(|label| label.frame).max_by_key(|frame| words::frame_weight(*frame));
    match heaviest {
        None => "handshake",
        Some(Kind::Group | Kind::Flood) => "group",
        Some(Kind::Private) => "private",
        Some(Kind::Receipt | Kind::Receipts | Kind::Refused) => "receipt",
        Some(Kind::Pull | Kind::Recovered | Kind::PullEnd | Kind::Frontier) => "recovery",
        Some(frame) if words::frame_weight(frame) == Weight::Routine => "routine",
        Some(_) => "membership",
    }
}
