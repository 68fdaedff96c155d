//! The faults of one node's own end of its links. Owns the plan, what each link remembers, who is where, and
//! what is held back until it is due. Moves no datagram itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::names;
use crate::base::limits::{DELAYED_DATAGRAMS_MAX, MEMBERS_MAX};
use crate::base::{MemberId, Time};
use crate::faults::{Arrival, Datagram, DropReason, Ends, Fate, Link, Place, Plan, PlanFull, Spec};
use crate::lua;
use crate::wire::Label;

/// The faults of one node's own end of its links.
pub(super) struct Edge {
    me: MemberId,
    plan: Plan,
    /// Who was last seen at an address. Kept when the session there ends, because its successor's
    /// handshake comes from there too.
    members: BTreeMap<SocketAddr, MemberId>,
    /// The nicks of those, for scripts.
    nicks: BTreeMap<MemberId, String>,
    /// Datagrams on each link that scripts have seen.
    seen: BTreeMap<(Way, Option<MemberId>), u64>,
    /// Since a rule was first on.
    links: BTreeMap<(Way, Option<MemberId>), Link>,
    delayed: BTreeMap<(Time, u64), Passage>,
    held: u64,
    counters: Counters,
}

/// A datagram on its way, or a copy of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    pub way: Way,
    /// Where it goes, or where it came from.
    pub address: SocketAddr,
    pub bytes: Vec<u8>,
    /// Of its frames, on its way out.
    pub labels: Vec<Label>,
    /// Its bytes are not those that left.
    pub is_damaged: bool,
}

/// Past which side of the node a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Out,
    In,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counters {
    dropped: u64,
    /// Of those dropped, those for which a queue had no room.
    overflowed: u64,
    delayed: u64,
    duplicated: u64,
    /// Of the copies that passed or will, those with a bit flipped, and those that are shorter.
    corrupted: u64,
    truncated: u64,
}

impl Edge {
    /// An edge at which everything passes; `seed` decides the fates of rules to come.
    #[must_use]
    pub fn new(me: MemberId, seed: [u8; 32]) -> Self {
        Self {
            me,
            plan: Plan::new(seed),
            members: BTreeMap::new(),
            nicks: BTreeMap::new(),
            seen: BTreeMap::new(),
            links: BTreeMap::new(),
            delayed: BTreeMap::new(),
            held: 0,
            counters: Counters::default(),
        }
    }

    /// Does what a spec asks for. What is held back still comes when it is due.
    ///
    /// # Errors
    /// [`PlanFull`]; nothing changed then.
    pub fn change(&mut self, spec: Spec) -> Result<(), PlanFull> {
        match spec {
            Spec::Add(rules) => return self.plan.add(rules),
            Spec::Remove { kinds, from, to } => kinds.into_iter().for_each(|kind| {
                self.plan.take_off(&from, &to, kind);
            }),
            Spec::Off => self.plan.clear(),
        }
        Ok(())
    }

    /// Whether any rule is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.plan.is_empty()
    }

    /// The rules that are on, each as a spec.
    #[must_use]
    pub fn specs(&self) -> Vec<String> {
        self.plan.rules().iter().map(ToString::to_string).collect()
    }

    /// Learns who is who and where, for rules that name somebody.
    pub fn learn(
        &mut self,
        members: &[(MemberId, String)],
        addresses: impl IntoIterator<Item = (SocketAddr, MemberId)>,
    ) {
        self.plan.resolve(|nick| names::resolve(nick, members).ok());
        self.nicks = members.iter().cloned().collect();
        for (address, member) in addresses {
            // At the bound a new address is not learnt: its datagrams meet the rules that name nobody.
            if self.members.len() < MEMBERS_MAX || self.members.contains_key(&address) {
                self.members.insert(address, member);
            }
        }
    }

    /// A datagram as scripts are told of it.
    pub fn describe(&mut self, passage: &Passage) -> lua::Datagram {
        let member = self.members.get(&passage.address).copied();
        let n = self.seen.entry((passage.way, member)).or_default();
        *n += 1;
        let way = match passage.way {
            Way::Out => lua::Direction::Out,
            Way::In => lua::Direction::In,
        };
        let peer = member.and_then(|member| self.nicks.get(&member).cloned());
        lua::Datagram { way, peer, bytes: u64::try_from(passage.bytes.len()).unwrap_or(u64::MAX), n: *n }
    }

    /// Notes what a script did to a datagram.
    pub fn note(&mut self, fate: Fate) {
        self.counters.note(fate);
    }

    /// Decides about a datagram.
    pub fn decide(&mut self, time: Time, passage: &Passage) -> Fate {
        let member = self.members.get(&passage.address).copied();
        let link = self.links.entry((passage.way, member)).or_default();
        let (place, from, to) = match passage.way {
            Way::Out => (Place::Out, Some(self.me), member),
            Way::In => (Place::In, member, Some(self.me)),
        };
        let fate = self.plan.decide(Datagram { place, from, to, time, bytes: passage.bytes.len() }, link);
        self.counters.note(fate);
        fate
    }

    /// Holds a datagram back until it is due.
    ///
    /// # Errors
    /// The datagram, where there is no room for it.
    pub fn hold(&mut self, due: Time, passage: Passage) -> Result<(), Passage> {
        if self.delayed.len() >= DELAYED_DATAGRAMS_MAX {
            self.counters.note(Fate::Drop(DropReason::Queue));
            return Err(passage);
        }
        self.counters.delayed += 1;
        self.held += 1;
        self.delayed.insert((due, self.held), passage);
        Ok(())
    }

    /// The next datagram that is due.
    pub fn poll_passage(&mut self, time: Time) -> Option<Passage> {
        let first = self.delayed.first_entry()?;
        (first.key().0 <= time).then(|| first.remove())
    }

    /// When the next datagram is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.delayed.first_key_value().map(|(&(due, _), _)| due)
    }

    /// What was done to datagrams, for status.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Counters { dropped, overflowed, delayed, duplicated, corrupted, truncated } = self.counters;
        [
            ("fault_dropped", dropped),
            ("fault_overflowed", overflowed),
            ("fault_delayed", delayed),
            ("fault_duplicated", duplicated),
            ("fault_corrupted", corrupted),
            ("fault_truncated", truncated),
        ]
        .into_iter()
    }
}

impl Counters {
    fn note(&mut self, fate: Fate) {
        match fate {
            Fate::Drop(why) => {
                self.dropped += 1;
                self.overflowed += u64::from(why == DropReason::Queue);
            }
            Fate::Deliver { first, again } => {
                self.duplicated += u64::from(again.is_some());
                for Arrival { after: _, damage } in again.into_iter().chain([first]) {
                    self.corrupted += u64::from(damage.flip.is_some());
                    self.truncated += u64::from(damage.truncate.is_some());
                }
            }
        }
    }
}

/// The nicks at both ends of each rule that a spec adds.
pub(super) fn nicks(spec: &Spec) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
    let rules = match spec {
        Spec::Add(rules) => rules.as_slice(),
        Spec::Remove { .. } | Spec::Off => &[],
    };
    rules.iter().map(|rule| (nick(&rule.from), nick(&rule.to)))
}

fn nick(ends: &Ends) -> Option<&str> {
    match ends {
        Ends::Nick(nick) => Some(nick),
        Ends::Any | Ends::Member(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nicks_of_a_spec_are_found_at_both_ends() {
        let spec = |text: &str| -> Spec { text.parse().unwrap() };
        assert_eq!(nicks(&spec("cut to zoe from bo")).collect::<Vec<_>>(), [(Some("bo"), Some("zoe"))]);
        assert_eq!(nicks(&spec("cut to zoe")).collect::<Vec<_>>(), [(None, Some("zoe"))]);
        assert_eq!(nicks(&spec("loss=5%")).collect::<Vec<_>>(), [(None, None)]);
        assert_eq!(nicks(&spec("off cut to zoe")).count(), 0, "what is not there can be taken off");
    }
}
