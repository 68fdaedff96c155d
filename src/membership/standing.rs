//! What is known of a member in one value, and how two such values merge. Owns the order that makes every
//! order of arrival end in the same view; knows neither who said it nor when.

use crate::base::Run;

/// How far a member got: the lexicographic maximum of all that is known. The tick stands before the verdict,
/// so a newer sign of life outranks an older verdict, and a verdict outranks the tick that it rests on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Standing {
    pub run: Run,
    pub left: bool,
    pub tick: u64,
    pub unreachable: bool,
}

impl Standing {
    /// A run of which nothing is known but its card.
    #[must_use]
    pub const fn new(run: Run) -> Self {
        Self { run, left: false, tick: 0, unreachable: false }
    }

    #[must_use]
    pub const fn alive(run: Run, tick: u64) -> Self {
        Self { run, left: false, tick, unreachable: false }
    }

    #[must_use]
    pub const fn unreachable(run: Run, tick: u64) -> Self {
        Self { run, left: false, tick, unreachable: true }
    }

    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.max(other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn standing() -> impl Strategy<Value = Standing> {
        (0_u64..3, 0_u64..2, any::<bool>(), 0_u64..4, any::<bool>()).prop_map(
            |(incarnation, boot, left, tick, unreachable)| Standing {
                run: Run { incarnation, boot },
                left,
                tick,
                unreachable,
            },
        )
    }

    proptest! {
        #[test]
        fn merging_ends_the_same_in_every_order(a in standing(), b in standing(), c in standing()) {
            prop_assert_eq!(a.merge(b), b.merge(a));
            prop_assert_eq!(a.merge(b).merge(c), a.merge(b.merge(c)));
            prop_assert_eq!(a.merge(a), a);
            prop_assert_eq!(a.merge(b).merge(a), a.merge(b));
        }
    }

    #[test]
    fn a_newer_tick_outranks_a_verdict_and_a_leave_outranks_both() {
        let run = Run { incarnation: 3, boot: 1 };
        let verdict = Standing::unreachable(run, 9);
        assert_eq!(verdict.merge(Standing::alive(run, 9)), verdict);
        assert_eq!(verdict.merge(Standing::alive(run, 10)), Standing::alive(run, 10));
        let left = Standing { run, left: true, tick: 2, unreachable: false };
        assert_eq!(left.merge(Standing::alive(run, 10)), left);
        let restarted = Standing::new(Run { incarnation: 4, boot: 0 });
        assert_eq!(left.merge(restarted), restarted);
    }
}
