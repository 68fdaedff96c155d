//! From Lua values to what the stage takes, and back. Owns what may stand where, and the complaint where
//! something else does.

use std::time::Duration;

use mlua::serde::SerializeOptions;
use mlua::{AnyUserData, Lua, LuaSerdeExt as _, MultiValue, Table, Value};
use serde::Serialize;

use super::message::Said;
use super::node::Node;
use crate::check::Name;
use crate::faults::{Fault, Kind, Spec};
use crate::scenario::links;
use crate::scenario::options::in_micros;
use crate::scenario::stage::Argument;
use crate::scenario::stop::Stop;

/// The arguments of one call.
pub(super) struct Args {
    /// As the script called it: `net.cut`, `node:say`.
    of: &'static str,
    values: Vec<Value>,
}

/// A table of named fields, and specs in its list part.
pub(super) struct Fields {
    of: &'static str,
    table: Option<Table>,
}

impl Args {
    pub(super) fn new(of: &'static str, values: MultiValue) -> Self {
        Self { of, values: values.into_iter().collect() }
    }

    /// Complains where there are more than `count`.
    pub(super) fn at_most(self, count: usize) -> Result<Self, Stop> {
        let is_too_many = self.values.iter().skip(count).any(|value| !value.is_nil());
        if is_too_many { Err(self.wrong(format!("takes at most {count} values"))) } else { Ok(self) }
    }

    pub(super) fn value(&self, at: usize) -> Value {
        self.values.get(at).cloned().unwrap_or(Value::Nil)
    }

    /// Complains where there is any.
    pub(super) fn none(&self) -> Result<(), Stop> {
        if self.values.iter().all(Value::is_nil) { Ok(()) } else { Err(self.wrong("takes no values")) }
    }

    /// What of the arguments a shrunk scenario can say again.
    pub(super) fn known(&self) -> Vec<Argument> {
        let argument = |value: &Value| match (node_of(value), message_of(value)) {
            (Some(node), _) => Argument::Node(node),
            (None, Some(said)) => Argument::Message(said),
            (None, None) => Argument::Other,
        };
        self.values.iter().map(argument).collect()
    }

    pub(super) fn is_given(&self, at: usize) -> bool {
        !self.value(at).is_nil()
    }

    pub(super) fn text(&self, at: usize, what: &str) -> Result<String, Stop> {
        text_of(&self.value(at)).ok_or_else(|| self.expected(what, "a text", &self.value(at)))
    }

    pub(super) fn integer(&self, at: usize, what: &str) -> Result<i64, Stop> {
        self.value(at).as_integer().ok_or_else(|| self.expected(what, "a whole number", &self.value(at)))
    }

    pub(super) fn span(&self, at: usize, what: &str) -> Result<Duration, Stop> {
        span_of(&self.value(at)).ok_or_else(|| self.expected(what, A_SPAN, &self.value(at)))
    }

    pub(super) fn node(&self, at: usize, what: &str) -> Result<Name, Stop> {
        node_of(&self.value(at)).ok_or_else(|| self.expected(what, "a node", &self.value(at)))
    }

    /// A node, or a list of nodes.
    pub(super) fn nodes(&self, at: usize, what: &str) -> Result<Vec<Name>, Stop> {
        let nodes = nodes_of(&self.value(at));
        let nodes = nodes.ok_or_else(|| self.expected(what, "a node or a list of nodes", &self.value(at)))?;
        // What holds for no node holds whatever happens.
        if nodes.is_empty() {
            Err(self.wrong(format!("wants a node at least as {what}; the list is empty")))
        } else {
            Ok(nodes)
        }
    }

    pub(super) fn message(&self, at: usize, what: &str) -> Result<Said, Stop> {
        message_of(&self.value(at)).ok_or_else(|| self.expected(what, "a message", &self.value(at)))
    }

    pub(super) fn fields(&self, at: usize, known: &[&str]) -> Result<Fields, Stop> {
        let table = match self.value(at) {
            Value::Nil => None,
            Value::Table(table) => Some(table),
            other => return Err(self.expected("it", "a table such as { … }", &other)),
        };
        let fields = Fields { of: self.of, table };
        fields.check(known)?;
        Ok(fields)
    }

    pub(super) fn list(&self, at: usize, what: &str) -> Result<Vec<Value>, Stop> {
        list_of(&self.value(at)).ok_or_else(|| self.expected(what, "a list", &self.value(at)))
    }

    pub(super) fn wrong(&self, complaint: impl AsRef<str>) -> Stop {
        Stop::script(format!("{} {}", self.of, complaint.as_ref()))
    }

    pub(super) fn expected(&self, what: &str, wanted: &str, got: &Value) -> Stop {
        self.wrong(format!("wants {wanted} as {what}, and got {}", shown(got)))
    }
}

impl Fields {
    fn check(&self, known: &[&str]) -> Result<(), Stop> {
        for (key, _) in self.pairs() {
            let is_known = match &key {
                Value::Integer(_) => known.contains(&"[spec]"),
                other => text_of(other).is_some_and(|key| known.contains(&key.as_str())),
            };
            if !is_known {
                let names: Vec<&str> = known.iter().copied().filter(|name| *name != "[spec]").collect();
                let complaint = format!("{} knows no field {}; there are {}", self.of, shown(&key), names.join(", "));
                return Err(Stop::script(complaint));
            }
        }
        Ok(())
    }

    /// In the order of the keys, so that nothing depends on the table's own.
    fn pairs(&self) -> Vec<(Value, Value)> {
        let Some(table) = &self.table else { return Vec::new() };
        let mut pairs: Vec<(Value, Value)> = table.pairs().filter_map(Result::ok).collect();
        pairs.sort_by_key(|(key, _)| (text_of(key), key.as_integer()));
        pairs
    }

    pub(super) fn value(&self, key: &str) -> Value {
        self.table.as_ref().and_then(|table| table.raw_get(key).ok()).unwrap_or(Value::Nil)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Stop> {
        self.read(key, "a text", text_of)
    }

    pub(super) fn span(&self, key: &str) -> Result<Option<Duration>, Stop> {
        self.read(key, A_SPAN, span_of)
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Stop> {
        self.read(key, "true or false", Value::as_boolean)
    }

    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>, Stop> {
        self.read(key, "a whole number", Value::as_integer)
    }

    pub(super) fn nodes(&self, key: &str) -> Result<Option<Vec<Name>>, Stop> {
        let nodes = self.read(key, "a node or a list of nodes", nodes_of)?;
        // An empty list is not everybody: that is said by leaving it out.
        if nodes.as_ref().is_some_and(Vec::is_empty) {
            let complaint =
                format!("{} wants a node at least as {key}; the list is empty (left out, it is any node)", self.of);
            return Err(Stop::script(complaint));
        }
        Ok(nodes)
    }

    pub(super) fn message(&self, key: &str) -> Result<Option<Said>, Stop> {
        self.read(key, "a message", message_of)
    }

    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, Stop> {
        self.read(key, "a list of texts", |value| list_of(value)?.iter().map(text_of).collect())
    }

    fn read<T>(&self, key: &str, wanted: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, Stop> {
        let value = self.value(key);
        if value.is_nil() {
            return Ok(None);
        }
        let complaint = || Stop::script(format!("{} wants {wanted} as {key}, and got {}", self.of, shown(&value)));
        read(&value).map(Some).ok_or_else(complaint)
    }

    /// The kinds of faults that the table says are not to be: `cut = false`.
    pub(super) fn taken_back(&self) -> Vec<Kind> {
        Kind::ALL.into_iter().filter(|kind| self.value(kind.name()) == Value::Boolean(false)).collect()
    }

    /// The faults that the table names: specs in its list part, and fields in the words of specs.
    pub(super) fn faults(&self) -> Result<Vec<Fault>, Stop> {
        let mut specs = Vec::new();
        for spec in list_of(&self.table.clone().map_or(Value::Nil, Value::Table)).unwrap_or_default() {
            let complaint =
                || format!("{} wants a spec such as \"loss=5%\" or a named fault, and got {}", self.of, shown(&spec));
            specs.push(text_of(&spec).ok_or_else(|| Stop::script(complaint()))?);
        }
        for (key, value) in self.pairs() {
            let Some(key) = text_of(&key).filter(|key| !ENDS.contains(&key.as_str())) else { continue };
            if key == "jitter" || value == Value::Boolean(false) {
                continue;
            }
            let mut spec = key.clone();
            if value != Value::Boolean(true) {
                let text = word_of(&value).ok_or_else(|| {
                    Stop::script(format!("{} wants a text or a number as {key}, and got {}", self.of, shown(&value)))
                })?;
                spec = format!("{key}={text}");
            }
            if key == "delay"
                && let Some(jitter) = self.span("jitter")?
            {
                spec = format!("{spec}±{}", super::super::steps::span(jitter));
            }
            specs.push(spec);
        }
        if self.value("delay").is_nil() && !self.value("jitter").is_nil() {
            return Err(Stop::script(format!("{} has a jitter and no delay; give both", self.of)));
        }
        let mut faults = Vec::new();
        for spec in specs {
            let Spec::Add(rules) = spec.parse().map_err(|error| Stop::script(format!("{}: {error}", self.of)))? else {
                return Err(Stop::script(format!("{}: off is said by healing", self.of)));
            };
            let ends = || {
                let instead = "that is net.link{ from = …, to = … }";
                Stop::script(format!("{}: {spec:?} names its ends; {instead}", self.of))
            };
            faults.extend(links::of_all(rules).ok_or_else(ends)?);
        }
        Ok(faults)
    }
}

/// Fields of links that are no faults.
const ENDS: &[&str] = &["from", "to", "both"];
const A_SPAN: &str = "a time such as \"1.5s\" or \"200ms\"";

pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.to_str().ok().map(|text| text.to_owned()),
        _ => None,
    }
}

/// A number of seconds, or a text as humantime reads it.
pub(super) fn span_of(value: &Value) -> Option<Duration> {
    let span = match value {
        Value::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
        Value::Number(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
        _ => text_of(value).and_then(|text| read_span(&text)),
    };
    span.map(in_micros)
}

/// `200ms`, `1s500ms`, and `1.5s`, which humantime alone does not read.
pub(super) fn read_span(text: &str) -> Option<Duration> {
    if let Ok(span) = humantime::parse_duration(text) {
        return Some(span);
    }
    let at = text.find(|c: char| c.is_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let (whole, decimals) = number.split_once('.')?;
    let unit = humantime::parse_duration(&format!("1{unit}")).ok()?;
    let places = u32::try_from(decimals.len()).ok().filter(|places| (1..=6).contains(places))?;
    let decimals: u32 = decimals.parse().ok()?;
    unit.checked_mul(whole.parse().ok()?)?.checked_add(unit.checked_mul(decimals)?.checked_div(10_u32.pow(places))?)
}

/// A fault's value as a spec reads it; a number is a share: `0.05` is `5.0000%`.
fn word_of(value: &Value) -> Option<String> {
    let share = match value {
        Value::Integer(whole) => format!("{whole}.000000"),
        Value::Number(share) if (0.0..=1.0).contains(share) => format!("{share:.6}"),
        _ => return text_of(value),
    };
    let ppm: u32 = share.replace('.', "").parse().ok()?;
    Some(format!("{}.{:04}%", ppm / 10_000, ppm % 10_000))
}

pub(super) fn node_of(value: &Value) -> Option<Name> {
    borrowed(value, |data| data.borrow::<Node>().ok().map(|node| node.0.clone()))
}

pub(super) fn message_of(value: &Value) -> Option<Said> {
    borrowed(value, |data| data.borrow::<Said>().ok().map(|said| said.clone()))
}

fn borrowed<T>(value: &Value, read: impl FnOnce(&AnyUserData) -> Option<T>) -> Option<T> {
    value.as_userdata().and_then(read)
}

fn nodes_of(value: &Value) -> Option<Vec<Name>> {
    match node_of(value) {
        Some(node) => Some(vec![node]),
        None => list_of(value)?.iter().map(node_of).collect(),
    }
}

fn list_of(value: &Value) -> Option<Vec<Value>> {
    value.as_table()?.sequence_values().collect::<mlua::Result<_>>().ok()
}

/// A value for the eyes of whoever reads a complaint.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "nothing".to_owned(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("{:?}", text.to_string_lossy()),
        Value::Table(_) => "a table".to_owned(),
        Value::UserData(_) => match (node_of(value), message_of(value)) {
            (Some(node), _) => format!("the node {node}"),
            (_, Some(said)) => format!("the message {:?}", said.text),
            (None, None) => "a handle".to_owned(),
        },
        other => format!("a {}", other.type_name()),
    }
}

/// A value of the api as Lua sees it: the tables of its JSON, and nil for null.
pub(super) fn to_lua(lua: &Lua, value: &impl Serialize) -> mlua::Result<Value> {
    let options =
        SerializeOptions::new().serialize_none_to_null(false).serialize_unit_to_null(false).set_array_metatable(false);
    lua.to_value_with(value, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_may_have_decimals() {
        assert_eq!(read_span("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(read_span("0.25ms"), Some(Duration::from_micros(250)));
        assert_eq!(read_span("1m 30s"), Some(Duration::from_secs(90)));
        assert_eq!(read_span("soon"), None);
        assert_eq!(span_of(&Value::Number(0.5)), Some(Duration::from_millis(500)));
        assert_eq!(span_of(&Value::Integer(-1)), None);
        assert_eq!(span_of(&Value::Number(0.000_001_9)), Some(Duration::from_micros(1)), "time passes in these");
    }

    #[test]
    fn a_number_is_a_share() {
        assert_eq!(word_of(&Value::Number(0.05)).as_deref(), Some("5.0000%"));
        assert_eq!(word_of(&Value::Integer(1)).as_deref(), Some("100.0000%"));
        assert_eq!(word_of(&Value::Number(1.5)), None);
    }
}
