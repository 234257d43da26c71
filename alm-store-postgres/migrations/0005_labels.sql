-- The pairs of labels once more, to find apps and versions by them in the order of their ids; the triggers keep them together. An
-- index of the documents knows no order, so a page of those with a rare label was found by reading the whole table.
--
-- The triggers work with the rights of who owns the tables, so that servers which are at work meanwhile need no new ones to write.
CREATE TABLE app_labels (
    key text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    app_id bigint NOT NULL,
    PRIMARY KEY (key, value, app_id)
);
INSERT INTO app_labels (key, value, app_id) SELECT pair.key, pair.value, apps.id FROM apps, jsonb_each_text(labels) pair;
DROP INDEX apps_labels;

CREATE FUNCTION index_app_labels() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM app_labels USING jsonb_each_text(old.labels) pair
        WHERE app_labels.key = pair.key AND app_labels.value = pair.value AND app_labels.app_id = old.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO app_labels (key, value, app_id) SELECT pair.key, pair.value, new.id FROM jsonb_each_text(new.labels) pair;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER apps_inserted AFTER INSERT ON apps
    FOR EACH ROW WHEN (new.labels <> '{}') EXECUTE FUNCTION index_app_labels();
CREATE TRIGGER apps_updated AFTER UPDATE ON apps
    FOR EACH ROW WHEN (old.labels <> new.labels) EXECUTE FUNCTION index_app_labels();
CREATE TRIGGER apps_deleted AFTER DELETE ON apps
    FOR EACH ROW WHEN (old.labels <> '{}') EXECUTE FUNCTION index_app_labels();

CREATE TABLE version_labels (
    key text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    version_id bigint NOT NULL,
    app_id bigint NOT NULL,
    PRIMARY KEY (key, value, version_id)
);
INSERT INTO version_labels (key, value, version_id, app_id)
    SELECT pair.key, pair.value, versions.id, versions.app_id FROM versions, jsonb_each_text(labels) pair;
CREATE INDEX version_labels_of_app ON version_labels (app_id, key, value, version_id);
DROP INDEX versions_labels;

CREATE FUNCTION index_version_labels() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM version_labels USING jsonb_each_text(old.labels) pair
        WHERE version_labels.key = pair.key AND version_labels.value = pair.value AND version_labels.version_id = old.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO version_labels (key, value, version_id, app_id)
            SELECT pair.key, pair.value, new.id, new.app_id FROM jsonb_each_text(new.labels) pair;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER versions_inserted AFTER INSERT ON versions
    FOR EACH ROW WHEN (new.labels <> '{}') EXECUTE FUNCTION index_version_labels();
CREATE TRIGGER versions_updated AFTER UPDATE ON versions
    FOR EACH ROW WHEN (old.labels <> new.labels) EXECUTE FUNCTION index_version_labels();
CREATE TRIGGER versions_deleted AFTER DELETE ON versions
    FOR EACH ROW WHEN (old.labels <> '{}') EXECUTE FUNCTION index_version_labels();

DO $$
DECLARE
    reader text;
BEGIN
    FOR reader IN
        SELECT CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END
        FROM pg_class, aclexplode(pg_class.relacl) granted
        WHERE pg_class.oid = 'versions'::regclass AND granted.privilege_type = 'SELECT' AND granted.grantee <> relowner
    LOOP
        EXECUTE 'GRANT SELECT ON app_labels, version_labels TO ' || reader;
    END LOOP;
END
$$;
