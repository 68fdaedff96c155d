//! Subsystem 2: who takes part, and how this node knows. Owns cards, witnesses, reports, verdicts and the
//! mending of views. Refuses to know what a session or a message is: it is told what was opened and heard,
//! and says whom to dial, what to send and where each member stands.
//!
//! The shape: after each input drain [`Membership::poll_output`] to the end and ask
//! [`Membership::poll_timeout`] again. Reading order: `standing`, `witness`, `detector`, `verdict`; then what
//! acts on them: `presence`, `watch`, `cards`, `reports`, `question`, `contest`, `exchange`, `redial`.

mod budget;
mod cards;
mod contest;
mod deaf;
mod detector;
mod ear;
mod entry;
mod evidence;
mod exchange;
mod hearing;
mod life;
mod news;
mod outbox;
mod own;
mod presence;
mod probes;
mod question;
mod record;
mod redial;
mod relay;
mod reports;
mod stall;
mod standing;
#[cfg(test)]
mod tests;
mod verdict;
mod view;
mod wakes;
mod watch;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tracing::{debug, trace};

use self::deaf::Deaf;
use self::ear::Longest;
use self::entry::{Entry, Members};
pub use self::evidence::{Evidence, EvidenceKind};
use self::life::Leaving;
use self::news::News;
use self::outbox::Outbox;
pub use self::outbox::{Event, EventKind, Output};
use self::own::Own;
use self::question::Askers;
pub use self::record::{Record, Restored, RestoredMember};
use self::redial::{Join, Redial};
use self::relay::Relay;
use self::stall::Stalls;
use self::view::View;
use self::wakes::Wakes;
use self::watch::Watch;
use crate::base::limits::{FORGOTTEN_MAX, MEMBERS_MAX};
use crate::base::{
    EventNumber, MemberId, Now, Path, PerMille, Presence, Rng, RoomId, Run, Step, StoreFailed, Time, Wall,
};
use crate::crypto::Identity;
use crate::wire::{Card, MembershipFrame, Signed};

/// What a membership is made of.
pub struct Settings {
    pub identity: Identity,
    pub room: RoomId,
    /// Keeps to `text::check_nick`.
    pub nick: String,
    /// Where this node can be reached, as far as it knows itself: the bound address, or its interfaces'.
    pub addresses: Vec<SocketAddr>,
    /// 8 random bytes, drawn when the process started.
    pub boot: u64,
    pub rng: Rng,
}

/// A member as this node sees it now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub id: MemberId,
    pub nick: String,
    pub run: Run,
    pub presence: Presence,
    /// Since when it stands there, by this node's clock, and the event that told so.
    pub since: Wall,
    pub told: Option<EventNumber>,
    /// When its last authentic datagram of this run came, on whatever session; `None` for this node itself.
    pub heard: Option<Time>,
    /// Contradicted, kept alive by somebody else's word, or losing more than a fifth of its datagrams.
    pub degraded: bool,
    /// Where to find it, best first.
    pub addresses: Vec<SocketAddr>,
    /// What its presence rests on, and what stands for and against it now.
    pub evidence: Vec<Evidence>,
}

/// The membership of one node.
pub struct Membership {
    own: Own,
    started: Wall,
    members: Members,
    /// The highest run of those who were forgotten.
    forgotten: BTreeMap<MemberId, Run>,
    watch: Watch,
    /// Whom this node reports, or did until a moment ago.
    reporting: BTreeSet<MemberId>,
    /// By reporter, whom it reports in person.
    accusations: BTreeMap<MemberId, BTreeSet<MemberId>>,
    /// Who waits for a word about whom.
    askers: Askers,
    /// About whom something is said, or was lately.
    disputed: BTreeSet<MemberId>,
    /// Remembered from earlier runs of this node, or known by a card that nobody vouches for; and whom to ask next for those of them
    /// that it was not told of since.
    restored: BTreeSet<MemberId>,
    asking: exchange::Asking,
    view: View,
    /// What this node's own card contributes to it.
    own_print_shown: u64,
    wakes: Wakes,
    news: News,
    relay: Relay,
    losses: exchange::Losses,
    deaf: Deaf,
    /// What this node loses of what anybody sends, if that is much.
    poor_ear: Option<PerMille>,
    ended: Longest,
    stalls: Stalls,
    /// Until when reports are taken for what had piled up during a stall.
    drained_at: Time,
    /// When the stall began that what waits until then waited in.
    stalled_at: Time,
    join: Join,
    redial: Redial,
    /// Records that the disk refused are written again then.
    resave_at: Option<Time>,
    leaving: Option<Leaving>,
    /// Nothing is done any more: this node left, or found a copy of its home alive.
    over: bool,
    out: Outbox,
}

impl Membership {
    /// Restores what was known, as "not heard since I started", and begins a run. Nothing is sent before the
    /// run is durable.
    #[must_use]
    pub fn new(settings: Settings, restored: Restored, step: &mut Step) -> Self {
        let Settings { identity, room, nick, addresses, boot, rng } = settings;
        let saved = restored.run.map_or(0, |run| run.incarnation);
        let run = Run { incarnation: step.now.wall.as_secs().max(saved.saturating_add(1)), boot };
        let phase = Duration::from_micros(1 + rng.split("membership phase").below(1_000_000));
        let own = Own::new(identity, room, nick, addresses, run, step.now.time + phase);
        let own_id = own.id();
        let mut membership = Self {
            view: View::default(),
            own_print_shown: 0,
            own,
            started: step.now.wall,
            members: Members::with_capacity(restored.members.len()),
            forgotten: restored.forgotten,
            watch: Watch::new(own_id, step.now.time),
            reporting: BTreeSet::new(),
            accusations: BTreeMap::new(),
            askers: Askers::default(),
            disputed: BTreeSet::new(),
            restored: BTreeSet::new(),
            asking: exchange::Asking::from(step.now.time),
            wakes: Wakes::default(),
            news: News::default(),
            relay: Relay::default(),
            losses: exchange::Losses::default(),
            deaf: Deaf::default(),
            poor_ear: None,
            ended: Longest::default(),
            stalls: Stalls::new(step.now.time),
            drained_at: step.now.time,
            stalled_at: step.now.time,
            join: Join::default(),
            redial: Redial::new(step.now),
            resave_at: None,
            leaving: None,
            over: false,
            out: Outbox::default(),
        };
        membership.store_run();
        membership.spread_own_card(step.now.time);
        for (id, kept) in restored.members {
            membership.restore(step, id, kept);
        }
        membership
    }

    #[must_use]
    pub fn run(&self) -> Run {
        self.own.run()
    }

    #[must_use]
    pub fn card(&self) -> &Signed<Card> {
        self.own.card()
    }

    /// Dials `addresses` until a session with another member opens.
    pub fn join(&mut self, step: &mut Step, addresses: Vec<SocketAddr>) {
        if self.begin(step) {
            self.join.add(step.now.time, addresses);
            self.dial_join(step);
        }
    }

    /// Changes the nick on this node's card.
    pub fn set_nick(&mut self, step: &mut Step, nick: String) {
        if self.begin(step) && self.own.set_nick(nick) {
            self.spread_own_card(step.now.time);
        }
    }

    /// Says goodbye to all; [`EventKind::Left`] tells when it is said.
    pub fn leave(&mut self, step: &mut Step) {
        if !self.begin(step) || self.leaving.is_some() {
            return;
        }
        self.begin_goodbye(step);
    }

    /// A session with `peer` is open: its card came in the handshake, which proves that it is alive.
    pub fn handle_opened(
        &mut self,
        step: &mut Step,
        peer: MemberId,
        run: Run,
        card: Signed<Card>,
        address: SocketAddr,
        seen_at: SocketAddr,
    ) {
        if self.begin(step) && self.leaving.is_none() {
            debug!(?peer, %run, %address, cause = ?step.cause, "session opened");
            self.meet(step, peer, run, card, address, seen_at);
        }
    }

    /// The last session with this run of `peer` is gone.
    pub fn handle_closed(&mut self, step: &mut Step, peer: MemberId, run: Run) {
        if !self.begin(step) {
            return;
        }
        let Some(entry) = self.members.get_mut(&peer).filter(|entry| entry.run() == run) else {
            return;
        };
        entry.near_mut().exchange.met = false;
        self.close_link(step.now.time, peer);
        self.connect_if_wanted(step.now.time, peer);
        self.wakes.no_later_than(peer, step.now.time);
    }

    /// An authentic datagram of `peer` came: it is alive, although its tick is not known yet.
    pub fn handle_heard(&mut self, step: &mut Step, peer: MemberId, run: Run, path: Path) {
        if self.begin(step) {
            self.hear(step, peer, run, path);
        }
    }

    /// A frame of `peer` came. It may say anything; what it cannot know is not believed.
    pub fn handle_frame(&mut self, step: &mut Step, peer: MemberId, run: Run, frame: MembershipFrame) {
        if !self.begin(step) || self.leaving.is_some() {
            return;
        }
        let current = self.members.get(&peer).is_some_and(|entry| entry.run() == run && !entry.has_left());
        // A copy of this home, or a peer that knows an older card of ours than it should, speaks on a session
        // of a run that is over: only what is signed counts then.
        if !current && !matches!(frame, MembershipFrame::Cards(_)) {
            trace!(?peer, %run, "stale frame");
            return;
        }
        match frame {
            MembershipFrame::Heartbeat(heartbeat) => self.handle_heartbeat(step, peer, heartbeat),
            MembershipFrame::Probe => self.send_heartbeat(step, peer, true),
            MembershipFrame::Report(report) => self.handle_report(step, peer, report.by, report.open),
            MembershipFrame::Contradiction { subject, run, tick, by } => {
                self.handle_contradiction(step, peer, subject, run, tick, by);
            }
            MembershipFrame::Withdrawal { subject, run, tick } => {
                self.handle_withdrawal(step, peer, subject, run, tick);
            }
            MembershipFrame::Unreachable { subject, run, tick, reports } => {
                self.handle_verdict(step, peer, subject, run, tick, &reports);
            }
            MembershipFrame::Question { subject, run } => self.handle_question(step, peer, subject, run),
            MembershipFrame::Leaves(leaves) => self.handle_leaves(step, peer, &leaves),
            MembershipFrame::Cards(cards) => self.handle_cards(step, peer, &cards),
            MembershipFrame::Buckets(buckets) => self.handle_buckets(step, peer, &buckets),
            MembershipFrame::Bucket { index, after, done, answer, held } => {
                let stretch = exchange::Stretch { index, after, done };
                self.handle_bucket(step, peer, stretch, answer, &held);
            }
        }
    }

    /// A card of this node itself came from outside: a peer refused our run for it, or a process with our keys
    /// answered a dial.
    pub fn handle_own_card(&mut self, step: &mut Step, card: &Signed<Card>) {
        if self.begin(step) {
            self.meet_own(step, card.value().member, card.value().run, card.value().version);
        }
    }

    /// All records numbered up to `upto`, and not reported before, were stored or refused.
    pub fn handle_stored(&mut self, step: &mut Step, upto: u64, result: Result<(), StoreFailed>) {
        if !self.begin(step) {
            return;
        }
        self.settle_records(step, upto, result);
    }

    pub fn handle_timeout(&mut self, step: &mut Step) {
        if !self.begin(step) {
            return;
        }
        let now = step.now.time;
        if self.leaving.is_some() {
            self.say_goodbye(step);
            return;
        }
        if self.resave_at.is_some_and(|at| at <= now) {
            self.resave();
        }
        for id in self.wakes.take_due(now) {
            self.review(step, id);
        }
        if self.own.is_durable() {
            if self.own.beat_at <= now {
                self.beat(step);
            }
            self.link_up(step);
            self.tell_news(step);
            self.pass_on_due(now);
            self.sweep(step);
            self.dial_join(step);
            self.redial(step);
        }
        self.forget_old(step);
    }

    /// When [`Membership::handle_timeout`] is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.over {
            return None;
        }
        if let Some(leaving) = &self.leaving {
            return Some(leaving.at);
        }
        let mut due = self.wakes.next();
        let mut sooner = |at: Option<Time>| due = due.into_iter().chain(at).min();
        sooner(self.resave_at);
        sooner(Some(self.redial.forget_at));
        if self.own.is_durable() {
            sooner(Some(self.own.beat_at));
            sooner(self.join.at());
            sooner(self.redial.at);
            sooner(self.watch.due());
            sooner(self.news.due());
            sooner(self.relay.due());
        }
        due
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    /// All members, this node included, by id. Those of whom only a card is known are not shown.
    pub fn members(&self, now: Now) -> impl Iterator<Item = Member> {
        let ear = self.ear();
        let own = std::iter::once(self.own_member());
        let mut all: Vec<_> = own.chain(self.members.values().filter_map(|entry| entry.show(&ear, now))).collect();
        all.sort_by_key(|member| member.id);
        all.into_iter()
    }

    #[must_use]
    pub fn member(&self, now: Now, id: MemberId) -> Option<Member> {
        if id == self.own.id() {
            return Some(self.own_member());
        }
        self.members.get(&id)?.show(&self.ear(), now)
    }

    /// The ids and nicks of those whom [`Membership::members`] shows. Costs nothing beside: no evidence is put
    /// together.
    pub fn names(&self) -> impl Iterator<Item = (MemberId, &str)> {
        let own = std::iter::once((self.own.id(), self.own.card().value().nick.as_str()));
        let shown = self.members.iter().filter(|(_, entry)| entry.is_shown());
        own.chain(shown.map(|(&id, entry)| (id, entry.card.value().nick.as_str())))
    }

    /// Where the others may be, by their cards and by what was remembered of them.
    pub fn addresses(&self) -> impl Iterator<Item = (SocketAddr, MemberId)> {
        self.members.iter().flat_map(|(&id, entry)| entry.addresses().into_iter().map(move |address| (address, id)))
    }

    /// The state of those whom [`Membership::members`] shows, without the evidence, which costs more: of this node, then of
    /// the others by id.
    pub fn presences(&self) -> impl Iterator<Item = (MemberId, Run, Presence)> {
        let card = self.own.card().value();
        let own = std::iter::once((card.member, card.run, self.own_presence()));
        let others = self.members.iter().filter_map(|(&id, entry)| Some((id, entry.run(), entry.presence?)));
        own.chain(others)
    }

    /// The state of one of those whom [`Membership::members`] shows.
    #[must_use]
    pub fn presence(&self, id: MemberId) -> Option<Presence> {
        if id == self.own.id() {
            return Some(self.own_presence());
        }
        self.members.get(&id)?.presence
    }

    /// Whether [`Membership::member`] shows anybody.
    #[must_use]
    pub fn knows(&self, id: MemberId) -> bool {
        id == self.own.id() || self.members.get(&id).is_some_and(Entry::is_shown)
    }

    /// What a member calls itself, this node included.
    #[must_use]
    pub fn nick(&self, id: MemberId) -> Option<&str> {
        if id == self.own.id() {
            return Some(&self.own.card().value().nick);
        }
        self.members.get(&id).map(|entry| entry.card.value().nick.as_str())
    }

    /// Whether it is probably this node that is cut off: more than half of its links are silent.
    #[must_use]
    pub fn deaf(&self) -> bool {
        self.deaf.is_deaf()
    }

    /// What is held now, against the limits of `base::limits`: name, used, limit.
    pub fn gauges(&self) -> impl Iterator<Item = (&'static str, usize, usize)> + use<> {
        [("members", self.members.len(), MEMBERS_MAX), ("forgotten", self.forgotten.len(), FORGOTTEN_MAX)].into_iter()
    }

    /// The fingerprint of the view that this node holds: equal views have equal ones.
    #[must_use]
    pub fn view(&self) -> u64 {
        self.view.fingerprint()
    }

    /// Every input begins here: says whether there is anything left to do, and accounts for stalls.
    fn begin(&mut self, step: &mut Step) -> bool {
        if self.over {
            return false;
        }
        let stall = self.stalls.observe(step.now, self.poll_timeout());
        if stall > stall::LONG {
            self.recover_from_stall(step, stall);
        } else if !stall.is_zero() {
            for id in self.watch.observed() {
                if let Some(entry) = self.members.get_mut(&id) {
                    entry.near_mut().link.excuse(step.now.time, stall);
                }
            }
        }
        true
    }

    fn own_print(&self) -> u64 {
        let card = self.own.card().value();
        view::print(card.member, card.run, card.version)
    }

    fn own_member(&self) -> Member {
        let card = self.own.card().value();
        let detail = format!("this node; version {} of its card", card.version);
        Member {
            id: card.member,
            nick: card.nick.clone(),
            run: card.run,
            presence: self.own_presence(),
            since: self.started,
            told: None,
            heard: None,
            degraded: self.deaf.is_deaf(),
            addresses: card.addresses.clone(),
            evidence: vec![Evidence::new(EvidenceKind::Card, card.member, card.run, self.started, detail)],
        }
    }

    fn own_presence(&self) -> Presence {
        if self.leaving.is_some() { Presence::Left } else { Presence::Alive }
    }

    fn send(&mut self, to: MemberId, frame: MembershipFrame) {
        if self.own.is_durable() {
            self.out.push(Output::Send { to, frame });
        }
    }

    fn connect(&mut self, peer: MemberId) {
        if !self.own.is_durable() {
            return;
        }
        if let Some(addresses) = self.members.get(&peer).map(Entry::addresses) {
            self.out.push(Output::Connect { peer, addresses });
        }
    }

    /// Changes a member, keeping the view in step.
    fn change<T>(&mut self, id: MemberId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.members.get_mut(&id)?;
        let before = entry.shown_in_view();
        let result = change(entry);
        let now = entry.shown_in_view();
        if before != now {
            self.view.replace(id, before.print(id), now.print(id));
            self.view.replace_left(id, before.left_print(id), now.left_print(id));
        }
        Some(result)
    }
}
