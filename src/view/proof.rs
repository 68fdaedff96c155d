//! What a file of evidence proves, as text. Owns the layout; the sentences come with the proof.

use super::events::is_private;
use super::{Tone, View, count};
use crate::base::text;
use crate::node::api::{Proof, Signer};
use crate::wire::EvidenceFile;

/// What stands before each line of the text that the file is about, so that it passes for nothing else.
const QUOTED: &str = "  | ";

impl View {
    /// All that the file holds, proves and does not prove.
    #[must_use]
    pub fn proof(&self, proof: &Proof) -> String {
        let to = proof.to.as_ref().map_or_else(|| "the room".to_owned(), named);
        let manner = if is_private(proof.kind) { "a private message" } else { "a message" };
        let mut lines = vec![
            if proof.proves.is_empty() {
                format!("every signature in it holds, and all of it is of room {}", proof.room)
            } else {
                format!("every part holds, and all of it is of room {}", proof.room)
            },
            format!(
                "{} is {manner} from {} to {to}",
                self.ink.paint(Tone::Strong, &proof.id.to_string()),
                named(&proof.from)
            ),
            format!(
                "  #{} of run {}; the time that it claims is {}",
                proof.seq,
                proof.run,
                self.dated_time(proof.said_at)
            ),
        ];
        lines.extend(quoted(&proof.text));
        if let Some(rival) = &proof.rival {
            lines.push(format!("and as the same number {}", self.ink.paint(Tone::Strong, &rival.id.to_string())));
            lines.extend(quoted(&rival.text));
        }
        if proof.proves.is_empty() {
            lines.push(self.ink.paint(Tone::Caution, "it proves nothing"));
        } else {
            lines.push("it proves:".into());
            lines.extend(proof.proves.iter().map(|said| self.ink.paint(Tone::Good, &format!("  {said}"))));
        }
        lines.push("it does not prove:".into());
        lines.extend(proof.does_not_prove.iter().map(|said| format!("  {said}")));
        if !proof.cards.is_empty() {
            lines.push("who the keys say they are:".into());
            lines.extend(proof.cards.iter().map(|card| format!("  {} {}", card.member, text::sanitize(&card.nick))));
        }
        lines.join("\n")
    }

    /// What was written to a file of evidence.
    #[must_use]
    pub fn exported(&self, path: &str, file: &EvidenceFile, proof: &Proof) -> String {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let receipts = count(number(file.receipts.len()), "receipt", "receipts");
        let cards = count(number(file.cards.len()), "card", "cards");
        let path = text::sanitize(path);
        let mut lines = vec![format!("wrote {path}: the message, {receipts} and {cards}")];
        if proof.proves.is_empty() {
            let why = "it proves nothing: nothing that anybody signed about this message is here; its receipts go to its author";
            lines.push(self.ink.paint(Tone::Caution, why));
        }
        lines.push(format!("anybody can check it: moot evidence verify {path}"));
        if !file.later.is_empty() {
            let later = count(number(file.later.len()), "later message", "later messages");
            lines.push(format!(
                "it also holds {later} of the same author, without which a receipt could not be tied to this one: who gets the file can read them"
            ));
        }
        if file.rival.is_some() {
            lines.push("it also holds the other message that its author signed under the same number".into());
        }
        lines.join("\n")
    }
}

/// A text as it can be shown, and whether that is not all of it: what was signed is the whole.
fn quoted(said: &str) -> Vec<String> {
    let shown = text::sanitize(said);
    let mut lines: Vec<String> = shown.lines().map(|line| format!("{QUOTED}{line}")).collect();
    lines.extend(left_out(said).map(|left_out| format!("  {left_out}; --json has the text as it was signed")));
    lines
}

/// How much of a text is not in what is shown of it.
pub(super) fn left_out(said: &str) -> Option<String> {
    let hidden = said.chars().count() - text::sanitize(said).chars().count();
    let hidden = u64::try_from(hidden).ok().filter(|&hidden| hidden > 0)?;
    Some(format!("{} left out here that cannot be shown", count(hidden, "character", "characters")))
}

fn named(signer: &Signer) -> String {
    let short = signer.member.short();
    signer.nick.as_ref().map_or_else(|| short.clone(), |nick| format!("{}~{short}", text::sanitize(nick)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MessageId, RoomId, Run, Wall};
    use crate::node::api::{CardHeld, MessageKind, Rival};
    use crate::view::events::tests::view;
    use crate::view::names::tests::id;

    #[test]
    fn a_proof_quotes_the_text_and_tells_both_what_follows_and_what_does_not() {
        let run = Run { incarnation: 17, boot: 0xab12 << 48 };
        let proof = Proof {
            room: RoomId([4; 16]),
            id: MessageId([1; 32]),
            kind: MessageKind::Group,
            from: Signer { member: id(2), nick: Some("bo".into()) },
            to: None,
            run,
            seq: 12,
            text: "done\nit proves: everything\u{1b}[2J".into(),
            said_at: Wall(1_700_000_000_000),
            rival: Some(Rival { id: MessageId([3; 32]), text: "not done".into(), said_at: Wall(0) }),
            receipts: Vec::new(),
            cards: vec![CardHeld { member: id(2), nick: "bo".into(), run, version: 1 }],
            proves: vec!["this".into()],
            does_not_prove: vec!["that".into(), "when it was".into()],
        };
        let (short, room) = (id(2).short(), RoomId([4; 16]));
        assert_eq!(
            view().proof(&proof),
            format!(
                "\
every part holds, and all of it is of room {room}
{} is a message from bo~{short} to the room
  #12 of run 17.ab12; the time that it claims is 2023-11-14 22:13:20
  | done
  | it proves: everything[2J
  1 character left out here that cannot be shown; --json has the text as it was signed
and as the same number {}
  | not done
it proves:
  this
it does not prove:
  that
  when it was
who the keys say they are:
  {} bo",
                proof.id,
                MessageId([3; 32]),
                id(2)
            )
        );
        let empty = Proof { proves: Vec::new(), cards: Vec::new(), ..proof };
        assert!(view().proof(&empty).contains("\nit proves nothing\nit does not prove:\n"));
        assert!(view().proof(&empty).starts_with("every signature in it holds, "));
    }
}
