//! The form of tokens: `wml_`, 256 random bits and a checksum. Only the SHA-256 of a token is
//! stored.

use crate::limits::TOKEN_PREFIX_CHARS;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::fmt;

const PREFIX: &str = "wml_";
/// 32 bytes in base64 without padding.
const SECRET_CHARS: usize = 43;
/// 4 bytes in base64 without padding.
const CHECK_CHARS: usize = 6;

/// A token in plain text. It is shown once and not stored. Its `Debug` text does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainToken(String);

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken(hidden)")
    }
}

fn checksum(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.iter().copied().take(4).collect::<Vec<u8>>())
}

impl PlainToken {
    /// A new token from 32 random bytes.
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        let body = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let check = checksum(&body);
        Self(body + &check)
    }

    /// Reads a token. `None` when its form or checksum is wrong; telling that needs no look-up.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == PREFIX.len() + SECRET_CHARS + CHECK_CHARS
            && text.is_ascii()
            && text.starts_with(PREFIX);
        let (body, check) = well_formed.then(|| text.split_at(text.len() - CHECK_CHARS))?;
        (checksum(body) == check).then(|| Self(text.to_owned()))
    }

    /// The SHA-256 of the whole text. A store keeps the token under it.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The first characters, for lists and revocation.
    pub fn prefix(&self) -> &str {
        self.0.get(..TOKEN_PREFIX_CHARS).unwrap_or_default()
    }

    /// The whole text. Only for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn debug_hides() {
        let token = PlainToken::from_random(&[7; 32]);
        assert!(!format!("{token:?}").contains(token.reveal()));
        assert_eq!(token.prefix().len(), 10);
    }

    proptest! {
        #[test]
        fn round_trip_and_typos(bytes: [u8; 32], position in 0usize..53, replacement in "[A-Za-z0-9_-]") {
            let token = PlainToken::from_random(&bytes);
            prop_assert_eq!(PlainToken::parse(token.reveal()).unwrap().digest(), token.digest());
            let mut typo = token.reveal().to_owned();
            typo.replace_range(position..=position, &replacement);
            prop_assume!(typo != token.reveal());
            prop_assert!(PlainToken::parse(&typo).is_none());
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = PlainToken::parse(&text);
        }
    }
}
