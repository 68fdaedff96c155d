//! What a story asks of a world: what a node shows and says, what was told, who holds whom alive. Owns the
//! questions by name; changes nothing but what is said to a room and injected into it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::World;
use super::machine::Flight;
use super::world::Captured;
use crate::base::{MemberId, MessageId, Presence, Run};
use crate::check::What;
use crate::node::api::{
    Command, DeliveryEvidence, Event, EventKind, Gap, MemberStatus, Message, Outcome, Refusal, Reply, Status,
    WhyMember, WhyMessage,
};

impl World {
    /// Says `text` to the room.
    pub fn say(&mut self, name: &str, text: &str) -> MessageId {
        accepted(self.command(name, Command::Say { text: text.to_owned() }))
    }

    /// Tells `text` to `to` alone.
    pub fn tell(&mut self, name: &str, to: &str, text: &str) -> MessageId {
        let to = self.id(to);
        accepted(self.command(name, Command::Tell { to, text: text.to_owned() }))
    }

    /// Delivers `bytes` to `name` as if somebody outside of the room had sent them from `from`.
    pub fn inject(&mut self, from: SocketAddr, name: &str, bytes: &[u8]) {
        let index = self.index(name);
        let to = Some(self.machines[index].name.clone());
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let line =
            self.line(None, None, || What::Sent { to, bytes: length, labels: Vec::new(), wire: Some(bytes.into()) });
        self.launch(self.time, index, Flight { from, bytes: bytes.to_vec(), line, copy: 0, is_damaged: false });
    }

    /// How many datagrams were sent to an address where no machine is.
    #[must_use]
    pub fn answers_to(&self, outsider: SocketAddr) -> u64 {
        self.astray.get(&outsider).copied().unwrap_or(0)
    }

    /// Keeps every datagram that is sent from now on.
    pub fn capture(&mut self) {
        self.captured = Some(Vec::new());
    }

    /// The datagrams that went to `name` since [`World::capture`], with where each came from.
    #[must_use]
    pub fn captured_to(&self, name: &str) -> Vec<(SocketAddr, Vec<u8>)> {
        let to = self.machines[self.index(name)].address;
        let captured = self.captured.iter().flatten();
        captured
            .filter(|datagram| datagram.to == to)
            .map(|Captured { from, bytes, .. }| (*from, bytes.clone()))
            .collect()
    }

    /// Whether every running node holds every running node alive in its present run, and nobody else.
    #[must_use]
    pub fn converged(&self) -> bool {
        let running: BTreeMap<MemberId, u64> = self
            .running()
            .map(|(_, process)| (process.host.node().id(), process.host.node().run().incarnation))
            .collect();
        // Both go by id: two rows side by side, where looking each up would take ten times as long.
        self.running().all(|(_, process)| {
            let me = process.host.node().id();
            let mut presences = process.host.node().presences();
            let is_alive = |&(_, _, presence): &(MemberId, Run, Presence)| presence == Presence::Alive;
            presences.next().as_ref().is_some_and(is_alive)
                && presences
                    .filter(is_alive)
                    .map(|(id, run, _)| (id, run.incarnation))
                    .eq(running.iter().map(|(&id, &incarnation)| (id, incarnation)).filter(|&(id, _)| id != me))
        })
    }

    /// What the node on `name` says of itself now.
    #[must_use]
    pub fn status(&self, name: &str) -> Status {
        let index = self.index(name);
        self.machines[index].host().status(self.now(index))
    }

    /// What `observer` holds of `subject`.
    #[must_use]
    pub fn view(&self, observer: &str, subject: &str) -> Option<MemberStatus> {
        let subject = self.id(subject);
        self.status(observer).members.into_iter().find(|member| member.id == subject)
    }

    /// The state that `observer` gives `subject`.
    #[must_use]
    pub fn presence(&self, observer: &str, subject: &str) -> Option<Presence> {
        let subject = self.id(subject);
        self.machines[self.index(observer)].running().presence(subject)
    }

    /// All that was shown on `name`, across restarts, one's own messages left out: `ana: hello`.
    #[must_use]
    pub fn screen(&self, name: &str) -> Vec<String> {
        let own = self.id(name);
        self.told(name)
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Message(message) if message.from != own => {
                    Some(format!("{}: {}", message.nick, message.text))
                }
                _ => None,
            })
            .collect()
    }

    /// All events that the nodes on `name` told, across restarts; none where they are not kept.
    #[must_use]
    pub fn told(&self, name: &str) -> &[Event] {
        &self.machines[self.index(name)].told
    }

    /// The durable log of `name`, in causal order, one's own messages included; it need not run.
    #[must_use]
    pub fn log(&self, name: &str) -> Vec<Message> {
        let home = &self.machines[self.index(name)].home;
        super::log::log(home.disk.durable(), home.id, &home.nick)
    }

    /// How the delivery of `message` from `name` to `member` stands; `None` when it does not go there.
    #[must_use]
    pub fn outcome(&self, name: &str, message: MessageId, member: &str) -> Option<Outcome> {
        self.delivery(name, message, member).map(|evidence| evidence.delivery.outcome)
    }

    /// The same, with its evidence.
    #[must_use]
    pub fn delivery(&self, name: &str, message: MessageId, member: &str) -> Option<DeliveryEvidence> {
        let member = self.id(member);
        self.why(name, message)?.deliveries.into_iter().find(|evidence| evidence.delivery.member == member)
    }

    /// What `name` answers to `why` about a message: what its disk tells where the node holds it no longer.
    #[must_use]
    pub fn why(&self, name: &str, message: MessageId) -> Option<WhyMessage> {
        let index = self.index(name);
        let machine = &self.machines[index];
        let told = machine.running().why_message(self.now(index), message);
        told.or_else(|| {
            let mut why = super::why::why(machine.home.disk.durable(), machine.home.id, &machine.home.nick, message)?;
            machine.running().say_who_came_later(&mut why);
            Some(why)
        })
    }

    /// What `name` answers to `why` about a member.
    #[must_use]
    pub fn why_member(&self, name: &str, member: MemberId) -> Option<WhyMember> {
        let index = self.index(name);
        self.machines[index].running().why_member(self.now(index), member)
    }

    /// What `name` knows to be missing.
    #[must_use]
    pub fn gaps(&self, name: &str) -> Vec<Gap> {
        self.machines[self.index(name)].running().gaps()
    }

    /// The id of the member whose home is on `name`.
    #[must_use]
    pub fn id(&self, name: &str) -> MemberId {
        self.machines[self.index(name)].home.id
    }
}

fn accepted(reply: Result<Reply, Refusal>) -> MessageId {
    match reply {
        Ok(Reply::Accepted(sent)) => sent.id,
        Ok(Reply::Done) => unreachable!("saying something is answered with its id"),
        Err(refusal) => panic!("refused: {refusal}"),
    }
}
