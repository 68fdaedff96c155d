//! The stage of the demo: real processes, the screens of those who are watched, and the narrator's sentences between them.
//! Owns what is printed and when; every claim of the narrator is asked of the nodes first.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

use crate::base::{MemberId, MessageId, Presence};
use crate::check::{Line, What};
use crate::cli::exit::Failure;
use crate::cli::out::{self, Output};
use crate::faults::{Ends, Fault, Rule};
use crate::node::api::{Command, Event, EventKind, Outcome, Reply, Sent, WhyMessage};
use crate::repl::Onlooker;
use crate::runtime::clock;
use crate::scenario::{Fleet as _, FleetError, ProcessFleet, Unsynced};
use crate::view::{Ink, Names, Tone, View};

pub(super) struct Stage {
    fleet: ProcessFleet,
    output: Output,
    ink: Ink,
    screens: BTreeMap<String, Screen>,
    watched: Vec<String>,
    chapters: u32,
    cuts: Vec<Rule>,
    /// How often each message was told as new on each machine, restarts included.
    shown: BTreeMap<(String, MessageId), u32>,
    looked: Duration,
}

struct Screen {
    member: MemberId,
    onlooker: Onlooker,
}

/// What nothing that is shown takes longer than, on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a person gets to read what stands above, where one sits there.
const READING_TIME: Duration = Duration::from_millis(3_500);
/// How often somebody who misses a member is asked whether they are cut off themselves.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const WIDTH: usize = 88;

impl Stage {
    /// Homes for all who come on, which do not run yet.
    pub(super) fn new(program: &Path, output: Output) -> Result<Self, Failure> {
        let mut fleet = ProcessFleet::new(program)?;
        let mut screens = BTreeMap::new();
        for name in super::NAMES {
            let member = fleet.add(name)?;
            screens.insert(name.to_owned(), Screen { member, onlooker: Onlooker::new(output.view(Names::default())) });
        }
        Ok(Self {
            fleet,
            output,
            ink: output.view(Names::default()).ink,
            screens,
            watched: Vec::new(),
            chapters: 0,
            cuts: Vec::new(),
            shown: BTreeMap::new(),
            looked: Duration::ZERO,
        })
    }

    /// From now on the screens of `names` are shown.
    pub(super) fn watch(&mut self, names: &[&str]) {
        self.watched = names.iter().map(|&name| name.to_owned()).collect();
    }

    /// A heading, and a sentence or two of the narrator.
    pub(super) fn chapter(&mut self, title: &str, text: &str) -> Result<(), Failure> {
        self.read()?;
        self.chapters += 1;
        out::line("")?;
        out::line(&self.ink.paint(Tone::Strong, &format!("{}. {title}", self.chapters)))?;
        says(text)
    }

    /// The narrator's last words.
    pub(super) fn end(&mut self, text: &str) -> Result<(), Failure> {
        self.read()?;
        out::line("")?;
        says(text)
    }

    pub(super) fn start(&mut self, name: &str) -> Result<(), Failure> {
        let view = self.output.view(Names::default());
        self.screen(name).onlooker = Onlooker::new(view);
        self.fleet.start(name)?;
        let pid = self.fleet.pid(name).unwrap_or_default();
        self.note(&format!("{name}'s process runs (pid {pid})"))?;
        self.hear()
    }

    pub(super) fn kill(&mut self, name: &str) -> Result<(), Failure> {
        let pid = self.fleet.pid(name).unwrap_or_default();
        self.fleet.crash(name, Unsynced::Keep)?;
        self.note(&format!("{name}'s process is killed (kill -9 {pid})"))
    }

    pub(super) fn leave(&mut self, name: &str) -> Result<(), Failure> {
        self.typed(name, "/quit")?;
        self.fleet.leave(name)?;
        self.note(&format!("{name}'s process has ended"))
    }

    /// `name` speaks to the room.
    pub(super) fn say(&mut self, name: &str, text: &str) -> Result<MessageId, Failure> {
        self.send(name, Command::Say { text: text.to_owned() }, text)
    }

    /// `name` tells `to` alone.
    pub(super) fn tell(&mut self, name: &str, to: &str, text: &str) -> Result<MessageId, Failure> {
        let command = Command::Tell { to: self.screen(to).member, text: text.to_owned() };
        self.send(name, command, &format!("/msg {to} {text}"))
    }

    /// Lets nothing pass between two sides.
    pub(super) fn part(&mut self, one: &[&str], other: &[&str]) -> Result<(), Failure> {
        for (from, to) in one.iter().flat_map(|from| other.iter().flat_map(move |to| [(from, to), (to, from)])) {
            let ends = |name: &str| Ends::Member(self.screens[name].member);
            let rule = Rule { from: ends(from), to: ends(to), fault: Fault::Cut };
            self.fleet.net(&rule, true)?;
            self.cuts.push(rule);
        }
        self.note(&format!("the network is cut: {} | {}", one.join(" "), other.join(" ")))
    }

    pub(super) fn heal(&mut self) -> Result<(), Failure> {
        for rule in std::mem::take(&mut self.cuts) {
            self.fleet.net(&rule, false)?;
        }
        self.note("the network is whole again")
    }

    /// What `name` sees when it asks about a member.
    pub(super) fn why_member(&mut self, name: &str, of: &str) -> Result<(), Failure> {
        let member = self.screen(of).member;
        self.typed(name, &format!("/why {of}"))?;
        let Some(why) = self.fleet.why_member(name, member)? else {
            return Err(untrue(&format!("{name} knows {of}")));
        };
        let text = self.view(name).why_member(&why);
        self.print(name, &text)
    }

    /// What `name` sees when it asks about a message.
    pub(super) fn why_message(&mut self, name: &str, id: MessageId) -> Result<(), Failure> {
        let Some(why) = self.fleet.why_message(name, id)? else {
            return Err(untrue(&format!("{name} knows what became of its message")));
        };
        self.typed(name, &format!("/why {}", why.handle))?;
        let text = self.view(name).why_message(&why);
        self.print(name, &text)
    }

    /// Lets time pass until `is_so`; what happens meanwhile is shown.
    pub(super) fn until(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&mut Self) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let deadline = self.fleet.elapsed() + PATIENCE;
        loop {
            self.hear()?;
            if is_so(self)? {
                break;
            }
            if self.fleet.elapsed() >= deadline {
                return Err(untrue(what));
            }
            self.fleet.step(deadline)?;
        }
        // What was told before the last answer.
        self.pass(Duration::from_millis(200))?;
        self.well(what)
    }

    /// Looks whether something is so now.
    pub(super) fn holds(
        &mut self,
        what: &str,
        is_so: impl FnOnce(&mut Self) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        if is_so(self)? { self.well(what) } else { Err(untrue(what)) }
    }

    /// Whether each of `observers` gives each of `subjects` but itself that state.
    pub(super) fn all_see(&mut self, observers: &[&str], subjects: &[&str], state: Presence) -> Result<bool, Failure> {
        for &observer in observers {
            let status = self.fleet.status(observer)?;
            for subject in subjects.iter().filter(|&&subject| subject != observer) {
                let member = self.screens[*subject].member;
                let seen = status.members.iter().find(|seen| seen.id == member);
                if seen.is_none_or(|seen| seen.state != state) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether the deliveries of a message of `by` to each of `to` stand like that.
    pub(super) fn outcomes(&mut self, by: &str, id: MessageId, to: &[&str], outcome: Outcome) -> Result<bool, Failure> {
        let Some(why) = self.fleet.why_message(by, id)? else { return Ok(false) };
        let stands = |name: &&str| {
            let member = self.screens[*name].member;
            why.deliveries.iter().any(|to| to.delivery.member == member && to.delivery.outcome == outcome)
        };
        Ok(to.iter().all(stands))
    }

    /// Whether the durable log of each of `names` has a message with this text.
    pub(super) fn have(&mut self, names: &[&str], text: &str) -> Result<bool, Failure> {
        for name in names {
            if !self.fleet.log(name)?.iter().any(|message| message.text == text) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether none of `names` has the message.
    pub(super) fn are_without(&mut self, names: &[&str], id: MessageId) -> Result<bool, Failure> {
        for name in names {
            if self.fleet.log(name)?.iter().any(|message| message.id == id) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Somebody who was told a message as new more than once.
    pub(super) fn shown_twice(&self) -> Option<&str> {
        self.shown.iter().find(|&(_, &times)| times > 1).map(|((name, _), _)| name.as_str())
    }

    pub(super) fn no_gaps(&mut self) -> Result<bool, Failure> {
        for name in super::NAMES {
            if !self.fleet.gaps(name)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn send(&mut self, name: &str, command: Command, typed: &str) -> Result<MessageId, Failure> {
        match self.fleet.command(name, command)? {
            Ok(Reply::Accepted(sent)) => {
                let handle = self.view(name).accepted(&sent.handle);
                self.typed(name, &format!("{typed}  {handle}"))?;
                let Sent { id, .. } = sent;
                let lines = self.screen(name).onlooker.handle_sent(&sent);
                self.show(name, &lines)?;
                self.hear()?;
                Ok(id)
            }
            Ok(Reply::Done) => Err(untrue(&format!("{name} may speak"))),
            Err(refusal) => Err(untrue(&format!("{name} may speak ({refusal})"))),
        }
    }

    /// Time for a person to read what stands above.
    fn read(&mut self) -> Result<(), Failure> {
        if io::stdout().is_terminal() { self.pass(READING_TIME) } else { Ok(()) }
    }

    fn pass(&mut self, span: Duration) -> Result<(), Failure> {
        let until = self.fleet.elapsed() + span;
        while self.fleet.elapsed() < until {
            self.fleet.step(until)?;
            self.hear()?;
        }
        Ok(())
    }

    /// Brings the screens up to what was told.
    fn hear(&mut self) -> Result<(), Failure> {
        while let Some(Line { node, what, .. }) = self.fleet.poll_line() {
            let (Some(name), What::Told { event }) = (node, what) else { continue };
            if let EventKind::Message(message) = &event.kind {
                *self.shown.entry((name.to_string(), message.id)).or_default() += 1;
            }
            self.take(&name, &event)?;
        }
        if self.fleet.elapsed() >= self.looked + LOOK_EVERY {
            self.looked = self.fleet.elapsed();
            self.look()?;
        }
        Ok(())
    }

    fn take(&mut self, name: &str, event: &Event) -> Result<(), Failure> {
        // The narrator says what is done to the network.
        if matches!(event.kind, EventKind::Fault { .. }) {
            return Ok(());
        }
        let Self { fleet, screens, .. } = self;
        let mut ask = |id| -> Option<WhyMessage> { fleet.why_message(name, id).ok().flatten() };
        let screen = screens.get_mut(name).expect("everybody has one");
        let lines = screen.onlooker.handle_events(std::slice::from_ref(event), &mut ask);
        self.show(name, &lines)
    }

    /// Asks those who miss somebody whether they are cut off themselves.
    fn look(&mut self) -> Result<(), Failure> {
        for name in super::NAMES {
            if !self.fleet.is_running(name) || !self.screen(name).onlooker.is_worried() {
                continue;
            }
            let is_cut_off = self.fleet.status(name)?.node.probably_cut_off;
            if let Some(line) = self.screen(name).onlooker.handle_cut_off(is_cut_off) {
                self.show(name, &[line])?;
            }
        }
        Ok(())
    }

    fn screen(&mut self, name: &str) -> &mut Screen {
        self.screens.get_mut(name).expect("everybody has one")
    }

    fn view(&mut self, name: &str) -> &View {
        self.screen(name).onlooker.view(clock::wall())
    }

    /// Lines on the screen of `name`, where it is watched.
    fn show(&self, name: &str, lines: &[String]) -> Result<(), Failure> {
        if self.watched.iter().any(|watched| watched == name) {
            lines.iter().try_for_each(|line| self.print(name, line))?;
        }
        Ok(())
    }

    fn print(&self, name: &str, text: &str) -> Result<(), Failure> {
        let mark = self.ink.paint(Tone::Faint, &format!("{name:>6} |"));
        text.lines().try_for_each(|line| out::line(&format!("{mark} {line}")))?;
        Ok(())
    }

    fn typed(&self, name: &str, line: &str) -> Result<(), Failure> {
        self.print(name, &format!("{name}> {line}"))
    }

    /// Something that was done.
    fn note(&self, text: &str) -> Result<(), Failure> {
        Ok(out::line(&self.ink.paint(Tone::Caution, &format!("   --- {text}")))?)
    }

    /// Something that is so, because the nodes were asked.
    fn well(&self, what: &str) -> Result<(), Failure> {
        Ok(out::line(&self.ink.paint(Tone::Good, &format!("    ok {what}")))?)
    }
}

/// What the narrator says.
pub(super) fn says(text: &str) -> Result<(), Failure> {
    Ok(wrapped(text).iter().try_for_each(|line| out::line(line))?)
}

fn untrue(what: &str) -> Failure {
    FleetError::Failed(format!("it was to be shown that {what}, and that is not so")).into()
}

/// A text in lines that fit.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            word.clone_into(line);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_wrapped_between_its_words() {
        let lines = wrapped(&"seven and ".repeat(20));
        assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
        assert_eq!(lines.join(" "), "seven and ".repeat(20).trim_end());
        assert_eq!(wrapped("one"), ["one"]);
    }
}
