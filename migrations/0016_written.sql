-- How many bytes went to the card, by UTC day (days since 1970) and cause.
CREATE TABLE written (
    day INTEGER NOT NULL,
    cause TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (day, cause)
) STRICT, WITHOUT ROWID;
