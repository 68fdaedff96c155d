//! Fragments of one peer until their frame is whole. Owns the bound in bytes and in time: past either the
//! oldest unfinished frame goes. Trusts nothing: a frame comes out only if its hash is the key it came under.

use std::collections::BTreeMap;

use crate::base::Time;
use crate::base::limits::{REASSEMBLY_BYTES_MAX, REASSEMBLY_LIFE};
use crate::wire::sealed::{Channel, Fragment};

/// What an unfinished frame takes beside its bytes.
const ENTRY_BYTES: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Reassembly {
    frames: BTreeMap<FrameKey, Partial>,
    bytes: usize,
}

type FrameKey = ([u8; 16], Channel);

#[derive(Debug)]
struct Partial {
    began: Time,
    bytes: Vec<u8>,
    present: [u64; 4],
    missing: usize,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Assembled {
    /// Its frame still misses others, or it was there already.
    Waiting,
    /// It was the last one.
    Whole { channel: Channel, bytes: Vec<u8> },
    /// It contradicts what came before under its key, or the whole frame does not have the key's hash.
    Contradiction,
}

impl Reassembly {
    /// Takes a fragment. `dropped` counts the unfinished frames that had to go for it.
    pub(super) fn handle_fragment(&mut self, now: Time, fragment: &Fragment<'_>, dropped: &mut u64) -> Assembled {
        let key = (fragment.key, fragment.channel);
        let frame_bytes = usize::from(fragment.frame_bytes);
        if !self.frames.contains_key(&key) {
            while self.bytes + frame_bytes + ENTRY_BYTES > REASSEMBLY_BYTES_MAX && self.drop_oldest() {
                *dropped += 1;
            }
            self.bytes += frame_bytes + ENTRY_BYTES;
            self.frames.insert(key, Partial::new(now, frame_bytes));
        }
        let partial = self.frames.get_mut(&key).expect("it was there or has just been put there");
        if partial.bytes.len() != frame_bytes {
            return Assembled::Contradiction;
        }
        partial.place(fragment);
        if partial.missing > 0 {
            return Assembled::Waiting;
        }
        let bytes = self.remove(&key).expect("found above").bytes;
        if blake3::hash(&bytes).as_bytes()[..16] != fragment.key {
            return Assembled::Contradiction;
        }
        Assembled::Whole { channel: fragment.channel, bytes }
    }

    /// Drops what has had its time; says how many frames that were.
    pub(super) fn expire(&mut self, now: Time) -> u64 {
        let mut dropped = 0;
        while self.next_expiry().is_some_and(|at| at <= now) && self.drop_oldest() {
            dropped += 1;
        }
        dropped
    }

    /// When the oldest unfinished frame has had its time.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.oldest().map(|key| self.frames[&key].began + REASSEMBLY_LIFE)
    }

    /// What is held now, in bytes; at most `REASSEMBLY_BYTES_MAX`.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number held is small (the smallest frame here fills more than a datagram), so a look at each will do.
    fn oldest(&self) -> Option<FrameKey> {
        self.frames.iter().min_by_key(|(_, partial)| partial.began).map(|(&key, _)| key)
    }

    fn drop_oldest(&mut self) -> bool {
        self.oldest().and_then(|key| self.remove(&key)).is_some()
    }

    fn remove(&mut self, key: &FrameKey) -> Option<Partial> {
        let partial = self.frames.remove(key)?;
        self.bytes -= partial.bytes.len() + ENTRY_BYTES;
        Some(partial)
    }
}

impl Partial {
    fn new(began: Time, frame_bytes: usize) -> Self {
        Self { began, bytes: vec![0; frame_bytes], present: [0; 4], missing: Fragment::count(frame_bytes) }
    }

    fn place(&mut self, fragment: &Fragment<'_>) {
        let (word, bit) = (usize::from(fragment.index / 64), 1 << (fragment.index % 64));
        if self.present[word] & bit == 0 {
            self.present[word] |= bit;
            self.missing -= 1;
            self.bytes[fragment.range()].copy_from_slice(fragment.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::pack::fragments;
    use super::*;

    fn frame(seed: u8, len: usize) -> Vec<u8> {
        (0..len).map(|place| seed.wrapping_add(u8::try_from(place % 251).unwrap())).collect()
    }

    #[test]
    fn a_retry_fills_the_holes_and_doubles_do_no_harm() {
        let bytes = frame(1, 5_000);
        let pieces: Vec<_> = fragments(Channel::Messaging, &bytes).collect();
        let (mut reassembly, mut dropped) = (Reassembly::default(), 0);
        for piece in pieces.iter().skip(1).step_by(2).chain(pieces.iter().skip(1).step_by(2)) {
            assert_eq!(reassembly.handle_fragment(Time::ZERO, piece, &mut dropped), Assembled::Waiting);
        }
        let whole = pieces.iter().find_map(|piece| match reassembly.handle_fragment(Time::ZERO, piece, &mut dropped) {
            Assembled::Whole { channel, bytes } => Some((channel, bytes)),
            Assembled::Waiting | Assembled::Contradiction => None,
        });
        assert_eq!(whole, Some((Channel::Messaging, bytes)));
        assert_eq!((reassembly.bytes(), dropped), (0, 0));
    }

    #[test]
    fn a_flood_of_beginnings_keeps_to_the_bound_and_the_newest_stay() {
        let (mut reassembly, mut dropped) = (Reassembly::default(), 0);
        for seed in 0..50 {
            let bytes = frame(seed, 20_000);
            let first = fragments(Channel::Messaging, &bytes).next().unwrap();
            let now = Time::from_micros(u64::from(seed));
            assert_eq!(reassembly.handle_fragment(now, &first, &mut dropped), Assembled::Waiting);
            assert!(reassembly.bytes() <= REASSEMBLY_BYTES_MAX);
        }
        assert_eq!(dropped, 47);
        assert_eq!(reassembly.expire(Time::ZERO + REASSEMBLY_LIFE + Duration::from_secs(1)), 3);
        assert_eq!((reassembly.bytes(), reassembly.next_expiry()), (0, None));
    }

    #[test]
    fn a_frame_that_is_not_what_its_key_says_is_not_handed_on() {
        let bytes = frame(1, 2_000);
        let (mut reassembly, mut dropped) = (Reassembly::default(), 0);
        let mut last = Assembled::Waiting;
        for mut piece in fragments(Channel::Messaging, &bytes) {
            piece.key = [7; 16];
            last = reassembly.handle_fragment(Time::ZERO, &piece, &mut dropped);
        }
        assert_eq!(last, Assembled::Contradiction);

        let pieces: Vec<_> = fragments(Channel::Messaging, &bytes).collect();
        let other = frame(2, 3_000);
        let mut liar = fragments(Channel::Messaging, &other).next().unwrap();
        liar.key = pieces[0].key;
        reassembly.handle_fragment(Time::ZERO, &pieces[0], &mut dropped);
        assert_eq!(reassembly.handle_fragment(Time::ZERO, &liar, &mut dropped), Assembled::Contradiction);
        assert_eq!(reassembly.bytes(), 2_000 + ENTRY_BYTES);
    }
}
