//! Deliveries and receipts back into records. A receipt brings latencies with it, so what is delivered is told
//! by the receipts that are kept, and the rest by a record each.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use super::{bytes, number, run, wall, word};
use crate::base::{MemberId, MessageId, Run, Seq, Wall};
use crate::messaging::{DeliveryRecord, Outcome, OutcomeCounts, ReceiptRecord, Record, Settled};
use crate::store::columns::{Num, Word};
use crate::store::rows::{Part, RowError};
use crate::wire::{GroupMessage, Receipt, RefusedReason, Signed};

pub(super) struct Deliveries<'a> {
    db: &'a Connection,
    /// The receipts that are kept, the oldest first.
    receipts: Vec<ReceiptRecord>,
    /// By author, its run and receiver: the first receipt, which is told with all that was settled.
    first: BTreeMap<(MemberId, Run, MemberId), usize>,
    /// What no receipt tells.
    changed: Vec<DeliveryRecord>,
}

/// How deliveries stand of messages that the machine let go. Looks at all of them.
pub(super) fn ended(db: &Connection) -> Result<OutcomeCounts, RowError> {
    let mut counts = OutcomeCounts::default();
    let counted = "SELECT outcome, count(*) FROM deliveries JOIN messages ON messages.n = deliveries.message
                   WHERE messages.retained = 0 GROUP BY outcome";
    super::each(db, counted, |row| {
        *counts.of(word(row, 0)?) += number(row, 1)?;
        Ok(())
    })?;
    Ok(counts)
}

/// One row of `deliveries`.
struct Kept {
    to: MemberId,
    outcome: Outcome,
    attempts: u32,
    latency_us: Option<u64>,
    reason: Option<RefusedReason>,
    at: Wall,
}

impl<'a> Deliveries<'a> {
    pub(super) fn read(db: &'a Connection) -> Result<Self, RowError> {
        let mut receipts: Vec<ReceiptRecord> = Vec::new();
        let mut first = BTreeMap::new();
        let kept = "SELECT incarnation, boot, author, receiver_incarnation, receiver_boot, receiver, bytes, at
                    FROM receipts WHERE retained = 1 ORDER BY n";
        super::each(db, kept, |row| {
            let (author, group, receiver) = (word(row, 2)?, run(row, 0)?, word(row, 5)?);
            let bytes = bytes(row, 6)?;
            super::verify::<Receipt>(&bytes, Part::Receipt(receiver))?;
            first.entry((author, group, receiver)).or_insert(receipts.len());
            receipts.push(ReceiptRecord {
                receiver,
                receiver_run: run(row, 3)?,
                author,
                group: Some(group),
                bytes,
                replaces: false,
                settled: Vec::new(),
                at: wall(row, 7)?,
            });
            Ok(())
        })?;
        Ok(Self { db, receipts, first, changed: Vec::new() })
    }

    /// The roster of a group message of one's own.
    pub(super) fn of_group(
        &mut self,
        n: i64,
        id: MessageId,
        bytes: &[u8],
    ) -> Result<Vec<(MemberId, Outcome)>, RowError> {
        let signed = Signed::<GroupMessage>::open_trusted(bytes)?;
        let message = signed.value();
        let key = (message.author, message.run, message.seq);
        let mut roster = Vec::new();
        for kept in self.of(n)? {
            roster.push((kept.to, kept.outcome));
            let receipt = self.first.get(&(key.0, key.1, kept.to)).filter(|_| kept.needs_receipt());
            let told = match receipt {
                Some(&receipt) => {
                    let (attempts, latency_us) = (kept.attempts, kept.latency_us);
                    self.receipts[receipt].settled.push(Settled { message: id, seq: key.2, attempts, latency_us });
                    (Outcome::Delivered, attempts, None)
                }
                None => (kept.outcome, 0, None),
            };
            self.note(id, Some(key), &kept, told);
        }
        Ok(roster)
    }

    /// The outcome of a private message of one's own.
    pub(super) fn of_private(&mut self, n: i64, id: MessageId) -> Result<Outcome, RowError> {
        let kept = self.of(n)?;
        let kept = kept.first().ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        self.note(id, None, kept, (kept.outcome, 0, None));
        Ok(kept.outcome)
    }

    /// Tells the receipts and the deliveries that were changed without one. Their messages were told before.
    pub(super) fn tell(self, tell: &mut impl FnMut(Record)) {
        self.receipts.into_iter().for_each(|receipt| tell(Record::Receipt(receipt)));
        self.changed.into_iter().for_each(|delivery| tell(Record::Delivery(delivery)));
    }

    fn of(&self, n: i64) -> Result<Vec<Kept>, RowError> {
        let mut statement = self.db.prepare_cached(
            "SELECT member, outcome, attempts, latency_us, reason, at FROM deliveries WHERE message = ?1",
        )?;
        let rows = statement.query_map([n], Kept::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes a record of its own, unless message and receipt have told as much.
    fn note(
        &mut self,
        message: MessageId,
        group: Option<(MemberId, Run, Seq)>,
        kept: &Kept,
        told: (Outcome, u32, Option<RefusedReason>),
    ) {
        if told == (kept.outcome, kept.attempts, kept.reason) {
            return;
        }
        self.changed.push(DeliveryRecord {
            message,
            group,
            to: kept.to,
            outcome: kept.outcome,
            attempts: kept.attempts,
            reason: kept.reason,
            at: kept.at,
        });
    }
}

impl Kept {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            to: word(row, 0)?,
            outcome: word(row, 1)?,
            attempts: row.get(2)?,
            latency_us: row.get::<_, Option<Num>>(3)?.map(|Num(us)| us),
            reason: row.get::<_, Option<Word<_>>>(4)?.map(|Word(reason)| reason),
            at: Wall(number(row, 5)?),
        })
    }

    /// Whether only a receipt can tell it.
    fn needs_receipt(&self) -> bool {
        self.outcome == Outcome::Delivered || self.latency_us.is_some()
    }
}
