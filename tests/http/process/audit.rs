//! `server audit`: what was signed is checked, whoever holds the database.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use alm_store_postgres::sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use alm_test_support::{
    nats::NatsServer,
    postgres::{Durability, Server},
};
use async_nats::jetstream::{self, stream::Config};
use serde_json::{Value, json};

use super::{Clients as _, Process, run};
use crate::support::{Given, PASSWORD, SECRET, eventually};

/// A server with entries that are signed for, and then ended. Its checkpoints are in a file besides.
async fn signed(settings: &[(&str, &str)], checkpoints: &Path, entries: u64) {
    let file = checkpoints.to_str().unwrap();
    let settings = [settings, &[("ADMIN_PASSWORD", PASSWORD), ("AUDIT_CHECKPOINT_FILE", file)]].concat();
    let mut server = Process::serve(&settings);
    let token = server.client().post("/login", &json!({"username": "admin", "password": PASSWORD})).await.ok(200);
    let admin = server.client().with_token(token["access_token"].as_str().unwrap());
    // The account, the log-in, and these.
    for n in 2..entries {
        admin.app(&format!("app {n}")).await;
    }
    let newest = admin.checkpoint(entries).await;
    eventually("it has left the store", async || fs::read_to_string(file).ok()?.contains(&newest).then_some(())).await;
    server.signal("TERM");
    assert_eq!(server.ended().status.code(), Some(0));
}

/// What a subcommand of `audit` prints, when it ends like this.
fn audit(args: &[&str], settings: &[(&str, &str)], status: i32) -> Vec<String> {
    let done = run(&[&["audit"], args].concat(), settings);
    assert_eq!(done.status.code(), Some(status), "{args:?}: {:?} {:?}", done.stdout, done.stderr);
    if status == 2 { done.stderr } else { done.stdout }
}

struct Sqlite {
    folder: tempfile::TempDir,
    url: String,
}

impl Sqlite {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("alm.db").display());
        Self { folder, url }
    }

    fn checkpoints(&self) -> std::path::PathBuf {
        self.folder.path().join("checkpoints")
    }

    /// Does what whoever holds the file can do.
    async fn execute(&self, sql: &str) {
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_log_in_sqlite_is_signed_and_what_is_changed_in_the_file_is_found() {
    // given
    let database = Sqlite::new();
    let file = database.checkpoints();
    let (settings, file) = ([("DB_URL", database.url.as_str())], file.to_str().unwrap());
    signed(&settings, &database.checkpoints(), 6).await;
    let key = database.folder.path().join("alm.db.audit-key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    // then
    let [said] = &*audit(&["verify"], &settings, 0) else { panic!("one line") };
    assert!(said.starts_with("6/6 entries, ") && said.ends_with(" checkpoints valid"), "{said}");
    let public_key = audit(&["public-key"], &settings, 0).remove(0);
    audit(&["verify", "--from", file, "--public-key", &public_key], &settings, 0);

    // when an entry is changed
    database
        .execute("DROP TRIGGER alm_audit_refuses_update; UPDATE alm_audit SET subject = 'apps/9' WHERE idx = 4")
        .await;
    // then
    let said = audit(&["verify"], &settings, 1);
    assert!(said[0].starts_with("3/6 entries, "), "{said:?}");
    assert!(said[1].starts_with("tampered with from entry 4 on: entry 4 is not what the checkpoint of "), "{said:?}");

    // when all is taken back that was signed last
    database.execute("DROP TRIGGER alm_audit_refuses_delete; DELETE FROM alm_audit WHERE idx > 1").await;
    let said = audit(&["verify", "--from", file], &settings, 1);
    assert!(said[1].contains("the log ends before entry 2"), "{said:?}");

    // A part of one that was not written to its end takes no other along.
    let whole = fs::read_to_string(file).unwrap();
    fs::write(file, format!("{}\n{whole}", &whole[..whole.len() - 20])).unwrap();
    audit(&["verify", "--from", file], &settings, 1);

    // when the key is lost, none is made in its place
    fs::remove_file(key).unwrap();
    let refused = run(&[], &[settings.as_slice(), &[("PORT", "0")]].concat());
    let [line] = refused.stderr.as_slice() else { panic!("it is not one line: {:?}", refused.stderr) };
    assert!(line.contains("AUDIT_KEY is not set") && line.contains("AUDIT_EARLIER_KEYS"), "{line}");
    // and there is nothing to check by
    let [said] = &*audit(&["verify"], &settings, 2) else { panic!("one line") };
    assert!(said.contains("--public-key"), "{said}");
}

#[tokio::test]
async fn an_export_is_what_the_api_gives_and_can_be_checked_alone() {
    let database = Sqlite::new();
    let file = database.checkpoints();
    let (settings, file) = ([("DB_URL", database.url.as_str())], file.to_str().unwrap());
    signed(&settings, &database.checkpoints(), 5).await;
    let lines = audit(&["export"], &settings, 0);
    let entries: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut server = Process::serve(&settings);
    let token = run(&["token", "--sub", "auditor", "--role", "admin"], &settings).stdout.remove(0);
    assert_eq!(server.client().with_token(token).get("/audit/events").await.ok(200), json!(entries));
    server.signal("TERM");
    server.ended();
    let rows = audit(&["export", "--format", "csv"], &settings, 0);
    assert_eq!(rows.len(), 6);
    assert!(rows[0].starts_with("index,event_id,event_type,"), "{rows:?}");

    // Whoever has the export needs the public key and the checkpoints, and no database.
    let public_key = audit(&["public-key"], &settings, 0).remove(0);
    let export = database.folder.path().join("export.ndjson");
    let verify = |status| {
        let args = ["verify", "--export", export.to_str().unwrap(), "--from", file, "--public-key", &public_key];
        audit(&args, &[("DB_URL", "memory:")], status)
    };
    fs::write(&export, lines.join("\n")).unwrap();
    assert!(verify(0)[0].starts_with("5/5 entries, "));
    fs::write(&export, lines.join("\n").replace("app 3", "app 4")).unwrap();
    assert!(verify(1)[1].starts_with("tampered with from entry "));
    fs::write(&export, "no JSON").unwrap();
    assert!(verify(2)[0].contains("line 1"));
}

#[tokio::test]
async fn a_log_in_postgresql_is_signed_with_the_key_that_is_given() {
    // given
    let postgres = tokio::task::spawn_blocking(|| Server::start(Durability::None)).await.unwrap();
    let url = postgres.url();
    let key = audit(&["new-key", "--name", "audit.example.com"], &[], 0).remove(0);
    let settings = [("DB_URL", &*url), ("JWT_SECRET", str::from_utf8(SECRET).unwrap()), ("AUDIT_KEY", &*key)];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoints");
    signed(&settings, &file, 5).await;

    // then
    assert!(audit(&["public-key"], &settings, 0)[0].starts_with("audit.example.com+"));
    let said = audit(&["verify", "--from", file.to_str().unwrap()], &settings, 0);
    assert!(said[0].starts_with("5/5 entries, "), "{said:?}");

    // when
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection
        .execute("ALTER TABLE alm.audit_entries DISABLE TRIGGER ALL; DELETE FROM alm.audit_entries WHERE index = 3")
        .await
        .unwrap();
    // then
    let said = audit(&["verify"], &settings, 1);
    assert_eq!(said[1], "tampered with from entry 3 on: entry 3 is missing");
}

#[tokio::test]
async fn checkpoints_leave_by_nats_too_and_are_what_a_log_is_verified_by() {
    // given
    let nats = tokio::task::spawn_blocking(NatsServer::start).await.unwrap();
    let context = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let subject = "checkpoints.alm";
    let kept = Config { name: "CHECKPOINTS".to_owned(), subjects: vec![subject.to_owned()], ..Config::default() };
    let stream = context.create_stream(kept).await.unwrap();
    let database = Sqlite::new();
    let (nats_url, file) = (nats.url(), database.checkpoints());
    let settings = [("DB_URL", &*database.url), ("NATS_URL", &*nats_url), ("AUDIT_CHECKPOINT_SUBJECT", subject)];

    // when
    signed(&settings, &file, 6).await;

    // then
    let newest = stream.get_last_raw_message_by_subject(subject).await.unwrap();
    let outside = database.folder.path().join("from-nats");
    fs::write(&outside, newest.payload).unwrap();
    let settings = [("DB_URL", &*database.url)];
    let from = ["verify", "--from", outside.to_str().unwrap()];
    assert!(audit(&from, &settings, 0)[0].starts_with("6/6 entries, "));
    let all_back = "DROP TRIGGER alm_audit_refuses_delete; DELETE FROM alm_audit; \
                    DROP TRIGGER alm_tree_checkpoints_refuses_delete; DELETE FROM alm_tree_checkpoints; \
                    DELETE FROM alm_tree_tiles";
    database.execute(all_back).await;
    assert!(audit(&from, &settings, 1)[1].contains("the log ends before entry 1"));
}

#[test]
fn a_subject_that_no_checkpoint_can_go_to_stops_the_start_with_one_line() {
    for (settings, says) in [
        (&[("AUDIT_CHECKPOINT_SUBJECT", "a")][..], "needs NATS_URL"),
        (&[("AUDIT_CHECKPOINT_SUBJECT", "a.>"), ("NATS_URL", "nats://localhost")][..], "must consist of"),
        (&[("AUDIT_CHECKPOINT_SUBJECT", "alm.v1.a.b"), ("NATS_URL", "nats://localhost")][..], "one of the bus itself"),
    ] {
        let database = Sqlite::new();
        let refused = run(&[], &[&[("PORT", "0"), ("DB_URL", &*database.url)], settings].concat());
        let [line] = refused.stderr.as_slice() else { panic!("it is not one line: {:?}", refused.stderr) };
        assert!(!refused.status.success() && line.starts_with("error: AUDIT_CHECKPOINT_SUBJECT"), "{line}");
        assert!(line.contains(says), "{line}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_made_to_be_checked() {
    let database = Sqlite::new();
    let settings = [("DB_URL", database.url.as_str())];
    let key = run(&["audit", "public-key"], &[("AUDIT_KEY", &audit(&["new-key", "--name", "a"], &[], 0)[0])])
        .stdout
        .remove(0);
    for args in [&["verify", "--public-key", &*key][..], &["export"]] {
        let said = audit(args, &settings, 2);
        assert!(said[0].contains("there is no "), "{said:?}");
    }
    assert!(fs::read_dir(database.folder.path()).unwrap().next().is_none());
}

#[tokio::test]
async fn wrong_keys_stop_the_start_with_one_line_that_does_not_repeat_them() {
    let database = Sqlite::new();
    let start = |key: &str| {
        let refused = run(&[], &[("PORT", "0"), ("DB_URL", &database.url), ("AUDIT_KEY", key)]);
        let [line] = refused.stderr.as_slice() else { panic!("it is not one line: {:?}", refused.stderr) };
        assert!(!refused.status.success() && line.starts_with("error: AUDIT_KEY: "), "{line}");
        assert!(!line.contains("c2VjcmV0"), "{line}");
    };
    start("c2VjcmV0");
    start("PRIVATE+KEY+audit.example.com+00000000+c2VjcmV0");
}
