\set app random(10, 9 + :apps)
SELECT id, app_id, tag, changelog, labels::text, created_at, updated_at, revision
FROM alm.versions WHERE id > 0 AND app_id = :app ORDER BY id LIMIT 50;
