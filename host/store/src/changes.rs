//! Changes as rows keep them: a number of their kind, and what that kind has of paths and hashes.
//! One form for every back end.

use crate::{Result, StoreError};
use wasmill_core::outbox::Change;
use wasmill_core::{Digest, ScriptPath, VersionHash};

/// The columns of a change.
#[derive(Debug, Default)]
pub(crate) struct Columns<'a> {
    pub(crate) kind: i64,
    pub(crate) path: Option<&'a str>,
    pub(crate) old_path: Option<&'a str>,
    pub(crate) hash: Option<[u8; 32]>,
}

pub(crate) fn to_columns(change: &Change) -> Columns<'_> {
    match change {
        Change::ScriptCreated { path, hash } => of_script(0, path, hash),
        Change::ScriptUpdated { path, hash } => of_script(1, path, hash),
        Change::ScriptArchived { path, hash } => of_script(2, path, hash),
        Change::ScriptDeleted { path, hash } => of_script(3, path, hash),
        Change::ScriptPathDeleted { path } => of_value(4, path.as_str(), None),
        Change::VariableCreated { path } => of_value(10, path, None),
        Change::VariableUpdated { old_path, new_path } => of_value(11, new_path, Some(old_path)),
        Change::VariableDeleted { path } => of_value(12, path, None),
        Change::ResourceCreated { path } => of_value(20, path, None),
        Change::ResourceUpdated { old_path, new_path } => of_value(21, new_path, Some(old_path)),
        Change::ResourceDeleted { path } => of_value(22, path, None),
        Change::Test => Columns { kind: 90, ..Columns::default() },
    }
}

fn of_script<'a>(kind: i64, path: &'a ScriptPath, hash: &VersionHash) -> Columns<'a> {
    Columns { kind, path: Some(path.as_str()), old_path: None, hash: Some(hash.0) }
}

fn of_value<'a>(kind: i64, path: &'a str, old_path: Option<&'a str>) -> Columns<'a> {
    Columns { kind, path: Some(path), old_path, hash: None }
}

/// A change from its columns.
///
/// # Errors
/// `Corrupt` when no change has such columns.
pub(crate) fn from_columns(columns: &Columns<'_>) -> Result<Change> {
    let corrupt = |column: &str, detail: &dyn std::fmt::Display| {
        StoreError::Corrupt(format!("event.{column}: {detail}"))
    };
    let path = || columns.path.map(str::to_owned).ok_or_else(|| corrupt("path", &"it is missing"));
    let old_path =
        || columns.old_path.map(str::to_owned).ok_or_else(|| corrupt("old_path", &"it is missing"));
    let script_path = || path()?.parse::<ScriptPath>().map_err(|error| corrupt("path", &error));
    let script = || -> Result<(ScriptPath, VersionHash)> {
        Ok((script_path()?, Digest(columns.hash.ok_or_else(|| corrupt("hash", &"it is missing"))?)))
    };
    Ok(match columns.kind {
        0 => script().map(|(path, hash)| Change::ScriptCreated { path, hash })?,
        1 => script().map(|(path, hash)| Change::ScriptUpdated { path, hash })?,
        2 => script().map(|(path, hash)| Change::ScriptArchived { path, hash })?,
        3 => script().map(|(path, hash)| Change::ScriptDeleted { path, hash })?,
        4 => Change::ScriptPathDeleted { path: script_path()? },
        10 => Change::VariableCreated { path: path()? },
        11 => Change::VariableUpdated { old_path: old_path()?, new_path: path()? },
        12 => Change::VariableDeleted { path: path()? },
        20 => Change::ResourceCreated { path: path()? },
        21 => Change::ResourceUpdated { old_path: old_path()?, new_path: path()? },
        22 => Change::ResourceDeleted { path: path()? },
        90 => Change::Test,
        other => return Err(corrupt("kind", &other)),
    })
}
