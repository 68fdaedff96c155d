//! Which sequence numbers were seen. Owns two small sets with a bound and a floor: plain ranges, and the
//! spans of a hash chain. Knows nothing of texts, peers or time.

use serde::{Deserialize, Serialize};

use crate::base::limits::RANGES_PER_STREAM_MAX;
use crate::base::{MessageId, Seq};

/// Sequence numbers seen in one stream: at most `RANGES_PER_STREAM_MAX` ranges, ascending, not touching.
/// When another would be needed the lowest is given up: all up to its end is below the floor then.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ranges {
    floor: Seq,
    ranges: Vec<(Seq, Seq)>,
}

impl Ranges {
    /// The set that [`Ranges::floor`] and [`Ranges::iter`] were read from.
    #[must_use]
    pub fn from_parts(floor: Seq, ranges: Vec<(Seq, Seq)>) -> Self {
        Self { floor, ranges }
    }

    /// Adds `seq`; false if it was there or is below the floor.
    pub fn insert(&mut self, seq: Seq) -> bool {
        if seq <= self.floor || self.contains(seq) {
            return false;
        }
        let at = self.ranges.partition_point(|&(_, last)| last < seq);
        let joins_before = at > 0 && self.ranges[at - 1].1 + 1 == seq;
        let joins_after = self.ranges.get(at).is_some_and(|&(first, _)| first == seq + 1);
        match (joins_before, joins_after) {
            (true, true) => {
                self.ranges[at - 1].1 = self.ranges[at].1;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].1 = seq,
            (false, true) => self.ranges[at].0 = seq,
            (false, false) => self.ranges.insert(at, (seq, seq)),
        }
        if self.ranges.len() > RANGES_PER_STREAM_MAX {
            self.floor = self.ranges.remove(0).1;
        }
        true
    }

    /// Adds all that `other` holds, and its floor.
    pub fn absorb(&mut self, other: &Self) {
        self.floor = self.floor.max(other.floor);
        let mut all: Vec<(Seq, Seq)> = self.iter().chain(other.iter()).filter(|&(_, last)| last > self.floor).collect();
        all.sort_unstable();
        self.ranges.clear();
        for (first, last) in all {
            match self.ranges.last_mut() {
                Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
                Some(_) | None => self.ranges.push((first, last)),
            }
        }
        while self.ranges.len() > RANGES_PER_STREAM_MAX {
            self.floor = self.ranges.remove(0).1;
        }
    }

    #[must_use]
    pub fn contains(&self, seq: Seq) -> bool {
        let at = self.ranges.partition_point(|&(_, last)| last < seq);
        self.ranges.get(at).is_some_and(|&(first, _)| first <= seq)
    }

    /// At and below it nothing is known any more.
    #[must_use]
    pub fn floor(&self) -> Seq {
        self.floor
    }

    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Seq, Seq)> + '_ {
        self.ranges.iter().copied()
    }
}

/// Messages `first..=last` of one run of an author, each naming the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Span {
    pub first: Seq,
    pub last: Seq,
    /// What the first names as its predecessor in the run; `None` for #1.
    pub prev: Option<MessageId>,
    pub last_id: MessageId,
}

/// The group messages of one run of an author that were committed, as spans of its hash chain: at most
/// `RANGES_PER_STREAM_MAX`, ascending. Two that touch stay apart where the chain is broken between them, because the id
/// of a span's last message must commit to all of the span.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Chain {
    floor: Seq,
    spans: Vec<Span>,
}

/// What adding a message to a [`Chain`] showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Linked {
    Added,
    /// Added, and a neighbour names another message in its place: its author told two people two things.
    Broken,
    /// It was there, or is below the floor.
    Old,
}

impl Chain {
    /// The chain that [`Chain::floor`] and [`Chain::spans`] were read from.
    #[must_use]
    pub fn from_parts(floor: Seq, spans: Vec<Span>) -> Self {
        Self { floor, spans }
    }

    /// Adds message `seq` with its id and the predecessor that it names in its run.
    pub fn insert(&mut self, seq: Seq, id: MessageId, prev: Option<MessageId>) -> Linked {
        if seq <= self.floor || self.contains(seq) {
            return Linked::Old;
        }
        let at = self.spans.partition_point(|span| span.last < seq);
        let touches_before = at > 0 && self.spans[at - 1].last + 1 == seq;
        let touches_after = self.spans.get(at).is_some_and(|span| span.first == seq + 1);
        let joins_before = touches_before && Some(self.spans[at - 1].last_id) == prev;
        let joins_after = touches_after && self.spans[at].prev == Some(id);
        match (joins_before, joins_after) {
            (true, true) => {
                let after = self.spans.remove(at);
                self.spans[at - 1].last = after.last;
                self.spans[at - 1].last_id = after.last_id;
            }
            (true, false) => {
                self.spans[at - 1].last = seq;
                self.spans[at - 1].last_id = id;
            }
            (false, true) => {
                self.spans[at].first = seq;
                self.spans[at].prev = prev;
            }
            (false, false) => self.spans.insert(at, Span { first: seq, last: seq, prev, last_id: id }),
        }
        if self.spans.len() > RANGES_PER_STREAM_MAX {
            self.floor = self.spans.remove(0).last;
        }
        if (touches_before && !joins_before) || (touches_after && !joins_after) {
            Linked::Broken
        } else {
            Linked::Added
        }
    }

    /// Adds all that `other`, a chain of the same run, holds, and its floor.
    pub fn absorb(&mut self, other: &Self) {
        self.floor = self.floor.max(other.floor);
        let floor = self.floor;
        let mut all: Vec<Span> =
            self.spans.iter().chain(&other.spans).copied().filter(|span| span.last > floor).collect();
        all.sort_unstable_by_key(|span| (span.first, span.last));
        self.spans.clear();
        for span in all {
            match self.spans.last_mut() {
                Some(before) if span.last <= before.last => {}
                Some(before)
                    if span.first <= before.last
                        || (span.first == before.last + 1 && span.prev == Some(before.last_id)) =>
                {
                    before.last = span.last;
                    before.last_id = span.last_id;
                }
                Some(_) | None => self.spans.push(span),
            }
        }
        while self.spans.len() > RANGES_PER_STREAM_MAX {
            self.floor = self.spans.remove(0).last;
        }
    }

    /// What is missing of `first..=last`, above the floor; ascending.
    #[must_use]
    pub fn missing(&self, first: Seq, last: Seq) -> Vec<(Seq, Seq)> {
        let mut next = first.max(self.floor + 1);
        let mut missing = Vec::new();
        for span in &self.spans {
            if next > last || span.first > last {
                break;
            }
            if span.first > next {
                missing.push((next, span.first - 1));
            }
            next = next.max(span.last.saturating_add(1));
        }
        if next <= last {
            missing.push((next, last));
        }
        missing
    }

    /// What is left of a gap `first..=last`; ascending. Nothing can come below the floor, so nothing fills it there.
    #[must_use]
    pub fn lacking(&self, first: Seq, last: Seq) -> Vec<(Seq, Seq)> {
        let below = (first <= self.floor).then(|| (first, last.min(self.floor)));
        below.into_iter().chain(self.missing(first, last)).collect()
    }

    #[must_use]
    pub fn contains(&self, seq: Seq) -> bool {
        let at = self.spans.partition_point(|span| span.last < seq);
        self.spans.get(at).is_some_and(|span| span.first <= seq)
    }

    /// At and below it nothing is known any more.
    #[must_use]
    pub fn floor(&self) -> Seq {
        self.floor
    }

    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The newest message held, and its id.
    #[must_use]
    pub fn head(&self) -> Option<(Seq, MessageId)> {
        self.spans.last().map(|span| (span.last, span.last_id))
    }

    /// Takes the newest message back: it was never sent. `prev` is what it named. Of several the newest goes first.
    pub fn remove_head(&mut self, seq: Seq, prev: Option<MessageId>) {
        let Some(span) = self.spans.last_mut() else { return };
        if span.last != seq {
            return;
        }
        match prev {
            Some(prev) if span.first < seq => {
                span.last -= 1;
                span.last_id = prev;
            }
            Some(_) | None => {
                self.spans.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(seq: Seq) -> MessageId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seq.to_be_bytes());
        MessageId(bytes)
    }

    #[test]
    fn a_chain_in_any_order_becomes_one_span() {
        let mut chain = Chain::default();
        for seq in [2, 5, 1, 4, 3] {
            assert_eq!(chain.insert(seq, id(seq), (seq > 1).then(|| id(seq - 1))), Linked::Added);
        }
        assert_eq!(chain.spans(), [Span { first: 1, last: 5, prev: None, last_id: id(5) }]);
        assert_eq!(chain.insert(3, id(9), None), Linked::Old);
    }

    #[test]
    fn a_span_never_covers_a_message_that_its_last_does_not_commit_to() {
        let mut chain = Chain::default();
        chain.insert(1, id(1), None);
        assert_eq!(chain.insert(2, id(2), Some(id(77))), Linked::Broken);
        assert_eq!(chain.spans().len(), 2);
    }

    #[test]
    fn what_is_below_the_floor_is_never_filled() {
        let span = Span { first: 8, last: 9, prev: None, last_id: id(9) };
        let chain = Chain::from_parts(5, vec![span]);
        assert_eq!(chain.missing(2, 9), [(6, 7)]);
        assert_eq!(chain.lacking(2, 4), [(2, 4)]);
        assert_eq!(chain.lacking(2, 9), [(2, 5), (6, 7)]);
        assert_eq!(chain.lacking(8, 9), []);
    }

    proptest! {
        #[test]
        fn ranges_hold_what_was_put_in_above_the_floor(seqs in proptest::collection::vec(1u64..400, 0..300)) {
            let mut ranges = Ranges::default();
            for &seq in &seqs {
                ranges.insert(seq);
            }
            prop_assert!(ranges.iter().count() <= RANGES_PER_STREAM_MAX);
            for seq in ranges.floor() + 1..400 {
                prop_assert_eq!(ranges.contains(seq), seqs.contains(&seq));
            }
        }
    }
}
