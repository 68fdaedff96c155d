//! Which counters have arrived, in the form of RFC 6479: a ring of words that is cleared as the newest
//! moves on. Owns the window; whoever asks has checked the datagram's tag before it marks.

use crate::base::limits::REPLAY_WINDOW;

const WORD_BITS: u64 = 64;
/// One word more than the window: the newest one is in use while the oldest is still whole.
const WORDS: usize = REPLAY_WINDOW / 64 + 1;
const WINDOW: u64 = REPLAY_WINDOW as u64;

#[derive(Debug)]
pub(super) struct ReplayWindow {
    /// The counter behind the highest one that arrived; zero before the first.
    next: u64,
    words: [u64; WORDS],
}

impl ReplayWindow {
    pub(super) fn new() -> Self {
        Self { next: 0, words: [0; WORDS] }
    }

    /// Whether `counter` may still arrive: not before, and not too late.
    pub(super) fn is_fresh(&self, counter: u64) -> bool {
        if counter >= self.next {
            return true;
        }
        self.next - counter <= WINDOW && self.words[slot(counter)] & bit(counter) == 0
    }

    /// Marks `counter` as arrived and says whether it is the highest now. A counter that is not fresh
    /// changes nothing.
    pub(super) fn mark(&mut self, counter: u64) -> bool {
        if !self.is_fresh(counter) {
            return false;
        }
        let newest = counter >= self.next;
        if newest {
            self.clear_up_to(counter);
            self.next = counter.saturating_add(1);
        }
        self.words[slot(counter)] |= bit(counter);
        newest
    }

    pub(super) fn highest(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    /// How many of the last 64 counters (the echo's window) up to the highest arrived.
    pub(super) fn arrived(&self) -> u8 {
        let Some(highest) = self.highest() else {
            return 0;
        };
        let place = highest % WORD_BITS;
        let newest = self.words[slot(highest)].count_ones();
        let before = match highest.checked_sub(WORD_BITS) {
            Some(earlier) if place < WORD_BITS - 1 => (self.words[slot(earlier)] >> (place + 1)).count_ones(),
            Some(_) | None => 0,
        };
        u8::try_from(newest + before).expect("at most 64")
    }

    fn clear_up_to(&mut self, counter: u64) {
        let Some(highest) = self.highest() else {
            return;
        };
        let (from, to) = (highest / WORD_BITS, counter / WORD_BITS);
        for word in (from + 1..=to).take(WORDS) {
            self.words[slot(word * WORD_BITS)] = 0;
        }
    }
}

fn slot(counter: u64) -> usize {
    let word = usize::try_from(counter / WORD_BITS % (WINDOW / WORD_BITS + 1));
    word.expect("below WORDS")
}

fn bit(counter: u64) -> u64 {
    1 << (counter % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_counter_arrives_once_and_not_too_late() {
        let mut window = ReplayWindow::new();
        assert!(window.mark(0));
        assert!(!window.is_fresh(0));
        assert!(window.mark(WINDOW));
        assert!(window.is_fresh(1), "just inside");
        assert!(!window.is_fresh(0), "just outside, and seen");
        assert!(!window.mark(1), "late, so not the newest");
        assert!(!window.is_fresh(1));
        assert!(window.mark(u64::MAX - 1));
        assert!(!window.is_fresh(WINDOW + 1));
    }

    #[test]
    fn what_arrived_of_the_last_64_is_counted() {
        let mut window = ReplayWindow::new();
        for counter in (0..200).filter(|counter| counter % 4 != 1) {
            window.mark(counter);
        }
        assert_eq!(window.arrived(), 48);
        let mut young = ReplayWindow::new();
        young.mark(3);
        assert_eq!(young.arrived(), 1);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set(counters in prop::collection::vec(0u64..6_000, 1..400)) {
            let (mut window, mut seen, mut highest) = (ReplayWindow::new(), BTreeSet::new(), 0);
            for counter in counters {
                let fresh = !seen.contains(&counter) && counter + WINDOW > highest;
                prop_assert_eq!(window.is_fresh(counter), fresh);
                window.mark(counter);
                if fresh {
                    seen.insert(counter);
                    highest = highest.max(counter);
                }
                let last: u64 = highest.saturating_sub(63);
                let arrived = seen.range(last..=highest).count();
                prop_assert_eq!(usize::from(window.arrived()), arrived);
            }
        }
    }
}
