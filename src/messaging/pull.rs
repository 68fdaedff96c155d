//! One pull, from the asking to its end: windows, losses, silence. Owns the pull that is on; what is sought, and from whom,
//! is recovery's.

use std::time::Duration;

use super::give::LACKING_MAX;
use super::log::Place;
use super::machine::Messaging;
use super::outbox::EventKind;
use super::record::Answer;
use super::recovery::{Active, Asked, Offer, Wanted};
use super::timers::Timer;
use crate::base::{Cause, MemberId, Seq, Step};
use crate::wire::{Lacking, MessagingFrame};

/// What a peer may take to answer a pull, beside the round trip: it gives chat the way.
const ANSWER_TIME: Duration = Duration::from_millis(300);
const PULL_TRIES_MAX: u32 = 3;
/// One pull holds up the others for this long at most, however slowly its peer gives: a guess, of thirty honest windows.
const PULL_TIME_MAX: Duration = Duration::from_secs(10);

impl Messaging {
    pub(super) fn pull(&mut self, step: &mut Step, peer: MemberId, wanted: Wanted, tries: u32, is_quest: bool) {
        let began = step.now.time;
        let (progressed, has_given) = (false, false);
        self.recovery.active =
            Some(Active { peer, wanted, began, tries, has_given, progressed, said: Vec::new(), is_quest });
        self.send_pull(step);
    }

    fn send_pull(&mut self, step: &mut Step) {
        let Some(active) = &self.recovery.active else { return };
        let Wanted { author, run, first, last } = active.wanted;
        tracing::debug!(peer = %active.peer, %author, %run, first, last, "pull");
        self.counters.pulls += 1;
        self.out.send(active.peer, MessagingFrame::Pull { author, run, first, last });
        self.await_answer(step);
    }

    fn await_answer(&mut self, step: &mut Step) {
        let Some(active) = &self.recovery.active else { return };
        let Some(peer) = self.peers.get(&active.peer) else { return };
        let wait = (peer.pace.pto(&peer.path) + ANSWER_TIME) * (active.tries + 1);
        // Past its time it is still asked as often as any: a loop that stood still may have let the time pass.
        let (again, over) = (step.now.time + wait, active.began + PULL_TIME_MAX);
        self.timers.set(Timer::Pull, if over > step.now.time { again.min(over) } else { again });
    }

    /// A message that was given is on its way to the disk. Whatever is asked for now, it was asked for once.
    pub(super) fn recovery_comes(&mut self, step: &mut Step, peer: MemberId, (author, run, seq): Place) {
        *self.recovery.incoming.entry(peer).or_default() += 1;
        let Some(active) = &mut self.recovery.active else { return };
        let wanted = active.wanted;
        let fits = active.peer == peer
            && (wanted.author, wanted.run) == (author, run)
            && (wanted.first..=wanted.last).contains(&seq);
        if fits {
            active.progressed = true;
            active.has_given = true;
            self.await_answer(step);
        }
    }

    /// A recovered message was shown, or never will be.
    pub(super) fn recovery_got(&mut self, step: &mut Step, via: MemberId, count: u64, cause: Option<Cause>) {
        if let Some(incoming) = self.recovery.incoming.get_mut(&via) {
            *incoming = incoming.saturating_sub(1);
        }
        let got = self.recovery.got.entry(via).or_default();
        *got = (got.0 + count, cause.or(got.1));
        self.tell_recovered(step, via);
    }

    pub(super) fn tell_recovered(&mut self, step: &mut Step, via: MemberId) {
        let is_on = self.recovery.active.as_ref().is_some_and(|active| active.peer == via)
            || self.recovery.offers.get(&via).is_some_and(|offers| !offers.is_empty())
            || self.recovery.incoming.get(&via).is_some_and(|&incoming| incoming > 0);
        if is_on {
            return;
        }
        self.recovery.incoming.remove(&via);
        if let Some((count, cause)) = self.recovery.got.remove(&via).filter(|got| got.0 > 0) {
            self.out.tell(step, cause, EventKind::Recovered { count, via });
        }
    }

    /// The peer has given what it could of a pull.
    pub(super) fn handle_pull_end(
        &mut self,
        step: &mut Step,
        peer: MemberId,
        (author, run, first): Place,
        last: Seq,
        lacking: &[Lacking],
    ) {
        if lacking.len() > LACKING_MAX {
            self.counters.strange += 1;
            return;
        }
        let Some(active) = &mut self.recovery.active else { return };
        let wanted = active.wanted;
        let fits = active.peer == peer
            && (wanted.author, wanted.run, wanted.first) == (author, run, first)
            && (first..=wanted.last).contains(&last);
        if !fits {
            return;
        }
        let missing = self.log.run(author, run).map_or_else(|| vec![(first, last)], |of| of.missing(first, last));
        let (words, lost) = words_of(peer, &missing, lacking);
        if let Some(lost) = lost {
            active.tries = if active.progressed { 0 } else { active.tries + 1 };
            active.progressed = false;
            active.wanted.first = lost;
            if active.tries < PULL_TRIES_MAX {
                active.said.extend(words.iter().filter(|word| word.last < lost));
                return self.send_pull(step);
            }
            active.said.extend(words);
            return self.pull_done(step);
        }
        active.said.extend(words);
        active.wanted.first = last + 1;
        let rest = (last < wanted.last)
            .then(|| {
                let from = last + 1;
                let of = self.log.run(author, run);
                of.map_or_else(|| Some((from, wanted.last)), |of| of.missing(from, wanted.last).first().copied())
            })
            .flatten();
        let is_urgent = self.recovery.quests.values().any(|q| q.finished.is_none() && q.due <= step.now.time);
        match (rest, &mut self.recovery.active) {
            (Some((next, _)), Some(active)) => {
                active.wanted.first = next;
                if step.now.time >= active.began + PULL_TIME_MAX || (!active.is_quest && is_urgent) {
                    return self.put_off(step);
                }
                active.tries = 0;
                active.progressed = false;
                self.send_pull(step);
            }
            (Some(_) | None, _) => self.pull_done(step),
        }
    }

    pub(super) fn pull_unanswered(&mut self, step: &mut Step) {
        let Some(active) = &mut self.recovery.active else { return };
        if active.has_given && step.now.time >= active.began + PULL_TIME_MAX {
            return self.put_off(step);
        }
        active.tries = if active.progressed { 1 } else { active.tries + 1 };
        active.progressed = false;
        if active.tries < PULL_TRIES_MAX {
            let Wanted { author, run, first, last } = active.wanted;
            let missing = self.log.run(author, run).map_or_else(|| vec![(first, last)], |of| of.missing(first, last));
            let Some(&(first, _)) = missing.first() else { return self.pull_done(step) };
            active.wanted.first = first;
            return self.send_pull(step);
        }
        let peer = active.peer;
        self.recovery.offers.remove(&peer);
        self.pull_done(step);
    }

    /// The pull took its time: what is left of an offer waits until others had their turn.
    fn put_off(&mut self, step: &mut Step) {
        if self.recovery.active.as_ref().is_some_and(|active| active.is_quest) {
            self.pull_done(step);
        } else {
            self.set_aside();
            self.seek(step);
        }
    }

    /// Pulls something else first: what is left of the offer is the last of its peer's.
    pub(super) fn set_aside(&mut self) {
        self.timers.cancel(Timer::Pull);
        let Some(Active { peer, wanted, tries, progressed, .. }) = self.recovery.active.take() else { return };
        let tries = if progressed { 0 } else { tries };
        self.recovery.offers.entry(peer).or_default().push_back(Offer { wanted, tries });
    }

    /// The pull is over: on to the next hole with the same peer, or to the next peer, or to the next offer.
    fn pull_done(&mut self, step: &mut Step) {
        self.timers.cancel(Timer::Pull);
        let Some(active) = self.recovery.active.take() else { return };
        let peer = active.peer;
        if active.is_quest
            && let Some(next) = self.hole_done(&active)
        {
            self.recovery.active =
                Some(Active { wanted: next, tries: 0, progressed: false, said: Vec::new(), ..active });
            return self.send_pull(step);
        }
        self.tell_recovered(step, peer);
        self.seek(step);
    }

    /// Notes what a peer said of a hole; gives the next one that it can be asked for.
    fn hole_done(&mut self, active: &Active) -> Option<Wanted> {
        let Wanted { author, run, first, last } = active.wanted;
        let peer = active.peer;
        let left = self.log.run(author, run).map_or_else(Vec::new, |of| of.missing(first, last));
        let silence = |(first, last)| Asked { peer, first, last, answer: Answer::NoAnswer };
        let quest = self.recovery.quests.get_mut(&(author, run))?;
        quest.round.insert(peer, left.is_empty());
        quest.note(&active.said);
        quest.note(&left.into_iter().map(silence).collect::<Vec<_>>());
        let mut later = self.holes(author, run).into_iter().filter(|&(from, _)| from > last);
        let next = later.find(|&hole| self.candidates(author, run, hole).contains(&peer));
        next.map(|(first, last)| Wanted { author, run, first, last })
    }

    /// A session with the peer is gone, and with it what was asked there.
    pub(super) fn recovery_closed(&mut self, step: &mut Step, peer: MemberId) {
        self.recovery.offers.remove(&peer);
        self.recovery.incoming.remove(&peer);
        if self.recovery.active.as_ref().is_some_and(|active| active.peer == peer) {
            self.pull_done(step);
        }
        self.tell_recovered(step, peer);
    }
}

/// What a peer says of what is missing of a window, where `lacking` is what it does not give; and the first message that
/// it gave and that was lost.
fn words_of(peer: MemberId, missing: &[(Seq, Seq)], lacking: &[Lacking]) -> (Vec<Asked>, Option<Seq>) {
    let mut words = Vec::new();
    let mut lost = None;
    for (first, last) in missing.iter().flat_map(|&range| split_at(range, lacking)) {
        match lacking.iter().find(|lack| lack.first <= first && last <= lack.last) {
            Some(lack) => {
                let answer = if lack.had { Answer::NoLongerKeepsIt } else { Answer::NeverHadIt };
                words.push(Asked { peer, first, last, answer });
            }
            None => lost = lost.or(Some(first)),
        }
    }
    (words, lost)
}

/// The parts of a range that are wholly in or wholly out of each of `lacking`.
fn split_at((first, last): (Seq, Seq), lacking: &[Lacking]) -> Vec<(Seq, Seq)> {
    let mut cuts: Vec<Seq> = lacking
        .iter()
        .flat_map(|lack| [lack.first, lack.last.saturating_add(1)])
        .filter(|&cut| cut > first && cut <= last)
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut parts = Vec::with_capacity(cuts.len() + 1);
    let mut from = first;
    for cut in cuts {
        parts.push((from, cut - 1));
        from = cut;
    }
    parts.push((from, last));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_split_where_something_lacks() {
        let lack = |first, last| Lacking { first, last, had: true };
        assert_eq!(split_at((1, 10), &[lack(3, 4)]), [(1, 2), (3, 4), (5, 10)]);
        assert_eq!(split_at((1, 10), &[lack(1, 20)]), [(1, 10)]);
        assert_eq!(split_at((1, 10), &[]), [(1, 10)]);
    }
}
