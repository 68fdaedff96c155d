//! Check 6, second half, for the promises C3 and S2: no place of a stream, (author, incarnation, stream, number), names two
//! messages of an honest author.
//!
//! It cannot cry wolf: a place counts once a message of it is shown, or is on somebody else's disk, since what an author
//! undid before it was sent frees its number. Two processes of one incarnation, from a home rolled back or copied, are
//! told apart by nothing in the trace and left out.

use std::collections::BTreeMap;

use super::checker::Findings;
use super::facts::{Facts, MessageIndex, NodeIndex};
use super::{Check, Line, What};
use crate::base::{Incarnation, MemberId, Seq, Stream};
use crate::node::api::{EventKind, MessageKind};

#[derive(Debug, Default)]
pub(super) struct Places {
    bound: BTreeMap<(MemberId, Incarnation, Stream, Seq), MessageIndex>,
}

impl Places {
    pub fn handle(&mut self, facts: &Facts, line: &Line, node: NodeIndex, found: &mut Findings) {
        match &line.what {
            What::Told { event } => {
                let EventKind::Message(message) = &event.kind else { return };
                let stream = message.to.map_or(Stream::Room, Stream::To);
                let place = (message.from, message.incarnation, stream, message.seq);
                self.bind(facts, line, place, facts.message(message.id), found);
            }
            What::Stored { kept, .. } => {
                for kept in kept.iter().filter(|kept| !kept.is_own) {
                    let stream = match (kept.kind, facts.nodes[node].member) {
                        (MessageKind::Group, _) => Stream::Room,
                        (MessageKind::Private, Some(member)) => Stream::To(member),
                        (MessageKind::Private, None) => continue,
                    };
                    let place = (kept.author, kept.incarnation, stream, kept.seq);
                    self.bind(facts, line, place, facts.message(kept.id), found);
                }
            }
            _ => {}
        }
    }

    fn bind(
        &mut self,
        facts: &Facts,
        line: &Line,
        place: (MemberId, Incarnation, Stream, Seq),
        message: Option<MessageIndex>,
        found: &mut Findings,
    ) {
        let Some(message) = message else { return };
        let (author, incarnation, stream, seq) = place;
        let first = *self.bound.entry(place).or_insert(message);
        let epoch = |message: MessageIndex| facts.messages[message].origin.map(|origin| origin.epoch);
        if first == message
            || !facts.is_honest(author)
            || facts.is_ambiguous(author, incarnation)
            || epoch(first) != epoch(message)
        {
            return;
        }
        let kind = match stream {
            Stream::Room => "room".to_owned(),
            Stream::To(member) => facts.nick(member),
        };
        let (one, other) = (facts.messages[first].id.handle(4), facts.messages[message].id.handle(4));
        found.push(
            Check::UsedOnce,
            line.n,
            format!("{} said two messages as its {seq}th to {kind} in one run: {one} and {other}", facts.nick(author)),
        );
    }
}
