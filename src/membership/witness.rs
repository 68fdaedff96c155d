//! Who watches whom. Knows ids only: not addresses, not whether anyone is alive. Every node computes the same
//! answer without talking, and it is mutual: whom I watch watches me.

use std::collections::BTreeSet;

use crate::base::MemberId;

/// The members that `me` watches among `present`, those that are neither unreachable nor left: everyone.
#[must_use]
pub fn watched(me: MemberId, present: impl Iterator<Item = MemberId>) -> BTreeSet<MemberId> {
    present.filter(|&id| id != me).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_watches_everyone_but_oneself() {
        let ids: Vec<_> = (0..7).map(|n| MemberId([n; 32])).collect();
        for &me in &ids {
            let mine = watched(me, ids.iter().copied());
            assert_eq!(mine.len(), 6);
            assert!(!mine.contains(&me));
            assert!(mine.iter().all(|&other| watched(other, ids.iter().copied()).contains(&me)));
        }
    }
}
