//! The client's configuration file, which `serve` writes so that on one machine no flags are
//! needed.

use crate::files;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `config.json`: where the host is and where its token is kept. The token itself is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// `http://127.0.0.1:8000`
    pub(crate) url: String,
    /// `main`
    pub(crate) workspace: String,
    /// The file that holds the token.
    pub(crate) token_file: PathBuf,
}

/// `$WASMILL_CONFIG`, else `wasmill/config.json` under `$XDG_CONFIG_HOME` or `~/.config`. `None`
/// without a home.
pub(crate) fn file() -> Option<PathBuf> {
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("WASMILL_CONFIG").or_else(|| {
        let base =
            set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
        Some(base.join("wasmill").join("config.json"))
    })
}

/// Reads the file; `None` when there is none.
///
/// # Errors
/// A sentence naming the file when it is there but cannot be read.
pub(crate) fn read() -> Result<Option<Config>, String> {
    let Some(path) = file() else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| {
            format!("{} cannot be read: {error}; delete it or start the host again", path.display())
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

/// Writes the file.
///
/// # Errors
/// What the disk says.
pub(crate) fn write(config: &Config) -> std::io::Result<()> {
    let Some(path) = file() else { return Ok(()) };
    let text = serde_json::to_string_pretty(config)?;
    files::write_private(&path, &text)
}
