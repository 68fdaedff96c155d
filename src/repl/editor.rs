//! Typing at a terminal: a line editor whose prompt stays below what arrives. Owns the terminal, and gives
//! it back as it was however the program ends.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor, ExternalPrinter};

use super::board::Shared;
use super::complete::TabHelper;
use super::session::{Next, Session};
use super::write;
use crate::base::limits::HISTORY_LINES_MAX;

/// The line editor with its history.
pub(super) struct LineEditor {
    editor: Editor<TabHelper, FileHistory>,
    history: PathBuf,
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
        Some((Self { editor, history: history.to_owned() }, printer))
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
                // End of input, a terminal that is gone, or something else that will not mend.
                Err(_) => return,
            };
            interrupted = false;
            if let Err(error) = self.editor.append_history(&self.history) {
                tracing::debug!(%error, "the history was not kept");
            }
            match session.handle_line(&line) {
                Ok(Next::Nothing) => (),
                Ok(Next::Print(text) | Next::Complain(text)) => write(&(text + "\n")),
                Ok(Next::Quit) | Err(_) => return,
            }
        }
    }
}

/// Clears a prompt that nobody will type at.
pub(super) fn clear_prompt() {
    write("\r\u{1b}[K");
}
