//! A chat looked at over the shoulder: the lines that its person would see, without the terminal. For who shows several
//! people's screens at once.

use super::board::{Board, Typed};
use crate::base::{MessageId, Wall};
use crate::node::api::{Event, Sent, WhyMessage};
use crate::view::View;

/// The screen of one person, from the start of their node.
pub struct Onlooker(Board);

impl Onlooker {
    #[must_use]
    pub fn new(view: View) -> Self {
        Self(Board::new(view, Typed::Visible))
    }

    /// How this person's text is made at `now`, with the names that they know.
    pub fn view(&mut self, now: Wall) -> &View {
        self.0.view.now = now;
        &self.0.view
    }

    /// The node took a message that was typed here.
    pub fn handle_sent(&mut self, sent: &Sent) -> Vec<String> {
        self.0.begin_send();
        self.0.finish_send(Some(sent))
    }

    /// Takes what the node tells and returns the lines for the screen. `ask` asks the node of one's own messages that were
    /// sent by an earlier run.
    pub fn handle_events(
        &mut self,
        events: &[Event],
        mut ask: impl FnMut(MessageId) -> Option<WhyMessage>,
    ) -> Vec<String> {
        let mut lines = self.0.handle_events(events);
        for id in self.0.unknown() {
            let why = ask(id);
            self.0.handle_found(id, why.as_ref());
        }
        lines.extend(self.0.standings());
        lines
    }

    /// Whether a member is missed, so that it may be oneself who is cut off.
    #[must_use]
    pub fn is_worried(&self) -> bool {
        self.0.is_worried()
    }

    /// Takes whether it is probably oneself who is cut off; a line where that changed.
    pub fn handle_cut_off(&mut self, is_cut_off: bool) -> Option<String> {
        self.0.handle_cut_off(is_cut_off)
    }
}
