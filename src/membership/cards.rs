//! Cards and leaves: who there is, by their own signature. Owns what is taken of them, kept of them and passed
//! on; a card alone makes nobody present.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, trace};

use super::Membership;
use super::entry::Entry;
use super::evidence::{Evidence, EvidenceKind};
use super::outbox::{EventKind, Output};
use super::own::{Met, TICK_MAX};
use super::record::Record;
use super::standing::Standing;
use crate::base::limits::{CARDS_PER_FRAME_MAX, FORGOTTEN_MAX, MEMBERS_MAX};
use crate::base::{MemberId, Presence, Run, Step, Time};
use crate::wire::{Card, Leave, MembershipFrame, ShownCard, Signed};

/// How long sessions with one that left stay open, for its last datagrams.
const CLOSE_AFTER: Duration = Duration::from_secs(2);

/// How a card came here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// Its owner showed it in a handshake: it is alive.
    Handshake,
    /// `via` passed it on. `present` is the newest tick it knows, if it holds the member present.
    Told { via: MemberId, present: Option<u64> },
}

impl Membership {
    /// A session with `peer` is open.
    pub(super) fn meet(
        &mut self,
        step: &mut Step,
        peer: MemberId,
        run: Run,
        card: Signed<Card>,
        address: SocketAddr,
        seen_at: SocketAddr,
    ) {
        if peer == self.own.id() {
            let (run, version) = (card.value().run, card.value().version);
            self.meet_own(step, peer, run, version);
            return;
        }
        if card.value().member != peer || card.value().room != self.own.room() {
            return;
        }
        let newest = self.members.get(&peer).map(Entry::run);
        if newest.is_some_and(|newest| run < newest) {
            debug!(?peer, %run, ?newest, "a session of an older run; showing its owner the newer card");
            if let Some(entry) = self.members.get(&peer) {
                let frame = entry.shown();
                self.send(peer, frame);
            }
            return;
        }
        self.take_card(step, card, Source::Handshake);
        let said = self.said_at(step.now);
        let Some(entry) = self.members.get_mut(&peer).filter(|entry| entry.run() == run && !entry.has_left()) else {
            return;
        };
        entry.near_mut().link.hear(step.now.time, said);
        entry.near_mut().exchange.met = false;
        if entry.near().address != Some(address) {
            entry.near_mut().address = Some(address);
            self.out.store(Record::Address { member: peer, address });
        }
        let reporting = entry.near().link.reporting;
        self.open_link(peer);
        if reporting {
            self.withdraw(step, peer);
        }
        self.undoubt(peer);
        self.join.done();
        if self.own.see(peer, seen_at) {
            self.spread_own_card(step.now.time);
        }
        self.send_heartbeat(step, peer, false);
        self.review(step, peer);
    }

    /// Shows a changed card of this node to everyone.
    pub(super) fn spread_own_card(&mut self, now: Time) {
        let me = self.own.id();
        let before = self.own_print_shown;
        self.own_print_shown = self.own_print();
        self.view.replace(me, before, self.own_print_shown);
        if !self.own.is_durable() {
            return;
        }
        let card = self.own.card().clone();
        debug!(version = card.value().version, "own card changed");
        let frame = MembershipFrame::Cards(vec![self.own_shown()]);
        self.out.push(Output::Card(card));
        for to in self.audience(now) {
            self.send(to, frame.clone());
        }
    }

    pub(super) fn own_shown(&self) -> ShownCard {
        ShownCard { card: Arc::clone(self.own.card().bytes()), present: Some(0) }
    }

    pub(super) fn handle_cards(&mut self, step: &mut Step, via: MemberId, cards: &[ShownCard]) {
        if cards.len() > CARDS_PER_FRAME_MAX {
            return;
        }
        for shown in cards {
            let present = shown.present.filter(|&tick| tick <= TICK_MAX);
            // Reading is cheap, the signature is not: what is not news is not verified.
            let Ok(claimed) = Signed::<Card>::open_trusted(&shown.card) else {
                return;
            };
            if !self.is_news(claimed.value(), present) {
                if let Some(tick) = present {
                    let card = claimed.value();
                    let has_card = self.members.get(&card.member).is_some_and(|entry| entry.card == claimed);
                    self.news.is_known(card.member, tick, has_card, via);
                    self.handle_told(step, claimed.value().member, claimed.value().run, tick, via, via);
                }
                continue;
            }
            let Ok(card) = Signed::<Card>::open_by(self.own.identity().suite(), &shown.card) else {
                debug!(?via, "a forged card; the rest of the frame is not read");
                return;
            };
            if card.value().member == self.own.id() {
                self.meet_own(step, card.value().member, card.value().run, card.value().version);
                if self.over {
                    return;
                }
            } else if self.members.contains_key(&via) {
                self.take_card(step, card, Source::Told { via, present });
            }
        }
    }

    fn is_news(&self, card: &Card, present: Option<u64>) -> bool {
        if card.room != self.own.room() {
            return false;
        }
        if card.member == self.own.id() {
            return self.own.meet(card.run, card.version) != Met::Known;
        }
        if self.forgotten.get(&card.member).is_some_and(|&run| card.run < run || (card.run == run && present.is_none()))
        {
            return false;
        }
        self.members.get(&card.member).is_none_or(|entry| card.rank() > entry.card.value().rank())
    }

    /// Takes a verified card of another member, if it is newer than what is known.
    fn take_card(&mut self, step: &mut Step, card: Signed<Card>, source: Source) {
        let now = step.now.time;
        let id = card.value().member;
        let present = match source {
            Source::Handshake => Some(0),
            Source::Told { present, .. } => present,
        };
        if !self.is_news(card.value(), present) {
            return;
        }
        let Some(entry) = self.members.get_mut(&id) else {
            self.take_stranger(step, card, source);
            return;
        };
        // What is not taken now is found by comparing views.
        if !entry.near_mut().budget.spend_card(now) && source != Source::Handshake {
            return;
        }
        let (old_run, old_nick) = (entry.run(), entry.card.value().nick.clone());
        let run = card.value().run;
        self.change(id, |entry| entry.take_card(card.clone(), now));
        let restarted = run > old_run;
        if restarted {
            debug!(?id, %run, before = %old_run, "restarted");
            self.renew_link(id);
            self.news.forget(id);
            self.end_older_run(now, id);
        }
        self.keep_card(id);
        self.pass_card_on(step, id, source, restarted);
        let Some(entry) = self.members.get(&id) else {
            return;
        };
        if restarted && entry.presence.is_none() && present.is_none() {
            self.connect_if_wanted(now, id);
            self.wakes.no_later_than(id, now);
        } else if restarted {
            let words = format!("restarted: a card of a higher run, before it was {old_run}");
            let mut basis = vec![Evidence::new(EvidenceKind::Card, id, entry.run(), step.now.wall, words)];
            // An older verdict or leave says nothing of this run; neither does a card that nobody vouches for.
            let presence = if present.is_some() || entry.presence == Some(Presence::Alive) {
                Presence::Alive
            } else {
                Presence::Suspect
            };
            if let Source::Told { via, .. } = source {
                basis[0].via = Some(via);
            }
            self.place(step, id, presence, basis);
            if presence == Presence::Suspect {
                self.restored.insert(id);
            }
            self.told_present(step, id, source);
            self.connect_if_wanted(now, id);
            self.wakes.no_later_than(id, now);
        } else if old_nick != entry.card.value().nick
            && let Some(presence) = entry.presence
        {
            let basis = Evidence::new(EvidenceKind::Card, id, run, step.now.wall, format!("was {old_nick} before"));
            let kind =
                EventKind::Member { id, nick: entry.card.value().nick.clone(), presence, run, evidence: vec![basis] };
            self.out.tell(step, entry.told(), kind);
        }
    }

    fn take_stranger(&mut self, step: &mut Step, card: Signed<Card>, source: Source) {
        let id = card.value().member;
        // Only who is there in person takes the place of one that is gone: names cost nothing to make up.
        let full = self.members.len() >= MEMBERS_MAX;
        if full && !(source == Source::Handshake && self.forget_one(step)) {
            debug!(?id, "the table of members is full");
            return;
        }
        self.forgotten.remove(&id);
        debug!(?id, nick = card.value().nick, ?source, "a new member");
        self.members.insert(Entry::new(card, step.now.wall));
        self.seat(step.now.time, id);
        self.keep_card(id);
        self.pass_card_on(step, id, source, true);
        self.told_present(step, id, source);
        self.look_soon(step.now.time, id);
    }

    /// Whoever passed the card on vouches for a tick, too.
    fn told_present(&mut self, step: &mut Step, id: MemberId, source: Source) {
        if let Source::Told { via, present: Some(tick) } = source
            && let Some(run) = self.members.get(&id).map(Entry::run)
        {
            self.handle_told(step, id, run, tick, via, via);
        }
    }

    fn keep_card(&mut self, id: MemberId) {
        let Some(entry) = self.members.get(&id) else {
            return;
        };
        self.out.store(entry.card_record());
        self.out.push(Output::Proven(entry.card.clone()));
    }

    /// Tells the others of a card. That of a run which is new here, met in person, is held back until its first
    /// tick, which comes within a round trip: with it the member is present to all who are told.
    fn pass_card_on(&mut self, step: &Step, id: MemberId, source: Source, is_new_run: bool) {
        let Some(entry) = self.members.get_mut(&id) else {
            return;
        };
        let (via, present) = match source {
            Source::Handshake if is_new_run => {
                entry.near_mut().unspread = true;
                return;
            }
            Source::Handshake => (id, entry.present_tick()),
            Source::Told { via, present } => (via, present),
        };
        self.announce(step, id, true, present, via, &[id, via]);
    }

    /// The first tick of a run that this node met in person.
    pub(super) fn spread(&mut self, step: &Step, id: MemberId, tick: u64) {
        self.announce(step, id, true, Some(tick), id, &[id]);
    }

    /// What a member said in an older run is void.
    fn end_older_run(&mut self, now: Time, id: MemberId) {
        self.reporting.remove(&id);
        self.accusations.remove(&id);
        self.own.forget(id);
        let wakes = &mut self.wakes;
        let members = &mut self.members;
        self.disputed.retain(|other| {
            let Some(entry) = members.get_mut(other) else {
                return false;
            };
            entry.near_mut().case.silence(id);
            if entry.near().case.has_reports() || entry.presence == Some(Presence::Suspect) {
                wakes.no_later_than(*other, now);
            }
            !entry.near().case.is_empty() || entry.is_doubted_without_reason()
        });
        self.lose_word(now, id);
    }

    pub(super) fn handle_leaves(&mut self, step: &mut Step, via: MemberId, leaves: &[Vec<u8>]) {
        if leaves.len() > CARDS_PER_FRAME_MAX {
            return;
        }
        for bytes in leaves {
            let Ok(claimed) = Signed::<Leave>::open_trusted(bytes) else {
                return;
            };
            let Leave { room, member, run } = *claimed.value();
            let own = member == self.own.id() && run >= self.own.run();
            let known = self.members.get(&member).is_some_and(|entry| entry.run() == run && !entry.has_left());
            if room != self.own.room() || !(own || known) {
                trace!(?via, ?member, "a leave that changes nothing");
                continue;
            }
            let Ok(leave) = Signed::<Leave>::open_by(self.own.identity().suite(), bytes) else {
                debug!(?via, "a forged leave; the rest of the frame is not read");
                return;
            };
            if own {
                // This process said no goodbye in this run, so another one did.
                self.meet_own(step, member, run, u32::MAX);
                if self.over {
                    return;
                }
            } else {
                self.take_leave(step, via, leave);
            }
        }
    }

    fn take_leave(&mut self, step: &mut Step, via: MemberId, leave: Signed<Leave>) {
        let Leave { member: id, run, .. } = *leave.value();
        let now = step.now.time;
        let frame = MembershipFrame::Leaves(vec![leave.bytes().to_vec()]);
        self.out.store(Record::Leave { member: id, run, bytes: leave.bytes().to_vec() });
        self.change(id, |entry| {
            entry.stand(Standing { left: true, ..entry.standing() });
            let near = entry.near_mut();
            near.leave = Some(leave);
            near.case.clear();
            near.link.reporting = false;
            near.link.trust_nobody();
            near.report_until = None;
            near.unspread = false;
            near.close_at = Some(now + CLOSE_AFTER);
        });
        self.reporting.remove(&id);
        let basis = Evidence::new(EvidenceKind::Leave, id, run, step.now.wall, "said goodbye").via(via);
        self.place(step, id, Presence::Left, vec![basis]);
        self.relay(now, &[id, via], frame);
        self.wakes.no_later_than(id, now + CLOSE_AFTER);
        self.schedule_redial(now);
    }

    /// Forgets the one that is gone for longest, to make room; says whether there was one.
    fn forget_one(&mut self, step: &Step) -> bool {
        let oldest = self.members.iter().filter_map(|(&id, entry)| Some((entry.near().gone?, id))).min();
        let Some((_, id)) = oldest else {
            return false;
        };
        self.forget(step, id);
        true
    }

    pub(super) fn forget(&mut self, step: &Step, id: MemberId) {
        let Some(run) = self.change(id, |entry| {
            entry.presence = None;
            entry.run()
        }) else {
            return;
        };
        debug!(?id, %run, "forgotten");
        let now = step.now.time;
        if self.members.get(&id).is_some_and(|entry| entry.seated) {
            self.unseat(now, id);
        }
        self.members.remove(&id);
        self.forget_link(id);
        self.forget_gone(id);
        self.news.forget(id);
        self.end_older_run(now, id);
        self.wakes.set(id, None);
        // The lowest run is the oldest, so it is the least worth remembering.
        if self.forgotten.len() >= FORGOTTEN_MAX
            && let Some((_, oldest)) = self.forgotten.iter().map(|(&id, &run)| (run, id)).min()
        {
            self.forgotten.remove(&oldest);
            self.out.store(Record::Erased { member: oldest });
        }
        self.forgotten.insert(id, run);
        self.out.store(Record::Forgotten { member: id, run });
        self.out.push(Output::Forget(id));
    }
}

impl Entry {
    /// The card, with what is held of its member.
    pub(super) fn shown(&self) -> MembershipFrame {
        MembershipFrame::Cards(vec![self.shown_card()])
    }

    pub(super) fn shown_card(&self) -> ShownCard {
        self.shown_with(self.present_tick())
    }

    pub(super) fn shown_with(&self, present: Option<u64>) -> ShownCard {
        ShownCard { card: Arc::clone(self.card.bytes()), present }
    }

    pub(super) fn leave_frame(&self) -> Option<MembershipFrame> {
        let leave = self.near().leave.as_ref()?;
        Some(MembershipFrame::Leaves(vec![leave.bytes().to_vec()]))
    }
}
