//! Where each member stands, and what moves it. Owns the transitions between alive, suspect, unreachable and
//! left: whatever is heard or said ends here. Reads no frame.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use super::Membership;
use super::detector::Look;
use super::entry::Entry;
use super::evidence::{Evidence, EvidenceKind};
use super::outbox::{EventKind, Output};
use super::record::{Record, RestoredMember};
use super::standing::Standing;
use super::verdict::Ruling;
use crate::base::{MemberId, Presence, Step, Time, Wall};
use crate::wire::{Card, Leave, MembershipFrame, Report, Signed};

/// How long a report rides on after the verdict, for those who have not come to it.
const REPORT_AFTER_VERDICT: Duration = Duration::from_secs(5);
/// Reports that are passed on with a verdict: it takes two.
pub(super) const VERDICT_REPORTS_MAX: usize = 4;
/// Withdrawals kept as evidence until the suspicion is settled.
const WITHDRAWALS_MAX: usize = 4;

impl Membership {
    /// Takes back what the disk kept of a member.
    pub(super) fn restore(&mut self, step: &mut Step, id: MemberId, kept: RestoredMember) {
        let Ok(card) = Signed::<Card>::open_trusted(&kept.card) else {
            debug!(?id, "a stored card does not read; skipped");
            return;
        };
        let value = card.value();
        if value.member != id || value.room != self.own.room() || id == self.own.id() {
            return;
        }
        let run = value.run;
        let mut entry = Entry::new(card.clone(), step.now.wall);
        let leave = kept
            .leave
            .filter(|&(left, _)| left == run)
            .and_then(|(_, bytes)| Signed::<Leave>::open_trusted(&bytes).ok());
        if kept.address.is_some() || kept.gone.is_some() || leave.is_some() {
            let near = entry.near_mut();
            near.address = kept.address;
            near.gone = kept.gone;
            near.leave = leave;
        }
        let (presence, basis) = if entry.near().leave.is_some() {
            let detail = "said goodbye, before this node started";
            (Presence::Left, Evidence::new(EvidenceKind::Leave, id, run, step.now.wall, detail))
        } else {
            (Presence::Suspect, Evidence::restored(card.value(), step.now.wall))
        };
        entry.stand(Standing { left: entry.near().leave.is_some(), ..entry.standing() });
        self.out.push(Output::Proven(card));
        self.members.insert(entry);
        self.place(step, id, presence, vec![basis]);
        if presence == Presence::Suspect {
            self.restored.insert(id);
        }
        self.look_soon(step.now.time, id);
    }

    /// Holds everybody alive who was restored, at the first tick of its card's run and by its own word for that, and tells no other member.
    /// Nobody gave that word: see [`crate::node::Node::presume`].
    pub fn presume(&mut self, step: &mut Step) {
        for id in std::mem::take(&mut self.restored) {
            let Some(entry) = self.members.get_mut(&id) else { continue };
            entry.learn(1, false);
            entry.set_told_on(1);
            let word = Evidence::known_tick(id, entry.run(), step.now.wall, 1);
            self.revive(step, id, vec![word]);
        }
    }

    /// Has a member looked at, if there is anything to look at.
    pub(super) fn look_soon(&mut self, now: Time, id: MemberId) {
        if self.members.get(&id).is_some_and(|entry| !entry.is_far()) {
            self.wakes.no_later_than(id, now);
        }
    }

    /// Looks at a member: its silence, the case against it, and when to look again.
    pub(super) fn review(&mut self, step: &mut Step, id: MemberId) {
        self.watch_link(step, id);
        self.judge(step, id);
        let now = step.now.time;
        if self.members.get(&id).is_some_and(|entry| entry.near().close_at.is_some_and(|at| at <= now)) {
            self.out.push(Output::Close(id));
            self.close_link(now, id);
            self.change(id, |entry| entry.near_mut().close_at = None);
        }
        let ear = self.ear();
        let Some(entry) = self.members.get_mut(&id) else {
            self.wakes.set(id, None);
            return;
        };
        if entry.near().case.is_empty() && !entry.is_doubted_without_reason() {
            self.disputed.remove(&id);
        }
        let mut due = entry.near().close_at;
        let mut sooner = |at: Option<Time>| due = due.into_iter().chain(at).min();
        sooner(entry.near().link.ask_at);
        if self.own.is_durable() {
            if entry.near().link.is_observed() {
                sooner(entry.near().link.next_look(now, self.poor_ear));
            }
            match entry.rule(now, step.now.wall, &ear) {
                Ruling::Suspect { until } => sooner(Some(until)),
                Ruling::Clear => sooner(entry.near().case.next_ruling(now, Some(entry.near().link.own_voice(&ear)))),
                Ruling::Unreachable { .. } => sooner(Some(now)),
            }
        }
        if entry.is_gone() {
            due = entry.near().close_at.into_iter().chain(entry.near().link.ask_at).min();
        }
        if due.is_none() {
            entry.rest(now);
        }
        // What is overdue was our own doing; a deadline in the past would look like a stall.
        self.wakes.set(id, due.map(|at| at.max(now)));
    }

    /// The detector: probes a silent link, and reports it once that was in vain.
    fn watch_link(&mut self, step: &mut Step, id: MemberId) {
        let now = step.now.time;
        let Some(entry) = self.members.get_mut(&id) else {
            return;
        };
        if entry.near().link.ask_at.is_some_and(|at| at <= now) {
            entry.near_mut().link.ask_at = None;
            if entry.presence != Some(Presence::Alive) && !entry.has_left() && entry.near().link.is_open() {
                self.send(id, MembershipFrame::Probe);
            }
        }
        // Before the run is durable nobody was asked, so nobody can have failed to answer.
        if !self.own.is_durable() {
            return;
        }
        let Some(entry) = self.members.get_mut(&id).filter(|entry| entry.near().link.is_observed()) else {
            return;
        };
        match entry.near_mut().link.look(now, self.poor_ear) {
            Look::Quiet | Look::Silent => {}
            Look::Probe => self.send(id, MembershipFrame::Probe),
            Look::Ask => self.ask_witnesses(step, id),
            Look::Lost { probes } => self.report(step, id, probes),
        }
    }

    /// Applies the rules to what is said about a member, and moves it accordingly.
    pub(super) fn judge(&mut self, step: &mut Step, id: MemberId) {
        let (now, wall) = (step.now.time, step.now.wall);
        let ear = self.ear();
        let Some(entry) = self.members.get_mut(&id).filter(|entry| !entry.is_gone()) else {
            return;
        };
        match entry.rule(now, wall, &ear) {
            Ruling::Clear => {
                let relief = entry.relief(ear.me, now);
                if entry.presence != Some(Presence::Suspect) {
                    return;
                }
                if !relief.is_empty() {
                    self.revive(step, id, relief);
                } else if entry.standing().tick == 0 {
                    // Nothing is said against it, and nothing for it: it is where it was when this node remembered it.
                    if let Some(near) = entry.nearby() {
                        near.suspected_tick = None;
                        near.withdrawals.clear();
                    }
                    self.restored.insert(id);
                }
            }
            Ruling::Suspect { .. } => {
                let near = entry.near_mut();
                near.suspected_tick = near.suspected_tick.max(near.case.accused_tick());
                if entry.presence == Some(Presence::Suspect) {
                    return;
                }
                entry.near_mut().withdrawals.clear();
                let basis = entry.near().case.report_evidence(true);
                self.place(step, id, Presence::Suspect, basis);
            }
            Ruling::Unreachable { by } => {
                let basis = entry.near().case.report_evidence(true);
                debug!(?id, reporters = ?by, "unreachable");
                self.condemn(step, id, basis);
            }
        }
    }

    /// Calls a member unreachable on this evidence, and tells the others why.
    pub(super) fn condemn(&mut self, step: &mut Step, id: MemberId, basis: Vec<Evidence>) {
        let now = step.now.time;
        let me = self.own.id();
        let is_deaf = self.deaf.is_deaf();
        // A liar can name ever newer ticks of one who is gone.
        if self.members.get(&id).is_some_and(Entry::is_present) {
            self.losses.note(now);
        }
        self.change(id, |entry| {
            let run = entry.run();
            let tick = entry.standing().tick.max(entry.near().case.accused_tick().unwrap_or(0));
            let is_void = is_deaf && is_word_of_the_deaf(&basis);
            entry.near_mut().lost_deaf = is_void.then(|| entry.near().before_deaf.unwrap_or(entry.standing().tick));
            entry.stand(entry.standing().merge(Standing::unreachable(run, tick)));
            if entry.near().link.reporting {
                entry.near_mut().link.reporting = false;
                entry.near_mut().report_until = Some(now + REPORT_AFTER_VERDICT);
            }
            if entry.near().link.is_vouched() {
                entry.near_mut().link.trust_nobody();
            }
            // From here on the basis tells why; half of a room can be gone at once.
            entry.near_mut().case.close(me);
        });
        self.place(step, id, Presence::Unreachable, basis);
        let Some(frame) = self.members.get(&id).map(Entry::unreachable_frame) else { return };
        // Whoever is probably cut off itself has nothing to tell those who are not.
        if !is_deaf {
            self.relay(now, &[id], frame);
        }
        self.schedule_redial(now);
    }

    /// Calls a member alive.
    pub(super) fn revive(&mut self, step: &mut Step, id: MemberId, basis: Vec<Evidence>) {
        let now = step.now.time;
        let me = self.own.id();
        let Some(entry) = self.members.get_mut(&id) else {
            return;
        };
        let returns = entry.is_gone();
        let is_suspect = entry.presence == Some(Presence::Suspect);
        if let Some(near) = entry.nearby() {
            near.suspected_tick = None;
            near.withdrawals.clear();
            near.before_deaf = None;
            near.lost_deaf = None;
            if near.report_until.take().is_some() {
                self.reporting.remove(&id);
            }
            near.exchange.returned |= returns;
            if returns {
                // What is said of it from now on is another case, though its tick be as old as in the last one.
                near.relayed.count = 0;
            }
            if !is_suspect {
                near.case.drop_reports();
                // Whoever is alive by somebody else's word is given a full silence before it is reported again.
                if near.link.is_observed() && !near.link.is_live(now) {
                    near.link.restart(now);
                }
            }
            if near.link.is_live(now) {
                near.case.withdraw(me);
                near.link.silent_from = None;
            }
        }
        self.place(step, id, Presence::Alive, basis);
        if returns {
            self.hurry_redial(now);
        }
        self.connect_if_wanted(now, id);
        self.look_soon(now, id);
    }

    /// Puts a member where it stands from now on, and tells everybody within this node.
    pub(super) fn place(&mut self, step: &mut Step, id: MemberId, presence: Presence, basis: Vec<Evidence>) {
        let (now, wall) = (step.now.time, step.now.wall);
        let Some(was) = self.change(id, |entry| {
            let was = entry.presence;
            entry.place(presence, wall, basis);
            was
        }) else {
            return;
        };
        let Some(entry) = self.members.get_mut(&id) else {
            return;
        };
        let gone = entry.is_gone();
        if gone && entry.near().gone.is_none() {
            entry.near_mut().gone = Some(wall);
            self.out.store(Record::Gone { member: id, at: wall });
        }
        if !gone && presence == Presence::Alive && entry.nearby().is_some_and(|near| near.gone.take().is_some()) {
            self.out.store(Record::Returned { member: id });
        }
        let signed = entry.card.clone();
        let card = signed.value();
        debug!(nick = card.nick, run = %card.run, ?was, ?presence, cause = ?step.cause, "presence");
        let kind = EventKind::Member { id, nick: card.nick.clone(), presence, run: card.run, evidence: entry.basis() };
        let n = self.out.tell(step, entry.told(), kind);
        entry.set_told(n);
        self.out.push(Output::Presence { member: id, run: card.run, presence, n });
        self.restored.remove(&id);
        self.note_gone(id, presence);
        self.seat(now, id);
        if gone {
            self.lose_word(now, id);
        }
    }

    /// `gone` speaks for nobody any more: whoever this node did not report on its word alone is looked at again.
    pub(super) fn lose_word(&mut self, now: Time, gone: MemberId) {
        for id in self.watch.observed() {
            let Some(entry) = self.members.get_mut(&id) else { continue };
            if entry.near_mut().link.lose_word(gone) {
                self.wakes.no_later_than(id, now);
            }
        }
    }
}

/// Whether a verdict rests on reports of members that were probably cut off themselves, and on nothing else.
fn is_word_of_the_deaf(basis: &[Evidence]) -> bool {
    let mut reports = basis.iter().filter(|item| item.kind == EvidenceKind::Report).peekable();
    !basis.iter().any(|item| item.verdict) && reports.peek().is_some() && reports.all(|report| report.mostly_deaf)
}

impl Entry {
    /// What speaks for a suspect member now: news that is newer than what it is suspected for.
    fn relief(&self, me: MemberId, now: Time) -> Vec<Evidence> {
        let Some(suspected) = self.near().suspected_tick else {
            return Vec::new();
        };
        let mut relief = self.near().case.contradiction_evidence(self.run(), now, suspected);
        // To take a report back gives what was before it, and whom nobody heard yet was not there before.
        if self.standing().tick > 0 || self.basis().iter().any(|item| item.kind == EvidenceKind::Report) {
            relief.extend(self.near().withdrawals.iter().cloned());
        }
        if self.near().link.is_live(now) || self.near().link.tick > suspected {
            relief.extend(self.heard_evidence(me));
        }
        relief
    }

    pub(super) fn note_withdrawal(&mut self, evidence: Evidence) {
        if self.presence == Some(Presence::Suspect) && self.near().withdrawals.len() < WITHDRAWALS_MAX {
            self.near_mut().withdrawals.push(evidence);
        }
    }

    /// Shows of a suspect member that a report was taken back, in place of that report.
    pub(super) fn show_withdrawals(&self, items: &mut Vec<Evidence>) {
        if self.presence != Some(Presence::Suspect) {
            return;
        }
        for withdrawal in &self.near().withdrawals {
            let stands = self.near().case.report(withdrawal.by).is_some();
            items.retain(|item| stands || item.kind != EvidenceKind::Report || item.by != withdrawal.by);
            items.push(withdrawal.clone());
        }
    }

    /// Its card, which is known by `now`: when it came is not kept.
    pub(super) fn card_evidence(&self, now: Wall) -> Evidence {
        Evidence::card(self.card.value(), now)
    }

    /// The reports that made it unreachable, each author's once, for those who were not told.
    pub(super) fn verdict(&self) -> Vec<Report> {
        let mut reports: Vec<Report> = Vec::new();
        for item in self.basis().iter().filter(|item| item.run == Some(self.run())) {
            let report = item.report_on(self.id());
            reports.extend(report.filter(|report| reports.iter().all(|other| other.by != report.by)));
        }
        reports.truncate(VERDICT_REPORTS_MAX);
        reports
    }

    pub(super) fn unreachable_frame(&self) -> MembershipFrame {
        MembershipFrame::Unreachable {
            subject: self.id(),
            run: self.run(),
            tick: self.standing().tick,
            reports: self.verdict(),
        }
    }

    /// All records that restore the member.
    pub(super) fn records(&self) -> Vec<Record> {
        let member = self.id();
        let mut records = vec![self.card_record()];
        if let Some(leave) = &self.near().leave {
            records.push(Record::Leave { member, run: leave.value().run, bytes: leave.bytes().to_vec() });
        }
        records.extend(self.near().address.map(|address| Record::Address { member, address }));
        records.push(match self.near().gone {
            Some(at) => Record::Gone { member, at },
            None => Record::Returned { member },
        });
        records
    }

    pub(super) fn card_record(&self) -> Record {
        let card = self.card.value();
        Record::Card { member: card.member, run: card.run, version: card.version, bytes: Arc::clone(self.card.bytes()) }
    }
}
