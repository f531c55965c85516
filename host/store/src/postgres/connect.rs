//! Connections: how each is made and set up, and the pool that they are taken from.

use super::Options;
use super::options::Causes;
use crate::{Result, StoreError};
use deadpool_postgres::{
    ConfigConnectImpl, Connect, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::fmt::Display;
use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Makes a connection and sets it up.
struct SetUp {
    connect: Box<dyn Connect>,
    settings: String,
}

type Connecting<'a> = Pin<
    Box<
        dyn Future<Output = std::result::Result<(Client, JoinHandle<()>), tokio_postgres::Error>>
            + Send
            + 'a,
    >,
>;

impl Connect for SetUp {
    fn connect(&self, config: &Config) -> Connecting<'_> {
        let config = config.clone();
        Box::pin(async move {
            let (client, task) = self.connect.connect(&config).await?;
            client.batch_execute(&self.settings).await?;
            Ok((client, task))
        })
    }
}

/// A pool of connections; none is made yet.
pub(super) fn pool(options: &Options) -> Result<Pool> {
    let connect: Box<dyn Connect> = match options.config.get_ssl_mode() {
        SslMode::Disable => Box::new(ConfigConnectImpl { tls: NoTls }),
        _ => Box::new(ConfigConnectImpl { tls: tls(options.root_certificates.as_deref())? }),
    };
    let connect = SetUp { connect, settings: settings(options) };
    // A connection that was closed is not given out again. What else may be wrong with one, its
    // next user finds out.
    let how = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_connect(options.config.clone(), connect, how))
        .max_size(options.connections.max(1))
        .create_timeout(Some(options.connect_timeout))
        .wait_timeout(Some(options.wait_timeout))
        .recycle_timeout(Some(options.connect_timeout))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| {
            StoreError::Unavailable(format!("the pool of connections: {}", Causes(&error)))
        })
}

/// Makes single connections that belong to no pool.
pub(super) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl Connector {
    pub(super) fn new(options: &Options) -> Result<Self> {
        let tls = match options.config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(tls(options.root_certificates.as_deref())?),
        };
        Ok(Self { config: options.config.clone(), tls })
    }

    /// Connects. What the server says without being asked goes to `heard`, until the connection
    /// ends.
    pub(super) async fn connect(
        &self,
        heard: impl Fn(AsyncMessage) + Send + 'static,
    ) -> std::result::Result<Client, tokio_postgres::Error> {
        match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(listen(connection, heard));
                Ok(client)
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                tokio::spawn(listen(connection, heard));
                Ok(client)
            }
        }
    }
}

async fn listen<S, T>(mut connection: Connection<S, T>, heard: impl Fn(AsyncMessage))
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        heard(message);
    }
}

/// What each connection is told first. The server ends by itself what its client no longer waits
/// for, so that a host which was cut off holds no locks for long.
fn settings(options: &Options) -> String {
    let limit = options.verb_timeout.as_millis().max(1);
    format!(
        "SET statement_timeout = {limit}; SET idle_in_transaction_session_timeout = {limit}; SET synchronous_commit = on; SET jit = off; \
         SET default_transaction_isolation = 'read committed'; SET client_min_messages = 'warning'; SET search_path = public"
    )
}

/// TLS that trusts the authorities of a file, or the system's.
fn tls(file: Option<&Path>) -> Result<MakeRustlsConnect> {
    let provider = rustls::crypto::ring::default_provider();
    let Some(file) = file else {
        // One is there already when something else of this process speaks TLS.
        let _ = provider.install_default();
        let roots = MakeRustlsConnect::with_native_certs();
        let (tls, _) = roots.map_err(|_| {
            unusable(
                "this system has no certificate authorities; name a file of them by sslrootcert",
            )
        })?;
        return Ok(tls);
    };
    let unusable = |why: &dyn Display| unusable(format!("{}: {why}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"there are no certificate authorities in it"));
    }
    let versions = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions();
    let config = versions
        .map_err(|error| unusable(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn unusable(why: impl Display) -> StoreError {
    StoreError::Unavailable(format!("TLS to PostgreSQL: {why}"))
}
