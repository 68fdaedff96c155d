-- What the columns mean stands in docs/STORE.md; a test holds the two together.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cards (
    member            TEXT PRIMARY KEY,
    nick              TEXT NOT NULL,
    incarnation       INTEGER NOT NULL,
    boot              INTEGER NOT NULL,
    version           INTEGER NOT NULL,
    bytes             BLOB NOT NULL,
    leave_incarnation INTEGER,
    leave_boot        INTEGER,
    leave_bytes       BLOB,
    address           TEXT,
    gone_at           INTEGER,
    known             INTEGER NOT NULL
) STRICT;

CREATE TABLE forgotten (
    member      TEXT PRIMARY KEY,
    incarnation INTEGER NOT NULL,
    boot        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    n           INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL CHECK (kind IN ('group', 'private')),
    sent        INTEGER NOT NULL,
    author      TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    boot        INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    receiver    TEXT,
    lamport     INTEGER NOT NULL,
    said_at     INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    via         TEXT NOT NULL,
    recovered   INTEGER NOT NULL,
    retained    INTEGER NOT NULL,
    text        TEXT NOT NULL,
    bytes       BLOB NOT NULL,
    sample_of   INTEGER
) STRICT;
CREATE INDEX messages_by_seq ON messages (seq);
CREATE INDEX messages_by_order ON messages (lamport);
CREATE INDEX messages_retained ON messages (boot, seq) WHERE retained = 1;

CREATE TABLE deliveries (
    message    INTEGER NOT NULL REFERENCES messages (n) ON DELETE CASCADE,
    member     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    latency_us INTEGER,
    reason     TEXT,
    receipt    INTEGER,
    at         INTEGER NOT NULL,
    PRIMARY KEY (message, member)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
    n                    INTEGER PRIMARY KEY,
    receiver             TEXT NOT NULL,
    receiver_incarnation INTEGER NOT NULL,
    receiver_boot        INTEGER NOT NULL,
    author               TEXT NOT NULL,
    incarnation          INTEGER,
    boot                 INTEGER,
    at                   INTEGER NOT NULL,
    retained             INTEGER NOT NULL,
    bytes                BLOB NOT NULL
) STRICT;
CREATE INDEX receipts_retained ON receipts (boot, receiver) WHERE retained = 1;

CREATE TABLE evidence (
    n           INTEGER PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind = 'equivocation'),
    author      TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    boot        INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    retained    INTEGER NOT NULL,
    first       BLOB NOT NULL,
    second      BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX evidence_retained ON evidence (author, incarnation, boot) WHERE retained = 1;

CREATE TABLE gaps (
    author      TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    boot        INTEGER NOT NULL,
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    asked       TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (author, incarnation, boot, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
    author      TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    boot        INTEGER NOT NULL,
    upto        INTEGER NOT NULL,
    PRIMARY KEY (author, incarnation, boot)
) STRICT, WITHOUT ROWID;

CREATE TABLE seen (
    kind        TEXT NOT NULL CHECK (kind IN ('group', 'private')),
    author      TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    boot        INTEGER NOT NULL,
    upto        INTEGER NOT NULL,
    seen        TEXT NOT NULL,
    PRIMARY KEY (kind, author, incarnation, boot)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_by_upto ON seen (upto);

CREATE TABLE lived (
    n       INTEGER PRIMARY KEY,
    receipt INTEGER NOT NULL,
    ms      INTEGER NOT NULL
) STRICT;

CREATE TABLE private_floors (
    author      TEXT PRIMARY KEY,
    incarnation INTEGER NOT NULL,
    boot        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE floors (
    author      TEXT PRIMARY KEY,
    incarnation INTEGER NOT NULL,
    boot        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    n      INTEGER PRIMARY KEY,
    record BLOB NOT NULL,
    hash   BLOB NOT NULL
) STRICT;
