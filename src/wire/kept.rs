//! Cards that were read, each once: whoever reads the same bytes again is given the same value. A card is held by
//! whoever remembers its member, by transport, and in a simulated room by every node; so most are read to find one
//! that is here. Owns what is shared; says nothing of whether a signature holds.
//!
//! What is shared is what reading gives, and that depends on the bytes alone: no node learns anything from another
//! by it. A signature is verified by each node for itself.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Card;
use super::layout::{Signed, WeakSigned};
use crate::crypto::SIGNATURE_BYTES;

/// Below this many nothing is tidied up.
const TIDY_MIN: usize = 64;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept::new()) };
}

/// The cards that somebody on this thread holds, by eight bytes of their signature; two that agree in these take
/// turns, and are shared less.
struct Kept {
    cards: BTreeMap<u64, WeakSigned<Card>>,
    tidy_at: usize,
}

/// The card that was read from these very bytes, if somebody still holds it.
pub(super) fn find(bytes: &[u8]) -> Option<Signed<Card>> {
    let key = key(bytes)?;
    KEPT.with_borrow(|kept| kept.cards.get(&key)?.upgrade()).filter(|card| **card.bytes() == *bytes)
}

/// Shares a card from now on.
pub(super) fn keep(card: &Signed<Card>) {
    if let Some(key) = key(card.bytes()) {
        KEPT.with_borrow_mut(|kept| kept.keep(key, card));
    }
}

fn key(bytes: &[u8]) -> Option<u64> {
    let signature: &[u8; SIGNATURE_BYTES] = bytes.last_chunk()?;
    signature.first_chunk().copied().map(u64::from_be_bytes)
}

impl Kept {
    const fn new() -> Self {
        Self { cards: BTreeMap::new(), tidy_at: TIDY_MIN }
    }

    /// Drops those that nobody holds once there may be as many of them as of the others.
    fn keep(&mut self, key: u64, card: &Signed<Card>) {
        self.cards.insert(key, card.downgrade());
        if self.cards.len() > self.tidy_at {
            self.cards.retain(|_, card| card.is_held());
            self.tidy_at = TIDY_MIN.max(2 * self.cards.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::{Rng, RoomId, Run};
    use crate::crypto::{Identity, Suite};

    fn card(seed: u8, version: u32) -> Vec<u8> {
        let identity = Identity::generate(&mut Rng::from_seed([seed; 32]));
        let card = Card {
            room: RoomId([1; 16]),
            member: identity.id(),
            noise_key: identity.noise_key(),
            run: Run { incarnation: 1, boot: 2 },
            version,
            nick: "ana".to_owned(),
            addresses: Vec::new(),
        };
        Signed::sign(card, &identity).bytes().to_vec()
    }

    #[test]
    fn equal_bytes_are_kept_once_and_others_apart() {
        let (bytes, other) = (card(1, 1), card(1, 2));
        let first = Signed::<Card>::open(&bytes).unwrap();
        let again = Signed::<Card>::open_trusted(&bytes).unwrap();
        assert!(Arc::ptr_eq(first.bytes(), again.bytes()));
        let other = Signed::<Card>::open(&other).unwrap();
        assert_ne!(other.value().version, first.value().version);
    }

    #[test]
    fn what_was_read_without_being_verified_verifies_nothing() {
        let mut forged = card(1, 1);
        forged[60] ^= 1;
        let read = Signed::<Card>::open_trusted(&forged).unwrap();
        assert!(Signed::<Card>::open_by(Suite::Real, &forged).is_err());
        drop(read);
    }

    #[test]
    fn what_nobody_holds_goes_away() {
        let held = Signed::<Card>::open(&card(1, 0)).unwrap();
        for version in 1..1_000 {
            Signed::<Card>::open_trusted(&card(1, version)).unwrap();
        }
        assert!(KEPT.with_borrow(|kept| kept.cards.len()) <= 2 * TIDY_MIN);
        assert!(find(held.bytes()).is_some());
        assert!(find(&card(1, 5)).is_none());
    }
}
