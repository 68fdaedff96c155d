//! What is in flight to one member, and which of it is taken for lost. Owns the rule, in the form of RFC 9002 section 6:
//! what a receipt has passed over is sent again; where no receipt comes at all, one message is sent again to find out.
//! Knows no text, and no clock but the times that it is handed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::book::OutId;
use super::pto::Timeouts;
use crate::base::Time;

/// A message that waits for its receipt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    /// When it was first sent.
    pub began: Time,
    /// When the first and the newest datagram of the newest attempt were sent; copies are up to 10 ms apart.
    tried: Time,
    sent: Time,
    pub deadline: Time,
    pub copies_left: u8,
    pub copy_at: Time,
    /// Of these only the first is timed.
    pub attempts: u32,
    /// What it takes of the window.
    pub bytes: usize,
    /// Sent by this node's own decision; otherwise it was fetched, and is not sent again.
    pub is_pushed: bool,
    /// A receipt passed over it: then it is sent again.
    lost_at: Option<Time>,
}

impl Flight {
    /// A first attempt.
    pub fn pushed(now: Time, deadline: Time) -> Self {
        Self {
            began: now,
            tried: now,
            sent: now,
            deadline,
            copies_left: 0,
            copy_at: deadline,
            attempts: 1,
            bytes: 0,
            is_pushed: true,
            lost_at: None,
        }
    }

    /// Fetched, and only watched.
    pub fn fetched(now: Time, deadline: Time) -> Self {
        Self { is_pushed: false, ..Self::pushed(now, deadline) }
    }

    /// When a copy or the deadline is due.
    pub fn due(&self) -> Time {
        if self.copies_left > 0 { self.copy_at.min(self.deadline) } else { self.deadline }
    }

    /// Since when a receipt that comes now shows that what was sent gets there. Of several attempts it is the newest only
    /// where a round trip has passed since.
    fn proves_from(&self, now: Time, rtt: Duration) -> Time {
        if self.attempts == 1 || now.since(self.tried) * 8 >= rtt * 7 { self.tried } else { self.began }
    }
}

/// All that is in flight to one member.
#[derive(Debug, Default)]
pub(super) struct Flights {
    by_out: BTreeMap<OutId, Flight>,
    /// Of what was pushed: what may still be receipted, by when it was sent; and what is taken for lost, by when that is over. Thousands
    /// may be in flight, and each input asks what is due.
    open: BTreeSet<(Time, OutId)>,
    lost: BTreeSet<(Time, OutId)>,
    /// Probes since the last receipt, and when the last one was sent.
    probes: u32,
    probed: Option<Time>,
}

impl Flights {
    /// Begins to follow one that is not in flight.
    pub fn insert(&mut self, out: OutId, flight: Flight) {
        if flight.is_pushed {
            self.open.insert((flight.sent, out));
        }
        let before = self.by_out.insert(out, flight);
        debug_assert!(before.is_none(), "{out} is in flight already");
    }

    pub fn remove(&mut self, out: OutId) -> Option<Flight> {
        let flight = self.by_out.remove(&out)?;
        self.open.remove(&(flight.sent, out));
        if let Some(at) = flight.lost_at {
            self.lost.remove(&(at, out));
        }
        if self.by_out.is_empty() {
            (self.probes, self.probed) = (0, None);
        }
        Some(flight)
    }

    pub fn contains(&self, out: OutId) -> bool {
        self.by_out.contains_key(&out)
    }

    pub fn flight_mut(&mut self, out: OutId) -> Option<&mut Flight> {
        self.by_out.get_mut(&out)
    }

    /// A copy of it goes out, of the same attempt.
    pub fn copied(&mut self, out: OutId, now: Time) {
        let Some(flight) = self.by_out.get_mut(&out) else { return };
        if self.open.remove(&(flight.sent, out)) {
            self.open.insert((now, out));
        }
        flight.sent = now;
    }

    /// Receipts came for what was in flight: what was sent before it, and has none, was lost or is about to be
    /// receipted.
    pub fn receipted(&mut self, now: Time, landed: impl Iterator<Item = Flight>, timeouts: Timeouts) {
        let pushed = landed.filter(|flight| flight.is_pushed);
        let Some(newest) = pushed.map(|flight| flight.proves_from(now, timeouts.rtt)).max() else { return };
        self.probes = 0;
        while let Some(&(sent, out)) = self.open.first()
            && sent < newest
        {
            self.open.pop_first();
            let attempts = self.by_out.get(&out).map_or(1, |flight| flight.attempts);
            let over = sent + timeouts.after(attempts - 1);
            self.lose(out, over.max(now + timeouts.reordering));
        }
    }

    /// The member is heard after a silence: what is in flight was probably lost in it.
    pub fn lose_all(&mut self, now: Time) {
        self.probes = 0;
        let pushed: Vec<_> = self.open.iter().chain(&self.lost).map(|&(_, out)| out).collect();
        for out in pushed {
            self.lose(out, now);
        }
    }

    /// It is taken for lost from `at` on.
    fn lose(&mut self, out: OutId, at: Time) {
        let Some(flight) = self.by_out.get_mut(&out) else { return };
        self.open.remove(&(flight.sent, out));
        if let Some(before) = flight.lost_at.replace(at) {
            self.lost.remove(&(before, out));
        }
        self.lost.insert((at, out));
    }

    /// When something is to be sent again, if no receipt comes before.
    pub fn due(&self, timeouts: Timeouts) -> Option<Time> {
        let lost = self.lost.first().map(|&(at, _)| at);
        [lost, self.probe_due(timeouts)].into_iter().flatten().min()
    }

    fn probe_due(&self, timeouts: Timeouts) -> Option<Time> {
        let &(sent, _) = self.open.first()?;
        let oldest = sent + timeouts.after(0);
        Some(self.probed.map_or(oldest, |probed| oldest.max(probed + timeouts.after(self.probes))))
    }

    /// The next that is to be sent again now; it counts as sent. Of what waits for a first sign it is one message, the one
    /// whose last attempt is the longest ago: while the receiver's disk stands still nothing else need go twice.
    pub fn next_due(&mut self, now: Time, timeouts: Timeouts) -> Option<OutId> {
        let lost = self.lost.first().filter(|&&(at, _)| at <= now).map(|&(_, out)| out);
        let out = lost.or_else(|| self.next_probe(now, timeouts))?;
        let flight = self.by_out.get_mut(&out)?;
        self.open.remove(&(flight.sent, out));
        if let Some(at) = flight.lost_at.take() {
            self.lost.remove(&(at, out));
        }
        flight.attempts += 1;
        (flight.tried, flight.sent) = (now, now);
        self.open.insert((now, out));
        Some(out)
    }

    fn next_probe(&mut self, now: Time, timeouts: Timeouts) -> Option<OutId> {
        if self.probe_due(timeouts)? > now {
            return None;
        }
        self.probes += 1;
        self.probed = Some(now);
        self.open.first().map(|&(_, out)| out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        rtt: Duration::from_millis(100),
        first: Duration::from_millis(120),
        reordering: Duration::from_millis(12),
    };

    fn at(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    fn flights(sent: &[u64]) -> Flights {
        let mut flights = Flights::default();
        for (out, &ms) in (1..).zip(sent) {
            flights.insert(out, Flight::pushed(at(ms), at(ms + 10_000)));
        }
        flights
    }

    fn receipt(flights: &mut Flights, out: OutId, now: Time) {
        let landed = flights.remove(out);
        flights.receipted(now, landed.into_iter(), TIMEOUTS);
    }

    fn due(flights: &mut Flights, now: Time) -> Vec<OutId> {
        std::iter::from_fn(|| flights.next_due(now, TIMEOUTS)).collect()
    }

    #[test]
    fn while_no_receipt_comes_one_message_at_a_time_goes_again() {
        let mut flights = flights(&[0, 10, 20, 30]);
        assert_eq!(flights.due(TIMEOUTS), Some(at(120)));
        assert!(due(&mut flights, at(119)).is_empty());
        assert_eq!(due(&mut flights, at(120)), [1]);
        assert_eq!(flights.due(TIMEOUTS), Some(at(120 + 180)));
        assert_eq!(due(&mut flights, at(300)), [2], "the one that was sent the longest ago");
        assert_eq!(flights.due(TIMEOUTS), Some(at(300 + 270)));
    }

    #[test]
    fn what_a_receipt_passes_over_goes_again_at_once_and_nothing_else_does() {
        let mut flights = flights(&[0, 10, 20, 30]);
        receipt(&mut flights, 3, at(121));
        assert_eq!(flights.due(TIMEOUTS), Some(at(133)), "its receipt may only have been overtaken");
        assert_eq!(due(&mut flights, at(133)), [1, 2]);
        receipt(&mut flights, 4, at(140));
        assert_eq!(flights.due(TIMEOUTS), Some(at(133 + 120)), "what went again since is not passed over");
    }

    #[test]
    fn a_receipt_soon_after_a_retry_is_of_the_attempt_before() {
        let mut flights = flights(&[0, 10]);
        assert_eq!(due(&mut flights, at(120)), [1]);
        receipt(&mut flights, 1, at(125));
        assert_eq!(flights.due(TIMEOUTS), Some(at(120 + 120)), "it proves nothing of what was sent after it");
    }

    #[test]
    fn a_receipt_for_a_probe_passes_over_all_that_was_lost_before_it() {
        let mut flights = flights(&[0, 10, 20, 30]);
        assert_eq!(due(&mut flights, at(120)), [1]);
        receipt(&mut flights, 1, at(221));
        assert_eq!(due(&mut flights, at(233)), [2, 3, 4]);
    }

    #[test]
    fn what_is_lost_again_and_again_waits_longer_each_time() {
        let mut flights = flights(&[0]);
        for (now, waits) in [(120, 180), (300, 270), (570, 405)] {
            assert_eq!(due(&mut flights, at(now)), [1]);
            assert_eq!(flights.due(TIMEOUTS), Some(at(now + waits)));
        }
    }

    #[test]
    fn what_was_fetched_is_not_sent_again() {
        let mut flights = Flights::default();
        flights.insert(1, Flight::fetched(at(0), at(10_000)));
        assert_eq!(flights.due(TIMEOUTS), None);
        flights.lose_all(at(1));
        assert!(due(&mut flights, at(9_000)).is_empty());
    }
}
