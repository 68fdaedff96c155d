//! The faults of one node's own end of its links. Owns the plan, each datagram's number on its link, who is
//! where, and what is held back until it is due. Moves no datagram itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::names;
use crate::base::limits::{DELAYED_DATAGRAMS_MAX, MEMBERS_MAX};
use crate::base::{MemberId, Time};
use crate::faults::{Ends, Fate, Plan, PlanFull, Rule};
use crate::wire::Label;

/// The faults of one node's own end of its links.
pub(super) struct Edge {
    me: MemberId,
    plan: Plan,
    /// Who was last seen at an address. Kept when the session there ends, because its successor's
    /// handshake comes from there too.
    members: BTreeMap<SocketAddr, MemberId>,
    /// How many datagrams each link has carried since a rule was first on.
    links: BTreeMap<(Way, Option<MemberId>), u64>,
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
    delayed: u64,
    duplicated: u64,
    /// More was to be held back than there is room for: dropped.
    overflowed: u64,
}

impl Edge {
    /// An edge at which everything passes; `seed` decides the fates of rules to come.
    #[must_use]
    pub fn new(me: MemberId, seed: [u8; 32]) -> Self {
        Self {
            me,
            plan: Plan::new(seed),
            members: BTreeMap::new(),
            links: BTreeMap::new(),
            delayed: BTreeMap::new(),
            held: 0,
            counters: Counters::default(),
        }
    }

    /// Puts rules on.
    ///
    /// # Errors
    /// [`PlanFull`]; nothing changed then.
    pub fn add(&mut self, rules: Vec<Rule>) -> Result<(), PlanFull> {
        self.plan.add(rules)
    }

    /// Takes all rules off. What is held back still comes when it is due.
    pub fn clear(&mut self) {
        self.plan.clear();
    }

    /// Whether any rule is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.plan.rules().is_empty()
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
        for (address, member) in addresses {
            // At the bound a new address is not learnt: its datagrams meet the rules that name nobody.
            if self.members.len() < MEMBERS_MAX || self.members.contains_key(&address) {
                self.members.insert(address, member);
            }
        }
    }

    /// The fate of the next datagram on its link.
    pub fn fate(&mut self, way: Way, address: SocketAddr) -> Fate {
        let member = self.members.get(&address).copied();
        let index = self.links.entry((way, member)).or_default();
        *index += 1;
        let fate = match way {
            Way::Out => self.plan.fate_out(self.me, member, *index),
            Way::In => self.plan.fate_in(self.me, member, *index),
        };
        self.counters.note(fate);
        fate
    }

    /// Holds a datagram back until it is due.
    ///
    /// # Errors
    /// The datagram, where there is no room for it.
    pub fn hold(&mut self, due: Time, passage: Passage) -> Result<(), Passage> {
        if self.delayed.len() >= DELAYED_DATAGRAMS_MAX {
            self.counters.overflowed += 1;
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
        let Counters { dropped, delayed, duplicated, overflowed } = self.counters;
        [
            ("fault_dropped", dropped),
            ("fault_delayed", delayed),
            ("fault_duplicated", duplicated),
            ("fault_overflowed", overflowed),
        ]
        .into_iter()
    }
}

impl Counters {
    fn note(&mut self, fate: Fate) {
        match fate {
            Fate::Drop(_) => self.dropped += 1,
            Fate::Deliver { after: _, again } => self.duplicated += u64::from(again.is_some()),
        }
    }
}

/// The nicks that `rules` name.
pub(super) fn nicks(rules: &[Rule]) -> impl Iterator<Item = &str> {
    rules.iter().flat_map(|rule| [&rule.from, &rule.to]).filter_map(|ends| match ends {
        Ends::Named { nick, .. } => Some(nick.as_str()),
        Ends::Any | Ends::Member(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Spec;

    fn rules(spec: &str) -> Vec<Rule> {
        match spec.parse().unwrap() {
            Spec::Add(rules) => rules,
            Spec::Off => panic!("off"),
        }
    }

    #[test]
    fn the_nicks_of_rules_are_found_at_both_ends() {
        assert_eq!(nicks(&rules("cut to zoe from bo")).collect::<Vec<_>>(), ["bo", "zoe"]);
        assert_eq!(nicks(&rules("loss=5%")).count(), 0);
    }
}
