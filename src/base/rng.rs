//! One seed, split by label. Owns all randomness of a machine, so that one more draw in one place never
//! shifts another.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// A deterministic generator (ChaCha with 12 rounds, as the `rand` crate's own standard generator).
#[derive(Clone)]
pub struct Rng {
    seed: [u8; 32],
    stream: ChaCha12Rng,
}

impl Rng {
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed, stream: ChaCha12Rng::from_seed(seed) }
    }

    /// A generator of its own for `label`: the same seed and label give the same one, whatever was drawn here.
    #[must_use]
    pub fn split(&self, label: &str) -> Self {
        Self::from_seed(*blake3::keyed_hash(&self.seed, label.as_bytes()).as_bytes())
    }

    pub fn next_u64(&mut self) -> u64 {
        self.stream.next_u64()
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.stream.fill_bytes(bytes);
    }

    #[must_use]
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A number below `bound`; zero when `bound` is zero. The bias is below 2⁻³² for bounds below 2³².
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("a product of two 64-bit numbers, shifted by 64, fits")
    }
}

impl std::fmt::Debug for Rng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rng(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_does_not_depend_on_what_was_drawn() {
        let mut root = Rng::from_seed([7; 32]);
        let before = root.split("a").next_u64();
        root.next_u64();
        assert_eq!(root.split("a").next_u64(), before);
        assert_ne!(root.split("b").next_u64(), before);
    }

    #[test]
    fn below_stays_below() {
        let mut rng = Rng::from_seed([1; 32]);
        assert!((0..1000).all(|_| rng.below(7) < 7));
        assert_eq!(rng.below(0), 0);
    }
}
