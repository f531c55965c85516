-- Accounts, scripts, variables and resources, webhooks and what they are told.
--
-- Names that are checked before they come here are text in the order of their bytes, as the program orders them. What
-- people write as they like is bytea (UTF-8: see it with convert_from(column, 'UTF8')), because text can't hold U+0000.
-- Every time is microseconds since 1970, UTC; every duration is microseconds.

CREATE TABLE workspace (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name    text COLLATE "C" NOT NULL UNIQUE,  -- as in addresses
  title   bytea NOT NULL,                    -- for people
  created bigint NOT NULL,
  weight  integer NOT NULL DEFAULT 100,      -- its share of the workers
  keep_runs bigint                           -- how long finished jobs are kept; NULL: as the host says
);

CREATE TABLE "user" (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name        text COLLATE "C" NOT NULL UNIQUE,
  email       text NOT NULL,
  super_admin boolean NOT NULL,
  created     bigint NOT NULL
);

CREATE TABLE member (
  "user"    bigint NOT NULL REFERENCES "user",
  workspace bigint NOT NULL REFERENCES workspace,
  role      text NOT NULL,
  PRIMARY KEY ("user", workspace)
);
CREATE INDEX member_workspace ON member (workspace);

CREATE TABLE token (
  digest    bytea PRIMARY KEY,               -- SHA-256 of the token; the token itself is kept nowhere
  prefix    text COLLATE "C" NOT NULL,
  "user"    bigint NOT NULL REFERENCES "user",
  workspace bigint REFERENCES workspace,
  label     bytea NOT NULL,
  scopes    text[],                          -- NULL: all of the user's rights
  created   bigint NOT NULL,
  expires   bigint,
  last_used bigint
);
CREATE INDEX token_user ON token ("user", prefix);
CREATE INDEX token_workspace ON token (workspace) WHERE workspace IS NOT NULL;

-- Values are sealed by the host; what is in them can't be read from here.
CREATE TABLE variable (
  workspace   bigint NOT NULL REFERENCES workspace,
  path        text COLLATE "C" NOT NULL,
  value       bytea NOT NULL,
  is_secret   boolean NOT NULL,
  description bytea NOT NULL,
  changed_by  text NOT NULL,
  changed     bigint NOT NULL,
  PRIMARY KEY (workspace, path)
);

CREATE TABLE resource (
  workspace     bigint NOT NULL REFERENCES workspace,
  path          text COLLATE "C" NOT NULL,
  value         bytea NOT NULL,
  resource_type text COLLATE "C" NOT NULL,
  description   bytea NOT NULL,
  changed_by    text NOT NULL,
  changed       bigint NOT NULL,
  PRIMARY KEY (workspace, path)
);

CREATE TABLE script (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  workspace bigint NOT NULL REFERENCES workspace,
  path      text COLLATE "C" NOT NULL,
  archived  boolean NOT NULL DEFAULT false,
  keep_runs bigint,                          -- NULL: as the workspace says
  UNIQUE (workspace, path)
);

-- Modules that are about to be needed, and until when, and those that are being collected, and until when.
CREATE TABLE module (
  digest     bytea PRIMARY KEY,
  reserved   bigint,
  collecting bigint
);

CREATE TABLE version (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  workspace    bigint NOT NULL REFERENCES workspace,
  hash         bytea NOT NULL,
  script       bigint NOT NULL REFERENCES script,
  deployed     bigint NOT NULL,              -- place in the script's order of deployment; the largest is the newest
  manifest     text NOT NULL,                -- JSON, and so is what follows: text without U+0000
  module       bytea NOT NULL,
  module_bytes bigint NOT NULL,
  kind         text NOT NULL,
  limits       text NOT NULL,
  schema       text,
  summary      bytea NOT NULL,
  created_by   text NOT NULL,
  created      bigint NOT NULL,
  deleted      boolean NOT NULL DEFAULT false,
  UNIQUE (workspace, hash),
  UNIQUE (script, deployed)
);
CREATE INDEX version_module ON version (module) WHERE NOT deleted;

-- Whoever adds an event, or changes which are waiting, holds the row of the workspace's webhook until the commit: so the
-- events of a workspace are numbered in the order of their commits.
CREATE TABLE webhook (
  workspace  bigint PRIMARY KEY REFERENCES workspace ON DELETE CASCADE,
  url        text NOT NULL,
  secret     bytea NOT NULL,                 -- sealed by the host
  changed_by text NOT NULL,
  changed    bigint NOT NULL,
  due        bigint                          -- when the oldest event that waits is told next; NULL: none waits
);
CREATE INDEX webhook_due ON webhook (due, workspace) WHERE due IS NOT NULL;

CREATE TABLE event (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never used twice, for receivers know events by it
  workspace bigint NOT NULL REFERENCES workspace ON DELETE CASCADE,
  kind      bigint NOT NULL,
  path      text,                            -- the new one, when there are two
  old_path  text,
  hash      bytea,
  at        bigint NOT NULL,
  state     bigint NOT NULL,                 -- 0: waits, 1: delivered, 2: given up
  settled   bigint,                          -- when it became the latter two
  attempts  bigint NOT NULL DEFAULT 0
);
CREATE INDEX event_waiting ON event (workspace, id) WHERE state = 0;
CREATE INDEX event_workspace ON event (workspace, id);
CREATE INDEX event_settled ON event (settled, id) WHERE settled IS NOT NULL;

CREATE TABLE attempt (
  event    bigint NOT NULL REFERENCES event ON DELETE CASCADE,
  number   bigint NOT NULL,                  -- from 1, in order
  at       bigint NOT NULL,
  duration bigint NOT NULL,
  status   bigint,
  error    bytea,
  answer   bytea NOT NULL,
  PRIMARY KEY (event, number)
);
