//! The evidence about a member, in sentences: why it counts as it does. Says what follows from the evidence and no more.

use super::who::{state_word, unheard};
use super::{Tone, View, age, latency, percent};
use crate::base::{DEGRADED_LOSS, Presence, text};
use crate::node::api::{Evidence, EvidenceKind, Verdict, WhyMember};

/// How a leave ends that this node remembers from before it started.
const BEFORE_START: &str = ", before this node started";

impl View {
    /// Why a member counts as it does: my link and the room's verdict, apart.
    #[must_use]
    pub fn why_member(&self, why: &WhyMember) -> String {
        let (state, tone) = state_word(why.state);
        let name = self.ink.paint(Tone::Strong, &self.names.named(why.member, &why.nick));
        let (since, span) = (self.exact_time(why.since), age(why.since_ms_ago));
        let mut lines = vec![match why.state {
            Presence::Left if is_from_before(&why.verdict) => {
                format!("{name} {} before this node started {span} ago", self.ink.paint(tone, "left"))
            }
            Presence::Left => format!("{name} {} at {since} ({span} ago)", self.ink.paint(tone, "left")),
            _ => format!("{name} is {} since {since} ({span})", self.ink.paint(tone, state)),
        }];
        if why.degraded {
            let because = self.degraded_because(why);
            lines.push(format!("it counts as {}: {because}", self.ink.paint(Tone::Caution, "degraded")));
        }
        let link = if self.names.is_me(why.member) { "this is you".into() } else { link(why) };
        lines.push(format!("your link: {link}"));
        let verdict = &why.verdict;
        if verdict.reports.is_empty() && verdict.contradictions.is_empty() && verdict.evidence.is_empty() {
            lines.push("the room's verdict: nobody reports anything".into());
        }
        let is_missed = matches!(why.state, Presence::Suspect | Presence::Unreachable);
        // Nobody says anything else, so that there is nothing to contradict.
        let is_vouched = why.state == Presence::Alive && verdict.reports.is_empty();
        let parts = if is_missed && !verdict.reports.is_empty() {
            [
                ("the room's verdict rests on", &verdict.reports),
                ("contradictions", &verdict.contradictions),
                ("what else is known of it", &verdict.evidence),
            ]
        } else {
            [
                ("the room's verdict rests on", &verdict.evidence),
                ("reports", &verdict.reports),
                (if is_vouched { "who says that it is there" } else { "contradictions" }, &verdict.contradictions),
            ]
        };
        for (title, items) in parts {
            if !items.is_empty() {
                lines.push(format!("{title}:"));
                lines.extend(items.iter().map(|item| self.item(item, is_vouched)));
            }
        }
        lines.join("\n")
    }

    /// What speaks against a member that is there.
    fn degraded_because(&self, why: &WhyMember) -> String {
        let said = |kind: EvidenceKind| why.verdict.reports.iter().any(|item| item.kind == kind);
        let loss = why.link.loss_in.max(why.link.loss_out).filter(|&loss| loss > DEGRADED_LOSS);
        let facts = [
            self.names.is_me(why.member).then(|| "you hear fewer than half of your links".to_owned()),
            loss.map(|loss| format!("its link loses {}", percent(loss))),
            said(EvidenceKind::Report).then(|| "it is reported".to_owned()),
            said(EvidenceKind::Silence).then(|| "you do not hear it".to_owned()),
            (why.link.hears_me == Some(false)).then(|| "it does not hear you".to_owned()),
        ];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        match (facts.is_empty(), why.verdict.contradictions.is_empty()) {
            (false, _) => facts.join("; "),
            (true, false) => "it is there by the word of others alone".to_owned(),
            (true, true) => format!("its link lost more than {}", percent(DEGRADED_LOSS)),
        }
    }

    fn item(&self, item: &Evidence, is_vouched: bool) -> String {
        let by = self.names.named_or_you(item.by, &item.nick);
        let verb = match item.kind {
            EvidenceKind::Contradiction if item.brought_back => "brought back by the word of",
            EvidenceKind::Withdrawal if item.brought_back => "brought back by a report withdrawn by",
            EvidenceKind::Contradiction if is_vouched => "heard of by",
            EvidenceKind::Heard if self.names.is_me(item.by) => "heard by",
            // It may know the tick by others itself.
            EvidenceKind::Heard => "heard of by",
            EvidenceKind::Silence => "silence noticed by",
            EvidenceKind::Report => "reported by",
            EvidenceKind::Contradiction => "contradicted by",
            EvidenceKind::Withdrawal => "withdrawn by",
            EvidenceKind::Card => "card signed by",
            EvidenceKind::Leave if is_kept(item) => {
                return format!("  leave signed by {by}: {}", text::sanitize(&item.detail));
            }
            EvidenceKind::Leave => "leave signed by",
            // The member says nothing here: this node remembers it.
            EvidenceKind::Restored => {
                return format!("  restored at {}: {}", self.exact_time(item.at), text::sanitize(&item.detail));
            }
        };
        // What others say was said before it came here, and a card may have come long before it was evidence.
        let is_own = self.names.is_me(item.by) && item.kind != EvidenceKind::Card;
        let when = if is_own { " at" } else { ", here by" };
        let mut line = format!("  {verb} {by}{when} {}", self.exact_time(item.at));
        if !item.detail.is_empty() {
            line.push_str(": ");
            line.push_str(&text::sanitize(&item.detail));
        }
        if let Some(via) = item.via {
            let passed_on = format!(" (passed on by {})", self.names.name(via));
            line.push_str(&passed_on);
        }
        line + &facts(item)
    }
}

/// Whether a leave was kept from an earlier run: when it came is not known any more.
fn is_kept(leave: &Evidence) -> bool {
    leave.kind == EvidenceKind::Leave && leave.detail.ends_with(BEFORE_START)
}

fn is_from_before(verdict: &Verdict) -> bool {
    verdict.evidence.iter().any(is_kept)
}

/// The tick and the run that it is about.
fn facts(item: &Evidence) -> String {
    let tick = item.tick.map(|tick| format!("tick {tick}"));
    let run = item.run.map(|run| format!("run {run}"));
    let facts: Vec<String> = [tick, run].into_iter().flatten().collect();
    if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) }
}

fn link(why: &WhyMember) -> String {
    let link = &why.link;
    let unheard = unheard(why.state, &why.verdict.evidence);
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
    use crate::base::{PerMille, Run, Wall};
    use crate::node::api::{Link, Verdict};
    use crate::view::events::tests::{evidence, view};
    use crate::view::names::tests::id;

    const AT: Wall = Wall(1_700_000_000_250);

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
            since_ms_ago: 42_000,
            degraded: false,
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
            View { now: Wall(AT.0 + 42_000), ..view() }.why_member(&why),
            "\
bo is unreachable since 22:13:20.250 (42 s)
your link: heard 46 s ago, does not hear you, round trip 0.8 ms, loss from it 0 %, loss to it 3 %, at 192.168.1.6:4460
the room's verdict rests on:
  reported by cy, here by 22:13:20.000: 5 probes lost (tick 7, run 17.ab12)
what else is known of it:
  card signed by bo, here by 22:13:20.000"
        );
        let word = evidence(EvidenceKind::Contradiction, 3, "cy", "knows a newer tick");
        let back = Evidence { brought_back: true, ..word.clone() };
        let withdrawn = Evidence { kind: EvidenceKind::Withdrawal, detail: String::new(), ..back.clone() };
        let heard = evidence(EvidenceKind::Heard, 1, "ana", "heard on this node's own link");
        let alive = WhyMember {
            state: Presence::Alive,
            verdict: Verdict { reports: vec![], contradictions: vec![word], evidence: vec![back, withdrawn, heard] },
            ..why.clone()
        };
        assert_eq!(
            view().why_member(&alive).lines().skip(2).collect::<Vec<_>>().join("\n"),
            "\
the room's verdict rests on:
  brought back by the word of cy, here by 22:13:20.000: knows a newer tick
  brought back by a report withdrawn by cy, here by 22:13:20.000
  heard by you at 22:13:20.000: heard on this node's own link
who says that it is there:
  heard of by cy, here by 22:13:20.000: knows a newer tick"
        );
        let losing = WhyMember {
            degraded: true,
            link: Link { loss_in: Some(PerMille(230)), hears_me: None, ..why.link.clone() },
            verdict: Verdict {
                reports: vec![evidence(EvidenceKind::Silence, 1, "ana", "silent for 4.1 s by now")],
                contradictions: vec![],
                evidence: vec![],
            },
            ..alive.clone()
        };
        let second = |why: &WhyMember| view().why_member(why).lines().nth(1).map(str::to_owned);
        assert_eq!(second(&losing).as_deref(), Some("it counts as degraded: its link loses 23 %; you do not hear it"));
        let kept = WhyMember { link: Link { hears_me: None, ..why.link.clone() }, degraded: true, ..alive.clone() };
        let others = "it counts as degraded: it is there by the word of others alone";
        assert_eq!(second(&kept).as_deref(), Some(others));
        let left = WhyMember { state: Presence::Left, ..why.clone() };
        assert_eq!(view().why_member(&left).lines().next(), Some("bo left at 22:13:20.250 (42 s ago)"));
        let remembered = evidence(EvidenceKind::Leave, 2, "bo", "said goodbye, before this node started");
        let verdict = Verdict { reports: vec![], contradictions: vec![], evidence: vec![remembered] };
        let left = view().why_member(&WhyMember { verdict, ..left });
        assert_eq!(left.lines().next(), Some("bo left before this node started 42 s ago"));
        assert_eq!(left.lines().last(), Some("  leave signed by bo: said goodbye, before this node started"));
        let oneself = WhyMember { member: id(1), nick: "ana".into(), ..why.clone() };
        assert_eq!(view().why_member(&oneself).lines().nth(1), Some("your link: this is you"));
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
            view().why_member(&unheard),
            "bo is alive since 22:13:20.250 (42 s)\nyour link: no direct link\nthe room's verdict: nobody reports anything"
        );
    }

    #[test]
    fn why_says_who_hears_whom_and_of_which_run_nothing_was_heard() {
        let second = |hears_me, degraded, state, known: Vec<Evidence>| {
            let link =
                Link { heard_ms_ago: None, hears_me, rtt_us: None, loss_in: None, loss_out: None, address: None };
            let verdict = Verdict { reports: vec![], contradictions: vec![], evidence: known };
            let (member, nick, since) = (id(2), "bo".into(), AT);
            let why = WhyMember { member, nick, state, since, since_ms_ago: 0, degraded, link, verdict };
            view().why_member(&why).lines().nth(1).map(str::to_owned).unwrap_or_default()
        };
        let deaf = second(Some(false), true, Presence::Alive, vec![]);
        assert_eq!(deaf, "it counts as degraded: it does not hear you");
        let missed = |kind| second(None, false, Presence::Suspect, vec![evidence(kind, 2, "bo", "")]);
        assert_eq!(missed(EvidenceKind::Restored), "your link: not heard since this start");
        assert_eq!(missed(EvidenceKind::Card), "your link: not heard in this run of it");
    }
}
