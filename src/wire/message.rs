//! The two kinds of message. A group message is signed and may be passed on by anyone; a private one is not
//! signed and goes to its receiver only. Owns their layouts and the rule for `prev`.

use super::layout::{Layout, LayoutError, Reader, SignedLayout, Writer};
use crate::base::limits::TEXT_BYTES_MAX;
use crate::base::{MemberId, MessageId, MessageKey, RoomId, Run, Seq, Stream, Wall, text};

/// A message to the room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupMessage {
    pub room: RoomId,
    pub author: MemberId,
    pub run: Run,
    pub seq: Seq,
    pub prev: Prev,
    /// Lamport time of the author when it said this.
    pub lamport: u64,
    /// The author's own claim of when it was.
    pub said_at: Wall,
    pub text: String,
}

/// What a group message follows, by its author.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prev {
    /// The author's first message ever.
    None,
    /// `seq - 1` of the same run; its id.
    Same(MessageId),
    /// For the first of a run: the author's last durable message before it.
    Earlier { run: Run, seq: Seq, id: MessageId },
}

impl GroupMessage {
    #[must_use]
    pub fn key(&self) -> MessageKey {
        MessageKey { author: self.author, run: self.run, stream: Stream::Room, seq: self.seq }
    }
}

impl Layout for GroupMessage {
    const DOMAIN: &'static str = "folkmoot group message v1\0";

    fn write(&self, to: &mut Writer) {
        to.raw(&self.room.0);
        to.raw(&self.author.0);
        to.run(self.run);
        to.u64(self.seq);
        match self.prev {
            Prev::None => to.u8(0),
            Prev::Same(id) => {
                to.u8(1);
                to.raw(&id.0);
            }
            Prev::Earlier { run, seq, id } => {
                to.u8(2);
                to.run(run);
                to.u64(seq);
                to.raw(&id.0);
            }
        }
        to.u64(self.lamport);
        to.u64(self.said_at.0);
        to.short(self.text.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, LayoutError> {
        let room = from.room()?;
        let author = from.member()?;
        let run = from.run()?;
        let seq = from.u64()?;
        let prev = match from.u8()? {
            0 => Prev::None,
            1 => Prev::Same(from.message()?),
            2 => Prev::Earlier { run: from.run()?, seq: from.u64()?, id: from.message()? },
            _ => return Err(LayoutError::Range),
        };
        let fits = match prev {
            Prev::None => seq == 1,
            Prev::Same(_) => seq > 1,
            Prev::Earlier { run: earlier, seq: last, .. } => seq == 1 && earlier < run && last > 0,
        };
        if !fits {
            return Err(LayoutError::Range);
        }
        let lamport = from.u64()?;
        let said_at = Wall(from.u64()?);
        let text = message_text(from)?;
        Ok(Self { room, author, run, seq, prev, lamport, said_at, text })
    }
}

impl SignedLayout for GroupMessage {
    fn signer(&self) -> MemberId {
        self.author
    }
}

/// A message to one member. The salt makes its id a commitment: who has only the id cannot guess the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrivateMessage {
    pub room: RoomId,
    pub author: MemberId,
    pub run: Run,
    pub to: MemberId,
    pub seq: Seq,
    pub salt: [u8; 16],
    pub said_at: Wall,
    pub text: String,
}

impl PrivateMessage {
    #[must_use]
    pub fn key(&self) -> MessageKey {
        MessageKey { author: self.author, run: self.run, stream: Stream::To(self.to), seq: self.seq }
    }
}

impl Layout for PrivateMessage {
    const DOMAIN: &'static str = "folkmoot private message v1\0";

    fn write(&self, to: &mut Writer) {
        to.raw(&self.salt);
        to.raw(&self.room.0);
        to.raw(&self.author.0);
        to.run(self.run);
        to.raw(&self.to.0);
        to.u64(self.seq);
        to.u64(self.said_at.0);
        to.short(self.text.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, LayoutError> {
        let salt = from.raw()?;
        let room = from.room()?;
        let author = from.member()?;
        let run = from.run()?;
        let to = from.member()?;
        let seq = from.u64()?;
        if seq == 0 {
            return Err(LayoutError::Range);
        }
        let said_at = Wall(from.u64()?);
        let text = message_text(from)?;
        Ok(Self { room, author, run, to, seq, salt, said_at, text })
    }
}

fn message_text(from: &mut Reader<'_>) -> Result<String, LayoutError> {
    let text = from.text(TEXT_BYTES_MAX)?;
    text::check_message(text).map_err(|_| LayoutError::Range)?;
    Ok(text.to_owned())
}
