//! Check 2, for the promises C4 and S2: nothing is shown twice, across restarts too, on the screen or in the log, and what is
//! shown is what its author said, to whom it said it. What its author called undone was never said.
//!
//! It cannot cry wolf: a home that was rolled back begins anew; an author says a message on its own machine, by its
//! disk or its own screen, before anybody else can have it. Where pipes may reorder that, it is judged at the end.

use super::checker::Findings;
use super::facts::{Facts, MessageIndex, NodeIndex};
use super::{Check, Driver, LineNumber};
use crate::node::api::Message;

#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Shown, and not known yet to be said.
    unsaid: Vec<(LineNumber, NodeIndex, MessageIndex)>,
}

impl Shown {
    /// A node's disk takes messages: its log shows them from now on.
    pub fn handle_stored(facts: &Facts, node: NodeIndex, found: &mut Findings) {
        for &index in facts.kept_again.iter().filter(|_| facts.is_honest_node(node)) {
            let text = format!("{} stores {} again", facts.nodes[node].name, facts.title(index));
            found.push(Check::ShownOnce, facts.line, text);
        }
    }

    /// A node shows a message.
    pub fn handle_message(&mut self, facts: &Facts, node: NodeIndex, message: &Message, found: &mut Findings) {
        let line = facts.line;
        let (Some(index), true) = (facts.message(message.id), facts.is_honest_node(node)) else { return };
        let of = &facts.nodes[node];
        if facts.is_shown_again {
            found.push(Check::ShownOnce, line, format!("{} shows {} again", of.name, facts.title(index)));
        }
        if let Some(lie) = difference(facts, index, message) {
            found.push(Check::ShownOnce, line, format!("{} shows {}, {lie}", of.name, facts.title(index)));
        }
        if is_unsaid(facts, index) {
            match facts.driver {
                Driver::Sim => tell_unsaid(facts, line, node, index, found),
                Driver::Processes => self.unsaid.push((line, node, index)),
            }
        }
    }

    pub fn finish(&mut self, facts: &Facts, found: &mut Findings) {
        for (line, node, index) in std::mem::take(&mut self.unsaid) {
            let author = facts.messages[index].author;
            let homes = author.map_or(&[][..], |author| facts.homes(author));
            if homes.iter().all(|&home| facts.nodes[home].log_is_known && facts.nodes[home].epoch == 0) {
                tell_unsaid(facts, line, node, index, found);
            }
        }
    }
}

/// How the message as shown is another than the one that was said.
fn difference(facts: &Facts, index: MessageIndex, shown: &Message) -> Option<String> {
    let said = &facts.messages[index];
    if said.is_undone {
        return Some("which its author said was never sent".to_owned());
    }
    if said.text.as_ref().is_some_and(|text| *text != shown.text) {
        return Some("with another text than its author said".to_owned());
    }
    if said.author.is_some_and(|author| author != shown.from) {
        return Some(format!("as said by {}", facts.nick(shown.from)));
    }
    (said.to != shown.to).then(|| "as said to somebody else".to_owned())
}

fn is_unsaid(facts: &Facts, index: MessageIndex) -> bool {
    let said = &facts.messages[index];
    said.origin.is_none() && said.author.is_some_and(|author| facts.is_honest(author))
}

fn tell_unsaid(facts: &Facts, line: LineNumber, node: NodeIndex, index: MessageIndex, found: &mut Findings) {
    if is_unsaid(facts, index) {
        let (name, title) = (&facts.nodes[node].name, facts.title(index));
        found.push(Check::ShownOnce, line, format!("{name} shows {title}, which its author never said"));
    }
}
