//! Frames on their way into datagrams: those of one settle pass to one peer share as few as they fit, in
//! their order, and what is too long is cut. Owns the packing; knows no session and no key, and looks at no label.

use crate::base::limits::{FRAME_BYTES_MAX, SEND_QUEUE_BYTES_MAX};
use crate::wire::Label;
use crate::wire::sealed::{Channel, FRAGMENT_BYTES, Fragment, ITEMS_BYTES_MAX, Item, WHOLE_FRAME_BYTES_MAX};

#[derive(Debug, Default)]
pub(super) struct Packer {
    /// Only the last one still takes more.
    datagrams: Vec<Packed>,
    bytes: usize,
}

/// The items of one datagram, at most `ITEMS_BYTES_MAX` bytes, and the labels of its frames, where they were
/// given.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub items: Vec<u8>,
    pub labels: Vec<Label>,
}

impl Packer {
    pub(super) fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Adds a frame. False, and nothing added, when the pass has queued `SEND_QUEUE_BYTES_MAX` already.
    ///
    /// # Panics
    /// With a frame over `FRAME_BYTES_MAX`: a broken invariant of ours.
    #[must_use]
    pub(super) fn push(&mut self, channel: Channel, frame: &[u8], label: Option<Label>) -> bool {
        assert!(frame.len() <= FRAME_BYTES_MAX, "a frame of {} bytes", frame.len());
        if self.bytes + frame.len() > SEND_QUEUE_BYTES_MAX {
            return false;
        }
        self.bytes += frame.len();
        if frame.len() <= WHOLE_FRAME_BYTES_MAX {
            self.push_item(&Item::Frame { channel, bytes: frame }, label);
        } else {
            for fragment in fragments(channel, frame) {
                self.push_item(&Item::Fragment(fragment), label);
            }
        }
        true
    }

    /// Takes what goes into each datagram.
    pub(super) fn take(&mut self) -> Vec<Packed> {
        self.bytes = 0;
        std::mem::take(&mut self.datagrams)
    }

    fn push_item(&mut self, item: &Item<'_>, label: Option<Label>) {
        let fits = |open: &Packed| open.items.len() + item.written_bytes() <= ITEMS_BYTES_MAX;
        if !self.datagrams.last().is_some_and(fits) {
            self.datagrams.push(Packed { items: Vec::with_capacity(item.written_bytes()), labels: Vec::new() });
        }
        let open = self.datagrams.last_mut().expect("there is one that fits");
        item.write(&mut open.items);
        open.labels.extend(label);
    }
}

/// Cuts a frame that is longer than `WHOLE_FRAME_BYTES_MAX`, each time at the same places.
pub(super) fn fragments(channel: Channel, frame: &[u8]) -> impl Iterator<Item = Fragment<'_>> {
    let key = *blake3::hash(frame).as_bytes().first_chunk().expect("a hash has 32 bytes");
    let frame_bytes = u16::try_from(frame.len()).expect("at most FRAME_BYTES_MAX");
    frame.chunks(FRAGMENT_BYTES).enumerate().map(move |(index, bytes)| {
        let index = u8::try_from(index).expect("FRAME_BYTES_MAX makes at most 256 pieces");
        Fragment { key, channel, index, frame_bytes, bytes }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sealed::read_items;

    #[test]
    fn small_frames_share_a_datagram_in_their_order() {
        let mut packer = Packer::default();
        for place in 0..30u8 {
            assert!(packer.push(Channel::Messaging, &[place; 100], None));
        }
        let datagrams = packer.take();
        assert_eq!(datagrams.len(), 3);
        let frames: Vec<u8> = datagrams
            .iter()
            .flat_map(|packed| read_items(&packed.items).unwrap())
            .map(|item| match item {
                Item::Frame { bytes, .. } => bytes[0],
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(frames, (0..30).collect::<Vec<u8>>());
        assert!(packer.is_empty());
    }

    #[test]
    fn a_long_frame_is_cut_to_fit() {
        let mut packer = Packer::default();
        assert!(packer.push(Channel::Messaging, &vec![1; FRAME_BYTES_MAX], None));
        assert!(packer.push(Channel::Membership, &[2; WHOLE_FRAME_BYTES_MAX], None));
        let datagrams = packer.take();
        assert_eq!(datagrams.len(), FRAME_BYTES_MAX.div_ceil(FRAGMENT_BYTES) + 1);
        assert!(datagrams.iter().all(|one| one.items.len() <= ITEMS_BYTES_MAX && read_items(&one.items).is_some()));
    }

    #[test]
    fn a_pass_queues_no_more_than_its_bound() {
        let mut packer = Packer::default();
        let taken = (0..100).filter(|_| packer.push(Channel::Messaging, &vec![0; 20_000], None)).count();
        assert_eq!(taken, SEND_QUEUE_BYTES_MAX / 20_000);
    }
}
