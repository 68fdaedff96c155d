//! Deliveries and the receipts that settle them, into rows. A delivery's row stays for people when the
//! machine has settled it.

use super::{RowError, Rows};
use crate::base::limits::RECEIPTS_KEPT_PER_RUN_MAX;
use crate::base::{MemberId, MessageId, Run, Wall};
use crate::messaging::{DeliveryRecord, Outcome, ReceiptRecord, Settled};
use crate::store::columns::{Num, Word};

impl Rows<'_> {
    pub(super) fn begin_delivery(
        &self,
        message: i64,
        member: MemberId,
        outcome: Outcome,
        at: Wall,
    ) -> Result<(), RowError> {
        self.run(
            "INSERT INTO deliveries (message, member, outcome, attempts, at) VALUES (?1, ?2, ?3, 0, ?4)
             ON CONFLICT (message, member) DO UPDATE SET outcome = excluded.outcome",
            (message, Word(member), Word(outcome), Num(at.0)),
        )
    }

    /// A message that was let go is not opened again: of a private one a receipt may still say more.
    pub(super) fn change_delivery(&self, delivery: &DeliveryRecord) -> Result<(), RowError> {
        let kind = if delivery.group.is_some() { "group" } else { "private" };
        self.run(
            "UPDATE deliveries SET outcome = ?4, attempts = ?5, reason = ?6, at = ?7
             WHERE message = (SELECT n FROM messages WHERE id = ?1 AND kind = ?2 AND retained = 1)
             AND member = ?3",
            (
                Word(delivery.message),
                kind,
                Word(delivery.to),
                Word(delivery.outcome),
                delivery.attempts,
                delivery.reason.map(Word),
                Num(delivery.at.0),
            ),
        )?;
        if delivery.group.is_none() && delivery.outcome.lets_private_go() {
            self.let_go(delivery.message)?;
        }
        Ok(())
    }

    /// The machine keeps a private message of one's own until it is settled or given up.
    pub(super) fn let_go(&self, message: MessageId) -> Result<(), RowError> {
        self.run("UPDATE messages SET retained = 0 WHERE id = ?1 AND kind = 'private' AND sent = 1", [Word(message)])
    }

    pub(super) fn add_receipt(&self, receipt: &ReceiptRecord) -> Result<(), RowError> {
        if let Some(run) = receipt.group {
            self.make_room(receipt, run)?;
        }
        let insert = "INSERT INTO receipts (receiver, receiver_incarnation, receiver_boot, author, incarnation, boot,
             at, bytes, retained) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let n = self.db.prepare_cached(insert)?.insert((
            Word(receipt.receiver),
            Num(receipt.receiver_run.incarnation),
            Num(receipt.receiver_run.boot),
            Word(receipt.author),
            receipt.group.map(|run| Num(run.incarnation)),
            receipt.group.map(|run| Num(run.boot)),
            Num(receipt.at.0),
            &receipt.bytes[..],
            receipt.group.is_some(),
        ))?;
        receipt.settled.iter().try_for_each(|settled| self.settle(receipt, settled, n))
    }

    /// Lets go of kept receipts: of all that this one makes superfluous, or else of what is one too many.
    fn make_room(&self, receipt: &ReceiptRecord, run: Run) -> Result<(), RowError> {
        let kept = if receipt.replaces { 0 } else { RECEIPTS_KEPT_PER_RUN_MAX - 1 };
        let mut statement = self.db.prepare_cached(
            "SELECT n FROM receipts WHERE author = ?1 AND incarnation = ?2 AND boot = ?3 AND receiver = ?4
             AND retained = 1 ORDER BY n DESC",
        )?;
        let key = (Word(receipt.author), Num(run.incarnation), Num(run.boot), Word(receipt.receiver));
        let numbers = statement.query_map(key, |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
        // One by one: an UPDATE of what its own index finds would make a temporary table each time.
        numbers.into_iter().skip(kept).try_for_each(|n| self.run("UPDATE receipts SET retained = 0 WHERE n = ?1", [n]))
    }

    fn settle(&self, receipt: &ReceiptRecord, settled: &Settled, n: i64) -> Result<(), RowError> {
        let kind = if receipt.group.is_some() { "group" } else { "private" };
        self.run(
            "UPDATE deliveries SET outcome = 'delivered', reason = NULL, attempts = ?4, latency_us = ?5, receipt = ?6, at = ?7
             WHERE message = (SELECT n FROM messages WHERE id = ?1 AND kind = ?2) AND member = ?3",
            (
                Word(settled.message),
                kind,
                Word(receipt.receiver),
                settled.attempts,
                settled.latency_us.map(Num),
                n,
                Num(receipt.at.0),
            ),
        )?;
        if receipt.group.is_none() {
            self.let_go(settled.message)?;
        }
        Ok(())
    }
}
