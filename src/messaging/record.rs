//! What messaging keeps across restarts: the records that it has stored, and the pure fold that gives back
//! its state. Owns both forms; knows nothing of tables, peers or time.
//!
//! One record is written for a received message, one for a sent one, and one for a receipt, however many
//! messages it covers. All else is rare.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ranges::{Chain, Ranges};
use crate::base::limits::RECEIPTS_KEPT_PER_RUN_MAX;
use crate::base::{Lived, MemberId, MessageId, Run, Seq, Wall};
use crate::wire::{GroupMessage, Prev, PrivateMessage, RefusedReason, Signed, decode_layout, layout_id};

/// How a delivery stands. Moves forward only, in this order, but for one step: what was `Sending`, and of which nothing left,
/// waits again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not sent: the receiver is not reachable.
    Waiting,
    /// Sent or about to be, no receipt yet.
    Sending,
    /// Sent, and tried until the deadline: message lost, receipt lost or receiver down cannot be told apart.
    Unknown,
    /// The receiver said no.
    Refused,
    /// Never sent, and its life is over.
    Expired,
    /// The receiver signed that it is on its disk.
    Delivered,
}

impl Outcome {
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Sending, Self::Unknown, Self::Refused, Self::Expired, Self::Delivered];

    /// The word for it, the same in JSON, on screens and in scenarios.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Delivered => "delivered",
        }
    }
}

/// What is written to disk, in this order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A group message of somebody else: it is shown now.
    GroupReceived {
        /// A `Signed<GroupMessage>`, already verified.
        bytes: Arc<[u8]>,
        /// Who sent it here; its author, unless it was passed on.
        via: MemberId,
        /// It came because this node asked for it.
        recovered: bool,
        order: u64,
        at: Wall,
    },
    /// A group message of one's own, with its roster: who was a member then, and whether it is pushed to
    /// that member (`Sending`) or waits to be fetched by it (`Waiting`).
    /// In a room too large to ask all of it for receipts the roster is of those who were asked, and `sample_of` says how
    /// many members there were.
    GroupSent {
        bytes: Arc<[u8]>,
        roster: Vec<(MemberId, Outcome)>,
        #[serde(default)]
        sample_of: Option<u32>,
        order: u64,
        at: Wall,
    },
    /// A private message to this node: it is shown now.
    PrivateReceived {
        /// A `PrivateMessage` layout.
        bytes: Arc<[u8]>,
        order: u64,
        at: Wall,
    },
    /// A private message of one's own; `outcome` is `Sending`, or `Waiting` while its receiver is away.
    PrivateSent { bytes: Arc<[u8]>, order: u64, outcome: Outcome, at: Wall },
    /// A delivery of one's own message changed without a receipt: to any outcome but `Delivered`.
    Delivery(DeliveryRecord),
    /// A receipt for messages of one's own: those in `settled` are delivered now.
    Receipt(ReceiptRecord),
    /// Two messages of one identity: the proof that their author told two people two things. Both are
    /// `Signed<GroupMessage>`. At most one for each author and run.
    Equivocation { author: MemberId, run: Run, first: Arc<[u8]>, second: Arc<[u8]>, at: Wall },
    /// A gap was told, or what was asked for it changed. Replaces one with the same author, run and first.
    Gap(GapRecord),
    /// Messages `1..=upto` of the run were said before this node came to the room, and further back than it asked:
    /// they are no gap.
    History { author: MemberId, run: Run, upto: Seq },
    /// The gap is closed, or too old to be kept.
    GapClosed { author: MemberId, run: Run, first: Seq },
    /// Group messages `1..=upto` of the run are no longer kept to be given to others; that they were seen
    /// stays known, by `chain`, which is merged with what is known. People's history is not meant by this. Receipts of one's own
    /// run are kept no longer than a message of it with their receiver in its roster. `lamport` is the clock then.
    GroupPruned { author: MemberId, run: Run, upto: Seq, chain: Chain, lamport: u64 },
    /// The ids of private messages `1..=upto` from the author's run are no longer kept; that they were seen stays
    /// known, by `seen`, which is merged with what is known.
    PrivatePruned { author: MemberId, run: Run, upto: Seq, seen: Ranges, lamport: u64 },
    /// Runs of the author below `below` are no longer tracked in the room; what comes of them is refused. Gaps in them stay.
    RunsForgotten { author: MemberId, below: Run },
    /// Of the author's runs below `below` it is not known any more what it told this node alone; what comes of them is refused.
    PrivateRunsForgotten { author: MemberId, below: Run },
    /// A private message of one's own is not kept any more: it was `Unknown` until its life was over, or one of many that
    /// were `Refused`, and stays so.
    GivenUp { message: MessageId },
    /// A message of one's own that is on disk was never sent and never will be, because one before it was
    /// not stored. It is removed from people's history too.
    Undone { author: MemberId, id: MessageId },
    /// The node has run for so long by now: what comes after this record is that young.
    Lived(Lived),
}

/// One delivery's new outcome.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeliveryRecord {
    pub message: MessageId,
    /// Set for a group message: where it stands in its author's stream. `None` for a private one.
    pub group: Option<(MemberId, Run, Seq)>,
    pub to: MemberId,
    pub outcome: Outcome,
    pub attempts: u32,
    pub reason: Option<RefusedReason>,
    pub at: Wall,
}

/// A signed receipt and what it settled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReceiptRecord {
    pub receiver: MemberId,
    /// The receiver's run in which it signed.
    pub receiver_run: Run,
    /// This node.
    pub author: MemberId,
    /// Set for a group receipt: the run of ours that it is about. `None` for private messages.
    pub group: Option<Run>,
    /// A `Signed<Receipt>`, already verified.
    pub bytes: Arc<[u8]>,
    /// A group receipt that says all that the kept ones of (receiver, run) say: they can go.
    pub replaces: bool,
    /// Never empty.
    pub settled: Vec<Settled>,
    pub at: Wall,
}

/// A delivery that a receipt made `Delivered`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settled {
    pub message: MessageId,
    pub seq: Seq,
    pub attempts: u32,
    /// From the commit here to the receipt; `None` for a message that an earlier run sent.
    pub latency_us: Option<u64>,
}

/// Messages that exist, that are missing here, and who was asked for them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GapRecord {
    pub author: MemberId,
    pub run: Run,
    pub first: Seq,
    pub last: Seq,
    pub asked: Vec<(MemberId, Answer)>,
    pub at: Wall,
}

/// What a peer said when it was asked for messages that are missing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It gave them, or sent them of itself, and the disk here had no room.
    DiskFullHere,
    NoLongerKeepsIt,
    NeverHadIt,
    NoAnswer,
}

impl Record {
    /// The place in the log of the message that this record adds, in Lamport time; people's history is sorted by (order,
    /// author, run, seq), which puts each author's messages in its own order and an answer after what it answers.
    #[must_use]
    pub fn order(&self) -> Option<u64> {
        match self {
            Self::GroupReceived { order, .. }
            | Self::GroupSent { order, .. }
            | Self::PrivateReceived { order, .. }
            | Self::PrivateSent { order, .. } => Some(*order),
            Self::Delivery(_)
            | Self::Receipt(_)
            | Self::Equivocation { .. }
            | Self::Gap(_)
            | Self::History { .. }
            | Self::GapClosed { .. }
            | Self::GroupPruned { .. }
            | Self::PrivatePruned { .. }
            | Self::RunsForgotten { .. }
            | Self::PrivateRunsForgotten { .. }
            | Self::GivenUp { .. }
            | Self::Undone { .. }
            | Self::Lived(_) => None,
        }
    }
}

/// Two messages of one place, each a `Signed<GroupMessage>`: their author told two people two things.
pub type Proof = (Arc<[u8]>, Arc<[u8]>);

/// The state that the records make: bounded, because what the machine forgets it records as forgotten.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Restored {
    /// Group messages kept to be given to others, one's own included.
    pub group: BTreeMap<(MemberId, Run, Seq), Vec<GroupKept>>,
    /// What was ever committed of each run.
    pub chains: BTreeMap<(MemberId, Run), Chain>,
    /// Private messages to this node, by author and run.
    pub private: BTreeMap<(MemberId, Run), PrivateSeen>,
    /// Private messages of one's own that are not settled: `Waiting`, `Sending`, `Unknown`, or `Refused` until there is a
    /// receipt after all.
    pub unsettled: BTreeMap<MessageId, Unsettled>,
    /// Group receipts by (author: this node, its run, receiver), the newest last.
    pub receipts: BTreeMap<(MemberId, Run, MemberId), Vec<ReceiptKept>>,
    pub equivocations: BTreeMap<(MemberId, Run), Proof>,
    /// By author, run and first; what was recovered since is not taken off.
    pub gaps: BTreeMap<(MemberId, Run, Seq), GapRecord>,
    /// Up to where messages of a run are from before this node's time; what is not named here is of its time.
    pub history: BTreeMap<(MemberId, Run), Seq>,
    /// Runs of an author below this one are no longer tracked.
    pub floors: BTreeMap<MemberId, Run>,
    /// The same for what an author told this node alone.
    pub private_floors: BTreeMap<MemberId, Run>,
    /// The highest `order` so far.
    pub lamport: u64,
    /// For how long the node has run, as far as that was noted.
    pub lived: Lived,
}

/// A group message as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupKept {
    pub id: MessageId,
    pub bytes: Arc<[u8]>,
    /// The author for one's own.
    pub via: MemberId,
    pub recovered: bool,
    pub at: Wall,
    /// For how long the node had run then, as far as that was noted.
    pub lived: Lived,
    /// One's own only: the roster and how each delivery stands.
    pub deliveries: BTreeMap<MemberId, DeliveryKept>,
    /// Of how many members the roster is a sample; `None` where it is all of them.
    pub sample_of: Option<u32>,
}

/// How one delivery of a group message stands on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliveryKept {
    pub outcome: Outcome,
    pub attempts: u32,
    pub latency_us: Option<u64>,
    pub reason: Option<RefusedReason>,
}

/// The private messages of one run of an author that were committed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PrivateSeen {
    pub seen: Ranges,
    /// The newest of them, with place in the log and time of receipt: receipts are given again for these.
    pub ids: BTreeMap<Seq, (MessageId, u64, Wall)>,
}

/// A private message of one's own that may still have to be sent, or be receipted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsettled {
    pub bytes: Arc<[u8]>,
    pub to: MemberId,
    pub outcome: Outcome,
    pub attempts: u32,
    pub reason: Option<RefusedReason>,
    pub at: Wall,
    /// For how long the node had run then, as far as that was noted.
    pub lived: Lived,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceiptKept {
    pub receiver_run: Run,
    pub bytes: Arc<[u8]>,
    pub at: Wall,
}

impl Restored {
    /// Folds one record in.
    ///
    /// # Panics
    /// When bytes in the record are not what the record says: they were verified before they were stored.
    pub fn apply(&mut self, record: &Record) {
        if let Some(order) = record.order() {
            self.lamport = self.lamport.max(order);
        }
        match record {
            Record::GroupReceived { bytes, via, recovered, at, order: _ } => {
                self.keep_group(bytes, *via, *recovered, *at);
            }
            Record::GroupSent { bytes, roster, sample_of, at, order: _ } => {
                let begun = |&(member, outcome): &(MemberId, Outcome)| {
                    (member, DeliveryKept { outcome, attempts: 0, latency_us: None, reason: None })
                };
                let author = open_group(bytes).value().author;
                let kept = self.keep_group(bytes, author, false, *at);
                kept.deliveries = roster.iter().map(begun).collect();
                kept.sample_of = *sample_of;
            }
            Record::PrivateReceived { bytes, order, at } => {
                let (message, id) = open_private(bytes);
                let stream = self.private.entry((message.author, message.run)).or_default();
                stream.seen.insert(message.seq);
                stream.ids.insert(message.seq, (id, *order, *at));
            }
            Record::PrivateSent { bytes, outcome, at, order: _ } => {
                let (message, id) = open_private(bytes);
                let (bytes, to, outcome, at, lived) = (bytes.clone(), message.to, *outcome, *at, self.lived);
                let unsettled = Unsettled { bytes, to, outcome, attempts: 0, reason: None, at, lived };
                self.unsettled.insert(id, unsettled);
            }
            Record::Delivery(delivery) => self.apply_delivery(delivery),
            Record::Receipt(receipt) => self.apply_receipt(receipt),
            Record::Equivocation { author, run, first, second, at: _ } => {
                self.equivocations.entry((*author, *run)).or_insert_with(|| (first.clone(), second.clone()));
            }
            Record::Gap(gap) => {
                self.gaps.insert((gap.author, gap.run, gap.first), gap.clone());
            }
            Record::History { author, run, upto } => {
                self.history.insert((*author, *run), *upto);
            }
            Record::GapClosed { author, run, first } => {
                self.gaps.remove(&(*author, *run, *first));
            }
            Record::GroupPruned { author, run, upto, chain, lamport } => {
                self.group.retain(|&(a, r, seq), _| a != *author || r != *run || seq > *upto);
                self.chains.entry((*author, *run)).or_default().absorb(chain);
                self.lamport = self.lamport.max(*lamport);
                self.forget_receipts(*author, *run);
            }
            Record::PrivatePruned { author, run, upto, seen, lamport } => {
                let stream = self.private.entry((*author, *run)).or_default();
                stream.ids.retain(|seq, _| seq > upto);
                stream.seen.absorb(seen);
                self.lamport = self.lamport.max(*lamport);
            }
            Record::RunsForgotten { author, below } => self.forget_runs(*author, *below),
            Record::PrivateRunsForgotten { author, below } => {
                self.private_floors.insert(*author, *below);
                self.private.retain(|&(a, r), _| a != *author || r >= *below);
            }
            Record::GivenUp { message } => {
                self.unsettled.remove(message);
            }
            Record::Undone { author, id } => self.undo(*author, *id),
            Record::Lived(lived) => self.lived = self.lived.max(*lived),
        }
    }

    fn keep_group(&mut self, bytes: &Arc<[u8]>, via: MemberId, recovered: bool, at: Wall) -> &mut GroupKept {
        let signed = open_group(bytes);
        let message = signed.value();
        let id = signed.id();
        let chain = self.chains.entry((message.author, message.run)).or_default();
        chain.insert(message.seq, id, prev_in_run(message));
        let deliveries = BTreeMap::new();
        let (bytes, lived) = (bytes.clone(), self.lived);
        let kept = GroupKept { id, bytes, via, recovered, at, lived, deliveries, sample_of: None };
        let versions = self.group.entry((message.author, message.run, message.seq)).or_default();
        versions.push(kept);
        versions.last_mut().expect("it was just kept")
    }

    fn apply_delivery(&mut self, delivery: &DeliveryRecord) {
        let Some(key) = delivery.group else {
            if delivery.outcome.lets_private_go() {
                self.unsettled.remove(&delivery.message);
            } else if let Some(unsettled) = self.unsettled.get_mut(&delivery.message) {
                unsettled.outcome = delivery.outcome;
                unsettled.attempts = delivery.attempts;
                unsettled.reason = delivery.reason;
            }
            return;
        };
        let kept = self.group.get_mut(&key).into_iter().flatten().find(|kept| kept.id == delivery.message);
        if let Some(kept) = kept.and_then(|kept| kept.deliveries.get_mut(&delivery.to)) {
            kept.outcome = delivery.outcome;
            kept.attempts = delivery.attempts;
            kept.reason = delivery.reason;
        }
    }

    fn apply_receipt(&mut self, receipt: &ReceiptRecord) {
        let Some(run) = receipt.group else {
            for settled in &receipt.settled {
                self.unsettled.remove(&settled.message);
            }
            return;
        };
        for settled in &receipt.settled {
            let key = (receipt.author, run, settled.seq);
            let kept = self.group.get_mut(&key).into_iter().flatten().find(|kept| kept.id == settled.message);
            if let Some(kept) = kept.and_then(|kept| kept.deliveries.get_mut(&receipt.receiver)) {
                kept.outcome = Outcome::Delivered;
                kept.attempts = settled.attempts;
                kept.latency_us = settled.latency_us;
                kept.reason = None;
            }
        }
        let kept = self.receipts.entry((receipt.author, run, receipt.receiver)).or_default();
        if receipt.replaces {
            kept.clear();
        }
        if kept.len() >= RECEIPTS_KEPT_PER_RUN_MAX {
            kept.remove(0);
        }
        kept.push(ReceiptKept { receiver_run: receipt.receiver_run, bytes: receipt.bytes.clone(), at: receipt.at });
    }

    /// Receipts of a run are kept of those who are in the roster of a message of it that is kept.
    fn forget_receipts(&mut self, author: MemberId, run: Run) {
        let kept = |receiver| {
            let mut of_run = self.group.range((author, run, 0)..=(author, run, Seq::MAX)).flat_map(|(_, kept)| kept);
            of_run.any(|kept| kept.deliveries.contains_key(&receiver))
        };
        self.receipts.retain(|&(a, r, receiver), _| (a, r) != (author, run) || kept(receiver));
    }

    fn forget_runs(&mut self, author: MemberId, below: Run) {
        self.floors.insert(author, below);
        let stays = |a: MemberId, r: Run| a != author || r >= below;
        self.group.retain(|&(a, r, _), _| stays(a, r));
        self.chains.retain(|&(a, r), _| stays(a, r));
        self.receipts.retain(|&(a, r, _), _| stays(a, r));
        self.equivocations.retain(|&(a, r), _| stays(a, r));
        self.history.retain(|&(a, r), _| stays(a, r));
    }

    fn undo(&mut self, author: MemberId, id: MessageId) {
        self.unsettled.remove(&id);
        let found = self.group.iter().find(|(key, kept)| key.0 == author && kept.iter().any(|kept| kept.id == id));
        let Some((&key, kept)) = found else { return };
        let bytes = kept.iter().find(|kept| kept.id == id).map(|kept| kept.bytes.clone());
        self.group.remove(&key);
        if let (Some(bytes), Some(chain)) = (bytes, self.chains.get_mut(&(key.0, key.1))) {
            chain.remove_head(key.2, prev_in_run(open_group(&bytes).value()));
        }
    }
}

/// What a group message names as its predecessor in its own run.
#[must_use]
pub(super) fn prev_in_run(message: &GroupMessage) -> Option<MessageId> {
    match message.prev {
        Prev::Same(id) => Some(id),
        Prev::None | Prev::Earlier { .. } => None,
    }
}

fn open_group(bytes: &[u8]) -> Signed<GroupMessage> {
    Signed::open_trusted(bytes).expect("a stored group message was verified before")
}

/// The message and its id.
fn open_private(bytes: &[u8]) -> (PrivateMessage, MessageId) {
    let message = decode_layout(bytes).expect("a stored private message was decoded before");
    (message, layout_id::<PrivateMessage>(bytes))
}
