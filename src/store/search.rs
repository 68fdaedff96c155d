//! Finding messages by what they say. Owns what a search may ask for, and how the place of a hit is told; how a message
//! is read from its row is `history`'s.

use super::StoreError;
use super::columns::Json;
use super::history::{CAUSAL_ORDER, COLUMNS, COLUMNS_COUNT, History};
use crate::base::MemberId;
use crate::node::api::{Found, Piece};

/// What is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Search {
    /// As it was typed: see [`History::search`].
    pub words: String,
    pub by: Option<By>,
    /// How many are wanted.
    pub limit: usize,
}

/// Whose messages are looked through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum By {
    Member(MemberId),
    /// Whoever was called that by the newest card that is kept: who is forgotten as a member is still an author.
    Nick(String),
}

/// The newest messages that match, in causal order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matches {
    pub found: Vec<Found>,
    /// Older ones match too.
    pub more: bool,
}

/// Why nothing could be looked for.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("{0:?} holds no word to look for; a word has letters or digits")]
    NoWords(String),
    #[error("nobody known here is called {0} now; moot who lists the members")]
    Nobody(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl History {
    /// Looks for messages that hold all the words. Case and accents make no difference; words in quotes stand in a
    /// row, and `build*` is how a word may begin. What is in a script without blanks between words is looked for in the texts
    /// themselves, the newest first, wherever it stands in them.
    ///
    /// # Errors
    /// [`SearchError`].
    pub fn search(&self, search: &Search) -> Result<Matches, SearchError> {
        let Terms { query, parts } = terms(&search.words);
        if query.is_none() && parts.is_empty() {
            return Err(SearchError::NoWords(search.words.clone()));
        }
        let authors = search.by.as_ref().map(|by| self.authors(by)).transpose()?;
        let wanted = i64::try_from(search.limit).unwrap_or(i64::MAX).saturating_add(1);
        let hits = if query.is_some() {
            format!(
                "SELECT words.rowid AS found, snippet(words, 0, '{HIT}', '{HIT_END}', '{CUT}', {SNIPPET_WORDS}) AS snippet
                 FROM words JOIN messages AS said ON said.n = words.rowid WHERE words MATCH ?1"
            )
        } else {
            "SELECT said.n AS found, NULL AS snippet FROM messages AS said WHERE ?1 IS NULL".to_owned()
        };
        let read = || {
            let mut statement = self.db.prepare_cached(&format!(
                "SELECT {COLUMNS}, snippet, n FROM
                 ({hits} AND (?2 IS NULL OR said.author IN (SELECT value FROM json_each(?2)))
                  AND NOT EXISTS (SELECT 1 FROM json_each(?4) WHERE instr(lower(said.text), value) = 0)
                  ORDER BY found DESC LIMIT ?3)
                 JOIN messages ON n = found LEFT JOIN cards ON member = author ORDER BY {CAUSAL_ORDER}"
            ))?;
            let rows = statement.query_map((&query, authors.map(Json), wanted, Json(&parts)), |row| {
                let message = self.message(row)?;
                let snippet = match row.get::<_, Option<String>>(COLUMNS_COUNT)? {
                    Some(marked) => pieces(&message.text, &marked),
                    None => vec![Piece { text: around(&message.text, &parts), hit: false }],
                };
                let snippet = snippet.into_iter().flat_map(|piece| mark(piece, &parts)).collect();
                Ok((row.get(COLUMNS_COUNT + 1)?, Found { message, snippet }))
            })?;
            rows.collect::<Result<Vec<(i64, Found)>, _>>()
        };
        let mut found = read().map_err(|error| self.sort(error))?;
        let more = found.len() > search.limit;
        if let Some(oldest) = found.iter().map(|&(n, _)| n).min().filter(|_| more) {
            found.retain(|&(n, _)| n != oldest);
        }
        Ok(Matches { found: found.into_iter().map(|(_, found)| found).collect(), more })
    }

    fn authors(&self, by: &By) -> Result<Vec<MemberId>, SearchError> {
        let authors = self.called(by).map_err(|error| self.sort(error))?;
        match by {
            By::Nick(nick) if authors.is_empty() => Err(SearchError::Nobody(nick.clone())),
            By::Nick(_) | By::Member(_) => Ok(authors),
        }
    }
}

/// What is looked for.
struct Terms {
    /// In the language of FTS5: all words, each quoted so that it is a word and nothing else. `None` where there is none.
    query: Option<String>,
    /// In a script without blanks between words, of which the index takes a whole sentence as one word: ASCII in lower case.
    parts: Vec<String>,
}

fn terms(typed: &str) -> Terms {
    let typed = typed.replace(char::is_control, " ");
    let mut terms = Vec::new();
    // What stands at odd places is inside of quotes. A quote that is left open holds until the end.
    for (place, part) in typed.split('"').enumerate() {
        if place % 2 == 1 {
            // A star behind the quotes belongs to the phrase, but stands in the next part.
            terms.push((part.to_owned(), false));
            continue;
        }
        let mut part = part;
        if let (Some(rest), Some((_, begins))) = (part.strip_prefix('*'), terms.last_mut()) {
            *begins = true;
            part = rest;
        }
        terms.extend(part.split_whitespace().map(|word| match word.strip_suffix('*') {
            Some(beginning) => (beginning.to_owned(), true),
            None => (word.to_owned(), false),
        }));
    }
    terms.retain(|(words, _)| words.chars().any(char::is_alphanumeric));
    let (parts, terms): (Vec<_>, Vec<_>) = terms.into_iter().partition(|(words, _)| words.chars().any(is_unspaced));
    let quoted = terms.iter().map(|(words, begins)| format!("\"{words}\"{}", if *begins { "*" } else { "" }));
    Terms {
        query: (!terms.is_empty()).then(|| quoted.collect::<Vec<_>>().join(" ")),
        parts: parts.into_iter().map(|(part, _)| part.trim().to_ascii_lowercase()).collect(),
    }
}

/// Thai, Lao, Burmese, Khmer, kana and Han: what is written without blanks between words.
const fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9d}' | '\u{20000}'..='\u{3ffff}')
}

/// What stands around the first hit, in one piece.
fn around(text: &str, parts: &[String]) -> String {
    let lower = text.to_ascii_lowercase();
    let at = parts.iter().filter_map(|part| lower.find(part.as_str())).min().unwrap_or(0);
    let before = text[..at].char_indices().rev().take(AROUND_CHARS / 4).last().map_or(at, |(first, _)| first);
    let after = text[before..].char_indices().nth(AROUND_CHARS).map_or(text.len(), |(count, _)| before + count);
    let cut = |is_cut| if is_cut { CUT.to_string() } else { String::new() };
    format!("{}{}{}", cut(before > 0), &text[before..after], cut(after < text.len()))
}

/// The piece with the parts in it told from the rest.
fn mark(piece: Piece, parts: &[String]) -> Vec<Piece> {
    if piece.hit {
        return vec![piece];
    }
    let lower = piece.text.to_ascii_lowercase();
    let mut marked = Vec::new();
    let mut from = 0;
    let next = |from: usize| {
        let hits = parts.iter().filter_map(|part| Some((lower[from..].find(part.as_str())? + from, part.len())));
        hits.min_by_key(|&(at, bytes)| (at, std::cmp::Reverse(bytes)))
    };
    while let Some((at, bytes)) = next(from) {
        marked.push(Piece { text: piece.text[from..at].to_owned(), hit: false });
        marked.push(Piece { text: piece.text[at..at + bytes].to_owned(), hit: true });
        from = at + bytes;
    }
    marked.push(Piece { text: piece.text[from..].to_owned(), hit: false });
    marked.retain(|piece| !piece.text.is_empty());
    marked
}

/// The snippet as SQLite marked it, in pieces. A text that holds the marks itself is not believed: its hits are not
/// told from the rest.
fn pieces(text: &str, marked: &str) -> Vec<Piece> {
    if text.contains([HIT, HIT_END]) {
        let plain = marked.chars().filter(|&c| c != HIT && c != HIT_END).collect();
        return vec![Piece { text: plain, hit: false }];
    }
    let mut pieces = Vec::new();
    for part in marked.split_inclusive([HIT, HIT_END]) {
        let hit = part.ends_with(HIT_END);
        let text = part.trim_end_matches([HIT, HIT_END]);
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), hit });
        }
    }
    pieces
}

/// Marks around a hit: two of the code points that Unicode keeps free for a program's own use.
const HIT: char = '\u{fdd0}';
const HIT_END: char = '\u{fdd1}';
/// What stands where a text goes on.
const CUT: char = '…';
/// Words in a snippet: about a line of a terminal. FTS5 takes 64 at most.
const SNIPPET_WORDS: u8 = 16;
/// The same in letters.
const AROUND_CHARS: usize = 60;

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::base::{Lived, Wall};
    use crate::messaging::{Chain, Outcome, Record};
    use crate::node;

    use crate::store::{Home, kit, load, schema};
    use crate::wire::{GroupMessage, Signed};

    fn write(home: &Home, records: &[node::Record]) {
        kit::committer(home).commit(records).unwrap();
    }

    fn search(words: &str) -> Search {
        Search { words: words.to_owned(), by: None, limit: 10 }
    }

    fn found(home: &Home, words: &str) -> Vec<String> {
        let matches = History::open(home).unwrap().search(&search(words)).unwrap();
        matches.found.into_iter().map(|found| found.message.text).collect()
    }

    /// As in a text: `the «build» is done`.
    fn snippet(found: &Found) -> String {
        found.snippet.iter().map(|p| if p.hit { format!("«{}»", p.text) } else { p.text.clone() }).collect()
    }

    #[test]
    fn words_phrases_and_beginnings_are_found_whatever_their_case_and_accents() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let texts = ["The build is done", "is the BUILD done?", "Über den Bäumen", "AND OR NOT", "山田 hi"];
        let records: Vec<_> = (1..).zip(texts).map(|(seq, text)| kit::received(&bo, seq, text)).collect();
        write(&home, &records);
        assert_eq!(found(&home, "done build"), texts[..2]);
        assert_eq!(found(&home, "\"build is\""), texts[..1]);
        assert_eq!(found(&home, "\"the build\""), texts[..2]);
        assert_eq!(found(&home, "uber baum*"), texts[2..3]);
        assert_eq!(found(&home, "\"den bau\"*"), texts[2..3]);
        assert_eq!(found(&home, "buil"), [""; 0]);
        // What FTS5 would take for its own language are words like any other.
        assert_eq!(found(&home, "NOT and"), texts[3..4]);
        assert_eq!(found(&home, "山*"), texts[4..]);
        for none in ["(build", "NEAR(build done)", "text:build^2", "-build", "\"unclosed", "bui\0ld"] {
            let _ = found(&home, none);
        }
        let history = History::open(&home).unwrap();
        for empty in ["", "  ", "\"\"", "*", "!? …", "\0"] {
            let refused = history.search(&search(empty)).unwrap_err();
            assert!(matches!(refused, SearchError::NoWords(_)), "{empty:?}: {refused}");
        }
    }

    #[test]
    fn the_newest_are_found_and_it_is_said_where_there_are_more() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo, cy] = [0, 1, 2].map(|number| kit::identity(&home, number));
        let mut records: Vec<_> = (1..=5).map(|seq| kit::received(&bo, seq, &format!("day {seq}"))).collect();
        records.push(kit::card(&bo, "bo", kit::run(5), 1));
        // Committed last, and of long ago.
        records.push(kit::received(&cy, 1, "day of long ago"));
        records.push(kit::sent(&ana, bo.id(), 9, "a day of mine"));
        write(&home, &records);
        let history = History::open(&home).unwrap();
        let by = |by: Option<By>, limit| {
            let matches = history.search(&Search { words: "day".into(), by, limit }).unwrap();
            (matches.found.into_iter().map(|found| found.message.text).collect::<Vec<_>>(), matches.more)
        };
        assert_eq!(by(None, 3).0, ["day of long ago", "day 5", "a day of mine"]);
        assert!(by(None, 6).1 && !by(None, 7).1);
        let bos = ["day 3", "day 4", "day 5"].map(str::to_owned).to_vec();
        assert_eq!(by(Some(By::Member(bo.id())), 3), (bos.clone(), true));
        assert_eq!(by(Some(By::Nick("bo".into())), 3), (bos, true));
        assert_eq!(by(Some(By::Member(ana.id())), 3).0, ["a day of mine"]);
        let nobody = history.search(&Search { by: Some(By::Nick("zoe".into())), ..search("day") }).unwrap_err();
        assert_eq!(nobody.to_string(), "nobody known here is called zoe now; moot who lists the members");
    }

    #[test]
    fn a_snippet_marks_the_hit_and_a_text_cannot_forge_the_mark() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let long = format!("{}the needle is here {}", "hay ".repeat(50), "straw ".repeat(50));
        let forged = format!("no needle but a {HIT} pin {HIT_END}");
        let texts = ["a needle, the Needle", &long, &forged];
        write(&home, &(1..).zip(texts).map(|(seq, text)| kit::received(&bo, seq, text)).collect::<Vec<_>>());
        let found = History::open(&home).unwrap().search(&search("needle")).unwrap().found;
        assert_eq!(snippet(&found[0]), "a «needle», the «Needle»");
        let cut = snippet(&found[1]);
        assert!(cut.starts_with("…hay hay") && cut.contains("the «needle» is") && cut.ends_with("straw…"), "{cut}");
        assert!(found[2].snippet.iter().all(|piece| !piece.hit), "{:?}", found[2].snippet);
        assert_eq!(snippet(&found[2]), "no needle but a  pin ");
    }

    fn sent(own: &Signed<GroupMessage>, to: MemberId) -> node::Record {
        node::Record::Messaging(Record::GroupSent {
            bytes: own.bytes().clone(),
            roster: vec![(to, Outcome::Sending)],
            sample_of: None,
            order: 1,
            at: Wall(2_000),
        })
    }

    #[test]
    fn what_is_written_without_blanks_is_found_wherever_it_stands() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let long = format!("{}世界{}", "一".repeat(100), "二".repeat(100));
        for (seq, text) in
            (1..).zip(["你好世界", "the build 世界 is done", "สวัสดีชาวโลก", "Rust语言很好", &long, "世 界"])
        {
            write(&home, &[kit::received(&bo, seq, text)]);
        }
        assert_eq!(found(&home, "世界"), ["你好世界", "the build 世界 is done", &long]);
        assert_eq!(found(&home, "世界 build"), ["the build 世界 is done"]);
        assert_eq!(found(&home, "世界 好"), ["你好世界"]);
        assert_eq!(found(&home, "ชาวโลก"), ["สวัสดีชาวโลก"]);
        assert_eq!(found(&home, "rust语言*"), ["Rust语言很好"]);
        assert_eq!(found(&home, "\"世 界\""), ["世 界"]);
        assert_eq!(found(&home, "世界观"), [""; 0]);
        let marked = |words: &str| -> Vec<String> {
            History::open(&home).unwrap().search(&search(words)).unwrap().found.iter().map(snippet).collect()
        };
        assert_eq!(marked("世界 build"), ["the «build» «世界» is done"]);
        let around = format!("…{}«世界»{}…", "一".repeat(15), "二".repeat(43));
        assert_eq!(marked("世界"), ["你好«世界»", "the build «世界» is done", &around]);
        assert_eq!(marked("rust语言"), ["«Rust语言»很好"]);
    }

    #[test]
    fn what_is_undone_said_again_or_pruned_is_found_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo] = [0, 1].map(|number| kit::identity(&home, number));
        let own = kit::group(&ana, kit::run(5), 1, None, "never sent");
        let undone = Record::Undone { author: ana.id(), id: own.id() };
        let sent = sent(&own, bo.id());
        write(&home, &[sent, kit::received(&bo, 1, "heard")]);
        assert_eq!((found(&home, "never").len(), found(&home, "heard").len()), (1, 1));
        write(&home, &[node::Record::Messaging(undone), kit::received(&bo, 1, "heard")]);
        assert_eq!((found(&home, "never").len(), found(&home, "heard").len()), (0, 1));
        let pruned =
            Record::GroupPruned { author: bo.id(), run: kit::run(5), upto: 1, chain: Chain::default(), lamport: 1 };
        write(&home, &[node::Record::Messaging(pruned)]);
        for lived in [Lived(1), Lived(2) + crate::base::limits::HISTORY_AGE_MAX] {
            write(&home, &[node::Record::Messaging(Record::Lived(lived)), kit::received(&bo, lived.0, "later")]);
        }
        kit::committer(&home).prune().unwrap();
        assert_eq!(found(&home, "heard"), [""; 0]);
        // The index holds what the table holds, and nothing else.
        let db = schema::open(&home).unwrap();
        db.execute_batch("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)").unwrap();
    }

    #[test]
    fn what_is_deleted_before_it_was_indexed_leaves_nothing_and_its_number_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let [ana, bo] = [0, 1].map(|number| kit::identity(&home, number));
        let committer = kit::committer(&home);
        let own = kit::group(&ana, kit::run(5), 1, None, "never");
        let sent = sent(&own, bo.id());
        let undone = node::Record::Messaging(Record::Undone { author: ana.id(), id: own.id() });
        committer.commit_first([&kit::received(&bo, 1, "heard"), &sent]).unwrap();
        committer.commit_first([&undone]).unwrap();
        committer.commit_first([&kit::received(&bo, 2, "after")]).unwrap();
        assert_eq!((found(&home, "heard").len(), found(&home, "after").len()), (1, 0));
        committer.settle().unwrap();
        let counts = ["heard", "never", "after"].map(|word| found(&home, word).len());
        assert_eq!(counts, [1, 0, 1]);
        let db = schema::open(&home).unwrap();
        db.execute_batch("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)").unwrap();
    }

    #[test]
    fn a_home_of_the_format_before_is_searched_like_any_other() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        write(&home, &[kit::received(&bo, 1, "before the index")]);
        let db = Connection::open(home.database()).unwrap();
        db.execute_batch(
            "DROP TRIGGER words_gone; DROP TABLE words; DROP INDEX messages_by_order; DROP TABLE lived;
             DROP TABLE private_floors; DROP TABLE journal; PRAGMA user_version = 1;",
        )
        .unwrap();
        db.execute_batch("ALTER TABLE messages DROP COLUMN sample_of").unwrap();
        drop(db);
        let before = node::Restored::fold(load(&home).unwrap());
        write(&home, &[kit::received(&bo, 2, "and after it")]);
        assert_eq!(found(&home, "index"), ["before the index"]);
        assert_eq!(found(&home, "it"), ["and after it"]);
        assert_eq!(before.messaging.group.len(), 1);
        let version = |db: Connection| db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        assert_eq!(version(schema::open(&home).unwrap()), Ok(8));
    }

    #[test]
    fn a_home_of_format_7_gets_a_journal_and_keeps_the_words_that_were_not_indexed() {
        let dir = tempfile::tempdir().unwrap();
        let home = kit::home(&dir.path().join("home"));
        let bo = kit::identity(&home, 1);
        let committer = kit::committer(&home);
        committer.commit_first([&kit::received(&bo, 1, "late"), &kit::card(&bo, "bo", kit::run(5), 1)]).unwrap();
        drop(committer);
        let db = Connection::open(home.database()).unwrap();
        db.execute_batch("DROP TABLE journal; PRAGMA user_version = 7;").unwrap();
        drop(db);
        let committer = kit::committer(&home);
        committer.commit_first([&kit::received(&bo, 2, "later")]).unwrap();
        assert!(!crate::store::journal::is_empty(&Connection::open(home.database()).unwrap()).unwrap());
        committer.settle().unwrap();
        assert_eq!((found(&home, "late"), found(&home, "later")), (vec!["late".into()], vec!["later".into()]));
    }
}
