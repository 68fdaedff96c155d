//! The commands that ask the running node and print its answer: the words for a person are those of the
//! chat, the JSON is the serde form of `node::api`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use super::args::SearchArgs;
use super::exit::{Exit, Failure};
use super::out::{self, Form, Output};
use crate::node::api::{EventKind, Gap, Status};
use crate::repl;
use crate::runtime::protocol::{Request, RequestId, Response};
use crate::runtime::{Client, ClientError, clock};
use crate::view::{Counters, Names, leads_here_from_elsewhere};

/// How often `status --watch` and `who --watch` redraw.
const WATCH_PERIOD: Duration = Duration::from_secs(1);
/// How long a node may take to answer before a person is told that it does not. A guess: it answers within milliseconds.
pub(super) const SILENT_TIME_MAX: Duration = Duration::from_secs(5);
/// How soon Ctrl-C is noticed where something is told of it.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long it may take before the command gives up. A guess: longer than a large question to a slow disk.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Homes the cursor and clears the screen.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// A connection to the node of a home.
pub(super) struct Node {
    pub(super) client: Client,
    /// How long an answer is waited for.
    patience: Duration,
}

impl Node {
    pub(super) fn at(home: &Path) -> Result<Self, Failure> {
        match Client::connect(&super::chat::socket_in(home)) {
            Ok(client) => Ok(Self { client, patience: ANSWER_TIME_MAX }),
            Err(error @ ClientError::NotRunning { .. }) => {
                Err(anyhow::anyhow!("{error}, or name its home: --home DIR").into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for `span` for an answer, but never less than [`SILENT_TIME_MAX`], and no longer than anybody does.
    pub(super) fn patient_for(self, span: Duration) -> Self {
        Self { patience: span.clamp(SILENT_TIME_MAX, ANSWER_TIME_MAX), ..self }
    }

    /// Asks, and takes a refusal as the end of the command.
    pub(super) fn ask(&mut self, request: Request) -> Result<Response, Failure> {
        let id = self.client.hand(request)?;
        match self.answer(id, self.patience)? {
            Some(Response::Error(error)) => Err(error.into()),
            Some(response) => Ok(response),
            None => Err(ClientError::Late(self.patience).into()),
        }
    }

    /// The answer to what was handed over last, if it comes within `span`. A node that takes long is not waited for
    /// without a word.
    pub(super) fn answer(&mut self, id: RequestId, span: Duration) -> Result<Option<Response>, ClientError> {
        self.answer_unless(id, span, &AtomicBool::new(false))
    }

    /// The same, and `None` soon after `interrupted` is set.
    pub(super) fn answer_unless(
        &mut self,
        id: RequestId,
        span: Duration,
        interrupted: &AtomicBool,
    ) -> Result<Option<Response>, ClientError> {
        let silent = span.min(SILENT_TIME_MAX);
        let left = span.saturating_sub(silent);
        match self.wait(id, silent, interrupted)? {
            None if interrupted.load(Ordering::SeqCst) => Ok(None),
            None if !left.is_zero() => {
                let (for_s, more_s) = (silent.as_secs(), left.as_secs());
                let _ = writeln!(
                    io::stderr(),
                    "moot: the node has not answered for {for_s} s: it is stopped, or this machine is very busy; \
                     waiting for up to {more_s} s more"
                );
                self.wait(id, left, interrupted)
            }
            answer => Ok(answer),
        }
    }

    fn wait(
        &mut self,
        id: RequestId,
        span: Duration,
        interrupted: &AtomicBool,
    ) -> Result<Option<Response>, ClientError> {
        let until = clock::time() + span;
        loop {
            let left = until.since(clock::time());
            let answer = self.client.answer(id, left.min(LOOK_EVERY))?;
            if answer.is_some() || left.is_zero() || interrupted.load(Ordering::SeqCst) {
                return Ok(answer);
            }
        }
    }

    pub(super) fn status(&mut self) -> Result<Status, Failure> {
        match self.ask(Request::Status)? {
            Response::Status(status) => Ok(*status),
            other => Err(ClientError::unexpected(&other).into()),
        }
    }

    fn gaps(&mut self) -> Result<Vec<Gap>, Failure> {
        match self.ask(Request::Gaps)? {
            Response::Gaps(gaps) => Ok(gaps),
            other => Err(ClientError::unexpected(&other).into()),
        }
    }

    /// Who is who, as the node knows it now.
    pub(super) fn names(&mut self) -> Result<Names, Failure> {
        Ok(names_in(&self.status()?))
    }

    /// The nick that was meant, where only its case is not right.
    pub(super) fn ignoring_case(&mut self, typed: &str) -> Result<String, Failure> {
        self.names()?.ignoring_case(typed).map_err(Failure::misuse)
    }

    /// Asks, and prints the answer in words.
    fn tell(&mut self, request: Request, counters: Counters, output: Output) -> Result<(), Failure> {
        let response = self.ask(request)?;
        let status = self.status()?;
        let view = output.view(names_in(&status));
        if let Some(since) = status.node.silent_since {
            out::line(&view.silent(since))?;
        }
        if let Some(text) = repl::answer(&view, &response, counters) {
            out::line(&text)?;
        }
        Ok(())
    }
}

pub(super) fn status(home: &Path, watch: bool, counters: bool, output: Output) -> Result<Exit, Failure> {
    let counters = if counters { Counters::Shown } else { Counters::Hidden };
    pictures(home, watch, output, |node| {
        let status = node.status()?;
        Ok(match output.form {
            Form::Json => out::json_text(&status)?,
            Form::Text => output.view(names_in(&status)).status(&status, counters),
        })
    })
}

pub(super) fn who(home: &Path, watch: bool, output: Output) -> Result<Exit, Failure> {
    let mut warned = None;
    pictures(home, watch, output, |node| {
        let status = node.status()?;
        let warning = warning(&status, output);
        match output.form {
            Form::Json => {
                if warned != warning {
                    warn(warning.as_deref());
                    warned = warning;
                }
                Ok(out::json_text(&status.members)?)
            }
            Form::Text => {
                let table = output.view(names_in(&status)).who(&status.members);
                Ok(warning.into_iter().chain([table]).collect::<Vec<_>>().join("\n"))
            }
        }
    })
}

/// What is to be known before anything that a node says of the others is believed.
fn warning(status: &Status, output: Output) -> Option<String> {
    let view = output.view(names_in(status));
    let silent = status.node.silent_since.map(|since| view.silent(since));
    silent.or_else(|| status.node.probably_cut_off.then(|| view.cut_off()))
}

/// The same beside an answer that programs read.
fn warn(warning: Option<&str>) {
    if let Some(warning) = warning {
        let _ = writeln!(io::stderr(), "moot: {warning}");
    }
}

/// Prints what `draw` makes of the node's answer: once, or each second until the node ends.
fn pictures(
    home: &Path,
    watch: bool,
    output: Output,
    mut draw: impl FnMut(&mut Node) -> Result<String, Failure>,
) -> Result<Exit, Failure> {
    let mut node = Node::at(home)?;
    if !watch {
        out::line(&draw(&mut node)?)?;
        return Ok(Exit::Well);
    }
    let mut tail = Node::at(home)?;
    tail.client.begin_tail(None)?;
    let before = if output.may_clear() { CLEAR } else { "" };
    // One JSON document a line; pictures are told apart by an empty one.
    let after = if output.form == Form::Text { "\n" } else { "" };
    loop {
        let picture = draw(&mut node)?;
        out::line(&format!("{before}{picture}{after}"))?;
        // What happens meanwhile shows in the next picture, and the end of the node at once.
        let redraw_at = clock::time() + WATCH_PERIOD;
        while tail.client.next_event_within(redraw_at.since(clock::time()))?.is_some() {}
    }
}

/// Who is who, as a status has it.
fn names_in(status: &Status) -> Names {
    let mut names = Names::new(status.node.id);
    for member in &status.members {
        names.learn(member.id, &member.nick);
    }
    names
}

pub(super) fn why(home: &Path, what: &str, output: Output) -> Result<Exit, Failure> {
    let mut node = Node::at(home)?;
    let request = Request::Why { what: node.ignoring_case(what)? };
    match output.form {
        Form::Text => node.tell(request, Counters::Hidden, output)?,
        Form::Json => {
            warn(warning(&node.status()?, output).as_deref());
            match node.ask(request)? {
                Response::WhyMember(why) => out::json(&why)?,
                Response::WhyMessage(why) => out::json(&why)?,
                Response::WhyMissing(why) => out::json(&why)?,
                other => return Err(ClientError::unexpected(&other).into()),
            }
        }
    }
    Ok(Exit::Well)
}

pub(super) fn gaps(home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut node = Node::at(home)?;
    let gaps = node.gaps()?;
    match output.form {
        Form::Text => {
            let status = node.status()?;
            out::line(&output.view(names_in(&status)).gaps(&gaps, Some(&status.node)))?;
        }
        Form::Json => out::json(&gaps)?,
    }
    Ok(Exit::Well)
}

pub(super) fn log(home: &Path, last: u64, output: Output) -> Result<Exit, Failure> {
    let mut node = Node::at(home)?;
    let (messages, left_out) = match node.ask(Request::Log { last })? {
        Response::Log { messages, left_out } => (messages, left_out),
        other => return Err(ClientError::unexpected(&other).into()),
    };
    match output.form {
        // As of `head -n 0`.
        Form::Text if last == 0 => (),
        Form::Text => {
            let gaps = node.gaps()?;
            out::line(&repl::log(&output.view(node.names()?), &messages, left_out, &gaps))?;
        }
        Form::Json => {
            out::json(&messages)?;
            if left_out > 0 {
                let _ = writeln!(
                    io::stderr(),
                    "moot: {left_out} older messages did not fit one answer; moot search finds them by their words"
                );
            }
        }
    }
    Ok(Exit::Well)
}

pub(super) fn search(home: &Path, search: SearchArgs, output: Output) -> Result<Exit, Failure> {
    let mut node = Node::at(home)?;
    let words = search.words();
    let from = search.from.map(|nick| node.ignoring_case(&nick)).transpose()?;
    let request = Request::Search { words, from, limit: search.limit };
    match output.form {
        Form::Text => node.tell(request, Counters::Hidden, output)?,
        Form::Json => match node.ask(request)? {
            Response::Found { found, more } => {
                out::json(&found)?;
                if more {
                    let _ = writeln!(io::stderr(), "moot: older messages match too; -n asks for more");
                }
            }
            other => return Err(ClientError::unexpected(&other).into()),
        },
    }
    Ok(Exit::Well)
}

/// The ticket alone on standard output, so that `moot join $(moot invite)` works.
pub(super) fn invite(home: &Path, qr: bool, output: Output) -> Result<Exit, Failure> {
    let ticket = match Node::at(home)?.ask(Request::Invite)? {
        Response::Invite { ticket, .. } => ticket,
        other => return Err(ClientError::unexpected(&other).into()),
    };
    if output.form == Form::Json {
        out::json(&json!({ "ticket": ticket }))?;
        return Ok(Exit::Well);
    }
    if qr {
        let code = QrCode::new(ticket.as_bytes())?;
        out::line(&code.render::<Dense1x2>().build())?;
    }
    out::line(&ticket)?;
    if io::stdout().is_terminal() {
        let _ = if leads_here_from_elsewhere(&ticket) {
            writeln!(io::stderr(), "on another machine:  moot join {ticket}")
        } else {
            writeln!(
                io::stderr(),
                "here, in a second terminal, as only this machine reaches it:  moot join {ticket} --home DIR --nick NAME"
            )
        };
    }
    Ok(Exit::Well)
}

pub(super) fn tail(home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut node = Node::at(home)?;
    let mut view = output.view(node.names()?);
    node.client.begin_tail(None)?;
    while let Some(event) = node.client.next_event()? {
        match output.form {
            Form::Json => out::json(&event)?,
            Form::Text => {
                match &event.kind {
                    EventKind::Member { id, nick, .. } => view.names.learn(*id, nick),
                    EventKind::Message(message) => view.names.learn(message.from, &message.nick),
                    EventKind::Ready { .. }
                    | EventKind::Undone { .. }
                    | EventKind::Delivery { .. }
                    | EventKind::Gap(_)
                    | EventKind::Recovered { .. }
                    | EventKind::Fault { .. }
                    | EventKind::Alarm { .. }
                    | EventKind::Stalled { .. }
                    | EventKind::Lagged { .. }
                    | EventKind::Script { .. } => (),
                }
                view.now = clock::wall();
                out::line(&view.told(&event))?;
            }
        }
    }
    Ok(Exit::Well)
}

pub(super) fn leave(home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut node = Node::at(home)?;
    let was_silent = node.status()?.node.silent_since.is_some();
    node.ask(Request::Leave)?;
    // It hangs up once its home is free, for whoever starts a node there next.
    let has_ended = matches!(node.client.next_event_within(SILENT_TIME_MAX), Err(ClientError::Gone));
    match output.form {
        Form::Text => {
            let goodbye = if was_silent { "it had fallen silent and said no goodbye" } else { "said goodbye" };
            out::line(&format!("{goodbye}; the node {}", if has_ended { "has ended" } else { "ends" }))?;
        }
        Form::Json => out::json(&json!({ "said_goodbye": !was_silent, "has_ended": has_ended }))?,
    }
    Ok(Exit::Well)
}

pub(super) fn fault(home: &Path, spec: &[String], output: Output) -> Result<Exit, Failure> {
    let mut node = Node::at(home)?;
    let spec = Some(spec.join(" ")).filter(|spec| !spec.is_empty());
    let request = Request::Fault { spec };
    match output.form {
        Form::Text => node.tell(request, Counters::Hidden, output)?,
        Form::Json => match node.ask(request)? {
            Response::Faults(faults) => out::json(&faults)?,
            other => return Err(ClientError::unexpected(&other).into()),
        },
    }
    Ok(Exit::Well)
}
