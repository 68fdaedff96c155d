//! Check 7, for the promises M2, M4 and S2: each change of a member's state follows from the evidence shown with it, worked
//! out anew by the table of the design, and a run that a node told of is never followed by an older one.
//!
//! | state | what makes it |
//! |---|---|
//! | left | a leave of that run, by the member itself |
//! | suspect | a report; or, at the start, what was restored; or a card of a higher run that nobody vouches for yet |
//! | unreachable | two reports by different members, over different sessions, neither mostly deaf, that stood for 0.8 s; or one that stood for 2.75 s; or somebody's verdict with its reports, of one whom this node did not hold present, and is silent on too |
//! | alive | a tick heard by this node; one heard of, or a contradiction, newer than what the member was accused of, or any where all its accusers were mostly deaf; a withdrawal, of one who was suspect; a card of a higher run than before, and nothing else of one who left |
//!
//! It is another implementation than `membership`'s, on purpose. It cannot cry wolf: only what an event itself shows counts,
//! and of what was told before only the state and the ticks in it. Reports are timed by the node's own wall clock,
//! as they are shown; where that jumped, as the run says or the times that a node shows, their times are not judged for
//! 15 s, and where it was set back, one that is dated after what it led to is not judged either: it stood before that. Milliseconds are cut off, so 20 of them are forgiven.

use std::collections::BTreeMap;
use std::time::Duration;

use super::checker::Findings;
use super::facts::{Facts, NodeIndex};
use super::{Check, Driver};
use crate::base::{Incarnation, MemberId, Presence, Time};
use crate::node::api::{Event, EventKind, Evidence, EvidenceKind};

const PAIR_MS: u64 = 800;
const ALONE_MS: u64 = 2_750;
const FORGIVEN_MS: u64 = 20;
/// A clock that moved against the run's by more than this between two events was set.
const JUMP_MS_SIM: i64 = 5;
const JUMP_MS_PROCESSES: i64 = 1_000;
const UNTIMED: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub(super) struct Verdicts {
    by_node: BTreeMap<NodeIndex, Observer>,
}

/// What the present process of one machine told.
#[derive(Debug, Default)]
struct Observer {
    members: BTreeMap<MemberId, Told>,
    /// The run's clock less the node's, at its newest event, in milliseconds.
    offset: Option<i64>,
    jumped: Option<Time>,
    was_set_back: bool,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    state: Presence,
    incarnation: Incarnation,
    /// The other half of its run, where the evidence had it.
    boot: Option<u64>,
    /// The highest tick in the reports against it, where it stands accused.
    accused: Option<u64>,
    /// It stands accused only by those who were probably cut off themselves, and by nobody's whole verdict.
    is_by_deaf: bool,
}

/// A change of a member's state, as it was told.
struct Claim<'a> {
    observer: Option<MemberId>,
    subject: MemberId,
    state: Presence,
    incarnation: Incarnation,
    evidence: &'a [Evidence],
    at_ms: u64,
    is_timed: bool,
    /// The observer's clock was set back in its life: a report can be dated by what it showed before.
    was_set_back: bool,
}

impl Verdicts {
    /// A process began: it knows nothing yet.
    pub fn handle_started(&mut self, node: NodeIndex) {
        self.by_node.insert(node, Observer::default());
    }

    /// The wall clock of a node is set, by what a scenario did: forward and back again shows in nothing that it tells.
    pub fn handle_clock_jump(&mut self, facts: &Facts, node: NodeIndex, ms: i64) {
        let observer = self.by_node.entry(node).or_default();
        observer.jumped = Some(facts.now);
        observer.was_set_back |= ms < 0;
    }

    /// A node tells something.
    pub fn handle_told(&mut self, facts: &Facts, node: NodeIndex, event: &Event, found: &mut Findings) {
        let observer = self.by_node.entry(node).or_default();
        observer.read_clock(facts.driver, facts.now, event.at.0);
        let EventKind::Member { id, nick, state, incarnation, evidence } = &event.kind else { return };
        let claim = Claim {
            observer: facts.nodes[node].member,
            subject: *id,
            state: *state,
            incarnation: *incarnation,
            evidence,
            at_ms: event.at.0,
            is_timed: observer.jumped.is_none_or(|jumped| facts.now.since(jumped) > UNTIMED),
            was_set_back: observer.was_set_back,
        };
        let before = observer.members.get(id).copied();
        if facts.is_honest_node(node)
            && let Err(lack) = claim.judge(before, facts.has_liars())
        {
            let text = format!("{} calls {nick} {}, {lack}", facts.nodes[node].name, state.word());
            found.push(Check::Evidence, facts.line, text);
        }
        observer.members.insert(*id, claim.told(before));
    }

    /// The incarnation of a member that the present process of `node` told last.
    pub fn incarnation_told(&self, node: NodeIndex, member: MemberId) -> Option<Incarnation> {
        Some(self.by_node.get(&node)?.members.get(&member)?.incarnation)
    }
}

impl Observer {
    fn read_clock(&mut self, driver: Driver, at: Time, wall_ms: u64) {
        let run_ms = i64::try_from(at.as_micros() / 1_000).unwrap_or(i64::MAX);
        let offset = run_ms.saturating_sub(i64::try_from(wall_ms).unwrap_or(i64::MAX));
        let slack = match driver {
            Driver::Sim => JUMP_MS_SIM,
            Driver::Processes => JUMP_MS_PROCESSES,
        };
        if let Some(before) = self.offset.replace(offset)
            && offset.abs_diff(before) > slack.unsigned_abs()
        {
            self.jumped = Some(at);
            self.was_set_back |= offset > before;
        }
    }
}

impl Claim<'_> {
    /// What is remembered of it, after `before`.
    fn told(&self, before: Option<Told>) -> Told {
        let accused = match self.state {
            Presence::Suspect | Presence::Unreachable => {
                let reported = self.reports().filter_map(|report| report.tick).max();
                let earlier = before.filter(|before| before.incarnation == self.incarnation);
                reported.max(earlier.and_then(|before| before.accused))
            }
            Presence::Alive | Presence::Left => None,
        };
        let mut standing = self.standing().peekable();
        let is_taken_over = self.items(EvidenceKind::Report).any(|item| item.verdict);
        let is_by_deaf = !is_taken_over && standing.peek().is_some() && standing.all(|report| report.mostly_deaf);
        let same = before.filter(|before| before.incarnation == self.incarnation);
        let shown = self.evidence.iter().filter_map(|item| item.run).filter(|run| run.incarnation == self.incarnation);
        let boot = shown.map(|run| run.boot).chain(same.and_then(|before| before.boot)).max();
        Told { state: self.state, incarnation: self.incarnation, boot, accused, is_by_deaf }
    }

    fn judge(&self, before: Option<Told>, has_liars: bool) -> Result<(), String> {
        if before.is_some_and(|before| before.incarnation > self.incarnation) {
            return Err("in an older run than the one that it told before".to_owned());
        }
        let is_same = before.is_some_and(|told| (told.state, told.incarnation) == (self.state, self.incarnation));
        if is_same && self.has(EvidenceKind::Card) {
            // Another nick on its card.
            return Ok(());
        }
        if before.is_some_and(|told| told.state == Presence::Left && told.incarnation == self.incarnation)
            && self.state != Presence::Left
            && !self.has_risen(before)
        {
            return Err("in a run that it had left".to_owned());
        }
        let follows = match self.state {
            Presence::Left => self.items(EvidenceKind::Leave).any(|leave| leave.by == self.subject),
            Presence::Suspect => {
                let is_restored = before.is_none() && self.has(EvidenceKind::Restored);
                is_restored || self.standing().next().is_some() || self.has_risen(before)
            }
            Presence::Unreachable => self.is_condemned(before),
            Presence::Alive => self.is_cleared(before, has_liars) || self.has_risen(before),
        };
        let shown: Vec<&str> = self.evidence.iter().map(|item| item.detail.as_str()).collect();
        if follows { Ok(()) } else { Err(format!("which does not follow from what it shows: {shown:?}")) }
    }

    /// Items of a kind that speak of this run.
    fn items(&self, kind: EvidenceKind) -> impl Iterator<Item = &Evidence> {
        let fits = move |item: &&Evidence| {
            item.kind == kind && item.run.is_some_and(|run| run.incarnation == self.incarnation)
        };
        self.evidence.iter().filter(fits)
    }

    fn has(&self, kind: EvidenceKind) -> bool {
        self.items(kind).next().is_some()
    }

    fn reports(&self) -> impl Iterator<Item = &Evidence> {
        self.items(EvidenceKind::Report).filter(|report| !report.verdict && report.by != self.subject)
    }

    /// The reports that nothing shown beside them contradicts.
    fn standing(&self) -> impl Iterator<Item = &Evidence> {
        let newest = self.items(EvidenceKind::Contradiction).filter_map(|item| item.tick).max();
        self.reports().filter(move |report| report.tick >= newest)
    }

    /// A card of a higher run than the one before. Of whom a node only ever knew that they had left it told nothing before,
    /// and the card says itself that there was a run.
    fn has_risen(&self, before: Option<Told>) -> bool {
        let risen = |card: &Evidence| match before {
            Some(before) => {
                let boots = before.boot.zip(card.run).filter(|(_, run)| run.incarnation == before.incarnation);
                before.incarnation < self.incarnation || boots.is_some_and(|(boot, run)| boot < run.boot)
            }
            None => card.detail.starts_with(RESTARTED),
        };
        self.items(EvidenceKind::Card).any(risen)
    }

    fn is_condemned(&self, before: Option<Told>) -> bool {
        let is_dated_before_a_jump =
            |report: &Evidence| self.was_set_back && report.at.0 > self.at_ms.saturating_add(FORGIVEN_MS);
        let stood = |report: &Evidence, ms: u64| {
            !self.is_timed
                || is_dated_before_a_jump(report)
                || self.at_ms.saturating_sub(report.at.0) + FORGIVEN_MS >= ms
        };
        let standing: Vec<&Evidence> = self.standing().collect();
        let alone = standing.iter().any(|report| stood(report, ALONE_MS));
        let pair = standing.iter().enumerate().any(|(index, one)| {
            standing[index + 1..].iter().any(|other| {
                let are_two = one.by != other.by && voice(one) != voice(other);
                are_two && [one, other].iter().all(|report| !report.mostly_deaf && stood(report, PAIR_MS))
            })
        });
        // Whoever holds it present weighs the reports of a verdict, and no more.
        let is_held = before.is_some_and(|told| {
            told.incarnation == self.incarnation && matches!(told.state, Presence::Alive | Presence::Suspect)
        });
        let taken_over = !is_held
            && self.items(EvidenceKind::Report).filter(|item| item.verdict).any(|verdict| {
                verdict.by != self.subject
                    && Some(verdict.by) != self.observer
                    && self.reports().any(|report| report.tick <= verdict.tick)
                    && self.items(EvidenceKind::Silence).any(|silence| Some(silence.by) == self.observer)
            });
        alone || pair || taken_over
    }

    fn is_cleared(&self, before: Option<Told>, has_liars: bool) -> bool {
        let accused = before.filter(|before| before.incarnation == self.incarnation).and_then(|before| before.accused);
        let was_unreachable = before.is_some_and(|before| before.state == Presence::Unreachable);
        // Whom this node hears itself nobody talks it out of, whatever ticks others claim; but a verdict takes a newer
        // tick, unless a liar had claimed one that was never sent.
        let heard = self.items(EvidenceKind::Heard).any(|heard| {
            let is_own = Some(heard.by) == self.observer;
            (is_own && !was_unreachable) || has_liars || accused.is_none() || heard.tick > accused
        });
        // Who was cut off itself when it lost a member takes the word of one that was not, whatever tick that is at: of a
        // member that is not watched only old ones are known.
        let is_by_deaf = was_unreachable && before.is_some_and(|before| before.is_by_deaf);
        let contradicted = self.items(EvidenceKind::Contradiction).any(|item| item.tick > accused || is_by_deaf);
        heard || contradicted || (!was_unreachable && self.has(EvidenceKind::Withdrawal))
    }
}

/// How a node's card of a later run begins to say so.
const RESTARTED: &str = "restarted: ";

/// Over whose session it came.
fn voice(report: &Evidence) -> MemberId {
    report.via.unwrap_or(report.by)
}
