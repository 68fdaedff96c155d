//! Diagrams in Mermaid, made from a run, for documents. Owns which kinds there are, which of them fit a trace,
//! and how text is written so that Mermaid takes it for text.

mod blocks;
mod items;
mod sequence;
mod states;
mod system;
mod tally;
mod topology;

pub use tally::Tally;

use std::fmt::Write as _;

use super::story::Story;
use crate::check::{Driver, Line, Name, What};

/// A kind of diagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// What a node is made of, and what passed between its parts.
    System,
    /// Machines, and what went between them, from top to bottom.
    Sequence,
    /// The states of the member about which the others changed their mind most.
    Membership,
    /// Who heard whom while the network was whole or not.
    Topology,
}

/// The diagrams of a run as a document in Markdown: of the given kinds, or of those that fit what happened
/// where none is given. A diagram that must leave something out says how much.
#[must_use]
pub fn diagram(lines: &[Line], kinds: &[Kind]) -> String {
    let story = Story::of(lines);
    let fitting = fitting(&story);
    let kinds = if kinds.is_empty() { &fitting } else { kinds };
    let mut document = heading(&story);
    for kind in kinds {
        let (title, body) = match kind {
            Kind::System => ("What it is made of".to_owned(), system::system(&story)),
            Kind::Sequence => ("What happened".to_owned(), sequence::sequence(&story)),
            Kind::Membership => match states::subject(&story) {
                Some(node) => {
                    (format!("What the others held {} for", story.nodes[node].name), states::states(&story, node))
                }
                None => ("Membership".to_owned(), "Nobody changed their mind about anybody.\n".to_owned()),
            },
            Kind::Topology => ("Who heard whom".to_owned(), topology::topology(&story)),
        };
        write!(document, "\n## {title}\n\n{body}").expect("a string takes all");
    }
    document
}

/// What happened always fits; the states of a member where they changed, who heard whom where something was cut.
fn fitting(story: &Story<'_>) -> Vec<Kind> {
    let mut kinds = vec![Kind::Sequence];
    if states::subject(story).is_some() {
        kinds.push(Kind::Membership);
    }
    if topology::fits(story) {
        kinds.push(Kind::Topology);
    }
    kinds
}

fn heading(story: &Story<'_>) -> String {
    let Some(What::Began { scenario, driver, seed }) = story.lines.first().map(|line| &line.what) else {
        return "# A run\n".into();
    };
    let (world, seconds) = match driver {
        Driver::Sim => (format!("on the simulator from seed {seed}"), "virtual seconds"),
        Driver::Processes => ("on real processes".into(), "seconds"),
    };
    let nodes = super::words::count(story.nodes.len(), "node", "nodes");
    format!("# {}\n\nMade from a run of {nodes} {world}. Times are {seconds} since it began.\n", plain(scenario))
}

/// `text` where Markdown would see marks of its own.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>' | '`' | '*' | '[' | ']')).collect()
}

/// `text` inside a Mermaid diagram: broken into lines of about `chars` characters, and with no character that ends
/// a statement or begins one.
fn escaped(text: &str, chars: usize) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + length >= chars {
            out.push_str("<br/>");
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        width += length;
        for c in word.chars() {
            match c {
                // Mermaid's own form of an entity: a number between `#` and `;`.
                '#' | ';' | '<' | '>' | '"' | '%' | '{' | '}' | ':' | '&' | '`' => {
                    write!(out, "#{};", u32::from(c)).expect("a string takes all");
                }
                _ => out.push(c),
            }
        }
    }
    out
}

/// `ana`, `ana and bo`, `ana, bo, cy, dee and 3 more`, in their order.
fn names_in_short(names: &[&Name]) -> String {
    let texts: Vec<String> = names.iter().take(NAMES_MAX).map(ToString::to_string).collect();
    match (texts.as_slice(), names.len().saturating_sub(NAMES_MAX)) {
        ([], _) => String::new(),
        ([one], _) => one.clone(),
        ([most @ .., last], 0) => format!("{} and {last}", most.join(", ")),
        (all, more) => format!("{} and {more} more", all.join(", ")),
    }
}

const NAMES_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_person_cannot_end_a_statement() {
        assert_eq!(escaped("k7f3: a;b#c", 40), "k7f3#58; a#59;b#35;c");
        assert_eq!(escaped("one two three\nfour", 9), "one two<br/>three<br/>four");
    }

    #[test]
    fn a_name_is_no_command_to_a_terminal() {
        assert_eq!(plain("a\u{1b}[2J\n<b>"), "a2Jb");
    }
}
