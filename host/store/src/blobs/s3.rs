//! Buckets: how a client for one is set up, and what its errors mean.

use super::location::{self, Bucket};
use crate::{Result, StoreError, tls};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientConfigKey, Error, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Longest wait for a connection.
const CONNECT: &str = "5 seconds";
/// Longest time for one request, its body and its answer included: a module of 64 MiB at 1 MiB/s.
const REQUEST: &str = "60 seconds";
/// Attempts after the first that failed for a reason which may pass.
const RETRIES: usize = 5;
/// No attempt begins later than this after the first.
pub(super) const RETRY_FOR: Duration = Duration::from_secs(20);
/// The waits between attempts.
const BACKOFF: BackoffConfig = BackoffConfig {
    init_backoff: Duration::from_millis(200),
    max_backoff: Duration::from_secs(3),
    base: 2.0,
};

/// A client of a bucket. `environment` are the variables of the process: credentials come from
/// there (`AWS_ACCESS_KEY_ID` and so on, files of web identities, the metadata service of the
/// machine), and settings that the URL leaves open.
///
/// # Errors
/// `Unavailable` with a sentence about what is missing or wrong. Nothing is asked of the service
/// yet.
pub(super) fn open(
    bucket: &Bucket,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Arc<dyn ObjectStore>> {
    tls::ensure_provider()?;
    let wrong = |why: String| StoreError::Unavailable(format!("{bucket} cannot be used: {why}"));
    let mut builder = AmazonS3Builder::new();
    for (name, value) in
        environment.filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty())
    {
        // Others have variables of that prefix too.
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let from_environment = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
        .iter()
        .find_map(|key| builder.get_config_value(key))
        .map(|text| location::endpoint(&text))
        .transpose()
        .map_err(|why| wrong(format!("{why} (from AWS_ENDPOINT_URL)")))?;
    let endpoint = bucket.endpoint.clone().or(from_environment);
    let virtual_host = match bucket.path_style {
        Some(path_style) => !path_style,
        // Certificates are for one label before the service's name.
        None => endpoint.is_none() && !bucket.name.contains('.'),
    };
    if let Some(endpoint) = &endpoint {
        let address = if virtual_host {
            with_bucket(endpoint, &bucket.name).map_err(wrong)?
        } else {
            endpoint.to_string()
        };
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, address.trim_end_matches('/'));
    }
    if let Some(region) = &bucket.region {
        builder = builder.with_region(region);
    }
    let store = builder
        .with_bucket_name(&bucket.name)
        .with_virtual_hosted_style_request(virtual_host)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // Not every service knows how to delete many at once.
        .with_disable_bulk_delete(true)
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.scheme() == "http"))
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST)
        .with_retry(RetryConfig {
            backoff: BACKOFF,
            max_retries: RETRIES,
            retry_timeout: RETRY_FOR,
        })
        .build()
        .map_err(|error| {
            wrong(format!(
                "{error}; look at the variables AWS_..., and whether the system has CA certificates"
            ))
        })?;
    Ok(match bucket.prefix.as_str() {
        "" => Arc::new(store),
        prefix => Arc::new(PrefixStore::new(store, prefix)),
    })
}

/// The service's address with the bucket in its host.
fn with_bucket(endpoint: &Url, name: &str) -> std::result::Result<String, String> {
    let mut url = endpoint.clone();
    let host = format!("{name}.{}", endpoint.host_str().unwrap_or_default());
    let is_name = url.domain().is_some() && url.set_host(Some(&host)).is_ok();
    if is_name {
        Ok(url.to_string())
    } else {
        Err("an endpoint that is an address of numbers needs path_style=true".into())
    }
}

/// True when an object is said to be missing because its bucket is.
pub(super) fn is_bucket_missing(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) && error.to_string().contains("NoSuchBucket")
}

/// A service's error as a sentence that says what to do.
pub(super) fn explain(bucket: &Bucket, error: &Error) -> StoreError {
    let text = all_reasons(error);
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let endpoint = match &bucket.endpoint {
        Some(endpoint) => format!("the endpoint {endpoint}"),
        None => "the service".into(),
    };
    if has(&["QuotaExceeded", "StorageFull", "InsufficientStorage"]) {
        return StoreError::Full(format!("{bucket}: {text}"));
    }
    let advice = if has(&["NoSuchBucket"]) {
        format!("there is no bucket {} at {endpoint}; make it, or name another one", bucket.name)
    } else if has(&["169.254.169.254", "latest/api/token", "latest/meta-data"]) {
        "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where the machine or the pod has a role".into()
    } else if has(&[
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "ExpiredToken",
        "NotSignedUp",
    ]) {
        "the credentials are refused: look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN".into()
    } else if has(&["RequestTimeTooSkewed"]) {
        "the clocks of this machine and of the service differ: set this machine's clock".into()
    } else if matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) {
        format!(
            "the credentials are refused, or may not list, read, write and delete in the bucket {}",
            bucket.name
        )
    } else if has(&[
        "without LOCATION",
        "AuthorizationHeaderMalformed",
        "PermanentRedirect",
        "IllegalLocationConstraint",
    ]) {
        "the bucket is in another region: name it by region=... in the URL".into()
    } else if has(&[
        "error sending request",
        "error trying to connect",
        "dns error",
        "timed out",
        "deadline",
    ]) {
        format!(
            "{endpoint} cannot be reached; look at the address and the network, and whether the service runs"
        )
    } else {
        format!("{endpoint} failed")
    };
    StoreError::Unavailable(format!("{bucket}: {advice} ({text})"))
}

/// An error with what caused it, on one line.
fn all_reasons(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(std::error::Error::source(error), |error| error.source()) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(700) {
        line.truncate(end);
        line.push_str(" ...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(endpoint: Option<&str>, path_style: Option<bool>) -> Bucket {
        Bucket {
            name: "modules".into(),
            endpoint: endpoint.map(|url| url.parse().unwrap()),
            path_style,
            ..Bucket::default()
        }
    }

    #[test]
    fn a_bucket_is_put_before_the_host() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        assert_eq!(
            with_bucket(&url("https://s3.example.com:9000/x"), "abc").unwrap(),
            "https://abc.s3.example.com:9000/x"
        );
        for address in ["http://127.0.0.1:9000", "http://[::1]:9000"] {
            assert!(with_bucket(&url(address), "abc").unwrap_err().contains("path_style=true"));
        }
    }

    #[test]
    fn settings_of_the_environment_are_checked() {
        let open = |bucket: &Bucket, variables: &[(&str, &str)]| {
            let variables: Vec<_> = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            super::open(bucket, variables.into_iter())
        };
        let key = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
        assert!(open(&bucket(None, None), &key).is_ok());
        assert!(open(&bucket(Some("http://127.0.0.1:1"), None), &key).is_ok());
        assert!(
            open(&bucket(None, None), &[("AWS_PROFILE", "x"), ("AWS_ACCESS_KEY_ID", "")]).is_ok()
        );
        for (bucket, variables, why) in [
            (bucket(None, None), [("AWS_ACCESS_KEY_ID", "k"), ("AWS_REGION", "r")], "secret"),
            (
                bucket(None, None),
                [("AWS_ENDPOINT_URL", "nonsense"), ("AWS_REGION", "r")],
                "AWS_ENDPOINT_URL",
            ),
            (
                bucket(Some("http://127.0.0.1:1"), Some(false)),
                [("AWS_REGION", "r"), ("AWS_REGION", "r")],
                "path_style=true",
            ),
        ] {
            let said = open(&bucket, &variables).map(drop).unwrap_err().to_string();
            assert!(said.to_lowercase().contains(&why.to_lowercase()), "{why}: {said}");
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let generic = |text: &str| Error::Generic { store: "S3", source: text.to_owned().into() };
        let cases = [
            (
                Error::NotFound {
                    path: "x".into(),
                    source: "404: <Code>NoSuchBucket</Code>".into(),
                },
                "there is no bucket modules",
            ),
            (
                Error::PermissionDenied { path: "x".into(), source: "403 Forbidden".into() },
                "may not list, read, write",
            ),
            (generic("<Code>SignatureDoesNotMatch</Code>"), "AWS_SECRET_ACCESS_KEY"),
            (
                generic("Error performing PUT http://169.254.169.254/latest/api/token"),
                "no credentials were found",
            ),
            (generic("Received redirect without LOCATION"), "region=..."),
            (generic("error sending request"), "http://127.0.0.1:1/ cannot be reached"),
            (generic("500 Internal"), "500 Internal"),
        ];
        let bucket = bucket(Some("http://127.0.0.1:1"), None);
        for (error, why) in cases {
            let said = explain(&bucket, &error);
            assert!(
                matches!(&said, StoreError::Unavailable(text) if text.contains(why)),
                "{why}: {said}"
            );
        }
        assert!(matches!(
            explain(&bucket, &generic("<Code>QuotaExceeded</Code>")),
            StoreError::Full(_)
        ));
        assert!(is_bucket_missing(&Error::NotFound {
            path: "x".into(),
            source: "<Code>NoSuchBucket</Code>".into()
        }));
        assert!(!is_bucket_missing(&Error::NotFound {
            path: "x".into(),
            source: "<Code>NoSuchKey</Code>".into()
        }));
    }
}
