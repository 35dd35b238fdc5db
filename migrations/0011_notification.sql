-- A person's notifications are the events of their inbox, the room `user:<number>`. What a member is
-- notified of: 1 entries, 2 reactions to their own, 4 new members, 8 messages with their name.
ALTER TABLE member ADD COLUMN notify INTEGER NOT NULL DEFAULT 15;

-- Whether a login may notify others.
ALTER TABLE token ADD COLUMN may_notify INTEGER NOT NULL DEFAULT 0;
