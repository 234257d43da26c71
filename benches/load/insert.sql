-- What `POST /versions` inserts, as one statement: the version and its event.
WITH version AS (
    INSERT INTO alm.versions (id, app_id, tag, changelog, labels, created_at, updated_at, revision)
    SELECT number, 1, 'v' || number, 'bug fixes', '{}', at, at, 1
    FROM (SELECT nextval('load_ids') AS number, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS at) new
    RETURNING id, tag, created_at AS at
)
INSERT INTO alm.events
    (commit_order, ordinal, changeset_id, decided_at, position, id, type, subject, time, actor, trace, data)
SELECT id, 1, gen_random_uuid(), at, id, gen_random_uuid(), 'VersionCreated', 'versions/' || id, at, 'admin', NULL,
       json_build_object('version_id', id, 'app_id', 1, 'tag', tag, 'changelog', 'bug fixes')
FROM version;
