//! `moot run`: scenarios from files, once or over many seeds, and what is written about them. Owns the
//! command's words, files and exit code; a scenario is run by `scenario`.
#![expect(clippy::disallowed_methods, reason = "how long a run took is said beside its verdict, and decides nothing")]

mod progress;
mod say;
mod trace;

use std::fs::{self, File};
use std::io::Read as _;
use std::panic;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args as ArgGroup, ValueEnum};

use super::exit::{Exit, Failure};
use super::out::{self, Form, Output};
use crate::base::limits::SCRIPT_BYTES_MAX;
use crate::report;
use crate::scenario::{
    Fleet, FleetError, Keeps, Options, ProcessFleet, Run, Script, Seeds, Settings, Shard, SimFleet, SimOptions,
    Verdict, shrink, sweep,
};
use progress::Progress;
use say::{Account, Shrinking};
use trace::TraceFile;

pub(super) const HELP: &str = "\
Examples:
  moot run scenarios/05_restart.lua     on the simulator: the same each time
  moot run scenarios/*.lua              several, one after the other
  moot run F.lua --on processes         on real moot processes on this machine
  moot run F.lua --seed 17              with other chances, and the background faults of that seed
  moot run F.lua --seeds 1..200         200 runs on all cores; the first failure is shrunk
  moot run F.lua --seeds 1..1000 --shard 2/8
                                        the second of eight machines' part
  moot run F.lua --seed 17 --report failure.html
                                        a page that shows what led to it, and opens offline

Exit codes:
  0 all passed; 1 an expectation or a check failed, or the fleet itself did
  2 wrong usage, or an error in the script
  4 unknown: this kind of fleet cannot do what the scenario asks

Seed 0, which is used when none is given, has no background faults. Others draw some of those that \
the scenario declares as its swarm; a seed draws the same alone and in a sweep. docs/SCENARIOS.md \
has the language.";

/// Words of `moot run`.
#[derive(Debug, ArgGroup)]
pub(super) struct RunArgs {
    /// Scenarios, in Lua
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the nodes are
    #[arg(long, value_name = "FLEET", default_value = "sim")]
    on: Kind,
    /// All that is left to chance comes from it [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Runs each seed of a range, both ends among them
    #[arg(long, value_name = "A..B", conflicts_with = "seed")]
    seeds: Option<Seeds>,
    /// Only this part of the seeds
    #[arg(long, value_name = "I/N", requires = "seeds")]
    shard: Option<Shard>,
    /// Mild background faults for a scenario that declares none
    #[arg(long)]
    swarm: bool,
    /// Stops a run that goes on for longer, in its own time
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = super::args::read_span)]
    limit: Duration,
    /// Writes all that happened, one JSON object a line, each with its cause
    #[arg(long, value_name = "F.jsonl")]
    trace: Option<PathBuf>,
    /// Writes a page about the run
    #[arg(long, value_name = "F.html")]
    report: Option<PathBuf>,
    /// Writes the run as a diagram in Markdown
    #[arg(long, value_name = "F.md")]
    diagram: Option<PathBuf>,
    /// Where the shrunk scenario goes [default: beside FILE, as NAME.shrunk.lua]
    #[arg(long, value_name = "F.lua", requires = "seeds")]
    shrink_to: Option<PathBuf>,
    /// Leaves a failure of a sweep as long as it is
    #[arg(long, requires = "seeds", conflicts_with = "shrink_to")]
    no_shrink: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Kind {
    /// The simulator: virtual time, and the same run from the same seed
    Sim,
    /// Real moot node processes on 127.0.0.1
    Processes,
}

/// Runs the scenarios; the worst of their verdicts is the exit code.
pub(super) fn run(args: &RunArgs, output: Output) -> Result<Exit, Failure> {
    args.check()?;
    let scripts = args.files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let mut worst = Verdict::Passed;
    for (file, script) in args.files.iter().zip(&scripts) {
        let verdict = match args.seeds {
            Some(seeds) => args.sweep(file, script, seeds, output)?,
            None => args.once(script, output)?,
        };
        worst = if rank(verdict) > rank(worst) { verdict } else { worst };
    }
    Ok(match worst {
        Verdict::Passed => Exit::Well,
        Verdict::Failed => Exit::Failed,
        Verdict::Wrong => Exit::Usage,
        Verdict::Unknown => Exit::None,
    })
}

/// What was found counts before what could not be looked at.
const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Passed => 0,
        Verdict::Unknown => 1,
        Verdict::Wrong => 2,
        Verdict::Failed => 3,
    }
}

impl RunArgs {
    fn check(&self) -> Result<(), Failure> {
        let written = [&self.trace, &self.report, &self.diagram].into_iter().flatten().count();
        if self.files.len() > 1 && (written > 0 || self.shrink_to.is_some()) {
            return Err(Failure::misuse(
                "a trace, a report, a diagram and a shrunk scenario are of one run; give one FILE",
            ));
        }
        if self.seeds.is_some() && self.on == Kind::Processes {
            return Err(Failure::misuse(
                "seeds are swept on the simulator; real processes take their chances themselves",
            ));
        }
        self.check_written()
    }

    /// A long run is not to end with what cannot be written.
    fn check_written(&self) -> Result<(), Failure> {
        let mut taken: Vec<PathBuf> = self.files.iter().map(|file| whole(file)).collect();
        for path in [&self.trace, &self.report, &self.diagram, &self.shrink_to].into_iter().flatten() {
            let shown = path.display();
            let dir = dir_of(path);
            if !dir.is_dir() {
                let dir = dir.display();
                return Err(Failure::misuse(format!("cannot write {shown}: there is no directory {dir}")));
            }
            if path.is_dir() {
                return Err(Failure::misuse(format!("cannot write {shown}: that is a directory; name a file")));
            }
            let path = whole(path);
            if taken.contains(&path) {
                return Err(Failure::misuse(format!("{shown} is given twice, and one would overwrite the other")));
            }
            taken.push(path);
        }
        Ok(())
    }

    fn once(&self, script: &Script, output: Output) -> Result<Verdict, Failure> {
        let seed = self.seed.unwrap_or(0);
        let progress = Progress::of_one(&script.file, output);
        let began = Instant::now();
        let (run, traced) = self.watched(script, seed)?;
        let wall = began.elapsed();
        progress.end();
        self.account(script, &run, wall).say(output)?;
        traced?;
        self.write(&run, &script.file)?;
        Ok(run.verdict())
    }

    fn sweep(&self, file: &Path, script: &Script, seeds: Seeds, output: Output) -> Result<Verdict, Failure> {
        let progress = Progress::of_many(&script.file, seeds.count(self.shard), output);
        let began = Instant::now();
        let found = sweep(seeds, self.shard, |seed| self.run(script, seed, Keeps::Nothing), || progress.done());
        let wall = began.elapsed();
        let Some(first) = found.first else {
            progress.end();
            say::passed_all(&script.file, found.passed, wall, output)?;
            return Ok(Verdict::Passed);
        };
        // Once more, and this time what happened is kept.
        let (run, traced) = self.watched(script, first.seed)?;
        let shrunk = if run.verdict() == Verdict::Failed && !self.no_shrink {
            progress.says(&format!("seed {} fails; shrinking", run.seed));
            self.shrink(file, script, &run).map(Some)
        } else {
            Ok(None)
        };
        progress.end();
        // What was found is said also where it cannot be written.
        let (shrinking, unwritten) = match shrunk {
            Ok(shrinking) => (shrinking, None),
            Err(failure) => (None, Some(failure)),
        };
        let account = self.account(script, &run, wall);
        Account { passed_before: Some(found.passed), shrinking, ..account }.say(output)?;
        traced?;
        self.write(&run, &script.file)?;
        unwritten.map_or_else(|| Ok(run.verdict()), Err)
    }

    fn shrink(&self, file: &Path, script: &Script, run: &Run) -> Result<Shrinking, Failure> {
        // A panic was told of once; its candidates would tell of it hundreds of times.
        let told = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        let shrunk = shrink(script, run, &mut |candidate| {
            let options = Options { swarm: false, ..self.options(run.seed, Keeps::Nothing) };
            crate::scenario::run(candidate, options, self.open(run.seed))
        });
        panic::set_hook(told);
        let Some(shrunk) = shrunk else { return Ok(Shrinking::InTheScript) };
        let to = self.shrink_to.clone().unwrap_or_else(|| file.with_extension("shrunk.lua"));
        // The background faults are among its steps.
        let replay = self.replay(&to.display().to_string(), run.seed, false);
        let source = shrunk.source.replacen('\n', &format!("\n-- {replay}\n"), 1);
        fs::write(&to, source).map_err(|error| anyhow::anyhow!("cannot write {}: {error}", to.display()))?;
        Ok(Shrinking::To { file: to, replay, steps: shrunk.steps, steps_before: shrunk.steps_before })
    }

    fn run(&self, script: &Script, seed: u64, keeps: Keeps) -> Run {
        crate::scenario::run(script, self.options(seed, keeps), self.open(seed))
    }

    /// A run of which what happened is kept, and written where that is asked for; and whether all of it was written.
    fn watched(&self, script: &Script, seed: u64) -> Result<(Run, Result<(), Failure>), Failure> {
        let trace = self.trace.as_deref().map(TraceFile::create).transpose()?;
        let keeps = if self.report.is_some() || self.diagram.is_some() { Keeps::All } else { Keeps::Last };
        let options = Options { tape: trace.as_ref().map(TraceFile::tape), ..self.options(seed, keeps) };
        let run = crate::scenario::run(script, options, self.open(seed));
        let traced = trace.map_or(Ok(()), |trace| trace.end());
        Ok((run, traced))
    }

    fn options(&self, seed: u64, keeps: Keeps) -> Options {
        Options { seed, limit: self.limit, swarm: self.swarm, keeps, tape: None }
    }

    fn open(&self, seed: u64) -> impl FnOnce(&Settings) -> Result<Box<dyn Fleet>, FleetError> + Send + 'static {
        let kind = self.on;
        move |settings| match kind {
            Kind::Sim => Ok(Box::new(SimFleet::in_suite(
                settings.crypto,
                SimOptions { is_traced: true, keeps_told: false, ..SimOptions::new(seed) },
            ))),
            Kind::Processes => Ok(Box::new(ProcessFleet::new(&own_program()?)?)),
        }
    }

    fn account<'a>(&'a self, script: &'a Script, run: &'a Run, wall: Duration) -> Account<'a> {
        let replay = self.replay(&script.file, run.seed, self.swarm);
        Account { file: &script.file, run, wall, replay, passed_before: None, shrinking: None }
    }

    /// The command that runs the same again.
    fn replay(&self, file: &str, seed: u64, swarm: bool) -> String {
        let mut words = vec!["moot run".to_owned(), quoted(file)];
        if self.on == Kind::Processes {
            words.push("--on processes".to_owned());
        }
        words.push(format!("--seed {seed}"));
        if swarm {
            words.push("--swarm".to_owned());
        }
        if self.limit != Options::default().limit {
            let limit = humantime::format_duration(self.limit).to_string().replace(' ', "");
            words.push(format!("--limit {limit}"));
        }
        words.join(" ")
    }

    fn finding(&self, run: &Run, file: &str) -> report::Finding {
        let verdict = match run.verdict() {
            Verdict::Passed => report::Verdict::Passed,
            Verdict::Failed => report::Verdict::Failed,
            Verdict::Wrong => report::Verdict::Error,
            Verdict::Unknown => report::Verdict::Unknown,
        };
        let words = run.stop.iter().flat_map(|stop| stop.to_string().lines().map(str::to_owned).collect::<Vec<_>>());
        report::Finding {
            verdict,
            words: words.collect(),
            replay: self.replay(file, run.seed, self.swarm),
            failed_at: run.failed_at(),
        }
    }

    /// Writes what was asked for about the run.
    fn write(&self, run: &Run, file: &str) -> Result<(), Failure> {
        let to = |path: &Path, text: String| -> Result<(), Failure> {
            fs::write(path, text).map_err(|error| anyhow::anyhow!("cannot write {}: {error}", path.display()))?;
            Ok(())
        };
        if let Some(path) = &self.report {
            to(path, report::page(&run.trace, &self.finding(run, file)))?;
        }
        if let Some(path) = &self.diagram {
            to(path, report::diagram(&run.trace, &[]))?;
        }
        Ok(())
    }
}

fn own_program() -> Result<PathBuf, FleetError> {
    std::env::current_exe()
        .map_err(|error| FleetError::Failed(format!("this program's own file is not found: {error}")))
}

/// The name of a file as a shell takes it.
fn quoted(file: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if file.chars().all(is_plain) { file.to_owned() } else { format!("'{}'", file.replace('\'', r"'\''")) }
}

fn read(file: &Path) -> Result<Script, Failure> {
    let name = file.display().to_string();
    let wrong = |why: String| Failure::misuse(format!("{name}: {why}"));
    let mut bytes = Vec::new();
    let most = SCRIPT_BYTES_MAX + 1;
    // Some files have no end.
    let taken = File::open(file).and_then(|file| file.take(most as u64).read_to_end(&mut bytes));
    taken.map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            wrong("there is no such file".into())
        } else {
            wrong(error.to_string())
        }
    })?;
    if bytes.len() == most {
        return Err(wrong(format!("a scenario is up to {SCRIPT_BYTES_MAX} bytes long, and that is longer")));
    }
    let source = String::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let line = 1 + before.matches('\n').count();
        wrong(format!("line {line} is not UTF-8; a scenario is Lua as text"))
    })?;
    Ok(Script { file: name, source: source.into() })
}

fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The same for all names of a file, whether or not it is there.
fn whole(path: &Path) -> PathBuf {
    let by_dir = || Some(fs::canonicalize(dir_of(path)).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(by_dir).unwrap_or_else(|| path.to_owned())
}
