//! What is passed on over the links of those who watch each other: reports, what refutes them, verdicts, goodbyes. Owns when
//! that goes, and to whom; what is passed on, and how often, is for others to say.
//!
//! The first word goes at once. Where half of a room is cut off there are thousands, and each would be a datagram to each
//! neighbour: what comes within a moment after the last that went waits for the end of that moment, so that one datagram
//! carries many.

use std::time::Duration;

use super::Membership;
use crate::base::limits::{EVERYONE_WATCHES_MAX, RELAYS_WAITING_MAX};
use crate::base::{MemberId, Time};
use crate::wire::MembershipFrame;

/// What is passed on in one moment goes together. A report and its answer cross a room of 1,000, seven hops wide (`witness.rs` tests
/// it), in 140 ms more at most, and only where so much is said: in 700 ms of the 800 that two reports must stand.
const MOMENT: Duration = Duration::from_millis(10);

/// What waits to be passed on, in the order in which it came.
#[derive(Default, Debug)]
pub struct Relay {
    waiting: Vec<(MembershipFrame, Vec<MemberId>)>,
    /// When the last of them went.
    went: Option<Time>,
}

impl Relay {
    /// When what waits goes.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.went.map(|went| went + MOMENT).filter(|_| !self.waiting.is_empty())
    }

    /// Whether what comes now can go now.
    fn is_free(&self, now: Time) -> bool {
        self.waiting.is_empty() && self.went.is_none_or(|went| now == went || now >= went + MOMENT)
    }
}

impl Membership {
    /// Passes `frame` on to all but those: over the links of those who watch each other everybody is reached, and each
    /// hears it from several sides.
    pub(super) fn relay(&mut self, now: Time, except: &[MemberId], frame: MembershipFrame) {
        let is_free = self.relay.is_free(now);
        self.relay.waiting.push((frame, except.to_vec()));
        let is_small = self.watch.count() < EVERYONE_WATCHES_MAX;
        if is_free || is_small || self.relay.waiting.len() >= RELAYS_WAITING_MAX {
            self.pass_on_all(now);
        }
    }

    /// Passes on what has waited for long enough.
    pub(super) fn pass_on_due(&mut self, now: Time) {
        if self.relay.due().is_some_and(|due| due <= now) {
            self.pass_on_all(now);
        }
    }

    /// Passes on what waits.
    pub(super) fn pass_on_all(&mut self, now: Time) {
        self.relay.went = Some(now);
        let audience = self.audience(now);
        for (frame, except) in std::mem::take(&mut self.relay.waiting) {
            for &to in audience.iter().filter(|to| !except.contains(to)) {
                self.send(to, frame.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Output;
    use super::super::tests::bench::{Bench, identity};
    use super::*;

    fn ms(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    #[test]
    fn the_first_word_goes_at_once_and_what_comes_within_a_moment_goes_together() {
        let mut relay = Relay::default();
        assert!(relay.is_free(ms(100)));
        relay.went = Some(ms(100));
        assert!(relay.is_free(ms(100)), "it goes with the first in one datagram");
        assert!(!relay.is_free(ms(101)));
        assert_eq!(relay.due(), None, "nothing waits");
        relay.waiting.push((MembershipFrame::Probe, Vec::new()));
        assert_eq!(relay.due(), Some(ms(110)));
        assert!(!relay.is_free(ms(111)), "nothing overtakes what waits");
        relay.waiting.clear();
        assert!(relay.is_free(ms(110)));
    }

    /// How many of the words in hand were passed on to bo, by the member that they are about.
    fn told_bo(bench: &mut Bench) -> Vec<usize> {
        let bo = identity("bo").id();
        let told = bench.outputs.drain(..).filter_map(|output| match output {
            Output::Send { to, frame: MembershipFrame::Buckets(words) } if to == bo => Some(words.len()),
            _ => None,
        });
        told.collect()
    }

    #[test]
    fn what_waits_goes_in_its_order_when_the_moment_is_over_or_when_there_is_too_much() {
        let mut bench = Bench::crowded();
        bench.pass(Duration::from_millis(50));
        let word = |n: usize| MembershipFrame::Buckets(vec![0; n]);
        let say = |bench: &mut Bench, n: usize| bench.call(|machine, step| machine.relay(step.now.time, &[], word(n)));
        bench.outputs.clear();
        say(&mut bench, 1);
        bench.pass(Duration::from_millis(1));
        say(&mut bench, 2);
        say(&mut bench, 3);
        bench.pass(Duration::from_millis(8));
        assert_eq!(told_bo(&mut bench), [1]);
        bench.pass(Duration::from_millis(1));
        assert_eq!(told_bo(&mut bench), [2, 3]);
        bench.pass(Duration::from_millis(1));
        for _ in 0..RELAYS_WAITING_MAX {
            say(&mut bench, 4);
        }
        assert_eq!(told_bo(&mut bench).len(), RELAYS_WAITING_MAX);
    }
}
