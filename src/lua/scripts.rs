//! The scripts of a node. Events, datagrams and time go in; what scripts ask for is asked at once of whoever drives them,
//! and what they write comes out as lines. Owns which hook is told what; knows of the node only its api.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use super::registry::Topic;
use super::sandbox::ScriptError;
use super::script::{Script, ScriptLine};
use crate::base::{MemberId, Rng, Time};
use crate::node::api::{Event, EventKind, MemberStatus, MessageKind, Sent, Status, WhyMember, WhyMessage};

/// A script as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// What its errors call it: the name of its file.
    pub name: String,
    pub text: Vec<u8>,
}

/// What a script asks of its node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    Say {
        text: String,
    },
    /// To a member by name, as people write it.
    Tell {
        to: String,
        text: String,
    },
    Members,
    Status,
    /// About a member by name, or a message by its id.
    Why {
        what: String,
    },
    /// A fault spec, or `off`.
    Fault {
        spec: String,
    },
}

/// What the node answers. Scripts see the JSON of it as a table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Told {
    Sent(Sent),
    Members(Vec<MemberStatus>),
    Status(Box<Status>),
    Member(Box<WhyMember>),
    Message(Box<WhyMessage>),
    Faults(Vec<String>),
    Nothing,
}

/// Whoever answers: what is refused becomes an error at the line that asked.
pub type Asking<'a> = dyn FnMut(Ask) -> Result<Told, String> + 'a;

/// A datagram as a `datagram` hook is told of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Datagram {
    pub way: Direction,
    /// The nick of the member at the other end, where it is known.
    pub peer: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// Its number among those that went this way on this link, from 1.
    pub n: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Out,
    In,
}

/// What the `datagram` hooks make of a datagram, all together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    pub is_dropped: bool,
    pub delay: Duration,
    /// How many arrive; at least one.
    pub copies: u32,
}

/// The scripts of one node, in the order in which they were given.
#[derive(Default)]
pub struct Scripts {
    scripts: Vec<Script>,
    lines: VecDeque<ScriptLine>,
}

impl Verdict {
    pub const PASS: Self = Self { is_dropped: false, delay: Duration::ZERO, copies: 1 };
}

impl Scripts {
    /// Compiles the scripts and runs each once, so that they register their hooks.
    ///
    /// # Errors
    /// [`ScriptError`] of the first that does not read or fails.
    pub fn load(sources: &[Source], rng: &Rng, now: Time) -> Result<Self, ScriptError> {
        let mut loaded = Self::default();
        for (at, Source { name, text }) in sources.iter().enumerate() {
            let script = Script::load(name, text, rng.split(&format!("script {at}")), now)?;
            loaded.lines.extend(script.log());
            loaded.scripts.push(script);
        }
        Ok(loaded)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// Whether some hook wants to see datagrams.
    #[must_use]
    pub fn sees_datagrams(&self) -> bool {
        self.scripts.iter().any(|script| script.has(Topic::Datagram))
    }

    /// The node runs, so that it can do what scripts ask: their timers count from now.
    pub fn begin(&mut self, now: Time) {
        self.scripts.iter().for_each(|script| script.begin(now));
    }

    /// Tells the hooks of something that the node told.
    pub fn handle_event(&mut self, now: Time, me: MemberId, event: &Event, ask: &mut Asking<'_>) {
        let Some(topic) = topic_of(event, me) else { return };
        let mut lines = Vec::new();
        for script in self.scripts.iter_mut().filter(|script| script.has(topic)) {
            script.handle_event(now, topic, event, ask, &mut lines);
        }
        self.lines.extend(lines);
    }

    /// Asks the `datagram` hooks.
    pub fn handle_datagram(&mut self, now: Time, datagram: &Datagram) -> Verdict {
        let mut verdict = Verdict::PASS;
        let mut lines = Vec::new();
        for script in self.scripts.iter_mut().filter(|script| script.has(Topic::Datagram)) {
            script.handle_datagram(now, datagram, &mut verdict, &mut lines);
        }
        self.lines.extend(lines);
        verdict
    }

    /// Calls the timers that are due.
    pub fn handle_timeout(&mut self, now: Time, ask: &mut Asking<'_>) {
        let mut lines = Vec::new();
        for script in &mut self.scripts {
            if script.poll_timeout().is_some_and(|due| due <= now) {
                script.handle_timeout(now, ask, &mut lines);
            }
        }
        self.lines.extend(lines);
    }

    /// When the next timer is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.scripts.iter().filter_map(Script::poll_timeout).min()
    }

    /// The next line that a script wrote, or that says how one failed.
    pub fn poll_line(&mut self) -> Option<ScriptLine> {
        self.lines.pop_front()
    }
}

/// Which hooks an event is for. What this node says itself is for none, so that no script answers itself.
fn topic_of(event: &Event, me: MemberId) -> Option<Topic> {
    match &event.kind {
        EventKind::Message(message) if message.from == me => None,
        EventKind::Message(message) => match message.kind {
            MessageKind::Group => Some(Topic::Message),
            MessageKind::Private => Some(Topic::Private),
        },
        EventKind::Member { .. } => Some(Topic::Member),
        EventKind::Delivery { .. } => Some(Topic::Delivery),
        EventKind::Gap(_) => Some(Topic::Gap),
        EventKind::Ready { .. }
        | EventKind::Undone { .. }
        | EventKind::Recovered { .. }
        | EventKind::Fault { .. }
        | EventKind::Alarm { .. }
        | EventKind::Stalled { .. }
        | EventKind::Lagged { .. }
        | EventKind::Script { .. } => None,
    }
}
