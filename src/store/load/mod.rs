//! Rows into records: what the machine is restored from. Owns the way back from the tables; the records are
//! not those that were written, but they add up to the same.

mod delivery;

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::columns::{Json, Num, Word};
use super::rows::{Part, RowError, seen_now};
use super::{Home, StoreError, schema};
use crate::base::{Lived, MemberId, RoomId, Run, Wall};
use crate::messaging::{Answer, GapRecord, Outcome, OutcomeCounts};
use crate::node::Record;
use crate::wire::{Card, GroupMessage, Leave, PrivateMessage, Signed, SignedLayout, encode_layout, layout_id};
use crate::{membership, messaging};
use delivery::Deliveries;

/// Reads what the machine of `home` is restored from, and makes the database where there is none.
///
/// # Errors
/// [`StoreError`]: one that is damaged, newer or not this home's is left as it is.
pub fn load(home: &Home) -> Result<Vec<Record>, StoreError> {
    load_with_ended(home).map(|(records, _)| records)
}

/// The same, and how deliveries stand of messages that the machine let go, of which there is a row for each: some 1 µs. `None` where
/// the database is so large that a start does not read all of it.
///
/// # Errors
/// As of [`load`].
pub fn load_with_ended(home: &Home) -> Result<(Vec<Record>, Option<OutcomeCounts>), StoreError> {
    let (db, is_checked) = schema::open_checked(home)?;
    let read = || Ok((read_all(&db)?, is_checked.then(|| delivery::ended(&db)).transpose()?));
    read().map_err(|error| schema::sort_row(&home.database(), "read", error))
}

fn read_all(db: &Connection) -> Result<Vec<Record>, RowError> {
    let mut records = Vec::new();
    read_members(db, &mut |record| records.push(Record::Membership(record)))?;
    read_messages(db, &mut |record| records.push(Record::Messaging(record)))?;
    Ok(records)
}

fn read_members(db: &Connection, tell: &mut impl FnMut(membership::Record)) -> Result<(), RowError> {
    use membership::Record;
    if let (Some(incarnation), Some(boot)) = (meta(db, "incarnation")?, meta(db, "boot")?) {
        tell(Record::Run(Run { incarnation, boot }));
    }
    each(db, "SELECT incarnation, boot, member FROM forgotten", |row| {
        tell(Record::Forgotten { member: word(row, 2)?, run: run(row, 0)? });
        Ok(())
    })?;
    let cards = "SELECT incarnation, boot, member, version, bytes, leave_incarnation, leave_boot, leave_bytes,
                 address, gone_at FROM cards WHERE known = 1";
    each(db, cards, |row| {
        let member = word(row, 2)?;
        let bytes: Arc<[u8]> = row.get(4)?;
        verify::<Card>(&bytes, Part::Card(member))?;
        tell(Record::Card { member, run: run(row, 0)?, version: row.get(3)?, bytes });
        if let Some(bytes) = row.get::<_, Option<Vec<u8>>>(7)? {
            verify::<Leave>(&bytes, Part::Leave(member))?;
            tell(Record::Leave { member, run: run(row, 5)?, bytes });
        }
        if let Some(Word(address)) = row.get(8)? {
            tell(Record::Address { member, address });
        }
        if let Some(Num(at)) = row.get(9)? {
            tell(Record::Gone { member, at: Wall(at) });
        }
        Ok(())
    })
}

fn read_messages(db: &Connection, tell: &mut impl FnMut(messaging::Record)) -> Result<(), RowError> {
    use messaging::Record;
    each(db, "SELECT incarnation, boot, author FROM floors", |row| {
        tell(Record::RunsForgotten { author: word(row, 2)?, below: run(row, 0)? });
        Ok(())
    })?;
    each(db, "SELECT incarnation, boot, author FROM private_floors", |row| {
        tell(Record::PrivateRunsForgotten { author: word(row, 2)?, below: run(row, 0)? });
        Ok(())
    })?;
    let lamport = meta(db, "lamport")?.unwrap_or_default();
    read_seen(db, lamport, tell)?;
    let mut deliveries = Deliveries::read(db)?;
    // By number, because what a run's messages add up to depends on their order.
    let retained = "SELECT n, kind, sent, via, recovered, lamport, at, bytes, id, sample_of
                    FROM messages
                    WHERE n IN (SELECT n FROM messages WHERE retained = 1) ORDER BY n";
    let mut lived = read_lived(db)?.into_iter().peekable();
    each(db, retained, |row| {
        let n: i64 = row.get(0)?;
        while let Some((_, record)) = lived.next_if(|&(upto, _)| upto < n) {
            tell(record);
        }
        read_message(row, &mut deliveries, tell)
    })?;
    lived.for_each(|(_, record)| tell(record));
    deliveries.tell(tell);
    each(db, "SELECT incarnation, boot, author, at, first, second FROM evidence WHERE retained = 1", |row| {
        let (author, first, second) = (word(row, 2)?, bytes(row, 4)?, bytes(row, 5)?);
        verify::<GroupMessage>(&first, Part::Evidence(author))?;
        verify::<GroupMessage>(&second, Part::Evidence(author))?;
        tell(Record::Equivocation { author, run: run(row, 0)?, first, second, at: wall(row, 3)? });
        Ok(())
    })?;
    each(db, "SELECT incarnation, boot, author, first, last, asked, at FROM gaps", |row| {
        let Json(asked): Json<Vec<(MemberId, Answer)>> = row.get(5)?;
        let (first, last) = (number(row, 3)?, number(row, 4)?);
        tell(Record::Gap(GapRecord {
            author: word(row, 2)?,
            run: run(row, 0)?,
            first,
            last,
            asked,
            at: wall(row, 6)?,
        }));
        Ok(())
    })?;
    each(db, "SELECT incarnation, boot, author, upto FROM history", |row| {
        tell(Record::History { author: word(row, 2)?, run: run(row, 0)?, upto: number(row, 3)? });
        Ok(())
    })?;
    clock(lamport).into_iter().flatten().for_each(tell);
    Ok(())
}

/// How long the node had run, each with the number of the newest message by then.
fn read_lived(db: &Connection) -> Result<Vec<(i64, messaging::Record)>, RowError> {
    let mut lived = Vec::new();
    each(db, "SELECT n, ms FROM lived ORDER BY n", |row| {
        lived.push((row.get(0)?, messaging::Record::Lived(Lived(number(row, 1)?))));
        Ok(())
    })?;
    Ok(lived)
}

fn read_message(
    row: &Row<'_>,
    deliveries: &mut Deliveries<'_>,
    tell: &mut impl FnMut(messaging::Record),
) -> Result<(), RowError> {
    use messaging::Record;
    let (n, is_sent): (i64, bool) = (row.get(0)?, row.get(2)?);
    let (order, at, bytes) = (number(row, 5)?, wall(row, 6)?, bytes(row, 7)?);
    let is_group = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)? == "group";
    // What was verified when it came is trusted from here on, and given to others: a flipped bit would look like a lie.
    let (id, hash) = (
        word(row, 8)?,
        if is_group { Signed::<GroupMessage>::open_trusted(&bytes)?.id() } else { layout_id::<PrivateMessage>(&bytes) },
    );
    if hash != id {
        return Err(RowError::Changed(Part::Message(id)));
    }
    match (is_group, is_sent) {
        (true, true) => {
            let roster = deliveries.of_group(n, id, &bytes)?;
            tell(Record::GroupSent { bytes, roster, sample_of: row.get(9)?, order, at });
        }
        (true, false) => {
            tell(Record::GroupReceived { bytes, via: word(row, 3)?, recovered: row.get(4)?, order, at });
        }
        (false, true) => {
            let outcome = deliveries.of_private(n, id)?;
            tell(Record::PrivateSent { bytes, order, outcome, at });
        }
        (false, false) => tell(Record::PrivateReceived { bytes, order, at }),
    }
    Ok(())
}

/// Before the messages: those that are retained are part of it, and change nothing of it any more.
fn read_seen(db: &Connection, lamport: u64, tell: &mut impl FnMut(messaging::Record)) -> Result<(), RowError> {
    use messaging::Record;
    each(db, "SELECT incarnation, boot, author FROM seen WHERE kind = 'group'", |row| {
        let (author, run) = (word(row, 2)?, run(row, 0)?);
        tell(Record::GroupPruned { author, run, upto: 0, chain: seen_now(db, author, run)?, lamport });
        Ok(())
    })?;
    each(db, "SELECT incarnation, boot, author FROM seen WHERE kind = 'private'", |row| {
        let (author, run) = (word(row, 2)?, run(row, 0)?);
        tell(Record::PrivatePruned { author, run, upto: 0, seen: seen_now(db, author, run)?, lamport });
        Ok(())
    })
}

/// Records that add up to nothing but the clock: what raised it may no longer be retained.
fn clock(lamport: u64) -> Option<[messaging::Record; 2]> {
    use messaging::Record;
    let nobody = MemberId([0; 32]);
    let run = Run { incarnation: 0, boot: 0 };
    let message = PrivateMessage {
        room: RoomId([0; 16]),
        author: nobody,
        run,
        to: nobody,
        seq: 1,
        salt: [0; 16],
        said_at: Wall(0),
        text: "-".to_owned(),
    };
    let bytes: Arc<[u8]> = encode_layout(&message).into();
    let id = layout_id::<PrivateMessage>(&bytes);
    let sent = Record::PrivateSent { bytes, order: lamport, outcome: Outcome::Expired, at: Wall(0) };
    (lamport > 0).then_some([sent, Record::Undone { author: nobody, id }])
}

fn meta(db: &Connection, key: &str) -> rusqlite::Result<Option<u64>> {
    let found = db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| number(row, 0));
    found.optional()
}

fn each(db: &Connection, query: &str, mut take: impl FnMut(&Row<'_>) -> Result<(), RowError>) -> Result<(), RowError> {
    let mut statement = db.prepare(query)?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

/// What was verified when it came is trusted from here on, and given to others, who would take it for forged here.
fn verify<T: SignedLayout>(bytes: &[u8], part: Part) -> Result<(), RowError> {
    Signed::<T>::open(bytes).map(drop).map_err(|_| RowError::Changed(part))
}

fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get(at).map(|Num(number)| number)
}

fn wall(row: &Row<'_>, at: usize) -> rusqlite::Result<Wall> {
    number(row, at).map(Wall)
}

fn run(row: &Row<'_>, at: usize) -> rusqlite::Result<Run> {
    Ok(Run { incarnation: number(row, at)?, boot: number(row, at + 1)? })
}

fn word<T: for<'de> serde::Deserialize<'de>>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    row.get(at).map(|Word(word)| word)
}

fn bytes(row: &Row<'_>, at: usize) -> rusqlite::Result<Arc<[u8]>> {
    Ok(row.get_ref(at)?.as_blob()?.into())
}
