-- Ends a statement that is a transaction by itself when what it was decided on does not hold any more.
CREATE FUNCTION must_hold(holds boolean) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF holds IS NOT TRUE THEN
        RAISE EXCEPTION 'not all of it could be done' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN true;
END
$$;

-- Where the log and the audit log end is what their indexes say, and stands in no row of its own. Every commit would leave another
-- version of such a row, and while any session holds a snapshot, as a dump does for as long as it takes, none of them could go:
-- each commit would have to pass over all those that were made since. (What gets its position only after its commit still leaves
-- something behind, in the index of what has none.)
ALTER TABLE log RENAME TO log_identity;
ALTER TABLE log_identity DROP COLUMN head;
CREATE VIEW log AS
    SELECT id, coalesce((SELECT position FROM events WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1),
                        (SELECT position - 1 FROM log_oldest)) AS head
    FROM log_identity;
-- Whoever could read the head can do so still, before anyone grants anything anew: servers are at work meanwhile.
DO $$
DECLARE
    reader text;
BEGIN
    FOR reader IN
        SELECT CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END
        FROM pg_class, aclexplode(pg_class.relacl) granted
        WHERE pg_class.oid = 'log_identity'::regclass AND granted.privilege_type = 'SELECT' AND granted.grantee <> relowner
    LOOP
        EXECUTE 'GRANT SELECT ON log TO ' || reader;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION take_positions(wanted bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    start bigint;
    some_wait boolean;
    more boolean;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('alm seal ' || current_schema(), 0)) THEN
        RETURN NULL;
    END IF;
    SELECT log.head, EXISTS (SELECT FROM events WHERE position IS NULL) INTO STRICT start, some_wait FROM log;
    IF some_wait THEN
        SELECT sealed.head, sealed.more INTO start, more FROM seal() sealed;
    END IF;
    RETURN CASE WHEN more THEN NULL ELSE start END;
END
$$;

CREATE OR REPLACE FUNCTION seal(OUT head bigint, OUT more boolean) LANGUAGE plpgsql VOLATILE AS $$
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
        SELECT changeset_id, ordinal, row_number() OVER (ORDER BY commit_order, changeset_id, ordinal) AS place
        FROM events WHERE position IS NULL AND commit_order <= last
    ) unsealed
    WHERE events.changeset_id = unsealed.changeset_id AND events.ordinal = unsealed.ordinal;
    GET DIAGNOSTICS sealed = ROW_COUNT;
    head := head + sealed;
END
$$;

-- The latest time up to an entry. Times may go back, this does not, so by it the first entry since a time is found.
ALTER TABLE audit_entries ADD COLUMN latest bigint;
ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_never_change;
UPDATE audit_entries SET latest = up_to.latest
FROM (SELECT index, max(occurred_at) OVER (ORDER BY index) AS latest FROM audit_entries) up_to
WHERE up_to.index = audit_entries.index;
ALTER TABLE audit_entries ENABLE TRIGGER audit_entries_never_change;
ALTER TABLE audit_entries ALTER COLUMN latest SET NOT NULL;
DROP INDEX audit_by_time;
CREATE INDEX audit_by_latest ON audit_entries (latest, index);

-- Where the audit log ends, for whoever records next: nobody else does until the transaction ends.
CREATE FUNCTION audit_end(OUT index bigint, OUT latest bigint) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('alm audit ' || current_schema(), 0));
    SELECT last.index, last.latest INTO index, latest FROM audit_entries last ORDER BY last.index DESC LIMIT 1;
    index := coalesce(index, 0);
END
$$;
DROP TABLE audit_head;
