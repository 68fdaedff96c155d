//! The world's judge: compares what a machine claims with the truth that the world knows.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{Node, World};
use crate::base::{MemberId, MessageId, Run, Seq, Stream};
use crate::messaging::{Alarm, Event, EventKind, Outcome, Record, Restored, Shown};
use crate::wire::{GroupMessage, MessagingFrame, PrivateMessage, Signed, decode_layout, layout_id};

impl World {
    pub fn name_of(&self, id: MemberId) -> &'static str {
        self.nodes.iter().find(|node| node.id == id).map_or("?", |node| node.name)
    }

    /// What a node has shown, over all its lives, in that order: `ana: hello`.
    pub fn screen(&self, name: &str) -> Vec<String> {
        let shown = self.node(name).events.iter().filter_map(|event| match event {
            EventKind::Message(shown) => Some(format!("{}: {}", self.name_of(shown.key.author), shown.text)),
            EventKind::Gap(gap) => Some(format!("gap {}#{}-{}", self.name_of(gap.author), gap.first, gap.last)),
            EventKind::Undone { .. } | EventKind::Delivery(_) | EventKind::Recovered { .. } | EventKind::Alarm(_) => {
                None
            }
        });
        shown.collect()
    }

    pub fn messages(&self, name: &str) -> Vec<Shown> {
        let shown = self.node(name).events.iter().filter_map(|event| match event {
            EventKind::Message(shown) => Some(shown.clone()),
            EventKind::Gap(_)
            | EventKind::Undone { .. }
            | EventKind::Delivery(_)
            | EventKind::Recovered { .. }
            | EventKind::Alarm(_) => None,
        });
        shown.collect()
    }

    pub fn alarms(&self, name: &str) -> Vec<Alarm> {
        let alarms = self.node(name).events.iter().filter_map(|event| match event {
            EventKind::Alarm(alarm) => Some(*alarm),
            EventKind::Message(_)
            | EventKind::Gap(_)
            | EventKind::Undone { .. }
            | EventKind::Delivery(_)
            | EventKind::Recovered { .. } => None,
        });
        alarms.collect()
    }

    /// Compares a claim with the truth.
    pub fn check(&mut self, index: usize, event: Event) {
        let seed = self.seed;
        let name = self.nodes[index].name;
        match &event.kind {
            EventKind::Message(shown) => {
                assert!(
                    self.nodes[index].committed.contains(&shown.id),
                    "seed {seed}: {name} shows what is not on disk"
                );
                assert!(self.nodes[index].shown.insert(shown.id), "seed {seed}: {name} shows {} twice", shown.text);
                if let Some(text) = self.texts.get(&shown.id) {
                    assert_eq!(*text, shown.text, "seed {seed}: {name} shows another text");
                }
                self.check_order(index, shown);
            }
            EventKind::Delivery(change) => {
                if change.outcome == Outcome::Delivered && !self.has_liars {
                    let receiver = self.nodes.iter().find(|node| node.id == change.to).expect("a node");
                    assert!(
                        receiver.committed.contains(&change.id),
                        "seed {seed}: {name} calls {:?} delivered to {}, which does not hold it",
                        self.texts.get(&change.id),
                        receiver.name
                    );
                }
                let before = self.nodes[index].outcomes.insert((change.id, change.to), change.outcome);
                let was_never_sent = change.attempts == 0 && !change.tries_may_be_missing;
                let is_taken_back =
                    before == Some(Outcome::Sending) && change.outcome == Outcome::Waiting && was_never_sent;
                assert!(
                    is_taken_back || before.is_none_or(|before| before <= change.outcome),
                    "seed {seed}: {name} takes {before:?} back to {:?}",
                    change.outcome
                );
            }
            EventKind::Gap(gap) => {
                let machine = self.nodes[index].machine.as_ref().expect("it runs");
                if let Some(of) = machine.log.run(gap.author, gap.run) {
                    assert_eq!(of.kept.range(gap.first..=gap.last).count(), 0, "seed {seed}: {name} holds its gap");
                    let missing = of.chain.lacking(gap.first, gap.last);
                    assert_eq!(missing, [(gap.first, gap.last)], "seed {seed}: {name} holds some of its gap");
                } else {
                    let shown = self.nodes[index].last_shown.get(&(gap.author, gap.run, Stream::Room));
                    assert!(shown.is_none_or(|&last| last < gap.first), "seed {seed}: {name} showed its gap");
                }
                self.nodes[index].gaps.entry((gap.author, gap.run)).or_default().push((gap.first, gap.last));
            }
            EventKind::Alarm(alarm) => {
                assert!(self.has_liars, "seed {seed}: {name} raises {alarm:?}");
            }
            EventKind::Undone { .. } | EventKind::Recovered { .. } => {}
        }
        self.nodes[index].causes.push((event.n, event.cause));
        self.nodes[index].events.push(event.kind);
    }

    fn check_order(&mut self, index: usize, shown: &Shown) {
        let (seed, name) = (self.seed, self.nodes[index].name);
        let key = (shown.key.author, shown.key.run, shown.key.stream);
        let last = self.nodes[index].last_shown.get(&key).copied().or(Some(0));
        if let Some(last) = last
            && shown.key.seq <= last
        {
            assert!(shown.late_ms.is_some(), "seed {seed}: {name} shows #{} after #{last}", shown.key.seq);
            return;
        }
        if let Some(last) = last
            && shown.key.stream == Stream::Room
            && shown.key.author != self.nodes[index].id
        {
            // What is in the durable log is shown, and what is a gap there is one, even where a crash swallowed the
            // event.
            let run = (shown.key.author, shown.key.run);
            let history =
                self.nodes[index].machine.as_ref().expect("it runs").log.run(run.0, run.1).map_or(0, |of| of.history);
            for (mut first, upto) in self.missing(index, run, last.max(history) + 1, shown.key.seq - 1) {
                let mut gaps = self.nodes[index].gaps.get(&run).cloned().unwrap_or_default();
                let kept = self.nodes[index].machine.as_ref().expect("it runs").gaps.values();
                gaps.extend(kept.filter(|gap| (gap.author, gap.run) == run).map(|gap| (gap.first, gap.last)));
                while first <= upto {
                    let gap = gaps.iter().filter(|gap| gap.0 <= first && first <= gap.1).map(|gap| gap.1).max();
                    let end = gap.unwrap_or_else(|| {
                        panic!("seed {seed}: {name} shows #{} after #{last} without a gap", shown.key.seq)
                    });
                    first = end + 1;
                }
            }
        }
        self.nodes[index].last_shown.insert(key, shown.key.seq);
    }

    fn missing(&self, index: usize, (author, run): (MemberId, Run), first: Seq, last: Seq) -> Vec<(Seq, Seq)> {
        let machine = self.nodes[index].machine.as_ref().expect("it runs");
        machine.log.run(author, run).map_or_else(Vec::new, |of| of.chain.missing(first, last))
    }

    /// What leaves is not called waiting, which means never sent, by the disk: a crash would make that a false claim.
    pub fn check_sent(&self, from: usize, to: usize, frame: &MessagingFrame) {
        let id = match frame {
            MessagingFrame::Group(bytes) | MessagingFrame::Recovered(bytes) => {
                Signed::<GroupMessage>::open_trusted(bytes).map(|signed| signed.id()).ok()
            }
            MessagingFrame::Private(bytes) => Some(layout_id::<PrivateMessage>(bytes)),
            MessagingFrame::Receipt(_)
            | MessagingFrame::Refused { .. }
            | MessagingFrame::Digest(_)
            | MessagingFrame::Frontier { .. }
            | MessagingFrame::Pull { .. }
            | MessagingFrame::PullEnd { .. }
            | MessagingFrame::Flood { .. }
            | MessagingFrame::Receipts { .. }
            | MessagingFrame::HopAck { .. } => None,
        };
        let (seed, name) = (self.seed, self.nodes[from].name);
        let is_waiting = id.is_some_and(|id| self.nodes[from].waiting.contains(&(id, self.nodes[to].id)));
        assert!(!is_waiting, "seed {seed}: {name} sends {} what waits for it", self.nodes[to].name);
    }

    /// The durable part of what runs equals the fold of what is on disk.
    pub fn check_folds(&mut self) {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            assert!(node.disk.committing.is_none() && node.disk.queue.is_empty(), "{} is not at rest", node.name);
            let Some(machine) = &node.machine else { continue };
            let mut restored = Restored::default();
            for record in &node.disk.durable {
                restored.apply(record);
            }
            let (seed, name) = (self.seed, node.name);
            for ((author, run), chain) in &restored.chains {
                let of = machine.log.run(*author, *run);
                let spans = of.map(|of| of.chain.spans().to_vec()).unwrap_or_default();
                assert_eq!(spans, chain.spans(), "seed {seed}: {name} chain");
            }
            let kept: BTreeSet<MessageId> = restored.group.values().flatten().map(|kept| kept.id).collect();
            assert_eq!(kept, machine.log.places().keys().copied().collect(), "seed {seed}: {name} kept");
            for kept in restored.group.values().flatten().filter(|kept| !kept.deliveries.is_empty()) {
                let Some(known) = machine.message(kept.id) else { continue };
                for (member, delivery) in &kept.deliveries {
                    let outcome = known.deliveries[member].outcome;
                    assert_eq!(outcome, delivery.outcome, "seed {seed}: {name} delivery of a group message");
                }
            }
            let private: BTreeSet<MessageId> =
                restored.private.values().flat_map(|seen| seen.ids.values().map(|kept| kept.0)).collect();
            assert_eq!(private, machine.privates.by_id().keys().copied().collect(), "seed {seed}: {name} private");
            let unsettled: BTreeMap<MessageId, Outcome> =
                restored.unsettled.iter().map(|(&id, kept)| (id, kept.outcome)).collect();
            let running: BTreeMap<MessageId, Outcome> = machine
                .book
                .messages()
                .filter(|(_, message)| message.place().is_none() && message.is_durable)
                .filter(|&(out, message)| message.bytes.is_some() || machine.book.keeps_refused(out))
                .flat_map(|(_, message)| message.deliveries.values().map(|d| (message.id, d.outcome)))
                .filter(|&(_, outcome)| !outcome.is_final() || outcome == Outcome::Refused)
                .collect();
            assert_eq!(running, unsettled, "seed {seed}: {name} unsettled");
            assert_eq!(machine.gaps, restored.gaps, "seed {seed}: {name} gaps");
        }
    }
}

impl Node {
    pub fn note_committed(&mut self, record: &Record) {
        self.note_waiting(record);
        self.committed.extend(told_by(record).0);
    }

    pub fn note_waiting(&mut self, record: &Record) {
        for (id, to, outcome) in told_by(record).1 {
            match outcome {
                Outcome::Waiting => drop(self.waiting.insert((id, to))),
                Outcome::Sending | Outcome::Unknown | Outcome::Refused | Outcome::Expired | Outcome::Delivered => {
                    self.waiting.remove(&(id, to));
                }
            }
        }
    }
}

/// The message that a record holds, and how what it speaks of stands with whom.
fn told_by(record: &Record) -> (Option<MessageId>, Vec<(MessageId, MemberId, Outcome)>) {
    match record {
        Record::GroupSent { bytes, roster, .. } => {
            let id = group_id(bytes);
            (Some(id), roster.iter().map(|&(to, outcome)| (id, to, outcome)).collect())
        }
        Record::PrivateSent { bytes, outcome, .. } => {
            let id = layout_id::<PrivateMessage>(bytes);
            let message: PrivateMessage = decode_layout(bytes).expect("what is stored was decoded");
            (Some(id), vec![(id, message.to, *outcome)])
        }
        Record::GroupReceived { bytes, .. } => (Some(group_id(bytes)), Vec::new()),
        Record::PrivateReceived { bytes, .. } => (Some(layout_id::<PrivateMessage>(bytes)), Vec::new()),
        Record::Delivery(delivery) => (None, vec![(delivery.message, delivery.to, delivery.outcome)]),
        Record::Receipt(receipt) => {
            let settled = receipt.settled.iter();
            (None, settled.map(|of| (of.message, receipt.receiver, Outcome::Delivered)).collect())
        }
        Record::Equivocation { .. }
        | Record::Gap(_)
        | Record::GapClosed { .. }
        | Record::History { .. }
        | Record::GroupPruned { .. }
        | Record::PrivatePruned { .. }
        | Record::RunsForgotten { .. }
        | Record::PrivateRunsForgotten { .. }
        | Record::GivenUp { .. }
        | Record::Undone { .. }
        | Record::Lived(_) => (None, Vec::new()),
    }
}

fn group_id(bytes: &[u8]) -> MessageId {
    Signed::<GroupMessage>::open(bytes).expect("what is stored was verified").id()
}
