//! How long a path must stay silent before its loss does not explain it. Owns the arithmetic, in millionths; knows
//! neither links nor time that passed.

use std::time::Duration;

use crate::base::PerMille;

const PROBES_MIN: u32 = 3;
/// Up to here probes alone are counted; if so many do not tell loss from silence, the heartbeats that stay out count too.
pub const PROBES_ALONE_MAX: u32 = 8;
/// No silence is tested for longer, however much the path loses: whoever dies behind such a path is gone then (a guess).
const TESTED_MAX: Duration = Duration::from_secs(60);
/// Who is dialled can answer about once in this time: a dial tries three times, and then waits for 2 s.
const DIAL_SPACING: Duration = Duration::from_secs(1);
const MILLION: u64 = 1_000_000;
/// Of these, one in a thousand.
const RARE: u64 = 1_000;

/// What a path loses, in millionths.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Of the probes: they or their answers.
    both: u64,
    /// Of the heartbeats.
    back: u64,
}

impl Loss {
    #[must_use]
    pub fn new(out: PerMille, back: PerMille) -> Self {
        let millionths = |share: PerMille| u64::from(share.0.min(1000)) * 1000;
        let (out, back) = (millionths(out), millionths(back));
        Self { both: MILLION - (MILLION - out) * (MILLION - back) / MILLION, back }
    }

    /// As many probes, `spacing` apart, as make it less likely than one in a thousand that a member that is there is silent
    /// by chance.
    #[must_use]
    pub fn probes(self, spacing: Duration) -> u32 {
        // By chance: all probes so far, and all heartbeats, with the one that the silence began with.
        let (mut probes, mut beats) = (MILLION, self.back);
        let mut count = 0;
        loop {
            let chance = if count < PROBES_ALONE_MAX { probes } else { probes * beats / MILLION };
            if count >= PROBES_MIN && (chance < RARE || spacing * count >= TESTED_MAX) {
                return count;
            }
            count += 1;
            probes = probes * self.both / MILLION;
            if (spacing * count).as_secs() > (spacing * (count - 1)).as_secs() {
                beats = beats * self.back / MILLION;
            }
        }
    }

    /// For how long one without a session is dialled beyond the usual: not at all where a few probes would tell.
    #[must_use]
    pub fn dialled(self) -> Duration {
        // Who has no session sends no heartbeats.
        let count = Self { back: MILLION, ..self }.probes(DIAL_SPACING);
        if count <= PROBES_ALONE_MAX { Duration::ZERO } else { DIAL_SPACING * count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACING: Duration = Duration::from_millis(250);

    fn probes(out: u16, back: u16) -> u32 {
        Loss::new(PerMille(out), PerMille(back)).probes(SPACING)
    }

    #[test]
    fn more_loss_takes_more_probes() {
        assert_eq!(probes(0, 0), 3);
        assert_eq!(probes(50, 50), 3);
        assert_eq!(probes(200, 200), 7);
        assert_eq!(probes(500, 0), 8, "the heartbeats would have come");
    }

    #[test]
    fn the_more_a_path_loses_the_longer_its_silence_is_tested() {
        let tested = |lost| (SPACING * probes(lost, lost)).as_millis();
        let found = [240, 300, 400, 500, 700, 800, 900, 1000, u16::MAX].map(tested);
        assert_eq!(found, [2_000, 2_000, 2_500, 3_750, 9_000, 17_750, 47_000, 60_000, 60_000]);
    }

    #[test]
    fn who_has_no_session_is_dialled_for_longer_behind_a_path_that_loses_much() {
        let dialled = |lost| Loss::new(PerMille(lost), PerMille(lost)).dialled().as_secs();
        assert_eq!([0, 200, 240, 300, 500, 800].map(dialled), [0, 0, 9, 11, 25, 60]);
    }
}
