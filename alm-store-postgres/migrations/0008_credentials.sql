-- What an account may do besides its role, as an array of texts, and how often it has been changed.
ALTER TABLE accounts ADD COLUMN grants json NOT NULL DEFAULT '[]', ADD COLUMN revision bigint NOT NULL DEFAULT 1;

-- Sessions and API keys. The body is the whole of each; beside it stands what it is found by and changed at. A session is renewed
-- again and again: the room left in its page lets that be done in place.
CREATE TABLE credentials (
    id uuid CONSTRAINT credentials_id PRIMARY KEY,
    -- Whose session it is; null of an API key.
    username text COLLATE "C",
    -- That of an API key; null of a session.
    name text COLLATE "C",
    revision bigint NOT NULL,
    expires_at bigint NOT NULL,
    body json NOT NULL
) WITH (fillfactor = 70);
-- There are many sessions and few API keys, so each has indexes of its own.
CREATE UNIQUE INDEX credentials_api_key_name ON credentials (name) WHERE name IS NOT NULL;
CREATE INDEX credentials_api_keys ON credentials (id) WHERE username IS NULL;
CREATE INDEX credentials_of_user ON credentials (username, id) WHERE username IS NOT NULL;

-- Credentials that other services held and that are gone, until the last token that was issued for each has expired.
CREATE TABLE revocations (
    id uuid CONSTRAINT revocations_id PRIMARY KEY,
    until bigint NOT NULL
);
CREATE INDEX revocations_by_until ON revocations (until);

-- Until when each bucket is filled that attempts are counted by, such as those to log in.
CREATE TABLE buckets (
    name text COLLATE "C" CONSTRAINT buckets_name PRIMARY KEY,
    full_at bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX buckets_by_time ON buckets (full_at);

-- Whoever could keep accounts can keep what is of them, and whoever could keep how far a consumer has read can keep what it hears,
-- before anyone grants anything anew.
DO $$
DECLARE
    may record;
BEGIN
    FOR may IN
        SELECT CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END AS grantee, granted.privilege_type,
            CASE pg_class.oid WHEN 'accounts'::regclass THEN 'credentials' ELSE 'revocations' END AS kept_in
        FROM pg_class, aclexplode(pg_class.relacl) granted
        WHERE pg_class.oid IN ('accounts'::regclass, 'checkpoints'::regclass)
            AND granted.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND granted.grantee <> relowner
    LOOP
        EXECUTE format('GRANT %s ON %I TO %s', may.privilege_type, may.kept_in, may.grantee);
        IF may.kept_in = 'revocations' AND may.privilege_type = 'INSERT' THEN
            -- For each that comes what has expired goes.
            EXECUTE format('GRANT DELETE ON revocations TO %s', may.grantee);
        END IF;
        IF may.kept_in = 'credentials' THEN
            EXECUTE format('GRANT %s ON buckets TO %s', may.privilege_type, may.grantee);
        END IF;
    END LOOP;
END
$$;
