//! Giving to others what they pull. Owns the bounds of what a peer may take; knows nothing of what this node asks for.

use super::book::{Delivery, OutId};
use super::flight::Flight;
use super::machine::{Messaging, Pending};
use super::peer::{Given, Giving};
use super::receive::SEQ_MAX;
use super::record::{DeliveryRecord, Outcome, Record};
use super::timers::Timer;
use crate::base::limits::{DELIVERY_DEADLINE, RECOVERY_WINDOW_BYTES};
use crate::base::{MemberId, MessageId, Run, Seq, Step};
use crate::wire::{Lacking, MessagingFrame};

/// What the end of a pull counts for in a peer's allowance.
const PULL_END_BYTES: usize = 100;
/// Ranges that one pull can be told to lack: the next pull hears of the rest.
pub(super) const LACKING_MAX: usize = 32;

impl Messaging {
    /// A peer asks for messages of a run: it gets a window of them, and hears what is lacking.
    pub(super) fn handle_pull(
        &mut self,
        step: &mut Step,
        from: MemberId,
        author: MemberId,
        run: Run,
        first: Seq,
        last: Seq,
    ) {
        if first == 0 || last < first || last > SEQ_MAX {
            self.counters.strange += 1;
            return;
        }
        let (places, end, lacking) = self.window(author, run, first, last);
        let pull = (author, run, first, end);
        let mut giving = Vec::with_capacity(places.len() + 1);
        for (seq, id) in places {
            let own = (author == self.me).then(|| self.book.at_place(run, seq)).flatten();
            let after = own.map_or(0, |out| self.note_given(step, from, out));
            giving.push(Giving { after, pull, what: Given::Message(seq, id, own) });
        }
        self.counters.given += u64::try_from(giving.len()).unwrap_or(0);
        let after = giving.iter().map(|giving| giving.after).max().unwrap_or(0);
        giving.push(Giving { after, pull, what: Given::End(lacking) });
        let Some(peer) = self.peers.get_mut(&from).filter(|peer| peer.session.is_some()) else { return };
        peer.pulls(pull);
        peer.giving.extend(giving);
        self.dirty.insert(from);
    }

    /// What one pull gets: messages, up to where, and what is lacking on the way.
    fn window(&self, author: MemberId, run: Run, first: Seq, last: Seq) -> (Vec<(Seq, MessageId)>, Seq, Vec<Lacking>) {
        let Some(of) = self.log.run(author, run) else {
            let had = self.log.author(author).is_some_and(|known| known.floor.is_some_and(|floor| run < floor));
            return (Vec::new(), last, vec![Lacking { first, last, had }]);
        };
        let mut given = Vec::new();
        let mut lacking = Vec::new();
        let mut bytes = 0;
        let mut next = first;
        while next <= last {
            if !of.kept.contains_key(&next) {
                let until = of.kept.range(next..=last).next().map_or(last, |(&seq, _)| seq - 1);
                lacking.extend(lacking_of(of, next, until));
                next = until + 1;
                if lacking.len() > LACKING_MAX {
                    lacking.truncate(LACKING_MAX);
                    let end = lacking.last().map_or(first, |lack| lack.last);
                    given.retain(|&(seq, _)| seq <= end);
                    return (given, end, lacking);
                }
                continue;
            }
            for kept in of.versions(next) {
                given.push((next, kept.id));
                bytes += kept.bytes.len();
            }
            next += 1;
            if bytes >= RECOVERY_WINDOW_BYTES {
                break;
            }
        }
        (given, next - 1, lacking)
    }

    /// One's own message goes to a member that fetched it: where that is its first time out, it is stored before.
    /// Gives the number of that record.
    fn note_given(&mut self, step: &mut Step, to: MemberId, out: OutId) -> u64 {
        let Some(message) = self.book.message(out) else { return 0 };
        let bytes = message.bytes.as_ref().map_or(0, |bytes| bytes.len());
        let Some(delivery) = self.book.delivery(out, to) else { return 0 };
        if delivery.outcome == Outcome::Expired {
            // It is sent after all: its receipt settles it. That it was is on the disk before, which called it never sent.
            if let (Some(place), Some(peer)) = (message.place(), self.peers.get_mut(&to)) {
                peer.group.insert(place, out);
            }
            if delivery.was_never_sent() {
                return self.note_sent_late(step, to, out);
            }
        }
        if !delivery.is_waiting_on_disk() {
            return if delivery.changing.is_some() { self.out.records() } else { 0 };
        }
        let after = self.change(step, out, to, Outcome::Sending, None);
        let now = step.now.time;
        let deadline = now + DELIVERY_DEADLINE;
        let flight = Flight::fetched(now, deadline);
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.watch(out, bytes, flight);
            self.timers.set(Timer::Flight(to, out), deadline);
        }
        after
    }

    /// What expired goes to a member that asks for it. Gives the number of the record that says so.
    fn note_sent_late(&mut self, step: &Step, to: MemberId, out: OutId) -> u64 {
        let Some(message) = self.book.message(out) else { return 0 };
        let group = message.place().map(|(run, seq)| (self.me, run, seq));
        let (outcome, reason, at) = (Outcome::Expired, None, step.now.wall);
        let record = DeliveryRecord { message: message.id, group, to, outcome, attempts: 1, reason, at };
        self.store(Record::Delivery(record), Pending::Delivery { out, to, outcome, reason, cause: step.cause })
    }

    /// Gives what was pulled, after chat and within the peer's allowance.
    pub(super) fn give(&mut self, step: &mut Step, to: MemberId) {
        let settled = self.settled_upto;
        while let Some(peer) = self.peers.get_mut(&to).filter(|peer| peer.session.is_some() && peer.is_queue_empty())
            && let Some(Giving { pull, after, what, .. }) = peer.giving.front()
        {
            let (author, run, first, last) = *pull;
            let (own, bytes) = match what {
                Given::Message(seq, id, own) => {
                    let Some(kept) = self.log.kept((author, run, *seq), *id) else {
                        // It was pruned meanwhile; what is asked for again hears so.
                        peer.giving.pop_front();
                        continue;
                    };
                    (*own, Some(kept.bytes.clone()))
                }
                Given::End(_) => (None, None),
            };
            // It may have been given up meanwhile, and wait again.
            let waits = |delivery: &Delivery| delivery.was_never_sent() && delivery.outcome != Outcome::Expired;
            let is_first = |out: &OutId| self.book.delivery(*out, to).is_some_and(waits);
            let after = match own.filter(|out| *after <= settled && is_first(out)) {
                Some(out) => self.note_given(step, to, out),
                None => *after,
            };
            if after > settled {
                if let Some(giving) = self.peers.get_mut(&to).and_then(|peer| peer.work().giving.front_mut()) {
                    giving.after = after;
                }
                self.gated_peers.insert(to);
                return;
            }
            let Some(peer) = self.peers.get_mut(&to) else { return };
            let cost = bytes.as_ref().map_or(PULL_END_BYTES, |bytes| bytes.len());
            if let Err(wait) = peer.allowance.take(cost, step.now.time) {
                self.timers.set(Timer::Give(to), step.now.time + wait);
                return;
            }
            let frame = match (peer.giving.pop_front().map(|giving| giving.what), bytes) {
                (Some(Given::End(lacking)), _) => MessagingFrame::PullEnd { author, run, first, last, lacking },
                (Some(Given::Message(..)), Some(bytes)) => MessagingFrame::Recovered(bytes.to_vec()),
                (Some(Given::Message(..)) | None, _) => return,
            };
            let delivery = own.and_then(|out| self.book.delivery_mut(out, to));
            if let Some(delivery) = delivery.filter(|delivery| delivery.outcome != Outcome::Delivered) {
                delivery.attempt_asked_for(step.now.wall);
            }
            self.out.send(to, frame);
        }
    }
}

/// `first..=last`, of which no text is kept, as what was had once and what never was.
fn lacking_of(of: &super::log::RunLog, first: Seq, last: Seq) -> Vec<Lacking> {
    let had_below = first.max(of.chain.floor() + 1);
    let mut parts = Vec::new();
    let mut next = had_below;
    if first < had_below {
        parts.push(Lacking { first, last: last.min(had_below - 1), had: true });
    }
    for (from, to) in of.chain.missing(had_below, last) {
        if from > next {
            parts.push(Lacking { first: next, last: from - 1, had: true });
        }
        parts.push(Lacking { first: from, last: to, had: false });
        next = to + 1;
    }
    if next <= last {
        parts.push(Lacking { first: next, last, had: true });
    }
    parts
}
