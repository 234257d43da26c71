//! The server on `PostgreSQL`, run as the guide says.

use std::process::Command;

use alm_store_postgres::sqlx::{self, AssertSqlSafe, Connection, Executor, PgConnection, error::DatabaseError};
use alm_test_support::{
    certificates::{Authority, tls_settings},
    postgres::{Durability, PORT, Server, address, binary},
};
use serde_json::json;

use super::{Clients as _, Process, run};
use crate::support::{Client, Given, PASSWORD, SECRET, each, eventually};

const GUIDE: &str = include_str!("../../../docs/postgresql.md");

/// The block of the guide that contains `part`.
fn block(language: &str, part: &str) -> &'static str {
    let fence = format!("```{language}\n");
    let blocks: Vec<_> = GUIDE.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let found: Vec<_> = blocks.into_iter().filter(|block| block.contains(part)).collect();
    let [block] = found.as_slice() else { panic!("of such blocks there is not one: {language} {part}: {found:?}") };
    block
}

/// Settings with which a server keeps everything there.
fn settings(url: &str) -> Vec<(&str, &str)> {
    vec![("DB_URL", url), ("JWT_SECRET", str::from_utf8(SECRET).unwrap()), ("ADMIN_PASSWORD", PASSWORD)]
}

async fn admin(server: &mut Process) -> Client {
    let client = server.client();
    let token = client.post("/login", &json!({"username": "admin", "password": PASSWORD})).await.ok(200);
    client.with_token(token["access_token"].as_str().unwrap())
}

/// Waits until the audit log has these types of events, after those of the log-in.
async fn audited(admin: &Client, types: &[&str]) {
    eventually("the audit log has caught up", async || {
        let entries = admin.get("/audit/events").await.ok(200);
        (each(&entries, "event_type").get(2..)? == types).then_some(())
    })
    .await;
}

/// The line with which the server refuses to start.
fn refusal(settings: &[(&str, &str)]) -> String {
    let refused = run(&[], &[&[("PORT", "0")], settings].concat());
    let [line] = refused.stderr.as_slice() else { panic!("it is not one line: {:?}", refused.stderr) };
    assert!(!refused.status.success() && line.starts_with("error: DB_URL: "), "{line}");
    line.clone()
}

async fn plain_server() -> Server {
    tokio::task::spawn_blocking(|| Server::start(Durability::None)).await.unwrap()
}

/// A server at an address, in TLS.
struct InTls {
    server: Server,
    authority: Authority,
    address: String,
}

impl InTls {
    async fn start() -> Self {
        let start = || {
            let (authority, address) = (Authority::new(), address());
            let name = format!("IP:{address}");
            let prepare = |folder: &std::path::Path| tls_settings(folder, &address, &authority, &name);
            Self { server: Server::start_with(Durability::None, prepare), authority, address }
        };
        tokio::task::spawn_blocking(start).await.unwrap()
    }

    /// The URL in the command of the guide that ends with `end`.
    fn url(&self, end: &str) -> String {
        let url = block("sh", end).split('\'').nth(1).unwrap();
        let ca = self.authority.ca().display().to_string();
        let here = url.replace("db.example.org", &format!("{}:{PORT}", self.address));
        let here = here.replace("/etc/alm/postgres-ca.pem", &ca);
        assert!(here.contains(&self.address) && here.contains(&ca), "{url}");
        here
    }

    /// A connection to the database of the guide.
    async fn connect(&self, role: &str) -> PgConnection {
        let url = self.server.url().replace("/template1", "/alm").replace("//alm@", &format!("//{role}@"));
        PgConnection::connect(&url).await.unwrap()
    }
}

#[tokio::test]
async fn the_roles_of_the_guide_can_do_the_work_and_not_change_the_audit_log() {
    // given the two roles, the schema and the grants, all by the text of the guide
    let database = InTls::start().await;
    let mut administrator = PgConnection::connect(&database.server.url()).await.unwrap();
    for statement in block("sql", "CREATE ROLE alm_owner").split_inclusive(';') {
        // One by one, because a database is not made in a transaction.
        administrator.execute(statement).await.unwrap();
    }
    let owners = database.url("server migrate");
    let migrated = run(&["migrate"], &[("DB_URL", &owners)]);
    assert!(migrated.status.success(), "{:?}", migrated.stderr);
    database.connect("alm_owner").await.execute(block("sql", "GRANT USAGE ON SCHEMA alm")).await.unwrap();

    // when a server works under the lesser of them
    let service = database.url("MIGRATE=never server");
    let mut server = Process::serve(&[settings(&service), vec![("MIGRATE", "never")]].concat());
    let admin = admin(&mut server).await;
    let app = admin.app("billing").await;
    let version = admin.version(app, "v1").await;
    let deployment = admin.deployment(version, "prod").await;
    admin.moves(deployment, "successful").await;
    admin.put(format!("/apps/{app}"), &json!({"name": "invoicing"})).await.is(200);
    admin.account("ada", "user").await;
    admin.put("/users/ada/password", &json!({"password": "another-horse-battery"})).await.is(204);
    admin.delete("/users/ada").await.is(204);
    let keyed = || admin.post("/apps", &json!({"name": "second"})).header("idempotency-key", "k");
    let first = keyed().await.ok(201);
    assert_eq!(keyed().await.ok(201), first);
    admin.delete(format!("/apps/{app}")).await.is(204);
    let all = ["AppCreated", "VersionCreated", "DeploymentCreated", "DeploymentUpdated", "AppUpdated", "UserCreated"];
    let then = ["PasswordChanged", "UserDeleted", "AppCreated", "AppDeleted", "VersionDeleted", "DeploymentDeleted"];
    audited(&admin, &[all, then].concat()).await;

    // then that role can look, as the guide shows
    let mut connection = database.connect("alm_service").await;
    for query in block("sql", "-- Events without a position").split_inclusive(';') {
        connection.execute(query).await.unwrap();
    }
    // and may not touch what has happened
    for statement in [
        "UPDATE alm.audit_entries SET actor = 'someone'",
        "DELETE FROM alm.audit_entries",
        "TRUNCATE alm.audit_entries",
        "DROP TABLE alm.audit_entries",
        "DROP SCHEMA alm CASCADE",
        "ALTER TABLE alm.audit_entries DISABLE TRIGGER ALL",
        "ALTER TABLE alm.audit_entries RENAME TO others",
        "DROP TRIGGER audit_entries_never_change ON alm.audit_entries",
        "CREATE OR REPLACE FUNCTION alm.refuse_to_change_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "SET session_replication_role = replica",
        "SET ROLE alm_owner",
        "CREATE RULE r AS ON INSERT TO alm.audit_entries DO INSTEAD NOTHING",
        "UPDATE alm.events SET data = '{}'",
        "DELETE FROM alm.log",
        "DELETE FROM alm.log_identity",
        "UPDATE alm.alm_migrations SET version = 99",
        "CREATE TABLE alm.more ()",
        "CREATE SCHEMA more",
    ] {
        let error = connection.execute(statement).await.expect_err(statement);
        let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default().into_owned();
        assert_eq!(code, "42501", "insufficient_privilege: {statement}: {error}");
    }
    audited(&admin, &[all, then].concat()).await;
    // and tells of its pool and its sealer
    let metrics = server.client().get("/metrics").await.is(200).text();
    for line in [
        "alm_store_connections{state=\"idle\"}",
        "alm_store_connections_max 15",
        "alm_log_unsealed_events 0",
        "alm_log_sealer_lag_seconds 0",
    ] {
        assert!(metrics.lines().any(|said| said.starts_with(line)), "{line}: {metrics}");
    }
    assert!(metrics.contains("alm_commit_batch_size_count{store=\"postgres\"}"), "{metrics}");
    // and starts again as it is, also when it may migrate
    server.signal("TERM");
    assert!(server.ended().status.success());
    Process::serve(&[settings(&service), vec![("MIGRATE", "auto")]].concat());
}

#[tokio::test]
async fn two_servers_share_a_database_by_the_url_alone() {
    let database = plain_server().await;
    let lines = block("text", "schema=staging").lines();
    let urls: Vec<_> = lines
        .map(|line| line.replace("postgres://alm_service@db.example.org/alm?", &format!("{}&", database.url())))
        .collect();
    let [staging, production] = urls.as_slice() else { panic!("{urls:?}") };

    // when both work at once
    let (mut staging, mut production) = (Process::serve(&settings(staging)), Process::serve(&settings(production)));
    let (one, other) = (admin(&mut staging).await, admin(&mut production).await);
    assert_eq!(one.app("billing").await, 1);
    assert_eq!(other.app("billing").await, 1);
    other.version(1, "v1").await;

    // then each has what is its own and nothing else
    audited(&one, &["AppCreated"]).await;
    audited(&other, &["AppCreated", "VersionCreated"]).await;
    let mut host = PgConnection::connect(&database.url()).await.unwrap();
    let tables = "SELECT DISTINCT schemaname::text FROM pg_tables WHERE schemaname !~ '^(pg_|information)' ORDER BY 1";
    let schemas: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut host).await.unwrap();
    assert_eq!(schemas, ["production", "staging"]);
    // and one outlives the other
    host.execute("DROP SCHEMA staging CASCADE").await.unwrap();
    other.version(1, "v2").await;
    audited(&other, &["AppCreated", "VersionCreated", "VersionCreated"]).await;
}

#[tokio::test]
async fn a_server_that_may_not_migrate_does_not_start_on_an_old_schema_and_says_what_to_do() {
    let database = plain_server().await;
    let url = database.url();
    let never = [settings(&url), vec![("MIGRATE", "never")]].concat();
    let told = refusal(&never);
    assert!(told.contains("no store in the schema alm") && told.contains("server migrate"), "{told}");

    // given
    assert!(run(&["migrate"], &[("DB_URL", &url)]).status.success());
    let mut host = PgConnection::connect(&url).await.unwrap();
    let newest = "WHERE version = (SELECT max(version) FROM alm.alm_migrations)";
    let older = format!("UPDATE alm.alm_migrations SET version = 0 {newest}");
    host.execute(AssertSqlSafe(older)).await.unwrap();
    // then
    let told = refusal(&never);
    assert!(told.contains("is at version") && told.contains("server migrate"), "{told}");

    // given a newer one
    host.execute(AssertSqlSafe(format!("UPDATE alm.alm_migrations SET version = 99 {newest}"))).await.unwrap();
    // then
    for migrate in ["never", "auto"] {
        let told = refusal(&[settings(&url), vec![("MIGRATE", migrate)]].concat());
        assert!(told.contains("is at version 99") && told.contains("run a newer program"), "{told}");
    }
    assert!(!run(&["migrate"], &[("DB_URL", &url)]).status.success());
}

#[tokio::test]
async fn a_database_that_can_not_be_used_is_told_in_one_line_with_what_to_do() {
    let database = InTls::start().await;
    let mut host = PgConnection::connect(&database.server.url()).await.unwrap();
    host.execute("CREATE ROLE bob LOGIN PASSWORD 'right'; CREATE ROLE eve LOGIN PASSWORD 'right'").await.unwrap();
    let place = format!("{}:{PORT}", database.address);
    let plain = plain_server().await;
    let socket = plain.socket().parent().unwrap().display().to_string();
    for (url, told) in [
        (format!("postgres://bob:hunter2@{place}/template1"), "check the user and the password"),
        (format!("postgres://bob:right@{place}/nothing"), "create the database"),
        (format!("postgres://bob:right@{place}/template1"), "migrate as the role that owns the schema"),
        (format!("postgres://bob:right@{place}/template1?sslmode=disable"), "pg_hba.conf"),
        (format!("postgres://bob:right@{place}/template1?sslmode=verify-full"), "sslrootcert"),
        (format!("postgres://bob:right@{place}/template1?sslmod=verify-full"), "\"sslmod\" is no parameter"),
        (format!("postgres://alm:hunter2@x/template1?host={socket}&sslmode=require"), "turn on ssl"),
        ("postgres://alm:hunter2@127.0.0.1:1/alm".to_owned(), "see that it runs there"),
        ("postgres://alm:hunter2@127.0.0.1:x/alm".to_owned(), "write / as %2F"),
        ("postgres://127.0.0.1/alm".to_owned(), "names no user"),
        ("postgres://alm@127.0.0.1/alm?schema=Alm".to_owned(), "can't be a schema"),
    ] {
        let line = refusal(&settings(&url));
        assert!(line.contains(told), "{url}: {line}");
        assert!(!line.contains("hunter2"), "a password is not repeated to whoever reads along: {line}");
    }
}

#[tokio::test]
async fn a_backup_by_the_guide_holds_everything() {
    // given a server at work, and a database with nothing in it
    let database = plain_server().await;
    let url = database.url();
    let mut host = PgConnection::connect(&url).await.unwrap();
    host.execute("CREATE DATABASE empty").await.unwrap();
    let empty = url.replace("/template1", "/empty");
    let mut server = Process::serve(&settings(&url));
    let before = admin(&mut server).await;
    before.app("billing").await;
    audited(&before, &["AppCreated"]).await;
    let entries = before.get("/audit/events").await.ok(200);

    // when
    let programs = binary("pg_dump").parent().unwrap().display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut backup = Command::new("bash");
    backup.args(["-euc", block("sh", "pg_dump")]).current_dir(folder.path());
    backup.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()));
    let done = backup.env("DATABASE", &url).env("EMPTY_DATABASE", &empty).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    // then
    let mut restored = Process::serve(&[settings(&empty), vec![("MIGRATE", "never")]].concat());
    let after = admin(&mut restored).await;
    let restored = after.get("/audit/events").await.ok(200);
    assert!(restored.as_array().unwrap().starts_with(entries.as_array().unwrap()), "{restored}");
    assert_eq!(after.get("/apps/1").await.ok(200)["name"], "billing");
    assert!(after.app("next").await > 1, "no id is given twice");
}
