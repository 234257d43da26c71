-- What an account may do besides its role, as a JSON array of texts, and how often it has been changed.
ALTER TABLE alm_users ADD COLUMN grants TEXT NOT NULL DEFAULT '[]';
ALTER TABLE alm_users ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;

-- Sessions and API keys. The body is the whole of each; beside it stands what it is found by and changed at.
CREATE TABLE alm_credentials (
    id BLOB NOT NULL,
    -- Whose session it is; NULL of an API key.
    username TEXT,
    -- That of an API key; NULL of a session.
    name TEXT,
    revision INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (name),
    -- The constraint that stands last is checked first, so whoever takes an id and a name that are taken is told of the id.
    PRIMARY KEY (id)
) STRICT;

-- Serves the API keys, too: those of no user.
CREATE INDEX alm_credentials_of_user ON alm_credentials (username, id);

-- Credentials that other services held and that are gone, until the last token that was issued for each has expired.
CREATE TABLE alm_revocations (
    id BLOB PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Until when each bucket is filled that attempts are counted by, such as those to log in.
CREATE TABLE alm_buckets (
    name TEXT PRIMARY KEY,
    full_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX alm_buckets_by_time ON alm_buckets (full_at);

CREATE INDEX alm_revocations_by_until ON alm_revocations (until);

-- INSERT OR REPLACE takes a row away without a word to the triggers that refuse deletions.
CREATE TRIGGER alm_audit_refuses_replacement BEFORE INSERT ON alm_audit
WHEN EXISTS (SELECT 1 FROM alm_audit WHERE idx = new.idx) BEGIN
    SELECT RAISE(ABORT, 'an audit entry never changes');
END;

CREATE TRIGGER alm_tree_checkpoints_refuses_replacement BEFORE INSERT ON alm_tree_checkpoints
WHEN EXISTS (SELECT 1 FROM alm_tree_checkpoints WHERE size = new.size) BEGIN
    SELECT RAISE(ABORT, 'a checkpoint of the tree never changes');
END;
