-- Version 1 of the hooks. Not edited once it is released: a change is a file of its own.

PRAGMA application_id = 1130458728; -- "Canh"

-- One row a hook. `words` says which events it wants, separated by commas; `session` is null for
-- those of all sessions. Up to `cursor` the event log was looked at for it. One that was disabled
-- has both of the last two. Times are microseconds since 1970 here as below.
CREATE TABLE hooks (
    id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    url             TEXT    NOT NULL,
    words           TEXT    NOT NULL,
    session         BLOB,
    secret          BLOB    NOT NULL,
    allow_local     INTEGER NOT NULL,
    created_at_us   INTEGER NOT NULL,
    cursor          INTEGER NOT NULL,
    delivered       INTEGER NOT NULL,
    given_up        INTEGER NOT NULL,
    disabled_at_us  INTEGER,
    disabled_reason TEXT
) STRICT;

-- One row a delivery. `id` goes with each attempt, so that a receiver can tell a repetition.
-- `payload` is there as long as it is needed.
CREATE TABLE deliveries (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    hook          BLOB    NOT NULL,
    seq           INTEGER NOT NULL,
    session       BLOB    NOT NULL,
    kind          TEXT    NOT NULL,
    payload       TEXT,
    state         TEXT    NOT NULL CHECK (state IN ('pending', 'delivered', 'given_up')),
    attempts      INTEGER NOT NULL,
    created_at_us INTEGER NOT NULL,
    first_at_us   INTEGER,
    next_at_us    INTEGER NOT NULL,
    done_at_us    INTEGER,
    last_status   INTEGER,
    last_error    TEXT
) STRICT;

CREATE INDEX deliveries_by_place ON deliveries (hook, seq);
CREATE INDEX deliveries_due ON deliveries (hook, next_at_us) WHERE state = 'pending';
CREATE INDEX deliveries_in_order ON deliveries (hook, session, seq) WHERE state = 'pending';
CREATE INDEX deliveries_done ON deliveries (hook, done_at_us) WHERE state <> 'pending';

-- What is known of the file itself. One row.
CREATE TABLE state (
    only_row       INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    closed_cleanly INTEGER NOT NULL
) STRICT;
INSERT INTO state (only_row, closed_cleanly) VALUES (1, 1);
