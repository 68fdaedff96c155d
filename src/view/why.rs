//! The evidence for a claim, in sentences: where a message is and how that is known, why a member counts as
//! it does. Says what follows from the evidence and no more.

use super::events::is_private;
use super::who::state_word;
use super::{Tone, View, age, count, latency, percent};
use crate::base::{Presence, Wall, text};
use crate::node::api::{
    Delivery, DeliveryEvidence, Evidence, EvidenceKind, Link, Outcome, Source, WhyMember, WhyMessage,
};

impl View {
    /// What happened to a message: one line a receiver, then how it came here.
    #[must_use]
    pub fn why_message(&self, why: &WhyMessage) -> String {
        let from = self.names.named_or_you(why.from, &why.nick);
        let manner = if is_private(why.kind) { "a private message" } else { "a message to the room" };
        let mut lines = vec![format!("{} is {manner} from {from}", self.ink.paint(Tone::Strong, &why.handle))];
        if self.names.is_me(why.from) && why.deliveries.is_empty() {
            lines.push("  it is stored here only: nobody else was in the room".into());
        }
        lines.extend(why.deliveries.iter().map(|evidence| self.receiver(evidence)));
        lines.extend(why.sources.iter().map(|source| self.source(source)));
        lines.join("\n")
    }

    /// Why a member counts as it does: my link and the room's verdict, apart. `now` is for ages.
    #[must_use]
    pub fn why_member(&self, why: &WhyMember, now: Wall) -> String {
        let (state, tone) = state_word(why.state);
        let since = now.0.saturating_sub(why.since.0);
        let mut lines = vec![format!(
            "{} is {} since {} ({})",
            self.ink.paint(Tone::Strong, &self.names.named(why.member, &why.nick)),
            self.ink.paint(tone, state),
            self.clock(why.since),
            age(since)
        )];
        let link = if self.names.is_me(why.member) { "this is you".into() } else { link(&why.link, why.state) };
        lines.push(format!("your link: {link}"));
        let verdict = &why.verdict;
        if verdict.reports.is_empty() && verdict.contradictions.is_empty() && verdict.evidence.is_empty() {
            lines.push("the room's verdict: nobody reports anything".into());
        }
        let parts = [
            ("the room's verdict rests on", &verdict.evidence),
            ("reports", &verdict.reports),
            ("contradictions", &verdict.contradictions),
        ];
        for (title, items) in parts {
            if !items.is_empty() {
                lines.push(format!("{title}:"));
                lines.extend(items.iter().map(|item| self.item(item)));
            }
        }
        lines.join("\n")
    }

    fn receiver(&self, evidence: &DeliveryEvidence) -> String {
        let delivery = &evidence.delivery;
        let who = self.names.named(delivery.member, &delivery.nick);
        let (said, tone) = match delivery.outcome {
            Outcome::Delivered => (self.stored(&who, evidence), Tone::Good),
            Outcome::Sending => (format!("sending: {}, no receipt yet", self.tried(evidence)), Tone::Caution),
            Outcome::Waiting => ("waiting: not sent, because it is not reachable".into(), Tone::Caution),
            Outcome::Unknown => (self.unknown(&who, evidence), Tone::Caution),
            Outcome::Refused => (format!("refused: {who} said no after {}", tries(delivery)), Tone::Bad),
            Outcome::Expired => ("expired: never sent, and its life of 7 days is over".into(), Tone::Bad),
        };
        format!("  {}", self.ink.paint(tone, &format!("{who}: {said}")))
    }

    fn stored(&self, who: &str, evidence: &DeliveryEvidence) -> String {
        let after = evidence.delivery.latency_us.map(|us| format!(" after {}", latency(us))).unwrap_or_default();
        let tries = tries(&evidence.delivery);
        let signed = evidence.receipt.as_ref().map_or_else(String::new, |receipt| {
            let at = self.clock(receipt.at);
            format!("; {who} signed the receipt that came at {at}, in its run {}", receipt.run)
        });
        format!("stored on its disk{after}, {tries}{signed}")
    }

    fn unknown(&self, who: &str, evidence: &DeliveryEvidence) -> String {
        format!(
            "unknown: {}, no receipt; whether the message was lost, the receipt was lost or {who} is down cannot be told apart",
            self.tried(evidence)
        )
    }

    fn tried(&self, evidence: &DeliveryEvidence) -> String {
        let sent = match evidence.delivery.attempts {
            1 => "sent once".into(),
            n => format!("sent {n} times"),
        };
        match evidence.tries.as_slice() {
            [] => sent,
            [one] => format!("{sent}, at {}", self.clock(one.at)),
            [first, .., last] => {
                // Older attempts are not kept, so the first one known need not be the first one made.
                let from = if first.attempt == 1 { "from" } else { "lately from" };
                format!("{sent}, {from} {} to {}", self.clock(first.at), self.clock(last.at))
            }
        }
    }

    fn source(&self, source: &Source) -> String {
        let via = self.names.named_or_you(source.via, &source.nick);
        let how = if source.recovered { "it was recovered via" } else { "it came from" };
        let again = match source.duplicates {
            0 => String::new(),
            n => format!(", and {} came later and {} not shown", count(n, "copy", "copies"), were(n)),
        };
        format!("  {how} {via} at {}{again}", self.clock(source.at))
    }

    fn item(&self, item: &Evidence) -> String {
        let by = self.names.named_or_you(item.by, &item.nick);
        let verb = match item.kind {
            EvidenceKind::Heard => "heard by",
            EvidenceKind::Silence => "silence noticed by",
            EvidenceKind::Report => "reported by",
            EvidenceKind::Contradiction => "contradicted by",
            EvidenceKind::Withdrawal => "withdrawn by",
            EvidenceKind::Card => "card signed by",
            EvidenceKind::Leave => "leave signed by",
            // The member says nothing here: this node remembers it.
            EvidenceKind::Restored => {
                return format!("  restored at {}: {}", self.clock(item.at), text::sanitize(&item.detail));
            }
        };
        let mut line = format!("  {verb} {by} at {}", self.clock(item.at));
        if !item.detail.is_empty() {
            line.push_str(": ");
            line.push_str(&text::sanitize(&item.detail));
        }
        let tick = item.tick.map(|tick| format!("tick {tick}"));
        let run = item.run.map(|run| format!("run {run}"));
        let facts: Vec<String> = [tick, run].into_iter().flatten().collect();
        if facts.is_empty() { line } else { format!("{line} ({})", facts.join(", ")) }
    }
}

fn were(n: u64) -> &'static str {
    if n == 1 { "was" } else { "were" }
}

fn tries(delivery: &Delivery) -> String {
    count(delivery.attempts.into(), "try", "tries")
}

fn link(link: &Link, state: Presence) -> String {
    let unheard = if state == Presence::Alive { "no direct link" } else { "never heard" };
    let mut facts = vec![link.heard_ms_ago.map_or_else(|| unheard.into(), |ms| format!("heard {} ago", age(ms)))];
    match link.hears_me {
        Some(true) => facts.push("hears you".into()),
        Some(false) => facts.push("does not hear you".into()),
        None => (),
    }
    facts.extend(link.rtt_us.map(|us| format!("round trip {}", latency(us))));
    let losses = [("from it", link.loss_in), ("to it", link.loss_out)];
    facts.extend(losses.into_iter().filter_map(|(way, loss)| loss.map(|loss| format!("loss {way} {}", percent(loss)))));
    facts.extend(link.address.map(|address| format!("at {address}")));
    facts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MessageId, PerMille, Run};
    use crate::node::api::{MessageKind, ReceiptEvidence, Try, Verdict};
    use crate::view::events::tests::{delivery, evidence, view};
    use crate::view::names::tests::id;

    const AT: Wall = Wall(1_700_000_000_250);

    fn tried(attempts: std::ops::RangeInclusive<u32>) -> Vec<Try> {
        attempts.map(|attempt| Try { at: Wall(AT.0 + 1_000 * u64::from(attempt)), attempt }).collect()
    }

    fn message(from: u8, deliveries: Vec<DeliveryEvidence>, sources: Vec<Source>) -> WhyMessage {
        WhyMessage {
            id: MessageId([1; 32]),
            handle: "k7f3".into(),
            kind: MessageKind::Group,
            from: id(from),
            nick: if from == 1 { "ana" } else { "bo" }.into(),
            deliveries,
            sources,
        }
    }

    #[test]
    fn why_a_message_tells_each_receivers_evidence() {
        let stored = DeliveryEvidence {
            delivery: Delivery { latency_us: Some(23_000), ..delivery(2, "bo", Outcome::Delivered, 1) },
            tries: tried(1..=1),
            receipt: Some(ReceiptEvidence { at: AT, run: Run { incarnation: 17, boot: 0xab12 << 48 } }),
        };
        let unknown =
            DeliveryEvidence { delivery: delivery(3, "cy", Outcome::Unknown, 9), tries: tried(1..=9), receipt: None };
        let waiting =
            DeliveryEvidence { delivery: delivery(4, "dee", Outcome::Waiting, 0), tries: vec![], receipt: None };
        assert_eq!(
            view().why_message(&message(1, vec![stored, unknown, waiting], vec![])),
            "\
k7f3 is a message to the room from you
  bo: stored on its disk after 23 ms, 1 try; bo signed the receipt that came at 22:13:20.250, in its run 17.ab12
  cy: unknown: sent 9 times, from 22:13:21.250 to 22:13:29.250, no receipt; whether the message was lost, the receipt was lost or cy is down cannot be told apart
  dee: waiting: not sent, because it is not reachable"
        );
        assert_eq!(
            view().why_message(&message(1, vec![], vec![])),
            "k7f3 is a message to the room from you\n  it is stored here only: nobody else was in the room"
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
        assert_eq!(
            view().why_message(&message(2, vec![], vec![source(2, "bo", false, 1), source(3, "cy", true, 0)])),
            "\
k7f3 is a message to the room from bo
  it came from bo at 22:13:20.250, and 1 copy came later and was not shown
  it was recovered via cy at 22:13:20.250"
        );
    }

    #[test]
    fn why_a_member_keeps_link_and_verdict_apart() {
        let run = Run { incarnation: 17, boot: 0xab12 << 48 };
        let report =
            Evidence { tick: Some(7), run: Some(run), ..evidence(EvidenceKind::Report, 3, "cy", "5 probes lost") };
        let why = WhyMember {
            member: id(2),
            nick: "bo".into(),
            state: Presence::Unreachable,
            since: AT,
            link: Link {
                heard_ms_ago: Some(46_000),
                hears_me: Some(false),
                rtt_us: Some(812),
                loss_in: Some(PerMille(0)),
                loss_out: Some(PerMille(30)),
                address: Some("192.168.1.6:4460".parse().unwrap()),
            },
            verdict: Verdict {
                reports: vec![report],
                contradictions: vec![],
                evidence: vec![evidence(EvidenceKind::Card, 2, "bo", "")],
            },
        };
        assert_eq!(
            view().why_member(&why, Wall(AT.0 + 42_000)),
            "\
bo is unreachable since 22:13:20.250 (42 s)
your link: heard 46 s ago, does not hear you, round trip 0.8 ms, loss from it 0 %, loss to it 3 %, at 192.168.1.6:4460
the room's verdict rests on:
  card signed by bo at 22:13:20.000
reports:
  reported by cy at 22:13:20.000: 5 probes lost (tick 7, run 17.ab12)"
        );
        let oneself = WhyMember { member: id(1), nick: "ana".into(), ..why.clone() };
        assert_eq!(view().why_member(&oneself, AT).lines().nth(1), Some("your link: this is you"));
        let unheard = WhyMember {
            state: Presence::Alive,
            link: Link {
                heard_ms_ago: None,
                hears_me: None,
                rtt_us: None,
                loss_in: None,
                loss_out: None,
                address: None,
            },
            verdict: Verdict { reports: vec![], contradictions: vec![], evidence: vec![] },
            ..why
        };
        assert_eq!(
            view().why_member(&unheard, AT),
            "bo is alive since 22:13:20.250 (0.0 s)\nyour link: no direct link\nthe room's verdict: nobody reports anything"
        );
    }
}
