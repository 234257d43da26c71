-- What is known of apps and versions that live elsewhere: the app that each is or is of, or NULL once it is gone. A row never goes,
-- for what is gone must stay known as gone.
CREATE TABLE known_apps (
    id bigint CONSTRAINT known_apps_id PRIMARY KEY,
    app_id bigint
);
CREATE TABLE known_versions (
    id bigint CONSTRAINT known_versions_id PRIMARY KEY,
    app_id bigint
);

-- Whoever could keep how far a consumer has read can keep what it hears, before anyone grants anything anew.
DO $$
DECLARE
    may record;
BEGIN
    FOR may IN
        SELECT CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END AS grantee, granted.privilege_type
        FROM pg_class, aclexplode(pg_class.relacl) granted
        WHERE pg_class.oid = 'checkpoints'::regclass AND granted.privilege_type IN ('SELECT', 'INSERT', 'UPDATE')
            AND granted.grantee <> relowner
    LOOP
        EXECUTE format('GRANT %s ON known_apps, known_versions TO %s', may.privilege_type, may.grantee);
    END LOOP;
END
$$;
