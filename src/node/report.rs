//! What the subsystems hold, in the words of `api`. Owns the translation, and nicks in place of ids; decides
//! nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::Node;
use super::api::{
    Asked, Counted, Evidence, EvidenceKind, Gap, Link, MemberStatus, MessageCounts, MessageKind, NodeStatus,
    OutcomeCounts, Sent, Status, Undelivered, Verdict, WhyMember,
};
use crate::base::{MemberId, MessageId, Now, Path, Presence, Run, Stream, Time};
use crate::membership::{self, Member};
use crate::messaging;
use crate::wire::{Card, Signed};

/// A peer that confirmed something of ours within this time hears us, and one that received nothing for as long does not: three heartbeats.
const HEARS_ME_WITHIN: Duration = Duration::from_secs(3);

impl Node {
    /// Membership and delivery as this node sees them now.
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        let own = self.membership.card().value();
        let undelivered = self.messaging.open().take(UNDELIVERED_MAX).map(|open| self.undelivered(open)).collect();
        let more = self.messaging.open().skip(UNDELIVERED_MAX).count();
        Status {
            node: NodeStatus {
                id: own.member,
                nick: own.nick.clone(),
                incarnation: own.run.incarnation,
                addr: own.addresses.first().map(ToString::to_string).unwrap_or_default(),
                room: self.room_name.clone(),
                uptime_ms: millis(now.time, self.started),
                probably_cut_off: self.membership.deaf(),
                disk_full_since: self.disk_full_since,
                silent_since: self.silent_since,
            },
            members: self.membership.members(now).map(|member| self.member_status(now, member)).collect(),
            messages: self.message_counts(),
            deliveries: self.outcome_counts(),
            undelivered,
            undelivered_more: u64::try_from(more).unwrap_or(u64::MAX),
            faults: Vec::new(),
            counters: self.counters(),
            limits: self.limits(),
            counted: Counted::of(self.counts_all_runs),
        }
    }

    fn undelivered(
        &self,
        (id, stream, deliveries): (MessageId, Stream, &BTreeMap<MemberId, messaging::Delivery>),
    ) -> Undelivered {
        let open = || deliveries.iter().filter(|(_, delivery)| !delivery.outcome.is_final());
        Undelivered {
            id,
            handle: self.handle(id),
            kind: message_kind(stream),
            deliveries: open().take(UNDELIVERED_MAX).map(|(&to, delivery)| self.delivery(to, delivery)).collect(),
            more: u64::try_from(open().skip(UNDELIVERED_MAX).count()).unwrap_or(u64::MAX),
        }
    }

    /// This node's own card, as it signed it.
    #[must_use]
    pub fn card(&self) -> &Signed<Card> {
        self.membership.card()
    }

    /// The ids and nicks of the members in [`Node::status`], for who only looks for a name.
    #[must_use]
    pub fn names(&self) -> Vec<(MemberId, String)> {
        self.membership.names().map(|(id, nick)| (id, nick.to_owned())).collect()
    }

    /// Where the members are: by their cards, and then, which is surer, where this node has a session with them.
    pub fn addresses(&self) -> impl Iterator<Item = (SocketAddr, MemberId)> {
        let address = |(id, _)| self.transport.address(id).map(|address| (address, id));
        self.membership.addresses().chain(self.membership.names().filter_map(address))
    }

    /// The state of one of the members in [`Node::status`].
    #[must_use]
    pub fn presence(&self, id: MemberId) -> Option<Presence> {
        self.membership.presence(id)
    }

    /// The state of all of them, for who asks often: this node first, then the others by id.
    pub fn presences(&self) -> impl Iterator<Item = (MemberId, Run, Presence)> {
        self.membership.presences()
    }

    /// The evidence about a member; `None` for one that is not known.
    #[must_use]
    pub fn why_member(&self, now: Now, id: MemberId) -> Option<WhyMember> {
        let member = self.membership.member(now, id)?;
        let path = self.transport.path(id).filter(|_| is_heard(&member));
        let hears_me = path.and_then(|path| hears_me(now.time, &path));
        let evidence = |wanted: fn(&Evidence) -> bool| {
            let items = member.evidence.iter().map(|item| self.evidence(item));
            items.filter(&wanted).collect()
        };
        Some(WhyMember {
            member: id,
            nick: member.nick.clone(),
            state: member.presence,
            since: member.since,
            since_ms_ago: self.wall_clock.ms_since(now, member.since),
            degraded: member.degraded,
            link: Link {
                heard_ms_ago: member.heard.map(|heard| millis(now.time, heard)),
                hears_me,
                rtt_us: path.and_then(|path| path.rtt).map(|rtt| micros(rtt.smoothed)),
                loss_in: path.and_then(|path| path.loss_in),
                // The member says what it misses in what this node hears of it: words from before it fell deaf are old.
                loss_out: path.filter(|_| hears_me != Some(false)).and_then(|path| path.loss_out),
                address: self.transport.address(id),
            },
            verdict: Verdict {
                reports: evidence(|item| matches!(item.kind, EvidenceKind::Report | EvidenceKind::Silence)),
                contradictions: evidence(|item| is_word(item.kind) && !item.brought_back),
                evidence: evidence(|item| {
                    let is_other = matches!(
                        item.kind,
                        EvidenceKind::Heard | EvidenceKind::Card | EvidenceKind::Leave | EvidenceKind::Restored
                    );
                    is_other || item.brought_back
                }),
            },
        })
    }

    fn member_status(&self, now: Now, member: Member) -> MemberStatus {
        let path = self.transport.path(member.id).filter(|_| is_heard(&member));
        let hears_me = path.and_then(|path| hears_me(now.time, &path));
        MemberStatus {
            id: member.id,
            nick: member.nick,
            incarnation: member.run.incarnation,
            you: member.id == self.membership.card().value().member,
            state: member.presence,
            since_ms_ago: self.wall_clock.ms_since(now, member.since),
            heard_ms_ago: member.heard.map(|heard| millis(now.time, heard)),
            hears_me,
            rtt_us: path.and_then(|path| path.rtt).map(|rtt| micros(rtt.smoothed)),
            loss: path.filter(|_| hears_me != Some(false)).and_then(|path| path.loss_in.max(path.loss_out)),
            degraded: member.degraded,
            evidence: member.evidence.iter().map(|item| self.evidence(item)).collect(),
        }
    }

    /// Messages that exist and are missing here, as far as it was told.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        self.messaging.gaps().map(|gap| self.gap(&gap)).collect()
    }

    /// A message that was just accepted.
    pub(super) fn sent(&self, id: MessageId) -> Sent {
        let known = self.messaging.message(id);
        let kind = known.as_ref().map_or(MessageKind::Group, |known| message_kind(known.key.stream));
        let sample_of = known.as_ref().and_then(|known| known.sample_of);
        let deliveries = known.map_or_else(BTreeMap::new, |known| known.deliveries);
        let deliveries = deliveries.iter().map(|(&member, delivery)| self.delivery(member, delivery)).collect();
        Sent { id, handle: self.handle(id), kind, deliveries, sample_of }
    }

    pub(super) fn gap(&self, gap: &messaging::GapRecord) -> Gap {
        let asked = gap.asked.iter().map(|&(member, answer)| Asked { member, nick: self.nick(member), answer });
        let present = self.membership.presences().find(|&(id, ..)| id == gap.author).map(|(_, run, _)| run);
        let newest = present.max(self.messaging.newest_run(gap.author));
        Gap {
            author: gap.author,
            nick: self.nick(gap.author),
            incarnation: gap.run.incarnation,
            first: gap.first,
            last: gap.last,
            asked: asked.collect(),
            of_earlier_run: newest.is_some_and(|newest| newest > gap.run),
        }
    }

    /// The beginning of the id, as long as it takes to be unique here.
    pub(super) fn handle(&self, id: MessageId) -> String {
        id.handle(self.messaging.handle_chars(id))
    }

    fn message_counts(&self) -> MessageCounts {
        let counters = self.messaging.counters();
        MessageCounts {
            group: counters.group,
            private: counters.private,
            gaps: u64::try_from(self.messaging.gaps().count()).unwrap_or(u64::MAX),
            recovered: counters.recovered,
            duplicates: counters.duplicates,
            stale: self.transport.counters().stale,
            sampled: self.messaging.sampled(),
        }
    }

    fn outcome_counts(&self) -> OutcomeCounts {
        let messaging::OutcomeCounts { waiting, sending, unknown, refused, expired, delivered } =
            self.messaging.outcomes();
        OutcomeCounts { waiting, sending, delivered, unknown, refused, expired }
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        let transport = self.transport.counters().entries();
        let messaging = self.messaging.counters().entries();
        let own = [("frames_undecodable", self.frames_undecodable)];
        let used = self.fills().map(|(name, used, _)| (name, used));
        let named = transport.chain(messaging).chain(own).map(|(name, count)| (name.to_owned(), count));
        named.chain(used.map(|(name, used)| (format!("{name}_used"), used))).collect()
    }

    /// A table that grows with others has no limit of its own, and no row here.
    fn limits(&self) -> BTreeMap<String, u64> {
        self.fills().filter(|&(_, _, max)| max != u64::MAX).map(|(name, _, max)| (name.to_owned(), max)).collect()
    }

    /// How full each table is: name, used, limit.
    fn fills(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let transport = self.transport.gauges().chain(self.membership.gauges());
        let messaging = self.messaging.fills().into_iter().map(|fill| (fill.name, fill.used, fill.max));
        transport.chain(messaging).map(move |(name, used, max)| (name, wide(used), wide(max)))
    }

    pub(super) fn evidence(&self, item: &membership::Evidence) -> Evidence {
        Evidence {
            kind: item.kind,
            by: item.by,
            nick: self.nick(item.by),
            run: item.run,
            tick: item.tick,
            at: item.at,
            detail: item.words().into_owned(),
            via: item.via,
            mostly_deaf: item.mostly_deaf,
            brought_back: item.brought_back,
            verdict: item.verdict,
        }
    }

    /// What people call a member; the short form of the id of one that is not known.
    pub(super) fn nick(&self, id: MemberId) -> String {
        self.membership.nick(id).map_or_else(|| id.short(), ToOwned::to_owned)
    }
}

/// Messages that are not settled, and receivers of each, that a status names.
const UNDELIVERED_MAX: usize = 8;

/// Whether it is somebody's word that the member is there after all.
const fn is_word(kind: EvidenceKind) -> bool {
    matches!(kind, EvidenceKind::Contradiction | EvidenceKind::Withdrawal)
}

pub(super) fn message_kind(stream: Stream) -> MessageKind {
    match stream {
        Stream::Room => MessageKind::Group,
        Stream::To(_) => MessageKind::Private,
    }
}

fn millis(now: Time, earlier: Time) -> u64 {
    u64::try_from(now.since(earlier).as_millis()).unwrap_or(u64::MAX)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Whether this node hears the member now: what was measured of its link before says nothing of the link as it is.
fn is_heard(member: &Member) -> bool {
    member.presence.is_reachable() && !member.evidence.iter().any(|item| item.kind == EvidenceKind::Silence)
}

/// Whether a peer that is heard hears this node: it does where it confirmed something lately, and does not where it had its time
/// to, and heartbeats of this node to confirm.
fn hears_me(now: Time, path: &Path) -> Option<bool> {
    let lately = path.hears_me.is_some_and(|at| now.since(at) <= HEARS_ME_WITHIN);
    let round_trip = path.rtt.map_or(Duration::ZERO, |rtt| rtt.smoothed);
    let misses = path.unheard_for >= HEARS_ME_WITHIN + round_trip;
    (lately || misses).then_some(lately)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rtt;

    #[test]
    fn that_a_peer_does_not_hear_is_known_when_it_was_sent_enough_for_long_enough() {
        let at = |secs: u64| Time::from_micros(secs * 1_000_000);
        let hears = |confirmed, unheard_secs, rtt_secs| {
            let rtt = Rtt { smoothed: Duration::from_secs(rtt_secs), variation: Duration::ZERO };
            let unheard_for = Duration::from_secs(unheard_secs);
            hears_me(at(3_600), &Path { hears_me: confirmed, unheard_for, rtt: Some(rtt), ..Path::new() })
        };
        assert_eq!(hears(Some(at(3_598)), 0, 0), Some(true));
        assert_eq!(hears(Some(at(3_500)), 2, 0), None, "it was shown nothing meanwhile");
        assert_eq!(hears(Some(at(3_500)), 3, 0), Some(false));
        assert_eq!(hears(Some(at(3_500)), 3, 1), None, "its answer may be on the way");
        assert_eq!(hears(None, 0, 0), None);
    }
}
