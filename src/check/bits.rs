//! Sets of small numbers and of sequence numbers, small enough to keep one for each of thousands of nodes. Owns
//! nothing but that.

use std::collections::BTreeMap;

use crate::base::{Incarnation, MemberId, Seq};

/// A set of small numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// Adds `number`; says whether it is new.
    pub fn insert(&mut self, number: usize) -> bool {
        let (word, bit) = (number / 64, 1 << (number % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    pub fn remove(&mut self, number: usize) {
        if let Some(word) = self.words.get_mut(number / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    pub fn contains(&self, number: usize) -> bool {
        self.words.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

/// Ranges of sequence numbers, by run of an author.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans {
    by_run: BTreeMap<(MemberId, Incarnation), Vec<(Seq, Seq)>>,
}

impl Spans {
    pub fn add(&mut self, run: (MemberId, Incarnation), first: Seq, last: Seq) {
        let spans = self.by_run.entry(run).or_default();
        if !spans.contains(&(first, last)) {
            spans.push((first, last));
        }
    }

    pub fn contains(&self, run: (MemberId, Incarnation), seq: Seq) -> bool {
        self.by_run.get(&run).is_some_and(|spans| spans.iter().any(|&(first, last)| (first..=last).contains(&seq)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_new_once() {
        let mut bits = Bits::default();
        assert!(!bits.contains(70));
        assert!(bits.insert(70));
        assert!(!bits.insert(70));
        assert!(bits.contains(70) && !bits.contains(6) && !bits.contains(700));
        bits.remove(70);
        assert!(bits.insert(70));
    }

    #[test]
    fn spans_hold_both_their_ends() {
        let mut spans = Spans::default();
        let run = (MemberId([1; 32]), 7);
        spans.add(run, 3, 5);
        assert_eq!([2, 3, 5, 6].map(|seq| spans.contains(run, seq)), [false, true, true, false]);
        assert!(!spans.contains((run.0, 8), 4));
    }
}
