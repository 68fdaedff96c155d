//! The words of a scenario, as Lua sees them. Owns reading what a script says and answering it; what the words
//! do is the stage's matter.

mod expect;
mod liar;
mod message;
mod net;
mod node;
mod room;
mod surface;
mod values;

use mlua::{Function, IntoLuaMulti, Lua, MultiValue, Table, Value};

pub use surface::SCENARIOS;

use super::options::{Settings, Settle, Suite, Swarm};
use super::stage::{Stage, no_scenario};
use super::stop::{Place, Stop, Why, seconds};
use crate::check::What;
use crate::lua::Sandbox;
use values::{Args, shown, text_of};

/// What a coroutine that waits told the scheduler: until when at the latest, and whether a change ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Waits {
    pub(super) till_us: u64,
    pub(super) on_change: bool,
}

/// What a script spawned, and where, and the scheduler did not take yet.
pub(super) struct Spawned(pub(super) Vec<(Function, MultiValue, Option<Place>)>);

/// The name of the chunk that the scenario is.
pub(super) struct File(pub(super) String);

const PRELUDE: &str = include_str!("prelude.lua");

/// Puts the words into the sandbox, whose app data is the stage from now on.
pub(super) fn install(sandbox: &Sandbox, stage: Stage, file: &str) -> mlua::Result<()> {
    let lua = sandbox.lua();
    lua.set_app_data(stage);
    lua.set_app_data(File(file.to_owned()));
    lua.set_app_data(Spawned(Vec::new()));
    let globals = lua.globals();
    word(lua, &globals, "scenario", scenario)?;
    word(lua, &globals, "log", log)?;
    word(lua, &globals, "print", log)?;
    node::install(lua)?;
    globals.set("room", room::table(lua)?)?;
    globals.set("net", net::table(lua)?)?;
    globals.set("expect", expect::table(lua)?)?;
    globals.set("sim", sim(lua)?)?;
    globals.set("rng", rng(lua)?)?;
    let raw = raw(lua)?;
    raw.raw_set("park", sandbox.asked("wait")?)?;
    sandbox.prelude::<()>(PRELUDE, raw)?;
    for name in ["room", "net", "expect", "sim", "rng"] {
        seal(lua, &globals.get::<Table>(name)?, name)?;
    }
    seal(lua, &globals, "")
}

/// Makes `name` of `table` a function whose errors end the run with the script's own file and line.
fn word<R: IntoLuaMulti + 'static>(
    lua: &Lua,
    table: &Table,
    name: &str,
    does: impl Fn(&Lua, MultiValue) -> Result<R, Stop> + Send + 'static,
) -> mlua::Result<()> {
    let function = lua.create_function(move |lua, values| does(lua, values).map_err(|stop| fail(lua, stop)))?;
    table.raw_set(name, function)
}

/// Lets the stage do something, unless the run is over.
fn on_stage<R>(lua: &Lua, does: impl FnOnce(&mut Stage) -> Result<R, Stop>) -> Result<R, Stop> {
    let mut stage = lua.app_data_mut::<Stage>().expect("the stage stands until the run is over");
    match &stage.stopped {
        Some(stop) => Err(stop.clone()),
        None => does(&mut stage),
    }
}

/// Ends the run with `stop`, which learns where the script stands. A refusal may be caught.
fn fail(lua: &Lua, mut stop: Stop) -> mlua::Error {
    if stop.place.is_none() {
        stop.place = place(lua);
    }
    let mut stage = lua.app_data_mut::<Stage>().expect("the stage stands until the run is over");
    if stop.at.is_none() && stage.has_begun() {
        stop.at = Some(stage.elapsed());
    }
    if stop.why == Why::Refused {
        stage.refused = Some(stop.clone());
    } else if stage.stopped.is_none() {
        stage.stopped = Some(stop.clone());
    }
    mlua::Error::external(stop)
}

/// The line of the scenario that runs now.
pub(super) fn place(lua: &Lua) -> Option<Place> {
    let file = lua.app_data_ref::<File>()?.0.clone();
    let source = format!("@{file}");
    let mut level = 0;
    loop {
        let line = lua.inspect_stack(level, |debug| {
            let is_here = debug.source().source.as_deref() == Some(source.as_str());
            is_here.then(|| debug.current_line()).flatten()
        })?;
        if let Some(line) = line.and_then(|line| u32::try_from(line).ok()) {
            return Some(Place { file, line });
        }
        level += 1;
    }
}

/// Lets nobody read a field that is not there, or write one.
fn seal(lua: &Lua, table: &Table, name: &str) -> mlua::Result<()> {
    let name = name.to_owned();
    let metatable = lua.create_table()?;
    let read_of = name.clone();
    let read = lua.create_function(move |lua, (table, key): (Table, Value)| -> mlua::Result<()> {
        let key = text_of(&key).unwrap_or_else(|| shown(&key));
        let complaint = if read_of.is_empty() {
            format!("nothing is called {key}{}", like(&table, &key))
        } else {
            format!("{read_of} has no field {key}{}", like(&table, &key))
        };
        Err(fail(lua, Stop::script(complaint)))
    })?;
    metatable.set("__index", read)?;
    if !name.is_empty() {
        let write = lua.create_function(move |lua, _: MultiValue| -> mlua::Result<()> {
            Err(fail(lua, Stop::script(format!("{name} takes no new fields"))))
        })?;
        metatable.set("__newindex", write)?;
    }
    metatable.set("__metatable", false)?;
    table.set_metatable(Some(metatable))
}

/// `; there are a, b, c` for a small table, and the nearest name for a large one.
fn like(table: &Table, wrong: &str) -> String {
    let mut names: Vec<String> =
        table.pairs::<Value, Value>().filter_map(Result::ok).filter_map(|(key, _)| text_of(&key)).collect();
    names.sort();
    nearest(wrong, &names)
}

fn nearest(wrong: &str, names: &[String]) -> String {
    let near = names.iter().min_by_key(|name| distance(wrong, name));
    match near {
        // A short word is two letters away from any other.
        Some(near) if distance(wrong, near) <= 2.min(wrong.chars().count() / 2) => format!("; is {near} meant?"),
        _ if names.len() <= 30 => format!("; there are {}", names.join(", ")),
        _ => String::new(),
    }
}

/// How many letters lie between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn scenario(lua: &Lua, values: MultiValue) -> Result<(), Stop> {
    let args = Args::new("scenario", values).at_most(1)?;
    let fields = args.fields(0, &["name", "about", "settle", "swarm", "crypto", "limit"])?;
    let name = fields.text("name")?.ok_or_else(|| args.wrong("wants a name: scenario{ name = \"…\" }"))?;
    let settle = match fields.value("settle") {
        Value::Boolean(false) => Settle::Never,
        Value::Nil | Value::Boolean(true) => Settle::default(),
        _ => Settle::Within(fields.span("settle")?.unwrap_or_default()),
    };
    let swarm = match fields.value("swarm") {
        Value::Nil | Value::Boolean(false) => Swarm::None,
        Value::Boolean(true) => Swarm::Mild,
        value => {
            let specs = value.as_table().map(|list| list.sequence_values::<String>().collect::<mlua::Result<Vec<_>>>());
            let complaint = || args.expected("swarm", "true or a list of faults", &value);
            Swarm::Of(specs.and_then(Result::ok).ok_or_else(complaint)?)
        }
    };
    let crypto = match fields.text("crypto")?.as_deref() {
        None | Some("real") => Suite::Real,
        Some("plain") => Suite::Plain,
        Some(other) => return Err(args.wrong(format!("knows no crypto {other:?}; there are real and plain"))),
    };
    let about = fields.text("about")?.unwrap_or_default();
    let limit = fields.span("limit")?;
    on_stage(lua, |stage| stage.begin(Settings { name, about, crypto, settle, swarm, limit }))
}

fn log(lua: &Lua, values: MultiValue) -> Result<(), Stop> {
    let words: Vec<String> = values.into_iter().map(|value| text_of(&value).unwrap_or_else(|| shown(&value))).collect();
    on_stage(lua, |stage| stage.note(None, What::Logged { text: words.join("\t") }))
}

fn sim(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    word(lua, &table, "now", |lua, values| {
        Args::new("sim.now", values).at_most(0)?;
        on_stage(lua, |stage| Ok(stage.elapsed().as_secs_f64()))
    })?;
    word(lua, &table, "seed", |lua, values| {
        Args::new("sim.seed", values).at_most(0)?;
        on_stage(lua, |stage| Ok(stage.options.seed))
    })?;
    Ok(table)
}

fn rng(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    word(lua, &table, "below", |lua, values| {
        let args = Args::new("rng.below", values).at_most(1)?;
        let bound = args.integer(0, "its bound")?;
        let bound = u64::try_from(bound).ok().filter(|&bound| bound > 0);
        let bound = bound.ok_or_else(|| args.wrong("wants a bound above 0"))?;
        on_stage(lua, |stage| Ok(stage.rng.below(bound)))
    })?;
    word(lua, &table, "pick", |lua, values| {
        let args = Args::new("rng.pick", values).at_most(1)?;
        let list = args.list(0, "what it picks from")?;
        let at = on_stage(lua, |stage| Ok(stage.rng.below(list.len() as u64)))?;
        let at = usize::try_from(at).expect("below the length of a list");
        list.get(at).cloned().ok_or_else(|| args.wrong("wants a list that is not empty"))
    })?;
    word(lua, &table, "shuffle", |lua, values| {
        let mut list = Args::new("rng.shuffle", values).at_most(1)?.list(0, "what it shuffles")?;
        // Fisher and Yates, from the end.
        for last in (1..list.len()).rev() {
            let at = on_stage(lua, |stage| Ok(stage.rng.below(last as u64 + 1)))?;
            list.swap(last, usize::try_from(at).expect("below the length of a list"));
        }
        Ok(list)
    })?;
    word(lua, &table, "chance", |lua, values| {
        let args = Args::new("rng.chance", values).at_most(1)?;
        let percent = u64::try_from(args.integer(0, "its percentage")?).ok().filter(|&percent| percent <= 100);
        let percent = percent.ok_or_else(|| args.wrong("wants a percentage, 0 to 100"))?;
        on_stage(lua, |stage| Ok(stage.rng.below(100) < percent))
    })?;
    Ok(table)
}

/// What the prelude alone is given.
fn raw(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    word(lua, &table, "now", |lua, _| on_stage(lua, |stage| Ok(micros(stage.elapsed()))))?;
    word(lua, &table, "till", |lua, mut values| {
        let of = if values.pop_front().as_ref().and_then(text_of).as_deref() == Some("wait") {
            "wait"
        } else {
            "expect.settled"
        };
        let span = Args::new(of, values).span(0, "how long")?;
        let place = place(lua);
        on_stage(lua, |stage| {
            stage.waits_at = place;
            till(stage, span)
        })
    })?;
    word(lua, &table, "wait_begins", |lua, values| {
        let args = Args::new("wait_until", values).at_most(3)?;
        args.text(0, "what it waits for")?;
        let limit = args.span(1, "its limit")?;
        if !args.value(2).is_function() {
            return Err(args.expected("its condition", "a function", &args.value(2)));
        }
        let place = place(lua);
        on_stage(lua, |stage| {
            stage.waits_at = place;
            till(stage, limit)
        })
    })?;
    word(lua, &table, "wait_failed", |lua, values| {
        let (what, since) = waited(values);
        let line = place(lua).map(|place| place.line);
        on_stage(lua, |stage| Err::<(), _>(expect::wait_ran_out(stage, &what, since, line)))
    })?;
    word(lua, &table, "wait_done", |lua, values| {
        let (what, since) = waited(values);
        let line = place(lua).map(|place| place.line);
        on_stage(lua, |stage| {
            let after = stage.elapsed().saturating_sub(since);
            stage.note(None, What::Step { text: format!("{what}: after {}", seconds(after)), line })
        })
    })?;
    word(lua, &table, "listen", |lua, _| {
        on_stage(lua, |stage| {
            stage.asked.clear();
            Ok(())
        })
    })?;
    word(lua, &table, "spawn", |lua, mut values| {
        let Some(Value::Function(function)) = values.pop_front() else {
            return Err(Stop::script("spawn wants a function"));
        };
        let place = place(lua);
        lua.app_data_mut::<Spawned>().expect("set at the start").0.push((function, values, place));
        Ok(())
    })?;
    expect::raw(lua, &table)?;
    Ok(table)
}

fn till(stage: &Stage, span: std::time::Duration) -> Result<u64, Stop> {
    if !stage.has_begun() {
        return Err(no_scenario());
    }
    Ok(micros(stage.elapsed().saturating_add(span)))
}

fn waited(values: MultiValue) -> (String, std::time::Duration) {
    let args = Args::new("wait_until", values);
    let since = args.value(1).as_integer().and_then(|us| u64::try_from(us).ok()).unwrap_or(0);
    (args.text(0, "what").unwrap_or_default(), std::time::Duration::from_micros(since))
}

fn micros(span: std::time::Duration) -> u64 {
    // Lua's whole numbers are signed.
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).min(i64::MAX.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let names = ["crash", "restart", "pause"].map(str::to_owned);
        assert_eq!(nearest("crahs", &names), "; is crash meant?");
        assert_eq!(nearest("os", &["_G".to_owned(), "log".to_owned()]), "; there are _G, log");
        assert_eq!(nearest("explode", &names), "; there are crash, restart, pause");
    }
}
