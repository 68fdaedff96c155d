//! Two messages under one number of one run: their author told two people two things. Owns how members who were told
//! different things find it out, and how the proof comes to those who were not. What is kept of it is the log's.
//!
//! No frame is needed for it: a message that comes from another than its author counts like any other, and whoever gets
//! the second of a number makes the proof anew, from signatures. A home that was rolled back speaks in another run,
//! so what it says again is under another number, and never proof of a lie.

use std::sync::Arc;

use super::log::Place;
use super::machine::Messaging;
use super::outbox::{Alarm, EventKind};
use super::record::{Proof, Record, prev_in_run};
use crate::base::{Cause, MemberId, MessageId, Run, Seq, Step};
use crate::wire::{FrontierEntry, GroupMessage, MessagingFrame, Signed};

/// Proofs that a peer gets when a session with it opens: those who lie are few, and each can be proven to once a run.
const PROOFS_GIVEN_MAX: usize = 4;

impl Messaging {
    /// A proof was made here: all get both messages, once for each author and run.
    pub(super) fn spread_proof(&mut self, author: MemberId, run: Run) {
        let Some(proof) = self.log.run(author, run).and_then(|of| of.proof.clone()) else { return };
        let open = self.peers.iter().filter(|(id, peer)| **id != author && peer.session.is_some());
        for peer in open.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.send_proof(peer, &proof);
        }
    }

    /// A session opened: its peer may not have been there when a proof was made.
    pub(super) fn give_proofs(&mut self, to: MemberId) {
        let others = self.log.authors().filter(|(author, _)| *author != to);
        let proofs = others.flat_map(|(_, author)| author.runs.values().rev().filter_map(|of| of.proof.clone()));
        for proof in proofs.take(PROOFS_GIVEN_MAX).collect::<Vec<_>>() {
            self.send_proof(to, &proof);
        }
    }

    /// What a peer holds under a number is not what is held here: it gets ours, and then has the proof. One in each
    /// frame, so that a peer that makes differences up gets little for it.
    pub(super) fn contradict(&mut self, peer: MemberId, entries: &[FrontierEntry]) {
        let ours = |entry: &FrontierEntry| -> Option<Arc<[u8]>> {
            let of = self.log.run(entry.author, entry.run)?;
            let is_held = of.versions(entry.head).any(|kept| kept.id == entry.head_id);
            of.kept.get(&entry.head).filter(|_| !is_held).map(|kept| kept.bytes.clone())
        };
        let mut others = entries.iter().filter(|entry| entry.author != peer && entry.author != self.me);
        if let Some(ours) = others.find_map(ours) {
            tracing::debug!(%peer, "what it holds of an author differs");
            self.out.send(peer, MessagingFrame::Group(ours.to_vec()));
        }
    }

    /// The message at `seq` breaks its author's chain: what is held here of two neighbours is not what the later one follows.
    /// All get the earlier one as it is held here, once for each author and run, so that whoever holds the other has the
    /// proof. It is not left to frontiers: where the author went on with both sides the heads are the same again.
    pub(super) fn show_disowned(&mut self, author: MemberId, run: Run, seq: Seq) {
        let Some(of) = self.log.run(author, run) else { return };
        let is_disowned = |place: Seq| {
            let (earlier, later) = (of.kept.get(&place)?, of.kept.get(&(place + 1))?);
            let later = Signed::<GroupMessage>::open_trusted(&later.bytes).ok()?;
            prev_in_run(later.value()).is_some_and(|prev| prev != earlier.id).then(|| earlier.bytes.clone())
        };
        let Some(disowned) = [seq - 1, seq].into_iter().find_map(is_disowned) else { return };
        let open = self.peers.iter().filter(|(id, peer)| **id != author && peer.session.is_some());
        for peer in open.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.out.send(peer, MessagingFrame::Group(disowned.to_vec()));
        }
    }

    /// Both messages are on the disk, and the record that they are a proof is not: it was refused, or the process ended before it.
    pub(super) fn prove_again(&mut self, step: &mut Step) {
        let mut found = Vec::new();
        for (author, known) in self.log.authors() {
            for (&run, of) in known.runs.iter().filter(|(_, of)| of.proof.is_none()) {
                let two = of.forks.first().and_then(|(seq, fork)| Some((*seq, of.kept.get(seq)?, fork)));
                found.extend(two.map(|(seq, first, second)| {
                    ((author, run, seq), [first, second].map(|kept| (kept.id, kept.bytes.clone())))
                }));
            }
        }
        for (place, two) in found {
            self.prove(step, place, two, None);
        }
    }

    /// Two messages of one place are on the disk: that is a proof against their author, and is kept as one.
    pub(super) fn prove(
        &mut self,
        step: &mut Step,
        (author, run, seq): Place,
        [(first_id, first), (second_id, second)]: [(MessageId, Arc<[u8]>); 2],
        cause: Option<Cause>,
    ) {
        let Some(of) = self.log.run_mut(author, run) else { return };
        of.proof = Some((first.clone(), second.clone()));
        self.out.store(Record::Equivocation { author, run, first, second, at: step.now.wall });
        let alarm = Alarm::Equivocation { author, run, seq, first: first_id, second: second_id };
        self.out.tell(step, cause, EventKind::Alarm(alarm));
    }

    fn send_proof(&mut self, to: MemberId, (first, second): &Proof) {
        for bytes in [first, second] {
            self.out.send(to, MessagingFrame::Group(bytes.to_vec()));
        }
    }
}
