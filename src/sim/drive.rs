//! How a node is driven: what arrives, what is due, what the disk has done goes in; what the node wants done is
//! done. Owns the order of lines in the trace, and which line caused which.

use std::net::SocketAddr;
use std::time::Duration;

use super::World;
use super::disk::{Batch, Unsynced};
use super::machine::{Death, Flight, Input, Process, SOCKET_BYTES};
use super::network::Passage;
use super::world::{Captured, Due};
use crate::base::{MessageId, StoreFailed, Time};
use crate::check::{DropReason, Ended, LineNumber, What};
use crate::crypto::Suite;
use crate::faults::Arrival;
use crate::host::{Output, Way};
use crate::node::api::Event;
use crate::node::{Mark, Record};
use crate::wire::Label;

/// What a node is made to do something by: the line before, and which line made which message durable.
#[derive(Clone, Default)]
pub(super) struct Because {
    pub line: Option<LineNumber>,
    pub kept: Vec<(MessageId, LineNumber)>,
}

/// A datagram that leaves a machine.
pub(super) struct Parcel {
    /// The address that it says it comes from.
    pub source: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
    /// Of its frames.
    pub labels: Vec<Label>,
    pub is_damaged: bool,
}

impl Because {
    pub(super) const fn line(line: Option<LineNumber>) -> Self {
        Self { line, kept: Vec::new() }
    }

    /// The line for a datagram: that of the message that it carries, where that is known.
    fn of(&self, labels: &[Label]) -> Option<LineNumber> {
        let mut messages = labels.iter().filter_map(|label| label.message);
        let kept = |id| self.kept.iter().find(|(kept, _)| *kept == id).map(|&(_, line)| line);
        messages.find_map(kept).or(self.line)
    }
}

impl World {
    /// A datagram reaches a machine.
    pub(super) fn arrive(&mut self, index: usize, flight: Flight) {
        let machine = &mut self.machines[index];
        let Some(process) = machine.process.as_mut() else {
            self.dropped(index, &flight, DropReason::Down);
            return;
        };
        if process.is_prompt(machine.stall) {
            self.take_in(index, Input::Datagram(flight), Duration::ZERO);
        } else if process.inbox_bytes + flight.bytes.len() > SOCKET_BYTES {
            self.dropped(index, &flight, DropReason::Queue);
        } else {
            process.inbox_bytes += flight.bytes.len();
            self.put_by(index, Input::Datagram(flight));
        }
    }

    /// An alarm rings. The node may have put off what it was set for.
    pub(super) fn ring(&mut self, index: usize, life: u32) {
        let time = self.time;
        let machine = &mut self.machines[index];
        let Some(process) = machine.process.as_mut().filter(|_| machine.life == life) else { return };
        if process.alarm != Some(time) || process.paused.is_some() {
            return;
        }
        process.alarm = None;
        if process.host.poll_timeout().is_some_and(|due| machine.clock.when(due) > time) {
            self.set_alarm(index);
        } else if process.is_prompt(machine.stall) {
            process.count_ring(time, &machine.name);
            process.host.handle_timeout(machine.clock.now(time, Duration::ZERO));
            self.drain(index, &Because::default());
        } else {
            self.wake_later(index);
        }
    }

    /// A commit is done.
    pub(super) fn commit(&mut self, index: usize, life: u32) {
        let time = self.time;
        let machine = &mut self.machines[index];
        let Some(process) = machine.process.as_mut().filter(|_| machine.life == life) else { return };
        if process.commit_at != Some(time) {
            return;
        }
        process.commit_at = None;
        let death = machine.death.take();
        if death == Some(Death::BeforeCommit) {
            self.end_process(index, Unsynced::Lose, Ended::Crashed);
            return;
        }
        let (batches, result) = machine.home.disk.commit();
        let Some(mark) = batches.last().map(|batch| batch.mark) else { return };
        let because = self.stored(index, &batches, result);
        if death == Some(Death::BeforeReport) {
            self.end_process(index, Unsynced::Lose, Ended::Crashed);
            return;
        }
        self.begin_commit(index);
        let input = Input::Stored { mark, result, because };
        let machine = &mut self.machines[index];
        let Some(process) = machine.process.as_mut() else { return };
        if death == Some(Death::AfterReport) {
            process.host.handle_stored(machine.clock.now(time, Duration::ZERO), mark, result);
            self.end_process(index, Unsynced::Lose, Ended::Crashed);
        } else if process.is_prompt(machine.stall) {
            self.take_in(index, input, Duration::ZERO);
        } else {
            self.put_by(index, input);
        }
    }

    /// A loop that is late looks at what waits for it.
    pub(super) fn wake(&mut self, index: usize, life: u32) {
        let time = self.time;
        let machine = &mut self.machines[index];
        let Some(process) = machine.process.as_mut().filter(|_| machine.life == life) else { return };
        let Some((_, lag)) = process.wakes.take_if(|&mut (at, _)| at == time) else { return };
        if process.paused.is_none() {
            self.catch_up(index, lag);
        }
    }

    /// Takes in all that waited for the loop, and then does what is due: a late loop drains its socket before it
    /// judges deadlines.
    pub(super) fn catch_up(&mut self, index: usize, lag: Duration) {
        let Some(process) = self.machines[index].process.as_mut() else { return };
        process.inbox_bytes = 0;
        for input in std::mem::take(&mut process.inbox) {
            self.take_in(index, input, lag);
        }
        let machine = &mut self.machines[index];
        let Some(process) = machine.process.as_mut() else { return };
        process.host.handle_timeout(machine.clock.now(self.time, lag));
        self.drain(index, &Because::default());
        self.begin_commit(index);
    }

    /// Carries out all that a node wants done, and sets its alarm.
    pub(super) fn drain(&mut self, index: usize, because: &Because) {
        while let Some(output) = self.process(index).and_then(|process| process.host.poll_output()) {
            match output {
                Output::Store { records, mark } => self.submit(index, mark, records, because.line),
                Output::Transmit { to, bytes, labels, is_damaged } => {
                    let source = self.machines[index].address;
                    self.transmit(index, Parcel { source, to, bytes, labels, is_damaged }, because);
                }
                Output::Event(event) => self.hear(index, event, because.line),
                Output::Dropped { way, address, bytes, labels, .. } => {
                    let line = match way {
                        Way::Out => self.sent(index, self.machine_at(address), &bytes, false, labels, because),
                        Way::In => because.line,
                    };
                    self.dropped_by_node(index, line);
                }
            }
        }
        self.set_alarm(index);
        if self.process(index).is_some_and(|process| process.is_leaving && process.host.node().has_left()) {
            self.end_process(index, Unsynced::Keep, Ended::Left);
        }
    }

    /// Begins the commit of what is queued on the disk, unless one is under way.
    pub(super) fn begin_commit(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        if machine.process.as_ref().is_none_or(|process| process.paused.is_some()) {
            return;
        }
        if let Some(at) = machine.home.disk.begin(self.time) {
            self.schedule_commit(index, at);
        }
    }

    /// Has the alarm ring when the node wants, or earlier.
    pub(super) fn set_alarm(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        let Some(process) = machine.process.as_mut() else { return };
        let Some(due) = process.host.poll_timeout() else { return };
        let due = machine.clock.when(due).max(self.time);
        if process.alarm.is_none_or(|alarm| due < alarm) {
            process.alarm = Some(due);
            let life = machine.life;
            self.schedule(due, Due::Alarm { machine: index, life });
        }
    }

    /// Ends a process: says what of its unsynced batches is durable all the same, and what will never be read.
    pub(super) fn end_process(&mut self, index: usize, unsynced: Unsynced, how: Ended) {
        let machine = &mut self.machines[index];
        let Some(process) = machine.process.take() else { return };
        machine.death = None;
        let batches = machine.home.disk.crash(unsynced, &mut machine.rng);
        self.stored(index, &batches, Ok(()));
        for input in process.inbox {
            if let Input::Datagram(flight) = input {
                self.dropped(index, &flight, DropReason::Down);
            }
        }
        self.done(Some(index), None, What::Ended { how });
        self.changes += 1;
    }

    fn process(&mut self, index: usize) -> Option<&mut Process> {
        self.machines[index].process.as_mut()
    }

    /// Keeps an input for a loop that is paused or late.
    fn put_by(&mut self, index: usize, input: Input) {
        if let Some(process) = self.process(index) {
            process.inbox.push_back(input);
        }
        self.wake_later(index);
    }

    fn wake_later(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        let Some(process) = machine.process.as_mut() else { return };
        if process.paused.is_none() && process.wakes.is_none() {
            let at = self.time + machine.stall;
            process.wakes = Some((at, machine.stall));
            let life = machine.life;
            self.schedule(at, Due::Wake { machine: index, life });
        }
    }

    fn take_in(&mut self, index: usize, input: Input, lag: Duration) {
        match input {
            Input::Datagram(flight) => {
                let line = self.line(Some(index), flight.line, || What::Arrived {
                    datagram: flight.line.unwrap_or_default(),
                    copy: flight.copy,
                    is_damaged: flight.is_damaged,
                });
                let machine = &mut self.machines[index];
                let Some(process) = machine.process.as_mut() else { return };
                if let (Some(sent), Some(line)) = (flight.line, line) {
                    process.lines.arrived(&flight.bytes, sent, line);
                }
                process.host.handle_datagram(machine.clock.now(self.time, lag), flight.from, &flight.bytes);
                self.drain(index, &Because::line(line));
            }
            Input::Stored { mark, result, because } => {
                let machine = &mut self.machines[index];
                let Some(process) = machine.process.as_mut() else { return };
                process.host.handle_stored(machine.clock.now(self.time, lag), mark, result);
                self.drain(index, &because);
            }
        }
    }

    /// Writes down what became of batches.
    fn stored(&mut self, index: usize, batches: &[Batch], result: Result<(), StoreFailed>) -> Because {
        self.changes += 1;
        let mut because = Because::default();
        if !self.recorder.is_on() {
            return because;
        }
        for batch in batches {
            let what = match result {
                Ok(()) => What::stored(&batch.records),
                Err(StoreFailed) => What::NotStored { records: u32::try_from(batch.records.len()).unwrap_or(u32::MAX) },
            };
            let ids: Vec<MessageId> = match &what {
                What::Stored { kept, .. } => kept.iter().map(|kept| kept.id).collect(),
                _ => Vec::new(),
            };
            because.line = self.line(Some(index), batch.cause, || what);
            because.kept.extend(ids.into_iter().zip(because.line));
        }
        because
    }

    fn submit(&mut self, index: usize, mark: Mark, records: Vec<Record>, cause: Option<LineNumber>) {
        let time = self.time;
        let batch = Batch { mark, records, cause };
        if let Some(at) = self.machines[index].home.disk.submit(time, batch) {
            self.schedule_commit(index, at);
        }
    }

    fn schedule_commit(&mut self, index: usize, at: Time) {
        let machine = &mut self.machines[index];
        if let Some(process) = machine.process.as_mut() {
            process.commit_at = Some(at);
            let life = machine.life;
            self.schedule(at, Due::Commit { machine: index, life });
        }
    }

    fn hear(&mut self, index: usize, event: Event, because: Option<LineNumber>) {
        self.changes += 1;
        self.recorder.hash(
            self.time,
            index,
            serde_json::to_string(&event).expect("events have a JSON form").as_bytes(),
        );
        if self.recorder.is_on() {
            let named = event.cause.and_then(|cause| self.process(index)?.lines.of(cause));
            let line = self.line(Some(index), named.or(because), || What::Told { event: Box::new(event.clone()) });
            if let (Some(process), Some(line)) = (self.process(index), line) {
                process.lines.told(event.n, line);
            }
        }
        if self.keeps_told {
            self.machines[index].told.push(event);
        }
    }

    /// Sends what the node on `from` wants sent.
    fn transmit(&mut self, from: usize, parcel: Parcel, because: &Because) {
        self.overhear(from, &parcel);
        self.send(from, parcel, because);
    }

    /// Puts a datagram on the way between the machine `from` and the one that has the address it goes to.
    pub(super) fn send(&mut self, from: usize, parcel: Parcel, because: &Because) {
        let Parcel { source, to, bytes, labels, is_damaged } = parcel;
        self.datagrams += 1;
        self.recorder.hash(self.time, from, &bytes);
        let target = self.machine_at(to);
        let line = self.sent(from, target, &bytes, is_damaged, labels, because);
        if let Some(captured) = self.captured.as_mut() {
            captured.push(Captured { from: source, to, bytes: bytes.clone() });
        }
        let Some(target) = target else {
            *self.astray.entry(to).or_default() += 1;
            self.lost(line, DropReason::Nowhere);
            return;
        };
        let passage = Passage {
            from: (from, self.machines[from].home.id),
            to: (target, self.machines[target].home.id),
            time: self.time,
            bytes: bytes.len(),
        };
        match self.network.fate(passage) {
            Err(why) => self.lost(line, why),
            Ok((first, again)) => {
                let flight = Flight { from: source, bytes, line, copy: 0, is_damaged };
                if let Some(again) = again {
                    self.arrive_later(target, again, Flight { bytes: flight.bytes.clone(), copy: 1, ..flight });
                }
                self.arrive_later(target, first, flight);
            }
        }
    }

    fn arrive_later(&mut self, target: usize, arrival: Arrival, mut flight: Flight) {
        arrival.damage.apply(&mut flight.bytes);
        flight.is_damaged |= arrival.damage.is_any();
        self.launch(self.time + arrival.after, target, flight);
    }

    /// What a node's own faults damaged on its way out is not what it sealed, so its bytes are left out.
    fn sent(
        &mut self,
        from: usize,
        to: Option<usize>,
        bytes: &[u8],
        is_damaged: bool,
        labels: Vec<Label>,
        because: &Because,
    ) -> Option<LineNumber> {
        if !self.recorder.is_on() {
            return None;
        }
        let to = to.map(|index| self.machines[index].name.clone());
        let cause = because.of(&labels);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let wire = (self.suite == Suite::Real && !is_damaged).then(|| bytes.into());
        self.line(Some(from), cause, || What::Sent { to, bytes: length, labels, wire })
    }

    /// The faults of the node itself took the datagram that `line` is about: its sending, or its arrival.
    fn dropped_by_node(&mut self, index: usize, line: Option<LineNumber>) {
        let Some(line) = line else { return };
        let sent = self.machines[index].process.as_ref().and_then(|process| process.lines.sending_of(line));
        let what = What::Dropped { datagram: sent.unwrap_or(line), why: DropReason::Node };
        self.line(Some(index), Some(line), || what);
    }

    fn dropped(&mut self, index: usize, flight: &Flight, why: DropReason) {
        let datagram = flight.line.unwrap_or_default();
        self.line(Some(index), flight.line, || What::Dropped { datagram, why });
    }

    /// The network lost the datagram of `line`.
    fn lost(&mut self, line: Option<LineNumber>, why: DropReason) {
        self.line(None, line, || What::Dropped { datagram: line.unwrap_or_default(), why });
    }
}
