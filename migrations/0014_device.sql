-- Devices: logins of gadgets and programs, which may do less than the person they act for. `permits` is what one may
-- do (1 log, 2 read, 4 chat, 8 notify); NULL is a full login, which may do everything.
ALTER TABLE token ADD COLUMN permits INTEGER;

-- `counter`, `signature` and `answer` are those of the last signed request that changed something. No signed request
-- that only reads is taken after a restart unless its counter is above `read_until`.
CREATE TABLE device (
    token_id   INTEGER PRIMARY KEY REFERENCES token (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    counter    INTEGER NOT NULL DEFAULT 0,
    signature  BLOB,
    answer     TEXT,
    read_until INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Where a device may be. It goes with its person's membership, and does not come back with it.
CREATE TABLE device_group (
    token_id INTEGER NOT NULL REFERENCES device (token_id) ON DELETE CASCADE,
    user_id  INTEGER NOT NULL,
    group_id BLOB NOT NULL,
    PRIMARY KEY (token_id, group_id),
    FOREIGN KEY (user_id, group_id) REFERENCES member (user_id, group_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX device_group_member ON device_group (user_id, group_id);
