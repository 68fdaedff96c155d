//! The card, by which a member makes itself known, and the leave, by which it says goodbye. Both are signed
//! by their subject, so nobody can speak for another. Owns their layouts.

use std::net::SocketAddr;

use super::kept;
use super::layout::{Layout, LayoutError, Reader, Signed, SignedLayout, Writer};
use crate::base::limits::{CARD_ADDRESSES_MAX, NICK_BYTES_MAX};
use crate::base::{MemberId, OfMember, RoomId, Run, text};
use crate::crypto::NoiseKey;

/// Who a member is and where it can be reached. The highest version of the highest run wins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    pub room: RoomId,
    pub member: MemberId,
    /// The static key of its handshakes.
    pub noise_key: NoiseKey,
    pub run: Run,
    /// Raised by its owner when nick or addresses change, from 1 in each run.
    pub version: u32,
    /// Keeps to [`text::check_nick`].
    pub nick: String,
    /// At most `CARD_ADDRESSES_MAX`.
    pub addresses: Vec<SocketAddr>,
}

impl Card {
    /// What decides between two cards of a member: the greater wins.
    #[must_use]
    pub fn rank(&self) -> (Run, u32) {
        (self.run, self.version)
    }
}

impl Layout for Card {
    const DOMAIN: &'static str = "folkmoot card v1\0";

    fn write(&self, to: &mut Writer) {
        to.raw(&self.room.0);
        to.raw(&self.member.0);
        to.raw(&self.noise_key);
        to.run(self.run);
        to.u32(self.version);
        to.short(self.nick.as_bytes());
        to.u8(u8::try_from(self.addresses.len()).expect("at most CARD_ADDRESSES_MAX"));
        for &address in &self.addresses {
            to.address(address);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, LayoutError> {
        let room = from.room()?;
        let member = from.member()?;
        let noise_key = from.raw()?;
        let run = from.run()?;
        let version = from.u32()?;
        let nick = from.text(NICK_BYTES_MAX)?.to_owned();
        text::check_nick(&nick).map_err(|_| LayoutError::Range)?;
        let count = usize::from(from.u8()?);
        if count > CARD_ADDRESSES_MAX {
            return Err(LayoutError::Range);
        }
        let addresses = (0..count).map(|_| from.address()).collect::<Result<_, _>>()?;
        Ok(Self { room, member, noise_key, run, version, nick, addresses })
    }
}

impl OfMember for Signed<Card> {
    fn member(&self) -> &MemberId {
        &self.value().member
    }
}

impl SignedLayout for Card {
    fn signer(&self) -> MemberId {
        self.member
    }

    fn find(bytes: &[u8]) -> Option<Signed<Self>> {
        kept::find(bytes)
    }

    fn keep(read: &Signed<Self>) {
        kept::keep(read);
    }
}

/// "I leave, and this run of mine is over."
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leave {
    pub room: RoomId,
    pub member: MemberId,
    pub run: Run,
}

impl Layout for Leave {
    const DOMAIN: &'static str = "folkmoot leave v1\0";

    fn write(&self, to: &mut Writer) {
        to.raw(&self.room.0);
        to.raw(&self.member.0);
        to.run(self.run);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, LayoutError> {
        Ok(Self { room: from.room()?, member: from.member()?, run: from.run()? })
    }
}

impl SignedLayout for Leave {
    fn signer(&self) -> MemberId {
        self.member
    }
}
