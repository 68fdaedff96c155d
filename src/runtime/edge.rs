//! Fault injection between the node and its socket: on the way out and on the way in. Owns the plan, each
//! datagram's number on its link, and what is held back until it is due. Sans-IO: the loop does the sending.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::names;
use crate::base::limits::{DELAYED_DATAGRAMS_MAX, MEMBERS_MAX};
use crate::base::{MemberId, Time};
use crate::faults::{Ends, Fate, Plan, PlanFull, Rule};

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

/// A datagram that may pass now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    pub way: Way,
    /// Where it goes, or where it came from.
    pub address: SocketAddr,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
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
    pub fn learn(&mut self, members: &[(MemberId, String)], addresses: &[(SocketAddr, MemberId)]) {
        self.plan.resolve(|nick| names::resolve(nick, members).ok());
        for &(address, member) in addresses {
            // At the bound a new address is not learnt: its datagrams meet the rules that name nobody.
            if self.members.len() < MEMBERS_MAX || self.members.contains_key(&address) {
                self.members.insert(address, member);
            }
        }
    }

    /// Decides about one datagram. What passes, now or later, comes from [`Edge::poll_passage`].
    pub fn handle_datagram(&mut self, time: Time, passage: Passage) {
        let Fate::Deliver { after, again } = self.fate(passage.way, passage.address) else {
            self.counters.dropped += 1;
            return;
        };
        if let Some(again) = again {
            self.counters.duplicated += 1;
            self.hold(time, again, passage.clone());
        }
        self.hold(time, after, passage);
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

    fn fate(&mut self, way: Way, address: SocketAddr) -> Fate {
        let member = self.members.get(&address).copied();
        let index = self.links.entry((way, member)).or_default();
        *index += 1;
        match way {
            Way::Out => self.plan.fate_out(self.me, member, *index),
            Way::In => self.plan.fate_in(self.me, member, *index),
        }
    }

    fn hold(&mut self, time: Time, after: Duration, passage: Passage) {
        if self.delayed.len() >= DELAYED_DATAGRAMS_MAX {
            self.counters.overflowed += 1;
            return;
        }
        self.counters.delayed += u64::from(!after.is_zero());
        self.held += 1;
        self.delayed.insert((time + after, self.held), passage);
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

    const BO: MemberId = MemberId([2; 32]);

    fn rules(spec: &str) -> Vec<Rule> {
        match spec.parse().unwrap() {
            Spec::Add(rules) => rules,
            Spec::Off => panic!("off"),
        }
    }

    fn edge(spec: &str) -> Edge {
        let mut edge = Edge::new(MemberId([1; 32]), [7; 32]);
        edge.add(rules(spec)).unwrap();
        edge.learn(&[(BO, "bo".into())], &[(address(2), BO)]);
        edge
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::new([127, 0, 0, 1].into(), port)
    }

    fn passage(way: Way, port: u16) -> Passage {
        Passage { way, address: address(port), bytes: vec![0] }
    }

    fn at_ms(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    #[test]
    fn what_is_delayed_comes_when_it_is_due_and_in_its_order() {
        let mut edge = edge("delay=200ms");
        for (ms, port) in [(0, 2), (0, 3), (10, 2)] {
            edge.handle_datagram(at_ms(ms), passage(Way::Out, port));
        }
        assert_eq!(edge.poll_timeout(), Some(at_ms(200)));
        assert_eq!(edge.poll_passage(at_ms(199)), None);
        assert_eq!(edge.poll_passage(at_ms(200)), Some(passage(Way::Out, 2)));
        assert_eq!(edge.poll_passage(at_ms(200)), Some(passage(Way::Out, 3)));
        assert_eq!(edge.poll_passage(at_ms(200)), None);
        assert_eq!(edge.poll_timeout(), Some(at_ms(210)));
    }

    #[test]
    fn faults_that_are_off_let_the_delayed_come_and_the_new_pass_at_once() {
        let mut edge = edge("delay=200ms");
        edge.handle_datagram(at_ms(0), passage(Way::Out, 2));
        edge.clear();
        edge.handle_datagram(at_ms(1), passage(Way::Out, 3));
        assert_eq!(edge.poll_passage(at_ms(1)), Some(passage(Way::Out, 3)));
        assert_eq!(edge.poll_passage(at_ms(200)), Some(passage(Way::Out, 2)));
    }

    #[test]
    fn a_rule_meets_the_member_it_names_in_the_direction_it_names() {
        let mut edge = edge("drop 100% to bo");
        edge.handle_datagram(at_ms(0), passage(Way::Out, 2));
        assert_eq!(edge.poll_passage(at_ms(0)), None);
        for spared in [passage(Way::In, 2), passage(Way::Out, 3)] {
            edge.handle_datagram(at_ms(0), spared.clone());
            assert_eq!(edge.poll_passage(at_ms(0)), Some(spared));
        }
    }

    #[test]
    fn no_more_is_held_back_than_there_is_room_for() {
        let mut edge = edge("delay=10s");
        for _ in 0..=DELAYED_DATAGRAMS_MAX {
            edge.handle_datagram(at_ms(0), passage(Way::Out, 2));
        }
        assert_eq!(edge.delayed.len(), DELAYED_DATAGRAMS_MAX);
        assert_eq!(edge.counters.overflowed, 1);
    }

    #[test]
    fn the_nicks_of_rules_are_found_at_both_ends() {
        assert_eq!(nicks(&rules("cut to zoe from bo")).collect::<Vec<_>>(), ["bo", "zoe"]);
        assert_eq!(nicks(&rules("loss=5%")).count(), 0);
    }
}
