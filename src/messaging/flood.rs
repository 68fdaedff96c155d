//! Passing on what is for all, in a room too large to send to each directly. Owns what goes from hop to hop over the links
//! of the rings, and what the next hop said that it has; `carry` brings the receipts back. A hop goes through the delivery
//! engine like a delivery of one's own, but for its end: a message that a hop did not take in time is left to recovery.
//!
//! A message is passed on once it is on disk here, so a hop's word that it has it is as good as its disk, and what a relay
//! drops when it dies its peers have not given up. That word is not signed and proves nothing to anybody else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::book::OutId;
use super::carry::Carried;
use super::flight::Flight;
use super::log::{Known, Place};
use super::machine::Messaging;
use super::peer::Peer;
use super::timers::Timer;
use crate::base::limits::{DELIVERY_DEADLINE, HOP_ACKS_PER_FRAME_MAX, SAMPLED_MEMBERS_MAX};
use crate::base::{MemberId, MessageId, Step};
use crate::wire::{GroupMessage, MessagingFrame, Signed, asked_place};

/// What is passed on is numbered beside one's own messages, above all of them.
const PASSED_ON: OutId = 1 << 63;

/// Of whom the author of a message wants receipts: of all.
const ALL: u64 = u64::MAX;

/// Whether this is no message of one's own, but something on its next hop.
pub(super) const fn is_passed_on(out: OutId) -> bool {
    out & PASSED_ON != 0
}

/// What is on its way from this node to the next hops.
#[derive(Debug, Default)]
pub(super) struct Flood {
    links: BTreeSet<MemberId>,
    is_large: bool,
    numbered: u64,
    items: BTreeMap<OutId, Item>,
    by_id: BTreeMap<MessageId, OutId>,
    /// Who sent a message that is on its way to the disk, to be acknowledged once it is there.
    owed: BTreeMap<MessageId, Owed>,
    acks: BTreeMap<MemberId, Vec<u64>>,
    pub carried: Carried,
}

#[derive(Debug)]
struct Item {
    what: What,
    /// The hops that have not said that they have it.
    to: BTreeSet<MemberId>,
}

#[derive(Debug)]
enum What {
    Message { id: MessageId, asked: u64, bytes: Arc<[u8]> },
    Receipts { hops: u8, receipts: Vec<Vec<u8>> },
}

/// A flooded message that is not on disk yet: of whom receipts are wanted, and who sent it, under which number.
#[derive(Debug)]
pub(super) struct Owed {
    asked: u64,
    by: BTreeMap<MemberId, u64>,
}

/// Whom a message that is said now is for, where that is too many to send to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// Members of the room then, oneself left out.
    pub members: usize,
    pub asked: u64,
}

impl Flood {
    /// Whether what this node says goes over the links, and its receipts back over them.
    pub const fn is_large(&self) -> bool {
        self.is_large
    }

    /// The frame of what is passed on; `None` once all hops have it.
    pub fn frame(&self, out: OutId) -> Option<MessagingFrame> {
        let number = out & !PASSED_ON;
        Some(match &self.items.get(&out)?.what {
            What::Message { asked, bytes, .. } => {
                MessagingFrame::Flood { number, asked: *asked, bytes: bytes.to_vec() }
            }
            What::Receipts { hops, receipts } => {
                MessagingFrame::Receipts { number, hops: *hops, receipts: receipts.clone() }
            }
        })
    }

    /// The hop has it, or is not tried any more.
    pub fn release(&mut self, to: MemberId, out: OutId) {
        let Some(item) = self.items.get_mut(&out) else { return };
        item.to.remove(&to);
        if item.to.is_empty()
            && let Some(Item { what: What::Message { id, .. }, .. }) = self.items.remove(&out)
        {
            self.by_id.remove(&id);
        }
    }

    /// Takes receipts that are under way back, with the hops that they had come; `None` if the item is a message.
    pub fn take_receipts(&mut self, out: OutId) -> Option<(u8, Vec<Vec<u8>>)> {
        let Item { what: What::Receipts { hops, receipts }, .. } = self.items.get_mut(&out)? else { return None };
        Some((*hops, std::mem::take(receipts)))
    }

    /// What is under way to hops.
    pub fn len(&self) -> usize {
        self.items.len()
    }
}

impl Messaging {
    /// Over whom this node passes on what is for all, and whether the room is too large to send to each directly.
    pub fn handle_links(&mut self, neighbours: BTreeSet<MemberId>, is_large: bool) {
        self.flood.links = neighbours;
        self.flood.is_large = is_large;
    }

    /// Hops that could take a message of so many bytes now.
    pub(super) fn hops(&self, bytes: usize) -> impl Iterator<Item = MemberId> + '_ {
        let has_room =
            move |id: &MemberId| self.peers.get(id).is_some_and(|peer| peer.is_reachable() && peer.has_room(bytes));
        self.flood.links.iter().copied().filter(has_room)
    }

    /// Whether there are hops, and none of them can take so many bytes more.
    pub(super) fn hops_are_full(&self, bytes: usize) -> bool {
        let mut open = self.flood.links.iter().filter_map(|id| self.peers.get(id)).filter(|peer| peer.is_reachable());
        let mut any = false;
        open.all(|peer| {
            any = true;
            !peer.has_room(bytes)
        }) && any
    }

    /// Sends a message of one's own on its way, or one that came in further.
    pub(super) fn pass_on(
        &mut self,
        step: &mut Step,
        id: MessageId,
        asked: u64,
        bytes: &Arc<[u8]>,
        has_it: impl Fn(MemberId) -> bool,
    ) -> usize {
        let to: BTreeSet<MemberId> = self.hops(bytes.len()).filter(|&hop| !has_it(hop)).collect();
        let what = What::Message { id, asked, bytes: bytes.clone() };
        let (hops, out) = self.begin_hops(step, to, what, bytes.len());
        if hops > 0 {
            self.flood.by_id.insert(id, out);
        }
        hops
    }

    /// Sends receipts to the next hop.
    ///
    /// # Errors
    /// The receipts, where it cannot take them.
    pub(super) fn pass_receipts(
        &mut self,
        step: &mut Step,
        to: MemberId,
        hops: u8,
        receipts: Vec<Vec<u8>>,
    ) -> Result<(), Vec<Vec<u8>>> {
        let bytes = receipts.iter().map(Vec::len).sum();
        if !self.peers.get(&to).is_some_and(|peer| peer.is_reachable() && peer.has_room(bytes)) {
            return Err(receipts);
        }
        self.begin_hops(step, BTreeSet::from([to]), What::Receipts { hops, receipts }, bytes);
        Ok(())
    }

    fn begin_hops(&mut self, step: &mut Step, to: BTreeSet<MemberId>, what: What, bytes: usize) -> (usize, OutId) {
        self.flood.numbered += 1;
        let out = PASSED_ON | self.flood.numbered;
        let hops: Vec<MemberId> = to.iter().copied().collect();
        if !to.is_empty() {
            self.flood.items.insert(out, Item { what, to });
        }
        for &hop in &hops {
            self.begin_sending(step, hop, out, bytes);
        }
        (hops.len(), out)
    }

    /// A flooded message came from a hop. It is taken like any other; what differs is that the hop is told, not the author.
    pub(super) fn handle_flood(&mut self, step: &mut Step, peer: MemberId, number: u64, asked: u64, bytes: &[u8]) {
        let Ok(claimed) = Signed::<GroupMessage>::open_trusted(bytes) else {
            self.counters.strange += 1;
            return;
        };
        let (message, id) = (claimed.value(), claimed.id());
        let place: Place = (message.author, message.run, message.seq);
        self.hop_has(peer, id);
        match self.log.known(place, id) {
            Known::Held | Known::HeldUnnamed if message.author != self.me => {
                self.note_duplicate(place, id);
                self.acknowledge(peer, number);
            }
            Known::Held | Known::HeldUnnamed | Known::Incoming | Known::Below | Known::Other | Known::New => {
                self.handle_group(step, peer, bytes, false);
                match self.log.known(place, id) {
                    Known::Incoming => {
                        let owed = self.flood.owed.entry(id).or_insert_with(|| Owed { asked, by: BTreeMap::new() });
                        owed.by.insert(peer, number);
                    }
                    Known::Held | Known::HeldUnnamed | Known::Below => self.acknowledge(peer, number),
                    // What is not taken now may be later: the hop tries until its deadline.
                    Known::Other | Known::New => {}
                }
            }
        }
    }

    /// Who sends a message has it.
    fn hop_has(&mut self, peer: MemberId, id: MessageId) {
        if let Some(&out) = self.flood.by_id.get(&id) {
            self.land(peer, out);
        }
    }

    /// Whether the author of a message that is on disk now wants this node's receipt. Nothing says so where it was fetched:
    /// then as many answer as the author would ask in a room of the size that is seen here.
    pub(super) fn is_asked(&self, id: MessageId) -> bool {
        if !self.flood.is_large && !self.flood.owed.contains_key(&id) {
            return true;
        }
        let asked = self.flood.owed.get(&id).map_or_else(|| share_asked(self.roster_size()), |owed| owed.asked);
        asked == ALL || asked_place(id, self.me) <= asked
    }

    /// A message is on disk: those who sent it are told, and the others are sent it, if it was flooded.
    pub(super) fn flood_stored(&mut self, step: &mut Step, id: MessageId, author: MemberId, bytes: &Arc<[u8]>) {
        let Some(owed) = self.flood.owed.remove(&id) else { return };
        for (&peer, &number) in &owed.by {
            self.acknowledge(peer, number);
        }
        let hops = self.pass_on(step, id, owed.asked, bytes, |hop| hop == author || owed.by.contains_key(&hop));
        self.counters.passed_on += u64::try_from(hops).unwrap_or(0);
    }

    /// The disk refused a message: who sent it tries again.
    pub(super) fn flood_not_stored(&mut self, id: MessageId) {
        self.flood.owed.remove(&id);
    }

    pub(super) fn acknowledge(&mut self, peer: MemberId, number: u64) {
        self.flood.acks.entry(peer).or_default().push(number);
    }

    /// Tells hops what came of theirs in this input.
    pub(super) fn send_hop_acks(&mut self) {
        while let Some((peer, numbers)) = self.flood.acks.pop_first() {
            for numbers in numbers.chunks(HOP_ACKS_PER_FRAME_MAX) {
                self.out.send(peer, MessagingFrame::HopAck { numbers: numbers.to_vec() });
            }
        }
    }

    /// A hop has what was passed on to it.
    pub(super) fn handle_hop_ack(&mut self, step: &mut Step, peer: MemberId, numbers: &[u64]) {
        if numbers.len() > HOP_ACKS_PER_FRAME_MAX {
            self.counters.strange += 1;
            return;
        }
        let landed: Vec<Flight> = numbers.iter().filter_map(|&number| self.land(peer, PASSED_ON | number)).collect();
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.receipted(step.now.time, &landed);
        }
    }

    /// How many others are members of the room.
    pub(super) fn roster_size(&self) -> usize {
        self.peers.values().filter(|peer| peer.is_member()).count()
    }

    /// Of whom receipts are wanted for a message that is said now, in a room that it is flooded through: of all, or of a
    /// sample of the members, which anybody can tell from the message.
    pub(super) fn reach(&self, id: MessageId) -> Reach {
        let members: Vec<MemberId> =
            self.peers.iter().filter(|(_, peer)| peer.is_member()).map(|(&id, _)| id).collect();
        let asked = if members.len() <= SAMPLED_MEMBERS_MAX {
            ALL
        } else {
            let mut places: Vec<u64> = members.iter().map(|&member| asked_place(id, member)).collect();
            places.sort_unstable();
            places[SAMPLED_MEMBERS_MAX - 1]
        };
        Reach { members: members.len(), asked }
    }

    /// A message of one's own was on its way for as long as an attempt lasts: who has not receipted it is unknown.
    pub(super) fn flooded_due(&mut self, step: &mut Step, out: OutId) {
        if step.now.lag > super::deliver::LAG_JUDGED {
            self.timers.set(Timer::Flooded(out), step.now.time + step.now.lag.min(DELIVERY_DEADLINE));
            return;
        }
        let Some(message) = self.book.message(out) else { return };
        let open = message.deliveries.iter().filter(|(to, delivery)| {
            let is_direct = self.peers.get(to).is_some_and(|peer: &Peer| peer.is_under_way(out));
            delivery.is_sending() && !is_direct
        });
        for to in open.map(|(&to, _)| to).collect::<Vec<_>>() {
            self.give_up_trying(step, to, out);
        }
    }
}

impl Reach {
    pub fn includes(self, id: MessageId, member: MemberId) -> bool {
        self.asked == ALL || asked_place(id, member) <= self.asked
    }

    /// How many members there were, where only a sample of them was asked.
    pub fn sample_of(self) -> Option<u32> {
        (self.asked != ALL).then(|| u32::try_from(self.members).unwrap_or(u32::MAX))
    }
}

/// What an author asks for in a room of so many others, roughly.
fn share_asked(members: usize) -> u64 {
    let (members, sampled) = (members as u64, SAMPLED_MEMBERS_MAX as u64);
    if members <= sampled { ALL } else { (ALL / members).saturating_mul(sampled) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_answer_as_are_asked() {
        let id = MessageId([5; 32]);
        let asked = share_asked(1_000);
        let answer = (0_u32..1_000).filter(|n| {
            let member = MemberId(*blake3::hash(&n.to_be_bytes()).as_bytes());
            asked_place(id, member) <= asked
        });
        let answer = answer.count();
        assert!((200..320).contains(&answer), "{answer}");
        assert_eq!(share_asked(SAMPLED_MEMBERS_MAX), ALL);
    }
}
