//! Check 5, for the promises C2 and S1: private text reaches only its sender and its receiver, and no text is on the wire in
//! the clear.
//!
//! What is searched for are the first eight bytes of the newest 256 texts that were accepted, then as much of the text as
//! the datagram has left: shorter texts are not looked for, because a cipher's bytes may spell them by chance. Eight bytes
//! do so once in 2^64 places, so a thousand runs of a million datagrams will not see it.

use std::collections::{BTreeMap, VecDeque};

use super::checker::Findings;
use super::facts::{Facts, NodeIndex};
use super::{Check, Kept};
use crate::node::api::{Message, MessageKind};

const TEXTS_MAX: usize = 256;
const PREFIX_BYTES: usize = 8;
/// A filter of 4,096 bits: of 256 texts one place in 16 passes it and is looked up.
const FILTER_WORDS: usize = 64;

#[derive(Debug)]
pub(super) struct Secrecy {
    recent: VecDeque<u64>,
    texts: BTreeMap<u64, String>,
    filter: [u64; FILTER_WORDS],
}

impl Secrecy {
    pub fn new() -> Self {
        Self { recent: VecDeque::new(), texts: BTreeMap::new(), filter: [0; FILTER_WORDS] }
    }

    /// A datagram left a node.
    pub fn handle_sent(&self, facts: &Facts, node: NodeIndex, wire: &[u8], found: &mut Findings) {
        if !facts.is_honest_node(node) {
            return;
        }
        if let Some(text) = self.search(wire) {
            let name = &facts.nodes[node].name;
            found.push(Check::Private, facts.line, format!("{name} sends the text {text:?} in the clear"));
        }
    }

    /// A message is on the disk of a node.
    pub fn handle_kept(facts: &Facts, node: NodeIndex, kept: &Kept, found: &mut Findings) {
        let of = &facts.nodes[node];
        let Some(index) = facts.message(kept.id).filter(|_| kept.kind == MessageKind::Private) else { return };
        let to = facts.messages[index].to;
        if of.member.is_some() && of.member != Some(kept.author) && to.is_some() && to != of.member {
            let text = format!("{} stores {}, which is private to others", of.name, facts.title(index));
            found.push(Check::Private, facts.line, text);
        }
    }

    /// A node shows a message.
    pub fn handle_message(facts: &Facts, node: NodeIndex, message: &Message, found: &mut Findings) {
        let of = &facts.nodes[node];
        let is_meant = of.member == Some(message.from) || of.member == message.to;
        if message.kind == MessageKind::Private && of.member.is_some() && !is_meant {
            let title = facts.message(message.id).map_or_else(String::new, |index| facts.title(index));
            let text = format!("{} shows {title}, which is private to others", of.name);
            found.push(Check::Private, facts.line, text);
        }
    }

    /// A text was accepted: from now on it must not be seen.
    pub fn watch_for(&mut self, text: &str) {
        let Some(&prefix) = text.as_bytes().first_chunk::<PREFIX_BYTES>() else { return };
        let key = u64::from_be_bytes(prefix);
        if self.texts.insert(key, text.to_owned()).is_some() {
            return;
        }
        self.recent.push_back(key);
        if self.recent.len() > TEXTS_MAX
            && let Some(oldest) = self.recent.pop_front()
        {
            self.texts.remove(&oldest);
            self.filter = [0; FILTER_WORDS];
            for &key in &self.recent {
                let (word, bit) = place(key);
                self.filter[word] |= bit;
            }
        }
        let (word, bit) = place(key);
        self.filter[word] |= bit;
    }

    fn search(&self, wire: &[u8]) -> Option<&str> {
        let (first, rest) = wire.split_first_chunk::<PREFIX_BYTES>()?;
        let mut key = u64::from_be_bytes(*first);
        let mut next = rest.iter();
        loop {
            let (word, bit) = place(key);
            if self.filter[word] & bit != 0
                && let Some(text) = self.texts.get(&key)
            {
                let ahead = next.as_slice();
                let tail = &text.as_bytes()[PREFIX_BYTES..];
                let seen = tail.len().min(ahead.len());
                if tail[..seen] == ahead[..seen] {
                    return Some(text);
                }
            }
            key = key << 8 | u64::from(*next.next()?);
        }
    }
}

/// Where a key stands in the filter: its word and its bit.
fn place(key: u64) -> (usize, u64) {
    // Fibonacci hashing: the top bits of the product with 2^64 / φ.
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
    (usize::try_from(hash >> 6).expect("six bits"), 1 << (hash & 63))
}
