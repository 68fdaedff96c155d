//! Shrinks a failed run to a smaller scenario that fails in the same way: takes nodes, messages and faults out
//! while it still does (delta debugging: Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing
//! Input, 2002). Owns what may go together; whether a candidate fails is found by running it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::options::{Settings, Settle, Suite};
use super::script::{Run, Script};
use super::steps::{Links, Step, Timed, quoted, span};
use super::stop::{Stop, Why};
use crate::check::{Check, Name};

/// A smaller scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shrunk {
    pub source: String,
    pub steps: usize,
    /// Steps of the run that it was made from.
    pub steps_before: usize,
    pub runs: u32,
}

/// Candidates tried at most: a minute or two of the longest scenario here.
const RUNS_MAX: u32 = 300;
/// Lua takes 200 locals in one function; each node is one.
const NODES_MAX: usize = 150;

/// Shrinks `failed`, a run of `script`. `run` runs a candidate with the same seed. `None` where not even all the steps of the
/// run, taken at the same times, fail in the same way: then the failure is in the script itself.
pub fn shrink(script: &Script, failed: &Run, run: &mut dyn FnMut(&Script) -> Run) -> Option<Shrunk> {
    let stop = failed.stop.as_ref()?;
    let mut shrinker = Shrinker { script, failed, stop, run, runs: 0 };
    let all = failed.steps.clone();
    if names(&all).len() > NODES_MAX || !shrinker.fails(&all) {
        return None;
    }
    let steps = shrinker.without_nodes(&all);
    let steps = shrinker.without_units(&steps);
    let steps = shrinker.sooner(steps);
    let source = shrinker.source(&steps);
    Some(Shrunk { source, steps: steps.len(), steps_before: failed.steps.len(), runs: shrinker.runs })
}

struct Shrinker<'a> {
    script: &'a Script,
    failed: &'a Run,
    stop: &'a Stop,
    run: &'a mut dyn FnMut(&Script) -> Run,
    runs: u32,
}

impl Shrinker<'_> {
    fn fails(&mut self, steps: &[Timed]) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let candidate = Script { file: self.script.file.clone(), source: self.source(steps).into() };
        (self.run)(&candidate).stop.is_some_and(|stop| stop.is_like(self.stop))
    }

    /// Takes out nodes, each with all that happens to it.
    fn without_nodes(&mut self, steps: &[Timed]) -> Vec<Timed> {
        let kept = ddmin(&names(steps), |kept| self.fails(&only(steps, kept)));
        only(steps, &kept)
    }

    /// Takes out what stands for itself: a message, a crash with the restart after it, a fault with its healing.
    fn without_units(&mut self, steps: &[Timed]) -> Vec<Timed> {
        let units = units(steps);
        let of = |kept: &[usize]| -> Vec<Timed> {
            let dropped: BTreeSet<usize> =
                (0..units.len()).filter(|unit| !kept.contains(unit)).flat_map(|unit| units[unit].clone()).collect();
            let kept = steps.iter().enumerate().filter(|(at, _)| !dropped.contains(at));
            kept.map(|(_, step)| step.clone()).collect()
        };
        let all: Vec<usize> = (0..units.len()).collect();
        let kept = ddmin(&all, |kept| self.fails(&of(kept)));
        of(&kept)
    }

    /// Takes out time, where a check failed: an expectation would fail for want of time alone.
    fn sooner(&mut self, mut steps: Vec<Timed>) -> Vec<Timed> {
        if !matches!(self.stop.why, Why::Check(number) if number != Check::Settles.number()) {
            return steps;
        }
        for at in 1..steps.len() {
            let gap = steps[at].at.saturating_sub(steps[at - 1].at);
            for saved in [gap, gap / 2] {
                let mut candidate = steps.clone();
                candidate[at..].iter_mut().for_each(|step| step.at = step.at.saturating_sub(saved));
                if saved > Duration::from_millis(100) && self.fails(&candidate) {
                    steps = candidate;
                    break;
                }
            }
        }
        steps
    }

    /// The candidate as a scenario file.
    fn source(&self, steps: &[Timed]) -> String {
        let mut out = String::new();
        let first = self.stop.text.lines().next().unwrap_or_default();
        let _ = writeln!(out, "-- Shrunk from {}, seed {}: {first}", self.script.file, self.failed.seed);
        // What failed before the end needs no end.
        let is_at_end = self.failed.script_end.is_some();
        let settle = if is_at_end { self.failed.settings.settle } else { Settle::Never };
        let _ = writeln!(out, "{}", header(&Settings { settle, ..self.failed.settings.clone() }));
        let _ = writeln!(out, "local said, faults = {{}}, {{}}");
        let mut now = Duration::ZERO;
        for step in steps {
            wait(&mut out, &mut now, step.at);
            let _ = writeln!(out, "{}", step.step.statement());
        }
        // How long after the last step it failed matters, and not when the run began.
        let last = |steps: &[Timed]| steps.last().map_or(Duration::ZERO, |step| step.at);
        let script_end = self.stop.began.or(self.failed.script_end).or(self.stop.at).unwrap_or_default();
        let rest = script_end.saturating_sub(last(&self.failed.steps));
        let end = match self.stop.why {
            Why::Check(_) => now + rest,
            _ => script_end.max(now),
        };
        wait(&mut out, &mut now, end);
        if let Some(statement) = &self.stop.statement {
            out.push_str(statement);
        }
        out
    }
}

fn header(settings: &Settings) -> String {
    let mut fields = vec![format!("name = {}", quoted(&format!("{}, shrunk", settings.name)))];
    match settings.settle {
        Settle::Never => fields.push("settle = false".to_owned()),
        Settle::Within(limit) => fields.push(format!("settle = \"{}\"", span(limit))),
    }
    if settings.crypto == Suite::Plain {
        fields.push("crypto = \"plain\"".to_owned());
    }
    format!("scenario{{ {} }}", fields.join(", "))
}

fn wait(out: &mut String, now: &mut Duration, till: Duration) {
    if till > *now {
        let _ = writeln!(out, "wait(\"{}\")", span(till.saturating_sub(*now)));
        *now = till;
    }
}

fn names(steps: &[Timed]) -> Vec<Name> {
    let made = steps.iter().filter_map(|timed| match &timed.step {
        Step::Home { node } => Some(node.clone()),
        _ => None,
    });
    made.collect()
}

/// The steps that are left when only `kept` nodes exist.
fn only(steps: &[Timed], kept: &[Name]) -> Vec<Timed> {
    let is_kept = |name: &&Name| kept.contains(name);
    let mut gone = BTreeSet::new();
    let mut left = Vec::new();
    for timed in steps {
        let step = match &timed.step {
            Step::Links { number, links } => {
                let ends = |names: &[Name]| names.iter().filter(|name| is_kept(name)).cloned().collect::<Vec<_>>();
                let (from, to) = (ends(&links.from), ends(&links.to));
                // An end that named somebody must not come to mean anybody.
                if from.is_empty() != links.from.is_empty() || to.is_empty() != links.to.is_empty() {
                    gone.insert(*number);
                    continue;
                }
                let links = Links { from, to, way: links.way, faults: links.faults.clone() };
                Step::Links { number: *number, links }
            }
            Step::Heal { number } if gone.contains(number) => continue,
            step if step.nodes().iter().all(is_kept) => step.clone(),
            _ => continue,
        };
        left.push(Timed { at: timed.at, step });
    }
    left
}

/// Steps that go together, by their places: what breaks something, with what mends it.
fn units(steps: &[Timed]) -> Vec<Vec<usize>> {
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut taken = BTreeSet::new();
    for (at, timed) in steps.iter().enumerate() {
        if taken.contains(&at) {
            continue;
        }
        let mends = |other: &Step| match (&timed.step, other) {
            (Step::Crash { node, .. } | Step::Leave { node }, Step::Start { node: mended })
            | (Step::Pause { node }, Step::Resume { node: mended }) => node == mended,
            (Step::Links { number, .. }, Step::Heal { number: mended }) => number == mended,
            (Step::Default { fault }, Step::DefaultOff { kind }) => fault.kind() == *kind,
            _ => false,
        };
        let unit = match &timed.step {
            // What makes a node is in the unit of the node, which was tried before.
            Step::Home { .. }
            | Step::Start { .. }
            | Step::Resume { .. }
            | Step::Heal { .. }
            | Step::DefaultOff { .. } => continue,
            Step::Crash { node, .. } | Step::Leave { node } | Step::Pause { node } => {
                let later = steps.iter().enumerate().skip(at + 1);
                let mended = later.clone().find(|(_, other)| mends(&other.step)).map(|(at, _)| at);
                // Between, the machine may be put back to a snapshot, which a running one cannot.
                let between = later
                    .take_while(|(at, _)| mended.is_none_or(|mended| *at < mended))
                    .filter(|(_, other)| matches!(&other.step, Step::Change { node: other, .. } if other == node))
                    .map(|(at, _)| at);
                [at].into_iter().chain(between).chain(mended).collect()
            }
            Step::Links { .. } | Step::Default { .. } => {
                let mended = steps.iter().skip(at).position(|other| mends(&other.step)).map(|later| at + later);
                [at].into_iter().chain(mended).collect()
            }
            Step::Join { .. } | Step::Say { .. } | Step::Tell { .. } | Step::Change { .. } | Step::Lie { .. } => {
                vec![at]
            }
        };
        taken.extend(unit.iter().copied());
        units.push(unit);
    }
    units
}

/// The smallest part of `items` that `fails`, as far as taking out one chunk after the other finds it.
fn ddmin<T: Clone>(items: &[T], mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut kept = items.to_vec();
    let mut chunks = 2;
    while !kept.is_empty() {
        let size = kept.len().div_ceil(chunks.min(kept.len()));
        let mut is_smaller = false;
        let mut from = 0;
        while from < kept.len() {
            let till = (from + size).min(kept.len());
            let candidate: Vec<T> = kept[..from].iter().chain(&kept[till..]).cloned().collect();
            if fails(&candidate) {
                kept = candidate;
                is_smaller = true;
            } else {
                from = till;
            }
        }
        if size == 1 && !is_smaller {
            break;
        }
        if size > 1 {
            chunks = (chunks * 2).min(kept.len().max(1));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::fleet::Unsynced;

    #[test]
    fn delta_debugging_finds_the_two_that_matter() {
        let items: Vec<u32> = (0..100).collect();
        let mut runs = 0;
        let kept = ddmin(&items, |kept| {
            runs += 1;
            kept.contains(&17) && kept.contains(&83)
        });
        assert_eq!(kept, [17, 83]);
        assert!(runs < 100, "{runs}");
        assert!(ddmin(&items, |_| true).is_empty());
        assert_eq!(ddmin(&items, |kept| kept.len() == 100).len(), 100);
    }

    fn timed(steps: Vec<Step>) -> Vec<Timed> {
        steps.into_iter().zip(0..).map(|(step, at)| Timed { at: Duration::from_secs(at), step }).collect()
    }

    #[test]
    fn a_crash_goes_with_its_restart_and_a_cut_with_its_healing() {
        let ana: Name = "ana".into();
        let links = Links { from: vec![ana.clone()], to: vec![], way: super::super::steps::Way::One, faults: vec![] };
        let steps = timed(vec![
            Step::Home { node: ana.clone() },
            Step::Start { node: ana.clone() },
            Step::Links { number: 1, links },
            Step::Crash { node: ana.clone(), unsynced: Unsynced::Keep },
            Step::Start { node: ana.clone() },
            Step::Heal { number: 1 },
            Step::Say { node: ana.clone(), message: 1, text: "hi".into() },
        ]);
        assert_eq!(units(&steps), [vec![2, 5], vec![3, 4], vec![6]]);
        assert!(only(&steps, &[]).is_empty());
        assert_eq!(only(&steps, &[ana]).len(), steps.len());
    }
}
