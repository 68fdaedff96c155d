//! The settle pass: what one subsystem says reaches those whom it concerns, until all are quiet; then what
//! is queued becomes datagrams and one batch of records. Owns the routing between subsystems and nothing else.

use super::{Node, Output, Phase};
use crate::base::{Cause, MemberId, Run, Step};
use crate::transport::Channel;
use crate::wire::{MembershipFrame, MessagingFrame, codec};
use crate::{membership, messaging, transport};

impl Node {
    /// Ends every `handle_*`: transport, membership, messaging, transport.
    pub(super) fn settle(&mut self, mut step: Step) {
        let step = &mut step;
        while self.relay_transport(step) | self.relay_membership(step) | self.relay_messaging(step) {}
        self.transport.flush(step);
        self.relay_transport(step);
        if let Some(batch) = self.ledger.close() {
            self.outputs.push(batch);
        }
        self.told = step.told();
    }

    fn relay_transport(&mut self, step: &mut Step) -> bool {
        let mut is_active = false;
        while let Some(output) = self.transport.poll_output() {
            match output {
                transport::Output::Transmit { to, bytes, labels } => match self.phase {
                    Phase::Dumb | Phase::Awake | Phase::Leaving => {
                        self.outputs.push(Output::Transmit { to, bytes, labels });
                    }
                    Phase::Left | Phase::Silent => {}
                },
                transport::Output::Event(event) => {
                    self.on_transport(step, event);
                    is_active = true;
                }
            }
        }
        is_active
    }

    fn on_transport(&mut self, step: &mut Step, event: transport::Event) {
        match event {
            transport::Event::Opened { peer, run, session: _, card, address, seen_at } => {
                self.membership.handle_opened(step, peer, run, card, address, seen_at);
                self.relay_membership(step);
                self.messaging.handle_opened(step, peer, run);
            }
            transport::Event::Closed { peer, run, session: _ } => {
                self.membership.handle_closed(step, peer, run);
                self.messaging.handle_closed(step, peer, run);
            }
            transport::Event::Heard { peer, run, path } => {
                self.membership.handle_heard(step, peer, run, path);
                self.messaging.handle_heard(step, peer, run, path);
            }
            transport::Event::Frame { peer, run, channel, bytes, cause } => {
                let outer = step.cause.replace(cause);
                self.dispatch(step, peer, run, channel, &bytes);
                step.cause = outer;
            }
            transport::Event::Myself { address: _, card } | transport::Event::Superseded { peer: _, card } => {
                self.membership.handle_own_card(step, &card);
            }
        }
    }

    /// Hands a frame to the subsystem that it is for, whose outputs follow at once, so that they are caused by it.
    fn dispatch(&mut self, step: &mut Step, peer: MemberId, run: Run, channel: Channel, bytes: &[u8]) {
        match channel {
            Channel::Membership => match codec::decode::<MembershipFrame>(bytes) {
                Ok(frame) => {
                    self.membership.handle_frame(step, peer, run, frame);
                    self.relay_membership(step);
                }
                Err(_) => self.frames_undecodable += 1,
            },
            Channel::Messaging => match codec::decode::<MessagingFrame>(bytes) {
                Ok(frame) => self.messaging.handle_frame(step, peer, run, frame),
                Err(_) => self.frames_undecodable += 1,
            },
        }
    }

    fn relay_membership(&mut self, step: &mut Step) -> bool {
        let mut is_active = false;
        while let Some(output) = self.membership.poll_output() {
            self.on_membership(step, output);
            is_active = true;
        }
        is_active
    }

    fn on_membership(&mut self, step: &mut Step, output: membership::Output) {
        match output {
            membership::Output::Store(record) => self.ledger.membership(record),
            membership::Output::Run(run) => {
                if self.phase == Phase::Dumb {
                    self.phase = Phase::Awake;
                }
                self.messaging.handle_run(step, run);
            }
            membership::Output::Card(card) => self.transport.set_card(card),
            membership::Output::Send { to, frame } => {
                let label = self.labels_frames.then(|| frame.label());
                self.transport.send(to, Channel::Membership, &codec::encode(&frame), label);
                if matches!(frame, MembershipFrame::Heartbeat(_)) {
                    self.send_messaging(to, &self.messaging.digest());
                }
            }
            membership::Output::Dial(address) => self.transport.dial(step, address),
            membership::Output::Connect { peer, addresses } => self.transport.connect(step, peer, &addresses),
            membership::Output::Proven(card) => self.transport.prove(step, &card),
            membership::Output::Close(peer) => self.transport.close(step, peer),
            membership::Output::Release(peer) => self.transport.release(step, peer),
            membership::Output::Forget(peer) => {
                self.transport.forget(peer);
                self.messaging.handle_forgotten(step, peer);
            }
            membership::Output::Presence { member, run, presence, n } => {
                let outer = step.cause.replace(Cause::Event(n));
                self.messaging.handle_presence(step, member, run, presence);
                step.cause = outer;
            }
            membership::Output::Links { neighbours, is_large } => self.messaging.handle_links(neighbours, is_large),
            membership::Output::Silent => {
                self.phase = Phase::Silent;
                self.silent_since = self.silent_since.or(Some(step.now.wall));
            }
            membership::Output::Event(event) => self.on_membership_event(step.now, event),
        }
    }

    fn relay_messaging(&mut self, step: &mut Step) -> bool {
        let mut is_active = false;
        while let Some(output) = self.messaging.poll_output() {
            match output {
                messaging::Output::Store(record) => self.ledger.messaging(record),
                messaging::Output::Send { to, frame } => {
                    self.send_messaging(to, &frame);
                }
                messaging::Output::Connect(peer) => self.membership.want(step, peer),
                messaging::Output::Event(event) => self.on_messaging_event(step.now, event),
            }
            is_active = true;
        }
        is_active
    }

    fn send_messaging(&mut self, to: MemberId, frame: &MessagingFrame) {
        let label = self.labels_frames.then(|| frame.label());
        self.transport.send(to, Channel::Messaging, &codec::encode(frame), label);
    }
}
