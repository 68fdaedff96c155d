//! What echoes tell of a path: round trip, loss each way, and when the peer last heard us. Owns the estimate
//! of one session; knows no datagram's content.

use std::collections::VecDeque;
use std::time::Duration;

use super::replay::ReplayWindow;
use crate::base::limits::SENT_TIMES_MAX;
use crate::base::{Path, PerMille, Rtt, Time};
use crate::wire::sealed::{ECHO_WINDOW, Echo, EchoOf};

/// Fewer datagrams that a peer shows no sign of may be lost by chance.
const UNHEARD_DATAGRAMS: usize = 3;
/// A peer shows what it received after so long, and a round trip: its heartbeats come each second.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);
/// A share of fewer datagrams would be chance: until then it is what the session before has measured, or not known.
const LOSS_DATAGRAMS_MIN: u64 = 16;

#[derive(Debug, Default)]
pub(super) struct PathMeter {
    path: Path,
    /// When the highest counter received arrived.
    newest_at: Time,
    /// When each datagram since `sent_from` was sent; older ones are echoed already, or given up.
    sent: VecDeque<Time>,
    sent_from: u64,
    /// The highest counter that the peer has echoed.
    echoed: Option<u64>,
    /// What the echo before said of our loss.
    lost_before: Option<PerMille>,
}

impl PathMeter {
    /// A path that the handshake has shown already: heard now, one's own message heard that was sent at
    /// `hears_me`, and a round trip where it was measured or known from an earlier session.
    pub(super) fn new(now: Time, hears_me: Time, rtt: Option<Rtt>) -> Self {
        let path = Path { heard: Some(now), hears_me: Some(hears_me), rtt, ..Path::default() };
        Self { path, ..Self::default() }
    }

    /// Takes over what an earlier session has measured of the same way, until this one knows better.
    pub(super) fn adopt(&mut self, before: Path) {
        self.path.rtt = self.path.rtt.or(before.rtt);
        self.path.loss_out = before.loss_out;
        self.path.loss_in = before.loss_in;
        self.lost_before = before.loss_out;
    }

    pub(super) fn path(&self) -> Path {
        self.path
    }

    /// Counters are sent in order, each once.
    pub(super) fn record_sent(&mut self, now: Time) {
        if self.sent.len() == SENT_TIMES_MAX {
            self.sent.pop_front();
            self.sent_from += 1;
        }
        self.sent.push_back(now);
    }

    /// An authentic datagram arrived; `newest` says whether its counter is the highest.
    pub(super) fn record_heard(&mut self, now: Time, newest: bool, replay: &ReplayWindow) {
        self.path.heard = Some(now);
        self.path.overtaken = !newest;
        if newest {
            self.newest_at = now;
        }
        if let Some(lost) = share_lost(replay.highest().unwrap_or(0), replay.arrived()) {
            self.path.loss_in = Some(lost);
        }
    }

    /// The echo that goes out now.
    pub(super) fn echo(&self, now: Time, replay: &ReplayWindow) -> Echo {
        let newest = replay.highest().map(|counter| EchoOf {
            counter,
            held_us: now.as_micros().saturating_sub(self.newest_at.as_micros()),
            arrived: replay.arrived(),
        });
        Echo { newest }
    }

    /// Takes the peer's echo. False if it speaks of a datagram that was never sent.
    #[must_use]
    pub(super) fn handle_echo(&mut self, now: Time, echo: Echo) -> bool {
        let is_sound = self.take_echo(now, echo);
        let round_trip = self.path.rtt.map_or(Duration::ZERO, |rtt| rtt.smoothed);
        let had_time = |&sent_at: &Time| now.since(sent_at) >= SHOWN_WITHIN + round_trip;
        let all_had_time = self.sent.get(UNHEARD_DATAGRAMS - 1).is_some_and(had_time);
        let first = self.sent.front().filter(|_| all_had_time);
        self.path.unheard_for = first.map_or(Duration::ZERO, |&sent_at| now.since(sent_at));
        is_sound
    }

    fn take_echo(&mut self, now: Time, echo: Echo) -> bool {
        let Some(EchoOf { counter, held_us, arrived }) = echo.newest else {
            return true;
        };
        let sent_len = u64::try_from(self.sent.len()).expect("bounded");
        if counter >= self.sent_from + sent_len {
            return false;
        }
        if self.echoed.is_some_and(|echoed| counter < echoed) {
            return true;
        }
        if let Some(lost) = share_lost(counter, arrived) {
            // What was only overtaken is missing from one echo, and back in the next.
            if let Some(before) = self.lost_before.replace(lost) {
                self.path.loss_out = Some(lost.min(before));
            }
        }
        self.echoed = Some(counter);
        let Some(known) = counter.checked_sub(self.sent_from) else {
            return true;
        };
        let past = usize::try_from(known).expect("within the queue") + 1;
        if let Some(sent_at) = self.sent.drain(..past).next_back() {
            self.path.hears_me = self.path.hears_me.max(Some(sent_at));
            // The peer held the datagram for a while before this echo left: that is not the path's time.
            let sample = now.since(sent_at).saturating_sub(Duration::from_micros(held_us));
            if sample <= RTT_SAMPLE_MAX {
                self.path.rtt = Some(smoothed(self.path.rtt, sample));
            }
        }
        self.sent_from = counter + 1;
        true
    }
}

/// A longer sample measured a process that stood still, not the path: twice what a geostationary satellite link
/// takes with full queues. A guess.
const RTT_SAMPLE_MAX: Duration = Duration::from_secs(3);

/// RFC 6298, sections 2.2 and 2.3, without its clock granularity.
pub(super) fn smoothed(before: Option<Rtt>, sample: Duration) -> Rtt {
    match before {
        None => Rtt { smoothed: sample, variation: sample / 2 },
        Some(Rtt { smoothed, variation }) => {
            let deviation = smoothed.abs_diff(sample);
            Rtt { variation: (variation * 3 + deviation) / 4, smoothed: (smoothed * 7 + sample) / 8 }
        }
    }
}

fn share_lost(highest: u64, arrived: u8) -> Option<PerMille> {
    let sent = highest.saturating_add(1).min(u64::from(ECHO_WINDOW));
    if sent < LOSS_DATAGRAMS_MIN {
        return None;
    }
    let lost = sent.saturating_sub(u64::from(arrived));
    Some(PerMille(u16::try_from(lost * 1000 / sent).expect("at most 1000")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    fn echo_of(counter: u64, held_ms: u64, arrived: u8) -> Echo {
        Echo { newest: Some(EchoOf { counter, held_us: held_ms * 1000, arrived }) }
    }

    #[test]
    fn what_the_peer_held_is_no_part_of_the_round_trip() {
        let mut meter = PathMeter::default();
        meter.record_sent(at_ms(100));
        assert!(meter.handle_echo(at_ms(1_140), echo_of(0, 1_000, 1)));
        let path = meter.path();
        assert_eq!(path.rtt.unwrap().smoothed, Duration::from_millis(40));
        assert_eq!(path.hears_me, Some(at_ms(100)));
    }

    #[test]
    fn a_peer_that_shows_no_sign_of_what_it_is_sent_has_not_heard_it_for_so_long() {
        let mut meter = PathMeter::default();
        let unheard_ms = |meter: &mut PathMeter, now_ms, echo| {
            assert!(meter.handle_echo(at_ms(now_ms), echo));
            meter.path().unheard_for.as_millis()
        };
        meter.record_sent(at_ms(0));
        assert_eq!(unheard_ms(&mut meter, 39_000, Echo { newest: None }), 0, "one datagram is lost by chance");
        for ms in [40_000, 40_001] {
            meter.record_sent(at_ms(ms));
        }
        assert_eq!(unheard_ms(&mut meter, 40_900, Echo { newest: None }), 0, "two may be on their way");
        assert_eq!(unheard_ms(&mut meter, 41_001, Echo { newest: None }), 41_001);
        assert_eq!(unheard_ms(&mut meter, 41_100, echo_of(1, 0, 1)), 0);
    }

    #[test]
    fn an_echo_of_what_was_never_sent_changes_nothing() {
        let mut meter = PathMeter::default();
        meter.record_sent(at_ms(0));
        let before = meter.path();
        assert!(!meter.handle_echo(at_ms(1), echo_of(1, 0, 1)));
        assert!(!meter.handle_echo(at_ms(1), echo_of(u64::MAX, 0, 1)));
        assert_eq!(meter.path(), before);
    }

    #[test]
    fn loss_is_told_from_sixteen_datagrams_on() {
        let mut meter = PathMeter::default();
        (0..16).for_each(|ms| meter.record_sent(at_ms(ms)));
        assert!(meter.handle_echo(at_ms(20), echo_of(14, 0, 10)));
        assert!(meter.handle_echo(at_ms(20), echo_of(14, 0, 10)));
        assert_eq!(meter.path().loss_out, None, "which is not the same as no loss");
        assert!(meter.handle_echo(at_ms(20), echo_of(15, 0, 12)));
        assert!(meter.handle_echo(at_ms(21), echo_of(15, 0, 12)));
        assert_eq!(meter.path().loss_out, Some(PerMille(250)));
    }

    #[test]
    fn what_was_only_overtaken_is_no_loss() {
        let mut meter = PathMeter::default();
        (0..64).for_each(|ms| meter.record_sent(at_ms(ms)));
        for (counter, arrived) in [(60, 61), (62, 62), (62, 63), (63, 63), (63, 64)] {
            assert!(meter.handle_echo(at_ms(70), echo_of(counter, 0, arrived)));
            assert_eq!(meter.path().loss_out.unwrap_or_default(), PerMille(0), "{counter}");
        }
    }

    #[test]
    fn a_datagram_that_came_behind_a_later_one_was_overtaken() {
        let (mut meter, mut replay) = (PathMeter::default(), ReplayWindow::new());
        let overtaken = [0, 2, 1, 3].map(|counter| {
            let newest = replay.mark(counter);
            meter.record_heard(at_ms(counter), newest, &replay);
            meter.path().overtaken
        });
        assert_eq!(overtaken, [false, false, true, false]);
    }

    #[test]
    fn a_new_session_begins_with_the_loss_that_the_one_before_has_measured() {
        let mut meter = PathMeter::default();
        meter.adopt(Path { loss_out: Some(PerMille(200)), loss_in: Some(PerMille(50)), ..Path::default() });
        (0..64).for_each(|ms| meter.record_sent(at_ms(ms)));
        assert!(meter.handle_echo(at_ms(70), echo_of(10, 0, 11)));
        assert_eq!((meter.path().loss_out, meter.path().loss_in), (Some(PerMille(200)), Some(PerMille(50))));
        assert!(meter.handle_echo(at_ms(71), echo_of(63, 0, 64)));
        assert_eq!(meter.path().loss_out, Some(PerMille(0)));
    }

    #[test]
    fn a_peer_that_never_answers_costs_bounded_memory() {
        let mut meter = PathMeter::default();
        (0..5_000).for_each(|ms| meter.record_sent(at_ms(ms)));
        assert_eq!(meter.sent.len(), SENT_TIMES_MAX);
        assert!(meter.handle_echo(at_ms(5_000), echo_of(10, 0, 11)), "known, but its time is forgotten");
        assert_eq!(meter.path().rtt, None);
        assert!(meter.handle_echo(at_ms(5_000), echo_of(4_999, 0, 64)));
        assert_eq!(meter.path().rtt.unwrap().smoothed, Duration::from_millis(1));
    }
}
