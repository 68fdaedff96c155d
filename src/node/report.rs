//! What the subsystems hold, in the words of `api`. Owns the translation, and nicks in place of ids; decides
//! nothing.

use std::collections::BTreeMap;

use super::api::{
    self, Asked, AskedAnswer, Delivery, DeliveryEvidence, EventKind, Evidence, EvidenceKind, Gap, Link, MemberStatus,
    Message, MessageKind, NodeStatus, Outcome, ReceiptEvidence, Refusal, Sent, Source, Status, Try, Verdict, WhyMember,
    WhyMessage,
};
use super::{Node, Phase};
use crate::base::limits::{MEMBERS_MAX, RETAINED_BYTES_MAX, RETAINED_MESSAGES_MAX};
use crate::base::{MemberId, MessageId, Now, Stream, Time};
use crate::membership::{self, Member};
use crate::messaging;

/// A peer that confirmed something of ours within this time hears us: three heartbeats.
const HEARS_ME_WITHIN_MS: u64 = 3_000;

impl Node {
    /// Membership and delivery as this node sees them now.
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        let own = self.membership.card().value();
        Status {
            node: NodeStatus {
                id: own.member,
                nick: own.nick.clone(),
                incarnation: own.run.incarnation,
                addr: own.addresses.first().map(ToString::to_string).unwrap_or_default(),
                room: self.room_name.clone(),
                uptime_ms: millis(now.time, self.started),
                probably_cut_off: self.membership.deaf(),
            },
            members: self.membership.members(now).map(|member| self.member_status(now, member)).collect(),
            messages: self.message_counts(),
            deliveries: self.messaging.outcomes().into(),
            faults: Vec::new(),
            counters: self.counters(),
            limits: self.limits(),
        }
    }

    /// The evidence about a member; `None` for one that is not known.
    #[must_use]
    pub fn why_member(&self, now: Now, id: MemberId) -> Option<WhyMember> {
        let member = self.membership.member(now, id)?;
        let path = self.transport.path(id);
        let evidence = |wanted: fn(EvidenceKind) -> bool| {
            let items = member.evidence.iter().map(|item| self.evidence(item));
            items.filter(|item| wanted(item.kind)).collect()
        };
        Some(WhyMember {
            member: id,
            nick: member.nick.clone(),
            state: member.presence,
            since: member.since,
            link: Link {
                heard_ms_ago: path.and_then(|path| path.heard).map(|heard| millis(now.time, heard)),
                hears_me: path.map(|path| hears_me(now.time, path.hears_me)),
                rtt_us: path.and_then(|path| path.rtt).map(|rtt| micros(rtt.smoothed)),
                loss_in: path.map(|path| path.loss_in),
                loss_out: path.map(|path| path.loss_out),
                address: self.transport.address(id),
            },
            verdict: Verdict {
                reports: evidence(|kind| matches!(kind, EvidenceKind::Report | EvidenceKind::Silence)),
                contradictions: evidence(|kind| {
                    matches!(kind, EvidenceKind::Contradiction | EvidenceKind::Withdrawal)
                }),
                evidence: evidence(|kind| {
                    matches!(
                        kind,
                        EvidenceKind::Heard | EvidenceKind::Card | EvidenceKind::Leave | EvidenceKind::Restored
                    )
                }),
            },
        })
    }

    fn member_status(&self, now: Now, member: Member) -> MemberStatus {
        let path = self.transport.path(member.id);
        MemberStatus {
            id: member.id,
            nick: member.nick,
            incarnation: member.run.incarnation,
            state: member.presence,
            heard_ms_ago: path.and_then(|path| path.heard).map(|heard| millis(now.time, heard)),
            hears_me: path.map(|path| hears_me(now.time, path.hears_me)),
            rtt_us: path.and_then(|path| path.rtt).map(|rtt| micros(rtt.smoothed)),
            loss: path.map(|path| path.loss_in.max(path.loss_out)),
            degraded: member.degraded,
            evidence: member.evidence.iter().map(|item| self.evidence(item)).collect(),
        }
    }

    fn evidence(&self, item: &membership::Evidence) -> Evidence {
        let kind = match item.kind {
            membership::EvidenceKind::Heard => EvidenceKind::Heard,
            membership::EvidenceKind::Silence => EvidenceKind::Silence,
            membership::EvidenceKind::Report => EvidenceKind::Report,
            membership::EvidenceKind::Contradiction => EvidenceKind::Contradiction,
            membership::EvidenceKind::Withdrawal => EvidenceKind::Withdrawal,
            membership::EvidenceKind::Card => EvidenceKind::Card,
            membership::EvidenceKind::Leave => EvidenceKind::Leave,
            membership::EvidenceKind::Restored => EvidenceKind::Restored,
        };
        let mut detail = item.detail.clone();
        if let Some(via) = item.via {
            detail.push_str(&format!(" (passed on by {})", self.nick(via)));
        }
        Evidence { kind, by: item.by, nick: self.nick(item.by), run: item.run, tick: item.tick, at: item.at, detail }
    }

    pub(super) fn on_membership_event(&mut self, now: Now, event: membership::Event) {
        let kind = match event.kind {
            membership::EventKind::Member { id, nick, presence, run, evidence } => {
                let evidence = evidence.iter().map(|item| self.evidence(item)).collect();
                EventKind::Member { id, nick, state: presence, incarnation: run.incarnation, evidence }
            }
            membership::EventKind::Alarm { text } => EventKind::Alarm { text },
            membership::EventKind::Left => {
                self.phase = Phase::Left;
                return;
            }
        };
        self.tell(now, event.n, event.cause, kind);
    }

    /// What people call a member; the short form of the id of one that is not known.
    pub(super) fn nick(&self, id: MemberId) -> String {
        self.membership.nick(id).map_or_else(|| id.short(), ToOwned::to_owned)
    }
}

fn millis(now: Time, earlier: Time) -> u64 {
    u64::try_from(now.since(earlier).as_millis()).unwrap_or(u64::MAX)
}

fn micros(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn hears_me(now: Time, confirmed: Option<Time>) -> bool {
    confirmed.is_some_and(|at| millis(now, at) <= HEARS_ME_WITHIN_MS)
}
