//! What a version is made of: a small canonical document whose SHA-256 is the `<hash>` of
//! `/h/<hash>`.

use crate::id::{Digest, ScriptPath, VersionHash};
use crate::limits::DeclaredLimits;
use crate::queue::RetryPolicy;
use crate::queue::concurrency::TEMPLATE_CHARS;
use crate::runnable::Runnable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a run whose synchronous caller no longer waits for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WithoutCaller {
    /// It is cancelled.
    #[default]
    Cancel,
    /// It goes on as a job.
    Continue,
}

impl std::str::FromStr for WithoutCaller {
    type Err = crate::InvalidName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "cancel" => Ok(WithoutCaller::Cancel),
            "continue" => Ok(WithoutCaller::Continue),
            other => Err(crate::InvalidName {
                what: "setting",
                reason: format!("{other:?} is neither cancel nor continue"),
            }),
        }
    }
}

/// What a script's author decided about its runs, beside their limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptSettings {
    /// Arguments, result and log are never written for synchronous runs, and of queued ones erased
    /// once the result was read.
    #[serde(default, skip_serializing_if = "is_false")]
    pub delete_after_use: bool,
    /// Seconds after a run's end at which its arguments, result and log are erased, read or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after_secs: Option<u32>,
    /// When the caller hangs up.
    #[serde(default, skip_serializing_if = "is_cancel")]
    pub on_hang_up: WithoutCaller,
    /// When the caller's longest wait is over.
    #[serde(default, skip_serializing_if = "is_cancel")]
    pub on_sync_timeout: WithoutCaller,
    /// When a queued run that failed is started again. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Runs at the same time at most; further ones wait in the queue, synchronous ones too. Absent:
    /// any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_limit: Option<u32>,
    /// What the limit counts together, for instance `$args[customer]`. Absent: all runs of the
    /// script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<String>,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

fn is_cancel(choice: &WithoutCaller) -> bool {
    *choice == WithoutCaller::Cancel
}

impl ScriptSettings {
    /// The same with one form for what means the same: erasing after 0 seconds is deleting after
    /// use.
    ///
    /// # Errors
    /// A sentence for the author when settings exclude each other.
    pub fn checked(mut self) -> Result<Self, String> {
        if self.delete_after_secs == Some(0) {
            self.delete_after_use = true;
            self.delete_after_secs = None;
        }
        self.concurrent_limit = self.concurrent_limit.filter(|limit| *limit > 0);
        self.retry =
            self.retry.map(RetryPolicy::checked).transpose()?.filter(|retry| retry.retries() > 0);
        if self.concurrency_key.as_ref().is_some_and(String::is_empty) {
            self.concurrency_key = None;
        }
        if self.delete_after_use && self.goes_on() {
            return Err("A script whose runs are deleted after use cannot let them go on as jobs: a job is written to disk. \
                Leave delete_after_use away, or on_hang_up and on_sync_timeout"
                .into());
        }
        if self.delete_after_use && self.concurrent_limit.is_some() {
            return Err("A script whose runs are deleted after use cannot have a concurrent_limit: its synchronous runs would \
                wait in the queue, and so on disk. Leave one of the two away"
                .into());
        }
        match &self.concurrency_key {
            Some(_) if self.concurrent_limit.is_none() => {
                Err("concurrency_key is set, but no concurrent_limit".into())
            }
            Some(key) if key.chars().count() > TEMPLATE_CHARS => {
                Err(format!("concurrency_key has more than {TEMPLATE_CHARS} characters"))
            }
            _ => Ok(self),
        }
    }

    /// True when a synchronous run may outlast its caller's wait.
    pub fn goes_on(&self) -> bool {
        self.on_hang_up == WithoutCaller::Continue
            || self.on_sync_timeout == WithoutCaller::Continue
    }

    /// Seconds after which payloads are erased, as lists of scripts show it: 0 for deleting after
    /// use.
    pub fn erased_after_secs(&self) -> Option<u32> {
        if self.delete_after_use { Some(0) } else { self.delete_after_secs }
    }
}

/// Everything that decides how a version runs. Two uploads with equal manifests are the same
/// version.
///
/// The canonical text is this struct as JSON with its fields in this order, absent ones left out
/// and no white space: adding an optional field later does not change the hash of what has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of the manifest itself.
    pub manifest: u32,
    /// The script's path: the same module at two paths makes two versions, for rights go by path.
    pub path: ScriptPath,
    /// What it runs. Its fields stand in the manifest itself, without a name around them.
    #[serde(flatten)]
    pub runnable: Runnable,
    /// What the author declared to narrow the host's limits.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: DeclaredLimits,
    /// What else the author decided.
    #[serde(default, skip_serializing_if = "is_default")]
    pub settings: ScriptSettings,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Manifest {
    /// The manifest of a runnable at a path.
    pub fn new(path: ScriptPath, runnable: Runnable, limits: DeclaredLimits) -> Self {
        Self { manifest: 1, path, runnable, limits, settings: ScriptSettings::default() }
    }

    /// The same with settings.
    pub fn with_settings(self, settings: ScriptSettings) -> Self {
        Self { settings, ..self }
    }

    /// The settings in a stored manifest's text; the default of one that was emptied because its
    /// version was deleted.
    ///
    /// # Errors
    /// When it has settings that this program does not know: a newer one wrote it.
    pub fn settings_of(text: &str) -> Result<ScriptSettings, serde_json::Error> {
        #[derive(Deserialize)]
        struct Only {
            #[serde(default)]
            settings: ScriptSettings,
        }
        match text {
            "" => Ok(ScriptSettings::default()),
            text => serde_json::from_str::<Only>(text).map(|only| only.settings),
        }
    }

    /// The canonical text, and the version's hash: SHA-256 of it.
    ///
    /// # Errors
    /// Never for a manifest built here; the signature leaves it to the caller because serialisation
    /// is fallible by type.
    pub fn canonical(&self) -> Result<(String, VersionHash), serde_json::Error> {
        let text = serde_json::to_string(self)?;
        let hash = Digest::of(text.as_bytes());
        Ok((text, hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runnable::Kind;

    #[test]
    fn hash_is_stable_and_covers_everything() {
        let manifest = |path: &str, module: &[u8], kind, limits| {
            let runnable = Runnable::Module { module: Digest::of(module), kind };
            Manifest::new(path.parse().unwrap(), runnable, limits).canonical().unwrap()
        };
        let none = DeclaredLimits::default();
        let (text, hash) = manifest("u/admin/hello", b"abc", Kind::Typed, none);
        assert_eq!(
            text,
            r#"{"manifest":1,"path":"u/admin/hello","module":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","kind":"typed"}"#
        );
        assert_eq!(manifest("u/admin/hello", b"abc", Kind::Typed, none).1, hash);
        assert_ne!(manifest("u/admin/hello2", b"abc", Kind::Typed, none).1, hash);
        assert_ne!(manifest("u/admin/hello", b"abd", Kind::Typed, none).1, hash);
        assert_ne!(manifest("u/admin/hello", b"abc", Kind::Dynamic, none).1, hash);
        let limited = DeclaredLimits { timeout_s: Some(3), memory_mib: None };
        assert_ne!(manifest("u/admin/hello", b"abc", Kind::Typed, limited).1, hash);
        let (text, _) = manifest("u/admin/hello", b"abc", Kind::Typed, limited);
        assert!(text.contains(r#","kind":"typed","limits":{"timeout_s":3"#), "{text}");
        let read: Manifest = serde_json::from_str(&text).unwrap();
        assert_eq!(read.limits, limited);
        let abc = Runnable::Module { module: Digest::of(b"abc"), kind: Kind::Typed };
        assert_eq!(read.runnable, abc);
    }

    #[test]
    fn settings_are_part_of_the_hash_and_absent_by_default() {
        let plain = Manifest::new(
            "u/a/b".parse().unwrap(),
            Runnable::Module { module: Digest::of(b"x"), kind: Kind::Typed },
            DeclaredLimits::default(),
        );
        let (text, hash) = plain.clone().canonical().unwrap();
        assert!(!text.contains("settings"), "{text}");
        assert_eq!(
            plain.clone().with_settings(ScriptSettings::default()).canonical().unwrap(),
            (text.clone(), hash)
        );
        assert_eq!(Manifest::settings_of(&text).unwrap(), ScriptSettings::default());
        assert_eq!(Manifest::settings_of("").unwrap(), ScriptSettings::default());
        let goes_on = ScriptSettings {
            on_hang_up: WithoutCaller::Continue,
            delete_after_secs: Some(5),
            ..ScriptSettings::default()
        };
        let (text, other) = plain.with_settings(goes_on.clone()).canonical().unwrap();
        assert!(
            text.ends_with(r#","settings":{"delete_after_secs":5,"on_hang_up":"continue"}}"#),
            "{text}"
        );
        assert_ne!(other, hash);
        assert_eq!(Manifest::settings_of(&text).unwrap(), goes_on);
        assert!(Manifest::settings_of(r#"{"settings":{"later":true}}"#).is_err());
    }

    #[test]
    fn settings_that_fit_together() {
        let none = ScriptSettings::default;
        let used = ScriptSettings { delete_after_use: true, ..none() };
        assert_eq!(
            ScriptSettings { delete_after_secs: Some(0), ..none() }.checked(),
            Ok(used.clone())
        );
        assert_eq!(used.erased_after_secs(), Some(0));
        assert_eq!(
            ScriptSettings { delete_after_secs: Some(9), ..none() }
                .checked()
                .unwrap()
                .erased_after_secs(),
            Some(9)
        );
        assert_eq!(none().erased_after_secs(), None);
        let hang_up = ScriptSettings { on_hang_up: WithoutCaller::Continue, ..none() };
        for on in [hang_up, ScriptSettings { on_sync_timeout: WithoutCaller::Continue, ..none() }] {
            assert!(on.goes_on() && on.clone().checked().is_ok());
            assert!(ScriptSettings { delete_after_use: true, ..on }.checked().is_err());
        }
    }

    #[test]
    fn settings_of_the_queue() {
        let limited = ScriptSettings { concurrent_limit: Some(2), ..ScriptSettings::default() };
        assert_eq!(limited.clone().checked(), Ok(limited.clone()));
        let nothing = ScriptSettings {
            concurrent_limit: Some(0),
            concurrency_key: Some(String::new()),
            retry: Some(RetryPolicy::default()),
            ..limited.clone()
        };
        assert_eq!(nothing.checked(), Ok(ScriptSettings::default()));
        for (settings, word) in [
            (ScriptSettings { delete_after_use: true, ..limited.clone() }, "concurrent_limit"),
            (
                ScriptSettings {
                    concurrent_limit: None,
                    concurrency_key: Some("k".into()),
                    ..limited.clone()
                },
                "no concurrent_limit",
            ),
            (ScriptSettings { concurrency_key: Some("k".repeat(501)), ..limited }, "500"),
        ] {
            let why = settings.checked().unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }
}
