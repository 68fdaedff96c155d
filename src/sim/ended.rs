//! How the deliveries ended of messages that a machine keeps no longer, from its durable records alone. Says the same as
//! `store::load_with_ended` does of the same records; knows no tables.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::base::{MemberId, MessageId, Run, Seq};
use crate::messaging::{Outcome, OutcomeCounts, Record as Said};
use crate::node::Record;
use crate::wire::{GroupMessage, PrivateMessage, Signed, decode_layout, layout_id};

/// A message of one's own.
struct Own {
    /// Where a group message stands.
    place: Option<(Run, Seq)>,
    deliveries: BTreeMap<MemberId, Outcome>,
    is_kept: bool,
}

/// What `records` tell; `me` is whose they are.
pub(super) fn ended(records: impl Iterator<Item: Borrow<Record>>, me: MemberId) -> OutcomeCounts {
    let mut own: BTreeMap<MessageId, Own> = BTreeMap::new();
    for record in records {
        match record.borrow() {
            Record::Membership(_) => {}
            Record::Messaging(record) => apply(&mut own, record, me),
        }
    }
    let mut counts = OutcomeCounts::default();
    for outcome in own.values().filter(|message| !message.is_kept).flat_map(|message| message.deliveries.values()) {
        *counts.of(*outcome) += 1;
    }
    counts
}

fn apply(own: &mut BTreeMap<MessageId, Own>, record: &Said, me: MemberId) {
    match record {
        Said::GroupSent { bytes, roster, .. } => {
            let Ok(message) = Signed::<GroupMessage>::open_trusted(bytes) else { return };
            let place = Some((message.value().run, message.value().seq));
            own.insert(message.id(), Own { place, deliveries: roster.iter().copied().collect(), is_kept: true });
        }
        Said::PrivateSent { bytes, outcome, .. } => {
            let Ok(message) = decode_layout::<PrivateMessage>(bytes) else { return };
            let deliveries = BTreeMap::from([(message.to, *outcome)]);
            own.insert(layout_id::<PrivateMessage>(bytes), Own { place: None, deliveries, is_kept: true });
        }
        Said::Delivery(delivery) => {
            let Some(message) = own.get_mut(&delivery.message) else { return };
            if let Some(outcome) = message.deliveries.get_mut(&delivery.to) {
                *outcome = delivery.outcome;
            }
            message.is_kept &= message.place.is_some() || !delivery.outcome.lets_private_go();
        }
        Said::Receipt(receipt) => {
            for settled in &receipt.settled {
                let Some(message) = own.get_mut(&settled.message) else { continue };
                if let Some(outcome) = message.deliveries.get_mut(&receipt.receiver) {
                    *outcome = Outcome::Delivered;
                }
                message.is_kept &= message.place.is_some();
            }
        }
        Said::GroupPruned { author, run, upto, .. } if *author == me => {
            let_go(own, |of, seq| of == *run && seq <= *upto);
        }
        Said::RunsForgotten { author, below } if *author == me => let_go(own, |run, _| run < *below),
        Said::GivenUp { message } => {
            if let Some(message) = own.get_mut(message).filter(|message| message.place.is_none()) {
                message.is_kept = false;
            }
        }
        Said::Undone { id, .. } => drop(own.remove(id)),
        Said::GroupPruned { .. }
        | Said::RunsForgotten { .. }
        | Said::GroupReceived { .. }
        | Said::PrivateReceived { .. }
        | Said::Equivocation { .. }
        | Said::Gap(_)
        | Said::History { .. }
        | Said::GapClosed { .. }
        | Said::PrivatePruned { .. }
        | Said::PrivateRunsForgotten { .. }
        | Said::Lived(_) => {}
    }
}

/// Of what nobody can be given any more nothing is open.
fn let_go(own: &mut BTreeMap<MessageId, Own>, is_gone: impl Fn(Run, Seq) -> bool) {
    let is_gone = |message: &&mut Own| message.is_kept && message.place.is_some_and(|(run, seq)| is_gone(run, seq));
    for message in own.values_mut().filter(is_gone) {
        message.is_kept = false;
        for outcome in message.deliveries.values_mut() {
            *outcome = outcome.let_go();
        }
    }
}
