//! A run as one HTML file that opens offline: the verdict, what led to it, who saw whom, and what became of
//! each message. Owns the page; loads nothing.

mod chain;
mod describe;
mod heat;
mod matrix;
mod space;

pub(super) use describe::describe;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::past::Past;
use super::story::Story;
use super::words;
use crate::check::{Driver, Line, LineNumber, What};

/// What whoever ran a scenario knows of the run beyond its trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub verdict: Verdict,
    /// What failed, or why it is not known, one sentence each; where none is given, the violations of the trace.
    pub words: Vec<String>,
    /// The command that runs the same again.
    pub replay: String,
    /// The line at which it failed, where that is not the first violation.
    pub failed_at: Option<LineNumber>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Passed,
    Failed,
    /// The scenario is wrong, so it shows nothing.
    Error,
    /// The fleet could not do what the scenario asked of it.
    Unknown,
}

/// The report of a run, as the text of an HTML file.
#[must_use]
pub fn page(lines: &[Line], finding: &Finding) -> String {
    let story = Story::of(lines);
    let past = Past::of(&story, finding.failed_at);
    let title = title(&story);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) ": " (verdict(finding.verdict)) }
                style { (PreEscaped(STYLE)) }
            }
            body class=[(finding.verdict == Verdict::Passed).then_some("passed-run")] {
                (head(&story, finding, &title))
                main {
                    @if !past.chain.is_empty() { (chain::chain(&story, &past)) }
                    (space::space(&story, &past))
                    (heat::heat(&story))
                    (matrix::matrix(&story))
                }
                aside #reader role="status" {}
                footer { "Made by moot from a trace. This file loads nothing." }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");

fn head(story: &Story<'_>, finding: &Finding, title: &str) -> Markup {
    let violations: Vec<String> = story.lines.iter().filter_map(violation).collect();
    let sentences = if finding.words.is_empty() { &violations } else { &finding.words };
    html! {
        header {
            p #verdict class={ "verdict " (verdict(finding.verdict)) } { (verdict(finding.verdict)) }
            h1 { (title) }
            p.facts { (facts(story)) }
            @if let [first, rest @ ..] = sentences.as_slice() {
                p.failure { (first) }
                @for sentence in rest { p.state { (sentence) } }
            }
            p.replay { span { "again: " } code #replay { (finding.replay) } }
        }
    }
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::Error => "error",
        Verdict::Unknown => "unknown",
    }
}

fn violation(line: &Line) -> Option<String> {
    let What::Violated { check, text } = &line.what else { return None };
    Some(format!("at {}: {}", words::clock(line.at), words::violated(*check, text)))
}

fn title(story: &Story<'_>) -> String {
    match story.lines.first().map(|line| &line.what) {
        Some(What::Began { scenario, .. }) => scenario.clone(),
        _ => "a run".into(),
    }
}

fn facts(story: &Story<'_>) -> String {
    let mut facts = Vec::new();
    let mut driver = None;
    if let Some(What::Began { driver: by, seed, .. }) = story.lines.first().map(|line| &line.what) {
        driver = Some(*by);
        facts.push(match by {
            Driver::Sim => "on the simulator".to_owned(),
            Driver::Processes => "on real processes".to_owned(),
        });
        facts.push(format!("seed {seed}"));
    }
    facts.push(words::count(story.nodes.len(), "node", "nodes"));
    facts.push(words::count(story.sayings.len(), "message", "messages"));
    facts.push(words::count(story.flights.len(), "datagram", "datagrams"));
    let virtual_time = if driver == Some(Driver::Sim) { " of virtual time" } else { "" };
    let lines = words::count(story.lines.len(), "line", "lines");
    facts.push(format!("{lines}, the last at {}{virtual_time}", words::clock(story.end())));
    facts.join(" · ")
}
