//! Messages into rows: arrived, said, and no longer kept by the machine. People's history keeps the text of
//! what the machine lets go of.

use rusqlite::OptionalExtension as _;

use super::{RowError, Rows};
use crate::base::{MemberId, MessageId, Run, Wall};
use crate::messaging::{GapRecord, Outcome};
use crate::store::columns::{Json, Num, Word};
use crate::store::index;
use crate::wire::{GroupMessage, PrivateMessage, Signed, decode_layout, layout_id};

/// One row of `messages` but for what differs by kind.
struct NewMessage<'a> {
    id: MessageId,
    kind: &'static str,
    is_sent: bool,
    author: MemberId,
    run: Run,
    seq: u64,
    receiver: Option<MemberId>,
    lamport: u64,
    said_at: Wall,
    at: Wall,
    via: MemberId,
    is_recovered: bool,
    text: &'a str,
    bytes: &'a [u8],
    sample_of: Option<u32>,
}

impl Rows<'_> {
    /// `passed` says who sent it here and whether it was asked for; `None` for one's own.
    pub(super) fn add_group(
        &mut self,
        bytes: &[u8],
        passed: Option<(MemberId, bool)>,
        (roster, sample_of): (&[(MemberId, Outcome)], Option<u32>),
        order: u64,
        at: Wall,
    ) -> Result<(), RowError> {
        let signed = Signed::<GroupMessage>::open_trusted(bytes)?;
        let message = signed.value();
        let (via, is_recovered) = passed.unwrap_or((message.author, false));
        let n = self.add(&NewMessage {
            id: signed.id(),
            kind: "group",
            is_sent: passed.is_none(),
            author: message.author,
            run: message.run,
            seq: message.seq,
            receiver: None,
            lamport: order,
            said_at: message.said_at,
            at,
            via,
            is_recovered,
            text: &message.text,
            bytes,
            sample_of,
        })?;
        roster.iter().try_for_each(|&(member, outcome)| self.begin_delivery(n, member, outcome, at))
    }

    /// `outcome` is that of its delivery; `None` for one that was received.
    pub(super) fn add_private(
        &mut self,
        bytes: &[u8],
        order: u64,
        outcome: Option<Outcome>,
        at: Wall,
    ) -> Result<(), RowError> {
        let message: PrivateMessage = decode_layout(bytes)?;
        let n = self.add(&NewMessage {
            id: layout_id::<PrivateMessage>(bytes),
            kind: "private",
            is_sent: outcome.is_some(),
            author: message.author,
            run: message.run,
            seq: message.seq,
            receiver: Some(message.to),
            lamport: order,
            said_at: message.said_at,
            at,
            via: message.author,
            is_recovered: false,
            text: &message.text,
            bytes,
            sample_of: None,
        })?;
        outcome.map_or(Ok(()), |outcome| self.begin_delivery(n, message.to, outcome, at))
    }

    /// Takes back what was never sent: also from people's history.
    pub(super) fn undo(&self, author: MemberId, id: MessageId) -> Result<(), RowError> {
        let find = "SELECT bytes FROM messages WHERE id = ?1 AND author = ?2 AND kind = 'group' AND retained = 1";
        let found = self.db.prepare_cached(find)?.query_row((Word(id), Word(author)), |row| row.get::<_, Vec<u8>>(0));
        if let Some(bytes) = found.optional()? {
            let signed = Signed::<GroupMessage>::open_trusted(&bytes)?;
            let message = signed.value();
            self.shorten_chain(message)?;
            self.delete(
                "DELETE FROM messages WHERE author = ?1 AND incarnation = ?2 AND boot = ?3 AND seq = ?4
                 AND kind = 'group' AND retained = 1",
                (Word(author), Num(message.run.incarnation), Num(message.run.boot), Num(message.seq)),
            )?;
        }
        self.delete("DELETE FROM messages WHERE id = ?1 AND sent = 1", [Word(id)])
    }

    /// Deletes messages, whose words are in the index by then.
    fn delete(&self, statement: &str, values: impl rusqlite::Params) -> Result<(), RowError> {
        index::catch_up(self.db)?;
        self.run(statement, values)?;
        index::note(self.db)
    }

    pub(super) fn write_gap(&self, gap: &GapRecord) -> Result<(), RowError> {
        self.run(
            "INSERT OR REPLACE INTO gaps (author, incarnation, boot, first, last, asked, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                Word(gap.author),
                Num(gap.run.incarnation),
                Num(gap.run.boot),
                Num(gap.first),
                Num(gap.last),
                Json(&gap.asked),
                Num(gap.at.0),
            ),
        )
    }

    /// Adds the row and returns its number. One that was let go of and came again takes a new place.
    fn add(&mut self, new: &NewMessage<'_>) -> Result<i64, RowError> {
        self.is_used = true;
        self.raise_lamport(new.lamport);
        if let Some(n) = self.insert(new)? {
            return Ok(n);
        }
        self.delete("DELETE FROM messages WHERE id = ?1", [Word(new.id)])?;
        Ok(self.insert(new)?.expect("the only row with that id is deleted"))
    }

    /// The number of the new row, unless there is one with its id. (An `INSERT OR REPLACE` costs half as much
    /// again, for something that hardly happens.) Its number is past all that `seen` and `lived` count in, even where the
    /// newest rows are gone; an AUTOINCREMENT would keep that in a page of its own, written with each commit.
    fn insert(&self, new: &NewMessage<'_>) -> Result<Option<i64>, RowError> {
        let statement = "INSERT INTO messages (n, id, kind, sent, author, incarnation, boot, seq, receiver,
             lamport, said_at, at, via, recovered, text, bytes, sample_of, retained)
             VALUES (1 + max(coalesce((SELECT max(n) FROM messages), 0), coalesce((SELECT max(upto) FROM seen), 0),
             coalesce((SELECT max(n) FROM lived), 0)), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 1)
             ON CONFLICT (id) DO NOTHING";
        let added = self.db.prepare_cached(statement)?.execute((
            Word(new.id),
            new.kind,
            new.is_sent,
            Word(new.author),
            Num(new.run.incarnation),
            Num(new.run.boot),
            Num(new.seq),
            new.receiver.map(Word),
            Num(new.lamport),
            Num(new.said_at.0),
            Num(new.at.0),
            Word(new.via),
            new.is_recovered,
            new.text,
            new.bytes,
            new.sample_of,
        ))?;
        if added == 0 {
            return Ok(None);
        }
        Ok(Some(self.db.last_insert_rowid()))
    }
}
