//! The machine of subsystem 3: takes facts in, hands each to the file that knows what it means, and lets
//! effects out. Owns the parts and the contract with the disk: nothing is claimed before it is stored.
//!
//! Decisions that the rest builds on:
//!
//! - A received message is committed when it comes, whatever its place, and receipted then. Its event waits
//!   up to `HOLD` for those before it. So a hole costs its successors neither a retry nor their receipt, *shown* stays
//!   "in the durable log", and the log is put in order by `Record::order`, not by time of commit.
//! - A delivery is called delivered once its receipt is on disk: otherwise it could go back after a crash.
//! - A message's record says `Sending` when it is about to be sent, so that what left before a crash is never
//!   called unsent after it. Going from `Waiting` to `Sending` is stored before anything is sent.
//! - A group message that is not stored takes those after it along, because each names the one before it. Their
//!   numbers are used again only once it is certain that none of them is on disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::book::{Book, OutId, OutcomeCounts};
use super::flood::Flood;
use super::frontier::FrontierPart;
use super::log::Log;
use super::outbox::{Outbox, Output};
use super::own::Own;
use super::peer::Peer;
use super::privates::Privates;
use super::receipts::ReceiptsDue;
use super::record::{GapRecord, Outcome, Record, Restored};
use super::recovery::Recovery;
use super::status::Counters;
use super::timers::{Timer, Timers};
use crate::base::{
    ByMember, Cause, Lived, MemberId, MessageId, Path, Presence, Rng, RoomId, Run, Seq, Step, StoreFailed, Time, Wall,
    WallClock,
};
use crate::crypto::Identity;
use crate::wire::{MessagingFrame, RefusedReason};

/// What a machine is made of, beside what it remembers.
pub struct Settings {
    pub identity: Identity,
    pub room: RoomId,
    pub rng: Rng,
    /// The home has met another member before: what was said since is no history.
    pub has_met: bool,
    /// How deliveries stand of messages that are on the disk, and that earlier runs let go.
    pub ended: OutcomeCounts,
}

/// Subsystem 3 of one node.
///
/// After each `handle_*`, and after [`Messaging::say`] and [`Messaging::tell`], poll outputs to the end and ask
/// for the next timeout.
pub struct Messaging {
    pub(super) me: MemberId,
    pub(super) identity: Identity,
    pub(super) room: RoomId,
    pub(super) rng: Rng,
    pub(super) run: Option<Run>,
    /// Lamport time.
    pub(super) clock: u64,
    /// When this run began, and for how long the node had run before.
    began: (Time, Lived),
    /// How old something is goes by it.
    wall_clock: WallClock,
    /// No history was restored: what was said before is no gap.
    pub(super) is_newcomer: bool,
    pub(super) out: Outbox,
    pub(super) timers: Timers,
    pub(super) pending: VecDeque<(u64, Pending)>,
    /// Records up to this number have their result.
    pub(super) settled_upto: u64,
    pub(super) log: Log,
    pub(super) privates: Privates,
    pub(super) gaps: BTreeMap<(MemberId, Run, Seq), GapRecord>,
    /// Gaps whose record the disk refused: they are told once it takes it.
    pub(super) refused_gaps: BTreeSet<(MemberId, Run, Seq)>,
    pub(super) own: Own,
    pub(super) book: Book,
    pub(super) peers: ByMember<Peer>,
    /// Peers to whom something may be sent at the end of this input.
    pub(super) dirty: BTreeSet<MemberId>,
    pub(super) receipts: ReceiptsDue,
    pub(super) flood: Flood,
    pub(super) recovery: Recovery,
    /// How often a message that is on its way to the disk came again: those that did not are not here.
    pub(super) early_copies: BTreeMap<MessageId, u64>,
    /// Messages of one's own that nobody can be given any more, each with the record that says so, which the disk refused.
    pub(super) refused_let_go: Vec<(Arc<Record>, Vec<OutId>)>,
    pub(super) counters: Counters,
    /// The disk took nothing of the last batch.
    pub(super) is_disk_full: bool,
    /// Authors with a gap to be told, and peers with something to be given, once records are on disk.
    pub(super) gated: BTreeSet<MemberId>,
    pub(super) gated_peers: BTreeSet<MemberId>,
    pub(super) provisional_bytes: usize,
    pub(super) provisional_messages: usize,
}

/// What happens once a record has its result.
#[derive(Debug)]
pub(super) enum Pending {
    /// One's own message can leave.
    Own(OutId),
    /// A group message can be shown and receipted.
    Group(GroupArrival),
    Private(PrivateArrival),
    /// A delivery changes without a receipt.
    Delivery {
        out: OutId,
        to: MemberId,
        outcome: Outcome,
        reason: Option<RefusedReason>,
        cause: Option<Cause>,
    },
    /// Deliveries of these messages to the member are proven.
    Receipt {
        receiver: MemberId,
        settled: Vec<(OutId, Option<u64>)>,
        seen: Arc<super::book::ReceiptSeen>,
        cause: Option<Cause>,
    },
    Undone,
    /// Messages of one's own that nobody can be given any more are final, and forgotten.
    LetGo {
        record: Arc<Record>,
        gone: Vec<OutId>,
        cause: Option<Cause>,
    },
    /// The gap of this author and run that begins here can be told.
    Gap((MemberId, Run, Seq)),
    /// It is known across restarts where the run begins for this node.
    History(MemberId, Run),
}

#[derive(Debug)]
pub(super) struct GroupArrival {
    pub id: MessageId,
    pub bytes: Arc<[u8]>,
    pub via: MemberId,
    pub recovered: bool,
    pub at: Wall,
    pub cause: Option<Cause>,
}

#[derive(Debug)]
pub(super) struct PrivateArrival {
    pub id: MessageId,
    pub bytes: Arc<[u8]>,
    pub order: u64,
    pub at: Wall,
    pub cause: Option<Cause>,
}

/// What is too old is looked for this often.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
/// A peer that was silent for longer missed what was sent meanwhile: five heartbeats. What it holds shows in its
/// digests, so only what is open here is sent again.
const SILENCE: Duration = Duration::from_secs(5);

impl Messaging {
    /// A machine with what an earlier run left.
    #[must_use]
    pub fn new(settings: Settings, restored: Restored, step: &mut Step) -> Self {
        let me = settings.identity.id();
        let mut machine = Self {
            me,
            identity: settings.identity,
            room: settings.room,
            rng: settings.rng,
            run: None,
            clock: restored.lamport,
            began: (step.now.time, restored.lived),
            wall_clock: WallClock::new(step.now),
            is_newcomer: !settings.has_met && restored.chains.is_empty(),
            out: Outbox::default(),
            timers: Timers::default(),
            pending: VecDeque::new(),
            settled_upto: 0,
            log: Log::restore(&restored),
            privates: Privates::restore(&restored),
            gaps: BTreeMap::new(),
            refused_gaps: BTreeSet::new(),
            own: Own::default(),
            book: Book::with(settings.ended),
            peers: ByMember::default(),
            dirty: BTreeSet::new(),
            receipts: ReceiptsDue::default(),
            flood: Flood::default(),
            recovery: Recovery::default(),
            early_copies: BTreeMap::new(),
            refused_let_go: Vec::new(),
            counters: Counters::default(),
            is_disk_full: false,
            gated: BTreeSet::new(),
            gated_peers: BTreeSet::new(),
            provisional_bytes: 0,
            provisional_messages: 0,
        };
        machine.restore_own(step, &restored);
        machine.gaps = restored.gaps;
        machine.close_filled_gaps();
        machine.prove_again(step);
        machine.tell_old_holes(step);
        machine.restore_recovery(step);
        machine.sweep(step);
        machine
    }

    /// The run of this process is durable: from now on messages can be said, in it. Called again if the run
    /// is raised.
    pub fn handle_run(&mut self, _step: &mut Step, run: Run) {
        self.run = Some(run);
        self.own.begin_run(run);
    }

    /// What membership believes of a member; also once for each member that it remembers.
    pub fn handle_presence(&mut self, step: &mut Step, member: MemberId, _run: Run, presence: Presence) {
        if member == self.me {
            return;
        }
        let peer = Peer::of(&mut self.peers, member);
        let was_reachable = peer.is_reachable();
        peer.presence = Some(presence);
        if peer.is_reachable() && !was_reachable {
            self.want_frontier(member);
            self.peer_returned(step, member);
        } else if presence.is_reachable() {
            self.seek_session(step, member);
            // In a large room nobody else opens the session with which it gives its receipts.
            if self.peers.get(&member).is_some_and(|peer| peer.session.is_none() && !peer.group.is_empty()) {
                self.expect_fetch(step, member);
            }
        } else {
            self.peer_went(step, member);
            if presence == Presence::Left {
                self.peer_left(step, member);
            }
        }
        self.finish(step);
    }

    /// A session with `peer` opened.
    pub fn handle_opened(&mut self, step: &mut Step, peer: MemberId, run: Run) {
        if peer == self.me {
            return;
        }
        let known = Peer::of(&mut self.peers, peer);
        if known.session != Some(run) {
            known.seen_numbers = super::carry::SeenNumbers::default();
        }
        known.session = Some(run);
        known.heard = Some(step.now.time);
        known.digest = super::peer::SeenDigest::default();
        let is_new_life = known.begin_frontiers((run, self.run));
        self.recovery_opened(step, peer);
        if is_new_life {
            self.pull_begins_again(step, peer);
        }
        self.all_receipts_due(step, peer);
        if self.peers.get(&peer).is_some_and(Peer::is_reachable) {
            self.peer_returned(step, peer);
        }
        self.finish(step);
    }

    /// The last session with `peer` of that run is gone.
    pub fn handle_closed(&mut self, step: &mut Step, peer: MemberId, run: Run) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.session != Some(run) {
            return;
        }
        known.session = None;
        known.giving.clear();
        known.frontier_parts.clear();
        self.peer_went(step, peer);
        self.seek_session_later(step, peer);
        self.recovery_closed(step, peer);
        self.finish(step);
    }

    /// An authentic datagram of `peer` arrived.
    pub fn handle_heard(&mut self, step: &mut Step, peer: MemberId, run: Run, path: Path) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        if known.session != Some(run) {
            return;
        }
        let now = step.now.time;
        let was_silent = known.heard.is_some_and(|heard| now.since(heard) > SILENCE);
        known.heard = Some(now);
        known.path = path;
        if was_silent && known.is_reachable() {
            self.peer_returned(step, peer);
            self.finish(step);
        }
    }

    /// Membership forgot the member: it is in no roster, and nothing is kept of it but what is open to it.
    pub fn handle_forgotten(&mut self, step: &mut Step, member: MemberId) {
        let Some(peer) = self.peers.get_mut(&member) else { return };
        peer.presence = None;
        peer.session = None;
        peer.giving.clear();
        peer.frontier_parts.clear();
        self.receipts.forget(member);
        self.timers.cancel(Timer::Receipts(member));
        self.timers.cancel(Timer::Give(member));
        self.peer_went(step, member);
        self.recovery_closed(step, member);
        self.forget_peers();
        self.finish(step);
    }

    /// A frame of `peer`, which runs as `run`.
    pub fn handle_frame(&mut self, step: &mut Step, peer: MemberId, run: Run, frame: MessagingFrame) {
        if peer == self.me || !self.peers.contains_key(&peer) {
            self.counters.strange += 1;
            return;
        }
        match frame {
            MessagingFrame::Group(bytes) => self.handle_group(step, peer, &bytes, false),
            MessagingFrame::Recovered(bytes) => self.handle_group(step, peer, &bytes, true),
            MessagingFrame::Private(bytes) => self.handle_private(step, peer, run, &bytes),
            MessagingFrame::Receipt(bytes) => self.handle_receipt(step, peer, &bytes),
            MessagingFrame::Refused { id, reason } => self.handle_refused(step, peer, id, reason),
            MessagingFrame::Digest(digest) => self.handle_digest(step, peer, digest),
            MessagingFrame::Frontier { answer, after, entries, more } => {
                self.handle_frontier(step, peer, answer, &FrontierPart { after, entries: &entries, more });
            }
            MessagingFrame::Pull { author, run, first, last } => self.handle_pull(step, peer, author, run, first, last),
            MessagingFrame::PullEnd { author, run, first, last, lacking } => {
                self.handle_pull_end(step, peer, (author, run, first), last, &lacking);
            }
            MessagingFrame::Flood { number, asked, bytes } => self.handle_flood(step, peer, number, asked, &bytes),
            MessagingFrame::Receipts { number, hops, receipts } => {
                self.handle_receipts(step, peer, number, hops, &receipts);
            }
            MessagingFrame::HopAck { numbers } => self.handle_hop_ack(step, peer, &numbers),
        }
        self.finish(step);
    }

    /// All records up to number `upto` that had no result yet have this one.
    pub fn handle_stored(&mut self, step: &mut Step, upto: u64, result: Result<(), StoreFailed>) {
        self.wall_clock.read(step.now);
        while let Some(&(number, _)) = self.pending.front()
            && number <= upto
        {
            let Some((_, pending)) = self.pending.pop_front() else { break };
            match result {
                Ok(()) => self.stored(step, pending),
                Err(StoreFailed) => self.not_stored(step, pending),
            }
        }
        if result.is_ok() {
            self.undo_again();
            self.store_gaps_again();
            self.store_history_again();
            self.let_go_again();
            if std::mem::take(&mut self.is_disk_full) {
                self.ask_for_refused(step);
                self.begin_refused(step);
            }
        } else {
            self.counters.not_stored += 1;
            self.is_disk_full = true;
        }
        self.settled_upto = self.settled_upto.max(upto);
        self.tell_ungated(step);
        self.dirty.append(&mut self.gated_peers);
        self.finish(step);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, step: &mut Step) {
        self.wall_clock.read(step.now);
        while let Some(timer) = self.timers.pop_due(step.now.time) {
            match timer {
                Timer::Flight(peer, out) => self.flight_due(step, peer, out),
                Timer::Again(peer) => self.again_due(step, peer),
                Timer::Stalled(peer) => self.peer_stalled(step, peer),
                Timer::Resend(peer) => self.resend_due(step, peer),
                Timer::DiskFull => self.disk_full_due(step),
                Timer::Receipts(author) => self.send_receipts(step, author),
                Timer::Flooded(out) => self.flooded_due(step, out),
                Timer::Bundle(hop) => self.send_bundle(step, hop),
                Timer::Hold(author) => self.advance_author(step, author),
                Timer::HoldPrivate(author) => self.advance_private(step, author),
                Timer::Seek => self.seek(step),
                Timer::Pull => self.pull_unanswered(step),
                Timer::Give(peer) => drop(self.dirty.insert(peer)),
                Timer::Sweep => {
                    self.out.store(Record::Lived(self.lived(step)));
                    self.sweep(step);
                    self.seek_gaps(step);
                }
            }
            debug_assert!(self.timers.due(timer).is_none_or(|at| at > step.now.time), "{timer:?} is due again at once");
        }
        self.finish(step);
    }

    /// When [`Messaging::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// The next effect, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    /// What rides with each heartbeat: a fingerprint of what this node holds.
    #[must_use]
    pub fn digest(&self) -> MessagingFrame {
        MessagingFrame::Digest(self.log.digest())
    }

    fn stored(&mut self, step: &mut Step, pending: Pending) {
        match pending {
            Pending::Own(out) => self.own_stored(step, out),
            Pending::Group(arrival) => self.group_stored(step, &arrival),
            Pending::Private(arrival) => self.private_stored(step, arrival),
            Pending::Delivery { out, to, outcome, reason, cause } => {
                self.delivery_stored(step, out, to, outcome, reason, cause);
            }
            Pending::Receipt { receiver, settled, seen, cause } => {
                self.receipt_stored(step, receiver, &settled, &seen, cause);
            }
            Pending::Undone => self.own.undone_stored(),
            Pending::LetGo { gone, cause, .. } => self.let_go_stored(step, gone, cause),
            Pending::Gap(_) | Pending::History(..) => {}
        }
    }

    fn not_stored(&mut self, step: &mut Step, pending: Pending) {
        match pending {
            Pending::Own(out) => self.own_not_stored(step, out),
            Pending::Group(arrival) => self.group_not_stored(step, &arrival),
            Pending::Private(arrival) => self.private_not_stored(&arrival),
            Pending::Delivery { out, to, outcome, .. } => self.delivery_not_stored(step, out, to, outcome),
            Pending::Receipt { receiver, settled, .. } => self.receipt_not_stored(step, receiver, &settled),
            Pending::Undone => self.own.undone_not_stored(),
            // The disk calls them open still, and so do the counts, until the record is on it.
            Pending::LetGo { record, gone, .. } => self.refused_let_go.push((record, gone)),
            Pending::Gap(key) => drop(self.refused_gaps.insert(key)),
            Pending::History(author, run) => drop(self.recovery.refused_history.insert((author, run))),
        }
    }

    /// The end of every input: what became possible to send is sent.
    pub(super) fn finish(&mut self, step: &mut Step) {
        self.send_receipts_ready(step);
        self.send_hop_acks();
        while let Some(peer) = self.dirty.pop_first() {
            self.pump(step, peer);
            self.send_frontier_parts(step, peer);
            self.give(step, peer);
        }
    }

    /// Queues a record, and what happens when it has its result.
    pub(super) fn store(&mut self, record: Record, pending: Pending) -> u64 {
        let number = self.out.store(record);
        self.pending.push_back((number, pending));
        number
    }

    /// For how long the node has run. What it notes of that is a sweep old at most, so a run that is shorter does not count.
    pub(super) fn lived(&self, step: &Step) -> Lived {
        let (began, before) = self.began;
        before + step.now.time.since(began)
    }

    /// How long ago this node dated something so. A clock that is set makes nothing older that was dated in this run.
    pub(super) fn age(&self, step: &Step, at: Wall) -> Duration {
        Duration::from_millis(self.wall_clock.ms_since(step.now, at))
    }

    fn sweep(&mut self, step: &mut Step) {
        self.undo_again();
        self.store_gaps_again();
        self.store_history_again();
        self.let_go_again();
        self.expire(step);
        self.forget_peers();
        self.prune(step);
        self.timers.set(Timer::Sweep, step.now.time + SWEEP_EVERY);
    }
}
