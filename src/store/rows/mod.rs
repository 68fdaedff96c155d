//! Records into rows: what each record of the machine changes in the tables, so that reading them gives what
//! folding all records ever written gives. Owns the statements that write; `load` owns the way back.

mod delivery;
mod message;
mod seen;

pub(super) use seen::seen_now;

use std::fmt;

use rusqlite::Connection;

use super::columns::{Num, Word};
use super::schema;
use crate::base::{MemberId, MessageId, Run};
use crate::node::Record;
use crate::wire::{Card, Signed};
use crate::{membership, messaging};

/// Why a record was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("a record does not read: {0}")]
    Layout(#[from] crate::wire::LayoutError),
    /// The bytes are not those that were named or signed.
    #[error("{0} is not what it was when it was stored")]
    Changed(Part),
    #[error("a record in the journal is not what it was when it was stored")]
    JournalChanged,
    /// It is what it was, and this program does not know its form.
    #[error("a record in the journal was written by another build of moot; start that build once, and it is filed")]
    JournalForeign,
}

/// What a row holds as it came from somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Message(MessageId),
    Card(MemberId),
    Leave(MemberId),
    Receipt(MemberId),
    Evidence(MemberId),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(id) => write!(f, "message {id}"),
            Self::Card(of) => write!(f, "the card of {of}"),
            Self::Leave(of) => write!(f, "the goodbye of {of}"),
            Self::Receipt(of) => write!(f, "a receipt of {of}"),
            Self::Evidence(against) => write!(f, "the evidence against {against}"),
        }
    }
}

/// Writes the records of one transaction, which the caller begins and ends.
pub(super) struct Rows<'a> {
    db: &'a Connection,
    /// The highest place in the log so far; see [`Rows::finish`].
    lamport: Option<u64>,
    is_used: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn new(db: &'a Connection) -> Self {
        Self { db, lamport: None, is_used: false }
    }

    pub(super) fn apply(&mut self, record: &Record) -> Result<(), RowError> {
        match record {
            Record::Membership(record) => self.apply_membership(record),
            Record::Messaging(record) => self.apply_messaging(record),
        }
    }

    /// Writes what is kept once for all records.
    pub(super) fn finish(self) -> Result<(), RowError> {
        if self.is_used {
            schema::mark_used(self.db)?;
        }
        if let Some(lamport) = self.lamport {
            self.run(
                "INSERT INTO meta (key, value) VALUES ('lamport', ?1) ON CONFLICT (key) DO UPDATE
                 SET value = excluded.value WHERE (value < 0, value) < (excluded.value < 0, excluded.value)",
                [Num(lamport)],
            )?;
        }
        Ok(())
    }

    fn apply_membership(&mut self, record: &membership::Record) -> Result<(), RowError> {
        use membership::Record;
        match record {
            Record::Run(run) => self.run(
                "INSERT OR REPLACE INTO meta (key, value) VALUES ('incarnation', ?1), ('boot', ?2)",
                run_columns(*run),
            ),
            Record::Card { member, run, version, bytes } => self.write_card(*member, *run, *version, bytes),
            Record::Leave { member, run, bytes } => self.run(
                "UPDATE cards SET leave_incarnation = ?2, leave_boot = ?3, leave_bytes = ?4
                 WHERE member = ?1 AND known = 1",
                (Word(member), Num(run.incarnation), Num(run.boot), bytes),
            ),
            Record::Address { member, address } => {
                self.run("UPDATE cards SET address = ?2 WHERE member = ?1 AND known = 1", (Word(member), Word(address)))
            }
            Record::Gone { member, at } => {
                self.run("UPDATE cards SET gone_at = ?2 WHERE member = ?1 AND known = 1", (Word(member), Num(at.0)))
            }
            Record::Returned { member } => {
                self.run("UPDATE cards SET gone_at = NULL WHERE member = ?1", [Word(member)])
            }
            Record::Forgotten { member, run } => {
                self.run(
                    "UPDATE cards SET known = 0, leave_incarnation = NULL, leave_boot = NULL, leave_bytes = NULL,
                     address = NULL, gone_at = NULL WHERE member = ?1",
                    [Word(member)],
                )?;
                self.run(
                    "INSERT OR REPLACE INTO forgotten (member, incarnation, boot) VALUES (?1, ?2, ?3)",
                    (Word(member), Num(run.incarnation), Num(run.boot)),
                )
            }
            Record::Erased { member } => self.run("DELETE FROM forgotten WHERE member = ?1", [Word(member)]),
        }
    }

    fn write_card(&mut self, member: MemberId, run: Run, version: u32, bytes: &[u8]) -> Result<(), RowError> {
        self.is_used = true;
        let nick = Signed::<Card>::open_trusted(bytes)?.value().nick.clone();
        self.run("DELETE FROM forgotten WHERE member = ?1", [Word(member)])?;
        self.run(
            "INSERT INTO cards (member, nick, incarnation, boot, version, bytes, known)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)
             ON CONFLICT (member) DO UPDATE SET nick = excluded.nick, incarnation = excluded.incarnation,
             boot = excluded.boot, version = excluded.version, bytes = excluded.bytes, known = 1",
            (Word(member), nick, Num(run.incarnation), Num(run.boot), version, bytes),
        )
    }

    fn apply_messaging(&mut self, record: &messaging::Record) -> Result<(), RowError> {
        use messaging::Record;
        match record {
            Record::GroupReceived { bytes, via, recovered, order, at } => {
                self.add_group(bytes, Some((*via, *recovered)), (&[], None), *order, *at)
            }
            Record::GroupSent { bytes, roster, sample_of, order, at } => {
                self.add_group(bytes, None, (roster, *sample_of), *order, *at)
            }
            Record::PrivateReceived { bytes, order, at } => self.add_private(bytes, *order, None, *at),
            Record::PrivateSent { bytes, order, outcome, at } => self.add_private(bytes, *order, Some(*outcome), *at),
            Record::Delivery(delivery) => self.change_delivery(delivery),
            Record::Receipt(receipt) => self.add_receipt(receipt),
            Record::Equivocation { author, run, first, second, at } => self.run(
                "INSERT OR IGNORE INTO evidence (kind, author, incarnation, boot, first, second, at, retained)
                 VALUES ('equivocation', ?1, ?2, ?3, ?4, ?5, ?6, 1)",
                (Word(author), Num(run.incarnation), Num(run.boot), &first[..], &second[..], Num(at.0)),
            ),
            Record::Gap(gap) => self.write_gap(gap),
            Record::History { author, run, upto } => self.run(
                "INSERT OR REPLACE INTO history (author, incarnation, boot, upto) VALUES (?1, ?2, ?3, ?4)",
                (Word(author), Num(run.incarnation), Num(run.boot), Num(*upto)),
            ),
            Record::GapClosed { author, run, first } => self.run(
                "DELETE FROM gaps WHERE author = ?1 AND incarnation = ?2 AND boot = ?3 AND first = ?4",
                (Word(author), Num(run.incarnation), Num(run.boot), Num(*first)),
            ),
            Record::GroupPruned { author, run, upto, chain, lamport } => {
                self.raise_lamport(*lamport);
                self.prune(*author, *run, *upto, chain)
            }
            Record::PrivatePruned { author, run, upto, seen, lamport } => {
                self.raise_lamport(*lamport);
                self.prune(*author, *run, *upto, seen)
            }
            Record::RunsForgotten { author, below } => self.forget_runs(*author, *below),
            Record::PrivateRunsForgotten { author, below } => self.forget_private_runs(*author, *below),
            Record::GivenUp { message } => self.let_go(*message),
            Record::Undone { author, id } => self.undo(*author, *id),
            Record::Lived(lived) => self.run(
                "INSERT OR REPLACE INTO lived (n, receipt, ms) VALUES (
                 max(coalesce((SELECT max(n) FROM messages), 0), coalesce((SELECT max(upto) FROM seen), 0),
                 coalesce((SELECT max(n) FROM lived), 0)),
                 coalesce((SELECT max(n) FROM receipts), 0),
                 max(?1, coalesce((SELECT ms FROM lived ORDER BY n DESC LIMIT 1), 0)))",
                [Num(lived.0)],
            ),
        }
    }

    fn raise_lamport(&mut self, lamport: u64) {
        self.lamport = self.lamport.max(Some(lamport));
    }

    /// Runs one cached statement.
    fn run(&self, statement: &str, values: impl rusqlite::Params) -> Result<(), RowError> {
        self.db.prepare_cached(statement)?.execute(values)?;
        Ok(())
    }
}

fn run_columns(run: Run) -> (Num, Num) {
    (Num(run.incarnation), Num(run.boot))
}
