//! The arguments of a function that a script calls. Owns how Lua values become ours, and the sentence when they are of
//! the wrong kind: each names the function, the argument and what it should have been.

use std::collections::VecDeque;
use std::time::Duration;

use mlua::{Function, MultiValue, Table, Value};

/// What a caller did wrong. It becomes an error at the line that called.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

/// The arguments of one call, taken one after the other.
#[derive(Clone, Debug)]
pub struct Args {
    function: String,
    values: VecDeque<Value>,
}

/// A table of named fields, as in `net.cut{ from = bo, to = ana }`.
#[derive(Clone, Debug)]
pub struct Fields {
    what: String,
    table: Table,
}

type Result<T> = std::result::Result<T, Misuse>;

impl Args {
    /// The arguments of a call of `function`, which is what errors call it.
    #[must_use]
    pub fn new(function: impl Into<String>, values: MultiValue) -> Self {
        Self { function: function.into(), values: values.into_iter().collect() }
    }

    /// An error about this call.
    #[must_use]
    pub fn misuse(&self, what: impl std::fmt::Display) -> Misuse {
        Misuse(format!("{}: {what}", self.function))
    }

    /// The next argument as it is; `nil` when there is none.
    pub fn value(&mut self) -> Value {
        self.values.pop_front().unwrap_or(Value::Nil)
    }

    /// Whether nothing, or only `nil`, is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(Value::is_nil)
    }

    /// # Errors
    /// [`Misuse`] when it is no string, or not UTF-8.
    pub fn text(&mut self, name: &str) -> Result<String> {
        let value = self.value();
        text_of(&value).map_err(|problem| self.misuse(format!("{name} {problem}")))
    }

    /// A duration: `"30s"`, or a number of seconds.
    ///
    /// # Errors
    /// [`Misuse`] when it is neither.
    pub fn duration(&mut self, name: &str) -> Result<Duration> {
        let value = self.value();
        duration_of(&value).map_err(|problem| self.misuse(format!("{name} {problem}")))
    }

    /// # Errors
    /// [`Misuse`] when it is no whole number from `low` to `high`.
    pub fn integer(&mut self, name: &str, low: i64, high: i64) -> Result<i64> {
        let value = self.value();
        integer_of(&value, low, high).map_err(|problem| self.misuse(format!("{name} {problem}")))
    }

    /// # Errors
    /// [`Misuse`] when it is no number.
    pub fn number(&mut self, name: &str) -> Result<f64> {
        let value = self.value();
        number_of(&value).map_err(|problem| self.misuse(format!("{name} {problem}")))
    }

    /// # Errors
    /// [`Misuse`] when it is neither `true` nor `false`.
    pub fn boolean(&mut self, name: &str) -> Result<bool> {
        let value = self.value();
        boolean_of(&value).map_err(|problem| self.misuse(format!("{name} {problem}")))
    }

    /// # Errors
    /// [`Misuse`] when it is no function.
    pub fn function(&mut self, name: &str) -> Result<Function> {
        match self.value() {
            Value::Function(function) => Ok(function),
            value => Err(self.misuse(format!("{name} {}", must_be("a function", &value)))),
        }
    }

    /// # Errors
    /// [`Misuse`] when it is no table.
    pub fn table(&mut self, name: &str) -> Result<Table> {
        match self.value() {
            Value::Table(table) => Ok(table),
            value => Err(self.misuse(format!("{name} {}", must_be("a table", &value)))),
        }
    }

    /// A table with no fields but the `known` ones.
    ///
    /// # Errors
    /// [`Misuse`] when it is no table, or has another field.
    pub fn fields(&mut self, name: &str, known: &[&str]) -> Result<Fields> {
        let table = self.table(name)?;
        Fields::new(self.function.clone(), table, known)
    }

    /// # Errors
    /// [`Misuse`] when arguments are left.
    pub fn end(&self) -> Result<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        let many = self.values.len();
        Err(self.misuse(format!("{many} {} too many", if many == 1 { "argument" } else { "arguments" })))
    }
}

impl Fields {
    /// `what` is what errors call the table.
    ///
    /// # Errors
    /// [`Misuse`] when it has a field that is not among `known`.
    pub fn new(what: impl Into<String>, table: Table, known: &[&str]) -> Result<Self> {
        let what = what.into();
        let mut unknown = Vec::new();
        for pair in table.pairs::<Value, Value>() {
            let (key, _) = pair.map_err(|error| Misuse(error.to_string()))?;
            match &key {
                Value::String(name) if known.iter().any(|known| name.as_bytes() == known.as_bytes()) => {}
                Value::String(name) => unknown.push(format!("{:?}", name.to_string_lossy()).replace('"', "'")),
                Value::Integer(at) => unknown.push(format!("[{at}]")),
                _ => unknown.push(format!("of type {}", key.type_name())),
            }
        }
        // Which comes first in a table differs from run to run.
        let Some(first) = unknown.into_iter().min() else { return Ok(Self { what, table }) };
        Err(Misuse(format!("{what}: unknown field {first}; known are {}", known.join(", "))))
    }

    /// The field as it is; `nil` when it is not there.
    #[must_use]
    pub fn value(&self, name: &str) -> Value {
        self.table.raw_get(name).unwrap_or(Value::Nil)
    }

    /// # Errors
    /// [`Misuse`] when it is there and no string.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        self.read(name, text_of)
    }

    /// # Errors
    /// [`Misuse`] when it is there and no duration.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>> {
        self.read(name, duration_of)
    }

    /// # Errors
    /// [`Misuse`] when it is there and no whole number from `low` to `high`.
    pub fn integer(&self, name: &str, low: i64, high: i64) -> Result<Option<i64>> {
        self.read(name, |value| integer_of(value, low, high))
    }

    /// # Errors
    /// [`Misuse`] when it is there and no number.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        self.read(name, number_of)
    }

    /// # Errors
    /// [`Misuse`] when it is there and neither `true` nor `false`.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        self.read(name, boolean_of)
    }

    /// # Errors
    /// Always.
    pub fn missing<T>(&self, name: &str) -> Result<T> {
        Err(Misuse(format!("{}: the field '{name}' is missing", self.what)))
    }

    /// An error about this table.
    #[must_use]
    pub fn misuse(&self, what: impl std::fmt::Display) -> Misuse {
        Misuse(format!("{}: {what}", self.what))
    }

    fn read<T>(&self, name: &str, read: impl Fn(&Value) -> std::result::Result<T, String>) -> Result<Option<T>> {
        match self.value(name) {
            Value::Nil => Ok(None),
            value => read(&value).map(Some).map_err(|problem| self.misuse(format!("{name} {problem}"))),
        }
    }
}

fn must_be(wanted: &str, value: &Value) -> String {
    format!("must be {wanted}, not {}", kind_of(value))
}

/// What a value is, with its article.
pub(super) fn kind_of(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Boolean(_) => "a boolean".to_owned(),
        Value::Integer(_) | Value::Number(_) => "a number".to_owned(),
        value => format!("a {}", value.type_name()),
    }
}

fn text_of(value: &Value) -> std::result::Result<String, String> {
    let Value::String(text) = value else { return Err(must_be("a string", value)) };
    text.to_str().map(|text| text.to_owned()).map_err(|_| "is not valid UTF-8".to_owned())
}

fn duration_of(value: &Value) -> std::result::Result<Duration, String> {
    const WANTED: &str = "a duration as \"30s\", or a number of seconds";
    match value {
        Value::Integer(seconds) => {
            u64::try_from(*seconds).map(Duration::from_secs).map_err(|_| "must not be negative".to_owned())
        }
        Value::Number(seconds) if *seconds < 0.0 => Err("must not be negative".to_owned()),
        Value::Number(seconds) => {
            Duration::try_from_secs_f64(*seconds).map_err(|_| format!("must be {WANTED}, not {seconds}"))
        }
        Value::String(text) => {
            let text = text.to_string_lossy();
            humantime::parse_duration(&text).map_err(|_| format!("is '{text}', and must be {WANTED}"))
        }
        value => Err(must_be(WANTED, value)),
    }
}

fn integer_of(value: &Value, low: i64, high: i64) -> std::result::Result<i64, String> {
    let number = match value {
        Value::Integer(number) => *number,
        Value::Number(number) => return Err(format!("must be a whole number, not {number}")),
        value => return Err(must_be("a whole number", value)),
    };
    if (low..=high).contains(&number) {
        return Ok(number);
    }
    let range = match (low, high) {
        (low, i64::MAX) => format!("at least {low}"),
        (low, high) => format!("from {low} to {high}"),
    };
    Err(format!("must be {range}, not {number}"))
}

fn number_of(value: &Value) -> std::result::Result<f64, String> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "what scripts pass as numbers is small")]
        Value::Integer(number) => Ok(*number as f64),
        Value::Number(number) if number.is_finite() => Ok(*number),
        Value::Number(number) => Err(format!("must be a finite number, not {number}")),
        value => Err(must_be("a number", value)),
    }
}

fn boolean_of(value: &Value) -> std::result::Result<bool, String> {
    match value {
        Value::Boolean(value) => Ok(*value),
        value => Err(must_be("true or false", value)),
    }
}
