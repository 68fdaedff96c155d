//! The stage of one run: the fleet, the checker that watches it, and what was done to it so far. Owns what
//! the words of a scenario mean; knows no Lua.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::fleet::{Change, Fleet, FleetError};
use super::links::{self, OnLinks};
use super::options::{Keeps, Options, Settings, in_micros};
use super::statement;
use super::steps::{Step, Timed};
use super::stop::{About, Place, Stop, Why, seconds};
use super::swarm::Background;
use super::told::Told;
use crate::base::{MemberId, MessageId, Rng};
use crate::check::{Checker, Driver, Line, LineNumber, Name, What};
use crate::node::api::{Command, Reply};

/// Makes the fleet of a run, once it is known what the scenario needs.
pub(super) type Open = Box<dyn FnOnce(&Settings) -> Result<Box<dyn Fleet>, FleetError> + Send>;

/// Everything of one run.
pub(super) struct Stage {
    open: Option<Open>,
    fleet: Option<Box<dyn Fleet>>,
    /// Of the script.
    source: Arc<str>,
    pub(super) checker: Checker,
    pub(super) options: Options,
    pub(super) settings: Settings,
    pub(super) rng: Rng,
    nodes: Vec<(Name, MemberId)>,
    pub(super) paused: BTreeSet<Name>,
    /// Background faults of the machines; those of the network are on.
    pub(super) swarm: Vec<Background>,
    /// Machines that have their part of the background faults.
    befallen: BTreeSet<Name>,
    /// What mends each machine's disk, loop and own faults at the end, where they were changed.
    pub(super) mending: BTreeMap<Name, Vec<Change>>,
    pub(super) told: Told,
    /// Rises with each line that an answer about who sees whom may depend on.
    pub(super) views_version: u64,
    pub(super) converged_at: Option<(u64, bool)>,
    /// The node that did not see all when it was last looked at, by its place.
    pub(super) suspect: usize,
    pub(super) messages: Vec<Said>,
    pub(super) links: OnLinks,
    pub(super) steps: Vec<Timed>,
    /// The step that is being taken; it stays here if it ends the run.
    taking: Option<Timed>,
    kept: VecDeque<Line>,
    /// What nodes were asked since the last expectation, so that a failure knows what it is about.
    pub(super) asked: Vec<Asked>,
    pub(super) settling_since: Duration,
    /// A check failed: none is asked any more.
    pub(super) is_judged: bool,
    /// Where the script last began to wait.
    pub(super) waits_at: Option<Place>,
    /// When it was last seen that the room is not at rest.
    pub(super) unsettled_at: Option<Duration>,
    pub(super) script_end: Option<Duration>,
    /// The last refusal, which a script may catch.
    pub(super) refused: Option<Stop>,
    /// Set once the run is over before its script is; nothing is done any more.
    pub(super) stopped: Option<Stop>,
}

/// A message that the script had a node say.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) number: usize,
    pub(super) id: MessageId,
    pub(super) by: Name,
    pub(super) to: Option<Name>,
    pub(super) text: String,
}

/// A question to a node.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) what: &'static str,
    pub(super) node: Name,
    pub(super) with: Vec<Argument>,
}

/// What a question was asked with.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    Node(Name),
    Message(Said),
    Other,
}

/// Lines kept for the causal past of a failure where nobody asked for the trace: some minutes of a small room, and
/// about 300 MiB at most.
const LINES_KEPT_MAX: usize = 1_000_000;

impl Stage {
    pub(super) fn new(source: Arc<str>, mut options: Options, open: Open) -> Self {
        options.limit = in_micros(options.limit);
        let rng = Rng::from_seed(*blake3::hash(&options.seed.to_be_bytes()).as_bytes());
        Self {
            open: Some(open),
            fleet: None,
            source,
            checker: Checker::new(),
            options,
            settings: Settings::default(),
            rng: rng.split("scenario"),
            nodes: Vec::new(),
            paused: BTreeSet::new(),
            swarm: Vec::new(),
            befallen: BTreeSet::new(),
            mending: BTreeMap::new(),
            told: Told::default(),
            views_version: 0,
            converged_at: None,
            suspect: 0,
            messages: Vec::new(),
            links: OnLinks::default(),
            steps: Vec::new(),
            taking: None,
            kept: VecDeque::new(),
            asked: Vec::new(),
            settling_since: Duration::ZERO,
            is_judged: false,
            waits_at: None,
            unsettled_at: None,
            script_end: None,
            refused: None,
            stopped: None,
        }
    }

    /// Opens the fleet as `settings` want it. The first thing that a scenario does.
    pub(super) fn begin(&mut self, settings: Settings) -> Result<(), Stop> {
        let Some(open) = self.open.take() else {
            return Err(Stop::script("scenario{…} stands once, at the beginning"));
        };
        let mut fleet = open(&settings).map_err(stop_of)?;
        let began = What::Began { scenario: settings.name.clone(), driver: fleet.driver(), seed: self.options.seed };
        fleet.note(None, None, began);
        let driver = fleet.driver();
        self.fleet = Some(fleet);
        self.settings = settings;
        self.watch()?;
        self.need_time(driver)?;
        self.draw_swarm()
    }

    /// Takes the time that the scenario says it needs, where that costs nobody any.
    fn need_time(&mut self, driver: Driver) -> Result<(), Stop> {
        let (limit, needed) = (self.options.limit, self.settings.limit);
        let Some(needed) = needed.map(in_micros).filter(|&needed| needed > limit) else { return Ok(()) };
        match driver {
            // A limit that was asked for stays.
            Driver::Sim if limit == Options::default().limit => {
                self.options.limit = needed;
                Ok(())
            }
            Driver::Sim => Ok(()),
            Driver::Processes => Err(Stop::new(
                Why::Cannot,
                format!(
                    "it needs up to {} of its own time, which real processes take in full, and the limit is {}; raise it with \
                     --limit, or use the simulator",
                    seconds(needed),
                    seconds(limit)
                ),
            )),
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.fleet.is_some()
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.fleet.as_ref().map_or(Duration::ZERO, |fleet| fleet.elapsed())
    }

    pub(super) fn trace_hash(&self) -> Option<[u8; 32]> {
        self.fleet.as_ref().and_then(|fleet| fleet.trace_hash())
    }

    /// The nodes, in the order in which they were made.
    pub(super) fn nodes(&self) -> &[(Name, MemberId)] {
        &self.nodes
    }

    pub(super) fn id(&self, name: &str) -> Option<MemberId> {
        self.nodes.iter().find(|(known, _)| &**known == name).map(|(_, id)| *id)
    }

    pub(super) fn name_of(&self, id: MemberId) -> Option<&Name> {
        self.nodes.iter().find(|(_, known)| *known == id).map(|(name, _)| name)
    }

    pub(super) fn is_running(&self, name: &str) -> bool {
        self.fleet.as_ref().is_some_and(|fleet| fleet.is_running(name))
    }

    /// How often a message was shown on `name`, since its home was last rolled back.
    pub(super) fn times_shown(&self, name: &str, said: &Said) -> usize {
        self.told.messages(name).iter().filter(|message| message.id == said.id).count()
    }

    /// What was done, and the lines. A step that ended the run is among what was done.
    pub(super) fn into_record(mut self) -> (Vec<Timed>, Vec<Line>) {
        self.keep_rest();
        self.steps.extend(self.taking);
        (self.steps, self.kept.into())
    }

    /// Keeps the lines that nobody judges any more.
    fn keep_rest(&mut self) {
        while let Some(line) = self.fleet.as_mut().and_then(|fleet| fleet.poll_line()) {
            self.keep(line);
        }
    }

    /// Asks the fleet something that changes nothing.
    pub(super) fn ask<T>(&mut self, ask: impl FnOnce(&mut dyn Fleet) -> Result<T, FleetError>) -> Result<T, Stop> {
        let fleet = self.fleet.as_mut().ok_or_else(no_scenario)?;
        let answer = ask(fleet.as_mut()).map_err(stop_of)?;
        self.watch()?;
        Ok(answer)
    }

    /// Takes a step that ends the run where a node panics in it, or a check does not hold at once: what was done then ends with
    /// it.
    pub(super) fn taking<T>(&mut self, step: Step, take: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        self.taking = Some(Timed { at: self.elapsed(), step });
        let taken = take(self);
        if !matches!(&taken, Err(stop) if matches!(stop.why, Why::Check(_) | Why::Fleet)) {
            self.taking = None;
        }
        taken
    }

    /// Makes a machine.
    pub(super) fn add(&mut self, name: &str) -> Result<Name, Stop> {
        self.taking(Step::Home { node: name.into() }, |stage| stage.make(name))
    }

    fn make(&mut self, name: &str) -> Result<Name, Stop> {
        let id = self.ask(|fleet| fleet.add(name))?;
        let name: Name = name.into();
        self.nodes.push((name.clone(), id));
        self.record(Step::Home { node: name.clone() });
        self.watch()?;
        Ok(name)
    }

    /// Takes a step that concerns one node, or the links between some.
    pub(super) fn take(&mut self, step: Step) -> Result<(), Stop> {
        self.taking(step.clone(), |stage| stage.carry_out(step))
    }

    fn carry_out(&mut self, step: Step) -> Result<(), Stop> {
        match &step {
            Step::Home { node } => return self.add(&node.clone()).map(|_| ()),
            Step::Start { node } => self.ask(|fleet| fleet.start(node))?,
            Step::Crash { node, unsynced } => self.ask(|fleet| fleet.crash(node, *unsynced))?,
            Step::Leave { node } => self.ask(|fleet| fleet.leave(node))?,
            Step::Pause { node } => self.ask(|fleet| fleet.pause(node))?,
            Step::Resume { node } => self.ask(|fleet| fleet.resume(node))?,
            Step::Join { node, through } => {
                let addr = self.ask(|fleet| fleet.status(through))?.node.addr;
                let address = addr.parse().map_err(|_| Stop::script(format!("{through} has no address yet")))?;
                self.command(node, Command::Join { addresses: vec![address] })?;
            }
            Step::Say { node, text, .. } => return self.say(&node.clone(), None, &text.clone()).map(|_| ()),
            Step::Tell { node, to, text, .. } => {
                return self.say(&node.clone(), Some(&to.clone()), &text.clone()).map(|_| ());
            }
            Step::Lie { node, lie, .. } => return self.lie(&node.clone(), &lie.clone()).map(|_| ()),
            Step::Default { fault } => self.put_on_all(*fault)?,
            Step::DefaultOff { kind } => self.take_off_all(*kind)?,
            Step::Links { links, .. } => return self.put_on(links.clone()).map(|_| ()),
            Step::Heal { number } => self.take_off(*number)?,
            Step::Change { node, change } => {
                self.ask(|fleet| fleet.change(node, change.clone()))?;
                let mending = self.mending.entry(node.clone()).or_default();
                if let Some(mends) = links::mends(change).filter(|mends| !mending.contains(mends)) {
                    mending.push(mends);
                }
            }
        }
        match &step {
            Step::Pause { node } => drop(self.paused.insert(node.clone())),
            Step::Resume { node } | Step::Crash { node, .. } | Step::Leave { node } => {
                self.paused.remove(node);
            }
            _ => {}
        }
        self.views_version += 1;
        let begun = if let Step::Start { node } = &step { Some(node.clone()) } else { None };
        self.record(step);
        self.watch()?;
        // Once in a machine's life.
        let Some(node) = begun.filter(|node| self.befallen.insert(node.clone())) else { return Ok(()) };
        self.befall(&node)
    }

    /// Has `name` say something to the room, or to one member.
    pub(super) fn say(&mut self, name: &Name, to: Option<&Name>, text: &str) -> Result<Said, Stop> {
        let (node, message, text) = (name.clone(), self.messages.len() + 1, text.to_owned());
        let step = match to {
            None => Step::Say { node, message, text: text.clone() },
            Some(to) => Step::Tell { node, to: to.clone(), message, text: text.clone() },
        };
        self.taking(step.clone(), |stage| stage.have_said(name, to, text, step))
    }

    fn have_said(&mut self, name: &Name, to: Option<&Name>, text: String, step: Step) -> Result<Said, Stop> {
        let command = match to {
            None => Command::Say { text: text.clone() },
            Some(to) => {
                let to = self.id(to).ok_or_else(|| Stop::script(format!("no node is called {to}")))?;
                Command::Tell { to, text: text.clone() }
            }
        };
        let Reply::Accepted(sent) = self.command(name, command)? else {
            return Err(Stop::new(Why::Fleet, format!("{name} took a message and gave it no id")));
        };
        let number = self.messages.len() + 1;
        let said = Said { number, id: sent.id, by: name.clone(), to: to.cloned(), text };
        self.messages.push(said.clone());
        self.record(step);
        self.watch()?;
        Ok(said)
    }

    fn command(&mut self, name: &Name, command: Command) -> Result<Reply, Stop> {
        let refusal = match self.ask(|fleet| fleet.command(name, command))? {
            Ok(reply) => return Ok(reply),
            Err(refusal) => refusal,
        };
        let about = About { nodes: vec![name.clone()], ..About::default() };
        Err(Stop::new(Why::Refused, format!("{name} refused: {refusal}")).about(about))
    }

    /// Lets time pass until an answer may have changed, or until `until`, but not past the run's limit. Returns whether one may.
    pub(super) fn advance_to(&mut self, until: Duration) -> Result<bool, Stop> {
        let until = until.min(self.options.limit);
        self.ask(|fleet| fleet.step(until))
    }

    /// Ends a run that reached its limit: no more time passes then.
    pub(super) fn within_limit(&mut self) -> Result<(), Stop> {
        let limit = self.options.limit;
        if self.elapsed() < limit {
            return Ok(());
        }
        let mut stop = Stop::script(format!("the run reached its limit of {}; raise it with --limit", seconds(limit)));
        stop.room = self.room();
        Err(stop)
    }

    /// Writes into the trace that a check does not hold.
    pub(super) fn note_violation(
        &mut self,
        check: u8,
        cause: Option<LineNumber>,
        text: String,
    ) -> Result<LineNumber, Stop> {
        let fleet = self.fleet.as_mut().ok_or_else(no_scenario)?;
        let number = fleet.note(None, cause, What::Violated { check, text });
        self.keep_rest();
        Ok(number)
    }

    /// The statement at a line of the script, as a shrunk scenario can say it.
    pub(super) fn statement_at(&self, line: Option<u32>) -> Option<String> {
        statement::at(&self.source, line?, &self.asked)
    }

    /// Writes a line of the scenario's own into the trace.
    pub(super) fn note(&mut self, cause: Option<LineNumber>, what: What) -> Result<(), Stop> {
        self.ask(|fleet| Ok(fleet.note(None, cause, what)))?;
        Ok(())
    }

    pub(super) fn record(&mut self, step: Step) {
        self.taking = None;
        let at = self.elapsed();
        self.steps.push(Timed { at, step });
    }

    /// Takes the lines that the fleet has, and shows each to the checker.
    pub(super) fn watch(&mut self) -> Result<(), Stop> {
        while let Some(line) = self.fleet.as_mut().and_then(|fleet| fleet.poll_line()) {
            self.learn(&line);
            self.checker.handle(&line);
            self.keep(line);
        }
        self.judge()
    }

    fn learn(&mut self, line: &Line) {
        let Some(node) = &line.node else { return };
        match &line.what {
            What::Told { event } => self.views_version += u64::from(self.told.handle(node, &event.kind)),
            What::Started { .. } | What::Ended { .. } => self.views_version += 1,
            What::RolledBack { .. } => self.told.roll_back(node),
            _ => {}
        }
    }

    fn keep(&mut self, mut line: Line) {
        if let What::Sent { wire, .. } = &mut line.what {
            *wire = None;
        }
        if let Some(tape) = &self.options.tape {
            tape.write(&line);
        }
        match self.options.keeps {
            Keeps::Nothing => return,
            Keeps::Last if self.kept.len() == LINES_KEPT_MAX => drop(self.kept.pop_front()),
            Keeps::Last | Keeps::All => {}
        }
        self.kept.push_back(line);
    }
}

impl Asked {
    pub(super) fn new(what: &'static str, node: &Name, with: &[Argument]) -> Self {
        Self { what, node: node.clone(), with: with.to_vec() }
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &Said> {
        self.with.iter().filter_map(|argument| match argument {
            Argument::Message(said) => Some(said),
            Argument::Node(_) | Argument::Other => None,
        })
    }
}

fn stop_of(error: FleetError) -> Stop {
    match error {
        FleetError::Cannot(text) => Stop::new(Why::Cannot, text),
        FleetError::Misuse(text) => Stop::script(text),
        FleetError::Failed(text) => Stop::new(Why::Fleet, text),
    }
}

pub(super) fn no_scenario() -> Stop {
    Stop::script("a scenario begins with scenario{ name = \"…\" }")
}
