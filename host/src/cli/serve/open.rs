//! What a host stands on, opened: its folder, its store, its modules, its sandbox and its keys.

use super::args::Args;
use super::first_start::first_start;
use crate::cli::keys;
use crate::cli::stores::OpenStore;
use crate::host::{Foundation, Host};
use crate::nodes::lead::Node;
use crate::shared_artefacts::BlobArtefacts;
use crate::{clock, files};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use wasmill_sandbox::{Sandbox, SandboxConfig, SharedArtefacts};
use wasmill_store::blobs::Blobs;

/// A host that is ready to serve.
pub(super) struct Ready {
    pub(super) host: Arc<Host>,
    pub(super) store: OpenStore,
    pub(super) listener: TcpListener,
    /// The address that is listened on.
    pub(super) address: SocketAddr,
    /// The address that callers use.
    pub(super) base_url: String,
    /// Where the administrator's token is.
    pub(super) token_file: PathBuf,
    /// Whether workspace, user and token were made just now.
    pub(super) first: bool,
}

/// Opens everything. What can go wrong without a trace goes first, what others see last.
///
/// # Errors
/// A sentence: what cannot be used, and why.
pub(super) async fn open(args: &Args) -> Result<Ready, String> {
    files::allow_many_open();
    let settings = args.settings();
    let data = data_folder(&args.data)?;
    let store = OpenStore::open(args.database.as_deref(), &data).await?;
    if store.is_shared() && args.blobs.is_none() {
        return Err(NO_BLOBS.into());
    }
    let blobs = open_blobs(args.blobs.as_deref(), &data).await?;
    let compiler = std::env::current_exe()
        .map_err(|error| format!("this program's own file is not known: {error}"))?;
    let sandbox = Sandbox::new(SandboxConfig {
        limits: settings.limits,
        cache_dir: data.join("artefacts"),
        artefact_key: keys::artefact_key(args.artefact_key_file.as_deref(), &data)?,
        shared_artefacts: shared_artefacts(args, &blobs),
        compiler,
        environment: Vec::new(),
    })
    .map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(&args.listen)
        .await
        .map_err(|error| format!("{} cannot be listened on: {error}", args.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let base_url = match &args.base_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{address}"),
    };
    let node = Node { store: store.store(), shared: store.is_shared(), id: worker_id()? };
    let token_file = data.join("admin-token");
    let first = first_start(&node, &token_file).await?;
    if !node.shared {
        take_back(&node).await?;
    }
    let value_key_file = args.value_key_file.clone().unwrap_or_else(|| data.join("value-key"));
    let value_key = keys::value_key(&value_key_file, &*node.store).await?;
    if node.shared {
        keys::agree(&value_key_file, &value_key, &*node.store).await?;
    }
    let foundation = Foundation {
        node,
        blobs,
        sandbox,
        value_key,
        base_url: base_url.clone(),
        telling: args.telling(),
    };
    let host = Arc::new(Host::new(settings, foundation));
    Ok(Ready { host, store, listener, address, base_url, token_file, first })
}

fn data_folder(folder: &Path) -> Result<PathBuf, String> {
    let shown = folder.display();
    files::make_folder(folder)
        .map_err(|error| format!("the data directory {shown} cannot be made: {error}"))?;
    std::fs::canonicalize(folder)
        .map_err(|error| format!("the data directory {shown} cannot be used: {error}"))
}

fn worker_id() -> Result<wasmill_store::WorkerId, String> {
    let random =
        getrandom::u64().map_err(|error| format!("the system has no randomness: {error}"))?;
    Ok(random as i64 & i64::MAX)
}

/// Nobody else has this directory: what runs according to it was cut off.
async fn take_back(node: &Node) -> Result<(), String> {
    let lost = node.store.rescue(clock::now(), true).await.map_err(|error| error.to_string())?;
    if lost > 0 {
        tracing::warn!(jobs = lost, "jobs that were running when the host ended are queued again");
    }
    Ok(())
}

/// The place of modules, once it is known to work.
async fn open_blobs(place: Option<&str>, data: &Path) -> Result<Blobs, String> {
    let blobs = match place {
        None => Blobs::local(&data.join("modules")),
        Some(place) => Blobs::open(place),
    };
    let blobs = blobs.map_err(|error| error.to_string())?;
    blobs.check().await.map_err(|error| error.to_string())?;
    Ok(blobs)
}

/// The store of compiled scripts that several hosts share: the one of their modules. `None` unless
/// the hosts share both the modules and the key of the compiled scripts.
fn shared_artefacts(args: &Args, blobs: &Blobs) -> Option<Arc<dyn SharedArtefacts>> {
    let (_, _) = (args.blobs.as_ref()?, args.artefact_key_file.as_ref()?);
    Some(Arc::new(BlobArtefacts(blobs.clone())))
}

/// Where several hosts share a database, they must share the modules too.
const NO_BLOBS: &str = "hosts that share a database must share their modules too: name a bucket by --blobs s3://bucket/prefix, or a \
    directory that all of them have by --blobs /path";
