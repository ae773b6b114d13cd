-- Version 2. Not edited once it is released: a change is a file of its own.

-- One row a session that was deleted: all that is left of it, and its place in the order of events.
-- AUTOINCREMENT: a place is never given twice, not even after the row is dropped in its turn.
-- `last_seq` is the place of the session's last event; `gone_up_to` the highest place of anything
-- that was deleted until then. `crc` covers every other column.
CREATE TABLE removals (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    session     BLOB    NOT NULL,
    revision    INTEGER NOT NULL,
    at_us       INTEGER NOT NULL,
    from_status TEXT    NOT NULL,
    by_actor    TEXT    NOT NULL,
    last_seq    INTEGER NOT NULL,
    gone_up_to  INTEGER NOT NULL,
    crc         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX removals_by_session ON removals (session);
