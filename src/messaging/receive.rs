//! What comes in from others: verified, told apart from what was seen, stored, and only then shown and
//! receipted. Owns that path for both kinds of message; knows nothing of what is asked for.

use std::sync::Arc;

use super::log::{Kept, Known, Place, RunLog};
use super::machine::{GroupArrival, Messaging, Pending, PrivateArrival};
use super::outbox::{Alarm, EventKind};
use super::privates::{KnownPrivate, PrivateIncoming, PrivateKept, Pruned};
use super::ranges::Linked;
use super::record::{Record, prev_in_run};
use crate::base::limits::{PROVISIONAL_BYTES_MAX, PROVISIONAL_MESSAGES_MAX};
use crate::base::{MemberId, MessageId, Run, Seq, Step};
use crate::wire::{
    GroupMessage, MessagingFrame, Prev, PrivateMessage, RefusedReason, Signed, decode_layout, layout_id,
};

/// How far ahead of one's own clock another's Lamport time is followed: a liar cannot use it up.
const LAMPORT_LEAP_MAX: u64 = 1 << 20;
/// Sequence numbers beyond are no honest node's: at a million messages a second they last nine years.
pub(super) const SEQ_MAX: Seq = 1 << 48;

impl Messaging {
    /// A group message, pushed by its author, given because it was pulled, or passed on.
    pub(super) fn handle_group(&mut self, step: &mut Step, peer: MemberId, bytes: &[u8], given: bool) {
        let Ok(claimed) = Signed::<GroupMessage>::open_trusted(bytes) else {
            self.counters.strange += 1;
            return;
        };
        let message = claimed.value();
        let far = match message.prev {
            Prev::Earlier { seq, .. } => seq > SEQ_MAX,
            Prev::None | Prev::Same(_) => false,
        };
        if message.room != self.room || message.seq > SEQ_MAX || far {
            self.counters.strange += 1;
            return;
        }
        let (author, run, seq) = (message.author, message.run, message.seq);
        let id = claimed.id();
        let place = (author, run, seq);
        if author == self.me && self.run.is_none_or(|mine| run >= mine) {
            self.handle_my_own(step, bytes, place, id);
            return;
        }
        match self.log.known(place, id) {
            Known::Held | Known::HeldUnnamed => {
                self.note_duplicate(place, id);
                self.group_receipt_repeated(step, author, run);
            }
            Known::Incoming => self.note_early_copy(id),
            Known::Below => self.refuse(peer, author, id),
            Known::Other => self.take_fork(step, peer, bytes, place, id, given),
            Known::New => self.take_group(step, peer, bytes, place, id, given),
        }
    }

    /// A message that is held came again.
    pub(super) fn note_duplicate(&mut self, place: Place, id: MessageId) {
        self.counters.duplicates += 1;
        if let Some(kept) = self.log.kept_mut(place, id) {
            kept.duplicates += 1;
        }
    }

    /// A message that is on its way to the disk came again.
    fn note_early_copy(&mut self, id: MessageId) {
        self.counters.duplicates += 1;
        *self.early_copies.entry(id).or_default() += 1;
    }

    /// What this run is said to have said must be known here, or a copy of this home speaks.
    fn handle_my_own(&mut self, step: &mut Step, bytes: &[u8], place: Place, id: MessageId) {
        let is_mine = self.log.known(place, id) == Known::Held || self.book.find(id).is_some();
        if is_mine
            || self.run != Some(place.1)
            || Signed::<GroupMessage>::open_by(self.identity.suite(), bytes).is_err()
        {
            self.counters.strange += u64::from(!is_mine);
            return;
        }
        if !std::mem::replace(&mut self.recovery.copied_home_told, true) {
            self.out.tell(step, None, EventKind::Alarm(Alarm::CopiedHome { run: place.1 }));
        }
    }

    fn refuse(&mut self, peer: MemberId, author: MemberId, id: MessageId) {
        self.counters.below_floor += 1;
        if peer == author {
            self.out.send(peer, MessagingFrame::Refused { id, reason: RefusedReason::BelowFloor });
        }
    }

    fn take_group(&mut self, step: &mut Step, peer: MemberId, bytes: &[u8], place: Place, id: MessageId, given: bool) {
        let Some(signed) = self.verified(bytes) else { return };
        if !self.has_provisional_room(bytes.len()) {
            return;
        }
        let (author, run, seq) = place;
        // Its author is no member that is known: one who left long ago, or a name that somebody made up.
        if self.log.author(author).is_none()
            && !self.peers.contains_key(&author)
            && !self.log.has_room_for_author(self.peers.len())
        {
            self.counters.dropped += 1;
            return;
        }
        match self.log.admit_run(author, run) {
            Ok(None) => {}
            Ok(Some(forgotten)) => self.runs_forgotten(step, author, forgotten),
            Err(_) => return self.refuse(peer, author, id),
        }
        self.note_history(step, place);
        if let Some(known) = self.log.run_mut(author, run) {
            known.incoming.insert(seq, id);
        }
        self.keep_holes(step, place);
        self.store_group(step, peer, &signed, id, given);
    }

    /// Another message holds the place: its author told two people two things. Both are kept.
    fn take_fork(&mut self, step: &mut Step, peer: MemberId, bytes: &[u8], place: Place, id: MessageId, given: bool) {
        let has_room = self.log.run(place.0, place.1).is_some_and(RunLog::has_room_for_fork);
        if !has_room {
            self.counters.dropped += 1;
            return;
        }
        if !self.has_provisional_room(bytes.len()) {
            return;
        }
        let Some(signed) = self.verified(bytes) else { return };
        if let Some(known) = self.log.run_mut(place.0, place.1) {
            known.forks_incoming.insert(id);
        }
        self.store_group(step, peer, &signed, id, given);
    }

    fn verified(&mut self, bytes: &[u8]) -> Option<Signed<GroupMessage>> {
        match Signed::<GroupMessage>::open_by(self.identity.suite(), bytes) {
            Ok(signed) => Some(signed),
            Err(error) => {
                tracing::debug!(%error, "a group message does not hold");
                self.counters.forged += 1;
                None
            }
        }
    }

    fn has_provisional_room(&mut self, bytes: usize) -> bool {
        let fits = self.provisional_messages < PROVISIONAL_MESSAGES_MAX
            && self.provisional_bytes + bytes <= PROVISIONAL_BYTES_MAX;
        self.counters.dropped += u64::from(!fits);
        fits
    }

    fn store_group(
        &mut self,
        step: &mut Step,
        peer: MemberId,
        signed: &Signed<GroupMessage>,
        id: MessageId,
        given: bool,
    ) {
        let message = signed.value();
        if given {
            self.recovery_comes(step, peer, (message.author, message.run, message.seq), signed.bytes().len());
        }
        let order = signed.value().lamport.min(self.clock + LAMPORT_LEAP_MAX);
        self.clock = self.clock.max(order);
        let bytes = signed.bytes().clone();
        let at = step.now.wall;
        self.provisional_messages += 1;
        self.provisional_bytes += bytes.len();
        let record = Record::GroupReceived { bytes: bytes.clone(), via: peer, recovered: given, order, at };
        let arrival = GroupArrival { id, bytes, via: peer, recovered: given, at, cause: step.cause };
        self.store(record, Pending::Group(arrival));
    }

    /// A group message is on disk: it is receipted, and shown in its turn.
    pub(super) fn group_stored(&mut self, step: &mut Step, arrival: &GroupArrival) {
        self.provisional_messages -= 1;
        self.provisional_bytes -= arrival.bytes.len();
        let duplicates = self.early_copies.remove(&arrival.id).unwrap_or(0);
        let signed = Signed::<GroupMessage>::open_trusted(&arrival.bytes).expect("it was verified when it came");
        let message = signed.value();
        let place = (message.author, message.run, message.seq);
        if self.log.run(place.0, place.1).is_none() {
            // Its run was forgotten while it was on its way to the disk.
            if arrival.recovered {
                self.recovery_got(step, arrival.via, 0, None);
            }
            self.flood_not_stored(arrival.id);
            return;
        }
        let (id, via, recovered, at) = (arrival.id, arrival.via, arrival.recovered, arrival.at);
        let (bytes, lived) = (arrival.bytes.clone(), self.lived(step));
        let kept = Kept { id, bytes, via, recovered, at, lived, duplicates };
        let linked = self.commit_group(step, place, kept, prev_in_run(message));
        self.counters.group += 1;
        if recovered {
            self.counters.recovered += 1;
        }
        if message.author != self.me && self.is_asked(id) {
            self.group_receipt_due(message.author, message.run);
        }
        self.flood_stored(step, id, message.author, &arrival.bytes);
        match linked {
            Linked::Added => {}
            Linked::Broken => self.chain_broken(step, place),
            Linked::Old => return self.fork_stored(step, place, arrival),
        }
        if let Prev::Earlier { run, seq, .. } = message.prev {
            self.name_last(step, place, run, seq);
        }
        self.forget_not_stored(place);
        self.close_gaps(place);
        self.show_in_turn(step, place, arrival.cause);
        self.keep_to_limits(step);
    }

    pub(super) fn group_not_stored(&mut self, step: &mut Step, arrival: &GroupArrival) {
        if arrival.recovered {
            self.recovery_got(step, arrival.via, 0, None);
        }
        self.provisional_messages -= 1;
        self.provisional_bytes -= arrival.bytes.len();
        self.early_copies.remove(&arrival.id);
        self.flood_not_stored(arrival.id);
        let signed = Signed::<GroupMessage>::open_trusted(&arrival.bytes).expect("it was verified when it came");
        let message = signed.value();
        let is_newcomer = self.is_newcomer;
        self.note_not_stored((message.author, message.run, message.seq), arrival.via);
        if let Some(known) = self.log.run_mut(message.author, message.run) {
            known.forks_incoming.remove(&arrival.id);
            if known.incoming.get(&message.seq) == Some(&arrival.id) {
                known.incoming.remove(&message.seq);
            }
            // The disk did not take either where the run begins: it is noted with the message that gets there.
            if is_newcomer && known.chain.head().is_none() && known.incoming.is_empty() {
                (known.history, known.told) = (0, 0);
            }
        }
        self.seek_refused(step, message.author, message.run);
        if arrival.via == message.author {
            let refused = MessagingFrame::Refused { id: arrival.id, reason: RefusedReason::DiskFull };
            self.out.send(arrival.via, refused);
        }
    }

    /// The run of which `seq` is said to be the last, by the message that follows it.
    fn name_last(&mut self, step: &mut Step, (author, follows, first): Place, run: Run, seq: Seq) {
        if let Some(known) = self.log.run_mut(author, run) {
            known.named = known.named.max(seq);
        }
        // What comes late is told at once, and nothing waits for what is missing before it.
        let is_late = self.log.run(author, follows).is_some_and(|of| of.told >= first);
        if is_late && !self.holes(author, run).is_empty() {
            self.seek_for(step, author, run);
        }
    }

    fn chain_broken(&mut self, step: &mut Step, (author, run, seq): Place) {
        let Some(known) = self.log.run_mut(author, run) else { return };
        if !std::mem::replace(&mut known.broken, true) && known.proof.is_none() {
            self.out.tell(step, None, EventKind::Alarm(Alarm::BrokenChain { author, run, seq }));
            self.show_disowned(author, run, seq);
        }
    }

    fn fork_stored(&mut self, step: &mut Step, place: Place, arrival: &GroupArrival) {
        let (author, run, seq) = place;
        self.tell_fork(step, place, arrival.id, arrival.cause);
        let Some(known) = self.log.run(author, run).filter(|known| known.proof.is_none()) else { return };
        let Some(other) = known.kept.get(&seq).filter(|kept| kept.id != arrival.id) else { return };
        let two = [(other.id, other.bytes.clone()), (arrival.id, arrival.bytes.clone())];
        self.prove(step, place, two, arrival.cause);
        self.spread_proof(author, run);
    }

    /// A private message: its author must be the peer itself.
    pub(super) fn handle_private(&mut self, step: &mut Step, peer: MemberId, session: Run, bytes: &[u8]) {
        let Ok(message) = decode_layout::<PrivateMessage>(bytes) else {
            self.counters.strange += 1;
            return;
        };
        let is_ours = message.room == self.room && message.to == self.me;
        // A retry after its sender's restart carries an older run; a newer one than the session's is no honest node's.
        if !is_ours || message.author != peer || message.run > session || message.seq > SEQ_MAX {
            self.counters.strange += 1;
            return;
        }
        let id = layout_id::<PrivateMessage>(bytes);
        let (run, seq) = (message.run, message.seq);
        match self.privates.known(peer, run, seq, id) {
            KnownPrivate::Held => {
                self.counters.duplicates += 1;
                if let Some(kept) = self.privates.stream_mut(peer, run).and_then(|of| of.ids.get_mut(&seq)) {
                    kept.duplicates += 1;
                }
                self.private_receipt_repeated(step, peer, id);
            }
            KnownPrivate::Incoming => self.note_early_copy(id),
            KnownPrivate::Other => self.counters.strange += 1,
            KnownPrivate::Below => self.refuse(peer, peer, id),
            KnownPrivate::New => {
                if !self.has_provisional_room(bytes.len()) {
                    return;
                }
                match self.privates.admit_run(peer, run) {
                    Ok(None) => {}
                    Ok(Some(below)) => self.private_runs_forgotten(peer, below),
                    Err(_) => return self.refuse(peer, peer, id),
                }
                self.store_private(step, &message, bytes, id);
            }
        }
    }

    fn store_private(&mut self, step: &mut Step, message: &PrivateMessage, bytes: &[u8], id: MessageId) {
        let (author, run, seq) = (message.author, message.run, message.seq);
        self.clock += 1;
        let order = self.privates.order_for(author, run, seq, self.clock);
        let bytes: Arc<[u8]> = bytes.into();
        let at = step.now.wall;
        self.provisional_messages += 1;
        self.provisional_bytes += bytes.len();
        if let Some(stream) = self.privates.stream_mut(author, run) {
            stream.incoming.insert(seq, PrivateIncoming { id, order });
        }
        let arrival = PrivateArrival { id, bytes: bytes.clone(), order, at, cause: step.cause };
        self.store(Record::PrivateReceived { bytes, order, at }, Pending::Private(arrival));
    }

    /// A private message is on disk: it is receipted, and shown in its turn.
    pub(super) fn private_stored(&mut self, step: &mut Step, arrival: PrivateArrival) {
        self.provisional_messages -= 1;
        self.provisional_bytes -= arrival.bytes.len();
        let duplicates = self.early_copies.remove(&arrival.id).unwrap_or(0);
        let message: PrivateMessage = decode_layout(&arrival.bytes).expect("it was decoded when it came");
        let (author, run, seq) = (message.author, message.run, message.seq);
        if !self.privates.is_tracked(author, run) {
            return;
        }
        let kept = PrivateKept { id: arrival.id, order: arrival.order, at: arrival.at, duplicates };
        self.privates.commit(author, run, seq, kept);
        self.counters.private += 1;
        self.private_receipt_due(author, arrival.id);
        self.show_private_in_turn(step, &message, arrival);
        for Pruned { author, run, upto, seen } in self.privates.prune(author, (run, seq)) {
            self.counters.pruned += 1;
            self.out.store(Record::PrivatePruned { author, run, upto, seen, lamport: self.clock });
        }
    }

    pub(super) fn private_not_stored(&mut self, arrival: &PrivateArrival) {
        self.provisional_messages -= 1;
        self.provisional_bytes -= arrival.bytes.len();
        self.early_copies.remove(&arrival.id);
        let message: PrivateMessage = decode_layout(&arrival.bytes).expect("it was decoded when it came");
        if let Some(stream) = self.privates.stream_mut(message.author, message.run) {
            stream.incoming.remove(&message.seq);
        }
        let refused = MessagingFrame::Refused { id: arrival.id, reason: RefusedReason::DiskFull };
        self.out.send(message.author, refused);
    }
}
