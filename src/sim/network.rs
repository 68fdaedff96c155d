//! What lies between the machines: delay, loss and cuts, by the very plan and fates that a real node injects
//! faults with. Knows members by their ids; carries no bytes itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::World;
use crate::base::MemberId;
use crate::faults::{Ends, Fate, Fault, Plan, Rule, Share};

pub(super) struct Network {
    plan: Plan,
    /// How many datagrams went each way of each link.
    passed: BTreeMap<(MemberId, MemberId), u64>,
}

/// One way between two machines of a building, until a story says otherwise.
const DELAY: Fault = Fault::Delay { by: Duration::from_millis(2), jitter: Duration::from_millis(1) };

impl Network {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        let mut plan = Plan::new(seed);
        plan.add([everywhere(DELAY)]).expect("an empty plan has room");
        Self { plan, passed: BTreeMap::new() }
    }

    /// How long each copy of the next datagram from `from` to `to` takes; no copy when it is lost.
    pub(super) fn arrivals(&mut self, from: MemberId, to: MemberId) -> impl Iterator<Item = Duration> + use<> {
        let index = self.passed.entry((from, to)).or_default();
        let fate = self.plan.fate(Some(from), Some(to), *index);
        *index += 1;
        match fate {
            Fate::Drop(_) => [None, None],
            Fate::Deliver { after, again } => [Some(after), again],
        }
        .into_iter()
        .flatten()
    }

    fn put_on(&mut self, rules: impl IntoIterator<Item = Rule>) {
        self.plan.add(rules).expect("a story has fewer rules than a plan holds");
    }
}

fn everywhere(fault: Fault) -> Rule {
    Rule { from: Ends::Any, to: Ends::Any, fault }
}

impl World {
    /// Lets every link, each way, lose this many of a thousand datagrams.
    pub fn loss(&mut self, per_mille: u32) {
        let share = Share::from_ppm(per_mille * 1_000).expect("at most 1,000 per mille");
        self.network.put_on([everywhere(Fault::Loss(share))]);
    }

    /// Lets every link, each way, take `by`, give or take up to `jitter`.
    pub fn delay(&mut self, by: Duration, jitter: Duration) {
        self.network.put_on([everywhere(Fault::Delay { by, jitter })]);
    }

    /// Lets every link, each way, deliver this many of a thousand datagrams twice.
    pub fn duplicate(&mut self, per_mille: u32) {
        let share = Share::from_ppm(per_mille * 1_000).expect("at most 1,000 per mille");
        self.network.put_on([everywhere(Fault::Duplicate(share))]);
    }

    /// Lets nothing pass from `from` to `to`; the other way stays open.
    pub fn cut(&mut self, from: &str, to: &str) {
        let (from, to) = (Ends::Member(self.id(from)), Ends::Member(self.id(to)));
        self.network.put_on([Rule { from, to, fault: Fault::Cut }]);
    }

    /// Lets nothing pass between the two sides, either way.
    pub fn partition(&mut self, one: &[&str], other: &[&str]) {
        for a in one {
            for b in other {
                self.cut(a, b);
                self.cut(b, a);
            }
        }
    }

    /// Opens all that was cut.
    pub fn heal(&mut self) {
        let cuts: Vec<Rule> =
            self.network.plan.rules().iter().filter(|rule| rule.fault == Fault::Cut).cloned().collect();
        for cut in &cuts {
            self.network.plan.remove(cut);
        }
    }
}
