//! Whether it is this node that is cut off. Owns the count of silent links; says so, and judges nobody.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::{MemberId, Time};

/// With fewer links one cannot tell.
const LINKS_MIN: usize = 3;
/// After this the silent ones are gone rather than out of earshot (a guess).
const DEAF_MAX: Duration = Duration::from_secs(10 * 60);

/// Deaf from when more than half of the links fell silent until enough of those are heard again, although the
/// silent ones are called unreachable meanwhile and are no longer watched.
#[derive(Default, Debug)]
pub struct Deaf {
    silent: BTreeSet<MemberId>,
    since: Time,
    hears_some: bool,
}

impl Deaf {
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        !self.silent.is_empty()
    }

    /// Deaf, and with hardly anybody around it: of those whom it watches now it hears less than a quarter. Where many are cut
    /// off together they watch each other, and report whom they miss.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.is_deaf() && !self.hears_some
    }

    /// Looks at the links of the members that are watched, `watched` in all: those heard, and those silent. `back`
    /// says whether one that fell silent before is heard again, or gone for good.
    pub fn update(
        &mut self,
        now: Time,
        watched: usize,
        live: usize,
        silent: impl Iterator<Item = MemberId>,
        back: impl Fn(MemberId) -> bool,
    ) {
        let was_deaf = self.is_deaf();
        self.hears_some = watched > 0 && live * 4 >= watched;
        self.silent.retain(|&id| !back(id));
        self.silent.extend(silent);
        let links = live + self.silent.len();
        let outnumbered = self.silent.len() * 2 > links;
        if !was_deaf {
            self.since = now;
        }
        let too_few = !was_deaf && links < LINKS_MIN;
        if !outnumbered || too_few || now > self.since + DEAF_MAX {
            self.silent.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> MemberId {
        MemberId([n; 32])
    }

    #[test]
    fn more_than_half_of_three_links_or_more_make_deaf() {
        let mut deaf = Deaf::default();
        deaf.update(Time::ZERO, 2, 0, [id(1), id(2)].into_iter(), |_| false);
        assert!(!deaf.is_deaf(), "two links are too few to tell");
        deaf.update(Time::ZERO, 4, 2, [id(1), id(2)].into_iter(), |_| false);
        assert!(!deaf.is_deaf(), "half is not more than half");
        deaf.update(Time::ZERO, 5, 1, [id(1), id(2)].into_iter(), |_| false);
        assert!(deaf.is_deaf() && deaf.is_alone());
        deaf.update(Time::ZERO, 2, 1, std::iter::empty(), |_| false);
        assert!(deaf.is_deaf(), "they are only no longer watched");
        assert!(!deaf.is_alone(), "of two whom it watches now it hears one");
        deaf.update(Time::ZERO, 0, 0, std::iter::empty(), |_| false);
        assert!(deaf.is_alone(), "it watches nobody any more");
        deaf.update(Time::ZERO, 2, 2, std::iter::empty(), |back| back == id(1));
        assert!(!deaf.is_deaf());
    }
}
