//! Holes that nobody asks about any more: further back than recovery goes. Owns that each of them is told as a gap; asks
//! nobody.

use super::machine::Messaging;
use super::recovery::window_first;
use crate::base::{MemberId, Run, Seq, Step};

impl Messaging {
    fn is_gap(&self, author: MemberId, run: Run, (first, last): (Seq, Seq)) -> bool {
        let around = self.gaps.range((author, run, 0)..=(author, run, first)).next_back();
        around.is_some_and(|(_, gap)| last <= gap.last)
    }

    /// Holes that an earlier run of this node left further back than anybody is asked are told at once: nothing else would
    /// find them.
    pub(super) fn tell_old_holes(&mut self, step: &mut Step) {
        let mut old = Vec::new();
        for (author, known) in self.log.authors().filter(|(id, _)| *id != self.me) {
            for (&run, of) in &known.runs {
                let holes = of.chain.missing(of.history + 1, window_first(of.last_known()) - 1);
                let untold = holes.into_iter().filter(|&hole| !self.is_gap(author, run, hole));
                old.extend(untold.map(|(first, last)| (author, (run, first, last))));
            }
        }
        for (author, hole) in old {
            self.give_up(step, author, hole, step.cause);
        }
    }
}
