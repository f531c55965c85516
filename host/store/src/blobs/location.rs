//! Where blobs are kept, as an operator writes it: a directory, or a bucket with what is needed to
//! find it.

use crate::{Result, StoreError};
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// The location of blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// Files below a directory.
    Directory(PathBuf),
    /// Objects of a bucket.
    Bucket(Bucket),
}

/// A bucket of a service that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Bucket {
    pub(super) name: String,
    /// Before every key; without slashes at its ends, empty for none.
    pub(super) prefix: String,
    pub(super) region: Option<String>,
    /// `None`: the one of the region, or what the environment says.
    pub(super) endpoint: Option<Url>,
    /// Whether the bucket's name is in the path of addresses, and not in their host. `None`: as the
    /// endpoint suggests.
    pub(super) path_style: Option<bool>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Directory(dir) => write!(f, "{}", dir.display()),
            Location::Bucket(bucket) => write!(f, "{bucket}"),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)?;
        match self.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

const FORMS: &str = "give a directory, file:///DIRECTORY, or s3://BUCKET/PREFIX?region=...&endpoint=...&path_style=true|false";

impl Location {
    /// Reads what an operator wrote.
    ///
    /// # Errors
    /// `Unavailable` with a sentence about what is wrong and what would be right.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            StoreError::Unavailable(format!(
                "the place for modules {text:?} is not understood: {why}"
            ))
        };
        if text.is_empty() {
            return Err(wrong(FORMS));
        }
        if !text.contains("://") {
            return Ok(Location::Directory(text.into()));
        }
        // A secret in it must not be repeated in a message.
        let url = Url::parse(text).map_err(|error| {
            StoreError::Unavailable(format!("the place for modules is no URL: {error}; {FORMS}"))
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            let why = "credentials do not belong into the URL, where others see them; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(StoreError::Unavailable(format!(
                "the place for modules holds a user or a password: {why}"
            )));
        }
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(path) if url.query().is_none() && url.fragment().is_none() => {
                    Ok(Location::Directory(path))
                }
                _ => Err(wrong(
                    "a directory's URL is file:// and an absolute path, and nothing else",
                )),
            },
            "s3" => bucket(&url).map(Location::Bucket).map_err(|why| wrong(&why)),
            other => Err(wrong(&format!("{other}:// is not supported; {FORMS}"))),
        }
    }
}

fn bucket(url: &Url) -> std::result::Result<Bucket, String> {
    let name = url.host_str().unwrap_or_default().to_owned();
    let letters = name.bytes().all(|byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
    });
    if !(3..=63).contains(&name.len()) || !letters {
        return Err(
            "the name of a bucket has 3 to 63 small letters, digits, dots and hyphens".into()
        );
    }
    if url.port().is_some() || url.fragment().is_some() {
        return Err("what stands behind s3:// is the bucket's name; the service's address is given by endpoint=...".into());
    }
    let prefix = url.path().trim_matches('/');
    if prefix.split('/').any(|part| matches!(part, "." | "..") || part.is_empty())
        && !prefix.is_empty()
    {
        return Err("the prefix has an empty part".into());
    }
    if !prefix
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.'))
    {
        return Err("the prefix may have letters, digits, and the characters / - _ .".into());
    }
    let mut bucket = Bucket { name, prefix: prefix.to_owned(), ..Bucket::default() };
    for (key, value) in url.query_pairs() {
        match &*key {
            "region" => {
                bucket.region = Some(value.into_owned()).filter(|region| !region.is_empty())
            }
            "endpoint" => bucket.endpoint = Some(endpoint(&value)?),
            "path_style" => {
                bucket.path_style =
                    Some(value.parse().map_err(|_| "path_style is true or false".to_owned())?)
            }
            other => {
                return Err(format!(
                    "{other:?} is no setting of a bucket; there are region, endpoint and path_style"
                ));
            }
        }
    }
    Ok(bucket)
}

/// The address of a service.
///
/// # Errors
/// A sentence when it is none.
pub(super) fn endpoint(text: &str) -> std::result::Result<Url, String> {
    let url =
        Url::parse(text).map_err(|error| format!("the endpoint {text:?} is no URL: {error}"))?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || !is_plain {
        return Err("an endpoint is https://HOST or http://HOST:PORT, and nothing else".into());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_buckets_are_told_apart() {
        for (text, path) in [
            ("data/modules", "data/modules"),
            ("/srv/m", "/srv/m"),
            ("file:///srv/my%20m", "/srv/my m"),
        ] {
            assert_eq!(Location::parse(text).unwrap(), Location::Directory(path.into()), "{text}");
        }
        let plain = Bucket { name: "wasmill".into(), ..Bucket::default() };
        for text in ["s3://wasmill", "s3://wasmill/"] {
            assert_eq!(Location::parse(text).unwrap(), Location::Bucket(plain.clone()), "{text}");
        }
        let full =
            "s3://my-bucket/a/b/?region=eu-north-1&endpoint=http://127.0.0.1:5000&path_style=true";
        let expected = Bucket {
            name: "my-bucket".into(),
            prefix: "a/b".into(),
            region: Some("eu-north-1".into()),
            endpoint: Some(Url::parse("http://127.0.0.1:5000").unwrap()),
            path_style: Some(true),
        };
        assert_eq!(Location::parse(full).unwrap(), Location::Bucket(expected));
        assert_eq!(Location::parse(full).unwrap().to_string(), "s3://my-bucket/a/b");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("", "give a directory"),
            ("gs://bucket", "gs:// is not supported"),
            ("file://host/dir", "absolute path"),
            ("file:///dir?fsync=no", "nothing else"),
            ("s3://", "3 to 63"),
            ("s3://ab", "3 to 63"),
            ("s3://MyBucket", "small letters"),
            ("s3://bucket:9000/a", "endpoint=..."),
            ("s3://bucket/a//b", "empty part"),
            ("s3://bucket/a%2Fb", "letters, digits"),
            ("s3://bucket?regoin=x", "\"regoin\" is no setting"),
            ("s3://bucket?path_style=yes", "true or false"),
            ("s3://bucket?endpoint=127.0.0.1:5000", "endpoint"),
            ("s3://bucket?endpoint=ftp://x", "https://HOST"),
            ("s3://bucket?endpoint=http://u:p@x", "https://HOST"),
        ];
        for (text, why) in cases {
            let said = Location::parse(text).unwrap_err().to_string();
            assert!(said.contains(why), "{text}: {said}");
        }
        let said = Location::parse("s3://key:hidden@bucket").unwrap_err().to_string();
        assert!(said.contains("AWS_ACCESS_KEY_ID") && !said.contains("hidden"), "{said}");
    }
}
