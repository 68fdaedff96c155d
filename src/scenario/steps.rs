//! What a run did to its fleet: the steps that the script and the background faults really took, with their
//! times. Owns their form; a shrunk scenario is written from them.

use std::fmt::Write as _;
use std::time::Duration;

use super::fleet::{Change, Death, Lie, Unsynced};
use super::lies;
use crate::check::Name;
use crate::faults::{Ends, Fault, Kind, Rule};

/// One step, and when it was taken.
#[derive(Clone, PartialEq, Debug)]
pub struct Timed {
    pub at: Duration,
    pub step: Step,
}

/// Something that was done to the fleet. Messages and faults are numbered from 1 in each run.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    Home {
        node: Name,
    },
    Start {
        node: Name,
    },
    Crash {
        node: Name,
        unsynced: Unsynced,
    },
    Leave {
        node: Name,
    },
    Pause {
        node: Name,
    },
    Resume {
        node: Name,
    },
    Join {
        node: Name,
        through: Name,
    },
    Say {
        node: Name,
        message: usize,
        text: String,
    },
    Tell {
        node: Name,
        to: Name,
        message: usize,
        text: String,
    },
    Default {
        fault: Fault,
    },
    DefaultOff {
        kind: Kind,
    },
    Links {
        number: usize,
        links: Links,
    },
    Heal {
        number: usize,
    },
    Change {
        node: Name,
        change: Change,
    },
    /// `message` is the number of the first message that the lie makes up, `about` that of the one that it is about.
    Lie {
        node: Name,
        lie: Lie,
        message: usize,
        about: Option<usize>,
    },
}

/// Faults on some links, put on and healed together.
#[derive(Clone, PartialEq, Debug)]
pub struct Links {
    /// Any node where empty.
    pub from: Vec<Name>,
    pub to: Vec<Name>,
    pub way: Way,
    pub faults: Vec<Fault>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    One,
    Both,
}

impl Step {
    /// The nodes that the step cannot do without.
    pub(super) fn nodes(&self) -> Vec<&Name> {
        match self {
            Self::Home { node }
            | Self::Start { node }
            | Self::Crash { node, .. }
            | Self::Leave { node }
            | Self::Pause { node }
            | Self::Resume { node }
            | Self::Say { node, .. }
            | Self::Change { node, .. } => vec![node],
            Self::Join { node, through } => vec![node, through],
            Self::Tell { node, to, .. } => vec![node, to],
            Self::Lie { node, lie, .. } => [node].into_iter().chain(lie.names()).collect(),
            Self::Links { links, .. } => links.from.iter().chain(&links.to).collect(),
            Self::Default { .. } | Self::DefaultOff { .. } | Self::Heal { .. } => Vec::new(),
        }
    }

    /// The step as a statement of a scenario, in which each node is a local of its name, messages are in the table
    /// `said`, and faults in `faults`.
    pub(super) fn statement(&self) -> String {
        match self {
            Self::Home { node } if is_plain(node) => format!("local {node} = room.homes{{ {} }}", quoted(node)),
            Self::Home { node } => format!("room.homes{{ {} }}", quoted(node)),
            Self::Start { node } => format!("{}:start()", local(node)),
            Self::Crash { node, unsynced: Unsynced::Keep } => format!("{}:crash()", local(node)),
            Self::Crash { node, unsynced: Unsynced::Lose } => format!("{}:crash{{ unsynced = \"lose\" }}", local(node)),
            Self::Crash { node, unsynced: Unsynced::Torn } => format!("{}:crash{{ unsynced = \"torn\" }}", local(node)),
            Self::Leave { node } => format!("{}:leave()", local(node)),
            Self::Pause { node } => format!("{}:pause()", local(node)),
            Self::Resume { node } => format!("{}:resume()", local(node)),
            Self::Join { node, through } => format!("{}:join({})", local(node), local(through)),
            Self::Say { node, message, text } => format!("said[{message}] = {}:say({})", local(node), quoted(text)),
            Self::Tell { node, to, message, text } => {
                format!("said[{message}] = {}:tell({}, {})", local(node), local(to), quoted(text))
            }
            Self::Default { fault } => format!("net.default{{ {} }}", quoted(&spec(*fault))),
            Self::DefaultOff { kind } => format!("net.default{{ {} = false }}", kind.name()),
            Self::Links { number, links } => format!("faults[{number}] = {}", links.expression()),
            Self::Heal { number } => format!("faults[{number}]:heal()"),
            Self::Lie { node, lie, message, about } => lies::statement(node, lie, *message, *about),
            Self::Change { node, change } => format!("{}:{}", local(node), change_call(change)),
        }
    }
}

impl Links {
    fn expression(&self) -> String {
        let has_sides = !self.from.is_empty() && !self.to.is_empty();
        if has_sides && self.way == Way::Both && self.faults == [Fault::Cut] {
            return format!("net.partition({}, {})", list(&self.from), list(&self.to));
        }
        let mut fields = Vec::new();
        if !self.from.is_empty() {
            fields.push(format!("from = {}", list(&self.from)));
        }
        if !self.to.is_empty() {
            fields.push(format!("to = {}", list(&self.to)));
        }
        if self.way == Way::Both {
            fields.push("both = true".to_owned());
        }
        fields.extend(self.faults.iter().map(|fault| quoted(&spec(*fault))));
        format!("net.link{{ {} }}", fields.join(", "))
    }
}

/// A fault as a spec reads it.
pub(super) fn spec(fault: Fault) -> String {
    Rule { from: Ends::Any, to: Ends::Any, fault }.to_string()
}

/// A text as a Lua string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A span as scenarios write it, to the microsecond, in one word.
pub(super) fn span(span: Duration) -> String {
    let span = Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    humantime::format_duration(span).to_string().replace(' ', "")
}

/// What a node is called in a shrunk scenario: its name, where Lua takes that for a name.
pub(super) fn local(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { format!("room.node({})", quoted(name)) }
}

fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !TAKEN.contains(&name)
}

pub(super) fn list(names: &[Name]) -> String {
    let names: Vec<_> = names.iter().map(|name| local(name)).collect();
    format!("{{ {} }}", names.join(", "))
}

fn change_call(change: &Change) -> String {
    match change {
        Change::Fault { spec } => format!("fault({})", quoted(spec)),
        Change::ClockJump { ms } => {
            let sign = if *ms < 0 { "-" } else { "" };
            format!("clock{{ jump = \"{sign}{}\" }}", span(Duration::from_millis(ms.unsigned_abs())))
        }
        Change::ClockDrift { ppm } => format!("clock{{ drift = {ppm} }}"),
        Change::DiskFull { is_full } => format!("disk{{ full = {is_full} }}"),
        Change::DiskLatency { latency } => format!("disk{{ latency = \"{}\" }}", span(*latency)),
        Change::Snapshot { as_name } => format!("snapshot({})", quoted(as_name)),
        Change::Rollback { to_name } => format!("rollback({})", quoted(to_name)),
        Change::CopyOf { from } => format!("copy({})", local(from)),
        Change::CrashAtCommit { when } => {
            let when = match when {
                Death::BeforeCommit => "before",
                Death::BeforeReport => "unreported",
                Death::AfterReport => "after",
            };
            format!("crash_at_commit(\"{when}\")")
        }
        Change::Stall { lag } => format!("stall(\"{}\")", span(*lag)),
    }
}

/// Words that a node may be called and a local may not.
const TAKEN: &[&str] = &[
    "and",
    "break",
    "do",
    "else",
    "elseif",
    "end",
    "false",
    "for",
    "function",
    "goto",
    "if",
    "in",
    "local",
    "nil",
    "not",
    "or",
    "repeat",
    "return",
    "then",
    "true",
    "until",
    "while",
    "room",
    "net",
    "wait",
    "wait_until",
    "expect",
    "spawn",
    "rng",
    "sim",
    "log",
    "scenario",
    "said",
    "faults",
    "math",
    "string",
    "table",
    "pairs",
    "ipairs",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_statement() {
        let node: Name = "ana".into();
        let say = Step::Say { node: node.clone(), message: 3, text: "a \"b\"\n".into() };
        assert_eq!(say.statement(), r#"said[3] = ana:say("a \"b\"\n")"#);
        let links =
            Links { from: vec![node.clone()], to: vec!["bo-2".into()], way: Way::One, faults: vec![Fault::Cut] };
        let links = Step::Links { number: 1, links };
        assert_eq!(links.statement(), r#"faults[1] = net.link{ from = { ana }, to = { room.node("bo-2") }, "cut" }"#);
        let links = Links { from: vec![], to: vec![node.clone()], way: Way::Both, faults: vec![Fault::Cut] };
        let links = Step::Links { number: 2, links };
        assert_eq!(links.statement(), r#"faults[2] = net.link{ to = { ana }, both = true, "cut" }"#);
        let back = Step::Change { node, change: Change::ClockJump { ms: -1500 } };
        assert_eq!(back.statement(), r#"ana:clock{ jump = "-1s500ms" }"#);
    }
}
