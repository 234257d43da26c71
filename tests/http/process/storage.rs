//! The server on a database that outlives it.

use std::os::unix::fs::PermissionsExt as _;

use alm_core::{
    changeset::Change,
    ports::Committer as _,
    testing::fixtures::{app, of},
};
use alm_store_sqlite::SqliteOptions;
use serde_json::json;

use super::{Clients as _, Process, run};
use crate::support::{Given, PASSWORD, SECRET};

/// A database in a folder that goes with the test.
struct Database(tempfile::TempDir);

impl Database {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("alm.db")
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_the_server_was_killed() {
    // given
    let database = Database::new();
    let url = database.url();
    let settings = [("DB_URL", url.as_str()), ("ADMIN_PASSWORD", PASSWORD)];
    let mut server = Process::serve(&settings);
    let token = server.client().post("/login", &json!({"username": "admin", "password": PASSWORD})).await.ok(200);
    let token = token["access_token"].as_str().unwrap().to_owned();
    let admin = server.client().with_token(&token);
    admin.app("billing").await;
    admin.version(1, "v1").await;

    // when
    server.signal("KILL");
    server.ended();
    let mut server = Process::serve(&settings);

    // then the same token counts, and everything is there, also in the audit log
    let admin = server.client().with_token(&token);
    assert_eq!(admin.get("/versions/1").await.ok(200)["tag"], "v1");
    admin.app("another").await;
    crate::support::eventually("the audit log has caught up", async || {
        let entries = admin.get("/audit/events").await.ok(200);
        let types: Vec<_> = entries.as_array()?.iter().map(|entry| entry["event_type"].as_str().unwrap()).collect();
        (types == ["UserCreated", "LoginSucceeded", "AppCreated", "VersionCreated", "AppCreated"]).then_some(())
    })
    .await;
    let events = admin.all("/events?limit=200").await;
    assert_eq!(events.last().unwrap()["sequence"], "00000000000000000005");
}

#[tokio::test]
async fn the_first_account_and_the_secret_are_made_once_and_kept() {
    // given
    let database = Database::new();
    let url = database.url();
    let mut server = Process::serve(&[("DB_URL", &url)]);
    server.logged("listening");
    let said = server.said();
    let password = said.rsplit(' ').next().unwrap().trim().to_owned();
    assert!(said.starts_with("The first account is admin"), "{said}");
    let secret = database.path().with_file_name("alm.db.jwt-secret");
    assert_eq!(secret.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    server.signal("TERM");
    assert_eq!(server.ended().status.code(), Some(0));

    // when
    let mut server = Process::serve(&[("DB_URL", &url)]);

    // then
    server.client().post("/login", &json!({"username": "admin", "password": password})).await.is(200);
    let token = run(&["token", "--sub", "ci", "--role", "user"], &[("DB_URL", &url)]);
    assert_eq!(token.status.code(), Some(0));
    server.client().with_token(token.stdout[0].clone()).app("billing").await;
    server.signal("TERM");
    let ended = server.ended();
    assert!(!ended.stderr.iter().any(|line| line.contains("The first account")), "{:?}", ended.stderr);
}

#[test]
fn a_server_that_may_not_migrate_starts_only_on_a_database_that_is_up_to_date() {
    let database = Database::new();
    let url = database.url();
    let settings = [("DB_URL", url.as_str()), ("MIGRATE", "never"), ("JWT_SECRET", str::from_utf8(SECRET).unwrap())];
    let refused = run(&[], &[&settings[..], &[("PORT", "0")]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr[0].contains("DB_URL"), "{:?}", refused.stderr);
    assert!(!database.path().exists(), "nothing is left behind");

    let migrated = run(&["migrate"], &settings);
    assert_eq!((migrated.status.code(), migrated.stdout.len()), (Some(0), 1), "{:?}", migrated.stderr);

    let server = Process::serve(&settings);
    server.signal("TERM");
    assert_eq!(server.ended().status.code(), Some(0));
}

#[test]
fn a_database_that_cannot_be_opened_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = format!("sqlite:{}", folder.path().join("no/such/folder/alm.db").display());
    let junk = folder.path().join("junk.db");
    std::fs::write(&junk, "this is no database, but a text of some length".repeat(50)).unwrap();
    let junk = format!("sqlite:{}", junk.display());
    for url in [&nowhere, &junk] {
        let refused = run(&[], &[("DB_URL", url), ("PORT", "0")]);
        assert_eq!(refused.status.code(), Some(1), "{url}");
        assert_eq!(refused.stderr.len(), 1, "{:?}", refused.stderr);
        assert!(refused.stderr[0].starts_with("error: DB_URL: "), "{:?}", refused.stderr);
    }
}

/// The log as a server on the database shows it, and the number of its audit entries, once `looks_right` says so.
async fn shown(server: &mut Process, looks_right: fn(&[String]) -> bool) -> (Vec<String>, usize) {
    let token = server.client().post("/login", &json!({"username": "admin", "password": PASSWORD})).await.ok(200);
    let admin = server.client().with_token(token["access_token"].as_str().unwrap());
    crate::support::eventually("the log looks right", async || {
        let events = admin.all("/events?limit=200").await;
        let log: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
        let audited = admin.all("/audit/events").await.len();
        looks_right(&log).then_some((log, audited))
    })
    .await
}

#[tokio::test]
async fn old_events_leave_the_log_unless_they_are_to_stay_for_ever_and_are_audited_still() {
    // given a database with an event of 1970
    let database = Database::new();
    let url = database.url();
    let store = SqliteOptions::new(database.path()).migrate(true).open().await.unwrap();
    store.commit(of(Change::app_created(&app(1, "billing")))).await.unwrap();
    store.close().await;
    let settings = |days| [("DB_URL", url.as_str()), ("ADMIN_PASSWORD", PASSWORD), ("LOG_RETENTION_DAYS", days)];

    // when nothing is to go, at a first start and when all is handled
    for _ in 0..2 {
        let mut server = Process::serve(&settings("0"));
        let (log, _) = shown(&mut server, |log| log.contains(&"LoginSucceeded".to_owned())).await;
        assert_eq!(log[..2], ["AppCreated", "UserCreated"]);
        server.signal("TERM");
        assert_eq!(server.ended().status.code(), Some(0));
    }

    // when what is older than a day is to go
    let mut server = Process::serve(&settings("1"));
    let (log, audited) = shown(&mut server, |log| log[0] != "AppCreated").await;

    // then
    assert_eq!(log[0], "UserCreated");
    assert!(audited > log.len(), "audit entries stay");
    let trimmed = server.logged("log trimmed");
    assert_eq!((&trimmed["events"], &trimmed["oldest"]), (&json!(1), &json!("2")), "{trimmed}");
}
