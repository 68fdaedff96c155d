//! Reports, contradictions, withdrawals, verdicts: what members say about each other. Owns what is believed of
//! it and what is passed on; leaves to `verdict` what it amounts to.
//!
//! Ticks and reports are not signed. A word counts as that of the member whose session it came over; no tick
//! is believed that its owner cannot have reached; and whom this node hears itself, nobody talks it out of.

use std::collections::BTreeSet;

use tracing::{debug, trace};

use super::Membership;
use super::entry::Entry;
use super::evidence::{Evidence, EvidenceKind};
use super::hearing::lag_ms;
use super::own::TICK_MAX;
use super::presence::VERDICT_REPORTS_MAX;
use super::standing::Standing;
use crate::base::limits::{RELAYS_PER_REPORT_MAX, REPORTS_PER_HEARTBEAT_MAX};
use crate::base::{MemberId, Presence, Run, Step, Time};
use crate::wire::{Heartbeat, MembershipFrame, OpenReport, Report};

/// A report at this tick names none, so it speaks against nobody of whom a tick is known.
pub(super) const NO_TICK: u64 = 0;

impl Membership {
    pub(super) fn handle_heartbeat(&mut self, step: &mut Step, peer: MemberId, heartbeat: Heartbeat) {
        let Heartbeat { tick, view, lag_ms: _, wants_answer, answer, reports } = heartbeat;
        if tick > TICK_MAX || reports.len() > REPORTS_PER_HEARTBEAT_MAX {
            trace!(?peer, tick, "implausible heartbeat");
            return;
        }
        self.own.accept();
        if let Some(entry) = self.members.get_mut(&peer).filter(|_| !answer) {
            entry.near_mut().link.beaten = Some(step.now.time);
            if entry.near().link.watched {
                entry.near_mut().link.beats.hear(step.now.time, tick);
            }
        }
        self.hear_tick(step, peer, tick);
        // One that a report overtook was sent before it, and does not take it back.
        let is_newest = self.members.get(&peer).is_some_and(|entry| !entry.near().link.path.overtaken);
        let complete = is_newest && reports.len() < REPORTS_PER_HEARTBEAT_MAX;
        if complete && let Some(before) = self.accusations.get(&peer) {
            let closed: Vec<_> =
                before.iter().copied().filter(|id| !reports.iter().any(|report| report.subject == *id)).collect();
            for subject in closed {
                self.take_back(step, peer, subject, "no longer reports it");
            }
        }
        for report in reports {
            self.handle_report(step, peer, peer, report);
        }
        if wants_answer && !answer {
            self.send_heartbeat(step, peer, true);
        }
        self.compare(step, peer, view);
    }

    /// `by` does not hear somebody, says `via`.
    pub(super) fn handle_report(&mut self, step: &mut Step, via: MemberId, by: MemberId, report: OpenReport) {
        self.take_report(step, via, by, report, Rides::Open);
    }

    fn take_report(&mut self, step: &mut Step, via: MemberId, by: MemberId, report: OpenReport, rides: Rides) {
        let now = step.now.time;
        let me = self.own.id();
        let OpenReport { subject, run, tick, .. } = report;
        if now < self.drained_at || by == me || by == subject || tick > TICK_MAX || !self.members.contains_key(&by) {
            return;
        }
        if subject == me {
            let answers = self.answer_for_self(step, via, run, tick);
            if answers && by != via && self.watch.open().contains(&by) {
                self.send_heartbeat(step, by, true);
            }
            return;
        }
        // Somebody who is gone from here speaks from beyond a partition, if at all: who is there is to be seen.
        if by != via && self.members.get(&by).is_some_and(Entry::is_gone) {
            self.doubt_on_hearsay(now, subject);
            return;
        }
        let is_followed = rides == Rides::Open
            && by == via
            && self.members.get(&by).is_some_and(|entry| entry.near().link.beats(now));
        let Some(entry) = self.members.get_mut(&subject) else {
            return;
        };
        if run != entry.run() || entry.has_left() {
            if by == via && run <= entry.run() {
                self.show_newest(now, subject, via);
            }
            return;
        }
        if entry.presence == Some(Presence::Unreachable) {
            return;
        }
        if !entry.near().link.is_accusable(now, tick) {
            self.answer_impossible(step, subject, by, via);
            return;
        }
        let newer = (entry.near().link.tick > tick).then_some(entry.near().link.tick);
        // Refuted by what is known here: its author did not hear of it, or it was overtaken on its way.
        if tick < entry.standing().tick && (newer.is_none() || !is_followed || tick == NO_TICK) {
            let (known, is_alive) = (entry.standing().tick, entry.presence == Some(Presence::Alive));
            let is_contested = tick != NO_TICK && entry.is_contested(now, tick);
            match newer {
                Some(tick) => self.contradict(step, subject, tick, by, via),
                None if is_alive && by == via && tick != NO_TICK => {
                    self.send(via, MembershipFrame::Contradiction { subject, run, tick: known, by: me });
                }
                None => {}
            }
            if is_contested {
                self.look_for_oneself(now, subject);
            }
            return;
        }
        entry.learn(tick, report.mostly_deaf);
        let known = entry.standing().tick;
        entry.near_mut().case.lift(me, known);
        let news = entry.near_mut().case.accuse(by, via, report, now, step.now.wall);
        if by == via && !is_followed {
            entry.near_mut().case.unfollow(by);
        }
        // Whoever can contradict answers it instead of passing it on.
        let relays = newer.is_none() && entry.count_relay(now, tick, news);
        self.disputed.insert(subject);
        // Quiet on somebody's word, and now another says the same as this node saw: join at once.
        let joins = entry.near().link.is_tested(now, self.poor_ear)
            && entry.near().link.is_vouched()
            && tick >= entry.standing().tick;
        if joins {
            entry.near_mut().link.trust_nobody();
        }
        if is_followed && entry.near().case.report(by).is_some() {
            self.accusations.entry(by).or_default().insert(subject);
        }
        if let Some(tick) = newer {
            self.contradict(step, subject, tick, by, via);
        }
        if relays {
            let frame = MembershipFrame::Report(Report { by, open: report });
            // The next heartbeat may be a second off, a tick to come would outlast it, and of one that shows this node none there is
            // none: but the member can get ahead of what is said of it, and whoever hears that says so.
            if self.watch.open().contains(&subject) {
                self.send(subject, frame.clone());
            }
            self.relay(now, &[via, by, subject], frame);
        }
        if joins {
            self.report(step, subject, 0);
        }
        self.review(step, subject);
    }

    /// Answers a report by `by` that came from `via`: this node has heard a newer tick itself.
    pub(super) fn contradict(&mut self, step: &Step, subject: MemberId, tick: u64, by: MemberId, via: MemberId) {
        let Some(run) = self.members.get(&subject).map(Entry::run) else {
            return;
        };
        debug!(?by, ?subject, tick, "contradicting a report");
        let me = self.own.id();
        let frame = MembershipFrame::Contradiction { subject, run, tick, by: me };
        self.send(via, frame.clone());
        // What is passed on has come far, and so must the answer.
        if by != via {
            if self.watch.open().contains(&by) {
                self.send(by, frame);
            }
            self.tell_on(step, &[via, by, subject], subject, tick, me);
        }
    }

    /// Others reported a member at the newest tick there was, when nobody could know better; now this node has heard `tick`, the next,
    /// and says so to them and to those who were told.
    pub(super) fn answer_refuted(&mut self, step: &Step, subject: MemberId, known: u64, tick: u64) {
        let me = self.own.id();
        let voices = self.answer_voices(subject, known, tick, me);
        if !voices.is_empty() {
            debug!(?subject, tick, voices = voices.len(), "contradicting what was reported before");
            let except: Vec<_> = voices.into_iter().chain([subject]).collect();
            self.tell_on(step, &except, subject, tick, me);
        }
    }

    /// `by` knows a tick that refutes reports at `known` or a newer one: those who said so here hear it, watched or not. Gives all
    /// whose word that was.
    fn answer_voices(&mut self, subject: MemberId, known: u64, tick: u64, by: MemberId) -> BTreeSet<MemberId> {
        let Some(entry) = self.members.get(&subject) else {
            return BTreeSet::new();
        };
        let (run, mut voices) = (entry.run(), entry.near().case.refuted_by(known, tick));
        voices.remove(&self.own.id());
        voices.remove(&by);
        for to in voices.intersection(self.watch.open()).copied().collect::<Vec<_>>() {
            self.send(to, MembershipFrame::Contradiction { subject, run, tick, by });
        }
        voices
    }

    /// `by` knows a newer tick, says `via`. Says whether that was taken for a word at all.
    pub(super) fn handle_told(
        &mut self,
        step: &mut Step,
        subject: MemberId,
        run: Run,
        tick: u64,
        by: MemberId,
        via: MemberId,
    ) -> bool {
        let now = step.now.time;
        let me = self.own.id();
        if by == me || subject == me || tick == 0 || tick > TICK_MAX || !self.members.contains_key(&by) {
            return false;
        }
        let Some(entry) = self.members.get_mut(&subject) else {
            return false;
        };
        if entry.run() != run || entry.has_left() || !entry.near().link.is_plausible(now, tick) {
            return false;
        }
        let verdict = entry.standing();
        let newer = tick > verdict.tick;
        let refutes = entry.near().case.is_refuted_by(tick);
        // Whose silence nobody looks at has no link worth keeping: when that begins, it is counted from then on.
        if newer && let Some(near) = entry.nearby().filter(|near| near.link.is_observed()) {
            near.link.tell(now, tick);
        }
        entry.learn(tick, false);
        // Without an accusation the tick itself says all.
        let is_accused = entry.near().case.has_reports() || entry.near().suspected_tick.is_some();
        if is_accused {
            entry.near_mut().case.contradict(by, via, tick, now, step.now.wall);
            self.disputed.insert(subject);
        }
        let reported = entry.near().case.report(me).map(|held| held.report.tick);
        let adopts = entry.near().link.reporting && reported.is_some_and(|reported| tick > reported);
        if adopts {
            entry.near_mut().link.reporting = false;
            entry.near_mut().case.withdraw(me);
            self.reporting.remove(&subject);
        }
        if adopts || (newer && entry.near().link.takes_word(now)) {
            entry.near_mut().link.trust(now, by);
        }
        let tells = refutes || adopts || (newer && entry.presence != Some(Presence::Alive));
        let is_first = !refutes && !adopts && !is_accused && (entry.is_present() || entry.presence.is_none());
        let evidence =
            |kind, detail: &'static str| Evidence::new(kind, by, run, step.now.wall, detail).tick(tick).via(via);
        match entry.presence {
            None if newer => {
                let basis =
                    vec![entry.card_evidence(step.now.wall), evidence(EvidenceKind::Heard, "knows this tick of it")];
                self.revive(step, subject, basis);
                self.rely_on_asking(now, [by, via], subject);
            }
            Some(Presence::Unreachable) if newer => {
                let basis = vec![evidence(EvidenceKind::Contradiction, "knows a newer tick")];
                self.revive(step, subject, basis);
                self.rely_on(via, subject);
                self.rely_on_asking(now, [by, via], subject);
            }
            // Not heard since this node started, but somebody else hears it.
            Some(Presence::Suspect) if newer && entry.near().suspected_tick.is_none() => {
                let basis = vec![evidence(EvidenceKind::Heard, "knows this tick of it")];
                self.revive(step, subject, basis);
            }
            None | Some(Presence::Alive | Presence::Suspect | Presence::Unreachable | Presence::Left) => {
                if !entry.is_far() {
                    self.review(step, subject);
                }
            }
        }
        if adopts {
            debug!(?subject, ?by, tick, "adopting a newer tick; quiet");
        }
        let mut knowing = vec![via, by, subject];
        if refutes && newer {
            // Who said so may have its only session with this node.
            knowing.extend(self.answer_voices(subject, verdict.tick, tick, by));
        }
        if tells && is_first {
            self.tell_first(step, &knowing, subject, tick, by);
        } else if tells {
            self.tell_on(step, &knowing, subject, tick, by);
        } else {
            self.news.is_known(subject, tick, false, via);
        }
        true
    }

    /// Passes a tick on that changes what others hold: once for each, and so often in a second.
    pub(super) fn tell_on(&mut self, step: &Step, except: &[MemberId], subject: MemberId, tick: u64, by: MemberId) {
        if self.may_tell_on(step, subject, tick)
            && let Some(run) = self.members.get(&subject).map(Entry::run)
        {
            self.relay(step.now.time, except, MembershipFrame::Contradiction { subject, run, tick, by });
        }
    }

    /// The same for one of whom nobody says anything else: it can wait for other news.
    pub(super) fn tell_first(&mut self, step: &Step, knowing: &[MemberId], subject: MemberId, tick: u64, by: MemberId) {
        if self.may_tell_on(step, subject, tick) {
            self.announce(step, subject, false, Some(tick), by, knowing);
        }
    }

    fn may_tell_on(&mut self, step: &Step, subject: MemberId, tick: u64) -> bool {
        let Some(entry) = self.members.get_mut(&subject).filter(|entry| entry.told_on() < tick) else {
            return false;
        };
        // The first tick of a run is news once, and each run needs a card.
        let may = entry.told_on() == 0 || entry.near_mut().budget.spend_relay(step.now.time);
        if may {
            entry.set_told_on(tick);
        }
        may
    }

    /// `to` speaks of an older run of a member, or of one that left: shows it so.
    pub(super) fn show_newest(&mut self, now: Time, subject: MemberId, to: MemberId) {
        let Some(entry) = self.members.get_mut(&subject) else {
            return;
        };
        if !entry.near_mut().budget.has_items(now) {
            return;
        }
        entry.near_mut().budget.spend_items(now, 5);
        let (frame, leave) = (entry.shown(), entry.leave_frame());
        self.send(to, frame);
        if let Some(leave) = leave {
            self.send(to, leave);
        }
    }

    pub(super) fn handle_withdrawal(&mut self, step: &mut Step, via: MemberId, subject: MemberId, run: Run, tick: u64) {
        if self.members.get(&subject).is_none_or(|entry| entry.run() != run) {
            return;
        }
        self.take_back(step, via, subject, "hears it again");
        self.handle_told(step, subject, run, tick, via, via);
    }

    fn take_back(&mut self, step: &mut Step, by: MemberId, subject: MemberId, detail: &'static str) {
        if let Some(accused) = self.accusations.get_mut(&by) {
            accused.remove(&subject);
            if accused.is_empty() {
                self.accusations.remove(&by);
            }
        }
        let Some(entry) = self.members.get_mut(&subject) else {
            return;
        };
        if entry.nearby().is_some_and(|near| near.case.withdraw(by)) {
            let evidence = Evidence::new(EvidenceKind::Withdrawal, by, entry.run(), step.now.wall, detail);
            entry.note_withdrawal(evidence.tick(entry.standing().tick));
            self.review(step, subject);
        }
    }

    /// A verdict that others came to. It is taken over by whoever has nothing of its own to say about the
    /// subject; others weigh the reports in it as hearsay.
    pub(super) fn handle_verdict(
        &mut self,
        step: &mut Step,
        via: MemberId,
        subject: MemberId,
        run: Run,
        tick: u64,
        reports: &[Report],
    ) {
        let now = step.now.time;
        let me = self.own.id();
        let fits = |report: &Report| {
            report.open.subject == subject && report.open.run == run && report.open.tick <= tick && report.by != subject
        };
        if tick > TICK_MAX {
            return;
        }
        if subject == me {
            self.answer_for_self(step, via, run, tick);
            return;
        }
        if reports.is_empty() || reports.len() > VERDICT_REPORTS_MAX || !reports.iter().all(fits) {
            return;
        }
        let Some(entry) = self.members.get_mut(&subject) else {
            return;
        };
        if entry.run() != run || entry.has_left() {
            return;
        }
        if !entry.near().link.is_accusable(now, tick) {
            self.answer_impossible(step, subject, via, via);
            return;
        }
        if entry.standing().tick > tick {
            let (newest, is_alive) = (entry.standing().tick, entry.presence == Some(Presence::Alive));
            let is_contested = entry.is_present() && entry.is_contested(now, tick);
            // Who only suspects it gives no word for it.
            if is_alive {
                self.send(via, MembershipFrame::Contradiction { subject, run, tick: newest, by: me });
            }
            if is_contested {
                self.look_for_oneself(now, subject);
            }
            return;
        }
        if entry.near().link.is_live(now) {
            return;
        }
        if entry.standing() >= Standing::unreachable(run, tick) {
            return;
        }
        // It is gone already. That others lost it later is no event, and whoever holds it present is told when views are compared.
        if entry.presence == Some(Presence::Unreachable) {
            entry.stand(entry.standing().merge(Standing::unreachable(run, tick)));
            return;
        }
        // Whoever holds it present weighs what the verdict rests on; others have nothing to set against it.
        if entry.is_present() {
            for report in reports {
                self.take_report(step, via, report.by, report.open, Rides::Closed);
            }
            return;
        }
        let wall = step.now.wall;
        let mut basis = vec![Evidence::verdict(via, run, tick, wall), entry.silence_evidence(me, step.now, "")];
        basis.extend(reports.iter().map(|report| Evidence::report(report.by, via, &report.open, wall)));
        entry.stand(entry.standing().merge(Standing::unreachable(run, tick)));
        debug!(?subject, ?via, tick, "taking over a verdict");
        self.condemn(step, subject, basis);
    }

    /// `to` says that this node is silent: it shows that it is not, so often in a second. Says whether it did.
    pub(super) fn answer_for_self(&mut self, step: &mut Step, to: MemberId, run: Run, tick: u64) -> bool {
        let now = step.now.time;
        let answers = run == self.own.run()
            && self.members.get_mut(&to).is_some_and(|entry| entry.near_mut().budget.spend_answer(now));
        if answers {
            self.own.outrun(now, tick);
            self.send_heartbeat(step, to, true);
        }
        answers
    }

    /// Reports a member: its link was silent for as long as it takes.
    pub(super) fn report(&mut self, step: &mut Step, subject: MemberId, probes: u32) {
        let now = step.now;
        let me = self.own.id();
        self.update_deaf(now.time);
        let mostly_deaf = self.deaf.is_deaf();
        let Some(entry) = self.members.get_mut(&subject) else {
            return;
        };
        let report = OpenReport {
            subject,
            run: entry.run(),
            tick: entry.standing().tick,
            probes_lost: u8::try_from(probes).unwrap_or(u8::MAX),
            lag_ms: lag_ms(step),
            mostly_deaf,
        };
        entry.near_mut().link.reporting = true;
        entry.near_mut().case.make_room_for(me);
        entry.near_mut().case.accuse(me, me, report, now.time, now.wall);
        self.disputed.insert(subject);
        debug!(?subject, tick = report.tick, probes, mostly_deaf, "reporting");
        // Of one that it does not watch it says so to itself only: those who do would know better.
        if !entry.near().link.watched {
            return;
        }
        let is_open = entry.near().link.is_open();
        self.reporting.insert(subject);
        let frame = MembershipFrame::Report(Report { by: me, open: report });
        for to in self.audience(now.time) {
            self.send(to, frame.clone());
        }
        if !is_open {
            self.connect(subject);
        }
    }

    /// The subject of this node's own report is heard again.
    pub(super) fn withdraw(&mut self, step: &mut Step, subject: MemberId) {
        let me = self.own.id();
        let was_told = self.reporting.remove(&subject);
        let Some(entry) = self.members.get_mut(&subject) else {
            return;
        };
        entry.near_mut().link.reporting = false;
        entry.near_mut().case.withdraw(me);
        let (run, tick) = (entry.run(), entry.standing().tick);
        let evidence = Evidence::new(EvidenceKind::Withdrawal, me, run, step.now.wall, "heard again").tick(tick);
        entry.note_withdrawal(evidence);
        debug!(?subject, tick, "withdrawing");
        if was_told {
            for to in self.audience(step.now.time) {
                self.send(to, MembershipFrame::Withdrawal { subject, run, tick });
            }
        }
    }
}

/// Reports at one tick of the present run that were passed on.
#[derive(Clone, Copy, Debug)]
pub struct Relayed {
    pub tick: u64,
    pub count: u8,
}

/// How a report comes here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rides {
    /// Its author has it open: it rides each of its heartbeats, and one without it takes it back, unless it was overtaken.
    Open,
    /// It led to a verdict, after which it rides no longer: heartbeats without it take nothing back.
    Closed,
}

impl Entry {
    /// Whether a report at `tick` is passed on: the first two are.
    fn count_relay(&mut self, now: Time, tick: u64, news: bool) -> bool {
        let known = self.near().relayed;
        if known.tick < tick {
            self.near_mut().relayed = Relayed { tick, count: 0 };
        } else if known.tick > tick || known.count >= RELAYS_PER_REPORT_MAX {
            return false;
        }
        let relays = news && self.near_mut().budget.spend_relay(now);
        if relays {
            self.near_mut().relayed.count += 1;
        }
        relays
    }
}
