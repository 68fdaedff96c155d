//! The first lines of a chat: who you are, and either who is here or what somebody types to come.

use super::{Tone, View, list};
use crate::base::{MemberId, Presence, text};
use crate::node::api::MemberStatus;
use crate::wire::Ticket;

/// What the opening screen says.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    pub id: MemberId,
    pub nick: &'a str,
    pub room: &'a str,
    pub addr: &'a str,
    pub ticket: &'a str,
    /// How this program was started: `target/release/moot`.
    pub program: &'a str,
    pub members: &'a [MemberStatus],
    pub answered: Answered,
}

/// Whether this node knows that others exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The room is this node's own, or there is nobody to ask.
    NobodyAsked,
    /// A ticket or an address was dialled; who answered is among the members.
    Dialled,
}

impl View {
    /// The opening screen: three lines while nobody else is known, else two.
    #[must_use]
    pub fn opening(&self, opening: &Opening<'_>) -> String {
        let Opening { id, nick, room, addr, ticket, program, members, answered } = *opening;
        let name = self.ink.paint(Tone::Strong, &self.names.named(id, nick));
        let first = format!("you are {name} ({}) in \"{}\", listening on {addr}", id.short(), text::sanitize(room));
        if let Some(here) = self.here(members) {
            return format!("{first}\n{here}");
        }
        if answered == Answered::Dialled {
            return format!("{first}\nnobody has answered yet; this node goes on trying");
        }
        let elsewhere = if leads_here_from_elsewhere(ticket) {
            format!("; on another machine:  moot join {ticket}")
        } else {
            format!(", and only this machine reaches {addr}")
        };
        let guest = if nick == "bo" { "cy" } else { "bo" };
        format!(
            "{first}\nnobody else is here yet{elsewhere}\n\
             here, in a second terminal:  {program} join {ticket} --home /tmp/{guest} --nick {guest}"
        )
    }

    /// `bo and cy are here; looking for dee; unreachable: eve`. Nothing where nobody else is known.
    fn here(&self, members: &[MemberStatus]) -> Option<String> {
        let named = |state| -> Vec<String> {
            let others = members.iter().filter(|member| !self.names.is_me(member.id) && member.state == state);
            others.map(|member| self.names.named(member.id, &member.nick)).collect()
        };
        let mut parts = Vec::new();
        match named(Presence::Alive).as_slice() {
            [] => (),
            [one] => parts.push(format!("{one} is here")),
            many @ [_, ..] => parts.push(format!("{} are here", list(many))),
        }
        let lost = named(Presence::Suspect);
        if !lost.is_empty() {
            parts.push(format!("looking for {}", list(&lost)));
        }
        let unreachable = named(Presence::Unreachable);
        if !unreachable.is_empty() {
            parts.push(format!("unreachable: {}", list(&unreachable)));
        }
        Some(parts.join("; ")).filter(|line| !line.is_empty())
    }
}

/// Whether somebody on another machine may get in by the ticket, as one that was printed whole.
#[must_use]
pub fn leads_here_from_elsewhere(ticket: &str) -> bool {
    ticket.parse::<Ticket>().is_ok_and(|ticket| ticket.leads_here_from_elsewhere())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::RoomId;
    use crate::crypto::RoomSecret;
    use crate::view::events::tests::view;
    use crate::view::names::tests::id;
    use crate::view::who::tests::{member, room};

    fn ticket(addr: &str) -> String {
        let (room_name, addresses) = ("ana's moot".into(), vec![addr.parse().unwrap()]);
        Ticket { room_name, room: RoomId([1; 16]), secret: RoomSecret::from_bytes([2; 16]), addresses }.to_string()
    }

    fn shown(nick: &str, members: &[MemberStatus], answered: Answered) -> String {
        shown_at("192.168.1.5:4460", nick, members, answered)
    }

    fn shown_at(addr: &str, nick: &str, members: &[MemberStatus], answered: Answered) -> String {
        view().opening(&Opening {
            id: id(1),
            nick,
            room: "ana's moot",
            addr,
            ticket: &ticket(addr),
            program: "target/release/moot",
            members,
            answered,
        })
    }

    #[test]
    fn a_new_room_says_what_to_type_elsewhere() {
        let alone = [member(id(1), "ana", Presence::Alive, vec![]), member(id(3), "cy", Presence::Left, vec![])];
        let ticket = ticket("192.168.1.5:4460");
        assert_eq!(
            shown("ana", &alone, Answered::NobodyAsked),
            format!(
                "\
you are ana (aeaq) in \"ana's moot\", listening on 192.168.1.5:4460
nobody else is here yet; on another machine:  moot join {ticket}
here, in a second terminal:  target/release/moot join {ticket} --home /tmp/bo --nick bo"
            )
        );
        assert!(shown("bo", &[], Answered::NobodyAsked).ends_with("--home /tmp/cy --nick cy"));
    }

    #[test]
    fn nobody_is_invited_to_loopback_from_another_machine() {
        let shown = shown_at("127.0.0.1:4460", "ana", &[], Answered::NobodyAsked);
        let lines: Vec<&str> = shown.lines().skip(1).collect();
        let here = "here, in a second terminal:  target/release/moot join moot:";
        assert_eq!(lines[0], "nobody else is here yet, and only this machine reaches 127.0.0.1:4460");
        assert!(lines[1].starts_with(here) && lines.len() == 2, "{shown}");
    }

    #[test]
    fn a_room_with_others_says_who_is_here() {
        let shown = shown("ana", &room(), Answered::Dialled);
        assert_eq!(shown.lines().nth(1), Some("bo and eve are here; looking for dee; unreachable: cy"));
        assert_eq!(shown.lines().count(), 2);
    }

    #[test]
    fn one_who_joined_is_not_told_to_invite() {
        assert_eq!(
            shown("ana", &[], Answered::Dialled).lines().nth(1),
            Some("nobody has answered yet; this node goes on trying")
        );
    }
}
