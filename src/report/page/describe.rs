//! A line of a trace as a sentence: for the chain of causes, and for whoever points at something.

use std::time::Duration;

use crate::check::What;
use crate::report::story::Story;
use crate::report::words;

const TEXT_CHARS_MAX: usize = 120;

/// What happened in the line at `index`, without when and where.
pub(in crate::report) fn describe(story: &Story<'_>, index: usize) -> String {
    let line = &story.lines[index];
    match &line.what {
        What::Began { scenario, .. } => format!("{scenario} begins"),
        What::Home { address, .. } => format!("has a home, at {address}"),
        What::Dishonest { .. } => "is dishonest from here on, so the scenario says".into(),
        What::Lied { text } => format!("lies: {text}"),
        What::Started { run: Some(run), .. } => format!("starts, incarnation {}", run.incarnation),
        What::Started { run: None, .. } => "starts".into(),
        What::Ended { how } => words::ended(*how).into(),
        What::Paused => "is paused".into(),
        What::Resumed { after_us } => format!("goes on after {}", words::span(Duration::from_micros(*after_us))),
        What::Fault { text, is_on: true } => format!("fault: {text}"),
        What::Fault { text, is_on: false } => format!("fault is over: {text}"),
        What::RolledBack { .. } => "its home is put back to an earlier time".into(),
        What::Step { text, line: Some(line) } => format!("step, line {line}: {text}"),
        What::Step { text, line: None } => format!("step: {text}"),
        What::Accepted { id, to, text } => {
            let text = words::shortened(text, TEXT_CHARS_MAX);
            let verb = to.map_or_else(|| "says".into(), |to| format!("tells {}", story.name(to)));
            format!("{verb} “{text}” ({})", story.handle(*id))
        }
        What::Refused { why } => format!("refuses what its person asked: {why}"),
        What::Sent { to, bytes, labels, .. } => {
            let to = to.as_deref().unwrap_or("nobody");
            format!("sends to {to}: {}, {bytes} bytes", labels_in_words(story, labels))
        }
        What::Dropped { datagram, why } => format!("{}: {}", datagram_in_words(story, *datagram), words::dropped(*why)),
        What::Arrived { datagram, copy, is_damaged } => {
            let again = if *copy > 0 { ", again" } else { "" };
            let damaged = if *is_damaged { ", damaged" } else { "" };
            format!("receives {}{again}{damaged}", datagram_in_words(story, *datagram))
        }
        What::Stored { records, kept, .. } => {
            let records = words::count(*records as usize, "record", "records");
            let handles: Vec<String> = kept.iter().map(|kept| story.handle(kept.id)).collect();
            if handles.is_empty() {
                format!("stores {records}")
            } else {
                format!("stores {records}: {}", handles.join(", "))
            }
        }
        What::NotStored { records } => {
            format!("stores nothing of {}: its disk is full", words::count(*records as usize, "record", "records"))
        }
        What::Told { event } => format!("tells its person: {}", words::shortened(&story.told(event), TEXT_CHARS_MAX)),
        What::Logged { text } => format!("script: {text}"),
        What::Violated { check, text } => words::violated(*check, text),
    }
}

fn datagram_in_words(story: &Story<'_>, datagram: u64) -> String {
    let Some(flight) = story.flight(datagram) else { return format!("datagram {datagram}") };
    let What::Sent { labels, .. } = &story.lines[flight.sent].what else { return format!("datagram {datagram}") };
    let from = &story.nodes[flight.from].name;
    format!("{} from {from}", labels_in_words(story, labels))
}

/// All that a datagram carries: `group k7f3, receipt`.
pub(super) fn labels_in_words(story: &Story<'_>, labels: &[crate::wire::Label]) -> String {
    if labels.is_empty() {
        return "handshake".into();
    }
    let mut counted: Vec<(String, usize)> = Vec::new();
    for label in labels {
        let frame = words::frame(label.frame);
        let word = label.message.map_or_else(|| frame.to_owned(), |id| format!("{frame} {}", story.handle(id)));
        match counted.iter_mut().find(|(known, _)| *known == word) {
            Some((_, times)) => *times += 1,
            None => counted.push((word, 1)),
        }
    }
    let words: Vec<String> =
        counted.into_iter().map(|(word, times)| if times == 1 { word } else { format!("{word} ×{times}") }).collect();
    words.join(", ")
}
