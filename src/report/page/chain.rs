//! The chain of causes in words, from its beginning to what is explained.

use maud::{Markup, html};

use super::describe::describe;
use crate::report::past::Past;
use crate::report::story::Story;
use crate::report::words;

/// A longer chain is shown by its beginning and its end.
const STEPS_MAX: usize = 60;

pub(super) fn chain(story: &Story<'_>, past: &Past) -> Markup {
    let cut = past.chain.len().saturating_sub(STEPS_MAX);
    let head = STEPS_MAX / 2;
    html! {
        section #chain {
            h2 { "Because of" }
            ol {
                @for (step, &index) in past.chain.iter().enumerate() {
                    @if cut == 0 || step < head || step >= head + cut { (link(story, index)) }
                    @else if step == head { li.cut { (words::count(cut, "step is", "steps are")) " left out here" } }
                }
            }
        }
    }
}

fn link(story: &Story<'_>, index: usize) -> Markup {
    let line = &story.lines[index];
    html! {
        li data-n=(line.n) {
            time { (words::clock(line.at)) } " "
            b { (line.node.as_deref().unwrap_or("the network")) } " "
            (describe(story, index))
        }
    }
}
