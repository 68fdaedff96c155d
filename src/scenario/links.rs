//! The faults that a scenario put on: on links, on all of them, on machines. Owns what comes back when one is taken off, and
//! what the end mends.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fleet::{Change, DISK_LATENCY};
use super::stage::Stage;
use super::steps::{Links, Step, Way};
use super::stop::{Stop, Why};
use crate::check::Name;
use crate::faults::{Ends, Fault, Kind, Rule};

/// The faults on links, by the number of what put them on. A network has one fault of each kind on the very same links: what
/// was put on last. What it took the place of comes back when it is taken off.
#[derive(Default)]
pub(super) struct OnLinks {
    on: BTreeMap<usize, Links>,
    put_on: usize,
    layers: BTreeMap<Place, Vec<(Owner, Fault)>>,
}

/// The faults of rules for all links; nothing where one of them names an end.
pub(super) fn of_all(rules: Vec<Rule>) -> Option<Vec<Fault>> {
    let is_of_all = |rule: &Rule| rule.from == Ends::Any && rule.to == Ends::Any;
    rules.into_iter().map(|rule| is_of_all(&rule).then_some(rule.fault)).collect()
}

/// The links of a rule, and its kind.
type Place = (Ends, Ends, Kind);

/// What put a fault on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Default,
    Links(usize),
}

impl OnLinks {
    pub(super) fn is_on(&self, number: usize) -> bool {
        self.on.contains_key(&number)
    }
}

impl Stage {
    /// Puts faults on links; the number is for taking them off.
    pub(super) fn put_on(&mut self, links: Links) -> Result<usize, Stop> {
        let number = self.links.put_on + 1;
        self.taking(Step::Links { number, links: links.clone() }, |stage| stage.put_on_as(number, links))
    }

    fn put_on_as(&mut self, number: usize, links: Links) -> Result<usize, Stop> {
        for rule in self.rules_of(&links)? {
            let owner = Owner::Links(number);
            self.layer(&rule, |layers| layers.push((owner, rule.fault)))?;
        }
        self.links.put_on = number;
        self.record(Step::Links { number, links: links.clone() });
        self.links.on.insert(number, links);
        self.watch()?;
        Ok(number)
    }

    pub(super) fn take_off(&mut self, number: usize) -> Result<(), Stop> {
        let Some(links) = self.links.on.remove(&number) else { return Ok(()) };
        for rule in self.rules_of(&links)? {
            self.layer(&rule, |layers| layers.retain(|(owner, _)| *owner != Owner::Links(number)))?;
        }
        Ok(())
    }

    /// Puts a fault on every link, in the place of the default of its kind; one that does nothing takes that off.
    pub(super) fn put_on_all(&mut self, fault: Fault) -> Result<(), Stop> {
        self.layer(&everywhere(fault), |layers| {
            layers.retain(|(owner, _)| *owner != Owner::Default);
            if !fault.is_nothing() {
                layers.push((Owner::Default, fault));
            }
        })
    }

    /// Takes the default of a kind off every link.
    pub(super) fn take_off_all(&mut self, kind: Kind) -> Result<(), Stop> {
        let layers = self.links.layers.get(&(Ends::Any, Ends::Any, kind)).into_iter().flatten();
        let default = layers.filter(|(owner, _)| *owner == Owner::Default).map(|&(_, fault)| fault).next();
        default.map_or(Ok(()), |fault| {
            self.layer(&everywhere(fault), |layers| layers.retain(|(owner, _)| *owner != Owner::Default))
        })
    }

    /// Changes what was put on at the links of `rule`, and has the network do what comes out on top.
    fn layer(&mut self, rule: &Rule, change: impl FnOnce(&mut Vec<(Owner, Fault)>)) -> Result<(), Stop> {
        let place = (rule.from.clone(), rule.to.clone(), rule.fault.kind());
        let mut layers = self.links.layers.get(&place).cloned().unwrap_or_default();
        let before = acting(&layers);
        change(&mut layers);
        let after = acting(&layers);
        if before != after
            && let Some(fault) = after.or(before)
        {
            self.ask(|fleet| fleet.net(&Rule { fault, ..rule.clone() }, after.is_some()))?;
        }
        if layers.is_empty() {
            self.links.layers.remove(&place);
        } else {
            self.links.layers.insert(place, layers);
        }
        Ok(())
    }

    fn rules_of(&self, links: &Links) -> Result<Vec<Rule>, Stop> {
        let ends = |names: &[Name]| -> Result<Vec<Ends>, Stop> {
            if names.is_empty() {
                return Ok(vec![Ends::Any]);
            }
            let id = |name: &Name| self.id(name).map(Ends::Member);
            names.iter().map(|name| id(name).ok_or_else(|| Stop::script(format!("no node is called {name}")))).collect()
        };
        let (from, to) = (ends(&links.from)?, ends(&links.to)?);
        let mut rules = Vec::new();
        for (a, b) in
            from.iter().flat_map(|a| to.iter().map(move |b| (a, b))).filter(|(a, b)| a != b || **a == Ends::Any)
        {
            for &fault in &links.faults {
                rules.push(Rule { from: a.clone(), to: b.clone(), fault });
                if links.way == Way::Both && a != b {
                    rules.push(Rule { from: b.clone(), to: a.clone(), fault });
                }
            }
        }
        Ok(rules)
    }

    /// Takes off every fault of some links; what holds for all stays.
    pub(super) fn heal_links(&mut self) -> Result<(), Stop> {
        let numbers: Vec<usize> = self.links.on.keys().copied().collect();
        numbers.into_iter().try_for_each(|number| self.take(Step::Heal { number }))
    }

    /// Mends all that can be mended without starting anything: the network, paused nodes, nodes' own faults, loops and disks.
    /// Clocks stay as they are.
    pub(super) fn mend(&mut self) -> Result<(), Stop> {
        self.heal_links()?;
        let defaults: Vec<Fault> = self.links.layers.values().flatten().map(|&(_, fault)| fault).collect();
        for fault in defaults {
            self.layer(&everywhere(fault), Vec::clear)?;
        }
        for node in self.paused.clone() {
            self.take(Step::Resume { node })?;
        }
        for (node, mending) in std::mem::take(&mut self.mending) {
            for change in mending {
                let is_for_the_living = matches!(change, Change::Fault { .. } | Change::Stall { .. });
                if is_for_the_living && !self.is_running(&node) {
                    continue;
                }
                match self.take(Step::Change { node: node.clone(), change }) {
                    // What the fleet cannot mend it could not break either.
                    Err(stop) if stop.why == Why::Cannot => {}
                    done => done?,
                }
            }
        }
        self.mending.clear();
        Ok(())
    }
}

/// The change that takes back `change`, where the end does that.
pub(super) fn mends(change: &Change) -> Option<Change> {
    match change {
        Change::Fault { .. } => Some(Change::Fault { spec: "off".to_owned() }),
        Change::DiskFull { .. } => Some(Change::DiskFull { is_full: false }),
        Change::DiskLatency { .. } => Some(Change::DiskLatency { latency: DISK_LATENCY }),
        Change::Stall { .. } => Some(Change::Stall { lag: Duration::ZERO }),
        Change::ClockJump { .. }
        | Change::ClockDrift { .. }
        | Change::Snapshot { .. }
        | Change::Rollback { .. }
        | Change::CopyOf { .. }
        | Change::CrashAtCommit { .. } => None,
    }
}

/// What acts of what was put on at one place.
fn acting(layers: &[(Owner, Fault)]) -> Option<Fault> {
    layers.last().map(|&(_, fault)| fault).filter(|fault| !fault.is_nothing())
}

const fn everywhere(fault: Fault) -> Rule {
    Rule { from: Ends::Any, to: Ends::Any, fault }
}
