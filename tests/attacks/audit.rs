//! What someone does to the audit log who holds its database, and not its key. The tables are those of `SQLite`.

use std::{fs, path::PathBuf};

use alm_test_support::{
    eventually,
    process::{Process, run},
};
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use tempfile::TempDir;

use crate::{forge::token_of, given::with_token, wire::exchange};

/// SQL that the database refuses by itself, for this reason.
pub(crate) struct Refused {
    pub(crate) name: &'static str,
    sql: &'static str,
    reason: &'static str,
}

const NEVER_CHANGES: &str = "an audit entry never changes";
const NEVER_GOES: &str = "an audit entry never goes";

#[rustfmt::skip]
pub(crate) const REFUSED: &[Refused] = &[
    refused("UPDATE of an entry", "UPDATE alm_audit SET actor = 'bob' WHERE idx = 3", NEVER_CHANGES),
    refused("UPDATE of all entries", "UPDATE alm_audit SET payload = '{}'", NEVER_CHANGES),
    refused("an entry renumbered", "UPDATE alm_audit SET idx = 99 WHERE idx = 3", NEVER_CHANGES),
    refused("DELETE of an entry", "DELETE FROM alm_audit WHERE idx = 3", NEVER_GOES),
    refused("DELETE of all entries, as TRUNCATE is written in SQLite", "DELETE FROM alm_audit", NEVER_GOES),
    refused("an entry changed by an upsert", "INSERT INTO alm_audit SELECT * FROM alm_audit WHERE idx = 3 ON CONFLICT DO UPDATE SET actor = 'bob'", NEVER_CHANGES),
    refused("an entry replaced", REPLACE, NEVER_CHANGES),
    refused("a checkpoint replaced", "INSERT OR REPLACE INTO alm_tree_checkpoints SELECT size, signed_at, '' FROM alm_tree_checkpoints", "a checkpoint of the tree never changes"),
    refused("UPDATE of a checkpoint", "UPDATE alm_tree_checkpoints SET note = ''", "a checkpoint of the tree never changes"),
    refused("DELETE of the checkpoints", "DELETE FROM alm_tree_checkpoints", "a checkpoint of the tree never goes"),
];

/// What is done to the database once every trigger is gone, and what `server audit verify` says then.
pub(crate) struct Tampering {
    pub(crate) name: &'static str,
    sql: &'static str,
    with: With,
    /// The exit status.
    status: i32,
    /// What it says among other things.
    says: &'static str,
}

/// What it is verified with.
enum With {
    /// What is in the database and beside it.
    Itself,
    /// The checkpoints that have left the database.
    Checkpoints,
    /// Another key than that of the log.
    AnotherKey,
    /// The checkpoints, and another key.
    AnotherKeyAndCheckpoints,
}
use With::{AnotherKey, AnotherKeyAndCheckpoints, Checkpoints, Itself};

const fn refused(name: &'static str, sql: &'static str, reason: &'static str) -> Refused {
    Refused { name, sql, reason }
}

const fn tampering(name: &'static str, sql: &'static str, with: With, status: i32, says: &'static str) -> Tampering {
    Tampering { name, sql, with, status, says }
}

/// It is found with what is there: from which entry on.
const fn found(name: &'static str, sql: &'static str, from: &'static str) -> Tampering {
    tampering(name, sql, Itself, 1, from)
}

/// The log has 8 entries.
#[rustfmt::skip]
pub(crate) const TAMPERINGS: &[Tampering] = &[
    found("an entry tells of another app", "UPDATE alm_audit SET payload = json_set(payload, '$.name', 'other') WHERE idx = 4", "tampered with from entry 4 on"),
    found("an entry has a letter more in its data", "UPDATE alm_audit SET payload = replace(payload, 'app 3', 'app 33') WHERE idx = 4", "tampered with from entry 4 on"),
    found("someone else has done it", "UPDATE alm_audit SET actor = 'bob' WHERE idx = 5", "tampered with from entry 5 on"),
    found("it was done to something else", "UPDATE alm_audit SET subject = 'apps/9' WHERE idx = 5", "tampered with from entry 5 on"),
    found("something else was done", "UPDATE alm_audit SET event_type = 'AppDeleted' WHERE idx = 5", "tampered with from entry 5 on"),
    found("it was done a millisecond later", "UPDATE alm_audit SET timestamp = timestamp + 1 WHERE idx = 6", "tampered with from entry 6 on"),
    found("it was recorded a microsecond later", "UPDATE alm_audit SET recorded_at = recorded_at + 1 WHERE idx = 6", "tampered with from entry 6 on"),
    found("another service has told it", "UPDATE alm_audit SET source_service = 'VersionService' WHERE idx = 6", "tampered with from entry 6 on"),
    found("it is of another event", "UPDATE alm_audit SET event_id = randomblob(16) WHERE idx = 6", "tampered with from entry 6 on"),
    found("the first entry is another", "UPDATE alm_audit SET actor = 'bob' WHERE idx = 1", "tampered with from entry 1 on"),
    found("the last entry is another", "UPDATE alm_audit SET actor = 'bob' WHERE idx = 8", "tampered with from entry 8 on"),
    found("two entries have changed places", SWAP, "tampered with from entry 4 on"),
    found("an entry is gone", "DELETE FROM alm_audit WHERE idx = 4", "tampered with from entry 4 on"),
    found("an entry is gone, and those behind it have moved up", "DELETE FROM alm_audit WHERE idx = 4; UPDATE alm_audit SET idx = idx - 1 WHERE idx > 4", "tampered with from entry 4 on"),
    found("the last entry is gone", "DELETE FROM alm_audit WHERE idx = 8", "tampered with from entry 8 on"),
    found("all entries are gone", "DELETE FROM alm_audit", "tampered with from entry 1 on"),
    found("an entry is put in between", PUT_IN, "tampered with from entry 5 on"),
    found("an entry is there twice", TWICE, "tampered with from entry 5 on"),
    found("an entry is replaced by INSERT OR REPLACE", REPLACE, "tampered with from entry 3 on"),
    tampering("an entry is put behind the last", APPEND, Itself, 0, "1 entries at the end are not signed for yet"),
    found("a hash of the tree is another", "UPDATE alm_tree_tiles SET hashes = zeroblob(length(hashes))", "tampered with from entry 1 on"),
    found("the tree is gone", "DELETE FROM alm_tree_tiles", "tampered with from entry 1 on"),
    tampering("the newest checkpoint is of more entries", OTHER_SIZE, Itself, 1, "checkpoint"),
    tampering("the newest checkpoint is signed by someone else", OTHER_SIGNATURE, Itself, 1, "checkpoint"),
    tampering("the newest checkpoint is garbage", "UPDATE alm_tree_checkpoints SET note = 'garbage' WHERE size = 8", Itself, 1, "checkpoint"),
    tampering("all checkpoints are gone", "DELETE FROM alm_tree_checkpoints", Itself, 2, "no checkpoint"),
    tampering("all checkpoints are gone, but have left before", "DELETE FROM alm_tree_checkpoints; UPDATE alm_audit SET actor = 'bob' WHERE idx = 4", Checkpoints, 1, "tampered with from entry "),
    tampering("all of it is taken back to an earlier state", ROLL_BACK, Checkpoints, 1, "the log ends before entry 2"),
    tampering("the log is made anew", "DELETE FROM alm_audit; DELETE FROM alm_tree_tiles; DELETE FROM alm_tree_checkpoints", Checkpoints, 1, "the log ends before entry 1"),
    tampering("nothing is wrong, but for the key it is verified with", "SELECT 1", AnotherKey, 1, "checkpoint"),
    tampering("nothing is wrong, but for the key the checkpoints are read with", "SELECT 1", AnotherKeyAndCheckpoints, 2, "it has no checkpoint of this log"),
];

const SWAP: &str = "UPDATE alm_audit SET idx = 99 WHERE idx = 4; UPDATE alm_audit SET idx = 4 WHERE idx = 5; \
     UPDATE alm_audit SET idx = 5 WHERE idx = 99";
const REPLACE: &str = "INSERT OR REPLACE INTO alm_audit SELECT idx, event_id, event_type, source_service, payload, timestamp, \
     latest, recorded_at, 'bob', subject FROM alm_audit WHERE idx = 3";
const PUT_IN: &str = "UPDATE alm_audit SET idx = -idx - 1 WHERE idx >= 5; UPDATE alm_audit SET idx = -idx WHERE idx < 0; \
     INSERT INTO alm_audit SELECT 5, randomblob(16), event_type, source_service, payload, timestamp, latest, recorded_at, \
     'bob', subject FROM alm_audit WHERE idx = 4";
const TWICE: &str = "UPDATE alm_audit SET idx = -idx - 1 WHERE idx >= 5; UPDATE alm_audit SET idx = -idx WHERE idx < 0; \
     INSERT INTO alm_audit SELECT 5, event_id, event_type, source_service, payload, timestamp, latest, recorded_at, actor, \
     subject FROM alm_audit WHERE idx = 4";
const APPEND: &str = "INSERT INTO alm_audit SELECT 9, randomblob(16), event_type, source_service, payload, timestamp, latest, \
     recorded_at, 'bob', subject FROM alm_audit WHERE idx = 4";
const OTHER_SIZE: &str = "UPDATE alm_tree_checkpoints SET note = replace(note, char(10) || '8' || char(10), \
     char(10) || '9' || char(10)) WHERE size = 8";
const OTHER_SIGNATURE: &str = "UPDATE alm_tree_checkpoints SET note = \
     substr(note, 1, length(note) - 20) || 'AAAAAAAAAAAAAAAAAAA' || char(10) WHERE size = 8";
/// Everything behind the first entry is gone, the signature for it as well.
const ROLL_BACK: &str = "DELETE FROM alm_audit WHERE idx > 1; DELETE FROM alm_tree_checkpoints WHERE size > 1; \
     UPDATE alm_tree_tiles SET hashes = substr(hashes, 1, 32)";

const ENTRIES: usize = 8;
const PASSWORD: &str = "correct-horse-battery";

/// The folder of a server that has ended: its database, the key beside it, and the checkpoints that have left.
struct Log(TempDir);

impl Log {
    /// One with the entries, each signed for by itself, so that there are as many checkpoints.
    async fn signed() -> Self {
        let log = Self(tempfile::tempdir().unwrap());
        let (url, file) = (log.url(), log.checkpoints());
        let secret = str::from_utf8(crate::forge::SECRET).unwrap();
        let settings = [
            ("DB_URL", &*url),
            ("JWT_SECRET", secret),
            ("ADMIN_PASSWORD", PASSWORD),
            ("AUDIT_CHECKPOINT_FILE", file.to_str().unwrap()),
        ];
        let mut server = Process::serve(&settings);
        let address = server.address_of("listening").parse().unwrap();
        log.is_signed(1).await;
        for n in 2..=ENTRIES {
            let new = format!(r#"{{"name":"app {}"}}"#, n - 1);
            let new = with_token(token_of("ada", "user", ""), "POST /apps").json(new);
            let said = exchange(address, &new.bytes(<[u8]>::to_vec), None).await.unwrap();
            assert_eq!(said.statuses(), [201], "{said}");
            log.is_signed(n).await;
        }
        server.signal("TERM");
        assert_eq!(server.ended().status.code(), Some(0));
        log
    }

    async fn is_signed(&self, entries: usize) {
        let line = format!("\n{entries}\n");
        eventually("it is signed for", async || {
            fs::read_to_string(self.checkpoints()).ok()?.contains(&line).then_some(())
        })
        .await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.path("alm.db").display())
    }

    fn checkpoints(&self) -> PathBuf {
        self.path("checkpoints")
    }

    /// The same again, for someone to do with as he likes.
    fn copy(&self) -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        for file in fs::read_dir(self.0.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copy.path(file.file_name().to_str().unwrap())).unwrap();
        }
        copy
    }

    /// Does what whoever holds the file can do; the error, if the database refuses it.
    async fn execute(&self, sql: &str) -> Result<(), String> {
        let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
        let done = connection.execute(AssertSqlSafe(sql.to_owned())).await;
        connection.close().await.unwrap();
        done.map(drop).map_err(|error| error.to_string())
    }

    async fn without_triggers(&self) {
        let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
        let all = "SELECT 'DROP TRIGGER \"' || name || '\"' FROM sqlite_master WHERE type = 'trigger'";
        let drops: Vec<String> = sqlx::query_scalar(all).fetch_all(&mut connection).await.unwrap();
        assert!(!drops.is_empty());
        for drop in drops {
            connection.execute(AssertSqlSafe(drop)).await.unwrap();
        }
        connection.close().await.unwrap();
    }

    /// What `server audit verify` says, with its exit status.
    fn verified(&self, with: &With) -> (Option<i32>, String) {
        let (file, url) = (self.checkpoints(), self.url());
        let another = another_key(&self.origin());
        let from = ["--from", file.to_str().unwrap()];
        let by = ["--public-key", &*another];
        let more = match with {
            Itself => vec![],
            Checkpoints => from.to_vec(),
            AnotherKey => by.to_vec(),
            AnotherKeyAndCheckpoints => [from, by].concat(),
        };
        let ended = run(&[&["audit", "verify"], &*more].concat(), &[("DB_URL", &url)]);
        (ended.status.code(), [ended.stdout, ended.stderr].concat().join("\n"))
    }

    /// The name of the log.
    fn origin(&self) -> String {
        fs::read_to_string(self.checkpoints()).unwrap().lines().next().unwrap().to_owned()
    }
}

/// The public key of someone who calls his log by the same name.
fn another_key(name: &str) -> String {
    let key = run(&["audit", "new-key", "--name", name], &[]).stdout.remove(0);
    run(&["audit", "public-key"], &[("AUDIT_KEY", &key)]).stdout.remove(0)
}

#[tokio::test]
async fn the_database_refuses_by_itself_to_change_the_audit_log() {
    let log = Log::signed().await;
    let mut failures = Vec::new();
    for Refused { name, sql, reason } in REFUSED {
        match log.execute(sql).await {
            Err(error) if error.contains(reason) => {}
            other => failures.push(format!("{name}: {other:?}")),
        }
        let (status, said) = log.verified(&Itself);
        if status != Some(0) || !said.contains("8/8 entries") {
            failures.push(format!("{name}: afterwards {status:?}: {said}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn whatever_is_changed_in_the_audit_log_is_found() {
    let log = Log::signed().await;
    assert_eq!(log.verified(&Checkpoints).0, Some(0));
    let mut failures = Vec::new();
    for Tampering { name, sql, with, status, says } in TAMPERINGS {
        let copy = log.copy();
        copy.without_triggers().await;
        copy.execute(sql).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let (ended, said) = copy.verified(with);
        if ended != Some(*status) || !said.contains(says) {
            failures.push(format!("{name}: {ended:?}, and not {status}: {said}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // Of all this nothing was done to the log itself.
    assert_eq!(log.verified(&Checkpoints).0, Some(0));
}
