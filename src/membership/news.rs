//! News of members that are there, on their way through a large room. Owns what waits to be passed on and who knows
//! it already; what is news, and what is believed, is for others to say.
//!
//! In a large room everybody hears of everybody from several sides within a moment. Passed on at once, each word
//! would be a datagram to each neighbour; after a short wait one datagram carries many, and whoever said the same
//! meanwhile need not be told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Membership;
use crate::base::limits::EVERYONE_WATCHES_MAX;
use crate::base::{MemberId, Step, Time};
use crate::wire::MembershipFrame;

/// How long news wait. Over the seven hops that a room of 1,000 is wide (`witness.rs` tests it) it is 140 ms; a report,
/// or what refutes one, waits for less (`relay.rs`).
const GATHER: Duration = Duration::from_millis(20);
/// With so many waiting they go at once.
const WAITING_MAX: usize = 512;

#[derive(Default, Debug)]
pub struct News {
    waiting: BTreeMap<MemberId, Item>,
    at: Option<Time>,
}

/// What is to be passed on of one member, in its present run.
#[derive(Debug)]
struct Item {
    /// With its card, which says all that the tick says.
    card: bool,
    /// The newest tick known, and by whom.
    tick: Option<u64>,
    by: MemberId,
    /// Those who know it: the member itself, and whoever said it.
    knowing: Vec<MemberId>,
}

impl News {
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.at
    }

    /// `via` knows `tick` of a member, and its newest card if it `has_card`: that it need not be told.
    pub fn is_known(&mut self, subject: MemberId, tick: u64, has_card: bool, via: MemberId) {
        if let Some(item) = self.waiting.get_mut(&subject)
            && item.tick.is_none_or(|waiting| waiting <= tick)
            && (has_card || !item.card)
            && !item.knowing.contains(&via)
        {
            item.knowing.push(via);
        }
    }

    /// A newer run, or nothing, is known of a member.
    pub fn forget(&mut self, subject: MemberId) {
        self.waiting.remove(&subject);
    }

    fn wait(
        &mut self,
        now: Time,
        subject: MemberId,
        card: bool,
        tick: Option<u64>,
        by: MemberId,
        knowing: &[MemberId],
    ) {
        self.at.get_or_insert(now + GATHER);
        match self.waiting.get_mut(&subject) {
            None => {
                self.waiting.insert(subject, Item { card, tick, by, knowing: knowing.to_vec() });
            }
            Some(item) => {
                // Whoever knows the one does not always know the other.
                let (adds_card, adds_tick) = (card && !item.card, tick > item.tick);
                if adds_card || adds_tick {
                    item.knowing.retain(|id| knowing.contains(id));
                }
                item.card |= card;
                if adds_tick {
                    (item.tick, item.by) = (tick, by);
                }
            }
        }
    }
}

impl Membership {
    /// Passes on that a member is there: its card, with the tick that is known of it, or the tick alone, as `by` knows
    /// it. Those in `knowing` know it already.
    pub(super) fn announce(
        &mut self,
        step: &Step,
        subject: MemberId,
        card: bool,
        tick: Option<u64>,
        by: MemberId,
        knowing: &[MemberId],
    ) {
        let now = step.now.time;
        self.news.wait(now, subject, card, tick, by, knowing);
        if self.watch.count() < EVERYONE_WATCHES_MAX || self.news.waiting.len() >= WAITING_MAX {
            self.news.at = Some(now);
            self.tell_news(step);
        }
    }

    /// Tells what has waited for long enough.
    pub(super) fn tell_news(&mut self, step: &Step) {
        if self.news.at.is_none_or(|at| at > step.now.time) {
            return;
        }
        self.news.at = None;
        let waiting = std::mem::take(&mut self.news.waiting);
        let audience = self.audience(step.now.time);
        for (subject, item) in waiting {
            let Some(entry) = self.members.get(&subject) else { continue };
            let frame = match item.tick {
                Some(tick) if !item.card => {
                    MembershipFrame::Contradiction { subject, run: entry.run(), tick, by: item.by }
                }
                present => MembershipFrame::Cards(vec![entry.shown_with(present)]),
            };
            for &to in audience.iter().filter(|to| !item.knowing.contains(to)) {
                self.send(to, frame.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> MemberId {
        MemberId([n; 32])
    }

    fn waiting(news: &News, of: u8) -> (bool, Option<u64>, &[MemberId]) {
        let item = &news.waiting[&id(of)];
        (item.card, item.tick, &item.knowing)
    }

    #[test]
    fn whoever_said_it_meanwhile_need_not_be_told() {
        let mut news = News::default();
        news.wait(Time::ZERO, id(9), false, Some(5), id(1), &[id(1), id(9)]);
        news.is_known(id(9), 4, false, id(2));
        news.is_known(id(9), 5, false, id(3));
        assert_eq!(waiting(&news, 9), (false, Some(5), &[id(1), id(9), id(3)][..]));
        assert_eq!(news.due(), Some(Time::ZERO + GATHER));
    }

    #[test]
    fn a_card_waits_with_its_tick_and_who_said_the_tick_may_lack_it() {
        let mut news = News::default();
        news.wait(Time::ZERO, id(9), false, Some(5), id(1), &[id(1), id(9)]);
        news.is_known(id(9), 5, false, id(3));
        news.wait(Time::ZERO, id(9), true, Some(5), id(2), &[id(2), id(9)]);
        news.is_known(id(9), 5, false, id(4));
        assert_eq!(waiting(&news, 9), (true, Some(5), &[id(9)][..]));
        news.is_known(id(9), 5, true, id(4));
        assert_eq!(waiting(&news, 9), (true, Some(5), &[id(9), id(4)][..]));
    }
}
