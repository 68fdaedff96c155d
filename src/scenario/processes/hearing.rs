//! What comes from the children: their answers, their events and their ends. Owns what each of these means for the fleet and
//! its trace.

use std::time::Duration;

use super::ProcessFleet;
use super::child::{self, Heard, Said};
use super::machine::Machine;
use crate::base::Time;
use crate::check::{Ended, What};
use crate::node::api::EventKind;
use crate::runtime::protocol::{Request, Response};
use crate::runtime::{ClientError, clock};
use crate::scenario::FleetError;

impl ProcessFleet {
    /// Asks the node of a machine.
    pub(super) fn ask(&mut self, name: &str, request: Request) -> Result<Response, FleetError> {
        let index = self.index(name)?;
        let process = self.process(index)?;
        if process.paused.is_some() {
            return Err(FleetError::Misuse(format!("{name} is paused; resume it first")));
        }
        let answer = process.child.ask(request);
        answer.map_err(|error| self.mute(index, &error))
    }

    /// Why the node of a machine did not answer: it ended, or it came to a stand.
    pub(super) fn mute(&mut self, index: usize, error: &ClientError) -> FleetError {
        if matches!(
            error,
            ClientError::Gone | ClientError::Io(_) | ClientError::NotRunning { .. } | ClientError::NoHome { .. }
        ) {
            self.hear_out(index);
        }
        let machine = &self.machines[index];
        let why = || format!("{} does not answer: {error}{}", machine.name, child::last_words(&machine.log));
        FleetError::Failed(self.failed.clone().unwrap_or_else(why))
    }

    /// Takes in what was said until now; says whether there was something.
    pub(super) fn hear(&mut self) -> bool {
        let mut is_anything = false;
        while let Ok(heard) = self.heard.try_recv() {
            is_anything = true;
            self.take(heard);
        }
        is_anything
    }

    /// Takes in what is said until the output of the process of a machine is over.
    pub(super) fn hear_out(&mut self, index: usize) {
        let deadline = clock::time() + ENDING_TIME_MAX;
        while self.machines[index].process.as_ref().is_some_and(|process| !process.is_silent) {
            let Ok(heard) = self.heard.recv_timeout(deadline.since(clock::time())) else { return };
            self.take(heard);
        }
    }

    pub(super) fn take(&mut self, heard: Heard) {
        let Heard { child, at, said } = heard;
        let at = Time::from_micros(0) + at.since(self.began);
        let is_of = |machine: &Machine| machine.process.as_ref().is_some_and(|process| process.child.number() == child);
        let Some(index) = self.machines.iter().position(is_of) else { return };
        let machine = &mut self.machines[index];
        let Some(process) = &mut machine.process else { return };
        match said {
            Said::Event(event) => {
                if let EventKind::Message(message) = &event.kind {
                    machine.shown.insert(message.id);
                }
                let cause = process.cause_of(&event);
                let (n, name) = (event.n, machine.name.clone());
                let line = self.lines.write(at, Some(name), cause, What::Told { event });
                process.told.insert(n, line);
            }
            Said::Nonsense(line) => {
                self.failed.get_or_insert_with(|| format!("{} printed what is no event: {line}", machine.name));
            }
            Said::Nothing => {
                process.is_silent = true;
                if !process.is_ending {
                    let (status, log) = (process.child.end(), child::last_words(&machine.log));
                    machine.process = None;
                    self.failed.get_or_insert_with(|| format!("{} ended by itself ({status}){log}", machine.name));
                    self.write(index, What::Ended { how: Ended::Failed });
                }
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), FleetError> {
        if self.interrupts.is_interrupted() {
            return Err(FleetError::Failed("interrupted; every process was ended".to_owned()));
        }
        self.failed.clone().map_or(Ok(()), |why| Err(FleetError::Failed(why)))
    }

    /// Ends the process of a machine that was told to end, or kills it, and takes in its last words.
    pub(super) fn end(&mut self, index: usize, how: Ended) -> Result<(), FleetError> {
        let process = self.process(index)?;
        process.is_ending = true;
        if how == Ended::Crashed {
            process.child.kill();
        }
        self.hear_out(index);
        if let Some(process) = self.machines[index].process.take() {
            if !process.is_silent {
                self.failed.get_or_insert_with(|| format!("{} did not end", self.machines[index].name));
            }
            drop(process);
        }
        self.write(index, What::Ended { how });
        self.check()
    }
}

/// How long a node may take to end: it has 700 ms for its goodbye, and then its disk.
const ENDING_TIME_MAX: Duration = Duration::from_secs(10);
