//! What membership keeps on disk, and the fold that restores it. Owns the records and what they add up to;
//! knows neither tables nor files, and judges nobody.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::{MemberId, Run, Wall};

/// One durable fact. Each kind replaces one column of one row: the last record wins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A run of this node began; it never uses this incarnation again.
    Run(Run),
    /// The newest card of another member, as the bytes that it signed. Whoever has a card is no longer
    /// forgotten.
    Card { member: MemberId, run: Run, version: u32, bytes: Arc<[u8]> },
    /// A leave of another member, as the bytes that it signed. It counts while the card is of the same run.
    Leave { member: MemberId, run: Run, bytes: Vec<u8> },
    /// Where a session with the member was last open.
    Address { member: MemberId, address: SocketAddr },
    /// The member was called unreachable, or left, at `at`; after a time it is forgotten.
    Gone { member: MemberId, at: Wall },
    /// It is back.
    Returned { member: MemberId },
    /// All of the member is forgotten but the highest run that it was seen in.
    Forgotten { member: MemberId, run: Run },
    /// Even that is forgotten: the table was full.
    Erased { member: MemberId },
}

/// What the records add up to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Restored {
    /// The newest run of this node.
    pub run: Option<Run>,
    pub members: BTreeMap<MemberId, RestoredMember>,
    /// The highest run of those who were forgotten: what an older one says is stale.
    pub forgotten: BTreeMap<MemberId, Run>,
}

/// What is kept of one other member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RestoredMember {
    /// Run and version of the card, as they stand in its bytes.
    pub run: Run,
    pub version: u32,
    /// The card as signed; it was verified before it was stored.
    pub card: Arc<[u8]>,
    /// A leave as signed, and its run.
    pub leave: Option<(Run, Vec<u8>)>,
    pub address: Option<SocketAddr>,
    /// Since when it is unreachable or has left.
    pub gone: Option<Wall>,
}

impl Restored {
    /// Adds one record. Records about a member that has no card are without effect.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Run(run) => self.run = Some(*run),
            Record::Card { member, run, version, bytes } => {
                self.forgotten.remove(member);
                let kept = self.members.entry(*member).or_insert_with(|| RestoredMember {
                    run: *run,
                    version: *version,
                    card: Arc::default(),
                    leave: None,
                    address: None,
                    gone: None,
                });
                kept.run = *run;
                kept.version = *version;
                kept.card.clone_from(bytes);
            }
            Record::Leave { member, run, bytes } => {
                self.change(*member, |kept| kept.leave = Some((*run, bytes.clone())));
            }
            Record::Address { member, address } => self.change(*member, |kept| kept.address = Some(*address)),
            Record::Gone { member, at } => self.change(*member, |kept| kept.gone = Some(*at)),
            Record::Returned { member } => self.change(*member, |kept| kept.gone = None),
            Record::Forgotten { member, run } => {
                self.members.remove(member);
                self.forgotten.insert(*member, *run);
            }
            Record::Erased { member } => {
                self.forgotten.remove(member);
            }
        }
    }

    fn change(&mut self, member: MemberId, change: impl FnOnce(&mut RestoredMember)) {
        if let Some(kept) = self.members.get_mut(&member) {
            change(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(incarnation: u64) -> Run {
        Run { incarnation, boot: 7 }
    }

    #[test]
    fn the_last_record_of_a_kind_wins_and_forgetting_keeps_the_run() {
        let bo = MemberId([2; 32]);
        let address: SocketAddr = "10.0.0.2:4460".parse().unwrap();
        let mut restored = Restored::default();
        for record in [
            Record::Gone { member: bo, at: Wall(1) },
            Record::Run(run(5)),
            Record::Card { member: bo, run: run(3), version: 1, bytes: [1].into() },
            Record::Address { member: bo, address },
            Record::Leave { member: bo, run: run(3), bytes: vec![9] },
            Record::Gone { member: bo, at: Wall(8) },
            Record::Card { member: bo, run: run(4), version: 2, bytes: [2].into() },
            Record::Returned { member: bo },
        ] {
            restored.apply(&record);
        }
        assert_eq!(restored.run, Some(run(5)));
        let expected = RestoredMember {
            run: run(4),
            version: 2,
            card: [2].into(),
            leave: Some((run(3), vec![9])),
            address: Some(address),
            gone: None,
        };
        assert_eq!(restored.members[&bo], expected);

        restored.apply(&Record::Forgotten { member: bo, run: run(4) });
        assert!(restored.members.is_empty());
        assert_eq!(restored.forgotten[&bo], run(4));
        restored.apply(&Record::Erased { member: bo });
        assert!(restored.forgotten.is_empty());
    }
}
