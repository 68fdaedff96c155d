//! Holes that nobody asks about any more: below the bound of a chain, or further back than recovery goes. Owns that
//! each of them is a gap on the disk before it is out of sight; asks nobody.

use super::log::{Kept, Place};
use super::machine::{Messaging, Pending};
use super::ranges::{Chain, Linked};
use super::record::{GapRecord, Record};
use super::recovery::window_first;
use crate::base::limits::RANGES_PER_STREAM_MAX;
use crate::base::{MemberId, MessageId, Run, Seq, Step};

impl Messaging {
    /// A chain that is full gives up its lowest spans for new ones, and with them what is known of the holes below: these
    /// go to the disk as gaps, ahead of the message that may take their place.
    pub(super) fn keep_holes(&mut self, step: &mut Step, (author, run, seq): Place) {
        let Some(of) = self.log.run(author, run) else { return };
        let is_here = |seq: Seq| of.chain.contains(seq) || of.incoming.contains_key(&seq);
        if of.chain.spans().len() + of.incoming.len() <= RANGES_PER_STREAM_MAX || is_here(seq - 1) {
            return;
        }
        // Where spans begin once all that is on its way is there, or before that.
        let fresh = of.incoming.keys().copied().filter(|&seq| !is_here(seq - 1));
        let mut firsts: Vec<Seq> = of.chain.spans().iter().map(|span| span.first).chain(fresh).collect();
        firsts.sort_unstable();
        let Some(over) = firsts.len().checked_sub(RANGES_PER_STREAM_MAX + 1) else { return };
        let upto = firsts[over] - 1;
        let holes = of.missing(of.history + 1, upto);
        let gaps = self.gaps.range((author, run, 0)..=(author, run, upto)).map(|(_, gap)| gap);
        let cut: Vec<(GapRecord, Vec<(Seq, Seq)>)> = gaps
            .map(|gap| (gap.clone(), of.chain.lacking(gap.first, gap.last)))
            .filter(|(gap, left)| *left != [(gap.first, gap.last)])
            .collect();
        for (gap, left) in cut {
            self.replace_gap(&gap, &left);
        }
        for (first, last) in holes {
            self.keep_hole(step, (author, run, first), last);
        }
    }

    /// Puts a message in its place, and cuts gaps where the chain gave up its lowest span for it.
    pub(super) fn commit_group(
        &mut self,
        step: &mut Step,
        place: Place,
        kept: Kept,
        prev: Option<MessageId>,
    ) -> Linked {
        let chain = self.log.run(place.0, place.1).map(|of| &of.chain);
        let before = chain.filter(|chain| chain.spans().len() >= RANGES_PER_STREAM_MAX).cloned();
        let linked = self.log.commit(place, kept, prev);
        if let Some(before) = before {
            self.cut_gaps(step, place, &before);
        }
        linked
    }

    /// Below the floor a chain tells what is missing no more: there gaps are what is missing and nothing else, for good.
    fn cut_gaps(&mut self, step: &mut Step, (author, run, seq): Place, before: &Chain) {
        let Some(of) = self.log.run(author, run) else { return };
        let floor = of.chain.floor();
        if floor == before.floor() {
            return;
        }
        let above = of.chain.missing(floor + 1, Seq::MAX - 1);
        let missing = before.missing(of.history + 1, floor).into_iter();
        let given_up: Vec<(Seq, Seq)> = missing
            .flat_map(|(first, last)| [(first, last.min(seq - 1)), (first.max(seq + 1), last)])
            .filter(|(first, last)| first <= last)
            .collect();
        let crossing = self.gaps.range((author, run, 0)..=(author, run, floor)).map(|(_, gap)| gap);
        for gap in crossing.filter(|gap| gap.last > before.floor()).cloned().collect::<Vec<_>>() {
            let below = (gap.first, gap.last.min(before.floor()));
            let parts: Vec<(Seq, Seq)> = [below]
                .iter()
                .chain(&given_up)
                .chain(&above)
                .map(|&(first, last)| (first.max(gap.first), last.min(gap.last)))
                .filter(|(first, last)| first <= last)
                .collect();
            if parts != [(gap.first, gap.last)] {
                self.replace_gap(&gap, &parts);
            }
        }
        for (first, last) in given_up {
            self.keep_hole(step, (author, run, first), last);
        }
    }

    /// Gaps of a run that is forgotten are what is missing of it by then: nothing else will tell.
    pub(super) fn cut_gaps_to(&mut self, author: MemberId, run: Run, chain: &Chain) {
        let gaps = self.gaps.range((author, run, 0)..=(author, run, Seq::MAX)).map(|(_, gap)| gap.clone());
        for gap in gaps.collect::<Vec<_>>() {
            let parts = chain.lacking(gap.first, gap.last);
            if parts != [(gap.first, gap.last)] {
                self.replace_gap(&gap, &parts);
            }
        }
    }

    fn replace_gap(&mut self, gap: &GapRecord, parts: &[(Seq, Seq)]) {
        let (author, run) = (gap.author, gap.run);
        self.gaps.remove(&(author, run, gap.first));
        self.out.store(Record::GapClosed { author, run, first: gap.first });
        for &(first, last) in parts {
            let part = GapRecord { first, last, ..gap.clone() };
            self.make_room_for_gap((author, run, first));
            self.gaps.insert((author, run, first), part.clone());
            self.store(Record::Gap(part), Pending::Gap((author, run, first)));
        }
    }

    fn keep_hole(&mut self, step: &mut Step, (author, run, first): Place, last: Seq) {
        if !self.is_gap(author, run, (first, last)) {
            self.tell_gap(step, (author, run, first), last, step.cause);
        }
    }

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
