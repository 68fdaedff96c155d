//! A node's own keys, and the check of everybody's signatures. Owns Ed25519; knows nothing of what is
//! signed but its domain tag.

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::plain;
use crate::base::{MemberId, Rng};

/// Length of a signature in bytes.
pub const SIGNATURE_BYTES: usize = 64;

/// An Ed25519 signature (RFC 8032).
pub type Signature = [u8; SIGNATURE_BYTES];

/// A Curve25519 public key, as the handshake shows it.
pub type NoiseKey = [u8; 32];

/// Which primitives a node uses. A real node uses the real ones; see `plain`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Suite {
    #[default]
    Real,
    /// Stand-ins that cost little and hide nothing, for simulated rooms of thousands.
    Plain,
}

/// The secret keys of one node: one to sign with, one for handshakes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Identity {
    #[zeroize(skip)]
    signing: SigningKey,
    noise: [u8; 32],
    #[zeroize(skip)]
    suite: Suite,
}

/// The signature does not hold, or its key is weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct BadSignature;

impl Identity {
    /// Draws new keys from `rng`.
    #[must_use]
    pub fn generate(rng: &mut Rng) -> Self {
        Self::from_secrets(rng.bytes(), rng.bytes())
    }

    /// Draws keys for a simulated node that uses the plain suite. Nothing but `sim` may call this.
    #[must_use]
    pub fn plain(rng: &mut Rng) -> Self {
        let mut identity = Self::generate(rng);
        identity.suite = Suite::Plain;
        identity
    }

    /// What this node signs and encrypts with, and believes.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Restores the keys from the 32-byte Ed25519 seed and the 32-byte Curve25519 secret.
    #[must_use]
    pub fn from_secrets(signing: [u8; 32], noise: [u8; 32]) -> Self {
        Self { signing: SigningKey::from_bytes(&signing), noise, suite: Suite::Real }
    }

    /// The Ed25519 seed and the Curve25519 secret, to be kept on disk.
    #[must_use]
    pub fn secrets(&self) -> ([u8; 32], [u8; 32]) {
        (self.signing.to_bytes(), self.noise)
    }

    #[must_use]
    pub fn id(&self) -> MemberId {
        MemberId(self.signing.verifying_key().to_bytes())
    }

    #[must_use]
    pub fn noise_secret(&self) -> &[u8; 32] {
        &self.noise
    }

    /// Signs `payload` under `domain`, a tag that ends with a zero byte, so that a signature made for one
    /// purpose never serves another.
    #[must_use]
    pub fn sign(&self, domain: &str, payload: &[u8]) -> Signature {
        match self.suite {
            Suite::Real => self.signing.sign(&tagged(domain, payload)).to_bytes(),
            Suite::Plain => plain::signature(self.id(), domain, payload),
        }
    }
}

/// Checks that `signer` signed `payload` under `domain`, as `suite` has it.
///
/// # Errors
/// [`BadSignature`], also when the id is no valid key or a weak one (RFC 8032 with the strict checks of
/// `verify_strict`).
pub fn verify(
    suite: Suite,
    signer: MemberId,
    domain: &str,
    payload: &[u8],
    signature: &Signature,
) -> Result<(), BadSignature> {
    if suite == Suite::Plain {
        let holds = *signature == plain::signature(signer, domain, payload);
        return holds.then_some(()).ok_or(BadSignature);
    }
    let key = VerifyingKey::from_bytes(&signer.0).map_err(|_| BadSignature)?;
    key.verify_strict(&tagged(domain, payload), &ed25519_dalek::Signature::from_bytes(signature))
        .map_err(|_| BadSignature)
}

fn tagged(domain: &str, payload: &[u8]) -> Vec<u8> {
    debug_assert!(domain.ends_with('\0'));
    [domain.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_signer_domain_and_bytes_only() {
        let mut rng = Rng::from_seed([3; 32]);
        let ana = Identity::generate(&mut rng);
        let bo = Identity::generate(&mut rng);
        let signature = ana.sign("folkmoot test v1\0", b"hello");
        assert_eq!(verify(Suite::Real, ana.id(), "folkmoot test v1\0", b"hello", &signature), Ok(()));
        assert!(verify(Suite::Real, bo.id(), "folkmoot test v1\0", b"hello", &signature).is_err());
        assert!(verify(Suite::Real, ana.id(), "folkmoot tost v1\0", b"hello", &signature).is_err());
        assert!(verify(Suite::Real, ana.id(), "folkmoot test v1\0", b"hallo", &signature).is_err());
        let weak = MemberId([0; 32]);
        assert!(verify(Suite::Real, weak, "folkmoot test v1\0", b"hello", &signature).is_err());
    }
}
