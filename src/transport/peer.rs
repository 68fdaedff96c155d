//! What transport keeps for one member: where to dial it, which run of it is proven, its sessions and which
//! of them is used. Owns the choice among sessions; knows nothing of how they come about.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::dial::FRESH;
use super::pack::Packer;
use super::reassembly::Reassembly;
use super::session::Session;
use crate::base::{MemberId, Path, Run, Time};
use crate::wire::{Card, Signed};

pub(super) type Sessions = BTreeMap<u32, Box<Session>>;

#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Best first, at most `PEER_ADDRESSES_MAX`.
    pub addresses: Vec<SocketAddr>,
    /// In the order of opening, at most `SESSIONS_PER_PEER_MAX`.
    pub sessions: Vec<u32>,
    /// The one to send on.
    pub current: Option<u32>,
    /// Our attempts to reach it that are on.
    pub attempts: Vec<u32>,
    /// The highest run proven, and the card that proves it where one was seen.
    pub proven: Option<Run>,
    pub proof: Option<Signed<Card>>,
    /// Before this, data for an unknown index starts no further handshake.
    pub unknown_quiet_until: Time,
    pub packer: Packer,
    pub reassembly: Reassembly,
}

impl Peer {
    /// Whether a run is over: one of a higher incarnation is proven. Another boot of the same incarnation
    /// is not over but a copied home, and what to do about that is not for transport to say.
    pub(super) fn is_over(&self, run: Run) -> bool {
        self.proven.is_some_and(|proven| run.incarnation < proven.incarnation)
    }

    /// Takes the proof of a run, unless a higher one is known.
    pub(super) fn prove(&mut self, run: Run, card: Option<&Signed<Card>>) {
        if self.proven.is_some_and(|proven| run < proven) {
            return;
        }
        if self.proven.is_none_or(|proven| proven.incarnation < run.incarnation) {
            self.proof = None;
        }
        self.proven = Some(run);
        if let Some(card) = card {
            self.proof = Some(card.clone());
        }
    }

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
                path.rtt = path.rtt.or(session.path().rtt);
            }
        }
        Some(path)
    }

    /// Nothing to lose by forgetting it.
    pub(super) fn is_idle(&self) -> bool {
        self.addresses.is_empty() && self.sessions.is_empty() && self.attempts.is_empty()
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
