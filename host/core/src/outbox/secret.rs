//! The signature of messages by Standard Webhooks 1.0: HMAC-SHA-256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;

/// The prefix of the text form of a secret. Base64 follows.
const PREFIX: &str = "whsec_";

/// A signing secret of 24 to 64 bytes. Its `Debug` text does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Secret {
    /// A new secret from random bytes.
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        Self(bytes.to_vec())
    }

    /// Reads the text form: `whsec_` and base64. `None` when the text has another form, or the
    /// secret has fewer than 24 or more than 64 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The text form. Only for users who may see the secret.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The header `webhook-signature` of a message. `timestamp` is the time of sending, in seconds
    /// since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            // HMAC takes keys of any length.
            return String::new();
        };
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The signing secrets of a workspace: the current one, and for some time the previous one, so that
/// receivers can change to the current one without refusing messages. The `Debug` text does not
/// show them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeys {
    /// The current secret.
    pub current: Secret,
    /// The previous secret, and when its use ends, in microseconds since 1970.
    pub previous: Option<(Secret, i64)>,
}

impl SigningKeys {
    /// Keys with one secret.
    pub fn new(current: Secret) -> Self {
        Self { current, previous: None }
    }

    /// Makes `new` the current secret. The secret that was the current one is used until `until`.
    pub fn rotated(self, new: Secret, until: i64) -> Self {
        Self { current: new, previous: Some((self.current, until)) }
    }

    /// The previous secret, while it is used.
    pub fn previous_at(&self, now: i64) -> Option<&(Secret, i64)> {
        self.previous.as_ref().filter(|(_, until)| now < *until)
    }

    /// The header `webhook-signature`: one signature, or two separated by a space. `now` is in
    /// microseconds since 1970; whole seconds are signed.
    pub fn sign(&self, id: &str, now: i64, body: &str) -> String {
        let timestamp = now.div_euclid(1_000_000);
        let current = self.current.sign(id, timestamp, body);
        match self.previous_at(now) {
            Some((previous, _)) => format!("{current} {}", previous.sign(id, timestamp, body)),
            None => current,
        }
    }

    /// The text form for a store. It must be sealed before it is stored.
    pub fn to_text(&self) -> String {
        match &self.previous {
            Some((previous, until)) => {
                format!("{} {} {until}", self.current.reveal(), previous.reveal())
            }
            None => self.current.reveal(),
        }
    }

    /// Reads the text form for a store. `None` when the text has another form.
    pub fn from_text(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            [current] => Secret::parse(current).map(Self::new),
            [current, previous, until] => {
                let previous = (Secret::parse(previous)?, until.parse().ok()?);
                Some(Self { current: Secret::parse(current)?, previous: Some(previous) })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The vectors that the scheme's own libraries are tested with.
    #[test]
    fn published_vectors() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn texts_of_secrets() {
        for (text, ok) in [
            (format!("whsec_{}", STANDARD.encode([1; 24])), true),
            (format!("whsec_{}", STANDARD.encode([1; 64])), true),
            (format!("whsec_{}", STANDARD.encode([1; 23])), false),
            (format!("whsec_{}", STANDARD.encode([1; 65])), false),
            (STANDARD.encode([1; 32]), false),
            ("whsec_not base64!".into(), false),
            ("whsec_".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(Secret::parse(&text).is_some(), ok, "{text}");
        }
        let secret = Secret::from_random(&[7; 32]);
        assert!(!format!("{secret:?}").contains(&secret.reveal()));
    }

    #[test]
    fn rotation() {
        let (old, new) = (Secret::from_random(&[1; 32]), Secret::from_random(&[2; 32]));
        let keys = SigningKeys::new(old.clone());
        assert_eq!(keys.sign("msg_1", 5_999_999, "{}"), old.sign("msg_1", 5, "{}"));
        let keys = keys.rotated(new.clone(), 10_000_000);
        let both = format!("{} {}", new.sign("msg_1", 9, "{}"), old.sign("msg_1", 9, "{}"));
        assert_eq!(keys.sign("msg_1", 9_999_999, "{}"), both);
        assert_eq!(keys.sign("msg_1", 10_000_000, "{}"), new.sign("msg_1", 10, "{}"));
        for kept in [keys.clone(), SigningKeys::new(new)] {
            assert_eq!(SigningKeys::from_text(&kept.to_text()), Some(kept));
        }
        let text = keys.to_text();
        for bad in [
            "",
            "x",
            &format!("{text} 1"),
            text.trim_end_matches(char::is_numeric),
            &text.replace("whsec_", ""),
        ] {
            assert_eq!(SigningKeys::from_text(bad), None, "{bad}");
        }
        assert!(!format!("{keys:?}").contains("whsec_"));
    }

    proptest! {
        #[test]
        fn round_trip_and_tampering(bytes: [u8; 32], id in "[a-z]{1,8}", timestamp in 0..4_000_000_000i64, body in ".{0,40}") {
            let secret = Secret::from_random(&bytes);
            prop_assert_eq!(Secret::parse(&secret.reveal()), Some(secret.clone()));
            let signature = secret.sign(&id, timestamp, &body);
            prop_assert_eq!(signature.len(), 3 + 44);
            prop_assert_ne!(&signature, &secret.sign(&id, timestamp + 1, &body));
            prop_assert_ne!(&signature, &secret.sign(&id, timestamp, &format!("{body} ")));
            let mut other = bytes;
            other[0] ^= 1;
            prop_assert_ne!(&signature, &Secret::from_random(&other).sign(&id, timestamp, &body));
        }
    }
}
