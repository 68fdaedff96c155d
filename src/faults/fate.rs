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

/// One datagram of a link, as what its draws are made from: seed, link and number.
#[derive(Clone, Copy)]
pub(super) struct Passage<'a> {
    seed: &'a [u8; 32],
    index: u64,
    /// What all draws of the link begin with.
    link: [u8; LINK_BYTES_MAX],
    link_bytes: usize,
}

/// Whether a link was in a burst at its last datagram, so that the next need not walk back. Only a short cut: it holds what
/// the walk would find, or nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Chain {
    last: Option<(u64, bool)>,
    /// What the bursts were like.
    share: Share,
    length: u32,
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
pub(super) fn draw(conditions: &Conditions, passage: Passage<'_>, chain: &mut Chain) -> Fate {
    if conditions.is_cut {
        return Fate::Drop(DropReason::Cut);
    }
    let in_burst = conditions.burst.filter(|&burst| chain.meets(burst, passage));
    if passage.falls_to(conditions.loss, Purpose::Loss)
        || in_burst.is_some_and(|burst| passage.falls_to(burst.loss, Purpose::LossInBurst))
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

impl<'a> Passage<'a> {
    /// The `index`th datagram from `from` to `to`.
    pub fn new(seed: &'a [u8; 32], from: Option<MemberId>, to: Option<MemberId>, index: u64) -> Self {
        let mut passage = Self { seed, index, link: [0; LINK_BYTES_MAX], link_bytes: 0 };
        for end in [from, to] {
            passage.begin_with(&[u8::from(end.is_some())]);
            if let Some(member) = end {
                passage.begin_with(&member.0);
            }
        }
        passage
    }

    fn begin_with(&mut self, bytes: &[u8]) {
        let end = self.link_bytes + bytes.len();
        self.link[self.link_bytes..end].copy_from_slice(bytes);
        self.link_bytes = end;
    }
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

    /// Whether the link is in a burst at this datagram.
    ///
    /// The state is a chain of two, so it depends on all that was before. But each datagram has one draw that moves
    /// either state, and most draws lead to the same state from both: walking back to the last such draw gives exactly the
    /// state that a walk from the beginning would have given, without remembering anything (coupling from the past; Propp
    /// and Wilson 1996). The walk takes at most `WALK_PER_LENGTH` lengths; what lies before that is drawn, and matters
    /// once in 2⁴⁶ datagrams.
    fn meets(self, burst: Burst) -> bool {
        let Chances { begins, goes_on } = Chances::of(burst);
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
        let mut input = [0; LINK_BYTES_MAX + 9];
        let (link, rest) = input.split_at_mut(self.link_bytes);
        link.copy_from_slice(&self.link[..self.link_bytes]);
        rest[..8].copy_from_slice(&self.index.to_be_bytes());
        rest[8] = purpose as u8;
        let hash = blake3::keyed_hash(self.seed, &input[..self.link_bytes + 9]);
        let draw = hash.as_bytes().first_chunk().copied().map_or(0, u64::from_be_bytes);
        let wide = u128::from(draw) * u128::from(bound);
        u64::try_from(wide >> 64).expect("a product of two 64-bit numbers, shifted by 64, fits")
    }
}

impl Chain {
    /// [`Passage::meets`], by one step where the state before is known.
    fn meets(&mut self, burst: Burst, passage: Passage<'_>) -> bool {
        let known = self.last.filter(|_| (self.share, self.length) == (burst.share, burst.length));
        let is_burst = match known {
            Some((last, was_burst)) if last.checked_add(1) == Some(passage.index) => {
                Chances::of(burst).step(was_burst, passage)
            }
            Some(_) | None => passage.meets(burst),
        };
        *self = Self { last: Some((passage.index, is_burst)), share: burst.share, length: burst.length };
        is_burst
    }
}

/// How the state of a link changes at a datagram, in parts of `UNIT`.
struct Chances {
    /// That a burst begins where there is none.
    begins: u64,
    /// That one goes on.
    goes_on: u64,
}

impl Chances {
    fn of(burst: Burst) -> Self {
        let share = u64::from(burst.share.ppm());
        let ends = UNIT / u64::from(burst.length.max(1));
        let begins = (ends * share / (u64::from(Share::ALL.ppm()) - share).max(1)).min(UNIT);
        Self { begins, goes_on: UNIT - ends }
    }

    fn step(&self, was_burst: bool, passage: Passage<'_>) -> bool {
        passage.below(UNIT, Purpose::Burst) < if was_burst { self.goes_on } else { self.begins }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Each end: whether it is known, and its id.
const LINK_BYTES_MAX: usize = 2 * 33;
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
            let passage = Passage::new(&[7; 32], None, Some(MemberId([2; 32])), 0);
            let chances = Chances::of(burst);
            assert_eq!(chances.begins > chances.goes_on, share == percent(60));
            let mut is_burst = passage.falls_to(share, Purpose::BurstBefore);
            let mut chain = Chain::default();
            for index in 0..5_000 {
                let at = Passage { index, ..passage };
                is_burst = chances.step(is_burst, at);
                assert_eq!(chain.meets(burst, at), is_burst, "by one step, at {index}");
                assert_eq!(at.meets(burst), is_burst, "at {index}, {share:?} in bursts of {length}");
            }
        }
    }
}
