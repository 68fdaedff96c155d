//! A person's home directory: who they are, which room is theirs, and that one process at a time runs there.
//! Owns the two files of secrets; knows nothing of tickets' text or of what is in the database.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use data_encoding::BASE32_NOPAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::lock::Lock;
use super::{StoreError, files, schema};
use crate::base::{Rng, RoomId, text};
use crate::crypto::{Identity, RoomSecret};

/// An opened home. Dropping it lets the next process in.
pub struct Home {
    dir: PathBuf,
    identity: Identity,
    nick: String,
    room: Room,
    is_new: bool,
    /// The database was made: if it is not there now, it was lost.
    has_database: bool,
    _lock: Lock,
}

/// A room as a ticket names it and the home keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Room {
    pub id: RoomId,
    /// Keeps to [`text::check_room_name`].
    pub name: String,
    pub secret: RoomSecret,
    /// Where a member of it may be found.
    pub addresses: Vec<SocketAddr>,
}

impl Room {
    /// A new room: its id and secret are drawn from `rng`, nobody is in it.
    #[must_use]
    pub fn found(name: &str, rng: &mut Rng) -> Self {
        Self {
            id: RoomId(rng.bytes()),
            name: name.to_owned(),
            secret: RoomSecret::generate(rng),
            addresses: Vec::new(),
        }
    }
}

impl Home {
    /// Whether a home was ever begun at `dir`.
    #[must_use]
    pub fn exists(dir: &Path) -> bool {
        dir.join(KEYS).exists()
    }

    /// The control socket of the home at `dir`, for who only asks the process that runs there.
    #[must_use]
    pub fn socket_in(dir: &Path) -> PathBuf {
        dir.join(SOCKET)
    }

    /// Opens the home at `dir`. Where there is none, makes it: keys drawn from `rng`, with `nick` and `room`;
    /// an existing home keeps its own (see [`Home::is_new`]).
    ///
    /// # Errors
    /// [`StoreError`], with the sentence that mends it. An existing home was not touched then; a new one is
    /// made by the next call, as if this one had not been.
    pub fn open(dir: &Path, nick: &str, room: Room, rng: &mut Rng) -> Result<Self, StoreError> {
        text::check_nick(nick)?;
        text::check_room_name(&room.name)?;
        files::private_dir(dir)?;
        let lock = Lock::take(&dir.join(LOCK))?;
        let is_new = !files::private_file(&dir.join(KEYS))?;
        let (identity, nick, room, has_database) = if is_new {
            (found(dir, nick, &room, rng)?, nick.to_owned(), room, false)
        } else {
            let identity = read::<KeysFile>(&dir.join(KEYS))?.identity(&dir.join(KEYS))?;
            let kept = read::<RoomFile>(&dir.join(ROOM))?;
            let has_database = kept.has_database;
            let (nick, room) = kept.parts(&dir.join(ROOM))?;
            (identity, nick, room, has_database)
        };
        Ok(Self { dir: dir.to_owned(), identity, nick, room, is_new, has_database, _lock: lock })
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether this opening made the home.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    #[must_use]
    pub fn nick(&self) -> &str {
        &self.nick
    }

    #[must_use]
    pub fn room(&self) -> &Room {
        &self.room
    }

    #[must_use]
    pub fn socket(&self) -> PathBuf {
        Self::socket_in(&self.dir)
    }

    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }

    /// Keeps `nick` for the next start.
    ///
    /// # Errors
    /// [`StoreError`]; the old nick stays.
    pub fn set_nick(&mut self, nick: &str) -> Result<(), StoreError> {
        text::check_nick(nick)?;
        self.write_room(nick, &self.room)?;
        nick.clone_into(&mut self.nick);
        Ok(())
    }

    /// Takes the room of a ticket. The same room again only brings its addresses; another one is taken where
    /// the present one never had a second member or a message.
    ///
    /// # Errors
    /// [`StoreError::RoomInUse`] where it had; else what the disk says. The present room stays.
    pub fn replace_room(&mut self, room: Room) -> Result<(), StoreError> {
        text::check_room_name(&room.name)?;
        if room == self.room {
            return Ok(());
        }
        let same = (room.id, &room.secret) == (self.room.id, &self.room.secret);
        if !same && schema::was_used(&self.database())? {
            return Err(StoreError::RoomInUse { name: self.room.name.clone() });
        }
        self.write_room(&self.nick, &room)?;
        self.room = room;
        Ok(())
    }

    /// Gives the room another name, where it never had a second member or a message: nobody knows it by the present one but from
    /// a ticket, which goes on leading here.
    ///
    /// # Errors
    /// [`StoreError::RoomInUse`] where it had; else what the disk says. The present name stays.
    pub fn rename_room(&mut self, name: &str) -> Result<(), StoreError> {
        text::check_room_name(name)?;
        if name == self.room.name {
            return Ok(());
        }
        if schema::was_used(&self.database())? {
            return Err(StoreError::RoomInUse { name: self.room.name.clone() });
        }
        self.replace_room(Room { name: name.to_owned(), ..self.room.clone() })
    }
}

impl Home {
    /// Whether the database was made in an earlier start.
    pub(super) fn has_database(&self) -> bool {
        self.has_database
    }

    /// Notes that the database is made. From now on a home without it is refused: with it went what was seen, so
    /// messages would be shown again.
    ///
    /// # Errors
    /// [`StoreError`]; it is not noted then.
    pub fn note_database(&mut self) -> Result<(), StoreError> {
        if !self.has_database {
            self.has_database = true;
            self.write_room(&self.nick, &self.room)?;
        }
        Ok(())
    }

    fn write_room(&self, nick: &str, room: &Room) -> Result<(), StoreError> {
        let file = RoomFile { has_database: self.has_database, ..RoomFile::of(nick, room) };
        write(&self.dir.join(ROOM), &file)
    }
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Home").field(&self.dir).finish()
    }
}

/// Writes what makes a directory a home. The keys come last: they are what says that it is one.
fn found(dir: &Path, nick: &str, room: &Room, rng: &mut Rng) -> Result<Identity, StoreError> {
    if dir.join(DATABASE).exists() {
        return Err(StoreError::Missing { path: dir.join(KEYS) });
    }
    write(&dir.join(ROOM), &RoomFile::of(nick, room))?;
    let identity = Identity::generate(rng);
    write(&dir.join(KEYS), &KeysFile::of(&identity))?;
    Ok(identity)
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let mut bytes = Zeroizing::new(serde_json::to_vec_pretty(value).expect("strings and numbers only"));
    bytes.push(b'\n');
    files::replace(path, &bytes)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    if !files::private_file(path)? {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(StoreError::io("read", path))?);
    let Format { format } = serde_json::from_slice(&bytes).map_err(|error| damaged(path, &error))?;
    if format > FORMAT {
        return Err(StoreError::Newer { path: path.to_owned(), found: format, known: FORMAT });
    }
    serde_json::from_slice(&bytes).map_err(|error| damaged(path, &error))
}

/// The error without the text that it complains of: that may be a secret.
fn damaged(path: &Path, error: &serde_json::Error) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), why: format!("line {}, column {}", error.line(), error.column()) }
}

/// What every version of the files begins with.
#[derive(Deserialize)]
struct Format {
    format: i64,
}

/// `keys.json`: the secrets of the identity.
#[derive(Serialize, Deserialize)]
struct KeysFile {
    format: i64,
    /// The Ed25519 seed.
    signing: SecretText,
    /// The Curve25519 secret.
    noise: SecretText,
}

impl KeysFile {
    fn of(identity: &Identity) -> Self {
        let (signing, noise) = identity.secrets();
        let (signing, noise) = (Zeroizing::new(signing), Zeroizing::new(noise));
        Self { format: FORMAT, signing: SecretText::of(&*signing), noise: SecretText::of(&*noise) }
    }

    fn identity(&self, path: &Path) -> Result<Identity, StoreError> {
        let signing = self.signing.bytes(path)?;
        let noise = self.noise.bytes(path)?;
        Ok(Identity::from_secrets(*signing, *noise))
    }
}

/// `room.json`: the room, and one's nick in it.
#[derive(Serialize, Deserialize)]
struct RoomFile {
    format: i64,
    nick: String,
    id: RoomId,
    name: String,
    secret: SecretText,
    addresses: Vec<SocketAddr>,
    #[serde(default)]
    has_database: bool,
}

impl RoomFile {
    fn of(nick: &str, room: &Room) -> Self {
        Self {
            format: FORMAT,
            nick: nick.to_owned(),
            id: room.id,
            name: room.name.clone(),
            secret: SecretText::of(&*Zeroizing::new(room.secret.to_bytes())),
            addresses: room.addresses.clone(),
            has_database: false,
        }
    }

    fn parts(self, path: &Path) -> Result<(String, Room), StoreError> {
        let why = |error: text::TextError| StoreError::Damaged { path: path.to_owned(), why: error.to_string() };
        text::check_nick(&self.nick).map_err(why)?;
        text::check_room_name(&self.name).map_err(why)?;
        let secret = RoomSecret::from_bytes(*self.secret.bytes(path)?);
        Ok((self.nick, Room { id: self.id, name: self.name, secret, addresses: self.addresses }))
    }
}

/// A secret in base32.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
struct SecretText(String);

impl SecretText {
    fn of(bytes: &[u8]) -> Self {
        Self(BASE32_NOPAD.encode(bytes))
    }

    fn bytes<const N: usize>(&self, path: &Path) -> Result<Zeroizing<[u8; N]>, StoreError> {
        let bytes = BASE32_NOPAD.decode(self.0.as_bytes()).map(Zeroizing::new).ok();
        let bytes = bytes.and_then(|bytes| <[u8; N]>::try_from(bytes.as_slice()).ok()).map(Zeroizing::new);
        bytes.ok_or_else(|| StoreError::Damaged { path: path.to_owned(), why: "a secret is no base32".to_owned() })
    }
}

const KEYS: &str = "keys.json";
const ROOM: &str = "room.json";
const LOCK: &str = "lock";
const SOCKET: &str = "control.sock";
const DATABASE: &str = "moot.db";
/// The form of the two files.
const FORMAT: i64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::kit;
    use std::os::unix::fs::PermissionsExt as _;

    fn other_room() -> Room {
        Room::found("bo's moot", &mut Rng::from_seed([2; 32]))
    }

    #[test]
    fn a_home_is_the_same_when_it_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/home");
        assert!(!Home::exists(&path));
        let home = kit::home(&path);
        assert!(home.is_new());
        let (id, room) = (home.identity().id(), home.room().clone());
        drop(home);
        assert!(Home::exists(&path));
        let again = Home::open(&path, "bo", other_room(), &mut Rng::from_seed([9; 32])).unwrap();
        assert!(!again.is_new());
        assert_eq!((again.identity().id(), again.room(), again.nick()), (id, &room, "ana"));
        for (path, right) in [(path.clone(), 0o700), (path.join(KEYS), 0o600), (path.join(ROOM), 0o600)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, right);
        }
    }

    #[test]
    fn a_home_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = kit::home(dir.path().join("home").as_path());
        let second = Home::open(first.dir(), "bo", other_room(), &mut Rng::from_seed([9; 32]));
        let refused = second.unwrap_err().to_string();
        assert!(refused.starts_with(&format!("moot already runs here (pid {})", std::process::id())), "{refused}");
    }

    #[test]
    fn keys_that_others_can_read_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home");
        drop(kit::home(&path));
        let keys = path.join(KEYS);
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Home::open(&path, "ana", other_room(), &mut Rng::from_seed([9; 32])).unwrap_err();
        let mended_by = format!("(mode 644); mend it with: chmod 600 {}", keys.display());
        assert!(refused.to_string().ends_with(&mended_by), "{refused}");
    }

    #[test]
    fn damaged_lost_or_newer_keys_are_refused_and_left_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home");
        drop(kit::home(&path));
        let keys = path.join(KEYS);
        let sound = fs::read_to_string(&keys).unwrap();
        let open = || Home::open(&path, "ana", other_room(), &mut Rng::from_seed([9; 32])).unwrap_err();
        for broken in ["", "{", "{\"format\": 1}", &sound.replace(": \"", ": \"1")] {
            fs::write(&keys, broken).unwrap();
            let refused = open();
            assert!(matches!(refused, StoreError::Damaged { .. }), "{broken}: {refused}");
            assert_eq!(fs::read_to_string(&keys).unwrap(), broken);
        }
        fs::write(&keys, "{\"format\": 7}").unwrap();
        assert!(matches!(open(), StoreError::Newer { found: 7, .. }));
        fs::remove_file(&keys).unwrap();
        fs::write(path.join(DATABASE), "").unwrap();
        assert!(matches!(open(), StoreError::Missing { .. }));
    }

    #[test]
    fn a_room_that_nobody_used_gives_way_to_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut home = kit::home(&dir.path().join("home"));
        super::super::load(&home).unwrap();
        home.replace_room(other_room()).unwrap();
        let path = home.dir().to_owned();
        drop(home);
        let home = kit::home(&path);
        assert_eq!(home.room(), &other_room());
        assert_eq!(super::super::load(&home).unwrap(), []);
    }

    #[test]
    fn a_room_with_a_second_member_or_a_message_stays() {
        let dir = tempfile::tempdir().unwrap();
        let bo = kit::identity(&kit::home(&dir.path().join("x")), 1);
        for (name, record) in [("a", kit::card(&bo, "bo", kit::run(5), 1)), ("b", kit::received(&bo, 1, "hi"))] {
            let mut home = kit::home(&dir.path().join(name));
            kit::committer(&home).commit([&record]).unwrap();
            let refused = home.replace_room(other_room()).unwrap_err();
            assert!(matches!(refused, StoreError::RoomInUse { .. }), "{refused}");
            assert_eq!(home.room().id, kit::ROOM);
            let moved = Room { addresses: vec!["10.0.0.9:4460".parse().unwrap()], ..home.room().clone() };
            home.replace_room(moved.clone()).unwrap();
            home.set_nick("anna").unwrap();
            let path = home.dir().to_owned();
            drop(home);
            let home = kit::home(&path);
            assert_eq!((home.room(), home.nick()), (&moved, "anna"));
        }
    }
}
