//! What one member may make this node do in one second. Owns the amounts; whoever spends them says what happens
//! when nothing is left.

/// Lines and cards of comparisons that a peer is answered with, a card counting as four lines: a room of seven
/// many times over, and a full one in a few minutes.
const ITEMS_PER_SECOND: u32 = 2_048;
/// Reports about a member that are relayed: two reporters, twice.
const RELAYS_PER_SECOND: u8 = 4;
/// Cards of a member that are taken: a restart, two addresses, a nick.
const CARDS_PER_SECOND: u8 = 4;

#[derive(Clone, Copy, Debug)]
pub struct Budget {
    items: u32,
    relays: u8,
    cards: u8,
}

impl Budget {
    #[must_use]
    pub const fn full() -> Self {
        Self { items: ITEMS_PER_SECOND, relays: RELAYS_PER_SECOND, cards: CARDS_PER_SECOND }
    }

    /// Whether a comparison may still be answered. What one answer takes beyond the rest is let through.
    #[must_use]
    pub const fn has_items(self) -> bool {
        self.items > 0
    }

    pub const fn spend_items(&mut self, items: u32) {
        self.items = self.items.saturating_sub(items);
    }

    pub fn spend_relay(&mut self) -> bool {
        spend(&mut self.relays)
    }

    pub fn spend_card(&mut self) -> bool {
        spend(&mut self.cards)
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
        let mut budget = Budget::full();
        assert!((0..CARDS_PER_SECOND).all(|_| budget.spend_card()));
        assert!(!budget.spend_card());
        assert!(budget.spend_relay());
        budget.spend_items(u32::MAX);
        assert!(!budget.has_items());
    }
}
