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

/// What a member's presence rests on, in as little as it takes.
#[derive(Clone, Debug)]
pub enum Basis {
    Items(Vec<Evidence>),
    /// It is remembered from an earlier run of this node; nothing came since this time, when this one started.
    Restored(Wall),
    /// Somebody's word for a tick: that brings back most of those whom a member of a large room remembers.
    Tick {
        by: SharedId,
        via: Option<SharedId>,
        at: Wall,
        tick: u32,
    },
    /// Its card, of the version that it has now, and such a word: that brings in most members of a large room.
    Word {
        by: SharedId,
        via: Option<SharedId>,
        carded: Wall,
        at: Wall,
        tick: u32,
    },
}

const _: () = assert!(size_of::<Basis>() <= 40, "there is one for each pair of members of a room");

impl Basis {
    #[must_use]
    pub fn of(card: &Card, items: Vec<Evidence>) -> Option<Self> {
        let least = match &items[..] {
            [] => return None,
            [heard] if heard.kind == EvidenceKind::Heard => Self::tick(heard),
            [restored] => Some(Self::Restored(restored.at)),
            [carded, heard] => Self::word(carded, heard),
            _ => None,
        };
        Some(least.filter(|least| least.items(card) == items).unwrap_or(Self::Items(items)))
    }

    /// The word that the item may be; whether it is shows in what [`Basis::items`] makes of it.
    fn tick(heard: &Evidence) -> Option<Self> {
        Some(Self::Tick {
            by: heard.by.into(),
            via: heard.via.map(SharedId::from),
            at: heard.at,
            tick: u32::try_from(heard.tick?).ok()?,
        })
    }

    /// The same of two items.
    fn word(carded: &Evidence, heard: &Evidence) -> Option<Self> {
        Some(Self::Word {
            by: heard.by.into(),
            via: heard.via.map(SharedId::from),
            carded: carded.at,
            at: heard.at,
            tick: u32::try_from(heard.tick?).ok()?,
        })
    }

    /// The items, of a member that has this card.
    #[must_use]
    pub fn items(&self, card: &Card) -> Vec<Evidence> {
        match self {
            Self::Items(items) => items.clone(),
            Self::Restored(at) => vec![Evidence::restored(card, *at)],
            Self::Tick { by, via, at, tick } => vec![heard(card, by, via.as_ref(), *at, *tick)],
            Self::Word { by, via, carded, at, tick } => {
                vec![Evidence::card(card, *carded), heard(card, by, via.as_ref(), *at, *tick)]
            }
        }
    }
}

fn heard(card: &Card, by: &SharedId, via: Option<&SharedId>, at: Wall, tick: u32) -> Evidence {
    let mut heard = Evidence::known_tick(by.id(), card.run, at, tick.into());
    heard.via = via.map(SharedId::id);
    heard
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
        let card = card(7);
        let carded = Evidence::card(&card, Wall(5));
        let heard = |tick| Evidence::known_tick(id(2), RUN, Wall(9), tick);
        let restored = Evidence::restored(&card, Wall(5));
        let usual = [
            vec![restored.clone()],
            vec![heard(8)],
            vec![heard(8).via(id(3))],
            vec![carded.clone(), heard(8)],
            vec![carded.clone(), heard(8).via(id(3))],
            vec![carded.clone(), heard(u32::MAX.into())],
        ];
        for items in usual {
            let basis = Basis::of(&card, items.clone()).unwrap();
            assert!(!matches!(basis, Basis::Items(_)), "{items:?}");
            assert_eq!(basis.items(&card), items);
        }
        let unusual = [
            vec![carded.clone()],
            vec![heard(u64::from(u32::MAX) + 1)],
            vec![restored.clone().tick(1)],
            vec![carded.clone(), heard(u64::from(u32::MAX) + 1)],
            vec![heard(8), carded.clone()],
            vec![
                carded.clone(),
                Evidence::new(EvidenceKind::Heard, id(2), RUN, Wall(9), "on this node's own link").tick(8),
            ],
            vec![carded, heard(8), restored],
        ];
        for items in unusual {
            let basis = Basis::of(&card, items.clone()).unwrap();
            assert!(matches!(basis, Basis::Items(_)), "{items:?}");
            assert_eq!(basis.items(&card), items);
        }
        assert!(Basis::of(&card, Vec::new()).is_none());
    }
}
