//! A disk that takes its time. Owns what is durable, what is on its way there, what a crash makes of that, and
//! copies of it under a name; knows nothing of what the records say.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Rng, StoreFailed, Time};
use crate::check::LineNumber;
use crate::node::{Mark, Record};
use crate::wire::codec;

/// What a crash does to batches that were submitted and not yet reported durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsynced {
    /// They had reached the disk all the same; only the report is lost.
    Keep,
    /// They are gone.
    Lose,
    /// Some of them had reached the disk: those up to a place that the seed decides. A batch is there as a whole or not
    /// at all, because the real store writes it in one SQLite transaction, with no more than the batches that came
    /// before and after it, and a transaction whose commit record is not whole on the disk counts for nothing.
    Torn,
}

/// Durable records, and the queue before them. Batches that are submitted while one is being written share
/// the next commit, as with the real writer.
pub(super) struct Disk {
    durable: Durable,
    writing: Vec<Batch>,
    queued: VecDeque<Batch>,
    latency: Duration,
    is_full: bool,
    snapshots: BTreeMap<String, Durable>,
}

/// What is durable: what was put there, which many disks may share, and what a node stored after it.
#[derive(Clone, Default)]
struct Durable {
    installed: Arc<Vec<Record>>,
    stored: Arc<Stored>,
}

/// Records one after the other, each behind its length, in the encoding of the real journal. Most of them say that a member
/// is gone or back, in 40 bytes where the value takes 160.
#[derive(Clone, Default)]
struct Stored(Vec<u8>);

/// Records that become durable together.
pub(super) struct Batch {
    pub mark: Mark,
    pub records: Vec<Record>,
    /// The line of the trace that led to it.
    pub cause: Option<LineNumber>,
}

/// How long one commit takes: an fsync of a consumer SSD.
pub const DISK_LATENCY: Duration = Duration::from_millis(2);

impl Disk {
    pub(super) fn new() -> Self {
        Self {
            durable: Durable::default(),
            writing: Vec::new(),
            queued: VecDeque::new(),
            latency: DISK_LATENCY,
            is_full: false,
            snapshots: BTreeMap::new(),
        }
    }

    pub(super) fn durable(&self) -> impl Iterator<Item = Cow<'_, Record>> + Clone {
        self.durable.installed.iter().map(Cow::Borrowed).chain(self.durable.stored.iter().map(Cow::Owned))
    }

    pub(super) fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    pub(super) fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// Queues a batch. Returns when the commit that this starts will be done, if it starts one.
    pub(super) fn submit(&mut self, now: Time, batch: Batch) -> Option<Time> {
        self.queued.push_back(batch);
        self.begin(now)
    }

    /// Ends the commit under way: its batches, and what became of them together.
    pub(super) fn commit(&mut self) -> (Vec<Batch>, Result<(), StoreFailed>) {
        let batches = std::mem::take(&mut self.writing);
        if self.is_full {
            return (batches, Err(StoreFailed));
        }
        self.durable.add(&batches);
        (batches, Ok(()))
    }

    /// Begins to write what is queued, unless a commit is under way. Returns when that is done.
    pub(super) fn begin(&mut self, now: Time) -> Option<Time> {
        if !self.writing.is_empty() || self.queued.is_empty() {
            return None;
        }
        self.writing = std::mem::take(&mut self.queued).into();
        Some(now + self.latency)
    }

    /// The process, or the power, is gone. Returns the batches that are durable all the same.
    pub(super) fn crash(&mut self, unsynced: Unsynced, rng: &mut Rng) -> Vec<Batch> {
        let mut open = std::mem::take(&mut self.writing);
        open.extend(std::mem::take(&mut self.queued));
        let kept = match unsynced {
            Unsynced::Keep => open.len(),
            Unsynced::Lose => 0,
            Unsynced::Torn => {
                let places = u64::try_from(open.len()).unwrap_or(u64::MAX) + 1;
                usize::try_from(rng.below(places)).unwrap_or(0)
            }
        };
        open.truncate(if self.is_full { 0 } else { kept });
        self.durable.add(&open);
        open
    }

    /// Remembers what is durable now.
    pub(super) fn snapshot(&mut self, name: &str) {
        self.snapshots.insert(name.to_owned(), self.durable.clone());
    }

    /// Goes back to a snapshot; says whether there is one of that name.
    pub(super) fn roll_back(&mut self, name: &str) -> bool {
        let Some(snapshot) = self.snapshots.get(name) else { return false };
        self.durable = snapshot.clone();
        true
    }

    /// Holds from now on what `other` holds.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.durable = other.durable.clone();
    }

    /// Puts records on it that no node stored, instead of all that was there.
    pub(super) fn install(&mut self, records: Arc<Vec<Record>>) {
        self.durable = Durable { installed: records, stored: Arc::default() };
    }
}

impl Durable {
    fn add(&mut self, batches: &[Batch]) {
        let stored = Arc::make_mut(&mut self.stored);
        for record in batches.iter().flat_map(|batch| &batch.records) {
            stored.push(record);
        }
    }
}

impl Stored {
    fn push(&mut self, record: &Record) {
        let bytes = codec::encode_kept(record);
        let length = u32::try_from(bytes.len()).expect("no record is that long");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(&bytes);
    }

    fn iter(&self) -> impl Iterator<Item = Record> + Clone {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).expect("it was the length of a slice");
            let (record, behind) = behind.split_at(length);
            rest = behind;
            Some(codec::decode_kept(record).expect("it was encoded so"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Run;
    use crate::membership;

    fn batch(mark: Mark) -> Batch {
        let record = |boot| Record::Membership(membership::Record::Run(Run { incarnation: mark, boot }));
        Batch { mark, records: vec![record(1), record(2)], cause: None }
    }

    fn crashed(unsynced: Unsynced, seed: u8) -> usize {
        let mut disk = Disk::new();
        disk.submit(Time::ZERO, batch(1));
        for mark in 2..6 {
            disk.submit(Time::ZERO, batch(mark));
        }
        disk.crash(unsynced, &mut Rng::from_seed([seed; 32]));
        disk.durable().count()
    }

    #[test]
    fn a_torn_write_keeps_whole_batches_and_any_number_of_them() {
        let kept: std::collections::BTreeSet<usize> = (0..64).map(|seed| crashed(Unsynced::Torn, seed)).collect();
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), [0, 2, 4, 6, 8, 10]);
        assert_eq!(crashed(Unsynced::Keep, 1), 10);
        assert_eq!(crashed(Unsynced::Lose, 1), 0);
    }

    #[test]
    fn what_comes_while_a_commit_is_under_way_shares_the_next() {
        let mut disk = Disk::new();
        let done = disk.submit(Time::ZERO, batch(1)).expect("it begins");
        assert!(disk.submit(Time::ZERO, batch(2)).is_none());
        assert!(disk.submit(Time::ZERO, batch(3)).is_none());
        let (batches, result) = disk.commit();
        assert_eq!((batches.len(), result), (1, Ok(())));
        assert!(disk.begin(done).is_some());
        let (batches, _) = disk.commit();
        assert_eq!(batches.iter().map(|batch| batch.mark).collect::<Vec<_>>(), [2, 3]);
        assert!(disk.begin(done).is_none());
    }

    #[test]
    fn a_full_disk_takes_nothing_not_even_in_a_crash() {
        let mut disk = Disk::new();
        disk.set_full(true);
        disk.submit(Time::ZERO, batch(1));
        assert_eq!(disk.commit().1, Err(StoreFailed));
        disk.submit(Time::ZERO, batch(2));
        assert!(disk.crash(Unsynced::Keep, &mut Rng::from_seed([0; 32])).is_empty());
        assert_eq!(disk.durable().count(), 0);
    }

    #[test]
    fn a_disk_goes_back_to_its_snapshot() {
        let mut disk = Disk::new();
        disk.submit(Time::ZERO, batch(1));
        assert_eq!(disk.commit().1, Ok(()));
        disk.snapshot("early");
        disk.submit(Time::ZERO, batch(2));
        assert_eq!(disk.commit().1, Ok(()));
        assert!(!disk.roll_back("late"));
        assert_eq!(disk.durable().count(), 4);
        assert!(disk.roll_back("early"));
        assert_eq!(disk.durable().count(), 2);
    }
}
