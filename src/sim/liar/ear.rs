//! What a liar hears on a link, and sends again. Owns what it remembers of it; looks into no datagram.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::Telling;
use crate::sim::World;
use crate::sim::drive::Parcel;

/// Where a member that lies listens, and what it heard there.
pub(in crate::sim) struct Ear {
    liar: usize,
    /// Any machine where none.
    from: Option<usize>,
    to: Option<usize>,
    heard: VecDeque<Heard>,
}

/// A datagram on its way.
#[derive(Clone)]
struct Heard {
    from: usize,
    to: usize,
    /// The address that it said it came from.
    source: SocketAddr,
    target: SocketAddr,
    bytes: Vec<u8>,
}

/// Datagrams that one ear keeps, the newest: some minutes of a link.
const HEARD_MAX: usize = 4_096;

impl Ear {
    fn is_on(&self, from: usize, to: usize) -> bool {
        if self.from.is_none() && self.to.is_none() {
            return from == self.liar || to == self.liar;
        }
        self.from.is_none_or(|end| end == from) && self.to.is_none_or(|end| end == to)
    }
}

impl World {
    pub(super) fn listen(&mut self, liar: usize, from: Option<&str>, to: Option<&str>) {
        let (from, to) = (from.map(|name| self.index(name)), to.map(|name| self.index(name)));
        self.ears.push(Ear { liar, from, to, heard: VecDeque::new() });
    }

    /// A node sends a datagram.
    pub(in crate::sim) fn overhear(&mut self, from: usize, parcel: &Parcel) {
        if self.ears.is_empty() {
            return;
        }
        let Some(to) = self.machine_at(parcel.to) else { return };
        for ear in self.ears.iter_mut().filter(|ear| ear.is_on(from, to)) {
            if ear.heard.len() == HEARD_MAX {
                ear.heard.pop_front();
            }
            let bytes = parcel.bytes.clone();
            ear.heard.push_back(Heard { from, to, source: parcel.source, target: parcel.to, bytes });
        }
    }

    /// Sends again what the liar heard; returns how many datagrams that was.
    pub(super) fn replay(
        &mut self,
        telling: &Telling,
        from: Option<&str>,
        to: Option<&str>,
        last: Option<usize>,
    ) -> usize {
        let (from, to) = (from.map(|name| self.index(name)), to.map(|name| self.index(name)));
        let is_meant =
            |heard: &&Heard| from.is_none_or(|end| end == heard.from) && to.is_none_or(|end| end == heard.to);
        let ears = self.ears.iter().filter(|ear| ear.liar == telling.liar);
        let heard: Vec<Heard> = ears.flat_map(|ear| &ear.heard).filter(is_meant).cloned().collect();
        let left_out = last.map_or(0, |last| heard.len().saturating_sub(last));
        let again = heard.len() - left_out;
        for Heard { source, target: to, bytes, .. } in heard.into_iter().skip(left_out) {
            let parcel = Parcel { source, to, bytes, labels: Vec::new(), is_damaged: false };
            self.send(telling.liar, parcel, &telling.because);
        }
        again
    }
}
