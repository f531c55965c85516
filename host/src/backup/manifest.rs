//! The list of what belongs to a backup, and the list's own digest. They are written last: a
//! directory without them is no whole backup.

use super::files::{Entry, files_below, measure, write_new};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path};
use wasmill_core::Digest;

/// The file's name.
const NAME: &str = "manifest.json";
/// The name of the file with its digest, in the form that `sha256sum --check` reads.
const DIGEST: &str = "manifest.sha256";
/// Where a backup's modules are.
pub(crate) const MODULES: &str = "modules";
/// Where its keys are, if it has any.
pub(crate) const KEYS: &str = "keys";

/// Names this layout of a backup.
const FORMAT: &str = "wasmill-backup-1";
/// Bytes of the largest manifest that is read: that of about 500,000 modules.
const LARGEST: u64 = 100 << 20;

/// `manifest.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// [`FORMAT`]
    pub(crate) format: String,
    /// The version of the program that made it.
    pub(crate) wasmill: String,
    /// When it was begun: what was acknowledged before is in it.
    pub(crate) begun: String,
    /// The version of the database's schema.
    pub(crate) schema: u32,
    /// Every other file, by its path below the manifest's directory.
    pub(crate) files: BTreeMap<String, Entry>,
}

impl Manifest {
    /// One without files.
    pub(crate) fn new(begun: String, schema: u32) -> Self {
        Self {
            format: FORMAT.into(),
            wasmill: env!("CARGO_PKG_VERSION").into(),
            begun,
            schema,
            files: BTreeMap::new(),
        }
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().map(|entry| entry.bytes).sum()
    }

    /// How many of the files are modules.
    pub(crate) fn modules(&self) -> usize {
        self.files.keys().filter(|path| path.starts_with(MODULES)).count()
    }

    /// The names of the keys in it.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.files.keys().filter_map(|path| path.strip_prefix(KEYS)?.strip_prefix('/'))
    }

    /// Writes it into a directory, whole or not at all.
    ///
    /// # Errors
    /// A sentence naming the file.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())? + "\n";
        let digest = digest_line(text.as_bytes());
        for (name, text) in [(NAME, text), (DIGEST, digest)] {
            let (scratch, file) = (directory.join(format!("{name}.new")), directory.join(name));
            let written = write_new(&scratch, text.as_bytes())
                .and_then(|()| std::fs::rename(&scratch, &file));
            written.map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
        }
        let synced = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| format!("{} cannot be written: {error}", directory.display()))
    }

    /// Reads the manifest of a backup and holds every file against it.
    ///
    /// # Errors
    /// A sentence naming the first file that is missing, altered, or not part of the backup.
    pub(crate) fn check(directory: &Path, tell: super::Tell<'_>) -> Result<Self, String> {
        let manifest = Self::read(directory)?;
        for path in files_below(directory)? {
            if path != NAME && path != DIGEST && !manifest.files.contains_key(&path) {
                return Err(format!(
                    "{} is not part of the backup: its {NAME} does not list it",
                    directory.join(path).display()
                ));
            }
        }
        let (mut checked, all) = (0, manifest.bytes());
        for (path, entry) in &manifest.files {
            tell("checking", checked, all);
            let file = directory.join(path);
            let altered = |why: String| {
                Err(format!("{} is not as it was when the backup was made: {why}", file.display()))
            };
            match measure(&file) {
                Ok(found) if found == *entry => checked += entry.bytes,
                Ok(found) if found.bytes != entry.bytes => {
                    return altered(format!(
                        "it has {} bytes instead of {}",
                        found.bytes, entry.bytes
                    ));
                }
                Ok(found) => {
                    return altered(format!(
                        "its SHA-256 is {} instead of {}",
                        found.sha256, entry.sha256
                    ));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(format!("{} is missing: the backup is not whole", file.display()));
                }
                Err(error) => return Err(format!("{} cannot be read: {error}", file.display())),
            }
        }
        tell("checking", all, all);
        Ok(manifest)
    }

    fn read(directory: &Path) -> Result<Self, String> {
        let file = directory.join(NAME);
        let size = match std::fs::metadata(&file) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(format!(
                    "there is no {NAME} in {}: it is no backup, or one that was broken off; make another",
                    directory.display()
                ));
            }
            Err(error) => return Err(format!("{} cannot be read: {error}", file.display())),
        };
        if size > LARGEST {
            return Err(format!("{} has {size} bytes: it is no manifest", file.display()));
        }
        let text = std::fs::read(&file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let said = std::fs::read(directory.join(DIGEST));
        let said = said.map_err(|error| {
            format!(
                "{} cannot be read: {error}; the backup is not whole",
                directory.join(DIGEST).display()
            )
        })?;
        if said != digest_line(&text).into_bytes() {
            return Err(format!(
                "{} or {DIGEST} beside it is not as it was when the backup was made",
                file.display()
            ));
        }
        let damaged = |why: &dyn std::fmt::Display| {
            format!("{} is not as it was when the backup was made: {why}", file.display())
        };
        let format: Format = serde_json::from_slice(&text).map_err(|error| damaged(&error))?;
        if format.format != FORMAT {
            return Err(format!(
                "{} is of the format {:?}; this program knows {FORMAT:?}",
                file.display(),
                format.format
            ));
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| damaged(&error))?;
        match manifest.files.keys().find(|path| !is_plain(path)) {
            Some(path) => Err(damaged(&format!("the path {path:?}"))),
            None => Ok(manifest),
        }
    }
}

fn digest_line(manifest: &[u8]) -> String {
    format!("{}  {NAME}\n", Digest::of(manifest))
}

/// What is the same in manifests of every format.
#[derive(Deserialize)]
struct Format {
    format: String,
}

/// True for a path that stays below its directory.
fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (tempfile::TempDir, Manifest) {
        let dir = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::new("2030-01-31T09:00:00.000000Z".into(), 3);
        for (path, text) in [
            ("wasmill.db", "database"),
            ("modules/sha256/ab/abc", "module"),
            ("keys/value-key", "key"),
        ] {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            manifest.files.insert(path.into(), measure(&file).unwrap());
        }
        manifest.write(dir.path()).unwrap();
        (dir, manifest)
    }

    fn check(dir: &Path) -> Result<Manifest, String> {
        Manifest::check(dir, &|_, _, _| {})
    }

    #[test]
    fn a_whole_backup_is_whole() {
        let (dir, manifest) = sample();
        assert_eq!(check(dir.path()).unwrap(), manifest);
        assert_eq!(
            (manifest.bytes(), manifest.modules(), manifest.keys().collect::<Vec<_>>()),
            (17, 1, vec!["value-key"])
        );
    }

    #[test]
    fn every_alteration_is_named() {
        type Alter = fn(&Path);
        let cases: [(Alter, &str, &str); 9] = [
            (
                |dir| std::fs::write(dir.join("wasmill.db"), "Database").unwrap(),
                "wasmill.db",
                "SHA-256",
            ),
            (
                |dir| std::fs::write(dir.join("keys/value-key"), "keys").unwrap(),
                "keys/value-key",
                "4 bytes instead of 3",
            ),
            (
                |dir| std::fs::remove_file(dir.join("modules/sha256/ab/abc")).unwrap(),
                "sha256/ab/abc",
                "missing",
            ),
            (
                |dir| std::fs::write(dir.join("modules/more"), "").unwrap(),
                "modules/more",
                "not part",
            ),
            (|dir| std::fs::remove_file(dir.join(NAME)).unwrap(), NAME, "broken off"),
            (|dir| std::fs::write(dir.join(NAME), "{").unwrap(), NAME, "not as it was"),
            (|dir| std::fs::remove_file(dir.join(DIGEST)).unwrap(), DIGEST, "not whole"),
            (|dir| std::fs::write(dir.join(DIGEST), "x").unwrap(), DIGEST, "not as it was"),
            (
                |dir| {
                    let text = r#"{"format":"wasmill-backup-9"}"#;
                    std::fs::write(dir.join(NAME), text).unwrap();
                    std::fs::write(dir.join(DIGEST), digest_line(text.as_bytes())).unwrap();
                },
                NAME,
                "wasmill-backup-9",
            ),
        ];
        for (alter, file, why) in cases {
            let (dir, _) = sample();
            alter(dir.path());
            let said = check(dir.path()).unwrap_err();
            assert!(said.contains(file) && said.contains(why), "{file}, {why}: {said}");
        }
    }

    #[test]
    fn paths_stay_within() {
        for path in ["../x", "/etc/passwd", "a/../../x", "", "."] {
            let (dir, mut manifest) = sample();
            manifest.files.insert(path.into(), Entry { bytes: 0, sha256: Digest::of(b"") });
            manifest.write(dir.path()).unwrap();
            assert!(check(dir.path()).unwrap_err().contains("the path"), "{path:?}");
        }
    }
}
