//! Receipts on their way back to an author whom this node has no session with: bundled, and passed on over the hop that the
//! author's newest message came from; around a hop that goes out of reach meanwhile. Owns that way; whether a receipt holds is
//! for its author to find out, and nobody on the way can make one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::book::OutId;
use super::machine::Messaging;
use super::timers::Timer;
use crate::base::limits::{HOP_NUMBERS_KEPT_MAX, RECEIPT_HOPS_MAX, RECEIPTS_PER_BUNDLE_MAX};
use crate::base::{MemberId, Run, Seq, Step};
use crate::wire::{Held, Receipt, Signed};

/// Receipts wait this long for others that go the same way; one that fills a datagram goes at once. Half of the 20 ms that
/// a receipt may wait, because it waits at each hop.
const BUNDLE_GAP: Duration = Duration::from_millis(10);
/// Receipts that fit a datagram, beside what frames and datagrams add.
const BUNDLE_BYTES: usize = 1_120;
/// What each adds in the frame.
const RECEIPT_OVERHEAD_BYTES: usize = 3;

/// Whose receipt, of which run of which author.
type Key = (MemberId, Run, MemberId);

#[derive(Debug, Default)]
pub(super) struct Carried {
    bundles: BTreeMap<MemberId, Bundle>,
}

#[derive(Debug, Default)]
struct Bundle {
    receipts: BTreeMap<Key, Carry>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Carry {
    pub hops: u8,
    pub last: Seq,
    pub bytes: Vec<u8>,
}

/// Numbers of what came from a hop lately, so that what it repeats is not carried twice.
#[derive(Debug, Default)]
pub(super) struct SeenNumbers(BTreeSet<u64>);

impl SeenNumbers {
    /// Notes a number; false where it was there, or is older than what is remembered.
    pub fn is_new(&mut self, number: u64) -> bool {
        let is_old = self.0.len() >= HOP_NUMBERS_KEPT_MAX && self.0.first().is_some_and(|&first| number < first);
        if is_old || !self.0.insert(number) {
            return false;
        }
        if self.0.len() > HOP_NUMBERS_KEPT_MAX {
            self.0.pop_first();
        }
        true
    }
}

impl Bundle {
    /// Of two receipts of a member for one run the one that says more stays: they are cumulative.
    fn add(&mut self, key: Key, carry: Carry) {
        if self.receipts.get(&key).is_some_and(|before| before.last > carry.last) {
            return;
        }
        self.bytes += carry.bytes.len() + RECEIPT_OVERHEAD_BYTES;
        if let Some(before) = self.receipts.insert(key, carry) {
            self.bytes -= before.bytes.len() + RECEIPT_OVERHEAD_BYTES;
        }
    }

    /// Takes as many as fit a datagram, and at least one.
    fn take(&mut self) -> (u8, Vec<Vec<u8>>) {
        let (mut hops, mut bytes, mut receipts) = (0, 0, Vec::new());
        while let Some(first) = self.receipts.first_entry() {
            let size = first.get().bytes.len() + RECEIPT_OVERHEAD_BYTES;
            if bytes + size > BUNDLE_BYTES && !receipts.is_empty() || receipts.len() == RECEIPTS_PER_BUNDLE_MAX {
                break;
            }
            let carry = first.remove();
            bytes += size;
            hops = carry.hops.max(hops);
            receipts.push(carry.bytes);
        }
        self.bytes -= bytes;
        (hops, receipts)
    }
}

impl Messaging {
    /// Receipts came from a hop, for this node or to be carried on.
    pub(super) fn handle_receipts(
        &mut self,
        step: &mut Step,
        peer: MemberId,
        number: u64,
        hops: u8,
        receipts: &[Vec<u8>],
    ) {
        if receipts.len() > RECEIPTS_PER_BUNDLE_MAX || hops >= RECEIPT_HOPS_MAX {
            self.counters.strange += 1;
            return;
        }
        self.acknowledge(peer, number);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if !known.seen_numbers.is_new(number) {
            return;
        }
        for bytes in receipts {
            let Ok(claimed) = Signed::<Receipt>::open_trusted(bytes) else {
                self.counters.strange += 1;
                continue;
            };
            let receipt = claimed.value();
            if receipt.author == self.me {
                self.handle_receipt(step, peer, bytes);
                continue;
            }
            match &receipt.held {
                Held::Group { run, ranges } if receipt.room == self.room && receipt.receiver != self.me => {
                    let last = ranges.last().map_or(0, |range| range.last);
                    let carry = Carry { hops: hops + 1, last, bytes: bytes.clone() };
                    self.carry(step, (receipt.author, *run, receipt.receiver), carry, Some(peer));
                }
                Held::Group { .. } | Held::Private { .. } => self.counters.strange += 1,
            }
        }
    }

    /// Puts a receipt on its way to its author.
    pub(super) fn carry(&mut self, step: &mut Step, key: Key, carry: Carry, from: Option<MemberId>) {
        let (author, run, _) = key;
        let Some(next) = self.way_back(author, run, from).filter(|_| carry.hops < RECEIPT_HOPS_MAX) else {
            self.counters.receipts_stranded += 1;
            return;
        };
        let bundle = self.flood.carried.bundles.entry(next).or_default();
        bundle.add(key, carry);
        if bundle.bytes >= BUNDLE_BYTES {
            self.send_bundle(step, next);
        } else {
            self.timers.set_earlier(Timer::Bundle(next), step.now.time + BUNDLE_GAP);
        }
    }

    /// The next hop to an author: itself; else whoever brought the newest message of the run, for that is a way to the author
    /// that never comes back; else any. Never `from`: there the receipt came from, or could not go.
    fn way_back(&mut self, author: MemberId, run: Run, from: Option<MemberId>) -> Option<MemberId> {
        let is_open =
            |id: MemberId| Some(id) != from && self.peers.get(&id).is_some_and(super::peer::Peer::is_reachable);
        if is_open(author) {
            return Some(author);
        }
        let newest = self.log.run(author, run).and_then(|of| of.kept.values().next_back());
        if let Some(via) = newest.map(|kept| kept.via).filter(|&via| is_open(via)) {
            return Some(via);
        }
        let others: Vec<MemberId> = self.hops(0).filter(|&hop| Some(hop) != from).collect();
        let count = u64::try_from(others.len()).ok().filter(|&count| count > 0)?;
        others.get(usize::try_from(self.rng.below(count)).ok()?).copied()
    }

    /// Sends what goes to a hop.
    pub(super) fn send_bundle(&mut self, step: &mut Step, to: MemberId) {
        self.timers.cancel(Timer::Bundle(to));
        let Some(mut bundle) = self.flood.carried.bundles.remove(&to) else { return };
        while !bundle.receipts.is_empty() {
            let (hops, receipts) = bundle.take();
            let count = u64::try_from(receipts.len()).unwrap_or(0);
            match self.pass_receipts(step, to, hops, receipts) {
                Ok(()) => self.counters.receipts_carried += count,
                Err(receipts) => self.carry_around(step, to, hops, &receipts),
            }
        }
    }

    /// What was on its way over a hop that went out of reach goes another way. The hop may have it already: then it comes twice.
    pub(super) fn carry_around_all(&mut self, step: &mut Step, hop: MemberId) {
        let under_way: Vec<_> = self.peers.get(&hop).into_iter().flat_map(|peer| peer.under_way()).collect();
        for out in under_way {
            self.carry_around_one(step, hop, out);
        }
        if self.flood.carried.bundles.contains_key(&hop) {
            self.send_bundle(step, hop);
        }
    }

    /// The same of one thing that is under way to a hop; what is no bundle of receipts is left.
    pub(super) fn carry_around_one(&mut self, step: &mut Step, hop: MemberId, out: OutId) {
        if let Some((hops, receipts)) = self.flood.take_receipts(out) {
            self.land(hop, out);
            self.carry_around(step, hop, hops, &receipts);
        }
    }

    /// Carries receipts any way but over this hop.
    fn carry_around(&mut self, step: &mut Step, hop: MemberId, hops: u8, receipts: &[Vec<u8>]) {
        for bytes in receipts {
            let Ok(claimed) = Signed::<Receipt>::open_trusted(bytes) else { continue };
            let Receipt { author, receiver, held: Held::Group { run, ranges }, .. } = claimed.value() else { continue };
            let carry =
                Carry { hops: hops + 1, last: ranges.last().map_or(0, |range| range.last), bytes: bytes.clone() };
            self.carry(step, (*author, *run, *receiver), carry, Some(hop));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Run = Run { incarnation: 1, boot: 1 };

    fn key(receiver: u8) -> Key {
        (MemberId([1; 32]), RUN, MemberId([receiver; 32]))
    }

    #[test]
    fn the_receipt_that_says_more_replaces_the_other_whichever_comes_last() {
        let mut bundle = Bundle::default();
        for (last, bytes) in [(3, 200), (5, 300), (4, 250)] {
            bundle.add(key(2), Carry { hops: 1, last, bytes: vec![0; bytes] });
        }
        assert_eq!(bundle.bytes, 300 + RECEIPT_OVERHEAD_BYTES);
        assert_eq!(bundle.take().1.len(), 1);
        assert_eq!(bundle.bytes, 0);
    }

    #[test]
    fn a_bundle_is_cut_into_datagrams_and_one_that_is_larger_goes_alone() {
        let mut bundle = Bundle::default();
        for (receiver, bytes) in (2..).zip([226; 7].into_iter().chain([1_800, 226])) {
            bundle.add(key(receiver), Carry { hops: receiver, last: 1, bytes: vec![0; bytes] });
        }
        let sizes: Vec<usize> =
            std::iter::from_fn(|| (!bundle.receipts.is_empty()).then(|| bundle.take().1.len())).collect();
        assert_eq!(sizes, [4, 3, 1, 1]);
    }

    #[test]
    fn a_number_counts_once_and_what_is_too_old_to_tell_does_not() {
        let mut seen = SeenNumbers::default();
        assert!(seen.is_new(7) && !seen.is_new(7) && seen.is_new(3));
        assert!((100..100 + HOP_NUMBERS_KEPT_MAX as u64).all(|number| seen.is_new(number)));
        assert!(!seen.is_new(7) && !seen.is_new(50) && !seen.is_new(100));
        assert_eq!(seen.0.len(), HOP_NUMBERS_KEPT_MAX);
    }
}
