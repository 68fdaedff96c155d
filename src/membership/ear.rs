//! How many heartbeats stay out lately, on one link and on most of them. Owns the count, which is quicker than the loss
//! that transport measures and believed only where it is bad; what it means for a silence is for `detector`.
//!
//! A heartbeat is known to be lost once a later one came, so a silence that lasts counts for nothing here: it may be a
//! crash. The gaps that ended tell whether it is the path.

use std::time::Duration;

use crate::base::{MemberId, PerMille, Time};

/// One heartbeat counts so much, half of that after the next, and so on.
const UNIT: u32 = 1 << 10;
const HALF_A_BEAT: Duration = Duration::from_millis(500);
/// A longer gap tells of one outage, not of what the path loses when it is there (a guess).
const GAP_MAX: u64 = 8;
/// From here on a link's count is believed. Where a twentieth is lost it takes three in a row, one in 8,000.
const LINK_POOR: PerMille = PerMille(600);
/// From here on this node does not hear well, whomever it listens to; of a single link as much is asked as above.
const EAR_POOR: PerMille = PerMille(500);

/// Silences are remembered for so long, and at most twice that (a guess).
const REMEMBERED: Duration = Duration::from_secs(10);
/// A longer one was an outage. Twice this is waited for at most, so that a node that is cut off shows all as not heard
/// within the 30 s that are aimed at.
const ENDED_MAX: Duration = Duration::from_secs(8);

/// How this node hears.
#[derive(Clone, Copy, Debug)]
pub struct Ear {
    pub me: MemberId,
    /// What it loses of what anybody sends, if that is much.
    pub poor: Option<PerMille>,
    /// How long a silence must last before its word alone makes it more than that.
    pub alone: Duration,
}

/// The heartbeats of one member.
#[derive(Clone, Copy, Debug)]
pub struct Beats {
    /// The newest tick, and when it came.
    newest: Option<(u64, Time)>,
    came: u32,
    lost: u32,
}

impl Beats {
    #[must_use]
    pub const fn new() -> Self {
        Self { newest: None, came: 0, lost: 0 }
    }

    /// A heartbeat came of the member's own accord. What is missing before it was lost, as far as there was time for it.
    pub fn hear(&mut self, now: Time, tick: u64) {
        if let Some((before, at)) = self.newest {
            if tick <= before {
                return;
            }
            let seconds = (now.since(at) + HALF_A_BEAT).as_secs();
            let gap = u32::try_from((tick - before).min(seconds).saturating_sub(1).min(GAP_MAX)).unwrap_or(0);
            // A link that is new has lost nothing before.
            let came = if self.came == 0 { 2 * UNIT } else { self.came };
            self.came = came / 2 + UNIT;
            self.lost = self.lost / 2 + gap * UNIT;
        }
        self.newest = Some((tick, now));
    }

    /// The share that stays out lately; `None` before two came.
    fn share(self) -> Option<PerMille> {
        let all = self.came + self.lost;
        let share = (self.lost * 1000).checked_div(all)?;
        Some(PerMille(u16::try_from(share).unwrap_or(1000)))
    }

    /// What the link loses, if that is much.
    #[must_use]
    pub fn poor(self) -> Option<PerMille> {
        self.share().filter(|&share| share >= LINK_POOR)
    }
}

/// What this node loses of what anybody sends, by the mean of its links, if that is much: a single link says nothing of
/// it where there are others.
#[must_use]
pub fn poor_ear<'a>(links: impl Iterator<Item = &'a Beats>) -> Option<PerMille> {
    let (mut sum, mut count) = (0, 0);
    for share in links.filter_map(|beats| beats.share()) {
        sum += u32::from(share.0);
        count += 1;
    }
    let mean = PerMille(u16::try_from(sum.checked_div(count)?).unwrap_or(1000));
    let poor = if count == 1 { LINK_POOR } else { EAR_POOR };
    (mean >= poor).then_some(mean)
}

/// The longest silence that ended lately of a member that was there all the time. It says how long a silence may last and
/// mean nothing, sooner than the share of what is lost can be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Longest {
    lately: Duration,
    before: Duration,
    turns_at: Time,
}

impl Longest {
    /// A silence of `span` ended.
    pub fn note(&mut self, now: Time, span: Duration) {
        self.turn(now);
        self.lately = self.lately.max(span.min(ENDED_MAX));
    }

    /// Forgets what is old.
    pub fn turn(&mut self, now: Time) {
        if now >= self.turns_at {
            let is_old = now >= self.turns_at + REMEMBERED;
            self.before = if is_old { Duration::ZERO } else { self.lately };
            self.lately = Duration::ZERO;
            self.turns_at = now + REMEMBERED;
        }
    }

    /// How long a silence must last before this node's word alone makes it more than that.
    #[must_use]
    pub fn alone(&self) -> Duration {
        self.lately.max(self.before) * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each at its second.
    fn at(tick: u64) -> Time {
        Time::from_micros(tick * 1_000_000)
    }

    fn heard(ticks: &[u64]) -> Beats {
        let mut beats = Beats::new();
        for &tick in ticks {
            beats.hear(at(tick), tick);
        }
        beats
    }

    #[test]
    fn three_in_a_row_are_much_and_two_are_not() {
        assert_eq!(heard(&[7]).share(), None);
        assert_eq!(heard(&[7, 9]).share(), Some(PerMille(333)));
        assert_eq!(heard(&[7, 8, 9, 10]).share(), Some(PerMille(0)));
        assert_eq!(heard(&[7, 8, 9, 10, 13]).poor(), None);
        assert!(heard(&[7, 8, 9, 10, 14]).poor().is_some());
        assert_eq!(heard(&[7, 8, 9, 10, 14, 15, 16]).poor(), None, "it is forgotten soon");
        assert!(heard(&[7, 12, 16, 21]).poor().unwrap() >= PerMille(760));
    }

    #[test]
    fn an_outage_is_not_taken_for_what_is_lost_all_the_time() {
        let mut beats = heard(&[7, 8, 9, 10_000]);
        assert_eq!(beats.poor(), Some(PerMille(800)));
        (10_001..10_004).for_each(|tick| beats.hear(at(tick), tick));
        assert_eq!(beats.poor(), None);
    }

    #[test]
    fn a_tick_that_ran_ahead_of_time_leaves_no_gap() {
        let mut beats = heard(&[7, 8, 9]);
        beats.hear(at(10), 1_000);
        beats.hear(at(11), 1_500);
        assert_eq!(beats.share(), Some(PerMille(0)));
    }

    #[test]
    fn one_bad_link_of_three_is_not_a_bad_ear() {
        let (bad, good, new) = (heard(&[7, 90, 170]), heard(&[7, 8, 9]), heard(&[7]));
        assert_eq!(poor_ear([&heard(&[7, 8, 11])].into_iter()), None, "two in a row, and there is no other");
        assert_eq!(poor_ear([&bad, &good].into_iter()), None);
        assert_eq!(poor_ear([&bad, &good, &good].into_iter()), None);
        assert!(poor_ear([&bad, &good, &bad].into_iter()).is_some());
        assert!(poor_ear([&bad, &new].into_iter()).is_some(), "nothing is known of the other yet");
        assert_eq!(poor_ear(std::iter::empty()), None);
    }

    #[test]
    fn the_longest_silence_that_ended_is_remembered_for_ten_to_twenty_seconds() {
        let mut longest = Longest::default();
        let secs = Duration::from_secs;
        longest.note(at(100), secs(2));
        longest.note(at(101), secs(3));
        longest.note(at(102), secs(1));
        assert_eq!(longest.alone(), secs(6));
        longest.note(at(110), secs(1));
        assert_eq!(longest.alone(), secs(6));
        longest.turn(at(120));
        assert_eq!(longest.alone(), secs(2));
        longest.note(at(121), secs(3_600));
        assert_eq!(longest.alone(), secs(16), "that was an outage");
        longest.turn(at(200));
        assert_eq!(longest.alone(), secs(0));
    }
}
