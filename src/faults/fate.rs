//! Fates: what becomes of one datagram. Owns the draws, each a hash of the seed, the link, the datagram's
//! number on it and what is drawn for, so that one change never reshuffles the rest.

use std::time::Duration;

use super::Share;
use crate::base::MemberId;

/// What becomes of one datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Drop(DropReason),
    /// It arrives `after` this long, and once more after `again`, both counted from now and on top of what
    /// the network itself takes.
    Deliver {
        after: Duration,
        again: Option<Duration>,
    },
}

/// Which fault took it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropReason {
    Cut,
    Loss,
    /// More was to be held back than there is room for.
    Queue,
}

/// What the rules of a plan add up to on one link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Conditions {
    pub is_cut: bool,
    pub loss: Share,
    pub delay: Duration,
    pub jitter: Duration,
    pub duplicate: Share,
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
}

impl Conditions {
    pub(super) fn fate(&self, passage: Passage<'_>) -> Fate {
        if self.is_cut {
            return Fate::Drop(DropReason::Cut);
        }
        if passage.falls_to(self.loss, Purpose::Loss) {
            return Fate::Drop(DropReason::Loss);
        }
        let again =
            passage.falls_to(self.duplicate, Purpose::Duplicate).then(|| self.delayed(passage, Purpose::JitterOfCopy));
        Fate::Deliver { after: self.delayed(passage, Purpose::Jitter), again }
    }

    fn delayed(&self, passage: Passage<'_>, purpose: Purpose) -> Duration {
        if self.jitter.is_zero() {
            return self.delay;
        }
        let span_us =
            u64::try_from(self.jitter.as_micros()).unwrap_or(u64::MAX / 2).saturating_mul(2).saturating_add(1);
        let late = Duration::from_micros(passage.below(span_us, purpose));
        (self.delay + late).saturating_sub(self.jitter)
    }
}

impl Passage<'_> {
    fn falls_to(self, share: Share, purpose: Purpose) -> bool {
        share != Share::NONE && self.below(u64::from(Share::ALL.ppm()), purpose) < u64::from(share.ppm())
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
