//! Rooms whose members met before the story begins. Owns what their homes know of each other then, and rooms that are
//! whole from their first moment; what a node makes of either is its own.

use std::sync::Arc;

use super::World;
use super::drive::Because;
use crate::membership;
use crate::node::Record;
use crate::wire::Card;

impl World {
    /// Has the homes of all machines know each other's cards, of the runs that begin if all are started now: a room
    /// that met before, and whose members start together. Nothing may have run yet.
    pub fn acquaint(&mut self) {
        let cards = (0..self.machines.len()).map(|index| {
            let card = self.machines[index].first_card(self.now(index));
            let Card { member, run, version, .. } = *card.value();
            let bytes = Arc::clone(card.bytes());
            Record::Membership(membership::Record::Card { member, run, version, bytes })
        });
        let cards: Arc<Vec<Record>> = Arc::new(cards.collect());
        for machine in &mut self.machines {
            machine.home.disk.install(Arc::clone(&cards));
            machine.home.is_acquainted = true;
        }
        self.mark(None, "acquainted");
    }

    /// Starts a node on each machine, in a room that is whole: all homes know each other's cards, and all nodes hold each other
    /// alive. What it takes to come together, which grows with the square of the members, is left out. Nothing may
    /// have run yet.
    pub fn start_whole(&mut self) {
        self.acquaint();
        for index in 0..self.machines.len() {
            let name = self.machines[index].name.clone();
            self.start(&name);
            let now = self.now(index);
            let process = self.machines[index].process.as_mut().expect("it was just started");
            process.host.presume(now);
            self.drain(index, &Because::line(None));
        }
        self.mark(None, "whole");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::World;
    use crate::base::Presence;
    use crate::crypto::Suite;
    use crate::node::api::EventKind;
    use crate::sim::{Options, Unsynced};

    #[test]
    fn a_room_that_begins_whole_stays_so_and_misses_whoever_dies() {
        let mut world = World::with(Options { suite: Suite::Plain, ..Options::new(4) });
        let names: Vec<_> = (0..70).map(|number| format!("n{number}")).collect();
        for name in &names {
            world.add(name);
        }
        world.start_whole();
        assert!(world.converged(), "all hold all alive, and nothing was said yet");
        world.run_for(Duration::from_secs(60));
        assert!(world.converged());
        let is_doubt = |kind: &EventKind| matches!(kind, EventKind::Member { state, .. } if *state != Presence::Alive);
        for name in &names {
            let doubts = world.told(name).iter().skip(names.len()).filter(|event| is_doubt(&event.kind)).count();
            assert_eq!(doubts, 0, "{name} doubted somebody");
        }
        world.crash("n7", Unsynced::Keep);
        world.run_for(Duration::from_secs(4));
        for name in names.iter().filter(|name| *name != "n7") {
            assert_eq!(world.presence(name, "n7"), Some(Presence::Unreachable), "as {name} sees it");
        }
    }
}
