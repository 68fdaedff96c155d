//! How a message stands with one receiver, in sentences: whether it is on its disk and who signed that, each try, and why
//! nothing is sent now.

use super::{Tone, View, count, latency};
use crate::base::text;
use crate::node::api::{
    Delivery, DeliveryEvidence, HeldUp, MessageKind, Outcome, ReceiptEvidence, SignatureState, StoredSince, Try,
};

/// The disk has the count of the last change of the outcome only.
const EARLIER_TRIES: &str = "an earlier run's tries may not be counted";

impl View {
    pub(super) fn receiver(&self, kind: MessageKind, evidence: &DeliveryEvidence) -> String {
        let delivery = &evidence.delivery;
        let who = self.names.named(delivery.member, &delivery.nick);
        let (said, tone) = match delivery.outcome {
            Outcome::Delivered => (self.stored(&who, evidence), Tone::Good),
            Outcome::Sending => (sending(evidence), Tone::Caution),
            Outcome::Waiting => (waiting(kind, evidence), Tone::Caution),
            Outcome::Unknown => (
                format!(
                    "unknown: {}, no receipt; whether the message was lost, the receipt was lost or {who} is down cannot be told apart",
                    sent(delivery)
                ),
                Tone::Caution,
            ),
            Outcome::Refused => {
                let tried = tries(delivery);
                (format!("refused: {who} said no after {tried}{}", because(evidence, ": ")), Tone::Bad)
            }
            Outcome::Expired => (expired(evidence), Tone::Bad),
        };
        format!("  {}", self.ink.paint(tone, &format!("{who}: {said}")))
    }

    fn stored(&self, who: &str, evidence: &DeliveryEvidence) -> String {
        let is_later = evidence.receipt.as_ref().is_some_and(|receipt| receipt.may_be_later);
        let after = match evidence.delivery.latency_us {
            Some(us) if is_later => format!(", of which its first receipt came after {}", latency(us)),
            Some(us) => format!(", of which its receipt came after {}", latency(us)),
            None => String::new(),
        };
        let how = match (evidence.delivery.attempts, evidence.delivery.tries_may_be_missing) {
            (0, false) => "it has it from another member".into(),
            (0, true) => EARLIER_TRIES.into(),
            (_, _) => tries(&evidence.delivery),
        };
        let signed = match &evidence.receipt {
            Some(receipt) => self.signed(who, receipt),
            None => "; its receipt is no longer kept".into(),
        };
        format!("stored on its disk{after}, {how}{signed}")
    }

    pub(super) fn since(&self, stored: &StoredSince) -> String {
        let who = self.names.named(stored.member, &stored.nick);
        let receipt = &stored.receipt;
        let said = format!(
            "{who}: stored on its disk by {}: it was not known to be in the room when this was said, and a receipt that it signed \
             later{} covers it{}, in its run {}{}",
            self.exact_time(receipt.at),
            covered(receipt),
            self.via(receipt),
            receipt.run,
            state(receipt.signature),
        );
        let tone = if stored.receipt.signature == SignatureState::Broken { Tone::Bad } else { Tone::Good };
        format!("  {}", self.ink.paint(tone, &said))
    }

    fn signed(&self, who: &str, receipt: &ReceiptEvidence) -> String {
        let (what, via, state) = (covered(receipt), self.via(receipt), state(receipt.signature));
        let at = self.exact_time(receipt.at);
        let signed = if receipt.may_be_later {
            format!("; of its receipts the newest is kept: {who} signed one{what} that came{via}")
        } else {
            format!("; {who} signed the receipt{what} that came{via}")
        };
        format!("{signed} at {at}, in its run {}{state}", receipt.run)
    }

    fn via(&self, receipt: &ReceiptEvidence) -> String {
        let via = receipt.via.as_ref();
        via.map(|hop| format!(" via {}", self.names.named(hop.member, &hop.nick))).unwrap_or_default()
    }

    /// When each try was made, and which way.
    pub(super) fn tries(&self, evidence: &DeliveryEvidence) -> Option<String> {
        let first = evidence.tries.first()?;
        let tried = |tried: &Try| {
            let asked = if tried.asked_for { " when it asked" } else { "" };
            format!("{}{asked}", self.exact_time(tried.at))
        };
        // Older attempts are not kept, so the first one known need not be the first one made.
        let lately = if first.attempt == 1 { "" } else { "lately " };
        let of = |flooded: bool| -> Vec<String> {
            evidence.tries.iter().filter(|tried| tried.flooded == flooded).map(tried).collect()
        };
        let way = |manner: &str, times: Vec<String>| {
            (!times.is_empty()).then(|| format!("{manner}, {lately}at {}", times.join(", ")))
        };
        let place = evidence.address.map(|address| format!("it was last at {address}"));
        let told = [way("passed on by neighbours", of(true)), way("sent straight to it", of(false)), place];
        Some(format!("    {}", told.into_iter().flatten().collect::<Vec<_>>().join("; ")))
    }
}

fn because(evidence: &DeliveryEvidence, before: &str) -> String {
    evidence.reason.as_ref().map(|why| format!("{before}{}", text::sanitize(why))).unwrap_or_default()
}

fn covered(receipt: &ReceiptEvidence) -> String {
    match (receipt.first, receipt.last) {
        (Some(first), Some(last)) if first != last => format!(" for #{first} to #{last}"),
        (Some(first), _) => format!(" for #{first}"),
        (None, _) => " for its hash".into(),
    }
}

const fn state(signature: SignatureState) -> &'static str {
    match signature {
        SignatureState::Holds => ", and the signature holds",
        SignatureState::HeldWhenItCame => ", and the signature held when it came",
        SignatureState::Broken => ", but what is kept of it does not verify: this proves nothing any more",
    }
}

fn sending(evidence: &DeliveryEvidence) -> String {
    let paused = match evidence.held_up {
        None => "",
        Some(HeldUp::NotHeard) => "; it is not heard now, so it is not sent again until it is",
        Some(HeldUp::NoDirectLink) => "; there is no direct link to it now, so it is not sent again until there is",
        Some(HeldUp::Left) => "; it left the room, so it is not sent again until it is back",
        Some(HeldUp::DiskFullHere) => "; the disk here is full",
        Some(HeldUp::ToBeFetched) => "; it fetches it",
    };
    format!("sending: {}, no receipt yet{paused}", sent(&evidence.delivery))
}

/// What expired is never sent but to a member that asks for it.
fn expired(evidence: &DeliveryEvidence) -> String {
    let delivery = &evidence.delivery;
    match delivery.attempts {
        0 => format!("expired: never sent{}", because(evidence, ", and ")),
        _ => format!(
            "expired{}; {} since then, when it asked, and no receipt yet",
            because(evidence, ": "),
            sent(delivery)
        ),
    }
}

fn waiting(kind: MessageKind, evidence: &DeliveryEvidence) -> String {
    let delivery = &evidence.delivery;
    if (kind, evidence.held_up, delivery.attempts) == (MessageKind::Private, Some(HeldUp::NoDirectLink), 0) {
        return "waiting: not sent, because there is no direct link to it from here, and private messages are not passed on; \
                it is sent once there is one"
            .into();
    }
    let (then, once_linked) = match kind {
        MessageKind::Group => ("it fetches it", "once there is one, or from another member"),
        MessageKind::Private => ("it is sent", "once there is one"),
    };
    let (because, once) = match evidence.held_up {
        Some(HeldUp::Left) => ("it left the room", "once it is back"),
        Some(HeldUp::NotHeard) => ("it is not heard", "once it is"),
        Some(HeldUp::NoDirectLink) => ("there is no direct link to it from here", once_linked),
        Some(HeldUp::DiskFullHere) => ("the disk here is full", "once there is room"),
        Some(HeldUp::ToBeFetched) => ("it was away or slower than the room when it was said", "from whoever has it"),
        // In a large room, from hop to hop; or about to be sent.
        None => ("it could not be reached when it was said", "once it can be"),
    };
    match delivery.attempts {
        0 => format!("waiting: not sent, because {because}; {then} {once}"),
        _ => format!("waiting: {}, and {because}; {then} {once}", sent(delivery)),
    }
}

fn sent(delivery: &Delivery) -> String {
    let earlier = delivery.tries_may_be_missing;
    match delivery.attempts {
        0 if earlier => EARLIER_TRIES.into(),
        0 => "not sent yet".into(),
        // Copies of one try are not counted.
        1 => with_earlier("tried once".into(), earlier),
        n => with_earlier(format!("tried {n} times"), earlier),
    }
}

fn tries(delivery: &Delivery) -> String {
    with_earlier(count(delivery.attempts.into(), "try", "tries"), delivery.tries_may_be_missing)
}

fn with_earlier(counted: String, earlier: bool) -> String {
    if earlier { format!("{counted} ({EARLIER_TRIES})") } else { counted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::events::tests::delivery;
    use crate::view::why_message::tests::evidence;

    #[test]
    fn what_waits_for_a_member_that_can_be_reached_does_not_say_that_it_cannot() {
        let held_up = |why| DeliveryEvidence {
            held_up: Some(why),
            ..evidence(delivery(2, "bo", Outcome::Waiting, 0), vec![], None)
        };
        assert_eq!(
            waiting(MessageKind::Private, &held_up(HeldUp::DiskFullHere)),
            "waiting: not sent, because the disk here is full; it is sent once there is room"
        );
        assert_eq!(
            waiting(MessageKind::Group, &held_up(HeldUp::ToBeFetched)),
            "waiting: not sent, because it was away or slower than the room when it was said; it fetches it from whoever has it"
        );
    }

    #[test]
    fn what_expired_and_was_given_since_says_both() {
        let expired_since = |attempts| {
            let reason = Some("its life of 7 days is over".to_owned());
            expired(&DeliveryEvidence {
                reason,
                ..evidence(delivery(2, "bo", Outcome::Expired, attempts), vec![], None)
            })
        };
        assert_eq!(expired_since(0), "expired: never sent, and its life of 7 days is over");
        assert_eq!(
            expired_since(1),
            "expired: its life of 7 days is over; tried once since then, when it asked, and no receipt yet"
        );
    }

    #[test]
    fn what_waits_for_a_member_that_left_says_so() {
        let left = |attempts| DeliveryEvidence {
            held_up: Some(HeldUp::Left),
            ..evidence(delivery(2, "bo", Outcome::Waiting, attempts), vec![], None)
        };
        let line = |kind, attempts| waiting(kind, &left(attempts));
        assert_eq!(
            line(MessageKind::Private, 0),
            "waiting: not sent, because it left the room; it is sent once it is back"
        );
        assert_eq!(
            line(MessageKind::Group, 0),
            "waiting: not sent, because it left the room; it fetches it once it is back"
        );
    }
}
