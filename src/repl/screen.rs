//! The thread that shows what happens. Events come from the node's control socket; those that come together
//! are printed together, so that a burst costs one redraw of the prompt.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use super::board::Shared;
use crate::base::limits::SCREEN_EVENTS_MAX;
use crate::node::api::Event;
use crate::runtime::protocol::{Request, Response};
use crate::runtime::{Client, clock};

/// How long a first event waits for others: short of what a person notices.
const BATCH_TIME_MAX: Duration = Duration::from_millis(15);

/// How often the node is asked whether it is itself cut off, while a member is missed.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

/// Passes the node's events on until either side is gone. A screen that is too slow makes this wait, and
/// then the node counts what it left out.
pub(super) fn read_events(mut tail: Client, to_screen: &SyncSender<Event>) {
    while let Ok(Some(event)) = tail.next_event() {
        if to_screen.send(event).is_err() {
            return;
        }
    }
}

/// Shows events until there are no more to come. `ask` asks the node what its events leave open.
pub(super) fn show_events(
    events: &Receiver<Event>,
    board: &Arc<Shared>,
    mut ask: impl FnMut(Request) -> Option<Response>,
    mut print: impl FnMut(String),
) {
    loop {
        let is_worried = board.lock().is_worried();
        let batch = match if is_worried { events.recv_timeout(LOOK_PERIOD) } else { events.recv().map_err(Into::into) }
        {
            Ok(first) => gather(first, events, board),
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut lines = board.handle_events(&batch);
        lines.extend(look(board, &mut ask));
        if !lines.is_empty() {
            print(lines.join("\n") + "\n");
        }
    }
}

/// Asks for what the board cannot know by itself.
fn look(board: &Shared, ask: &mut impl FnMut(Request) -> Option<Response>) -> Vec<String> {
    let (unknown, is_worried) = {
        let board = board.lock();
        (board.unknown(), board.is_worried())
    };
    for &id in &unknown {
        let why = match ask(Request::Why { what: id.to_string() }) {
            Some(Response::WhyMessage(why)) => Some(why),
            _ => None,
        };
        board.lock().handle_found(id, why.as_deref());
    }
    let mut lines = board.handle_events(&[]);
    if is_worried && let Some(Response::Status(status)) = ask(Request::Status) {
        lines.extend(board.lock().handle_cut_off(status.node.probably_cut_off));
    }
    lines
}

/// `first` and what follows it closely, up to what a typed line waits for.
fn gather(first: Event, events: &Receiver<Event>, board: &Shared) -> Vec<Event> {
    let until = clock::time() + BATCH_TIME_MAX;
    let mut batch = vec![first];
    while batch.len() < SCREEN_EVENTS_MAX && !batch.last().is_some_and(|last| board.lock().is_awaited(last)) {
        match events.recv_timeout(until.since(clock::time())) {
            Ok(event) => batch.push(event),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::base::Wall;
    use crate::node::api::EventKind;
    use crate::repl::board::{Board, Typed};
    use crate::view::{Ink, Names, View};

    #[test]
    fn a_burst_is_printed_at_once() {
        let (to_screen, events) = sync_channel(8);
        for count in 1..=3 {
            to_screen.send(Event { n: count, at: Wall(0), cause: None, kind: EventKind::Lagged { count } }).unwrap();
        }
        drop(to_screen);
        let view = View { ink: Ink::Plain, zone: TimeZone::UTC, now: Wall(0), names: Names::default(), columns: None };
        let board = Arc::new(Shared::new(Board::new(view, Typed::Hidden)));
        let mut printed = Vec::new();
        show_events(&events, &board, |_| None, |text| printed.push(text));
        assert_eq!(printed.len(), 1);
        assert_eq!(printed[0].lines().count(), 3);
    }
}
