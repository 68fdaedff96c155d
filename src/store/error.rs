//! What can go wrong with a home and its database, as the person who has to mend it reads it. Owns the
//! sentences; after each of them nothing on the disk was changed, unless it says otherwise.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::text::TextError;

/// Why a home, its database or its history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{} is no directory; choose another home with --home DIR", path.display())]
    NotADirectory { path: PathBuf },
    #[error("{} is open to others (mode {mode:o}); mend it with: chmod {right:o} {}", path.display(), quoted(path))]
    Permissions { path: PathBuf, mode: u32, right: u32 },
    #[error("{} belongs to another user (uid {owner}); choose another home with --home DIR", path.display())]
    Owner { path: PathBuf, owner: u32 },
    #[error(
        "moot already runs here{}; moot status asks it; for a second person add --home DIR --nick NAME",
        pid_note(*pid)
    )]
    Busy { pid: Option<u32> },
    #[error("{} is gone or empty, but the rest of the home is there; restore it, or choose another home with --home DIR", path.display())]
    Missing { path: PathBuf },
    #[error("{} is damaged ({why}); restore it from a backup, or choose another home with --home DIR", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("{} was written by a newer moot (format {found}, this one knows {known}); update moot", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} is no database of moot; move it away, or choose another home with --home DIR", path.display())]
    Foreign { path: PathBuf },
    #[error("{} belongs to another {what} than the files beside it; restore the home as a whole, or choose another with --home DIR", path.display())]
    Mixed { path: PathBuf, what: &'static str },
    #[error("this home already belongs to the room {name:?}; join the other one with a home of its own: --home DIR")]
    RoomInUse { name: String },
    #[error("the disk is full; make room on it and try again")]
    DiskFull,
    #[error(
        "what came last cannot be read yet, because another program holds {}, or the disk is very slow; end that program, or ask again",
        path.display()
    )]
    Held { path: PathBuf },
    #[error("another program holds {}; end that program, or wait for it, and try again", path.display())]
    Locked { path: PathBuf },
    #[error("{}: {why}", path.display())]
    Unread { path: PathBuf, why: String },
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("cannot {doing} {}: {}", path.display(), source.kind())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {doing} the database: {source}")]
    Database { doing: &'static str, source: rusqlite::Error },
}

impl StoreError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            // `ErrorKind` is open: whatever else there is is told as it is.
            _ => Self::Io { doing, path: path.to_owned(), source },
        }
    }
}

fn pid_note(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_mends_can_be_pasted() {
        let error = StoreError::Permissions { path: PathBuf::from("/tmp/ana's moot"), mode: 0o755, right: 0o700 };
        assert_eq!(
            error.to_string(),
            r"/tmp/ana's moot is open to others (mode 755); mend it with: chmod 700 '/tmp/ana'\''s moot'"
        );
    }
}
