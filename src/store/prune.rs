//! How far back people can look: what is too old or too much goes, the oldest first, in small steps between
//! commits. Never touches what the machine retains.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};

use super::columns::Num;
use super::index;
use super::rows::RowError;
use crate::base::Wall;
use crate::base::limits::{HISTORY_AGE_MAX, HISTORY_BYTES_MAX, MEMBERS_MAX};

/// Removes up to `STEP_ROWS` of each kind; says whether there may be more.
pub(super) fn step(db: &Connection, now: Wall) -> Result<bool, RowError> {
    prune(db, now, HISTORY_AGE_MAX, HISTORY_BYTES_MAX)
}

fn prune(db: &Connection, now: Wall, age_max: Duration, bytes_max: u64) -> Result<bool, RowError> {
    let age_ms = u64::try_from(age_max.as_millis()).unwrap_or(u64::MAX);
    index::catch_up(db)?;
    let oldest = if bytes_used(db)? > bytes_max { u64::MAX } else { now.0.saturating_sub(age_ms) };
    let messages = remove(db, MESSAGES, oldest)?;
    if messages > 0 {
        index::note(db)?;
    }
    // A receipt comes after its message, so that one older than all messages is about none of them.
    let first = db.query_row("SELECT at FROM messages ORDER BY n LIMIT 1", (), |row| row.get(0)).optional()?;
    let receipts = remove(db, RECEIPTS, first.map_or(u64::MAX, |Num(at)| at))?;
    let evidence = remove(db, EVIDENCE, oldest)?;
    let more = [messages, receipts, evidence].into_iter().any(|removed| removed >= usize::from(STEP_ROWS));
    if !more {
        db.execute(CARDS, [i64::try_from(MEMBERS_MAX).expect("a small limit")])?;
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
/// Cards of forgotten members are kept for the nicks in what they said, as many as there may be members.
const CARDS: &str = "DELETE FROM cards WHERE rowid IN
    (SELECT rowid FROM cards WHERE known = 0 ORDER BY rowid DESC LIMIT -1 OFFSET ?1)";
/// A step of this many rows holds a commit up for a few milliseconds.
const STEP_ROWS: u16 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::{Chain, Record};
    use crate::node::{self, Restored};
    use crate::store::commit::Committer;
    use crate::store::{History, Home, kit, load, schema};

    const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// 1,200 messages of a member, at 2 s past the epoch; the machine has let go of the first `let_go`.
    fn home_with_history(dir: &std::path::Path, let_go: u64) -> Home {
        let home = kit::home(dir);
        let bo = kit::identity(&home, 1);
        let mut records: Vec<_> = (1..=1_200).map(|seq| kit::received(&bo, seq, "hello")).collect();
        let (author, run, chain) = (bo.id(), kit::run(5), Chain::default());
        let pruned = Record::GroupPruned { author, run, upto: let_go, chain, lamport: 1 };
        records.push(node::Record::Messaging(pruned));
        Committer::new(schema::open(&home).unwrap(), home.database()).commit(&records).unwrap();
        home
    }

    fn prune_all(home: &Home, now: Wall, bytes_max: u64) -> usize {
        let db = schema::open(home).unwrap();
        while prune(&db, now, MONTH, bytes_max).unwrap() {}
        History::open(home).unwrap().log(5_000).unwrap().len()
    }

    #[test]
    fn what_is_too_old_goes_but_never_what_the_machine_retains() {
        let dir = tempfile::tempdir().unwrap();
        let home = home_with_history(&dir.path().join("home"), 700);
        let before = Restored::fold(&load(&home).unwrap());
        let later = Wall(2_000 + u64::try_from(MONTH.as_millis()).unwrap());
        assert_eq!(prune_all(&home, later, u64::MAX), 1_200);
        assert_eq!(prune_all(&home, Wall(later.0 + 1), u64::MAX), 500);
        assert_eq!(Restored::fold(&load(&home).unwrap()), before);
    }

    #[test]
    fn what_is_too_much_goes_the_oldest_first() {
        let dir = tempfile::tempdir().unwrap();
        let home = home_with_history(&dir.path().join("home"), 1_100);
        let used = bytes_used(&schema::open(&home).unwrap()).unwrap();
        assert_eq!(prune_all(&home, Wall(2_000), used), 1_200);
        let left = prune_all(&home, Wall(2_000), used * 3 / 4);
        assert!((100..1_000).contains(&left), "{left}");
        assert_eq!(prune_all(&home, Wall(2_000), 0), 100);
    }

    #[test]
    fn what_comes_after_all_history_was_pruned_is_still_counted_in() {
        let dir = tempfile::tempdir().unwrap();
        let home = home_with_history(&dir.path().join("home"), 1_200);
        assert_eq!(prune_all(&home, Wall(2_000), 0), 0);
        let bo = kit::identity(&home, 1);
        let pruned =
            Record::GroupPruned { author: bo.id(), run: kit::run(5), upto: 1_201, chain: Chain::default(), lamport: 1 };
        let records = [kit::received(&bo, 1_201, "again"), node::Record::Messaging(pruned)];
        let mut all = load(&home).unwrap();
        Committer::new(schema::open(&home).unwrap(), home.database()).commit(&records).unwrap();
        all.extend(records);
        assert_eq!(Restored::fold(&load(&home).unwrap()), Restored::fold(&all));
    }
}
