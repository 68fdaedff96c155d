//! Which stretches of an ordered list came, where the list comes in parts and parts are lost. Owns how parts of several tellings
//! add up to the whole; knows nothing of what the list says.

use std::collections::BTreeMap;

use crate::base::{MemberId, Run};

/// What frontiers are ordered by.
pub(super) type Key = (MemberId, Run);

/// Stretches apart from each other that are remembered: of the 43 parts that 4,096 runs without many holes have, half can lie apart.
/// What comes beyond is as if it was lost, until what lies between others is here.
const STRETCHES_MAX: usize = 64;

/// Where a stretch ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum End {
    /// With this key.
    At(Key),
    /// With the list.
    Last,
}

/// What came, as stretches that do not touch: from after a key, or from the beginning, to an end.
#[derive(Debug, Default)]
pub(super) struct Stretches {
    came: BTreeMap<Option<Key>, End>,
}

impl Stretches {
    /// All that the list has after `after` is here as far as `end`.
    pub fn add(&mut self, after: Option<Key>, end: End) {
        let (mut from, mut to) = (after, end);
        // Those that it overlaps or touches become one with it.
        let joins =
            |&(&first, &last): &(&Option<Key>, &End)| first.is_none_or(|key| End::At(key) <= to) && reaches(last, from);
        let joined: Vec<(Option<Key>, End)> =
            self.came.iter().filter(joins).map(|(&first, &last)| (first, last)).collect();
        if joined.is_empty() && self.came.len() >= STRETCHES_MAX {
            return;
        }
        for (first, last) in joined {
            self.came.remove(&first);
            (from, to) = (from.min(first), to.max(last));
        }
        self.came.insert(from, to);
    }

    /// Whether it has come what the list says of `key`, were it nothing.
    pub fn holds(&self, key: Key) -> bool {
        self.came.range(..Some(key)).next_back().is_some_and(|(_, &end)| End::At(key) <= end)
    }

    /// Whether nothing is missing of the list.
    pub fn is_whole(&self) -> bool {
        self.came.get(&None) == Some(&End::Last)
    }
}

/// Whether a stretch that ends at `end` leaves nothing out before what comes after `after`.
fn reaches(end: End, after: Option<Key>) -> bool {
    after.is_none_or(|key| End::At(key) <= end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(n: u8) -> Key {
        (MemberId([n; 32]), Run { incarnation: 1, boot: 1 })
    }

    fn end(n: u8) -> End {
        End::At(key(n))
    }

    #[test]
    fn parts_of_several_tellings_are_the_whole_in_whatever_order_they_come() {
        let mut came = Stretches::default();
        came.add(Some(key(7)), End::Last);
        assert!(!came.is_whole() && came.holds(key(8)) && !came.holds(key(7)));
        came.add(None, end(3));
        assert!(!came.is_whole() && came.holds(key(3)) && !came.holds(key(4)));
        // The next telling has its parts elsewhere.
        came.add(Some(key(2)), end(5));
        assert!(!came.is_whole() && came.holds(key(5)));
        came.add(Some(key(5)), end(7));
        assert!(came.is_whole());
    }

    #[test]
    fn an_empty_list_is_whole() {
        let mut came = Stretches::default();
        assert!(!came.is_whole());
        came.add(None, End::Last);
        assert!(came.is_whole() && came.holds(key(0)));
    }

    proptest! {
        #[test]
        fn what_came_is_what_any_part_held(parts in proptest::collection::vec((0_u8..40, 1_u8..12, any::<bool>()), 0..30)) {
            let mut came = Stretches::default();
            for &(after, count, is_last) in &parts {
                let after_key = (after > 0).then(|| key(after));
                came.add(after_key, if is_last { End::Last } else { end(after + count) });
            }
            let covers = |n: u8| parts.iter().any(|&(after, count, is_last)| n > after && (is_last || n <= after + count));
            for n in 1..60 {
                prop_assert_eq!(came.holds(key(n)), covers(n), "{}", n);
            }
            prop_assert!(came.came.len() <= STRETCHES_MAX);
        }
    }
}
