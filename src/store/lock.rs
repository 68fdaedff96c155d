//! One process a home. Owns the lock, which the system drops when its holder ends, however it ends; the pid
//! in the file is only for whom it turns away.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::{StoreError, files};

/// Held as long as the value lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// # Errors
    /// [`StoreError::Busy`] when another process holds it; what else the file system says.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let mut file = files::open_private(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { pid: pid_in(&mut file) }),
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", path)(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(StoreError::io("write", path))?;
        Ok(Self { _file: file })
    }
}

/// `None` in the moment between the lock and the pid.
fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_told_the_pid_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path).unwrap();
        let refused = Lock::take(&path).unwrap_err().to_string();
        let pid = std::process::id();
        assert_eq!(
            refused,
            format!(
                "moot already runs here (pid {pid}); moot status asks it; for a second person add --home DIR --nick NAME"
            )
        );
        drop(first);
        Lock::take(&path).unwrap();
    }
}
