-- Answers already given under a key, so that a request sent again is not carried out again.
CREATE TABLE idempotency (
    user_id INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    key     TEXT NOT NULL,
    request BLOB NOT NULL,
    answer  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (user_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_at ON idempotency (at);
