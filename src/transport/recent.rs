//! A memory of the newest few keys. Owns the bound: past it the oldest is forgotten. Knows nothing of what
//! the keys stand for.

use std::collections::{BTreeMap, VecDeque};

#[derive(Debug)]
pub(super) struct Recent<K, V> {
    values: BTreeMap<K, V>,
    order: VecDeque<K>,
    max: usize,
}

impl<K: Ord + Copy, V> Recent<K, V> {
    pub(super) fn new(max: usize) -> Self {
        Self { values: BTreeMap::new(), order: VecDeque::new(), max }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.values.insert(key, value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }

    pub(super) fn find(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_at_the_bound() {
        let mut recent = Recent::new(2);
        for key in [1, 2, 2, 3] {
            recent.insert(key, key * 10);
        }
        assert_eq!([1, 2, 3].map(|key| recent.find(&key).copied()), [None, Some(20), Some(30)]);
    }
}
