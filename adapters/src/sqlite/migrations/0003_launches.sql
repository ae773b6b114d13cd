-- Version 3. Not edited once it is released: a change is a file of its own.

-- One row a session: what is fixed at its launch, and is searched for. `key` and `digest` are of the
-- request that it came of. When a session is removed all but these two is emptied, and the row goes
-- with the removal: until then the same request does not launch it anew, and a cursor has its place.
-- What is read here is held against the session's row, which has a checksum.
CREATE TABLE launches (
    place   INTEGER PRIMARY KEY,
    session BLOB    NOT NULL UNIQUE,
    agent   TEXT,
    folder  TEXT,
    text    TEXT    NOT NULL,
    key     TEXT,
    digest  TEXT
) STRICT;
CREATE UNIQUE INDEX launches_by_key ON launches (key) WHERE key IS NOT NULL;
CREATE INDEX launches_by_agent ON launches (agent, session) WHERE agent IS NOT NULL;
CREATE INDEX launches_by_folder ON launches (folder, session) WHERE folder IS NOT NULL;

-- The pieces of `launches.text` of three characters, which is not kept a second time.
CREATE VIRTUAL TABLE launch_texts USING fts5 (
    text,
    content = 'launches',
    content_rowid = 'place',
    tokenize = 'trigram',
    detail = 'none'
);

CREATE INDEX sessions_by_outcome ON sessions (outcome, status, id) WHERE outcome IS NOT NULL;
