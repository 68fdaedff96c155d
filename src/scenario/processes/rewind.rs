//! Homes that go back in time or are copied. Owns when that may be done, and what the trace says of it.

use super::ProcessFleet;
use super::{disk, failed};
use crate::base::MemberId;
use crate::check::{Kept, What};
use crate::node::api::Message;
use crate::scenario::FleetError;

impl ProcessFleet {
    /// Notes what the next process finds on its disk and the last one never told: it was killed in between.
    pub(super) fn restore(&mut self, index: usize) -> Result<(), FleetError> {
        let machine = &self.machines[index];
        if !machine.has_run {
            return Ok(());
        }
        let mut log = self.disk.log(&machine.dir, &machine.home)?;
        log.retain(|message| !machine.shown.contains(&message.id));
        if log.is_empty() {
            return Ok(());
        }
        let kept: Vec<Kept> = log.iter().map(|message| kept(message, machine.member)).collect();
        let records = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        self.machines[index].shown.extend(kept.iter().map(|kept| kept.id));
        self.write(index, What::Stored { records, kept, noted: Vec::new() });
        Ok(())
    }

    /// A copy of a home as a crash at this moment would leave it: a process that runs on it stands still meanwhile.
    pub(super) fn snapshot(&mut self, index: usize, name: String) -> Result<(), FleetError> {
        let machine = &mut self.machines[index];
        let process = machine.process.as_ref().filter(|process| process.paused.is_none());
        let kept = machine.dir.join(format!("snapshot-{}", machine.snapshots_taken));
        machine.snapshots_taken += 1;
        process.map_or(Ok(()), |process| process.child.pause()).map_err(failed)?;
        let copied = disk::copy(&machine.home, &kept);
        process.map_or(Ok(()), |process| process.child.resume()).map_err(failed)?;
        copied?;
        if let Some(older) = machine.snapshots.insert(name, kept) {
            std::fs::remove_dir_all(older).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn roll_back(&mut self, index: usize, name: &str) -> Result<(), FleetError> {
        let nick = self.machines[index].name.clone();
        let machine = self.stopped(&nick)?;
        let Some(kept) = machine.snapshots.get(name) else {
            return Err(FleetError::Misuse(format!("{nick} has no snapshot {name}")));
        };
        disk::replace(&machine.home, kept)?;
        machine.epoch += 1;
        machine.shown.clear();
        let epoch = machine.epoch;
        self.write(index, What::RolledBack { epoch });
        Ok(())
    }

    pub(super) fn copy(&mut self, index: usize, from: &str) -> Result<(), FleetError> {
        let nick = self.machines[index].name.clone();
        self.stopped(&nick)?;
        let original = self.index(from)?;
        self.snapshot(original, String::new())?;
        let (member, kept) = (self.machines[original].member, self.machines[original].snapshots[""].clone());
        let machine = &mut self.machines[index];
        disk::replace(&machine.home, &kept)?;
        machine.member = member;
        machine.epoch += 1;
        machine.shown.clear();
        let (epoch, address) = (machine.epoch, machine.address);
        self.write(index, What::Home { member, address });
        self.write(index, What::RolledBack { epoch });
        Ok(())
    }
}

fn kept(message: &Message, owner: MemberId) -> Kept {
    let Message { id, kind, from, incarnation, seq, .. } = *message;
    Kept { id, kind, author: from, incarnation, seq, is_own: from == owner }
}
