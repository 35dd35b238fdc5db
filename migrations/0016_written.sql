-- How many bytes went to the card, by UTC day (days since 1970) and cause.
CREATE TABLE written (
    day INTEGER NOT NULL,
    cause TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (day, cause)
) STRICT, WITHOUT ROWID;

-- What the clock of this machine said last, noted now and then. A clock that says something quite else at the next
-- start, or from one moment to the next, was set; what was to end then ends as much later or earlier.
CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
