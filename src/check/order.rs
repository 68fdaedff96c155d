//! Check 3, for the promise C7: one author's messages of one run show in order, or what was passed over is told as a gap
//! first; whatever comes out of order is marked as late. Of a private stream nothing proves a hole, so there only the mark is
//! asked for.
//!
//! It cannot cry wolf. Passed over without a word may be: what was said before the node came to the room (its disk notes
//! that), what an earlier process had committed (it is in the log, though no event may have told it), and a gap that an
//! earlier process noted. Two messages of one place, runs that two processes shared and authors without honour are left out.

use std::collections::BTreeMap;

use super::checker::Findings;
use super::facts::{Facts, NodeIndex};
use super::{Check, Driver, LineNumber};
use crate::base::{Incarnation, MemberId, Seq};
use crate::node::api::{Message, MessageKind};

#[derive(Debug, Default)]
pub(super) struct Order {
    streams: BTreeMap<Stream, Head>,
    /// Passed over by a process whose disk is not seen.
    doubts: Vec<(LineNumber, Stream, Seq, Seq)>,
}

/// One run of an author, as one machine sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Stream {
    node: NodeIndex,
    author: MemberId,
    incarnation: Incarnation,
    kind: MessageKind,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    epoch: u32,
    /// The newest that was shown.
    seq: Seq,
}

impl Order {
    /// A node shows a message.
    pub fn handle_message(&mut self, facts: &Facts, node: NodeIndex, message: &Message, found: &mut Findings) {
        let of = &facts.nodes[node];
        if of.member == Some(message.from)
            || !facts.is_honest_node(node)
            || !facts.is_honest(message.from)
            || facts.is_ambiguous(message.from, message.incarnation)
        {
            return;
        }
        let stream = Stream { node, author: message.from, incarnation: message.incarnation, kind: message.kind };
        let fresh = Head { epoch: of.epoch, seq: 0 };
        let head = self.streams.entry(stream).or_insert(fresh);
        if head.epoch != of.epoch {
            *head = fresh;
        }
        let before = head.seq;
        head.seq = before.max(message.seq);
        if message.seq > before {
            self.pass_over(facts, facts.line, stream, (before + 1, message.seq), found);
        } else if message.late_ms.is_none() && !is_fork(facts, message) {
            let (name, author) = (&of.name, facts.nick(message.from));
            found.push(
                Check::InOrder,
                facts.line,
                format!("{name} shows {author}#{} after {author}#{before}, and not as late", message.seq),
            );
        }
    }

    /// A message was shown at `upto` where `first` was the next one.
    fn pass_over(
        &mut self,
        facts: &Facts,
        line: LineNumber,
        stream: Stream,
        (first, upto): (Seq, Seq),
        found: &mut Findings,
    ) {
        if stream.kind == MessageKind::Private {
            return;
        }
        let Some(missing) = (first..upto).find(|&seq| !is_accounted_for(facts, stream, seq)) else { return };
        match facts.driver {
            Driver::Sim => tell(facts, line, stream, missing, upto, found),
            // A newcomer's disk notes where its history begins, and it is not seen.
            Driver::Processes if facts.nodes[stream.node].life == 1 && first == 1 => {}
            Driver::Processes if facts.nodes[stream.node].life == 1 => tell(facts, line, stream, missing, upto, found),
            Driver::Processes => self.doubts.push((line, stream, missing, upto)),
        }
    }

    pub fn finish(&mut self, facts: &Facts, found: &mut Findings) {
        for (line, stream, first, upto) in std::mem::take(&mut self.doubts) {
            if !facts.nodes[stream.node].log_is_known {
                continue;
            }
            if let Some(missing) = (first..upto).find(|&seq| !is_accounted_for(facts, stream, seq)) {
                tell(facts, line, stream, missing, upto, found);
            }
        }
    }
}

/// Another message has the place: both are shown, whenever they come.
fn is_fork(facts: &Facts, message: &Message) -> bool {
    let at = facts.at_place(message.from, message.incarnation, message.seq);
    message.kind == MessageKind::Group && at.is_some_and(|at| facts.messages[at].id != message.id)
}

fn is_accounted_for(facts: &Facts, stream: Stream, seq: Seq) -> bool {
    let of = &facts.nodes[stream.node];
    let run = (stream.author, stream.incarnation);
    let was_restored = |message| match facts.driver {
        Driver::Sim => of.restored.contains(message),
        Driver::Processes => of.committed.contains(message),
    };
    let gaps = match facts.driver {
        Driver::Sim => &of.restored_gaps,
        Driver::Processes => &of.noted_gaps,
    };
    of.told_gaps.contains(run, seq)
        || gaps.contains(run, seq)
        || of.history.contains(run, seq)
        || facts.at_place(run.0, run.1, seq).is_some_and(was_restored)
}

fn tell(facts: &Facts, line: LineNumber, stream: Stream, missing: Seq, upto: Seq, found: &mut Findings) {
    let (name, author) = (&facts.nodes[stream.node].name, facts.nick(stream.author));
    found.push(
        Check::InOrder,
        line,
        format!("{name} shows {author}#{upto}, and neither {author}#{missing} nor a gap for it before"),
    );
}
