-- Entries. Ids ascend in the order of storing, whatever the clock does; times only say what people see.
CREATE TABLE entry (
    id         BLOB PRIMARY KEY,
    group_id   BLOB NOT NULL REFERENCES "group" (id) ON DELETE CASCADE,
    user_id    INTEGER NOT NULL REFERENCES user (id),
    location   TEXT NOT NULL,
    thoughts   TEXT NOT NULL,
    logged_at  INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX entry_group ON entry (group_id, logged_at);
