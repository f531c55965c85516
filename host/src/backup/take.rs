//! Making a backup, of a host that runs or of one that does not.

use super::Tell;
use super::files::{copy, empty_directory, measure};
use super::manifest::{KEYS, MODULES, Manifest};
use crate::clock;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wasmill_core::Digest;
use wasmill_core::wire::timestamp;
use wasmill_store::blobs::{Blobs, path_of};
use wasmill_store::sqlite::{DatabaseFile, FILE};

/// How often the database is copied anew because a module was deleted between the copy of the
/// database and its own.
const ROUNDS: u32 = 10;
/// Between two looks at how far the copy of the database has come.
const LOOK: Duration = Duration::from_millis(200);

/// What a backup is made of.
pub(crate) struct Source<'a> {
    /// The database of the data directory.
    pub(crate) database: &'a DatabaseFile,
    /// Where its modules are.
    pub(crate) blobs: &'a Blobs,
    /// Keys to take along, by the names that they have in a data directory.
    pub(crate) keys: Vec<(&'static str, PathBuf)>,
}

/// Makes a backup in a directory, which is made when it is missing and must be empty. Without a
/// manifest, which comes last, it is not one.
///
/// # Errors
/// A sentence. What was written until then is left there.
pub(crate) async fn take(
    source: &Source<'_>,
    to: &Path,
    tell: Tell<'_>,
) -> Result<Manifest, String> {
    let database = source.database;
    empty_directory(to, "the backup")?;
    let begun = timestamp(clock::now());
    let kept = Blobs::local(&to.join(MODULES)).map_err(|error| error.to_string())?;
    let mut modules = Modules { from: source.blobs, to: &kept, copied: BTreeSet::new() };
    // Most of them, so that little is left to do after the database was copied. One that is missing
    // was deleted just now.
    modules.copy(&database.modules().map_err(|error| error.to_string())?, tell).await?;
    let copied = consistent_copy(database, to, &mut modules, tell).await?;

    // What was deleted while the backup was made.
    let needed = copied.modules().map_err(|error| error.to_string())?;
    for module in modules.copied.difference(&needed) {
        kept.delete(*module).await.map_err(|error| error.to_string())?;
    }
    let mut manifest = Manifest::new(begun, copied.schema());
    let mut paths: Vec<String> =
        needed.iter().map(|module| format!("{MODULES}/{}", path_of(module))).collect();
    paths.push(FILE.into());
    if !source.keys.is_empty() {
        empty_directory(&to.join(KEYS), "the backup")?;
    }
    for (name, key) in &source.keys {
        let path = format!("{KEYS}/{name}");
        copy(key, &to.join(&path))
            .map_err(|error| format!("the key {} cannot be copied: {error}", key.display()))?;
        paths.push(path);
    }
    for (done, path) in paths.iter().enumerate() {
        tell("measuring files", done as u64, paths.len() as u64);
        let file = to.join(path);
        let entry = measure(&file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        manifest.files.insert(path.clone(), entry);
    }
    manifest.write(to)?;
    Ok(manifest)
}

/// Copies the database so that every module which the copy names has been copied too.
async fn consistent_copy(
    database: &DatabaseFile,
    to: &Path,
    modules: &mut Modules<'_>,
    tell: Tell<'_>,
) -> Result<DatabaseFile, String> {
    let file = to.join(FILE);
    for _ in 0..ROUNDS {
        copy_database(database, &file, tell)?;
        let copied = DatabaseFile::open(to).map_err(|error| error.to_string())?;
        copied.check().map_err(|error| error.to_string())?;
        let needed = copied.modules().map_err(|error| error.to_string())?;
        let missing = modules.copy(&needed, tell).await?;
        let Some(lost) = modules.still_needed(&missing, database).await? else {
            if missing.is_empty() {
                return Ok(copied);
            }
            // They were deleted after the copy was made; the next copy does not name them.
            drop(copied);
            std::fs::remove_file(&file)
                .map_err(|error| format!("{} cannot be removed: {error}", file.display()))?;
            continue;
        };
        return Err(format!(
            "the module {lost} is missing where modules are kept; deploy it again, or delete the versions that have it"
        ));
    }
    Err("versions are deleted faster than the backup can follow; try again when fewer are".into())
}

fn copy_database(database: &DatabaseFile, file: &Path, tell: Tell<'_>) -> Result<(), String> {
    let size = database.bytes().map_err(|error| error.to_string())?;
    let (ending, ended) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            // Until the sender is dropped.
            while ended.recv_timeout(LOOK) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                tell(
                    "copying the database",
                    std::fs::metadata(file).map_or(0, |found| found.len()).min(size),
                    size,
                );
            }
        });
        let copied = database
            .copy_to(file)
            .map_err(|error| format!("the database could not be copied: {error}"));
        drop(ending);
        copied
    })
}

/// The modules on their way.
struct Modules<'a> {
    from: &'a Blobs,
    to: &'a Blobs,
    copied: BTreeSet<Digest>,
}

impl Modules<'_> {
    /// Copies those that are not there yet, and returns those that are missing.
    async fn copy(
        &mut self,
        wanted: &BTreeSet<Digest>,
        tell: Tell<'_>,
    ) -> Result<BTreeSet<Digest>, String> {
        let mut missing = BTreeSet::new();
        let ahead: Vec<Digest> = wanted.difference(&self.copied).copied().collect();
        for (done, module) in ahead.iter().enumerate() {
            tell("copying modules", done as u64, ahead.len() as u64);
            if !self.copy_one(*module).await? {
                missing.insert(*module);
            }
        }
        Ok(missing)
    }

    async fn copy_one(&mut self, module: Digest) -> Result<bool, String> {
        let Some(bytes) = self.from.get(module).await.map_err(|error| error.to_string())? else {
            return Ok(false);
        };
        self.to.put(module, bytes).await.map_err(|error| error.to_string())?;
        self.copied.insert(module);
        Ok(true)
    }

    /// One of these that the database still names, although it is not there. One that was deployed
    /// again meanwhile is there: a module is put before the version that names it.
    async fn still_needed(
        &mut self,
        missing: &BTreeSet<Digest>,
        database: &DatabaseFile,
    ) -> Result<Option<Digest>, String> {
        for module in missing {
            let is_needed = || database.needs(module).map_err(|error| error.to_string());
            if is_needed()? && !self.copy_one(*module).await? && is_needed()? {
                return Ok(Some(*module));
            }
        }
        Ok(None)
    }
}
