//! Times, frames and faults in the words of a reader, and how much each frame matters to one.

use std::time::Duration;

use crate::base::Time;
use crate::check::{DropReason, Ended};
use crate::wire::{FrameKind, Label};

/// How much a line matters to somebody who reads what happened. A drawing that is full leaves out the lowest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Weight {
    /// Goes on all the time, whatever happens.
    Routine,
    /// Keeps sessions and views in order.
    Upkeep,
    /// What claims rest on.
    Evidence,
    /// What people say, and what befalls machines.
    Story,
}

/// `12.345 s` since the run began.
pub(super) fn clock(at: Time) -> String {
    let ms = at.as_micros() / 1000;
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

/// `380 µs`, `20 ms`, `1.4 s`, `3 min 5 s`: as exact as one wants to read it.
pub(super) fn span(span: Duration) -> String {
    let us = span.as_micros();
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{} ms", us / 1_000, us / 100 % 10),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..60_000_000 => format!("{}.{} s", us / 1_000_000, us / 100_000 % 10),
        _ => format!("{} min {} s", us / 60_000_000, us / 1_000_000 % 60),
    }
}

/// `1 message`, `2 messages`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// At most `chars` characters of `text` on one line, with an ellipsis where it goes on.
pub(super) fn shortened(text: &str, chars: usize) -> String {
    let line = text.replace(['\n', '\t'], " ");
    if line.chars().count() <= chars {
        return line;
    }
    let mut short: String = line.chars().take(chars.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

pub(super) const fn frame(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Heartbeat => "heartbeat",
        FrameKind::Probe => "probe",
        FrameKind::Report => "report",
        FrameKind::Contradiction => "contradiction",
        FrameKind::Withdrawal => "withdrawal",
        FrameKind::Unreachable => "unreachable",
        FrameKind::Leaves => "leave",
        FrameKind::Cards => "cards",
        FrameKind::Buckets => "buckets",
        FrameKind::Bucket => "bucket",
        FrameKind::Question => "question",
        FrameKind::Group => "group",
        FrameKind::Private => "private",
        FrameKind::Receipt => "receipt",
        FrameKind::Refused => "refused",
        FrameKind::Digest => "digest",
        FrameKind::Frontier => "frontier",
        FrameKind::Pull => "pull",
        FrameKind::Recovered => "recovered",
        FrameKind::PullEnd => "pull end",
        FrameKind::Flood => "flood",
        FrameKind::Receipts => "receipts",
        FrameKind::HopAck => "hop ack",
    }
}

pub(super) const fn frame_weight(kind: FrameKind) -> Weight {
    match kind {
        FrameKind::Heartbeat | FrameKind::Digest | FrameKind::HopAck => Weight::Routine,
        FrameKind::Probe
        | FrameKind::Cards
        | FrameKind::Buckets
        | FrameKind::Bucket
        | FrameKind::Frontier
        | FrameKind::PullEnd => Weight::Upkeep,
        FrameKind::Report
        | FrameKind::Question
        | FrameKind::Contradiction
        | FrameKind::Withdrawal
        | FrameKind::Unreachable
        | FrameKind::Receipt
        | FrameKind::Receipts
        | FrameKind::Refused => Weight::Evidence,
        FrameKind::Leaves
        | FrameKind::Group
        | FrameKind::Private
        | FrameKind::Pull
        | FrameKind::Recovered
        | FrameKind::Flood => Weight::Story,
    }
}

/// Of the weightiest frame in a datagram; one without frames is a handshake.
pub(super) fn weight(labels: &[Label]) -> Weight {
    labels.iter().map(|label| frame_weight(label.frame)).max().unwrap_or(Weight::Upkeep)
}

/// What a check says names it already; whoever else wrote the line may not have.
pub(super) fn violated(check: u8, text: &str) -> String {
    if text.starts_with(&format!("check {check} ")) {
        return text.to_owned();
    }
    format!("check {check} does not hold: {text}")
}

pub(super) const fn dropped(why: DropReason) -> &'static str {
    match why {
        DropReason::Cut => "cut",
        DropReason::Loss => "lost",
        DropReason::Queue => "queue full",
        DropReason::Node => "dropped by the node's own fault",
        DropReason::Hook => "dropped by a script",
        DropReason::Down => "nobody runs there",
        DropReason::Nowhere => "nobody is there",
    }
}

pub(super) const fn ended(how: Ended) -> &'static str {
    match how {
        Ended::Crashed => "crashes",
        Ended::CrashedUnsyncedLost => "crashes: what was not synced is lost",
        Ended::CrashedUnsyncedTorn => "crashes in the middle of a write",
        Ended::Left => "leaves, and said so",
        Ended::Failed => "ends by itself",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_reads_at_the_precision_that_matters() {
        let read = |us| span(Duration::from_micros(us));
        assert_eq!(
            [read(380), read(2_340), read(20_999), read(1_449_000), read(185_000_000)],
            ["380 µs", "2.3 ms", "20 ms", "1.4 s", "3 min 5 s"]
        );
    }

    #[test]
    fn a_text_is_cut_at_a_character_and_says_so() {
        assert_eq!(shortened("grüß euch", 9), "grüß euch");
        assert_eq!(shortened("grüß euch alle", 6), "grüß…");
        assert_eq!(shortened("a\nb", 9), "a b");
    }
}
