//! The newest events, for a tail that asks what it missed. Owns the bound: `RECENT_EVENTS_MAX` of them, and
//! `RECENT_EVENTS_BYTES_MAX` of JSON; the oldest go first.

use std::collections::VecDeque;

use super::connection::Told;
use crate::base::EventNumber;
use crate::base::limits::{RECENT_EVENTS_BYTES_MAX, RECENT_EVENTS_MAX};

#[derive(Default)]
pub(super) struct Recent {
    events: VecDeque<Told>,
    bytes: usize,
}

impl Recent {
    pub fn push(&mut self, told: Told) {
        self.bytes += told.json.len();
        self.events.push_back(told);
        while self.events.len() > RECENT_EVENTS_MAX || self.bytes > RECENT_EVENTS_BYTES_MAX {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.json.len();
        }
    }

    /// The events after `since`, oldest first. Where their numbers leave a hole, the rest is forgotten.
    pub fn after(&self, since: EventNumber) -> impl Iterator<Item = &Told> {
        self.events.iter().filter(move |told| told.n > since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;

    fn told(n: EventNumber, bytes: usize) -> Told {
        Told { n, at: Wall(1), message: None, json: "x".repeat(bytes).into() }
    }

    #[test]
    fn the_oldest_events_go_first() {
        let mut recent = Recent::default();
        (1..=RECENT_EVENTS_MAX as u64 + 2).for_each(|n| recent.push(told(n, 10)));
        assert_eq!(recent.after(0).next().unwrap().n, 3);
        assert_eq!(recent.after(RECENT_EVENTS_MAX as u64).count(), 2);
    }

    #[test]
    fn large_events_are_bounded_by_their_bytes() {
        let mut recent = Recent::default();
        (1..=100).for_each(|n| recent.push(told(n, 16 * 1024)));
        assert_eq!(recent.after(0).count() * 16 * 1024, RECENT_EVENTS_BYTES_MAX);
        recent.push(told(101, RECENT_EVENTS_BYTES_MAX + 1));
        assert_eq!((recent.after(0).count(), recent.bytes), (0, 0));
    }
}
