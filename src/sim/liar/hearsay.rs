//! What a liar says of whether others are there: that it heard nothing of one who speaks, or heard one who is gone. Owns
//! the frames of it, none of which is signed: they are as good as the word of whoever sends them.

use std::time::Duration;

use super::{Lied, Telling};
use crate::base::{MemberId, Run};
use crate::check::Name;
use crate::sim::World;
use crate::wire::{MembershipFrame, OpenReport, Report};

/// How a liar speaks ill of a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Slander {
    /// "I do not hear it."
    Report,
    /// "This one does not hear it", passed on.
    Relayed { by: Name },
    /// A whole verdict: "this one and I do not hear it, so it is unreachable."
    Verdict { with: Name },
}

/// How often a node counts a tick.
const TICK: Duration = Duration::from_secs(1);
/// Probes that a report says were lost, as after a silence.
const PROBES_LOST: u8 = 3;

impl Slander {
    /// Whom it names.
    pub(super) fn name(&self) -> Option<&Name> {
        match self {
            Self::Report => None,
            Self::Relayed { by } | Self::Verdict { with: by } => Some(by),
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Report => "reports".to_owned(),
            Self::Relayed { by } => format!("passes on that {by} reports"),
            Self::Verdict { with } => format!("and, it says, {with} report"),
        }
    }
}

impl World {
    pub(super) fn slander(
        &mut self,
        telling: &Telling,
        to: &[Name],
        of: &str,
        slander: &Slander,
    ) -> Result<Lied, String> {
        let (subject, run, tick) = self.newest_word_of(telling.liar, of)?;
        let open = OpenReport { subject, run, tick, probes_lost: PROBES_LOST, lag_ms: 0, mostly_deaf: false };
        let me = self.machines[telling.liar].home.id;
        let frame = match slander {
            Slander::Report => MembershipFrame::Report(Report { by: me, open }),
            Slander::Relayed { by } => MembershipFrame::Report(Report { by: self.id(by), open }),
            Slander::Verdict { with } => {
                let reports = [me, self.id(with)].map(|by| Report { by, open }).to_vec();
                MembershipFrame::Unreachable { subject, run, tick, reports }
            }
        };
        self.send_word_to_all(telling, to, &frame)
    }

    pub(super) fn vouch(&mut self, telling: &Telling, to: &[Name], of: &str, ahead: u64) -> Result<Lied, String> {
        let (subject, run, tick) = self.newest_word_of(telling.liar, of)?;
        let by = self.machines[telling.liar].home.id;
        let frame = MembershipFrame::Contradiction { subject, run, tick: tick.saturating_add(ahead), by };
        self.send_word_to_all(telling, to, &frame)
    }

    /// The run in which the liar knows a member, and the tick that it would be at now.
    fn newest_word_of(&self, liar: usize, of: &str) -> Result<(MemberId, Run, u64), String> {
        let subject = self.id(of);
        let run = self.run_known_to(liar, subject).ok_or_else(|| format!("it does not know {of}"))?;
        let age = self.time.since(self.machines[self.index(of)].born);
        Ok((subject, run, 1 + u64::try_from(age.as_micros() / TICK.as_micros()).unwrap_or(u64::MAX)))
    }

    pub(super) fn send_word_to_all(
        &mut self,
        telling: &Telling,
        to: &[Name],
        frame: &MembershipFrame,
    ) -> Result<Lied, String> {
        to.iter().try_for_each(|to| self.send_word(telling, to, frame))?;
        Ok(Lied::default())
    }
}
