-- Times are microseconds since the Unix epoch, ids of events, changesets and logs the 16 bytes of their UUID.
-- There are no foreign keys: versions outlive their app, and deployments their version, until the cascade has taken them.

CREATE TABLE alm_meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    log_id BLOB NOT NULL
) STRICT;

-- Ids from `next` on belong to no one yet.
CREATE TABLE alm_sequences (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO alm_sequences (name, next) VALUES ('apps', 1), ('versions', 1), ('deployments', 1);

CREATE TABLE alm_apps (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    labels TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

-- The pairs of `labels` once more, to find apps by them; the triggers keep them together.
CREATE TABLE alm_app_labels (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    app_id INTEGER NOT NULL,
    PRIMARY KEY (key, value, app_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER alm_apps_inserted AFTER INSERT ON alm_apps BEGIN
    INSERT INTO alm_app_labels (key, value, app_id) SELECT key, value, new.id FROM json_each(new.labels);
END;

CREATE TRIGGER alm_apps_updated AFTER UPDATE ON alm_apps WHEN old.labels IS NOT new.labels BEGIN
    DELETE FROM alm_app_labels
    WHERE (key, value, app_id) IN (SELECT key, value, old.id FROM json_each(old.labels));
    INSERT INTO alm_app_labels (key, value, app_id) SELECT key, value, new.id FROM json_each(new.labels);
END;

CREATE TRIGGER alm_apps_deleted AFTER DELETE ON alm_apps BEGIN
    DELETE FROM alm_app_labels
    WHERE (key, value, app_id) IN (SELECT key, value, old.id FROM json_each(old.labels));
END;

CREATE TABLE alm_versions (
    id INTEGER PRIMARY KEY,
    app_id INTEGER NOT NULL,
    tag TEXT NOT NULL,
    changelog TEXT NOT NULL,
    labels TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (app_id, tag)
) STRICT;

-- The row's id is the last column of every index, so pages by id are read in the order of the index.
CREATE INDEX alm_versions_of_app ON alm_versions (app_id);

CREATE TABLE alm_version_labels (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    version_id INTEGER NOT NULL,
    app_id INTEGER NOT NULL,
    PRIMARY KEY (key, value, version_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX alm_version_labels_of_app ON alm_version_labels (app_id, key, value, version_id);

CREATE TRIGGER alm_versions_inserted AFTER INSERT ON alm_versions BEGIN
    INSERT INTO alm_version_labels (key, value, version_id, app_id)
    SELECT key, value, new.id, new.app_id FROM json_each(new.labels);
END;

CREATE TRIGGER alm_versions_updated AFTER UPDATE ON alm_versions WHEN old.labels IS NOT new.labels BEGIN
    DELETE FROM alm_version_labels
    WHERE (key, value, version_id) IN (SELECT key, value, old.id FROM json_each(old.labels));
    INSERT INTO alm_version_labels (key, value, version_id, app_id)
    SELECT key, value, new.id, new.app_id FROM json_each(new.labels);
END;

CREATE TRIGGER alm_versions_deleted AFTER DELETE ON alm_versions BEGIN
    DELETE FROM alm_version_labels
    WHERE (key, value, version_id) IN (SELECT key, value, old.id FROM json_each(old.labels));
END;

CREATE TABLE alm_deployments (
    id INTEGER PRIMARY KEY,
    app_id INTEGER NOT NULL,
    version_id INTEGER NOT NULL,
    environment TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    -- Since when it runs or ran; NULL unless it is successful.
    runs_since INTEGER,
    revision INTEGER NOT NULL
) STRICT;

CREATE INDEX alm_deployments_of_version ON alm_deployments (version_id);
CREATE INDEX alm_deployments_of_app ON alm_deployments (app_id);
CREATE INDEX alm_deployments_of_app_to_environment ON alm_deployments (app_id, environment);
CREATE INDEX alm_deployments_of_app_with_status ON alm_deployments (app_id, status);
CREATE INDEX alm_deployments_to_environment ON alm_deployments (environment);
CREATE INDEX alm_deployments_with_status ON alm_deployments (status);
CREATE INDEX alm_deployments_that_ran ON alm_deployments (app_id, environment, runs_since)
WHERE runs_since IS NOT NULL;

CREATE TABLE alm_users (
    username TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    password_hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX alm_users_by_age ON alm_users (created_at, username);

CREATE TABLE alm_audit (
    -- What is never deleted has no gaps: the next is always the highest and one.
    idx INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    source_service TEXT NOT NULL,
    payload TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    -- The latest timestamp up to here. Timestamps may go back, this does not, so by it the first entry since a time is found.
    latest INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    subject TEXT NOT NULL
) STRICT;

CREATE INDEX alm_audit_by_event_type ON alm_audit (event_type);
CREATE INDEX alm_audit_by_source_service ON alm_audit (source_service);
CREATE INDEX alm_audit_by_actor ON alm_audit (actor);
CREATE INDEX alm_audit_by_subject ON alm_audit (subject);
CREATE INDEX alm_audit_by_latest ON alm_audit (latest);

CREATE TRIGGER alm_audit_refuses_update BEFORE UPDATE ON alm_audit BEGIN
    SELECT RAISE(ABORT, 'an audit entry never changes');
END;

CREATE TRIGGER alm_audit_refuses_delete BEFORE DELETE ON alm_audit BEGIN
    SELECT RAISE(ABORT, 'an audit entry never goes');
END;

CREATE TABLE alm_events (
    -- Gapless for the same reason.
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    changeset BLOB NOT NULL,
    -- From 0 in each changeset.
    nth INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL,
    time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    trace TEXT
) STRICT;

-- Whether a changeset was committed is told by its first event.
CREATE UNIQUE INDEX alm_events_receipts ON alm_events (changeset) WHERE nth = 0;

CREATE TRIGGER alm_events_refuses_update BEFORE UPDATE ON alm_events BEGIN
    SELECT RAISE(ABORT, 'an event never changes');
END;

CREATE TRIGGER alm_events_refuses_delete BEFORE DELETE ON alm_events BEGIN
    SELECT RAISE(ABORT, 'an event never goes');
END;

CREATE TABLE alm_checkpoints (
    consumer TEXT NOT NULL,
    log BLOB NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (consumer, log)
) STRICT, WITHOUT ROWID;

CREATE TABLE alm_dead_letters (
    consumer TEXT NOT NULL,
    log BLOB NOT NULL,
    position INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    document TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (consumer, log, position)
) STRICT;

CREATE TABLE alm_answers (
    principal TEXT NOT NULL,
    action TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    outcome TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (principal, action, key)
) STRICT;

CREATE INDEX alm_answers_by_expiry ON alm_answers (expires_at);
