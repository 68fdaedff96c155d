//! The trace of a run as a file, each line written as it comes: what hangs, or is ended by a signal, leaves what led to it. Owns
//! the file, and what went wrong with it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::check::Line;
use crate::cli::exit::Failure;
use crate::scenario::Tape;

pub(super) struct TraceFile {
    path: PathBuf,
    written: Arc<Mutex<Written>>,
}

struct Written {
    file: File,
    /// What stopped it; nothing is written after that.
    failed: Option<io::Error>,
}

impl TraceFile {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| cannot(path, &error))?;
        Ok(Self { path: path.to_owned(), written: Arc::new(Mutex::new(Written { file, failed: None })) })
    }

    /// What a run hands its lines to.
    pub(super) fn tape(&self) -> Tape {
        let written = Arc::clone(&self.written);
        Tape::new(move |line| written.lock().unwrap_or_else(PoisonError::into_inner).write(line))
    }

    /// Says whether all of it was written.
    pub(super) fn end(&self) -> Result<(), Failure> {
        let failed = self.written.lock().unwrap_or_else(PoisonError::into_inner).failed.take();
        failed.map_or(Ok(()), |error| Err(cannot(&self.path, &error)))
    }
}

impl Written {
    fn write(&mut self, line: &Line) {
        if self.failed.is_some() {
            return;
        }
        // One write a line, so that whoever reads meanwhile finds whole lines.
        let text = serde_json::to_string(line).map_err(io::Error::from);
        self.failed = text.and_then(|text| self.file.write_all((text + "\n").as_bytes())).err();
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    anyhow::anyhow!("cannot write {}: {error}", path.display()).into()
}
