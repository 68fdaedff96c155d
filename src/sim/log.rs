//! The log of a machine as a person reads it, from its durable records alone, so that it can be read while
//! nothing runs. Says the same as `store::History` does of the same records; knows no tables.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::base::{MemberId, MessageId, MessageKey, Run, Seq, Stream, Wall};
use crate::membership;
use crate::messaging;
use crate::node::Record;
use crate::node::api::{Message, MessageKind};
use crate::wire::{Card, GroupMessage, PrivateMessage, Signed, decode_layout, layout_id};

/// All messages of `records`, in causal order; `me` and `nick` are whose home it is.
pub(super) fn log(records: impl Iterator<Item: Borrow<Record>>, me: MemberId, nick: &str) -> Vec<Message> {
    let mut reading = Reading { me, ..Reading::default() };
    reading.nicks.insert(me, nick.to_owned());
    for record in records {
        match record.borrow() {
            Record::Membership(record) => reading.card(record),
            Record::Messaging(record) => reading.message(record),
        }
    }
    reading.finish()
}

/// Where a message stands in the log.
type Place = (u64, MemberId, Run, Seq, MessageId);

struct Reading {
    me: MemberId,
    nicks: BTreeMap<MemberId, String>,
    messages: BTreeMap<Place, Message>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { me: MemberId([0; 32]), nicks: BTreeMap::new(), messages: BTreeMap::new() }
    }
}

/// How a message came to its disk.
struct Came {
    order: u64,
    via: MemberId,
    recovered: bool,
    at: Wall,
}

impl Reading {
    fn card(&mut self, record: &membership::Record) {
        if let membership::Record::Card { member, bytes, .. } = record
            && let Ok(card) = Signed::<Card>::open_trusted(bytes)
        {
            self.nicks.insert(*member, card.value().nick.clone());
        }
    }

    fn message(&mut self, record: &messaging::Record) {
        match record {
            messaging::Record::GroupReceived { bytes, via, recovered, order, at } => {
                self.group(bytes, &Came { order: *order, via: *via, recovered: *recovered, at: *at });
            }
            messaging::Record::GroupSent { bytes, order, at, .. } => {
                self.group(bytes, &Came { order: *order, via: self.me, recovered: false, at: *at });
            }
            messaging::Record::PrivateReceived { bytes, order, at }
            | messaging::Record::PrivateSent { bytes, order, at, .. } => {
                let Ok(message) = decode_layout::<PrivateMessage>(bytes) else { return };
                let id = layout_id::<PrivateMessage>(bytes);
                let came = Came { order: *order, via: message.author, recovered: false, at: *at };
                self.add(id, message.key(), message.said_at, message.text, &came);
            }
            messaging::Record::Undone { id, .. } => self.messages.retain(|place, _| place.4 != *id),
            messaging::Record::Delivery(_)
            | messaging::Record::Receipt(_)
            | messaging::Record::Equivocation { .. }
            | messaging::Record::Gap(_)
            | messaging::Record::History { .. }
            | messaging::Record::GapClosed { .. }
            | messaging::Record::GroupPruned { .. }
            | messaging::Record::PrivatePruned { .. }
            | messaging::Record::RunsForgotten { .. }
            | messaging::Record::PrivateRunsForgotten { .. }
            | messaging::Record::GivenUp { .. }
            | messaging::Record::Lived(_) => {}
        }
    }

    fn group(&mut self, bytes: &[u8], came: &Came) {
        let Ok(message) = Signed::<GroupMessage>::open_trusted(bytes) else { return };
        let said = message.value();
        self.add(message.id(), said.key(), said.said_at, said.text.clone(), came);
    }

    fn add(&mut self, id: MessageId, key: MessageKey, said_at: Wall, text: String, came: &Came) {
        let (kind, to) = match key.stream {
            Stream::Room => (MessageKind::Group, None),
            Stream::To(to) => (MessageKind::Private, Some(to)),
        };
        let message = Message {
            id,
            handle: String::new(),
            kind,
            from: key.author,
            nick: String::new(),
            to,
            seq: key.seq,
            incarnation: key.run.incarnation,
            text,
            said_at,
            received_at: Some(came.at),
            recovered: came.recovered,
            via: (came.via != key.author).then_some(came.via),
            late_ms: came.recovered.then(|| came.at.0.saturating_sub(said_at.0)),
        };
        self.messages.insert((came.order, key.author, key.run, key.seq, id), message);
    }

    /// Nicks and handles depend on all that is there, so they are given at the end.
    fn finish(self) -> Vec<Message> {
        let mut ids: Vec<String> = self.messages.values().map(|message| message.id.to_string()).collect();
        ids.sort_unstable();
        let named = |mut message: Message| {
            let nick = self.nicks.get(&message.from);
            message.nick = nick.cloned().unwrap_or_else(|| message.from.short());
            message.handle = message.id.handle(handle_chars(&ids, &message.id.to_string()));
            message
        };
        self.messages.into_values().map(named).collect()
    }
}

/// How much of `id` it takes to tell it from its neighbours in `ids`, which are sorted.
fn handle_chars(ids: &[String], id: &str) -> usize {
    let at = ids.partition_point(|other| other.as_str() < id);
    let neighbours = [at.checked_sub(1).and_then(|before| ids.get(before)), ids.get(at + 1)];
    let shared = |other: &String| id.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    neighbours.into_iter().flatten().map(|other| shared(other) + 1).fold(HANDLE_CHARS_MIN, usize::max)
}

/// As the store's.
const HANDLE_CHARS_MIN: usize = 4;
