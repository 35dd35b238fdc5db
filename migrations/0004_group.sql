-- Groups and who is in them. How many entries a group has and which is the newest is kept beside it,
-- because every list of groups shows it.
CREATE TABLE "group" (
    id           BLOB PRIMARY KEY,
    room_id      INTEGER NOT NULL UNIQUE REFERENCES room (id),
    name         TEXT NOT NULL,
    description  TEXT,
    created_by   INTEGER NOT NULL REFERENCES user (id),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    entry_count  INTEGER NOT NULL DEFAULT 0,
    newest_entry BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE member (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id  BLOB NOT NULL REFERENCES "group" (id) ON DELETE CASCADE,
    user_id   INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    role      TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    joined_at INTEGER NOT NULL,
    UNIQUE (user_id, group_id)
) STRICT;

CREATE INDEX member_group ON member (group_id);
