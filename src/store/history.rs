//! What people read of the past: the log, and a message by the name that they know it by. Owns handles and the
//! order of the log; reads on a connection of its own, so that it never waits for the writer.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use super::columns::{Num, Word};
use super::{Home, StoreError, schema};
use crate::base::{MemberId, MessageId, Wall};
use crate::node::api::{Message, MessageKind};

/// A reader of the database. It sees what was committed when it is asked.
pub struct History {
    db: Connection,
    path: PathBuf,
    me: MemberId,
    nick: String,
}

/// Why no message was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("no message here is called {name}; moot log lists them")]
    Unknown { name: String },
    #[error("{name} can be {}; add a character, or use the handle", matches.join(", "))]
    Ambiguous { name: String, matches: Vec<String> },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl History {
    /// Opens the database of `home`, which [`super::load`] or [`super::Writer`] made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(home: &Home) -> Result<Self, StoreError> {
        let db = schema::open_to_read(&home.database())?;
        let (me, nick) = (home.identity().id(), home.nick().to_owned());
        Ok(Self { db, path: home.database(), me, nick })
    }

    /// One's own nick from now on: one's own card is not in the database.
    pub fn set_nick(&mut self, nick: &str) {
        nick.clone_into(&mut self.nick);
    }

    /// The last `count` messages, one's own among them, in the order in which they were committed: that is how
    /// they were shown.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn log(&self, count: usize) -> Result<Vec<Message>, StoreError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let mut messages = self.messages("ORDER BY n DESC LIMIT ?1", [count])?;
        messages.reverse();
        Ok(messages)
    }

    /// The message called `name`: a handle of any length that is unique, or `nick#seq`, which is the one of the
    /// member's latest run that has it.
    ///
    /// # Errors
    /// [`FindError::Ambiguous`] names the matches, at most `MATCHES_MAX`.
    pub fn find(&self, name: &str) -> Result<Message, FindError> {
        let mut found = match name.split_once('#') {
            Some((nick, seq)) => self.numbered(nick, seq)?,
            None => self.beginning(name)?,
        };
        if found.len() > 1 {
            let matches = found.iter().take(MATCHES_MAX).map(described).collect();
            return Err(FindError::Ambiguous { name: name.to_owned(), matches });
        }
        found.pop().ok_or_else(|| FindError::Unknown { name: name.to_owned() })
    }

    /// The shortest handle of the message that no other one here shares, at least `HANDLE_CHARS_MIN` long.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn handle(&self, id: MessageId) -> Result<String, StoreError> {
        self.handle_of(id).map_err(|error| self.sort(error))
    }

    fn beginning(&self, prefix: &str) -> Result<Vec<Message>, StoreError> {
        let prefix = prefix.to_ascii_lowercase();
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Vec::new());
        }
        // `{` follows `z`, so that the range holds what begins with the prefix.
        let end = format!("{prefix}{{");
        self.messages("WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3", (prefix, end, MATCHES_READ))
    }

    fn numbered(&self, nick: &str, seq: &str) -> Result<Vec<Message>, StoreError> {
        let Ok(seq) = seq.parse() else { return Ok(Vec::new()) };
        let own = (nick == self.nick).then_some(Word(self.me));
        self.messages(
            "WHERE seq = ?2 AND (author = ?3 OR author IN (SELECT member FROM cards WHERE nick = ?1))
             AND NOT EXISTS (SELECT 1 FROM messages AS later WHERE later.author = messages.author AND later.seq = ?2
             AND (later.incarnation < 0, later.incarnation, later.boot < 0, later.boot)
             > (messages.incarnation < 0, messages.incarnation, messages.boot < 0, messages.boot))
             ORDER BY n LIMIT ?4",
            (nick, Num(seq), own, MATCHES_READ),
        )
    }

    fn messages(&self, which: &str, values: impl Params) -> Result<Vec<Message>, StoreError> {
        let query = format!(
            "SELECT id, kind, author, cards.nick, receiver, seq, messages.incarnation, text, said_at, recovered, via,
             at FROM messages LEFT JOIN cards ON member = author {which}"
        );
        let read = || {
            let mut statement = self.db.prepare_cached(&query)?;
            statement.query_map(values, |row| self.message(row))?.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|error| self.sort(error))
    }

    fn message(&self, row: &Row<'_>) -> rusqlite::Result<Message> {
        let Word(id) = row.get(0)?;
        let Word(from): Word<MemberId> = row.get(2)?;
        let nick: Option<String> = row.get(3)?;
        let nick = nick.or_else(|| (from == self.me).then(|| self.nick.clone())).unwrap_or_else(|| from.short());
        let (Num(said_at), Num(at)) = (row.get(8)?, row.get(11)?);
        let recovered: bool = row.get(9)?;
        let Word(via) = row.get(10)?;
        Ok(Message {
            id,
            handle: self.handle_of(id)?,
            kind: row.get::<_, Word<MessageKind>>(1)?.0,
            from,
            nick,
            to: row.get::<_, Option<Word<_>>>(4)?.map(|Word(to)| to),
            seq: row.get::<_, Num>(5)?.0,
            incarnation: row.get::<_, Num>(6)?.0,
            text: row.get(7)?,
            said_at: Wall(said_at),
            recovered,
            via: (via != from).then_some(via),
            late_ms: recovered.then(|| at.saturating_sub(said_at)),
        })
    }

    fn handle_of(&self, id: MessageId) -> rusqlite::Result<String> {
        let text = id.to_string();
        let mut chars = HANDLE_CHARS_MIN;
        for neighbour in [
            "SELECT id FROM messages WHERE id < ?1 ORDER BY id DESC LIMIT 1",
            "SELECT id FROM messages WHERE id > ?1 ORDER BY id LIMIT 1",
        ] {
            let neighbour: Option<String> =
                self.db.prepare_cached(neighbour)?.query_row([&text], |row| row.get(0)).optional()?;
            let shared =
                neighbour.map_or(0, |other| text.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count());
            chars = chars.max(shared + 1);
        }
        Ok(id.handle(chars))
    }

    fn sort(&self, error: rusqlite::Error) -> StoreError {
        schema::sort(&self.path, "read", error)
    }
}

fn described(message: &Message) -> String {
    let kind = match message.kind {
        MessageKind::Group => "to the room",
        MessageKind::Private => "private",
    };
    format!("{} ({kind}, by {})", message.handle, message.nick)
}

/// What a person is shown of an id where nothing longer is needed.
const HANDLE_CHARS_MIN: usize = 4;
/// Matches that are named where a name is not unique.
const MATCHES_MAX: usize = 8;
/// One more shows that there are more.
const MATCHES_READ: i64 = 9;
