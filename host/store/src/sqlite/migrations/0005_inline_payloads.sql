-- Small payloads are kept in the run's own row: one row to write where there were two. Larger ones are in run_body, as all
-- were before. All three NULL, and no row in run_body: as there.

ALTER TABLE run ADD COLUMN args BLOB;                                 -- NULL also: the job was queued, see queue_args
ALTER TABLE run ADD COLUMN result BLOB;
ALTER TABLE run ADD COLUMN log BLOB;                                  -- NULL also: empty
