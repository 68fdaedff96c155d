//! What the reports about one member amount to. Owns the rules that make and unmake suspicion, and the time
//! that each takes; sends nothing, tells nobody.
//!
//! Whom it trusts: a report is the word of the member that it came from over its own session, its voice. The
//! author that a relayed report names is hearsay, so two reports are two only when their authors differ and
//! their voices differ too: one liar can forge many authors, but is one voice. Alone it makes a member suspect,
//! and unreachable after the longer time, unless anyone at all hears that member.

use std::collections::BTreeSet;
use std::time::Duration;

use super::evidence::Evidence;
use crate::base::limits::REPORTS_PER_SUBJECT_MAX;
use crate::base::{ByMember, MemberId, OfMember, Run, SharedId, Time, Wall};
use crate::wire::OpenReport;

/// Two reports must stand for this long. A report and the answer to it cross a room of 1,000, seven hops wide
/// (`witness.rs` tests it), within 560 ms where a hop takes 40, and within 700 where so much is said that words wait (`relay.rs`).
const TWO_VOICES: Duration = Duration::from_millis(800);
/// One must stand for this long.
const ONE_VOICE: Duration = Duration::from_millis(2_750);
/// How long a contradiction holds reports off. It is renewed each second while a report stays open, so one
/// that is not has lost its author.
const CONTRADICTION_LIFE: Duration = Duration::from_secs(3);
/// A report that nobody renewed lapses.
const REPORT_LIFE: Duration = Duration::from_secs(10);
/// One whose author's heartbeats come here rides each of them while it is open. When two do not come, its author is gone
/// itself, or watches this node no more, and nothing would show that it is taken back.
const FOLLOWED_LIFE: Duration = Duration::from_millis(2_500);

/// A report as it is held.
#[derive(Clone, Debug)]
pub struct HeldReport {
    by: SharedId,
    pub report: OpenReport,
    /// Who said it over its own session, first; and, of a report that was passed on, somebody else who did.
    via: SharedId,
    second: Option<SharedId>,
    /// Its author's heartbeats come here, and show when it is taken back.
    followed: bool,
    /// Since when it stands uncontradicted, if it does.
    since: Option<(Time, Wall)>,
    renewed: Time,
    first: Wall,
}

/// A newer tick than a report's, on somebody's word.
#[derive(Clone, Debug)]
struct HeldContradiction {
    by: SharedId,
    tick: u64,
    via: SharedId,
    renewed: Time,
    at: Wall,
}

/// All that is said about one member in its current run.
#[derive(Clone, Debug, Default)]
pub struct Case {
    reports: ByMember<HeldReport>,
    contradictions: ByMember<HeldContradiction>,
}

/// What this node observes itself.
#[derive(Clone, Copy, Debug)]
pub struct Hearing {
    pub live: bool,
    /// When it heard the member last: no report stands that was not said since then.
    pub heard: Option<Time>,
    /// The newest tick that it knows: no report of an older one stands.
    pub tick: u64,
    /// What this node's own report is worth, if it reports the member.
    pub own: Option<OwnVoice>,
}

/// A node knows of itself how well it hears.
#[derive(Clone, Copy, Debug)]
pub struct OwnVoice {
    pub by: MemberId,
    /// It counts from then on: until then what the path loses explains the silence.
    pub from: Time,
    /// Alone it amounts to nothing before.
    pub alone_at: Time,
    /// It still looks whether the member is silent: its report stays until it hears it, or others do.
    pub looks: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// No report stands.
    Clear,
    /// At least one does; look again at `until`.
    Suspect { until: Time },
    /// Those of these members have stood for long enough.
    Unreachable { by: Vec<MemberId> },
}

impl Case {
    #[must_use]
    pub const fn new() -> Self {
        Self { reports: ByMember::new(), contradictions: ByMember::new() }
    }

    /// Sees to it that a report by `me` fits in: at the bound one that was passed on goes, or the first.
    pub fn make_room_for(&mut self, me: MemberId) {
        if self.reports.len() < REPORTS_PER_SUBJECT_MAX || self.reports.contains_key(&me) {
            return;
        }
        let passed_on = self.reports.iter().find(|&(&by, held)| held.via.id() != by);
        if let Some(by) = passed_on.or_else(|| self.reports.iter().next()).map(|(&by, _)| by) {
            self.reports.remove(&by);
        }
    }

    /// Takes a report, or renews it; says whether it is news. A report by somebody heard in person is not
    /// replaced by what others pass on in that name. One that comes over a second member has two voices from
    /// then on: a room in which news spread from member to member must tell one liar from many witnesses.
    pub fn accuse(&mut self, by: MemberId, via: MemberId, report: OpenReport, now: Time, wall: Wall) -> bool {
        if let Some(held) = self.reports.get_mut(&by) {
            let before = held.via.id();
            if before == by && via != by {
                return false;
            }
            if via != by && report.run == held.report.run && report.tick <= held.report.tick {
                // An echo of what is known: that it is open still says nobody but its author.
                if via != before && report.tick == held.report.tick && held.second.is_none() {
                    held.second = Some(via.into());
                }
                return false;
            }
            let same = held.report.run == report.run && before == via;
            let newer = report.tick > held.report.tick;
            held.report = report;
            held.renewed = now;
            held.second = None;
            held.followed = via == by;
            if !same {
                // What its author says in person is no other claim than what was passed on in that name.
                if via != by || newer {
                    held.since = None;
                    held.first = wall;
                }
                held.via = via.into();
            }
            return !same || newer;
        }
        // At the bound nothing is lost that a verdict needs: two voices of 16 are here already, or one liar.
        if self.reports.len() >= REPORTS_PER_SUBJECT_MAX {
            return false;
        }
        self.reports.insert(HeldReport {
            by: by.into(),
            report,
            via: via.into(),
            second: None,
            followed: via == by,
            since: None,
            renewed: now,
            first: wall,
        });
        true
    }

    /// Lifts the report of `by` to a tick that it learnt of meanwhile, without being contradicted: it says more
    /// now, not less.
    pub fn lift(&mut self, by: MemberId, tick: u64) {
        if let Some(held) = self.reports.get_mut(&by) {
            held.report.tick = held.report.tick.max(tick);
        }
    }

    /// Takes back the report of `by`; says whether there was one.
    pub fn withdraw(&mut self, by: MemberId) -> bool {
        self.reports.remove(&by).is_some()
    }

    /// Whether a report is held for an older tick than `tick`.
    #[must_use]
    pub fn is_refuted_by(&self, tick: u64) -> bool {
        self.reports.values().any(|held| held.report.tick < tick)
    }

    /// Notes that no heartbeats of `by` come here, so that nothing will show when its report is taken back.
    pub fn unfollow(&mut self, by: MemberId) {
        if let Some(held) = self.reports.get_mut(&by) {
            held.followed = false;
        }
    }

    /// Drops the report of `by` if that was followed: its heartbeats come here no more.
    pub fn lose_sight(&mut self, by: MemberId) {
        self.reports.retain(|held| held.by.id() != by || !held.followed);
    }

    /// Notes that `by` knows a newer tick. Reports of older ones are done with, unless they are followed: their
    /// authors take the newer tick over, and nobody passes on that they do.
    pub fn contradict(&mut self, by: MemberId, via: MemberId, tick: u64, now: Time, at: Wall) {
        let known = self.contradictions.contains_key(&by);
        if !known && self.contradictions.len() >= REPORTS_PER_SUBJECT_MAX {
            return;
        }
        self.reports.retain(|held| held.followed || held.report.tick >= tick);
        if self.contradictions.get(&by).is_none_or(|held| tick >= held.tick) {
            self.contradictions.insert(HeldContradiction { by: by.into(), tick, via: via.into(), renewed: now, at });
        }
    }

    /// Drops what `member` said, and what it passed on.
    pub fn silence(&mut self, member: MemberId) {
        self.reports.retain(|held| held.by.id() != member && held.lose_voice(member));
        self.contradictions.retain(|held| held.by.id() != member && held.via.id() != member);
    }

    /// The verdict is there: keeps but the report of `me`, which may have to ride on for a while.
    pub fn close(&mut self, me: MemberId) {
        self.reports.retain(|held| held.by.id() == me);
        self.contradictions.clear();
    }

    pub fn drop_reports(&mut self) {
        self.reports.clear();
    }

    pub fn clear(&mut self) {
        self.reports.clear();
        self.contradictions.clear();
    }

    #[must_use]
    pub fn has_reports(&self) -> bool {
        !self.reports.is_empty()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reports.is_empty() && self.contradictions.is_empty()
    }

    #[must_use]
    pub fn report(&self, by: MemberId) -> Option<&HeldReport> {
        self.reports.get(&by)
    }

    /// Whether a report stands since `since` at the latest.
    #[must_use]
    pub fn stands_since(&self, since: Time) -> bool {
        self.reports.values().any(|held| held.since.is_some_and(|(from, _)| from <= since))
    }

    /// The authors of the reports at `known` or a newer tick that `tick` refutes, and those who passed them on.
    #[must_use]
    pub fn refuted_by(&self, known: u64, tick: u64) -> BTreeSet<MemberId> {
        let refuted = self.reports.values().filter(|held| (known..tick).contains(&held.report.tick));
        refuted.flat_map(|held| [&held.by, &held.via].into_iter().chain(&held.second)).map(SharedId::id).collect()
    }

    /// Those who have lately said that they know a tick newer than `tick`.
    fn contradictors(&self, now: Time, tick: u64) -> impl Iterator<Item = &HeldContradiction> {
        self.contradictions.values().filter(move |held| held.tick > tick && now < held.renewed + CONTRADICTION_LIFE)
    }

    /// The highest tick that a standing report names.
    #[must_use]
    pub fn accused_tick(&self) -> Option<u64> {
        self.reports.values().filter(|held| held.since.is_some()).map(|held| held.report.tick).max()
    }

    /// Applies the rules at `now`.
    pub fn rule(&mut self, now: Time, wall: Wall, hearing: Hearing) -> Ruling {
        if self.reports.is_empty() && self.contradictions.is_empty() {
            return Ruling::Clear;
        }
        let own = |by: MemberId| hearing.own.filter(|own| own.by == by);
        self.reports.retain(|held| held.lapses_at(own(held.by.id())).is_none_or(|at| now < at));
        let reports = &mut self.reports;
        self.contradictions.retain(|contradiction| {
            let holds = now < contradiction.renewed + CONTRADICTION_LIFE;
            if !holds {
                // Its author is followed no more, or would have said it again since: nobody would ever take it back.
                reports.retain(|held| {
                    own(held.by.id()).is_some()
                        || held.report.tick >= contradiction.tick
                        || held.renewed > contradiction.renewed
                });
            }
            holds
        });
        let contradicted = self.contradictions.values().map(|held| held.tick).max().unwrap_or(0);
        for held in self.reports.values_mut() {
            // A member that this node hears right now is there, whatever others miss.
            let is_answered = hearing.live || hearing.heard.is_some_and(|heard| held.renewed <= heard);
            let stands = !is_answered && held.report.tick >= hearing.tick.max(contradicted);
            held.since = if stands { held.since.or(Some((now, wall))) } else { None };
        }
        let counts = |by: MemberId, since: Time| own(by).map_or(since, |own| since.max(own.from));
        let standing: Vec<_> =
            self.reports.iter().filter_map(|(&by, held)| Some((by, held, counts(by, held.since?.0)))).collect();
        let alone_at = |by: MemberId, since: Time| {
            let at = since + ONE_VOICE;
            own(by).map_or(at, |own| at.max(own.alone_at))
        };
        let Some(one_at) = standing.iter().map(|&(by, _, since)| alone_at(by, since)).min() else {
            return Ruling::Clear;
        };
        let pair_at = standing
            .iter()
            .enumerate()
            .flat_map(|(index, first)| standing[index + 1..].iter().map(move |second| (first, second)))
            .filter(|(first, second)| first.1.differs_in_voice(second.1))
            .filter(|(first, second)| !first.1.report.mostly_deaf && !second.1.report.mostly_deaf)
            .map(|(first, second)| first.2.max(second.2) + TWO_VOICES)
            .min();
        let at = pair_at.map_or(one_at, |pair_at| pair_at.min(one_at));
        if now < at {
            return Ruling::Suspect { until: at };
        }
        Ruling::Unreachable { by: standing.iter().map(|&(by, _, _)| by).collect() }
    }

    /// When the rules can come to something new without anything being said, while no report stands.
    #[must_use]
    pub fn next_ruling(&self, now: Time, own: Option<OwnVoice>) -> Option<Time> {
        let lapses = self.contradictions.values().map(|held| held.renewed + CONTRADICTION_LIFE);
        let expires = self.reports.iter().filter_map(|(&by, held)| held.lapses_at(own.filter(|own| own.by == by)));
        lapses.chain(expires).filter(|&at| at > now).min()
    }

    /// The reports as evidence; standing ones only, or all.
    #[must_use]
    pub fn report_evidence(&self, standing_only: bool) -> Vec<Evidence> {
        self.reports
            .iter()
            .filter(|(_, held)| !standing_only || held.since.is_some())
            .flat_map(|(&by, held)| {
                let at = held.since.map_or(held.first, |(_, wall)| wall);
                let voices = std::iter::once(&held.via).chain(&held.second).map(SharedId::id);
                voices.map(move |via| Evidence::report(by, via, &held.report, at))
            })
            .collect()
    }

    /// The contradictions with a tick above `above` that hold at `now`, as evidence.
    #[must_use]
    pub fn contradiction_evidence(&self, run: Run, now: Time, above: u64) -> Vec<Evidence> {
        self.contradictors(now, above)
            .map(|held| {
                Evidence::new(super::EvidenceKind::Contradiction, held.by.id(), run, held.at, "knows a newer tick")
                    .tick(held.tick)
                    .via(held.via.id())
            })
            .collect()
    }
}

impl HeldReport {
    /// When it is worth nothing any more, unless it is renewed. What a node says itself it takes back when it hears the member, and
    /// may have to wait for a minute before it counts.
    fn lapses_at(&self, own: Option<OwnVoice>) -> Option<Time> {
        match own {
            Some(own) if own.looks => None,
            None if self.followed => Some(self.renewed + FOLLOWED_LIFE),
            Some(_) | None => Some(self.renewed + REPORT_LIFE),
        }
    }

    /// Whether two members can have said the two reports, each one of them.
    fn differs_in_voice(&self, other: &Self) -> bool {
        self.second.is_some() || other.second.is_some() || self.via.id() != other.via.id()
    }

    /// Drops a voice; says whether one is left.
    fn lose_voice(&mut self, voice: MemberId) -> bool {
        self.second.take_if(|second| second.id() == voice);
        if self.via.id() != voice {
            return true;
        }
        let Some(rest) = self.second.take() else { return false };
        self.via = rest;
        true
    }
}

impl OfMember for HeldReport {
    fn member(&self) -> &MemberId {
        self.by.as_ref()
    }
}

impl OfMember for HeldContradiction {
    fn member(&self) -> &MemberId {
        self.by.as_ref()
    }
}

#[cfg(test)]
mod tests;
