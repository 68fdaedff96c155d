//! What the node's driver knows of it that the node does not: the address it listens on, and what invites
//! somebody. Owns the `ready` event and tickets.

use std::net::SocketAddr;

use crate::base::limits::CARD_ADDRESSES_MAX;
use crate::base::{Now, Wall};
use crate::node::Node;
use crate::node::api::{Event, EventKind};
use crate::store::Room;
use crate::wire::Ticket;

/// Facts that stay the same once the node is ready, but for the nick.
pub(super) struct Facts {
    pub nick: String,
    pub room: Room,
    /// Where others reach this node, best first; never empty.
    pub addresses: Vec<SocketAddr>,
    /// When it was ready.
    pub ready_at: Wall,
    /// Whether no message had ever come to this home when it started.
    pub is_newcomer: bool,
}

impl Facts {
    /// The address that this node shows.
    #[must_use]
    pub fn addr(&self) -> String {
        self.addresses.first().map(ToString::to_string).unwrap_or_default()
    }

    /// The first event, with what has changed since. The machine numbers its events from 1.
    #[must_use]
    pub fn ready(&self, node: &Node) -> Event {
        let kind = EventKind::Ready {
            id: node.id(),
            nick: self.nick.clone(),
            room: self.room.name.clone(),
            addr: self.addr(),
            incarnation: node.run().incarnation,
            ticket: self.ticket(Vec::new()).to_string(),
        };
        Event { n: 0, at: self.ready_at, cause: None, kind }
    }

    /// A ticket with this node's addresses, and as many of the others that are alive as it takes.
    #[must_use]
    pub fn invite(&self, now: Now, node: &Node) -> Ticket {
        let alive = node.status(now).members.into_iter().filter(|member| member.state.is_reachable());
        let others = alive.filter_map(|member| node.why_member(now, member.id)?.link.address);
        self.ticket(others.collect())
    }

    fn ticket(&self, others: Vec<SocketAddr>) -> Ticket {
        let mut addresses = self.addresses.clone();
        // Who is on another machine cannot reach loopback there.
        let is_useful = |address: &SocketAddr| !address.ip().is_loopback() || self.addresses[0].ip().is_loopback();
        addresses.extend(others.into_iter().filter(is_useful));
        let mut seen = Vec::new();
        addresses.retain(|address| {
            let is_new = !seen.contains(address);
            seen.push(*address);
            is_new
        });
        addresses.truncate(CARD_ADDRESSES_MAX);
        Ticket { room_name: self.room.name.clone(), room: self.room.id, secret: self.room.secret.clone(), addresses }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    fn facts(addresses: &[&str]) -> Facts {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let room = Room::found("ana's moot", &mut Rng::from_seed([1; 32]));
        Facts { nick: "ana".into(), room, addresses, ready_at: Wall(1), is_newcomer: true }
    }

    fn shown(facts: &Facts, others: &[&str]) -> Vec<String> {
        let others = others.iter().map(|address| address.parse().unwrap()).collect();
        facts.ticket(others).addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_ticket_names_this_node_first_and_each_address_once() {
        let facts = facts(&["10.0.0.1:4460"]);
        let others = ["10.0.0.2:1", "127.0.0.1:2", "10.0.0.1:4460", "10.0.0.3:1", "10.0.0.4:1", "10.0.0.5:1"];
        assert_eq!(shown(&facts, &others), ["10.0.0.1:4460", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"]);
    }

    #[test]
    fn where_there_is_only_loopback_the_ticket_has_loopback() {
        assert_eq!(shown(&facts(&["127.0.0.1:1"]), &["127.0.0.1:2"]), ["127.0.0.1:1", "127.0.0.1:2"]);
    }
}
