//! The examination: each signature, each hash, the room, and that no part could be written otherwise. A file with a part
//! that does not hold is refused as a whole; where all holds, it proves what its parts say and no more.

use std::collections::BTreeMap;

use super::sentences;
use crate::base::{MemberId, MessageId, RoomId, Run, Seq, Wall};
use crate::node::api::{CardHeld, Covers, MessageKind, Proof, Receipted, Rival, Signer};
use crate::wire::{
    Card, EvidenceError, EvidenceFile, GroupMessage, Held, LayoutError, Prev, PrivateMessage, Receipt, Signed,
    SignedLayout, Subject, decode_layout, layout_id,
};

/// Why nothing in the file is believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unsound {
    #[error(transparent)]
    File(#[from] EvidenceError),
    #[error("{part} does not hold ({error}): it was damaged or forged")]
    Part { part: String, error: LayoutError },
    #[error("{part} is of another room than the file: it was put together from several rooms")]
    OtherRoom { part: String },
    #[error("{part} {why}: the file was damaged, or put together from parts that do not belong together")]
    Stray { part: String, why: &'static str },
    /// Its parts hold, but moot writes the same content otherwise.
    #[error("{0}, which moot does not write: it was damaged or changed")]
    Form(&'static str),
}

/// Says what the bytes of a file prove.
///
/// # Errors
/// [`Unsound`]; then nothing of it may be believed.
pub fn examine(bytes: &[u8]) -> Result<Proof, Unsound> {
    let file = EvidenceFile::decode(bytes)?;
    if file.encode() != bytes {
        return Err(Unsound::Form("it reads as what has other bytes"));
    }
    let subject = Examined::open(&file)?;
    let later = subject.later(&file)?;
    let rival = subject.rival(&file)?;
    let receipts = subject.receipts(&file, &later)?;
    let cards = subject.cards(&file, &receipts)?;
    let signer = |member| Signer { member, nick: cards.get(&member).map(|card: &Card| card.nick.clone()) };
    let mut proof = Proof {
        room: file.room,
        id: subject.id,
        kind: if subject.to.is_some() { MessageKind::Private } else { MessageKind::Group },
        from: signer(subject.author),
        to: subject.to.map(signer),
        run: subject.run,
        seq: subject.seq,
        text: subject.text,
        said_at: subject.said_at,
        rival,
        receipts: receipts.into_iter().map(|held| Receipted { by: signer(held.by.member), ..held }).collect(),
        cards: cards.values().map(held).collect(),
        proves: Vec::new(),
        does_not_prove: Vec::new(),
    };
    sentences::fill(&mut proof);
    Ok(proof)
}

/// The message that the file is about, whose own signature holds.
struct Examined {
    author: MemberId,
    /// The receiver of a private message, which is not signed.
    to: Option<MemberId>,
    run: Run,
    seq: Seq,
    id: MessageId,
    text: String,
    said_at: Wall,
}

impl Examined {
    fn open(file: &EvidenceFile) -> Result<Self, Unsound> {
        let part = "the message";
        match &file.message {
            Subject::Group(bytes) => {
                let signed = open::<GroupMessage>(part, bytes)?;
                let GroupMessage { room, author, run, seq, said_at, text, .. } = signed.value().clone();
                of_room(file, part, room)?;
                Ok(Self { author, to: None, run, seq, id: signed.id(), text, said_at })
            }
            Subject::Private(bytes) => {
                let message = decode_layout(bytes);
                let message: PrivateMessage =
                    message.map_err(|error| Unsound::Part { part: part.to_owned(), error })?;
                let PrivateMessage { room, author, run, to, seq, said_at, text, salt: _ } = message;
                of_room(file, part, room)?;
                Ok(Self { author, to: Some(to), run, seq, id: layout_id::<PrivateMessage>(bytes), text, said_at })
            }
        }
    }

    /// The ids of what the author said next in the run: each names the one before it.
    fn later(&self, file: &EvidenceFile) -> Result<Vec<MessageId>, Unsound> {
        if self.to.is_some() && !file.later.is_empty() {
            return Err(Unsound::Form("a private message has later ones beside it"));
        }
        let mut ids = Vec::with_capacity(file.later.len());
        let mut before = (self.seq, self.id);
        for bytes in &file.later {
            let part = format!("what should be message #{}", before.0.saturating_add(1));
            let signed = open::<GroupMessage>(&part, bytes)?;
            let message = signed.value();
            of_room(file, &part, message.room)?;
            let is_next = message.author == self.author
                && message.run == self.run
                && Some(message.seq) == before.0.checked_add(1)
                && message.prev == Prev::Same(before.1);
            if !is_next {
                return Err(Unsound::Stray { part, why: "does not follow the one before it" });
            }
            before = (message.seq, signed.id());
            ids.push(before.1);
        }
        Ok(ids)
    }

    fn rival(&self, file: &EvidenceFile) -> Result<Option<Rival>, Unsound> {
        let Some(bytes) = &file.rival else { return Ok(None) };
        if self.to.is_some() {
            return Err(Unsound::Form("a private message has a rival beside it"));
        }
        let part = "the other version";
        let signed = open::<GroupMessage>(part, bytes)?;
        let message = signed.value();
        of_room(file, part, message.room)?;
        if (message.author, message.run, message.seq) != (self.author, self.run, self.seq) || signed.id() == self.id {
            return Err(Unsound::Stray { part: part.to_owned(), why: "is not of the same author, run and number" });
        }
        Ok(Some(Rival { id: signed.id(), text: message.text.clone(), said_at: message.said_at }))
    }

    fn receipts(&self, file: &EvidenceFile, later: &[MessageId]) -> Result<Vec<Receipted>, Unsound> {
        let mut receipts: Vec<Receipted> = Vec::with_capacity(file.receipts.len());
        let mut needed = 0;
        for bytes in &file.receipts {
            let part = format!("receipt {} of {}", receipts.len() + 1, file.receipts.len());
            let signed = open::<Receipt>(&part, bytes)?;
            let receipt = signed.value();
            of_room(file, &part, receipt.room)?;
            if receipt.author != self.author {
                return Err(Unsound::Stray { part, why: "is about another author's messages" });
            }
            if receipts.last().is_some_and(|last| last.by.member >= receipt.receiver) {
                return Err(Unsound::Form("the receipts are not in the order of who signed, one each"));
            }
            let (covers, range) = self.covers(receipt, later);
            if let (Covers::ThisMessage, Some((_, last))) = (covers, range) {
                needed = needed.max(last - self.seq);
            }
            let by = Signer { member: receipt.receiver, nick: None };
            let (first, last) = range.unzip();
            receipts.push(Receipted { by, run: receipt.run, covers, first, last });
        }
        if u64::try_from(later.len()).unwrap_or(u64::MAX) != needed {
            return Err(Unsound::Form("messages stand in it that tie no receipt to the message"));
        }
        Ok(receipts)
    }

    /// What a receipt says of the message, and the range of it that holds its number.
    fn covers(&self, receipt: &Receipt, later: &[MessageId]) -> (Covers, Option<(Seq, Seq)>) {
        match &receipt.held {
            Held::Private { ids } => {
                let is_its = self.to == Some(receipt.receiver) && ids.contains(&self.id);
                (if is_its { Covers::ThisMessage } else { Covers::Nothing }, None)
            }
            Held::Group { run, .. } => {
                let Some(range) = receipt.held.range_over(self.seq).filter(|_| self.to.is_none() && *run == self.run)
                else {
                    return (Covers::Nothing, None);
                };
                let named = match (range.last - self.seq).checked_sub(1) {
                    None => Some(&self.id),
                    Some(place) => usize::try_from(place).ok().and_then(|place| later.get(place)),
                };
                let covers = match named {
                    Some(id) if *id == range.last_id => Covers::ThisMessage,
                    Some(_) if range.last == self.seq => Covers::AnotherMessage,
                    Some(_) | None => Covers::NumberOnly,
                };
                (covers, Some((range.first, range.last)))
            }
        }
    }

    fn cards(&self, file: &EvidenceFile, receipts: &[Receipted]) -> Result<BTreeMap<MemberId, Card>, Unsound> {
        let mut cards = BTreeMap::new();
        for bytes in &file.cards {
            let part = format!("card {} of {}", cards.len() + 1, file.cards.len());
            let card = open::<Card>(&part, bytes)?.value().clone();
            of_room(file, &part, card.room)?;
            let is_named = card.member == self.author
                || self.to == Some(card.member)
                || receipts.iter().any(|receipt| receipt.by.member == card.member);
            if !is_named {
                return Err(Unsound::Stray { part, why: "is of somebody whom nothing else in the file names" });
            }
            if cards.last_key_value().is_some_and(|(&last, _)| last >= card.member) {
                return Err(Unsound::Form("the cards are not in the order of whose they are, one each"));
            }
            cards.insert(card.member, card);
        }
        Ok(cards)
    }
}

fn open<T: SignedLayout>(part: &str, bytes: &[u8]) -> Result<Signed<T>, Unsound> {
    Signed::open(bytes).map_err(|error| Unsound::Part { part: part.to_owned(), error })
}

fn of_room(file: &EvidenceFile, part: &str, room: RoomId) -> Result<(), Unsound> {
    if room == file.room { Ok(()) } else { Err(Unsound::OtherRoom { part: part.to_owned() }) }
}

fn held(card: &Card) -> CardHeld {
    CardHeld { member: card.member, nick: card.nick.clone(), run: card.run, version: card.version }
}
