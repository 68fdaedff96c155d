//! How the deliveries of a message stand, in one line. Owns the words for outcomes and what they rest on.

use super::{Tone, View, count, list};
use crate::base::{MemberId, text};
use crate::node::api::{Delivery, Outcome};

impl View {
    /// How the deliveries of a message stand: `k7f3 stored by 2 of 3, cy unknown`.
    #[must_use]
    pub fn delivery(&self, handle: &str, deliveries: &[Delivery], reason: Option<&str>) -> String {
        self.sampled_delivery(handle, deliveries, None, reason)
    }

    /// What is stored here, and was not waited for: `k7f3 stored here, on its way to bo and cy`.
    #[must_use]
    pub fn on_its_way(&self, handle: &str, deliveries: &[Delivery]) -> String {
        let who: Vec<String> = deliveries.iter().map(|to| self.names.named(to.member, &to.nick)).collect();
        self.ink.paint(Tone::Faint, &format!("{handle} stored here, on its way to {}", some_of(&who)))
    }

    /// `31 messages, k7f3 to 2xqa, expired for bo: never sent`.
    #[must_use]
    pub fn expired(&self, to: MemberId, handles: &[String]) -> String {
        let which = match handles {
            [] => return String::new(),
            [one] => one.clone(),
            [first, .., last] => format!("{} messages, {first} to {last},", handles.len()),
        };
        self.ink.paint(Tone::Bad, &format!("{which} expired for {}: never sent", self.names.named(to, "")))
    }

    /// Of a private message to somebody who is alive, and to whom only others have a link.
    #[must_use]
    pub fn without_a_link(&self, handle: &str, to: &Delivery) -> String {
        let who = self.names.named(to.member, &to.nick);
        let said = format!(
            "{handle} waiting for a direct link to {who}: there is none from here, and private messages are not passed on"
        );
        self.ink.paint(Tone::Caution, &said)
    }

    /// The same, where the deliveries may be a sample of so many members.
    #[must_use]
    pub fn sampled_delivery(
        &self,
        handle: &str,
        deliveries: &[Delivery],
        sample_of: Option<u32>,
        reason: Option<&str>,
    ) -> String {
        let mut line =
            delivery_line(handle, deliveries, reason, |delivery| self.names.named(delivery.member, &delivery.nick));
        if let Some(members) = sample_of {
            line = format!("{line} (only {} of {members} were asked)", deliveries.len());
        }
        self.ink.paint(worst_tone(deliveries), &line)
    }
}

/// The deliveries of one message in one line; `name` says what a receiver is called. *Stored* means that it
/// is on the receiver's disk, which the receiver signed.
fn delivery_line(
    handle: &str,
    deliveries: &[Delivery],
    reason: Option<&str>,
    name: impl Fn(&Delivery) -> String,
) -> String {
    let is_refused = deliveries.iter().any(|delivery| delivery.outcome == Outcome::Refused);
    let mut reason = reason.filter(|_| is_refused).map(text::sanitize);
    match deliveries {
        [] => format!("{handle} stored here; nobody is known to be here now, who comes fetches it"),
        [one] => {
            let who = name(one);
            let said = match one.outcome {
                Outcome::Delivered => format!("stored by {who}"),
                Outcome::Waiting if one.attempts == 0 => format!("waiting for {who}, not sent yet"),
                Outcome::Waiting => format!("waiting for {who}"),
                Outcome::Sending => format!("sending to {who}"),
                Outcome::Unknown => {
                    format!("unknown for {who}: {}", no_receipt(one))
                }
                Outcome::Refused => format!("refused by {who}"),
                Outcome::Expired => format!("expired before {who} was reachable"),
            };
            reason.map_or_else(|| format!("{handle} {said}"), |reason| format!("{handle} {said}: {reason}"))
        }
        all => {
            let stored = all.iter().filter(|delivery| delivery.outcome == Outcome::Delivered).count();
            let mut line = format!("{handle} stored by {stored} of {}", all.len());
            for (outcome, word) in OPEN_OUTCOMES {
                let who: Vec<String> = all.iter().filter(|delivery| delivery.outcome == outcome).map(&name).collect();
                if !who.is_empty() {
                    // A reason is that of who refused, and stands beside it.
                    let reason = reason.take_if(|_| outcome == Outcome::Refused);
                    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                    line = format!("{line}, {} {word}{reason}", some_of(&who));
                }
            }
            reason.map_or(line.clone(), |reason| format!("{line}: {reason}"))
        }
    }
}

/// All names where they are few, else the first ones and how many more there are: `--json` and `why` have all.
fn some_of(who: &[String]) -> String {
    if who.len() <= NAMED_MAX {
        return list(who);
    }
    format!("{} and {} more", who[..NAMED_MAX - 1].join(", "), who.len() - (NAMED_MAX - 1))
}

/// Names of one outcome in a line: what fits beside the rest of it.
const NAMED_MAX: usize = 4;

/// What an unknown outcome rests on.
fn no_receipt(delivery: &Delivery) -> String {
    let counted = match delivery.attempts {
        0 => "no receipt".into(),
        n => format!("no receipt after {}", count(n.into(), "try", "tries")),
    };
    if delivery.tries_may_be_missing {
        format!("{counted}, and tries before the restart may not be counted")
    } else {
        counted
    }
}

/// Every outcome but `delivered`, in the order in which a person would want to know.
const OPEN_OUTCOMES: [(Outcome, &str); 5] = [
    (Outcome::Refused, "refused"),
    (Outcome::Unknown, "unknown"),
    (Outcome::Expired, "expired"),
    (Outcome::Waiting, "waiting"),
    (Outcome::Sending, "sending"),
];

fn worst_tone(deliveries: &[Delivery]) -> Tone {
    let any = |outcomes: &[Outcome]| deliveries.iter().any(|delivery| outcomes.contains(&delivery.outcome));
    if any(&[Outcome::Refused, Outcome::Expired]) {
        Tone::Bad
    } else if any(&[Outcome::Unknown, Outcome::Waiting]) {
        Tone::Caution
    } else {
        Tone::Faint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::events::tests::{delivery, view};

    #[test]
    fn the_reason_stands_beside_who_gave_it() {
        let deliveries = [
            delivery(2, "bo", Outcome::Delivered, 1),
            delivery(3, "cy", Outcome::Refused, 1),
            delivery(4, "dee", Outcome::Waiting, 0),
        ];
        assert_eq!(
            view().delivery("k7f3", &deliveries, Some("its disk is full")),
            "k7f3 stored by 1 of 3, cy refused (its disk is full), dee waiting"
        );
    }

    #[test]
    fn a_reason_is_not_said_of_what_was_taken_in_the_end() {
        let taken = delivery(2, "bo", Outcome::Delivered, 2);
        assert_eq!(
            view().delivery("k7f3", std::slice::from_ref(&taken), Some("its disk is full")),
            "k7f3 stored by bo"
        );
        let open = delivery(3, "cy", Outcome::Sending, 1);
        assert_eq!(
            view().delivery("k7f3", &[taken, open], Some("its disk is full")),
            "k7f3 stored by 1 of 2, cy sending"
        );
    }

    #[test]
    fn who_has_no_link_to_here_is_not_called_unreachable() {
        assert_eq!(
            view().without_a_link("k7f3", &delivery(2, "eve", Outcome::Waiting, 0)),
            "k7f3 waiting for a direct link to eve: there is none from here, and private messages are not passed on"
        );
    }

    #[test]
    fn what_was_not_waited_for_is_on_its_way() {
        let all = [delivery(2, "bo", Outcome::Sending, 0), delivery(3, "cy", Outcome::Sending, 0)];
        assert_eq!(view().on_its_way("k7f3", &all), "k7f3 stored here, on its way to bo and cy");
    }

    #[test]
    fn what_only_a_sample_was_asked_for_says_so() {
        let all = [delivery(2, "bo", Outcome::Delivered, 1), delivery(3, "cy", Outcome::Unknown, 1)];
        assert_eq!(
            view().sampled_delivery("k7f3", &all, Some(999), None),
            "k7f3 stored by 1 of 2, cy unknown (only 2 of 999 were asked)"
        );
    }

    #[test]
    fn a_delivery_line_names_a_few_of_many_and_counts_the_rest() {
        let of = |members: u8, outcome| -> Vec<Delivery> {
            (0..members).map(|n| delivery(n + 2, &format!("n{n}"), outcome, 1)).collect()
        };
        let line = |all: &[Delivery]| view().delivery("k7f3", all, None);
        assert_eq!(line(&of(4, Outcome::Unknown)), "k7f3 stored by 0 of 4, n0, n1, n2 and n3 unknown");
        assert_eq!(line(&of(5, Outcome::Unknown)), "k7f3 stored by 0 of 5, n0, n1, n2 and 2 more unknown");
        let many = [of(200, Outcome::Sending), of(50, Outcome::Waiting)].concat();
        assert_eq!(
            line(&many),
            "k7f3 stored by 0 of 250, n0, n1, n2 and 47 more waiting, n0, n1, n2 and 197 more sending"
        );
    }

    #[test]
    fn a_delivery_line_says_who_stored_and_who_is_open() {
        use Outcome::{Delivered, Refused, Sending, Unknown, Waiting};
        let line = |all: &[Delivery]| view().delivery("k7f3", all, None);
        let of = |outcomes: [Outcome; 3]| {
            let [bo, cy, dee] = outcomes;
            [delivery(2, "bo", bo, 1), delivery(3, "cy", cy, 9), delivery(4, "dee", dee, 0)]
        };
        assert_eq!(line(&of([Delivered, Delivered, Delivered])), "k7f3 stored by 3 of 3");
        assert_eq!(line(&of([Delivered, Unknown, Delivered])), "k7f3 stored by 2 of 3, cy unknown");
        assert_eq!(line(&of([Sending, Waiting, Waiting])), "k7f3 stored by 0 of 3, cy and dee waiting, bo sending");
        assert_eq!(line(&[delivery(2, "bo", Delivered, 1)]), "k7f3 stored by bo");
        assert_eq!(line(&[delivery(2, "bo", Unknown, 9)]), "k7f3 unknown for bo: no receipt after 9 tries");
        assert_eq!(
            line(&[Delivery { tries_may_be_missing: true, ..delivery(2, "bo", Unknown, 0) }]),
            "k7f3 unknown for bo: no receipt, and tries before the restart may not be counted"
        );
        assert_eq!(line(&[delivery(2, "bo", Waiting, 0)]), "k7f3 waiting for bo, not sent yet");
        assert_eq!(line(&[]), "k7f3 stored here; nobody is known to be here now, who comes fetches it");
        assert_eq!(
            view().delivery("k7f3", &[delivery(2, "bo", Refused, 1)], Some("its disk is full")),
            "k7f3 refused by bo: its disk is full"
        );
    }
}
