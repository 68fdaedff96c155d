//! Private messages to this node: which were seen, which ids can be receipted again, and which wait to be
//! shown in order. Owns dedup of private streams; keeps no text.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::log::{RunTooOld, Untold};
use super::ranges::Ranges;
use super::record::Restored;
use crate::base::limits::{PRIVATE_IDS_MAX, PRIVATE_IDS_PER_AUTHOR_MAX, PRIVATE_RUNS_PER_AUTHOR_MAX};
use crate::base::{MemberId, MessageId, Run, Seq, Time, Wall};

#[derive(Debug, Default)]
pub(super) struct Privates {
    streams: BTreeMap<(MemberId, Run), Stream>,
    /// Of runs of an author below, it is not known any more what was seen: the newest of them that wrote is just below.
    floors: BTreeMap<MemberId, Run>,
    /// Ids kept by author, and of all.
    ids_by_author: BTreeMap<MemberId, usize>,
    ids: usize,
    by_id: BTreeMap<MessageId, (MemberId, Run, Seq)>,
    /// Committed and not told yet, by author.
    pub held: BTreeMap<MemberId, Held>,
}

/// One run of an author, as far as it wrote to this node alone.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub seen: Ranges,
    pub ids: BTreeMap<Seq, PrivateKept>,
    /// On their way to the disk.
    pub incoming: BTreeMap<Seq, PrivateIncoming>,
    /// All up to it were told, or passed over.
    pub told: Seq,
}

/// A private message to this node that is not on disk yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct PrivateIncoming {
    pub id: MessageId,
    pub order: u64,
}

/// What is kept of a private message to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PrivateKept {
    pub id: MessageId,
    pub order: u64,
    pub at: Wall,
    pub duplicates: u64,
}

/// The messages of one author that wait for those before them.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub untold: BTreeMap<(Run, Seq), HeldMessage>,
    pub deadlines: BTreeSet<(Time, Run, Seq)>,
}

/// Held with its bytes, because the text of a private message is kept nowhere else in memory.
#[derive(Debug)]
pub(super) struct HeldMessage {
    pub untold: Untold,
    pub bytes: Arc<[u8]>,
}

/// Where a private message with a given place and id stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KnownPrivate {
    Held,
    Incoming,
    /// Seen, or below the floor, of the run or of all that its author wrote; whether it was this very message is no longer known.
    Below,
    /// Another message stands in its place: its author breaks the rules.
    Other,
    New,
}

impl Privates {
    pub fn restore(restored: &Restored) -> Self {
        let mut privates = Self { floors: restored.private_floors.clone(), ..Self::default() };
        for (&(author, run), seen) in &restored.private {
            let stream = Stream {
                seen: seen.seen.clone(),
                told: seen.seen.iter().last().map_or(seen.seen.floor(), |(_, last)| last),
                ..Stream::default()
            };
            privates.streams.insert((author, run), stream);
            for (&seq, &(id, order, at)) in &seen.ids {
                privates.keep(author, run, seq, PrivateKept { id, order, at, duplicates: 0 });
            }
        }
        privates
    }

    pub fn known(&self, author: MemberId, run: Run, seq: Seq, id: MessageId) -> KnownPrivate {
        let Some(stream) = self.streams.get(&(author, run)) else {
            return if self.is_below(author, run) { KnownPrivate::Below } else { KnownPrivate::New };
        };
        if let Some(kept) = stream.ids.get(&seq) {
            return if kept.id == id { KnownPrivate::Held } else { KnownPrivate::Other };
        }
        if seq <= stream.seen.floor() || stream.seen.contains(seq) {
            return KnownPrivate::Below;
        }
        match stream.incoming.get(&seq) {
            Some(incoming) if incoming.id == id => KnownPrivate::Incoming,
            Some(_) => KnownPrivate::Other,
            None => KnownPrivate::New,
        }
    }

    /// Makes room for a run that did not write yet. Gives the run below which others were forgotten for it; `Err` if it is the
    /// lowest itself.
    pub fn admit_run(&mut self, author: MemberId, run: Run) -> Result<Option<Run>, RunTooOld> {
        if self.is_tracked(author, run) {
            return Ok(None);
        }
        let of_author = || self.streams.range(all_runs(author)).map(|(&(_, run), _)| run);
        let lowest = of_author().next().filter(|_| of_author().count() >= PRIVATE_RUNS_PER_AUTHOR_MAX);
        if self.is_below(author, run) || lowest.is_some_and(|lowest| run < lowest) {
            return Err(RunTooOld);
        }
        let below = lowest.map(Run::next);
        if let Some(below) = below {
            self.forget_runs(author, below);
        }
        self.streams.entry((author, run)).or_default();
        Ok(below)
    }

    pub fn is_tracked(&self, author: MemberId, run: Run) -> bool {
        self.streams.contains_key(&(author, run))
    }

    fn is_below(&self, author: MemberId, run: Run) -> bool {
        self.floors.get(&author).is_some_and(|&floor| run < floor)
    }

    /// `None` of a run that was forgotten: made anew, it would know nothing of what was seen.
    pub fn stream_mut(&mut self, author: MemberId, run: Run) -> Option<&mut Stream> {
        self.streams.get_mut(&(author, run))
    }

    /// The order of a message that arrives now: not after one that its author sent later, on disk or on its way there.
    pub fn order_for(&self, author: MemberId, run: Run, seq: Seq, now: u64) -> u64 {
        let streams = self.streams.range((author, run)..=*all_runs(author).end());
        let later = streams.flat_map(|(&(_, of), stream)| {
            let from = if of == run { seq + 1 } else { 0 };
            let kept = stream.ids.range(from..).next().map(|(_, kept)| kept.order);
            let incoming = stream.incoming.range(from..).next().map(|(_, incoming)| incoming.order);
            [kept, incoming]
        });
        later.flatten().fold(now, u64::min)
    }

    pub fn commit(&mut self, author: MemberId, run: Run, seq: Seq, kept: PrivateKept) {
        let Some(stream) = self.streams.get_mut(&(author, run)) else { return };
        stream.incoming.remove(&seq);
        stream.seen.insert(seq);
        self.keep(author, run, seq, kept);
    }

    fn keep(&mut self, author: MemberId, run: Run, seq: Seq, kept: PrivateKept) {
        let Some(stream) = self.streams.get_mut(&(author, run)) else { return };
        self.by_id.insert(kept.id, (author, run, seq));
        if stream.ids.insert(seq, kept).is_none() {
            self.ids += 1;
            *self.ids_by_author.entry(author).or_default() += 1;
        }
    }

    /// Forgets ids where there are too many, a sixteenth more than needed: of `author` what is beyond its share, and
    /// of all those of whoever has the most. The oldest go first, and what was just committed, `fresh`, last.
    pub fn prune(&mut self, author: MemberId, fresh: (Run, Seq)) -> Vec<Pruned> {
        let mut pruned = Vec::new();
        let held = self.ids_by_author.get(&author).copied().unwrap_or(0);
        if held > PRIVATE_IDS_PER_AUTHOR_MAX {
            self.prune_author(author, held - PRIVATE_IDS_PER_AUTHOR_MAX + held / 16, fresh, &mut pruned);
        }
        while self.ids > PRIVATE_IDS_MAX
            && let Some((&most, &held)) = self.ids_by_author.iter().max_by_key(|(_, held)| **held)
        {
            let surplus = (self.ids - PRIVATE_IDS_MAX).min(held) + held / 16;
            self.prune_author(most, surplus, fresh, &mut pruned);
        }
        pruned
    }

    fn prune_author(&mut self, author: MemberId, surplus: usize, fresh: (Run, Seq), pruned: &mut Vec<Pruned>) {
        let streams = self.streams.range(all_runs(author));
        let ids = streams.flat_map(|(&(_, run), stream)| {
            // Within a run the order rises with the number, so what goes first is its beginning.
            let is_fresh = move |seq: Seq| run == fresh.0 && seq >= fresh.1;
            stream.ids.iter().map(move |(&seq, kept)| (is_fresh(seq), kept.order, run, seq))
        });
        let mut oldest: Vec<_> = ids.collect();
        oldest.sort_unstable();
        oldest.truncate(surplus);
        let mut cuts: BTreeMap<Run, Seq> = BTreeMap::new();
        for (_, _, run, seq) in oldest {
            let cut = cuts.entry(run).or_default();
            *cut = seq.max(*cut);
        }
        for (run, upto) in cuts {
            let Some(stream) = self.streams.get_mut(&(author, run)) else { continue };
            let stay = stream.ids.split_off(&(upto + 1));
            let gone = std::mem::replace(&mut stream.ids, stay);
            pruned.push(Pruned { author, run, upto, seen: stream.seen.clone() });
            self.count_gone(author, gone.len());
            for kept in gone.into_values() {
                self.by_id.remove(&kept.id);
            }
        }
    }

    fn forget_runs(&mut self, author: MemberId, below: Run) {
        self.floors.insert(author, below);
        let gone: Vec<(MemberId, Run)> = self
            .streams
            .range(all_runs(author))
            .take_while(|((_, run), _)| *run < below)
            .map(|(&key, _)| key)
            .collect();
        for key in gone {
            let Some(stream) = self.streams.remove(&key) else { continue };
            self.count_gone(author, stream.ids.len());
            for kept in stream.ids.values() {
                self.by_id.remove(&kept.id);
            }
        }
    }

    fn count_gone(&mut self, author: MemberId, count: usize) {
        self.ids -= count;
        if let Some(held) = self.ids_by_author.get_mut(&author) {
            *held -= count;
            if *held == 0 {
                self.ids_by_author.remove(&author);
            }
        }
    }

    pub fn find(&self, id: MessageId) -> Option<((MemberId, Run, Seq), PrivateKept)> {
        let &(author, run, seq) = self.by_id.get(&id)?;
        let kept = self.streams.get(&(author, run))?.ids.get(&seq)?;
        Some(((author, run, seq), *kept))
    }

    pub fn by_id(&self) -> &BTreeMap<MessageId, (MemberId, Run, Seq)> {
        &self.by_id
    }

    /// The newest ids of an author, newest run first, at most `max`.
    pub fn newest(&self, author: MemberId, max: usize) -> Vec<(Run, MessageId)> {
        let runs = self.streams.range(all_runs(author)).rev();
        runs.flat_map(|((_, run), stream)| stream.ids.values().rev().map(|kept| (*run, kept.id))).take(max).collect()
    }
}

/// Ids `1..=upto` of the run are gone; `seen` says what was seen of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pruned {
    pub author: MemberId,
    pub run: Run,
    pub upto: Seq,
    pub seen: Ranges,
}

fn all_runs(author: MemberId) -> RangeInclusive<(MemberId, Run)> {
    (author, Run { incarnation: 0, boot: 0 })..=(author, Run { incarnation: u64::MAX, boot: u64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Run = Run { incarnation: 1, boot: 1 };

    fn commit(privates: &mut Privates, author: u8, run: Run, seq: Seq, order: u64) -> MessageId {
        let mut id = [author; 32];
        id[..8].copy_from_slice(&seq.to_be_bytes());
        id[8..16].copy_from_slice(&run.boot.to_be_bytes());
        let kept = PrivateKept { id: MessageId(id), order, at: Wall(1), duplicates: 0 };
        assert!(privates.admit_run(MemberId([author; 32]), run).is_ok());
        privates.commit(MemberId([author; 32]), run, seq, kept);
        MessageId(id)
    }

    #[test]
    fn what_is_refused_as_too_old_is_only_what_may_have_been_seen() {
        let mut privates = Privates::default();
        let author = MemberId([1; 32]);
        let run = |incarnation| Run { incarnation, boot: u64::MAX };
        let even = (1..).map(|number| run(number * 2)).take(PRIVATE_RUNS_PER_AUTHOR_MAX);
        for run in even {
            assert_eq!(privates.admit_run(author, run), Ok(None));
            commit(&mut privates, 1, run, 1, 1);
        }
        assert_eq!(privates.admit_run(author, run(3)), Ok(Some(run(2).next())));
        let id = MessageId([7; 32]);
        assert_eq!(privates.known(author, run(2), 1, id), KnownPrivate::Below);
        // What was on its way to the disk when its run was forgotten does not bring the run back.
        privates.commit(author, run(2), 2, PrivateKept { id, order: 2, at: Wall(1), duplicates: 0 });
        assert!(privates.stream_mut(author, run(2)).is_none());
        assert_eq!(privates.known(author, run(2), 1, id), KnownPrivate::Below);
        assert_eq!(privates.admit_run(author, run(1)), Err(RunTooOld));
        // Never seen, and newer than what was forgotten.
        let after = Run { incarnation: 3, boot: 0 };
        assert_eq!(privates.known(author, after, 1, id), KnownPrivate::New);
        assert_eq!(privates.known(author, run(4), 1, id), KnownPrivate::Other);
    }

    #[test]
    fn a_full_table_forgets_of_whoever_has_the_most_and_not_what_was_just_committed() {
        let mut privates = Privates::default();
        let mut order = 0;
        for author in 1..=8 {
            for seq in 1..=8_192 {
                order += 1;
                commit(&mut privates, author, RUN, seq, order);
            }
        }
        let writer = MemberId([9; 32]);
        let id = commit(&mut privates, 9, RUN, 1, order + 1);
        let pruned = privates.prune(writer, (RUN, 1));
        assert!(!pruned.is_empty() && pruned.iter().all(|pruned| pruned.author != writer));
        assert_eq!(privates.known(writer, RUN, 1, id), KnownPrivate::Held);
        assert!(privates.by_id().len() <= PRIVATE_IDS_MAX);
    }

    #[test]
    fn an_author_that_retries_an_older_run_loses_what_is_oldest_and_not_that() {
        let mut privates = Privates::default();
        let later = Run { incarnation: 2, boot: 2 };
        let author = MemberId([1; 32]);
        for seq in 1..=8_192 {
            commit(&mut privates, 1, later, seq, seq);
        }
        let id = commit(&mut privates, 1, RUN, 1, 8_193);
        let pruned = privates.prune(author, (RUN, 1));
        assert_eq!(pruned.iter().map(|pruned| pruned.run).collect::<Vec<_>>(), [later]);
        assert_eq!(privates.known(author, RUN, 1, id), KnownPrivate::Held);
    }
}
