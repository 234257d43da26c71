-- Where the log begins: one row, whose lock those who trim wait for. It does not stand in the table log, whose row the sealer
-- changes.
CREATE TABLE log_oldest (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    position bigint NOT NULL
);
INSERT INTO log_oldest (position) VALUES (1);

-- Removes the oldest events, as long as they stand at up_to or below and happened before the time; at most so many. Gives how
-- many went, and where the log begins then. Each statement in here has a snapshot of its own, so that what is read is read under
-- the lock.
--
-- By its bounds it finds what goes by position, without passing over what went before: that is in the index until it is
-- vacuumed.
CREATE FUNCTION trim_log(up_to bigint, before bigint, at_most bigint, OUT gone bigint, OUT oldest bigint)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    head bigint;
    stays bigint;
BEGIN
    SELECT log_oldest.position INTO STRICT oldest FROM log_oldest FOR UPDATE;
    SELECT log.head INTO STRICT head FROM log;
    stays := least(least(up_to, head) + 1, oldest + least(at_most, head));
    SELECT coalesce(min(events.position), stays) INTO stays FROM (
        SELECT events.position FROM events
        WHERE events.position >= oldest AND events.position < stays AND events.time >= before
        ORDER BY events.position LIMIT 1
    ) events;
    gone := greatest(stays - oldest, 0);
    IF gone > 0 THEN
        DELETE FROM events WHERE events.position >= oldest AND events.position < stays;
        oldest := stays;
        UPDATE log_oldest SET position = oldest;
    END IF;
END
$$;
