-- People. `uid` is their id on the wire, `id` the number that rows refer to.
-- `day_count` entries were stored on `day`, the last one with any; `best_day` is the one with most. A
-- day is cut in the server's time zone.
-- A deleted person stays as an empty row, so that what they wrote to others keeps an author.
CREATE TABLE user (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    uid         TEXT NOT NULL UNIQUE,
    email       TEXT,
    first_name  TEXT,
    last_name   TEXT,
    username    TEXT UNIQUE,
    picture     TEXT,
    password    TEXT,
    deuce_count INTEGER NOT NULL DEFAULT 0,
    day         TEXT,
    day_count   INTEGER NOT NULL DEFAULT 0,
    best_day    TEXT,
    best_count  INTEGER NOT NULL DEFAULT 0,
    admin       INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    deleted_at  INTEGER
) STRICT;
