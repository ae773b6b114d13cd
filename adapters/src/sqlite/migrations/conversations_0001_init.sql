-- Version 1 of the conversations. Not edited once it is released: a change is a file of its own.

PRAGMA application_id = 1130458740; -- "Cant"

-- One row a session. `read_to` says up to which byte of its standard output it is complete.
-- `is_removed` is 0, or 1 while items are left that nobody reads any more, and then 2.
-- AUTOINCREMENT: a key is never given twice, since a removed session's items may still be there.
CREATE TABLE sessions (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB    NOT NULL UNIQUE,
    read_to    INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    text_bytes INTEGER NOT NULL,
    is_removed INTEGER NOT NULL
) STRICT;

-- One row a piece of a conversation. `id` is the session's key times 2^32, plus a number that counts
-- the session's items from 1: so one session is a range of ids, here as in the index of words.
CREATE TABLE items (
    id            INTEGER PRIMARY KEY,
    session       INTEGER NOT NULL,
    byte_offset   INTEGER NOT NULL,
    byte_length   INTEGER NOT NULL,
    part          INTEGER NOT NULL,
    role          TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    text          TEXT    NOT NULL,
    is_cut        INTEGER NOT NULL,
    tool          TEXT,
    call          TEXT,
    is_error      INTEGER NOT NULL,
    within        TEXT,
    at_us         INTEGER,
    model         TEXT,
    input_tokens  INTEGER,
    cached_tokens INTEGER,
    output_tokens INTEGER,
    cost_microusd INTEGER
) STRICT;
CREATE UNIQUE INDEX items_by_place ON items (session, byte_offset, part);
CREATE INDEX items_that_end_turns ON items (id) WHERE kind = 'turn_end';

-- The words of `items.text`, which is not kept a second time. The indexes of beginnings make the
-- search for one as quick as that for a word.
CREATE VIRTUAL TABLE words USING fts5 (
    text,
    content = 'items',
    content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2',
    prefix = '2 3'
);
-- What is removed is gone from the index at once, and not when that is next put in order.
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);

-- What is known of the file itself. One row.
CREATE TABLE state (
    only_row       INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    closed_cleanly INTEGER NOT NULL
) STRICT;
INSERT INTO state (only_row, closed_cleanly) VALUES (1, 1);
