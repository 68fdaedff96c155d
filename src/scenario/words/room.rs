//! `room`: the nodes, made, found and looked at together.

use mlua::{AnyUserData, Lua, MultiValue, Table, Variadic};

use super::node::node;
use super::values::{Args, text_of};
use super::{Stage, Stop, on_stage, word};
use crate::base::limits::MEMBERS_MAX;
use crate::check::Name;
use crate::scenario::stage::Asked;
use crate::scenario::steps::Step;

pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    word(lua, &table, "nodes", |lua, values| {
        let names = names(&Args::new("room.nodes", values).at_most(1)?)?;
        on_stage(lua, |stage| names.iter().try_for_each(|name| make_and_start(stage, name)))?;
        handles(lua, &names)
    })?;
    word(lua, &table, "homes", |lua, values| {
        let names = names(&Args::new("room.homes", values).at_most(1)?)?;
        on_stage(lua, |stage| names.iter().try_for_each(|name| stage.add(name).map(|_| ())))?;
        handles(lua, &names)
    })?;
    word(lua, &table, "crowd", |lua, values| {
        let args = Args::new("room.crowd", values).at_most(2)?;
        let count =
            usize::try_from(args.integer(0, "how many")?).ok().filter(|count| (1..=MEMBERS_MAX).contains(count));
        let count = count.ok_or_else(|| args.wrong(format!("wants a count from 1 to {MEMBERS_MAX}")))?;
        let prefix = if args.is_given(1) { args.text(1, "how their names begin")? } else { "n".to_owned() };
        let names: Vec<String> = (1..=count).map(|number| format!("{prefix}{number}")).collect();
        on_stage(lua, |stage| names.iter().try_for_each(|name| make_and_start(stage, name)))?;
        handles(lua, &names).map(Vec::from)
    })?;
    word(lua, &table, "node", |lua, values| {
        let name = Args::new("room.node", values).at_most(1)?.text(0, "a name")?;
        on_stage(lua, |stage| stage.known(&name).map(|_| ()))?;
        handles(lua, &[name])
    })?;
    word(lua, &table, "all", |lua, values| {
        Args::new("room.all", values).at_most(0)?;
        let names = on_stage(lua, |stage| Ok(names_of(stage)))?;
        handles(lua, &names).map(Vec::from)
    })?;
    word(lua, &table, "running", |lua, values| {
        Args::new("room.running", values).at_most(0)?;
        let names =
            on_stage(lua, |stage| Ok(stage.able().into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()))?;
        handles(lua, &names).map(Vec::from)
    })?;
    word(lua, &table, "converged", |lua, values| {
        Args::new("room.converged", values).at_most(0)?;
        on_stage(lua, |stage| {
            stage.asked.push(Asked::new("converged", &Name::from(""), &[]));
            stage.converged()
        })
    })?;
    word(lua, &table, "split", split)?;
    Ok(table)
}

/// `room.split(2)` is the first two and the rest, `room.split()` two parts drawn from the seed.
fn split(lua: &Lua, values: MultiValue) -> Result<(Vec<AnyUserData>, Vec<AnyUserData>), Stop> {
    let args = Args::new("room.split", values).at_most(1)?;
    let mut names = on_stage(lua, |stage| Ok(names_of(stage)))?;
    if names.len() < 2 {
        return Err(args.wrong("wants two nodes at least in the room"));
    }
    let count = if args.is_given(0) {
        let count = usize::try_from(args.integer(0, "how many come first")?).unwrap_or(0);
        if count == 0 || count >= names.len() {
            return Err(args.wrong(format!("wants 1 to {} here", names.len() - 1)));
        }
        count
    } else {
        on_stage(lua, |stage| {
            for last in (1..names.len()).rev() {
                let at = stage.rng.below(last as u64 + 1);
                names.swap(last, usize::try_from(at).expect("below the length of a list"));
            }
            Ok(1 + usize::try_from(stage.rng.below(names.len() as u64 - 1)).expect("below the length of a list"))
        })?
    };
    let rest = names.split_off(count);
    Ok((handles(lua, &names)?.into(), handles(lua, &rest)?.into()))
}

fn make_and_start(stage: &mut Stage, name: &str) -> Result<(), Stop> {
    let node = stage.add(name)?;
    stage.take(Step::Start { node })
}

fn names(args: &Args) -> Result<Vec<String>, Stop> {
    let list = args.list(0, "the names")?;
    let names: Option<Vec<String>> = list.iter().map(text_of).collect();
    names.filter(|names| !names.is_empty()).ok_or_else(|| args.wrong("wants names: { \"ana\", \"bo\" }"))
}

fn names_of(stage: &Stage) -> Vec<String> {
    stage.nodes().iter().map(|(name, _)| name.to_string()).collect()
}

fn handles(lua: &Lua, names: &[String]) -> Result<Variadic<AnyUserData>, Stop> {
    let handles: mlua::Result<Vec<_>> = names.iter().map(|name| node(lua, &Name::from(name.as_str()))).collect();
    handles.map(Variadic::from).map_err(|error| Stop::script(error.to_string()))
}
