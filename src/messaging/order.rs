//! The order in which messages are told: an author's wait for those before them, at most `HOLD`; then the gap is
//! told and they follow. Owns that wait and the telling; what it tells is on disk already.

use std::collections::BTreeMap;
use std::time::Duration;

use super::log::{Author, HeldBack, Place, Telling, Untold};
use super::machine::{Messaging, Pending, PrivateArrival};
use super::outbox::{EventKind, Shown};
use super::privates::HeldMessage;
use super::record::{Answer, GapRecord, Record};
use super::timers::Timer;
use crate::base::limits::{GAPS_MAX, HELD_BACK_BYTES_MAX, HELD_BACK_MESSAGES_MAX};
use crate::base::{Cause, EventNumber, MemberId, MessageId, Run, Seq, Step};
use crate::wire::{GroupMessage, Prev, PrivateMessage, Signed, decode_layout};

/// How long a message waits for those before it: as long as a retry or two, or asking two peers, takes.
pub(super) const HOLD: Duration = Duration::from_secs(3);

/// What comes next of an author.
enum Turn {
    Nothing,
    /// Messages of this run are waited for.
    HeldBy(Run),
    /// This message, after `missing` was given up; `late` if later ones were told before.
    Tell {
        run: Run,
        seq: Seq,
        missing: Option<(Run, Seq, Seq)>,
        late: bool,
        /// What brought the message.
        cause: Option<Cause>,
    },
}

impl Messaging {
    /// Tells a committed group message, or lets it wait for those before it.
    pub(super) fn show_in_turn(&mut self, step: &mut Step, place: Place, cause: Option<Cause>) {
        self.log.hold_back(place, Untold { deadline: step.now.time + HOLD, cause });
        self.advance_author(step, place.0);
    }

    /// Tells what can be told of the author's messages, in its order.
    pub(super) fn advance_author(&mut self, step: &mut Step, author: MemberId) {
        let held_by = loop {
            match self.next_turn(step, author) {
                Turn::Nothing => break None,
                Turn::HeldBy(run) => break Some(run),
                Turn::Tell { run, seq, missing, late, cause } => {
                    if let Some(missing) = missing {
                        self.give_up(step, author, missing, cause);
                    }
                    self.take_turn((author, run, seq), late);
                }
            }
        };
        if self.log.author(author).is_some_and(|known| known.untold().is_empty()) {
            self.tell_holes_left(step, author);
        }
        self.tell_author(step, author);
        match self.log.author(author).and_then(Author::deadline) {
            Some(deadline) => self.timers.set(Timer::Hold(author), deadline),
            None => self.timers.cancel(Timer::Hold(author)),
        }
        if let Some(run) = held_by {
            self.seek_for(step, author, run);
        }
    }

    /// What of the author's untold messages comes next.
    fn next_turn(&mut self, step: &mut Step, author: MemberId) -> Turn {
        let Some(known) = self.log.author(author) else { return Turn::Nothing };
        let overdue = known.deadline().is_some_and(|deadline| deadline <= step.now.time)
            || known.untold().len() > HELD_BACK_MESSAGES_MAX
            || self.log.held_back_bytes() > HELD_BACK_BYTES_MAX;
        let mut held_by = None;
        let mut next = known.untold().keys().next().copied();
        while let Some((run, seq)) = next {
            let Some(known) = self.log.author(author) else { return Turn::Nothing };
            let (told, restored) = known.runs.get(&run).map_or((0, 0), |of| (of.told, of.restored));
            let is_passed = known.runs.range(run..).skip(1).any(|(_, later)| later.told > 0);
            let cause = known.untold().get(&(run, seq)).and_then(|held_back| held_back.untold.cause);
            let late = seq <= told || seq < restored || is_passed;
            let missing = if seq <= told { None } else { self.missing_before(step, (author, run, seq)) };
            match missing {
                Some((by, _, _)) if !overdue => held_by = held_by.or(Some(by)),
                Some(_) | None => return Turn::Tell { run, seq, missing, late, cause },
            }
            if !is_passed {
                break;
            }
            // An older run that later ones have passed holds none of them up.
            let Some(known) = self.log.author(author) else { return Turn::Nothing };
            next = known.untold().range((run, Seq::MAX)..).next().map(|(&place, _)| place);
        }
        held_by.map_or(Turn::Nothing, Turn::HeldBy)
    }

    fn take_turn(&mut self, place: Place, late: bool) {
        let (author, run, seq) = place;
        let Some(held_back) = self.log.release(place) else { return };
        if let Some(of) = self.log.run_mut(author, run) {
            of.told = of.told.max(seq);
        }
        self.tell_next(place, held_back, late);
    }

    /// What was held back is told next of its author.
    pub(super) fn tell_next(&mut self, place: Place, held_back: HeldBack, late: bool) {
        let Some(known) = self.log.author_mut(place.0) else { return };
        let HeldBack { untold: Untold { cause, .. }, versions } = held_back;
        for (number, kept) in versions.into_iter().enumerate() {
            known.telling.push_back(Telling::Message { place, kept, cause, late: late || number > 0 });
        }
    }

    /// What the message waits for: the messages before it that were neither told nor given up, as (run, first,
    /// last).
    fn missing_before(&mut self, step: &mut Step, (author, run, seq): Place) -> Option<(Run, Seq, Seq)> {
        let of = self.log.run(author, run)?;
        let missing = of.chain.missing(of.told + 1, seq - 1);
        if let (Some(&(first, _)), Some(&(_, last))) = (missing.first(), missing.last()) {
            return Some((run, first, last));
        }
        if seq != 1 {
            return None;
        }
        let first = of.kept.get(&1).or_else(|| self.log.author(author)?.untold().get(&(run, 1))?.versions.first())?;
        let signed = Signed::<GroupMessage>::open_trusted(&first.bytes).ok()?;
        let Prev::Earlier { run: earlier, seq: last, .. } = signed.value().prev else { return None };
        if !self.log.is_expected(author, earlier) {
            return None;
        }
        match self.log.admit_run(author, earlier) {
            Ok(None) => {}
            Ok(Some(forgotten)) => self.runs_forgotten(step, author, forgotten),
            // It was never tracked, so nothing of it is here; and there is no room to wait for it.
            Err(_) => {
                let mut passed = self.log.pass_over_run(author, earlier);
                passed.holes.push((earlier, 1, last));
                self.runs_forgotten(step, author, passed);
                return None;
            }
        }
        let before = self.log.run_mut(author, earlier)?;
        before.named = before.named.max(last);
        let missing = before.chain.missing(before.told + 1, last);
        missing.first().zip(missing.last()).map(|(&(first, _), &(_, last))| (earlier, first, last))
    }

    /// Stops waiting for messages of an author: what of them was not before this node's time is a gap.
    pub(super) fn give_up(
        &mut self,
        step: &mut Step,
        author: MemberId,
        (run, first, last): (Run, Seq, Seq),
        cause: Option<Cause>,
    ) {
        let Some(of) = self.log.run_mut(author, run) else { return };
        of.told = of.told.max(last);
        for (first, last) in of.chain.missing(first.max(of.history + 1), last) {
            self.tell_gap(step, (author, run, first), last, cause);
        }
    }

    /// Stores a gap, and tells it in its author's turn once it is on disk.
    pub(super) fn tell_gap(&mut self, step: &mut Step, place: Place, last: Seq, cause: Option<Cause>) {
        let (author, run, first) = place;
        let around = self.gaps.range((author, run, 0)..=(author, run, first)).next_back();
        let known = around.map(|(_, gap)| gap).filter(|gap| last <= gap.last);
        let (first, last) = known.map_or((first, last), |gap| (gap.first, gap.last));
        // A restart forgets who was asked before; the gap does not.
        let mut asked: BTreeMap<MemberId, Answer> =
            known.map_or_else(BTreeMap::new, |gap| gap.asked.iter().copied().collect());
        for (peer, answer) in self.asked_for(author, run, first, last) {
            if answer != Answer::NoAnswer || !asked.contains_key(&peer) {
                asked.insert(peer, answer);
            }
        }
        let asked: Vec<(MemberId, Answer)> = asked.into_iter().collect();
        if known.is_some_and(|known| known.asked == asked) {
            return;
        }
        let gap = GapRecord { author, run, first, last, asked, at: step.now.wall };
        tracing::debug!(%author, %run, first, last, asked = gap.asked.len(), "gap");
        self.make_room_for_gap((author, run, first));
        self.gaps.insert((author, run, first), gap.clone());
        let after = self.store(Record::Gap(gap.clone()), Pending::Gap((author, run, first)));
        if let Some(known) = self.log.author_mut(author) {
            known.telling.push_back(Telling::Gap { gap, after, cause });
            self.gated.insert(author);
        }
    }

    /// Forgets the oldest gap where there is no room for one that begins at `place`.
    pub(super) fn make_room_for_gap(&mut self, place: Place) {
        if self.gaps.contains_key(&place) || self.gaps.len() < GAPS_MAX {
            return;
        }
        let oldest = self.gaps.iter().min_by_key(|(_, gap)| gap.at).map(|(&key, _)| key);
        if let Some((author, run, first)) = oldest {
            self.gaps.remove(&(author, run, first));
            self.out.store(Record::GapClosed { author, run, first });
        }
    }

    /// Gaps whose record the disk refused are stored again, and told then.
    pub(super) fn store_gaps_again(&mut self) {
        for key in std::mem::take(&mut self.refused_gaps) {
            let Some(gap) = self.gaps.get(&key).cloned() else { continue };
            let number = self.store(Record::Gap(gap), Pending::Gap(key));
            let telling = self.log.author_mut(key.0).into_iter().flat_map(|known| &mut known.telling);
            for next in telling {
                if let Telling::Gap { gap, after, .. } = next
                    && (gap.author, gap.run, gap.first) == key
                {
                    *after = number;
                }
            }
        }
    }

    /// Gaps that were filled, and of which the disk does not know so.
    pub(super) fn close_filled_gaps(&mut self) {
        let is_filled = |gap: &GapRecord| {
            let of = self.log.run(gap.author, gap.run);
            of.is_some_and(|of| of.chain.lacking(gap.first, gap.last).is_empty())
        };
        let filled: Vec<Place> = self.gaps.iter().filter(|(_, gap)| is_filled(gap)).map(|(&place, _)| place).collect();
        for (author, run, first) in filled {
            self.gaps.remove(&(author, run, first));
            self.out.store(Record::GapClosed { author, run, first });
        }
    }

    /// Closes the gap that was filled with the message, if it was the last one missing.
    pub(super) fn close_gaps(&mut self, (author, run, seq): Place) {
        let around = self.gaps.range((author, run, 0)..=(author, run, seq)).next_back();
        let Some((&(_, _, first), gap)) = around else { return };
        let last = gap.last;
        let is_filled = self.log.run(author, run).is_some_and(|of| of.chain.lacking(first, last).is_empty());
        if seq <= last && is_filled {
            self.gaps.remove(&(author, run, first));
            self.out.store(Record::GapClosed { author, run, first });
        }
    }

    /// Tells what waited for a record of its own.
    pub(super) fn tell_ungated(&mut self, step: &mut Step) {
        for author in std::mem::take(&mut self.gated) {
            self.tell_author(step, author);
        }
    }

    fn tell_author(&mut self, step: &mut Step, author: MemberId) {
        while let Some(known) = self.log.author_mut(author)
            && let Some(next) = known.telling.front()
        {
            if let Telling::Gap { gap, after, .. } = next
                && (*after > self.settled_upto || self.refused_gaps.contains(&(gap.author, gap.run, gap.first)))
            {
                self.gated.insert(author);
                return;
            }
            if let Telling::Message { place: (_, run, _), .. } = next
                && let Some(of) = known.runs.get(run)
                && (of.history_after > self.settled_upto || self.recovery.refused_history.contains(&(author, *run)))
            {
                self.gated.insert(author);
                return;
            }
            match known.telling.pop_front() {
                Some(Telling::Gap { gap, cause, .. }) => {
                    // What came while the gap was on its way to the disk is not missing any more.
                    let missing = if let Some(of) = self.log.run(author, gap.run) {
                        of.chain.lacking(gap.first, gap.last)
                    } else {
                        // Of a run that was forgotten nothing more comes.
                        let left = self.gaps.range((author, gap.run, gap.first)..=(author, gap.run, gap.last));
                        left.map(|(_, gap)| (gap.first, gap.last)).collect()
                    };
                    if missing != [(gap.first, gap.last)] {
                        self.bring_forward(author, &gap);
                    }
                    for (first, last) in missing {
                        self.out.tell(step, cause, EventKind::Gap(GapRecord { first, last, ..gap.clone() }));
                    }
                }
                Some(Telling::Message { kept, cause, late, .. }) => {
                    let via = (kept.via != author, kept.via, kept.recovered);
                    let signed =
                        Signed::<GroupMessage>::open_trusted(&kept.bytes).expect("it was verified when it came");
                    self.show_group(step, kept.id, signed.value(), Some(via), late, cause);
                    if via.2 {
                        self.recovery_got(step, via.1, 1, cause);
                    }
                }
                None => return,
            }
        }
    }

    /// Messages that came while their gap was on its way to the disk are told before those that waited for them.
    fn bring_forward(&mut self, author: MemberId, gap: &GapRecord) {
        let Some(known) = self.log.author_mut(author) else { return };
        let fills = |next: &Telling| match next {
            Telling::Message { place: (_, run, seq), .. } => *run == gap.run && (gap.first..=gap.last).contains(seq),
            Telling::Gap { .. } => false,
        };
        let (mut filled, rest): (Vec<Telling>, Vec<Telling>) =
            std::mem::take(&mut known.telling).into_iter().partition(fills);
        filled.sort_by_key(|next| match next {
            Telling::Message { place: (_, _, seq), .. } => *seq,
            Telling::Gap { gap, .. } => gap.first,
        });
        known.telling = filled.into_iter().chain(rest).collect();
    }

    /// A second message of one place shows beside the first: at once, or with it.
    pub(super) fn tell_fork(&mut self, step: &mut Step, place: Place, id: MessageId, cause: Option<Cause>) {
        let Some(kept) = self.log.kept(place, id).cloned() else { return };
        let Some(kept) = self.log.hold_back_beside(place, kept) else { return };
        let Some(known) = self.log.author_mut(place.0) else { return };
        known.telling.push_back(Telling::Message { place, kept, cause, late: true });
        self.tell_author(step, place.0);
    }

    /// `source`: whether it came from another than its author, from whom, and because it was asked for.
    pub(super) fn show_group(
        &mut self,
        step: &mut Step,
        id: MessageId,
        message: &GroupMessage,
        source: Option<(bool, MemberId, bool)>,
        late: bool,
        cause: Option<Cause>,
    ) -> EventNumber {
        let (is_passed_on, via, recovered) = source.unwrap_or((false, self.me, false));
        let late_ms = (late || recovered).then(|| step.now.wall.0.saturating_sub(message.said_at.0));
        let shown = Shown {
            id,
            key: message.key(),
            text: message.text.clone(),
            said_at: message.said_at,
            recovered,
            via: is_passed_on.then_some(via),
            late_ms,
        };
        self.out.tell(step, cause, EventKind::Message(shown))
    }

    pub(super) fn show_private(
        &mut self,
        step: &mut Step,
        id: MessageId,
        message: &PrivateMessage,
        late: bool,
        cause: Option<Cause>,
    ) -> EventNumber {
        let shown = Shown {
            id,
            key: message.key(),
            text: message.text.clone(),
            said_at: message.said_at,
            recovered: false,
            via: None,
            late_ms: late.then(|| step.now.wall.0.saturating_sub(message.said_at.0)),
        };
        self.out.tell(step, cause, EventKind::Message(shown))
    }

    /// Tells a committed private message, or lets it wait for those before it. What is missing of a private stream
    /// is not told as a gap: nothing proves that it exists, and its author sends it again if it does.
    pub(super) fn show_private_in_turn(&mut self, step: &mut Step, message: &PrivateMessage, arrival: PrivateArrival) {
        let (author, run, seq) = (message.author, message.run, message.seq);
        let waits = self.privates.held.get(&author).is_some_and(|held| !held.untold.is_empty());
        let Some(stream) = self.privates.stream_mut(author, run) else {
            // Its run was forgotten while it was on its way to the disk.
            self.show_private(step, arrival.id, message, true, arrival.cause);
            return;
        };
        let late = seq <= stream.told;
        if late || (seq == stream.told + 1 && !waits) {
            stream.told = stream.told.max(seq);
            self.show_private(step, arrival.id, message, late, arrival.cause);
            return;
        }
        let deadline = step.now.time + HOLD;
        let held = self.privates.held.entry(author).or_default();
        let untold = Untold { deadline, cause: arrival.cause };
        held.untold.insert((run, seq), HeldMessage { untold, bytes: arrival.bytes });
        held.deadlines.insert((deadline, run, seq));
        self.advance_private(step, author);
    }

    /// Tells what can be told of the author's private messages, in its order.
    pub(super) fn advance_private(&mut self, step: &mut Step, author: MemberId) {
        let now = step.now.time;
        while let Some(held) = self.privates.held.get_mut(&author)
            && let Some((&(run, seq), _)) = held.untold.first_key_value()
        {
            let overdue = held.deadlines.first().is_some_and(|&(deadline, _, _)| deadline <= now)
                || held.untold.len() > HELD_BACK_MESSAGES_MAX;
            // Nothing more comes of a run that was forgotten.
            let told = self.privates.stream_mut(author, run).map_or(seq, |stream| stream.told);
            if seq > told + 1 && !overdue {
                break;
            }
            let Some(held) = self.privates.held.get_mut(&author) else { break };
            let Some(message) = held.untold.remove(&(run, seq)) else { break };
            held.deadlines.remove(&(message.untold.deadline, run, seq));
            if let Some(stream) = self.privates.stream_mut(author, run) {
                stream.told = told.max(seq);
            }
            let private: PrivateMessage = decode_layout(&message.bytes).expect("it was decoded when it came");
            let id = crate::wire::layout_id::<PrivateMessage>(&message.bytes);
            self.show_private(step, id, &private, false, message.untold.cause);
        }
        let held = self.privates.held.get(&author);
        if let Some(&(deadline, _, _)) = held.and_then(|held| held.deadlines.first()) {
            self.timers.set(Timer::HoldPrivate(author), deadline);
        } else {
            self.privates.held.remove(&author);
            self.timers.cancel(Timer::HoldPrivate(author));
        }
    }
}
