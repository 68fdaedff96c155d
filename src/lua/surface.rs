//! What scripts may call, as a table: the definitions for editors (`scripts/moot.d.lua`) and the reference in the
//! manual are written from it, and a test holds it to what the sandbox has. Owns names, types and what is said of them;
//! does nothing.

use std::fmt::Write as _;

/// A function of the surface.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// As it is called: `moot.say`.
    pub name: &'static str,
    pub params: &'static [Param],
    /// What it gives, and a word about it; nothing for a function that gives nothing.
    pub returns: Option<(&'static str, &'static str)>,
    pub about: &'static str,
}

/// A parameter of a function, or a field of a class.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// With a `?` at the end where it may be left out or may be missing.
    pub name: &'static str,
    /// As annotations of the Lua language server write types.
    pub kind: &'static str,
    pub about: &'static str,
}

/// A kind of table that scripts are given, or give.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    pub name: &'static str,
    pub about: &'static str,
    pub fields: &'static [Param],
}

/// A part of the surface.
#[derive(Clone, Copy, Debug)]
pub struct Surface {
    /// The global tables that its functions are in, with what is said of each.
    pub tables: &'static [(&'static str, &'static str)],
    pub functions: &'static [Function],
    pub classes: &'static [Class],
}

const fn param(name: &'static str, kind: &'static str, about: &'static str) -> Param {
    Param { name, kind, about }
}

/// What hooks have.
pub const HOOKS: Surface = Surface {
    tables: &[("moot", "The node that the script runs beside.")],
    functions: &[
        Function {
            name: "moot.on",
            params: &[
                param(
                    "event",
                    "\"message\"|\"private\"|\"member\"|\"delivery\"|\"gap\"|\"datagram\"",
                    "What to be told of; the table of hooks says of what each tells.",
                ),
                param("hook", "fun(event: table): any", "Is called with the event, each time."),
            ],
            returns: None,
            about: "Registers a hook. Several hooks of one event are called in the order in which they were registered.",
        },
        Function {
            name: "moot.every",
            params: &[
                param("period", "string|number", "A duration as `\"30s\"`, or a number of seconds; at least 10 ms."),
                param(
                    "hook",
                    "fun(): boolean?",
                    "Is called each time; once it returns `false` it is not called again.",
                ),
            ],
            returns: None,
            about: "Calls a function again and again, for the first time after one period.",
        },
        Function {
            name: "moot.after",
            params: &[
                param("delay", "string|number", "A duration as `\"5s\"`, or a number of seconds; at least 10 ms."),
                param("hook", "fun()", "Is called once."),
            ],
            returns: None,
            about: "Calls a function later.",
        },
        Function {
            name: "moot.say",
            params: &[param("text", "string", "UTF-8, up to 16 KiB.")],
            returns: Some(("moot.Sent", "the message, and its deliveries as they begin")),
            about: "Says something to the room. A script may send 10 messages in a burst, and then one a second; more is an error.",
        },
        Function {
            name: "moot.tell",
            params: &[
                param("to", "string", "A nick, `nick~` and the beginning of an id where two share the nick, or an id."),
                param("text", "string", "UTF-8, up to 16 KiB."),
            ],
            returns: Some(("moot.Sent", "the message, and its delivery as it begins")),
            about: "Tells something to one member. It counts with `moot.say`.",
        },
        Function {
            name: "moot.members",
            params: &[],
            returns: Some(("moot.MemberStatus[]", "one item a member, the node's own among them")),
            about: "Who is in the room, as `moot who --json` prints it.",
        },
        Function {
            name: "moot.status",
            params: &[],
            returns: Some(("table", "for instance `moot.status().node.nick`")),
            about: "How the node stands, as `moot status --json` prints it.",
        },
        Function {
            name: "moot.why",
            params: &[param("what", "string", "A member, as for `moot.tell`, or the whole id of a message.")],
            returns: Some(("table", "for instance `moot.why(\"bo\").verdict.reports`")),
            about: "The evidence for what the node claims, as `moot why --json` prints it.",
        },
        Function {
            name: "moot.fault",
            params: &[param("spec", "string", "As for `moot fault`: `\"drop 20% to bo\"`, or `\"off\"`.")],
            returns: Some(("string[]", "the faults that are on now")),
            about: "Makes the node's network bad on purpose, or good again.",
        },
        Function {
            name: "moot.log",
            params: &[param("...", "any", "What to write, as `print` would.")],
            returns: None,
            about: "Writes a line: an event `script` of `moot node`, a line on the screen of `moot chat`. `print` does the same.",
        },
    ],
    classes: &[
        Class {
            name: "moot.Message",
            about: "What the hooks `message` (said to the room) and `private` (told to this node alone) are given: a message of somebody else's, once it is on this node's disk.",
            fields: &[
                param("event", "\"message\"", ""),
                param("n", "integer", "The number of the event on this node."),
                param("at", "integer", "When the node told it, in milliseconds since the epoch."),
                param("cause?", "table", "The event or the datagram that led to it."),
                param("id", "string", "Names the message everywhere."),
                param("handle", "string", "Short, for people."),
                param("kind", "\"group\"|\"private\"", ""),
                param("from", "string", "The author's id."),
                param("nick", "string", "The author's nick."),
                param("to?", "string", "The receiver's id, of a private message."),
                param(
                    "seq",
                    "integer",
                    "Its place among what the author said to the room, or to this node, in one run.",
                ),
                param("incarnation", "integer", "The author's run."),
                param("text", "string", "What was said."),
                param("said_at", "integer", "When the author claims to have said it, in milliseconds since the epoch."),
                param(
                    "received_at?",
                    "integer",
                    "When it came to this node, or was said here: in a log only; an event has `at`.",
                ),
                param("recovered", "boolean", "Whether it came late, because this node was away or did not get it."),
                param("via?", "string", "Who passed it on, where that was not its author."),
                param(
                    "late_ms?",
                    "integer",
                    "How long after `said_at` it is shown, where it was recovered or later ones of its author were shown before; for another, `at` less `said_at` tells, by two clocks.",
                ),
            ],
        },
        Class {
            name: "moot.Member",
            about: "What the hook `member` is given: the state of a member changed.",
            fields: &[
                param("event", "\"member\"", ""),
                param("n", "integer", "The number of the event on this node."),
                param("at", "integer", "When the node told it, in milliseconds since the epoch."),
                param("cause?", "table", "The event or the datagram that led to it."),
                param("id", "string", ""),
                param("nick", "string", ""),
                param("state", "\"alive\"|\"suspect\"|\"unreachable\"|\"left\"", ""),
                param("incarnation", "integer", "The member's run; it grows with each start."),
                param("evidence", "table[]", "Why: each item says who reported what, and when."),
            ],
        },
        Class {
            name: "moot.Delivery",
            about: "What the hook `delivery` is given: the delivery of a message of this node's to one member changed its outcome.",
            fields: &[
                param("event", "\"delivery\"", ""),
                param("n", "integer", "The number of the event on this node."),
                param("at", "integer", "When the node told it, in milliseconds since the epoch."),
                param("cause?", "table", "The event or the datagram that led to it."),
                param("id", "string", "The message."),
                param("handle", "string", "The message, for people."),
                param("member", "string", "The receiver's id."),
                param("nick", "string", "The receiver's nick."),
                param(
                    "outcome",
                    "\"waiting\"|\"sending\"|\"delivered\"|\"unknown\"|\"refused\"|\"expired\"",
                    "`delivered` rests on the receiver's signature; `unknown` may still become `delivered`.",
                ),
                param("attempts", "integer", "As far as they are counted."),
                param("tries_may_be_missing?", "boolean", "An earlier run of the node may have sent it more often."),
                param("latency_us?", "integer", "From the commit here to the receipt, in microseconds."),
                param("reason?", "string", "Why, where the receiver or the disk gave a reason."),
            ],
        },
        Class {
            name: "moot.Gap",
            about: "What the hook `gap` is given: messages of one author exist, and nobody who was asked could give them.",
            fields: &[
                param("event", "\"gap\"", ""),
                param("n", "integer", "The number of the event on this node."),
                param("at", "integer", "When the node told it, in milliseconds since the epoch."),
                param("cause?", "table", "The event or the datagram that led to it."),
                param("author", "string", "An id."),
                param("nick", "string", "The author's."),
                param("incarnation", "integer", "The author's run."),
                param("first", "integer", "The first that is missing."),
                param("last", "integer", "The last."),
                param("asked", "table[]", "Who was asked, and what each answered."),
                param("of_earlier_run?", "boolean", "Whether a newer run of the author is known here."),
            ],
        },
        Class {
            name: "moot.Datagram",
            about: "What the hook `datagram` is given: one datagram on its way out of this node or into it. What it says is encrypted, and not shown.",
            fields: &[
                param("way", "\"out\"|\"in\"", ""),
                param("peer?", "string", "The nick of the member at the other end, where it is known."),
                param("bytes", "integer", "Its length."),
                param("n", "integer", "Its number among those that went this way between the two, from 1."),
            ],
        },
        Class {
            name: "moot.Fate",
            about: "What the hook `datagram` may answer, beside `\"drop\"` and nothing.",
            fields: &[
                param("delay?", "string|number", "How much later it goes on; at most 1 minute."),
                param("copies?", "integer", "How many go on, 1 to 10."),
            ],
        },
        Class {
            name: "moot.Sent",
            about: "A message of this node's own. How its deliveries end is told to the hook `delivery`.",
            fields: &[
                param("id", "string", "Names the message everywhere."),
                param("handle", "string", "Short, for people."),
                param("kind", "\"group\"|\"private\"", ""),
                param("deliveries", "table[]", "One item a receiver, with its `nick`, `outcome` and `attempts`."),
                param(
                    "sample_of?",
                    "integer",
                    "Of how many members the deliveries are a sample, where the room is too large to ask all of it.",
                ),
            ],
        },
        Class {
            name: "moot.MemberStatus",
            about: "A member as this node sees it. What is not known is missing.",
            fields: &[
                param("id", "string", ""),
                param("nick", "string", ""),
                param("incarnation", "integer", "The member's run."),
                param("you?", "boolean", "Whether it is this node."),
                param("state", "\"alive\"|\"suspect\"|\"unreachable\"|\"left\"", "The room's verdict."),
                param("since_ms_ago", "integer", "For how long it has been in this state here."),
                param("heard_ms_ago?", "integer", "When this node heard it last."),
                param("hears_me?", "boolean", "Whether it hears this node."),
                param("rtt_us?", "integer", "Round trip, in microseconds."),
                param("loss?", "number", "Of the worse direction, from 0 to 1."),
                param("degraded", "boolean", "Whether it is alive, but only just."),
                param("evidence", "table[]", "What the state rests on."),
            ],
        },
    ],
};

/// The definitions for editors, in the annotations of the Lua language server.
#[must_use]
pub fn definitions(surfaces: &[Surface]) -> String {
    let mut text = String::from(
        "---@meta\n-- What scripts may call, for editors. Written from the tables in src/lua/surface.rs and\n-- src/scenario/words/surface.rs by `UPDATE=1 cargo test --test surface`, and held to them by that test.\n",
    );
    for surface in surfaces {
        for class in surface.classes {
            let _ = write!(text, "\n---{}\n---@class {}\n", class.about, class.name);
            for field in class.fields {
                let _ = writeln!(text, "---@field {}", [field.name, field.kind, field.about].join(" ").trim_end());
            }
        }
        for (name, about) in surface.tables {
            let _ = write!(text, "\n---{about}\n{name} = {{}}\n");
        }
        for function in surface.functions {
            let _ = write!(text, "\n---{}\n", function.about);
            for param in function.params {
                let _ = writeln!(text, "---@param {} {} {}", param.name, param.kind, param.about);
            }
            if let Some((kind, about)) = function.returns {
                let _ = writeln!(text, "---@return {kind} # {about}");
            }
            let _ = writeln!(text, "function {}({}) end", function.name, names(function).replace('?', ""));
        }
    }
    text
}

/// The reference for people, in Markdown.
#[must_use]
pub fn reference(surfaces: &[Surface]) -> String {
    let mut text = String::new();
    for surface in surfaces {
        for function in surface.functions {
            let _ = write!(text, "### `{}({})`\n\n{}\n", function.name, names(function), function.about);
            if !function.params.is_empty() {
                text.push('\n');
            }
            for param in function.params {
                let _ = writeln!(text, "- `{}`: `{}`. {}", param.name, param.kind, param.about);
            }
            if let Some((kind, about)) = function.returns {
                let _ = write!(text, "\nReturns `{kind}`: {about}.\n");
            }
            text.push('\n');
        }
        for class in surface.classes {
            let _ = write!(text, "### `{}`\n\n{}\n\n| field | type | |\n|---|---|---|\n", class.name, class.about);
            for field in class.fields {
                let kind = field.kind.replace('|', "\\|");
                let _ = writeln!(text, "| `{}` | `{kind}` | {} |", field.name, field.about);
            }
            text.push('\n');
        }
    }
    text
}

fn names(function: &Function) -> String {
    function.params.iter().map(|param| param.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mlua::{Table, Value};
    use serde::Serialize;

    use super::*;
    use crate::base::{MemberId, MessageId, PerMille, Presence, Rng, Time, Wall};
    use crate::lua::scripts::{Datagram, Direction};
    use crate::lua::{Script, Topic};
    use crate::node::api::{Delivery, Event, EventKind, Gap, MemberStatus, Message, MessageKind, Outcome, Sent};

    #[test]
    fn every_function_of_the_sandbox_is_in_the_table_and_the_other_way_round() {
        let script = Script::load("empty.lua", b"", Rng::from_seed([1; 32]), Time::ZERO).unwrap();
        let moot: Table = script.lua().globals().raw_get("moot").unwrap();
        let there: BTreeSet<String> =
            moot.pairs::<String, Value>().map(|pair| format!("moot.{}", pair.unwrap().0)).collect();
        let written: BTreeSet<String> = HOOKS.functions.iter().map(|function| function.name.to_owned()).collect();
        assert_eq!(there, written);
    }

    #[test]
    fn the_events_of_the_table_are_those_of_the_code() {
        let on = HOOKS.functions.iter().find(|function| function.name == "moot.on").unwrap();
        let known = Topic::ALL.map(|topic| format!("\"{}\"", topic.name())).join("|");
        assert_eq!(on.params[0].kind, known);
    }

    /// The names of the fields of a class are those of the JSON with everything in it.
    fn fits(class: &str, value: &impl Serialize) {
        let json = serde_json::to_value(value).unwrap();
        let there: BTreeSet<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let class = HOOKS.classes.iter().find(|known| known.name == class).unwrap();
        let written: BTreeSet<&str> = class.fields.iter().map(|field| field.name.trim_end_matches('?')).collect();
        assert_eq!(there, written, "{}", class.name);
    }

    #[test]
    fn the_fields_of_the_table_are_those_of_the_code() {
        let (id, member) = (MessageId([1; 32]), MemberId([2; 32]));
        let event = |kind| Event { n: 1, at: Wall(1), cause: Some(crate::base::Cause::Event(1)), kind };
        let (handle, nick) = (String::from("k7f3"), String::from("bo"));
        fits(
            "moot.Message",
            &event(EventKind::Message(Message {
                id,
                handle: handle.clone(),
                kind: MessageKind::Group,
                from: member,
                nick: nick.clone(),
                to: Some(member),
                seq: 1,
                incarnation: 1,
                text: "hi".into(),
                said_at: Wall(1),
                recovered: true,
                via: Some(member),
                received_at: Some(Wall(1)),
                late_ms: Some(1),
            })),
        );
        let (state, evidence) = (Presence::Alive, Vec::new());
        fits(
            "moot.Member",
            &event(EventKind::Member { id: member, nick: nick.clone(), state, incarnation: 1, evidence }),
        );
        let delivery = Delivery {
            member,
            nick: nick.clone(),
            outcome: Outcome::Delivered,
            attempts: 1,
            tries_may_be_missing: true,
            latency_us: Some(1),
        };
        let reason = Some("full".into());
        fits(
            "moot.Delivery",
            &event(EventKind::Delivery { id, handle: handle.clone(), delivery: delivery.clone(), reason }),
        );
        let gap = Gap {
            author: member,
            nick: nick.clone(),
            incarnation: 1,
            first: 1,
            last: 2,
            asked: Vec::new(),
            of_earlier_run: true,
        };
        fits("moot.Gap", &event(EventKind::Gap(gap)));
        fits("moot.Datagram", &Datagram { way: Direction::Out, peer: Some(nick.clone()), bytes: 1, n: 1 });
        fits(
            "moot.Sent",
            &Sent { id, handle, kind: MessageKind::Private, deliveries: vec![delivery], sample_of: Some(300) },
        );
        fits(
            "moot.MemberStatus",
            &MemberStatus {
                id: member,
                nick,
                incarnation: 1,
                you: true,
                state: Presence::Alive,
                since_ms_ago: 1,
                heard_ms_ago: Some(1),
                hears_me: Some(true),
                rtt_us: Some(1),
                loss: Some(PerMille::default()),
                degraded: false,
                evidence: Vec::new(),
            },
        );
    }
}
