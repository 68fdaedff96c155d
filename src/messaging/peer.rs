//! What is under way to one member: the queue, the window in flight, the unsettled deliveries. Owns these
//! and their bounds; knows no text and decides no outcome.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;
use std::time::Duration;

use super::book::OutId;
use super::carry::SeenNumbers;
use super::flight::{Flight, Flights};
use super::pto::Pace;
use super::stretches::Stretches;
use crate::base::limits::{
    DATAGRAM_BYTES_MAX, GIVEN_BYTES_PER_SECOND_MAX, IN_FLIGHT_DATAGRAMS_MAX, OUTSTANDING_BYTES_MAX,
    OUTSTANDING_MESSAGES_MAX, RECOVERY_PULLS_MAX, WAITING_BYTES_MAX, WAITING_MESSAGES_MAX,
};
use crate::base::{ByMember, MemberId, MessageId, OfMember, Path, Presence, Run, Seq, SharedId, Time};
use crate::wire::{Lacking, MessagingFrame};

/// A frame's own bytes and its share of a datagram's header, beside the message.
const FRAME_BYTES: usize = 40;
/// What of a datagram carries frames.
const DATAGRAM_ROOM_BYTES: usize = DATAGRAM_BYTES_MAX - 100;
/// A member that takes so much in so long is waited for by whoever says more; a slower one, or one that has receipted nothing
/// for longer than any stall of a sound disk, is left to fetch what it misses. 25 KiB a second is far above what people
/// type, so that nobody can slow a conversation by taking little.
const TAKING_SPAN: Duration = Duration::from_secs(10);
const TAKEN_BYTES_MIN: usize = 256 * 1024;
const SILENCE: Duration = Duration::from_secs(5);
const WINDOW_BYTES: usize = IN_FLIGHT_DATAGRAMS_MAX * DATAGRAM_ROOM_BYTES;

/// A member, and what messaging has to do with it: with most of a large room nothing, and then this is all.
#[derive(Debug)]
pub(super) struct Peer {
    id: SharedId,
    pub presence: Option<Presence>,
    /// Made when it is first changed.
    work: Option<Box<Work>>,
}

#[derive(Debug, Default)]
pub(super) struct Work {
    /// The run of the session that is open.
    pub session: Option<Run>,
    pub path: Path,
    pub heard: Option<Time>,
    pub pace: Pace,
    queue: VecDeque<OutId>,
    pub flights: Flights,
    stage: BTreeMap<OutId, usize>,
    in_flight_bytes: usize,
    outstanding_bytes: usize,
    taking: Taking,
    /// Deliveries that are not settled: group ones by place, private ones in the order in which they were said.
    pub group: BTreeMap<(Run, Seq), OutId>,
    pub private: BTreeMap<OutId, usize>,
    private_bytes: usize,
    /// What it pulled and is still to be given.
    pub giving: VecDeque<Giving>,
    pub allowance: Allowance,
    /// How often it was asked for receipts of the room since something was last left open.
    pub group_probes: u8,
    /// Its run, and our own, when frontiers last went to it: who begins anew has nothing of what was said before.
    frontier_runs: Option<(Run, Option<Run>)>,
    pub frontier_sent: Option<Time>,
    pub frontier_answered: Option<Time>,
    /// What of the last one still has to leave.
    pub frontier_parts: VecDeque<MessagingFrame>,
    /// What of its own is here since it was last wanted, and at all.
    pub frontier_came: Stretches,
    pub frontier_first: Stretches,
    /// They named a run.
    pub has_runs: bool,
    pub digest: SeenDigest,
    /// Of the receipts that it passed on.
    pub seen_numbers: SeenNumbers,
}

/// How fast a member takes what it is sent, while it has no room for more.
#[derive(Clone, Copy, Debug, Default)]
struct Taking {
    receipted: Option<Time>,
    /// What it receipted since `began`.
    bytes: usize,
    began: Time,
    /// In the span before it took next to nothing.
    is_slow: bool,
}

impl Taking {
    fn receipted(&mut self, now: Time, bytes: usize) {
        self.receipted = Some(now);
        self.bytes += bytes;
    }

    /// Whether it is worth waiting for.
    fn is_on(&mut self, now: Time) -> bool {
        if now.since(self.began) >= TAKING_SPAN {
            self.is_slow = now.since(self.began) < TAKING_SPAN * 2 && self.bytes < TAKEN_BYTES_MIN;
            (self.began, self.bytes) = (now, 0);
        }
        !self.is_slow && self.receipted.is_some_and(|at| now.since(at) < SILENCE)
    }
}

/// Something that was pulled.
#[derive(Debug)]
pub(super) struct Giving {
    /// It leaves once the record of this number is on disk.
    pub after: u64,
    /// The pull that it answers: whose run, and which messages of it.
    pub pull: (MemberId, Run, Seq, Seq),
    pub what: Given,
}

#[derive(Debug)]
pub(super) enum Given {
    /// With its number in the book of one's own messages, if it is one.
    Message(Seq, MessageId, Option<OutId>),
    /// All was given.
    End(Vec<Lacking>),
}

/// What a peer's heartbeats said of what it holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SeenDigest {
    pub theirs: Option<u64>,
    pub ours: u64,
    pub followed: Option<Followed>,
    /// What it holds was not heard in this session, or not all of that was asked for: a digest, which is of the newest run of
    /// each author, says nothing of what is missing then.
    pub wants_frontier: bool,
}

/// A difference that was followed up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Followed {
    /// The peer's digest and one's own.
    pub difference: (u64, u64),
    pub at: Time,
    /// For how long it is left alone from then on.
    pub rest: Duration,
}

/// Bytes that a peer may still be given for its pulls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    bytes: u64,
    at: Time,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { bytes: GIVEN_BYTES_PER_SECOND_MAX, at: Time::ZERO }
    }
}

impl Allowance {
    /// Takes `bytes`, or says how long until they are there.
    pub fn take(&mut self, bytes: usize, now: Time) -> Result<(), Duration> {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let earned = micros.saturating_mul(GIVEN_BYTES_PER_SECOND_MAX) / 1_000_000;
        if earned > 0 {
            self.bytes = self.bytes.saturating_add(earned).min(GIVEN_BYTES_PER_SECOND_MAX);
            self.at = now;
        }
        let wanted = u64::try_from(bytes).unwrap_or(u64::MAX);
        if wanted <= self.bytes {
            self.bytes -= wanted;
            return Ok(());
        }
        let lacks = (wanted - self.bytes).min(GIVEN_BYTES_PER_SECOND_MAX);
        Err(Duration::from_micros(lacks * 1_000_000 / GIVEN_BYTES_PER_SECOND_MAX + 1000))
    }
}

const _: () = assert!(size_of::<Peer>() <= 24, "there is one for each pair of members of a room");

static IDLE: LazyLock<Work> = LazyLock::new(Work::default);

impl Deref for Peer {
    type Target = Work;

    fn deref(&self) -> &Work {
        self.work.as_deref().unwrap_or(&IDLE)
    }
}

impl DerefMut for Peer {
    fn deref_mut(&mut self) -> &mut Work {
        self.work.get_or_insert_default()
    }
}

impl OfMember for Peer {
    fn member(&self) -> &MemberId {
        self.id.as_ref()
    }
}

impl Peer {
    /// What messaging has to do with `id`; nothing yet, where it was not among `peers`.
    pub fn of(peers: &mut ByMember<Self>, id: MemberId) -> &mut Self {
        peers.get_or_insert_with(&id, || Self { id: id.into(), presence: None, work: None })
    }

    /// Whether it is worth sending to it now.
    pub fn is_reachable(&self) -> bool {
        self.session.is_some() && self.is_present()
    }

    /// Whether it is there, be there a session with it or not.
    pub fn is_present(&self) -> bool {
        self.presence.is_some_and(Presence::is_reachable)
    }

    /// Its session opened in these runs of it and of this node. Where one of them is new, what was asked and answered
    /// before was for another life. Says whether one is.
    pub fn begin_frontiers(&mut self, runs: (Run, Option<Run>)) -> bool {
        let is_new = self.frontier_runs.replace(runs) != Some(runs);
        if is_new {
            self.frontier_sent = None;
            self.frontier_answered = None;
            self.frontier_came = Stretches::default();
        }
        is_new
    }

    /// Whether it belongs to the roster of what is said now.
    pub fn is_member(&self) -> bool {
        self.presence.is_some_and(|presence| presence != Presence::Left)
    }

    /// Neither known nor heard, and nothing is open to it.
    pub fn is_forgotten(&self) -> bool {
        let is_known = self.presence.is_some() || self.session.is_some();
        !is_known && self.group.is_empty() && self.private.is_empty() && self.stage.is_empty()
    }

    /// Whether one more private message can be kept for it.
    pub fn has_private_room(&self, bytes: usize) -> bool {
        let (messages_max, bytes_max) = if self.is_reachable() {
            (OUTSTANDING_MESSAGES_MAX, OUTSTANDING_BYTES_MAX)
        } else {
            (WAITING_MESSAGES_MAX, WAITING_BYTES_MAX)
        };
        self.private.len() < messages_max && self.private_bytes + bytes <= bytes_max
    }

    /// What messaging has to do with it, to be changed in parts.
    pub fn work(&mut self) -> &mut Work {
        self
    }
}

impl Work {
    /// Whether more can be put under way to it while it is reachable.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.stage.len() < OUTSTANDING_MESSAGES_MAX && self.outstanding_bytes + bytes <= OUTSTANDING_BYTES_MAX
    }

    /// Whether it has no room for more and takes what it was sent at a pace that is worth waiting for.
    pub fn is_catching_up(&mut self, bytes: usize, now: Time) -> bool {
        !self.has_room(bytes) && self.taking.is_on(now)
    }

    pub fn add_private(&mut self, out: OutId, bytes: usize) {
        if self.private.insert(out, bytes).is_none() {
            self.private_bytes += bytes;
        }
    }

    pub fn remove_private(&mut self, out: OutId) {
        if let Some(bytes) = self.private.remove(&out) {
            self.private_bytes -= bytes;
        }
    }

    /// Puts a message at the end of the queue, unless it is under way.
    pub fn enqueue(&mut self, out: OutId, bytes: usize) {
        if self.is_under_way(out) {
            return;
        }
        self.stage.insert(out, bytes + FRAME_BYTES);
        self.outstanding_bytes += bytes + FRAME_BYTES;
        self.queue.push_back(out);
    }

    /// The next that fits the window; it counts as in flight once [`Peer::launch`] was called.
    pub fn next_to_send(&mut self) -> Option<OutId> {
        loop {
            let &out = self.queue.front()?;
            let Some(&bytes) = self.stage.get(&out) else {
                self.queue.pop_front();
                continue;
            };
            if self.flights.contains(out) {
                self.queue.pop_front();
                continue;
            }
            if self.in_flight_bytes > 0 && self.in_flight_bytes + bytes > WINDOW_BYTES {
                return None;
            }
            self.queue.pop_front();
            return Some(out);
        }
    }

    /// Puts back what [`Peer::next_to_send`] gave.
    pub fn not_sent(&mut self, out: OutId) {
        self.queue.push_front(out);
    }

    /// Follows a message that is fetched. It takes nothing of the window: what is fetched has bounds of its own, and chat does not
    /// wait for it.
    pub fn watch(&mut self, out: OutId, bytes: usize, flight: Flight) {
        if self.is_under_way(out) {
            return;
        }
        self.stage.insert(out, bytes + FRAME_BYTES);
        self.outstanding_bytes += bytes + FRAME_BYTES;
        self.launch(out, flight);
    }

    pub fn launch(&mut self, out: OutId, mut flight: Flight) {
        flight.bytes = self.stage.get(&out).copied().unwrap_or(0);
        self.in_flight_bytes += if flight.is_pushed { flight.bytes } else { 0 };
        self.flights.insert(out, flight);
    }

    /// How long until more may leave.
    pub fn wait(&mut self, now: Time) -> Duration {
        self.pace.wait(now, &self.path, WINDOW_BYTES)
    }

    /// Counts an attempt, and gives how many datagrams of each are to go out.
    pub fn attempt(&mut self, out: OutId, now: Time, is_retry: bool) -> u8 {
        self.pace.sent(now, self.stage.get(&out).copied().unwrap_or(0));
        self.pace.copies(now, self.path.loss_out.unwrap_or_default(), is_retry)
    }

    /// It has what was in flight, and what it said of that came now.
    pub fn receipted(&mut self, now: Time, landed: &[Flight]) {
        self.taking.receipted(now, landed.iter().map(|flight| flight.bytes).sum());
        // By what was known before: a receipt that came late because its message was lost would put off the others.
        self.flights.receipted(now, landed.iter().copied(), self.pace.timeouts(&self.path));
        for flight in landed.iter().filter(|flight| flight.is_pushed) {
            self.pace.receipted(now.since(flight.began), flight.attempts, &self.path);
        }
    }

    /// What is queued or in flight.
    pub fn under_way(&self) -> impl Iterator<Item = OutId> + '_ {
        self.stage.keys().copied()
    }

    pub fn is_under_way(&self, out: OutId) -> bool {
        self.stage.contains_key(&out)
    }

    /// Nothing waits for room in the window.
    pub fn is_queue_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes a message out of queue and window.
    pub fn land(&mut self, out: OutId) -> Option<Flight> {
        let bytes = self.stage.remove(&out)?;
        self.outstanding_bytes -= bytes;
        if self.stage.is_empty() {
            self.queue.clear();
        }
        let flight = self.flights.remove(out)?;
        self.in_flight_bytes -= if flight.is_pushed { bytes } else { 0 };
        Some(flight)
    }

    /// It pulls something. What waits to be given of the same messages it asked for before, and of too many pulls the first
    /// one it asked for the longest ago: it waits for neither any more.
    pub fn pulls(&mut self, (author, run, first, last): (MemberId, Run, Seq, Seq)) {
        let is_alike = |of: &Giving| {
            let (whose, which, from, to) = of.pull;
            (whose, which) == (author, run) && from <= last && first <= to
        };
        self.giving.retain(|giving| !is_alike(giving));
        let pulls = self.giving.iter().filter(|giving| matches!(giving.what, Given::End(_))).count();
        if pulls >= RECOVERY_PULLS_MAX
            && let Some(oldest) = self.giving.front().map(|giving| giving.pull)
        {
            self.giving.retain(|giving| giving.pull != oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_holds_32_datagrams_and_the_rest_waits() {
        let mut peer = Work::default();
        let now = Time::ZERO;
        let flight = Flight::pushed(now, now);
        (1..=100).for_each(|out| peer.enqueue(out, DATAGRAM_ROOM_BYTES - FRAME_BYTES));
        let mut sent = Vec::new();
        while let Some(out) = peer.next_to_send() {
            peer.launch(out, flight);
            sent.push(out);
        }
        assert_eq!(sent, (1..=32).collect::<Vec<_>>());
        assert!(peer.land(7).is_some());
        assert_eq!(peer.next_to_send(), Some(33));
    }

    #[test]
    fn an_allowance_refills_with_time() {
        let mut allowance = Allowance::default();
        let now = Time::from_micros(10_000_000);
        assert_eq!(allowance.take(256 * 1024, now), Ok(()));
        let wait = allowance.take(1024, now).unwrap_err();
        assert_eq!(allowance.take(1024, now + wait), Ok(()));
    }
}
