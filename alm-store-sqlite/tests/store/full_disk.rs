//! A disk without space: whatever has none is told so and leaves nothing behind, and goes well once there is space.

use std::{env, path::Path, process::Command};

use alm_core::{
    changeset::{Change, Changeset},
    domain::{Changelog, Position, Version},
    ports::{BackendError, BackendErrorKind, Committer, EventLog, Outcome, Reader, Sequence, StoreError},
    testing::fixtures::{app, app_id, entry, of, of_all, version, version_id},
};
use alm_store_sqlite::{SqliteOptions, SqliteStore};
use alm_test_support::small_disk::{self, Ballast, with_small_disk};
use futures_util::future::join_all;

/// Names the small disk to the test that is started anew with one.
const DISK: &str = "ALM_TEST_SMALL_DISK";

fn large(id: i64) -> Version {
    Version { changelog: Changelog::parse("x".repeat(30_000)).unwrap(), ..version(id, 1, &format!("v{id}")) }
}

/// Is committed together with others.
fn joining(id: i64) -> Changeset {
    of(Change::version_created(&large(id)))
}

/// Is committed by itself.
fn alone(id: i64) -> Changeset {
    joining(id).recording(entry("x"))
}

/// More than `SQLite` keeps in memory, so that it writes before the end.
fn huge(id: i64) -> Changeset {
    let created = |id| Change::version_created(&large(id));
    of_all(created(id), (id + 1..id + 150).map(created))
}

#[track_caller]
fn is_refused<T: std::fmt::Debug>(what: &str, answer: &Result<T, StoreError>) {
    let Err(StoreError::Backend(BackendError { kind, outcome, .. })) = answer else { panic!("{what}: {answer:?}") };
    assert_eq!((*kind, *outcome), (BackendErrorKind::NotWritable, Outcome::NotApplied), "{what}");
}

async fn has(store: &SqliteStore, id: i64) -> bool {
    store.version(version_id(id)).await.unwrap().is_some()
}

async fn has_app(store: &SqliteStore, id: i64) -> bool {
    store.app(app_id(id)).await.unwrap().is_some()
}

async fn on_a_small_disk(disk: &Path) {
    let open = || SqliteOptions::new(disk.join("alm.db")).migrate(true).open();
    let store = open().await.unwrap();
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();

    // given
    let full = Ballast::in_folder(disk);

    // when
    is_refused("alone", &store.commit(alone(1000)).await);
    is_refused("joining", &store.commit(joining(1000)).await);
    let many = (1000..1020).map(|id| store.commit(if id % 3 == 0 { alone(id) } else { joining(id) }));
    for answer in join_all(many).await {
        is_refused("with others", &answer);
    }
    is_refused("huge", &store.commit(huge(1000)).await);
    is_refused("huge, alone", &store.commit(huge(1000).recording(entry("x"))).await);
    is_refused("huge, with others", &join_all([store.commit(joining(2000)), store.commit(huge(1000))]).await.remove(1));
    is_refused("ids", &store.allocate(Sequence::Versions, 1).await);

    // then it can be read, and nothing of it is there
    assert_eq!(store.head().await.unwrap(), Position::new(1));
    assert!(!has(&store, 1000).await && has_app(&store, 1).await);

    // and when there is space
    drop(full);
    store.commit(alone(1000)).await.unwrap();
    let many = (1001..1150).map(|id| store.commit(joining(id)));
    assert!(join_all(many).await.iter().all(Result::is_ok));
    store.commit(huge(3000)).await.unwrap();

    // then it is there after a restart, too
    store.close().await;
    let store = open().await.unwrap();
    assert!(has(&store, 1000).await && has(&store, 1149).await && has(&store, 3149).await);
    assert_eq!(store.head().await.unwrap(), Position::new(301));
}

#[test]
fn what_a_full_disk_refuses_is_not_writable_and_not_there() {
    if let Some(disk) = env::var_os(DISK) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(on_a_small_disk(disk.as_ref()));
    }
    if !small_disk::is_possible() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut this = Command::new(env::current_exe().unwrap());
    this.args(["--exact", "full_disk::what_a_full_disk_refuses_is_not_writable_and_not_there", "--nocapture"]);
    this.env(DISK, folder.path());
    let done = with_small_disk(&this, folder.path(), 40_000).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains("1 passed"), "{said}{complained}");
}
