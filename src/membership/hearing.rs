//! Signs of life, given and taken: heartbeats, ticks, whatever is heard on a link. Owns when this node speaks
//! and what it makes of being spoken to; where that puts a member is decided in `presence`.

use std::time::Duration;

use tracing::debug;

use super::Membership;
use super::ear::{Ear, poor_ear};
use super::entry::{Entry, ago, seconds};
use super::evidence::{Evidence, EvidenceKind};
use super::redial::DEAD_SESSION;
use super::standing::Standing;
use crate::base::limits::REPORTS_PER_HEARTBEAT_MAX;
use crate::base::{MemberId, Now, Path, Presence, Run, Step, Time, Wall};
use crate::wire::{Heartbeat, MembershipFrame, OpenReport};

/// A member that is heard but not held present says its tick by itself within this time; else it is asked.
const ASK_AFTER: Duration = Duration::from_millis(50);
/// A member that cannot be reached from here, and that others hear, is dialled in one of so many seconds.
const DIAL_VOUCHED_TICKS: u64 = 8;

impl Membership {
    /// An authentic datagram of `peer` came.
    pub(super) fn hear(&mut self, step: &mut Step, peer: MemberId, run: Run, path: Path) {
        let now = step.now.time;
        let said = self.said_at(step.now);
        let Some(entry) = self.members.get_mut(&peer).filter(|entry| entry.run() == run && !entry.has_left()) else {
            return;
        };
        if entry.is_present() && entry.near().link.watched && entry.near().link.is_open() {
            self.ended.note(now, now.since(entry.near().link.quiet_since));
        }
        entry.near_mut().link.path = path;
        entry.near_mut().link.hear(now, said);
        if entry.near().link.reporting {
            self.withdraw(step, peer);
        }
        self.undoubt(peer);
        let Some(entry) = self.members.get_mut(&peer) else {
            return;
        };
        if entry.presence == Some(Presence::Alive) {
            return;
        }
        if entry.near().link.ask_at.is_none() {
            entry.near_mut().link.ask_at = Some(now + ASK_AFTER);
            self.wakes.no_later_than(peer, now + ASK_AFTER);
        }
        self.judge(step, peer);
    }

    /// When what comes now was said, at the earliest: what waited during a stall of this node's own was said at any time of it.
    pub(super) fn said_at(&self, now: Now) -> (Time, Wall) {
        if now.time >= self.drained_at {
            return (now.time, now.wall);
        }
        (self.stalled_at, ago(now, now.time.since(self.stalled_at)))
    }

    /// A tick of `peer` came from itself.
    pub(super) fn hear_tick(&mut self, step: &mut Step, peer: MemberId, tick: u64) {
        let now = step.now.time;
        let me = self.own.id();
        let (said, wall) = self.said_at(step.now);
        let Some(entry) = self.members.get_mut(&peer) else {
            return;
        };
        let silent = entry.near().link.silent_from;
        let known = entry.near().link.tick;
        let newer = entry.near_mut().link.hear_tick(said, tick);
        if std::mem::take(&mut entry.near_mut().unspread) {
            self.spread(step, peer, tick);
        }
        if newer {
            self.answer_askers(now, peer, tick);
            self.answer_refuted(step, peer, known, tick);
        }
        let Some(entry) = self.members.get_mut(&peer) else {
            return;
        };
        if entry.presence == Some(Presence::Alive) {
            entry.near_mut().link.silent_from = None;
            if !newer {
                return;
            }
        }
        let run = entry.run();
        // Somebody was believed who said more than can be, when nothing was heard yet: the member knows better.
        if !entry.near().link.is_plausible(now, entry.standing().tick) {
            entry.stand(Standing::alive(run, tick));
        }
        let verdict = entry.standing();
        let is_accused = entry.near().suspected_tick.is_some();
        entry.learn(tick, false);
        let was = entry.presence;
        if was == Some(Presence::Alive) {
            return;
        }
        if entry.standing().unreachable {
            // Somebody took a tick for heard that was not sent yet; its owner gets ahead of it.
            let frame = entry.unreachable_frame();
            self.send(peer, frame);
            return;
        }
        let detail = match (was, silent) {
            (Some(Presence::Unreachable | Presence::Suspect), Some(at)) => {
                format!("heard again on this node's own link, silent for {}", seconds(now.since(at)))
            }
            _ => "heard on this node's own link".to_owned(),
        };
        let mut basis = vec![entry.card_evidence(step.now.wall)];
        basis.push(Evidence::new(EvidenceKind::Heard, me, run, wall, detail).tick(tick));
        self.revive(step, peer, basis);
        if verdict.unreachable || was == Some(Presence::Suspect) {
            if verdict.unreachable || is_accused {
                self.tell_on(step, &[peer], peer, tick, me);
            } else {
                self.tell_first(step, &[peer], peer, tick, me);
            }
        }
    }

    /// The heartbeat of this second, to all that are watched.
    pub(super) fn beat(&mut self, step: &mut Step) {
        let now = step.now.time;
        self.own.beat(now);
        self.update_deaf(now);
        self.update_ear(now);
        let me = self.own.id();
        self.reporting.retain(|id| {
            self.members.get_mut(id).is_some_and(|entry| {
                entry.near_mut().report_until = entry.near_mut().report_until.filter(|&until| until > now);
                // It lapsed while this node did not watch the member: it may be made anew.
                if entry.near().link.reporting && entry.near().case.report(me).is_none() {
                    entry.near_mut().link.reporting = false;
                    self.wakes.no_later_than(*id, now);
                }
                entry.near().link.reporting || entry.near().report_until.is_some()
            })
        });
        let reports = self.open_reports(step);
        let tick = self.own.tick(now);
        let watched: Vec<_> = self.watch.watched().iter().copied().collect();
        for id in watched {
            let Some(link) = self.members.get(&id).map(|entry| &entry.near().link) else { continue };
            // Others may hear it well: then only the way that this session takes is gone.
            let is_silent = link.is_open() && now.since(link.quiet_since) > DEAD_SESSION;
            let is_open = link.is_open();
            let is_vouched = link.is_vouched();
            if is_open {
                let wants_answer = !link.beats(now);
                let frame = self.heartbeat(step, reports.clone(), wants_answer, false);
                self.send(id, frame);
            }
            if (is_silent || !is_open) && (!is_vouched || tick.is_multiple_of(DIAL_VOUCHED_TICKS)) {
                self.connect(id);
            }
        }
        self.settle_doubts(step);
        self.tend_links(step);
    }

    /// A heartbeat to somebody who need not answer.
    pub(super) fn send_touch(&mut self, step: &Step, to: MemberId) {
        let reports = self.open_reports(step);
        let frame = self.heartbeat(step, reports, false, false);
        self.send(to, frame);
    }

    /// One heartbeat out of turn: in answer to a probe, or asking for one.
    pub(super) fn send_heartbeat(&mut self, step: &Step, to: MemberId, answer: bool) {
        let reports = self.open_reports(step);
        let frame = self.heartbeat(step, reports, !answer, answer);
        self.send(to, frame);
    }

    fn heartbeat(&self, step: &Step, reports: Vec<OpenReport>, wants_answer: bool, answer: bool) -> MembershipFrame {
        MembershipFrame::Heartbeat(Heartbeat {
            tick: self.own.tick(step.now.time),
            view: self.view.fingerprint(),
            lag_ms: lag_ms(step),
            wants_answer,
            answer,
            reports,
        })
    }

    /// This node's open reports, in turn where there are more than a heartbeat carries.
    fn open_reports(&self, step: &Step) -> Vec<OpenReport> {
        let me = self.own.id();
        let open = self.reporting.iter().filter_map(|id| {
            let entry = self.members.get(id)?;
            let held = entry.near().case.report(me)?;
            // This node spoke too soon: it learnt since then how much it loses.
            if entry.near().link.reporting && !entry.near().link.is_tested(step.now.time, self.poor_ear) {
                return None;
            }
            Some(OpenReport { tick: entry.standing().tick, mostly_deaf: self.deaf.is_deaf(), ..held.report })
        });
        // A list that is not full says that there are no more, and takes the others back.
        let mut open: Vec<_> = open.collect();
        if open.len() > REPORTS_PER_HEARTBEAT_MAX {
            let turn = usize::try_from(self.own.tick(step.now.time)).unwrap_or(0);
            let skip = turn * REPORTS_PER_HEARTBEAT_MAX % open.len();
            open.rotate_left(skip);
            open.truncate(REPORTS_PER_HEARTBEAT_MAX);
        }
        open
    }

    pub(super) fn ear(&self) -> Ear {
        Ear { me: self.own.id(), poor: self.poor_ear, alone: self.ended.alone() }
    }

    /// Whether this node hears well, by what came lately over all links.
    fn update_ear(&mut self, now: Time) {
        let links = self.watch.watched().iter().filter_map(|id| Some(&self.members.get(id)?.near().link.beats));
        let was = self.poor_ear;
        self.poor_ear = poor_ear(links);
        self.ended.turn(now);
        if was != self.poor_ear {
            debug!(loses = ?self.poor_ear, "own ear");
            for id in self.watch.observed() {
                self.wakes.no_later_than(id, now);
            }
        }
    }

    pub(super) fn update_deaf(&mut self, now: Time) {
        let (mut watched, mut live) = (0, 0);
        let mut silent = Vec::new();
        // Whom nobody heard since this node started may be long gone. One that others heard is missed here, whether or
        // not a session with it ever opened.
        let was_there = |entry: &Entry| entry.near().link.heard.is_some() || entry.standing().tick > 0;
        for id in self.watch.watched() {
            let Some(entry) = self.members.get(id).filter(|entry| was_there(entry)) else {
                continue;
            };
            watched += 1;
            // One that is dialled only now is neither.
            if entry.near().link.is_silent(now) {
                silent.push(*id);
            } else if entry.near().link.is_live(now) {
                live += 1;
            }
        }
        let was = (self.deaf.is_deaf(), self.deaf.is_alone());
        let members = &self.members;
        let back = |id: MemberId| {
            members.get(&id).is_none_or(|entry| {
                let is_back = || entry.presence == Some(Presence::Alive) && !entry.near().link.is_observed();
                entry.has_left() || !was_there(entry) || entry.near().link.is_live(now) || is_back()
            })
        };
        self.deaf.update(now, watched, live, silent.into_iter(), back);
        let is = (self.deaf.is_deaf(), self.deaf.is_alone());
        if was != is {
            debug!(deaf = is.0, alone = is.1, "own hearing");
        }
    }
}

/// How late this node's own loop is, in milliseconds.
pub(super) fn lag_ms(step: &Step) -> u32 {
    u32::try_from(step.now.lag.as_millis()).unwrap_or(u32::MAX)
}
