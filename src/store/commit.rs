//! One group of records, one transaction. Owns what a failure means: a full disk undoes the group and nothing
//! else, and what leaves the disk's state unknown is final.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Error, ErrorCode, ffi};

use super::rows::{RowError, Rows};
use super::{files, index, journal, prune, schema};
use crate::node::Record;

/// The connection that writes.
pub(super) struct Committer {
    db: Connection,
    path: PathBuf,
}

/// Why a group is not on the disk.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    /// The group is rolled back; what was committed before stands.
    #[error("the disk is full")]
    Full,
    /// Nothing was done: another program holds the database. Only of what can wait; a commit waits until it can be done.
    #[error("another program holds the database")]
    Held,
    /// It is unknown what is on the disk, or nothing more can get there.
    #[error("{0}")]
    Fatal(String),
}

impl Committer {
    pub(super) fn new(db: Connection, path: PathBuf) -> Self {
        Self { db, path }
    }

    /// Makes all `records` durable and their words found, or none.
    #[cfg(test)]
    pub(super) fn commit<'r>(&self, records: impl IntoIterator<Item = &'r Record>) -> Result<(), CommitError> {
        self.transaction(|db| {
            write(db, records)?;
            index::catch_up(db)
        })
    }

    /// Makes all `records` durable, or none; they are read, and their words found, after [`Committer::settle`].
    pub(super) fn commit_first<'r>(
        &self,
        records: impl IntoIterator<Item = &'r Record> + Clone,
    ) -> Result<(), CommitError> {
        match journal::encode(records.clone()) {
            Some(rows) => self.transaction(|db| journal::add(db, &rows)),
            None => self.transaction(|db| write(db, records)),
        }
    }

    /// Files what waits in the journal, and then makes the words of all messages found: with little room the first may succeed
    /// alone. Nothing is claimed by it, so it is not synced by itself: the next commit's sync covers it, and what a power
    /// cut takes of it is done again. Where there is nothing to do it needs no lock; and it can wait where a commit cannot.
    pub(super) fn settle(&self) -> Result<(), CommitError> {
        if self.is_settled().map_err(|error| self.sort(error.into()))? {
            return Ok(());
        }
        self.synchronous("normal")?;
        let settled = self.try_transaction(journal::file).and_then(|()| self.try_transaction(index::catch_up));
        settled.and(self.synchronous("full"))
    }

    fn is_settled(&self) -> rusqlite::Result<bool> {
        Ok(journal::is_empty(&self.db)? && index::is_up_to_date(&self.db)?)
    }

    fn synchronous(&self, mode: &str) -> Result<(), CommitError> {
        self.db.pragma_update(None, "synchronous", mode).map_err(|error| CommitError::Fatal(error.to_string()))
    }

    /// Prunes some of people's history; says whether there is more to prune.
    pub(super) fn prune(&self) -> Result<bool, CommitError> {
        let mut more = false;
        self.try_transaction(|db| {
            journal::file(db)?;
            more = prune::step(db)?;
            Ok(())
        })?;
        Ok(more)
    }

    /// Moves the write-ahead log into the database when it has grown long. On a full disk it stays as it is.
    pub(super) fn checkpoint(&self) -> Result<(), CommitError> {
        let pages = |mode| {
            let statement = self.db.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"));
            let pages = statement.and_then(|mut statement| statement.query_row((), |row| row.get::<_, i64>(1)));
            pages.map_err(|error| self.sort(error.into()))
        };
        if pages("NOOP")? < WAL_PAGES_MAX {
            return Ok(());
        }
        match pages("PASSIVE") {
            Ok(_) | Err(CommitError::Full | CommitError::Held) => Ok(()),
            Err(error @ CommitError::Fatal(_)) => Err(error),
        }
    }

    fn transaction(&self, work: impl FnOnce(&Connection) -> Result<(), RowError>) -> Result<(), CommitError> {
        self.finish(self.begin(), work)
    }

    /// The same for what can be done another time: it waits for another program for `TRIED_FOR` only.
    fn try_transaction(&self, work: impl FnOnce(&Connection) -> Result<(), RowError>) -> Result<(), CommitError> {
        let within = |span| self.db.busy_timeout(span).map_err(|error| CommitError::Fatal(error.to_string()));
        within(TRIED_FOR)?;
        let begun = self.run("BEGIN IMMEDIATE");
        within(schema::BUSY_TIMEOUT)?;
        match begun {
            Err(RowError::Sqlite(error)) if is_busy(&error) => Err(CommitError::Held),
            begun => self.finish(begun, work),
        }
    }

    fn finish(
        &self,
        begun: Result<(), RowError>,
        work: impl FnOnce(&Connection) -> Result<(), RowError>,
    ) -> Result<(), CommitError> {
        begun.and_then(|()| work(&self.db)).and_then(|()| self.run("COMMIT")).map_err(|error| {
            let error = self.sort(error);
            if self.db.is_autocommit() {
                return error;
            }
            match self.db.execute_batch("ROLLBACK") {
                Ok(()) => error,
                Err(rollback) => CommitError::Fatal(format!("{error}, and taking it back failed: {rollback}")),
            }
        })
    }

    /// Waits for as long as another program holds the database: nothing is lost meanwhile.
    fn begin(&self) -> Result<(), RowError> {
        loop {
            match self.run("BEGIN IMMEDIATE") {
                Err(RowError::Sqlite(error)) if is_busy(&error) => {
                    tracing::warn!(database = %self.path.display(), "another program holds the database; waiting for it");
                }
                ended => return ended,
            }
        }
    }

    fn run(&self, statement: &str) -> Result<(), RowError> {
        self.db.prepare_cached(statement)?.execute(())?;
        Ok(())
    }

    fn sort(&self, error: RowError) -> CommitError {
        match error {
            RowError::Sqlite(error @ Error::SqliteFailure(..)) if is_full(&self.path, &error) => CommitError::Full,
            RowError::Sqlite(error @ Error::SqliteFailure(..)) => CommitError::Fatal(format!(
                "{} cannot be written ({error}); see to the disk and start again",
                self.path.display()
            )),
            RowError::Sqlite(_) | RowError::Layout(_) | RowError::Changed(_) => {
                CommitError::Fatal(format!("a record cannot be stored: {error}"))
            }
            RowError::JournalChanged | RowError::JournalForeign => {
                CommitError::Fatal(schema::sort_row(&self.path, "write", error).to_string())
            }
        }
    }
}

/// Whether an error means that there is no room on the disk of the database at `path`.
pub(super) fn is_full(path: &Path, error: &Error) -> bool {
    let Error::SqliteFailure(code, _) = error else { return false };
    code.code == ErrorCode::DiskFull
        || (WRITE_ERRORS.contains(&code.extended_code) && !files::has_room(&path.with_extension("probe")))
}

/// Whether another program holds the database.
pub(super) fn is_busy(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Writes records where they belong, after those that were before them.
fn write<'r>(db: &Connection, records: impl IntoIterator<Item = &'r Record>) -> Result<(), RowError> {
    journal::file(db)?;
    let mut rows = Rows::new(db);
    records.into_iter().try_for_each(|record| rows.apply(record))?;
    rows.finish()
}

/// Failures after which it is known that nothing of the group counts. A quota that is used up, and the index of
/// the write-ahead log when the disk is full, come as these. A failed fsync is not among them.
const WRITE_ERRORS: [i32; 4] =
    [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_TRUNCATE, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_IOERR_SHMMAP];
/// A node that is asked to end waits for this at most twice: for what was begun before, and once more for what is left.
const TRIED_FOR: Duration = Duration::from_secs(1);
/// As SQLite's own default.
const WAL_PAGES_MAX: i64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Restored;
    use crate::store::{kit, load};
    use std::fs;

    fn limit_pages(committer: &Committer, pages: i64) {
        committer.db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    }

    #[test]
    fn every_commit_is_synced_also_after_it_was_filed() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let committer = kit::committer(&home);
        let is_full = || committer.db.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0)) == Ok(2);
        assert!(is_full());
        committer.commit_first([&kit::received(&bo, 1, "hi")]).unwrap();
        committer.settle().unwrap();
        assert!(is_full());
        let various =
            |seq: u64| (0..1_000).map(|number| format!("word{} ", seq * 1_000 + number)).collect::<Vec<_>>().concat();
        let records: Vec<_> = (2..20).map(|seq| kit::received(&bo, seq, &various(seq))).collect();
        committer.commit_first(&records).unwrap();
        let pages: i64 = committer.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        limit_pages(&committer, pages);
        assert!(matches!(committer.settle(), Err(CommitError::Full)));
        assert!(is_full());
    }

    #[test]
    fn a_full_disk_undoes_the_group_and_what_comes_later_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let committer = kit::committer(&home);
        let record = |seq| kit::received(&bo, seq, &"long ".repeat(1_000));
        committer.commit([&record(1)]).unwrap();
        let pages: i64 = committer.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        limit_pages(&committer, pages + 4);
        let large: Vec<_> = (2..40).map(record).collect();
        for _ in 0..3 {
            assert!(matches!(committer.commit(&large), Err(CommitError::Full)));
        }
        limit_pages(&committer, 1_000_000);
        committer.commit([&record(50)]).unwrap();
        drop(committer);
        let expected = Restored::fold([record(1), record(50)]);
        assert_eq!(Restored::fold(load(&home).unwrap()), expected);
    }

    #[test]
    fn a_full_disk_takes_nothing_of_a_record_that_would_wait() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let committer = kit::committer(&home);
        let record = |seq| kit::received(&bo, seq, &"long ".repeat(3_000));
        committer.commit_first([&record(1)]).unwrap();
        let pages: i64 = committer.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        limit_pages(&committer, pages);
        for _ in 0..3 {
            assert!(matches!(committer.commit_first([&record(2)]), Err(CommitError::Full)));
            assert!(matches!(committer.settle(), Err(CommitError::Full)), "nor is there room to file it");
            assert!(committer.db.is_autocommit());
        }
        limit_pages(&committer, 1_000_000);
        committer.commit_first([&record(4)]).unwrap();
        drop(committer);
        assert_eq!(Restored::fold(load(&home).unwrap()), Restored::fold([record(1), record(4)]));
    }

    #[test]
    fn what_is_committed_survives_a_process_that_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let committer = kit::committer(&home);
        let records: Vec<_> = (1..30).map(|seq| kit::received(&bo, seq, "kept")).collect();
        for (number, record) in records.iter().enumerate() {
            // Some are filed when the process is killed, and the newest are not.
            if number == 20 { committer.commit([record]) } else { committer.commit_first([record]) }.unwrap();
        }
        committer.db.execute_batch("BEGIN IMMEDIATE; DELETE FROM messages; DELETE FROM journal").unwrap();
        // What a killed process leaves: database and log as they are, nobody to tidy up.
        let after = dir.path().join("after");
        let reopened = kit::home(&after);
        for name in ["keys.json", "room.json", "moot.db", "moot.db-wal"] {
            fs::copy(home.dir().join(name), after.join(name)).unwrap();
        }
        assert_eq!(Restored::fold(load(&reopened).unwrap()), Restored::fold(&records));
    }

    #[test]
    fn a_long_log_is_moved_into_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let committer = kit::committer(&home);
        let record = |seq| kit::received(&bo, seq, &"long ".repeat(3_000));
        let records: Vec<_> = (1..400).map(record).collect();
        committer.commit(&records).unwrap();
        let size = || fs::metadata(home.database()).unwrap().len();
        let before = size();
        committer.checkpoint().unwrap();
        assert!(size() > before);
    }
}
