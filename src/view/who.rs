//! The members as a table: what my own link shows and what the room holds, side by side and never mixed.

use super::table::{Cell, Table};
use super::{Tone, View, age, latency, percent};
use crate::base::Presence;
use crate::node::api::{Evidence, EvidenceKind, MemberStatus};

/// What is not known: never heard, no direct link, or oneself.
const UNKNOWN: &str = "–";

impl View {
    /// Who is in the room: name, id, state, and the link in words.
    #[must_use]
    pub fn who(&self, members: &[MemberStatus]) -> String {
        let mut table = Table::titled(&["member", "id", "state", "your link", "because"]);
        for member in self.in_order(members) {
            let link = if self.names.is_me(member.id) { "this is you".into() } else { link_in_words(member) };
            table.row([
                self.member_cell(member),
                member.id.short().into(),
                state_cell(member),
                link.into(),
                Cell::new(Tone::Faint, self.because_now(member)),
            ]);
        }
        table.render(self.ink, self.columns)
    }

    /// The members with the numbers of their links.
    pub(super) fn links(&self, members: &[MemberStatus]) -> String {
        let mut table = Table::titled(&["member", "state", "heard", "hears you", "round trip", "loss", "because"]);
        for member in self.in_order(members) {
            let heard = member.heard_ms_ago.map(|ms| format!("{} ago", age(ms)));
            table.row([
                self.member_cell(member),
                state_cell(member),
                heard.unwrap_or_else(|| UNKNOWN.into()).into(),
                hears_cell(member),
                member.rtt_us.map_or_else(|| UNKNOWN.into(), latency).into(),
                member.loss.map_or_else(|| UNKNOWN.into(), percent).into(),
                Cell::new(Tone::Faint, self.because_now(member)),
            ]);
        }
        table.render(self.ink, self.columns)
    }

    /// Oneself first, then as one looks names up. States do not count, so that nobody moves while one watches.
    fn in_order<'a>(&self, members: &'a [MemberStatus]) -> Vec<&'a MemberStatus> {
        let mut members: Vec<_> = members.iter().collect();
        members.sort_by_cached_key(|member| (!self.names.is_me(member.id), member.nick.to_lowercase(), member.id));
        members
    }

    fn member_cell(&self, member: &MemberStatus) -> Cell {
        let name = self.names.named(member.id, &member.nick);
        let name = if self.names.is_me(member.id) { format!("{name} (you)") } else { name };
        Cell::new(Tone::Strong, name)
    }
}

/// The word for a state, and how it is to be taken.
pub(super) const fn state_word(state: Presence) -> (&'static str, Tone) {
    let tone = match state {
        Presence::Alive => Tone::Good,
        Presence::Suspect => Tone::Caution,
        Presence::Unreachable => Tone::Bad,
        Presence::Left => Tone::Faint,
    };
    (state.word(), tone)
}

fn state_cell(member: &MemberStatus) -> Cell {
    let (word, tone) = state_word(member.state);
    if member.degraded { Cell::new(Tone::Caution, format!("{word}, degraded")) } else { Cell::new(tone, word) }
}

fn hears_cell(member: &MemberStatus) -> Cell {
    match member.hears_me {
        Some(true) => "yes".into(),
        Some(false) => Cell::new(Tone::Caution, "no"),
        None => UNKNOWN.into(),
    }
}

/// The link to a member that was never heard in its present run; of an older one it may have been a moment ago.
pub(super) fn unheard(state: Presence, evidence: &[Evidence]) -> &'static str {
    let is_restored = || evidence.iter().any(|item| item.kind == EvidenceKind::Restored);
    match state {
        Presence::Alive => "no direct link",
        Presence::Suspect | Presence::Unreachable | Presence::Left if is_restored() => "not heard since this start",
        Presence::Suspect | Presence::Unreachable | Presence::Left => "not heard in this run of it",
    }
}

fn link_in_words(member: &MemberStatus) -> String {
    let Some(ms) = member.heard_ms_ago else {
        return unheard(member.state, &member.evidence).into();
    };
    let hears = match member.hears_me {
        Some(true) => ", hears you",
        Some(false) => ", does not hear you",
        None => "",
    };
    format!("heard {} ago{hears}", age(ms))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::{MemberId, PerMille};
    use crate::view::events::tests::{evidence, view};
    use crate::view::names::tests::id;

    pub(in crate::view) fn member(id: MemberId, nick: &str, state: Presence, evidence: Vec<Evidence>) -> MemberStatus {
        MemberStatus {
            id,
            nick: nick.into(),
            incarnation: 1,
            you: false,
            state,
            since_ms_ago: 61_000,
            heard_ms_ago: None,
            hears_me: None,
            rtt_us: None,
            loss: None,
            degraded: false,
            evidence,
        }
    }

    pub(in crate::view) fn room() -> Vec<MemberStatus> {
        let reports = vec![
            evidence(EvidenceKind::Report, 1, "ana", "last tick 7"),
            evidence(EvidenceKind::Report, 2, "bo", "last tick 6"),
        ];
        vec![
            member(id(1), "ana", Presence::Alive, vec![]),
            MemberStatus {
                heard_ms_ago: Some(430),
                hears_me: Some(true),
                rtt_us: Some(812),
                loss: Some(PerMille(250)),
                degraded: true,
                ..member(id(2), "bo", Presence::Alive, vec![])
            },
            MemberStatus {
                heard_ms_ago: Some(14_200),
                hears_me: Some(false),
                ..member(id(3), "cy", Presence::Unreachable, reports)
            },
            member(id(4), "dee", Presence::Suspect, vec![evidence(EvidenceKind::Restored, 1, "ana", "")]),
            member(id(5), "eve", Presence::Alive, vec![]),
        ]
    }

    #[test]
    fn who_says_state_link_and_evidence() {
        assert_eq!(
            view().who(&room()),
            "\
member     id    state            your link                          because
ana (you)  aeaq  alive            this is you
bo         aiba  alive, degraded  heard 0.4 s ago, hears you         its link loses 25 %
cy         ambq  unreachable      heard 14 s ago, does not hear you  not heard for 14 s; reported by you and bo
dee        aqca  suspect          not heard since this start         not heard since this node started
eve        aucq  alive            no direct link"
        );
    }

    #[test]
    fn one_is_first_oneself_and_names_follow_as_one_looks_them_up() {
        let named = |n, nick| member(id(n), nick, Presence::Alive, vec![]);
        let shown = view().who(&[named(3, "zoe"), named(1, "mia"), named(4, "Ben"), named(2, "al")]);
        let first: Vec<_> = shown.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(first, ["mia", "al", "Ben", "zoe"]);
    }

    #[test]
    fn a_link_that_is_not_known_is_a_dash() {
        assert_eq!(
            view().links(&room()),
            "\
member     state            heard      hears you  round trip  loss  because
ana (you)  alive            –          –          –           –
bo         alive, degraded  0.4 s ago  yes        0.8 ms      25 %  its link loses 25 %
cy         unreachable      14 s ago   no         –           –     not heard for 14 s; reported by you and bo
dee        suspect          –          –          –           –     not heard since this node started
eve        alive            –          –          –           –"
        );
    }
}
