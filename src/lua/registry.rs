//! What a script has registered: hooks by what they are about, timers by when they are due. Owns the order in which they
//! are called, and who is switched off for failing; calls nothing itself.

use std::collections::BTreeMap;
use std::time::Duration;

use mlua::Function;

use super::args::{Args, Misuse};
use crate::base::Time;
use crate::base::limits::{SCRIPT_FAILURES_MAX, SCRIPT_HOOKS_MAX, SCRIPT_TIMERS_MAX, SCRIPT_WAIT_MIN};

/// What a hook is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Topic {
    Message,
    Private,
    Member,
    Delivery,
    Gap,
    Datagram,
}

#[derive(Debug, Default)]
pub(super) struct Registry {
    pub now: Time,
    hooks: Vec<Hook>,
    timers: BTreeMap<(Time, u64), Timer>,
    /// Timers that were ever set.
    set: u64,
}

#[derive(Debug)]
struct Hook {
    topic: Topic,
    function: Function,
    failures: Failures,
}

#[derive(Debug)]
pub(super) struct Timer {
    pub function: Function,
    every: Option<Duration>,
    failures: Failures,
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Failures(u32);

/// Whether a function is called again after it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    On,
    /// It failed too often just now.
    SwitchedOff,
}

impl Topic {
    pub(super) const ALL: [Self; 6] =
        [Self::Message, Self::Private, Self::Member, Self::Delivery, Self::Gap, Self::Datagram];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Private => "private",
            Self::Member => "member",
            Self::Delivery => "delivery",
            Self::Gap => "gap",
            Self::Datagram => "datagram",
        }
    }
}

impl Failures {
    fn note(&mut self, failed: bool) -> Standing {
        if !failed {
            self.0 = 0;
            return Standing::On;
        }
        self.0 += 1;
        if self.0 == SCRIPT_FAILURES_MAX { Standing::SwitchedOff } else { Standing::On }
    }

    const fn is_off(self) -> bool {
        self.0 >= SCRIPT_FAILURES_MAX
    }
}

impl Registry {
    pub(super) fn new(now: Time) -> Self {
        Self { now, ..Self::default() }
    }

    /// The node runs: timers that were set before count from now.
    pub(super) fn begin(&mut self, now: Time) {
        let waited = now.since(self.now);
        let timers = std::mem::take(&mut self.timers);
        self.timers = timers.into_iter().map(|((due, set), timer)| ((due + waited, set), timer)).collect();
        self.now = now;
    }

    /// `moot.on(topic, function)`.
    pub(super) fn on(&mut self, mut args: Args) -> Result<(), Misuse> {
        let name = args.text("event")?;
        let function = args.function("function")?;
        args.end()?;
        let Some(topic) = Topic::ALL.into_iter().find(|topic| topic.name() == name) else {
            let known = Topic::ALL.map(Topic::name).join(", ");
            return Err(args.misuse(format!("there is no event '{name}'; there are {known}")));
        };
        if self.hooks.len() == SCRIPT_HOOKS_MAX {
            return Err(args.misuse(format!("a script has at most {SCRIPT_HOOKS_MAX} hooks")));
        }
        self.hooks.push(Hook { topic, function, failures: Failures::default() });
        Ok(())
    }

    /// `moot.every(period, function)`.
    pub(super) fn every(&mut self, mut args: Args) -> Result<(), Misuse> {
        let period = args.duration("period")?;
        self.set_timer(args, period, Some(period))
    }

    /// `moot.after(delay, function)`.
    pub(super) fn after(&mut self, mut args: Args) -> Result<(), Misuse> {
        let delay = args.duration("delay")?;
        self.set_timer(args, delay, None)
    }

    fn set_timer(&mut self, mut args: Args, wait: Duration, every: Option<Duration>) -> Result<(), Misuse> {
        let function = args.function("function")?;
        args.end()?;
        if wait < SCRIPT_WAIT_MIN {
            let least = humantime::format_duration(SCRIPT_WAIT_MIN);
            return Err(args.misuse(format!("{least} is the shortest time to wait")));
        }
        if self.timers.len() >= SCRIPT_TIMERS_MAX {
            return Err(args.misuse(format!("a script has at most {SCRIPT_TIMERS_MAX} timers at once")));
        }
        let timer = Timer { function, every, failures: Failures::default() };
        self.insert(self.now + wait, timer);
        Ok(())
    }

    fn insert(&mut self, due: Time, timer: Timer) {
        self.set += 1;
        self.timers.insert((due, self.set), timer);
    }

    /// The hooks about `topic` that are on, in the order in which they were registered.
    pub(super) fn hooks(&self, topic: Topic) -> Vec<(usize, Function)> {
        let are_on = |hook: &&Hook| hook.topic == topic && !hook.failures.is_off();
        let all = self.hooks.iter().enumerate();
        all.filter(|(_, hook)| are_on(hook)).map(|(at, hook)| (at, hook.function.clone())).collect()
    }

    /// The hook `at`, unless it was switched off.
    pub(super) fn hook(&self, at: usize) -> Option<(Topic, Function)> {
        let hook = self.hooks.get(at).filter(|hook| !hook.failures.is_off())?;
        Some((hook.topic, hook.function.clone()))
    }

    pub(super) fn has(&self, topic: Topic) -> bool {
        self.hooks.iter().any(|hook| hook.topic == topic && !hook.failures.is_off())
    }

    /// Notes how a call of hook `at` ended.
    pub(super) fn note(&mut self, at: usize, failed: bool) -> Standing {
        self.hooks[at].failures.note(failed)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.timers.first_key_value().map(|(&(due, _), _)| due)
    }

    /// What the next timer calls.
    pub(super) fn next_function(&self) -> Option<Function> {
        self.timers.first_key_value().map(|(_, timer)| timer.function.clone())
    }

    /// Takes out the next timer that is due.
    pub(super) fn poll_timer(&mut self) -> Option<Timer> {
        let first = self.timers.first_entry()?;
        (first.key().0 <= self.now).then(|| first.remove())
    }

    /// Notes how a call of `timer` ended, and sets it again unless it is over.
    pub(super) fn note_timer(&mut self, mut timer: Timer, failed: bool, is_over: bool) -> Standing {
        let standing = timer.failures.note(failed);
        if let Some(period) = timer.every
            && !is_over
            && standing == Standing::On
        {
            // From now, and not from when it was due: after a pause there is no burst.
            self.insert(self.now + period, timer);
        }
        standing
    }
}
