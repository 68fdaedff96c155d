//! Short names of messages for people: the beginning of the id, as long as it takes to be unique among the
//! messages that this node has met lately.

use std::collections::{BTreeSet, VecDeque};

use crate::base::MessageId;
use crate::base::limits::HANDLES_MAX;

/// Characters of the shortest handle: with 20 bits, two of a hundred messages collide once in 200 rooms.
const HANDLE_CHARS_MIN: usize = 4;
/// Characters of a whole id in base32.
const ID_CHARS: usize = 52;

/// The messages that handles are unique among; the oldest are forgotten past `HANDLES_MAX`.
#[derive(Default)]
pub(super) struct Handles {
    known: BTreeSet<MessageId>,
    met: VecDeque<MessageId>,
}

impl Handles {
    /// Notes `id` and gives its handle.
    pub(super) fn meet(&mut self, id: MessageId) -> String {
        if self.known.insert(id) {
            self.met.push_back(id);
            if self.met.len() > HANDLES_MAX
                && let Some(oldest) = self.met.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        self.of(id)
    }

    /// The handle of `id`: only its neighbours in order can share its beginning.
    pub(super) fn of(&self, id: MessageId) -> String {
        let before = self.known.range(..id).next_back();
        let after = self.known.range(id..).find(|other| **other != id);
        let shared = before.into_iter().chain(after).map(|other| shared_chars(*other, id)).max().unwrap_or(0);
        id.handle((shared + 1).clamp(HANDLE_CHARS_MIN, ID_CHARS))
    }
}

/// How many characters of base32, 5 bits each, two ids begin with alike.
fn shared_chars(a: MessageId, b: MessageId) -> usize {
    let mut bits = 0;
    for (a, b) in a.0.iter().zip(&b.0) {
        let equal = (a ^ b).leading_zeros();
        bits += equal;
        if equal < 8 {
            break;
        }
    }
    usize::try_from(bits / 5).expect("at most 51")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_grows_until_it_is_unique() {
        let mut handles = Handles::default();
        let mut twin = [7; 32];
        let first = MessageId(twin);
        assert_eq!(handles.meet(first).len(), HANDLE_CHARS_MIN);
        twin[4] ^= 1; // bit 39: the 8th character differs
        let second = MessageId(twin);
        let handle = handles.meet(second);
        assert_eq!(handle.len(), 8);
        assert!(second.to_string().starts_with(&handle));
        assert!(!first.to_string().starts_with(&handle));
        assert_eq!(handles.of(first).len(), 8);
    }
}
