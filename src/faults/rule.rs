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
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ends {
    /// Whoever, also one that is not known yet: a handshake comes from an address only.
    Any,
    Member(MemberId),
    /// A nick as it was typed; nobody until [`super::Plan::resolve`] finds whose it is.
    Nick(String),
}

/// What befalls a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing passes.
    Cut,
    /// This share is lost, each datagram for itself.
    Loss(Share),
    /// Datagrams are lost in a row.
    Burst(Burst),
    /// Each arrives `by` later, give or take up to `jitter` (not above `by`), evenly spread. Datagrams overtake
    /// each other within the jitter.
    Delay { by: Duration, jitter: Duration },
    /// This share is held back by `by`, so that those that come after overtake it.
    Reorder { share: Share, by: Duration },
    /// This share arrives twice, the copy up to `within` later, evenly spread, and with a jitter of its own.
    Duplicate { share: Share, within: Duration },
    /// This share arrives with one bit flipped.
    Corrupt(Share),
    /// This share arrives shorter than it left, by any number of bytes.
    Truncate(Share),
    /// Each waits until those before it have left.
    Rate(Rate),
}

/// The kinds of faults. On one link, in one rule's words, there is one fault of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Cut,
    Loss,
    Burst,
    Delay,
    Reorder,
    Duplicate,
    Corrupt,
    Truncate,
    Rate,
}

/// Bursts of loss, after Gilbert and Elliott: a link is in a burst or it is not, and each datagram may change that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Burst {
    /// Of all datagrams, those that meet a burst. At most length / (length + 1).
    pub share: Share,
    /// How many datagrams a burst takes on average; 2 to `FAULT_BURST_DATAGRAMS_MAX`.
    pub length: u32,
    /// Of those that meet a burst, those that are lost.
    pub loss: Share,
}

/// How much passes on a link, and how long its queue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// `FAULT_RATE_BITS_MIN` to `FAULT_RATE_BITS_MAX`; the bytes that a datagram carries count, not its headers.
    pub bits_per_s: u64,
    /// What would wait longer is dropped.
    pub queue: Duration,
}

/// A share in parts per million. An integer, because a fate must be the same on every machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Share(u32);

impl Rule {
    /// The rule with names for the ids that `name` knows: for people to read, and for no plan.
    #[must_use]
    pub fn with_names<'a>(&self, name: impl Fn(MemberId) -> Option<&'a str>) -> Self {
        let named = |ends: &Ends| match ends {
            Ends::Member(id) => name(*id).map_or_else(|| ends.clone(), |name| Ends::Nick(name.to_owned())),
            Ends::Any | Ends::Nick(_) => ends.clone(),
        };
        Self { from: named(&self.from), to: named(&self.to), fault: self.fault }
    }
}

impl Ends {
    /// Whether `end` is among them. Whose a nick is only its plan knows: none is here.
    #[must_use]
    pub fn include(&self, end: Option<MemberId>) -> bool {
        match self {
            Self::Any => true,
            Self::Member(member) => end == Some(*member),
            Self::Nick(_) => false,
        }
    }
}

impl Fault {
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Cut => Kind::Cut,
            Self::Loss(_) => Kind::Loss,
            Self::Burst(_) => Kind::Burst,
            Self::Delay { .. } => Kind::Delay,
            Self::Reorder { .. } => Kind::Reorder,
            Self::Duplicate { .. } => Kind::Duplicate,
            Self::Corrupt(_) => Kind::Corrupt,
            Self::Truncate(_) => Kind::Truncate,
            Self::Rate(_) => Kind::Rate,
        }
    }

    /// Whether the fault changes nothing: no share, no delay.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        match self {
            Self::Cut | Self::Rate(_) => false,
            Self::Loss(share) | Self::Corrupt(share) | Self::Truncate(share) | Self::Duplicate { share, .. } => {
                share == Share::NONE
            }
            Self::Burst(Burst { share, loss, .. }) => share == Share::NONE || loss == Share::NONE,
            Self::Delay { by, jitter } => by.is_zero() && jitter.is_zero(),
            Self::Reorder { share, by } => share == Share::NONE || by.is_zero(),
        }
    }
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Cut,
        Self::Loss,
        Self::Burst,
        Self::Delay,
        Self::Reorder,
        Self::Duplicate,
        Self::Corrupt,
        Self::Truncate,
        Self::Rate,
    ];

    /// As it is typed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Loss => "loss",
            Self::Burst => "burst",
            Self::Delay => "delay",
            Self::Reorder => "reorder",
            Self::Duplicate => "duplicate",
            Self::Corrupt => "corrupt",
            Self::Truncate => "truncate",
            Self::Rate => "rate",
        }
    }
}

impl Burst {
    /// The most that bursts of this length can cover: with one datagram between each two.
    #[must_use]
    pub fn share_max(length: u32) -> Share {
        let all = u64::from(Share::ALL.0);
        let covered = all * u64::from(length) / (u64::from(length) + 1);
        Share(u32::try_from(covered).expect("at most all"))
    }

    /// Of all datagrams, those that are lost, in parts of a million millions.
    pub(super) fn lost(self) -> u64 {
        u64::from(self.share.0) * u64::from(self.loss.0)
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
    fn bursts_leave_one_datagram_between_them() {
        assert_eq!(Burst::share_max(3), percent(75));
        assert_eq!(Burst::share_max(4), percent(80));
    }
}
