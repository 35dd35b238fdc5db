-- Links that let one person choose a password, once. Only the hash of the secret is here.
CREATE TABLE link (
    hash       BLOB PRIMARY KEY,
    user_id    INTEGER NOT NULL UNIQUE REFERENCES user (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A child may do less, and a disabled account cannot log in. What a login's program called itself tells its owner
-- which of their devices it is.
ALTER TABLE user ADD COLUMN child INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user ADD COLUMN disabled_at INTEGER;
ALTER TABLE user ADD COLUMN logged_in_at INTEGER;
ALTER TABLE token ADD COLUMN agent TEXT;
