-- What is known of the copies of the diary: one row for each attempt, the last hundred of them.
CREATE TABLE backup (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    took_millis INTEGER NOT NULL,
    -- Why there is no copy; NULL where it was made and verified.
    failure TEXT
) STRICT;
