//! What a scenario asks of the room: one node's answers, who sees whom, how all stand. Owns no state but what
//! spares asking again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::stage::{Asked, Stage, no_scenario};
use super::stop::{Stop, Why};
use crate::base::{Incarnation, MemberId, MessageId, Presence};
use crate::check::Name;
use crate::node::api::{DeliveryEvidence, Gap, Message, Status, WhyMember, WhyMessage};

/// Nodes in the state of the room that a message shows.
const ROOM_LINES_MAX: usize = 16;

impl Stage {
    /// The id of `name`.
    pub(super) fn known(&self, name: &str) -> Result<MemberId, Stop> {
        self.id(name).ok_or_else(|| {
            if !self.has_begun() {
                return no_scenario();
            }
            let names: Vec<&str> = self.nodes().iter().map(|(name, _)| &**name).collect();
            let there = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
            Stop::script(format!("no node is called {name}; there are {there}"))
        })
    }

    /// The nodes that run and are not paused.
    pub(super) fn able(&self) -> Vec<(Name, MemberId)> {
        self.nodes().iter().filter(|(name, _)| self.is_able(name)).cloned().collect()
    }

    pub(super) fn is_able(&self, name: &str) -> bool {
        self.is_running(name) && !self.paused.contains(name)
    }

    pub(super) fn status(&mut self, name: &Name) -> Result<Status, Stop> {
        self.answering(name)?;
        let status = self.ask(|fleet| fleet.status(name))?;
        self.checker.handle_status(name, &status);
        self.judge()?;
        Ok(status)
    }

    pub(super) fn gaps(&mut self, name: &Name) -> Result<Vec<Gap>, Stop> {
        self.answering(name)?;
        self.ask(|fleet| fleet.gaps(name))
    }

    pub(super) fn log(&mut self, name: &Name) -> Result<Vec<Message>, Stop> {
        self.ask(|fleet| fleet.log(name))
    }

    pub(super) fn why_message(&mut self, name: &Name, id: MessageId) -> Result<Option<WhyMessage>, Stop> {
        self.answering(name)?;
        self.ask(|fleet| fleet.why_message(name, id))
    }

    pub(super) fn why_member(&mut self, name: &Name, of: &Name) -> Result<Option<WhyMember>, Stop> {
        self.answering(name)?;
        let id = self.known(of)?;
        self.ask(|fleet| fleet.why_member(name, id))
    }

    /// How the delivery of a message from `name` to `to` stands; `None` when it does not go there.
    pub(super) fn delivery(&mut self, name: &Name, id: MessageId, to: &Name) -> Result<Option<DeliveryEvidence>, Stop> {
        let member = self.known(to)?;
        let why = self.why_message(name, id)?;
        Ok(why.and_then(|why| why.deliveries.into_iter().find(|evidence| evidence.delivery.member == member)))
    }

    /// The state that `observer` gives `subject`; `None` when it does not know it.
    pub(super) fn presence(&mut self, observer: &Name, subject: &Name) -> Result<Option<Presence>, Stop> {
        let id = self.known(subject)?;
        let status = self.status(observer)?;
        Ok(status.members.into_iter().find(|member| member.id == id).map(|member| member.state))
    }

    /// Whether every node that runs holds alive, in their present runs, all that run and nobody else.
    pub(super) fn converged(&mut self) -> Result<bool, Stop> {
        if let Some((version, answer)) = self.converged_at
            && version == self.views_version
        {
            return Ok(answer);
        }
        let answer = self.look_whether_converged()?;
        self.converged_at = Some((self.views_version, answer));
        Ok(answer)
    }

    fn look_whether_converged(&mut self) -> Result<bool, Stop> {
        let able = self.able();
        let mut runs: BTreeMap<MemberId, Incarnation> = BTreeMap::new();
        let mut views = Vec::with_capacity(able.len());
        // The one that was wrong last time is probably wrong still.
        let first = self.suspect.min(able.len().saturating_sub(1));
        let order = (0..able.len()).map(|step| (first + step) % able.len());
        for at in order {
            let status = self.status(&able[at].0)?;
            runs.insert(status.node.id, status.node.incarnation);
            let alive: BTreeMap<MemberId, Incarnation> = status
                .members
                .into_iter()
                .filter(|member| member.state == Presence::Alive)
                .map(|member| (member.id, member.incarnation))
                .collect();
            let sees_just_us = alive.len() == able.len() && able.iter().all(|(_, id)| alive.contains_key(id));
            if !sees_just_us {
                self.suspect = at;
                return Ok(false);
            }
            views.push(alive);
        }
        Ok(views.iter().all(|view| *view == runs))
    }

    /// How the room stands, one line a node: who is up, and whom it sees how.
    pub(super) fn room(&mut self) -> Vec<String> {
        let nodes = self.nodes().to_vec();
        let mut lines: Vec<String> = nodes.iter().take(ROOM_LINES_MAX).map(|(name, _)| self.node_line(name)).collect();
        if nodes.len() > ROOM_LINES_MAX {
            lines.push(format!("and {} more", nodes.len() - ROOM_LINES_MAX));
        }
        lines
    }

    fn node_line(&mut self, name: &Name) -> String {
        if !self.is_running(name) {
            return format!("{name} is down");
        }
        if self.paused.contains(name) {
            return format!("{name} is paused");
        }
        // Not judged: this is for a message about what went wrong already.
        let Ok(status) = self.ask(|fleet| fleet.status(name)) else { return format!("{name} does not answer") };
        let mut by_state: BTreeMap<Presence, Vec<String>> = BTreeMap::new();
        for member in status.members.iter().filter(|member| member.id != status.node.id) {
            let who = self.name_of(member.id).map_or_else(|| member.nick.clone(), ToString::to_string);
            by_state.entry(member.state).or_default().push(who);
        }
        let mut line = format!("{name} is up");
        if by_state.is_empty() {
            line.push_str(", and sees nobody");
        }
        for (at, (state, who)) in by_state.iter().enumerate() {
            let begin = if at == 0 { ", and sees" } else { ";" };
            let _ = write!(line, "{begin} {} {}", few(who), state.word());
        }
        line
    }

    fn answering(&self, name: &Name) -> Result<(), Stop> {
        self.known(name)?;
        if !self.is_running(name) {
            return Err(Stop::script(format!("{name} is down, so it cannot be asked")));
        }
        if self.paused.contains(name) {
            return Err(Stop::script(format!("{name} is paused, so it cannot be asked")));
        }
        Ok(())
    }

    /// The failure of something that was expected.
    pub(super) fn unmet(&mut self, why: Why, text: String) -> Stop {
        let mut stop = Stop::new(why, text);
        stop.room = self.room();
        stop.about.messages = self.asked.iter().flat_map(Asked::messages).map(|said| said.id).collect();
        stop.about.nodes = self.asked.iter().map(|asked| asked.node.clone()).filter(|name| !name.is_empty()).collect();
        stop
    }
}

/// The first names of many.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}
