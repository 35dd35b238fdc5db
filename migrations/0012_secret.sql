-- The server's own secrets, made at the first start: what signs the tokens that say who they are for.
CREATE TABLE secret (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
