//! How one's own messages stand, and when that is worth a line: once nothing of a message is in flight any
//! more, and again when that picture changes. Knows nothing of screens.

use std::collections::{BTreeMap, VecDeque};

use crate::base::MessageId;
use crate::base::limits::TALLIED_MESSAGES_MAX;
use crate::node::api::{Delivery, MessageKind, Outcome, Sent};

/// The messages that are not settled.
#[derive(Debug, Default)]
pub(super) struct Tally {
    open: BTreeMap<MessageId, Open>,
    /// How the messages ended that are followed no longer, newest last: what the node tells of them may still
    /// be on its way when it was asked already.
    ended: VecDeque<(MessageId, Vec<Delivery>)>,
    /// Counts messages, so that the oldest can be dropped at the limit.
    sent: u64,
}

#[derive(Debug)]
struct Open {
    number: u64,
    handle: String,
    deliveries: Vec<Delivery>,
    sample_of: Option<u32>,
    reason: Option<String>,
    is_durable: bool,
    /// The outcomes that were told last.
    told: Option<Vec<Outcome>>,
}

/// How a delivery that expired is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// It was told.
    Known,
    /// With its message, which is still to be told.
    ToldWithIt,
    /// By itself, or with others of its receiver.
    News,
}

/// How a message stands, to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) handle: String,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) sample_of: Option<u32>,
    pub(super) reason: Option<String>,
}

impl Tally {
    /// A message was accepted. At the limit the oldest is followed no longer.
    pub(super) fn handle_sent(&mut self, sent: &Sent) {
        if self.open.len() >= TALLIED_MESSAGES_MAX
            && let Some(oldest) = self.open.iter().min_by_key(|(_, open)| open.number).map(|(&id, _)| id)
        {
            self.open.remove(&oldest);
        }
        self.sent += 1;
        let open = Open {
            number: self.sent,
            handle: sent.handle.clone(),
            deliveries: sent.deliveries.clone(),
            sample_of: sent.sample_of,
            reason: None,
            is_durable: false,
            told: None,
        };
        self.open.insert(sent.id, open);
    }

    /// The message is on this node's own disk.
    pub(super) fn handle_durable(&mut self, id: MessageId) {
        if let Some(open) = self.open.get_mut(&id) {
            open.is_durable = true;
        }
    }

    /// The disk refused the message.
    pub(super) fn handle_undone(&mut self, id: MessageId) {
        self.open.remove(&id);
    }

    /// Follows a message that was not typed here, such as one of an earlier run: how it stands is known.
    pub(super) fn handle_found(&mut self, id: MessageId, standing: Standing) {
        let Standing { handle, deliveries, sample_of, reason } = standing;
        self.handle_sent(&Sent { id, handle, kind: MessageKind::Group, deliveries, sample_of });
        if let Some(open) = self.open.get_mut(&id) {
            open.reason = reason;
            open.is_durable = true;
        }
    }

    /// A delivery changed. Says whether that is known, or told once the message is settled.
    pub(super) fn handle_delivery(
        &mut self,
        id: MessageId,
        handle: &str,
        delivery: &Delivery,
        reason: Option<&str>,
    ) -> bool {
        let Some(open) = self.open.get_mut(&id) else { return self.has_ended(id, delivery) };
        handle.clone_into(&mut open.handle);
        open.reason = reason.map(str::to_owned).or(open.reason.take());
        merge(&mut open.deliveries, delivery);
        true
    }

    /// What waited never will be sent. Where the message was told before, or is not followed, it is told no more for this.
    pub(super) fn handle_expired(&mut self, id: MessageId, delivery: &Delivery) -> Expiry {
        let Some(open) = self.open.get_mut(&id) else {
            return if self.has_ended(id, delivery) { Expiry::Known } else { Expiry::News };
        };
        if open.told.is_none() || open.is_news() {
            return Expiry::ToldWithIt;
        }
        merge(&mut open.deliveries, delivery);
        open.told = Some(open.outcomes());
        if open.is_final() {
            self.end(id);
        }
        Expiry::News
    }

    /// Follows a message no longer.
    fn end(&mut self, id: MessageId) {
        let Some(open) = self.open.remove(&id) else { return };
        self.ended.push_back((id, open.deliveries));
        if self.ended.len() > TALLIED_MESSAGES_MAX {
            self.ended.pop_front();
        }
    }

    /// The messages of which nothing is in flight, where that was not told before; oldest first. What can
    /// change no more is forgotten.
    pub(super) fn settle(&mut self) -> Vec<Standing> {
        let mut ready: Vec<(MessageId, u64)> =
            self.open.iter().filter(|(_, open)| open.is_news()).map(|(&id, open)| (id, open.number)).collect();
        ready.sort_by_key(|&(_, number)| number);
        ready.into_iter().filter_map(|(id, _)| self.tell(id)).collect()
    }

    /// How the deliveries of a message stand, if it is followed.
    pub(super) fn deliveries(&self, id: MessageId) -> Option<&[Delivery]> {
        self.open.get(&id).map(|open| open.deliveries.as_slice())
    }

    /// Whether nothing is in flight.
    pub(super) fn is_settled(&self) -> bool {
        self.open.values().all(Open::is_still)
    }

    fn tell(&mut self, id: MessageId) -> Option<Standing> {
        let open = self.open.get_mut(&id)?;
        open.told = Some(open.outcomes());
        let standing = Standing {
            handle: open.handle.clone(),
            deliveries: open.deliveries.clone(),
            sample_of: open.sample_of,
            reason: open.reason.clone(),
        };
        if open.is_final() {
            self.end(id);
        }
        Some(standing)
    }

    /// Whether a message ended with this delivery among its own, or with a later stage of it.
    fn has_ended(&self, id: MessageId, delivery: &Delivery) -> bool {
        let ended = self.ended.iter().rev().find(|(ended, _)| *ended == id);
        let known = ended.and_then(|(_, all)| all.iter().find(|known| known.member == delivery.member));
        known.is_some_and(|known| known.outcome == delivery.outcome || delivery.outcome == Outcome::Sending)
    }
}

/// Puts the newest of a delivery in its place.
pub(super) fn merge(deliveries: &mut Vec<Delivery>, delivery: &Delivery) {
    match deliveries.iter_mut().find(|known| known.member == delivery.member) {
        Some(known) => known.clone_from(delivery),
        None => deliveries.push(delivery.clone()),
    }
}

impl Open {
    fn outcomes(&self) -> Vec<Outcome> {
        self.deliveries.iter().map(|delivery| delivery.outcome).collect()
    }

    fn is_still(&self) -> bool {
        self.is_durable && self.deliveries.iter().all(|delivery| delivery.outcome != Outcome::Sending)
    }

    fn is_news(&self) -> bool {
        self.is_still() && self.told.as_ref().is_none_or(|told| *told != self.outcomes())
    }

    fn is_final(&self) -> bool {
        let over = |outcome| matches!(outcome, Outcome::Delivered | Outcome::Refused | Outcome::Expired);
        self.deliveries.iter().all(|delivery| over(delivery.outcome))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::MemberId;
    pub(in crate::repl) fn delivery(member: u8, outcome: Outcome) -> Delivery {
        let nick = ["", "ana", "bo", "cy", "dee"][usize::from(member)].into();
        Delivery {
            member: MemberId([member; 32]),
            nick,
            outcome,
            attempts: 1,
            tries_may_be_missing: false,
            latency_us: None,
        }
    }

    pub(in crate::repl) fn sent(id: u8, outcomes: &[(u8, Outcome)]) -> Sent {
        Sent {
            id: MessageId([id; 32]),
            handle: format!("h{id}"),
            kind: MessageKind::Group,
            deliveries: outcomes.iter().map(|&(member, outcome)| delivery(member, outcome)).collect(),
            sample_of: None,
        }
    }

    fn outcomes(standings: &[Standing]) -> Vec<(&str, Vec<Outcome>)> {
        let outcomes = |standing: &Standing| standing.deliveries.iter().map(|delivery| delivery.outcome).collect();
        standings.iter().map(|standing| (standing.handle.as_str(), outcomes(standing))).collect()
    }

    use Outcome::{Delivered, Sending, Unknown, Waiting};

    #[test]
    fn a_message_is_told_once_nothing_of_it_is_in_flight() {
        let mut tally = Tally::default();
        let id = MessageId([1; 32]);
        tally.handle_sent(&sent(1, &[(2, Sending), (3, Sending), (4, Waiting)]));
        tally.handle_durable(id);
        assert!(tally.handle_delivery(id, "h1", &delivery(2, Delivered), None));
        assert!(tally.settle().is_empty() && !tally.is_settled());
        tally.handle_delivery(id, "h1", &delivery(3, Unknown), None);
        assert_eq!(outcomes(&tally.settle()), [("h1", vec![Delivered, Unknown, Waiting])]);
        assert!(tally.settle().is_empty() && tally.is_settled());
        tally.handle_delivery(id, "h1", &delivery(4, Sending), None);
        assert!(tally.settle().is_empty());
        tally.handle_delivery(id, "h1", &delivery(4, Delivered), None);
        assert_eq!(outcomes(&tally.settle()), [("h1", vec![Delivered, Unknown, Delivered])]);
        tally.handle_delivery(id, "h1", &delivery(3, Delivered), None);
        assert_eq!(outcomes(&tally.settle()), [("h1", vec![Delivered, Delivered, Delivered])]);
        assert_eq!(tally.deliveries(id), None);
    }

    #[test]
    fn a_message_that_is_not_on_disk_is_not_settled() {
        let mut tally = Tally::default();
        tally.handle_sent(&sent(1, &[]));
        assert!(tally.settle().is_empty() && !tally.is_settled());
        tally.handle_durable(MessageId([1; 32]));
        assert_eq!(outcomes(&tally.settle()), [("h1", vec![])]);
        tally.handle_sent(&sent(2, &[(2, Sending)]));
        tally.handle_undone(MessageId([2; 32]));
        assert!(tally.is_settled());
    }

    #[test]
    fn a_message_of_an_earlier_run_is_told_once_it_is_found() {
        let mut tally = Tally::default();
        let id = MessageId([9; 32]);
        assert!(!tally.handle_delivery(id, "h9", &delivery(2, Sending), None));
        let deliveries = vec![delivery(2, Sending), delivery(3, Delivered)];
        tally.handle_found(id, Standing { handle: "h9".into(), deliveries, sample_of: None, reason: None });
        assert!(tally.settle().is_empty());
        assert!(tally.handle_delivery(id, "h9", &delivery(2, Delivered), None));
        assert_eq!(outcomes(&tally.settle()), [("h9", vec![Delivered, Delivered])]);
        assert!(tally.is_settled() && tally.settle().is_empty());
        // The node was asked before this came.
        assert!(tally.handle_delivery(id, "h9", &delivery(3, Delivered), None));
        assert!(tally.settle().is_empty());
    }

    #[test]
    fn the_oldest_is_dropped_at_the_limit() {
        let mut tally = Tally::default();
        for number in 0..=TALLIED_MESSAGES_MAX {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_le_bytes());
            tally.handle_sent(&Sent { id: MessageId(id), ..sent(1, &[(2, Waiting)]) });
        }
        assert_eq!(tally.open.len(), TALLIED_MESSAGES_MAX);
        assert_eq!(tally.deliveries(MessageId([0; 32])), None);
    }
}
