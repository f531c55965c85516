-- Jobs: what was asked for (job), and where each of them is: waiting, running or finished.
--
-- Tables that many write to hold integers where they can: a time-ordered key, and the ids of the rows for workspace, version,
-- script, caller and tag. Every time is microseconds since 1970, UTC; every duration is microseconds.

-- Who starts jobs: the name shown and the digest of the token that was used; an empty one when there was none.
CREATE TABLE caller (
  id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name  bytea NOT NULL,
  token bytea NOT NULL,
  UNIQUE (name, token)
);

-- Tags and labels of jobs.
CREATE TABLE word (
  id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  text bytea NOT NULL UNIQUE
);

-- A job has its row here from the beginning to the end, and only here no key can be given twice. Changed only when a job is
-- tried again at another time, or erased. Partitions are days by the time in the key; what fits none is in job_rest.
CREATE TABLE job (
  id                bigint NOT NULL PRIMARY KEY, -- the key of the job's id
  tail              bigint,                      -- the random bits of the job's id; NULL: see alias
  workspace         bigint NOT NULL,
  script            bigint NOT NULL,
  version           bigint NOT NULL,
  caller            bigint NOT NULL,
  tag               bigint NOT NULL,             -- word
  created           bigint NOT NULL,
  run_at            bigint NOT NULL,
  max_attempts      bigint NOT NULL,
  label             bigint,                      -- word
  timeout           bigint,
  concurrency_key   bigint,
  concurrency_limit bigint,
  erase_after       bigint,                      -- erased this long after the end
  priority          smallint NOT NULL,
  trigger           smallint NOT NULL,
  when_read         boolean NOT NULL,            -- erased once somebody has read the result
  awaited           boolean NOT NULL,
  parent            uuid,
  root              uuid,
  retry             text,                        -- JSON
  args              bytea NOT NULL               -- empty once erased
) PARTITION BY RANGE (id);
CREATE INDEX job_parent ON job (parent, id) WHERE parent IS NOT NULL;
CREATE TABLE job_rest PARTITION OF job DEFAULT;

-- Jobs whose id does not give them their key: ids that are not of this program's form, claim another time than that of
-- their creation, or whose key another job has. They have no tail.
CREATE TABLE alias (
  uuid uuid PRIMARY KEY,
  key  bigint NOT NULL UNIQUE
);

-- Rows live here for a moment only, so that what is left of them has to be cleared away all the time.
CREATE TABLE waiting (
  id                bigint NOT NULL,
  workspace         bigint NOT NULL,
  script            bigint NOT NULL,
  tag               bigint NOT NULL,
  run_at            bigint NOT NULL,
  max_attempts      bigint NOT NULL,
  tail              bigint,
  concurrency_key   bigint,
  concurrency_limit bigint,
  erase_after       bigint,
  rank              integer NOT NULL,            -- the priority, negated
  attempt           integer NOT NULL,            -- starts so far
  failures          integer NOT NULL,            -- those of them that ended with an error
  held              boolean NOT NULL,            -- as many of its key ran as may, when somebody looked last
  PRIMARY KEY (workspace, id)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
CREATE INDEX waiting_due ON waiting (workspace, tag, rank, run_at, id) WHERE NOT held;
CREATE INDEX waiting_script ON waiting (script, id);
CREATE INDEX waiting_class ON waiting (concurrency_key, held, workspace, tag, rank, concurrency_limit, run_at, id)
  WHERE concurrency_key IS NOT NULL;

CREATE TABLE running (
  id              bigint PRIMARY KEY,
  workspace       bigint NOT NULL,
  script          bigint NOT NULL,
  worker          bigint NOT NULL,
  claim           bigint NOT NULL,               -- names the call that took it
  started         bigint NOT NULL,
  max_attempts    bigint NOT NULL,
  tail            bigint,
  concurrency_key bigint,
  erase_after     bigint,
  attempt         integer NOT NULL,              -- which, counted from 1
  failures        integer NOT NULL,
  marked          boolean NOT NULL               -- cancelled
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
CREATE INDEX running_worker ON running (worker);
CREATE INDEX running_marked ON running (worker, id) WHERE marked;
CREATE INDEX running_key ON running (concurrency_key) WHERE concurrency_key IS NOT NULL;

-- How jobs ended. Partitions as those of job.
CREATE TABLE finished (
  id        bigint NOT NULL PRIMARY KEY,
  workspace bigint NOT NULL,
  script    bigint NOT NULL,
  started   bigint NOT NULL,
  duration  bigint NOT NULL,
  memory    bigint NOT NULL,
  erase_due bigint,                              -- when it is to be erased; NULL: never, or it is already
  attempt   integer NOT NULL,
  status    smallint NOT NULL,                   -- 0: success
  deleted   boolean NOT NULL,                    -- arguments, result and log were erased or never kept, on purpose
  result    bytea,                               -- NULL: see deleted, or the recorder was overloaded and kept the fact only
  log       bytea                                -- NULL: empty
) PARTITION BY RANGE (id);
CREATE INDEX finished_workspace ON finished (workspace, id);
CREATE INDEX finished_script ON finished (script, id);
CREATE INDEX finished_workspace_failed ON finished (workspace, id) WHERE status <> 0;
CREATE INDEX finished_script_failed ON finished (script, id) WHERE status <> 0;
CREATE INDEX finished_erase ON finished (erase_due, id) WHERE erase_due IS NOT NULL;
-- Jobs end about in the order of this table, so that a few pages tell whether a whole day is old enough to be dropped.
CREATE INDEX finished_completed ON finished USING brin ((started + duration)) WITH (autosummarize = on);
CREATE TABLE finished_rest PARTITION OF finished DEFAULT;

-- Attempts before the last one.
CREATE TABLE job_attempt (
  job      bigint NOT NULL,
  number   integer NOT NULL,
  lost     boolean NOT NULL,                     -- its worker went away
  started  bigint NOT NULL,
  duration bigint NOT NULL,
  memory   bigint NOT NULL,
  status   smallint NOT NULL,
  deleted  boolean NOT NULL,
  result   bytea,
  log      bytea,
  PRIMARY KEY (job, number)
);

-- Who wanted a job cancelled.
CREATE TABLE cancellation (
  job    bigint PRIMARY KEY,
  name   bytea NOT NULL,
  reason bytea,
  at     bigint NOT NULL
);

CREATE TABLE idempotency (
  workspace bigint NOT NULL,
  digest    bytea NOT NULL,
  body      bytea NOT NULL,
  job       uuid NOT NULL,
  expires   bigint NOT NULL,
  PRIMARY KEY (workspace, digest)
);
CREATE INDEX idempotency_expires ON idempotency (expires, digest, workspace);

-- How many jobs each workspace has, as changes to be summed up: adding a row keeps nobody waiting, as changing one would.
CREATE TABLE tally (
  workspace bigint NOT NULL,
  day       integer NOT NULL,                    -- of the jobs' keys
  depth     bigint NOT NULL,                     -- jobs waiting or running
  finished  bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX tally_workspace ON tally (workspace);

CREATE TABLE worker (
  id          bigint PRIMARY KEY,
  lease_until bigint,                            -- NULL: it never showed that it lives
  was_until   bigint                             -- the lease before, so that whoever extends it knows whether there was one
) WITH (fillfactor = 50);

-- Which node does a task until when.
CREATE TABLE lead (
  task        text COLLATE "C" PRIMARY KEY,
  node        bigint NOT NULL,
  until_time  bigint NOT NULL
) WITH (fillfactor = 50);

-- Grows with every change of what nodes remember, at the end of the change's own transaction.
CREATE TABLE generation (
  number bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO generation VALUES (1);
CREATE FUNCTION next_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE generation SET number = number + 1;
  RETURN NULL;
END $$;
-- Deferred, so that the row which all changes have in common is locked for the moment of the commit only.
CREATE CONSTRAINT TRIGGER next_generation AFTER INSERT OR UPDATE OR DELETE ON workspace
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION next_generation();
CREATE CONSTRAINT TRIGGER next_generation AFTER INSERT OR UPDATE OR DELETE ON "user"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION next_generation();
CREATE CONSTRAINT TRIGGER next_generation AFTER INSERT OR UPDATE OR DELETE ON member
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION next_generation();
-- Not the last use, which is noted all the time.
CREATE CONSTRAINT TRIGGER next_generation AFTER INSERT OR DELETE OR UPDATE OF prefix, "user", workspace, label, scopes, expires ON token
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION next_generation();
CREATE CONSTRAINT TRIGGER next_generation AFTER INSERT OR UPDATE OR DELETE ON script
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION next_generation();
CREATE CONSTRAINT TRIGGER next_generation AFTER INSERT OR UPDATE OR DELETE ON version
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION next_generation();
