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
pub struct Settler {
    jobs: Weak<SyncSender<Job>>,
    /// What was asked for and is not answered yet: nothing else is queued before that, or a writer that has to wait would find its queue
    /// full of questions that nobody waits for any more.
    asked: Option<Receiver<CaughtUp>>,
}

/// Whether all that was submitted before can be read and searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CaughtUp {
    Yes,
    /// The disk is full, or the writer has ended.
    No,
    /// The writer has had no time for it yet: most likely because another program holds the database.
    Waits,
}

impl Settler {
    /// Has all that was submitted before filed and indexed, and waits for that, but not for long.
    pub fn catch_up(&mut self) -> CaughtUp {
        // An answer to what was asked before says nothing of what was submitted since.
        if self.asked.is_some() && self.answer() == CaughtUp::Waits {
            return CaughtUp::Waits;
        }
        let (done, is_done) = mpsc::channel();
        match self.jobs.upgrade().map(|jobs| jobs.try_send(Job::Settle { done })) {
            Some(Ok(())) => self.asked = Some(is_done),
            Some(Err(TrySendError::Full(_))) => return CaughtUp::Waits,
            Some(Err(TrySendError::Disconnected(_))) | None => return CaughtUp::No,
        }
        self.answer()
    }

    fn answer(&mut self) -> CaughtUp {
        let Some(asked) = &self.asked else { return CaughtUp::No };
        let answer = asked.recv_timeout(CAUGHT_UP_WITHIN);
        if answer != Err(RecvTimeoutError::Timeout) {
            self.asked = None;
        }
        match answer {
            Ok(caught_up) => caught_up,
            Err(RecvTimeoutError::Disconnected) => CaughtUp::No,
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
    Settle { done: Sender<CaughtUp> },
}

impl Writer {
    /// Starts the thread. It calls `wake` when there are results to take, and begins by pruning what is too old.
    ///
    /// # Errors
    /// [`StoreError`], as [`super::load`].
    pub fn start(home: &Home, wake: Box<dyn Fn() + Send>) -> Result<Self, StoreError> {
        let committer = Committer::new(schema::open(home)?, home.database());
        let (jobs, queue) = mpsc::sync_channel(STORE_BATCHES_MAX + OTHER_JOBS_MAX);
        let (done, results) = mpsc::channel();
        let work =
            Work { committer, queue, done, wake, is_pruning: true, unsettled: 1, is_closing: false, since_checked: 0 };
        let thread = thread::Builder::new().name("store".to_owned()).spawn(|| work.run());
        let thread = thread.map_err(StoreError::io("start the thread that writes", home.dir()))?;
        Ok(Self { jobs: Some(Arc::new(jobs)), results, thread: Some(thread) })
    }

    /// For whoever reads.
    #[must_use]
    pub fn settler(&self) -> Settler {
        Settler { jobs: self.jobs.as_ref().map(Arc::downgrade).unwrap_or_default(), asked: None }
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
    unsettled: usize,
    /// Nothing more will be queued.
    is_closing: bool,
    /// Records since the length of the write-ahead log was looked at.
    since_checked: usize,
}

enum Turn {
    Write(Job),
    /// Nothing is queued, and there is history to prune.
    Prune,
    /// Nothing is queued, and there are records to be filed, or messages to be indexed.
    Settle,
}

impl Work {
    fn run(mut self) {
        while let Some(turn) = self.next() {
            let done = match turn {
                Turn::Write(job) => self.write(job),
                Turn::Prune => self.prune(),
                Turn::Settle => self.settle().map(drop),
            };
            if let Err(error) = done {
                tracing::error!(%error, "the store ends");
                self.tell(Written::Fatal(error));
                (self.wake)();
                return;
            }
        }
    }

    /// What to do next; `None` when the writer is closed and nothing is queued. What waits in the journal is filed once more then,
    /// unless another program holds the database: nobody waits for that.
    fn next(&mut self) -> Option<Turn> {
        let other = if self.is_pruning { Some(Turn::Prune) } else { (self.unsettled > 0).then_some(Turn::Settle) };
        let within = match other {
            None => return self.queue.recv().ok().map(Turn::Write),
            Some(Turn::Settle) => SETTLED_AFTER,
            Some(Turn::Prune | Turn::Write(_)) => Duration::ZERO,
        };
        match self.queue.recv_timeout(within) {
            Ok(job) => Some(Turn::Write(job)),
            Err(RecvTimeoutError::Timeout) => other,
            Err(RecvTimeoutError::Disconnected) => {
                self.is_closing = true;
                (self.unsettled > 0).then_some(Turn::Settle)
            }
        }
    }

    /// Commits all that is queued by now, beginning with `first`, in one transaction.
    fn write(&mut self, first: Job) -> Result<(), String> {
        let mut batches = Vec::new();
        let mut readers = Vec::new();
        let mut records = 0;
        for job in std::iter::once(first).chain(self.queue.try_iter()) {
            match job {
                Job::Write { mark, records: batch } => {
                    records += batch.len();
                    batches.push((mark, batch));
                }
                Job::Prune => self.is_pruning = true,
                Job::Settle { done } => readers.push(done),
            }
            if records >= GROUP_RECORDS_MAX {
                break;
            }
        }
        if !batches.is_empty() {
            self.commit(batches, records)?;
        }
        if self.unsettled >= UNSETTLED_RECORDS_MAX || !readers.is_empty() {
            let caught_up = self.settle()?;
            for done in readers {
                // Who asked may be gone.
                let _ = done.send(caught_up);
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
            Err(error @ (CommitError::Held | CommitError::Fatal(_))) => return Err(error.to_string()),
        };
        tracing::trace!(batches = batches.len(), records, stored = result.is_ok(), "committed");
        for (mark, _) in batches {
            self.tell(Written::Stored { mark, result });
        }
        (self.wake)();
        self.unsettled += records;
        self.since_checked += records.max(1);
        if self.since_checked < CHECKED_EVERY_RECORDS {
            return Ok(());
        }
        self.since_checked = 0;
        self.committer.checkpoint().map_err(|error| error.to_string())
    }

    /// Empties the journal, and brings the index of words up to date. On a full disk it is tried again with what comes next, behind
    /// another program soon.
    fn settle(&mut self) -> Result<CaughtUp, String> {
        self.unsettled = 0;
        match self.committer.settle() {
            Ok(()) => Ok(CaughtUp::Yes),
            Err(CommitError::Full) => Ok(CaughtUp::No),
            Err(CommitError::Held) => {
                self.unsettled = usize::from(!self.is_closing);
                Ok(CaughtUp::Waits)
            }
            Err(CommitError::Fatal(why)) => Err(why),
        }
    }

    fn prune(&mut self) -> Result<(), String> {
        self.is_pruning = false;
        match self.committer.prune() {
            Ok(more) => self.is_pruning = more,
            Err(CommitError::Full) => tracing::debug!("no room to prune"),
            Err(CommitError::Held) => self.is_pruning = true,
            Err(CommitError::Fatal(why)) => return Err(why),
        }
        self.committer.checkpoint().map_err(|error| error.to_string())
    }

    fn tell(&self, written: Written) {
        // Nobody listens any more when the writer was dropped: then nobody waits for it either.
        let _ = self.done.send(written);
    }
}

/// Whoever asks for something on the disk waits this long for what came last: longer than one commit that is on its way and the one
/// after it take on a slow disk.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(3);
/// Room in the queue beside batches: for one who reads, and for what is due once a day.
const OTHER_JOBS_MAX: usize = 2;
/// Records in one transaction: past it a commit would keep its results waiting for others' sake.
const GROUP_RECORDS_MAX: usize = 8_192;
/// What waits in the journal is filed, and words are indexed, once nothing was to be written for so long, or after so many records: then a burst shares the work, and
/// whoever waits for each message before the next one hardly meets it.
const SETTLED_AFTER: Duration = Duration::from_millis(20);
const UNSETTLED_RECORDS_MAX: usize = 256;
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
        assert_eq!(Restored::fold(load(&home).unwrap()), Restored::fold(&records));
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
        let mut settler = writer.settler();
        for number in 2..=5 {
            writer.submit(number, vec![kit::received(&bo, number, &format!("new{number}"))]);
            assert_eq!(settler.catch_up(), CaughtUp::Yes);
            assert_eq!((found("old"), found(&format!("new{number}"))), (1, 1));
        }
        writer.submit(6, vec![kit::received(&bo, 6, "last")]);
        drop(writer.close());
        assert_eq!(found("last"), 1, "a process that ends leaves nothing to be indexed");
        assert_eq!(settler.catch_up(), CaughtUp::No, "nobody indexes any more");
    }

    #[test]
    fn whoever_reads_does_not_wait_for_a_program_that_holds_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let writer = Writer::start(&home, Box::new(|| {})).unwrap();
        let mut settler = writer.settler();
        writer.submit(1, vec![kit::received(&bo, 1, "filed")]);
        assert_eq!(settler.catch_up(), CaughtUp::Yes);
        let other = schema::open(&home).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(settler.catch_up(), CaughtUp::Yes, "there is nothing to do");
        writer.submit(2, vec![kit::received(&bo, 2, "later")]);
        for _ in 0..2 {
            assert_eq!(settler.catch_up(), CaughtUp::Waits);
        }
        let history = History::open(&home).unwrap();
        assert!(history.is_filed().unwrap() && history.is_indexed().unwrap());
        assert_eq!(history.log(9).unwrap().len(), 1);
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(settler.catch_up(), CaughtUp::Yes, "the writer goes on");
        assert_eq!(history.log(9).unwrap().len(), 2);
        // What a commit wrote down and nothing filed is not to be seen so.
        drop(writer.close());
        kit::committer(&home).commit_first([&kit::received(&bo, 3, "waits")]).unwrap();
        assert!(!history.is_filed().unwrap());
    }

    fn started() -> (tempfile::TempDir, Home, Writer) {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let writer = Writer::start(&home, Box::new(|| {})).unwrap();
        (dir, home, writer)
    }

    #[test]
    fn nobody_who_asks_in_vain_fills_the_queue() {
        let (_dir, home, writer) = started();
        let mut settler = writer.settler();
        let jobs = Arc::clone(writer.jobs.as_ref().unwrap());
        let other = schema::open(&home).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        writer.submit(1, vec![kit::received(&kit::identity(&home, 1), 1, "hi")]);
        for _ in 0..=OTHER_JOBS_MAX {
            assert_eq!(settler.catch_up(), CaughtUp::Waits);
        }
        // The first batch is with the writer: what it has room for can be queued without waiting.
        for mark in 0..STORE_BATCHES_MAX {
            let is_queued = jobs.try_send(Job::Write { mark: u64::try_from(mark).unwrap(), records: Vec::new() });
            assert!(is_queued.is_ok(), "batch {mark}");
        }
        drop(jobs);
        other.execute_batch("ROLLBACK").unwrap();
    }

    #[test]
    fn a_writer_that_has_all_on_the_disk_ends_although_another_program_holds_the_database() {
        let (_dir, home, writer) = started();
        let mut settler = writer.settler();
        assert_eq!(settler.catch_up(), CaughtUp::Yes);
        let other = schema::open(&home).unwrap();
        kit::committer(&home).commit_first([&kit::received(&kit::identity(&home, 1), 1, "hi")]).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(settler.catch_up(), CaughtUp::Waits, "what waits in the journal is filed later");
        assert_eq!(writer.close(), []);
        other.execute_batch("ROLLBACK").unwrap();
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
