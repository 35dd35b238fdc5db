-- People. `uid` is their id on the wire, `id` the number that rows refer to.
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
    admin       INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    deleted_at  INTEGER
) STRICT;
