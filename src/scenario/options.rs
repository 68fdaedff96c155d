//! What a run is asked for from outside, and what its script asks for itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::check::{Line, SETTLES_WITHIN};

/// How a scenario is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed 0 is the calm one: no background fault is drawn for it.
    pub seed: u64,
    /// The run is stopped at this time, as an endless one.
    pub limit: Duration,
    /// Draws background faults for a scenario that names none.
    pub swarm: bool,
    pub keeps: Keeps,
    pub tape: Option<Tape>,
}

/// Is given each line of the trace as it comes, so that a run which never ends leaves something too.
#[derive(Clone)]
pub struct Tape(Arc<dyn Fn(&Line) + Send + Sync>);

/// How much of the trace is at hand at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Keeps {
    Nothing,
    /// Enough for the causal past of a failure.
    #[default]
    Last,
    All,
}

/// What `scenario{…}` says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    pub name: String,
    pub about: String,
    pub crypto: Suite,
    pub settle: Settle,
    pub swarm: Swarm,
    /// How long the run may take of its own time, where that is more than is usual.
    pub limit: Option<Duration>,
}

/// How the nodes of a simulated run encrypt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Suite {
    #[default]
    Real,
    /// Not at all, for rooms of thousands.
    Plain,
}

/// Whether the room must come to rest at the end, and how soon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settle {
    Within(Duration),
    Never,
}

/// The background faults that a run may draw from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Swarm {
    #[default]
    None,
    Mild,
    Of(Vec<String>),
}

/// A scenario is minutes long; an hour is a loop without an end.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// What of a span can pass: time goes on in whole microseconds, and an end between two would never come.
pub(super) fn in_micros(span: Duration) -> Duration {
    Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 0, limit: LIMIT, swarm: false, keeps: Keeps::default(), tape: None }
    }
}

impl Tape {
    pub fn new(write: impl Fn(&Line) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    pub(super) fn write(&self, line: &Line) {
        (self.0)(line);
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tape")
    }
}

impl Settle {
    pub(super) const fn default_span() -> Duration {
        SETTLES_WITHIN
    }
}

impl Default for Settle {
    fn default() -> Self {
        Self::Within(SETTLES_WITHIN)
    }
}
