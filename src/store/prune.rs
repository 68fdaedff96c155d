//! How far back people can look: what is too old or too much goes, the oldest first, in small steps between
//! commits. Never touches what the machine retains.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};

use super::columns::Num;
use super::rows::RowError;
use crate::base::Wall;
use crate::base::limits::{HISTORY_AGE_MAX, HISTORY_BYTES_MAX};

/// Removes up to `STEP_ROWS` of each kind; says whether there may be more.
pub(super) fn step(db: &Connection, now: Wall) -> Result<bool, RowError> {
    prune(db, now, HISTORY_AGE_MAX, HISTORY_BYTES_MAX)
}

fn prune(db: &Connection, now: Wall, age_max: Duration, bytes_max: u64) -> Result<bool, RowError> {
    let age_ms = u64::try_from(age_max.as_millis()).unwrap_or(u64::MAX);
    let oldest = if bytes_used(db)? > bytes_max { u64::MAX } else { now.0.saturating_sub(age_ms) };
    let messages = remove(db, MESSAGES, oldest)?;
    // A receipt comes after its message, so that one older than all messages is about none of them.
    let first = db.query_row("SELECT at FROM messages ORDER BY n LIMIT 1", (), |row| row.get(0)).optional()?;
    let receipts = remove(db, RECEIPTS, first.map_or(u64::MAX, |Num(at)| at))?;
    let evidence = remove(db, EVIDENCE, oldest)?;
    let more = [messages, receipts, evidence].into_iter().any(|removed| removed >= usize::from(STEP_ROWS));
    if !more {
        db.execute(CARDS, ())?;
    }
    if messages > 0 {
        tracing::info!(messages, "history pruned");
    }
    Ok(more)
}

fn remove(db: &Connection, statement: &str, before: u64) -> Result<usize, RowError> {
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    Ok(db.prepare_cached(statement)?.execute((before, i64::from(STEP_ROWS)))?)
}

/// What the database fills, without the pages that are free for what comes next.
fn bytes_used(db: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, Num>(0)).map(|Num(value)| value);
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}

/// Each looks at the oldest rows by number only: their times follow it closely enough.
const MESSAGES: &str = "DELETE FROM messages WHERE n IN (SELECT n FROM
    (SELECT n, at FROM messages WHERE retained = 0 ORDER BY n LIMIT ?2) WHERE at < ?1)";
const RECEIPTS: &str = "DELETE FROM receipts WHERE n IN (SELECT n FROM
    (SELECT n, at FROM receipts WHERE retained = 0 ORDER BY n LIMIT ?2) WHERE at < ?1)";
const EVIDENCE: &str = "DELETE FROM evidence WHERE n IN (SELECT n FROM
    (SELECT n, at FROM evidence WHERE retained = 0 ORDER BY n LIMIT ?2) WHERE at < ?1)";
/// Cards of forgotten members, kept for the nicks in what they said.
const CARDS: &str = "DELETE FROM cards WHERE known = 0
    AND NOT EXISTS (SELECT 1 FROM messages WHERE author = cards.member)";
/// A step of this many rows holds a commit up for a few milliseconds.
const STEP_ROWS: u16 = 500;
