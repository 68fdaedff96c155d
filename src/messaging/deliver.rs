//! The delivery engine: one for group and private messages. Owns when something is sent, sent again and
//! called unknown; knows no text and no receipt's form.

use std::time::Duration;

use super::book::{OutId, Outgoing};
use super::flight::Flight;
use super::flood::is_passed_on;
use super::frontier::DISK_FULL_REST;
use super::machine::{Messaging, Pending};
use super::outbox::{DeliveryChange, EventKind};
use super::peer::Peer;
use super::pto::COPY_GAP;
use super::record::{DeliveryRecord, Outcome, Record};
use super::timers::Timer;
use crate::base::limits::{DELIVERY_DEADLINE, MESSAGE_LIFE};
use crate::base::{Cause, MemberId, MessageId, Step, Stream, Time};
use crate::wire::{MessagingFrame, RefusedReason};

/// A loop that is later than this was stopped: what did not arrive meanwhile may lie in the socket.
pub(super) const LAG_JUDGED: Duration = Duration::from_millis(250);

impl Messaging {
    /// A delivery that is `Sending` on disk goes under way.
    pub(super) fn begin_sending(&mut self, step: &mut Step, to: MemberId, out: OutId, bytes: usize) {
        let peer = Peer::of(&mut self.peers, to);
        peer.enqueue(out, bytes);
        if peer.is_reachable() {
            self.dirty.insert(to);
        } else {
            self.timers.set_earlier(Timer::Stalled(to), step.now.time + DELIVERY_DEADLINE);
        }
    }

    /// Sends what the window has room for, no faster than the path takes it.
    pub(super) fn pump(&mut self, step: &mut Step, to: MemberId) {
        let now = step.now.time;
        let mut next = None;
        while let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.is_reachable())
            && let Some(out) = peer.next_to_send()
        {
            let wait = peer.wait(now);
            if !wait.is_zero() {
                peer.not_sent(out);
                next = Some(now + wait);
                break;
            }
            let is_open =
                is_passed_on(out) || self.book.delivery(out, to).is_some_and(|delivery| !delivery.outcome.is_final());
            if !is_open || !self.transmit(step, to, out) {
                self.land(to, out);
                continue;
            }
            let Some(peer) = self.peers.get_mut(&to) else { return };
            let copies = peer.attempt(out, now, false);
            peer.launch(out, Flight::pushed(now, now + DELIVERY_DEADLINE));
            self.plan_copies(now, to, out, copies);
        }
        self.await_receipts(now, to, next);
    }

    fn plan_copies(&mut self, now: Time, to: MemberId, out: OutId, copies: u8) {
        let Some(flight) = self.peers.get_mut(&to).and_then(|peer| peer.flights.flight_mut(out)) else { return };
        // What is passed on comes over other hops too.
        flight.copies_left = if is_passed_on(out) { 0 } else { copies - 1 };
        flight.copy_at = now + COPY_GAP;
        let due = flight.due();
        self.timers.set(Timer::Flight(to, out), due);
    }

    /// Looks again when a receipt is overdue, or at `next`, when more may leave.
    fn await_receipts(&mut self, now: Time, to: MemberId, next: Option<Time>) {
        let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.is_reachable()) else {
            self.timers.cancel(Timer::Again(to));
            return;
        };
        let overdue = peer.flights.due(peer.pace.timeouts(&peer.path)).map(|due| due.max(now + peer.wait(now)));
        match overdue.into_iter().chain(next).min() {
            Some(at) => self.timers.set(Timer::Again(to), at),
            None => self.timers.cancel(Timer::Again(to)),
        }
    }

    /// Sends again what was lost, or what shows whether it was, no faster than the path takes it.
    pub(super) fn again_due(&mut self, step: &mut Step, to: MemberId) {
        let now = step.now.time;
        self.dirty.insert(to);
        while let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.is_reachable())
            && let peer = peer.work()
            && peer.wait(now).is_zero()
            && let Some(out) = peer.flights.next_due(now, peer.pace.timeouts(&peer.path))
        {
            let copies = peer.attempt(out, now, true);
            if self.transmit(step, to, out) {
                self.counters.retries += 1;
                self.plan_copies(now, to, out, copies);
            } else {
                self.land(to, out);
            }
        }
    }

    /// One attempt; false if nothing is left to be sent.
    fn transmit(&mut self, step: &mut Step, to: MemberId, out: OutId) -> bool {
        let Some(frame) = self.frame_of(out) else { return false };
        if is_passed_on(out) {
            self.counters.hops += 1;
            self.out.send(to, frame);
            return true;
        }
        let delivery = self.book.delivery_mut(out, to).filter(|delivery| !delivery.is_waiting_on_disk());
        let Some(delivery) = delivery else { return false };
        delivery.attempt(step.now.wall);
        tracing::trace!(%to, out, attempt = delivery.attempts, "attempt");
        self.counters.attempts += 1;
        self.out.send(to, frame);
        true
    }

    fn frame_of(&self, out: OutId) -> Option<MessagingFrame> {
        if is_passed_on(out) {
            return self.flood.frame(out);
        }
        let message = self.book.message(out)?;
        let bytes = message.bytes.as_ref()?.to_vec();
        Some(match message.key.stream {
            Stream::Room => MessagingFrame::Group(bytes),
            Stream::To(_) => MessagingFrame::Private(bytes),
        })
    }

    /// A delivery in flight needs a copy, or has met its deadline.
    pub(super) fn flight_due(&mut self, step: &mut Step, to: MemberId, out: OutId) {
        let now = step.now.time;
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let is_reachable = peer.is_reachable();
        let Some(flight) = peer.flights.flight_mut(out) else { return };
        if now >= flight.deadline {
            if step.now.lag <= LAG_JUDGED {
                self.carry_around_one(step, to, out);
                self.land(to, out);
                self.give_up_trying(step, to, out);
                self.dirty.insert(to);
                return;
            }
            flight.deadline = now + step.now.lag.min(DELIVERY_DEADLINE);
        }
        let is_copy = flight.copies_left > 0 && now >= flight.copy_at;
        if is_copy {
            flight.copies_left -= 1;
            flight.copy_at = now + COPY_GAP;
        }
        let due = flight.due();
        self.timers.set(Timer::Flight(to, out), due);
        if !is_copy || !is_reachable {
            return;
        }
        peer.flights.copied(out, now);
        if let Some(frame) = self.frame_of(out) {
            self.counters.copies += 1;
            self.out.send(to, frame);
            self.dirty.insert(to);
        }
    }

    /// Takes a delivery out of queue, window and timers; what follows it may be sent.
    pub(super) fn land(&mut self, to: MemberId, out: OutId) -> Option<Flight> {
        let peer = self.peers.get_mut(&to)?;
        let flight = peer.land(out);
        if is_passed_on(out) {
            self.flood.release(to, out);
        }
        let flight = flight?;
        self.timers.cancel(Timer::Flight(to, out));
        self.dirty.insert(to);
        Some(flight)
    }

    /// It is not tried any more: what was sent is unknown, and what no datagram left of waits again. A private message is tried
    /// again later; a group message is fetched.
    pub(super) fn give_up_trying(&mut self, step: &mut Step, to: MemberId, out: OutId) {
        let Some(delivery) = self.book.delivery(out, to) else { return };
        if delivery.outcome == Outcome::Sending && delivery.changing.is_none() {
            let outcome = if delivery.was_never_sent() { Outcome::Waiting } else { Outcome::Unknown };
            self.change(step, out, to, outcome, None);
        }
        self.expect_fetch(step, to);
    }

    /// Stores a new outcome; it is told once it is on disk. Of a message that was let go nothing changes any more.
    pub(super) fn change(
        &mut self,
        step: &mut Step,
        out: OutId,
        to: MemberId,
        outcome: Outcome,
        reason: Option<RefusedReason>,
    ) -> u64 {
        let Some(message) = self.book.message_mut(out) else { return 0 };
        let (id, key) = (message.id, message.key);
        let cause = step.cause.or(message.shown.map(Cause::Event));
        if message.bytes.is_none() {
            return 0;
        }
        let Some(delivery) = message.deliveries.get_mut(&to) else { return 0 };
        delivery.changing = Some(outcome);
        let group = match key.stream {
            Stream::Room => Some((key.author, key.run, key.seq)),
            Stream::To(_) => None,
        };
        let attempts = delivery.attempts;
        let at = step.now.wall;
        tracing::debug!(%id, %to, ?outcome, attempts, "delivery");
        let record = DeliveryRecord { message: id, group, to, outcome, attempts, reason, at };
        let pending = Pending::Delivery { out, to, outcome, reason, cause };
        self.store(Record::Delivery(record), pending)
    }

    pub(super) fn delivery_stored(
        &mut self,
        step: &mut Step,
        out: OutId,
        to: MemberId,
        outcome: Outcome,
        reason: Option<RefusedReason>,
        cause: Option<Cause>,
    ) {
        let Some(delivery) = self.book.delivery_mut(out, to) else { return };
        if delivery.changing == Some(outcome) {
            delivery.changing = None;
        }
        if reason.is_some() {
            delivery.reason = reason;
        }
        let is_changed = match outcome {
            Outcome::Waiting => self.book.take_back(out, to),
            Outcome::Sending | Outcome::Unknown | Outcome::Refused | Outcome::Expired | Outcome::Delivered => {
                self.book.advance(out, to, outcome)
            }
        };
        if !is_changed {
            return;
        }
        self.tell_delivery(step, out, to, cause);
        let place = self.book.message(out).and_then(Outgoing::place);
        let Some(peer) = self.peers.get_mut(&to) else { return };
        match outcome {
            Outcome::Sending => {
                let bytes = self.book.message(out).and_then(|message| message.bytes.as_ref()).map(|bytes| bytes.len());
                if let Some(bytes) = bytes.filter(|_| !peer.is_under_way(out)) {
                    self.begin_sending(step, to, out, bytes);
                }
            }
            Outcome::Refused | Outcome::Expired => {
                peer.remove_private(out);
                if outcome == Outcome::Expired {
                    self.lapse(to, out);
                }
                self.land(to, out);
                self.book.retire_if_settled(out);
                if outcome == Outcome::Refused && place.is_none() {
                    self.keep_refused(out);
                } else if outcome == Outcome::Refused && reason == Some(RefusedReason::DiskFull) {
                    // It fetches it once it has room, and the receipt for that may be lost.
                    self.expect_fetch(step, to);
                }
            }
            // It may have come back meanwhile.
            Outcome::Waiting if place.is_none() && peer.is_reachable() => self.begin_waiting(step, to),
            Outcome::Waiting | Outcome::Unknown | Outcome::Delivered => {}
        }
    }

    /// A private message was refused, and a copy that came later may be receipted all the same: it is known across restarts
    /// too, until too many are.
    pub(super) fn keep_refused(&mut self, out: OutId) {
        if let Some(message) = self.book.keep_refused(out) {
            self.out.store(Record::GivenUp { message });
        }
    }

    /// The disk refused a new outcome: what was tried is tried on, what waited waits.
    pub(super) fn delivery_not_stored(&mut self, step: &mut Step, out: OutId, to: MemberId, outcome: Outcome) {
        let Some(delivery) = self.book.delivery_mut(out, to) else { return };
        if delivery.changing == Some(outcome) {
            delivery.changing = None;
        }
        let is_sending = delivery.outcome == Outcome::Sending;
        let is_new = delivery.outcome != outcome;
        let bytes = self.book.message(out).and_then(|message| message.bytes.as_ref()).map(|bytes| bytes.len());
        match outcome {
            Outcome::Waiting | Outcome::Unknown | Outcome::Refused if is_sending => {
                if let Some(bytes) = bytes {
                    self.begin_sending(step, to, out, bytes);
                }
            }
            // What was to be given after that record is asked for again.
            Outcome::Expired if !is_new => drop(self.peers.get_mut(&to).map(|peer| peer.giving.clear())),
            Outcome::Sending => {
                self.land(to, out);
                if let Some(peer) = self.peers.get_mut(&to) {
                    peer.giving.clear();
                }
                self.timers.set_earlier(Timer::Resend(to), step.now.time + super::resend::RESEND_EVERY);
                self.timers.set_earlier(Timer::DiskFull, step.now.time + DISK_FULL_REST);
            }
            Outcome::Unknown | Outcome::Waiting | Outcome::Refused | Outcome::Expired | Outcome::Delivered => {}
        }
    }

    /// The receiver does not take the message. It looked for a duplicate before it said so.
    pub(super) fn handle_refused(&mut self, step: &mut Step, from: MemberId, id: MessageId, reason: RefusedReason) {
        let Some(out) = self.book.find(id) else { return };
        let Some(delivery) = self.book.delivery(out, from) else { return };
        let was_tried = delivery.attempts > 0 || delivery.tries_may_be_missing;
        let was_sent = matches!(delivery.outcome, Outcome::Sending | Outcome::Unknown) && was_tried;
        let is_changing = matches!(delivery.changing, Some(Outcome::Refused | Outcome::Delivered));
        if was_sent && !is_changing {
            self.land(from, out);
            self.change(step, out, from, Outcome::Refused, Some(reason));
        }
    }

    pub(super) fn tell_delivery(&mut self, step: &mut Step, out: OutId, to: MemberId, cause: Option<Cause>) {
        let Some(message) = self.book.message(out) else { return };
        let Some(delivery) = message.deliveries.get(&to) else { return };
        let change = DeliveryChange {
            id: message.id,
            to,
            outcome: delivery.outcome,
            attempts: delivery.attempts,
            tries_may_be_missing: delivery.tries_may_be_missing,
            latency_us: delivery.latency_us,
            reason: delivery.reason,
        };
        self.out.tell(step, cause, EventKind::Delivery(change));
    }

    /// A member is out of reach: what is under way to it has until the deadline.
    pub(super) fn peer_went(&mut self, step: &mut Step, id: MemberId) {
        self.carry_around_all(step, id);
        let Some(peer) = self.peers.get(&id) else { return };
        if peer.under_way().next().is_some() {
            self.timers.set_earlier(Timer::Stalled(id), step.now.time + DELIVERY_DEADLINE);
        }
    }

    /// It stayed out of reach for as long as an attempt lasts.
    pub(super) fn peer_stalled(&mut self, step: &mut Step, id: MemberId) {
        let Some(peer) = self.peers.get(&id) else { return };
        if peer.is_reachable() {
            return;
        }
        let mut open: Vec<OutId> = peer.under_way().collect();
        open.extend(peer.private.keys().copied().filter(|&out| !peer.is_under_way(out)));
        for out in open {
            self.land(id, out);
            self.give_up_trying(step, id, out);
        }
    }

    /// A member said goodbye: nothing is pushed to it any more. Private messages wait for its return.
    pub(super) fn peer_left(&mut self, step: &mut Step, id: MemberId) {
        let Some(peer) = self.peers.get(&id) else { return };
        let under_way: Vec<OutId> = peer.under_way().collect();
        for out in under_way {
            self.land(id, out);
            self.give_up_trying(step, id, out);
        }
    }

    /// Nothing more is done for a delivery of a message to the room; a receipt that comes all the same settles it.
    fn lapse(&mut self, to: MemberId, out: OutId) {
        if let (Some(place), Some(peer)) = (self.book.message(out).and_then(Outgoing::place), self.peers.get_mut(&to)) {
            peer.group.remove(&place);
        }
        self.book.lapse(out, to);
    }

    /// Ends what has outlived its life: what was never sent expires, what is unknown stays so.
    pub(super) fn expire(&mut self, step: &mut Step) {
        let oldest = self.lived(step).before(MESSAGE_LIFE);
        let over: Vec<OutId> = self
            .book
            .messages()
            .filter(|(_, message)| message.bytes.is_some() && message.is_durable && message.lived < oldest)
            .map(|(out, _)| out)
            .collect();
        for out in over {
            let Some(message) = self.book.message(out) else { continue };
            let (id, key) = (message.id, message.key);
            let open: Vec<(MemberId, Outcome)> = message
                .deliveries
                .iter()
                .filter(|(_, delivery)| delivery.changing.is_none())
                .filter(|(_, delivery)| matches!(delivery.outcome, Outcome::Waiting | Outcome::Unknown))
                .map(|(&to, delivery)| (to, delivery.outcome))
                .collect();
            for (to, outcome) in open {
                if outcome == Outcome::Waiting {
                    self.change(step, out, to, Outcome::Expired, None);
                    continue;
                }
                self.land(to, out);
                match key.stream {
                    Stream::Room => self.lapse(to, out),
                    Stream::To(_) => {
                        if let Some(peer) = self.peers.get_mut(&to) {
                            peer.remove_private(out);
                        }
                        self.out.store(Record::GivenUp { message: id });
                        self.book.retire(out);
                    }
                }
            }
        }
    }
}
