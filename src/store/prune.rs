//! How far back people can look: what is too old or too much goes, the oldest first, in small steps between
//! commits. Never touches what the machine retains, and looks at no clock: what is old is told by `lived`, and what
//! belongs together by number.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};

use super::columns::Num;
use super::index;
use super::rows::RowError;
use crate::base::Lived;
use crate::base::limits::{HISTORY_AGE_MAX, HISTORY_BYTES_MAX, MEMBERS_MAX};

/// Removes up to `STEP_ROWS` of each kind; says whether there may be more.
pub(super) fn step(db: &Connection) -> Result<bool, RowError> {
    prune(db, HISTORY_AGE_MAX, HISTORY_BYTES_MAX)
}

fn prune(db: &Connection, age_max: Duration, bytes_max: u64) -> Result<bool, RowError> {
    index::catch_up(db)?;
    let is_too_much = bytes_used(db)? > bytes_max;
    let upto = if is_too_much { i64::MAX } else { too_old_upto(db, age_max)? };
    let messages = remove(db, MESSAGES, upto)?;
    if messages > 0 {
        index::note(db)?;
    }
    let receipts = remove(db, RECEIPTS, receipts_upto(db)?)?;
    let evidence = if is_too_much { remove(db, EVIDENCE, i64::MAX)? } else { 0 };
    let more = [messages, receipts, evidence].into_iter().any(|removed| removed >= usize::from(STEP_ROWS));
    if !more {
        db.execute(CARDS, [i64::try_from(MEMBERS_MAX).expect("a small limit")])?;
        db.execute(LIVED, ())?;
    }
    if messages > 0 {
        tracing::info!(messages, "history pruned");
    }
    Ok(more)
}

/// Messages up to this one came before the node had run for all but the last `age_max` of its time.
fn too_old_upto(db: &Connection, age_max: Duration) -> Result<i64, RowError> {
    let lived = db.query_row("SELECT ms FROM lived ORDER BY n DESC LIMIT 1", (), |row| row.get(0)).optional()?;
    let oldest = Lived(lived.map_or(0, |Num(ms)| ms)).before(age_max);
    let upto = "SELECT coalesce(max(n), 0) FROM lived WHERE ms < ?1";
    Ok(db.query_row(upto, [Num(oldest.0)], |row| row.get(0))?)
}

/// Receipts up to this one came before the oldest message that is here: they are about none of them.
fn receipts_upto(db: &Connection) -> Result<i64, RowError> {
    let Some(first) = db.query_row("SELECT min(n) FROM messages", (), |row| row.get::<_, Option<i64>>(0))? else {
        return Ok(i64::MAX);
    };
    let before = "SELECT receipt FROM lived WHERE n < ?1 ORDER BY n DESC LIMIT 1";
    Ok(db.query_row(before, [first], |row| row.get(0)).optional()?.unwrap_or(0))
}

fn remove(db: &Connection, statement: &str, upto: i64) -> Result<usize, RowError> {
    Ok(db.prepare_cached(statement)?.execute((upto, i64::from(STEP_ROWS)))?)
}

/// What the database fills, without the pages that are free for what comes next.
fn bytes_used(db: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, Num>(0)).map(|Num(value)| value);
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}

const MESSAGES: &str = "DELETE FROM messages WHERE n IN
    (SELECT n FROM messages WHERE retained = 0 AND n <= ?1 ORDER BY n LIMIT ?2)";
/// The newest stays, so that its number is not given again.
const RECEIPTS: &str = "DELETE FROM receipts WHERE n IN (SELECT n FROM receipts
    WHERE retained = 0 AND n <= ?1 AND n < (SELECT max(n) FROM receipts) ORDER BY n LIMIT ?2)";
const EVIDENCE: &str = "DELETE FROM evidence WHERE n IN
    (SELECT n FROM evidence WHERE retained = 0 AND n <= ?1 ORDER BY n LIMIT ?2)";
/// Of what was noted before the oldest message the newest says enough.
const LIVED: &str = "DELETE FROM lived WHERE n <
    (SELECT max(n) FROM lived WHERE n < (SELECT min(n) FROM messages))";
/// Cards of forgotten members are kept for the nicks in what they said, as many as there may be members.
const CARDS: &str = "DELETE FROM cards WHERE rowid IN
    (SELECT rowid FROM cards WHERE known = 0 ORDER BY rowid DESC LIMIT -1 OFFSET ?1)";
/// A step of this many rows holds a commit up for a few milliseconds.
const STEP_ROWS: u16 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;
    use crate::crypto::Identity;
    use crate::messaging::{Chain, Outcome, ReceiptRecord, Record, Settled};
    use crate::node::{self, Restored};

    use crate::store::{History, Home, kit, load, schema};

    const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// 1,200 messages of a member, whose wall times go back by a second each; the machine has let go of the first `let_go`.
    fn home_with_history(dir: &std::path::Path, let_go: u64) -> Home {
        let home = kit::home(dir);
        let bo = kit::identity(&home, 1);
        let mut records: Vec<_> = (1..=1_200).map(|seq| received_at(&bo, seq, 10_000_000 - seq * 1_000)).collect();
        let (author, run, chain) = (bo.id(), kit::run(5), Chain::default());
        let pruned = Record::GroupPruned { author, run, upto: let_go, chain, lamport: 1 };
        records.push(node::Record::Messaging(pruned));
        write(&home, &records);
        home
    }

    fn received_at(by: &Identity, seq: u64, at: u64) -> node::Record {
        let node::Record::Messaging(Record::GroupReceived { bytes, via, recovered, order, .. }) =
            kit::received(by, seq, "hello")
        else {
            unreachable!("it was received")
        };
        node::Record::Messaging(Record::GroupReceived { bytes, via, recovered, order, at: Wall(at) })
    }

    fn write(home: &Home, records: &[node::Record]) {
        kit::committer(home).commit(records).unwrap();
    }

    fn live(home: &Home, lived: Lived) {
        write(home, &[node::Record::Messaging(Record::Lived(lived))]);
    }

    fn prune_all(home: &Home, bytes_max: u64) -> usize {
        let db = schema::open(home).unwrap();
        while prune(&db, MONTH, bytes_max).unwrap() {}
        History::open(home).unwrap().log(5_000).unwrap().len()
    }

    #[test]
    fn what_is_too_old_goes_but_never_what_the_machine_retains() {
        let dir = tempfile::tempdir().unwrap();
        let home = home_with_history(&dir.path().join("home"), 700);
        live(&home, Lived(5));
        write(&home, &[kit::received(&kit::identity(&home, 1), 1_201, "later")]);
        live(&home, Lived(5) + MONTH);
        assert_eq!(prune_all(&home, u64::MAX), 1_201);
        live(&home, Lived(6) + MONTH);
        let before = Restored::fold(load(&home).unwrap());
        assert_eq!(prune_all(&home, u64::MAX), 501);
        assert_eq!(Restored::fold(load(&home).unwrap()), before);
    }

    /// A private message of one's own, and the receipt for it.
    fn told(home: &Home, seq: u64) -> [node::Record; 2] {
        let [ana, bo] = [0, 1].map(|number| kit::identity(home, number));
        let (bytes, message) = kit::private(&ana, kit::run(5), bo.id(), seq, "psst");
        let sent = Record::PrivateSent { bytes, order: seq, outcome: Outcome::Sending, at: Wall(10_000_000) };
        let receipt = ReceiptRecord {
            receiver: bo.id(),
            receiver_run: kit::run(5),
            author: ana.id(),
            group: None,
            bytes: kit::receipt(&bo, ana.id(), None, seq),
            replaces: false,
            settled: vec![Settled { message, seq, attempts: 1, latency_us: None }],
            // The clock was set right meanwhile.
            at: Wall(5_000),
        };
        [node::Record::Messaging(sent), node::Record::Messaging(Record::Receipt(receipt))]
    }

    #[test]
    fn a_receipt_goes_with_its_message_whatever_the_clock_said() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let count = |table: &str| {
            let query = format!("SELECT count(*) FROM {table}");
            schema::open(&home).unwrap().query_row(&query, (), |row| row.get::<_, i64>(0)).unwrap()
        };
        for (seq, lived) in [(1, Lived(1)), (2, Lived(2)), (3, Lived(1) + MONTH)] {
            write(&home, &told(&home, seq));
            live(&home, lived);
        }
        prune_all(&home, u64::MAX);
        assert_eq!([count("messages"), count("receipts"), count("lived")], [3, 3, 3]);
        live(&home, Lived(3) + MONTH);
        prune_all(&home, u64::MAX);
        assert_eq!([count("messages"), count("receipts"), count("lived")], [1, 1, 2]);
        prune_all(&home, 0);
        write(&home, &told(&home, 4));
        prune_all(&home, u64::MAX);
        assert_eq!([count("messages"), count("receipts")], [1, 1], "the newest number is not given twice");
    }

    #[test]
    fn what_is_too_much_goes_the_oldest_first() {
        let dir = tempfile::tempdir().unwrap();
        let home = home_with_history(&dir.path().join("home"), 1_100);
        let used = bytes_used(&schema::open(&home).unwrap()).unwrap();
        assert_eq!(prune_all(&home, used), 1_200);
        let left = prune_all(&home, used * 3 / 4);
        assert!((100..1_000).contains(&left), "{left}");
        assert_eq!(prune_all(&home, 0), 100);
    }

    #[test]
    fn what_comes_after_all_history_was_pruned_is_still_counted_in() {
        let dir = tempfile::tempdir().unwrap();
        let home = home_with_history(&dir.path().join("home"), 1_200);
        assert_eq!(prune_all(&home, 0), 0);
        let bo = kit::identity(&home, 1);
        let pruned =
            Record::GroupPruned { author: bo.id(), run: kit::run(5), upto: 1_201, chain: Chain::default(), lamport: 1 };
        let records = [kit::received(&bo, 1_201, "again"), node::Record::Messaging(pruned)];
        let mut all = load(&home).unwrap();
        write(&home, &records);
        all.extend(records);
        assert_eq!(Restored::fold(load(&home).unwrap()), Restored::fold(&all));
    }
}
