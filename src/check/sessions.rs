//! What the wire shows of sessions, without a key. Check 6, first half, for the promise S1: no key seals two datagrams with
//! one nonce. And of check 7, for the promise M4: nothing follows from what an older run sent, once a node knows the newer.
//!
//! A data datagram names the receiver's index of its session and its counter, which is the nonce; each receiver draws an
//! index for each handshake, so while its process lives, an index and a sender's process stand for one key. Two
//! datagrams differ if their seals do. It cannot cry wolf: a copy of the same datagram is no second one, and a datagram is
//! stale only if it first arrived after its receiver had told of the higher run. Homes that were rolled back raise their run
//! without a line for it, and are left out of the latter. Of each session the first 65,536 datagrams are looked at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::bits::Bits;
use super::checker::Findings;
use super::facts::{Facts, NodeIndex};
use super::verdicts::Verdicts;
use super::{Check, LineNumber};
use crate::base::{Cause, MemberId};
use crate::crypto::TAG_BYTES;

/// What of one session is remembered: 256 KiB of seals at most.
const COUNTERS_MAX: usize = 1 << 16;
/// Lines back to which a datagram may still be on its way.
const FLIGHTS_MAX: usize = 1 << 16;
/// The kind byte of a data datagram (`docs/PROTOCOL.md`, section 3).
const DATA: u8 = 4;
/// Kind, receiver index, counter.
const DATA_HEADER_BYTES: usize = 1 + 4 + 8;

#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_key: BTreeMap<Key, Session>,
    /// By line, from `first_flight` on: the datagram that was sent then.
    flights: VecDeque<Option<(Key, usize)>>,
    first_flight: LineNumber,
}

/// A session, one way. Ordered so that all of one receiver, and of one index, stand together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    to: NodeIndex,
    index: u32,
    from: NodeIndex,
    /// Of the sender's process.
    life: u32,
}

#[derive(Debug, Default)]
struct Session {
    /// By counter: a mark of the datagram's seal; 0 where none was sent.
    seals: Vec<u32>,
    arrived: Bits,
    stale: BTreeSet<usize>,
}

impl Sessions {
    /// A process began: its keys are new.
    pub fn handle_started(&mut self, node: NodeIndex) {
        let ends = |to| Key { to, index: 0, from: 0, life: 0 };
        let mut later = self.by_key.split_off(&ends(node));
        self.by_key.append(&mut later.split_off(&ends(node + 1)));
    }

    /// A datagram left a node for another.
    pub fn handle_sent(&mut self, facts: &Facts, node: NodeIndex, to: &str, wire: &[u8], found: &mut Findings) {
        let Some(to) = facts.find(to) else { return };
        let Some((index, counter, seal)) = read(wire) else { return };
        let key = Key { to, index, from: node, life: facts.nodes[node].life };
        self.send(facts, key, counter, seal, found);
    }

    /// A node tells something.
    pub fn handle_told(&self, facts: &Facts, node: NodeIndex, cause: Option<Cause>, found: &mut Findings) {
        if let Some(Cause::Datagram { peer, session, counter }) = cause
            && self.is_stale(facts, node, peer, session, counter)
        {
            let (name, peer) = (&facts.nodes[node].name, facts.nick(peer));
            let text = format!("{name} acts on what an older run of {peer} sent, though it knew the newer one");
            found.push(Check::Evidence, facts.line, text);
        }
    }

    fn send(&mut self, facts: &Facts, key: Key, counter: u64, seal: u32, found: &mut Findings) {
        let Some(counter) = usize::try_from(counter).ok().filter(|&counter| counter < COUNTERS_MAX) else { return };
        let session = self.by_key.entry(key).or_default();
        if session.seals.len() <= counter {
            session.seals.resize(counter + 1, 0);
        }
        let before = std::mem::replace(&mut session.seals[counter], seal);
        if before != 0 && before != seal && facts.is_honest_node(key.from) {
            let (from, to) = (&facts.nodes[key.from].name, &facts.nodes[key.to].name);
            let text = format!("{from} seals two datagrams to {to} with counter {counter} of one session");
            found.push(Check::UsedOnce, facts.line, text);
        }
        self.fly(facts.line, (key, counter));
    }

    fn fly(&mut self, line: LineNumber, flight: (Key, usize)) {
        let next = self.first_flight + u64::try_from(self.flights.len()).unwrap_or(u64::MAX);
        let gap = usize::try_from(line.saturating_sub(next)).unwrap_or(usize::MAX);
        if gap >= FLIGHTS_MAX || line < next {
            self.flights.clear();
            self.first_flight = line;
        } else {
            self.flights.extend(std::iter::repeat_n(None, gap));
        }
        self.flights.push_back(Some(flight));
        while self.flights.len() > FLIGHTS_MAX {
            self.flights.pop_front();
            self.first_flight += 1;
        }
    }

    /// The datagram of an earlier line arrived, undamaged.
    pub fn handle_arrived(&mut self, facts: &Facts, verdicts: &Verdicts, datagram: LineNumber) {
        let at = datagram.checked_sub(self.first_flight).and_then(|at| usize::try_from(at).ok());
        let Some(&Some((key, counter))) = at.and_then(|at| self.flights.get(at)) else { return };
        let from = &facts.nodes[key.from];
        let Some(session) = self.by_key.get_mut(&key) else { return };
        let is_new = session.arrived.insert(counter);
        let is_older = || {
            let sent_in = from.incarnation(key.life)?;
            let known = verdicts.incarnation_told(key.to, from.member?)?;
            Some(sent_in < known)
        };
        if is_new && from.life != key.life && from.epoch == 0 && is_older() == Some(true) {
            session.stale.insert(counter);
        }
    }

    fn is_stale(&self, facts: &Facts, to: NodeIndex, peer: MemberId, index: u32, counter: u64) -> bool {
        if !facts.is_honest(peer) || !facts.is_honest_node(to) {
            return false;
        }
        let Ok(counter) = usize::try_from(counter) else { return false };
        let all = Key { to, index, from: 0, life: 0 }..=Key { to, index, from: NodeIndex::MAX, life: u32::MAX };
        let mut of_peer = self.by_key.range(all).filter(|(key, _)| facts.nodes[key.from].member == Some(peer));
        of_peer.any(|(_, session)| session.stale.contains(&counter))
    }
}

/// The receiver's index, the counter and a mark of the seal of a data datagram.
fn read(wire: &[u8]) -> Option<(u32, u64, u32)> {
    let (&kind, rest) = wire.split_first()?;
    if kind != DATA || wire.len() < DATA_HEADER_BYTES + TAG_BYTES {
        return None;
    }
    let (index, rest) = rest.split_first_chunk::<4>()?;
    let (counter, _) = rest.split_first_chunk::<8>()?;
    // Two texts under one key and nonce have the same tag once in 2^128; of 32 of its bits, once in 2^32.
    let seal = u32::from_be_bytes(*wire.last_chunk::<4>()?).max(1);
    Some((u32::from_be_bytes(*index), u64::from_be_bytes(*counter), seal))
}
