//! One script of a node: its sandbox, the `moot` table in it, and how a hook of it is called. Owns what its hooks may do
//! to the node, which is to ask; whoever drives it answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlua::serde::{LuaSerdeExt as _, SerializeOptions};
use mlua::{Function, MultiValue, Value};
use serde::Serialize;

use super::allowance::Allowance;
use super::args::{Args, Fields, Misuse, kind_of};
use super::backlog::{Backlog, Call};
use super::pace::Pace;
use super::place;
use super::registry::{Registry, Standing, Timer, Topic};
use super::sandbox::{Progress, Question, Sandbox, ScriptError};
use super::scripts::{Ask, Asking, Told, Verdict};
use crate::base::limits::{
    DATAGRAM_HOOK_INSTRUCTIONS_MAX, FAULT_DELAY_MAX, HOOK_INSTRUCTIONS_MAX, SCRIPT_ASK_INSTRUCTIONS, SCRIPT_ASKS_MAX,
    SCRIPT_CALL_INSTRUCTIONS, SCRIPT_COPIES_MAX, SCRIPT_FAILURES_MAX, SCRIPT_MESSAGE_EVERY, SCRIPT_MESSAGES_MAX,
};
use crate::base::{Rng, Time};
use crate::node::api::Event;

/// The functions of `moot` that ask the node.
pub(super) const ASKED: [&str; 6] = ["say", "tell", "members", "status", "why", "fault"];

pub(super) struct Script {
    name: String,
    sandbox: Sandbox,
    registry: Arc<Mutex<Registry>>,
    pace: Pace,
    allowance: Allowance,
    backlog: Backlog,
}

/// A line of a script's, or about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptLine {
    /// Of the script.
    pub name: String,
    pub text: String,
    pub kind: LineKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// It wrote it.
    Log,
    /// A hook of it failed, or was not called when it should have been.
    Failure,
    /// A hook of it is switched off: somebody must act.
    Alarm,
}

impl Script {
    /// Compiles and runs a script, which registers its hooks.
    pub(super) fn load(name: &str, source: &[u8], rng: Rng, now: Time) -> Result<Self, ScriptError> {
        let sandbox = Sandbox::new(rng);
        let registry = Arc::new(Mutex::new(Registry::new(now)));
        install(&sandbox, &registry).map_err(|error| ScriptError::new(format!("{name}: {error}")))?;
        let chunk = sandbox.load(name, source)?;
        sandbox.refuse_asks(Some("asks the node, which does not run yet; call it in moot.on or moot.after"));
        sandbox.call(HOOK_INSTRUCTIONS_MAX, &chunk, ())?;
        sandbox.refuse_asks(None);
        let (pace, allowance) = (Pace::new(now), Allowance::new(now));
        Ok(Self { name: name.to_owned(), sandbox, registry, pace, allowance, backlog: Backlog::default() })
    }

    #[cfg(test)]
    pub(super) const fn lua(&self) -> &mlua::Lua {
        self.sandbox.lua()
    }

    pub(super) fn has(&self, topic: Topic) -> bool {
        self.registry().has(topic)
    }

    pub(super) fn begin(&self, now: Time) {
        self.registry().begin(now);
    }

    /// When a timer of it, or a call that was put off, is due.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        Some(self.next_due()?.max(self.allowance.since()))
    }

    /// The same, if it could run as much as it likes.
    fn next_due(&self) -> Option<Time> {
        [self.backlog.since(), self.registry().poll_timeout()].into_iter().flatten().min()
    }

    /// What it wrote since the last time.
    pub(super) fn log(&self) -> impl Iterator<Item = ScriptLine> {
        self.sandbox.take_log().into_iter().map(|text| self.line(text, LineKind::Log))
    }

    /// Calls the hooks about `topic`, or puts that off until the script may run again: they are called in the order of events.
    pub(super) fn handle_event(
        &mut self,
        now: Time,
        topic: Topic,
        event: &Event,
        ask: &mut Asking<'_>,
        lines: &mut Vec<ScriptLine>,
    ) {
        self.registry().now = now;
        let hooks = self.registry().hooks(topic);
        let mut kept = None;
        for (hook, function) in hooks {
            if self.allowance.has_some(now) && self.backlog.since().is_none() {
                self.call_hook(now, hook, event, ask, lines);
                continue;
            }
            let place = place::of_function(&function);
            self.tell_put_off(now, &place, lines);
            let event = Arc::clone(kept.get_or_insert_with(|| Arc::new(event.clone())));
            let left_out = self.backlog.push(now, &place, Call { since: now, hook, event });
            lines.extend(left_out.map(|text| self.line(text, LineKind::Failure)));
        }
    }

    /// Calls what is due, the earliest first: timers, and hooks that were put off.
    pub(super) fn handle_timeout(&mut self, now: Time, ask: &mut Asking<'_>, lines: &mut Vec<ScriptLine>) {
        self.registry().now = now;
        while let Some(due) = self.next_due().filter(|&due| due <= now) {
            let waits = self.backlog.since() == Some(due);
            if !self.allowance.has_some(now) {
                let function = if waits { None } else { self.registry().next_function() };
                if let Some(function) = function {
                    self.tell_put_off(now, &place::of_function(&function), lines);
                }
                return;
            }
            if waits && let Some(Call { hook, event, since: _ }) = self.backlog.pop() {
                self.call_hook(now, hook, &event, ask, lines);
            } else if let Some(timer) = self.next_timer() {
                self.call_timer(now, timer, ask, lines);
            }
        }
    }

    fn call_hook(&mut self, now: Time, at: usize, event: &Event, ask: &mut Asking<'_>, lines: &mut Vec<ScriptLine>) {
        // It may have been switched off while its call waited.
        let Some((topic, function)) = self.registry().hook(at) else { return };
        let ended = self.lua_value(event).and_then(|event| self.run(now, &function, event, ask));
        lines.extend(self.log());
        let standing = self.registry().note(at, ended.is_err());
        self.tell_failure(&ended, standing, topic.name(), lines);
    }

    fn call_timer(&mut self, now: Time, timer: Timer, ask: &mut Asking<'_>, lines: &mut Vec<ScriptLine>) {
        let ended = self.run(now, &timer.function, Value::Nil, ask);
        lines.extend(self.log());
        let is_over = ended.as_ref().is_ok_and(|values| values.front() == Some(&Value::Boolean(false)));
        let standing = self.registry().note_timer(timer, ended.is_err(), is_over);
        self.tell_failure(&ended, standing, "timer", lines);
    }

    /// Asks the `datagram` hooks about one datagram.
    pub(super) fn handle_datagram(
        &mut self,
        now: Time,
        datagram: &impl Serialize,
        verdict: &mut Verdict,
        lines: &mut Vec<ScriptLine>,
    ) {
        self.registry().now = now;
        let hooks = self.registry().hooks(Topic::Datagram);
        self.sandbox.refuse_asks(Some("asks the node, and a datagram hook must answer at once; use moot.after"));
        for (at, function) in hooks {
            if !self.allowance.has_some(now) {
                let passed = self.backlog.note_passed(now, &place::of_function(&function));
                lines.extend(passed.map(|text| self.line(text, LineKind::Failure)));
                continue;
            }
            let ended = self
                .lua_value(datagram)
                .and_then(|datagram| self.sandbox.call(DATAGRAM_HOOK_INSTRUCTIONS_MAX, &function, datagram))
                .and_then(|mut answer| {
                    verdict_of(answer.pop_front().unwrap_or(Value::Nil), verdict)
                        .map_err(|misuse| Sandbox::misuse_of(&function, &misuse.to_string()))
                });
            self.spend(DATAGRAM_HOOK_INSTRUCTIONS_MAX, 0);
            lines.extend(self.log());
            let standing = self.registry().note(at, ended.is_err());
            self.tell_failure(&ended, standing, Topic::Datagram.name(), lines);
        }
        self.sandbox.refuse_asks(None);
    }

    fn next_timer(&self) -> Option<Timer> {
        self.registry().poll_timer()
    }

    /// Calls `function`, and takes what it used off the allowance.
    fn run(
        &mut self,
        now: Time,
        function: &Function,
        argument: Value,
        ask: &mut Asking<'_>,
    ) -> Result<MultiValue, ScriptError> {
        let mut asks = 0;
        let counted = &mut |asked| {
            asks += 1;
            ask(asked)
        };
        let ended = self.run_to_end(now, function, argument, counted);
        self.spend(HOOK_INSTRUCTIONS_MAX, asks);
        ended
    }

    /// Calls `function`, and answers what it asks.
    fn run_to_end(
        &mut self,
        now: Time,
        function: &Function,
        argument: Value,
        ask: &mut Asking<'_>,
    ) -> Result<MultiValue, ScriptError> {
        let (task, mut progress) = self.sandbox.begin(HOOK_INSTRUCTIONS_MAX, function, argument)?;
        for _ in 0..=SCRIPT_ASKS_MAX {
            let question = match progress {
                Progress::Done(values) => return Ok(values),
                Progress::Asked(question) => question,
            };
            let told = self.read(now, question).and_then(|asked| ask(asked).map_err(Misuse));
            let answer = told.and_then(|told| match told {
                Told::Nothing => Ok(Value::Nil),
                told => self.lua_value(&told).map_err(|error| Misuse(error.to_string())),
            });
            progress = self.sandbox.answer(&task, answer)?;
        }
        Err(Sandbox::misuse_of(function, &format!("one call may ask the node {SCRIPT_ASKS_MAX} times")))
    }

    /// What a script asks for, by the name of the function that it called.
    fn read(&mut self, now: Time, question: Question) -> Result<Ask, Misuse> {
        let Question { name, mut args } = question;
        let asked = match name.as_str() {
            "moot.say" => {
                let text = args.text("text")?;
                args.end()?;
                self.pace(now, &args)?;
                Ask::Say { text }
            }
            "moot.tell" => {
                let (to, text) = (args.text("to")?, args.text("text")?);
                args.end()?;
                self.pace(now, &args)?;
                Ask::Tell { to, text }
            }
            "moot.members" => Ask::Members,
            "moot.status" => Ask::Status,
            "moot.why" => Ask::Why { what: args.text("what")? },
            "moot.fault" => Ask::Fault { spec: args.text("spec")? },
            _ => return Err(args.misuse("nobody answers it")),
        };
        args.end()?;
        Ok(asked)
    }

    fn pace(&mut self, now: Time, args: &Args) -> Result<(), Misuse> {
        if self.pace.take(now) {
            return Ok(());
        }
        let every = humantime::format_duration(SCRIPT_MESSAGE_EVERY);
        Err(args.misuse(format!(
            "too many messages: a script may send {SCRIPT_MESSAGES_MAX} in a burst, and then one every {every}"
        )))
    }

    /// Takes off the allowance what a call used of its `instructions`, and its questions.
    fn spend(&mut self, instructions: u64, asks: u64) {
        let used = self.sandbox.used_of(instructions);
        self.allowance.spend(used + SCRIPT_CALL_INSTRUCTIONS + asks * SCRIPT_ASK_INSTRUCTIONS);
    }

    /// Says that what is at `place` waits, where the script may not run.
    fn tell_put_off(&mut self, now: Time, place: &str, lines: &mut Vec<ScriptLine>) {
        if !self.allowance.has_some(now) {
            let put_off = self.backlog.note_put_off(now, place);
            lines.extend(put_off.map(|text| self.line(text, LineKind::Failure)));
        }
    }

    fn line(&self, text: String, kind: LineKind) -> ScriptLine {
        ScriptLine { name: self.name.clone(), text, kind }
    }

    fn tell_failure<T>(
        &self,
        ended: &Result<T, ScriptError>,
        standing: Standing,
        what: &str,
        lines: &mut Vec<ScriptLine>,
    ) {
        let Err(error) = ended else { return };
        lines.push(self.line(error.to_string(), LineKind::Failure));
        if standing == Standing::SwitchedOff {
            let text = format!(
                "{}: a hook ({what}) failed {SCRIPT_FAILURES_MAX} times in a row and is switched off; mend the script and start again",
                self.name
            );
            lines.push(self.line(text, LineKind::Alarm));
        }
    }

    /// As JSON has it, with nothing for what is null.
    fn lua_value(&self, value: &impl Serialize) -> Result<Value, ScriptError> {
        let options = SerializeOptions::new()
            .set_array_metatable(false)
            .serialize_none_to_null(false)
            .serialize_unit_to_null(false);
        let made = self.sandbox.lua().to_value_with(value, options);
        made.map_err(|error| ScriptError::new(format!("{}: {error}", self.name)))
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }
}

fn lock(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds what a `datagram` hook answered to `verdict`.
fn verdict_of(answer: Value, verdict: &mut Verdict) -> Result<(), Misuse> {
    const WANTED: &str = "a datagram hook answers \"drop\", a table with delay or copies, or nothing";
    match answer {
        Value::Nil => Ok(()),
        Value::String(word) if word.as_bytes() == *b"drop" => {
            verdict.is_dropped = true;
            Ok(())
        }
        Value::Table(table) => {
            let fields = Fields::new("a datagram hook's answer", table, &["copies", "delay"])?;
            let delay = fields.duration("delay")?.unwrap_or_default();
            if delay > FAULT_DELAY_MAX {
                let most = humantime::format_duration(FAULT_DELAY_MAX);
                return Err(fields.misuse(format!("delay must be at most {most}")));
            }
            let copies = fields.integer("copies", 1, i64::from(SCRIPT_COPIES_MAX))?.unwrap_or(1);
            verdict.delay = (verdict.delay + delay).min(FAULT_DELAY_MAX);
            verdict.copies = verdict.copies.max(u32::try_from(copies).unwrap_or(1));
            Ok(())
        }
        answer => Err(Misuse(format!("{WANTED}, not {}", kind_of(&answer)))),
    }
}

/// Puts the `moot` table where the script finds it.
fn install(sandbox: &Sandbox, registry: &Arc<Mutex<Registry>>) -> mlua::Result<()> {
    let moot = sandbox.lua().create_table()?;
    let (on, every, after) = (Arc::clone(registry), Arc::clone(registry), Arc::clone(registry));
    moot.raw_set("on", sandbox.function("moot.on", move |_, args| lock(&on).on(args))?)?;
    moot.raw_set("every", sandbox.function("moot.every", move |_, args| lock(&every).every(args))?)?;
    moot.raw_set("after", sandbox.function("moot.after", move |_, args| lock(&after).after(args))?)?;
    for name in ASKED {
        moot.raw_set(name, sandbox.asked(&format!("moot.{name}"))?)?;
    }
    let globals = sandbox.lua().globals();
    moot.raw_set("log", globals.raw_get::<Function>("print")?)?;
    globals.raw_set("moot", moot)
}
