-- Where the log begins. What is below may be there still for a while, but no one is shown it: the newest event always stays in
-- its table, for its position is the head of the log, and the next one comes from it.
CREATE TABLE alm_log_oldest (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL
) STRICT;

INSERT INTO alm_log_oldest (one, position) VALUES (1, 1);

DROP TRIGGER alm_events_refuses_delete;

CREATE TRIGGER alm_events_refuses_delete BEFORE DELETE ON alm_events
WHEN old.position >= (SELECT position FROM alm_log_oldest) BEGIN
    SELECT RAISE(ABORT, 'an event of the log never goes');
END;
