//! What a test sees of the world: views, events, and whether each verdict follows from its evidence.

use std::collections::BTreeSet;

use super::super::{Event, EventKind, Evidence, EvidenceKind, Member, Membership};
use super::world::World;
use crate::base::{Presence, Run, Wall};
use crate::wire::MembershipFrame;

impl World {
    pub fn machine(&self, name: &str) -> &Membership {
        self.nodes[&self.id(name)].machine.as_ref().unwrap()
    }

    pub fn is_running(&self, name: &str) -> bool {
        self.nodes[&self.id(name)].machine.is_some()
    }

    /// Who holds whom where, for a failure.
    pub fn dump(&self, names: &[&str]) -> String {
        let mut text = String::new();
        for at in names {
            let held: Vec<_> = names.iter().map(|of| format!("{of}={:?}", self.presence(at, of))).collect();
            let deaf = self.machine(at).deaf();
            let run = self.machine(at).run();
            text.extend(["\n", &format!("{at} ({run}): {} deaf={deaf}", held.join(" "))]);
        }
        text
    }

    pub fn is_silent(&self, name: &str) -> bool {
        self.nodes[&self.id(name)].silent
    }

    pub fn member(&self, at: &str, of: &str) -> Option<Member> {
        let now = self.now_of(self.id(at));
        self.machine(at).member(now, self.id(of))
    }

    pub fn members(&self, at: &str) -> Vec<Member> {
        self.machine(at).members(self.now_of(self.id(at))).collect()
    }

    pub fn presence(&self, at: &str, of: &str) -> Option<Presence> {
        self.member(at, of).map(|member| member.presence)
    }

    /// Whom a node holds alive, itself included.
    pub fn present(&self, at: &str) -> BTreeSet<&'static str> {
        let now = self.now_of(self.id(at));
        self.machine(at)
            .members(now)
            .filter(|member| member.presence == Presence::Alive)
            .map(|member| self.name(member.id))
            .collect()
    }

    pub fn all_see(&self, at: &[&str], of: &str, presence: Presence) -> bool {
        at.iter().filter(|&&at| at != of).all(|at| self.presence(at, of) == Some(presence))
    }

    /// Whether all of `names` hold exactly each other alive, in views with equal fingerprints.
    pub fn converged(&self, names: &[&'static str]) -> bool {
        let all: BTreeSet<_> = names.iter().copied().collect();
        let views: BTreeSet<_> = names.iter().map(|name| self.machine(name).view()).collect();
        views.len() == 1 && names.iter().all(|name| self.present(name) == all)
    }

    /// Whether all of `names` hold exactly each other present, as their fingerprints say, and alive.
    pub fn agree(&self, names: &[&'static str]) -> bool {
        let all = names.len() - 1;
        let view = self.machine(names[0]).view();
        names.iter().all(|name| self.machine(name).view() == view)
            && names.iter().all(|name| {
                let members = &self.machine(name).members;
                members.values().filter(|entry| entry.presence == Some(Presence::Alive)).count() == all
            })
    }

    /// As [`World::all_see`], without putting evidence together.
    pub fn all_hold(&self, at: &[&str], of: &str, presence: Presence) -> bool {
        let of = self.id(of);
        let holds = |at: &&str| self.machine(at).members.get(&of).is_some_and(|entry| entry.presence == Some(presence));
        at.iter().filter(|&&at| self.id(at) != of).all(holds)
    }

    /// Those whom somebody called gone, with who did: nobody's if all went well.
    pub fn called_gone(&self) -> Vec<(&'static str, &'static str)> {
        let mut gone = Vec::new();
        for (&at, node) in &self.nodes {
            for (_, event) in &node.events {
                if let EventKind::Member { id, presence: Presence::Unreachable, .. } = event.kind {
                    gone.push((self.name(at), self.name(id)));
                }
            }
        }
        gone
    }

    /// What a node told of another, newest last.
    pub fn told(&self, at: &str, of: &str) -> Vec<(Presence, Run, Vec<Evidence>)> {
        let of = self.id(of);
        self.nodes[&self.id(at)]
            .events
            .iter()
            .filter_map(|(_, event)| match &event.kind {
                EventKind::Member { id, presence, run, evidence, .. } if *id == of => {
                    Some((*presence, *run, evidence.clone()))
                }
                EventKind::Member { .. } | EventKind::Alarm { .. } | EventKind::Stalled { .. } | EventKind::Left => {
                    None
                }
            })
            .collect()
    }

    pub fn events(&self, at: &str) -> impl Iterator<Item = &Event> {
        self.nodes[&self.id(at)].events.iter().map(|(_, event)| event)
    }

    pub fn forget_events(&mut self) {
        for node in self.nodes.values_mut() {
            node.events.clear();
        }
    }
}

pub fn kind_of(frame: &MembershipFrame) -> &'static str {
    match frame {
        MembershipFrame::Heartbeat(_) => "heartbeat",
        MembershipFrame::Probe => "probe",
        MembershipFrame::Report(_) => "report",
        MembershipFrame::Contradiction { .. } => "contradiction",
        MembershipFrame::Withdrawal { .. } => "withdrawal",
        MembershipFrame::Unreachable { .. } => "unreachable",
        MembershipFrame::Leaves(_) => "leaves",
        MembershipFrame::Cards(_) => "cards",
        MembershipFrame::Buckets(_) => "buckets",
        MembershipFrame::Bucket { .. } => "bucket",
        MembershipFrame::Question { .. } => "question",
    }
}

/// Works a verdict out again from what its event shows.
pub fn check(event: &Event, wall: Wall) {
    let EventKind::Member { presence, evidence, .. } = &event.kind else {
        return;
    };
    let any = |kinds: &[EvidenceKind]| evidence.iter().any(|item| kinds.contains(&item.kind));
    let holds = match presence {
        Presence::Alive => {
            any(&[EvidenceKind::Heard, EvidenceKind::Contradiction, EvidenceKind::Withdrawal, EvidenceKind::Card])
        }
        Presence::Suspect => any(&[EvidenceKind::Report, EvidenceKind::Restored, EvidenceKind::Card]),
        Presence::Left => any(&[EvidenceKind::Leave]),
        Presence::Unreachable => {
            let reports: Vec<_> = evidence.iter().filter(|item| item.kind == EvidenceKind::Report).collect();
            let age = |item: &Evidence| wall.0 - item.at.0;
            let taken_over = reports.iter().any(|item| item.verdict) && any(&[EvidenceKind::Silence]);
            let one = reports.iter().any(|item| age(item) >= 2_750);
            let pair = reports.iter().enumerate().any(|(index, first)| {
                reports[index + 1..].iter().any(|second| {
                    let voices =
                        first.by != second.by && first.via.unwrap_or(first.by) != second.via.unwrap_or(second.by);
                    voices && !first.mostly_deaf && !second.mostly_deaf && age(first).min(age(second)) >= 800
                })
            });
            taken_over || one || pair
        }
    };
    assert!(holds, "{presence:?} does not follow from {evidence:#?} at {wall:?}");
}
