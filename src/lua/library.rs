//! What the prelude is given by Rust: matching that is counted, keys in order, seeded randomness, the log. Owns these
//! functions; the prelude decides where they show.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use mlua::{Lua, LuaString, MultiValue, Table, Value};

use super::budget::{Budget, Limit, STRIDE};
use super::pattern::{self, Anchor, Capture, PatternError};
use super::place;
use crate::base::Rng;
use crate::base::limits::{SCRIPT_LOG_LINE_BYTES_MAX, SCRIPT_LOG_LINES_MAX};

/// What a sandbox and the functions in it share.
#[derive(Debug)]
pub(super) struct Shared {
    pub budget: Arc<Budget>,
    pub log: Mutex<Log>,
    /// Why a question cannot be answered now; the name of what asks is put in front.
    pub asks_refused: Mutex<Option<&'static str>>,
}

/// Lines that scripts wrote since they were last taken.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: Vec<String>,
    left_out: usize,
}

impl Log {
    fn push(&mut self, text: &str) {
        if self.lines.len() == SCRIPT_LOG_LINES_MAX {
            self.left_out += 1;
            return;
        }
        let mut line = text.to_owned();
        if line.len() > SCRIPT_LOG_LINE_BYTES_MAX {
            let end = (0..=SCRIPT_LOG_LINE_BYTES_MAX).rev().find(|&at| line.is_char_boundary(at));
            line.truncate(end.unwrap_or(0));
            line.push('…');
        }
        self.lines.push(line);
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.lines);
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            lines.push(format!("and {left_out} more lines, which are too many at once"));
        }
        lines
    }
}

/// What Lua itself says when memory runs out.
const OUT_OF_MEMORY: &str = "not enough memory";

/// The table that the prelude takes.
pub(super) fn table(lua: &Lua, shared: &Arc<Shared>, rng: Rng) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("stride", STRIDE)?;
    counting(lua, &table, shared)?;
    matching(lua, &table, shared)?;
    randomness(lua, &table, rng)?;

    let budget = Arc::clone(&shared.budget);
    let sorted = move |lua: &Lua, of: Table| sorted_keys(lua, &budget, &of);
    table.raw_set("sorted_keys", lua.create_function(sorted)?)?;
    let metafield = |_: &Lua, (of, name): (Table, LuaString)| match of.metatable() {
        Some(meta) => meta.raw_get::<Value>(name),
        None => Ok(Value::Nil),
    };
    table.raw_set("metafield", lua.create_function(metafield)?)?;
    let log = Arc::clone(shared);
    let print = move |_: &Lua, text: LuaString| {
        log.log.lock().unwrap_or_else(PoisonError::into_inner).push(&text.to_string_lossy());
        Ok(())
    };
    table.raw_set("print", lua.create_function(print)?)?;
    let refused = Arc::clone(shared);
    let asks_refused = move |_: &Lua, ()| Ok(*refused.asks_refused.lock().unwrap_or_else(PoisonError::into_inner));
    table.raw_set("asks_refused", lua.create_function(asks_refused)?)?;
    Ok(table)
}

fn counting(lua: &Lua, table: &Table, shared: &Arc<Shared>) -> mlua::Result<()> {
    let budget = Arc::clone(&shared.budget);
    let charge = move |lua: &Lua, amount: Value| match amount {
        Value::Integer(amount) => Ok(budget.charge(lua, u64::try_from(amount).unwrap_or(0))),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
        Value::Number(amount) => Ok(budget.charge(lua, amount as u64)),
        _ => Ok(false),
    };
    table.raw_set("charge", lua.create_function(charge)?)?;

    let budget = Arc::clone(&shared.budget);
    let recheck = move |lua: &Lua, (is_ok, error): (Value, Value)| {
        let is_out_of_memory = match &error {
            Value::String(text) => text.as_bytes() == OUT_OF_MEMORY.as_bytes(),
            Value::Error(error) => is_memory(error),
            _ => false,
        };
        if is_ok == Value::Boolean(false) && is_out_of_memory {
            budget.run_out(lua, Limit::Memory);
        }
        Ok(budget.ran_out().is_some())
    };
    table.raw_set("recheck", lua.create_function(recheck)?)?;

    let place = |lua: &Lua, ()| Ok(place::of_caller(lua).unwrap_or_default());
    table.raw_set("where", lua.create_function(place)?)
}

/// Whether memory ran out, be it in Lua or in one of our functions.
pub(super) fn is_memory(error: &mlua::Error) -> bool {
    match error {
        mlua::Error::MemoryError(_) => true,
        mlua::Error::CallbackError { cause, .. } | mlua::Error::BadArgument { cause, .. } => is_memory(cause),
        _ => false,
    }
}

fn matching(lua: &Lua, table: &Table, shared: &Arc<Shared>) -> mlua::Result<()> {
    let budget = Arc::clone(&shared.budget);
    let search = move |lua: &Lua, args: (LuaString, LuaString, usize, Option<usize>, Option<bool>)| {
        let (text, pattern, from, not_at, is_letter) = args;
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        let anchor = if is_letter == Some(true) { Anchor::Letter } else { Anchor::Holds };
        let given = budget.left().saturating_mul(STEPS_PER_INSTRUCTION);
        let mut steps = given;
        let found = pattern::search(&text, &pattern, from - 1, not_at, anchor, &mut steps);
        if found == Err(PatternError::Steps) {
            budget.charge(lua, u64::MAX);
        }
        budget.charge(lua, (given - steps) / STEPS_PER_INSTRUCTION);
        match found {
            Ok(Some(found)) => {
                let mut values = vec![
                    Value::Boolean(true),
                    Value::Integer(position(found.start + 1)),
                    Value::Integer(position(found.end)),
                ];
                for capture in found.captures {
                    values.push(match capture {
                        Capture::Text { start, end } => Value::String(lua.create_string(&text[start..end])?),
                        Capture::Position(at) => Value::Integer(position(at + 1)),
                    });
                }
                Ok(MultiValue::from_vec(values))
            }
            Ok(None) => Ok(MultiValue::from_vec(vec![Value::Boolean(true), Value::Nil])),
            Err(error) => refused(lua, &error.to_string()),
        }
    };
    table.raw_set("search", lua.create_function(search)?)?;

    let budget = Arc::clone(&shared.budget);
    let find_plain = move |lua: &Lua, (text, wanted, from): (LuaString, LuaString, usize)| {
        let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
        let steps = u64::try_from(text.len() + wanted.len()).unwrap_or(u64::MAX);
        budget.charge(lua, steps / STEPS_PER_INSTRUCTION);
        let at = pattern::find_plain(&text, &wanted, from - 1);
        Ok((at.map(|at| at + 1), at.map(|at| at + wanted.len())))
    };
    table.raw_set("find_plain", lua.create_function(find_plain)?)
}

/// Steps of a matcher that take as long as one instruction.
const STEPS_PER_INSTRUCTION: u64 = 4;

fn position(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

fn randomness(lua: &Lua, table: &Table, rng: Rng) -> mlua::Result<()> {
    let rng = Arc::new(Mutex::new(rng));
    let any = Arc::clone(&rng);
    let random = move |_: &Lua, ()| Ok(any.lock().unwrap_or_else(PoisonError::into_inner).next_u64().cast_signed());
    table.raw_set("random", lua.create_function(random)?)?;
    let upto = move |_: &Lua, span: i64| {
        let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
        let drawn = match span.cast_unsigned().checked_add(1) {
            Some(bound) => rng.below(bound),
            None => rng.next_u64(),
        };
        Ok(drawn.cast_signed())
    };
    table.raw_set("random_upto", lua.create_function(upto)?)
}

/// An answer of ours that the prelude turns into an error at the line that called.
pub(super) fn refused(lua: &Lua, message: &str) -> mlua::Result<MultiValue> {
    Ok(MultiValue::from_vec(vec![Value::Boolean(false), Value::String(lua.create_string(message)?)]))
}

/// The keys of `table` in an order that is the same each time.
fn sorted_keys(lua: &Lua, budget: &Budget, table: &Table) -> mlua::Result<MultiValue> {
    let mut keys = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair?;
        match Key::of(&key) {
            Ok(order) => keys.push((order, key)),
            Err(message) => return refused(lua, &message),
        }
    }
    budget.charge(lua, u64::try_from(keys.len()).unwrap_or(u64::MAX));
    keys.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(twice) = keys.windows(2).find(|two| two[0].0 == two[1].0) {
        return refused(lua, &format!("pairs cannot order these keys: two are {}", twice[0].0));
    }
    let sorted = lua.create_sequence_from(keys.into_iter().map(|(_, key)| key))?;
    Ok(MultiValue::from_vec(vec![Value::Boolean(true), Value::Table(sorted)]))
}

/// By what a key is ordered.
#[derive(Debug)]
enum Key {
    /// As it is nearest in floating point, then exactly.
    Number(f64, i64),
    Text(Vec<u8>),
    Boolean(bool),
    /// A table whose metatable says in `__order` which of its fields to order it by.
    Named(Vec<u8>),
}

impl Key {
    fn of(key: &Value) -> Result<Self, String> {
        match key {
            #[expect(clippy::cast_precision_loss, reason = "the exact number is compared next")]
            Value::Integer(number) => Ok(Self::Number(*number as f64, *number)),
            Value::Number(number) => Ok(Self::Number(*number, 0)),
            Value::String(text) => Ok(Self::Text(text.as_bytes().to_vec())),
            Value::Boolean(value) => Ok(Self::Boolean(*value)),
            Value::Table(table) => Self::of_table(table).ok_or_else(|| no_order(key)),
            _ => Err(no_order(key)),
        }
    }

    fn of_table(table: &Table) -> Option<Self> {
        let field: LuaString = table.metatable()?.raw_get("__order").ok()?;
        let name: LuaString = table.raw_get(field).ok()?;
        Some(Self::Named(name.as_bytes().to_vec()))
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Number(..) => 0,
            Self::Text(_) => 1,
            Self::Boolean(_) => 2,
            Self::Named(_) => 3,
        }
    }
}

fn no_order(key: &Value) -> String {
    let kind = key.type_name();
    format!("pairs cannot order keys that are of type {kind}; use names or numbers as keys, or keep a list")
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a, exact_a), Self::Number(b, exact_b)) => a.total_cmp(b).then(exact_a.cmp(exact_b)),
            (Self::Text(a), Self::Text(b)) | (Self::Named(a), Self::Named(b)) => a.cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number, _) => write!(f, "{number}"),
            Self::Text(text) | Self::Named(text) => write!(f, "{:?}", String::from_utf8_lossy(text)),
            Self::Boolean(value) => write!(f, "{value}"),
        }
    }
}
