//! Evidence about a member in one breath, for a line of the chat or a cell of a table. Leaves out what says
//! no more than that all is well; `why` shows everything.

use super::{View, list};
use crate::base::text;
use crate::node::api::{Evidence, EvidenceKind};

/// What a silence is measured by in the details of evidence.
const SILENT_FOR: &str = "silent for ";
/// What a card shows of a member that began another run.
const RESTARTED: &str = "restarted";

impl View {
    /// `not heard for 4.1 s; reported by ana and cy`; nothing where there is nothing to worry about.
    pub(super) fn because(&self, evidence: &[Evidence]) -> String {
        let mut parts: Vec<String> = Vec::new();
        for item in evidence {
            if let Some(said) = said(item).filter(|said| !parts.contains(said)) {
                parts.push(said);
            }
        }
        let others = [
            (EvidenceKind::Report, "reported by"),
            (EvidenceKind::Contradiction, "contradicted by"),
            (EvidenceKind::Withdrawal, "withdrawn by"),
        ];
        for (kind, verb) in others {
            let names = self.names_behind(evidence, kind);
            if !names.is_empty() {
                parts.push(format!("{verb} {}", list(&names)));
            }
        }
        parts.join("; ")
    }

    fn names_behind(&self, evidence: &[Evidence], kind: EvidenceKind) -> Vec<String> {
        let mut names = Vec::new();
        for item in evidence.iter().filter(|item| item.kind == kind) {
            let name = self.names.named_or_you(item.by, &item.nick);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// What an item says by itself; who says it is told elsewhere.
fn said(item: &Evidence) -> Option<String> {
    let detail = text::sanitize(&item.detail);
    let silence = || detail.split_once(SILENT_FOR).map(|(_, span)| format!("not heard for {span}"));
    match item.kind {
        EvidenceKind::Silence => silence().or_else(|| Some(detail).filter(|detail| !detail.is_empty())),
        EvidenceKind::Heard => silence(),
        EvidenceKind::Card => detail.starts_with(RESTARTED).then(|| RESTARTED.into()),
        EvidenceKind::Leave => Some("said goodbye".into()),
        EvidenceKind::Restored => Some("not heard since this node started".into()),
        EvidenceKind::Report | EvidenceKind::Contradiction | EvidenceKind::Withdrawal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::events::tests::{evidence, view};

    #[test]
    fn each_name_stands_once_and_all_well_says_nothing() {
        let report = |by, nick| evidence(EvidenceKind::Report, by, nick, "did not hear it");
        let reports = [report(3, "cy"), report(4, "dee"), report(3, "cy")];
        assert_eq!(view().because(&reports), "reported by cy and dee");
        let well = [
            evidence(EvidenceKind::Card, 1, "ana", "this node; version 1 of its card"),
            evidence(EvidenceKind::Heard, 1, "ana", "heard on this node's own link"),
        ];
        assert_eq!(view().because(&well), "");
    }

    #[test]
    fn a_silence_without_a_span_is_still_told() {
        let never = [evidence(EvidenceKind::Silence, 1, "ana", "not heard by this node in this run")];
        assert_eq!(view().because(&never), "not heard by this node in this run");
    }
}
