-- Accounts, scripts, variables and resources, the queue and the run records.
--
-- Hot tables (queue, run) hold small integers only: a time-ordered key, and the ids of dictionary rows for workspace,
-- version, script, caller and tag. Arguments, results and logs are beside them, so that lists never read over them.
-- Every time is microseconds since 1970, UTC; every duration is microseconds.

CREATE TABLE workspace (
  id      INTEGER PRIMARY KEY,
  name    TEXT NOT NULL UNIQUE,      -- as in addresses
  title   TEXT NOT NULL,             -- for people
  created INTEGER NOT NULL,
  runs    INTEGER NOT NULL DEFAULT 0 -- rows in run, so that nobody has to count them
) STRICT;

CREATE TABLE user (
  id          INTEGER PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE,
  email       TEXT NOT NULL,
  super_admin INTEGER NOT NULL,
  created     INTEGER NOT NULL
) STRICT;

CREATE TABLE member (
  user      INTEGER NOT NULL REFERENCES user,
  workspace INTEGER NOT NULL REFERENCES workspace,
  role      TEXT NOT NULL,
  PRIMARY KEY (user, workspace)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
  digest    BLOB PRIMARY KEY,        -- SHA-256 of the token; the token itself is kept nowhere
  prefix    TEXT NOT NULL,
  user      INTEGER NOT NULL REFERENCES user,
  workspace INTEGER REFERENCES workspace,
  label     TEXT NOT NULL,
  scopes    TEXT,                    -- JSON array of text; NULL: all of the user's rights
  created   INTEGER NOT NULL,
  expires   INTEGER,
  last_used INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX token_user ON token (user, prefix);
CREATE INDEX token_workspace ON token (workspace) WHERE workspace IS NOT NULL;

-- Values are sealed by the host; what is in them can't be read from here.
CREATE TABLE variable (
  workspace   INTEGER NOT NULL REFERENCES workspace,
  path        TEXT NOT NULL,
  value       BLOB NOT NULL,
  is_secret   INTEGER NOT NULL,
  description TEXT NOT NULL,
  changed_by  TEXT NOT NULL,
  changed     INTEGER NOT NULL,
  PRIMARY KEY (workspace, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE resource (
  workspace     INTEGER NOT NULL REFERENCES workspace,
  path          TEXT NOT NULL,
  value         BLOB NOT NULL,
  resource_type TEXT NOT NULL,
  description   TEXT NOT NULL,
  changed_by    TEXT NOT NULL,
  changed       INTEGER NOT NULL,
  PRIMARY KEY (workspace, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE script (
  id        INTEGER PRIMARY KEY,
  workspace INTEGER NOT NULL REFERENCES workspace,
  path      TEXT NOT NULL,
  archived  INTEGER NOT NULL DEFAULT 0,
  UNIQUE (workspace, path)
) STRICT;

CREATE TABLE version (
  id           INTEGER PRIMARY KEY,
  workspace    INTEGER NOT NULL REFERENCES workspace,
  hash         BLOB NOT NULL,
  script       INTEGER NOT NULL REFERENCES script,
  deployed     INTEGER NOT NULL,     -- place in the script's order of deployment; the largest is the newest
  manifest     TEXT NOT NULL,
  module       BLOB NOT NULL,
  module_bytes INTEGER NOT NULL,
  kind         TEXT NOT NULL,
  limits       TEXT NOT NULL,        -- JSON
  schema       TEXT,
  summary      TEXT NOT NULL,
  created_by   TEXT NOT NULL,
  created      INTEGER NOT NULL,
  deleted      INTEGER NOT NULL DEFAULT 0,
  UNIQUE (workspace, hash)
) STRICT;
CREATE UNIQUE INDEX version_order ON version (script, deployed);
CREATE INDEX version_module ON version (module) WHERE deleted = 0;

-- Who starts jobs: the name shown and the digest of the token that was used; an empty one when there was none.
CREATE TABLE caller (
  id    INTEGER PRIMARY KEY,
  name  TEXT NOT NULL,
  token BLOB NOT NULL,
  UNIQUE (name, token)
) STRICT;

-- Tags and labels of jobs.
CREATE TABLE word (
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

-- Jobs whose id does not give them their key: ids that are not of this host's form, claim another time than that of
-- their creation, or whose key another job has. Their rows in queue and run have no tail.
CREATE TABLE alias (
  uuid TEXT PRIMARY KEY,
  key  INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

CREATE TABLE queue (
  id           INTEGER PRIMARY KEY,  -- the key of the job's id
  tail         INTEGER,              -- the random bits of the job's id; NULL: see alias
  workspace    INTEGER NOT NULL,
  script       INTEGER NOT NULL,
  version      INTEGER NOT NULL,
  caller       INTEGER NOT NULL,
  trigger      INTEGER NOT NULL,
  created      INTEGER NOT NULL,
  run_at       INTEGER NOT NULL,
  timeout      INTEGER,
  max_attempts INTEGER NOT NULL,
  tag          INTEGER NOT NULL,     -- word
  priority     INTEGER NOT NULL,
  label        INTEGER,              -- word
  parent       TEXT,                 -- a job's id, as in alias
  root         TEXT,
  attempt      INTEGER NOT NULL DEFAULT 0,
  worker       INTEGER,              -- NULL: waiting
  started      INTEGER,
  marked       INTEGER NOT NULL DEFAULT 0 -- 1: running, but cancelled
) STRICT;
CREATE INDEX queue_due ON queue (tag, priority, run_at) WHERE worker IS NULL;
CREATE INDEX queue_running ON queue (workspace) WHERE worker IS NOT NULL;
CREATE INDEX queue_marked ON queue (worker) WHERE marked = 1;
CREATE INDEX queue_workspace ON queue (workspace);
CREATE INDEX queue_script ON queue (script);
CREATE INDEX queue_parent ON queue (parent) WHERE parent IS NOT NULL;

CREATE TABLE queue_args (
  id   INTEGER PRIMARY KEY,          -- as in queue, and later in run: a large text is written once
  args BLOB NOT NULL
) STRICT;

-- Who wanted a job cancelled.
CREATE TABLE cancel (
  id     INTEGER PRIMARY KEY,        -- as in queue, and later in run
  name   TEXT NOT NULL,
  reason TEXT,
  at     INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
  workspace INTEGER NOT NULL REFERENCES workspace,
  digest    BLOB NOT NULL,
  body      BLOB NOT NULL,
  job       TEXT NOT NULL,
  expires   INTEGER NOT NULL,
  PRIMARY KEY (workspace, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_expires ON idempotency (expires, digest);

CREATE TABLE worker (
  id          INTEGER PRIMARY KEY,
  lease_until INTEGER NOT NULL
) STRICT;

CREATE TABLE run (
  id           INTEGER PRIMARY KEY,
  tail         INTEGER,
  workspace    INTEGER NOT NULL,
  script       INTEGER NOT NULL,
  version      INTEGER NOT NULL,
  caller       INTEGER NOT NULL,
  trigger      INTEGER NOT NULL,
  created      INTEGER NOT NULL,
  run_at       INTEGER,              -- NULL: as created
  timeout      INTEGER,
  max_attempts INTEGER NOT NULL,
  tag          INTEGER NOT NULL,
  priority     INTEGER NOT NULL,
  label        INTEGER,
  parent       TEXT,
  root         TEXT,
  attempt      INTEGER NOT NULL,
  started      INTEGER NOT NULL,
  status       INTEGER NOT NULL,     -- 0: success
  duration     INTEGER NOT NULL,
  memory       INTEGER NOT NULL,
  deleted      INTEGER NOT NULL      -- 1: arguments, result and log were erased or never kept, on purpose
) STRICT;
CREATE INDEX run_workspace ON run (workspace);
CREATE INDEX run_script ON run (script);
CREATE INDEX run_workspace_failed ON run (workspace) WHERE status <> 0;
CREATE INDEX run_script_failed ON run (script) WHERE status <> 0;
CREATE INDEX run_parent ON run (parent) WHERE parent IS NOT NULL;

-- No row: the run is marked as deleted, or the recorder was overloaded and kept the fact of the run only.
CREATE TABLE run_body (
  id     INTEGER PRIMARY KEY,
  args   BLOB,                       -- NULL: the job was queued, see queue_args
  result BLOB NOT NULL,
  log    BLOB                        -- NULL: empty
) STRICT;

-- Written to when earlier commits that were not synced must become durable and nothing else is to be written.
CREATE TABLE barrier (
  id INTEGER PRIMARY KEY CHECK (id = 0),
  n  INTEGER NOT NULL
) STRICT;
INSERT INTO barrier VALUES (0, 0);
