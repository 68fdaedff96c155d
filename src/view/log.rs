//! Messages of the past, as lines of a log: what was said, after when and by which handle; and what a search found, with
//! its hits marked. Knows nothing of what is looked for.

use std::collections::{BTreeMap, BTreeSet};

use super::events::ACTION;
use super::{Tone, View};
use crate::base::{Incarnation, MemberId, text};
use crate::node::api::{Found, Gap, Message, MessageKind};

/// What stands around a hit, so that colour is not the only sign of it.
const HIT: (&str, &str) = ("«", "»");

/// Clocks and ways that differ by less are as one expects them.
const APART_MS_MIN: u64 = 60_000;

impl View {
    /// Messages in the log's order, a line each, with what is missing from among them where it would stand: numbers of
    /// the room that are not here, and those of `gaps` that come after what is here of their author.
    #[must_use]
    pub fn log(&self, messages: &[Message], gaps: &[Gap]) -> String {
        let mut listed: BTreeMap<(MemberId, Incarnation), BTreeSet<u64>> = BTreeMap::new();
        for message in messages.iter().filter(|message| message.kind == MessageKind::Group) {
            listed.entry((message.from, message.incarnation)).or_default().insert(message.seq);
        }
        let mut lines = Vec::new();
        for message in messages {
            let listed = listed.get(&(message.from, message.incarnation));
            let before = listed.and_then(|seqs| seqs.range(..message.seq).next_back()).copied();
            if let Some(before) = before.filter(|_| message.kind == MessageKind::Group) {
                lines.extend(self.hole(message, before + 1, gaps));
            }
            lines.push(self.logged(message));
        }
        lines.extend(gaps.iter().filter_map(|gap| {
            let newest = *listed.get(&(gap.author, gap.incarnation))?.last()?;
            (gap.first > newest).then(|| self.gap(gap))
        }));
        lines.join("\n")
    }

    /// What is missing from number `first` on, before `message`.
    fn hole(&self, message: &Message, first: u64, gaps: &[Gap]) -> Option<String> {
        let last = message.seq.checked_sub(1).filter(|last| first <= *last)?;
        let is_told = |gap: &&Gap| {
            let (author, incarnation) = (gap.author, gap.incarnation);
            (author, incarnation, gap.first, gap.last) == (message.from, message.incarnation, first, last)
        };
        if let Some(gap) = gaps.iter().find(is_told) {
            return Some(self.gap(gap));
        }
        let author = self.names.named(message.from, &message.nick);
        let range = if first == last { first.to_string() } else { format!("{first}–{last}") };
        Some(self.ink.paint(Tone::Caution, &format!("not here: {author}#{range}")))
    }

    /// A message in the log: as on the screen, after its time and handle.
    #[must_use]
    pub fn logged(&self, message: &Message) -> String {
        let line = self.message_alone(message);
        let came = self.came(message).map(|came| format!("  {came}")).unwrap_or_default();
        format!("{}  {line}{came}", self.stamp(message))
    }

    /// A message that a search found, in one line: as in the log, but of the text only what stands around the hits.
    #[must_use]
    pub fn found(&self, found: &Found) -> String {
        let message = &found.message;
        let mut snippet = String::new();
        for piece in &found.snippet {
            let text = one_line(&piece.text);
            if piece.hit {
                snippet += &self.ink.paint(Tone::Strong, &format!("{}{text}{}", HIT.0, HIT.1));
            } else {
                snippet += &text;
            }
        }
        let head = self.head(message);
        let line = match snippet.strip_prefix(ACTION) {
            Some(action) => format!("* {head} {action}"),
            None => format!("{head}: {snippet}"),
        };
        let came = self.came(message).map(|came| format!("  {came}")).unwrap_or_default();
        format!("{}  {}{came}", self.stamp(message), line.trim_end())
    }

    /// When it came here, where that is not when its author claims to have said it. What came after it says how late.
    fn came(&self, message: &Message) -> Option<String> {
        let (claimed, came) = (message.said_at, message.received_at?);
        let is_told = came >= claimed;
        (!is_told && came.0.abs_diff(claimed.0) >= APART_MS_MIN)
            .then(|| self.ink.paint(Tone::Faint, &format!("[claimed; it came here {}]", self.time(came))))
    }

    /// The time is the one that its author claims.
    fn stamp(&self, message: &Message) -> String {
        self.ink.paint(Tone::Faint, &format!("{} {}", self.time(message.said_at), message.handle))
    }
}

/// A piece of a text without what a terminal obeys, and with blanks where its lines break.
fn one_line(piece: &str) -> String {
    text::sanitize(piece).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use crate::base::Wall;
    use crate::node::api::{Found, Gap, Message, Piece};
    use crate::view::events::tests::{message, view};
    use crate::view::{Ink, View};

    #[test]
    fn the_log_has_time_and_handle_in_front() {
        assert_eq!(view().logged(&message(2, "bo", None, "hello")), "22:13:20 k7f3  bo: hello");
        assert_eq!(view().logged(&message(1, "ana", None, "hello")), "22:13:20 k7f3  you: hello");
    }

    #[test]
    fn a_time_that_is_only_claimed_is_told_from_the_one_it_came_at() {
        let said = message(2, "bo", None, "hello");
        let at = |ms: u64| Some(Wall(said.said_at.0 + ms));
        let logged = |received_at, recovered| {
            view().logged(&Message { received_at, recovered, late_ms: recovered.then_some(60_000), ..said.clone() })
        };
        let line = "22:13:20 k7f3  bo: hello";
        assert_eq!(logged(at(9_999), false), line);
        assert_eq!(logged(at(60_000), false), format!("{line}  [60 s late by its author's clock]"));
        assert_eq!(logged(at(60_000), true), format!("{line}  [recovered, 60 s late by its author's clock]"));
        let ahead = Some(Wall(said.said_at.0 - 3_600_000));
        assert_eq!(logged(ahead, false), format!("{line}  [claimed; it came here 21:13:20]"));
    }

    #[test]
    fn what_is_missing_stands_where_it_would_be() {
        let said = |seq| Message { seq, ..message(2, "bo", None, &format!("number {seq}")) };
        let secret = Message { seq: 9, ..message(2, "bo", Some(1), "psst") };
        let gap = |first, last| Gap {
            author: said(1).from,
            nick: "bo".into(),
            incarnation: said(1).incarnation,
            first,
            last,
            asked: vec![],
            of_earlier_run: false,
        };
        let stamp = "22:13:20 k7f3  bo";
        assert_eq!(
            view().log(&[said(3), said(3), secret, said(4), said(6), said(9)], &[gap(1, 2), gap(7, 8), gap(10, 11)]),
            format!(
                "\
{stamp}: number 3
{stamp}: number 3
{stamp} → you: psst
{stamp}: number 4
not here: bo#5
{stamp}: number 6
gap: bo#7–8, nobody was asked
{stamp}: number 9
gap: bo#10–11, nobody was asked"
            )
        );
    }

    #[test]
    fn a_hit_is_marked_with_and_without_colour() {
        let piece = |text: &str, hit| Piece { text: text.into(), hit };
        let found = Found {
            message: message(2, "bo", Some(1), "unused"),
            snippet: vec![piece("…the\nnew ", false), piece("build", true), piece(" is\u{1b}[2J \u{202e}done", false)],
        };
        let line = "22:13:20 k7f3  bo → you: …the new «build» is[2J done";
        assert_eq!(view().found(&found), line);
        let coloured = View { ink: Ink::Colour, ..view() }.found(&found);
        assert!(coloured.contains("\u{1b}[1m«build»\u{1b}[0m"), "{coloured:?}");
        let done = Found { message: message(2, "bo", None, "/me waves"), snippet: vec![piece("/me waves", false)] };
        assert_eq!(view().found(&done), "22:13:20 k7f3  * bo waves");
    }
}
