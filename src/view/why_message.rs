//! The evidence about a message, in sentences: where it is and how that is known, how it came here, and what nobody here
//! can know. Says what follows from the evidence and no more.

use super::events::{SENT_LATE_MS_MIN, is_private};
use super::proof::left_out;
use super::{Tone, View, age, count};
use crate::base::{Incarnation, MemberId, Wall, text};
use crate::node::api::{DeliveryEvidence, Outcome, OwnFaults, Remembered, Source, WhyMessage, WhyMissing};

/// Seconds since 1970 by which no node can have been started: lower ones are counts.
const SECONDS_MIN: Incarnation = 1_000_000_000;
/// Characters of an id that stands alone: as much as tells messages apart anywhere.
const ID_CHARS: usize = 12;

impl View {
    /// What happened to a message: a line or two a receiver, then how it came here, then what is not known.
    #[must_use]
    pub fn why_message(&self, why: &WhyMessage) -> String {
        let from = self.names.named_or_you(why.from, &why.nick);
        let manner = if is_private(why.kind) { "a private message" } else { "a message to the room" };
        let to = why.to.map(|to| self.receiver_of(why, to)).unwrap_or_default();
        let handle = self.ink.paint(Tone::Strong, &why.handle);
        let (seq, run) = (why.seq, self.run_of(why.from, why.incarnation));
        let mut lines = vec![format!("{handle} is {manner} from {from}{to}: #{seq}{to} of {run}")];
        if let Some(said) = &why.text {
            lines.push(format!("  it says: {}", text::sanitize(said).replace('\n', "\n    ")));
            lines.extend(left_out(said).map(|left_out| format!("    {left_out}; --json has the text")));
        }
        if let Some(said_at) = why.said_at {
            let claims = if self.names.is_me(why.from) { "you said" } else { &format!("{from} claims to have said") };
            lines.push(format!("  {claims} it at {}", self.exact_time(said_at)));
        }
        match why.known_from {
            Remembered::ByTheNode => {}
            Remembered::ByTheDiskAlone => lines.push("  only the disk still knows what became of it".into()),
        }
        if self.names.is_me(why.from) && why.deliveries.is_empty() {
            lines.push(if why.sources.is_empty() {
                "  nobody was known to be here when it was said, so nobody was asked for a receipt".into()
            } else {
                "  this home had lost it: to whom it was sent, and who was here then, is not known any more".into()
            });
        }
        if let Some(members) = why.sample_of {
            lines.push(format!(
                "  a sample: of {members} others only these {} were asked for receipts",
                why.deliveries.len()
            ));
        }
        for evidence in &why.deliveries {
            lines.push(self.receiver(why.kind, evidence));
            lines.extend(self.tries(evidence));
        }
        let is_open = |to: &DeliveryEvidence| matches!(to.delivery.outcome, Outcome::Sending | Outcome::Unknown);
        match why.own_faults.filter(|_| why.deliveries.iter().any(is_open)) {
            None => {}
            Some(OwnFaults::On) => lines.push(self.ink.paint(
                Tone::Caution,
                "  fault injection is on at this node: it may drop what is sent from here, and the receipts",
            )),
            Some(OwnFaults::WereOn) => lines.push(self.ink.paint(
                Tone::Caution,
                "  fault injection was on at this node since it was said: it may have dropped what was sent, and the receipts",
            )),
        }
        lines.extend(why.stored_since.iter().map(|stored| self.since(stored)));
        lines.extend(why.sources.iter().map(|source| self.source(why, source)));
        for rival in &why.rivals {
            let warning = format!(
                "  warning: {from} signed another message under the same number, {}: it told different people different things",
                rival.handle(ID_CHARS)
            );
            lines.push(self.ink.paint(Tone::Bad, &warning));
        }
        if !why.not_known.is_empty() {
            lines.push("not known:".into());
            lines.extend(why.not_known.iter().map(|said| format!("  {}", text::sanitize(said))));
        }
        lines.join("\n")
    }

    /// `its run since 14:03:22 by its clock`: a run is numbered by the second in which it began, or one above the run before.
    fn run_of(&self, author: MemberId, incarnation: Incarnation) -> String {
        let is_mine = self.names.is_me(author);
        let (whose, clock) = if is_mine { ("your", "") } else { ("its", " by its clock") };
        if incarnation < SECONDS_MIN {
            return format!("{whose} run {incarnation}");
        }
        format!("{whose} run since {}{clock}", self.time(Wall(incarnation.saturating_mul(1_000))))
    }

    fn receiver_of(&self, why: &WhyMessage, to: MemberId) -> String {
        let delivery = why.deliveries.iter().map(|of| &of.delivery).find(|delivery| delivery.member == to);
        let nick = delivery.map_or("", |delivery| delivery.nick.as_str());
        format!(" to {}", self.names.named_or_you(to, nick))
    }

    /// A message that exists and is missing here: who was asked for it, and what happens next.
    #[must_use]
    pub fn why_missing(&self, why: &WhyMissing) -> String {
        let author = self.names.named(why.gap.author, &why.gap.nick);
        let called = format!("{author}#{}", why.seq);
        let name = self.ink.paint(Tone::Strong, &called);
        let run = self.run_of(why.gap.author, why.gap.incarnation);
        let mut lines = vec![
            format!(
                "{name} of {run} is a message to the room that is missing here; a later one of {author} proves that it was said"
            ),
            format!("  {}", self.gap(&why.gap)),
            format!("  next: {}", text::sanitize(&why.next)),
        ];
        let others = why.also_called_so.iter().map(|other| text::sanitize(other));
        lines.extend(others.map(|other| format!("  another message that is {called} is here: {other}")));
        lines.push("not known:".into());
        lines.extend(why.not_known.iter().map(|said| format!("  {}", text::sanitize(said))));
        lines.join("\n")
    }

    fn source(&self, why: &WhyMessage, source: &Source) -> String {
        let via = self.names.named_or_you(source.via, &source.nick);
        let how = match source.recovered {
            true => "it was recovered via",
            false if source.via != why.from => "it was passed on by",
            false => "it came from",
        };
        let late = why.said_at.map(|said_at| source.at.0.saturating_sub(said_at.0));
        let late = late.filter(|&ms| source.recovered || ms >= SENT_LATE_MS_MIN);
        let late = late.map(|ms| format!(", {} after that", age(ms))).unwrap_or_default();
        let again = match source.duplicates {
            None | Some(0) => String::new(),
            Some(n) => {
                format!(", and {} came since this node started and {} not shown", count(n, "copy", "copies"), were(n))
            }
        };
        format!("  {how} {via} at {}{late}{again}", self.exact_time(source.at))
    }
}

fn were(n: u64) -> &'static str {
    if n == 1 { "was" } else { "were" }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::{MessageId, Run};
    use crate::node::api::{Answer, Asked, Gap, Hop};
    use crate::node::api::{Delivery, HeldUp, MessageKind, ReceiptEvidence, SignatureState, StoredSince, Try};
    use crate::view::events::tests::{delivery, view};
    use crate::view::names::tests::id;

    const AT: Wall = Wall(1_700_000_000_250);

    fn tried(attempts: std::ops::RangeInclusive<u32>) -> Vec<Try> {
        let at = |attempt| Wall(AT.0 + 1_000 * u64::from(attempt));
        attempts.map(|attempt| Try { at: at(attempt), attempt, asked_for: attempt == 3, flooded: false }).collect()
    }

    pub(in crate::view) fn evidence(
        delivery: Delivery,
        tries: Vec<Try>,
        receipt: Option<ReceiptEvidence>,
    ) -> DeliveryEvidence {
        let address = Some("192.168.1.6:4460".parse().unwrap()).filter(|_| !tries.is_empty());
        DeliveryEvidence { delivery, reason: None, tries, address, held_up: None, receipt }
    }

    fn message(from: u8, deliveries: Vec<DeliveryEvidence>, sources: Vec<Source>) -> WhyMessage {
        WhyMessage {
            id: MessageId([1; 32]),
            handle: "k7f3".into(),
            kind: MessageKind::Group,
            from: id(from),
            nick: if from == 1 { "ana" } else { "bo" }.into(),
            seq: 12,
            incarnation: 1,
            to: None,
            text: None,
            said_at: Some(Wall(AT.0 - 42_000)),
            known_from: Remembered::ByTheNode,
            deliveries,
            sample_of: None,
            own_faults: None,
            stored_since: Vec::new(),
            sources,
            rivals: Vec::new(),
            not_known: Vec::new(),
        }
    }

    fn receipt(first: u64, last: u64) -> ReceiptEvidence {
        ReceiptEvidence {
            at: AT,
            run: Run { incarnation: 17, boot: 0xab12 << 48 },
            first: Some(first),
            last: Some(last),
            signature: SignatureState::Holds,
            may_be_later: false,
            via: None,
        }
    }

    #[test]
    fn why_a_message_tells_each_receivers_evidence() {
        let stored = Delivery { latency_us: Some(23_000), ..delivery(2, "bo", Outcome::Delivered, 1) };
        let stored = evidence(stored, tried(1..=1), Some(receipt(10, 14)));
        let unknown = evidence(delivery(3, "cy", Outcome::Unknown, 4), tried(2..=4), None);
        let waiting = evidence(delivery(4, "dee", Outcome::Waiting, 0), vec![], None);
        let why =
            WhyMessage { not_known: vec!["one thing".into()], ..message(1, vec![stored, unknown, waiting], vec![]) };
        assert_eq!(
            view().why_message(&why),
            "\
k7f3 is a message to the room from you: #12 of your run 1
  you said it at 22:12:38.250
  bo: stored on its disk, of which its receipt came after 23 ms, 1 try; bo signed the receipt for #10 to #14 that came at 22:13:20.250, in its run 17.ab12, and the signature holds
    sent straight to it, at 22:13:21.250; it was last at 192.168.1.6:4460
  cy: unknown: tried 4 times, no receipt; whether the message was lost, the receipt was lost or cy is down cannot be told apart
    sent straight to it, lately at 22:13:22.250, 22:13:23.250 when it asked, 22:13:24.250; it was last at 192.168.1.6:4460
  dee: waiting: not sent, because it could not be reached when it was said; it fetches it once it can be
not known:
  one thing"
        );
    }

    #[test]
    fn why_a_message_said_to_nobody_known_tells_who_stored_it_since() {
        let mut why = message(1, vec![], vec![]);
        assert_eq!(
            view().why_message(&why),
            "\
k7f3 is a message to the room from you: #12 of your run 1
  you said it at 22:12:38.250
  nobody was known to be here when it was said, so nobody was asked for a receipt"
        );
        why.stored_since = vec![StoredSince { member: id(2), nick: "bo".into(), receipt: receipt(12, 13) }];
        assert_eq!(
            view().why_message(&why),
            "\
k7f3 is a message to the room from you: #12 of your run 1
  you said it at 22:12:38.250
  nobody was known to be here when it was said, so nobody was asked for a receipt
  bo: stored on its disk by 22:13:20.250: it was not known to be in the room when this was said, and a receipt that it signed later for #12 to #13 covers it, in its run 17.ab12, and the signature holds"
        );
        let source = Source { via: id(3), nick: "cy".into(), at: AT, recovered: true, duplicates: None };
        assert_eq!(
            view().why_message(&message(1, vec![], vec![source])),
            "\
k7f3 is a message to the room from you: #12 of your run 1
  you said it at 22:12:38.250
  this home had lost it: to whom it was sent, and who was here then, is not known any more
  it was recovered via cy at 22:13:20.250, 42 s after that"
        );
    }

    #[test]
    fn why_a_message_that_went_from_hop_to_hop_says_so() {
        let flooded = |attempt| Try { at: AT, attempt, asked_for: false, flooded: true };
        let via = Some(Hop { member: id(3), nick: "cy".into() });
        let stored = delivery(2, "bo", Outcome::Delivered, 1);
        let mut stored = evidence(stored, vec![flooded(1)], Some(ReceiptEvidence { via, ..receipt(12, 12) }));
        stored.address = None;
        let mut unknown = evidence(delivery(4, "dee", Outcome::Unknown, 2), vec![flooded(1)], None);
        unknown.tries.extend(tried(2..=2));
        let why = WhyMessage { sample_of: Some(999), ..message(1, vec![stored, unknown], vec![]) };
        assert_eq!(
            view().why_message(&why),
            "\
k7f3 is a message to the room from you: #12 of your run 1
  you said it at 22:12:38.250
  a sample: of 999 others only these 2 were asked for receipts
  bo: stored on its disk, 1 try; bo signed the receipt for #12 that came via cy at 22:13:20.250, in its run 17.ab12, and the signature holds
    passed on by neighbours, at 22:13:20.250
  dee: unknown: tried 2 times, no receipt; whether the message was lost, the receipt was lost or dee is down cannot be told apart
    passed on by neighbours, at 22:13:20.250; sent straight to it, at 22:13:22.250; it was last at 192.168.1.6:4460"
        );
        let source = Source { via: id(3), nick: "cy".into(), at: AT, recovered: false, duplicates: Some(2) };
        let passed_on = WhyMessage { said_at: None, ..message(2, vec![], vec![source]) };
        assert_eq!(
            view().why_message(&passed_on),
            "\
k7f3 is a message to the room from bo: #12 of its run 1
  it was passed on by cy at 22:13:20.250, and 2 copies came since this node started and were not shown"
        );
    }

    #[test]
    fn why_a_message_is_not_sent_now_is_said_and_so_are_ones_own_faults() {
        let held_up = |outcome, attempts, held_up| DeliveryEvidence {
            held_up: Some(held_up),
            ..evidence(delivery(2, "bo", outcome, attempts), vec![], None)
        };
        let mut why = message(1, vec![held_up(Outcome::Sending, 4, HeldUp::NotHeard)], vec![]);
        why.own_faults = Some(OwnFaults::On);
        assert_eq!(
            view().why_message(&why),
            "\
k7f3 is a message to the room from you: #12 of your run 1
  you said it at 22:12:38.250
  bo: sending: tried 4 times, no receipt yet; it is not heard now, so it is not sent again until it is
  fault injection is on at this node: it may drop what is sent from here, and the receipts"
        );
        let waits = vec![held_up(Outcome::Waiting, 0, HeldUp::NoDirectLink)];
        let (kind, to, text) = (MessageKind::Private, Some(id(2)), Some("psst".into()));
        let why = WhyMessage { kind, to, text, own_faults: Some(OwnFaults::On), ..message(1, waits, vec![]) };
        assert_eq!(
            view().why_message(&why),
            "\
k7f3 is a private message from you to bo: #12 to bo of your run 1
  it says: psst
  you said it at 22:12:38.250
  bo: waiting: not sent, because there is no direct link to it from here, and private messages are not passed on; it is sent once there is one"
        );
    }

    #[test]
    fn why_a_missing_message_tells_who_was_asked() {
        let asked = vec![Asked { member: id(3), nick: "cy".into(), answer: Answer::NoAnswer }];
        let gap =
            Gap { author: id(2), nick: "bo".into(), incarnation: 1, first: 6, last: 8, asked, of_earlier_run: true };
        let also_called_so = vec!["k7f3dmxq2abc (bo to ana, 22:13:20: \"psst\")".into()];
        let (next, not_known) = ("it is asked for".into(), vec!["what it says".into()]);
        let why = WhyMissing { seq: 7, gap, next, also_called_so, not_known };
        assert_eq!(
            view().why_missing(&why),
            "\
bo#7 of its run 1 is a message to the room that is missing here; a later one of bo proves that it was said
  gap: bo#6–8 of an earlier run, asked cy (no answer yet)
  next: it is asked for
  another message that is bo#7 is here: k7f3dmxq2abc (bo to ana, 22:13:20: \"psst\")
not known:
  what it says"
        );
    }

    #[test]
    fn why_a_message_does_not_join_a_latency_to_a_later_receipt() {
        let later = ReceiptEvidence { may_be_later: true, ..receipt(1, 14) };
        let delivery = Delivery { latency_us: Some(1_500), ..delivery(2, "bo", Outcome::Delivered, 1) };
        let why = message(1, vec![evidence(delivery, vec![], Some(later))], vec![]);
        assert_eq!(
            view().why_message(&why),
            "\
k7f3 is a message to the room from you: #12 of your run 1
  you said it at 22:12:38.250
  bo: stored on its disk, of which its first receipt came after 1.5 ms, 1 try; of its receipts the newest is kept: bo signed one for #1 to #14 that came at 22:13:20.250, in its run 17.ab12, and the signature holds"
        );
    }

    #[test]
    fn why_a_message_that_only_the_disk_has_says_so() {
        let broken = ReceiptEvidence { signature: SignatureState::Broken, first: None, last: None, ..receipt(1, 1) };
        let fetched = evidence(delivery(2, "bo", Outcome::Delivered, 0), vec![], Some(broken));
        let unproven = evidence(delivery(3, "cy", Outcome::Delivered, 2), vec![], None);
        let refused = evidence(delivery(4, "dee", Outcome::Refused, 1), vec![], None);
        let refused = DeliveryEvidence { reason: Some("its disk is full".into()), ..refused };
        let why = WhyMessage {
            known_from: Remembered::ByTheDiskAlone,
            ..message(1, vec![fetched, unproven, refused], vec![])
        };
        assert_eq!(
            view().why_message(&why),
            "\
k7f3 is a message to the room from you: #12 of your run 1
  you said it at 22:12:38.250
  only the disk still knows what became of it
  bo: stored on its disk, it has it from another member; bo signed the receipt for its hash that came at 22:13:20.250, in its run 17.ab12, but what is kept of it does not verify: this proves nothing any more
  cy: stored on its disk, 2 tries; its receipt is no longer kept
  dee: refused: dee said no after 1 try: its disk is full"
        );
    }

    #[test]
    fn why_a_message_does_not_deny_the_tries_of_an_earlier_run() {
        let earlier = |member, nick, outcome, attempts| {
            let delivery = Delivery { tries_may_be_missing: true, ..delivery(member, nick, outcome, attempts) };
            evidence(delivery, vec![], None)
        };
        let deliveries = vec![
            earlier(2, "bo", Outcome::Delivered, 0),
            earlier(3, "cy", Outcome::Delivered, 2),
            earlier(4, "dee", Outcome::Unknown, 0),
        ];
        assert_eq!(
            view().why_message(&message(1, deliveries, vec![])),
            "\
k7f3 is a message to the room from you: #12 of your run 1
  you said it at 22:12:38.250
  bo: stored on its disk, an earlier run's tries may not be counted; its receipt is no longer kept
  cy: stored on its disk, 2 tries (an earlier run's tries may not be counted); its receipt is no longer kept
  dee: unknown: an earlier run's tries may not be counted, no receipt; whether the message was lost, the receipt was lost or dee is down cannot be told apart"
        );
    }

    #[test]
    fn why_a_message_of_somebody_else_tells_how_it_came() {
        let source = |via, nick: &str, recovered, duplicates| Source {
            via: id(via),
            nick: nick.into(),
            at: AT,
            recovered,
            duplicates,
        };
        let sources = vec![source(2, "bo", false, Some(1)), source(3, "cy", true, None)];
        let why = WhyMessage { rivals: vec![MessageId([9; 32])], ..message(2, vec![], sources) };
        let rival = MessageId([9; 32]).handle(12);
        assert_eq!(
            view().why_message(&why),
            format!(
                "\
k7f3 is a message to the room from bo: #12 of its run 1
  bo claims to have said it at 22:12:38.250
  it came from bo at 22:13:20.250, 42 s after that, and 1 copy came since this node started and was not shown
  it was recovered via cy at 22:13:20.250, 42 s after that
  warning: bo signed another message under the same number, {rival}: it told different people different things"
            )
        );
    }
}
