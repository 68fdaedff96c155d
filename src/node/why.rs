//! The evidence about a message, in the words of `api`: how each delivery stands and what shows it, how the message came
//! here, and what nobody here can know. Owns these sentences, also for what only the disk still has.

use super::Node;
use super::api::{
    Delivery, DeliveryEvidence, Gap, HeldUp, Hop, MessageKind, Outcome, OwnFaults, ReceiptEvidence, Remembered,
    SignatureState, Source, StoredSince, Try, WhyMessage, WhyMissing,
};
use super::report::message_kind;
use super::tell::{TOO_OLD, expired_because, refused_because};
use crate::base::{MemberId, MessageId, Now, Presence, Seq, Stream, Wall};
use crate::messaging;
use crate::wire::{Receipt, Signed};

impl Node {
    /// The evidence about a message; `None` for one that is only on disk, or unknown. Receipts were verified when they
    /// came.
    #[must_use]
    pub fn why_message(&self, _now: Now, id: MessageId) -> Option<WhyMessage> {
        self.evidence_for(id, |_| SignatureState::HeldWhenItCame)
    }

    /// The same, with each receipt verified again: some 60 µs each.
    #[must_use]
    pub fn why_message_verified(&self, id: MessageId) -> Option<WhyMessage> {
        self.evidence_for(id, |bytes| SignatureState::of(self.messaging.verifies(bytes)))
    }

    fn evidence_for(&self, id: MessageId, state: impl Fn(&[u8]) -> SignatureState) -> Option<WhyMessage> {
        let known = self.messaging.message(id)?;
        let seq = known.key.seq;
        let of = |seen: &messaging::ReceiptSeen| ReceiptEvidence {
            may_be_later: seen.is_restored,
            via: seen.via.map(|member| Hop { member, nick: self.nick(member) }),
            ..ReceiptEvidence::new(&seen.bytes, seen.at, seq, state(&seen.bytes))
        };
        let deliveries = known.deliveries.iter().map(|(&member, delivery)| {
            let receipt = delivery.receipt.as_ref();
            DeliveryEvidence {
                delivery: self.delivery(member, delivery),
                // What is let go is on the disk alone.
                reason: match delivery.outcome {
                    Outcome::Expired => Some(expired_because(false).to_owned()),
                    _ => delivery.reason.map(|reason| refused_because(reason).to_owned()),
                },
                tries: delivery.tries.iter().map(tried).collect(),
                address: self.transport.address(member),
                held_up: self.messaging.held_up(&known, member).map(|held_up| match held_up {
                    messaging::HeldUp::NotHeard => HeldUp::NotHeard,
                    messaging::HeldUp::NoDirectLink => HeldUp::NoDirectLink,
                    messaging::HeldUp::Left => HeldUp::Left,
                    messaging::HeldUp::DiskFullHere => HeldUp::DiskFullHere,
                    messaging::HeldUp::ToBeFetched => HeldUp::ToBeFetched,
                }),
                receipt: receipt.map(|seen| of(seen)),
            }
        });
        let stored_since = known.stored_since.iter().map(|(member, seen)| {
            let (member, nick) = (*member, self.nick(*member));
            StoredSince { member, nick, receipt: of(seen) }
        });
        let source = known.source.map(|source| Source {
            via: source.via,
            nick: self.nick(source.via),
            at: source.at,
            recovered: source.recovered,
            duplicates: Some(source.duplicates),
        });
        let mut why = WhyMessage {
            id,
            handle: self.handle(id),
            kind: message_kind(known.key.stream),
            from: known.key.author,
            nick: self.nick(known.key.author),
            seq,
            incarnation: known.key.run.incarnation,
            to: match known.key.stream {
                Stream::Room => None,
                Stream::To(member) => Some(member),
            },
            text: known.text.clone(),
            said_at: known.said_at,
            known_from: Remembered::ByTheNode,
            deliveries: deliveries.collect(),
            sample_of: known.sample_of,
            own_faults: self.own_faults(known.said_at),
            stored_since: stored_since.collect(),
            sources: source.into_iter().collect(),
            rivals: known.rivals,
            not_known: Vec::new(),
        };
        why.say_what_is_not_known(self.membership.card().value().member);
        self.say_who_came_later(&mut why);
        Some(why)
    }

    /// Adds who is in the room now and was not known to be when a message of one's own was said: nobody of them was asked for a
    /// receipt.
    pub fn say_who_came_later(&self, why: &mut WhyMessage) {
        let me = self.membership.card().value().member;
        let is_all_told = why.from == me && why.sample_of.is_none() && why.sources.is_empty();
        if why.kind != MessageKind::Group || !is_all_told {
            return;
        }
        let is_told = |id: MemberId| {
            let mut asked = why.deliveries.iter().map(|to| to.delivery.member);
            id == me || asked.any(|member| member == id) || why.stored_since.iter().any(|since| since.member == id)
        };
        let here = self.membership.presences().filter(|&(id, _, presence)| presence != Presence::Left && !is_told(id));
        let mut nicks: Vec<String> = here.map(|(id, ..)| self.nick(id)).collect();
        let surplus = nicks.len().saturating_sub(NAMED_MAX);
        nicks.sort();
        nicks.truncate(NAMED_MAX);
        if surplus > 0 {
            nicks.push(format!("{surplus} more"));
        }
        let (has, was) = if nicks.len() == 1 { ("has", "was") } else { ("have", "were") };
        let who = match &nicks[..] {
            [] => return,
            [one] => one.clone(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        };
        why.not_known.push(format!("whether {who} {has} it, who {was} not known to be in the room when it was said"));
    }

    /// Message `seq` of `author`, where it is known to exist and missing here.
    #[must_use]
    pub fn why_missing(&self, author: MemberId, seq: Seq) -> Option<WhyMissing> {
        let holds = |gap: &Gap| gap.author == author && (gap.first..=gap.last).contains(&seq);
        // The newest run: each run counts anew.
        let gap = self.gaps().into_iter().filter(holds).max_by_key(|gap| gap.incarnation)?;
        let next = if self.messaging.is_asked_for(author, gap.incarnation, seq) {
            "it is asked for again whenever a member comes back or holds more than this node, and every ten minutes for a day \
             after the gap was told; what comes late shows as recovered"
        } else {
            "nobody is asked for it from here: it is further back than is asked for, or of a run of which nothing more is taken"
        };
        let not_known = [
            "what it says, and when it was said",
            "whether anybody still keeps it: who was not asked may have it, and who no longer gives it to others may have it in its own log",
        ];
        let not_known = not_known.map(str::to_owned).into();
        Some(WhyMissing { seq, gap, next: next.into(), also_called_so: Vec::new(), not_known })
    }

    /// What this node's own faults may have to do with what was said then.
    fn own_faults(&self, said_at: Option<Wall>) -> Option<OwnFaults> {
        if self.has_faults {
            return Some(OwnFaults::On);
        }
        self.faults_ended.filter(|&ended| said_at.is_none_or(|at| at <= ended)).map(|_| OwnFaults::WereOn)
    }

    pub(super) fn delivery(&self, member: MemberId, delivery: &messaging::Delivery) -> Delivery {
        Delivery {
            member,
            nick: self.nick(member),
            outcome: delivery.outcome,
            attempts: delivery.attempts,
            tries_may_be_missing: delivery.tries_may_be_missing,
            latency_us: delivery.latency_us,
        }
    }
}

/// Members that a sentence names; the rest are counted.
const NAMED_MAX: usize = 8;

fn tried(tried: &messaging::Try) -> Try {
    let (asked_for, flooded) = match tried.way {
        messaging::Way::Pushed => (false, false),
        messaging::Way::AskedFor => (true, false),
        messaging::Way::Flooded => (false, true),
    };
    Try { at: tried.at, attempt: tried.attempt, asked_for, flooded }
}

impl SignatureState {
    #[must_use]
    pub const fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Broken }
    }
}

impl ReceiptEvidence {
    /// What a receipt, a `Signed<Receipt>`, says of message `seq`.
    ///
    /// # Panics
    /// When the bytes are no receipt: they were read when it came.
    #[must_use]
    pub fn new(bytes: &[u8], at: Wall, seq: Seq, signature: SignatureState) -> Self {
        let signed = Signed::<Receipt>::open_trusted(bytes).expect("a kept receipt was read when it came");
        let receipt = signed.value();
        let range = receipt.held.range_over(seq);
        Self {
            at,
            run: receipt.run,
            first: range.map(|range| range.first),
            last: range.map(|range| range.last),
            signature,
            may_be_later: false,
            via: None,
        }
    }
}

impl ReceiptEvidence {
    /// What a receipt says of group message `seq`; `None` where it does not cover it up to a message that `is_here`.
    #[must_use]
    pub fn covering(
        bytes: &[u8],
        at: Wall,
        seq: Seq,
        signature: SignatureState,
        is_here: impl Fn(MessageId) -> bool,
    ) -> Option<Self> {
        let signed = Signed::<Receipt>::open_trusted(bytes).ok()?;
        let range = signed.value().held.range_over(seq).filter(|range| is_here(range.last_id));
        range.map(|_| Self::new(bytes, at, seq, signature))
    }
}

impl WhyMessage {
    /// Adds the sentences about what this evidence cannot tell to `me`, whose node gathered it.
    pub fn say_what_is_not_known(&mut self, me: MemberId) {
        let mut not = Vec::new();
        let of = |wanted: &[Outcome]| -> Vec<&str> {
            let those = self.deliveries.iter().filter(|to| wanted.contains(&to.delivery.outcome));
            those.map(|to| to.delivery.nick.as_str()).collect()
        };
        let [stored, open] = [&[Outcome::Delivered][..], &[Outcome::Sending, Outcome::Unknown]].map(of);
        if !open.is_empty() {
            not.push(format!(
                "whether the message or its receipt was lost, or who should have it is down: {}",
                open.join(", ")
            ));
        }
        let is_flooded = |to: &DeliveryEvidence| to.tries.iter().any(|tried| tried.flooded);
        let is_open = |to: &DeliveryEvidence| matches!(to.delivery.outcome, Outcome::Sending | Outcome::Unknown);
        if self.deliveries.iter().any(|to| is_flooded(to) && is_open(to)) {
            not.push("whether those who pass on what is said here, and the receipts, pass on all of it".into());
        }
        if let Some(members) = self.sample_of {
            let asked = self.deliveries.len();
            not.push(format!(
                "who of the others has it: in a room of {members} others only these {asked} were asked for receipts"
            ));
        }
        let is_too_old =
            |to: &&DeliveryEvidence| to.delivery.outcome == Outcome::Refused && to.reason.as_deref() == Some(TOO_OLD);
        let too_old: Vec<&str> =
            self.deliveries.iter().filter(is_too_old).map(|to| to.delivery.nick.as_str()).collect();
        if !too_old.is_empty() {
            not.push(format!(
                "whether it is there already: who refuses it as too old may have it, and its receipt was lost: {}",
                too_old.join(", ")
            ));
        }
        if self.kind == MessageKind::Group && !of(&[Outcome::Waiting, Outcome::Expired]).is_empty() {
            not.push("whether those for whom it waits or is expired have it from another member by now: their receipts would say so".into());
        }
        if self.kind == MessageKind::Group && self.from == me && self.deliveries.is_empty() {
            not.push(
                "who else has it: nobody known here was asked for a receipt, and who fetched it since says so only with one for something later"
                    .into(),
            );
        }
        if !stored.is_empty() || !self.stored_since.is_empty() {
            not.push(
                "whether anybody read it: a receipt says that it came to a disk, from which it may be gone".into(),
            );
        }
        let may_have_come = |to: &DeliveryEvidence| {
            let is_sent = to.delivery.attempts > 0 || to.delivery.tries_may_be_missing;
            is_sent || to.delivery.outcome == Outcome::Delivered || self.kind == MessageKind::Group
        };
        if self.deliveries.iter().any(may_have_come) {
            not.push(
                "how often it came to a receiver: only the receiver's node counts the copies that it did not show"
                    .into(),
            );
        }
        if self.from != me {
            not.push("when it was said, and how long it took: the time in it is its author's claim".into());
            let text = match self.kind {
                MessageKind::Group => "who else has it: receipts go to its author",
                MessageKind::Private => "whether its author knows that it is here: that is on the author's node",
            };
            not.push(text.into());
        }
        let is_of_earlier = |to: &DeliveryEvidence| to.delivery.attempts > 0 && to.tries.is_empty();
        if self.known_from == Remembered::ByTheNode && self.deliveries.iter().any(is_of_earlier) {
            not.push(
                "when the tries before this node's last start were made: the disk keeps their number alone".into(),
            );
        }
        if self.known_from == Remembered::ByTheDiskAlone {
            not.push("when each try was made, and how often it came again: the disk keeps neither".into());
        }
        self.not_known = not;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Run;

    fn not_known(kind: MessageKind, outcome: Outcome, attempts: u32) -> Vec<String> {
        let (me, bo) = (MemberId([1; 32]), MemberId([2; 32]));
        let delivery = Delivery {
            member: bo,
            nick: "bo".into(),
            outcome,
            attempts,
            tries_may_be_missing: false,
            latency_us: None,
        };
        let (tries, address, held_up) = (Vec::new(), None, None);
        let evidence = DeliveryEvidence { delivery, reason: None, tries, address, held_up, receipt: None };
        let mut why = WhyMessage {
            id: MessageId([1; 32]),
            handle: "k7f3".into(),
            kind,
            from: me,
            nick: "ana".into(),
            seq: 1,
            incarnation: Run { incarnation: 1, boot: 1 }.incarnation,
            to: None,
            text: None,
            said_at: None,
            known_from: Remembered::ByTheNode,
            deliveries: vec![evidence],
            sample_of: None,
            own_faults: None,
            stored_since: Vec::new(),
            sources: Vec::new(),
            rivals: Vec::new(),
            not_known: Vec::new(),
        };
        why.say_what_is_not_known(me);
        why.not_known
    }

    #[test]
    fn of_a_private_message_that_never_left_nothing_is_unknown() {
        assert_eq!(not_known(MessageKind::Private, Outcome::Waiting, 0), Vec::<String>::new());
        let has_copies = |said: Vec<String>| said.iter().any(|said| said.starts_with("how often it came"));
        assert!(has_copies(not_known(MessageKind::Private, Outcome::Sending, 1)));
        assert!(has_copies(not_known(MessageKind::Group, Outcome::Waiting, 0)), "others may give it");
    }
}
