//! What messaging can say of itself: counts, how each delivery stands and what shows it, where a message came
//! from. Owns views for people and programs; changes nothing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::book::{Delivery, OutcomeCounts, Outgoing, ReceiptSeen};
use super::machine::Messaging;
use super::record::{Answer, GapRecord, Outcome};
use crate::base::limits;
use crate::base::{MemberId, MessageId, MessageKey, Presence, Run, Seq, Stream, Wall};
use crate::wire::{GroupMessage, HeldRange, PrivateMessage, Receipt, Signed, decode_layout};

/// A handle is made no longer for more messages than this: places in the log are what others say they are.
const HANDLE_PLACES_MAX: u64 = 1 << 30;

/// What was counted since this process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages shown, one's own included.
    pub group: u64,
    pub private: u64,
    pub recovered: u64,
    /// Messages that arrived again.
    pub duplicates: u64,
    pub attempts: u64,
    pub retries: u64,
    pub copies: u64,
    /// Group messages sent to ask for receipts.
    pub probes: u64,
    /// Flooded messages of others sent on, counted by hop; and all that was sent to hops, again or for the first time.
    pub passed_on: u64,
    pub hops: u64,
    /// Receipts passed on, one's own included, and those for which there was no way, or too long a one.
    pub receipts_carried: u64,
    pub receipts_stranded: u64,
    pub receipts_sent: u64,
    pub receipts_taken: u64,
    /// Receipts that said nothing new.
    pub receipts_old: u64,
    pub pulls: u64,
    /// Messages given to others that asked.
    pub given: u64,
    /// Signatures that do not hold.
    pub forged: u64,
    /// Frames that no honest node sends.
    pub strange: u64,
    pub below_floor: u64,
    /// Received messages dropped because too many were on their way to the disk, or are rivals of others in their run.
    pub dropped: u64,
    pub pruned: u64,
    /// Batches that the disk refused.
    pub not_stored: u64,
}

impl Counters {
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        [
            ("messages_group", self.group),
            ("messages_private", self.private),
            ("messages_recovered", self.recovered),
            ("messages_duplicate", self.duplicates),
            ("messages_below_floor", self.below_floor),
            ("messages_dropped", self.dropped),
            ("messages_forged", self.forged),
            ("messaging_frames_strange", self.strange),
            ("delivery_attempts", self.attempts),
            ("delivery_retries", self.retries),
            ("delivery_copies", self.copies),
            ("delivery_probes", self.probes),
            ("messages_passed_on", self.passed_on),
            ("hop_attempts", self.hops),
            ("receipts_carried", self.receipts_carried),
            ("receipts_stranded", self.receipts_stranded),
            ("receipts_sent", self.receipts_sent),
            ("receipts_taken", self.receipts_taken),
            ("receipts_old", self.receipts_old),
            ("recovery_pulls", self.pulls),
            ("recovery_given", self.given),
            ("messages_pruned", self.pruned),
            ("batches_not_stored", self.not_stored),
        ]
        .into_iter()
    }
}

/// A message that messaging still knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMessage {
    pub key: MessageKey,
    /// One's own: how it stands with each member of the roster.
    pub deliveries: BTreeMap<MemberId, Delivery>,
    /// Of how many members these are a sample; `None` where they are all.
    pub sample_of: Option<u32>,
    /// One's own: who else signed to have it, with the first receipt kept that says so: a later one would tell a later time.
    pub stored_since: Vec<(MemberId, Arc<ReceiptSeen>)>,
    /// Somebody else's, or one's own that the disk had lost: how it came here.
    pub source: Option<Source>,
    /// When its author claims to have said it; `None` where the text is no longer held.
    pub said_at: Option<Wall>,
    /// `None` where it is not held in memory.
    pub text: Option<String>,
    /// What else its author signed for the same place.
    pub rivals: Vec<MessageId>,
}

/// How a message came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Who sent it to this node.
    pub via: MemberId,
    pub at: Wall,
    pub recovered: bool,
    /// How often it arrived again after it was held.
    pub duplicates: u64,
}

/// Why nothing is sent to a member now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldUp {
    NotHeard,
    /// It is there, and there is no session with it: nobody else passes a message on to it.
    NoDirectLink,
    /// It said goodbye.
    Left,
    /// It is there, and the disk here does not take that the message is being sent.
    DiskFullHere,
    /// It is there, was not when the message was said or was slower than the room, and fetches it.
    ToBeFetched,
}

/// How full each table is, beside its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    pub name: &'static str,
    pub used: usize,
    pub max: usize,
}

impl Messaging {
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many deliveries stand where, of what was said in this run and what was on the disk when it began.
    #[must_use]
    pub const fn outcomes(&self) -> OutcomeCounts {
        self.book.counts()
    }

    /// One's own messages with deliveries that are not settled, the newest first: where each counts, and all its deliveries.
    pub fn open(&self) -> impl Iterator<Item = (MessageId, Stream, &BTreeMap<MemberId, Delivery>)> {
        self.book.open().map(|message| (message.id, message.key.stream, &message.deliveries))
    }

    /// Messages of one's own, of the same, of whose receivers only a sample was asked for receipts.
    #[must_use]
    pub const fn sampled(&self) -> u64 {
        self.book.sampled()
    }

    /// The newest run of an author of which a message to the room is known here.
    #[must_use]
    pub fn newest_run(&self, author: MemberId) -> Option<Run> {
        self.log.author(author)?.runs.keys().next_back().copied()
    }

    /// What is missing here, as far as it was told: by author, run and first.
    pub fn gaps(&self) -> impl Iterator<Item = GapRecord> + '_ {
        self.gaps.values().flat_map(|gap| {
            // Of a run that was forgotten nothing more comes.
            let of = self.log.run(gap.author, gap.run);
            let missing = of.map_or_else(|| vec![(gap.first, gap.last)], |of| of.chain.lacking(gap.first, gap.last));
            missing.into_iter().map(|(first, last)| {
                let mut asked: BTreeMap<MemberId, Answer> = gap.asked.iter().copied().collect();
                asked.extend(
                    self.gave((gap.author, gap.run), &[(first, last)]).map(|peer| (peer, Answer::DiskFullHere)),
                );
                GapRecord { first, last, asked: asked.into_iter().collect(), ..gap.clone() }
            })
        })
    }

    /// What is known of a message; `None` once only the disk knows what became of it.
    #[must_use]
    pub fn message(&self, id: MessageId) -> Option<KnownMessage> {
        if let Some(message) = self.book.find(id).and_then(|out| self.book.message(out)) {
            let deliveries = message.deliveries.clone();
            let (key, sample_of, said_at) = (message.key, message.sample_of, Some(message.at));
            let stored_since = message.place().map_or_else(Vec::new, |place| self.stored_since(place, &deliveries));
            let (text, rivals) = (self.text_of(message), Vec::new());
            return Some(KnownMessage {
                key,
                deliveries,
                sample_of,
                stored_since,
                source: None,
                said_at,
                text,
                rivals,
            });
        }
        if let Some(place) = self.log.place_of(id) {
            let kept = self.log.kept(place, id)?;
            let (author, run, seq) = place;
            // One's own that is not in the book: the text is still given to others, the deliveries are on the disk alone.
            if author == self.me && kept.via == self.me {
                return None;
            }
            let source = Source { via: kept.via, at: kept.at, recovered: kept.recovered, duplicates: kept.duplicates };
            let key = MessageKey { author, run, stream: Stream::Room, seq };
            let signed = Signed::<GroupMessage>::open_trusted(&kept.bytes).expect("it was verified when it came");
            let said_at = Some(signed.value().said_at);
            let versions = self.log.run(author, run).into_iter().flat_map(|of| of.versions(seq));
            let rivals = versions.map(|version| version.id).filter(|&other| other != id).collect();
            let (deliveries, source) = (BTreeMap::new(), Some(source));
            let stored_since = if author == self.me { self.stored_since((run, seq), &deliveries) } else { Vec::new() };
            let text = Some(signed.value().text.clone());
            return Some(KnownMessage {
                key,
                deliveries,
                sample_of: None,
                stored_since,
                source,
                said_at,
                text,
                rivals,
            });
        }
        let ((author, run, seq), kept) = self.privates.find(id)?;
        let source = Source { via: author, at: kept.at, recovered: false, duplicates: kept.duplicates };
        let key = MessageKey { author, run, stream: Stream::To(self.me), seq };
        let (deliveries, source) = (BTreeMap::new(), Some(source));
        let (stored_since, rivals) = (Vec::new(), Vec::new());
        let (said_at, text) = (None, None);
        Some(KnownMessage { key, deliveries, sample_of: None, stored_since, source, said_at, text, rivals })
    }

    /// Who is not in the roster of one's own group message, and signed for one of later that it has both.
    fn stored_since(
        &self,
        (run, seq): (Run, Seq),
        roster: &BTreeMap<MemberId, Delivery>,
    ) -> Vec<(MemberId, Arc<ReceiptSeen>)> {
        let of = self.log.run(self.me, run);
        let is_here =
            |range: &HeldRange| of.and_then(|of| of.kept.get(&range.last)).is_some_and(|kept| kept.id == range.last_id);
        let covers = |seen: &ReceiptSeen| {
            let Ok(receipt) = Signed::<Receipt>::open_trusted(&seen.bytes) else { return false };
            receipt.value().held.range_over(seq).is_some_and(is_here)
        };
        let members = self.receipts.covering(run, seq).filter(|member| !roster.contains_key(member));
        let first = |member: MemberId| self.book.receipts_after((run, seq), member).find(|seen| covers(seen));
        members.filter_map(|member| Some((member, first(member)?.clone()))).collect()
    }

    /// The text of one's own message, where it is still sent or given to others.
    fn text_of(&self, message: &Outgoing) -> Option<String> {
        match message.place() {
            Some((run, seq)) => {
                let kept = self.log.kept((self.me, run, seq), message.id)?;
                Some(Signed::<GroupMessage>::open_trusted(&kept.bytes).ok()?.value().text.clone())
            }
            None => Some(decode_layout::<PrivateMessage>(message.bytes.as_ref()?).ok()?.text),
        }
    }

    /// Why a message of one's own is not sent to a member of its roster now; `None` where nothing holds it up.
    #[must_use]
    pub fn held_up(&self, known: &KnownMessage, member: MemberId) -> Option<HeldUp> {
        let is_open = known.deliveries.get(&member).is_some_and(|delivery| !delivery.outcome.is_final());
        let goes_from_hop_to_hop = known.key.stream == Stream::Room && self.flood.is_large();
        if !is_open || goes_from_hop_to_hop {
            return None;
        }
        let waits = known.deliveries.get(&member).is_some_and(|delivery| delivery.outcome == Outcome::Waiting);
        match self.peers.get(&member) {
            Some(peer) if peer.is_reachable() && waits && self.is_disk_full => Some(HeldUp::DiskFullHere),
            Some(peer) if peer.is_reachable() && waits && known.key.stream == Stream::Room => Some(HeldUp::ToBeFetched),
            Some(peer) if peer.is_reachable() => None,
            // Others hear it; one that is doubted may be gone.
            Some(peer) if peer.presence == Some(Presence::Alive) => Some(HeldUp::NoDirectLink),
            Some(peer) if peer.presence == Some(Presence::Left) => Some(HeldUp::Left),
            Some(_) | None => Some(HeldUp::NotHeard),
        }
    }

    /// Whether message `seq`, which is missing, is still asked for: recovery goes back so far, and its run is tracked.
    #[must_use]
    pub fn is_asked_for(&self, author: MemberId, incarnation: u64, seq: Seq) -> bool {
        let runs = self.log.author(author).into_iter().flat_map(|known| known.runs.keys().copied());
        let mut holes = runs.filter(|run| run.incarnation == incarnation).flat_map(|run| self.holes(author, run));
        holes.any(|(first, last)| (first..=last).contains(&seq))
    }

    /// Whether the signature of a kept receipt holds.
    #[must_use]
    pub fn verifies(&self, receipt: &[u8]) -> bool {
        Signed::<Receipt>::open_by(self.identity.suite(), receipt).is_ok()
    }

    /// How many characters (at least 4, at most 52) the handle of `id` needs to be told from all others known; and, at a chance of
    /// one in a thousand, from those that only the disk has, of which there are at most as many as the log has places.
    #[must_use]
    pub fn handle_chars(&self, id: MessageId) -> usize {
        let below = (Bound::Unbounded, Bound::Excluded(id));
        let above = (Bound::Excluded(id), Bound::Unbounded);
        let neighbours = [
            self.book.by_id().range(below).next_back().map(|(id, _)| id),
            self.book.by_id().range(above).next().map(|(id, _)| id),
            self.log.places().range(below).next_back().map(|(id, _)| id),
            self.log.places().range(above).next().map(|(id, _)| id),
            self.privates.by_id().range(below).next_back().map(|(id, _)| id),
            self.privates.by_id().range(above).next().map(|(id, _)| id),
        ];
        let shared_bits = neighbours.into_iter().flatten().map(|other| shared_bits(&id.0, &other.0)).max().unwrap_or(0);
        (shared_bits / 5 + 1).max(chars_among(self.clock)).clamp(4, 52)
    }

    /// How many private messages are kept for a member: waiting, under way or unknown.
    #[must_use]
    pub fn waiting_for(&self, member: MemberId) -> usize {
        self.peers.get(&member).map_or(0, |peer| peer.private.len())
    }

    /// How full the tables are.
    #[must_use]
    pub fn fills(&self) -> Vec<Fill> {
        let (messages, bytes) = self.log.size();
        let (quests, offers) = self.recovery_size();
        let under_way = self.peers.values().map(|peer| peer.under_way().count()).max().unwrap_or(0);
        let hops_max = self.peers.len().max(1);
        vec![
            Fill { name: "retained_messages", used: messages, max: limits::RETAINED_MESSAGES_MAX },
            Fill { name: "retained_bytes", used: bytes, max: limits::RETAINED_BYTES_MAX },
            Fill { name: "held_back_bytes", used: self.log.held_back_bytes(), max: limits::HELD_BACK_BYTES_MAX },
            Fill { name: "private_ids", used: self.privates.by_id().len(), max: limits::PRIVATE_IDS_MAX },
            Fill { name: "under_way_to_a_peer", used: under_way, max: limits::OUTSTANDING_MESSAGES_MAX },
            Fill {
                name: "provisional_messages",
                used: self.provisional_messages,
                max: limits::PROVISIONAL_MESSAGES_MAX,
            },
            Fill { name: "provisional_bytes", used: self.provisional_bytes, max: limits::PROVISIONAL_BYTES_MAX },
            Fill { name: "passed_on", used: self.flood.len(), max: limits::OUTSTANDING_MESSAGES_MAX * hops_max },
            Fill { name: "gaps", used: self.gaps.len(), max: limits::GAPS_MAX },
            Fill { name: "quests", used: quests, max: super::recovery::QUESTS_MAX },
            Fill { name: "offers", used: offers, max: limits::OFFERS_PER_PEER_MAX * self.peers.len().max(1) },
        ]
    }
}

/// So many characters, of five bits each, that one that is drawn at random differs from all of `others` but for one time in a
/// thousand.
fn chars_among(others: u64) -> usize {
    let bits = u64::BITS - (others.min(HANDLE_PLACES_MAX) * 1_000).leading_zeros();
    usize::try_from(bits.div_ceil(5)).unwrap_or(usize::MAX)
}

fn shared_bits(a: &[u8; 32], b: &[u8; 32]) -> usize {
    let bytes = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let rest = a.get(bytes).zip(b.get(bytes)).map_or(0, |(x, y)| (x ^ y).leading_zeros());
    bytes * 8 + usize::try_from(rest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_grows_until_it_is_unique() {
        let mut other = [7; 32];
        assert_eq!(shared_bits(&[7; 32], &other), 256);
        other[3] ^= 0b0001_0000;
        assert_eq!(shared_bits(&[7; 32], &other), 27);
    }

    #[test]
    fn a_handle_is_the_longer_the_more_messages_only_the_disk_may_have() {
        for (others, chars) in [(0, 0), (1_000, 4), (1_100, 5), (33_000, 5), (62_000, 6), (u64::MAX, 8)] {
            assert_eq!(chars_among(others), chars, "{others}");
            assert!(chars == 8 || others * 1_000 < 1 << (5 * chars), "{others}");
        }
    }
}
