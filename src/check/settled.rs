//! Check 9, for the promises M5, C6, C7 and C8: within a bound after the last fault the core of the room settles. The core is
//! whoever the caller gives a status of: all that run, or those that are not left broken on purpose.
//!
//! Settled means: each of the core holds each other alive, in its present run, and nobody alive that does not run; each room
//! message that one of the core holds every other one holds too, or has noted as a gap; nothing is still being sent,
//! and every private message within the core came to its end.
//!
//! It cannot cry wolf: only messages count that were said after a node first started, among the newest 500, of the last
//! 24 hours and of a run that is still tracked, because that is what recovery promises; a home that was rolled back is held to
//! nothing that it may have had. A member that said goodbye may be held unreachable too: whoever missed the goodbye
//! cannot know better.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::facts::{Facts, MessageIndex, NodeIndex};
use super::{Driver, Noted};
use crate::base::limits::{MESSAGE_LIFE, RECOVERY_AGE_MAX};
use crate::base::{MemberId, Presence};
use crate::node::api::{Delivery, MessageKind, Outcome, Status};

/// How long the room may take after the last fault: an unknown message is sent again once a minute, and then may need a
/// second time.
pub const SETTLES_WITHIN: Duration = Duration::from_secs(150);

#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Private messages whose delivery has not come to its end.
    private: BTreeSet<MessageIndex>,
    /// Deliveries of room messages that were tried and are not settled, as their author told them last.
    tried: BTreeMap<(NodeIndex, MessageIndex, MemberId), Outcome>,
}

/// One node of the core.
struct Core<'a> {
    node: NodeIndex,
    member: MemberId,
    status: &'a Status,
}

impl Settled {
    /// A node accepted a private message.
    pub fn handle_accepted(&mut self, message: MessageIndex) {
        self.private.insert(message);
    }

    /// A process began. What an earlier one committed and died before it told is on the disk; where that is not seen,
    /// nothing is known of what it left open.
    pub fn handle_started(&mut self, facts: &Facts, node: NodeIndex) {
        match facts.driver {
            Driver::Sim => {}
            Driver::Processes => {
                self.tried.retain(|&(author, _, _), _| author != node);
                self.private.retain(|&index| facts.messages[index].origin.is_some_and(|origin| origin.node != node));
            }
        }
    }

    /// An end that is on the author's disk is one, whether it was told or not.
    pub fn handle_noted(&mut self, facts: &Facts, node: NodeIndex, noted: &[Noted]) {
        for noted in noted {
            if let Noted::Settled { id, member } = noted
                && let Some(message) = facts.message(*id)
            {
                self.private.remove(&message);
                self.tried.remove(&(node, message, *member));
            }
        }
    }

    /// A delivery changed its outcome, says its author.
    pub fn handle_delivery(&mut self, facts: &Facts, node: NodeIndex, message: MessageIndex, delivery: &Delivery) {
        let key = (node, message, delivery.member);
        match delivery.outcome {
            Outcome::Delivered | Outcome::Refused | Outcome::Expired => {
                self.private.remove(&message);
                self.tried.remove(&key);
            }
            Outcome::Waiting | Outcome::Sending | Outcome::Unknown => {
                if facts.messages[message].kind == Some(MessageKind::Group) {
                    self.tried.insert(key, delivery.outcome);
                }
            }
        }
    }

    /// A message was never sent.
    pub fn handle_undone(&mut self, message: MessageIndex) {
        self.private.remove(&message);
    }

    /// The first reasons, at most `max`, why the core is not settled; none if it is.
    pub fn unsettled(&self, facts: &Facts, statuses: &[(&str, &Status)], max: usize) -> Vec<String> {
        let core: Vec<Core<'_>> = statuses.iter().filter_map(|&(name, status)| Core::of(facts, name, status)).collect();
        let views = core.iter().flat_map(|observer| views(facts, &core, observer));
        let sending = core.iter().filter(|of| of.status.deliveries.sending > 0).map(|of| {
            let count = of.status.deliveries.sending;
            format!("{} is still sending ({count})", facts.nodes[of.node].name)
        });
        views
            .chain(sending)
            .chain(self.open_private(facts, &core))
            .chain(missing(facts, &core))
            .chain(self.open_group(facts, &core))
            .take(max)
            .collect()
    }

    fn open_private<'a>(&'a self, facts: &'a Facts, core: &'a [Core<'a>]) -> impl Iterator<Item = String> + 'a {
        self.private.iter().filter_map(move |&index| {
            let said = &facts.messages[index];
            let origin = said.origin?;
            let to = said.to?;
            let author = core.iter().find(|of| of.node == origin.node)?;
            let of = &facts.nodes[author.node];
            // Past its life nothing more is done for it: what is unknown then stays so.
            let is_alive = facts.now.since(origin.at) < MESSAGE_LIFE;
            let is_due = core.iter().any(|of| of.member == to)
                && is_alive
                && of.epoch == origin.epoch
                && of.committed.contains(index);
            is_due.then(|| format!("{} has not settled {}, to {}", of.name, facts.title(index), facts.nick(to)))
        })
    }

    fn open_group<'a>(&'a self, facts: &'a Facts, core: &'a [Core<'a>]) -> impl Iterator<Item = String> + 'a {
        self.tried.iter().filter_map(move |(&(node, index, to), outcome)| {
            let author = core.iter().find(|of| of.node == node)?;
            let receiver = core.iter().find(|of| of.member == to)?;
            let (of, holder) = (&facts.nodes[author.node], &facts.nodes[receiver.node]);
            let origin = facts.messages[index].origin;
            // Past its life nobody asks for a receipt that was lost.
            let is_asked_for = origin.is_some_and(|origin| facts.now.since(origin.at) < MESSAGE_LIFE);
            let is_due = is_asked_for && of.epoch == 0 && holder.epoch == 0 && holder.committed.contains(index);
            let title = || facts.title(index);
            (is_due && facts.recent.contains(&index))
                .then(|| format!("{} calls {} to {} {outcome:?}, which holds it", of.name, title(), holder.name))
        })
    }
}

impl<'a> Core<'a> {
    fn of(facts: &Facts, name: &str, status: &'a Status) -> Option<Self> {
        let node = facts.find(name)?;
        let member = facts.nodes[node].member?;
        facts.is_honest(member).then_some(Self { node, member, status })
    }
}

/// What `observer` holds of the members that is not as it is.
fn views<'a>(facts: &'a Facts, core: &'a [Core<'a>], observer: &'a Core<'a>) -> impl Iterator<Item = String> + 'a {
    let name = &facts.nodes[observer.node].name;
    let seen: BTreeMap<MemberId, (Presence, u64)> =
        observer.status.members.iter().map(|member| (member.id, (member.state, member.incarnation))).collect();
    let absent = core.iter().filter(|other| other.member != observer.member).filter_map({
        let seen = seen.clone();
        move |other| {
            let of = &facts.nodes[other.node].name;
            let incarnation = other.status.node.incarnation;
            match seen.get(&other.member) {
                Some(&(Presence::Alive, held)) if held == incarnation => None,
                Some(&(Presence::Alive, held)) => {
                    Some(format!("{name} holds {of} alive as incarnation {held}, and it runs as {incarnation}"))
                }
                Some((state, _)) => Some(format!("{name} holds {of} {state:?}, and it runs")),
                None => Some(format!("{name} does not know {of}")),
            }
        }
    });
    let gone = facts.nodes.iter().filter_map(move |of| {
        let member = of.member.filter(|&member| facts.is_honest(member))?;
        let (state, _) = seen.get(&member)?;
        let is_held = matches!(state, Presence::Alive | Presence::Suspect);
        let why = if of.has_left { "said goodbye" } else { "does not run" };
        (is_held && !of.is_running).then(|| format!("{name} holds {} {state:?}, and it {why}", of.name))
    });
    absent.chain(gone)
}

/// Room messages that one of the core holds, and another neither holds nor misses knowingly.
fn missing<'a>(facts: &'a Facts, core: &'a [Core<'a>]) -> impl Iterator<Item = String> + 'a {
    facts.recent.iter().flat_map(move |&index| {
        let said = &facts.messages[index];
        let is_held = |of: &Core<'_>| facts.nodes[of.node].committed.contains(index);
        let is_young = said.origin.is_some_and(|origin| facts.now.since(origin.at) < RECOVERY_AGE_MAX);
        let holder = core.iter().find(|of| is_held(of)).filter(|_| is_young && !said.is_undone);
        let due = holder.and_then(|holder| Some((holder, said.author?, said.place?, said.origin?.at)));
        core.iter().filter_map(move |of| {
            let (holder, author, (incarnation, seq), at) = due?;
            let node = &facts.nodes[of.node];
            let run = (author, incarnation);
            let was_here = node.first_start.is_some_and(|first| first < at);
            let is_accounted_for = node.ever_committed.contains(index)
                || node.told_gaps.contains(run, seq)
                || node.noted_gaps.contains(run, seq)
                || node.history.contains(run, seq);
            let is_due = was_here
                && !is_accounted_for
                && facts.is_honest(author)
                && !facts.is_ambiguous(author, incarnation)
                && !facts.is_forgotten(author, incarnation);
            let holder = &facts.nodes[holder.node].name;
            is_due
                .then(|| format!("{} neither shows nor misses {}, which {holder} holds", node.name, facts.title(index)))
        })
    })
}
