//! The host's own keys: files of 64 hex digits in the data directory, for its owner only, made at
//! the first start.

use crate::{clock, files, random};
use std::path::{Path, PathBuf};
use wasmill_core::Digest;
use wasmill_core::seal::{SealedAt, SealedKind, ValueKey, open};
use wasmill_store::{Micros, Store, StoreError};

/// The secret that authenticates compiled scripts: the one in this file, or the host's own, which
/// is made where there is none.
///
/// # Errors
/// A sentence naming the file.
pub(crate) fn artefact_key(file: Option<&Path>, data: &Path) -> Result<[u8; 32], String> {
    let own = data.join("host-secret");
    match (read(file.unwrap_or(&own))?, file) {
        (Some(Ok(secret)), _) => Ok(secret),
        (Some(Err(why)), None) => Err(format!(
            "{} is damaged: {why}; restore it or delete it, which makes the host compile every script again",
            own.display()
        )),
        (Some(Err(why)), Some(file)) => Err(format!(
            "the artefact key {} is damaged: {why}; copy it from another host",
            file.display()
        )),
        (None, None) => make(&own),
        // One made here would be another one on every host, and nothing would be shared.
        (None, Some(file)) => Err(format!(
            "there is no artefact key {}; make it once with 'openssl rand -hex 32' and give every host the same",
            file.display()
        )),
    }
}

/// The key that variables and resources are sealed with. A new one is made only where there is
/// nothing that it would not open.
///
/// # Errors
/// A sentence naming the file when it cannot be used, or when it is not the one that the store's
/// values were sealed with.
pub(crate) async fn value_key(file: &Path, store: &dyn Store) -> Result<ValueKey, String> {
    let sealed = any_sealed(store).await.map_err(|error| {
        format!("the stored variables and resources cannot be looked at: {error}")
    })?;
    let key = match read(file)? {
        Some(Ok(key)) => ValueKey::new(key),
        Some(Err(why)) => {
            return Err(format!("{} is damaged: {why}; restore it from a backup", file.display()));
        }
        None if sealed.is_some() => {
            return Err(format!(
                "the value key {} is missing, but there are variables or resources that were sealed with it; restore it from a \
                 backup, or name its file with --value-key-file: a new key would leave them unreadable",
                file.display()
            ));
        }
        None => ValueKey::new(make(file)?),
    };
    match sealed {
        Some(sealed) if !sealed.opens(&key) => Err(format!(
            "the value key {} is not the one that the stored variables and resources were sealed with; restore that one from a backup",
            file.display()
        )),
        _ => Ok(key),
    }
}

/// Holds the key against those of the other nodes that share the store: what one seals the others
/// have to open, also when nothing is sealed yet.
///
/// # Errors
/// A sentence naming the file when another key was there first.
pub(crate) async fn agree(file: &Path, key: &ValueKey, store: &dyn Store) -> Result<(), String> {
    // Whoever is first leads for ever, and leading again is no news: so all who have the same key
    // succeed.
    match store.lead("value-key", key.fingerprint(), clock::now(), Micros::MAX).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!(
            "the value key {} is not the one of the other hosts that use this database; copy theirs, or name its file with \
             --value-key-file",
            file.display()
        )),
        Err(error) => {
            Err(format!("the value key cannot be compared with that of other hosts: {error}"))
        }
    }
}

/// The keys of a data directory that a backup takes along, by their names there: the value key,
/// which may be kept elsewhere, and the first token. The secret that authenticates compiled scripts
/// is made anew, as they are.
///
/// # Errors
/// A sentence when the value key is not there.
pub(crate) fn present(
    data: &Path,
    value_key: &Path,
) -> Result<Vec<(&'static str, PathBuf)>, String> {
    if !value_key.is_file() {
        return Err(format!(
            "there is no value key {}; name its file with --value-key-file",
            value_key.display()
        ));
    }
    let token = data.join("admin-token");
    let token = token.is_file().then_some(("admin-token", token));
    Ok([("value-key", value_key.to_owned())].into_iter().chain(token).collect())
}

/// A sealed value of the store, to try a key on.
struct Sealed {
    workspace: wasmill_core::WorkspaceId,
    kind: SealedKind,
    path: String,
    value: Vec<u8>,
}

impl Sealed {
    fn opens(&self, key: &ValueKey) -> bool {
        open(
            key,
            &SealedAt { workspace: &self.workspace, kind: self.kind, path: &self.path },
            &self.value,
        )
        .is_ok()
    }
}

/// One sealed value, if there is any.
async fn any_sealed(store: &dyn Store) -> Result<Option<Sealed>, StoreError> {
    for workspace in store.list_workspaces().await? {
        let workspace = workspace.id;
        if let Some(listed) = store.list_variables(&workspace, "", None, 1).await?.pop()
            && let Some(found) = store.variable(&workspace, &listed.path).await?
        {
            return Ok(Some(Sealed {
                workspace,
                kind: SealedKind::Variable,
                path: found.path.into(),
                value: found.value,
            }));
        }
        if let Some(listed) = store.list_resources(&workspace, &[], "", None, 1).await?.pop()
            && let Some(found) = store.resource(&workspace, &listed.path).await?
        {
            return Ok(Some(Sealed {
                workspace,
                kind: SealedKind::Resource,
                path: found.path.into(),
                value: found.value,
            }));
        }
    }
    Ok(None)
}

/// The 32 bytes in a file; `None` when there is no file, the inner error when it holds something
/// else.
fn read(file: &Path) -> Result<Option<Result<[u8; 32], String>>, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(
            text.trim().parse::<Digest>().map(|bytes| bytes.0).map_err(|error| error.reason),
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
    }
}

/// Writes a file of 32 random bytes.
fn make(file: &Path) -> Result<[u8; 32], String> {
    let bytes = random::bytes()?;
    files::write_private(file, &Digest(bytes).to_hex())
        .map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_core::seal::{NONCE_BYTES, seal};
    use wasmill_store::memory::MemoryStore;
    use wasmill_store::{Accounts as _, PutMode, Values as _, Variable};

    #[tokio::test]
    async fn a_key_is_made_once_and_only_where_nothing_is_sealed() {
        let dir = std::env::temp_dir().join(format!("wasmill-keys-{}", std::process::id()));
        let file = dir.join("value-key");
        let (store, main) = (MemoryStore::new(), "main".parse().unwrap());
        store.create_workspace(&main, "Main", 0).await.unwrap();
        let key = value_key(&file, &store).await.unwrap();
        let at = SealedAt { workspace: &main, kind: SealedKind::Variable, path: "u/a/b" };
        let value = seal(&key, [1; NONCE_BYTES], &at, b"secret");
        let variable = Variable {
            path: "u/a/b".parse().unwrap(),
            value,
            is_secret: true,
            description: String::new(),
            changed_by: "ann".into(),
            changed: 0,
        };
        store.put_variable(&main, &variable, &PutMode::Create).await.unwrap();
        let again = value_key(&file, &store).await.unwrap();
        assert_eq!(open(&again, &at, &variable.value).unwrap(), b"secret");

        let text = std::fs::read_to_string(&file).unwrap();
        for (wrong, said) in [
            ("00".repeat(32), "is not the one"),
            ("zz".repeat(32), "damaged"),
            (String::new(), "damaged"),
        ] {
            std::fs::write(&file, wrong).unwrap();
            let error = value_key(&file, &store).await.unwrap_err();
            assert!(error.contains(said) && error.contains("value-key"), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
        let missing = value_key(&file, &store).await.unwrap_err();
        assert!(missing.contains("missing") && missing.contains("--value-key-file"), "{missing}");
        assert!(!file.exists(), "no new key is made");
        std::fs::write(&file, text).unwrap();
        assert!(value_key(&file, &store).await.is_ok());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[tokio::test]
    async fn the_first_key_is_that_of_all() {
        let (store, file) = (MemoryStore::new(), Path::new("value-key"));
        let (first, other) = (ValueKey::new([1; 32]), ValueKey::new([2; 32]));
        for _ in 0..2 {
            agree(file, &first, &store).await.unwrap();
            let error = agree(file, &other, &store).await.unwrap_err();
            assert!(
                error.contains("not the one of the other hosts")
                    && error.contains("--value-key-file"),
                "{error}"
            );
        }
    }
}
