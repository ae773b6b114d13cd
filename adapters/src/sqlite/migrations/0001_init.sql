-- Version 1. Not edited once it is released: a change is a file of its own.

PRAGMA application_id = 1130458724; -- "Cand"

-- One row a session: its body, and beside it what is searched for. `crc` covers every other column.
CREATE TABLE sessions (
    id            BLOB    NOT NULL PRIMARY KEY,
    short         TEXT    NOT NULL,
    revision      INTEGER NOT NULL,
    status        TEXT    NOT NULL,
    outcome       TEXT,
    parent        BLOB,
    created_at_us INTEGER NOT NULL,
    ended_at_us   INTEGER,
    last_event    BLOB    NOT NULL,
    last_seq      INTEGER NOT NULL,
    body          TEXT    NOT NULL,
    crc           INTEGER NOT NULL
) STRICT;

-- Ids sort by creation, so each of these gives its sessions in that order, the live ones among them.
CREATE INDEX sessions_by_status ON sessions (status, id);
CREATE INDEX sessions_by_short ON sessions (short);
CREATE INDEX sessions_by_parent ON sessions (parent, id) WHERE parent IS NOT NULL;

-- One row a change. Names no session by a foreign key: the story may outlive the session.
-- AUTOINCREMENT: a place is never given twice, not even after its row was deleted.
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    session     BLOB    NOT NULL,
    revision    INTEGER NOT NULL,
    id          BLOB    NOT NULL,
    at_us       INTEGER NOT NULL,
    from_status TEXT,
    to_status   TEXT    NOT NULL,
    cause       TEXT    NOT NULL,
    by_actor    TEXT    NOT NULL,
    verdict     TEXT,
    crc         INTEGER NOT NULL,
    UNIQUE (session, revision)
) STRICT;

-- What is known of the file itself. One row.
CREATE TABLE state (
    only_row       INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    closed_cleanly INTEGER NOT NULL
) STRICT;
INSERT INTO state (only_row, closed_cleanly) VALUES (1, 1);
