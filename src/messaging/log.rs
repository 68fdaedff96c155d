//! The room's messages as this node holds them: by author, run and sequence number, with the hash chain of
//! each run, what is kept to be given to others, and a fingerprint of it all. Owns what is held; knows
//! nothing of peers, receipts or time.

mod restore;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::ranges::{Chain, Linked, Span};
use super::record::{GapRecord, GroupKept, Proof};
use crate::base::limits::{
    FORKS_PER_RUN_MAX, RETAINED_BYTES_MAX, RETAINED_MESSAGES_MAX, RUNS_PER_AUTHOR_MAX, STRANGE_AUTHORS_MAX,
};
use crate::base::{Cause, Lived, MemberId, MessageId, Run, Seq, Time, Wall};

/// Where a group message stands.
pub(super) type Place = (MemberId, Run, Seq);

#[derive(Debug, Default)]
pub(super) struct Log {
    authors: BTreeMap<MemberId, Author>,
    /// Places in the order in which their messages were committed: what is pruned first.
    arrived: VecDeque<Place>,
    bytes: usize,
    /// Of what is held back, whether it is kept to be given or not.
    held_back_bytes: usize,
    places: BTreeMap<MessageId, Place>,
    digest: u64,
}

/// All that is known of one author in the room.
#[derive(Debug, Default)]
pub(super) struct Author {
    /// Runs below are not tracked any more: the newest that was forgotten is just below.
    pub floor: Option<Run>,
    pub runs: BTreeMap<Run, RunLog>,
    /// Committed, and not told yet because something before it is missing.
    untold: BTreeMap<(Run, Seq), HeldBack>,
    deadlines: BTreeSet<(Time, Run, Seq)>,
    /// What is told next, in this order.
    pub telling: VecDeque<Telling>,
    digest: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Untold {
    pub deadline: Time,
    pub cause: Option<Cause>,
}

/// A group message that waits for those before it, with its text: it may be let go meanwhile, and is told all the same.
#[derive(Debug)]
pub(super) struct HeldBack {
    pub untold: Untold,
    /// The message, and others of its place that came while it waited.
    pub versions: Vec<Kept>,
}

impl HeldBack {
    fn bytes(&self) -> usize {
        self.versions.iter().map(|kept| kept.bytes.len()).sum()
    }
}

impl Author {
    pub const fn untold(&self) -> &BTreeMap<(Run, Seq), HeldBack> {
        &self.untold
    }

    /// Whether a run is tracked, or can be without another being forgotten.
    pub fn has_room(&self, run: Run) -> bool {
        self.runs.contains_key(&run) || self.runs.len() < RUNS_PER_AUTHOR_MAX
    }

    /// Whether something of the author that is held back waits for what is missing of `run` up to `last`.
    pub fn waits_for(&self, run: Run, last: Seq) -> bool {
        // The first of a run waits for those before it.
        self.untold.keys().any(|&(of, seq)| (of == run && seq > last) || (of > run && seq == 1))
    }

    /// When the first that is held back is told whatever is missing before it.
    pub fn deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|&(deadline, _, _)| deadline)
    }
}

/// Something to be told about an author, in its turn.
#[derive(Debug)]
pub(super) enum Telling {
    Message {
        place: Place,
        kept: Kept,
        cause: Option<Cause>,
        late: bool,
    },
    /// Told once record `after` is on disk.
    Gap {
        gap: GapRecord,
        after: u64,
        cause: Option<Cause>,
    },
}

/// One run of an author.
#[derive(Debug, Default)]
pub(super) struct RunLog {
    pub chain: Chain,
    pub kept: BTreeMap<Seq, Kept>,
    /// Messages of a place that another message holds.
    pub forks: Vec<(Seq, Kept)>,
    /// Such messages on their way to the disk.
    pub forks_incoming: BTreeSet<MessageId>,
    /// Received, not yet on disk.
    pub incoming: BTreeMap<Seq, MessageId>,
    /// All up to it were told, or given up.
    pub told: Seq,
    /// The head that an earlier run of this node left: what comes below it may have been overtaken on its screen.
    pub restored: Seq,
    /// The last message of the run, where a later run names it.
    pub named: Seq,
    /// Up to here texts are no longer kept.
    pub pruned: Seq,
    /// Up to here messages were said before this node came to the room, and are no gap.
    pub history: Seq,
    /// The number of the record that says so: nothing of the run shows before that is on the disk.
    pub history_after: u64,
    pub proof: Option<Proof>,
    pub broken: bool,
}

/// A group message that can be given to others.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub id: MessageId,
    pub bytes: Arc<[u8]>,
    pub via: MemberId,
    pub recovered: bool,
    pub at: Wall,
    /// For how long this node had run then.
    pub lived: Lived,
    pub duplicates: u64,
}

/// Where a message with a given place and id stands in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// Of a run that is no longer tracked, or below the floor of its run.
    Below,
    /// Committed.
    Held,
    /// Committed, but its text and id are no longer kept.
    HeldUnnamed,
    /// On its way to the disk.
    Incoming,
    /// Another message stands in its place.
    Other,
    New,
}

impl Log {
    /// Whether messages of an earlier run of the author, which a later one names, belong to this node's time: a run that is not known at all
    /// is missing only where an older one is known.
    pub fn is_expected(&self, author: MemberId, earlier: Run) -> bool {
        let Some(known) = self.authors.get(&author) else { return false };
        if known.floor.is_some_and(|floor| earlier < floor) {
            return false;
        }
        known.runs.contains_key(&earlier) || known.floor.is_some() || known.runs.range(..earlier).next().is_some()
    }

    /// Where a message of `id` at `place` stands.
    pub fn known(&self, place: Place, id: MessageId) -> Known {
        let (author, run, seq) = place;
        let Some(author) = self.authors.get(&author) else { return Known::New };
        if author.floor.is_some_and(|floor| run < floor) {
            return Known::Below;
        }
        let Some(run) = author.runs.get(&run) else { return Known::New };
        if run.forks.iter().any(|(at, kept)| *at == seq && kept.id == id) {
            return Known::Held;
        }
        if run.forks_incoming.contains(&id) {
            return Known::Incoming;
        }
        // What is kept is known, though its span of the chain may have been given up for others.
        if let Some(kept) = run.kept.get(&seq) {
            return if kept.id == id { Known::Held } else { Known::Other };
        }
        if run.chain.contains(seq) {
            return Known::HeldUnnamed;
        }
        match run.incoming.get(&seq) {
            Some(&incoming) if incoming == id => Known::Incoming,
            Some(_) => Known::Other,
            None if seq <= run.chain.floor() => Known::Below,
            None => Known::New,
        }
    }

    /// Makes room for a run that is not tracked yet. Gives what was forgotten for it; `Err` if it is the lowest itself.
    pub fn admit_run(&mut self, author: MemberId, run: Run) -> Result<Option<Forgotten>, RunTooOld> {
        let known = self.authors.entry(author).or_default();
        if known.floor.is_some_and(|floor| run < floor) {
            return Err(RunTooOld);
        }
        if known.runs.contains_key(&run) {
            return Ok(None);
        }
        let lowest = known.runs.keys().next().copied().filter(|_| known.runs.len() >= RUNS_PER_AUTHOR_MAX);
        if lowest.is_some_and(|lowest| run < lowest) {
            return Err(RunTooOld);
        }
        known.runs.insert(run, RunLog::default());
        Ok(lowest.map(|lowest| self.forget_runs(author, lowest.next())))
    }

    /// Passes over a run that there is no room for, and that was never tracked: it is below the floor from now on.
    pub fn pass_over_run(&mut self, author: MemberId, run: Run) -> Forgotten {
        self.forget_runs(author, run.next())
    }

    fn forget_runs(&mut self, author: MemberId, below: Run) -> Forgotten {
        let known = self.authors.entry(author).or_default();
        known.floor = Some(below);
        let stay = known.runs.split_off(&below);
        let gone = std::mem::replace(&mut known.runs, stay);
        let holes = gone.iter().flat_map(|(&run, of)| {
            let untold = of.missing(of.told.max(of.history) + 1, of.last_known());
            untold.into_iter().map(move |(first, last)| (run, first, last))
        });
        let holes = holes.collect();
        let chains = gone.iter().map(|(&run, of)| (run, of.chain.clone())).collect();
        let stay = known.untold.split_off(&(below, 0));
        let untold = std::mem::replace(&mut known.untold, stay);
        let forgotten = Forgotten { below, chains, holes, untold };
        known.deadlines.retain(|&(_, run, _)| run >= below);
        self.held_back_bytes -= forgotten.untold.values().map(HeldBack::bytes).sum::<usize>();
        for kept in
            gone.into_values().flat_map(|run| run.kept.into_values().chain(run.forks.into_iter().map(|fork| fork.1)))
        {
            self.bytes -= kept.bytes.len();
            self.places.remove(&kept.id);
        }
        self.arrived.retain(|&(a, run, _)| a != author || run >= below);
        self.refresh_digest(author);
        forgotten
    }

    /// Puts a committed message in its place; `prev` is what it names in its run.
    pub fn commit(&mut self, place: Place, kept: Kept, prev: Option<MessageId>) -> Linked {
        let (author, run, seq) = place;
        let known = self.authors.entry(author).or_default().runs.entry(run).or_default();
        if known.incoming.get(&seq) == Some(&kept.id) {
            known.incoming.remove(&seq);
        }
        known.forks_incoming.remove(&kept.id);
        let linked = known.chain.insert(seq, kept.id, prev);
        self.arrived.push_back(place);
        self.keep(place, kept);
        self.refresh_digest(author);
        linked
    }

    fn keep(&mut self, place: Place, kept: Kept) {
        let (author, run, seq) = place;
        let known = self.authors.entry(author).or_default().runs.entry(run).or_default();
        self.bytes += kept.bytes.len();
        self.places.insert(kept.id, place);
        match known.kept.entry(seq) {
            std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(kept)),
            std::collections::btree_map::Entry::Occupied(_) => known.forks.push((seq, kept)),
        }
    }

    /// Takes back the newest message of a run, which was never sent.
    pub fn undo(&mut self, place: Place, prev: Option<MessageId>) {
        let (author, run, seq) = place;
        let Some(known) = self.run_mut(author, run) else { return };
        known.chain.remove_head(seq, prev);
        let kept = known.kept.remove(&seq);
        if known.chain.spans().is_empty() && known.chain.floor() == 0 {
            self.authors.get_mut(&author).and_then(|author| author.runs.remove(&run));
        }
        if let Some(kept) = kept {
            self.bytes -= kept.bytes.len();
            self.places.remove(&kept.id);
        }
        self.arrived.retain(|&at| at != place);
        self.refresh_digest(author);
    }

    /// What must go so that the rest keeps to the limits, as (author, run, up to): a sixteenth more than
    /// needed, so that pruning is rare; and whatever came before `oldest`. What waits to be told holds its text itself.
    pub fn prune(&mut self, oldest: Lived) -> BTreeMap<(MemberId, Run), Seq> {
        let mut pruned = BTreeMap::new();
        let over = self.arrived.len() > RETAINED_MESSAGES_MAX || self.bytes > RETAINED_BYTES_MAX;
        let spare = |max: usize| if over { max - max / 16 } else { max };
        while let Some(&(author, run, seq)) = self.arrived.front() {
            let fits = self.arrived.len() <= spare(RETAINED_MESSAGES_MAX) && self.bytes <= spare(RETAINED_BYTES_MAX);
            let kept = self.run(author, run).and_then(|known| known.kept.get(&seq));
            if fits && kept.is_none_or(|kept| kept.lived >= oldest) {
                break;
            }
            self.arrived.pop_front();
            let Some(known) = self.run_mut(author, run) else { continue };
            // What came late to a place that was cut already goes too.
            let upto = seq.max(known.pruned);
            known.pruned = upto;
            let stay = known.kept.split_off(&(upto + 1));
            let gone = std::mem::replace(&mut known.kept, stay);
            let (forks, stay) = std::mem::take(&mut known.forks).into_iter().partition(|(at, _)| *at <= upto);
            known.forks = stay;
            let forks: Vec<(Seq, Kept)> = forks;
            for kept in gone.into_values().chain(forks.into_iter().map(|fork| fork.1)) {
                self.bytes -= kept.bytes.len();
                self.places.remove(&kept.id);
            }
            pruned.insert((author, run), upto);
        }
        if !pruned.is_empty() {
            self.arrived.retain(|&(author, run, seq)| pruned.get(&(author, run)).is_none_or(|&upto| seq > upto));
        }
        pruned
    }

    /// Whether one more author that membership does not know may be tracked, where it knows `members`.
    pub fn has_room_for_author(&self, members: usize) -> bool {
        self.authors.len() < members.saturating_add(STRANGE_AUTHORS_MAX)
    }

    /// A committed message waits for those before it.
    pub fn hold_back(&mut self, place: Place, untold: Untold) {
        let (author, run, seq) = place;
        let Some(known) = self.authors.get_mut(&author) else { return };
        let Some(kept) = known.runs.get(&run).and_then(|of| of.kept.get(&seq)).cloned() else { return };
        known.deadlines.insert((untold.deadline, run, seq));
        let held_back = HeldBack { untold, versions: vec![kept] };
        self.held_back_bytes += held_back.bytes();
        known.untold.insert((run, seq), held_back);
    }

    /// Another message of a place whose first is held back waits with it. Gives it back where none is.
    pub fn hold_back_beside(&mut self, place: Place, kept: Kept) -> Option<Kept> {
        let (author, run, seq) = place;
        let known = self.authors.get_mut(&author);
        let Some(held_back) = known.and_then(|known| known.untold.get_mut(&(run, seq))) else { return Some(kept) };
        self.held_back_bytes += kept.bytes.len();
        held_back.versions.push(kept);
        None
    }

    /// What was held back waits no longer.
    pub fn release(&mut self, place: Place) -> Option<HeldBack> {
        let (author, run, seq) = place;
        let known = self.authors.get_mut(&author)?;
        let held_back = known.untold.remove(&(run, seq))?;
        known.deadlines.remove(&(held_back.untold.deadline, run, seq));
        self.held_back_bytes -= held_back.bytes();
        Some(held_back)
    }

    pub const fn held_back_bytes(&self) -> usize {
        self.held_back_bytes
    }

    pub fn author(&self, author: MemberId) -> Option<&Author> {
        self.authors.get(&author)
    }

    pub fn author_mut(&mut self, author: MemberId) -> Option<&mut Author> {
        self.authors.get_mut(&author)
    }

    pub fn authors(&self) -> impl Iterator<Item = (MemberId, &Author)> {
        self.authors.iter().map(|(&id, author)| (id, author))
    }

    pub fn run(&self, author: MemberId, run: Run) -> Option<&RunLog> {
        self.authors.get(&author)?.runs.get(&run)
    }

    pub fn run_mut(&mut self, author: MemberId, run: Run) -> Option<&mut RunLog> {
        self.authors.get_mut(&author)?.runs.get_mut(&run)
    }

    pub fn kept(&self, place: Place, id: MessageId) -> Option<&Kept> {
        self.run(place.0, place.1)?.versions(place.2).find(|kept| kept.id == id)
    }

    pub fn kept_mut(&mut self, place: Place, id: MessageId) -> Option<&mut Kept> {
        let run = self.run_mut(place.0, place.1)?;
        let forks = run.forks.iter_mut().filter(|(at, _)| *at == place.2).map(|(_, kept)| kept);
        run.kept.get_mut(&place.2).into_iter().chain(forks).find(|kept| kept.id == id)
    }

    pub fn place_of(&self, id: MessageId) -> Option<Place> {
        self.places.get(&id).copied()
    }

    pub fn places(&self) -> &BTreeMap<MessageId, Place> {
        &self.places
    }

    /// Messages kept, their bytes.
    pub fn size(&self) -> (usize, usize) {
        (self.places.len(), self.bytes)
    }

    /// Fingerprint of each author's newest (run, head id): equal on nodes that hold the same heads.
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    // A sum, so that one author's change costs one hash whatever the number of authors.
    fn refresh_digest(&mut self, id: MemberId) {
        let Some(author) = self.authors.get_mut(&id) else { return };
        let newest = author.runs.iter().rev().find_map(|(run, known)| Some((run, known.chain.head()?)));
        let fresh = newest.map_or(0, |(run, (_, head))| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&id.0);
            hasher.update(&run.incarnation.to_be_bytes());
            hasher.update(&run.boot.to_be_bytes());
            hasher.update(&head.0);
            let hash = hasher.finalize();
            u64::from_be_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
        });
        self.digest = self.digest.wrapping_sub(author.digest).wrapping_add(fresh);
        author.digest = fresh;
    }
}

/// What was forgotten of an author to make room for a newer run.
#[derive(Debug)]
pub(super) struct Forgotten {
    /// Runs below are not tracked any more.
    pub below: Run,
    /// What was held of each.
    pub chains: BTreeMap<Run, Chain>,
    /// What was missing of them, and was not told yet.
    pub holes: Vec<(Run, Seq, Seq)>,
    /// What was held back of them.
    pub untold: BTreeMap<(Run, Seq), HeldBack>,
}

/// The run is below those that are tracked of its author.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RunTooOld;

impl RunLog {
    /// The messages kept of one place: more than one where the author equivocates.
    pub fn versions(&self, seq: Seq) -> impl Iterator<Item = &Kept> {
        let forks = self.forks.iter().filter(move |(at, _)| *at == seq).map(|(_, kept)| kept);
        self.kept.get(&seq).into_iter().chain(forks)
    }

    pub fn has_room_for_fork(&self) -> bool {
        self.forks.len() + self.forks_incoming.len() < FORKS_PER_RUN_MAX
    }

    /// The newest message that is known to exist: held, or named by the author's next run.
    pub fn last_known(&self) -> Seq {
        self.chain.head().map_or(0, |(head, _)| head).max(self.named)
    }

    /// What of `first..=last` is neither held nor on its way to the disk.
    pub fn missing(&self, first: Seq, last: Seq) -> Vec<(Seq, Seq)> {
        let mut missing = Vec::new();
        for (mut from, to) in self.chain.missing(first, last) {
            for (&seq, _) in self.incoming.range(from..=to) {
                if seq > from {
                    missing.push((from, seq - 1));
                }
                from = seq + 1;
            }
            if from <= to {
                missing.push((from, to));
            }
        }
        missing
    }

    /// What can be given to others, ascending.
    pub fn given_ranges(&self) -> impl DoubleEndedIterator<Item = (Seq, Seq)> + '_ {
        let from = self.pruned + 1;
        self.chain
            .spans()
            .iter()
            .filter(move |span| span.last >= from)
            .map(move |span: &Span| (span.first.max(from), span.last))
    }
}

impl From<&GroupKept> for Kept {
    fn from(kept: &GroupKept) -> Self {
        Self {
            id: kept.id,
            bytes: kept.bytes.clone(),
            via: kept.via,
            recovered: kept.recovered,
            at: kept.at,
            lived: kept.lived,
            duplicates: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHOR: MemberId = MemberId([1; 32]);
    const RUN: Run = Run { incarnation: 1, boot: 1 };

    fn id(seq: Seq) -> MessageId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seq.to_be_bytes());
        MessageId(bytes)
    }

    fn kept(seq: Seq) -> Kept {
        let bytes = vec![0; 100].into();
        Kept { id: id(seq), bytes, via: AUTHOR, recovered: false, at: Wall(1), lived: Lived(1), duplicates: 0 }
    }

    #[test]
    fn what_comes_late_below_what_was_pruned_is_pruned_too() {
        let mut log = Log::default();
        log.commit((AUTHOR, RUN, 9), kept(9), None);
        assert_eq!(log.prune(Lived(2)), BTreeMap::from([((AUTHOR, RUN), 9)]));
        for seq in 1..9 {
            log.commit((AUTHOR, RUN, seq), kept(seq), None);
        }
        assert_eq!(log.size(), (8, 800));
        assert_eq!(log.prune(Lived(2)), BTreeMap::from([((AUTHOR, RUN), 9)]));
        assert_eq!(log.size(), (0, 0));
    }

    #[test]
    fn what_is_kept_is_held_though_its_span_was_given_up() {
        let mut log = Log::default();
        for number in 0..=256 {
            let seq = 2 + number * 2;
            log.commit((AUTHOR, RUN, seq), kept(seq), Some(id(seq - 1)));
        }
        assert_eq!(log.run(AUTHOR, RUN).map(|of| of.chain.floor()), Some(2));
        assert_eq!(log.known((AUTHOR, RUN, 2), id(2)), Known::Held);
        assert_eq!(log.known((AUTHOR, RUN, 1), id(1)), Known::Below);
    }
}
