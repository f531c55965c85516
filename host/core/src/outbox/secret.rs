//! The signature of deliveries, by Standard Webhooks 1.0: HMAC-SHA-256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;

/// Before a secret's base64 text.
const MARK: &str = "whsec_";

/// A signing secret: 24 to 64 bytes. It has no readable `Debug` text.
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

    /// Reads the text form, `whsec_` and base64. `None` when it is not that, or has fewer than 24 or more than 64 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(MARK)?).ok()?;
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The text form, for who may see it.
    pub fn reveal(&self) -> String {
        format!("{MARK}{}", STANDARD.encode(&self.0))
    }

    /// The value of `webhook-signature` for a message, sent at `timestamp`, in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            // HMAC takes keys of any length.
            return String::new();
        };
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
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
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
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
