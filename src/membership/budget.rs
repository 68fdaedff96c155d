//! What one member may make this node do in one second. Owns the amounts; whoever spends them says what happens
//! when nothing is left.

use crate::base::Time;

/// Lines and cards of comparisons that a peer is answered with, a card counting as four lines: a room of a
/// thousand, and a full one in a quarter of a minute.
const ITEMS_PER_SECOND: u32 = 8_192;
/// Reports about a member that are relayed: two reporters, twice.
const RELAYS_PER_SECOND: u8 = 4;
/// Times that a member is answered which says that this node is silent, by its reports and its verdict, and that others are looked
/// for because it asks.
const ANSWERS_PER_SECOND: u8 = 8;
/// Cards of a member that are taken: a restart, two addresses, a nick.
const CARDS_PER_SECOND: u8 = 4;

#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The second that the rest is for.
    second: u64,
    items: u32,
    relays: u8,
    answers: u8,
    cards: u8,
}

impl Budget {
    #[must_use]
    pub const fn full() -> Self {
        Self {
            second: 0,
            items: ITEMS_PER_SECOND,
            relays: RELAYS_PER_SECOND,
            answers: ANSWERS_PER_SECOND,
            cards: CARDS_PER_SECOND,
        }
    }

    /// Whether a comparison may still be answered. What one answer takes beyond the rest is let through.
    pub fn has_items(&mut self, now: Time) -> bool {
        self.refill(now);
        self.items > 0
    }

    pub fn spend_items(&mut self, now: Time, items: u32) {
        self.refill(now);
        self.items = self.items.saturating_sub(items);
    }

    pub fn spend_relay(&mut self, now: Time) -> bool {
        self.refill(now);
        spend(&mut self.relays)
    }

    pub fn spend_answer(&mut self, now: Time) -> bool {
        self.refill(now);
        spend(&mut self.answers)
    }

    pub fn spend_card(&mut self, now: Time) -> bool {
        self.refill(now);
        spend(&mut self.cards)
    }

    /// Whether anything was spent in this second.
    #[must_use]
    pub fn is_touched(&self, now: Time) -> bool {
        self.second == now.as_micros() / 1_000_000
    }

    fn refill(&mut self, now: Time) {
        let second = now.as_micros() / 1_000_000;
        if second != self.second {
            *self = Self { second, ..Self::full() };
        }
    }
}

fn spend(left: &mut u8) -> bool {
    let rest = left.checked_sub(1);
    *left = rest.unwrap_or(0);
    rest.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_spent() {
        let now = Time::from_micros(5_100_000);
        let mut budget = Budget::full();
        assert!((0..CARDS_PER_SECOND).all(|_| budget.spend_card(now)));
        assert!(!budget.spend_card(now));
        assert!(budget.spend_relay(now));
        budget.spend_items(now, u32::MAX);
        assert!(!budget.has_items(now));
        let later = Time::from_micros(6_000_000);
        assert!(budget.has_items(later) && budget.spend_card(later));
    }
}
