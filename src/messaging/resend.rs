//! Sending again what was left open: to a member that returned, and now and then to one that is heard. Owns when that
//! is worth it; how an attempt goes is the delivery engine's.

use std::collections::BTreeSet;
use std::time::Duration;

use super::book::{Delivery, OutId};
use super::machine::Messaging;
use super::peer::Peer;
use super::record::Outcome;
use super::timers::Timer;
use crate::base::{MemberId, Presence, Run, Seq, Step};
use crate::wire::{MessagingFrame, RefusedReason};

/// An unknown message is sent again this often while its receiver is heard.
pub(super) const RESEND_EVERY: Duration = Duration::from_secs(60);
/// A member that was asked this often and receipts no more never will: it came to the room later.
const GROUP_PROBES_MAX: u8 = 5;
/// How much later each is asked than one whose id begins with one less: 51 s for all of them (a guess).
const SPREAD_STEP: Duration = Duration::from_millis(200);
/// Of what a member lacks between messages that it holds, this much is sent at once.
const LACKED_AT_ONCE_MAX: usize = 32;
/// A member that returned fetches what it missed of the room, and receipts it, well within this.
const RETURN_TIME: Duration = Duration::from_secs(2);

impl Messaging {
    /// A member can be reached again, or was silent and is heard: what waits for it goes out.
    pub(super) fn peer_returned(&mut self, step: &mut Step, id: MemberId) {
        self.timers.cancel(Timer::Stalled(id));
        let now = step.now.time;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.flights.lose_all(now);
        peer.group_probes = 0;
        if !peer.group.is_empty() {
            self.timers.set_earlier(Timer::Resend(id), now + RETURN_TIME);
        }
        self.begin_waiting(step, id);
        self.resend(step, id);
        self.dirty.insert(id);
    }

    /// A group message that a reachable member was not sent is fetched by it; that it was is asked for later.
    pub(super) fn expect_fetch(&mut self, step: &mut Step, to: MemberId) {
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.group_probes = 0;
        }
        // In a large room it may take a session for each of hundreds: not all in one instant.
        let spread = if self.flood.is_large() { SPREAD_STEP * u32::from(to.0[0]) } else { Duration::ZERO };
        self.timers.set_earlier(Timer::Resend(to), step.now.time + RESEND_EVERY + spread);
    }

    /// Waiting private messages are called sending on disk, and sent then.
    pub(super) fn begin_waiting(&mut self, step: &mut Step, to: MemberId) {
        let Some(peer) = self.peers.get(&to) else { return };
        let waiting: Vec<OutId> = peer.private.keys().copied().filter(|&out| self.can_begin(to, out)).collect();
        for out in waiting {
            self.change(step, out, to, Outcome::Sending, None);
        }
    }

    /// Private messages that the full disk kept waiting are tried, one for all: if it has room they all are.
    pub(super) fn disk_full_due(&mut self, step: &mut Step) {
        let next = self.peers.iter().filter(|(_, peer)| peer.is_reachable()).find_map(|(&to, peer)| {
            let waits = |&out: &OutId| self.can_begin(to, out);
            peer.private.keys().copied().find(waits).map(|out| (to, out))
        });
        if let Some((to, out)) = next {
            self.change(step, out, to, Outcome::Sending, None);
        }
    }

    /// The disk takes again what comes: what waited for that goes out, and receipts that it refused are asked for anew.
    pub(super) fn begin_refused(&mut self, step: &mut Step) {
        let waits = |peer: &Peer| peer.is_reachable() && !(peer.private.is_empty() && peer.group.is_empty());
        let waiting: Vec<MemberId> = self.peers.iter().filter(|(_, peer)| waits(peer)).map(|(&id, _)| id).collect();
        for to in waiting {
            self.begin_waiting(step, to);
            if self.peers.get(&to).is_some_and(|peer| !peer.group.is_empty()) {
                self.expect_fetch(step, to);
            }
        }
    }

    /// A private message that waits, and that nothing but its receiver's absence kept.
    fn can_begin(&self, to: MemberId, out: OutId) -> bool {
        let waits = |delivery: &Delivery| delivery.outcome == Outcome::Waiting && delivery.changing.is_none();
        self.book.delivery(out, to).is_some_and(waits) && self.book.message(out).is_some_and(|of| of.is_durable)
    }

    /// Private messages whose outcome is open, and that are not under way, are sent again.
    fn resend(&mut self, step: &mut Step, to: MemberId) {
        let Some(peer) = self.peers.get(&to) else { return };
        let mut has_unknown = false;
        let mut again = Vec::new();
        for (&out, &bytes) in &peer.private {
            let Some(delivery) = self.book.delivery(out, to) else { continue };
            has_unknown |= delivery.outcome == Outcome::Unknown;
            let is_open = matches!(delivery.outcome, Outcome::Sending | Outcome::Unknown);
            let is_durable = self.book.message(out).is_some_and(|message| message.is_durable);
            let is_idle = delivery.changing != Some(Outcome::Delivered) && !delivery.is_waiting_on_disk();
            if is_open && is_durable && is_idle && !peer.is_under_way(out) {
                again.push((out, bytes));
            }
        }
        for (out, bytes) in again {
            self.begin_sending(step, to, out, bytes);
        }
        if has_unknown {
            self.timers.set(Timer::Resend(to), step.now.time + RESEND_EVERY);
        }
    }

    pub(super) fn resend_due(&mut self, step: &mut Step, to: MemberId) {
        if self.peers.get(&to).is_some_and(Peer::is_reachable) {
            self.begin_waiting(step, to);
            self.resend(step, to);
            self.resend_group(step, to);
        } else {
            self.seek_session(step, to);
            self.seek_receipts(step, to);
        }
    }

    /// Whoever holds messages to the room without a receipt known here gives it with a new session, which in a large room nobody
    /// else opens.
    fn seek_receipts(&mut self, step: &Step, to: MemberId) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let is_there = peer.presence.is_some_and(Presence::is_reachable);
        if is_there && peer.session.is_none() && !peer.group.is_empty() && peer.group_probes < GROUP_PROBES_MAX {
            peer.group_probes += 1;
            self.out.connect(to);
            self.timers.set_earlier(Timer::Resend(to), step.now.time + RESEND_EVERY);
        }
    }

    /// A private message waits for a member that is there, and that this node has no session with: in a large room
    /// there is one only with those whom it watches, and with those whom it talks to.
    pub(super) fn seek_session(&mut self, step: &mut Step, to: MemberId) {
        let Some(peer) = self.peers.get(&to) else { return };
        let is_there = peer.presence.is_some_and(Presence::is_reachable);
        if is_there && peer.session.is_none() && !peer.private.is_empty() {
            self.out.connect(to);
            self.timers.set_earlier(Timer::Resend(to), step.now.time + RESEND_EVERY);
        }
    }

    /// The same, once the member has had the time to open one itself.
    pub(super) fn seek_session_later(&mut self, step: &Step, to: MemberId) {
        if self.peers.get(&to).is_some_and(|peer| !peer.private.is_empty()) {
            self.timers.set_earlier(Timer::Resend(to), step.now.time + RESEND_EVERY);
        }
    }

    /// Where a member has not receipted all of a run, the last message of the run is sent: if it holds it, it
    /// receipts all that it holds again; if not, it learns what exists and fetches it. What it lacks between messages
    /// that it did receipt is sent too.
    fn resend_group(&mut self, step: &mut Step, to: MemberId) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        if peer.group.is_empty() || peer.group_probes >= GROUP_PROBES_MAX {
            return;
        }
        peer.group_probes += 1;
        self.timers.set_earlier(Timer::Resend(to), step.now.time + RESEND_EVERY);
        let mut again = BTreeSet::new();
        let mut next = peer.group.last_key_value();
        while let Some((&(run, _), _)) = next {
            let held_from = self.receipts.first_held(run, to);
            let lacked = peer.group.range((run, held_from)..=(run, Seq::MAX)).take(LACKED_AT_ONCE_MAX);
            again.extend(lacked.map(|(&place, &out)| (place, Some(out))));
            let head = self.log.run(self.me, run).and_then(|of| of.kept.keys().next_back());
            again.extend(head.map(|&head| ((run, head), peer.group.get(&(run, head)).copied())));
            next = peer.group.range(..(run, 0)).next_back();
        }
        for (place, open) in again {
            match open {
                Some(out) => self.send_again(step, to, out, place),
                None => self.ask_receipt(to, place),
            }
        }
    }

    /// One delivery of a group message is tried again, unless it is being tried.
    fn send_again(&mut self, step: &mut Step, to: MemberId, out: OutId, place: (Run, Seq)) {
        let Some(delivery) = self.book.delivery(out, to) else { return };
        // It may have room by now, and have fetched it: only its receipt says so, and for all before it.
        if delivery.outcome == Outcome::Refused && delivery.reason == Some(RefusedReason::DiskFull) {
            self.ask_receipt(to, place);
            return;
        }
        let is_idle = delivery.changing.is_none() && self.peers.get(&to).is_some_and(|peer| !peer.is_under_way(out));
        let bytes = self.book.message(out).and_then(|message| message.bytes.as_ref()).map(|bytes| bytes.len());
        let Some(bytes) = bytes.filter(|_| is_idle) else { return };
        match delivery.outcome {
            Outcome::Waiting => drop(self.change(step, out, to, Outcome::Sending, None)),
            Outcome::Sending | Outcome::Unknown => self.begin_sending(step, to, out, bytes),
            Outcome::Refused | Outcome::Expired | Outcome::Delivered => {}
        }
    }

    /// A message that the member holds goes out once more, for the receipt that it is answered with.
    fn ask_receipt(&mut self, to: MemberId, (run, seq): (Run, Seq)) {
        let kept = self.log.run(self.me, run).and_then(|of| of.kept.get(&seq));
        if let Some(bytes) = kept.map(|kept| kept.bytes.to_vec()) {
            self.counters.probes += 1;
            self.out.send(to, MessagingFrame::Group(bytes));
        }
    }
}
