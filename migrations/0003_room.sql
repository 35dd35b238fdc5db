-- Rooms and their logs. A room's head is the number of its newest event, its floor that of the newest
-- event that was trimmed; both are read from the log, so that an event writes one page less.
-- What an event says is read from the nouns it names as far as they still exist.
CREATE TABLE room (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
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
