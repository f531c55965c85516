//! Where a webhook's URL leads, as far as it can be told from the URL alone.

use http::Uri;
use http::uri::Scheme;
use wasmill_core::limits::DeliveryLimits;
use wasmill_core::outbox::address;

/// A URL that may be called. What its name stands for is looked at when it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target(Uri);

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// A sentence that says why it cannot be a webhook's URL.
    pub(crate) fn parse(
        url: &str,
        allow_private: bool,
        limits: &DeliveryLimits,
    ) -> Result<Self, String> {
        if url.len() > limits.url_bytes as usize {
            return Err(format!(
                "The URL has {} bytes; at most {} are allowed",
                url.len(),
                limits.url_bytes
            ));
        }
        if url.contains('#') {
            return Err("The URL has a fragment (#...), which is never sent; leave it away".into());
        }
        let uri: Uri = url.parse().map_err(|error| {
            format!("This is not a URL: {error}; names with other letters must be in punycode")
        })?;
        if !uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS) {
            return Err("The URL must begin with https:// or http://".into());
        }
        let (authority, host) = (
            uri.authority().map_or("", |authority| authority.as_str()),
            uri.host().unwrap_or_default(),
        );
        if authority.contains('@') {
            return Err("The URL has a user name or a password in it, which is not sent; check the signature instead".into());
        }
        let port = authority.strip_prefix(host).unwrap_or_default();
        if !port.is_empty() && uri.port_u16().is_none_or(|port| port == 0) {
            return Err(format!("The URL's port {port:?} is not a number from 1 to 65535"));
        }
        let address = address::literal(host);
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if host.is_empty() || (address.is_none() && !host.bytes().all(in_name)) {
            return Err("The URL's host is neither a name nor an address".into());
        }
        if !allow_private
            && (address::is_localhost(host)
                || address.is_some_and(|address| !address::is_public(address)))
        {
            return Err(not_public(host));
        }
        Ok(Self(uri))
    }

    /// The URL.
    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

/// What is said of a host that leads where nobody but the operator may send the host.
pub(super) fn not_public(host: &str) -> String {
    format!(
        "{host} is not an address on the public internet; the operator can allow such ones by serve --allow-private-webhooks"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let parse = |url: &str, allow| Target::parse(url, allow, &DeliveryLimits::default());
        for url in [
            "https://receiver.example",
            "https://receiver.example:8443/a/b?c=d",
            "http://receiver.example./x",
            "HTTPS://RECEIVER.example/",
            "https://xn--bcher-kva.example/",
            "https://8.8.8.8/",
            "https://[2606:4700:4700::1111]:8443/x",
            "http://10.example.com/",
        ] {
            assert_eq!(
                parse(url, false).map(|target| target.uri().clone()),
                Ok(url.parse().unwrap()),
                "{url}"
            );
        }
        for (url, said) in [
            ("receiver.example/x", "URL"),
            ("/x", "must begin"),
            ("ftp://receiver.example/", "must begin"),
            ("https://bücher.example/", "punycode"),
            ("https://ann@receiver.example/", "password"),
            ("https://ann:pass@receiver.example/", "password"),
            ("https://receiver.example/#x", "fragment"),
            ("https://receiver.example:0/", "port"),
        ] {
            for allow in [false, true] {
                let refused = parse(url, allow).unwrap_err();
                assert!(refused.contains(said), "{url}: {refused}");
            }
        }
        // Where the parser and the rules after it share the work, whichever refuses.
        for url in [
            "",
            "https://",
            "https:///x",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://a b.example/",
            "https://receiver.example/\r\nx: y",
            "https://receiver.example:65536/",
            "https://receiver.example:x/",
            "https://receiver.example:/",
            "https://%31%30.0.0.1/",
            "https://[::1%25lo]/",
            "https://[v1.x]/",
        ] {
            assert!(parse(url, true).is_err() && parse(url, false).is_err(), "{url}");
        }
        assert!(
            parse(&format!("https://receiver.example/{}", "x".repeat(2_048)), true)
                .unwrap_err()
                .contains("2048")
        );
    }

    #[test]
    fn private_ones_only_when_allowed() {
        for url in [
            "http://127.0.0.1:8000/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.1/",
            "http://127.0.0.1./",
            "http://10.1.2.3/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[fd00:ec2::254]/",
            "http://localhost:9000/",
            "http://LOCALHOST./",
            "http://x.localhost/",
            "http://0/",
        ] {
            assert!(Target::parse(url, true, &DeliveryLimits::default()).is_ok(), "{url}");
            let refused = Target::parse(url, false, &DeliveryLimits::default()).unwrap_err();
            assert!(refused.contains("--allow-private-webhooks"), "{url}: {refused}");
        }
    }
}
