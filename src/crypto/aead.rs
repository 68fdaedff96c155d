//! ChaCha20-Poly1305 (RFC 8439) with a counter for a nonce. Owns one key a direction; whoever holds it sees
//! to it that a counter is used once.

use std::fmt;

use super::plain;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// What a sealed text is longer by, in bytes.
pub const TAG_BYTES: usize = 16;

/// A key for one direction of one session.
pub struct AeadKey(Key);

enum Key {
    Real(Box<LessSafeKey>),
    Plain(u64),
}

impl AeadKey {
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the cipher's length");
        Self(Key::Real(Box::new(LessSafeKey::new(key))))
    }

    /// A key that hides nothing; see `plain`.
    pub(super) const fn plain(key: u64) -> Self {
        Self(Key::Plain(key))
    }

    /// Encrypts `datagram[text..]` in place, authenticates `datagram[..text]` with it, and appends the tag.
    ///
    /// # Panics
    /// When `text` is past the end: a broken invariant of ours.
    pub fn seal(&self, counter: u64, datagram: &mut Vec<u8>, text: usize) {
        let (header, body) = datagram.split_at_mut(text);
        match &self.0 {
            Key::Real(key) => {
                let tag = key
                    .seal_in_place_separate_tag(nonce(counter), Aad::from(&*header), body)
                    .expect("a datagram is far below the cipher's limit");
                datagram.extend_from_slice(tag.as_ref());
            }
            Key::Plain(key) => {
                let tag = plain::tag(*key, counter, header, body);
                datagram.extend_from_slice(&tag);
            }
        }
    }

    /// Decrypts `sealed` (ciphertext and tag) in place and returns the text, if `header` and tag hold.
    pub fn open<'a>(&self, counter: u64, header: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        match &self.0 {
            Key::Real(key) => key.open_in_place(nonce(counter), Aad::from(header), sealed).ok(),
            Key::Plain(key) => {
                let (text, tag) = sealed.split_last_chunk_mut::<TAG_BYTES>()?;
                (*tag == plain::tag(*key, counter, header, text)).then_some(text)
            }
        }
    }
}

/// Four zero bytes and the counter in little-endian, as Noise lays it out (revision 34, section 12.3).
fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_its_counter_and_header_only() {
        let key = AeadKey::new(&[9; 32]);
        let mut datagram = b"headhello".to_vec();
        key.seal(7, &mut datagram, 4);
        assert_eq!(datagram.len(), 9 + TAG_BYTES);
        let sealed = &datagram[4..];
        assert_eq!(key.open(7, b"head", &mut sealed.to_vec()).as_deref(), Some(&b"hello"[..]));
        assert!(key.open(8, b"head", &mut sealed.to_vec()).is_none());
        assert!(key.open(7, b"heed", &mut sealed.to_vec()).is_none());
        let mut flipped = sealed.to_vec();
        flipped[0] ^= 1;
        assert!(key.open(7, b"head", &mut flipped).is_none());
    }
}
