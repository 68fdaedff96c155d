//! What a full disk means for a person: that it refuses what comes, and what that makes of an empty list of gaps.

use super::{Tone, View};
use crate::base::Wall;
use crate::node::api::Gap;

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

    /// The gaps, or that none is known. What a full disk refuses may be no gap yet.
    #[must_use]
    pub fn gaps(&self, gaps: &[Gap], disk_full_since: Option<Wall>) -> String {
        let mut lines: Vec<String> = disk_full_since.map(|since| self.disk_full(since)).into_iter().collect();
        lines.extend(gaps.iter().map(|gap| self.gap(gap)));
        if gaps.is_empty() {
            lines.push(match disk_full_since {
                Some(_) => "no gap is known, but what was refused since then is missing here".into(),
                None => "no gaps: nothing is known to be missing here".into(),
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
        assert_eq!(view().gaps(&[], None), "no gaps: nothing is known to be missing here");
        assert_eq!(
            view().gaps(&[], Some(Wall(1_700_000_000_000))),
            "\
the disk is full since 22:13:20: what is said or comes here is refused; make room on it
no gap is known, but what was refused since then is missing here"
        );
    }
}
