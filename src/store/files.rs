//! Files that only their owner reads, written whole or not at all. Owns modes, owners and the order of
//! fsyncs; knows nothing of what the files hold.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::StoreError;

/// Makes `dir` (and what is above it) for its owner only, or checks that it is such a directory.
pub(super) fn private_dir(dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(StoreError::io("make", dir)(error)),
    })?;
    let found = fs::metadata(dir).map_err(StoreError::io("look at", dir))?;
    if !found.is_dir() {
        return Err(StoreError::NotADirectory { path: dir.to_owned() });
    }
    check(dir, &found, DIR_MODE)
}

/// Checks that `path`, if it exists, is its owner's alone. Says whether it exists.
pub(super) fn private_file(path: &Path) -> Result<bool, StoreError> {
    match fs::metadata(path) {
        Ok(found) => check(path, &found, FILE_MODE).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("look at", path)(error)),
    }
}

/// Opens `path` to read and write, and makes it for its owner only where it is not there.
pub(super) fn open_private(path: &Path) -> Result<File, StoreError> {
    private_file(path)?;
    options().create(true).truncate(false).open(path).map_err(StoreError::io("open", path))
}

/// Replaces `path` by `bytes`: after a crash it holds either the old bytes or the new ones, all of them.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let beside = path.with_extension("new");
    write_anew(&beside, bytes).and_then(|()| fs::rename(&beside, path)).map_err(|error| {
        let _ = fs::remove_file(&beside);
        StoreError::io("write", path)(error)
    })?;
    sync_dir_of(path)
}

/// Makes what was created, renamed or removed in the directory of `path` durable.
pub(super) fn sync_dir_of(path: &Path) -> Result<(), StoreError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("sync", dir))
}

/// Whether a little more fits on the disk; `probe` is written for that and removed.
pub(super) fn has_room(probe: &Path) -> bool {
    let written = write_anew(probe, &vec![0; PROBE_BYTES]);
    let _ = fs::remove_file(probe);
    !matches!(
        written.map_err(|error| error.kind()),
        Err(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
    )
}

fn write_anew(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a crash left behind may be there still; its mode is not to be trusted.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = options().create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(FILE_MODE);
    options
}

fn check(path: &Path, found: &fs::Metadata, right: u32) -> Result<(), StoreError> {
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(StoreError::Owner { path: path.to_owned(), owner: found.uid() });
    }
    let mode = found.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(StoreError::Permissions { path: path.to_owned(), mode, right });
    }
    Ok(())
}

/// As much as a small group of records takes.
const PROBE_BYTES: usize = 64 * 1024;
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The bits of group and others.
const OTHERS: u32 = 0o077;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_replaced_whole_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        fs::write(dir.path().join("keys.new"), "left by a crash").unwrap();
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_looser_mode_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        private_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o750)).unwrap();
        let refused = private_dir(&home).unwrap_err().to_string();
        assert!(refused.ends_with(&format!("chmod 700 {}", home.display())), "{refused}");
    }

    #[test]
    fn a_home_that_is_a_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home");
        fs::write(&path, "").unwrap();
        assert!(matches!(private_dir(&path), Err(StoreError::NotADirectory { .. })));
    }
}
