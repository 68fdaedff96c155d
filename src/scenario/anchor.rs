//! Which line of a trace a failure is about. Owns the choice, where the failure itself names no line.

use super::script::Run;
use super::stop::About;
use crate::base::MessageId;
use crate::check::{Line, LineNumber, What};
use crate::node::api::EventKind;

impl Run {
    /// The line whose causal past explains why the run failed: the one that a check names, else the last about a message
    /// that was asked about, else the last that a node told that was asked, else the last of all.
    #[must_use]
    pub fn failed_at(&self) -> Option<LineNumber> {
        let about: &About = &self.stop.as_ref()?.about;
        let last = |is_it: &dyn Fn(&Line) -> bool| self.trace.iter().rev().find(|line| is_it(line)).map(|line| line.n);
        let told_by = |line: &Line| {
            let is_told = matches!(line.what, What::Told { .. });
            is_told && line.node.as_ref().is_some_and(|node| about.nodes.contains(node))
        };
        about
            .line
            .or_else(|| last(&|line| about.messages.iter().any(|id| mentions(line, *id))))
            .or_else(|| last(&told_by))
            .or_else(|| last(&|line| !matches!(line.what, What::Step { .. })))
    }
}

fn mentions(line: &Line, id: MessageId) -> bool {
    match &line.what {
        What::Accepted { id: accepted, .. } => *accepted == id,
        What::Sent { labels, .. } => labels.iter().any(|label| label.message == Some(id)),
        What::Stored { kept, .. } => kept.iter().any(|kept| kept.id == id),
        What::Told { event } => match &event.kind {
            EventKind::Message(message) => message.id == id,
            EventKind::Delivery { id: told, .. } | EventKind::Undone { id: told, .. } => *told == id,
            _ => false,
        },
        _ => false,
    }
}
