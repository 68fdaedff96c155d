//! A sweep over seeds: runs side by side on the cores, up to the first that does not pass. Owns which seeds are
//! run and which failure counts; the runs know nothing of each other.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::script::Run;
use super::stop::Verdict;

/// Seeds from one to another, both among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seeds {
    pub first: u64,
    pub last: u64,
}

/// One of several machines that share a sweep: it takes every `of`th seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shard {
    /// From 1.
    pub number: u64,
    pub of: u64,
}

/// What a sweep found.
#[derive(Debug)]
pub struct Sweep {
    pub passed: u64,
    /// The run of the lowest seed that did not pass.
    pub first: Option<Run>,
}

/// Why a range of seeds or a shard does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeedsError {
    #[error("seeds are a range such as 1..200, both ends among them")]
    Range,
    #[error("a shard is one of some, such as 2/8")]
    Shard,
}

impl Seeds {
    /// The seeds that fall to `shard`.
    #[must_use]
    pub fn of(self, shard: Option<Shard>) -> Vec<u64> {
        let all = self.first..=self.last;
        match shard {
            None => all.collect(),
            Some(shard) => all.filter(|seed| (seed - self.first) % shard.of == shard.number - 1).collect(),
        }
    }
}

impl FromStr for Seeds {
    type Err = SeedsError;

    fn from_str(text: &str) -> Result<Self, SeedsError> {
        let (first, last) = text.split_once("..").ok_or(SeedsError::Range)?;
        let read = |text: &str| text.parse().map_err(|_| SeedsError::Range);
        let (first, last) = (read(first)?, read(last.trim_start_matches('='))?);
        if first <= last { Ok(Self { first, last }) } else { Err(SeedsError::Range) }
    }
}

impl FromStr for Shard {
    type Err = SeedsError;

    fn from_str(text: &str) -> Result<Self, SeedsError> {
        let (number, of) = text.split_once('/').ok_or(SeedsError::Shard)?;
        let read = |text: &str| text.parse().map_err(|_| SeedsError::Shard);
        let (number, of) = (read(number)?, read(of)?);
        if (1..=of).contains(&number) { Ok(Self { number, of }) } else { Err(SeedsError::Shard) }
    }
}

/// Runs each seed, as many at once as there are cores, and tells `done` of each. After one that did not pass no more are begun; those
/// below it are ended, so that the lowest counts, whatever the cores did.
pub fn sweep(seeds: &[u64], run: impl Fn(u64) -> Run + Sync, done: impl Fn(&Run) + Sync) -> Sweep {
    let next = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let found = Mutex::new(Sweep { passed: 0, first: None });
    let work = || {
        while !is_over.load(Ordering::SeqCst) {
            // Taken in order, so that all below a seed that fails were begun.
            let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::SeqCst)) else { break };
            let run = run(seed);
            done(&run);
            let mut found = found.lock().expect("no run panics while it holds this");
            if run.verdict() == Verdict::Passed {
                found.passed += 1;
                continue;
            }
            is_over.store(true, Ordering::SeqCst);
            if found.first.as_ref().is_none_or(|first| run.seed < first.seed) {
                found.first = Some(run);
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(seeds.len()) {
            scope.spawn(work);
        }
    });
    found.into_inner().expect("no run panics while it holds this")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::stop::Stop;

    fn run_of(seed: u64, passes: bool) -> Run {
        let stop = (!passes).then(|| Stop::script("no"));
        Run { seed, stop, ..Run::default() }
    }

    #[test]
    fn the_lowest_seed_that_fails_is_found_each_time() {
        let seeds = Seeds { first: 1, last: 500 }.of(None);
        for _ in 0..20 {
            let found = sweep(&seeds, |seed| run_of(seed, seed < 40), |_| {});
            assert_eq!(found.first.map(|run| run.seed), Some(40));
        }
        let found = sweep(&seeds, |seed| run_of(seed, true), |_| {});
        assert_eq!((found.passed, found.first.is_none()), (500, true));
    }

    #[test]
    fn shards_share_the_seeds() {
        let seeds: Seeds = "1..10".parse().unwrap();
        let mut all: Vec<u64> = (1..=3).flat_map(|number| seeds.of(Some(Shard { number, of: 3 }))).collect();
        assert_eq!(seeds.of(Some("2/3".parse().unwrap())), [2, 5, 8]);
        all.sort_unstable();
        assert_eq!(all, (1..=10).collect::<Vec<_>>());
        for wrong in ["5..1", "5", "a..b"] {
            assert_eq!(wrong.parse::<Seeds>(), Err(SeedsError::Range));
        }
        for wrong in ["0/3", "4/3", "3"] {
            assert_eq!(wrong.parse::<Shard>(), Err(SeedsError::Shard));
        }
    }
}
