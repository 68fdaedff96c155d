//! The sandbox that scripts run in: Lua 5.4 without a way out, the same each time, and bounded. Owns how functions are
//! put in, how scripts are run, and how their errors read; knows nothing of nodes.
//!
//! A script's function runs as a [`Task`]. When it calls a function that was made by [`Sandbox::asked`], the task stops
//! with [`Progress::Asked`], and whoever runs it answers and lets it go on. So nothing that a script asks for is done
//! inside Lua.

use std::sync::{Arc, Mutex, PoisonError};

use mlua::chunk::ChunkMode;
use mlua::{Function, IntoLuaMulti, Lua, LuaOptions, MultiValue, StdLib, Table, Thread, Value};

use super::args::{Args, Misuse};
use super::budget::{self, Budget, Limit};
use super::library::{self, Log, Shared};
use super::place;
use crate::base::Rng;
use crate::base::limits::{SCRIPT_BYTES_MAX, SCRIPT_MEMORY_BYTES_MAX};

const PRELUDE: &str = include_str!("prelude.lua");
/// For what is ours and runs before any script.
const PRELUDE_INSTRUCTIONS: u64 = 1_000_000;

/// A Lua state with a budget.
#[derive(Debug)]
pub struct Sandbox {
    lua: Lua,
    shared: Arc<Shared>,
    /// What the prelude made for us.
    made: Table,
}

/// A script that failed: one line, with the file and the line of the script that is to blame.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct ScriptError {
    text: String,
    limit: Option<Limit>,
}

/// A function of a script that was begun.
#[derive(Debug)]
pub struct Task {
    thread: Thread,
    /// Where it begins, for errors that say no line.
    origin: String,
}

/// How far a task came.
#[derive(Debug)]
pub enum Progress {
    /// It is over, and gave these values.
    Done(MultiValue),
    /// It waits for an answer to this; see [`Sandbox::answer`].
    Asked(Question),
}

/// A call of a function that was made by [`Sandbox::asked`].
#[derive(Debug)]
pub struct Question {
    /// As the function was named.
    pub name: String,
    pub args: Args,
}

impl Sandbox {
    /// A sandbox whose `math.random` draws from `rng`.
    #[must_use]
    pub fn new(rng: Rng) -> Self {
        Self::try_new(rng).expect("our own prelude runs in a fresh Lua state")
    }

    fn try_new(rng: Rng) -> mlua::Result<Self> {
        let libraries = StdLib::COROUTINE | StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new())?;
        keep_names(&lua)?;
        let shared = Arc::new(Shared {
            budget: Arc::new(Budget::new()),
            log: Mutex::new(Log::default()),
            asks_refused: Mutex::new(None),
        });
        let made = library::table(&lua, &shared, rng)?;
        budget::enforce(&lua, Arc::clone(&shared.budget))?;
        shared.budget.refill(PRELUDE_INSTRUCTIONS);
        prelude(&lua, PRELUDE)?.call::<()>(&made)?;
        Ok(Self { lua, shared, made })
    }

    /// For making values, and for putting them where scripts find them.
    #[must_use]
    pub const fn lua(&self) -> &Lua {
        &self.lua
    }

    /// A function that is answered at once. `name` is what its errors call it: `moot.every`.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn function<R: IntoLuaMulti>(
        &self,
        name: &'static str,
        body: impl Fn(&Lua, Args) -> Result<R, Misuse> + Send + 'static,
    ) -> mlua::Result<Function> {
        let answered = move |lua: &Lua, values: MultiValue| match body(lua, Args::new(name, values)) {
            Ok(results) => {
                let mut results = results.into_lua_multi(lua)?;
                results.push_front(Value::Boolean(true));
                Ok(results)
            }
            Err(misuse) => library::refused(lua, &misuse.to_string()),
        };
        self.made.get::<Function>("make_checked")?.call(self.lua.create_function(answered)?)
    }

    /// A function that stops the task that calls it until it is answered.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn asked(&self, name: &str) -> mlua::Result<Function> {
        self.made.get::<Function>("make_asked")?.call(name)
    }

    /// Makes questions errors, with this reason (`cannot be used while …`), or allows them.
    pub fn refuse_asks(&self, reason: Option<&'static str>) {
        *self.shared.asks_refused.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Runs Lua of ours, which calls itself `[moot]` and is never to blame. It is given `args` as `...`.
    ///
    /// # Errors
    /// Where it is wrong.
    pub fn prelude<R: mlua::FromLuaMulti>(&self, source: &str, args: impl IntoLuaMulti) -> mlua::Result<R> {
        self.shared.budget.refill(PRELUDE_INSTRUCTIONS);
        prelude(&self.lua, source)?.call(args)
    }

    /// Compiles a script. `file` is what its errors name.
    ///
    /// # Errors
    /// [`ScriptError`], with the line that does not read.
    pub fn load(&self, file: &str, source: &[u8]) -> Result<Function, ScriptError> {
        let wrong = |text: String| ScriptError { text, limit: None };
        if source.len() > SCRIPT_BYTES_MAX {
            return Err(wrong(format!("{file}: the script is longer than {SCRIPT_BYTES_MAX} bytes")));
        }
        if source.starts_with(b"\x1b") {
            return Err(wrong(format!("{file}: that is compiled Lua; a script is the source")));
        }
        self.shared.budget.refill(PRELUDE_INSTRUCTIONS);
        let chunk = self.lua.load(source).set_name(format!("@{file}")).set_mode(ChunkMode::Text);
        chunk.into_function().map_err(|error| self.failure(&error, &format!("{file}: ")))
    }

    /// Calls `function` with at most `instructions`, where nobody could answer a question.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub fn call(
        &self,
        instructions: u64,
        function: &Function,
        args: impl IntoLuaMulti,
    ) -> Result<MultiValue, ScriptError> {
        match self.begin(instructions, function, args)? {
            (_, Progress::Done(values)) => Ok(values),
            (task, Progress::Asked(question)) => {
                let text = format!("{}{} cannot be answered here", task.origin, question.name);
                Err(ScriptError { text, limit: None })
            }
        }
    }

    /// Begins `function` as a task, with at most `instructions` until it is refilled.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub fn begin(
        &self,
        instructions: u64,
        function: &Function,
        args: impl IntoLuaMulti,
    ) -> Result<(Task, Progress), ScriptError> {
        let origin = place::of_function(function);
        self.shared.budget.refill(instructions);
        let begun = self.entry().and_then(|entry| {
            let mut values = args.into_lua_multi(&self.lua)?;
            values.push_front(Value::Function(function.clone()));
            Ok((self.lua.create_thread(entry)?, values))
        });
        let (thread, values) = begun.map_err(|error| self.failure(&error, &origin))?;
        let task = Task { thread, origin };
        let progress = self.advance(&task, values)?;
        Ok((task, progress))
    }

    /// Answers what `task` asked, and lets it go on. A misuse becomes an error at the line that asked.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub fn answer(&self, task: &Task, answer: Result<impl IntoLuaMulti, Misuse>) -> Result<Progress, ScriptError> {
        let values = match answer {
            Ok(results) => results.into_lua_multi(&self.lua).map(|mut results| {
                results.push_front(Value::Boolean(true));
                results
            }),
            Err(misuse) => library::refused(&self.lua, &misuse.to_string()),
        };
        let values = values.map_err(|error| self.failure(&error, &task.origin))?;
        self.advance(task, values)
    }

    /// Gives what runs `instructions` anew: a scenario has its budget between two waits.
    pub fn refill(&self, instructions: u64) {
        self.shared.budget.refill(instructions);
    }

    /// What ran used of the `instructions` that it was given last.
    pub(super) fn used_of(&self, instructions: u64) -> u64 {
        self.shared.budget.used_of(instructions)
    }

    /// An error about `function` as a whole.
    pub(super) fn misuse_of(function: &Function, what: &str) -> ScriptError {
        ScriptError::new(format!("{}{what}", place::of_function(function)))
    }

    /// What scripts printed since the last time, a line each.
    #[must_use]
    pub fn take_log(&self) -> Vec<String> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn entry(&self) -> mlua::Result<Function> {
        self.made.get("entry")
    }

    fn advance(&self, task: &Task, values: MultiValue) -> Result<Progress, ScriptError> {
        let resumed = task.thread.resume::<MultiValue>(values);
        let mut values = self.unless_stopped(resumed, &task.origin)?;
        if task.thread.is_finished() {
            return Ok(Progress::Done(values));
        }
        let is_question =
            values.pop_front().is_some_and(|first| self.made.get::<Value>("ASK").is_ok_and(|ask| ask == first));
        let name = match values.pop_front() {
            Some(Value::String(name)) if is_question => name.to_string_lossy(),
            _ => {
                let origin = &task.origin;
                let text = format!("{origin}coroutine.yield outside of a coroutine: nothing would let it go on");
                return Err(ScriptError { text, limit: None });
            }
        };
        let args = Args::new(name.clone(), values);
        Ok(Progress::Asked(Question { name, args }))
    }

    /// What ran out is an error, whatever became of it on its way through the script.
    fn unless_stopped<R>(&self, result: mlua::Result<R>, origin: &str) -> Result<R, ScriptError> {
        match result {
            Ok(result) if self.shared.budget.ran_out().is_none() => Ok(result),
            Ok(_) => Err(self.failure(&mlua::Error::runtime("stopped"), origin)),
            Err(error) => Err(self.failure(&error, origin)),
        }
    }

    fn failure(&self, error: &mlua::Error, origin: &str) -> ScriptError {
        let budget = &self.shared.budget;
        let limit = budget.ran_out().or_else(|| library::is_memory(error).then_some(Limit::Memory));
        let origin = budget.place().unwrap_or_else(|| origin.to_owned());
        let text = match limit {
            Some(Limit::Instructions) => {
                format!("{origin}stopped, because it ran too long; is there a loop that does not end?")
            }
            Some(Limit::Memory) => {
                let mib = SCRIPT_MEMORY_BYTES_MAX / (1024 * 1024);
                format!(
                    "{origin}stopped, because it needs more than {mib} MiB of memory; does it call itself without end?"
                )
            }
            None => placed(&message_of(error), &origin),
        };
        ScriptError { text, limit }
    }
}

impl ScriptError {
    /// An error that is not Lua's: a file that cannot be read.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self { text, limit: None }
    }

    /// What ran out, if that is what happened.
    #[must_use]
    pub const fn limit(&self) -> Option<Limit> {
        self.limit
    }
}

/// Lua names functions in its errors by where it finds them; the prelude takes their place, so they are kept elsewhere.
fn keep_names(lua: &Lua) -> mlua::Result<()> {
    let loaded: Table = lua.named_registry_value("_LOADED")?;
    let copy = lua.create_table()?;
    for pair in lua.globals().pairs::<Value, Value>() {
        let (name, value) = pair?;
        copy.raw_set(name, value)?;
    }
    loaded.raw_set("_G", copy)
}

fn prelude(lua: &Lua, source: &str) -> mlua::Result<Function> {
    lua.load(source).set_name(format!("={}", place::PRELUDE)).set_mode(ChunkMode::Text).into_function()
}

/// The message of an error in one line, without a stack.
fn message_of(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } => message_of(cause),
        mlua::Error::RuntimeError(text) | mlua::Error::SyntaxError { message: text, .. } => {
            let text = text.split("\nstack traceback:").next().unwrap_or_default();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        }
        _ => error.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// `message` with a line in front.
fn placed(message: &str, origin: &str) -> String {
    let file = origin.split(':').next().unwrap_or_default();
    let message = place::without_prelude(message);
    let is_placed = message.strip_prefix(file).is_some_and(|rest| {
        rest.strip_prefix(':').is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
    });
    if is_placed { message.to_owned() } else { format!("{origin}{message}") }
}
