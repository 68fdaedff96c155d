//! The membership heat-map: for each subject a row for what it really did, and one for what each observer believed
//! of it, over the time of the run. Owns the beliefs; states have letters and patterns beside their colours.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::base::{MemberId, Presence, Time};
use crate::check::What;
use crate::node::api::EventKind;
use crate::report::story::Story;
use crate::report::words;

/// As many subjects, and observers of each, as one looks through; the most eventful come first.
const SUBJECTS_MAX: usize = 24;
const OBSERVERS_MAX: usize = 24;
const NAMES: i64 = 84;
const TIMELINE: i64 = 510;
const ROW: i64 = 15;
/// A piece that is wide enough for its letter.
const LETTER: i64 = 12;

/// What an observer believes; `None` where it does not know of the subject, or does not run.
type Belief = Option<Presence>;

/// A stretch of time on the map.
struct Piece<T> {
    what: T,
    from: Time,
    to: Time,
}

/// What a machine really did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Truth {
    Down,
    Runs,
    Paused,
}

/// What everybody believed of everybody.
struct Beliefs {
    /// By subject, then by observer.
    of: BTreeMap<usize, BTreeMap<usize, Vec<Piece<Belief>>>>,
    truths: Vec<Vec<Piece<Truth>>>,
    end: Time,
}

pub(super) fn heat(story: &Story<'_>) -> Markup {
    let beliefs = Beliefs::of(story);
    let subjects = beliefs.subjects();
    let shown = &subjects[..subjects.len().min(SUBJECTS_MAX)];
    html! {
        section #membership {
            h2 { "Who believed what of whom" }
            @if shown.is_empty() { p { "Nobody knew of anybody." } }
            @else { (legend()) }
            div.maps {
                @for &subject in shown { (map(story, &beliefs, subject)) }
            }
            @if subjects.len() > shown.len() {
                p.left-out {
                    (words::count(subjects.len() - shown.len(), "machine about which less changed is", "machines about which less changed are"))
                    " not shown"
                }
            }
        }
    }
}

impl Beliefs {
    fn of(story: &Story<'_>) -> Self {
        let nodes = story.nodes.len();
        let mut beliefs =
            Self { of: BTreeMap::new(), truths: (0..nodes).map(|_| Vec::new()).collect(), end: story.end() };
        for line in story.lines {
            let Some(node) = story.node(line) else { continue };
            match &line.what {
                What::Started { .. } | What::Resumed { .. } => beliefs.really(node, line.at, Truth::Runs),
                What::Paused => beliefs.really(node, line.at, Truth::Paused),
                What::Ended { .. } => {
                    beliefs.really(node, line.at, Truth::Down);
                    beliefs.forget(node, line.at);
                }
                What::Told { event } => {
                    if let EventKind::Member { id, state, .. } = &event.kind {
                        beliefs.believe(story, node, *id, *state, line.at);
                    }
                }
                _ => {}
            }
        }
        beliefs
    }

    fn really(&mut self, node: usize, at: Time, truth: Truth) {
        turn(&mut self.truths[node], truth, at, self.end);
    }

    fn believe(&mut self, story: &Story<'_>, observer: usize, id: MemberId, state: Presence, at: Time) {
        let Some(subject) = story.machine(id).filter(|&subject| subject != observer) else { return };
        let pieces = self.of.entry(subject).or_default().entry(observer).or_default();
        turn(pieces, Some(state), at, self.end);
    }

    /// An observer that does not run believes nothing.
    fn forget(&mut self, observer: usize, at: Time) {
        for observers in self.of.values_mut() {
            if let Some(pieces) = observers.get_mut(&observer) {
                turn(pieces, None, at, self.end);
            }
        }
    }

    /// The most eventful first.
    fn subjects(&self) -> Vec<usize> {
        let changes = |subject: &usize| self.of[subject].values().map(Vec::len).sum::<usize>();
        let mut subjects: Vec<usize> = self.of.keys().copied().collect();
        subjects.sort_by_key(|subject| (std::cmp::Reverse(changes(subject)), *subject));
        subjects
    }

    /// How far right a time is, in pixels.
    fn x(&self, at: Time) -> i64 {
        let us = i128::from(at.as_micros()) * i128::from(TIMELINE) / i128::from(self.end.as_micros().max(1));
        NAMES + i64::try_from(us).unwrap_or(TIMELINE)
    }
}

/// Ends the last piece at `at` and begins another, unless it says the same.
fn turn<T: PartialEq>(pieces: &mut Vec<Piece<T>>, what: T, at: Time, end: Time) {
    if let Some(last) = pieces.last_mut() {
        if last.what == what {
            return;
        }
        last.to = at;
    }
    pieces.push(Piece { what, from: at, to: end });
}

fn map(story: &Story<'_>, beliefs: &Beliefs, subject: usize) -> Markup {
    let observers = &beliefs.of[&subject];
    let name = &story.nodes[subject].name;
    let shown: Vec<usize> = observers.keys().copied().take(OBSERVERS_MAX).collect();
    let height = ROW * (i64::try_from(shown.len()).unwrap_or(0) + 1) + 22;
    let rows = shown.iter().zip(1..);
    html! {
        figure.map data-subject=(name) style="margin:0" {
            h3 { (name) }
            svg role="img" aria-label={ "what others believed of " (name) } width=(NAMES + TIMELINE + 10) height=(height) {
                g.truth-row {
                    text x=(NAMES - 6) y="11" text-anchor="end" { "in truth" }
                    @for piece in &beliefs.truths[subject] { (truth(beliefs, piece)) }
                }
                @for (&observer, row) in rows {
                    g data-observer=(story.nodes[observer].name) {
                        text x=(NAMES - 6) y=(row * ROW + 11) text-anchor="end" { (words::shortened(&story.nodes[observer].name, 12)) }
                        @for piece in &observers[&observer] { (belief(story, beliefs, subject, observer, row * ROW, piece)) }
                    }
                }
                (axis(beliefs, height - 20))
            }
            @if observers.len() > shown.len() {
                p.left-out { (words::count(observers.len() - shown.len(), "observer", "observers")) " left out" }
            }
        }
    }
}

fn truth(beliefs: &Beliefs, piece: &Piece<Truth>) -> Markup {
    let (class, word) = match piece.what {
        Truth::Runs => ("runs", "runs"),
        Truth::Paused => ("stopped", "is paused"),
        Truth::Down => ("down", "does not run"),
    };
    let (x, to) = (beliefs.x(piece.from), beliefs.x(piece.to));
    html! {
        rect class=(class) x=(x) y="4" width=((to - x).max(1)) height="7" {
            title { (word) " from " (words::clock(piece.from)) " until " (words::clock(piece.to)) }
        }
    }
}

fn belief(
    story: &Story<'_>,
    beliefs: &Beliefs,
    subject: usize,
    observer: usize,
    y: i64,
    piece: &Piece<Belief>,
) -> Markup {
    let Some(state) = piece.what else { return html! {} };
    let (x, to) = (beliefs.x(piece.from), beliefs.x(piece.to));
    let width = (to - x).max(2);
    let (observer, subject) = (&story.nodes[observer].name, &story.nodes[subject].name);
    let word = state.word();
    html! {
        g class=(word) {
            rect.state x=(x) y=(y) width=(width) height=(ROW - 1) {
                title { (observer) " holds " (subject) " for " (word) " from " (words::clock(piece.from)) " until " (words::clock(piece.to)) }
            }
            rect.over x=(x) y=(y) width=(width) height=(ROW - 1) {}
            @if width >= LETTER { text.letter x=(x + width / 2) y=(y + 11) { (letter(state)) } }
        }
    }
}

const fn letter(state: Presence) -> &'static str {
    match state {
        Presence::Alive => "A",
        Presence::Suspect => "S",
        Presence::Unreachable => "U",
        Presence::Left => "L",
    }
}

/// Four times along the run.
fn axis(beliefs: &Beliefs, y: i64) -> Markup {
    html! {
        g.axis aria-hidden="true" {
            @for quarter in 0..=4_u64 {
                @let at = Time::from_micros(beliefs.end.as_micros() / 4 * quarter);
                line x1=(beliefs.x(at)) x2=(beliefs.x(at)) y1=(y) y2=(y + 4) {}
                text x=(beliefs.x(at) - if quarter == 4 { 14 } else { 0 }) y=(y + 15) { (at.as_micros() / 1_000_000) "." (at.as_micros() / 100_000 % 10) " s" }
            }
        }
    }
}

fn legend() -> Markup {
    let states = [Presence::Alive, Presence::Suspect, Presence::Unreachable, Presence::Left];
    html! {
        p.legend {
            @for state in states {
                span.key {
                    svg.map width="22" height="14" aria-hidden="true" { g class=(state.word()) {
                        rect.state x="0" y="0" width="22" height="14" {} rect.over x="0" y="0" width="22" height="14" {}
                        text.letter x="11" y="11" { (letter(state)) }
                    } }
                    " " (state.word())
                } " "
            }
            span.key { "blank: not known, or the observer does not run" }
        }
        svg width="0" height="0" aria-hidden="true" {
            defs {
                pattern #dots width="5" height="5" patternUnits="userSpaceOnUse" { circle cx="2" cy="2" r="1" {} }
                pattern #slashes width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" { line x1="0" y1="0" x2="0" y2="5" {} }
                pattern #bars width="5" height="5" patternUnits="userSpaceOnUse" { line x1="0" y1="2" x2="5" y2="2" {} }
            }
        }
    }
}
