//! What people read of the past: the log, and messages to be told apart. Owns handles and the order of the log; reads on a
//! connection of its own, so that a commit that is on its way keeps nobody from reading. Which message a name means is `called`'s.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::columns::{Json, Num, Word};
use super::{Home, StoreError, index, journal, schema};
use crate::base::{MemberId, MessageId, Wall};
use crate::node::api::{Message, MessageKind};

/// A reader of the database. It sees what was filed when it is asked: see [`super::Settler`].
pub struct History {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    pub(super) me: MemberId,
    pub(super) nick: String,
}

impl History {
    /// Opens the database of `home`, which [`super::load`] or [`super::Writer`] made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(home: &Home) -> Result<Self, StoreError> {
        Ok(Self::reading(home, schema::open_to_read(&home.database())?))
    }

    /// The same, for when there is no room to file what waits in the journal: it is seen as if it were filed. Nobody writes as long
    /// as this reader is there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_unfiled(home: &Home) -> Result<Self, StoreError> {
        Ok(Self::reading(home, schema::open_unfiled(&home.database())?))
    }

    fn reading(home: &Home, db: Connection) -> Self {
        let (me, nick) = (home.identity().id(), home.nick().to_owned());
        Self { db, path: home.database(), me, nick }
    }

    /// Whether it shows all that was committed: nothing waits in the journal.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_filed(&self) -> Result<bool, StoreError> {
        journal::is_empty(&self.db).map_err(|error| self.sort(error))
    }

    /// Whether it finds all that it shows by its words.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_indexed(&self) -> Result<bool, StoreError> {
        index::is_up_to_date(&self.db).map_err(|error| self.sort(error))
    }

    /// Whether nobody writes as long as this reader is there.
    #[must_use]
    pub fn keeps_others_waiting(&self) -> bool {
        !self.db.is_autocommit()
    }

    /// One's own nick from now on: one's own card is not in the database.
    pub fn set_nick(&mut self, nick: &str) {
        nick.clone_into(&mut self.nick);
    }

    /// The last `count` messages in causal order, one's own among them: each author's in its own order, and an answer
    /// after what it answers. What comes late takes its place among them, so that the newest to arrive may not be there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn log(&self, count: usize) -> Result<Vec<Message>, StoreError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let read = || {
            let mut statement = self.db.prepare_cached(&log_query())?;
            statement.query_map([count], |row| self.message(row))?.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|error| self.sort(error))
    }

    /// Messages that are to be told apart, in their causal order, each with the nick of its receiver where it has one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn choices(&self, ids: &[MessageId]) -> Result<Vec<(Message, Option<String>)>, StoreError> {
        let read = || {
            let mut statement = self.db.prepare_cached(&format!(
                "SELECT {COLUMNS}, (SELECT nick FROM cards WHERE member = receiver) FROM messages
                 LEFT JOIN cards ON member = author WHERE id IN (SELECT value FROM json_each(?1))
                 ORDER BY {CAUSAL_ORDER}",
            ))?;
            let rows = statement.query_map([Json(ids.to_vec())], |row| {
                let message = self.message(row)?;
                let nick: Option<String> = row.get(COLUMNS_COUNT)?;
                let to = message.to.map(|to| match nick {
                    Some(nick) => nick,
                    None if to == self.me => self.nick.clone(),
                    None => to.short(),
                });
                Ok((message, to))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|error| self.sort(error))
    }

    /// The shortest handle of the message that no other one here shares, at least `HANDLE_CHARS_MIN` long.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn handle(&self, id: MessageId) -> Result<String, StoreError> {
        self.handle_of(id).map_err(|error| self.sort(error))
    }

    /// The message of a row that begins with [`COLUMNS`].
    pub(super) fn message(&self, row: &Row<'_>) -> rusqlite::Result<Message> {
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
            received_at: Some(Wall(at)),
            recovered,
            via: (via != from).then_some(via),
            late_ms: recovered.then(|| at.saturating_sub(said_at)),
        })
    }

    pub(super) fn handle_of(&self, id: MessageId) -> rusqlite::Result<String> {
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

    pub(super) fn sort(&self, error: rusqlite::Error) -> StoreError {
        schema::sort(&self.path, "read", error)
    }
}

/// What [`History::message`] reads, from `messages` and the author's card.
pub(super) const COLUMNS: &str = "id, kind, author, cards.nick, receiver, seq, messages.incarnation, text, said_at,
    recovered, via, messages.at";
pub(super) const COLUMNS_COUNT: usize = 12;
/// Each author's messages in its own order, and an answer after what it answers.
pub(super) const CAUSAL_ORDER: &str = "lamport, author, messages.incarnation, messages.boot, seq";
/// The same from its end.
const CAUSAL_ORDER_BACK: &str = "lamport DESC, author DESC, messages.incarnation DESC, messages.boot DESC, seq DESC";

/// The newest of the log, as many as are asked for. Which these are is told by an index that every message adds one number to,
/// and what else tells apart those of one number is sorted.
fn log_query() -> String {
    format!(
        "SELECT {COLUMNS} FROM messages JOIN (SELECT n AS newest FROM messages INDEXED BY messages_by_order
         ORDER BY {CAUSAL_ORDER_BACK} LIMIT ?1) ON n = newest LEFT JOIN cards ON member = author ORDER BY {CAUSAL_ORDER}"
    )
}

/// What a person is shown of an id where nothing longer is needed.
const HANDLE_CHARS_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership;
    use crate::messaging::Record;
    use crate::node::{self, Restored};

    use crate::store::{kit, load};

    #[test]
    fn the_newest_of_a_long_log_are_found_without_reading_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        write(&home, &(1..=50).map(|seq| kit::received(&bo, seq, "hello")).collect::<Vec<_>>());
        let history = History::open(&home).unwrap();
        let mut plan = history.db.prepare(&format!("EXPLAIN QUERY PLAN {}", log_query())).unwrap();
        let plan: Vec<String> =
            plan.query_map([10], |row| row.get("detail")).unwrap().collect::<Result<_, _>>().unwrap();
        let scans: Vec<&String> = plan.iter().filter(|step| step.starts_with("SCAN messages")).collect();
        assert_eq!(scans, ["SCAN messages USING INDEX messages_by_order"], "{plan:?}");
        assert_eq!(history.log(10).unwrap().len(), 10);
    }

    fn write(home: &Home, records: &[node::Record]) {
        kit::committer(home).commit(records).unwrap();
    }

    fn texts(messages: &[Message]) -> Vec<String> {
        messages.iter().map(|message| format!("{}: {}", message.nick, message.text)).collect()
    }

    #[test]
    fn the_log_has_everybodys_messages_in_causal_order() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo, cy] = [0, 1, 2].map(|number| kit::identity(&home, number));
        let (bytes, _) = kit::private(&bo, kit::run(5), ana.id(), 1, "psst");
        let at = Wall(9_000);
        let late = kit::group(&cy, kit::run(5), 2, None, "late").bytes().clone();
        write(
            &home,
            &[
                kit::card(&bo, "bo", kit::run(5), 1),
                kit::received(&bo, 9, "hello"),
                kit::sent(&ana, bo.id(), 1, "hi bo"),
                node::Record::Messaging(Record::PrivateReceived { bytes, order: 2, at }),
                node::Record::Messaging(Record::GroupReceived {
                    bytes: late,
                    via: bo.id(),
                    recovered: true,
                    order: 6,
                    at,
                }),
            ],
        );
        let mut history = History::open(&home).unwrap();
        let log = history.log(10).unwrap();
        let cys = format!("{}: late", cy.id().short());
        assert_eq!(texts(&log), ["ana: hi bo", "bo: psst", &cys, "bo: hello"]);
        assert_eq!((log[1].kind, log[1].to), (MessageKind::Private, Some(ana.id())));
        assert_eq!((log[2].recovered, log[2].via, log[2].late_ms), (true, Some(bo.id()), Some(7_998)));
        assert_eq!((log[3].recovered, log[3].via, log[3].late_ms), (false, None, None));
        assert_eq!((log[3].said_at, log[3].received_at), (Wall(1_009), Some(Wall(2_000))));
        history.set_nick("anna");
        assert_eq!(texts(&history.log(4).unwrap()), ["anna: hi bo", "bo: psst", &cys, "bo: hello"]);
        // The one that came last was said before bo's.
        assert_eq!(texts(&history.log(1).unwrap()), ["bo: hello"]);
        assert_eq!(texts(&history.log(2).unwrap()), [cys.as_str(), "bo: hello"]);
    }

    #[test]
    fn forgetting_a_member_leaves_its_nick_to_what_it_said() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let forgotten = membership::Record::Forgotten { member: bo.id(), run: kit::run(5) };
        let records =
            [kit::card(&bo, "bo", kit::run(5), 1), kit::received(&bo, 1, "hello"), node::Record::Membership(forgotten)];
        write(&home, &records);
        assert_eq!(texts(&History::open(&home).unwrap().log(9).unwrap()), ["bo: hello"]);
        assert_eq!(Restored::fold(load(&home).unwrap()), Restored::fold(&records));
    }
}
