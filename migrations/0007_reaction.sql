-- Reactions: each person gives an entry each emoji once.
CREATE TABLE reaction (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    entry_number INTEGER NOT NULL REFERENCES entry (number) ON DELETE CASCADE,
    user_id      INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    emoji        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    UNIQUE (entry_number, user_id, emoji)
) STRICT;
