//! What is forgotten, when and how: texts beyond what can be given to others, runs beyond those tracked. Owns
//! the limits' effect; each thing forgotten is a record, so that a restart forgets it too.

use super::book::{OutId, Outgoing};
use super::log::Forgotten;
use super::machine::Messaging;
use super::record::Record;
use super::timers::Timer;
use crate::base::limits::{RETAINED_AGE_MAX, RETAINED_BYTES_MAX, RETAINED_MESSAGES_MAX};
use crate::base::{MemberId, Run, Step};

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
            self.out.store(Record::GroupPruned { author, run, upto, chain, lamport: self.clock });
            if author == self.me {
                self.forget_own(|of, seq| of == run && seq <= upto);
                let of_run = |message: &&Outgoing| message.place().is_some_and(|(of, _)| of == run);
                let kept: Vec<&Outgoing> = self.book.messages().map(|(_, message)| message).filter(of_run).collect();
                self.receipts.keep(run, |member| kept.iter().any(|message| message.deliveries.contains_key(&member)));
            }
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
        let Forgotten { below, chains, holes } = forgotten;
        self.counters.pruned += 1;
        for (run, chain) in chains {
            self.cut_gaps_to(author, run, &chain);
        }
        for (run, first, last) in holes {
            self.tell_gap(step, (author, run, first), last, step.cause);
        }
        if author == self.me {
            self.receipts.forget_runs(below);
            self.forget_own(|run, _| run < below);
        }
        self.out.store(Record::RunsForgotten { author, below });
    }

    /// The same for what was told to this node alone.
    pub(super) fn private_runs_forgotten(&mut self, author: MemberId, below: Run) {
        self.counters.pruned += 1;
        self.out.store(Record::PrivateRunsForgotten { author, below });
    }

    /// Group messages of one's own that nobody can be given any more: how their deliveries stand is final.
    fn forget_own(&mut self, is_gone: impl Fn(Run, u64) -> bool) {
        let gone: Vec<OutId> = self
            .book
            .messages()
            .filter(|(_, message)| message.is_durable && message.place().is_some_and(|(run, seq)| is_gone(run, seq)))
            .map(|(out, _)| out)
            .collect();
        for out in gone {
            let Some(message) = self.book.message(out) else { continue };
            let place = message.place();
            let members: Vec<MemberId> = message.deliveries.keys().copied().collect();
            for member in members {
                self.land(member, out);
                if let (Some(place), Some(peer)) = (place, self.peers.get_mut(&member)) {
                    peer.group.remove(&place);
                }
            }
            self.book.forget(out);
        }
    }
}
