//! When to send again, how often at once, and how fast. Owns the estimates of one peer: how long it takes to answer
//! with a receipt, and how busy the way to it is. Pure arithmetic in integers.

use std::time::Duration;

use crate::base::limits::DATAGRAM_BYTES_MAX;
use crate::base::{Path, PerMille, Rtt, Time};

/// Before there is a sample (RFC 9002 section 6.2.2 takes 333 ms; rooms are mostly local).
const PTO_FIRST: Duration = Duration::from_millis(200);
/// Backing off ends here, so that ten seconds of trying are at least eight attempts.
const PTO_MAX: Duration = Duration::from_secs(2);
/// By then any timeout has reached its longest.
const RETRIES_COUNTED_MAX: u32 = 32;
/// A receiver may take this long to commit and to coalesce its receipts, until it has shown what it takes.
const ACK_DELAY_FIRST: Duration = Duration::from_millis(25);
const ACK_DELAY_MIN: Duration = Duration::from_millis(10);
const ACK_DELAY_MAX: Duration = Duration::from_secs(1);
/// Copies are spread so that one short outage does not take all of them.
pub(super) const COPY_GAP: Duration = Duration::from_millis(5);
/// What all copies together may lose, in parts of a thousand: half of what keeps the 99th percentile, because a share of
/// 64 datagrams is off by as much.
const JOINT_LOSS_MAX: u64 = 5;
const COPIES_MAX: u8 = 3;
/// Below it a retry is taken for one that was not needed.
const LOSSLESS_MAX: PerMille = PerMille(10);
/// Datagrams of messages a second to one peer, above which traffic counts as bulk and gets no copies.
const INTERACTIVE_PER_SECOND_MAX: u32 = 20;
/// What is only overtaken comes within an eighth of a round trip (RFC 9002 section 6.1.2), or within the jitter.
const REORDERING_MIN: Duration = Duration::from_millis(1);
const RTT_FIRST: Duration = Duration::from_millis(100);
/// A window leaves within four fifths of a round trip, ten datagrams of it at once (RFC 9002 section 7.7); and at once
/// what is two milliseconds' worth, so that a short path is not paced by the grain of timers.
const BURST_BYTES_MIN: u64 = 10 * DATAGRAM_BYTES_MAX as u64;
const BURST_MICROS: u64 = 2_000;

/// How long to wait before something is sent again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub rtt: Duration,
    /// After a first attempt (RFC 9002 section 6.2.1).
    pub first: Duration,
    /// A receipt that was only overtaken comes this soon after the one that overtook it.
    pub reordering: Duration,
}

impl Timeouts {
    /// After so many retries without a receipt.
    pub fn after(&self, retries: u32) -> Duration {
        (0..retries.min(RETRIES_COUNTED_MAX)).fold(self.first, |pto, _| (pto * 3 / 2).min(PTO_MAX))
    }
}

/// The estimates of one peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// From a first attempt to its receipt, less the round trip (RFC 6298 section 2).
    ack_delay: Option<Rtt>,
    second_began: Time,
    sent_this_second: u32,
    sent_last_second: u32,
    /// What may leave at once, in bytes; below zero where more left.
    credit: i64,
    credited: Time,
}

impl Pace {
    /// The time after which a first attempt without a receipt is worth another.
    #[must_use]
    pub fn pto(&self, path: &Path) -> Duration {
        let Some(rtt) = path.rtt else { return PTO_FIRST };
        let ack_delay = self
            .ack_delay
            .map_or(ACK_DELAY_FIRST, |ack| (ack.smoothed + ack.variation * 4).clamp(ACK_DELAY_MIN, ACK_DELAY_MAX));
        (rtt.smoothed + rtt.variation * 4 + ack_delay).min(PTO_MAX)
    }

    #[must_use]
    pub fn timeouts(&self, path: &Path) -> Timeouts {
        let rtt = path.rtt.unwrap_or(Rtt { smoothed: RTT_FIRST, variation: Duration::ZERO });
        let reordering = (rtt.smoothed / 8).max(rtt.variation * 4).max(REORDERING_MIN);
        Timeouts { rtt: rtt.smoothed, first: self.pto(path), reordering }
    }

    /// How long until more may leave; zero if it may now. The window's bytes are spread over the round trip.
    pub fn wait(&mut self, now: Time, path: &Path, window_bytes: usize) -> Duration {
        let rtt = path.rtt.map_or(RTT_FIRST, |rtt| rtt.smoothed);
        let rtt_us = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).max(1);
        // Bytes in a thousand seconds, so that nothing is lost in rounding on a long path.
        let rate = (u64::try_from(window_bytes).unwrap_or(u64::MAX) * 5 / 4).saturating_mul(1_000_000_000) / rtt_us;
        let in_micros = |micros: u64| i64::try_from(u128::from(rate) * u128::from(micros) / 1_000_000_000);
        let burst = in_micros(BURST_MICROS).unwrap_or(i64::MAX).max(i64::try_from(BURST_BYTES_MIN).unwrap_or(i64::MAX));
        let passed = u64::try_from(now.since(self.credited).as_micros()).unwrap_or(u64::MAX);
        let earned = in_micros(passed).unwrap_or(i64::MAX);
        if earned > 0 {
            self.credit = self.credit.saturating_add(earned).min(burst);
            self.credited = now;
        }
        if self.credit > 0 {
            return Duration::ZERO;
        }
        let lacking = u128::from(self.credit.unsigned_abs()) + 1;
        let micros = lacking * 1_000_000_000 / u128::from(rate.max(1)) + 1;
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).min(PTO_MAX)
    }

    /// The receipt came `took` after the first of `attempts`. Where others followed, it says nothing (Karn's rule),
    /// but on a path without loss: there they were too early, and this is how that is learnt.
    pub fn receipted(&mut self, took: Duration, attempts: u32, path: &Path) {
        let is_lossless = path.loss_out.max(path.loss_in).unwrap_or_default() <= LOSSLESS_MAX;
        if attempts > 1 && !is_lossless {
            return;
        }
        let sample = took.saturating_sub(path.rtt.map_or(Duration::ZERO, |rtt| rtt.smoothed));
        self.ack_delay = Some(match self.ack_delay {
            None => Rtt { smoothed: sample, variation: sample / 2 },
            Some(Rtt { smoothed, variation }) => {
                let error = smoothed.abs_diff(sample);
                Rtt { smoothed: (smoothed * 7 + sample) / 8, variation: (variation * 3 + error) / 4 }
            }
        });
    }

    /// Counts a message of so many bytes sent to the peer.
    pub fn sent(&mut self, now: Time, bytes: usize) {
        self.turn(now);
        let datagrams = u32::try_from(bytes.div_ceil(DATAGRAM_BYTES_MAX)).unwrap_or(u32::MAX);
        self.sent_this_second = self.sent_this_second.saturating_add(datagrams);
        self.credit = self.credit.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// How many datagrams of one message go out for an attempt.
    pub fn copies(&mut self, now: Time, loss: PerMille, is_retry: bool) -> u8 {
        self.turn(now);
        if self.sent_this_second.max(self.sent_last_second) > INTERACTIVE_PER_SECOND_MAX {
            return 1;
        }
        let loss = u64::from(loss.0.min(1000));
        let mut copies = 1;
        let mut joint = loss;
        while joint > JOINT_LOSS_MAX && copies < COPIES_MAX {
            joint = joint * loss / 1000;
            copies += 1;
        }
        if is_retry { copies.max(2) } else { copies }
    }

    fn turn(&mut self, now: Time) {
        let passed = now.since(self.second_began);
        if passed >= Duration::from_secs(1) {
            self.sent_last_second = if passed < Duration::from_secs(2) { self.sent_this_second } else { 0 };
            self.sent_this_second = 0;
            self.second_began = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(rtt_ms: u64) -> Path {
        let rtt = Rtt { smoothed: Duration::from_millis(rtt_ms), variation: Duration::from_millis(1) };
        Path { rtt: Some(rtt), ..Path::default() }
    }

    #[test]
    fn the_first_timeout_needs_no_sample() {
        assert_eq!(Pace::default().pto(&Path::default()), PTO_FIRST);
        assert_eq!(Pace::default().pto(&path(50)), Duration::from_millis(50 + 4 + 25));
    }

    #[test]
    fn a_slow_disk_at_the_receiver_is_waited_for() {
        let mut pace = Pace::default();
        for _ in 0..50 {
            pace.receipted(Duration::from_millis(150), 2, &path(50));
            pace.receipted(Duration::from_millis(900), 2, &Path { loss_in: Some(PerMille(200)), ..path(50) });
        }
        let pto = pace.pto(&path(50));
        assert!((Duration::from_millis(154)..Duration::from_millis(170)).contains(&pto), "{pto:?}");
    }

    #[test]
    fn copies_follow_the_loss_of_interactive_traffic_only() {
        let mut pace = Pace::default();
        let now = Time::from_micros(5_000_000);
        let copies: Vec<u8> = [0, 5, 10, 50, 100, 200, 500].map(|loss| pace.copies(now, PerMille(loss), false)).into();
        assert_eq!(copies, [1, 1, 2, 2, 3, 3, 3]);
        assert_eq!(pace.copies(now, PerMille(0), true), 2);
        pace.sent(now, 16 * 1024);
        assert_eq!(pace.copies(now, PerMille(500), true), 3, "one long text");
        (0..7).for_each(|_| pace.sent(now, 100));
        assert_eq!(pace.copies(now, PerMille(500), true), 1);
    }

    #[test]
    fn a_window_leaves_within_a_round_trip_and_a_tenth_of_a_second_is_not_one_burst() {
        const WINDOW: usize = 32 * 1_100;
        let mut pace = Pace::default();
        let start = Time::from_micros(5_000_000);
        let (mut now, mut sent, mut at_once) = (start, 0, 0);
        while sent < WINDOW {
            let wait = pace.wait(now, &path(100), WINDOW);
            if wait.is_zero() {
                pace.sent(now, 1_100);
                sent += 1_100;
                at_once += usize::from(now == start);
            }
            now += wait;
        }
        assert!((10..=11).contains(&at_once), "{at_once}");
        let took = now.since(start);
        assert!((Duration::from_millis(40)..Duration::from_millis(80)).contains(&took), "{took:?}");
    }

    #[test]
    fn a_short_path_is_not_paced() {
        let mut pace = Pace::default();
        let path =
            Path { rtt: Some(Rtt { smoothed: Duration::from_micros(200), variation: Duration::ZERO }), ..path(1) };
        let now = Time::from_micros(5_000_000);
        for _ in 0..32 {
            assert_eq!(pace.wait(now, &path, 32 * 1_100), Duration::ZERO);
            pace.sent(now, 1_100);
        }
    }
}
