//! The receipt: a member's signed word that messages are committed to its disk. Owns its layout; says
//! nothing of when one is due.

use super::layout::{Layout, LayoutError, Reader, SignedLayout, Writer};
use crate::base::limits::{RECEIPT_COMMITMENTS_MAX, RECEIPT_RANGES_MAX};
use crate::base::{MemberId, MessageId, RoomId, Run, Seq};

/// "These are on my disk." Cumulative for the group, by commitment for private messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    pub room: RoomId,
    pub receiver: MemberId,
    /// The run in which the receiver signs.
    pub run: Run,
    pub author: MemberId,
    pub held: Held,
}

/// What of the author's messages the receiver holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Held {
    /// Group messages of one run of the author: at most `RECEIPT_RANGES_MAX`, ascending, not touching.
    Group { run: Run, ranges: Vec<HeldRange> },
    /// Private messages, by their ids: at most `RECEIPT_COMMITMENTS_MAX`.
    Private { ids: Vec<MessageId> },
}

/// Messages `first..=last` of a run. The id of the last commits to all before it, by their `prev`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldRange {
    pub first: Seq,
    pub last: Seq,
    pub last_id: MessageId,
}

impl Held {
    /// The range that holds group message `seq` of the run that the receipt is for. It names the last message of it: what
    /// ties it to the one that has number `seq` is the chain between them.
    #[must_use]
    pub fn range_over(&self, seq: Seq) -> Option<&HeldRange> {
        match self {
            Self::Group { ranges, .. } => ranges.iter().find(|range| (range.first..=range.last).contains(&seq)),
            Self::Private { .. } => None,
        }
    }
}

impl Layout for Receipt {
    const DOMAIN: &'static str = "folkmoot receipt v1\0";

    fn write(&self, to: &mut Writer) {
        to.raw(&self.room.0);
        to.raw(&self.receiver.0);
        to.run(self.run);
        to.raw(&self.author.0);
        match &self.held {
            Held::Group { run, ranges } => {
                to.u8(0);
                to.run(*run);
                to.u8(u8::try_from(ranges.len()).expect("at most RECEIPT_RANGES_MAX"));
                for range in ranges {
                    to.u64(range.first);
                    to.u64(range.last);
                    to.raw(&range.last_id.0);
                }
            }
            Held::Private { ids } => {
                to.u8(1);
                to.u8(u8::try_from(ids.len()).expect("at most RECEIPT_COMMITMENTS_MAX"));
                for id in ids {
                    to.raw(&id.0);
                }
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, LayoutError> {
        let room = from.room()?;
        let receiver = from.member()?;
        let run = from.run()?;
        let author = from.member()?;
        let held = match from.u8()? {
            0 => read_group(from)?,
            1 => {
                let count = count_within(from.u8()?, RECEIPT_COMMITMENTS_MAX)?;
                Held::Private { ids: (0..count).map(|_| from.message()).collect::<Result<_, _>>()? }
            }
            _ => return Err(LayoutError::Range),
        };
        Ok(Self { room, receiver, run, author, held })
    }
}

fn read_group(from: &mut Reader<'_>) -> Result<Held, LayoutError> {
    let run = from.run()?;
    let count = count_within(from.u8()?, RECEIPT_RANGES_MAX)?;
    let mut ranges: Vec<HeldRange> = Vec::with_capacity(count);
    for _ in 0..count {
        let range = HeldRange { first: from.u64()?, last: from.u64()?, last_id: from.message()? };
        let floor = ranges.last().map_or(1, |before| before.last.saturating_add(2));
        if range.first < floor || range.last < range.first {
            return Err(LayoutError::Range);
        }
        ranges.push(range);
    }
    Ok(Held::Group { run, ranges })
}

fn count_within(count: u8, max: usize) -> Result<usize, LayoutError> {
    let count = usize::from(count);
    if (1..=max).contains(&count) { Ok(count) } else { Err(LayoutError::Range) }
}

impl SignedLayout for Receipt {
    fn signer(&self) -> MemberId {
        self.receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_covers_what_its_ranges_hold_and_nothing_between_them() {
        let range = |first, last| HeldRange { first, last, last_id: MessageId([7; 32]) };
        let held = Held::Group { run: Run { incarnation: 1, boot: 1 }, ranges: vec![range(1, 3), range(5, 5)] };
        let over: Vec<_> = (0..7).map(|seq| held.range_over(seq).map(|range| range.last)).collect();
        assert_eq!(over, [None, Some(3), Some(3), Some(3), None, Some(5), None]);
        assert_eq!(Held::Private { ids: vec![MessageId([7; 32])] }.range_over(1), None);
    }
}
