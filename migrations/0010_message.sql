-- Chat messages are events whose text is in `body`. `client_id` is what their sender called them,
-- with a digest of room and text, so that one that is sent again is known by one look; `nickname` is the name a chat page gave. `target` is the number of the
-- event that this one is about (a message, a notification), and `state` what has become of this one since:
-- of a message 1 edited, 2 deleted; of a notification 1 read.
ALTER TABLE event ADD COLUMN client_id TEXT;
ALTER TABLE event ADD COLUMN nickname TEXT;
ALTER TABLE event ADD COLUMN target INTEGER;
ALTER TABLE event ADD COLUMN state INTEGER NOT NULL DEFAULT 0;

CREATE INDEX event_client ON event (sender_id, client_id) WHERE client_id IS NOT NULL;
