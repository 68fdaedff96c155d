//! Where answers go: text for a person, in colour where that is wanted, or JSON for a program.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::ColorChoice;
use jiff::tz::TimeZone;
use rustix::termios::tcgetwinsize;
use serde::Serialize;

use super::args::Common;
use crate::base::text;
use crate::repl::Editing;
use crate::runtime::clock;
use crate::view::{Ink, Names, View};

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) form: Form,
    ink: Ink,
    pub(super) editing: Editing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
}

impl Output {
    pub(super) fn of(common: &Common) -> Self {
        // Honours NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM=dumb, and wants a terminal.
        let coloured =
            !common.plain && !common.json && anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        Self {
            form: if common.json { Form::Json } else { Form::Text },
            ink: if coloured { Ink::Colour } else { Ink::Plain },
            editing: if common.plain { Editing::Never } else { Editing::WherePossible },
        }
    }

    pub(super) fn view(self, names: Names) -> View {
        View { ink: self.ink, zone: TimeZone::system(), now: clock::wall(), names, columns: columns() }
    }

    /// Whether anything may be drawn over.
    pub(super) fn may_redraw(self) -> bool {
        self.editing == Editing::WherePossible
    }

    /// Whether a redraw may clear the screen.
    pub(super) fn may_clear(self) -> bool {
        self.editing == Editing::WherePossible && self.form == Form::Text && io::stdout().is_terminal()
    }
}

/// How wide the terminal is now, if the output goes to one.
fn columns() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
}

/// Writes `text` and a line break.
pub(super) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes whole lines of JSON at once: a standard output writes each by itself otherwise.
pub(super) fn json_lines(lines: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text::escape_json(&String::from_utf8_lossy(lines)).as_bytes())?;
    out.flush()
}

/// Writes one JSON document and a line break.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    line(&json_text(value)?)
}

/// One JSON document, as it may go to a terminal.
pub(super) fn json_text(value: &impl Serialize) -> io::Result<String> {
    let json = serde_json::to_string(value)?;
    Ok(text::escape_json(&json).into_owned())
}
