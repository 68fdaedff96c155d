//! The index of words, and how far it is. A message is on the disk before its words are in the index, because writing them
//! with each commit would take as long as all the rest of it: the writer brings the index up to date when it has nothing else to
//! do, after a burst, and before it is searched. Whatever is deleted was indexed before, so that nothing of it stays.

use rusqlite::Connection;

use super::rows::RowError;

/// Adds all messages that came since the last time.
pub(super) fn catch_up(db: &Connection) -> Result<(), RowError> {
    if is_up_to_date(db)? {
        return Ok(());
    }
    let add = "INSERT INTO words (rowid, text) SELECT n, text FROM messages
               WHERE n > (SELECT value FROM meta WHERE key = 'indexed') ORDER BY n";
    db.prepare_cached(add)?.execute(())?;
    note(db)
}

pub(super) fn is_up_to_date(db: &Connection) -> rusqlite::Result<bool> {
    let is_up_to_date = "SELECT coalesce((SELECT max(n) FROM messages), 0) <=
                         (SELECT value FROM meta WHERE key = 'indexed')";
    db.prepare_cached(is_up_to_date)?.query_row((), |row| row.get(0))
}

/// Notes that all messages are in the index. Called when some were deleted too, because a later one may get the number of the
/// newest again.
pub(super) fn note(db: &Connection) -> Result<(), RowError> {
    let note = "UPDATE meta SET value = coalesce((SELECT max(n) FROM messages), 0) WHERE key = 'indexed'";
    db.prepare_cached(note)?.execute(())?;
    Ok(())
}
