//! Gathering a file of evidence from the disk: the message, the receipts that settled its deliveries, what ties them to
//! it, and the cards of who signed. Owns which rows go in; what they prove is for whoever examines the file.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::OptionalExtension as _;

use super::columns::{Num, Word};
use super::history::History;
use super::rows::RowError;
use super::{StoreError, schema};
use crate::base::limits::{EVIDENCE_LATER_BYTES_MAX, EVIDENCE_LATER_MAX, EVIDENCE_RECEIPTS_MAX};
use crate::base::{MemberId, MessageId, RoomId, Run, Seq};
use crate::node::api::MessageKind;
use crate::wire::{EvidenceFile, GroupMessage, Held, HeldRange, Prev, Receipt, Signed, Subject};

/// Where a message stands, and its bytes.
struct Kept {
    n: i64,
    kind: MessageKind,
    author: MemberId,
    run: Run,
    seq: Seq,
    bytes: Vec<u8>,
}

/// A receipt, opened.
struct Signer {
    by: MemberId,
    bytes: Vec<u8>,
    /// The range that holds the message's number.
    range: Option<HeldRange>,
}

impl History {
    /// All that the disk has to show for a message; `None` where the message is not there. `own_card` is this node's
    /// own, which the database does not hold.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn evidence(&self, room: RoomId, id: MessageId, own_card: &[u8]) -> Result<Option<EvidenceFile>, StoreError> {
        self.gather(room, id, own_card).map_err(|error| schema::sort_row(&self.path, "read", error))
    }

    fn gather(&self, room: RoomId, id: MessageId, own_card: &[u8]) -> Result<Option<EvidenceFile>, RowError> {
        let Some(kept) = self.kept(id)? else { return Ok(None) };
        let mut signers = self.receipts_of(&kept)?;
        signers.truncate(EVIDENCE_RECEIPTS_MAX);
        let (rival, later) = match kept.kind {
            MessageKind::Group => (self.rival_of(&kept, id)?, self.later_than(&kept, id, &signers)?),
            MessageKind::Private => (None, Vec::new()),
        };
        let mut named: BTreeSet<MemberId> = signers.iter().map(|signer| signer.by).collect();
        named.insert(kept.author);
        if kept.kind == MessageKind::Private {
            named.extend(self.receiver(kept.n)?);
        }
        let cards = self.cards_of(named, own_card)?;
        let receipts = signers.into_iter().map(|signer| signer.bytes).collect();
        let message = match kept.kind {
            MessageKind::Group => Subject::Group(kept.bytes),
            MessageKind::Private => Subject::Private(kept.bytes),
        };
        Ok(Some(EvidenceFile { room, message, rival, later, receipts, cards }))
    }

    fn kept(&self, id: MessageId) -> rusqlite::Result<Option<Kept>> {
        let select = "SELECT n, kind, author, incarnation, boot, seq, bytes FROM messages WHERE id = ?1";
        let read = |row: &rusqlite::Row<'_>| {
            let (Num(incarnation), Num(boot)) = (row.get(3)?, row.get(4)?);
            Ok(Kept {
                n: row.get(0)?,
                kind: row.get::<_, Word<MessageKind>>(1)?.0,
                author: row.get::<_, Word<_>>(2)?.0,
                run: Run { incarnation, boot },
                seq: row.get::<_, Num>(5)?.0,
                bytes: row.get(6)?,
            })
        };
        self.db.prepare_cached(select)?.query_row([Word(id)], read).optional()
    }

    fn receiver(&self, n: i64) -> rusqlite::Result<Option<MemberId>> {
        let receiver = self.db.prepare_cached("SELECT receiver FROM messages WHERE n = ?1")?;
        let mut receiver = receiver;
        receiver.query_row([n], |row| Ok(row.get::<_, Option<Word<_>>>(0)?.map(|Word(id)| id)))
    }

    /// The receipts that settled the message's deliveries, and the kept ones that cover its number of who was not known to be
    /// here when it was said, in the order of who signed.
    fn receipts_of(&self, kept: &Kept) -> Result<Vec<Signer>, RowError> {
        let mut settled = self.db.prepare_cached(
            "SELECT receipts.bytes FROM deliveries JOIN receipts ON receipts.n = deliveries.receipt WHERE message = ?1",
        )?;
        let settled = settled.query_map([kept.n], |row| row.get(0))?.collect::<rusqlite::Result<Vec<Vec<u8>>>>()?;
        let since = match kept.kind {
            MessageKind::Group => self.receipts_since(kept)?,
            MessageKind::Private => Vec::new(),
        };
        let settles = settled.len();
        let mut signers = BTreeMap::new();
        for (n, bytes) in settled.into_iter().chain(since).enumerate() {
            let receipt = Signed::<Receipt>::open_trusted(&bytes)?;
            let receipt = receipt.value();
            let range = match &receipt.held {
                Held::Group { run, .. } if *run == kept.run => receipt.held.range_over(kept.seq).copied(),
                Held::Group { .. } | Held::Private { .. } => None,
            };
            if n < settles || range.is_some() {
                signers.insert(receipt.receiver, Signer { by: receipt.receiver, range, bytes });
            }
        }
        Ok(signers.into_values().collect())
    }

    /// Kept receipts for the message's run of those who are not in its roster, the newest last.
    fn receipts_since(&self, kept: &Kept) -> rusqlite::Result<Vec<Vec<u8>>> {
        let mut statement = self.db.prepare_cached(
            "SELECT bytes FROM receipts WHERE retained = 1 AND boot = ?3 AND incarnation = ?2 AND author = ?1
             AND receiver NOT IN (SELECT member FROM deliveries WHERE message = ?4) ORDER BY n",
        )?;
        let values = (Word(kept.author), Num(kept.run.incarnation), Num(kept.run.boot), kept.n);
        statement.query_map(values, |row| row.get(0))?.collect()
    }

    /// What else the author signed for the same place: kept as a message, or as proof alone.
    fn rival_of(&self, kept: &Kept, id: MessageId) -> Result<Option<Vec<u8>>, RowError> {
        let place = (Word(kept.author), Num(kept.run.incarnation), Num(kept.run.boot));
        let shown = "SELECT bytes FROM messages WHERE author = ?1 AND incarnation = ?2 AND boot = ?3 AND seq = ?4
                     AND kind = 'group' AND id <> ?5 ORDER BY n LIMIT 1";
        let values = (&place.0, place.1, place.2, Num(kept.seq), Word(id));
        let shown = self.db.prepare_cached(shown)?.query_row(values, |row| row.get(0)).optional()?;
        if shown.is_some() {
            return Ok(shown);
        }
        let proof = "SELECT first, second FROM evidence WHERE author = ?1 AND incarnation = ?2 AND boot = ?3";
        let mut statement = self.db.prepare_cached(proof)?;
        let mut rows = statement.query(place)?;
        while let Some(row) = rows.next()? {
            let pair: [Vec<u8>; 2] = [row.get(0)?, row.get(1)?];
            let opened = [Signed::<GroupMessage>::open_trusted(&pair[0])?, Signed::open_trusted(&pair[1])?];
            if opened.iter().any(|signed| signed.id() == id) {
                return Ok(pair.into_iter().zip(&opened).find(|(_, signed)| signed.id() != id).map(|(bytes, _)| bytes));
            }
        }
        Ok(None)
    }

    /// What the author said next, as far as it ties receipts to the message: each message names the one before it, and
    /// a receipt the last of a range.
    fn later_than(&self, kept: &Kept, id: MessageId, signers: &[Signer]) -> Result<Vec<Vec<u8>>, RowError> {
        let ends: BTreeMap<Seq, BTreeSet<MessageId>> =
            signers.iter().filter_map(|signer| signer.range).fold(BTreeMap::new(), |mut ends, range| {
                ends.entry(range.last).or_insert_with(BTreeSet::new).insert(range.last_id);
                ends
            });
        let Some(&last) = ends.last_key_value().map(|(last, _)| last) else { return Ok(Vec::new()) };
        let mut statement = self.db.prepare_cached(
            "SELECT id, bytes FROM messages WHERE author = ?1 AND incarnation = ?2 AND boot = ?3 AND seq = ?4
             AND kind = 'group'",
        )?;
        let (mut later, mut tied, mut bytes_held, mut before) = (Vec::new(), 0, 0, id);
        for seq in kept.seq..last {
            let place = (Word(kept.author), Num(kept.run.incarnation), Num(kept.run.boot), Num(seq + 1));
            let mut rows = statement.query(place)?;
            let mut next = None;
            while let Some(row) = rows.next()? {
                let bytes: Vec<u8> = row.get(1)?;
                if Signed::<GroupMessage>::open_trusted(&bytes)?.value().prev == Prev::Same(before) {
                    next = Some((row.get::<_, Word<MessageId>>(0)?.0, bytes));
                }
            }
            let Some((next, bytes)) = next else { break };
            bytes_held += bytes.len();
            if later.len() == EVIDENCE_LATER_MAX || bytes_held > EVIDENCE_LATER_BYTES_MAX {
                break;
            }
            later.push(bytes);
            before = next;
            if ends.get(&(seq + 1)).is_some_and(|ids| ids.contains(&next)) {
                tied = later.len();
            }
        }
        later.truncate(tied);
        Ok(later)
    }

    fn cards_of(&self, members: BTreeSet<MemberId>, own_card: &[u8]) -> rusqlite::Result<Vec<Vec<u8>>> {
        let mut statement = self.db.prepare_cached("SELECT bytes FROM cards WHERE member = ?1")?;
        let mut cards = Vec::with_capacity(members.len());
        for member in members {
            if member == self.me {
                cards.push(own_card.to_vec());
                continue;
            }
            cards.extend(statement.query_row([Word(member)], |row| row.get(0)).optional()?);
        }
        Ok(cards)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::Wall;
    use crate::crypto::Identity;
    use crate::messaging::{Outcome, ReceiptRecord, Record, Settled};
    use crate::node;

    use crate::store::{Home, kit};
    use crate::wire::{Card, PrivateMessage, layout_id};

    const RUN: fn(u64) -> Run = kit::run;

    fn write(home: &Home, records: Vec<Record>) {
        let records: Vec<_> = records.into_iter().map(node::Record::Messaging).collect();
        kit::committer(home).commit(&records).unwrap();
    }

    /// Messages #1 to #`count` of ana's run, each naming the one before it.
    fn chain(ana: &Identity, count: u64) -> Vec<Signed<GroupMessage>> {
        (1..=count).fold(Vec::new(), |mut chain: Vec<Signed<GroupMessage>>, seq| {
            let prev = chain.last().map(Signed::id);
            chain.push(kit::group(ana, RUN(5), seq, prev, &format!("number {seq}")));
            chain
        })
    }

    fn sent(message: &Signed<GroupMessage>, roster: &[&Identity]) -> Record {
        let roster = roster.iter().map(|member| (member.id(), Outcome::Sending)).collect();
        let order = message.value().seq;
        Record::GroupSent { bytes: message.bytes().clone(), roster, sample_of: None, order, at: Wall(2_000) }
    }

    /// by's receipt for `first..=last`, which settles all of these.
    fn receipted(by: &Identity, chain: &[Signed<GroupMessage>], first: u64, last: u64) -> Record {
        let place = |seq: u64| usize::try_from(seq - 1).unwrap();
        let author = chain[0].value().author;
        let range = HeldRange { first, last, last_id: chain[place(last)].id() };
        let settled = |seq| Settled { message: chain[place(seq)].id(), seq, attempts: 1, latency_us: Some(9) };
        Record::Receipt(ReceiptRecord {
            receiver: by.id(),
            receiver_run: RUN(5),
            author,
            group: Some(RUN(5)),
            bytes: kit::receipt_for(by, author, Held::Group { run: RUN(5), ranges: vec![range] }),
            replaces: true,
            settled: (first..=last).map(settled).collect(),
            at: Wall(2_100),
        })
    }

    fn evidence(home: &Home, id: MessageId) -> Option<EvidenceFile> {
        History::open(home).unwrap().evidence(kit::ROOM, id, &own_card(home)).unwrap()
    }

    fn own_card(home: &Home) -> Vec<u8> {
        match kit::card(home.identity(), "ana", RUN(5), 1) {
            node::Record::Membership(crate::membership::Record::Card { bytes, .. }) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_receipt_comes_with_the_messages_that_tie_it_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo, cy] = [0, 1, 2].map(|number| kit::identity(&home, number));
        let chain = chain(&ana, 9);
        let mut records: Vec<_> = chain.iter().map(|message| sent(message, &[&bo, &cy])).collect();
        records.extend([receipted(&bo, &chain, 1, 4), receipted(&bo, &chain, 5, 9), receipted(&cy, &chain, 1, 9)]);
        write(&home, records);
        let card = kit::card(&bo, "bo", RUN(5), 1);
        kit::committer(&home).commit([&card]).unwrap();

        let file = evidence(&home, chain[2].id()).unwrap();
        let later: Vec<Seq> =
            file.later.iter().map(|bytes| Signed::<GroupMessage>::open(bytes).unwrap().value().seq).collect();
        assert_eq!(later, [4, 5, 6, 7, 8, 9]);
        assert_eq!(file.receipts.len(), 2);
        let cards: Vec<String> =
            file.cards.iter().map(|bytes| Signed::<Card>::open(bytes).unwrap().value().nick.clone()).collect();
        assert!(cards.contains(&"ana".to_owned()) && cards.contains(&"bo".to_owned()), "{cards:?}");
        assert_eq!(evidence(&home, chain[8].id()).unwrap().later, Vec::<Vec<u8>>::new());
        assert_eq!(evidence(&home, MessageId([1; 32])), None);
    }

    #[test]
    fn a_receipt_of_who_came_later_goes_in_where_it_covers_the_number() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo, cy] = [0, 1, 2].map(|number| kit::identity(&home, number));
        let chain = chain(&ana, 3);
        let rosters: [&[&Identity]; 3] = [&[], &[&bo], &[&bo, &cy]];
        let mut records: Vec<_> = chain.iter().zip(rosters).map(|(message, roster)| sent(message, roster)).collect();
        records.extend([receipted(&bo, &chain, 1, 3), receipted(&cy, &chain, 2, 3)]);
        write(&home, records);
        let file = evidence(&home, chain[0].id()).unwrap();
        let receipts: Vec<_> = file.receipts.iter().map(|bytes| Signed::<Receipt>::open(bytes).unwrap()).collect();
        assert_eq!(receipts.iter().map(|receipt| receipt.value().receiver).collect::<Vec<_>>(), [bo.id()]);
        assert_eq!(file.later.len(), 2, "what ties it to the message goes in too");
    }

    #[test]
    fn where_a_message_between_is_gone_what_can_be_tied_is_tied() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo, cy] = [0, 1, 2].map(|number| kit::identity(&home, number));
        let chain = chain(&ana, 9);
        let mut records: Vec<_> =
            chain.iter().filter(|m| m.value().seq != 6).map(|message| sent(message, &[&bo, &cy])).collect();
        records.extend([receipted(&bo, &chain, 1, 4), receipted(&cy, &chain, 1, 9)]);
        write(&home, records);
        let file = evidence(&home, chain[1].id()).unwrap();
        assert_eq!((file.later.len(), file.receipts.len()), (2, 2));
    }

    #[test]
    fn what_else_was_signed_for_the_place_goes_in_from_messages_or_from_the_proof() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let [one, other] = ["to the left", "to the right"].map(|text| kit::group(&bo, RUN(5), 7, None, text));
        let [kept, gone] = [&one, &other].map(|signed| signed.bytes().clone());
        let received = |bytes: &Arc<[u8]>| Record::GroupReceived {
            bytes: bytes.clone(),
            via: bo.id(),
            recovered: false,
            order: 1,
            at: Wall(9),
        };
        let proof = Record::Equivocation {
            author: bo.id(),
            run: RUN(5),
            first: kept.clone(),
            second: gone.clone(),
            at: Wall(9),
        };
        write(&home, vec![received(&kept), proof]);
        assert_eq!(evidence(&home, one.id()).unwrap().rival.as_deref(), Some(&gone[..]));
        write(&home, vec![received(&gone)]);
        assert_eq!(evidence(&home, other.id()).unwrap().rival.as_deref(), Some(&kept[..]));
    }

    #[test]
    fn a_private_message_goes_with_the_receipt_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo] = [0, 1].map(|number| kit::identity(&home, number));
        let (bytes, id) = kit::private(&ana, RUN(5), bo.id(), 1, "psst");
        assert_eq!(id, layout_id::<PrivateMessage>(&bytes));
        let receipt = ReceiptRecord {
            receiver: bo.id(),
            receiver_run: RUN(5),
            author: ana.id(),
            group: None,
            bytes: kit::receipt_for(&bo, ana.id(), Held::Private { ids: vec![id] }),
            replaces: false,
            settled: vec![Settled { message: id, seq: 1, attempts: 1, latency_us: None }],
            at: Wall(2_100),
        };
        let said = Record::PrivateSent { bytes: bytes.clone(), order: 1, outcome: Outcome::Sending, at: Wall(2_000) };
        write(&home, vec![said, Record::Receipt(receipt)]);
        let file = evidence(&home, id).unwrap();
        assert_eq!(file.message, Subject::Private(bytes.to_vec()));
        assert_eq!((file.receipts.len(), file.cards.len(), file.later.len()), (1, 1, 0));
    }
}
