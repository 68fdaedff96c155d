//! How the log comes back from the disk: what is held, up to where it was told, and what a later run names of an earlier
//! one. Reads records that were verified when they came.

use super::{Kept, Log, Place};
use crate::base::{Lived, MemberId, Seq, Wall};
use crate::messaging::record::Restored;
use crate::wire::{GroupMessage, Prev, Signed};

impl Log {
    pub fn restore(restored: &Restored) -> Self {
        let mut log = Self::default();
        for (&author, &floor) in &restored.floors {
            log.authors.entry(author).or_default().floor = Some(floor);
        }
        for (&(author, run_of), chain) in &restored.chains {
            let run = log.authors.entry(author).or_default().runs.entry(run_of).or_default();
            run.chain = chain.clone();
            run.restored = chain.head().map_or(0, |(head, _)| head);
        }
        for (&(author, run), &upto) in &restored.history {
            log.authors.entry(author).or_default().runs.entry(run).or_default().history = upto;
        }
        let mut arrived: Vec<(Lived, Wall, Place)> = Vec::new();
        for (&place, messages) in &restored.group {
            for kept in messages {
                arrived.push((kept.lived, kept.at, place));
                log.keep(place, Kept::from(kept));
            }
        }
        log.restore_named(restored);
        log.restore_told(restored);
        arrived.sort_unstable();
        log.arrived = arrived.into_iter().map(|(_, _, place)| place).collect();
        for (&(author, run), proof) in &restored.equivocations {
            if let Some(run) = log.run_mut(author, run) {
                run.proof = Some(proof.clone());
            }
        }
        for author in log.authors.values_mut() {
            for run in author.runs.values_mut() {
                let first_kept = run.kept.keys().next().copied();
                let head = run.chain.head().map_or(0, |(head, _)| head);
                run.pruned = first_kept.map_or(head, |first| first - 1);
            }
        }
        let authors: Vec<MemberId> = log.authors.keys().copied().collect();
        for author in authors {
            log.refresh_digest(author);
        }
        log
    }

    /// The first message of a run names the last one of an earlier run, which nothing else may tell of.
    fn restore_named(&mut self, restored: &Restored) {
        for (&(author, _, _), kept) in restored.group.iter().filter(|((_, _, seq), _)| *seq == 1) {
            for kept in kept {
                let Ok(first) = Signed::<GroupMessage>::open_trusted(&kept.bytes) else { continue };
                let Prev::Earlier { run, seq, .. } = first.value().prev else { continue };
                // One for which another would have to be forgotten is admitted once its turn comes, with a record of that.
                let has_room = self.author(author).is_some_and(|known| known.has_room(run));
                if has_room
                    && self.is_expected(author, run)
                    && self.admit_run(author, run).is_ok()
                    && let Some(run) = self.run_mut(author, run)
                {
                    run.named = run.named.max(seq);
                }
            }
        }
    }

    /// What comes next still waits for a hole that was not told before the restart.
    fn restore_told(&mut self, restored: &Restored) {
        for (&author, known) in &mut self.authors {
            for (&run_of, run) in &mut known.runs {
                let told_as_gap = |&(first, last): &(Seq, Seq)| {
                    let mut gaps = restored.gaps.range((author, run_of, 0)..=(author, run_of, first));
                    gaps.next_back().is_some_and(|(_, gap)| last <= gap.last)
                };
                let head = run.chain.head().map_or(0, |(head, _)| head);
                let hole = run.chain.missing(run.history + 1, head).into_iter().find(|hole| !told_as_gap(hole));
                run.told = hole.map_or(head, |(first, _)| first - 1).max(run.history);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::limits::RUNS_PER_AUTHOR_MAX;
    use crate::base::{MessageId, Rng, RoomId, Run};
    use crate::crypto::Identity;
    use crate::messaging::record::GroupKept;

    #[test]
    fn no_run_is_forgotten_for_one_that_is_named_only() {
        let identity = Identity::generate(&mut Rng::from_seed([1; 32]));
        let author = identity.id();
        let run = |number: u64| Run { incarnation: number, boot: 1 };
        let mut restored = Restored::default();
        let count = u64::try_from(RUNS_PER_AUTHOR_MAX).unwrap();
        for number in 1..=count {
            restored.chains.entry((author, run(number * 2))).or_default();
        }
        let prev = Prev::Earlier { run: run(count * 2 - 1), seq: 7, id: MessageId([7; 32]) };
        let (room, run_of, said_at) = (RoomId([5; 16]), run(count * 2), Wall(1));
        let first =
            GroupMessage { room, author, run: run_of, seq: 1, prev, lamport: 1, said_at, text: "hello".to_owned() };
        let signed = Signed::sign(first, &identity);
        let kept = GroupKept {
            id: signed.id(),
            bytes: signed.bytes().clone(),
            via: author,
            recovered: false,
            at: Wall(1),
            lived: Lived(1),
            deliveries: BTreeMap::new(),
            sample_of: None,
        };
        restored.group.insert((author, run_of, 1), vec![kept]);
        let log = Log::restore(&restored);
        let known = log.author(author).unwrap();
        assert_eq!((known.runs.len(), known.floor), (RUNS_PER_AUTHOR_MAX, None));
    }
}
