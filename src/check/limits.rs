//! Check 8, for the promise S3: every queue and table is within its limit, in every sample of a node's status.
//!
//! It cannot cry wolf: both numbers are the node's own, `counters["x_used"]` and `limits["x"]`. That the first is counted
//! rightly is for the tests of the tables themselves.

use std::collections::BTreeSet;

use super::Check;
use super::checker::Findings;
use super::facts::Facts;
use crate::node::api::Status;

#[derive(Debug, Default)]
pub(super) struct Limits {
    /// Told once for each node and table.
    told: BTreeSet<(String, String)>,
}

impl Limits {
    pub fn handle_status(&mut self, facts: &Facts, name: &str, status: &Status, found: &mut Findings) {
        for (table, &limit) in &status.limits {
            let Some(&used) = status.counters.get(&format!("{table}_used")) else { continue };
            if used > limit && self.told.insert((name.to_owned(), table.clone())) {
                found.push(
                    Check::Limits,
                    facts.line,
                    format!("{name} holds {used} of {table}, of which {limit} are allowed"),
                );
            }
        }
    }
}
