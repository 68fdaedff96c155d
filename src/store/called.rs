//! Which message a person means: by the beginning of its id, or by its author and number. Owns how a number, which each run of
//! an author counts anew, is taken; the sentences are the asker's.

use std::str::FromStr;

use rusqlite::OptionalExtension as _;

use super::columns::{Num, Word};
use super::history::History;
use super::{By, StoreError};
use crate::base::{Incarnation, MemberId, MessageId, Run, Seq};

/// What a message is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Called {
    /// By how its id begins.
    Handle(String),
    Numbered(By, Seq),
}

/// The messages that go by a name, at most `MATCHES_MAX` of each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meant {
    pub ids: Vec<MessageId>,
    /// Where a number is of none in its author's newest run that is known here: those of earlier runs, the newest first.
    pub earlier: Vec<MessageId>,
}

impl FromStr for Called {
    type Err = std::convert::Infallible;

    /// `bo#4`, else a handle.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let numbered = name.split_once('#').and_then(|(author, seq)| Some((author, seq.parse().ok()?)));
        Ok(match numbered {
            Some((author, seq)) => Self::Numbered(By::Nick(author.to_owned()), seq),
            None => Self::Handle(name.to_owned()),
        })
    }
}

impl History {
    /// The messages called `name`. A number is one of its author's newest run that a message, a gap or a card here tells of.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find(&self, name: &Called) -> Result<Meant, StoreError> {
        let found = match name {
            Called::Handle(prefix) => self.beginning(prefix).map(|ids| Meant { ids, earlier: Vec::new() }),
            Called::Numbered(by, seq) => self.numbered(by, *seq),
        };
        found.map_err(|error| self.sort(error))
    }

    fn beginning(&self, prefix: &str) -> rusqlite::Result<Vec<MessageId>> {
        let prefix = prefix.to_ascii_lowercase();
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Vec::new());
        }
        // `{` follows `z`, so that the range holds what begins with the prefix.
        let end = format!("{prefix}{{");
        let mut statement =
            self.db.prepare_cached("SELECT id FROM messages WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3")?;
        let max = i64::try_from(MATCHES_MAX).unwrap_or(i64::MAX);
        statement.query_map((prefix, end, max), |row| row.get(0).map(|Word(id)| id))?.collect()
    }

    fn numbered(&self, by: &By, seq: Seq) -> rusqlite::Result<Meant> {
        let mut meant = Meant::default();
        let mut earlier = Vec::new();
        for author in self.called(by)? {
            let newest = self.newest_run(author, seq)?;
            let numbered = "SELECT incarnation, boot, id FROM messages WHERE seq = ?1 AND author = ?2 ORDER BY n";
            let mut statement = self.db.prepare_cached(numbered)?;
            let mut rows = statement.query((Num(seq), Word(author)))?;
            while let Some(row) = rows.next()? {
                let (Num(incarnation), Num(boot), Word(id)) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let run = Run { incarnation, boot };
                if Some(run) == newest {
                    meant.ids.push(id);
                } else {
                    earlier.push((run, id));
                }
            }
        }
        if meant.ids.is_empty() {
            earlier.sort_by_key(|&(run, _)| std::cmp::Reverse(run));
            meant.earlier = earlier.into_iter().map(|(_, id)| id).take(MATCHES_MAX).collect();
        }
        meant.ids.truncate(MATCHES_MAX);
        Ok(meant)
    }

    /// The newest run of an author that anything here tells of. Of a run that has more than `seq` messages the first, or that
    /// it is missing or from before one's time, is known: so the messages need not all be looked through.
    fn newest_run(&self, author: MemberId, seq: Seq) -> rusqlite::Result<Option<Run>> {
        let own = || -> rusqlite::Result<Option<Run>> {
            let of = |key| -> rusqlite::Result<Option<Incarnation>> {
                let mut statement = self.db.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
                Ok(statement.query_row([key], |row| row.get(0)).optional()?.map(|Num(value)| value))
            };
            Ok(of("incarnation")?.zip(of("boot")?).map(|(incarnation, boot)| Run { incarnation, boot }))
        };
        let mut statement = self.db.prepare_cached(
            "SELECT incarnation, boot FROM messages WHERE seq IN (1, ?2) AND author = ?1
             UNION SELECT incarnation, boot FROM cards WHERE member = ?1
             UNION SELECT incarnation, boot FROM gaps WHERE author = ?1
             UNION SELECT incarnation, boot FROM history WHERE author = ?1
             UNION SELECT incarnation, boot FROM seen WHERE author = ?1",
        )?;
        let run = |row: &rusqlite::Row<'_>| {
            let (Num(incarnation), Num(boot)) = (row.get(0)?, row.get(1)?);
            Ok(Run { incarnation, boot })
        };
        let told = statement.query_map((Word(author), Num(seq)), run)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let own = if author == self.me { own()? } else { None };
        Ok(told.into_iter().chain(own).max())
    }

    /// Who goes by that name, oneself too; also who is forgotten as a member.
    pub(super) fn called(&self, by: &By) -> rusqlite::Result<Vec<MemberId>> {
        let nick = match by {
            By::Member(id) => return Ok(vec![*id]),
            By::Nick(nick) => nick,
        };
        let mut statement = self.db.prepare_cached("SELECT member FROM cards WHERE nick = ?1")?;
        let others = statement.query_map([nick], |row| row.get(0).map(|Word(id)| id))?;
        let others: Vec<MemberId> = others.collect::<Result<_, _>>()?;
        let own = (*nick == self.nick).then_some(self.me);
        Ok(own.into_iter().chain(others.into_iter().filter(|&id| id != self.me)).collect())
    }
}

/// Matches that are named where a name is not unique.
const MATCHES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;
    use crate::messaging::{GapRecord, Record};
    use crate::{membership, node};

    use crate::store::{Home, kit};

    fn write(home: &Home, records: &[node::Record]) {
        kit::committer(home).commit(records).unwrap();
    }

    fn find(home: &Home, name: &str) -> Meant {
        History::open(home).unwrap().find(&name.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_message_is_found_by_handle_and_by_number() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo] = [0, 1].map(|number| kit::identity(&home, number));
        let old = kit::group(&bo, kit::run(4), 3, None, "of an earlier run").bytes().clone();
        let old = Record::GroupReceived { bytes: old, via: bo.id(), recovered: false, order: 1, at: Wall(1) };
        let (private, private_id) = kit::private(&bo, kit::run(5), ana.id(), 7, "psst");
        let private = Record::PrivateReceived { bytes: private, order: 2, at: Wall(1) };
        let mut records: Vec<_> = (1..200).map(|seq| kit::received(&bo, seq, "hello")).collect();
        records.extend([node::Record::Messaging(old), node::Record::Messaging(private)]);
        records.push(kit::card(&bo, "bo", kit::run(5), 1));
        records.push(kit::sent(&ana, bo.id(), 3, "own"));
        write(&home, &records);
        let history = History::open(&home).unwrap();
        let named = |name: &str| history.find(&name.parse().unwrap()).unwrap().ids;
        for message in history.log(1_000).unwrap() {
            assert!(message.handle.len() >= 4);
            assert_eq!(named(&message.handle), [message.id]);
            assert_eq!(named(&message.id.to_string().to_uppercase()), [message.id]);
        }
        let of = |by, seq, text| kit::group(by, kit::run(5), seq, None, text).id();
        assert_eq!(named("bo#3"), [of(&bo, 3, "hello")]);
        assert_eq!(named("ana#3"), [of(&ana, 3, "own")]);
        assert_eq!(named("bo#7"), [of(&bo, 7, "hello"), private_id]);
        let choices = history.choices(&named("bo#7")).unwrap();
        let choices: Vec<_> = choices.iter().map(|(message, to)| (message.text.as_str(), to.as_deref())).collect();
        assert_eq!(choices.len(), 2);
        assert!(choices.contains(&("hello", None)) && choices.contains(&("psst", Some("ana"))), "{choices:?}");
        for unknown in ["bo#900", "cy#1", "bo#x", "zzzzzzzz", "", "k7f%", "#3"] {
            assert_eq!(find(&home, unknown), Meant::default(), "{unknown}");
        }
        let first = &history.log(1).unwrap()[0].handle[..1];
        assert!((2..=8).contains(&named(first).len()));
    }

    #[test]
    fn a_number_of_an_earlier_run_is_never_taken_for_one_of_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo] = [0, 1].map(|number| kit::identity(&home, number));
        let said = |run, seq| {
            let message = kit::group(&bo, kit::run(run), seq, None, "hello");
            let (bytes, id) = (message.bytes().clone(), message.id());
            let received = Record::GroupReceived { bytes, via: bo.id(), recovered: false, order: seq, at: Wall(1) };
            (node::Record::Messaging(received), id)
        };
        let [(first, _), (fourth, old), (older, oldest)] = [said(5, 1), said(5, 4), said(4, 4)];
        write(&home, &[kit::card(&bo, "bo", kit::run(5), 1), first, fourth, older, kit::sent(&ana, bo.id(), 4, "own")]);
        assert_eq!(find(&home, "bo#4"), Meant { ids: vec![old], earlier: vec![] });
        let of_bo = Called::Numbered(By::Member(bo.id()), 4);
        assert_eq!(History::open(&home).unwrap().find(&of_bo).unwrap().ids, [old]);

        // Of a newer run only a card, a gap or another message is known here.
        let gap = GapRecord { author: bo.id(), run: kit::run(7), first: 4, last: 5, asked: vec![], at: Wall(1) };
        for newer in [kit::card(&bo, "bo", kit::run(6), 1), node::Record::Messaging(Record::Gap(gap)), said(8, 1).0] {
            write(&home, &[newer]);
            assert_eq!(find(&home, "bo#4"), Meant { ids: vec![], earlier: vec![old, oldest] });
        }
        let (newest, id) = said(8, 4);
        write(&home, &[newest]);
        assert_eq!(find(&home, "bo#4"), Meant { ids: vec![id], earlier: vec![] });

        // One's own card is not there, but one's own run is.
        assert_eq!(find(&home, "ana#4").ids.len(), 1);
        write(&home, &[node::Record::Membership(membership::Record::Run(kit::run(6)))]);
        let own = find(&home, "ana#4");
        assert_eq!((own.ids.len(), own.earlier.len()), (0, 1));
    }
}
