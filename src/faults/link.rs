//! What a link remembers. Owns a datagram's number and the queue of a link that has a rate: everything about
//! fates that is not drawn. Small, because a simulator has one for each pair of members that ever talked.

use std::time::Duration;

use super::fate::{Arrival, Chain, DropReason, Fate};
use super::rule::Rate;
use crate::base::Time;

/// One way between two members.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Link {
    carried: u64,
    /// When the last datagram that was let into the queue has left it.
    busy_until: Time,
    chain: Chain,
}

impl Link {
    /// The number of the next datagram, from 0.
    pub(super) fn count(&mut self) -> u64 {
        let index = self.carried;
        self.carried += 1;
        index
    }

    pub(super) fn chain(&mut self) -> &mut Chain {
        &mut self.chain
    }

    /// Lets what passes wait in the queue of `rate`. A copy is made behind the queue, so it waits no longer.
    pub(super) fn queue(&mut self, rate: Rate, time: Time, bytes: usize, fate: Fate) -> Fate {
        let Fate::Deliver { mut first, mut again } = fate else { return fate };
        let begins = self.busy_until.max(time);
        if begins.since(time) > rate.queue {
            return Fate::Drop(DropReason::Queue);
        }
        self.busy_until = begins + rate.takes(bytes);
        let waits = self.busy_until.since(time);
        first.after += waits;
        again = again.map(|copy| Arrival { after: copy.after + waits, ..copy });
        Fate::Deliver { first, again }
    }
}

impl Rate {
    /// How long a datagram takes to pass.
    fn takes(self, bytes: usize) -> Duration {
        let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(8);
        Duration::from_micros(bits.saturating_mul(1_000_000).div_ceil(self.bits_per_s.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 bytes take 100 ms.
    const RATE: Rate = Rate { bits_per_s: 80_000, queue: Duration::from_millis(250) };

    fn at_ms(ms: u64) -> Time {
        Time::from_micros(ms * 1_000)
    }

    fn after_ms(fate: Fate) -> Option<u128> {
        match fate {
            Fate::Deliver { first, again: None } => Some(first.after.as_millis()),
            Fate::Deliver { again: Some(_), .. } => panic!("a copy"),
            Fate::Drop(reason) => {
                assert_eq!(reason, DropReason::Queue);
                None
            }
        }
    }

    #[test]
    fn datagrams_leave_one_after_the_other_and_what_would_wait_too_long_is_dropped() {
        let mut link = Link::default();
        let mut pass = |ms| after_ms(link.queue(RATE, at_ms(ms), 1_000, Fate::SPARED));
        assert_eq!([pass(0), pass(0), pass(0)], [Some(100), Some(200), Some(300)]);
        assert_eq!(pass(0), None, "300 ms are too long to wait");
        assert_eq!(pass(50), Some(350), "250 ms are not");
        assert_eq!(pass(1_000), Some(100), "the queue is empty again");
    }

    #[test]
    fn what_is_lost_takes_no_room_in_the_queue() {
        let mut link = Link::default();
        let lost = Fate::Drop(DropReason::Loss);
        assert_eq!(link.queue(RATE, at_ms(0), 1_000, lost), lost);
        assert_eq!(after_ms(link.queue(RATE, at_ms(0), 1_000, Fate::SPARED)), Some(100));
    }

    #[test]
    fn a_copy_waits_as_long_as_its_original() {
        let fate = Fate::Deliver { first: Arrival::default(), again: Some(Arrival::default()) };
        let Fate::Deliver { first, again: Some(again) } = Link::default().queue(RATE, at_ms(0), 500, fate) else {
            panic!()
        };
        assert_eq!((first.after.as_millis(), again.after.as_millis()), (50, 50));
    }
}
