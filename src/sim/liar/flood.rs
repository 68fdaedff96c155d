//! Many at once: what a liar sends to keep others busy. Owns the kinds, each of which another part of a node must turn away.

use super::forgery::signed_by;
use super::{Lied, Telling};
use crate::base::{Rng, Seq};
use crate::check::Name;
use crate::crypto::Handshake;
use crate::sim::World;
use crate::sim::drive::Parcel;
use crate::transport::Channel;
use crate::wire::datagram::{FIRST_PADDING_BYTES, data_header, first_datagram};
use crate::wire::{MessagingFrame, Signed};

/// What a flood is made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Flood {
    /// Datagrams of any length and any bytes.
    Noise,
    /// Datagrams that look like data of a session that does not exist.
    Data,
    /// First messages of handshakes, as a member makes them, that are never finished.
    Handshakes,
    /// Frames over its session that say nothing.
    Frames,
    /// Room messages in the name of others, whose signature must be looked at to know.
    Forgeries,
    /// Room messages that it really signs, one after the other.
    Messages,
    /// "Give me all that you said."
    Pulls,
    /// "I hold nothing; what do you?"
    Frontiers,
}

/// Bytes of a datagram of noise at most, as of any datagram.
const NOISE_BYTES_MAX: u64 = 1_200;

impl Flood {
    pub const ALL: [Self; 8] = [
        Self::Noise,
        Self::Data,
        Self::Handshakes,
        Self::Frames,
        Self::Forgeries,
        Self::Messages,
        Self::Pulls,
        Self::Frontiers,
    ];

    /// The word for it in scenarios.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Data => "data",
            Self::Handshakes => "handshakes",
            Self::Frames => "frames",
            Self::Forgeries => "forgeries",
            Self::Messages => "messages",
            Self::Pulls => "pulls",
            Self::Frontiers => "frontiers",
        }
    }
}

impl World {
    pub(super) fn flood(&mut self, mut telling: Telling, to: &[Name], with: Flood, count: u32) -> Result<Lied, String> {
        match with {
            Flood::Noise | Flood::Data | Flood::Handshakes => {
                for _ in 0..count {
                    for to in to {
                        let bytes = self.bare(telling.liar, with, &mut telling.rng);
                        self.send_bare(&telling, to, bytes);
                    }
                }
            }
            Flood::Frames => {
                for _ in 0..count {
                    // No frame begins so: there are no 251 kinds.
                    let frame: [u8; 32] =
                        [[250; 1].as_slice(), &telling.rng.bytes::<31>()].concat().try_into().expect("32");
                    to.iter().try_for_each(|to| self.send_bytes(&telling, to, (Channel::Messaging, &frame), None))?;
                }
            }
            Flood::Forgeries => {
                for to in to {
                    self.flood_forgeries(&telling, to, count)?;
                }
            }
            Flood::Messages => self.flood_messages(&telling, to, count)?,
            Flood::Pulls => {
                for to in to {
                    let (author, pulled) = (self.id(to), "it does not know whom it floods");
                    let run = self.run_known_to(telling.liar, author).ok_or(pulled)?;
                    let frame = MessagingFrame::Pull { author, run, first: 1, last: Seq::from(u32::MAX) };
                    (0..count).try_for_each(|_| self.send_frame(&telling, to, &frame))?;
                }
            }
            Flood::Frontiers => {
                let frame = MessagingFrame::Frontier { answer: false, after: None, entries: Vec::new(), more: false };
                (0..count).try_for_each(|_| self.send_frame_to_all(&telling, to, &frame))?;
            }
        }
        Ok(Lied::default())
    }

    /// A datagram that no session made.
    fn bare(&self, liar: usize, with: Flood, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(1 + rng.below(NOISE_BYTES_MAX)).expect("at most 1,200")];
        rng.fill(&mut bytes);
        if with == Flood::Handshakes {
            let home = &self.machines[liar].home;
            let keys = home.secret.keys(home.room);
            let noise = Handshake::initiator(&home.identity, &keys, rng).write(&[0; FIRST_PADDING_BYTES]);
            return first_datagram(&keys.gate, u32::from_be_bytes(rng.bytes()), &noise);
        }
        if with == Flood::Data {
            let header = data_header(u32::from_be_bytes(rng.bytes()), rng.below(1 << 20));
            bytes = [header.as_slice(), &bytes].concat();
            bytes.truncate(usize::try_from(NOISE_BYTES_MAX).expect("1,200"));
        }
        bytes
    }

    fn send_bare(&mut self, telling: &Telling, to: &str, bytes: Vec<u8>) {
        let (source, to) = (self.machines[telling.liar].address, self.machines[self.index(to)].address);
        let parcel = Parcel { source, to, bytes, labels: Vec::new(), is_damaged: false };
        self.send(telling.liar, parcel, &telling.because);
    }

    /// In the name of every other member by turns, each under a number of its own.
    fn flood_forgeries(&mut self, telling: &Telling, to: &str, count: u32) -> Result<(), String> {
        let identity = self.machines[telling.liar].home.identity.clone();
        let known: Vec<_> = self.machines[telling.liar].running().presences().map(|(id, ..)| id).collect();
        let others: Vec<_> = known.into_iter().filter(|&id| id != identity.id() && id != self.id(to)).collect();
        let mut places = others.iter().map(|&id| self.next_of(telling.liar, id)).collect::<Result<Vec<_>, _>>()?;
        if places.is_empty() {
            return Err("it knows nobody in whose name it could forge".to_owned());
        }
        for (_, at) in (0..count).zip((0..places.len()).cycle()) {
            let message = places[at].message(self, telling.liar, "this was never said");
            let bytes = signed_by(&identity, &message);
            places[at] = places[at].after(crate::base::MessageId(telling.rng.split("id").bytes()));
            self.send_frame(telling, to, &MessagingFrame::Group(bytes))?;
        }
        Ok(())
    }

    fn flood_messages(&mut self, telling: &Telling, to: &[Name], count: u32) -> Result<(), String> {
        let identity = self.machines[telling.liar].home.identity.clone();
        let mut next = self.next_of(telling.liar, identity.id())?;
        for _ in 0..count {
            let text = format!("and another thing, my {}th", next.seq);
            let signed = Signed::sign(next.message(self, telling.liar, &text), &identity);
            self.send_frame_to_all(telling, to, &MessagingFrame::Group(signed.bytes().to_vec()))?;
            self.note_said(telling.liar, next, signed.id());
            next = next.after(signed.id());
        }
        Ok(())
    }
}
