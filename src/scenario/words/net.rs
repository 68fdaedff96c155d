//! `net`: faults on the links between the nodes.

use mlua::{AnyUserData, Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, Value};

use super::values::{Args, shown, text_of};
use super::{Stage, Stop, fail, on_stage, word};
use crate::faults::Fault;
use crate::scenario::steps::{Links, Step, Way};

/// Faults that were put on together, to be healed together.
struct Handle(usize);

const FAULTS: &[&str] =
    &["[spec]", "delay", "jitter", "loss", "duplicate", "burst", "reorder", "corrupt", "truncate", "rate", "cut"];

impl UserData for Handle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("heal", |lua, handle, values: MultiValue| {
            let healed = Args::new("heal", values)
                .at_most(0)
                .and_then(|_| on_stage(lua, |stage| stage.take(Step::Heal { number: handle.0 })));
            healed.map_err(|stop| fail(lua, stop))
        });
        methods.add_method("is_on", |lua, handle, _: MultiValue| {
            on_stage(lua, |stage| Ok(stage.links.is_on(handle.0))).map_err(|stop| fail(lua, stop))
        });
        methods.add_meta_method(MetaMethod::Index, |lua, _, key: Value| -> mlua::Result<()> {
            let key = text_of(&key).unwrap_or_else(|| shown(&key));
            Err(fail(lua, Stop::script(format!("a fault has no field {key}; there are heal, is_on"))))
        });
    }
}

pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    word(lua, &table, "default", |lua, values| {
        let args = Args::new("net.default", values).at_most(1)?;
        let fields = args.fields(0, FAULTS)?;
        let (faults, kinds) = (fields.faults()?, fields.taken_back());
        on_stage(lua, |stage| {
            kinds.into_iter().try_for_each(|kind| stage.take(Step::DefaultOff { kind }))?;
            faults.into_iter().try_for_each(|fault| stage.take(Step::Default { fault }))
        })
    })?;
    word(lua, &table, "link", |lua, values| {
        let args = Args::new("net.link", values).at_most(1)?;
        let known = [&["from", "to", "both"], FAULTS].concat();
        let fields = args.fields(0, &known)?;
        let faults = fields.faults()?;
        if faults.is_empty() {
            return Err(args.wrong("wants a fault, such as loss = \"20%\""));
        }
        let way = if fields.flag("both")? == Some(true) { Way::Both } else { Way::One };
        let (from, to) = (fields.nodes("from")?.unwrap_or_default(), fields.nodes("to")?.unwrap_or_default());
        put_on(lua, Links { from, to, way, faults })
    })?;
    word(lua, &table, "cut", |lua, values| {
        let args = Args::new("net.cut", values).at_most(1)?;
        let fields = args.fields(0, &["from", "to"])?;
        let (from, to) = (fields.nodes("from")?, fields.nodes("to")?);
        if from.is_none() && to.is_none() {
            return Err(args.wrong("wants from, to, or both: net.cut{ from = bo, to = ana } is one way"));
        }
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        put_on(lua, Links { from, to, way: Way::One, faults: vec![Fault::Cut] })
    })?;
    word(lua, &table, "partition", |lua, values| {
        let args = Args::new("net.partition", values).at_most(2)?;
        let (from, to) = (args.nodes(0, "one side")?, args.nodes(1, "the other side")?);
        if let Some(both) = from.iter().find(|node| to.contains(node)) {
            return Err(args.wrong(format!("cannot have {both} on both sides")));
        }
        put_on(lua, Links { from, to, way: Way::Both, faults: vec![Fault::Cut] })
    })?;
    word(lua, &table, "heal", |lua, values| {
        Args::new("net.heal", values).at_most(0)?;
        on_stage(lua, Stage::heal_links)
    })?;
    Ok(table)
}

fn put_on(lua: &Lua, links: Links) -> Result<AnyUserData, Stop> {
    let number = on_stage(lua, |stage| stage.put_on(links))?;
    lua.create_userdata(Handle(number)).map_err(|error| Stop::script(error.to_string()))
}
