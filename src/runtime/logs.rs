//! Structured logs: where they go, in which form, and that they never make the node wait. Owns the thread
//! that writes them and the bound of the file; `chronicle` decides what is said about events.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::base::limits::{LOG_FILE_BYTES_MAX, LOG_LINES_MAX};

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutput {
    Stderr,
    /// `moot.log` in this home, so that a prompt is not disturbed. When it is full it becomes `moot.log.old`.
    Home(PathBuf),
}

/// Writes what is still to be written when it is dropped.
#[derive(Debug)]
pub struct LogGuard {
    lines: SyncSender<Item>,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("RUST_LOG is not understood: {0}; try RUST_LOG=debug, or folkmoot::membership=debug")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("cannot begin a thread for logs: {0}")]
    Thread(io::Error),
}

/// Sends all logs of this process to `output`, those that `RUST_LOG` asks for; else from `info` on. The first
/// call of a process decides.
///
/// # Errors
/// [`LogError`]; nothing is logged then.
pub fn init(output: &LogOutput, format: LogFormat) -> Result<LogGuard, LogError> {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(directives) if !directives.is_empty() => EnvFilter::try_new(directives)?,
        Ok(_) | Err(_) => EnvFilter::new("info"),
    };
    let writer = begin(Sink::of(output)).map_err(LogError::Thread)?;
    let guard = LogGuard { lines: writer.lines.clone() };
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(move || writer.clone());
    // Another subscriber is set only where a test set one.
    let _ = match format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    Ok(guard)
}

fn begin(mut sink: Sink) -> io::Result<LineWriter> {
    let (lines, queue) = sync_channel(LOG_LINES_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&dropped);
    thread::Builder::new()
        .name("moot-log".into())
        .stack_size(STACK_BYTES)
        .spawn(move || write_lines(&queue, &counted, &mut sink))?;
    Ok(LineWriter { lines, dropped })
}

fn write_lines(queue: &Receiver<Item>, dropped: &AtomicU64, sink: &mut Sink) {
    while let Ok(item) = queue.recv() {
        match item {
            Item::Line(line) => sink.write_line(&line),
            Item::Flushed(told) => drop(told.try_send(())),
        }
        let missed = dropped.swap(0, Ordering::Relaxed);
        if missed > 0 {
            sink.write_line(format!("{missed} log lines were dropped: the reader is too slow\n").as_bytes());
        }
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let (told, flushed) = sync_channel(1);
        if self.lines.try_send(Item::Flushed(told)).is_ok() {
            // A reader that stopped reading must not keep the process from ending.
            let _ = flushed.recv_timeout(FLUSH_TIME_MAX);
        }
    }
}

enum Item {
    Line(Vec<u8>),
    Flushed(SyncSender<()>),
}

/// Hands each line to the thread; tracing writes a line at once.
#[derive(Clone)]
struct LineWriter {
    lines: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.lines.try_send(Item::Line(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Sink {
    Stderr,
    File(BoundedFile),
}

impl Sink {
    fn of(output: &LogOutput) -> Self {
        match output {
            LogOutput::Stderr => Self::Stderr,
            LogOutput::Home(home) => Self::File(BoundedFile::at(home.join(FILE_NAME), LOG_FILE_BYTES_MAX)),
        }
    }

    /// A line that cannot be written is lost: a full disk or a closed terminal does not end the node.
    fn write_line(&mut self, line: &[u8]) {
        let _ = match self {
            Self::Stderr => io::stderr().lock().write_all(line),
            Self::File(file) => file.write_line(line),
        };
    }
}

/// A file that is set aside and begun anew when it is full. It is opened by its first line: the home may
/// not be made yet when logging begins.
struct BoundedFile {
    path: PathBuf,
    bytes_max: u64,
    /// With the bytes that are in it.
    open: Option<(File, u64)>,
}

impl BoundedFile {
    fn at(path: PathBuf, bytes_max: u64) -> Self {
        Self { path, bytes_max, open: None }
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let len = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let is_full = |bytes: u64| bytes > 0 && bytes.saturating_add(len) > self.bytes_max;
        let (mut file, mut bytes) = self.open.take().map_or_else(|| open(&self.path), Ok)?;
        if is_full(bytes) {
            std::fs::rename(&self.path, self.path.with_extension("log.old"))?;
            (file, bytes) = open(&self.path)?;
        }
        file.write_all(line)?;
        self.open = Some((file, bytes + len));
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

const FILTER_VARIABLE: &str = "RUST_LOG";
const FILE_NAME: &str = "moot.log";
/// The thread only copies bytes.
const STACK_BYTES: usize = 64 * 1024;
/// A guess: a local disk or terminal takes what is queued in a small part of it.
const FLUSH_TIME_MAX: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_set_aside_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let mut file = BoundedFile::at(path.clone(), 10);
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            file.write_line(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\nfour\n".split_at(6).1);
        assert_eq!(std::fs::read_to_string(dir.path().join("moot.log.old")).unwrap(), "three\n");
    }

    #[test]
    fn lines_that_find_no_room_are_counted_and_never_waited_for() {
        let (lines, queue) = sync_channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut writer = LineWriter { lines, dropped: Arc::clone(&dropped) };
        for _ in 0..3 {
            writer.write_all(b"line\n").unwrap();
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
        drop(writer);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let mut sink = Sink::File(BoundedFile::at(path.clone(), 1000));
        write_lines(&queue, &dropped, &mut sink);
        let told = std::fs::read_to_string(&path).unwrap();
        assert_eq!(told, "line\n2 log lines were dropped: the reader is too slow\n");
    }
}
