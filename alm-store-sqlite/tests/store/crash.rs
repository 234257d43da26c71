//! A process that is killed leaves every changeset whole or absent, and loses none that it was given a receipt for.

use std::{
    collections::BTreeMap,
    env,
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use alm_core::{
    changeset::Change,
    domain::{ChangesetId, Position},
    ports::{AppFilter, Committer, EventLog, Reader, Sequence},
    testing::fixtures::{app, of_all, username},
};
use alm_store_sqlite::SqliteStore;

/// Where the process that is to be killed finds the file.
const FILE: &str = "ALM_SQLITE_CRASH_FILE";
const ROUNDS: u64 = 12;
const EVENTS: usize = 3;

#[test]
fn what_was_acknowledged_survives_a_kill_and_the_rest_is_whole_or_absent() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(path) = env::var_os(FILE) {
        runtime.block_on(commit_until_killed(path.as_ref()));
    }
    // given
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alm.db");
    runtime.block_on(SqliteStore::migrate(&path)).unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        // when
        let some = RandomState::new().hash_one(round) % 200;
        acknowledged.extend(kill_after(some, &path));

        // then
        runtime.block_on(check(&path, &acknowledged));
    }
}

/// Runs this test in a process of its own, which is killed when it has said so many times that it was given a receipt. Gives all
/// that it was given receipts for.
fn kill_after(receipts: u64, path: &Path) -> Vec<ChangesetId> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("crash::what_was_acknowledged_survives_a_kill_and_the_rest_is_whole_or_absent")
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    for line in said.lines() {
        let line = line.unwrap();
        // The last one may have been cut off by the kill.
        let Some(id) = line.strip_prefix("acknowledged ").and_then(|id| serde_json::from_str(id).ok()) else {
            continue;
        };
        acknowledged.push(id);
        if acknowledged.len() as u64 == receipts + 1 {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    assert!(acknowledged.len() as u64 > receipts, "it ended before it was killed");
    acknowledged
}

async fn commit_until_killed(path: &Path) -> ! {
    let store = SqliteStore::open(path).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                loop {
                    let id = store.allocate(Sequence::Apps, 1).await.unwrap().first;
                    let failed = || Change::login_failed(&username("ada"));
                    let created = Change::app_created(&app(id, &format!("app-{id}")));
                    let changeset = of_all(failed(), [created, failed()]);
                    let receipt = store.commit(changeset).await.unwrap();
                    println!("\nacknowledged {}", serde_json::to_string(&receipt.changeset).unwrap());
                }
            })
        })
        .collect();
    for task in tasks {
        let ended: Result<(), _> = task.await;
        ended.unwrap();
    }
    unreachable!("the tasks never end")
}

async fn check(path: &Path, acknowledged: &[ChangesetId]) {
    let store = SqliteStore::open(path).await.unwrap();
    let log = store.read(Position::START, usize::MAX).await.unwrap();
    let mut places: BTreeMap<ChangesetId, Vec<u64>> = BTreeMap::new();
    for (event, position) in log.iter().zip(1..) {
        assert_eq!(event.position, Position::new(position), "the log has a gap");
        places.entry(event.changeset).or_default().push(position);
    }
    for (changeset, places) in &places {
        let together: Vec<u64> = (places[0]..).take(EVENTS).collect();
        assert_eq!(*places, together, "{changeset} is not whole");
    }
    let apps = store.apps(&AppFilter::default(), None, usize::MAX).await.unwrap();
    assert_eq!(apps.len(), places.len(), "state and log differ");
    for changeset in acknowledged {
        assert!(places.contains_key(changeset), "{changeset} is lost");
        assert!(store.receipt(*changeset).await.unwrap().is_some());
    }
    // No id is given again either.
    let highest = apps.iter().map(|app| app.id.get()).max().unwrap_or(0);
    assert!(store.allocate(Sequence::Apps, 1).await.unwrap().first > highest);
    store.close().await;
}
