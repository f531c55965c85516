-- Retries, concurrency limits, fair shares, retention, and what nodes need of each other.

ALTER TABLE workspace ADD COLUMN weight INTEGER NOT NULL DEFAULT 100; -- its share of the workers
ALTER TABLE workspace ADD COLUMN keep_runs INTEGER;                   -- how long; NULL: as the host says
ALTER TABLE script ADD COLUMN keep_runs INTEGER;                      -- NULL: as the workspace says

ALTER TABLE queue ADD COLUMN retry TEXT;                              -- JSON; NULL: never
ALTER TABLE queue ADD COLUMN concurrency_key INTEGER;                 -- NULL: without a limit
ALTER TABLE queue ADD COLUMN concurrency_limit INTEGER;
ALTER TABLE queue ADD COLUMN awaited INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;     -- attempts that ended with an error
ALTER TABLE queue ADD COLUMN parked INTEGER NOT NULL DEFAULT 0;       -- 1: waits for others of its key to end

ALTER TABLE run ADD COLUMN retry TEXT;
ALTER TABLE run ADD COLUMN concurrency_key INTEGER;
ALTER TABLE run ADD COLUMN concurrency_limit INTEGER;
ALTER TABLE run ADD COLUMN awaited INTEGER NOT NULL DEFAULT 0;

-- Each workspace's jobs apart, for each gets its share; without those that no worker could take.
DROP INDEX queue_due;
CREATE INDEX queue_ready ON queue (workspace, tag, priority, run_at) WHERE worker IS NULL AND parked = 0;
CREATE INDEX queue_parked ON queue (concurrency_key, tag, priority, concurrency_limit, run_at) WHERE parked = 1;
CREATE INDEX queue_slots ON queue (concurrency_key, worker) WHERE worker IS NOT NULL AND concurrency_key IS NOT NULL;

-- What became of a job's attempts before the last one.
CREATE TABLE job_attempt (
  job      INTEGER NOT NULL,         -- as in queue, and later in run
  attempt  INTEGER NOT NULL,
  lost     INTEGER NOT NULL,         -- 1: its worker went away
  started  INTEGER NOT NULL,
  status   INTEGER NOT NULL,         -- as in run, and so are the next three
  duration INTEGER NOT NULL,
  memory   INTEGER NOT NULL,
  deleted  INTEGER NOT NULL,
  result   BLOB,                     -- NULL: deleted
  log      BLOB,                     -- NULL: empty
  PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;

-- Modules that are about to be deployed, or about to go.
CREATE TABLE module (
  digest     BLOB PRIMARY KEY,
  reserved   INTEGER,                -- kept until then
  collecting INTEGER                 -- on its way out until then
) STRICT, WITHOUT ROWID;

-- Which node does a task, and until when.
CREATE TABLE lead (
  task  TEXT PRIMARY KEY,
  node  INTEGER NOT NULL,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
