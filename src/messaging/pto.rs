//! When to send again, and how often at once. Owns the estimates of one peer: how long it takes to answer
//! with a receipt, and how busy the way to it is. Pure arithmetic in integers.

use std::time::Duration;

use crate::base::{Path, PerMille, Rtt, Time};

/// Before there is a sample (RFC 9002 section 6.2.2 takes 333 ms; rooms are mostly local).
const PTO_FIRST: Duration = Duration::from_millis(200);
/// Backing off ends here, so that ten seconds of trying are at least eight attempts.
const PTO_MAX: Duration = Duration::from_secs(2);
/// A receiver may take this long to commit and to coalesce its receipts, until it has shown what it takes.
const ACK_DELAY_FIRST: Duration = Duration::from_millis(25);
const ACK_DELAY_MIN: Duration = Duration::from_millis(10);
const ACK_DELAY_MAX: Duration = Duration::from_secs(1);
/// Copies are spread so that one short outage does not take all of them.
pub(super) const COPY_GAP: Duration = Duration::from_millis(5);
/// What all copies together may lose, in parts of a thousand.
const JOINT_LOSS_MAX: u64 = 10;
const COPIES_MAX: u8 = 3;
/// Below it a retry is taken for one that was not needed.
const LOSSLESS_MAX: PerMille = PerMille(10);
/// Messages a second to one peer, above which traffic counts as bulk and gets no copies.
const INTERACTIVE_PER_SECOND_MAX: u32 = 20;

/// The estimates of one peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// From a first attempt to its receipt, less the round trip (RFC 6298 section 2).
    ack_delay: Option<Rtt>,
    second_began: Time,
    sent_this_second: u32,
    sent_last_second: u32,
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

    /// The next one, after `pto`.
    #[must_use]
    pub fn backed_off(pto: Duration) -> Duration {
        (pto * 3 / 2).min(PTO_MAX)
    }

    /// The receipt came `took` after the first of `attempts`. Where others followed, it says nothing (Karn's rule),
    /// but on a path without loss: there they were too early, and this is how that is learnt.
    pub fn receipted(&mut self, took: Duration, attempts: u32, path: &Path) {
        let is_lossless = path.loss_out <= LOSSLESS_MAX && path.loss_in <= LOSSLESS_MAX;
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

    /// Counts a message sent to the peer.
    pub fn sent(&mut self, now: Time) {
        self.turn(now);
        self.sent_this_second += 1;
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
            pace.receipted(Duration::from_millis(900), 2, &Path { loss_in: PerMille(200), ..path(50) });
        }
        let pto = pace.pto(&path(50));
        assert!((Duration::from_millis(154)..Duration::from_millis(170)).contains(&pto), "{pto:?}");
    }

    #[test]
    fn copies_follow_the_loss_of_interactive_traffic_only() {
        let mut pace = Pace::default();
        let now = Time::from_micros(5_000_000);
        let copies: Vec<u8> = [0, 10, 50, 100, 200, 500].map(|loss| pace.copies(now, PerMille(loss), false)).into();
        assert_eq!(copies, [1, 1, 2, 2, 3, 3]);
        assert_eq!(pace.copies(now, PerMille(0), true), 2);
        (0..=INTERACTIVE_PER_SECOND_MAX).for_each(|_| pace.sent(now));
        assert_eq!(pace.copies(now, PerMille(500), true), 1);
    }
}
