//! The end of a run: what must be mended, whether the room came to rest, and what the checker says once all
//! is over. Owns the failure of a room that does not settle; what settled means is the checker's.

use std::time::Duration;

use super::stage::Stage;
use super::stop::{Stop, Why, seconds};
use crate::base::MemberId;
use crate::check::{Check, Driver, Name, What};
use crate::node::api::Status;

/// A room settles within seconds or minutes, and a look into it asks every node.
const REST_LOOKED_AT_EVERY: Duration = Duration::from_millis(250);

impl Stage {
    /// Whether the nodes that run are at rest. It is asked at each change, and looked into a few times a second.
    pub(super) fn is_at_rest(&mut self) -> Result<bool, Stop> {
        let now = self.elapsed();
        if self.unsettled_at.is_some_and(|at| now < at + REST_LOOKED_AT_EVERY) || !self.converged()? {
            return Ok(false);
        }
        let is_at_rest = self.why_unsettled()?.is_empty();
        self.unsettled_at = (!is_at_rest).then_some(now);
        Ok(is_at_rest)
    }

    fn why_unsettled(&mut self) -> Result<Vec<String>, Stop> {
        const REASONS_MAX: usize = 5;
        let able: Vec<(Name, MemberId)> = self.able();
        let mut statuses: Vec<(Name, Status)> = Vec::with_capacity(able.len());
        for (name, _) in able {
            let status = self.status(&name)?;
            statuses.push((name, status));
        }
        let statuses: Vec<(&str, &Status)> = statuses.iter().map(|(name, status)| (&**name, status)).collect();
        Ok(self.checker.unsettled(&statuses, REASONS_MAX))
    }

    /// The failure of a room that did not come to rest.
    pub(super) fn not_settled(&mut self) -> Stop {
        let what = match self.why_unsettled() {
            Ok(what) if what.is_empty() => "it is at rest only now".to_owned(),
            Ok(what) => what.join("; "),
            Err(stop) => return stop,
        };
        let waited = self.elapsed().saturating_sub(self.settling_since);
        let mut stop = self.violated(Check::Settles, None, &format!("{} after the last fault {what}", seconds(waited)));
        stop.began = Some(self.settling_since);
        stop
    }

    /// Notes that the room came to rest.
    pub(super) fn settled(&mut self) -> Result<(), Stop> {
        let after = self.elapsed().saturating_sub(self.settling_since);
        self.note(None, What::Step { text: format!("the room is at rest: after {}", seconds(after)), line: None })
    }

    /// Asks the checker what it can say only when all is over.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        // Simulated disks tell what is on them as it gets there.
        if self.ask(|fleet| Ok(fleet.driver()))? == Driver::Processes {
            for (name, _) in self.nodes().to_vec() {
                let log = self.log(&name)?;
                self.checker.handle_log(&name, &log);
                if self.is_able(&name) {
                    let gaps = self.gaps(&name)?;
                    self.checker.handle_gaps(&name, &gaps);
                }
            }
        }
        self.checker.finish();
        self.judge()
    }

    /// Ends the run where a check does not hold.
    pub(super) fn judge(&mut self) -> Result<(), Stop> {
        // What comes after the first failure, and while it is described, says nothing new.
        if self.is_judged {
            return Ok(());
        }
        match self.checker.poll_violation() {
            None => Ok(()),
            Some(found) => Err(self.violated(found.check, Some(found.line), &found.text)),
        }
    }

    fn violated(&mut self, check: Check, at: Option<u64>, what: &str) -> Stop {
        self.is_judged = true;
        let text = format!("check {} ({}) does not hold: {what}", check.number(), check.name());
        let mut stop = Stop::new(Why::Check(check.number()), text);
        stop.room = self.room();
        stop.about.line = at;
        if let Ok(line) = self.note_violation(check.number(), at, what.to_owned()) {
            stop.about.line = Some(line);
        }
        stop
    }
}
