//! Runs one scenario: its script as a coroutine, time in between, rest at the end. Owns when the script goes
//! on; what its words do is said elsewhere.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mlua::Value;

use super::fleet::{Fleet, FleetError};
use super::options::{Options, Settings, Settle};
use super::stage::Stage;
use super::steps::Timed;
use super::stop::{Place, Stop, Verdict, Why};
use super::words::{self, Spawned, Waits};
use crate::base::Rng;
use crate::check::Line;
use crate::lua::{Limit, Progress, Sandbox, ScriptError, Task};

/// A scenario's source, and what its errors call the file.
#[derive(Clone, Debug)]
pub struct Script {
    pub file: String,
    pub source: Arc<str>,
}

/// What became of one run.
#[derive(Debug, Default)]
pub struct Run {
    /// As its script has them.
    pub settings: Settings,
    pub seed: u64,
    /// Why it ended before its end; `None` is a pass.
    pub stop: Option<Stop>,
    /// How long it took in its own time.
    pub elapsed: Duration,
    /// When the script was over, where it came to its end.
    pub script_end: Option<Duration>,
    pub hash: Option<[u8; 32]>,
    /// What was done to the fleet.
    pub steps: Vec<Timed>,
    /// The lines, or the last of them.
    pub trace: Vec<Line>,
}

/// The script itself, or a function that it spawned.
struct Strand {
    task: Task,
    waits: Waits,
    /// Where it began to wait.
    place: Option<Place>,
}

use crate::base::limits::SCENARIO_INSTRUCTIONS_MAX as INSTRUCTIONS_MAX;
/// Functions that run at once.
const STRANDS_MAX: usize = 1_000;
/// What is begun or goes on at one moment at which nothing changes: a guess, at about a second of real time. A loop that
/// waits for no time would go on for ever, and so would a function that spawns itself.
const TURNS_MAX: u32 = 100_000;

impl Run {
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.stop.as_ref().map_or(Verdict::Passed, Stop::verdict)
    }
}

/// Runs `script` on the fleet that `open` makes.
pub fn run(
    script: &Script,
    options: Options,
    open: impl FnOnce(&Settings) -> Result<Box<dyn Fleet>, FleetError> + Send + 'static,
) -> Run {
    let seed = options.seed;
    let rng = Rng::from_seed(*blake3::hash(&seed.to_be_bytes()).as_bytes()).split("script");
    let sandbox = Sandbox::new(rng);
    let stage = Stage::new(Arc::clone(&script.source), options, Box::new(open));
    let installed = words::install(&sandbox, stage, &script.file);
    installed.expect("our own words run in a fresh Lua state");
    let play = Play { sandbox: &sandbox, script, strands: Vec::new(), turns: 0 };
    // A node that panics is what a sweep looks for, and must not end the sweep.
    let ended = catch_unwind(AssertUnwindSafe(|| play.play())).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    let mut stage = sandbox.lua().remove_app_data::<Stage>().expect("put there at the start");
    // What stopped the run first is why it ended, whatever the script made of it.
    let mut stop = stage.stopped.take().or(ended.err());
    if let Some(stop) = &mut stop
        && stage.has_begun()
    {
        stop.at.get_or_insert(stage.elapsed());
        // While time passes no line of the script runs; the one that waits is where it stands.
        if stop.place.is_none()
            && stage.script_end.is_none()
            && let Some(place) = stage.waits_at.take()
        {
            let text = stop.text.strip_prefix(&format!("{}: ", place.file)).map(str::to_owned);
            stop.text = text.unwrap_or_else(|| stop.text.clone());
            stop.place = Some(place);
        }
    }
    let (settings, elapsed, hash) = (stage.settings.clone(), stage.elapsed(), stage.trace_hash());
    let script_end = stage.script_end;
    let (steps, trace) = stage.into_record();
    Run { settings, seed, stop, elapsed, script_end, hash, steps, trace }
}

fn panicked(panic: &(dyn Any + Send)) -> Stop {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("nobody knows why");
    Stop::new(Why::Fleet, format!("a node panicked: {text}"))
}

struct Play<'a> {
    sandbox: &'a Sandbox,
    script: &'a Script,
    strands: Vec<Strand>,
    /// Since time passed or something changed.
    turns: u32,
}

impl Play<'_> {
    fn play(mut self) -> Result<(), Stop> {
        let main = self.sandbox.load(&self.script.file, self.script.source.as_bytes());
        let main = main.map_err(|error| self.stop_of(&error))?;
        self.begin(&main, mlua::MultiValue::new(), None)?;
        self.begin_spawned()?;
        self.until_all_end()?;
        if !self.on_stage(|stage| Ok(stage.has_begun()))? {
            return Err(Stop::script(format!(
                "{} is no scenario: it has no scenario{{ name = \"…\" }}",
                self.script.file
            )));
        }
        self.settle()
    }

    fn until_all_end(&mut self) -> Result<(), Stop> {
        while let Some(till) = self.strands.iter().map(|strand| strand.waits.till_us).min() {
            // The oldest is the script itself, for as long as it runs.
            let place = self.strands.first().and_then(|strand| strand.place.clone());
            let before = self.on_stage(|stage| {
                stage.waits_at = place;
                Ok(stage.elapsed())
            })?;
            let is_changed = self.on_stage(|stage| stage.advance_to(Duration::from_micros(till)))?;
            let now = self.on_stage(|stage| Ok(stage.elapsed()))?;
            if is_changed || now > before {
                self.turns = 0;
            }
            self.on_stage(Stage::within_limit)?;
            let mut at = 0;
            while at < self.strands.len() {
                let waits = self.strands[at].waits;
                let is_due = Duration::from_micros(waits.till_us) <= now || (waits.on_change && is_changed);
                // A strand that ended makes room for the next one.
                if !is_due || self.go_on(at)? {
                    at += 1;
                }
            }
        }
        Ok(())
    }

    /// Begins a function that was spawned at `place`.
    fn begin(&mut self, function: &mlua::Function, args: mlua::MultiValue, place: Option<Place>) -> Result<(), Stop> {
        if self.strands.len() >= STRANDS_MAX {
            let complaint = format!("{STRANDS_MAX} spawned functions run already");
            return Err(Stop::script(complaint).at(place));
        }
        self.take_turn(place)?;
        let begun = self.sandbox.begin(INSTRUCTIONS_MAX, function, args);
        let (task, progress) = begun.map_err(|error| self.stop_of(&error))?;
        if let Some(waits) = self.waits_of(progress)? {
            let place = self.on_stage(|stage| Ok(stage.waits_at.take()))?;
            self.strands.push(Strand { task, waits, place });
        }
        Ok(())
    }

    fn take_turn(&mut self, place: Option<Place>) -> Result<(), Stop> {
        self.turns += 1;
        if self.turns > TURNS_MAX {
            let complaint = format!(
                "no time passes: {TURNS_MAX} times a function was spawned or had waited, all at this moment; is there a wait for no time?"
            );
            return Err(Stop::script(complaint).at(place));
        }
        Ok(())
    }

    /// Lets a strand go on. Returns whether it is still there.
    fn go_on(&mut self, at: usize) -> Result<bool, Stop> {
        self.take_turn(self.strands[at].place.clone())?;
        self.sandbox.refill(INSTRUCTIONS_MAX);
        self.on_stage(|stage| {
            stage.waits_at = None;
            Ok(())
        })?;
        let went = self.sandbox.answer(&self.strands[at].task, Ok(()));
        let progress = went.map_err(|error| self.stop_of(&error))?;
        let waits = self.waits_of(progress)?;
        if let Some(waits) = waits {
            // Where it looks again and waits on, it stands where it did.
            let began = self.on_stage(|stage| Ok(stage.waits_at.take()))?;
            let strand = &mut self.strands[at];
            strand.waits = waits;
            strand.place = began.or_else(|| strand.place.take());
        } else {
            self.strands.remove(at);
        }
        self.begin_spawned()?;
        Ok(waits.is_some())
    }

    /// Begins what was spawned, and before the next of them what that one spawns.
    fn begin_spawned(&mut self) -> Result<(), Stop> {
        let mut begins = VecDeque::new();
        loop {
            for spawned in self.sandbox.lua().app_data_mut::<Spawned>().expect("set at the start").0.drain(..).rev() {
                begins.push_front(spawned);
            }
            let Some((function, args, place)) = begins.pop_front() else { return Ok(()) };
            self.begin(&function, args, place)?;
        }
    }

    fn waits_of(&self, progress: Progress) -> Result<Option<Waits>, Stop> {
        self.on_stage(|stage| stage.stopped.clone().map_or(Ok(()), Err))?;
        let Progress::Asked(mut question) = progress else { return Ok(None) };
        let till_us = match question.args.value() {
            Value::Integer(till) => u64::try_from(till).unwrap_or(0),
            _ => 0,
        };
        Ok(Some(Waits { till_us, on_change: question.args.value() == Value::Boolean(true) }))
    }

    /// Mends what is broken, and waits until the room is at rest.
    fn settle(&self) -> Result<(), Stop> {
        self.on_stage(|stage| {
            stage.script_end = Some(stage.elapsed());
            Ok(())
        })?;
        let Settle::Within(limit) = self.on_stage(|stage| Ok(stage.settings.settle))? else {
            return self.on_stage(Stage::finish);
        };
        self.on_stage(|stage| {
            stage.mend()?;
            stage.settling_since = stage.elapsed();
            let end = stage.elapsed().saturating_add(limit);
            while !stage.is_at_rest()? {
                if stage.elapsed() >= end {
                    return Err(stage.not_settled());
                }
                stage.advance_to(end)?;
                stage.within_limit()?;
            }
            stage.settled()?;
            stage.finish()
        })
    }

    fn on_stage<R>(&self, does: impl FnOnce(&mut Stage) -> Result<R, Stop>) -> Result<R, Stop> {
        does(&mut self.sandbox.lua().app_data_mut::<Stage>().expect("put there at the start"))
    }

    /// An error of Lua's own, with the line that it names in its place.
    fn stop_of(&self, error: &ScriptError) -> Stop {
        let text = error.to_string();
        // A refusal that was caught is not what a later error is about.
        let refused = |stage: &mut Stage| stage.refused.take().filter(|stop| stop.is_said_in(&text));
        let caught = self.on_stage(|stage| Ok(stage.stopped.clone().or_else(|| refused(stage))));
        if let Ok(Some(stop)) = caught {
            return stop;
        }
        let mut stop = Stop::script(&text);
        if let Some((line, rest)) = split_place(&text, &self.script.file) {
            stop = Stop::script(rest);
            stop.place = Some(Place { file: self.script.file.clone(), line });
        }
        if error.limit() == Some(Limit::Instructions) {
            stop.text = format!("{} (more than {INSTRUCTIONS_MAX} instructions without a wait)", stop.text);
        }
        if let Ok(room) = self.on_stage(|stage| Ok(stage.room())) {
            stop.room = room;
        }
        stop
    }
}

/// `a.lua:7: what is wrong` as 7 and the rest.
fn split_place<'a>(text: &'a str, file: &str) -> Option<(u32, &'a str)> {
    let rest = text.strip_prefix(file)?.strip_prefix(':')?;
    let (line, rest) = rest.split_once(':')?;
    Some((line.parse().ok()?, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_lua_names_its_line() {
        let text = "scenarios/a.lua:7: attempt to index a nil value";
        assert_eq!(split_place(text, "scenarios/a.lua"), Some((7, "attempt to index a nil value")));
        assert_eq!(split_place(text, "b.lua"), None);
    }
}
