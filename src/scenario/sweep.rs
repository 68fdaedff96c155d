//! A sweep over seeds: runs side by side on the cores, up to the first that does not pass. Owns which seeds are
//! run and which failure counts; the runs know nothing of each other.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
    /// Below the first that did not.
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
    /// How many fall to `shard`; the most that can be said where it is all there are.
    #[must_use]
    pub fn count(self, shard: Option<Shard>) -> u64 {
        let (offset, step) = shares(shard);
        (self.last - self.first).checked_sub(offset).map_or(0, |rest| (rest / step).saturating_add(1))
    }

    /// The seed at `index` of those that fall to `shard`, from 0.
    #[must_use]
    pub fn nth(self, index: u64, shard: Option<Shard>) -> Option<u64> {
        let (offset, step) = shares(shard);
        let seed = index.checked_mul(step)?.checked_add(offset)?.checked_add(self.first)?;
        (seed <= self.last).then_some(seed)
    }
}

/// Where a shard begins, and how far apart its seeds are.
const fn shares(shard: Option<Shard>) -> (u64, u64) {
    match shard {
        None => (0, 1),
        Some(shard) => (shard.number - 1, shard.of),
    }
}

impl FromStr for Seeds {
    type Err = SeedsError;

    fn from_str(text: &str) -> Result<Self, SeedsError> {
        let (first, last) = text.split_once("..").ok_or(SeedsError::Range)?;
        let read = |text: &str| text.parse().map_err(|_| SeedsError::Range);
        let (first, last) = (read(first)?, read(last.strip_prefix('=').unwrap_or(last))?);
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

/// Runs each seed that falls to `shard`, as many at once as there are cores, and tells `done` of each. After one that did not pass no
/// more are begun; those below it are ended, so that the lowest counts, and those that passed before it, whatever the cores did.
pub fn sweep(seeds: Seeds, shard: Option<Shard>, run: impl Fn(u64) -> Run + Sync, done: impl Fn() + Sync) -> Sweep {
    let next = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let found: Mutex<Option<(u64, Run)>> = Mutex::new(None);
    let work = || {
        while !is_over.load(Ordering::SeqCst) {
            // Taken in order, so that all below a seed that fails were begun.
            let index = next.fetch_add(1, Ordering::SeqCst);
            let Some(seed) = seeds.nth(index, shard) else { break };
            let run = run(seed);
            done();
            if run.verdict() == Verdict::Passed {
                continue;
            }
            is_over.store(true, Ordering::SeqCst);
            let mut found = found.lock().expect("no run panics while it holds this");
            if found.as_ref().is_none_or(|(first, _)| index < *first) {
                *found = Some((index, run));
            }
        }
    };
    let count = seeds.count(shard);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(usize::try_from(count).unwrap_or(usize::MAX)) {
            scope.spawn(work);
        }
    });
    match found.into_inner().expect("no run panics while it holds this") {
        Some((passed, run)) => Sweep { passed, first: Some(run) },
        None => Sweep { passed: count, first: None },
    }
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
        let seeds = Seeds { first: 1, last: 500 };
        for _ in 0..20 {
            let found = sweep(seeds, None, |seed| run_of(seed, seed < 40 || seed == 41), || {});
            assert_eq!(found.first.map(|run| run.seed), Some(40));
            assert_eq!(found.passed, 39, "those below it, however many were run");
        }
        let found = sweep(seeds, None, |seed| run_of(seed, true), || {});
        assert_eq!((found.passed, found.first.is_none()), (500, true));
    }

    #[test]
    fn all_seeds_that_there_are_can_be_begun() {
        let all: Seeds = "0..18446744073709551615".parse().unwrap();
        assert_eq!(sweep(all, None, |seed| run_of(seed, seed < 3), || {}).passed, 3);
        assert_eq!((all.count(None), all.nth(u64::MAX, None)), (u64::MAX, Some(u64::MAX)));
        let last = Seeds { first: u64::MAX, last: u64::MAX };
        assert_eq!((last.count(None), last.nth(0, None), last.nth(1, None)), (1, Some(u64::MAX), None));
    }

    #[test]
    fn shards_share_the_seeds() {
        let seeds: Seeds = "1..10".parse().unwrap();
        let of = |shard: Shard| (0..).map_while(move |index| seeds.nth(index, Some(shard))).collect::<Vec<_>>();
        let mut all: Vec<u64> = (1..=3).flat_map(|number| of(Shard { number, of: 3 })).collect();
        assert_eq!(of("2/3".parse().unwrap()), [2, 5, 8]);
        for (shard, count) in [("1/3", 4), ("2/3", 3), ("11/20", 0)] {
            assert_eq!(seeds.count(Some(shard.parse().unwrap())), count, "{shard}");
        }
        all.sort_unstable();
        assert_eq!(all, (1..=10).collect::<Vec<_>>());
        for wrong in ["5..1", "5", "a..b", "1..==5"] {
            assert_eq!(wrong.parse::<Seeds>(), Err(SeedsError::Range));
        }
        for wrong in ["0/3", "4/3", "3"] {
            assert_eq!(wrong.parse::<Shard>(), Err(SeedsError::Shard));
        }
    }
}
