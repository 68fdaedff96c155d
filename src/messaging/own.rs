//! Saying something: how one's own message comes to be, what becomes of it when the disk refuses it, and how
//! an earlier run's messages come back. Owns one's own streams; knows nothing of windows and retries.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::book::{Delivery, OutId, ReceiptSeen};
use super::flood::Reach;
use super::log::Kept;
use super::machine::{Messaging, Pending};
use super::outbox::EventKind;
use super::peer::Peer;
use super::record::{Outcome, Record, Restored, prev_in_run};
use super::timers::Timer;
use crate::base::limits::{DELIVERY_DEADLINE, OUTSTANDING_BYTES_MAX, OUTSTANDING_MESSAGES_MAX};
use crate::base::text::{TextError, check_message};
use crate::base::{EventNumber, MemberId, MessageId, MessageKey, Run, Seq, Step, Stream, Time};
use crate::wire::{GroupMessage, Held, Prev, PrivateMessage, Receipt, Signed, decode_layout, encode_layout, layout_id};

/// Why a message was not taken. Nothing is queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("the run of this node is not on disk yet")]
    NotRunning,
    #[error("that is yourself")]
    Yourself,
    #[error("the member is not known")]
    UnknownMember,
    /// For a private message: this many are kept for its receiver already. For a group message: this many are
    /// under way to each member, or to the disk.
    #[error("{waiting} messages wait already")]
    Full { waiting: usize },
    #[error("the disk is full")]
    DiskFull,
}

/// The last group message of one's own: what the next one names.
type Head = (Run, Seq, MessageId);

#[derive(Debug, Default)]
pub(super) struct Own {
    head: Option<Head>,
    /// Group messages on their way to the disk, each with the head before it.
    provisional: VecDeque<(OutId, Option<Head>)>,
    provisional_bytes: usize,
    /// Also of members that were forgotten, until the run ends: no number is given twice in it.
    private_seq: BTreeMap<MemberId, Seq>,
    /// Undone, and their own records have no result yet.
    doomed: BTreeMap<OutId, MessageId>,
    /// `Undone` records without a result, and those that must be tried again.
    undoing: usize,
    undo_again: bool,
    undo_ids: Vec<MessageId>,
}

impl Own {
    /// Private streams count anew in each run; the room's first message names the last one before it.
    pub fn begin_run(&mut self, _run: Run) {
        self.private_seq.clear();
    }

    pub fn undone_stored(&mut self) {
        self.undoing -= 1;
        if self.undoing == 0 && !self.undo_again {
            self.undo_ids.clear();
        }
    }

    pub fn undone_not_stored(&mut self) {
        self.undoing -= 1;
        self.undo_again = true;
    }

    /// Whether it is uncertain that what was undone is off the disk: its numbers cannot be used then.
    fn is_undoing(&self) -> bool {
        !self.doomed.is_empty() || self.undoing > 0 || self.undo_again
    }
}

impl Messaging {
    /// Says `text` (UTF-8, at most `TEXT_BYTES_MAX`) to the room and returns its id. [`EventKind::Message`] says
    /// that it is on disk and on its way, [`EventKind::Undone`] that it never will be.
    ///
    /// # Errors
    /// [`Refused`]; nothing changed then.
    pub fn say(&mut self, step: &mut Step, text: String) -> Result<MessageId, Refused> {
        check_message(&text)?;
        let run = self.run.ok_or(Refused::NotRunning)?;
        self.check_disk()?;
        self.check_pace(step.now.time, text.len())?;
        let (seq, prev) = match self.own.head {
            None => (1, Prev::None),
            Some((of, seq, id)) if of == run => (seq + 1, Prev::Same(id)),
            Some((of, seq, id)) => (1, Prev::Earlier { run: of, seq, id }),
        };
        self.clock += 1;
        let lamport = self.clock;
        let message =
            GroupMessage { room: self.room, author: self.me, run, seq, prev, lamport, said_at: step.now.wall, text };
        let key = message.key();
        let signed = Signed::sign(message, &self.identity);
        let (id, bytes) = (signed.id(), signed.bytes().clone());
        let reach = self.flood.is_large().then(|| self.reach(id));
        let has_hops = self.hops(bytes.len()).next().is_some();
        let mut roster = Vec::new();
        for (&member, peer) in self.peers.iter() {
            if peer.is_member() && reach.is_none_or(|reach| reach.includes(id, member)) {
                let pushed = match reach {
                    None => peer.is_reachable() && peer.has_room(bytes.len()),
                    Some(_) => peer.is_present() && has_hops,
                };
                roster.push((member, if pushed { Outcome::Sending } else { Outcome::Waiting }));
            }
        }
        let deliveries = roster.iter().map(|&(member, outcome)| (member, Delivery::begun(outcome))).collect();
        let said = (step.now.wall, self.lived(step));
        let out = self.book.add(id, key, bytes.clone(), said, step.cause, deliveries);
        let sample_of = reach.and_then(Reach::sample_of);
        self.book.note_sample(out, sample_of);
        if let Some(message) = self.book.message_mut(out) {
            message.reach = reach;
        }
        self.own.provisional.push_back((out, self.own.head));
        self.own.provisional_bytes += bytes.len();
        self.own.head = Some((run, seq, id));
        tracing::debug!(%id, seq, members = roster.len(), "said");
        self.store(
            Record::GroupSent { bytes, roster, sample_of, order: lamport, at: step.now.wall },
            Pending::Own(out),
        );
        Ok(id)
    }

    /// Tells `text` (UTF-8, at most `TEXT_BYTES_MAX`) to one member and returns its id; how it ends is told
    /// later by [`EventKind::Delivery`].
    ///
    /// # Errors
    /// [`Refused`]; nothing is queued then.
    pub fn tell(&mut self, step: &mut Step, to: MemberId, text: String) -> Result<MessageId, Refused> {
        check_message(&text)?;
        let run = self.run.ok_or(Refused::NotRunning)?;
        if to == self.me {
            return Err(Refused::Yourself);
        }
        let peer = self.peers.get(&to).filter(|peer| peer.presence.is_some()).ok_or(Refused::UnknownMember)?;
        if !peer.has_private_room(text.len()) || (peer.is_reachable() && !peer.has_room(text.len())) {
            return Err(Refused::Full { waiting: peer.private.len() });
        }
        let outcome = if peer.is_reachable() { Outcome::Sending } else { Outcome::Waiting };
        let seq = self.own.private_seq.entry(to).or_default();
        *seq += 1;
        let message = PrivateMessage {
            room: self.room,
            author: self.me,
            run,
            to,
            seq: *seq,
            salt: self.rng.bytes(),
            said_at: step.now.wall,
            text,
        };
        self.clock += 1;
        let order = self.clock;
        let bytes: Arc<[u8]> = encode_layout(&message).into();
        let id = layout_id::<PrivateMessage>(&bytes);
        let deliveries = BTreeMap::from([(to, Delivery::begun(outcome))]);
        let said = (step.now.wall, self.lived(step));
        let out = self.book.add(id, message.key(), bytes.clone(), said, step.cause, deliveries);
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.add_private(out, message.text.len());
        }
        tracing::debug!(%id, %to, seq = message.seq, ?outcome, "told");
        self.store(Record::PrivateSent { bytes, order, outcome, at: step.now.wall }, Pending::Own(out));
        Ok(id)
    }

    /// What was undone may still be on disk: until it is off, its numbers cannot be used again.
    fn check_disk(&mut self) -> Result<(), Refused> {
        if !self.own.is_undoing() {
            return Ok(());
        }
        self.undo_again();
        Err(Refused::DiskFull)
    }

    /// Once it is known which of the doomed are on disk, takes them off it.
    fn undo_doomed(&mut self) {
        if self.own.doomed.is_empty() && !self.own.undo_ids.is_empty() {
            self.own.undo_again = true;
            self.undo_again();
        }
    }

    /// Takes what was undone off the disk, the newest first; also where that failed before.
    pub(super) fn undo_again(&mut self) {
        if self.own.undoing > 0 || !self.own.doomed.is_empty() || !std::mem::take(&mut self.own.undo_again) {
            return;
        }
        for id in self.own.undo_ids.clone().into_iter().rev() {
            self.own.undoing += 1;
            self.store(Record::Undone { author: self.me, id }, Pending::Undone);
        }
    }

    /// Whoever says more than the others can take is told so. Where one of them cannot keep up, that one is waited for as long as it
    /// takes what it is sent: it would fetch what it misses, but no more of it than recovery goes back. One that takes nothing
    /// slows nobody.
    fn check_pace(&mut self, now: Time, bytes: usize) -> Result<(), Refused> {
        let waiting = self.own.provisional.len();
        if waiting >= OUTSTANDING_MESSAGES_MAX || self.own.provisional_bytes + bytes > OUTSTANDING_BYTES_MAX {
            return Err(Refused::Full { waiting });
        }
        if self.flood.is_large() {
            let is_full = self.hops_are_full(bytes);
            return if is_full { Err(Refused::Full { waiting: OUTSTANDING_MESSAGES_MAX }) } else { Ok(()) };
        }
        let mut reachable = self.peers.values_mut().filter(|peer| peer.is_reachable()).peekable();
        let is_alone = reachable.peek().is_none();
        let (mut has_room, mut is_waited_for) = (false, false);
        for peer in reachable {
            has_room |= peer.has_room(bytes);
            is_waited_for |= peer.is_catching_up(bytes, now);
        }
        if is_waited_for || !(is_alone || has_room) {
            return Err(Refused::Full { waiting: OUTSTANDING_MESSAGES_MAX });
        }
        Ok(())
    }

    /// One's own message is on disk: it shows, and it leaves.
    pub(super) fn own_stored(&mut self, step: &mut Step, out: OutId) {
        if let Some(id) = self.own.doomed.remove(&out) {
            self.own.undo_ids.push(id);
            return self.undo_doomed();
        }
        let Some(message) = self.book.message_mut(out) else { return };
        message.committed = Some(step.now.time);
        message.is_durable = true;
        let (id, key, cause, reach) = (message.id, message.key, message.cause, message.reach);
        let (at, lived) = (message.at, message.lived);
        let Some(bytes) = message.bytes.clone() else { return };
        let deliveries: Vec<(MemberId, Outcome)> =
            message.deliveries.iter().map(|(&member, delivery)| (member, delivery.outcome)).collect();
        match key.stream {
            Stream::Room => {
                self.own.provisional.pop_front();
                self.own.provisional_bytes -= bytes.len();
                let signed = Signed::<GroupMessage>::open_trusted(&bytes).expect("it was signed here");
                let place = (key.author, key.run, key.seq);
                if let Ok(Some(forgotten)) = self.log.admit_run(key.author, key.run) {
                    self.runs_forgotten(step, key.author, forgotten);
                }
                let (via, bytes) = (self.me, bytes.clone());
                let kept = Kept { id, bytes, via, recovered: false, at, lived, duplicates: 0 };
                self.log.commit(place, kept, prev_in_run(signed.value()));
                if let Some(run) = self.log.run_mut(key.author, key.run) {
                    run.told = run.told.max(key.seq);
                }
                self.counters.group += 1;
                let shown = self.show_group(step, id, signed.value(), None, false, cause);
                self.note_shown(out, shown);
                self.keep_to_limits(step);
            }
            Stream::To(_) => {
                let message: PrivateMessage = decode_layout(&bytes).expect("it was encoded here");
                self.counters.private += 1;
                let shown = self.show_private(step, id, &message, false, cause);
                self.note_shown(out, shown);
            }
        }
        for &(member, outcome) in &deliveries {
            let peer = Peer::of(&mut self.peers, member);
            match key.stream {
                Stream::Room => drop(peer.group.insert((key.run, key.seq), out)),
                Stream::To(_) => {}
            }
            if outcome == Outcome::Sending {
                if reach.is_none() {
                    self.begin_sending(step, member, out, bytes.len());
                }
            } else if peer.is_reachable() {
                // It came back while the message was on its way to the disk, or is slower than the room.
                match key.stream {
                    Stream::Room => self.expect_fetch(step, member),
                    Stream::To(_) => self.begin_waiting(step, member),
                }
            } else if matches!(key.stream, Stream::To(_)) {
                self.seek_session(step, member);
            }
        }
        // Where there was no hop when it was said, the disk calls it waiting for all: whoever it waits for fetches it.
        let is_on_its_way = deliveries.is_empty() || deliveries.iter().any(|&(_, outcome)| outcome == Outcome::Sending);
        if let Some(reach) = reach.filter(|_| is_on_its_way) {
            self.flood_own(step, out, reach.asked, &bytes);
        }
        self.book.retire_if_settled(out);
    }

    /// Sends one's own message to the next hops: with that it is on its way to all to whom it is being sent.
    fn flood_own(&mut self, step: &mut Step, out: OutId, asked: u64, bytes: &Arc<[u8]>) {
        let Some(id) = self.book.message(out).map(|message| message.id) else { return };
        let hops = self.pass_on(step, id, asked, bytes, |_| false);
        let Some(message) = self.book.message_mut(out) else { return };
        for delivery in message.deliveries.values_mut().filter(|delivery| hops > 0 && delivery.is_sending()) {
            delivery.attempt_flooded(step.now.wall);
        }
        self.timers.set(Timer::Flooded(out), step.now.time + DELIVERY_DEADLINE);
    }

    fn note_shown(&mut self, out: OutId, n: EventNumber) {
        if let Some(message) = self.book.message_mut(out) {
            message.shown = Some(n);
        }
    }

    /// The disk refused one's own message: it was never sent, so it is forgotten, and a group message takes those
    /// after it along, because they name it.
    pub(super) fn own_not_stored(&mut self, step: &mut Step, out: OutId) {
        if self.own.doomed.remove(&out).is_some() {
            return self.undo_doomed();
        }
        let Some(message) = self.book.undo(out) else { return };
        self.out.tell(step, message.cause, EventKind::Undone { id: message.id });
        match message.key.stream {
            Stream::To(to) => {
                if let Some(peer) = self.peers.get_mut(&to) {
                    peer.remove_private(out);
                }
            }
            Stream::Room => {
                let Some((_, before)) = self.own.provisional.pop_front() else { return };
                self.own.head = before;
                for (after, _) in std::mem::take(&mut self.own.provisional) {
                    let Some(message) = self.book.undo(after) else { continue };
                    self.own.doomed.insert(after, message.id);
                    self.out.tell(step, message.cause, EventKind::Undone { id: message.id });
                }
                self.own.provisional_bytes = 0;
            }
        }
    }

    /// Takes back what earlier runs said: what was not settled goes on.
    pub(super) fn restore_own(&mut self, step: &mut Step, restored: &Restored) {
        self.undo_unchained(restored);
        let me = self.me;
        let newest = self.log.author(me).and_then(|author| {
            author.runs.iter().rev().find_map(|(&run, known)| known.chain.head().map(|(seq, id)| (run, seq, id)))
        });
        self.own.head = newest;
        let receipts = restored_receipts(restored);
        for (&(author, run, seq), versions) in &restored.group {
            for kept in versions.iter().filter(|kept| author == me && !kept.deliveries.is_empty()) {
                if self.log.kept((author, run, seq), kept.id).is_none() {
                    continue;
                }
                let deliveries = kept.deliveries.iter().map(|(&member, delivery)| {
                    let receipt = (delivery.outcome == Outcome::Delivered)
                        .then(|| receipts.get(&(run, member)).and_then(|kept| covering(kept, seq)))
                        .flatten();
                    let restored = Delivery::restored(delivery.outcome, delivery.attempts, delivery.latency_us);
                    let reason = delivery.reason.filter(|_| delivery.outcome == Outcome::Refused);
                    (member, Delivery { reason, receipt, ..restored })
                });
                let key = MessageKey { author, run, stream: Stream::Room, seq };
                let said = (kept.at, kept.lived);
                let out = self.book.add(kept.id, key, kept.bytes.clone(), said, None, deliveries.collect());
                self.book.note_sample(out, kept.sample_of);
                self.restored_is_durable(out);
                for (&member, delivery) in &kept.deliveries {
                    match delivery.outcome {
                        Outcome::Delivered => continue,
                        Outcome::Expired => self.book.lapse(out, member),
                        Outcome::Waiting | Outcome::Sending | Outcome::Unknown | Outcome::Refused => {
                            Peer::of(&mut self.peers, member).group.insert((run, seq), out);
                        }
                    }
                    // Nothing pushes it any more: whoever lacks it fetches it.
                    if delivery.outcome == Outcome::Sending {
                        self.change(step, out, member, Outcome::Unknown, None);
                    }
                }
                self.book.retire_if_settled(out);
            }
        }
        for (&(run, member), covers) in &receipts {
            self.receipts.remember(run, member, covers.iter().flat_map(|(ranges, _)| ranges.clone()).collect());
        }
        let mut unsettled: Vec<_> = restored.unsettled.iter().collect();
        unsettled.sort_by_key(|(_, kept)| kept.at);
        for (&id, kept) in unsettled {
            let message: PrivateMessage = decode_layout(&kept.bytes).expect("it was encoded here");
            let delivery = Delivery { reason: kept.reason, ..Delivery::restored(kept.outcome, kept.attempts, None) };
            let deliveries = BTreeMap::from([(kept.to, delivery)]);
            let out = self.book.add(id, message.key(), kept.bytes.clone(), (kept.at, kept.lived), None, deliveries);
            self.restored_is_durable(out);
            if kept.outcome == Outcome::Refused {
                self.book.retire_if_settled(out);
                self.keep_refused(out);
                continue;
            }
            Peer::of(&mut self.peers, kept.to).add_private(out, message.text.len());
            if kept.outcome == Outcome::Sending {
                self.timers.set(Timer::Stalled(kept.to), step.now.time + DELIVERY_DEADLINE);
            }
        }
    }

    fn restored_is_durable(&mut self, out: OutId) {
        if let Some(message) = self.book.message_mut(out) {
            message.is_durable = true;
        }
    }

    /// A message of one's own whose predecessor is not on disk was undone before the crash: it never left.
    fn undo_unchained(&mut self, restored: &Restored) {
        let me = self.me;
        for (&(author, run), chain) in restored.chains.iter().filter(|((author, _), _)| *author == me) {
            for span in chain.spans().iter().filter(|span| span.first > 1) {
                let said_here = |seq: Seq| {
                    let versions = restored.group.get(&(author, run, seq));
                    versions.and_then(|versions| versions.iter().find(|kept| kept.via == me))
                };
                if said_here(span.first).is_none() {
                    continue;
                }
                let undone: Vec<_> = (span.first..=span.last).filter_map(|seq| Some((seq, said_here(seq)?))).collect();
                for (seq, kept) in undone.iter().rev() {
                    let signed = Signed::<GroupMessage>::open_trusted(&kept.bytes).expect("it was signed here");
                    self.log.undo((author, run, *seq), prev_in_run(signed.value()));
                }
                self.own.undo_ids.extend(undone.iter().map(|(_, kept)| kept.id));
            }
        }
        self.undo_doomed();
    }
}

/// What each kept receipt covers, the newest last.
type Covers = Vec<(Vec<(Seq, Seq)>, Arc<ReceiptSeen>)>;

fn restored_receipts(restored: &Restored) -> BTreeMap<(Run, MemberId), Covers> {
    let mut all = BTreeMap::new();
    for (&(_, run, receiver), kept) in &restored.receipts {
        let covers = kept.iter().filter_map(|kept| {
            let receipt = Signed::<Receipt>::open_trusted(&kept.bytes).ok()?;
            let ranges = match &receipt.value().held {
                Held::Group { ranges, .. } => ranges.iter().map(|range| (range.first, range.last)).collect(),
                Held::Private { .. } => Vec::new(),
            };
            let (at, run, bytes) = (kept.at, kept.receiver_run, kept.bytes.clone());
            let seen = ReceiptSeen { at, run, is_restored: true, via: None, bytes };
            Some((ranges, Arc::new(seen)))
        });
        all.insert((run, receiver), covers.collect());
    }
    all
}

fn covering(covers: &Covers, seq: Seq) -> Option<Arc<ReceiptSeen>> {
    let covers_it = |ranges: &[(Seq, Seq)]| ranges.iter().any(|&(first, last)| (first..=last).contains(&seq));
    covers.iter().rev().find(|(ranges, _)| covers_it(ranges)).map(|(_, seen)| seen.clone())
}
