//! Changes as rows keep them: a number of their kind, and what that kind has of paths and hashes.

use crate::sqlite::corrupt;
use crate::sqlite::fault::Fault;
use rusqlite::Row;
use wasmill_core::outbox::Change;
use wasmill_core::{Digest, ScriptPath, VersionHash};

/// The columns of a change.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    pub(super) kind: i64,
    pub(super) path: Option<&'a str>,
    pub(super) old_path: Option<&'a str>,
    pub(super) hash: Option<[u8; 32]>,
}

pub(super) fn to_columns(change: &Change) -> Columns<'_> {
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

/// A change from its four columns, which begin at one.
pub(super) fn from_row(row: &Row<'_>, first: usize) -> Result<Change, Fault> {
    let kind: i64 = row.get(first)?;
    let text = |column: usize, name: &str| {
        let text: Option<String> = row.get(first + column)?;
        text.ok_or_else(|| corrupt(name, "it is missing"))
    };
    let script = || -> Result<(ScriptPath, VersionHash), Fault> {
        let path = text(1, "event.path")?.parse().map_err(|error| corrupt("event.path", error))?;
        let hash: Option<[u8; 32]> = row.get(first + 3)?;
        Ok((path, Digest(hash.ok_or_else(|| corrupt("event.hash", "it is missing"))?)))
    };
    let path = || text(1, "event.path");
    let paths = || -> Result<(String, String), Fault> { Ok((text(2, "event.old_path")?, path()?)) };
    Ok(match kind {
        0 => script().map(|(path, hash)| Change::ScriptCreated { path, hash })?,
        1 => script().map(|(path, hash)| Change::ScriptUpdated { path, hash })?,
        2 => script().map(|(path, hash)| Change::ScriptArchived { path, hash })?,
        3 => script().map(|(path, hash)| Change::ScriptDeleted { path, hash })?,
        4 => Change::ScriptPathDeleted { path: path()?.parse().map_err(|error| corrupt("event.path", error))? },
        10 => Change::VariableCreated { path: path()? },
        11 => paths().map(|(old_path, new_path)| Change::VariableUpdated { old_path, new_path })?,
        12 => Change::VariableDeleted { path: path()? },
        20 => Change::ResourceCreated { path: path()? },
        21 => paths().map(|(old_path, new_path)| Change::ResourceUpdated { old_path, new_path })?,
        22 => Change::ResourceDeleted { path: path()? },
        90 => Change::Test,
        other => return Err(corrupt("event.kind", other)),
    })
}
