//! The commands that run a node in this process: `chat`, `join` and `node`.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use super::args::LogFormat;
use super::exit::{Exit, Failure};
use super::out::{self, Form, Output};
use crate::base::text;
use crate::lua::Source;
use crate::repl;
use crate::runtime::protocol::Request;
use crate::runtime::{self, Client, LogOutput, Options, Running};
use crate::view::{Answered, Names};
use crate::wire::Ticket;

/// What a node was asked to be on the command line.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) nick: Option<String>,
    pub(super) room: Option<String>,
    pub(super) ticket: Option<Ticket>,
    pub(super) dial: Vec<SocketAddr>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) faults: Vec<String>,
    pub(super) scripts: Vec<Source>,
}

/// Where typed lines are kept, in the home.
const HISTORY: &str = "history";

pub(super) fn chat(home: &Path, settings: Settings, program: String, output: Output) -> Result<Exit, Failure> {
    if output.form == Form::Json {
        return Err(Failure::misuse("a chat is for people; moot node and moot tail --json are for programs"));
    }
    let asks = settings.ticket.as_ref().is_some_and(|ticket| !ticket.addresses.is_empty()) || !settings.dial.is_empty();
    let answered = if asks { Answered::Dialled } else { Answered::NobodyAsked };
    let _logs = runtime::init_logs(&LogOutput::Home(home.to_owned()), runtime::LogFormat::Text)?;
    let node = start(home, settings)?;
    repl::run(repl::Settings {
        socket: socket_in(home),
        history: home.join(HISTORY),
        view: output.view(Names::default()),
        program,
        answered,
        is_newcomer: node.is_newcomer(),
        editing: output.editing,
    })?;
    // Leaving the room was asked for over the socket; if that is gone, this still ends the node.
    node.stop();
    node.wait()?;
    Ok(Exit::Well)
}

pub(super) fn node(home: &Path, settings: Settings, format: LogFormat, until_eof: bool) -> Result<Exit, Failure> {
    let format = match format {
        LogFormat::Json => runtime::LogFormat::Json,
        LogFormat::Text => runtime::LogFormat::Text,
    };
    let _logs = runtime::init_logs(&LogOutput::Stderr, format)?;
    let node = start(home, settings)?;
    if until_eof {
        leave_at_eof(home.to_owned());
    }
    print_events(home)?;
    node.wait()?;
    Ok(Exit::Well)
}

/// Has the node leave once standard input ends, which it also does when the process at its other end is killed.
fn leave_at_eof(home: PathBuf) {
    thread::spawn(move || {
        // A read that fails is an end too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        // It fails only where the node has ended already.
        let _ = Client::connect(&socket_in(&home)).and_then(|mut client| client.ask(Request::Leave));
    });
}

/// Prints every event until the node ends. Where nobody reads them any more, the node goes on without.
fn print_events(home: &Path) -> Result<(), Failure> {
    let mut tail = Client::connect(&socket_in(home))?;
    tail.begin_tail(Some(0))?;
    let mut lines = Vec::new();
    loop {
        lines.clear();
        let heard = tail.next_events_json(&mut lines);
        if let Err(error) = out::json_lines(&lines) {
            tracing::warn!(%error, "events are not printed any more");
            return Ok(());
        }
        if !heard? {
            return Ok(());
        }
    }
}

/// The control socket of a home.
pub(super) fn socket_in(home: &Path) -> PathBuf {
    runtime::socket_in(home)
}

fn start(home: &Path, settings: Settings) -> Result<Running, Failure> {
    let Settings { nick, room, ticket, dial, listen, faults, scripts } = settings;
    let nick_default = login_nick();
    Ok(runtime::start(&Options {
        home: home.to_owned(),
        nick,
        nick_default,
        room,
        ticket,
        dial,
        listen,
        faults,
        scripts,
    })?)
}

/// The login name as a nick, without what a nick cannot have.
fn login_nick() -> String {
    let name = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    nick_of(&name)
}

fn nick_of(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let nick: String = name.chars().skip_while(|c| !c.is_alphabetic()).filter(|&c| plain(c)).collect();
    if text::check_nick(&nick).is_ok() { nick } else { "guest".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_name_becomes_a_nick() {
        assert_eq!(nick_of("ana"), "ana");
        assert_eq!(nick_of("1st.ana@lab"), "stanalab");
        assert_eq!(nick_of(""), "guest");
        assert_eq!(nick_of(&"x".repeat(40)), "guest");
    }
}
