//! Looking up the dictionaries of workspaces, versions, callers and words.
//!
//! They are looked up by statements of their own, which see committed rows only: what is remembered
//! of them is there for good.

use super::db::{Db, Values, digest, get, optional_digest, optional_text, parsed, text};
use super::fault::{Fault, TxResult, corrupt};
use super::names::{Caller, Missing, Refs, Rows, Shown, VersionRow};
use super::shared::Shared;
use crate::common::{codec, refusals};
use crate::{NewJob, Result, StoreError};
use std::collections::HashSet;
use tokio_postgres::types::ToSql;
use wasmill_core::{Digest, WorkspaceId};

/// How often what is missing is loaded, should the maps be emptied meanwhile.
const TRIES: usize = 3;

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
                    is_missing.then(|| refusals::no_workspace(&job.workspace))
                }
                Some(workspace) => {
                    let is_missing = missing.versions.contains(&(workspace, job.version))
                        && self.names.version(workspace, job.version).is_none();
                    is_missing.then(|| refusals::no_version_of(job))
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
        show: impl Fn(&Shown) -> TxResult<T>,
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
                    return show(&maps.shown).map_err(Fault::into_error);
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
        value: &(dyn ToSql + Sync),
    ) -> TxResult<()> {
        for row in
            db.rows(&format!("SELECT id, name FROM workspace WHERE {which}"), &[value]).await?
        {
            self.names.maps().learn_workspace(get(&row, 0)?, parsed(&row, 1)?);
        }
        Ok(())
    }

    async fn learn_versions(&self, db: &Db, which: &str, values: Values<'_>) -> TxResult<()> {
        let sql = format!(
            "SELECT v.id, v.workspace, v.script, v.hash, s.path, v.kind FROM version v JOIN script s ON s.id = v.script WHERE {which}"
        );
        for row in db.rows(&sql, values).await? {
            let version = VersionRow {
                hash: Digest(digest(&row, 3)?),
                path: parsed(&row, 4)?,
                kind: codec::module_kind(get(&row, 5)?)?,
            };
            self.names.maps().learn_version(get(&row, 1)?, get(&row, 2)?, get(&row, 0)?, version);
        }
        Ok(())
    }

    async fn learn_callers(&self, db: &Db, which: &str, values: Values<'_>) -> TxResult<()> {
        for row in db
            .rows(&format!("SELECT id, name, nullif(token, '') FROM caller WHERE {which}"), values)
            .await?
        {
            let caller = Caller { name: text(&row, 1)?.into(), token: optional_digest(&row, 2)? };
            self.names.maps().learn_caller(get(&row, 0)?, caller);
        }
        Ok(())
    }

    async fn learn_words(&self, db: &Db, which: &str, values: Values<'_>) -> TxResult<()> {
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
