//! Check 6, second half, for the promises C3 and S2: no place of a stream, (author, incarnation, stream, number), names two
//! messages of an honest author.
//!
//! It cannot cry wolf: a place counts once a message of it is shown, or is on somebody else's disk, since what an author
//! undid before it was sent frees its number. Two processes of one incarnation, from a home rolled back or copied, are
//! told apart by nothing in the trace and left out.

use std::collections::BTreeMap;

use super::checker::Findings;
use super::facts::{Facts, MessageIndex, NodeIndex};
use super::{Check, Kept};
use crate::base::{Incarnation, MemberId, Seq, Stream};
use crate::node::api::{Message, MessageKind};

#[derive(Debug, Default)]
pub(super) struct Places {
    /// The first message of each place, and whether another was found there.
    bound: BTreeMap<(MemberId, Incarnation, Stream, Seq), (MessageIndex, bool)>,
}

impl Places {
    /// A node shows a message.
    pub fn handle_message(&mut self, facts: &Facts, message: &Message, found: &mut Findings) {
        let stream = message.to.map_or(Stream::Room, Stream::To);
        let place = (message.from, message.incarnation, stream, message.seq);
        self.bind(facts, place, facts.message(message.id), found);
    }

    /// A message is on the disk of a node.
    pub fn handle_kept(&mut self, facts: &Facts, node: NodeIndex, kept: &Kept, found: &mut Findings) {
        let stream = match (kept.kind, facts.nodes[node].member) {
            (MessageKind::Group, _) => Stream::Room,
            (MessageKind::Private, Some(member)) => Stream::To(member),
            (MessageKind::Private, None) => return,
        };
        if !kept.is_own {
            let place = (kept.author, kept.incarnation, stream, kept.seq);
            self.bind(facts, place, facts.message(kept.id), found);
        }
    }

    fn bind(
        &mut self,
        facts: &Facts,
        place: (MemberId, Incarnation, Stream, Seq),
        message: Option<MessageIndex>,
        found: &mut Findings,
    ) {
        let Some(message) = message else { return };
        let (author, incarnation, stream, seq) = place;
        let (first, is_found) = self.bound.entry(place).or_insert((message, false));
        let first = *first;
        let epoch = |message: MessageIndex| facts.messages[message].origin.map(|origin| origin.epoch);
        if first == message
            || !facts.is_honest(author)
            || facts.is_ambiguous(author, incarnation)
            || epoch(first) != epoch(message)
            || std::mem::replace(is_found, true)
        {
            return;
        }
        let kind = match stream {
            Stream::Room => "the room".to_owned(),
            Stream::To(member) => facts.nick(member),
        };
        let (one, other) = (facts.messages[first].id.handle(4), facts.messages[message].id.handle(4));
        found.push(
            Check::UsedOnce,
            facts.line,
            format!("{} said two messages as #{seq} to {kind} in one run: {one} and {other}", facts.nick(author)),
        );
    }
}
