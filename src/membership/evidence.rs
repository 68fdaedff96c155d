//! What a claim about a member rests on, as data. Owns its kinds and how they are put in words; decides
//! nothing.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::base::{MemberId, Run, SharedId, Wall};
use crate::wire::{Card, OpenReport, Report};

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
    detail: Detail,
}

/// What else there is to say of it; [`Evidence::words`] puts it in words.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Detail {
    Words(Cow<'static, str>),
    /// The probes that a reporter lost, and by how many milliseconds its own loop was late.
    Report {
        probes_lost: u8,
        lag_ms: u32,
    },
}

/// What kind of evidence it is; the words are those that programs read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// A tick is known: to this node, which heard it itself, or to another, which may have heard of it.
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
    pub fn new(kind: EvidenceKind, by: MemberId, run: Run, at: Wall, words: impl Into<Cow<'static, str>>) -> Self {
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
            detail: Detail::Words(words.into()),
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
        let words = format!("signed card, version {}", card.version);
        Self::new(EvidenceKind::Card, card.member, card.run, at, words)
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
        let mut evidence = Self::new(EvidenceKind::Report, by, report.run, at, "").tick(report.tick).via(via);
        evidence.mostly_deaf = report.mostly_deaf;
        evidence.detail = Detail::Report { probes_lost: report.probes_lost, lag_ms: report.lag_ms };
        evidence
    }

    /// The report on `subject` that this is evidence of, if it is of one.
    #[must_use]
    pub fn report_on(&self, subject: MemberId) -> Option<Report> {
        let Detail::Report { probes_lost, lag_ms } = self.detail else { return None };
        let (run, tick) = (self.run?, self.tick?);
        let open = OpenReport { subject, run, tick, probes_lost, lag_ms, mostly_deaf: self.mostly_deaf };
        Some(Report { by: self.by, open })
    }

    /// What else there is to say of it, for people.
    #[must_use]
    pub fn words(&self) -> Cow<'static, str> {
        let (probes_lost, lag_ms) = match &self.detail {
            Detail::Words(words) => return words.clone(),
            Detail::Report { probes_lost, lag_ms } => (probes_lost, lag_ms),
        };
        let tick = self.tick.unwrap_or(0);
        let mut words = match (tick, probes_lost) {
            (0, 0) => "heard no heartbeat of it yet".to_owned(),
            (0, lost) => format!("heard no heartbeat of it yet; {lost} probes lost"),
            (tick, lost) => format!("did not hear it after tick {tick}; {lost} probes lost"),
        };
        if *lag_ms > 0 {
            write!(words, ", own loop {lag_ms} ms late").expect("a string takes everything");
        }
        if self.mostly_deaf {
            words.push_str(", hears less than half of its own links");
        }
        words.into()
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
    /// Reports of its card's run, which made it suspect or unreachable: half of a large room can be gone at once.
    Reports(Box<[KeptReport]>),
    Items(Box<[Evidence]>),
}

const _: () = assert!(size_of::<Basis>() <= 24, "there is one for each pair of members of a room");

/// A report that somebody's presence rests on, in as little as it takes beside its card.
#[derive(Clone, Debug)]
pub struct KeptReport {
    by: SharedId,
    via: Option<SharedId>,
    tick: u64,
    at: Wall,
    lag_ms: u32,
    probes_lost: u8,
    mostly_deaf: bool,
}

const _: () = assert!(size_of::<KeptReport>() <= 40, "there are some for each two members that are cut apart");

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
            [report, ..] if report.kind == EvidenceKind::Report => {
                items.iter().map(KeptReport::of).collect::<Option<_>>().map(Self::Reports)
            }
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
            Self::Reports(reports) => reports.iter().map(|report| report.evidence(card)).collect(),
            Self::Items(items) => items.to_vec(),
        }
    }
}

impl KeptReport {
    /// The report that the item may be; whether it is shows in what [`KeptReport::evidence`] makes of it.
    fn of(item: &Evidence) -> Option<Self> {
        let Detail::Report { probes_lost, lag_ms } = item.detail else { return None };
        let (by, via) = (item.by.into(), item.via.map(SharedId::from));
        Some(Self { by, via, tick: item.tick?, at: item.at, lag_ms, probes_lost, mostly_deaf: item.mostly_deaf })
    }

    fn evidence(&self, card: &Card) -> Evidence {
        let &Self { tick, at, lag_ms, probes_lost, mostly_deaf, .. } = self;
        let open = OpenReport { subject: card.member, run: card.run, tick, probes_lost, lag_ms, mostly_deaf };
        let by = self.by.id();
        Evidence::report(by, self.via.as_ref().map_or(by, SharedId::id), &open, at)
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
    fn a_report_is_put_in_words_and_goes_back_to_what_was_said() {
        let open = OpenReport { subject: id(1), run: RUN, tick: 5, probes_lost: 3, lag_ms: 7, mostly_deaf: true };
        let evidence = Evidence::report(id(2), id(3), &open, Wall(9));
        let words =
            "did not hear it after tick 5; 3 probes lost, own loop 7 ms late, hears less than half of its own links";
        assert_eq!(evidence.words(), words);
        assert_eq!(evidence.report_on(id(1)), Some(Report { by: id(2), open }));
        let plain = OpenReport { lag_ms: 0, mostly_deaf: false, ..open };
        assert_eq!(
            Evidence::report(id(2), id(3), &plain, Wall(9)).words(),
            "did not hear it after tick 5; 3 probes lost"
        );
        assert_eq!(Evidence::verdict(id(2), RUN, 5, Wall(9)).report_on(id(1)), None);
    }

    #[test]
    fn a_basis_gives_back_the_very_items_and_the_usual_ones_take_no_room_of_their_own() {
        const SINCE: Wall = Wall(100_000);
        let card = card(7);
        let heard = |tick| Evidence::known_tick(id(2), RUN, SINCE, tick);
        let carded = |ms| Evidence::card(&card, Wall(SINCE.0 - ms));
        let restored = Evidence::restored(&card, SINCE);
        let report = |tick| {
            let open = OpenReport { subject: id(1), run: RUN, tick, probes_lost: 3, lag_ms: 7, mostly_deaf: tick > 8 };
            Evidence::report(id(2), id(2), &open, Wall(9))
        };
        let mut of_another_run = report(8);
        of_another_run.run = Some(Run { incarnation: 2, ..RUN });
        let usual = [
            vec![],
            vec![restored.clone()],
            vec![heard(8)],
            vec![heard(8).via(id(3))],
            vec![carded(0), heard(8)],
            vec![carded(65_535), heard(8).via(id(3))],
            vec![carded(5), heard(u32::MAX.into())],
            vec![report(8)],
            vec![report(8).via(id(3)), report(u64::MAX)],
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
            vec![report(8), of_another_run],
            vec![report(8), heard(8)],
            vec![Evidence::verdict(id(2), RUN, 8, SINCE), report(8)],
        ];
        for items in unusual {
            let basis = Basis::of(&card, SINCE, items.clone());
            assert!(matches!(basis, Basis::Items(_)), "{items:?}");
            assert_eq!(basis.items(&card, SINCE), items);
        }
    }
}
