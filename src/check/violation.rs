//! What a check says when it does not hold. Owns the nine names; decides nothing.

use super::LineNumber;

/// The checks, by the numbers that the documents use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Check {
    /// 1. `delivered` means that the receiver had committed it.
    Delivered,
    /// 2. Nothing is shown twice, and what is shown is what its author said.
    ShownOnce,
    /// 3. One author's messages show in order, or as a gap.
    InOrder,
    /// 4. A gap names what exists and is not held.
    TrueGaps,
    /// 5. Private text stays private, and no text is on the wire in the clear.
    Private,
    /// 6. No nonce is used twice, and no place of a stream names two messages.
    UsedOnce,
    /// 7. A verdict follows from the evidence that it shows, and nothing follows from what an older run sent.
    Evidence,
    /// 8. Every queue and table is within its limit.
    Limits,
    /// 9. After the last fault the room settles.
    Settles,
}

/// One thing that is not as it must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    pub check: Check,
    /// The line at which it showed.
    pub line: LineNumber,
    pub text: String,
}

impl Check {
    pub const ALL: [Self; 9] = [
        Self::Delivered,
        Self::ShownOnce,
        Self::InOrder,
        Self::TrueGaps,
        Self::Private,
        Self::UsedOnce,
        Self::Evidence,
        Self::Limits,
        Self::Settles,
    ];

    /// From 1.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// For people: `delivered means committed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered means committed",
            Self::ShownOnce => "shown once, as it was said",
            Self::InOrder => "in order, or as a gap",
            Self::TrueGaps => "a gap is true",
            Self::Private => "private stays private",
            Self::UsedOnce => "used once",
            Self::Evidence => "a verdict follows from its evidence",
            Self::Limits => "within the limits",
            Self::Settles => "the room settles",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checks_are_numbered_from_one_to_nine() {
        let numbers = Check::ALL.map(Check::number);
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
