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
        html! {
            g.bands {
                @for band in self.bands_of() {
                    @let (x, width) = self.across(&band);
                    rect.band data-fault=(band.text) x=(x) y=(band.from) width=(width)
                        height=(band.to.unwrap_or(self.layout.height) - band.from) { title { "fault: " (band.text) } }
                }
            }
        }
    }

    fn across(&self, band: &Band) -> (i64, i64) {
        match band.node.and_then(|node| self.layout.x(node)) {
            Some(x) => (x - 10, 20),
            None => (Layout::left(), self.layout.width - Layout::left()),
        }
    }

    fn bands_of(&self) -> Vec<Band> {
        let mut bands: Vec<Band> = Vec::new();
        for &index in &self.past.drawn {
            let line = &self.story.lines[index];
            let (What::Fault { text, is_on }, Some(&y)) = (&line.what, self.layout.y.get(&index)) else { continue };
            let node = self.story.node(line);
            if *is_on {
                bands.push(Band { text: text.clone(), node, from: y, to: None });
                continue;
            }
            let is_open = |band: &&mut Band| band.to.is_none() && band.node == node;
            let named = bands.iter_mut().filter(is_open).any(|band| band.text == *text);
            for band in bands.iter_mut().filter(is_open).filter(|band| !named || band.text == *text) {
                band.to = Some(y);
            }
        }
        bands
    }
}
