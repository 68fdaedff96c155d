//! What lies between the machines: delay, loss and cuts, by the very plan and fates that a real node injects
//! faults with. Knows members by their ids; carries no bytes itself.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::World;
use crate::base::{MemberId, Time};
use crate::check;
use crate::check::What;
use crate::faults::{Arrival, Datagram, DropReason, Ends, Fate, Fault, Link, Place, Plan, PlanFull, Rule, Share};

pub(super) struct Network {
    plan: Plan,
    partitions: Vec<Partition>,
    /// One for each way between two machines; made when the first datagram goes.
    links: HashMap<(usize, usize), Link>,
}

/// Two sets of machines, by their numbers, between which nothing passes. As rules it would be two for each pair, half a million
/// where a thousand members are cut into halves.
struct Partition {
    one: BTreeSet<usize>,
    other: BTreeSet<usize>,
}

impl Partition {
    fn is_between(&self, from: usize, to: usize) -> bool {
        let Self { one, other } = self;
        one.contains(&from) && other.contains(&to) || other.contains(&from) && one.contains(&to)
    }
}

/// The next datagram from one machine to another, each with its member.
#[derive(Clone, Copy)]
pub(super) struct Passage {
    pub from: (usize, MemberId),
    pub to: (usize, MemberId),
    pub time: Time,
    pub bytes: usize,
}

/// One way between two machines of a building, until a story says otherwise.
const DELAY: Fault = Fault::Delay { by: Duration::from_millis(2), jitter: Duration::from_millis(1) };

impl Network {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        let mut plan = Plan::of_network(seed);
        plan.add([everywhere(DELAY)]).expect("an empty plan has room");
        Self { plan, partitions: Vec::new(), links: HashMap::new() }
    }

    /// How the next datagram arrives, and its copy; or why it is lost.
    pub(super) fn fate(
        &mut self,
        Passage { from, to, time, bytes }: Passage,
    ) -> Result<(Arrival, Option<Arrival>), check::DropReason> {
        if self.partitions.iter().any(|partition| partition.is_between(from.0, to.0)) {
            return Err(check::DropReason::Cut);
        }
        let link = self.links.entry((from.0, to.0)).or_default();
        let datagram = Datagram { place: Place::Network, from: Some(from.1), to: Some(to.1), time, bytes };
        match self.plan.decide(datagram, link) {
            Fate::Drop(DropReason::Cut) => Err(check::DropReason::Cut),
            Fate::Drop(DropReason::Loss) => Err(check::DropReason::Loss),
            Fate::Drop(DropReason::Queue) => Err(check::DropReason::Queue),
            Fate::Drop(DropReason::Hook) => Err(check::DropReason::Hook),
            Fate::Deliver { first, again } => Ok((first, again)),
        }
    }
}

fn everywhere(fault: Fault) -> Rule {
    Rule { from: Ends::Any, to: Ends::Any, fault }
}

impl World {
    /// Puts a rule on the network. Its ends are anybody or a member's id.
    ///
    /// # Errors
    /// [`PlanFull`]; nothing changed.
    pub fn put_on(&mut self, rule: &Rule) -> Result<(), PlanFull> {
        self.network.plan.add([rule.clone()])?;
        self.fault_line(rule, true);
        Ok(())
    }

    /// Takes a rule off the network; says whether it was on. Where no delay is left, that of a building is.
    pub fn take_off(&mut self, rule: &Rule) -> bool {
        let was_on = self.network.plan.remove(rule);
        if was_on {
            self.fault_line(rule, false);
            if matches!(rule.fault, Fault::Delay { .. }) && rule.from == Ends::Any && rule.to == Ends::Any {
                self.network.plan.add([everywhere(DELAY)]).expect("there is room for one rule where one was");
            }
        }
        was_on
    }

    /// Lets every link, each way, lose this many of a thousand datagrams.
    pub fn loss(&mut self, per_mille: u32) {
        self.put_everywhere(Fault::Loss(share(per_mille)));
    }

    /// Lets every link, each way, take `by`, give or take up to `jitter`.
    pub fn delay(&mut self, by: Duration, jitter: Duration) {
        self.put_everywhere(Fault::Delay { by, jitter });
    }

    /// Lets every link, each way, deliver this many of a thousand datagrams twice.
    pub fn duplicate(&mut self, per_mille: u32) {
        self.put_everywhere(Fault::Duplicate { share: share(per_mille), within: Duration::ZERO });
    }

    /// Lets nothing pass from `from` to `to`; the other way stays open.
    pub fn cut(&mut self, from: &str, to: &str) {
        let (from, to) = (Ends::Member(self.id(from)), Ends::Member(self.id(to)));
        self.put(&Rule { from, to, fault: Fault::Cut });
    }

    /// Lets nothing pass between the two sides, either way.
    pub fn partition(&mut self, one: &[&str], other: &[&str]) {
        let numbers = |names: &[&str]| names.iter().map(|name| self.index(name)).collect();
        let partition = Partition { one: numbers(one), other: numbers(other) };
        self.partition_line(&partition, true);
        self.network.partitions.push(partition);
    }

    /// Opens all that was cut.
    pub fn heal(&mut self) {
        for partition in std::mem::take(&mut self.network.partitions) {
            self.partition_line(&partition, false);
        }
        for rule in self.network.plan.rules() {
            if rule.fault == Fault::Cut {
                self.take_off(&rule);
            }
        }
    }

    fn put_everywhere(&mut self, fault: Fault) {
        self.put(&everywhere(fault));
    }

    fn put(&mut self, rule: &Rule) {
        self.put_on(rule).expect("a story has fewer rules than a plan holds");
    }

    fn partition_line(&mut self, Partition { one, other }: &Partition, is_on: bool) {
        self.mark(None, &format!("partition {one:?} {other:?} {is_on}"));
        if self.recorder.is_on() {
            let name = |&number: &usize| self.machines[number].name.to_string();
            let names = |side: &BTreeSet<usize>| side.iter().map(name).collect::<Vec<_>>().join(",");
            let text = format!("cut between {} and {}", names(one), names(other));
            self.line(None, None, || What::Fault { text, is_on });
        }
    }

    fn fault_line(&mut self, rule: &Rule, is_on: bool) {
        // By ids: names are looked for.
        self.mark(None, &format!("{rule} {is_on}"));
        if self.recorder.is_on() {
            let named = |id| self.machines.iter().find(|machine| machine.home.id == id).map(|machine| &*machine.name);
            let text = rule.with_names(named).to_string();
            self.line(None, None, || What::Fault { text, is_on });
        }
    }
}

fn share(per_mille: u32) -> Share {
    Share::from_ppm(per_mille * 1_000).expect("at most 1,000 per mille")
}
