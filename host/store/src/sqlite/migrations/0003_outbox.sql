-- Where each workspace's changes are told, what is to be told, and how that went.

CREATE TABLE webhook (
  workspace  INTEGER PRIMARY KEY REFERENCES workspace ON DELETE CASCADE,
  url        TEXT NOT NULL,
  secret     BLOB NOT NULL,          -- sealed by the host
  changed_by TEXT NOT NULL,
  changed    INTEGER NOT NULL,
  due        INTEGER                 -- when the oldest event that waits is told next; NULL: none waits
) STRICT;
CREATE INDEX webhook_due ON webhook (due) WHERE due IS NOT NULL;

CREATE TABLE event (
  id        INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, for receivers know events by it
  workspace INTEGER NOT NULL REFERENCES workspace ON DELETE CASCADE,
  kind      INTEGER NOT NULL,
  path      TEXT,                    -- the new one, when there are two
  old_path  TEXT,
  hash      BLOB,
  at        INTEGER NOT NULL,
  state     INTEGER NOT NULL,        -- 0: waits, 1: delivered, 2: given up
  settled   INTEGER,                 -- when it became the latter two
  attempts  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX event_waiting ON event (workspace) WHERE state = 0;
CREATE INDEX event_workspace ON event (workspace);
CREATE INDEX event_settled ON event (settled) WHERE settled IS NOT NULL;

CREATE TABLE attempt (
  event    INTEGER NOT NULL REFERENCES event ON DELETE CASCADE,
  number   INTEGER NOT NULL,         -- from 1, in order
  at       INTEGER NOT NULL,
  duration INTEGER NOT NULL,
  status   INTEGER,
  error    TEXT,
  answer   TEXT NOT NULL,
  PRIMARY KEY (event, number)
) STRICT, WITHOUT ROWID;
