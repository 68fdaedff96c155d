//! What a full disk means for a person: that it refuses what comes; and what that and a silent node make of an empty list of gaps.

use super::{Tone, View, count};
use crate::base::Wall;
use crate::node::api::{Gap, NodeStatus};

impl View {
    /// Says since when the disk takes nothing.
    #[must_use]
    pub fn disk_full(&self, since: Wall) -> String {
        let since = self.time(since);
        self.ink.paint(
            Tone::Bad,
            &format!("the disk is full since {since}: what is said or comes here is refused; make room on it"),
        )
    }

    /// `133 messages are missing here: /gaps lists them`: of what was missing before somebody looks.
    #[must_use]
    pub fn missing(&self, gaps: &[Gap]) -> String {
        let missing = gaps.iter().map(|gap| (gap.last - gap.first).saturating_add(1)).fold(0, u64::saturating_add);
        let are = count(missing, "message is", "messages are");
        self.ink.paint(Tone::Caution, &format!("{are} missing here: /gaps lists them"))
    }

    /// The gaps, or that none is known. What a full disk refuses may be no gap yet.
    #[must_use]
    pub fn gaps(&self, gaps: &[Gap], node: Option<&NodeStatus>) -> String {
        let (silent_since, disk_full_since) =
            node.map_or((None, None), |node| (node.silent_since, node.disk_full_since));
        let mut lines: Vec<String> = silent_since.map(|since| self.silent(since)).into_iter().collect();
        lines.extend(disk_full_since.map(|since| self.disk_full(since)));
        lines.extend(gaps.iter().map(|gap| self.gap(gap)));
        if gaps.is_empty() {
            lines.push(match (silent_since, disk_full_since) {
                (Some(_), _) => "no gap was known then, and nothing was heard since".into(),
                (None, Some(_)) => "no gap is known, but what was refused since then is missing here".into(),
                (None, None) => "no gaps: nothing was asked for in vain".into(),
            });
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use crate::base::Wall;
    use crate::view::events::tests::view;

    #[test]
    fn no_gap_is_no_good_news_while_the_disk_is_full() {
        let mut node = crate::view::status::tests::status().node;
        assert_eq!(view().gaps(&[], Some(&node)), "no gaps: nothing was asked for in vain");
        node.disk_full_since = Some(Wall(1_700_000_000_000));
        assert_eq!(
            view().gaps(&[], Some(&node)),
            "\
the disk is full since 22:13:20: what is said or comes here is refused; make room on it
no gap is known, but what was refused since then is missing here"
        );
        node.silent_since = node.disk_full_since.take();
        assert_eq!(
            view().gaps(&[], Some(&node)),
            "this node fell silent at 22:13:20, because another process runs with a copy of its home: what it knows is of then\n\
             no gap was known then, and nothing was heard since"
        );
    }
}
