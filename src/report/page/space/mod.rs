//! The space-time diagram of the causal past (Lamport 1978): a lane for each machine, an arrow for each datagram.
//! Owns the drawing; where things stand is `layout`'s.

mod label;
mod lanes;
mod layout;

use maud::{Markup, html};

use super::describe::describe;
use crate::check::{LineNumber, What};
use crate::report::past::Past;
use crate::report::story::{Fate, Flight, Story};
use crate::report::words;
use layout::Layout;

pub(super) fn space(story: &Story<'_>, past: &Past) -> Markup {
    let layout = Layout::of(story, past);
    let drawing = Drawing { story, past, layout: &layout };
    let (width, height) = (layout.width, layout.height);
    html! {
        section #spacetime {
            h2 { @if past.chain.is_empty() { "What happened" } @else { "What led to it" } }
            (legend())
            (left_out(past, &layout))
            div.canvas {
                div.lane-names style={ "width:" (width) "px" } aria-hidden="true" {
                    @for &node in &layout.lanes {
                        span style={ "left:" (layout.x(node).unwrap_or(0) - 6) "px;max-width:" (layout.lane_width - 4) "px" } { (story.nodes[node].name) }
                    }
                }
                svg #space role="group" aria-label="space-time diagram: machines side by side, time downwards"
                    width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } {
                    (markers())
                    (drawing.bands())
                    (drawing.times())
                    (drawing.lanes())
                    @for flight in &story.flights { (drawing.flight(flight)) }
                    @for &index in &past.drawn { (drawing.event(index)) }
                }
            }
        }
    }
}

struct Drawing<'a> {
    story: &'a Story<'a>,
    past: &'a Past,
    layout: &'a Layout,
}

impl Drawing<'_> {
    fn times(&self) -> Markup {
        let left = Layout::left();
        html! {
            g.times aria-hidden="true" {
                @for (at, y) in &self.layout.times {
                    line.tick x1=(left - 4) x2=(self.layout.width) y1=(y) y2=(y) {}
                    text x=(left - 8) y=(y + 4) text-anchor="end" { (words::clock(*at)) }
                }
            }
        }
    }

    /// A datagram, with each of its ends.
    fn flight(&self, flight: &Flight) -> Markup {
        let (Some(y), Some(x)) = (self.layout.y.get(&flight.sent), self.layout.x(flight.from)) else { return html! {} };
        let What::Sent { labels, .. } = &self.story.lines[flight.sent].what else { return html! {} };
        let class = label::class(labels);
        let to = flight.to.and_then(|node| self.layout.x(node));
        let from = (x, *y);
        let is_seen = |fate: &&Fate| self.layout.y.contains_key(&line_of(**fate));
        let ends: Vec<&Fate> = flight.fates.iter().filter(is_seen).collect();
        html! {
            @if ends.is_empty() && to.is_some() { (self.under_way(flight, class, from, to.unwrap_or(x))) }
            @for fate in ends { (self.end(flight, *fate, class, from, to)) }
        }
    }

    fn end(&self, flight: &Flight, fate: Fate, class: &str, (x, y): (i64, i64), to: Option<i64>) -> Markup {
        let line = line_of(fate);
        let end_y = self.layout.y[&line];
        // One to nobody, or to a machine that is not drawn, ends beside its lane.
        let to = to.unwrap_or(x + self.layout.lane_width / 2);
        let title = format!("{}\n{}", self.sentence(flight.sent), self.sentence(line));
        let lit = if self.past.chain.contains(&line) { "in-chain" } else { "" };
        match fate {
            Fate::Arrived { copy, is_damaged, .. } => {
                let again = if copy > 0 { "copy" } else { "" };
                let damaged = if is_damaged { "damaged" } else { "" };
                // The head stops short of the mark of what it leads to.
                let tip = to - 5 * (to - x).signum();
                html! {
                    g class={ "flight arrived " (class) " " (again) " " (damaged) " " (lit) } data-n=(self.number(line)) data-c=[self.drawn_cause(line)] {
                        title { (title) }
                        line.hit x1=(x) y1=(y) x2=(to) y2=(end_y) {}
                        line.wire x1=(x) y1=(y) x2=(tip) y2=(end_y) marker-end={ "url(#head-" (class) ")" } {}
                    }
                }
            }
            Fate::Dropped { .. } => {
                let (cx, cy) = (x + (to - x) * 3 / 5, y + (end_y - y) * 3 / 5);
                html! {
                    g class={ "flight dropped " (class) " " (lit) } data-n=(self.number(line)) data-c=[self.drawn_cause(line)] {
                        title { (title) }
                        line.hit x1=(x) y1=(y) x2=(cx) y2=(cy) {}
                        line.wire x1=(x) y1=(y) x2=(cx) y2=(cy) {}
                        path.cross d={ "M" (cx - 4) " " (cy - 4) "l8 8m0 -8l-8 8" } {}
                    }
                }
            }
        }
    }

    fn under_way(&self, flight: &Flight, class: &str, (x, y): (i64, i64), to: i64) -> Markup {
        let (cx, cy) = (x + (to - x) / 2, y + 6);
        html! {
            g class={ "flight under-way " (class) } data-n=(self.number(flight.sent)) data-c=[self.drawn_cause(flight.sent)] {
                title { (self.sentence(flight.sent)) "\nstill under way" }
                line.wire x1=(x) y1=(y) x2=(cx) y2=(cy) {}
                circle cx=(cx) cy=(cy) r="3" {}
            }
        }
    }

    /// The mark of a line on its lane, with its label; or its row.
    fn event(&self, index: usize) -> Markup {
        let Some(&y) = self.layout.y.get(&index) else { return html! {} };
        let line = &self.story.lines[index];
        let full = self.layout.labels.get(&index);
        let lit = if self.past.chain.contains(&index) { "in-chain" } else { "" };
        let x = self.story.node(line).and_then(|node| self.layout.x(node));
        let class = kind(&line.what);
        let Some(x) = x else {
            let text = full.map_or("", String::as_str);
            let chars = usize::try_from(self.layout.width / 7).unwrap_or(0);
            return html! {
                @if !matches!(line.what, What::Dropped { .. }) {
                    g class={ "row " (class) " " (lit) } data-n=(line.n) data-c=[self.drawn_cause(index)] {
                        title { (self.sentence(index)) }
                        text x=(Layout::left() + 4) y=(y + 12) { (words::shortened(text, chars)) }
                    }
                }
            };
        };
        if matches!(line.what, What::Dropped { .. }) {
            return html! {};
        }
        html! {
            g class={ "event " (class) " " (lit) } data-n=(line.n) data-c=[self.drawn_cause(index)] {
                title { (self.sentence(index)) }
                (mark(class, x, y))
                @if let Some(full) = full {
                    text x=(x + 8) y=(y + 4 - if class == "wire-end" { layout::ABOVE } else { 0 }) { (words::shortened(full, self.layout.chars())) }
                }
            }
        }
    }

    /// `12.345 s, bo: shows …`.
    fn sentence(&self, index: usize) -> String {
        let line = &self.story.lines[index];
        let who = line.node.as_deref().map_or_else(String::new, |node| format!("{node} "));
        format!("{}  {who}{}", words::clock(line.at), describe(self.story, index))
    }

    fn number(&self, index: usize) -> LineNumber {
        self.story.lines[index].n
    }

    /// The nearest cause that is drawn, so that a chain can be followed over what is not.
    fn drawn_cause(&self, index: usize) -> Option<LineNumber> {
        let mut at = index;
        while let Some(cause) = self.story.cause(at) {
            if self.layout.y.contains_key(&cause) {
                return Some(self.number(cause));
            }
            at = cause;
        }
        None
    }
}

const fn line_of(fate: Fate) -> usize {
    match fate {
        Fate::Arrived { line, .. } | Fate::Dropped { line, .. } => line,
    }
}

/// What a line is about, by which its mark is drawn.
const fn kind(what: &What) -> &'static str {
    match what {
        What::Sent { .. } | What::Arrived { .. } | What::Dropped { .. } => "wire-end",
        What::Stored { .. } => "disk",
        What::Accepted { .. } | What::Told { .. } | What::Logged { .. } => "person",
        What::Ended { .. } => "ended",
        What::Started { .. } | What::Paused | What::Resumed { .. } | What::Home { .. } | What::Began { .. } => "life",
        What::Fault { .. }
        | What::RolledBack { .. }
        | What::NotStored { .. }
        | What::Dishonest { .. }
        | What::Lied { .. } => "fault",
        What::Refused { .. } => "refused",
        What::Step { .. } => "step",
        What::Violated { .. } => "violated",
    }
}

fn mark(class: &str, x: i64, y: i64) -> Markup {
    html! {
        @match class {
            "wire-end" => { circle cx=(x) cy=(y) r="2.5" {} }
            "disk" => { rect x=(x - 4) y=(y - 4) width="8" height="8" {} }
            "ended" => { path d={ "M" (x - 5) " " (y - 5) "l10 10m0 -10l-10 10" } {} }
            "life" => { circle cx=(x) cy=(y) r="4.5" {} }
            "fault" => { path d={ "M" (x) " " (y - 6) "l6 10h-12z" } {} }
            _ => { path d={ "M" (x) " " (y - 5) "l5 5l-5 5l-5 -5z" } {} }
        }
    }
}

const CLASSES: [&str; 7] = ["group", "private", "receipt", "recovery", "membership", "handshake", "routine"];

fn markers() -> Markup {
    html! {
        defs {
            @for class in CLASSES {
                marker #{ "head-" (class) } class={ "head " (class) } viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"
                    orient="auto" markerUnits="userSpaceOnUse" { path d="M0 0.5L8 4L0 7.5z" {} }
            }
            pattern #hatch width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                line x1="0" y1="0" x2="0" y2="6" {}
            }
        }
    }
}

fn legend() -> Markup {
    let wires = [
        ("group", "group message"),
        ("private", "private message"),
        ("receipt", "receipt"),
        ("recovery", "recovery"),
        ("membership", "membership"),
        ("handshake", "handshake"),
    ];
    let marks =
        [("person", "person"), ("disk", "disk"), ("life", "starts, stops"), ("ended", "crash"), ("fault", "fault")];
    html! {
        p.legend {
            @for (class, word) in wires {
                span.key {
                    svg width="30" height="10" aria-hidden="true" { g class={ "flight " (class) } {
                        line.wire x1="1" y1="5" x2="27" y2="5" marker-end={ "url(#head-" (class) ")" } {}
                    } }
                    " " (word)
                } " "
            }
            span.key {
                svg width="30" height="10" aria-hidden="true" { g.flight.dropped.handshake {
                    line.wire x1="1" y1="5" x2="20" y2="5" {} path.cross d="M18 1l8 8m0 -8l-8 8" {}
                } }
                " dropped"
            } " "
            @for (class, word) in marks {
                span.key {
                    svg width="14" height="14" aria-hidden="true" { g class={ "event " (class) } { (mark(class, 7, 7)) } }
                    " " (word)
                } " "
            }
        }
    }
}

fn left_out(past: &Past, layout: &Layout) -> Markup {
    let mut words = Vec::new();
    if past.left_out > 0 {
        words.push(words::count(past.left_out, "line that matters less", "lines that matter less"));
    }
    if past.routine > 0 {
        words.push(words::count(past.routine, "datagram of heartbeats", "datagrams of heartbeats"));
    }
    if layout.left_out > 0 {
        words.push(words::count(layout.left_out, "machine", "machines"));
    }
    html! {
        p.hint { "Point at anything to read it; click it to follow its causes back." }
        @if !words.is_empty() { p.left-out { "Left out: " (words.join(", ")) "." } }
    }
}
