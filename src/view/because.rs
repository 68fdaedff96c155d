//! Evidence about a member in one breath, for a line of the chat or a cell of a table. Leaves out what says
//! no more than that all is well; `why` shows everything.

use super::{View, age, list, percent};
use crate::base::{DEGRADED_LOSS, Presence, text};
use crate::node::api::{Evidence, EvidenceKind, MemberStatus};

/// What a silence is measured by in the details of evidence.
const SILENT_FOR: &str = "silent for ";
/// What a card shows of a member that began another run.
const RESTARTED: &str = "restarted";
/// Before and after the old nick, in the detail of a card that changed it.
const RENAMED: (&str, &str) = ("was ", " before");
/// A silence shorter than this is the time between two heartbeats: it explains nothing.
const SILENCE_MS_MIN: u64 = 2_000;

impl View {
    /// `not heard for 4.1 s; reported by ana and cy` of one that is missed, `heard again after 4.1 s` of one
    /// that is back; nothing where there is nothing to worry about.
    pub(super) fn because(&self, state: Presence, evidence: &[Evidence]) -> String {
        let said = evidence.iter().filter_map(|item| said(state, item)).collect();
        self.with_names(state, evidence, said)
    }

    /// As [`Self::because`], with this node's own silence as it is now rather than as it was when it was noticed.
    pub(super) fn because_now(&self, member: &MemberStatus) -> String {
        let missed = matches!(member.state, Presence::Suspect | Presence::Unreachable);
        let silent = member.heard_ms_ago.filter(|&ms| missed && ms >= SILENCE_MS_MIN);
        let Some(ms) = silent else { return self.because_there(member) };
        let frozen = |item: &&Evidence| matches!(item.kind, EvidenceKind::Silence | EvidenceKind::Heard);
        let others = member.evidence.iter().filter(|item| !frozen(item));
        let now = std::iter::once(format!("not heard for {}", age(ms)));
        let said = now.chain(others.filter_map(|item| said(member.state, item))).collect();
        self.with_names(member.state, &member.evidence, said)
    }

    /// The same of one that is not missed: when it came back, and what is wrong with its link.
    fn because_there(&self, member: &MemberStatus) -> String {
        let dated = |said: String| match member.state {
            // Its run may have begun long before this node came to know of it.
            Presence::Alive if said == RESTARTED => format!("{said}, noticed {} ago", age(member.since_ms_ago)),
            Presence::Alive => format!("{said}, {} ago", age(member.since_ms_ago)),
            _ => said,
        };
        let events = member.evidence.iter().filter_map(|item| {
            let said = said(member.state, item)?;
            Some(if item.kind == EvidenceKind::Silence { said } else { dated(said) })
        });
        let brought_back = |item: &&Evidence| item.brought_back && member.state == Presence::Alive;
        let word = self.names_of(member.evidence.iter().filter(brought_back));
        let back = (!word.is_empty()).then(|| dated(format!("back by the word of {}", list(&word))));
        let lossy = member.loss.filter(|&loss| member.degraded && loss > DEGRADED_LOSS);
        let losing = lossy.map(|loss| format!("its link loses {}", percent(loss)));
        let unheard = member.degraded && member.hears_me == Some(false);
        let unheard = unheard.then(|| "it does not hear you".to_owned());
        let is_deaf = member.degraded && self.names.is_me(member.id);
        let deaf = is_deaf.then(|| "you hear fewer than half of your links".to_owned());
        self.with_names(
            member.state,
            &member.evidence,
            events.chain(deaf).chain(back).chain(losing).chain(unheard).collect(),
        )
    }

    fn with_names(&self, state: Presence, evidence: &[Evidence], said: Vec<String>) -> String {
        let mut parts: Vec<String> = Vec::new();
        for part in said {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        let contradictors = self.names_behind(evidence, EvidenceKind::Contradiction);
        if state == Presence::Alive && !contradictors.is_empty() {
            // They may know by others what they say.
            parts.push(format!("there by the word of {}", list(&contradictors)));
        }
        let others = [
            (EvidenceKind::Report, "reported by"),
            (EvidenceKind::Contradiction, "contradicted by"),
            (EvidenceKind::Withdrawal, "withdrawn by"),
        ];
        for (kind, verb) in others {
            let is_said = state == Presence::Alive && kind == EvidenceKind::Contradiction;
            let names = self.names_behind(evidence, kind);
            if !names.is_empty() && !is_said {
                parts.push(format!("{verb} {}", list(&names)));
            }
        }
        let judges = self.names_of(evidence.iter().filter(|item| item.verdict));
        if !judges.is_empty() {
            parts.push(format!("called unreachable by {}", list(&judges)));
        }
        parts.join("; ")
    }

    /// `bo`, where this node knows of a member by the word of others alone; nothing where it is not known whose view this is.
    pub(super) fn by_word_of(&self, evidence: &[Evidence]) -> Option<String> {
        let me = self.names.me()?;
        let heard = || evidence.iter().filter(|item| item.kind == EvidenceKind::Heard);
        let is_heard_here = heard().any(|item| item.by == me);
        let names = self.names_of(heard());
        (!is_heard_here && !names.is_empty()).then(|| list(&names))
    }

    fn names_behind(&self, evidence: &[Evidence], kind: EvidenceKind) -> Vec<String> {
        self.names_of(evidence.iter().filter(|item| item.kind == kind && !item.brought_back && !item.verdict))
    }

    /// Whose word it is; of one whose word another brought, that one's.
    fn names_of<'a>(&self, items: impl Iterator<Item = &'a Evidence>) -> Vec<String> {
        let mut names = Vec::new();
        for item in items {
            let mut name = self.names.named_or_you(item.by, &item.nick);
            if let Some(via) = item.via {
                let says = format!(" ({} says)", self.names.name(via));
                name.push_str(&says);
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// The nick that a member had until now, where the evidence is a card that changed it.
pub(super) fn old_nick(evidence: &[Evidence]) -> Option<String> {
    let card = evidence.iter().find(|item| item.kind == EvidenceKind::Card)?;
    let (nick, _) = card.detail.strip_prefix(RENAMED.0)?.split_once(RENAMED.1)?;
    Some(text::sanitize(nick))
}

/// Whether a change is no more than a new nick.
#[must_use]
pub fn is_rename(evidence: &[Evidence]) -> bool {
    old_nick(evidence).is_some()
}

/// Whether nothing is known but what this node's disk kept: the member is looked for.
#[must_use]
pub fn is_restored(state: Presence, evidence: &[Evidence]) -> bool {
    let restored = |item: &Evidence| item.kind == EvidenceKind::Restored;
    state == Presence::Suspect && !evidence.is_empty() && evidence.iter().all(restored)
}

/// What an item says by itself; who says it is told elsewhere.
fn said(state: Presence, item: &Evidence) -> Option<String> {
    let detail = text::sanitize(&item.detail);
    let silence = || {
        let (_, span) = detail.split_once(SILENT_FOR)?;
        Some(if state == Presence::Alive && item.kind == EvidenceKind::Heard {
            format!("heard again after {span}")
        } else {
            format!("not heard for {span}")
        })
    };
    match item.kind {
        EvidenceKind::Silence => silence().or_else(|| Some(detail).filter(|detail| !detail.is_empty())),
        EvidenceKind::Heard => silence(),
        EvidenceKind::Card => detail.starts_with(RESTARTED).then(|| RESTARTED.into()),
        EvidenceKind::Leave => Some("said goodbye".into()),
        EvidenceKind::Restored => Some("not heard since this node started".into()),
        EvidenceKind::Report | EvidenceKind::Contradiction | EvidenceKind::Withdrawal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::events::tests::{evidence, view};
    use crate::view::names::tests::id;
    use crate::view::who::tests::member;

    #[test]
    fn each_name_stands_once_and_all_well_says_nothing() {
        let report = |by, nick| evidence(EvidenceKind::Report, by, nick, "did not hear it");
        let reports = [report(3, "cy"), report(4, "dee"), report(3, "cy")];
        assert_eq!(view().because(Presence::Unreachable, &reports), "reported by cy and dee");
        let well = [
            evidence(EvidenceKind::Card, 1, "ana", "this node; version 1 of its card"),
            evidence(EvidenceKind::Heard, 1, "ana", "heard on this node's own link"),
        ];
        assert_eq!(view().because(Presence::Alive, &well), "");
    }

    #[test]
    fn who_brought_the_word_of_another_is_named_and_a_verdict_is_no_report() {
        let report = |by, nick| evidence(EvidenceKind::Report, by, nick, "did not hear it");
        let brought = Evidence { via: Some(id(3)), ..report(4, "dee") };
        let mut view = view();
        view.names.learn(id(3), "cy");
        assert_eq!(
            view.because(Presence::Unreachable, &[report(3, "cy"), brought.clone()]),
            "reported by cy and dee (cy says)"
        );
        let verdict = Evidence { verdict: true, ..report(3, "cy") };
        assert_eq!(
            view.because(Presence::Unreachable, &[verdict, brought]),
            "reported by dee (cy says); called unreachable by cy"
        );
    }

    #[test]
    fn a_member_that_others_hear_is_not_heard_again_for_that() {
        let silent = evidence(EvidenceKind::Silence, 1, "ana", "silent for 40.9 s");
        let others = evidence(EvidenceKind::Contradiction, 3, "cy", "knows tick 9");
        assert_eq!(view().because(Presence::Alive, &[silent, others]), "not heard for 40.9 s; there by the word of cy");
        let back = evidence(EvidenceKind::Heard, 1, "ana", "heard again on this node's own link, silent for 8.2 s");
        assert_eq!(view().because(Presence::Alive, &[back]), "heard again after 8.2 s");
    }

    #[test]
    fn who_was_brought_back_by_others_says_by_whom_and_denies_nothing() {
        let word = evidence(EvidenceKind::Contradiction, 3, "cy", "knows tick 9");
        let back = |by, nick| Evidence { brought_back: true, ..evidence(EvidenceKind::Withdrawal, by, nick, "") };
        let heard = evidence(EvidenceKind::Heard, 1, "ana", "heard on this node's own link");
        let alive = |items| member(id(2), "bo", Presence::Alive, items);
        assert_eq!(
            view().because_now(&alive(vec![back(3, "cy"), back(4, "dee"), heard])),
            "back by the word of cy and dee, 61 s ago"
        );
        assert_eq!(
            view().because_now(&alive(vec![back(3, "cy"), word])),
            "back by the word of cy, 61 s ago; there by the word of cy"
        );
    }

    #[test]
    fn who_restarted_did_so_when_this_node_noticed_or_before() {
        let card = evidence(EvidenceKind::Card, 2, "bo", "restarted: a card of a higher run, before it was 17.ab12");
        let bo = member(id(2), "bo", Presence::Alive, vec![card]);
        assert_eq!(view().because_now(&bo), "restarted, noticed 61 s ago");
    }

    #[test]
    fn why_one_is_degraded_oneself_is_said() {
        let ana = MemberStatus { degraded: true, ..member(id(1), "ana", Presence::Alive, vec![]) };
        assert_eq!(view().because_now(&ana), "you hear fewer than half of your links");
    }

    #[test]
    fn a_member_that_does_not_hear_this_node_is_degraded_for_that() {
        let bo = MemberStatus { hears_me: Some(false), ..member(id(2), "bo", Presence::Alive, vec![]) };
        assert_eq!(view().because_now(&bo), "", "it is as good as any");
        assert_eq!(view().because_now(&MemberStatus { degraded: true, ..bo }), "it does not hear you");
    }

    #[test]
    fn a_silence_without_a_span_is_still_told() {
        let never = [evidence(EvidenceKind::Silence, 1, "ana", "not heard by this node in this run")];
        assert_eq!(view().because(Presence::Suspect, &never), "not heard by this node in this run");
    }
}
