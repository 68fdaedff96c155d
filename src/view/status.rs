//! The status of a node for people: itself, its members, what became of messages, faults. Owns which
//! numbers matter first; all others show on request.

use std::collections::BTreeMap;

use super::table::{Cell, Table};
use super::{Tone, View, age, count};
use crate::base::text;
use crate::node::api::{Delivery, MessageCounts, NodeStatus, OutcomeCounts, Status, Undelivered};

/// Whether a status shows every counter and limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counters {
    Shown,
    Hidden,
}

impl View {
    /// The status, several lines.
    #[must_use]
    pub fn status(&self, status: &Status, counters: Counters) -> String {
        let mut blocks = vec![self.node(&status.node)];
        if !status.faults.is_empty() {
            blocks.push(self.fault_banner(&status.faults));
        }
        blocks.push(String::new());
        blocks.push(self.links(&status.members));
        blocks.push(String::new());
        blocks.push(self.sums(status));
        if counters == Counters::Shown {
            for (title, numbers) in [("counters", &status.counters), ("limits", &status.limits)] {
                blocks.push(String::new());
                blocks.push(self.ink.paint(Tone::Faint, title));
                blocks.push(self.numbers(numbers));
            }
        }
        blocks.join("\n")
    }

    fn node(&self, node: &NodeStatus) -> String {
        let name = self.ink.paint(Tone::Strong, &self.names.named(node.id, &node.nick));
        let mut line = format!(
            "{name} ({}) in \"{}\", listening on {}, up {}, incarnation {}",
            node.id.short(),
            text::sanitize(&node.room),
            node.addr,
            age(node.uptime_ms),
            node.incarnation
        );
        if node.probably_cut_off {
            line.push('\n');
            line.push_str(&self.cut_off());
        }
        if let Some(since) = node.silent_since {
            line.push('\n');
            line.push_str(&self.silent(since));
        }
        if let Some(since) = node.disk_full_since {
            line.push('\n');
            line.push_str(&self.disk_full(since));
        }
        line
    }

    fn sums(&self, status: &Status) -> String {
        let MessageCounts { group, private, gaps, recovered, duplicates, stale, sampled } = status.messages;
        let OutcomeCounts { waiting, sending, delivered, unknown, refused, expired } = status.deliveries;
        let first = [format!("{group} in the room"), format!("{private} private")];
        let rest = [
            (recovered, format!("{recovered} recovered")),
            (duplicates, count(duplicates, "duplicate dropped", "duplicates dropped")),
            (stale, format!("{stale} stale dropped")),
        ];
        let since_start = first.into_iter().chain(present(rest)).collect::<Vec<_>>().join(", ");
        let missing = if gaps > 0 { format!("; {} now", count(gaps, "gap", "gaps")) } else { String::new() };
        let messages = format!("{since_start}, since this start{missing}");
        let open = [
            (waiting, format!("{waiting} waiting")),
            (sending, format!("{sending} sending")),
            (unknown, format!("{unknown} unknown")),
            (refused, format!("{refused} refused")),
            (expired, format!("{expired} expired")),
            (sampled, format!("of {} only a sample of the room was asked", count(sampled, "message", "messages"))),
        ];
        let deliveries =
            std::iter::once(format!("{delivered} delivered")).chain(present(open)).collect::<Vec<_>>().join(", ");
        let is_of_all_runs = status.counted.of_all_runs.iter().any(|counted| counted == "deliveries");
        let of =
            if is_of_all_runs { "of all runs on this disk" } else { "of this run and what is kept of earlier ones" };
        let deliveries = format!("{deliveries}, {of}");
        let mut table = Table::untitled();
        table.row([Cell::new(Tone::Faint, "messages"), messages.into()]);
        table.row([Cell::new(Tone::Faint, "deliveries"), deliveries.into()]);
        let undelivered = status.undelivered.iter().map(|open| self.undelivered(open));
        let more = Some(status.undelivered_more).filter(|&more| more > 0);
        let more = more.map(|more| format!("and {}", count(more, "older message", "older messages")));
        for (row, open) in undelivered.chain(more).enumerate() {
            table.row([Cell::new(Tone::Faint, if row == 0 { "not settled" } else { "" }), open.into()]);
        }
        table.render(self.ink, self.columns)
    }

    /// `k7f3: bo waiting, cy sending`.
    fn undelivered(&self, open: &Undelivered) -> String {
        let of = |to: &Delivery| format!("{} {}", self.names.named(to.member, &to.nick), to.outcome.word());
        let more = Some(open.more).filter(|&more| more > 0).map(|more| format!("and {more} more"));
        let to: Vec<String> = open.deliveries.iter().map(of).chain(more).collect();
        format!("{}: {}", open.handle, to.join(", "))
    }

    fn numbers(&self, numbers: &BTreeMap<String, u64>) -> String {
        let mut table = Table::untitled();
        for (name, number) in numbers {
            table.row([format!("  {name}").into(), number.to_string().into()]);
        }
        table.render(self.ink, self.columns)
    }
}

/// What is not zero: a zero here is the usual, and says nothing.
fn present(items: impl IntoIterator<Item = (u64, String)>) -> impl Iterator<Item = String> {
    items.into_iter().filter(|(number, _)| *number > 0).map(|(_, said)| said)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::{MessageId, Wall};
    use crate::node::api::{Counted, MessageKind, Outcome};
    use crate::view::events::tests::{delivery, view};
    use crate::view::names::tests::id;
    use crate::view::who::tests::room;

    pub(in crate::view) fn status() -> Status {
        Status {
            node: NodeStatus {
                id: id(1),
                nick: "ana".into(),
                incarnation: 1_700_000_000,
                addr: "192.168.1.5:4460".into(),
                room: "ana's moot".into(),
                uptime_ms: 754_000,
                probably_cut_off: false,
                disk_full_since: None,
                silent_since: None,
            },
            members: room().into_iter().take(2).collect(),
            messages: MessageCounts {
                group: 12,
                private: 3,
                gaps: 1,
                recovered: 0,
                duplicates: 4,
                stale: 0,
                sampled: 0,
            },
            deliveries: OutcomeCounts { delivered: 30, waiting: 1, ..OutcomeCounts::default() },
            undelivered: vec![],
            undelivered_more: 0,
            faults: vec![],
            counters: BTreeMap::from([("datagrams_in".into(), 12), ("bad".into(), 3)]),
            limits: BTreeMap::from([("members".into(), 16_384)]),
            counted: Counted::of(true),
        }
    }

    #[test]
    fn a_quiet_status_shows_what_matters() {
        assert_eq!(
            view().status(&status(), Counters::Hidden),
            "\
ana (aeaq) in \"ana's moot\", listening on 192.168.1.5:4460, up 12 min, incarnation 1700000000

member     state            heard      hears you  round trip  loss  because
ana (you)  alive            –          –          –           –
bo         alive, degraded  0.4 s ago  yes        0.8 ms      25 %  its link loses 25 %

messages    12 in the room, 3 private, 4 duplicates dropped, since this start; 1 gap now
deliveries  30 delivered, 1 waiting, of all runs on this disk"
        );
    }

    #[test]
    fn trouble_stands_on_top() {
        let mut status = status();
        status.node.probably_cut_off = true;
        status.node.disk_full_since = Some(Wall(1_700_000_000_000));
        status.faults = vec!["loss=5%".into(), "delay=200ms".into()];
        let shown = view().status(&status, Counters::Hidden);
        let lines: Vec<&str> = shown.lines().skip(1).take(3).collect();
        assert_eq!(
            lines,
            [
                "you hear fewer than half of your links: it is probably you who is cut off",
                "the disk is full since 22:13:20: what is said or comes here is refused; make room on it",
                "faults are on: loss=5%, delay=200ms"
            ]
        );
    }

    #[test]
    fn what_is_not_settled_is_named() {
        let [bo, cy] = [delivery(2, "bo", Outcome::Waiting, 0), delivery(3, "cy", Outcome::Unknown, 4)];
        let open = |handle: &str, deliveries, more| Undelivered {
            id: MessageId([1; 32]),
            handle: handle.into(),
            kind: MessageKind::Group,
            deliveries,
            more,
        };
        let undelivered = vec![open("k7f3", vec![bo.clone(), cy], 0), open("m3xq", vec![bo], 4)];
        let shown = view().status(&Status { undelivered, undelivered_more: 3, ..status() }, Counters::Hidden);
        let lines: Vec<&str> = shown.lines().rev().take(3).collect();
        assert_eq!(
            lines,
            [
                "             and 3 older messages",
                "             m3xq: bo waiting, and 4 more",
                "not settled  k7f3: bo waiting, cy unknown",
            ]
        );
    }

    #[test]
    fn counters_show_on_request() {
        let shown = view().status(&status(), Counters::Shown);
        assert!(
            shown.ends_with("counters\n  bad           3\n  datagrams_in  12\n\nlimits\n  members  16384"),
            "{shown}"
        );
    }
}
