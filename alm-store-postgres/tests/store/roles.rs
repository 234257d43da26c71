//! Roles: one session has each, and its end frees it.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use alm_core::{
    ports::{EventLog, Lease, Roles},
    testing::fixtures::consumer,
};
use alm_store_postgres::{PostgresOptions, PostgresStore, sqlx};
use alm_test_support::{
    eventually,
    network::Network,
    postgres::{Durability, Server},
};
use tokio::{task::spawn_blocking, time::timeout};

use crate::place::Place;

/// Where the process that is to be killed finds the database.
const URL: &str = "ALM_POSTGRES_ROLE_URL";

/// How long a role may outlive a process.
const SOON: Duration = Duration::from_secs(5);

async fn server() -> Server {
    let server = spawn_blocking(|| Server::start(Durability::None)).await.unwrap();
    PostgresStore::migrate(&PostgresOptions::parse(&server.url()).unwrap()).await.unwrap();
    server
}

async fn store(url: &str) -> PostgresStore {
    PostgresStore::connect(&PostgresOptions::parse(url).unwrap().max_connections(4)).await.unwrap()
}

/// The role `relay`, once it is free.
async fn taken(store: &PostgresStore) -> Box<dyn Lease> {
    let role = consumer("relay");
    let freed = eventually("the role is free", async || store.lead(&role).await.unwrap());
    timeout(SOON, freed).await.expect("it is free soon")
}

#[test]
fn a_process_that_is_killed_gives_up_its_role() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Ok(url) = env::var(URL) {
        runtime.block_on(hold_until_killed(&url));
    }
    runtime.block_on(async {
        let server = server().await;
        let store = store(&server.url()).await;
        for _ in 0..3 {
            // given another process that has the role
            let mut other = another_process(&server.url());
            assert!(store.lead(&consumer("relay")).await.unwrap().is_none());

            // when
            other.kill().unwrap();
            other.wait().unwrap();

            // then
            assert!(taken(&store).await.is_held().await);
        }
    });
}

/// Runs this test in a process of its own, which has the role when this is done.
fn another_process(url: &str) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "roles::a_process_that_is_killed_gives_up_its_role"])
        .env(URL, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap().ends_with("it has the role")), "it ended before it had the role");
    child
}

async fn hold_until_killed(url: &str) -> ! {
    let store = store(url).await;
    // The test may have it for a moment still.
    let mut lease = taken(&store).await;
    assert!(lease.is_held().await);
    println!("\nit has the role");
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_lost_with_its_session_and_does_not_come_back() {
    // given
    let place = Place::migrated().await;
    let (store, other) = (place.store().await, place.store().await);
    let mut lease = taken(&store).await;
    assert!(other.lead(&consumer("relay")).await.unwrap().is_none());

    // when its session is ended
    let holders = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 \
                   AND (classid::bigint << 32 | objid::bigint) = hashtextextended('alm role relay ' || $1, 0)";
    let ended: Vec<bool> = sqlx::query_scalar(holders).bind(place.schema()).fetch_all(&place.pool()).await.unwrap();
    assert_eq!(ended, [true]);

    // then another gets it, and who had it hears that it is lost, for ever
    let mut gained = taken(&other).await;
    assert!(!lease.is_held().await);
    assert!(gained.is_held().await);
    drop(gained);
    assert!(!lease.is_held().await);
    assert!(taken(&store).await.is_held().await, "that it was lost does not keep it from being taken again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_counts_as_lost_when_the_database_cannot_be_heard() {
    // given
    let server = server().await;
    let network = Network::to(server.socket());
    let store = store(&network.url()).await;
    let mut lease = taken(&store).await;
    assert!(lease.is_held().await);

    // when
    network.swallows(true);

    // then it is known soon
    assert!(!timeout(SOON, lease.is_held()).await.expect("the answer comes soon"));
    network.swallows(false);
    assert!(!lease.is_held().await, "it does not come back");
    // and once the database hears that the connection has ended, another gets it
    drop(network);
    let other = self::store(&server.url()).await;
    assert!(taken(&other).await.is_held().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_in_other_schemas_have_roles_of_their_own() {
    let (here, there) = (Place::migrated().await, Place::migrated().await);
    let (one, other) = (here.store().await, there.store().await);
    let (mut lease, mut other_lease) = (taken(&one).await, taken(&other).await);
    assert!(lease.is_held().await && other_lease.is_held().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_role_makes_no_connections() {
    // given a role that is taken
    let place = Place::migrated().await;
    let lease = taken(&*place.store().await).await;
    let role = consumer("relay");
    // and whoever may have one connection
    let who = format!("{}_waits", place.schema());
    place
        .execute(&format!(
            "CREATE ROLE {who} LOGIN CONNECTION LIMIT 1; GRANT USAGE ON SCHEMA $schema TO {who}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA $schema TO {who}"
        ))
        .await;
    // One for groups, which is not made until there are any, and one for everything else.
    let options = place.options_with(place.host().username(&who)).max_connections(2);
    let waiting = PostgresStore::connect(&options).await.unwrap();
    // The connection on which it was opened may not be gone yet.
    eventually("it has its connection", async || waiting.head().await.ok()).await;

    // when it asks, it is told
    for _ in 0..5 {
        assert!(waiting.lead(&role).await.unwrap().is_none());
    }

    // then it needs another one only when the role is free
    drop(lease);
    let refused = eventually("it is refused", async || waiting.lead(&role).await.err()).await;
    assert_eq!(refused.code(), "backend");
    waiting.close().await;
    place.execute(&format!("DROP OWNED BY {who}; DROP ROLE {who}")).await;
}
