-- Places the form offers: some that everybody has, and what each person adds.
CREATE TABLE location (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    created_by INTEGER REFERENCES user (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    UNIQUE (created_by, name)
) STRICT;

INSERT INTO location (name, created_by, created_at)
VALUES ('Home', NULL, 0), ('Work', NULL, 0), ('School', NULL, 0), ('On the road', NULL, 0),
       ('Outdoors', NULL, 0), ('Restaurant', NULL, 0), ('Friends', NULL, 0);
