//! What a liar makes up and signs: messages in another's name, others' messages with another text, receipts of others, and
//! two messages of its own under one number. Owns how each is made from what the liar's own home holds.

use super::{Lied, MadeUp, Telling};
use crate::base::{MemberId, MessageId, Run, Seq};
use crate::check::Name;
use crate::crypto::Identity;
use crate::membership;
use crate::messaging;
use crate::node::Record;
use crate::sim::World;
use crate::wire::{
    Card, GroupMessage, Held, HeldRange, Leave, MembershipFrame, MessagingFrame, Prev, PrivateMessage, Receipt,
    ShownCard, Signed, SignedLayout, decode_layout, encode_layout, layout_id,
};

/// What is forged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Forgery {
    /// A message to the room in the name of `author`, under its next number.
    Message { author: Name, text: String },
    /// A private message in the name of `author`.
    Private { author: Name, text: String },
    /// The room message `of`, which the liar holds, with another text under the signature that it has.
    Changed { of: MessageId, text: String },
    /// A receipt in the name of `by`, for the message `of` of whom it is sent to.
    Receipt { by: Name, of: MessageId },
    /// A leave in the name of `of`: it said goodbye.
    Leave { of: Name },
    /// A card in the name of `of`, of a run after its present one: it restarted.
    Card { of: Name },
}

/// Where a member's next message to the room stands, as one home knows it.
#[derive(Clone, Copy)]
pub(super) struct Next {
    author: MemberId,
    run: Run,
    pub seq: Seq,
    prev: Prev,
    lamport: u64,
}

impl Forgery {
    /// Whom it names.
    pub(super) fn name(&self) -> Option<&Name> {
        match self {
            Self::Message { author, .. } | Self::Private { author, .. } => Some(author),
            Self::Receipt { by, .. } => Some(by),
            Self::Leave { of } | Self::Card { of } => Some(of),
            Self::Changed { .. } => None,
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Message { author, text } => format!("“{text}” in the name of {author}"),
            Self::Private { author, text } => format!("a private “{text}” in the name of {author}"),
            Self::Changed { of, text } => format!("“{text}” as the text of {}", of.handle(4)),
            Self::Receipt { by, of } => format!("a receipt of {by} for {}", of.handle(4)),
            Self::Leave { of } => format!("a goodbye of {of}"),
            Self::Card { of } => format!("a card of a later run of {of}"),
        }
    }
}

impl Next {
    /// The message of this place.
    pub(super) fn message(self, world: &World, liar: usize, text: &str) -> GroupMessage {
        let Self { author, run, seq, prev, lamport } = self;
        let (room, said_at) = (world.machines[liar].home.room, world.now(liar).wall);
        GroupMessage { room, author, run, seq, prev, lamport, said_at, text: text.to_owned() }
    }

    /// The place after it, where `id` is what was said in this one.
    pub(super) fn after(self, id: MessageId) -> Self {
        Self { seq: self.seq + 1, prev: Prev::Same(id), lamport: self.lamport + 1, ..self }
    }
}

impl World {
    pub(super) fn forge(&mut self, telling: &Telling, to: &[Name], forgery: &Forgery) -> Result<Lied, String> {
        match forgery {
            Forgery::Message { author, text } => {
                let next = self.next_of(telling.liar, self.id(author))?;
                let message = next.message(self, telling.liar, text);
                let bytes = signed_by(&self.machines[telling.liar].home.identity, &message);
                let id = layout_id::<GroupMessage>(&encode_layout(&message));
                self.send_frame_to_all(telling, to, &MessagingFrame::Group(bytes))?;
                Ok(made_up(id, author, None, text))
            }
            Forgery::Changed { of, text } => {
                let held = self.group_message(telling.liar, *of).ok_or("it does not hold that message of the room")?;
                let author = self.name_of(held.value().author);
                let message = GroupMessage { text: text.clone(), ..held.value().clone() };
                let layout = encode_layout(&message);
                let id = layout_id::<GroupMessage>(&layout);
                let signature = &held.bytes()[encode_layout(held.value()).len()..];
                self.send_frame_to_all(telling, to, &MessagingFrame::Group([&layout, signature].concat()))?;
                Ok(made_up(id, &author, None, text))
            }
            Forgery::Private { author, text } => {
                let mut lied = Lied::default();
                for to in to {
                    let (id, bytes) = self.private_message(telling, author, to, text)?;
                    self.send_frame(telling, to, &MessagingFrame::Private(bytes))?;
                    lied.messages.extend(made_up(id, author, Some(to), text).messages);
                }
                Ok(lied)
            }
            Forgery::Receipt { by, of } => {
                for to in to {
                    let receipt = self.receipt(telling.liar, by, to, *of)?;
                    let bytes = signed_by(&self.machines[telling.liar].home.identity, &receipt);
                    self.send_frame(telling, to, &MessagingFrame::Receipt(bytes))?;
                }
                Ok(Lied::default())
            }
            Forgery::Leave { of } => {
                let (room, member) = (self.machines[telling.liar].home.room, self.id(of));
                let run = self.run_known_to(telling.liar, member).ok_or_else(|| format!("it does not know {of}"))?;
                let leave = signed_by(&self.machines[telling.liar].home.identity, &Leave { room, member, run });
                self.send_word_to_all(telling, to, &MembershipFrame::Leaves(vec![leave]))
            }
            Forgery::Card { of } => {
                let held = self.card(telling.liar, self.id(of)).ok_or_else(|| format!("it has no card of {of}"))?;
                let run = Run { incarnation: held.run.incarnation + 1, boot: telling.rng.split("boot").next_u64() };
                let card = Card { run, version: 1, ..held };
                let card = signed_by(&self.machines[telling.liar].home.identity, &card);
                let shown = vec![ShownCard { card: card.into(), present: Some(1) }];
                self.send_word_to_all(telling, to, &MembershipFrame::Cards(shown))
            }
        }
    }

    pub(super) fn equivocate(
        &mut self,
        telling: &Telling,
        to: &[Name; 2],
        texts: &[String; 2],
    ) -> Result<Lied, String> {
        let identity = self.machines[telling.liar].home.identity.clone();
        let next = self.next_of(telling.liar, identity.id())?;
        let author = self.machines[telling.liar].name.clone();
        let mut lied = Lied::default();
        for (to, text) in to.iter().zip(texts) {
            let signed = Signed::sign(next.message(self, telling.liar, text), &identity);
            self.send_frame(telling, to, &MessagingFrame::Group(signed.bytes().to_vec()))?;
            lied.messages.extend(made_up(signed.id(), &author, None, text).messages);
        }
        let first = lied.messages[0].id;
        self.note_said(telling.liar, next, first);
        Ok(lied)
    }

    /// What the liar says beside its node later follows this.
    pub(super) fn note_said(&mut self, liar: usize, place: Next, id: MessageId) {
        self.machines[liar].lies.said = Some((place.run, place.seq, id));
    }

    /// Where the next message of `author` stands, as far as the liar's home knows.
    pub(super) fn next_of(&self, liar: usize, author: MemberId) -> Result<Next, String> {
        let unknown = || format!("it does not know {}", self.name_of(author));
        let run = self.run_known_to(liar, author).ok_or_else(unknown)?;
        let lamport = 1 + self.room_messages(liar).map(|held| held.value().lamport).max().unwrap_or(0);
        let (seq, prev) = self
            .newest_of(liar, author, run)
            .map_or_else(|| (1, self.last_before(liar, author, run)), |(seq, id)| (seq + 1, Prev::Same(id)));
        Ok(Next { author, run, seq, prev, lamport })
    }

    /// The newest message of a run that the liar's home holds, or that the liar signed beside its node.
    pub(super) fn newest_of(&self, liar: usize, author: MemberId, run: Run) -> Option<(Seq, MessageId)> {
        let machine = &self.machines[liar];
        let of_run = |held: &Signed<GroupMessage>| (held.value().author, held.value().run) == (author, run);
        let held = self.room_messages(liar).filter(of_run).map(|held| (held.value().seq, held.id()));
        let lied = machine.lies.said.filter(|&(in_run, ..)| author == machine.home.id && in_run == run);
        held.chain(lied.map(|(_, seq, id)| (seq, id))).max_by_key(|&(seq, _)| seq)
    }

    /// What the first message of a run follows.
    fn last_before(&self, liar: usize, author: MemberId, run: Run) -> Prev {
        let earlier = self.room_messages(liar).filter(|held| held.value().author == author && held.value().run < run);
        earlier.max_by_key(|held| (held.value().run, held.value().seq)).map_or(Prev::None, |held| Prev::Earlier {
            run: held.value().run,
            seq: held.value().seq,
            id: held.id(),
        })
    }

    fn room_messages(&self, machine: usize) -> impl Iterator<Item = Signed<GroupMessage>> {
        self.machines[machine].home.disk.durable().filter_map(|record| match &*record {
            Record::Messaging(
                messaging::Record::GroupReceived { bytes, .. } | messaging::Record::GroupSent { bytes, .. },
            ) => Signed::open_trusted(bytes).ok(),
            Record::Messaging(_) | Record::Membership(_) => None,
        })
    }

    fn group_message(&self, machine: usize, id: MessageId) -> Option<Signed<GroupMessage>> {
        self.room_messages(machine).find(|held| held.id() == id)
    }

    fn private_message(
        &self,
        telling: &Telling,
        author: &str,
        to: &str,
        text: &str,
    ) -> Result<(MessageId, Vec<u8>), String> {
        let author_id = self.id(author);
        let run = self.run_known_to(telling.liar, author_id).ok_or_else(|| format!("it does not know {author}"))?;
        let message = PrivateMessage {
            room: self.machines[telling.liar].home.room,
            author: author_id,
            run,
            to: self.id(to),
            seq: 1,
            salt: telling.rng.split("salt").bytes(),
            said_at: self.now(telling.liar).wall,
            text: text.to_owned(),
        };
        let bytes = encode_layout(&message);
        Ok((layout_id::<PrivateMessage>(&bytes), bytes))
    }

    /// A receipt for a message of `to`, which that has on its own disk.
    fn receipt(&self, liar: usize, by: &str, to: &str, of: MessageId) -> Result<Receipt, String> {
        let receiver = self.id(by);
        let run = self.run_known_to(liar, receiver).ok_or_else(|| format!("it does not know {by}"))?;
        let author = self.index(to);
        let held = match self.group_message(author, of) {
            Some(message) => {
                let range = HeldRange { first: message.value().seq, last: message.value().seq, last_id: of };
                Held::Group { run: message.value().run, ranges: vec![range] }
            }
            None if self.has_told(author, of) => Held::Private { ids: vec![of] },
            None => return Err(format!("{to} does not hold that message")),
        };
        Ok(Receipt { room: self.machines[liar].home.room, receiver, run, author: self.id(to), held })
    }

    fn has_told(&self, machine: usize, id: MessageId) -> bool {
        self.machines[machine].home.disk.durable().any(|record| match &*record {
            Record::Messaging(messaging::Record::PrivateSent { bytes, .. }) => {
                decode_layout::<PrivateMessage>(bytes).is_ok() && layout_id::<PrivateMessage>(bytes) == id
            }
            Record::Messaging(_) | Record::Membership(_) => false,
        })
    }

    /// The newest card of a member on the liar's disk.
    fn card(&self, liar: usize, of: MemberId) -> Option<Card> {
        let cards = self.machines[liar].home.disk.durable().filter_map(|record| match &*record {
            Record::Membership(membership::Record::Card { member, bytes, .. }) if *member == of => {
                Signed::<Card>::open_trusted(bytes).ok().map(|card| card.value().clone())
            }
            Record::Membership(_) | Record::Messaging(_) => None,
        });
        cards.last()
    }

    fn name_of(&self, member: MemberId) -> Name {
        let machine = self.machines.iter().find(|machine| machine.home.id == member);
        machine.map_or_else(|| member.short().into(), |machine| machine.name.clone())
    }
}

/// A value with a signature of `identity`, whoever it says it is by.
pub(super) fn signed_by<T: SignedLayout>(identity: &Identity, value: &T) -> Vec<u8> {
    let mut bytes = encode_layout(value);
    let signature = identity.sign(T::DOMAIN, &bytes);
    bytes.extend_from_slice(&signature);
    bytes
}

fn made_up(id: MessageId, author: &Name, to: Option<&Name>, text: &str) -> Lied {
    let message = MadeUp { id, author: author.clone(), to: to.cloned(), text: text.to_owned() };
    Lied { messages: vec![message], ..Lied::default() }
}
