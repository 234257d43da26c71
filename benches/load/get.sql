\set id random(1000000000, 999999999 + :rows)
SELECT id, app_id, tag, changelog, labels::text, created_at, updated_at, revision FROM alm.versions WHERE id = :id;
