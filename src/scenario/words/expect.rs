//! `expect`: what must be true now. Owns the sentence that says what was found instead.

use std::fmt::Write as _;
use std::time::Duration;

use mlua::{Lua, Table, Value};

use super::message::Said;
use super::values::{Args, message_of, shown, text_of};
use super::{Stage, Stop, Why, on_stage, place, word};
use crate::base::Presence;
use crate::check::{Name, What};
use crate::node::api::Outcome;
use crate::scenario::options::Settle;
use crate::scenario::stage::Asked;
use crate::scenario::stop::seconds;

pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    add_values(lua, &table)?;
    add_shown(lua, &table)?;
    word(lua, &table, "outcome", |lua, values| {
        let args = Args::new("expect.outcome", values).at_most(3)?;
        let (said, to) = (args.message(0, "a message")?, args.node(1, "a member")?);
        let wanted = args.text(2, "an outcome")?;
        let outcomes = Outcome::ALL.map(Outcome::word);
        if !outcomes.contains(&wanted.as_str()) {
            return Err(args.wrong(format!("knows no outcome {wanted:?}; there are {}", outcomes.join(", "))));
        }
        let name = format!("outcome {:?} {to} {wanted}", said.text);
        let asked = Asked::new("outcome", &Name::from(""), &args.known());
        expected(lua, name, |stage| {
            stage.asked.push(asked);
            let delivery = stage.delivery(&said.by, said.id, &to)?;
            let found = delivery.map_or("none: it does not go there", |found| found.delivery.outcome.word());
            let sentence = || format!("{:?} from {} to {to} was to be {wanted}, and is {found}", said.text, said.by);
            Ok((found == wanted).then_some(()).ok_or_else(sentence))
        })
    })?;
    word(lua, &table, "sees", |lua, values| {
        let args = Args::new("expect.sees", values).at_most(3)?;
        let (observers, subject) = (args.nodes(0, "who looks")?, args.node(1, "at whom")?);
        let wanted = state(&args, 2)?;
        let asked = Asked::new("sees", &Name::from(""), &args.known());
        expected(lua, format!("sees {subject} {wanted}"), |stage| {
            stage.asked.push(asked);
            for observer in &observers {
                let found = stage.presence(observer, &subject)?.map_or("unknown", Presence::word);
                if found != wanted {
                    return Ok(Err(format!("{observer} was to see {subject} {wanted}, and sees it {found}")));
                }
            }
            Ok(Ok(()))
        })
    })?;
    word(lua, &table, "never_saw", |lua, values| {
        let args = Args::new("expect.never_saw", values).at_most(3)?;
        let (observers, subjects) = (args.nodes(0, "who looks")?, args.nodes(1, "at whom")?);
        let wanted = state(&args, 2)?;
        let asked = Asked::new("never_saw", &Name::from(""), &args.known());
        expected(lua, format!("never_saw {} {wanted}", subjects.join(" ")), |stage| {
            stage.asked.push(asked);
            for (observer, subject) in observers.iter().flat_map(|one| subjects.iter().map(move |other| (one, other))) {
                let id = stage.known(subject)?;
                let told = stage.told.states(observer, id);
                if told.iter().any(|state| state.word() == wanted) {
                    let told = told.iter().map(|state| state.word()).collect::<Vec<_>>().join(", ");
                    return Ok(Err(format!("{observer} was never to see {subject} {wanted}, and saw it {told}")));
                }
            }
            Ok(Ok(()))
        })
    })?;
    Ok(table)
}

/// The word of a state.
fn state(args: &Args, at: usize) -> Result<String, Stop> {
    let wanted = args.text(at, "a state")?;
    let states = Presence::ALL.map(Presence::word);
    if !states.contains(&wanted.as_str()) {
        return Err(args.wrong(format!("knows no state {wanted:?}; there are {}", states.join(", "))));
    }
    Ok(wanted)
}

fn add_values(lua: &Lua, table: &Table) -> mlua::Result<()> {
    word(lua, table, "equal", |lua, values| {
        let args = Args::new("expect.equal", values).at_most(3)?;
        let (found, wanted) = (args.value(0), args.value(1));
        let is_equal = equal(&found, &wanted, 0).map_err(|problem| args.wrong(problem))?;
        let what = what(&args, 2)?;
        expected(lua, format!("equal {what}"), |_| {
            Ok(is_equal
                .then_some(())
                .ok_or_else(|| format!("{what}expected {}, and found {}", whole(&wanted), whole(&found))))
        })
    })?;
    word(lua, table, "differ", |lua, values| {
        let args = Args::new("expect.differ", values).at_most(3)?;
        let (a, b) = (args.value(0), args.value(1));
        let is_equal = equal(&a, &b, 0).map_err(|problem| args.wrong(problem))?;
        let what = what(&args, 2)?;
        expected(lua, format!("differ {what}"), |_| {
            Ok((!is_equal).then_some(()).ok_or_else(|| format!("{what}both are {}, and were to differ", whole(&a))))
        })
    })?;
    word(lua, table, "is_true", |lua, values| {
        let args = Args::new("expect.is_true", values).at_most(2)?;
        let found = args.value(0);
        let is_true = !matches!(found, Value::Nil | Value::Boolean(false));
        let what = what(&args, 1)?;
        expected(lua, format!("is_true {what}"), |_| {
            Ok(is_true
                .then_some(())
                .ok_or_else(|| format!("{what}expected something true, and found {}", shown(&found))))
        })
    })?;
    word(lua, table, "is_false", |lua, values| {
        let args = Args::new("expect.is_false", values).at_most(2)?;
        let found = args.value(0);
        let is_false = matches!(found, Value::Nil | Value::Boolean(false));
        let what = what(&args, 1)?;
        expected(lua, format!("is_false {what}"), |_| {
            Ok(is_false
                .then_some(())
                .ok_or_else(|| format!("{what}expected false or nothing, and found {}", shown(&found))))
        })
    })
}

fn what(args: &Args, at: usize) -> Result<String, Stop> {
    if args.is_given(at) { Ok(format!("{}: ", args.text(at, "what it is about")?)) } else { Ok(String::new()) }
}

fn add_shown(lua: &Lua, table: &Table) -> mlua::Result<()> {
    for (word_of_it, of) in
        [("shown", "expect.shown"), ("shown_once", "expect.shown_once"), ("not_shown", "expect.not_shown")]
    {
        word(lua, table, word_of_it, move |lua, values| {
            let args = Args::new(of, values).at_most(2)?;
            let (nodes, said) = (args.nodes(0, "who shows it")?, args.message(1, "a message")?);
            let asked = Asked::new(word_of_it, &Name::from(""), &args.known());
            let who = nodes.iter().map(|node| &**node).collect::<Vec<_>>().join(" ");
            expected(lua, format!("{word_of_it} {who} {:?}", said.text), |stage| {
                stage.asked.push(asked);
                Ok(nodes.iter().try_for_each(|node| held(stage, word_of_it, node, &said)))
            })
        })?;
    }
    Ok(())
}

fn held(stage: &Stage, wanted: &str, node: &Name, said: &Said) -> Result<(), String> {
    let times = stage.times_shown(node, said);
    let (is_met, was_to) = match wanted {
        "shown" => (times > 0, "was to be shown"),
        "shown_once" => (times == 1, "was to be shown once"),
        _ => (times == 0, "was not to be shown"),
    };
    let found = match times {
        0 => "it was not".to_owned(),
        1 => "it was".to_owned(),
        times => format!("it was shown {times} times"),
    };
    if is_met { Ok(()) } else { Err(format!("{:?} from {} {was_to} on {node}, and {found}", said.text, said.by)) }
}

/// Notes that an expectation is met, or ends the run with the sentence that says why it is not. `name` is the
/// same for the same expectation of any run.
fn expected(
    lua: &Lua,
    name: String,
    look: impl FnOnce(&mut Stage) -> Result<Result<(), String>, Stop>,
) -> Result<(), Stop> {
    let line = place(lua).map(|place| place.line);
    on_stage(lua, |stage| {
        let found = look(stage)?;
        match found {
            Ok(()) => {
                stage.asked.clear();
                stage.note(None, What::Step { text: format!("as expected: {}", name.trim_end_matches(": ")), line })
            }
            Err(sentence) => {
                let mut stop = stage.unmet(Why::Expectation(name), sentence);
                stop.statement = stage.statement_at(line);
                Err(stop)
            }
        }
    })
}

/// Whether two values are equal; tables are where each has the keys of the other, and equal values at them.
fn equal(a: &Value, b: &Value, depth: usize) -> Result<bool, String> {
    if depth > DEPTH_MAX {
        return Err(format!("compares tables that are nested {DEPTH_MAX} deep at most"));
    }
    Ok(match (a, b) {
        (Value::Integer(a), Value::Number(b)) | (Value::Number(b), Value::Integer(a)) => {
            format!("{a}") == format!("{b}")
        }
        (Value::UserData(_), Value::UserData(_)) => match (message_of(a), message_of(b)) {
            (Some(a), Some(b)) => a.id == b.id,
            _ => a == b,
        },
        (Value::Table(a), Value::Table(b)) => {
            let (of_a, of_b) = (pairs(a), pairs(b));
            if of_a.len() != of_b.len() {
                return Ok(false);
            }
            for (key, value) in &of_a {
                let other: Value = b.raw_get(key).unwrap_or(Value::Nil);
                if !equal(value, &other, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => a == b,
    })
}

fn pairs(table: &Table) -> Vec<(Value, Value)> {
    table.pairs::<Value, Value>().filter_map(Result::ok).collect()
}

/// A value with what is in it, as far as a sentence bears that.
fn whole(value: &Value) -> String {
    let mut text = String::new();
    write_whole(&mut text, value, 0);
    text
}

fn write_whole(text: &mut String, value: &Value, depth: usize) {
    let Value::Table(table) = value else { return text.push_str(&shown(value)) };
    let mut pairs = pairs(table);
    pairs.sort_by_key(|(key, _)| (key.as_integer().is_none(), key.as_integer(), shown(key)));
    text.push('{');
    for (at, (key, value)) in pairs.iter().enumerate() {
        text.push_str(if at == 0 { " " } else { ", " });
        if depth == SHOWN_DEPTH_MAX || text.len() > SHOWN_BYTES_MAX {
            text.push('…');
            break;
        }
        match (key.as_integer(), text_of(key)) {
            (Some(_), _) => {}
            (None, Some(key)) => drop(write!(text, "{key} = ")),
            (None, None) => drop(write!(text, "[{}] = ", shown(key))),
        }
        write_whole(text, value, depth + 1);
    }
    text.push_str(if pairs.is_empty() { "}" } else { " }" });
}

/// A table that holds itself has no end.
const DEPTH_MAX: usize = 100;
/// What a sentence bears of a table.
const SHOWN_DEPTH_MAX: usize = 4;
const SHOWN_BYTES_MAX: usize = 400;

/// A wait that ran out.
pub(super) fn wait_ran_out(stage: &mut Stage, what: &str, since: Duration, line: Option<u32>) -> Stop {
    let waited = stage.elapsed().saturating_sub(since);
    let text = format!("waited {} for {what:?}, in vain", seconds(waited));
    let mut stop = stage.unmet(Why::Wait(what.to_owned()), text);
    stop.statement = stage.statement_at(line);
    stop.began = Some(since);
    stop
}

pub(super) fn raw(lua: &Lua, table: &Table) -> mlua::Result<()> {
    word(lua, table, "settle_within", |lua, _| {
        on_stage(lua, |stage| {
            let Settle::Within(span) = stage.settings.settle else { return Ok(Settle::default_span().as_secs_f64()) };
            Ok(span.as_secs_f64())
        })
    })?;
    word(lua, table, "settle_begins", |lua, _| {
        on_stage(lua, |stage| {
            stage.settling_since = stage.elapsed();
            Ok(())
        })
    })?;
    word(lua, table, "is_settled", |lua, _| on_stage(lua, Stage::is_at_rest))?;
    word(lua, table, "not_settled", |lua, _| on_stage(lua, |stage| Err::<(), _>(stage.not_settled())))?;
    word(lua, table, "settle_done", |lua, _| on_stage(lua, Stage::settled))?;
    word(lua, table, "refused", |lua, values| {
        let args = Args::new("expect.refused", values);
        let problem = match args.value(1) {
            Value::Error(error) => error.to_string(),
            other => text_of(&other).unwrap_or_else(|| shown(&other)),
        };
        // One that the function caught itself is not what it ended with.
        let refusal = on_stage(lua, |stage| Ok(stage.refused.take().filter(|stop| stop.is_said_in(&problem))))?;
        let words = if args.is_given(2) { args.text(2, "words of the refusal")? } else { String::new() };
        if args.value(0) == Value::Boolean(true) {
            return expected(lua, "refused".to_owned(), |_| Ok(Err("it was to be refused, and was done".to_owned())));
        }
        // Any other error of the function is the script's own.
        let refusal = refusal.ok_or_else(|| args.wrong(format!("found no refusal but an error: {problem}")))?;
        expected(lua, format!("refused {words}"), |_| {
            let sentence = || format!("it was to be refused with {words:?}, and was so: {}", refusal.text);
            Ok(refusal.text.contains(&words).then_some(()).ok_or_else(sentence))
        })
    })
}
