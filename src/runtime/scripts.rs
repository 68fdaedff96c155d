//! Scripts as files. Owns reading them, and saying at once what is wrong with one; what they do is `lua`'s.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use super::{clock, seeded};
use crate::base::limits::SCRIPT_BYTES_MAX;
use crate::lua::{ScriptError, Scripts, Source};

/// Reads scripts, and tries them: what a start would say about them is said before anything is begun.
///
/// # Errors
/// [`ScriptError`] of the first that cannot be read, does not compile, or fails.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Source>, ScriptError> {
    let sources = paths.iter().map(read_one).collect::<Result<Vec<_>, _>>()?;
    let rng = seeded().map_err(|error| ScriptError::new(error.to_string()))?;
    Scripts::load(&sources, &rng, clock::time())?;
    Ok(sources)
}

fn read_one(path: &PathBuf) -> Result<Source, ScriptError> {
    let mut text = Vec::new();
    // One byte more than is taken tells that it is too long; some files have no end.
    let read = File::open(path).and_then(|file| file.take(SCRIPT_BYTES_MAX as u64 + 1).read_to_end(&mut text));
    read.map_err(|error| ScriptError::new(format!("the script {} cannot be read: {error}", path.display())))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(Source { name, text })
}
