//! What a scenario has a member that lies do. Owns reading it; what a lie is made of is the simulator's matter.

use mlua::{IntoLuaMulti, MultiValue, UserDataMethods};

use super::node::{Node, does};
use super::on_stage;
use super::values::{Args, Fields};
use crate::check::Name;
use crate::scenario::fleet::{Flood, Forgery, Lie, Slander};
use crate::scenario::stop::Stop;

/// What a flood sends at most at one moment.
const COUNT_MAX: i64 = 100_000;

pub(super) fn add<M: UserDataMethods<Node>>(methods: &mut M) {
    does(methods, "forge", |lua, node, values| {
        let args = Args::new("node:forge", values).at_most(1)?;
        let lie = forge(&args)?;
        let (said, _) = on_stage(lua, |stage| stage.lie(node, &lie))?;
        said.into_iter().next().into_lua_multi(lua).map_err(|error| Stop::script(error.to_string()))
    });
    does(methods, "equivocate", |lua, node, values| {
        let args = Args::new("node:equivocate", values).at_most(1)?;
        let lie = equivocate(&args)?;
        let (said, _) = on_stage(lua, |stage| stage.lie(node, &lie))?;
        let values =
            said.into_iter().map(|said| mlua::IntoLua::into_lua(said, lua)).collect::<mlua::Result<MultiValue>>();
        values.map_err(|error| Stop::script(error.to_string()))
    });
    does(methods, "boast", |lua, node, values| {
        let args = Args::new("node:boast", values).at_most(1)?;
        let fields = args.fields(0, &["to", "of", "more"])?;
        let (to, of) = (receivers(&args, &fields)?, one(&args, &fields, "of")?);
        let more = count(&args, &fields, "more")?.ok_or_else(|| args.wrong("wants more = how many it makes up"))?;
        on_stage(lua, |stage| stage.lie(node, &Lie::Boast { to, of, more: u64::from(more) }).map(|_| ()))
    });
    does(methods, "slander", |lua, node, values| {
        let args = Args::new("node:slander", values).at_most(1)?;
        let fields = args.fields(0, &["to", "of", "as", "verdict"])?;
        let (to, of, by) = (receivers(&args, &fields)?, one(&args, &fields, "of")?, end(&args, &fields, "as")?);
        let slander = match (by, fields.flag("verdict")?.unwrap_or(false)) {
            (None, false) => Slander::Report,
            (Some(by), false) => Slander::Relayed { by },
            (Some(with), true) => Slander::Verdict { with },
            (None, true) => return Err(args.wrong("wants as = the other who is to have reported, for a verdict")),
        };
        on_stage(lua, |stage| stage.lie(node, &Lie::Slander { to, of, slander }).map(|_| ()))
    });
    does(methods, "vouch", |lua, node, values| {
        let args = Args::new("node:vouch", values).at_most(1)?;
        let fields = args.fields(0, &["to", "of", "ahead"])?;
        let (to, of) = (receivers(&args, &fields)?, one(&args, &fields, "of")?);
        let ahead = fields.integer("ahead")?.unwrap_or(0);
        let ahead = u64::try_from(ahead).map_err(|_| args.wrong("wants ahead from 0"))?;
        on_stage(lua, |stage| stage.lie(node, &Lie::Vouch { to, of, ahead }).map(|_| ()))
    });
    does(methods, "listen", |lua, node, values| {
        let args = Args::new("node:listen", values).at_most(1)?;
        let fields = args.fields(0, &["from", "to"])?;
        let (from, to) = (end(&args, &fields, "from")?, end(&args, &fields, "to")?);
        on_stage(lua, |stage| stage.lie(node, &Lie::Listen { from, to }).map(|_| ()))
    });
    does(methods, "replay", |lua, node, values| {
        let args = Args::new("node:replay", values).at_most(1)?;
        let fields = args.fields(0, &["from", "to", "last"])?;
        let (from, to) = (end(&args, &fields, "from")?, end(&args, &fields, "to")?);
        let last = count(&args, &fields, "last")?.map(|last| usize::try_from(last).unwrap_or(usize::MAX));
        let (_, replayed) = on_stage(lua, |stage| stage.lie(node, &Lie::Replay { from, to, last }))?;
        Ok(replayed)
    });
    does(methods, "flood", |lua, node, values| {
        let args = Args::new("node:flood", values).at_most(1)?;
        let fields = args.fields(0, &["to", "with", "count"])?;
        let to = receivers(&args, &fields)?;
        let words = Flood::ALL.map(Flood::word).join(", ");
        let with = fields.text("with")?.ok_or_else(|| args.wrong(format!("wants with = one of {words}")))?;
        let found = Flood::ALL.into_iter().find(|flood| flood.word() == with);
        let with = found.ok_or_else(|| args.wrong(format!("knows no flood with {with:?}; there are {words}")))?;
        let count = count(&args, &fields, "count")?.ok_or_else(|| args.wrong("wants a count"))?;
        on_stage(lua, |stage| stage.lie(node, &Lie::Flood { to, with, count }).map(|_| ()))
    });
}

fn forge(args: &Args) -> Result<Lie, Stop> {
    let fields = args.fields(0, &["to", "as", "text", "of", "receipt", "private", "leave", "card"])?;
    let to = receivers(args, &fields)?;
    let (of, receipt) = (fields.message("of")?, fields.message("receipt")?);
    let is = |key| Ok::<bool, Stop>(fields.flag(key)?.unwrap_or(false));
    let author = || one(args, &fields, "as");
    let text = || fields.text("text")?.ok_or_else(|| args.wrong("wants a text"));
    let forgery = match (of, receipt) {
        (None, None) if is("private")? => Forgery::Private { author: author()?, text: text()? },
        (None, None) if is("leave")? => Forgery::Leave { of: author()? },
        (None, None) if is("card")? => Forgery::Card { of: author()? },
        (None, None) => Forgery::Message { author: author()?, text: text()? },
        (Some(said), None) => Forgery::Changed { of: said.id, text: text()? },
        (None, Some(said)) => Forgery::Receipt { by: author()?, of: said.id },
        (Some(_), Some(_)) => return Err(args.wrong("takes either of or receipt")),
    };
    Ok(Lie::Forge { to, forgery })
}

fn equivocate(args: &Args) -> Result<Lie, Stop> {
    let fields = args.fields(0, &["to", "texts"])?;
    let to = <[Name; 2]>::try_from(receivers(args, &fields)?).map_err(|_| args.wrong("wants two nodes as to"))?;
    let texts = <[String; 2]>::try_from(fields.texts("texts")?.unwrap_or_default());
    let texts = texts.map_err(|_| args.wrong("wants two texts: texts = { \"yes\", \"no\" }"))?;
    if texts[0] == texts[1] {
        return Err(args.wrong("wants two texts that differ"));
    }
    Ok(Lie::Equivocate { to, texts })
}

fn receivers(args: &Args, fields: &Fields) -> Result<Vec<Name>, Stop> {
    fields.nodes("to")?.ok_or_else(|| args.wrong("wants to = a node or a list of nodes"))
}

fn one(args: &Args, fields: &Fields, key: &str) -> Result<Name, Stop> {
    end(args, fields, key)?.ok_or_else(|| args.wrong(format!("wants {key} = a node")))
}

/// One node, or none where the field is left out.
fn end(args: &Args, fields: &Fields, key: &str) -> Result<Option<Name>, Stop> {
    let Some(nodes) = fields.nodes(key)? else { return Ok(None) };
    let [node] = <[Name; 1]>::try_from(nodes).map_err(|_| args.wrong(format!("wants one node as {key}")))?;
    Ok(Some(node))
}

fn count(args: &Args, fields: &Fields, key: &str) -> Result<Option<u32>, Stop> {
    let Some(count) = fields.integer(key)? else { return Ok(None) };
    let fits = u32::try_from(count).ok().filter(|_| (1..=COUNT_MAX).contains(&count));
    fits.map(Some).ok_or_else(|| args.wrong(format!("wants {key} from 1 to {COUNT_MAX}")))
}
