//! The dictionaries of workspaces, versions, callers and words, as far as they are known: which row
//! has which name, in both directions.
//!
//! Their rows are added and never changed, so what was looked up once is kept in memory.

use crate::NewJob;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmill_core::{Kind, ScriptPath, VersionHash, WorkspaceId};

/// Entries that each map may hold before it is emptied.
const MAX_NAMES: usize = 65_536;

/// The rows that a job's names stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refs {
    pub(super) workspace: i64,
    pub(super) version: i64,
    pub(super) script: i64,
    pub(super) caller: i64,
    pub(super) tag: i64,
    pub(super) label: Option<i64>,
}

/// A version as jobs show it.
#[derive(Debug, Clone)]
pub(super) struct VersionRow {
    pub(super) hash: VersionHash,
    pub(super) path: ScriptPath,
    pub(super) kind: Kind,
}

/// Who starts jobs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Caller {
    pub(super) name: Arc<str>,
    pub(super) token: Option<[u8; 32]>,
}

/// What a store remembers.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Maps>);

#[derive(Debug, Default)]
pub(super) struct Maps {
    pub(super) workspaces: HashMap<WorkspaceId, i64>,
    pub(super) versions: HashMap<(i64, VersionHash), (i64, i64)>,
    pub(super) callers: HashMap<Caller, i64>,
    pub(super) words: HashMap<Arc<str>, i64>,
    pub(super) shown: Shown,
}

/// Names by their rows.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) workspaces: HashMap<i64, WorkspaceId>,
    pub(super) versions: HashMap<i64, VersionRow>,
    pub(super) callers: HashMap<i64, Caller>,
    pub(super) words: HashMap<i64, Arc<str>>,
}

/// Rows of each dictionary.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) workspaces: HashSet<i64>,
    pub(super) versions: HashSet<i64>,
    pub(super) callers: HashSet<i64>,
    pub(super) words: HashSet<i64>,
}

/// Names that are not known yet.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) workspaces: HashSet<WorkspaceId>,
    pub(super) versions: HashSet<(i64, VersionHash)>,
    pub(super) callers: HashSet<Caller>,
    pub(super) words: HashSet<Arc<str>>,
}

impl Names {
    pub(super) fn maps(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row of a workspace, when it is known.
    pub(super) fn workspace(&self, id: &WorkspaceId) -> Option<i64> {
        self.maps().workspaces.get(id).copied()
    }

    /// The row of a version, when it is known.
    pub(super) fn version(&self, workspace: i64, hash: VersionHash) -> Option<i64> {
        self.maps().versions.get(&(workspace, hash)).map(|(row, _)| *row)
    }
}

impl Maps {
    /// A job's rows; `None` when some are missing, which are noted.
    pub(super) fn refs(&self, job: &NewJob, missing: &mut Missing) -> Option<Refs> {
        let caller = Caller { name: job.created_by.as_str().into(), token: job.token };
        let word = |text: &str, missing: &mut Missing| {
            let row = self.words.get(text).copied();
            if row.is_none() {
                missing.words.insert(text.into());
            }
            row
        };
        let caller_row = self.callers.get(&caller).copied();
        if caller_row.is_none() {
            missing.callers.insert(caller);
        }
        let tag = word(&job.tag, missing);
        let label = job.label.as_deref().map(|label| word(label, missing));
        let Some(workspace) = self.workspaces.get(&job.workspace).copied() else {
            missing.workspaces.insert(job.workspace.clone());
            return None;
        };
        let Some((version, script)) = self.versions.get(&(workspace, job.version)).copied() else {
            missing.versions.insert((workspace, job.version));
            return None;
        };
        let label = match label {
            Some(None) => return None,
            Some(row) => row,
            None => None,
        };
        Some(Refs { workspace, version, script, caller: caller_row?, tag: tag?, label })
    }

    pub(super) fn learn_version(
        &mut self,
        workspace: i64,
        script: i64,
        row: i64,
        version: VersionRow,
    ) {
        make_room(&mut self.versions);
        make_room(&mut self.shown.versions);
        self.versions.insert((workspace, version.hash), (row, script));
        self.shown.versions.insert(row, version);
    }

    pub(super) fn learn_workspace(&mut self, row: i64, id: WorkspaceId) {
        make_room(&mut self.workspaces);
        make_room(&mut self.shown.workspaces);
        self.workspaces.insert(id.clone(), row);
        self.shown.workspaces.insert(row, id);
    }

    pub(super) fn learn_caller(&mut self, row: i64, caller: Caller) {
        make_room(&mut self.callers);
        make_room(&mut self.shown.callers);
        self.callers.insert(caller.clone(), row);
        self.shown.callers.insert(row, caller);
    }

    pub(super) fn learn_word(&mut self, row: i64, word: Arc<str>) {
        make_room(&mut self.words);
        make_room(&mut self.shown.words);
        self.words.insert(Arc::clone(&word), row);
        self.shown.words.insert(row, word);
    }
}

impl Missing {
    pub(super) fn is_empty(&self) -> bool {
        self.workspaces.is_empty()
            && self.versions.is_empty()
            && self.callers.is_empty()
            && self.words.is_empty()
    }
}

impl Rows {
    pub(super) fn is_empty(&self) -> bool {
        self.workspaces.is_empty()
            && self.versions.is_empty()
            && self.callers.is_empty()
            && self.words.is_empty()
    }
}

fn make_room<K, V>(map: &mut HashMap<K, V>) {
    if map.len() >= MAX_NAMES {
        map.clear();
    }
}
