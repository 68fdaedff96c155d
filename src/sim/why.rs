//! The evidence about a message that a node no longer holds, from the durable records of its machine alone. Says the same as
//! `store::History` does of the same records; knows no tables.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::log::log;
use crate::base::{MemberId, MessageId, Run};
use crate::membership;
use crate::messaging::{DeliveryRecord, Outcome, ReceiptRecord, Record as Said, Restored};
use crate::node::api::{
    Delivery, DeliveryEvidence, Message, MessageKind, ReceiptEvidence, Remembered, SignatureState, Source, StoredSince,
    WhyMessage,
};
use crate::node::{Record, expired_because, refused_because};
use crate::wire::{Card, GroupMessage, PrivateMessage, Receipt, Signed, decode_layout, layout_id};

/// What `records` tell of `id`; `me` and `nick` are whose home it is. `None` where they have no such message.
pub(super) fn why(
    records: impl Iterator<Item: Borrow<Record>> + Clone,
    me: MemberId,
    nick: &str,
    id: MessageId,
) -> Option<WhyMessage> {
    let messages = log(records.clone(), me, nick);
    let message = messages.iter().find(|message| message.id == id)?;
    let mut reading = Reading::new(message, me, nick);
    for record in records.clone() {
        match record.borrow() {
            Record::Membership(record) => reading.card(record),
            Record::Messaging(record) => reading.record(record),
        }
    }
    let is_own = message.from == me && message.kind == MessageKind::Group;
    let stored_since = if is_own { reading.stored_since(records) } else { Vec::new() };
    let mut why = WhyMessage { stored_since, ..reading.finish(message, &messages) };
    why.say_what_is_not_known(me);
    Some(why)
}

struct Reading {
    id: MessageId,
    seq: u64,
    me: MemberId,
    nicks: BTreeMap<MemberId, String>,
    run: Option<Run>,
    is_sent: bool,
    /// Nobody can be given it any more.
    is_let_go: bool,
    sample_of: Option<u32>,
    deliveries: BTreeMap<MemberId, DeliveryEvidence>,
    /// The runs of the messages that say the same author, incarnation and number.
    runs: BTreeMap<MessageId, Run>,
}

impl Reading {
    fn new(message: &Message, me: MemberId, nick: &str) -> Self {
        let nicks = BTreeMap::from([(me, nick.to_owned())]);
        let (deliveries, runs) = (BTreeMap::new(), BTreeMap::new());
        let (id, seq) = (message.id, message.seq);
        Self { id, seq, me, nicks, run: None, is_sent: false, is_let_go: false, sample_of: None, deliveries, runs }
    }

    fn card(&mut self, record: &membership::Record) {
        if let membership::Record::Card { member, bytes, .. } = record
            && let Ok(card) = Signed::<Card>::open_trusted(bytes)
            && *member != self.me
        {
            self.nicks.insert(*member, card.value().nick.clone());
        }
    }

    fn record(&mut self, record: &Said) {
        match record {
            Said::GroupReceived { bytes, .. } => self.group(bytes, None, None),
            Said::GroupSent { bytes, roster, sample_of, .. } => self.group(bytes, Some(roster), *sample_of),
            Said::PrivateSent { bytes, outcome, .. } if layout_id::<PrivateMessage>(bytes) == self.id => {
                let Ok(message) = decode_layout::<PrivateMessage>(bytes) else { return };
                self.is_sent = true;
                self.begin(message.to, *outcome);
            }
            Said::Delivery(delivery) if delivery.message == self.id => self.delivery(delivery),
            Said::Receipt(receipt) => self.receipt(receipt),
            Said::GroupPruned { author, run, upto, .. } => self.pruned(*author, |of, seq| of == *run && seq <= *upto),
            Said::RunsForgotten { author, below } => self.pruned(*author, |of, _| of < *below),
            Said::PrivateSent { .. }
            | Said::PrivateReceived { .. }
            | Said::Delivery(_)
            | Said::Equivocation { .. }
            | Said::Gap(_)
            | Said::History { .. }
            | Said::GapClosed { .. }
            | Said::PrivatePruned { .. }
            | Said::PrivateRunsForgotten { .. }
            | Said::GivenUp { .. }
            | Said::Undone { .. }
            | Said::Lived(_) => {}
        }
    }

    fn group(&mut self, bytes: &[u8], roster: Option<&[(MemberId, Outcome)]>, sample_of: Option<u32>) {
        let Ok(message) = Signed::<GroupMessage>::open_trusted(bytes) else { return };
        self.runs.insert(message.id(), message.value().run);
        if message.id() != self.id {
            return;
        }
        self.run = Some(message.value().run);
        if let Some(roster) = roster {
            self.is_sent = true;
            self.sample_of = sample_of;
            for &(member, outcome) in roster {
                self.begin(member, outcome);
            }
        }
    }

    fn begin(&mut self, member: MemberId, outcome: Outcome) {
        let delivery = Delivery {
            member,
            nick: String::new(),
            outcome,
            attempts: 0,
            tries_may_be_missing: false,
            latency_us: None,
        };
        let evidence =
            DeliveryEvidence { delivery, reason: None, tries: Vec::new(), address: None, held_up: None, receipt: None };
        self.deliveries.insert(member, evidence);
    }

    fn delivery(&mut self, record: &DeliveryRecord) {
        let Some(evidence) = self.deliveries.get_mut(&record.to) else { return };
        evidence.delivery.outcome = record.outcome;
        evidence.delivery.attempts = record.attempts;
        evidence.reason = record.reason.map(|reason| refused_because(reason).to_owned());
    }

    fn receipt(&mut self, record: &ReceiptRecord) {
        let Some(settled) = record.settled.iter().find(|settled| settled.message == self.id) else { return };
        let Some(evidence) = self.deliveries.get_mut(&record.receiver) else { return };
        evidence.delivery.outcome = Outcome::Delivered;
        evidence.delivery.attempts = settled.attempts;
        evidence.delivery.latency_us = settled.latency_us;
        evidence.reason = None;
        let state = SignatureState::of(Signed::<Receipt>::open(&record.bytes).is_ok());
        evidence.receipt = Some(ReceiptEvidence::new(&record.bytes, record.at, self.seq, state));
    }

    /// Whose kept receipts cover the message, of those who are not in its roster.
    fn stored_since(&self, records: impl Iterator<Item: Borrow<Record>>) -> Vec<StoredSince> {
        let Some(run) = self.run else { return Vec::new() };
        let mut restored = Restored::default();
        for record in records {
            match record.borrow() {
                Record::Messaging(record) => restored.apply(record),
                Record::Membership(_) => {}
            }
        }
        let of_run =
            restored.receipts.range((self.me, run, MemberId([0; 32]))..=(self.me, run, MemberId([u8::MAX; 32])));
        let others = of_run.filter(|((_, _, receiver), _)| !self.deliveries.contains_key(receiver));
        let since = others.filter_map(|(&(_, _, member), kept)| {
            let receipt = kept.iter().find_map(|kept| {
                let state = SignatureState::of(Signed::<Receipt>::open(&kept.bytes).is_ok());
                let is_here = |id| self.runs.contains_key(&id);
                ReceiptEvidence::covering(&kept.bytes, kept.at, self.seq, state, is_here)
            })?;
            let nick = self.nicks.get(&member).cloned().unwrap_or_else(|| member.short());
            Some(StoredSince { member, nick, receipt })
        });
        since.collect()
    }

    /// Of what nobody can be given any more nothing is open.
    fn pruned(&mut self, author: MemberId, is_gone: impl Fn(Run, u64) -> bool) {
        let is_gone = author == self.me && self.run.is_some_and(|run| is_gone(run, self.seq));
        self.is_let_go |= is_gone;
        for evidence in self.deliveries.values_mut().filter(|_| is_gone) {
            evidence.delivery.outcome = evidence.delivery.outcome.let_go();
        }
    }

    fn finish(mut self, message: &Message, messages: &[Message]) -> WhyMessage {
        for evidence in self.deliveries.values_mut() {
            let member = evidence.delivery.member;
            let delivery = &mut evidence.delivery;
            delivery.tries_may_be_missing = delivery.outcome.lacks_tries_on_disk(delivery.latency_us);
            if delivery.outcome == Outcome::Expired {
                evidence.reason = Some(expired_because(self.is_let_go).to_owned());
            }
            evidence.delivery.nick = self.nicks.get(&member).cloned().unwrap_or_else(|| member.short());
        }
        let nick_of = |member: MemberId| self.nicks.get(&member).cloned().unwrap_or_else(|| member.short());
        let via = message.via.unwrap_or(message.from);
        let at = message.received_at.unwrap_or(message.said_at);
        let source = Source { via, nick: nick_of(via), at, recovered: message.recovered, duplicates: None };
        let is_rival = |other: &&Message| {
            other.id != self.id
                && (other.kind, other.from, other.seq) == (message.kind, message.from, message.seq)
                && message.kind == MessageKind::Group
                && self.runs.get(&other.id).copied() == self.run
        };
        let mut rivals: Vec<MessageId> = messages.iter().filter(is_rival).map(|other| other.id).collect();
        rivals.sort_unstable();
        WhyMessage {
            id: self.id,
            handle: message.handle.clone(),
            kind: message.kind,
            from: message.from,
            nick: nick_of(message.from),
            seq: message.seq,
            incarnation: message.incarnation,
            to: message.to,
            text: Some(message.text.clone()),
            said_at: Some(message.said_at),
            known_from: Remembered::ByTheDiskAlone,
            deliveries: self.deliveries.into_values().collect(),
            sample_of: self.sample_of,
            own_faults: None,
            stored_since: Vec::new(),
            sources: (!self.is_sent).then_some(source).into_iter().collect(),
            rivals,
            not_known: Vec::new(),
        }
    }
}
