//! A large room in the world of these tests: who has sessions with whom, as membership would have it. Nobody says so on the
//! wire: the world knows what each node believes of the others, and tells it its neighbours.

use std::collections::BTreeSet;

use super::world::{Due, MS, World};
use crate::base::{MemberId, Rng, Time};

/// By then all that start with the world know each other, each of its neighbours.
const SETTLED: Time = Time::from_micros(1_200_000);

impl World {
    /// A room of more than 64, `m0` and so on, in which each has sessions with its neighbours on three rings only.
    pub fn large(seed: u64, members: usize) -> Self {
        let names: Vec<&'static str> = (0..members).map(|n| &*format!("m{n}").leak()).collect();
        Self::with_rings(seed, &names, true)
    }

    /// The neighbours of a node on the first so many rings; all others where there are none.
    pub fn near(&self, index: usize, rings: usize) -> BTreeSet<usize> {
        let Some(all) = &self.rings else {
            return (0..self.nodes.len()).filter(|&other| other != index).collect();
        };
        let peers = self.nodes[index].machine.as_ref().map(|machine| &machine.peers);
        let is_gone = |other: usize| {
            let presence = peers.and_then(|peers| peers.get(&self.nodes[other].id)?.presence);
            presence.is_some_and(|presence| !presence.is_reachable())
        };
        let on = |ring: &Vec<usize>| {
            let place = ring.iter().position(|&at| at == index).expect("it stands on each ring");
            let around = (1..ring.len()).map(|step| ring[(place + step) % ring.len()]);
            let mut here = around.filter(|&other| !is_gone(other));
            [here.next(), here.next_back()]
        };
        all.iter().take(rings).flat_map(on).flatten().collect()
    }

    /// The neighbours of a node changed, as it sees the room: it is told so, and sessions with the new ones open.
    pub fn link_up(&mut self, index: usize) {
        if self.rings.is_none() || self.now < SETTLED {
            return;
        }
        let links = self.near(index, 2).into_iter().map(|other| self.nodes[other].id).collect();
        self.with(index, |machine, _| machine.handle_links(links, true));
        for other in self.near(index, 3) {
            let id = self.nodes[other].id;
            let peers = &self.nodes[index].machine.as_ref().expect("it runs").peers;
            if peers.get(&id).is_none_or(|peer| peer.session.is_none()) && self.nodes[other].machine.is_some() {
                let lives = (self.nodes[index].life, self.nodes[other].life);
                self.push(self.now + MS * 30, Due::Open { a: index, b: other, lives });
            }
        }
    }

    /// Over whom a node floods, in a large room.
    pub fn links(&self, name: &str) -> Vec<&'static str> {
        self.near(self.index(name), 2).into_iter().map(|other| self.nodes[other].name).collect()
    }

    /// With whom a node has sessions, in a large room.
    pub fn near_ids(&self, name: &str) -> BTreeSet<MemberId> {
        self.near(self.index(name), 3).into_iter().map(|other| self.nodes[other].id).collect()
    }
}

/// The order of so many on each of three rings.
pub fn rings(count: usize, rng: &Rng) -> [Vec<usize>; 3] {
    let mut rng = rng.split("rings");
    std::array::from_fn(|_| shuffled(count, &mut rng))
}

fn shuffled(count: usize, rng: &mut Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        let other = rng.below(u64::try_from(at).unwrap() + 1);
        order.swap(at, usize::try_from(other).unwrap());
    }
    order
}
