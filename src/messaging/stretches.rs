//! Which stretches of an ordered list came, where the list comes in parts and parts are lost. Owns how parts of several tellings
//! add up to the whole; knows nothing of what the list says.

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

/// What came of a list; of one that is whole nothing more is kept, since that is what nearly all are.
#[derive(Debug)]
pub(super) enum Stretches {
    /// In order, none touching another: each from after a key, or from the beginning, to an end.
    Apart(Vec<(Option<Key>, End)>),
    Whole,
}

impl Default for Stretches {
    fn default() -> Self {
        Self::Apart(Vec::new())
    }
}

impl Stretches {
    /// All that the list has after `after` is here as far as `end`.
    pub fn add(&mut self, after: Option<Key>, end: End) {
        let Self::Apart(apart) = self else { return };
        // Those that it overlaps or touches become one with it: they lie beside each other.
        let first = apart.partition_point(|&(_, last)| !reaches(last, after));
        let beyond = apart.partition_point(|&(from, _)| reaches(end, from));
        let joined = apart.get(first..beyond).unwrap_or_default();
        if joined.is_empty() && apart.len() >= STRETCHES_MAX {
            return;
        }
        let from = joined.first().map_or(after, |&(from, _)| from.min(after));
        let to = joined.last().map_or(end, |&(_, last)| last.max(end));
        if (from, to) == (None, End::Last) {
            *self = Self::Whole;
        } else {
            apart.splice(first..beyond, [(from, to)]);
        }
    }

    /// Whether it has come what the list says of `key`, were it nothing.
    pub fn holds(&self, key: Key) -> bool {
        match self {
            Self::Apart(apart) => apart.iter().any(|&(from, to)| from < Some(key) && End::At(key) <= to),
            Self::Whole => true,
        }
    }

    /// Whether nothing is missing of the list.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
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
            if let Stretches::Apart(apart) = &came {
                prop_assert!(apart.len() <= STRETCHES_MAX && apart.windows(2).all(|pair| !reaches(pair[0].1, pair[1].0)));
            }
        }
    }
}
