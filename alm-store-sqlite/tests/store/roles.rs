//! Roles: one process has each, and its death frees it.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use alm_core::{ports::Roles, testing::fixtures::consumer};
use alm_store_sqlite::SqliteStore;
use alm_test_support::eventually;
use tokio::time::timeout;

use crate::in_folder::InFolder;

/// Where the process that is to be killed finds the file.
const FILE: &str = "ALM_SQLITE_ROLE_FILE";

/// How long a role may outlive a process.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_process_that_is_killed_gives_up_its_role() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(path) = env::var_os(FILE) {
        runtime.block_on(hold_until_killed(path.as_ref()));
    }
    runtime.block_on(async {
        let subject = InFolder::new().await;
        let role = consumer("relay");
        for _ in 0..3 {
            // given another process that has the role
            let mut other = another_process(&subject.path());
            assert!(subject.store.lead(&role).await.unwrap().is_none());

            // when
            other.kill().unwrap();
            other.wait().unwrap();

            // then
            let freed = eventually("the role is free", async || subject.store.lead(&role).await.unwrap());
            assert!(timeout(SOON, freed).await.expect("it is free soon").is_held().await);
        }
    });
}

/// Runs this test in a process of its own, which has the role when this is done.
fn another_process(path: &Path) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "roles::a_process_that_is_killed_gives_up_its_role"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap().ends_with("it has the role")), "it ended before it had the role");
    child
}

async fn hold_until_killed(path: &Path) -> ! {
    let store = SqliteStore::open(path).await.unwrap();
    let role = consumer("relay");
    // The test may have it for a moment still.
    let mut lease = eventually("the role is free", async || store.lead(&role).await.unwrap()).await;
    assert!(lease.is_held().await);
    println!("\nit has the role");
    std::future::pending().await
}

#[tokio::test]
async fn a_role_is_lost_with_its_file_and_the_file_stays_when_it_is_given_up() {
    let subject = InFolder::new().await;
    let role = consumer("relay");
    let file = subject.path().with_file_name("alm.db.relay.lock");

    // when it is given up
    drop(subject.store.lead(&role).await.unwrap().unwrap());
    assert!(file.exists());

    // when someone takes the file away
    let mut lease = subject.store.lead(&role).await.unwrap().expect("the role is free");
    fs::remove_file(&file).unwrap();
    let mut other = subject.store.lead(&role).await.unwrap().expect("there is another file");
    // then there are not two who hold they have it
    assert!(other.is_held().await);
    assert!(!lease.is_held().await);
    drop(other);
    assert!(!lease.is_held().await, "it does not come back");
}

#[tokio::test]
async fn files_beside_each_other_have_roles_of_their_own() {
    let subject = InFolder::new().await;
    let role = consumer("relay");
    let beside = subject.path().with_file_name("other.db");
    SqliteStore::migrate(&beside).await.unwrap();
    let beside = SqliteStore::open(&beside).await.unwrap();
    let one = subject.store.lead(&role).await.unwrap();
    let other = beside.lead(&role).await.unwrap();
    assert!(one.is_some() && other.is_some());
}

#[tokio::test]
async fn a_folder_that_takes_no_files_is_a_fault_and_no_role() {
    let subject = InFolder::new().await;
    let file = subject.path().with_file_name("alm.db.relay.lock");
    // A folder of this name can't be opened as a file, whoever asks.
    fs::create_dir(file).unwrap();
    let Err(error) = subject.store.lead(&consumer("relay")).await else { panic!("it has no file to lock") };
    assert_eq!(error.code(), "backend");
}
