//! The chat as a person uses it: what happens is shown as it comes, what is typed is carried out. A client
//! of the node's own control socket, like any other. Knows nothing of how a node is started.

mod answer;
mod board;
mod complete;
mod editor;
mod onlooker;
mod parse;
mod plain;
mod screen;
mod session;
mod tally;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use rustyline::ExternalPrinter as _;

use crate::base::Presence;
use crate::base::limits::SCREEN_EVENTS_MAX;
use crate::node::api::{Event, EventKind, MemberStatus};
use crate::runtime::protocol::{Request, Response};
use crate::runtime::{Client, ClientError, clock};
use crate::view::{Answered, Opening, View};

pub use answer::{answer, log};
use board::{Board, Shared, Typed};
use editor::{LineEditor, Terminal};
pub use onlooker::Onlooker;
use session::Session;

/// What a chat needs to know.
pub struct Settings {
    /// The node's control socket.
    pub socket: PathBuf,
    /// Where typed lines are kept for the next time.
    pub history: PathBuf,
    /// In which colours and by which clock; its names are learnt from the node.
    pub view: View,
    /// How this program was started: `target/release/moot`.
    pub program: String,
    pub answered: Answered,
    /// No message had come to this home when its node started.
    pub is_newcomer: bool,
    pub editing: Editing,
}

/// Whether the terminal's own abilities may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editing {
    /// A line editor, where both input and output are a terminal that can.
    WherePossible,
    Never,
}

/// How a chat ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The person ended it; the node was asked to say goodbye.
    ByPerson,
    /// The node is gone.
    ByNode,
}

/// How long the opening waits for an answer of those that were dialled.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(1_500);
/// How long the end waits for the node's goodbye, so that its last events are shown.
const GOODBYE_TIME_MAX: Duration = Duration::from_millis(1_500);

/// Runs a chat until its person or its node ends it.
///
/// # Errors
/// [`ClientError`] when the node cannot be asked to begin with.
pub fn run(settings: Settings) -> Result<Ended, ClientError> {
    let Settings { socket, history, view, program, answered, is_newcomer, editing } = settings;
    let mut node = Client::connect(&socket)?;
    let mut tail = Client::connect(&socket)?;
    tail.begin_tail(Some(0))?;
    let (to_screen, events) = mpsc::sync_channel(SCREEN_EVENTS_MAX);
    spawn("events", move || screen::read_events(tail, &to_screen));

    let typed = if io::stdin().is_terminal() { Typed::Visible } else { Typed::Hidden };
    let edited = editing == Editing::WherePossible && typed == Typed::Visible && io::stdout().is_terminal();
    let board = Arc::new(Shared::new(Board::new(view, typed)));
    let early = open(&mut node, &events, &board, &program, (answered, is_newcomer))?;
    let session = Session { node, board: Arc::clone(&board) };
    let screen = Screen { events, early, board: Arc::clone(&board), asks: Client::connect(&socket)? };

    let _terminal = edited.then(Terminal::keep);
    let editor = if edited { LineEditor::open(&board, &history) } else { None };
    let (to_end, ends) = mpsc::sync_channel(2);
    if let Some((editor, mut printer)) = editor {
        board.lock().handle_editor();
        let paper = editor.paper();
        let print = move |text| {
            let _turn = paper.turn();
            if let Err(error) = printer.print(text) {
                tracing::debug!(%error, "a line was not shown");
            }
        };
        screen.show(to_end.clone(), print);
        edit(editor, session, to_end);
    } else {
        screen.show(to_end.clone(), |text| write(&text));
        read_lines(session, to_end);
    }
    let ended = ends.recv().unwrap_or(Ended::ByNode);
    if ended == Ended::ByPerson {
        say_goodbye(&socket);
        // The screen ends with the node, once it has shown what was still to come.
        let _ = ends.recv_timeout(GOODBYE_TIME_MAX);
    } else {
        if edited {
            editor::clear_prompt();
        }
        write("the node has ended\n");
    }
    Ok(ended)
}

/// Prints the opening screen. Returns the events that came meanwhile and are still to be shown.
fn open(
    node: &mut Client,
    events: &Receiver<Event>,
    board: &Shared,
    program: &str,
    (answered, is_newcomer): (Answered, bool),
) -> Result<Vec<Event>, ClientError> {
    let ready = events.recv().map_err(|_| ClientError::gone())?;
    board.handle_events(std::slice::from_ref(&ready));
    // What was said before one came is no news that is late.
    if is_newcomer {
        board.lock().handle_newcomer(ready.at);
    }
    let mut early = Vec::new();
    let mut asked_at = clock::wall();
    let mut members = members(node)?;
    if answered == Answered::Dialled && !somebody_is_here(&members, board) {
        await_answer(events, board, &mut early);
        asked_at = clock::wall();
        members = self::members(node)?;
    }
    let faults = match node.ask(Request::Fault { spec: None })? {
        Response::Faults(faults) => faults,
        other => return Err(ClientError::unexpected(&other)),
    };
    let gaps = match node.ask(Request::Gaps)? {
        Response::Gaps(gaps) => gaps,
        other => return Err(ClientError::unexpected(&other)),
    };
    let mut board = board.lock();
    board.handle_opening(asked_at, &members);
    if let EventKind::Ready { id, nick, room, addr, ticket, .. } = &ready.kind {
        let opening = Opening { id: *id, nick, room, addr, ticket, program, members: &members, answered };
        write(&(board.view.opening(&opening) + "\n"));
    }
    if !gaps.is_empty() {
        write(&(board.view.missing(&gaps) + "\n"));
    }
    if !faults.is_empty() {
        write(&(board.view.fault_banner(&faults) + "\n"));
    }
    board.handle_faults(faults);
    Ok(early)
}

/// Waits until another member is here, but not for long.
fn await_answer(events: &Receiver<Event>, board: &Shared, early: &mut Vec<Event>) {
    let until = clock::time() + ANSWER_TIME_MAX;
    while early.len() < SCREEN_EVENTS_MAX {
        let event = match events.recv_timeout(until.since(clock::time())) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        };
        let is_answer = matches!(&event.kind, EventKind::Member { id, state: Presence::Alive, .. }
            if !board.lock().view.names.is_me(*id));
        early.push(event);
        if is_answer {
            return;
        }
    }
}

fn members(node: &mut Client) -> Result<Vec<MemberStatus>, ClientError> {
    match node.ask(Request::Members)? {
        Response::Members(members) => Ok(members),
        other => Err(ClientError::unexpected(&other)),
    }
}

fn somebody_is_here(members: &[MemberStatus], board: &Shared) -> bool {
    let names = &board.lock().view.names;
    members.iter().any(|member| member.state == Presence::Alive && !names.is_me(member.id))
}

/// The side that shows.
struct Screen {
    events: Receiver<Event>,
    early: Vec<Event>,
    board: Arc<Shared>,
    /// A connection of its own: the one that is typed on may be in the middle of an answer.
    asks: Client,
}

impl Screen {
    /// Starts the screen. It says when the node is gone.
    fn show(self, to_end: SyncSender<Ended>, mut print: impl FnMut(String) + Send + 'static) {
        let Self { events, early, board, mut asks } = self;
        spawn("screen", move || {
            let lines = board.handle_events(&early);
            if !lines.is_empty() {
                print(lines.join("\n") + "\n");
            }
            screen::show_events(&events, &board, |request| asks.ask(request).ok(), print);
            let _ = to_end.try_send(Ended::ByNode);
        });
    }
}

fn edit(mut editor: LineEditor, mut session: Session, to_end: SyncSender<Ended>) {
    spawn("editor", move || {
        editor.run(&mut session);
        let _ = to_end.try_send(Ended::ByPerson);
    });
}

fn read_lines(mut session: Session, to_end: SyncSender<Ended>) {
    spawn("input", move || {
        plain::run(&mut session, io::stdin().lock(), |text| write(&text));
        let _ = to_end.try_send(Ended::ByPerson);
    });
}

/// Asks on a connection of its own: the one that was typed on may be in the middle of an answer.
fn say_goodbye(socket: &Path) {
    let asked = Client::connect(socket).and_then(|mut node| node.ask(Request::Leave));
    if let Err(error) = asked {
        tracing::debug!(%error, "the node was gone before it could say goodbye");
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    // A thread that does not start ends its channel, and with it the chat.
    if let Err(error) = thread::Builder::new().name(name.into()).spawn(body) {
        tracing::error!(%error, name, "cannot start a thread");
    }
}

/// Writes to standard output at once. A reader that went away is none of ours.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
