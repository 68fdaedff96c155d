//! What lies between the nodes of a world: loss, sessions, handshakes.

use std::time::Duration;

use super::{HANDSHAKE_AGAIN, HANDSHAKE_TRIES, What, World, secs};
use crate::base::{Cause, MemberId, Path, PerMille, Rtt};
use crate::wire::{Card, Signed, codec};

impl World {
    pub(super) fn passes(&mut self, from: MemberId, to: MemberId) -> bool {
        let worst = self.nodes[&from].loss.max(self.nodes[&to].loss).max(self.loss);
        let lost = self.rng.below(1000) < u64::from(worst.0);
        let passes = !lost && !self.cuts.contains(&(from, to));
        let fates = self.fates.entry((from, to)).or_default();
        fates.push_back(passes);
        if fates.len() > 64 {
            fates.pop_front();
        }
        passes
    }

    pub(super) fn loss_of(&self, from: MemberId, to: MemberId) -> PerMille {
        let Some(fates) = self.fates.get(&(from, to)) else {
            return PerMille(0);
        };
        let lost = fates.iter().filter(|passed| !**passed).count();
        PerMille(u16::try_from(lost * 1000 / fates.len()).unwrap())
    }

    pub(super) fn dial(&mut self, id: MemberId, to: MemberId) {
        let node = self.nodes.get_mut(&id).unwrap();
        if node.sessions.contains_key(&to) || !node.dialling.insert(to) {
            return;
        }
        let life = node.life;
        self.schedule(Duration::ZERO, id, What::Handshake { to, life, tries: 0 });
    }

    pub(super) fn receive(&mut self, id: MemberId, from: MemberId, session: u64, frames: Vec<Vec<u8>>, lag: Duration) {
        let path = Path {
            heard: Some(self.now),
            hears_me: Some(self.now),
            rtt: Some(Rtt { smoothed: self.delay * 2, variation: self.delay / 2 }),
            loss_out: Some(self.loss_of(id, from)),
            loss_in: Some(self.loss_of(from, id)),
            ..Path::new()
        };
        let now = self.now;
        let node = self.nodes.get_mut(&id).unwrap();
        if node.machine.is_none() {
            return;
        }
        let Some(&(run, _)) = node.sessions.get(&from).filter(|(_, ids)| ids.contains(&session)) else {
            // An unknown index from a member's address starts a handshake, once in 5 s.
            if node.unknown_at.get(&from).is_none_or(|&at| now.since(at) >= secs(5)) {
                node.unknown_at.insert(from, now);
                self.dial(id, from);
            }
            return;
        };
        let cause = Some(Cause::Datagram { peer: from, session: 1, counter: 1 });
        self.step_lagging(id, cause, lag, |machine, step| machine.handle_heard(step, from, run, path));
        for frame in frames {
            let frame = codec::decode(&frame).unwrap();
            self.step_lagging(id, cause, lag, |machine, step| machine.handle_frame(step, from, run, frame));
        }
    }

    /// One try at a handshake: three datagrams, each of which can be lost.
    pub(super) fn shake(&mut self, id: MemberId, to: MemberId, life: u64, tries: u32) {
        let node = &self.nodes[&id];
        if node.life != life || node.machine.is_none() {
            return;
        }
        let answers = self.nodes.get(&to).is_some_and(|peer| {
            peer.machine.is_some() && peer.paused_since.is_none() && !peer.silent && peer.disk.run.is_some()
        });
        let passes = answers && self.passes(id, to) && self.passes(to, id) && self.passes(id, to);
        if !passes {
            if tries + 1 >= HANDSHAKE_TRIES {
                self.nodes.get_mut(&id).unwrap().dialling.remove(&to);
            } else {
                self.schedule(HANDSHAKE_AGAIN, id, What::Handshake { to, life, tries: tries + 1 });
            }
            return;
        }
        let card_of = |world: &Self, id: MemberId| world.nodes[&id].machine.as_ref().unwrap().card().clone();
        let (mine, theirs) = (card_of(self, id), card_of(self, to));
        let refused = |world: &Self, by: MemberId, card: &Signed<Card>| {
            let proven = world.nodes[&by].proven.get(&card.value().member)?;
            (proven.value().run.incarnation > card.value().run.incarnation).then(|| proven.clone())
        };
        if let Some(higher) = refused(self, to, &mine) {
            self.nodes.get_mut(&id).unwrap().dialling.remove(&to);
            self.step(id, None, |machine, step| machine.handle_own_card(step, &higher));
            return;
        }
        if let Some(higher) = refused(self, id, &theirs) {
            self.nodes.get_mut(&id).unwrap().dialling.remove(&to);
            self.step(to, None, |machine, step| machine.handle_own_card(step, &higher));
            return;
        }
        self.sessions += 1;
        let session = self.sessions;
        let (my_run, their_run) = (mine.value().run, theirs.value().run);
        let opened = What::Opened { peer: to, run: their_run, session, card: theirs, life };
        self.schedule(self.delay * 2, id, opened);
        let life = self.nodes[&to].life;
        self.schedule(self.delay * 3, to, What::Opened { peer: id, run: my_run, session, card: mine, life });
    }
}
