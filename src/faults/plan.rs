//! The plan: the rules that are on. Owns which of them act on a datagram, at which place, and what takes the
//! place of what. It finds them in the same time whether other links have rules or not.

use std::collections::BTreeMap;

use super::conditions::Conditions;
use super::fate::{self, Fate, Passage};
use super::link::Link;
use super::rule::{Ends, Fault, Kind, Rule};
use crate::base::limits::{FAULT_RULES_MAX, NETWORK_RULES_MAX};
use crate::base::{MemberId, Time};

/// The rules that are on, and the seed of the fates.
///
/// Rules that match one link add up: losses as independent chances, delays and jitters as sums, and one cut
/// cuts. A rule with more loss drops all that one with less drops, and more.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: [u8; 32],
    rules_max: usize,
    /// What each rule asks for, and when it was put on, by count.
    rules: BTreeMap<(Ends, Ends, Kind), (u64, Fault)>,
    put: u64,
    /// Whose the nicks in rules are, as far as that was found.
    nicks: BTreeMap<String, MemberId>,
    everywhere: Vec<Fault>,
    from: BTreeMap<MemberId, Vec<Fault>>,
    to: BTreeMap<MemberId, Vec<Fault>>,
    between: BTreeMap<(MemberId, MemberId), Vec<Fault>>,
}

/// A plan holds as many rules as it can already. Nothing was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rules_max} fault rules are on already; take them back with off")]
pub struct PlanFull {
    rules_max: usize,
}

/// One datagram that passes a place at which a plan decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram {
    pub place: Place,
    /// `None` for who is not known yet.
    pub from: Option<MemberId>,
    pub to: Option<MemberId>,
    pub time: Time,
    /// Its length.
    pub bytes: usize,
}

/// Where a plan decides. Real nodes decide at both ends of a link, so each rule acts at one of them only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a network, once, by all rules.
    Network,
    /// At its sender, by rules that name a receiver or nobody: as in other network emulators, the same rule on every node
    /// meets each datagram once.
    Out,
    /// At its receiver, by rules that name a sender alone, and by a cut that names nobody.
    In,
}

impl Plan {
    /// The plan of one node: up to `FAULT_RULES_MAX` rules. Every datagram passes.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self::with_room(seed, FAULT_RULES_MAX)
    }

    /// The plan of a network: up to `NETWORK_RULES_MAX` rules. Every datagram passes.
    #[must_use]
    pub const fn of_network(seed: [u8; 32]) -> Self {
        Self::with_room(seed, NETWORK_RULES_MAX)
    }

    const fn with_room(seed: [u8; 32], rules_max: usize) -> Self {
        Self {
            seed,
            rules_max,
            rules: BTreeMap::new(),
            put: 0,
            nicks: BTreeMap::new(),
            everywhere: Vec::new(),
            from: BTreeMap::new(),
            to: BTreeMap::new(),
            between: BTreeMap::new(),
        }
    }

    /// Puts `rules` on. One takes the place of the rule of its kind on the very same links, and one that does
    /// nothing (`loss=0%`) just takes that back.
    ///
    /// # Errors
    /// [`PlanFull`]; the plan is as before.
    pub fn add(&mut self, rules: impl IntoIterator<Item = Rule>) -> Result<(), PlanFull> {
        let rules: Vec<Rule> = rules.into_iter().collect();
        let before = (self.rules.len() + rules.len() > self.rules_max).then(|| self.clone());
        for rule in rules {
            self.take_off(&rule.from, &rule.to, rule.fault.kind());
            if !rule.fault.is_nothing() {
                self.put_on(rule);
            }
        }
        if let Some(before) = before
            && self.rules.len() > self.rules_max
        {
            *self = before;
            return Err(PlanFull { rules_max: self.rules_max });
        }
        Ok(())
    }

    /// Takes the rule of this kind on the very same links off; says whether there was one.
    pub fn take_off(&mut self, from: &Ends, to: &Ends, kind: Kind) -> bool {
        let Some((_, fault)) = self.rules.remove(&(from.clone(), to.clone(), kind)) else { return false };
        if let Some(acting) = self.acting(from, to) {
            // Two rules of one kind may act on one link: by nick, and by id.
            let at = acting.iter().position(|&other| other == fault).expect("a rule that is on acts on its links");
            acting.remove(at);
        }
        for ends in [from, to] {
            self.forget_unused(ends);
        }
        true
    }

    /// Takes `rule` off; says whether it was on.
    pub fn remove(&mut self, rule: &Rule) -> bool {
        let place = (rule.from.clone(), rule.to.clone(), rule.fault.kind());
        let is_on = self.rules.get(&place).is_some_and(|&(_, fault)| fault == rule.fault);
        is_on && self.take_off(&rule.from, &rule.to, rule.fault.kind())
    }

    /// Takes all rules off.
    pub fn clear(&mut self) {
        *self = Self::with_room(self.seed, self.rules_max);
    }

    /// Finds whose the nicks in rules are, with `lookup`. To be called when a rule was added or a nick appeared;
    /// a nick that was found once stays with its member.
    pub fn resolve(&mut self, mut lookup: impl FnMut(&str) -> Option<MemberId>) {
        let ends = self.rules.keys().flat_map(|(from, to, _)| [from, to]);
        let unknown = ends.filter_map(|ends| match ends {
            Ends::Nick(nick) if !self.nicks.contains_key(nick) => Some(nick),
            Ends::Any | Ends::Member(_) | Ends::Nick(_) => None,
        });
        let found: BTreeMap<String, MemberId> =
            unknown.filter_map(|nick| Some((nick.clone(), lookup(nick)?))).collect();
        if found.is_empty() {
            return;
        }
        let rules = self.rules();
        let known = std::mem::take(&mut self.nicks);
        self.clear();
        self.nicks = known.into_iter().chain(found).collect();
        for rule in rules {
            self.put_on(rule);
        }
    }

    /// Whether every datagram passes, on every link.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, in the order in which they were added. Each reads as a spec.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_unstable_by_key(|&(_, &(put, _))| put);
        let rule =
            |((from, to, _), &(_, fault)): (&(Ends, Ends, Kind), _)| Rule { from: from.clone(), to: to.clone(), fault };
        rules.into_iter().map(rule).collect()
    }

    /// Decides about the next datagram of `link`.
    #[must_use]
    pub fn decide(&self, datagram: Datagram, link: &mut Link) -> Fate {
        let Datagram { place, from, to, time, bytes } = datagram;
        let index = link.count();
        let Some(conditions) = self.conditions(place, from, to) else { return Fate::SPARED };
        let fate = fate::draw(&conditions, Passage::new(&self.seed, from, to, index), link.chain());
        match conditions.rate {
            Some(rate) => link.queue(rate, time, bytes, fate),
            None => fate,
        }
    }

    /// What acts on a datagram; `None` where nothing does.
    fn conditions(&self, place: Place, from: Option<MemberId>, to: Option<MemberId>) -> Option<Conditions> {
        let (at_sender, at_receiver) = (place != Place::In, place != Place::Out);
        let everywhere = self.everywhere.iter().filter(|&&fault| at_sender || fault == Fault::Cut);
        let from_one = from.filter(|_| at_receiver).and_then(|from| self.from.get(&from));
        let to_one = to.filter(|_| at_sender).and_then(|to| self.to.get(&to));
        let between = from.zip(to).filter(|_| at_sender).and_then(|ends| self.between.get(&ends));
        let mut acting = everywhere.chain([from_one, to_one, between].into_iter().flatten().flatten()).peekable();
        acting.peek()?;
        let mut conditions = Conditions::default();
        acting.for_each(|&fault| conditions.add(fault));
        Some(conditions)
    }

    fn put_on(&mut self, rule: Rule) {
        let Rule { from, to, fault } = rule;
        if let Some(acting) = self.acting(&from, &to) {
            acting.push(fault);
        }
        self.put += 1;
        self.rules.insert((from, to, fault.kind()), (self.put, fault));
    }

    /// Whoever bears a nick when it is typed again is meant then.
    fn forget_unused(&mut self, ends: &Ends) {
        if let Ends::Nick(nick) = ends
            && !self.rules.keys().any(|(from, to, _)| [from, to].contains(&ends))
        {
            self.nicks.remove(nick);
        }
    }

    /// The faults that act on these links; `None` while a nick is nobody's.
    fn acting(&mut self, from: &Ends, to: &Ends) -> Option<&mut Vec<Fault>> {
        let member = |ends: &Ends| match ends {
            Ends::Any => Some(None),
            Ends::Member(member) => Some(Some(*member)),
            Ends::Nick(nick) => self.nicks.get(nick).copied().map(Some),
        };
        Some(match (member(from)?, member(to)?) {
            (None, None) => &mut self.everywhere,
            (Some(from), None) => self.from.entry(from).or_default(),
            (None, Some(to)) => self.to.entry(to).or_default(),
            (Some(from), Some(to)) => self.between.entry((from, to)).or_default(),
        })
    }
}
