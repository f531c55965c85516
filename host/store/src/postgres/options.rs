//! How the database is reached, and how long anything that concerns it may take.

use crate::{Result, StoreError};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// What a connection calls itself in the server's own views, when the address does not say.
const APPLICATION: &str = "wasmill";

/// The address of a database, and bounds with their defaults.
#[derive(Clone)]
pub struct Options {
    pub(super) config: Config,
    /// Further certificate authorities in PEM form, instead of the system's.
    pub(super) root_certificates: Option<PathBuf>,
    /// Connections at most. Default 16.
    pub connections: usize,
    /// How long connecting may take. Default 5 s.
    pub connect_timeout: Duration,
    /// How long a verb waits for a free connection. Default 5 s.
    pub wait_timeout: Duration,
    /// How long a verb may take once it has a connection. Default 15 s.
    pub verb_timeout: Duration,
    /// Batches of calls of one sort that are committed at the same time. Default 2.
    pub lanes: usize,
    /// Bytes of one batch at most, unless a single call has more. Default 8 MiB.
    pub batch_bytes: usize,
    /// Records of finished runs in one batch at most. Default 1,024.
    pub batch: usize,
    /// Records on their way to the database. Default 65,536.
    pub channel: usize,
    /// How long records wait for company. Default 10 ms.
    pub linger: Duration,
    /// Payload bytes of records on their way; above it they are kept without payload. Default 256
    /// MiB.
    pub record_bytes: usize,
}

impl Options {
    /// Options of a database by its address:
    /// `postgres://user:password@host:port/database?sslmode=...`.
    ///
    /// Parameters after the `?` are those of libpq. The host may also be a folder that has the
    /// server's socket (`postgres:///database?host=/run/postgresql`). `sslmode` is `disable`,
    /// `prefer` (encrypted where the server offers that) or `require`; wherever a connection is
    /// encrypted, the server's certificate must be valid for its name, which is why `verify-ca` and
    /// `verify-full` mean the same as `require`. Without it, encryption is required unless the
    /// server is on this machine. `sslrootcert` is a file of certificate authorities to trust
    /// instead of the system's.
    ///
    /// A pooler in between must keep a connection to the server for each of ours (PgBouncer:
    /// `pool_mode = session`).
    ///
    /// # Errors
    /// `Unavailable` when the address cannot be understood. The message does not repeat it, for it
    /// may have a password.
    pub fn from_url(url: &str) -> Result<Self> {
        let refused = |why: &dyn fmt::Display| {
            StoreError::Unavailable(format!("the address of the PostgreSQL database: {why}"))
        };
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(refused(&"it must begin with postgres://"));
        }
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut root_certificates, mut rest) = (None, None, Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match url::form_urlencoded::parse(parameter.as_bytes()).next() {
                Some((name, value)) if name == "sslmode" => {
                    mode = Some(ssl_mode(&value).map_err(|why| refused(&why))?)
                }
                Some((name, value)) if name == "sslrootcert" => {
                    root_certificates = Some(PathBuf::from(value.as_ref()))
                }
                _ => rest.push(parameter),
            }
        }
        let mut config: Config = match rest.is_empty() {
            true => address.parse(),
            false => format!("{address}?{}", rest.join("&")).parse(),
        }
        .map_err(|error| refused(&Causes(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(refused(
                &"it has no host; for a socket on this machine give its folder, as in ?host=/run/postgresql",
            ));
        }
        let local = config.get_hosts().iter().all(is_local)
            && config.get_hostaddrs().iter().all(|address| address.is_loopback());
        config.ssl_mode(mode.unwrap_or(if local { SslMode::Disable } else { SslMode::Require }));
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION);
        }
        bound(&mut config);
        Ok(Self {
            config,
            root_certificates,
            connections: 16,
            connect_timeout: Duration::from_secs(5),
            wait_timeout: Duration::from_secs(5),
            verb_timeout: Duration::from_secs(15),
            lanes: 2,
            batch_bytes: 8 << 20,
            batch: 1_024,
            channel: 65_536,
            linger: Duration::from_millis(10),
            record_bytes: 256 << 20,
        })
    }
}

impl fmt::Debug for Options {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            config,
            root_certificates,
            connections,
            connect_timeout,
            wait_timeout,
            verb_timeout,
            ..
        } = self;
        f.debug_struct("Options")
            .field("hosts", &config.get_hosts())
            .field("database", &config.get_dbname())
            .field("user", &config.get_user())
            .field("ssl_mode", &config.get_ssl_mode())
            .field("root_certificates", root_certificates)
            .field("connections", connections)
            .field("connect_timeout", connect_timeout)
            .field("wait_timeout", wait_timeout)
            .field("verb_timeout", verb_timeout)
            .finish_non_exhaustive()
    }
}

/// An error with what caused it, in one line: those of tokio-postgres keep the reason to
/// themselves.
pub(super) struct Causes<'a>(pub(super) &'a dyn std::error::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

fn ssl_mode(text: &str) -> std::result::Result<SslMode, String> {
    match text {
        "disable" => Ok(SslMode::Disable),
        "prefer" => Ok(SslMode::Prefer),
        "require" | "verify-ca" | "verify-full" => Ok(SslMode::Require),
        other => {
            Err(format!("sslmode is {other:?}; it must be disable, prefer, require or verify-full"))
        }
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

/// Notices within seconds that the other side of a connection is gone, unless the address says
/// otherwise.
fn bound(config: &mut Config) {
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(10));
    }
    if config.get_keepalives_interval().is_none() {
        config
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let options = Options::from_url(
            "postgres://ann:s%40fe@db.example:5433/jobs?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&connect_timeout=3",
        );
        let options = options.unwrap();
        assert_eq!(options.config.get_hosts(), [Host::Tcp("db.example".into())]);
        assert_eq!(
            (options.config.get_ports(), options.config.get_dbname()),
            (&[5433][..], Some("jobs"))
        );
        assert_eq!(
            (options.config.get_user(), options.config.get_password()),
            (Some("ann"), Some(&b"s@fe"[..]))
        );
        assert_eq!(options.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(options.root_certificates, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!(options.config.get_application_name(), Some("wasmill"));
        assert!(!format!("{options:?}").contains("s@fe"));
    }

    #[test]
    fn only_this_machine_is_reached_unencrypted_unasked() {
        for (address, mode) in [
            ("postgres://ann@db.example/jobs", SslMode::Require),
            ("postgres://ann@127.0.0.1/jobs", SslMode::Disable),
            ("postgresql://ann@localhost:5433/jobs", SslMode::Disable),
            ("postgres://ann@localhost,db.example/jobs", SslMode::Require),
            ("postgres://ann@/jobs?host=/run/postgresql", SslMode::Disable),
            ("postgres://ann@%2Frun%2Fpostgresql/jobs", SslMode::Disable),
            ("postgres://ann@db.example/jobs?sslmode=disable", SslMode::Disable),
            ("postgres://ann@localhost/jobs?sslmode=prefer", SslMode::Prefer),
        ] {
            assert_eq!(
                Options::from_url(address).unwrap().config.get_ssl_mode(),
                mode,
                "{address}"
            );
        }
    }

    #[test]
    fn what_cannot_be_understood_is_said_without_the_password() {
        for (address, word) in [
            ("mysql://ann:secret@host/jobs", "postgres://"),
            ("postgres://ann:secret@host/jobs?sslmode=maybe", "maybe"),
            ("postgres://ann:secret@host/jobs?unknown=1", "unknown"),
            ("postgres://ann:secret@host:none/jobs", "port"),
            ("postgres:///jobs", "no host"),
        ] {
            let refused = Options::from_url(address).unwrap_err().to_string();
            assert!(refused.contains(word) && !refused.contains("secret"), "{refused}");
        }
    }
}
