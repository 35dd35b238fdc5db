-- Reactions: each person gives an entry each emoji once.
CREATE TABLE reaction (
    id         INTEGER PRIMARY KEY,
    entry_id   BLOB NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
    user_id    INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    emoji      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (entry_id, user_id, emoji)
) STRICT;
