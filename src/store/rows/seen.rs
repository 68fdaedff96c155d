//! What the machine remembers of a run, and how it lets go. What was seen follows from the messages that are
//! retained, but for those that no longer are: of these a row of `seen` holds the sum, up to a row of `messages`.

use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{RowError, Rows};
use crate::base::{MemberId, MessageId, Run, Seq};
use crate::messaging::{Chain, Ranges};
use crate::store::columns::{Json, Num, Word};
use crate::wire::{GroupMessage, Prev, Signed};

/// What was seen of one run: a chain of group messages, or ranges of private ones.
pub(in crate::store) trait Seen: Serialize + DeserializeOwned + Default {
    const KIND: &'static str;

    /// Adds the message of a row (id, seq, bytes).
    fn add(&mut self, row: &Row<'_>) -> Result<(), RowError>;

    fn absorb(&mut self, other: &Self);
}

impl Seen for Chain {
    const KIND: &'static str = "group";

    fn add(&mut self, row: &Row<'_>) -> Result<(), RowError> {
        let id: Word<MessageId> = row.get(0)?;
        let message = Signed::<GroupMessage>::open_trusted(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?;
        self.insert(row.get::<_, Num>(1)?.0, id.0, prev_in_run(message.value()));
        Ok(())
    }

    fn absorb(&mut self, other: &Self) {
        Self::absorb(self, other);
    }
}

impl Seen for Ranges {
    const KIND: &'static str = "private";

    fn add(&mut self, row: &Row<'_>) -> Result<(), RowError> {
        self.insert(row.get::<_, Num>(1)?.0);
        Ok(())
    }

    fn absorb(&mut self, other: &Self) {
        Self::absorb(self, other);
    }
}

/// What is seen of `run` now.
pub(in crate::store) fn seen_now<T: Seen>(db: &Connection, author: MemberId, run: Run) -> Result<T, RowError> {
    let key = (T::KIND, Word(author), Num(run.incarnation), Num(run.boot));
    let held = db
        .prepare_cached(
            "SELECT upto, seen FROM seen WHERE kind = ?1 AND author = ?2 AND incarnation = ?3 AND boot = ?4",
        )?
        .query_row(key, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Json<T>>(1)?.0)))
        .optional()?;
    let (upto, mut seen) = held.unwrap_or_default();
    let mut since = db.prepare_cached(
        "SELECT id, seq, bytes FROM messages WHERE kind = ?1 AND author = ?2 AND incarnation = ?3 AND boot = ?4
         AND retained = 1 AND (kind = 'group' OR sent = 0) AND n > ?5 ORDER BY n",
    )?;
    let mut rows = since.query((T::KIND, Word(author), Num(run.incarnation), Num(run.boot), upto))?;
    while let Some(row) = rows.next()? {
        seen.add(row)?;
    }
    Ok(seen)
}

impl Rows<'_> {
    /// Lets go of the messages `1..=upto` of `run`; `seen` adds to what is known to be seen of it.
    pub(super) fn prune<T: Seen>(&self, author: MemberId, run: Run, upto: Seq, seen: &T) -> Result<(), RowError> {
        let mut now: T = seen_now(self.db, author, run)?;
        now.absorb(seen);
        let is_upto = "incarnation = ?2 AND boot = ?3 AND (seq < 0, seq) <= (?4 < 0, ?4)";
        if T::KIND == "group" {
            self.end_deliveries(is_upto, (Word(author), Num(run.incarnation), Num(run.boot), Num(upto)))?;
        }
        self.run(
            "UPDATE messages SET retained = 0 WHERE kind = ?1 AND author = ?2 AND incarnation = ?3 AND boot = ?4
             AND retained = 1 AND (kind = 'group' OR sent = 0) AND (seq < 0, seq) <= (?5 < 0, ?5)",
            (T::KIND, Word(author), Num(run.incarnation), Num(run.boot), Num(upto)),
        )?;
        if T::KIND == "group" {
            self.let_receipts_go(author, run)?;
        }
        self.write_seen(author, run, &now)
    }

    /// Receipts of a run are kept of those who are in the roster of a message of it that is kept.
    fn let_receipts_go(&self, author: MemberId, run: Run) -> Result<(), RowError> {
        self.run(
            "UPDATE receipts SET retained = 0
             WHERE retained = 1 AND author = ?1 AND incarnation = ?2 AND boot = ?3 AND NOT EXISTS (SELECT 1
             FROM messages AS kept CROSS JOIN deliveries ON message = kept.n AND member = receipts.receiver
             WHERE kept.kind = 'group' AND kept.retained = 1
             AND kept.author = ?1 AND kept.incarnation = ?2 AND kept.boot = ?3)",
            (Word(author), Num(run.incarnation), Num(run.boot)),
        )
    }

    /// How deliveries stand of what nobody can be given any more is final: what was never sent never will be, and of what was
    /// sent no receipt can be compared with it. `which` says which messages to the room, of the author ?1.
    fn end_deliveries(&self, which: &str, values: impl rusqlite::Params) -> Result<(), RowError> {
        let statement = format!(
            "UPDATE deliveries SET outcome = iif(outcome = 'waiting', 'expired', 'unknown')
             WHERE outcome IN ('waiting', 'sending') AND message IN (SELECT n FROM messages
             WHERE kind = 'group' AND sent = 1 AND retained = 1 AND author = ?1 AND {which})"
        );
        self.run(&statement, values)
    }

    /// Takes the head of a chain back; its row is still there.
    pub(super) fn shorten_chain(&self, message: &GroupMessage) -> Result<(), RowError> {
        let mut chain: Chain = seen_now(self.db, message.author, message.run)?;
        chain.remove_head(message.seq, prev_in_run(message));
        self.write_seen(message.author, message.run, &chain)
    }

    /// Writes the sum up to the newest message.
    fn write_seen<T: Seen>(&self, author: MemberId, run: Run, seen: &T) -> Result<(), RowError> {
        self.run(
            "INSERT OR REPLACE INTO seen (kind, author, incarnation, boot, upto, seen)
             VALUES (?1, ?2, ?3, ?4, (SELECT coalesce(max(n), 0) FROM messages), ?5)",
            (T::KIND, Word(author), Num(run.incarnation), Num(run.boot), Json(seen)),
        )
    }

    /// Lets go of all that `author` said to the room in runs before `below`.
    pub(super) fn forget_runs(&self, author: MemberId, below: Run) -> Result<(), RowError> {
        let bounds = || (Word(author), Num(below.incarnation), Num(below.boot));
        self.end_deliveries(BEFORE, bounds())?;
        for change in [
            "UPDATE messages SET retained = 0 WHERE retained = 1 AND kind = 'group'",
            "UPDATE receipts SET retained = 0 WHERE retained = 1",
            "UPDATE evidence SET retained = 0 WHERE retained = 1",
            "DELETE FROM history WHERE TRUE",
            "DELETE FROM seen WHERE kind = 'group'",
        ] {
            self.run(&format!("{change} AND author = ?1 AND {BEFORE}"), bounds())?;
        }
        self.run("INSERT OR REPLACE INTO floors (author, incarnation, boot) VALUES (?1, ?2, ?3)", bounds())
    }

    /// Lets go of all that `author` told this node alone in runs before `below`.
    pub(super) fn forget_private_runs(&self, author: MemberId, below: Run) -> Result<(), RowError> {
        let bounds = || (Word(author), Num(below.incarnation), Num(below.boot));
        for change in [
            "UPDATE messages SET retained = 0 WHERE retained = 1 AND kind = 'private' AND sent = 0",
            "DELETE FROM seen WHERE kind = 'private'",
        ] {
            self.run(&format!("{change} AND author = ?1 AND {BEFORE}"), bounds())?;
        }
        self.run("INSERT OR REPLACE INTO private_floors (author, incarnation, boot) VALUES (?1, ?2, ?3)", bounds())
    }
}

/// What a group message names as its predecessor in its own run.
fn prev_in_run(message: &GroupMessage) -> Option<MessageId> {
    match message.prev {
        Prev::Same(id) => Some(id),
        Prev::None | Prev::Earlier { .. } => None,
    }
}

/// Runs before (?2, ?3), compared without sign.
const BEFORE: &str = "(incarnation < 0, incarnation, boot < 0, boot) < (?2 < 0, ?2, ?3 < 0, ?3)";
