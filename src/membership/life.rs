//! This node's own life: it may speak once its run is durable, learns that its home was rolled back or copied,
//! wakes from a stall, says goodbye. Owns what it does then; what it knows of itself is in `own`.

use std::time::Duration;

use tracing::debug;

use super::outbox::{EventKind, Output};
use super::own::Met;
use super::record::Record;
use super::relay::Relay;
use super::{Membership, exchange};
use crate::base::{MemberId, Run, Step, StoreFailed, Time};
use crate::wire::{Leave, MembershipFrame, Signed};

/// A goodbye is said twice, since a datagram may be lost, and then a moment passes for it to get out.
pub struct Leaving {
    leave: Signed<Leave>,
    said: u8,
    pub at: Time,
}

const GOODBYES: u8 = 3;
const GOODBYE_SPACING: Duration = Duration::from_millis(60);
/// How soon what the disk refused is written again.
const RESAVE_AFTER: Duration = Duration::from_secs(5);
/// Reports that arrive this soon after a stall were sent during it.
const DRAIN: Duration = Duration::from_millis(500);

impl Membership {
    /// Records numbered up to `upto` were stored, or refused.
    pub(super) fn settle_records(&mut self, step: &mut Step, upto: u64, result: Result<(), StoreFailed>) {
        let mine = self.own.awaits.is_some_and(|number| number <= upto);
        match result {
            Ok(()) if mine => {
                self.own.awaits = None;
                debug!(run = %self.own.run(), "the run is durable");
                self.start(step);
            }
            Ok(()) => {}
            Err(StoreFailed) => {
                if mine {
                    // Not until it was written again.
                    self.own.awaits = Some(u64::MAX);
                }
                self.resave_at = Some(step.now.time + RESAVE_AFTER);
            }
        }
    }

    /// After a long stall nothing that was pending is worth anything: silence is counted anew, reports are
    /// dropped, and views are compared with whoever is heard first.
    pub(super) fn recover_from_stall(&mut self, step: &mut Step, stall: Duration) {
        let now = step.now.time;
        debug!(stall_ms = stall.as_millis(), "own stall: judging nobody");
        // Nothing is told before the run is durable.
        if self.own.is_durable() {
            self.out.tell(step, None, EventKind::Stalled { stall });
        }
        self.drained_at = now + DRAIN;
        self.stalled_at =
            Time::from_micros(now.as_micros().saturating_sub(u64::try_from(stall.as_micros()).unwrap_or(u64::MAX)));
        self.reporting.clear();
        self.accusations.clear();
        self.relay = Relay::default();
        for entry in self.members.values_mut() {
            if let Some(near) = entry.nearby() {
                near.case.drop_reports();
                if !near.link.is_unused() {
                    near.link.restart(now);
                    near.link.reporting = false;
                }
                near.report_until = None;
                near.exchange.mismatches = exchange::MISMATCHES_HIGHER;
            }
            if !entry.is_gone() {
                self.wakes.no_later_than(entry.id(), now);
            }
        }
    }

    pub(super) fn store_run(&mut self) {
        let number = self.out.store(Record::Run(self.own.run()));
        self.own.awaits = Some(number);
    }

    /// The run is durable: speaks for the first time in it.
    fn start(&mut self, step: &mut Step) {
        if self.own.beat_at < step.now.time {
            self.own.beat(step.now.time);
        }
        self.out.push(Output::Run(self.own.run()));
        self.out.push(Output::Card(self.own.card().clone()));
        for id in self.watch.observed() {
            if let Some(entry) = self.members.get_mut(&id) {
                entry.near_mut().link.restart(step.now.time);
            }
            self.wakes.no_later_than(id, step.now.time);
        }
        self.link_up_now(step);
        self.schedule_redial(step.now.time);
        self.dial_join(step);
    }

    /// A card or leave of this node's own came from outside.
    pub(super) fn meet_own(&mut self, step: &mut Step, member: MemberId, run: Run, version: u32) {
        if member != self.own.id() {
            return;
        }
        match self.own.meet(run, version) {
            Met::Known => {}
            Met::RolledBack(higher) => {
                debug!(shown = %run, taken = %higher, "the home was rolled back: taking a higher run");
                self.own.raise(higher);
                self.store_run();
                self.spread_own_card(step.now.time);
                // Sessions are bound to the run that they were opened in.
                for id in self.watch.open().clone() {
                    self.out.push(Output::Close(id));
                    self.close_link(step.now.time, id);
                }
            }
            Met::Copied => {
                let own = self.own.run();
                debug!(%own, other = %run, "copied home");
                let text = format!(
                    "another process runs with a copy of this home (its incarnation is {}, this one's {}): this node fell \
                     silent; stop one of the two, and give the other a home of its own with --home DIR",
                    run.incarnation, own.incarnation
                );
                self.out.tell(step, None, EventKind::Alarm { text });
                self.out.push(Output::Silent);
                self.over = true;
            }
        }
    }

    pub(super) fn say_goodbye(&mut self, step: &mut Step) {
        let now = step.now.time;
        let Some(leaving) = self.leaving.as_mut().filter(|leaving| leaving.at <= now) else {
            return;
        };
        leaving.said += 1;
        leaving.at = now + GOODBYE_SPACING;
        let said = leaving.said;
        let frame = MembershipFrame::Leaves(vec![leaving.leave.bytes().to_vec()]);
        let peers = self.connected();
        if said < GOODBYES && !peers.is_empty() && self.own.is_durable() {
            for to in peers {
                self.send(to, frame.clone());
            }
            return;
        }
        self.out.tell(step, None, EventKind::Left);
        self.over = true;
    }

    /// Writes everything again after the disk refused something.
    pub(super) fn resave(&mut self) {
        self.resave_at = None;
        if !self.own.is_durable() {
            self.store_run();
        }
        for entry in self.members.values().filter(|entry| entry.presence.is_some()) {
            for record in entry.records() {
                self.out.store(record);
            }
        }
    }

    pub(super) fn begin_goodbye(&mut self, step: &mut Step) {
        let own = &self.own;
        let leave = Leave { room: own.room(), member: own.id(), run: own.run() };
        let leave = Signed::sign(leave, own.identity());
        debug!(run = %own.run(), "leaving");
        self.pass_on_all(step.now.time);
        self.leaving = Some(Leaving { leave, said: 0, at: step.now.time });
        self.say_goodbye(step);
    }
}
