//! Values of members, in the order of their ids, as close as they go: a row of values that know whose they are. Owns
//! the order. One is found by where its id should stand; one more moves those behind it, which for all members that a room may have is
//! less than a megabyte.

use std::cmp::Ordering;
use std::ops::{Bound, RangeBounds};

use super::MemberId;

/// A value that says whose it is; that never changes.
pub trait OfMember {
    fn member(&self) -> &MemberId;
}

/// At most one value of each member, by id.
#[derive(Clone, Debug)]
pub struct ByMember<T>(Vec<T>);

/// Room for one more in this many is made at once: a row that doubled would be half empty.
const GROWTH_DIVISOR: usize = 16;
/// Room that is made at least: many rows hold what a few members say of one.
const GROWTH_MIN: usize = 2;
/// Guesses at where an id stands: among 10,000 evenly spread ones 4.3 on average, where halving takes 12.
const GUESSES: usize = 8;

impl<T> Default for ByMember<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> ByMember<T> {
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }
}

impl<T: OfMember> ByMember<T> {
    /// An empty row with room for so many.
    #[must_use]
    pub fn with_capacity(members: usize) -> Self {
        Self(Vec::with_capacity(members))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn contains_key(&self, id: &MemberId) -> bool {
        self.find(id).is_ok()
    }

    #[must_use]
    pub fn get(&self, id: &MemberId) -> Option<&T> {
        self.find(id).ok().map(|at| &self.0[at])
    }

    pub fn get_mut(&mut self, id: &MemberId) -> Option<&mut T> {
        self.find(id).ok().map(|at| &mut self.0[at])
    }

    /// The value of a member; made by `new` where there is none.
    pub fn get_or_insert_with(&mut self, id: &MemberId, new: impl FnOnce() -> T) -> &mut T {
        let at = self.find(id).unwrap_or_else(|at| {
            self.insert_at(at, new());
            at
        });
        &mut self.0[at]
    }

    /// Puts a value in the place of its member's, if there was one.
    pub fn insert(&mut self, value: T) {
        match self.find(value.member()) {
            Ok(at) => self.0[at] = value,
            Err(at) => self.insert_at(at, value),
        }
    }

    pub fn remove(&mut self, id: &MemberId) -> Option<T> {
        self.find(id).ok().map(|at| self.0.remove(at))
    }

    /// Keeps those that `keeps` wants, and no room for others once there are none.
    pub fn retain(&mut self, keeps: impl FnMut(&mut T) -> bool) {
        self.0.retain_mut(keeps);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }

    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&MemberId, &T)> {
        self.0.iter().map(|value| (value.member(), value))
    }

    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.0.iter_mut()
    }

    #[must_use]
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.0.iter()
    }

    /// Those whose ids lie within `range`.
    pub fn range(&self, range: impl RangeBounds<MemberId>) -> impl DoubleEndedIterator<Item = (&MemberId, &T)> {
        let first = match range.start_bound() {
            Bound::Unbounded => 0,
            Bound::Included(low) => self.0.partition_point(|value| value.member() < low),
            Bound::Excluded(low) => self.0.partition_point(|value| value.member() <= low),
        };
        let end = match range.end_bound() {
            Bound::Unbounded => self.0.len(),
            Bound::Included(high) => self.0.partition_point(|value| value.member() <= high),
            Bound::Excluded(high) => self.0.partition_point(|value| value.member() < high),
        };
        self.0[first..end.max(first)].iter().map(|value| (value.member(), value))
    }

    /// Ids are public keys, spread evenly, so where one stands can be told from its first bytes, and better from there. Where
    /// somebody chose ids that are not, halving does it.
    fn find(&self, id: &MemberId) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.0.len());
        let wanted = prefix(id);
        let mut at = share(wanted, high);
        for _ in 0..GUESSES {
            if at < low || at >= high {
                break;
            }
            let here = self.0[at].member();
            let step = share(prefix(here).abs_diff(wanted), self.0.len()).max(1);
            match here.cmp(id) {
                Ordering::Equal => return Ok(at),
                Ordering::Less => {
                    low = at + 1;
                    at += step;
                }
                Ordering::Greater => {
                    high = at;
                    at = at.saturating_sub(step);
                }
            }
        }
        self.0[low..high].binary_search_by(|value| value.member().cmp(id)).map(|at| low + at).map_err(|at| low + at)
    }

    fn insert_at(&mut self, at: usize, value: T) {
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(GROWTH_MIN.max(self.0.len() / GROWTH_DIVISOR));
        }
        self.0.insert(at, value);
    }
}

fn prefix(id: &MemberId) -> u64 {
    id.0.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// As much of `whole` as `part` is of all that a prefix can be.
fn share(part: u64, whole: usize) -> usize {
    let product = u128::from(part) * u128::try_from(whole).unwrap_or(0);
    usize::try_from(product >> u64::BITS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Value(MemberId, u32);

    impl OfMember for Value {
        fn member(&self) -> &MemberId {
            &self.0
        }
    }

    fn id(n: u8) -> MemberId {
        MemberId([n; 32])
    }

    /// Evenly spread.
    fn drawn(n: u32) -> MemberId {
        MemberId(*blake3::hash(&n.to_be_bytes()).as_bytes())
    }

    fn bound(kind: u8, n: u8) -> Bound<MemberId> {
        match kind {
            0 => Bound::Unbounded,
            1 => Bound::Included(id(n)),
            _ => Bound::Excluded(id(n)),
        }
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(
            steps in proptest::collection::vec((0_u8..8, 0_u8..40, any::<u32>()), 0..200),
            ends in ((0_u8..3, 0_u8..20), (0_u8..3, 20_u8..40)),
        ) {
            let (mut row, mut map) = (ByMember::default(), BTreeMap::new());
            for (what, n, number) in steps {
                let value = Value(id(n), number);
                match what {
                    0 => {
                        row.insert(value);
                        map.insert(id(n), value);
                    }
                    1 => prop_assert_eq!(row.remove(&id(n)), map.remove(&id(n))),
                    2 => {
                        row.retain(|kept| kept.1 % 4 != number % 4);
                        map.retain(|_, kept: &mut Value| kept.1 % 4 != number % 4);
                    }
                    _ => prop_assert_eq!(row.get_or_insert_with(&id(n), || value), map.entry(id(n)).or_insert(value)),
                }
                prop_assert_eq!(row.get(&id(n)), map.get(&id(n)));
                prop_assert_eq!(row.contains_key(&id(n)), map.contains_key(&id(n)));
                prop_assert_eq!((row.len(), row.is_empty()), (map.len(), map.is_empty()));
            }
            prop_assert!(row.iter().eq(map.iter()) && row.values().eq(map.values()));
            let ((low_kind, low), (high_kind, high)) = ends;
            let range = (bound(low_kind, low), bound(high_kind, high));
            prop_assert!(row.range(range).eq(map.range(range)));
        }
    }

    #[test]
    fn each_of_many_is_found_and_nobody_else() {
        // Somebody who draws keys until they begin as he wants is found too.
        let crowded = |n: u32| MemberId(std::array::from_fn(|at| if at < 7 { 9 } else { drawn(n).0[at] }));
        for id in [drawn as fn(u32) -> MemberId, crowded] {
            let mut row = ByMember::with_capacity(500);
            (0..500).for_each(|n| row.insert(Value(id(n), n)));
            assert!((0..500).all(|n| row.get(&id(n)) == Some(&Value(id(n), n))));
            assert!((500..1_000).all(|n| row.get(&id(n)).is_none()));
            assert!(row.iter().is_sorted_by_key(|(id, _)| *id));
        }
    }

    #[test]
    fn a_row_that_grows_keeps_little_room_to_spare() {
        let mut row = ByMember::default();
        for n in 0..2_000_u32 {
            row.insert(Value(drawn(n), n));
            assert!(row.0.capacity() <= row.len() + row.len() / GROWTH_DIVISOR + GROWTH_MIN);
        }
    }
}
