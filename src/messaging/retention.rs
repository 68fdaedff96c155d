//! What is forgotten, when and how: texts beyond what can be given to others, runs beyond those tracked. Owns
//! the limits' effect; each thing forgotten is a record, so that a restart forgets it too.

use std::ops::RangeBounds;
use std::sync::Arc;

use super::book::{Delivery, OutId};
use super::log::Forgotten;
use super::machine::{Messaging, Pending};
use super::record::{Outcome, Record};
use super::timers::Timer;
use crate::base::limits::{RETAINED_AGE_MAX, RETAINED_BYTES_MAX, RETAINED_MESSAGES_MAX};
use crate::base::{Cause, MemberId, Run, Seq, Step};

impl Messaging {
    /// Prunes if the last message was one too many.
    pub(super) fn keep_to_limits(&mut self, step: &mut Step) {
        let (messages, bytes) = self.log.size();
        if messages > RETAINED_MESSAGES_MAX || bytes > RETAINED_BYTES_MAX {
            self.prune(step);
        }
    }

    /// Forgets the texts that are too many or too old to be given to others. That they were seen stays known.
    pub(super) fn prune(&mut self, step: &mut Step) {
        let oldest = self.lived(step).before(RETAINED_AGE_MAX);
        for ((author, run), upto) in self.log.prune(oldest) {
            let Some(known) = self.log.run(author, run) else { continue };
            tracing::debug!(%author, %run, upto, "pruned");
            self.counters.pruned += 1;
            let chain = known.chain.clone();
            let pruned = Record::GroupPruned { author, run, upto, chain, lamport: self.clock };
            if author != self.me {
                self.out.store(pruned);
                continue;
            }
            self.let_own_go(step, pruned, (run, 0)..=(run, upto));
            let kept: Vec<OutId> = self.book.said_in(&((run, 0)..=(run, Seq::MAX))).collect();
            self.receipts.keep(run, |member| kept.iter().any(|&out| self.book.delivery(out, member).is_some()));
        }
    }

    /// Members that nobody knows any more, once no delivery to them is open.
    pub(super) fn forget_peers(&mut self) {
        let gone: Vec<MemberId> =
            self.peers.iter().filter(|(_, peer)| peer.is_forgotten()).map(|(&id, _)| id).collect();
        for id in gone {
            self.peers.remove(&id);
            self.timers.cancel(Timer::Stalled(id));
            self.timers.cancel(Timer::Resend(id));
        }
    }

    /// Room was made for a newer run: what was known of those below is gone, but for what is missing of them. That is a gap, and
    /// stays one.
    pub(super) fn runs_forgotten(&mut self, step: &mut Step, author: MemberId, forgotten: Forgotten) {
        let Forgotten { below, chains, holes, untold } = forgotten;
        self.counters.pruned += 1;
        for (run, chain) in chains {
            self.cut_gaps_to(author, run, &chain);
        }
        for (run, first, last) in holes {
            self.tell_gap(step, (author, run, first), last, step.cause);
        }
        for ((run, seq), held_back) in untold {
            self.tell_next((author, run, seq), held_back, true);
            self.gated.insert(author);
        }
        let record = Record::RunsForgotten { author, below };
        if author == self.me {
            self.receipts.forget_runs(below);
            self.let_own_go(step, record, ..(below, 0));
        } else {
            self.out.store(record);
        }
    }

    /// The same for what was told to this node alone.
    pub(super) fn private_runs_forgotten(&mut self, author: MemberId, below: Run) {
        self.counters.pruned += 1;
        self.out.store(Record::PrivateRunsForgotten { author, below });
    }

    /// Group messages of one's own that nobody can be given any more: nothing of them is sent from now on, and with `record` on
    /// disk how their deliveries stand is final.
    fn let_own_go(&mut self, step: &mut Step, record: Record, places: impl RangeBounds<(Run, Seq)>) {
        let is_durable = |out: &OutId| self.book.message(*out).is_some_and(|message| message.is_durable);
        let gone: Vec<OutId> = self.book.said_in(&places).filter(is_durable).collect();
        for &out in &gone {
            let Some(message) = self.book.message(out) else { continue };
            let stands_unsent = |delivery: &Delivery| {
                delivery.changing.unwrap_or(delivery.outcome) == Outcome::Sending && delivery.was_never_sent()
            };
            let deliveries = message.deliveries.iter();
            let members: Vec<_> = deliveries.map(|(&to, delivery)| (to, stands_unsent(delivery))).collect();
            for (member, is_unsent) in members {
                self.land(member, out);
                // It stood in the queue, and never will leave it.
                if is_unsent {
                    self.change(step, out, member, Outcome::Waiting, None);
                }
            }
            self.book.let_go(out);
        }
        for peer in self.peers.values_mut() {
            peer.group.retain(|place, _| !places.contains(place));
        }
        self.store_let_go(Arc::new(record), gone, step.cause);
    }

    fn store_let_go(&mut self, record: Arc<Record>, gone: Vec<OutId>, cause: Option<Cause>) {
        self.store(Record::clone(&record), Pending::LetGo { record, gone, cause });
    }

    /// What the disk refused to let go it is told again.
    pub(super) fn let_go_again(&mut self) {
        for (record, gone) in std::mem::take(&mut self.refused_let_go) {
            let floor = self.log.author(self.me).and_then(|me| me.floor);
            let record = match (&*record, floor) {
                // More was forgotten since.
                (Record::RunsForgotten { author, .. }, Some(below)) => {
                    Arc::new(Record::RunsForgotten { author: *author, below })
                }
                _ => record,
            };
            self.store_let_go(record, gone, None);
        }
    }

    /// It is on disk that these are gone: what was never sent never will be, and of what was sent no receipt can be compared with
    /// it.
    pub(super) fn let_go_stored(&mut self, step: &mut Step, gone: Vec<OutId>, cause: Option<Cause>) {
        for out in gone {
            let Some(message) = self.book.message(out) else { continue };
            let deliveries = message.deliveries.iter();
            let standing: Vec<(MemberId, Outcome)> = deliveries.map(|(&to, delivery)| (to, delivery.outcome)).collect();
            for (to, outcome) in standing {
                // False where it stood as it ends.
                if self.book.advance(out, to, outcome.let_go()) {
                    self.tell_delivery(step, out, to, cause);
                }
            }
            self.book.forget(out);
        }
    }
}
