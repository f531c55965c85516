//! Encrypts values so that only this host can read them: XChaCha20-Poly1305 with the value key of
//! the host.
//!
//! A sealed value is a version byte, a nonce of 24 bytes, and the ciphertext with its tag. It is
//! bound to its workspace, its name and its kind: a value that was moved does not open. The nonce
//! is an argument. It must be random; a nonce of 24 random bytes does not repeat
//! (draft-irtf-cfrg-xchacha-03, section 2.1).

use crate::Digest;
use crate::id::WorkspaceId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use std::fmt;

/// The first byte of a sealed value of this format.
const VERSION: u8 = 1;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 24;

/// The key of all values of a host. Its `Debug` text does not show it.
#[derive(Clone)]
pub struct ValueKey([u8; 32]);

impl ValueKey {
    /// A key from 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A number that distinguishes keys and does not reveal them. Never negative; equal for equal
    /// keys.
    pub fn fingerprint(&self) -> i64 {
        let digest = Digest::of(&[b"wasmill value key fingerprint ".as_slice(), &self.0].concat());
        let [a, b, c, d, e, f, g, h, ..] = digest.0;
        i64::from_be_bytes([a & 0x7f, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for ValueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueKey(..)")
    }
}

/// The kind of a sealed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SealedKind {
    /// The text of a variable.
    Variable,
    /// The JSON text of a resource.
    Resource,
    /// The signing secret of a workspace's webhook.
    WebhookSecret,
}

/// Where a sealed value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedAt<'a> {
    /// The workspace.
    pub workspace: &'a WorkspaceId,
    /// The kind of the value.
    pub kind: SealedKind,
    /// The name of the value.
    pub path: &'a str,
}

impl SealedAt<'_> {
    /// The associated data. It is different for every `SealedAt`, because the name of a workspace
    /// has no zero byte.
    fn bytes(&self) -> Vec<u8> {
        let kind = match self.kind {
            SealedKind::Variable => 1,
            SealedKind::Resource => 2,
            SealedKind::WebhookSecret => 3,
        };
        let mut bytes = vec![VERSION, kind];
        bytes.extend_from_slice(self.workspace.as_str().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(self.path.as_bytes());
        bytes
    }
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// The value is too short, or has a version that this program does not know.
    Unknown,
    /// The value was sealed with another key, was sealed for another place, or was changed.
    Mismatch,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OpenError::Unknown => "it is not a sealed value of a version that this program knows",
            OpenError::Mismatch => {
                "it was sealed with another key or for another place, or it was changed"
            }
        })
    }
}

impl std::error::Error for OpenError {}

/// Seals a value for a place. A nonce must never be used twice with one key.
pub fn seal(key: &ValueKey, nonce: [u8; NONCE_BYTES], at: &SealedAt<'_>, plain: &[u8]) -> Vec<u8> {
    let cipher = XChaCha20Poly1305::new((&key.0).into());
    let data = at.bytes();
    // This fails above 256 GiB only, which no limit allows. The value would then be stored as one
    // that does not open.
    let ciphertext = cipher
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: &data })
        .unwrap_or_default();
    let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + ciphertext.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    sealed
}

/// Opens a value that was sealed for this place.
///
/// # Errors
/// When `sealed` is not a sealed value, or does not belong to this key and place.
pub fn open(key: &ValueKey, at: &SealedAt<'_>, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let Some((&VERSION, rest)) = sealed.split_first() else { return Err(OpenError::Unknown) };
    let Some((nonce, ciphertext)) = rest.split_at_checked(NONCE_BYTES) else {
        return Err(OpenError::Unknown);
    };
    let cipher = XChaCha20Poly1305::new((&key.0).into());
    let data = at.bytes();
    cipher
        .decrypt(XNonce::from_slice(nonce), Payload { msg: ciphertext, aad: &data })
        .map_err(|_| OpenError::Mismatch)
}

/// A sealed value as text: base64.
pub fn to_text(sealed: &[u8]) -> String {
    STANDARD.encode(sealed)
}

/// A sealed value from its text; `None` when the text is not base64.
pub fn from_text(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> ValueKey {
        ValueKey::new([byte; 32])
    }

    fn workspace(name: &str) -> WorkspaceId {
        name.parse().unwrap()
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", key(7)), "ValueKey(..)");
    }

    #[test]
    fn what_is_sealed_elsewhere_does_not_open() {
        let (main, other) = (workspace("main"), workspace("main2"));
        let here = SealedAt { workspace: &main, kind: SealedKind::Variable, path: "u/a/b" };
        let sealed = seal(&key(1), [2; NONCE_BYTES], &here, b"secret");
        assert_eq!(open(&key(1), &here, &sealed).unwrap(), b"secret");
        for elsewhere in [
            SealedAt { workspace: &other, ..here },
            SealedAt { kind: SealedKind::Resource, ..here },
            SealedAt { kind: SealedKind::WebhookSecret, ..here },
            SealedAt { path: "u/a/c", ..here },
            SealedAt { path: "2u/a/b", ..here },
        ] {
            assert_eq!(
                open(&key(1), &elsewhere, &sealed),
                Err(OpenError::Mismatch),
                "{elsewhere:?}"
            );
        }
        assert_eq!(open(&key(2), &here, &sealed), Err(OpenError::Mismatch));
        assert_eq!(open(&key(1), &here, b""), Err(OpenError::Unknown));
        assert_eq!(open(&key(1), &here, &[VERSION; NONCE_BYTES]), Err(OpenError::Unknown));
        assert_eq!(open(&key(1), &here, &[VERSION; NONCE_BYTES + 1]), Err(OpenError::Mismatch));
    }

    proptest! {
        #[test]
        fn round_trip(bytes: [u8; 32], nonce: [u8; NONCE_BYTES], path in ".{0,20}", plain in prop::collection::vec(any::<u8>(), 0..200)) {
            let main = workspace("main");
            let at = SealedAt { workspace: &main, kind: SealedKind::Resource, path: &path };
            let key = ValueKey::new(bytes);
            let sealed = seal(&key, nonce, &at, &plain);
            prop_assert_eq!(sealed.len(), 1 + NONCE_BYTES + plain.len() + 16);
            prop_assert_eq!(from_text(&to_text(&sealed)), Some(sealed.clone()));
            prop_assert_eq!(open(&key, &at, &sealed).unwrap(), plain);
        }

        #[test]
        fn a_changed_byte_is_noticed(at in 0..60usize, flip in 1..=255u8, cut in 0..60usize) {
            let main = workspace("main");
            let place = SealedAt { workspace: &main, kind: SealedKind::Variable, path: "u/a/b" };
            let mut sealed = seal(&key(1), [3; NONCE_BYTES], &place, b"nineteen bytes long");
            prop_assert_eq!(sealed.len(), 60);
            prop_assert!(open(&key(1), &place, sealed.get(..cut).unwrap()).is_err());
            sealed[at] ^= flip;
            prop_assert!(open(&key(1), &place, &sealed).is_err());
        }
    }
}
