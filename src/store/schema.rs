//! The database: how it is opened, made, and told from one that is damaged, newer or somebody else's. Owns
//! its settings and its version; `schema.sql` and `docs/STORE.md` say what is in it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::columns::Word;
use super::{Home, StoreError, files};
use crate::base::{MemberId, RoomId};

/// Opens the database of `home` to write, and makes it where there is none.
///
/// # Errors
/// [`StoreError`]; a database that is damaged, newer or not this home's was not written to then.
pub(super) fn open(home: &Home) -> Result<Connection, StoreError> {
    let path = home.database();
    if !is_empty(&path)? {
        examine(&path)?;
    }
    drop(files::open_private(&path)?);
    files::sync_dir_of(&path)?;
    let db = prepare(&path).map_err(|error| sort(&path, "open", error))?;
    let held = claim(&db, home.identity().id(), home.room().id).map_err(|error| sort(&path, "open", error))?;
    match held {
        Claim::Held => Ok(db),
        Claim::Mixed(what) => Err(StoreError::Mixed { path, what }),
    }
}

/// Opens the database at `path`, which exists, to read only.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.pragma_update(None, "cache_size", READER_CACHE_KIB)?;
        Ok(db)
    };
    open().map_err(|error| sort(path, "open", error))
}

/// Whether the room of the database at `path` ever had a second member or a message.
pub(super) fn was_used(path: &Path) -> Result<bool, StoreError> {
    if is_empty(path)? {
        return Ok(false);
    }
    examine(path)?;
    let db = open_to_read(path)?;
    if !has_tables(&db).map_err(|error| sort(path, "read", error))? {
        return Ok(false);
    }
    is_used(&db).map_err(|error| sort(path, "read", error))
}

/// Notes that the room has a second member or a message now: the home keeps it for good.
pub(super) fn mark_used(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO meta (key, value) VALUES ('used', 1)")?.execute(()).map(|_| ())
}

/// Whether every page of the database still holds together; what is wrong, if not. Past
/// `CHECKED_BYTES_MAX` it is not looked at: SQLite notices damage when it meets it.
pub(super) fn check(path: &Path, db: &Connection) -> Result<(), StoreError> {
    let bytes = fs::metadata(path).map_err(StoreError::io("look at", path))?.len();
    if bytes > CHECKED_BYTES_MAX {
        return Ok(());
    }
    let found: String =
        db.query_row("PRAGMA quick_check(1)", (), |row| row.get(0)).map_err(|error| sort(path, "check", error))?;
    if found == "ok" {
        return Ok(());
    }
    let why = found.lines().next_back().unwrap_or_default().to_lowercase();
    Err(StoreError::Damaged { path: path.to_owned(), why })
}

/// What an error of SQLite means for the database at `path`.
pub(super) fn sort(path: &Path, doing: &'static str, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { path: path.to_owned(), why: "it is no sound database".to_owned() }
        }
        Some(ErrorCode::DiskFull) => StoreError::DiskFull,
        // `ErrorCode` is SQLite's and open: the rest is told as it is.
        _ => StoreError::Database { doing, source: error },
    }
}

/// Looks at an existing database without writing to it.
fn examine(path: &Path) -> Result<(), StoreError> {
    let db = open_to_read(path)?;
    let read = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let read = |pragma| read(pragma).map_err(|error| sort(path, "read", error));
    let (owner, version) = (read("application_id")?, read("user_version")?);
    let has_tables = has_tables(&db).map_err(|error| sort(path, "read", error))?;
    if owner != APPLICATION_ID && (owner != 0 || has_tables) {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if version > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: VERSION });
    }
    check(path, &db)
}

fn is_empty(path: &Path) -> Result<bool, StoreError> {
    if !files::private_file(path)? {
        return Ok(true);
    }
    fs::metadata(path).map(|found| found.len() == 0).map_err(StoreError::io("look at", path))
}

fn has_tables(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", (), |row| row.get(0))
}

fn is_used(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'used')", (), |row| row.get(0))
}

fn prepare(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    // The writer does it, because SQLite keeps what goes wrong in a checkpoint of its own to itself.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "journal_size_limit", JOURNAL_BYTES_KEPT)?;
    if !has_tables(&db)? {
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {VERSION};
             {}
             COMMIT;",
            include_str!("schema.sql")
        ))?;
    }
    Ok(db)
}

enum Claim {
    Held,
    Mixed(&'static str),
}

/// Binds the database to an identity and a room. One that no room ever used takes another room: the home
/// joined it.
fn claim(db: &Connection, member: MemberId, room: RoomId) -> rusqlite::Result<Claim> {
    let read = "SELECT value FROM meta WHERE key = ?1";
    let held = |key: &str| db.query_row(read, [key], |row| row.get::<_, String>(0)).optional();
    let (held_member, held_room) = (held("member")?, held("room")?);
    if held_member.as_ref().is_some_and(|held| *held != member.to_string()) {
        return Ok(Claim::Mixed("identity"));
    }
    if held_member.is_some() && held_room == Some(room.to_string()) {
        return Ok(Claim::Held);
    }
    if held_room.is_some() && is_used(db)? {
        return Ok(Claim::Mixed("room"));
    }
    let write = "INSERT OR REPLACE INTO meta (key, value) VALUES ('member', ?1), ('room', ?2)";
    db.execute(write, (Word(member), Word(room)))?;
    Ok(Claim::Held)
}

/// "MOOT", in the header of the file.
const APPLICATION_ID: i64 = 0x4d4f_4f54;
/// Raised when the tables change.
const VERSION: i64 = 1;

/// How long a reader or writer waits for another program that holds the database, before it says so.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Negative is SQLite's way to say KiB. What is written is written once and seldom read back.
const WRITER_CACHE_KIB: i64 = -1024;
const READER_CACHE_KIB: i64 = -256;
/// What a burst leaves of the write-ahead log.
const JOURNAL_BYTES_KEPT: i64 = 4 * 1024 * 1024;
/// A start does not read more than this to look for damage: half a second on a slow disk.
const CHECKED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// More than the statements that `rows` prepares.
const STATEMENTS_MAX: usize = 64;
