//! What scenarios may call, as a table: the definitions for editors and the reference of docs/SCENARIOS.md are written
//! from it, and a test holds it to what the words really are.

use crate::lua::surface::{Function, Param, Surface};

const SPAN: &str = "string|number";
const NODES: &str = "Node|Node[]";

const fn param(name: &'static str, kind: &'static str, about: &'static str) -> Param {
    Param { name, kind, about }
}

const fn does(name: &'static str, params: &'static [Param], about: &'static str) -> Function {
    Function { name, params, returns: None, about }
}

const fn gives(
    name: &'static str,
    params: &'static [Param],
    kind: &'static str,
    what: &'static str,
    about: &'static str,
) -> Function {
    Function { name, params, returns: Some((kind, what)), about }
}

const NAMES: &[Param] = &[param("names", "string[]", "New names; each keeps to the rules of a nick.")];
const UNSYNCED: Param = param(
    "options?",
    "{ unsynced: \"keep\"|\"lose\"|\"torn\" }",
    "What becomes of what was not synced: it got there (the default), it is lost, or some of it is.",
);
const OF_MESSAGE: Param = param("message", "Said", "As `say` or `tell` gave it.");
const STATE: Param = param("state", "\"alive\"|\"suspect\"|\"unreachable\"|\"left\"", "");
const WHAT: Param = param("what?", "string", "What it is about; the failure says it.");
const FAULTS: Param = param(
    "faults",
    "table",
    "`loss`, `duplicate`, `corrupt`, `truncate` (shares: `0.05` or `\"5%\"`), `delay` and `jitter` (times), `burst`, `reorder`, `rate`, `cut`, in the words of `moot fault`; or whole specs as texts.",
);

/// All of it.
pub const SCENARIOS: Surface = Surface {
    tables: &[
        ("room", "The nodes together."),
        ("net", "The network between them."),
        ("expect", "What must be true now."),
        ("sim", "The run itself."),
        ("rng", "Chance, drawn from the seed."),
        ("Node", "@class Node\n---@field name string\n---@field id string"),
        ("Said", "@class Said\n---@field id string\n---@field text string\n---@field by Node\n---@field to Node?"),
        ("Fault", "@class Fault"),
    ],
    functions: &[
        does(
            "scenario",
            &[param(
                "options",
                "table",
                "`name` (needed), `about`, `settle`: how long the room may take to come to rest at the end, or `false`; `swarm`: `true`, or a list of background faults; `crypto`: `\"real\"` or `\"plain\"`; `limit`: how long the run may take of its own time, where an hour is too short.",
            )],
            "Begins the scenario. It stands once, before all else.",
        ),
        does("wait", &[param("span", SPAN, "A time such as `\"1.5s\"`, or a number of seconds.")], "Lets time pass."),
        does(
            "wait_until",
            &[
                param("what", "string", "What is waited for; a failure says it."),
                param("limit", SPAN, "How long at most."),
                param("condition", "fun(): any", "Asked at once, and again whenever something changed."),
            ],
            "Lets time pass until something is true; the run fails where it does not come true in time.",
        ),
        does(
            "spawn",
            &[
                param("fn", "fun(...)", "Runs beside the scenario, and may wait too."),
                param("...", "any", "What it is called with."),
            ],
            "Runs a function beside the scenario, which is over when both are.",
        ),
        does(
            "log",
            &[param("text", "any", "Written into the trace.")],
            "Writes a line into the trace. `print` does the same.",
        ),
        gives(
            "room.nodes",
            NAMES,
            "Node",
            "one for each name",
            "Makes machines, starts a node on each, and lets them meet through the first machine of the room.",
        ),
        gives("room.homes", NAMES, "Node", "one for each name", "Makes machines on which nothing runs yet."),
        gives(
            "room.crowd",
            &[param("count", "integer", "How many."), param("prefix?", "string", "How their names begin; `n`.")],
            "Node[]",
            "all of them",
            "Makes and starts many nodes: `n1`, `n2` and so on.",
        ),
        gives("room.node", &[param("name", "string", "A name.")], "Node", "the node of that name", "Finds a node."),
        gives("room.all", &[], "Node[]", "in the order in which they were made", "All nodes."),
        gives(
            "room.running",
            &[],
            "Node[]",
            "in the order in which they were made",
            "The nodes that run and are not paused.",
        ),
        gives(
            "room.converged",
            &[],
            "boolean",
            "whether they do",
            "Whether all nodes that run hold alive, in their present runs, just those that run.",
        ),
        gives(
            "room.split",
            &[param("count?", "integer", "How many come first; without it two parts are drawn from the seed.")],
            "Node[], Node[]",
            "the two parts",
            "Splits the nodes in two.",
        ),
        does(
            "net.default",
            &[FAULTS],
            "Sets what every link does, each way. What is not named stays as it is; `false` takes it back, as `cut = false`.",
        ),
        gives(
            "net.link",
            &[param(
                "options",
                "table",
                "`from`, `to`: a node or a list, any where left out; `both = true`: both ways; and faults, as in `net.default`.",
            )],
            "Fault",
            "heals it",
            "Puts faults on some links.",
        ),
        gives(
            "net.cut",
            &[param("options", "{ from: Node|Node[], to: Node|Node[] }", "Either may be left out.")],
            "Fault",
            "heals it",
            "Lets nothing pass, one way.",
        ),
        gives(
            "net.partition",
            &[param("one", NODES, "One side."), param("other", NODES, "The other side.")],
            "Fault",
            "heals it",
            "Lets nothing pass between two sides, either way.",
        ),
        does("net.heal", &[], "Takes off all faults of links and partitions; `net.default` stays."),
        does("Fault:heal", &[], "Takes the fault off."),
        gives("Fault:is_on", &[], "boolean", "whether it is", "Whether the fault is on."),
        gives(
            "Node:say",
            &[param("text", "string", "UTF-8, up to 16 KiB.")],
            "Said",
            "the message",
            "Says something to the room. A refusal is an error.",
        ),
        gives(
            "Node:tell",
            &[param("to", "Node", "The receiver."), param("text", "string", "UTF-8, up to 16 KiB.")],
            "Said",
            "the message",
            "Tells something to one member. A refusal is an error.",
        ),
        does("Node:start", &[], "Starts a process on the home."),
        does("Node:join", &[param("through", "Node", "A member of the room.")], "Dials the address of a member."),
        does("Node:leave", &[], "Says goodbye and ends."),
        does("Node:crash", &[UNSYNCED], "Ends the process at once, as `kill -9` or a power cut would."),
        does("Node:restart", &[UNSYNCED], "Crashes the process if it runs, and starts another."),
        does("Node:pause", &[], "Stops the process where it stands."),
        does("Node:resume", &[], "Lets it go on."),
        gives("Node:is_running", &[], "boolean", "whether one does, paused or not", "Whether a process runs."),
        gives("Node:status", &[], "table", "as `moot status --json`", "The status of the node."),
        gives("Node:members", &[], "moot.MemberStatus[]", "as in its status", "The members that it knows."),
        gives(
            "Node:member",
            &[param("of", "Node", "The member.")],
            "moot.MemberStatus?",
            "nil where it does not know it",
            "What it holds of one member.",
        ),
        gives(
            "Node:why",
            &[param("what", "Node|Said", "A member or a message.")],
            "table?",
            "as `moot why --json`",
            "The evidence about a member or a message.",
        ),
        gives(
            "Node:delivery",
            &[OF_MESSAGE, param("to", "Node", "The member.")],
            "table?",
            "its `outcome`, `attempts`, `tries_may_be_missing`, `latency_us`, `tries` and `receipt`; nil where it does not go there",
            "How the delivery of a message that it sent stands.",
        ),
        gives("Node:shows", &[OF_MESSAGE], "boolean", "whether it was", "Whether the message was shown there."),
        gives(
            "Node:screen",
            &[],
            "string[]",
            "`ana: hello`, in order",
            "What others said that was shown there, across restarts.",
        ),
        gives(
            "Node:log",
            &[],
            "moot.Message[]",
            "oldest first",
            "Its durable log, its own messages included; the node may be down.",
        ),
        gives(
            "Node:saw",
            &[param("of", "Node", "The member.")],
            "string[]",
            "`alive`, `suspect` and so on, in order",
            "In which states it told that the member is, since the run began, across restarts.",
        ),
        gives(
            "Node:alarms",
            &[],
            "string[]",
            "oldest first, across restarts",
            "What it warned its person of: an author that told different people different things, for one.",
        ),
        gives("Node:gaps", &[], "moot.Gap[]", "as `moot gaps --json`", "The gaps that it knows."),
        does(
            "Node:clock",
            &[param(
                "options",
                "{ jump: string?, drift: integer? }",
                "`jump`: the wall clock jumps by `\"1h\"` or `\"-90s\"`; `drift`: both clocks run faster by so many parts per million.",
            )],
            "Makes the clock wrong.",
        ),
        does(
            "Node:disk",
            &[param(
                "options",
                "{ full: boolean?, latency: string? }",
                "`full`: takes nothing more; `latency`: how long each commit takes.",
            )],
            "Makes the disk full or slow.",
        ),
        does("Node:snapshot", &[param("name", "string", "For `rollback`.")], "Remembers what is on the disk now."),
        does(
            "Node:rollback",
            &[param("name", "string", "Of a snapshot.")],
            "Puts the disk back. The node must be down.",
        ),
        does(
            "Node:copy",
            &[param("from", "Node", "Whose home.")],
            "Makes the home a copy of another, keys and all. The node must be down.",
        ),
        does(
            "Node:fault",
            &[param("spec", "string", "As `moot fault` takes it, or `off`.")],
            "Puts on faults of the node's own.",
        ),
        does(
            "Node:crash_at_commit",
            &[param(
                "when",
                "\"before\"|\"unreported\"|\"after\"",
                "Before the commit, so that it is lost; between it and the report to the node; or after that, before anything follows from it.",
            )],
            "Ends the process at its next commit, at just this place around it.",
        ),
        does("Node:stall", &[param("lag", SPAN, "How late.")], "Lets its loop wake up late from now on."),
        gives(
            "Node:forge",
            &[param(
                "options",
                "{ to: Node|Node[], as: Node?, text: string?, private: boolean?, of: Said?, receipt: Said?, leave: boolean?, card: boolean? }",
                "`as` and `text`: a message in another's name, to the room or with `private = true` to `to` alone; `of` and `text`: a message of the room with another text under its own signature; `as` and `receipt`: a receipt in another's name for a message of `to`; `as` and `leave = true` or `card = true`: another's goodbye, or its card of a later run.",
            )],
            "Said?",
            "the message that nobody said, where it is one",
            "Has the member send to `to` what it signs itself, in the name of another. Needs the simulator, as all lies do.",
        ),
        gives(
            "Node:equivocate",
            &[param("options", "{ to: Node[], texts: string[] }", "Two nodes, and the text for each.")],
            "Said, Said",
            "the two messages",
            "Has the member sign two messages to the room under one number, and send one to each of two others.",
        ),
        does(
            "Node:boast",
            &[param(
                "options",
                "{ to: Node|Node[], of: Node, more: integer }",
                "Whom it tells, whose messages it claims to hold, and how many more than it knows.",
            )],
            "Has the member claim that it holds, and can give, messages that do not exist.",
        ),
        does(
            "Node:slander",
            &[param(
                "options",
                "{ to: Node|Node[], of: Node, as: Node?, verdict: boolean? }",
                "Whom it tells, and of whom; with `as`, that this one reports it; with `verdict = true` too, that both do, and it is unreachable.",
            )],
            "Has the member say that another is silent.",
        ),
        does(
            "Node:vouch",
            &[param(
                "options",
                "{ to: Node|Node[], of: Node, ahead: integer? }",
                "Whom it tells, of whom, and how many heartbeats further than can be.",
            )],
            "Has the member say that it heard another just now.",
        ),
        does(
            "Node:listen",
            &[param("options?", "{ from: Node?, to: Node? }", "Which links; without both, its own.")],
            "Has the member remember the datagrams that leave on some links from now on, the newest 4,096.",
        ),
        gives(
            "Node:replay",
            &[param(
                "options?",
                "{ from: Node?, to: Node?, last: integer? }",
                "Which of them: from whom, for whom, the newest of these; without any, all.",
            )],
            "integer",
            "how many",
            "Has the member send again the datagrams that it remembers, each to whom it was for and as from where it came.",
        ),
        does(
            "Node:flood",
            &[param(
                "options",
                "{ to: Node|Node[], with: \"noise\"|\"data\"|\"handshakes\"|\"frames\"|\"forgeries\"|\"messages\"|\"pulls\"|\"frontiers\", count: integer }",
                "`noise`: random bytes; `data`: datagrams of sessions that do not exist; `handshakes`: ones that are never finished; `frames`: frames that say nothing; `forgeries`: messages in others' names; `messages`: messages of its own; `pulls`, `frontiers`: questions that are answered at length.",
            )],
            "Has the member send so many to each of `to` at once.",
        ),
        does(
            "expect.equal",
            &[param("found", "any", ""), param("wanted", "any", ""), WHAT],
            "Two values are equal; tables are where all their fields are, nested ones too.",
        ),
        does("expect.differ", &[param("a", "any", ""), param("b", "any", ""), WHAT], "Two values differ."),
        does("expect.is_true", &[param("found", "any", ""), WHAT], "A value is neither `nil` nor `false`."),
        does("expect.is_false", &[param("found", "any", ""), WHAT], "A value is `nil` or `false`."),
        does("expect.shown", &[param("on", NODES, "Where."), OF_MESSAGE], "The message was shown there."),
        does(
            "expect.shown_once",
            &[param("on", NODES, "Where."), OF_MESSAGE],
            "It was shown there, and not twice, across restarts.",
        ),
        does("expect.not_shown", &[param("on", NODES, "Where."), OF_MESSAGE], "It was not shown there."),
        does(
            "expect.outcome",
            &[
                OF_MESSAGE,
                param("to", "Node", "The member."),
                param("outcome", "\"waiting\"|\"sending\"|\"unknown\"|\"refused\"|\"expired\"|\"delivered\"", ""),
            ],
            "A delivery stands so, as its sender tells it.",
        ),
        does(
            "expect.sees",
            &[param("observers", NODES, "Who looks."), param("subject", "Node", "At whom."), STATE],
            "The observers hold the member so.",
        ),
        does(
            "expect.never_saw",
            &[param("observers", NODES, "Who looks."), param("subjects", NODES, "At whom."), STATE],
            "None of the observers ever told that one of the members is so, since the run began. Nobody looks at itself.",
        ),
        does(
            "expect.refused",
            &[param("fn", "fun()", "Has a node say or tell something."), param("words?", "string", "Of the refusal.")],
            "The node refuses.",
        ),
        does(
            "expect.settled",
            &[param("limit?", SPAN, "How long it may take; as `settle` of the scenario.")],
            "The room comes to rest within the limit: views equal, every message shown or a gap, nothing left unsettled.",
        ),
        gives("sim.now", &[], "number", "in seconds", "Time since the run began."),
        gives("sim.seed", &[], "integer", "0 where none was given", "The seed of the run."),
        gives("rng.below", &[param("bound", "integer", "Above 0.")], "integer", "from 0 to `bound` - 1", "A number."),
        gives("rng.pick", &[param("list", "any[]", "Not empty.")], "any", "an element", "An element of a list."),
        gives("rng.shuffle", &[param("list", "any[]", "")], "any[]", "a new list", "The list in another order."),
        gives(
            "rng.chance",
            &[param("percent", "integer", "0 to 100.")],
            "boolean",
            "true for so many of a hundred",
            "A toss.",
        ),
    ],
    classes: &[],
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mlua::{Table, Value};

    use super::*;
    use crate::base::Rng;
    use crate::lua::Sandbox;
    use crate::scenario::fleet::FleetError;
    use crate::scenario::options::Options;
    use crate::scenario::stage::Stage;

    #[test]
    fn every_word_is_in_the_table_and_the_other_way_round() {
        let sandbox = Sandbox::new(Rng::from_seed([1; 32]));
        let before: BTreeSet<String> = names(&sandbox.lua().globals());
        let open = Box::new(|_: &_| Err(FleetError::Cannot("nothing is run here".into())));
        super::super::install(&sandbox, Stage::new("".into(), Options::default(), open), "x.lua").unwrap();
        let globals = sandbox.lua().globals();
        let mut there = BTreeSet::new();
        for name in names(&globals).difference(&before) {
            match globals.raw_get::<Value>(name.as_str()).unwrap() {
                Value::Table(table) => there.extend(names(&table).into_iter().map(|field| format!("{name}.{field}"))),
                _ => drop(there.insert(name.clone())),
            }
        }
        // The first handle has its words registered.
        super::super::node::node(sandbox.lua(), &"ana".into()).unwrap();
        there.extend(super::super::node::names().iter().map(|name| format!("Node:{name}")));
        // These are fields of the class.
        for field in ["Node:name", "Node:id"] {
            assert!(there.remove(field));
        }
        there.extend(["Fault:heal", "Fault:is_on"].map(str::to_owned));
        let written: BTreeSet<String> = SCENARIOS.functions.iter().map(|function| function.name.to_owned()).collect();
        assert_eq!(there, written);
    }

    fn names(table: &Table) -> BTreeSet<String> {
        table.pairs::<String, Value>().filter_map(Result::ok).map(|(name, _)| name).collect()
    }
}
