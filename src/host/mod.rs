//! One node with its faults and its scripts around it, still sans-IO and of the same shape as the node: the loop of
//! a real process and the simulator drive the same host. Owns what befalls a datagram between the node and its
//! driver, out and in. Decides nothing about members or messages.
//!
//! The drain contract is the node's: after every `handle_*`, call [`Host::poll_output`] until it gives `None`,
//! then ask [`Host::poll_timeout`]. A host without faults passes everything on as it is.

mod edge;
mod names;
#[cfg(test)]
mod pair;
mod scripted;
#[cfg(test)]
mod scripted_test;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::{MemberId, Now, StoreFailed, Time};
use crate::faults::{Arrival, DropReason, Fate, PlanFull, Spec, SpecError};
use crate::lua::Scripts;
use crate::node::api::{Command, Event, EventKind, Refusal, Reply, Status};
use crate::node::{self, Mark, Node, Record};
use crate::wire::Label;
use crate::wire::sealed::Channel;
use edge::{Edge, Passage};
use names::resolve;
use scripted::Scripted;

pub use edge::Way;
pub use names::NameError;

/// What the driver is to do, or to note.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "an event is handled at once and never kept in a long queue")]
pub enum Output {
    /// Make these durable, then call [`Host::handle_stored`] with `mark`.
    Store { records: Vec<Record>, mark: Mark },
    /// Send one datagram, or one copy of it.
    Transmit {
        to: SocketAddr,
        bytes: Vec<u8>,
        /// Of the frames that it carried when it left the node; empty unless [`node::Config::labels_frames`].
        labels: Vec<Label>,
        /// The node's own faults changed `bytes`.
        is_damaged: bool,
    },
    /// Tell whoever listens.
    Event(Event),
    /// The node's own faults took a datagram, or a copy of it: a fact, for traces. One on its way in is the one that
    /// [`Host::handle_datagram`] was given last.
    Dropped {
        way: Way,
        /// Where it was to go, or where it came from.
        address: SocketAddr,
        bytes: Vec<u8>,
        labels: Vec<Label>,
        why: DropReason,
    },
}

/// Why faults stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A rule names somebody who is not known, or whom two members may be.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A rule names both ends of a link that is none of this node's.
    #[error("no link from {from} to {to} is this node's; name the member at its other end")]
    Elsewhere { from: String, to: String },
    #[error(transparent)]
    Full(#[from] PlanFull),
}

/// One node with its faults. See the module's words for how it is driven.
pub struct Host {
    node: Node,
    edge: Edge,
    /// What goes before the node's own outputs.
    outputs: VecDeque<Output>,
    /// Of the last input.
    now: Now,
    learn_due: Time,
    scripts: Scripted,
}

impl Host {
    /// A host at which everything passes; `seed` decides the fates under rules to come.
    #[must_use]
    pub fn new(node: Node, seed: [u8; 32], now: Now) -> Self {
        let edge = Edge::new(node.id(), seed);
        Self { node, edge, outputs: VecDeque::new(), now, learn_due: Time::ZERO, scripts: Scripted::default() }
    }

    /// The host, with scripts that it calls. To be given before the first input.
    #[must_use]
    pub fn with_scripts(mut self, scripts: Scripts) -> Self {
        self.scripts = Scripted::new(scripts);
        self
    }

    /// Takes in one datagram.
    pub fn handle_datagram(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) {
        self.begin(now);
        if self.is_watched() {
            self.meet(Passage {
                way: Way::In,
                address: from,
                bytes: bytes.to_vec(),
                labels: Vec::new(),
                is_damaged: false,
            });
        } else {
            self.node.handle_datagram(now, from, bytes);
        }
    }

    /// Has the node carry out `command`.
    ///
    /// # Errors
    /// [`Refusal`]; nothing changed then.
    pub fn handle_command(&mut self, now: Now, command: Command) -> Result<Reply, Refusal> {
        self.begin(now);
        self.node.handle_command(now, command)
    }

    /// Changes the faults as a person asks for it, and tells so.
    ///
    /// # Errors
    /// [`FaultError`]; nothing changed then.
    pub fn handle_fault(&mut self, now: Now, spec: &str) -> Result<(), FaultError> {
        let spec = spec.parse()?;
        let members = self.node.names();
        for (from, to) in edge::nicks(&spec) {
            let is_me = |nick: &str| resolve(nick, &members).map(|id| id == self.node.id());
            let (from_me, to_me) = (from.map(is_me).transpose()?, to.map(is_me).transpose()?);
            if let (Some(from), Some(to)) = (from, to)
                && from_me == to_me
            {
                return Err(FaultError::Elsewhere { from: from.to_owned(), to: to.to_owned() });
            }
        }
        Ok(self.change_faults(now, spec)?)
    }

    /// Changes the faults, and tells so. A nick that nobody has yet is whoever comes by that nick first.
    ///
    /// # Errors
    /// [`PlanFull`]; nothing changed then.
    pub fn change_faults(&mut self, now: Now, spec: Spec) -> Result<(), PlanFull> {
        self.begin(now);
        self.edge.change(spec)?;
        self.learn();
        let specs = self.edge.specs();
        let spec = (!specs.is_empty()).then(|| specs.join(", "));
        self.node.handle_told(self.now, EventKind::Fault { spec });
        Ok(())
    }

    /// Learns that the batches up to `mark` are durable, or that the disk took nothing of them; see
    /// [`Node::handle_stored`].
    pub fn handle_stored(&mut self, now: Now, mark: Mark, result: Result<(), StoreFailed>) {
        self.begin(now);
        self.node.handle_stored(now, mark, result);
    }

    /// Has the node say something as it is: see [`Node::utter`].
    pub fn utter(&mut self, now: Now, to: MemberId, channel: Channel, frame: &[u8], label: Option<Label>) -> bool {
        self.begin(now);
        self.node.utter(now, to, channel, frame, label)
    }

    /// Has the node hold alive whom it remembers: see [`Node::presume`].
    pub fn presume(&mut self, now: Now) {
        self.begin(now);
        self.node.presume(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.begin(now);
        if self.node.poll_timeout().is_some_and(|due| due <= now.time) {
            if self.is_watched() && now.time >= self.learn_due {
                self.learn();
            }
            self.node.handle_timeout(now);
        }
        self.run_timers();
    }

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            let Some(output) = self.scripts.poll_said().or_else(|| self.node.poll_output()) else {
                // The node has said all, so what its scripts make it do is a new input.
                if self.run_hooks() {
                    continue;
                }
                return None;
            };
            match output {
                node::Output::Transmit { to, bytes, labels } if self.is_watched() => {
                    self.meet(Passage { way: Way::Out, address: to, bytes, labels, is_damaged: false });
                }
                node::Output::Transmit { to, bytes, labels } => {
                    return Some(Output::Transmit { to, bytes, labels, is_damaged: false });
                }
                node::Output::Store { records, mark } => return Some(Output::Store { records, mark }),
                node::Output::Event(event) => {
                    if self.is_watched() && matches!(event.kind, EventKind::Member { .. }) {
                        self.learn();
                    }
                    self.scripts.note(&event);
                    return Some(Output::Event(event));
                }
            }
        }
    }

    /// When [`Host::handle_timeout`] is due next, if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        [self.node.poll_timeout(), self.edge.poll_timeout(), self.scripts_due()].into_iter().flatten().min()
    }

    /// The node's status, its faults and what they did among it.
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        let mut status = self.node.status(now);
        status.faults = self.faults();
        status.counters.extend(self.edge.entries().map(|(name, count)| (name.to_owned(), count)));
        status
    }

    /// The rules that are on, each as a spec.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.edge.specs()
    }

    /// The node, for whoever only asks.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Whom a person means by `name`.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn member(&self, name: &str) -> Result<MemberId, NameError> {
        resolve(name, &self.node.names())
    }

    /// Begins an input: what was held back until now passes before it.
    fn begin(&mut self, now: Now) {
        self.now = now;
        while let Some(passage) = self.edge.poll_passage(now.time) {
            self.let_pass(passage);
        }
    }

    /// Whether something may befall a datagram here.
    fn is_watched(&self) -> bool {
        self.edge.is_on() || self.scripts.sees_datagrams()
    }

    /// Decides about one datagram by the plan.
    fn decide(&mut self, passage: Passage) {
        let fate = self.edge.decide(self.now.time, &passage);
        self.meet_fate(passage, fate);
    }

    fn meet_fate(&mut self, passage: Passage, fate: Fate) {
        match fate {
            Fate::Drop(why) => self.drop(passage, why),
            Fate::Deliver { first, again: None } => self.deliver(first, passage),
            Fate::Deliver { first, again: Some(again) } => {
                self.deliver(first, passage.clone());
                self.deliver(again, passage);
            }
        }
    }

    fn deliver(&mut self, arrival: Arrival, mut passage: Passage) {
        if arrival.damage.is_any() {
            arrival.damage.apply(&mut passage.bytes);
            passage.is_damaged = true;
        }
        if arrival.after.is_zero() {
            self.let_pass(passage);
        } else if let Err(passage) = self.edge.hold(self.now.time + arrival.after, passage) {
            self.drop(passage, DropReason::Queue);
        }
    }

    fn drop(&mut self, passage: Passage, why: DropReason) {
        let Passage { way, address, bytes, labels, is_damaged: _ } = passage;
        self.outputs.push_back(Output::Dropped { way, address, bytes, labels, why });
    }

    fn let_pass(&mut self, passage: Passage) {
        match passage.way {
            Way::Out => {
                let Passage { way: _, address: to, bytes, labels, is_damaged } = passage;
                self.outputs.push_back(Output::Transmit { to, bytes, labels, is_damaged });
            }
            Way::In => {
                self.node.handle_datagram(self.now, passage.address, &passage.bytes);
                self.drain_node();
            }
        }
    }

    /// Keeps the node's drain contract where several datagrams reach it in one input of the host.
    fn drain_node(&mut self) {
        let earlier = std::mem::take(&mut self.outputs);
        let drained: VecDeque<Output> = std::iter::from_fn(|| self.poll_output()).collect();
        self.outputs = earlier;
        self.outputs.extend(drained);
    }

    /// Tells fault injection who is who and where.
    fn learn(&mut self) {
        self.learn_due = self.now.time + LEARN_EVERY;
        let members = self.node.names();
        self.edge.learn(&members, self.node.addresses());
    }
}

/// How old the addresses may be that fault injection knows members by.
const LEARN_EVERY: Duration = Duration::from_secs(1);
