//! What a claim about a member rests on, as data. Owns its kinds and how they are put in words; decides
//! nothing.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::base::{MemberId, Run, Wall};
use crate::wire::{Card, OpenReport};

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
    /// Its card, of the version that it has now, and somebody's word for a tick.
    Word(Word),
}

/// Somebody's word that brought a member in: that of most members of a large room.
#[derive(Clone, Debug)]
pub struct Word {
    by: MemberId,
    via: Option<MemberId>,
    tick: u64,
    carded: Wall,
    at: Wall,
}

impl Basis {
    #[must_use]
    pub fn of(card: &Card, items: Vec<Evidence>) -> Option<Self> {
        if items.is_empty() {
            return None;
        }
        let word = Word::of(&items).filter(|word| word.items(card)[..] == items);
        Some(word.map_or(Self::Items(items), Self::Word))
    }

    /// The items, of a member that has this card.
    #[must_use]
    pub fn items(&self, card: &Card) -> Vec<Evidence> {
        match self {
            Self::Items(items) => items.clone(),
            Self::Word(word) => word.items(card).into(),
        }
    }
}

impl Word {
    /// The word that `items` may be; whether it is shows in what [`Word::items`] makes of it.
    fn of(items: &[Evidence]) -> Option<Self> {
        let [card, heard] = items else { return None };
        Some(Self { by: heard.by, via: heard.via, tick: heard.tick?, carded: card.at, at: heard.at })
    }

    fn items(&self, card: &Card) -> [Evidence; 2] {
        let mut heard = Evidence::known_tick(self.by, card.run, self.at, self.tick);
        heard.via = self.via;
        [Evidence::card(card, self.carded), heard]
    }
}
