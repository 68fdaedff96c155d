//! A queue that is filled and drained by each input. Owns that it takes no memory once a large input is done.

use std::collections::VecDeque;

/// What a queue may keep room for while nothing is in it: few inputs need more.
const SPARE_MAX: usize = 16;

/// First in, first out.
#[derive(Debug)]
pub struct Queue<T>(VecDeque<T>);

impl<T> Queue<T> {
    pub fn push(&mut self, item: T) {
        self.0.push_back(item);
    }

    /// The first, if there is one. Whoever finds none gives back the room that was needed.
    pub fn pop(&mut self) -> Option<T> {
        let item = self.0.pop_front();
        if item.is_none() && self.0.capacity() > SPARE_MAX {
            self.0 = VecDeque::new();
        }
        item
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_large_input_took_is_given_back_and_a_small_one_allocates_once() {
        let mut queue = Queue::default();
        for (items, keeps) in [(1_000, false), (4, true)] {
            (0..items).for_each(|item| queue.push(item));
            assert_eq!((0..items).map(|_| queue.pop().unwrap()).collect::<Vec<_>>(), (0..items).collect::<Vec<_>>());
            assert_eq!(queue.pop(), None);
            assert_eq!(queue.0.capacity() > 0, keeps);
        }
    }
}
