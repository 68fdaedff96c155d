//! Fates: what becomes of one datagram. Owns the draws, each a hash of the seed, the link, the datagram's
//! number on it and what is drawn for, so that one change never reshuffles the rest.

use std::time::Duration;

use super::conditions::Conditions;
use super::rule::{Burst, Share};
use crate::base::MemberId;

/// What becomes of one datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Drop(DropReason),
    /// It arrives, perhaps once more.
    Deliver {
        first: Arrival,
        again: Option<Arrival>,
    },
}

/// Which fault took it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropReason {
    Cut,
    Loss,
    /// The link's queue was full, or more was to be held back than there is room for.
    Queue,
    /// A script's `datagram` hook.
    Hook,
}

/// How one copy of a datagram arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Arrival {
    /// Counted from when it left, and on top of what the network itself takes.
    pub after: Duration,
    pub damage: Damage,
}

/// What happens to the bytes. Each number is a place between the first (0) and the last (2³²), whatever the length.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Damage {
    pub truncate: Option<u32>,
    pub flip: Option<u32>,
}

/// One datagram: the `index`th from `from` to `to`.
#[derive(Clone, Copy)]
pub(super) struct Passage<'a> {
    pub seed: &'a [u8; 32],
    pub from: Option<MemberId>,
    pub to: Option<MemberId>,
    pub index: u64,
}

/// What is drawn for. A number is never given to another purpose, or every recorded run changes.
#[derive(Clone, Copy)]
enum Purpose {
    Loss = 1,
    Jitter = 2,
    Duplicate = 3,
    JitterOfCopy = 4,
    Burst = 5,
    LossInBurst = 6,
    BurstBefore = 7,
    Reorder = 8,
    LatenessOfCopy = 9,
    Truncate = 10,
    Length = 11,
    Corrupt = 12,
    Bit = 13,
    TruncateCopy = 14,
    LengthOfCopy = 15,
    CorruptCopy = 16,
    BitOfCopy = 17,
}

impl Fate {
    /// It passes at once and as it is.
    pub const SPARED: Self =
        Self::Deliver { first: Arrival { after: Duration::ZERO, damage: Damage::NONE }, again: None };
}

impl Damage {
    pub const NONE: Self = Self { truncate: None, flip: None };

    #[must_use]
    pub fn is_any(self) -> bool {
        self != Self::NONE
    }

    /// Does it to `bytes`: cuts them short first, by at least one, then flips one bit of what is left.
    pub fn apply(self, bytes: &mut Vec<u8>) {
        if let Some(place) = self.truncate {
            bytes.truncate(at(place, bytes.len()));
        }
        if let Some(place) = self.flip {
            let bit = at(place, bytes.len() * 8);
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }
}

/// `place` on a line of `length`; below `length`, unless that is zero.
fn at(place: u32, length: usize) -> usize {
    let scaled = (u64::from(place) * u64::try_from(length).unwrap_or(u64::MAX >> 32)) >> 32;
    usize::try_from(scaled).expect("below a length")
}

/// What becomes of a datagram under these conditions, but for the queue.
pub(super) fn draw(conditions: &Conditions, passage: Passage<'_>) -> Fate {
    if conditions.is_cut {
        return Fate::Drop(DropReason::Cut);
    }
    if passage.falls_to(conditions.loss, Purpose::Loss) || conditions.burst.is_some_and(|burst| passage.is_burst(burst))
    {
        return Fate::Drop(DropReason::Loss);
    }
    Fate::Deliver { first: first(conditions, passage), again: again(conditions, passage) }
}

fn first(conditions: &Conditions, passage: Passage<'_>) -> Arrival {
    let (share, by) = conditions.reorder;
    let held_back = if passage.falls_to(share, Purpose::Reorder) { by } else { Duration::ZERO };
    Arrival {
        after: passage.delayed(conditions, Purpose::Jitter) + held_back,
        damage: Damage {
            truncate: passage.place(conditions.truncate, Purpose::Truncate, Purpose::Length),
            flip: passage.place(conditions.corrupt, Purpose::Corrupt, Purpose::Bit),
        },
    }
}

fn again(conditions: &Conditions, passage: Passage<'_>) -> Option<Arrival> {
    let (share, within) = conditions.duplicate;
    passage.falls_to(share, Purpose::Duplicate).then(|| Arrival {
        after: passage.delayed(conditions, Purpose::JitterOfCopy) + passage.span(within, Purpose::LatenessOfCopy),
        damage: Damage {
            truncate: passage.place(conditions.truncate, Purpose::TruncateCopy, Purpose::LengthOfCopy),
            flip: passage.place(conditions.corrupt, Purpose::CorruptCopy, Purpose::BitOfCopy),
        },
    })
}

impl Passage<'_> {
    fn falls_to(self, share: Share, purpose: Purpose) -> bool {
        share != Share::NONE && self.below(u64::from(Share::ALL.ppm()), purpose) < u64::from(share.ppm())
    }

    fn place(self, share: Share, purpose: Purpose, of: Purpose) -> Option<u32> {
        self.falls_to(share, purpose).then(|| u32::try_from(self.below(1 << 32, of)).expect("drawn below 2³²"))
    }

    /// Evenly between nothing and `most`, whole microseconds, both included.
    fn span(self, most: Duration, purpose: Purpose) -> Duration {
        if most.is_zero() {
            return Duration::ZERO;
        }
        Duration::from_micros(self.below(micros(most).saturating_add(1), purpose))
    }

    fn delayed(self, conditions: &Conditions, purpose: Purpose) -> Duration {
        let (by, jitter) = conditions.delay;
        (by + self.span(jitter.saturating_mul(2), purpose)).saturating_sub(jitter)
    }

    fn is_burst(self, burst: Burst) -> bool {
        self.meets(burst) && self.falls_to(burst.loss, Purpose::LossInBurst)
    }

    /// Whether the link is in a burst at this datagram.
    ///
    /// The state is a chain of two, so it depends on all that was before. But each datagram has one draw that moves
    /// either state, and most draws lead to the same state from both: walking back to the last such draw gives exactly the
    /// state that a walk from the beginning would have given, without remembering anything (coupling from the past; Propp
    /// and Wilson 1996). The walk takes at most `WALK_PER_LENGTH` lengths; what lies before that is drawn, and matters
    /// once in 2⁴⁶ datagrams.
    fn meets(self, burst: Burst) -> bool {
        let share = u64::from(burst.share.ppm());
        let ends = UNIT / u64::from(burst.length);
        let begins = (ends * share / (u64::from(Share::ALL.ppm()) - share).max(1)).min(UNIT);
        let goes_on = UNIT - ends;
        let mut is_flipped = false;
        let mut at = self;
        for _ in 0..WALK_PER_LENGTH * burst.length {
            let draw = at.below(UNIT, Purpose::Burst);
            if draw < begins.min(goes_on) {
                return !is_flipped;
            }
            if draw >= begins.max(goes_on) {
                return is_flipped;
            }
            // Between the two, each state stays; or, where bursts begin more often than they go on, each changes.
            is_flipped ^= begins > goes_on;
            let Some(index) = at.index.checked_sub(1) else { break };
            at.index = index;
        }
        is_flipped ^ at.falls_to(burst.share, Purpose::BurstBefore)
    }

    /// An even draw below `bound`; its bias is below 2⁻²⁴ for bounds below 2⁴⁰.
    fn below(self, bound: u64, purpose: Purpose) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(self.seed);
        for end in [self.from, self.to] {
            match end {
                Some(member) => hasher.update(&[1]).update(&member.0),
                None => hasher.update(&[0]),
            };
        }
        hasher.update(&self.index.to_be_bytes()).update(&[purpose as u8]);
        let mut draw = [0; 8];
        hasher.finalize_xof().fill(&mut draw);
        let wide = u128::from(u64::from_be_bytes(draw)) * u128::from(bound);
        u64::try_from(wide >> 64).expect("a product of two 64-bit numbers, shifted by 64, fits")
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Chances of bursts are parts of this: fine enough for the smallest share of the longest burst.
const UNIT: u64 = 1_000_000_000_000;
/// A draw leads to the same state from both with a chance of at least 1 / length, so the walk is longer with less than e⁻³².
const WALK_PER_LENGTH: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fate_in_a_burst_is_that_of_a_walk_from_the_beginning() {
        let percent = |whole: u32| Share::from_ppm(whole * 10_000).unwrap();
        // The last begins bursts more often than it goes on with them.
        for (share, length) in [(percent(5), 20), (percent(20), 4), (percent(60), 2)] {
            let burst = Burst { share, length, loss: Share::ALL };
            let passage = Passage { seed: &[7; 32], from: None, to: Some(MemberId([2; 32])), index: 0 };
            let ends = UNIT / u64::from(length);
            let begins = ends * u64::from(share.ppm()) / u64::from(Share::ALL.ppm() - share.ppm());
            assert_eq!(begins > UNIT - ends, share == percent(60));
            let mut is_burst = passage.falls_to(share, Purpose::BurstBefore);
            for index in 0..5_000 {
                let at = Passage { index, ..passage };
                is_burst = at.below(UNIT, Purpose::Burst) < if is_burst { UNIT - ends } else { begins };
                assert_eq!(at.meets(burst), is_burst, "at {index}, {share:?} in bursts of {length}");
            }
        }
    }
}
