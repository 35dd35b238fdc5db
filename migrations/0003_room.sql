-- Rooms and their logs. `head` is the number of the newest event, `floor` of the newest that was
-- trimmed. What an event says is read from the nouns it names as far as they still exist.
CREATE TABLE room (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    name  TEXT NOT NULL UNIQUE,
    head  INTEGER NOT NULL DEFAULT 0,
    floor INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE event (
    room_id   INTEGER NOT NULL REFERENCES room (id) ON DELETE CASCADE,
    seq       INTEGER NOT NULL,
    id        BLOB NOT NULL,
    kind      INTEGER NOT NULL,
    sender_id INTEGER NOT NULL,
    entry_id  BLOB,
    person_id INTEGER,
    body      TEXT,
    at        INTEGER NOT NULL,
    PRIMARY KEY (room_id, seq)
) STRICT, WITHOUT ROWID;
