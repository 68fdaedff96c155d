//! One rule of a plan: a fault, and the links that it acts on. Owns what can be said; `plan` owns how rules
//! add up.

use std::time::Duration;

use crate::base::MemberId;

/// A fault on the datagrams of some links.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    pub from: Ends,
    pub to: Ends,
    pub fault: Fault,
}

/// Which members may be at one end of a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ends {
    /// Whoever, also one that is not known yet: a handshake comes from an address only.
    Any,
    Member(MemberId),
    /// A nick as it was typed; nobody until [`super::Plan::resolve`] finds whose it is.
    Named {
        nick: String,
        member: Option<MemberId>,
    },
}

/// What befalls a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing passes.
    Cut,
    /// This share is lost, each datagram for itself.
    Loss(Share),
    /// Each arrives `by` later, give or take up to `jitter` (not above `by`), evenly spread. Datagrams overtake
    /// each other within the jitter.
    Delay { by: Duration, jitter: Duration },
    /// This share arrives twice, the copy with a jitter of its own.
    Duplicate(Share),
}

/// A share in parts per million. An integer, because a fate must be the same on every machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Share(u32);

impl Ends {
    /// Whether `end` is among them.
    #[must_use]
    pub fn include(&self, end: Option<MemberId>) -> bool {
        match self {
            Self::Any => true,
            Self::Member(member) => end == Some(*member),
            Self::Named { member, .. } => member.is_some() && end == *member,
        }
    }
}

impl Fault {
    /// Whether the fault changes nothing: no share, no delay.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        match self {
            Self::Cut => false,
            Self::Loss(share) | Self::Duplicate(share) => share == Share::NONE,
            Self::Delay { by, jitter } => by.is_zero() && jitter.is_zero(),
        }
    }
}

impl Share {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(1_000_000);

    /// `ppm` parts of a million; `None` above all of them.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Option<Self> {
        if ppm <= Self::ALL.0 { Some(Self(ppm)) } else { None }
    }

    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// What two independent shares take together: 1 − (1 − a)(1 − b), rounded up.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let all = u64::from(Self::ALL.0);
        let spared = (all - u64::from(self.0)) * (all - u64::from(other.0)) / all;
        Self(u32::try_from(all - spared).expect("at most all"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(whole: u32) -> Share {
        Share::from_ppm(whole * 10_000).unwrap()
    }

    #[test]
    fn shares_add_up_as_independent_chances() {
        assert_eq!(percent(20).or(percent(20)), percent(36));
        assert_eq!(percent(20).or(Share::NONE), percent(20));
        assert_eq!(percent(20).or(Share::ALL), Share::ALL);
        assert_eq!(Share::from_ppm(1_000_001), None);
    }

    #[test]
    fn a_nick_is_nobody_until_it_is_found() {
        let bo = MemberId([2; 32]);
        let mut ends = Ends::Named { nick: "bo".into(), member: None };
        assert!(!ends.include(None));
        assert!(!ends.include(Some(bo)));
        if let Ends::Named { member, .. } = &mut ends {
            *member = Some(bo);
        }
        assert!(ends.include(Some(bo)));
        assert!(!ends.include(None));
        assert!(Ends::Any.include(None));
    }
}
