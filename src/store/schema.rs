//! The database: how it is opened, made, and told from one that is damaged, newer or somebody else's. Owns
//! its settings and its version; `schema.sql` and `docs/STORE.md` say what is in it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::columns::Word;
use super::rows::RowError;
use super::{Home, StoreError, commit, files, journal};
use crate::base::{MemberId, RoomId};

/// Opens the database of `home` to write, and makes it where there is none.
///
/// # Errors
/// [`StoreError`]; a database that is damaged, newer or not this home's was not written to then.
pub(super) fn open(home: &Home) -> Result<Connection, StoreError> {
    let path = home.database();
    if size(&path)? > 0 {
        roll_back(&path)?;
        examine(&path)?;
    } else if home.has_database() {
        return Err(StoreError::Missing { path });
    }
    drop(files::open_private(&path)?);
    files::sync_dir_of(&path)?;
    let db = prepare(&path).map_err(|error| sort(&path, "open", error))?;
    let held = claim(&db, home.identity().id(), home.room().id).map_err(|error| sort(&path, "open", error))?;
    match held {
        Claim::Held => {}
        Claim::Mixed(what) => return Err(StoreError::Mixed { path, what }),
    }
    journal::file_what_was_left(&db).map_err(|error| sort_row(&path, "open", error))?;
    Ok(db)
}

/// [`open`], after a look at every page for damage. Past `CHECKED_BYTES_MAX` that would take too long at each
/// start, and SQLite notices damage only when it meets it: says whether it is small enough to be read whole.
pub(super) fn open_checked(home: &Home) -> Result<(Connection, bool), StoreError> {
    let path = home.database();
    let size = size(&path)?;
    if (1..=CHECKED_BYTES_MAX).contains(&size) {
        roll_back(&path)?;
        check(&path, &examine(&path)?)?;
    }
    Ok((open(home)?, size <= CHECKED_BYTES_MAX))
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

/// Opens the database at `path`, which exists, as somebody sees it who has filed what waits in the journal, without writing
/// anything. Nobody else writes as long as the connection is there.
pub(super) fn open_unfiled(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let db =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.pragma_update(None, "cache_spill", false)?;
        db.execute_batch("BEGIN IMMEDIATE")?;
        Ok(db)
    };
    let db = open().map_err(|error| sort(path, "open", error))?;
    journal::file(&db).map_err(|error| sort_row(path, "read", error))?;
    Ok(db)
}

/// Whether the room of the database at `path` ever had a second member or a message.
pub(super) fn was_used(path: &Path) -> Result<bool, StoreError> {
    if size(path)? == 0 {
        return Ok(false);
    }
    roll_back(path)?;
    let db = examine(path)?;
    if !has_tables(&db).map_err(|error| sort(path, "read", error))? {
        return Ok(false);
    }
    is_used(&db).map_err(|error| sort(path, "read", error))
}

/// Notes that the room has a second member or a message now: the home keeps it for good.
pub(super) fn mark_used(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO meta (key, value) VALUES ('used', 1)")?.execute(()).map(|_| ())
}

/// What an error of SQLite means for the database at `path`.
pub(super) fn sort(path: &Path, doing: &'static str, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { path: path.to_owned(), why: "it is no sound database".to_owned() }
        }
        Some(ErrorCode::DatabaseBusy) => StoreError::Locked { path: path.to_owned() },
        _ if commit::is_full(path, &error) => StoreError::DiskFull,
        // `ErrorCode` is SQLite's and open: the rest is told as it is.
        _ => StoreError::Database { doing, source: error },
    }
}

/// The same of a record that was to be written or read.
pub(super) fn sort_row(path: &Path, doing: &'static str, error: RowError) -> StoreError {
    match error {
        RowError::Sqlite(error) => sort(path, doing, error),
        RowError::Layout(_) | RowError::Changed(_) | RowError::JournalChanged => {
            StoreError::Damaged { path: path.to_owned(), why: error.to_string() }
        }
        RowError::JournalForeign => StoreError::Unread { path: path.to_owned(), why: error.to_string() },
    }
}

/// Takes back what was begun and not committed when the database was being made: before it has a write-ahead
/// log, a process that was killed leaves a journal, and one that only reads cannot use it.
fn roll_back(path: &Path) -> Result<(), StoreError> {
    let journal = path.with_extension("db-journal");
    if !journal.exists() {
        return Ok(());
    }
    let roll = || {
        let db =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        has_tables(&db).map(drop)
    };
    roll().map_err(|error| sort(path, "mend", error))
}

/// Opens an existing database to read, if it is one of moot's and not newer.
fn examine(path: &Path) -> Result<Connection, StoreError> {
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
    Ok(db)
}

fn check(path: &Path, db: &Connection) -> Result<(), StoreError> {
    let found = db.query_row("PRAGMA quick_check(1)", (), |row| row.get::<_, String>(0));
    let found = found.map_err(|error| sort(path, "check", error))?;
    if found == "ok" {
        return Ok(());
    }
    let why = found.lines().next_back().unwrap_or_default().to_lowercase();
    Err(StoreError::Damaged { path: path.to_owned(), why })
}

/// Bytes of the file; none where there is no file.
fn size(path: &Path) -> Result<u64, StoreError> {
    if !files::private_file(path)? {
        return Ok(0);
    }
    fs::metadata(path).map(|found| found.len()).map_err(StoreError::io("look at", path))
}

fn has_tables(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", (), |row| row.get(0))
}

/// A message that waits in the journal counts; before format 8 there was none.
fn is_used(db: &Connection) -> rusqlite::Result<bool> {
    let is_marked = db.query_row("SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'used')", (), |row| row.get(0))?;
    Ok(is_marked || (db.table_exists(None, "journal")? && !journal::is_empty(db)?))
}

fn prepare(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // A statement is planned once, not again for each value bound to it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    // The writer does it, because SQLite keeps what goes wrong in a checkpoint of its own to itself.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    if has_tables(&db)? {
        bring_up_to_date(&db)?;
    } else {
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {VERSION};
             {TABLES}
             {INDEX_OF_WORDS}
             {INDEXED}
             COMMIT;"
        ))?;
    }
    Ok(db)
}

/// Gives a database of an older format what it lacks, as a whole or not at all.
fn bring_up_to_date(db: &Connection) -> rusqlite::Result<()> {
    let found = db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
    if found == VERSION {
        return Ok(());
    }
    let mut lacking = String::new();
    if found < 2 {
        tracing::info!("the messages here are indexed for moot search, once; this may take a while");
        lacking = format!("{INDEX_OF_WORDS} INSERT INTO words (words) VALUES ('rebuild');");
    }
    if found < 3 {
        lacking.push_str(SAMPLES);
    }
    if found < 5 {
        lacking.push_str(ENDED);
        lacking.push_str(IN_ORDER);
    }
    if found < 6 {
        lacking.push_str(AGES);
    }
    if found < 7 {
        lacking.push_str(PRIVATE_FLOORS);
    }
    if found < 8 {
        lacking.push_str(JOURNAL);
    }
    if found < 4 {
        lacking.push_str(INDEXED);
    }
    let updated = db.execute_batch(&format!("BEGIN IMMEDIATE; {lacking} PRAGMA user_version = {VERSION}; COMMIT;"));
    if updated.is_err() && !db.is_autocommit() {
        db.execute_batch("ROLLBACK")?;
    }
    updated
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
/// Raised when the tables change. Format 1 had no index of words, format 2 no samples, format 3 indexed each message in
/// its own commit, format 4 had no index of the log's order, format 5 took ages from the wall
/// clock, format 6 forgot what an author told this node with its runs in the room, and format 7 had each record put where it
/// belongs in its own commit.
const VERSION: i64 = 8;
const IN_ORDER: &str = "CREATE INDEX messages_by_order ON messages (lamport);";
/// Until format 4 deliveries of what is no longer kept for others were left open.
const ENDED: &str = "UPDATE deliveries SET outcome = iif(outcome = 'waiting', 'expired', 'unknown')
    WHERE outcome IN ('waiting', 'sending')
    AND message IN (SELECT n FROM messages WHERE kind = 'group' AND sent = 1 AND retained = 0);";
/// How old what is there already is counts from here on.
const AGES: &str = "CREATE TABLE lived (n INTEGER PRIMARY KEY, receipt INTEGER NOT NULL, ms INTEGER NOT NULL) STRICT;";
const PRIVATE_FLOORS: &str = "CREATE TABLE private_floors (author TEXT PRIMARY KEY, incarnation INTEGER NOT NULL,
    boot INTEGER NOT NULL) STRICT, WITHOUT ROWID; INSERT INTO private_floors SELECT author, incarnation, boot FROM floors;";
const JOURNAL: &str = "CREATE TABLE journal (n INTEGER PRIMARY KEY, record BLOB NOT NULL, hash BLOB NOT NULL) STRICT;";
const SAMPLES: &str = "ALTER TABLE messages ADD COLUMN sample_of INTEGER;";
/// All messages that are here are in the index. From format 4 on a process that was killed leaves some that are not.
const INDEXED: &str = "INSERT OR REPLACE INTO meta (key, value) SELECT 'indexed', coalesce(max(n), 0) FROM messages;";
const TABLES: &str = include_str!("schema.sql");
const INDEX_OF_WORDS: &str = include_str!("search.sql");

/// How long a reader or writer waits for another program that holds the database, before it says so.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Negative is SQLite's way to say KiB. What is written is written once and seldom read back.
const WRITER_CACHE_KIB: i64 = -2048;
const READER_CACHE_KIB: i64 = -256;
/// What a burst leaves of the write-ahead log.
const WAL_BYTES_KEPT: i64 = 4 * 1024 * 1024;
/// A start does not read more than this to look for damage: half a second on a slow disk.
const CHECKED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// More than the statements that `rows` prepares.
const STATEMENTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::base::Rng;

    use crate::store::{Room, kit, load};

    /// A home whose database holds a page or two of messages, written through to the file.
    fn used_home(dir: &Path) -> Home {
        let home = kit::home(dir);
        let bo = kit::identity(&home, 1);
        let records: Vec<_> = (1..200).map(|seq| kit::received(&bo, seq, "what a day")).collect();
        kit::committer(&home).commit(&records).unwrap();
        home
    }

    fn refused(home: &Home) -> StoreError {
        let before = fs::read(home.database()).unwrap();
        let refused = load(home).unwrap_err();
        assert!(fs::read(home.database()).unwrap() == before, "{refused}: but it was written to");
        refused
    }

    #[test]
    fn a_damaged_database_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let home = used_home(&dir.path().join("home"));
        let sound = fs::read(home.database()).unwrap();
        let mut torn = sound.clone();
        torn[4096 * 3..4096 * 3 + 2000].fill(0xa5);
        for broken in [&torn[..], &sound[..sound.len() / 2], b"not a database at all, but long enough to be looked at"]
        {
            fs::write(home.database(), broken).unwrap();
            let refused = refused(&home);
            assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
        }
        fs::write(home.database(), &sound).unwrap();
        assert!(!load(&home).unwrap().is_empty());
    }

    #[test]
    fn a_database_that_was_lost_is_told_and_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut home = used_home(&dir.path().join("home"));
        home.note_database().unwrap();
        let truncate = |path: PathBuf| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(0);
        let remove = |path: PathBuf| fs::remove_file(path);
        for lose in [truncate as fn(_) -> _, remove] {
            lose(home.database()).unwrap();
            let refused = load(&home).unwrap_err();
            assert!(matches!(refused, StoreError::Missing { .. }), "{refused}");
        }
    }

    #[test]
    fn a_process_killed_while_it_made_the_database_leaves_one_that_opens() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let (path, journal) = (home.database(), home.database().with_extension("db-journal"));
        drop(files::open_private(&path).unwrap());
        let dying = Connection::open(&path).unwrap();
        dying.execute_batch("CREATE TABLE begun (x); BEGIN; INSERT INTO begun VALUES (zeroblob(100000));").unwrap();
        dying.cache_flush().unwrap();
        let (half_made, hot) = (fs::read(&path).unwrap(), fs::read(&journal).unwrap());
        dying.execute_batch("ROLLBACK; DROP TABLE begun; PRAGMA application_id = 0;").unwrap();
        drop(dying);

        fs::write(&path, half_made).unwrap();
        fs::write(&journal, hot).unwrap();
        roll_back(&path).unwrap();
        assert!(!journal.exists());
        let found =
            open_to_read(&path).unwrap().query_row("SELECT count(*) FROM begun", (), |row| row.get::<_, i64>(0));
        assert_eq!(found, Ok(0), "what was not committed is gone");
    }

    #[test]
    fn a_newer_database_and_somebody_elses_are_refused_and_left_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let home = used_home(&dir.path().join("home"));
        let db = Connection::open(home.database()).unwrap();
        db.pragma_update(None, "user_version", VERSION + 1).unwrap();
        drop(db);
        let newer = refused(&home);
        assert_eq!(
            newer.to_string(),
            format!(
                "{} was written by a newer moot (format {}, this one knows {VERSION}); update moot",
                home.database().display(),
                VERSION + 1
            )
        );
        fs::remove_file(home.database()).unwrap();
        let db = Connection::open(home.database()).unwrap();
        db.execute_batch("CREATE TABLE bills (amount)").unwrap();
        drop(db);
        fs::set_permissions(home.database(), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        assert!(matches!(refused(&home), StoreError::Foreign { .. }));
    }

    #[test]
    fn who_cannot_file_what_was_left_says_which_database_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let other = open(&home).unwrap();
        kit::committer(&home).commit_first([&kit::received(&kit::identity(&home, 1), 1, "hi")]).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let refused = refused(&home);
        assert!(matches!(&refused, StoreError::Locked { path } if *path == home.database()), "{refused}");
        other.execute_batch("ROLLBACK").unwrap();
        assert!(load(&home).is_ok());
    }

    #[test]
    fn a_database_of_another_identity_or_room_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ours = used_home(&dir.path().join("ours"));
        let mut rng = Rng::from_seed([8; 32]);
        let room = Room::found("elsewhere", &mut rng);
        let theirs = Home::open(&dir.path().join("theirs"), "bo", room, &mut rng).unwrap();
        fs::copy(ours.database(), theirs.database()).unwrap();
        assert!(matches!(refused(&theirs), StoreError::Mixed { what: "identity", .. }));
        fs::copy(theirs.dir().join("room.json"), ours.dir().join("room.json")).unwrap();
        let path = ours.dir().to_owned();
        drop(ours);
        assert!(matches!(refused(&kit::home(&path)), StoreError::Mixed { what: "room", .. }));
    }

    #[test]
    fn the_database_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let home = used_home(&dir.path().join("home"));
        let kept = open(&home).unwrap();
        kept.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
        for entry in fs::read_dir(home.dir()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{entry:?}");
        }
        fs::set_permissions(home.database(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load(&home), Err(StoreError::Permissions { .. })));
    }

    #[test]
    fn every_table_and_column_is_documented() {
        let document = include_str!("../../docs/STORE.md");
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(TABLES).unwrap();
        db.execute_batch(INDEX_OF_WORDS).unwrap();
        let columns = "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name)
                       AS columns WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'
                       AND tables.name NOT LIKE 'words_%'";
        let mut statement = db.prepare(columns).unwrap();
        let columns = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let columns: Vec<(String, String)> = columns.collect::<Result<_, _>>().unwrap();
        assert!(columns.len() > 60, "{columns:?}");
        for (table, column) in columns {
            let (_, section) = document.split_once(&format!("### `{table}`\n")).expect(&table);
            let section = section.split("\n### ").next().unwrap();
            let first_cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
            assert!(first_cells.into_iter().any(|cell| cell.contains(&format!("`{column}`"))), "{table}.{column}");
        }
    }
}
