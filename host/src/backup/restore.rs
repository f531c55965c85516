//! Making a data directory out of a backup.

use super::Tell;
use super::files::Entry;
use super::files::{copy, empty_directory};
use super::manifest::{KEYS, MODULES, Manifest};
use std::path::Path;
use wasmill_core::Digest;
use wasmill_store::blobs::{Blobs, path_of};
use wasmill_store::sqlite::{DatabaseFile, FILE};

/// What was restored.
pub(crate) struct Restored {
    /// The backup's manifest.
    pub(crate) manifest: Manifest,
    /// True when the database holds what can only be read with a value key that the backup does not
    /// have.
    pub(crate) needs_value_key: bool,
}

/// Restores a backup into a new or empty data directory, and its modules to their place, which is
/// asked for once the backup is known to be whole. The database comes last: without it, no host
/// takes the directory for its own.
///
/// # Errors
/// A sentence naming the file. Nothing is written before every file of the backup was checked.
pub(crate) async fn restore(
    from: &Path,
    data: &Path,
    place: impl AsyncFnOnce() -> Result<Blobs, String>,
    tell: Tell<'_>,
) -> Result<Restored, String> {
    let manifest = Manifest::check(from, tell)?;
    let database = DatabaseFile::open(from).map_err(|error| error.to_string())?;
    database.check().map_err(|error| error.to_string())?;
    let modules = database.modules().map_err(|error| error.to_string())?;
    for module in &modules {
        let path = format!("{MODULES}/{}", path_of(module));
        if manifest.files.get(&path).is_none_or(|entry| entry.sha256 != *module) {
            return Err(format!(
                "{} is missing: the database of the backup names it",
                from.join(path).display()
            ));
        }
    }
    let needs_value_key = !manifest.keys().any(|key| key == VALUE_KEY)
        && database.has_sealed().map_err(|error| error.to_string())?;
    drop(database);

    empty_directory(data, "the restored data")?;
    let blobs = place().await?;
    for (done, module) in modules.iter().enumerate() {
        tell("restoring modules", done as u64, modules.len() as u64);
        put_module(&from.join(MODULES).join(path_of(module)), *module, &blobs).await?;
    }
    for key in manifest.keys() {
        let path = format!("{KEYS}/{key}");
        take_over(from, &path, data, key, &manifest)?;
    }
    tell("restoring the database", 0, 1);
    let unfinished = format!("{FILE}.restoring");
    take_over(from, FILE, data, &unfinished, &manifest)?;
    let finished = std::fs::rename(data.join(&unfinished), data.join(FILE));
    let finished = finished
        .and_then(|()| std::fs::File::open(data))
        .and_then(|directory| directory.sync_all());
    finished
        .map_err(|error| format!("{} cannot be written: {error}", data.join(FILE).display()))?;
    tell("restoring the database", 1, 1);
    Ok(Restored { manifest, needs_value_key })
}

/// The name of the key that values are sealed with.
pub(crate) const VALUE_KEY: &str = "value-key";

async fn put_module(file: &Path, module: Digest, blobs: &Blobs) -> Result<(), String> {
    let bytes = std::fs::read(file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    // Which checks the digest once more.
    blobs.put(module, bytes.into()).await.map_err(|error| format!("{}: {error}", file.display()))
}

/// Copies a file of the backup, which must not have changed since it was checked.
fn take_over(
    from: &Path,
    path: &str,
    data: &Path,
    name: &str,
    manifest: &Manifest,
) -> Result<(), String> {
    let (source, target) = (from.join(path), data.join(name));
    let copied: Entry = copy(&source, &target).map_err(|error| {
        format!("{} cannot be copied to {}: {error}", source.display(), target.display())
    })?;
    if manifest.files.get(path) != Some(&copied) {
        return Err(format!("{} has changed while it was restored", source.display()));
    }
    Ok(())
}
