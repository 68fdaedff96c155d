//! What the faults on one link add up to. Owns the sums: two rules of one kind are one condition.

use std::time::Duration;

use super::rule::{Burst, Fault, Rate, Share};

/// Everything that is wrong with one link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Conditions {
    pub is_cut: bool,
    pub loss: Share,
    pub burst: Option<Burst>,
    /// By how much, and how far it varies.
    pub delay: (Duration, Duration),
    /// How many, and by how much.
    pub reorder: (Share, Duration),
    /// How many, and how late the copy may be.
    pub duplicate: (Share, Duration),
    pub corrupt: Share,
    pub truncate: Share,
    pub rate: Option<Rate>,
}

impl Conditions {
    /// Adds one fault: shares as independent chances, delays as sums; of several spans the longest, of several rates the
    /// slowest, and of several bursts the one that loses most count.
    pub fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Cut => self.is_cut = true,
            Fault::Loss(share) => self.loss = self.loss.or(share),
            Fault::Burst(burst) => {
                self.burst = self.burst.into_iter().chain([burst]).max_by_key(|it| (it.lost(), it.length));
            }
            Fault::Delay { by, jitter } => self.delay = (self.delay.0 + by, self.delay.1 + jitter),
            Fault::Reorder { share, by } => self.reorder = (self.reorder.0.or(share), self.reorder.1.max(by)),
            Fault::Duplicate { share, within } => {
                self.duplicate = (self.duplicate.0.or(share), self.duplicate.1.max(within));
            }
            Fault::Corrupt(share) => self.corrupt = self.corrupt.or(share),
            Fault::Truncate(share) => self.truncate = self.truncate.or(share),
            Fault::Rate(rate) => {
                self.rate = self.rate.into_iter().chain([rate]).min_by_key(|it| (it.bits_per_s, it.queue));
            }
        }
    }
}
