-- The tree over the audit log: its tiles, each of 1 to 256 hashes of 32 bytes one after the other, and what was signed of it.
CREATE TABLE alm_tree_tiles (
    level INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, idx)
) STRICT;

CREATE TABLE alm_tree_checkpoints (
    -- How many entries of the audit log the tree had.
    size INTEGER PRIMARY KEY,
    signed_at INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT;

CREATE TRIGGER alm_tree_checkpoints_refuses_update BEFORE UPDATE ON alm_tree_checkpoints BEGIN
    SELECT RAISE(ABORT, 'a checkpoint of the tree never changes');
END;

CREATE TRIGGER alm_tree_checkpoints_refuses_delete BEFORE DELETE ON alm_tree_checkpoints BEGIN
    SELECT RAISE(ABORT, 'a checkpoint of the tree never goes');
END;
