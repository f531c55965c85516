//! Names and ids as types that hold only valid values.
//!
//! Modules of this project pass these types to each other, and no `String`. A `ScriptPath` follows
//! the grammar of paths, a `VersionHash` has 32 bytes, and a `JobId` has the time at which it was
//! made.

use crate::limits::{NAME_CHARS, PATH_CHARS, PATH_PART_CHARS};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use uuid::Uuid;

/// Why a text is not a valid name. The `Display` text tells what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidName {
    /// What the text was read as: `workspace`, `path`, `hash`, `job id`.
    pub what: &'static str,
    /// What is wrong with the text, and what is allowed.
    pub reason: String,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}: {}", self.what, self.reason)
    }
}

impl std::error::Error for InvalidName {}

fn invalid<T>(what: &'static str, reason: impl Into<String>) -> Result<T, InvalidName> {
    Err(InvalidName { what, reason: reason.into() })
}

macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The name as it is written in addresses.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.to_string()
            }
        }
    };
}

/// The name of a workspace: 1 to 50 of `a-z A-Z 0-9 _ -`. The first character is a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkspaceId(Arc<str>);
text_id!(WorkspaceId);

impl FromStr for WorkspaceId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let what = "workspace";
        if text.is_empty() || text.len() > NAME_CHARS {
            return invalid(what, format!("must have 1 to {NAME_CHARS} characters"));
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            return invalid(what, "only letters, digits, '_' and '-' are allowed");
        }
        if text.starts_with(['-', '_']) {
            return invalid(what, "must begin with a letter or a digit");
        }
        Ok(Self(text.into()))
    }
}

/// The path of a script: `u/<user>/<name>` or `f/<folder>/<name>`. The name may have further
/// slashes.
///
/// Each segment has 1 to 100 of `a-z A-Z 0-9 _ - . @`, and is not `.` or `..`. The path has at most
/// 255 bytes. A path is a key and never the name of a file.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScriptPath(Arc<str>);
text_id!(ScriptPath);

impl FromStr for ScriptPath {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        check_path(
            text,
            &["u", "f"],
            "must begin with u/<user>/ or f/<folder>/, such as f/examples/hello",
        )?;
        Ok(Self(text.into()))
    }
}

/// The path of a variable or resource: as of a script, or `g/<group>/<name>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ValuePath(Arc<str>);
text_id!(ValuePath);

impl FromStr for ValuePath {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        check_path(
            text,
            &["u", "f", "g"],
            "must begin with u/<user>/, f/<folder>/ or g/<group>/, such as f/shop/api_key",
        )?;
        Ok(Self(text.into()))
    }
}

/// The name of a user, also the `<user>` in `u/<user>/...`: 1 to 50 of `a-z A-Z 0-9 _ -`. The first
/// character is a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(Arc<str>);
text_id!(UserName);

impl FromStr for UserName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let what = "user name";
        if text.is_empty() || text.len() > NAME_CHARS {
            return invalid(what, format!("must have 1 to {NAME_CHARS} characters"));
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            || text.starts_with(['-', '_'])
        {
            return invalid(
                what,
                "only letters, digits, '_' and '-' are allowed, beginning with a letter or a digit",
            );
        }
        Ok(Self(text.into()))
    }
}

/// Checks the grammar of paths. `firsts` holds the allowed first segments.
fn check_path(text: &str, firsts: &[&str], first: &str) -> Result<(), InvalidName> {
    let what = "path";
    if text.len() > PATH_CHARS {
        return invalid(what, format!("must have at most {PATH_CHARS} characters"));
    }
    let mut segments = 0usize;
    for segment in text.split('/') {
        segments += 1;
        if segments == 1 && !firsts.contains(&segment) {
            return invalid(what, first);
        }
        if segment.is_empty() {
            return invalid(what, "has an empty part between slashes");
        }
        if segment.len() > PATH_PART_CHARS {
            return invalid(
                what,
                format!("a part between slashes has more than {PATH_PART_CHARS} characters"),
            );
        }
        if segment == "." || segment == ".." {
            return invalid(what, "'.' and '..' are not allowed as parts");
        }
        if !segment
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'@'))
        {
            return invalid(
                what,
                "only letters, digits and '_', '-', '.', '@' are allowed between slashes",
            );
        }
    }
    match segments {
        0..3 => invalid(what, "needs three parts, such as f/<folder>/<name>"),
        _ => Ok(()),
    }
}

/// A SHA-256 digest. The digest of its bytes names a module; the digest of its manifest names a
/// version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

/// The name of a version: the SHA-256 of its canonical manifest. 64 hex digits in addresses.
pub type VersionHash = Digest;

impl Digest {
    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// 64 lower-case hex digits.
    pub fn to_hex(self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl FromStr for Digest {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let nibble = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            b'A'..=b'F' => Some(c - b'A' + 10),
            _ => None,
        };
        let mut bytes = [0u8; 32];
        if text.len() != 64 {
            return invalid("hash", format!("must have 64 hex digits, has {}", text.len()));
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            match pair {
                [high, low] => match (nibble(*high), nibble(*low)) {
                    (Some(high), Some(low)) => *byte = high << 4 | low,
                    _ => return invalid("hash", "must have hex digits only"),
                },
                _ => return invalid("hash", "must have 64 hex digits"),
            }
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_hex()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.to_hex())
    }
}

/// The id of a job. Callers see a UUID of version 7 (RFC 9562). A store sees an integer key,
/// ordered by time, and 62 random bits.
///
/// The key has 48 bits of milliseconds and 12 bits of a counter, which are the `rand_a` of the
/// UUID. So the key fits into a positive `i64`, and is unique among the ids of one process. The
/// random bits make the id impossible to guess.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// Makes an id from milliseconds since 1970, a counter within that millisecond (12 bits) and
    /// random bits (62 are used).
    pub fn from_parts(millis: u64, counter: u16, random: u64) -> Self {
        let high = (millis & 0xffff_ffff_ffff) << 16 | 0x7000 | u64::from(counter & 0x0fff);
        let low = 0x8000_0000_0000_0000 | (random & 0x3fff_ffff_ffff_ffff);
        Self(Uuid::from_u64_pair(high, low))
    }

    /// Makes an id from the key and the random bits that a store keeps.
    pub fn from_key(key: i64, tail: i64) -> Self {
        let key = key as u64;
        Self::from_parts(key >> 12, (key & 0x0fff) as u16, tail as u64)
    }

    /// The integer key: `millis << 12
    ///
    /// counter`. A later millisecond has a larger key.
    pub fn key(&self) -> i64 {
        let (high, _) = self.0.as_u64_pair();
        ((high >> 16) << 12 | (high & 0x0fff)) as i64
    }

    /// The 62 random bits. A look-up compares them, so that a key alone finds no job.
    pub fn tail(&self) -> i64 {
        let (_, low) = self.0.as_u64_pair();
        (low & 0x3fff_ffff_ffff_ffff) as i64
    }

    /// The 16 bytes of the UUID.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The id with these bytes. They may be any UUID.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The time at which the id was made, in milliseconds since 1970.
    pub fn millis(&self) -> u64 {
        self.0.as_u64_pair().0 >> 16
    }

    /// True when the UUID has version 7 and the variant of RFC 9562. Only such an id may have been
    /// made by a host.
    pub fn is_native(&self) -> bool {
        self.0.get_version_num() == 7 && self.0.get_variant() == uuid::Variant::RFC4122
    }
}

impl FromStr for JobId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match Uuid::try_parse(text) {
            Ok(uuid) => Ok(Self(uuid)),
            Err(error) => invalid("job id", format!("must be a UUID ({error})")),
        }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn script_paths() {
        for good in ["u/admin/hello", "f/examples/a/b/c", "f/a-b_c.d/x@y", "u/me@host/x"] {
            assert_eq!(good.parse::<ScriptPath>().map(String::from).unwrap(), good);
        }
        for bad in [
            "", "hello", "u/x", "g/a/b", "u//b", "u/a/", "/u/a/b", "u/a/..", "f/./x", "u/a/b c",
            "u/a/b%2f", "u/a/b\\c", "u/a/\0", "f/é/x",
        ] {
            assert!(bad.parse::<ScriptPath>().is_err(), "{bad:?} must be refused");
        }
        assert!(format!("u/a/{}", "x/".repeat(200)).parse::<ScriptPath>().is_err());
    }

    #[test]
    fn value_paths() {
        for good in ["u/admin/key", "f/shop/a/b", "g/all/c"] {
            assert_eq!(good.parse::<ValuePath>().map(String::from).unwrap(), good);
        }
        for bad in ["key", "g/all", "x/a/b", "g/a/..", "g/a/b c"] {
            assert!(bad.parse::<ValuePath>().is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn workspaces() {
        assert!("main".parse::<WorkspaceId>().is_ok());
        for bad in ["", "-a", "_a", "a b", "a/b", "ä", &"a".repeat(51)] {
            assert!(bad.parse::<WorkspaceId>().is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn digest_text() {
        let digest = Digest::of(b"abc");
        assert_eq!(
            digest.to_hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(digest.to_hex().to_uppercase().parse::<Digest>().unwrap(), digest);
        assert!("ba78".parse::<Digest>().is_err());
        assert!("zz".repeat(32).parse::<Digest>().is_err());
    }

    proptest! {
        #[test]
        fn job_id_round_trip(millis in 0u64..1 << 48, counter in 0u16..1 << 12, random: u64) {
            let id = JobId::from_parts(millis, counter, random);
            prop_assert!(id.is_native());
            prop_assert_eq!(id.millis(), millis);
            prop_assert_eq!(JobId::from_key(id.key(), id.tail()), id);
            prop_assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
            prop_assert_eq!(JobId::from_bytes(id.to_bytes()), id);
            prop_assert!(id.key() >= 0);
        }

        #[test]
        fn job_ids_sort_by_time(a in 0u64..1 << 48, b in 0u64..1 << 48, random: u64) {
            prop_assume!(a < b);
            prop_assert!(JobId::from_parts(a, 4095, random) < JobId::from_parts(b, 0, 0));
            prop_assert!(JobId::from_parts(a, 4095, random).key() < JobId::from_parts(b, 0, 0).key());
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<ScriptPath>();
            let _ = text.parse::<WorkspaceId>();
            let _ = text.parse::<Digest>();
            let _ = text.parse::<JobId>();
        }
    }
}
