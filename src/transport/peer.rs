//! What transport keeps for one member with whom something is on: its sessions and which of them is used, dials to it,
//! what is queued and what is unfinished. Owns the choice among sessions; knows nothing of how they come about.

use std::collections::BTreeMap;

use super::dial::FRESH;
use super::pack::Packer;
use super::reassembly::Reassembly;
use super::session::Session;
use crate::base::{MemberId, Path};

pub(super) type Sessions = BTreeMap<u32, Box<Session>>;

#[derive(Debug, Default)]
pub(super) struct Peer {
    /// In the order of opening, at most `SESSIONS_PER_PEER_MAX`.
    pub sessions: Vec<u32>,
    /// The one to send on.
    pub current: Option<u32>,
    /// Our attempts to reach it that are on.
    pub attempts: Vec<u32>,
    pub packer: Packer,
    pub reassembly: Reassembly,
}

impl Peer {
    /// Chooses the session to send on: one that the peer is known to have, unless it was silent for long when
    /// a newer one opened; of two that crossed, the one that the lower id began; else the newest.
    pub(super) fn choose(&mut self, sessions: &Sessions, lower: Lower) {
        let mut best: Option<&Session> = None;
        for session in self.sessions.iter().filter_map(|index| sessions.get(index)) {
            best = Some(match best {
                Some(before) if !is_better(session, before, lower) => before,
                Some(_) | None => session,
            });
        }
        self.current = best.map(|session| session.local);
    }

    /// What all sessions with the peer have shown: loss and round trip of the one in use, and the newest signs
    /// of life on any of the same run.
    pub(super) fn path(&self, sessions: &Sessions) -> Option<Path> {
        let current = sessions.get(&self.current?)?;
        let mut path = current.path();
        for session in self.sessions.iter().filter_map(|index| sessions.get(index)) {
            if session.run == current.run {
                path.heard = path.heard.max(session.path().heard);
                path.hears_me = path.hears_me.max(session.path().hears_me);
                path.unheard_for = path.unheard_for.min(session.path().unheard_for);
                path.rtt = path.rtt.or(session.path().rtt);
            }
        }
        Some(path)
    }

    /// Nothing to lose by forgetting it.
    pub(super) fn is_idle(&self) -> bool {
        self.sessions.is_empty() && self.attempts.is_empty()
    }
}

/// Which of the two sides has the lower id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lower {
    Here,
    There,
}

impl Lower {
    pub(super) fn of(own: MemberId, peer: MemberId) -> Self {
        if own < peer { Self::Here } else { Self::There }
    }
}

fn is_better(session: &Session, before: &Session, lower: Lower) -> bool {
    if session.confirmed != before.confirmed {
        let lives = |confirmed: &Session, other: &Session| confirmed.is_heard_within(FRESH, other.opened);
        return if session.confirmed { lives(session, before) } else { !lives(before, session) };
    }
    if session.crosses(before) {
        return session.begun_here == (lower == Lower::Here);
    }
    true
}
