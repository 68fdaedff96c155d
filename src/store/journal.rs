//! Records as they came, until there is time to put them where they belong. A commit that somebody waits for writes one row here,
//! where the tables of `rows` would take five pages and more; the writer files it once it has nothing else to do. Owns which
//! records may wait, and that none is lost or filed twice on the way: what files a record takes it out, in one transaction.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::rows::{RowError, Rows};
use crate::messaging::Record as Messaging;
use crate::node::Record;
use crate::wire::codec;

/// The rows for a group of records, in their order; `None` where they are to be put where they belong at once.
pub(super) fn encode<'r>(records: impl IntoIterator<Item = &'r Record>) -> Option<Vec<Vec<u8>>> {
    let mut rows = Vec::new();
    for record in records {
        if rows.len() == WAITING_RECORDS_MAX || !may_wait(record) {
            return None;
        }
        let row = codec::encode_kept(record);
        if row.len() > ROW_BYTES_MAX {
            return None;
        }
        rows.push(row);
    }
    Some(rows)
}

/// Adds what [`encode`] gave.
pub(super) fn add(db: &Connection, rows: &[Vec<u8>]) -> Result<(), RowError> {
    let mut insert = db.prepare_cached("INSERT INTO journal (record, hash) VALUES (?1, ?2)")?;
    for row in rows {
        insert.execute((row, &blake3::hash(row).as_bytes()[..]))?;
    }
    Ok(())
}

/// Puts all that waits where it belongs, within the caller's transaction.
pub(super) fn file(db: &Connection) -> Result<(), RowError> {
    let mut filed = Rows::new(db);
    let mut is_any = false;
    {
        let mut statement = db.prepare_cached("SELECT record, hash FROM journal ORDER BY n")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let record = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            let hash = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            filed.apply(&decode(record, hash)?)?;
            is_any = true;
        }
    }
    if !is_any {
        return Ok(());
    }
    filed.finish()?;
    db.prepare_cached("DELETE FROM journal")?.execute(())?;
    Ok(())
}

/// Puts what a process before left where it belongs, as a whole or not at all.
pub(super) fn file_what_was_left(db: &Connection) -> Result<(), RowError> {
    if is_empty(db)? {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    file(&transaction)?;
    Ok(transaction.commit()?)
}

pub(super) fn is_empty(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT NOT EXISTS (SELECT 1 FROM journal)", (), |row| row.get(0))
}

/// What goes with messages, one after the other, can wait. All else is rare, and some of it is looked for in the tables.
fn may_wait(record: &Record) -> bool {
    match record {
        Record::Messaging(
            Messaging::GroupReceived { .. }
            | Messaging::GroupSent { .. }
            | Messaging::PrivateReceived { .. }
            | Messaging::PrivateSent { .. }
            | Messaging::Delivery(_)
            | Messaging::Receipt(_),
        ) => true,
        Record::Messaging(
            Messaging::Equivocation { .. }
            | Messaging::Gap(_)
            | Messaging::History { .. }
            | Messaging::GapClosed { .. }
            | Messaging::GroupPruned { .. }
            | Messaging::PrivatePruned { .. }
            | Messaging::RunsForgotten { .. }
            | Messaging::PrivateRunsForgotten { .. }
            | Messaging::GivenUp { .. }
            | Messaging::Undone { .. }
            | Messaging::Lived(_),
        )
        | Record::Membership(_) => false,
    }
}

fn decode(record: &[u8], hash: &[u8]) -> Result<Record, RowError> {
    if blake3::hash(record).as_bytes()[..] != *hash {
        return Err(RowError::JournalChanged);
    }
    codec::decode_kept(record).map_err(|_| RowError::JournalForeign)
}

/// A group of more is cheaper where it belongs: what a record costs there falls with their number, and here it does not. A guess
/// between one, where a commit takes half the time here, and the hundred of a flood, which would be written twice.
const WAITING_RECORDS_MAX: usize = 8;
/// Nor is what is long written twice: a text of 16 KiB may wait, and a receipt that settles some seven hundred messages.
const ROW_BYTES_MAX: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MemberId, MessageId, Run, Wall};
    use crate::messaging::{ReceiptRecord, Settled};
    use crate::node::Restored;

    use crate::store::{History, Home, StoreError, kit, load, schema};

    fn count(home: &Home, table: &str) -> i64 {
        let db = Connection::open(home.database()).unwrap();
        db.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0)).unwrap()
    }

    #[test]
    fn what_waits_is_filed_before_what_must_not_wait_and_once_there_is_time() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let committer = kit::committer(&home);
        let record = |seq| kit::received(&bo, seq, "hi");
        let counts = || (count(&home, "journal"), count(&home, "messages"));
        committer.commit_first([&record(1)]).unwrap();
        committer.commit_first([&record(2), &record(3)]).unwrap();
        assert_eq!(counts(), (3, 0));
        committer.commit_first([&kit::card(&bo, "bo", kit::run(5), 1)]).unwrap();
        assert_eq!(counts(), (0, 3));
        committer.commit_first([&record(4)]).unwrap();
        let many: Vec<_> = (5..=5 + WAITING_RECORDS_MAX as u64).map(record).collect();
        committer.commit_first(&many).unwrap();
        let filed = 4 + i64::try_from(many.len()).unwrap();
        assert_eq!(counts(), (0, filed));
        committer.commit_first([&record(90)]).unwrap();
        committer.settle().unwrap();
        assert_eq!(counts(), (0, filed + 1));
    }

    /// A receipt for as many messages.
    fn receipt(settles: u64) -> Record {
        let run = Run { incarnation: u64::MAX, boot: u64::MAX };
        let settled = |seq| Settled { message: MessageId([7; 32]), seq, attempts: 1, latency_us: None };
        Record::Messaging(Messaging::Receipt(ReceiptRecord {
            receiver: MemberId([1; 32]),
            receiver_run: run,
            author: MemberId([2; 32]),
            group: Some(run),
            bytes: [3; 300].into(),
            replaces: false,
            settled: (1..=settles).map(settled).collect(),
            at: Wall(1),
        }))
    }

    #[test]
    fn a_receipt_for_many_messages_is_read_back_or_does_not_wait() {
        let mut waited = 0;
        for settles in (50..2_000).step_by(50) {
            let record = receipt(settles);
            if let Some(rows) = encode([&record]) {
                assert_eq!(decode(&rows[0], blake3::hash(&rows[0]).as_bytes()).unwrap(), record);
                waited = settles;
            }
        }
        assert!((500..1_000).contains(&waited), "{waited}");
    }

    #[test]
    fn a_process_that_was_killed_leaves_it_to_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let records: Vec<_> = (1..6).map(|seq| kit::received(&bo, seq, "kept")).collect();
        for record in &records {
            kit::committer(&home).commit_first([record]).unwrap();
            // Opened anew each time, so that the next process finds one.
        }
        assert_eq!(count(&home, "journal"), 1);
        assert_eq!(Restored::fold(load(&home).unwrap()), Restored::fold(&records));
        assert_eq!((count(&home, "journal"), count(&home, "messages")), (0, 5));
    }

    #[test]
    fn a_room_whose_only_message_waits_was_used() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        drop(schema::open(&home).unwrap());
        assert!(!schema::was_used(&home.database()).unwrap());
        kit::committer(&home).commit_first([&kit::received(&bo, 1, "hi")]).unwrap();
        assert!(schema::was_used(&home.database()).unwrap());
    }

    #[test]
    fn what_changed_while_it_waited_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        kit::committer(&home).commit_first([&kit::received(&bo, 1, "what a day")]).unwrap();
        let db = Connection::open(home.database()).unwrap();
        let sound: Vec<u8> = db.query_row("SELECT record FROM journal", (), |row| row.get(0)).unwrap();
        let put = |bytes: &[u8]| db.execute("UPDATE journal SET record = ?1", [bytes]).unwrap();
        let at = sound.windows(10).position(|part| part == b"what a day").unwrap();
        let mut flipped = sound.clone();
        flipped[at] ^= 1;
        put(&flipped);
        let refused = load(&home).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
        assert_eq!(count(&home, "journal"), 1);
        put(&sound);
        assert_eq!(load(&home).map(|records| records.is_empty()).ok(), Some(false));
    }

    #[test]
    fn people_see_what_there_is_no_room_to_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let committer = kit::committer(&home);
        let card = kit::card(&bo, "bo", kit::run(5), 1);
        committer.commit_first([&card]).unwrap();
        committer.commit_first([&kit::received(&bo, 1, "the last that fitted")]).unwrap();
        let texts = |history: &History| history.log(9).unwrap().into_iter().map(|message| message.text).collect();
        let seen: Vec<String> = texts(&History::open(&home).unwrap());
        assert!(seen.is_empty(), "who does not look into the journal sees {seen:?}");
        let history = History::open_unfiled(&home).unwrap();
        let seen: Vec<String> = texts(&history);
        assert_eq!(seen, ["the last that fitted"]);
        drop(history);
        assert_eq!((count(&home, "journal"), count(&home, "messages")), (1, 0), "nothing was written");
        committer.settle().unwrap();
        let seen: Vec<String> = texts(&History::open(&home).unwrap());
        assert_eq!(seen, ["the last that fitted"]);
    }

    #[test]
    fn what_waits_has_the_form_of_its_format() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let records = kit::of_each_waiting_kind(&bo, home.identity().id());
        let mut hasher = blake3::Hasher::new();
        for record in &records {
            let row = encode([record]).unwrap().remove(0);
            assert_eq!(decode(&row, blake3::hash(&row).as_bytes()).as_ref().ok(), Some(record));
            hasher.update(&row);
        }
        let form = hasher.finalize().to_hex();
        let pinned = "625d5da77d0f245d";
        assert_eq!(
            &form[..16],
            pinned,
            "another form needs another format: see schema::VERSION, and what a killed process left"
        );
    }
}
