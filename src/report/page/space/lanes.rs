//! The lanes themselves: when a machine ran, stood still or was down, and bands where faults were on.

use maud::{Markup, html};

use super::Drawing;
use super::layout::Layout;
use crate::check::What;

/// What a machine was doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    NotYet,
    Runs,
    Paused,
    Down,
}

/// A fault while it was on.
struct Band {
    text: String,
    node: Option<usize>,
    from: i64,
    to: Option<i64>,
}

impl Drawing<'_> {
    pub(super) fn lanes(&self) -> Markup {
        html! {
            @for &node in &self.layout.lanes {
                g.lane role="group" data-node=(self.story.nodes[node].name) aria-label={ "lane of " (self.story.nodes[node].name) } {
                    @for (life, from, to) in self.lives(node) {
                        (self.piece(node, life, from, to))
                    }
                }
            }
        }
    }

    fn piece(&self, node: usize, life: Life, from: i64, to: i64) -> Markup {
        let x = self.layout.x(node).unwrap_or(0);
        let class = match life {
            Life::NotYet => "not-yet",
            Life::Runs => "runs",
            Life::Paused => "paused",
            Life::Down => "down",
        };
        html! {
            @if life == Life::Paused { rect.paused x=(x - 4) y=(from) width="8" height=(to - from) {} }
            line class=(class) x1=(x) x2=(x) y1=(from) y2=(to) {}
        }
    }

    /// Pieces of a lane from top to bottom.
    fn lives(&self, node: usize) -> Vec<(Life, i64, i64)> {
        let (mut pieces, mut life, mut from) = (Vec::new(), Life::NotYet, 0);
        let target = self.past.target.unwrap_or(0);
        let mut y = 0;
        for (index, line) in self.story.lines.iter().enumerate().take(target + 1) {
            y = self.layout.y.get(&index).copied().unwrap_or(y);
            if self.story.node(line) != Some(node) {
                continue;
            }
            let next = match line.what {
                What::Started { .. } | What::Resumed { .. } => Life::Runs,
                What::Paused => Life::Paused,
                What::Ended { .. } => Life::Down,
                _ => continue,
            };
            if y > from {
                pieces.push((life, from, y));
            }
            (life, from) = (next, y);
        }
        pieces.push((life, from, self.layout.height));
        pieces
    }

    pub(super) fn bands(&self) -> Markup {
        let bands = self.bands_of();
        html! {
            g.bands aria-hidden="true" {
                @for (from, to) in union(&bands, self.layout.height) {
                    rect.shade x=(Layout::left()) y=(from) width=(self.layout.width - Layout::left()) height=(to - from) {}
                }
                @for (at, band) in bands.iter().enumerate() {
                    @let x = self.edge(&bands[..at], band);
                    rect.band data-fault=(band.text) x=(x) y=(band.from) width="4"
                        height=(band.to.unwrap_or(self.layout.height) - band.from) { title { "fault: " (band.text) } }
                }
            }
        }
    }

    /// Where the bar of a fault stands: beside its machine's lane, or at the edge; one that begins while others are
    /// on stands further in.
    fn edge(&self, before: &[Band], band: &Band) -> i64 {
        let open = before.iter().filter(|other| other.node == band.node && other.to.is_none_or(|to| to > band.from));
        let inward = 5 * i64::try_from(open.count()).unwrap_or(0);
        match band.node.and_then(|node| self.layout.x(node)) {
            Some(x) => x - 9 - inward,
            None => Layout::left() - 4 + inward.min(12),
        }
    }

    fn bands_of(&self) -> Vec<Band> {
        let mut bands: Vec<Band> = Vec::new();
        for &index in &self.past.drawn {
            let line = &self.story.lines[index];
            let (What::Fault { text, is_on }, Some(&y)) = (&line.what, self.layout.y.get(&index)) else { continue };
            let node = self.story.node(line);
            if *is_on {
                let text = self.story.faults.words(index).unwrap_or(text).to_owned();
                bands.push(Band { text, node, from: y, to: None });
                continue;
            }
            let is_open = |band: &&mut Band| band.to.is_none() && band.node == node;
            let text = self.story.faults.words(index).unwrap_or(text);
            let named = bands.iter_mut().filter(is_open).any(|band| band.text == text);
            for band in bands.iter_mut().filter(is_open).filter(|band| !named || band.text == text) {
                band.to = Some(y);
            }
        }
        bands
    }
}

/// When anything was cut, from top to bottom; a network that is only bad may be so all the time.
fn union(bands: &[Band], end: i64) -> Vec<(i64, i64)> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for band in bands.iter().filter(|band| band.node.is_none() && band.text.starts_with("cut")) {
        let (from, to) = (band.from, band.to.unwrap_or(end));
        match spans.last_mut().filter(|(_, last)| *last >= from) {
            Some((_, last)) => *last = to.max(*last),
            None => spans.push((from, to)),
        }
    }
    spans
}
