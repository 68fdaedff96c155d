//! Mending views: comparing what two nodes hold, bucket by bucket, and sending what the other lacks. Owns when
//! to compare and how much of it is answered; what comes is taken in by `cards` and `reports`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeBounds as _};
use std::time::Duration;

use tracing::{debug, trace};

use super::Membership;
use super::entry::Entry;
use super::evidence::{Evidence, EvidenceKind};
use super::view::{BUCKETS, bucket, stretch};
use crate::base::limits::HELD_PER_FRAME_MAX;
use crate::base::{EventNumber, MemberId, Presence, Run, Step, Time, Wall};
use crate::wire::{HeldMember, MembershipFrame, ShownCard};

/// Two heartbeats in a row with another fingerprint, of views that stand still, and views are compared: the lower
/// id begins, and the higher one after four, when that came to nothing.
const MISMATCHES_LOWER: u8 = 8;
pub const MISMATCHES_HIGHER: u8 = 16;
/// What one such heartbeat counts: the less while views still change, since what is on its way mends them.
const MISMATCH_AT_REST: u8 = 4;
const MISMATCH_IN_MOTION: u8 = 1;
/// A comparison is not begun again within this time: what it mends shows in the next heartbeat but one.
const COMPARE_SPACING: Duration = Duration::from_millis(1_500);
/// Where more members than these were lost, each within this time of the one before, views are not compared with each peer that
/// is met (guesses: more than one crash and its neighbours; as long as a verdict by one voice may come after one by two): everybody
/// comes to the same by itself, and those who are lost give everybody new peers.
const LOSSES_MANY: u32 = 8;
const LOSSES_APART: Duration = Duration::from_secs(2);
/// Who is alive for no longer than this may know what nobody else does, or nothing (a guess).
const LATELY: Duration = Duration::from_secs(5);
/// Who was asked first for members that were restored may know no more. Then all others are; after that each further question
/// waits twice as long.
const UNVOUCHED_WAIT: Duration = Duration::from_secs(2);
const UNVOUCHED_WAIT_MAX: Duration = Duration::from_secs(120);
/// Whoever has something to say says it within this time, so whoever was not heard in it was asked already.
const ROUND: Duration = Duration::from_millis(1_500);
/// Lines of a list that this node sends: as many as one datagram holds at their longest. All lists of a comparison go out
/// together; a list that was cut into fragments would be lost with any of them, and the lists of thousands of members
/// overtake each other on the way until the other side can hold no more halves of them.
const LINES_PER_LIST: usize = 16;
/// A card is as large as four lines of a list.
const ITEMS_PER_CARD: usize = 4;
/// And what a list costs beside its lines, so that empty ones are not free.
const ITEMS_PER_LIST: usize = 4;
/// Verdicts that are sent in answer to one list.
const VERDICTS_PER_LIST_MAX: usize = 64;
/// Of these, such as speak against what the other side holds: after a partition those who are called gone come
/// back by themselves, and only the rest is worth a word.
const DISPUTES_PER_LIST_MAX: usize = 8;
/// Members that are dialled because of one list.
const SOUGHT_PER_LIST_MAX: usize = 4;

/// A part of a bucket: beyond `after`, to the end when `done`, else to the last one listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    pub index: u8,
    pub after: Option<MemberId>,
    pub done: bool,
}

/// Members that were lost one after the other.
#[derive(Default, Debug)]
pub struct Losses {
    count: u32,
    last: Time,
}

impl Losses {
    pub fn note(&mut self, now: Time) {
        self.count = if self.is_over(now) { 1 } else { self.count.saturating_add(1) };
        self.last = now;
    }

    /// Whether many were lost, and more may be lost yet.
    fn are_many(&self, now: Time) -> bool {
        self.count > LOSSES_MANY && !self.is_over(now)
    }

    fn is_over(&self, now: Time) -> bool {
        now >= self.last + LOSSES_APART
    }
}

/// Whom to ask next for members that were restored, and when. Heartbeats keep their order, and waits are whole seconds: without a
/// note of who was asked it would be the same peer again and again, who may wait for an answer too.
#[derive(Debug)]
pub struct Asking {
    at: Time,
    wait: Duration,
    /// Those who were asked in this round.
    asked: BTreeSet<MemberId>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Nobody was asked.
    First,
    /// All are asked at once: what news of the start was lost on the way is known at some of them.
    All,
    /// One is asked after the other.
    InTurn,
}

impl Asking {
    pub fn from(start: Time) -> Self {
        Self { at: start, wait: UNVOUCHED_WAIT, asked: BTreeSet::new(), stage: Stage::First }
    }

    /// Whether `peer`, of whom a heartbeat came, is to be asked.
    fn is_turn_of(&mut self, now: Time, peer: MemberId) -> bool {
        if now < self.at {
            return false;
        }
        if self.asked.contains(&peer) {
            if now < self.at + ROUND {
                return false;
            }
            self.asked.clear();
            self.stage = Stage::InTurn;
        }
        true
    }

    /// Looking costs something too.
    fn note_nothing_to_ask(&mut self, now: Time) {
        self.at = now + UNVOUCHED_WAIT;
    }

    #[cfg(test)]
    pub fn is_waiting(&self, now: Time) -> bool {
        self.at > now
    }

    fn note_asked(&mut self, now: Time, peer: MemberId) {
        self.asked.insert(peer);
        let (next, wait) = match self.stage {
            Stage::First => (Stage::All, UNVOUCHED_WAIT),
            Stage::All => (Stage::All, Duration::ZERO),
            Stage::InTurn => {
                self.wait = (self.wait * 2).min(UNVOUCHED_WAIT_MAX);
                (Stage::InTurn, self.wait)
            }
        };
        self.stage = next;
        self.at = now + wait;
    }
}

/// What the other side of a comparison lacks.
#[derive(Default)]
struct Lacking {
    cards: Vec<ShownCard>,
    leaves: Vec<Vec<u8>>,
    others: Vec<MembershipFrame>,
    disputes: usize,
}

impl Membership {
    /// A heartbeat showed the fingerprint of a peer's view.
    pub(super) fn compare(&mut self, step: &Step, peer: MemberId, view: u64) {
        let now = step.now.time;
        let mine = self.view.fingerprint();
        let lower = self.own.id() < peer;
        let Some(entry) = self.members.get_mut(&peer) else {
            return;
        };
        let exchange = &mut entry.near_mut().exchange;
        let first = !exchange.met;
        let seen = std::mem::replace(&mut exchange.seen, (mine, view));
        self.ask_for_unvouched(step, peer);
        let Some(entry) = self.members.get_mut(&peer) else {
            return;
        };
        // Put off with a stranger that is met because others are lost; who came lately, or came back, is none.
        let is_put_off = first && lower && self.losses.are_many(now) && !came_lately(entry, step.now.wall);
        let exchange = &mut entry.near_mut().exchange;
        exchange.met = view == mine || !is_put_off;
        if view == mine {
            exchange.mismatches = 0;
            // Whoever left while this member was gone, or this node was cut off, shows in no fingerprint.
            if std::mem::take(&mut exchange.returned) {
                self.send(peer, MembershipFrame::Buckets(self.view.buckets().to_vec()));
            }
            return;
        }
        let weight = if seen == (mine, view) { MISMATCH_AT_REST } else { MISMATCH_IN_MOTION };
        exchange.mismatches = exchange.mismatches.saturating_add(weight);
        let limit = if lower { MISMATCHES_LOWER } else { MISMATCHES_HIGHER };
        let begins = (first && lower && !is_put_off) || exchange.mismatches >= limit;
        if !begins || exchange.again_at > now {
            return;
        }
        exchange.again_at = now + COMPARE_SPACING;
        exchange.returned = false;
        debug!(?peer, mismatches = exchange.mismatches, "comparing views");
        let buckets = self.view.buckets().to_vec();
        self.send(peer, MembershipFrame::Buckets(buckets));
    }

    /// Members that were restored, and that this node neither watches nor was told of, are asked for: a list of
    /// fingerprints that leaves them out makes the other side say what it holds of them.
    fn ask_for_unvouched(&mut self, step: &Step, peer: MemberId) {
        let now = step.now.time;
        if self.restored.is_empty() || !self.asking.is_turn_of(now, peer) {
            return;
        }
        let unvouched = |id: &MemberId| self.members.get(id).filter(|entry| entry.is_unvouched());
        let open: Vec<_> =
            self.restored.iter().filter_map(|id| Some((*id, unvouched(id)?.shown_in_view().print(*id)))).collect();
        if open.is_empty() {
            self.asking.note_nothing_to_ask(now);
            return;
        }
        debug!(?peer, open = open.len(), "asking for those who were restored");
        self.asking.note_asked(now, peer);
        let mut view = self.view.clone();
        for (id, print) in open {
            view.replace(id, print, 0);
        }
        self.send(peer, MembershipFrame::Buckets(view.buckets().to_vec()));
    }

    /// A peer's fingerprints, bucket by bucket: lists what is held in those that differ.
    pub(super) fn handle_buckets(&mut self, step: &Step, peer: MemberId, theirs: &[u64]) {
        if theirs.len() != BUCKETS || !self.may_answer(step, peer) {
            trace!(?peer, buckets = theirs.len(), "buckets not answered");
            return;
        }
        let mine = self.view.buckets();
        for (index, _) in mine.iter().zip(theirs).enumerate().filter(|(_, (mine, theirs))| mine != theirs) {
            let index = u8::try_from(index).expect("there are 64 buckets");
            // What is left out is found at the next comparison.
            if self.may_answer(step, peer) {
                self.list_bucket(step, peer, index);
            }
        }
    }

    /// A peer's list of a part of a bucket: sends what is newer here or missing there, learns the ticks that
    /// are newer there, and lists the same part in turn.
    pub(super) fn handle_bucket(
        &mut self,
        step: &mut Step,
        peer: MemberId,
        part: Stretch,
        answer: bool,
        held: &[HeldMember],
    ) {
        let Some((low, high)) = part.bounds(held) else {
            return;
        };
        if !self.may_answer(step, peer) {
            return;
        }
        let theirs: BTreeMap<_, _> = held.iter().map(|line| (line.member, line)).collect();
        let me = self.own.id();
        let deaf = self.deaf.is_deaf();
        let mut lacking = Lacking::default();
        for (&id, entry) in self.members.range((low, high)) {
            lacking.weigh(entry, theirs.get(&id).copied(), step.now.time, deaf);
        }
        if within((low, high), me) {
            let card = self.own.card().value();
            if theirs.get(&me).is_none_or(|line| (line.run, line.version) < card.rank()) {
                lacking.cards.push(self.own_shown());
            } else if let Some(line) = theirs.get(&me).filter(|line| line.unreachable) {
                self.answer_for_self(step, peer, line.run, line.tick);
            }
        }
        // The list first: the other side answers it while it takes in the rest.
        if !answer {
            self.send_list(step, peer, part, (low, high), true);
        }
        self.spend(step, peer, (lacking.cards.len() + lacking.leaves.len() + lacking.others.len()) * ITEMS_PER_CARD);
        for frame in lacking.into_frames() {
            self.send(peer, frame);
        }
        for line in held.iter().filter(|line| !line.unreachable && !line.left && line.tick > 0) {
            let news = self.members.get(&line.member).is_some_and(|entry| {
                entry.run() == line.run
                    && (line.tick > entry.standing().tick || entry.is_reinstated_by(line.tick))
                    && entry.presence != Some(Presence::Alive)
            });
            if news {
                self.handle_held(step, line, peer);
            }
        }
        self.look_where_a_peer_differs(step.now.time, held);
    }

    /// Words do not settle what was found by a node that was cut off: it is kept to itself, and the ticks that others know of the member
    /// may be older. Then this node looks itself: for whom the other calls unreachable, and, once it is cut off no more, for whom it
    /// called so.
    fn look_where_a_peer_differs(&mut self, now: Time, held: &[HeldMember]) {
        let is_deaf = self.deaf.is_deaf();
        let mut sought = 0;
        for line in held.iter().filter(|line| !line.left) {
            let Some(entry) = self.members.get(&line.member).filter(|entry| entry.run() == line.run) else { continue };
            let is_lost_deaf = entry.presence == Some(Presence::Unreachable) && entry.near().lost_deaf.is_some();
            let is_heard_or_tested = entry.near().link.is_live(now) || entry.near().link.is_observed();
            if line.unreachable && entry.is_present() && !is_heard_or_tested {
                self.doubt_as_another(now, line.member);
            } else if !line.unreachable && line.tick > 0 && is_lost_deaf && !is_deaf && sought < SOUGHT_PER_LIST_MAX {
                sought += 1;
                self.seek(now, line.member);
            }
        }
    }

    /// A peer holds somebody present whom this node does not.
    fn handle_held(&mut self, step: &mut Step, line: &HeldMember, peer: MemberId) {
        let id = line.member;
        if !self.handle_told(step, id, line.run, line.tick, peer, peer) {
            return;
        }
        let Some(met) = self.members.get(&peer).map(Entry::told) else {
            return;
        };
        // A fellow that is cut off too may only be slower to notice; one that came back has seen the others.
        let is_fellow = |lost: Option<EventNumber>| self.deaf.is_deaf() && met < lost;
        let takes_back = |entry: &Entry| entry.is_reinstated_by(line.tick) && !is_fellow(entry.told());
        if self.members.get(&id).is_some_and(takes_back) {
            let detail = "holds it present, and this node was cut off itself when it lost it";
            let held =
                Evidence::new(EvidenceKind::Contradiction, peer, line.run, step.now.wall, detail).tick(line.tick);
            self.change(id, |entry| entry.reinstate(line.tick));
            self.revive(step, id, vec![held]);
            self.rely_on(peer, id);
        }
    }

    fn may_answer(&mut self, step: &Step, peer: MemberId) -> bool {
        self.members.get_mut(&peer).is_some_and(|entry| entry.near_mut().budget.has_items(step.now.time))
    }

    fn spend(&mut self, step: &Step, peer: MemberId, items: usize) {
        if let Some(entry) = self.members.get_mut(&peer) {
            entry.near_mut().budget.spend_items(step.now.time, u32::try_from(items).unwrap_or(u32::MAX));
        }
    }

    fn list_bucket(&mut self, step: &Step, peer: MemberId, index: u8) {
        let (first, last) = stretch(index);
        let range = (Bound::Included(first), Bound::Included(last));
        self.send_list(step, peer, Stretch { index, after: None, done: true }, range, false);
    }

    /// Lists what is held between two ids, this node included, in as many frames as it takes.
    fn send_list(&mut self, step: &Step, peer: MemberId, part: Stretch, range: Range, answer: bool) {
        let me = self.own.id();
        let mut lines: Vec<_> = self.members.range(range).map(|(_, entry)| entry.held()).collect();
        if within(range, me) {
            let card = self.own.card().value();
            let tick = self.own.tick(step.now.time);
            let own =
                HeldMember { member: me, run: card.run, version: card.version, left: false, unreachable: false, tick };
            let at = lines.partition_point(|line| line.member < me);
            lines.insert(at, own);
        }
        if answer && !part.done {
            close_stretch(&mut lines, range.1);
        }
        self.spend(step, peer, ITEMS_PER_LIST + lines.len());
        // An answer that does not reach the end of its stretch would say nothing of what lies beyond.
        let mut after = part.after;
        let mut chunks = lines.chunks(LINES_PER_LIST).peekable();
        let mut frames = Vec::new();
        if chunks.peek().is_none() {
            frames.push((after, part.done, Vec::new()));
        }
        while let Some(chunk) = chunks.next() {
            let done = chunks.peek().is_none() && part.done;
            frames.push((after, done, chunk.to_vec()));
            after = chunk.last().map(|line| line.member);
        }
        for (after, done, held) in frames {
            self.send(peer, MembershipFrame::Bucket { index: part.index, after, done, answer, held });
        }
    }
}

/// An answer reaches as far as its last line. Where this node does not know who stands there it says so: a member in no run.
fn close_stretch(lines: &mut Vec<HeldMember>, end: Bound<MemberId>) {
    if let Bound::Included(member) = end
        && lines.last().is_none_or(|line| line.member < member)
    {
        let run = Run { incarnation: 0, boot: 0 };
        lines.push(HeldMember { member, run, version: 0, left: false, unreachable: false, tick: 0 });
    }
}

type Range = (Bound<MemberId>, Bound<MemberId>);

/// Whether a member is alive, and not for long, by this node's wall clock.
fn came_lately(entry: &Entry, now: Wall) -> bool {
    let since = Duration::from_millis(now.0.abs_diff(entry.since.0));
    entry.presence == Some(Presence::Alive) && since <= LATELY
}

/// Whether an id lies within.
fn within(range: Range, id: MemberId) -> bool {
    range.contains(&id)
}

impl Stretch {
    /// The ids that the list speaks of; `None` for a list that is not one: too long, out of order, or with ids
    /// from elsewhere.
    fn bounds(&self, held: &[HeldMember]) -> Option<Range> {
        if usize::from(self.index) >= BUCKETS || held.len() > HELD_PER_FRAME_MAX {
            return None;
        }
        let index = usize::from(self.index);
        let at_home = |id: MemberId| bucket(id) == index;
        let ordered = held.windows(2).all(|pair| pair[0].member < pair[1].member);
        let fits = held.iter().all(|line| at_home(line.member) && self.after.is_none_or(|after| line.member > after));
        if !ordered || !fits || !self.after.is_none_or(at_home) {
            return None;
        }
        let (first, last) = stretch(self.index);
        let low = self.after.map_or(Bound::Included(first), Bound::Excluded);
        let high = if self.done { last } else { held.last()?.member };
        Some((low, Bound::Included(high)))
    }
}

impl Lacking {
    /// Notes what the other side lacks of a member, by its line in the other's list.
    fn weigh(&mut self, entry: &Entry, line: Option<&HeldMember>, now: Time, deaf: bool) {
        let rank = entry.card.value().rank();
        let newer_run = line.is_none_or(|line| line.run < entry.run());
        if line.is_none_or(|line| (line.run, line.version) < rank) {
            self.cards.push(entry.shown_card());
        }
        if line.is_some_and(|line| line.run > entry.run()) {
            return;
        }
        if let Some(leave) = entry.near().leave.as_ref().filter(|_| newer_run || line.is_some_and(|line| !line.left)) {
            self.leaves.push(leave.bytes().to_vec());
            return;
        }
        if self.others.len() >= VERDICTS_PER_LIST_MAX || line.is_some_and(|line| line.left) {
            return;
        }
        // Ticks that are newer here the other side learns from the list that it gets.
        let tick = entry.standing().tick;
        if !entry.standing().unreachable || deaf || entry.near().lost_deaf.is_some() {
            return;
        }
        let outranks = |line: &HeldMember| line.tick <= tick || !entry.near().link.is_plausible(now, line.tick);
        let (silent, disputed) = match line.filter(|line| !line.unreachable) {
            // Who only suspects it, or has no more than its card, gives no word for it, so this speaks against none.
            Some(line) if line.tick == 0 => (true, false),
            Some(line) => (false, outranks(line)),
            None => (false, false),
        };
        if newer_run || silent || (disputed && self.disputes < DISPUTES_PER_LIST_MAX) {
            self.disputes += usize::from(disputed);
            self.others.push(entry.unreachable_frame());
        }
    }

    /// Cards first: the rest speaks of what they show. Each is a frame of its own, which transport packs into datagrams.
    fn into_frames(self) -> impl Iterator<Item = MembershipFrame> {
        let cards = self.cards.into_iter().map(|card| MembershipFrame::Cards(vec![card]));
        let leaves = self.leaves.into_iter().map(|leave| MembershipFrame::Leaves(vec![leave]));
        cards.chain(leaves).chain(self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::super::standing::Standing;
    use super::super::tests::bench::{card, report_on, run};
    use super::*;
    use crate::base::Now;
    use crate::wire::codec;
    use crate::wire::sealed::WHOLE_FRAME_BYTES_MAX;

    #[test]
    fn losses_are_many_until_none_comes_for_a_while() {
        let ms = |ms: u64| Time::from_micros(ms * 1000);
        let mut losses = Losses::default();
        assert!(!losses.are_many(ms(0)));
        for n in 1..=u64::from(LOSSES_MANY) {
            losses.note(ms(10_000 + 1_999 * n));
        }
        let last = 10_000 + 1_999 * u64::from(LOSSES_MANY);
        assert!(!losses.are_many(ms(last)));
        losses.note(ms(last + 1_999));
        assert!(losses.are_many(ms(last + 1_999)) && losses.are_many(ms(last + 3_998)));
        assert!(!losses.are_many(ms(last + 3_999)));
        losses.note(ms(last + 3_999));
        assert!(!losses.are_many(ms(last + 3_999)), "it is another one");
    }

    fn verdicts_told(their_tick: u64) -> usize {
        let now = Now { time: Time::ZERO, wall: Wall(0), lag: Duration::ZERO };
        let card = card("bo", run(100), 1);
        let mut entry = Entry::new(card.clone(), now.wall);
        entry.stand(Standing::unreachable(run(100), 9));
        let by = card.value().member;
        let basis = vec![Evidence::report(by, by, &report_on("bo", 9), now.wall)];
        entry.place(Presence::Unreachable, now.wall, basis);
        let mut lacking = Lacking::default();
        for _ in 0..2 * DISPUTES_PER_LIST_MAX {
            let line = HeldMember { tick: their_tick, left: false, unreachable: false, ..entry.held() };
            lacking.weigh(&entry, Some(&line), now.time, false);
        }
        lacking.others.len()
    }

    #[test]
    fn a_verdict_speaks_against_those_only_who_give_their_word() {
        assert_eq!(verdicts_told(9), DISPUTES_PER_LIST_MAX);
        assert_eq!(verdicts_told(10), 0, "they know better");
        assert_eq!(verdicts_told(0), 2 * DISPUTES_PER_LIST_MAX, "nobody says that it is there");
    }

    #[test]
    fn a_list_is_one_datagram_however_long_its_lines() {
        let line = HeldMember {
            member: MemberId([0xff; 32]),
            run: Run { incarnation: u64::MAX, boot: u64::MAX },
            version: u32::MAX,
            left: true,
            unreachable: true,
            tick: u64::MAX,
        };
        let after = Some(line.member);
        let held = vec![line; LINES_PER_LIST];
        let frame = MembershipFrame::Bucket { index: u8::MAX, after, done: true, answer: true, held };
        assert!(codec::encode(&frame).len() <= WHOLE_FRAME_BYTES_MAX);
    }

    /// In which second after its start a node asks which of those that beat once a second, in this order.
    fn asked(peers: &[u8], seconds: u64) -> Vec<(u64, u8)> {
        let mut asking = Asking::from(Time::ZERO);
        let mut asked = Vec::new();
        for second in 0..seconds {
            for (place, &peer) in (0..).zip(peers) {
                let now = Time::ZERO + Duration::from_millis(second * 1_000 + place * 100);
                let id = MemberId([peer; 32]);
                if asking.is_turn_of(now, id) {
                    asking.note_asked(now, id);
                    asked.push((second, peer));
                }
            }
        }
        asked
    }

    #[test]
    fn one_is_asked_for_those_restored_then_all_others_and_then_one_after_the_other() {
        let expected = [(0, 1), (2, 2), (2, 3), (4, 1), (8, 2), (16, 3), (34, 1), (66, 2), (130, 3)];
        assert_eq!(asked(&[1, 2, 3], 200), expected);
        assert_eq!(asked(&[1], 40), [(0, 1), (4, 1), (10, 1), (20, 1), (38, 1)], "there is nobody else to wait for");
    }
}
