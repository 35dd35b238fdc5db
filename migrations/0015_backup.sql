-- What is known of the copies of the diary: one row for each attempt, the last hundred of them. `at` is when it
-- began, `failure` why there is no copy (NULL where it was made and verified), `told` whether the owners were told so.
CREATE TABLE backup (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    path        TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    took_millis INTEGER NOT NULL,
    failure     TEXT,
    told        INTEGER NOT NULL DEFAULT 0
) STRICT;

-- When the owners were last told that the newest verified copy is too old; no row while it is not.
CREATE TABLE backup_warning (
    at INTEGER NOT NULL
) STRICT;

-- Where a copy was put back, each room goes on after every number that was ever told in it. Events up to `floor` are
-- history that others may know differently, so nobody resumes from there; `floor_id` stands for the event of that number.
ALTER TABLE room ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE room ADD COLUMN floor_id BLOB;
