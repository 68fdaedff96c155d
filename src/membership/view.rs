//! The fingerprint of a view: 64 buckets of ids, each the XOR of what its members hash to, so that one
//! change costs one hash. Owns what two views are compared by; knows nothing of how they are mended.
//!
//! The fingerprint covers those who are present. Those who left count in the buckets beside them, which are compared
//! where views are compared anyway: when one is forgotten differs from node to node, and must not make two nodes
//! that agree on all who are there compare their views for ever.
//!
//! A member could craft cards whose hashes cancel out. It would hide its own cards from the mending, and
//! nobody else's: each card was relayed when it came.

use crate::base::{MemberId, Run};

/// Buckets in a view: with 256 lines a frame, 64 of them hold `MEMBERS_MAX`.
pub const BUCKETS: usize = 64;

/// The first byte of an id, in parts of four, is its bucket: a stretch of the order of ids.
const IDS_PER_BUCKET_SHIFT: u32 = 2;

#[derive(Clone, Debug)]
pub struct View {
    present: [u64; BUCKETS],
    left: [u64; BUCKETS],
    fingerprint: u64,
}

impl Default for View {
    fn default() -> Self {
        let none = [0; BUCKETS];
        Self { present: none, left: none, fingerprint: fold(&none) }
    }
}

impl View {
    /// Replaces what `member` contributes while it is present: its print before, and now; zero for none.
    pub fn replace(&mut self, member: MemberId, before: u64, now: u64) {
        if before != now {
            self.present[bucket(member)] ^= before ^ now;
            self.fingerprint = fold(&self.present);
        }
    }

    /// Replaces what `member` contributes once it left.
    pub fn replace_left(&mut self, member: MemberId, before: u64, now: u64) {
        self.left[bucket(member)] ^= before ^ now;
    }

    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    #[must_use]
    pub fn buckets(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|index| self.present[index] ^ self.left[index])
    }
}

/// What of a member shows in a view. While that stays the same, nothing needs to be hashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    Nothing,
    /// That it is present, with the run and the version of its card.
    Present(Run, u32),
    /// That it left, in that run.
    Left(Run),
}

impl Shown {
    /// What `member` contributes to the fingerprint; zero unless it is present.
    #[must_use]
    pub fn print(self, member: MemberId) -> u64 {
        match self {
            Self::Present(run, version) => print(member, run, version),
            Self::Left(_) | Self::Nothing => 0,
        }
    }

    /// What it contributes to the buckets beside the fingerprint; zero unless it left.
    #[must_use]
    pub fn left_print(self, member: MemberId) -> u64 {
        match self {
            Self::Left(run) => left_print(member, run),
            Self::Present(..) | Self::Nothing => 0,
        }
    }
}

/// What a present member contributes to the fingerprint of its bucket.
#[must_use]
pub fn print(member: MemberId, run: Run, version: u32) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"folkmoot view v1\0");
    hasher.update(&member.0);
    hasher.update(&run.incarnation.to_be_bytes());
    hasher.update(&run.boot.to_be_bytes());
    hasher.update(&version.to_be_bytes());
    first_u64(&hasher)
}

/// What one that left contributes to its bucket.
#[must_use]
pub fn left_print(member: MemberId, run: Run) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"folkmoot left v1\0");
    hasher.update(&member.0);
    hasher.update(&run.incarnation.to_be_bytes());
    hasher.update(&run.boot.to_be_bytes());
    first_u64(&hasher)
}

/// The bucket of `member`, below [`BUCKETS`].
#[must_use]
pub fn bucket(member: MemberId) -> usize {
    usize::from(member.0[0] >> IDS_PER_BUCKET_SHIFT)
}

/// The lowest id of bucket `index`, and the highest.
#[must_use]
pub fn stretch(index: u8) -> (MemberId, MemberId) {
    let mut low = [0; 32];
    let mut high = [0xff; 32];
    low[0] = index << IDS_PER_BUCKET_SHIFT;
    high[0] = low[0] | ((1 << IDS_PER_BUCKET_SHIFT) - 1);
    (MemberId(low), MemberId(high))
}

fn fold(buckets: &[u64; BUCKETS]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for bucket in buckets {
        hasher.update(&bucket.to_be_bytes());
    }
    first_u64(&hasher)
}

fn first_u64(hasher: &blake3::Hasher) -> u64 {
    let hash = hasher.finalize();
    let (head, _) = hash.as_bytes().split_first_chunk::<8>().expect("a hash has 32 bytes");
    u64::from_be_bytes(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Run = Run { incarnation: 1, boot: 2 };

    #[test]
    fn equal_views_have_equal_fingerprints_however_they_came_about() {
        let ids: Vec<_> = (0..=255).map(|n| MemberId([n; 32])).collect();
        let mut forward = View::default();
        let mut backward = View::default();
        for &id in &ids {
            forward.replace(id, 0, print(id, RUN, 1));
        }
        for &id in ids.iter().rev() {
            backward.replace(id, 0, print(id, RUN, 7));
            backward.replace(id, print(id, RUN, 7), print(id, RUN, 1));
        }
        assert_eq!(forward.fingerprint(), backward.fingerprint());
        forward.replace(ids[9], print(ids[9], RUN, 1), 0);
        assert_ne!(forward.fingerprint(), backward.fingerprint());
        assert_ne!(forward.buckets()[bucket(ids[9])], backward.buckets()[bucket(ids[9])]);
    }

    #[test]
    fn who_left_shows_in_its_bucket_and_not_in_the_fingerprint() {
        let (ana, bo) = (MemberId([1; 32]), MemberId([9; 32]));
        let mut view = View::default();
        view.replace(ana, 0, print(ana, RUN, 1));
        let before = view.clone();
        view.replace_left(bo, 0, left_print(bo, RUN));
        assert_eq!(view.fingerprint(), before.fingerprint());
        assert_ne!(view.buckets()[bucket(bo)], before.buckets()[bucket(bo)]);
        view.replace_left(bo, left_print(bo, RUN), 0);
        assert_eq!(view.buckets(), before.buckets());
    }

    #[test]
    fn a_bucket_is_a_stretch_of_ids() {
        for n in 0..=255 {
            let id = MemberId([n; 32]);
            let index = u8::try_from(bucket(id)).unwrap();
            let (low, high) = stretch(index);
            assert!(low <= id && id <= high);
        }
        assert_eq!(stretch(63).1, MemberId([0xff; 32]));
    }
}
