-- Texts are compared and sorted by their bytes, whatever the locale of the database: COLLATE "C".
-- Texts that may hold NUL, which text refuses, are bytea in UTF-8; documents that may are json, which keeps it as \u0000
-- (jsonb does not). Times are microseconds since the Unix epoch.

-- The log itself: one row.
CREATE TABLE log (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id uuid NOT NULL,
    head bigint NOT NULL
);
INSERT INTO log (id, head) VALUES (gen_random_uuid(), 0);

-- In the order of this sequence, which a commit takes from when it has all its row locks, events get their positions.
CREATE SEQUENCE commit_order;

CREATE TABLE events (
    commit_order bigint NOT NULL,
    ordinal integer NOT NULL,
    changeset_id uuid NOT NULL,
    -- When the changeset was decided: what its receipt says.
    decided_at bigint NOT NULL,
    -- Null until the sealer has given it.
    position bigint CONSTRAINT events_position UNIQUE,
    id uuid NOT NULL,
    type text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    time bigint NOT NULL,
    actor text COLLATE "C" NOT NULL,
    trace text COLLATE "C",
    data json NOT NULL,
    CONSTRAINT events_changeset PRIMARY KEY (changeset_id, ordinal)
);
CREATE INDEX events_unsealed ON events (commit_order, ordinal) WHERE position IS NULL;

-- Gives positions to what is committed and has none. Gives the head and whether there may be more; nulls when another session
-- is at it. Each statement in here has a snapshot of its own, so that what is read is read under the lock.
--
-- It takes a bounded number of events, so that it ends in time however many have gathered; but all of a commit, or one that
-- was held open with a lower number could come between them.
CREATE FUNCTION seal(OUT head bigint, OUT more boolean) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    batch CONSTANT integer := 5000;
    last bigint;
    gathered bigint;
    sealed bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('alm seal ' || current_schema(), 0)) THEN
        RETURN;
    END IF;
    SELECT log.head INTO STRICT head FROM log;
    SELECT max(commit_order), count(*) INTO last, gathered FROM (
        SELECT commit_order FROM events WHERE position IS NULL ORDER BY commit_order, ordinal LIMIT batch
    ) first;
    more := gathered = batch;
    IF gathered = 0 THEN
        RETURN;
    END IF;
    UPDATE events SET position = head + unsealed.place
    FROM (
        SELECT changeset_id, ordinal, row_number() OVER (ORDER BY commit_order, ordinal) AS place
        FROM events WHERE position IS NULL AND commit_order <= last
    ) unsealed
    WHERE events.changeset_id = unsealed.changeset_id AND events.ordinal = unsealed.ordinal;
    GET DIAGNOSTICS sealed = ROW_COUNT;
    head := head + sealed;
    UPDATE log SET head = seal.head;
END
$$;

CREATE TABLE sequences (
    name text COLLATE "C" PRIMARY KEY,
    next bigint NOT NULL
);
INSERT INTO sequences (name, next) VALUES ('apps', 1), ('versions', 1), ('deployments', 1);

CREATE TABLE apps (
    id bigint CONSTRAINT apps_id PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT apps_name UNIQUE,
    description text COLLATE "C" NOT NULL,
    labels jsonb NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX apps_labels ON apps USING gin (labels jsonb_path_ops);

-- No foreign keys: a child may outlive its parent until the cascade has come to it.
CREATE TABLE versions (
    id bigint CONSTRAINT versions_id PRIMARY KEY,
    app_id bigint NOT NULL,
    tag text COLLATE "C" NOT NULL,
    changelog text COLLATE "C" NOT NULL,
    labels jsonb NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    revision bigint NOT NULL,
    CONSTRAINT versions_tag UNIQUE (app_id, tag)
);
CREATE INDEX versions_of_app ON versions (app_id, id);
CREATE INDEX versions_labels ON versions USING gin (labels jsonb_path_ops);

CREATE TABLE deployments (
    id bigint CONSTRAINT deployments_id PRIMARY KEY,
    app_id bigint NOT NULL,
    version_id bigint NOT NULL,
    environment text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    finished_at bigint,
    revision bigint NOT NULL
);
CREATE INDEX deployments_of_app ON deployments (app_id, id);
CREATE INDEX deployments_of_version ON deployments (version_id, id);
CREATE INDEX deployments_to_environment ON deployments (environment, id);
CREATE INDEX deployments_of_status ON deployments (status, id);
CREATE INDEX deployments_successful ON deployments (app_id, environment, (coalesce(finished_at, updated_at)), id)
    WHERE status = 'successful';

CREATE TABLE accounts (
    username text COLLATE "C" CONSTRAINT accounts_username PRIMARY KEY,
    role text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    password_hash bytea NOT NULL
);
CREATE INDEX accounts_by_age ON accounts (created_at, username);

-- Where the audit log ends: one row, whose lock those who record wait for.
CREATE TABLE audit_head (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    index bigint NOT NULL
);
INSERT INTO audit_head (index) VALUES (0);

CREATE TABLE audit_entries (
    index bigint PRIMARY KEY,
    event_id uuid NOT NULL,
    event_type bytea NOT NULL,
    source_service bytea NOT NULL,
    payload json NOT NULL,
    occurred_at bigint NOT NULL,
    recorded_at bigint NOT NULL,
    actor text COLLATE "C" NOT NULL,
    subject bytea NOT NULL
);
-- By a prefix, because these texts may be longer than an index can hold.
CREATE INDEX audit_by_type ON audit_entries (substring(event_type FROM 1 FOR 128), index);
CREATE INDEX audit_by_service ON audit_entries (substring(source_service FROM 1 FOR 128), index);
CREATE INDEX audit_by_subject ON audit_entries (substring(subject FROM 1 FOR 128), index);
CREATE INDEX audit_by_actor ON audit_entries (actor, index);
CREATE INDEX audit_by_time ON audit_entries (occurred_at);

CREATE FUNCTION refuse_to_change_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries are never changed: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER audit_entries_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_audit();

CREATE TABLE answers (
    principal bytea NOT NULL,
    action text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    outcome json NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (principal, action, key)
);
CREATE INDEX answers_by_expiry ON answers (expires_at);

-- A row changes with every commit of its consumer: the room left in its page lets that be done in place.
CREATE TABLE checkpoints (
    consumer text COLLATE "C" NOT NULL,
    log uuid NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (consumer, log)
) WITH (fillfactor = 50);

CREATE TABLE dead_letters (
    consumer text COLLATE "C" NOT NULL,
    log uuid NOT NULL,
    position bigint NOT NULL,
    event_id uuid NOT NULL,
    document json NOT NULL,
    reason bytea NOT NULL,
    buried_at bigint NOT NULL,
    PRIMARY KEY (consumer, log, position)
);
