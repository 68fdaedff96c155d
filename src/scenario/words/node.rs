//! A node, as a handle in the script: what its person can do, what befalls its machine, and what it answers.

use std::collections::BTreeSet;
use std::sync::Mutex;

use mlua::{AnyUserData, Lua, MetaMethod, MultiValue, Table, UserData, UserDataFields, UserDataMethods, Value};
use serde::Serialize;

use super::values::{Args, node_of, shown, text_of, to_lua};
use super::{Stage, Stop, fail, nearest, on_stage};
use crate::check::Name;
use crate::node::api::MemberStatus;
use crate::scenario::fleet::{Change, Death, Unsynced};
use crate::scenario::stage::Asked;
use crate::scenario::steps::Step;

/// See the module.
pub(super) struct Node(pub(super) Name);

/// The one handle of each node, so that handles compare and serve as keys.
struct Handles(Table);

pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    lua.set_app_data(Handles(lua.create_table()?));
    Ok(())
}

/// The handle of `name`.
pub(super) fn node(lua: &Lua, name: &Name) -> mlua::Result<AnyUserData> {
    let handles = lua.app_data_ref::<Handles>().expect("set at the start").0.clone();
    if let Ok(Some(handle)) = handles.raw_get::<Option<AnyUserData>>(&**name) {
        return Ok(handle);
    }
    let handle = lua.create_userdata(Node(name.clone()))?;
    handles.raw_set(&**name, handle.clone())?;
    Ok(handle)
}

/// The names that handles answer to, as they were registered: Lua asks for them once, at the first handle.
static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

pub(super) fn names() -> BTreeSet<&'static str> {
    NAMES.lock().expect("nothing panics while it holds this").clone()
}

fn registered(name: &'static str) -> &'static str {
    NAMES.lock().expect("nothing panics while it holds this").insert(name);
    name
}

impl UserData for Node {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get(registered("name"), |_, node| Ok(node.0.to_string()));
        fields.add_field_method_get(registered("id"), |lua, node| {
            let id = on_stage(lua, |stage| stage.id(&node.0).ok_or_else(|| Stop::script("the node is gone")));
            id.map(|id| id.to_string()).map_err(|stop| fail(lua, stop))
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, node, ()| Ok(node.0.to_string()));
        methods.add_meta_method(MetaMethod::Index, |lua, _, key: Value| -> mlua::Result<()> {
            let key = text_of(&key).unwrap_or_else(|| shown(&key));
            let known = names().into_iter().map(str::to_owned).collect::<Vec<_>>();
            Err(fail(lua, Stop::script(format!("a node has no field {key}{}", nearest(&key, &known)))))
        });
        add_person(methods);
        add_process(methods);
        add_machine(methods);
        add_answers(methods);
        super::liar::add(methods);
    }
}

/// What the person at the node does.
fn add_person<M: UserDataMethods<Node>>(methods: &mut M) {
    does(methods, "say", |lua, node, values| {
        let args = Args::new("node:say", values).at_most(1)?;
        let text = args.text(0, "what to say")?;
        on_stage(lua, |stage| stage.say(node, None, &text))
    });
    does(methods, "tell", |lua, node, values| {
        let args = Args::new("node:tell", values).at_most(2)?;
        let (to, text) = (args.node(0, "its receiver")?, args.text(1, "what to tell")?);
        on_stage(lua, |stage| stage.say(node, Some(&to), &text))
    });
    does(methods, "join", |lua, node, values| {
        let through = Args::new("node:join", values).at_most(1)?.node(0, "a member of the room")?;
        on_stage(lua, |stage| stage.take(Step::Join { node: node.clone(), through }))
    });
    does(methods, "leave", |lua, node, values| {
        Args::new("node:leave", values).at_most(0)?;
        on_stage(lua, |stage| stage.take(Step::Leave { node: node.clone() }))
    });
}

/// What befalls the process.
fn add_process<M: UserDataMethods<Node>>(methods: &mut M) {
    does(methods, "start", |lua, node, values| {
        Args::new("node:start", values).at_most(0)?;
        on_stage(lua, |stage| stage.take(Step::Start { node: node.clone() }))
    });
    does(methods, "crash", |lua, node, values| {
        let unsynced = unsynced(&Args::new("node:crash", values).at_most(1)?)?;
        on_stage(lua, |stage| stage.take(Step::Crash { node: node.clone(), unsynced }))
    });
    does(methods, "restart", |lua, node, values| {
        let unsynced = unsynced(&Args::new("node:restart", values).at_most(1)?)?;
        on_stage(lua, |stage| {
            if stage.is_running(node) {
                stage.take(Step::Crash { node: node.clone(), unsynced })?;
            }
            stage.take(Step::Start { node: node.clone() })
        })
    });
    does(methods, "pause", |lua, node, values| {
        Args::new("node:pause", values).at_most(0)?;
        on_stage(lua, |stage| stage.take(Step::Pause { node: node.clone() }))
    });
    does(methods, "resume", |lua, node, values| {
        Args::new("node:resume", values).at_most(0)?;
        on_stage(lua, |stage| stage.take(Step::Resume { node: node.clone() }))
    });
    does(methods, "is_running", |lua, node, values| {
        Args::new("node:is_running", values).at_most(0)?;
        on_stage(lua, |stage| Ok(stage.is_running(node)))
    });
}

fn unsynced(args: &Args) -> Result<Unsynced, Stop> {
    let unsynced = args.fields(0, &["unsynced"])?.text("unsynced")?;
    match unsynced.as_deref() {
        None | Some("keep") => Ok(Unsynced::Keep),
        Some("lose") => Ok(Unsynced::Lose),
        Some("torn") => Ok(Unsynced::Torn),
        Some(other) => Err(args.wrong(format!("knows no unsynced = {other:?}; there are keep, lose, torn"))),
    }
}

/// What befalls the machine.
fn add_machine<M: UserDataMethods<Node>>(methods: &mut M) {
    does(methods, "clock", |lua, node, values| {
        let args = Args::new("node:clock", values).at_most(1)?;
        let fields = args.fields(0, &["jump", "drift"])?;
        let mut changes = Vec::new();
        if let Some(jump) = fields.text("jump")? {
            let (is_back, span) = jump.strip_prefix('-').map_or((false, jump.as_str()), |span| (true, span));
            let ms = super::values::read_span(span).and_then(|span| i64::try_from(span.as_millis()).ok());
            let ms = ms.ok_or_else(|| args.wrong(format!("cannot jump by {jump:?}; try \"1h\" or \"-90s\"")))?;
            changes.push(Change::ClockJump { ms: if is_back { -ms } else { ms } });
        }
        if let Some(ppm) = fields.integer("drift")? {
            let ppm = i32::try_from(ppm).map_err(|_| args.wrong("drifts by parts per million, which fit 32 bits"))?;
            changes.push(Change::ClockDrift { ppm });
        }
        on_stage(lua, |stage| change_all(stage, node, changes))
    });
    does(methods, "disk", |lua, node, values| {
        let args = Args::new("node:disk", values).at_most(1)?;
        let fields = args.fields(0, &["full", "latency"])?;
        let full = fields.flag("full")?.map(|is_full| Change::DiskFull { is_full });
        let latency = fields.span("latency")?.map(|latency| Change::DiskLatency { latency });
        on_stage(lua, |stage| change_all(stage, node, full.into_iter().chain(latency)))
    });
    changes(methods, "snapshot", |args| Ok(Change::Snapshot { as_name: args.text(0, "its name")? }));
    changes(methods, "rollback", |args| Ok(Change::Rollback { to_name: args.text(0, "a snapshot's name")? }));
    changes(methods, "copy", |args| Ok(Change::CopyOf { from: args.node(0, "whose home it becomes")?.to_string() }));
    changes(methods, "fault", |args| Ok(Change::Fault { spec: args.text(0, "a spec, or \"off\"")? }));
    changes(methods, "crash_at_commit", |args| {
        Ok(Change::CrashAtCommit { when: death(&args.text(0, "when")?, args)? })
    });
    changes(methods, "stall", |args| Ok(Change::Stall { lag: args.span(0, "how late its loop wakes up")? }));
}

/// Where around a commit the process ends.
fn death(when: &str, args: &Args) -> Result<Death, Stop> {
    match when {
        "before" => Ok(Death::BeforeCommit),
        "unreported" => Ok(Death::BeforeReport),
        "after" => Ok(Death::AfterReport),
        other => Err(args.wrong(format!("knows no {other:?}; there are before, unreported, after"))),
    }
}

fn change_all(stage: &mut Stage, node: &Name, changes: impl IntoIterator<Item = Change>) -> Result<(), Stop> {
    changes.into_iter().try_for_each(|change| stage.take(Step::Change { node: node.clone(), change }))
}

/// What the node answers. Each is asked anew.
fn add_answers<M: UserDataMethods<Node>>(methods: &mut M) {
    answers(methods, "status", |stage, node, args| {
        args.none()?;
        stage.status(node).map(Some)
    });
    answers(methods, "members", |stage, node, args| {
        args.none()?;
        stage.status(node).map(|status| Some(status.members))
    });
    answers(methods, "member", |stage, node, args| -> Result<Option<MemberStatus>, Stop> {
        let of = args.node(0, "a node")?;
        let id = stage.known(&of)?;
        Ok(stage.status(node)?.members.into_iter().find(|member| member.id == id))
    });
    answers(methods, "delivery", |stage, node, args| {
        let (said, to) = (args.message(0, "a message")?, args.node(1, "a member")?);
        stage.delivery(node, said.id, &to)
    });
    answers(methods, "gaps", |stage, node, args| {
        args.none()?;
        stage.gaps(node).map(Some)
    });
    answers(methods, "alarms", |stage, node, args| {
        args.none()?;
        Ok(Some(stage.told.alarms(node).to_vec()))
    });
    answers(methods, "log", |stage, node, args| {
        args.none()?;
        stage.log(node).map(Some)
    });
    answers(methods, "screen", |stage, node, args| {
        args.none()?;
        let own = stage.known(node)?;
        let others = stage.told.messages(node).iter().filter(|message| message.from != own);
        Ok(Some(others.map(|message| format!("{}: {}", message.nick, message.text)).collect::<Vec<_>>()))
    });
    answers(methods, "shows", |stage, node, args| {
        let said = args.message(0, "a message")?;
        Ok(Some(stage.times_shown(node, &said) > 0))
    });
    answers(methods, "saw", |stage, node, args| {
        let of = args.node(0, "a member")?;
        let id = stage.known(&of)?;
        Ok(Some(stage.told.states(node, id).iter().map(|state| state.word()).collect::<Vec<_>>()))
    });
    does(methods, "why", |lua, node, values| {
        let args = Args::new("node:why", values).at_most(1)?;
        let asked = Asked::new("why", node, &args.known());
        if let Ok(said) = args.message(0, "what") {
            let why = on_stage(lua, |stage| stage.why_message(node, said.id).inspect(|_| stage.asked.push(asked)))?;
            return lua_of(lua, why.as_ref());
        }
        let of = args.node(0, "a node or a message")?;
        let why = on_stage(lua, |stage| stage.why_member(node, &of).inspect(|_| stage.asked.push(asked)))?;
        lua_of(lua, why.as_ref())
    });
}

pub(super) fn does<M: UserDataMethods<Node>, R: mlua::IntoLuaMulti + 'static>(
    methods: &mut M,
    name: &'static str,
    does: impl Fn(&Lua, &Name, MultiValue) -> Result<R, Stop> + Send + 'static,
) {
    methods.add_function(registered(name), move |lua, mut values: MultiValue| {
        let node = values.pop_front().as_ref().and_then(node_of);
        let dotted = || Stop::script(format!("{name} is asked of a node, with a colon: ana:{name}(…)"));
        let done = node.ok_or_else(dotted).and_then(|node| does(lua, &node, values));
        done.map_err(|stop| fail(lua, stop))
    });
}

fn changes<M: UserDataMethods<Node>>(
    methods: &mut M,
    name: &'static str,
    read: impl Fn(&Args) -> Result<Change, Stop> + Send + 'static,
) {
    does(methods, name, move |lua, node, values| {
        let change = read(&Args::new(name, values).at_most(1)?)?;
        on_stage(lua, |stage| stage.take(Step::Change { node: node.clone(), change }))
    });
}

fn answers<M: UserDataMethods<Node>, T: Serialize + 'static>(
    methods: &mut M,
    name: &'static str,
    ask: impl Fn(&mut Stage, &Name, &Args) -> Result<Option<T>, Stop> + Send + 'static,
) {
    does(methods, name, move |lua, node, values| {
        let args = Args::new(name, values);
        let answer = on_stage(lua, |stage| {
            let answer = ask(stage, node, &args)?;
            stage.asked.push(Asked::new(name, node, &args.known()));
            Ok(answer)
        })?;
        lua_of(lua, answer.as_ref())
    });
}

fn lua_of(lua: &Lua, answer: Option<&impl Serialize>) -> Result<Value, Stop> {
    let Some(answer) = answer else { return Ok(Value::Nil) };
    to_lua(lua, answer).map_err(|error| Stop::script(format!("the answer does not fit Lua: {error}")))
}
