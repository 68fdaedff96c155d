//! Check 4, for the promise C7: a gap names messages that exist, and that the node does not hold.
//!
//! It cannot cry wolf: an author has its message on its own disk before anybody can miss it, and what reached the node's
//! disk in the last ten seconds, or while its process stood still, counts as held only once it is shown: a late loop has
//! not come to it. What authors without honour said is left out. Where the
//! disk is not seen, existence is looked up at the end, in the author's log.

use super::checker::Findings;
use super::facts::{Facts, NodeIndex};
use super::{Check, Driver, LineNumber};
use crate::base::{MemberId, Seq};
use crate::node::api::Gap;

/// Messages of one gap that are looked at.
const LOOKED_AT_MAX: u64 = 10_000;

#[derive(Debug, Default)]
pub(super) struct Gaps {
    doubts: Vec<(LineNumber, NodeIndex, Gap)>,
}

impl Gaps {
    /// A node tells a gap.
    pub fn handle_gap(&mut self, facts: &Facts, node: NodeIndex, gap: &Gap, found: &mut Findings) {
        if !facts.is_honest_node(node)
            || !facts.is_honest(gap.author)
            || facts.is_ambiguous(gap.author, gap.incarnation)
        {
            return;
        }
        let of = &facts.nodes[node];
        let held = |&seq: &Seq| {
            let message = facts.at_place(gap.author, gap.incarnation, seq);
            message.is_some_and(|message| of.holds(message, facts.now))
        };
        if let Some(seq) = seqs(gap).find(held) {
            found.push(Check::TrueGaps, facts.line, told(facts, node, gap.author, seq, "holds it"));
        }
        match facts.driver {
            Driver::Sim => check_existence(facts, facts.line, node, gap, found),
            Driver::Processes => self.doubts.push((facts.line, node, gap.clone())),
        }
    }

    pub fn finish(&mut self, facts: &Facts, found: &mut Findings) {
        for (line, node, gap) in std::mem::take(&mut self.doubts) {
            if facts
                .homes(gap.author)
                .iter()
                .all(|&home| facts.nodes[home].log_is_known && facts.nodes[home].epoch == 0)
            {
                check_existence(facts, line, node, &gap, found);
            }
        }
    }
}

fn check_existence(facts: &Facts, line: LineNumber, node: NodeIndex, gap: &Gap, found: &mut Findings) {
    let lacks = |&seq: &Seq| facts.at_place(gap.author, gap.incarnation, seq).is_none();
    if let Some(seq) = seqs(gap).find(lacks) {
        found.push(Check::TrueGaps, line, told(facts, node, gap.author, seq, "it was never said"));
    }
}

fn seqs(gap: &Gap) -> impl Iterator<Item = Seq> + use<> {
    gap.first..=gap.last.min(gap.first.saturating_add(LOOKED_AT_MAX))
}

fn told(facts: &Facts, node: NodeIndex, author: MemberId, seq: Seq, why: &str) -> String {
    format!("{} tells a gap with {}#{seq}, and {why}", facts.nodes[node].name, facts.nick(author))
}
