//! Faults and rules as text that reads back as the same. Owns the one form that each is shown in.

use std::fmt;
use std::time::Duration;

use super::rule::{Burst, Ends, Fault, Kind, Rate, Rule, Share};
use super::spec::DECIMALS;

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault)?;
        for (preposition, ends) in [("from", &self.from), ("to", &self.to)] {
            match ends {
                Ends::Any => {}
                Ends::Member(member) => write!(f, " {preposition} {member}")?,
                Ends::Nick(nick) => write!(f, " {preposition} {nick}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind().name();
        match *self {
            Self::Cut => f.write_str(kind),
            Self::Loss(share) | Self::Corrupt(share) | Self::Truncate(share) => write!(f, "{kind}={share}"),
            Self::Burst(Burst { share, length, loss: Share::ALL }) => write!(f, "{kind}={share}/{length}"),
            Self::Burst(Burst { share, length, loss }) => write!(f, "{kind}={share}/{length}@{loss}"),
            Self::Delay { by, jitter } if jitter.is_zero() => write!(f, "{kind}={}", compact(by)),
            Self::Delay { by, jitter } => write!(f, "{kind}={}±{}", compact(by), compact(jitter)),
            Self::Reorder { share, by } => write!(f, "{kind}={share}/{}", compact(by)),
            Self::Duplicate { share, within } if within.is_zero() => write!(f, "{kind}={share}"),
            Self::Duplicate { share, within } => write!(f, "{kind}={share}/{}", compact(within)),
            Self::Rate(Rate { bits_per_s, queue }) => write!(f, "{kind}={}/{}", bits(bits_per_s), compact(queue)),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.ppm() / 10_000, self.ppm() % 10_000);
        if decimals == 0 {
            return write!(f, "{whole}%");
        }
        let decimals = format!("{decimals:0>DECIMALS$}");
        write!(f, "{whole}.{}%", decimals.trim_end_matches('0'))
    }
}

/// The kinds, for a sentence.
pub(super) fn kinds() -> String {
    Kind::ALL.map(|kind| if kind == Kind::Loss { "drop (or loss)" } else { kind.name() }).join(", ")
}

/// A duration as humantime writes it, in one word.
pub(super) fn compact(span: Duration) -> String {
    humantime::format_duration(span).to_string().replace(' ', "")
}

/// In the largest unit that it is a whole number of.
fn bits(bits_per_s: u64) -> String {
    let whole = BIT_UNITS.into_iter().find(|(_, bits)| bits_per_s.is_multiple_of(*bits));
    let (unit, bits) = whole.unwrap_or(("bit", 1));
    format!("{}{unit}", bits_per_s / bits)
}

/// Bits a second; the longest name of those that end alike comes first.
pub(super) const BIT_UNITS: [(&str, u64); 4] =
    [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];
