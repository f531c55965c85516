//! What the verbs tell the outbox, and changes as rows keep them: a number of their kind, and what
//! that kind has of paths and hashes. One form for every back end.

use super::codec::corrupt;
use crate::{NewVersion, Result, StoreError};
use wasmill_core::outbox::Change;
use wasmill_core::{Digest, ScriptPath, ValuePath, VersionHash};

/// What is told of a deployment. `is_first`: nothing was ever deployed at the path; `before`: what
/// the path ran until then.
pub(crate) fn of_deployment(
    version: &NewVersion,
    is_first: bool,
    before: Option<VersionHash>,
) -> Option<Change> {
    let (path, hash) = (version.path.clone(), version.hash);
    if is_first {
        Some(Change::ScriptCreated { path, hash })
    } else if before != Some(hash) {
        Some(Change::ScriptUpdated { path, hash })
    } else {
        None
    }
}

/// What is told of a path that is archived, which ran `newest` until then. Nothing when it ran
/// none.
pub(crate) fn of_archival(path: &ScriptPath, newest: Option<VersionHash>) -> Option<Change> {
    newest.map(|hash| Change::ScriptArchived { path: path.clone(), hash })
}

/// What is told of a version that is deleted. `is_last`: no other version of the path is left.
pub(crate) fn of_deletion(path: ScriptPath, hash: VersionHash, is_last: bool) -> Vec<Change> {
    let mut changes = vec![Change::ScriptDeleted { path: path.clone(), hash }];
    if is_last {
        changes.push(Change::ScriptPathDeleted { path });
    }
    changes
}

/// The two sorts of named values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueSort {
    Variable,
    Resource,
}

impl ValueSort {
    /// What one is called.
    fn word(self) -> &'static str {
        match self {
            ValueSort::Variable => "variable",
            ValueSort::Resource => "resource",
        }
    }

    /// There is none at the path.
    pub(crate) fn missing(self, path: &ValuePath) -> StoreError {
        StoreError::NotFound(format!("{} {path}", self.word()))
    }

    /// There is another one at the path.
    pub(crate) fn taken(self, path: &ValuePath) -> StoreError {
        StoreError::Conflict(format!("{} {path} exists already", self.word()))
    }

    /// What is told of a value that was put: `old_path` is where it was before, if it was.
    pub(crate) fn put(self, old_path: Option<ValuePath>, path: &ValuePath) -> Change {
        let (new_path, old_path) = (path.to_string(), old_path.map(String::from));
        match (self, old_path) {
            (ValueSort::Variable, None) => Change::VariableCreated { path: new_path },
            (ValueSort::Variable, Some(old_path)) => Change::VariableUpdated { old_path, new_path },
            (ValueSort::Resource, None) => Change::ResourceCreated { path: new_path },
            (ValueSort::Resource, Some(old_path)) => Change::ResourceUpdated { old_path, new_path },
        }
    }

    /// What is told of a value that was deleted.
    pub(crate) fn deleted(self, path: &ValuePath) -> Change {
        let path = path.to_string();
        match self {
            ValueSort::Variable => Change::VariableDeleted { path },
            ValueSort::Resource => Change::ResourceDeleted { path },
        }
    }
}

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
    let text = |text: Option<&str>, column: &str| -> Result<String> {
        text.map(str::to_owned).ok_or_else(|| corrupt(column, "it is missing"))
    };
    let path = || text(columns.path, "event.path");
    let old_path = || text(columns.old_path, "event.old_path");
    let script_path =
        || path()?.parse::<ScriptPath>().map_err(|error| corrupt("event.path", error));
    let script = || -> Result<(ScriptPath, VersionHash)> {
        let hash = columns.hash.ok_or_else(|| corrupt("event.hash", "it is missing"))?;
        Ok((script_path()?, Digest(hash)))
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
        other => return Err(corrupt("event.kind", other)),
    })
}
