//! Ids of members that are remembered many times over, each kept once. Whoever remembers by whom it knows something
//! of each member of a large room names the same few again and again, and in a simulated room all nodes name the same.
//! Owns what is shared; it is the same value as the id.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::MemberId;

/// Below this many nothing is tidied up.
const TIDY_MIN: usize = 64;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { ids: BTreeSet::new(), tidy_at: TIDY_MIN }) };
}

/// The ids that somebody on this thread holds.
struct Kept {
    ids: BTreeSet<Arc<MemberId>>,
    tidy_at: usize,
}

/// An id in eight bytes.
#[derive(Clone, Debug)]
pub struct SharedId(Arc<MemberId>);

impl SharedId {
    #[must_use]
    pub fn id(&self) -> MemberId {
        *self.0
    }
}

impl AsRef<MemberId> for SharedId {
    fn as_ref(&self) -> &MemberId {
        &self.0
    }
}

impl From<MemberId> for SharedId {
    fn from(id: MemberId) -> Self {
        KEPT.with_borrow_mut(|kept| Self(kept.share(id)))
    }
}

impl Kept {
    /// Drops those that nobody holds once there may be as many of them as of the others.
    fn share(&mut self, id: MemberId) -> Arc<MemberId> {
        if let Some(found) = self.ids.get(&id) {
            return Arc::clone(found);
        }
        if self.ids.len() >= self.tidy_at {
            self.ids.retain(|id| Arc::strong_count(id) > 1);
            self.tidy_at = TIDY_MIN.max(2 * self.ids.len());
        }
        let id = Arc::new(id);
        self.ids.insert(Arc::clone(&id));
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_once_and_no_longer_than_it_is_held() {
        let id = |n: u16| MemberId(*blake3::hash(&n.to_be_bytes()).as_bytes());
        let held = SharedId::from(id(0));
        assert!(Arc::ptr_eq(&held.0, &SharedId::from(id(0)).0));
        for n in 1..1_000 {
            assert_eq!(SharedId::from(id(n)).id(), id(n));
        }
        assert!(KEPT.with_borrow(|kept| kept.ids.len()) <= 2 * TIDY_MIN);
        assert!(Arc::ptr_eq(&held.0, &SharedId::from(id(0)).0));
    }
}
