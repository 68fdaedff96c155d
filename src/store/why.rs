//! What the disk alone can tell about a message: who it was for, how each delivery ended, with which receipt, and from whom
//! it came. Owns those statements; the sentences are `node`'s.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, Row};

use super::StoreError;
use super::columns::{Num, Word};
use super::history::History;
use crate::base::{MemberId, MessageId, Wall};
use crate::messaging::Outcome;
use crate::node::api::{
    Delivery, DeliveryEvidence, MessageKind, ReceiptEvidence, Remembered, SignatureState, Source, StoredSince,
    WhyMessage,
};
use crate::node::{expired_because, refused_because};
use crate::wire::{Receipt, Signed};

impl History {
    /// The evidence about a message that the node itself no longer holds; `None` where the disk has none either.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn why(&self, id: MessageId) -> Result<Option<WhyMessage>, StoreError> {
        self.read_why(id).map_err(|error| self.sort(error))
    }

    fn read_why(&self, id: MessageId) -> rusqlite::Result<Option<WhyMessage>> {
        let select =
            "SELECT n, kind, author, seq, messages.incarnation, said_at, at, via, recovered, sent, messages.boot, sample_of, receiver, text, retained
                      FROM messages WHERE id = ?1";
        let read = |row: &Row<'_>| {
            let n: i64 = row.get(0)?;
            let (Word(from), Num(seq), Word(via)) = (row.get(2)?, row.get(3)?, row.get(7)?);
            let (Num(incarnation), Num(said_at), Num(at), Num(boot)) =
                (row.get(4)?, row.get(5)?, row.get(6)?, row.get(10)?);
            let is_sent: bool = row.get(9)?;
            let Word(kind): Word<MessageKind> = row.get(1)?;
            // The machine keeps a private message no longer than it is open.
            let is_let_go = kind == MessageKind::Group && !row.get::<_, bool>(14)?;
            let source =
                Source { via, nick: self.nick_of(via)?, at: Wall(at), recovered: row.get(8)?, duplicates: None };
            Ok(WhyMessage {
                id,
                handle: self.handle_of(id)?,
                kind,
                from,
                nick: self.nick_of(from)?,
                seq,
                incarnation,
                to: row.get::<_, Option<Word<_>>>(12)?.map(|Word(to)| to),
                text: Some(row.get(13)?),
                said_at: Some(Wall(said_at)),
                known_from: Remembered::ByTheDiskAlone,
                deliveries: self.deliveries_of(n, seq, is_let_go)?,
                sample_of: row.get::<_, Option<u32>>(11)?,
                own_faults: None,
                stored_since: self.stored_since(n, from, (incarnation, boot), seq)?,
                sources: (!is_sent).then_some(source).into_iter().collect(),
                rivals: self.rivals_of(id, from, (incarnation, boot), seq)?,
                not_known: Vec::new(),
            })
        };
        let why = self.db.prepare_cached(select)?.query_row([Word(id)], read).optional()?;
        Ok(why.map(|mut why| {
            why.say_what_is_not_known(self.me);
            why
        }))
    }

    fn deliveries_of(&self, n: i64, seq: u64, is_let_go: bool) -> rusqlite::Result<Vec<DeliveryEvidence>> {
        let mut statement = self.db.prepare_cached(
            "SELECT member, outcome, attempts, latency_us, reason, receipts.at, receipts.bytes FROM deliveries
             LEFT JOIN receipts ON receipts.n = deliveries.receipt WHERE message = ?1 ORDER BY member",
        )?;
        let rows = statement.query_map([n], |row| {
            let Word(member): Word<MemberId> = row.get(0)?;
            let receipt = match (row.get::<_, Option<Num>>(5)?, row.get::<_, Option<Vec<u8>>>(6)?) {
                (Some(Num(at)), Some(bytes)) => {
                    let state = SignatureState::of(Signed::<Receipt>::open(&bytes).is_ok());
                    Some(ReceiptEvidence::new(&bytes, Wall(at), seq, state))
                }
                (None, _) | (_, None) => None,
            };
            let Word(outcome): Word<Outcome> = row.get(1)?;
            let latency_us = row.get::<_, Option<Num>>(3)?.map(|Num(us)| us);
            Ok(DeliveryEvidence {
                delivery: Delivery {
                    member,
                    nick: self.nick_of(member)?,
                    outcome,
                    attempts: row.get(2)?,
                    tries_may_be_missing: outcome.lacks_tries_on_disk(latency_us),
                    latency_us,
                },
                reason: match outcome {
                    Outcome::Expired => Some(expired_because(is_let_go).to_owned()),
                    Outcome::Refused => {
                        row.get::<_, Option<Word<_>>>(4)?.map(|Word(reason)| refused_because(reason).to_owned())
                    }
                    // A home may have one from a refusal before the receipt.
                    Outcome::Waiting | Outcome::Sending | Outcome::Unknown | Outcome::Delivered => None,
                },
                tries: Vec::new(),
                address: None,
                held_up: None,
                receipt,
            })
        })?;
        rows.collect()
    }

    /// Who is not in the roster of one's own group message, and whose kept receipts cover its number.
    fn stored_since(
        &self,
        n: i64,
        author: MemberId,
        (incarnation, boot): (u64, u64),
        seq: u64,
    ) -> rusqlite::Result<Vec<StoredSince>> {
        let mut statement = self.db.prepare_cached(
            "SELECT receiver, at, bytes FROM receipts WHERE retained = 1 AND boot = ?3 AND incarnation = ?2 AND author = ?1
             AND receiver NOT IN (SELECT member FROM deliveries WHERE message = ?4)
             AND (SELECT kind FROM messages WHERE n = ?4) = 'group' ORDER BY n",
        )?;
        let mut rows = statement.query((Word(author), Num(incarnation), Num(boot), n))?;
        let mut since = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (Word(member), Num(at)): (Word<MemberId>, _) = (row.get(0)?, row.get(1)?);
            let bytes: Vec<u8> = row.get(2)?;
            let state = SignatureState::of(Signed::<Receipt>::open(&bytes).is_ok());
            let is_here = |id| self.has(id).unwrap_or(false);
            if let Some(receipt) = ReceiptEvidence::covering(&bytes, Wall(at), seq, state, is_here) {
                since.entry(member).or_insert(receipt);
            }
        }
        let told = |(member, receipt)| Ok(StoredSince { member, nick: self.nick_of(member)?, receipt });
        since.into_iter().map(told).collect()
    }

    fn has(&self, id: MessageId) -> rusqlite::Result<bool> {
        self.db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM messages WHERE id = ?1)")?
            .query_row([Word(id)], |row| row.get(0))
    }

    /// What else its author signed for the same place.
    fn rivals_of(
        &self,
        id: MessageId,
        author: MemberId,
        (incarnation, boot): (u64, u64),
        seq: u64,
    ) -> rusqlite::Result<Vec<MessageId>> {
        let mut statement = self.db.prepare_cached(
            "SELECT id FROM messages WHERE author = ?1 AND incarnation = ?2 AND boot = ?3 AND seq = ?4 AND kind = 'group'
             AND id <> ?5 AND (SELECT kind FROM messages WHERE id = ?5) = 'group' ORDER BY id",
        )?;
        let values = (Word(author), Num(incarnation), Num(boot), Num(seq), Word(id));
        statement.query_map(values, |row| row.get(0).map(|Word(id)| id))?.collect()
    }

    /// What people call a member, also one that is forgotten.
    fn nick_of(&self, member: MemberId) -> rusqlite::Result<String> {
        if member == self.me {
            return Ok(self.nick.clone());
        }
        let mut statement = self.db.prepare_cached("SELECT nick FROM cards WHERE member = ?1")?;
        let nick = statement.query_row([Word(member)], |row| row.get(0)).optional()?;
        Ok(nick.unwrap_or_else(|| member.short()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seq;
    use crate::messaging::{DeliveryRecord, ReceiptRecord, Record, Settled};
    use crate::node;

    use crate::store::{Home, kit};
    use crate::wire::{Held, HeldRange, RefusedReason};

    fn write(home: &Home, records: &[Record]) {
        let records: Vec<_> = records.iter().cloned().map(node::Record::Messaging).collect();
        kit::committer(home).commit(&records).unwrap();
    }

    fn why(home: &Home, id: MessageId) -> Option<WhyMessage> {
        History::open(home).unwrap().why(id).unwrap()
    }

    #[test]
    fn a_message_of_ones_own_is_told_with_roster_outcomes_and_receipts() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo, cy] = [0, 1, 2].map(|number| kit::identity(&home, number));
        let said = kit::group(&ana, kit::run(5), 7, None, "hello");
        let (seq, run): (Seq, _) = (7, kit::run(5));
        let ranges = vec![HeldRange { first: 3, last: 7, last_id: said.id() }];
        let receipt = |bytes| ReceiptRecord {
            receiver: bo.id(),
            receiver_run: kit::run(5),
            author: ana.id(),
            group: Some(run),
            bytes,
            replaces: true,
            settled: vec![Settled { message: said.id(), seq, attempts: 2, latency_us: Some(900) }],
            at: Wall(2_100),
        };
        let sound = kit::receipt_for(&bo, ana.id(), Held::Group { run, ranges });
        let refused = DeliveryRecord {
            message: said.id(),
            group: Some((ana.id(), run, seq)),
            to: cy.id(),
            outcome: Outcome::Refused,
            attempts: 1,
            reason: Some(RefusedReason::DiskFull),
            at: Wall(2_050),
        };
        let roster = vec![(bo.id(), Outcome::Sending), (cy.id(), Outcome::Sending)];
        let sent =
            Record::GroupSent { bytes: said.bytes().clone(), roster, sample_of: Some(300), order: 1, at: Wall(2_000) };
        write(&home, &[sent, Record::Delivery(refused.clone()), Record::Receipt(receipt(sound.clone()))]);

        let told = why(&home, said.id()).unwrap();
        assert_eq!(told.sample_of, Some(300));
        assert_eq!((told.known_from, told.sources.len()), (Remembered::ByTheDiskAlone, 0));
        let of =
            |told: &WhyMessage, member| told.deliveries.iter().find(|to| to.delivery.member == member).unwrap().clone();
        let bos = of(&told, bo.id());
        assert_eq!((bos.delivery.outcome, bos.delivery.attempts), (Outcome::Delivered, 2));
        let shown = bos.receipt.unwrap();
        assert_eq!((shown.first, shown.last, shown.signature), (Some(3), Some(7), SignatureState::Holds));
        let cys = of(&told, cy.id());
        assert_eq!((cys.delivery.outcome, cys.reason.as_deref()), (Outcome::Refused, Some("its disk is full")));
        assert!(told.not_known.iter().any(|said| said.contains("the disk keeps neither")), "{:?}", told.not_known);

        // Who no longer remembers whether it has it may have it.
        let may_have_it = |told: &WhyMessage| told.not_known.iter().any(|said| said.contains("may have it"));
        assert!(!may_have_it(&told), "{:?}", told.not_known);
        write(&home, &[Record::Delivery(DeliveryRecord { reason: Some(RefusedReason::BelowFloor), ..refused })]);
        assert!(may_have_it(&why(&home, said.id()).unwrap()));

        // What was changed on the disk since is told to prove nothing.
        let mut broken = sound.to_vec();
        *broken.last_mut().unwrap() ^= 1;
        write(&home, &[Record::Receipt(receipt(broken.into()))]);
        let told = why(&home, said.id()).unwrap();
        assert_eq!(of(&told, bo.id()).receipt.unwrap().signature, SignatureState::Broken);
        assert_eq!(why(&home, MessageId([1; 32])), None);
    }

    #[test]
    fn what_is_no_longer_kept_for_others_waits_for_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo, cy] = [0, 1, 2].map(|number| kit::identity(&home, number));
        let said = |run, seq| kit::group(&ana, run, seq, None, "hello");
        let sent = |run, seq| Record::GroupSent {
            bytes: said(run, seq).bytes().clone(),
            roster: vec![(bo.id(), Outcome::Waiting), (cy.id(), Outcome::Sending)],
            sample_of: None,
            order: seq,
            at: Wall(2_000),
        };
        let (old, run, author) = (kit::run(4), kit::run(5), ana.id());
        let (private, told) = kit::private(&ana, run, bo.id(), 1, "psst");
        let outcome = Outcome::Waiting;
        let private = Record::PrivateSent { bytes: private, order: 9, outcome, at: Wall(2_000) };
        let chain = crate::messaging::Chain::default();
        let pruned = Record::GroupPruned { author, run, upto: 1, chain, lamport: 9 };
        let forgotten = Record::RunsForgotten { author, below: run };
        write(&home, &[sent(old, 1), sent(run, 1), sent(run, 2), private, pruned, forgotten]);
        let outcomes = |id| {
            let mut outcomes: Vec<_> = why(&home, id).unwrap().deliveries;
            outcomes.sort_by_key(|of| of.delivery.member != bo.id());
            outcomes.iter().map(|of| of.delivery.outcome).collect::<Vec<_>>()
        };
        for gone in [said(old, 1), said(run, 1)] {
            assert_eq!(outcomes(gone.id()), [Outcome::Expired, Outcome::Unknown]);
        }
        assert_eq!(outcomes(said(run, 2).id()), [Outcome::Waiting, Outcome::Sending]);
        assert_eq!(outcomes(told), [Outcome::Waiting]);
    }

    #[test]
    fn a_message_of_somebody_else_is_told_with_its_way_and_its_rivals() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [bo, cy] = [1, 2].map(|number| kit::identity(&home, number));
        let [one, other] = ["to the left", "to the right"].map(|text| kit::group(&bo, kit::run(5), 7, None, text));
        let received = |bytes: &std::sync::Arc<[u8]>| Record::GroupReceived {
            bytes: bytes.clone(),
            via: cy.id(),
            recovered: true,
            order: 1,
            at: Wall(9_000),
        };
        write(&home, &[received(one.bytes()), received(other.bytes())]);
        let told = why(&home, one.id()).unwrap();
        let source = Source { via: cy.id(), nick: cy.id().short(), at: Wall(9_000), recovered: true, duplicates: None };
        assert_eq!((told.sources, told.rivals), (vec![source], vec![other.id()]));
    }
}
