//! Typing at a terminal: a line editor whose prompt stays below what arrives. Owns the terminal, and gives
//! it back as it was however the program ends.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{ColorMode, CompletionType, Config, Editor, ExternalPrinter};
use unicode_width::UnicodeWidthStr as _;

use super::board::Shared;
use super::complete::TabHelper;
use super::session::{Next, Session};
use super::write;
use crate::base::limits::HISTORY_LINES_MAX;

/// The line editor with its history.
pub(super) struct LineEditor {
    editor: Editor<TabHelper, FileHistory>,
    history: PathBuf,
    paper: Arc<Paper>,
}

/// Whose turn it is to print, and how often what happens was printed: a note beside a typed line is only
/// right while nothing came below that line.
#[derive(Debug, Default)]
pub(super) struct Paper {
    turn: Mutex<()>,
    printed: AtomicU64,
}

impl Paper {
    /// What happens is printed while this is held.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.printed.fetch_add(1, Ordering::SeqCst);
        turn
    }

    fn printed(&self) -> u64 {
        self.printed.load(Ordering::SeqCst)
    }

    /// Prints `note` if nothing was printed since `printed` was read, else `late`.
    fn note(&self, printed: u64, note: &str, late: &str) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        write(if self.printed() == printed { note } else { late });
    }
}

/// The terminal as it was found. Dropping this restores it: a node that is told to end, or a thread that
/// panics, may leave the editor in the middle of a line.
pub(super) struct Terminal {
    found: Option<Termios>,
}

/// Ends the mode in which a terminal marks what is pasted (xterm's "bracketed paste").
const PASTE_MARKS_OFF: &str = "\u{1b}[?2004l";

impl Terminal {
    pub(super) fn keep() -> Self {
        Self { found: tcgetattr(io::stdin()).ok() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(found) = &self.found {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, found);
            write(PASTE_MARKS_OFF);
        }
    }
}

impl LineEditor {
    /// A line editor, and what prints above its prompt. `None` where the terminal cannot do that.
    pub(super) fn open(board: &Arc<Shared>, history: &Path) -> Option<(Self, impl ExternalPrinter + Send + use<>)> {
        let config = Config::builder()
            // Without colours too, the prompt follows what it says.
            .color_mode(ColorMode::Forced)
            .completion_type(CompletionType::List)
            .auto_add_history(true)
            .max_history_size(HISTORY_LINES_MAX)
            .and_then(|config| config.history_ignore_dups(true))
            .ok()?
            .build();
        let mut editor = Editor::with_config(config).ok()?;
        editor.set_helper(Some(TabHelper { board: Arc::clone(board) }));
        let printer = editor.create_external_printer().ok()?;
        // There is none before the first line was typed.
        let _ = editor.load_history(history);
        Some((Self { editor, history: history.to_owned(), paper: Arc::default() }, printer))
    }

    pub(super) fn paper(&self) -> Arc<Paper> {
        Arc::clone(&self.paper)
    }

    /// Reads and carries out lines until the person or the node ends it.
    pub(super) fn run(&mut self, session: &mut Session) {
        let mut interrupted = false;
        loop {
            let prompt = session.board.lock().prompt();
            let line = match self.editor.readline(&prompt) {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) if interrupted => return,
                Err(ReadlineError::Interrupted) => {
                    write("to end: Ctrl-C once more, Ctrl-D or /quit\n");
                    interrupted = true;
                    continue;
                }
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    write("that key is no UTF-8, so the line is gone; set the terminal to UTF-8 and type it again\n");
                    continue;
                }
                // End of input, a terminal that is gone, or something else that will not mend.
                Err(_) => return,
            };
            interrupted = false;
            let printed = self.paper.printed();
            if let Err(error) = self.editor.append_history(&self.history) {
                tracing::debug!(%error, "the history was not kept");
            }
            match session.handle_line(&line) {
                Ok(Next::Nothing) => (),
                Ok(Next::Accepted { lines, .. }) if !session.board.await_note(KEPT_TIME_MAX) => write(&lines),
                Ok(Next::Accepted { handle, lines }) => {
                    let columns = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
                    let (note, again) = {
                        let view = &session.board.lock().view;
                        (view.accepted(&handle), view.repeated(&line, &handle))
                    };
                    let note = beside(&format!("{prompt}{line}"), &note, &handle, columns);
                    self.paper.note(printed, &note, &format!("{again}\n"));
                    write(&lines);
                    session.board.finish_note();
                }
                Ok(Next::Print(text) | Next::Complain(text)) => write(&(text + "\n")),
                Ok(Next::Quit) | Err(_) => return,
            }
        }
    }
}

/// What prints `note`, which shows `[handle]`, at the end of the line above that shows `typed`; below it where the two do
/// not fit in the last row that it takes in the terminal, or where that row ends is not known.
fn beside(typed: &str, note: &str, handle: &str, columns: usize) -> String {
    let below = format!("{note}\n");
    if columns == 0 || typed.contains(char::is_control) {
        return below;
    }
    let width = typed.width();
    // Where a row is full depends on how wide the terminal takes other characters for.
    if width >= columns && !typed.is_ascii() {
        return below;
    }
    let column = width % columns + NOTE_SPACE;
    let fits = column + handle.width() + "[]".len() < columns;
    if fits { format!("\u{1b}[A\u{1b}[{column}C{note}\r\n") } else { below }
}

/// How long a typed line waits for its handle before the next one is read. A disk takes some milliseconds; a longer wait
/// would feel as if keys stuck. A guess.
const KEPT_TIME_MAX: Duration = Duration::from_millis(200);

/// Blanks between what was typed and what stands beside it.
const NOTE_SPACE: usize = 2;

/// Clears a prompt that nobody will type at.
pub(super) fn clear_prompt() {
    write("\r\u{1b}[K");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_stands_beside_a_typed_line_where_both_fit_in_its_last_row_else_below() {
        let beside = |typed, columns| beside(typed, "[k7f3]", "k7f3", columns);
        assert_eq!(beside("ana> hello", 80), "\u{1b}[A\u{1b}[12C[k7f3]\r\n");
        assert_eq!(beside("ana> hello, all of you", 20), "\u{1b}[A\u{1b}[4C[k7f3]\r\n");
        // The editor begins a row once one is full.
        assert_eq!(beside("ana> hello all of you", 21), "\u{1b}[A\u{1b}[2C[k7f3]\r\n");
        for (typed, columns) in
            [("ana> hello", 18), ("ana> two\nlines", 80), ("ana> hello", 0), ("ana> merhaba Çağrı", 12)]
        {
            assert_eq!(beside(typed, columns), "[k7f3]\n", "{typed} in {columns}");
        }
    }

    #[test]
    fn a_note_that_came_too_late_is_not_printed() {
        let paper = Paper::default();
        let before = paper.printed();
        drop(paper.turn());
        assert_ne!(paper.printed(), before);
    }
}
