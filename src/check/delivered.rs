//! Check 1, for the promises C5 and C9: `delivered` means that the receiver had committed exactly that message, earlier. And
//! its root: a receipt leaves only once what it names is on its sender's disk.
//!
//! It cannot cry wolf: the disk's line stands before all that the node does about it, a receipt travels, and what was once
//! committed counts even if the home was rolled back since. Where the disk is not seen, it is asked at the end, of the
//! receiver's log: no order of pipes matters.

use super::checker::Findings;
use super::facts::{Facts, MessageIndex, NodeIndex};
use super::{Check, Driver, LineNumber};
use crate::base::{MemberId, MessageId};
use crate::node::api::{Delivery, Outcome};
use crate::wire::{FrameKind, Label};

#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// Claims that are looked into at the end.
    claims: Vec<Claim>,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    line: LineNumber,
    node: NodeIndex,
    message: MessageId,
    receiver: MemberId,
}

impl Delivered {
    /// A delivery changed its outcome, says its author.
    pub fn handle_delivery(
        &mut self,
        facts: &Facts,
        node: NodeIndex,
        message: MessageId,
        delivery: &Delivery,
        found: &mut Findings,
    ) {
        if delivery.outcome != Outcome::Delivered {
            return;
        }
        let claim = Claim { line: facts.line, node, message, receiver: delivery.member };
        match facts.driver {
            Driver::Sim => claim.judge(facts, found),
            Driver::Processes => self.claims.push(claim),
        }
    }

    /// A datagram left a node.
    pub fn handle_sent(facts: &Facts, node: NodeIndex, labels: &[Label], found: &mut Findings) {
        if facts.is_honest_node(node) {
            for label in labels {
                check_receipt(facts, node, label, found);
            }
        }
    }

    pub fn finish(&mut self, facts: &Facts, found: &mut Findings) {
        for claim in std::mem::take(&mut self.claims) {
            // A log that was not read, or that is not the one it was, says nothing of what was committed.
            let is_seen = |&home: &NodeIndex| facts.nodes[home].log_is_known && facts.nodes[home].epoch == 0;
            if facts.homes(claim.receiver).iter().all(is_seen) {
                claim.judge(facts, found);
            }
        }
    }
}

impl Claim {
    fn judge(self, facts: &Facts, found: &mut Findings) {
        let homes = facts.homes(self.receiver);
        if homes.is_empty() || !facts.is_honest(self.receiver) || !facts.is_honest_node(self.node) {
            return;
        }
        let is_committed =
            |message: MessageIndex| homes.iter().any(|&h| facts.nodes[h].ever_committed.contains(message));
        if facts.message(self.message).is_some_and(is_committed) {
            return;
        }
        let title = facts.message(self.message).map_or_else(|| self.message.handle(4), |index| facts.title(index));
        let (teller, receiver) = (&facts.nodes[self.node].name, facts.nick(self.receiver));
        found.push(
            Check::Delivered,
            self.line,
            format!("{teller} says that {title} is delivered to {receiver}, and {receiver} never committed it"),
        );
    }
}

fn check_receipt(facts: &Facts, node: NodeIndex, label: &Label, found: &mut Findings) {
    let (FrameKind::Receipt, Some(id)) = (label.frame, label.message) else { return };
    let of = &facts.nodes[node];
    if facts.message(id).is_some_and(|message| of.ever_committed.contains(message)) {
        return;
    }
    let title = facts.message(id).map_or_else(|| id.handle(4), |index| facts.title(index));
    found.push(
        Check::Delivered,
        facts.line,
        format!("{} sends a receipt for {title} before it is on its disk", of.name),
    );
}
