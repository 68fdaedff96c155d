//! What the nodes told their people so far, across restarts: messages, in which states they held whom, alarms. Owns
//! what a scenario looks back at; what is true now it asks the nodes.

use std::collections::BTreeMap;

use crate::base::{MemberId, Presence};
use crate::check::Name;
use crate::node::api::{EventKind, Message};

/// Of all machines.
#[derive(Default)]
pub(super) struct Told {
    /// Oldest first.
    messages: BTreeMap<Name, Vec<Message>>,
    /// The states of each member that a node told, in order.
    states: BTreeMap<Name, BTreeMap<MemberId, Vec<Presence>>>,
    alarms: BTreeMap<Name, Vec<String>>,
}

impl Told {
    /// Takes in an event of `node`; says whether it changes who sees whom.
    pub(super) fn handle(&mut self, node: &Name, event: &EventKind) -> bool {
        match event {
            EventKind::Message(message) => {
                self.messages.entry(node.clone()).or_default().push(message.clone());
                false
            }
            EventKind::Member { id, state, .. } => {
                self.states.entry(node.clone()).or_default().entry(*id).or_default().push(*state);
                true
            }
            EventKind::Alarm { text } => {
                self.alarms.entry(node.clone()).or_default().push(text.clone());
                false
            }
            EventKind::Ready { .. } => true,
            EventKind::Undone { .. }
            | EventKind::Delivery { .. }
            | EventKind::Gap(_)
            | EventKind::Recovered { .. }
            | EventKind::Fault { .. }
            | EventKind::Stalled { .. }
            | EventKind::Lagged { .. }
            | EventKind::Script { .. } => false,
        }
    }

    /// The home of `node` went back in time: what it showed since then it may show again.
    pub(super) fn roll_back(&mut self, node: &Name) {
        self.messages.remove(node);
    }

    /// What was shown on `node`, since its home was last rolled back.
    pub(super) fn messages(&self, node: &str) -> &[Message] {
        self.messages.get(node).map_or(&[], Vec::as_slice)
    }

    /// In which states `node` told that `member` is, one after the other.
    pub(super) fn states(&self, node: &str, member: MemberId) -> &[Presence] {
        self.states.get(node).and_then(|states| states.get(&member)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn alarms(&self, node: &str) -> &[String] {
        self.alarms.get(node).map_or(&[], Vec::as_slice)
    }
}
