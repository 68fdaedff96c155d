//! One other member, as it is remembered here: its card, how far it got, the link to it, the case against it.
//! Owns the parts and how they show; decides nothing and sends nothing.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use super::Member;
use super::budget::Budget;
use super::detector::Link;
use super::ear::Ear;
use super::evidence::{Basis, Evidence, EvidenceKind};
use super::reports::Relayed;
use super::standing::Standing;
use super::verdict::{Case, Hearing, Ruling};
use super::view::Shown;
use crate::base::{ByMember, DEGRADED_LOSS, EventNumber, MemberId, Now, OfMember, Presence, Run, Seldom, Time, Wall};
use crate::wire::{Card, HeldMember, Leave, Signed};

/// As long as a silence lasts, beside the time when it was noticed.
const SO_FAR: &str = " by now";
/// Why it may be silent and there.
const EXPLAINED: &str = " by now, which may be what is lost on the way here";
/// Items of evidence shown for one member.
const EVIDENCE_MAX: usize = 24;

/// A member. Most members of a large room are known by hearsay only, and this is all that is kept of them.
#[derive(Clone, Debug)]
pub struct Entry {
    pub card: Signed<Card>,
    rest: Rest,
    /// How far it got in its card's run; see [`Standing`].
    tick: u64,
    left: bool,
    unreachable: bool,
    /// `None` for a member known by its card only.
    pub presence: Option<Presence>,
    /// It counts among those who watch each other.
    pub seated: bool,
    /// The newest tick that was told on, or the highest that fits.
    told_on: u32,
    /// When it came to its presence, and the event that told so.
    pub since: Wall,
    told: Option<NonZeroU64>,
}

const _: () = assert!(size_of::<Entry>() <= 64, "there is one for each pair of members of a room");

/// What is kept beside it: of one with a link, a case, or a past all that belongs to these; else what its presence rests on.
#[derive(Clone, Debug)]
enum Rest {
    Far(Basis),
    Near(Box<Near>),
}

/// What is kept of a member with which this node has, or had, to do itself.
#[derive(Clone, Debug)]
pub struct Near {
    /// What its presence rests on.
    basis: Basis,
    pub leave: Option<Signed<Leave>>,
    pub link: Seldom<Link>,
    pub case: Case,
    /// The highest tick that the reports name for which it is suspect: a newer one clears it. `None` when it is
    /// suspect because nothing was heard of it yet.
    pub suspected_tick: Option<u64>,
    /// Reports that were taken back since it is suspect.
    pub withdrawals: Vec<Evidence>,
    pub relayed: Relayed,
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

/// Of a member with which this node has nothing to do.
static FAR: Near = Near::new();

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

impl Near {
    const fn new() -> Self {
        Self {
            basis: Basis::Nothing,
            leave: None,
            link: Seldom::resting(),
            case: Case::new(),
            suspected_tick: None,
            withdrawals: Vec::new(),
            relayed: Relayed { tick: 0, count: 0 },
            unspread: false,
            before_deaf: None,
            lost_deaf: None,
            gone: None,
            address: None,
            close_at: None,
            report_until: None,
            exchange: Exchange { mismatches: 0, met: false, returned: false, seen: (0, 0), again_at: Time::ZERO },
            budget: Budget::full(),
        }
    }

    /// Whether nothing is lost by forgetting it but what was relayed of a case that is over.
    fn is_idle(&self, now: Time) -> bool {
        self.link.is_unused()
            && self.case.is_empty()
            && self.exchange.mismatches == 0
            && !(self.exchange.met || self.exchange.returned || self.unspread)
            && self.withdrawals.is_empty()
            && self.leave.is_none()
            && self.gone.is_none()
            && self.address.is_none()
            && self.suspected_tick.or(self.before_deaf).or(self.lost_deaf).is_none()
            && self.close_at.or(self.report_until).is_none()
            && !self.budget.is_touched(now)
    }
}

impl Entry {
    #[must_use]
    pub fn new(card: Signed<Card>, since: Wall) -> Self {
        Self {
            card,
            rest: Rest::Far(Basis::Nothing),
            tick: 0,
            left: false,
            unreachable: false,
            presence: None,
            seated: false,
            told_on: 0,
            since,
            told: None,
        }
    }

    /// What this node has to do with it; all of it at rest where that is nothing.
    #[must_use]
    pub fn near(&self) -> &Near {
        match &self.rest {
            Rest::Far(_) => &FAR,
            Rest::Near(near) => near,
        }
    }

    /// The same, to be changed; kept from now on, until [`Entry::rest`].
    pub fn near_mut(&mut self) -> &mut Near {
        if let Rest::Far(basis) = &mut self.rest {
            let basis = std::mem::take(basis);
            self.rest = Rest::Near(Box::new(Near { basis, ..Near::new() }));
        }
        self.nearby().expect("it was just made")
    }

    /// The same, where there is something.
    pub fn nearby(&mut self) -> Option<&mut Near> {
        match &mut self.rest {
            Rest::Far(_) => None,
            Rest::Near(near) => Some(near),
        }
    }

    /// Keeps nothing more than any member is worth, if there is nothing more to keep.
    pub fn rest(&mut self, now: Time) {
        let Some(near) = self.nearby() else { return };
        if near.link.is_unused() {
            near.link.rest();
        }
        if near.is_idle(now) {
            self.rest = Rest::Far(std::mem::take(&mut near.basis));
        }
    }

    /// Whether this node has nothing to do with it.
    #[must_use]
    pub fn is_far(&self) -> bool {
        matches!(self.rest, Rest::Far(_))
    }

    /// The newest tick that was told on; zero while none was.
    #[must_use]
    pub fn told_on(&self) -> u64 {
        self.told_on.into()
    }

    pub fn set_told_on(&mut self, tick: u64) {
        self.told_on = u32::try_from(tick).unwrap_or(u32::MAX);
    }

    /// How far it got.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing { run: self.run(), left: self.left, tick: self.tick, unreachable: self.unreachable }
    }

    /// Puts it where `standing` says. The run is that of its card, always.
    pub fn stand(&mut self, standing: Standing) {
        debug_assert_eq!(standing.run, self.run(), "a standing is one of the card's run");
        self.left = standing.left;
        self.tick = standing.tick;
        self.unreachable = standing.unreachable;
    }

    /// The event that told where it stands.
    #[must_use]
    pub fn told(&self) -> Option<EventNumber> {
        self.told.map(NonZeroU64::get)
    }

    pub fn set_told(&mut self, n: EventNumber) {
        self.told = NonZeroU64::new(n);
    }

    /// Puts it where it stands from now on.
    pub fn place(&mut self, presence: Presence, since: Wall, basis: Vec<Evidence>) {
        self.presence = Some(presence);
        self.since = since;
        self.set_basis(basis);
    }

    /// What its presence rests on.
    #[must_use]
    pub fn basis(&self) -> Vec<Evidence> {
        let basis = match &self.rest {
            Rest::Far(basis) => basis,
            Rest::Near(near) => &near.basis,
        };
        basis.items(self.card.value(), self.since)
    }

    fn set_basis(&mut self, items: Vec<Evidence>) {
        let basis = Basis::of(self.card.value(), self.since, items);
        match &mut self.rest {
            Rest::Far(held) => *held = basis,
            Rest::Near(near) => near.basis = basis,
        }
    }

    #[must_use]
    pub fn id(&self) -> MemberId {
        self.card.value().member
    }

    #[must_use]
    pub fn run(&self) -> Run {
        self.card.value().run
    }

    /// Takes a newer card. One of a higher run begins that run: what was known of the older one is without meaning.
    pub fn take_card(&mut self, card: Signed<Card>, now: Time) {
        let begins = card.value().run > self.run();
        // It goes on to rest on what it rested on, which may be the older card.
        let basis = self.basis();
        self.card = card;
        self.set_basis(basis);
        if !begins {
            return;
        }
        self.stand(Standing::new(self.run()));
        self.told_on = 0;
        if let Some(near) = self.nearby() {
            let watched = near.link.watched;
            *near = Near {
                basis: std::mem::take(&mut near.basis),
                link: Link::new(now).into(),
                gone: near.gone,
                address: near.address,
                unspread: near.unspread,
                exchange: Exchange { met: false, mismatches: 0, ..near.exchange },
                budget: near.budget,
                ..Near::new()
            };
            near.link.watched = watched;
        }
    }

    /// Takes a tick that somebody knows; `is_deaf` says that it was probably cut off itself.
    pub fn learn(&mut self, tick: u64, is_deaf: bool) {
        let known = self.tick;
        if tick > known && is_deaf {
            let near = self.near_mut();
            near.before_deaf = near.before_deaf.or(Some(known));
        } else if tick > known
            && let Some(near) = self.nearby()
        {
            near.before_deaf = None;
        }
        self.stand(self.standing().merge(Standing::alive(self.run(), tick)));
    }

    /// Takes back a verdict of those who were cut off, and what they said: somebody who was not holds it present.
    pub fn reinstate(&mut self, tick: u64) {
        self.stand(Standing::alive(self.run(), tick));
    }

    /// Whether a word for `tick` takes back the verdict on it, old as that tick may be.
    #[must_use]
    pub fn is_reinstated_by(&self, tick: u64) -> bool {
        self.presence == Some(Presence::Unreachable) && self.near().lost_deaf.is_some_and(|known| tick >= known)
    }

    /// Whether it is suspect although nothing stands against it any more, and nobody gave a reason to take that back.
    #[must_use]
    pub fn is_doubted_without_reason(&self) -> bool {
        let is_open = self.near().link.is_observed() || self.near().case.has_reports();
        self.presence == Some(Presence::Suspect) && self.tick > 0 && !is_open
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
        self.presence == Some(Presence::Suspect) && self.tick == 0 && !self.near().link.watched
    }

    /// What the rules make of the case against it at a node that hears like `ear`.
    pub fn rule(&mut self, now: Time, wall: Wall, ear: &Ear) -> Ruling {
        let tick = self.tick;
        self.nearby().map_or(Ruling::Clear, |near| {
            let (link, case) = (&near.link, &mut near.case);
            let own = case.report(ear.me).is_some().then(|| link.own_voice(ear));
            let heard = link.heard.map(|(at, _)| at);
            case.rule(now, wall, Hearing { live: link.is_live(now), heard, tick: tick.max(link.tick), own })
        })
    }

    /// What of it shows in the view.
    #[must_use]
    pub fn shown_in_view(&self) -> Shown {
        let card = self.card.value();
        match self.presence {
            Some(Presence::Alive | Presence::Suspect) => Shown::Present(card.run, card.version),
            Some(Presence::Left) => Shown::Left(card.run),
            Some(Presence::Unreachable) | None => Shown::Nothing,
        }
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
            left: self.left,
            unreachable: self.unreachable,
            tick: if is_suspect { 0 } else { self.tick },
        }
    }

    /// What to say of its presence beside its card: the newest tick, if it is held present.
    #[must_use]
    pub fn present_tick(&self) -> Option<u64> {
        (self.presence == Some(Presence::Alive)).then_some(self.tick)
    }

    /// Where to dial it, best first: where it was last met, then where it says it is.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses: Vec<_> = self.near().address.into_iter().collect();
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
    pub fn show(&self, ear: &Ear, now: Now) -> Option<Member> {
        let presence = self.presence?;
        let card = self.card.value();
        Some(Member {
            id: card.member,
            nick: card.nick.clone(),
            run: card.run,
            presence,
            since: self.since,
            told: self.told(),
            heard: self.near().link.heard.map(|(time, _)| time),
            degraded: self.is_degraded(now.time),
            addresses: self.addresses(),
            evidence: self.evidence(ear, now),
        })
    }

    /// Kept alive by one voice only, contradicted, or losing more than a fifth.
    fn is_degraded(&self, now: Time) -> bool {
        if !self.is_present() {
            return false;
        }
        let path = self.near().link.path;
        let is_direct = self.near().link.is_open() && self.near().link.watched;
        let lossy = is_direct && path.loss_in.max(path.loss_out) > Some(DEGRADED_LOSS);
        lossy || self.near().case.has_reports() || self.near().link.is_vouched() || self.near().link.is_missed(now)
    }

    /// What its presence rests on, and what stands for and against it now.
    fn evidence(&self, ear: &Ear, now: Now) -> Vec<Evidence> {
        let me = ear.me;
        let mut items = self.basis();
        self.show_withdrawals(&mut items);
        // Others' word brought it back, and stays the reason for the time since which it is alive, also once it is heard here.
        if self.presence == Some(Presence::Alive) {
            for item in &mut items {
                item.brought_back = matches!(item.kind, EvidenceKind::Contradiction | EvidenceKind::Withdrawal);
            }
        }
        let mut add = |item: Evidence| add_once(&mut items, item);
        if self.has_left() {
            items.truncate(EVIDENCE_MAX);
            return items;
        }
        if let Some(heard) = self.heard_evidence(me) {
            add(heard);
        }
        if self.is_present() && self.near().link.is_missed(now.time) {
            let is_explained = self.near().link.is_explained(now.time, ear.poor);
            add(self.silence_evidence(me, now, if is_explained { EXPLAINED } else { SO_FAR }));
        }
        for item in self.near().case.report_evidence(false) {
            add(item);
        }
        for item in self.near().case.contradiction_evidence(self.run(), now.time, 0) {
            add(item);
        }
        for (by, said) in self.near().link.contradictors(now.time) {
            let held = Evidence::new(
                EvidenceKind::Contradiction,
                by,
                self.run(),
                ago(now, now.time.since(said)),
                "its word keeps this node from reporting it",
            );
            let is_said = |other: &Evidence| other.kind == EvidenceKind::Contradiction && !other.brought_back;
            if !items.iter().any(|other| is_said(other) && other.by == by) {
                items.push(held);
            }
        }
        items.truncate(EVIDENCE_MAX);
        items
    }

    /// When it was last heard here, in this run.
    #[must_use]
    pub fn heard_evidence(&self, me: MemberId) -> Option<Evidence> {
        let (_, wall) = self.near().link.heard?;
        let heard = Evidence::new(EvidenceKind::Heard, me, self.run(), wall, "heard on this node's own link");
        Some(if self.near().link.tick > 0 { heard.tick(self.near().link.tick) } else { heard })
    }

    /// How long it has been silent here, and since when that was too long.
    #[must_use]
    pub fn silence_evidence(&self, me: MemberId, now: Now, because: &str) -> Evidence {
        let words = match self.near().link.heard {
            Some((at, _)) => format!("silent for {}{because}", seconds(now.time.since(at))),
            None => format!("not heard by this node in this run{because}"),
        };
        // Whose silence nobody looked at, that is noticed now.
        let link = &self.near().link;
        let noticed = if link.is_observed() { ago(now, link.missed_for(now.time)) } else { now.wall };
        Evidence::new(EvidenceKind::Silence, me, self.run(), noticed, words).tick(self.tick)
    }
}

/// What this node's wall clock showed `span` ago.
pub(super) fn ago(now: Now, span: Duration) -> Wall {
    Wall(now.wall.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}

/// Adds an item that says something new. A report that was passed on says nothing beside its author's own, nor an
/// older one beside a newer one; of one that two passed on both stay, since they are two voices.
fn add_once(items: &mut Vec<Evidence>, item: Evidence) {
    if item.kind != EvidenceKind::Report {
        let key = |item: &Evidence| (item.kind, item.by, item.via, item.tick, item.brought_back);
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
pub type Members = ByMember<Entry>;

impl OfMember for Entry {
    fn member(&self) -> &MemberId {
        &self.card.value().member
    }
}

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
