//! The thread that shows what happens. Events come from the node's control socket; those that come together
//! are printed together, so that a burst costs one redraw of the prompt.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use super::board::Shared;
use crate::base::limits::SCREEN_EVENTS_MAX;
use crate::node::api::Event;
use crate::runtime::{Client, clock};

/// How long a first event waits for others: short of what a person notices.
const BATCH_TIME_MAX: Duration = Duration::from_millis(15);

/// Passes the node's events on until either side is gone. A screen that is too slow makes this wait, and
/// then the node counts what it left out.
pub(super) fn read_events(mut tail: Client, to_screen: &SyncSender<Event>) {
    while let Ok(Some(event)) = tail.next_event() {
        if to_screen.send(event).is_err() {
            return;
        }
    }
}

/// Shows events until there are no more to come.
pub(super) fn show_events(events: &Receiver<Event>, board: &Arc<Shared>, mut print: impl FnMut(String)) {
    while let Ok(first) = events.recv() {
        let batch = gather(first, events);
        let lines = board.handle_events(&batch);
        if !lines.is_empty() {
            print(lines.join("\n") + "\n");
        }
    }
}

/// `first` and what follows it closely.
fn gather(first: Event, events: &Receiver<Event>) -> Vec<Event> {
    let until = clock::time() + BATCH_TIME_MAX;
    let mut batch = vec![first];
    while batch.len() < SCREEN_EVENTS_MAX {
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
        let view = View { ink: Ink::Plain, zone: TimeZone::UTC, names: Names::default() };
        let board = Arc::new(Shared::new(Board::new(view, Typed::Hidden)));
        let mut printed = Vec::new();
        show_events(&events, &board, |text| printed.push(text));
        assert_eq!(printed.len(), 1);
        assert_eq!(printed[0].lines().count(), 3);
    }
}
