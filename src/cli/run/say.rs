//! What is said about a run: a line with its verdict, and of a failure why, what led to it and how to see it
//! again. Owns the words and the JSON.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::super::exit::Failure;
use super::{Form, Output, out};
use crate::report;
use crate::scenario::{Run, Stop, Verdict, Why, seconds};

/// A run, and what there is to say about it.
pub(super) struct Account<'a> {
    pub(super) file: &'a str,
    pub(super) run: &'a Run,
    pub(super) wall: Duration,
    pub(super) replay: String,
    /// Of a sweep: how many seeds passed.
    pub(super) passed_before: Option<u64>,
    pub(super) shrinking: Option<Shrinking>,
}

/// What came of shrinking.
pub(super) enum Shrinking {
    To {
        file: PathBuf,
        replay: String,
        steps: usize,
        steps_before: usize,
    },
    /// The steps alone do not fail: what failed is in what the script computes.
    InTheScript,
}

/// What fits a screen; --report shows more.
const PAST_LINES_MAX: usize = 30;
const NOT_SHRUNK: &str =
    "not shrunk: the same steps at the same times do not fail by themselves, so it lies in what the script computes";

#[derive(Serialize)]
struct Json<'a> {
    file: &'a str,
    name: &'a str,
    seed: u64,
    verdict: &'static str,
    virtual_ms: u64,
    wall_ms: u64,
    hash: Option<String>,
    error: Option<JsonStop<'a>>,
    replay: &'a str,
    /// The causal past of a failure.
    past: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shrunk: Option<String>,
}

#[derive(Serialize)]
struct JsonStop<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<u8>,
    text: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
    at_ms: Option<u64>,
    room: &'a [String],
}

impl Account<'_> {
    pub(super) fn say(&self, output: Output) -> Result<(), Failure> {
        heard(match output.form {
            Form::Json => out::json(&self.json()),
            Form::Text => out::line(&self.text()),
        })
    }

    fn text(&self) -> String {
        let run = self.run;
        let (verdict, file, seed) = (run.verdict().word(), self.file, run.seed);
        let mut first = format!("{verdict:<7} {file}  seed {seed}, {} in {}", seconds(run.elapsed), seconds(self.wall));
        if let Some(hash) = short_hash(run) {
            let _ = write!(first, ", trace {hash}");
        }
        if let Some(passed) = self.passed_before {
            let _ = write!(first, "; {passed} other seeds passed");
        }
        let mut lines = vec![first];
        lines.extend(run.stop.as_ref().map(ToString::to_string));
        if let Some(failed_at) = run.failed_at().filter(|_| run.verdict() == Verdict::Failed) {
            lines.push("what led to it:".to_owned());
            lines.extend(report::listing(&run.trace, failed_at, PAST_LINES_MAX).iter().map(|line| format!("  {line}")));
        }
        if run.verdict() == Verdict::Failed {
            lines.push(format!("run it again with: {}", self.replay));
        }
        match &self.shrinking {
            Some(Shrinking::To { file, replay, steps, steps_before }) => {
                lines.push(format!("shrunk from {steps_before} steps to {steps}: {}", file.display()));
                lines.push(format!("run that with: {replay}"));
            }
            Some(Shrinking::InTheScript) => lines.push(NOT_SHRUNK.to_owned()),
            None => {}
        }
        lines.join("\n")
    }

    fn json(&self) -> Json<'_> {
        let run = self.run;
        Json {
            file: self.file,
            name: &run.settings.name,
            seed: run.seed,
            verdict: run.verdict().word(),
            virtual_ms: ms(run.elapsed),
            wall_ms: ms(self.wall),
            hash: run.hash.map(hex),
            error: run.stop.as_ref().map(json_stop),
            replay: &self.replay,
            past: run.failed_at().map_or_else(Vec::new, |at| report::listing(&run.trace, at, PAST_LINES_MAX)),
            passed: self.passed_before,
            shrunk: match &self.shrinking {
                Some(Shrinking::To { file, .. }) => Some(file.display().to_string()),
                Some(Shrinking::InTheScript) | None => None,
            },
        }
    }
}

/// A sweep without a failure.
pub(super) fn passed_all(file: &str, passed: u64, wall: Duration, output: Output) -> Result<(), Failure> {
    heard(match output.form {
        Form::Json => {
            let verdict = Verdict::Passed.word();
            out::json(&json!({ "file": file, "verdict": verdict, "passed": passed, "wall_ms": ms(wall) }))
        }
        Form::Text => out::line(&format!("passed  {file}  {passed} seeds in {}", seconds(wall))),
    })
}

/// A reader that went away has read what it wanted; the exit code is the verdict's all the same.
fn heard(said: io::Result<()>) -> Result<(), Failure> {
    match said {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => Ok(said?),
    }
}

fn json_stop(stop: &Stop) -> JsonStop<'_> {
    let (kind, check) = match &stop.why {
        Why::Check(check) => ("check", Some(*check)),
        Why::Expectation(_) => ("expectation", None),
        Why::Wait(_) => ("wait", None),
        Why::Refused => ("refused", None),
        Why::Script => ("script", None),
        Why::Cannot => ("cannot", None),
        Why::Fleet => ("fleet", None),
    };
    JsonStop {
        kind,
        check,
        text: &stop.text,
        file: stop.place.as_ref().map(|place| place.file.as_str()),
        line: stop.place.as_ref().map(|place| place.line),
        at_ms: stop.at.map(ms),
        room: &stop.room,
    }
}

fn short_hash(run: &Run) -> Option<String> {
    run.hash.map(|hash| hex(hash)[..16].to_owned())
}

fn hex(hash: [u8; 32]) -> String {
    blake3::Hash::from_bytes(hash).to_hex().to_string()
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
