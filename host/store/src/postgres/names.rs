//! The dictionaries of workspaces, versions, callers and words: which row has which name, in both
//! directions.
//!
//! Their rows are added and never changed, so what was looked up once is kept in memory. It is
//! looked up by statements of their own, which see committed rows only: what is remembered here is
//! there for good.

use super::Shared;
use super::db::{Db, digest, get, optional_text, parsed, text};
use super::fault::{Outcome, corrupt};
use crate::{NewJob, Result, StoreError};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmill_core::{Digest, Kind, ScriptPath, VersionHash, WorkspaceId};

/// Entries that each map may hold before it is emptied.
const MAX_NAMES: usize = 65_536;

/// How often what is missing is loaded, should the maps be emptied meanwhile.
const TRIES: usize = 3;

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
struct Maps {
    workspaces: HashMap<WorkspaceId, i64>,
    versions: HashMap<(i64, VersionHash), (i64, i64)>,
    callers: HashMap<Caller, i64>,
    words: HashMap<Arc<str>, i64>,
    shown: Shown,
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
struct Missing {
    workspaces: HashSet<WorkspaceId>,
    versions: HashSet<(i64, VersionHash)>,
    callers: HashSet<Caller>,
    words: HashSet<Arc<str>>,
}

impl Names {
    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row of a workspace, when it is known.
    fn workspace(&self, id: &WorkspaceId) -> Option<i64> {
        self.maps().workspaces.get(id).copied()
    }

    /// The row of a version, when it is known.
    fn version(&self, workspace: i64, hash: VersionHash) -> Option<i64> {
        self.maps().versions.get(&(workspace, hash)).map(|(row, _)| *row)
    }
}

impl Maps {
    /// A job's rows; `None` when some are missing, which are noted.
    fn refs(&self, job: &NewJob, missing: &mut Missing) -> Option<Refs> {
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

    fn learn_version(&mut self, workspace: i64, script: i64, row: i64, version: VersionRow) {
        make_room(&mut self.versions);
        make_room(&mut self.shown.versions);
        self.versions.insert((workspace, version.hash), (row, script));
        self.shown.versions.insert(row, version);
    }

    fn learn_workspace(&mut self, row: i64, id: WorkspaceId) {
        make_room(&mut self.workspaces);
        make_room(&mut self.shown.workspaces);
        self.workspaces.insert(id.clone(), row);
        self.shown.workspaces.insert(row, id);
    }

    fn learn_caller(&mut self, row: i64, caller: Caller) {
        make_room(&mut self.callers);
        make_room(&mut self.shown.callers);
        self.callers.insert(caller.clone(), row);
        self.shown.callers.insert(row, caller);
    }

    fn learn_word(&mut self, row: i64, word: Arc<str>) {
        make_room(&mut self.words);
        make_room(&mut self.shown.words);
        self.words.insert(Arc::clone(&word), row);
        self.shown.words.insert(row, word);
    }
}

impl Missing {
    fn is_empty(&self) -> bool {
        self.workspaces.is_empty()
            && self.versions.is_empty()
            && self.callers.is_empty()
            && self.words.is_empty()
    }
}

impl Rows {
    fn is_empty(&self) -> bool {
        self.workspaces.is_empty()
            && self.versions.is_empty()
            && self.callers.is_empty()
            && self.words.is_empty()
    }
}

impl Shared {
    /// The rows of each job's names, where new callers and words are added; `NotFound` for those
    /// whose workspace or version is missing.
    pub(super) async fn refs(&self, jobs: &[&NewJob]) -> Result<Vec<Result<Refs>>> {
        let mut missing = Missing::default();
        // Twice as often, for a version is looked for only when its workspace is known.
        for _ in 0..2 * TRIES {
            let (mut refs, mut found) = (Vec::with_capacity(jobs.len()), Missing::default());
            {
                let maps = self.names.maps();
                refs.extend(jobs.iter().map(|job| maps.refs(job, &mut found)));
            }
            // What was looked for and is still missing does not exist.
            let nowhere = |job: &NewJob| match self.names.workspace(&job.workspace) {
                None => {
                    let is_missing = missing.workspaces.contains(&job.workspace);
                    is_missing.then(|| StoreError::NotFound(format!("workspace {}", job.workspace)))
                }
                Some(workspace) => {
                    let is_missing = missing.versions.contains(&(workspace, job.version))
                        && self.names.version(workspace, job.version).is_none();
                    is_missing.then(|| StoreError::NotFound(format!("version {}", job.version)))
                }
            };
            let judged: Option<Vec<Result<Refs>>> = refs
                .into_iter()
                .zip(jobs)
                .map(|(refs, job)| refs.map(Ok).or_else(|| nowhere(job).map(Err)))
                .collect();
            if let Some(judged) = judged {
                return Ok(judged);
            }
            self.learn(&found).await?;
            missing = found;
        }
        Err(StoreError::Unavailable(
            "the names of jobs change faster than they can be looked up".into(),
        ))
    }

    /// The row of a workspace.
    pub(super) async fn workspace_row(&self, id: &WorkspaceId) -> Result<Option<i64>> {
        if let Some(row) = self.names.workspace(id) {
            return Ok(Some(row));
        }
        self.learn(&Missing { workspaces: HashSet::from([id.clone()]), ..Missing::default() })
            .await?;
        Ok(self.names.workspace(id))
    }

    /// The row of a tag or a label that was used before.
    pub(super) async fn word_row(&self, word: &str) -> Result<Option<i64>> {
        if let Some(row) = self.names.maps().words.get(word).copied() {
            return Ok(Some(row));
        }
        self.statement(move |db| async move {
            let row = db.row("SELECT id FROM word WHERE text = $1", &[&word.as_bytes()]).await?;
            let row = row.map(|row| get(&row, 0)).transpose()?;
            if let Some(row) = row {
                self.names.maps().learn_word(row, word.into());
            }
            Ok(row)
        })
        .await
    }

    /// Does something with the names of rows, which are looked up first.
    pub(super) async fn shown<T>(
        &self,
        rows: &Rows,
        show: impl Fn(&Shown) -> Outcome<T>,
    ) -> Result<T> {
        for _ in 0..TRIES {
            let mut missing = Rows::default();
            {
                let maps = self.names.maps();
                missing.workspaces.extend(
                    rows.workspaces.iter().filter(|row| !maps.shown.workspaces.contains_key(row)),
                );
                missing.versions.extend(
                    rows.versions.iter().filter(|row| !maps.shown.versions.contains_key(row)),
                );
                missing.callers.extend(
                    rows.callers.iter().filter(|row| !maps.shown.callers.contains_key(row)),
                );
                missing
                    .words
                    .extend(rows.words.iter().filter(|row| !maps.shown.words.contains_key(row)));
                if missing.is_empty() {
                    return show(&maps.shown).map_err(super::fault::Fault::into_error);
                }
            }
            self.learn_rows(&missing).await?;
        }
        Err(corrupt(
            "job",
            "it refers to a workspace, a version, a caller or a tag that is not there",
        )
        .into_error())
    }

    async fn learn(&self, missing: &Missing) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        self.statement(move |db| async move {
            if !missing.workspaces.is_empty() {
                let ids: Vec<&str> = missing.workspaces.iter().map(WorkspaceId::as_str).collect();
                self.learn_workspaces(&db, "name = ANY ($1)", &ids).await?;
            }
            if !missing.versions.is_empty() {
                let workspaces: Vec<i64> = missing.versions.iter().map(|(workspace, _)| *workspace).collect();
                let hashes: Vec<&[u8]> = missing.versions.iter().map(|(_, hash)| hash.0.as_slice()).collect();
                let which = "(v.workspace, v.hash) IN (SELECT * FROM unnest($1::bigint[], $2::bytea[]))";
                self.learn_versions(&db, which, &[&workspaces, &hashes]).await?;
            }
            if !missing.callers.is_empty() {
                // In one order everywhere, so that two nodes which add the same ones don't wait for
                // each other in a circle.
                let mut callers: Vec<(&[u8], &[u8])> =
                    missing.callers.iter().map(|caller| (caller.name.as_bytes(), token_bytes(caller))).collect();
                callers.sort_unstable();
                let (names, tokens): (Vec<&[u8]>, Vec<&[u8]>) = callers.into_iter().unzip();
                let new = "INSERT INTO caller (name, token) SELECT n.name, n.token FROM unnest($1::bytea[], $2::bytea[]) n (name, token) \
                    WHERE NOT EXISTS (SELECT FROM caller c WHERE c.name = n.name AND c.token = n.token) ON CONFLICT DO NOTHING";
                db.execute(new, &[&names, &tokens]).await?;
                let which = "(name, token) IN (SELECT * FROM unnest($1::bytea[], $2::bytea[]))";
                self.learn_callers(&db, which, &[&names, &tokens]).await?;
            }
            if !missing.words.is_empty() {
                let mut words: Vec<&[u8]> = missing.words.iter().map(|word| word.as_bytes()).collect();
                words.sort_unstable();
                let new = "INSERT INTO word (text) SELECT n.text FROM unnest($1::bytea[]) n (text) \
                    WHERE NOT EXISTS (SELECT FROM word w WHERE w.text = n.text) ON CONFLICT DO NOTHING";
                db.execute(new, &[&words]).await?;
                self.learn_words(&db, "text = ANY ($1)", &[&words]).await?;
            }
            Ok(())
        })
        .await
    }

    async fn learn_rows(&self, missing: &Rows) -> Result<()> {
        let list = |rows: &HashSet<i64>| rows.iter().copied().collect::<Vec<i64>>();
        self.statement(move |db| async move {
            if !missing.workspaces.is_empty() {
                self.learn_workspaces(&db, "id = ANY ($1)", &list(&missing.workspaces)).await?;
            }
            if !missing.versions.is_empty() {
                self.learn_versions(&db, "v.id = ANY ($1)", &[&list(&missing.versions)]).await?;
            }
            if !missing.callers.is_empty() {
                self.learn_callers(&db, "id = ANY ($1)", &[&list(&missing.callers)]).await?;
            }
            if !missing.words.is_empty() {
                self.learn_words(&db, "id = ANY ($1)", &[&list(&missing.words)]).await?;
            }
            Ok(())
        })
        .await
    }

    async fn learn_workspaces(
        &self,
        db: &Db,
        which: &str,
        value: &(dyn tokio_postgres::types::ToSql + Sync),
    ) -> Outcome<()> {
        for row in
            db.rows(&format!("SELECT id, name FROM workspace WHERE {which}"), &[value]).await?
        {
            self.names.maps().learn_workspace(get(&row, 0)?, parsed(&row, 1)?);
        }
        Ok(())
    }

    async fn learn_versions(
        &self,
        db: &Db,
        which: &str,
        values: super::db::Values<'_>,
    ) -> Outcome<()> {
        let sql = format!(
            "SELECT v.id, v.workspace, v.script, v.hash, s.path, v.kind FROM version v JOIN script s ON s.id = v.script WHERE {which}"
        );
        for row in db.rows(&sql, values).await? {
            let version = VersionRow {
                hash: Digest(digest(&row, 3)?),
                path: parsed(&row, 4)?,
                kind: parsed(&row, 5)?,
            };
            self.names.maps().learn_version(get(&row, 1)?, get(&row, 2)?, get(&row, 0)?, version);
        }
        Ok(())
    }

    async fn learn_callers(
        &self,
        db: &Db,
        which: &str,
        values: super::db::Values<'_>,
    ) -> Outcome<()> {
        for row in db
            .rows(&format!("SELECT id, name, nullif(token, '') FROM caller WHERE {which}"), values)
            .await?
        {
            let caller =
                Caller { name: text(&row, 1)?.into(), token: super::db::optional_digest(&row, 2)? };
            self.names.maps().learn_caller(get(&row, 0)?, caller);
        }
        Ok(())
    }

    async fn learn_words(
        &self,
        db: &Db,
        which: &str,
        values: super::db::Values<'_>,
    ) -> Outcome<()> {
        for row in db.rows(&format!("SELECT id, text FROM word WHERE {which}"), values).await? {
            if let Some(word) = optional_text(&row, 1)? {
                self.names.maps().learn_word(get(&row, 0)?, word.into());
            }
        }
        Ok(())
    }
}

fn token_bytes(caller: &Caller) -> &[u8] {
    caller.token.as_ref().map_or(&[], |token| token)
}

fn make_room<K, V>(map: &mut HashMap<K, V>) {
    if map.len() >= MAX_NAMES {
        map.clear();
    }
}
