//! The promise of the store: whatever records were written, in whatever groups, what is read back adds up to what
//! they add up to.

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Home, index, kit, load, schema};
use crate::base::{Lived, MemberId, MessageId, RoomId, Run, Seq, Wall};
use crate::crypto::Identity;
use crate::messaging::{
    Answer, Chain, DeliveryRecord, GapRecord, Outcome, Ranges, ReceiptRecord, Record, Settled, Span,
};
use crate::node::{self, Restored};
use crate::wire::{Leave, RefusedReason, Signed};
use crate::{membership, node::Record as NodeRecord};

/// Numbers that a record is made of; what they mean depends on its kind and on what is there by then.
#[derive(Clone, Debug)]
struct Draw {
    kind: u8,
    member: u8,
    run: u8,
    seq: Seq,
    pick: usize,
    odd: bool,
    text: u8,
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let seq = prop_oneof![8 => 1..10u64, 1 => (u64::MAX - 4)..u64::MAX, 1 => (1u64 << 63) - 1..(1 << 63) + 3];
    let draw = (0..22u8, 0..4u8, 0..4u8, seq, any::<usize>(), any::<bool>(), 0..3u8)
        .prop_map(|(kind, member, run, seq, pick, odd, text)| Draw { kind, member, run, seq, pick, odd, text });
    proptest::collection::vec(draw, 0..160)
}

struct Maker {
    members: Vec<Identity>,
    runs: [Run; 4],
    so_far: Restored,
}

impl Maker {
    fn new(home: &Home) -> Self {
        let run = |incarnation, boot| Run { incarnation, boot };
        Self {
            members: (0..4).map(|number| kit::identity(home, number)).collect(),
            runs: [run(3, 1), run(3, u64::MAX), run(7, 0), run(u64::MAX - 1, 5)],
            so_far: Restored::default(),
        }
    }

    /// The next record, if the draw makes one that a machine could write.
    fn make(&mut self, draw: &Draw) -> Option<NodeRecord> {
        let record = if draw.kind < 8 {
            NodeRecord::Membership(self.membership(draw))
        } else {
            NodeRecord::Messaging(self.messaging(draw)?)
        };
        self.so_far.apply(&record);
        Some(record)
    }

    fn membership(&self, draw: &Draw) -> membership::Record {
        use membership::Record;
        let (by, run) = (self.by(draw), self.run(draw));
        let member = by.id();
        match draw.kind {
            0 => Record::Run(run),
            1 | 2 => match kit::card(by, ["ana", "bo", "cy"][usize::from(draw.text)], run, draw.text.into()) {
                NodeRecord::Membership(card) => card,
                NodeRecord::Messaging(_) => unreachable!("a card is membership's"),
            },
            3 => {
                let leave = Leave { room: RoomId([draw.text; 16]), member, run };
                Record::Leave { member, run, bytes: Signed::sign(leave, by).bytes().to_vec() }
            }
            4 => Record::Address { member, address: format!("[::1]:{}", draw.run).parse().unwrap() },
            5 => Record::Gone { member, at: Wall(draw.seq) },
            6 => Record::Returned { member },
            _ if draw.odd => Record::Erased { member },
            _ => Record::Forgotten { member, run },
        }
    }

    fn messaging(&self, draw: &Draw) -> Option<Record> {
        let (by, run, at) = (self.by(draw), self.run(draw), Wall(draw.seq));
        let author = by.id();
        match draw.kind {
            8 | 9 => self.received(draw),
            10 | 11 => self.sent(draw),
            12 if draw.member == 0 => {
                let (bytes, _) = kit::private(by, run, self.other(draw), draw.seq, "psst");
                let outcome = if draw.odd { Outcome::Sending } else { Outcome::Waiting };
                Some(Record::PrivateSent { bytes, order: draw.seq, outcome, at })
            }
            12 => {
                let text = ["a", "b", "c"][usize::from(draw.text)];
                let (bytes, _) = kit::private(by, run, self.members[0].id(), draw.seq, text);
                Some(Record::PrivateReceived { bytes, order: draw.pick as u64 % 99, at })
            }
            13 | 14 => Some(Record::Delivery(self.delivery(draw))),
            15 | 16 => Some(Record::Receipt(self.receipt(draw))),
            17 if draw.odd => {
                let [first, second] =
                    ["x", "y"].map(|text| kit::group(by, run, 1 + Seq::from(draw.text), None, text).bytes().clone());
                Some(Record::Equivocation { author, run, first, second, at })
            }
            17 if draw.text == 0 => Some(Record::PrivateRunsForgotten { author, below: run }),
            17 => Some(Record::RunsForgotten { author, below: run }),
            18 if draw.odd => {
                let asked = vec![(self.other(draw), Answer::NoAnswer), (author, Answer::NoLongerKeepsIt)];
                Some(Record::Gap(GapRecord { author, run, first: draw.seq, last: draw.seq, asked, at }))
            }
            18 if draw.text == 0 => Some(Record::History { author, run, upto: draw.seq }),
            18 => Some(Record::GapClosed { author, run, first: draw.seq }),
            19 if draw.odd => {
                let chain = self.so_far.messaging.chains.get(&(author, run)).cloned();
                let other = Chain::from_parts(
                    draw.seq,
                    vec![Span { first: 40, last: 42, prev: None, last_id: MessageId([1; 32]) }],
                );
                let chain = chain.filter(|_| draw.text > 0).unwrap_or(other);
                Some(Record::GroupPruned { author, run, upto: draw.seq, chain, lamport: draw.pick as u64 })
            }
            19 => {
                let seen = self.so_far.messaging.private.get(&(author, run)).map(|stream| stream.seen.clone());
                let seen = seen.filter(|_| draw.text > 0).unwrap_or(Ranges::from_parts(draw.seq, vec![(50, 60)]));
                Some(Record::PrivatePruned { author, run, upto: draw.seq, seen, lamport: draw.pick as u64 })
            }
            20 if draw.text == 0 => Some(Record::Lived(Lived(draw.pick as u64 % 99))),
            20 if draw.odd => Some(Record::GivenUp { message: self.pick_delivery(draw).0 }),
            _ => Some(self.undone(draw)),
        }
    }

    fn received(&self, draw: &Draw) -> Option<Record> {
        let signed = self.group(draw);
        (!self.is_retained(signed.1)).then_some(Record::GroupReceived {
            bytes: signed.0,
            via: self.members[draw.pick % 4].id(),
            recovered: draw.odd,
            order: draw.pick as u64 % 99,
            at: Wall(draw.seq),
        })
    }

    fn sent(&self, draw: &Draw) -> Option<Record> {
        let signed = self.group(&Draw { member: 0, ..draw.clone() });
        let roster = self.members[1..].iter().take(draw.pick % 4).map(Identity::id);
        let roster = roster.map(|to| (to, if draw.odd { Outcome::Sending } else { Outcome::Waiting })).collect();
        let order = draw.pick as u64 % 99;
        (!self.is_retained(signed.1)).then_some(Record::GroupSent {
            bytes: signed.0,
            roster,
            sample_of: draw.odd.then_some(300),
            order,
            at: Wall(draw.seq),
        })
    }

    fn group(&self, draw: &Draw) -> (std::sync::Arc<[u8]>, MessageId) {
        let (by, run) = (self.by(draw), self.run(draw));
        let before = self.so_far.messaging.group.get(&(by.id(), run, draw.seq - 1));
        let prev = before.and_then(|kept| kept.first()).map(|kept| kept.id);
        let signed = kit::group(by, run, draw.seq, prev, ["x", "y", "z"][usize::from(draw.text)]);
        (signed.bytes().clone(), signed.id())
    }

    /// Of what is there, mostly; with every outcome, also backwards.
    fn delivery(&self, draw: &Draw) -> DeliveryRecord {
        let outcomes = [
            Outcome::Waiting,
            Outcome::Sending,
            Outcome::Unknown,
            Outcome::Refused,
            Outcome::Expired,
            Outcome::Delivered,
        ];
        let (message, group, to) = self.pick_delivery(draw);
        DeliveryRecord {
            message,
            group,
            to,
            outcome: outcomes[usize::from(draw.run + draw.text)],
            attempts: u32::from(draw.member),
            reason: draw.odd.then_some(RefusedReason::DiskFull),
            at: Wall(draw.seq),
        }
    }

    fn receipt(&self, draw: &Draw) -> ReceiptRecord {
        let (message, group, receiver) = self.pick_delivery(draw);
        let author = self.members[0].id();
        let group_run = group.map(|(_, run, _)| run);
        let signer = self.members.iter().find(|member| member.id() == receiver).unwrap_or(&self.members[1]);
        let settled = Settled {
            message,
            seq: group.map_or(draw.seq, |(_, _, seq)| seq),
            attempts: u32::from(draw.text),
            latency_us: draw.odd.then_some(draw.seq),
        };
        ReceiptRecord {
            receiver,
            receiver_run: self.run(draw),
            author,
            group: group_run,
            bytes: kit::receipt(signer, author, group_run, draw.seq),
            replaces: draw.pick.is_multiple_of(5),
            settled: vec![settled],
            at: Wall(draw.seq),
        }
    }

    fn undone(&self, draw: &Draw) -> Record {
        let own: Vec<_> =
            self.so_far.messaging.group.iter().filter(|(_, kept)| !kept[0].deliveries.is_empty()).collect();
        match own.get(draw.pick % own.len().max(1)) {
            Some((key, kept)) if draw.odd => Record::Undone { author: key.0, id: kept[0].id },
            Some(_) | None => {
                let (id, _, _) = self.pick_delivery(draw);
                Record::Undone { author: self.members[0].id(), id }
            }
        }
    }

    fn pick_delivery(&self, draw: &Draw) -> (MessageId, Option<(MemberId, Run, Seq)>, MemberId) {
        let group = self.so_far.messaging.group.iter().flat_map(|(&key, kept)| {
            kept.iter().flat_map(move |kept| kept.deliveries.keys().map(move |&to| (kept.id, Some(key), to)))
        });
        let private = self.so_far.messaging.unsettled.iter().map(|(&id, unsettled)| (id, None, unsettled.to));
        let nowhere = (MessageId([draw.text; 32]), None, self.other(draw));
        let all: Vec<_> = group.chain(private).chain([nowhere]).collect();
        all[draw.pick % all.len()]
    }

    fn is_retained(&self, id: MessageId) -> bool {
        self.so_far.messaging.group.values().flatten().any(|kept| kept.id == id)
    }

    fn by(&self, draw: &Draw) -> &Identity {
        &self.members[usize::from(draw.member)]
    }

    fn other(&self, draw: &Draw) -> MemberId {
        self.members[1 + draw.pick % 3].id()
    }

    fn run(&self, draw: &Draw) -> Run {
        self.runs[usize::from(draw.run)]
    }
}

fn write(home: &Home, groups: &[&[node::Record]]) {
    let committer = kit::committer(home);
    for (number, group) in groups.iter().enumerate() {
        // The index is brought up to date now and then, wherever that falls.
        if number % 3 == 0 { committer.commit(*group) } else { committer.commit_first(*group) }.unwrap();
    }
}

/// Whether the index holds the words of all messages that are there, and nothing else.
fn index_is_sound(home: &Home) -> bool {
    let db = schema::open(home).unwrap();
    index::catch_up(&db).unwrap();
    db.execute_batch("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)").is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_read_back_adds_up_to_what_was_written(draws in draws(), group in 1..40usize, reopen in 1..4usize) {
        let dir = TempDir::new().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let mut maker = Maker::new(&home);
        let records: Vec<_> = draws.iter().filter_map(|draw| maker.make(draw)).collect();
        let groups: Vec<_> = records.chunks(group).collect();
        for some in groups.chunks(reopen) {
            write(&home, some);
        }
        let read = load(&home).unwrap();
        prop_assert_eq!(Restored::fold(&read), maker.so_far);
        prop_assert!(index_is_sound(&home));
    }
}
