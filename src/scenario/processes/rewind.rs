//! Homes that go back in time or are copied. Owns when that may be done, and what the trace says of it.

use super::ProcessFleet;
use super::{disk, failed};
use crate::check::What;
use crate::scenario::FleetError;

impl ProcessFleet {
    /// A copy of a home as a crash at this moment would leave it: a process that runs on it stands still meanwhile.
    pub(super) fn snapshot(&mut self, index: usize, name: String) -> Result<(), FleetError> {
        let machine = &mut self.machines[index];
        let process = machine.process.as_ref().filter(|process| process.paused.is_none());
        let kept = machine.dir.join(format!("snapshot-{}", machine.snapshots.len()));
        process.map_or(Ok(()), |process| process.child.pause()).map_err(failed)?;
        let copied = disk::copy(&machine.home, &kept);
        process.map_or(Ok(()), |process| process.child.resume()).map_err(failed)?;
        copied?;
        machine.snapshots.insert(name, kept);
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
        let (epoch, address) = (machine.epoch, machine.address);
        self.write(index, What::Home { member, address });
        self.write(index, What::RolledBack { epoch });
        Ok(())
    }
}
