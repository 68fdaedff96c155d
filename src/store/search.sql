-- What `moot search` finds by: an index over `messages`, which holds the texts themselves. No query ranks, so no sizes
-- are kept. `index` adds what came since the last time, as `meta` says: a trigger could add each message, but the
-- savepoint that it needs makes FTS5 write its index out for each, at four times the cost of a burst.

CREATE VIRTUAL TABLE words USING fts5 (
    text,
    content = 'messages',
    content_rowid = 'n',
    columnsize = 0,
    tokenize = "unicode61 remove_diacritics 2"
);

CREATE TRIGGER words_gone AFTER DELETE ON messages BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.n, old.text);
END;
