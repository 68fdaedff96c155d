//! What a claim about a member rests on, as data. Owns its kinds and how they are put in words; decides
//! nothing.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::base::{MemberId, Run, SharedId, Wall};
use crate::wire::{Card, OpenReport};

/// What is said of a member that this node remembers.
const RESTORED: &str = "not heard since this node started";

/// One item of evidence. Whoever gets all items of a verdict can work it out again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    pub kind: EvidenceKind,
    /// Whose observation or word it is.
    pub by: MemberId,
    /// Who passed it on, where that was not `by` itself: then it is as good as that member's word.
    pub via: Option<MemberId>,
    pub run: Option<Run>,
    pub tick: Option<u64>,
    /// When it came to be known here. A report that was contradicted meanwhile has the time from which it
    /// stood uncontradicted.
    pub at: Wall,
    /// Set on a report whose author is mostly deaf: it counts under the longer rule only.
    pub mostly_deaf: bool,
    /// Set on a report that is a whole verdict: `by` had called the member unreachable, and this node, which did
    /// not hear it either, took that over.
    pub verdict: bool,
    /// Set on others' word that made the member alive again, where it is shown later: it is not about what is said now.
    pub brought_back: bool,
    pub detail: String,
}

/// What kind of evidence it is; the words are those that programs read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// A tick was heard.
    Heard,
    /// The link was silent.
    Silence,
    Report,
    Contradiction,
    Withdrawal,
    Card,
    Leave,
    /// Remembered from an earlier run of this node.
    Restored,
}

impl Evidence {
    #[must_use]
    pub fn new(kind: EvidenceKind, by: MemberId, run: Run, at: Wall, detail: impl Into<String>) -> Self {
        Self {
            kind,
            by,
            via: None,
            run: Some(run),
            tick: None,
            at,
            mostly_deaf: false,
            verdict: false,
            brought_back: false,
            detail: detail.into(),
        }
    }

    #[must_use]
    pub fn tick(mut self, tick: u64) -> Self {
        self.tick = Some(tick);
        self
    }

    /// Notes who passed it on, unless that was its author.
    #[must_use]
    pub fn via(mut self, via: MemberId) -> Self {
        self.via = (via != self.by).then_some(via);
        self
    }

    #[must_use]
    pub fn card(card: &Card, at: Wall) -> Self {
        let detail = format!("signed card, version {}", card.version);
        Self::new(EvidenceKind::Card, card.member, card.run, at, detail)
    }

    /// It is remembered, and nothing came of it since `at`, when this node started.
    #[must_use]
    pub fn restored(card: &Card, at: Wall) -> Self {
        Self::new(EvidenceKind::Restored, card.member, card.run, at, RESTORED)
    }

    /// The word of `by` for a tick.
    #[must_use]
    pub fn known_tick(by: MemberId, run: Run, at: Wall, tick: u64) -> Self {
        Self::new(EvidenceKind::Heard, by, run, at, "knows this tick of it").tick(tick)
    }

    /// A verdict of unreachable that `by` had come to.
    #[must_use]
    pub fn verdict(by: MemberId, run: Run, tick: u64, at: Wall) -> Self {
        let mut evidence = Self::new(EvidenceKind::Report, by, run, at, "had called it unreachable").tick(tick);
        evidence.verdict = true;
        evidence
    }

    #[must_use]
    pub fn report(by: MemberId, via: MemberId, report: &OpenReport, at: Wall) -> Self {
        let mut detail = format!("did not hear it after tick {}; {} probes lost", report.tick, report.probes_lost);
        if report.lag_ms > 0 {
            write!(detail, ", own loop {} ms late", report.lag_ms).expect("a string takes everything");
        }
        if report.mostly_deaf {
            detail.push_str(", hears less than half of its own links");
        }
        let mut evidence = Self::new(EvidenceKind::Report, by, report.run, at, detail).tick(report.tick).via(via);
        evidence.mostly_deaf = report.mostly_deaf;
        evidence
    }
}

/// What a member's presence rests on, in as little as it takes beside its card and the time from which it stands there.
#[derive(Clone, Debug, Default)]
pub enum Basis {
    #[default]
    Nothing,
    /// It is remembered from an earlier run of this node, and nothing came since.
    Restored,
    /// Somebody's word for a tick, which put it where it stands: that brings back most of those whom a member of a large
    /// room remembers. With its card before, of the version that it has now, it brings in those who are new.
    Word {
        by: SharedId,
        via: Option<SharedId>,
        tick: u32,
        carded: Carded,
    },
    Items(Box<[Evidence]>),
}

const _: () = assert!(size_of::<Basis>() <= 24, "there is one for each pair of members of a room");

/// How long before the word the card came, in milliseconds, if it belongs to the basis: a minute at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carded {
    Before,
    Now(u16),
}

impl Basis {
    /// The basis of a member that has this card and stands where it does since then.
    #[must_use]
    pub fn of(card: &Card, since: Wall, items: Vec<Evidence>) -> Self {
        let least = match &items[..] {
            [] => return Self::Nothing,
            [heard] if heard.kind == EvidenceKind::Heard => Self::word(heard, Some(Carded::Before)),
            [_] => Some(Self::Restored),
            [carded, heard] => Self::word(heard, Carded::between(carded.at, since)),
            _ => None,
        };
        least.filter(|least| least.items(card, since) == items).unwrap_or_else(|| Self::Items(items.into()))
    }

    /// The word that the item may be; whether it is shows in what [`Basis::items`] makes of it.
    fn word(heard: &Evidence, carded: Option<Carded>) -> Option<Self> {
        Some(Self::Word {
            by: heard.by.into(),
            via: heard.via.map(SharedId::from),
            tick: u32::try_from(heard.tick?).ok()?,
            carded: carded?,
        })
    }

    /// The items, given the same card and time.
    #[must_use]
    pub fn items(&self, card: &Card, since: Wall) -> Vec<Evidence> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Restored => vec![Evidence::restored(card, since)],
            Self::Word { by, via, tick, carded } => {
                let mut heard = Evidence::known_tick(by.id(), card.run, since, (*tick).into());
                heard.via = via.as_ref().map(SharedId::id);
                carded.evidence(card, since).into_iter().chain([heard]).collect()
            }
            Self::Items(items) => items.to_vec(),
        }
    }
}

impl Carded {
    fn between(carded: Wall, since: Wall) -> Option<Self> {
        Some(Self::Now(u16::try_from(since.0.checked_sub(carded.0)?).ok()?))
    }

    fn evidence(self, card: &Card, since: Wall) -> Option<Evidence> {
        match self {
            Self::Before => None,
            Self::Now(ms) => Some(Evidence::card(card, Wall(since.0.saturating_sub(ms.into())))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::RoomId;

    const RUN: Run = Run { incarnation: 3, boot: 4 };

    fn id(n: u8) -> MemberId {
        MemberId([n; 32])
    }

    fn card(version: u32) -> Card {
        Card {
            room: RoomId([1; 16]),
            member: id(1),
            noise_key: [2; 32],
            run: RUN,
            version,
            nick: "ana".to_owned(),
            addresses: Vec::new(),
        }
    }

    #[test]
    fn a_basis_gives_back_the_very_items_and_the_usual_ones_take_no_room_of_their_own() {
        const SINCE: Wall = Wall(100_000);
        let card = card(7);
        let heard = |tick| Evidence::known_tick(id(2), RUN, SINCE, tick);
        let carded = |ms| Evidence::card(&card, Wall(SINCE.0 - ms));
        let restored = Evidence::restored(&card, SINCE);
        let usual = [
            vec![],
            vec![restored.clone()],
            vec![heard(8)],
            vec![heard(8).via(id(3))],
            vec![carded(0), heard(8)],
            vec![carded(65_535), heard(8).via(id(3))],
            vec![carded(5), heard(u32::MAX.into())],
        ];
        for items in usual {
            let basis = Basis::of(&card, SINCE, items.clone());
            assert!(!matches!(basis, Basis::Items(_)), "{items:?}");
            assert_eq!(basis.items(&card, SINCE), items);
        }
        let earlier = Wall(SINCE.0 - 1);
        let unusual = [
            vec![carded(5)],
            vec![heard(u64::from(u32::MAX) + 1)],
            vec![Evidence::known_tick(id(2), RUN, earlier, 8)],
            vec![Evidence::restored(&card, earlier)],
            vec![restored.clone().tick(1)],
            vec![carded(65_536), heard(8)],
            vec![Evidence::card(&card, Wall(SINCE.0 + 1)), heard(8)],
            vec![carded(5), heard(u64::from(u32::MAX) + 1)],
            vec![heard(8), carded(5)],
            vec![carded(5), Evidence::new(EvidenceKind::Heard, id(2), RUN, SINCE, "on this node's own link").tick(8)],
            vec![carded(5), heard(8), restored],
        ];
        for items in unusual {
            let basis = Basis::of(&card, SINCE, items.clone());
            assert!(matches!(basis, Basis::Items(_)), "{items:?}");
            assert_eq!(basis.items(&card, SINCE), items);
        }
    }
}
