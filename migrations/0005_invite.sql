-- Invites. `max_uses` NULL is any number; use is counted by one UPDATE, so that a race cannot
-- let in one too many.
CREATE TABLE invite (
    id         BLOB PRIMARY KEY,
    group_id   BLOB NOT NULL REFERENCES "group" (id) ON DELETE CASCADE,
    created_by INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    max_uses   INTEGER,
    uses       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX invite_group ON invite (group_id);
