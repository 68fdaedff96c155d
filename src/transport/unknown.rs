//! Data for an index that is no session's may come from a member that has lost no session, while this node has. Owns
//! how often such data is looked into, so that strangers who send it cost next to nothing; whose it may be is for
//! others to say.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{MemberId, Time};

/// At most one handshake a peer in this time because of data for an unknown index.
const QUIET: Duration = Duration::from_secs(5);
/// How often in a second it is looked into whose such data may be: that takes a look at all cards, some 20 µs for a
/// thousand. A restarted node hears from its witnesses, and there are six.
const LOOKS_PER_SECOND: u32 = 64;

#[derive(Debug, Default)]
pub(super) struct Unknown {
    second: u64,
    looks: u32,
    quiet: BTreeMap<MemberId, Time>,
}

impl Unknown {
    /// Whether it may be looked into; counts it if so.
    pub(super) fn look(&mut self, now: Time) -> bool {
        let second = now.as_micros() / 1_000_000;
        if second != self.second {
            (self.second, self.looks) = (second, 0);
        }
        self.looks += 1;
        self.looks <= LOOKS_PER_SECOND
    }

    pub(super) fn is_quiet(&self, peer: MemberId, now: Time) -> bool {
        self.quiet.get(&peer).is_some_and(|&until| until > now)
    }

    /// A handshake with `peer` begins because of such data.
    pub(super) fn silence(&mut self, peer: MemberId, now: Time) {
        self.quiet.retain(|_, until| *until > now);
        self.quiet.insert(peer, now + QUIET);
    }

    pub(super) fn forget(&mut self, peer: MemberId) {
        self.quiet.remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_send_is_looked_into_so_often_a_second() {
        let mut unknown = Unknown::default();
        let looked = (0..10_000_u64).filter(|&at| unknown.look(Time::from_micros(at * 200))).count();
        assert_eq!(looked, 2 * 64);
    }

    #[test]
    fn a_peer_is_dialled_for_it_once_in_five_seconds() {
        let (bo, at) = (MemberId([2; 32]), Time::from_micros);
        let mut unknown = Unknown::default();
        assert!(!unknown.is_quiet(bo, at(0)));
        unknown.silence(bo, at(0));
        assert!(unknown.is_quiet(bo, at(4_999_999)));
        assert!(!unknown.is_quiet(bo, at(5_000_000)));
    }
}
