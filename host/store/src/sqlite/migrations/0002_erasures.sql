-- What is to become of a job's arguments, result and log once it is over. No row: they are kept.

CREATE TABLE erasure (
  id        INTEGER PRIMARY KEY,     -- as in queue, and later in run
  when_read INTEGER NOT NULL,        -- 1: erased once somebody has read the result
  after     INTEGER,                 -- erased this long after the end
  due       INTEGER                  -- when that is; NULL: never, not over yet, or erased already
) STRICT;
CREATE INDEX erasure_due ON erasure (due) WHERE due IS NOT NULL;
