-- A commit gives its events their positions itself, if no other session is just giving any: they need no second write then.

-- Takes so many positions for the transaction, and gives the one before the first of them; null when another session is giving
-- positions, or when more events wait for theirs than are sealed at once. Events that wait come first.
--
-- The lock is held until the transaction ends, so no higher position can be seen before these.
CREATE FUNCTION take_positions(wanted bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    start bigint;
    more boolean;
BEGIN
    SELECT sealed.head, sealed.more INTO start, more FROM seal() sealed;
    IF start IS NULL OR more THEN
        RETURN NULL;
    END IF;
    UPDATE log SET head = start + wanted;
    RETURN start;
END
$$;

-- Changesets that are committed together have the same number: each stays together all the same.
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
    UPDATE log SET head = seal.head;
END
$$;

-- Most have no labels, and what has none is never looked for by them: an index of what has some costs the others nothing.
DROP INDEX apps_labels;
CREATE INDEX apps_labels ON apps USING gin (labels jsonb_path_ops) WHERE labels <> '{}';
DROP INDEX versions_labels;
CREATE INDEX versions_labels ON versions USING gin (labels jsonb_path_ops) WHERE labels <> '{}';
