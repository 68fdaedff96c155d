//! The thread that writes. Owns the queue of batches and the order of their results; a burst that waits while the
//! disk is busy becomes one transaction, so that it costs one fsync.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, TrySendError};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::commit::{CommitError, Committer};
use super::{Home, StoreError, schema};
use crate::base::StoreFailed;
use crate::base::limits::STORE_BATCHES_MAX;
use crate::node::Record;

/// The way to the thread that writes.
pub struct Writer {
    jobs: Option<Arc<SyncSender<Job>>>,
    results: Receiver<Written>,
    thread: Option<JoinHandle<()>>,
}

/// Another thread's way to have all messages read, and their words found. It keeps nobody from ending the writer.
pub struct Indexer(Weak<SyncSender<Job>>);

/// Whether all that was submitted before can be read and searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CaughtUp {
    Yes,
    /// The disk is full, or the writer has ended.
    No,
    /// The writer has had no time for it yet: most likely because another program holds the database.
    Waits,
}

impl Indexer {
    /// Has all that was submitted before filed and indexed, and waits for that, but not for long.
    #[must_use]
    pub fn catch_up(&self) -> CaughtUp {
        let (done, is_done) = mpsc::channel();
        match self.0.upgrade().map(|jobs| jobs.try_send(Job::Index { done })) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => return CaughtUp::Waits,
            Some(Err(TrySendError::Disconnected(_))) | None => return CaughtUp::No,
        }
        match is_done.recv_timeout(CAUGHT_UP_WITHIN) {
            Ok(true) => CaughtUp::Yes,
            Ok(false) | Err(RecvTimeoutError::Disconnected) => CaughtUp::No,
            Err(RecvTimeoutError::Timeout) => CaughtUp::Waits,
        }
    }
}

/// What became of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// All of it is durable, or, the disk being full, nothing of it.
    Stored { mark: u64, result: Result<(), StoreFailed> },
    /// What is on the disk is unknown, or nothing more can get there: the process has to end with this
    /// sentence. The last result.
    Fatal(String),
}

enum Job {
    Write { mark: u64, records: Vec<Record> },
    Prune,
    Index { done: Sender<bool> },
}

impl Writer {
    /// Starts the thread. It calls `wake` when there are results to take, and begins by pruning what is too old.
    ///
    /// # Errors
    /// [`StoreError`], as [`super::load`].
    pub fn start(home: &Home, wake: Box<dyn Fn() + Send>) -> Result<Self, StoreError> {
        let committer = Committer::new(schema::open(home)?, home.database());
        let (jobs, queue) = mpsc::sync_channel(STORE_BATCHES_MAX + READERS_WAITING_MAX);
        let (done, results) = mpsc::channel();
        let work = Work { committer, queue, done, wake, is_pruning: true, unindexed: 1, since_checked: 0 };
        let thread = thread::Builder::new().name("store".to_owned()).spawn(|| work.run());
        let thread = thread.map_err(StoreError::io("start the thread that writes", home.dir()))?;
        Ok(Self { jobs: Some(Arc::new(jobs)), results, thread: Some(thread) })
    }

    /// For whoever searches.
    #[must_use]
    pub fn indexer(&self) -> Indexer {
        Indexer(self.jobs.as_ref().map(Arc::downgrade).unwrap_or_default())
    }

    /// Queues a batch. Waits while `STORE_BATCHES_MAX` batches are queued.
    pub fn submit(&self, mark: u64, records: Vec<Record>) {
        self.queue(Job::Write { mark, records });
    }

    /// Prunes people's history of what is too old, beside the commits. Due once a day.
    pub fn prune(&self) {
        self.queue(Job::Prune);
    }

    /// The next result, in the order of the batches; `None` while there is none.
    #[must_use]
    pub fn poll_written(&self) -> Option<Written> {
        match self.results.try_recv() {
            Ok(written) => Some(written),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Written::Fatal("the thread that writes has ended".to_owned())),
        }
    }

    /// Writes what is queued and ends the thread; gives the results that were not taken.
    #[must_use]
    pub fn close(mut self) -> Vec<Written> {
        self.end();
        self.results.try_iter().collect()
    }

    fn queue(&self, job: Job) {
        // The thread is gone only after a fatal result, which the caller has, or is about to take.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
    }

    fn end(&mut self) {
        drop(self.jobs.take());
        // A panic of the thread was printed by it.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the thread owns.
struct Work {
    committer: Committer,
    queue: Receiver<Job>,
    done: Sender<Written>,
    wake: Box<dyn Fn() + Send>,
    /// Set while there is history to prune.
    is_pruning: bool,
    /// Records that may wait in the journal, or whose words may not be in the index. At a start there may be some that the process before left.
    unindexed: usize,
    /// Records since the length of the write-ahead log was looked at.
    since_checked: usize,
}

enum Turn {
    Write(Job),
    /// Nothing is queued, and there is history to prune.
    Prune,
    /// Nothing is queued, and there are messages to be indexed.
    Index,
}

impl Work {
    fn run(mut self) {
        while let Some(turn) = self.next() {
            let done = match turn {
                Turn::Write(job) => self.write(job),
                Turn::Prune => self.prune(),
                Turn::Index => self.index().map(drop),
            };
            if let Err(error) = done {
                tracing::error!(%error, "the store ends");
                self.tell(Written::Fatal(error));
                (self.wake)();
                return;
            }
        }
    }

    /// What to do next; `None` when the writer is closed and nothing is queued.
    fn next(&self) -> Option<Turn> {
        if !self.is_pruning && self.unindexed == 0 {
            return self.queue.recv().ok().map(Turn::Write);
        }
        if !self.is_pruning {
            return match self.queue.recv_timeout(INDEXED_AFTER) {
                Ok(job) => Some(Turn::Write(job)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Some(Turn::Index),
            };
        }
        match self.queue.try_recv() {
            Ok(job) => Some(Turn::Write(job)),
            Err(TryRecvError::Empty) => Some(Turn::Prune),
            Err(TryRecvError::Disconnected) => None,
        }
    }

    /// Commits all that is queued by now, beginning with `first`, in one transaction.
    fn write(&mut self, first: Job) -> Result<(), String> {
        let mut batches = Vec::new();
        let mut searchers = Vec::new();
        let mut records = 0;
        for job in std::iter::once(first).chain(self.queue.try_iter()) {
            match job {
                Job::Write { mark, records: batch } => {
                    records += batch.len();
                    batches.push((mark, batch));
                }
                Job::Prune => self.is_pruning = true,
                Job::Index { done } => searchers.push(done),
            }
            if records >= GROUP_RECORDS_MAX {
                break;
            }
        }
        if !batches.is_empty() {
            self.commit(batches, records)?;
        }
        if self.unindexed >= UNINDEXED_RECORDS_MAX || !searchers.is_empty() {
            let is_indexed = self.index()?;
            for done in searchers {
                // Who asked may be gone.
                let _ = done.send(is_indexed);
            }
        }
        Ok(())
    }

    fn commit(&mut self, batches: Vec<(u64, Vec<Record>)>, records: usize) -> Result<(), String> {
        let result = match self.committer.commit_first(batches.iter().flat_map(|(_, records)| records)) {
            Ok(()) => Ok(()),
            Err(CommitError::Full) => {
                tracing::warn!(records, "the disk is full");
                Err(StoreFailed)
            }
            Err(CommitError::Fatal(why)) => return Err(why),
        };
        tracing::trace!(batches = batches.len(), records, stored = result.is_ok(), "committed");
        for (mark, _) in batches {
            self.tell(Written::Stored { mark, result });
        }
        (self.wake)();
        self.unindexed += records;
        self.since_checked += records.max(1);
        if self.since_checked < CHECKED_EVERY_RECORDS {
            return Ok(());
        }
        self.since_checked = 0;
        self.committer.checkpoint().map_err(|error| error.to_string())
    }

    /// Brings the index of words up to date; false where the disk is full. Then it is tried again with what comes next.
    fn index(&mut self) -> Result<bool, String> {
        self.unindexed = 0;
        match self.committer.index() {
            Ok(()) => Ok(true),
            Err(CommitError::Full) => Ok(false),
            Err(CommitError::Fatal(why)) => Err(why),
        }
    }

    fn prune(&mut self) -> Result<(), String> {
        self.is_pruning = false;
        match self.committer.prune() {
            Ok(more) => self.is_pruning = more,
            Err(CommitError::Full) => tracing::debug!("no room to prune"),
            Err(CommitError::Fatal(why)) => return Err(why),
        }
        self.committer.checkpoint().map_err(|error| error.to_string())
    }

    fn tell(&self, written: Written) {
        // Nobody listens any more when the writer was dropped: then nobody waits for it either.
        let _ = self.done.send(written);
    }
}

/// Whoever asks for something on the disk waits this long for what came last.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(1);
/// Room in the queue for them, beside batches.
const READERS_WAITING_MAX: usize = 16;
/// Records in one transaction: past it a commit would keep its results waiting for others' sake.
const GROUP_RECORDS_MAX: usize = 8_192;
/// What waits in the journal is filed, and words are indexed, once nothing was to be written for so long, or after so many records: then a burst shares the work, and
/// whoever waits for each message before the next one hardly meets it.
const INDEXED_AFTER: Duration = Duration::from_millis(20);
const UNINDEXED_RECORDS_MAX: usize = 256;
/// The length of the write-ahead log is asked for this often. A record takes some ten pages of it, so that it grows by a third of
/// what it may before that is noticed.
const CHECKED_EVERY_RECORDS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Restored;
    use crate::store::{History, Search, kit, load};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order_and_a_burst_is_few_commits() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let woken = Arc::new(AtomicUsize::new(0));
        let wake = woken.clone();
        let wake = Box::new(move || {
            wake.fetch_add(1, Ordering::Relaxed);
        });
        let records: Vec<_> = (1..=1_000).map(|seq| kit::received(&bo, seq, "hi")).collect();
        let writer = Writer::start(&home, wake).unwrap();
        for (mark, record) in (1..).zip(&records) {
            writer.submit(mark, vec![record.clone()]);
        }
        let mut results = Vec::new();
        results.extend(std::iter::from_fn(|| writer.poll_written()));
        results.extend(writer.close());
        let expected: Vec<_> = (1..=1_000).map(|mark| Written::Stored { mark, result: Ok(()) }).collect();
        assert_eq!(results, expected);
        assert!(woken.load(Ordering::Relaxed) < 500, "{woken:?} commits");
        assert_eq!(Restored::fold(&load(&home).unwrap()), Restored::fold(&records));
    }

    #[test]
    fn whoever_searches_finds_all_that_was_submitted_before() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let found = |words: &str| {
            let search = Search { words: words.into(), by: None, limit: 10 };
            History::open(&home).unwrap().search(&search).unwrap().found.len()
        };
        // What a process that was killed had no time for.
        kit::committer(&home).commit_first([&kit::received(&bo, 1, "old")]).unwrap();
        assert_eq!(found("old"), 0);
        let writer = Writer::start(&home, Box::new(|| {})).unwrap();
        let indexer = writer.indexer();
        for number in 2..=5 {
            writer.submit(number, vec![kit::received(&bo, number, &format!("new{number}"))]);
            assert_eq!(indexer.catch_up(), CaughtUp::Yes);
            assert_eq!((found("old"), found(&format!("new{number}"))), (1, 1));
        }
        writer.submit(6, vec![kit::received(&bo, 6, "last")]);
        drop(writer.close());
        assert_eq!(found("last"), 1, "a process that ends leaves nothing to be indexed");
        assert_eq!(indexer.catch_up(), CaughtUp::No, "nobody indexes any more");
    }

    #[test]
    fn whoever_reads_does_not_wait_for_a_program_that_holds_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let writer = Writer::start(&home, Box::new(|| {})).unwrap();
        let indexer = writer.indexer();
        writer.submit(1, vec![kit::received(&bo, 1, "filed")]);
        assert_eq!(indexer.catch_up(), CaughtUp::Yes);
        let other = schema::open(&home).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(indexer.catch_up(), CaughtUp::Waits);
        let history = History::open(&home).unwrap();
        assert!(history.is_whole().unwrap());
        assert_eq!(history.log(9).unwrap().len(), 1);
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(indexer.catch_up(), CaughtUp::Yes, "the writer goes on");
        // What a commit wrote down and nothing filed is not to be seen so.
        drop(writer.close());
        kit::committer(&home).commit_first([&kit::received(&bo, 2, "waits")]).unwrap();
        assert!(!history.is_whole().unwrap());
    }

    #[test]
    fn a_broken_database_is_fatal_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let writer = Writer::start(&home, Box::new(|| {})).unwrap();
        schema::open(&home).unwrap().execute_batch("DROP TABLE gaps; DROP TABLE journal").unwrap();
        writer.submit(1, vec![kit::received(&bo, 1, "hi")]);
        writer.submit(2, Vec::new());
        let results = writer.close();
        assert!(matches!(&results[..], [Written::Fatal(why)] if why.contains("journal")), "{results:?}");
    }
}
