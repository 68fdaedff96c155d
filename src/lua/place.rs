//! Where in a script something happens. Owns how a line is named: `echo.lua:7: `, as in Lua's own messages.

use mlua::{Function, Lua};

/// The name of chunks that are ours. No script is ever to blame in one of them.
pub(super) const PRELUDE: &str = "[moot]";

/// Frames that are looked through for a script's: more than a stack that overflows has of ours at its top.
const FRAMES_MAX: usize = 64;

/// The line of a script that runs now, or that called what runs now.
pub(super) fn of_caller(lua: &Lua) -> Option<String> {
    for level in 0..FRAMES_MAX {
        let place = lua.inspect_stack(level, |frame| {
            let source = frame.source();
            let file = source.short_src.filter(|_| source.what != "C")?.into_owned();
            let line = frame.current_line()?;
            (file != PRELUDE).then(|| named(&file, line))
        })?;
        if place.is_some() {
            return place;
        }
    }
    None
}

/// Where a function begins.
pub(super) fn of_function(function: &Function) -> String {
    let info = function.info();
    let file = info.short_src.unwrap_or_default();
    match info.line_defined {
        Some(line) if line > 0 => named(&file, line),
        Some(_) | None => format!("{file}: "),
    }
}

fn named(file: &str, line: usize) -> String {
    format!("{file}:{line}: ")
}

/// `message` without a line of ours in front.
pub(super) fn without_prelude(message: &str) -> &str {
    let Some(rest) = message.strip_prefix(PRELUDE).and_then(|rest| rest.strip_prefix(':')) else { return message };
    match rest.split_once(": ") {
        Some((line, rest)) if line.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        Some(_) | None => message,
    }
}
