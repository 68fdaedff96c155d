//! The command `moot`: reads its arguments, does one thing, says how it went. Owns words, exit codes and the
//! choice of streams; everything else is done by the floors below.

mod args;
mod ask;
mod chat;
mod demo;
mod evidence;
mod exit;
mod help;
mod out;
mod run;
mod send;

use std::ffi::OsString;
use std::process::ExitCode;

use args::{Args, Command, EvidenceCommand, Parsed};
use exit::{Exit, Failure};
use out::Output;

/// Runs the program with the process's arguments, to its exit code: 0 well, 1 an error, 2 a wrong usage;
/// `send` has more.
#[must_use]
pub fn run() -> ExitCode {
    run_with(&std::env::args_os().collect::<Vec<_>>()).into()
}

fn run_with(words: &[OsString]) -> Exit {
    let program = words.first().map_or_else(|| "moot".into(), |word| word.to_string_lossy().into_owned());
    let done = args::parse(words).and_then(|parsed| match parsed {
        Parsed::Args(args) => dispatch(*args, program),
        Parsed::Said => Ok(Exit::Well),
    });
    done.unwrap_or_else(|failure| failure.tell())
}

fn dispatch(args: Args, program: String) -> Result<Exit, Failure> {
    let Args { common, command } = args;
    let output = Output::of(&common);
    // The demo has homes of its own.
    let home = common.home();
    match command.unwrap_or_default() {
        Command::Demo => demo::demo(output),
        Command::Chat(node) => chat::chat(&home?, node.settings()?, program, output),
        Command::Join(join) => chat::chat(&home?, join.settings()?, program, output),
        Command::Node { node, log_format, until_eof } => chat::node(&home?, node.settings()?, log_format, until_eof),
        Command::Invite { qr } => ask::invite(&home?, qr, output),
        Command::Status { watch, counters } => ask::status(&home?, watch, counters, output),
        Command::Who { watch } => ask::who(&home?, watch, output),
        Command::Why { what } => ask::why(&home?, &what, output),
        Command::Gaps => ask::gaps(&home?, output),
        Command::Log { last, count } => ask::log(&home?, count.unwrap_or(last), output),
        Command::Search(search) => ask::search(&home?, search, output),
        Command::Evidence(EvidenceCommand::Export { what, out }) => evidence::export(&home?, &what, &out, output),
        Command::Evidence(EvidenceCommand::Verify { file, room }) => evidence::verify(&file, room, output),
        Command::Send(send) => send::send(&home?, send, output),
        Command::Tail => ask::tail(&home?, output),
        Command::Leave => ask::leave(&home?, output),
        Command::Fault { spec } => ask::fault(&home?, &spec, output),
        Command::Run(args) => run::run(&args, output),
    }
}
