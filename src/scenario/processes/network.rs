//! The network between real processes: what its rules come to at each node's own end of its links. Owns the translation; the
//! nodes do the dropping, as live faults.
//!
//! A rule acts on the way out of its sender. A cut acts on the way into its receiver too, so that nothing slips through while
//! one end starts or changes its rules; a delay acts there only, because what is under way outlives its sender.

use super::machine::Machine;
use crate::base::MemberId;
use crate::base::limits::FAULT_RULES_MAX;
use crate::faults::{Ends, Fault, Kind, Rule, Spec};
use crate::scenario::FleetError;

/// The rules that are on, in the order in which they were put on.
#[derive(Clone, Default)]
pub(super) struct Network {
    rules: Vec<Rule>,
}

/// The faults that a scenario put on one node itself.
#[derive(Clone, Default)]
pub(super) struct OwnFaults {
    rules: Vec<Rule>,
}

impl Network {
    /// Puts `rule` on, in the place of the rule of its kind on the very same links, or takes it off; says whether it was on where
    /// it is taken off.
    pub fn change(&mut self, rule: &Rule, is_on: bool) -> bool {
        if !is_on && !self.rules.contains(rule) {
            return false;
        }
        self.rules.retain(|other| !is_alike(other, rule));
        self.rules.extend((is_on && !rule.fault.is_nothing()).then(|| rule.clone()));
        true
    }

    /// What is on at the node of machine `index`: its part of the rules of the network, and its own faults.
    pub fn rules_at(&self, machines: &[Machine], index: usize) -> Result<Vec<Rule>, FleetError> {
        let me = machines[index].member;
        let others = machines.iter().map(|machine| machine.member).filter(|&member| member != me);
        let others: Vec<MemberId> = others.collect();
        let network = self.rules.iter().flat_map(|rule| at_the_end_of(me, &others, rule));
        let mut rules: Vec<Rule> = Vec::new();
        for rule in network.chain(machines[index].own.rules.iter().cloned()) {
            match rules.iter().find(|other| is_alike(other, &rule)) {
                None => rules.push(rule),
                Some(same) if *same == rule && rule.fault == Fault::Cut => {}
                // The node would take the one in the place of the other, where a network has both act.
                Some(same) => {
                    let name = &machines[index].name;
                    let (same, rule) = (named(machines, same), named(machines, &rule));
                    return Err(FleetError::Cannot(format!(
                        "{name} cannot have both {same} and {rule} on, so this needs the simulator"
                    )));
                }
            }
        }
        if rules.len() > FAULT_RULES_MAX {
            let (name, count) = (&machines[index].name, rules.len());
            return Err(FleetError::Cannot(format!(
                "{name} would need {count} fault rules and takes {FAULT_RULES_MAX}, so this needs the simulator"
            )));
        }
        Ok(rules)
    }

    /// Whether a cut concerns `member`.
    pub fn cuts(&self, member: MemberId) -> bool {
        let concerns = |rule: &Rule| rule.from.include(Some(member)) || rule.to.include(Some(member));
        self.rules.iter().any(|rule| rule.fault == Fault::Cut && concerns(rule))
    }
}

impl OwnFaults {
    /// Does what `spec` says, as `moot fault` would.
    pub fn change(&mut self, spec: &str) -> Result<(), FleetError> {
        match spec.parse::<Spec>().map_err(|error| FleetError::Misuse(error.to_string()))? {
            Spec::Off => self.rules.clear(),
            Spec::Remove { kinds, from, to } => {
                self.rules.retain(|rule| !(kinds.contains(&rule.fault.kind()) && rule.from == from && rule.to == to));
            }
            Spec::Add(rules) => {
                for rule in rules {
                    self.rules.retain(|other| !is_alike(other, &rule));
                    if !rule.fault.is_nothing() {
                        self.rules.push(rule);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The specs that bring a node from one set of rules to another, each by itself: what stays is never off meanwhile.
pub(super) fn changes(from: &[Rule], to: &[Rule]) -> Vec<String> {
    let gone = from.iter().filter(|rule| !to.iter().any(|other| is_alike(other, rule)));
    let off = gone.map(|rule| {
        let links = Rule { fault: Fault::Cut, ..rule.clone() }.to_string();
        let links = links.strip_prefix(Kind::Cut.name()).expect("a rule begins with its fault");
        format!("off {}{links}", rule.fault.kind().name())
    });
    off.chain(to.iter().filter(|rule| !from.contains(rule)).map(ToString::to_string)).collect()
}

/// What `rule` comes to at the node of `me`.
fn at_the_end_of(me: MemberId, others: &[MemberId], rule: &Rule) -> Vec<Rule> {
    let mut rules = Vec::new();
    let kind = rule.fault.kind();
    if rule.from == Ends::Any && rule.to == Ends::Any {
        // A node does this to what it sends; a cut that names nobody to what it receives, too.
        return vec![rule.clone()];
    }
    if rule.from.include(Some(me)) && kind != Kind::Delay {
        // What names its sender alone is for the way in: each receiver is named instead.
        let receivers = others.iter().filter(|_| rule.from == Ends::Member(me) && rule.to == Ends::Any);
        rules.extend(receivers.map(|&member| Rule { to: Ends::Member(member), ..rule.clone() }));
        if rules.is_empty() && !rule.to.include(Some(me)) {
            rules.push(rule.clone());
        }
    }
    if matches!(kind, Kind::Cut | Kind::Delay) && rule.to.include(Some(me)) && rule.from != Ends::Member(me) {
        let senders = others.iter().filter(|&&member| rule.from.include(Some(member)));
        rules.extend(senders.map(|&member| Rule { from: Ends::Member(member), to: Ends::Any, ..rule.clone() }));
    }
    rules
}

/// The rule with the names of machines for the ids of members.
pub(super) fn named(machines: &[Machine], rule: &Rule) -> Rule {
    let name = |id| machines.iter().find(|machine| machine.member == id).map(|machine| &*machine.name);
    rule.with_names(name)
}

/// Whether a plan would take one in the place of the other.
fn is_alike(one: &Rule, other: &Rule) -> bool {
    one.fault.kind() == other.fault.kind() && one.from == other.from && one.to == other.to
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: MemberId = MemberId([1; 32]);
    const BO: MemberId = MemberId([2; 32]);
    const CY: MemberId = MemberId([3; 32]);

    fn rule(from: Ends, to: Ends, fault: Fault) -> Rule {
        Rule { from, to, fault }
    }

    fn here(from: Ends, to: Ends, fault: Fault) -> Vec<String> {
        at_the_end_of(ME, &[BO, CY], &rule(from, to, fault)).iter().map(ToString::to_string).collect()
    }

    fn loss() -> Fault {
        Fault::Loss(crate::faults::Share::from_ppm(50_000).unwrap())
    }

    #[test]
    fn a_rule_acts_at_its_senders_end_alone() {
        let me = || Ends::Member(ME);
        let bo = || Ends::Member(BO);
        assert_eq!(here(Ends::Any, Ends::Any, loss()), ["loss=5%"]);
        assert_eq!(here(Ends::Any, bo(), loss()), [format!("loss=5% to {BO}")]);
        assert_eq!(here(me(), bo(), loss()), [format!("loss=5% from {ME} to {BO}")]);
        let to_all = [format!("loss=5% from {ME} to {BO}"), format!("loss=5% from {ME} to {CY}")];
        assert_eq!(here(me(), Ends::Any, loss()), to_all);
        for (from, to) in [(bo(), me()), (bo(), Ends::Member(CY)), (Ends::Any, me()), (bo(), Ends::Any)] {
            assert!(here(from.clone(), to.clone(), loss()).is_empty(), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn a_delay_acts_at_its_receivers_end() {
        let delay = "delay=5s".parse().map(|spec| match spec {
            Spec::Add(rules) => rules[0].fault,
            other => panic!("{other:?}"),
        });
        let delay = delay.unwrap();
        assert_eq!(here(Ends::Member(BO), Ends::Member(ME), delay), [format!("delay=5s from {BO}")]);
        assert!(here(Ends::Member(ME), Ends::Member(BO), delay).is_empty());
        assert_eq!(here(Ends::Any, Ends::Any, delay), ["delay=5s"]);
    }

    #[test]
    fn a_cut_acts_at_both_ends() {
        let me = || Ends::Member(ME);
        let bo = || Ends::Member(BO);
        assert_eq!(here(Ends::Any, Ends::Any, Fault::Cut), ["cut"]);
        assert_eq!(here(me(), bo(), Fault::Cut), [format!("cut from {ME} to {BO}")]);
        assert_eq!(here(bo(), me(), Fault::Cut), [format!("cut from {BO}")]);
        assert_eq!(here(bo(), Ends::Any, Fault::Cut), [format!("cut from {BO}")]);
        assert_eq!(here(Ends::Any, me(), Fault::Cut), [format!("cut from {BO}"), format!("cut from {CY}")]);
        assert!(here(bo(), Ends::Member(CY), Fault::Cut).is_empty());
    }

    #[test]
    fn what_stays_on_is_not_touched() {
        let rules = |specs: &[&str]| -> Vec<Rule> {
            let read = |spec: &&str| match spec.parse() {
                Ok(Spec::Add(rules)) => rules,
                other => panic!("{other:?}"),
            };
            specs.iter().flat_map(read).collect()
        };
        let between = |from: &[&str], to: &[&str]| changes(&rules(from), &rules(to));
        assert_eq!(between(&["cut to bo"], &["cut to bo", "loss=5%"]), ["loss=5%"]);
        assert_eq!(between(&["cut from ana to bo", "loss=5%"], &["loss=9%"]), ["off cut from ana to bo", "loss=9%"]);
        assert_eq!(between(&["delay=9ms"], &[]), ["off delay"]);
        for spec in ["off cut from ana to bo", "off delay"] {
            assert!(matches!(spec.parse(), Ok(Spec::Remove { .. })), "{spec}");
        }
    }

    #[test]
    fn a_nodes_own_faults_are_changed_as_by_its_person() {
        let mut own = OwnFaults::default();
        own.change("loss=5%,delay=10ms").unwrap();
        own.change("loss=9%").unwrap();
        let shown: Vec<_> = own.rules.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["delay=10ms", "loss=9%"]);
        own.change("off").unwrap();
        assert!(own.rules.is_empty());
        assert!(matches!(own.change("lose 5%"), Err(FleetError::Misuse(_))));
    }
}
