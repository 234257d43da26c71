-- The tree over the audit log: its tiles, each of 1 to 256 hashes of 32 bytes one after the other, and what was signed of it.
CREATE TABLE tree_tiles (
    level smallint NOT NULL,
    index bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (level, index)
);
-- Hashes can't be made smaller, so nothing is gained by trying.
ALTER TABLE tree_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE tree_checkpoints (
    -- How many entries of the audit log the tree had.
    size bigint PRIMARY KEY,
    signed_at bigint NOT NULL,
    note text COLLATE "C" NOT NULL
);

CREATE FUNCTION refuse_to_change_tree_checkpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'checkpoints of the tree are never changed: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER tree_checkpoints_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON tree_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_tree_checkpoint();

-- Keeps what the tree grows by, the checkpoint last; gives the size that it had, and has done nothing unless that is `grows_from`.
-- Nobody else grows it until the transaction ends, and each statement in here has a snapshot of its own, so that what is read is read
-- under the lock.
CREATE FUNCTION grow_tree(
    grows_from bigint, levels smallint[], indexes bigint[], all_hashes bytea[], grows_to bigint, at bigint, signed text
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    had bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('alm tree ' || current_schema(), 0));
    SELECT coalesce(max(size), 0) INTO STRICT had FROM tree_checkpoints;
    IF had = grows_from THEN
        INSERT INTO tree_tiles (level, index, hashes) SELECT * FROM unnest(levels, indexes, all_hashes)
            ON CONFLICT (level, index) DO UPDATE SET hashes = excluded.hashes;
        INSERT INTO tree_checkpoints (size, signed_at, note) VALUES (grows_to, at, signed);
    END IF;
    RETURN had;
END
$$;

-- Whoever could read the audit log can read its tree, and whoever could add to it can grow that, before anyone grants anything anew.
DO $$
DECLARE
    may record;
BEGIN
    FOR may IN
        SELECT CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END AS grantee, granted.privilege_type
        FROM pg_class, aclexplode(pg_class.relacl) granted
        WHERE pg_class.oid = 'audit_entries'::regclass AND granted.privilege_type IN ('SELECT', 'INSERT')
            AND granted.grantee <> relowner
    LOOP
        EXECUTE format('GRANT %s ON tree_tiles, tree_checkpoints TO %s', may.privilege_type, may.grantee);
        IF may.privilege_type = 'INSERT' THEN
            -- A tile that is not full grows.
            EXECUTE format('GRANT UPDATE ON tree_tiles TO %s', may.grantee);
        END IF;
    END LOOP;
END
$$;
