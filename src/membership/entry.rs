//! One other member, as it is remembered here: its card, how far it got, the link to it, the case against it.
//! Owns the parts and how they show; decides nothing and sends nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::budget::Budget;
use super::detector::Link;
use super::evidence::{Evidence, EvidenceKind};
use super::standing::Standing;
use super::verdict::{Case, Hearing};
use super::{Member, view};
use crate::base::{EventNumber, MemberId, Now, Presence, Run, Time, Wall};
use crate::wire::{Card, HeldMember, Leave, Report, Signed};

/// Items of evidence shown for one member.
const EVIDENCE_MAX: usize = 24;
/// Loss above this, either way, shows as degraded: 20 %.
const DEGRADED_LOSS_PER_MILLE: u16 = 200;

#[derive(Clone, Debug)]
pub struct Entry {
    pub card: Signed<Card>,
    pub leave: Option<Signed<Leave>>,
    /// Of the card's run, always.
    pub standing: Standing,
    /// `None` for a member known by its card only.
    pub presence: Option<Presence>,
    /// When it came to its presence, by both clocks, the event that told so, and what that rests on.
    pub since: Wall,
    pub placed: Time,
    pub told: Option<EventNumber>,
    pub basis: Vec<Evidence>,
    pub link: Link,
    pub case: Case,
    /// The highest tick that the reports name for which it is suspect: a newer one clears it. `None` when it is
    /// suspect because nothing was heard of it yet.
    pub suspected_tick: Option<u64>,
    /// Reports that were taken back since it is suspect.
    pub withdrawals: Vec<Evidence>,
    /// The reports that made it unreachable, for those who were not told.
    pub verdict: Vec<Report>,
    /// Reports relayed for (run, tick), and the newest tick that was told on.
    pub relayed: (Run, u64, u8),
    pub told_on: u64,
    /// It counts among those who watch each other.
    pub seated: bool,
    /// Its card came in a handshake, and is passed on with its first tick.
    pub unspread: bool,
    /// The newest tick known but for the words of members that were probably cut off, where those raised it.
    pub before_deaf: Option<u64>,
    /// It was lost when this node was probably cut off, by the word of such members only; and the newest tick that
    /// was known without them: whoever holds it present at that or a newer one is believed.
    pub lost_deaf: Option<u64>,
    /// By the wall, since when it is unreachable or has left; on disk too.
    pub gone: Option<Wall>,
    /// Where a session was last open.
    pub address: Option<SocketAddr>,
    /// When a session that it said goodbye on is closed.
    pub close_at: Option<Time>,
    /// Until when a report of this node's own rides its heartbeats although the verdict has come.
    pub report_until: Option<Time>,
    pub exchange: Exchange,
    pub budget: Budget,
}

/// How far the comparing of views with one peer is.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Heartbeats in a row whose fingerprint was another.
    pub mismatches: u8,
    /// A heartbeat came on this session.
    pub met: bool,
    /// It was gone, and views were not compared since it is back.
    pub returned: bool,
    /// Both fingerprints, this node's and the peer's, at the last one.
    pub seen: (u64, u64),
    /// Not to be begun again before.
    pub again_at: Time,
}

impl Entry {
    #[must_use]
    pub fn new(card: Signed<Card>, now: Now) -> Self {
        let run = card.value().run;
        Self {
            card,
            leave: None,
            standing: Standing::new(run),
            presence: None,
            since: now.wall,
            placed: now.time,
            told: None,
            basis: Vec::new(),
            link: Link::new(now.time),
            case: Case::default(),
            suspected_tick: None,
            withdrawals: Vec::new(),
            verdict: Vec::new(),
            relayed: (run, 0, 0),
            told_on: 0,
            seated: false,
            unspread: false,
            before_deaf: None,
            lost_deaf: None,
            gone: None,
            address: None,
            close_at: None,
            report_until: None,
            exchange: Exchange { mismatches: 0, met: false, returned: false, seen: (0, 0), again_at: now.time },
            budget: Budget::full(),
        }
    }

    #[must_use]
    pub fn id(&self) -> MemberId {
        self.card.value().member
    }

    #[must_use]
    pub fn run(&self) -> Run {
        self.standing.run
    }

    /// Begins a higher run: what was known of the older one is without meaning.
    pub fn begin_run(&mut self, now: Time) {
        let run = self.card.value().run;
        self.standing = self.standing.merge(Standing::new(run));
        self.leave = None;
        let watched = self.link.watched;
        self.link = Link::new(now);
        self.link.watched = watched;
        self.case.clear();
        self.suspected_tick = None;
        self.withdrawals.clear();
        self.verdict.clear();
        self.relayed = (run, 0, 0);
        self.told_on = 0;
        self.before_deaf = None;
        self.lost_deaf = None;
        self.close_at = None;
        self.report_until = None;
        self.exchange.met = false;
        self.exchange.mismatches = 0;
    }

    /// Takes a tick that somebody knows; `is_deaf` says that it was probably cut off itself.
    pub fn learn(&mut self, tick: u64, is_deaf: bool) {
        if tick > self.standing.tick {
            self.before_deaf = is_deaf.then(|| self.before_deaf.unwrap_or(self.standing.tick));
        }
        self.standing = self.standing.merge(Standing::alive(self.run(), tick));
    }

    /// Takes back a verdict of those who were cut off, and what they said: somebody who was not holds it present.
    pub fn reinstate(&mut self, tick: u64) {
        self.standing = Standing::alive(self.run(), tick);
    }

    /// Whether a word for `tick` takes back the verdict on it, old as that tick may be.
    #[must_use]
    pub fn is_reinstated_by(&self, tick: u64) -> bool {
        self.presence == Some(Presence::Unreachable) && self.lost_deaf.is_some_and(|known| tick >= known)
    }

    #[must_use]
    pub fn is_present(&self) -> bool {
        matches!(self.presence, Some(Presence::Alive | Presence::Suspect))
    }

    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.presence, Some(Presence::Unreachable | Presence::Left))
    }

    #[must_use]
    pub fn has_left(&self) -> bool {
        self.presence == Some(Presence::Left)
    }

    /// Whether it is restored, and nothing was heard of it since.
    #[must_use]
    pub fn is_unvouched(&self) -> bool {
        self.presence == Some(Presence::Suspect) && self.standing.tick == 0 && !self.link.watched
    }

    #[must_use]
    pub fn hearing(&self, now: Time) -> Hearing {
        Hearing { live: self.link.is_live(now), tick: self.standing.tick.max(self.link.tick) }
    }

    /// What it contributes to the fingerprint of the view; zero unless it is present.
    #[must_use]
    pub fn print(&self) -> u64 {
        let card = self.card.value();
        if self.is_present() { view::print(card.member, card.run, card.version) } else { 0 }
    }

    /// What it contributes to the buckets of the view beside the fingerprint; zero unless it left.
    #[must_use]
    pub fn left_print(&self) -> u64 {
        if self.has_left() { view::left_print(self.id(), self.run()) } else { 0 }
    }

    /// Its line in the comparing of views. A tick is a word for its presence, and who only suspects it gives none.
    #[must_use]
    pub fn held(&self) -> HeldMember {
        let card = self.card.value();
        let is_suspect = self.presence == Some(Presence::Suspect);
        HeldMember {
            member: card.member,
            run: card.run,
            version: card.version,
            left: self.standing.left,
            unreachable: self.standing.unreachable,
            tick: if is_suspect { 0 } else { self.standing.tick },
        }
    }

    /// What to say of its presence beside its card: the newest tick, if it is held present.
    #[must_use]
    pub fn present_tick(&self) -> Option<u64> {
        (self.presence == Some(Presence::Alive)).then_some(self.standing.tick)
    }

    /// Where to dial it, best first: where it was last met, then where it says it is.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses: Vec<_> = self.address.into_iter().collect();
        for &address in &self.card.value().addresses {
            if super::own::is_dialable(address) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Whether more than its card is known.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.presence.is_some()
    }

    /// The member as it is shown; `None` while only its card is known.
    #[must_use]
    pub fn show(&self, me: MemberId, now: Now) -> Option<Member> {
        let presence = self.presence?;
        let card = self.card.value();
        Some(Member {
            id: card.member,
            nick: card.nick.clone(),
            run: card.run,
            presence,
            since: self.since,
            told: self.told,
            heard: self.link.heard.map(|(time, _)| time),
            is_watched: self.link.watched,
            degraded: self.is_degraded(now.time),
            addresses: self.addresses(),
            evidence: self.evidence(me, now),
        })
    }

    /// Kept alive by one voice only, contradicted, or losing more than a fifth.
    fn is_degraded(&self, now: Time) -> bool {
        if !self.is_present() {
            return false;
        }
        let path = self.link.path;
        let is_direct = self.link.is_open() && self.link.watched;
        let lossy = is_direct && path.loss_in.max(path.loss_out).0 > DEGRADED_LOSS_PER_MILLE;
        lossy || self.case.has_reports() || !self.link.contradictors.is_empty() || self.link.is_missed(now)
    }

    /// What its presence rests on, and what stands for and against it now.
    fn evidence(&self, me: MemberId, now: Now) -> Vec<Evidence> {
        let mut items = self.basis.clone();
        // Others' word brought it back; that this node hears it itself since then is better.
        if self.presence == Some(Presence::Alive) && self.is_heard_since() {
            items.retain(|item| !matches!(item.kind, EvidenceKind::Contradiction | EvidenceKind::Withdrawal));
        }
        let mut add = |item: Evidence| add_once(&mut items, item);
        if self.has_left() {
            items.truncate(EVIDENCE_MAX);
            return items;
        }
        if let Some(heard) = self.heard_evidence(me) {
            add(heard);
        }
        if self.is_present() && self.link.is_missed(now.time) {
            add(self.silence_evidence(me, now));
        }
        for item in self.case.report_evidence(false) {
            add(item);
        }
        for item in self.case.contradiction_evidence(self.run(), now.time, 0) {
            add(item);
        }
        for &by in &self.link.contradictors {
            let held = Evidence::new(
                EvidenceKind::Contradiction,
                by,
                self.run(),
                self.since,
                "its word alone keeps this node from reporting it",
            );
            if !items.iter().any(|other| other.kind == EvidenceKind::Contradiction && other.by == by) {
                items.push(held.tick(self.standing.tick));
            }
        }
        items.truncate(EVIDENCE_MAX);
        items
    }

    /// Whether it was heard here after it came to stand where it does.
    fn is_heard_since(&self) -> bool {
        self.link.heard.is_some_and(|(_, wall)| wall > self.since)
    }

    /// When it was last heard here, in this run.
    #[must_use]
    pub fn heard_evidence(&self, me: MemberId) -> Option<Evidence> {
        let (_, wall) = self.link.heard?;
        let heard = Evidence::new(EvidenceKind::Heard, me, self.run(), wall, "heard on this node's own link");
        Some(if self.link.tick > 0 { heard.tick(self.link.tick) } else { heard })
    }

    /// How long it has been silent here.
    #[must_use]
    pub fn silence_evidence(&self, me: MemberId, now: Now) -> Evidence {
        let detail = match self.link.heard {
            Some((at, _)) => format!("silent for {}", seconds(now.time.since(at))),
            None => "not heard by this node in this run".to_owned(),
        };
        Evidence::new(EvidenceKind::Silence, me, self.run(), now.wall, detail).tick(self.standing.tick)
    }
}

/// Adds an item that says something new. A report that was passed on says nothing beside its author's own, nor an
/// older one beside a newer one; of one that two passed on both stay, since they are two voices.
fn add_once(items: &mut Vec<Evidence>, item: Evidence) {
    if item.kind != EvidenceKind::Report {
        let key = |item: &Evidence| (item.kind, item.by, item.via, item.tick);
        if !items.iter().any(|other| key(other) == key(&item)) {
            items.push(item);
        }
        return;
    }
    let of = |item: &Evidence| (item.kind, item.by, item.run, item.verdict);
    let rank = |item: &Evidence| (item.via.is_none(), item.tick);
    let best = items.iter().filter(|other| of(other) == of(&item)).map(rank).max();
    match best {
        Some(best) if rank(&item) < best => {}
        Some(best) if rank(&item) == best => {
            if !items.iter().any(|other| of(other) == of(&item) && other.via == item.via) {
                items.push(item);
            }
        }
        Some(_) => {
            items.retain(|other| of(other) != of(&item));
            items.push(item);
        }
        None => items.push(item),
    }
}

/// A span for people: `8.2 s`.
#[must_use]
pub fn seconds(span: Duration) -> String {
    format!("{}.{} s", span.as_secs(), span.subsec_millis() / 100)
}

/// All other members, by id.
pub type Members = BTreeMap<MemberId, Entry>;

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Run = Run { incarnation: 1, boot: 1 };

    fn id(n: u8) -> MemberId {
        MemberId([n; 32])
    }

    fn kept(said: &[(u8, u8, u64)]) -> Vec<(MemberId, Option<MemberId>, Option<u64>)> {
        let mut items = Vec::new();
        for &(by, via, tick) in said {
            let report = Evidence::new(EvidenceKind::Report, id(by), RUN, Wall(0), "").tick(tick).via(id(via));
            add_once(&mut items, report);
        }
        items.iter().map(|item| (item.by, item.via, item.tick)).collect()
    }

    #[test]
    fn each_reporter_is_named_once_and_by_its_own_word_where_there_is_one() {
        let direct = [(id(1), None, Some(5))];
        assert_eq!(kept(&[(1, 7, 5), (1, 1, 5)]), direct);
        assert_eq!(kept(&[(1, 1, 5), (1, 7, 5), (1, 8, 9)]), direct);
        assert_eq!(kept(&[(1, 1, 5), (1, 1, 8), (1, 1, 8)]), [(id(1), None, Some(8))]);
        assert_eq!(kept(&[(1, 7, 5), (1, 7, 8)]), [(id(1), Some(id(7)), Some(8))]);
    }

    #[test]
    fn two_that_passed_on_one_report_are_two_voices() {
        let voices = [(id(1), Some(id(7)), Some(5)), (id(1), Some(id(8)), Some(5))];
        assert_eq!(kept(&[(1, 7, 5), (1, 8, 5), (1, 7, 5)]), voices);
    }
}
